/* SPDX-License-Identifier: MIT */
/* One message to many: what a delivery promises for a connection in every state, that runs are
 * shared, and the order of what is published with what the service sends. */
#include "engine/fanout.h"

#include "tests/engine_kit_ring.h"
#include "tests/fanout_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <errno.h>
#include <stdio.h>

/* ---- sending quietly ---- */

/* Nothing but the end of the send itself tells that the next may go. */
void fanout_sends_the_next_entry_without_being_woken(void)
{
    static const char LARGE[20000] = "L";
    struct kit kit;
    fan_begin(&kit, 0);
    struct fan_room room = FAN_ROOM(.room = 1);
    struct fan_room other = FAN_ROOM(.room = 2);
    EXPECT_INT(fan_send(&kit, &room, LARGE, sizeof(LARGE)), ENGINE_QUEUED, "large");
    EXPECT_INT(fan_send(&kit, &other, LARGE, sizeof(LARGE)), ENGINE_QUEUED, "another");
    EXPECT_INT(FAN_RUN(&kit, &room, "a"), ENGINE_QUEUED, "and a small one");
    EXPECT_FRAMES(&kit, "L*20000 L*20000 a", "all of them");
    engine_fanout_end(&other.fanout);
    fan_end(&kit, &room);
}

void fanout_track_is_done_without_being_woken(void)
{
    struct kit kit;
    fan_begin(&kit, 0);
    struct fan_track track = fan_track();
    struct fan_room room = FAN_ROOM(.room = 1, .track = &track.track);
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_INT(FAN(&kit, &room, "a"), ENGINE_QUEUED, "queued");
    }
    EXPECT(fan_track_is(&track, 0, 0, 0, 0), "not sent yet");
    kit_run(&kit);
    EXPECT_FRAMES(&kit, "a a a", "sent");
    EXPECT(fan_track_is(&track, 3, 0, 0, 0), "and told");
    EXPECT(track.track.first == NULL, "none waits");
    fan_end(&kit, &room);
}

/* ---- held behind a message in parts (RFC 6455 section 5.4) ---- */

void fanout_holding_is_not_taken_for_a_peer_that_is_slow(void)
{
    struct kit kit;
    fan_begin(&kit, 0);
    struct fan_room room = FAN_ROOM(.room = 1);
    struct gyr_conn *conn = kit_conn(&kit);
    EXPECT_INT(gyr_send_part(conn, GYR_TEXT, GYR_SPAN("1"), GYR_FIRST), 0, "begun");
    kit_run(&kit);
    EXPECT_INT(FAN_RUN(&kit, &room, "a"), ENGINE_QUEUED, "held");
    for (unsigned i = 0; i < 4; i++) {
        kit_advance(&kit, kit.config.send_timeout_ms / 2 + 1);
    }
    EXPECT(!kit_is_closed(&kit), "the wait is ours");
    EXPECT_INT(gyr_send_part(conn, GYR_TEXT, GYR_SPAN("2"), GYR_LAST), 0, "ended");
    kit_run(&kit);
    EXPECT_FRAMES(&kit, "1... +2 a", "in this order");
    fan_end(&kit, &room);
}

void fanout_released_messages_have_the_whole_time_limit(void)
{
    struct kit kit;
    fan_begin(&kit, 0);
    struct fan_room room = FAN_ROOM(.room = 1);
    struct gyr_conn *conn = kit_conn(&kit);
    EXPECT_INT(gyr_send_part(conn, GYR_TEXT, GYR_SPAN("1"), GYR_FIRST), 0, "begun");
    kit_run(&kit);
    EXPECT_INT(FAN_RUN(&kit, &room, "a"), ENGINE_QUEUED, "held");
    kit_advance(&kit, kit.config.send_timeout_ms - 10);
    kit_room(&kit, 0);
    EXPECT_INT(gyr_send_part(conn, GYR_TEXT, GYR_SPAN("2"), GYR_LAST), 0, "ended");
    kit_run(&kit);
    kit_advance(&kit, kit.config.send_timeout_ms - 10);
    EXPECT(!kit_is_closed(&kit), "there is time");
    kit_advance(&kit, 11);
    EXPECT(kit_is_closed(&kit), "now there is none");
    fan_end(&kit, &room);
}

