/* SPDX-License-Identifier: MIT */
/* WebSocket as the engine speaks it: frames in, and frames and upcalls out. */
#include "engine/session.h"
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>
#include <stdlib.h>

#define KEY        "\x37\xfa\x21\x3d"
#define ZERO_KEY   "\0\0\0\0"
#define CLOSE_1000 "\x88\x02\x03\xe8"
#define CLOSE_1001 "\x88\x02\x03\xe9"
#define CLOSE_1002 "\x88\x02\x03\xea"
#define CLOSE_1007 "\x88\x02\x03\xef"
#define CLOSE_1009 "\x88\x02\x03\xf1"
#define CLOSE_1011 "\x88\x02\x03\xf3"
#define CLOSE_1013 "\x88\x02\x03\xf5"
#define ROW(why, frame, close, err)               \
    {                                             \
        why, frame, sizeof(frame) - 1, close, err \
    }

static void begin(struct kit *kit)
{
    kit_init(kit);
    kit_start(kit);
    kit_open(kit);
}

struct bad_frame {
    const char *why;
    const char *bytes;
    size_t size;
    const char *close;
    int err;
};

static const struct bad_frame BAD_FRAMES[] = {
    ROW("rsv1", "\xc1\x80" KEY, CLOSE_1002, GYR_ERR_WS_RESERVED_BIT),
    ROW("rsv2", "\xa1\x80" KEY, CLOSE_1002, GYR_ERR_WS_RESERVED_BIT),
    ROW("rsv3", "\x91\x80" KEY, CLOSE_1002, GYR_ERR_WS_RESERVED_BIT),
    ROW("rsv1 of a control frame", "\xc9\x80" KEY, CLOSE_1002, GYR_ERR_WS_RESERVED_BIT),
    ROW("opcode 3", "\x83\x80" KEY, CLOSE_1002, GYR_ERR_WS_OPCODE),
    ROW("opcode 7", "\x87\x80" KEY, CLOSE_1002, GYR_ERR_WS_OPCODE),
    ROW("opcode 11", "\x8b\x80" KEY, CLOSE_1002, GYR_ERR_WS_OPCODE),
    ROW("opcode 15", "\x8f\x80" KEY, CLOSE_1002, GYR_ERR_WS_OPCODE),
    ROW("unmasked text", "\x81\x02hi", CLOSE_1002, GYR_ERR_WS_UNMASKED),
    ROW("unmasked ping", "\x89\x00", CLOSE_1002, GYR_ERR_WS_UNMASKED),
    ROW("ping of 126 bytes", "\x89\xfe\x00\x7e" KEY, CLOSE_1002, GYR_ERR_WS_CONTROL),
    ROW("close of 126 bytes", "\x88\xfe\x00\x7e" KEY, CLOSE_1002, GYR_ERR_WS_CONTROL),
    ROW("fragmented ping", "\x09\x80" KEY, CLOSE_1002, GYR_ERR_WS_CONTROL),
    ROW("fragmented close", "\x08\x80" KEY, CLOSE_1002, GYR_ERR_WS_CONTROL),
    ROW("125 in 16 bits", "\x82\xfe\x00\x7d" KEY, CLOSE_1002, GYR_ERR_WS_LENGTH),
    ROW("65535 in 64 bits", "\x82\xff\0\0\0\0\0\0\xff\xff" KEY, CLOSE_1002, GYR_ERR_WS_LENGTH),
    ROW("top bit of the length", "\x82\xff\x80\0\0\0\0\0\0\0" KEY, CLOSE_1002, GYR_ERR_WS_LENGTH),
    ROW("continuation of nothing", "\x80\x80" KEY, CLOSE_1002, GYR_ERR_WS_FRAGMENT),
    ROW("message within a message", "\x01\x80" KEY "\x81\x80" KEY, CLOSE_1002, GYR_ERR_WS_FRAGMENT),
    ROW("2^63 - 1 bytes", "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff" KEY, CLOSE_1009,
        GYR_ERR_WS_MESSAGE_SIZE),
    ROW("2^32 bytes", "\x82\xff\0\0\0\x01\0\0\0\0" KEY, CLOSE_1009, GYR_ERR_WS_MESSAGE_SIZE),
    ROW("one byte past the limit", "\x82\xff\0\0\0\0\x01\0\0\x01" KEY, CLOSE_1009,
        GYR_ERR_WS_MESSAGE_SIZE),
    ROW("close of one byte", "\x88\x81" ZERO_KEY "\x03", CLOSE_1002, GYR_ERR_WS_CLOSE),
    ROW("close with 999", "\x88\x82" ZERO_KEY "\x03\xe7", CLOSE_1002, GYR_ERR_WS_CLOSE),
    ROW("close with 1004", "\x88\x82" ZERO_KEY "\x03\xec", CLOSE_1002, GYR_ERR_WS_CLOSE),
    ROW("close with 1005", "\x88\x82" ZERO_KEY "\x03\xed", CLOSE_1002, GYR_ERR_WS_CLOSE),
    ROW("close with 1006", "\x88\x82" ZERO_KEY "\x03\xee", CLOSE_1002, GYR_ERR_WS_CLOSE),
    ROW("close with 5000", "\x88\x82" ZERO_KEY "\x13\x88", CLOSE_1002, GYR_ERR_WS_CLOSE),
    ROW("close with a bad reason", "\x88\x83" ZERO_KEY "\x03\xe8\xff", CLOSE_1007, GYR_ERR_WS_UTF8),
    ROW("text that ends within a character", "\x81\x81" ZERO_KEY "\xc3", CLOSE_1007,
        GYR_ERR_WS_UTF8),
    ROW("fragments that end within a character", "\x01\x81" ZERO_KEY "\xc3\x80\x80" KEY, CLOSE_1007,
        GYR_ERR_WS_UTF8),
};

