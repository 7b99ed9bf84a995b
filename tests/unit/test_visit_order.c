/* SPDX-License-Identifier: MIT */
/* What runs in which order, whatever waits, fails, refuses and ends: an application with a layer of
 * hooks of its own, two resources with a layer each, and a maker. Each function writes its letter
 * and does what the test's plan says; what has to come of it is computed apart, by straight
 * reading of the rules in gyr_app.h. All sets of functions that wait, and all pairs of functions
 * that do something else, are gone through; triples as chance has them. */
#include "router/visit.h"
#include "tests/parser_kit.h"
#include "tests/visit_kit.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>

enum act {
    ACT_OK,
    ACT_WAIT,        /* GYR_PENDING, then 0 */
    ACT_FAIL,        /* -EIO */
    ACT_REFUSE,      /* GYR_ERR_REFUSED */
    ACT_SKIP,        /* GYR_SKIP; of before hooks */
    ACT_WAIT_FAIL,   /* GYR_PENDING, then -EIO */
    ACT_WAIT_REFUSE, /* GYR_PENDING, then GYR_ERR_REFUSED */
    ACT_WAIT_LOSE,   /* GYR_PENDING, and then the connection is lost */
    ACT_COUNT,
};

/* The functions, in the order in which they run if nothing is the matter. */
enum step {
    APP_BEFORE_CONNECT,
    MAKE,
    OUTER_CREATE,
    OUTER_GUARD,
    OUTER_GIVE,
    INNER_CREATE,
    INNER_GUARD,
    OUTER_BEFORE_CONNECT,
    INNER_BEFORE_CONNECT,
    CONNECT,
    INNER_AFTER_CONNECT,
    OUTER_AFTER_CONNECT,
    APP_AFTER_CONNECT,
    CONNECT_STEPS,
    APP_BEFORE_RECEIVE = CONNECT_STEPS,
    OUTER_BEFORE_RECEIVE,
    INNER_BEFORE_RECEIVE,
    RECEIVE,
    INNER_AFTER_RECEIVE,
    OUTER_AFTER_RECEIVE,
    APP_AFTER_RECEIVE,
    STEPS,
};

static const char *const NAMES[STEPS] = {
    "abc", "make", "oc",  "og",  "ov",  "ic",  "ig",  "obc", "ibc", "con",
    "iac", "oac",  "aac", "abr", "obr", "ibr", "rec", "iar", "oar", "aar",
};

/* How on_failure names them. */
static const char *const FAILURES[STEPS] = {
    "before_connect:.app",
    "make:outer.tool",
    "create:outer.",
    "guard:outer.",
    "give:outer.",
    "create:inner.",
    "guard:inner.",
    "before_connect:outer.outer",
    "before_connect:inner.inner",
    "",
    "after_connect:inner.inner",
    "after_connect:outer.outer",
    "after_connect:.app",
    "before_receive:.app",
    "before_receive:outer.outer",
    "before_receive:inner.inner",
    "on_text:inner.",
    "after_receive:inner.inner",
    "after_receive:outer.outer",
    "after_receive:.app",
};

struct order {
    struct visit_kit visit_kit;
    uint8_t acts[STEPS];
    bool http; /* a GET instead of a WebSocket */
    bool keep; /* the policy */
    enum step waiting;
    bool waits;
};

/* ---- the application ---- */

static struct order *order_of(const struct gyr_conn *conn)
{
    return visit_kit_of(conn)->context;
}

static void on_cancel(void *arg)
{
    visit_trace(arg, "cancel");
}

static int result_of(enum act act)
{
    switch (act) {
    case ACT_FAIL:
    case ACT_WAIT_FAIL:
        return -EIO;
    case ACT_REFUSE:
    case ACT_WAIT_REFUSE:
        return GYR_ERR_REFUSED;
    case ACT_SKIP:
        return GYR_SKIP;
    case ACT_OK:
    case ACT_WAIT:
    case ACT_WAIT_LOSE:
    case ACT_COUNT:
        break;
    }
    return 0;
}

static int step(struct gyr_conn *conn, enum step which)
{
    struct order *order = order_of(conn);
    enum act act = (enum act)order->acts[which];
    visit_trace(conn, "%s", NAMES[which]);
    if (act == ACT_WAIT || act >= ACT_WAIT_FAIL) {
        order->waiting = which;
        order->waits = true;
        gyr_on_cancel(conn, on_cancel, conn);
        return GYR_PENDING;
    }
    return result_of(act);
}

