/* SPDX-License-Identifier: MIT */
/* The queue of a connection with what others publish in it: the order with what the service sends,
 * what is held behind a message in parts, how quiet sends end, and those that are followed. */
#include "engine/transport.h"

#include "tests/engine_kit_ring.h"
#include "tests/fanout_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <errno.h>
#include <stdio.h>

static struct kit_socket *socket_of(struct kit *kit)
{
    return &kit->ring->sockets[kit->fd - FD_FIRST];
}

/* ---- order ---- */

void transport_queue_keeps_the_order_of_calls(void)
{
    for (size_t room_left = 0; room_left <= 40; room_left++) {
        struct kit kit;
        fan_begin(&kit, 0);
        kit_room(&kit, room_left);
        struct fan_room room = FAN_ROOM(.room = 1);
        struct fan_room other = FAN_ROOM(.room = 2, .policy = GYR_ROOM_CONFLATE);
        struct gyr_conn *conn = kit_conn(&kit);
        EXPECT_INT(FAN(&kit, &room, "1"), ENGINE_QUEUED, "room");
        EXPECT_INT(FAN(&kit, &room, "2"), ENGINE_QUEUED, "room");
        EXPECT_INT(gyr_send(conn, GYR_BINARY, GYR_SPAN("3")), 0, "service");
        EXPECT_INT(FAN(&kit, &other, "4"), ENGINE_QUEUED, "other");
        EXPECT_INT(gyr_ping(conn, GYR_SPAN("5")), 0, "ping");
        EXPECT_INT(FAN(&kit, &room, "6"), ENGINE_QUEUED, "room");
        kit_run(&kit);
        EXPECT_INT(FAN_RUN(&kit, &room, "7"), ENGINE_QUEUED, "room");
        EXPECT_INT(gyr_send(conn, GYR_TEXT, GYR_SPAN("8")), 0, "service");
        EXPECT_INT(FAN_RUN(&kit, &other, "9"), ENGINE_QUEUED, "other");
        fan_unblock(&kit);
        EXPECT(other.removed.conflated == 0 || room_left < 12, "unless it was sent");
        EXPECT_FRAMES(&kit,
                      other.removed.conflated != 0 ? "1 2 binary:3 ping:5 6 7 8 9"
                                                   : "1 2 binary:3 4 ping:5 6 7 8 9",
                      "in order");
        EXPECT_INT(gyr_queued_size(conn), 0, "empty");
        EXPECT_INT(kit_transport(&kit)->queue_memory, 0, "empty");
        engine_fanout_end(&other.fanout);
        fan_end(&kit, &room);
    }
}

void transport_queue_lets_controls_overtake_what_is_published(void)
{
    static const char LARGE[3000] = "L";
    struct kit kit;
    fan_begin(&kit, 0);
    fan_block(&kit);
    struct fan_room room = FAN_ROOM(.room = 1);
    struct fan_track track = fan_track();
    room.track = &track.track;
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_INT(fan_send(&kit, &room, LARGE, sizeof(LARGE)), ENGINE_QUEUED, "long");
    }
    EXPECT_INT(gyr_ping(kit_conn(&kit), GYR_SPAN("1")), 0, "ping");
    EXPECT_INT(gyr_ping(kit_conn(&kit), GYR_SPAN("2")), 0, "ping");
    EXPECT_INT(gyr_close(kit_conn(&kit), 1000, GYR_SPAN("")), 0, "does not overtake");
    fan_unblock(&kit);
    EXPECT_FRAMES(&kit, "x ping:1 ping:2 L*3000 L*3000 L*3000 close:1000", "in this order");
    EXPECT(fan_track_is(&track, 3, 0, 0, 0), "taken");
    fan_end(&kit, &room);
}

/* What is on its way can neither be dropped nor replaced: it is one run at most. */
void transport_queue_gives_the_kernel_a_stretch_at_a_time(void)
{
    static char bytes[1000];
    memset(bytes, 'p', sizeof(bytes));
    struct kit kit;
    fan_begin(&kit, 0);
    kit_room(&kit, 0);
    struct fan_room room = FAN_ROOM(.room = 1);
    for (unsigned i = 0; i < 500; i++) {
        EXPECT_INT(fan_send(&kit, &room, bytes, sizeof(bytes)), ENGINE_QUEUED, "queued");
    }
    kit_run(&kit);
    size_t size = 0;
    while (gyr_queued_size(kit_conn(&kit)) != 0) {
        EXPECT(socket_of(&kit)->sending && socket_of(&kit)->send_size <= 65536, "a stretch");
        kit_room(&kit, 1000);
        EXPECT(kit_output(&kit).size > size, "goes on");
        size = kit_output(&kit).size;
    }
    EXPECT_INT(size, 500 * 1004, "all of it");
    fan_end(&kit, &room);
}