/* Who publishes must not be able to keep a message from its end. */
void fanout_what_is_held_does_not_fill_the_queue_of_the_message_it_waits_for(void)
{
    static const char BYTES[900] = "B";
    struct kit kit;
    fan_begin(&kit, 1000);
    struct fan_room room = FAN_ROOM(.room = 1);
    struct gyr_conn *conn = kit_conn(&kit);
    EXPECT_INT(gyr_send_part(conn, GYR_TEXT, GYR_SPAN("1"), GYR_FIRST), 0, "begun");
    kit_run(&kit);
    EXPECT_INT(fan_send_run(&kit, &room, BYTES, sizeof(BYTES)), ENGINE_QUEUED, "held");
    EXPECT_INT(fan_send_run(&kit, &room, BYTES, sizeof(BYTES)), ENGINE_DROPPED, "full");
    EXPECT_INT(kit.counts[KIT_DRAIN], 1, "nothing that could go is left");
    struct gyr_span part = {BYTES, sizeof(BYTES)};
    EXPECT(gyr_send_part(conn, GYR_TEXT, part, 0) >= 0, "it goes on");
    kit_run(&kit);
    kit_room(&kit, 0);
    EXPECT(gyr_send_part(conn, GYR_TEXT, part, 0) >= 0, "and on");
    kit_run(&kit);
    EXPECT_INT(gyr_send_part(conn, GYR_TEXT, part, GYR_LAST), GYR_ERR_BACKPRESSURE,
               "its own limit holds");
    fan_unblock(&kit);
    EXPECT(gyr_send_part(conn, GYR_TEXT, part, GYR_LAST) >= 0, "its end");
    kit_run(&kit);
    EXPECT_FRAMES(&kit, "1... +B*900... +B*900... +B*900 B*900", "in this order");
    fan_end(&kit, &room);
}

/* ---- before the 101 ---- */

static const char UPGRADE[] = KIT_UPGRADE_WITH("");

/* A handshake whose request is pending. */
static void begin_early(struct kit *kit, uint32_t queue_size_max)
{
    fan_begin(kit, queue_size_max);
    kit_connect(kit);
    kit->acts[KIT_REQUEST] = KIT_PENDING;
    kit_input(kit, UPGRADE, sizeof(UPGRADE) - 1);
    kit->acts[KIT_REQUEST] = KIT_DEFAULT;
    EXPECT_OUTPUT(kit, "", "not answered");
}

static void accept_early(struct kit *kit)
{
    static const char RESPONSE[] = KIT_101_WITH("");
    struct gyr_conn *conn = kit_conn(kit);
    EXPECT_INT(gyr_upgrade(conn, NULL), 0, "accepted");
    EXPECT_INT(gyr_finish(conn, 0), 0, "go on");
    kit_run(kit);
    struct span out = kit_output(kit);
    size_t size = sizeof(RESPONSE) - 1;
    EXPECT(out.size >= size && memcmp(out.ptr, RESPONSE, size) == 0, "the 101 comes first");
    struct kit_bytes *bytes = &kit->ring->sockets[kit->fd - FD_FIRST].out;
    memmove(bytes->ptr, bytes->ptr + size, bytes->size - size);
    bytes->size -= size;
}

void fanout_early_messages_follow_the_101_in_order(void)
{
    struct kit kit;
    begin_early(&kit, 0);
    struct fan_room room = FAN_ROOM(.room = 1);
    EXPECT_INT(FAN(&kit, &room, "a"), ENGINE_QUEUED, "early");
    EXPECT_INT(gyr_send(kit_conn(&kit), GYR_BINARY, GYR_SPAN("s")), 0, "the service's own");
    EXPECT_INT(FAN(&kit, &room, "b"), ENGINE_QUEUED, "and another");
    EXPECT_INT(FAN(&kit, &room, ""), ENGINE_QUEUED, "empty");
    room.shared = true;
    EXPECT_INT(FAN(&kit, &room, "c"), ENGINE_QUEUED, "copied");
    static const char LARGE[70000] = "L";
    EXPECT_INT(fan_send(&kit, &room, LARGE, 200), ENGINE_QUEUED, "shared");
    EXPECT_INT(fan_send(&kit, &room, LARGE, sizeof(LARGE)), ENGINE_QUEUED, "large");
    EXPECT_INT(fan_shared_count(), 0, "early, there are copies");
    accept_early(&kit);
    EXPECT_FRAMES(&kit, "a binary:s b  c L*200 L*70000", "in order");
    EXPECT_INT(FAN_RUN(&kit, &room, "d"), ENGINE_QUEUED, "open");
    EXPECT_FRAMES(&kit, "d", "and on");
    fan_end(&kit, &room);
}

