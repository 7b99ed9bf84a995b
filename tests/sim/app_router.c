/* SPDX-License-Identifier: MIT */
#include "tests/sim/app_router.h"

#include "router/app.h"

const struct gyr_service *app_router_service(const struct gyr_app *app)
{
    return app_service(app);
}

int app_router_core_start(struct gyr_core *core)
{
    return app_core_start(core);
}

uint64_t app_router_ask_count(struct gyr_core *core)
{
    return app_core_of(core)->ask_count;
}
