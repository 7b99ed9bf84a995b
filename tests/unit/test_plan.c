/* SPDX-License-Identifier: MIT */
/* From tables to a plan: which handler a type has for a tag, which routes there are and in which
 * order, where inputs come from, which hooks lie round what, how a visit is laid out. */
#include "router/plan.h"

#include "tests/plan_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>
#include <stdlib.h>

#define MANY_ROUTES 100000U

struct say {
    struct gyr_span text;
};
struct bye {
    struct gyr_span text;
};
GYR_MESSAGE(say, "say", GYR_MEMBER(say, text));
GYR_MESSAGE(bye, "bye", GYR_MEMBER(bye, text));

#define SAY(name)                                                             \
    static int name(struct gyr_conn *conn, void *self, const struct say *say) \
    {                                                                         \
        (void)conn, (void)self, (void)say;                                    \
        return 0;                                                             \
    }
#define RAW(name)                                                               \
    static int name(struct gyr_conn *conn, void *self, struct gyr_span payload) \
    {                                                                           \
        (void)conn, (void)self, (void)payload;                                  \
        return 0;                                                               \
    }
#define HTTP(name)                                                                        \
    static int name(struct gyr_conn *conn, void *self, const struct gyr_request *request) \
    {                                                                                     \
        (void)conn, (void)self, (void)request;                                            \
        return 0;                                                                         \
    }
SAY(say_old)
SAY(say_middle)
SAY(say_new)
SAY(on_say)
RAW(raw_old)
RAW(raw_new)
RAW(raw_mixed)
HTTP(http_old)
HTTP(http_new)
HTTP(http_connect)

static int product_choose(struct gyr_conn *conn, void *user, const struct gyr_request *request,
                          struct gyr_product *product)
{
    (void)conn, (void)user, (void)request, (void)product;
    return 0;
}

/* The type of the innermost resource of the only route. */
static const struct plan_type *kit_type(const struct plan_kit *kit)
{
    const struct plan_route *route = &kit->plan->routes[0];
    return route->levels[route->level_count - 1].type;
}

/* What is looked for is read in words: a copy with room behind it. */
static uint32_t find(const struct perfect_hash *hash, const char *name)
{
    uint8_t bytes[128] = {0};
    memcpy(bytes, name, strlen(name));
    return hash != NULL ? perfect_hash_find(hash, span_of(bytes, strlen(name))) : PERFECT_HASH_NONE;
}

static const struct plan_handler *handler_of(const struct plan_type *type, const char *tag)
{
    uint32_t index = find(type->tags, tag);
    return index != PERFECT_HASH_NONE ? &type->handlers[index] : NULL;
}

static const char *handler_name(const struct plan_type *type, const char *tag)
{
    const struct plan_handler *handler = handler_of(type, tag);
    return handler != NULL ? handler->name : "";
}

/* ---- handlers -------------------------------------------------------------------------------- */

static const struct gyr_resource grand = {
    GYR_RESOURCE_PLAIN("grand"),
    .handlers = GYR_HANDLERS(GYR_ON(say, say_old, .lenient = true, .payload_optional = true),
                             GYR_ON_RAW("raw", raw_old), GYR_ON_BINARY(300, raw_old),
                             GYR_ON_BINARY(7, raw_old), GYR_ON_NAMED(say, on_say)),
    .binary_tag_size = 2,
};
static const struct gyr_resource middle = {
    GYR_RESOURCE_PLAIN("middle"),
    .base = &grand,
    .handlers = GYR_HANDLERS(GYR_OVERRIDE(say, say_old, say_middle), GYR_ON_RAW("raw", raw_new)),
};
static const struct gyr_resource leaf = {
    GYR_RESOURCE_PLAIN("leaf"),
    .base = &middle,
    .handlers = GYR_HANDLERS(GYR_ON_RAW("leaf", raw_new), GYR_ON_BINARY(8, raw_new)),
};
static const struct gyr_resource leaf_again = {
    GYR_RESOURCE_PLAIN("leaf"),
    .base = &middle,
    .handlers = GYR_HANDLERS(GYR_OVERRIDE(say, say_old, say_new)),
};
static const struct gyr_resource leaf_strict = {
    GYR_RESOURCE_PLAIN("leaf"),
    .base = &grand,
    .handlers = GYR_HANDLERS(GYR_ON(say, say_new)),
};

