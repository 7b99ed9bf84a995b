/* SPDX-License-Identifier: MIT */
/* An application's life: what is refused at once, what is kept for the check, what is told of
 * routes, the ways of old, and the server that is not made. */
#include "router/app.h"

#include "tests/plan_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>
#include <stdlib.h>

static int hook_run(struct gyr_hook_call *call)
{
    (void)call;
    return 0;
}

static int request_take(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)conn, (void)self, (void)request;
    return 0;
}

static int product_choose(struct gyr_conn *conn, void *user, const struct gyr_request *request,
                          struct gyr_product *product)
{
    (void)conn, (void)user, (void)request, (void)product;
    return 0;
}

static const struct gyr_resource chat = {GYR_RESOURCE_PLAIN("chat")};
static const struct gyr_resource task = {GYR_RESOURCE_PLAIN("task")};
static const struct gyr_resource tasks = {
    GYR_RESOURCE_PLAIN("tasks"),
    .children = GYR_ROUTES({.path = "{id}", .at = "t.c:9", .resource = &task, .name = "task"}),
};

#define EXPECT_ERROR(actual, text_, why) \
    EXPECT_SPAN(span_of((actual).text, strlen((actual).text)), text_, why)

/* ---- options --------------------------------------------------------------------------------- */

static int on_request(struct gyr_conn *conn, const struct gyr_request *request)
{
    (void)conn, (void)request;
    return 0;
}

void app_create_refuses_options_that_cannot_be(void)
{
    static const struct gyr_service with_request = {.size = sizeof(with_request),
                                                    .on_request = on_request};
    static const struct gyr_service with_data = {.size = sizeof(with_data), .conn_data_size = 8};
    static const struct gyr_service no_size = {.size = 0};
    static const struct {
        struct gyr_app_options options;
        const char *error;
    } rows[] = {
        {{.size = 0}, "gyr_app_options: size = 0; set it to sizeof(struct gyr_app_options)"},
        {{.size = sizeof(struct gyr_app_options), .depth_max = 17},
         "gyr_app_options: depth_max = 17; it is at most 16"},
        {{.size = sizeof(struct gyr_app_options), .form = (enum gyr_form)3},
         "gyr_app_options: form = 3, failure_policy = 0; one of them does not exist"},
        {{.size = sizeof(struct gyr_app_options), .failure_policy = (enum gyr_failure_policy)3},
         "gyr_app_options: form = 0, failure_policy = 3; one of them does not exist"},
        {{.size = sizeof(struct gyr_app_options), .service = &with_request},
         "gyr_app_options.service: on_request is set; what concerns connections is for resources"},
        {{.size = sizeof(struct gyr_app_options), .service = &with_data},
         "gyr_app_options.service: conn_data_size is set; what concerns connections is for "
         "resources"},
        {{.size = sizeof(struct gyr_app_options), .service = &no_size},
         "gyr_app_options.service: size = 0; set it to sizeof(struct gyr_service)"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gyr_app *app = NULL;
        struct gyr_error error = {.text = ""};
        EXPECT_INT(gyr_app_create(&rows[i].options, &app, &error), GYR_ERR_ARGUMENT, rows[i].error);
        EXPECT_ERROR(error, rows[i].error, "it is named");
        EXPECT(app == NULL, "nothing is made");
    }
}

void app_create_takes_options_of_a_smaller_size_and_none(void)
{
    struct gyr_app *app = NULL;
    struct gyr_error error = {.text = ""};
    const struct gyr_app_options small = {
        .size = offsetof(struct gyr_app_options, depth_max),
        .form = GYR_FORM_ENVELOPE,
        .depth_max = 99,
    };
    EXPECT_INT(gyr_app_create(&small, &app, &error), 0, error.text);
    EXPECT_INT(app_options(app)->form, GYR_FORM_ENVELOPE, "taken");
    EXPECT_INT(app_options(app)->depth_max, 8, "what lies behind the size is not read");
    gyr_app_destroy(app);
    EXPECT_INT(gyr_app_create(NULL, &app, &error), 0, error.text);
    EXPECT_INT(app_options(app)->asks_max, 16, "the default");
    EXPECT_INT(app_options(app)->failure_policy, GYR_FAILURE_CLOSE, "the default");
    expect_told(app, "", "an empty one is well");
    gyr_app_destroy(NULL);
}

void app_check_tells_names_of_members_that_cannot_be(void)
{
    const struct gyr_app_options options = {
        .size = sizeof(options), .form = GYR_FORM_ENVELOPE, .tag_name = "", .payload_name = "re"};
    struct gyr_app *app = NULL;
    struct gyr_error error = {.text = ""};
    EXPECT_INT(gyr_app_create(&options, &app, &error), 0, error.text);
    expect_told(app,
                "gyr_app_options: the member \"\" of the messages of \"gyr_app\" is empty, or has "
                "a quote, a backslash or a control character; choose another name\n"
                "gyr_app_options: the member \"re\" of the messages of \"gyr_app\" is that of "
                "requests and answers; choose another name\n",
                "both");
}

/* ---- mounting -------------------------------------------------------------------------------- */

void app_mount_takes_prefixes_that_begin_with_a_slash(void)
{
    static const struct {
        const char *prefix;
        int err;
        const char *path;
    } rows[] = {
        {"", 0, "/a"},
        {"/", 0, "/a"},
        {"/api/", 0, "/api/a"},
        {"/t/{x}", 0, "/t/{x}/a"},
        {"api", GYR_ERR_ARGUMENT, NULL},
        {"/{", GYR_ERR_ARGUMENT, NULL},
        {"/{rest:path}", 0, NULL},
    };
    const struct gyr_route route = {.path = "/a", .at = "a.c:1", .resource = &chat};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gyr_app *app = told_app();
        struct gyr_router *router;
        struct gyr_error error = {.text = ""};
        EXPECT_INT(gyr_router_create("r", &router), 0, "made");
        EXPECT_INT(gyr_router_add(router, &route, &error), 0, error.text);
        EXPECT_INT(gyr_app_mount(app, rows[i].prefix, router, &error), rows[i].err, rows[i].prefix);
        if (rows[i].err < 0) {
            EXPECT(error.text[0] != 0, "it is told");
            EXPECT_INT(gyr_app_mount(app, "/ok", router, &error), 0, "3: nothing has changed");
        }
        if (rows[i].path != NULL) {
            EXPECT_INT(gyr_app_check(app, NULL, 0), 0, rows[i].prefix);
            plan_expect_paths(app_plan(app), rows[i].path, rows[i].prefix);
        } else if (rows[i].err == 0) {
            EXPECT(gyr_app_check(app, NULL, 0) > 0, "nothing can stand below");
        }
        gyr_app_destroy(app);
    }
}