void session_ws_fails_bad_frames_with_their_close_code(void)
{
    static const char AFTER[] = "\x81\x82" ZERO_KEY "hi";
    for (size_t i = 0; i < COUNT_OF(BAD_FRAMES); i++) {
        const struct bad_frame *row = &BAD_FRAMES[i];
        for (unsigned parts = 0; parts < 2; parts++) {
            struct kit kit;
            begin(&kit);
            uint8_t bytes[64];
            memcpy(bytes, row->bytes, row->size);
            memcpy(bytes + row->size, AFTER, sizeof(AFTER) - 1);
            kit_input_steps(&kit, bytes, row->size + sizeof(AFTER) - 1, parts ? 1 : sizeof(bytes));
            char log[256];
            (void)snprintf(log, sizeof(log), "close 1006 %s\n", gyr_strerror(row->err));
            EXPECT_LOG(&kit, log, row->why);
            EXPECT(kit_output_is(&kit, row->close, 4), row->why);
            EXPECT(kit_is_ended(&kit), row->why);
            EXPECT_INT(kit.core->stats.ws_errors, 1, row->why);
            EXPECT_INT(kit.core->heap_accounted, 0, row->why);
            kit_end_of_stream(&kit);
            EXPECT(kit_is_closed(&kit), row->why);
            kit_end(&kit);
        }
    }
}

/* The last byte of each row is the first that makes it wrong; more is announced and never comes. */
void session_ws_fails_text_at_its_first_bad_byte(void)
{
    static const char *const rows[] = {
        "\xff",     "\x80",     "a\xc0",          "ab\xc1",
        "\xc3\x28", "\xe0\x80", "\xed\xa0",       "\xf0\x80",
        "\xf4\x90", "\xf5",     "\xe2\x82\x28",   "\xf0\x9f\x98\xc0",
        "\xe2\x28", "a\xf8",    "0123456789\xfe", "0123456789abcdef0123456789abcdef\xc3\xc3",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t size = strlen(rows[i]);
        for (unsigned fragments = 0; fragments < 2; fragments++) {
            struct kit kit;
            begin(&kit);
            uint8_t bytes[256];
            char payload[100] = "";
            memcpy(payload, rows[i], size);
            size_t header = 6;
            if (fragments != 0) {
                KIT_FRAME(&kit, 0x01, "x");
            }
            (void)kit_frame(bytes, fragments != 0 ? 0x80 : 0x81, payload, sizeof(payload));
            kit_input(&kit, bytes, header + size - 1);
            EXPECT_OUTPUT(&kit, "", "good so far");
            EXPECT_LOG(&kit, "", "good so far");
            kit_input(&kit, bytes + header + size - 1, 1);
            EXPECT(kit_output_is(&kit, CLOSE_1007, 4), rows[i]);
            EXPECT_INT(kit.counts[KIT_CLOSE], 1, rows[i]);
            kit_end(&kit);
        }
    }
}

