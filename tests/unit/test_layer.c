/* SPDX-License-Identifier: MIT */
/* How a layer of the library lives beside a core: when it is called, and what it may know. And how
 * a turn's quiet sends are settled when there is more to be taken than fits. */
#include "engine/engine.h"

#include "tests/engine_kit_ring.h"
#include "tests/fanout_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

struct watcher {
    unsigned starts;
    unsigned stops;
    unsigned works;
    unsigned ends;
    unsigned closes_at_end; /* upcalls of on_close that had run at the last conn_end */
    bool stale_at_end;      /* its handle was stale then */
    struct gyr_handle handle;
    uint64_t again_ns; /* what core_work returns */
    unsigned due;      /* so often it asks to be called again */
    _Atomic uint32_t bell;
    bool keep_bell;
};

static struct watcher *watcher_of(void *state)
{
    return ((struct kit *)state)->context;
}

static int core_start(void *state, struct gyr_core *core)
{
    struct watcher *watcher = watcher_of(state);
    watcher->starts++;
    EXPECT(engine_core_state(core) == state, "its state");
    engine_core_set_bell(core, &watcher->bell);
    return 0;
}

static void core_stop_layer(void *state, struct gyr_core *core)
{
    EXPECT_INT(((struct core *)core)->open_count, 0, "no connection is left");
    watcher_of(state)->stops++;
}

static uint64_t core_work(void *state, struct gyr_core *core)
{
    struct watcher *watcher = watcher_of(state);
    watcher->works++;
    if (!watcher->keep_bell) {
        atomic_store_explicit(&watcher->bell, 0, memory_order_relaxed);
    }
    if (watcher->due != 0) {
        watcher->due--;
        engine_core_due(core);
    }
    return watcher->again_ns;
}

static void conn_end(void *state, struct gyr_conn *conn)
{
    struct watcher *watcher = watcher_of(state);
    struct kit *kit = state;
    watcher->ends++;
    watcher->closes_at_end = kit->counts[KIT_CLOSE];
    watcher->handle = gyr_conn_handle(conn);
    watcher->stale_at_end = !engine_handle_is_live(gyr_conn_core(conn), watcher->handle);
    EXPECT(engine_conn_is_watched(conn), "only those are told");
    EXPECT(engine_conn_may_send(conn) < 0, "it can send no more");
    EXPECT(!engine_conn_is_open(conn), "nor is it open");
}

static const struct engine_layer LAYER = {
    .core_start = core_start,
    .core_stop = core_stop_layer,
    .core_work = core_work,
    .conn_end = conn_end,
};

static void begin(struct kit *kit, struct watcher *watcher)
{
    *watcher = (struct watcher){0};
    kit_init(kit);
    kit->layer = &LAYER;
    kit->context = watcher;
    kit_start(kit);
}

static void end(struct kit *kit, struct watcher *watcher)
{
    kit_end(kit);
    EXPECT_INT(watcher->starts, 1, "started once");
    EXPECT_INT(watcher->stops, 1, "stopped once");
}

void layer_is_called_when_its_bell_rings_and_when_it_is_due(void)
{
    struct kit kit;
    struct watcher watcher;
    begin(&kit, &watcher);
    kit_open(&kit);
    kit_advance(&kit, 100);
    EXPECT_INT(watcher.works, 0, "nothing has rung");
    atomic_store_explicit(&watcher.bell, 4, memory_order_relaxed);
    kit_run(&kit);
    EXPECT_INT(watcher.works, 1, "once for a ring");
    watcher.due = 3;
    engine_core_due((struct gyr_core *)kit.core);
    kit_run(&kit);
    EXPECT_INT(watcher.works, 5, "once for each time it asks");
    kit_run(&kit);
    EXPECT_INT(watcher.works, 5, "and not again");
    end(&kit, &watcher);
}

void layer_is_called_again_when_it_said(void)
{
    struct kit kit;
    struct watcher watcher;
    begin(&kit, &watcher);
    watcher.again_ns = 5000000;
    engine_core_due((struct gyr_core *)kit.core);
    kit_run(&kit);
    EXPECT_INT(watcher.works, 1, "due");
    kit_advance(&kit, 4);
    EXPECT_INT(watcher.works, 1, "not yet");
    kit_advance(&kit, 1);
    EXPECT_INT(watcher.works, 2, "now");
    kit_advance(&kit, 5);
    EXPECT_INT(watcher.works, 3, "and again");
    watcher.again_ns = 0;
    kit_advance(&kit, 5);
    EXPECT_INT(watcher.works, 4, "once more");
    kit_advance(&kit, 500);
    EXPECT_INT(watcher.works, 4, "and no more");
    end(&kit, &watcher);
}

static int start_fails(void *state, struct gyr_core *core)
{
    (void)core;
    watcher_of(state)->starts++;
    return GYR_ERR_MEMORY;
}

