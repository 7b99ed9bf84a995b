/* SPDX-License-Identifier: MIT */
/* Scenarios 78 to 90: the layers of hooks round what happens to a connection. */
#include "tests/scenario_kit.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

SCENARIO_TRACED(outer);
SCENARIO_TRACED(inner);

static const char *layer_of(const struct gyr_hook_call *call)
{
    return call->resource != NULL ? call->resource->name : "global";
}
static int notes_before(struct gyr_hook_call *call)
{
    note(call->conn, "before:%s", layer_of(call));
    return 0;
}
static int notes_after(struct gyr_hook_call *call)
{
    note(call->conn, "after:%s:%d", layer_of(call), call->err);
    return 0;
}
static int notes_end(struct gyr_hook_call *call)
{
    note(call->conn, "end:%s:%u", layer_of(call), call->close_code);
    return 0;
}
static int fails(struct gyr_hook_call *call)
{
    note(call->conn, "fails:%s:%d", layer_of(call), call->err);
    return -EIO;
}
static int fails_otherwise(struct gyr_hook_call *call)
{
    note(call->conn, "fails:%s:%d", layer_of(call), call->err);
    return -EPERM;
}

static const struct gyr_hook connect_hooks[] = {
    GYR_HOOK("connect", .before_connect = notes_before, .after_connect = notes_after), {0}};
static const struct gyr_hook receive_hooks[] = {
    GYR_HOOK("receive", .before_receive = notes_before, .after_receive = notes_after), {0}};
static const struct gyr_hook end_hooks[] = {GYR_HOOK("end", .before_disconnect = notes_end), {0}};

/* "fail" fails, "wait" waits, "close" closes, all else comes back. */
static int text_acts(struct gyr_conn *conn, void *self, struct gyr_span message)
{
    (void)self;
    note(conn, "handler:%.*s", (int)message.size, message.ptr);
    switch (message.size != 0 ? message.ptr[0] : '\0') {
    case 'f':
        return -EBUSY;
    case 'w':
        return scenario_hold(conn);
    case 'c':
        return gyr_close(conn, 4000, GYR_SPAN(""));
    default:
        return gyr_send(conn, GYR_TEXT, message);
    }
}

static const struct gyr_resource child = {GYR_RESOURCE(inner), SCENARIO_LIFE(inner),
                                          .on_text = text_acts};
static const struct gyr_route children[] = {GYR_ROUTE("in/{id}", &child), {0}};
static const struct gyr_resource parent = {GYR_RESOURCE(outer), SCENARIO_LIFE(outer),
                                           .children = children};
static const struct gyr_route parents[] = {GYR_ROUTE("/out", &parent), {0}};

/* Hooks for the application, the parent and the child; NULL: none. */
static void serve_with(struct scenario *at, const struct gyr_hook *global,
                       const struct gyr_hook *of_parent, const struct gyr_hook *of_child)
{
    ROUTES(at, "", parents);
    if (global != NULL) {
        EXPECT_INT(gyr_app_hooks(at->app, NULL, global, &at->error), 0, at->error.text);
    }
    if (of_parent != NULL) {
        EXPECT_INT(gyr_app_hooks(at->app, &parent, of_parent, &at->error), 0, at->error.text);
    }
    if (of_child != NULL) {
        EXPECT_INT(gyr_app_hooks(at->app, &child, of_child, &at->error), 0, at->error.text);
    }
    SERVE(at);
}

#define MADE   "outer:create inner:create"
#define OPENED MADE " inner:connect"
#define LEFT   "inner:disconnect:1000 inner:destroy outer:destroy"

void scenario_078_connecting_passes_the_layers_inwards_and_outwards(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        serve_with(&at, connect_hooks, connect_hooks, connect_hooks);
        VISIT(&at, "/out/in/1");
        ENDED(&at, "before:global outer:create inner:create before:outer before:inner "
                   "inner:connect after:inner:0 after:outer:0 after:global:0 " LEFT);
    }
}

static int page_get(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)self;
    (void)request;
    note(conn, "get");
    return gyr_respond_text(conn, 200, "text/plain", GYR_SPAN("page"));
}
static const struct gyr_resource page = {
    GYR_RESOURCE(inner), .create = inner_create, .destroy = inner_destroy,
    .methods = GYR_METHODS(GYR_GET(page_get)), .hooks = connect_hooks};
static const struct gyr_route pages[] = {GYR_ROUTE("/page", &page), {0}};

