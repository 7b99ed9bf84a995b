/* SPDX-License-Identifier: MIT */
/* Publishing while something else happens: members join and leave, a core is behind, a place in the
 * ring is not filled yet, cores begin and end. */
#include "hub/publish.h"

#include "tests/cores_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

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
    struct cores of;
    struct crowd_client clients[3];
    struct switcher switcher = {.joins = {0}};
    struct cores_hold held = {.last = switch_members, .arg = &switcher};
    if (!cores_begin(&of)) {
        return;
    }
    crowd_connect_on(&of.crowd, &clients[0], 0, "", "lobby");
    crowd_connect_on(&of.crowd, &clients[1], 1, "", "lobby");
    crowd_connect_on(&of.crowd, &clients[2], 1, "", "");
    cores_hold(&of, 1, &held);
    EXPECT_INT(cores_publish(&of, 0, "lobby", "1"), 0, "published");
    switcher.joins = clients[2].handle;
    cores_let_go(&held);
    EXPECT_INT(cores_publish(&of, 0, "lobby", "2"), 0, "published");
    EXPECT(crowd_reads(&clients[0], "1") && crowd_reads(&clients[0], "2"), "both");
    EXPECT(crowd_reads(&clients[1], "1") && crowd_reads(&clients[1], "2"), "both");
    EXPECT(crowd_reads(&clients[2], "2"), "not what was published before");
    crowd_end(&of.crowd);
}

void publish_does_not_reach_who_leaves_and_comes_back_meanwhile(void)
{
    struct cores of;
    struct crowd_client clients[3];
    struct switcher switcher = {.joins = {0}};
    struct cores_hold held = {.last = switch_members, .arg = &switcher};
    if (!cores_begin(&of)) {
        return;
    }
    crowd_connect_on(&of.crowd, &clients[0], 0, "", "lobby");
    crowd_connect_on(&of.crowd, &clients[1], 1, "", "lobby");
    crowd_connect_on(&of.crowd, &clients[2], 1, "", "lobby");
    EXPECT(crowd_run(&of.crowd, clients[2].handle, cores_leave, CORES_LOBBY), "left");
    cores_hold(&of, 1, &held);
    EXPECT_INT(cores_publish(&of, 0, "lobby", "1"), 0, "published");
    /* The room's last member there goes, and another one comes: a new room of the same name. What
     * was published before the leave reaches who was there then. */
    switcher.leaves = clients[1].handle;
    switcher.joins = clients[2].handle;
    cores_let_go(&held);
    EXPECT_INT(cores_publish(&of, 0, "lobby", "2"), 0, "published");
    EXPECT(crowd_reads(&clients[0], "1") && crowd_reads(&clients[0], "2"), "both");
    EXPECT(crowd_reads(&clients[1], "1"), "what was there when it left");
    EXPECT(crowd_reads(&clients[2], "2"), "what came after it joined");
    EXPECT(crowd_run(&of.crowd, clients[1].handle, cores_join, CORES_LOBBY), "joined");
    EXPECT_INT(cores_publish(&of, 1, "lobby", "3"), 0, "published");
    for (unsigned i = 0; i < 3; i++) {
        EXPECT(crowd_reads(&clients[i], "3"), "and nothing in between");
    }
    crowd_end(&of.crowd);
}

/* ---- a place that is claimed and not filled ------------------------------------------------- */

/* Another thread stands between its claim and its commit. */
static struct broadcast_claim hole_make(struct cores *of, const char *room)
{
    static const struct broadcast_interest NOBODY;
    struct hub *hub = hub_of_server(of->crowd.server);
    struct room_ref ref = {.shared = NULL};
    struct broadcast_claim claim;
    unsigned held_by;
    EXPECT(registry_find(hub->registry, cores_span(room), hub_hash(hub, cores_span(room)), &ref),
           room);
    EXPECT_INT(
        broadcast_claim(hub->ring, ref.shared->lane, BROADCAST_NOBODY, &NOBODY, &claim, &held_by),
        0, "claimed");
    return claim;
}