void layer_that_did_not_start_is_not_stopped(void)
{
    struct engine_layer layer = LAYER;
    layer.core_start = start_fails;
    struct watcher watcher = {0};
    struct kit kit;
    kit_init(&kit);
    kit.layer = &layer;
    kit.context = &watcher;
    struct core_config config = {
        .config = &kit.config,
        .service = &kit.service,
        .layer = &layer,
        .layer_state = &kit,
        .ring_ops = &kit_ring_ops,
        .peers = kit.peers,
        .peer_count = 1,
    };
    struct gyr_error error;
    EXPECT_INT(core_create(&config, &kit.core, &error), 0, "made");
    EXPECT_INT(core_layer_start(kit.core), GYR_ERR_MEMORY, "does not start");
    core_destroy(kit.core);
    core_free(kit.core);
    EXPECT_INT(watcher.starts, 1, "was asked");
    EXPECT_INT(watcher.stops, 0, "owes no stop");
}

void layer_learns_of_the_end_of_who_is_watched(void)
{
    for (unsigned way = 0; way < 5; way++) {
        struct kit kit;
        struct watcher watcher;
        begin(&kit, &watcher);
        kit_open(&kit); /* not watched */
        kit_reset(&kit);
        EXPECT_INT(watcher.ends, 0, "nobody asked");
        kit_open(&kit);
        struct gyr_conn *conn = kit_conn(&kit);
        EXPECT(!engine_conn_is_watched(conn), "not what the slot was before");
        uint32_t index = engine_conn_index(conn);
        struct gyr_handle handle = gyr_conn_handle(conn);
        EXPECT(engine_conn_at((struct gyr_core *)kit.core, index) == conn, "by its number");
        engine_conn_watch(conn);
        engine_conn_watch(conn);
        if (way == 0) {
            kit_reset(&kit);
        } else if (way == 1) {
            gyr_abort(conn);
            kit_run(&kit);
        } else if (way == 2) {
            KIT_FRAME(&kit, 0x88, "\x03\xe8");
        } else if (way == 3) {
            KIT_FRAME(&kit, 0xff, "");
        } else {
            kit_advance(&kit, 1);
        }
        if (way < 4) {
            EXPECT_INT(watcher.ends, 1, "told once");
            EXPECT_INT(watcher.closes_at_end, 2, "behind its on_close");
            EXPECT(watcher.handle.id == handle.id && !watcher.stale_at_end, "who it was");
            EXPECT(!engine_handle_is_live((struct gyr_core *)kit.core, handle), "stale now");
            kit_open(&kit);
            EXPECT_INT(engine_conn_index(kit_conn(&kit)), index, "the slot is used again");
            EXPECT(!engine_conn_is_watched(kit_conn(&kit)), "by somebody who is not watched");
        }
        end(&kit, &watcher);
        EXPECT_INT(watcher.ends, 1, "at the end of the server, too");
    }
}

void layer_learns_of_the_end_of_a_handshake_that_is_refused(void)
{
    static const char UPGRADE[] = KIT_UPGRADE_WITH("");
    struct kit kit;
    struct watcher watcher;
    begin(&kit, &watcher);
    kit_connect(&kit);
    kit.acts[KIT_REQUEST] = KIT_PENDING;
    kit_input(&kit, UPGRADE, sizeof(UPGRADE) - 1);
    struct gyr_conn *conn = kit_conn(&kit);
    EXPECT_INT(engine_conn_may_send(conn), 0, "behind the 101");
    engine_conn_watch(conn);
    EXPECT_INT(gyr_respond_text(conn, 403, "text/plain", GYR_SPAN("no")), 0, "refused");
    EXPECT(engine_conn_may_send(conn) < 0, "there will be none");
    EXPECT_INT(gyr_finish(conn, 0), 0, "go on");
    kit_run(&kit);
    EXPECT_INT(watcher.ends, 1, "told once");
    kit_connect(&kit);
    KIT_INPUT(&kit, KIT_GET("/"));
    EXPECT_INT(engine_conn_may_send(kit_conn(&kit)), GYR_ERR_STATE, "never a WebSocket");
    EXPECT_INT(gyr_respond_text(kit_conn(&kit), 200, "text/plain", GYR_SPAN("")), 0, "answered");
    EXPECT_INT(gyr_finish(kit_conn(&kit), 0), 0, "go on");
    end(&kit, &watcher);
}

void layer_takes_no_handle_for_live_that_nobody_was_given(void)
{
    struct kit kit;
    struct watcher watcher;
    begin(&kit, &watcher);
    struct gyr_core *core = (struct gyr_core *)kit.core;
    static const uint64_t IDS[] = {
        0, 1, UINT64_C(1) << 24, UINT64_C(1) << 48, UINT64_MAX, KIT_SOCKETS_MAX, 0xffffff};
    for (size_t i = 0; i < COUNT_OF(IDS); i++) {
        EXPECT(!engine_handle_is_live(core, (struct gyr_handle){IDS[i]}), "before the first");
    }
    EXPECT_INT(engine_core_conns_used(core), 0, "none was used");
    kit_open(&kit);
    EXPECT_INT(engine_core_conns_used(core), 1, "one");
    EXPECT_INT(engine_core_conns_max(core), KIT_SOCKETS_MAX, "of so many");
    struct gyr_handle handle = gyr_conn_handle(kit_conn(&kit));
    EXPECT(engine_handle_is_live(core, handle), "it is");
    EXPECT(gyr_core_find(core, handle) == kit_conn(&kit), "and found");
    for (size_t i = 0; i < COUNT_OF(IDS); i++) {
        bool is = IDS[i] == handle.id;
        EXPECT_INT(engine_handle_is_live(core, (struct gyr_handle){IDS[i]}), is, "no other");
    }
    end(&kit, &watcher);
}

