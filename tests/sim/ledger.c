/* SPDX-License-Identifier: MIT */
/* The ledger: what happens to rooms is written into it as it happens, and what a client gets is
 * compared with it at once, as far as that can be told already. The rest is judged at the end
 * (ledger_verdict.c). */
#include "tests/sim/ledger.h"

#include "tests/sim/world.h"
#include "tests/sim/world_hub.h"

#include <stdio.h>
#include <stdlib.h>

static void letter_settle(struct letter *letter, uint64_t stamp);
static void took_order(struct client *client, struct guest *guest, const struct letter *letter);
static void took_late(struct client *client, const struct guest *guest,
                      const struct letter *letter);

static const enum gyr_room_policy POLICIES[] = {
    GYR_ROOM_QUEUE,    GYR_ROOM_QUEUE, GYR_ROOM_DROP_NEWEST, GYR_ROOM_DROP_OLDEST,
    GYR_ROOM_CONFLATE, GYR_ROOM_CLOSE, GYR_ROOM_QUEUE,       GYR_ROOM_QUEUE,
};
static_assert(COUNT_OF(POLICIES) == LEDGER_ROOMS_MAX, "one for each room");

uint64_t ledger_stamp(struct world *world)
{
    return world->ledger == NULL ? 0 : ++world->ledger->stamp;
}

void ledger_init(struct world *world)
{
    const struct plan *plan = &world->plan;
    if (plan->room_count == 0) {
        return;
    }
    struct ledger *ledger = calloc(1, sizeof(*ledger));
    ASSERT(ledger != NULL);
    struct dice dice = dice_make(plan->seed, 6);
    world->ledger = ledger;
    ledger->count = plan->room_count;
    ledger->stop_stamp = NEVER;
    for (unsigned i = 0; i < ledger->count; i++) {
        struct room_model *room = &ledger->room[i];
        bool is_small = dice_chance(&dice, 600);
        (void)snprintf(room->text, sizeof(room->text), i == 0 ? "" : "room-%u%*s", i, (int)i, "");
        room->name = (struct gyr_span){room->text, strlen(room->text)};
        room->policy = POLICIES[i];
        if (room->policy != GYR_ROOM_QUEUE) {
            room->queue_size_max = is_small ? dice_between(&dice, 40, 1000) : 0;
        }
        if (i >= LEDGER_ROOMS_MAX - 2 && dice_chance(&dice, 700)) {
            room->history_count = dice_between(&dice, 1, 20);
        }
        ledger->rules[i] = (struct gyr_room_rule){
            .size = sizeof(struct gyr_room_rule),
            .pattern = room->name,
            .policy = room->policy,
            .queue_size_max = room->queue_size_max,
            .history_count = room->history_count,
        };
    }
    for (unsigned i = 0; i <= CLIENTS_MAX; i++) {
        ledger->guests[i].closing = NEVER;
        ledger->guests[i].ended = NEVER;
    }
    world->service.room_rules = ledger->rules;
    world->service.room_rule_count = ledger->count;
    world->service.on_room = service_on_room;
    world->service.on_publish_ready = service_on_publish_ready;
    world->service.on_recovered = service_on_recovered;
}

void ledger_deinit(struct world *world)
{
    struct ledger *ledger = world->ledger;
    if (ledger == NULL) {
        return;
    }
    ledger_judge(world);
    for (uint32_t i = 0; i < ledger->letter_count; i++) {
        free(ledger->letters[i]);
    }
    for (unsigned i = 0; i <= CLIENTS_MAX; i++) {
        free(ledger->guests[i].stays);
        free(ledger->guests[i].got);
    }
    for (unsigned i = 0; i < ledger->count; i++) {
        free(ledger->room[i].events);
    }
    free(ledger->letters);
    free(ledger);
    world->ledger = NULL;
}

void *ledger_grow(void *array, unsigned count, unsigned *capacity, size_t size)
{
    if (count < *capacity) {
        return array;
    }
    *capacity = *capacity * 2 + 16;
    array = realloc(array, *capacity * size);
    ASSERT(array != NULL);
    return array;
}

/* ---- the world ---- */

void ledger_placed(struct world *world, unsigned strand)
{
    struct ledger *ledger = world->ledger;
    struct letter *letter = ledger->calls[strand];
    if (letter != NULL) {
        letter->placed = ledger_stamp(world);
    }
}

void ledger_looked(struct world *world, unsigned strand)
{
    struct letter *letter = world->ledger->calls[strand];
    if (letter != NULL) {
        letter->looked = ledger_stamp(world);
    }
}

