/* SPDX-License-Identifier: MIT */
/* Publishing, from a connection, a core or another thread, in all ways there are; what the engine
 * tells of it; and what any thread may do to a connection by its handle. */
#include "tests/sim/ledger.h"
#include "tests/sim/world.h"

#include <stdlib.h>

static void publish_plain(struct letter *letter, struct visit *visit, struct gyr_span payload,
                          bool others);
static void publish_with(struct letter *letter, struct dice *dice, struct gyr_core *core,
                         struct gyr_span payload);
static void on_published(struct gyr_core *core, void *arg, const struct gyr_published *published);
static void handle_act(struct world *world, struct dice *dice, struct guest *guest);
static void snapshot(struct world *world, struct dice *dice);

static struct world *world_of(struct gyr_core *core)
{
    return *(struct world **)gyr_core_data(core);
}

static struct gyr_core *core_now(struct world *world)
{
    return world->strand_now < world->plan.core_count
               ? (struct gyr_core *)world->cores[world->strand_now]
               : NULL;
}

/* ---- publishing ---- */

static uint32_t size_draw(struct dice *dice)
{
    uint32_t drawn = dice_below(dice, 100);
    return LETTER_MIN + (drawn < 60   ? dice_below(dice, 40)
                         : drawn < 95 ? dice_below(dice, 250)
                                      : dice_below(dice, 1500));
}

/* Mostly a room that the publisher is in. */
static unsigned room_draw(struct world *world, struct dice *dice, const struct visit *visit)
{
    unsigned room = dice_below(dice, world->ledger->count);
    uint32_t now = visit == NULL ? 0 : ledger_guest(world, visit->client)->now;
    for (unsigned i = 0; i < world->ledger->count && (now >> room & 1) == 0; i++) {
        room = now != 0 ? (room + 1) % world->ledger->count : room;
    }
    return room;
}

static void list_draw(struct world *world, struct dice *dice, struct letter *letter,
                      const struct visit *visit)
{
    if (dice_chance(dice, 60)) {
        letter->listed[0] = ROOM_ALL;
        letter->listed_count = 1;
        return;
    }
    letter->listed_count = dice_chance(dice, 120) ? dice_between(dice, 2, LISTED_MAX) : 1;
    letter->listed[0] = (uint8_t)room_draw(world, dice, visit);
    for (unsigned i = 1; i < letter->listed_count; i++) {
        letter->listed[i] = (uint8_t)dice_below(dice, world->ledger->count); /* twice, perhaps */
    }
    for (unsigned i = 0; i < letter->listed_count; i++) {
        if (world->ledger->room[letter->listed[i]].history_count != 0) {
            letter->listed[0] = letter->listed[i]; /* not with others */
            letter->listed_count = 1;
        }
    }
}

void ledger_publish(struct world *world, struct dice *dice, struct visit *visit)
{
    struct ledger *ledger = world->ledger;
    const struct plan *plan = &world->plan;
    uint32_t size = size_draw(dice);
    if (ledger->letter_count >= plan->letters_max || ledger->bytes + size > plan->letter_bytes ||
        (size + 10 > plan->config.send_queue_size_max)) {
        return;
    }
    struct letter *letter = letter_begin(world, size);
    struct gyr_core *core = core_now(world);
    bool is_plain = visit != NULL && visit->core_index == world->strand_now;
    is_plain = is_plain && dice_chance(dice, 600);
    if (is_plain) {
        letter->listed[0] = (uint8_t)room_draw(world, dice, visit);
        letter->listed_count = 1;
    } else {
        list_draw(world, dice, letter, visit);
    }
    letter->opcode = dice_chance(dice, 800) ? GYR_TEXT : GYR_BINARY;
    unsigned first = letter->listed[0];
    letter->is_sequenced = first != ROOM_ALL && ledger->room[first].history_count != 0;
    char *bytes = malloc(size);
    ASSERT(bytes != NULL);
    letter_write(letter, bytes);
    struct gyr_span payload = {bytes, size};
    if (is_plain) {
        publish_plain(letter, visit, payload, dice_chance(dice, 250));
    } else {
        publish_with(letter, dice, core, payload);
    }
    free(bytes);
}

