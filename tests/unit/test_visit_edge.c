/* SPDX-License-Identifier: MIT */
/* Where a visit may be led astray: by functions that answer, refuse or wait where few do, and by
 * what they look at afterwards. */
#include "router/visit.h"
#include "tests/app_probe.h"
#include "tests/parser_kit.h"
#include "tests/visit_kit.h"

#include <CUnit/CUnit.h>
#include <stdio.h>

/* ---- the id of a message whose bytes have gone ---- */

static int take_raw(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    (void)conn, (void)payload;
    app_kit_note(probe_kit(self), "raw");
    return 0;
}

static int answer_after(struct gyr_hook_call *call)
{
    struct gyr_span id = gyr_message_id(call->conn);
    app_kit_note(probe_kit(call->self), "id %.*s, answered %d", (int)id.size, id.ptr,
                 gyr_answer_error(call->conn, "late", "it is late", NULL));
    return 0;
}

static int wait_after(struct gyr_hook_call *call)
{
    return call->message.size > 30 ? GYR_PENDING : 0;
}

static const struct gyr_resource late = {
    PROBE("late"),
    .handlers = GYR_HANDLERS(GYR_ON_RAW("raw", take_raw)),
    .hooks = GYR_HOOKS(GYR_HOOK("answer", .after_receive = answer_after),
                       GYR_HOOK("wait", .after_receive = wait_after)),
};
static const struct gyr_route late_routes[] = {GYR_ROUTE("/", &late), {0}};

void visit_keeps_the_id_of_a_message_while_an_after_hook_waits(void)
{
    struct app_kit kit;
    app_kit_init(&kit);
    app_kit_start(&kit, late_routes);
    (void)app_kit_open(&kit, "/");
    app_kit_say(&kit, "{\"type\":\"raw\",\"id\":\"the first message of two\"}");
    EXPECT(app_kit_noted(&kit, "raw\n"), "handled, and a hook waits");
    app_kit_say(&kit, "{\"type\":\"raw\",\"id\":2,\"x\":1}");
    EXPECT_INT(gyr_finish(kit.conn, 0), 0, "its bytes may be others now");
    kit_run(&kit.hub.kit);
    EXPECT(app_kit_noted(&kit, "id \"the first message of two\", answered 0\n"
                               "raw\nid 2, answered 0\n"),
           "each its own");
    EXPECT(app_kit_got(&kit,
                       "{\"type\":\"error\",\"re\":\"the first message of two\",\"code\":\"late\","
                       "\"reason\":\"it is late\",\"path\":\"\"}\n"
                       "{\"type\":\"error\",\"re\":2,\"code\":\"late\","
                       "\"reason\":\"it is late\",\"path\":\"\"}\n"),
           "each its own");
    app_kit_end(&kit);
}

/* ---- a message that a hook has replaced ---- */

static int replace_before(struct gyr_hook_call *call)
{
    static const char bytes[] = "{\"type\":\"ping\",\"text\":\"\xc3\"}";
    if (call->message.size != 0 && call->message.ptr[0] == '*') {
        call->message.ptr = gyr_keep(call->conn, bytes, sizeof(bytes) - 1);
        call->message.size = sizeof(bytes) - 1;
    }
    return 0;
}

static const struct gyr_resource replaced = {
    PROBE("replaced"),
    .handlers = GYR_HANDLERS(GYR_ON(ping, probe_ping), GYR_ON_RAW("raw", take_raw)),
    .on_unhandled = probe_unhandled,
    .hooks = GYR_HOOKS(GYR_HOOK("replace", .before_receive = replace_before)),
};
static const struct gyr_route replaced_routes[] = {GYR_ROUTE("/", &replaced), {0}};

void visit_checks_what_a_hook_has_put_for_a_message(void)
{
    struct app_kit kit;
    app_kit_init(&kit);
    app_kit_start(&kit, replaced_routes);
    (void)app_kit_open(&kit, "/");
    app_kit_say(&kit, "*");
    EXPECT(app_kit_noted(&kit, "text utf8 '' tag 'ping' id '' but its bytes have changed\n"),
           "text is UTF-8 because it was checked, and this was not");
    app_kit_say(&kit, "{\"type\":\"ping\",\"text\":\"\xc3\xa4\"}");
    EXPECT(app_kit_noted(&kit, "ping \xc3\xa4\n"), "the next one is itself");
    app_kit_end(&kit);
}

