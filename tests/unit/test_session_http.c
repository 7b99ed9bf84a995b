/* SPDX-License-Identifier: MIT */
/* HTTP/1.1 as the engine speaks it: what goes in as bytes and what comes out as bytes and
 * upcalls. */
#include "engine/session.h"
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>
#include <stdlib.h>

#define H      "Host: a\r\n"
#define SECOND KIT_GET("/second") /* what must not be looked at */

static bool output_has(struct kit *kit, const char *text)
{
    struct span out = kit_output(kit);
    return out.size != 0 && memmem(out.ptr, out.size, text, strlen(text)) != NULL;
}

static unsigned output_count(struct kit *kit, const char *text)
{
    struct span out = kit_output(kit);
    unsigned count = 0;
    for (size_t i = 0; i + strlen(text) <= out.size; i++) {
        count += memcmp(out.ptr + i, text, strlen(text)) == 0;
    }
    return count;
}

/* One response with this status, that says it closes, and the end of the stream. */
static void expect_refusal(struct kit *kit, unsigned status_code, const char *why)
{
    char begin[32];
    (void)snprintf(begin, sizeof(begin), "HTTP/1.1 %u ", status_code);
    struct span out = kit_output(kit);
    EXPECT(out.size > strlen(begin) && memcmp(out.ptr, begin, strlen(begin)) == 0, why);
    EXPECT_INT(output_count(kit, "HTTP/1.1"), 1, why);
    EXPECT(output_has(kit, status_code == 426 ? "\r\nConnection: close, upgrade\r\n"
                                              : "\r\nConnection: close\r\n"),
           why);
    EXPECT(output_has(kit, "\r\n" KIT_DATE), why);
    EXPECT(kit_is_ended(kit), why);
}

struct refused {
    const char *why;
    const char *bytes;
    unsigned status_code;
    const char *field; /* that the answer has */
};

