/* SPDX-License-Identifier: MIT */
/* The connect of a visit: what runs between a request and its answer. One loop over stages; each
 * function may wait (GYR_PENDING), and connect_ended takes what it has returned, now or later.
 *
 *   BEFORE_GLOBAL: application's hooks -> [factory] -> CREATE -> GUARD -> GIVE of each level
 *     -> BEFORE: hooks of levels -> CONNECT: on_connect, or the handler -> AFTER: hooks, outwards
 *
 * Whatever fails or refuses goes on with AFTER: `step` has counted the hooks whose before has
 * succeeded, and it is their after that runs. */
#include "router/visit_parts.h"

static bool connect_settle(struct visit *visit);
static int connect_call(struct visit *visit);
static bool connect_wait(struct visit *visit);
static void connect_fail(struct visit *visit, int err);
static int connect_conclude(struct visit *visit);
static int connect_upgrade(struct visit *visit);

int connect_run(struct visit *visit)
{
    while (connect_settle(visit)) {
        int result = connect_call(visit);
        if (result == GYR_PENDING) {
            if (connect_wait(visit)) {
                return GYR_PENDING;
            }
            continue;
        }
        if (UNLIKELY((visit->flags & VISIT_F_CONTENT) != 0)) {
            if (connect_keep(visit)) {
                return 0;
            }
            visit->flags &= ~(uint32_t)VISIT_F_CONTENT;
            continue;
        }
        connect_ended(visit, result);
    }
    return connect_conclude(visit);
}

/* Which function is next? False: none. */
static bool connect_settle(struct visit *visit)
{
    const struct plan_route *route = visit->route;
    if (visit->stage == VISIT_BEFORE_GLOBAL && visit->step == route->connect.global_count) {
        visit->stage = VISIT_CREATE;
    }
    if (visit->stage == VISIT_CREATE && visit->level == route->level_count &&
        route->factory == NULL) {
        visit->stage = VISIT_BEFORE;
    }
    if (visit->stage == VISIT_BEFORE && visit->step == route->connect.count) {
        visit->stage = VISIT_CONNECT;
    }
    return visit->stage != VISIT_AFTER || visit->step != 0;
}

static int connect_call(struct visit *visit)
{
    const struct plan_route *route = visit->route;
    switch ((enum visit_stage)visit->stage) {
    case VISIT_BEFORE_GLOBAL:
    case VISIT_BEFORE:
        return hook_call(visit, &route->connect.hooks[visit->step], GYR_BEFORE_CONNECT);
    case VISIT_CREATE:
        return route->factory != NULL ? factory_choose(visit) : level_create(visit);
    case VISIT_GUARD:
        return level_guard(visit);
    case VISIT_GIVE:
        return level_give(visit);
    case VISIT_CONNECT:
        if ((visit->flags & VISIT_F_HANDSHAKE) != 0) {
            const struct gyr_resource *type;
            void *self = visit_innermost(visit, &type);
            return type->on_connect != NULL ? type->on_connect(visit->conn, self, visit->request)
                                            : 0;
        }
        return http_handle(visit);
    case VISIT_AFTER:
        return hook_call(visit, &route->connect.hooks[visit->step - 1U], GYR_AFTER_CONNECT);
    case VISIT_ANSWERED:
    case VISIT_OPEN:
    case VISIT_RECEIVE_BEFORE:
    case VISIT_RECEIVE_HANDLER:
    case VISIT_RECEIVE_AFTER:
    case VISIT_ENDED:
        break;
    }
    ASSERT(false);
    return GYR_ERR_STATE;
}

void connect_ended(struct visit *visit, int result)
{
    visit->cancel = NULL;
    result = visit_refused(visit, result);
    if (result == GYR_QUEUE_HIGH) {
        visit->flags |= VISIT_F_QUEUE_HIGH;
    }
    bool before = visit->stage == VISIT_BEFORE_GLOBAL || visit->stage == VISIT_BEFORE;
    if (UNLIKELY(before && result == GYR_SKIP)) {
        visit->flags |= VISIT_F_SKIPPED;
        visit->stage = VISIT_AFTER;
        return;
    }
    if (UNLIKELY((visit->flags & VISIT_F_BAD_GIFT) != 0)) {
        result = GYR_ERR_ARGUMENT;
    }
    if (UNLIKELY(result < 0)) {
        if (visit->stage == VISIT_CREATE && visit->made_count > visit->level) {
            visit->made_count = visit->level; /* there is nothing to destroy */
        }
        connect_fail(visit, result);
        return;
    }
    const struct plan_route *route = visit->route;
    switch ((enum visit_stage)visit->stage) {
    case VISIT_BEFORE_GLOBAL:
    case VISIT_BEFORE:
        visit->step++;
        return;
    case VISIT_CREATE:
        /* After the factory's choice the chain begins. */
        visit->stage = visit->made_count > visit->level ? VISIT_GUARD : VISIT_CREATE;
        return;
    case VISIT_GUARD:
        if (visit->level + 1 < route->level_count) {
            visit->stage = VISIT_GIVE;
            return;
        }
        __attribute__((fallthrough));
    case VISIT_GIVE:
        visit->level++;
        visit->stage = VISIT_CREATE;
        return;
    case VISIT_CONNECT:
        visit->stage = VISIT_AFTER;
        return;
    case VISIT_AFTER:
        visit->step--;
        return;
    case VISIT_ANSWERED:
    case VISIT_OPEN:
    case VISIT_RECEIVE_BEFORE:
    case VISIT_RECEIVE_HANDLER:
    case VISIT_RECEIVE_AFTER:
    case VISIT_ENDED:
        break;
    }
    ASSERT(false);
}

