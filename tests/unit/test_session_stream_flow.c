/* SPDX-License-Identifier: MIT */
/* Responses in pieces while time goes on: what waits for them, what limits them, and every way in
 * which they end, each of which the service is told once (D1). */
#include "engine/session.h"
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define HEAD         "HTTP/1.1 200 OK\r\n" KIT_DATE "Content-Type: text/plain\r\n"
#define CHUNKED      HEAD "Transfer-Encoding: chunked\r\n\r\n"
#define LAST         "0\r\n\r\n"
#define POST(fields) "POST / HTTP/1.1\r\nHost: a\r\n" fields "\r\n"

static const struct gyr_response OK = {
    .size = sizeof(OK), .status_code = 200, .content_type = GYR_LITERAL("text/plain")};

static int begin(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)event;
    EXPECT_INT(gyr_respond_begin(conn, &OK), 0, "begin");
    return kit->fail_result;
}

/* Begin in on_request, which returns `result`. */
static void stream_begin(struct kit *kit, const char *request, int result)
{
    kit_begin(kit);
    kit->hooks[KIT_REQUEST] = begin;
    kit->fail_result = result;
    kit_input(kit, request, strlen(request));
    kit->hooks[KIT_REQUEST] = NULL;
}

static void stream(struct kit *kit)
{
    stream_begin(kit, KIT_GET("/"), 0);
    EXPECT_OUTPUT(kit, CHUNKED, "begun");
    EXPECT_LOG(kit, "request GET /\n", "it lives on");
}

/* ---- what waits meanwhile ---- */

void session_stream_lets_the_next_request_wait(void)
{
    struct kit kit;
    stream_begin(&kit, KIT_GET("/1") KIT_GET("/2"), 0);
    KIT_INPUT(&kit, KIT_GET("/3"));
    EXPECT_OUTPUT(&kit, CHUNKED, "only the first");
    EXPECT_LOG(&kit, "request GET /1\n", "only the first");
    EXPECT_INT(gyr_respond_part(kit_conn(&kit), GYR_SPAN("x")), 0, "a piece");
    EXPECT_INT(gyr_respond_end(kit_conn(&kit)), 0, "end");
    kit_run(&kit);
    EXPECT_OUTPUT(&kit, "1\r\nx\r\n" LAST KIT_OK KIT_OK, "in order");
    EXPECT_LOG(&kit,
               "done answered\nrequest GET /2\ndone answered\nrequest GET /3\ndone answered\n",
               "each begins when the one before has ended");
    EXPECT_INT(kit.core->heap_accounted, 0, "nothing is kept");
    kit_end(&kit);
}

static int end_the_other(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    struct gyr_conn **other = kit->context;
    if (*other != NULL) {
        EXPECT_INT(gyr_respond_end(*other), 0, "end");
        *other = NULL;
    }
    return kit_default(kit, conn, event);
}

/* The end comes from outside of its callbacks, and the next request in the same turn. */
void session_stream_that_has_just_ended_lets_input_wait(void)
{
    struct gyr_conn *conn = NULL;
    struct kit kit;
    kit_begin(&kit);
    int first = kit.fd;
    kit_connect(&kit);
    int second = kit.fd;
    kit.hooks[KIT_REQUEST] = begin;
    kit.fail_result = 0;
    KIT_INPUT(&kit, KIT_GET("/1"));
    conn = kit_conn(&kit);
    kit.context = &conn;
    kit.hooks[KIT_REQUEST] = end_the_other;
    kit_forget(&kit);
    kit.fd = first;
    kit_deliver(&kit, KIT_GET("/other"), sizeof(KIT_GET("/other")) - 1);
    kit.fd = second;
    kit_deliver(&kit, KIT_GET("/2"), sizeof(KIT_GET("/2")) - 1);
    kit_run(&kit);
    EXPECT_OUTPUT(&kit, LAST KIT_OK, "in order");
    EXPECT_LOG(&kit,
               "request GET /other\ndone answered\ndone answered\n"
               "request GET /2\ndone answered\n",
               "in order");
    kit_end(&kit);
}