void app_mount_refuses_what_is_mounted_and_names_that_are_used(void)
{
    struct gyr_app *app = told_app();
    struct gyr_app *other = told_app();
    struct gyr_router *a;
    struct gyr_router *b;
    struct gyr_router *bad;
    struct gyr_error error = {.text = ""};
    EXPECT_INT(gyr_router_create("a", &a), 0, "made");
    EXPECT_INT(gyr_router_create("a", &b), 0, "made");
    EXPECT_INT(gyr_router_create("a:b", &bad), 0, "made");
    EXPECT_INT(gyr_app_mount(app, "/a", a, &error), 0, error.text);
    EXPECT_INT(gyr_app_mount(app, "/b", a, &error), GYR_ERR_STATE, "3: twice");
    EXPECT_ERROR(error, "the router \"a\" is mounted already; make another one", "it is named");
    EXPECT_INT(gyr_app_mount(other, "/b", a, &error), GYR_ERR_STATE, "elsewhere");
    EXPECT_INT(gyr_app_mount(app, "/b", b, &error), GYR_ERR_EXISTS, "its name");
    EXPECT_ERROR(error, "a router with the name \"a\" is mounted already; rename one",
                 "it is named");
    EXPECT_INT(gyr_app_mount(app, "/b", bad, &error), GYR_ERR_ARGUMENT, "a name with a colon");
    gyr_router_destroy(bad);
    gyr_router_destroy(a); /* the application has it */
    EXPECT_INT(gyr_app_mount(other, "/b", b, &error), 0, error.text);
    gyr_app_destroy(app);
    gyr_app_destroy(other);
    gyr_router_destroy(NULL);
}

void app_keeps_what_is_wrong_with_tables_for_the_check(void)
{
    static const struct gyr_route table[] = {
        {.path = "/a", .at = "a.c:1", .resource = &chat},
        {.path = "b", .at = "a.c:2", .resource = &chat},
        {0},
    };
    struct gyr_app *app = told_app();
    EXPECT_INT(gyr_app_routes(app, "x", table), 0, "a bad prefix");
    EXPECT_INT(gyr_app_routes(app, "/x", table), 0, "a bad row");
    expect_told(app,
                "a.c:1: the prefix \"x\" does not begin with a slash; write \"/x\"\n"
                "a.c:2: template \"b\": put a slash in front; \"/\" is the root\n",
                "both");
}