void session_ws_hands_messages_over_and_replies_in_place(void)
{
    struct kit kit;
    begin(&kit);
    KIT_FRAME(&kit, 0x81, "Hello");
    EXPECT_LOG(&kit, "text \"Hello\"\n", "RFC 6455 section 5.7");
    EXPECT_OUTPUT(&kit, "\x81\x05Hello", "the echo");
    EXPECT(kit_sent_in_place(&kit), "from the buffer it came in");
    KIT_FRAME(&kit, 0x82, "\0\xff");
    EXPECT_LOG(&kit, "binary \"\\x00\\xff\"\n", "binary is not text");
    EXPECT_OUTPUT(&kit, "\x82\x02\0\xff", "the echo");
    EXPECT_INT(kit.core->stats.copied_bytes, 0, "no copy");
    EXPECT_INT(kit.core->heap_accounted, 0, "no memory");
    kit_end(&kit);
}

void session_ws_sends_the_replies_of_a_batch_together_in_place(void)
{
    struct kit kit;
    begin(&kit);
    uint8_t bytes[1024];
    size_t size = 0;
    for (unsigned i = 0; i < 10; i++) {
        size += kit_frame(bytes + size, 0x81, "0123456789", i);
    }
    unsigned sends = kit_sends(&kit);
    kit_input(&kit, bytes, size);
    EXPECT_INT(kit_sends(&kit) - sends, 1, "one send");
    EXPECT(kit_sent_in_place(&kit), "in place");
    EXPECT_INT(kit.core->stats.copied_bytes, 0, "no copy");
    EXPECT_INT(kit_output(&kit).size, 10 * 2 + 45, "all of them");
    EXPECT_INT(kit.counts[KIT_MESSAGE], 10, "ten messages");
    kit_end(&kit);
}

void session_ws_replies_to_messages_of_every_header_size(void)
{
    static const size_t sizes[] = {0, 1, 125, 126, 127, 3000, 65535, 65536, 100000};
    for (unsigned buffers = 0; buffers < 2; buffers++) {
        struct kit kit;
        kit_init(&kit);
        kit.config.recv_buffer_size = buffers == 0 ? 4096 : 1 << 17;
        kit.config.recv_scratch_threshold = 0;
        kit_start(&kit);
        kit_open(&kit);
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            uint8_t *payload = malloc(sizes[i] + 1);
            uint8_t *expected = malloc(sizes[i] + 10);
            CU_ASSERT_FATAL(payload != NULL && expected != NULL);
            for (size_t k = 0; k < sizes[i]; k++) {
                payload[k] = (uint8_t)(k * 7 + i);
            }
            size_t header = ws_frame_write_header(expected, WS_OPCODE_BINARY, true, 0, sizes[i]);
            memcpy(expected + header, payload, sizes[i]);
            kit_input_frame(&kit, 0x82, payload, sizes[i]);
            EXPECT(kit_output_is(&kit, expected, header + sizes[i]), "the echo");
            EXPECT_INT(kit.core->heap_accounted, 0, "memory is back");
            free(payload);
            free(expected);
        }
        EXPECT_INT(kit.counts[KIT_MESSAGE], COUNT_OF(sizes), "all came");
        kit_end(&kit);
    }
}

void session_ws_assembles_fragments_around_control_frames(void)
{
    struct kit kit;
    begin(&kit);
    KIT_FRAME(&kit, 0x01, "Hel");
    KIT_FRAME(&kit, 0x89, "ping");
    EXPECT_OUTPUT(&kit, "\x8a\x04ping", "a Ping within a message is answered at once");
    KIT_FRAME(&kit, 0x8a, "unasked");
    KIT_FRAME(&kit, 0x00, "");
    KIT_FRAME(&kit, 0x80, "lo");
    EXPECT_LOG(&kit, "text \"Hello\"\n", "one message, and no upcall for control frames");
    EXPECT_OUTPUT(&kit, "\x81\x05Hello", "one echo");
    KIT_FRAME(&kit, 0x01, "");
    KIT_FRAME(&kit, 0x80, "");
    KIT_FRAME(&kit, 0x81, "");
    EXPECT_LOG(&kit, "text \"\"\ntext \"\"\n", "empty messages are messages");
    EXPECT_OUTPUT(&kit, "\x81\x00\x81\x00", "and are echoed");
    EXPECT_INT(kit.core->heap_accounted, 0, "memory is back");
    kit_end(&kit);
}

