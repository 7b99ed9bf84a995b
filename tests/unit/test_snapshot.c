/* SPDX-License-Identifier: MIT */
/* Snapshots and walks on two cores and real sockets: who is in them, what changes meanwhile, and
 * that a snapshot is handed out exactly once, whatever mailboxes and cores do. */
#include "gyr/gyr.h"

#include "hub/snapshot.h"
#include "tests/crowd_kit.h"
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

/* A snapshot that was asked for, and what came of it. */
struct taken {
    struct gyr_snapshot *snapshot;
    unsigned core_index;
    _Atomic unsigned count; /* calls */
    sem_t done;
};

static void on_taken(struct gyr_core *core, void *arg, struct gyr_snapshot *snapshot)
{
    struct taken *taken = arg;
    taken->snapshot = snapshot;
    taken->core_index = gyr_core_index(core);
    atomic_fetch_add(&taken->count, 1);
    (void)sem_post(&taken->done);
}

static int take_begin(struct taken *taken, struct crowd *crowd, const char *room, unsigned core)
{
    struct gyr_span name = {room, room == NULL ? 0 : strlen(room)};
    *taken = (struct taken){.snapshot = NULL};
    (void)sem_init(&taken->done, 0, 0);
    return gyr_snapshot(crowd->server, room == NULL ? NULL : &name, core, on_taken, taken);
}

static struct gyr_snapshot *take(struct crowd *crowd, const char *room, unsigned core)
{
    struct taken taken;
    EXPECT_INT(take_begin(&taken, crowd, room, core), 0, "asked for");
    kit_wait(&taken.done);
    EXPECT_INT(taken.count, 1, "once");
    EXPECT_INT(taken.core_index, core, "on the core that was named");
    return taken.snapshot;
}

static bool snapshot_has(const struct gyr_snapshot *snapshot, struct gyr_handle handle)
{
    unsigned found = 0;
    for (size_t i = 0; i < gyr_snapshot_count(snapshot); i++) {
        found += gyr_snapshot_at(snapshot, i).id == handle.id;
    }
    return found == 1;
}

/* Is it exactly these, once each? */
static bool snapshot_is(const struct gyr_snapshot *snapshot, const struct crowd_client *clients,
                        size_t client_count)
{
    bool is = gyr_snapshot_error(snapshot) == 0 && gyr_snapshot_count(snapshot) == client_count;
    for (size_t i = 0; i < client_count; i++) {
        is = is && snapshot_has(snapshot, clients[i].handle);
    }
    return is;
}

/* What a walk has met on a core. */
#define MET_MAX 64

struct met {
    const char *room; /* NULL: all */
    struct gyr_handle except;
    struct gyr_handle handles[MET_MAX];
    size_t count;
};

static void walk_whole(struct gyr_core *core, void *arg)
{
    struct met *met = arg;
    struct gyr_walk walk;
    struct gyr_span name = {met->room, met->room == NULL ? 0 : strlen(met->room)};
    for (struct gyr_conn *conn = gyr_walk_begin(&walk, core, met->room == NULL ? NULL : &name);
         conn != NULL; conn = gyr_walk_next(&walk)) {
        struct gyr_handle handle = gyr_conn_handle(conn);
        if (handle.id != met->except.id && met->count < MET_MAX) {
            met->handles[met->count++] = handle;
        }
    }
    EXPECT_INT(walk.err, 0, "nothing went wrong");
    EXPECT(gyr_walk_next(&walk) == NULL, "over is over");
    gyr_walk_end(&walk);
}

static bool met_is(const struct met *met, const struct crowd_client *clients, size_t client_count)
{
    bool is = met->count == client_count;
    for (size_t i = 0; i < client_count; i++) {
        unsigned found = 0;
        for (size_t k = 0; k < met->count; k++) {
            found += met->handles[k].id == clients[i].handle.id;
        }
        is = is && found == 1;
    }
    return is;
}

static bool walk_is(struct crowd *crowd, unsigned core, const char *room,
                    const struct crowd_client *clients, size_t client_count)
{
    struct met met = {.room = room};
    crowd_run_core(crowd, core, walk_whole, &met);
    return met_is(&met, clients, client_count);
}

