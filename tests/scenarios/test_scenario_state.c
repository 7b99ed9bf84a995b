/* SPDX-License-Identifier: MIT */
/* Scenarios 38 to 40 and 46 to 48: what a connection remembers, and that its messages wait for each
 * other. */
#include "tests/scenario_kit.h"

#include <stdio.h>

static struct gyr_span text_span(const char *text)
{
    return (struct gyr_span){text, strlen(text)};
}

static void state_note(struct gyr_conn *conn, const void *self, const char *who)
{
    struct gyr_span value = {NULL, 0};
    int err = gyr_state_get(conn, self, GYR_SPAN("k"), &value);
    if (err == 0) {
        note(conn, "%s=%.*s", who, (int)value.size, value.ptr);
    } else {
        note(conn, "%s:%d", who, err);
    }
}

/* "=VALUE" sets the value of "k", "-" removes it, all else only reads it. */
static int text_states(struct gyr_conn *conn, void *self, struct gyr_span message)
{
    int err = 0;
    if (message.size != 0 && message.ptr[0] == '=') {
        struct gyr_span value = {message.ptr + 1, message.size - 1};
        err = gyr_state_set(conn, self, GYR_SPAN("k"), value);
    } else if (message.size != 0 && message.ptr[0] == '-') {
        note(conn, "removed:%d", gyr_state_remove(conn, self, GYR_SPAN("k")));
    }
    state_note(conn, self, "k");
    return err < 0 ? err : gyr_send(conn, GYR_TEXT, GYR_SPAN("done"));
}

static void say_and_wait(struct scenario_client *client, const char *text)
{
    scenario_say(client, text);
    HEARS(client, "done");
}

static const struct gyr_resource keeper = {GYR_RESOURCE_PLAIN("keeper"), .on_text = text_states};
static const struct gyr_route keepers[] = {GYR_ROUTE("/", &keeper), {0}};

void scenario_038_each_connection_has_a_state_of_its_own(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", keepers);
        SERVE(&at);
        struct scenario_client *one = OPEN(&at, "/");
        struct scenario_client *two = OPEN(&at, "/");
        say_and_wait(one, "=written");
        say_and_wait(two, "?");
        say_and_wait(one, "?");
        NOTED(&at, "k=written k:-5012 k=written");
        say_and_wait(two, "=other");
        say_and_wait(one, "-");
        say_and_wait(one, "-");
        say_and_wait(two, "?");
        LEAVE(one);
        LEAVE(two);
        ENDED(&at, "k=other removed:0 k:-5012 removed:-5012 k:-5012 k=other");
    }
}

/* ---- a store of the service's own ---- */

struct store {
    struct scenario *at;
    char value[32];
    bool is_set;
};

static int store_get(void *store, struct gyr_span key, struct gyr_span *value)
{
    struct store *own = store;
    scenario_note(own->at, "get:%.*s", (int)key.size, key.ptr);
    *value = text_span(own->value);
    return own->is_set ? 0 : GYR_ERR_NOT_FOUND;
}
static int store_set(void *store, struct gyr_span key, struct gyr_span value)
{
    struct store *own = store;
    scenario_note(own->at, "set:%.*s", (int)key.size, key.ptr);
    (void)snprintf(own->value, sizeof(own->value), "%.*s", (int)value.size, value.ptr);
    own->is_set = true;
    return 0;
}
static int store_remove(void *store, struct gyr_span key)
{
    struct store *own = store;
    scenario_note(own->at, "remove:%.*s", (int)key.size, key.ptr);
    own->is_set = false;
    return 0;
}
static int store_each(void *store,
                      int (*each)(void *arg, struct gyr_span key, struct gyr_span value), void *arg)
{
    struct store *own = store;
    scenario_note(own->at, "each");
    return own->is_set ? each(arg, GYR_SPAN("k"), text_span(own->value)) : 0;
}
static void store_destroy(void *store)
{
    scenario_note(((struct store *)store)->at, "store:destroy");
}
static const struct gyr_state_ops store_ops = {.size = sizeof(store_ops),
                                               .get = store_get,
                                               .set = store_set,
                                               .remove = store_remove,
                                               .each = store_each,
                                               .destroy = store_destroy};