/* ---- quiet sends ---- */

void transport_queue_quiet_send_may_be_short_anywhere(void)
{
    for (size_t taken = 0; taken <= 22; taken++) {
        struct kit kit;
        fan_begin(&kit, 0);
        kit_room(&kit, taken);
        struct fan_track track = fan_track();
        struct fan_room room = FAN_ROOM(.room = 1);
        EXPECT_INT(FAN(&kit, &room, "8 bytes1"), ENGINE_QUEUED, "queued");
        EXPECT_INT(FAN(&kit, &room, "8 bytes2"), ENGINE_QUEUED, "queued");
        room.track = &track.track;
        EXPECT_INT(FAN_RUN(&kit, &room, ""), ENGINE_QUEUED, "queued");
        EXPECT_INT(kit_output(&kit).size, taken, "what there was room for");
        EXPECT_INT(gyr_queued_size(kit_conn(&kit)), 22 - taken, "what is left");
        EXPECT(fan_track_is(&track, taken == 22, 0, 0, 0), "taken when all is");
        fan_unblock(&kit);
        EXPECT_FRAMES(&kit, "8 bytes1 8 bytes2 ", "every byte once");
        EXPECT(fan_track_is(&track, 1, 0, 0, 0), "taken once");
        EXPECT_INT(kit.core->layer_size, 0, "nothing is left");
        fan_end(&kit, &room);
    }
}

void transport_queue_quiet_send_that_fails_ends_the_connection(void)
{
    static const int ERRORS[] = {-ECONNRESET, -EPIPE, -ETIMEDOUT};
    for (size_t i = 0; i < COUNT_OF(ERRORS); i++) {
        struct kit kit;
        fan_begin(&kit, 0);
        struct fan_track track = fan_track();
        struct fan_room room = FAN_ROOM(.room = 1, .track = &track.track);
        kit_send_fail(&kit, ERRORS[i]);
        EXPECT_INT(FAN(&kit, &room, "a"), ENGINE_QUEUED, "queued");
        EXPECT_INT(FAN(&kit, &room, "b"), ENGINE_QUEUED, "queued");
        kit_run(&kit);
        EXPECT(kit_is_closed(&kit), "closed");
        EXPECT_LOG(&kit, "close 1006\n", "the service learns of it");
        EXPECT(fan_track_is(&track, 0, 0, 0, 2), "each of them");
        EXPECT_OUTPUT(&kit, "", "nothing was sent");
        fan_end(&kit, &room);
    }
}

static struct kit *cut_kit;
static int cut_fd;

/* In the turn in which the send goes out, behind it: from the work of another connection. */
static int cut_other(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)conn;
    (void)event;
    int fd = kit->fd;
    kit->fd = cut_fd;
    EXPECT((kit_transport(kit)->flags & TRANSPORT_F_TURN_SEND) != 0, "it is on its way");
    EXPECT_INT(kit_transport(kit)->turn_send, TURN_SEND_QUEUE, "quietly");
    struct fan_room *room = kit->context;
    EXPECT_INT(FAN(kit, room, "b"), ENGINE_QUEUED, "behind it");
    EXPECT_INT(fan_entries(kit), 2, "not part of it");
    transport_cut(kit_transport(kit), kit == cut_kit);
    EXPECT_INT(kit_transport(kit)->state, TRANSPORT_CLOSING, "waits for the send");
    EXPECT_INT(fan_entries(kit), 1, "whose memory is untouched (F1)");
    kit->fd = fd;
    return 0;
}

