/* SPDX-License-Identifier: MIT */
/* The broadcast ring, step by step on one thread: positions, who gets what, who is waited for, who
 * is told, laps. What several threads do to each other is in test_broadcast_ring_order.c. */
#include "engine/broadcast_ring.h"

#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#define CORES_MAX 1024
#define TAG_LAPS  65536u /* after so many the tag of a lap comes round */

/* Three cores, one lane of four entries, unless a test wants something else. */
struct kit {
    struct broadcast_config config;
    struct broadcast_ring *ring;
    struct broadcast_interest interest;
    unsigned held_by;
    unsigned wake_count[CORES_MAX];
    unsigned woken_by[CORES_MAX];
};

static void kit_wake(void *context, unsigned core, unsigned from)
{
    struct kit *kit = context;
    kit->wake_count[core]++;
    kit->woken_by[core] = from;
}

static void kit_init(struct kit *kit)
{
    *kit = (struct kit){
        .config = {.core_count = 3, .lane_count = 1, .entry_count = 4, .wake = kit_wake},
    };
    kit->config.context = kit;
}

static void kit_start(struct kit *kit)
{
    kit->ring = broadcast_ring_create(&kit->config);
    CU_ASSERT_FATAL(kit->ring != NULL);
}

static void kit_begin(struct kit *kit)
{
    kit_init(kit);
    kit_start(kit);
}

static void kit_end(struct kit *kit)
{
    broadcast_ring_destroy(kit->ring);
}

static uint64_t kit_join(struct kit *kit, unsigned core)
{
    return broadcast_join(kit->ring, 0, &kit->interest, core);
}

static void kit_leave(struct kit *kit, unsigned core)
{
    broadcast_leave(kit->ring, &kit->interest, core);
}

static int kit_claim(struct kit *kit, unsigned from, struct broadcast_claim *claim)
{
    kit->held_by = 4711;
    return broadcast_claim(kit->ring, 0, from, &kit->interest, claim, &kit->held_by);
}

static void kit_commit(struct kit *kit, const struct broadcast_claim *claim, uint64_t tag)
{
    broadcast_commit(kit->ring, claim, (struct broadcast_entry){.item = kit, .tag = tag});
}

static int kit_publish(struct kit *kit, unsigned from, uint64_t tag)
{
    struct broadcast_claim claim;
    int err = kit_claim(kit, from, &claim);
    if (err == 0) {
        kit_commit(kit, &claim, tag);
    }
    return err;
}

/* The tags that the core takes, one decimal digit each, up to `count_max`; then how it ended: '.'
 * for nothing more, '?' for a hole, '+' if there is more. */
static const char *kit_take(struct kit *kit, unsigned core, unsigned count_max, char text[32])
{
    char *end = text;
    struct broadcast_entry entry;
    uint64_t position;
    for (unsigned i = 0; i < MIN(count_max, 30u); i++) {
        enum broadcast_take found = broadcast_take(kit->ring, 0, core, &entry, &position);
        if (found != BROADCAST_ENTRY) {
            memcpy(end, found == BROADCAST_HOLE ? "?" : ".", 2);
            return text;
        }
        EXPECT(entry.item == kit, "the item comes with its tag");
        EXPECT_INT(broadcast_cursor(kit->ring, 0, core), position + 1, "the cursor is behind it");
        *end++ = (char)('0' + entry.tag % 10);
    }
    memcpy(end, "+", 2);
    return text;
}

static void expect_taken(struct kit *kit, unsigned core, unsigned count_max, const char *expected)
{
    char text[32];
    kit_take(kit, core, count_max, text);
    if (strcmp(text, expected) != 0) {
        printf("    core %u took %s, not %s\n", core, text, expected);
    }
    EXPECT(strcmp(text, expected) == 0, expected);
}

/* Take all, done. */
static void expect_drained(struct kit *kit, unsigned core, const char *expected)
{
    expect_taken(kit, core, 30, expected);
    broadcast_done(kit->ring, 0, core);
}

static void expect_refused(struct kit *kit, unsigned from, unsigned held_by, const char *why)
{
    struct broadcast_claim claim;
    uint64_t tail = broadcast_tail(kit->ring, 0);
    EXPECT_INT(kit_claim(kit, from, &claim), GYR_ERR_BACKPRESSURE, why);
    EXPECT_INT(kit->held_by, held_by, why);
    EXPECT_INT(broadcast_tail(kit->ring, 0), tail, "nothing was claimed");
}

/* ---- order and interest ---- */

void broadcast_ring_is_empty_at_first(void)
{
    struct kit kit;
    kit_begin(&kit);
    for (unsigned core = 0; core < 3; core++) {
        expect_drained(&kit, core, ".");
        EXPECT_INT(broadcast_cursor(kit.ring, 0, core), 0, "nothing was stepped over");
        EXPECT(!broadcast_has_news(broadcast_bell(kit.ring, core)), "no news");
        EXPECT_INT(broadcast_look(kit.ring, core), 0, "nothing in the bell");
    }
    EXPECT_INT(broadcast_tail(kit.ring, 0), 0, "nothing was claimed");
    EXPECT(broadcast_is_unwanted(kit.ring, &kit.interest), "nobody has joined");
    kit_end(&kit);
}

