/* SPDX-License-Identifier: MIT */
/* Publishing with several cores, on real sockets: who gets it, in which order, and what happens
 * when a core is behind. A test holds a core where it needs it to be late. */
#include "hub/hub.h"
#include "tests/crowd_kit.h"
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static char LOBBY[] = "lobby";
static char OTHER[] = "other";

struct crowd_of {
    struct crowd crowd;
    sem_t ready; /* on_publish_ready, once for each */
    _Atomic unsigned ready_core;
};

static void on_publish_ready(struct gyr_core *core)
{
    struct crowd_of *of = CONTAINER_OF((struct crowd *)gyr_server_user(gyr_core_server(core)),
                                       struct crowd_of, crowd);
    atomic_store(&of->ready_core, gyr_core_index(core));
    (void)sem_post(&of->ready);
}

static bool init(struct crowd_of *of)
{
    if (!crowd_init(&of->crowd)) {
        return false;
    }
    (void)sem_init(&of->ready, 0, 0);
    of->crowd.service.on_publish_ready = on_publish_ready;
    return true;
}

static bool begin(struct crowd_of *of)
{
    bool is_possible = init(of);
    if (is_possible) {
        crowd_start(&of->crowd);
    }
    return is_possible;
}

static struct gyr_span span(const char *text)
{
    return (struct gyr_span){text, strlen(text)};
}

static uint64_t figure(struct crowd_of *of, unsigned core, size_t offset)
{
    struct gyr_stats stats;
    uint64_t value;
    gyr_server_stats(of->crowd.server, core, &stats, sizeof(stats));
    memcpy(&value, (const char *)&stats + offset, sizeof(value));
    return value;
}
#define FIGURE(of, core, name) figure((of), (core), offsetof(struct gyr_stats, name))

/* ---- what a core does ------------------------------------------------------------------------ */

struct order {
    const char *room;
    const char *payload;
    struct gyr_publish *publish; /* instead of both */
    int err;
};

static void publish_on(struct gyr_core *core, void *arg)
{
    struct order *order = arg;
    order->err = order->publish != NULL
                     ? gyr_publish_with(core, order->publish)
                     : gyr_publish(core, span(order->room), GYR_TEXT, span(order->payload));
}

static int publish(struct crowd_of *of, unsigned core, const char *room, const char *payload)
{
    struct order order = {.room = room, .payload = payload};
    crowd_run_core(&of->crowd, core, publish_on, &order);
    return order.err;
}

static int publish_with(struct crowd_of *of, unsigned core, struct gyr_publish *publish)
{
    struct order order = {.publish = publish};
    crowd_run_core(&of->crowd, core, publish_on, &order);
    return order.err;
}

static struct gyr_publish publish_to(const struct gyr_span *rooms, size_t room_count,
                                     const char *payload)
{
    struct gyr_publish publish = gyr_publish_default();
    publish.rooms = rooms;
    publish.room_count = room_count;
    publish.payload = span(payload);
    return publish;
}

static int publish_foreign(struct crowd_of *of, const char *room, const char *payload)
{
    struct gyr_span name = span(room);
    struct gyr_publish publish = publish_to(&name, 1, payload);
    return gyr_server_publish(of->crowd.server, &publish);
}

static void join_on(struct gyr_conn *conn, void *arg)
{
    EXPECT_INT(gyr_join(conn, span(arg)), 0, arg);
}

static void leave_on(struct gyr_conn *conn, void *arg)
{
    gyr_leave(conn, span(arg));
}

/* A core that does nothing until it is let go; then `last` runs, in front of everything that has
 * come meanwhile. */
struct hold {
    sem_t held;
    sem_t go;
    sem_t gone;
    void (*last)(struct gyr_core *core, void *arg);
    void *arg;
};

static void hold_on(struct gyr_core *core, void *arg)
{
    struct hold *hold = arg;
    (void)sem_post(&hold->held);
    kit_wait(&hold->go);
    if (hold->last != NULL) {
        hold->last(core, hold->arg);
    }
    (void)sem_post(&hold->gone);
}

static void hold(struct crowd_of *of, unsigned core, struct hold *hold)
{
    (void)sem_init(&hold->held, 0, 0);
    (void)sem_init(&hold->go, 0, 0);
    (void)sem_init(&hold->gone, 0, 0);
    EXPECT_INT(gyr_post(of->crowd.server, core, hold_on, hold), 0, "posted");
    kit_wait(&hold->held);
}

