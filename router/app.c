/* SPDX-License-Identifier: MIT */
/* An application from its making to its server: what is declared is taken down, then frozen into a
 * plan (plan.c) with all that is wrong told at once; and what the router has of each core. */
#include "router/app.h"

#include "router/declare.h"

#include <stdio.h>

#define APP_DEPTH_DEFAULT 8
#define APP_ASKS_DEFAULT  16
#define APP_OUT_SIZE      ((size_t)16 * 1024) /* where messages are encoded, to begin with */

static int options_check(const struct gyr_app_options *options, struct gyr_error *error);
static int service_check(const struct gyr_service *service, struct gyr_error *error);
static void options_take(struct gyr_app *app, const struct gyr_app_options *options);
static int hooks_add(struct gyr_app *app, const struct gyr_resource *resource,
                     const struct gyr_hook *hooks);
static int hooks_check(const struct gyr_app *app, const struct gyr_hook *hook,
                       struct gyr_error *error);
static bool hook_put(struct gyr_hook *hook, enum gyr_hook_event event,
                     int (*function)(struct gyr_hook_call *call));
static void service_fill(struct gyr_app *app);
static int app_refuse(const struct gyr_app *app, const struct gyr_settings *settings,
                      struct gyr_error *error);
static int core_make(struct app_core *core);
static void core_unmake(struct app_core *core);

/* ---- create, destroy ------------------------------------------------------------------------- */

int gyr_app_create(const struct gyr_app_options *options, struct gyr_app **app_out,
                   struct gyr_error *error)
{
    static const struct gyr_app_options none = {.size = sizeof(none)};
    options = options != NULL ? options : &none;
    int err = options_check(options, error);
    if (err < 0) {
        return err;
    }
    struct gyr_app *app = memory_alloc(sizeof(*app));
    if (app == NULL) {
        return ERROR_SET(error, GYR_ERR_MEMORY, "no memory for an application");
    }
    options_take(app, options);
    *app_out = app;
    return 0;
}

static int options_check(const struct gyr_app_options *options, struct gyr_error *error)
{
    if (options->size == 0 || options->size > sizeof(*options)) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "gyr_app_options: size = %zu; set it to sizeof(struct gyr_app_options)",
                         options->size);
    }
    struct gyr_app_options known = {0};
    memcpy(&known, options, options->size);
    if (known.depth_max > PLAN_DEPTH_MAX) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "gyr_app_options: depth_max = %u; it is at most %u", known.depth_max,
                         (unsigned)PLAN_DEPTH_MAX);
    }
    if (known.form > GYR_FORM_ENVELOPE || known.failure_policy > GYR_FAILURE_KEEP) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "gyr_app_options: form = %u, failure_policy = %u; one of them does not "
                         "exist",
                         (unsigned)known.form, (unsigned)known.failure_policy);
    }
    return known.service != NULL ? service_check(known.service, error) : 0;
}

/* Resources are there instead of functions for connections. */
static int service_check(const struct gyr_service *service, struct gyr_error *error)
{
    struct gyr_service known = {0};
    if (service->size < offsetof(struct gyr_service, on_core_start) ||
        service->size > sizeof(known)) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "gyr_app_options.service: size = %zu; set it to "
                         "sizeof(struct gyr_service)",
                         service->size);
    }
    memcpy(&known, service, service->size);
    const struct {
        const char *name;
        bool is_set;
    } fields[] = {
        {"conn_data_size", known.conn_data_size != 0},
        {"on_request", known.on_request != NULL},
        {"on_body", known.on_body != NULL},
        {"on_done", known.on_done != NULL},
        {"on_open", known.on_open != NULL},
        {"on_message", known.on_message != NULL},
        {"on_part", known.on_part != NULL},
        {"on_drain", known.on_drain != NULL},
        {"on_mail", known.on_mail != NULL},
        {"on_timer", known.on_timer != NULL},
        {"on_recovered", known.on_recovered != NULL},
        {"on_close", known.on_close != NULL},
        {"on_finish", known.on_finish != NULL},
        {"app", known.app != NULL},
    };
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (fields[i].is_set) {
            return ERROR_SET(error, GYR_ERR_ARGUMENT,
                             "gyr_app_options.service: %s is set; what concerns connections is "
                             "for resources",
                             fields[i].name);
        }
    }
    return 0;
}

