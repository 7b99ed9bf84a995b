/* SPDX-License-Identifier: MIT */
/* The loop: timers, accepting and what can go wrong with it, and the end of a core. */
#include "engine/core.h"

#include "tests/engine_kit.h"
#include "tests/engine_kit_ring.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <errno.h>
#include <malloc.h>
#include <string.h>

/* ---- timers of a service ---- */

struct ticker {
    struct gyr_timer timer;
    unsigned count;
    unsigned again; /* starts itself so many times more */
};

static void tick(struct gyr_core *core, void *arg)
{
    struct ticker *ticker = arg;
    ticker->count++;
    if (ticker->again != 0) {
        ticker->again--;
        gyr_timer_start(core, &ticker->timer, 100, tick, ticker);
    }
}

void core_timer_runs_once_on_time(void)
{
    struct kit kit;
    kit_begin(&kit);
    struct gyr_core *core = (struct gyr_core *)kit.core;
    struct ticker ticker = {0};
    uint64_t begin = gyr_core_now_ms(core);
    gyr_timer_start(core, &ticker.timer, 5000, tick, &ticker);
    kit_advance(&kit, 4999);
    EXPECT_INT(ticker.count, 0, "too early");
    kit_advance(&kit, 1);
    EXPECT_INT(ticker.count, 1, "on time");
    EXPECT_INT(gyr_core_now_ms(core) - begin, 5000, "the clock agrees");
    kit_advance(&kit, 100000);
    EXPECT_INT(ticker.count, 1, "once");
    kit_end(&kit);
}

void core_timer_can_be_moved_stopped_and_started_by_itself(void)
{
    struct kit kit;
    kit_begin(&kit);
    struct gyr_core *core = (struct gyr_core *)kit.core;
    struct ticker ticker = {0};
    gyr_timer_stop(core, &ticker.timer); /* one that never ran */
    gyr_timer_start(core, &ticker.timer, 1000, tick, &ticker);
    gyr_timer_start(core, &ticker.timer, 3000, tick, &ticker);
    kit_advance(&kit, 2999);
    EXPECT_INT(ticker.count, 0, "moved");
    gyr_timer_stop(core, &ticker.timer);
    kit_advance(&kit, 10000);
    EXPECT_INT(ticker.count, 0, "stopped");
    ticker.again = 4;
    gyr_timer_start(core, &ticker.timer, 0, tick, &ticker);
    for (unsigned i = 0; i < 10; i++) {
        kit_advance(&kit, 100);
    }
    EXPECT_INT(ticker.count, 5, "again and again");
    kit_end(&kit);
}

/* ---- accepting ---- */

static struct {
    int err;
    uint64_t count;
    unsigned calls;
} trouble;

static void on_trouble(struct gyr_core *core, int err, uint64_t count)
{
    (void)core;
    trouble.err = err;
    trouble.count = count;
    trouble.calls++;
}

static void begin_trouble(struct kit *kit)
{
    memset(&trouble, 0, sizeof(trouble));
    kit_init(kit);
    kit->config.connections_max = 2;
    kit->service.on_trouble = on_trouble;
    kit_start(kit);
}

void core_accepts_again_after_running_out_of_descriptors(void)
{
    struct kit kit;
    begin_trouble(&kit);
    kit_accept_fail(&kit, -EMFILE);
    EXPECT_INT(trouble.err, -EMFILE, "told");
    EXPECT(!kit.core->listeners[0].armed, "not at once, which would spin");
    kit_connect(&kit);
    EXPECT(kit_transport(&kit) == NULL, "it waits in the kernel's queue");
    kit_advance(&kit, 150);
    EXPECT(kit_transport(&kit) != NULL, "accepted later");
    for (unsigned i = 0; i < 20; i++) {
        kit_accept_fail(&kit, -EMFILE);
        kit_advance(&kit, 110);
    }
    EXPECT(trouble.calls <= 4, "once a second at most");
    kit_accept_fail(&kit, -ECONNABORTED);
    EXPECT(kit.core->listeners[0].armed, "a connection that went away is no trouble");
    kit_end(&kit);
}

