/* SPDX-License-Identifier: MIT */
/* One hook at a time: what it is told, and where its data lies. In which order they run is said by
 * visit_connect.c and visit_message.c; which there are by the plan. */
#include "router/visit_parts.h"

static struct gyr_hook_call call_of(struct visit *visit, const struct plan_hooks *hooks,
                                    const struct plan_hook *hook, enum gyr_hook_event event);

void hook_data_clear(struct visit *visit, const struct plan_hooks *hooks)
{
    if (hooks->data_size != 0) {
        memset((uint8_t *)visit + hooks->data_offset, 0, hooks->data_size);
    }
}

int hook_call(struct visit *visit, const struct plan_hook *hook, enum gyr_hook_event event)
{
    bool connect = event == GYR_BEFORE_CONNECT || event == GYR_AFTER_CONNECT;
    bool before = event == GYR_BEFORE_CONNECT || event == GYR_BEFORE_RECEIVE;
    int (*function)(struct gyr_hook_call * call) = before ? hook->before : hook->after;
    if (function == NULL) {
        return 0;
    }
    const struct plan_route *route = visit->route;
    struct gyr_hook_call call =
        call_of(visit, connect ? &route->connect : &route->receive, hook, event);
    if (connect) {
        call.request = visit->request;
        call.is_handshake = (visit->flags & VISIT_F_HANDSHAKE) != 0;
    } else {
        call.opcode = (enum gyr_opcode)visit->opcode;
        call.message = visit->message;
    }
    if (!before) {
        call.err = visit->err;
    }
    int result = function(&call);
    if (event == GYR_BEFORE_RECEIVE &&
        (call.message.ptr != visit->message.ptr || call.message.size != visit->message.size)) {
        visit->message = call.message;
        visit->flags |= VISIT_F_REPLACED;
    }
    return result;
}

void hook_disconnect(struct visit *visit, uint16_t close_code)
{
    const struct plan_hooks *hooks = &visit->route->disconnect;
    hook_data_clear(visit, hooks);
    for (unsigned i = 0; i < hooks->count; i++) {
        const struct plan_hook *hook = &hooks->hooks[i];
        if (hook->before != NULL) {
            struct gyr_hook_call call = call_of(visit, hooks, hook, GYR_BEFORE_DISCONNECT);
            call.close_code = close_code;
            (void)hook->before(&call);
        }
    }
}

static struct gyr_hook_call call_of(struct visit *visit, const struct plan_hooks *hooks,
                                    const struct plan_hook *hook, enum gyr_hook_event event)
{
    struct gyr_hook_call call = {.event = event, .conn = visit->conn, .user = hook->user};
    if (hook->data_size != 0) {
        call.data = (uint8_t *)visit + hooks->data_offset + hook->data_offset;
    }
    if (hook->level != PLAN_NO_LEVEL) {
        call.resource = visit->route->levels[hook->level].type->declared;
        call.self = visit_self(visit, hook->level);
    }
    return call;
}

const char *hook_resource_name(const struct visit *visit, const struct plan_hook *hook)
{
    return hook->level == PLAN_NO_LEVEL ? NULL
                                        : visit->route->levels[hook->level].type->declared->name;
}
