/* SPDX-License-Identifier: MIT */
/* Publishing with several cores, on real sockets: who gets it, in which order, and what a receipt
 * sums up. */
#include "hub/publish.h"

#include "tests/cores_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- who gets it ----------------------------------------------------------------------------- */

void scenario_97_a_broadcast_reaches_members_on_every_core(void)
{
    struct cores of;
    struct crowd_client clients[4];
    if (!cores_begin(&of)) {
        return;
    }
    for (unsigned i = 0; i < 4; i++) {
        crowd_connect_on(&of.crowd, &clients[i], i % 2, "", i < 3 ? "lobby" : "other");
    }
    EXPECT_INT(cores_publish(&of, 0, "lobby", "from 0"), 0, "published");
    EXPECT_INT(cores_publish(&of, 1, "lobby", "from 1"), 0, "published");
    EXPECT_INT(cores_publish_foreign(&of, "lobby", "from outside"), 0, "published");
    EXPECT_INT(cores_publish(&of, 0, "other", "the other"), 0, "a room on the other core alone");
    EXPECT_INT(cores_publish_foreign(&of, "none", "nobody"), 0, "no room at all");
    for (unsigned i = 0; i < 3; i++) {
        EXPECT(crowd_reads(&clients[i], "from 0"), "the first");
        EXPECT(crowd_reads(&clients[i], "from 1"), "the second");
        EXPECT(crowd_reads(&clients[i], "from outside"), "the third");
    }
    EXPECT(crowd_reads(&clients[3], "the other"), "and nothing else");
    struct gyr_room_stats stats;
    EXPECT_INT(gyr_room_stats(of.crowd.server, GYR_SPAN("lobby"), &stats, sizeof(stats)), 0, "is");
    EXPECT(stats.members == 3 && stats.published == 3 && stats.queued == 9, "its figures");
    EXPECT_INT(gyr_room_stats(of.crowd.server, GYR_SPAN("none"), &stats, sizeof(stats)),
               GYR_ERR_NOT_FOUND, "no such room");
    EXPECT_INT(CORES_FIGURE(&of, UINT_MAX, room_queued), 10, "in the statistics");
    crowd_end(&of.crowd);
}

void scenario_97_exclusions_hold_on_every_core(void)
{
    struct cores of;
    struct crowd_client clients[4];
    if (!cores_begin(&of)) {
        return;
    }
    for (unsigned i = 0; i < 4; i++) {
        crowd_connect_on(&of.crowd, &clients[i], i % 2, "", "lobby");
    }
    struct gyr_handle except[] = {
        clients[1].handle, {0}, clients[2].handle, {UINT64_MAX}, clients[1].handle};
    struct gyr_publish publish = cores_publish_to(&GYR_SPAN("lobby"), 1, "some");
    publish.except = except;
    publish.except_count = COUNT_OF(except);
    EXPECT_INT(cores_publish_with(&of, 0, &publish), 0, "published");
    EXPECT_INT(gyr_server_publish(of.crowd.server, &publish), 0, "published");
    publish = cores_publish_to(NULL, 0, "all");
    EXPECT_INT(cores_publish_with(&of, 1, &publish), 0, "published");
    for (unsigned i = 0; i < 4; i++) {
        if (i == 0 || i == 3) {
            EXPECT(crowd_reads(&clients[i], "some") && crowd_reads(&clients[i], "some"), "twice");
        }
        EXPECT(crowd_reads(&clients[i], "all"), "everybody");
    }
    crowd_end(&of.crowd);
}

void publish_to_several_rooms_on_several_lanes_comes_once(void)
{
    static char names[8][2];
    struct gyr_span rooms[8];
    struct cores of;
    struct crowd_client clients[4];
    if (!cores_begin(&of)) {
        return;
    }
    for (unsigned i = 0; i < 4; i++) {
        crowd_connect_on(&of.crowd, &clients[i], i % 2, "", "");
    }
    for (unsigned k = 0; k < 8; k++) {
        names[k][0] = (char)('a' + k);
        rooms[k] = cores_span(names[k]);
        for (unsigned i = 0; i < 4; i++) {
            if (k == i || k == 7 - i || (i == 3 && k % 2 == 0)) {
                EXPECT(crowd_run(&of.crowd, clients[i].handle, cores_join, names[k]), "joined");
            }
        }
    }
    for (unsigned round = 0; round < 3; round++) {
        char text[8];
        (void)snprintf(text, sizeof(text), "%u", round);
        struct gyr_publish publish = cores_publish_to(rooms, 8, text);
        int err = round == 2 ? gyr_server_publish(of.crowd.server, &publish)
                             : cores_publish_with(&of, round, &publish);
        EXPECT_INT(err, 0, "published");
    }
    EXPECT_INT(cores_publish_with(&of, 0, &(struct gyr_publish){0}), GYR_ERR_ARGUMENT,
               "nothing said");
    struct gyr_publish last = cores_publish_to(NULL, 0, "last");
    /* Behind all of them: each was queued on its own core before that, and is now on the other. */
    for (unsigned i = 0; i < 4; i++) {
        EXPECT(crowd_reads(&clients[i], "0") && crowd_reads(&clients[i], "1") &&
                   crowd_reads(&clients[i], "2"),
               "once each, in order");
    }
    EXPECT_INT(cores_publish_with(&of, 0, &last), 0, "published");
    for (unsigned i = 0; i < 4; i++) {
        EXPECT(crowd_reads(&clients[i], "last"), "nothing twice");
    }
    crowd_end(&of.crowd);
}

