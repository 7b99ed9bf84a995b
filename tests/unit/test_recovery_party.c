/* SPDX-License-Identifier: MIT */
/* gyr_join_since with two cores, on real sockets: who leaves and comes back while others publish
 * misses nothing and gets nothing twice. */
#include "hub/recovery.h"

#include "hub/backend.h"
#include "tests/crowd_kit.h"
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__SANITIZE_THREAD__)
#define MESSAGE_COUNT 600U
#else
#define MESSAGE_COUNT 4000U
#endif
#define COMER_COUNT 3U
#define STAY_COUNT  20U /* messages between a return and the next leave */

static const struct gyr_room_rule RULE = {
    .size = sizeof(RULE),
    .pattern = GYR_LITERAL("room"),
    .history_count = MESSAGE_COUNT,
};

struct comer {
    struct crowd_client client;
    struct party *party;
    sem_t recovered;
    uint64_t epoch;  /* asked for */
    uint64_t offset; /* has everything up to here */
    struct gyr_recovery recovery;
    int err;
};

struct party {
    struct crowd crowd;
    struct comer comers[COMER_COUNT];
};

static void on_recovered(struct gyr_conn *conn, struct gyr_span room,
                         const struct gyr_recovery *recovery)
{
    struct party *party = CONTAINER_OF(
        (struct crowd *)gyr_server_user(gyr_core_server(gyr_conn_core(conn))), struct party, crowd);
    EXPECT(room.size == 4 && memcmp(room.ptr, "room", 4) == 0, "its name");
    for (unsigned i = 0; i < COMER_COUNT; i++) {
        if (party->comers[i].client.handle.id == gyr_conn_handle(conn).id) {
            party->comers[i].recovery = *recovery;
            (void)sem_post(&party->comers[i].recovered);
        }
    }
}

static bool begin_with(struct party *party, const struct gyr_backend *backend)
{
    if (!crowd_init(&party->crowd)) {
        return false;
    }
    party->crowd.service.backend = backend;
    party->crowd.service.room_rules = &RULE;
    party->crowd.service.room_rule_count = 1;
    party->crowd.service.on_recovered = on_recovered;
    party->crowd.config.broadcast_entries = 16; /* full now and then */
    crowd_start(&party->crowd);
    for (unsigned i = 0; i < COMER_COUNT; i++) {
        struct comer *comer = &party->comers[i];
        comer->party = party;
        (void)sem_init(&comer->recovered, 0, 0);
        crowd_connect_on(&party->crowd, &comer->client, i % 2, "", "");
    }
    return true;
}

static bool begin(struct party *party)
{
    return begin_with(party, NULL);
}

static void come_on(struct gyr_conn *conn, void *arg)
{
    struct comer *comer = arg;
    comer->err = gyr_join_since(conn, GYR_SPAN("room"), comer->epoch, comer->offset);
}

static void leave_on(struct gyr_conn *conn, void *arg)
{
    (void)arg;
    gyr_leave(conn, GYR_SPAN("room"));
    EXPECT_INT(gyr_send(conn, GYR_TEXT, GYR_SPAN("left")), 0, "behind what was queued");
}

/* Come back, and wait until the service was told. */
static void come(struct comer *comer)
{
    EXPECT(crowd_run(&comer->party->crowd, comer->client.handle, come_on, comer), "accepted");
    EXPECT_INT(comer->err, 0, "joined");
    if (comer->err == 0) {
        kit_wait(&comer->recovered);
    }
}

/* Read messages, each the one behind the last; false: it was something else. */
static bool reads_next(struct comer *comer)
{
    char text[CROWD_MESSAGE_MAX];
    if (crowd_read(&comer->client, text) == 0 || strtoull(text, NULL, 10) != comer->offset + 1) {
        return false;
    }
    comer->offset++;
    return true;
}

static void *come_and_go(void *arg)
{
    struct comer *comer = arg;
    while (comer->offset < MESSAGE_COUNT) {
        for (unsigned i = 0; i < STAY_COUNT && comer->offset < MESSAGE_COUNT; i++) {
            if (!reads_next(comer)) {
                EXPECT(false, "the next one, and only that");
                return NULL;
            }
        }
        EXPECT(crowd_run(&comer->party->crowd, comer->client.handle, leave_on, NULL), "accepted");
        while (reads_next(comer)) {
        } /* up to "left", which is no number */
        come(comer);
        EXPECT(comer->recovery.recovered && comer->recovery.err == 0, "nothing was let go");
        EXPECT_INT(comer->recovery.epoch, comer->epoch, "the room goes on");
        EXPECT(comer->recovery.offset == comer->offset + comer->recovery.count, "it adds up");
    }
    return NULL;
}

