/* SPDX-License-Identifier: MIT */
/* Messages out of frames (RFC 6455 sections 5.4, 5.5 and 8.1). Byte streams run through header
 * parser and message state as a session would do it, whole and cut at every byte, and must always
 * tell the same story (P1). */
#include "proto/ws_message.h"
#include "tests/parser_kit.h"

#include <stdio.h>
#include <stdlib.h>

#define STREAM_SIZE_MAX 1024
#define STORY_SIZE_MAX  4096
#define KEY             UINT32_C(0x80a1f35c)

/* The smallest session: collects a header, unmasks payload as it comes, writes all down. */
struct session {
    struct ws_message message;
    struct ws_frame frame;
    uint8_t header[WS_CLIENT_HEADER_SIZE_MAX];
    size_t header_size;
    uint64_t payload_done;
    uint64_t size_max;
    uint8_t rsv_allowed;
    bool in_payload;
    int status;
    size_t story_size;
    char story[STORY_SIZE_MAX];
};

static void tell(struct session *session, const void *bytes, size_t size)
{
    if (session->story_size + size >= sizeof(session->story)) {
        abort();
    }
    if (size > 0) {
        memcpy(session->story + session->story_size, bytes, size);
    }
    session->story_size += size;
}

static void tell_text(struct session *session, const char *text)
{
    tell(session, text, strlen(text));
}

static void session_fail(struct session *session, int status)
{
    char text[32];
    snprintf(text, sizeof(text), "!%d", status);
    tell_text(session, text);
    session->status = status;
}

static void session_frame_end(struct session *session)
{
    session->in_payload = false;
    session->header_size = 0;
    if (ws_opcode_is_control(session->frame.opcode)) {
        tell_text(session, ")");
        return;
    }
    int status = ws_message_frame_end(&session->message);
    if (status < 0) {
        session_fail(session, status);
        return;
    }
    tell_text(session, status == 0 ? "." : "-");
}

/* Returns the bytes taken. */
static size_t session_header(struct session *session, const uint8_t *bytes, size_t size)
{
    size_t taken = MIN(size, (size_t)1);
    memcpy(session->header + session->header_size, bytes, taken);
    session->header_size += taken;
    int status = ws_frame_parse(&session->frame, session->rsv_allowed, session->header,
                                session->header_size);
    if (status == NEED_MORE) {
        return taken;
    }
    if (status == 0) {
        status = ws_message_frame(&session->message, &session->frame, session->size_max);
    }
    if (status != 0) {
        session_fail(session, status);
        return taken;
    }
    static const char *const opening[16] = {
        [0] = "c:", [1] = "t:", [2] = "b:", [8] = "close(", [9] = "ping(", [10] = "pong("};
    tell_text(session, opening[session->frame.opcode]);
    session->in_payload = true;
    session->payload_done = 0;
    if (session->frame.payload_size == 0) {
        session_frame_end(session);
    }
    return taken;
}

static size_t session_payload(struct session *session, uint8_t *bytes, size_t size)
{
    const struct ws_mask_ops *ops = ws_mask_ops(simd_detect());
    struct ws_frame *frame = &session->frame;
    size_t taken = (size_t)MIN((uint64_t)size, frame->payload_size - session->payload_done);
    uint32_t key = ws_mask_advance(frame->masking_key, session->payload_done);
    int status = 0;
    if (ws_opcode_is_control(frame->opcode)) {
        ops->unmask(bytes, bytes, taken, key);
    } else {
        status = ws_message_payload(&session->message, ops, bytes, bytes, taken, key);
    }
    if (status != 0) {
        session_fail(session, status);
        return taken;
    }
    tell(session, bytes, taken);
    session->payload_done += taken;
    if (session->payload_done == frame->payload_size) {
        session_frame_end(session);
    }
    return taken;
}

static void session_feed(struct session *session, uint8_t *bytes, size_t size)
{
    while (size > 0 && session->status == 0) {
        size_t taken = session->in_payload ? session_payload(session, bytes, size)
                                           : session_header(session, bytes, size);
        bytes += taken;
        size -= taken;
    }
}

/* Makes a stream: "t" text, "b" binary, "c" continuation, "k" close, "i" ping, "o" pong; a capital
 * letter leaves fin away; "*" before it sets RSV1. The payload stands between letter and ';'. */