/* ---- one order ------------------------------------------------------------------------------- */

#if defined(__SANITIZE_THREAD__)
#define STORM_COUNT 300U
#else
#define STORM_COUNT 2000U
#endif
#define STORM_CLIENTS 4U

struct storm {
    struct cores of;
    struct crowd_client clients[STORM_CLIENTS];
    char (*got[STORM_CLIENTS])[8];
};

struct stormer {
    struct storm *storm;
    unsigned number; /* a core; or CROWD_CORES and more: another thread */
    unsigned sent;
    sem_t done;
};

static bool storm_send(struct stormer *stormer, struct gyr_core *core)
{
    char text[8];
    (void)snprintf(text, sizeof(text), "%c%u", 'a' + (int)stormer->number, stormer->sent);
    struct gyr_publish publish = cores_publish_to(&GYR_SPAN("lobby"), 1, text);
    int err = core != NULL ? gyr_publish_with(core, &publish)
                           : gyr_server_publish(stormer->storm->of.crowd.server, &publish);
    EXPECT(err == 0 || err == GYR_ERR_BACKPRESSURE, "published, or the lane is full");
    stormer->sent += err == 0;
    return stormer->sent == STORM_COUNT;
}

static void storm_on_core(struct gyr_core *core, void *arg)
{
    struct stormer *stormer = arg;
    for (unsigned i = 0; i < 7; i++) {
        if (storm_send(stormer, core)) {
            (void)sem_post(&stormer->done);
            return;
        }
    }
    EXPECT_INT(gyr_post(gyr_core_server(core), gyr_core_index(core), storm_on_core, stormer), 0,
               "goes on");
}

static void *storm_on_thread(void *arg)
{
    while (!storm_send(arg, NULL)) {
    }
    return NULL;
}

static void *storm_read(void *arg)
{
    struct crowd_client *client = ((void **)arg)[0];
    char(*got)[8] = ((void **)arg)[1];
    char text[CROWD_MESSAGE_MAX];
    for (unsigned i = 0; i < STORM_COUNT * 4; i++) {
        if (crowd_read(client, text) == 0) {
            break;
        }
        (void)snprintf(got[i], sizeof(got[i]), "%.7s", text);
    }
    return NULL;
}

/* Does everybody have the same, and each publisher's in its order? */
static void storm_check(struct storm *storm)
{
    unsigned next[4] = {0};
    for (unsigned k = 1; k < STORM_CLIENTS; k++) {
        EXPECT(memcmp(storm->got[0], storm->got[k], STORM_COUNT * 4 * sizeof(storm->got[0][0])) ==
                   0,
               "all have one order");
    }
    for (unsigned i = 0; i < STORM_COUNT * 4; i++) {
        const char *text = storm->got[0][i];
        unsigned publisher = (unsigned)(text[0] - 'a');
        bool is = publisher < 4 && strtoul(text + 1, NULL, 10) == next[publisher];
        if (!is) {
            EXPECT(is, text);
            return;
        }
        next[publisher]++;
    }
    EXPECT(next[0] == STORM_COUNT && next[1] == STORM_COUNT && next[2] == STORM_COUNT &&
               next[3] == STORM_COUNT,
           "all of them");
}