void broadcast_ring_gives_every_core_the_same_order(void)
{
    struct kit kit;
    kit_begin(&kit);
    for (unsigned core = 0; core < 3; core++) {
        EXPECT_INT(kit_join(&kit, core), 0, "before the first entry");
    }
    EXPECT_INT(kit_publish(&kit, 0, 1), 0, "by a core");
    EXPECT_INT(kit_publish(&kit, BROADCAST_NOBODY, 2), 0, "by another thread");
    EXPECT_INT(kit_publish(&kit, 2, 3), 0, "by another core");
    expect_drained(&kit, 0, "123.");
    expect_taken(&kit, 1, 1, "1+");
    EXPECT_INT(kit_publish(&kit, 0, 4), 0, "there is one place left");
    expect_drained(&kit, 2, "1234.");
    expect_drained(&kit, 1, "234.");
    expect_drained(&kit, 0, "4.");
    kit_end(&kit);
}

void broadcast_ring_orders_by_claims_and_not_by_commits(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit_join(&kit, 0);
    struct broadcast_claim claims[3];
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_INT(kit_claim(&kit, i, &claims[i]), 0, "claimed");
        EXPECT_INT(claims[i].position, i, "in the order of the calls");
        EXPECT_INT(claims[i].target_count, 1, "for one core");
    }
    kit_commit(&kit, &claims[2], 3);
    kit_commit(&kit, &claims[1], 2);
    expect_taken(&kit, 0, 30, "?");
    kit_commit(&kit, &claims[0], 1);
    expect_drained(&kit, 0, "123.");
    kit_end(&kit);
}

void broadcast_ring_join_is_exact(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit_join(&kit, 0);
    EXPECT_INT(kit_publish(&kit, 0, 1), 0, "before");
    struct broadcast_claim claim;
    EXPECT_INT(kit_claim(&kit, 0, &claim), 0, "its interest is read before the join");
    EXPECT_INT(kit_join(&kit, 1), 2, "behind both");
    kit_commit(&kit, &claim, 2);
    EXPECT_INT(kit_publish(&kit, 0, 3), 0, "after");
    EXPECT_INT(kit_join(&kit, 1), 3, "again: the tail of now");
    EXPECT_INT(kit_publish(&kit, 0, 4), 0, "once for who has joined twice");
    expect_drained(&kit, 1, "34.");
    expect_drained(&kit, 0, "1234.");
    expect_drained(&kit, 2, ".");
    kit_end(&kit);
}

void broadcast_ring_gives_nothing_claimed_after_a_leave(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit_join(&kit, 0);
    kit_join(&kit, 1);
    EXPECT_INT(kit_publish(&kit, 0, 1), 0, "for both");
    struct broadcast_claim claim;
    EXPECT_INT(kit_claim(&kit, 0, &claim), 0, "for both");
    kit_leave(&kit, 1);
    kit_leave(&kit, 1);
    kit_leave(&kit, 2);
    EXPECT_INT(kit_publish(&kit, 0, 3), 0, "for one");
    kit_commit(&kit, &claim, 2);
    expect_drained(&kit, 0, "123.");
    expect_drained(&kit, 1, "12.");
    kit_leave(&kit, 0);
    EXPECT(broadcast_is_unwanted(kit.ring, &kit.interest), "all have left");
    kit_end(&kit);
}

void broadcast_ring_takes_an_entry_back_before_its_commit(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit_join(&kit, 0);
    for (unsigned i = 0; i < 20; i++) {
        struct broadcast_claim claim;
        EXPECT_INT(kit_claim(&kit, 0, &claim), 0, "an entry for nobody is free at once");
        EXPECT_INT(claim.target_count, 1, "it was meant for one");
        claim.target_count = 0;
        kit_commit(&kit, &claim, 9);
    }
    EXPECT(!broadcast_has_news(broadcast_bell(kit.ring, 0)), "nobody is told");
    EXPECT_INT(kit_publish(&kit, 0, 1), 0, "the next one comes");
    expect_drained(&kit, 0, "1.");
    kit_end(&kit);
}

void broadcast_ring_keeps_lanes_apart(void)
{
    struct kit kit;
    kit_init(&kit);
    kit.config.lane_count = BROADCAST_LANES_MAX;
    kit_start(&kit);
    for (unsigned lane = 0; lane < BROADCAST_LANES_MAX; lane++) {
        EXPECT_INT(broadcast_join(kit.ring, lane, &kit.interest, 1), 0, "nothing was published");
        struct broadcast_claim claim;
        for (unsigned i = 0; i < 4; i++) {
            EXPECT_INT(broadcast_claim(kit.ring, lane, 0, &kit.interest, &claim, &kit.held_by), 0,
                       "each lane has its own room");
            broadcast_commit(kit.ring, &claim, (struct broadcast_entry){&kit, lane * 8 + i});
        }
        EXPECT_INT(broadcast_claim(kit.ring, lane, 0, &kit.interest, &claim, &kit.held_by),
                   GYR_ERR_BACKPRESSURE, "and no more than that");
    }
    EXPECT_INT(broadcast_look(kit.ring, 1), UINT32_MAX >> 1, "news in each");
    EXPECT_INT(kit.wake_count[1], 1, "one wake for all of them");
    for (unsigned lane = 0; lane < BROADCAST_LANES_MAX; lane++) {
        struct broadcast_entry entry;
        uint64_t position;
        for (unsigned i = 0; i < 4; i++) {
            EXPECT_INT(broadcast_take(kit.ring, lane, 1, &entry, &position), BROADCAST_ENTRY, "");
            EXPECT_INT(entry.tag, lane * 8 + i, "of this lane");
        }
        EXPECT_INT(broadcast_take(kit.ring, lane, 1, &entry, &position), BROADCAST_NONE, "all");
        broadcast_done(kit.ring, lane, 1);
    }
    kit_end(&kit);
}