static void let_go(struct hold *hold)
{
    (void)sem_post(&hold->go);
    kit_wait(&hold->gone);
}

/* ---- who gets it ----------------------------------------------------------------------------- */

void scenario_97_a_broadcast_reaches_members_on_every_core(void)
{
    struct crowd_of of;
    struct crowd_client clients[4];
    if (!begin(&of)) {
        return;
    }
    for (unsigned i = 0; i < 4; i++) {
        crowd_connect_on(&of.crowd, &clients[i], i % 2, "", i < 3 ? "lobby" : "other");
    }
    EXPECT_INT(publish(&of, 0, "lobby", "from 0"), 0, "published");
    EXPECT_INT(publish(&of, 1, "lobby", "from 1"), 0, "published");
    EXPECT_INT(publish_foreign(&of, "lobby", "from outside"), 0, "published");
    EXPECT_INT(publish(&of, 0, "other", "the other"), 0, "a room on the other core alone");
    EXPECT_INT(publish_foreign(&of, "none", "nobody"), 0, "no room at all");
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
    EXPECT_INT(FIGURE(&of, UINT_MAX, room_queued), 10, "in the statistics");
    crowd_end(&of.crowd);
}

void scenario_97_exclusions_hold_on_every_core(void)
{
    struct crowd_of of;
    struct crowd_client clients[4];
    if (!begin(&of)) {
        return;
    }
    for (unsigned i = 0; i < 4; i++) {
        crowd_connect_on(&of.crowd, &clients[i], i % 2, "", "lobby");
    }
    struct gyr_handle except[] = {
        clients[1].handle, {0}, clients[2].handle, {UINT64_MAX}, clients[1].handle};
    struct gyr_publish publish = publish_to(&GYR_SPAN("lobby"), 1, "some");
    publish.except = except;
    publish.except_count = COUNT_OF(except);
    EXPECT_INT(publish_with(&of, 0, &publish), 0, "published");
    EXPECT_INT(gyr_server_publish(of.crowd.server, &publish), 0, "published");
    publish = publish_to(NULL, 0, "all");
    EXPECT_INT(publish_with(&of, 1, &publish), 0, "published");
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
    struct crowd_of of;
    struct crowd_client clients[4];
    if (!begin(&of)) {
        return;
    }
    for (unsigned i = 0; i < 4; i++) {
        crowd_connect_on(&of.crowd, &clients[i], i % 2, "", "");
    }
    for (unsigned k = 0; k < 8; k++) {
        names[k][0] = (char)('a' + k);
        rooms[k] = span(names[k]);
        for (unsigned i = 0; i < 4; i++) {
            if (k == i || k == 7 - i || (i == 3 && k % 2 == 0)) {
                EXPECT(crowd_run(&of.crowd, clients[i].handle, join_on, names[k]), "joined");
            }
        }
    }
    for (unsigned round = 0; round < 3; round++) {
        char text[8];
        (void)snprintf(text, sizeof(text), "%u", round);
        struct gyr_publish publish = publish_to(rooms, 8, text);
        int err = round == 2 ? gyr_server_publish(of.crowd.server, &publish)
                             : publish_with(&of, round, &publish);
        EXPECT_INT(err, 0, "published");
    }
    EXPECT_INT(publish_with(&of, 0, &(struct gyr_publish){0}), GYR_ERR_ARGUMENT, "nothing said");
    struct gyr_publish last = publish_to(NULL, 0, "last");
    /* Behind all of them: each was queued on its own core before that, and is now on the other. */
    for (unsigned i = 0; i < 4; i++) {
        EXPECT(crowd_reads(&clients[i], "0") && crowd_reads(&clients[i], "1") &&
                   crowd_reads(&clients[i], "2"),
               "once each, in order");
    }
    EXPECT_INT(publish_with(&of, 0, &last), 0, "published");
    for (unsigned i = 0; i < 4; i++) {
        EXPECT(crowd_reads(&clients[i], "last"), "nothing twice");
    }
    crowd_end(&of.crowd);
}

struct change {
    struct gyr_span rooms[2];
    void (*fn)(struct gyr_conn *conn, void *arg);
    void *arg;
};

