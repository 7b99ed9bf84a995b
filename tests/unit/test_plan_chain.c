/* SPDX-License-Identifier: MIT */
/* From tables to a plan: where inputs come from, which hooks lie round what, how a visit is laid
 * out. */
#include "router/visit.h"

#include "tests/plan_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>
#include <stdlib.h>

#define HOOK(name)                              \
    static int name(struct gyr_hook_call *call) \
    {                                           \
        (void)call;                             \
        return 0;                               \
    }
HOOK(hook_a)
HOOK(hook_b)

static int product_choose(struct gyr_conn *conn, void *user, const struct gyr_request *request,
                          struct gyr_product *product)
{
    (void)conn, (void)user, (void)request, (void)product;
    return 0;
}

static int maker_make(struct gyr_conn *conn, void *user, void **pointer)
{
    (void)conn, (void)user;
    *pointer = NULL;
    return 0;
}

static const struct gyr_resource tail = {GYR_RESOURCE_PLAIN("tail")};
extern const struct gyr_resource chain_node;
static const struct gyr_route node_children[] = {GYR_ROUTE("{a}", &chain_node), {0}};
const struct gyr_resource chain_node = {GYR_RESOURCE_PLAIN("node"), .children = node_children};

/* ---- inputs ---------------------------------------------------------------------------------- */

struct store {
    int unused;
};
struct wanting {
    struct store *gift;
    struct store *value;
    struct store *service;
    struct store *made;
    struct store *preset;
    struct store *nothing;
};
static struct store stores[4];

static const struct gyr_resource wanting = {
    GYR_RESOURCE(wanting),
    .inputs = GYR_INPUTS(
        GYR_INPUT(wanting, gift, struct store), GYR_INPUT(wanting, value, struct store),
        GYR_INPUT(wanting, service, struct store), GYR_INPUT(wanting, made, struct store),
        GYR_INPUT(wanting, preset, struct store, .optional = true, .preset = &stores[3]),
        GYR_INPUT(wanting, nothing, struct store, .optional = true)),
};
static const struct gyr_resource giving_near = {
    GYR_RESOURCE_PLAIN("near"),
    .gifts = GYR_GIFTS(GYR_GIFT("gift", struct store)),
    .children =
        GYR_ROUTES(GYR_ROUTE("c", &wanting,
                             .values = GYR_VALUES(GYR_VALUE("gift", struct store, &stores[0]),
                                                  GYR_VALUE("value", struct store, &stores[1])))),
};
static const struct gyr_resource giving_far = {
    GYR_RESOURCE_PLAIN("far"),
    .gifts = GYR_GIFTS(GYR_GIFT("value", struct store), GYR_GIFT("gift", struct store)),
    .children = GYR_ROUTES(GYR_ROUTE("b", &giving_near), GYR_ROUTE("d", &wanting)),
};

static void kit_services(struct plan_kit *kit)
{
    static const char *const names[] = {"gift", "value", "service"};
    struct gyr_error error = {.text = ""};
    plan_kit_init(kit);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const struct gyr_value value = {
            .name = names[i], .type = "struct store", .pointer = &stores[2]};
        EXPECT_INT(gyr_app_service(kit->app, &value, &error), 0, error.text);
    }
    const struct gyr_maker maker = GYR_MAKER("made", struct store, maker_make, NULL, NULL);
    EXPECT_INT(gyr_app_maker(kit->app, &maker, &error), 0, error.text);
}

/* "gift(1,0) value service(2)": the sources of an input. */
static void expect_sources(const struct plan_input *input, const char *expected)
{
    char text[128] = "";
    size_t used = 0;
    for (; input != NULL; input = input->next) {
        static const char *const names[] = {"gift",  "value",  "service",
                                            "maker", "preset", "nothing"};
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s%u.%u", used > 0 ? " " : "",
                                 names[input->source], input->level, input->index);
    }
    plan_expect_text(text, expected, "sources");
}