/* What a hook has put down before is there after, and nobody else's. */
struct memo {
    uint32_t seen;
    uint8_t more[29];
};

static int hook(struct gyr_hook_call *call, enum step which)
{
    struct memo *memo = call->data;
    bool before = call->event == GYR_BEFORE_CONNECT || call->event == GYR_BEFORE_RECEIVE;
    EXPECT(memo->seen == (before ? 0 : 0x5eed0000U + (unsigned)(uintptr_t)call->user),
           "the data of a hook is its own");
    memo->seen = 0x5eed0000U + (unsigned)(uintptr_t)call->user;
    bool connect = call->event == GYR_BEFORE_CONNECT || call->event == GYR_AFTER_CONNECT;
    EXPECT((call->request != NULL) == connect, "a request is there while it is connected");
    if (connect) {
        EXPECT_SPAN(
            span_of(gyr_request_path(call->request).ptr, gyr_request_path(call->request).size),
            "/o/i", "also behind a wait");
    } else if (before) {
        EXPECT_SPAN(span_of(call->message.ptr, call->message.size), "hello", "also behind a wait");
    }
    if (!before && call->err != 0) {
        visit_trace(call->conn, "%s", call->err == GYR_ERR_REFUSED ? "(refused)" : "(failed)");
    }
    return step(call->conn, which);
}

#define HOOK_FUNCTION(name, which)              \
    static int name(struct gyr_hook_call *call) \
    {                                           \
        return hook(call, which);               \
    }
HOOK_FUNCTION(app_before_connect, APP_BEFORE_CONNECT)
HOOK_FUNCTION(app_after_connect, APP_AFTER_CONNECT)
HOOK_FUNCTION(app_before_receive, APP_BEFORE_RECEIVE)
HOOK_FUNCTION(app_after_receive, APP_AFTER_RECEIVE)
HOOK_FUNCTION(outer_before_connect, OUTER_BEFORE_CONNECT)
HOOK_FUNCTION(outer_after_connect, OUTER_AFTER_CONNECT)
HOOK_FUNCTION(outer_before_receive, OUTER_BEFORE_RECEIVE)
HOOK_FUNCTION(outer_after_receive, OUTER_AFTER_RECEIVE)
HOOK_FUNCTION(inner_before_connect, INNER_BEFORE_CONNECT)
HOOK_FUNCTION(inner_after_connect, INNER_AFTER_CONNECT)
HOOK_FUNCTION(inner_before_receive, INNER_BEFORE_RECEIVE)
HOOK_FUNCTION(inner_after_receive, INNER_AFTER_RECEIVE)

static int before_disconnect(struct gyr_hook_call *call)
{
    const struct memo *memo = call->data;
    EXPECT(memo->seen == 0, "zero before each event");
    visit_trace(call->conn, "%cbd:%u", (char)(uintptr_t)call->user, call->close_code);
    return -EIO; /* which has no effect */
}

#define HOOK_ROW(layer, letter)                                                                \
    GYR_HOOK(#layer, .before_connect = layer##_before_connect,                                 \
             .after_connect = layer##_after_connect, .before_receive = layer##_before_receive, \
             .after_receive = layer##_after_receive, .before_disconnect = before_disconnect,   \
             .user = (void *)(uintptr_t)(letter), .data_size = sizeof(struct memo))

struct outer {
    struct tool *tool;
    uint64_t made;
};
struct inner {
    struct tool *tool;
    const struct outer *outer;
};

static int make(struct gyr_conn *conn, void *user, void **pointer)
{
    *pointer = user;
    return step(conn, MAKE);
}

static void drop(struct gyr_conn *conn, void *user, void *pointer)
{
    EXPECT(pointer == user, "what was made");
    visit_trace(conn, "drop");
}

static int outer_create(struct gyr_conn *conn, void *self)
{
    struct outer *outer = self;
    EXPECT(outer->tool != NULL && outer->made == 0, "inputs, and zeros");
    outer->made = 1;
    return step(conn, OUTER_CREATE);
}

static void outer_destroy(struct gyr_conn *conn, void *self)
{
    EXPECT(((struct outer *)self)->made == 1, "what was created");
    visit_trace(conn, "od");
}

