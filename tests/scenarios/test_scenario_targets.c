/* SPDX-License-Identifier: MIT */
/* Scenarios 17 to 19 and 22 to 26: what a route leads to, and the way back from it to its path. */
#include "tests/engine_kit.h"
#include "tests/scenario_kit.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>

SCENARIO_TRACED(first);

static const struct gyr_resource room = {GYR_RESOURCE_PLAIN("room"),
                                         .on_connect = scenario_note_params};
static const struct gyr_route below[] = {GYR_ROUTE("items/{y}/", &room, .name = "item"), {0}};
static const struct gyr_resource shop = {GYR_RESOURCE_PLAIN("shop"), .children = below,
                                         .on_connect = scenario_note_params};
static const struct gyr_route bares[] = {GYR_ROUTE("/items/{y}/", &room, .name = "item"), {0}};
static const struct gyr_route routes[] = {GYR_ROUTE("/rooms/{room}/", &room, .name = "room"),
                                          GYR_ROUTE("/shops/{x}", &shop, .name = "shop"),
                                          GYR_ROUTE("/n/{id:int}", &room, .name = "number"),
                                          {0}};

static const struct gyr_url_value values[] = {
    {"room", GYR_LITERAL("42")}, {"x", GYR_LITERAL("1")},    {"y", GYR_LITERAL("2")},
    {"id", GYR_LITERAL("-7")},   {"more", GYR_LITERAL("3")}, {0}};

static void url_is(const struct gyr_router *router, const char *name, const char *url)
{
    struct gyr_error error = {""};
    char text[64] = "";
    size_t needed = 0;
    EXPECT_INT(gyr_router_url_for(router, name, values, text, sizeof(text), &needed, &error), 0,
               error.text);
    expect_text(text, url, name, __FILE__, __LINE__);
    EXPECT_INT(needed, strlen(url) + 1, "with its NUL");
}

void scenario_017_a_url_is_built_from_a_name(void)
{
    static const struct gyr_url_value bad[] = {{"id", GYR_LITERAL("x")}, {0}};
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        char text[64];
        size_t needed = 0;
        struct gyr_router *router = MOUNT(&at, "", "r", routes);
        url_is(router, "room", "/rooms/42/");
        url_is(router, "number", "/n/-7");
        EXPECT_INT(
            gyr_router_url_for(router, "nobody", values, text, sizeof(text), &needed, &at.error),
            GYR_ERR_NOT_FOUND, "a name");
        ERROR(&at, "there is no route with the name \"nobody\"; name its router, its route and the "
                   "children, as router:route:child");
        EXPECT_INT(gyr_router_url_for(router, "room", bad, text, sizeof(text), &needed, &at.error),
                   GYR_ERR_ARGUMENT, "a value that is missing");
        ERROR(&at, "the path of \"room\" wants the parameter \"room\"; give it a value");
        EXPECT_INT(
            gyr_router_url_for(router, "number", bad, text, sizeof(text), &needed, &at.error),
            GYR_ERR_ARGUMENT, "a value that does not fit");
        ERROR(&at, "the path of \"number\" cannot have \"x\" as its parameter \"id\"; give it one "
                   "that its route matches");
        EXPECT_INT(gyr_router_url_for(router, "room", values, text, 10, &needed, &at.error),
                   GYR_ERR_LIMIT, "too small by its NUL");
        EXPECT_INT(needed, sizeof("/rooms/42/"), "what it needs");
        SERVE(&at);
        VISIT(&at, "/rooms/42/");
        ENDED(&at, "room=42");
    }
}

void scenario_018_a_relative_url_has_no_mount_an_absolute_one_has(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        char text[64];
        size_t needed = 0;
        struct gyr_router *router = MOUNT(&at, "/api", "r", routes);
        MOUNT(&at, "/bare", NULL, bares);
        url_is(router, "shop", "/shops/1");
        url_is(router, "shop:item", "/shops/1/items/2/");
        SERVE(&at);
        EXPECT_INT(
            gyr_app_url_for(at.app, "r:shop:item", values, text, sizeof(text), &needed, &at.error),
            0, at.error.text);
        expect_text(text, "/api/shops/1/items/2/", "absolute", __FILE__, __LINE__);
        VISIT(&at, text);
        EXPECT_INT(gyr_app_url_for(at.app, "item", values, text, sizeof(text), &needed, &at.error),
                   0, at.error.text);
        expect_text(text, "/bare/items/2/", "of a router without a name", __FILE__, __LINE__);
        VISIT(&at, text);
        EXPECT_INT(gyr_app_url_for(at.app, "shop", values, text, sizeof(text), &needed, &at.error),
                   GYR_ERR_NOT_FOUND, "it is r:shop");
        ERROR(&at, "there is no route with the name \"shop\"; name its router, its route and the "
                   "children, as router:route:child");
        ENDED(&at, "x=1 y=2 y=2");
    }
}

