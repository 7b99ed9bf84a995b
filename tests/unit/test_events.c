/* SPDX-License-Identifier: MIT */
/* Server-sent events: what a client that follows the HTML Living Standard (section 9.2.6) makes of
 * the bytes is what the service has said, whatever its text holds. */
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>
#include <stdlib.h>

#define HEAD  "HTTP/1.1 200 OK\r\n" KIT_DATE "Content-Type: text/event-stream\r\n"
#define FIELD "Cache-Control: no-store\r\n\r\n"

#define NONE    \
    {           \
        NULL, 0 \
    }
#define EVENT_SIZE    .size = sizeof(struct gyr_event)
#define TEXT(literal) GYR_LITERAL(literal)

/* Of HTTP/1.0, so that the content is there as it is. */
static struct gyr_conn *events(struct kit *kit)
{
    kit_begin(kit);
    kit->acts[KIT_REQUEST] = KIT_PENDING;
    KIT_INPUT(kit, "GET / HTTP/1.0\r\n\r\n");
    EXPECT_INT(gyr_events_begin(kit_conn(kit)), 0, "begin");
    kit_run(kit);
    EXPECT_OUTPUT(kit, HEAD "Connection: close\r\n" FIELD, "the head");
    return kit_conn(kit);
}

struct row {
    const char *why;
    struct gyr_event event;
    const char *output;
};

static const struct row ROWS[] = {
    {"data", {EVENT_SIZE, .data = TEXT("hello")}, "data: hello\n\n"},
    {"no text", {EVENT_SIZE, .data = TEXT("")}, "data: \n\n"},
    {"a leading blank is kept by another", {EVENT_SIZE, .data = TEXT(" x")}, "data:  x\n\n"},
    {"LF", {EVENT_SIZE, .data = TEXT("a\nb")}, "data: a\ndata: b\n\n"},
    {"CR", {EVENT_SIZE, .data = TEXT("a\rb")}, "data: a\ndata: b\n\n"},
    {"CRLF", {EVENT_SIZE, .data = TEXT("a\r\nb")}, "data: a\ndata: b\n\n"},
    {"LF CR is two", {EVENT_SIZE, .data = TEXT("a\n\rb")}, "data: a\ndata: \ndata: b\n\n"},
    {"CR CR LF", {EVENT_SIZE, .data = TEXT("\r\r\n")}, "data: \ndata: \ndata: \n\n"},
    {"a last LF", {EVENT_SIZE, .data = TEXT("a\n")}, "data: a\ndata: \n\n"},
    {"no event can be smuggled in",
     {EVENT_SIZE, .data = TEXT("a\n\nevent: evil\ndata: b")},
     "data: a\ndata: \ndata: event: evil\ndata: data: b\n\n"},
    {"a colon in front", {EVENT_SIZE, .data = TEXT(":a")}, "data: :a\n\n"},
    {"UTF-8", {EVENT_SIZE, .data = TEXT("\xc3\xa4\xe2\x80\xa8")}, "data: \xc3\xa4\xe2\x80\xa8\n\n"},
    {"all of it",
     {EVENT_SIZE, .event = TEXT("tick"), .data = TEXT("1"), .id = TEXT("7"),
      .retry_ms = 4294967295},
     "event: tick\nid: 7\nretry: 4294967295\ndata: 1\n\n"},
    {"an id is forgotten", {EVENT_SIZE, .data = TEXT("1"), .id = TEXT("")}, "id: \ndata: 1\n\n"},
    {"no data, no event", {EVENT_SIZE, .id = TEXT("7"), .retry_ms = 1}, "id: 7\nretry: 1\n\n"},
};

void events_say_what_the_service_says(void)
{
    struct kit kit;
    struct gyr_conn *conn = events(&kit);
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        EXPECT_INT(gyr_events_send(conn, &ROWS[i].event), 0, ROWS[i].why);
        kit_run(&kit);
        EXPECT(kit_output_is(&kit, ROWS[i].output, strlen(ROWS[i].output)), ROWS[i].why);
    }
    kit_end(&kit);
}

void events_are_one_chunk_each_and_end(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit.acts[KIT_REQUEST] = KIT_PENDING;
    KIT_INPUT(&kit, KIT_GET("/"));
    EXPECT_INT(gyr_events_begin(kit_conn(&kit)), 0, "begin");
    EXPECT_INT(gyr_events_send(kit_conn(&kit), &ROWS[3].event), 0, "an event");
    EXPECT_INT(gyr_events_comment(kit_conn(&kit), GYR_SPAN("still\nhere")), 0, "a comment");
    EXPECT_INT(gyr_respond_end(kit_conn(&kit)), 0, "end");
    kit_run(&kit);
    EXPECT_OUTPUT(&kit,
                  HEAD "Transfer-Encoding: chunked\r\n" FIELD
                       "11\r\ndata: a\ndata: b\n\n\r\nf\r\n: still\n: here\n\r\n0\r\n\r\n",
                  "a piece each");
    EXPECT_INT(kit.core->heap_accounted, 0, "nothing is left");
    kit_end(&kit);
}

