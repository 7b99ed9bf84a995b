/* SPDX-License-Identifier: MIT */
/* What a transport promises: time limits, the two ways to receive and the change between them,
 * short sends, and how a connection ends. */
#include "engine/transport.h"

#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <errno.h>
#include <stdlib.h>

#define H "Host: a\r\n"

static bool answered(struct kit *kit, const char *status)
{
    struct span out = kit_output(kit);
    return out.size > 12 && memcmp(out.ptr, "HTTP/1.1 ", 9) == 0 &&
           memcmp(out.ptr + 9, status, 3) == 0;
}

/* ---- time limits of HTTP ---- */

void transport_header_limit_counts_from_the_first_byte(void)
{
    struct kit kit;
    kit_begin(&kit);
    KIT_INPUT(&kit, KIT_GET("/"));
    kit_forget(&kit);
    kit_advance(&kit, 5000);
    KIT_INPUT(&kit, "GET / HTTP/1.1\r\n");
    for (unsigned i = 0; i < 9; i++) {
        kit_advance(&kit, 1000);
        KIT_INPUT(&kit, "A: b\r\n"); /* a byte now and then does not help */
    }
    kit_advance(&kit, 998);
    EXPECT(!kit_is_ended(&kit), "ten seconds are not over");
    kit_advance(&kit, 3);
    EXPECT(answered(&kit, "408"), "slow header");
    EXPECT(kit_is_ended(&kit), "and close");
    EXPECT_LOG(&kit, "", "the service was never asked");
    EXPECT_INT(kit.core->stats.timeouts, 1, "counted");
    kit_end(&kit);
}

void transport_header_limit_counts_from_the_accept_if_nothing_comes(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit_advance(&kit, kit.config.header_timeout_ms + 1);
    EXPECT_OUTPUT(&kit, "", "nothing was asked: nothing to answer");
    EXPECT(kit_is_ended(&kit), "closed");
    kit_end(&kit);
}

void transport_keep_alive_limit_counts_between_requests(void)
{
    struct kit kit;
    kit_begin(&kit);
    for (unsigned i = 0; i < 3; i++) {
        KIT_INPUT(&kit, KIT_GET("/"));
        EXPECT_OUTPUT(&kit, KIT_OK, "answered");
        kit_advance(&kit, kit.config.keep_alive_timeout_ms - 1);
        EXPECT(!kit_is_ended(&kit), "kept");
    }
    kit_advance(&kit, 2);
    EXPECT_OUTPUT(&kit, "", "no answer to no request");
    EXPECT(kit_is_ended(&kit), "closed");
    kit_end(&kit);
}

void transport_body_limit_counts_from_the_last_byte(void)
{
    struct kit kit;
    kit_init(&kit);
    kit.config.body_rate_min = 0;
    kit_start(&kit);
    kit_connect(&kit);
    KIT_INPUT(&kit, "POST / HTTP/1.1\r\n" H "Content-Length: 100\r\n\r\n");
    for (unsigned i = 0; i < 3; i++) {
        kit_advance(&kit, kit.config.body_timeout_ms - 1);
        KIT_INPUT(&kit, "a");
    }
    EXPECT_INT(kit.counts[KIT_BODY], 3, "slow, but within the limit");
    kit_advance(&kit, kit.config.body_timeout_ms + 1);
    EXPECT(answered(&kit, "408"), "slow body");
    EXPECT(kit_is_ended(&kit), "and close");
    EXPECT_LOG(&kit, "request POST /\nbody aaa...\ndone aborted\n", "the service learns of it");
    kit_end(&kit);
}

void transport_body_limit_rests_while_the_service_pauses(void)
{
    struct kit kit;
    kit_begin(&kit);
    KIT_INPUT(&kit, "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\n");
    gyr_pause(kit_conn(&kit));
    kit_advance(&kit, 10ULL * kit.config.body_timeout_ms);
    EXPECT(!kit_is_ended(&kit), "the wait is ours");
    gyr_resume(kit_conn(&kit));
    kit_run(&kit);
    KIT_INPUT(&kit, "a");
    EXPECT_OUTPUT(&kit, KIT_OK, "answered");
    kit_end(&kit);
}