void scenario_107_all_members_see_all_messages_in_one_order(void)
{
    static struct storm storm;
    struct stormer stormers[4];
    pthread_t threads[2];
    pthread_t readers[STORM_CLIENTS];
    void *args[STORM_CLIENTS][2];
    if (!cores_init(&storm.of)) {
        return;
    }
    storm.of.crowd.config.broadcast_entries = 16; /* full now and then */
    crowd_start(&storm.of.crowd);
    for (unsigned i = 0; i < STORM_CLIENTS; i++) {
        storm.got[i] = calloc(STORM_COUNT * 4, sizeof(storm.got[i][0]));
        crowd_connect_on(&storm.of.crowd, &storm.clients[i], i % 2, "", "lobby");
        args[i][0] = &storm.clients[i];
        args[i][1] = storm.got[i];
        EXPECT_INT(pthread_create(&readers[i], NULL, storm_read, args[i]), 0, "a reader");
    }
    for (unsigned i = 0; i < 4; i++) {
        stormers[i] = (struct stormer){.storm = &storm, .number = i};
        (void)sem_init(&stormers[i].done, 0, 0);
        if (i < CROWD_CORES) {
            EXPECT_INT(gyr_post(storm.of.crowd.server, i, storm_on_core, &stormers[i]), 0, "begun");
        } else {
            EXPECT_INT(pthread_create(&threads[i - 2], NULL, storm_on_thread, &stormers[i]), 0,
                       "begun");
        }
    }
    kit_wait(&stormers[0].done);
    kit_wait(&stormers[1].done);
    for (unsigned i = 0; i < 2; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    for (unsigned i = 0; i < STORM_CLIENTS; i++) {
        (void)pthread_join(readers[i], NULL);
    }
    storm_check(&storm);
    struct gyr_room_stats stats;
    EXPECT_INT(gyr_room_stats(storm.of.crowd.server, GYR_SPAN("lobby"), &stats, sizeof(stats)), 0,
               "its figures");
    EXPECT_INT(stats.published, STORM_COUNT * 4, "each counted once");
    EXPECT_INT(stats.queued, STORM_COUNT * 4 * STORM_CLIENTS, "and for each member");
    crowd_end(&storm.of.crowd);
    for (unsigned i = 0; i < STORM_CLIENTS; i++) {
        free(storm.got[i]);
    }
}

void scenario_107_a_message_is_framed_once_for_all_cores_and_members(void)
{
    struct cores of;
    struct crowd_client clients[4];
    struct cores_hold held = {.last = NULL};
    if (!cores_begin(&of)) {
        return;
    }
    for (unsigned i = 0; i < 4; i++) {
        crowd_connect_on(&of.crowd, &clients[i], i % 2, "", "lobby");
    }
    const struct hub *hub = hub_of_server(of.crowd.server);
    cores_hold(&of, 1, &held);
    EXPECT_INT(cores_publish(&of, 0, "lobby", "0123456789"), 0, "published");
    uint64_t size = atomic_load(&hub->broadcast_size);
    EXPECT(size != 0 && size < 512, "one piece of memory, until the other core has read it");
    EXPECT_INT(cores_publish(&of, 0, "lobby", "0123456789"), 0, "published");
    EXPECT_INT(atomic_load(&hub->broadcast_size), 2 * size, "one for each message");
    cores_let_go(&held);
    for (unsigned i = 0; i < 4; i++) {
        EXPECT(crowd_reads(&clients[i], "0123456789"), "the first");
        EXPECT(crowd_reads(&clients[i], "0123456789"), "the second");
    }
    EXPECT_INT(atomic_load(&hub->broadcast_size), 0, "given back");
    crowd_end(&of.crowd);
}

/* ---- without the ring, and back -------------------------------------------------------------- */

void publish_uses_the_ring_only_if_others_have_members(void)
{
    struct cores of;
    struct crowd_client here;
    struct crowd_client there;
    if (!cores_begin(&of)) {
        return;
    }
    crowd_connect_on(&of.crowd, &here, 0, "", "lobby");
    crowd_connect_on(&of.crowd, &there, 1, "", "");
    EXPECT_INT(cores_publish(&of, 0, "lobby", "1"), 0, "published");
    EXPECT_INT(CORES_FIGURE(&of, 0, bypassed), 1, "here and now");
    EXPECT(crowd_run(&of.crowd, there.handle, cores_join, CORES_LOBBY), "joined");
    EXPECT_INT(cores_publish(&of, 0, "lobby", "2"), 0, "published");
    EXPECT_INT(CORES_FIGURE(&of, 0, bypassed), 1, "through the ring");
    EXPECT_INT(CORES_FIGURE(&of, 0, broadcast_taken), 1, "and taken at once");
    EXPECT(crowd_reads(&there, "2"), "there");
    EXPECT(crowd_run(&of.crowd, there.handle, cores_leave, CORES_LOBBY), "left");
    EXPECT_INT(cores_publish(&of, 0, "lobby", "3"), 0, "published");
    EXPECT_INT(CORES_FIGURE(&of, 0, bypassed), 2, "here and now again");
    EXPECT_INT(CORES_FIGURE(&of, 0, published), 3, "three in all");
    EXPECT_INT(cores_publish(&of, 1, "lobby", "4"), 0, "by a core without members");
    EXPECT_INT(CORES_FIGURE(&of, 1, bypassed), 0, "through the ring");
    EXPECT(crowd_reads(&here, "1") && crowd_reads(&here, "2") && crowd_reads(&here, "3") &&
               crowd_reads(&here, "4"),
           "in one order");
    EXPECT_INT(CORES_FIGURE(&of, 1, broadcast_taken), 1, "which skips what is not for it");
    crowd_end(&of.crowd);
}

/* ---- what the publisher sends itself -------------------------------------------------------- */

static void send_publish_send(struct gyr_conn *conn, void *arg)
{
    EXPECT(gyr_send(conn, GYR_TEXT, GYR_SPAN("1")) >= 0, "sent");
    EXPECT_INT(gyr_publish(gyr_conn_core(conn), cores_span(arg), GYR_TEXT, GYR_SPAN("2")), 0,
               "published");
    EXPECT(gyr_send(conn, GYR_TEXT, GYR_SPAN("3")) >= 0, "sent");
}

void publish_through_the_ring_is_queued_when_it_returns(void)
{
    struct cores of;
    struct crowd_client clients[2];
    if (!cores_begin(&of)) {
        return;
    }
    crowd_connect_on(&of.crowd, &clients[0], 0, "", "lobby");
    crowd_connect_on(&of.crowd, &clients[1], 1, "", "lobby");
    EXPECT(crowd_run(&of.crowd, clients[0].handle, send_publish_send, CORES_LOBBY), "asked");
    EXPECT(crowd_reads(&clients[0], "1") && crowd_reads(&clients[0], "2") &&
               crowd_reads(&clients[0], "3"),
           "in the order of the calls");
    EXPECT(crowd_reads(&clients[1], "2"), "and on the other core");
    EXPECT_INT(CORES_FIGURE(&of, 0, bypassed), 0, "through the ring");
    crowd_end(&of.crowd);
}

/* ---- receipts -------------------------------------------------------------------------------- */

void scenario_98_a_receipt_sums_up_all_cores(void)
{
    static const struct gyr_span ROOMS[] = {GYR_LITERAL("lobby"), GYR_LITERAL("b"),
                                            GYR_LITERAL("c"), GYR_LITERAL("none")};
    static char B[] = "b";
    static char C[] = "c";
    struct cores of;
    struct crowd_client clients[6];
    struct cores_told told;
    if (!cores_begin(&of)) {
        return;
    }
    for (unsigned i = 0; i < 6; i++) {
        crowd_connect_on(&of.crowd, &clients[i], i % 2, "", "lobby");
        EXPECT(crowd_run(&of.crowd, clients[i].handle, cores_join, i < 3 ? B : C), "joined");
    }
    for (unsigned round = 0; round < 9; round++) {
        struct gyr_publish publish = cores_ask(&told, ROOMS,
                                               round % 3 == 0   ? 1
                                               : round % 3 == 1 ? COUNT_OF(ROOMS)
                                                                : 0);
        int err = round / 3 == 2 ? gyr_server_publish(of.crowd.server, &publish)
                                 : cores_publish_with(&of, round / 3, &publish);
        EXPECT_INT(err, 0, "published");
        kit_wait(&told.done);
        EXPECT_INT(told.core, 1, "on the core that was named");
        EXPECT_INT(told.published.queued, 6, "all of them, once each");
        EXPECT_INT(told.published.dropped + told.published.closed + told.published.timed_out, 0,
                   "nobody missed it");
    }
    EXPECT_INT(atomic_load(&told.count), 1, "once");
    crowd_end(&of.crowd);
}

static void close_on(struct gyr_conn *conn, void *arg)
{
    (void)arg;
    EXPECT_INT(gyr_close(conn, 1000, GYR_SPAN("")), 0, "closing");
}

void scenario_98_members_that_fail_on_several_cores_are_each_named(void)
{
    struct cores of;
    struct crowd_client clients[4];
    struct cores_told told;
    if (!cores_init(&of)) {
        return;
    }
    of.crowd.config.close_timeout_ms = 60000;
    of.crowd.config.shutdown_deadline_ms = 1;
    crowd_start(&of.crowd);
    for (unsigned i = 0; i < 4; i++) {
        crowd_connect_on(&of.crowd, &clients[i], i % 2, "", "lobby");
    }
    EXPECT(crowd_run(&of.crowd, clients[1].handle, close_on, NULL) &&
               crowd_run(&of.crowd, clients[2].handle, close_on, NULL),
           "two are closing");
    struct gyr_publish publish = cores_ask(&told, &GYR_SPAN("lobby"), 1);
    EXPECT_INT(cores_publish_with(&of, 0, &publish), 0, "published");
    kit_wait(&told.done);
    EXPECT(told.published.queued == 2 && told.published.closed == 2, "counted");
    EXPECT_INT(told.published.error_count, 2, "both are named");
    uint64_t sum = told.errors[0].handle.id + told.errors[1].handle.id;
    EXPECT(sum == clients[1].handle.id + clients[2].handle.id, "these");
    EXPECT(told.errors[0].err == GYR_ERR_CLOSED && told.errors[1].err == GYR_ERR_CLOSED, "why");
    crowd_end(&of.crowd);
}
