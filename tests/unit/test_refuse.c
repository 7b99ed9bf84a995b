/* SPDX-License-Identifier: MIT */
/* Refusals and failures, wherever they happen: what the client is told, that it is told once, and
 * that nothing is left. */
#include "router/visit.h"
#include "tests/parser_kit.h"
#include "tests/visit_kit.h"

#include <CUnit/CUnit.h>
#include <errno.h>

/* What is done at the place that the row names. */
enum how {
    HOW_REFUSE,
    HOW_REFUSE_PLAIN,
    HOW_REFUSE_EMPTY,
    HOW_REFUSE_AND_GO_ON, /* returns 0 all the same */
    HOW_REFUSE_AND_WAIT_FOR_ROOM,
    HOW_REFUSE_TWICE,
    HOW_REFUSE_BAD_CODE,
    HOW_CLOSE,
    HOW_CLOSE_BAD_CODE,
    HOW_FAIL,
    HOW_FAIL_MEMORY,
    HOW_REFUSE_THEN_FAIL,
    HOW_WAIT_THEN_REFUSE,
    HOW_ANSWER_AND_FAIL,
    HOW_UPGRADE_AND_FAIL,
    HOW_UPGRADE,
    HOW_COUNT,
};

struct plan_of_test {
    const char *place;
    enum how how;
};

static int act_at(struct gyr_conn *conn, const char *place)
{
    const struct plan_of_test *plan = visit_kit_of(conn)->context;
    if (strcmp(plan->place, place) != 0) {
        return 0;
    }
    switch (plan->how) {
    case HOW_REFUSE:
        return gyr_refuse(conn, 401, GYR_SPAN("who are you?"));
    case HOW_REFUSE_PLAIN:
        return GYR_ERR_REFUSED;
    case HOW_REFUSE_EMPTY:
        return gyr_refuse(conn, 410, (struct gyr_span){0});
    case HOW_REFUSE_AND_GO_ON:
        (void)gyr_refuse(conn, 402, GYR_SPAN("pay"));
        return 0;
    case HOW_REFUSE_AND_WAIT_FOR_ROOM:
        (void)gyr_refuse(conn, 402, GYR_SPAN("pay"));
        return GYR_QUEUE_HIGH;
    case HOW_REFUSE_TWICE:
        (void)gyr_refuse_close(conn, 4000, GYR_SPAN("first"));
        return gyr_refuse(conn, 418, GYR_SPAN("second"));
    case HOW_REFUSE_BAD_CODE:
        return gyr_refuse(conn, 200, GYR_SPAN("no"));
    case HOW_CLOSE:
        return gyr_refuse_close(conn, 4001, GYR_SPAN("go away"));
    case HOW_CLOSE_BAD_CODE:
        return gyr_refuse_close(conn, 1005, GYR_SPAN("no"));
    case HOW_FAIL:
        return -EIO;
    case HOW_FAIL_MEMORY:
        return GYR_ERR_MEMORY;
    case HOW_REFUSE_THEN_FAIL:
        (void)gyr_refuse(conn, 401, GYR_SPAN("not this"));
        return -EIO;
    case HOW_WAIT_THEN_REFUSE:
        return GYR_PENDING;
    case HOW_ANSWER_AND_FAIL:
        EXPECT_INT(gyr_respond_text(conn, 299, "text/plain", GYR_SPAN("mine")), 0, "by itself");
        return -EIO;
    case HOW_UPGRADE_AND_FAIL:
        EXPECT_INT(gyr_upgrade(conn, NULL), 0, "by itself");
        return -EIO;
    case HOW_UPGRADE:
        return gyr_upgrade(conn, NULL);
    case HOW_COUNT:
        break;
    }
    return 0;
}

static int before(struct gyr_hook_call *call)
{
    return act_at(call->conn, "before");
}

static int after(struct gyr_hook_call *call)
{
    if (call->err != 0) {
        /* It has failed already: this changes nothing. */
        EXPECT_INT(gyr_refuse(call->conn, 499, GYR_SPAN("late")), GYR_ERR_REFUSED, "always");
        return gyr_refuse_close(call->conn, 4999, GYR_SPAN("late"));
    }
    return act_at(call->conn, "after");
}

static int create(struct gyr_conn *conn, void *self)
{
    (void)self;
    return act_at(conn, "create");
}

static int guard(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)self;
    (void)request;
    return act_at(conn, "guard");
}

static int give(struct gyr_conn *conn, void *self)
{
    (void)self;
    return act_at(conn, "give");
}

static int connect_(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)self;
    (void)request;
    return act_at(conn, "connect");
}

static void disconnect(struct gyr_conn *conn, void *self, uint16_t close_code,
                       struct gyr_span reason)
{
    (void)self;
    (void)reason;
    visit_trace(conn, "disconnect:%u", close_code);
}

static void timer(struct gyr_conn *conn, void *self)
{
    (void)self;
    visit_trace(conn, "timer");
}

