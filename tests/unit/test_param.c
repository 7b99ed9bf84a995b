/* SPDX-License-Identifier: MIT */
/* Parameters of paths and queries. */
#include "router/visit.h"
#include "tests/parser_kit.h"
#include "tests/visit_kit.h"

#include <CUnit/CUnit.h>
#include <stdio.h>

static void param_trace(struct gyr_conn *conn, const char *name)
{
    struct gyr_span value = gyr_param(conn, name);
    visit_trace(conn, "%s=%.*s", name, (int)value.size, value.ptr != NULL ? value.ptr : "");
}

/* ---- of the path ---- */

static int show_get(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)self;
    (void)request;
    param_trace(conn, "a");
    param_trace(conn, "b");
    EXPECT(gyr_param(conn, "none").ptr == NULL, "there is none of this name");
    EXPECT_INT(gyr_set_param(conn, "a", GYR_SPAN("x")), GYR_ERR_STATE, "in before_connect only");
    return gyr_respond_text(conn, 200, "text/plain", GYR_SPAN("ok"));
}

static const struct gyr_resource leaf = {GYR_RESOURCE_PLAIN("leaf"),
                                         .methods = GYR_METHODS(GYR_GET(show_get))};
static const struct gyr_resource parent = {GYR_RESOURCE_PLAIN("parent"),
                                           .children = GYR_ROUTES(GYR_ROUTE("{b}/{a}", &leaf))};
static const struct gyr_route routes[] = {GYR_ROUTE("/p/{a}", &parent), {0}};

void param_of_the_innermost_resource_counts(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, routes);
    visit_kit_get(&visit_kit, "GET", "/p/one/two%2ftwo/%c3%a9/");
    EXPECT_TRACE(&visit_kit, "a=\xc3\xa9 b=two/two", "decoded, and of two the inner one");
    visit_kit_end(&visit_kit);
}

static int set_before(struct gyr_hook_call *call)
{
    char text[] = "replaced";
    EXPECT_INT(gyr_set_param(call->conn, "a", (struct gyr_span){text, 8}), 0, "replaced");
    memset(text, 'X', sizeof(text));
    EXPECT_INT(gyr_set_param(call->conn, "c", GYR_SPAN("added")), 0, "added");
    EXPECT_INT(gyr_set_param(call->conn, "empty", (struct gyr_span){0}), 0, "empty");
    EXPECT(gyr_param(call->conn, "empty").ptr != NULL, "it is there");
    return 0;
}

static int fill_before(struct gyr_hook_call *call)
{
    static const char *const NAMES[] = {"1", "2",  "3",  "4",  "5",  "6",  "7",  "8",
                                        "9", "a0", "a1", "a2", "a3", "a4", "a5", "a6"};
    size_t count = 0;
    uint64_t heap = visit_kit_heap(visit_kit_of(call->conn));
    while (count < COUNT_OF(NAMES) && gyr_set_param(call->conn, NAMES[count], GYR_SPAN("v")) == 0) {
        count++;
    }
    EXPECT_INT(count, 16 - 4, "sixteen in all: two of the path, two of the hook before");
    EXPECT_INT(visit_kit_heap(visit_kit_of(call->conn)) - heap,
               count * (sizeof(struct visit_block) + sizeof("v")), "a copy of the value each");
    EXPECT_INT(gyr_set_param(call->conn, "more", GYR_SPAN("v")), GYR_ERR_LIMIT, "no more");
    EXPECT_INT(gyr_set_param(call->conn, "b", GYR_SPAN("late")), 0, "one that is there");
    param_trace(call->conn, "c");
    param_trace(call->conn, "1");
    return 0;
}

static int set_after(struct gyr_hook_call *call)
{
    EXPECT_INT(gyr_set_param(call->conn, "a", GYR_SPAN("x")), GYR_ERR_STATE, "too late");
    return 0;
}

void param_can_be_set_before_connect(void)
{
    static const struct gyr_hook hooks[] = {
        GYR_HOOK("set", .before_connect = set_before, .after_connect = set_after),
        GYR_HOOK("fill", .before_connect = fill_before),
        {0},
    };
    struct visit_kit visit_kit;
    struct gyr_error error;
    visit_kit_init(&visit_kit);
    visit_kit_app(&visit_kit);
    EXPECT_INT(gyr_app_routes(visit_kit.app, "", routes), 0, "routes");
    EXPECT_INT(gyr_app_hooks(visit_kit.app, NULL, hooks, &error), 0, error.text);
    visit_kit_start(&visit_kit);
    visit_kit_get(&visit_kit, "GET", "/p/one/two/three");
    EXPECT_TRACE(&visit_kit, "c=added 1=v a=replaced b=late", "a copy of what was set");
    EXPECT_INT(visit_kit_heap(&visit_kit), 0, "nothing is left");
    visit_kit_end(&visit_kit);
}

