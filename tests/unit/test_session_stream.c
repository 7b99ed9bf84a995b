/* SPDX-License-Identifier: MIT */
/* Responses whose content comes in pieces: the bytes of each framing, the calls that are refused,
 * and what is left behind. */
#include "engine/session.h"
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>
#include <stdlib.h>

#define TYPE    "Content-Type: text/plain\r\n"
#define HEAD    "HTTP/1.1 200 OK\r\n" KIT_DATE TYPE
#define CHUNKED HEAD "Transfer-Encoding: chunked\r\n\r\n"
#define LAST    "0\r\n\r\n"

static const struct gyr_response OK = {
    .size = sizeof(OK), .status_code = 200, .content_type = GYR_LITERAL("text/plain")};

static int begin(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)event;
    kit->result = gyr_respond_begin(conn, &OK);
    return kit->result;
}

/* A connection whose request is being answered in pieces; the head is forgotten. */
static void kit_stream(struct kit *kit)
{
    kit_begin(kit);
    kit->hooks[KIT_REQUEST] = begin;
    KIT_INPUT(kit, KIT_GET("/"));
    EXPECT_OUTPUT(kit, CHUNKED, "the head goes out at once");
    EXPECT_LOG(kit, "request GET /\n", "and the exchange lives on");
    kit->hooks[KIT_REQUEST] = NULL;
}

static void expect_next(struct kit *kit)
{
    kit_forget(kit);
    KIT_INPUT(kit, KIT_GET("/next"));
    EXPECT_OUTPUT(kit, KIT_OK, "the connection is as good as new");
    EXPECT_LOG(kit, "request GET /next\ndone answered\n", "in order");
    EXPECT_INT(kit->core->heap_accounted, 0, "and nothing is left of the stream");
}

/* ---- framing ---- */

static int all_at_once(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    EXPECT_INT(begin(kit, conn, event), 0, "begin");
    EXPECT_INT(gyr_respond_part(conn, GYR_SPAN("hello")), 0, "a piece");
    EXPECT_INT(gyr_respond_part(conn, GYR_SPAN("")), 0, "an empty one is not the last chunk");
    EXPECT_INT(gyr_respond_part(conn, GYR_SPAN("0123456789abcdef")), 0, "two digits");
    EXPECT_INT(gyr_respond_end(conn), 0, "end");
    return 0;
}

void session_stream_sends_a_chunk_for_each_piece(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit.hooks[KIT_REQUEST] = all_at_once;
    KIT_INPUT(&kit, KIT_GET("/") KIT_GET("/2"));
#define WHOLE CHUNKED "5\r\nhello\r\n10\r\n0123456789abcdef\r\n" LAST
    EXPECT_OUTPUT(&kit, WHOLE WHOLE, "RFC 9112 section 7.1");
    EXPECT_INT(kit_sends(&kit), 1, "what a batch makes is one send");
    EXPECT_LOG(&kit, "request GET /\ndone answered\nrequest GET /2\ndone answered\n", "in order");
    kit.hooks[KIT_REQUEST] = NULL;
    expect_next(&kit);
    kit_end(&kit);
}

void session_stream_goes_on_outside_of_callbacks(void)
{
    struct kit kit;
    kit_stream(&kit);
    EXPECT_INT(gyr_respond_part(kit_conn(&kit), GYR_SPAN("one")), 0, "a piece");
    EXPECT_INT(gyr_respond_part(kit_conn(&kit), GYR_SPAN("two")), 0, "a piece");
    unsigned sends = kit_sends(&kit);
    kit_run(&kit);
    EXPECT_OUTPUT(&kit, "3\r\none\r\n3\r\ntwo\r\n", "at the end of the turn");
    EXPECT_INT(kit_sends(&kit), sends + 1, "in one send");
    EXPECT_INT(gyr_respond_end(kit_conn(&kit)), 0, "end");
    EXPECT_LOG(&kit, "", "nothing is called back from a call");
    kit_run(&kit);
    EXPECT_OUTPUT(&kit, LAST, "the last chunk");
    EXPECT_LOG(&kit, "done answered\n", "D1");
    expect_next(&kit);
    kit_end(&kit);
}

