/* SPDX-License-Identifier: MIT */
/* HTTP requests of an application: which handler gets one and what the others are told, content
 * that is decoded, content in pieces, responses in pieces, files. */
#include "router/visit.h"

#include "engine/files.h"
#include "tests/engine_kit_file.h"
#include "tests/parser_kit.h"
#include "tests/visit_kit.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>

static int answer(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    struct gyr_span method = gyr_request_method(request);
    (void)self;
    visit_trace(conn, "%.*s", (int)method.size, method.ptr);
    return gyr_respond_text(conn, 200, "text/plain", GYR_SPAN("hello"));
}

static int answer_head(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    visit_trace(conn, "own");
    return answer(conn, self, request);
}

static int accept_connect(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)self;
    (void)request;
    visit_trace(conn, "connect");
    return 0;
}

static const struct gyr_resource methods = {
    GYR_RESOURCE_PLAIN("methods"),
    .methods = GYR_METHODS(GYR_GET(answer), GYR_PUT(answer), GYR_DELETE(answer)),
};
static const struct gyr_resource socket_only = {GYR_RESOURCE_PLAIN("socket_only"),
                                                .on_connect = accept_connect};
static const struct gyr_resource socket_and_post = {GYR_RESOURCE_PLAIN("socket_and_post"),
                                                    .on_connect = accept_connect,
                                                    .methods = GYR_METHODS(GYR_POST(answer))};
static const struct gyr_resource owns = {
    GYR_RESOURCE_PLAIN("owns"),
    .methods =
        GYR_METHODS(GYR_GET(answer), GYR_HTTP(GYR_METHOD_HEAD, answer_head),
                    GYR_HTTP(GYR_METHOD_OPTIONS, answer_head), GYR_HTTP(GYR_METHOD_PATCH, answer)),
};
static const struct gyr_route routes[] = {
    GYR_ROUTE("/methods", &methods),
    GYR_ROUTE("/socket", &socket_only),
    GYR_ROUTE("/both", &socket_and_post),
    GYR_ROUTE("/owns", &owns),
    GYR_ROUTE_HTTP("/plain/{x}", GYR_METHODS(GYR_POST(answer))),
    {0},
};

struct row {
    const char *method;
    const char *path;
    unsigned status_code;
    const char *answered; /* the answer holds this */
    const char *trace;
};

static const struct row ROWS[] = {
    {"GET", "/methods", 200, "\r\n\r\nhello", "GET"},
    {"GET", "/methods/", 200, "\r\n\r\nhello", "GET"},
    {"HEAD", "/methods", 200, "Content-Length: 5\r\n\r\n", "HEAD"},
    {"PUT", "/methods", 200, "hello", "PUT"},
    {"DELETE", "/methods", 200, "hello", "DELETE"},
    {"POST", "/methods", 405, "Allow: GET, HEAD, PUT, DELETE, OPTIONS\r\n", ""},
    {"PATCH", "/methods", 405, "Allow: GET, HEAD, PUT, DELETE, OPTIONS\r\n", ""},
    {"OPTIONS", "/methods", 204, "Allow: GET, HEAD, PUT, DELETE, OPTIONS\r\n", ""},
    {"GET", "/socket", 426, "Upgrade: websocket\r\n", ""},
    {"HEAD", "/socket", 426, "Upgrade: websocket\r\n", ""},
    {"POST", "/socket", 405, "Allow: GET, HEAD, OPTIONS\r\n", ""},
    {"OPTIONS", "/socket", 204, "Allow: GET, HEAD, OPTIONS\r\n", ""},
    {"GET", "/both", 426, "Upgrade: websocket\r\n", ""},
    {"POST", "/both", 200, "hello", "POST"},
    {"PUT", "/both", 405, "Allow: GET, HEAD, POST, OPTIONS\r\n", ""},
    {"HEAD", "/owns", 200, "Content-Length: 5\r\n\r\n", "own HEAD"},
    {"OPTIONS", "/owns", 200, "hello", "own OPTIONS"},
    {"PATCH", "/owns", 200, "hello", "PATCH"},
    {"PUT", "/owns", 405, "Allow: GET, HEAD, PATCH, OPTIONS\r\n", ""},
    {"POST", "/plain/1", 200, "hello", "POST"},
    {"GET", "/plain/1", 405, "Allow: POST, OPTIONS\r\n", ""},
    {"HEAD", "/plain/1", 405, "Allow: POST, OPTIONS\r\n", ""},
    {"GET", "/", 404, "\r\n\r\nthere is nothing here", ""},
    {"GET", "/methods/x", 404, "\r\n\r\nthere is nothing here", ""},
    {"OPTIONS", "/methods/x", 404, "there is nothing here", ""},
    {"OPTIONS", "*", 204, "HTTP/1.1 204 No Content\r\n", ""},
    {"GET", "/%00", 400, "HTTP/1.1 400 ", ""},
};

