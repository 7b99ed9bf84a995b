/* SPDX-License-Identifier: MIT */
/* A visit from its request to its end (hop 7 of docs/journey.md): its memory, what the engine
 * calls, and the order in which everything ends.
 *
 *   (none) --visit_request--> connect (visit_connect.c) --visit_open--> OPEN --visit_close--> .
 *                               |                                      ^  |
 *                               |                     visit_message.c  +--+
 *                               +--> ANSWERED or refused --visit_done--> (none)
 *
 * The end comes at any time, also while a function is waited for; then nobody waits any more. */
#include "router/visit.h"

#include "router/dispatch.h"
#include "router/visit_parts.h"

static size_t visit_size_of(const struct plan_route *route);
static void params_fill(struct visit *visit, const struct route_match *match, uint8_t *text);
static void visit_end(struct visit *visit, uint16_t close_code, struct gyr_span reason);
static void blocks_free(struct visit *visit, struct visit_block *block);

int visit_request(struct gyr_conn *conn, const struct gyr_request *request)
{
    struct app_core *core = app_core_of(gyr_conn_core(conn));
    struct http_target target;
    arena_reset(&core->arena); /* of what gyr_conn_decode has put there, for others */
    http_find(core->plan, request, &target);
    if (target.status != ROUTE_FOUND) {
        return http_respond_unrouted(conn, request, &target);
    }
    const struct plan_route *route = &core->plan->routes[target.match.index];
    struct visit *visit = visit_create(core, conn, route, &target.match);
    if (visit == NULL) {
        return GYR_ERR_MEMORY;
    }
    *(struct visit **)gyr_conn_data(conn) = visit;
    visit->request = request;
    if (target.method == 0) {
        visit->flags |= VISIT_F_HANDSHAKE;
        return connect_run(visit);
    }
    visit->method = http_method(route, target.method);
    int err = http_collect(visit, target.method);
    if (err < 0) {
        return err;
    }
    return connect_run(visit);
}

struct visit *visit_create(struct app_core *core, struct gyr_conn *conn,
                           const struct plan_route *route, const struct route_match *match)
{
    size_t text_offset = visit_size_of(route);
    size_t size = text_offset;
    for (unsigned i = 0; i < match->value_count; i++) {
        size += match->values[i].raw.size;
    }
    uint8_t *bytes = engine_core_alloc(core->core, size);
    if (bytes == NULL) {
        return NULL;
    }
    memset(bytes, 0, text_offset);
    struct visit *visit = (struct visit *)(void *)bytes;
    visit->route = route;
    visit->core = core;
    visit->conn = conn;
    visit->size = (uint32_t)size;
    visit->param_count = (uint8_t)match->value_count;
    visit->params = (struct visit_param *)(void *)(bytes + route->params_offset);
    params_fill(visit, match, bytes + text_offset);
    return visit;
}

/* Whichever product a factory chooses has to fit. */
static size_t visit_size_of(const struct plan_route *route)
{
    size_t size = route->visit_size;
    for (uint32_t i = 0; i < route->product_count; i++) {
        size = MAX(size, (size_t)route->products[i].visit_size);
    }
    return size;
}

static void params_fill(struct visit *visit, const struct route_match *match, uint8_t *text)
{
    for (unsigned i = 0; i < match->value_count; i++) {
        struct route_value value = match->values[i];
        size_t size = value.raw.size;
        if (value.is_encoded) {
            size = route_value_decode(value, text);
        } else if (size != 0) {
            memcpy(text, value.raw.ptr, size);
        }
        visit->params[i] = (struct visit_param){
            .name = visit->route->param_names[i],
            .value = {(const char *)text, size},
        };
        text += size;
    }
}

int visit_body(struct gyr_conn *conn, struct gyr_span piece, bool last)
{
    struct visit *visit = visit_of(conn);
    if (visit == NULL) {
        return 0;
    }
    if ((visit->flags & VISIT_F_CONTENT) != 0) {
        visit->flags &= ~(uint32_t)VISIT_F_CONTENT;
        int result = http_handle_content(visit, piece);
        if (result == GYR_PENDING) {
            visit->flags |= VISIT_F_PENDING;
            return result;
        }
        connect_ended(visit, result);
        return connect_run(visit);
    }
    const struct gyr_resource *type;
    void *self = visit_innermost(visit, &type);
    if (visit->stage != VISIT_ANSWERED || type == NULL || type->on_body == NULL) {
        return 0;
    }
    arena_reset(&visit->core->arena);
    return http_body_result(visit, type->on_body(conn, self, piece, last));
}