void scenario_078_a_request_of_http_passes_them_as_a_handshake_does(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", pages);
        serve_with(&at, connect_hooks, NULL, NULL);
        struct scenario_client *client = scenario_client(&at);
        EXPECT_INT(scenario_request(client, "GET", "/page", "", ""), 200, "answered");
        expect_text(client->content, "page", "content", __FILE__, __LINE__);
        EXPECT_INT(scenario_request(client, "GET", "/nowhere", "", ""), 404, "and no hook");
        ENDED(&at, "before:global inner:create before:inner get after:inner:0 after:global:0 "
                   "inner:destroy");
    }
}

void scenario_079_a_message_passes_the_layers_in_the_same_order(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        serve_with(&at, receive_hooks, receive_hooks, receive_hooks);
        struct scenario_client *client = OPEN(&at, "/out/in/1");
        scenario_say(client, "x");
        HEARS(client, "x");
        LEAVE(client);
        ENDED(&at, OPENED " before:global before:outer before:inner handler:x "
                          "after:inner:0 after:outer:0 after:global:0 " LEFT);
    }
}

/* "swap" becomes "swapped"; "drop" comes to no handler. */
static int swaps(struct gyr_hook_call *call)
{
    note(call->conn, "hook:%.*s", (int)call->message.size, call->message.ptr);
    if (call->message.size == 4 && memcmp(call->message.ptr, "swap", 4) == 0) {
        const char *kept = gyr_keep(call->conn, "swapped", 7);
        call->message = (struct gyr_span){kept, 7};
        return kept != NULL ? 0 : GYR_ERR_MEMORY;
    }
    return call->message.size != 0 && call->message.ptr[0] == 'd' ? GYR_SKIP : 0;
}
static const struct gyr_hook swap_hooks[] = {
    GYR_HOOK("swap", .before_receive = swaps, .after_receive = notes_after), {0}};

void scenario_079_a_hook_replaces_a_message_or_keeps_it_from_its_handler(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        serve_with(&at, receive_hooks, swap_hooks, receive_hooks);
        struct scenario_client *client = OPEN(&at, "/out/in/1");
        scenario_say(client, "swap");
        HEARS(client, "swapped");
        NOTED(&at, OPENED " before:global hook:swap before:inner handler:swapped after:inner:0 "
                          "after:outer:0 after:global:0");
        scenario_say(client, "drop");
        NOTED(&at, "before:global hook:drop after:global:0");
        LEAVE(client);
        ENDED(&at, LEFT);
    }
}

static int sets_params(struct gyr_hook_call *call)
{
    int err = gyr_set_param(call->conn, "id", GYR_SPAN("replaced"));
    return err != 0 ? err : gyr_set_param(call->conn, "room", GYR_SPAN("added"));
}
static int sets_more(struct gyr_hook_call *call)
{
    return gyr_set_param(call->conn, "y", GYR_SPAN("by_the_inner"));
}
static const struct gyr_hook param_hooks[] = {GYR_HOOK("params", .before_connect = sets_params),
                                              {0}};
static const struct gyr_hook more_hooks[] = {GYR_HOOK("more", .before_connect = sets_more), {0}};
static const struct gyr_resource shown = {GYR_RESOURCE_PLAIN("shown"), .hooks = more_hooks,
                                          .on_connect = scenario_note_params};
static const struct gyr_route showns[] = {GYR_ROUTE("/show/{x}/{id}", &shown), {0}};

void scenario_080_a_hook_before_connect_adds_and_replaces_parameters(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", showns);
        serve_with(&at, param_hooks, NULL, NULL);
        VISIT(&at, "/show/1/2");
        ENDED(&at, "x=1 y=by_the_inner room=added id=replaced");
    }
}

static int refuses(struct gyr_hook_call *call)
{
    note(call->conn, "refuses:%s", layer_of(call));
    return gyr_refuse(call->conn, 401, GYR_SPAN("who are you?"));
}
static const struct gyr_hook refuse_hooks[] = {
    GYR_HOOK("refuse", .before_connect = refuses, .after_connect = notes_after), {0}};

void scenario_081_a_hook_before_connect_refuses_with_its_status(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        serve_with(&at, refuse_hooks, NULL, NULL);
        struct scenario_client *client = REFUSED(&at, "/out/in/1", 401);
        expect_text(client->content, "who are you?", "content", __FILE__, __LINE__);
        ENDED(&at, "refuses:global"); /* and nothing was made */
    }
    SCENARIO_EACH_RING(&at)
    {
        serve_with(&at, connect_hooks, refuse_hooks, connect_hooks);
        REFUSED(&at, "/out/in/1", 401);
        ENDED(&at, "before:global " MADE " refuses:outer after:global:-5014 "
                   "inner:destroy outer:destroy");
    }
}

