/* SPDX-License-Identifier: MIT */
/* Routes: the tree of rows and their resources' children, walked depth first with a stack of our
 * own, becomes one list: a row's own path, then those below it. A resource that is its own
 * descendant unfolds as deep as chains may be. */
#include "router/plan_make.h"

#include <stdio.h>

/* A row that is being entered. */
struct entering {
    const struct gyr_route *row;
    struct template *template; /* passes to the route */
    const char *full_name;     /* or NULL */
};

static int router_walk(struct plan_making *making);
static int row_walk(struct plan_making *making, const struct router_row *row);
static int child_enter(struct plan_making *making, struct made_level *level);
static int row_enter(struct plan_making *making, const struct entering *entering);
static int level_push(struct plan_making *making, const struct entering *entering,
                      const struct gyr_resource *resource, bool is_product);
static bool chain_repeats(const struct plan_making *making, uint32_t type);
static const char *name_join(struct plan_making *making, const char *outer, const char *inner);
static int route_put(struct plan_making *making, const struct entering *entering,
                     struct plan_route **route);
static int params_make(struct plan_making *making, struct plan_route *route);
static void name_put(struct plan_making *making, const struct plan_route *route);
static void methods_make(struct plan_making *making, struct plan_route *route);
static void files_make(struct plan_making *making, struct plan_route *route);
static int products_make(struct plan_making *making, const struct entering *entering, size_t index);
static void values_wanted(struct plan_making *making, const struct gyr_route *row);
static int heads_make(struct plan_making *making);

int plan_routes_make(struct plan_making *making)
{
    int err = 0;
    for (making->router = making->app->routers; err == 0 && making->router != NULL;
         making->router = making->router->next) {
        err = router_walk(making);
    }
    return err == 0 ? heads_make(making) : err;
}

/* ---- walking --------------------------------------------------------------------------------- */

static int router_walk(struct plan_making *making)
{
    int err = 0;
    for (size_t i = 0; err == 0 && !making->is_full && i < making->router->row_count; i++) {
        making->depth = 0;
        making->top = &making->router->rows[i].route;
        err = row_walk(making, &making->router->rows[i]);
        while (err == 0 && !making->is_full && making->depth > 0) {
            err = child_enter(making, &making->levels[making->depth - 1]);
        }
    }
    return err;
}

static int row_walk(struct plan_making *making, const struct router_row *row)
{
    const struct gyr_router *router = making->router;
    struct entering entering = {.row = &row->route};
    struct gyr_error error;
    int err = template_join(router->prefix, row->template, &entering.template, &error);
    if (err == GYR_ERR_ARGUMENT) {
        mistakes_add(making->mistakes, route_place(&row->route), "%s", error.text);
        return 0;
    }
    if (err == 0 && row->route.name != NULL) {
        entering.full_name = name_join(making, router->name, row->route.name);
    }
    return err == 0 ? row_enter(making, &entering) : err;
}

/* The next child of the innermost resource, or go back out. */
static int child_enter(struct plan_making *making, struct made_level *level)
{
    const struct made_type *type = &making->types[level->type];
    if (level->next_child == type->child_count) {
        making->depth--;
        return 0;
    }
    const struct made_child *child = &type->children[level->next_child++];
    uint32_t child_type =
        child->row->resource != NULL ? plan_type_of(making, child->row->resource) : PLAN_NO_TYPE;
    bool repeats = chain_repeats(making, child_type);
    if (child_type != PLAN_NO_TYPE && making->depth >= making->app->options.depth_max) {
        if (!repeats) {
            mistakes_add(making->mistakes, route_place(child->row),
                         "the route \"%s\" is %u resources deep, below \"%s\" at %s; depth_max is "
                         "%u",
                         child->row->path, making->depth + 1, making->top->path,
                         route_place(making->top), making->app->options.depth_max);
        }
        return 0;
    }
    struct entering entering = {.row = child->row};
    struct gyr_error error;
    int err = template_join(level->template, child->template, &entering.template, &error);
    if (err == GYR_ERR_ARGUMENT) {
        if (!repeats) {
            mistakes_add(making->mistakes, route_place(child->row), "%s", error.text);
        }
        return 0;
    }
    if (err == 0 && child->row->name != NULL && level->full_name != NULL) {
        entering.full_name = name_join(making, level->full_name, child->row->name);
    }
    return err == 0 ? row_enter(making, &entering) : err;
}

/* Is a resource its own descendant, somewhere in the chain with this type at its end? */
static bool chain_repeats(const struct plan_making *making, uint32_t type)
{
    for (unsigned i = 0; i < making->depth; i++) {
        for (unsigned k = 0; k < i; k++) {
            if (making->levels[k].type == making->levels[i].type) {
                return true;
            }
        }
        if (making->levels[i].type == type) {
            return true;
        }
    }
    return false;
}

static const char *name_join(struct plan_making *making, const char *outer, const char *inner)
{
    if (outer == NULL) {
        return inner;
    }
    size_t size = strlen(outer) + 1 + strlen(inner);
    char *name = pool_alloc(making->pool, size + 1);
    if (name != NULL) {
        (void)snprintf(name, size + 1, "%s:%s", outer, inner);
    }
    return name;
}