static void published(struct world *world, struct letter *letter, int err)
{
    struct ledger *ledger = world->ledger;
    letter_end(world, letter, err);
    unsigned core = letter->strand < world->plan.core_count ? letter->strand : 0;
    if (err == GYR_ERR_BACKPRESSURE) {
        /* To a thread it may be told before it knows. */
        ledger->ready_owed[core] |= ledger->ready_stamp[core] < letter->called;
        ledger->refused_count++;
    }
    bool right = err == 0 || err == GYR_ERR_BACKPRESSURE ||
                 (err == GYR_ERR_CLOSED && world->is_stopping) ||
                 (err == GYR_ERR_MEMORY && (world->plan.excuses & EXCUSE_MEMORY) != 0);
    if (!right) {
        char text[LETTER_TEXT_SIZE];
        world_fail(world, "%s: the call returned %d", letter_text(world, letter, text), err);
    }
}

static void publish_plain(struct letter *letter, struct visit *visit, struct gyr_span payload,
                          bool others)
{
    struct world *world = visit->world;
    struct gyr_span room = world->ledger->room[letter->listed[0]].name;
    enum gyr_opcode opcode = (enum gyr_opcode)letter->opcode;
    if (others) {
        letter->except = UINT64_C(1) << visit->client->id;
    }
    world->is_call = true;
    int err = others ? gyr_publish_others(visit->conn, room, opcode, payload)
                     : gyr_publish(gyr_conn_core(visit->conn), room, opcode, payload);
    world->is_call = false;
    published(world, letter, err);
}

static unsigned except_draw(struct world *world, struct dice *dice, struct letter *letter,
                            struct gyr_handle *handles)
{
    unsigned count = 0;
    for (unsigned i = 0; i <= world->client_count && dice_chance(dice, 300); i++) {
        unsigned id = dice_below(dice, world->client_count + 1);
        const struct visit *visit = world->ledger->guests[id].visit;
        if (visit != NULL && count < 4) {
            handles[count++] = visit->handle;
            letter->except |= UINT64_C(1) << id;
        }
    }
    return count;
}

static void publish_with(struct letter *letter, struct dice *dice, struct gyr_core *core,
                         struct gyr_span payload)
{
    static const struct gyr_span KEYS[] = {GYR_LITERAL(""), GYR_LITERAL("key"), GYR_LITERAL("x")};
    struct world *world = letter->world;
    struct gyr_span rooms[LISTED_MAX];
    struct gyr_handle except[4];
    struct gyr_publish publish = gyr_publish_default();
    publish.rooms = rooms;
    publish.room_count = letter->listed[0] == ROOM_ALL ? 0 : letter->listed_count;
    for (unsigned i = 0; i < publish.room_count; i++) {
        rooms[i] = world->ledger->room[letter->listed[i]].name;
    }
    publish.opcode = (enum gyr_opcode)letter->opcode;
    publish.payload = payload;
    publish.except = except;
    publish.except_count = except_draw(world, dice, letter, except);
    publish.key = KEYS[dice_below(dice, COUNT_OF(KEYS))];
    letter->wants_done = letter->is_sequenced || dice_chance(dice, 500);
    letter->timeout_ms = GYR_NO_TIMEOUT;
    if (letter->wants_done) {
        letter->done_core = dice_below(dice, world->plan.core_count);
        letter->timeout_ms = DICE_PICK(dice, GYR_NO_TIMEOUT, GYR_NO_TIMEOUT, 0, 5, 200);
        letter->errors_max = DICE_PICK(dice, 0, 1, 100);
        publish.done = on_published;
        publish.arg = letter;
        publish.done_core_index = letter->done_core;
        publish.timeout_ms = letter->timeout_ms;
        publish.errors_max = letter->errors_max;
    }
    world->is_call = true;
    int err = core == NULL ? gyr_server_publish(world->server, &publish)
                           : gyr_publish_with(core, &publish);
    world->is_call = false;
    published(world, letter, err);
}

/* Who has this handle? */
static struct guest *guest_of(struct world *world, struct gyr_handle handle)
{
    for (unsigned i = 0; i <= world->client_count; i++) {
        struct guest *guest = &world->ledger->guests[i];
        if (guest->visit != NULL && guest->visit->handle.id == handle.id) {
            return guest;
        }
    }
    return NULL;
}