static void options_take(struct gyr_app *app, const struct gyr_app_options *options)
{
    memcpy(&app->options, options, options->size);
    app->options.size = sizeof(app->options);
    app->declared.size = sizeof(app->declared);
    if (app->options.service != NULL) {
        memcpy(&app->declared, app->options.service, app->options.service->size);
        app->declared.size = sizeof(app->declared);
    }
    app->options.service = &app->declared;
    if (app->options.form == GYR_FORM_DEFAULT) {
        app->options.form = GYR_FORM_FLAT;
    }
    if (app->options.failure_policy == GYR_FAILURE_DEFAULT) {
        app->options.failure_policy = GYR_FAILURE_CLOSE;
    }
    if (app->options.tag_name == NULL) {
        app->options.tag_name = "type";
    }
    if (app->options.payload_name == NULL) {
        app->options.payload_name = "payload";
    }
    if (app->options.depth_max == 0) {
        app->options.depth_max = APP_DEPTH_DEFAULT;
    }
    if (app->options.asks_max == 0) {
        app->options.asks_max = APP_ASKS_DEFAULT;
    }
}

void gyr_app_destroy(struct gyr_app *app)
{
    if (app == NULL) {
        return;
    }
    plan_destroy(app->plan);
    while (app->routers != NULL) {
        struct gyr_router *router = app->routers;
        app->routers = router->next;
        router_destroy(router);
    }
    memory_free(app->makers);
    pool_deinit(&app->pool);
    mistakes_deinit(&app->mistakes);
    memory_free(app);
}

/* ---- declare --------------------------------------------------------------------------------- */

int gyr_app_mount(struct gyr_app *app, const char *prefix, struct gyr_router *router,
                  struct gyr_error *error)
{
    return router_mount(app, prefix, router, error);
}

int gyr_app_routes(struct gyr_app *app, const char *prefix, const struct gyr_route *table)
{
    if (app->is_frozen) {
        return GYR_ERR_STATE;
    }
    struct gyr_router *router;
    int err = gyr_router_create(NULL, &router);
    if (err < 0) {
        return err;
    }
    err = gyr_router_add_all(router, table);
    struct gyr_error why;
    if (err == 0) {
        err = router_mount(app, prefix, router, &why);
        if (err == GYR_ERR_ARGUMENT) {
            mistakes_add(&app->mistakes, route_place(table), "%s", why.text);
            gyr_router_destroy(router);
            return 0;
        }
    }
    if (err < 0) {
        gyr_router_destroy(router);
    }
    return err;
}

int gyr_app_hooks(struct gyr_app *app, const struct gyr_resource *resource,
                  const struct gyr_hook *hooks, struct gyr_error *error)
{
    for (const struct gyr_hook *hook = hooks; hook->name != NULL || hook == hooks; hook++) {
        int err = hooks_check(app, hook, error);
        if (err < 0) {
            return err;
        }
    }
    int err = hooks_add(app, resource, hooks);
    return err < 0 ? ERROR_SET(error, err, "no memory for the hook \"%s\"", hooks->name) : 0;
}

static int hooks_check(const struct gyr_app *app, const struct gyr_hook *hook,
                       struct gyr_error *error)
{
    if (app->is_frozen) {
        return ERROR_SET(error, GYR_ERR_STATE,
                         "the application is frozen; add hooks before gyr_app_check and "
                         "gyr_app_server");
    }
    if (hook->name == NULL) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT, "the table of hooks is empty; add a row");
    }
    if (hook->before_connect == NULL && hook->after_connect == NULL &&
        hook->before_receive == NULL && hook->after_receive == NULL &&
        hook->before_disconnect == NULL) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "the hook \"%s\" has no function; give it one of the five", hook->name);
    }
    if (hook->data_size > DECLARE_HOOK_DATA) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "the hook \"%s\" has data_size = %u; it is at most %u", hook->name,
                         hook->data_size, (unsigned)DECLARE_HOOK_DATA);
    }
    return 0;
}

static int hooks_add(struct gyr_app *app, const struct gyr_resource *resource,
                     const struct gyr_hook *hooks)
{
    struct app_hooks *added = pool_alloc(&app->pool, sizeof(*added));
    if (added == NULL) {
        return GYR_ERR_MEMORY;
    }
    *added = (struct app_hooks){.resource = resource, .hooks = hooks};
    if (app->last_hooks != NULL) {
        app->last_hooks->next = added;
    } else {
        app->hooks = added;
    }
    app->last_hooks = added;
    return 0;
}