/* ---- who upgrades by himself ---- */

static int upgrade_get(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)self, (void)request;
    return gyr_upgrade(conn, NULL);
}

static int upgrade_before(struct gyr_hook_call *call)
{
    int err = gyr_upgrade(call->conn, NULL);
    return err < 0 ? err : GYR_SKIP;
}

static void room_disconnect(struct gyr_conn *conn, void *self, uint16_t close_code,
                            struct gyr_span reason)
{
    (void)self, (void)reason;
    visit_trace(conn, "disconnect:%u", close_code);
}

static int room_text(struct gyr_conn *conn, void *self, struct gyr_span message)
{
    (void)self, (void)message;
    visit_trace(conn, "text");
    return 0;
}

static int room_create(struct gyr_conn *conn, void *self)
{
    (void)self;
    visit_trace(conn, "create");
    return 0;
}

static void room_destroy(struct gyr_conn *conn, void *self)
{
    (void)self;
    visit_trace(conn, "destroy");
}

#define ROOM                                                                          \
    .create = room_create, .destroy = room_destroy, .on_disconnect = room_disconnect, \
    .on_text = room_text

static const struct gyr_resource room = {GYR_RESOURCE_PLAIN("room"), ROOM};
static const struct gyr_resource over = {
    GYR_RESOURCE_PLAIN("over"),
    ROOM,
    .children = GYR_ROUTES(GYR_ROUTE_HTTP("plain", GYR_METHODS(GYR_GET(upgrade_get))),
                           GYR_ROUTE("room", &room)),
};
static const struct gyr_route upgrade_routes[] = {
    GYR_ROUTE_HTTP("/plain", GYR_METHODS(GYR_GET(upgrade_get))), GYR_ROUTE("/over", &over), {0}};

static void expect_no_socket(struct visit_kit *visit_kit, const char *path, const char *trace)
{
    struct kit *kit = &visit_kit->kit;
    visit_kit_upgrade(visit_kit, path, "");
    EXPECT_OUTPUT(kit, KIT_101_WITH("") "\x88\x02\x03\xf3", path);
    KIT_FRAME(kit, 0x81, "hi");
    KIT_FRAME(kit, 0x88, "\x03\xf3");
    EXPECT_TRACE(visit_kit, trace, path);
}

void visit_gives_no_messages_to_what_was_not_made_for_them(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, upgrade_routes);
    expect_no_socket(&visit_kit, "/plain", "");
    expect_no_socket(&visit_kit, "/over/plain", "create destroy");
    visit_kit_end(&visit_kit);
}

void visit_gives_no_messages_to_a_resource_that_a_hook_has_skipped(void)
{
    static const struct gyr_hook hooks[] = {GYR_HOOK("upgrade", .before_connect = upgrade_before),
                                            {0}};
    struct visit_kit visit_kit;
    struct gyr_error error;
    visit_kit_init(&visit_kit);
    visit_kit_app(&visit_kit);
    EXPECT_INT(gyr_app_routes(visit_kit.app, "", upgrade_routes), 0, "routes");
    EXPECT_INT(gyr_app_hooks(visit_kit.app, NULL, hooks, &error), 0, "hooks");
    visit_kit_start(&visit_kit);
    expect_no_socket(&visit_kit, "/over/room", "");
    expect_no_socket(&visit_kit, "/plain", "");
    visit_kit_end(&visit_kit);
}

/* ---- gifts and refusals at once ---- */

static int give_and_refuse(struct gyr_conn *conn, void *self)
{
    char text[32];
    (void)self;
    memset(text, 'x', sizeof(text));
    EXPECT_INT(gyr_give(conn, "nothing", self), GYR_ERR_NOT_FOUND, "nobody knows it");
    return gyr_refuse(conn, 404, (struct gyr_span){text, sizeof(text)});
}