void ledger_quiet(struct world *world)
{
    struct ledger *ledger = world->ledger;
    if (ledger == NULL) {
        return;
    }
    uint64_t stamp = ledger_stamp(world);
    for (uint32_t i = ledger->settled_count; i < ledger->letter_count; i++) {
        letter_settle(ledger->letters[i], stamp);
    }
    ledger->settled_count = ledger->letter_count;
    world_hub_quiet(world);
}

static void letter_settle(struct letter *letter, uint64_t stamp)
{
    ASSERT(letter->returned != 0); /* nobody is within a turn */
    letter->settled = stamp;
}

void ledger_turn_ended(struct world *world, unsigned core_index)
{
    struct ledger *ledger = world->ledger;
    if (ledger == NULL) {
        return;
    }
    for (unsigned i = 0; i <= world->client_count; i++) {
        struct guest *guest = &ledger->guests[i];
        const struct client *client = &world->clients[i];
        if (guest->visit == NULL || guest->core_index != core_index) {
            continue;
        }
        bool closes = client->service_closed || (client->excuses & EXCUSE_SERVICE) != 0;
        if (guest->closing == NEVER && closes) {
            guest->closing = ledger_stamp(world);
        }
        if (guest->visit->state != VISIT_ENDED) {
            visit_room_asked(guest->visit);
        } else if (guest->is_leaving) {
            guest->is_leaving = false;
            guest->id[0] = '\0';
        }
    }
}

void ledger_stopping(struct world *world)
{
    if (world->ledger != NULL) {
        world->ledger->stop_stamp = ledger_stamp(world);
    }
}

/* ---- connections ---- */

struct guest *ledger_guest(struct world *world, const struct client *client)
{
    return &world->ledger->guests[client->id];
}

void ledger_visit_upgrades(struct visit *visit)
{
    struct guest *guest = ledger_guest(visit->world, visit->client);
    ASSERT(guest->visit == NULL);
    guest->visit = visit;
    guest->core_index = visit->core_index;
    guest->open_start = ledger_stamp(visit->world);
    guest->open_end = NEVER;
}

void ledger_visit_open(struct visit *visit)
{
    if (visit->world->ledger != NULL) {
        struct guest *guest = ledger_guest(visit->world, visit->client);
        guest->open_end = ledger_stamp(visit->world);
    }
}

void ledger_visit_ended(struct visit *visit)
{
    struct world *world = visit->world;
    if (world->ledger == NULL || ledger_guest(world, visit->client)->visit != visit) {
        return;
    }
    struct guest *guest = ledger_guest(world, visit->client);
    guest->ended = ledger_stamp(world);
    guest->closing = MIN(guest->closing, guest->ended);
    for (unsigned i = 0; i < guest->stay_count; i++) {
        struct stay *stay = &guest->stays[i];
        stay->join_end = MIN(stay->join_end, guest->ended);
        stay->leave_start = MIN(stay->leave_start, guest->ended);
        /* It is a member for some time after its last upcall; nothing is queued to it any more. */
        stay->leave_end = MIN(stay->leave_end, guest->ended);
        if (world->ledger->room[stay->room].policy == GYR_ROOM_CLOSE &&
            stay->join_start < guest->open_end) {
            visit->client->excuses |= EXCUSE_POLICY; /* no Close can be sent before the 101 */
        }
    }
    guest->now = 0;
    guest->is_leaving = true;
}

struct stay *ledger_stay_begin(struct world *world, struct guest *guest, unsigned room)
{
    guest->stays =
        ledger_grow(guest->stays, guest->stay_count, &guest->stay_capacity, sizeof(*guest->stays));
    struct stay *stay = &guest->stays[guest->stay_count++];
    *stay = (struct stay){
        .room = (uint8_t)room,
        .join_start = ledger_stamp(world),
        .join_end = NEVER,
        .leave_start = NEVER,
        .leave_end = NEVER,
    };
    return stay;
}

struct stay *ledger_stay_of(struct guest *guest, unsigned room)
{
    for (unsigned i = guest->stay_count; i > 0; i--) {
        if (guest->stays[i - 1].room == room) {
            return guest->stays[i - 1].leave_end == NEVER ? &guest->stays[i - 1] : NULL;
        }
    }
    return NULL;
}

/* ---- letters ---- */

void letter_write(const struct letter *letter, char *bytes)
{
    char number[LETTER_MIN + 1];
    (void)snprintf(number, sizeof(number), "~%06u ", letter->number % 1000000);
    memcpy(bytes, number, LETTER_MIN);
    for (uint32_t i = LETTER_MIN; i < letter->size; i++) {
        bytes[i] = (char)('a' + (letter->number * 7 + i) % 26);
    }
}