static bool snapshots_are(struct crowd *crowd, const char *room, const struct crowd_client *clients,
                          size_t client_count)
{
    bool are = true;
    for (unsigned core = 0; core < CROWD_CORES; core++) {
        struct gyr_snapshot *snapshot = take(crowd, room, core);
        are = are && snapshot_is(snapshot, clients, client_count);
        gyr_snapshot_free(snapshot);
    }
    return are;
}

static void end_client(struct crowd *crowd, struct crowd_client *client)
{
    crowd_leave(client);
    crowd_until_ended(crowd, client->handle);
}

static void leave_room(struct gyr_conn *conn, void *arg)
{
    gyr_leave(conn, *(const struct gyr_span *)arg);
}

/* Two in the room on each core, the last two in none. */
void scenario_102_iterating_visits_exactly_the_live_matching_ones(void)
{
    struct crowd crowd;
    struct crowd_client clients[6];
    struct gyr_span lobby = GYR_SPAN("lobby");
    if (!crowd_init(&crowd)) {
        return;
    }
    crowd_start(&crowd);
    EXPECT(snapshots_are(&crowd, NULL, clients, 0), "nobody is there");
    EXPECT(snapshots_are(&crowd, "lobby", clients, 0), "nor in a room");
    EXPECT(walk_is(&crowd, 0, NULL, clients, 0) && walk_is(&crowd, 1, "lobby", clients, 0),
           "nor met by a walk");
    for (unsigned i = 0; i < 6; i++) {
        crowd_connect_on(&crowd, &clients[i], i / 2 % 2, "", i < 4 ? "lobby" : "");
    }
    EXPECT(snapshots_are(&crowd, NULL, clients, 6), "all");
    EXPECT(snapshots_are(&crowd, "lobby", clients, 4), "a room");
    EXPECT(snapshots_are(&crowd, "lobb", clients, 0), "no room of this name");
    EXPECT(snapshots_are(&crowd, "", clients, 0), "nor of none");
    EXPECT(walk_is(&crowd, 0, "lobby", clients, 2), "those of the room on this core");
    EXPECT(walk_is(&crowd, 1, "lobby", clients + 2, 2), "and on the other");
    EXPECT(walk_is(&crowd, 1, "lobb", clients, 0), "no room of this name");
    EXPECT(walk_is(&crowd, 1, NULL, clients + 2, 2), "all of a core");
    struct met met = {.room = "lobby", .except = clients[0].handle};
    crowd_run_core(&crowd, 0, walk_whole, &met);
    EXPECT(met_is(&met, clients + 1, 1), "all but one");
    end_client(&crowd, &clients[0]);
    EXPECT(snapshots_are(&crowd, "lobby", clients + 1, 3), "without who has ended");
    EXPECT(walk_is(&crowd, 0, "lobby", clients + 1, 1), "without who has ended");
    EXPECT(crowd_run(&crowd, clients[1].handle, leave_room, &lobby), "left");
    EXPECT(snapshots_are(&crowd, "lobby", clients + 2, 2), "without who has left");
    EXPECT(walk_is(&crowd, 0, "lobby", clients, 0), "nobody on this core");
    EXPECT(snapshots_are(&crowd, NULL, clients + 1, 5), "who has left is there still");
    for (unsigned i = 1; i < 6; i++) {
        end_client(&crowd, &clients[i]);
    }
    EXPECT(snapshots_are(&crowd, "lobby", clients, 0), "the room is empty");
    EXPECT(snapshots_are(&crowd, NULL, clients, 0), "and so is the server");
    crowd_end(&crowd);
}

/* A walk that takes one step in each call, so that connections can end and come between. */
struct stroll {
    struct gyr_walk walk;
    bool begun;
    uint64_t visited; /* the handle; 0: it is over */
};

static void stroll_step(struct gyr_core *core, void *arg)
{
    struct stroll *stroll = arg;
    struct gyr_span lobby = GYR_SPAN("lobby");
    struct gyr_conn *conn =
        stroll->begun ? gyr_walk_next(&stroll->walk) : gyr_walk_begin(&stroll->walk, core, &lobby);
    stroll->begun = true;
    stroll->visited = conn == NULL ? 0 : gyr_conn_handle(conn).id;
}

static void stroll_end(struct gyr_core *core, void *arg)
{
    struct stroll *stroll = arg;
    (void)core;
    gyr_walk_end(&stroll->walk);
    gyr_walk_end(&stroll->walk);
    EXPECT(gyr_walk_next(&stroll->walk) == NULL, "ended");
}

