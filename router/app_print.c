/* SPDX-License-Identifier: MIT */
/* The routes of an application, for people: one line a path, then the shapes of the table. */
#include "router/declare.h"

#include <stdarg.h>
#include <stdio.h>

/* Text that is cut where it does not fit, and counted on. */
struct printing {
    char *text;
    size_t size;
    size_t used;
};

static void print_route(struct printing *printing, const struct plan *plan,
                        const struct plan_route *route);
static void print_methods(struct printing *printing, const struct plan_route *route);
static void print_target(struct printing *printing, const struct plan_route *route);
static void print(struct printing *printing, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

size_t gyr_app_print_routes(struct gyr_app *app, char *text, size_t size)
{
    struct printing printing = {.text = text, .size = size};
    if (size > 0) {
        text[0] = 0;
    }
    if (app_freeze(app) < 0) {
        print(&printing, "there is no memory for the table of routes\n");
        return printing.used;
    }
    for (size_t i = 0; i < app->plan->route_count; i++) {
        print_route(&printing, app->plan, &app->plan->routes[i]);
    }
    size_t at = printing.used;
    printing.used += at < size ? route_table_print(app->plan->table, text + at, size - at)
                               : route_table_print(app->plan->table, NULL, 0);
    if (app->mistakes.count > 0) {
        print(&printing, "%zu mistakes; gyr_app_check tells them\n", app->mistakes.count);
    }
    return printing.used;
}

static void print_route(struct printing *printing, const struct plan *plan,
                        const struct plan_route *route)
{
    struct span path = template_text(route->template);
    print(printing, "%.*s  ", (int)path.size, path.ptr);
    print_methods(printing, route);
    print_target(printing, route);
    if (route->full_name != NULL) {
        print(printing, "  name %s", route->full_name);
    }
    if (route->declared->at != NULL) {
        print(printing, "  at %s", route->declared->at);
    }
    if (route->hidden_by != UINT32_MAX) {
        struct span by = template_text(plan->routes[route->hidden_by].template);
        print(printing, "  never reached: %.*s takes all that it would", (int)by.size, by.ptr);
    }
    print(printing, "\n");
}

/* "WebSocket,GET,HEAD" */
static void print_methods(struct printing *printing, const struct plan_route *route)
{
    const char *comma = "";
    if ((route->methods & ROUTE_WEBSOCKET) != 0) {
        print(printing, "WebSocket");
        comma = ",";
    }
    for (unsigned method = GYR_METHOD_GET; method <= GYR_METHOD_OPTIONS; method++) {
        if ((route->methods & (1U << method)) != 0) {
            print(printing, "%s%s", comma, method_name((enum gyr_method)method));
            comma = ",";
        }
    }
}

/* "project > tasks", and what a factory may put at the end of it. */
static void print_target(struct printing *printing, const struct plan_route *route)
{
    const char *before = "  ";
    for (unsigned i = 0; i < route->level_count; i++) {
        print(printing, "%s%s", before, route->levels[i].type->merged.name);
        before = " > ";
    }
    if (route->files != NULL) {
        print(printing, "%sfiles of %s", before, route->files->files);
    }
    for (uint32_t i = 0; i < route->product_count; i++) {
        const struct plan_route *product = &route->products[i];
        print(printing, "%s%s", i == 0 ? before : " or ",
              product->levels[product->level_count - 1].type->merged.name);
    }
}

static void print(struct printing *printing, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    bool fits = printing->used < printing->size;
    int size = vsnprintf(fits ? printing->text + printing->used : NULL,
                         fits ? printing->size - printing->used : 0, format, arguments);
    va_end(arguments);
    printing->used += size > 0 ? (size_t)size : 0;
}
