/* SPDX-License-Identifier: MIT */
/* Applications that are frozen into plans, to look at. */
#ifndef TESTS_PLAN_KIT_H
#define TESTS_PLAN_KIT_H

#include "router/app.h"
#include "tests/told_kit.h"

struct plan_kit {
    struct gyr_app *app;
    const struct plan *plan; /* once it is frozen */
};

void plan_kit_init(struct plan_kit *kit);
/* Nothing may be wrong. */
void plan_kit_freeze(struct plan_kit *kit);
/* All three: one table at the root; one resource at "/x". */
void plan_kit_routes(struct plan_kit *kit, const struct gyr_route *table);
void plan_kit_resource(struct plan_kit *kit, const struct gyr_resource *resource);
void plan_kit_end(struct plan_kit *kit);

void plan_expect_text(const char *actual, const char *expected, const char *why);
/* "/a /b/{x} ..." of all routes. */
void plan_expect_paths(const struct plan *plan, const char *expected, const char *why);

#endif
