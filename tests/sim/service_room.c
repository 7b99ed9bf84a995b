/* SPDX-License-Identifier: MIT */
/* What the service does with rooms, on the core of a connection: joins and leaves, before the
 * handshake is accepted too, and looks whether the calls that tell of memberships are right. */
#include "tests/sim/ledger.h"
#include "tests/sim/world.h"

#include <stdlib.h>

#define STORM_MAX 1000

static void join(struct visit *visit, unsigned room);
static void leave(struct visit *visit, unsigned room);
static void storm(struct visit *visit, unsigned room);
static void rooms_look(struct visit *visit);
static void walk(struct visit *visit, unsigned room);
static void id_set(struct visit *visit);

void visit_room_join(struct visit *visit)
{
    struct world *world = visit->world;
    if (world->ledger == NULL) {
        return;
    }
    unsigned count = dice_below(&visit->dice, 4);
    for (unsigned i = 0; i < count; i++) {
        unsigned room = dice_below(&visit->dice, world->ledger->count);
        if (world->ledger->room[room].history_count != 0 && dice_chance(&visit->dice, 600)) {
            visit_room_join_since(visit, room);
        } else {
            join(visit, room);
        }
    }
}

void visit_room_act(struct visit *visit)
{
    struct world *world = visit->world;
    struct dice *dice = &visit->dice;
    if (world->ledger == NULL || ledger_guest(world, visit->client)->visit != visit ||
        !dice_chance(dice, world->plan.act_chance)) {
        return;
    }
    unsigned room = dice_below(dice, world->ledger->count);
    unsigned drawn = dice_below(dice, 100);
    if (drawn < 50) {
        unsigned count = dice_chance(dice, 150) ? dice_between(dice, 2, 8) : 1;
        while (count-- > 0) {
            ledger_publish(world, dice, visit);
        }
    } else if (drawn < 68 && world->ledger->room[room].history_count != 0) {
        visit_room_join_since(visit, room);
    } else if (drawn < 68) {
        join(visit, room);
    } else if (drawn < 78) {
        leave(visit, room);
    } else if (drawn < 80) {
        storm(visit, room);
    } else if (drawn < 84) {
        rooms_look(visit);
    } else if (drawn < 88) {
        walk(visit, room);
    } else if (drawn < 91) {
        id_set(visit);
    } else {
        ledger_thread_act(world, dice);
    }
}

/* ---- joining and leaving ---- */

/* May a call say that the connection is closed? */
static bool is_closing(const struct visit *visit)
{
    return engine_conn_may_send(visit->conn) == GYR_ERR_CLOSED;
}

static void join_check(struct visit *visit, unsigned room, bool was_member, int err)
{
    struct world *world = visit->world;
    const struct gyr_config *config = &world->plan.config;
    const struct guest *guest = ledger_guest(world, visit->client);
    unsigned count = (unsigned)__builtin_popcount(guest->now);
    unsigned most = count + (guest->asked == ASKED_JOIN);
    bool right = err == 0                ? was_member || count < config->conn_rooms_max
                 : err == GYR_ERR_CLOSED ? is_closing(visit)
                 : err == GYR_ERR_MEMORY ? (world->plan.excuses & EXCUSE_MEMORY) != 0
                 : err == GYR_ERR_LIMIT  ? !was_member && (most >= config->conn_rooms_max ||
                                                          config->rooms_max < world->ledger->count)
                                         : false;
    if (!right ||
        gyr_is_member(visit->conn, world->ledger->room[room].name) != (was_member || err == 0)) {
        world_fail(world, "client %u, core %u, in %u rooms: gyr_join of room %u returned %d",
                   visit->client->id, visit->core_index, count, room, err);
    }
}

static bool is_asked(const struct guest *guest, unsigned room)
{
    return guest->asked != ASKED_NOTHING && guest->asked_room == room;
}

static void join(struct visit *visit, unsigned room)
{
    struct world *world = visit->world;
    struct guest *guest = ledger_guest(world, visit->client);
    if (is_asked(guest, room)) {
        return;
    }
    bool was_member = (guest->now >> room & 1) != 0;
    unsigned at = guest->stay_count;
    if (!was_member) {
        ledger_stay_begin(world, guest, room);
    }
    world->is_call = true;
    int err = gyr_join(visit->conn, world->ledger->room[room].name);
    world->is_call = false;
    world_note(world, "    gyr_join of room %u: %d", room, err);
    join_check(visit, room, was_member, err);
    if (!was_member && err == 0) {
        guest->stays[at].join_end = ledger_stamp(world);
        guest->now |= 1U << room;
    } else if (!was_member) {
        guest->stay_count = at;
    }
}