void transport_handshake_limit_answers_for_a_service_that_does_not(void)
{
    static const char UPGRADE[] = KIT_UPGRADE_WITH("");
    for (unsigned i = 0; i < 2; i++) {
        struct kit kit;
        kit_begin(&kit);
        kit.acts[KIT_REQUEST] = KIT_PENDING;
        const char *bytes = i == 0 ? KIT_GET("/") : UPGRADE;
        kit_input(&kit, bytes, strlen(bytes));
        kit_advance(&kit, kit.config.handshake_timeout_ms - 1);
        EXPECT_OUTPUT(&kit, "", "there is time");
        kit_advance(&kit, 2);
        EXPECT(answered(&kit, "503"), "the service did not answer");
        EXPECT(kit_is_ended(&kit), "and close");
        EXPECT_INT(kit.counts[KIT_DONE], 1, "done");
        kit_end(&kit);
    }
}

void transport_lifetime_ends_connections_politely(void)
{
    struct kit kit;
    kit_init(&kit);
    kit.config.lifetime_max_ms = 10000;
    kit_start(&kit);
    kit_open(&kit);
    int websocket = kit.fd;
    kit_connect(&kit);
    kit_advance(&kit, 9999);
    EXPECT(!kit_is_ended(&kit), "not yet");
    kit_advance(&kit, 2);
    EXPECT(kit_is_ended(&kit), "HTTP");
    kit.fd = websocket;
    EXPECT_OUTPUT(&kit, "\x88\x02\x03\xe9", "1001");
    KIT_FRAME(&kit, 0x88, "\x03\xe9");
    EXPECT_LOG(&kit, "close 1001\n", "answered");
    kit_end(&kit);
}

/* ---- time limits of WebSocket ---- */

static void begin_heartbeat(struct kit *kit)
{
    kit_init(kit);
    kit->config.heartbeat_interval_ms = 30000;
    kit->config.heartbeat_timeout_ms = 10000;
    kit_start(kit);
    kit_open(kit);
}

void transport_heartbeat_pings_and_then_cuts(void)
{
    struct kit kit;
    begin_heartbeat(&kit);
    kit_advance(&kit, 29999);
    EXPECT_OUTPUT(&kit, "", "silence is not long enough");
    kit_advance(&kit, 2);
    EXPECT_OUTPUT(&kit, "\x89\x00", "a Ping");
    KIT_FRAME(&kit, 0x8a, "");
    EXPECT_LOG(&kit, "", "its Pong is not reported");
    kit_advance(&kit, 29999);
    EXPECT_OUTPUT(&kit, "", "it counts as a sign of life");
    kit_advance(&kit, 2);
    EXPECT_OUTPUT(&kit, "\x89\x00", "the next Ping");
    kit_advance(&kit, 9990);
    EXPECT_LOG(&kit, "", "there is time");
    kit_advance(&kit, 20);
    EXPECT_LOG(&kit, "close 1006\n", "no answer");
    EXPECT(kit_is_closed(&kit), "cut");
    kit_end(&kit);
}

void transport_heartbeat_waits_for_a_reader_that_is_slow(void)
{
    static char large[20000];
    struct kit kit;
    begin_heartbeat(&kit);
    kit_room(&kit, 1);
    EXPECT_INT(gyr_send(kit_conn(&kit), GYR_BINARY, (struct gyr_span){large, sizeof(large)}), 0,
               "queued");
    kit_run(&kit);
    for (unsigned second = 0; second < 100; second++) {
        kit_advance(&kit, 1000);
        kit_room(&kit, 50);
        kit_run(&kit);
    }
    EXPECT_LOG(&kit, "", "it takes what is queued, though it never comes to the Ping");
    kit_advance(&kit, 10100);
    EXPECT_LOG(&kit, "close 1006\n", "it takes nothing any more");
    kit_end(&kit);
}

void transport_heartbeat_takes_any_byte_as_a_sign_of_life(void)
{
    struct kit kit;
    begin_heartbeat(&kit);
    uint8_t bytes[64];
    size_t size = kit_frame(bytes, 0x82, "0123456789", 10);
    for (size_t i = 0; i < size; i++) {
        kit_advance(&kit, 29000);
        kit_input(&kit, bytes + i, 1);
    }
    EXPECT_OUTPUT(&kit,
                  "\x82\x0a"
                  "0123456789",
                  "no Ping was needed");
    kit_end(&kit);
}

