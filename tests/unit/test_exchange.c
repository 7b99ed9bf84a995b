/* SPDX-License-Identifier: MIT */
/* The calls of a service on an exchange: what each promises, in every state; and that each
 * exchange sees its end exactly once (D1), which the kit checks at every upcall and at the end. */
#include "engine/exchange.h"

#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const char UPGRADE[] = KIT_UPGRADE_WITH("Sec-WebSocket-Protocol: chat, superchat\r\n");

static void begin(struct kit *kit)
{
    kit_init(kit);
    kit_start(kit);
    kit_open(kit);
}

static void input_upgrade(struct kit *kit)
{
    kit_input(kit, UPGRADE, sizeof(UPGRADE) - 1);
}

static int upgrade_hook(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)event;
    kit->result = gyr_upgrade(conn, kit->context);
    return 0;
}

void exchange_upgrade_chooses_a_subprotocol_and_adds_fields(void)
{
    struct gyr_field field = {GYR_LITERAL("Set-Cookie"), GYR_LITERAL("a=b")};
    struct gyr_upgrade upgrade = {.size = sizeof(upgrade),
                                  .subprotocol = GYR_LITERAL("superchat"),
                                  .fields = &field,
                                  .field_count = 1};
    struct kit kit;
    kit_begin(&kit);
    kit.hooks[KIT_REQUEST] = upgrade_hook;
    kit.context = &upgrade;
    input_upgrade(&kit);
    EXPECT_OUTPUT(&kit, KIT_101_WITH("Sec-WebSocket-Protocol: superchat\r\nSet-Cookie: a=b\r\n"),
                  "the 101 of RFC 6455 section 1.3");
    EXPECT_LOG(&kit, "request GET /ws\ndone upgraded\nopen\n", "in this order");
    kit_end(&kit);
}

void exchange_upgrade_cannot_split_the_response(void)
{
    static const struct gyr_field rows[] = {
        {GYR_LITERAL("A"), GYR_LITERAL("b\r\nC: d")},
        {GYR_LITERAL("A\n"), GYR_LITERAL("b")},
        {GYR_LITERAL("Sec-WebSocket-Accept"), GYR_LITERAL("b")},
        {GYR_LITERAL("sec-websocket-protocol"), GYR_LITERAL("b")},
        {GYR_LITERAL("Upgrade"), GYR_LITERAL("h2c")},
        {GYR_LITERAL("Connection"), GYR_LITERAL("close")},
        {GYR_LITERAL("Content-Length"), GYR_LITERAL("1")},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gyr_upgrade upgrade = {
            .size = sizeof(upgrade), .fields = &rows[i], .field_count = 1};
        struct kit kit;
        kit_begin(&kit);
        kit.hooks[KIT_REQUEST] = upgrade_hook;
        kit.context = &upgrade;
        input_upgrade(&kit);
        EXPECT_INT(kit.result, GYR_ERR_ARGUMENT, rows[i].name.ptr);
        EXPECT(kit_output(&kit).size > 12 && memcmp(kit_output(&kit).ptr + 9, "500", 3) == 0,
               "nobody has answered");
        kit_end(&kit);
    }
    struct gyr_upgrade upgrade = {.size = sizeof(upgrade),
                                  .subprotocol = GYR_LITERAL("chat\r\nA: b")};
    struct kit kit;
    kit_begin(&kit);
    kit.hooks[KIT_REQUEST] = upgrade_hook;
    kit.context = &upgrade;
    input_upgrade(&kit);
    EXPECT_INT(kit.result, GYR_ERR_ARGUMENT, "subprotocol");
    kit_end(&kit);
}