void core_answers_503_to_connections_beyond_its_slots(void)
{
    struct kit kit;
    begin_trouble(&kit);
    kit_connect(&kit);
    kit_connect(&kit);
    int second = kit.fd;
    for (unsigned i = 0; i < 5; i++) {
        kit_connect(&kit);
        struct span output = kit_output(&kit);
        EXPECT(memmem(output.ptr, output.size, "HTTP/1.1 503 ", 13) == output.ptr, "answered");
        EXPECT(memmem(output.ptr, output.size, "\r\nRetry-After: 1\r\n", 18) != NULL, "later");
        EXPECT(kit_is_ended(&kit), "the end of our stream");
        KIT_INPUT(&kit, KIT_GET("/"));
        EXPECT(!kit_is_reset(&kit), "a request that comes meanwhile does not reset it");
        kit_end_of_stream(&kit);
        EXPECT(kit_is_closed(&kit), "closed when the peer has seen it");
    }
    EXPECT_INT(kit.core->stats.limited, 5, "counted");
    EXPECT_INT(kit.core->stats.accepted, 2, "not as accepted");
    EXPECT_INT(kit.counts[KIT_REQUEST], 0, "no request of theirs is handled");
    EXPECT_INT(trouble.err, GYR_ERR_LIMIT, "told");
    EXPECT_INT(trouble.calls, 1, "once a second");
    kit.fd = second;
    kit_reset(&kit);
    kit_connect(&kit);
    KIT_INPUT(&kit, KIT_GET("/"));
    EXPECT_OUTPUT(&kit, KIT_OK, "a slot is free again");
    EXPECT_INT(kit.core->open_count, 2, "open now");
    EXPECT_INT(kit.core->load, 2, "as other cores see it");
    kit_end(&kit);
}

void core_resets_connections_beyond_its_refusals(void)
{
    struct kit kit;
    begin_trouble(&kit);
    kit_connect(&kit);
    kit_connect(&kit);
    for (unsigned i = 0; i < CORE_REFUSALS_MAX; i++) {
        kit_connect(&kit);
        EXPECT(!kit_is_closed(&kit), "it is being told");
    }
    for (unsigned i = 0; i < 3; i++) {
        kit_connect(&kit);
        EXPECT(kit_is_reset(&kit), "no place is left to tell it from");
        EXPECT_INT(kit_output(&kit).size, 0, "without a word");
    }
    EXPECT_INT(kit.core->stats.limited, CORE_REFUSALS_MAX, "answered");
    EXPECT_INT(kit.core->stats.refused, 3, "not answered");
    EXPECT_INT(kit.core->load, 2, "none of them is load");
    kit_advance(&kit, kit.config.close_timeout_ms + 100);
    EXPECT_INT(kit.core->open_count, 2, "a peer that never ends its stream is not waited for");
    kit_connect(&kit);
    EXPECT(kit_output(&kit).size != 0, "there is a place again");
    kit_end(&kit);
}

void core_lives_on_when_its_heap_is_used_up(void)
{
    struct kit kit;
    memset(&trouble, 0, sizeof(trouble));
    kit_init(&kit);
    kit.config.core_heap_size_max = 65536;
    kit.service.on_trouble = on_trouble;
    kit_start(&kit);
    kit_open(&kit);
    int other = kit.fd;
    kit_open(&kit);
    static const char PAYLOAD[100000] = "";
    kit_input_frame(&kit, 0x02, PAYLOAD, 60000);
    kit_input_frame(&kit, 0x80, PAYLOAD, 60000);
    EXPECT_INT(kit.counts[KIT_CLOSE], 1, "that connection is closed");
    EXPECT_INT(kit.counts[KIT_MESSAGE], 0, "its message did not fit");
    kit.fd = other;
    EXPECT_INT(kit.core->heap_accounted, 0, "its memory is back");
    kit_forget(&kit);
    kit_input_frame(&kit, 0x82, PAYLOAD, 30000);
    EXPECT_INT(kit_output(&kit).size, 30004, "another is served");
    kit_room(&kit, 0);
    EXPECT_INT(gyr_send(kit_conn(&kit), GYR_BINARY, (struct gyr_span){PAYLOAD, 100000}),
               GYR_ERR_MEMORY, "a send that does not fit is refused");
    EXPECT_INT(gyr_queued_size(kit_conn(&kit)), 0, "and has left nothing");
    kit_end(&kit);
}

static unsigned accepts;

static void accept_start(struct ring *ring, int fd, uint64_t user_data)
{
    (void)ring;
    EXPECT_INT((uint32_t)user_data, accepts, "its index");
    EXPECT_INT(fd, 2000 + accepts, "in order");
    accepts++;
}