/* Tell what has failed; hooks outside of it follow. Of several errors the first counts. */
static void connect_fail(struct visit *visit, int err)
{
    const struct plan_route *route = visit->route;
    const struct plan_hook *hook = NULL;
    const char *what = "handler";
    const char *resource = NULL;
    const char *name = NULL;
    if (visit->stage == VISIT_AFTER) {
        what = "after_connect";
        hook = &route->connect.hooks[--visit->step];
    } else if (visit->stage == VISIT_BEFORE_GLOBAL || visit->stage == VISIT_BEFORE) {
        what = "before_connect";
        hook = &route->connect.hooks[visit->step];
    } else if (visit->stage == VISIT_CONNECT) {
        const struct gyr_resource *type = gyr_conn_resource(visit->conn);
        resource = type != NULL ? type->name : NULL;
        if ((visit->flags & VISIT_F_HANDSHAKE) != 0) {
            what = "on_connect";
        } else if (visit->method != NULL) {
            name = visit->method->name;
        }
    } else if (route->factory != NULL) {
        what = "factory";
    } else {
        what = visit->stage == VISIT_CREATE  ? "create"
               : visit->stage == VISIT_GUARD ? "guard"
                                             : "give";
        resource = route->levels[visit->level].type->declared->name;
        if ((visit->flags & VISIT_F_BAD_GIFT) != 0) {
            name = visit->refuse_text.ptr;
            visit->refuse_text = (struct gyr_span){0};
        }
    }
    if (hook != NULL) {
        resource = hook_resource_name(visit, hook);
        name = hook->name;
    }
    if (visit->err == 0) {
        visit->err = err;
    }
    visit->stage = VISIT_AFTER;
    bool told = (visit->flags & VISIT_F_TOLD) != 0;
    visit->flags &= ~(uint32_t)(VISIT_F_TOLD | VISIT_F_BAD_GIFT);
    if (!told) {
        visit_failed(visit, err, what, resource, name);
    }
}

/* A function waits. False: it cannot, for want of memory, and was cancelled. */
static bool connect_wait(struct visit *visit)
{
    if (!connect_keep(visit)) {
        return false;
    }
    visit->flags |= VISIT_F_PENDING;
    return true;
}

bool connect_keep(struct visit *visit)
{
    if ((visit->flags & VISIT_F_REQUEST_KEPT) != 0) {
        return true;
    }
    void *memory = visit_keep_alloc(visit, engine_request_size(visit->request));
    if (memory != NULL) {
        visit->request = engine_request_keep(visit->request, memory);
        visit->flags |= VISIT_F_REQUEST_KEPT;
        return true;
    }
    visit_cancel(visit);
    connect_fail(visit, GYR_ERR_MEMORY);
    return false;
}

/* All functions have run: accept, or answer. */
static int connect_conclude(struct visit *visit)
{
    int err = visit->err;
    bool handshake = (visit->flags & VISIT_F_HANDSHAKE) != 0;
    int result = 0;
    visit->err = 0;
    visit->stage = VISIT_ANSWERED;
    if (UNLIKELY(err < 0)) {
        result = refuse_answer(visit, err);
    } else if (handshake && (visit->flags & VISIT_F_SKIPPED) == 0) {
        result = connect_upgrade(visit);
    }
    if (result == 0 && (visit->flags & VISIT_F_QUEUE_HIGH) != 0) {
        result = GYR_QUEUE_HIGH;
    }
    visit->flags &= ~(uint32_t)(VISIT_F_QUEUE_HIGH | VISIT_F_SKIPPED | VISIT_F_REFUSED);
    visit->request = NULL;
    visit->subprotocol = NULL;
    visit->refuse_text = (struct gyr_span){0};
    visit_keep_release(visit);
    return result;
}

static int connect_upgrade(struct visit *visit)
{
    const char *subprotocol = visit->subprotocol;
    const char *const *offered = visit_type(visit)->merged.subprotocols;
    for (size_t i = 0; subprotocol == NULL && offered != NULL && offered[i] != NULL; i++) {
        if (gyr_request_offers(visit->request, offered[i])) {
            subprotocol = offered[i];
        }
    }
    struct gyr_upgrade upgrade = {.size = sizeof(upgrade)};
    if (subprotocol != NULL) {
        upgrade.subprotocol = (struct gyr_span){subprotocol, strlen(subprotocol)};
    }
    int err = gyr_upgrade(visit->conn, &upgrade);
    /* A function may have answered the handshake by itself. */
    return err == GYR_ERR_STATE ? 0 : err;
}

int gyr_subprotocol(struct gyr_conn *conn, const char *subprotocol)
{
    struct visit *visit = visit_of(conn);
    if (visit->stage > VISIT_AFTER || (visit->flags & VISIT_F_HANDSHAKE) == 0) {
        return GYR_ERR_STATE;
    }
    visit->subprotocol = "";
    if (!gyr_request_offers(visit->request, subprotocol)) {
        return GYR_ERR_NOT_FOUND;
    }
    size_t size = strlen(subprotocol) + 1;
    char *copy = visit_keep_alloc(visit, size);
    if (copy == NULL) {
        return GYR_ERR_MEMORY;
    }
    memcpy(copy, subprotocol, size);
    visit->subprotocol = copy;
    return 0;
}