void plan_inputs_come_from_gifts_then_values_then_services_then_presets(void)
{
    struct plan_kit kit;
    kit_services(&kit);
    const struct gyr_route table[] = {{.path = "/a", .resource = &giving_far}, {0}};
    EXPECT_INT(gyr_app_routes(kit.app, "/", table), 0, "mounted");
    plan_kit_freeze(&kit);
    plan_expect_paths(kit.plan, "/a /a/b /a/b/c /a/d", "chains");
    const struct plan_level *level = &kit.plan->routes[2].levels[2];
    EXPECT_INT(level->input_count, 6, "all");
    expect_sources(&level->inputs[0], "gift1.0 value0.0 service0.0");
    expect_sources(&level->inputs[1], "gift0.0 value0.0 service0.1");
    expect_sources(&level->inputs[2], "service0.2");
    expect_sources(&level->inputs[3], "maker0.0");
    expect_sources(&level->inputs[4], "preset0.0");
    expect_sources(&level->inputs[5], "preset0.0");
    EXPECT(level->inputs[4].pointer == &stores[3], "the preset");
    EXPECT(level->inputs[5].pointer == NULL, "nothing");
    EXPECT_INT(level->inputs[2].offset, offsetof(struct wanting, service), "where it goes");
    level = &kit.plan->routes[3].levels[1];
    expect_sources(&level->inputs[0], "gift0.1 service0.0");
    EXPECT_INT(kit.plan->routes[0].levels[0].gift_count, 2, "gifts");
    plan_kit_end(&kit);
}

static const struct gyr_resource wanting_more = {
    GYR_RESOURCE(wanting),
    .base = &wanting,
    .inputs = GYR_INPUTS(
        GYR_INPUT(wanting, nothing, struct store, .optional = true, .preset = &stores[0])),
};
void plan_inputs_of_derived_types_replace_those_of_the_base(void)
{
    struct plan_kit kit;
    kit_services(&kit);
    const struct gyr_route table[] = {{.path = "/a", .resource = &wanting_more}, {0}};
    EXPECT_INT(gyr_app_routes(kit.app, "/", table), 0, "mounted");
    plan_kit_freeze(&kit);
    const struct plan_level *level = &kit.plan->routes[0].levels[0];
    EXPECT_INT(level->input_count, 6, "each name once");
    EXPECT(level->inputs[5].pointer == &stores[0], "its own");
    plan_kit_end(&kit);
}

void plan_inputs_of_products_may_come_with_them(void)
{
    struct plan_kit kit;
    plan_kit_init(&kit);
    const struct gyr_route table[] = {
        GYR_ROUTE_MADE("/a", product_choose, NULL, GYR_MIXINS({&wanting}),
                       .values = GYR_VALUES(GYR_VALUE("gift", struct store, &stores[1]))),
        {0},
    };
    EXPECT_INT(gyr_app_routes(kit.app, "/", table), 0, "mounted");
    plan_kit_freeze(&kit);
    const struct plan_input *inputs = kit.plan->routes[0].products[0].levels[0].inputs;
    expect_sources(&inputs[0], "value0.0 nothing0.0");
    expect_sources(&inputs[1], "nothing0.0");
    expect_sources(&inputs[5], "preset0.0");
    plan_kit_end(&kit);
}

/* ---- hooks ----------------------------------------------------------------------------------- */

static const struct gyr_resource hooked_base = {
    GYR_RESOURCE_PLAIN("base"),
    .hooks = GYR_HOOKS(GYR_HOOK("base", .before_connect = hook_a, .after_connect = hook_b)),
};
static const struct gyr_resource hooked = {
    GYR_RESOURCE_PLAIN("hooked"),
    .base = &hooked_base,
    .hooks = GYR_HOOKS(GYR_HOOK("own", .before_connect = hook_a, .data_size = 5),
                       GYR_HOOK("receive", .after_receive = hook_b, .data_size = 100),
                       GYR_HOOK("end", .before_disconnect = hook_a, .data_size = 7)),
    .children = GYR_ROUTES(GYR_ROUTE("in", &tail)),
};

static void expect_hooks(const struct plan_hooks *hooks, const char *expected, const char *why)
{
    char text[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < hooks->count; i++) {
        const struct plan_hook *hook = &hooks->hooks[i];
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s@%d", i > 0 ? " " : "",
                                 hook->name, hook->level == PLAN_NO_LEVEL ? -1 : hook->level);
    }
    plan_expect_text(text, expected, why);
}