/* A server that has started must not find out that it has no memory for its listeners. */
void core_listens_without_taking_memory(void)
{
    struct kit kit;
    kit_begin(&kit);
    struct ring_ops ops = *kit.core->ring->ops;
    ops.accept_start = accept_start;
    struct core_config config = {
        .config = &kit.config, .service = &kit.service, .ring_ops = &ops, .peer_count = 0};
    struct core *core;
    accepts = 0;
    CU_ASSERT_FATAL(core_create(&config, &core, NULL) == 0);
    core->ring->ops = &ops;
    size_t before = mallinfo2().uordblks; /* a sanitizer's malloc counts nothing */
    for (int i = 0; i < CORE_LISTENERS_MAX; i++) {
        core_listen(core, 2000 + i);
    }
    EXPECT_INT(mallinfo2().uordblks, before, "not a byte");
    EXPECT_INT(core->listener_count, CORE_LISTENERS_MAX, "all of them");
    for (int i = 0; i < CORE_LISTENERS_MAX; i++) {
        core->listeners[i] = (struct core_listener){.fd = -1};
    }
    core_destroy(core);
    core_free(core);
    kit_end(&kit);
}

/* ---- the end ---- */

/* One turn; did its wait sleep? */
static bool turn_sleeps(struct kit *kit)
{
    kit->ring->idle = false;
    EXPECT(core_turn(kit->core), "lives");
    return kit->ring->idle;
}

void core_spins_after_work_and_then_sleeps(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit_open(&kit);
    EXPECT(turn_sleeps(&kit), "nothing to do");
    kit.config.spin_us = 1000;
    uint8_t frame[32];
    kit_deliver(&kit, frame, kit_frame(frame, 0x81, "x", 1));
    (void)turn_sleeps(&kit); /* the wait that brings the message */
    EXPECT(!turn_sleeps(&kit), "no sleep right after work");
    kit.core->ring->now_ns += 999000;
    EXPECT(!turn_sleeps(&kit), "nor within spin_us");
    kit.core->ring->now_ns += 2000;
    EXPECT(turn_sleeps(&kit), "but then");
    kit.config.spin_us = 0;
    kit_end(&kit);
}

void core_drain_spreads_1001_over_its_window(void)
{
    struct kit kit;
    kit_init(&kit);
    kit.config.shutdown_window_ms = 1000;
    kit_start(&kit);
    int fds[100];
    for (unsigned i = 0; i < COUNT_OF(fds); i++) {
        kit_open(&kit);
        fds[i] = kit.fd;
    }
    core_stop(kit.core);
    unsigned before = 0;
    for (unsigned ms = 0; ms <= 1000; ms += 100) {
        kit_advance(&kit, ms == 0 ? 0 : 100);
        unsigned closed = 0;
        for (unsigned i = 0; i < COUNT_OF(fds); i++) {
            kit.fd = fds[i];
            struct span out = kit_output(&kit);
            EXPECT(out.size == 0 || memcmp(out.ptr, "\x88\x02\x03\xe9", 4) == 0, "1001");
            closed += out.size != 0;
        }
        EXPECT(closed >= before && closed - before <= 12, "a share for each step");
        EXPECT(ms != 500 || (closed >= 40 && closed <= 60), "half in half the time");
        before = closed;
    }
    EXPECT_INT(before, COUNT_OF(fds), "all at the end of the window");
    for (unsigned i = 0; i < COUNT_OF(fds); i++) {
        kit.fd = fds[i];
        KIT_FRAME(&kit, 0x88, "\x03\xe9");
        kit_end_of_stream(&kit);
    }
    kit_advance(&kit, 20);
    EXPECT_INT(kit.core->state, CORE_ENDED, "ended as soon as all are gone");
    EXPECT_INT(kit.counts[KIT_CLOSE], COUNT_OF(fds), "each told");
    kit_end(&kit);
}

void core_drain_lets_requests_end_and_takes_no_more(void)
{
    struct kit kit;
    kit_begin(&kit);
    int idle = kit.fd;
    kit_connect(&kit);
    kit.acts[KIT_REQUEST] = KIT_PENDING;
    KIT_INPUT(&kit, KIT_GET("/1") KIT_GET("/2"));
    int busy = kit.fd;
    core_stop(kit.core);
    kit_run(&kit);
    kit.fd = idle;
    EXPECT(kit_is_ended(&kit), "an idle connection has nothing to wait for");
    kit.fd = busy;
    EXPECT(!kit_is_ended(&kit), "a request under way ends");
    EXPECT_INT(gyr_respond_text(kit_conn(&kit), 200, "text/plain", GYR_SPAN("ok")), 0, "answer");
    EXPECT_INT(gyr_finish(kit_conn(&kit), 0), 0, "go on");
    kit_run(&kit);
    struct span out = kit_output(&kit);
    EXPECT(memmem(out.ptr, out.size, "\r\nConnection: close\r\n", 21) != NULL, "the last answer");
    EXPECT(kit_is_ended(&kit), "closed");
    EXPECT_INT(kit.counts[KIT_REQUEST], 1, "the next request is not taken");
    EXPECT(!kit.core->listeners[0].armed, "nor is a connection");
    kit_end(&kit);
}