static void on_published(struct gyr_core *core, void *arg, const struct gyr_published *published)
{
    struct world *world = world_of(core);
    struct letter *letter = arg;
    char text[LETTER_TEXT_SIZE];
    letter_text(world, letter, text);
    world_note(world, "core%u done: %s: queued %llu, dropped %llu, closed %llu, timed out %llu",
               gyr_core_index(core), text, (unsigned long long)published->queued,
               (unsigned long long)published->dropped, (unsigned long long)published->closed,
               (unsigned long long)published->timed_out);
    if (world->is_upcall || world->is_call) {
        world_fail(world, "%s: done within another upcall or a call", text);
    }
    /* On another core it may come before the call has returned to who made it. */
    bool is_early = letter->returned == 0 && letter->strand == letter->done_core;
    if (letter->done_count++ != 0 || !letter->wants_done || is_early || letter->result != 0) {
        world_fail(world, "%s: done comes for the %u. time, the call returned %d", text,
                   letter->done_count, letter->result);
    }
    if (gyr_core_index(core) != letter->done_core) {
        world_fail(world, "%s: done on core %u instead of %u", text, gyr_core_index(core),
                   letter->done_core);
    }
    letter->done = *published;
    uint64_t failed = published->dropped + published->closed + published->timed_out;
    if (published->error_count != MIN(failed, (uint64_t)letter->errors_max) &&
        (world->plan.excuses & EXCUSE_MEMORY) == 0) {
        world_fail(world, "%s: %zu errors are named, of %llu; up to %u were asked for", text,
                   published->error_count, (unsigned long long)failed, letter->errors_max);
    }
    for (size_t i = 0; i < published->error_count && !world->failed; i++) {
        const struct guest *guest = guest_of(world, published->errors[i].handle);
        if (guest == NULL) {
            world_fail(world, "%s: names a member that nobody is", text);
            return;
        }
        unsigned id = guest->visit->client->id;
        if (((letter->got | letter->failed) >> id & 1) != 0) {
            world_fail(world, "%s: client %u is told to have failed with %d, %s", text, id,
                       published->errors[i].err,
                       (letter->failed >> id & 1) != 0 ? "twice" : "and has got it");
        }
        letter->failed |= UINT64_C(1) << id;
    }
    letter->done.errors = NULL;
    if (letter->is_sequenced && published->offset != 0) {
        struct room_model *room = &world->ledger->room[letter->listed[0]];
        room->epoch = published->epoch;
        room->offset = MAX(room->offset, published->offset);
    }
    struct dice dice = dice_make(world->plan.seed, 20000 + letter->number);
    if (dice_chance(&dice, 200)) {
        ledger_publish(world, &dice, NULL); /* from within */
    }
}

void service_on_publish_ready(struct gyr_core *core)
{
    struct world *world = world_of(core);
    struct ledger *ledger = world->ledger;
    world_note(world, "core%u on_publish_ready", gyr_core_index(core));
    if (world->is_upcall || world->is_call) {
        world_fail(world, "on_publish_ready within another upcall or a call");
    }
    ledger->ready_owed[gyr_core_index(core)] = false;
    ledger->ready_stamp[gyr_core_index(core)] = ledger_stamp(world);
    struct dice dice = dice_make(world->plan.seed, 30000 + ledger->stamp);
    if (dice_chance(&dice, 500)) {
        ledger_publish(world, &dice, NULL);
    }
}

void service_on_room(struct gyr_core *core, struct gyr_span name, enum gyr_room_event event,
                     uint64_t event_number)
{
    struct world *world = world_of(core);
    struct ledger *ledger = world->ledger;
    if (world->is_upcall || world->is_call) {
        world_fail(world, "on_room within another upcall or a call");
    }
    for (unsigned i = 0; i < ledger->count; i++) {
        struct room_model *room = &ledger->room[i];
        if (room->name.size != name.size || memcmp(room->name.ptr, name.ptr, name.size) != 0) {
            continue;
        }
        world_note(world, "core%u on_room: room %u, %s, event %llu", gyr_core_index(core), i,
                   event == GYR_ROOM_CREATED ? "created" : "emptied",
                   (unsigned long long)event_number);
        room->events = ledger_grow(room->events, room->event_count, &room->event_capacity,
                                   sizeof(*room->events));
        room->events[room->event_count++] = (struct room_event){event_number, event};
        return;
    }
    world_fail(world, "on_room of %.*s, which nobody has joined", (int)name.size, name.ptr);
}

