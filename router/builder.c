/* SPDX-License-Identifier: MIT */
/* Routers: rows that are taken one by one, or as a table; and where they are mounted. A row is
 * checked as far as it can be by itself, what it leads to when the application is frozen. */
#include "router/declare.h"

#include <stdio.h>

static int router_may_change(const struct gyr_router *router, struct gyr_error *error);
static int row_add(struct gyr_router *router, const struct gyr_route *route,
                   struct gyr_error *error);
static int row_check_path(const struct gyr_router *router, const struct gyr_route *route,
                          const struct template *template, struct gyr_error *error);
static int row_check_name(const struct gyr_router *router, const struct gyr_route *route,
                          struct gyr_error *error);
static int row_put(struct gyr_router *router, const struct gyr_route *route,
                   struct template *template);
static int rows_reserve(struct gyr_router *router);

int gyr_router_create(const char *name, struct gyr_router **router_out)
{
    struct gyr_router *router = memory_alloc(sizeof(*router));
    if (router == NULL) {
        return GYR_ERR_MEMORY;
    }
    router->name = name;
    *router_out = router;
    return 0;
}

void gyr_router_destroy(struct gyr_router *router)
{
    if (router != NULL && router->app == NULL) {
        router_destroy(router);
    }
}

void router_destroy(struct gyr_router *router)
{
    for (size_t i = 0; i < router->row_count; i++) {
        template_destroy(router->rows[i].template);
    }
    if (router->prefix != NULL) {
        template_destroy(router->prefix);
    }
    memory_free(router->rows);
    text_map_deinit(&router->paths);
    text_map_deinit(&router->names);
    mistakes_deinit(&router->mistakes);
    memory_free(router);
}

int gyr_router_add(struct gyr_router *router, const struct gyr_route *route,
                   struct gyr_error *error)
{
    int err = router_may_change(router, error);
    if (err < 0) {
        return err;
    }
    struct gyr_error why;
    err = row_add(router, route, &why);
    return err < 0 ? ERROR_SET(error, err, "%s: %s", route_place(route), why.text) : 0;
}

int gyr_router_add_all(struct gyr_router *router, const struct gyr_route *table)
{
    int err = router_may_change(router, NULL);
    for (; err == 0 && (table->path != NULL || table->at != NULL); table++) {
        struct gyr_error why;
        err = row_add(router, table, &why);
        if (err < 0 && err != GYR_ERR_MEMORY) {
            mistakes_add(&router->mistakes, route_place(table), "%s", why.text);
            err = 0;
        }
    }
    return err;
}

static int router_may_change(const struct gyr_router *router, struct gyr_error *error)
{
    if (router->app != NULL && router->app->is_frozen) {
        return ERROR_SET(error, GYR_ERR_STATE,
                         "the application of this router is frozen; add routes before "
                         "gyr_app_check and gyr_app_server");
    }
    return 0;
}

const char *route_place(const struct gyr_route *route)
{
    return route->at != NULL ? route->at : route->path != NULL ? route->path : "a route";
}

/* ---- a row ----------------------------------------------------------------------------------- */

static int row_add(struct gyr_router *router, const struct gyr_route *route,
                   struct gyr_error *error)
{
    int err = route_check(route, error);
    if (err < 0) {
        return err;
    }
    struct template *template;
    err = template_parse(span_of_text(route->path), false, &template, error);
    if (err < 0) {
        return err;
    }
    err = row_check_path(router, route, template, error);
    if (err == 0) {
        err = row_check_name(router, route, error);
    }
    if (err == 0) {
        err = row_put(router, route, template);
    }
    if (err == GYR_ERR_MEMORY) {
        error_write(error, "no memory for the route \"%s\"", route->path);
    }
    if (err < 0) {
        template_destroy(template);
    }
    return err;
}

int route_check(const struct gyr_route *route, struct gyr_error *error)
{
    if (route->path == NULL) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT, "the route has no path; give it one");
    }
    int targets = (route->resource != NULL) + (route->factory != NULL) + (route->methods != NULL) +
                  (route->files != NULL);
    if (targets != 1) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "the route \"%s\" leads %s; give it a resource, or a factory, or methods, "
                         "or files",
                         route->path, targets == 0 ? "nowhere" : "to several things");
    }
    if (route->factory != NULL &&
        (route->products == NULL || route->products[0].resource == NULL)) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "the factory of the route \"%s\" has no products; list all resources "
                         "that it may choose",
                         route->path);
    }
    if (route->factory == NULL && (route->products != NULL || route->user != NULL)) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "the route \"%s\" has products, or a `user`, but no factory; use "
                         "GYR_ROUTE_MADE",
                         route->path);
    }
    if (route->methods != NULL && route->methods[0].method == 0) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "the methods of the route \"%s\" are an empty table; add a row",
                         route->path);
    }
    if (route->file != NULL && route->files == NULL) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "the route \"%s\" has the file \"%s\", but no files; use GYR_ROUTE_FILES",
                         route->path, route->file);
    }
    if (route->values != NULL && (route->methods != NULL || route->files != NULL)) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "the route \"%s\" has values, but no resource that could want them; "
                         "remove them",
                         route->path);
    }
    if (route->name != NULL && (route->name[0] == 0 || strchr(route->name, ':') != NULL)) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "the route \"%s\" has the name \"%s\"; a name is not empty, and ':' "
                         "stands between names",
                         route->path, route->name);
    }
    return 0;
}