static void publish_all(struct party *party)
{
    for (unsigned i = 1; i <= MESSAGE_COUNT;) {
        char text[16];
        struct gyr_publish publish = gyr_publish_default();
        publish.rooms = &GYR_SPAN("room");
        publish.room_count = 1;
        publish.payload = (struct gyr_span){text, (size_t)snprintf(text, sizeof(text), "%u", i)};
        int err = gyr_server_publish(party->crowd.server, &publish);
        EXPECT(err == 0 || err == GYR_ERR_BACKPRESSURE, "published, or too much");
        i += err == 0;
        if (err < 0) {
            (void)sched_yield();
        }
    }
}

void recovery_misses_nothing_while_others_publish(void)
{
    static struct party party;
    pthread_t threads[COMER_COUNT];
    memset(&party, 0, sizeof(party));
    if (!begin(&party)) {
        return;
    }
    for (unsigned i = 0; i < COMER_COUNT; i++) {
        struct comer *comer = &party.comers[i];
        come(comer);
        EXPECT(!comer->recovery.recovered && comer->recovery.err == 0, "nothing was asked for");
        EXPECT_INT(comer->recovery.offset, 0, "nothing there yet");
        comer->epoch = comer->recovery.epoch;
        EXPECT(comer->epoch != 0, "a life of the room");
        EXPECT_INT(pthread_create(&threads[i], NULL, come_and_go, comer), 0, "a thread");
    }
    publish_all(&party);
    for (unsigned i = 0; i < COMER_COUNT; i++) {
        (void)pthread_join(threads[i], NULL);
        EXPECT_INT(party.comers[i].offset, MESSAGE_COUNT, "all of them");
    }
    crowd_end(&party.crowd);
}

void recovery_says_what_cannot_be(void)
{
    static struct party party;
    memset(&party, 0, sizeof(party));
    if (!begin(&party)) {
        return;
    }
    struct comer *comer = &party.comers[0];
    come(comer);
    EXPECT(crowd_run(&party.crowd, comer->client.handle, come_on, comer), "accepted");
    EXPECT_INT(comer->err, GYR_ERR_STATE, "it is a member");
    uint64_t epoch = comer->recovery.epoch;
    struct comer *others[] = {&party.comers[1], &party.comers[2]};
    others[0]->epoch = epoch + 1;
    others[1]->epoch = epoch;
    others[1]->offset = 1;
    for (unsigned i = 0; i < 2; i++) {
        come(others[i]);
        EXPECT(!others[i]->recovery.recovered, "another life, or an offset nobody has");
        EXPECT_INT(others[i]->recovery.err, GYR_ERR_NOT_FOUND, "says so");
        EXPECT(others[i]->recovery.epoch == epoch && others[i]->recovery.offset == 0,
               "and where it stands");
    }
    crowd_end(&party.crowd);
}

/* A backend that says nothing with no pointer. */
static const struct gyr_backend_hub *bare_hub;

static int bare_create(const struct gyr_backend_hub *hub, void *user, void **state,
                       struct gyr_error *error)
{
    bare_hub = hub;
    return backend_local.create(hub, user, state, error);
}

static int bare_history(void *state, unsigned core, const struct gyr_backend_question *question,
                        void *request)
{
    (void)state;
    uint64_t epoch = question->epoch;
    uint64_t offset = question->offset;
    const struct gyr_publication empty = {
        .size = sizeof(empty), .opcode = GYR_TEXT, .epoch = epoch, .offset = offset + 1};
    const struct gyr_backend_history history = {.size = sizeof(history),
                                                .epoch = epoch,
                                                .offset = offset + 1,
                                                .publications = &empty,
                                                .count = 1};
    return bare_hub->history_done(bare_hub->state, core, request, &history);
}

void recovery_takes_empty_messages_of_any_backend(void)
{
    static struct party party;
    struct gyr_backend bare = backend_local;
    bare.create = bare_create;
    bare.history = bare_history;
    memset(&party, 0, sizeof(party));
    if (!begin_with(&party, &bare)) {
        return;
    }
    struct comer *comer = &party.comers[0];
    comer->epoch = 7;
    come(comer);
    EXPECT(comer->recovery.recovered && comer->recovery.count == 1, "one was missed");
    EXPECT(crowd_reads(&comer->client, ""), "this one");
    crowd_end(&party.crowd);
}