int gyr_app_hook(struct gyr_app *app, const struct gyr_resource *resource,
                 enum gyr_hook_event event, int (*function)(struct gyr_hook_call *call), void *user,
                 struct gyr_error *error)
{
    struct gyr_hook hook = {.name = "gyr_app_hook", .user = user};
    if (function == NULL || !hook_put(&hook, event, function)) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         function == NULL ? "the hook of the event %u has no function; give it one"
                                          : "there is no event %u; see enum gyr_hook_event",
                         (unsigned)event);
    }
    int err = hooks_check(app, &hook, error);
    if (err < 0) {
        return err;
    }
    struct gyr_hook *table = pool_alloc(&app->pool, 2 * sizeof(*table));
    if (table == NULL) {
        return ERROR_SET(error, GYR_ERR_MEMORY, "no memory for a hook");
    }
    table[0] = hook;
    err = hooks_add(app, resource, table);
    return err < 0 ? ERROR_SET(error, err, "no memory for a hook") : 0;
}

static bool hook_put(struct gyr_hook *hook, enum gyr_hook_event event,
                     int (*function)(struct gyr_hook_call *call))
{
    switch (event) {
    case GYR_BEFORE_CONNECT:
        hook->before_connect = function;
        return true;
    case GYR_AFTER_CONNECT:
        hook->after_connect = function;
        return true;
    case GYR_BEFORE_RECEIVE:
        hook->before_receive = function;
        return true;
    case GYR_AFTER_RECEIVE:
        hook->after_receive = function;
        return true;
    case GYR_BEFORE_DISCONNECT:
        hook->before_disconnect = function;
        return true;
    }
    return false;
}

/* ---- freeze ---------------------------------------------------------------------------------- */

int app_freeze(struct gyr_app *app)
{
    if (app->is_frozen) {
        return app->plan != NULL ? 0 : GYR_ERR_MEMORY;
    }
    app->is_frozen = true;
    for (const struct gyr_router *router = app->routers; router != NULL; router = router->next) {
        mistakes_add_all(&app->mistakes, &router->mistakes);
    }
    int err = plan_create(app, &app->mistakes, &app->plan);
    if (err == 0 && app->mistakes.out_of_memory) {
        err = GYR_ERR_MEMORY;
    }
    if (err < 0) {
        mistakes_add(&app->mistakes, "gyr_app", "there is no memory for the plan; free some");
        return err;
    }
    service_fill(app);
    return 0;
}

size_t gyr_app_check(struct gyr_app *app, char *text, size_t size)
{
    if (size > 0) {
        text[0] = 0;
    }
    int err = app_freeze(app);
    size_t needed = mistakes_print(&app->mistakes, text, size);
    static const char no_memory[] = "gyr_app: there is no memory for the plan; free some\n";
    if (err < 0 && needed == 0) {
        (void)snprintf(text, size, "%s", no_memory);
        return sizeof(no_memory) - 1;
    }
    return needed;
}

static void service_fill(struct gyr_app *app)
{
    app->service = app->declared;
    app->service.size = sizeof(app->service);
    app->service.core_data_size = app->plan->core_data_offset + sizeof(struct app_core);
    app->service.on_core_start = app_core_start;
    app->service.on_core_stop = app_core_stop;
    app->service.app = app;
    upcall_fill(&app->service);
}

const struct plan *app_plan(const struct gyr_app *app)
{
    return app->mistakes.count == 0 && !app->mistakes.out_of_memory ? app->plan : NULL;
}

const struct gyr_service *app_service(const struct gyr_app *app)
{
    return &app->service;
}

const struct gyr_app_options *app_options(const struct gyr_app *app)
{
    return &app->options;
}

int gyr_app_server(struct gyr_app *app, const struct gyr_settings *settings,
                   struct gyr_server **server, struct gyr_error *error)
{
    int err = app_freeze(app);
    if (err < 0) {
        return ERROR_SET(error, err, "no memory for the plan of the application");
    }
    if (app_plan(app) == NULL) {
        return app_refuse(app, settings, error);
    }
    return gyr_server_create_with(settings, &app->service, server, error);
}

static int app_refuse(const struct gyr_app *app, const struct gyr_settings *settings,
                      struct gyr_error *error)
{
    const struct gyr_config *config = gyr_settings_config(settings);
    for (const struct mistake *mistake = app->mistakes.first; mistake != NULL;
         mistake = mistake->next) {
        struct log_line line;
        if (engine_log_begin(&app->declared, config, GYR_LOG_ERROR, "app.mistake", &line)) {
            log_text(&line, "text", mistake->text);
            engine_log_end(&app->declared, &line);
        }
    }
    const char *first = app->mistakes.first != NULL ? app->mistakes.first->text : "";
    if (app->mistakes.count > 1) {
        return ERROR_SET(error, GYR_ERR_CONFIG, "%s (the first of %zu mistakes)", first,
                         app->mistakes.count);
    }
    return ERROR_SET(error, GYR_ERR_CONFIG, "%s", first);
}