static int row_check_path(const struct gyr_router *router, const struct gyr_route *route,
                          const struct template *template, struct gyr_error *error)
{
    uint16_t bits = route_bits(route);
    uint32_t at = text_map_find(&router->paths, template_key(template));
    for (; at != TEXT_MAP_NONE; at = router->rows[at].same_path) {
        const struct gyr_route *other = &router->rows[at].route;
        uint16_t both = bits & route_bits(other);
        if (both != 0) {
            enum gyr_method method = (enum gyr_method)__builtin_ctz(both);
            return ERROR_SET(error, GYR_ERR_EXISTS,
                             "the path \"%s\" is there twice for %s, first at %s; remove one",
                             route->path,
                             (both & ROUTE_WEBSOCKET) != 0 ? "WebSockets" : method_name(method),
                             route_place(other));
        }
    }
    return 0;
}

static int row_check_name(const struct gyr_router *router, const struct gyr_route *route,
                          struct gyr_error *error)
{
    if (route->name == NULL) {
        return 0;
    }
    uint32_t at = text_map_find(&router->names, span_of_text(route->name));
    if (at != TEXT_MAP_NONE) {
        return ERROR_SET(error, GYR_ERR_EXISTS,
                         "the name \"%s\" of the route \"%s\" is that of \"%s\", too, at %s; "
                         "rename one",
                         route->name, route->path, router->rows[at].route.path,
                         route_place(&router->rows[at].route));
    }
    return 0;
}

static int row_put(struct gyr_router *router, const struct gyr_route *route,
                   struct template *template)
{
    if (rows_reserve(router) < 0 || text_map_reserve(&router->paths) < 0 ||
        text_map_reserve(&router->names) < 0) {
        return GYR_ERR_MEMORY;
    }
    uint32_t index = (uint32_t)router->row_count++;
    struct router_row *row = &router->rows[index];
    *row = (struct router_row){.route = *route, .template = template, .same_path = TEXT_MAP_NONE};
    uint32_t *last = text_map_at(&router->paths, template_key(template));
    if (last != NULL) {
        row->same_path = *last;
        *last = index;
    }
    int err = last == NULL ? text_map_add(&router->paths, template_key(template), index) : 0;
    if (err == 0 && route->name != NULL) {
        err = text_map_add(&router->names, span_of_text(route->name), index);
    }
    ASSERT(err == 0);
    return err;
}

static int rows_reserve(struct gyr_router *router)
{
    if (router->row_count < router->row_capacity) {
        return 0;
    }
    size_t capacity = MAX(2 * router->row_capacity, (size_t)16);
    struct router_row *rows = memory_alloc(capacity * sizeof(*rows));
    if (rows == NULL) {
        return GYR_ERR_MEMORY;
    }
    if (router->row_count != 0) {
        memcpy(rows, router->rows, router->row_count * sizeof(*rows));
    }
    memory_free(router->rows);
    router->rows = rows;
    router->row_capacity = capacity;
    return 0;
}

/* ---- mounting -------------------------------------------------------------------------------- */

int router_mount(struct gyr_app *app, const char *prefix, struct gyr_router *router,
                 struct gyr_error *error)
{
    const char *name = router->name != NULL ? router->name : "";
    if (app->is_frozen || router->app != NULL) {
        return ERROR_SET(error, GYR_ERR_STATE,
                         app->is_frozen ? "the router \"%s\": the application is frozen; mount "
                                          "before gyr_app_check and gyr_app_server"
                                        : "the router \"%s\" is mounted already; make another one",
                         name);
    }
    if (router->name != NULL && (name[0] == 0 || strchr(name, ':') != NULL)) {
        return ERROR_SET(
            error, GYR_ERR_ARGUMENT,
            "the router \"%s\": a name is not empty, and ':' stands between names; choose another",
            name);
    }
    for (struct gyr_router *other = app->routers; other != NULL; other = other->next) {
        if (router->name != NULL && other->name != NULL && strcmp(other->name, name) == 0) {
            return ERROR_SET(error, GYR_ERR_EXISTS,
                             "a router with the name \"%s\" is mounted already; rename one", name);
        }
    }
    if (prefix[0] != 0 && prefix[0] != '/') {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "the prefix \"%s\" does not begin with a slash; write \"/%s\"", prefix,
                         prefix);
    }
    int err =
        template_parse(span_of_text(prefix[0] != 0 ? prefix : "/"), false, &router->prefix, error);
    if (err < 0) {
        router->prefix = NULL;
        return err;
    }
    router->app = app;
    if (app->last_router != NULL) {
        app->last_router->next = router;
    } else {
        app->routers = router;
    }
    app->last_router = router;
    return 0;
}