static const struct refused REFUSED[] = {
    {"no colon", "GET / HTTP/1.1\r\n" H "bad\r\n\r\n", 400, NULL},
    {"a space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, NULL},
    {"obs-fold", "GET / HTTP/1.1\r\n" H "A: b\r\n c\r\n\r\n", 400, NULL},
    {"bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400, NULL},
    {"no Host", "GET / HTTP/1.1\r\nA: b\r\n\r\n", 400, NULL},
    {"two Hosts", "GET / HTTP/1.1\r\n" H H "\r\n", 400, NULL},
    {"two lengths", "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400,
     NULL},
    {"a length and a coding",
     "POST / HTTP/1.1\r\n" H "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", 400, NULL},
    {"a signed length", "POST / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\n", 400, NULL},
    {"chunked is not last", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n\r\n",
     400, NULL},
    {"a coding of HTTP/1.0", "POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 400,
     NULL},
    {"garbage", "\x16\x03\x01\x02garbage\r\n\r\n", 400, NULL},
    {"method unknown", "BREW / HTTP/1.1\r\n" H "\r\n", 501, NULL},
    {"method not offered", "TRACE / HTTP/1.1\r\n" H "\r\n", 405, "\r\nAllow: GET, "},
    {"CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 405, "\r\nAllow: GET, "},
    {"version 2", "PRI * HTTP/2.0\r\n\r\n", 505, NULL},
    {"version 1.x", "GET / HTTP/3.1\r\n" H "\r\n", 505, NULL},
    {"coding unknown", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 501,
     NULL},
    {"expectation unknown", "POST / HTTP/1.1\r\n" H "Expect: fun\r\nContent-Length: 1\r\n\r\n", 417,
     NULL},
    {"content too large", "POST / HTTP/1.1\r\n" H "Content-Length: 16777217\r\n\r\n", 413, NULL},
    {"handshake without key",
     "GET / HTTP/1.1\r\n" H "Upgrade: websocket\r\nConnection: Upgrade\r\n"
     "Sec-WebSocket-Version: 13\r\n\r\n",
     400, NULL},
    {"handshake with a short key",
     "GET / HTTP/1.1\r\n" H "Upgrade: websocket\r\nConnection: Upgrade\r\n"
     "Sec-WebSocket-Key: AAAA\r\nSec-WebSocket-Version: 13\r\n\r\n",
     400, NULL},
    {"WebSocket version 8",
     "GET / HTTP/1.1\r\n" H "Upgrade: websocket\r\nConnection: Upgrade\r\n"
     "Sec-WebSocket-Key: " KIT_KEY "\r\nSec-WebSocket-Version: 8\r\n\r\n",
     426, "\r\nSec-WebSocket-Version: 13\r\n"},
    {"no WebSocket version",
     "GET / HTTP/1.1\r\n" H "Upgrade: websocket\r\nConnection: Upgrade\r\n"
     "Sec-WebSocket-Key: " KIT_KEY "\r\n\r\n",
     426, "\r\nUpgrade: websocket\r\n"},
};

static void refuse(const struct refused *row, size_t step)
{
    struct kit kit;
    char bytes[1024];
    size_t size = (size_t)snprintf(bytes, sizeof(bytes), "%s%s", row->bytes, SECOND);
    kit_begin(&kit);
    kit_input_steps(&kit, bytes, size, step == 0 ? size : step);
    expect_refusal(&kit, row->status_code, row->why);
    EXPECT(row->field == NULL || output_has(&kit, row->field), row->why);
    KIT_INPUT(&kit, SECOND);
    EXPECT_INT(output_count(&kit, "HTTP/1.1"), 1, row->why);
    EXPECT_LOG(&kit, "", row->why);
    EXPECT_INT(kit.core->stats.http_errors, 1, row->why);
    kit_end_of_stream(&kit);
    EXPECT(kit_is_closed(&kit), row->why);
    kit_end(&kit);
}

void session_http_refuses_bad_heads_and_reads_no_further(void)
{
    for (size_t i = 0; i < COUNT_OF(REFUSED); i++) {
        refuse(&REFUSED[i], 0);
        refuse(&REFUSED[i], 1);
    }
}

void session_http_refuses_heads_that_are_too_large(void)
{
    static const struct {
        const char *why;
        unsigned status_code;
    } rows[] = {{"target", 414}, {"head", 431}, {"fields", 431}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t step = 0; step < 2; step++) {
            struct kit kit;
            kit_init(&kit);
            kit.config.head_size_max = 1024;
            kit.config.target_size_max = 100;
            kit.config.field_count_max = 10;
            kit_start(&kit);
            kit_connect(&kit);
            char bytes[4096] = "";
            size_t size = (size_t)snprintf(bytes, sizeof(bytes), "GET /%0*d HTTP/1.1\r\n" H,
                                           i == 0 ? 100 : 1, 0);
            for (unsigned k = 0; k < (i == 2 ? 10U : 5U); k++) {
                size += (size_t)snprintf(bytes + size, sizeof(bytes) - size, "A%u: %0*d\r\n", k,
                                         i == 1 ? 300 : 1, 0);
            }
            size += (size_t)snprintf(bytes + size, sizeof(bytes) - size, "\r\n%s", SECOND);
            kit_input_steps(&kit, bytes, size, step == 0 ? size : 1);
            expect_refusal(&kit, rows[i].status_code, rows[i].why);
            EXPECT_LOG(&kit, "", rows[i].why);
            kit_end(&kit);
        }
    }
}

/* The head was good and the service was asked; then the content turns out to be malformed. */
void session_http_refuses_bad_content_and_tells_the_service(void)
{
    static const struct refused rows[] = {
        {"no chunk size", "x\r\n", 400, NULL},
        {"chunk size with sign", "+1\r\na\r\n0\r\n\r\n", 400, NULL},
        {"chunk size in LF", "1\na\r\n0\r\n\r\n", 400, NULL},
        {"chunk without end", "1\r\nab\r\n", 400, NULL},
        {"forbidden trailer", "0\r\nContent-Length: 3\r\n\r\n", 400, NULL},
        {"chunk size past 64 bits", "11111111111111111\r\n", 400, NULL},
        {"chunk past the limit", "1000001\r\n", 413, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t step = 0; step < 2; step++) {
            struct kit kit;
            kit_begin(&kit);
            char bytes[512];
            size_t size =
                (size_t)snprintf(bytes, sizeof(bytes),
                                 "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n%s%s",
                                 rows[i].bytes, SECOND);
            kit_input_steps(&kit, bytes, size, step == 0 ? size : 1);
            expect_refusal(&kit, rows[i].status_code, rows[i].why);
            EXPECT_INT(kit.counts[KIT_REQUEST], 1, rows[i].why);
            EXPECT_INT(kit.counts[KIT_DONE], 1, rows[i].why);
            EXPECT(memmem(kit.log.ptr, kit.log.size, "done aborted\n", 13) != NULL, rows[i].why);
            kit_end(&kit);
        }
    }
}

void session_http_answers_and_keeps_the_connection(void)
{
    struct kit kit;
    kit_begin(&kit);
    KIT_INPUT(&kit, KIT_GET("/a?b"));
    EXPECT_OUTPUT(&kit, KIT_OK, "HTTP/1.1");
    EXPECT_LOG(&kit, "request GET /a?b\ndone answered\n", "one request");
    KIT_INPUT(&kit, KIT_GET("/b") KIT_GET("/c"));
    EXPECT_OUTPUT(&kit, KIT_OK KIT_OK, "two more, and one send for both");
    EXPECT_INT(kit_sends(&kit), 2, "a batch is one send");
    EXPECT(!kit_is_ended(&kit), "kept");
    EXPECT_INT(kit.core->heap_accounted, 0, "it owns no memory between requests");
    kit_end(&kit);
}

void session_http_closes_when_the_client_asks(void)
{
    struct kit kit;
    kit_begin(&kit);
    KIT_INPUT(&kit, "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n" SECOND);
    EXPECT(output_has(&kit, "\r\nConnection: close\r\n"), "said");
    EXPECT_INT(output_count(&kit, "HTTP/1.1 200"), 1, "and nothing after it is interpreted");
    EXPECT(kit_is_ended(&kit), "done");
    EXPECT_LOG(&kit, "request GET /\ndone answered\n", "one request");
    kit_end(&kit);
}

void session_http_keeps_http_1_0_only_when_asked(void)
{
    struct kit kit;
    kit_begin(&kit);
    KIT_INPUT(&kit, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT(output_has(&kit, "\r\nConnection: keep-alive\r\n"), "must be said");
    EXPECT(!kit_is_ended(&kit), "kept");
    kit_forget(&kit);
    KIT_INPUT(&kit, "GET / HTTP/1.0\r\n\r\n");
    EXPECT(output_has(&kit, "\r\nConnection: close\r\n"), "the default of 1.0");
    EXPECT(kit_is_ended(&kit), "closed");
    kit_end(&kit);
}

void session_http_leaves_content_out_for_head(void)
{
    struct kit kit;
    kit_begin(&kit);
    KIT_INPUT(&kit, "HEAD / HTTP/1.1\r\n" H "\r\n" KIT_GET("/"));
    EXPECT_OUTPUT(&kit,
                  "HTTP/1.1 200 OK\r\n" KIT_DATE
                  "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n" KIT_OK,
                  "the length is told, the content is not sent");
    kit_end(&kit);
}

void session_http_leaves_content_out_of_errors_for_head(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit.acts[KIT_REQUEST] = KIT_FAIL;
    KIT_INPUT(&kit, "HEAD / HTTP/1.1\r\n" H "\r\n");
    struct span out = kit_output(&kit);
    EXPECT(out.size > 4 && memcmp(out.ptr + out.size - 4, "\r\n\r\n", 4) == 0,
           "ends with its head");
    kit_end(&kit);
}

void session_http_sends_100_continue_only_when_it_is_waited_for(void)
{
    static const char HEAD[] =
        "POST / HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    struct kit kit;
    kit_begin(&kit);
    kit_input(&kit, HEAD, sizeof(HEAD) - 1);
    EXPECT_OUTPUT(&kit, "HTTP/1.1 100 Continue\r\n\r\n", "go on");
    KIT_INPUT(&kit, "ab");
    EXPECT_OUTPUT(&kit, KIT_OK, "the answer");
    EXPECT_LOG(&kit, "request POST /\nbody ab last\ndone answered\n", "the content");
    KIT_INPUT(&kit, "POST / HTTP/1.0\r\n" H
                    "Connection: keep-alive\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    EXPECT_OUTPUT(&kit, "", "HTTP/1.0 does not know it (RFC 9110 section 10.1.1)");
    KIT_INPUT(&kit, "ab");
    EXPECT(output_has(&kit, "HTTP/1.1 200 OK"), "answered");
    kit_end(&kit);
}

static int respond_403(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)kit;
    (void)event;
    return gyr_respond_text(conn, 403, "text/plain", GYR_SPAN("no"));
}

void session_http_refuses_an_expectation_with_a_final_answer_and_closes(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit.hooks[KIT_REQUEST] = respond_403;
    KIT_INPUT(&kit, "POST / HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 90\r\n\r\n");
    expect_refusal(&kit, 403, "no 100, and the content may never come");
    EXPECT_LOG(&kit, "request POST /\ndone answered\n", "answered");
    kit_end(&kit);
}

void session_http_closes_after_an_error_with_unread_content(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit.hooks[KIT_REQUEST] = respond_403;
    KIT_INPUT(&kit, "POST / HTTP/1.1\r\n" H "Content-Length: 54\r\n\r\n" SECOND);
    expect_refusal(&kit, 403, "what follows may be content or a request");
    EXPECT_INT(kit.counts[KIT_REQUEST], 1, "never interpreted");
    kit_end(&kit);
}

void session_http_drops_the_content_of_a_request_answered_early(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit.hooks[KIT_REQUEST] = NULL;
    KIT_INPUT(&kit, "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\n");
    kit.acts[KIT_BODY] = KIT_NOTHING;
    CU_ASSERT_FATAL(kit_conn(&kit) != NULL);
    EXPECT_INT(gyr_respond_text(kit_conn(&kit), 200, "text/plain", GYR_SPAN("ok")), 0, "early");
    KIT_INPUT(&kit, "abc" KIT_GET("/next"));
    EXPECT_OUTPUT(&kit, KIT_OK KIT_OK, "the next request is found behind the content");
    EXPECT_LOG(&kit, "request POST /\ndone answered\nrequest GET /next\ndone answered\n",
               "no on_body after the answer");
    kit_end(&kit);
}

void session_http_hands_content_over_as_it_comes(void)
{
    struct kit kit;
    kit_begin(&kit);
    KIT_INPUT(&kit, "POST / HTTP/1.1\r\n" H "Content-Length: 6\r\n\r\nab");
    EXPECT_INT(kit.counts[KIT_BODY], 1, "the first piece is not held back");
    KIT_INPUT(&kit, "cd");
    KIT_INPUT(&kit, "ef" KIT_GET("/"));
    EXPECT_INT(kit.counts[KIT_BODY], 3, "a piece for each");
    EXPECT_LOG(&kit,
               "request POST /\nbody abcdef last\ndone answered\nrequest GET /\ndone answered\n",
               "the content, and the request behind it");
    kit_end(&kit);
}

static int collect(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)event;
    return gyr_collect(conn, *(size_t *)kit->context);
}

void session_http_collects_content_up_to_a_limit(void)
{
    size_t size_max = 6;
    struct kit kit;
    kit_begin(&kit);
    kit.context = &size_max;
    kit.hooks[KIT_REQUEST] = collect;
    KIT_INPUT(&kit, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n");
    KIT_INPUT(&kit, "3\r\nabc\r\n");
    EXPECT_INT(kit.counts[KIT_BODY], 0, "gathered");
    KIT_INPUT(&kit, "3;x=y\r\ndef\r\n0\r\nA: b\r\n\r\n");
    EXPECT_INT(kit.counts[KIT_BODY], 1, "whole");
    EXPECT_LOG(&kit, "request POST /\nbody abcdef last\ndone answered\n", "six bytes fit");
    EXPECT_OUTPUT(&kit, KIT_OK, "answered");
    EXPECT_INT(kit.core->heap_accounted, 0, "given back");
    KIT_INPUT(&kit,
              "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n7\r\nabcdefg\r\n" SECOND);
    expect_refusal(&kit, 413, "seven do not");
    EXPECT_LOG(&kit, "request POST /\ndone aborted\n", "no piece is seen");
    kit_end(&kit);
}

void session_http_refuses_a_length_beyond_what_is_collected_at_once(void)
{
    size_t size_max = 6;
    struct kit kit;
    kit_begin(&kit);
    kit.context = &size_max;
    kit.hooks[KIT_REQUEST] = collect;
    KIT_INPUT(&kit, "POST / HTTP/1.1\r\n" H "Content-Length: 100000\r\n\r\n1");
    expect_refusal(&kit, 413, "nobody waits for the rest of what cannot fit");
    EXPECT_LOG(&kit, "request POST /\ndone aborted\n", "no piece is seen");
    kit_end(&kit);
}

void session_http_calls_no_body_for_requests_without_content(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit.acts[KIT_REQUEST] = KIT_NOTHING;
    KIT_INPUT(&kit, "POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n");
    expect_refusal(&kit, 500, "nobody has answered");
    EXPECT_LOG(&kit, "request POST /\ndone answered\n", "no body");
    kit_end(&kit);
}

void session_http_keeps_the_order_of_answers_behind_one_that_waits(void)
{
    struct kit kit;
    kit_begin(&kit);
    KIT_INPUT(&kit, KIT_GET("/1"));
    kit.acts[KIT_REQUEST] = KIT_PENDING;
    KIT_INPUT(&kit, KIT_GET("/2") KIT_GET("/3") KIT_GET("/4"));
    kit.acts[KIT_REQUEST] = KIT_DEFAULT;
    KIT_INPUT(&kit, KIT_GET("/5"));
    EXPECT_OUTPUT(&kit, KIT_OK, "only the first");
    EXPECT_LOG(&kit, "request GET /1\ndone answered\nrequest GET /2\n", "the others wait");
    struct gyr_conn *conn = kit_conn(&kit);
    CU_ASSERT_FATAL(conn != NULL);
    EXPECT_INT(gyr_respond_text(conn, 201, "text/plain", GYR_SPAN("2")), 0, "answered");
    EXPECT_INT(gyr_finish(conn, 0), 0, "and ended");
    EXPECT_INT(gyr_finish(conn, 0), GYR_ERR_STATE, "once");
    kit_run(&kit);
    EXPECT_OUTPUT(&kit,
                  "HTTP/1.1 201 Created\r\n" KIT_DATE
                  "Content-Type: text/plain\r\nContent-Length: 1\r\n\r\n2" KIT_OK KIT_OK KIT_OK,
                  "in the order of the requests");
    EXPECT_LOG(&kit,
               "done answered\nrequest GET /3\ndone answered\nrequest GET /4\ndone answered\n"
               "request GET /5\ndone answered\n",
               "all");
    kit_end(&kit);
}

static int respond_fields(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)event;
    struct gyr_response response = {.size = sizeof(response), .status_code = 200};
    const struct gyr_field *field = kit->context;
    response.fields = field;
    response.field_count = 1;
    kit->result = gyr_respond(conn, &response);
    return kit->result < 0 ? gyr_respond_text(conn, 204, "", GYR_SPAN("")) : 0;
}

void session_http_response_cannot_be_split_or_framed_by_a_service(void)
{
    static const struct gyr_field rows[] = {
        {GYR_LITERAL("A"), GYR_LITERAL("b\r\nSet-Cookie: c")},
        {GYR_LITERAL("A"), GYR_LITERAL("b\nc")},
        {GYR_LITERAL("A"), GYR_LITERAL("b\rc")},
        {GYR_LITERAL("A"), GYR_LITERAL("b\0c")},
        {GYR_LITERAL("A\r\nB"), GYR_LITERAL("c")},
        {GYR_LITERAL("A: b"), GYR_LITERAL("c")},
        {GYR_LITERAL("A\0"), GYR_LITERAL("c")},
        {GYR_LITERAL(""), GYR_LITERAL("c")},
        {GYR_LITERAL("content-length"), GYR_LITERAL("0")},
        {GYR_LITERAL("TRANSFER-ENCODING"), GYR_LITERAL("chunked")},
        {GYR_LITERAL("Connection"), GYR_LITERAL("close")},
        {GYR_LITERAL("Date"), GYR_LITERAL("now")},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kit kit;
        kit_begin(&kit);
        kit.context = (void *)(uintptr_t)&rows[i];
        kit.hooks[KIT_REQUEST] = respond_fields;
        KIT_INPUT(&kit, KIT_GET("/"));
        EXPECT_INT(kit.result, GYR_ERR_ARGUMENT, rows[i].name.ptr);
        EXPECT_OUTPUT(&kit, "HTTP/1.1 204 No Content\r\n" KIT_DATE "\r\n",
                      "the refused response has written nothing");
        kit_end(&kit);
    }
}

static int respond_type(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)event;
    const char *type = kit->context;
    kit->result = gyr_respond_text(conn, 200, type, GYR_SPAN("x"));
    EXPECT_INT(gyr_respond_text(conn, 199, "a/b", GYR_SPAN("")), GYR_ERR_ARGUMENT, "199");
    EXPECT_INT(gyr_respond_text(conn, 600, "a/b", GYR_SPAN("")), GYR_ERR_ARGUMENT, "600");
    return gyr_respond_text(conn, 299, "a/b", GYR_SPAN(""));
}

void session_http_response_has_a_type_of_one_line_and_a_final_status(void)
{
    struct kit kit;
    kit_begin(&kit);
    char type[] = "a/b\r\nX: y";
    kit.context = type;
    kit.hooks[KIT_REQUEST] = respond_type;
    KIT_INPUT(&kit, KIT_GET("/"));
    EXPECT_INT(kit.result, GYR_ERR_ARGUMENT, "Content-Type splits");
    EXPECT(output_has(&kit, "HTTP/1.1 299 "), "the good one went out");
    EXPECT_INT(output_count(&kit, "HTTP/1.1"), 1, "and only that");
    kit_end(&kit);
}

static int respond_large(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)event;
    char *bytes = kit->context;
    return gyr_respond_text(conn, 200, "text/plain", (struct gyr_span){bytes, 200000});
}