void plan_type_has_what_its_bases_have(void)
{
    struct plan_kit kit;
    plan_kit_resource(&kit, &grand);
    const struct plan_type *type = kit_type(&kit);
    plan_expect_text(handler_name(type, "say"), "say_old", "its own");
    EXPECT(type->has_json, "it takes JSON");
    EXPECT_INT(type->binary_count, 2, "numbers");
    EXPECT_INT(type->binary_numbers[0], 7, "sorted");
    EXPECT_INT(type->binary_numbers[1], 300, "sorted");
    EXPECT(handler_of(type, "leaf") == NULL, "nothing of those that derive from it");
    plan_kit_end(&kit);

    plan_kit_resource(&kit, &leaf);
    type = kit_type(&kit);
    plan_expect_text(handler_name(type, "say"), "say_middle",
                     "72: the parent's, not the grandparent's");
    EXPECT(handler_of(type, "say")->lenient && handler_of(type, "say")->payload_optional,
           "71: with the strictness of what it overrides");
    EXPECT_INT(handler_of(type, "say")->value_size, sizeof(struct say), "the structure");
    plan_expect_text(handler_name(type, "raw"), "raw_new", "replaced by its tag");
    plan_expect_text(handler_name(type, "leaf"), "raw_new", "its own");
    EXPECT_INT(type->binary_count, 3, "7, 8, 300");
    EXPECT_INT(type->binary_numbers[1], 8, "sorted");
    plan_expect_text(type->binary[1].name, "raw_new", "with its handler");
    EXPECT_INT(type->binary_tag_size, 2, "inherited");
    EXPECT(find(type->names, "say") == 0, "by convention");
    plan_kit_end(&kit);
}

void plan_type_overrides_what_was_overridden(void)
{
    struct plan_kit kit;
    plan_kit_resource(&kit, &leaf_again);
    plan_expect_text(handler_name(kit_type(&kit), "say"), "say_new", "by the first name");
    EXPECT(handler_of(kit_type(&kit), "say")->lenient, "and still lenient");
    plan_kit_end(&kit);
    plan_kit_resource(&kit, &leaf_strict);
    plan_expect_text(handler_name(kit_type(&kit), "say"), "say_new", "by the tag");
    EXPECT(!handler_of(kit_type(&kit), "say")->lenient, "on its own terms");
    plan_kit_end(&kit);
}

static const struct gyr_resource several = {
    GYR_RESOURCE_PLAIN("several"),
    .handlers = GYR_HANDLERS(GYR_ON(say, on_say), GYR_ON_NAMED(say, on_say)),
};
static const struct gyr_resource several_new = {
    GYR_RESOURCE_PLAIN("derived"),
    .base = &several,
    .handlers = GYR_HANDLERS(GYR_OVERRIDE(say, on_say, say_new)),
};

void plan_type_overrides_a_function_wherever_it_stands(void)
{
    struct plan_kit kit;
    plan_kit_resource(&kit, &several_new);
    plan_expect_text(handler_name(kit_type(&kit), "say"), "say_new", "of its tag");
    plan_expect_text(kit_type(&kit)->named[0].name, "say_new", "by convention");
    plan_kit_end(&kit);
}

static const struct gyr_resource mixed = {
    GYR_RESOURCE_PLAIN("mixed"),
    .handlers = GYR_HANDLERS(GYR_ON_RAW("raw", raw_mixed), GYR_ON_RAW("mixed", raw_mixed)),
};
static const struct gyr_resource mixed_more = {
    GYR_RESOURCE_PLAIN("more"),
    .handlers = GYR_HANDLERS(GYR_ON_RAW("mixed", raw_old), GYR_ON_RAW("more", raw_old)),
};
static const struct gyr_resource mixes = {
    GYR_RESOURCE_PLAIN("mixes"),
    .base = &middle,
    .mixins = GYR_MIXINS({&mixed}, {&mixed_more}),
};
static const struct gyr_resource mixes_only = {
    GYR_RESOURCE_PLAIN("mixes"),
    .mixins = GYR_MIXINS({&mixed}),
};

