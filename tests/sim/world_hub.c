/* SPDX-License-Identifier: MIT */
/* What must hold when nobody has anything to do: no core sleeps with something in its bell, the
 * counts of rooms are those of the ledger, and nobody waits to be told. */
#include "tests/sim/world_hub.h"

#include "engine/server.h"
#include "hub/hub.h"
#include "tests/sim/ledger.h"
#include "tests/sim/world.h"

#include <stdlib.h>

void world_hub_create(struct world *world)
{
    if (world->ledger == NULL && !world->plan.has_app_rooms) {
        return;
    }
    struct gyr_server *server = calloc(1, sizeof(*server));
    ASSERT(server != NULL);
    server->config = world->plan.config;
    server->service = world->service;
    server->ring_ops = &ring_sim_ops;
    server->core_count = world->plan.core_count;
    server->configs = world->configs;
    server->cores = world->cores;
    server->addresses = world->addresses;
    server->layer = &hub_layer;
    world->server = server;
    const struct engine_server made = {
        .server = server,
        .config = &server->config,
        .service = &world->service,
        .core_count = server->core_count,
        .point = strand_point,
    };
    struct gyr_error error;
    int err = hub_layer.server_create(&made, &world->hub, &error);
    ASSERT(err == 0);
    server->layer_state = world->hub;
}

const struct engine_layer *world_hub_layer(const struct world *world)
{
    return world->server == NULL ? NULL : &hub_layer;
}

void world_hub_start(struct world *world)
{
    if (world->server == NULL) {
        return;
    }
    atomic_store_explicit(&world->server->cores_made, true, memory_order_seq_cst);
    for (unsigned i = 0; i < world->plan.core_count; i++) {
        int err = core_layer_start(world->cores[i]);
        ASSERT(err == 0);
    }
}

void world_hub_destroy(struct world *world)
{
    if (world->server != NULL) {
        hub_layer.server_destroy(world->hub);
        free(world->server);
    }
}

/* ---- at rest ---- */

static void bells_check(struct world *world)
{
    for (unsigned i = 0; i < world->plan.core_count; i++) {
        uint32_t bell =
            world->ended[i] ? 0 : atomic_load_explicit(world->cores[i]->bell, memory_order_seq_cst);
        if (bell != 0) {
            world_fail(world, "core %u sleeps with 0x%x in its bell", i, bell);
        }
    }
}

/* Every core has taken what was meant for it. Looked at in every other world: a core that has
 * nothing in a lane must be able to fall laps behind, and looking moves it on. */
static void lanes_check(struct world *world)
{
    static const struct broadcast_interest NOBODY;
    const struct hub *hub = world->hub;
    for (unsigned i = 0; i < world->plan.core_count; i++) {
        for (unsigned lane = 0; lane < hub->config->broadcast_lanes; lane++) {
            if (!world->ended[i] && world->plan.seed % 2 == 0 &&
                !broadcast_may_bypass(hub->ring, lane, &NOBODY, i)) {
                world_fail(world, "core %u sleeps, and something is left for it in lane %u", i,
                           lane);
            }
        }
    }
}

static void members_check(struct world *world)
{
    const struct ledger *ledger = world->ledger;
    uint64_t all = 0;
    for (unsigned room = 0; room < ledger->count; room++) {
        uint64_t members = 0;
        for (unsigned i = 0; i <= world->client_count; i++) {
            const struct guest *guest = &ledger->guests[i];
            if (guest->asked != ASKED_NOTHING) {
                return;
            }
            members += guest->now >> room & 1;
        }
        struct gyr_room_stats stats = {0};
        int err = gyr_room_stats(world->server, ledger->room[room].name, &stats, sizeof(stats));
        if (err != (members == 0 ? GYR_ERR_NOT_FOUND : 0) || stats.members != members) {
            world_fail(world, "room %u has %llu members: gyr_room_stats returns %d, %llu members",
                       room, (unsigned long long)members, err, (unsigned long long)stats.members);
        }
        all += members;
    }
    uint64_t counted = 0;
    for (unsigned i = 0; i < world->plan.core_count; i++) {
        counted += world->cores[i]->stats.memberships;
    }
    if (counted != all) {
        world_fail(world, "there are %llu memberships, the statistics say %llu",
                   (unsigned long long)all, (unsigned long long)counted);
    }
}

/* Who was not given something and has nothing more to read has been told. */
static void told_check(struct world *world)
{
    for (unsigned i = 0; i <= world->client_count; i++) {
        struct guest *guest = &world->ledger->guests[i];
        if (guest->visit == NULL || guest->visit->state != VISIT_OPEN) {
            continue;
        }
        struct gyr_conn *conn = guest->visit->conn;
        if (gyr_queued_size(conn) != 0 || engine_conn_may_send(conn) != 0) {
            continue; /* on_drain follows; or on_close, and nothing else */
        }
        uint64_t dropped = gyr_take_dropped(conn);
        guest->told += dropped;
        if (dropped != 0) {
            world_fail(world,
                       "client %u, core %u: %llu messages were dropped, and no on_drain came", i,
                       guest->core_index, (unsigned long long)dropped);
        }
    }
}

static bool is_empty(const struct world *world)
{
    for (unsigned i = 0; i < world->plan.core_count; i++) {
        if (!world->ended[i] && world->cores[i]->open_count != 0) {
            return false;
        }
    }
    return true;
}

/* There is no connection: nothing is on its way, and whoever was refused has been told. */
static void empty_check(struct world *world)
{
    const struct hub *hub = world->hub;
    const struct ledger *ledger = world->ledger;
    uint64_t size = atomic_load_explicit(&hub->broadcast_size, memory_order_relaxed);
    if (size != 0) {
        world_fail(world, "nobody is connected, and %llu bytes are on their way between cores",
                   (unsigned long long)size);
    }
    for (unsigned i = 0; i < world->plan.core_count; i++) {
        if (ledger->ready_owed[i] && !world->ended[i]) {
            world_fail(world, "core %u: a publish was refused, and no on_publish_ready came", i);
        }
    }
}

void world_hub_quiet(struct world *world)
{
    bells_check(world);
    lanes_check(world);
    members_check(world);
    told_check(world);
    if (is_empty(world)) {
        world->ledger->has_rested = world->is_ending;
        empty_check(world);
    }
}

void world_hub_check_end(struct world *world)
{
    if (world->server == NULL) {
        return;
    }
    const struct hub *hub = world->hub;
    const struct ledger *ledger = world->ledger;
    uint64_t size = atomic_load_explicit(&hub->broadcast_size, memory_order_relaxed);
    if (size != 0) {
        world_fail(world, "the cores have ended, and %llu bytes are on their way between them",
                   (unsigned long long)size);
    }
    if (ledger == NULL) {
        return;
    }
    for (unsigned room = 0; room < ledger->count; room++) {
        struct gyr_room_stats stats;
        int err = gyr_room_stats(world->server, ledger->room[room].name, &stats, sizeof(stats));
        if (err != GYR_ERR_NOT_FOUND) {
            world_fail(world, "the cores have ended, and room %u is there: %d", room, err);
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        char id[] = "id-0";
        id[3] = (char)('0' + i);
        struct gyr_handle handle;
        if (gyr_find(world->server, (struct gyr_span){id, strlen(id)}, &handle) !=
            GYR_ERR_NOT_FOUND) {
            world_fail(world, "the cores have ended, and somebody has %s", id);
        }
    }
    if (ledger->pending_count != 0) {
        world_fail(world, "%u calls by handle or snapshots have never come back",
                   ledger->pending_count);
    }
}