void session_http_sends_answers_that_the_peer_takes_slowly(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit.context = calloc(1, 200000);
    kit.hooks[KIT_REQUEST] = respond_large;
    kit_room(&kit, 1000);
    KIT_INPUT(&kit, KIT_GET("/1") KIT_GET("/2"));
    EXPECT_INT(kit_output(&kit).size, 1000, "what it takes");
    EXPECT_INT(kit.counts[KIT_DONE], 2, "the answers are on their way");
    for (unsigned i = 0; i < 10; i++) {
        kit_room(&kit, 12345);
    }
    kit_room(&kit, SIZE_MAX);
    static const char HEAD[] =
        "HTTP/1.1 200 OK\r\n" KIT_DATE "Content-Type: text/plain\r\nContent-Length: 200000\r\n\r\n";
    struct span out = kit_output(&kit);
    EXPECT_INT(out.size, 2 * (200000 + sizeof(HEAD) - 1), "all of both");
    EXPECT(memcmp(out.ptr + out.size / 2, HEAD, sizeof(HEAD) - 1) == 0, "one behind the other");
    EXPECT_INT(kit.core->heap_accounted, 0, "and the memory is back");
    free(kit.context);
    kit_end(&kit);
}

void session_http_takes_no_request_while_the_queue_is_high(void)
{
    struct kit kit;
    kit_init(&kit);
    kit.config.send_queue_high = 8192;
    kit.config.send_queue_low = 4096;
    kit.config.pause_size_max = 1024;
    kit_start(&kit);
    kit_connect(&kit);
    kit_room(&kit, 0);
    unsigned asked = 0;
    for (; asked < 2000; asked++) {
        kit_deliver(&kit, KIT_GET("/"), sizeof(KIT_GET("/")) - 1);
        if (asked % 50 == 49) {
            kit_run(&kit);
        }
    }
    EXPECT(kit.counts[KIT_REQUEST] < 200, "answers that nobody reads are not made");
    EXPECT(kit.core->heap_accounted < 64 * 1024, "and do not pile up");
    kit_advance(&kit, kit.config.keep_alive_timeout_ms / 3);
    EXPECT(!kit_is_ended(&kit), "the wait is ours");
    kit_room(&kit, SIZE_MAX);
    kit_run(&kit);
    EXPECT_INT(kit.counts[KIT_REQUEST], asked, "all of them in the end");
    EXPECT_INT(output_count(&kit, "HTTP/1.1 200"), asked, "answered");
    kit_end(&kit);
}

