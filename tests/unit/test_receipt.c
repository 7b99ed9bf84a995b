/* SPDX-License-Identifier: MIT */
/* What became of a message, for who asks: counts, errors with their handles, time limits, on one
 * core. */
#include "gyr/gyr.h"

#include "hub/publish.h"
#include "hub/receipt.h"
#include "tests/hub_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdlib.h>

#define MEMBERS 4

/* Members of room "a", of which some read nothing, and what `done` has said. */
struct asked {
    struct hub_kit hub;
    struct gyr_room_rule rule;
    struct gyr_conn *conns[MEMBERS];
    struct gyr_handle handles[MEMBERS];
    int fds[MEMBERS];
    struct gyr_publish publish;
    unsigned count;
    bool within; /* a publish has not returned yet */
    struct gyr_published last;
    struct gyr_publish_error errors[MEMBERS];
    struct gyr_span room;
    char payload[996]; /* frames of 1000 bytes */
};

static void on_done(struct gyr_core *core, void *arg, const struct gyr_published *published)
{
    struct asked *asked = arg;
    EXPECT(core == asked->hub.core->core, "on the core that was named");
    EXPECT(!asked->within, "not before the call has returned");
    EXPECT_INT(published->size, sizeof(*published), "its size");
    EXPECT(published->error_count <= MEMBERS, "no more than there are");
    asked->count++;
    asked->last = *published;
    for (size_t i = 0; i < published->error_count; i++) {
        asked->errors[i] = published->errors[i];
    }
}

static void asked_begin(struct asked *asked, enum gyr_room_policy policy, uint32_t queue_size_max)
{
    memset(asked, 0, sizeof(*asked));
    hub_kit_init(&asked->hub);
    asked->hub.kit.config.broadcast_size_max = 1U << 18;
    asked->rule = (struct gyr_room_rule){
        .size = sizeof(asked->rule),
        .pattern = GYR_LITERAL("*"),
        .policy = policy,
        .queue_size_max = queue_size_max,
    };
    asked->hub.kit.service.room_rules = &asked->rule;
    asked->hub.kit.service.room_rule_count = 1;
    hub_kit_start(&asked->hub);
    for (unsigned i = 0; i < MEMBERS; i++) {
        asked->conns[i] = hub_kit_open(&asked->hub);
        asked->fds[i] = asked->hub.kit.fd;
        asked->handles[i] = gyr_conn_handle(asked->conns[i]);
        EXPECT_INT(gyr_join(asked->conns[i], GYR_SPAN("a")), 0, "joined");
    }
    memset(asked->payload, 'p', sizeof(asked->payload));
    asked->room = GYR_SPAN("a");
    asked->publish = gyr_publish_default();
    asked->publish.rooms = &asked->room;
    asked->publish.room_count = 1;
    asked->publish.payload = (struct gyr_span){asked->payload, sizeof(asked->payload)};
    asked->publish.done = on_done;
    asked->publish.arg = asked;
    asked->publish.errors_max = MEMBERS;
}

static void block(struct asked *asked, unsigned member)
{
    asked->hub.kit.fd = asked->fds[member];
    fan_block(&asked->hub.kit);
}

static int ask(struct asked *asked)
{
    asked->within = true;
    int err = gyr_publish_with(asked->hub.core->core, &asked->publish);
    asked->within = false;
    kit_run(&asked->hub.kit);
    return err;
}

static bool told(const struct asked *asked, unsigned count, uint64_t queued, uint64_t dropped,
                 uint64_t closed, uint64_t timed_out)
{
    const struct gyr_published *last = &asked->last;
    return asked->count == count && last->err == 0 && last->queued == queued &&
           last->dropped == dropped && last->closed == closed && last->timed_out == timed_out;
}

static bool has_error(const struct asked *asked, unsigned member, int err)
{
    for (size_t i = 0; i < asked->last.error_count; i++) {
        if (asked->errors[i].handle.id == asked->handles[member].id) {
            return asked->errors[i].err == err;
        }
    }
    return false;
}

