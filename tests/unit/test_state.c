/* SPDX-License-Identifier: MIT */
/* State: who shares it, whose it is after an assignment, and its limits. */
#include "router/visit.h"
#include "tests/parser_kit.h"
#include "tests/visit_kit.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>

struct part {
    int number;
};

/* ---- a store of the test's own: one value for all keys ---- */

struct one_value {
    const char *name;
    struct gyr_conn *conn;
    char text[64];
    size_t size;
    int err; /* what it says instead */
};

static int one_get(void *store, struct gyr_span key, struct gyr_span *value)
{
    const struct one_value *one = store;
    (void)key;
    *value = (struct gyr_span){one->text, one->size};
    return one->err != 0 ? one->err : one->size == 0 ? GYR_ERR_NOT_FOUND : 0;
}

static int one_set(void *store, struct gyr_span key, struct gyr_span value)
{
    struct one_value *one = store;
    (void)key;
    memcpy(one->text, value.ptr, value.size);
    one->size = value.size;
    return one->err;
}

static int one_remove(void *store, struct gyr_span key)
{
    struct one_value *one = store;
    (void)key;
    one->size = 0;
    return one->err;
}

static int one_each(void *store, int (*each)(void *arg, struct gyr_span key, struct gyr_span value),
                    void *arg)
{
    const struct one_value *one = store;
    return each(arg, GYR_SPAN("one"), (struct gyr_span){one->text, one->size});
}

static void one_destroy(void *store)
{
    const struct one_value *one = store;
    visit_trace(one->conn, "end:%s", one->name);
}

static const struct gyr_state_ops one_ops = {
    .size = sizeof(struct gyr_state_ops),
    .get = one_get,
    .set = one_set,
    .remove = one_remove,
    .each = one_each,
    .destroy = one_destroy,
};

/* ---- three resources in each other ---- */

enum gives {
    GIVES_NOTHING,
    GIVES_EMPTY, /* an empty state */
    GIVES_STORE,
    GIVES_TWICE,
};

struct chain {
    enum gives middle_gives;
    struct one_value store;
};

static void show(struct gyr_conn *conn, unsigned levels_above)
{
    struct gyr_span value = {0};
    int err = gyr_state_get(conn, gyr_self(conn, levels_above), GYR_SPAN("k"), &value);
    if (err < 0) {
        visit_trace(conn, "%d", err);
    } else {
        visit_trace(conn, "%.*s", (int)value.size, value.ptr);
    }
}

static void show_all(struct gyr_conn *conn)
{
    show(conn, 2);
    show(conn, 1);
    show(conn, 0);
}

static int set(struct gyr_conn *conn, const void *self, const char *text)
{
    return gyr_state_set(conn, self, GYR_SPAN("k"), (struct gyr_span){text, strlen(text)});
}

static int top_create(struct gyr_conn *conn, void *self)
{
    struct gyr_span value;
    EXPECT_INT(gyr_state_get(conn, self, GYR_SPAN("k"), &value), GYR_ERR_NOT_FOUND, "empty");
    EXPECT_INT(gyr_state_remove(conn, self, GYR_SPAN("k")), GYR_ERR_NOT_FOUND, "empty");
    EXPECT_INT(gyr_give_state(conn, NULL, NULL), GYR_ERR_STATE, "not in give");
    return set(conn, self, "top");
}

static int middle_give(struct gyr_conn *conn, void *self)
{
    struct chain *chain = visit_kit_of(conn)->context;
    (void)self;
    chain->store.conn = conn;
    struct gyr_state_ops lacking = one_ops;
    lacking.each = NULL;
    EXPECT_INT(gyr_give_state(conn, &lacking, &chain->store), GYR_ERR_ARGUMENT, "a function lacks");
    switch (chain->middle_gives) {
    case GIVES_NOTHING:
        return 0;
    case GIVES_EMPTY:
        return gyr_give_state(conn, NULL, NULL);
    case GIVES_STORE:
        return gyr_give_state(conn, &one_ops, &chain->store);
    case GIVES_TWICE:
        EXPECT_INT(gyr_give_state(conn, &one_ops, &chain->store), 0, "the first");
        return gyr_give_state(conn, NULL, NULL);
    }
    return 0;
}