void fanout_early_message_does_not_split_one_in_parts(void)
{
    struct kit kit;
    begin_early(&kit, 0);
    struct fan_room room = FAN_ROOM(.room = 1);
    EXPECT_INT(gyr_send_part(kit_conn(&kit), GYR_TEXT, GYR_SPAN("1"), GYR_FIRST), 0, "begun");
    EXPECT_INT(FAN(&kit, &room, "a"), ENGINE_DROPPED, "it cannot be held there");
    EXPECT_INT(gyr_send_part(kit_conn(&kit), GYR_TEXT, GYR_SPAN("2"), 0), 0, "goes on");
    accept_early(&kit);
    EXPECT_INT(FAN_RUN(&kit, &room, "b"), ENGINE_QUEUED, "held");
    EXPECT_INT(gyr_send_part(kit_conn(&kit), GYR_TEXT, GYR_SPAN("3"), GYR_LAST), 0, "ended");
    kit_run(&kit);
    EXPECT_FRAMES(&kit, "1... +2... +3 b", "whole");
    EXPECT_INT(kit.counts[KIT_DRAIN], 1, "the service learns that something was dropped");
    fan_end(&kit, &room);
}

void fanout_early_limits_are_the_rooms(void)
{
    static const char BYTES[98] = "B";
    static const uint32_t ROOM_LIMITS[] = {299, 300, 301, 0};
    for (unsigned i = 0; i < COUNT_OF(ROOM_LIMITS); i++) {
        struct kit kit;
        begin_early(&kit, 300);
        struct fan_room room =
            FAN_ROOM(.room = 1, .policy = GYR_ROOM_DROP_NEWEST, .queue_size_max = ROOM_LIMITS[i]);
        EXPECT_INT(fan_send(&kit, &room, BYTES, 98), ENGINE_QUEUED, "100 bytes");
        EXPECT_INT(fan_send(&kit, &room, BYTES, 98), ENGINE_QUEUED, "200 bytes");
        EXPECT_INT(fan_send(&kit, &room, BYTES, 98),
                   ROOM_LIMITS[i] == 299 ? ENGINE_DROPPED : ENGINE_QUEUED, "300 bytes");
        EXPECT_INT(FAN(&kit, &room, ""), ROOM_LIMITS[i] == 299 ? ENGINE_QUEUED : ENGINE_DROPPED,
                   "the smaller of both limits");
        accept_early(&kit);
        EXPECT_FRAMES(&kit, ROOM_LIMITS[i] == 299 ? "B*98 B*98 " : "B*98 B*98 B*98", "these");
        fan_end(&kit, &room);
    }
}

void fanout_early_closes_who_cannot_have_everything(void)
{
    struct kit kit;
    begin_early(&kit, 0);
    struct fan_room room = FAN_ROOM(.room = 1, .policy = GYR_ROOM_CLOSE, .queue_size_max = 3);
    EXPECT_INT(FAN(&kit, &room, "a"), ENGINE_QUEUED, "fits");
    EXPECT_INT(FAN(&kit, &room, ""), ENGINE_CLOSED, "does not");
    EXPECT_INT(FAN(&kit, &room, ""), ENGINE_GONE, "closed");
    kit_run(&kit);
    EXPECT(kit_is_closed(&kit), "there is no WebSocket to close: it is cut");
    EXPECT_OUTPUT(&kit, "", "without an answer");
    fan_end(&kit, &room);
}

void fanout_early_messages_are_limited_by_their_memory_too(void)
{
    struct kit kit;
    begin_early(&kit, 10000);
    struct fan_room room = FAN_ROOM(.room = 1);
    unsigned count = 0;
    while (count < 5000 && FAN(&kit, &room, "") == ENGINE_QUEUED) {
        count++;
    }
    EXPECT(count > 50 && count < 1000, "far fewer than 2 bytes each would let in");
    EXPECT(gyr_send(kit_conn(&kit), GYR_TEXT, GYR_SPAN("")) == GYR_ERR_BACKPRESSURE,
           "the same for the service");
    EXPECT(kit_transport(&kit)->heap_size < 30000, "little memory");
    accept_early(&kit);
    EXPECT_INT(kit_output(&kit).size, 2 * count, "all that was queued");
    fan_end(&kit, &room);
}

void fanout_early_track_is_done_at_once(void)
{
    struct kit kit;
    begin_early(&kit, 0);
    struct fan_track track = fan_track();
    struct fan_room room = FAN_ROOM(.room = 1, .track = &track.track);
    EXPECT_INT(FAN(&kit, &room, "a"), ENGINE_QUEUED, "counted as queued");
    EXPECT(fan_track_is(&track, 0, 1, 0, 0), "and done");
    EXPECT_INT(track.handle, gyr_conn_handle(kit_conn(&kit)).id, "who");
    accept_early(&kit);
    EXPECT_FRAMES(&kit, "", "not sent");
    fan_end(&kit, &room);
}

