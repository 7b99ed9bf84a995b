/* SPDX-License-Identifier: MIT */
/* Scenarios 1 to 16 and 20, 21: which path leads to which resource, and with which parameters. */
#include "tests/scenario_kit.h"

#include <stdio.h>

SCENARIO_TRACED(first);
SCENARIO_TRACED(second);

static const struct gyr_resource room = {GYR_RESOURCE_PLAIN("room"),
                                         .on_connect = scenario_note_params};
static const struct gyr_resource traced_first = {GYR_RESOURCE(first), SCENARIO_LIFE(first)};
static const struct gyr_resource traced_second = {GYR_RESOURCE(second), SCENARIO_LIFE(second)};

static const struct gyr_route rooms[] = {GYR_ROUTE("/rooms/{room}", &room), {0}};

#define FIRST_VISITED  "first:create first:connect first:disconnect:1000 first:destroy"
#define SECOND_VISITED "second:create second:connect second:disconnect:1000 second:destroy"

void scenario_001_a_mounted_router_gives_the_parameter(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        MOUNT(&at, "/api", NULL, rooms);
        SERVE(&at);
        VISIT(&at, "/api/rooms/42");
        ENDED(&at, "room=42");
    }
}

void scenario_002_routes_added_before_and_after_mounting_are_served(void)
{
    static const struct gyr_route before = GYR_ROUTE("/before", &traced_first);
    static const struct gyr_route after = GYR_ROUTE("/after", &traced_second);
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        struct gyr_router *router = NULL;
        EXPECT_INT(gyr_router_create("r", &router), 0, "made");
        EXPECT_INT(gyr_router_add(router, &before, &at.error), 0, at.error.text);
        EXPECT_INT(gyr_app_mount(scenario_app(&at), "/api", router, &at.error), 0, at.error.text);
        EXPECT_INT(gyr_router_add(router, &after, &at.error), 0, at.error.text);
        SERVE(&at);
        VISIT(&at, "/api/before");
        NOTED(&at, FIRST_VISITED);
        VISIT(&at, "/api/after");
        ENDED(&at, SECOND_VISITED);
    }
}

void scenario_003_mounting_again_is_an_error_and_the_first_mount_serves(void)
{
    static const char *const prefixes[] = {"/api", "/other"};
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        struct gyr_router *router = MOUNT(&at, "/api", "r", rooms);
        for (size_t i = 0; i < COUNT_OF(prefixes); i++) {
            EXPECT_INT(gyr_app_mount(at.app, prefixes[i], router, &at.error), GYR_ERR_STATE,
                       prefixes[i]);
            ERROR(&at, "the router \"r\" is mounted already; make another one");
        }
        SERVE(&at);
        REFUSED(&at, "/other/rooms/1", 404);
        VISIT(&at, "/api/rooms/2");
        ENDED(&at, "room=2");
    }
}

void scenario_004_a_prefix_is_root_or_begins_with_a_slash(void)
{
    static const struct {
        const char *prefix;
        const char *path;
    } rows[] = {{"", "/rooms/1"}, {"/", "/rooms/1"}, {"/api/", "/api/rooms/1"}};
    struct scenario at;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        SCENARIO_EACH_RING(&at)
        {
            MOUNT(&at, rows[i].prefix, "r", rooms);
            SERVE(&at);
            VISIT(&at, rows[i].path);
            REFUSED(&at, "/rooms", 404);
            ENDED(&at, "room=1");
        }
    }
    SCENARIO_EACH_RING(&at)
    {
        struct gyr_router *router = NULL;
        EXPECT_INT(gyr_router_create("r", &router), 0, "made");
        EXPECT_INT(gyr_app_mount(scenario_app(&at), "api", router, &at.error), GYR_ERR_ARGUMENT,
                   "no slash");
        ERROR(&at, "the prefix \"api\" does not begin with a slash; write \"/api\"");
        EXPECT_INT(gyr_app_mount(at.app, "/api", router, &at.error), 0, "nothing has changed");
    }
}

void scenario_005_one_trailing_slash_has_no_meaning(void)
{
    static const struct gyr_route routes[] = {
        GYR_ROUTE("/a/{x}/", &room), GYR_ROUTE("/b/{x}", &room), {0}};
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", routes);
        SERVE(&at);
        VISIT(&at, "/a/1");
        VISIT(&at, "/a/2/");
        VISIT(&at, "/b/3");
        VISIT(&at, "/b/4/");
        ENDED(&at, "x=1 x=2 x=3 x=4");
    }
}

