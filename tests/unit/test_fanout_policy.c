/* SPDX-License-Identifier: MIT */
/* What becomes of a message whose member does not read fast enough: limits exact to the byte, and
 * what each policy takes and leaves. fan_block leaves 3 bytes of the service on their way. */
#include "engine/fanout.h"

#include "tests/fanout_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>

static const enum gyr_room_policy POLICIES[] = {
    GYR_ROOM_QUEUE, GYR_ROOM_DROP_NEWEST, GYR_ROOM_DROP_OLDEST, GYR_ROOM_CONFLATE, GYR_ROOM_CLOSE};

/* ---- limits ---- */

/* Messages of 10 bytes behind 3 that are on their way: with a limit of 33 three fit. */
void fanout_policy_limits_are_exact_to_the_byte(void)
{
    static const struct {
        uint32_t room_limit;
        uint32_t queue_limit;
        unsigned fit;
    } ROWS[] = {
        {32, 1000, 2}, {33, 1000, 3}, {34, 1000, 3}, {0, 32, 2},  {0, 33, 3},
        {0, 34, 3},    {33, 32, 2},   {1000, 33, 3}, {13, 33, 1}, {12, 33, 0},
    };
    for (size_t i = 0; i < COUNT_OF(ROWS) * COUNT_OF(POLICIES); i++) {
        unsigned row = (unsigned)(i / COUNT_OF(POLICIES));
        enum gyr_room_policy policy = POLICIES[i % COUNT_OF(POLICIES)];
        struct kit kit;
        fan_begin(&kit, ROWS[row].queue_limit);
        kit.config.send_queue_high = 1000;
        fan_block(&kit);
        struct fan_room room =
            FAN_ROOM(.room = 1, .policy = policy, .queue_size_max = ROWS[row].room_limit);
        for (unsigned n = 0; n < ROWS[row].fit; n++) {
            room.key = n;
            EXPECT_INT(FAN_RUN(&kit, &room, "8 bytes."), ENGINE_QUEUED, "fits");
        }
        EXPECT_INT(gyr_queued_size(kit_conn(&kit)), 3 + 10 * ROWS[row].fit, "bytes");
        room.key = 99;
        int expected = policy == GYR_ROOM_CLOSE                               ? ENGINE_CLOSED
                       : policy == GYR_ROOM_DROP_OLDEST && ROWS[row].fit != 0 ? ENGINE_QUEUED
                                                                              : ENGINE_DROPPED;
        EXPECT_INT(FAN_RUN(&kit, &room, "8 BYTES."), expected, "does not");
        if (expected == ENGINE_DROPPED) {
            EXPECT_INT(gyr_queued_size(kit_conn(&kit)), 3 + 10 * ROWS[row].fit, "nothing changed");
        }
        EXPECT(gyr_queued_size(kit_conn(&kit)) <= 3 + 10 * ROWS[row].fit + 20, "bounded");
        fan_end(&kit, &room);
    }
}

/* Entries of their own: what they take beside their few bytes is limited. */
void fanout_policy_limits_the_memory_of_tiny_entries(void)
{
    for (size_t i = 0; i < COUNT_OF(POLICIES); i++) {
        struct kit kit;
        fan_begin(&kit, 10000);
        fan_block(&kit);
        struct fan_track track = fan_track();
        struct fan_room room = FAN_ROOM(.room = 1, .policy = POLICIES[i], .track = &track.track);
        unsigned count = 0;
        int outcome = ENGINE_QUEUED;
        while (count < 5000 && outcome == ENGINE_QUEUED && room.removed.oldest == 0) {
            room.key = ++count;
            outcome = FAN(&kit, &room, "");
        }
        EXPECT(count > 50 && count < 500, "far fewer than 2 bytes each would let in");
        EXPECT(kit_transport(&kit)->heap_size < 40000, "little memory");
        EXPECT_INT(outcome,
                   POLICIES[i] == GYR_ROOM_CLOSE         ? ENGINE_CLOSED
                   : POLICIES[i] == GYR_ROOM_DROP_OLDEST ? ENGINE_QUEUED
                                                         : ENGINE_DROPPED,
                   "as its policy says");
        EXPECT(room.removed.oldest <= 2, "as few as need be");
        fan_end(&kit, &room);
        unsigned ended = track.taken + track.closed + track.dropped;
        EXPECT_INT(ended, outcome == ENGINE_QUEUED ? count : count - 1, "each of them once");
    }
}