void exchange_upgrade_wants_a_handshake_that_nobody_answered(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit.hooks[KIT_REQUEST] = upgrade_hook;
    KIT_INPUT(&kit, KIT_GET("/"));
    EXPECT_INT(kit.result, GYR_ERR_STATE, "no handshake");
    kit_connect(&kit);
    kit.hooks[KIT_REQUEST] = NULL;
    kit.acts[KIT_REQUEST] = KIT_PENDING;
    input_upgrade(&kit);
    struct gyr_conn *conn = kit_conn(&kit);
    EXPECT_INT(gyr_respond_text(conn, 401, "text/plain", GYR_SPAN("no")), 0, "refused");
    EXPECT_INT(gyr_upgrade(conn, NULL), GYR_ERR_STATE, "answered");
    EXPECT_INT(gyr_respond_text(conn, 200, "text/plain", GYR_SPAN("")), GYR_ERR_STATE, "twice");
    EXPECT_INT(gyr_send(conn, GYR_TEXT, GYR_SPAN("x")), GYR_ERR_STATE, "no WebSocket");
    EXPECT_INT(gyr_ping(conn, GYR_SPAN("x")), GYR_ERR_STATE, "no WebSocket");
    EXPECT_INT(gyr_finish(conn, 0), 0, "go on");
    kit_run(&kit);
    kit_forget(&kit);
    kit.acts[KIT_REQUEST] = KIT_DEFAULT;
    KIT_INPUT(&kit, KIT_GET("/next"));
    EXPECT_OUTPUT(&kit, KIT_OK, "it is an HTTP connection still");
    kit_end(&kit);
}

static int send_early(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)kit;
    (void)event;
    EXPECT_INT(gyr_send(conn, GYR_TEXT, GYR_SPAN("one")), 0, "early");
    EXPECT_INT(gyr_send_part(conn, GYR_BINARY, GYR_SPAN("tw"), GYR_FIRST), 0, "early");
    EXPECT_INT(gyr_send_part(conn, GYR_BINARY, GYR_SPAN("o"), GYR_LAST), 0, "early");
    return GYR_PENDING;
}

void exchange_sends_queue_behind_the_101(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit.hooks[KIT_REQUEST] = send_early;
    kit.acts[KIT_OPEN] = KIT_SEND;
    input_upgrade(&kit);
    EXPECT_OUTPUT(&kit, "", "nothing before the 101");
    EXPECT_INT(gyr_upgrade(kit_conn(&kit), NULL), 0, "accept");
    EXPECT_INT(gyr_send(kit_conn(&kit), GYR_TEXT, GYR_SPAN("three")), 0, "behind it");
    EXPECT_INT(gyr_finish(kit_conn(&kit), 0), 0, "go on");
    kit_run(&kit);
    EXPECT_OUTPUT(&kit, KIT_101_WITH("") "\x81\x03one\x02\x02tw\x80\x01o\x81\x05three\x81\x04sent",
                  "in the order of the calls");
    kit_end(&kit);
}

void exchange_early_sends_are_dropped_with_a_refusal(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit.hooks[KIT_REQUEST] = send_early;
    input_upgrade(&kit);
    EXPECT_INT(gyr_finish(kit_conn(&kit), GYR_ERR_HTTP_NOT_FOUND), 0, "refuse");
    kit_run(&kit);
    EXPECT(memcmp(kit_output(&kit).ptr, "HTTP/1.1 404 ", 13) == 0, "refused");
    EXPECT(memmem(kit_output(&kit).ptr, kit_output(&kit).size, "one", 3) == NULL, "no frame");
    EXPECT_INT(kit.core->heap_accounted, 0, "and no memory");
    kit_end(&kit);
}

void exchange_keeps_bytes_that_follow_the_upgrade_request(void)
{
    for (unsigned pending = 0; pending < 2; pending++) {
        struct kit kit;
        kit_begin(&kit);
        kit.acts[KIT_REQUEST] = pending ? KIT_PENDING : KIT_DEFAULT;
        uint8_t bytes[512];
        memcpy(bytes, UPGRADE, sizeof(UPGRADE) - 1);
        size_t size = sizeof(UPGRADE) - 1;
        size += kit_frame(bytes + size, 0x81, "early", 5);
        size += kit_frame(bytes + size, 0x01, "ha", 2);
        kit_input(&kit, bytes, size);
        KIT_FRAME(&kit, 0x80, "lf");
        if (pending) {
            EXPECT_LOG(&kit, "request GET /ws\n", "the frames wait");
            EXPECT_INT(gyr_upgrade(kit_conn(&kit), NULL), 0, "accept");
            EXPECT_INT(gyr_finish(kit_conn(&kit), 0), 0, "go on");
            kit_run(&kit);
            EXPECT_LOG(&kit, "done upgraded\nopen\ntext \"early\"\ntext \"half\"\n", "in order");
        } else {
            EXPECT_LOG(&kit,
                       "request GET /ws\ndone upgraded\nopen\ntext \"early\"\ntext \"half\"\n",
                       "in order");
        }
        EXPECT_OUTPUT(&kit,
                      KIT_101_WITH("") "\x81\x05"
                                       "early\x81\x04half",
                      "answered");
        kit_end(&kit);
    }
}