void transport_queue_slot_is_not_used_again_before_its_quiet_send_is_settled(void)
{
    for (unsigned i = 0; i < 8; i++) {
        struct kit kit;
        fan_begin(&kit, 0);
        cut_fd = kit.fd;
        cut_kit = (i & 1) != 0 ? &kit : NULL;
        kit_room(&kit, (i & 2) != 0 ? 1 : SIZE_MAX);
        if ((i & 4) != 0) {
            kit_send_fail(&kit, -ECONNRESET);
        }
        uint32_t generation = kit_transport(&kit)->generation;
        kit_open(&kit);
        struct fan_track track = fan_track();
        struct fan_room room = FAN_ROOM(.room = 1, .track = &track.track);
        kit.context = &room;
        kit.hooks[KIT_DRAIN] = cut_other;
        int fd = kit.fd;
        kit.fd = cut_fd;
        EXPECT_INT(FAN(&kit, &room, "a"), ENGINE_QUEUED, "queued");
        kit.fd = fd;
        engine_conn_owe_drain(kit_conn(&kit));
        kit_run(&kit);
        EXPECT_INT(kit.counts[KIT_DRAIN], 1, "it was cut");
        kit.fd = cut_fd;
        EXPECT(kit_transport(&kit) == NULL && kit_is_closed(&kit), "released behind its send");
        EXPECT(fan_track_is(&track, 0, 0, 0, 2), "each once");
        EXPECT_INT(kit.core->layer_size, 0, "nothing is left");
        kit_open(&kit);
        EXPECT_INT(kit_transport(&kit)->generation, generation + 1, "now the slot is used again");
        room.track = NULL;
        EXPECT_INT(FAN_RUN(&kit, &room, "c"), ENGINE_QUEUED, "queued");
        EXPECT_FRAMES(&kit, "c", "nothing of the earlier life");
        fan_end(&kit, &room);
    }
}

void transport_queue_quiet_send_tells_of_a_drain_that_is_owed(void)
{
    struct kit kit;
    fan_begin(&kit, 1000);
    struct fan_room room = FAN_ROOM(.room = 1);
    static const char BYTES[996] = "B";
    EXPECT_INT(fan_send(&kit, &room, BYTES, sizeof(BYTES)), ENGINE_QUEUED, "full to the byte");
    EXPECT_INT(gyr_send(kit_conn(&kit), GYR_TEXT, GYR_SPAN("")), GYR_ERR_BACKPRESSURE, "full");
    kit_run(&kit);
    EXPECT_INT(kit.counts[KIT_DRAIN], 1, "without being woken");
    EXPECT_FRAMES(&kit, "B*996", "sent");
    fan_end(&kit, &room);
}

void transport_queue_time_limit_begins_when_a_send_is_slow(void)
{
    struct kit kit;
    fan_begin(&kit, 0);
    struct fan_room room = FAN_ROOM(.room = 1);
    EXPECT_INT(FAN_RUN(&kit, &room, "fast"), ENGINE_QUEUED, "sent");
    kit_advance(&kit, 10ULL * kit.config.send_timeout_ms);
    EXPECT(!kit_is_closed(&kit), "nothing waits");
    kit_room(&kit, 3);
    EXPECT_INT(FAN_RUN(&kit, &room, "slow"), ENGINE_QUEUED, "sent in part");
    kit_advance(&kit, kit.config.send_timeout_ms - 1);
    EXPECT_INT(FAN_RUN(&kit, &room, "more"), ENGINE_QUEUED, "does not help");
    kit_room(&kit, 1);
    kit_advance(&kit, kit.config.send_timeout_ms - 1);
    EXPECT(!kit_is_closed(&kit), "a byte was taken");
    kit_advance(&kit, 2);
    EXPECT(kit_is_closed(&kit), "and then none");
    EXPECT_INT(kit.core->stats.timeouts, 1, "counted");
    fan_end(&kit, &room);
}

/* ---- held (RFC 6455 section 5.4) ---- */

