/* SPDX-License-Identifier: MIT */
/* Every call that is legal on any thread, made by threads while connections come and go on two
 * cores: what may come of it, and that whatever was accepted is called exactly once. Under
 * ThreadSanitizer this is the proof of what gyr.h says of each call's thread. */
#include "gyr/gyr.h"

#include "tests/crowd_kit.h"
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define STORM_CALLERS 3
#define STORM_CLIENTS 2
#define STORM_IDS     6
#define STORM_ROUNDS  400

struct storm {
    struct crowd crowd;
    _Atomic uint64_t handles[STORM_IDS]; /* of connections that are there, or were */
    _Atomic unsigned clients;            /* that go on */
    _Atomic unsigned wrong;              /* results that must not be */
    _Atomic unsigned accepted;           /* of what calls back */
    _Atomic unsigned called;
    _Atomic unsigned letters; /* gyr_mail that was accepted, and on_mail */
    _Atomic unsigned mails;
    _Atomic uint64_t made; /* calls that did something */
};

struct storm_thread {
    struct storm *storm;
    unsigned index;
    pthread_t thread;
};

static uint64_t random_next(uint64_t *random)
{
    *random = *random * 6364136223846793005U + 1442695040888963407U;
    return *random >> 33;
}

/* Clients come with an id that only this thread uses, stay for a few messages, and go: some say
 * goodbye, most do not. */
static void *storm_client(void *arg)
{
    const struct storm_thread *thread = arg;
    struct storm *storm = thread->storm;
    uint64_t random = thread->index;
    for (unsigned i = 0; i < STORM_ROUNDS; i++) {
        struct crowd_client client;
        unsigned number = (unsigned)random_next(&random) % (STORM_IDS / STORM_CLIENTS);
        number = number * STORM_CLIENTS + thread->index;
        char id[16];
        char text[CROWD_MESSAGE_MAX];
        (void)snprintf(id, sizeof(id), "id%u", number);
        /* 409: the last one of this id is not quite gone; 0: kicked before its first message. */
        unsigned status_code = crowd_connect(&storm->crowd, &client, id, "");
        if (status_code == 101) {
            atomic_store_explicit(&storm->handles[number], client.handle.id, memory_order_relaxed);
            for (uint64_t k = random_next(&random) % 4; k > 0; k--) {
                crowd_say(&client, "hello");
                if (crowd_read(&client, text) == 0) {
                    break;
                }
            }
        } else if (status_code != 409 && status_code != 0) {
            atomic_fetch_add_explicit(&storm->wrong, 1, memory_order_relaxed);
        }
        if (random_next(&random) % 3 == 0) {
            (void)send(client.fd, "\x88\x80\1\1\1\1", 6, MSG_NOSIGNAL);
        }
        crowd_leave(&client);
    }
    atomic_fetch_sub_explicit(&storm->clients, 1, memory_order_relaxed);
    return NULL;
}

static void storm_run(struct gyr_conn *conn, void *arg)
{
    struct storm *storm = arg;
    atomic_fetch_add_explicit(&storm->called, 1, memory_order_relaxed);
    if (conn != NULL && gyr_conn_id(conn).size > 0) {
        atomic_fetch_add_explicit(&storm->made, 1, memory_order_relaxed);
    }
}

static int storm_complete(struct gyr_conn *conn, void *arg)
{
    storm_run(conn, arg);
    return 0;
}

static void storm_post(struct gyr_core *core, void *arg)
{
    struct storm *storm = arg;
    struct gyr_walk walk;
    atomic_fetch_add_explicit(&storm->called, 1, memory_order_relaxed);
    for (struct gyr_conn *conn = gyr_walk_begin(&walk, core, NULL); conn != NULL;
         conn = gyr_walk_next(&walk)) {
        if (gyr_conn_core(conn) != core) {
            atomic_fetch_add_explicit(&storm->wrong, 1, memory_order_relaxed);
        }
    }
}

static void storm_snapshot(struct gyr_core *core, void *arg, struct gyr_snapshot *snapshot)
{
    struct storm *storm = arg;
    atomic_fetch_add_explicit(&storm->called, 1, memory_order_relaxed);
    bool right = gyr_snapshot_error(snapshot) == 0;
    for (size_t i = 0; i < gyr_snapshot_count(snapshot); i++) {
        struct gyr_handle handle = gyr_snapshot_at(snapshot, i);
        right = right && crowd_core(handle) < CROWD_CORES;
        /* May be stale by now. */
        (void)gyr_handle_is_live(gyr_core_server(core), handle);
    }
    gyr_snapshot_free(snapshot);
    atomic_fetch_add_explicit(&storm->wrong, !right, memory_order_relaxed);
}

static void storm_mail(struct gyr_conn *conn, void *mail)
{
    struct storm *storm = mail;
    (void)conn;
    atomic_fetch_add_explicit(&storm->mails, 1, memory_order_relaxed);
}

/* A call whose function is owed exactly once if it was accepted. */
static int storm_owes(struct storm *storm, int err)
{
    atomic_fetch_add_explicit(&storm->accepted, err == 0, memory_order_relaxed);
    return err;
}

static int storm_call_back(struct storm *storm, struct gyr_handle handle, uint64_t which)
{
    struct gyr_server *server = storm->crowd.server;
    unsigned core = crowd_core(handle);
    const struct gyr_span room = GYR_SPAN("room");
    int err;
    switch (which) {
    case 0:
        return storm_owes(storm, gyr_handle_run(server, handle, storm_run, storm));
    case 1:
        return storm_owes(storm, gyr_complete(server, handle, storm_complete, storm));
    case 2:
        return storm_owes(storm, gyr_post(server, core, storm_post, storm));
    case 3:
        return storm_owes(storm, gyr_snapshot(server, NULL, core, storm_snapshot, storm));
    case 4:
        return storm_owes(storm, gyr_snapshot(server, &room, core, storm_snapshot, storm));
    default:
        err = gyr_mail(server, handle, storm);
        atomic_fetch_add_explicit(&storm->letters, err == 0, memory_order_relaxed);
        return err;
    }
}

