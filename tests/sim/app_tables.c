/* SPDX-License-Identifier: MIT */
/* What the simulated application declares, and what the oracle knows of it. Every function asks the
 * oracle whether it is its turn, and lets the dice say what it does. */
#include "tests/sim/app.h"
#include "tests/sim/app_message.h"
#include "tests/sim/world.h"

#include <stdlib.h>

#define CALL(call) (1U << (call))

/* ---- what the oracle knows ------------------------------------------------------------------- */

const struct app_hook_model app_hooks[APP_HOOKS_MAX] = {
    {0,
     PART_BEFORE_CONNECT | PART_AFTER_CONNECT | PART_BEFORE_RECEIVE | PART_AFTER_RECEIVE |
         PART_LEAVE,
     24},
    {1, PART_BEFORE_CONNECT | PART_AFTER_RECEIVE, 0},
    {2, PART_BEFORE_CONNECT | PART_AFTER_CONNECT | PART_LEAVE, 8},
    {3, PART_BEFORE_CONNECT | PART_BEFORE_RECEIVE | PART_AFTER_RECEIVE, 40},
    {4, PART_AFTER_CONNECT | PART_BEFORE_RECEIVE | PART_AFTER_RECEIVE | PART_LEAVE, 1},
    {5, PART_BEFORE_CONNECT | PART_AFTER_CONNECT | PART_BEFORE_RECEIVE | PART_LEAVE, 3},
    {6, PART_AFTER_CONNECT | PART_AFTER_RECEIVE, 16},
};

#define ROOM_CALLS                                                                                \
    (CALL(APP_CREATE) | CALL(APP_GUARD) | CALL(APP_CONNECT) | CALL(APP_DISCONNECT) |              \
     CALL(APP_DESTROY) | CALL(APP_REQUEST) | CALL(APP_CONTENT) | CALL(APP_NOTE) | CALL(APP_RAW) | \
     CALL(APP_NAMED) | CALL(APP_UNHANDLED))

const struct app_type_model app_types[APP_TYPE_COUNT] = {
    [APP_HALL] = {.calls = CALL(APP_MAKE) | CALL(APP_CREATE) | CALL(APP_GUARD) | CALL(APP_GIVE) |
                           CALL(APP_DISCONNECT) | CALL(APP_DESTROY),
                  .hooks = {2},
                  .hook_count = 1},
    [APP_CELL] = {.calls =
                      CALL(APP_CREATE) | CALL(APP_GIVE) | CALL(APP_DESTROY) | CALL(APP_CONNECT),
                  .hooks = {6},
                  .hook_count = 1},
    [APP_ROOM] = {.calls = ROOM_CALLS, .hooks = {3, 4}, .hook_count = 2},
    [APP_CLOSET] = {.calls = (ROOM_CALLS & ~CALL(APP_GUARD) & ~CALL(APP_NOTE)) | CALL(APP_GUARD) |
                             CALL(APP_NOTE_OF_CLOSET),
                    .is_envelope = true,
                    .hooks = {3, 4, 5},
                    .hook_count = 3},
    [APP_BARE] = {.calls = CALL(APP_NOTE), .keeps = true},
    [APP_PLAIN_BYTES] = {.calls = CALL(APP_MAKE) | CALL(APP_CREATE) | CALL(APP_DESTROY) |
                                  CALL(APP_CONNECT) | CALL(APP_BYTES)},
};

const struct app_route_model app_routes[APP_ROUTE_COUNT] = {
    {"/h/%u", {APP_HALL}, 1, .has_sockets = true},
    {"/h/%u/room/%u", {APP_HALL, APP_ROOM}, 2, .has_methods = true, .has_sockets = true},
    {"/h/%u/closet/%u", {APP_HALL, APP_CLOSET}, 2, .has_methods = true, .has_sockets = true},
    {"/h/%u/bare/%u", {APP_HALL, APP_BARE}, 2, .has_sockets = true},
    {"/h/%u/c/%u/room",
     {APP_HALL, APP_CELL, APP_ROOM},
     3,
     .has_methods = true,
     .has_sockets = true},
    {"/room/%u/%u", {APP_ROOM}, 1, .has_methods = true, .has_sockets = true},
    {"/bare/%u", {APP_BARE}, 1, .has_sockets = true},
    {"/bytes/%u/%u", {APP_PLAIN_BYTES}, 1, .has_sockets = true},
    {"/made/%u/%u", {0}, 0, .is_made = true, .has_sockets = true},
    {"/h/%u/c/%u", {APP_HALL, APP_CELL}, 2, .has_sockets = true},
};