static int outer_guard(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    EXPECT(self != NULL && request != NULL, "both are there");
    return step(conn, OUTER_GUARD);
}

static int outer_give(struct gyr_conn *conn, void *self)
{
    EXPECT_INT(gyr_give(conn, "outer", self), 0, "it is a gift");
    return step(conn, OUTER_GIVE);
}

static int outer_connect(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)self;
    (void)request;
    visit_trace(conn, "never");
    return 0;
}

static int inner_create(struct gyr_conn *conn, void *self)
{
    const struct inner *inner = self;
    EXPECT(inner->outer == gyr_self(conn, 1) && inner->outer->tool == inner->tool,
           "what the outer one gives, and what was made once");
    return step(conn, INNER_CREATE);
}

static void inner_destroy(struct gyr_conn *conn, void *self)
{
    EXPECT(((struct inner *)self)->outer->made == 1, "the outer one is there still");
    visit_trace(conn, "id");
}

static int inner_guard(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    EXPECT(self != NULL && request != NULL, "both are there");
    return step(conn, INNER_GUARD);
}

static int inner_connect(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    EXPECT(self != NULL && request != NULL, "both are there");
    return step(conn, CONNECT);
}

static int inner_get(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    int result = inner_connect(conn, self, request);
    if (result != -EIO && result != GYR_ERR_REFUSED && result != GYR_PENDING) {
        EXPECT_INT(gyr_respond_text(conn, 200, "text/plain", GYR_SPAN("got")), 0, "answered");
    }
    return result;
}

static int inner_text(struct gyr_conn *conn, void *self, struct gyr_span message)
{
    EXPECT(self == gyr_self(conn, 0), "the innermost");
    EXPECT_SPAN(span_of(message.ptr, message.size), "hello", "as it came");
    return step(conn, RECEIVE);
}

static void inner_disconnect(struct gyr_conn *conn, void *self, uint16_t close_code,
                             struct gyr_span reason)
{
    (void)reason;
    EXPECT(self == gyr_self(conn, 0), "the innermost");
    visit_trace(conn, "dis:%u", close_code);
}

static const struct gyr_resource inner = {
    GYR_RESOURCE(inner),
    .create = inner_create,
    .destroy = inner_destroy,
    .guard = inner_guard,
    .on_connect = inner_connect,
    .on_disconnect = inner_disconnect,
    .on_text = inner_text,
    .methods = GYR_METHODS(GYR_GET(inner_get)),
    .inputs =
        GYR_INPUTS(GYR_INPUT(inner, tool, struct tool), GYR_INPUT(inner, outer, struct outer)),
    .hooks = GYR_HOOKS(HOOK_ROW(inner, 'i')),
};
static const struct gyr_resource outer = {
    GYR_RESOURCE(outer),
    .create = outer_create,
    .destroy = outer_destroy,
    .guard = outer_guard,
    .give = outer_give,
    .on_connect = outer_connect,
    .inputs = GYR_INPUTS(GYR_INPUT(outer, tool, struct tool)),
    .gifts = GYR_GIFTS(GYR_GIFT("outer", struct outer)),
    .hooks = GYR_HOOKS(HOOK_ROW(outer, 'o')),
    .children = GYR_ROUTES(GYR_ROUTE("i", &inner)),
};
static const struct gyr_route routes[] = {GYR_ROUTE("/o", &outer), {0}};
static const struct gyr_hook app_hooks[] = {HOOK_ROW(app, 'a'), {0}};

/* ---- what has to come of it ---- */

struct oracle {
    const struct order *order;
    char trace[1024];
    bool lost;
    enum step lost_at;
};

static void told(struct oracle *oracle, const char *text)
{
    if (oracle->trace[0] != '\0') {
        strcat(oracle->trace, " ");
    }
    strcat(oracle->trace, text);
}

/* Call one: 0, -EIO, GYR_ERR_REFUSED, GYR_SKIP; the connection may be lost. */
static int oracle_call(struct oracle *oracle, enum step which, int err)
{
    enum act act = (enum act)oracle->order->acts[which];
    if (err != 0) {
        told(oracle, err == GYR_ERR_REFUSED ? "(refused)" : "(failed)");
    }
    told(oracle, NAMES[which]);
    if (act == ACT_WAIT_LOSE) {
        told(oracle, "cancel");
        oracle->lost = true;
        oracle->lost_at = which;
        return 0;
    }
    int result = result_of(act);
    if (result == -EIO) {
        char text[128];
        const char *name = FAILURES[which];
        if (which == CONNECT) {
            name = oracle->order->http ? "handler:inner.inner_get" : "on_connect:inner.";
        }
        (void)snprintf(text, sizeof(text), "!%s%d", name, -EIO);
        told(oracle, text);
    }
    return result;
}