static size_t stream_make(const char *plan, size_t plan_size, uint8_t *stream)
{
    static const char letters[] = "ctb.....kio";
    size_t size = 0;
    size_t at = 0;
    while (at < plan_size) {
        uint8_t rsv = plan[at] == '*' ? WS_RSV1 : 0;
        at += rsv != 0;
        const char *letter = memchr(letters, plan[at] | 0x20, sizeof(letters) - 1);
        const char *end = memchr(plan + at, ';', plan_size - at);
        if (letter == NULL || end == NULL) {
            abort();
        }
        size_t payload_size = (size_t)(end - (plan + at + 1));
        size_t header_at = size;
        size += ws_frame_write_header(stream + size, (enum ws_opcode)(letter - letters),
                                      (plan[at] & 0x20) != 0, rsv, payload_size);
        stream[header_at + 1] |= 0x80;
        uint32_t key = KEY;
        memcpy(stream + size, &key, sizeof(key));
        size += sizeof(key);
        ws_mask_ops(SIMD_PORTABLE)
            ->unmask(stream + size, (const uint8_t *)plan + at + 1, payload_size, key);
        size += payload_size;
        at += payload_size + 2;
    }
    return size;
}

struct expectation {
    const char *why;
    const char *story;
    uint64_t size_max;
    bool fails_in_payload; /* how much was told before the failure depends on the pieces */
    uint8_t rsv_allowed;
};

static void session_run(void *ctx, const struct piece *pieces, size_t piece_count)
{
    const struct expectation *expected = ctx;
    static struct session session;
    session =
        (struct session){.size_max = expected->size_max, .rsv_allowed = expected->rsv_allowed};
    for (size_t i = 0; i < piece_count; i++) {
        session_feed(&session, pieces[i].ptr, pieces[i].size);
    }
    const char *story = session.story;
    size_t size = session.story_size;
    if (expected->fails_in_payload) {
        /* Valid bytes of the failing piece are told or not, as it was cut; what came before and the
         * failure are the same. */
        size_t end_size = strlen(expected->story);
        EXPECT(size >= end_size, expected->why);
        story += size - MIN(size, end_size);
        size = MIN(size, end_size);
    }
    EXPECT_SPAN(span_of(story, size), expected->story, expected->why);
}

struct story_row {
    const char *why;
    struct span plan;
    const char *story;
};
#define ROW(why, plan, story)                                 \
    {                                                         \
        why, {(const uint8_t *)plan, sizeof(plan) - 1}, story \
    }

static void rows_run(const struct story_row *rows, size_t row_count, struct expectation expected)
{
    for (size_t i = 0; i < row_count; i++) {
        uint8_t stream[STREAM_SIZE_MAX];
        size_t size = stream_make((const char *)rows[i].plan.ptr, rows[i].plan.size, stream);
        expected.why = rows[i].why;
        expected.story = rows[i].story;
        split_at_every_byte(span_of(stream, size), session_run, &expected);
    }
}

void ws_message_puts_fragments_together(void)
{
    static const struct story_row rows[] = {
        ROW("one text", "tHello;", "t:Hello."),
        ROW("one binary", "b\xff\xfe;", "b:\xff\xfe."),
        ROW("two texts", "tone;ttwo;", "t:one.t:two."),
        ROW("empty text", "t;", "t:."),
        ROW("empty binary", "b;tx;", "b:.t:x."),
        ROW("section 5.7: Hel, lo", "THel;clo;", "t:Hel-c:lo."),
        ROW("three fragments", "Bab;Ccd;cef;", "b:ab-c:cd-c:ef."),
        ROW("empty fragments", "T;C;c;", "t:-c:-c:."),
        ROW("only the last has bytes", "T;C;cx;", "t:-c:-c:x."),
        ROW("ping between fragments", "THel;iping;clo;", "t:Hel-ping(ping)c:lo."),
        ROW("pong and ping between", "Ba;o;ix;cb;", "b:a-pong()ping(x)c:b."),
        ROW("close within a message", "Ta;k\x03\xe8;", "t:a-close(\x03\xe8)"),
        ROW("control frames alone", "i;o1;k;", "ping()pong(1)close()"),
        ROW("a message after a fragmented one", "Ta;cb;bc;", "t:a-c:b.b:c."),
        ROW("text after binary", "b\xff;t\xc3\xa9;", "b:\xff.t:\xc3\xa9."),
        ROW("control payload is not text", "Ta;i\xff\xff;cb;", "t:a-ping(\xff\xff)c:b."),
    };
    rows_run(rows, COUNT_OF(rows), (struct expectation){.size_max = 100});
}