void scenario_98_one_that_fails_is_named_and_the_rest_receive(void)
{
    struct asked asked;
    asked_begin(&asked, GYR_ROOM_DROP_NEWEST, 500);
    block(&asked, 1);
    asked.publish.payload.size = 600;
    EXPECT_INT(ask(&asked), 0, "published");
    EXPECT(told(&asked, 1, 0, 4, 0, 0), "longer than any queue of the room may be");
    EXPECT_INT(asked.last.error_count, 4, "all are named");
    asked.publish.payload.size = 400;
    EXPECT_INT(ask(&asked), 0, "published");
    EXPECT(told(&asked, 2, 4, 0, 0, 0), "this has room");
    EXPECT_INT(asked.last.error_count, 0, "no error");
    EXPECT_INT(ask(&asked), 0, "published");
    EXPECT(told(&asked, 3, 3, 1, 0, 0), "one has it still in its queue");
    EXPECT(asked.last.error_count == 1 && has_error(&asked, 1, GYR_ERR_BACKPRESSURE), "this one");
    EXPECT(hub_kit_got(&asked.hub, asked.fds[0], "p*400 p*400"), "the rest have it");
    EXPECT_INT(asked.last.epoch + asked.last.offset, 0, "and no history");
    hub_kit_end(&asked.hub);
}

void scenario_98_several_that_fail_are_each_named(void)
{
    struct asked asked;
    asked_begin(&asked, GYR_ROOM_CLOSE, 1500);
    block(&asked, 0);
    block(&asked, 3);
    EXPECT_INT(gyr_close(asked.conns[2], 1000, GYR_SPAN("")), 0, "closing");
    EXPECT_INT(ask(&asked), 0, "published");
    EXPECT(told(&asked, 1, 3, 0, 1, 0), "three could");
    EXPECT(has_error(&asked, 2, GYR_ERR_CLOSED), "it was closing already");
    EXPECT_INT(ask(&asked), 0, "published");
    EXPECT(told(&asked, 2, 1, 0, 3, 0), "two were closed by it");
    EXPECT_INT(asked.last.error_count, 3, "all three are named");
    EXPECT(has_error(&asked, 0, GYR_ERR_CLOSED) && has_error(&asked, 3, GYR_ERR_CLOSED) &&
               has_error(&asked, 2, GYR_ERR_CLOSED),
           "with why");
    asked.publish.errors_max = 2;
    EXPECT_INT(ask(&asked), 0, "published");
    EXPECT(told(&asked, 3, 1, 0, 3, 0), "they are closing still");
    EXPECT_INT(asked.last.error_count, 2, "as many names as were asked for");
    asked.publish.errors_max = 0;
    EXPECT_INT(ask(&asked), 0, "published");
    EXPECT(told(&asked, 4, 1, 0, 3, 0) && asked.last.error_count == 0, "none");
    hub_kit_end(&asked.hub);
}

void receipt_comes_for_nobody_and_not_for_what_was_refused(void)
{
    struct asked asked;
    asked_begin(&asked, GYR_ROOM_QUEUE, 0);
    asked.room = GYR_SPAN("none");
    EXPECT_INT(ask(&asked), 0, "published");
    EXPECT(told(&asked, 1, 0, 0, 0, 0), "to nobody");
    asked.publish.opcode = (enum gyr_opcode)9;
    EXPECT_INT(ask(&asked), GYR_ERR_ARGUMENT, "refused");
    EXPECT_INT(asked.count, 1, "nothing to tell");
    asked.publish.opcode = GYR_TEXT;
    asked.publish.room_count = 0;
    EXPECT_INT(ask(&asked), 0, "published");
    EXPECT(told(&asked, 2, MEMBERS, 0, 0, 0), "to all");
    hub_kit_end(&asked.hub);
}