/* All in one callback: nothing could be sent between. */
void fanout_policy_does_not_take_a_burst_for_a_peer_that_is_slow(void)
{
    static char bytes[1000];
    memset(bytes, 'b', sizeof(bytes));
    for (size_t i = 0; i < COUNT_OF(POLICIES); i++) {
        struct kit kit;
        fan_begin(&kit, 5000);
        struct fan_room room = FAN_ROOM(.room = 1, .policy = POLICIES[i]);
        for (room.key = 0; room.key < 100; room.key++) {
            EXPECT_INT(fan_send(&kit, &room, bytes, sizeof(bytes)), ENGINE_QUEUED, "fast");
        }
        EXPECT(kit_sends(&kit) < 40, "sent only when it had to be");
        kit_run(&kit);
        EXPECT_INT(kit_output(&kit).size, 100 * 1004, "everything");
        EXPECT_INT(room.removed.oldest + room.removed.conflated + room.removed.closed, 0, "is it");
        kit_forget(&kit);
        kit_room(&kit, 3500);
        unsigned sends = kit_sends(&kit);
        unsigned queued = 0;
        for (; room.key < 200; room.key++) {
            int outcome = fan_send(&kit, &room, bytes, sizeof(bytes));
            queued += outcome == ENGINE_QUEUED;
        }
        EXPECT(queued == (POLICIES[i] == GYR_ROOM_DROP_OLDEST ? 100 : 8), "3500 and 4532 bytes");
        EXPECT(kit_sends(&kit) - sends <= 4, "who is slow is not tried again and again");
        kit_room(&kit, SIZE_MAX);
        EXPECT_INT(kit_is_closed(&kit), 0, "and gets what it was given");
        fan_end(&kit, &room);
    }
}

void fanout_policy_limit_counts_what_others_have_queued(void)
{
    for (size_t i = 0; i < COUNT_OF(POLICIES); i++) {
        struct kit kit;
        fan_begin(&kit, 100);
        fan_block(&kit);
        static const char BYTES[90] = "S";
        struct gyr_span bytes = {BYTES, sizeof(BYTES)};
        EXPECT(gyr_send(kit_conn(&kit), GYR_TEXT, bytes) >= 0, "95");
        struct fan_room room = FAN_ROOM(.room = 1, .policy = POLICIES[i]);
        EXPECT_INT(FAN(&kit, &room, "abc"), ENGINE_QUEUED, "100");
        struct fan_room other = FAN_ROOM(.room = 2, .policy = POLICIES[i]);
        int expected = POLICIES[i] == GYR_ROOM_CLOSE ? ENGINE_CLOSED : ENGINE_DROPPED;
        EXPECT_INT(FAN(&kit, &other, "abc"), expected, "nothing of its own to drop");
        EXPECT_INT(other.removed.oldest + other.removed.conflated + other.removed.closed, 0,
                   "nothing was dropped");
        fan_unblock(&kit);
        EXPECT_FRAMES(&kit, expected == ENGINE_CLOSED ? "x S*90 abc close:1013" : "x S*90 abc",
                      "what others have queued goes out");
        engine_fanout_end(&other.fanout);
        fan_end(&kit, &room);
    }
}

void fanout_policy_refusals_owe_a_drain(void)
{
    struct kit kit;
    fan_begin(&kit, 100);
    fan_block(&kit);
    struct fan_room room =
        FAN_ROOM(.room = 1, .policy = GYR_ROOM_DROP_NEWEST, .queue_size_max = 13);
    EXPECT_INT(FAN_RUN(&kit, &room, "8 bytes."), ENGINE_QUEUED, "fits");
    EXPECT_INT(kit.counts[KIT_DRAIN], 0, "not yet");
    kit.config.send_queue_low = 5;
    EXPECT_INT(FAN_RUN(&kit, &room, "8 bytes."), ENGINE_DROPPED, "does not");
    EXPECT_INT(kit.core->stats.backpressure, 1, "counted");
    EXPECT_INT(kit.counts[KIT_DRAIN], 0, "not yet");
    kit_room(&kit, 7);
    EXPECT_INT(kit.counts[KIT_DRAIN], 0, "6 bytes are left");
    kit_room(&kit, 1);
    EXPECT_INT(kit.counts[KIT_DRAIN], 1, "low");
    fan_unblock(&kit);
    EXPECT_INT(kit.counts[KIT_DRAIN], 1, "once");
    EXPECT_FRAMES(&kit, "x 8 bytes.", "what fitted");
    fan_end(&kit, &room);
}