void events_refuse_bytes_that_would_end_a_line(void)
{
    struct kit kit;
    struct gyr_conn *conn = events(&kit);
    for (unsigned byte = 0; byte < 256; byte++) {
        int expected = byte == '\r' || byte == '\n' || byte == 0 ? GYR_ERR_ARGUMENT : 0;
        for (size_t at = 0; at < 3; at++) {
            char text[3] = {'a', 'b', 'c'};
            text[at] = (char)byte;
            struct gyr_event event = {EVENT_SIZE, .data = TEXT("x")};
            event.event = (struct gyr_span){text, 3};
            EXPECT_INT(gyr_events_send(conn, &event), expected, "in a type");
            event.event = (struct gyr_span){0};
            event.id = (struct gyr_span){text, 3};
            EXPECT_INT(gyr_events_send(conn, &event), expected, "in an id");
            kit_run(&kit);
            char lines[64];
            int size = snprintf(lines, sizeof(lines),
                                "event: %.3s\ndata: x\n\nid: %.3s\ndata: x\n\n", text, text);
            EXPECT(kit_output_is(&kit, lines, expected == 0 ? (size_t)size : 0), "or as it is");
        }
    }
    kit_end(&kit);
}

void events_check_their_arguments_and_state(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit.acts[KIT_REQUEST] = KIT_PENDING;
    KIT_INPUT(&kit, KIT_GET("/"));
    struct gyr_conn *conn = kit_conn(&kit);
    EXPECT_INT(gyr_events_send(conn, &ROWS[0].event), GYR_ERR_STATE, "not begun");
    EXPECT_INT(gyr_events_comment(conn, GYR_SPAN("")), GYR_ERR_STATE, "not begun");
    EXPECT_INT(gyr_events_begin(conn), 0, "begin");
    EXPECT_INT(gyr_events_begin(conn), GYR_ERR_STATE, "twice");
    struct gyr_span huge = {"", SIZE_MAX};
    EXPECT_INT(gyr_events_send(conn, &(struct gyr_event){0}), GYR_ERR_ARGUMENT, "no size");
    EXPECT_INT(gyr_events_send(conn, &(struct gyr_event){EVENT_SIZE, .event = huge}),
               GYR_ERR_ARGUMENT, "too large");
    EXPECT_INT(gyr_events_send(conn, &(struct gyr_event){EVENT_SIZE, .id = huge}), GYR_ERR_ARGUMENT,
               "too large");
    EXPECT_INT(gyr_events_send(conn, &(struct gyr_event){EVENT_SIZE, .data = huge}),
               GYR_ERR_ARGUMENT, "too large");
    EXPECT_INT(gyr_events_comment(conn, huge), GYR_ERR_ARGUMENT, "too large");
    kit_run(&kit);
    kit_forget(&kit);
    /* A program compiled against an older header knows neither the id nor the time. */
    struct gyr_event old = ROWS[12].event;
    old.size = offsetof(struct gyr_event, id);
    EXPECT_INT(gyr_events_send(conn, &old), 0, "what it knows");
    kit_run(&kit);
    EXPECT_OUTPUT(&kit, "15\r\nevent: tick\ndata: 1\n\n\r\n", "is sent");
    kit_end(&kit);
}

void events_wait_for_their_reader_like_any_piece(void)
{
    struct kit kit;
    struct gyr_conn *conn = events(&kit);
    kit.config.send_queue_size_max = 1024;
    kit.config.send_queue_high = 1000;
    kit.config.send_queue_low = 100;
    kit_room(&kit, 0);
    char text[192];
    memset(text, 'x', sizeof(text));
    struct gyr_event event = {EVENT_SIZE, .data = {text, sizeof(text)}}; /* 200 bytes */
    unsigned count = 0;
    int err;
    do {
        err = gyr_events_send(conn, &event);
        count++;
        kit_run(&kit);
    } while (err == 0);
    EXPECT_INT(err, GYR_QUEUE_HIGH, "high");
    EXPECT_INT(count, 5, "of 1000 bytes");
    EXPECT_INT(gyr_events_comment(conn, GYR_SPAN("123456789012345678901")), GYR_QUEUE_HIGH, "1024");
    EXPECT_INT(gyr_events_comment(conn, GYR_SPAN("")), GYR_ERR_BACKPRESSURE, "full");
    EXPECT_INT(gyr_events_send(conn, &ROWS[0].event), GYR_ERR_BACKPRESSURE, "full");
    kit_forget(&kit);
    kit_room(&kit, SIZE_MAX);
    EXPECT_LOG(&kit, "drain\n", "once");
    EXPECT_INT(kit_output(&kit).size, 1024, "all that was taken");
    EXPECT_INT(gyr_events_send(conn, &ROWS[0].event), 0, "it goes on");
    kit_reset(&kit);
    EXPECT_LOG(&kit, "done aborted\n", "D1");
    kit_end(&kit);
}