/* ---- what any thread may do ---- */

static void find(struct world *world, struct dice *dice)
{
    char id[] = "id-0";
    id[3] = (char)('0' + dice_below(dice, 4));
    struct gyr_handle handle = {0};
    const struct guest *holder = ledger_id_holder(world, id);
    int err = gyr_find(world->server, (struct gyr_span){id, strlen(id)}, &handle);
    bool is_found = err == 0 && holder != NULL && handle.id == holder->visit->handle.id;
    bool is_absent = err == GYR_ERR_NOT_FOUND && (holder == NULL || holder->is_leaving);
    if (!is_found && !is_absent) {
        world_fail(world, "gyr_find of %s returned %d; %s has it", id, err,
                   holder == NULL ? "nobody" : "somebody else");
    }
}

void ledger_thread_act(struct world *world, struct dice *dice)
{
    unsigned drawn = dice_below(dice, 100);
    struct guest *guest = &world->ledger->guests[dice_below(dice, world->client_count + 1)];
    if (drawn < 40) {
        ledger_publish(world, dice, NULL);
    } else if (drawn < 50) {
        find(world, dice);
    } else if (drawn < 58) {
        snapshot(world, dice);
    } else if (guest->visit != NULL) {
        handle_act(world, dice, guest);
    }
}

static void handle_send(struct world *world, struct dice *dice, const struct guest *guest)
{
    if (world->ledger->letter_count >= world->plan.letters_max) {
        return;
    }
    struct letter *letter = letter_begin(world, LETTER_MIN + dice_below(dice, 30));
    char bytes[LETTER_MIN + 30];
    letter->target = guest->visit->client->id;
    letter_write(letter, bytes);
    int err = gyr_handle_send(world->server, guest->visit->handle, GYR_TEXT,
                              (struct gyr_span){bytes, letter->size});
    letter_end(world, letter, err);
}

static void ask(struct world *world, struct guest *guest, unsigned room)
{
    bool joins = (guest->now >> room & 1) == 0;
    struct gyr_span name = world->ledger->room[room].name;
    if (guest->asked != ASKED_NOTHING || guest->ended != NEVER || guest->is_leaving) {
        return;
    }
    unsigned at = guest->stay_count;
    struct stay *stay = joins ? ledger_stay_begin(world, guest, room) : ledger_stay_of(guest, room);
    uint64_t start = ledger_stamp(world);
    int err = joins ? gyr_handle_join(world->server, guest->visit->handle, name)
                    : gyr_handle_leave(world->server, guest->visit->handle, name);
    world_note(world, "    gyr_handle_%s of client %u, room %u: %d", joins ? "join" : "leave",
               guest->visit->client->id, room, err);
    if (err != 0) {
        guest->stay_count = at;
        return;
    }
    stay->leave_start = joins ? NEVER : start;
    guest->asked = joins ? ASKED_JOIN : ASKED_LEAVE;
    guest->asked_room = room;
}

static void on_run(struct gyr_conn *conn, void *arg)
{
    struct guest *guest = arg;
    struct world *world = guest->visit->world;
    world->ledger->pending_count--;
    if (conn != guest->visit->conn || (conn == NULL) != (guest->ended != NEVER)) {
        world_fail(world, "gyr_handle_run: client %u is another", guest->visit->client->id);
        return;
    }
    if (conn != NULL) {
        struct visit *visit = visit_enter(conn, "gyr_handle_run", 0);
        visit_room_act(visit);
        visit_leave(visit, 0);
    }
}