static int leaf_create(struct gyr_conn *conn, void *self)
{
    (void)self;
    show_all(conn);
    EXPECT_INT(set(conn, NULL, "leaf"), 0, "NULL is the innermost");
    show_all(conn);
    return 0;
}

static void leaf_destroy(struct gyr_conn *conn, void *self)
{
    (void)self;
    show(conn, 0);
}

static const struct gyr_resource leaf = {GYR_RESOURCE(part), .create = leaf_create,
                                         .destroy = leaf_destroy};
static const struct gyr_resource middle = {GYR_RESOURCE(part), .give = middle_give,
                                           .children = GYR_ROUTES(GYR_ROUTE("leaf", &leaf))};
static const struct gyr_resource top = {GYR_RESOURCE(part), .create = top_create,
                                        .children = GYR_ROUTES(GYR_ROUTE("middle", &middle))};
static const struct gyr_route chain_routes[] = {GYR_ROUTE("/top", &top), {0}};

static void chain_is(enum gives gives, const char *trace, const char *why)
{
    struct chain chain = {.middle_gives = gives, .store = {.name = "given"}};
    struct visit_kit visit_kit;
    visit_kit_init(&visit_kit);
    visit_kit.context = &chain;
    visit_kit_app(&visit_kit);
    EXPECT_INT(gyr_app_routes(visit_kit.app, "", chain_routes), 0, "routes");
    visit_kit_start(&visit_kit);
    visit_kit_upgrade(&visit_kit, "/top/middle/leaf", "");
    EXPECT_INT(visit_kit_status(&visit_kit), 101, why);
    kit_reset(&visit_kit.kit);
    EXPECT_TRACE(&visit_kit, trace, why);
    EXPECT_INT(visit_kit_heap(&visit_kit), 0, why);
    visit_kit_end(&visit_kit);
}

void state_is_shared_by_a_chain(void)
{
    chain_is(GIVES_NOTHING, "top top top leaf leaf leaf leaf", "one for all three");
}

void state_that_is_given_is_for_those_below(void)
{
    chain_is(GIVES_EMPTY, "top top -5012 top top leaf leaf", "an empty one");
    chain_is(GIVES_STORE, "top top -5012 top top leaf leaf end:given",
             "a store, which ends behind the resources that have it");
    chain_is(GIVES_TWICE, "end:given top top -5012 top top leaf leaf",
             "of two the last, and the first ends at once");
}

/* ---- assignment ---- */

static int assign_text(struct gyr_conn *conn, void *self, struct gyr_span message)
{
    struct one_value *stores = visit_kit_of(conn)->context;
    (void)message;
    stores[0].conn = conn;
    stores[1].conn = conn;
    struct gyr_state_ops lacking = one_ops;
    lacking.set = NULL;
    EXPECT_INT(gyr_state_assign(conn, self, &lacking, NULL), GYR_ERR_ARGUMENT, "no set");
    EXPECT_INT(gyr_state_assign(conn, self, NULL, NULL), GYR_ERR_ARGUMENT, "no functions");
    EXPECT_INT(gyr_state_assign(conn, &stores, &one_ops, stores), GYR_ERR_ARGUMENT, "no instance");
    EXPECT_INT(gyr_state_assign(conn, self, &one_ops, &stores[0]), 0, "assigned");
    show_all(conn);
    EXPECT_INT(set(conn, gyr_self(conn, 2), "new"), 0, "by the outermost");
    show_all(conn);
    EXPECT_INT(gyr_state_assign(conn, gyr_self(conn, 1), &one_ops, &stores[1]), 0, "and another");
    show_all(conn);
    stores[1].err = -EPROTO;
    EXPECT_INT(set(conn, self, "x"), -EPROTO, "what the store says");
    struct gyr_span value;
    EXPECT_INT(gyr_state_get(conn, self, GYR_SPAN("k"), &value), -EPROTO, "what the store says");
    EXPECT_INT(gyr_state_remove(conn, self, GYR_SPAN("k")), -EPROTO, "what the store says");
    return 0;
}