/* As another thread does, so that it waits in both lanes when the rooms change. */
static void publish_and_change(struct gyr_conn *conn, void *arg)
{
    const struct change *change = arg;
    struct gyr_publish publish = publish_to(change->rooms, 2, "once");
    EXPECT_INT(gyr_server_publish(gyr_core_server(gyr_conn_core(conn)), &publish), 0, "published");
    change->fn(conn, change->arg);
}

void publish_to_several_rooms_comes_once_to_who_joins_or_leaves_one(void)
{
    static char names[2][2] = {"a", "b"};
    for (unsigned i = 0; i < 8; i++) {
        unsigned changed = i & 1;
        bool leaves = (i & 2) != 0;
        struct crowd_of of;
        struct crowd_client client;
        struct crowd_client other;
        if (!begin(&of)) {
            return;
        }
        crowd_connect_on(&of.crowd, &client, 0, "", "");
        crowd_connect_on(&of.crowd, &other, 0, "", "");
        for (unsigned k = 0; k < 2; k++) { /* beginning anew, so that each has a lane of its own */
            EXPECT(crowd_run(&of.crowd, other.handle, join_on, names[k]), "joined");
            if (k != changed || leaves) {
                EXPECT(crowd_run(&of.crowd, client.handle, join_on, names[k]), "joined");
            }
        }
        struct change change = {{span(names[i >> 2]), span(names[1 - (i >> 2)])},
                                leaves ? leave_on : join_on,
                                names[changed]};
        EXPECT(crowd_run(&of.crowd, client.handle, publish_and_change, &change), "accepted");
        struct gyr_publish last = publish_to(NULL, 0, "last");
        EXPECT_INT(publish_with(&of, 0, &last), 0, "published");
        EXPECT(crowd_reads(&client, "once"), "it was a member of one all the time");
        EXPECT(crowd_reads(&client, "last"), "and nothing twice");
        EXPECT(crowd_reads(&other, "once") && crowd_reads(&other, "last"), "nor the other");
        crowd_end(&of.crowd);
    }
}

/* ---- one order ------------------------------------------------------------------------------- */

#if defined(__SANITIZE_THREAD__)
#define STORM_COUNT 300U
#else
#define STORM_COUNT 2000U
#endif
#define STORM_CLIENTS 4U