static int row_enter(struct plan_making *making, const struct entering *entering)
{
    const struct gyr_route *row = entering->row;
    if (making->plan->route_count == DECLARE_ROUTES_MAX) {
        mistakes_add(making->mistakes, route_place(making->top),
                     "there are more than %d paths, and the last are below \"%s\"; lower depth_max "
                     "if a resource is below itself, or join routes by a parameter",
                     DECLARE_ROUTES_MAX, making->top->path);
        making->is_full = true;
        template_destroy(entering->template);
        return 0;
    }
    int err = 0;
    if (row->resource != NULL) {
        err = level_push(making, entering, row->resource, false);
    }
    if (err < 0) {
        template_destroy(entering->template);
        return err;
    }
    struct plan_route *route;
    err = route_put(making, entering, &route);
    if (err == 0 && row->factory != NULL) {
        err = products_make(making, entering, making->plan->route_count - 1);
    }
    return err;
}

static int level_push(struct plan_making *making, const struct entering *entering,
                      const struct gyr_resource *resource, bool is_product)
{
    struct made_level *level = &making->levels[making->depth++];
    *level = (struct made_level){
        .row = entering->row,
        .type = plan_type_of(making, resource),
        .template = entering->template,
        .full_name = entering->full_name,
    };
    making->types[level->type].is_used = true;
    return plan_inputs_make(making, is_product);
}

/* ---- a route --------------------------------------------------------------------------------- */

static int routes_reserve(struct plan_making *making)
{
    struct plan *plan = making->plan;
    if (plan->route_count < making->route_capacity) {
        return 0;
    }
    size_t capacity = MAX(2 * making->route_capacity, (size_t)16);
    struct plan_route *routes = memory_alloc(capacity * sizeof(*routes));
    if (routes == NULL) {
        return GYR_ERR_MEMORY;
    }
    if (plan->route_count != 0) {
        memcpy(routes, plan->routes, plan->route_count * sizeof(*routes));
    }
    memory_free(plan->routes);
    plan->routes = routes;
    making->route_capacity = capacity;
    return 0;
}

/* The template passes to the route, or is destroyed. */
static int route_put(struct plan_making *making, const struct entering *entering,
                     struct plan_route **route_out)
{
    struct plan *plan = making->plan;
    int err = routes_reserve(making);
    if (err < 0) {
        template_destroy(entering->template);
        return err;
    }
    struct plan_route *route = &plan->routes[plan->route_count++];
    *route = (struct plan_route){
        .declared = entering->row,
        .template = entering->template,
        .full_name = entering->full_name,
        .hidden_by = UINT32_MAX,
        .is_plain = entering->row->resource == NULL && entering->row->factory == NULL,
        .factory = entering->row->factory != NULL ? entering->row : NULL,
        .files = entering->row->files != NULL ? entering->row : NULL,
    };
    err = params_make(making, route);
    if (err < 0) {
        return err;
    }
    if (route->full_name != NULL) {
        name_put(making, route);
    }
    methods_make(making, route);
    if (route->files != NULL) {
        files_make(making, route);
    }
    *route_out = route;
    return plan_chain_make(making, route);
}

/* Names of parameters end with a NUL here. */
static int params_make(struct plan_making *making, struct plan_route *route)
{
    size_t count = template_param_count(route->template);
    route->param_count = (uint16_t)count;
    route->param_names = pool_alloc(making->pool, count * sizeof(*route->param_names));
    if (route->param_names == NULL) {
        return GYR_ERR_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        const char *name = pool_copy(making->pool, template_param(route->template, i).name);
        if (name == NULL) {
            return GYR_ERR_MEMORY;
        }
        route->param_names[i] = name;
    }
    return 0;
}

static void name_put(struct plan_making *making, const struct plan_route *route)
{
    struct plan *plan = making->plan;
    struct span name = span_of_text(route->full_name);
    int err = text_map_add(&plan->names, name, (uint32_t)(route - plan->routes));
    if (err == GYR_ERR_EXISTS) {
        const struct plan_route *other = &plan->routes[text_map_find(&plan->names, name)];
        mistakes_add(
            making->mistakes, route_place(route->declared),
            "the name \"%s\" of the route \"%s\" is that of \"%s\", too, at %s; rename one",
            route->full_name, route->declared->path, other->declared->path,
            route_place(other->declared));
    } else if (err < 0) {
        making->mistakes->out_of_memory = true;
    }
}

static void methods_make(struct plan_making *making, struct plan_route *route)
{
    const struct gyr_route *row = route->declared;
    route->methods = route_bits(row);
    if (row->resource != NULL) {
        const struct made_type *type = &making->types[plan_type_of(making, row->resource)];
        memcpy(route->method, type->methods, sizeof(route->method));
    }
    plan_methods_take(route->method, row->methods);
    check_methods(making->mistakes, row->methods, row->path);
    if (route->method[GYR_METHOD_HEAD].function == NULL) {
        route->method[GYR_METHOD_HEAD] = route->method[GYR_METHOD_GET];
    }
}