void scenario_006_an_empty_segment_is_404_everywhere(void)
{
    static const struct gyr_route below[] = {GYR_ROUTE("child/{y}", &room), {0}};
    static const struct gyr_resource parent = {GYR_RESOURCE(first), SCENARIO_LIFE(first),
                                               .children = below};
    static const struct gyr_route routes[] = {GYR_ROUTE("/rooms/{room}", &room),
                                              GYR_ROUTE("/parent/{x}", &parent),
                                              GYR_ROUTE("/rest/{rest:path}", &room),
                                              {0}};
    static const char *const paths[] = {"/api//",
                                        "//api/rooms/1",
                                        "/api//rooms/1",
                                        "/api/rooms//1",
                                        "/api/rooms/1//",
                                        "/api/parent//child/1",
                                        "/api/parent/1//child/2",
                                        "/api/parent/1/child//2",
                                        "/api/parent/1//",
                                        "/api/parent/1/child/2//",
                                        "/api/rest//a",
                                        "/api/rest/a//b"};
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "/api", routes);
        SERVE(&at);
        for (size_t i = 0; i < COUNT_OF(paths); i++) {
            REFUSED(&at, paths[i], 404);
        }
        ENDED(&at, "");
    }
}

void scenario_007_a_parameter_needs_its_slash_and_a_value(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", rooms);
        SERVE(&at);
        REFUSED(&at, "/rooms42", 404);
        REFUSED(&at, "/rooms", 404);
        REFUSED(&at, "/rooms/", 404);
        VISIT(&at, "/rooms/42");
        ENDED(&at, "room=42");
    }
}

void scenario_008_of_two_that_fit_the_one_registered_first_serves(void)
{
    static const struct gyr_route general[] = {
        GYR_ROUTE("/over/{id}", &traced_first), GYR_ROUTE("/over/static", &traced_second), {0}};
    static const struct gyr_route over_first[] = {
        GYR_ROUTE("/over/{id}", &traced_first), GYR_ROUTE("/{x}/static", &traced_second), {0}};
    static const struct gyr_route static_first[] = {
        GYR_ROUTE("/{x}/static", &traced_second), GYR_ROUTE("/over/{id}", &traced_first), {0}};
    static const struct gyr_route special[] = {
        GYR_ROUTE("/over/static", &traced_second), GYR_ROUTE("/over/{id}", &traced_first), {0}};
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", over_first);
        SERVE(&at);
        VISIT(&at, "/over/static");
        ENDED(&at, FIRST_VISITED);
    }
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", static_first);
        SERVE(&at);
        VISIT(&at, "/over/static");
        ENDED(&at, SECOND_VISITED);
    }
    SCENARIO_EACH_RING(&at)
    {
        /* Behind one that takes all it would, it would never serve, and check says so. */
        ROUTES(&at, "", general);
        MISTAKES(&at, "@: the route \"/over/static\" is never reached: \"/over/{id}\" at @ takes "
                      "all that it would; put it before that one, or remove it");
    }
    SCENARIO_EACH_RING(&at)
    {
        at.options.allow_unreachable = true;
        ROUTES(&at, "", general);
        SERVE(&at);
        VISIT(&at, "/over/static");
        ENDED(&at, FIRST_VISITED);
    }
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", special);
        SERVE(&at);
        VISIT(&at, "/over/static");
        NOTED(&at, SECOND_VISITED);
        VISIT(&at, "/over/other");
        ENDED(&at, FIRST_VISITED);
    }
}

void scenario_009_only_the_resource_that_serves_is_constructed(void)
{
    static const struct gyr_route routes[] = {
        GYR_ROUTE("/rooms", &traced_first), GYR_ROUTE("/rooms/{id}", &traced_second), {0}};
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", routes);
        SERVE(&at);
        VISIT(&at, "/rooms/1");
        ENDED(&at, SECOND_VISITED);
    }
}

void scenario_010_an_unknown_path_is_404_and_constructs_nothing(void)
{
    static const struct gyr_route routes[] = {
        GYR_ROUTE("/", &traced_first), GYR_ROUTE("/rooms/{id}", &traced_second), {0}};
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "/api", routes);
        SERVE(&at);
        REFUSED(&at, "/api/unknown", 404);
        REFUSED(&at, "/api/rooms/1/2", 404);
        ENDED(&at, "");
    }
}

void scenario_011_only_paths_below_a_mount_reach_its_router(void)
{
    static const struct gyr_route routes[] = {
        GYR_ROUTE("/", &room), GYR_ROUTE("/{x}", &room), GYR_ROUTE("/{x}/deep/{y}", &room), {0}};
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "/api", routes);
        SERVE(&at);
        REFUSED(&at, "/", 404);
        REFUSED(&at, "/apix/1", 404);
        REFUSED(&at, "/API/1", 404);
        REFUSED(&at, "/other/1", 404);
        VISIT(&at, "/api");
        VISIT(&at, "/api/1");
        VISIT(&at, "/api/2/deep/3");
        ENDED(&at, "x=1 x=2 y=3");
    }
}