void http_app_gives_a_request_to_the_row_of_its_method(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, routes);
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        char why[128];
        (void)snprintf(why, sizeof(why), "%s %s", ROWS[i].method, ROWS[i].path);
        visit_kit_get(&visit_kit, ROWS[i].method, ROWS[i].path);
        EXPECT_INT(visit_kit_status(&visit_kit), ROWS[i].status_code, why);
        EXPECT(visit_kit_answered(&visit_kit, ROWS[i].answered), why);
        EXPECT_TRACE(&visit_kit, ROWS[i].trace, why);
        EXPECT_INT(visit_kit_heap(&visit_kit), 0, why);
        kit_forget(&visit_kit.kit);
    }
    visit_kit_end(&visit_kit);
}

void http_app_closes_where_only_a_websocket_is(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, routes);
    visit_kit_get(&visit_kit, "GET", "/socket");
    EXPECT(visit_kit_answered(&visit_kit, "Connection: close, upgrade\r\n"), "it says so");
    EXPECT(kit_is_ended(&visit_kit.kit), "and does it");
    visit_kit_get(&visit_kit, "GET", "/methods");
    EXPECT(!kit_is_ended(&visit_kit.kit), "others go on");
    visit_kit_end(&visit_kit);
}

void http_app_answers_a_handshake_as_a_get_where_there_is_no_websocket(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, routes);
    visit_kit_upgrade(&visit_kit, "/methods", "");
    EXPECT_INT(visit_kit_status(&visit_kit), 200, "its GET");
    EXPECT_TRACE(&visit_kit, "GET", "its GET");
    kit_forget(&visit_kit.kit);
    visit_kit_upgrade(&visit_kit, "/plain/1", "");
    EXPECT_INT(visit_kit_status(&visit_kit), 405, "no GET");
    kit_forget(&visit_kit.kit);
    visit_kit_upgrade(&visit_kit, "/both", "");
    EXPECT_INT(visit_kit_status(&visit_kit), 101, "a WebSocket");
    EXPECT_TRACE(&visit_kit, "connect", "a WebSocket");
    visit_kit_end(&visit_kit);
}

void http_app_keeps_the_connection_of_what_was_not_found(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, routes);
    visit_kit_request(&visit_kit, KIT_GET("/none") KIT_GET("/methods"));
    EXPECT_INT(visit_kit_status(&visit_kit), 404, "the first");
    EXPECT(visit_kit_answered(&visit_kit, "HTTP/1.1 200 OK"), "the second");
    visit_kit_end(&visit_kit);
}

/* ---- content that is decoded ---- */

struct task {
    struct gyr_span title;
    int32_t priority;
};
GYR_MESSAGE(task, "task", GYR_MEMBER(task, title, GYR_SIZE(1, 20)),
            GYR_MEMBER(task, priority, GYR_OPTIONAL, GYR_RANGE(0, 9)));

static int task_post(struct gyr_conn *conn, void *self, const struct task *task)
{
    (void)self;
    visit_trace(conn, "%.*s:%d", (int)task->title.size, task->title.ptr, task->priority);
    if (task->priority == 9) {
        return GYR_PENDING;
    }
    return task->priority == 8 ? -EIO : GYR_RESPOND(conn, 201, task, .title = task->title);
}

static int task_after(struct gyr_hook_call *call)
{
    EXPECT(gyr_request_path(call->request).size == 6, "the request is there still");
    visit_trace(call->conn, "after:%d", call->err);
    return 0;
}

static const struct gyr_resource tasks = {
    GYR_RESOURCE_PLAIN("tasks"),
    .methods =
        GYR_METHODS(GYR_POST_MSG(task, task_post), GYR_PUT_MSG(task, task_post, .lenient = true),
                    GYR_PATCH_MSG(task, task_post, .content_size_max = 30)),
    .hooks = GYR_HOOKS(GYR_HOOK("after", .after_connect = task_after)),
};
static const struct gyr_route task_routes[] = {GYR_ROUTE("/tasks", &tasks), {0}};