static const struct gyr_resource inner = {
    GYR_RESOURCE_PLAIN("inner"),
    .on_timer = timer,
    .on_connect = connect_,
    .on_disconnect = disconnect,
    .methods = GYR_METHODS(GYR_GET(connect_)),
};
static const struct gyr_resource outer = {
    GYR_RESOURCE_PLAIN("outer"),
    .create = create,
    .guard = guard,
    .give = give,
    .children = GYR_ROUTES(GYR_ROUTE("inner", &inner)),
};
static const struct gyr_route routes[] = {GYR_ROUTE("/", &outer), {0}};
static const struct gyr_hook hooks[] = {
    GYR_HOOK("h", .before_connect = before, .after_connect = after), {0}};
static const char *const PLACES[] = {"before", "create", "guard", "give", "connect", "after"};

static void begin(struct visit_kit *visit_kit, struct plan_of_test *plan)
{
    struct gyr_error error;
    visit_kit_init(visit_kit);
    visit_kit->context = plan;
    visit_kit->told = true;
    visit_kit_app(visit_kit);
    EXPECT_INT(gyr_app_routes(visit_kit->app, "", routes), 0, "routes");
    EXPECT_INT(gyr_app_hooks(visit_kit->app, NULL, hooks, &error), 0, error.text);
    visit_kit_start(visit_kit);
}

struct row {
    enum how how;
    unsigned status_code;
    const char *content;
    bool told;
};

static const struct row ROWS[] = {
    {HOW_REFUSE, 401, "\r\n\r\nwho are you?", false},
    {HOW_REFUSE_PLAIN, 403, "\r\n\r\nthe service refuses this", false},
    {HOW_REFUSE_EMPTY, 410, "Content-Length: 0\r\n\r\n", false},
    {HOW_REFUSE_AND_GO_ON, 402, "\r\n\r\npay", false},
    {HOW_REFUSE_AND_WAIT_FOR_ROOM, 402, "\r\n\r\npay", false},
    {HOW_REFUSE_TWICE, 418, "\r\n\r\nsecond", false},
    {HOW_REFUSE_BAD_CODE, 403, "\r\n\r\nno", false},
    {HOW_FAIL, 500, "\r\n\r\ninternal error", true},
    {HOW_FAIL_MEMORY, 503, "Retry-After: 1\r\n\r\n", true},
    {HOW_REFUSE_THEN_FAIL, 500, "\r\n\r\ninternal error", true},
};

static void refused_row(const struct row *row, bool handshake)
{
    struct plan_of_test plan = {.how = row->how};
    struct visit_kit visit_kit;
    begin(&visit_kit, &plan);
    for (size_t i = 0; i < COUNT_OF(PLACES); i++) {
        plan.place = PLACES[i];
        if (handshake) {
            visit_kit_upgrade(&visit_kit, "/inner", "");
        } else {
            visit_kit_get(&visit_kit, "GET", "/inner");
        }
        EXPECT_INT(visit_kit_status(&visit_kit), row->status_code, PLACES[i]);
        EXPECT(visit_kit_answered(&visit_kit, row->content), row->content);
        EXPECT_INT(visit_kit.trace_size != 0, row->told, visit_kit.trace);
        visit_kit.trace_size = 0;
        EXPECT_INT(visit_kit_heap(&visit_kit), 0, "nothing is left");
        EXPECT(!kit_is_ended(&visit_kit.kit), "the connection can be used again");
        kit_forget(&visit_kit.kit);
    }
    plan.place = "nowhere";
    visit_kit_upgrade(&visit_kit, "/inner", "");
    EXPECT_INT(visit_kit_status(&visit_kit), 101, "accepted");
    gyr_conn_timer(kit_conn(&visit_kit.kit), 10);
    kit_advance(&visit_kit.kit, 20);
    EXPECT_TRACE(&visit_kit, "timer", "its timer runs");
    visit_kit_end(&visit_kit);
}

void refuse_tells_the_client_why_wherever_it_happens(void)
{
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        refused_row(&ROWS[i], true);
        refused_row(&ROWS[i], false);
    }
}

void refuse_names_a_failure_in_the_log_and_a_refusal_not(void)
{
    struct plan_of_test plan = {.place = "guard", .how = HOW_FAIL};
    struct visit_kit visit_kit;
    begin(&visit_kit, &plan);
    visit_kit_get(&visit_kit, "GET", "/inner");
    EXPECT(
        kit_line_has(&visit_kit.kit,
                     "error app.failed core=0 what=guard resource=outer err=-5 text=\"Input/output "
                     "error\"\n"),
        "one line");
    EXPECT_TRACE(&visit_kit, "!guard:outer.-5", "and a call");
    plan.how = HOW_REFUSE;
    visit_kit_get(&visit_kit, "GET", "/inner");
    EXPECT(!kit_line_has(&visit_kit.kit, "app.failed"), "a refusal is none");
    EXPECT_TRACE(&visit_kit, "", "nor here");
    visit_kit_end(&visit_kit);
}