void router_add_tells_at_once_and_changes_nothing(void)
{
    static const struct {
        struct gyr_route route;
        int err;
        const char *error;
    } rows[] = {
        {{.path = "/a/", .at = "x.c:1", .resource = &chat},
         GYR_ERR_EXISTS,
         "x.c:1: the path \"/a/\" is there twice for WebSockets, first at a.c:1; remove one"},
        {{.path = "/b", .at = "x.c:2", .resource = &chat, .name = "a"},
         GYR_ERR_EXISTS,
         "x.c:2: the name \"a\" of the route \"/b\" is that of \"/a\", too, at a.c:1; rename one"},
        {{.path = "/rooms/{}", .at = "x.c:3", .resource = &chat},
         GYR_ERR_ARGUMENT,
         "x.c:3: template \"/rooms/{}\", column 8, \"{}\": a parameter has a name, as {room}"},
        {{.path = "/b", .at = "x.c:4"},
         GYR_ERR_ARGUMENT,
         "x.c:4: the route \"/b\" leads nowhere; give it a resource, or a factory, or methods, or "
         "files"},
        {{.path = "/b", .resource = &chat, .factory = product_choose},
         GYR_ERR_ARGUMENT,
         "/b: the route \"/b\" leads to several things; give it a resource, or a factory, or "
         "methods, or files"},
    };
    const struct gyr_route first = {.path = "/a", .at = "a.c:1", .resource = &chat, .name = "a"};
    struct gyr_router *router;
    struct gyr_error error = {.text = ""};
    EXPECT_INT(gyr_router_create(NULL, &router), 0, "made");
    EXPECT_INT(gyr_router_add(router, &first, &error), 0, error.text);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        EXPECT_INT(gyr_router_add(router, &rows[i].route, &error), rows[i].err, rows[i].error);
        EXPECT_ERROR(error, rows[i].error, "it is named");
        EXPECT_INT(gyr_router_add(router, &rows[i].route, NULL), rows[i].err, "nobody to tell");
    }
    struct plan_kit kit;
    plan_kit_init(&kit);
    EXPECT_INT(gyr_app_mount(kit.app, "/", router, &error), 0, error.text);
    plan_kit_freeze(&kit);
    plan_expect_paths(kit.plan, "/a", "12: the table is as it was");
    EXPECT_INT(gyr_router_add(router, &first, &error), GYR_ERR_STATE, "frozen");
    EXPECT_ERROR(error,
                 "the application of this router is frozen; add routes before gyr_app_check and "
                 "gyr_app_server",
                 "it is told");
    EXPECT_INT(gyr_router_add_all(router, &first), GYR_ERR_STATE, "frozen");
    EXPECT_INT(gyr_app_routes(kit.app, "/", &first), GYR_ERR_STATE, "frozen");
    plan_kit_end(&kit);
}

/* ---- hooks ----------------------------------------------------------------------------------- */

void app_hooks_refuses_what_has_no_function_and_no_event(void)
{
    static const struct gyr_hook nothing[] = {{.name = "nothing"}, {0}};
    static const struct gyr_hook second[] = {
        {.name = "first", .after_receive = hook_run}, {.name = "second"}, {0}};
    static const struct gyr_hook large[] = {
        {.name = "large", .after_receive = hook_run, .data_size = 1025}, {0}};
    static const struct gyr_hook empty[] = {{0}};
    static const struct gyr_hook good[] = {{.name = "good", .after_connect = hook_run}, {0}};
    static const struct {
        const struct gyr_hook *hooks;
        const char *error;
    } rows[] = {
        {nothing, "the hook \"nothing\" has no function; give it one of the five"},
        {second, "the hook \"second\" has no function; give it one of the five"},
        {large, "the hook \"large\" has data_size = 1025; it is at most 1024"},
        {empty, "the table of hooks is empty; add a row"},
    };
    struct gyr_app *app = told_app();
    struct gyr_error error = {.text = ""};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        EXPECT_INT(gyr_app_hooks(app, NULL, rows[i].hooks, &error), GYR_ERR_ARGUMENT,
                   rows[i].error);
        EXPECT_ERROR(error, rows[i].error, "it is named");
    }
    for (unsigned event = 0; event <= GYR_BEFORE_DISCONNECT + 1; event++) {
        bool is_one = event >= GYR_BEFORE_CONNECT && event <= GYR_BEFORE_DISCONNECT;
        EXPECT_INT(gyr_app_hook(app, NULL, (enum gyr_hook_event)event, hook_run, NULL, &error),
                   is_one ? 0 : GYR_ERR_ARGUMENT, "86: an event");
        EXPECT_INT(gyr_app_hook(app, NULL, (enum gyr_hook_event)event, NULL, NULL, &error),
                   GYR_ERR_ARGUMENT, "86: no function");
    }
    static const struct gyr_http_handler one[] = {GYR_GET(request_take), {0}};
    const struct gyr_route route[] = {GYR_ROUTE_HTTP("/", one), {0}};
    EXPECT_INT(gyr_app_routes(app, "/", route), 0, "a route");
    EXPECT_INT(gyr_app_check(app, NULL, 0), 0, "frozen");
    EXPECT_INT(app_plan(app)->routes[0].connect.count, 2, "those that were taken");
    EXPECT_INT(gyr_app_hooks(app, NULL, good, &error), GYR_ERR_STATE, "frozen");
    EXPECT_INT(gyr_app_hook(app, NULL, GYR_AFTER_CONNECT, hook_run, NULL, &error), GYR_ERR_STATE,
               "frozen");
    gyr_app_destroy(app);
}