struct content_row {
    const char *method;
    const char *type;
    const char *content;
    unsigned status_code;
    const char *answered;
    const char *trace;
};

#define JSON_TYPE "application/json"
static const struct content_row CONTENT_ROWS[] = {
    {"POST", JSON_TYPE, "{\"title\":\"a\"}", 201, "\r\n\r\n{\"title\":\"a\"", "a:0 after:0"},
    {"POST", "Application/JSON ; charset=utf-8", " {\"priority\":1,\"title\":\"b\"} ", 201,
     "Content-Type: application/json\r\n", "b:1 after:0"},
    {"POST", "application/vnd.x+json", "{\"title\":\"a\"}", 201, "", "a:0 after:0"},
    {"POST", "text/plain", "{\"title\":\"a\"}", 415,
     "\r\n\r\n{\"code\":\"content_type\",\"reason\":\"the content has to be application/json\"}",
     "after:-5013"},
    {"POST", "application/jsonx", "{\"title\":\"a\"}", 415, "", "after:-5013"},
    {"POST", "+json", "{\"title\":\"a\"}", 415, "", "after:-5013"},
    {"POST", NULL, "{\"title\":\"a\"}", 415, "", "after:-5013"},
    {"POST", JSON_TYPE, "{}", 400,
     "\r\n\r\n{\"code\":\"missing\",\"reason\":\"it is missing\",\"path\":\"title\"}",
     "after:-5013"},
    {"POST", JSON_TYPE, "{\"title\":\"\"}", 400, "\"code\":\"size\"", "after:-5013"},
    {"POST", JSON_TYPE, "{\"title\":\"a\",\"priority\":10}", 400, "\"path\":\"priority\"",
     "after:-5013"},
    {"POST", JSON_TYPE, "{\"title\":\"a\",\"more\":1}", 400, "\"code\":\"unknown_member\"",
     "after:-5013"},
    {"PUT", JSON_TYPE, "{\"title\":\"a\",\"more\":1,\"priority\":\"3\"}", 201, "", "a:3 after:0"},
    {"POST", JSON_TYPE, "{\"title\":", 400, "\"code\":\"malformed\"", "after:-5013"},
    {"POST", JSON_TYPE, "[]", 400, "\"code\":\"not_object\"", "after:-5013"},
    {"POST", JSON_TYPE, "", 400, "\"code\":\"malformed\"", "after:-5013"},
    {"POST", NULL, "", 400, "\"code\":\"malformed\"", "after:-5013"},
    {"POST", JSON_TYPE, "{\"title\":\"a\",\"priority\":8}", 500, "\r\n\r\ninternal error",
     "a:8 !handler:tasks.task_post-5 after:-5"},
    {"PATCH", JSON_TYPE, "{\"title\":\"123456789\"}", 201, "", "123456789:0 after:0"},
    {"PATCH", JSON_TYPE, "{\"title\":\"12345678901234567890\"}", 413, "", ""},
};

static void send_content(struct visit_kit *visit_kit, const struct content_row *row, bool chunked,
                         size_t step)
{
    char request[1024];
    char type[128] = "";
    size_t size = strlen(row->content);
    if (row->type != NULL) {
        (void)snprintf(type, sizeof(type), "Content-Type: %s\r\n", row->type);
    }
    if (chunked && size != 0) {
        (void)snprintf(request, sizeof(request),
                       "%s /tasks HTTP/1.1\r\nHost: a\r\n%sTransfer-Encoding: chunked\r\n\r\n"
                       "%zx\r\n%s\r\n0\r\n\r\n",
                       row->method, type, size, row->content);
    } else {
        (void)snprintf(request, sizeof(request),
                       "%s /tasks HTTP/1.1\r\nHost: a\r\n%sContent-Length: %zu\r\n\r\n%s",
                       row->method, type, size, row->content);
    }
    kit_connect(&visit_kit->kit);
    kit_input_steps(&visit_kit->kit, request, strlen(request), step);
}

