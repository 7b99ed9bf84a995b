/* SPDX-License-Identifier: MIT */
/* gyr_presence: who counts as present, from when to when, and what is refused. */
#include "hub/attendance.h"

#include "tests/crowd_kit.h"
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

static const struct gyr_room_rule rules[] = {
    {.size = sizeof(struct gyr_room_rule), .pattern = GYR_LITERAL("here*"), .presence = true},
};

struct answer {
    sem_t semaphore;
    unsigned core;
    char ids[256]; /* " ada bob" */
    int err;
};

static int text_order(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void answered(struct gyr_core *core, void *arg, struct gyr_presence *presence)
{
    struct answer *answer = arg;
    char sorted[8][32] = {{0}};
    size_t count = MIN(gyr_presence_count(presence), COUNT_OF(sorted));
    for (size_t i = 0; i < count; i++) {
        struct gyr_span id = gyr_presence_at(presence, i);
        (void)snprintf(sorted[i], sizeof(sorted[i]), "%.*s", (int)id.size, id.ptr);
    }
    qsort(sorted, count, sizeof(sorted[0]), text_order);
    for (size_t i = 0; i < count; i++) {
        strcat(answer->ids, " ");
        strcat(answer->ids, sorted[i]);
    }
    answer->err = gyr_presence_error(presence);
    answer->core = gyr_core_index(core);
    gyr_presence_free(presence);
    (void)sem_post(&answer->semaphore);
}

static bool present_are(struct crowd *crowd, const char *room, const char *expected)
{
    bool are = true;
    for (unsigned core = 0; core < CROWD_CORES; core++) {
        struct answer answer = {.core = UINT32_MAX};
        struct gyr_span name = {room, strlen(room)};
        (void)sem_init(&answer.semaphore, 0, 0);
        if (gyr_presence(crowd->server, name, core, answered, &answer) != 0) {
            return false;
        }
        kit_wait(&answer.semaphore);
        (void)sem_destroy(&answer.semaphore);
        are = are && answer.err == 0 && answer.core == core && strcmp(answer.ids, expected) == 0;
    }
    return are;
}

static void set_id(struct gyr_conn *conn, void *arg)
{
    EXPECT_INT(gyr_conn_set_id(conn, (struct gyr_span){arg, strlen(arg)}), 0, "its id");
}

static void leave(struct gyr_conn *conn, void *arg)
{
    gyr_leave(conn, (struct gyr_span){arg, strlen(arg)});
}

static void join(struct gyr_conn *conn, void *arg)
{
    EXPECT_INT(gyr_join(conn, (struct gyr_span){arg, strlen(arg)}), 0, "joined");
}

void attendance_knows_who_is_here_on_all_cores(void)
{
    struct crowd crowd;
    struct crowd_client clients[4];
    if (!crowd_init(&crowd)) {
        return;
    }
    crowd.service.room_rules = rules;
    crowd.service.room_rule_count = COUNT_OF(rules);
    crowd_start(&crowd);
    EXPECT(present_are(&crowd, "here", ""), "nobody yet");
    crowd_connect_on(&crowd, &clients[0], 0, "ada", "here");
    crowd_connect_on(&crowd, &clients[1], 1, "bob", "here");
    crowd_connect_on(&crowd, &clients[2], 1, "", "here");
    crowd_connect_on(&crowd, &clients[3], 0, "dan", "elsewhere");
    EXPECT(present_are(&crowd, "here", " ada bob"), "who has an id");
    char name[] = "cyd";
    char here[] = "here";
    char there[] = "here, too";
    EXPECT(crowd_run(&crowd, clients[2].handle, set_id, name), "run");
    EXPECT(present_are(&crowd, "here", " ada bob cyd"), "who gets one later");
    EXPECT(crowd_run(&crowd, clients[1].handle, join, there), "run");
    EXPECT(crowd_run(&crowd, clients[1].handle, join, there), "run");
    EXPECT(present_are(&crowd, "here, too", " bob"), "in each room");
    EXPECT(crowd_run(&crowd, clients[1].handle, leave, here), "run");
    EXPECT(present_are(&crowd, "here", " ada cyd"), "who has left is not");
    EXPECT(present_are(&crowd, "here, too", " bob"), "but is there");
    crowd_leave(&clients[0]);
    crowd_until_ended(&crowd, clients[0].handle);
    EXPECT(present_are(&crowd, "here", " cyd"), "nor who has ended");
    for (unsigned i = 1; i < 4; i++) {
        crowd_leave(&clients[i]);
        crowd_until_ended(&crowd, clients[i].handle);
    }
    EXPECT(present_are(&crowd, "here", ""), "nobody any more");
    crowd_end(&crowd);
}

void attendance_refuses_what_cannot_be(void)
{
    static const char name[GYR_ROOM_NAME_SIZE_MAX + 1] = "here";
    struct crowd crowd;
    struct answer answer = {0};
    if (!crowd_init(&crowd)) {
        return;
    }
    crowd.service.room_rules = rules;
    crowd.service.room_rule_count = COUNT_OF(rules);
    crowd_start(&crowd);
    const struct {
        const char *why;
        struct gyr_span room;
        unsigned core;
        int expected;
    } rows[] = {
        {"its rule does not ask for it", GYR_LITERAL("her"), 0, GYR_ERR_UNSUPPORTED},
        {"nor any for it", GYR_LITERAL(""), 0, GYR_ERR_UNSUPPORTED},
        {"no such core", GYR_LITERAL("here"), CROWD_CORES, GYR_ERR_ARGUMENT},
        {"no core at all", GYR_LITERAL("here"), UINT32_MAX, GYR_ERR_ARGUMENT},
        {"too long", {name, sizeof(name)}, 0, GYR_ERR_ARGUMENT},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        EXPECT_INT(gyr_presence(crowd.server, rows[i].room, rows[i].core, answered, &answer),
                   rows[i].expected, rows[i].why);
    }
    EXPECT_INT(gyr_presence(crowd.server, GYR_SPAN("here"), 0, NULL, NULL), GYR_ERR_ARGUMENT,
               "nobody to be told");
    crowd_end(&crowd);
    struct gyr_server *server = NULL;
    struct gyr_error error;
    EXPECT_INT(gyr_server_create(&crowd.config, &crowd.service, &server, &error), 0, "created");
    EXPECT_INT(gyr_presence(server, GYR_SPAN("here"), 0, answered, &answer), GYR_ERR_STATE,
               "before its cores are made");
    gyr_server_destroy(server);
}