static const struct gyr_resource assign_leaf = {GYR_RESOURCE(part), .create = leaf_create,
                                                .on_text = assign_text};
static const struct gyr_resource assign_middle = {
    GYR_RESOURCE(part), .children = GYR_ROUTES(GYR_ROUTE("leaf", &assign_leaf))};
static const struct gyr_resource assign_top = {
    GYR_RESOURCE(part), .children = GYR_ROUTES(GYR_ROUTE("middle", &assign_middle))};
static const struct gyr_route assign_routes[] = {GYR_ROUTE("/top", &assign_top), {0}};

void state_that_is_assigned_is_that_of_all_who_share_it(void)
{
    struct one_value stores[2] = {{.name = "first"}, {.name = "second", .text = "two", .size = 3}};
    struct visit_kit visit_kit;
    visit_kit_init(&visit_kit);
    visit_kit.context = stores;
    visit_kit_app(&visit_kit);
    EXPECT_INT(gyr_app_routes(visit_kit.app, "", assign_routes), 0, "routes");
    visit_kit_start(&visit_kit);
    visit_kit_upgrade(&visit_kit, "/top/middle/leaf", "");
    EXPECT_TRACE(&visit_kit, "-5012 -5012 -5012 leaf leaf leaf", "as a chain");
    KIT_FRAME(&visit_kit.kit, 0x81, "go");
    EXPECT_TRACE(&visit_kit, "-5012 -5012 -5012 new new new end:first two two two",
                 "what nobody has any more ends at once");
    kit_reset(&visit_kit.kit);
    EXPECT_TRACE(&visit_kit, "end:second", "the other one with the connection");
    EXPECT_INT(visit_kit_heap(&visit_kit), 0, "nothing is left");
    visit_kit_end(&visit_kit);
}

/* ---- the default store ---- */

static int walk(void *arg, struct gyr_span key, struct gyr_span value)
{
    struct gyr_conn *conn = arg;
    EXPECT_INT(gyr_state_set(conn, NULL, key, value), GYR_ERR_STATE,
               "not while it is gone through");
    EXPECT_INT(gyr_state_remove(conn, NULL, key), GYR_ERR_STATE, "nor this");
    EXPECT_INT(gyr_state_assign(conn, NULL, &one_ops, NULL), GYR_ERR_STATE, "nor this");
    visit_trace(conn, "%.*s=%.*s", (int)key.size, key.ptr, (int)value.size, value.ptr);
    return key.size == 1 && key.ptr[0] == 'z' ? 17 : 0;
}