void http_app_decodes_content_before_its_handler_runs(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, task_routes);
    for (unsigned way = 0; way < 4; way++) {
        visit_kit.told = true; /* what is the client's affair is not */
        for (size_t i = 0; i < COUNT_OF(CONTENT_ROWS); i++) {
            const struct content_row *row = &CONTENT_ROWS[i];
            const char *why = row->content;
            send_content(&visit_kit, row, (way & 1) != 0, (way & 2) != 0 ? 1 : 1000);
            EXPECT_INT(visit_kit_status(&visit_kit), row->status_code, why);
            EXPECT(visit_kit_answered(&visit_kit, row->answered), why);
            EXPECT_TRACE(&visit_kit, row->trace, why);
            EXPECT_INT(visit_kit_heap(&visit_kit), 0, why);
            kit_reset(&visit_kit.kit);
        }
        visit_kit_end(&visit_kit);
        if (way < 3) {
            visit_kit_begin(&visit_kit, task_routes);
        }
    }
}

void http_app_content_may_break_off_and_its_handler_may_wait(void)
{
    static const struct content_row row = {"POST", JSON_TYPE, "{\"title\":\"a\",\"priority\":9}",
                                           0,      "",        ""};
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, task_routes);
    send_content(&visit_kit, &row, false, 1000);
    EXPECT_TRACE(&visit_kit, "a:9", "it waits");
    struct gyr_conn *conn = kit_conn(&visit_kit.kit);
    EXPECT_INT(gyr_respond_error(conn, 409, "taken", "somebody was faster", NULL), 0, "answered");
    EXPECT_INT(gyr_finish(conn, 0), 0, "and finished");
    kit_run(&visit_kit.kit);
    EXPECT_TRACE(&visit_kit, "after:0", "the hook follows");
    EXPECT(visit_kit_answered(&visit_kit,
                              "\r\n\r\n{\"code\":\"taken\",\"reason\":\"somebody was faster\"}"),
           "an error in JSON");
    static const char HALF[] = "POST /tasks HTTP/1.1\r\nHost: a\r\nContent-Type: " JSON_TYPE
                               "\r\nContent-Length: 20\r\n\r\n{\"title";
    visit_kit_request(&visit_kit, HALF);
    EXPECT(visit_kit_heap(&visit_kit) != 0, "it is there");
    kit_reset(&visit_kit.kit);
    EXPECT_TRACE(&visit_kit, "", "nothing runs");
    EXPECT_INT(visit_kit_heap(&visit_kit), 0, "nothing is left");
    visit_kit_end(&visit_kit);
}

void http_app_asks_for_content_that_waits_to_be_asked_for(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, task_routes);
    visit_kit_request(
        &visit_kit,
        "POST /tasks HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Type: " JSON_TYPE
        "\r\nContent-Length: 13\r\n\r\n");
    EXPECT_OUTPUT(&visit_kit.kit, "HTTP/1.1 100 Continue\r\n\r\n", "asked for");
    KIT_INPUT(&visit_kit.kit, "{\"title\":\"a\"}");
    EXPECT_INT(visit_kit_status(&visit_kit), 201, "answered");
    kit_forget(&visit_kit.kit);
    visit_kit_request(&visit_kit,
                      "POST /tasks HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Type: "
                      "text/plain\r\nContent-Length: 13\r\n\r\n");
    EXPECT_INT(visit_kit_status(&visit_kit), 415, "not asked for");
    visit_kit_end(&visit_kit);
}

/* ---- content and responses in pieces ---- */

struct upload {
    size_t size;
};

static int upload_put(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)self;
    (void)request;
    visit_trace(conn, "put");
    return 0;
}

static void upload_cancel(void *arg)
{
    visit_trace(arg, "cancel");
}

static int upload_body(struct gyr_conn *conn, void *self, struct gyr_span piece, bool last)
{
    struct upload *upload = self;
    upload->size += piece.size;
    if (piece.size != 0 && piece.ptr[0] == '!') {
        return gyr_refuse(conn, 422, GYR_SPAN("not this"));
    }
    if (piece.size != 0 && piece.ptr[0] == '?') {
        return -EIO;
    }
    if (piece.size != 0 && piece.ptr[0] == 'c') {
        gyr_on_cancel(conn, upload_cancel, conn);
        return 0; /* it does not wait, so there is nothing to cancel */
    }
    if (piece.size != 0 && piece.ptr[0] == '_') {
        visit_trace(conn, "wait");
        return GYR_PENDING;
    }
    if (!last) {
        return 0;
    }
    visit_trace(conn, "%zu", upload->size);
    return gyr_respond_text(conn, 200, "text/plain", GYR_SPAN("done"));
}

