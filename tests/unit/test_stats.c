/* SPDX-License-Identifier: MIT */
/* Statistics: what each counter counts, as the engine counts it. */
#include "engine/stats.h"

#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

static struct gyr_stats stats_of(const struct kit *kit)
{
    struct gyr_stats stats = {0};
    stats_sum(&stats, &kit->core->stats);
    return stats;
}

void stats_sum_adds_every_counter(void)
{
    static struct stats one;
    struct gyr_stats sum = {0};
    size_t count = sizeof(sum) / sizeof(uint64_t);
    static_assert(sizeof(struct stats) == sizeof(struct gyr_stats), "the same counters");
    uint64_t value = 1;
#define COUNT(name, text) STATS_SET(&one, name, value++);
    GYR_STATS(COUNT)
#undef COUNT
    stats_sum(&sum, &one);
    stats_sum(&sum, &one);
    uint64_t values[sizeof(sum) / sizeof(uint64_t)];
    memcpy(values, &sum, sizeof(sum));
    for (size_t i = 0; i < count; i++) {
        EXPECT_INT(values[i], 2 * (i + 1), "each once");
    }
    STATS_ADD(&one, turns, 5);
    struct gyr_stats after = {0};
    stats_sum(&after, &one);
    EXPECT_INT(after.turns, sum.turns / 2 + 5, "added");
}

void stats_count_requests_and_messages(void)
{
    struct kit kit;
    kit_begin(&kit);
    KIT_INPUT(&kit, KIT_GET("/") KIT_GET("/"));
    KIT_INPUT(&kit, "bad\r\n\r\n");
    kit_open(&kit);
    KIT_FRAME(&kit, 0x81, "one");
    KIT_FRAME(&kit, 0x01, "tw");
    KIT_FRAME(&kit, 0x89, "no message");
    KIT_FRAME(&kit, 0x80, "o");
    EXPECT_INT(gyr_send(kit_conn(&kit), GYR_TEXT, GYR_SPAN("three")), 0, "sent");
    kit_run(&kit);
    struct gyr_stats stats = stats_of(&kit);
    EXPECT_INT(stats.accepted, 2, "accepted");
    EXPECT_INT(stats.connections, 2, "open, or lingering");
    EXPECT_INT(stats.websockets, 1, "open now");
    EXPECT_INT(stats.upgrades, 1, "became a WebSocket");
    EXPECT_INT(stats.requests, 3, "heads");
    EXPECT_INT(stats.http_errors, 1, "refused");
    EXPECT_INT(stats.messages_in, 2, "whole messages");
    EXPECT_INT(stats.messages_out, 3, "two echoes and a send");
    EXPECT(stats.bytes_in != 0 && stats.turns != 0, "and the rest");
    kit_reset(&kit);
    stats = stats_of(&kit);
    EXPECT_INT(stats.websockets, 0, "gone");
    EXPECT_INT(stats.connections, 1, "gone");
    kit_end(&kit);
}

void stats_count_every_byte_once(void)
{
    struct kit kit;
    kit_begin(&kit);
    static const char BYTES[] =
        KIT_GET("/") KIT_UPGRADE_WITH("") "\x81\x82\0\0\0\0hi\x82\x80\0\0\0\0";
    for (size_t step = 1; step < sizeof(BYTES); step = step * 2 + 1) {
        kit_connect(&kit);
        struct gyr_stats before = stats_of(&kit);
        kit_room(&kit, step);
        kit_input_steps(&kit, BYTES, sizeof(BYTES) - 1, step);
        kit_room(&kit, SIZE_MAX);
        struct gyr_stats after = stats_of(&kit);
        EXPECT_INT(after.bytes_in - before.bytes_in, sizeof(BYTES) - 1, "in");
        EXPECT_INT(after.bytes_out - before.bytes_out, kit_output(&kit).size, "out");
    }
    kit_end(&kit);
}