void session_stream_reads_ahead_up_to_a_limit_and_sees_resets(void)
{
    static char rubbish[3000];
    struct kit kit;
    kit_init(&kit);
    kit.config.pause_size_max = 4000;
    kit_start(&kit);
    kit_connect(&kit);
    kit.hooks[KIT_REQUEST] = begin;
    kit.fail_result = 0;
    KIT_INPUT(&kit, KIT_GET("/"));
    kit_input(&kit, rubbish, sizeof(rubbish));
    EXPECT(kit_is_receiving(&kit), "below the limit");
    kit_input(&kit, rubbish, sizeof(rubbish));
    EXPECT(!kit_is_receiving(&kit), "the window closes");
    EXPECT(kit.core->heap_accounted < 10000, "memory stays at the limit");
    EXPECT_INT(gyr_respond_part(kit_conn(&kit), GYR_SPAN("x")), 0, "the answer goes on");
    kit_run(&kit);
    EXPECT_OUTPUT(&kit, CHUNKED "1\r\nx\r\n", "the answer goes on");
    kit_reset(&kit);
    EXPECT_LOG(&kit, "request GET /\ndone aborted\n", "a reset is seen though nothing is read");
    kit_end(&kit);
}

static int part_back(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)kit;
    int result = gyr_respond_part(conn, event->bytes);
    return event->last && result >= 0 ? gyr_respond_end(conn) : result;
}

/* Of a known size, so that the answer does not show where the request was cut. */
static int begin_sized(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)kit;
    (void)event;
    return session_stream_begin(conn, &OK, 10);
}

static void prepare_mirror(struct kit *kit)
{
    kit->hooks[KIT_REQUEST] = begin_sized;
    kit->hooks[KIT_BODY] = part_back;
}

void session_stream_answers_with_the_request_as_it_arrives(void)
{
    static const char INPUT[] = POST("Content-Length: 10\r\n") "0123456789" POST(
        "Transfer-Encoding: chunked\r\n") "3\r\nabc\r\n7\r\ndefghij\r\n" LAST;
    struct kit kit;
    kit_begin(&kit);
    prepare_mirror(&kit);
    kit_input(&kit, INPUT, sizeof(INPUT) - 1);
    EXPECT_OUTPUT(&kit,
                  HEAD "Content-Length: 10\r\n\r\n0123456789" HEAD
                       "Content-Length: 10\r\n\r\nabcdefghij",
                  "both");
    EXPECT_LOG(&kit,
               "request POST /\nbody 0123456789 last\ndone answered\n"
               "request POST /\nbody abcdefghij last\ndone answered\n",
               "on_body goes on after the begin");
    kit_end(&kit);
    EXPECT_INT(kit_split(prepare_mirror, false, INPUT, sizeof(INPUT) - 1), SIZE_MAX, "P1");
}

void session_stream_that_has_ended_still_reads_the_rest_of_the_request(void)
{
    struct kit kit;
    stream_begin(&kit, POST("Content-Length: 4\r\n"), 0);
    EXPECT_INT(gyr_respond_end(kit_conn(&kit)), 0, "end");
    kit_run(&kit);
    EXPECT_LOG(&kit, "request POST /\n", "the request goes on");
    KIT_INPUT(&kit, "abcd" KIT_GET("/2"));
    EXPECT_OUTPUT(&kit, CHUNKED LAST KIT_OK, "and the next is found");
    EXPECT_LOG(&kit, "done answered\nrequest GET /2\ndone answered\n", "what was left is dropped");
    kit_end(&kit);
}

void session_stream_asks_for_content_that_waits(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit.hooks[KIT_REQUEST] = begin;
    kit.hooks[KIT_BODY] = part_back;
    kit.fail_result = 0;
    KIT_INPUT(&kit, POST("Expect: 100-continue\r\nContent-Length: 2\r\n"));
    EXPECT_OUTPUT(&kit, "HTTP/1.1 100 Continue\r\n\r\n" CHUNKED, "before the head");
    KIT_INPUT(&kit, "ab");
    EXPECT_OUTPUT(&kit, "2\r\nab\r\n" LAST, "and only once");
    EXPECT(!kit_is_ended(&kit), "kept");
    kit_end(&kit);

    struct gyr_response no = OK;
    no.status_code = 401;
    kit_begin(&kit);
    kit.acts[KIT_REQUEST] = KIT_PENDING;
    KIT_INPUT(&kit, POST("Expect: 100-continue\r\nContent-Length: 2\r\n"));
    EXPECT_INT(gyr_respond_begin(kit_conn(&kit), &no), 0, "an error");
    EXPECT_INT(gyr_finish(kit_conn(&kit), 0), 0, "go on");
    kit_run(&kit);
    EXPECT_INT(gyr_respond_end(kit_conn(&kit)), 0, "end");
    kit_run(&kit);
    EXPECT_OUTPUT(&kit,
                  "HTTP/1.1 401 Unauthorized\r\n" KIT_DATE "Content-Type: text/plain\r\n"
                  "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" LAST,
                  "the content is not wanted");
    EXPECT(kit_is_ended(&kit), "and nothing after it is taken for a request");
    kit_end(&kit);
}