/* ---- who is gone ---- */

static int deliver_in_close(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)conn;
    (void)event;
    kit->result = FAN(kit, kit->context, "late");
    return 0;
}

void fanout_delivers_nothing_to_who_is_gone(void)
{
    struct kit kit;
    fan_begin(&kit, 0);
    struct fan_room room = FAN_ROOM(.room = 1);
    kit.context = &room;
    kit.hooks[KIT_CLOSE] = deliver_in_close;
    struct gyr_conn *conn = kit_conn(&kit);
    EXPECT_INT(gyr_close(conn, 1000, GYR_SPAN("")), 0, "closing");
    EXPECT_INT(FAN_RUN(&kit, &room, "a"), ENGINE_GONE, "closing");
    EXPECT_FRAMES(&kit, "close:1000", "no message follows the Close");
    KIT_FRAME(&kit, 0x88, "\x03\xe8");
    EXPECT_INT(kit.counts[KIT_CLOSE], 1, "closed");
    EXPECT_INT(kit.result, ENGINE_GONE, "in its on_close");
    kit_open(&kit);
    gyr_abort(kit_conn(&kit));
    EXPECT_INT(FAN_RUN(&kit, &room, "a"), ENGINE_GONE, "aborted");
    EXPECT_INT(kit.result, ENGINE_GONE, "in its on_close");
    kit_open(&kit);
    transport_mark(kit_transport(&kit), TRANSPORT_F_LOST);
    EXPECT_INT(FAN_RUN(&kit, &room, "a"), ENGINE_GONE, "lost");
    kit.hooks[KIT_CLOSE] = NULL;
    kit_connect(&kit);
    kit.acts[KIT_REQUEST] = KIT_PENDING;
    kit_input(&kit, UPGRADE, sizeof(UPGRADE) - 1);
    gyr_abort(kit_conn(&kit));
    EXPECT_INT(FAN_RUN(&kit, &room, "a"), ENGINE_GONE, "aborted before the 101");
    kit_connect(&kit);
    KIT_INPUT(&kit, KIT_GET("/"));
    EXPECT_INT(FAN(&kit, &room, "a"), ENGINE_GONE, "never a WebSocket");
    EXPECT_INT(gyr_finish(kit_conn(&kit), gyr_respond_text(kit_conn(&kit), 200, "", GYR_SPAN(""))),
               0, "answered");
    EXPECT_INT(room.fanout.run == NULL, 1, "and nothing is kept");
    fan_end(&kit, &room);
}

/* ---- runs ---- */

#define MEMBERS 20

static void open_members(struct kit *kit, int fds[MEMBERS])
{
    for (unsigned i = 0; i < MEMBERS; i++) {
        kit_open(kit);
        fds[i] = kit->fd;
    }
}

void fanout_further_messages_take_no_memory(void)
{
    struct kit kit;
    int fds[MEMBERS];
    fan_begin(&kit, 0);
    open_members(&kit, fds);
    struct fan_room room = FAN_ROOM(.room = 1);
    EXPECT_INT(fan_send_all(&kit, &room, "first", fds, MEMBERS), MEMBERS, "queued");
    uint64_t used = heap_used(kit.core->heap);
    const struct fanout_run *run = room.fanout.run;
    EXPECT_INT(run->count, MEMBERS, "one run for all of them");
    EXPECT_INT(run->size, 7, "one frame for all of them");
    for (unsigned i = 0; i < 10; i++) {
        EXPECT_INT(fan_send_all(&kit, &room, "more", fds, MEMBERS), MEMBERS, "queued");
    }
    EXPECT_INT(heap_used(kit.core->heap), used, "no memory");
    EXPECT_INT(run->count, MEMBERS, "and no entry");
    unsigned sends = kit_sends(&kit);
    kit_run(&kit);
    EXPECT_INT(kit_sends(&kit) - sends, MEMBERS, "one send for each");
    EXPECT(room.fanout.run == NULL, "the run is gone when all have sent it");
    EXPECT_INT(kit.core->layer_size, 0, "and its memory");
    for (unsigned i = 0; i < MEMBERS; i++) {
        kit.fd = fds[i];
        EXPECT_FRAMES(&kit, "first more more more more more more more more more more", "all");
    }
    fan_end(&kit, &room);
}