struct owner {
    struct store store;
};
static int each_note(void *arg, struct gyr_span key, struct gyr_span value)
{
    note(arg, "%.*s:%.*s", (int)key.size, key.ptr, (int)value.size, value.ptr);
    return 7;
}
static int owner_create(struct gyr_conn *conn, void *self)
{
    struct owner *owner = self;
    struct gyr_state_ops bad = store_ops;
    owner->store.at = scenario_of(conn);
    int err = gyr_state_set(conn, self, GYR_SPAN("k"), GYR_SPAN("old"));
    bad.get = NULL;
    note(conn, "without_get:%d", gyr_state_assign(conn, self, &bad, &owner->store));
    bad = store_ops;
    bad.each = NULL;
    note(conn, "without_each:%d", gyr_state_assign(conn, self, &bad, &owner->store));
    state_note(conn, self, "still");
    return err < 0 ? err : gyr_state_assign(conn, self, &store_ops, &owner->store);
}
static int owner_text(struct gyr_conn *conn, void *self, struct gyr_span message)
{
    int err = text_states(conn, self, message);
    note(conn, "each:%d", gyr_state_each(conn, self, each_note, conn));
    return err;
}
static const struct gyr_resource owner = {GYR_RESOURCE(owner), .create = owner_create,
                                          .on_text = owner_text};
static const struct gyr_route owners[] = {GYR_ROUTE("/", &owner), {0}};

void scenario_039_a_store_of_ones_own_gets_all_reads_and_writes(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", owners);
        SERVE(&at);
        struct scenario_client *client = OPEN(&at, "/");
        say_and_wait(client, "=new");
        NOTED(&at, "without_get:-5005 without_each:-5005 still=old "
                   "set:k get:k k=new each k:new each:7");
        say_and_wait(client, "-");
        LEAVE(client);
        ENDED(&at, "remove:k removed:0 get:k k:-5012 each each:0 store:destroy");
    }
}

/* ---- messages wait ---- */

static int text_waits(struct gyr_conn *conn, void *self, struct gyr_span message)
{
    (void)self;
    note(conn, "%.*s", (int)message.size, message.ptr);
    return message.size != 0 && message.ptr[0] == 'w' ? scenario_hold(conn)
                                                      : gyr_send(conn, GYR_TEXT, message);
}
static int wait_ends(struct gyr_conn *conn, void *arg)
{
    (void)arg;
    note(conn, "ends");
    return gyr_send(conn, GYR_TEXT, GYR_SPAN("ends"));
}
static const struct gyr_resource waiter = {GYR_RESOURCE_PLAIN("waiter"), .on_text = text_waits};
static const struct gyr_route waiters[] = {GYR_ROUTE("/", &waiter), {0}};

void scenario_040_messages_wait_for_the_one_before_but_not_for_others(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        scenario_cores(&at, 1); /* so that others share the thread */
        ROUTES(&at, "", waiters);
        SERVE(&at);
        struct scenario_client *one = OPEN(&at, "/");
        struct scenario_client *two = OPEN(&at, "/");
        scenario_say(one, "wait");
        scenario_say(one, "a");
        scenario_say(one, "wait_again");
        scenario_say(one, "b");
        NOTED(&at, "wait");
        scenario_say(two, "c");
        HEARS(two, "c");
        NOTED(&at, "c");
        scenario_let_go_with(&at, wait_ends, NULL);
        HEARS(one, "ends");
        HEARS(one, "a");
        NOTED(&at, "ends a wait_again");
        scenario_say(two, "d");
        HEARS(two, "d");
        scenario_let_go_with(&at, wait_ends, NULL);
        HEARS(one, "ends");
        HEARS(one, "b");
        LEAVE(one);
        LEAVE(two);
        ENDED(&at, "d ends b");
    }
}