void transport_heartbeat_rests_while_we_wait_ourselves(void)
{
    for (unsigned pending = 0; pending < 2; pending++) {
        struct kit kit;
        begin_heartbeat(&kit);
        kit.acts[KIT_MESSAGE] = pending ? KIT_PENDING : KIT_DEFAULT;
        if (pending) {
            KIT_FRAME(&kit, 0x81, "x");
        } else {
            gyr_pause(kit_conn(&kit));
        }
        kit_advance(&kit, 100000);
        kit_advance(&kit, 100000);
        EXPECT_OUTPUT(&kit, "", "no Ping, and no end");
        if (pending) {
            EXPECT_INT(gyr_finish(kit_conn(&kit), 0), 0, "go on");
        } else {
            gyr_resume(kit_conn(&kit));
        }
        kit_run(&kit);
        kit_advance(&kit, 29990);
        EXPECT_OUTPUT(&kit, "", "the silence was ours");
        kit_advance(&kit, 20);
        EXPECT_OUTPUT(&kit, "\x89\x00", "now it counts");
        kit_end(&kit);
    }
}

void transport_idle_limit_closes_with_1001(void)
{
    struct kit kit;
    kit_init(&kit);
    kit.config.idle_timeout_ms = 5000;
    kit_start(&kit);
    kit_open(&kit);
    kit_advance(&kit, 4000);
    KIT_FRAME(&kit, 0x81, "x");
    kit_advance(&kit, 4000);
    EXPECT_INT(gyr_send(kit_conn(&kit), GYR_TEXT, GYR_SPAN("y")), 0, "a message out");
    kit_run(&kit);
    kit_advance(&kit, 4000);
    EXPECT_OUTPUT(&kit, "\x81\x01x\x81\x01y", "messages in either direction count");
    KIT_FRAME(&kit, 0x89, "");
    kit_forget(&kit);
    kit_advance(&kit, 1001);
    EXPECT_OUTPUT(&kit, "\x88\x06\x03\xe9idle", "Pings do not");
    kit_end(&kit);
}

void transport_idle_limit_rests_while_we_pause(void)
{
    struct kit kit;
    kit_init(&kit);
    kit.config.idle_timeout_ms = 5000;
    kit_start(&kit);
    kit_open(&kit);
    gyr_pause(kit_conn(&kit));
    kit_advance(&kit, 40000);
    gyr_resume(kit_conn(&kit));
    kit_run(&kit);
    kit_advance(&kit, 4999);
    EXPECT_OUTPUT(&kit, "", "it counts from the resume");
    kit_advance(&kit, 2);
    EXPECT_OUTPUT(&kit, "\x88\x06\x03\xe9idle", "and then passes");
    kit_end(&kit);
}

void transport_heartbeat_keeps_its_interval_after_each_answer(void)
{
    struct kit kit;
    kit_init(&kit);
    kit.config.heartbeat_interval_ms = 1000;
    kit.config.heartbeat_timeout_ms = 60000;
    kit_start(&kit);
    kit_open(&kit);
    for (unsigned i = 0; i < 5; i++) {
        kit_advance(&kit, 1000);
        EXPECT_OUTPUT(&kit, "\x89\x00", "a Ping for each silence");
        KIT_FRAME(&kit, 0x8a, "");
        kit_forget(&kit);
    }
    kit_end(&kit);
}

void transport_heartbeat_goes_on_after_a_high_queue(void)
{
    struct kit kit;
    kit_init(&kit);
    kit.config.heartbeat_interval_ms = 1000;
    kit.config.send_queue_high = 1;
    kit.config.send_queue_low = 1;
    kit_start(&kit);
    kit_open(&kit);
    kit.acts[KIT_MESSAGE] = KIT_HIGH;
    kit_room(&kit, 0);
    KIT_FRAME(&kit, 0x81, "x");
    kit_advance(&kit, 5000); /* the timer finds nothing to limit while we wait ourselves */
    kit_room(&kit, SIZE_MAX);
    kit_run(&kit);
    kit_forget(&kit);
    kit_advance(&kit, 1001);
    EXPECT_OUTPUT(&kit, "\x89\x00", "asked again");
    kit_end(&kit);
}

