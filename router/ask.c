/* SPDX-License-Identifier: MIT */
/* Questions to the client (section 11 of gyr/gyr_app.h). A question lives on the heap of its
 * core and hangs on its visit, until it is answered, its time has passed or the connection ends:
 *
 *   gyr_ask -> waiting -> ask_finish: answered (dispatch.c), too late (ask_on_timer),
 *                                     the end (dispatch_end)
 *
 * Ids are numbers that a core uses once: a late answer finds nobody, never somebody else. */
#include "router/ask.h"

#include "engine/engine.h"
#include "router/dispatch.h"
#include "router/send.h"
#include "router/visit_parts.h"

#include <stdio.h>

#define ASKS_MAX_DEFAULT 16
#define TIMEOUT_MS_MAX   (24U * 24 * 3600 * 1000) /* as of gyr_timer_start */
#define ID_SIZE          21                       /* a 64-bit number and a NUL */

typedef int (*ask_fn)(struct gyr_conn *conn, void *self, const void *answer,
                      const struct gyr_fault *fault, void *arg);

struct ask {
    struct ask *next;
    struct visit *visit;
    const struct gyr_schema *schema;
    gyr_any_fn fn;
    void *arg;
    struct gyr_timer timer;
    uint8_t id_size;
    char id[ID_SIZE];
};

/* A connection may end, or time pass, before the resource is made. */
static void *self_of(const struct visit *visit)
{
    unsigned count = visit->route->level_count;
    return visit->made_count == count ? visit_self(visit, count - 1U) : NULL;
}

struct ask *ask_find(const struct visit *visit, struct span answer)
{
    struct ask *ask = visit->asks;
    while (ask != NULL && !span_equal(answer, span_of(ask->id, ask->id_size))) {
        ask = ask->next;
    }
    return ask;
}

const struct gyr_schema *ask_schema(const struct ask *ask)
{
    return ask->schema;
}

int ask_finish(struct visit *visit, struct ask *ask, const void *value,
               const struct gyr_fault *fault)
{
    struct gyr_core *core = visit->core->core;
    struct ask **link = &visit->asks;
    while (*link != ask) {
        link = &(*link)->next;
    }
    *link = ask->next;
    gyr_timer_stop(core, &ask->timer);
    ask_fn fn = (ask_fn)ask->fn;
    void *arg = ask->arg;
    engine_core_free(core, ask, sizeof(*ask));
    int result = fn(visit->conn, self_of(visit), value, fault, arg);
    return result == GYR_PENDING ? GYR_ERR_STATE : result; /* nothing could go on behind it */
}

static void finish_without(struct visit *visit, struct ask *ask, enum gyr_reason reason)
{
    struct gyr_fault fault = {.reason = reason};
    int result = ask_finish(visit, ask, NULL, &fault);
    if (result < 0) {
        dispatch_ask_failed(visit, result);
    }
}

static void ask_on_timer(struct gyr_core *core, void *arg)
{
    struct ask *ask = arg;
    (void)core;
    finish_without(ask->visit, ask, GYR_REASON_TIMEOUT);
}

void dispatch_end(struct visit *visit)
{
    while (visit->asks != NULL) {
        finish_without(visit, visit->asks, GYR_REASON_FAILED);
    }
}

/* ---- asking ---------------------------------------------------------------------------------- */

static int ask_may(const struct visit *visit, uint32_t timeout_ms)
{
    if (timeout_ms == 0 || timeout_ms > TIMEOUT_MS_MAX) {
        return GYR_ERR_ARGUMENT;
    }
    const struct gyr_resource *type;
    (void)visit_innermost(visit, &type);
    if (type == NULL || type->on_text != NULL) {
        return GYR_ERR_STATE; /* who gets the answer is not made yet, or would not look for it */
    }
    uint32_t asks_max = app_options(visit->core->app)->asks_max;
    uint32_t count = 0;
    for (const struct ask *ask = visit->asks; ask != NULL; ask = ask->next) {
        count++;
    }
    return count < (asks_max != 0 ? asks_max : ASKS_MAX_DEFAULT) ? 0 : GYR_ERR_LIMIT;
}

/* NOLINTNEXTLINE(readability-function-size): the question, its answer, and who is told */
int gyr_ask(struct gyr_conn *conn, const struct gyr_schema *schema, const void *value,
            const struct gyr_schema *answer_schema, uint32_t timeout_ms, gyr_any_fn fn, void *arg)
{
    struct visit *visit = visit_of(conn);
    struct gyr_core *core = visit->core->core;
    int err = ask_may(visit, timeout_ms);
    if (err != 0) {
        return err;
    }
    struct ask *ask = engine_core_alloc(core, sizeof(*ask));
    if (ask == NULL) {
        return GYR_ERR_MEMORY;
    }
    *ask = (struct ask){.visit = visit, .schema = answer_schema, .fn = fn, .arg = arg};
    visit->core->ask_count++;
    ask->id_size = (uint8_t)snprintf(ask->id, sizeof(ask->id), "%llu",
                                     (unsigned long long)visit->core->ask_count);
    err = send_message(visit, span_of(ask->id, ask->id_size), (struct span){0}, schema, value);
    if (err < 0) {
        engine_core_free(core, ask, sizeof(*ask));
        return err;
    }
    struct ask **link = &visit->asks;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = ask;
    gyr_timer_start(core, &ask->timer, timeout_ms, ask_on_timer, ask);
    return err;
}
