/* SPDX-License-Identifier: MIT */
/* Scenarios 27 to 37: how a connection is accepted or refused, and how it ends. */
#include "tests/scenario_kit.h"

#include <errno.h>

SCENARIO_TRACED(place);

static const struct gyr_resource echo = {GYR_RESOURCE(place), SCENARIO_LIFE(place),
                                         .on_text = scenario_echo};
static const struct gyr_route echoes[] = {GYR_ROUTE("/echo", &echo), {0}};

#define ECHO_BEGAN "place:create place:connect"

void scenario_027_a_handler_that_accepts_lets_frames_flow(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", echoes);
        SERVE(&at);
        struct scenario_client *client = OPEN(&at, "/echo");
        scenario_say(client, "one");
        HEARS(client, "one");
        scenario_say(client, "two");
        HEARS(client, "two");
        LEAVE(client);
        ENDED(&at, ECHO_BEGAN " place:disconnect:1000 place:destroy");
    }
}

static int refuse_connect(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    struct gyr_span how = gyr_param(conn, "x");
    (void)self;
    (void)request;
    note(conn, "refuses");
    switch (how.ptr[0]) {
    case 's':
        return gyr_refuse(conn, 451, GYR_SPAN("not here"));
    case 'c':
        return gyr_refuse_close(conn, 4401, GYR_SPAN("who are you?"));
    default:
        return GYR_ERR_REFUSED;
    }
}
static const struct gyr_resource refuser = {GYR_RESOURCE(place), .create = place_create,
                                            .destroy = place_destroy, .on_connect = refuse_connect,
                                            .on_disconnect = place_disconnect};
static const struct gyr_route refusers[] = {GYR_ROUTE("/{x}", &refuser), {0}};

void scenario_028_a_handler_that_rejects_chooses_how(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", refusers);
        SERVE(&at);
        struct scenario_client *client = scenario_client(&at);
        EXPECT_INT(scenario_upgrade(client, "/d", ""), 403, "by default");
        NOTED(&at, "place:create refuses place:destroy");
        /* It never became a WebSocket: the connection goes on with HTTP, as a client expects that
         * has to say who it is (RFC 6455 section 4.1). */
        EXPECT_INT(scenario_upgrade(client, "/s", ""), 451, "as it says");
        expect_text(client->content, "not here", "content", __FILE__, __LINE__);
        NOTED(&at, "place:create refuses place:destroy");
        client = OPEN(&at, "/c");
        HEARS_CLOSE(client, 4401, "who are you?");
        ENDED(&at, "place:create refuses place:destroy");
        EXPECT_INT(scenario_logged(&at, "app.failed"), 0, "a refusal is no failure");
    }
}

static int fail_connect(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)self;
    (void)request;
    note(conn, "fails");
    return -EIO;
}
static int after_notes(struct gyr_hook_call *call)
{
    note(call->conn, "after:%d", call->err);
    return 0;
}
static const struct gyr_resource failing = {GYR_RESOURCE(place), .create = place_create,
                                            .destroy = place_destroy, .on_connect = fail_connect,
                                            .on_disconnect = place_disconnect};
static const struct gyr_route failings[] = {GYR_ROUTE("/fail", &failing), {0}};
static const struct gyr_hook after_hooks[] = {GYR_HOOK("after", .after_connect = after_notes), {0}};

void scenario_029_a_handler_that_fails_is_seen_reported_and_refused(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", failings);
        EXPECT_INT(gyr_app_hooks(at.app, NULL, after_hooks, &at.error), 0, at.error.text);
        SERVE(&at);
        REFUSED(&at, "/fail", 500);
        ENDED(&at, "place:create fails failed:on_connect:-5 after:-5 place:destroy");
        EXPECT_INT(scenario_logged(&at, "what=on_connect resource=place"), 1, "a line");
    }
}

static int greet_connect(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    int err = gyr_send(conn, GYR_TEXT, GYR_SPAN("one"));
    (void)self;
    (void)request;
    return err < 0 ? err : gyr_send(conn, GYR_TEXT, GYR_SPAN("two"));
}
static const struct gyr_resource greeter = {GYR_RESOURCE_PLAIN("greeter"),
                                            .on_connect = greet_connect, .on_text = scenario_echo};
