/* SPDX-License-Identifier: MIT */
/* Applications that are declared and checked: what is told of them, to the byte. */
#ifndef TESTS_TOLD_KIT_H
#define TESTS_TOLD_KIT_H

#include "gyr/gyr_app.h"
#include "tests/parser_kit.h"

struct gyr_app *told_app(void);
/* Check it: these lines, whole, cut, and again; and destroy it. */
void expect_told(struct gyr_app *app, const char *lines, const char *why);
/* The same for one table at the root, and for one resource at "/x". */
void expect_routes_told(const struct gyr_route *table, const char *lines, const char *why);
void expect_resource_told(const struct gyr_resource *resource, const char *lines, const char *why);

#endif