void plan_type_prefers_its_base_to_mixins_and_the_first_of_them(void)
{
    struct plan_kit kit;
    plan_kit_resource(&kit, &mixes);
    plan_expect_text(handler_name(kit_type(&kit), "raw"), "raw_new", "the base's");
    plan_expect_text(handler_name(kit_type(&kit), "mixed"), "raw_mixed", "the first mixin's");
    plan_expect_text(handler_name(kit_type(&kit), "more"), "raw_old", "the second's");
    plan_kit_end(&kit);
    plan_kit_resource(&kit, &mixes_only);
    plan_expect_text(handler_name(kit_type(&kit), "raw"), "raw_mixed", "without a base");
    EXPECT_INT(kit.plan->routes[0].methods, ROUTE_WEBSOCKET, "it takes WebSockets");
    plan_kit_end(&kit);
}

static const struct gyr_resource settings_base = {
    GYR_RESOURCE_PLAIN("base"),
    .on_connect = http_connect,
    .form = GYR_FORM_ENVELOPE,
    .tag_name = "op",
    .payload_name = "d",
    .failure_policy = GYR_FAILURE_KEEP,
    .methods = GYR_METHODS(GYR_GET(http_old), GYR_POST(http_old)),
};
static const struct gyr_resource settings_derived = {
    GYR_RESOURCE_PLAIN("derived"),
    .base = &settings_base,
    .tag_name = "kind",
    .methods = GYR_METHODS(GYR_POST(http_new), GYR_PUT(http_new)),
};
static const struct gyr_resource settings_flat = {
    GYR_RESOURCE_PLAIN("flat"),
    .base = &settings_base,
    .form = GYR_FORM_FLAT,
    .failure_policy = GYR_FAILURE_CLOSE,
};

#define FUNCTIONS(X) \
    X(create)        \
    X(destroy)       \
    X(guard)         \
    X(give)          \
    X(on_connect)    \
    X(on_disconnect) \
    X(on_unhandled)  \
    X(on_text)       \
    X(on_binary)     \
    X(on_body)       \
    X(on_drain)      \
    X(on_timer)      \
    X(on_mail)       \
    X(on_recovered)

static void any_first(void)
{
}

static void any_second(void)
{
}

void plan_type_has_each_function_of_its_base_or_its_own(void)
{
    static const char *const names[] = {"chat.2", "chat.1", NULL};
    struct gyr_resource base = {GYR_RESOURCE_PLAIN("base"), .subprotocols = names};
    struct gyr_resource own = {GYR_RESOURCE_PLAIN("own"), .base = &base};
    const struct gyr_resource none = {GYR_RESOURCE_PLAIN("none"), .base = &base};
    struct plan_kit kit;
#define SET(name)                                 \
    base.name = (__typeof__(base.name))any_first; \
    own.name = (__typeof__(base.name))any_second;
    FUNCTIONS(SET)
#undef SET
    plan_kit_resource(&kit, &none);
    const struct gyr_resource *merged = &kit_type(&kit)->merged;
#define IS_FIRST(name) EXPECT((gyr_any_fn)merged->name == any_first, #name);
    FUNCTIONS(IS_FIRST)
#undef IS_FIRST
    EXPECT(merged->subprotocols == names, "subprotocols");
    plan_kit_end(&kit);
    plan_kit_resource(&kit, &own);
    merged = &kit_type(&kit)->merged;
#define IS_SECOND(name) EXPECT((gyr_any_fn)merged->name == any_second, #name);
    FUNCTIONS(IS_SECOND)
#undef IS_SECOND
    plan_kit_end(&kit);
}