static void leave(struct visit *visit, unsigned room)
{
    struct world *world = visit->world;
    struct guest *guest = ledger_guest(world, visit->client);
    if (is_asked(guest, room)) {
        return;
    }
    struct stay *stay = ledger_stay_of(guest, room);
    if (stay != NULL) {
        stay->leave_start = ledger_stamp(world);
    }
    world->is_call = true;
    gyr_leave(visit->conn, world->ledger->room[room].name);
    world->is_call = false;
    world_note(world, "    gyr_leave of room %u%s", room, stay == NULL ? ", no member" : "");
    if (stay != NULL) {
        stay->leave_end = ledger_stamp(world);
        guest->now &= ~(1U << room);
    }
    if (gyr_is_member(visit->conn, world->ledger->room[room].name)) {
        world_fail(world, "client %u, core %u: still a member of room %u after gyr_leave",
                   visit->client->id, visit->core_index, room);
    }
}

/* Very many in one turn, which leave nothing behind. In the ledger they are one stay, of which
 * nothing is certain. */
static void storm(struct visit *visit, unsigned room)
{
    struct world *world = visit->world;
    struct guest *guest = ledger_guest(world, visit->client);
    struct gyr_span name = world->ledger->room[room].name;
    if (is_asked(guest, room)) {
        return;
    }
    unsigned count = world->plan.switch_chance == 0 ? STORM_MAX : 20;
    unsigned at = guest->stay_count;
    leave(visit, room);
    ledger_stay_begin(world, guest, room);
    world_note(world, "    %u times gyr_join and gyr_leave of room %u", count, room);
    world->is_call = true;
    for (unsigned i = 0; i < count; i++) {
        int err = gyr_join(visit->conn, name);
        if (gyr_is_member(visit->conn, name) != (err == 0)) {
            world_fail(world, "client %u: gyr_join of room %u returned %d, and is not so",
                       visit->client->id, room, err);
        }
        gyr_leave(visit->conn, name);
    }
    world->is_call = false;
    struct stay *stay = &guest->stays[at];
    stay->leave_end = ledger_stamp(world);
    stay->leave_start = stay->join_start;
}

void visit_room_told(struct visit *visit)
{
    struct world *world = visit->world;
    if (world->ledger != NULL && ledger_guest(world, visit->client)->visit == visit) {
        struct guest *guest = ledger_guest(world, visit->client);
        uint64_t count = gyr_take_dropped(visit->conn);
        world_note(world, "    gyr_take_dropped: %llu", (unsigned long long)count);
        guest->told += count;
        if (gyr_take_dropped(visit->conn) != 0) {
            world_fail(world, "client %u: what was dropped is told twice", visit->client->id);
        }
    }
}

void visit_room_asked(struct visit *visit)
{
    struct world *world = visit->world;
    struct guest *guest = ledger_guest(world, visit->client);
    if (guest->asked == ASKED_NOTHING) {
        return;
    }
    unsigned room = guest->asked_room;
    bool is_member = gyr_is_member(visit->conn, world->ledger->room[room].name);
    if (is_member != (guest->asked == ASKED_JOIN)) {
        return; /* not yet */
    }
    struct stay *stay = ledger_stay_of(guest, room);
    ASSERT(stay != NULL);
    guest->asked = ASKED_NOTHING;
    if (is_member) {
        stay->join_end = ledger_stamp(world);
        guest->now |= 1U << room;
    } else {
        stay->leave_end = ledger_stamp(world);
        guest->now &= ~(1U << room);
    }
}

/* ---- looking ---- */

static void rooms_look(struct visit *visit)
{
    struct world *world = visit->world;
    const struct ledger *ledger = world->ledger;
    const struct guest *guest = ledger_guest(world, visit->client);
    if (guest->asked != ASKED_NOTHING) {
        return;
    }
    uint32_t seen = 0;
    for (size_t i = 0; i < gyr_conn_room_count(visit->conn); i++) {
        struct gyr_span name = gyr_conn_room_at(visit->conn, i);
        for (unsigned room = 0; room < ledger->count; room++) {
            if (name.size == ledger->room[room].name.size &&
                memcmp(name.ptr, ledger->room[room].name.ptr, name.size) == 0) {
                seen |= 1U << room;
            }
        }
    }
    if (seen != guest->now ||
        gyr_conn_room_count(visit->conn) != (unsigned)__builtin_popcount(guest->now)) {
        world_fail(world, "client %u, core %u: is in %zu rooms, 0x%x; it should be 0x%x",
                   visit->client->id, visit->core_index, gyr_conn_room_count(visit->conn), seen,
                   guest->now);
    }
    for (unsigned room = 0; room < ledger->count; room++) {
        if (gyr_is_member(visit->conn, ledger->room[room].name) !=
            ((guest->now >> room & 1) != 0)) {
            world_fail(world, "client %u, core %u: gyr_is_member of room %u is wrong",
                       visit->client->id, visit->core_index, room);
        }
    }
}