void ws_message_rejects_fragments_out_of_order(void)
{
    static const struct story_row rows[] = {
        ROW("continuation first", "cx;", "!-5206"),
        ROW("continuation without fin first", "Cx;", "!-5206"),
        ROW("continuation after a whole message", "ta;cb;", "t:a.!-5206"),
        ROW("continuation after the last fragment", "Ta;cb;cc;", "t:a-c:b.!-5206"),
        ROW("text within text", "Ta;tb;", "t:a-!-5206"),
        ROW("text without fin within text", "Ta;Tb;", "t:a-!-5206"),
        ROW("binary within text", "Ta;bb;", "t:a-!-5206"),
        ROW("text within binary, after a ping", "Ba;i;tb;", "b:a-ping()!-5206"),
        ROW("continuation after a ping alone", "i;cb;", "ping()!-5206"),
        ROW("text within an empty message", "T;t;", "t:-!-5206"),
    };
    rows_run(rows, COUNT_OF(rows), (struct expectation){.size_max = 100});
}

void ws_message_takes_rsv1_on_the_first_fragment_only(void)
{
    static const struct story_row rows[] = {
        ROW("compressed text is not checked", "*t\xff\xff;", "t:\xff\xff."),
        ROW("compressed fragments", "*T\xff;Ci;c\xc3;", "t:\xff-c:i-c:\xc3."),
        ROW("plain after compressed", "*t\xff;t\xc3\xa9;", "t:\xff.t:\xc3\xa9."),
        ROW("RSV1 on a continuation", "*Ta;*cb;", "t:a-!-5206"),
        ROW("RSV1 on a continuation of plain text", "Ta;*cb;", "t:a-!-5206"),
        ROW("RSV1 on a ping", "*Ta;*i;", "t:a-!-5201"),
    };
    rows_run(rows, COUNT_OF(rows), (struct expectation){.size_max = 100, .rsv_allowed = WS_RSV1});
}

void ws_message_checks_text_across_fragments(void)
{
    static const struct story_row good[] = {
        ROW("cut within a character", "T\xe2;C\x82;c\xac;", "t:\xe2-c:\x82-c:\xac."),
        ROW("ping within a character", "T\xc3;i\xff;c\xa9;", "t:\xc3-ping(\xff)c:\xa9."),
        ROW("empty fragment within a character", "T\xf0\x9f;C;c\x98\x80;",
            "t:\xf0\x9f-c:-c:\x98\x80."),
        ROW("Autobahn 6.2: kosme", "t\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5;",
            "t:\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5."),
        ROW("U+10FFFF", "t\xf4\x8f\xbf\xbf;", "t:\xf4\x8f\xbf\xbf."),
    };
    rows_run(good, COUNT_OF(good), (struct expectation){.size_max = 100});

    static const struct story_row bad[] = {
        ROW("text ends within a character", "t\xe2\x82;", "!-5207"),
        ROW("text ends within a character, fragments", "Ta\xc3;c;", "-c:!-5207"),
        ROW("bad byte", "tab\xff;", "!-5207"),
        ROW("bad byte in a later fragment", "Tab;cc\xff;", "!-5207"),
        ROW("Autobahn 6.4.1: fails before the last fragment", "T\xce\xba;C\xf4\x90\x80\x80;cx;",
            "!-5207"),
        ROW("a character broken by the next fragment", "T\xe2\x82;cx;", "-c:!-5207"),
        ROW("surrogate", "t\xed\xa0\x80;", "!-5207"),
        ROW("a second message", "tok;t\xc0\xaf;", "t:ok.t:!-5207"),
    };
    rows_run(bad, COUNT_OF(bad), (struct expectation){.size_max = 100, .fails_in_payload = true});
}