/* ---- what is printed ------------------------------------------------------------------------- */

static const struct gyr_http_handler get[] = {
    {.name = "get", .at = "p.c:1", .method = GYR_METHOD_GET, .function = (gyr_any_fn)request_take},
    {0},
};
static const struct gyr_mixin products[] = {{&chat}, {&task}, {NULL}};
static const struct gyr_route printed[] = {
    {.path = "/tasks", .at = "p.c:2", .resource = &tasks, .name = "tasks"},
    {.path = "/health", .at = "p.c:3", .methods = get},
    {.path = "/made", .at = "p.c:4", .factory = product_choose, .products = products},
    {.path = "/tasks/1", .at = "p.c:5", .resource = &chat},
    {0},
};

void app_prints_routes_with_chains_names_and_what_is_never_reached(void)
{
    static const char expected[] =
        "/api/tasks  WebSocket  tasks  name tasks  at p.c:2\n"
        "/api/tasks/{id}  WebSocket  tasks > task  name tasks:task  at t.c:9\n"
        "/api/health  GET,HEAD  at p.c:3\n"
        "/api/made  WebSocket  chat or task  at p.c:4\n"
        "/api/tasks/1  WebSocket  chat  at p.c:5  never reached: /api/tasks/{id} takes all that "
        "it would\n";
    struct gyr_app *app = told_app();
    EXPECT_INT(gyr_app_routes(app, "/api", printed), 0, "mounted");
    size_t size = gyr_app_print_routes(app, NULL, 0);
    char *text = malloc(size + 1);
    ASSERT(text != NULL);
    EXPECT_INT(gyr_app_print_routes(app, text, size + 1), size, "all of it");
    EXPECT_INT(strlen(text), size, "all of it");
    EXPECT_SPAN(span_of(text, MIN(size, sizeof(expected) - 1)), expected, "a line each");
    EXPECT(strstr(text, "shapes") != NULL, "then the shapes");
    EXPECT(strstr(text, "\n1 mistakes; gyr_app_check tells them\n") != NULL, "then mistakes");
    for (size_t cut = 1; cut <= size; cut++) {
        char *part = malloc(cut);
        ASSERT(part != NULL);
        EXPECT_INT(gyr_app_print_routes(app, part, cut), size, "whatever fits");
        EXPECT(memcmp(part, text, cut - 1) == 0 && part[cut - 1] == 0, "the front of it");
        free(part);
    }
    free(text);
    gyr_app_destroy(app);
}

/* ---- a server that is not made --------------------------------------------------------------- */

struct lines {
    unsigned count;
    char last[512];
};

static void line_take(void *user, enum gyr_log_level level, struct gyr_span line)
{
    struct lines *lines = user;
    (void)level;
    lines->count++;
    (void)snprintf(lines->last, sizeof(lines->last), "%.*s", (int)line.size, line.ptr);
}

void app_server_is_not_made_of_mistakes(void)
{
    static const struct gyr_route table[] = {
        {.path = "/a", .at = "a.c:1"}, {.path = "b", .at = "a.c:2", .resource = &chat}, {0}};
    struct lines lines = {0};
    const struct gyr_service service = {
        .size = sizeof(service), .user = &lines, .on_log = line_take};
    const struct gyr_app_options options = {.size = sizeof(options), .service = &service};
    const struct gyr_config config = gyr_config_default();
    struct gyr_app *app = NULL;
    struct gyr_server *server = NULL;
    struct gyr_settings *settings = NULL;
    struct gyr_error error = {.text = ""};
    EXPECT_INT(gyr_settings_create(&config, &settings, &error), 0, error.text);
    EXPECT_INT(gyr_app_create(&options, &app, &error), 0, error.text);
    EXPECT_INT(gyr_app_routes(app, "/", table), 0, "kept");
    EXPECT_INT(gyr_app_server(app, settings, &server, &error), GYR_ERR_CONFIG, "refused");
    EXPECT(server == NULL, "nothing is made");
    EXPECT_ERROR(error,
                 "a.c:1: the route \"/a\" leads nowhere; give it a resource, or a factory, or "
                 "methods, or files (the first of 2 mistakes)",
                 "the first, and how many there are");
    EXPECT_INT(lines.count, 2, "the log has all");
    EXPECT(strstr(lines.last, "app.mistake") != NULL && strstr(lines.last, "a.c:2") != NULL,
           "each by itself");
    EXPECT(app_plan(app) == NULL, "there is no plan to serve");
    gyr_app_destroy(app);
    gyr_settings_destroy(settings);
}