static int waits(struct gyr_hook_call *call)
{
    struct gyr_span path = gyr_request_path(call->request);
    note(call->conn, "waits:%.*s", (int)path.size, path.ptr);
    return scenario_hold(call->conn);
}
static int refuse_later(struct gyr_conn *conn, void *arg)
{
    (void)arg;
    return gyr_refuse(conn, 401, GYR_SPAN("not you"));
}
static const struct gyr_hook wait_hooks[] = {
    GYR_HOOK("wait", .before_connect = waits, .after_connect = notes_after), {0}};

void scenario_081_a_hook_may_wait_before_it_refuses_or_lets_in(void)
{
    static const char ask[] = "GET /out/in/1 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                              "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        serve_with(&at, wait_hooks, NULL, wait_hooks);
        struct scenario_client *client = scenario_client(&at);
        scenario_write(client, ask);
        NOTED(&at, "waits:/out/in/1");
        scenario_let_go_with(&at, refuse_later, NULL);
        EXPECT_INT(scenario_answer(client), 401, "later");
        NOTED(&at, "");
        scenario_write(client, ask);
        NOTED(&at, "waits:/out/in/1");
        scenario_let_go(&at, 0);
        NOTED(&at, MADE " waits:/out/in/1");
        scenario_let_go(&at, 0);
        EXPECT_INT(scenario_answer(client), 101, "let in");
        LEAVE(client);
        ENDED(&at, "inner:connect after:inner:0 after:global:0 " LEFT);
    }
}

static const struct gyr_hook failing_before[] = {
    GYR_HOOK("first", .before_connect = notes_before, .after_connect = notes_after),
    GYR_HOOK("failing", .before_connect = fails, .after_connect = notes_after),
    GYR_HOOK("never", .before_connect = notes_before, .after_connect = notes_after),
    {0}};
static const struct gyr_hook failing_receive[] = {
    GYR_HOOK("failing", .before_receive = fails, .after_receive = notes_after), {0}};

void scenario_082_after_a_hook_that_fails_those_that_had_succeeded_run_back(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        serve_with(&at, connect_hooks, connect_hooks, failing_before);
        REFUSED(&at, "/out/in/1", 500);
        ENDED(&at, "before:global " MADE " before:outer before:inner fails:inner:0 "
                   "failed:before_connect:failing:-5 after:inner:-5 after:outer:-5 "
                   "after:global:-5 inner:destroy outer:destroy");
    }
    SCENARIO_EACH_RING(&at)
    {
        serve_with(&at, receive_hooks, receive_hooks, failing_receive);
        struct scenario_client *client = OPEN(&at, "/out/in/1");
        scenario_say(client, "x");
        HEARS_CLOSE(client, 1011, "");
        ENDED(&at, OPENED " before:global before:outer fails:inner:0 "
                          "failed:before_receive:failing:-5 after:outer:-5 after:global:-5 "
                          "inner:disconnect:1011 inner:destroy outer:destroy");
    }
}

void scenario_083_every_hook_after_sees_the_handlers_error_and_it_counts(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        serve_with(&at, receive_hooks, receive_hooks, receive_hooks);
        struct scenario_client *client = OPEN(&at, "/out/in/1");
        scenario_say(client, "fail");
        HEARS_CLOSE(client, 1011, "");
        ENDED(&at, OPENED " before:global before:outer before:inner handler:fail "
                          "failed:on_text:-16 after:inner:-16 after:outer:-16 after:global:-16 "
                          "inner:disconnect:1011 inner:destroy outer:destroy");
        EXPECT_INT(scenario_logged(&at, "app.failed"), 1, "told once");
    }
}

static const struct gyr_hook failing_after[] = {
    GYR_HOOK("failing", .after_receive = fails, .after_connect = fails), {0}};
static const struct gyr_hook failing_otherwise[] = {
    GYR_HOOK("otherwise", .after_receive = fails_otherwise, .after_connect = fails_otherwise), {0}};
static const struct gyr_hook seeing_all[] = {
    GYR_HOOK("seeing", .after_receive = notes_after, .after_connect = notes_after), {0}};
static const struct gyr_hook failing_messages[] = {GYR_HOOK("failing", .after_receive = fails),
                                                   {0}};
static const struct gyr_hook failing_messages_too[] = {
    GYR_HOOK("otherwise", .after_receive = fails_otherwise), {0}};