/* ---- drop oldest ---- */

void fanout_policy_drop_oldest_makes_just_enough_room(void)
{
    struct kit kit;
    fan_begin(&kit, 1000);
    kit.config.send_queue_low = 0;
    fan_block(&kit);
    struct fan_room room =
        FAN_ROOM(.room = 1, .policy = GYR_ROOM_DROP_OLDEST, .queue_size_max = 33);
    EXPECT_INT(FAN_RUN(&kit, &room, "8 bytes1"), ENGINE_QUEUED, "13");
    EXPECT_INT(FAN_RUN(&kit, &room, "8 bytes2"), ENGINE_QUEUED, "23");
    EXPECT_INT(FAN_RUN(&kit, &room, "8 bytes3"), ENGINE_QUEUED, "33");
    EXPECT_INT(fan_entries(&kit), 2, "one entry");
    EXPECT_INT(FAN_RUN(&kit, &room, ""), ENGINE_QUEUED, "2 more bytes");
    EXPECT_INT(room.removed.oldest, 1, "one had to go");
    EXPECT_INT(gyr_queued_size(kit_conn(&kit)), 25, "bytes");
    EXPECT_INT(FAN_RUN(&kit, &room, "123456"), ENGINE_QUEUED, "exactly full");
    EXPECT_INT(room.removed.oldest, 1, "none had to go");
    EXPECT_INT(FAN_RUN(&kit, &room, "123456789 123456789 12345678"), ENGINE_QUEUED, "30 bytes");
    EXPECT_INT(room.removed.oldest, 5, "all had to go");
    EXPECT_INT(FAN_RUN(&kit, &room, "123456789 123456789 123456789"), ENGINE_DROPPED,
               "31 never fit");
    EXPECT_INT(room.removed.oldest, 5, "so nothing was dropped for it");
    fan_unblock(&kit);
    EXPECT_FRAMES(&kit, "x 123456789 123456789 12345678", "what is left");
    EXPECT_INT(kit.counts[KIT_DRAIN], 1, "somebody wants to know");
    fan_end(&kit, &room);
}

void fanout_policy_drop_oldest_leaves_what_is_on_its_way(void)
{
    struct kit kit;
    fan_begin(&kit, 1000);
    struct fan_room room =
        FAN_ROOM(.room = 1, .policy = GYR_ROOM_DROP_OLDEST, .queue_size_max = 30);
    for (unsigned room_left = 0; room_left < 25; room_left++) {
        kit_room(&kit, room_left);
        EXPECT_INT(FAN(&kit, &room, "8 bytes1"), ENGINE_QUEUED, "10");
        EXPECT_INT(FAN_RUN(&kit, &room, "8 bytes2"), ENGINE_QUEUED, "20: on their way");
        size_t on_way = gyr_queued_size(kit_conn(&kit));
        EXPECT_INT(on_way, room_left < 20 ? 20 - room_left : 0, "a part of it was taken");
        bool idle = on_way == 0;
        EXPECT_INT(FAN(&kit, &room, "8 bytes3"), ENGINE_QUEUED, "30");
        uint64_t before = room.removed.oldest;
        EXPECT_INT(FAN(&kit, &room, "8 bytes4"), ENGINE_QUEUED, "instead of the third");
        bool dropped = room.removed.oldest != before;
        EXPECT_INT(dropped, on_way > 10, "if it has to go");
        fan_unblock(&kit);
        EXPECT_FRAMES(
            &kit, dropped ? "8 bytes1 8 bytes2 8 bytes4" : "8 bytes1 8 bytes2 8 bytes3 8 bytes4",
            idle ? "nothing waited" : "no frame is torn");
    }
    fan_end(&kit, &room);
}

