/* SPDX-License-Identifier: MIT */
/* Paths from names: the reverse of routing. Of a frozen application the plan knows every whole
 * path; of a router, or before, the names are followed row by row. */
#include "router/declare.h"

/* Where a path goes. */
struct url_text {
    char *bytes;
    size_t size;
};

static int url_write(const struct template *template, const char *name,
                     const struct gyr_url_value *values, struct url_text text, size_t *size_needed,
                     struct gyr_error *error);
static int url_follow(const struct gyr_router *router, const struct template *prefix,
                      const char *names, struct template **template, struct gyr_error *error);
static const struct gyr_route *child_find(const struct gyr_resource *resource, struct span name);
static int child_join(struct template **template, const struct gyr_route *child,
                      struct gyr_error *error);

static int url_unknown(const char *name, struct gyr_error *error)
{
    return ERROR_SET(error, GYR_ERR_NOT_FOUND,
                     "there is no route with the name \"%s\"; name its router, its route and the "
                     "children, as router:route:child",
                     name);
}

/* NOLINTNEXTLINE(readability-function-size): a public call, and all seven say something */
int gyr_app_url_for(const struct gyr_app *app, const char *name, const struct gyr_url_value *values,
                    char *text, size_t size, size_t *size_needed, struct gyr_error *error)
{
    struct url_text out;
    out.bytes = text;
    out.size = size;
    if (app->plan != NULL) {
        uint32_t index = text_map_find(&app->plan->names, span_of_text(name));
        return index != TEXT_MAP_NONE ? url_write(app->plan->routes[index].template, name, values,
                                                  out, size_needed, error)
                                      : url_unknown(name, error);
    }
    struct template *template = NULL;
    int err = GYR_ERR_NOT_FOUND;
    for (const struct gyr_router *router = app->routers; router != NULL && err == GYR_ERR_NOT_FOUND;
         router = router->next) {
        size_t skip = router->name != NULL ? strlen(router->name) : 0;
        if (router->name == NULL) {
            err = url_follow(router, router->prefix, name, &template, error);
        } else if (strncmp(name, router->name, skip) == 0 && name[skip] == ':') {
            err = url_follow(router, router->prefix, name + skip + 1, &template, error);
        }
    }
    if (err == GYR_ERR_NOT_FOUND) {
        return url_unknown(name, error);
    }
    if (err == 0) {
        err = url_write(template, name, values, out, size_needed, error);
    }
    template_destroy(template);
    return err;
}

/* NOLINTNEXTLINE(readability-function-size): a public call, and all seven say something */
int gyr_router_url_for(const struct gyr_router *router, const char *name,
                       const struct gyr_url_value *values, char *text, size_t size,
                       size_t *size_needed, struct gyr_error *error)
{
    struct template *template = NULL;
    int err = url_follow(router, NULL, name, &template, error);
    if (err == 0) {
        struct url_text out;
        out.bytes = text;
        out.size = size;
        err = url_write(template, name, values, out, size_needed, error);
    }
    template_destroy(template);
    return err == GYR_ERR_NOT_FOUND ? url_unknown(name, error) : err;
}

/* ---- values ---------------------------------------------------------------------------------- */

static const struct gyr_url_value *value_of(const struct gyr_url_value *values, struct span name)
{
    for (; values != NULL && values->name != NULL; values++) {
        if (span_equal(span_of_text(values->name), name)) {
            return values;
        }
    }
    return NULL;
}

static int url_write(const struct template *template, const char *name,
                     const struct gyr_url_value *values, struct url_text text, size_t *size_needed,
                     struct gyr_error *error)
{
    struct span spans[TEMPLATE_PARAMS_MAX];
    size_t count = template_param_count(template);
    for (size_t i = 0; i < count; i++) {
        struct span param = template_param(template, i).name;
        const struct gyr_url_value *value = value_of(values, param);
        if (value == NULL) {
            return ERROR_SET(error, GYR_ERR_ARGUMENT,
                             "the path of \"%s\" wants the parameter \"%.*s\"; give it a value",
                             name, (int)param.size, param.ptr);
        }
        spans[i] = span_of(value->value.ptr, value->value.size);
    }
    size_t capacity = text.size > 0 ? text.size - 1 : 0;
    size_t size;
    size_t bad;
    int err = template_write(template, spans, text.bytes, capacity, &size, &bad);
    if (err == GYR_ERR_ARGUMENT) {
        struct span param = template_param(template, bad).name;
        return ERROR_SET(error, err,
                         "the path of \"%s\" cannot have \"%.*s\" as its parameter \"%.*s\"; give "
                         "it one that its route matches",
                         name, (int)MIN(spans[bad].size, (size_t)64), spans[bad].ptr,
                         (int)param.size, param.ptr);
    }
    *size_needed = size + 1;
    if (err == 0) {
        text.bytes[size] = 0; /* a path has a slash at least: there is room */
    }
    return err;
}

/* ---- names ----------------------------------------------------------------------------------- */

/* The template of "route:child:...", below `prefix` unless that is NULL. GYR_ERR_NOT_FOUND without
 * a line. */
static int url_follow(const struct gyr_router *router, const struct template *prefix,
                      const char *names, struct template **template, struct gyr_error *error)
{
    size_t size = strcspn(names, ":");
    uint32_t index = text_map_find(&router->names, span_of(names, size));
    if (index == TEXT_MAP_NONE) {
        return GYR_ERR_NOT_FOUND;
    }
    const struct router_row *row = &router->rows[index];
    const struct gyr_route *route = &row->route;
    int err = prefix != NULL ? template_join(prefix, row->template, template, error)
                             : template_parse(template_text(row->template), false, template, error);
    while (err == 0 && names[size] == ':') {
        names += size + 1;
        size = strcspn(names, ":");
        route = child_find(route->resource, span_of(names, size));
        err = route != NULL ? child_join(template, route, error) : GYR_ERR_NOT_FOUND;
    }
    if (err < 0) {
        template_destroy(*template);
        *template = NULL;
    }
    return err;
}

/* A child of a resource, or of its bases. */
static const struct gyr_route *child_find(const struct gyr_resource *resource, struct span name)
{
    for (unsigned depth = 0; resource != NULL && depth < DECLARE_BASES_MAX; depth++) {
        struct gyr_resource own;
        if (!resource_read(resource, &own)) {
            return NULL;
        }
        for (const struct gyr_route *child = own.children;
             child != NULL && (child->path != NULL || child->at != NULL); child++) {
            if (child->name != NULL && child->path != NULL &&
                span_equal(span_of_text(child->name), name)) {
                return child;
            }
        }
        resource = own.base;
    }
    return NULL;
}

static int child_join(struct template **template, const struct gyr_route *child,
                      struct gyr_error *error)
{
    struct template *part;
    int err = template_parse(span_of_text(child->path), true, &part, error);
    if (err < 0) {
        return err;
    }
    struct template *joined;
    err = template_join(*template, part, &joined, error);
    template_destroy(part);
    if (err == 0) {
        template_destroy(*template);
        *template = joined;
    }
    return err;
}