struct letter *letter_begin(struct world *world, size_t size)
{
    struct ledger *ledger = world->ledger;
    ledger->letters = ledger_grow(ledger->letters, ledger->letter_count, &ledger->letter_capacity,
                                  sizeof(struct letter *));
    struct letter *letter = calloc(1, sizeof(*letter));
    ASSERT(letter != NULL);
    ASSERT(world->strand_now != STRAND_NOBODY);
    *letter = (struct letter){
        .world = world,
        .number = ledger->letter_count,
        .strand = world->strand_now,
        .size = (uint32_t)size,
        .opcode = GYR_TEXT,
        .called = ledger_stamp(world),
        .settled = NEVER,
        .timeout_ms = GYR_NO_TIMEOUT,
    };
    ledger->letters[ledger->letter_count++] = letter;
    ledger->bytes += size;
    ASSERT(ledger->calls[letter->strand] == NULL);
    ledger->calls[letter->strand] = letter;
    return letter;
}

void letter_end(struct world *world, struct letter *letter, int result)
{
    struct ledger *ledger = world->ledger;
    letter->returned = ledger_stamp(world);
    letter->result = result;
    letter->is_unsure = strands_have_claimer(world);
    letter->due = letter->placed;
    if (letter->placed == 0) {
        letter->placed =
            letter->looked != 0 ? letter->looked : letter->returned; /* past the ring */
        letter->due = letter->called;
    }
    ledger->calls[letter->strand] = NULL;
    char text[LETTER_TEXT_SIZE];
    world_note(world, "    %s: %d", letter_text(world, letter, text), result);
}

const char *letter_text(const struct world *world, const struct letter *letter, char *text)
{
    struct bytes line = {0};
    const char *kind = letter->strand < world->plan.core_count ? "core" : "thread ";
    unsigned index = letter->strand < world->plan.core_count
                         ? letter->strand
                         : letter->strand - world->plan.core_count;
    bytes_printf(&line, "message %u of %s%u", letter->number, kind, index);
    if (letter->listed_count == 0) {
        bytes_printf(&line, " to client %u", letter->target);
    }
    for (unsigned i = 0; i < letter->listed_count; i++) {
        unsigned room = letter->listed[i];
        bytes_printf(&line, i == 0 ? " to " : ",");
        bytes_printf(&line, room == ROOM_ALL ? "all" : "room %u", room);
    }
    bytes_printf(&line, " (called %llu, placed %llu, returned %llu, settled %lld)",
                 (unsigned long long)letter->called, (unsigned long long)letter->placed,
                 (unsigned long long)letter->returned, (long long)letter->settled);
    size_t size = MIN(line.size, (size_t)LETTER_TEXT_SIZE - 1);
    memcpy(text, line.ptr, size);
    text[size] = '\0';
    bytes_free(&line);
    return text;
}

/* ---- what clients get ---- */

/* The letter that these bytes say they are; NULL, and a verdict, if they are none. */
static struct letter *letter_read(struct client *client, unsigned first_byte, struct span payload)
{
    struct world *world = client->world;
    struct ledger *ledger = world->ledger;
    char digits[8] = "";
    memcpy(digits, payload.ptr + 1, MIN(payload.size - 1, sizeof(digits) - 1));
    uint32_t number = (uint32_t)strtoul(digits, NULL, 10);
    if (number >= ledger->letter_count) {
        world_fail(world, "client %u got message %u, which nobody has published", client->id,
                   number);
        return NULL;
    }
    struct letter *letter = ledger->letters[number];
    char *bytes = malloc(letter->size);
    ASSERT(bytes != NULL);
    letter_write(letter, bytes);
    bool same = payload.size == letter->size && memcmp(payload.ptr, bytes, letter->size) == 0 &&
                first_byte == (0x80U | letter->opcode);
    free(bytes);
    if (!same) {
        world_fail(world, "client %u got message %u with other bytes: frame %02x, %zu of %u bytes",
                   client->id, number, first_byte, payload.size, letter->size);
    }
    return letter;
}

/* From a history it may come to whom it was not sent to: that keeps no exceptions. */
static bool is_recovering(const struct guest *guest, const struct letter *letter)
{
    for (unsigned i = 0; i < guest->stay_count; i++) {
        const struct stay *stay = &guest->stays[i];
        if (stay->is_since && letter->is_sequenced && stay->room == letter->listed[0]) {
            return true;
        }
    }
    return false;
}