/* ---- limits ---- */

static void stream_small(struct kit *kit)
{
    stream(kit);
    kit->config.send_queue_size_max = 1024;
    kit->config.send_queue_high = 512;
    kit->config.send_queue_low = 100;
    kit_room(kit, 0);
}

void session_stream_queue_limit_is_exact_to_the_byte(void)
{
    static const char PIECE[200] = "";
    struct kit kit;
    stream_small(&kit);
    struct gyr_conn *conn = kit_conn(&kit);
    for (unsigned i = 0; i < 9; i++) {
        int status = i < 4 ? 0 : GYR_QUEUE_HIGH; /* 105 bytes each: the fifth reaches 512 */
        EXPECT_INT(gyr_respond_part(conn, (struct gyr_span){PIECE, 99}), status, "taken");
    }
    EXPECT_INT(gyr_queued_size(conn), 945, "pieces and their framing");
    EXPECT_INT(gyr_respond_part(conn, (struct gyr_span){PIECE, 74}), GYR_ERR_BACKPRESSURE, "1025");
    EXPECT_INT(gyr_respond_part(conn, (struct gyr_span){PIECE, 73}), GYR_QUEUE_HIGH, "1024");
    EXPECT_INT(gyr_respond_part(conn, GYR_SPAN("x")), GYR_ERR_BACKPRESSURE, "full");
    EXPECT_INT(gyr_respond_part(conn, GYR_SPAN("")), 0, "nothing always fits");
    EXPECT_INT(kit.core->stats.backpressure, 2, "counted");
    kit_run(&kit);
    EXPECT_LOG(&kit, "", "no drain yet");
    EXPECT_INT(gyr_respond_end(conn), 0, "the end is exempt");
    kit_run(&kit);
    EXPECT_LOG(&kit, "done answered\n", "it is on its way");
    kit_room(&kit, SIZE_MAX);
    EXPECT_INT(kit_output(&kit).size, 1024 + 5, "all of it");
    EXPECT_LOG(&kit, "", "nobody is left to be told that it has drained");
    kit_end(&kit);
}

void session_stream_drains_once_for_each_high_queue(void)
{
    static const char PIECE[600] = "";
    struct kit kit;
    stream_small(&kit);
    for (unsigned i = 0; i < 3; i++) {
        kit_room(&kit, 0);
        EXPECT_INT(gyr_respond_part(kit_conn(&kit), (struct gyr_span){PIECE, 600}), GYR_QUEUE_HIGH,
                   "high");
        EXPECT_INT(gyr_respond_part(kit_conn(&kit), (struct gyr_span){PIECE, 600}),
                   GYR_ERR_BACKPRESSURE, "full");
        kit_run(&kit);
        EXPECT_LOG(&kit, "", "not yet");
        kit_room(&kit, 506);
        EXPECT_LOG(&kit, "", "101 are left of 607");
        kit_room(&kit, 1);
        EXPECT_LOG(&kit, "drain\n", "100 are the low mark");
        kit_room(&kit, SIZE_MAX);
        EXPECT_LOG(&kit, "", "once");
    }
    kit_end(&kit);
}

static int parts_while_low(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    static const char PIECE[100] = "";
    unsigned *count = kit->context;
    (void)event;
    for (unsigned i = 0;; i++) {
        if (++*count == 1000) {
            return gyr_respond_end(conn);
        }
        int result = gyr_respond_part(conn, (struct gyr_span){PIECE, 100});
        if (result != 0) {
            EXPECT_INT(result, GYR_QUEUE_HIGH, "taken");
            EXPECT_INT(i, 4, "108 bytes each: the fifth passes 512");
            return 0;
        }
    }
}