void layer_memory_is_of_the_cores_budget(void)
{
    struct kit kit;
    struct watcher watcher;
    begin(&kit, &watcher);
    struct gyr_core *core = (struct gyr_core *)kit.core;
    uint64_t used = heap_used(kit.core->heap);
    void *pointer = engine_core_alloc(core, 1000);
    EXPECT(pointer != NULL && heap_used(kit.core->heap) == used + 1000, "counted");
    EXPECT(engine_core_alloc(core, (size_t)kit.config.core_heap_size_max) == NULL, "limited");
    EXPECT_INT(kit.core->layer_size, 1000, "a failure counts nothing");
    engine_core_free(core, NULL, 1000);
    engine_core_free(core, pointer, 1000);
    EXPECT_INT(kit.core->layer_size, 0, "given back");
    end(&kit, &watcher);
}

/* ---- settling ---- */

#define MANY 20

/* More completions than a turn has room for, of connections that are not in question. */
void layer_settles_quiet_sends_though_completions_do_not_fit(void)
{
    struct kit kit;
    kit_init(&kit);
    kit.quiet = true;
    kit.config.recv_buffer_count = 2048;
    kit.config.recv_buffer_size = 64;
    kit.acts[KIT_MESSAGE] = KIT_NOTHING;
    kit_start(&kit);
    kit_open(&kit);
    int flood = kit.fd;
    int fds[MANY];
    struct fan_room room = FAN_ROOM(.room = 1);
    struct fan_track track = fan_track();
    for (unsigned i = 0; i < MANY; i++) {
        kit_open(&kit);
        fds[i] = kit.fd;
        kit_room(&kit, i % 2 == 0 ? SIZE_MAX : 2);
    }
    uint8_t frame[16];
    size_t size = kit_frame(frame, 0x81, "f", 1);
    bool was_short = false;
    for (unsigned round = 0; round < 20; round++) {
        kit.fd = flood;
        for (unsigned i = 0; i < 1500; i++) {
            kit_deliver(&kit, frame, size);
        }
        room.track = round % 4 == 0 ? &track.track : NULL;
        EXPECT_INT(fan_send_all(&kit, &room, "abc", fds, MANY), MANY, "queued");
        for (unsigned turn = 0; turn < 3; turn++) {
            EXPECT(core_turn(kit.core), "a turn");
            was_short = was_short || kit.core->quiet_count != 0;
            EXPECT(kit.core->quiet_count <= kit.core->slots.end, "each once");
        }
        for (unsigned i = 1; i < MANY; i += 2) {
            kit.ring->sockets[fds[i] - FD_FIRST].room += 3;
        }
    }
    EXPECT(was_short, "some had to wait");
    kit_run(&kit);
    EXPECT_INT(kit.counts[KIT_MESSAGE], 20 * 1500, "no input is lost");
    for (unsigned i = 0; i < MANY; i++) {
        kit.fd = fds[i];
        kit_room(&kit, SIZE_MAX);
        EXPECT_INT(kit_output(&kit).size, 20 * 5, "everything");
        EXPECT_INT(gyr_queued_size(kit_conn(&kit)), 0, "is sent");
    }
    EXPECT(fan_track_is(&track, 5 * MANY, 0, 0, 0), "and told");
    EXPECT_INT(kit.core->quiet_count, 0, "settled");
    fan_end(&kit, &room);
}

/* Who was settled by a completion before the others may be sent to again: not without end. */
void layer_sends_aloud_when_too_many_quiet_sends_wait_to_be_settled(void)
{
    struct kit kit;
    fan_begin(&kit, 0);
    struct fan_room room = FAN_ROOM(.room = 1);
    uint32_t end = kit.core->slots.end;
    for (uint32_t i = 0; i < end; i++) {
        kit.core->quiet_sends[i] = kit_transport(&kit)->index;
    }
    kit.core->quiet_count = end;
    EXPECT_INT(FAN_RUN(&kit, &room, "a"), ENGINE_QUEUED, "queued");
    EXPECT(!kit.ring->sockets[kit.fd - FD_FIRST].send_quiet, "not quietly");
    EXPECT_FRAMES(&kit, "a", "sent");
    EXPECT_INT(kit.core->quiet_count, 0, "settled");
    EXPECT_INT(FAN_RUN(&kit, &room, "b"), ENGINE_QUEUED, "queued");
    EXPECT(kit.ring->sockets[kit.fd - FD_FIRST].send_quiet, "quietly again");
    EXPECT_FRAMES(&kit, "b", "sent");
    fan_end(&kit, &room);
}