static void hole_fill(struct cores *of, const struct broadcast_claim *claim)
{
    struct hub *hub = hub_of_server(of->crowd.server);
    broadcast_commit(hub->ring, claim, (struct broadcast_entry){NULL, 0});
}

void publish_behind_a_place_that_is_not_filled_waits_and_keeps_its_order(void)
{
    struct cores of;
    struct crowd_client clients[2];
    if (!cores_begin(&of)) {
        return;
    }
    crowd_connect_on(&of.crowd, &clients[0], 0, "", "lobby");
    crowd_connect_on(&of.crowd, &clients[1], 1, "", "lobby");
    struct broadcast_claim hole = hole_make(&of, "lobby");
    EXPECT_INT(cores_publish(&of, 0, "lobby", "1"), 0, "published");
    EXPECT_INT(cores_publish(&of, 1, "lobby", "2"), 0, "published");
    EXPECT_INT(CORES_FIGURE(&of, UINT_MAX, room_queued), 0, "nobody has it yet");
    hole_fill(&of, &hole);
    for (unsigned i = 0; i < 2; i++) {
        EXPECT(crowd_reads(&clients[i], "1") && crowd_reads(&clients[i], "2"), "in one order");
    }
    EXPECT(crowd_run(&of.crowd, clients[1].handle, cores_leave, CORES_LOBBY), "left");
    hole = hole_make(&of, "lobby");
    EXPECT_INT(cores_publish(&of, 0, "lobby", "3"), 0, "published to members of this core alone");
    EXPECT_INT(CORES_FIGURE(&of, 0, bypassed), 0, "but not past what may stand in the hole");
    hole_fill(&of, &hole);
    EXPECT(crowd_reads(&clients[0], "3"), "behind it");
    crowd_end(&of.crowd);
}

void publish_behind_a_place_that_is_not_filled_is_not_for_who_comes_meanwhile(void)
{
    struct cores of;
    struct crowd_client clients[3];
    if (!cores_begin(&of)) {
        return;
    }
    crowd_connect_on(&of.crowd, &clients[0], 0, "", "lobby");
    crowd_connect_on(&of.crowd, &clients[1], 1, "", "lobby");
    crowd_connect_on(&of.crowd, &clients[2], 1, "", "");
    struct broadcast_claim hole = hole_make(&of, "lobby");
    EXPECT_INT(cores_publish(&of, 0, "lobby", "1"), 0, "published");
    EXPECT(crowd_run(&of.crowd, clients[1].handle, cores_leave, CORES_LOBBY),
           "the last of its core left");
    EXPECT(crowd_run(&of.crowd, clients[2].handle, cores_join, CORES_LOBBY), "another one came");
    hole_fill(&of, &hole);
    EXPECT_INT(cores_publish(&of, 0, "lobby", "2"), 0, "published");
    EXPECT(crowd_reads(&clients[0], "1") && crowd_reads(&clients[0], "2"), "both");
    EXPECT(crowd_reads(&clients[2], "2"), "only what came after it");
    crowd_end(&of.crowd);
}

/* ---- a core that is behind ------------------------------------------------------------------- */