void session_stream_to_a_fast_reader_lets_others_have_their_turn(void)
{
    unsigned count = 0;
    struct kit kit;
    stream_small(&kit);
    kit_room(&kit, SIZE_MAX);
    kit.context = &count;
    kit.hooks[KIT_DRAIN] = parts_while_low;
    kit.hooks[KIT_TIMER] = parts_while_low;
    gyr_conn_timer(kit_conn(&kit), 1);
    kit_advance(&kit, 10);
    EXPECT_INT(kit_output(&kit).size, 999 * 106 + 5, "every byte");
    EXPECT_INT(kit.counts[KIT_DRAIN], 199, "one share after the other");
    EXPECT_INT(kit.counts[KIT_DONE], 1, "done");
    kit_end(&kit);
}

void session_stream_slows_down_a_request_that_it_mirrors(void)
{
    struct kit kit;
    kit_init(&kit);
    kit.config.send_queue_size_max = 1024;
    kit.config.send_queue_high = 20;
    kit.config.send_queue_low = 10;
    kit_start(&kit);
    kit_connect(&kit);
    kit.hooks[KIT_REQUEST] = begin;
    kit.hooks[KIT_BODY] = part_back;
    kit.fail_result = 0;
    KIT_INPUT(&kit, POST("Content-Length: 60\r\n"));
    kit_room(&kit, 0);
    for (unsigned i = 0; i < 6; i++) {
        KIT_INPUT(&kit, "0123456789");
    }
    EXPECT_INT(kit.counts[KIT_BODY], 2, "25 bytes are high");
    kit_room(&kit, SIZE_MAX);
    EXPECT_INT(kit.counts[KIT_DRAIN], 1, "what waited came at once");
    EXPECT_OUTPUT(&kit,
                  CHUNKED "a\r\n0123456789\r\na\r\n0123456789\r\n"
                          "28\r\n0123456789012345678901234567890123456789\r\n" LAST,
                  "nothing is lost");
    EXPECT_INT(kit.counts[KIT_DONE], 1, "done");
    kit_end(&kit);
}

void session_stream_has_no_time_limit_but_that_of_its_reader(void)
{
    static const struct {
        const char *request;
        int result;
    } rows[] = {
        {KIT_GET("/"), 0},
        {KIT_GET("/"), GYR_PENDING},
        {POST("Content-Length: 4\r\n"), GYR_PENDING}, /* its content waits for us */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kit kit;
        stream_begin(&kit, rows[i].request, rows[i].result);
        for (unsigned hour = 0; hour < 5; hour++) {
            kit_advance(&kit, 3600 * 1000);
            EXPECT_INT(gyr_respond_part(kit_conn(&kit), GYR_SPAN("x")), 0, "it may go on");
            kit_run(&kit);
        }
        EXPECT_INT(kit.counts[KIT_DONE], 0, "and has");
        EXPECT_INT(kit.core->stats.timeouts, 0, "no limit has passed");
        kit_room(&kit, 0);
        EXPECT_INT(gyr_respond_part(kit_conn(&kit), GYR_SPAN("y")), 0, "nobody reads it");
        kit_run(&kit);
        kit_advance(&kit, kit.config.send_timeout_ms - 1000);
        EXPECT_INT(kit.counts[KIT_DONE], 0, "some time is given");
        kit_advance(&kit, 2000);
        EXPECT_INT(kit.core->stats.timeouts, 1, "send_timeout_ms");
        EXPECT(kit_is_closed(&kit), "given up");
        EXPECT(memmem(kit.log.ptr, kit.log.size, "done aborted\n", 13) != NULL, "D1");
        kit_end(&kit);
    }
}

void session_stream_still_wants_the_content_of_its_request(void)
{
    struct kit kit;
    stream_begin(&kit, POST("Content-Length: 10\r\n"), 0);
    kit.acts[KIT_BODY] = KIT_NOTHING;
    KIT_INPUT(&kit, "abc");
    kit_advance(&kit, kit.config.body_timeout_ms - 1);
    EXPECT(!kit_is_closed(&kit), "there is time left");
    kit_advance(&kit, 2);
    EXPECT(kit_is_reset(&kit), "the client sees that the response is not whole");
    EXPECT_INT(kit.counts[KIT_DONE], 1, "the service learns of it");
    EXPECT_INT(kit.core->stats.timeouts, 1, "counted");
    kit_end(&kit);
}