void scenario_019_a_value_comes_back_from_its_url_as_it_was(void)
{
    static const struct gyr_span hard[] = {
        GYR_LITERAL("a b"), GYR_LITERAL("a/b"),           GYR_LITERAL("100%"),
        GYR_LITERAL("%2F"), GYR_LITERAL("stra\303\237e"), GYR_LITERAL("a?b#c"),
        GYR_LITERAL("+"),   GYR_LITERAL("a;b&c=d"),       GYR_LITERAL("\"<>")};
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        MOUNT(&at, "/api", "r", routes);
        SERVE(&at);
        for (size_t i = 0; i < COUNT_OF(hard); i++) {
            struct gyr_url_value one[] = {{"room", hard[i]}, {0}};
            char text[64];
            char expected[64];
            size_t needed = 0;
            EXPECT_INT(
                gyr_app_url_for(at.app, "r:room", one, text, sizeof(text), &needed, &at.error), 0,
                at.error.text);
            VISIT(&at, text);
            (void)snprintf(expected, sizeof(expected), "room=%s", hard[i].ptr);
            NOTED(&at, expected);
        }
        static const struct gyr_url_value dots[] = {{"room", GYR_LITERAL("..")}, {0}};
        char text[64];
        size_t needed = 0;
        EXPECT_INT(gyr_app_url_for(at.app, "r:room", dots, text, sizeof(text), &needed, &at.error),
                   GYR_ERR_ARGUMENT, "clients take it out of a path, encoded or not");
        ENDED(&at, "");
    }
}

/* ---- targets ---- */

struct plate {
    const char *label;
};
static int plate_connect(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    const struct plate *plate = self;
    (void)request;
    note(conn, "label=%s", plate->label);
    return 0;
}
static const struct gyr_resource plate = {GYR_RESOURCE(plate), .on_connect = plate_connect,
                                          .inputs = GYR_INPUTS(GYR_INPUT(plate, label, char))};

static const struct gyr_route two[] = {
    GYR_ROUTE("/a", &plate, .values = GYR_VALUES(GYR_VALUE("label", char, "one"))),
    GYR_ROUTE("/b", &plate, .values = GYR_VALUES(GYR_VALUE("label", char, "two"))),
    {0}};

void scenario_022_each_route_gives_its_own_values_to_one_type(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", two);
        SERVE(&at);
        struct scenario_client *a = OPEN(&at, "/a");
        struct scenario_client *b = OPEN(&at, "/b");
        LEAVE(a);
        LEAVE(b);
        ENDED(&at, "label=one label=two");
    }
}

static int choose(struct gyr_conn *conn, void *context, const struct gyr_request *request,
                  struct gyr_product *product)
{
    static const struct gyr_value own[] = {GYR_VALUE("label", char, "made"), {0}};
    const char *name = context;
    struct gyr_span want = gyr_param(conn, "x");
    (void)request;
    note(conn, "factory:%s", name);
    if (want.size == 1 && want.ptr[0] == 'r') {
        product->resource = &room;
    } else if (want.size == 1 && want.ptr[0] == 'p') {
        product->resource = &plate;
        product->values = own;
    } else {
        return gyr_refuse(conn, 410, GYR_SPAN("sold out"));
    }
    return 0;
}

static char user[] = "user";
static const struct gyr_route made[] = {
    GYR_ROUTE_MADE("/made/{x}", choose, user, GYR_MIXINS({&room}, {&plate}),
                   .values = GYR_VALUES(GYR_VALUE("label", char, "static"))),
    {0}};

void scenario_023_a_factory_with_user_data_chooses_who_serves(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", made);
        SERVE(&at);
        VISIT(&at, "/made/r");
        VISIT(&at, "/made/p");
        REFUSED(&at, "/made/nothing", 410);
        ENDED(&at, "factory:user x=r factory:user label=made factory:user");
    }
}

void scenario_024_a_route_without_a_target_is_an_error(void)
{
    static const struct gyr_route none = GYR_ROUTE("/none", NULL);
    static const struct gyr_route child[] = {GYR_ROUTE("none", NULL), {0}};
    static const struct gyr_resource parent = {GYR_RESOURCE_PLAIN("parent"), .children = child};
    static const struct gyr_route parents[] = {GYR_ROUTE("/parent", &parent), {0}};
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        struct gyr_router *router = MOUNT(&at, "", "r", routes);
        EXPECT_INT(gyr_router_add(router, &none, &at.error), GYR_ERR_ARGUMENT, "none");
        ERROR(&at, "@: the route \"/none\" leads nowhere; give it a resource, or a factory, or "
                   "methods, or files");
        ROUTES(&at, "/p", parents);
        MISTAKES(&at, "@: the route \"none\" leads nowhere; give it a resource, or a factory, or "
                      "methods, or files");
    }
}