static void files_make(struct plan_making *making, struct plan_route *route)
{
    const struct gyr_route *row = route->declared;
    size_t count = template_param_count(route->template);
    bool ends_with_path =
        count > 0 && template_param(route->template, count - 1).type == PARAM_PATH;
    if (ends_with_path == (row->file != NULL)) {
        mistakes_add(making->mistakes, route_place(row),
                     row->file != NULL
                         ? "the route \"%s\" is of one file, but its path ends with a {path} "
                           "parameter; leave one of them out"
                         : "the route \"%s\" is of files, but its path does not end with a {path} "
                           "parameter; end it with one, as {file:path}, or say .file",
                     row->path);
    }
    const struct plan *plan = making->plan;
    for (size_t i = 0; i < plan->service_count; i++) {
        if (strcmp(plan->services[i].name, row->files) == 0 &&
            type_equals(plan->services[i].type, "struct gyr_files")) {
            route->files_slot = (uint32_t)i;
            return;
        }
    }
    mistakes_add(making->mistakes, route_place(row),
                 "the route \"%s\" wants the service \"%s\" (struct gyr_files), which nobody has "
                 "registered; call gyr_app_service before gyr_app_server",
                 row->path, row->files);
}

/* ---- factories ------------------------------------------------------------------------------- */

static int products_make(struct plan_making *making, const struct entering *entering, size_t index)
{
    const struct gyr_route *row = entering->row;
    size_t count = 0;
    while (row->products[count].resource != NULL) {
        count++;
    }
    struct plan_route *products = pool_alloc(making->pool, count * sizeof(*products));
    if (products == NULL) {
        return GYR_ERR_MEMORY;
    }
    int err = 0;
    for (size_t i = 0; err == 0 && i < count; i++) {
        const struct gyr_resource *resource = row->products[i].resource;
        const struct made_type *type = &making->types[plan_type_of(making, resource)];
        const struct gyr_route as_row = {.resource = resource};
        products[i] = making->plan->routes[index];
        products[i].factory = NULL;
        products[i].methods = route_bits(&as_row);
        memcpy(products[i].method, type->methods, sizeof(products[i].method));
        if (products[i].method[GYR_METHOD_HEAD].function == NULL) {
            products[i].method[GYR_METHOD_HEAD] = products[i].method[GYR_METHOD_GET];
        }
        if (making->depth >= making->app->options.depth_max) {
            mistakes_add(making->mistakes, route_place(row),
                         "what the factory of \"%s\" makes is %u resources deep; depth_max is %u",
                         row->path, making->depth + 1, making->app->options.depth_max);
            return 0;
        }
        if (type->child_count > 0) {
            mistakes_add(making->mistakes, route_place(row),
                         "the factory of \"%s\" may choose the resource \"%s\", which has "
                         "children; a product has none, so give them routes of their own",
                         row->path, type->own.name);
        }
        err = level_push(making, entering, resource, true);
        if (err == 0) {
            err = plan_chain_make(making, &products[i]);
        }
        making->depth--;
    }
    values_wanted(making, row);
    making->plan->routes[index].products = products;
    making->plan->routes[index].product_count = (uint32_t)count;
    return err;
}

/* A value that none of the products wants. */
static void values_wanted(struct plan_making *making, const struct gyr_route *row)
{
    for (const struct gyr_value *value = row->values; value != NULL && value->name != NULL;
         value++) {
        bool is_wanted = false;
        for (const struct gyr_mixin *product = row->products; product->resource != NULL;
             product++) {
            uint32_t type = plan_type_of(making, product->resource);
            is_wanted = is_wanted || plan_type_wants(&making->types[type], value->name);
        }
        if (!is_wanted) {
            mistakes_add(making->mistakes, value->at,
                         "the route \"%s\" has the value \"%s\", which none of its products "
                         "wants; remove it, or add an input of this name",
                         row->path, value->name);
        }
    }
}

/* ---- HEAD ------------------------------------------------------------------------------------ */

/* HEAD goes where GET does, unless another route of the same path has it (RFC 9110 section 9.3.2).
 */
static int heads_make(struct plan_making *making)
{
    struct plan *plan = making->plan;
    struct text_map heads = {0};
    int err = 0;
    for (uint32_t i = 0; err == 0 && i < plan->route_count; i++) {
        if ((plan->routes[i].methods & (1U << GYR_METHOD_HEAD)) != 0) {
            err = text_map_add(&heads, template_key(plan->routes[i].template), i);
            err = err == GYR_ERR_EXISTS ? 0 : err;
        }
    }
    for (uint32_t i = 0; err == 0 && i < plan->route_count; i++) {
        struct plan_route *route = &plan->routes[i];
        if ((route->methods & (1U << GYR_METHOD_GET)) != 0 &&
            text_map_find(&heads, template_key(route->template)) == TEXT_MAP_NONE) {
            route->methods |= (uint16_t)(1U << GYR_METHOD_HEAD);
        }
    }
    text_map_deinit(&heads);
    return err;
}