void fanout_runs_grow_while_somebody_lags_and_are_freed_behind_the_slowest(void)
{
    struct kit kit;
    fan_begin(&kit, 0);
    int slow = kit.fd;
    fan_block(&kit);
    kit_open(&kit);
    int fds[2] = {slow, kit.fd};
    struct fan_room room = FAN_ROOM(.room = 1);
    char text[101];
    memset(text, 't', 100);
    text[100] = '\0';
    uint64_t size_max = 0;
    for (unsigned i = 0; i < 2000; i++) {
        EXPECT_INT(fan_send_all(&kit, &room, text, fds, 2), 2, "queued");
        kit_run(&kit);
        size_max = MAX(size_max, kit.core->layer_size);
    }
    EXPECT(size_max > 204000 && size_max < 2 * 204000, "little more than what waits");
    kit.fd = slow;
    EXPECT(fan_entries(&kit) < 20, "an entry for a stretch, not for a message");
    fan_unblock(&kit);
    EXPECT_INT(kit_output(&kit).size, 3 + 2000 * 102, "all of it");
    EXPECT_INT(kit.core->layer_size, 0, "freed");
    kit.fd = fds[1];
    EXPECT_INT(kit_output(&kit).size, 2000 * 102, "and the other");
    fan_end(&kit, &room);
}

/* A message that one member was not given leaves a gap in what it has of the run. */
void fanout_members_that_missed_some_get_the_right_stretches(void)
{
    struct kit kit;
    fan_begin(&kit, 0);
    int fds[2] = {kit.fd};
    kit_open(&kit);
    fds[1] = kit.fd;
    struct fan_room room = FAN_ROOM(.room = 1);
    EXPECT_INT(fan_send_all(&kit, &room, "a", fds, 2), 2, "both");
    EXPECT_INT(fan_send_all(&kit, &room, "b", fds, 1), 1, "one");
    EXPECT_INT(fan_send_all(&kit, &room, "c", fds + 1, 1), 1, "the other");
    EXPECT_INT(fan_send_all(&kit, &room, "nobody", fds, 0), 0, "none");
    EXPECT_INT(fan_send_all(&kit, &room, "d", fds, 2), 2, "both");
    kit_run(&kit);
    EXPECT_FRAMES(&kit, "a c d", "the other");
    kit.fd = fds[0];
    EXPECT_FRAMES(&kit, "a b d", "the one");
    fan_end(&kit, &room);
}

void fanout_frames_have_the_shortest_header_at_each_size(void)
{
    static const size_t SIZES[] = {0, 1, 125, 126, 127, 65535, 65536, 200000};
    static char bytes[200000];
    memset(bytes, 'z', sizeof(bytes));
    for (unsigned shared = 0; shared < 2; shared++) {
        struct kit kit;
        fan_begin(&kit, 0);
        struct fan_room room = FAN_ROOM(.room = 1, .shared = shared != 0);
        for (size_t i = 0; i < COUNT_OF(SIZES); i++) {
            size_t header_size = SIZES[i] < 126 ? 2 : SIZES[i] < 65536 ? 4 : 10;
            EXPECT_INT(fan_send_run(&kit, &room, bytes, SIZES[i]), ENGINE_QUEUED, "queued");
            struct span out = kit_output(&kit);
            EXPECT_INT(out.size, header_size + SIZES[i], "size");
            EXPECT_INT(out.ptr[0], 0x81, "a whole text message");
            EXPECT_INT(out.ptr[1],
                       SIZES[i] < 126     ? SIZES[i]
                       : SIZES[i] < 65536 ? 126
                                          : 127,
                       "not masked");
            EXPECT(memcmp(out.ptr + header_size, bytes, SIZES[i]) == 0, "payload");
            kit_forget(&kit);
        }
        fan_end(&kit, &room);
    }
}

void fanout_room_may_end_while_its_messages_are_queued(void)
{
    struct kit kit;
    fan_begin(&kit, 0);
    struct fan_room room = FAN_ROOM(.room = 1);
    EXPECT_INT(FAN(&kit, &room, "a"), ENGINE_QUEUED, "queued");
    engine_fanout_end(&room.fanout);
    engine_fanout_end(&room.fanout);
    memset(&room.fanout, 0xdd, sizeof(room.fanout));
    kit_run(&kit);
    EXPECT_FRAMES(&kit, "a", "sent");
    EXPECT_INT(kit.core->layer_size, 0, "and freed");
    struct fan_room again = FAN_ROOM(.room = 1);
    EXPECT_INT(FAN_RUN(&kit, &again, "b"), ENGINE_QUEUED, "its number is used again");
    EXPECT_FRAMES(&kit, "b", "sent");
    fan_end(&kit, &again);
}