/* ---- who is waited for ---- */

void broadcast_ring_does_not_wait_for_who_has_no_interest(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit_join(&kit, 0);
    for (unsigned i = 0; i < 1000; i++) {
        EXPECT_INT(kit_publish(&kit, 2, i), 0, "cores 1 and 2 never look");
        expect_drained(&kit, 0, (const char[]){(char)('0' + i % 10), '.', 0});
    }
    EXPECT_INT(kit.wake_count[1] + kit.wake_count[2], 0, "nor are they woken");
    EXPECT_INT(kit_join(&kit, 1), 1000, "250 laps later");
    EXPECT_INT(kit_publish(&kit, 2, 7), 0, "for both");
    expect_taken(&kit, 1, 30, "7.");
    EXPECT_INT(broadcast_cursor(kit.ring, 0, 1), 1001, "all else is stepped over");
    expect_drained(&kit, 2, ".");
    EXPECT_INT(broadcast_cursor(kit.ring, 0, 2), 1001, "by who gets nothing, too");
    kit_end(&kit);
}

void broadcast_ring_steps_over_what_is_meant_for_others(void)
{
    struct kit kit;
    kit_begin(&kit);
    struct broadcast_interest other = {0};
    broadcast_join(kit.ring, 0, &other, 0);
    kit_join(&kit, 1);
    for (unsigned i = 0; i < 4; i++) {
        struct broadcast_claim claim;
        const struct broadcast_interest *interest = i % 2 == 0 ? &other : &kit.interest;
        EXPECT_INT(broadcast_claim(kit.ring, 0, 2, interest, &claim, &kit.held_by), 0, "room");
        kit_commit(&kit, &claim, i);
    }
    expect_drained(&kit, 1, "13.");
    expect_refused(&kit, 2, 0, "the first entry is for core 0");
    expect_drained(&kit, 0, "02.");
    kit_end(&kit);
}

void broadcast_ring_is_full_until_every_target_is_done(void)
{
    struct kit kit;
    kit_begin(&kit);
    for (unsigned core = 0; core < 3; core++) {
        kit_join(&kit, core);
    }
    for (unsigned i = 0; i < 4; i++) {
        EXPECT_INT(kit_publish(&kit, 0, i), 0, "as many as there are places");
    }
    expect_refused(&kit, 1, 0, "nobody has taken anything");
    expect_drained(&kit, 0, "0123.");
    expect_refused(&kit, 1, 1, "two have not");
    expect_drained(&kit, 2, "0123.");
    expect_refused(&kit, 1, 1, "one has not");
    expect_taken(&kit, 1, 2, "01+");
    expect_refused(&kit, 1, 1, "what was taken is not free before it is done with");
    broadcast_done(kit.ring, 0, 1);
    EXPECT_INT(kit_publish(&kit, 1, 4), 0, "free");
    EXPECT_INT(kit_publish(&kit, 1, 5), 0, "free");
    expect_refused(&kit, BROADCAST_NOBODY, 1, "the third has not been taken");
    expect_drained(&kit, 1, "2345.");
    expect_drained(&kit, 0, "45.");
    expect_drained(&kit, 2, "45.");
    kit_end(&kit);
}

void broadcast_ring_keeps_an_entry_for_who_has_left_meanwhile(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit_join(&kit, 0);
    EXPECT_INT(kit_publish(&kit, 1, 1), 0, "for core 0");
    kit_leave(&kit, 0);
    for (unsigned i = 2; i < 5; i++) {
        EXPECT_INT(kit_publish(&kit, 1, i), 0, "for nobody");
    }
    expect_refused(&kit, 1, 0, "core 0 still owns the first");
    expect_drained(&kit, 0, "1.");
    for (unsigned i = 0; i < 9; i++) {
        EXPECT_INT(kit_publish(&kit, 1, 1), 0, "and nothing else");
    }
    kit_end(&kit);
}

void broadcast_ring_works_with_two_entries(void)
{
    struct kit kit;
    kit_init(&kit);
    kit.config.entry_count = 2;
    kit.config.core_count = 1;
    kit_start(&kit);
    kit_join(&kit, 0);
    for (unsigned i = 0; i < 9; i++) {
        EXPECT_INT(kit_publish(&kit, 0, 1), 0, "first");
        EXPECT_INT(kit_publish(&kit, 0, 2), 0, "second");
        expect_refused(&kit, 0, 0, "third");
        expect_drained(&kit, 0, "12.");
    }
    kit_end(&kit);
}

/* ---- bells ---- */