static size_t client_index(const struct crowd_client *clients, size_t count, uint64_t handle)
{
    size_t i = 0;
    while (i < count && clients[i].handle.id != handle) {
        i++;
    }
    return i;
}

/* Everybody leaves, and one more joins, while they are walked over. */
static void walk_and_leave(struct gyr_core *core, void *arg)
{
    struct met *met = arg;
    struct gyr_walk walk;
    struct gyr_span lobby = GYR_SPAN("lobby");
    struct gyr_conn *newcomer = gyr_core_find(core, met->except);
    for (struct gyr_conn *conn = gyr_walk_begin(&walk, core, &lobby); conn != NULL;
         conn = gyr_walk_next(&walk)) {
        met->handles[met->count++] = gyr_conn_handle(conn);
        EXPECT_INT(gyr_join(newcomer, lobby), 0, "joined");
        gyr_leave(conn, lobby);
        if (met->count % 2 == 0) {
            gyr_abort(conn);
        }
    }
}

void scenario_103_iterating_is_safe_while_members_come_and_go(void)
{
    enum {
        CLIENTS = 12
    };
    struct crowd crowd;
    struct crowd_client clients[CLIENTS];
    struct crowd_client newcomers[CLIENTS];
    unsigned visits[CLIENTS] = {0};
    bool ended[CLIENTS] = {false};
    struct stroll stroll = {.begun = false};
    size_t newcomer_count = 0;
    if (!crowd_init(&crowd)) {
        return;
    }
    crowd_start(&crowd);
    for (unsigned i = 0; i < CLIENTS; i++) {
        crowd_connect_on(&crowd, &clients[i], 1, "", "lobby");
    }
    for (size_t next = 0;;) {
        crowd_run_core(&crowd, 1, stroll_step, &stroll);
        if (stroll.visited == 0) {
            break;
        }
        size_t at = client_index(clients, CLIENTS, stroll.visited);
        CU_ASSERT_FATAL(at < CLIENTS);
        EXPECT(!ended[at], "who has ended is not visited");
        visits[at]++;
        /* One ends, the last ones first, and a newcomer takes its slot. */
        if (next < CLIENTS) {
            size_t goes = CLIENTS - ++next;
            end_client(&crowd, &clients[goes]);
            ended[goes] = true;
            crowd_connect_on(&crowd, &newcomers[newcomer_count++], 1, "", "lobby");
        }
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        EXPECT(visits[i] == 1 || (visits[i] == 0 && ended[i]), "once, or gone before");
        if (!ended[i]) {
            end_client(&crowd, &clients[i]);
        }
    }
    EXPECT(walk_is(&crowd, 1, "lobby", newcomers, newcomer_count), "the next walk meets them");
    stroll.begun = false;
    crowd_run_core(&crowd, 1, stroll_step, &stroll);
    EXPECT(stroll.visited != 0, "begun");
    crowd_run_core(&crowd, 1, stroll_end, &stroll);
    struct crowd_client last;
    crowd_connect_on(&crowd, &last, 1, "", "");
    struct met met = {.except = last.handle};
    crowd_run_core(&crowd, 1, walk_and_leave, &met);
    EXPECT(met_is(&met, newcomers, newcomer_count), "each once, though all have left");
    EXPECT(walk_is(&crowd, 1, "lobby", &last, 1), "who joined meanwhile is met by the next");
    crowd_end(&crowd);
}