static const struct gyr_resource giver = {
    GYR_RESOURCE_PLAIN("giver"),
    .give = give_and_refuse,
    .children = GYR_ROUTES(GYR_ROUTE("room", &room)),
};
static const struct gyr_route giver_routes[] = {GYR_ROUTE("/giver", &giver), {0}};

void visit_names_a_gift_that_nobody_knows_though_it_was_refused_too(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, giver_routes);
    visit_kit.told = true;
    visit_kit_upgrade(&visit_kit, "/giver/room", "");
    EXPECT_INT(visit_kit_status(&visit_kit), 500, "a mistake of the service");
    EXPECT_TRACE(&visit_kit, "!give:giver.nothing-5005", "its name");
    visit_kit_end(&visit_kit);
}

/* ---- what comes while the innermost is being made ---- */

static int wait_create(struct gyr_conn *conn, void *self)
{
    (void)self;
    gyr_conn_timer(conn, 100);
    visit_trace(conn, "create");
    return GYR_PENDING;
}

static void room_timer(struct gyr_conn *conn, void *self)
{
    (void)self;
    visit_trace(conn, "timer");
}

static const struct gyr_resource slow = {GYR_RESOURCE_PLAIN("slow"), .create = wait_create,
                                         .on_timer = room_timer, .on_text = room_text};
static const struct gyr_route slow_routes[] = {GYR_ROUTE("/", &slow), {0}};

void visit_calls_nothing_of_a_resource_that_is_being_made(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, slow_routes);
    visit_kit_upgrade(&visit_kit, "/", "");
    kit_advance(&visit_kit.kit, 200);
    EXPECT_TRACE(&visit_kit, "create", "it is not made yet");
    EXPECT_INT(gyr_finish(kit_conn(&visit_kit.kit), 0), 0, "it is");
    kit_run(&visit_kit.kit);
    gyr_conn_timer(kit_conn(&visit_kit.kit), 100);
    kit_advance(&visit_kit.kit, 200);
    EXPECT_TRACE(&visit_kit, "timer", "then it gets them");
    visit_kit_end(&visit_kit);
}

/* ---- memory of requests ---- */

static int decode_get(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    static const char text[] = "{\"text\":\"a\\n\"}";
    struct ping ping;
    struct gyr_fault fault;
    (void)self, (void)request;
    int err = gyr_conn_decode(conn, &ping_schema, (struct gyr_span){text, sizeof(text) - 1}, false,
                              &ping, &fault);
    return err < 0 ? err : gyr_respond_text(conn, 200, "text/plain", ping.text);
}

static void decode_timer(struct gyr_conn *conn, void *self)
{
    static const char text[] = "{\"text\":\"a\\n\"}";
    struct ping ping;
    struct gyr_fault fault;
    (void)self;
    visit_trace(conn, "%d",
                gyr_conn_decode(conn, &ping_schema, (struct gyr_span){text, sizeof(text) - 1},
                                false, &ping, &fault));
    gyr_conn_timer(conn, 10);
}

static const struct gyr_resource ticking = {GYR_RESOURCE_PLAIN("ticking"), .on_timer = decode_timer,
                                            .on_text = room_text};
static const struct gyr_route decode_routes[] = {
    GYR_ROUTE_HTTP("/", GYR_METHODS(GYR_GET(decode_get))), GYR_ROUTE("/ticking", &ticking), {0}};

void visit_gives_back_what_was_decoded_outside_of_messages(void)
{
    struct visit_kit visit_kit;
    visit_kit_init(&visit_kit);
    visit_kit.options.decoded_size_max = 8192;
    visit_kit_app(&visit_kit);
    EXPECT_INT(gyr_app_routes(visit_kit.app, "", decode_routes), 0, "routes");
    visit_kit_start(&visit_kit);
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    kit_connect(&visit_kit.kit);
    for (unsigned i = 0; i < 200; i++) {
        kit_input(&visit_kit.kit, request, sizeof(request) - 1);
        EXPECT_INT(visit_kit_status(&visit_kit), 200, "each as the first");
    }
    visit_kit_upgrade(&visit_kit, "/ticking", "");
    gyr_conn_timer(kit_conn(&visit_kit.kit), 10);
    for (unsigned i = 0; i < 200; i++) {
        kit_advance(&visit_kit.kit, 20);
        EXPECT_TRACE(&visit_kit, "0", "each as the first");
    }
    visit_kit_end(&visit_kit);
}

