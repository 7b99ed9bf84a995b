/* SPDX-License-Identifier: MIT */
/* One message to many: what a delivery promises for a connection in every state, that runs are
 * shared, and the order of what is published with what the service sends. */
#include "engine/fanout.h"

#include "tests/engine_kit_ring.h"
#include "tests/fanout_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <errno.h>
#include <stdlib.h>

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