bool ledger_take(struct client *client, unsigned first_byte, struct span payload)
{
    struct world *world = client->world;
    if (world->ledger == NULL || payload.size < LETTER_MIN || payload.ptr[0] != '~' ||
        (first_byte & 0x0f) == 0) {
        return false;
    }
    struct guest *guest = ledger_guest(world, client);
    struct letter *letter = letter_read(client, first_byte, payload);
    if (letter == NULL || world->failed) {
        return true;
    }
    char text[LETTER_TEXT_SIZE];
    letter_text(world, letter, text);
    world_note(world, "client %u got %s", client->id, text);
    if ((letter->got >> client->id & 1) != 0) {
        world_fail(world, "client %u, core %u: got %s twice", client->id, guest->core_index, text);
    } else if (letter->returned != 0 && letter->result < 0) {
        world_fail(world, "client %u, core %u: got %s, which was refused with %d", client->id,
                   guest->core_index, text, letter->result);
    } else if ((letter->except >> client->id & 1) != 0 && !is_recovering(guest, letter)) {
        world_fail(world, "client %u, core %u: got %s, from which it is excepted", client->id,
                   guest->core_index, text);
    } else if ((letter->failed >> client->id & 1) != 0) {
        world_fail(world, "client %u, core %u: got %s, and the publisher was told that it has not",
                   client->id, guest->core_index, text);
    } else if (!letter_may_reach(world->ledger, letter, client->id)) {
        world_fail(world, "client %u, core %u: got %s, and was no member then", client->id,
                   guest->core_index, text);
    } else {
        took_order(client, guest, letter);
        took_late(client, guest, letter);
    }
    letter->got |= UINT64_C(1) << client->id;
    guest->got =
        ledger_grow(guest->got, guest->got_count, &guest->got_capacity, sizeof(*guest->got));
    guest->got[guest->got_count++] = letter->number;
    return true;
}

/* Messages of one room come in the order of their places, and so do those of one publisher. */
static void took_order(struct client *client, struct guest *guest, const struct letter *letter)
{
    struct world *world = client->world;
    if (letter->listed_count > 1) {
        return; /* ledger_verdict.c compares the clients */
    }
    unsigned room = letter->listed_count == 0 ? LEDGER_ROOMS_MAX + 1 : letter->listed[0];
    uint32_t *last = &guest->last_of[room][letter->strand];
    if (*last > letter->number) {
        char text[LETTER_TEXT_SIZE];
        world_fail(world, "client %u, core %u: got %s behind message %u of the same publisher",
                   client->id, guest->core_index, letter_text(world, letter, text), *last);
    }
    *last = letter->number;
    bool has_place = letter->listed_count == 1 && !letter->is_sequenced && letter->placed != 0;
    if (!has_place) {
        return;
    }
    if (guest->last_placed[room] > letter->placed) {
        char text[LETTER_TEXT_SIZE];
        world_fail(world, "client %u, core %u: got %s behind one that was placed at %llu",
                   client->id, guest->core_index, letter_text(world, letter, text),
                   (unsigned long long)guest->last_placed[room]);
    }
    guest->last_placed[room] = letter->placed;
}

/* Was it queued in time? The service's own frames that have come since say when it was not. */
static void took_late(struct client *client, const struct guest *guest, const struct letter *letter)
{
    struct world *world = client->world;
    if (letter->is_sequenced || letter->listed_count == 0 || letter->returned == 0) {
        return;
    }
    bool is_own = letter->strand == guest->core_index && !letter->is_unsure;
    uint64_t due = is_own ? letter->returned : letter->settled;
    if (guest->owed_stamp > due) {
        char text[LETTER_TEXT_SIZE];
        world_fail(world, "client %u, core %u: got %s too late: behind what was sent at %llu",
                   client->id, guest->core_index, letter_text(world, letter, text),
                   (unsigned long long)guest->owed_stamp);
    }
}

void ledger_owed_came(struct client *client, uint64_t stamp)
{
    if (client->world->ledger != NULL) {
        ledger_guest(client->world, client)->owed_stamp = stamp;
    }
}

bool ledger_may_close(struct client *client, uint16_t close_code)
{
    if (client->world->ledger == NULL || close_code != 1013) {
        return false;
    }
    const struct ledger *ledger = client->world->ledger;
    const struct guest *guest = &ledger->guests[client->id];
    for (unsigned i = 0; i < guest->stay_count; i++) {
        if (ledger->room[guest->stays[i].room].policy == GYR_ROOM_CLOSE) {
            client->excuses |= EXCUSE_POLICY;
            return true;
        }
    }
    return false;
}