void fanout_without_a_room_keeps_nothing(void)
{
    struct kit kit;
    fan_begin(&kit, 0);
    struct fan_room room = FAN_ROOM(.room = 1);
    struct engine_delivery delivery = {
        .core = (struct gyr_core *)kit.core,
        .opcode = GYR_BINARY,
        .payload = GYR_LITERAL("all"),
    };
    EXPECT_INT(engine_deliver_begin(&delivery), 0, "begun");
    EXPECT_INT(engine_deliver(&delivery, kit_conn(&kit)), ENGINE_QUEUED, "queued");
    engine_deliver_end(&delivery);
    kit_run(&kit);
    EXPECT_FRAMES(&kit, "binary:all", "sent");
    EXPECT_INT(kit.core->layer_size, 0, "and freed");
    fan_end(&kit, &room);
}

/* ---- messages of other cores ---- */

void fanout_large_message_of_another_core_is_kept_until_the_last_has_sent_it(void)
{
    static char bytes[101];
    memset(bytes, 's', sizeof(bytes));
    static const size_t SIZES[] = {97, 98, 99}; /* a frame of 99, 100, 101 bytes: 100 is copied */
    for (unsigned i = 0; i < COUNT_OF(SIZES); i++) {
        struct kit kit;
        fan_begin(&kit, 0);
        fan_block(&kit);
        struct fan_room room = FAN_ROOM(.room = 1, .shared = true);
        EXPECT_INT(fan_send_run(&kit, &room, bytes, SIZES[i]), ENGINE_QUEUED, "queued");
        EXPECT_INT(fan_shared_count(), SIZES[i] > 98, "copied up to broadcast_copy_size");
        EXPECT_INT(kit.core->shared_size, SIZES[i] > 98 ? SIZES[i] + 2 : 0, "counted");
        EXPECT_INT(FAN_RUN(&kit, &room, "small"), ENGINE_QUEUED, "behind it");
        fan_unblock(&kit);
        EXPECT_INT(fan_shared_count(), 0, "released");
        EXPECT_INT(kit.core->shared_size, 0, "counted");
        char expected[40];
        (void)snprintf(expected, sizeof(expected), "x s*%zu small", SIZES[i]);
        EXPECT_FRAMES(&kit, expected, "in order");
        fan_end(&kit, &room);
    }
}

void fanout_shared_messages_are_released_whoever_did_not_take_them(void)
{
    static const char BYTES[500] = "S";
    struct kit kit;
    fan_begin(&kit, 0);
    struct fan_room room = FAN_ROOM(.room = 1, .shared = true);
    EXPECT_INT(fan_send_all(&kit, &room, "small", &kit.fd, 0), 0, "nobody");
    EXPECT_INT(fan_shared_count(), 0, "released");
    char text[400];
    memset(text, 'S', sizeof(text));
    text[399] = '\0';
    EXPECT_INT(fan_send_all(&kit, &room, text, &kit.fd, 0), 0, "nobody");
    EXPECT_INT(fan_shared_count(), 0, "released");
    fan_block(&kit);
    int fds[3] = {kit.fd};
    kit_open(&kit);
    fan_block(&kit);
    fds[1] = kit.fd;
    kit_open(&kit);
    fds[2] = kit.fd;
    EXPECT_INT(fan_send_all(&kit, &room, text, fds, 3), 3, "three");
    kit_run(&kit);
    EXPECT_INT(fan_shared_count(), 1, "two have not sent it");
    kit.fd = fds[0];
    kit_reset(&kit);
    EXPECT_INT(fan_shared_count(), 1, "one has not");
    kit.fd = fds[1];
    gyr_abort(kit_conn(&kit));
    kit_run(&kit);
    EXPECT_INT(fan_shared_count(), 0, "none is left");
    kit.fd = fds[2];
    EXPECT_INT(fan_send(&kit, &room, BYTES, sizeof(BYTES)), ENGINE_QUEUED, "on its way");
    fan_end(&kit, &room);
}