/* Run these one behind the other, up to the first that fails. */
static int oracle_run(struct oracle *oracle, enum step first, enum step last, enum step *done)
{
    for (enum step at = first; at <= last; at++) {
        int result = oracle_call(oracle, at, 0);
        if (result != 0 || oracle->lost) {
            return result;
        }
        *done = at;
    }
    return 0;
}

/* Those hooks' after, from the inside out; the first error counts. */
static int oracle_after(struct oracle *oracle, const enum step *after, unsigned count, int err)
{
    while (count-- != 0 && !oracle->lost) {
        int result = oracle_call(oracle, after[count], err);
        if (err == 0 && result < 0) {
            err = result;
        }
    }
    return err;
}

static void oracle_end(struct oracle *oracle, enum step done, unsigned accepted_code)
{
    char text[64];
    if (accepted_code != 0) {
        (void)snprintf(text, sizeof(text), "abd:%u obd:%u ibd:%u dis:%u", accepted_code,
                       accepted_code, accepted_code, accepted_code);
        told(oracle, text);
    }
    /* Whatever has been called and has not failed: also what waits, or was cancelled. */
    bool inner_waits = oracle->lost && oracle->lost_at == INNER_CREATE;
    bool outer_waits = oracle->lost && oracle->lost_at == OUTER_CREATE;
    if (done >= INNER_CREATE || inner_waits) {
        told(oracle, "id");
    }
    if (done >= OUTER_CREATE || outer_waits) {
        told(oracle, "od");
    }
    if (done >= MAKE) {
        told(oracle, "drop");
    }
}

static unsigned oracle_message(struct oracle *oracle)
{
    static const enum step AFTER[] = {APP_AFTER_RECEIVE, OUTER_AFTER_RECEIVE, INNER_AFTER_RECEIVE};
    enum step done = CONNECT_STEPS;
    unsigned entered = 0;
    int err = oracle_run(oracle, APP_BEFORE_RECEIVE, APP_BEFORE_RECEIVE, &done);
    for (; err == 0 && !oracle->lost && entered < 2;) {
        entered++;
        enum step next = APP_BEFORE_RECEIVE + entered;
        err = oracle_run(oracle, next, next, &done);
    }
    if (err == 0 && !oracle->lost) {
        entered++;
        err = oracle_run(oracle, RECEIVE, RECEIVE, &done);
    }
    err = oracle_after(oracle, AFTER, entered, err == GYR_SKIP ? 0 : err);
    if (oracle->lost) {
        return 1006;
    }
    if (err == 0 || oracle->order->keep) {
        return 1000;
    }
    return err == GYR_ERR_REFUSED ? 1008 : 1011;
}

/* The whole trace. Returns the status code that is answered, and with *close_code the code of the
 * Close that the server sends. */
static unsigned oracle_all(struct oracle *oracle, unsigned *close_code)
{
    static const enum step AFTER[] = {APP_AFTER_CONNECT, OUTER_AFTER_CONNECT, INNER_AFTER_CONNECT};
    static const enum step LAST[] = {INNER_GUARD, OUTER_BEFORE_CONNECT, INNER_BEFORE_CONNECT,
                                     CONNECT};
    enum step done = APP_BEFORE_CONNECT;
    unsigned entered = 0;
    *close_code = 0;
    int err = oracle_run(oracle, APP_BEFORE_CONNECT, APP_BEFORE_CONNECT, &done);
    if (err == 0 && !oracle->lost) {
        enum step at = MAKE;
        entered = 1;
        for (unsigned i = 0; i < COUNT_OF(LAST) && err == 0 && !oracle->lost; i++) {
            err = oracle_run(oracle, at, LAST[i], &done);
            at = LAST[i] + 1;
            entered += i >= 1 && i <= 2 && err == 0 && !oracle->lost;
        }
    }
    bool skipped = err == GYR_SKIP;
    if (!oracle->lost) {
        err = oracle_after(oracle, AFTER, entered, skipped ? 0 : err);
    }
    unsigned status_code = err == 0 ? 101 : err == GYR_ERR_REFUSED ? 403 : 500;
    unsigned accepted_code = 0;
    if (skipped && err == 0) {
        status_code = 500; /* the hook has dealt with it, and answered nothing */
    } else if (oracle->order->http && done == CONNECT) {
        status_code = 200; /* it was answered already */
    } else if (status_code == 101 && !oracle->lost) {
        accepted_code = oracle_message(oracle);
        *close_code = oracle->lost ? 0 : accepted_code;
        accepted_code = oracle->lost ? 1006 : 1000;
    }
    oracle_end(oracle, done, accepted_code);
    return status_code;
}