void scenario_99_a_stalled_member_is_timed_out_and_the_others_are_not_delayed(void)
{
    struct asked asked;
    asked_begin(&asked, GYR_ROOM_QUEUE, 0);
    block(&asked, 2);
    asked.publish.timeout_ms = 100;
    EXPECT_INT(ask(&asked), 0, "published");
    EXPECT(hub_kit_got(&asked.hub, asked.fds[0], "p*996"), "the others have it");
    kit_advance(&asked.hub.kit, 99);
    EXPECT_INT(asked.count, 0, "there is time");
    EXPECT_INT(gyr_queued_size(asked.conns[2]), 1003, "it waits");
    kit_advance(&asked.hub.kit, 1);
    EXPECT(told(&asked, 1, 3, 0, 0, 1), "its time is over");
    EXPECT(has_error(&asked, 2, GYR_ERR_TIMEOUT), "and it is named");
    EXPECT_INT(gyr_queued_size(asked.conns[2]), 3, "it was taken back");
    EXPECT_INT(gyr_take_dropped(asked.conns[2]), 1, "and it is told");
    EXPECT_INT(asked.hub.core->stats->room_dropped, 1, "and counted");
    asked.hub.kit.fd = asked.fds[2];
    fan_unblock(&asked.hub.kit);
    EXPECT(hub_kit_got(&asked.hub, asked.fds[2], "x"), "it never gets it");
    EXPECT_INT(asked.count, 1, "once");
    hub_kit_end(&asked.hub);
}

void scenario_99_a_member_that_takes_it_in_time_is_not_reported(void)
{
    struct asked asked;
    asked_begin(&asked, GYR_ROOM_QUEUE, 0);
    block(&asked, 2);
    asked.publish.timeout_ms = 100;
    EXPECT_INT(ask(&asked), 0, "published");
    kit_advance(&asked.hub.kit, 99);
    asked.hub.kit.fd = asked.fds[2];
    fan_unblock(&asked.hub.kit);
    kit_run(&asked.hub.kit);
    EXPECT(told(&asked, 1, 4, 0, 0, 0), "told at once, not when the time is over");
    EXPECT(hub_kit_got(&asked.hub, asked.fds[2], "x p*996"), "it has it");
    kit_advance(&asked.hub.kit, 1000);
    EXPECT_INT(asked.count, 1, "once");
    hub_kit_end(&asked.hub);
}

void scenario_99_a_time_limit_of_0_means_at_once(void)
{
    struct asked asked;
    asked_begin(&asked, GYR_ROOM_QUEUE, 0);
    block(&asked, 2);
    asked.publish.timeout_ms = 0;
    EXPECT_INT(ask(&asked), 0, "published");
    EXPECT(told(&asked, 1, 3, 0, 0, 1), "without any time going by");
    EXPECT(has_error(&asked, 2, GYR_ERR_TIMEOUT), "the one that did not take it");
    EXPECT(hub_kit_got(&asked.hub, asked.fds[0], "p*996"), "the others did");
    EXPECT_INT(gyr_queued_size(asked.conns[2]), 3, "nothing of it waits");
    EXPECT_INT(ask(&asked), 0, "again");
    EXPECT(told(&asked, 2, 3, 0, 0, 1), "the same");
    hub_kit_end(&asked.hub);
}

void receipt_with_a_time_limit_tells_of_members_that_end(void)
{
    struct asked asked;
    asked_begin(&asked, GYR_ROOM_QUEUE, 0);
    block(&asked, 1);
    block(&asked, 2);
    asked.publish.timeout_ms = 100;
    EXPECT_INT(ask(&asked), 0, "published");
    asked.hub.kit.fd = asked.fds[1];
    kit_reset(&asked.hub.kit);
    kit_run(&asked.hub.kit);
    EXPECT_INT(asked.count, 0, "one is left");
    kit_advance(&asked.hub.kit, 100);
    EXPECT(told(&asked, 1, 2, 0, 1, 1), "one has ended, one was too slow");
    EXPECT(has_error(&asked, 1, GYR_ERR_CLOSED) && has_error(&asked, 2, GYR_ERR_TIMEOUT),
           "each by its name");
    hub_kit_end(&asked.hub);
}