void scenario_012_a_path_or_name_in_use_is_refused_and_nothing_changes(void)
{
    static const struct gyr_route first_route = GYR_ROUTE("/a", &traced_first, .name = "name");
    static const struct gyr_route bad[] = {GYR_ROUTE("/a", &traced_second),
                                           GYR_ROUTE("/a/", &traced_second),
                                           GYR_ROUTE("/c", &traced_second, .name = "name")};
    static const char *const errors[] = {
        "@: the path \"/a\" is there twice for WebSockets, first at @; remove one",
        "@: the path \"/a/\" is there twice for WebSockets, first at @; remove one",
        "@: the name \"name\" of the route \"/c\" is that of \"/a\", too, at @; rename one"};
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        struct gyr_router *router = NULL;
        EXPECT_INT(gyr_router_create("r", &router), 0, "made");
        EXPECT_INT(gyr_router_add(router, &first_route, &at.error), 0, at.error.text);
        for (unsigned round = 0; round < 2; round++) {
            for (size_t i = 0; i < COUNT_OF(bad); i++) {
                EXPECT_INT(gyr_router_add(router, &bad[i], &at.error), GYR_ERR_EXISTS, errors[i]);
                ERROR(&at, errors[i]);
            }
            if (round == 0) {
                EXPECT_INT(gyr_app_mount(scenario_app(&at), "", router, &at.error), 0, "mounted");
            }
        }
        SERVE(&at);
        REFUSED(&at, "/c", 404);
        VISIT(&at, "/a");
        ENDED(&at, FIRST_VISITED);
    }
}

void scenario_013_a_route_behind_one_that_takes_all_it_would_is_reported(void)
{
    static const struct gyr_route routes[] = {
        GYR_ROUTE("/a/{x}", &traced_first), GYR_ROUTE("/a/{y}", &traced_second), {0}};
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", routes);
        MISTAKES(&at, "@: the route \"/a/{y}\" is never reached: \"/a/{x}\" at @ takes all that it "
                      "would; put it before that one, or remove it");
    }
}

void scenario_014_a_bad_template_is_an_error_that_names_it(void)
{
    static const struct {
        struct gyr_route route;
        const char *error;
    } rows[] = {
        {GYR_ROUTE("/rooms/{}", &room),
         "@: template \"/rooms/{}\", column 8, \"{}\": a parameter has a name, as {room}"},
        {GYR_ROUTE("/rooms/{2x}", &room),
         "@: template \"/rooms/{2x}\", column 8, \"{2x}\": a name is made of letters, digits and "
         "\"_\", and does not begin with a digit"},
        {GYR_ROUTE("/rooms/{a-b}", &room),
         "@: template \"/rooms/{a-b}\", column 8, \"{a-b}\": a name is made of letters, digits and "
         "\"_\", and does not begin with a digit"},
        {GYR_ROUTE("/{x}/{x}", &room),
         "@: template \"/{x}/{x}\", column 6, \"{x}\": this name comes twice; rename one of them"},
        {GYR_ROUTE("/rooms/{x", &room),
         "@: template \"/rooms/{x\", column 8, \"{x\": the brace is not closed; put \"}\" behind "
         "the name, or write \"{{\" for a brace"},
        {GYR_ROUTE("/rooms/x}", &room),
         "@: template \"/rooms/x}\", column 9, \"}\": this brace closes nothing; leave it out, or "
         "write \"}}\" for a brace"},
        {GYR_ROUTE("/rooms/{x:date}", &room),
         "@: template \"/rooms/{x:date}\", column 8, \"{x:date}\": unknown type; there are int, "
         "uint, uuid and path, and text without a colon"},
        {GYR_ROUTE("/{x:path}/y", &room), "@: template \"/{x:path}/y\", column 2, \"{x:path}\": a "
                                          "path is a last segment by itself; move it to the end"},
        {GYR_ROUTE("/a//b", &room), "@: template \"/a//b\", column 3, \"//\": an empty segment is "
                                    "matched by nothing; leave one slash out"},
        {GYR_ROUTE("rooms", &room),
         "@: template \"rooms\": put a slash in front; \"/\" is the root"},
    };
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        struct gyr_router *router = MOUNT(&at, "", "r", rooms);
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            EXPECT_INT(gyr_router_add(router, &rows[i].route, &at.error), GYR_ERR_ARGUMENT,
                       rows[i].route.path);
            ERROR(&at, rows[i].error);
        }
        SERVE(&at);
        VISIT(&at, "/rooms/1");
        ENDED(&at, "room=1");
    }
}