struct storm {
    struct crowd_of of;
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
    struct gyr_publish publish = publish_to(&GYR_SPAN("lobby"), 1, text);
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
    if (!init(&storm.of)) {
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
    struct crowd_of of;
    struct crowd_client clients[4];
    struct hold held = {.last = NULL};
    if (!begin(&of)) {
        return;
    }
    for (unsigned i = 0; i < 4; i++) {
        crowd_connect_on(&of.crowd, &clients[i], i % 2, "", "lobby");
    }
    const struct hub *hub = hub_of_server(of.crowd.server);
    hold(&of, 1, &held);
    EXPECT_INT(publish(&of, 0, "lobby", "0123456789"), 0, "published");
    uint64_t size = atomic_load(&hub->broadcast_size);
    EXPECT(size != 0 && size < 512, "one piece of memory, until the other core has read it");
    EXPECT_INT(publish(&of, 0, "lobby", "0123456789"), 0, "published");
    EXPECT_INT(atomic_load(&hub->broadcast_size), 2 * size, "one for each message");
    let_go(&held);
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
    struct crowd_of of;
    struct crowd_client here;
    struct crowd_client there;
    if (!begin(&of)) {
        return;
    }
    crowd_connect_on(&of.crowd, &here, 0, "", "lobby");
    crowd_connect_on(&of.crowd, &there, 1, "", "");
    EXPECT_INT(publish(&of, 0, "lobby", "1"), 0, "published");
    EXPECT_INT(FIGURE(&of, 0, bypassed), 1, "here and now");
    EXPECT(crowd_run(&of.crowd, there.handle, join_on, LOBBY), "joined");
    EXPECT_INT(publish(&of, 0, "lobby", "2"), 0, "published");
    EXPECT_INT(FIGURE(&of, 0, bypassed), 1, "through the ring");
    EXPECT_INT(FIGURE(&of, 0, broadcast_taken), 1, "and taken at once");
    EXPECT(crowd_reads(&there, "2"), "there");
    EXPECT(crowd_run(&of.crowd, there.handle, leave_on, LOBBY), "left");
    EXPECT_INT(publish(&of, 0, "lobby", "3"), 0, "published");
    EXPECT_INT(FIGURE(&of, 0, bypassed), 2, "here and now again");
    EXPECT_INT(FIGURE(&of, 0, published), 3, "three in all");
    EXPECT_INT(publish(&of, 1, "lobby", "4"), 0, "by a core without members");
    EXPECT_INT(FIGURE(&of, 1, bypassed), 0, "through the ring");
    EXPECT(crowd_reads(&here, "1") && crowd_reads(&here, "2") && crowd_reads(&here, "3") &&
               crowd_reads(&here, "4"),
           "in one order");
    EXPECT_INT(FIGURE(&of, 1, broadcast_taken), 1, "which skips what is not for it");
    crowd_end(&of.crowd);
}

/* ---- joining and leaving while a message is on its way --------------------------------------- */

struct switcher {
    struct crowd *crowd;
    struct gyr_handle joins;
    struct gyr_handle leaves;
};

static void switch_members(struct gyr_core *core, void *arg)
{
    const struct switcher *switcher = arg;
    struct gyr_conn *conn = gyr_core_find(core, switcher->leaves);
    if (conn != NULL) {
        gyr_leave(conn, GYR_SPAN("lobby"));
    }
    conn = gyr_core_find(core, switcher->joins);
    if (conn != NULL) {
        EXPECT_INT(gyr_join(conn, GYR_SPAN("lobby")), 0, "joined");
    }
}

void publish_does_not_reach_who_joins_later(void)
{
    struct crowd_of of;
    struct crowd_client clients[3];
    struct switcher switcher = {.joins = {0}};
    struct hold held = {.last = switch_members, .arg = &switcher};
    if (!begin(&of)) {
        return;
    }
    crowd_connect_on(&of.crowd, &clients[0], 0, "", "lobby");
    crowd_connect_on(&of.crowd, &clients[1], 1, "", "lobby");
    crowd_connect_on(&of.crowd, &clients[2], 1, "", "");
    hold(&of, 1, &held);
    EXPECT_INT(publish(&of, 0, "lobby", "1"), 0, "published");
    switcher.joins = clients[2].handle;
    let_go(&held);
    EXPECT_INT(publish(&of, 0, "lobby", "2"), 0, "published");
    EXPECT(crowd_reads(&clients[0], "1") && crowd_reads(&clients[0], "2"), "both");
    EXPECT(crowd_reads(&clients[1], "1") && crowd_reads(&clients[1], "2"), "both");
    EXPECT(crowd_reads(&clients[2], "2"), "not what was published before");
    crowd_end(&of.crowd);
}

void publish_does_not_reach_who_leaves_and_comes_back_meanwhile(void)
{
    struct crowd_of of;
    struct crowd_client clients[3];
    struct switcher switcher = {.joins = {0}};
    struct hold held = {.last = switch_members, .arg = &switcher};
    if (!begin(&of)) {
        return;
    }
    crowd_connect_on(&of.crowd, &clients[0], 0, "", "lobby");
    crowd_connect_on(&of.crowd, &clients[1], 1, "", "lobby");
    crowd_connect_on(&of.crowd, &clients[2], 1, "", "lobby");
    EXPECT(crowd_run(&of.crowd, clients[2].handle, leave_on, LOBBY), "left");
    hold(&of, 1, &held);
    EXPECT_INT(publish(&of, 0, "lobby", "1"), 0, "published");
    /* The room's last member there goes, and another one comes: a new room of the same name. What
     * was published before the leave reaches who was there then. */
    switcher.leaves = clients[1].handle;
    switcher.joins = clients[2].handle;
    let_go(&held);
    EXPECT_INT(publish(&of, 0, "lobby", "2"), 0, "published");
    EXPECT(crowd_reads(&clients[0], "1") && crowd_reads(&clients[0], "2"), "both");
    EXPECT(crowd_reads(&clients[1], "1"), "what was there when it left");
    EXPECT(crowd_reads(&clients[2], "2"), "what came after it joined");
    EXPECT(crowd_run(&of.crowd, clients[1].handle, join_on, LOBBY), "joined");
    EXPECT_INT(publish(&of, 1, "lobby", "3"), 0, "published");
    for (unsigned i = 0; i < 3; i++) {
        EXPECT(crowd_reads(&clients[i], "3"), "and nothing in between");
    }
    crowd_end(&of.crowd);
}

/* ---- a core that is behind ------------------------------------------------------------------- */

void publish_to_a_full_lane_waits_for_room(void)
{
    struct crowd_of of;
    struct crowd_client clients[2];
    struct hold held = {.last = NULL};
    if (!init(&of)) {
        return;
    }
    of.crowd.config.broadcast_lanes = 1;
    of.crowd.config.broadcast_entries = 2;
    crowd_start(&of.crowd);
    crowd_connect_on(&of.crowd, &clients[0], 0, "", "lobby");
    crowd_connect_on(&of.crowd, &clients[1], 1, "", "lobby");
    for (unsigned round = 0; round < 3; round++) {
        hold(&of, 1, &held);
        EXPECT_INT(publish(&of, 0, "lobby", "1"), 0, "published");
        EXPECT_INT(publish(&of, 0, "lobby", "2"), 0, "published");
        int err = round == 1 ? publish_foreign(&of, "lobby", "3") : publish(&of, 0, "lobby", "3");
        EXPECT_INT(err, GYR_ERR_BACKPRESSURE, "full");
        EXPECT(sem_trywait(&of.ready) != 0, "nothing to tell yet");
        let_go(&held);
        kit_wait(&of.ready);
        EXPECT_INT(atomic_load(&of.ready_core), 0, "who was refused; core 0 for other threads");
        EXPECT_INT(publish(&of, 0, "lobby", "4"), 0, "there is room");
        for (unsigned i = 0; i < 2; i++) {
            EXPECT(crowd_reads(&clients[i], "1") && crowd_reads(&clients[i], "2") &&
                       crowd_reads(&clients[i], "4"),
                   "what was published, and not what was refused");
        }
    }
    crowd_end(&of.crowd);
    EXPECT(sem_trywait(&of.ready) != 0, "once each");
}

/* Two rooms; the lane of one is full. */
void publish_in_one_lane_does_not_wait_for_another(void)
{
    for (unsigned lanes = 1; lanes <= 2; lanes++) {
        struct crowd_of of;
        struct crowd_client clients[2];
        struct hold held = {.last = NULL};
        if (!init(&of)) {
            return;
        }
        of.crowd.config.broadcast_lanes = lanes;
        of.crowd.config.broadcast_entries = 2;
        crowd_start(&of.crowd);
        crowd_connect_on(&of.crowd, &clients[0], 1, "", "first");
        crowd_connect_on(&of.crowd, &clients[1], 1, "", "second");
        hold(&of, 1, &held);
        EXPECT_INT(publish(&of, 0, "first", "1"), 0, "published");
        EXPECT_INT(publish(&of, 0, "first", "2"), 0, "published");
        EXPECT_INT(publish(&of, 0, "first", "3"), GYR_ERR_BACKPRESSURE, "full");
        int err = publish(&of, 0, "second", "4");
        EXPECT_INT(err, lanes == 1 ? GYR_ERR_BACKPRESSURE : 0, "the same lane, or another");
        let_go(&held);
        EXPECT(lanes == 1 || crowd_reads(&clients[1], "4"), "it came");
        crowd_end(&of.crowd);
    }
}

static bool is_counted(void *arg)
{
    return FIGURE((struct crowd_of *)arg, 1, broadcast_held) == 2 &&
           FIGURE((struct crowd_of *)arg, 0, publish_refused) == 2;
}

void publish_counts_who_was_refused_and_because_of_whom(void)
{
    struct crowd_of of;
    struct crowd_client client;
    struct hold held = {.last = NULL};
    if (!init(&of)) {
        return;
    }
    of.crowd.config.broadcast_lanes = 1;
    of.crowd.config.broadcast_entries = 2;
    crowd_start(&of.crowd);
    crowd_connect_on(&of.crowd, &client, 1, "", "lobby");
    hold(&of, 1, &held);
    EXPECT_INT(publish(&of, 0, "lobby", "1"), 0, "published");
    EXPECT_INT(publish_foreign(&of, "lobby", "2"), 0, "published");
    EXPECT_INT(publish_foreign(&of, "lobby", "3"), GYR_ERR_BACKPRESSURE, "refused");
    EXPECT_INT(publish(&of, 0, "lobby", "4"), GYR_ERR_BACKPRESSURE, "refused");
    let_go(&held);
    kit_wait(&of.ready);
    crowd_until(is_counted, &of);
    EXPECT_INT(FIGURE(&of, 0, published), 1, "what was published");
    crowd_end(&of.crowd);
}

void publish_beyond_broadcast_size_max_waits_for_room(void)
{
    static char large[40001];
    struct crowd_of of;
    struct crowd_client clients[2];
    struct hold held = {.last = NULL};
    if (!init(&of)) {
        return;
    }
    of.crowd.config.broadcast_size_max = 65536;
    crowd_start(&of.crowd);
    memset(large, 'l', sizeof(large) - 1);
    crowd_connect_on(&of.crowd, &clients[0], 0, "", "lobby");
    crowd_connect_on(&of.crowd, &clients[1], 1, "", "lobby");
    hold(&of, 1, &held);
    EXPECT_INT(publish(&of, 0, "lobby", large), 0, "published");
    EXPECT_INT(publish(&of, 0, "lobby", large), GYR_ERR_BACKPRESSURE, "too much");
    EXPECT_INT(publish(&of, 0, "lobby", "small"), 0, "a small one may");
    EXPECT_INT(publish_foreign(&of, "lobby", large), GYR_ERR_BACKPRESSURE, "too much");
    EXPECT(sem_trywait(&of.ready) != 0, "nothing to tell yet");
    let_go(&held);
    int err;
    do {
        kit_wait(&of.ready); /* the small one may be through before the large one is */
        err = publish(&of, 0, "lobby", large);
    } while (err == GYR_ERR_BACKPRESSURE);
    EXPECT_INT(err, 0, "there is room");
    crowd_end(&of.crowd);
}

static void do_nothing(struct gyr_core *core, void *arg)
{
    (void)core;
    (void)arg;
}

void publish_of_large_messages_does_not_wait_for_who_does_not_read(void)
{
    static char large[30001];
    struct crowd_of of;
    struct crowd_client clients[3];
    if (!init(&of)) {
        return;
    }
    of.crowd.config.broadcast_size_max = 65536;
    of.crowd.config.broadcast_copy_size = 1024;
    crowd_start(&of.crowd);
    memset(large, 'l', sizeof(large) - 1);
    for (unsigned i = 0; i < 3; i++) {
        crowd_connect_on(&of.crowd, &clients[i], i % 2, "", "lobby");
    }
    const struct hub *hub = hub_of_server(of.crowd.server);
    struct gyr_span rooms[2] = {GYR_SPAN("lobby"), GYR_SPAN("other")};
    EXPECT(crowd_run(&of.crowd, clients[1].handle, join_on, OTHER), "joined");
    /* More than sockets take. What waits is 20 MB for each, of 32 that may. */
    for (unsigned i = 0; i < 700; i++) {
        struct gyr_publish publish = publish_to(rooms, i % 3, large);
        EXPECT_INT(publish_with(&of, 0, &publish), 0, "published");
        /* Twice: what is posted runs before what has come through the ring. */
        crowd_run_core(&of.crowd, 1, do_nothing, NULL);
        crowd_run_core(&of.crowd, 1, do_nothing, NULL);
    }
    EXPECT_INT(atomic_load(&hub->broadcast_size), 0, "everything was taken");
    EXPECT_INT(FIGURE(&of, UINT_MAX, room_dropped), 0, "and is queued");
    EXPECT_INT(FIGURE(&of, UINT_MAX, room_queued), 3 * 700, "to all");
    crowd_end(&of.crowd);
}

/* ---- receipts -------------------------------------------------------------------------------- */

struct told {
    sem_t done;
    _Atomic unsigned count;
    unsigned core;
    struct gyr_published published;
    struct gyr_publish_error errors[8];
};

static void on_done(struct gyr_core *core, void *arg, const struct gyr_published *published)
{
    struct told *told = arg;
    told->core = gyr_core_index(core);
    told->published = *published;
    for (size_t i = 0; i < published->error_count; i++) {
        told->errors[i] = published->errors[i];
    }
    atomic_fetch_add(&told->count, 1);
    (void)sem_post(&told->done);
}

static struct gyr_publish ask(struct told *told, const struct gyr_span *rooms, size_t room_count)
{
    struct gyr_publish publish = publish_to(rooms, room_count, "x");
    publish.done = on_done;
    publish.arg = told;
    publish.done_core_index = 1;
    publish.errors_max = 8;
    *told = (struct told){.core = 99};
    (void)sem_init(&told->done, 0, 0);
    return publish;
}

void scenario_98_a_receipt_sums_up_all_cores(void)
{
    static const struct gyr_span ROOMS[] = {GYR_LITERAL("lobby"), GYR_LITERAL("b"),
                                            GYR_LITERAL("c"), GYR_LITERAL("none")};
    static char B[] = "b";
    static char C[] = "c";
    struct crowd_of of;
    struct crowd_client clients[6];
    struct told told;
    if (!begin(&of)) {
        return;
    }
    for (unsigned i = 0; i < 6; i++) {
        crowd_connect_on(&of.crowd, &clients[i], i % 2, "", "lobby");
        EXPECT(crowd_run(&of.crowd, clients[i].handle, join_on, i < 3 ? B : C), "joined");
    }
    for (unsigned round = 0; round < 9; round++) {
        struct gyr_publish publish = ask(&told, ROOMS,
                                         round % 3 == 0   ? 1
                                         : round % 3 == 1 ? COUNT_OF(ROOMS)
                                                          : 0);
        int err = round / 3 == 2 ? gyr_server_publish(of.crowd.server, &publish)
                                 : publish_with(&of, round / 3, &publish);
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
    struct crowd_of of;
    struct crowd_client clients[4];
    struct told told;
    if (!init(&of)) {
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
    struct gyr_publish publish = ask(&told, &GYR_SPAN("lobby"), 1);
    EXPECT_INT(publish_with(&of, 0, &publish), 0, "published");
    kit_wait(&told.done);
    EXPECT(told.published.queued == 2 && told.published.closed == 2, "counted");
    EXPECT_INT(told.published.error_count, 2, "both are named");
    uint64_t sum = told.errors[0].handle.id + told.errors[1].handle.id;
    EXPECT(sum == clients[1].handle.id + clients[2].handle.id, "these");
    EXPECT(told.errors[0].err == GYR_ERR_CLOSED && told.errors[1].err == GYR_ERR_CLOSED, "why");
    crowd_end(&of.crowd);
}

/* ---- begin and end --------------------------------------------------------------------------- */

struct late {
    _Atomic int err[CROWD_CORES];
};
static struct late late;

static void publish_in_stop(struct gyr_core *core)
{
    atomic_store(&late.err[gyr_core_index(core)],
                 gyr_publish(core, GYR_SPAN("lobby"), GYR_TEXT, GYR_SPAN("late")));
}

void publish_is_refused_before_the_cores_are_made_and_after_their_end(void)
{
    struct crowd_of of;
    struct gyr_server *server;
    struct gyr_error error;
    if (!init(&of)) {
        return;
    }
    struct gyr_publish publish = publish_to(&GYR_SPAN("lobby"), 1, "x");
    of.crowd.service.on_core_stop = publish_in_stop;
    EXPECT_INT(gyr_server_create(&of.crowd.config, &of.crowd.service, &server, &error), 0, "made");
    EXPECT_INT(gyr_server_publish(server, &publish), GYR_ERR_STATE, "no core yet");
    EXPECT_INT(gyr_server_start(server, &error), 0, "started");
    EXPECT_INT(gyr_server_publish(server, &publish), 0, "now it can");
    gyr_server_stop(server);
    gyr_server_wait(server);
    EXPECT_INT(gyr_server_publish(server, &publish), GYR_ERR_CLOSED, "no core any more");
    for (unsigned i = 0; i < CROWD_CORES; i++) {
        EXPECT_INT(atomic_load(&late.err[i]), GYR_ERR_CLOSED, "nor in on_core_stop");
    }
    gyr_server_destroy(server);
}

/* A core that is to end with entries of the ring for it, and its bell not looked at. */
void publish_on_its_way_to_a_core_that_ends_is_given_up(void)
{
    struct crowd_of of;
    struct crowd_client clients[2];
    struct hold held = {.last = NULL};
    struct told told[3];
    if (!begin(&of)) {
        return;
    }
    crowd_connect_on(&of.crowd, &clients[0], 0, "", "lobby");
    crowd_connect_on(&of.crowd, &clients[1], 1, "", "lobby");
    hold(&of, 1, &held);
    for (unsigned i = 0; i < 3; i++) {
        struct gyr_publish publish = ask(&told[i], &GYR_SPAN("lobby"), i == 0 ? 0 : 1);
        EXPECT_INT(publish_with(&of, 0, &publish), 0, "published");
    }
    gyr_server_stop(of.crowd.server);
    let_go(&held);
    gyr_server_wait(of.crowd.server);
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_INT(atomic_load(&told[i].count), 1, "told, once");
    }
    gyr_server_destroy(of.crowd.server);
}
