/* SPDX-License-Identifier: MIT */
/* Coming back to a room whose members and publishers are on several cores and other threads, over
 * real sockets: every member gets every message, once and in order, however often it goes away. */
#include "hub/recovery.h"

#include "tests/crowd_kit.h"
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#define MEMBERS  6
#define MESSAGES 8000 /* of each publisher */
#define ROUNDS   40   /* so often each member goes away */

static const struct gyr_room_rule rules[] = {
    {.size = sizeof(struct gyr_room_rule),
     .pattern = GYR_LITERAL("h"),
     .history_count = 2 * MESSAGES},
};

/* What a client knows, and hands to its connection. */
struct place {
    uint64_t epoch;
    uint64_t offset;
};

static void on_recovered(struct gyr_conn *conn, struct gyr_span room,
                         const struct gyr_recovery *recovery)
{
    char text[96];
    (void)room;
    int size = snprintf(text, sizeof(text), "recovered %d %d %" PRIu64 " %" PRIu64,
                        recovery->recovered, recovery->err, recovery->epoch, recovery->offset);
    EXPECT_INT(gyr_send(conn, GYR_TEXT, (struct gyr_span){text, (size_t)size}), 0, "told");
}

static void join(struct gyr_conn *conn, void *arg)
{
    const struct place *place = arg;
    EXPECT_INT(gyr_join_since(conn, GYR_SPAN("h"), place->epoch, place->offset), 0, "joined");
}

static void leave(struct gyr_conn *conn, void *arg)
{
    (void)arg;
    gyr_leave(conn, GYR_SPAN("h"));
    EXPECT_INT(gyr_send(conn, GYR_TEXT, GYR_SPAN("left")), 0, "told");
}

static int publish(struct crowd *crowd, unsigned number)
{
    char text[16];
    struct gyr_span name = GYR_SPAN("h");
    struct gyr_publish publish = gyr_publish_default();
    publish.rooms = &name;
    publish.room_count = 1;
    publish.payload = (struct gyr_span){text, 0};
    publish.payload.size = (size_t)snprintf(text, sizeof(text), "m%u", number);
    int err;
    while ((err = gyr_server_publish(crowd->server, &publish)) == GYR_ERR_BACKPRESSURE) {
        (void)sched_yield();
    }
    return err;
}

static void *publisher(void *arg)
{
    struct crowd *crowd = arg;
    for (unsigned i = 0; i < MESSAGES; i++) {
        EXPECT_INT(publish(crowd, i), 0, "published");
    }
    return NULL;
}

/* Read up to this word, and count the messages before it: they are what lies behind `place`. */
static void read_up_to(struct crowd_client *client, struct place *place, const char *word)
{
    char text[CROWD_MESSAGE_MAX];
    while (crowd_read(client, text) != 0 && strncmp(text, word, strlen(word)) != 0) {
        EXPECT(text[0] == 'm', "a message of the room");
        place->offset++;
    }
    if (strcmp(word, "recovered") == 0) {
        int recovered = -1;
        int err = -1;
        uint64_t epoch = 0;
        uint64_t offset = 0;
        EXPECT_INT(
            sscanf(text, "recovered %d %d %" SCNu64 " %" SCNu64, &recovered, &err, &epoch, &offset),
            4, "its word");
        EXPECT_INT(err, 0, "no error");
        EXPECT_INT(recovered, place->epoch != 0, "recovered");
        if (place->epoch != 0) {
            EXPECT(epoch == place->epoch, "the same epoch");
            EXPECT_INT(place->offset, offset, "as many as there were");
        }
        *place = (struct place){.epoch = epoch, .offset = offset};
    }
}

static void come_and_go(struct crowd *crowd, struct crowd_client *clients, struct place *places)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < MEMBERS; i++) {
            if ((round + i) % 3 == 0 && round > 0) {
                continue; /* it stays away, or stays */
            }
            if (crowd_run(crowd, clients[i].handle, leave, NULL)) {
                read_up_to(&clients[i], &places[i], "left");
            }
            EXPECT(crowd_run(crowd, clients[i].handle, join, &places[i]), "back");
            read_up_to(&clients[i], &places[i], "recovered");
        }
    }
}

void recovery_is_whole_among_cores_and_threads(void)
{
    static struct crowd_client clients[MEMBERS];
    struct place places[MEMBERS] = {{0}};
    pthread_t threads[2];
    struct crowd crowd;
    if (!crowd_init(&crowd)) {
        return;
    }
    crowd.service.room_rules = rules;
    crowd.service.room_rule_count = COUNT_OF(rules);
    crowd.service.on_recovered = on_recovered;
    crowd_start(&crowd);
    for (unsigned i = 0; i < MEMBERS; i++) {
        crowd_connect_on(&crowd, &clients[i], i % CROWD_CORES, "", "");
        EXPECT(crowd_run(&crowd, clients[i].handle, join, &places[i]), "joined");
        read_up_to(&clients[i], &places[i], "recovered");
        EXPECT_INT(places[i].offset, 0, "nothing was published yet");
    }
    for (unsigned i = 0; i < 2; i++) {
        if (pthread_create(&threads[i], NULL, publisher, &crowd) != 0) {
            abort();
        }
    }
    come_and_go(&crowd, clients, places);
    (void)pthread_join(threads[0], NULL);
    (void)pthread_join(threads[1], NULL);
    for (unsigned i = 0; i < MEMBERS; i++) { /* once more, when all is quiet */
        EXPECT(crowd_run(&crowd, clients[i].handle, leave, NULL), "away");
        read_up_to(&clients[i], &places[i], "left");
        EXPECT(crowd_run(&crowd, clients[i].handle, join, &places[i]), "back");
        read_up_to(&clients[i], &places[i], "recovered");
        EXPECT_INT(places[i].offset, 2 * MESSAGES, "every message of both");
        EXPECT(places[i].epoch == places[0].epoch, "one epoch");
        crowd_leave(&clients[i]);
    }
    crowd_end(&crowd);
}