void broadcast_ring_rings_once_for_a_batch_and_only_its_targets(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit_join(&kit, 1);
    for (unsigned i = 0; i < 4; i++) {
        EXPECT_INT(kit_publish(&kit, 2, i), 0, "published");
    }
    EXPECT_INT(kit.wake_count[1], 1, "one wake for four entries");
    EXPECT_INT(kit.woken_by[1], 2, "by the publisher");
    EXPECT_INT(kit.wake_count[0] + kit.wake_count[2], 0, "nobody else");
    EXPECT(broadcast_has_news(broadcast_bell(kit.ring, 1)), "there are news");
    EXPECT_INT(broadcast_look(kit.ring, 1), 1, "in lane 0");
    EXPECT(!broadcast_has_news(broadcast_bell(kit.ring, 1)), "looked at");
    expect_drained(&kit, 1, "0123.");
    EXPECT_INT(kit_publish(&kit, BROADCAST_NOBODY, 4), 0, "the next batch");
    EXPECT_INT(kit.wake_count[1], 2, "rings again");
    EXPECT_INT(kit.woken_by[1], BROADCAST_NOBODY, "by a thread that is no core");
    EXPECT_INT(kit_publish(&kit, 1, 5), 0, "by the core itself");
    EXPECT_INT(kit.wake_count[1], 2, "which has not looked yet");
    kit_end(&kit);
}

static void kit_publish_later(struct kit *kit, unsigned from, uint64_t tag)
{
    struct broadcast_claim claim;
    EXPECT_INT(kit_claim(kit, from, &claim), 0, "claimed");
    broadcast_commit_later(kit->ring, &claim, (struct broadcast_entry){.item = kit, .tag = tag});
}

void broadcast_ring_owes_its_bells_until_they_are_rung_together(void)
{
    struct kit kit;
    kit_init(&kit);
    kit.config.entry_count = 16;
    kit_start(&kit);
    kit_join(&kit, 1);
    broadcast_ring_owed(kit.ring, 2);
    EXPECT_INT(kit.wake_count[1], 0, "nothing is owed");
    for (unsigned i = 0; i < 3; i++) {
        kit_publish_later(&kit, 2, i);
    }
    EXPECT_INT(kit.wake_count[1], 0, "not rung yet");
    EXPECT(!broadcast_has_news(broadcast_bell(kit.ring, 1)), "not at all");
    broadcast_ring_owed(kit.ring, 2);
    EXPECT_INT(kit.wake_count[1], 1, "once for three");
    EXPECT_INT(kit.wake_count[0] + kit.wake_count[2], 0, "nobody else");
    EXPECT_INT(broadcast_look(kit.ring, 1), 1, "in lane 0");
    expect_drained(&kit, 1, "012.");
    broadcast_ring_owed(kit.ring, 2);
    EXPECT_INT(kit.wake_count[1], 1, "it was rung already");
    for (unsigned i = 0; i < 4; i++) {
        EXPECT_INT(kit.wake_count[1], 1, "still owed");
        kit_publish_later(&kit, 2, i);
    }
    EXPECT_INT(kit.wake_count[1], 2, "a quarter of the lane is rung at once");
    EXPECT_INT(broadcast_look(kit.ring, 1), 1, "in lane 0");
    expect_drained(&kit, 1, "0123.");
    kit_leave(&kit, 1);
    kit_publish_later(&kit, 2, 9);
    broadcast_ring_owed(kit.ring, 2);
    EXPECT_INT(kit.wake_count[1], 2, "nobody wanted it");
    kit_end(&kit);
}

void broadcast_ring_rings_for_what_comes_after_the_look(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit_join(&kit, 0);
    EXPECT_INT(kit_publish(&kit, 1, 1), 0, "published");
    EXPECT_INT(broadcast_look(kit.ring, 0), 1, "looked, not yet taken");
    EXPECT_INT(kit_publish(&kit, 1, 2), 0, "meanwhile");
    expect_drained(&kit, 0, "12.");
    EXPECT_INT(broadcast_look(kit.ring, 0), 1, "rung although it was taken already");
    expect_drained(&kit, 0, ".");
    kit_end(&kit);
}

void broadcast_ring_tells_who_was_refused_when_there_is_room(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit_join(&kit, 0);
    for (unsigned i = 0; i < 4; i++) {
        EXPECT_INT(kit_publish(&kit, 1, i), 0, "published");
    }
    expect_refused(&kit, 1, 0, "full");
    expect_refused(&kit, 2, 0, "for all");
    expect_refused(&kit, BROADCAST_NOBODY, 0, "threads that are no cores: core 0 is told");
    EXPECT_INT(broadcast_look(kit.ring, 1), 0, "not yet");
    expect_taken(&kit, 0, 1, "0+");
    EXPECT_INT(broadcast_look(kit.ring, 1), 0, "not when it is taken");
    broadcast_done(kit.ring, 0, 0);
    EXPECT_INT(broadcast_look(kit.ring, 1), BROADCAST_ROOM_BIT, "when it is done with");
    EXPECT_INT(broadcast_look(kit.ring, 2), BROADCAST_ROOM_BIT, "all who were refused");
    EXPECT_INT(kit.wake_count[1] + kit.wake_count[2], 2, "and are woken");
    EXPECT_INT(kit_publish(&kit, 1, 4), 0, "who comes first has the place");
    expect_refused(&kit, 2, 0, "and the other waits on");
    expect_taken(&kit, 0, 1, "1+");
    broadcast_done(kit.ring, 0, 0);
    EXPECT_INT(broadcast_look(kit.ring, 1), 0, "told once");
    EXPECT_INT(broadcast_look(kit.ring, 2), BROADCAST_ROOM_BIT, "told again");
    broadcast_done(kit.ring, 0, 0);
    EXPECT_INT(broadcast_look(kit.ring, 2), 0, "nothing new was done");
    kit_end(&kit);
}