void scenario_104_a_snapshot_does_not_change_when_members_do(void)
{
    struct crowd crowd;
    struct crowd_client clients[4];
    struct crowd_client newcomers[4];
    struct gyr_span lobby = GYR_SPAN("lobby");
    if (!crowd_init(&crowd)) {
        return;
    }
    crowd_start(&crowd);
    for (unsigned i = 0; i < 4; i++) {
        crowd_connect_on(&crowd, &clients[i], i % 2, "", "lobby");
    }
    struct gyr_snapshot *all = take(&crowd, NULL, 0);
    struct gyr_snapshot *room = take(&crowd, "lobby", 1);
    EXPECT(snapshot_is(all, clients, 4) && snapshot_is(room, clients, 4), "all four");
    end_client(&crowd, &clients[0]);
    end_client(&crowd, &clients[1]);
    EXPECT(crowd_run(&crowd, clients[2].handle, leave_room, &lobby), "left");
    for (unsigned i = 0; i < 4; i++) {
        crowd_connect_on(&crowd, &newcomers[i], i % 2, "", "lobby");
    }
    EXPECT(snapshot_is(all, clients, 4) && snapshot_is(room, clients, 4), "the same four");
    for (unsigned i = 0; i < 4; i++) {
        EXPECT(gyr_handle_is_live(crowd.server, clients[i].handle) == (i >= 2), "gone or not");
    }
    EXPECT_INT(gyr_handle_send(crowd.server, clients[0].handle, GYR_TEXT, GYR_SPAN("x")),
               GYR_ERR_CLOSED, "gone, and nobody else in its slot");
    struct gyr_snapshot *later = take(&crowd, "lobby", 0);
    EXPECT_INT(gyr_snapshot_count(later), 5, "another one has the others");
    gyr_snapshot_free(later);
    crowd_end(&crowd);
    EXPECT_INT(gyr_snapshot_count(all), 4, "it outlives the cores");
    gyr_snapshot_free(all);
    gyr_snapshot_free(room);
    gyr_snapshot_free(NULL);
}

void snapshot_refuses_what_cannot_be(void)
{
    struct crowd crowd;
    struct gyr_error error;
    struct gyr_server *server;
    struct taken taken = {.snapshot = NULL};
    char name[GYR_ROOM_NAME_SIZE_MAX + 1] = "";
    const struct gyr_span longest = {name, GYR_ROOM_NAME_SIZE_MAX};
    const struct gyr_span too_long = {name, sizeof(name)};
    if (!crowd_init(&crowd)) {
        return;
    }
    (void)sem_init(&taken.done, 0, 0);
    CU_ASSERT_FATAL(gyr_server_create(&crowd.config, &crowd.service, &server, &error) == 0);
    EXPECT_INT(gyr_snapshot(server, NULL, 0, on_taken, &taken), GYR_ERR_STATE, "not started");
    gyr_server_destroy(server);
    crowd_start(&crowd);
    server = crowd.server;
    EXPECT_INT(gyr_snapshot(server, NULL, CROWD_CORES, on_taken, &taken), GYR_ERR_ARGUMENT,
               "no such core");
    EXPECT_INT(gyr_snapshot(server, &too_long, 0, on_taken, &taken), GYR_ERR_ARGUMENT, "too long");
    EXPECT_INT(gyr_snapshot(server, &longest, 0, on_taken, &taken), 0, "as long as can be");
    kit_wait(&taken.done);
    EXPECT_INT(gyr_snapshot_count(taken.snapshot), 0, "nobody");
    gyr_snapshot_free(taken.snapshot);
    gyr_server_stop(server);
    gyr_server_wait(server);
    EXPECT_INT(gyr_snapshot(server, NULL, 0, on_taken, &taken), GYR_ERR_CLOSED, "ended");
    EXPECT_INT(taken.count, 1, "called for the one that was accepted");
    gyr_server_destroy(server);
}

/* ---- cores that are held, full, or ended ---- */

struct hold {
    sem_t held;
    sem_t go_on;
};

static void hold_core(struct gyr_core *core, void *arg)
{
    struct hold *hold = arg;
    (void)core;
    (void)sem_post(&hold->held);
    kit_wait(&hold->go_on);
}

static void hold_begin(struct hold *hold, struct crowd *crowd, unsigned core)
{
    (void)sem_init(&hold->held, 0, 0);
    (void)sem_init(&hold->go_on, 0, 0);
    EXPECT_INT(gyr_post(crowd->server, core, hold_core, hold), 0, "posted");
    kit_wait(&hold->held);
}

static void hold_end(struct hold *hold)
{
    (void)sem_post(&hold->go_on);
}

static void do_nothing(struct gyr_core *core, void *arg)
{
    (void)core;
    (void)arg;
}

/* Fill the mailbox of a core that is held. */
static void fill(struct crowd *crowd, unsigned core)
{
    int err;
    do {
        err = gyr_post(crowd->server, core, do_nothing, NULL);
    } while (err == 0);
    EXPECT_INT(err, GYR_ERR_BACKPRESSURE, "full");
}