void session_ws_refuses_a_large_message_before_it_takes_memory(void)
{
    struct kit kit;
    kit_init(&kit);
    kit.config.message_size_max = 1000;
    kit_start(&kit);
    kit_open(&kit);
    uint8_t payload[1001] = {0};
    kit_input_frame(&kit, 0x82, payload, 1000);
    EXPECT_INT(kit_output(&kit).size, 1004, "the limit itself is allowed");
    kit_forget(&kit);
    kit_input_frame(&kit, 0x02, payload, 600);
    uint64_t held = heap_used(kit.core->heap);
    uint64_t copied = kit.core->stats.copied_bytes;
    uint8_t bytes[600];
    (void)kit_frame(bytes, 0x80, payload, 401);
    kit_input(&kit, bytes, 8);
    EXPECT_OUTPUT(&kit, CLOSE_1009, "one byte too many is announced");
    EXPECT_INT(kit.core->stats.copied_bytes, copied, "nothing was kept of it");
    EXPECT(held >= 600 && heap_used(kit.core->heap) == 0, "and what was held is back");
    kit_end(&kit);
}

static void parts(struct kit *kit);

void session_ws_emits_the_same_however_input_is_cut(void)
{
    uint8_t rows[8][400];
    size_t sizes[8];
    size_t *n = sizes;
    memset(sizes, 0, sizeof(sizes));
    n[0] += kit_frame(rows[0] + n[0], 0x81, "Hello", 5);
    n[0] += kit_frame(rows[0] + n[0], 0x82, "\0\1\2", 3);
    n[0] += kit_frame(rows[0] + n[0], 0x81, "", 0);
    n[1] += kit_frame(rows[1] + n[1], 0x01, "H\xc3", 2);
    n[1] += kit_frame(rows[1] + n[1], 0x89, "ping", 4);
    n[1] += kit_frame(rows[1] + n[1], 0x00, "\xa9\xf0\x9f", 3);
    n[1] += kit_frame(rows[1] + n[1], 0x80, "\x98\x80", 2);
    n[2] += kit_frame(rows[2] + n[2], 0x02, "ab", 2);
    n[2] += kit_frame(rows[2] + n[2], 0x80, "", 0);
    n[2] += kit_frame(rows[2] + n[2], 0x88,
                      "\x03\xe8"
                      "bye",
                      5);
    n[2] += kit_frame(rows[2] + n[2], 0x81, "after", 5);
    n[3] += kit_frame(rows[3] + n[3], 0x81, "good", 4);
    n[3] += kit_frame(rows[3] + n[3], 0x81,
                      "b\xc3\xc3"
                      "d",
                      4);
    n[3] += kit_frame(rows[3] + n[3], 0x81, "after", 5);
    n[4] += kit_frame(rows[4] + n[4], 0x82, BAD_FRAMES, 300);
    n[4] += kit_frame(rows[4] + n[4], 0x81, "end", 3);
    n[5] += kit_frame(rows[5] + n[5], 0x81, "good", 4);
    n[5] += kit_frame(rows[5] + n[5], 0xc1, "bad", 3);
    n[6] += kit_frame(rows[6] + n[6], 0x81, "\xe2\x82\xac", 3);
    n[6] += kit_frame(rows[6] + n[6], 0x88, "", 0);
    n[7] += kit_frame(rows[7] + n[7], 0x81, "before", 6);
    n[7] += kit_frame(rows[7] + n[7], 0x89, "1", 1);
    n[7] += kit_frame(rows[7] + n[7], 0x8a, "3", 1);
    n[7] += kit_frame(rows[7] + n[7], 0x81, "text", 4);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char why[32];
        (void)snprintf(why, sizeof(why), "sequence %zu", i);
        EXPECT_INT(kit_split(NULL, true, rows[i], sizes[i]), SIZE_MAX, why);
        if (i != 3) { /* what is good of a text that fails has been handed over, as it came */
            EXPECT_INT(kit_split(parts, true, rows[i], sizes[i]), SIZE_MAX, why);
        }
    }
}