void app_server_is_made_again_and_again(void)
{
    const struct gyr_route table[] = {{.path = "/a", .resource = &chat}, {0}};
    const struct gyr_config config = gyr_config_default();
    struct gyr_app *app = told_app();
    struct gyr_server *servers[2];
    struct gyr_settings *settings = NULL;
    struct gyr_error error = {.text = ""};
    EXPECT_INT(gyr_settings_create(&config, &settings, &error), 0, error.text);
    EXPECT_INT(gyr_app_routes(app, "/", table), 0, "mounted");
    for (size_t i = 0; i < COUNT_OF(servers); i++) {
        EXPECT_INT(gyr_app_server(app, settings, &servers[i], &error), 0, error.text);
    }
    for (size_t i = 0; i < COUNT_OF(servers); i++) {
        gyr_server_destroy(servers[i]);
    }
    gyr_app_destroy(app);
    gyr_settings_destroy(settings);
}

/* ---- the ways of old ------------------------------------------------------------------------- */

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

void app_takes_routes_in_the_way_of_old_and_says_so_once(void)
{
    static const struct {
        const char *path;
        const struct gyr_resource *resource;
        int err;
    } rows[] = {
        {"/chat", &chat, 0},
        {"/chat", &chat, GYR_ERR_EXISTS},
        {"/chat/", &chat, GYR_ERR_EXISTS},
        {"", &chat, GYR_ERR_ARGUMENT},
        {NULL, &chat, GYR_ERR_ARGUMENT},
        {"chat", &chat, GYR_ERR_ARGUMENT},
        {"/a chat", &chat, GYR_ERR_ARGUMENT},
        {"/a\tchat", &chat, GYR_ERR_ARGUMENT},
        {"/other\n", &chat, GYR_ERR_ARGUMENT},
        {"/nothing", NULL, GYR_ERR_ARGUMENT},
        {"/{", &chat, GYR_ERR_ARGUMENT},
        {"/tasks", &tasks, 0},
    };
    struct lines lines = {0};
    const struct gyr_service service = {
        .size = sizeof(service), .user = &lines, .on_log = line_take};
    const struct gyr_app_options options = {.size = sizeof(options), .service = &service};
    struct gyr_app *app = NULL;
    struct gyr_error error = {.text = ""};
    EXPECT_INT(gyr_app_create(&options, &app, &error), 0, error.text);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char path[16];
        const char *copy = rows[i].path;
        if (copy != NULL) {
            (void)snprintf(path, sizeof(path), "%s", copy);
            copy = path;
        }
        EXPECT_INT(gyr_app_add_websocket_route(app, copy, rows[i].resource, NULL, &error),
                   rows[i].err, rows[i].path != NULL ? rows[i].path : "no path");
        EXPECT(rows[i].err == 0 || error.text[0] != 0, "it is told");
    }
    EXPECT_INT(lines.count, 1, "26: once");
    EXPECT(strstr(lines.last, "app.deprecated") != NULL, "a notice");
    EXPECT_INT(gyr_app_check(app, NULL, 0), 0, "what was refused has left nothing");
    plan_expect_paths(app_plan(app), "/chat /tasks /tasks/{id}", "those that were taken");
    EXPECT(gyr_app_add_websocket_route(app, "/late", &chat, NULL, &error) == GYR_ERR_STATE,
           "frozen");
    gyr_app_destroy(app);
}

void app_is_installed_once(void)
{
    struct gyr_app *app = NULL;
    struct gyr_error error = {.text = ""};
    EXPECT_INT(gyr_app_install(&app, &error), 0, error.text);
    struct gyr_app *first = app;
    EXPECT(first != NULL, "made");
    EXPECT_INT(gyr_app_install(&app, &error), 0, error.text);
    EXPECT(app == first, "26: the same");
    gyr_app_destroy(app);
}

#pragma GCC diagnostic pop