/* ---- D1 ---- */

static void peer_acts(struct kit *kit, unsigned what)
{
    switch (what) {
    case 0:
        kit_end_of_stream(kit);
        break;
    case 1:
        kit_reset(kit);
        break;
    case 2:
        KIT_INPUT(kit, "\xff\xff\xff\xff\xff\xff");
        break;
    case 3:
        kit_send_fail(kit, -EPIPE);
        break;
    case 4:
        if (kit_conn(kit) != NULL) {
            gyr_abort(kit_conn(kit));
        }
        kit_run(kit);
        break;
    case 5:
        if (kit_conn(kit) != NULL) {
            (void)gyr_finish(kit_conn(kit), -EIO);
        }
        kit_run(kit);
        break;
    case 6:
        kit_advance(kit, 100000);
        kit_advance(kit, 100000);
        break;
    case 7:
        if (kit_conn(kit) != NULL) {
            kit->result = gyr_close(kit_conn(kit), 1000, GYR_SPAN("bye"));
        }
        kit_run(kit);
        break;
    default: /* kit_end stops the server */
        break;
    }
}

/* Whatever a callback does and whatever happens then, at every point of a connection's life. */
static void life(enum kit_call call, enum kit_act act, unsigned point, unsigned what)
{
    static const char POST[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab";
    struct kit kit;
    kit_init(&kit);
    kit.config.heartbeat_interval_ms = 20000;
    kit.config.send_queue_high = 2;
    kit.config.send_queue_low = 1;
    kit.config.shutdown_window_ms = 0;
    kit.acts[call] = act;
    kit.quiet = true;
    kit_start(&kit);
    kit_connect(&kit);
    for (unsigned i = 0; i < 6; i++) {
        if (i == point) {
            peer_acts(&kit, what);
        }
        switch (i) {
        case 0:
            kit_input(&kit, POST, sizeof(POST) - 1);
            break;
        case 1:
            KIT_INPUT(&kit, "cd");
            break;
        case 2:
            input_upgrade(&kit);
            break;
        case 3:
            kit_room(&kit, 3);
            KIT_FRAME(&kit, 0x81, "message");
            if (kit_conn(&kit) != NULL) {
                gyr_conn_timer(kit_conn(&kit), 10);
            }
            break;
        case 4:
            kit_room(&kit, SIZE_MAX);
            kit_advance(&kit, 20);
            break;
        default:
            KIT_FRAME(&kit, 0x88, "\x03\xe8");
            break;
        }
    }
    kit_end(&kit); /* checks that every exchange has seen its end */
}

void exchange_sees_its_end_once_whatever_happens(void)
{
    for (unsigned call = 0; call < KIT_CALLS; call++) {
        for (unsigned act = 0; act < KIT_ACTS; act++) {
            for (unsigned point = 0; point < 6; point++) {
                for (unsigned what = 0; what < 9; what++) {
                    life((enum kit_call)call, (enum kit_act)act, point, what);
                }
            }
        }
    }
}

/* ---- sending ---- */

static void begin_small_queue(struct kit *kit)
{
    kit_init(kit);
    kit->config.send_queue_size_max = 1024;
    kit->config.send_queue_high = 512;
    kit->config.send_queue_low = 100;
    kit_start(kit);
    kit_open(kit);
}

void exchange_queue_limit_is_exact_to_the_byte(void)
{
    static const char PAYLOAD[200] = "";
    struct kit kit;
    begin_small_queue(&kit);
    kit_room(&kit, 0);
    struct gyr_conn *conn = kit_conn(&kit);
    for (unsigned i = 0; i < 10; i++) {
        int status = i < 5 ? 0 : GYR_QUEUE_HIGH; /* 102 bytes each: the sixth reaches 512 */
        EXPECT_INT(gyr_send(conn, GYR_BINARY, (struct gyr_span){PAYLOAD, 100}), status, "taken");
    }
    EXPECT_INT(gyr_queued_size(conn), 1020, "payloads and headers");
    EXPECT_INT(gyr_send(conn, GYR_BINARY, (struct gyr_span){PAYLOAD, 3}), GYR_ERR_BACKPRESSURE,
               "one byte too many");
    EXPECT_INT(gyr_send(conn, GYR_BINARY, (struct gyr_span){PAYLOAD, 2}), GYR_QUEUE_HIGH, "1024");
    EXPECT_INT(gyr_send(conn, GYR_BINARY, GYR_SPAN("")), GYR_ERR_BACKPRESSURE, "a header");
    EXPECT_INT(gyr_queued_size(conn), 1024, "a refused message has left nothing");
    EXPECT_INT(kit.core->stats.backpressure, 2, "counted");
    EXPECT_INT(gyr_ping(conn, (struct gyr_span){PAYLOAD, 125}), 0, "control frames are exempt");
    EXPECT_INT(gyr_queued_size(conn), 1024 + 127, "and counted");
    kit_run(&kit);
    EXPECT_LOG(&kit, "", "no drain yet");
    kit_room(&kit, SIZE_MAX);
    EXPECT_LOG(&kit, "drain\n", "once");
    EXPECT_INT(kit_output(&kit).size, 1024 + 127, "all of it");
    EXPECT_INT(gyr_queued_size(conn), 0, "empty");
    kit_end(&kit);
}

static int send_large(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    static const char PAYLOAD[2000] = "";
    (void)event;
    for (unsigned i = 0; i < 20; i++) {
        kit->result = gyr_send(conn, GYR_BINARY, (struct gyr_span){PAYLOAD, 100});
    }
    EXPECT_INT(gyr_send(conn, GYR_BINARY, (struct gyr_span){PAYLOAD, 1021}), GYR_ERR_BACKPRESSURE,
               "larger than the queue may ever be");
    return 0;
}

void exchange_queue_limit_counts_what_a_callback_has_written(void)
{
    struct kit kit;
    begin_small_queue(&kit);
    kit.hooks[KIT_MESSAGE] = send_large;
    KIT_FRAME(&kit, 0x81, "go");
    EXPECT_INT(kit.result, 0, "a peer that reads has no limit for small messages");
    EXPECT_INT(kit_output(&kit).size, 20 * 102, "all of it");
    kit_forget(&kit);
    kit_room(&kit, 0);
    KIT_FRAME(&kit, 0x81, "go");
    EXPECT_INT(kit.result, GYR_ERR_BACKPRESSURE, "one that does not has");
    EXPECT_INT(gyr_queued_size(kit_conn(&kit)), 1020, "ten fit");
    kit_end(&kit);
}

void exchange_queue_high_slows_down_a_peer_that_does_not_read(void)
{
    struct kit kit;
    kit_init(&kit);
    kit.config.send_queue_high = 16;
    kit.config.send_queue_low = 4;
    kit_start(&kit);
    kit_open(&kit);
    kit_room(&kit, 2);
    KIT_FRAME(&kit, 0x81, "one, and more"); /* 15 bytes, of which 13 wait */
    KIT_FRAME(&kit, 0x81, "two");           /* gyr_reply returns GYR_QUEUE_HIGH */
    KIT_FRAME(&kit, 0x81, "three");
    KIT_FRAME(&kit, 0x89, "ping");
    EXPECT_LOG(&kit, "text \"one, and more\"\ntext \"two\"\n", "the third waits");
    EXPECT_INT(gyr_queued_size(kit_conn(&kit)), 13 + 5, "what waits");
    kit_room(&kit, 10);
    EXPECT_LOG(&kit, "", "above the low mark");
    kit_room(&kit, SIZE_MAX);
    EXPECT_LOG(&kit, "drain\ntext \"three\"\n", "drained, and on with the next");
    EXPECT_OUTPUT(&kit, "\x81\x0done, and more\x81\x03two\x81\x05three\x8a\x04ping", "in order");
    kit_end(&kit);
}

void exchange_only_the_newest_pongs_are_kept(void)
{
    struct kit kit;
    begin(&kit);
    KIT_FRAME(&kit, 0x89, "a");
    KIT_FRAME(&kit, 0x89, "b");
    EXPECT_OUTPUT(&kit,
                  "\x8a\x01"
                  "a\x8a\x01"
                  "b",
                  "each, while the peer reads");
    kit_room(&kit, 1);
    KIT_FRAME(&kit, 0x81, "blocked");
    for (unsigned i = 0; i < 1000; i++) {
        char payload[4];
        snprintf(payload, sizeof(payload), "%03u", i);
        kit_input_frame(&kit, 0x89, payload, 3);
    }
    EXPECT_INT(gyr_queued_size(kit_conn(&kit)), 8 + 16 * 5, "a flood of Pings queues 16 Pongs");
    kit_room(&kit, SIZE_MAX);
    char expected[9 + 16 * 5 + 1] = "\x81\x07"
                                    "blocked";
    for (unsigned i = 0; i < 16; i++) {
        snprintf(expected + 9 + (size_t)i * 5, 6, "\x8a\x03%03u", 984 + i);
    }
    EXPECT(kit_output_is(&kit, expected, sizeof(expected) - 1), "RFC 6455 section 5.5.3");
    kit_end(&kit);
}

void exchange_control_frames_keep_their_place_in_a_short_queue(void)
{
    struct kit kit;
    begin(&kit);
    kit_room(&kit, 0);
    struct gyr_conn *conn = kit_conn(&kit);
    EXPECT_INT(gyr_send(conn, GYR_TEXT, GYR_SPAN("first")), 0, "queued");
    kit_run(&kit); /* and given to the kernel */
    EXPECT_INT(gyr_send(conn, GYR_TEXT, GYR_SPAN("second")), 0, "queued");
    EXPECT_INT(gyr_ping(conn, GYR_SPAN("ping")), 0, "queued");
    kit_room(&kit, SIZE_MAX);
    EXPECT_OUTPUT(&kit,
                  "\x81\x05"
                  "first\x81\x06second\x89\x04ping",
                  "in order");
    kit_end(&kit);
}

void exchange_control_frames_overtake_messages_that_wait(void)
{
    static char second[5000];
    static char expected[7 + 6 + 4 + sizeof(second) + 4];
    struct kit kit;
    begin(&kit);
    kit_room(&kit, 0);
    struct gyr_conn *conn = kit_conn(&kit);
    EXPECT_INT(gyr_send(conn, GYR_TEXT, GYR_SPAN("first")), 0, "queued");
    kit_run(&kit); /* and given to the kernel */
    memset(second, 's', sizeof(second));
    struct gyr_span message = {second, sizeof(second)};
    EXPECT_INT(gyr_send(conn, GYR_TEXT, message), 0, "queued");
    EXPECT_INT(gyr_ping(conn, GYR_SPAN("ping")), 0, "overtakes");
    kit_run(&kit);
    EXPECT_INT(gyr_close(conn, 1000, GYR_SPAN("")), 0, "Close stays behind what is queued");
    kit_room(&kit, 3);
    EXPECT(kit_is_sending(&kit), "short");
    kit_room(&kit, SIZE_MAX);
    memcpy(expected,
           "\x81\x05"
           "first\x89\x04ping\x81\x7e\x13\x88",
           17);
    memcpy(expected + 17, second, sizeof(second));
    memcpy(expected + 17 + sizeof(second), "\x88\x02\x03\xe8", 4);
    EXPECT(kit_output_is(&kit, expected, sizeof(expected)), "not into the one that is on its way");
    kit_end(&kit);
}

void exchange_sends_messages_in_parts(void)
{
    struct kit kit;
    begin(&kit);
    struct gyr_conn *conn = kit_conn(&kit);
    EXPECT_INT(gyr_send_part(conn, GYR_TEXT, GYR_SPAN("x"), 0), GYR_ERR_STATE, "of no message");
    EXPECT_INT(gyr_send_part(conn, GYR_TEXT, GYR_SPAN("one"), GYR_FIRST), 0, "first");
    EXPECT_INT(gyr_send(conn, GYR_TEXT, GYR_SPAN("x")), GYR_ERR_STATE, "within a message");
    EXPECT_INT(gyr_send_part(conn, GYR_TEXT, GYR_SPAN("x"), GYR_FIRST), GYR_ERR_STATE, "within");
    EXPECT_INT(gyr_ping(conn, GYR_SPAN("")), 0, "control frames may");
    EXPECT_INT(gyr_send_part(conn, GYR_TEXT, GYR_SPAN("two"), 0), 0, "middle");
    EXPECT_INT(gyr_send_part(conn, GYR_TEXT, GYR_SPAN(""), GYR_LAST), 0, "last");
    EXPECT_INT(gyr_send(conn, GYR_BINARY, GYR_SPAN("x")), 0, "the next");
    EXPECT_INT(gyr_send(conn, (enum gyr_opcode)8, GYR_SPAN("x")), GYR_ERR_ARGUMENT, "opcode");
    EXPECT_INT(gyr_ping(conn, (struct gyr_span){UPGRADE, 126}), GYR_ERR_ARGUMENT, "too long");
    kit_run(&kit);
    EXPECT_OUTPUT(&kit, "\x01\x03one\x89\x00\x00\x03two\x80\x00\x82\x01x", "fragments");
    kit_end(&kit);
}

/* ---- gyr_reply ---- */

static int reply_part(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)kit;
    struct gyr_span all = event->bytes;
    struct gyr_span part = {all.ptr + 1, all.size - 2};
    struct gyr_span outside = {all.ptr + 1, all.size};
    EXPECT_INT(gyr_reply(conn, GYR_TEXT, outside), GYR_ERR_ARGUMENT, "past the end");
    EXPECT_INT(gyr_reply(conn, GYR_TEXT, GYR_SPAN("elsewhere")), GYR_ERR_ARGUMENT, "not of it");
    EXPECT_INT(gyr_reply(conn, (enum gyr_opcode)9, all), GYR_ERR_ARGUMENT, "opcode");
    EXPECT_INT(gyr_reply(conn, GYR_BINARY, part), 0, "a part of it, as another type");
    EXPECT_INT(gyr_reply(conn, GYR_TEXT, part), GYR_ERR_ARGUMENT, "the view is dead");
    return 0;
}

