/* SPDX-License-Identifier: MIT */
/* Parameters of the path, and states: what the oracle knows of them, and a store of the service's
 * own beside the default one. Both hold one number. */
#include "tests/sim/app.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>

static const struct gyr_span KEY = GYR_LITERAL("number");

/* A store that is none of the router's. */
struct own_store {
    struct world *world; /* borrowed */
    char text[16];       /* "": none */
};

static int own_get(void *store, struct gyr_span key, struct gyr_span *value)
{
    const struct own_store *own = store;
    (void)key;
    *value = (struct gyr_span){own->text, strlen(own->text)};
    return own->text[0] != '\0' ? 0 : GYR_ERR_NOT_FOUND;
}

static int own_set(void *store, struct gyr_span key, struct gyr_span value)
{
    struct own_store *own = store;
    (void)key;
    (void)snprintf(own->text, sizeof(own->text), "%.*s", (int)value.size, value.ptr);
    return 0;
}

static int own_remove(void *store, struct gyr_span key)
{
    struct own_store *own = store;
    (void)key;
    own->text[0] = '\0';
    return 0;
}

static int own_each(void *store, int (*each)(void *arg, struct gyr_span key, struct gyr_span value),
                    void *arg)
{
    struct gyr_span value;
    return own_get(store, KEY, &value) == 0 ? each(arg, KEY, value) : 0;
}

static void own_destroy(void *store)
{
    struct own_store *own = store;
    own->world->app->store_count--;
    free(own);
}

static const struct gyr_state_ops own_ops = {
    .size = sizeof(struct gyr_state_ops),
    .get = own_get,
    .set = own_set,
    .remove = own_remove,
    .each = own_each,
    .destroy = own_destroy,
};

void app_state_give(struct tour *tour, unsigned level)
{
    struct own_store *own = NULL;
    if (!dice_chance(&tour->dice, 200) || tour->store_count == COUNT_OF(tour->stores)) {
        return;
    }
    if (dice_chance(&tour->dice, 500)) {
        own = calloc(1, sizeof(*own));
        ASSERT(own != NULL);
        own->world = tour->world;
    }
    int err = gyr_give_state(tour->conn, own != NULL ? &own_ops : NULL, own);
    world_note(tour->world, "    gyr_give_state: %d", err);
    if (err != 0) {
        free(own);
        if (err != GYR_ERR_MEMORY || !app_is_tight(tour->world)) {
            world_fail(tour->world, "gyr_give_state returned %d", err);
        }
        return;
    }
    tour->world->app->store_count += own != NULL;
    for (unsigned i = level + 1; i < APP_LEVELS_MAX; i++) {
        tour->store_of[i] = (uint8_t)tour->store_count;
    }
    tour->stores[tour->store_count++] = -1;
}

/* Another state for a resource and all that share its own. */
static void state_assign(struct tour *tour, const void *self, unsigned level)
{
    struct own_store *own = calloc(1, sizeof(*own));
    ASSERT(own != NULL);
    own->world = tour->world;
    int err = gyr_state_assign(tour->conn, self, &own_ops, own);
    world_note(tour->world, "    gyr_state_assign: %d", err);
    if (err == 0) {
        tour->world->app->store_count++;
        tour->stores[tour->store_of[level]] = -1;
        return;
    }
    free(own);
    if (err != GYR_ERR_MEMORY || !app_is_tight(tour->world)) {
        world_fail(tour->world, "gyr_state_assign returned %d", err);
    }
}

static int each_count(void *arg, struct gyr_span key, struct gyr_span value)
{
    (void)key;
    (void)value;
    ++*(int *)arg;
    return 0;
}

void app_state_use(struct tour *tour)
{
    struct world *world = tour->world;
    unsigned level = dice_below(&tour->dice, tour->level_count);
    const void *self = tour->selfs[level];
    if (self == NULL) { /* the innermost, which has no instance */
        level = tour->level_count - 1U;
    }
    int *known = &tour->stores[tour->store_of[level]];
    struct gyr_span value = {0};
    char text[16];
    int count = 0;
    int err = gyr_state_get(tour->conn, self, KEY, &value);
    int each = gyr_state_each(tour->conn, self, each_count, &count);
    (void)snprintf(text, sizeof(text), "%d", *known);
    bool right = *known < 0 ? err == GYR_ERR_NOT_FOUND
                            : err == 0 && value.size == strlen(text) &&
                                  memcmp(value.ptr, text, value.size) == 0;
    if (!right || each != 0 || count != (*known >= 0)) {
        world_fail(world, "client %u: the state of level %u is %d, %.*s instead of %s",
                   tour->client->id, level, err, (int)value.size, value.ptr, text);
    }
    if (dice_chance(&tour->dice, 100)) {
        state_assign(tour, self, level);
        return;
    }
    bool removes = *known >= 0 && dice_chance(&tour->dice, 300);
    int number = (int)dice_below(&tour->dice, 100000);
    (void)snprintf(text, sizeof(text), "%d", number);
    err = removes ? gyr_state_remove(tour->conn, self, KEY)
                  : gyr_state_set(tour->conn, self, KEY, (struct gyr_span){text, strlen(text)});
    if (err == 0) {
        *known = removes ? -1 : number;
    } else if (err != GYR_ERR_MEMORY || !app_is_tight(world)) {
        world_fail(world, "client %u: the state returned %d", tour->client->id, err);
    }
}

/* ---- parameters ------------------------------------------------------------------------------ */

static void param_check(const struct tour *tour, const char *name, int64_t expected)
{
    struct gyr_span value = gyr_param(tour->conn, name);
    int64_t number = -1;
    int err = gyr_param_int(tour->conn, name, &number);
    if (expected < 0 ? value.ptr != NULL || err != GYR_ERR_NOT_FOUND
                     : err != 0 || number != expected || value.ptr == NULL) {
        world_fail(tour->world, "client %u: the parameter %s is %.*s, %d instead of %lld",
                   tour->client->id, name, (int)value.size, value.ptr, err, (long long)expected);
    }
}

void app_params_use(struct tour *tour, enum app_call call)
{
    static const char *const SECOND[APP_ROUTE_COUNT] = {NULL, "r",  "r", "r", "c",
                                                        "r",  NULL, "r", "r", "c"};
    param_check(tour, "h", tour->client->id);
    if (SECOND[tour->route] != NULL) {
        param_check(tour, SECOND[tour->route], tour->number);
    }
    param_check(tour, "set", tour->param_set);
    bool may = tour->phase == TOUR_CONNECT && call == APP_BEFORE;
    char text[16];
    int number = (int)dice_below(&tour->dice, 1000000);
    (void)snprintf(text, sizeof(text), "%d", number);
    int err = gyr_set_param(tour->conn, "set", (struct gyr_span){text, strlen(text)});
    if (err == 0 && may) {
        tour->param_set = number;
    } else if (err != (may ? GYR_ERR_MEMORY : GYR_ERR_STATE) ||
               (may && !app_is_tight(tour->world))) {
        world_fail(tour->world, "client %u: gyr_set_param returned %d", tour->client->id, err);
    }
}