void fanout_policy_drop_oldest_leaves_other_rooms_and_the_service(void)
{
    struct kit kit;
    fan_begin(&kit, 1000);
    fan_block(&kit);
    struct fan_room room =
        FAN_ROOM(.room = 1, .policy = GYR_ROOM_DROP_OLDEST, .queue_size_max = 43);
    struct fan_room other =
        FAN_ROOM(.room = 2, .policy = GYR_ROOM_DROP_OLDEST, .queue_size_max = 1000);
    EXPECT_INT(FAN(&kit, &other, "others 1"), ENGINE_QUEUED, "13");
    EXPECT_INT(FAN(&kit, &room, "8 bytes1"), ENGINE_QUEUED, "23");
    EXPECT_INT(gyr_send(kit_conn(&kit), GYR_TEXT, GYR_SPAN("service1")), 0, "33");
    EXPECT_INT(FAN(&kit, &room, "8 bytes2"), ENGINE_QUEUED, "43");
    EXPECT_INT(gyr_ping(kit_conn(&kit), GYR_SPAN("p")), 0, "46");
    EXPECT_INT(FAN(&kit, &room, "8 bytes3"), ENGINE_QUEUED, "two of its own for one");
    EXPECT_INT(room.removed.oldest, 2, "46 + 10 - 20 fits into 43");
    EXPECT_INT(FAN(&kit, &other, "others 2"), ENGINE_QUEUED, "its limit is another");
    EXPECT_INT(FAN(&kit, &room, "8 bytes4"), ENGINE_DROPPED, "others fill the queue");
    EXPECT_INT(room.removed.oldest, 2, "so nothing was dropped for it");
    fan_unblock(&kit);
    EXPECT_FRAMES(&kit, "x others 1 service1 ping:p 8 bytes3 others 2", "in order");
    engine_fanout_end(&other.fanout);
    fan_end(&kit, &room);
}

void fanout_policy_drop_oldest_counts_memory_before_it_drops(void)
{
    struct kit kit;
    fan_begin(&kit, 10000);
    fan_block(&kit);
    struct fan_room room =
        FAN_ROOM(.room = 1, .policy = GYR_ROOM_DROP_OLDEST, .queue_size_max = 2000);
    EXPECT_INT(FAN(&kit, &room, "a"), ENGINE_QUEUED, "fits");
    EXPECT_INT(FAN(&kit, &room, "b"), ENGINE_QUEUED, "fits");
    while (kit_transport(&kit)->queue_memory / 2 <= 4200) {
        EXPECT(gyr_send(kit_conn(&kit), GYR_TEXT, GYR_SPAN("")) >= 0, "of the service");
    }
    EXPECT(gyr_queued_size(kit_conn(&kit)) < 500, "few bytes");
    EXPECT_INT(FAN(&kit, &room, "c"), ENGINE_DROPPED, "dropping all would not be enough");
    EXPECT_INT(room.removed.oldest, 0, "so none is");
    fan_end(&kit, &room);
}

/* ---- conflate ---- */

void fanout_policy_conflate_keeps_the_newest_of_each_key(void)
{
    struct kit kit;
    fan_begin(&kit, 1000);
    fan_block(&kit);
    struct fan_room room = FAN_ROOM(.room = 1, .policy = GYR_ROOM_CONFLATE);
    static const struct {
        uint64_t key;
        const char *text;
    } ROWS[] = {{1, "a1"}, {2, "b1"}, {3, "c1"}, {1, "a2"}, {3, "c2"}, {3, "c3"}, {0, "d1"}};
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        room.key = ROWS[i].key;
        EXPECT_INT(fan_send_run(&kit, &room, ROWS[i].text, 2), ENGINE_QUEUED, "queued");
    }
    EXPECT_INT(room.removed.conflated, 3, "replaced");
    EXPECT_INT(kit.core->conflation.count, 4, "keys that wait");
    fan_unblock(&kit);
    EXPECT_FRAMES(&kit, "x b1 a2 c3 d1", "in the order in which they were published");
    EXPECT_INT(kit.core->conflation.count, 0, "none waits");
    room.key = 1;
    EXPECT_INT(FAN_RUN(&kit, &room, "a3"), ENGINE_QUEUED, "queued");
    EXPECT_FRAMES(&kit, "a3", "what is sent is not replaced");
    EXPECT_INT(room.removed.conflated, 3, "replaced");
    fan_end(&kit, &room);
}