void transport_partial_frame_is_no_sign_of_life(void)
{
    struct kit kit;
    kit_init(&kit);
    kit.config.heartbeat_interval_ms = 1000;
    kit.config.heartbeat_timeout_ms = 500;
    kit.config.send_queue_high = 1;
    kit.config.send_queue_low = 1;
    kit_start(&kit);
    kit_open(&kit);
    KIT_INPUT(&kit, "\x81");
    kit_advance(&kit, 1000);
    EXPECT_OUTPUT(&kit, "\x89\x00", "asked");
    kit_advance(&kit, 501);
    EXPECT(kit_is_closed(&kit), "and gone without an answer");
    kit_end(&kit);
}

void transport_sees_the_peers_close_while_the_service_waits(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit_open(&kit);
    kit.acts[KIT_MESSAGE] = KIT_PENDING;
    KIT_FRAME(&kit, 0x81, "x");
    kit_forget(&kit);
    EXPECT_INT(gyr_close(kit_conn(&kit), 1000, GYR_SPAN("")), 0, "begin");
    kit_run(&kit);
    KIT_FRAME(&kit, 0x88, "\x03\xe8");
    EXPECT_LOG(&kit, "close 1000\n", "not 1006 after a time-out");
    kit_end(&kit);
}

void transport_send_limit_cuts_a_peer_that_does_not_read(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit_open(&kit);
    kit_room(&kit, 0);
    EXPECT_INT(gyr_send(kit_conn(&kit), GYR_TEXT, GYR_SPAN("0123456789")), 0, "queued");
    kit_run(&kit);
    for (unsigned i = 0; i < 3; i++) {
        kit_advance(&kit, kit.config.send_timeout_ms - 1);
        kit_room(&kit, 1); /* a byte is progress */
    }
    EXPECT_LOG(&kit, "", "slow, but within the limit");
    kit_advance(&kit, kit.config.send_timeout_ms + 1);
    EXPECT_LOG(&kit, "close 1006\n", "no byte taken");
    EXPECT(kit_is_closed(&kit), "cut");
    EXPECT_INT(kit.core->heap_accounted, 0, "memory is back");
    kit_end(&kit);
}

/* ---- receiving ---- */

static void begin_scratch(struct kit *kit)
{
    kit_init(kit);
    kit->config.recv_buffer_size = 65536;
    kit->config.recv_scratch_threshold = 8192;
    kit_start(kit);
    kit_open(kit);
}

/* A stream of numbered frames, so that bytes that change places would show. */
static void input_numbered(struct kit *kit, uint32_t *number, size_t frame_size)
{
    uint8_t *payload = calloc(1, frame_size);
    CU_ASSERT_FATAL(payload != NULL);
    memcpy(payload, number, sizeof(*number));
    *number += 1;
    kit_input_frame(kit, 0x82, payload, frame_size);
    free(payload);
}

static int check_number(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)conn;
    uint32_t *expected = kit->context;
    uint32_t number = 0;
    memcpy(&number, event->bytes.ptr, sizeof(number));
    EXPECT_INT(number, *expected, "in order");
    *expected += 1;
    return 0;
}

void transport_changes_to_scratch_and_back_after_the_last_completion(void)
{
    struct kit kit;
    begin_scratch(&kit);
    uint32_t number = 0;
    uint32_t expected = 0;
    kit.context = &expected;
    kit.hooks[KIT_MESSAGE] = check_number;
    struct transport *transport = kit_transport(&kit);
    for (unsigned i = 0; i < 3; i++) {
        input_numbered(&kit, &number, 10000);
    }
    EXPECT_INT(transport->recv, RECV_BUFFERS, "three large reads are not enough");
    kit_hold_cancel(&kit, true);
    input_numbered(&kit, &number, 10000);
    EXPECT_INT(transport->recv, RECV_BUFFERS, "the old receive has not ended");
    for (unsigned i = 0; i < 5; i++) {
        input_numbered(&kit, &number, 10000); /* the kit forbids recv_now here */
    }
    EXPECT_INT(expected, number, "what still came through buffers");
    kit_hold_cancel(&kit, false);
    kit_run(&kit);
    EXPECT_INT(transport->recv, RECV_SCRATCH, "changed");
    for (unsigned i = 0; i < 20; i++) {
        input_numbered(&kit, &number, 60000);
    }
    EXPECT_INT(transport->recv, RECV_SCRATCH, "reads are large");
    for (unsigned i = 0; i < 15; i++) {
        input_numbered(&kit, &number, 100);
    }
    EXPECT_INT(transport->recv, RECV_SCRATCH, "hysteresis");
    input_numbered(&kit, &number, 100);
    EXPECT_INT(transport->recv, RECV_BUFFERS, "and back");
    EXPECT_INT(expected, number, "each message once, in order");
    EXPECT_INT(kit.core->stats.scratch_switches, 2, "counted");
    EXPECT_INT(kit.core->heap_accounted, 0, "memory is back");
    kit_end(&kit);
}