/* ---- functions ------------------------------------------------------------------------------- */

static int call_of(struct gyr_conn *conn, enum app_call call, unsigned who, void *self)
{
    struct tour *tour = tour_of(conn);
    return tour_enter(tour, call, who, self) ? tour_leave(tour, app_act(tour, call, who)) : 0;
}

/* Those that return nothing. */
static void told_of(struct gyr_conn *conn, enum app_call call, unsigned who, void *self)
{
    struct tour *tour = tour_of(conn);
    if (tour_enter(tour, call, who, self)) {
        (void)app_act(tour, call, who);
        (void)tour_leave(tour, 0);
    }
}

static unsigned level_of(struct gyr_conn *conn, enum app_type type)
{
    const struct tour *tour = tour_of(conn);
    unsigned level = 0;
    while (level < tour->level_count && tour->types[level] != type) {
        level++;
    }
    return level;
}

static unsigned innermost(struct gyr_conn *conn)
{
    return tour_of(conn)->level_count - 1U;
}

struct store {
    int unused;
};
struct token {
    struct gyr_conn *conn;
};
struct hall {
    const struct store *store;
    const struct token *token;
    uint64_t zero;
};
struct cell {
    const struct hall *lamp;
};
struct room {
    const struct store *store;
    const struct hall *lamp;
    uint64_t zero[3];
};
struct closet {
    struct room room;
    uint8_t zero;
};
struct plain_bytes {
    const struct token *token;
};

static const struct store store;

static int token_make(struct gyr_conn *conn, void *user, void **pointer)
{
    struct world *world = user;
    int result = call_of(conn, APP_MAKE, 0, NULL);
    if (result == 0) {
        struct token *token = malloc(sizeof(*token));
        ASSERT(token != NULL);
        token->conn = conn;
        *pointer = token;
        world->app->made_count++;
    }
    return result;
}

static void token_drop(struct gyr_conn *conn, void *user, void *pointer)
{
    struct world *world = user;
    struct token *token = pointer;
    if (token->conn != conn) {
        world_fail(world, "a token is dropped of another connection");
    }
    told_of(conn, APP_DROP, 0, NULL);
    free(token);
    world->app->dropped_count++;
}

static void inputs_check(struct gyr_conn *conn, bool is_right, const char *what)
{
    if (!is_right) {
        world_fail(tour_of(conn)->world, "client %u: the inputs of a %s are wrong",
                   tour_of(conn)->client->id, what);
    }
}

static int hall_create(struct gyr_conn *conn, void *self)
{
    const struct hall *hall = self;
    inputs_check(conn, hall->store == &store && hall->token->conn == conn && hall->zero == 0,
                 "hall");
    return call_of(conn, APP_CREATE, level_of(conn, APP_HALL), self);
}
static int cell_create(struct gyr_conn *conn, void *self)
{
    const struct cell *cell = self;
    inputs_check(conn, cell->lamp == NULL || cell->lamp == tour_of(conn)->selfs[0], "cell");
    return call_of(conn, APP_CREATE, level_of(conn, APP_CELL), self);
}
static int room_create(struct gyr_conn *conn, void *self)
{
    const struct room *room = self;
    bool below = innermost(conn) != 0;
    inputs_check(conn,
                 room->store == &store && room->zero[0] == 0 && room->zero[2] == 0 &&
                     (room->lamp == NULL || (below && room->lamp == tour_of(conn)->selfs[0])),
                 "room");
    return call_of(conn, APP_CREATE, innermost(conn), self);
}
static int bytes_create(struct gyr_conn *conn, void *self)
{
    inputs_check(conn, ((struct plain_bytes *)self)->token->conn == conn, "plain_bytes");
    return call_of(conn, APP_CREATE, innermost(conn), self);
}

static void hall_destroy(struct gyr_conn *conn, void *self)
{
    told_of(conn, APP_DESTROY, level_of(conn, APP_HALL), self);
}
static void cell_destroy(struct gyr_conn *conn, void *self)
{
    told_of(conn, APP_DESTROY, level_of(conn, APP_CELL), self);
}
static void inner_destroy(struct gyr_conn *conn, void *self)
{
    told_of(conn, APP_DESTROY, innermost(conn), self);
}

static int hall_guard(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)gyr_request_path(request);
    return call_of(conn, APP_GUARD, level_of(conn, APP_HALL), self);
}
static int inner_guard(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)gyr_request_path(request);
    return call_of(conn, APP_GUARD, innermost(conn), self);
}