void broadcast_ring_tells_a_core_that_was_refused_by_itself(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit_join(&kit, 0);
    for (unsigned i = 0; i < 4; i++) {
        EXPECT_INT(kit_publish(&kit, 0, i), 0, "published");
    }
    EXPECT_INT(broadcast_look(kit.ring, 0), 1, "its own news");
    expect_taken(&kit, 0, 2, "01+");
    expect_refused(&kit, 0, 0, "it stands in its own way");
    broadcast_done(kit.ring, 0, 0);
    EXPECT_INT(broadcast_look(kit.ring, 0), BROADCAST_ROOM_BIT, "it does not any more");
    kit_end(&kit);
}

/* ---- between claim and commit ---- */

void broadcast_ring_rings_who_stands_before_a_hole_not_meant_for_it(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit_join(&kit, 0);
    struct broadcast_claim claim;
    EXPECT_INT(kit_claim(&kit, 2, &claim), 0, "for core 0");
    kit_join(&kit, 1);
    EXPECT_INT(kit_publish(&kit, 2, 2), 0, "for both");
    EXPECT_INT(broadcast_look(kit.ring, 1), 1, "there are news");
    expect_drained(&kit, 1, "?");
    EXPECT_INT(broadcast_look(kit.ring, 1), 0, "it need not look again");
    kit_commit(&kit, &claim, 1);
    EXPECT_INT(broadcast_look(kit.ring, 1), 1, "until it is told");
    EXPECT_INT(kit.wake_count[1], 2, "and woken");
    expect_drained(&kit, 1, "2.");
    expect_drained(&kit, 0, "12.");
    EXPECT_INT(kit_publish(&kit, 2, 3), 0, "the next one");
    EXPECT_INT(kit.wake_count[1], 3, "rings once");
    kit_end(&kit);
}

void broadcast_ring_rings_who_stands_before_a_hole_that_becomes_nothing(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit_join(&kit, 0);
    struct broadcast_claim claims[2];
    EXPECT_INT(kit_claim(&kit, 2, &claims[0]), 0, "claimed");
    EXPECT_INT(kit_claim(&kit, 2, &claims[1]), 0, "claimed");
    EXPECT_INT(kit_publish(&kit, 2, 3), 0, "behind them");
    expect_taken(&kit, 0, 30, "?");
    EXPECT_INT(broadcast_look(kit.ring, 0), 1, "of the third");
    claims[0].target_count = 0;
    kit_commit(&kit, &claims[0], 1);
    EXPECT_INT(broadcast_look(kit.ring, 0), 1, "one hole is gone");
    expect_taken(&kit, 0, 30, "?");
    claims[1].target_count = 0;
    kit_commit(&kit, &claims[1], 2);
    EXPECT_INT(broadcast_look(kit.ring, 0), 1, "the other, too");
    expect_drained(&kit, 0, "3.");
    kit_end(&kit);
}

void broadcast_ring_does_not_overtake_an_entry_of_the_lap_before(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit_join(&kit, 0);
    struct broadcast_claim claim;
    EXPECT_INT(kit_claim(&kit, 1, &claim), 0, "not committed for a long time");
    for (unsigned i = 1; i < 4; i++) {
        EXPECT_INT(kit_publish(&kit, 2, i), 0, "behind it");
    }
    expect_refused(&kit, 2, BROADCAST_NOBODY, "its place is not free, and no core's fault");
    expect_taken(&kit, 0, 30, "?");
    kit_commit(&kit, &claim, 0);
    EXPECT_INT(broadcast_look(kit.ring, 2) & BROADCAST_ROOM_BIT, BROADCAST_ROOM_BIT, "told");
    expect_refused(&kit, 2, 0, "now it is core 0 that has not taken it");
    expect_drained(&kit, 0, "0123.");
    EXPECT_INT(broadcast_look(kit.ring, 2), BROADCAST_ROOM_BIT, "told again");
    EXPECT_INT(kit_publish(&kit, 2, 4), 0, "and there is room");
    kit_end(&kit);
}

void broadcast_ring_tells_of_room_when_an_entry_is_for_nobody(void)
{
    struct kit kit;
    kit_begin(&kit);
    struct broadcast_claim claim;
    EXPECT_INT(kit_claim(&kit, 1, &claim), 0, "nobody has joined");
    EXPECT_INT(claim.target_count, 0, "so it is for nobody");
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_INT(kit_publish(&kit, 1, i), 0, "the same");
    }
    expect_refused(&kit, 2, BROADCAST_NOBODY, "the first is not committed");
    EXPECT_INT(broadcast_look(kit.ring, 2), 0, "nobody tells yet");
    kit_commit(&kit, &claim, 0);
    EXPECT_INT(broadcast_look(kit.ring, 2), BROADCAST_ROOM_BIT,
               "no core will ever be done with it");
    EXPECT_INT(kit_publish(&kit, 2, 4), 0, "and there is room");
    kit_end(&kit);
}