static const struct gyr_route greeters[] = {GYR_ROUTE("/", &greeter), {0}};

void scenario_030_what_is_sent_while_connecting_comes_first_and_in_order(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", greeters);
        SERVE(&at);
        struct scenario_client *client = OPEN(&at, "/");
        scenario_say(client, "three");
        HEARS(client, "one");
        HEARS(client, "two");
        HEARS(client, "three");
        LEAVE(client);
    }
}

static int choose_connect(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)self;
    (void)request;
    note(conn, "chosen:%d", gyr_subprotocol(conn, "chat.v2"));
    return 0;
}
static const char *const best_first[] = {"a", "b", NULL};
static const struct gyr_resource chooser = {GYR_RESOURCE_PLAIN("chooser"),
                                            .on_connect = choose_connect};
static const struct gyr_resource lister = {GYR_RESOURCE_PLAIN("lister"),
                                           .subprotocols = best_first};
static const struct gyr_route choosers[] = {
    GYR_ROUTE("/choose", &chooser), GYR_ROUTE("/list", &lister), {0}};

static void subprotocol_is(struct scenario *at, const char *path, const char *offers,
                           const char *chosen)
{
    struct scenario_client *client = OPEN_WITH(at, path, offers);
    expect_text(scenario_field(client, "Sec-WebSocket-Protocol"), chosen, offers, __FILE__,
                __LINE__);
    LEAVE(client);
}

void scenario_031_only_a_subprotocol_that_was_offered_is_chosen(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", choosers);
        SERVE(&at);
        subprotocol_is(&at, "/choose", "Sec-WebSocket-Protocol: chat.v1, chat.v2\r\n", "chat.v2");
        NOTED(&at, "chosen:0");
        subprotocol_is(&at, "/choose", "Sec-WebSocket-Protocol: chat.v1\r\n", "");
        NOTED(&at, "chosen:-5012");
        subprotocol_is(&at, "/choose", "", "");
        NOTED(&at, "chosen:-5012");
        subprotocol_is(&at, "/list", "Sec-WebSocket-Protocol: c, b, a\r\n", "a");
        subprotocol_is(&at, "/list", "Sec-WebSocket-Protocol: c, b\r\n", "b");
        subprotocol_is(&at, "/list", "Sec-WebSocket-Protocol: c\r\n", "");
        ENDED(&at, "");
    }
}

static int text_closes(struct gyr_conn *conn, void *self, struct gyr_span message)
{
    (void)self;
    return gyr_close(conn, 4001, message);
}
static const struct gyr_resource closer = {GYR_RESOURCE(place), SCENARIO_LIFE(place),
                                           .on_text = text_closes};
static const struct gyr_route closers[] = {GYR_ROUTE("/", &closer), {0}};

void scenario_032_a_close_of_the_server_shows_its_code_and_reason(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", closers);
        SERVE(&at);
        struct scenario_client *client = OPEN(&at, "/");
        scenario_say(client, "enough");
        HEARS_CLOSE(client, 4001, "enough");
        ENDED(&at, ECHO_BEGAN " place:disconnect:4001 place:destroy");
    }
}

static int text_waits(struct gyr_conn *conn, void *self, struct gyr_span message)
{
    (void)self;
    note(conn, "begins:%.*s", (int)message.size, message.ptr);
    return scenario_hold(conn);
}
static int wait_ends(struct gyr_conn *conn, void *arg)
{
    if (conn != NULL) {
        note(conn, "ends");
    }
    return (int)(intptr_t)arg;
}
static const struct gyr_resource waiter = {GYR_RESOURCE(place), SCENARIO_LIFE(place),
                                           .on_text = text_waits};
static const struct gyr_route waiters[] = {GYR_ROUTE("/", &waiter), {0}};