void session_stream_hands_back_to_the_limits_of_requests(void)
{
    struct kit kit;
    stream(&kit);
    kit_advance(&kit, 86400 * 1000);
    EXPECT_INT(gyr_respond_end(kit_conn(&kit)), 0, "end");
    kit_run(&kit);
    kit_advance(&kit, kit.config.keep_alive_timeout_ms - 1000);
    EXPECT(!kit_is_ended(&kit), "kept");
    kit_advance(&kit, 2000);
    EXPECT(kit_is_ended(&kit), "keep_alive_timeout_ms, from its end on");
    kit_end(&kit);

    stream_begin(&kit, POST("Content-Length: 4\r\n"), 0);
    kit_advance(&kit, kit.config.body_timeout_ms - 1000);
    EXPECT_INT(gyr_respond_end(kit_conn(&kit)), 0, "end");
    kit_run(&kit);
    kit_advance(&kit, kit.config.body_timeout_ms - 1000);
    EXPECT_INT(kit.counts[KIT_DONE], 0, "the request may go on");
    kit_advance(&kit, 2000);
    EXPECT_INT(kit.counts[KIT_DONE], 1, "body_timeout_ms, from its end on");
    EXPECT(kit_is_ended(&kit), "closed");
    kit_end(&kit);

    /* The same, ended within a callback. */
    kit_begin(&kit);
    kit.hooks[KIT_REQUEST] = begin;
    kit.hooks[KIT_BODY] = part_back;
    kit.fail_result = 0;
    KIT_INPUT(&kit, POST("Content-Length: 4\r\n"));
    kit_advance(&kit, kit.config.body_timeout_ms - 1000);
    KIT_INPUT(&kit, "abcd");
    EXPECT_INT(kit.counts[KIT_DONE], 1, "done");
    kit_advance(&kit, kit.config.keep_alive_timeout_ms + 1000);
    EXPECT(kit_is_ended(&kit), "keep_alive_timeout_ms");
    kit_end(&kit);
}

/* ---- ends ---- */

void session_stream_outlives_the_end_of_the_clients_stream(void)
{
    struct kit kit;
    stream(&kit);
    kit_end_of_stream(&kit);
    EXPECT_LOG(&kit, "", "nothing has ended");
    EXPECT_INT(gyr_respond_part(kit_conn(&kit), GYR_SPAN("x")), 0, "a piece");
    kit_run(&kit);
    EXPECT_INT(gyr_respond_end(kit_conn(&kit)), 0, "end");
    kit_run(&kit);
    EXPECT_OUTPUT(&kit, "1\r\nx\r\n" LAST, "whole");
    EXPECT_LOG(&kit, "done answered\n", "whole");
    EXPECT(kit_is_closed(&kit) && !kit_is_reset(&kit), "then it ends");
    kit_end(&kit);

    stream(&kit);
    KIT_INPUT(&kit, KIT_GET("/2"));
    kit_end_of_stream(&kit);
    EXPECT_INT(gyr_respond_end(kit_conn(&kit)), 0, "end");
    kit_run(&kit);
    EXPECT_LOG(&kit, "done answered\nrequest GET /2\ndone answered\n", "what came before is asked");
    EXPECT(kit_is_closed(&kit), "then it ends");
    kit_end(&kit);
}

void session_stream_breaks_off_with_the_content_of_its_request(void)
{
    struct kit kit;
    stream_begin(&kit, POST("Transfer-Encoding: chunked\r\n"), 0);
    KIT_INPUT(&kit, "x\r\n");
    EXPECT_LOG(&kit, "request POST /\ndone aborted\n", "malformed");
    EXPECT(kit_is_reset(&kit), "no end that could be taken for a good one");
    kit_end(&kit);

    stream_begin(&kit, "POST / HTTP/1.0\r\nContent-Length: 4\r\n\r\n", 0);
    KIT_INPUT(&kit, "ab");
    kit_end_of_stream(&kit);
    EXPECT_INT(kit.counts[KIT_DONE], 1, "broken off");
    EXPECT(memmem(kit.log.ptr, kit.log.size, "done aborted\n", 13) != NULL, "told");
    kit_end(&kit);
}