int visit_open(struct gyr_conn *conn)
{
    struct visit *visit = visit_of(conn);
    const struct gyr_resource *type;
    if ((visit->flags & VISIT_F_REFUSE_CLOSE) != 0) {
        return 0;
    }
    (void)visit_innermost(visit, &type);
    if (UNLIKELY(type == NULL)) {
        /* A function has accepted by itself where there is no resource, or none was made: nobody
         * is there for the messages. */
        visit->flags |= VISIT_F_REFUSE_CLOSE;
        visit_failed(visit, GYR_ERR_STATE, "gyr_upgrade", NULL, NULL);
        return GYR_ERR_STATE;
    }
    visit->flags |= VISIT_F_ACCEPTED;
    visit->stage = VISIT_OPEN;
    return 0;
}

int visit_finish(struct gyr_conn *conn, int result)
{
    struct visit *visit = visit_of(conn);
    if (visit == NULL || (visit->flags & VISIT_F_PENDING) == 0) {
        return result != GYR_PENDING ? result : 0;
    }
    if (UNLIKELY(result == GYR_PENDING)) {
        /* The response has ended. With it does what its handler, or on_body, waits for; but not
         * what a hook does, which gyr_finish will tell. */
        if (visit->stage != VISIT_CONNECT && visit->stage != VISIT_ANSWERED) {
            return result;
        }
        result = 0;
    }
    visit->flags &= ~(uint32_t)VISIT_F_PENDING;
    visit->cancel = NULL;
    if (visit->stage >= VISIT_RECEIVE_BEFORE) {
        return receive_finish(visit, result);
    }
    if (visit->stage == VISIT_ANSWERED) {
        return http_body_result(visit, result);
    }
    connect_ended(visit, result);
    return connect_run(visit);
}

void visit_done(struct gyr_conn *conn, enum gyr_outcome outcome)
{
    struct visit *visit = visit_of(conn);
    if (visit != NULL && outcome != GYR_DONE_UPGRADED) {
        visit_end(visit, 0, (struct gyr_span){0});
    }
}

void visit_close(struct gyr_conn *conn, uint16_t close_code, struct gyr_span reason)
{
    visit_end(visit_of(conn), close_code, reason);
}

/* The end: whoever waits is told, then hooks and resources, the innermost first, then memory. */
static void visit_end(struct visit *visit, uint16_t close_code, struct gyr_span reason)
{
    struct gyr_conn *conn = visit->conn;
    if ((visit->flags & VISIT_F_PENDING) != 0) {
        visit->flags &= ~(uint32_t)VISIT_F_PENDING;
        if (!engine_conn_is_finished(conn)) {
            visit_cancel(visit);
        }
    }
    visit->request = NULL;
    visit->message = (struct gyr_span){0};
    visit->id = (struct gyr_span){0};
    visit->stage = VISIT_ENDED;
    dispatch_end(visit);
    if ((visit->flags & VISIT_F_ACCEPTED) != 0) {
        hook_disconnect(visit, close_code);
        const struct gyr_resource *type;
        void *self = visit_innermost(visit, &type);
        ASSERT(type != NULL); /* who was accepted was made */
        if (type->on_disconnect != NULL) {
            type->on_disconnect(conn, self, close_code, reason);
        }
    }
    levels_destroy(visit);
    states_destroy(visit);
    blocks_free(visit, visit->kept);
    blocks_free(visit, visit->blocks);
    *(struct visit **)gyr_conn_data(conn) = NULL;
    engine_core_free(visit->core->core, visit, visit->size);
}

void visit_cancel(struct visit *visit)
{
    void (*cancel)(void *arg) = visit->cancel;
    visit->cancel = NULL;
    if (cancel != NULL) {
        cancel(visit->cancel_arg);
    }
}

void *visit_innermost(const struct visit *visit, const struct gyr_resource **type)
{
    const struct plan_route *route = visit->route;
    bool made = visit->made_count == route->level_count && visit->stage != VISIT_CREATE;
    if (route->level_count == 0 || !made || route->is_plain || route->factory != NULL) {
        *type = NULL;
        return NULL;
    }
    *type = &visit_type(visit)->merged;
    return visit_self(visit, route->level_count - 1U);
}

int visit_refused(const struct visit *visit, int result)
{
    unsigned refused = VISIT_F_REFUSED | VISIT_F_REFUSE_CLOSE;
    return result >= 0 && (visit->flags & refused) != 0 ? GYR_ERR_REFUSED : result;
}

/* ---- what else the engine calls ---- */

/* Whom it concerns: the innermost resource, if it is made and was not refused. What the core's
 * arena holds is of an earlier message. */
static void *listener_of(const struct gyr_conn *conn, const struct gyr_resource **type)
{
    struct visit *visit = visit_of(conn);
    *type = NULL;
    if (visit == NULL || (visit->flags & VISIT_F_REFUSE_CLOSE) != 0) {
        return NULL;
    }
    arena_reset(&visit->core->arena);
    return visit_innermost(visit, type);
}

void visit_drain(struct gyr_conn *conn)
{
    const struct gyr_resource *type;
    void *self = listener_of(conn, &type);
    if (type != NULL && type->on_drain != NULL) {
        type->on_drain(conn, self);
    }
}