void snapshot_is_handed_out_though_mailboxes_are_full(void)
{
    struct crowd crowd;
    struct crowd_client clients[2];
    struct hold home;
    struct hold other;
    struct taken taken;
    if (!crowd_init(&crowd)) {
        return;
    }
    crowd.config.mailbox_count_max = 16;
    crowd_start(&crowd);
    crowd_connect_on(&crowd, &clients[0], 0, "", "");
    crowd_connect_on(&crowd, &clients[1], 1, "", "");
    /* Home cannot ask, for the other's mailbox is full ... */
    hold_begin(&other, &crowd, 1);
    fill(&crowd, 1);
    EXPECT_INT(take_begin(&taken, &crowd, NULL, 0), 0, "asked for");
    /* ... and the other cannot tell, for home's is. */
    hold_begin(&home, &crowd, 0);
    fill(&crowd, 0);
    EXPECT_INT(gyr_snapshot(crowd.server, NULL, 0, on_taken, &taken), GYR_ERR_BACKPRESSURE,
               "home is full");
    hold_end(&other);
    crowd_run_core(&crowd, 1, do_nothing, NULL);
    EXPECT_INT(taken.count, 0, "not yet");
    hold_end(&home);
    kit_wait(&taken.done);
    EXPECT(snapshot_is(taken.snapshot, clients, 2), "whole");
    gyr_snapshot_free(taken.snapshot);
    crowd_end(&crowd);
    EXPECT_INT(taken.count, 1, "once");
}

/* The other core answers while home is held and full: only the timer can find that. */
void snapshot_is_found_whole_though_nobody_can_tell(void)
{
    struct crowd crowd;
    struct crowd_client clients[2];
    struct hold home;
    struct hold other;
    struct taken taken;
    if (!crowd_init(&crowd)) {
        return;
    }
    crowd.config.mailbox_count_max = 16;
    crowd_start(&crowd);
    crowd_connect_on(&crowd, &clients[0], 0, "", "");
    crowd_connect_on(&crowd, &clients[1], 1, "", "");
    hold_begin(&other, &crowd, 1);
    EXPECT_INT(take_begin(&taken, &crowd, NULL, 0), 0, "asked for");
    crowd_run_core(&crowd, 0, do_nothing, NULL); /* home has asked when this has run */
    hold_begin(&home, &crowd, 0);
    fill(&crowd, 0);
    hold_end(&other);
    crowd_run_core(&crowd, 1, do_nothing, NULL); /* and the other has answered */
    EXPECT_INT(taken.count, 0, "not yet");
    hold_end(&home);
    kit_wait(&taken.done);
    EXPECT(snapshot_is(taken.snapshot, clients, 2), "whole");
    gyr_snapshot_free(taken.snapshot);
    crowd_end(&crowd);
    EXPECT_INT(taken.count, 1, "once");
}

void snapshot_is_refused_when_too_many_are_under_way(void)
{
    static struct taken taken[SNAPSHOTS_MAX + 1];
    struct crowd crowd;
    struct hold other;
    if (!crowd_init(&crowd)) {
        return;
    }
    crowd_start(&crowd);
    hold_begin(&other, &crowd, 1);
    for (unsigned i = 0; i < SNAPSHOTS_MAX; i++) {
        EXPECT_INT(take_begin(&taken[i], &crowd, NULL, 0), 0, "asked for");
    }
    EXPECT_INT(take_begin(&taken[SNAPSHOTS_MAX], &crowd, NULL, 0), GYR_ERR_BACKPRESSURE,
               "one too many");
    hold_end(&other);
    for (unsigned i = 0; i < SNAPSHOTS_MAX; i++) {
        kit_wait(&taken[i].done);
        EXPECT_INT(gyr_snapshot_error(taken[i].snapshot), 0, "whole");
        gyr_snapshot_free(taken[i].snapshot);
    }
    struct gyr_snapshot *snapshot = take(&crowd, NULL, 0);
    EXPECT_INT(gyr_snapshot_count(snapshot), 0, "there is room again");
    gyr_snapshot_free(snapshot);
    crowd_end(&crowd);
    EXPECT_INT(taken[SNAPSHOTS_MAX].count, 0, "what was refused is not called");
}