void session_stream_breaks_when_a_callback_fails(void)
{
    for (unsigned where = 0; where < 3; where++) {
        struct kit kit;
        stream_begin(&kit, POST("Content-Length: 4\r\n"),
                     where == 0   ? -EIO
                     : where == 1 ? GYR_PENDING
                                  : 0);
        if (where == 1) {
            EXPECT_INT(gyr_finish(kit_conn(&kit), GYR_ERR_HTTP_NOT_FOUND), 0, "too late for 404");
            kit_run(&kit);
        } else if (where == 2) {
            kit.acts[KIT_BODY] = KIT_FAIL;
            kit.fail_result = GYR_ERR_LIMIT;
            KIT_INPUT(&kit, "ab");
        }
        EXPECT(kit_is_reset(&kit), "the client knows");
        EXPECT_INT(kit.counts[KIT_DONE], 1, "D1");
        EXPECT(memmem(kit.log.ptr, kit.log.size, "done aborted\n", 13) != NULL, "told");
        EXPECT_INT(kit.core->stats.http_errors, 0, "there is no second answer");
        kit_end(&kit);
    }
}

void session_stream_ends_whatever_was_pending(void)
{
    struct kit kit;
    stream_begin(&kit, KIT_GET("/"), GYR_PENDING);
    EXPECT_INT(gyr_respond_end(kit_conn(&kit)), 0, "end");
    kit_run(&kit);
    EXPECT_LOG(&kit, "request GET /\ndone answered\n", "nobody has to call gyr_finish");
    KIT_INPUT(&kit, KIT_GET("/2"));
    EXPECT_OUTPUT(&kit, CHUNKED LAST KIT_OK, "the connection goes on");
    kit_end(&kit);

    /* A plain answer that comes after one in pieces has to be finished as ever. */
    stream(&kit);
    EXPECT_INT(gyr_respond_end(kit_conn(&kit)), 0, "end");
    kit.acts[KIT_REQUEST] = KIT_PENDING;
    KIT_INPUT(&kit, KIT_GET("/2"));
    EXPECT_INT(gyr_respond_text(kit_conn(&kit), 200, "text/plain", GYR_SPAN("ok")), 0, "answer");
    kit_run(&kit);
    EXPECT_LOG(&kit, "done answered\nrequest GET /2\n", "it is pending");
    EXPECT_INT(gyr_finish(kit_conn(&kit), 0), 0, "finish");
    kit_run(&kit);
    EXPECT_LOG(&kit, "done answered\n", "D1");
    kit_end(&kit);
}

void session_stream_closes_when_the_service_wants_it(void)
{
    struct kit kit;
    stream(&kit);
    EXPECT_INT(gyr_close(kit_conn(&kit), 1000, GYR_SPAN("")), 0, "close");
    EXPECT_INT(gyr_respond_part(kit_conn(&kit), GYR_SPAN("x")), 0, "but only after the end");
    KIT_INPUT(&kit, KIT_GET("/never"));
    EXPECT(!kit_is_ended(&kit), "not yet");
    EXPECT_INT(gyr_respond_end(kit_conn(&kit)), 0, "end");
    kit_run(&kit);
    EXPECT_OUTPUT(&kit, "1\r\nx\r\n" LAST, "whole");
    EXPECT_LOG(&kit, "done answered\n", "whole, and no other request");
    EXPECT(kit_is_ended(&kit) && !kit_is_reset(&kit), "closed");
    kit_end(&kit);
}

void session_stream_may_end_while_the_server_stops(void)
{
    struct kit kit;
    stream(&kit);
    core_stop(kit.core);
    kit_advance(&kit, kit.config.shutdown_deadline_ms / 2);
    EXPECT_INT(gyr_respond_part(kit_conn(&kit), GYR_SPAN("x")), 0, "it may go on");
    EXPECT_INT(gyr_respond_end(kit_conn(&kit)), 0, "and end");
    kit_run(&kit);
    EXPECT_OUTPUT(&kit, "1\r\nx\r\n" LAST, "whole");
    EXPECT_LOG(&kit, "done answered\n", "whole");
    EXPECT(kit_is_ended(&kit) && !kit_is_reset(&kit), "politely");
    kit_end(&kit);

    stream(&kit);
    core_stop(kit.core);
    kit_advance(&kit, kit.config.shutdown_deadline_ms / 2);
    EXPECT_LOG(&kit, "", "not yet");
    kit_advance(&kit, kit.config.shutdown_deadline_ms);
    EXPECT_LOG(&kit, "done aborted\n", "until the deadline");
    EXPECT(kit_is_reset(&kit), "cut");
    kit_end(&kit);
}