/* Memory of other cores is not of this core's heap, and limited all the same. */
void fanout_shared_messages_are_limited_by_the_size_of_the_heap(void)
{
    static char bytes[40000];
    memset(bytes, 's', sizeof(bytes));
    struct kit kit;
    kit_init(&kit);
    kit.config.core_heap_size_max = 100000;
    kit.config.broadcast_copy_size = 100;
    kit_start(&kit);
    kit_open(&kit);
    fan_block(&kit);
    struct fan_room room = FAN_ROOM(.room = 1, .shared = true);
    for (unsigned i = 0; i < 2; i++) {
        EXPECT_INT(fan_send_run(&kit, &room, bytes, sizeof(bytes)), ENGINE_QUEUED, "fits");
    }
    EXPECT_INT(fan_send_run(&kit, &room, bytes, 100000 - 80008 - 3), GYR_ERR_MEMORY, "too much");
    EXPECT_INT(fan_shared_count(), 2, "released at once");
    EXPECT_INT(fan_send_run(&kit, &room, bytes, 100000 - 80008 - 4), ENGINE_QUEUED, "to the byte");
    fan_unblock(&kit);
    EXPECT_FRAMES(&kit, "x s*40000 s*40000 s*19988", "what fitted");
    EXPECT_INT(kit.core->shared_size, 0, "all released");
    fan_end(&kit, &room);
}

/* ---- memory ---- */

/* Whatever allocation fails, it says so and leaves what was there. */
void fanout_lives_without_memory(void)
{
    static const enum gyr_room_policy POLICIES[] = {GYR_ROOM_QUEUE, GYR_ROOM_DROP_OLDEST,
                                                    GYR_ROOM_CONFLATE, GYR_ROOM_CLOSE};
    static const char BYTES[150] = "B";
    unsigned failed[COUNT_OF(POLICIES)] = {0};
    unsigned failed_later[COUNT_OF(POLICIES)] = {0};
    unsigned queued[COUNT_OF(POLICIES)] = {0};
    for (size_t left = 0; left < 1200 * COUNT_OF(POLICIES); left += 8) {
        unsigned policy = (unsigned)left / 8 % COUNT_OF(POLICIES);
        bool shared = left / 8 / COUNT_OF(POLICIES) % 2 != 0;
        struct kit kit;
        kit_init(&kit);
        kit.config.core_heap_size_max = 65536;
        kit.config.broadcast_copy_size = 100;
        kit_start(&kit);
        kit_open(&kit);
        fan_block(&kit);
        struct fan_track track = fan_track();
        struct fan_room room =
            FAN_ROOM(.room = 1, .policy = POLICIES[policy], .shared = shared, .key = 1);
        EXPECT_INT(FAN(&kit, &room, "first"), ENGINE_QUEUED, "there is memory");
        struct fan_ballast ballast = fan_heap_fill(&kit, left / COUNT_OF(POLICIES));
        room.track = &track.track;
        int outcome = fan_send_run(&kit, &room, BYTES, shared ? sizeof(BYTES) : 50);
        EXPECT(outcome == ENGINE_QUEUED || outcome == ENGINE_DROPPED_MEMORY ||
                   outcome == GYR_ERR_MEMORY,
               "nothing else");
        failed[policy] += outcome == GYR_ERR_MEMORY;
        failed_later[policy] += outcome == ENGINE_DROPPED_MEMORY;
        queued[policy] += outcome == ENGINE_QUEUED;
        fan_heap_free(&kit, &ballast);
        bool replaced = POLICIES[policy] == GYR_ROOM_CONFLATE && outcome == ENGINE_QUEUED;
        EXPECT_INT(room.removed.conflated, replaced, "only by what is queued");
        fan_unblock(&kit);
        EXPECT_FRAMES(&kit,
                      replaced                   ? shared ? "x B*150" : "x B*50"
                      : outcome != ENGINE_QUEUED ? "x first"
                      : shared                   ? "x first B*150"
                                                 : "x first B*50",
                      "what was there");
        EXPECT(fan_track_is(&track, outcome == ENGINE_QUEUED, 0, 0, 0), "tracked");
        EXPECT_INT(kit.counts[KIT_DRAIN], outcome == ENGINE_DROPPED_MEMORY, "on_drain is owed");
        fan_end(&kit, &room);
    }
    for (unsigned i = 0; i < COUNT_OF(POLICIES); i++) {
        EXPECT(failed[i] != 0 && failed_later[i] != 0 && queued[i] != 0, "each of them was met");
    }
}

/* ---- deliveries inside of callbacks ---- */

static int publish_between(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    struct fan_room *room = kit->context;
    EXPECT_INT(gyr_send(conn, GYR_TEXT, GYR_SPAN("before")), 0, "sent");
    EXPECT_INT(FAN(kit, room, "room"), ENGINE_QUEUED, "queued");
    int err = gyr_reply(conn, event->opcode, event->bytes);
    EXPECT(err >= 0, "replied");
    return 0;
}