static void upload_destroy(struct gyr_conn *conn, void *self)
{
    (void)self;
    visit_trace(conn, "destroy");
}

static const struct gyr_resource uploads = {
    GYR_RESOURCE(upload),
    .destroy = upload_destroy,
    .on_body = upload_body,
    .methods = GYR_METHODS(GYR_PUT(upload_put)),
};
static const struct gyr_route upload_routes[] = {GYR_ROUTE("/", &uploads), {0}};

#define PUT_HEAD(size) "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: " size "\r\n\r\n"

void http_app_hands_content_over_in_pieces(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, upload_routes);
    visit_kit.told = true;
    visit_kit_request(&visit_kit, PUT_HEAD("6") "abc");
    EXPECT_TRACE(&visit_kit, "put", "it goes on");
    KIT_INPUT(&visit_kit.kit, "def");
    EXPECT_TRACE(&visit_kit, "6 destroy", "all of it");
    EXPECT_INT(visit_kit_status(&visit_kit), 200, "answered");
    kit_forget(&visit_kit.kit);
    visit_kit_request(&visit_kit, PUT_HEAD("6") "!");
    EXPECT_INT(visit_kit_status(&visit_kit), 422, "refused");
    EXPECT_TRACE(&visit_kit, "put destroy", "which is no failure");
    kit_forget(&visit_kit.kit);
    visit_kit_request(&visit_kit, PUT_HEAD("6") "?");
    EXPECT_INT(visit_kit_status(&visit_kit), 500, "failed");
    EXPECT_TRACE(&visit_kit, "put !on_body:upload.-5 destroy", "which is told");
    kit_forget(&visit_kit.kit);
    visit_kit_request(&visit_kit, PUT_HEAD("2") "_");
    EXPECT_TRACE(&visit_kit, "put wait", "it waits");
    KIT_INPUT(&visit_kit.kit, "x");
    EXPECT_TRACE(&visit_kit, "", "what follows waits, too");
    EXPECT_INT(gyr_finish(kit_conn(&visit_kit.kit), 0), 0, "go on");
    kit_run(&visit_kit.kit);
    EXPECT_TRACE(&visit_kit, "2 destroy", "it went on");
    kit_forget(&visit_kit.kit);
    visit_kit_request(&visit_kit, PUT_HEAD("2") "_");
    EXPECT_INT(gyr_finish(kit_conn(&visit_kit.kit), -EIO), 0, "it has failed");
    kit_run(&visit_kit.kit);
    EXPECT_INT(visit_kit_status(&visit_kit), 500, "failed");
    EXPECT_TRACE(&visit_kit, "put wait !on_body:upload.-5 destroy", "told once");
    visit_kit_request(&visit_kit, PUT_HEAD("6") "abc");
    kit_reset(&visit_kit.kit);
    EXPECT_TRACE(&visit_kit, "put destroy", "lost");
    visit_kit_request(&visit_kit, PUT_HEAD("6") "c");
    KIT_INPUT(&visit_kit.kit, "_");
    kit_reset(&visit_kit.kit);
    EXPECT_TRACE(&visit_kit, "put wait destroy", "what an earlier piece asked for is over");
    visit_kit_end(&visit_kit);
}

static int stream_get(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    struct gyr_response response = {.size = sizeof(response), .status_code = 200};
    (void)self;
    visit_trace(conn, "get");
    int err = gyr_respond_begin(conn, &response);
    if (err < 0) {
        return err;
    }
    err = gyr_respond_part(conn, GYR_SPAN("one"));
    gyr_conn_timer(conn, 10);
    return gyr_request_query(request).size != 0 ? GYR_PENDING : err;
}

static void stream_timer(struct gyr_conn *conn, void *self)
{
    EXPECT(self == gyr_self(conn, 0), "the innermost");
    visit_trace(conn, "timer");
    EXPECT_INT(gyr_respond_part(conn, GYR_SPAN("two")), 0, "another");
    EXPECT_INT(gyr_respond_end(conn), 0, "the end");
}

static int stream_after(struct gyr_hook_call *call)
{
    visit_trace(call->conn, "after:%d", call->err);
    return 0;
}

static const struct gyr_resource streams = {
    GYR_RESOURCE(upload),
    .destroy = upload_destroy,
    .on_timer = stream_timer,
    .methods = GYR_METHODS(GYR_GET(stream_get)),
    .hooks = GYR_HOOKS(GYR_HOOK("after", .after_connect = stream_after)),
};
static const struct gyr_route stream_routes[] = {GYR_ROUTE("/", &streams), {0}};