void fanout_policy_conflate_tells_rooms_and_connections_apart(void)
{
    struct kit kit;
    fan_begin(&kit, 1000);
    fan_block(&kit);
    int first = kit.fd;
    kit_open(&kit);
    fan_block(&kit);
    struct fan_room rooms[2] = {FAN_ROOM(.room = 1, .policy = GYR_ROOM_CONFLATE, .key = 7),
                                FAN_ROOM(.room = 2, .policy = GYR_ROOM_CONFLATE, .key = 7)};
    for (unsigned i = 0; i < 8; i++) {
        if (i == 4) {
            kit.fd = first;
        }
        EXPECT_INT(FAN(&kit, &rooms[i % 2], "a"), ENGINE_QUEUED, "queued");
    }
    EXPECT_INT(kit.core->conflation.count, 4, "two rooms of two connections");
    EXPECT_INT(rooms[0].removed.conflated, 2, "one of each");
    EXPECT_INT(rooms[1].removed.conflated, 2, "one of each");
    EXPECT_INT(FAN(&kit, &rooms[0], "b"), ENGINE_QUEUED, "queued");
    fan_unblock(&kit);
    EXPECT_FRAMES(&kit, "x a b", "of the first room a, of the second b");
    engine_fanout_end(&rooms[1].fanout);
    fan_end(&kit, &rooms[0]);
}

void fanout_policy_conflate_follows_what_is_on_its_way(void)
{
    for (unsigned taken = 0; taken < 4; taken++) {
        struct kit kit;
        fan_begin(&kit, 1000);
        kit_room(&kit, taken);
        struct fan_room room = FAN_ROOM(.room = 1, .policy = GYR_ROOM_CONFLATE, .key = 7);
        EXPECT_INT(FAN_RUN(&kit, &room, "a1"), ENGINE_QUEUED, "on its way");
        EXPECT_INT(FAN_RUN(&kit, &room, "a2"), ENGINE_QUEUED, "follows it");
        EXPECT_INT(room.removed.conflated, 0, "replaces nothing");
        EXPECT_INT(FAN_RUN(&kit, &room, "a3"), ENGINE_QUEUED, "follows it instead");
        EXPECT_INT(room.removed.conflated, 1, "replaced");
        fan_unblock(&kit);
        EXPECT_FRAMES(&kit, "a1 a3", "no frame is torn");
        EXPECT_INT(kit.core->conflation.count, 0, "none waits");
        fan_end(&kit, &room);
    }
}

void fanout_policy_conflate_keeps_the_older_when_the_newer_does_not_fit(void)
{
    struct kit kit;
    fan_begin(&kit, 1000);
    fan_block(&kit);
    struct fan_room room =
        FAN_ROOM(.room = 1, .policy = GYR_ROOM_CONFLATE, .queue_size_max = 13, .key = 1);
    EXPECT_INT(FAN(&kit, &room, "old"), ENGINE_QUEUED, "8 bytes");
    EXPECT_INT(FAN(&kit, &room, "123456789"), ENGINE_DROPPED, "3 and 11");
    EXPECT_INT(room.removed.conflated, 0, "the older is there");
    EXPECT_INT(FAN(&kit, &room, "12345678"), ENGINE_QUEUED, "3 and 10");
    EXPECT_INT(room.removed.conflated, 1, "the older is replaced");
    room.key = 2;
    EXPECT_INT(FAN(&kit, &room, ""), ENGINE_DROPPED, "full");
    fan_unblock(&kit);
    EXPECT_FRAMES(&kit, "x 12345678", "the newest that fitted");
    fan_end(&kit, &room);
}

void fanout_policy_conflate_keeps_the_older_when_entries_take_too_much_memory(void)
{
    struct kit kit;
    fan_begin(&kit, 10000);
    fan_block(&kit);
    struct fan_room room =
        FAN_ROOM(.room = 1, .policy = GYR_ROOM_CONFLATE, .queue_size_max = 2000, .key = 1);
    EXPECT_INT(FAN(&kit, &room, "old"), ENGINE_QUEUED, "fits");
    while (kit_transport(&kit)->queue_memory / 2 <= 4200) {
        EXPECT(gyr_send(kit_conn(&kit), GYR_TEXT, GYR_SPAN("")) >= 0, "of the service");
    }
    EXPECT_INT(FAN(&kit, &room, "new"), ENGINE_DROPPED, "too much memory");
    EXPECT_INT(room.removed.conflated, 0, "the older is there");
    EXPECT_INT(kit.core->conflation.count, 1, "and found");
    fan_end(&kit, &room);
}