void transport_reads_on_when_the_change_comes_within_a_message(void)
{
    struct kit kit;
    begin_scratch(&kit);
    uint32_t number = 0;
    uint32_t expected = 0;
    kit.context = &expected;
    kit.hooks[KIT_MESSAGE] = check_number;
    input_numbered(&kit, &number, 1000000);
    EXPECT_INT(kit_transport(&kit)->recv, RECV_SCRATCH, "changed on the way");
    input_numbered(&kit, &number, 3000000);
    input_numbered(&kit, &number, 4);
    EXPECT_INT(expected, 3, "all came");
    EXPECT(kit.core->stats.copied_bytes < 2000000, "the rest was received where it belongs");
    EXPECT_INT(kit.core->heap_accounted, 0, "memory is back");
    kit_end(&kit);
}

void transport_sees_the_end_of_the_stream_through_scratch(void)
{
    for (unsigned reset = 0; reset < 2; reset++) {
        struct kit kit;
        begin_scratch(&kit);
        kit.acts[KIT_MESSAGE] = KIT_NOTHING;
        uint32_t number = 0;
        for (unsigned i = 0; i < 5; i++) {
            input_numbered(&kit, &number, 30000);
        }
        EXPECT_INT(kit_transport(&kit)->recv, RECV_SCRATCH, "changed");
        kit_forget(&kit);
        if (reset) {
            kit_reset(&kit);
        } else {
            kit_end_of_stream(&kit);
        }
        EXPECT_LOG(&kit, "close 1006\n", "the end");
        EXPECT(kit_is_closed(&kit), "gone");
        kit_end(&kit);
    }
}

void transport_goes_on_when_the_buffers_run_out(void)
{
    struct kit kit;
    kit_init(&kit);
    kit.config.recv_buffer_count = 2;
    kit_start(&kit);
    kit_open(&kit);
    kit.acts[KIT_MESSAGE] = KIT_NOTHING;
    char payload[30000] = "";
    for (unsigned i = 0; i < 3; i++) {
        kit_input_frame(&kit, 0x82, payload, sizeof(payload));
    }
    EXPECT_INT(kit.counts[KIT_MESSAGE], 3, "nothing is lost");
    EXPECT(kit.core->stats.buffers_empty != 0, "and the buffers did run out");
    kit_end(&kit);
}

void transport_drops_completions_of_an_earlier_life(void)
{
    struct kit kit;
    kit_init(&kit);
    kit_start(&kit);
    kit_open(&kit);
    uint32_t generation = kit_transport(&kit)->generation;
    uint32_t index = kit_transport(&kit)->index;
    kit_reset(&kit);
    kit_open(&kit);
    EXPECT_INT(kit_transport(&kit)->index, index, "the same slot");
    EXPECT(kit_transport(&kit)->generation != generation, "another life");
    kit.core->completions[0] = (struct completion){
        .user_data = core_user_data(CORE_OP_SEND, generation, index), .result = -EPIPE};
    kit.core->completions[1] = (struct completion){
        .user_data = core_user_data(CORE_OP_RECV, generation, index), .result = -ECONNRESET};
    kit.core->completion_count = 2;
    kit_run(&kit);
    EXPECT_LOG(&kit, "", "nothing is read of them (C2)");
    KIT_FRAME(&kit, 0x81, "x");
    EXPECT_OUTPUT(&kit, "\x81\x01x", "alive");
    kit_end(&kit);
}