void publish_to_a_full_lane_waits_for_room(void)
{
    struct cores of;
    struct crowd_client clients[2];
    struct cores_hold held = {.last = NULL};
    if (!cores_init(&of)) {
        return;
    }
    of.crowd.config.broadcast_lanes = 1;
    of.crowd.config.broadcast_entries = 2;
    crowd_start(&of.crowd);
    crowd_connect_on(&of.crowd, &clients[0], 0, "", "lobby");
    crowd_connect_on(&of.crowd, &clients[1], 1, "", "lobby");
    for (unsigned round = 0; round < 3; round++) {
        cores_hold(&of, 1, &held);
        EXPECT_INT(cores_publish(&of, 0, "lobby", "1"), 0, "published");
        EXPECT_INT(cores_publish(&of, 0, "lobby", "2"), 0, "published");
        int err = round == 1 ? cores_publish_foreign(&of, "lobby", "3")
                             : cores_publish(&of, 0, "lobby", "3");
        EXPECT_INT(err, GYR_ERR_BACKPRESSURE, "full");
        EXPECT(sem_trywait(&of.ready) != 0, "nothing to tell yet");
        cores_let_go(&held);
        kit_wait(&of.ready);
        EXPECT_INT(atomic_load(&of.ready_core), 0, "who was refused; core 0 for other threads");
        EXPECT_INT(cores_publish(&of, 0, "lobby", "4"), 0, "there is room");
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
        struct cores of;
        struct crowd_client clients[2];
        struct cores_hold held = {.last = NULL};
        if (!cores_init(&of)) {
            return;
        }
        of.crowd.config.broadcast_lanes = lanes;
        of.crowd.config.broadcast_entries = 2;
        crowd_start(&of.crowd);
        crowd_connect_on(&of.crowd, &clients[0], 1, "", "first");
        crowd_connect_on(&of.crowd, &clients[1], 1, "", "second");
        cores_hold(&of, 1, &held);
        EXPECT_INT(cores_publish(&of, 0, "first", "1"), 0, "published");
        EXPECT_INT(cores_publish(&of, 0, "first", "2"), 0, "published");
        EXPECT_INT(cores_publish(&of, 0, "first", "3"), GYR_ERR_BACKPRESSURE, "full");
        int err = cores_publish(&of, 0, "second", "4");
        EXPECT_INT(err, lanes == 1 ? GYR_ERR_BACKPRESSURE : 0, "the same lane, or another");
        cores_let_go(&held);
        EXPECT(lanes == 1 || crowd_reads(&clients[1], "4"), "it came");
        crowd_end(&of.crowd);
    }
}

/* To two rooms on two lanes, of which one is full, one after the other. */
void publish_to_several_rooms_of_which_one_is_full_is_refused_whole(void)
{
    static const struct gyr_span ROOMS[] = {GYR_LITERAL("first"), GYR_LITERAL("second")};
    for (unsigned full = 0; full < 2; full++) {
        struct cores of;
        struct crowd_client clients[2];
        struct cores_hold held = {.last = NULL};
        struct gyr_publish both = cores_publish_to(ROOMS, 2, "both");
        if (!cores_init(&of)) {
            return;
        }
        of.crowd.config.broadcast_lanes = 2;
        of.crowd.config.broadcast_entries = 2;
        crowd_start(&of.crowd);
        for (unsigned i = 0; i < 2; i++) {
            crowd_connect_on(&of.crowd, &clients[i], 1, "", ROOMS[i].ptr);
        }
        cores_hold(&of, 1, &held);
        EXPECT_INT(cores_publish(&of, 0, ROOMS[full].ptr, "1"), 0, "published");
        EXPECT_INT(cores_publish(&of, 0, ROOMS[full].ptr, "2"), 0, "published");
        EXPECT_INT(cores_publish_with(&of, 0, &both), GYR_ERR_BACKPRESSURE, "full");
        EXPECT_INT(gyr_server_publish(of.crowd.server, &both), GYR_ERR_BACKPRESSURE, "full");
        cores_let_go(&held);
        kit_wait(&of.ready);
        EXPECT(crowd_reads(&clients[full], "1") && crowd_reads(&clients[full], "2"), "these came");
        EXPECT_INT(cores_publish_with(&of, 0, &both), 0, "there is room");
        for (unsigned i = 0; i < 2; i++) {
            EXPECT(crowd_reads(&clients[i], "both"), "it came, and nothing of what was refused");
        }
        const struct hub *hub = hub_of_server(of.crowd.server);
        EXPECT_INT(atomic_load(&hub->broadcast_size), 0, "and nothing of it is left");
        crowd_end(&of.crowd);
    }
}

struct overtaker {
    struct gyr_publish publish;
    int err;
};