/* ---- one run ---- */

#define RUNS_PER_KIT 100 /* a connection each */

struct runs {
    struct order order;
    bool begun;
    unsigned count; /* of this kit */
};

static void runs_end(struct runs *runs)
{
    if (runs->begun) {
        visit_kit_end(&runs->order.visit_kit);
    }
    runs->begun = false;
    runs->count = 0;
}

static void runs_begin(struct runs *runs)
{
    static int tool;
    static const struct gyr_maker maker = GYR_MAKER("tool", struct tool, make, drop, &tool);
    struct visit_kit *visit_kit = &runs->order.visit_kit;
    struct gyr_error error;
    visit_kit_init(visit_kit);
    visit_kit->context = &runs->order;
    visit_kit->told = true;
    visit_kit->options.failure_policy = runs->order.keep ? GYR_FAILURE_KEEP : GYR_FAILURE_CLOSE;
    visit_kit_app(visit_kit);
    EXPECT_INT(gyr_app_maker(visit_kit->app, &maker, &error), 0, error.text);
    EXPECT_INT(gyr_app_routes(visit_kit->app, "", routes), 0, "routes");
    EXPECT_INT(gyr_app_hooks(visit_kit->app, NULL, app_hooks, &error), 0, error.text);
    visit_kit_start(visit_kit);
    runs->begun = true;
}

/* Let what waits go on, as its act says. False: the connection is lost. */
static bool go_on(struct order *order)
{
    struct kit *kit = &order->visit_kit.kit;
    while (order->waits) {
        enum act act = (enum act)order->acts[order->waiting];
        order->waits = false;
        if (act == ACT_WAIT_LOSE) {
            kit_reset(kit);
            return false;
        }
        struct gyr_conn *conn = kit_conn(kit);
        if (order->http && order->waiting == CONNECT && act == ACT_WAIT) {
            EXPECT_INT(gyr_respond_text(conn, 200, "text/plain", GYR_SPAN("got")), 0, "late");
        }
        EXPECT_INT(gyr_finish(conn, result_of(act)), 0, "it waits");
        kit_run(kit);
    }
    return true;
}

static void describe(const struct order *order, char text[512])
{
    static const char *const ACTS[ACT_COUNT] = {"",
                                                "waits",
                                                "fails",
                                                "refuses",
                                                "skips",
                                                "waits and fails",
                                                "waits and refuses",
                                                "waits and is lost"};
    size_t at = (size_t)snprintf(text, 512, "%s%s:", order->http ? "http" : "websocket",
                                 order->keep ? ", keep" : "");
    for (unsigned i = 0; i < STEPS && at < 480; i++) {
        if (order->acts[i] != ACT_OK) {
            at += (size_t)snprintf(text + at, 512 - at, " %s %s,", NAMES[i], ACTS[order->acts[i]]);
        }
    }
}

static void run(struct runs *runs)
{
    if (runs->count == RUNS_PER_KIT) {
        runs_end(runs);
    }
    if (!runs->begun) {
        runs_begin(runs);
    }
    runs->count++;
    struct order *order = &runs->order;
    struct kit *kit = &order->visit_kit.kit;
    char why[512];
    struct oracle oracle = {.order = order};
    unsigned close_code;
    unsigned status_code = oracle_all(&oracle, &close_code);
    describe(order, why);
    order->waits = false;
    if (order->http) {
        visit_kit_get(&order->visit_kit, "GET", "/o/i");
    } else {
        visit_kit_upgrade(&order->visit_kit, "/o/i", "");
    }
    if (go_on(order)) {
        EXPECT_INT(visit_kit_status(&order->visit_kit), status_code, why);
    }
    if (status_code == 101 && !kit_is_closed(kit)) {
        kit_forget(kit);
        KIT_FRAME(kit, 0x81, "hello");
        if (go_on(order)) {
            const uint8_t closing[] = {0x88, 2, (uint8_t)(close_code >> 8), (uint8_t)close_code};
            EXPECT(kit_output_is(kit, closing, close_code != 1000 ? sizeof(closing) : 0), why);
            KIT_FRAME(kit, 0x88, "\x03\xe8");
        }
    }
    kit_reset(kit);
    EXPECT_TRACE(&order->visit_kit, oracle.trace, why);
    EXPECT_INT(visit_kit_heap(&order->visit_kit), 0, why);
    kit_forget(kit);
}

