/* SPDX-License-Identifier: MIT */
/* What the files of a visit say to each other. All of it happens on the connection's core. */
#ifndef ROUTER_VISIT_PARTS_H
#define ROUTER_VISIT_PARTS_H

#include "router/visit.h"

/* ---- visit.c: beginning and end ---- */

/* A visit for this route, zeroed but for its parameters; NULL past the budget. */
struct visit *visit_create(struct app_core *core, struct gyr_conn *conn,
                           const struct plan_route *route, const struct route_match *match);
/* Call on_cancel's function, if there is one, once. */
void visit_cancel(struct visit *visit);
/* The message, or the connect, is done with. */
void visit_keep_release(struct visit *visit);
/* The instance of the innermost resource if it is made, or NULL; `type` is NULL then, too. */
void *visit_innermost(const struct visit *visit, const struct gyr_resource **type);
/* What a function has returned, if gyr_refuse was called within it. */
int visit_refused(const struct visit *visit, int result);

/* ---- visit_connect.c ---- */

/* Go on with the connect, at visit->stage. Returns what the engine gets. */
MUST_CHECK int connect_run(struct visit *visit);
/* The function that visit->stage stands for has ended with `result`. */
void connect_ended(struct visit *visit, int result);
/* Keep the request beyond on_request; false: no memory, and the connect has failed. */
MUST_CHECK bool connect_keep(struct visit *visit);

/* ---- visit_message.c ---- */

/* What was pending within a message has ended. */
MUST_CHECK int receive_finish(struct visit *visit, int result);

/* ---- visit_make.c ---- */

/* The instance of the level that is to be made: its inputs, and `create`. */
MUST_CHECK int level_create(struct visit *visit);
MUST_CHECK int level_guard(struct visit *visit);
MUST_CHECK int level_give(struct visit *visit);
/* Let the route's factory choose one of its products, which becomes the route. */
MUST_CHECK int factory_choose(struct visit *visit);
/* Destroy what was made, the innermost first, and drop what makers have made. */
void levels_destroy(struct visit *visit);

/* ---- hook.c ---- */

/* Data of an event's hooks is zero. */
void hook_data_clear(struct visit *visit, const struct plan_hooks *hooks);
/* Call one; 0 if it has no such function. A before_receive may replace visit->message. */
int hook_call(struct visit *visit, const struct plan_hook *hook, enum gyr_hook_event event);
/* All of before_disconnect; results have no effect. */
void hook_disconnect(struct visit *visit, uint16_t close_code);
/* The type's name; NULL: the application's. */
const char *hook_resource_name(const struct visit *visit, const struct plan_hook *hook);

/* ---- http.c ---- */

/* What a request leads to. */
struct http_target {
    enum route_status status;
    enum gyr_method method; /* that it is handled as; 0: of a handshake */
    struct route_match match;
};

void http_find(const struct plan *plan, const struct gyr_request *request,
               struct http_target *target);
/* Answer a request that leads nowhere. */
MUST_CHECK int http_respond_unrouted(struct gyr_conn *conn, const struct gyr_request *request,
                                     const struct http_target *target);
/* The handler of this method, or NULL. */
const struct plan_method *http_method(const struct plan_route *route, enum gyr_method method);
/* A factory has chosen: is the request, or the handshake, one for it? Answered if not. */
MUST_CHECK int http_product(struct visit *visit);
/* Collect the content, if the method's handler, or one of a factory's products, wants it so. */
MUST_CHECK int http_collect(struct visit *visit, enum gyr_method method);
/* Call the handler of a request. With VISIT_F_CONTENT set then it waits for content. */
MUST_CHECK int http_handle(struct visit *visit);
/* Its content is there: decode it, and call the handler. */
MUST_CHECK int http_handle_content(struct visit *visit, struct gyr_span content);
/* What on_body has returned, also after GYR_PENDING. Returns what the engine gets. */
MUST_CHECK int http_body_result(struct visit *visit, int result);

/* ---- refuse.c ---- */

/* Answer a request that was refused, or that has failed. Returns what the engine gets. */
MUST_CHECK int refuse_answer(struct visit *visit, int err);

/* ---- state.c ---- */

/* All states end. */
void states_destroy(struct visit *visit);

#endif