static int reply_between(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)kit;
    EXPECT_INT(gyr_send(conn, GYR_TEXT, GYR_SPAN("before")), 0, "before");
    EXPECT_INT(gyr_reply(conn, event->opcode, event->bytes), 0, "reply");
    EXPECT_INT(gyr_ping(conn, GYR_SPAN("p")), 0, "ping");
    EXPECT_INT(gyr_send(conn, GYR_TEXT, GYR_SPAN("after")), 0, "after");
    return 0;
}

void exchange_replies_with_a_part_of_the_message(void)
{
    struct kit kit;
    begin(&kit);
    kit.hooks[KIT_MESSAGE] = reply_part;
    KIT_FRAME(&kit, 0x81, "(one)");
    KIT_FRAME(&kit, 0x01, "(t");
    KIT_FRAME(&kit, 0x80, "wo)");
    EXPECT_OUTPUT(&kit, "\x82\x03one\x82\x03two", "whole in the input, and assembled");
    EXPECT_INT(gyr_reply(kit_conn(&kit), GYR_TEXT, GYR_SPAN("x")), GYR_ERR_ARGUMENT, "no message");
    EXPECT_INT(kit.core->heap_accounted, 0, "memory is back");
    kit_end(&kit);
}

void exchange_keeps_the_order_of_replies_and_sends(void)
{
    struct kit kit;
    begin(&kit);
    uint8_t bytes[64];
    size_t size = kit_frame(bytes, 0x81, "one", 3);
    kit_input(&kit, bytes, size + kit_frame(bytes + size, 0x81, "two", 3)); /* default: in place */
    kit.hooks[KIT_MESSAGE] = reply_between;
    kit_input(&kit, bytes, size + kit_frame(bytes + size, 0x81, "two", 3));
    EXPECT_OUTPUT(&kit,
                  "\x81\x03one\x81\x03two"
                  "\x81\x06"
                  "before\x81\x03one\x89\x01p\x81\x05"
                  "after"
                  "\x81\x06"
                  "before\x81\x03two\x89\x01p\x81\x05"
                  "after",
                  "the order of the calls");
    kit_end(&kit);
}