void scenario_084_a_hook_after_that_fails_keeps_no_other_from_running(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        serve_with(&at, seeing_all, failing_otherwise, failing_after);
        REFUSED(&at, "/out/in/1", 500);
        ENDED(&at, OPENED " fails:inner:0 failed:after_connect:failing:-5 fails:outer:-5 "
                          "failed:after_connect:otherwise:-1 after:global:-5 "
                          "inner:destroy outer:destroy");
    }
    SCENARIO_EACH_RING(&at)
    {
        serve_with(&at, receive_hooks, failing_messages_too, failing_messages);
        struct scenario_client *client = OPEN(&at, "/out/in/1");
        scenario_say(client, "x");
        HEARS(client, "x");
        HEARS_CLOSE(client, 1011, "");
        client = OPEN(&at, "/out/in/1");
        scenario_say(client, "fail");
        HEARS_CLOSE(client, 1011, "");
        ENDED(&at, OPENED " before:global handler:x fails:inner:0 failed:after_receive:failing:-5 "
                          "fails:outer:-5 failed:after_receive:otherwise:-1 after:global:-5 "
                          "inner:disconnect:1011 inner:destroy outer:destroy " OPENED
                          " before:global handler:fail failed:on_text:-16 fails:inner:-16 "
                          "failed:after_receive:failing:-5 fails:outer:-16 "
                          "failed:after_receive:otherwise:-1 after:global:-16 "
                          "inner:disconnect:1011 inner:destroy outer:destroy");
    }
}

/* ---- several in one layer ---- */

static int names_before(struct gyr_hook_call *call)
{
    *(char *)call->data = *(const char *)call->user;
    note(call->conn, "before:%s:%s", layer_of(call), (const char *)call->user);
    return 0;
}
static int names_after(struct gyr_hook_call *call)
{
    note(call->conn, "after:%s:%s:%c", layer_of(call), (const char *)call->user,
         *(const char *)call->data);
    return 0;
}
static char name_a[] = "a";
static char name_b[] = "b";
#define NAMING(name) \
    .before_receive = names_before, .after_receive = names_after, .user = (name), .data_size = 1
static const struct gyr_hook naming_hooks[] = {
    GYR_HOOK("a", NAMING(name_a)), GYR_HOOK("b", NAMING(name_b)), {0}};

void scenario_085_in_one_layer_the_hooks_after_run_in_reverse(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        serve_with(&at, naming_hooks, NULL, naming_hooks);
        struct scenario_client *client = OPEN(&at, "/out/in/1");
        scenario_say(client, "x");
        HEARS(client, "x");
        LEAVE(client);
        ENDED(&at, OPENED " before:global:a before:global:b before:inner:a before:inner:b "
                          "handler:x after:inner:b:b after:inner:a:a after:global:b:b "
                          "after:global:a:a " LEFT);
    }
}

void scenario_086_an_event_that_does_not_exist_or_no_function_is_an_error(void)
{
    static const struct gyr_hook empty[] = {GYR_HOOK("empty", .user = name_a), {0}};
    static const int events[] = {0, GYR_BEFORE_DISCONNECT + 1, INT_MAX, -1};
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        struct gyr_app *app = scenario_app(&at);
        for (size_t i = 0; i < COUNT_OF(events); i++) {
            EXPECT_INT(gyr_app_hook(app, NULL, (enum gyr_hook_event)events[i], notes_before, NULL,
                                    &at.error),
                       GYR_ERR_ARGUMENT, "an event");
            char expected[128];
            (void)snprintf(expected, sizeof(expected),
                           "there is no event %u; see enum "
                           "gyr_hook_event",
                           (unsigned)events[i]);
            ERROR(&at, expected);
        }
        EXPECT_INT(gyr_app_hook(app, NULL, GYR_BEFORE_CONNECT, NULL, NULL, &at.error),
                   GYR_ERR_ARGUMENT, "no function");
        ERROR(&at, "the hook of the event 1 has no function; give it one");
        EXPECT_INT(gyr_app_hooks(app, NULL, empty, &at.error), GYR_ERR_ARGUMENT, "none in a row");
        ERROR(&at, "the hook \"empty\" has no function; give it one of the five");
        serve_with(&at, NULL, NULL, NULL);
        VISIT(&at, "/out/in/1");
        ENDED(&at, OPENED " " LEFT);
    }
}

/* ---- bases ---- */

static int names_user(struct gyr_hook_call *call)
{
    note(call->conn, "before:%s:%s", layer_of(call), (const char *)call->user);
    return 0;
}

struct based {
    struct inner base;
};
static const struct gyr_resource derived = {GYR_RESOURCE(based), .base = &child};
static const struct gyr_route bases[] = {
    GYR_ROUTE("/base", &child), GYR_ROUTE("/derived", &derived), {0}};