/* ---- bypass ---- */

static bool kit_may_bypass(struct kit *kit, unsigned core)
{
    return broadcast_may_bypass(kit->ring, 0, &kit->interest, core);
}

void broadcast_ring_is_bypassed_only_when_drained_and_alone(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit_join(&kit, 0);
    EXPECT(kit_may_bypass(&kit, 0), "alone, nothing published");
    EXPECT(!kit_may_bypass(&kit, 1), "it is not core 1 that has the interest");
    kit_join(&kit, 1);
    EXPECT(!kit_may_bypass(&kit, 0), "another core has joined");
    EXPECT_INT(kit_publish(&kit, 0, 1), 0, "so it goes through the ring");
    kit_leave(&kit, 1);
    EXPECT(!kit_may_bypass(&kit, 0), "its own message is still in the lane");
    expect_taken(&kit, 0, 1, "1+");
    EXPECT(kit_may_bypass(&kit, 0), "taken, though not yet done with");
    broadcast_done(kit.ring, 0, 0);
    EXPECT(kit_may_bypass(&kit, 0), "drained");
    struct broadcast_claim claim;
    EXPECT_INT(kit_claim(&kit, 2, &claim), 0, "somebody else publishes");
    EXPECT(!kit_may_bypass(&kit, 0), "and is first");
    kit_commit(&kit, &claim, 2);
    EXPECT(!kit_may_bypass(&kit, 0), "as before");
    expect_drained(&kit, 0, "2.");
    EXPECT(kit_may_bypass(&kit, 0), "drained");
    kit_end(&kit);
}

void broadcast_ring_is_bypassed_over_entries_for_others(void)
{
    struct kit kit;
    kit_begin(&kit);
    struct broadcast_interest other = {0};
    broadcast_join(kit.ring, 0, &other, 1);
    kit_join(&kit, 0);
    struct broadcast_claim claim;
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_INT(broadcast_claim(kit.ring, 0, 1, &other, &claim, &kit.held_by), 0, "for core 1");
        kit_commit(&kit, &claim, i);
    }
    EXPECT(kit_may_bypass(&kit, 0), "none of it is for core 0");
    EXPECT_INT(broadcast_cursor(kit.ring, 0, 0), 3, "it has stepped over all");
    EXPECT_INT(broadcast_claim(kit.ring, 0, 1, &other, &claim, &kit.held_by), 0, "for core 1");
    EXPECT(!kit_may_bypass(&kit, 0), "whom it is for, one sees when it is committed");
    kit_commit(&kit, &claim, 3);
    EXPECT(kit_may_bypass(&kit, 0), "not for core 0");
    expect_drained(&kit, 1, "0123.");
    kit_end(&kit);
}

/* ---- many cores ---- */

static void expect_each_core_served(unsigned core_count)
{
    struct kit kit;
    kit_init(&kit);
    kit.config.core_count = core_count;
    kit_start(&kit);
    for (unsigned core = 0; core < core_count; core++) {
        EXPECT(core == 0 || broadcast_is_unwanted(kit.ring, &kit.interest), "all have left");
        kit_join(&kit, core);
        EXPECT(!broadcast_is_unwanted(kit.ring, &kit.interest), "a bit of its own");
        EXPECT(kit_may_bypass(&kit, core), "alone");
        struct broadcast_claim claim;
        EXPECT_INT(kit_claim(&kit, BROADCAST_NOBODY, &claim), 0, "claimed");
        EXPECT_INT(claim.target_count, 1, "for this core alone");
        kit_commit(&kit, &claim, core);
        EXPECT_INT(broadcast_look(kit.ring, core), 1, "it is told");
        expect_drained(&kit, core, (const char[]){(char)('0' + core % 10), '.', 0});
        kit_leave(&kit, core);
    }
    for (unsigned core = 0; core < core_count; core++) {
        EXPECT_INT(kit.wake_count[core], 1, "no other was told");
        expect_drained(&kit, core, ".");
        kit_join(&kit, core);
    }
    for (unsigned i = 0; i < 4; i++) {
        EXPECT_INT(kit_publish(&kit, 0, i), 0, "for all");
    }
    for (unsigned core = 0; core < core_count; core++) {
        expect_refused(&kit, core_count - 1 - core, core, "this one has not taken it");
        EXPECT(core_count == 1 || !kit_may_bypass(&kit, core), "not alone");
        expect_drained(&kit, core, "0123.");
    }
    for (unsigned core = 0; core < core_count; core++) {
        EXPECT(broadcast_look(kit.ring, core) & BROADCAST_ROOM_BIT, "each was refused once");
    }
    EXPECT_INT(kit_publish(&kit, core_count - 1, 4), 0, "all have taken it");
    kit_end(&kit);
}

void broadcast_ring_serves_every_core_of_every_word(void)
{
    static const unsigned counts[] = {1, 2, 47, 48, 49, 96, 97, 1024};
    for (unsigned i = 0; i < COUNT_OF(counts); i++) {
        expect_each_core_served(counts[i]);
    }
}