void visit_mail(struct gyr_conn *conn, void *mail)
{
    const struct gyr_resource *type = NULL;
    void *self = conn != NULL ? listener_of(conn, &type) : NULL;
    if (type != NULL && type->on_mail != NULL) {
        type->on_mail(conn, self, mail);
    }
}

void visit_timer(struct gyr_conn *conn)
{
    const struct gyr_resource *type;
    void *self = listener_of(conn, &type);
    if (type != NULL && type->on_timer != NULL) {
        type->on_timer(conn, self);
    }
}

void visit_recovered(struct gyr_conn *conn, struct gyr_span room,
                     const struct gyr_recovery *recovery)
{
    const struct gyr_resource *type;
    void *self = listener_of(conn, &type);
    if (type != NULL && type->on_recovered != NULL) {
        type->on_recovered(conn, self, room, recovery);
    }
}

/* ---- failures ---- */

void visit_failed(struct visit *visit, int err, const char *what, const char *resource,
                  const char *name)
{
    if (err == GYR_ERR_REFUSED) {
        return;
    }
    struct gyr_core *core = visit->core->core;
    struct log_line line;
    if (engine_core_log_begin(core, GYR_LOG_ERROR, "app.failed", &line)) {
        log_text(&line, "what", what);
        if (resource != NULL) {
            log_text(&line, "resource", resource);
        }
        if (name != NULL) {
            log_text(&line, "name", name);
        }
        log_signed(&line, "err", err);
        log_text(&line, "text", gyr_strerror(err));
        engine_core_log_end(core, &line);
    }
    const struct gyr_app_options *options = app_options(visit->core->app);
    if (options->on_failure != NULL) {
        struct gyr_failure failure = {
            .size = sizeof(failure), .err = err, .what = what, .resource = resource, .name = name};
        options->on_failure(visit->conn, &failure);
    }
}

/* ---- memory ---- */

/* Bytes behind a header on a list. */
static void *block_alloc(struct visit *visit, struct visit_block **list, size_t size)
{
    static_assert(sizeof(struct visit_block) % 16 == 0, "what follows is aligned for anything");
    if (size > UINT32_MAX) {
        return NULL;
    }
    struct visit_block *block = engine_core_alloc(visit->core->core, sizeof(*block) + size);
    if (block == NULL) {
        return NULL;
    }
    *block = (struct visit_block){.next = *list, .size = sizeof(*block) + size};
    *list = block;
    return block + 1;
}

static void blocks_free(struct visit *visit, struct visit_block *block)
{
    while (block != NULL) {
        struct visit_block *next = block->next;
        engine_core_free(visit->core->core, block, block->size);
        block = next;
    }
}

void *visit_keep_alloc(struct visit *visit, size_t size)
{
    return block_alloc(visit, &visit->kept, size);
}

void visit_keep_release(struct visit *visit)
{
    struct visit_block *kept = visit->kept;
    visit->kept = NULL;
    blocks_free(visit, kept);
}

void *gyr_conn_alloc(struct gyr_conn *conn, size_t size)
{
    struct visit *visit = visit_of(conn);
    void *bytes = block_alloc(visit, &visit->blocks, size);
    if (bytes != NULL) {
        memset(bytes, 0, size);
    }
    return bytes;
}

void *gyr_keep(struct gyr_conn *conn, const void *bytes, size_t size)
{
    if (size > UINT32_MAX) {
        return NULL;
    }
    uint8_t *copy = visit_keep_alloc(visit_of(conn), size + GYR_MESSAGE_PADDING);
    if (copy != NULL) {
        if (size != 0) {
            memcpy(copy, bytes, size);
        }
        memset(copy + size, 0, GYR_MESSAGE_PADDING);
    }
    return copy;
}

/* ---- what a function may ask ---- */

void *gyr_self(const struct gyr_conn *conn, unsigned levels_above)
{
    const struct visit *visit = visit_of(conn);
    const struct plan_route *route = visit->route;
    if (levels_above >= route->level_count || route->factory != NULL) {
        return NULL;
    }
    unsigned level = route->level_count - 1U - levels_above;
    bool being_made = visit->stage == VISIT_CREATE && level == visit->level;
    return level < visit->made_count || being_made ? visit_self(visit, level) : NULL;
}

const struct gyr_resource *gyr_conn_resource(const struct gyr_conn *conn)
{
    const struct visit *visit = visit_of(conn);
    const struct plan_route *route = visit->route;
    return route->level_count != 0 && route->factory == NULL ? visit_type(visit)->declared : NULL;
}

struct gyr_app *gyr_conn_app(const struct gyr_conn *conn)
{
    return app_core_of(gyr_conn_core(conn))->app;
}

void gyr_on_cancel(struct gyr_conn *conn, void (*fn)(void *arg), void *arg)
{
    struct visit *visit = visit_of(conn);
    visit->cancel = fn;
    visit->cancel_arg = arg;
}