static int storm_publish(struct gyr_server *server, uint64_t which)
{
    const struct gyr_span room = GYR_SPAN("room");
    struct gyr_publish publish = gyr_publish_default();
    publish.rooms = &room;
    publish.room_count = which % 2;
    publish.payload = GYR_SPAN("to all of them");
    return gyr_server_publish(server, &publish);
}

static int storm_ask(struct storm *storm, struct gyr_handle handle, struct gyr_span id)
{
    const struct gyr_server *server = storm->crowd.server;
    struct gyr_handle found = {0};
    struct gyr_room_stats room_stats;
    struct gyr_stats stats;
    (void)gyr_handle_is_live(server, handle);
    (void)!gyr_room_stats(server, GYR_SPAN("room"), &room_stats, sizeof(room_stats));
    gyr_server_stats(server, crowd_core(handle), &stats, sizeof(stats));
    int err = gyr_find(server, id, &found);
    return err == 0 && crowd_core(found) >= CROWD_CORES ? GYR_ERR_STATE : err;
}

static int storm_call(struct storm *storm, unsigned number, uint64_t random)
{
    struct gyr_server *server = storm->crowd.server;
    struct gyr_handle handle = {
        atomic_load_explicit(&storm->handles[number], memory_order_relaxed)};
    char text[16];
    (void)snprintf(text, sizeof(text), "id%u", number);
    struct gyr_span id = {text, strlen(text)};
    switch (random % 16) {
    case 0:
        return gyr_handle_send(server, handle, GYR_TEXT, GYR_SPAN("by handle"));
    case 1:
        return gyr_id_send(server, id, GYR_BINARY, GYR_SPAN("by id"));
    case 2:
        return gyr_handle_join(server, handle, GYR_SPAN("room"));
    case 3:
        return gyr_handle_leave(server, handle, GYR_SPAN("room"));
    case 4:
        return random / 16 % 8 == 0 ? gyr_handle_close(server, handle, 1000, GYR_SPAN("bye")) : 0;
    case 5:
        return random / 16 % 8 == 0 ? gyr_handle_kick(server, handle) : 0;
    case 6:
        return random / 16 % 8 == 0 ? gyr_id_close(server, id, 1000, GYR_SPAN("bye")) : 0;
    case 7:
    case 8:
        return storm_ask(storm, handle, id);
    case 9:
        return storm_publish(server, random / 16);
    default:
        return storm_call_back(storm, handle, random % 16 - 10);
    }
}

static void *storm_caller(void *arg)
{
    const struct storm_thread *thread = arg;
    struct storm *storm = thread->storm;
    uint64_t random = thread->index + 100;
    while (atomic_load_explicit(&storm->clients, memory_order_relaxed) > 0) {
        unsigned number = (unsigned)random_next(&random) % STORM_IDS;
        int err = storm_call(storm, number, random_next(&random));
        if (err != 0 && err != GYR_ERR_CLOSED && err != GYR_ERR_NOT_FOUND &&
            err != GYR_ERR_BACKPRESSURE) {
            atomic_fetch_add_explicit(&storm->wrong, 1, memory_order_relaxed);
        }
    }
    return NULL;
}

static bool storm_is_over(void *arg)
{
    struct storm *storm = arg;
    return atomic_load(&storm->called) >= atomic_load(&storm->accepted) &&
           atomic_load(&storm->mails) >= atomic_load(&storm->letters);
}

void handles_every_call_of_any_thread_is_made_while_connections_come_and_go(void)
{
    static struct storm storm;
    struct storm_thread threads[STORM_CLIENTS + STORM_CALLERS];
    storm = (struct storm){.clients = STORM_CLIENTS};
    if (!crowd_init(&storm.crowd)) {
        return;
    }
    storm.crowd.service.on_mail = storm_mail;
    storm.crowd.config.mailbox_count_max = 256;
    crowd_start(&storm.crowd);
    for (unsigned i = 0; i < COUNT_OF(threads); i++) {
        threads[i] = (struct storm_thread){.storm = &storm, .index = i};
        void *(*run)(void *arg) = i < STORM_CLIENTS ? storm_client : storm_caller;
        if (pthread_create(&threads[i].thread, NULL, run, &threads[i]) != 0) {
            abort();
        }
    }
    for (unsigned i = 0; i < COUNT_OF(threads); i++) {
        (void)pthread_join(threads[i].thread, NULL);
    }
    crowd_until(storm_is_over, &storm);
    gyr_server_stop(storm.crowd.server);
    gyr_server_wait(storm.crowd.server);
    EXPECT_INT(storm.wrong, 0, "every result is one that may be");
    EXPECT_INT(storm.called, storm.accepted, "what was accepted was called, once");
    EXPECT_INT(storm.mails, storm.letters, "and each letter came, once");
    EXPECT(storm.made > 0, "connections were met");
    for (unsigned i = 0; i < STORM_IDS; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "id%u", i);
        struct gyr_handle handle;
        EXPECT_INT(gyr_find(storm.crowd.server, (struct gyr_span){id, strlen(id)}, &handle),
                   GYR_ERR_NOT_FOUND, "nobody is left");
    }
    gyr_server_destroy(storm.crowd.server);
}