void refuse_close_accepts_a_handshake_and_closes_it(void)
{
    struct plan_of_test plan = {.how = HOW_CLOSE};
    struct visit_kit visit_kit;
    begin(&visit_kit, &plan);
    for (size_t i = 0; i < COUNT_OF(PLACES); i++) {
        plan.place = PLACES[i];
        plan.how = HOW_CLOSE;
        visit_kit_upgrade(&visit_kit, "/inner", "");
        EXPECT_OUTPUT(&visit_kit.kit, KIT_101_WITH("") "\x88\x09\x0f\xa1go away", PLACES[i]);
        KIT_FRAME(&visit_kit.kit, 0x81, "too late");
        gyr_conn_timer(kit_conn(&visit_kit.kit), 10);
        kit_advance(&visit_kit.kit, 20);
        KIT_FRAME(&visit_kit.kit, 0x88, "\x0f\xa1");
        EXPECT_TRACE(&visit_kit, "", "no resource has been connected");
        plan.how = HOW_CLOSE_BAD_CODE;
        visit_kit_upgrade(&visit_kit, "/inner", "");
        EXPECT_OUTPUT(&visit_kit.kit, KIT_101_WITH("") "\x88\x04\x03\xf0no",
                      "a code that cannot be sent is 1008");
        kit_reset(&visit_kit.kit);
        visit_kit_get(&visit_kit, "GET", "/inner");
        EXPECT_INT(visit_kit_status(&visit_kit), 403, "of a request there is nothing to accept");
        kit_forget(&visit_kit.kit);
    }
    visit_kit_end(&visit_kit);
}

static int refuse_late(struct gyr_conn *conn, void *arg)
{
    (void)arg;
    return gyr_refuse(conn, 451, GYR_SPAN("asked"));
}

void refuse_can_be_said_behind_a_wait(void)
{
    struct plan_of_test plan = {.how = HOW_WAIT_THEN_REFUSE};
    struct visit_kit visit_kit;
    begin(&visit_kit, &plan);
    for (size_t i = 0; i < COUNT_OF(PLACES); i++) {
        plan.place = PLACES[i];
        visit_kit_upgrade(&visit_kit, "/inner", "");
        EXPECT_INT(visit_kit_status(&visit_kit), 0, "it waits");
        struct gyr_conn *conn = kit_conn(&visit_kit.kit);
        EXPECT_INT(gyr_finish(conn, refuse_late(conn, NULL)), 0, "and goes on");
        kit_run(&visit_kit.kit);
        EXPECT_INT(visit_kit_status(&visit_kit), 451, PLACES[i]);
        EXPECT(visit_kit_answered(&visit_kit, "\r\n\r\nasked"), "with its text");
        kit_forget(&visit_kit.kit);
    }
    visit_kit_end(&visit_kit);
}

void refuse_a_wait_that_takes_too_long_is_cancelled(void)
{
    struct plan_of_test plan = {.how = HOW_WAIT_THEN_REFUSE};
    struct visit_kit visit_kit;
    begin(&visit_kit, &plan);
    for (size_t i = 0; i < COUNT_OF(PLACES); i++) {
        plan.place = PLACES[i];
        visit_kit_upgrade(&visit_kit, "/inner", "");
        kit_advance(&visit_kit.kit, visit_kit.kit.config.handshake_timeout_ms + 2000);
        EXPECT_INT(visit_kit_status(&visit_kit), 503, PLACES[i]);
        EXPECT_INT(visit_kit_heap(&visit_kit), 0, "nothing is left");
        kit_forget(&visit_kit.kit);
    }
    visit_kit_end(&visit_kit);
}

void refuse_leaves_what_a_function_has_answered_by_itself(void)
{
    struct plan_of_test plan = {.how = HOW_ANSWER_AND_FAIL};
    struct visit_kit visit_kit;
    begin(&visit_kit, &plan);
    for (size_t i = 0; i < COUNT_OF(PLACES); i++) {
        plan.place = PLACES[i];
        visit_kit_upgrade(&visit_kit, "/inner", "");
        EXPECT_INT(visit_kit_status(&visit_kit), 299, PLACES[i]);
        EXPECT(visit_kit.trace_size != 0, "it is told all the same");
        EXPECT(!visit_kit_answered(&visit_kit, "500"), "once");
        visit_kit.trace_size = 0;
        visit_kit.trace[0] = '\0';
    }
    plan.place = "connect";
    plan.how = HOW_UPGRADE_AND_FAIL;
    visit_kit_upgrade(&visit_kit, "/inner", "");
    EXPECT_OUTPUT(&visit_kit.kit, KIT_101_WITH("") "\x88\x02\x03\xf3", "closed at once");
    kit_reset(&visit_kit.kit);
    EXPECT_TRACE(&visit_kit, "!on_connect:inner.-5", "it was not connected");
    plan.how = HOW_UPGRADE;
    visit_kit_upgrade(&visit_kit, "/inner", "");
    EXPECT_OUTPUT(&visit_kit.kit, KIT_101_WITH(""), "that is as good");
    kit_reset(&visit_kit.kit);
    EXPECT_TRACE(&visit_kit, "disconnect:1006", "it was connected");
    visit_kit_end(&visit_kit);
}