/* ---- a state of several resources ---- */

struct level {
    int unused;
};

/* A child that writes in its constructor, and notes what it and its parents see. */
static int child_create(struct gyr_conn *conn, void *self)
{
    return gyr_state_set(conn, self, GYR_SPAN("k"), GYR_SPAN("by_child"));
}
static int child_connect(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)request;
    state_note(conn, self, "child");
    state_note(conn, NULL, "innermost");
    state_note(conn, gyr_self(conn, 1), "parent");
    if (gyr_self(conn, 2) != NULL) {
        state_note(conn, gyr_self(conn, 2), "top");
    }
    return 0;
}
static int parent_create(struct gyr_conn *conn, void *self)
{
    return gyr_state_set(conn, self, GYR_SPAN("k"), GYR_SPAN("by_parent"));
}
static int parent_gives_empty(struct gyr_conn *conn, void *self)
{
    (void)self;
    return gyr_give_state(conn, NULL, NULL);
}

static const struct gyr_resource reader = {GYR_RESOURCE(level), .on_connect = child_connect};
static const struct gyr_resource writer = {GYR_RESOURCE(level), .create = child_create,
                                           .on_connect = child_connect};
static const struct gyr_route readers[] = {
    GYR_ROUTE("read", &reader), GYR_ROUTE("write", &writer), {0}};
static const struct gyr_resource sharing = {GYR_RESOURCE(level), .create = parent_create,
                                            .children = readers};
static const struct gyr_resource middle = {GYR_RESOURCE(level), .children = readers};
static const struct gyr_route middles[] = {
    GYR_ROUTE("middle", &middle), GYR_ROUTE("write", &writer), {0}};
static const struct gyr_resource giving = {GYR_RESOURCE(level), .create = parent_create,
                                           .give = parent_gives_empty, .children = middles};
static const struct gyr_route tops[] = {
    GYR_ROUTE("/share", &sharing), GYR_ROUTE("/give", &giving), {0}};

void scenario_046_parent_and_child_share_one_state(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", tops);
        SERVE(&at);
        VISIT(&at, "/share/read");
        ENDED(&at, "child=by_parent innermost=by_parent parent=by_parent");
    }
}

static int giver_give(struct gyr_conn *conn, void *self)
{
    struct owner *giver = self;
    giver->store.at = scenario_of(conn);
    return gyr_give_state(conn, &store_ops, &giver->store);
}
static int giver_create(struct gyr_conn *conn, void *self)
{
    return gyr_state_set(conn, self, GYR_SPAN("k"), GYR_SPAN("by_parent"));
}
static const struct gyr_resource store_giver = {GYR_RESOURCE(owner), .create = giver_create,
                                                .give = giver_give, .children = middles};
static const struct gyr_route store_givers[] = {GYR_ROUTE("/store", &store_giver), {0}};

void scenario_047_a_state_that_is_given_is_the_childs_and_the_grandchilds(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", tops);
        ROUTES(&at, "", store_givers);
        SERVE(&at);
        VISIT(&at, "/give/write");
        NOTED(&at, "child=by_child innermost=by_child parent=by_parent");
        VISIT(&at, "/give/middle/write");
        NOTED(&at, "child=by_child innermost=by_child parent=by_child top=by_parent");
        VISIT(&at, "/store/middle/write");
        ENDED(&at, "set:k get:k child=by_child get:k innermost=by_child get:k parent=by_child "
                   "top=by_parent store:destroy");
    }
}

void scenario_048_what_a_child_writes_in_its_constructor_stays(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", tops);
        SERVE(&at);
        VISIT(&at, "/share/write");
        ENDED(&at, "child=by_child innermost=by_child parent=by_child");
    }
}