/* A message of one key does not keep the memory of those of all others. */
void fanout_policy_conflate_keeps_only_what_is_the_newest(void)
{
    struct kit kit;
    fan_begin(&kit, 0);
    fan_block(&kit);
    int fds[2] = {kit.fd};
    kit_open(&kit);
    fds[1] = kit.fd;
    struct fan_room room = FAN_ROOM(.room = 1, .policy = GYR_ROOM_CONFLATE);
    char text[101];
    memset(text, 'k', 100);
    text[100] = '\0';
    for (unsigned i = 0; i < 5000; i++) {
        room.key = i % 500 == 0 ? i : 1;
        EXPECT_INT(fan_send_all(&kit, &room, text, fds, 2), 2, "queued");
        kit_run(&kit);
    }
    EXPECT_INT(kit.core->conflation.count, 11, "keys that wait");
    EXPECT(kit.core->layer_size < 5000, "and little more than they take");
    fan_end(&kit, &room);
}

void fanout_policy_conflate_forgets_connections_that_end(void)
{
    for (unsigned end = 0; end < 3; end++) {
        struct kit kit;
        fan_begin(&kit, 1000);
        fan_block(&kit);
        struct fan_room room = FAN_ROOM(.room = 1, .policy = GYR_ROOM_CONFLATE);
        for (room.key = 0; room.key < 5; room.key++) {
            EXPECT_INT(FAN(&kit, &room, "a"), ENGINE_QUEUED, "queued");
        }
        if (end == 0) {
            kit_reset(&kit);
        } else if (end == 1) {
            gyr_abort(kit_conn(&kit));
            kit_run(&kit);
        } else {
            kit_advance(&kit, kit.config.send_timeout_ms + 10);
        }
        EXPECT(kit_transport(&kit) == NULL, "it is gone");
        EXPECT_INT(kit.core->conflation.count, 0, "and what waited for it");
        kit_open(&kit);
        room.key = 1;
        EXPECT_INT(FAN_RUN(&kit, &room, "b"), ENGINE_QUEUED, "its slot is used again");
        EXPECT_FRAMES(&kit, "b", "sent");
        fan_end(&kit, &room);
    }
}

/* ---- close ---- */

void fanout_policy_close_does_not_wait_behind_the_rooms_messages(void)
{
    struct kit kit;
    fan_begin(&kit, 1000);
    fan_block(&kit);
    struct fan_room room = FAN_ROOM(.room = 1, .policy = GYR_ROOM_CLOSE, .queue_size_max = 50);
    struct fan_room other = FAN_ROOM(.room = 2);
    EXPECT_INT(FAN_RUN(&kit, &room, "8 bytes1"), ENGINE_QUEUED, "13");
    EXPECT_INT(FAN_RUN(&kit, &other, "others"), ENGINE_QUEUED, "21");
    EXPECT_INT(FAN_RUN(&kit, &room, "8 bytes2"), ENGINE_QUEUED, "31");
    EXPECT_INT(FAN_RUN(&kit, &room, "8 bytes3"), ENGINE_QUEUED, "41");
    EXPECT_INT(FAN_RUN(&kit, &room, "8 bytes4"), ENGINE_CLOSED, "51");
    EXPECT_INT(room.removed.closed, 3, "were taken out");
    EXPECT_INT(FAN_RUN(&kit, &room, "8 bytes5"), ENGINE_GONE, "closing");
    EXPECT_INT(room.removed.closed, 3, "counted once");
    EXPECT_INT(kit.core->layer_size, 256 + sizeof(struct fanout_run), "one run, of the other");
    fan_unblock(&kit);
    EXPECT_FRAMES(&kit, "x others close:1013", "RFC 6455 section 7.4.1");
    KIT_FRAME(&kit, 0x88, "\x03\xf5");
    EXPECT(kit_is_ended(&kit), "closed");
    EXPECT_INT(kit.counts[KIT_CLOSE], 1, "the service learns of it");
    engine_fanout_end(&other.fanout);
    fan_end(&kit, &room);
}

