/* SPDX-License-Identifier: MIT */
/* The verdict over rooms, when everything has come to its end: has everybody got what they must
 * have, or been told that they have not; have all members seen one order; do the counts agree? */
#include "tests/sim/ledger.h"

#include "tests/sim/world.h"

#include <stdlib.h>

static void losses_judge(struct world *world, unsigned client);
static bool is_lost(const struct world *world, const struct letter *letter, unsigned client);
static void orders_judge(struct world *world);
static void completions_judge(struct world *world);
static void events_judge(struct world *world);

void ledger_judge(struct world *world)
{
    for (unsigned i = 0; i <= world->client_count && !world->failed; i++) {
        losses_judge(world, i);
    }
    orders_judge(world);
    completions_judge(world);
    events_judge(world);
    ledger_histories_judge(world);
}

/* ---- who was there ---- */

static bool is_listed(const struct letter *letter, unsigned room)
{
    for (unsigned i = 0; i < letter->listed_count; i++) {
        if (letter->listed[i] == room) {
            return true;
        }
    }
    return false;
}

bool letter_may_reach(const struct ledger *ledger, const struct letter *letter, unsigned client)
{
    const struct guest *guest = &ledger->guests[client];
    uint64_t end = letter->settled;
    if (guest->visit == NULL) {
        return false;
    }
    if (letter->listed_count == 0) {
        return letter->target == client;
    }
    if (letter->listed[0] == ROOM_ALL) {
        return guest->open_start < end && guest->ended > letter->called;
    }
    for (unsigned i = 0; i < guest->stay_count; i++) {
        const struct stay *stay = &guest->stays[i];
        if (is_listed(letter, stay->room) && (stay->join_start < end || stay->is_since) &&
            stay->leave_end > letter->called) {
            return true;
        }
    }
    return false;
}

bool letter_may_miss(const struct ledger *ledger, const struct letter *letter, unsigned client)
{
    const struct guest *guest = &ledger->guests[client];
    for (unsigned i = 0; i < guest->stay_count && letter->listed_count > 1; i++) {
        const struct stay *stay = &guest->stays[i];
        bool begins = stay->join_start < letter->settled && stay->join_end > letter->called;
        bool ends = stay->leave_start < letter->settled && stay->leave_end > letter->called;
        if (is_listed(letter, stay->room) && (begins || ends)) {
            return true;
        }
    }
    return false;
}

/* The stay in this room that has lasted all that time. */
static const struct stay *stay_over(const struct guest *guest, unsigned room, uint64_t start,
                                    uint64_t end)
{
    for (unsigned i = 0; i < guest->stay_count; i++) {
        const struct stay *stay = &guest->stays[i];
        if (stay->room == room && stay->join_end <= start && stay->leave_start > end) {
            return stay;
        }
    }
    return NULL;
}

/* Nothing but excuses can have ended it before its script. */
static bool is_clean(const struct world *world, unsigned client_index)
{
    const struct client *client = &world->clients[client_index];
    return client_excuses(client) == 0 && client->fail_code == 0 && !client->service_closed;
}

bool letter_must_reach(const struct world *world, unsigned room, unsigned client, uint64_t start,
                       uint64_t end)
{
    const struct guest *guest = &world->ledger->guests[client];
    if (guest->visit == NULL) {
        return false;
    }
    if (room != ROOM_ALL) {
        return stay_over(guest, room, start, end) != NULL;
    }
    return guest->open_end <= start && guest->closing > end && is_clean(world, client) &&
           !world->clients[client].close_sent;
}

/* ---- losses ---- */

/* Has it not come to the client, though it might have? */
static bool is_missed(const struct ledger *ledger, const struct letter *letter, unsigned client)
{
    uint64_t bit = UINT64_C(1) << client;
    bool has_not = (letter->got & bit) == 0 || letter_may_miss(ledger, letter, client);
    return letter->result == 0 && letter->listed_count != 0 && has_not &&
           (letter->except & bit) == 0 && letter_may_reach(ledger, letter, client);
}

static void losses_judge(struct world *world, unsigned client)
{
    const struct ledger *ledger = world->ledger;
    const struct guest *guest = &ledger->guests[client];
    const struct letter *example = NULL;
    uint64_t lost = 0;
    uint64_t possible = 0;
    if (guest->visit == NULL) {
        return;
    }
    for (uint32_t i = 0; i < ledger->letter_count; i++) {
        const struct letter *letter = ledger->letters[i];
        if (is_missed(ledger, letter, client)) {
            possible++;
            if (is_lost(world, letter, client)) {
                lost++;
                example = letter;
            }
        }
    }
    char text[LETTER_TEXT_SIZE] = "";
    if (lost > guest->told) {
        world_fail(world,
                   "client %u, core %u: lost %llu messages and was told of %llu; the last is %s",
                   client, guest->core_index, (unsigned long long)lost,
                   (unsigned long long)guest->told, letter_text(world, example, text));
    } else if (guest->told > possible) {
        world_fail(world, "client %u, core %u: was told of %llu messages dropped; only %llu can be",
                   client, guest->core_index, (unsigned long long)guest->told,
                   (unsigned long long)possible);
    }
    for (uint32_t i = 0; world->failed && i < ledger->letter_count; i++) {
        const struct letter *letter = ledger->letters[i];
        if (is_missed(ledger, letter, client)) {
            world_note(world, "    missed, %s: %s",
                       is_lost(world, letter, client) ? "lost" : "perhaps",
                       letter_text(world, letter, text));
        }
    }
}