/* ---- sending ---- */

/* Every way a peer can take the output of one batch in two portions, and one byte at a time. */
void transport_sends_the_same_however_little_the_peer_takes(void)
{
    uint8_t bytes[256];
    size_t size = 0;
    size += kit_frame(bytes + size, 0x81, "one", 3);
    size += kit_frame(bytes + size, 0x82, "two", 3);
    size += kit_frame(bytes + size, 0x01, "thr", 3);
    size += kit_frame(bytes + size, 0x80, "ee", 2);
    size += kit_frame(bytes + size, 0x88, "\x03\xe8", 2);
    for (size_t cut = 0; cut <= 21; cut++) {
        struct kit kit;
        kit_init(&kit);
        kit_start(&kit);
        kit_open(&kit);
        kit_room(&kit, cut);
        kit_input(&kit, bytes, size);
        kit_end_of_stream(&kit);
        for (unsigned i = 0; i < (cut % 2 == 0 ? 30U : 0U); i++) {
            kit_room(&kit, 1);
        }
        kit_room(&kit, SIZE_MAX);
        EXPECT_OUTPUT(&kit, "\x81\x03one\x82\x03two\x81\x05three\x88\x02\x03\xe8", "all, in order");
        EXPECT(kit_is_closed(&kit) && !kit_is_reset(&kit), "and then the end");
        kit_end(&kit);
    }
}

void transport_merges_small_messages_into_one_send(void)
{
    struct kit kit;
    kit_init(&kit);
    kit_start(&kit);
    kit_open(&kit);
    unsigned sends = kit_sends(&kit);
    for (unsigned i = 0; i < 50; i++) {
        EXPECT_INT(gyr_send(kit_conn(&kit), GYR_TEXT, GYR_SPAN("0123456789")), 0, "queued");
    }
    kit_run(&kit);
    EXPECT_INT(kit_sends(&kit) - sends, 1, "one send");
    EXPECT_INT(kit_output(&kit).size, 50 * 12, "for all");
    kit_end(&kit);
}

void transport_survives_sends_that_fail(void)
{
    static const struct {
        int err;
        bool alive;
    } rows[] = {{-EAGAIN, true}, {-EPIPE, false}, {-ECONNRESET, false}, {-ENOMEM, false}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (unsigned queued = 0; queued < 2; queued++) {
            struct kit kit;
            kit_init(&kit);
            kit_start(&kit);
            kit_open(&kit);
            kit_send_fail(&kit, rows[i].err);
            if (queued) {
                EXPECT_INT(gyr_send(kit_conn(&kit), GYR_TEXT, GYR_SPAN("x")), 0, "queued");
                kit_run(&kit);
            } else {
                kit.quiet = true;
                KIT_FRAME(&kit, 0x81, "x");
            }
            if (rows[i].alive) {
                EXPECT_OUTPUT(&kit, "\x81\x01x", "tried again");
                EXPECT_INT(kit.counts[KIT_CLOSE], 0, "alive");
            } else {
                EXPECT_INT(kit.counts[KIT_CLOSE], 1, "lost");
                EXPECT(kit_is_closed(&kit), "closed");
            }
            kit_end(&kit);
        }
    }
}

/* ---- ends ---- */

void transport_survives_a_short_send_to_a_peer_that_has_ended(void)
{
    for (unsigned room = 0; room < 4; room++) {
        struct kit kit;
        kit_begin(&kit);
        kit_open(&kit);
        kit_room(&kit, room);
        uint8_t frame[32];
        kit_deliver(&kit, frame, kit_frame(frame, 0x81, "hello", 5));
        kit_end_of_stream(&kit);
        kit_connect(&kit);
        kit_room(&kit, room);
        kit_deliver(&kit, KIT_GET("/"), sizeof(KIT_GET("/")) - 1);
        kit_end_of_stream(&kit);
        kit_room(&kit, SIZE_MAX);
        EXPECT_OUTPUT(&kit, KIT_OK, "whoever has asked is still answered");
        kit_end(&kit);
    }
}

