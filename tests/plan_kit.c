/* SPDX-License-Identifier: MIT */
#include "tests/plan_kit.h"

#include <stdio.h>

void plan_kit_init(struct plan_kit *kit)
{
    kit->app = told_app();
}

void plan_kit_freeze(struct plan_kit *kit)
{
    char text[1024];
    (void)gyr_app_check(kit->app, text, sizeof(text));
    EXPECT_SPAN(span_of(text, strlen(text)), "", "nothing is wrong");
    kit->plan = app_plan(kit->app);
    ASSERT(kit->plan != NULL);
}

void plan_kit_routes(struct plan_kit *kit, const struct gyr_route *table)
{
    plan_kit_init(kit);
    EXPECT_INT(gyr_app_routes(kit->app, "/", table), 0, "mounted");
    plan_kit_freeze(kit);
}

void plan_kit_resource(struct plan_kit *kit, const struct gyr_resource *resource)
{
    const struct gyr_route table[] = {{.path = "/x", .resource = resource}, {0}};
    plan_kit_routes(kit, table);
}

void plan_kit_end(struct plan_kit *kit)
{
    gyr_app_destroy(kit->app);
}

void plan_expect_text(const char *actual, const char *expected, const char *why)
{
    EXPECT_SPAN(span_of(actual, strlen(actual)), expected, why);
}

void plan_expect_paths(const struct plan *plan, const char *expected, const char *why)
{
    char text[1024] = "";
    size_t used = 0;
    for (size_t i = 0; i < plan->route_count && used < sizeof(text); i++) {
        struct span path = template_text(plan->routes[i].template);
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%.*s", i > 0 ? " " : "",
                                 (int)path.size, (const char *)path.ptr);
    }
    plan_expect_text(text, expected, why);
}
