/* SPDX-License-Identifier: MIT */
/* Paths from names: of routers, of applications before and after they are frozen, nested ones; and
 * that what is written is found again with the same values. */
#include "router/declare.h"
#include "router/route_table.h"

#include "tests/plan_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>

static const struct gyr_resource item = {GYR_RESOURCE_PLAIN("item")};
static const struct gyr_resource list_base = {
    GYR_RESOURCE_PLAIN("base"),
    .children = GYR_ROUTES(GYR_ROUTE("about/", &item, .name = "about")),
};
static const struct gyr_resource list = {
    GYR_RESOURCE_PLAIN("list"),
    .base = &list_base,
    .children = GYR_ROUTES(GYR_ROUTE("by/{item}", &item, .name = "item")),
};
static const struct gyr_resource room = {
    GYR_RESOURCE_PLAIN("room"),
    .children = GYR_ROUTES(GYR_ROUTE("lists/{list:int}", &list, .name = "list"),
                           GYR_ROUTE("hidden", &list)),
};
static const struct gyr_route rows[] = {
    GYR_ROUTE("/rooms/{room}/", &room, .name = "room"),
    GYR_ROUTE("/plain", &item, .name = "plain"),
    GYR_ROUTE("/nameless/{x}", &room),
    {0},
};

/* A router "api" at "/t/{tenant}", and one without a name at "/". */
struct kit {
    struct gyr_app *app;
    struct gyr_router *api;
};

static void kit_init(struct kit *kit)
{
    static const struct gyr_route root[] = {
        GYR_ROUTE("/start/{page}-{n:uint}", &item, .name = "start"),
        {0},
    };
    struct gyr_error error = {.text = ""};
    kit->app = told_app();
    EXPECT_INT(gyr_router_create("api", &kit->api), 0, "made");
    EXPECT_INT(gyr_router_add_all(kit->api, rows), 0, "added");
    EXPECT_INT(gyr_app_routes(kit->app, "/", root), 0, "mounted");
    EXPECT_INT(gyr_app_mount(kit->app, "/t/{tenant}", kit->api, &error), 0, error.text);
}

static const struct gyr_url_value VALUES[] = {
    {"room", GYR_LITERAL("a/b c%")}, {"tenant", GYR_LITERAL("\xc3\xa9")},
    {"list", GYR_LITERAL("-7")},     {"item", GYR_LITERAL("x")},
    {"page", GYR_LITERAL("p")},      {"n", GYR_LITERAL("12")},
    {"unwanted", GYR_LITERAL("y")},  {NULL, {NULL, 0}},
};

static void expect_app_url(const struct kit *kit, const char *name, const char *expected)
{
    char text[128];
    size_t size = 0;
    struct gyr_error error = {.text = ""};
    EXPECT_INT(gyr_app_url_for(kit->app, name, VALUES, text, sizeof(text), &size, &error), 0,
               error.text);
    EXPECT_INT(size, strlen(expected) + 1, name);
    EXPECT_SPAN(span_of(text, size - 1), expected, name);
    EXPECT_INT(text[size - 1], 0, "ends with a NUL");
}

void url_of_an_application_has_the_prefix_before_and_after_it_is_frozen(void)
{
    struct kit kit;
    kit_init(&kit);
    for (unsigned i = 0; i < 2; i++) {
        expect_app_url(&kit, "api:room", "/t/%C3%A9/rooms/a%2Fb%20c%25/");
        expect_app_url(&kit, "api:plain", "/t/%C3%A9/plain");
        expect_app_url(&kit, "api:room:list", "/t/%C3%A9/rooms/a%2Fb%20c%25/lists/-7");
        expect_app_url(&kit, "api:room:list:item", "/t/%C3%A9/rooms/a%2Fb%20c%25/lists/-7/by/x");
        expect_app_url(&kit, "api:room:list:about", "/t/%C3%A9/rooms/a%2Fb%20c%25/lists/-7/about/");
        expect_app_url(&kit, "start", "/start/p-12");
        EXPECT_INT(gyr_app_check(kit.app, NULL, 0), 0, "frozen");
    }
    gyr_app_destroy(kit.app);
}

void url_of_a_router_is_below_its_prefix(void)
{
    static const struct {
        const char *name;
        const char *expected;
    } cases[] = {
        {"room", "/rooms/a%2Fb%20c%25/"},
        {"plain", "/plain"},
        {"room:list", "/rooms/a%2Fb%20c%25/lists/-7"},
        {"room:list:item", "/rooms/a%2Fb%20c%25/lists/-7/by/x"},
    };
    struct kit kit;
    kit_init(&kit);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[128];
        size_t size = 0;
        struct gyr_error error = {.text = ""};
        EXPECT_INT(
            gyr_router_url_for(kit.api, cases[i].name, VALUES, text, sizeof(text), &size, &error),
            0, error.text);
        EXPECT_SPAN(span_of(text, size - 1), cases[i].expected, cases[i].name);
    }
    gyr_app_destroy(kit.app);
}