static int number_get(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)self;
    (void)request;
    int64_t number = -7;
    uint64_t natural = 7;
    int err = gyr_param_int(conn, "n", &number);
    visit_trace(conn, "%d:%lld", err, (long long)number);
    err = gyr_param_uint(conn, "n", &natural);
    visit_trace(conn, "%d:%llu", err, (unsigned long long)natural);
    EXPECT_INT(gyr_param_int(conn, "m", &number), GYR_ERR_NOT_FOUND, "none");
    EXPECT_INT(gyr_param_uint(conn, "m", &natural), GYR_ERR_NOT_FOUND, "none");
    return gyr_respond_text(conn, 200, "text/plain", GYR_SPAN("ok"));
}

static const struct gyr_resource numbers = {GYR_RESOURCE_PLAIN("numbers"),
                                            .methods = GYR_METHODS(GYR_GET(number_get))};
static const struct gyr_route numbers_routes[] = {GYR_ROUTE("/n/{n}", &numbers), {0}};

void param_that_looks_like_a_number_is_one(void)
{
    static const struct {
        const char *path;
        const char *trace;
    } rows[] = {
        {"/n/0", "0:0 0:0"},
        {"/n/42", "0:42 0:42"},
        {"/n/-42", "0:-42 -5005:7"},
        {"/n/%34%32", "0:42 0:42"},
        {"/n/9223372036854775807", "0:9223372036854775807 0:9223372036854775807"},
        {"/n/9223372036854775808", "-5005:-7 0:9223372036854775808"},
        {"/n/-9223372036854775808", "0:-9223372036854775808 -5005:7"},
        {"/n/-9223372036854775809", "-5005:-7 -5005:7"},
        {"/n/18446744073709551615", "-5005:-7 0:18446744073709551615"},
        {"/n/18446744073709551616", "-5005:-7 -5005:7"},
        {"/n/99999999999999999999", "-5005:-7 -5005:7"},
        {"/n/007", "-5005:-7 -5005:7"},
        {"/n/-", "-5005:-7 -5005:7"},
        {"/n/--1", "-5005:-7 -5005:7"},
        {"/n/+1", "-5005:-7 -5005:7"},
        {"/n/1.5", "-5005:-7 -5005:7"},
        {"/n/1e2", "-5005:-7 -5005:7"},
        {"/n/%201", "-5005:-7 -5005:7"},
        {"/n/x", "-5005:-7 -5005:7"},
    };
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, numbers_routes);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        visit_kit_get(&visit_kit, "GET", rows[i].path);
        EXPECT_TRACE(&visit_kit, rows[i].trace, rows[i].path);
    }
    visit_kit_end(&visit_kit);
}

/* ---- of the query ---- */

static int query_get(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)self;
    char text[4];
    size_t used = 99;
    int err = gyr_query_param(request, "k&y", text, sizeof(text), &used);
    if (err == 0) {
        visit_trace(conn, "[%.*s]", (int)used, text);
    } else {
        visit_trace(conn, "%d", err);
        EXPECT_INT(used, 99, "an error writes nothing");
    }
    return gyr_respond_text(conn, 200, "text/plain", GYR_SPAN("ok"));
}

static const struct gyr_resource queries = {GYR_RESOURCE_PLAIN("queries"),
                                            .methods = GYR_METHODS(GYR_GET(query_get))};
static const struct gyr_route queries_routes[] = {GYR_ROUTE("/", &queries), {0}};

void param_of_the_query_is_found_and_decoded(void)
{
    static const struct {
        const char *path;
        const char *trace;
    } rows[] = {
        {"/?k%26y=v", "[v]"},
        {"/?a=1&k%26y=v&b=2", "[v]"},
        {"/?k%26y=1&k%26y=2", "[1]"},
        {"/?%6b%26%79=a+b", "[a b]"},
        {"/?k%26y=%61%2B%26", "[a+&]"},
        {"/?k%26y=a=b", "[a=b]"},
        {"/?k%26y=", "[]"},
        {"/?k%26y", "[]"},
        {"/?&&k%26y=v", "[v]"},
        {"/?k%26y=1234", "[1234]"},
        {"/?k%26y=12345", "-5007"},
        {"/?k%26y=%31%32%33%34%35", "-5007"},
        {"/?k%26y=%c3%a9", "[\xc3\xa9]"},
        {"/?k%26=v", "-5012"},
        {"/?K%26Y=v", "-5012"},
        {"/?k&y=v", "-5012"},
        {"/?xk%26y=v", "-5012"},
        {"/?k%26yx=v", "-5012"},
        {"/?k%26yx=1&k%26y=2", "[2]"},
        {"/", "-5012"},
        {"/?", "-5012"},
        {"/?=v", "-5012"},
    };
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, queries_routes);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        visit_kit_get(&visit_kit, "GET", rows[i].path);
        EXPECT_TRACE(&visit_kit, rows[i].trace, rows[i].path);
    }
    /* The engine refuses a malformed escape, so that only a service's own query could have one. */
    visit_kit_get(&visit_kit, "GET", "/?k%26y=%4");
    EXPECT_INT(visit_kit_status(&visit_kit), 400, "refused");
    visit_kit_end(&visit_kit);
}