/* Go over the members on this core; now and then some of them leave meanwhile, or end. */
static void walk(struct visit *visit, unsigned room)
{
    struct world *world = visit->world;
    struct ledger *ledger = world->ledger;
    struct gyr_core *core = gyr_conn_core(visit->conn);
    uint64_t expected = 0;
    uint64_t seen = 0;
    for (unsigned i = 0; i <= world->client_count; i++) {
        const struct guest *guest = &ledger->guests[i];
        if (guest->visit != NULL && guest->core_index == visit->core_index &&
            guest->ended == NEVER) {
            if (is_asked(guest, room)) {
                return;
            }
            expected |= (uint64_t)(guest->now >> room & 1) << i;
        }
    }
    bool leaves = dice_chance(&visit->dice, 300);
    struct gyr_walk steps;
    struct gyr_conn *conn = gyr_walk_begin(&steps, core, &ledger->room[room].name);
    if (steps.err == GYR_ERR_MEMORY && (world->plan.excuses & EXCUSE_MEMORY) != 0) {
        return;
    }
    for (; conn != NULL; conn = gyr_walk_next(&steps)) {
        struct visit *other = visit_of(conn);
        if ((seen >> other->client->id & 1) != 0) {
            world_fail(world, "core %u: a walk of room %u comes to client %u twice",
                       visit->core_index, room, other->client->id);
        }
        seen |= UINT64_C(1) << other->client->id;
        if (leaves) {
            leave(other, room);
        }
    }
    gyr_walk_end(&steps);
    if (seen != expected) {
        world_fail(world, "core %u: a walk of room %u sees clients 0x%llx; there are 0x%llx",
                   visit->core_index, room, (unsigned long long)seen, (unsigned long long)expected);
    }
}

/* ---- names ---- */

const struct guest *ledger_id_holder(const struct world *world, const char *id)
{
    for (unsigned i = 0; i <= world->client_count; i++) {
        const struct guest *guest = &world->ledger->guests[i];
        if (id[0] != '\0' && strcmp(guest->id, id) == 0) {
            return guest;
        }
    }
    return NULL;
}

static void id_set(struct visit *visit)
{
    struct world *world = visit->world;
    struct guest *guest = ledger_guest(world, visit->client);
    char id[] = "id-0";
    id[3] = (char)('0' + dice_below(&visit->dice, 4));
    const struct guest *holder = ledger_id_holder(world, id);
    bool is_unsure = holder != NULL && holder->is_leaving;
    world->is_call = true;
    int err = gyr_conn_set_id(visit->conn, (struct gyr_span){id, strlen(id)});
    world->is_call = false;
    world_note(world, "    gyr_conn_set_id %s: %d", id, err);
    bool right = err == 0                ? guest->id[0] == '\0' && (holder == NULL || is_unsure)
                 : err == GYR_ERR_EXISTS ? holder != NULL && holder != guest
                 : err == GYR_ERR_STATE  ? guest->id[0] != '\0'
                 : err == GYR_ERR_CLOSED ? is_closing(visit)
                 : err == GYR_ERR_MEMORY ? (world->plan.excuses & EXCUSE_MEMORY) != 0
                                         : false;
    right = right || (err == 0 && holder == guest); /* the same once more */
    if (!right) {
        world_fail(world, "client %u, core %u: gyr_conn_set_id %s returned %d; %s has it",
                   visit->client->id, visit->core_index, id, err,
                   holder == NULL ? "nobody" : "another");
    }
    if (err == 0) {
        memcpy(guest->id, id, sizeof(id));
    }
    struct gyr_span now = gyr_conn_id(visit->conn);
    if (now.size != strlen(guest->id) ||
        (now.size != 0 && memcmp(now.ptr, guest->id, now.size) != 0)) {
        world_fail(world, "client %u: gyr_conn_id is %.*s instead of %s", visit->client->id,
                   (int)now.size, now.ptr, guest->id);
    }
}