void receipt_of_a_message_dropped_for_a_newer_one_says_so(void)
{
    struct asked asked;
    asked_begin(&asked, GYR_ROOM_DROP_OLDEST, 1500);
    block(&asked, 0);
    asked.publish.timeout_ms = 1000;
    EXPECT_INT(ask(&asked), 0, "published");
    asked.publish.done = NULL;
    EXPECT_INT(ask(&asked), 0, "a newer one");
    EXPECT(told(&asked, 1, 3, 1, 0, 0), "it had to go");
    EXPECT(has_error(&asked, 0, GYR_ERR_BACKPRESSURE), "at this one");
    EXPECT_INT(gyr_take_dropped(asked.conns[0]), 1, "which is told, once");
    hub_kit_end(&asked.hub);
}

void receipt_of_what_the_kernel_has_begun_to_take_waits_for_it(void)
{
    static char large[100000];
    struct asked asked;
    asked_begin(&asked, GYR_ROOM_QUEUE, 0);
    memset(large, 'l', sizeof(large));
    asked.hub.kit.fd = asked.fds[1];
    kit_room(&asked.hub.kit, 50000);
    asked.publish.payload = (struct gyr_span){large, sizeof(large)};
    asked.publish.timeout_ms = 100;
    EXPECT_INT(ask(&asked), 0, "published");
    kit_advance(&asked.hub.kit, 200);
    EXPECT_INT(asked.count, 0, "half of it has gone, so the rest must");
    asked.hub.kit.fd = asked.fds[1];
    kit_room(&asked.hub.kit, SIZE_MAX);
    kit_run(&asked.hub.kit);
    EXPECT(told(&asked, 1, 4, 0, 0, 0), "taken in the end");
    EXPECT(hub_kit_got(&asked.hub, asked.fds[1], "l*100000"), "whole");
    hub_kit_end(&asked.hub);
}

void receipt_of_several_rooms_counts_each_member_once(void)
{
    static const struct gyr_span ROOMS[] = {GYR_LITERAL("b"), GYR_LITERAL("a")};
    struct asked asked;
    asked_begin(&asked, GYR_ROOM_QUEUE, 0);
    EXPECT(gyr_join(asked.conns[0], GYR_SPAN("b")) == 0 &&
               gyr_join(asked.conns[1], GYR_SPAN("b")) == 0,
           "joined");
    block(&asked, 0);
    block(&asked, 2);
    asked.publish.rooms = ROOMS;
    asked.publish.room_count = 2;
    asked.publish.timeout_ms = 10;
    EXPECT_INT(ask(&asked), 0, "published");
    kit_advance(&asked.hub.kit, 10);
    EXPECT(told(&asked, 1, 2, 0, 0, 2), "of both rooms");
    EXPECT(has_error(&asked, 0, GYR_ERR_TIMEOUT) && has_error(&asked, 2, GYR_ERR_TIMEOUT), "these");
    hub_kit_end(&asked.hub);
}

/* Through the ring, as from another thread. */
static int publish_outside(struct asked *asked, const struct gyr_span *rooms, size_t room_count,
                           void *receipt)
{
    const struct gyr_publication publication = {
        .size = sizeof(publication),
        .rooms = rooms,
        .room_count = room_count,
        .opcode = GYR_TEXT,
        .payload = asked->publish.payload,
        .rule = &asked->hub.hub->rules[0],
        .request = receipt,
    };
    return publish_local(asked->hub.hub, NULL, &publication);
}