void plan_type_has_the_settings_of_its_base(void)
{
    struct plan_kit kit;
    plan_kit_resource(&kit, &settings_derived);
    const struct plan_type *type = kit_type(&kit);
    const struct plan_route *route = &kit.plan->routes[0];
    EXPECT(type->merged.on_connect == http_connect, "a function");
    EXPECT_SPAN(type->form.tag_name, "kind", "its own");
    EXPECT_SPAN(type->form.payload_name, "d", "the base's");
    EXPECT_INT(type->failure_policy, GYR_FAILURE_KEEP, "the base's");
    plan_expect_text(route->method[GYR_METHOD_GET].name, "http_old", "the base's");
    plan_expect_text(route->method[GYR_METHOD_POST].name, "http_new", "replaced");
    plan_expect_text(route->method[GYR_METHOD_PUT].name, "http_new", "its own");
    plan_kit_end(&kit);
    plan_kit_resource(&kit, &settings_flat);
    EXPECT_INT(kit_type(&kit)->form.payload_name.size, 0, "flat");
    EXPECT_INT(kit_type(&kit)->failure_policy, GYR_FAILURE_CLOSE, "its own");
    plan_kit_end(&kit);
}

/* ---- routes ---------------------------------------------------------------------------------- */

static const struct gyr_resource tail = {GYR_RESOURCE_PLAIN("tail")};
static const struct gyr_resource trunk = {
    GYR_RESOURCE_PLAIN("trunk"),
    .children =
        GYR_ROUTES(GYR_ROUTE("{id}", &tail, .name = "one"), GYR_ROUTE("/special/deep/", &tail),
                   GYR_ROUTE_HTTP("health", GYR_METHODS(GYR_GET(http_old)), .name = "health")),
};
static const struct gyr_resource trunk_derived = {
    GYR_RESOURCE_PLAIN("derived"),
    .base = &trunk,
    .children = GYR_ROUTES(GYR_ROUTE("own", &tail), GYR_ROUTE("/{id}/", &leaf)),
};
static const struct gyr_route tree[] = {
    GYR_ROUTE("/trunk/{x}", &trunk, .name = "trunk"),
    GYR_ROUTE("/last/", &tail),
    {0},
};
extern const struct gyr_resource plan_node;
static const struct gyr_route node_children[] = {GYR_ROUTE("{a}", &plan_node), {0}};
const struct gyr_resource plan_node = {GYR_RESOURCE_PLAIN("node"), .children = node_children};

void plan_routes_are_flat_and_in_order(void)
{
    struct plan_kit kit;
    plan_kit_routes(&kit, tree);
    plan_expect_paths(
        kit.plan, "/trunk/{x} /trunk/{x}/{id} /trunk/{x}/special/deep/ /trunk/{x}/health /last/",
        "depth first");
    const struct plan_route *route = &kit.plan->routes[1];
    EXPECT_INT(route->level_count, 2, "a chain");
    plan_expect_text(route->levels[0].type->merged.name, "trunk", "the outermost first");
    plan_expect_text(route->levels[1].type->merged.name, "tail", "the innermost last");
    plan_expect_text(route->full_name, "trunk:one", "a name");
    EXPECT_INT(route->param_count, 2, "parameters");
    plan_expect_text(route->param_names[0], "x", "of the outer one");
    plan_expect_text(route->param_names[1], "id", "of the inner one");
    route = &kit.plan->routes[3];
    EXPECT(route->is_plain && route->level_count == 1, "methods below a resource");
    EXPECT_INT(route->methods, 1U << GYR_METHOD_GET | 1U << GYR_METHOD_HEAD, "GET and HEAD");
    plan_expect_text(route->full_name, "trunk:health", "a name");
    EXPECT(kit.plan->routes[2].full_name == NULL, "no name");
    plan_kit_end(&kit);
}

void plan_routes_inherit_children(void)
{
    struct plan_kit kit;
    const struct gyr_route table[] = {{.path = "/d", .resource = &trunk_derived}, {0}};
    plan_kit_routes(&kit, table);
    plan_expect_paths(kit.plan, "/d /d/own /d/{id}/ /d/special/deep/ /d/health",
                      "its own first, and instead of those of the same path");
    plan_kit_end(&kit);
}