/* Has the client got something that was queued to it after this stamp? */
static bool has_later(const struct ledger *ledger, const struct guest *guest, uint64_t stamp)
{
    bool has = stamp != NEVER && guest->owed_stamp > stamp;
    for (unsigned i = 0; i < guest->got_count && !has; i++) {
        const struct letter *letter = ledger->letters[guest->got[i]];
        has = letter->listed_count != 0 && letter->called > stamp;
    }
    return has;
}

bool guest_has_later(const struct world *world, unsigned client, uint64_t stamp)
{
    const struct guest *guest = &world->ledger->guests[client];
    return has_later(world->ledger, guest, stamp) ||
           (is_clean(world, client) && world->clients[client].got_close && stamp < guest->closing);
}

/* Has it got another message of this room that was placed behind, while it was in this stay? */
static bool has_behind(const struct ledger *ledger, const struct guest *guest,
                       const struct letter *letter, const struct stay *stay)
{
    for (unsigned i = 0; i < guest->got_count; i++) {
        const struct letter *other = ledger->letters[guest->got[i]];
        if (other->listed_count != 1 || other->listed[0] != stay->room ||
            other->placed <= letter->placed || other->placed >= stay->leave_start) {
            continue;
        }
        bool rejoined = false;
        for (const struct stay *next = stay + 1; next < guest->stays + guest->stay_count; next++) {
            rejoined |= next->room == stay->room && next->join_start <= other->settled;
        }
        if (!rejoined) {
            return true;
        }
    }
    return false;
}

/* It is certain that it should have got it. */
static bool is_lost(const struct world *world, const struct letter *letter, unsigned client)
{
    const struct ledger *ledger = world->ledger;
    const struct guest *guest = &ledger->guests[client];
    if (letter->done.timed_out != 0) {
        return false; /* what is taken back after on_close is told to the publisher only */
    }
    bool has_place = letter->listed_count == 1 && !letter->is_sequenced;
    uint64_t start = has_place ? letter->due : letter->called;
    bool comes = guest_has_later(world, client, letter->settled);
    if (letter->listed[0] == ROOM_ALL) {
        return comes && guest->open_end <= start && guest->closing > letter->settled;
    }
    bool was_there = false;
    if (letter_may_miss(ledger, letter, client)) {
        return false;
    }
    for (unsigned i = 0; i < letter->listed_count; i++) {
        was_there |= stay_over(guest, letter->listed[i], start, letter->settled) != NULL;
    }
    if (was_there && comes) {
        return true;
    }
    for (unsigned i = 0; i < guest->stay_count && has_place; i++) {
        const struct stay *stay = &guest->stays[i];
        if (stay->room == letter->listed[0] && stay->join_end <= start &&
            stay->leave_start > letter->placed && has_behind(ledger, guest, letter, stay)) {
            return true;
        }
    }
    return false;
}

/* ---- one order ---- */

/* In which room it came to this client; LEDGER_ROOMS_MAX + 1: nobody can say. */
static unsigned room_of(const struct ledger *ledger, const struct letter *letter, unsigned client)
{
    const struct guest *guest = &ledger->guests[client];
    if (letter->listed_count == 1) {
        return letter->listed[0];
    }
    for (unsigned i = 0; i < letter->listed_count; i++) {
        unsigned room = letter->listed[i];
        struct letter probe = *letter;
        probe.listed_count = 1;
        probe.listed[0] = (uint8_t)room;
        if (stay_over(guest, room, letter->called, letter->settled) != NULL) {
            return room;
        }
        if (letter_may_reach(ledger, &probe, client)) {
            break;
        }
    }
    return LEDGER_ROOMS_MAX + 1;
}