void transport_queue_holds_what_is_published_behind_a_message_in_parts(void)
{
    for (size_t room_left = 0; room_left <= 24; room_left++) {
        struct kit kit;
        fan_begin(&kit, 0);
        kit_room(&kit, room_left == 24 ? SIZE_MAX : room_left);
        struct fan_track track = fan_track();
        struct fan_room room = FAN_ROOM(.room = 1);
        struct fan_room other = FAN_ROOM(.room = 2, .policy = GYR_ROOM_CONFLATE, .key = 1);
        struct gyr_conn *conn = kit_conn(&kit);
        EXPECT_INT(FAN(&kit, &room, "before"), ENGINE_QUEUED, "not held");
        EXPECT_INT(gyr_send_part(conn, GYR_TEXT, GYR_SPAN("1"), GYR_FIRST), 0, "begun");
        EXPECT_INT(FAN(&kit, &room, "a"), ENGINE_QUEUED, "held");
        EXPECT_INT(FAN(&kit, &other, "old"), ENGINE_QUEUED, "held");
        EXPECT_INT(gyr_ping(conn, GYR_SPAN("p")), 0, "may stand between parts");
        kit_run(&kit);
        room.track = &track.track;
        EXPECT_INT(FAN(&kit, &room, "b"), ENGINE_QUEUED, "held");
        room.track = NULL;
        EXPECT_INT(gyr_send_part(conn, GYR_TEXT, GYR_SPAN("2"), 0), 0, "goes on");
        EXPECT_INT(FAN(&kit, &other, "new"), ENGINE_QUEUED, "held");
        EXPECT_INT(other.removed.conflated, 1, "replaces what is held");
        kit_run(&kit);
        EXPECT(fan_track_is(&track, 0, 0, 0, 0), "held");
        EXPECT_INT(gyr_send_part(conn, GYR_TEXT, GYR_SPAN("3"), GYR_LAST), 0, "ended");
        EXPECT_INT(FAN(&kit, &room, "after"), ENGINE_QUEUED, "not held");
        EXPECT_INT(gyr_send(conn, GYR_TEXT, GYR_SPAN("own")), 0, "behind it");
        kit_run(&kit);
        fan_unblock(&kit);
        EXPECT_FRAMES(&kit, "before 1... ping:p +2... +3 a b new after own", "in this order");
        EXPECT(fan_track_is(&track, 1, 0, 0, 0), "taken");
        EXPECT_INT(kit.core->layer_size - kit.core->conflation.capacity * sizeof(void *), 0,
                   "nothing is left");
        engine_fanout_end(&other.fanout);
        fan_end(&kit, &room);
    }
}

void transport_queue_drops_what_is_held_when_the_connection_closes(void)
{
    for (unsigned way = 0; way < 5; way++) {
        struct kit kit;
        fan_begin(&kit, 0);
        struct fan_track track = fan_track();
        struct fan_room room = FAN_ROOM(.room = 1, .track = &track.track);
        struct gyr_conn *conn = kit_conn(&kit);
        EXPECT_INT(gyr_send_part(conn, GYR_TEXT, GYR_SPAN("1"), GYR_FIRST), 0, "begun");
        EXPECT_INT(FAN_RUN(&kit, &room, "a"), ENGINE_QUEUED, "held");
        static const char *const FRAMES[] = {"1... close:1000", "1... close:1000",
                                             "1... close:1002", "1...", "1..."};
        if (way == 0) {
            EXPECT_INT(gyr_close(conn, 1000, GYR_SPAN("")), 0, "closed by us");
            kit_run(&kit);
        } else if (way == 1) {
            KIT_FRAME(&kit, 0x88, "\x03\xe8");
        } else if (way == 2) {
            KIT_FRAME(&kit, 0xff, "");
        } else if (way == 3) {
            kit_reset(&kit);
        } else {
            gyr_abort(conn);
            kit_run(&kit);
        }
        EXPECT_FRAMES(&kit, FRAMES[way], "no message follows");
        EXPECT(fan_track_is(&track, 0, 0, 0, 1), "told");
        EXPECT_INT(kit.core->layer_size, 0, "nothing is left");
        fan_end(&kit, &room);
    }
}

void transport_queue_close_for_being_slow_counts_what_is_held(void)
{
    struct kit kit;
    fan_begin(&kit, 0);
    struct fan_track track = fan_track();
    struct fan_room room =
        FAN_ROOM(.room = 1, .policy = GYR_ROOM_CLOSE, .queue_size_max = 10, .track = &track.track);
    struct fan_room other = FAN_ROOM(.room = 2);
    EXPECT_INT(gyr_send_part(kit_conn(&kit), GYR_TEXT, GYR_SPAN("1"), GYR_FIRST), 0, "begun");
    kit_run(&kit);
    EXPECT_INT(FAN_RUN(&kit, &room, "a"), ENGINE_QUEUED, "3");
    EXPECT_INT(FAN_RUN(&kit, &other, "b"), ENGINE_QUEUED, "6");
    EXPECT_INT(FAN_RUN(&kit, &room, "123"), ENGINE_CLOSED, "11");
    EXPECT_INT(room.removed.closed, 1, "what was held of the room");
    EXPECT(fan_track_is(&track, 0, 0, 0, 1), "told");
    EXPECT_FRAMES(&kit, "1... close:1013", "no message within a message");
    engine_fanout_end(&other.fanout);
    fan_end(&kit, &room);
}

/* ---- tracks ---- */