void scenario_087_a_hook_of_a_base_fires_for_who_derives_never_the_other_way(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", bases); /* and later */
        EXPECT_INT(
            gyr_app_hook(at.app, &derived, GYR_BEFORE_CONNECT, names_user, name_b, &at.error), 0,
            at.error.text);
        EXPECT_INT(gyr_app_hook(at.app, &child, GYR_BEFORE_CONNECT, names_user, name_a, &at.error),
                   0, at.error.text);
        SERVE(&at);
        VISIT(&at, "/base");
        NOTED(&at, "inner:create before:inner:a inner:connect inner:disconnect:1000 inner:destroy");
        VISIT(&at, "/derived");
        ENDED(&at, "inner:create before:based:a before:based:b inner:connect inner:disconnect:1000 "
                   "inner:destroy");
    }
}

/* ---- ends ---- */

static void cancelled(void *arg)
{
    scenario_note(arg, "cancelled");
}
static int text_cancels(struct gyr_conn *conn, void *self, struct gyr_span message)
{
    (void)self;
    (void)message;
    note(conn, "handler");
    gyr_on_cancel(conn, cancelled, scenario_of(conn));
    return scenario_hold(conn);
}
static const struct gyr_resource cancelling = {GYR_RESOURCE(inner), SCENARIO_LIFE(inner),
                                               .on_text = text_cancels};
static const struct gyr_route cancellings[] = {GYR_ROUTE("/", &cancelling), {0}};

void scenario_088_after_a_cancelled_handler_no_hook_runs_but_all_is_torn_down(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", cancellings);
        EXPECT_INT(gyr_app_hooks(at.app, NULL, end_hooks, &at.error), 0, at.error.text);
        serve_with(&at, receive_hooks, NULL, NULL);
        struct scenario_client *client = OPEN(&at, "/");
        scenario_say(client, "x");
        NOTED(&at, "inner:create inner:connect before:global handler");
        scenario_reset(client);
        NOTED(&at, "cancelled end:global:1006 inner:disconnect:1006 inner:destroy");
        scenario_let_go(&at, 0); /* finds nobody */
        ENDED(&at, "");
    }
}

void scenario_089_hooks_before_disconnect_run_once_however_it_ends(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        serve_with(&at, end_hooks, end_hooks, end_hooks);
        LEAVE_WITH(OPEN(&at, "/out/in/1"), 1000);
        NOTED(&at, OPENED " end:global:1000 end:outer:1000 end:inner:1000 " LEFT);
        struct scenario_client *client = OPEN(&at, "/out/in/1");
        scenario_say(client, "close");
        HEARS_CLOSE(client, 4000, "");
        NOTED(&at, OPENED " handler:close end:global:4000 end:outer:4000 end:inner:4000 "
                          "inner:disconnect:4000 inner:destroy outer:destroy");
        scenario_reset(OPEN(&at, "/out/in/1"));
        NOTED(&at, OPENED " end:global:1006 end:outer:1006 end:inner:1006 "
                          "inner:disconnect:1006 inner:destroy outer:destroy");
        client = OPEN(&at, "/out/in/1");
        scenario_say(client, "fail");
        HEARS_CLOSE(client, 1011, "");
        NOTED(&at, OPENED " handler:fail failed:on_text:-16 end:global:1011 end:outer:1011 "
                          "end:inner:1011 inner:disconnect:1011 inner:destroy outer:destroy");
        client = OPEN(&at, "/out/in/1");
        gyr_server_stop(at.server);
        HEARS_CLOSE(client, 1001, "");
        ENDED(&at, OPENED " end:global:1001 end:outer:1001 end:inner:1001 "
                          "inner:disconnect:1001 inner:destroy outer:destroy");
    }
}

static int connect_refuses(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)self;
    (void)request;
    note(conn, "rejects");
    return gyr_refuse(conn, 409, GYR_SPAN("full"));
}
static const struct gyr_resource rejecting = {GYR_RESOURCE(inner),
                                              .create = inner_create,
                                              .destroy = inner_destroy,
                                              .on_connect = connect_refuses,
                                              .on_disconnect = inner_disconnect,
                                              .hooks = connect_hooks};
static const struct gyr_route rejectings[] = {GYR_ROUTE("/full", &rejecting), {0}};

void scenario_090_after_a_rejection_hooks_see_that_it_is_one_and_no_failure(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", rejectings);
        serve_with(&at, connect_hooks, NULL, NULL);
        REFUSED(&at, "/full", 409);
        ENDED(&at, "before:global inner:create before:inner rejects after:inner:-5014 "
                   "after:global:-5014 inner:destroy");
        EXPECT_INT(scenario_logged(&at, "app.failed"), 0, "nothing has failed");
    }
}