static int hall_give(struct gyr_conn *conn, void *self)
{
    if (dice_chance(&tour_of(conn)->dice, 700) && gyr_give(conn, "lamp", self) != 0) {
        world_fail(tour_of(conn)->world, "gyr_give has failed");
    }
    app_state_give(tour_of(conn), level_of(conn, APP_HALL));
    return call_of(conn, APP_GIVE, level_of(conn, APP_HALL), self);
}
static int cell_give(struct gyr_conn *conn, void *self)
{
    app_state_give(tour_of(conn), level_of(conn, APP_CELL));
    return call_of(conn, APP_GIVE, level_of(conn, APP_CELL), self);
}

static int inner_connect(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    if (!gyr_request_is_upgrade(request)) {
        world_fail(tour_of(conn)->world, "on_connect without a handshake");
    }
    return call_of(conn, APP_CONNECT, 0, self);
}
static void inner_disconnect(struct gyr_conn *conn, void *self, uint16_t close_code,
                             struct gyr_span reason)
{
    (void)close_code;
    (void)reason;
    told_of(conn, APP_DISCONNECT, 0, self);
}

static int inner_get(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)gyr_request_path(request);
    return call_of(conn, APP_REQUEST, 0, self);
}

static int note_of(struct gyr_conn *conn, void *self, const struct note *note, enum app_call call)
{
    const struct tour *tour = tour_of(conn);
    char text[24];
    (void)snprintf(text, sizeof(text), "say %d", note->n);
    if (note->n != (int32_t)tour->said_number || note->text.size != strlen(text) ||
        memcmp(note->text.ptr, text, note->text.size) != 0) {
        world_fail(tour->world, "client %u: a note has been decoded wrongly: %d, %.*s",
                   tour->client->id, note->n, (int)note->text.size, note->text.ptr);
    }
    return call_of(conn, call, 0, self);
}
static int inner_post(struct gyr_conn *conn, void *self, const struct note *note)
{
    return note_of(conn, self, note, APP_CONTENT);
}
static int room_note(struct gyr_conn *conn, void *self, const struct note *note)
{
    return note_of(conn, self, note, APP_NOTE);
}
static int closet_note(struct gyr_conn *conn, void *self, const struct note *note)
{
    return note_of(conn, self, note, APP_NOTE_OF_CLOSET);
}
static int room_raw(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    (void)payload;
    return call_of(conn, APP_RAW, 0, self);
}
static int on_do_thing(struct gyr_conn *conn, void *self, const struct note *note)
{
    return note_of(conn, self, note, APP_NAMED);
}

static int room_unhandled(struct gyr_conn *conn, void *self, const struct gyr_unhandled *unhandled)
{
    tour_look(tour_of(conn));
    const struct tour *tour = tour_of(conn);
    bool same_id = unhandled->id.size == strlen(tour->said_id) &&
                   (unhandled->id.size == 0 ||
                    memcmp(unhandled->id.ptr, tour->said_id, unhandled->id.size) == 0);
    if (unhandled->message.size != tour->said_size ||
        memcmp(unhandled->message.ptr, tour->said, tour->said_size) != 0 || !same_id ||
        unhandled->fault->reason != tour->reason) {
        world_fail(tour->world, "client %u: %.*s is unhandled for reason %d instead of %d, id %.*s",
                   tour->client->id, (int)unhandled->message.size, unhandled->message.ptr,
                   unhandled->fault->reason, tour->reason, (int)unhandled->id.size,
                   unhandled->id.ptr);
    }
    return call_of(conn, APP_UNHANDLED, 0, self);
}

static void room_timer(struct gyr_conn *conn, void *self)
{
    app_on_timer(tour_of(conn), self);
}

static void room_drain(struct gyr_conn *conn, void *self)
{
    const struct tour *tour = tour_of(conn);
    if (tour->created != tour->level_count || self != tour->selfs[tour->level_count - 1U] ||
        tour->phase == TOUR_ENDED || tour->world->is_upcall) {
        world_fail(tour->world, "client %u: on_drain in phase %d", tour->client->id, tour->phase);
    }
}

static int bytes_take(struct gyr_conn *conn, void *self, struct gyr_span message)
{
    const struct tour *tour = tour_of(conn);
    if (message.size != tour->said_size || memcmp(message.ptr, tour->said, message.size) != 0) {
        world_fail(tour->world, "client %u: on_text has got something else", tour->client->id);
    }
    return call_of(conn, APP_BYTES, 0, self);
}

static int made_choose(struct gyr_conn *conn, void *user, const struct gyr_request *request,
                       struct gyr_product *product);