/* ---- questions before somebody is there for the answer ---- */

static int on_answer(struct gyr_conn *conn, void *self, const struct ping *answer,
                     const struct gyr_fault *fault, void *arg)
{
    (void)answer, (void)fault, (void)arg;
    visit_trace(conn, self == gyr_self(conn, 0) ? "answer" : "answer of another");
    return 0;
}

static int ask_now(struct gyr_conn *conn, void *self)
{
    const struct ping question = {.text = GYR_SPAN("?")};
    (void)self;
    visit_trace(conn, "%d", GYR_ASK(conn, ping, &question, ping, 1000, on_answer, NULL));
    return 0;
}

static int ask_guard(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)request;
    return ask_now(conn, self);
}

static int ping_take(struct gyr_conn *conn, void *self, const struct ping *ping)
{
    (void)conn, (void)self, (void)ping;
    return 0;
}

static const struct gyr_resource asked = {
    GYR_RESOURCE(probe),
    .create = ask_now,
    .guard = ask_guard,
    .handlers = GYR_HANDLERS(GYR_ON(ping, ping_take)),
};
static const struct gyr_resource asking = {
    GYR_RESOURCE(ping),
    .create = ask_now,
    .handlers = GYR_HANDLERS(GYR_ON(ping, ping_take)),
    .children = GYR_ROUTES(GYR_ROUTE("x", &asked)),
};
static const struct gyr_route asking_routes[] = {GYR_ROUTE("/", &asking), {0}};

void visit_asks_nothing_before_its_resource_is_made(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, asking_routes);
    visit_kit_upgrade(&visit_kit, "/x", "");
    EXPECT_TRACE(&visit_kit, "-5003 -5003 0", "the answer would come to what is not there");
    kit_reset(&visit_kit.kit);
    EXPECT_TRACE(&visit_kit, "answer", "at the end");
    visit_kit_end(&visit_kit);
}

/* ---- sizes ---- */

static int ping_answer(struct gyr_conn *conn, void *self, const struct ping *ping)
{
    (void)self;
    return gyr_respond_text(conn, 200, "text/plain", ping->text);
}

static const struct gyr_route large_routes[] = {
    GYR_ROUTE_HTTP("/", GYR_METHODS(GYR_POST_MSG(ping, ping_answer, .content_size_max = 300))),
    {0}};