void session_http_body_limit_begins_with_the_body(void)
{
    struct kit kit;
    kit_init(&kit);
    kit.config.keep_alive_timeout_ms = 60000;
    kit.config.body_timeout_ms = 5000;
    kit_start(&kit);
    kit_connect(&kit);
    KIT_INPUT(&kit, KIT_GET("/"));
    KIT_INPUT(&kit, "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\na");
    kit_advance(&kit, 4999);
    EXPECT_INT(output_count(&kit, "HTTP/1.1 408"), 0, "there is time left");
    kit_advance(&kit, 2);
    EXPECT_INT(output_count(&kit, "HTTP/1.1 408"), 1, "not only when the older timer runs out");
    kit_end(&kit);
}

/* Each row drips `piece` bytes a second. */
void session_http_body_rate_min_ends_what_drips(void)
{
    static const struct {
        const char *why;
        unsigned piece;
        uint32_t rate_min;
        bool taken;
    } rows[] = {
        {"faster than the minimum", 120, 100, true},
        {"exactly the minimum", 100, 100, true},
        {"slower", 99, 100, false},
        {"much slower", 1, 100, false},
        {"there is no minimum", 1, 0, true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kit kit;
        char piece[128];
        memset(piece, 'a', sizeof(piece));
        kit_init(&kit);
        kit.config.body_timeout_ms = 5000;
        kit.config.body_rate_min = rows[i].rate_min;
        kit_start(&kit);
        kit_connect(&kit);
        KIT_INPUT(&kit, "POST / HTTP/1.1\r\n" H "Content-Length: 1000000\r\n\r\n");
        for (unsigned second = 0; second < 17; second++) {
            kit_input(&kit, piece, rows[i].piece);
            kit_advance(&kit, 1000);
        }
        EXPECT_INT(output_count(&kit, "HTTP/1.1 408"), !rows[i].taken, rows[i].why);
        EXPECT_INT(kit_is_ended(&kit), !rows[i].taken, rows[i].why);
        kit_end(&kit);
    }
}

void session_http_body_rate_counts_anew_after_a_pause_of_ours(void)
{
    struct kit kit;
    kit_init(&kit);
    kit.config.body_timeout_ms = 5000;
    kit.config.body_rate_min = 100;
    kit_start(&kit);
    kit_connect(&kit);
    KIT_INPUT(&kit, "POST / HTTP/1.1\r\n" H "Content-Length: 1000000\r\n\r\n");
    gyr_pause(kit_conn(&kit));
    kit_advance(&kit, 60000);
    gyr_resume(kit_conn(&kit));
    kit_run(&kit);
    KIT_INPUT(&kit, "a");
    kit_advance(&kit, 4900);
    EXPECT_INT(output_count(&kit, "HTTP/1.1 408"), 0, "the minute was ours");
    kit_advance(&kit, 200);
    EXPECT_INT(output_count(&kit, "HTTP/1.1 408"), 1, "five seconds for one byte are its own");
    kit_end(&kit);
}

static int answer_and_pause(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)kit;
    (void)event;
    gyr_pause(conn);
    return gyr_respond_text(conn, 200, "text/plain", GYR_SPAN("ok"));
}