/* ---- hooks ----------------------------------------------------------------------------------- */

static void hook_check(const struct gyr_hook_call *call, bool is_first)
{
    struct tour *tour = tour_of(call->conn);
    const struct app_hook_model *hook = call->user;
    bool connect = call->event == GYR_BEFORE_CONNECT || call->event == GYR_AFTER_CONNECT;
    bool receive = call->event == GYR_BEFORE_RECEIVE || call->event == GYR_AFTER_RECEIVE;
    if ((call->request != NULL) != connect || call->err != (is_first ? 0 : tour->err) ||
        (connect && call->is_handshake != tour->is_handshake) ||
        (call->data != NULL) != (hook->data_size != 0)) {
        world_fail(tour->world, "client %u: hook %u is told the wrong thing, err %d instead of %d",
                   tour->client->id, hook->index, call->err, tour->err);
    }
    /* After a wait it may be gone. */
    bool may_miss = !is_first && tour->message_is_gone && call->message.size == 0;
    if (receive && !may_miss &&
        (call->message.size != tour->said_size ||
         memcmp(call->message.ptr, tour->said, tour->said_size) != 0)) {
        world_fail(tour->world, "client %u: hook %u sees a message of %zu bytes instead of %zu",
                   tour->client->id, hook->index, call->message.size, tour->said_size);
    }
    uint8_t *data = call->data;
    for (unsigned i = 0; data != NULL && i < hook->data_size; i++) {
        if (data[i] != (is_first ? 0 : 0xa0U + hook->index)) {
            world_fail(tour->world, "client %u: the data of hook %u is not its own",
                       tour->client->id, hook->index);
        }
        data[i] = (uint8_t)(0xa0U + hook->index);
    }
}

static int hook_before(struct gyr_hook_call *call)
{
    const struct app_hook_model *hook = call->user;
    hook_check(call, true);
    if (call->event == GYR_BEFORE_RECEIVE && dice_chance(&tour_of(call->conn)->dice, 100)) {
        const char *copy = gyr_keep(call->conn, call->message.ptr, call->message.size);
        call->message.ptr = copy != NULL ? copy : call->message.ptr;
    }
    return call_of(call->conn, APP_BEFORE, hook->index, call->self);
}
static int hook_after(struct gyr_hook_call *call)
{
    tour_look(tour_of(call->conn));
    const struct app_hook_model *hook = call->user;
    unsigned part = call->event == GYR_AFTER_CONNECT ? PART_BEFORE_CONNECT : PART_BEFORE_RECEIVE;
    if ((hook->parts & part) == 0 && call->data != NULL) { /* nobody has written to it */
        memset(call->data, (int)(0xa0U + hook->index), hook->data_size);
    }
    hook_check(call, false);
    return call_of(call->conn, APP_AFTER, hook->index, call->self);
}
static int hook_leave(struct gyr_hook_call *call)
{
    hook_check(call, true);
    return call_of(call->conn, APP_LEAVE, ((const struct app_hook_model *)call->user)->index,
                   call->self);
}

#define HOOK(i, ...) GYR_HOOK("hook-" #i, .user = (void *)(uintptr_t)&app_hooks[i], __VA_ARGS__)
#define BC           .before_connect = hook_before
#define AC           .after_connect = hook_after
#define BR           .before_receive = hook_before
#define AR           .after_receive = hook_after
#define BD           .before_disconnect = hook_leave

static const struct gyr_hook global_hooks[APP_GLOBAL_HOOKS][2] = {
    {HOOK(0, BC, AC, BR, AR, BD, .data_size = 24), {0}},
    {HOOK(1, BC, AR), {0}},
};
static const struct gyr_hook room_hooks[] = {
    HOOK(3, BC, BR, AR, .data_size = 40), HOOK(4, AC, BR, AR, BD, .data_size = 1), {0}};

/* ---- declared -------------------------------------------------------------------------------- */