void visit_takes_content_that_is_larger_than_a_message_may_be(void)
{
    struct visit_kit visit_kit;
    visit_kit_init(&visit_kit);
    visit_kit.kit.config.message_size_max = 100;
    visit_kit_app(&visit_kit);
    EXPECT_INT(gyr_app_routes(visit_kit.app, "", large_routes), 0, "routes");
    visit_kit_start(&visit_kit);
    static const struct {
        size_t size;
        unsigned status_code;
    } rows[] = {{12, 200}, {100, 200}, {101, 200}, {300, 200}, {301, 413}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char request[1024];
        size_t text_size = rows[i].size - strlen("{\"text\":\"\"}");
        int size = snprintf(request, sizeof(request),
                            "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                            "Content-Length: %zu\r\n\r\n{\"text\":\"%0*d\"}",
                            rows[i].size, (int)text_size, 0);
        kit_connect(&visit_kit.kit);
        kit_input(&visit_kit.kit, request, (size_t)size);
        EXPECT_INT(visit_kit_status(&visit_kit), rows[i].status_code, "its own limit counts");
    }
    visit_kit_end(&visit_kit);
}

/* ---- a response that has ended, and a hook that waits behind it ---- */

static int stream_get(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    struct gyr_response response = {.size = sizeof(response), .status_code = 200};
    (void)self, (void)request;
    int err = gyr_respond_begin(conn, &response);
    if (err >= 0) {
        err = gyr_respond_part(conn, GYR_SPAN("x"));
    }
    return err < 0 ? err : gyr_respond_end(conn);
}

static void on_cancel(void *arg)
{
    visit_trace(arg, "cancel");
}

static int inner_after(struct gyr_hook_call *call)
{
    gyr_on_cancel(call->conn, on_cancel, call->conn);
    visit_trace(call->conn, "inner");
    return GYR_PENDING;
}

static int outer_after(struct gyr_hook_call *call)
{
    visit_trace(call->conn, "outer");
    return 0;
}

static const struct gyr_resource streaming = {
    GYR_RESOURCE_PLAIN("streaming"),
    .methods = GYR_METHODS(GYR_GET(stream_get)),
    .hooks = GYR_HOOKS(GYR_HOOK("outer", .after_connect = outer_after),
                       GYR_HOOK("inner", .after_connect = inner_after)),
};
static const struct gyr_route streaming_routes[] = {GYR_ROUTE("/", &streaming), {0}};

void visit_waits_for_a_hook_though_the_response_has_ended(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, streaming_routes);
    visit_kit_get(&visit_kit, "GET", "/");
    EXPECT_INT(visit_kit_status(&visit_kit), 200, "answered");
    EXPECT_TRACE(&visit_kit, "inner", "it waits");
    struct gyr_conn *conn = kit_conn(&visit_kit.kit);
    EXPECT_INT(conn != NULL && gyr_finish(conn, 0) == 0, true, "until it is told");
    kit_run(&visit_kit.kit);
    EXPECT_TRACE(&visit_kit, "outer", "and then the next one");
    visit_kit_get(&visit_kit, "GET", "/");
    EXPECT_TRACE(&visit_kit, "inner", "it waits");
    kit_reset(&visit_kit.kit);
    EXPECT_TRACE(&visit_kit, "cancel", "or the connection ends");
    visit_kit_end(&visit_kit);
}

/* ---- the content that a product takes ---- */

static const struct gyr_resource product_small = {
    GYR_RESOURCE_PLAIN("small"),
    .methods = GYR_METHODS(GYR_POST_MSG(ping, ping_answer, .content_size_max = 30))};
static const struct gyr_resource product_large = {
    GYR_RESOURCE_PLAIN("large"), .methods = GYR_METHODS(GYR_POST_MSG(ping, ping_answer))};

static int product_choose(struct gyr_conn *conn, void *user, const struct gyr_request *request,
                          struct gyr_product *product)
{
    (void)user, (void)request;
    product->resource = gyr_param(conn, "which").ptr[0] == 's' ? &product_small : &product_large;
    return 0;
}

static const struct gyr_route product_routes[] = {
    GYR_ROUTE_MADE("/{which}", product_choose, NULL,
                   GYR_MIXINS({&product_small}, {&product_large})),
    {0}};

void visit_limits_content_by_the_product_that_was_chosen(void)
{
    static const struct {
        const char *which;
        const char *framing;
        const char *content;
        unsigned status_code;
    } rows[] = {
        {"small", "Content-Length: 30", "{\"text\":\"1234567890123456789\"}", 200},
        {"small", "Content-Length: 31", "{\"text\":\"12345678901234567890\"}", 413},
        {"large", "Content-Length: 31", "{\"text\":\"12345678901234567890\"}", 200},
        {"small", "Transfer-Encoding: chunked",
         "1f\r\n{\"text\":\"12345678901234567890\"}\r\n0\r\n\r\n", 413},
        {"large", "Transfer-Encoding: chunked",
         "1f\r\n{\"text\":\"12345678901234567890\"}\r\n0\r\n\r\n", 200},
    };
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, product_routes);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char request[512];
        (void)snprintf(
            request, sizeof(request),
            "POST /%s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n%s\r\n\r\n"
            "%s",
            rows[i].which, rows[i].framing, rows[i].content);
        visit_kit_request(&visit_kit, request);
        EXPECT_INT(visit_kit_status(&visit_kit), rows[i].status_code, rows[i].which);
    }
    visit_kit_end(&visit_kit);
}