void receipt_of_several_lanes_has_a_time_limit_in_each(void)
{
    static const struct gyr_span ROOMS[] = {GYR_LITERAL("a"), GYR_LITERAL("b")};
    static const uint32_t LIMITS[] = {0, 10};
    for (size_t i = 0; i < COUNT_OF(LIMITS); i++) {
        struct asked asked;
        asked_begin(&asked, GYR_ROOM_DROP_OLDEST, 1500);
        for (unsigned k = 1; k < MEMBERS; k++) {
            gyr_leave(asked.conns[k], GYR_SPAN("a"));
        }
        EXPECT_INT(gyr_join(asked.conns[3], GYR_SPAN("b")), 0, "joined");
        block(&asked, 0);
        block(&asked, 3);
        asked.publish.timeout_ms = LIMITS[i];
        struct receipt *receipt;
        EXPECT_INT(receipt_create(asked.hub.hub, NULL, &asked.publish, &receipt), 0, "a receipt");
        EXPECT_INT(publish_outside(&asked, ROOMS, 2, receipt), 0, "waits in both lanes");
        EXPECT_INT(publish_outside(&asked, ROOMS, 1, NULL), 0, "and a newer one in the first");
        kit_run(&asked.hub.kit); /* all of the first is done before the second is looked at */
        kit_advance(&asked.hub.kit, 10);
        EXPECT(told(&asked, 1, 0, 1, 0, 1), "one for the newer one, one was too slow");
        EXPECT(has_error(&asked, 0, GYR_ERR_BACKPRESSURE) && has_error(&asked, 3, GYR_ERR_TIMEOUT),
               "each by its name");
        hub_kit_end(&asked.hub);
    }
}

void receipts_that_wait_have_a_bound(void)
{
    struct asked asked;
    asked_begin(&asked, GYR_ROOM_QUEUE, 0);
    uint64_t max = asked.hub.hub->config->broadcast_size_max;
    block(&asked, 0);
    asked.publish.payload = GYR_SPAN("p");
    asked.publish.timeout_ms = 1000000;
    unsigned count = 0;
    int err;
    do {
        uint64_t size = asked.hub.hub->receipt_size;
        EXPECT(size <= max, "never more than may be");
        err = gyr_publish_with(asked.hub.core->core, &asked.publish);
        count += err == 0;
    } while (err == 0 && count < max / sizeof(struct receipt));
    EXPECT_INT(err, GYR_ERR_BACKPRESSURE, "too many");
    kit_run(&asked.hub.kit);
    EXPECT(asked.count == 0 && asked.hub.ready_count == 0, "one does not take any");
    asked.publish.done = NULL;
    EXPECT_INT(ask(&asked), 0, "without a receipt it goes on");
    asked.hub.kit.fd = asked.fds[0];
    fan_unblock(&asked.hub.kit);
    kit_run(&asked.hub.kit);
    EXPECT_INT(asked.count, count, "each was told");
    EXPECT(asked.hub.ready_count != 0, "and that there is room");
    EXPECT_INT(asked.hub.hub->receipt_size, 0, "nothing is left");
    hub_kit_end(&asked.hub);
}

static void publish_again(struct gyr_core *core, void *arg, const struct gyr_published *published)
{
    struct asked *asked = arg;
    on_done(core, arg, published);
    if (asked->count < 5) {
        asked->publish.done = publish_again;
        EXPECT_INT(gyr_publish_with(core, &asked->publish), 0, "from within");
    }
}

void receipt_may_lead_to_the_next_publish(void)
{
    struct asked asked;
    asked_begin(&asked, GYR_ROOM_QUEUE, 0);
    asked.publish.done = publish_again;
    EXPECT_INT(ask(&asked), 0, "published");
    kit_run(&asked.hub.kit);
    EXPECT_INT(asked.count, 5, "each was told");
    hub_kit_end(&asked.hub);
}

void receipt_comes_when_the_core_ends_before_the_time_is_over(void)
{
    static struct asked asked;
    asked_begin(&asked, GYR_ROOM_QUEUE, 0);
    block(&asked, 0);
    asked.publish.timeout_ms = 1000000;
    EXPECT_INT(ask(&asked), 0, "published");
    hub_kit_end(&asked.hub);
    EXPECT(told(&asked, 1, 3, 0, 1, 0), "it has ended");
}