static void handle_act(struct world *world, struct dice *dice, struct guest *guest)
{
    struct visit *visit = guest->visit;
    bool was_live = guest->ended == NEVER;
    bool is_unsure = guest->is_leaving || world->ended[guest->core_index] || world->is_stopping;
    unsigned drawn = dice_below(dice, 100);
    int err = 0;
    world->is_call = true;
    if (gyr_handle_is_live(world->server, visit->handle) != was_live && !is_unsure) {
        world_fail(world, "gyr_handle_is_live of client %u is wrong; it should be %d",
                   visit->client->id, was_live);
    }
    if (drawn < 45) {
        handle_send(world, dice, guest);
    } else if (drawn < 70) {
        ask(world, guest, dice_below(dice, world->ledger->count));
    } else if (drawn < 90) {
        world->ledger->pending_count++;
        err = gyr_handle_run(world->server, visit->handle, on_run, guest);
        world->ledger->pending_count -= err != 0;
    } else if (!visit->client->careful) {
        visit->client->excuses |= EXCUSE_SERVICE;
        err = dice_chance(dice, 500)
                  ? gyr_handle_kick(world->server, visit->handle)
                  : gyr_handle_close(world->server, visit->handle, 3004, GYR_SPAN("from afar"));
        world_note(world, "    kick or close of client %u: %d", visit->client->id, err);
    }
    world->is_call = false;
    bool right = err == 0 || err == GYR_ERR_BACKPRESSURE ||
                 (err == GYR_ERR_CLOSED && (!was_live || is_unsure));
    if (!right) {
        world_fail(world, "client %u, core %u: a call by handle returned %d", visit->client->id,
                   guest->core_index, err);
    }
}

/* ---- snapshots ---- */

struct shot {
    struct world *world; /* borrowed */
    unsigned room;       /* or ROOM_ALL */
    unsigned core_index;
    uint64_t start;
};

static void on_snapshot(struct gyr_core *core, void *arg, struct gyr_snapshot *taken)
{
    struct shot *shot = arg;
    struct world *world = shot->world;
    struct ledger *ledger = world->ledger;
    uint64_t seen = 0;
    ledger->pending_count--;
    if (gyr_core_index(core) != shot->core_index) {
        world_fail(world, "a snapshot comes on core %u instead of %u", gyr_core_index(core),
                   shot->core_index);
    }
    for (size_t i = 0; i < gyr_snapshot_count(taken) && !world->failed; i++) {
        const struct guest *guest = guest_of(world, gyr_snapshot_at(taken, i));
        if (guest == NULL) {
            world_fail(world, "a snapshot names a connection that nobody is");
            break;
        }
        unsigned id = guest->visit->client->id;
        struct letter probe = {.called = shot->start, .settled = NEVER, .listed_count = 1};
        probe.listed[0] = (uint8_t)shot->room;
        if ((seen >> id & 1) != 0 || !letter_may_reach(ledger, &probe, id)) {
            world_fail(world, "a snapshot of room %u names client %u, %s", shot->room, id,
                       (seen >> id & 1) != 0 ? "twice" : "who was no member meanwhile");
        }
        seen |= UINT64_C(1) << id;
    }
    for (unsigned i = 0; i <= world->client_count && gyr_snapshot_error(taken) == 0; i++) {
        const struct visit *visit = ledger->guests[i].visit;
        bool is_open = visit != NULL && visit->conn != NULL && engine_conn_is_open(visit->conn);
        if (letter_must_reach(world, shot->room, i, shot->start, ledger->stamp) && is_open &&
            (seen >> i & 1) == 0) {
            world_fail(world, "a snapshot of room %u, taken from %llu on, is without client %u",
                       shot->room, (unsigned long long)shot->start, i);
        }
    }
    gyr_snapshot_free(taken);
    free(shot);
}

static void snapshot(struct world *world, struct dice *dice)
{
    struct shot *shot = calloc(1, sizeof(*shot));
    ASSERT(shot != NULL);
    *shot = (struct shot){.world = world, .room = ROOM_ALL, .start = ledger_stamp(world)};
    if (dice_chance(dice, 700)) {
        shot->room = dice_below(dice, world->ledger->count);
    }
    shot->core_index = dice_below(dice, world->plan.core_count);
    const struct gyr_span *name =
        shot->room == ROOM_ALL ? NULL : &world->ledger->room[shot->room].name;
    world->ledger->pending_count++;
    world->is_call = true;
    int err = gyr_snapshot(world->server, name, shot->core_index, on_snapshot, shot);
    world->is_call = false;
    if (err != 0) {
        world->ledger->pending_count--;
        free(shot);
        if (err != GYR_ERR_BACKPRESSURE && !(err == GYR_ERR_CLOSED && world->is_stopping)) {
            world_fail(world, "gyr_snapshot returned %d", err);
        }
    }
}