void snapshot_is_handed_out_when_its_core_ends_before_it_is_whole(void)
{
    struct crowd crowd;
    struct crowd_client client;
    struct hold other;
    struct taken taken;
    if (!crowd_init(&crowd)) {
        return;
    }
    crowd_start(&crowd);
    crowd_connect_on(&crowd, &client, 1, "", "");
    hold_begin(&other, &crowd, 1);
    EXPECT_INT(take_begin(&taken, &crowd, NULL, 0), 0, "asked for");
    gyr_server_stop(crowd.server);
    kit_wait(&taken.done); /* core 0 has nobody, and ends; core 1 cannot */
    EXPECT_INT(gyr_snapshot_error(taken.snapshot), GYR_ERR_CLOSED, "not all are in it");
    EXPECT_INT(gyr_snapshot_count(taken.snapshot), 0, "what came too late is not");
    EXPECT_INT(taken.core_index, 0, "on its core");
    hold_end(&other);
    gyr_server_wait(crowd.server);
    EXPECT_INT(gyr_snapshot_count(taken.snapshot), 0, "and never will be");
    gyr_snapshot_free(taken.snapshot);
    gyr_server_destroy(crowd.server);
    EXPECT_INT(taken.count, 1, "once");
    crowd_leave(&client);
}

static bool core_has_ended(void *arg)
{
    struct crowd *crowd = arg;
    return gyr_post(crowd->server, 1, do_nothing, NULL) == GYR_ERR_CLOSED;
}

void snapshot_takes_a_core_that_has_ended_for_empty(void)
{
    struct crowd crowd;
    struct crowd_client client;
    struct taken taken;
    if (!crowd_init(&crowd)) {
        return;
    }
    crowd.config.close_timeout_ms = 1000 * KIT_PATIENCE_S;
    crowd.config.shutdown_deadline_ms = 1000 * KIT_PATIENCE_S;
    crowd_start(&crowd);
    crowd_connect_on(&crowd, &client, 0, "", "lobby");
    gyr_server_stop(crowd.server);
    crowd_until(core_has_ended, &crowd);
    EXPECT_INT(take_begin(&taken, &crowd, "lobby", 1), GYR_ERR_CLOSED, "it can do nothing more");
    struct gyr_snapshot *snapshot = take(&crowd, "lobby", 0);
    EXPECT(snapshot_is(snapshot, &client, 1), "who waits for the client's Close");
    gyr_snapshot_free(snapshot);
    crowd_leave(&client);
    gyr_server_wait(crowd.server);
    gyr_server_destroy(crowd.server);
}

/* on_core_start asks, and then the start fails on another core. */
struct failing {
    _Atomic unsigned accepted;
    _Atomic unsigned handed_out;
};

static void on_failing(struct gyr_core *core, void *arg, struct gyr_snapshot *snapshot)
{
    struct failing *failing = arg;
    (void)core;
    atomic_fetch_add(&failing->handed_out, gyr_snapshot_count(snapshot) == 0);
    gyr_snapshot_free(snapshot);
}

static int start_or_fail(struct gyr_core *core)
{
    struct failing *failing = gyr_server_user(gyr_core_server(core));
    for (unsigned i = 0; i < CROWD_CORES; i++) {
        int err = gyr_snapshot(gyr_core_server(core), NULL, i, on_failing, failing);
        atomic_fetch_add(&failing->accepted, err == 0);
    }
    return gyr_core_index(core) == 0 ? 0 : GYR_ERR_LIMIT;
}

void snapshot_is_handed_out_when_the_server_does_not_start(void)
{
    struct crowd crowd;
    struct failing failing = {0, 0};
    struct gyr_server *server;
    struct gyr_error error;
    if (!crowd_init(&crowd)) {
        return;
    }
    crowd.service.on_core_start = start_or_fail;
    crowd.service.user = &failing;
    CU_ASSERT_FATAL(gyr_server_create(&crowd.config, &crowd.service, &server, &error) == 0);
    EXPECT_INT(gyr_server_start(server, &error), GYR_ERR_LIMIT, "it fails");
    gyr_server_destroy(server);
    EXPECT_INT(failing.accepted, CROWD_CORES * CROWD_CORES, "all were accepted");
    EXPECT_INT(failing.handed_out, CROWD_CORES * CROWD_CORES, "and each was handed out");
}