static int upgrade_parts(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)kit;
    (void)event;
    return gyr_upgrade(
        conn, &(struct gyr_upgrade){.size = sizeof(struct gyr_upgrade), .receive_parts = true});
}

static void parts(struct kit *kit)
{
    kit->hooks[KIT_REQUEST] = upgrade_parts;
}

static unsigned part_flags_seen;

static int part_flags(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)kit;
    (void)conn;
    part_flags_seen = part_flags_seen << 4 | event->flags | 8;
    return 0;
}

void session_ws_hands_over_parts_as_they_come(void)
{
    struct kit kit;
    kit_init(&kit);
    parts(&kit);
    kit.hooks[KIT_PART] = part_flags;
    kit_start(&kit);
    kit_open(&kit);
    uint8_t bytes[64];
    size_t size = kit_frame(bytes, 0x81, "Hello world", 11);
    part_flags_seen = 0;
    kit_input(&kit, bytes, 9);
    EXPECT_LOG(&kit, "text part Hel", "three bytes have come");
    kit_input(&kit, bytes + 9, 3);
    kit_input(&kit, bytes + 12, size - 12);
    EXPECT_LOG(&kit, "lo world last\n", "the rest");
    EXPECT_INT(part_flags_seen, 0x98a, "first, middle, last");
    EXPECT_INT(kit.core->heap_accounted, 0, "nothing is assembled");
    part_flags_seen = 0;
    KIT_FRAME(&kit, 0x82, "one");
    EXPECT_INT(part_flags_seen, 0xb, "first and last");
    part_flags_seen = 0;
    KIT_FRAME(&kit, 0x02, "one");
    KIT_FRAME(&kit, 0x80, "");
    EXPECT_INT(part_flags_seen, 0x9a, "an empty last part");
    part_flags_seen = 0;
    KIT_FRAME(&kit, 0x81, "");
    EXPECT_INT(part_flags_seen, 0xb, "an empty message has one part");
    KIT_FRAME(&kit, 0x81, "ab\xc3");
    EXPECT_OUTPUT(&kit, CLOSE_1007, "text is checked");
    kit_end(&kit);
}

void session_ws_answers_the_peers_close(void)
{
    struct kit kit;
    begin(&kit);
    uint8_t bytes[128];
    size_t size = kit_frame(bytes, 0x81, "last", 4);
    size += kit_frame(bytes + size, 0x88,
                      "\x0b\xb8"
                      "bye",
                      5);
    size += kit_frame(bytes + size, 0x81, "too late", 8);
    kit_input(&kit, bytes, size);
    EXPECT_OUTPUT(&kit, "\x81\x04last\x88\x02\x0b\xb8", "the echo, then a Close with its code");
    EXPECT_LOG(&kit, "text \"last\"\nclose 3000 bye\n", "and nothing after it");
    EXPECT(kit_is_ended(&kit) && !kit_is_closed(&kit), "the server ends its stream first");
    kit_end_of_stream(&kit);
    EXPECT(kit_is_closed(&kit) && !kit_is_reset(&kit), "then the peer");
    kit_open(&kit);
    KIT_FRAME(&kit, 0x88, "");
    EXPECT_OUTPUT(&kit, "\x88\x00", "a Close without code is answered without one");
    EXPECT_LOG(&kit, "close 1005\n", "RFC 6455 section 7.1.5");
    kit_end(&kit);
}

void session_ws_begins_the_closing_handshake_and_waits_for_the_answer(void)
{
    struct kit kit;
    begin(&kit);
    EXPECT_INT(gyr_close(kit_conn(&kit), 3001, GYR_SPAN("why")), 0, "begin");
    EXPECT_INT(gyr_close(kit_conn(&kit), 3001, GYR_SPAN("")), GYR_ERR_CLOSED, "once");
    EXPECT_INT(gyr_send(kit_conn(&kit), GYR_TEXT, GYR_SPAN("x")), GYR_ERR_CLOSED, "no more");
    EXPECT_INT(gyr_ping(kit_conn(&kit), GYR_SPAN("x")), GYR_ERR_CLOSED, "no more");
    kit_run(&kit);
    EXPECT_OUTPUT(&kit, "\x88\x05\x0b\xb9why", "our Close");
    KIT_FRAME(&kit, 0x81, "on its way");
    KIT_FRAME(&kit, 0x89, "ping");
    EXPECT_LOG(&kit, "", "no message after gyr_close");
    EXPECT(!kit_is_ended(&kit), "waits for the peer's Close");
    KIT_FRAME(&kit, 0x88, "\x0b\xb9");
    EXPECT_LOG(&kit, "close 3001\n", "what the peer has sent");
    EXPECT_OUTPUT(&kit, "", "its Close is the answer to ours");
    EXPECT(kit_is_ended(&kit), "over");
    kit_end(&kit);
}