void ws_message_limits_the_size_of_a_message(void)
{
    static const struct story_row rows[] = {
        ROW("just fits", "b12345678;", "b:12345678."),
        ROW("one too many", "b123456789;", "!-5208"),
        ROW("just fits in fragments", "B1234;c5678;", "b:1234-c:5678."),
        ROW("one too many in fragments", "B1234;c56789;", "b:1234-!-5208"),
        ROW("many small fragments", "T12;C34;C56;C78;c9;", "t:12-c:34-c:56-c:78-!-5208"),
        ROW("each message anew", "b12345678;b12345678;", "b:12345678.b:12345678."),
        ROW("control frames do not count", "B12345678;i12345678;c;",
            "b:12345678-ping(12345678)c:."),
        ROW("a control frame may be larger", "i123456789;", "ping(123456789)"),
    };
    rows_run(rows, COUNT_OF(rows), (struct expectation){.size_max = 8});
}

static struct ws_frame data_frame(uint8_t opcode, bool fin, uint64_t payload_size)
{
    return (struct ws_frame){.opcode = opcode, .fin = fin, .payload_size = payload_size};
}

static bool is_same(const struct ws_message *a, const struct ws_message *b)
{
    return a->size == b->size && a->opcode == b->opcode && a->fin == b->fin && a->rsv == b->rsv &&
           a->utf8.pending_size == b->utf8.pending_size;
}

void ws_message_frame_does_not_overflow(void)
{
    struct ws_message message = {0};
    struct ws_frame frame = data_frame(WS_OPCODE_BINARY, false, INT64_MAX);
    EXPECT_INT(ws_message_frame(&message, &frame, UINT64_MAX), 0, "2^63 - 1");
    frame = data_frame(WS_OPCODE_CONTINUATION, false, INT64_MAX);
    EXPECT_INT(ws_message_frame(&message, &frame, UINT64_MAX), 0, "2^64 - 2");
    frame = data_frame(WS_OPCODE_CONTINUATION, false, 1);
    EXPECT_INT(ws_message_frame(&message, &frame, UINT64_MAX), 0, "2^64 - 1");
    frame = data_frame(WS_OPCODE_CONTINUATION, true, 1);
    EXPECT_INT(ws_message_frame(&message, &frame, UINT64_MAX), GYR_ERR_WS_MESSAGE_SIZE, "2^64");
    EXPECT(message.size == UINT64_MAX, "a failing call changes nothing");
}

void ws_message_frame_bears_a_limit_that_sinks(void)
{
    struct ws_message message = {0};
    struct ws_frame frame = data_frame(WS_OPCODE_BINARY, false, 100);
    EXPECT_INT(ws_message_frame(&message, &frame, 100), 0, "limit 100");
    frame = data_frame(WS_OPCODE_CONTINUATION, true, 0);
    EXPECT_INT(ws_message_frame(&message, &frame, 50), GYR_ERR_WS_MESSAGE_SIZE, "limit 50");
    EXPECT_INT(ws_message_frame(&message, &frame, 100), 0, "limit 100 again");
}

void ws_message_frame_that_fails_changes_nothing(void)
{
    struct ws_message message = {0};
    struct ws_message before = message;
    struct ws_frame frame = data_frame(WS_OPCODE_TEXT, true, 11);
    EXPECT_INT(ws_message_frame(&message, &frame, 10), GYR_ERR_WS_MESSAGE_SIZE, "too big");
    EXPECT(is_same(&message, &before), "too big");
    frame = data_frame(WS_OPCODE_CONTINUATION, true, 1);
    EXPECT_INT(ws_message_frame(&message, &frame, 10), GYR_ERR_WS_FRAGMENT, "out of order");
    EXPECT(is_same(&message, &before), "out of order");
}

void ws_message_is_zero_between_messages(void)
{
    struct ws_message message = {0};
    struct ws_message zero = {0};
    struct ws_frame frame = data_frame(WS_OPCODE_TEXT, true, 3);
    uint8_t bytes[3] = {'a', 'b', 'c'};
    EXPECT_INT(ws_message_frame(&message, &frame, 10), 0, "header");
    EXPECT_INT(message.opcode, WS_OPCODE_TEXT, "open");
    EXPECT_INT(ws_message_payload(&message, ws_mask_ops(SIMD_PORTABLE), bytes, bytes, 3, 0), 0,
               "payload");
    EXPECT_INT(ws_message_frame_end(&message), 0, "end");
    EXPECT(is_same(&message, &zero), "closed");
}
