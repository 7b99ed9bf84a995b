/* SPDX-License-Identifier: MIT */
/* What can be declared wrongly of routes, resources, what they want and their hooks, and the very
 * lines that tell of it; `#line` as in test_app_check.c. */
#include "tests/told_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

/* ---- what the cases are made of -------------------------------------------------------------- */

struct store {
    int unused;
};
struct other {
    int unused;
};
static struct store store;
static struct other other;

struct plain {
    struct store *store;
};
struct large {
    struct plain plain;
    struct store *more;
};

struct say {
    struct gyr_span text;
};
GYR_MESSAGE(say, "say", GYR_MEMBER(say, text));

static int say_take(struct gyr_conn *conn, void *self, const struct say *say)
{
    (void)conn, (void)self, (void)say;
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

static int hook_run(struct gyr_hook_call *call)
{
    (void)call;
    return 0;
}

static const struct gyr_resource good = {GYR_RESOURCE_PLAIN("good")};

/* ---- routes ---------------------------------------------------------------------------------- */

#line 1 "routes.c"
static const struct gyr_route targets[] = {
    GYR_ROUTE("/none", NULL),
    GYR_ROUTE("/two", &good, .files = "files"),
    GYR_ROUTE_MADE("/made", product_choose, NULL, NULL),
    GYR_ROUTE_HTTP("/http", GYR_METHODS()),
    GYR_ROUTE(NULL, &good),
    GYR_ROUTE("/file", &good, .file = "/index.html"),
    GYR_ROUTE_HTTP("/values", GYR_METHODS(GYR_GET(request_take)),
                   .values = GYR_VALUES(GYR_VALUE("store", struct store, &store))),
    GYR_ROUTE("/name", &good, .name = "a:b"),
    GYR_ROUTE("/name", &good, .name = ""),
    GYR_ROUTE("/products", &good, .products = GYR_MIXINS({&good})),
    {0},
};
static const struct gyr_route templates[] = {
    GYR_ROUTE("/rooms/{}", &good),
    GYR_ROUTE("rooms", &good),
    {0},
};
static const struct gyr_route twice[] = {
    GYR_ROUTE("/a", &good, .name = "a"),
    GYR_ROUTE("/a/", &good),
    GYR_ROUTE("/b", &good, .name = "a"),
    GYR_ROUTE_HTTP("/a", GYR_METHODS(GYR_GET(request_take))),
    GYR_ROUTE_HTTP("/a", GYR_METHODS(GYR_POST(request_take), GYR_GET(request_take))),
    {0},
};
static const struct gyr_route hidden[] = {
    GYR_ROUTE("/a/{x}", &good),
    GYR_ROUTE("/a/{y}", &good),
    GYR_ROUTE("/a/b", &good),
    GYR_ROUTE_HTTP("/a/b", GYR_METHODS(GYR_GET(request_take))),
    {0},
};
static const struct gyr_route files[] = {
    GYR_ROUTE_FILES("/files/{name}", "assets"),
    GYR_ROUTE_FILES("/all/{name:path}", "assets", .file = "/index.html"),
    {0},
};
#line 100 "tests/unit/test_app_check_routes.c"

void app_check_tells_routes_that_lead_nowhere_or_everywhere(void)
{
    expect_routes_told(
        targets,
        "routes.c:2: the route \"/none\" leads nowhere; give it a resource, or a factory, or "
        "methods, or files\n"
        "routes.c:3: the route \"/two\" leads to several things; give it a resource, or a factory, "
        "or methods, or files\n"
        "routes.c:4: the factory of the route \"/made\" has no products; list all resources that "
        "it may choose\n"
        "routes.c:5: the methods of the route \"/http\" are an empty table; add a row\n"
        "routes.c:6: the route has no path; give it one\n"
        "routes.c:7: the route \"/file\" has the file \"/index.html\", but no files; use "
        "GYR_ROUTE_FILES\n"
        "routes.c:8: the route \"/values\" has values, but no resource that could want them; "
        "remove them\n"
        "routes.c:10: the route \"/name\" has the name \"a:b\"; a name is not empty, and ':' "
        "stands between names\n"
        "routes.c:11: the route \"/name\" has the name \"\"; a name is not empty, and ':' stands "
        "between names\n"
        "routes.c:12: the route \"/products\" has products, or a `user`, but no factory; use "
        "GYR_ROUTE_MADE\n",
        "each row by itself");
    expect_routes_told(
        templates,
        "routes.c:16: template \"/rooms/{}\", column 8, \"{}\": a parameter has a name, as {room}\n"
        "routes.c:17: template \"rooms\": put a slash in front; \"/\" is the root\n",
        "templates that cannot be parsed");
}

void app_check_tells_paths_and_names_that_are_there_twice(void)
{
    expect_routes_told(
        twice,
        "routes.c:22: the path \"/a/\" is there twice for WebSockets, first at routes.c:21; remove "
        "one\n"
        "routes.c:23: the name \"a\" of the route \"/b\" is that of \"/a\", too, at routes.c:21; "
        "rename one\n"
        "routes.c:25: the path \"/a\" is there twice for GET, first at routes.c:24; remove one\n",
        "in a table");
}

void app_check_tells_routes_that_are_never_reached(void)
{
    expect_routes_told(
        hidden,
        "routes.c:30: the route \"/a/{y}\" is never reached: \"/a/{x}\" at routes.c:29 takes all "
        "that it would; put it before that one, or remove it\n"
        "routes.c:31: the route \"/a/b\" is never reached: \"/a/{x}\" at routes.c:29 takes all "
        "that it would; put it before that one, or remove it\n",
        "WebSockets are, GET is not");
}

void app_check_tells_files_without_a_service_or_a_path(void)
{
    expect_routes_told(
        files,
        "routes.c:36: the route \"/files/{name}\" is of files, but its path does not end with a "
        "{path} parameter; end it with one, as {file:path}, or say .file\n"
        "routes.c:36: the route \"/files/{name}\" wants the service \"assets\" (struct gyr_files), "
        "which nobody has registered; call gyr_app_service before gyr_app_server\n"
        "routes.c:37: the route \"/all/{name:path}\" is of one file, but its path ends with a "
        "{path} parameter; leave one of them out\n"
        "routes.c:37: the route \"/all/{name:path}\" wants the service \"assets\" (struct "
        "gyr_files), which nobody has registered; call gyr_app_service before gyr_app_server\n",
        "neither");
}

/* ---- children -------------------------------------------------------------------------------- */

#line 1 "nested.c"
static const struct gyr_resource children_twice = {
    GYR_RESOURCE_PLAIN("parent"),
    .children = GYR_ROUTES(GYR_ROUTE("/a", &good, .name = "a"), GYR_ROUTE("a/", &good),
                           GYR_ROUTE("b", NULL), GYR_ROUTE("c", &good, .name = "a")),
};
static const struct gyr_resource d4 = {GYR_RESOURCE_PLAIN("d4")};
static const struct gyr_resource d3 = {
    GYR_RESOURCE_PLAIN("d3"),
    .children = GYR_ROUTES(GYR_ROUTE("d4", &d4)),
};
static const struct gyr_resource d2 = {
    GYR_RESOURCE_PLAIN("d2"),
    .children = GYR_ROUTES(GYR_ROUTE("d3", &d3)),
};
static const struct gyr_resource d1 = {
    GYR_RESOURCE_PLAIN("d1"),
    .children = GYR_ROUTES(GYR_ROUTE("d2", &d2)),
};
static const struct gyr_resource below_path = {
    GYR_RESOURCE_PLAIN("parent"),
    .children = GYR_ROUTES(GYR_ROUTE("a", &good)),
};
extern const struct gyr_resource node;
static const struct gyr_route node_children[] = {GYR_ROUTE("{a}", &node), {0}};
const struct gyr_resource node = {GYR_RESOURCE_PLAIN("node"), .children = node_children};
static const struct gyr_route path_above[] = {GYR_ROUTE("/{rest:path}", &below_path), {0}};
#line 200 "tests/unit/test_app_check_routes.c"

void app_check_tells_children_that_are_there_twice(void)
{
    expect_resource_told(&children_twice,
                         "nested.c:3: the path \"a/\" is there twice below the resource "
                         "\"parent\", first at nested.c:3; remove one\n"
                         "nested.c:4: the route \"b\" leads nowhere; give it a resource, or a "
                         "factory, or methods, or files\n"
                         "nested.c:4: the name \"a\" is there twice below the resource \"parent\", "
                         "first at nested.c:3; rename one\n",
                         "below a resource");
}

void app_check_tells_chains_that_are_too_deep_but_not_circles(void)
{
    const struct gyr_route table[] = {{.path = "/d1", .at = "routes.c:1", .resource = &d1}, {0}};
    const struct gyr_app_options options = {.size = sizeof(options), .depth_max = 3};
    struct gyr_app *app = NULL;
    struct gyr_error error = {.text = ""};
    EXPECT_INT(gyr_app_create(&options, &app, &error), 0, error.text);
    EXPECT_INT(gyr_app_routes(app, "/", table), 0, "mounted");
    expect_told(app,
                "nested.c:9: the route \"d4\" is 4 resources deep, below \"/d1\" at routes.c:1; "
                "depth_max is 3\n",
                "four of three");
    expect_resource_told(&d1, "", "four of eight");
    expect_resource_told(&node, "", "as deep as it may be");
    expect_routes_told(path_above,
                       "nested.c:21: template \"/{rest:path}\": nothing can stand below the rest "
                       "of a path; use another type than path\n",
                       "nothing is below the rest of a path");
}

/* ---- resources ------------------------------------------------------------------------------- */

#line 1 "resource.c"
static const struct gyr_resource no_size = {.name = "x", .at = GYR_AT};
static const struct gyr_resource no_name = {GYR_RESOURCE_PLAIN(NULL)};
extern const struct gyr_resource circle_a;
const struct gyr_resource circle_b = {GYR_RESOURCE_PLAIN("b"), .base = &circle_a};
const struct gyr_resource circle_a = {GYR_RESOURCE_PLAIN("a"), .base = &circle_b};
extern const struct gyr_resource circle_mixin;
const struct gyr_resource circle_mixin = {
    GYR_RESOURCE_PLAIN("mixed"),
    .mixins = GYR_MIXINS({&circle_mixin}),
};
static const struct gyr_resource large_base = {GYR_RESOURCE(large)};
static const struct gyr_resource large_mixed = {
    GYR_RESOURCE(plain),
    .mixins = GYR_MIXINS({&large_base}),
};
static const struct gyr_resource small_derived = {GYR_RESOURCE(plain), .base = &large_base};
static const char *const protocols[] = {"chat.v2", "chat v1", "", "chat.v2", NULL};
static const struct gyr_resource subprotocols = {
    GYR_RESOURCE_PLAIN("chat"),
    .subprotocols = protocols,
};
static const struct gyr_resource forms = {
    GYR_RESOURCE_PLAIN("chat"),
    .form = GYR_FORM_ENVELOPE,
    .tag_name = "a\"b",
    .payload_name = "id",
};
static const struct gyr_resource form_same = {
    GYR_RESOURCE_PLAIN("chat"),
    .form = GYR_FORM_ENVELOPE,
    .tag_name = "data",
    .payload_name = "data",
};
static const struct gyr_resource form_none = {
    GYR_RESOURCE_PLAIN("chat"),
    .form = (enum gyr_form)7,
};
static const struct gyr_resource aligned = {
    GYR_RESOURCE_PLAIN("aligned"),
    .instance_size = 64,
    .instance_align = 64,
};
static const struct gyr_resource methods = {
    GYR_RESOURCE_PLAIN("tasks"),
    .methods = GYR_METHODS(
        GYR_GET(request_take), GYR_GET(request_take), GYR_HTTP_MSG(GYR_METHOD_GET, say, say_take),
        GYR_HTTP((enum gyr_method)9, request_take), {.method = GYR_METHOD_PUT, .at = "put.c:1"}),
};
#line 300 "tests/unit/test_app_check_routes.c"

void app_check_tells_resources_that_are_not_well_made(void)
{
    expect_resource_told(
        &no_size, "a resource: its size is 0; begin it with GYR_RESOURCE or GYR_RESOURCE_PLAIN\n",
        "no size");
    expect_resource_told(
        &no_name,
        "resource.c:2: a resource has no name; begin it with GYR_RESOURCE or GYR_RESOURCE_PLAIN\n",
        "no name");
    expect_resource_told(
        &circle_a,
        "resource.c:4: the base of the resource \"b\" leads back to it; cut the circle\n",
        "a circle of bases");
    expect_resource_told(
        &circle_mixin,
        "resource.c:8: the mixins of the resource \"mixed\" lead back to it; cut the circle\n",
        "a circle of mixins");
    expect_resource_told(
        &small_derived,
        "resource.c:16: the structure of the resource \"plain\" (8 bytes) is smaller than that of "
        "its base \"large\" (16 bytes); make the base's structure its first member\n",
        "smaller than its base");
    expect_resource_told(
        &large_mixed,
        "resource.c:13: the structure of the resource \"plain\" (8 bytes) is smaller than that of "
        "its mixin \"large\" (16 bytes), whose handlers get it; begin both alike\n",
        "smaller than its mixin");
    expect_resource_told(&aligned,
                         "resource.c:39: the structure of the resource \"aligned\" is aligned to "
                         "64 bytes; it may be to 16; keep what needs more behind a pointer\n",
                         "aligned to more than allocations are");
    expect_resource_told(
        &subprotocols,
        "resource.c:19: the subprotocol \"chat v1\" of the resource \"chat\" is no token (RFC 9110 "
        "section 5.6.2); use letters, digits and !#$%&'*+-.^_`|~\n"
        "resource.c:19: the subprotocol \"\" of the resource \"chat\" is no token (RFC 9110 "
        "section 5.6.2); use letters, digits and !#$%&'*+-.^_`|~\n"
        "resource.c:19: the resource \"chat\" has the subprotocol \"chat.v2\" twice; remove one\n",
        "no tokens");
    expect_resource_told(&forms,
                         "resource.c:23: the member \"a\"b\" of the messages of \"chat\" is empty, "
                         "or has a quote, a backslash or a control character; choose another name\n"
                         "resource.c:23: the member \"id\" of the messages of \"chat\" is that of "
                         "requests and answers; choose another name\n",
                         "names of members");
    expect_resource_told(&form_same,
                         "resource.c:29: the messages of \"chat\" have \"data\" as the name of "
                         "their tag and of their payload; choose two names\n",
                         "one name for two members");
    expect_resource_told(&form_none,
                         "resource.c:35: the resource \"chat\" has form 7 and failure_policy 0; "
                         "one of them does not exist\n",
                         "no such form");
    expect_resource_told(
        &methods,
        "resource.c:46: \"tasks\" has two handlers of GET, the first at resource.c:46; remove one\n"
        "resource.c:46: the handler \"say_take\" wants content of GET, whose requests have none "
        "(RFC 9110 section 9.3.1); use GYR_HTTP, or POST\n"
        "resource.c:47: the handler \"request_take\" of \"tasks\" is of the method 9, which does "
        "not exist; see enum gyr_method\n"
        "put.c:1: the handler of PUT of \"tasks\" has no function; give it one\n",
        "methods");
}

/* ---- what they want -------------------------------------------------------------------------- */

#line 1 "wants.c"
static const struct gyr_resource wants = {
    GYR_RESOURCE(plain),
    .inputs = GYR_INPUTS(GYR_INPUT(plain, store, struct store)),
};
static const struct gyr_resource wants_perhaps = {
    GYR_RESOURCE(plain),
    .inputs = GYR_INPUTS(GYR_INPUT(plain, store, struct store, .optional = true)),
};
static const struct gyr_resource wants_wrongly = {
    GYR_RESOURCE(plain),
    .inputs = GYR_INPUTS(GYR_INPUT(large, more, struct store, .optional = true),
                         GYR_INPUT(plain, store, struct store, .optional = true),
                         GYR_INPUT(plain, store, struct store, .optional = true)),
};
static const struct gyr_route values[] = {
    GYR_ROUTE("/a", &wants, .values = GYR_VALUES(GYR_VALUE("store", struct other, &other))),
    GYR_ROUTE("/b", &wants,
              .values = GYR_VALUES(GYR_VALUE("store", struct store, &store),
                                   GYR_VALUE("stroe", struct store, &store))),
    GYR_ROUTE_MADE("/c", product_choose, NULL, GYR_MIXINS({&wants}, {&wants_perhaps}),
                   .values = GYR_VALUES(GYR_VALUE("story", struct store, &store))),
    {0},
};
static const struct gyr_resource gives = {
    GYR_RESOURCE_PLAIN("gives"),
    .gifts = GYR_GIFTS(GYR_GIFT("store", struct store), GYR_GIFT("other", struct other)),
    .children = GYR_ROUTES(GYR_ROUTE("a", &wants)),
};
static const struct gyr_resource gives_wrongly = {
    GYR_RESOURCE_PLAIN("gives"),
    .gifts = GYR_GIFTS(GYR_GIFT("store", struct other)),
    .children = GYR_ROUTES(GYR_ROUTE("a", &wants)),
};
static const struct gyr_resource made_parent = {
    GYR_RESOURCE_PLAIN("parent"),
    .children = GYR_ROUTES(GYR_ROUTE("a", &good)),
};
static const struct gyr_route made[] = {
    GYR_ROUTE_MADE("/c", product_choose, NULL, GYR_MIXINS({&made_parent})),
    {0},
};
#line 400 "tests/unit/test_app_check_routes.c"

void app_check_tells_what_is_wanted_and_not_there(void)
{
    expect_resource_told(
        &wants,
        "wants.c:3: the resource \"plain\" wants the service \"store\" (struct store), which "
        "nobody has registered; call gyr_app_service before gyr_app_server\n",
        "no such service");
    expect_resource_told(&wants_perhaps, "", "nothing is wrong");
    expect_resource_told(
        &wants_wrongly,
        "wants.c:11: the input \"more\" is no pointer within the structure of the resource "
        "\"plain\" (8 bytes); use GYR_INPUT with the structure of this resource\n"
        "wants.c:13: the resource \"plain\" has two inputs \"store\", the first at wants.c:12; "
        "remove one\n",
        "no pointer of this structure");
    expect_routes_told(values,
                       "wants.c:3: the resource \"plain\" wants \"store\" as struct store, but the "
                       "value of this name at wants.c:16 is struct other; make the types agree\n"
                       "wants.c:19: the route \"/b\" has the value \"stroe\", which the resource "
                       "\"plain\" does not want; remove it, or add an input of this name\n"
                       "wants.c:21: the route \"/c\" has the value \"story\", which none of its "
                       "products wants; remove it, or add an input of this name\n",
                       "values");
    expect_resource_told(&gives,
                         "wants.c:26: the resource \"gives\" gives \"other\", which nobody below "
                         "it wants; remove it, or add an input of this name\n",
                         "a gift too many");
    expect_resource_told(
        &gives_wrongly,
        "wants.c:3: the resource \"plain\" wants \"store\" as struct store, but the gift of this "
        "name at wants.c:31 is struct other; make the types agree\n",
        "a gift of another type");
    expect_routes_told(made,
                       "wants.c:39: the factory of \"/c\" may choose the resource \"parent\", "
                       "which has children; a product has none, so give them routes of their own\n",
                       "a product has no children");
}

void app_check_compares_the_types_of_services(void)
{
    struct gyr_error error = {.text = ""};
    const struct gyr_route table[] = {GYR_ROUTE("/x", &wants), {0}};
    static const struct gyr_value rows[] = {
        GYR_VALUE("store", struct other, &other),
        GYR_VALUE("store", struct store, &store),
        {.name = "store", .type = "store", .pointer = &store},
        {.name = "store", .type = "const struct store", .pointer = &store},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gyr_app *app = told_app();
        EXPECT_INT(gyr_app_service(app, &rows[i], &error), 0, error.text);
        EXPECT_INT(gyr_app_routes(app, "/", table), 0, "mounted");
        expect_told(app,
                    i == 0 ? "wants.c:3: the resource \"plain\" wants \"store\" as struct store, "
                             "but the service of this name is struct other; make the types "
                             "agree\n"
                           : "",
                    rows[i].type);
    }
}

/* ---- hooks ----------------------------------------------------------------------------------- */

#line 1 "hooks.c"
static const struct gyr_resource hooks = {
    GYR_RESOURCE_PLAIN("chat"),
    .hooks = GYR_HOOKS(GYR_HOOK("nothing", .user = NULL),
                       GYR_HOOK("large", .before_connect = hook_run, .data_size = 1025),
                       GYR_HOOK("well", .before_connect = hook_run, .data_size = 1024)),
};
static const struct gyr_hook many[] = {
    GYR_HOOK("a", .before_receive = hook_run, .data_size = 1024),
    GYR_HOOK("b", .before_receive = hook_run, .data_size = 1024),
    GYR_HOOK("c", .before_receive = hook_run, .data_size = 1024),
    GYR_HOOK("d", .before_receive = hook_run, .data_size = 1024),
    GYR_HOOK("e", .before_receive = hook_run, .data_size = 1024),
    GYR_HOOK("f", .before_receive = hook_run, .data_size = 1024),
    {0},
};
static const struct gyr_resource many_hooks = {GYR_RESOURCE_PLAIN("chat"), .hooks = many};
#line 500 "tests/unit/test_app_check_routes.c"

void app_check_tells_hooks_without_function_and_with_too_much_data(void)
{
    expect_resource_told(
        &hooks,
        "hooks.c:3: the hook \"nothing\" has no function; give it one of the five\n"
        "hooks.c:4: the hook \"large\" has data_size = 1025; it is at most 1024\n",
        "rows");
    struct gyr_error error = {.text = ""};
    const struct gyr_route table[] = {{.path = "/x", .at = "routes.c:1", .resource = &many_hooks},
                                      {0}};
    for (size_t i = 2; i <= 3; i++) {
        struct gyr_app *app = told_app();
        for (size_t k = 0; k < i - 1; k++) {
            EXPECT_INT(gyr_app_hooks(app, NULL, many, &error), 0, error.text);
        }
        EXPECT_INT(gyr_app_routes(app, "/", table), 0, "mounted");
        expect_told(app,
                    i == 2 ? ""
                           : "routes.c:1: the hooks of a route below \"/x\" are 18 with 18432 "
                             "bytes of data; they may be 65535 with 16384; take some away\n",
                    "all of a route");
    }
    /* Of the application alone, without a route, there is nobody to have too much. */
    struct gyr_hook connects[] = {GYR_HOOK("a", .before_connect = hook_run, .data_size = 1024),
                                  {0}};
    struct gyr_app *app = told_app();
    for (size_t k = 0; k < 17; k++) {
        EXPECT_INT(gyr_app_hooks(app, NULL, connects, &error), 0, error.text);
    }
    expect_told(app, "", "no route");
    app = told_app();
    for (size_t k = 0; k < 17; k++) {
        EXPECT_INT(gyr_app_hooks(app, NULL, connects, &error), 0, error.text);
    }
    const struct gyr_route plain[] = {
        {.path = "/y", .at = "routes.c:2", .methods = GYR_METHODS(GYR_GET(request_take))}, {0}};
    EXPECT_INT(gyr_app_routes(app, "/", plain), 0, "mounted");
    expect_told(app,
                "routes.c:2: the hooks of a route below \"/y\" are 17 with 17408 bytes of data; "
                "they may be 65535 with 16384; take some away\n",
                "the application's alone");
}
