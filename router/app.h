/* SPDX-License-Identifier: MIT */
/* An application: what was declared, what is wrong with it, and its plan once it is frozen. */
#ifndef ROUTER_APP_H
#define ROUTER_APP_H

#include "base/base.h"
#include "engine/engine.h"
#include "gyr/gyr_app.h"
#include "router/arena.h"
#include "router/plan.h"

struct json_reader;

/* What the router has of each core, in gyr_core_data behind what the service has there. */
struct app_core {
    const struct plan *plan;
    struct gyr_app *app;
    struct gyr_core *core;
    struct json_reader *reader; /* owned */
    tag_scan_fn tag_scan;
    struct arena arena; /* of the message that is being handled */
    uint8_t *out;       /* owned, of the core's heap; where messages are encoded (send.c) */
    size_t out_size;
    uint64_t ask_count; /* questions so far: the id of the last one */
};

struct app_core *app_core_of(struct gyr_core *core);
const struct gyr_app_options *app_options(const struct gyr_app *app);

/* The plan of a frozen application; NULL if something was declared wrongly. */
const struct plan *app_plan(const struct gyr_app *app);
/* What gyr_app_server gives to the engine, of a frozen application. */
const struct gyr_service *app_service(const struct gyr_app *app);

/* Its functions of a core: what the router has of each is made before the application's own
 * on_core_start, and goes after its on_core_stop. */
int app_core_start(struct gyr_core *core);
void app_core_stop(struct gyr_core *core);

/* The functions of connections that the router gives to the engine: router/upcall.c. */
void upcall_fill(struct gyr_service *service);

#endif