/* ---- which runs ---- */

static bool act_is_for(enum act act, enum step which)
{
    bool before = which == APP_BEFORE_CONNECT || which == OUTER_BEFORE_CONNECT ||
                  which == INNER_BEFORE_CONNECT || which == APP_BEFORE_RECEIVE ||
                  which == OUTER_BEFORE_RECEIVE || which == INNER_BEFORE_RECEIVE;
    if (act == ACT_SKIP) {
        return before;
    }
    return which != MAKE || act == ACT_OK || act == ACT_FAIL || act == ACT_REFUSE;
}

static void every_subset(struct runs *runs, enum step first, enum step last)
{
    unsigned count = (unsigned)(last - first) + 1;
    for (unsigned set = 0; set < 1U << count; set++) {
        memset(runs->order.acts, ACT_OK, sizeof(runs->order.acts));
        for (unsigned i = 0; i < count; i++) {
            bool waits = (set >> i & 1U) != 0 && act_is_for(ACT_WAIT, first + i);
            runs->order.acts[first + i] = waits ? ACT_WAIT : ACT_OK;
        }
        /* What makes cannot wait. */
        if (first > MAKE || (set >> (MAKE - first) & 1U) == 0) {
            run(runs);
        }
    }
    runs_end(runs);
}

void visit_order_holds_for_every_set_of_functions_that_wait(void)
{
    static struct runs runs;
    every_subset(&runs, APP_BEFORE_CONNECT, APP_AFTER_CONNECT);
    every_subset(&runs, APP_BEFORE_RECEIVE, APP_AFTER_RECEIVE);
    runs.order.http = true;
    every_subset(&runs, APP_BEFORE_CONNECT, APP_AFTER_CONNECT);
    runs.order.http = false;
}

/* One function, or two, that do something else than they should. */
static void every_pair(struct runs *runs, unsigned step_count)
{
    for (unsigned a = 0; a < step_count; a++) {
        for (unsigned b = a; b < step_count; b++) {
            for (unsigned acts = 0; acts < ACT_COUNT * ACT_COUNT; acts++) {
                enum act act_a = (enum act)(acts % ACT_COUNT);
                enum act act_b = (enum act)(acts / ACT_COUNT);
                if (!act_is_for(act_a, a) || !act_is_for(act_b, b) || act_a == ACT_OK ||
                    (a == b) != (act_b == ACT_OK)) {
                    continue;
                }
                memset(runs->order.acts, ACT_OK, sizeof(runs->order.acts));
                runs->order.acts[b] = (uint8_t)act_b;
                runs->order.acts[a] = (uint8_t)act_a;
                run(runs);
            }
        }
    }
    runs_end(runs);
}

void visit_order_holds_whatever_two_functions_do(void)
{
    static struct runs runs;
    every_pair(&runs, STEPS);
    runs.order.http = true;
    every_pair(&runs, CONNECT_STEPS);
    runs.order.http = false;
}

void visit_order_holds_whatever_functions_do(void)
{
    static struct runs runs;
    uint64_t dice = 0x9e3779b97f4a7c15;
    for (unsigned i = 0; i < 4000; i++) {
        for (unsigned k = 0; k < STEPS; k++) {
            dice = dice * 6364136223846793005U + 1442695040888963407U;
            enum act act = (enum act)(dice >> 40 & 7U);
            bool acts = (dice >> 50) % 4 == 0 && act_is_for(act, k);
            runs.order.acts[k] = acts ? (uint8_t)act : ACT_OK;
        }
        if (i % 1000 == 0) {
            runs_end(&runs);
            runs.order.keep = i >= 2000;
            runs.order.http = i % 2000 != 0;
        }
        run(&runs);
    }
    runs_end(&runs);
}
