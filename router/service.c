/* SPDX-License-Identifier: MIT */
/* Services and makers: what resources may ask for by name and type. Before the application is
 * frozen they stand in a list; then each has its slot in the plan, which connections read when they
 * are made and gyr_app_service may write at any time. */
#include "router/declare.h"

static struct app_value *value_find(const struct gyr_app *app, const char *name, const char *type);
static const struct gyr_maker *maker_find(const struct gyr_app *app, const char *name,
                                          const char *type);
static int name_check(const char *what, const char *name, const char *type,
                      struct gyr_error *error);
static int service_replace(struct plan *plan, const struct gyr_value *service,
                           struct gyr_error *error);
static int maker_add(struct gyr_app *app, const struct gyr_maker *maker);

int gyr_app_service(struct gyr_app *app, const struct gyr_value *service, struct gyr_error *error)
{
    int err = name_check("service", service->name, service->type, error);
    if (err < 0) {
        return err;
    }
    if (app->is_frozen) {
        return service_replace(app->plan, service, error);
    }
    if (maker_find(app, service->name, service->type) != NULL) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "the service \"%s\" (%s) is what a maker makes; rename one", service->name,
                         service->type);
    }
    struct app_value *value = value_find(app, service->name, service->type);
    if (value != NULL) {
        value->value = *service;
        return 0;
    }
    value = pool_alloc(&app->pool, sizeof(*value));
    if (value == NULL) {
        return ERROR_SET(error, GYR_ERR_MEMORY, "no memory for the service \"%s\"", service->name);
    }
    value->value = *service;
    if (app->last_value != NULL) {
        app->last_value->next = value;
    } else {
        app->values = value;
    }
    app->last_value = value;
    return 0;
}

static int name_check(const char *what, const char *name, const char *type, struct gyr_error *error)
{
    if (name == NULL || name[0] == 0 || type == NULL || type[0] == 0) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "a %s has the name \"%s\" and the type \"%s\"; give it both", what,
                         name != NULL ? name : "", type != NULL ? type : "");
    }
    return 0;
}

static int service_replace(struct plan *plan, const struct gyr_value *service,
                           struct gyr_error *error)
{
    for (size_t i = 0; plan != NULL && i < plan->service_count; i++) {
        struct plan_service *slot = &plan->services[i];
        if (strcmp(slot->name, service->name) == 0 && type_equals(slot->type, service->type)) {
            /* Pairs with the acquire of who makes a resource: what is behind the pointer was
             * written before. */
            atomic_store_explicit(&slot->pointer, service->pointer, memory_order_release);
            return 0;
        }
    }
    return ERROR_SET(error, GYR_ERR_NOT_FOUND,
                     "the service \"%s\" (%s) is new, and the application is frozen; a service "
                     "can only be replaced then",
                     service->name, service->type);
}

static struct app_value *value_find(const struct gyr_app *app, const char *name, const char *type)
{
    struct app_value *value = app->values;
    while (value != NULL &&
           (strcmp(value->value.name, name) != 0 || !type_equals(value->value.type, type))) {
        value = value->next;
    }
    return value;
}

static const struct gyr_maker *maker_find(const struct gyr_app *app, const char *name,
                                          const char *type)
{
    for (size_t i = 0; i < app->maker_count; i++) {
        if (strcmp(app->makers[i].name, name) == 0 && type_equals(app->makers[i].type, type)) {
            return &app->makers[i];
        }
    }
    return NULL;
}

int gyr_app_maker(struct gyr_app *app, const struct gyr_maker *maker, struct gyr_error *error)
{
    int err = name_check("maker", maker->name, maker->type, error);
    if (err < 0) {
        return err;
    }
    if (app->is_frozen) {
        return ERROR_SET(error, GYR_ERR_STATE,
                         "the maker \"%s\": the application is frozen; add it before "
                         "gyr_app_check and gyr_app_server",
                         maker->name);
    }
    if (maker->make == NULL) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "the maker \"%s\" has no function `make`; give it one", maker->name);
    }
    if (maker_find(app, maker->name, maker->type) != NULL ||
        value_find(app, maker->name, maker->type) != NULL) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "the maker \"%s\" (%s) is there twice, or a service; rename one",
                         maker->name, maker->type);
    }
    err = maker_add(app, maker);
    return err < 0 ? ERROR_SET(error, err, "no memory for the maker \"%s\"", maker->name) : 0;
}

static int maker_add(struct gyr_app *app, const struct gyr_maker *maker)
{
    struct gyr_maker *makers = memory_alloc((app->maker_count + 1) * sizeof(*makers));
    if (makers == NULL) {
        return GYR_ERR_MEMORY;
    }
    if (app->maker_count != 0) {
        memcpy(makers, app->makers, app->maker_count * sizeof(*makers));
    }
    makers[app->maker_count++] = *maker;
    memory_free(app->makers);
    app->makers = makers;
    return 0;
}

int gyr_app_find(const struct gyr_app *app, const char *name, const char *type,
                 const void **pointer, struct gyr_error *error)
{
    if (app->plan != NULL) {
        for (size_t i = 0; i < app->plan->service_count; i++) {
            struct plan_service *slot = &app->plan->services[i];
            if (strcmp(slot->name, name) == 0 && type_equals(slot->type, type)) {
                *pointer = atomic_load_explicit(&slot->pointer, memory_order_acquire);
                return 0;
            }
        }
    } else {
        const struct app_value *value = value_find(app, name, type);
        if (value != NULL) {
            *pointer = value->value.pointer;
            return 0;
        }
    }
    return ERROR_SET(error, GYR_ERR_NOT_FOUND,
                     "there is no service \"%s\" (%s); register it with gyr_app_service", name,
                     type);
}