static int limits_text(struct gyr_conn *conn, void *self, struct gyr_span message)
{
    char key[256];
    static char big[65536];
    struct gyr_span value;
    (void)self;
    (void)message;
    memset(key, 'k', sizeof(key));
    EXPECT_INT(gyr_state_each(conn, NULL, walk, conn), 0, "nothing yet");
    struct gyr_span longest = {key, 255};
    struct gyr_span longer = {key, 256};
    EXPECT_INT(gyr_state_set(conn, NULL, longest, GYR_SPAN("v")), 0, "255 bytes");
    EXPECT_INT(gyr_state_set(conn, NULL, longer, GYR_SPAN("v")), GYR_ERR_LIMIT, "256 bytes");
    EXPECT_INT(gyr_state_get(conn, NULL, longer, &value), GYR_ERR_NOT_FOUND, "256 bytes");
    EXPECT_INT(gyr_state_remove(conn, NULL, longer), GYR_ERR_NOT_FOUND, "256 bytes");
    EXPECT_INT(gyr_state_remove(conn, NULL, longest), 0, "255 bytes");
    EXPECT_INT(gyr_state_remove(conn, NULL, longest), GYR_ERR_NOT_FOUND, "it has gone");
    /* Keys are any bytes, none too; so are values. */
    EXPECT_INT(gyr_state_set(conn, NULL, (struct gyr_span){0}, (struct gyr_span){0}), 0, "empty");
    EXPECT_INT(gyr_state_get(conn, NULL, (struct gyr_span){0}, &value), 0, "empty");
    EXPECT_INT(value.size, 0, "empty");
    EXPECT_INT(gyr_state_remove(conn, NULL, (struct gyr_span){0}), 0, "empty");
    /* What is full takes no more, keeps what it has, and takes again when there is room. */
    EXPECT_INT(set(conn, NULL, "kept"), 0, "small");
    EXPECT_INT(gyr_state_set(conn, NULL, GYR_SPAN("k"), (struct gyr_span){big, sizeof(big)}),
               GYR_ERR_LIMIT, "64 KB without the key's room");
    EXPECT_INT(gyr_state_get(conn, NULL, GYR_SPAN("k"), &value), 0, "it is as it was");
    EXPECT_SPAN(span_of(value.ptr, value.size), "kept", "it is as it was");
    EXPECT_INT(gyr_state_set(conn, NULL, GYR_SPAN("k"), (struct gyr_span){big, 60000}), 0, "60 KB");
    EXPECT_INT(gyr_state_set(conn, NULL, GYR_SPAN("l"), (struct gyr_span){big, 6000}),
               GYR_ERR_LIMIT, "too much together");
    EXPECT_INT(gyr_state_set(conn, NULL, GYR_SPAN("k"), (struct gyr_span){big, 61000}), 0,
               "in place of what is there");
    EXPECT_INT(set(conn, NULL, "small"), 0, "smaller again");
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_INT(gyr_state_set(conn, NULL, GYR_SPAN("l"), (struct gyr_span){big, 60000}), 0,
                   "as often as it has been removed");
        EXPECT_INT(gyr_state_remove(conn, NULL, GYR_SPAN("l")), 0, "60 KB");
    }
    /* A value may be a view of what it replaces. */
    EXPECT_INT(gyr_state_get(conn, NULL, GYR_SPAN("k"), &value), 0, "small");
    value.ptr += 2;
    value.size -= 2;
    EXPECT_INT(gyr_state_set(conn, NULL, GYR_SPAN("k"), value), 0, "a part of itself");
    EXPECT_INT(gyr_state_each(conn, NULL, walk, conn), 0, "all of it");
    EXPECT_INT(gyr_state_set(conn, NULL, GYR_SPAN("z"), GYR_SPAN("last")), 0, "another");
    EXPECT_INT(gyr_state_each(conn, NULL, walk, conn), 17, "up to what says otherwise");
    return 0;
}

static const struct gyr_resource limits = {GYR_RESOURCE_PLAIN("limits"), .on_text = limits_text};
static const struct gyr_route limits_routes[] = {GYR_ROUTE("/", &limits), {0}};

void state_has_limits_and_keeps_what_it_has(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, limits_routes);
    visit_kit_upgrade(&visit_kit, "/", "");
    KIT_FRAME(&visit_kit.kit, 0x81, "go");
    kit_reset(&visit_kit.kit);
    EXPECT_TRACE(&visit_kit, "k=all k=all z=last", "what was gone through");
    EXPECT_INT(visit_kit_heap(&visit_kit), 0, "nothing is left");
    visit_kit_end(&visit_kit);
}

static int plain_get(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    struct gyr_span value;
    (void)request;
    EXPECT(self == NULL && gyr_self(conn, 0) == NULL && gyr_conn_resource(conn) == NULL, "none");
    EXPECT_INT(set(conn, NULL, "x"), GYR_ERR_STATE, "no resource, no state");
    EXPECT_INT(gyr_state_get(conn, NULL, GYR_SPAN("k"), &value), GYR_ERR_STATE, "no state");
    return gyr_respond_text(conn, 200, "text/plain", GYR_SPAN("ok"));
}

static const struct gyr_route plain_routes[] = {
    GYR_ROUTE_HTTP("/", GYR_METHODS(GYR_GET(plain_get))), {0}};

void state_belongs_to_resources(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, plain_routes);
    visit_kit_get(&visit_kit, "GET", "/");
    EXPECT_INT(visit_kit_status(&visit_kit), 200, "answered");
    visit_kit_end(&visit_kit);
}
