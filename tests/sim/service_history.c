/* SPDX-License-Identifier: MIT */
/* Rooms that keep a history: who has never been in one joins with a position in it, and gets what
 * has been published since; offsets are learned from what is told of publishes. */
#include "tests/sim/ledger.h"
#include "tests/sim/world.h"

static bool has_been(const struct guest *guest, unsigned room)
{
    for (unsigned i = 0; i < guest->stay_count; i++) {
        if (guest->stays[i].room == room) {
            return true;
        }
    }
    return false;
}

void visit_room_join_since(struct visit *visit, unsigned room_index)
{
    struct world *world = visit->world;
    const struct room_model *room = &world->ledger->room[room_index];
    struct guest *guest = ledger_guest(world, visit->client);
    if (guest->asked != ASKED_NOTHING || guest->since.is_pending || has_been(guest, room_index)) {
        return;
    }
    uint64_t epoch = dice_chance(&visit->dice, 700) ? room->epoch : dice_below(&visit->dice, 2);
    uint64_t offset = dice_below(&visit->dice, (uint32_t)room->offset + 2);
    unsigned at = guest->stay_count;
    guest->since = (struct since){.room = room_index, .epoch = epoch, .offset = offset};
    ledger_stay_begin(world, guest, room_index)->is_since = true;
    world->is_call = true;
    int err = gyr_join_since(visit->conn, room->name, epoch, offset);
    world->is_call = false;
    world_note(world, "    gyr_join_since of room %u, epoch %llx, offset %llu: %d", room_index,
               (unsigned long long)epoch, (unsigned long long)offset, err);
    unsigned count = (unsigned)__builtin_popcount(guest->now);
    const struct gyr_config *config = &world->plan.config;
    bool right = err == 0 || err == GYR_ERR_BACKPRESSURE ? room->history_count != 0
                 : err == GYR_ERR_UNSUPPORTED            ? room->history_count == 0
                 : err == GYR_ERR_CLOSED
                     ? engine_conn_may_send(visit->conn) == err || world->is_stopping
                 : err == GYR_ERR_MEMORY ? (world->plan.excuses & EXCUSE_MEMORY) != 0
                 : err == GYR_ERR_LIMIT
                     ? count >= config->conn_rooms_max || config->rooms_max < world->ledger->count
                     : false;
    if (!right || gyr_is_member(visit->conn, room->name) != (err == 0)) {
        world_fail(world, "client %u, core %u: gyr_join_since of room %u returned %d",
                   visit->client->id, visit->core_index, room_index, err);
    }
    if (err != 0) {
        guest->stay_count = at;
        return;
    }
    guest->now |= 1U << room_index;
    guest->since.is_pending = true;
}

void service_on_recovered(struct gyr_conn *conn, struct gyr_span name,
                          const struct gyr_recovery *recovery)
{
    struct visit *visit = visit_enter(conn, "on_recovered", recovery->count);
    struct world *world = visit->world;
    struct guest *guest = ledger_guest(world, visit->client);
    struct since *since = &guest->since;
    struct room_model *room = &world->ledger->room[since->room];
    world_note(world, "    epoch %llx, offset %llu, recovered %d, error %d",
               (unsigned long long)recovery->epoch, (unsigned long long)recovery->offset,
               recovery->recovered, recovery->err);
    bool is_room = name.size == room->name.size && memcmp(name.ptr, room->name.ptr, name.size) == 0;
    if (!since->is_pending || !is_room) {
        world_fail(world, "client %u: on_recovered of %.*s, which it has not asked for",
                   visit->client->id, (int)name.size, name.ptr);
    }
    bool may = since->epoch == recovery->epoch && since->offset <= recovery->offset;
    if (recovery->recovered &&
        (!may || recovery->err != 0 || recovery->count > recovery->offset - since->offset)) {
        world_fail(world, "client %u: %zu messages of room %u recovered, from %llu to %llu",
                   visit->client->id, recovery->count, since->room,
                   (unsigned long long)since->offset, (unsigned long long)recovery->offset);
    }
    since->is_pending = false;
    since->is_recovered = recovery->recovered;
    /* What was published while the answer was on its way comes in any case; it is not known from
     * where on, since some may be excepted. */
    since->first = recovery->recovered ? since->offset : 0;
    since->last = recovery->offset;
    since->epoch = recovery->epoch;
    struct stay *stay = ledger_stay_of(guest, since->room);
    if (stay != NULL) {
        stay->join_end = ledger_stamp(world); /* everything that is published from now on */
    }
    /* If its queue was full on the way, some of it has come, and nobody says which. */
    since->stamp = recovery->err == GYR_ERR_BACKPRESSURE ? 0 : ledger_stamp(world);
    room->epoch = recovery->epoch;
    room->offset = MAX(room->offset, recovery->offset);
    visit_room_act(visit);
    visit_leave(visit, 0);
}

/* ---- the verdict ---- */

/* What has come of a room keeps the order of the offsets, as far as these were told. */
static void history_order_judge(struct world *world, unsigned client)
{
    const struct ledger *ledger = world->ledger;
    const struct guest *guest = &ledger->guests[client];
    uint64_t last[LEDGER_ROOMS_MAX] = {0};
    for (unsigned i = 0; i < guest->got_count; i++) {
        const struct letter *letter = ledger->letters[guest->got[i]];
        if (!letter->is_sequenced || letter->done_count == 0 || letter->done.offset == 0) {
            continue;
        }
        uint64_t *before = &last[letter->listed[0]];
        if (letter->done.offset <= *before &&
            letter->done.epoch == ledger->room[letter->listed[0]].epoch) {
            char text[LETTER_TEXT_SIZE];
            world_fail(world, "client %u, core %u: got %s, offset %llu, behind offset %llu", client,
                       guest->core_index, letter_text(world, letter, text),
                       (unsigned long long)letter->done.offset, (unsigned long long)*before);
        }
        *before = letter->done.offset;
    }
}

void ledger_histories_judge(struct world *world)
{
    const struct ledger *ledger = world->ledger;
    for (unsigned i = 0; i <= world->client_count && !world->failed; i++) {
        const struct guest *guest = &ledger->guests[i];
        const struct since *since = &guest->since;
        history_order_judge(world, i);
        if (since->stamp == 0) {
            continue; /* it has not asked, or was not told */
        }
        for (uint32_t k = 0; k < ledger->letter_count && !world->failed; k++) {
            const struct letter *letter = ledger->letters[k];
            bool is_known = letter->is_sequenced && letter->done_count != 0 &&
                            letter->listed[0] == since->room && letter->done.offset != 0 &&
                            letter->done.epoch == since->epoch;
            bool has_got = (letter->got >> i & 1) != 0;
            bool is_older = is_known && letter->done.offset <= since->first;
            bool is_missed = is_known && since->is_recovered && !is_older && !has_got &&
                             letter->done.offset <= since->last && guest->told == 0 &&
                             (letter->except >> i & 1) == 0;
            char text[LETTER_TEXT_SIZE];
            if (is_older && has_got) {
                world_fail(world, "client %u joined behind offset %llu and got %s, offset %llu", i,
                           (unsigned long long)since->first, letter_text(world, letter, text),
                           (unsigned long long)letter->done.offset);
            } else if (is_missed && guest_has_later(world, i, since->stamp)) {
                world_fail(world, "client %u recovered %llu to %llu, without %s, offset %llu", i,
                           (unsigned long long)since->first + 1, (unsigned long long)since->last,
                           letter_text(world, letter, text),
                           (unsigned long long)letter->done.offset);
            }
        }
    }
}