void http_app_lives_as_long_as_its_response(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, stream_routes);
    visit_kit_get(&visit_kit, "GET", "/");
    EXPECT_TRACE(&visit_kit, "get after:0", "the handler has returned");
    kit_advance(&visit_kit.kit, 20);
    EXPECT_TRACE(&visit_kit, "timer destroy", "the end of the response");
    EXPECT(visit_kit_answered(&visit_kit, "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"), "all of it");
    kit_forget(&visit_kit.kit);
    visit_kit_get(&visit_kit, "GET", "/?wait");
    EXPECT_TRACE(&visit_kit, "get", "the handler waits");
    kit_advance(&visit_kit.kit, 20);
    EXPECT_TRACE(&visit_kit, "timer after:0 destroy", "the end of the response ends its wait, too");
    visit_kit_get(&visit_kit, "GET", "/?wait");
    kit_reset(&visit_kit.kit);
    EXPECT_TRACE(&visit_kit, "get destroy", "lost");
    EXPECT_INT(visit_kit_heap(&visit_kit), 0, "nothing is left");
    visit_kit_end(&visit_kit);
}

/* A reader that does not read holds the rest of the request's content back. */
static int slow_put(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    static char big[20000];
    struct gyr_response response = {.size = sizeof(response), .status_code = 200};
    (void)self;
    (void)request;
    int err = gyr_respond_begin(conn, &response);
    while (err == 0) {
        err = gyr_respond_part(conn, (struct gyr_span){big, sizeof(big)});
    }
    EXPECT_INT(err, GYR_QUEUE_HIGH, "the queue is high");
    return err;
}

static int slow_body(struct gyr_conn *conn, void *self, struct gyr_span piece, bool last)
{
    (void)self;
    (void)last;
    visit_trace(conn, "%.*s", (int)piece.size, piece.ptr);
    return 0;
}

static void slow_drain(struct gyr_conn *conn, void *self)
{
    (void)self;
    visit_trace(conn, "drain");
}

static const struct gyr_resource slow = {GYR_RESOURCE_PLAIN("slow"),
                                         .methods = GYR_METHODS(GYR_PUT(slow_put)),
                                         .on_body = slow_body, .on_drain = slow_drain};
static const struct gyr_route slow_routes[] = {GYR_ROUTE("/", &slow), {0}};

void http_app_that_fills_its_queue_gets_content_when_it_has_drained(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, slow_routes);
    kit_connect(&visit_kit.kit);
    kit_room(&visit_kit.kit, 0);
    KIT_INPUT(&visit_kit.kit, PUT_HEAD("3") "abc");
    EXPECT_TRACE(&visit_kit, "", "held back");
    kit_room(&visit_kit.kit, SIZE_MAX);
    EXPECT_TRACE(&visit_kit, "drain abc", "when there is room again");
    visit_kit_end(&visit_kit);
}

/* ---- requests below a resource ---- */

static int below_get(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)request;
    EXPECT(self == NULL, "it is none of the resource's");
    EXPECT(gyr_self(conn, 0) != NULL && gyr_conn_resource(conn) != NULL, "which is there");
    visit_trace(conn, "get");
    gyr_conn_timer(conn, 10);
    return GYR_PENDING;
}

static void below_timer(struct gyr_conn *conn, void *self)
{
    (void)self;
    visit_trace(conn, "timer");
}

static const struct gyr_resource over = {
    GYR_RESOURCE(upload), .on_timer = below_timer, .destroy = upload_destroy,
    .children = GYR_ROUTES(GYR_ROUTE_HTTP("below", GYR_METHODS(GYR_GET(below_get))))};
static const struct gyr_route below_routes[] = {GYR_ROUTE("/over", &over), {0}};

void http_app_handlers_without_a_resource_get_none(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, below_routes);
    visit_kit_get(&visit_kit, "GET", "/over/below");
    kit_advance(&visit_kit.kit, 20);
    kit_reset(&visit_kit.kit);
    EXPECT_TRACE(&visit_kit, "get destroy", "made and destroyed, but not called");
    visit_kit_end(&visit_kit);
}

/* ---- files ---- */

static int files_before(struct gyr_hook_call *call)
{
    return gyr_request_query(call->request).size != 0 ? GYR_PENDING : 0;
}