enum event { /* what happens to a response that streams */
    EVENT_RESET,
    EVENT_SEND_FAIL,
    EVENT_ABORT,
    EVENT_BREAK,
    EVENT_STOP,
    EVENT_TIME,
    EVENT_END_OF_STREAM,
    EVENT_END,
    EVENT_COUNT,
};

static void event_happen(struct kit *kit, enum event event)
{
    switch (event) {
    case EVENT_RESET:
        kit_reset(kit);
        break;
    case EVENT_SEND_FAIL:
        kit_send_fail(kit, -EPIPE);
        (void)!gyr_respond_part(kit_conn(kit), GYR_SPAN("x"));
        kit_room(kit, SIZE_MAX);
        break;
    case EVENT_ABORT:
        gyr_abort(kit_conn(kit));
        break;
    case EVENT_BREAK:
        session_stream_break(kit_conn(kit));
        break;
    case EVENT_STOP:
        core_stop(kit->core);
        kit_run(kit);
        kit_advance(kit, kit->config.shutdown_deadline_ms + 1000);
        break;
    case EVENT_TIME:
        kit_room(kit, 0);
        (void)!gyr_respond_part(kit_conn(kit), GYR_SPAN("x"));
        kit_run(kit);
        kit_advance(kit, kit->config.send_timeout_ms + 1000);
        break;
    case EVENT_END_OF_STREAM:
        kit_end_of_stream(kit);
        break;
    case EVENT_END:
    case EVENT_COUNT:
        (void)!gyr_respond_end(kit_conn(kit));
        break;
    }
    kit_run(kit);
}

/* Every state a stream may be in, and two of the events after each other. */
static void state_meets(unsigned state, enum event first, enum event second)
{
    static const char PIECE[900] = "";
    bool content = (state & 1) != 0;
    bool queue = (state & 2) != 0;
    struct kit kit;
    stream_begin(&kit, content ? POST("Content-Length: 9\r\n") "abc" : KIT_GET("/") KIT_GET("/2"),
                 (state & 4) != 0 ? GYR_PENDING : 0);
    if ((state & 8) != 0) {
        gyr_pause(kit_conn(&kit));
    }
    if (queue) {
        kit.config.send_queue_size_max = 2000;
        kit.config.send_queue_high = 500;
        kit.config.send_queue_low = 100;
        kit_room(&kit, 10);
        EXPECT_INT(gyr_respond_part(kit_conn(&kit), (struct gyr_span){PIECE, sizeof(PIECE)}),
                   GYR_QUEUE_HIGH, "high");
        kit_run(&kit);
    }
    struct gyr_handle handle = gyr_conn_handle(kit_conn(&kit));
    EXPECT(gyr_core_find((struct gyr_core *)kit.core, handle) != NULL, "it can be found");
    event_happen(&kit, first);
    if (gyr_core_find((struct gyr_core *)kit.core, handle) != NULL) {
        EXPECT_INT(kit.counts[KIT_DONE], 0, "it lives");
        event_happen(&kit, second);
    }
    bool ended = first != EVENT_END_OF_STREAM || second != EVENT_END_OF_STREAM;
    bool reading = content && (first == EVENT_END || second == EVENT_END);
    if (ended && !reading) {
        EXPECT(kit.counts[KIT_DONE] >= 1, "D1");
        EXPECT(gyr_core_find((struct gyr_core *)kit.core, handle) == NULL, "it has gone");
    }
    kit_room(&kit, SIZE_MAX);
    kit_end(&kit); /* which checks D1, A1, C1 and B1 */
}

void session_stream_sees_its_end_once_whatever_happens(void)
{
    for (unsigned state = 0; state < 16; state++) {
        for (unsigned first = 0; first < EVENT_COUNT; first++) {
            for (unsigned second = 0; second < EVENT_COUNT; second++) {
                state_meets(state, (enum event)first, (enum event)second);
            }
        }
    }
}
