/* SPDX-License-Identifier: MIT */
/* From what was declared to a plan: types with their bases (plan_type.c, plan_handler.c), then
 * routes with their chains (plan_route.c, plan_chain.c), then the table over them. Whatever is
 * wrong is written down, and what can be made in spite of it is made. */
#include "router/plan.h"

#include "router/plan_make.h"

static int plan_make(struct plan_making *making);
static int services_make(struct plan_making *making);
static int table_make(struct plan_making *making);
static void table_unreachable(void *context, size_t index, size_t by);

int plan_create(struct gyr_app *app, struct mistakes *mistakes, struct plan **plan_out)
{
    struct plan *plan = memory_alloc(sizeof(*plan));
    struct plan_making *making = memory_alloc(sizeof(*making));
    int err = GYR_ERR_MEMORY;
    if (plan != NULL && making != NULL) {
        *making = (struct plan_making){
            .app = app,
            .plan = plan,
            .mistakes = mistakes,
            .pool = &plan->pool,
        };
        err = plan_make(making);
        plan_types_unmake(making);
        text_map_deinit(&making->gifts);
    }
    memory_free(making);
    if (err < 0) {
        plan_destroy(plan);
        return err;
    }
    *plan_out = plan;
    return 0;
}

static int plan_make(struct plan_making *making)
{
    const struct gyr_app *app = making->app;
    struct plan *plan = making->plan;
    plan->app = making->app;
    plan->makers = app->makers;
    plan->maker_count = app->maker_count;
    plan->form.tag_name = span_of_text(app->options.tag_name);
    if (app->options.form == GYR_FORM_ENVELOPE) {
        plan->form.payload_name = span_of_text(app->options.payload_name);
    }
    plan->core_data_offset = (uint32_t)((app->declared.core_data_size + 63) & ~(size_t)63);
    check_form(making->mistakes, "gyr_app_options", "gyr_app", &plan->form);
    int err = services_make(making);
    if (err == 0) {
        err = plan_types_make(making);
    }
    if (err == 0) {
        err = plan_routes_make(making);
    }
    if (err == 0) {
        check_used(making);
        err = table_make(making);
    }
    return err;
}

static int services_make(struct plan_making *making)
{
    struct plan *plan = making->plan;
    for (const struct app_value *value = making->app->values; value != NULL; value = value->next) {
        plan->service_count++;
    }
    plan->services = pool_alloc(making->pool, plan->service_count * sizeof(*plan->services));
    if (plan->services == NULL) {
        return GYR_ERR_MEMORY;
    }
    struct plan_service *slot = plan->services;
    for (const struct app_value *value = making->app->values; value != NULL;
         value = value->next, slot++) {
        slot->name = value->value.name;
        slot->type = value->value.type;
        atomic_store_explicit(&slot->pointer, value->value.pointer, memory_order_release);
    }
    return 0;
}

static int table_make(struct plan_making *making)
{
    struct plan *plan = making->plan;
    struct route_entry *entries = memory_alloc((plan->route_count + 1) * sizeof(*entries));
    if (entries == NULL) {
        return GYR_ERR_MEMORY;
    }
    for (size_t i = 0; i < plan->route_count; i++) {
        entries[i] = (struct route_entry){
            .template = plan->routes[i].template,
            .methods = plan->routes[i].methods,
        };
    }
    int err =
        route_table_create(entries, plan->route_count, table_unreachable, making, &plan->table);
    if (err < 0) {
        plan->table = NULL;
    }
    memory_free(entries);
    return err;
}

static void table_unreachable(void *context, size_t index, size_t by)
{
    struct plan_making *making = context;
    struct plan_route *route = &making->plan->routes[index];
    const struct plan_route *other = &making->plan->routes[by];
    struct span path = template_text(route->template);
    struct span other_path = template_text(other->template);
    route->hidden_by = (uint32_t)by;
    if (making->app->options.allow_unreachable) {
        return;
    }
    mistakes_add(making->mistakes, route_place(route->declared),
                 "the route \"%.*s\" is never reached: \"%.*s\" at %s takes all that it would; "
                 "put it before that one, or remove it",
                 (int)path.size, path.ptr, (int)other_path.size, other_path.ptr,
                 route_place(other->declared));
}

void plan_destroy(struct plan *plan)
{
    if (plan == NULL) {
        return;
    }
    if (plan->table != NULL) {
        route_table_destroy(plan->table);
    }
    for (size_t i = 0; i < plan->route_count; i++) {
        template_destroy(plan->routes[i].template);
    }
    memory_free(plan->routes);
    for (size_t i = 0; i < plan->type_count; i++) {
        perfect_hash_destroy(plan->types[i].tags);
        perfect_hash_destroy(plan->types[i].names);
    }
    text_map_deinit(&plan->names);
    pool_deinit(&plan->pool);
    memory_free(plan);
}