extern const struct gyr_resource long_node;
static const struct gyr_route long_children[] = {GYR_ROUTE("a/b/c/d/e/f/{g}", &long_node), {0}};
const struct gyr_resource long_node = {GYR_RESOURCE_PLAIN("long"), .children = long_children};

void plan_routes_end_where_chains_are_as_deep_as_they_may_be(void)
{
    struct plan_kit kit;
    plan_kit_resource(&kit, &plan_node);
    EXPECT_INT(kit.plan->route_count, 8, "a resource below itself");
    EXPECT_INT(kit.plan->routes[7].level_count, 8, "the deepest");
    plan_kit_end(&kit);
    plan_kit_resource(&kit, &long_node);
    EXPECT_INT(kit.plan->route_count, 5, "1 + 4 * 7 segments, of 32");
    plan_kit_end(&kit);
}

void plan_routes_of_routers_have_prefixes_and_names(void)
{
    struct plan_kit kit;
    struct gyr_error error = {.text = ""};
    struct gyr_router *api;
    static const struct gyr_route root[] = {GYR_ROUTE("/{a}", &plan_node), {0}};
    plan_kit_init(&kit);
    EXPECT_INT(gyr_router_create("api", &api), 0, "made");
    EXPECT_INT(gyr_app_mount(kit.app, "/t/{tenant}/", api, &error), 0, error.text);
    EXPECT_INT(gyr_router_add_all(api, tree), 0, "2: after mounting");
    EXPECT_INT(gyr_app_routes(kit.app, "", root), 0, "the root");
    plan_kit_freeze(&kit);
    EXPECT_INT(kit.plan->route_count, 5 + 8, "of both");
    EXPECT_SPAN(template_text(kit.plan->routes[1].template), "/t/{tenant}/trunk/{x}/{id}", "path");
    plan_expect_text(kit.plan->routes[1].full_name, "api:trunk:one", "name");
    EXPECT_SPAN(template_text(kit.plan->routes[5].template), "/{a}", "of the other router");
    plan_kit_end(&kit);
}

static const struct gyr_resource only_methods = {
    GYR_RESOURCE_PLAIN("only"),
    .methods = GYR_METHODS(GYR_GET(http_old), GYR_DELETE(http_old)),
};
static const struct gyr_resource both = {
    GYR_RESOURCE_PLAIN("both"),
    .on_connect = http_connect,
    .methods = GYR_METHODS(GYR_HTTP(GYR_METHOD_HEAD, http_old), GYR_GET(http_new)),
};
static const struct gyr_resource derived_both = {GYR_RESOURCE_PLAIN("derived"), .base = &both};
static const struct gyr_route taking[] = {
    GYR_ROUTE("/nothing", &tail),
    GYR_ROUTE("/only", &only_methods),
    GYR_ROUTE("/both", &both),
    GYR_ROUTE("/derived", &derived_both),
    GYR_ROUTE_HTTP("/adds", GYR_METHODS(GYR_GET(http_old))),
    GYR_ROUTE_HTTP("/adds", GYR_METHODS(GYR_HTTP(GYR_METHOD_HEAD, http_new))),
    GYR_ROUTE_MADE("/made", product_choose, NULL, GYR_MIXINS({&only_methods}, {&tail})),
    {0},
};
void plan_routes_take_what_is_declared(void)
{
    const uint16_t get = 1U << GYR_METHOD_GET;
    const uint16_t head = 1U << GYR_METHOD_HEAD;
    const uint16_t del = 1U << GYR_METHOD_DELETE;
    const uint16_t expected[] = {
        ROUTE_WEBSOCKET,
        get | head | del,
        ROUTE_WEBSOCKET | get | head,
        ROUTE_WEBSOCKET | get | head,
        get,
        head,
        ROUTE_WEBSOCKET | get | head | del,
    };
    struct plan_kit kit;
    plan_kit_routes(&kit, taking);
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        EXPECT_INT(kit.plan->routes[i].methods, expected[i], taking[i].path);
    }
    plan_expect_text(kit.plan->routes[1].method[GYR_METHOD_HEAD].name, "http_old", "HEAD is GET");
    plan_expect_text(kit.plan->routes[2].method[GYR_METHOD_HEAD].name, "http_old", "or its own");
    plan_kit_end(&kit);
}