static int part_then_end(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)event;
    gyr_conn_timer(conn, 10);
    return kit->counts[KIT_TIMER] < 3 ? gyr_respond_part(conn, GYR_SPAN("tick"))
                                      : gyr_respond_end(conn);
}

void session_stream_goes_on_from_timers(void)
{
    struct kit kit;
    kit_stream(&kit);
    kit.hooks[KIT_TIMER] = part_then_end;
    gyr_conn_timer(kit_conn(&kit), 1);
    for (unsigned i = 0; i < 10; i++) {
        kit_advance(&kit, 20);
    }
    EXPECT_OUTPUT(&kit, "4\r\ntick\r\n4\r\ntick\r\n" LAST, "one for each");
    EXPECT_LOG(&kit, "timer\ntimer\ntimer\ndone answered\n", "and none after the end");
    expect_next(&kit);
    kit_end(&kit);
}

void session_stream_of_http_1_0_ends_with_its_connection(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit.hooks[KIT_REQUEST] = begin;
    KIT_INPUT(&kit, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" KIT_GET("/never"));
    EXPECT_INT(gyr_respond_part(kit_conn(&kit), GYR_SPAN("one")), 0, "a piece");
    EXPECT_INT(gyr_respond_part(kit_conn(&kit), GYR_SPAN("two")), 0, "a piece");
    kit_run(&kit);
    EXPECT_OUTPUT(&kit, HEAD "Connection: close\r\n\r\nonetwo", "no chunks for HTTP/1.0");
    EXPECT(!kit_is_ended(&kit), "more may come");
    EXPECT_INT(gyr_respond_end(kit_conn(&kit)), 0, "end");
    kit_run(&kit);
    EXPECT_OUTPUT(&kit, "", "nothing more");
    EXPECT(kit_is_ended(&kit) && !kit_is_reset(&kit), "which is its end");
    EXPECT_LOG(&kit, "request GET /\ndone answered\n", "one request");
    kit_end(&kit);
}

struct headless {
    const char *why;
    const char *request;
    unsigned status_code;
    const char *output;
};

void session_stream_sends_no_content_where_there_is_none(void)
{
    static const struct headless rows[] = {
        {"HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 200, CHUNKED},
        {"HEAD of HTTP/1.0", "HEAD / HTTP/1.0\r\n\r\n", 200, HEAD "Connection: close\r\n\r\n"},
        {"204", KIT_GET("/"), 204, "HTTP/1.1 204 No Content\r\n" KIT_DATE TYPE "\r\n"},
        {"304", KIT_GET("/"), 304, "HTTP/1.1 304 Not Modified\r\n" KIT_DATE TYPE "\r\n"},
        {"304 of HTTP/1.0", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 304,
         "HTTP/1.1 304 Not Modified\r\n" KIT_DATE TYPE "Connection: keep-alive\r\n\r\n"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gyr_response response = OK;
        struct kit kit;
        kit_begin(&kit);
        kit.acts[KIT_REQUEST] = KIT_PENDING;
        kit_input(&kit, rows[i].request, strlen(rows[i].request));
        response.status_code = rows[i].status_code;
        EXPECT_INT(gyr_respond_begin(kit_conn(&kit), &response), 0, rows[i].why);
        EXPECT_INT(gyr_respond_part(kit_conn(&kit), GYR_SPAN("dropped")), 0, rows[i].why);
        EXPECT_INT(gyr_respond_end(kit_conn(&kit)), 0, rows[i].why);
        kit_run(&kit);
        EXPECT(kit_output_is(&kit, rows[i].output, strlen(rows[i].output)), rows[i].why);
        EXPECT_INT(kit.counts[KIT_DONE], 1, rows[i].why);
        EXPECT_INT(kit_is_ended(&kit), i == 1, rows[i].why);
        kit_end(&kit);
    }
}

/* A request that waits, so that the test can make its answer. */
static struct gyr_conn *ask(struct kit *kit, const char *request)
{
    kit_begin(kit);
    kit->acts[KIT_REQUEST] = KIT_PENDING;
    kit_input(kit, request, strlen(request));
    kit_forget(kit);
    return kit_conn(kit);
}

void session_stream_of_a_known_size_holds_to_it(void)
{
    struct kit kit;
    struct gyr_conn *conn = ask(&kit, KIT_GET("/"));
    EXPECT_INT(session_stream_begin(conn, &OK, 5), 0, "begin");
    EXPECT_INT(gyr_respond_part(conn, GYR_SPAN("abcdef")), GYR_ERR_ARGUMENT, "one too many");
    EXPECT_INT(gyr_respond_part(conn, GYR_SPAN("abc")), 0, "some");
    EXPECT_INT(gyr_respond_part(conn, GYR_SPAN("def")), GYR_ERR_ARGUMENT, "one too many");
    EXPECT_INT(gyr_respond_part(conn, GYR_SPAN("de")), 0, "the rest");
    EXPECT_INT(gyr_respond_part(conn, GYR_SPAN("f")), GYR_ERR_ARGUMENT, "one too many");
    EXPECT_INT(gyr_respond_end(conn), 0, "end");
    kit_run(&kit);
    EXPECT_OUTPUT(&kit, HEAD "Content-Length: 5\r\n\r\nabcde", "as they are");
    kit.acts[KIT_REQUEST] = KIT_DEFAULT;
    expect_next(&kit);
    kit_end(&kit);

    conn = ask(&kit, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_INT(session_stream_begin(conn, &OK, 0), 0, "begin");
    EXPECT_INT(gyr_respond_end(conn), 0, "nothing is all");
    kit_run(&kit);
    EXPECT_OUTPUT(&kit, HEAD "Content-Length: 0\r\nConnection: keep-alive\r\n\r\n", "kept");
    EXPECT(!kit_is_ended(&kit), "HTTP/1.0 too knows the end");
    kit_end(&kit);

    conn = ask(&kit, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_INT(session_stream_begin(conn, &OK, 1000), 0, "begin");
    EXPECT_INT(gyr_respond_end(conn), 0, "a HEAD has nothing to miss");
    kit_run(&kit);
    EXPECT_OUTPUT(&kit, HEAD "Content-Length: 1000\r\n\r\n", "the size is told");
    EXPECT_LOG(&kit, "done answered\n", "whole");
    kit_end(&kit);
}

void session_stream_with_too_few_bytes_ends_with_a_reset(void)
{
    struct kit kit;
    struct gyr_conn *conn = ask(&kit, KIT_GET("/"));
    EXPECT_INT(session_stream_begin(conn, &OK, 5), 0, "begin");
    EXPECT_INT(gyr_respond_part(conn, GYR_SPAN("abcd")), 0, "some");
    EXPECT_INT(gyr_respond_end(conn), GYR_ERR_CLOSED, "a byte is missing");
    EXPECT_INT(gyr_respond_end(conn), GYR_ERR_CLOSED, "still");
    kit_run(&kit);
    EXPECT_LOG(&kit, "done aborted\n", "D1");
    EXPECT(kit_is_reset(&kit), "and the client knows");
    kit_end(&kit);
}

static struct entry *entry_filled(struct kit *kit, size_t size)
{
    struct entry *entry = entry_create(kit_transport(kit), size);
    if (entry != NULL) {
        memset(entry_payload(entry), 'x', size);
        entry->size = (uint32_t)size;
    }
    return entry;
}

void session_stream_entries_go_out_from_where_they_lie(void)
{
    static const size_t SIZES[] = {1, 15, 16, 255, 256, 4095, 4096, 65535, 65536, 0};
    for (unsigned sized = 0; sized < 2; sized++) {
        struct kit kit;
        char *expected = malloc(300000);
        CU_ASSERT_PTR_NOT_NULL_FATAL(expected);
        struct gyr_conn *conn = ask(&kit, KIT_GET("/"));
        size_t size = 0;
        EXPECT_INT(session_stream_begin(conn, &OK, sized ? 139805 : STREAM_SIZE_UNKNOWN), 0, "it");
        kit_run(&kit);
        kit_forget(&kit);
        for (size_t i = 0; i < COUNT_OF(SIZES); i++) {
            EXPECT_INT(session_stream_entry(conn, entry_filled(&kit, SIZES[i])), 0, "taken");
            if (SIZES[i] != 0) {
                size += (size_t)snprintf(expected + size, 16, sized ? "" : "%zx\r\n", SIZES[i]);
                memset(expected + size, 'x', SIZES[i]);
                size += SIZES[i];
                size += (size_t)snprintf(expected + size, 16, sized ? "" : "\r\n");
            }
            if (i % 2 == 0) {
                kit_run(&kit);
            }
        }
        EXPECT_INT(gyr_respond_end(conn), 0, "end");
        kit_run(&kit);
        size += (size_t)snprintf(expected + size, 16, sized ? "" : LAST);
        EXPECT(kit_output_is(&kit, expected, size), "every byte");
        free(expected);
        kit.acts[KIT_REQUEST] = KIT_DEFAULT;
        expect_next(&kit);
        kit_end(&kit);
    }
}

void session_stream_entries_are_freed_when_they_are_not_taken(void)
{
    struct kit kit;
    struct gyr_conn *conn = ask(&kit, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_INT(session_stream_entry(conn, entry_filled(&kit, 9)), GYR_ERR_STATE, "not begun");
    EXPECT_INT(session_stream_begin(conn, &OK, 10), 0, "begin");
    EXPECT_INT(session_stream_entry(conn, entry_filled(&kit, 9)), 0, "nobody wants it");
    EXPECT_INT(session_stream_entry(conn, entry_filled(&kit, 9)), GYR_ERR_ARGUMENT, "too many");
    kit_run(&kit);
    EXPECT_INT(kit.core->heap_accounted, 0, "freed");
    kit_end(&kit);

    conn = ask(&kit, KIT_GET("/"));
    kit.config.send_queue_size_max = 1024;
    EXPECT_INT(session_stream_begin(conn, &OK, STREAM_SIZE_UNKNOWN), 0, "begin");
    kit_run(&kit);
    EXPECT_INT(session_stream_entry(conn, entry_filled(&kit, 1024)), GYR_ERR_BACKPRESSURE, "full");
    gyr_abort(conn);
    EXPECT_INT(session_stream_entry(conn, entry_filled(&kit, 9)), GYR_ERR_CLOSED, "lost");
    EXPECT_INT(kit.core->heap_accounted, 0, "freed");
    kit_end(&kit);
}

/* ---- calls that are refused ---- */

static int refused_in_done(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)kit;
    (void)event;
    EXPECT_INT(gyr_respond_begin(conn, &OK), GYR_ERR_STATE, "in on_done");
    EXPECT_INT(gyr_respond_part(conn, GYR_SPAN("x")), GYR_ERR_CLOSED, "in on_done");
    EXPECT_INT(gyr_respond_end(conn), GYR_ERR_CLOSED, "in on_done");
    return 0;
}

void session_stream_calls_hold_to_their_order(void)
{
    struct kit kit;
    struct gyr_conn *conn = ask(&kit, KIT_UPGRADE_WITH(""));
    kit.hooks[KIT_DONE] = refused_in_done;
    struct gyr_response wrong = OK;
    wrong.content = GYR_SPAN("x");
    EXPECT_INT(gyr_respond_part(conn, GYR_SPAN("x")), GYR_ERR_STATE, "no begin");
    EXPECT_INT(gyr_respond_end(conn), GYR_ERR_STATE, "no begin");
    EXPECT_INT(gyr_respond_begin(conn, &wrong), GYR_ERR_ARGUMENT, "content");
    wrong = (struct gyr_response){0};
    EXPECT_INT(gyr_respond_begin(conn, &wrong), GYR_ERR_ARGUMENT, "no size");
    wrong = OK;
    wrong.status_code = 199;
    EXPECT_INT(gyr_respond_begin(conn, &wrong), GYR_ERR_ARGUMENT, "status");
    wrong.status_code = 600;
    EXPECT_INT(gyr_respond_begin(conn, &wrong), GYR_ERR_ARGUMENT, "status");
    kit_run(&kit);
    EXPECT_OUTPUT(&kit, "", "nothing was begun");
    wrong = OK;
    wrong.size = sizeof(wrong) + 8; /* of a newer header */
    EXPECT_INT(gyr_respond_begin(conn, &wrong), 0, "begin");
    EXPECT_INT(gyr_respond_begin(conn, &OK), GYR_ERR_STATE, "begin twice");
    EXPECT_INT(gyr_respond(conn, &OK), GYR_ERR_STATE, "another answer");
    EXPECT_INT(gyr_upgrade(conn, NULL), GYR_ERR_STATE, "another answer");
    EXPECT_INT(gyr_send(conn, GYR_TEXT, GYR_SPAN("x")), GYR_ERR_STATE, "no WebSocket");
    EXPECT_INT(gyr_ping(conn, GYR_SPAN("x")), GYR_ERR_STATE, "no WebSocket");
    EXPECT_INT(gyr_respond_part(conn, (struct gyr_span){"", (size_t)UINT32_MAX}), GYR_ERR_ARGUMENT,
               "too large for any queue");
    EXPECT_INT(gyr_respond_end(conn), 0, "end");
    EXPECT_INT(gyr_respond_part(conn, GYR_SPAN("x")), GYR_ERR_STATE, "after the end");
    EXPECT_INT(gyr_respond_end(conn), GYR_ERR_STATE, "end twice");
    EXPECT_INT(gyr_respond_begin(conn, &OK), GYR_ERR_STATE, "a second answer");
    kit_run(&kit);
    EXPECT_OUTPUT(&kit, CHUNKED LAST, "one response");
    EXPECT_LOG(&kit, "done answered\n", "one end");
    kit.hooks[KIT_DONE] = NULL;
    kit.acts[KIT_REQUEST] = KIT_DEFAULT;
    kit_open(&kit);
    EXPECT_INT(gyr_respond_begin(kit_conn(&kit), &OK), GYR_ERR_STATE, "a WebSocket");
    EXPECT_INT(gyr_respond_part(kit_conn(&kit), GYR_SPAN("x")), GYR_ERR_STATE, "a WebSocket");
    EXPECT_INT(gyr_respond_end(kit_conn(&kit)), GYR_ERR_STATE, "a WebSocket");
    kit_end(&kit);
}

/* All but a few bytes of the heap are taken. */
static void *heap_fill(struct kit *kit, size_t *size)
{
    *size = (size_t)(kit->config.core_heap_size_max - heap_used(kit->core->heap)) - 64;
    void *ballast = heap_alloc(kit->core->heap, *size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(ballast);
    return ballast;
}

void session_stream_without_memory_refuses_or_breaks(void)
{
    size_t size;
    struct kit kit;
    struct gyr_conn *conn = ask(&kit, KIT_GET("/"));
    void *ballast = heap_fill(&kit, &size);
    EXPECT_INT(gyr_respond_begin(conn, &OK), GYR_ERR_MEMORY, "no head");
    heap_free(kit.core->heap, ballast, size);
    EXPECT_INT(gyr_respond_begin(conn, &OK), 0, "it has changed nothing");
    kit_run(&kit);
    ballast = heap_fill(&kit, &size);
    EXPECT_INT(gyr_respond_part(conn, GYR_SPAN("x")), GYR_ERR_MEMORY, "no piece");
    heap_free(kit.core->heap, ballast, size);
    EXPECT_INT(gyr_respond_part(conn, GYR_SPAN("y")), 0, "it has changed nothing");
    kit_run(&kit);
    EXPECT_OUTPUT(&kit, CHUNKED "1\r\ny\r\n", "what was taken");
    ballast = heap_fill(&kit, &size);
    EXPECT_INT(gyr_respond_end(conn), GYR_ERR_MEMORY, "no last chunk");
    heap_free(kit.core->heap, ballast, size);
    kit_run(&kit);
    EXPECT_LOG(&kit, "done aborted\n", "whoever has ended it is told");
    EXPECT(kit_is_reset(&kit), "and so is the client");
    kit_end(&kit);
}