static const struct gyr_hook files_hooks[] = {GYR_HOOK("ask", .before_connect = files_before), {0}};
static const struct gyr_route files_routes[] = {
    GYR_ROUTE_FILES("/", "pages", .file = "/home.txt"),
    GYR_ROUTE_FILES("/pages/{path:path}", "pages"),
    {0},
};

void http_app_serves_files_below_a_path(void)
{
    static const struct {
        const char *method;
        const char *path;
        unsigned status_code;
        const char *answered;
    } rows[] = {
        {"GET", "/", 200, "\r\n\r\nhome"},
        {"HEAD", "/", 200, "Content-Length: 4\r\n"},
        {"GET", "/pages/a.txt", 200, "\r\n\r\nfirst"},
        {"GET", "/pages/deep/b%20c.txt", 200, "\r\n\r\nsecond"},
        {"GET", "/pages/deep", 301, "Location: /pages/deep/\r\n"},
        {"GET", "/pages/deep/", 200, "\r\n\r\nindex"},
        {"GET", "/pages/none", 404, ""},
        {"GET", "/pages/.hidden", 404, ""},
        {"GET", "/pages", 404, ""},
        {"POST", "/pages/a.txt", 405, "Allow: GET, HEAD, OPTIONS\r\n"},
        {"GET", "/pages/a.txt?wait", 200, "\r\n\r\nfirst"},
        {"GET", "/pages/deep/?wait", 200, "\r\n\r\nindex"},
    };
    struct gyr_files *files = NULL;
    struct gyr_error error;
    struct visit_kit visit_kit;
    EXPECT_INT(files_create(7, NULL, &files, NULL), 0, "files");
    const struct gyr_value service = GYR_VALUE("pages", struct gyr_files, files);
    visit_kit_init(&visit_kit);
    visit_kit_app(&visit_kit);
    EXPECT_INT(gyr_app_service(visit_kit.app, &service, &error), 0, error.text);
    EXPECT_INT(gyr_app_routes(visit_kit.app, "", files_routes), 0, "routes");
    EXPECT_INT(gyr_app_hooks(visit_kit.app, NULL, files_hooks, &error), 0, error.text);
    visit_kit_start(&visit_kit);
    struct kit *kit = &visit_kit.kit;
    kit_file(kit, "home.txt", "home", 4);
    kit_file(kit, "a.txt", "first", 5);
    kit_file(kit, ".hidden", "x", 1);
    kit_file_folder(kit, "deep");
    kit_file(kit, "deep/b c.txt", "second", 6);
    kit_file(kit, "deep/index.html", "index", 5);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        visit_kit_get(&visit_kit, rows[i].method, rows[i].path);
        if (strstr(rows[i].path, "?wait") != NULL) {
            EXPECT_INT(gyr_finish(kit_conn(kit), 0), 0, "the hook waits");
            kit_run(kit);
        }
        EXPECT_INT(visit_kit_status(&visit_kit), rows[i].status_code, rows[i].path);
        EXPECT(visit_kit_answered(&visit_kit, rows[i].answered), rows[i].path);
        EXPECT_INT(visit_kit_heap(&visit_kit), 0, rows[i].path);
    }
    visit_kit_end(&visit_kit);
    files_destroy(files);
}

/* ---- values that are larger than the buffer of a core ---- */

struct text_value {
    struct gyr_span text;
};
GYR_PART(text_value, GYR_MEMBER(text_value, text));

static int large_get(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    static char text[100000];
    (void)self;
    (void)request;
    memset(text, 'x', sizeof(text));
    struct text_value value = {.text = {text, sizeof(text)}};
    int err = gyr_respond_msg(conn, 200, &text_value_schema, &value);
    visit_trace(conn, "%d", err);
    return err;
}

static const struct gyr_route large_routes[] = {
    GYR_ROUTE_HTTP("/", GYR_METHODS(GYR_GET(large_get))), {0}};

void http_app_answers_with_values_of_any_size(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, large_routes);
    visit_kit_get(&visit_kit, "GET", "/");
    EXPECT(visit_kit_answered(&visit_kit, "Content-Length: 100011\r\n\r\n{\"text\":\"xxxx"),
           "whole");
    EXPECT_TRACE(&visit_kit, "0", "answered");
    EXPECT_INT(visit_kit_heap(&visit_kit), 0, "nothing is left");
    visit_kit_end(&visit_kit);
}