void plan_hooks_lie_from_the_application_inwards_and_from_the_base_up(void)
{
    static const struct gyr_hook global[] = {
        GYR_HOOK("first", .before_connect = hook_a, .data_size = 16),
        GYR_HOOK("second", .after_connect = hook_a, .before_receive = hook_b),
        {0},
    };
    static const struct gyr_hook added[] = {GYR_HOOK("added", .after_connect = hook_a), {0}};
    struct gyr_error error = {.text = ""};
    struct plan_kit kit;
    plan_kit_init(&kit);
    const struct gyr_route table[] = {{.path = "/h", .resource = &hooked}, {0}};
    EXPECT_INT(gyr_app_routes(kit.app, "/", table), 0, "mounted");
    EXPECT_INT(gyr_app_hooks(kit.app, &hooked_base, added, &error), 0, error.text);
    EXPECT_INT(gyr_app_hooks(kit.app, NULL, global, &error), 0, error.text);
    EXPECT_INT(gyr_app_hook(kit.app, &tail, GYR_BEFORE_DISCONNECT, hook_a, NULL, &error), 0,
               error.text);
    plan_kit_freeze(&kit);
    const struct plan_route *outer = &kit.plan->routes[0];
    const struct plan_route *inner = &kit.plan->routes[1];
    expect_hooks(&inner->connect, "first@-1 second@-1 base@0 added@0 own@0", "87: the base's");
    expect_hooks(&inner->receive, "second@-1 receive@0", "round messages");
    expect_hooks(&inner->disconnect, "end@0 gyr_app_hook@1", "at the end");
    expect_hooks(&outer->disconnect, "end@0", "those of the inner one do not count");
    EXPECT_INT(inner->connect.global_count, 2, "of the application");
    EXPECT(inner->connect.hooks[2].after == hook_b, "both functions");
    EXPECT_INT(inner->connect.hooks[4].data_offset, 16, "behind the first's");
    EXPECT_INT(inner->connect.data_size, 32, "all data");
    EXPECT_INT(inner->receive.data_size, 112, "all data");
    plan_kit_end(&kit);
}

/* ---- layout ---------------------------------------------------------------------------------- */

static void take(uint8_t *bytes, uint32_t offset, size_t size, const char *why)
{
    for (size_t i = 0; i < size; i++) {
        EXPECT(bytes[offset + i] == 0, why);
        bytes[offset + i] = 1;
    }
}

void plan_layout_gives_each_its_own_memory(void)
{
    struct plan_kit kit;
    kit_services(&kit);
    const struct gyr_route table[] = {{.path = "/{x}/a", .resource = &giving_far}, {0}};
    static const struct gyr_hook global[] = {
        GYR_HOOK("h", .before_connect = hook_a, .before_disconnect = hook_b, .data_size = 20),
        GYR_HOOK("r", .before_receive = hook_a, .data_size = 100),
        {0},
    };
    struct gyr_error error = {.text = ""};
    EXPECT_INT(gyr_app_hooks(kit.app, NULL, global, &error), 0, error.text);
    EXPECT_INT(gyr_app_routes(kit.app, "/", table), 0, "mounted");
    plan_kit_freeze(&kit);
    const struct plan_route *route = &kit.plan->routes[2];
    uint8_t *bytes = calloc(1, route->visit_size);
    ASSERT(bytes != NULL);
    take(bytes, 0, sizeof(struct visit), "the visit");
    take(bytes, route->params_offset, sizeof(struct visit_param), "a parameter");
    take(bytes, route->levels[0].gifts_offset, 2 * sizeof(void *), "gifts");
    take(bytes, route->levels[1].gifts_offset, sizeof(void *), "a gift");
    take(bytes, route->makers_offset, sizeof(struct plan_made), "what a maker makes");
    take(bytes, route->levels[2].instance_offset, sizeof(struct wanting), "the instance");
    EXPECT_INT(route->connect.data_offset, route->receive.data_offset, "one after the other");
    EXPECT(route->receive.data_size > route->connect.data_size, "and this one is larger");
    take(bytes, route->receive.data_offset, route->receive.data_size, "data of hooks");
    take(bytes, route->disconnect.data_offset, route->disconnect.data_size, "of the end's");
    EXPECT_INT(route->levels[0].instance_offset, 0, "no structure");
    EXPECT_INT(kit.plan->routes[0].makers_offset, 0, "nobody wants a maker's");
    free(bytes);
    plan_kit_end(&kit);
}

void plan_layout_of_three_levels_is_small(void)
{
    struct plan_kit kit;
    plan_kit_resource(&kit, &chain_node);
    EXPECT(kit.plan->routes[2].level_count == 3 && kit.plan->routes[2].visit_size <= 512,
           "an empty chain");
    plan_kit_end(&kit);
}