/* A core of the first word may be done with an entry before the second word says that it has been
 * published: who was refused in between hears of it from nobody but the committer. */
struct words {
    struct kit kit;
    unsigned commit_count;
};

static void words_point(void *context, enum broadcast_point point)
{
    struct words *words = context;
    if (point != BROADCAST_AT_COMMIT || ++words->commit_count != 2) {
        return;
    }
    expect_drained(&words->kit, 0, "1?");
    expect_refused(&words->kit, 2, BROADCAST_NOBODY, "half published");
}

void broadcast_ring_tells_of_room_when_a_word_comes_late(void)
{
    struct words words = {0};
    struct kit *kit = &words.kit;
    kit_init(kit);
    kit->config.core_count = 60;
    kit->config.point = words_point;
    kit_start(kit);
    kit_join(kit, 0);
    struct broadcast_claim claim;
    EXPECT_INT(kit_claim(kit, 1, &claim), 0, "for core 0");
    kit_leave(kit, 0);
    kit_join(kit, 50);
    struct broadcast_claim later[3];
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_INT(kit_claim(kit, 1, &later[i]), 0, "behind it");
    }
    words.commit_count = 0;
    kit_commit(kit, &claim, 1);
    EXPECT_INT(words.commit_count, 2, "two words");
    EXPECT_INT(broadcast_look(kit->ring, 2), BROADCAST_ROOM_BIT, "told after the second word");
    EXPECT_INT(kit_publish(kit, 2, 5), 0, "and there is room");
    kit_end(kit);
}

/* ---- laps ---- */

void broadcast_ring_goes_on_when_the_tags_of_laps_come_round(void)
{
    struct kit kit;
    kit_init(&kit);
    kit.config.entry_count = 2;
    kit_start(&kit);
    kit_join(&kit, 0);
    uint64_t bad = 0;
    for (uint64_t i = 0; i < 5 * TAG_LAPS; i++) {
        struct broadcast_entry entry = {0};
        uint64_t position;
        bad += kit_publish(&kit, 1, i) != 0;
        if (i % 2 == 1) {
            bad += kit_publish(&kit, 1, i) != GYR_ERR_BACKPRESSURE || kit.held_by != 0;
            for (uint64_t k = i - 1; k <= i; k++) {
                bad += broadcast_take(kit.ring, 0, 0, &entry, &position) != BROADCAST_ENTRY;
                bad += entry.tag != k || position != k;
            }
            bad += broadcast_take(kit.ring, 0, 0, &entry, &position) != BROADCAST_NONE;
            broadcast_done(kit.ring, 0, 0);
        }
    }
    EXPECT_INT(bad, 0, "each came once, in its order, at its position");
    kit_end(&kit);
}

void broadcast_ring_is_not_deceived_by_a_tag_that_has_come_round(void)
{
    /* How far behind core 1 is when an entry is published for it: tags around its own one, around
     * the farthest apart, and so on, at each place of the circle. */
    static const uint64_t laps[] = {1,     2,     32766, 32767,        32768,       32769,
                                    65534, 65535, 65536, TAG_LAPS + 1, TAG_LAPS * 2};
    for (unsigned i = 0; i < COUNT_OF(laps) * 2; i++) {
        struct kit kit;
        kit_init(&kit);
        kit.config.entry_count = 2;
        kit_start(&kit);
        kit_join(&kit, 0);
        uint64_t bad = 0;
        for (uint64_t k = 0; k < laps[i / 2] * 2 + i % 2; k++) {
            bad += kit_publish(&kit, 2, k) != 0;
            expect_drained(&kit, 0, (const char[]){(char)('0' + k % 10), '.', 0});
        }
        EXPECT_INT(bad, 0, "core 1 is not waited for");
        uint64_t joined = kit_join(&kit, 1);
        EXPECT(!kit_may_bypass(&kit, 1), "core 0 has it, too");
        EXPECT_INT(kit_publish(&kit, 2, 7), 0, "for both");
        struct broadcast_entry entry = {0};
        uint64_t position = 0;
        EXPECT_INT(broadcast_take(kit.ring, 0, 1, &entry, &position), BROADCAST_ENTRY, "comes");
        EXPECT_INT(position, joined, "at its position");
        EXPECT_INT(entry.tag, 7, "and no other");
        EXPECT_INT(broadcast_take(kit.ring, 0, 1, &entry, &position), BROADCAST_NONE, "once");
        kit_end(&kit);
    }
}

void broadcast_ring_finds_nothing_behind_a_tag_that_has_come_round(void)
{
    struct kit kit;
    kit_init(&kit);
    kit.config.entry_count = 2;
    kit_start(&kit);
    kit_join(&kit, 0);
    for (uint64_t i = 0; i < TAG_LAPS * 2 + 1; i++) {
        if (kit_publish(&kit, 2, i) != 0) {
            CU_FAIL("core 1 is not waited for");
        }
        expect_drained(&kit, 0, (const char[]){(char)('0' + i % 10), '.', 0});
    }
    expect_drained(&kit, 1, ".");
    EXPECT_INT(broadcast_cursor(kit.ring, 0, 1), TAG_LAPS * 2 + 1, "at the tail");
    kit_end(&kit);
}