void scenario_015_literal_text_is_compared_as_it_is(void)
{
    static const struct gyr_route routes[] = {
        GYR_ROUTE("/a.b", &traced_first), GYR_ROUTE("/(a|b)*", &traced_second), {0}};
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", routes);
        SERVE(&at);
        REFUSED(&at, "/axb", 404);
        REFUSED(&at, "/a", 404);
        REFUSED(&at, "/A.B", 404);
        VISIT(&at, "/a.b");
        NOTED(&at, FIRST_VISITED);
        VISIT(&at, "/(a%7Cb)*");
        ENDED(&at, SECOND_VISITED);
    }
}

static int typed_connect(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    int64_t id = 0;
    uint64_t natural = 0;
    (void)self;
    (void)request;
    if (gyr_param_int(conn, "id", &id) == 0) {
        note(conn, "id=%lld", (long long)id);
    }
    if (gyr_param_uint(conn, "n", &natural) == 0) {
        note(conn, "n=%llu", (unsigned long long)natural);
    }
    if (gyr_param(conn, "u").ptr != NULL) {
        note(conn, "u=%.*s", (int)gyr_param(conn, "u").size, gyr_param(conn, "u").ptr);
    }
    return 0;
}

void scenario_016_a_typed_parameter_takes_only_such_values(void)
{
    static const struct gyr_resource typed = {GYR_RESOURCE_PLAIN("typed"),
                                              .on_connect = typed_connect};
    static const struct gyr_route routes[] = {GYR_ROUTE("/i/{id:int}", &typed),
                                              GYR_ROUTE("/n/{n:uint}", &typed),
                                              GYR_ROUTE("/u/{u:uuid}", &typed),
                                              {0}};
    static const char *const bad[] = {"/i/x",
                                      "/i/4x",
                                      "/i/-",
                                      "/i/9223372036854775808",
                                      "/i/+1",
                                      "/i/1.0",
                                      "/n/-1",
                                      "/n/18446744073709551616",
                                      "/n/x",
                                      "/u/1",
                                      "/u/123e4567-e89b-12d3-a456-42661417400x"};
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", routes);
        SERVE(&at);
        for (size_t i = 0; i < COUNT_OF(bad); i++) {
            REFUSED(&at, bad[i], 404);
        }
        VISIT(&at, "/i/42");
        VISIT(&at, "/i/-9223372036854775808");
        VISIT(&at, "/n/18446744073709551615");
        VISIT(&at, "/u/123e4567-e89b-12d3-a456-426614174000");
        ENDED(&at, "id=42 id=-9223372036854775808 n=18446744073709551615 "
                   "u=123e4567-e89b-12d3-a456-426614174000");
    }
}

void scenario_020_an_encoded_slash_stays_in_its_segment(void)
{
    static const char *const bad[] = {"/rooms/%zz", "/rooms/%00", "/rooms/a%0", "/rooms/%",
                                      "/rooms/x/%zz"};
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", rooms);
        SERVE(&at);
        for (size_t i = 0; i < COUNT_OF(bad); i++) {
            REFUSED(&at, bad[i], 400);
        }
        VISIT(&at, "/rooms/a%2Fb");
        VISIT(&at, "/r%6Foms/%41");
        ENDED(&at, "room=a/b room=A");
    }
}

static int query_connect(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    char value[16];
    size_t size = 0;
    (void)self;
    struct gyr_span query = gyr_request_query(request);
    note(conn, "room=%.*s query=%.*s", (int)gyr_param(conn, "room").size,
         gyr_param(conn, "room").ptr, (int)query.size, query.ptr);
    int err = gyr_query_param(request, "b", value, sizeof(value), &size);
    note(conn, "b=%d:%.*s", err, (int)size, value);
    return 0;
}

void scenario_021_the_query_plays_no_part_and_is_readable(void)
{
    static const struct gyr_resource asked = {GYR_RESOURCE_PLAIN("asked"),
                                              .on_connect = query_connect};
    static const struct gyr_route routes[] = {GYR_ROUTE("/rooms/{room}", &asked), {0}};
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", routes);
        SERVE(&at);
        REFUSED(&at, "/rooms?room=1", 404);
        VISIT(&at, "/rooms/1?a=/2//&b=x%20y+z");
        ENDED(&at, "room=1 query=a=/2//&b=x%20y+z b=0:x y z");
    }
}