static void overtake(struct gyr_core *core, void *arg)
{
    struct overtaker *overtaker = arg;
    overtaker->err = gyr_publish_with(core, &overtaker->publish);
}

/* To members of one core, which could have it past the ring: to a room, to two, and to everyone. */
void publish_on_a_core_does_not_overtake_what_another_thread_has_published(void)
{
    static const struct gyr_span ROOMS[] = {GYR_LITERAL("lobby"), GYR_LITERAL("other")};
    for (unsigned room_count = 0; room_count <= 2; room_count++) {
        struct cores of;
        struct crowd_client client;
        struct overtaker overtaker = {.publish = cores_publish_to(ROOMS, room_count, "2")};
        struct cores_hold held = {.last = overtake, .arg = &overtaker};
        struct gyr_publish first = cores_publish_to(ROOMS, room_count, "1");
        if (!cores_init(&of)) {
            return;
        }
        (void)snprintf(of.crowd.config.cores, sizeof(of.crowd.config.cores), "%s",
                       kit_server_config(1).cores);
        crowd_start(&of.crowd);
        crowd_connect_on(&of.crowd, &client, 0, "", "lobby");
        cores_hold(&of, 0, &held);
        EXPECT_INT(gyr_server_publish(of.crowd.server, &first), 0, "published");
        cores_let_go(&held);
        EXPECT_INT(overtaker.err, 0, "published");
        EXPECT(crowd_reads(&client, "1") && crowd_reads(&client, "2"), "in the order of calls");
        crowd_end(&of.crowd);
    }
}

static bool is_counted(void *arg)
{
    return CORES_FIGURE((struct cores *)arg, 1, broadcast_held) == 2 &&
           CORES_FIGURE((struct cores *)arg, 0, publish_refused) == 2;
}

void publish_counts_who_was_refused_and_because_of_whom(void)
{
    struct cores of;
    struct crowd_client client;
    struct cores_hold held = {.last = NULL};
    if (!cores_init(&of)) {
        return;
    }
    of.crowd.config.broadcast_lanes = 1;
    of.crowd.config.broadcast_entries = 2;
    crowd_start(&of.crowd);
    crowd_connect_on(&of.crowd, &client, 1, "", "lobby");
    cores_hold(&of, 1, &held);
    EXPECT_INT(cores_publish(&of, 0, "lobby", "1"), 0, "published");
    EXPECT_INT(cores_publish_foreign(&of, "lobby", "2"), 0, "published");
    EXPECT_INT(cores_publish_foreign(&of, "lobby", "3"), GYR_ERR_BACKPRESSURE, "refused");
    EXPECT_INT(cores_publish(&of, 0, "lobby", "4"), GYR_ERR_BACKPRESSURE, "refused");
    cores_let_go(&held);
    kit_wait(&of.ready);
    crowd_until(is_counted, &of);
    EXPECT_INT(CORES_FIGURE(&of, 0, published), 1, "what was published");
    crowd_end(&of.crowd);
}