static const struct gyr_resource bare = {
    GYR_RESOURCE_PLAIN("bare"),
    .handlers = GYR_HANDLERS(GYR_ON(note, room_note)),
    .failure_policy = GYR_FAILURE_KEEP,
};
static const struct gyr_resource plain_bytes = {
    GYR_RESOURCE(plain_bytes),   .inputs = GYR_INPUTS(GYR_INPUT(plain_bytes, token, struct token)),
    .create = bytes_create,      .destroy = inner_destroy,
    .on_connect = inner_connect, .on_text = bytes_take,
    .on_binary = bytes_take,
};
static const struct gyr_resource room = {
    GYR_RESOURCE(room),
    .inputs = GYR_INPUTS(GYR_INPUT(room, store, struct store),
                         GYR_INPUT(room, lamp, struct hall, .optional = true)),
    .create = room_create,
    .destroy = inner_destroy,
    .guard = inner_guard,
    .on_connect = inner_connect,
    .on_disconnect = inner_disconnect,
    .handlers = GYR_HANDLERS(GYR_ON(note, room_note), GYR_ON_RAW("raw", room_raw),
                             GYR_ON_NAMED(note, on_do_thing)),
    .on_unhandled = room_unhandled,
    .on_timer = room_timer,
    .on_drain = room_drain,
    .methods = GYR_METHODS(GYR_GET(inner_get), GYR_POST_MSG(note, inner_post)),
};
static const struct gyr_resource closet = {
    GYR_RESOURCE(closet),
    .base = &room,
    .handlers = GYR_HANDLERS(GYR_OVERRIDE(note, room_note, closet_note)),
    .form = GYR_FORM_ENVELOPE,
    .hooks = GYR_HOOKS(HOOK(5, BC, AC, BR, BD, .data_size = 3)),
};
static const struct gyr_resource cell = {
    GYR_RESOURCE(cell),
    .inputs = GYR_INPUTS(GYR_INPUT(cell, lamp, struct hall, .optional = true)),
    .create = cell_create,
    .destroy = cell_destroy,
    .give = cell_give,
    .on_connect = inner_connect,
    .hooks = GYR_HOOKS(HOOK(6, AC, AR, .data_size = 16)),
    .children = GYR_ROUTES(GYR_ROUTE("room", &room)),
};
static const struct gyr_resource hall = {
    GYR_RESOURCE(hall),
    .inputs =
        GYR_INPUTS(GYR_INPUT(hall, store, struct store), GYR_INPUT(hall, token, struct token)),
    .gifts = GYR_GIFTS(GYR_GIFT("lamp", struct hall)),
    .create = hall_create,
    .destroy = hall_destroy,
    .guard = hall_guard,
    .give = hall_give,
    .on_disconnect = inner_disconnect,
    .hooks = GYR_HOOKS(HOOK(2, BC, AC, BD, .data_size = 8)),
    .children = GYR_ROUTES(GYR_ROUTE("room/{r:uint}", &room), GYR_ROUTE("closet/{r}", &closet),
                           GYR_ROUTE("bare/{r}", &bare), GYR_ROUTE("c/{c}", &cell)),
};
static const struct gyr_mixin products[] = {{&room}, {&plain_bytes}, {0}};
static const struct gyr_route routes[] = {
    GYR_ROUTE("/h/{h}", &hall),
    GYR_ROUTE("/room/{h}/{r:uint}", &room),
    GYR_ROUTE("/bare/{h}", &bare),
    GYR_ROUTE("/bytes/{h}/{r}", &plain_bytes),
    GYR_ROUTE_MADE("/made/{h}/{r}", made_choose, NULL, products),
    {0},
};

static int made_choose(struct gyr_conn *conn, void *user, const struct gyr_request *request,
                       struct gyr_product *product)
{
    struct tour *tour = tour_of(conn);
    (void)user;
    (void)gyr_request_path(request);
    if (!tour_enter(tour, APP_FACTORY, 0, NULL)) {
        return GYR_ERR_STATE;
    }
    bool is_room = !tour->is_handshake || dice_chance(&tour->dice, 500);
    product->resource = is_room ? &room : &plain_bytes;
    int result = tour_leave(tour, app_act(tour, APP_FACTORY, 0));
    if (result == 0 && tour->err == 0) {
        tour_made(tour, is_room ? APP_ROOM : APP_PLAIN_BYTES);
    }
    return result;
}

int app_declare(struct world *world, struct gyr_app *app)
{
    struct gyr_error error;
    const struct gyr_value value = GYR_VALUE("store", struct store, &store);
    const struct gyr_maker maker = GYR_MAKER("token", struct token, token_make, token_drop, world);
    int err = gyr_app_service(app, &value, &error);
    err = err < 0 ? err : gyr_app_maker(app, &maker, &error);
    for (unsigned i = 0; i < APP_GLOBAL_HOOKS && err == 0; i++) {
        if ((world->app->global_mask >> i & 1) != 0) {
            err = gyr_app_hooks(app, NULL, global_hooks[i], &error);
        }
    }
    err = err < 0 ? err : gyr_app_hooks(app, &room, room_hooks, &error);
    return err < 0 ? err : gyr_app_routes(app, "", routes);
}