/* What a client sees whose handshake comes too late. */
static void expect_stopping(struct kit *kit, const char *why)
{
    struct span out = kit_output(kit);
    static const char HEAD[] = "HTTP/1.1 503 Service Unavailable\r\n";
    static const char TEXT[] = "\r\n\r\nthe server is stopping (RFC 9110 section 15.6.4)";
    EXPECT(out.size > sizeof(HEAD) && memcmp(out.ptr, HEAD, sizeof(HEAD) - 1) == 0, why);
    EXPECT(memmem(out.ptr, out.size, "\r\nRetry-After: 1\r\n", 18) != NULL, why);
    EXPECT(memmem(out.ptr, out.size, "\r\nConnection: close\r\n", 21) != NULL, why);
    EXPECT(memmem(out.ptr, out.size, TEXT, sizeof(TEXT) - 1) != NULL, why);
    EXPECT(kit_is_ended(kit) && !kit_is_reset(kit), "and the end behind it");
}

void core_drain_answers_503_to_handshakes_that_come_too_late(void)
{
    struct kit kit;
    kit_begin(&kit);
    int fresh = kit.fd;
    kit_connect(&kit);
    KIT_INPUT(&kit, "GET /ws HTTP/1.1\r\nHost: a\r\nUpg");
    int begun = kit.fd;
    kit_connect(&kit);
    KIT_INPUT(&kit, KIT_GET("/"));
    EXPECT_OUTPUT(&kit, KIT_OK, "answered");
    int used = kit.fd;
    kit_forget(&kit);
    core_stop(kit.core);
    kit_run(&kit);
    kit.fd = fresh;
    expect_stopping(&kit, "who has just connected");
    kit.fd = begun;
    expect_stopping(&kit, "whose handshake is on its way");
    KIT_INPUT(&kit, "rade: websocket\r\n\r\n");
    EXPECT(!kit_is_reset(&kit), "what follows does not take the answer away");
    kit.fd = used;
    EXPECT_OUTPUT(&kit, "", "who was answered before could take it for another answer");
    EXPECT(kit_is_ended(&kit), "it just ends");
    EXPECT_INT(kit.core->stats.http_errors, 2, "counted");
    EXPECT_INT(kit.core->stats.limited, 0, "by no limit");
    EXPECT_LOG(&kit, "", "the service hears of none");
    kit_end(&kit);
}

void core_drain_answers_503_to_who_is_accepted_meanwhile(void)
{
    struct kit kit;
    kit_init(&kit);
    kit.config.connections_max = 2;
    kit_start(&kit);
    kit_open(&kit);
    int open = kit.fd;
    kit_connect(&kit);
    KIT_INPUT(&kit, KIT_GET("/"));
    kit_forget(&kit);
    core_stop(kit.core);
    kit_run(&kit);
    EXPECT_INT(kit.core->state, CORE_DRAINING, "it waits for the WebSocket");
    kit_connect(&kit); /* nobody accepts it */
    core_hand_over(kit.core, kit.core, kit.fd);
    kit_run(&kit);
    expect_stopping(&kit, "given by another core, or accepted before accepting had ended");
    EXPECT_INT(atomic_load(&kit.core->load), 2, "it takes no place");
    EXPECT_INT(kit.core->stats.limited, 0, "no limit was met");
    EXPECT_INT(kit.core->stats.accepted, 2, "it is not taken");
    kit.fd = open;
    kit_end_of_stream(&kit);
    kit_end(&kit);
}