void session_ws_ends_with_1006_when_the_peer_does_not_close(void)
{
    struct kit kit;
    begin(&kit);
    EXPECT_INT(gyr_close(kit_conn(&kit), 1000, GYR_SPAN("")), 0, "begin");
    kit_run(&kit);
    kit_advance(&kit, kit.config.close_timeout_ms - 1);
    EXPECT_LOG(&kit, "", "there is time left");
    kit_advance(&kit, 2);
    EXPECT_LOG(&kit, "close 1006\n", "time-out");
    EXPECT(kit_is_closed(&kit), "gone");
    kit_open(&kit);
    kit_end_of_stream(&kit);
    EXPECT_LOG(&kit, "close 1006\n", "end of the stream without Close");
    EXPECT(kit_is_closed(&kit), "gone");
    kit_open(&kit);
    kit_reset(&kit);
    EXPECT_LOG(&kit, "close 1006\n", "reset");
    EXPECT(kit_is_closed(&kit), "gone");
    kit_end(&kit);
}

void session_ws_checks_codes_and_cuts_reasons_of_gyr_close(void)
{
    static const uint16_t bad[] = {0, 999, 1004, 1006, 1015, 2999, 5000, 65535};
    struct kit kit;
    begin(&kit);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        EXPECT_INT(gyr_close(kit_conn(&kit), bad[i], GYR_SPAN("")), GYR_ERR_ARGUMENT, "code");
    }
    char reason[130];
    memset(reason, 'a', sizeof(reason));
    memcpy(reason + 121, "\xe2\x82\xac", 3);
    EXPECT_INT(gyr_close(kit_conn(&kit), 4000, (struct gyr_span){reason, 130}), 0, "long");
    kit_run(&kit);
    struct span out = kit_output(&kit);
    EXPECT_INT(out.size, 2 + 2 + 121, "cut before the character that does not fit");
    EXPECT(out.ptr[1] == 123 && memcmp(out.ptr + 4, reason, 121) == 0, "the rest as it was");
    kit_end(&kit);
}

void session_ws_closes_with_the_code_of_what_a_callback_returns(void)
{
    static const struct {
        int result;
        const char *close;
    } rows[] = {
        {GYR_ERR_STATE, CLOSE_1011},   {-5, CLOSE_1011},
        {GYR_ERR_LIMIT, CLOSE_1013},   {GYR_ERR_WS_UTF8, CLOSE_1007},
        {GYR_ERR_TIMEOUT, CLOSE_1001}, {-9999, CLOSE_1011},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        static const enum kit_call calls[] = {KIT_MESSAGE, KIT_OPEN, KIT_PART};
        for (size_t k = 0; k < COUNT_OF(calls); k++) {
            struct kit kit;
            kit_init(&kit);
            kit.hooks[KIT_REQUEST] = calls[k] == KIT_PART ? upgrade_parts : NULL;
            kit.acts[calls[k]] = KIT_FAIL;
            kit.fail_result = rows[i].result;
            kit_start(&kit);
            kit_connect(&kit);
            static const char UPGRADE[] = KIT_UPGRADE_WITH("");
            kit_input(&kit, UPGRADE, sizeof(UPGRADE) - 1);
            KIT_FRAME(&kit, 0x81, "1");
            KIT_FRAME(&kit, 0x81, "2");
            struct span out = kit_output(&kit);
            EXPECT(out.size > 4 && memcmp(out.ptr + out.size - 4, rows[i].close, 4) == 0, "Close");
            EXPECT_INT(kit.counts[calls[k]], 1, "called once");
            KIT_FRAME(&kit, 0x88, "\x03\xe8");
            EXPECT_INT(kit.counts[KIT_CLOSE], 1, "closed");
            kit_end(&kit);
        }
    }
}
