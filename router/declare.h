/* SPDX-License-Identifier: MIT */
/* What was declared, before it is a plan: routers with their rows, services, hooks. Shared by the
 * files that take it (builder.c, app.c, service.c) and those that make a plan of it. */
#ifndef ROUTER_DECLARE_H
#define ROUTER_DECLARE_H

#include "router/app.h"
#include "router/mistakes.h"
#include "router/text_map.h"

#define DECLARE_BASES_MAX  16 /* of a resource */
#define DECLARE_HOOK_DATA  1024
#define DECLARE_ROUTES_MAX 200000

struct router_row {
    struct gyr_route route;
    struct template *template; /* owned */
    uint32_t same_path;        /* the next row with this path; TEXT_MAP_NONE: none */
};

struct gyr_router {
    const char *name;        /* or NULL */
    struct gyr_app *app;     /* it is mounted; or NULL */
    struct template *prefix; /* owned; once it is mounted */
    struct gyr_router *next; /* of the application, in the order of mounting */
    struct router_row *rows; /* owned */
    size_t row_count;
    size_t row_capacity;
    struct text_map paths; /* the last row of each path, by its text without a slash at the end */
    struct text_map names; /* rows by name */
    struct mistakes mistakes;
};

struct app_hooks {
    struct app_hooks *next;
    const struct gyr_resource *resource; /* NULL: the application's */
    const struct gyr_hook *hooks;
};

struct app_value {
    struct app_value *next;
    struct gyr_value value;
};

struct gyr_app {
    struct gyr_app_options options;
    struct gyr_service declared; /* options.service points here */
    struct gyr_service service;  /* for the engine; once it is frozen */
    bool is_frozen;
    bool told_old_way;
    struct gyr_router *routers; /* owned */
    struct gyr_router *last_router;
    struct gyr_router *root; /* of gyr_app_add_websocket_route; one of `routers`, or NULL */
    struct app_value *values;
    struct app_value *last_value;
    struct gyr_maker *makers; /* owned */
    size_t maker_count;
    struct app_hooks *hooks; /* in the order of adding */
    struct app_hooks *last_hooks;
    struct pool pool;
    struct mistakes mistakes;
    struct plan *plan; /* owned; once it is frozen */
};

/* ---- resource.c: what a resource has, its bases included ---- */

/* All fields of a resource; what a library of old did not know is zero. False: its size is none. */
bool resource_read(const struct gyr_resource *resource, struct gyr_resource *copy);
/* What requests a row takes: bits 1 << enum gyr_method and ROUTE_WEBSOCKET. */
uint16_t route_bits(const struct gyr_route *route);
/* Do two names of types mean the same? "struct store" and, from C++, "store" do. */
bool type_equals(const char *a, const char *b);
/* The text of a template without the slash at its end: two that are equal here are one path. */
struct span template_key(const struct template *template);
/* "GET", ... of one bit or number. */
const char *method_name(enum gyr_method method);

/* ---- builder.c ---- */

/* Is a row sound by itself: its targets and its name? Writes what is not to `error`. */
MUST_CHECK int route_check(const struct gyr_route *route, struct gyr_error *error);
/* What is written of where it stands: "tests/x.c:12", or what can be said without. */
const char *route_place(const struct gyr_route *route);
void router_destroy(struct gyr_router *router);
MUST_CHECK int router_mount(struct gyr_app *app, const char *prefix, struct gyr_router *router,
                            struct gyr_error *error);

/* ---- app.c ---- */

/* Freeze. GYR_ERR_MEMORY. */
MUST_CHECK int app_freeze(struct gyr_app *app);

#endif