static int publish_then_reply(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    EXPECT_INT(FAN(kit, kit->context, "room"), ENGINE_QUEUED, "queued");
    return gyr_reply(conn, event->opcode, event->bytes) < 0 ? -EIO : 0;
}

static int reply_then_publish(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    EXPECT(gyr_reply(conn, event->opcode, event->bytes) >= 0, "replied");
    EXPECT_INT(FAN(kit, kit->context, "room"), ENGINE_QUEUED, "queued");
    return 0;
}

void fanout_keeps_the_order_of_calls_in_a_callback(void)
{
    static const struct {
        kit_hook_fn *hook;
        const char *frames;
    } ROWS[] = {
        {publish_between, "before room 1 before room 2 pong:p before room 3"},
        {publish_then_reply, "room 1 room 2 pong:p room 3"},
        {reply_then_publish, "1 room 2 room pong:p 3 room"},
    };
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        for (unsigned slow = 0; slow < 2; slow++) {
            struct kit kit;
            fan_begin(&kit, 0);
            struct fan_room room = FAN_ROOM(.room = 1);
            kit.context = &room;
            kit.hooks[KIT_MESSAGE] = ROWS[i].hook;
            uint8_t bytes[64];
            size_t size = kit_frame(bytes, 0x81, "1", 1);
            size += kit_frame(bytes + size, 0x81, "2", 1);
            size += kit_frame(bytes + size, 0x89, "p", 1);
            size += kit_frame(bytes + size, 0x81, "3", 1);
            if (slow != 0) {
                kit_room(&kit, 5);
            }
            kit_input(&kit, bytes, size);
            fan_unblock(&kit);
            EXPECT_FRAMES(&kit, ROWS[i].frames, "in the order of the calls");
            fan_end(&kit, &room);
        }
    }
}

static int reply_then_publish_to_nobody(struct kit *kit, struct gyr_conn *conn,
                                        const struct kit_event *event)
{
    EXPECT(gyr_reply(conn, event->opcode, event->bytes) >= 0, "replied");
    EXPECT_INT(FAN(kit, kit->context, "room"), ENGINE_GONE, "its peer is gone");
    return 0;
}

/* The peer is found to be gone when what the callback has sent goes out. */
void fanout_notices_in_a_callback_that_the_peer_is_gone(void)
{
    struct kit kit;
    fan_begin(&kit, 0);
    struct fan_room room = FAN_ROOM(.room = 1);
    struct fan_track track = fan_track();
    kit.context = &room;
    kit.hooks[KIT_MESSAGE] = reply_then_publish_to_nobody;
    room.track = &track.track;
    kit_send_fail(&kit, -EPIPE);
    KIT_FRAME(&kit, 0x81, "1");
    EXPECT_INT(kit.counts[KIT_CLOSE], 1, "closed");
    EXPECT(fan_track_is(&track, 0, 0, 0, 0), "never queued");
    fan_end(&kit, &room);
}

static int close_in_message(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    struct fan_room *room = kit->context;
    kit->result = FAN(kit, room, "too large for its room");
    EXPECT_INT(gyr_send(conn, GYR_TEXT, GYR_SPAN("more")), GYR_ERR_CLOSED, "it was closed");
    EXPECT_INT(gyr_reply(conn, event->opcode, event->bytes), GYR_ERR_CLOSED, "it was closed");
    EXPECT_INT(FAN(kit, room, ""), ENGINE_GONE, "it was closed");
    return 0;
}

void fanout_may_close_the_connection_whose_callback_publishes(void)
{
    struct kit kit;
    fan_begin(&kit, 0);
    struct fan_room room = FAN_ROOM(.room = 1, .policy = GYR_ROOM_CLOSE, .queue_size_max = 10);
    kit.context = &room;
    kit.hooks[KIT_MESSAGE] = close_in_message;
    uint8_t bytes[64];
    size_t size = kit_frame(bytes, 0x81, "1", 1);
    size += kit_frame(bytes + size, 0x81, "2", 1);
    size += kit_frame(bytes + size, 0x88, "\x03\xf5", 2);
    kit_input(&kit, bytes, size);
    EXPECT_INT(kit.result, ENGINE_CLOSED, "too slow");
    EXPECT_INT(kit.counts[KIT_MESSAGE], 1, "no message after the Close");
    EXPECT_INT(kit.counts[KIT_CLOSE], 1, "closed");
    EXPECT_FRAMES(&kit, "close:1013", "the Close");
    fan_end(&kit, &room);
}