static int reply_within(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)kit;
    EXPECT_INT(gyr_send_part(conn, GYR_TEXT, GYR_SPAN("a"), GYR_FIRST), 0, "begin");
    EXPECT_INT(gyr_reply(conn, event->opcode, event->bytes), GYR_ERR_STATE, "within a message");
    EXPECT_INT(gyr_send_part(conn, GYR_TEXT, GYR_SPAN("b"), GYR_LAST), 0, "end");
    EXPECT_INT(gyr_close(conn, 1000, GYR_SPAN("")), 0, "close");
    EXPECT_INT(gyr_reply(conn, event->opcode, event->bytes), GYR_ERR_CLOSED, "after gyr_close");
    return 0;
}

void exchange_does_not_reply_within_a_message_or_after_close(void)
{
    struct kit kit;
    begin(&kit);
    kit.hooks[KIT_MESSAGE] = reply_within;
    KIT_FRAME(&kit, 0x81, "one");
    EXPECT_OUTPUT(&kit,
                  "\x01\x01"
                  "a\x80\x01"
                  "b\x88\x02\x03\xe8",
                  "two parts and a Close");
    kit_end(&kit);
}

/* ---- pause, pending, timers, names ---- */

void exchange_pause_reads_ahead_up_to_a_limit_and_sees_resets(void)
{
    for (unsigned reset = 0; reset < 2; reset++) {
        struct kit kit;
        kit_init(&kit);
        kit.config.pause_size_max = 1000;
        kit_start(&kit);
        kit_open(&kit);
        gyr_pause(kit_conn(&kit));
        char payload[300] = "";
        for (unsigned i = 0; i < 4; i++) {
            EXPECT(kit_is_receiving(&kit), "below the limit");
            kit_input_frame(&kit, 0x82, payload, sizeof(payload));
        }
        EXPECT(!kit_is_receiving(&kit), "the peer's window closes");
        uint64_t held = heap_used(kit.core->heap);
        for (unsigned i = 0; i < 10; i++) {
            kit_input_frame(&kit, 0x82, payload, sizeof(payload));
        }
        EXPECT_INT(heap_used(kit.core->heap), held, "no more memory");
        EXPECT_LOG(&kit, "", "no upcall");
        if (reset != 0) {
            kit_reset(&kit);
            EXPECT_LOG(&kit, "close 1006\n", "a reset is seen");
            EXPECT(kit_is_closed(&kit), "gone");
        } else {
            gyr_resume(kit_conn(&kit));
            kit_run(&kit);
            EXPECT_INT(kit.counts[KIT_MESSAGE], 14, "all that was sent meanwhile");
            EXPECT(kit_is_receiving(&kit), "and on");
            EXPECT_INT(heap_used(kit.core->heap), 0, "memory is back");
        }
        kit_end(&kit);
    }
}