void transport_queue_takes_back_what_is_still_whole(void)
{
    for (size_t taken = 0; taken <= 30; taken++) {
        struct kit kit;
        fan_begin(&kit, 0);
        kit_room(&kit, taken);
        struct fan_track track = fan_track();
        struct fan_room room = FAN_ROOM(.room = 1, .track = &track.track);
        for (unsigned i = 0; i < 3; i++) {
            EXPECT_INT(FAN(&kit, &room, "8 bytes."), ENGINE_QUEUED, "queued");
        }
        kit_run(&kit);
        unsigned before = track.taken;
        EXPECT_INT(before, taken / 10, "taken whole");
        engine_track_cancel((struct gyr_core *)kit.core, &track.track);
        unsigned on_way = before < 3;
        EXPECT(fan_track_is(&track, before, 3 - before - on_way, 0, 0), "the rest but one");
        engine_track_cancel((struct gyr_core *)kit.core, &track.track);
        EXPECT(fan_track_is(&track, before, 3 - before - on_way, 0, 0), "not twice");
        fan_unblock(&kit);
        EXPECT(fan_track_is(&track, before + on_way, 3 - before - on_way, 0, 0), "each once");
        EXPECT(track.track.first == NULL, "none waits");
        EXPECT_INT(kit_output(&kit).size, 10 * (before + on_way), "no frame is torn");
        fan_end(&kit, &room);
    }
}

void transport_queue_takes_back_before_anything_was_sent(void)
{
    struct kit kit;
    fan_begin(&kit, 0);
    struct fan_track track = fan_track();
    struct fan_track other = fan_track();
    struct fan_room room = FAN_ROOM(.room = 1, .track = &track.track);
    int fds[3];
    for (unsigned i = 0; i < 3; i++) {
        kit_open(&kit);
        fds[i] = kit.fd;
    }
    EXPECT_INT(fan_send_all(&kit, &room, "a", fds, 3), 3, "queued");
    room.track = &other.track;
    EXPECT_INT(fan_send_all(&kit, &room, "b", fds, 3), 3, "queued");
    room.track = NULL;
    EXPECT_INT(fan_send_all(&kit, &room, "c", fds, 3), 3, "queued");
    engine_track_cancel((struct gyr_core *)kit.core, &track.track);
    EXPECT(fan_track_is(&track, 0, 3, 0, 0), "all of them");
    kit_run(&kit);
    EXPECT(fan_track_is(&other, 3, 0, 0, 0), "others are not touched");
    for (unsigned i = 0; i < 3; i++) {
        kit.fd = fds[i];
        EXPECT_FRAMES(&kit, "b c", "nor are they changed");
    }
    fan_end(&kit, &room);
}

void transport_queue_takes_back_what_is_held(void)
{
    struct kit kit;
    fan_begin(&kit, 0);
    struct fan_track track = fan_track();
    struct fan_room room = FAN_ROOM(.room = 1, .track = &track.track);
    EXPECT_INT(gyr_send_part(kit_conn(&kit), GYR_TEXT, GYR_SPAN("1"), GYR_FIRST), 0, "begun");
    EXPECT_INT(FAN_RUN(&kit, &room, "a"), ENGINE_QUEUED, "held");
    engine_track_cancel((struct gyr_core *)kit.core, &track.track);
    EXPECT(fan_track_is(&track, 0, 1, 0, 0), "taken back");
    EXPECT_INT(gyr_send_part(kit_conn(&kit), GYR_TEXT, GYR_SPAN("2"), GYR_LAST), 0, "ended");
    kit_run(&kit);
    EXPECT_FRAMES(&kit, "1... +2", "without it");
    fan_end(&kit, &room);
}

void transport_queue_tells_tracks_of_connections_that_end(void)
{
    for (unsigned way = 0; way < 4; way++) {
        struct kit kit;
        fan_begin(&kit, 0);
        fan_block(&kit);
        struct fan_track track = fan_track();
        struct fan_room room = FAN_ROOM(.room = 1, .track = &track.track);
        uint64_t handle = gyr_conn_handle(kit_conn(&kit)).id;
        EXPECT_INT(FAN(&kit, &room, "a"), ENGINE_QUEUED, "queued");
        EXPECT_INT(FAN_RUN(&kit, &room, "b"), ENGINE_QUEUED, "queued");
        if (way == 0) {
            kit_reset(&kit);
        } else if (way == 1) {
            gyr_abort(kit_conn(&kit));
            kit_run(&kit);
        } else if (way == 2) {
            kit_advance(&kit, kit.config.send_timeout_ms + 1);
        } else {
            kit_end_of_stream(&kit);
        }
        EXPECT(fan_track_is(&track, 0, 0, 0, 2), "each once");
        EXPECT_INT(track.handle, handle, "who it was");
        fan_end(&kit, &room);
    }
}