/* ---- the ways of old ------------------------------------------------------------------------- */

int gyr_app_add_websocket_route(struct gyr_app *app, const char *path,
                                const struct gyr_resource *resource, const struct gyr_value *values,
                                struct gyr_error *error)
{
    if (!app->told_old_way) {
        const struct gyr_config config = gyr_config_default();
        struct log_line line;
        app->told_old_way = true;
        if (engine_log_begin(&app->declared, &config, GYR_LOG_WARNING, "app.deprecated", &line)) {
            log_text(&line, "call", "gyr_app_add_websocket_route");
            log_text(&line, "instead", "gyr_router_add");
            engine_log_end(&app->declared, &line);
        }
    }
    if (path == NULL || path[0] != '/' || strpbrk(path, " \t\r\n\v\f") != NULL) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "the path \"%s\" is empty, does not begin with a slash or has white "
                         "space; write it as \"/chat\"",
                         path != NULL ? path : "");
    }
    if (app->root == NULL) {
        struct gyr_router *router;
        int err = gyr_router_create(NULL, &router);
        if (err < 0) {
            return ERROR_SET(error, err, "no memory for the route \"%s\"", path);
        }
        err = router_mount(app, "/", router, error);
        if (err < 0) {
            gyr_router_destroy(router);
            return err;
        }
        app->root = router;
    }
    char *copy = pool_copy(&app->pool, span_of_text(path));
    if (copy == NULL) {
        return ERROR_SET(error, GYR_ERR_MEMORY, "no memory for the route \"%s\"", path);
    }
    const struct gyr_route route = {.path = copy, .resource = resource, .values = values};
    return gyr_router_add(app->root, &route, error);
}

int gyr_app_install(struct gyr_app **app, struct gyr_error *error)
{
    return *app == NULL ? gyr_app_create(NULL, app, error) : 0;
}

/* ---- cores ----------------------------------------------------------------------------------- */

struct app_core *app_core_of(struct gyr_core *core)
{
    const struct gyr_app *app = engine_core_service(core)->app;
    return (struct app_core *)(void *)((uint8_t *)gyr_core_data(core) +
                                       app->plan->core_data_offset);
}

int app_core_start(struct gyr_core *core)
{
    struct app_core *own = app_core_of(core);
    *own = (struct app_core){.core = core, .app = engine_core_service(core)->app};
    own->plan = own->app->plan;
    int err = core_make(own);
    if (err == 0 && own->app->declared.on_core_start != NULL) {
        err = own->app->declared.on_core_start(core);
    }
    if (err < 0) {
        core_unmake(own);
    }
    return err;
}

static int core_make(struct app_core *core)
{
    const struct gyr_app_options *options = &core->app->options;
    size_t message_size_max = engine_core_config(core->core)->message_size_max;
    size_t decoded_size_max = options->decoded_size_max != 0
                                  ? options->decoded_size_max
                                  : 4 * message_size_max + (size_t)64 * 1024;
    core->tag_scan = tag_scan_at(simd_detect());
    arena_init(&core->arena, decoded_size_max);
    /* What comes was measured before: messages by a limit that a reload may raise, content by its
     * handler's own. */
    int err = json_reader_create(SIZE_MAX, &core->reader);
    if (err < 0) {
        core->reader = NULL;
        return err;
    }
    core->out = engine_core_alloc(core->core, APP_OUT_SIZE);
    if (core->out == NULL) {
        return GYR_ERR_MEMORY;
    }
    core->out_size = APP_OUT_SIZE;
    return 0;
}

void app_core_stop(struct gyr_core *core)
{
    struct app_core *own = app_core_of(core);
    if (own->app->declared.on_core_stop != NULL) {
        own->app->declared.on_core_stop(core);
    }
    core_unmake(own);
}

static void core_unmake(struct app_core *core)
{
    if (core->out != NULL) {
        engine_core_free(core->core, core->out, core->out_size);
    }
    if (core->reader != NULL) {
        json_reader_destroy(core->reader);
    }
    arena_deinit(&core->arena);
    core->out = NULL;
    core->reader = NULL;
}