void url_names_what_is_unknown(void)
{
    static const char *const names[] = {
        "",          "api",           "api:",           "room",          "api:nothing",
        ":room",     "api:room:",     "api:room:x",     "api:plain:x",   "api:room:list:item:x",
        "api::room", "nothing:start", "start:start",    "api:room:item", "apiroom",
        "api.room",  "ap:room",       "api:room:list:", "api:hidden",    "apix:room",
    };
    struct kit kit;
    kit_init(&kit);
    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT_OF(names); i++) {
            char text[128];
            char expected[256];
            size_t size = 0;
            struct gyr_error error = {.text = ""};
            EXPECT_INT(
                gyr_app_url_for(kit.app, names[i], VALUES, text, sizeof(text), &size, &error),
                GYR_ERR_NOT_FOUND, names[i]);
            (void)snprintf(expected, sizeof(expected),
                           "there is no route with the name \"%s\"; name its router, its route "
                           "and the children, as router:route:child",
                           names[i]);
            EXPECT_SPAN(span_of(error.text, strlen(error.text)), expected, names[i]);
        }
        EXPECT_INT(gyr_app_check(kit.app, NULL, 0), 0, "frozen");
    }
    gyr_app_destroy(kit.app);
}

void url_names_the_value_that_is_missing_or_does_not_fit(void)
{
    static const struct {
        const char *name;
        struct gyr_url_value values[3];
        const char *error;
    } cases[] = {
        {"api:plain",
         {{NULL, {NULL, 0}}},
         "the path of \"api:plain\" wants the parameter \"tenant\"; give it a value"},
        {"api:room",
         {{"tenant", GYR_LITERAL("t")}, {"Room", GYR_LITERAL("r")}, {NULL, {NULL, 0}}},
         "the path of \"api:room\" wants the parameter \"room\"; give it a value"},
        {"start",
         {{"page", GYR_LITERAL("p")}, {"n", GYR_LITERAL("-1")}, {NULL, {NULL, 0}}},
         "the path of \"start\" cannot have \"-1\" as its parameter \"n\"; give it one that its "
         "route matches"},
        {"start",
         {{"page", GYR_LITERAL("")}, {"n", GYR_LITERAL("1")}, {NULL, {NULL, 0}}},
         "the path of \"start\" cannot have \"\" as its parameter \"page\"; give it one that its "
         "route matches"},
    };
    struct kit kit;
    kit_init(&kit);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[128];
        size_t size = 0;
        struct gyr_error error = {.text = ""};
        EXPECT_INT(gyr_app_url_for(kit.app, cases[i].name, cases[i].values, text, sizeof(text),
                                   &size, &error),
                   GYR_ERR_ARGUMENT, cases[i].name);
        EXPECT_SPAN(span_of(error.text, strlen(error.text)), cases[i].error, cases[i].name);
    }
    size_t size = 0;
    EXPECT_INT(gyr_app_url_for(kit.app, "start", NULL, NULL, 0, &size, NULL), GYR_ERR_ARGUMENT,
               "no values at all, and nobody to tell");
    gyr_app_destroy(kit.app);
}

void url_says_what_it_needs_when_it_does_not_fit(void)
{
    struct kit kit;
    kit_init(&kit);
    static const char expected[] = "/start/p-12";
    for (size_t size = 0; size <= sizeof(expected); size++) {
        char text[sizeof(expected) + 1];
        size_t needed = 0;
        memset(text, 'z', sizeof(text));
        EXPECT_INT(gyr_app_url_for(kit.app, "start", VALUES, text, size, &needed, NULL),
                   size < sizeof(expected) ? GYR_ERR_LIMIT : 0, "it fits, with its NUL");
        EXPECT_INT(needed, sizeof(expected), "with its NUL");
        EXPECT_INT(text[size], 'z', "nothing behind");
    }
    gyr_app_destroy(kit.app);
}

void url_leads_to_its_route_with_its_values(void)
{
    static const char *const hostile[] = {"a",    " ",    "/",        "%",   "%2F", "a/b",
                                          "?x=1", "#",    "\xc3\xa9", "a+b", "\"",  "..a",
                                          "{x}",  "\xff", "~",        ";"};
    struct kit kit;
    kit_init(&kit);
    EXPECT_INT(gyr_app_check(kit.app, NULL, 0), 0, "frozen");
    const struct plan *plan = app_plan(kit.app);
    ASSERT(plan != NULL);
    for (size_t i = 0; i < COUNT_OF(hostile); i++) {
        const struct gyr_url_value values[] = {
            {"tenant", {hostile[i], strlen(hostile[i])}},
            {"room",
             {hostile[COUNT_OF(hostile) - 1 - i], strlen(hostile[COUNT_OF(hostile) - 1 - i])}},
            {NULL, {NULL, 0}},
        };
        char text[128];
        size_t size = 0;
        struct gyr_error error = {.text = ""};
        EXPECT_INT(gyr_app_url_for(kit.app, "api:room", values, text, sizeof(text), &size, &error),
                   0, error.text);
        struct route_match match;
        EXPECT_INT(route_find(plan->table, span_of(text, size - 1), ROUTE_WEBSOCKET, &match),
                   ROUTE_FOUND, text);
        for (size_t k = 0; k < 2; k++) {
            uint8_t bytes[64];
            size_t decoded = route_value_decode(match.values[k], bytes);
            EXPECT(span_equal(span_of(bytes, decoded),
                              span_of(values[k].value.ptr, values[k].value.size)),
                   text);
        }
    }
    gyr_app_destroy(kit.app);
}
