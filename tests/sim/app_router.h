/* SPDX-License-Identifier: MIT */
/* What a world needs of the router beyond its public header. By itself, since both sides have a
 * `struct plan`. */
#ifndef TESTS_SIM_APP_ROUTER_H
#define TESTS_SIM_APP_ROUTER_H

#include "gyr/gyr_app.h"

/* What the engine calls of an application that was checked. */
const struct gyr_service *app_router_service(const struct gyr_app *app);
int app_router_core_start(struct gyr_core *core);
/* The id of the last question. */
uint64_t app_router_ask_count(struct gyr_core *core);

#endif