static void pair_judge(struct world *world, unsigned first, unsigned second, uint32_t *places)
{
    const struct ledger *ledger = world->ledger;
    const struct guest *guest = &ledger->guests[first];
    const struct guest *other = &ledger->guests[second];
    uint32_t last[LEDGER_ROOMS_MAX + 2] = {0};
    uint32_t last_number[LEDGER_ROOMS_MAX + 2] = {0};
    memset(places, 0, ledger->letter_count * sizeof(*places));
    for (unsigned i = 0; i < other->got_count; i++) {
        places[other->got[i]] = i + 1;
    }
    for (unsigned i = 0; i < guest->got_count && !world->failed; i++) {
        const struct letter *letter = ledger->letters[guest->got[i]];
        unsigned room = room_of(ledger, letter, first);
        uint32_t place = places[letter->number];
        if (place == 0 || room > LEDGER_ROOMS_MAX || room != room_of(ledger, letter, second)) {
            continue;
        }
        if (place < last[room]) {
            char text[LETTER_TEXT_SIZE];
            world_fail(world,
                       "client %u on core %u got %s behind message %u, client %u on core %u the "
                       "other way round",
                       first, guest->core_index, letter_text(world, letter, text),
                       last_number[room], second, other->core_index);
        }
        last[room] = place;
        last_number[room] = letter->number;
    }
}

static void orders_judge(struct world *world)
{
    const struct ledger *ledger = world->ledger;
    uint32_t *places = calloc(ledger->letter_count + 1, sizeof(*places));
    ASSERT(places != NULL);
    for (unsigned i = 0; i <= world->client_count; i++) {
        for (unsigned k = 0; k < i && !world->failed; k++) {
            if (ledger->guests[i].got_count != 0 && ledger->guests[k].got_count != 0) {
                pair_judge(world, i, k, places);
            }
        }
    }
    free(places);
}

/* ---- counts ---- */

static void completion_judge(struct world *world, const struct letter *letter)
{
    const struct ledger *ledger = world->ledger;
    uint64_t least = 0;
    uint64_t most = 0;
    uint64_t due = letter->listed_count == 1 ? letter->due : letter->called;
    char text[LETTER_TEXT_SIZE];
    for (unsigned i = 0; i <= world->client_count; i++) {
        if ((letter->except >> i & 1) == 0 && letter_may_reach(ledger, letter, i)) {
            most++;
            least += letter->listed_count == 1 && letter->settled != NEVER &&
                     letter_must_reach(world, letter->listed[0], i, due, letter->settled);
        }
    }
    const struct gyr_published *done = &letter->done;
    uint64_t sum = done->queued + done->dropped + done->closed + done->timed_out;
    if (sum < least || sum > most) {
        world_fail(world, "%s: done counts %llu members; there were %llu to %llu",
                   letter_text(world, letter, text), (unsigned long long)sum,
                   (unsigned long long)least, (unsigned long long)most);
    } else if (done->queued < (unsigned)__builtin_popcountll(letter->got) &&
               !letter->is_sequenced) { /* which some may have got later, from the history */
        world_fail(world, "%s: done counts %llu queued, %u have got it",
                   letter_text(world, letter, text), (unsigned long long)done->queued,
                   __builtin_popcountll(letter->got));
    }
}

static void completions_judge(struct world *world)
{
    const struct ledger *ledger = world->ledger;
    for (uint32_t i = 0; i < ledger->letter_count && !world->failed; i++) {
        const struct letter *letter = ledger->letters[i];
        if (!letter->wants_done || letter->result < 0) {
            continue;
        }
        if (letter->done_count != 0) {
            completion_judge(world, letter);
        } else if (letter->settled < ledger->stop_stamp && letter->timeout_ms == GYR_NO_TIMEOUT) {
            char text[LETTER_TEXT_SIZE];
            world_fail(world, "%s: done never came on core %u", letter_text(world, letter, text),
                       letter->done_core);
        }
    }
}

static int event_compare(const void *a, const void *b)
{
    const struct room_event *first = a;
    const struct room_event *second = b;
    return first->number < second->number ? -1 : first->number > second->number;
}

/* Created and emptied take turns, by their numbers; the last word is that it is empty. */
static void events_judge(struct world *world)
{
    struct ledger *ledger = world->ledger;
    for (unsigned i = 0; i < ledger->count && !world->failed; i++) {
        struct room_model *room = &ledger->room[i];
        if (room->event_count == 0) {
            continue;
        }
        qsort(room->events, room->event_count, sizeof(*room->events), event_compare);
        for (unsigned k = 0; k < room->event_count; k++) {
            const struct room_event *event = &room->events[k];
            enum gyr_room_event wanted = k % 2 == 0 ? GYR_ROOM_CREATED : GYR_ROOM_EMPTIED;
            if (event->event != wanted || (k > 0 && event->number == event[-1].number)) {
                world_fail(world, "room %u: the %u. event, number %llu, is %s", i, k + 1,
                           (unsigned long long)event->number,
                           event->event == GYR_ROOM_CREATED ? "created" : "emptied");
                break;
            }
        }
        if (!world->failed && room->event_count % 2 != 0) {
            world_fail(world, "room %u: nobody was told that it is empty", i);
        }
    }
}
