/* SPDX-License-Identifier: MIT */
/* How many calls of gyr_presence may be on their way, with two cores and real sockets. */
#include "hub/attendance.h"

#include "gyr/gyr.h"
#include "tests/crowd_kit.h"
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <limits.h>
#include <stdio.h>

static const struct gyr_room_rule RULE = {
    .size = sizeof(RULE),
    .pattern = GYR_LITERAL("room*"),
    .presence = true,
};

struct listed {
    sem_t done;
    unsigned core;
    unsigned count; /* calls */
    int err;
    char ids[64]; /* in no order: each of one letter */
};

static bool begin(struct crowd *crowd)
{
    if (!crowd_init(crowd)) {
        return false;
    }
    crowd->service.room_rules = &RULE;
    crowd->service.room_rule_count = 1;
    crowd_start(crowd);
    return true;
}

static void on_listed(struct gyr_core *core, void *arg, struct gyr_presence *presence)
{
    struct listed *listed = arg;
    listed->core = gyr_core_index(core);
    listed->count++;
    listed->err = gyr_presence_error(presence);
    memset(listed->ids, 0, sizeof(listed->ids));
    for (size_t i = 0; i < gyr_presence_count(presence); i++) {
        struct gyr_span id = gyr_presence_at(presence, i);
        EXPECT_INT(id.size, 1, "a letter");
        EXPECT(strchr(listed->ids, id.ptr[0]) == NULL, "each once");
        listed->ids[i] = id.ptr[0];
    }
    gyr_presence_free(presence);
    (void)sem_post(&listed->done);
}

/* Are they these, in any order? */
static bool are(struct crowd *crowd, const char *room, unsigned core, const char *ids)
{
    struct listed listed = {0};
    struct gyr_span name = {room, strlen(room)};
    (void)sem_init(&listed.done, 0, 0);
    int err = gyr_presence(crowd->server, name, core, on_listed, &listed);
    EXPECT_INT(err, 0, "asked");
    if (err < 0) {
        return false;
    }
    kit_wait(&listed.done);
    EXPECT_INT(listed.core, core, "on the core that was named");
    return listed.err == 0 && strlen(listed.ids) == strlen(ids) &&
           strspn(listed.ids, ids) == strlen(ids);
}

struct flood {
    struct crowd *crowd;
    struct listed listed;
    unsigned accepted;
    int err; /* of the first that was refused */
};

static void flood_on(struct gyr_core *core, void *arg)
{
    struct flood *flood = arg;
    (void)core;
    while (flood->err == 0 && flood->accepted <= 2 * ROLL_CALLS_MAX) {
        flood->err =
            gyr_presence(flood->crowd->server, GYR_SPAN("room"), 1, on_listed, &flood->listed);
        flood->accepted += flood->err == 0;
    }
}

void attendance_has_only_so_many_lists_on_their_way(void)
{
    struct crowd crowd;
    if (!begin(&crowd)) {
        return;
    }
    for (unsigned i = 0; i < 3; i++) {
        struct flood flood = {.crowd = &crowd};
        (void)sem_init(&flood.listed.done, 0, 0);
        crowd_run_core(&crowd, 1, flood_on, &flood); /* which cannot take any meanwhile */
        EXPECT_INT(flood.err, GYR_ERR_BACKPRESSURE, "too many");
        EXPECT_INT(flood.accepted, ROLL_CALLS_MAX, "so many");
        for (unsigned k = 0; k < flood.accepted; k++) {
            kit_wait(&flood.listed.done);
        }
        EXPECT_INT(flood.listed.count, flood.accepted, "each was answered");
        EXPECT(are(&crowd, "room", 0, ""), "another core has its own");
    }
    crowd_end(&crowd);
}