void exchange_pending_request_sees_a_reset(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit.acts[KIT_REQUEST] = KIT_PENDING;
    KIT_INPUT(&kit, KIT_GET("/"));
    struct gyr_handle handle = gyr_conn_handle(kit_conn(&kit));
    kit_reset(&kit);
    EXPECT_LOG(&kit, "request GET /\ndone aborted\n", "the service learns of it");
    EXPECT(gyr_core_find((struct gyr_core *)kit.core, handle) == NULL, "and its handle is stale");
    kit_end(&kit);
}

static int pause_twice(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)kit;
    gyr_pause(conn);
    return gyr_send(conn, event->opcode, event->bytes);
}

void exchange_pause_stops_behind_the_current_message(void)
{
    struct kit kit;
    begin(&kit);
    kit.hooks[KIT_MESSAGE] = pause_twice;
    uint8_t bytes[64];
    size_t size = kit_frame(bytes, 0x81, "one", 3);
    size += kit_frame(bytes + size, 0x81, "two", 3);
    size += kit_frame(bytes + size, 0x88, "\x03\xe8", 2);
    kit_input(&kit, bytes, size);
    EXPECT_LOG(&kit, "text \"one\"\n", "the second waits");
    gyr_resume(kit_conn(&kit));
    kit_run(&kit);
    EXPECT_LOG(&kit, "text \"two\"\n", "and the Close behind it");
    gyr_resume(kit_conn(&kit));
    kit_run(&kit);
    EXPECT_LOG(&kit, "close 1000\n", "in order");
    EXPECT_OUTPUT(&kit, "\x81\x03one\x81\x03two\x88\x02\x03\xe8", "answered");
    kit_end(&kit);
}