void core_drain_waits_for_idle_peers_only_as_long_as_they_may_be_reading(void)
{
    enum {
        LONG_AGO,
        JUST_NOW,
        NEVER_ASKED,
        IN_A_HEAD,
        SLOW,
        KINDS
    };
    struct kit kit;
    kit_init(&kit);
    kit.config.close_timeout_ms = 2000;
    kit.config.shutdown_window_ms = 0;
    kit_start(&kit);
    int fds[KINDS];
    for (unsigned i = 0; i < KINDS; i++) {
        kit_connect(&kit);
        fds[i] = kit.fd;
    }
    kit.fd = fds[LONG_AGO];
    KIT_INPUT(&kit, KIT_GET("/"));
    EXPECT_OUTPUT(&kit, KIT_OK, "answered");
    kit.fd = fds[SLOW];
    kit_room(&kit, 0);
    KIT_INPUT(&kit, KIT_GET("/"));
    kit_advance(&kit, 2500);
    kit_room(&kit, SIZE_MAX);
    EXPECT_OUTPUT(&kit, KIT_OK, "taken so late");
    kit.fd = fds[JUST_NOW];
    KIT_INPUT(&kit, KIT_GET("/"));
    EXPECT_OUTPUT(&kit, KIT_OK, "answered");
    kit.fd = fds[IN_A_HEAD];
    KIT_INPUT(&kit, "GET / HTTP/1.1\r\n");
    kit_advance(&kit, 500);
    core_stop(kit.core);
    kit_run(&kit);
    for (unsigned i = 0; i < KINDS; i++) {
        kit.fd = fds[i];
        EXPECT(kit_is_ended(&kit), "each sees the end of our stream at once");
    }
    kit_advance(&kit, 5);
    for (unsigned i = 0; i < KINDS; i++) {
        kit.fd = fds[i];
        bool gone = i == LONG_AGO || i == NEVER_ASKED;
        EXPECT_INT(kit_is_closed(&kit), gone, "and is waited for if it may be reading yet");
        EXPECT(!kit_is_reset(&kit), "none sees a reset");
    }
    kit_advance(&kit, 1490);
    kit.fd = fds[JUST_NOW];
    EXPECT(!kit_is_closed(&kit), "until 2000 ms after the answer");
    EXPECT_INT(kit.core->state, CORE_DRAINING, "it waits for this one");
    kit_advance(&kit, 10);
    for (unsigned i = 0; i < KINDS; i++) {
        kit.fd = fds[i];
        EXPECT_INT(kit_is_closed(&kit), i != IN_A_HEAD, "who sends just now has all of the time");
        EXPECT(!kit_is_reset(&kit), "none sees a reset");
    }
    kit_advance(&kit, 510);
    EXPECT_INT(kit.core->state, CORE_ENDED, "and the core ends");
    kit_end(&kit);
}

void core_drain_closes_idle_peers_that_answer_at_once(void)
{
    struct kit kit;
    kit_begin(&kit);
    KIT_INPUT(&kit, KIT_GET("/"));
    EXPECT_OUTPUT(&kit, KIT_OK, "answered");
    core_stop(kit.core);
    kit_run(&kit);
    EXPECT(kit_is_ended(&kit) && !kit_is_closed(&kit), "told");
    KIT_INPUT(&kit, KIT_GET("/late"));
    EXPECT_INT(kit.counts[KIT_REQUEST], 1, "a request that was on its way is dropped");
    EXPECT(!kit_is_reset(&kit), "without a reset, which would take the answer");
    kit_end_of_stream(&kit);
    EXPECT(kit_is_closed(&kit) && !kit_is_reset(&kit), "closed as soon as it has heard");
    kit_end(&kit);
}

void core_drain_cuts_what_is_left_at_its_deadline(void)
{
    struct kit kit;
    kit_init(&kit);
    kit.config.shutdown_deadline_ms = 3000;
    kit.config.close_timeout_ms = 60000;
    kit_start(&kit);
    kit_connect(&kit);
    kit.acts[KIT_REQUEST] = KIT_PENDING;
    KIT_INPUT(&kit, KIT_GET("/"));
    int request = kit.fd;
    kit.acts[KIT_REQUEST] = KIT_DEFAULT;
    kit_open(&kit);
    core_stop(kit.core);
    kit_run(&kit);
    kit_advance(&kit, 2990);
    EXPECT_INT(kit.counts[KIT_CLOSE], 0, "there is time");
    EXPECT_INT(kit.core->state, CORE_DRAINING, "there is time");
    kit_advance(&kit, 20);
    EXPECT_INT(kit.core->state, CORE_ENDED, "the end");
    EXPECT(kit_is_reset(&kit), "cut");
    kit.fd = request;
    EXPECT(kit_is_reset(&kit), "cut");
    EXPECT_LOG(&kit, "done aborted\nclose 1006\n", "both are told");
    kit_end(&kit);
}