void session_http_pause_ends_with_the_answer(void)
{
    static const char POST[] = "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\n";
    for (unsigned early = 0; early < 2; early++) {
        struct kit kit;
        kit_begin(&kit);
        kit.hooks[KIT_REQUEST] = answer_and_pause;
        KIT_INPUT(&kit, POST);
        EXPECT_OUTPUT(&kit, KIT_OK, "answered before its content");
        if (early != 0) {
            kit_advance(&kit, kit.config.body_timeout_ms + 1);
            EXPECT(kit_is_ended(&kit), "which nobody waits for without a limit");
        } else {
            KIT_INPUT(&kit, "abc" KIT_GET("/"));
            EXPECT_OUTPUT(&kit, KIT_OK, "which is read, as nobody is asked any more");
        }
        EXPECT_INT(kit.counts[KIT_DONE], 2 - early, "and they are done");
        EXPECT_INT(kit.counts[KIT_BODY], 0, "without on_body");
        kit_end(&kit);
    }
}

void session_http_emits_the_same_however_input_is_cut(void)
{
    static const char *const rows[] = {
        KIT_GET("/1") "HEAD /2 HTTP/1.1\r\n" H "\r\n\r\n" KIT_GET("/3"),
        "POST /1 HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nabcde" KIT_GET("/2"),
        "POST /1 HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n2;e=f\r\nde\r\n0\r\nA: b\r\n\r\n" KIT_GET("/2"),
        "POST /1 HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n" KIT_GET("/2"),
        KIT_GET("/1") "GET / HTTP/1.1\r\n" H "Bad\r\n\r\n" KIT_GET("/3"),
        "GET / HTTP/1.0\r\n\r\n" KIT_GET("/2"),
        KIT_GET("/1") KIT_UPGRADE_WITH("Cookie: a=b\r\n") "\x89\x80\0\0\0\0\x81\x82\0\0\0\0hi",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t size = strlen(rows[i]);
        size += i == COUNT_OF(rows) - 1 ? 12 : 0; /* its frames hold zeros */
        EXPECT_INT(kit_split(NULL, false, rows[i], size), SIZE_MAX, rows[i]);
    }
}