void transport_lingers_until_the_peer_ends_its_stream(void)
{
    struct kit kit;
    kit_begin(&kit);
    KIT_INPUT(&kit, "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    EXPECT(kit_is_ended(&kit) && !kit_is_closed(&kit), "closing now could take our answer away");
    for (unsigned i = 0; i < 10; i++) {
        KIT_INPUT(&kit, "what still comes is dropped");
    }
    EXPECT_INT(kit.core->heap_accounted, 0, "and not kept");
    kit_end_of_stream(&kit);
    EXPECT(kit_is_closed(&kit) && !kit_is_reset(&kit), "closed");
    kit_connect(&kit);
    KIT_INPUT(&kit, "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    kit_advance(&kit, kit.config.close_timeout_ms + 1);
    EXPECT(kit_is_closed(&kit), "but not for ever");
    kit_end(&kit);
}

void transport_answers_a_peer_that_has_ended_its_stream(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit_deliver(&kit, KIT_GET("/1") KIT_GET("/2"), 2 * (sizeof(KIT_GET("/1")) - 1));
    kit_end_of_stream(&kit);
    EXPECT_OUTPUT(&kit, KIT_OK KIT_OK, "what came before the end is answered");
    EXPECT(kit_is_closed(&kit), "then it is over");
    kit_connect(&kit);
    kit_forget(&kit);
    kit.acts[KIT_REQUEST] = KIT_PENDING;
    KIT_INPUT(&kit, KIT_GET("/1"));
    kit_end_of_stream(&kit);
    EXPECT(!kit_is_closed(&kit), "an answer is owed");
    EXPECT_INT(gyr_respond_text(kit_conn(&kit), 200, "text/plain", GYR_SPAN("ok")), 0, "answer");
    EXPECT_INT(gyr_finish(kit_conn(&kit), 0), 0, "go on");
    kit_run(&kit);
    EXPECT(answered(&kit, "200"), "late");
    EXPECT(kit_is_closed(&kit), "then it is over");
    kit_end(&kit);
}

void transport_abort_is_a_reset(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit_open(&kit);
    EXPECT_INT(gyr_send(kit_conn(&kit), GYR_TEXT, GYR_SPAN("dropped")), 0, "queued");
    gyr_abort(kit_conn(&kit));
    kit_run(&kit);
    EXPECT_OUTPUT(&kit, "", "what is queued is dropped");
    EXPECT_LOG(&kit, "close 1006\n", "told");
    EXPECT(kit_is_closed(&kit) && kit_is_reset(&kit), "a reset");
    kit_end(&kit);
}

/* ---- more than one exchange ---- */

void transport_carries_exchanges_that_leave_each_other_alone(void)
{
    struct kit kit;
    kit_begin(&kit);
    struct transport *transport = kit_transport(&kit);
    struct gyr_conn *one = exchange_acquire(transport);
    struct gyr_conn *two = exchange_acquire(transport);
    CU_ASSERT_FATAL(one != NULL && two != NULL && one != two);
    memset(gyr_conn_data(one), 0xff, kit.service.conn_data_size);
    EXPECT(*(uint32_t *)gyr_conn_data(two) == 0, "user data");
    gyr_pause(one);
    EXPECT(exchange_is_waiting(one) && !exchange_is_waiting(two), "pause");
    gyr_resume(one);
    one->flags |= EXCHANGE_F_PENDING;
    EXPECT_INT(gyr_finish(two, 0), GYR_ERR_STATE, "pending");
    EXPECT_INT(gyr_finish(one, 0), 0, "pending");
    gyr_conn_timer(one, 1000);
    EXPECT(!two->timer_set, "timer");
    EXPECT_INT(gyr_close(one, 1000, GYR_SPAN("")), 0, "close");
    EXPECT((two->flags & EXCHANGE_F_CLOSE) == 0, "close");
    struct gyr_handle first = gyr_conn_handle(one);
    struct gyr_handle second = gyr_conn_handle(two);
    EXPECT(first.id != second.id, "names");
    exchange_release(one);
    EXPECT(gyr_core_find((struct gyr_core *)kit.core, first) == NULL, "gone");
    EXPECT(gyr_core_find((struct gyr_core *)kit.core, second) == two, "stays");
    exchange_release(two);
    kit_end(&kit);
}