void fanout_policy_close_completes_the_frame_that_is_on_its_way(void)
{
    for (unsigned taken = 0; taken < 10; taken++) {
        struct kit kit;
        fan_begin(&kit, 1000);
        kit_room(&kit, taken);
        struct fan_room room = FAN_ROOM(.room = 1, .policy = GYR_ROOM_CLOSE, .queue_size_max = 20);
        EXPECT_INT(FAN_RUN(&kit, &room, "8 bytes1"), ENGINE_QUEUED, "on its way");
        EXPECT_INT(FAN_RUN(&kit, &room, "8 bytes2"), ENGINE_QUEUED, "behind it");
        EXPECT_INT(FAN_RUN(&kit, &room, "and one more 8 bytes"), ENGINE_CLOSED, "too much");
        EXPECT_INT(room.removed.closed, 1, "the second");
        fan_unblock(&kit);
        EXPECT_FRAMES(&kit, "8 bytes1 close:1013", "no frame is torn");
        fan_end(&kit, &room);
    }
}

/* The 101 is queued, on_open has not run: as with gyr_close there. */
static int close_when_upgraded(struct kit *kit, struct gyr_conn *conn,
                               const struct kit_event *event)
{
    (void)event;
    EXPECT_INT(gyr_upgrade(conn, NULL), 0, "accepted");
    EXPECT_INT(FAN(kit, kit->context, "a"), ENGINE_QUEUED, "fits");
    EXPECT_INT(FAN(kit, kit->context, "longer than that"), ENGINE_CLOSED, "does not");
    EXPECT_INT(FAN(kit, kit->context, ""), ENGINE_GONE, "closed");
    EXPECT_INT(gyr_send(conn, GYR_TEXT, GYR_SPAN("s")), GYR_ERR_CLOSED, "closed");
    return 0;
}

void fanout_policy_close_sends_a_close_behind_the_101(void)
{
    static const char UPGRADE[] = KIT_UPGRADE_WITH("");
    struct kit kit;
    fan_begin(&kit, 1000);
    struct fan_room room = FAN_ROOM(.room = 1, .policy = GYR_ROOM_CLOSE, .queue_size_max = 10);
    kit.context = &room;
    kit.hooks[KIT_REQUEST] = close_when_upgraded;
    kit_connect(&kit);
    kit_input(&kit, UPGRADE, sizeof(UPGRADE) - 1);
    EXPECT_OUTPUT(&kit, KIT_101_WITH("") "\x88\x0a\x03\xf5too slow", "the 101, the Close");
    EXPECT_LOG(&kit, "request GET /ws\ndone upgraded\nopen\n", "it was open");
    KIT_FRAME(&kit, 0x88, "\x03\xf5");
    EXPECT_LOG(&kit, "close 1013\n", "and is closed");
    fan_end(&kit, &room);
}

/* ---- tracks and policies ---- */

void fanout_policy_tells_tracks_what_has_become_of_them(void)
{
    static const struct {
        enum gyr_room_policy policy;
        unsigned dropped;
        unsigned closed;
        const char *frames;
    } ROWS[] = {
        {GYR_ROOM_QUEUE, 0, 0, "x 8 bytes1 8 bytes2"},
        {GYR_ROOM_DROP_NEWEST, 0, 0, "x 8 bytes1 8 bytes2"},
        {GYR_ROOM_DROP_OLDEST, 1, 0, "x 8 bytes2 8 bytes3"},
        {GYR_ROOM_CONFLATE, 2, 0, "x 8 bytes3"},
        {GYR_ROOM_CLOSE, 0, 2, "x close:1013"},
    };
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct kit kit;
        fan_begin(&kit, 23);
        kit.config.send_queue_high = 1000;
        fan_block(&kit);
        struct fan_track track = fan_track();
        struct fan_room room = FAN_ROOM(.room = 1, .policy = ROWS[i].policy, .track = &track.track);
        EXPECT_INT(FAN(&kit, &room, "8 bytes1"), ENGINE_QUEUED, "queued");
        EXPECT_INT(FAN(&kit, &room, "8 bytes2"), ENGINE_QUEUED, "queued");
        int outcome = FAN(&kit, &room, "8 bytes3");
        EXPECT(fan_track_is(&track, 0, 0, ROWS[i].dropped, ROWS[i].closed), "at once");
        unsigned left = 2U + (outcome == ENGINE_QUEUED) - ROWS[i].dropped - ROWS[i].closed;
        fan_unblock(&kit);
        EXPECT(fan_track_is(&track, left, 0, ROWS[i].dropped, ROWS[i].closed), "each once");
        EXPECT_FRAMES(&kit, ROWS[i].frames, "what is left");
        EXPECT(track.track.first == NULL, "none waits");
        fan_end(&kit, &room);
    }
}
