/* SPDX-License-Identifier: MIT */
/* The application of a world, and what stands between it and the engine: every upcall goes through
 * here, so that the oracle sees when each begins and what it returns. */
#include "tests/sim/app.h"

#include "tests/sim/app_router.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>

struct app_slot {
    void *inner; /* the application's */
    struct tour *tour;
};

struct tour *tour_of(struct gyr_conn *conn)
{
    return ((struct app_slot *)gyr_conn_data(conn))->tour;
}

static struct world *world_of(struct gyr_conn *conn)
{
    return *(struct world **)gyr_core_data(gyr_conn_core(conn));
}

static struct tour *upcall_begin(struct gyr_conn *conn, const char *upcall)
{
    struct tour *tour = tour_of(conn);
    struct world *world = world_of(conn);
    world_note(world, "core%u %s of client %u", tour->core_index, upcall, tour->client->id);
    if (world->is_upcall || world->is_call) {
        world_fail(world, "%s of client %u within another upcall, or a call", upcall,
                   tour->client->id);
    }
    if (tour->phase == TOUR_ENDED || tour->conn != conn) {
        world_fail(world, "%s of client %u after its end", upcall, tour->client->id);
    }
    world->is_upcall = true;
    return tour;
}

static int upcall_end(struct tour *tour, int result)
{
    tour->world->is_upcall = false;
    if (result != 0) {
        world_note(tour->world, "    the engine gets %d", result);
    }
    return tour_upcall_end(tour, result);
}

/* ---- upcalls --------------------------------------------------------------------------------- */

static struct tour *tour_make(struct gyr_conn *conn, struct client *client)
{
    struct world *world = client->world;
    struct app_world *app = world->app;
    const struct item *item = client->said.head;
    struct tour *tour = calloc(1, sizeof(*tour));
    ASSERT(tour != NULL);
    *tour = (struct tour){
        .next = app->tours,
        .world = world,
        .client = client,
        .conn = conn,
        .handle = gyr_conn_handle(conn),
        .core_index = gyr_core_index(gyr_conn_core(conn)),
        .number = item->number,
        .said_number = item->number,
        .dice = dice_make(world->plan.seed, 20000 + app->tour_count++),
        .is_handshake = item->opcode == 'W',
        .is_post = item->opcode == 'P',
        .content_status = item->code,
        .route = (unsigned)item->done,
        .response_flags = item->flags & (ITEM_F_HEAD | ITEM_F_MAY_CLOSE | ITEM_F_MUST_CLOSE),
        .stores = {-1},
        .store_count = 1,
        .param_set = -1,
    };
    app->tours = tour;
    ((struct app_slot *)gyr_conn_data(conn))->tour = tour;
    return tour;
}

static int on_request(struct gyr_conn *conn, const struct gyr_request *request)
{
    struct world *world = world_of(conn);
    struct gyr_span field = gyr_request_field(request, "X-Sim");
    char text[32];
    unsigned id = UINT32_MAX;
    unsigned number = 0;
    (void)snprintf(text, sizeof(text), "%.*s", (int)field.size, field.ptr);
    if (sscanf(text, "%u %u", &id, &number) != 2 || id > world->client_count) {
        world_fail(world, "a request that must not be heard");
        return 0;
    }
    struct client *client = &world->clients[id];
    const struct item *item = client->said.head;
    if (item == NULL || item->kind != ITEM_REQUEST || item->number != number) {
        world_fail(world, "client %u: request %u out of order, or twice", id, number);
        return 0;
    }
    struct tour *tour = tour_make(conn, client);
    item_pop(&client->said);
    upcall_begin(conn, "on_request");
    if (tour->route < APP_ASTRAY_FIRST) {
        tour_connect_begin(tour);
        return upcall_end(tour, world->app->inner.on_request(conn, request));
    }
    tour->phase = TOUR_ANSWERED;
    int result = world->app->inner.on_request(conn, request);
    world->is_upcall = false;
    if (result == 0) {
        app_owe_response(tour, app_astray_status(tour->route), "", ITEM_F_ANY);
    } else if (!app_is_tight(world)) {
        world_fail(world, "client %u: a request that leads nowhere has ended with %d", id, result);
    }
    return result;
}

static int on_body(struct gyr_conn *conn, struct gyr_span piece, bool last)
{
    struct tour *tour = upcall_begin(conn, last ? "on_body, last" : "on_body");
    if (tour->phase == TOUR_CONTENT) {
        tour->phase = TOUR_CONNECT;
        tour->content_is_here = true;
    } else if (tour->phase != TOUR_ANSWERED) {
        world_fail(tour->world, "client %u: on_body in phase %d", tour->client->id, tour->phase);
    }
    return upcall_end(tour, tour->world->app->inner.on_body(conn, piece, last));
}

static void on_done(struct gyr_conn *conn, enum gyr_outcome outcome)
{
    struct tour *tour = upcall_begin(conn, "on_done");
    bool upgraded = outcome == GYR_DONE_UPGRADED;
    if (upgraded && tour->phase != TOUR_ACCEPTED && tour->phase != TOUR_REFUSED) {
        world_fail(tour->world, "client %u is upgraded in phase %d", tour->client->id, tour->phase);
    }
    if (!upgraded) {
        tour_end_begin(tour, false);
    }
    tour->world->app->inner.on_done(conn, outcome);
    tour->world->is_upcall = false;
    if (!upgraded) {
        tour_end(tour);
    }
}