void scenario_033_a_close_of_the_client_comes_once_and_after_the_handler(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", waiters);
        SERVE(&at);
        struct scenario_client *client = OPEN(&at, "/");
        scenario_say(client, "work");
        scenario_send_close(client, 1001, "going away");
        NOTED(&at, ECHO_BEGAN " begins:work");
        scenario_let_go_with(&at, wait_ends, NULL);
        NOTED(&at, "ends place:disconnect:1001 place:destroy");
        HEARS_CLOSE(client, 1001, "");
        ENDED(&at, "");
    }
}

void scenario_034_a_reset_is_1006_once(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", echoes);
        SERVE(&at);
        struct scenario_client *client = OPEN(&at, "/echo");
        scenario_say(client, "here");
        HEARS(client, "here");
        scenario_reset(client);
        NOTED(&at, ECHO_BEGAN " place:disconnect:1006 place:destroy");
        ENDED(&at, "");
    }
}

static int before_disconnect_notes(struct gyr_hook_call *call)
{
    note(call->conn, "hook:%u", call->close_code);
    return 0;
}
static const struct gyr_hook leave_hooks[] = {
    GYR_HOOK("leave", .before_disconnect = before_disconnect_notes), {0}};

void scenario_035_a_peer_that_vanishes_ends_as_1006_with_all_callbacks(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        at.config.heartbeat_interval_ms = 20;
        at.config.heartbeat_timeout_ms = 20;
        ROUTES(&at, "", echoes);
        EXPECT_INT(gyr_app_hooks(at.app, NULL, leave_hooks, &at.error), 0, at.error.text);
        SERVE(&at);
        (void)OPEN(&at, "/echo"); /* it stays, and answers no Ping */
        NOTED(&at, ECHO_BEGAN " hook:1006 place:disconnect:1006 place:destroy");
        ENDED(&at, "");
    }
}

/* ---- never accepted ---- */

SCENARIO_TRACED(outer);
SCENARIO_TRACED(inner);

static int wait_connect(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)self;
    (void)request;
    note(conn, "waits");
    return scenario_hold(conn);
}
static const struct gyr_resource never = {GYR_RESOURCE(inner), .create = inner_create,
                                          .destroy = inner_destroy, .on_connect = wait_connect,
                                          .on_disconnect = inner_disconnect};
static const struct gyr_route nevers[] = {GYR_ROUTE("never", &never), {0}};
static const struct gyr_resource around = {GYR_RESOURCE(outer), SCENARIO_LIFE(outer),
                                           .children = nevers};
static const struct gyr_route arounds[] = {GYR_ROUTE("/outer", &around), {0}};

void scenario_036_who_was_never_accepted_is_destroyed_without_a_disconnect(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", arounds);
        SERVE(&at);
        struct scenario_client *client = scenario_client(&at);
        static const char ask[] = "GET /outer/never HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                                  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        scenario_write(client, ask);
        NOTED(&at, "outer:create inner:create waits");
        scenario_reset(client);
        NOTED(&at, "inner:destroy outer:destroy");
        scenario_let_go(&at, 0); /* finds nobody */
        client = scenario_client(&at);
        scenario_write(client, ask);
        NOTED(&at, "outer:create inner:create waits");
        scenario_let_go(&at, -EIO);
        NOTED(&at, "failed:on_connect:-5 inner:destroy outer:destroy");
        ENDED(&at, "");
    }
}

static const struct gyr_resource bare = {GYR_RESOURCE_PLAIN("bare")};
static const struct gyr_route bares[] = {GYR_ROUTE("/bare", &bare), {0}};

void scenario_037_without_functions_all_is_accepted_and_ignored(void)
{
    static const char *const messages[] = {"{\"type\":\"ping\"}", "no JSON", "", "{}"};
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", bares);
        SERVE(&at);
        struct scenario_client *client = OPEN(&at, "/bare");
        for (size_t i = 0; i < COUNT_OF(messages); i++) {
            scenario_say(client, messages[i]);
            scenario_send(client, GYR_BINARY, messages[i], strlen(messages[i]));
        }
        LEAVE(client); /* the next that comes is the answer to its Close */
        ENDED(&at, "");
        EXPECT_INT(scenario_logged(&at, "app."), 0, "silently");
    }
}
