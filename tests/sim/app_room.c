/* SPDX-License-Identifier: MIT */
/* The room of an application: what is published reaches nobody but who has joined, at most once, in
 * the order of its publisher and in the form of its resource. Who must get it is for worlds with a
 * ledger. */
#include "tests/sim/app.h"
#include "tests/sim/app_message.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>

struct app_letter {
    unsigned publisher; /* number of the client */
    uint64_t got;       /* clients, a bit for each */
    uint64_t except;
    char text[96];
};

static const struct gyr_span ROOM = GYR_LITERAL("everybody");

void app_room_join(struct tour *tour)
{
    struct world *world = tour->world;
    if (world->server == NULL) {
        return;
    }
    world->is_call = true;
    int err = gyr_join(tour->conn, ROOM);
    world->is_call = false;
    world_note(world, "    gyr_join: %d", err);
    bool may_fail = (err == GYR_ERR_MEMORY && app_is_tight(world)) || err == GYR_ERR_CLOSED ||
                    err == GYR_ERR_LIMIT;
    if (err == 0) {
        tour->client->app_joined = true;
    } else if (!may_fail) {
        world_fail(world, "client %u: gyr_join returned %d", tour->client->id, err);
    }
}

void app_room_publish(struct tour *tour)
{
    struct world *world = tour->world;
    struct app_world *app = world->app;
    if (world->server == NULL || app->letter_count == APP_LETTERS_MAX) {
        return;
    }
    unsigned number = app->letter_count++;
    struct app_letter *letter = calloc(1, sizeof(*letter));
    ASSERT(letter != NULL);
    app->letters[number] = letter;
    bool is_envelope =
        tour->level_count != 0 && app_types[tour->types[tour->level_count - 1U]].is_envelope;
    bool others = dice_chance(&tour->dice, 500);
    letter->publisher = tour->client->id;
    letter->except = others ? 1ULL << tour->client->id : 0;
    (void)snprintf(letter->text, sizeof(letter->text), "{\"type\":\"letter\",%s\"n\":%u%s}",
                   is_envelope ? "\"payload\":{" : "", number, is_envelope ? "}" : "");
    const struct letter_said said = {.n = (int32_t)number};
    world->is_call = true;
    int err = others ? gyr_publish_others_msg(tour->conn, ROOM, &letter_said_schema, &said)
                     : gyr_publish_msg(tour->conn, ROOM, &letter_said_schema, &said);
    world->is_call = false;
    world_note(world, "    gyr_publish_msg %u: %d", number, err);
    if (err < 0 && err != GYR_ERR_BACKPRESSURE && !(err == GYR_ERR_MEMORY && app_is_tight(world))) {
        world_fail(world, "client %u: gyr_publish_msg returned %d", tour->client->id, err);
    }
    if (err < 0) {
        letter->except = UINT64_MAX;
    }
}

bool app_room_take(struct client *client, struct span payload)
{
    const struct app_world *app = client->world->app;
    char text[128];
    unsigned number;
    (void)snprintf(text, sizeof(text), "%.*s", (int)payload.size, (const char *)payload.ptr);
    const char *n = strstr(text, "\"n\":");
    if (strncmp(text, "{\"type\":\"letter\"", 16) != 0) {
        return false;
    }
    if (n == NULL || sscanf(n, "\"n\":%u", &number) != 1 || number >= app->letter_count) {
        world_fail(client->world, "client %u got a letter that nobody wrote: %s", client->id, text);
        return true;
    }
    struct app_letter *letter = app->letters[number];
    uint64_t bit = 1ULL << client->id;
    uint32_t *last = &client->app_last[letter->publisher];
    if (!client->app_joined || (letter->except & bit) != 0 || (letter->got & bit) != 0 ||
        *last > number || strcmp(letter->text, text) != 0) {
        world_fail(client->world, "client %u got letter %u, which is not for it now: %s%s",
                   client->id, number, text, (letter->got & bit) != 0 ? ", twice" : "");
    }
    world_note(client->world, "client %u got letter %u", client->id, number);
    letter->got |= bit;
    *last = number;
    return true;
}

void app_rooms_free(struct world *world)
{
    for (unsigned i = 0; i < world->app->letter_count; i++) {
        free(world->app->letters[i]);
    }
}