void publish_beyond_broadcast_size_max_waits_for_room(void)
{
    static char large[40001];
    struct cores of;
    struct crowd_client clients[2];
    struct cores_hold held = {.last = NULL};
    if (!cores_init(&of)) {
        return;
    }
    of.crowd.config.broadcast_size_max = 65536;
    crowd_start(&of.crowd);
    memset(large, 'l', sizeof(large) - 1);
    crowd_connect_on(&of.crowd, &clients[0], 0, "", "lobby");
    crowd_connect_on(&of.crowd, &clients[1], 1, "", "lobby");
    cores_hold(&of, 1, &held);
    EXPECT_INT(cores_publish(&of, 0, "lobby", large), 0, "published");
    EXPECT_INT(cores_publish(&of, 0, "lobby", large), GYR_ERR_BACKPRESSURE, "too much");
    EXPECT_INT(cores_publish(&of, 0, "lobby", "small"), 0, "a small one may");
    EXPECT_INT(cores_publish_foreign(&of, "lobby", large), GYR_ERR_BACKPRESSURE, "too much");
    EXPECT(sem_trywait(&of.ready) != 0, "nothing to tell yet");
    cores_let_go(&held);
    int err;
    do {
        kit_wait(&of.ready); /* the small one may be through before the large one is */
        err = cores_publish(&of, 0, "lobby", large);
    } while (err == GYR_ERR_BACKPRESSURE);
    EXPECT_INT(err, 0, "there is room");
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
    struct cores of;
    struct gyr_server *server;
    struct gyr_error error;
    if (!cores_init(&of)) {
        return;
    }
    struct gyr_publish publish = cores_publish_to(&GYR_SPAN("lobby"), 1, "x");
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

/* Called again and again until the core has taken its last turn: gyr_offload tells. Then it waits
 * to be let go. */
static void no_work(void *arg)
{
    (void)arg;
}

static void wait_for_the_end(struct gyr_core *core, void *arg);

static void wait_again(struct gyr_core *core, void *arg)
{
    EXPECT_INT(gyr_post(gyr_core_server(core), gyr_core_index(core), wait_for_the_end, arg), 0,
               "once more");
}

static void wait_for_the_end(struct gyr_core *core, void *arg)
{
    struct cores_hold *hold = arg;
    int err = gyr_offload(core, no_work, wait_again, arg);
    EXPECT(err == 0 || err == GYR_ERR_CLOSED, "it goes on, or has ended");
    if (err != 0) {
        (void)sem_post(&hold->held);
        kit_wait(&hold->go);
    }
}

static bool one_has_ended(void *arg)
{
    return atomic_load(&((struct hub *)arg)->cores_ended) == 1;
}

void publish_to_a_core_that_has_taken_its_last_turn_is_given_up(void)
{
    struct cores of;
    struct cores_hold first = {.last = NULL};
    struct cores_hold second = {.last = NULL};
    struct cores_told told;
    if (!cores_begin(&of)) {
        return;
    }
    (void)sem_init(&second.held, 0, 0);
    (void)sem_init(&second.go, 0, 0);
    cores_hold(&of, 0, &first);
    EXPECT_INT(gyr_post(of.crowd.server, 1, wait_for_the_end, &second), 0, "posted");
    gyr_server_stop(of.crowd.server);
    kit_wait(&second.held);
    struct gyr_publish publish = cores_ask(&told, NULL, 0);
    publish.done_core_index = 0;
    EXPECT_INT(gyr_server_publish(of.crowd.server, &publish), 0, "both cores are to get it");
    (void)sem_post(&second.go);
    crowd_until(one_has_ended, hub_of_server(of.crowd.server));
    cores_let_go(&first);
    gyr_server_wait(of.crowd.server);
    EXPECT_INT(atomic_load(&told.count), 1, "neither has left it");
    EXPECT_INT(told.published.queued, 0, "there was nobody");
    gyr_server_destroy(of.crowd.server);
}

/* A core that is to end with entries of the ring for it, and its bell not looked at. */
void publish_on_its_way_to_a_core_that_ends_is_given_up(void)
{
    struct cores of;
    struct crowd_client clients[2];
    struct cores_hold held = {.last = NULL};
    struct cores_told told[3];
    if (!cores_begin(&of)) {
        return;
    }
    crowd_connect_on(&of.crowd, &clients[0], 0, "", "lobby");
    crowd_connect_on(&of.crowd, &clients[1], 1, "", "lobby");
    cores_hold(&of, 1, &held);
    for (unsigned i = 0; i < 3; i++) {
        struct gyr_publish publish = cores_ask(&told[i], &GYR_SPAN("lobby"), i == 0 ? 0 : 1);
        EXPECT_INT(cores_publish_with(&of, 0, &publish), 0, "published");
    }
    gyr_server_stop(of.crowd.server);
    cores_let_go(&held);
    gyr_server_wait(of.crowd.server);
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_INT(atomic_load(&told[i].count), 1, "told, once");
    }
    gyr_server_destroy(of.crowd.server);
}