static int create_fails(struct gyr_conn *conn, void *self)
{
    (void)self;
    note(conn, "broken:create");
    return -EIO;
}

/* When all connections have ended: what the core's heap still has. */
static uint64_t heap_at_rest(const struct scenario *at)
{
    struct gyr_stats stats = {.connections = 1};
    for (unsigned i = 0; stats.connections != 0 && i < KIT_PATIENCE_S * 1000U; i++) {
        (void)poll(NULL, 0, 1);
        gyr_server_stats(at->server, UINT32_MAX, &stats, sizeof(stats));
    }
    EXPECT_INT(stats.connections, 0, "all have ended");
    return stats.heap_bytes;
}

void scenario_025_a_constructor_that_fails_refuses_once_and_leaks_nothing(void)
{
    struct broken {
        int unused;
    };
    static const struct gyr_resource broken = {GYR_RESOURCE(broken), .create = create_fails,
                                               .destroy = first_destroy};
    static const struct gyr_route inner[] = {GYR_ROUTE("broken", &broken), {0}};
    static const struct gyr_resource outer = {GYR_RESOURCE(first), SCENARIO_LIFE(first),
                                              .children = inner};
    static const struct gyr_route all[] = {
        GYR_ROUTE("/outer", &outer), GYR_ROUTE("/{x}/{y}", &room), {0}};
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        scenario_cores(&at, 1);
        ROUTES(&at, "", all);
        SERVE(&at);
        REFUSED(&at, "/outer/broken", 500);
        NOTED(&at, "first:create broken:create failed:create:-5 first:destroy");
        EXPECT_INT(scenario_logged(&at, "what=create resource=broken"), 1, "one line");
        uint64_t before = heap_at_rest(&at);
        for (unsigned i = 0; i < 8; i++) {
            REFUSED(&at, "/outer/broken", 500);
            NOTED(&at, "first:create broken:create failed:create:-5 first:destroy");
        }
        EXPECT(heap_at_rest(&at) <= before, "nothing is left of them");
        VISIT(&at, "/outer");
        ENDED(&at, "first:create first:connect first:disconnect:1000 first:destroy");
    }
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

void scenario_026_the_deprecated_registration_still_works(void)
{
    static const struct {
        const char *path;
        const struct gyr_resource *resource;
        int err;
        const char *error;
    } bad[] = {{"", &room, GYR_ERR_ARGUMENT,
                "the path \"\" is empty, does not begin with a slash or has white space; write it "
                "as \"/chat\""},
               {"room", &room, GYR_ERR_ARGUMENT,
                "the path \"room\" is empty, does not begin with a slash or has white space; write "
                "it as \"/chat\""},
               {"/a b", &room, GYR_ERR_ARGUMENT,
                "the path \"/a b\" is empty, does not begin with a slash or has white space; write "
                "it as \"/chat\""},
               {"/a\tb", &room, GYR_ERR_ARGUMENT,
                "the path \"/a?b\" is empty, does not begin with a slash or has white space; "
                "write it as \"/chat\""},
               {"/old/{x}", &room, GYR_ERR_EXISTS,
                "/old/{x}: the path \"/old/{x}\" is there twice for WebSockets, first at /old/{x}; "
                "remove one"},
               {"/none", NULL, GYR_ERR_ARGUMENT,
                "/none: the route \"/none\" leads nowhere; give it a resource, or a factory, or "
                "methods, or files"}};
    static const struct gyr_value label[] = {GYR_VALUE("label", char, "old"), {0}};
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        struct gyr_app *app = scenario_app(&at);
        EXPECT_INT(gyr_app_install(&app, &at.error), 0, at.error.text);
        EXPECT(app == at.app, "what is there stays");
        EXPECT_INT(gyr_app_add_websocket_route(app, "/old/{x}", &room, NULL, &at.error), 0,
                   at.error.text);
        EXPECT_INT(gyr_app_add_websocket_route(app, "/plate", &plate, label, &at.error), 0,
                   at.error.text);
        for (size_t i = 0; i < COUNT_OF(bad); i++) {
            EXPECT_INT(
                gyr_app_add_websocket_route(app, bad[i].path, bad[i].resource, NULL, &at.error),
                bad[i].err, bad[i].path);
            ERROR(&at, bad[i].error);
        }
        EXPECT_INT(gyr_app_install(&app, &at.error), 0, at.error.text);
        EXPECT(app == at.app, "the same object again");
        SERVE(&at);
        EXPECT_INT(scenario_logged(&at, "deprecated"), 1, "told once");
        VISIT(&at, "/old/1");
        VISIT(&at, "/plate");
        ENDED(&at, "x=1 label=old");
    }
    struct gyr_app *own = NULL;
    EXPECT_INT(gyr_app_install(&own, &at.error), 0, at.error.text);
    EXPECT(own != NULL, "one that was not there is made");
    gyr_app_destroy(own);
}

#pragma GCC diagnostic pop