/* ---- what another one does between two steps ---- */

/* At the `at`-th time that the ring comes to a point, `act` is called once. */
struct between {
    struct kit kit;
    enum broadcast_point point;
    unsigned at;
    void (*act)(struct between *between);
    struct broadcast_claim claim;
};

static void between_point(void *context, enum broadcast_point point)
{
    struct between *between = context;
    if (between->act != NULL && point == between->point && --between->at == 0) {
        void (*act)(struct between *) = between->act;
        between->act = NULL;
        act(between);
    }
}

static void between_begin(struct between *between)
{
    *between = (struct between){0};
    kit_init(&between->kit);
    between->kit.config.point = between_point;
    kit_start(&between->kit);
}

static void between_arm(struct between *between, enum broadcast_point point, unsigned at,
                        void (*act)(struct between *between))
{
    between->point = point;
    between->at = at;
    between->act = act;
}

static void between_end(struct between *between)
{
    EXPECT(between->act == NULL, "it came to this point");
    kit_end(&between->kit);
}

static void act_join_1(struct between *between)
{
    EXPECT_INT(kit_join(&between->kit, 1), 1, "behind what was claimed");
}

void broadcast_ring_may_give_more_than_a_join_asks_for_and_never_less(void)
{
    struct between between;
    between_begin(&between);
    between_arm(&between, BROADCAST_AT_INTEREST, 1, act_join_1);
    EXPECT_INT(kit_publish(&between.kit, 0, 1), 0, "claimed before the join, read after it");
    EXPECT_INT(kit_publish(&between.kit, 0, 2), 0, "claimed after the join");
    expect_drained(&between.kit, 1, "12.");
    between_end(&between);
}

static void act_publish_1(struct between *between)
{
    EXPECT_INT(kit_publish(&between->kit, 1, 1), 0, "the interest stands already");
}

void broadcast_ring_join_misses_nothing_that_comes_before_it_reads_the_tail(void)
{
    struct between between;
    between_begin(&between);
    between_arm(&between, BROADCAST_AT_JOIN, 1, act_publish_1);
    EXPECT_INT(kit_join(&between.kit, 1), 1, "behind it");
    EXPECT_INT(kit_publish(&between.kit, 0, 2), 0, "from there on");
    expect_drained(&between.kit, 1, "12.");
    between_end(&between);
}

static void act_drain_0(struct between *between)
{
    expect_drained(&between->kit, 0, "0123.");
}

void broadcast_ring_tries_again_after_it_has_noted_who_waits(void)
{
    struct between between;
    between_begin(&between);
    kit_join(&between.kit, 0);
    for (unsigned i = 0; i < 4; i++) {
        EXPECT_INT(kit_publish(&between.kit, 1, i), 0, "published");
    }
    between_arm(&between, BROADCAST_AT_WAITING, 1, act_drain_0);
    EXPECT_INT(kit_publish(&between.kit, 1, 4), 0, "room was made where nobody tells of it");
    between_end(&between);
}

static void act_commit(struct between *between)
{
    kit_commit(&between->kit, &between->claim, 1);
}

void broadcast_ring_looks_again_after_it_has_noted_a_hole(void)
{
    struct between between;
    between_begin(&between);
    kit_join(&between.kit, 0);
    EXPECT_INT(kit_claim(&between.kit, 1, &between.claim), 0, "a hole");
    between_arm(&between, BROADCAST_AT_STALL, 1, act_commit);
    expect_drained(&between.kit, 0, "1.");
    between_end(&between);
}

static void act_visit_1(struct between *between)
{
    struct kit *kit = &between->kit;
    kit_join(kit, 1);
    EXPECT_INT(kit_publish(kit, 2, 1), 0, "for both");
    expect_drained(kit, 1, "1.");
    kit_leave(kit, 1);
}

void broadcast_ring_is_not_bypassed_past_one_who_came_and_left_meanwhile(void)
{
    for (unsigned at = 1; at <= 2; at++) {
        struct between between;
        between_begin(&between);
        kit_join(&between.kit, 0);
        between_arm(&between, BROADCAST_AT_BYPASS, at, act_visit_1);
        EXPECT(!kit_may_bypass(&between.kit, 0),
               "core 1 was there when entry 1 came, and is ahead");
        expect_drained(&between.kit, 0, "1.");
        EXPECT(kit_may_bypass(&between.kit, 0), "now it is alone, and as far");
        between_end(&between);
    }
}

static void act_claim_all(struct between *between)
{
    for (unsigned i = 0; i < 5; i++) {
        EXPECT_INT(kit_publish(&between->kit, 2, i), 0, "for nobody");
    }
}

void broadcast_ring_claims_behind_those_who_were_faster(void)
{
    for (unsigned at = 1; at <= 2; at++) {
        struct between between;
        between_begin(&between);
        between_arm(&between, BROADCAST_AT_CLAIM, at, act_claim_all);
        EXPECT_INT(kit_claim(&between.kit, 1, &between.claim), 0, "claimed");
        EXPECT_INT(between.claim.position, 5, "a lap later than it first tried");
        kit_commit(&between.kit, &between.claim, 1);
        between_end(&between);
    }
}