void exchange_timer_fires_once_and_can_be_moved_or_stopped(void)
{
    struct kit kit;
    begin(&kit);
    gyr_conn_timer(kit_conn(&kit), 1000);
    kit_advance(&kit, 999);
    EXPECT_LOG(&kit, "", "too early");
    kit_advance(&kit, 1);
    EXPECT_LOG(&kit, "timer\n", "on time");
    kit_advance(&kit, 10000);
    EXPECT_LOG(&kit, "", "once");
    gyr_conn_timer(kit_conn(&kit), 1000);
    gyr_conn_timer(kit_conn(&kit), 5000);
    kit_advance(&kit, 4999);
    EXPECT_LOG(&kit, "", "moved");
    gyr_conn_timer(kit_conn(&kit), 0);
    kit_advance(&kit, 10000);
    EXPECT_LOG(&kit, "", "stopped");
    gyr_conn_timer(kit_conn(&kit), 24U * 86400 * 1000);
    kit_advance(&kit, 24ULL * 86400 * 1000 - 1);
    EXPECT_LOG(&kit, "", "24 days");
    kit_advance(&kit, 1);
    EXPECT_LOG(&kit, "timer\n", "on time");
    kit_end(&kit);
}

void exchange_names_become_stale_when_it_ends(void)
{
    struct kit kit;
    begin(&kit);
    struct gyr_core *core = (struct gyr_core *)kit.core;
    struct gyr_handle old = gyr_conn_handle(kit_conn(&kit));
    EXPECT(old.id != 0, "never zero");
    EXPECT(gyr_core_find(core, old) == kit_conn(&kit), "found");
    kit_reset(&kit);
    EXPECT(gyr_core_find(core, old) == NULL, "gone");
    kit_open(&kit);
    struct gyr_handle new = gyr_conn_handle(kit_conn(&kit));
    EXPECT((old.id & 0xffffff) == (new.id & 0xffffff) && old.id != new.id, "the same slot");
    EXPECT(gyr_core_find(core, old) == NULL, "is not the same connection");
    EXPECT(gyr_core_find(core, (struct gyr_handle){0}) == NULL, "zero");
    EXPECT(gyr_core_find(core, (struct gyr_handle){new.id | 1ULL << 48}) == NULL, "another core");
    EXPECT(gyr_core_find(core, (struct gyr_handle){new.id | 0xffffff}) == NULL, "no such slot");
    char text[64];
    gyr_peer_address(kit_conn(&kit), text);
    EXPECT(strcmp(text, "192.0.2.1:1001") == 0, "the peer of the second");
    kit_end(&kit);
}