static const struct gyr_resource above = {
    GYR_RESOURCE_PLAIN("above"),
    .children = GYR_ROUTES(
        GYR_ROUTE_MADE("made", product_choose, NULL, GYR_MIXINS({&tail}, {&leaf}), .name = "made")),
};
void plan_routes_of_factories_have_a_chain_for_each_product(void)
{
    struct plan_kit kit;
    plan_kit_resource(&kit, &above);
    EXPECT_INT(kit.plan->route_count, 2, "products are in no table");
    const struct plan_route *route = &kit.plan->routes[1];
    EXPECT(route->factory != NULL && !route->is_plain, "a factory");
    EXPECT_INT(route->level_count, 1, "what stands outside");
    EXPECT_INT(route->product_count, 2, "products");
    EXPECT_INT(route->products[1].level_count, 2, "a whole chain");
    EXPECT(route->products[1].levels[1].type->declared == &leaf, "with the product inside");
    EXPECT(route->products[1].factory == NULL, "and nothing more to choose");
    plan_kit_end(&kit);
}

void plan_has_a_hundred_thousand_routes(void)
{
    struct plan_kit kit;
    struct gyr_router *router;
    struct gyr_error error = {.text = ""};
    plan_kit_init(&kit);
    EXPECT_INT(gyr_router_create("many", &router), 0, "made");
    char *paths = malloc((size_t)MANY_ROUTES * 32);
    ASSERT(paths != NULL);
    for (unsigned i = 0; i < MANY_ROUTES; i++) {
        char *path = paths + (size_t)i * 32;
        (void)snprintf(path, 32, "/rooms%u/{room}/%u", i % 1000, i);
        const struct gyr_route route = {
            .path = path, .resource = i % 2 != 0 ? &tail : &leaf, .name = path + 1};
        EXPECT(gyr_router_add(router, &route, &error) == 0, error.text);
    }
    EXPECT_INT(gyr_app_mount(kit.app, "/api", router, &error), 0, error.text);
    plan_kit_freeze(&kit);
    EXPECT_INT(kit.plan->route_count, MANY_ROUTES, "all");
    struct route_match match;
    EXPECT_INT(
        route_find(kit.plan->table, SPAN_LITERAL("/api/rooms999/a/99999"), ROUTE_WEBSOCKET, &match),
        ROUTE_FOUND, "the last");
    EXPECT_INT(match.index, 99999, "the last");
    plan_kit_end(&kit);
    free(paths);
}

/* A resource that is below itself as often as it has children. */
static void expect_wide(unsigned child_count, const char *lines, const char *why)
{
    static const char *const paths[] = {"a", "b", "c", "d", "e", "f"};
    struct gyr_resource wide = {GYR_RESOURCE_PLAIN("wide")};
    struct gyr_route own[COUNT_OF(paths) + 1] = {0};
    for (unsigned i = 0; i < child_count; i++) {
        own[i] = (struct gyr_route){.path = paths[i], .at = "wide.c:2", .resource = &wide};
    }
    wide.children = own;
    const struct gyr_route table[] = {{.path = "/wide", .at = "wide.c:1", .resource = &wide}, {0}};
    expect_routes_told(table, lines, why);
}

void plan_refuses_trees_that_are_too_large(void)
{
    expect_wide(5, "", "5 to the 7th and those above are fewer than the maximum");
    expect_wide(6,
                "wide.c:1: there are more than 200000 paths, and the last are below \"/wide\"; "
                "lower depth_max if a resource is below itself, or join routes by a parameter\n",
                "6 to the 7th are more");
}