static int on_open(struct gyr_conn *conn)
{
    struct tour *tour = upcall_begin(conn, "on_open");
    tour->phase = tour->phase == TOUR_ACCEPTED ? TOUR_OPEN : TOUR_REFUSED;
    return upcall_end(tour, tour->world->app->inner.on_open(conn));
}

static int on_message(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span message)
{
    struct tour *tour = upcall_begin(conn, "on_message");
    struct client *client = tour->client;
    const struct item *item = client->said.head;
    world_note(tour->world, "    %.*s", (int)message.size, message.ptr);
    if (tour->phase != TOUR_OPEN || tour->is_pending || tour->is_closed || item == NULL ||
        item->kind != ITEM_MESSAGE || item->opcode != (uint8_t)opcode ||
        item->size != message.size || memcmp(item->bytes, message.ptr, message.size) != 0) {
        world_fail(tour->world, "client %u: a message that must not come now, in phase %d%s%s",
                   client->id, tour->phase, tour->is_pending ? ", pending" : "",
                   tour->is_closed ? ", closed" : "");
        return 0;
    }
    tour_message_begin(tour, item);
    item_pop(&client->said);
    return upcall_end(tour, tour->world->app->inner.on_message(conn, opcode, message));
}

static void on_close(struct gyr_conn *conn, uint16_t close_code, struct gyr_span reason)
{
    struct tour *tour = upcall_begin(conn, "on_close");
    tour->client->heard_code = close_code;
    tour_end_begin(tour, tour->phase != TOUR_REFUSED);
    tour->world->app->inner.on_close(conn, close_code, reason);
    tour->world->is_upcall = false;
    tour_end(tour);
}

static int on_finish(struct gyr_conn *conn, int result)
{
    struct tour *tour = upcall_begin(conn, "on_finish");
    if (!tour->is_pending) {
        world_fail(tour->world, "client %u: a wait ends, and nobody waits", tour->client->id);
    }
    tour->message_is_gone = true;
    tour_settle(tour, result);
    return upcall_end(tour, tour->world->app->inner.on_finish(conn, result));
}

static void on_failure(struct gyr_conn *conn, const struct gyr_failure *failure)
{
    tour_told(tour_of(conn), failure);
}

/* ---- the world ------------------------------------------------------------------------------- */

void app_world_init(struct world *world)
{
    if (!world->plan.is_app) {
        return;
    }
    struct app_world *app = calloc(1, sizeof(*app));
    ASSERT(app != NULL);
    world->app = app;
    struct dice dice = dice_make(world->plan.seed, 9);
    app->global_mask = dice_below(&dice, 1U << APP_GLOBAL_HOOKS);
    app->declared = (struct gyr_service){
        .size = sizeof(struct gyr_service),
        .core_data_size = sizeof(struct world *),
        .on_trouble = world->service.on_trouble,
        .on_log = world->service.on_log,
        .user = world,
    };
    const struct gyr_app_options options = {
        .size = sizeof(options),
        .service = &app->declared,
        .asks_max = APP_ASKS_MAX,
        .on_failure = on_failure,
    };
    struct gyr_error error;
    char text[2000];
    int err = gyr_app_create(&options, &app->app, &error);
    ASSERT(err == 0);
    err = app_declare(world, app->app);
    if (err < 0 || gyr_app_check(app->app, text, sizeof(text)) != 0) {
        world_fail(world, "the application is declared wrongly, %d: %s", err, text);
        return;
    }
    app->inner = *app_router_service(app->app);
    world->service = app->inner;
    world->service.conn_data_size = sizeof(struct app_slot);
    world->service.on_request = on_request;
    world->service.on_body = on_body;
    world->service.on_done = on_done;
    world->service.on_open = on_open;
    world->service.on_message = on_message;
    world->service.on_close = on_close;
    world->service.on_finish = on_finish;
}

void app_world_check(struct world *world)
{
    for (const struct tour *tour = world->app->tours; tour != NULL; tour = tour->next) {
        bool live = tour->phase != TOUR_ENDED;
        if (world->strands[tour->core_index].is_within && world->strand_now != tour->core_index) {
            continue; /* it was left in the midst of a turn */
        }
        if (live && world->ended[tour->core_index]) {
            world_fail(world, "core %u has ended, and client %u was not told", tour->core_index,
                       tour->client->id);
        } else if (live && gyr_core_find((struct gyr_core *)world->cores[tour->core_index],
                                         tour->handle) != tour->conn) {
            world_fail(world, "the handle of client %u names something else", tour->client->id);
        }
    }
}

void app_world_deinit(struct world *world)
{
    struct app_world *app = world->app;
    if (app->made_count != app->dropped_count) {
        world_fail(world, "%llu tokens were made, and %llu dropped",
                   (unsigned long long)app->made_count, (unsigned long long)app->dropped_count);
    }
    if (app->store_count != 0) {
        world_fail(world, "%u states of the service's own are left", app->store_count);
    }
    while (app->tours != NULL) {
        struct tour *tour = app->tours;
        if (tour->phase != TOUR_ENDED) {
            world_fail(world, "an exchange of client %u has never ended", tour->client->id);
        }
        app->tours = tour->next;
        free(tour);
    }
    app_waits_free(world);
    app_rooms_free(world);
    gyr_app_destroy(app->app);
    free(app);
}
