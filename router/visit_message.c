/* SPDX-License-Identifier: MIT */
/* A message of an open WebSocket and the hooks round it (hops 7 and 8 of docs/journey.md).
 *
 *   OPEN -> RECEIVE_BEFORE -> RECEIVE_HANDLER (dispatch.c) -> RECEIVE_AFTER -> OPEN
 *
 * Without hooks it goes straight to dispatch_message. */
#include "router/dispatch.h"
#include "router/visit_parts.h"

static int message_hooked(struct visit *visit, enum gyr_opcode opcode, struct gyr_span message);
static int message_end(struct visit *visit, int result);
static int receive_run(struct visit *visit);
static int receive_call(struct visit *visit);
static bool receive_wait(struct visit *visit);
static void receive_ended(struct visit *visit, int result);
static void receive_fail(struct visit *visit, int err);

int visit_message(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span message)
{
    struct visit *visit = visit_of(conn);
    arena_reset(&visit->core->arena);
    if (UNLIKELY(visit->route->receive.count != 0)) {
        return message_hooked(visit, opcode, message);
    }
    int result = dispatch_message(visit, opcode, message);
    if (LIKELY(result == 0 && visit->kept == NULL && visit->cancel == NULL)) {
        visit->id.size = 0;
        return 0;
    }
    if (result == GYR_PENDING) {
        visit->stage = VISIT_RECEIVE_HANDLER;
        visit->step = 0;
        visit->err = 0;
        visit->message = (struct gyr_span){0};
        visit->flags |= VISIT_F_PENDING;
        return result;
    }
    return message_end(visit, result);
}

static int message_hooked(struct visit *visit, enum gyr_opcode opcode, struct gyr_span message)
{
    visit->stage = VISIT_RECEIVE_BEFORE;
    visit->step = 0;
    visit->err = 0;
    visit->opcode = (uint16_t)opcode;
    visit->message = message;
    hook_data_clear(visit, &visit->route->receive);
    return receive_run(visit);
}

/* All has run. What the engine gets: a failure closes the connection, unless the policy keeps
 * it. */
static int message_end(struct visit *visit, int result)
{
    unsigned of_message = VISIT_F_ANSWERED_ID | VISIT_F_QUEUE_HIGH | VISIT_F_MESSAGE_KEPT |
                          VISIT_F_REPLACED | VISIT_F_ID_KEPT;
    visit->stage = VISIT_OPEN;
    visit->flags &= ~(uint32_t)of_message;
    visit->message = (struct gyr_span){0};
    visit->id = (struct gyr_span){0};
    visit->cancel = NULL;
    visit_keep_release(visit);
    if (result < 0 && visit_type(visit)->failure_policy == GYR_FAILURE_KEEP) {
        return 0;
    }
    return result;
}

int receive_finish(struct visit *visit, int result)
{
    if (visit->stage == VISIT_RECEIVE_HANDLER) {
        result = dispatch_finish(visit, result);
    }
    receive_ended(visit, result);
    return receive_run(visit);
}

static int receive_run(struct visit *visit)
{
    for (;;) {
        if (visit->stage == VISIT_RECEIVE_BEFORE && visit->step == visit->route->receive.count) {
            visit->stage = VISIT_RECEIVE_HANDLER;
        }
        if (visit->stage == VISIT_RECEIVE_AFTER && visit->step == 0) {
            break;
        }
        int result = receive_call(visit);
        if (result != GYR_PENDING) {
            receive_ended(visit, result);
        } else if (receive_wait(visit)) {
            return GYR_PENDING;
        }
    }
    int result = (visit->flags & VISIT_F_QUEUE_HIGH) != 0 ? GYR_QUEUE_HIGH : 0;
    return message_end(visit, visit->err != 0 ? visit->err : result);
}

static int receive_call(struct visit *visit)
{
    const struct plan_hook *hooks = visit->route->receive.hooks;
    if (visit->stage == VISIT_RECEIVE_BEFORE) {
        return hook_call(visit, &hooks[visit->step], GYR_BEFORE_RECEIVE);
    }
    if (visit->stage == VISIT_RECEIVE_AFTER) {
        return hook_call(visit, &hooks[visit->step - 1U], GYR_AFTER_RECEIVE);
    }
    return dispatch_message(visit, (enum gyr_opcode)visit->opcode, visit->message);
}

/* A function waits. Before the handler the message is kept, which may fail for want of memory;
 * behind it nobody needs it any more. */
static bool receive_wait(struct visit *visit)
{
    if (visit->stage != VISIT_RECEIVE_BEFORE) {
        dispatch_keep_id(visit);
        bool gone =
            visit->stage == VISIT_RECEIVE_HANDLER || (visit->flags & VISIT_F_MESSAGE_KEPT) == 0;
        visit->message = gone ? (struct gyr_span){0} : visit->message;
        if (visit->stage == VISIT_RECEIVE_AFTER && visit->id.size != 0) {
            dispatch_keep_id(visit); /* of the handler dispatch has seen to it */
        }
    } else if ((visit->flags & VISIT_F_MESSAGE_KEPT) == 0) {
        const char *copy = gyr_keep(visit->conn, visit->message.ptr, visit->message.size);
        if (copy == NULL) {
            visit_cancel(visit);
            receive_fail(visit, GYR_ERR_MEMORY);
            return false;
        }
        visit->message.ptr = copy;
        visit->flags |= VISIT_F_MESSAGE_KEPT;
    }
    visit->flags |= VISIT_F_PENDING;
    return true;
}

static void receive_ended(struct visit *visit, int result)
{
    visit->cancel = NULL;
    if (result == GYR_QUEUE_HIGH) {
        visit->flags |= VISIT_F_QUEUE_HIGH;
    }
    if (UNLIKELY(result < 0)) {
        receive_fail(visit, result);
    } else if (visit->stage == VISIT_RECEIVE_AFTER) {
        visit->step--;
    } else if (visit->stage == VISIT_RECEIVE_BEFORE && result != GYR_SKIP) {
        visit->step++;
    } else {
        visit->stage = VISIT_RECEIVE_AFTER;
    }
}

/* A hook's failure is told here, a handler's was by dispatch. Of several errors the first
 * counts. */
static void receive_fail(struct visit *visit, int err)
{
    const struct plan_hook *hook = NULL;
    const char *what = "before_receive";
    if (visit->err == 0) {
        visit->err = err;
    }
    if (visit->stage == VISIT_RECEIVE_BEFORE) {
        hook = &visit->route->receive.hooks[visit->step];
    } else if (visit->stage == VISIT_RECEIVE_AFTER) {
        hook = &visit->route->receive.hooks[--visit->step];
        what = "after_receive";
    }
    visit->stage = VISIT_RECEIVE_AFTER;
    if (hook != NULL) {
        visit_failed(visit, err, what, hook_resource_name(visit, hook), hook->name);
    }
}
