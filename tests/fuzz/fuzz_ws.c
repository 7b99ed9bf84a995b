/* SPDX-License-Identifier: MIT */
/* Fuzzes the WebSocket receive path: frame header, unmasking, messages, Close frames.
 *
 * The input is a stream of frames behind two bytes of options. It is taken once whole with the
 * portable code, and once in pieces with other SIMD levels and another place for the unmasked
 * bytes; both must record the same events (P1). After every piece of text the verdict is compared
 * with what simdjson says about the text so far and about every way it could go on. */
#include "base/simdjson_shim.h"
#include "proto/ws_close.h"
#include "proto/ws_message.h"

#include <stdlib.h>

#define RECORD_SIZE_MAX 65536
#define INPUT_SIZE_MAX  4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
    bool cuts; /* takes the stream in pieces */
    uint32_t random;
    size_t frame_size; /* bytes in `payload` */
    size_t text_size;  /* bytes in `text` */
    size_t record_size;
    uint8_t payload[INPUT_SIZE_MAX]; /* of the current frame */
    uint8_t text[INPUT_SIZE_MAX];    /* of the open message */
    uint8_t record[RECORD_SIZE_MAX];
};

static void session_feed(struct session *session, const uint8_t *bytes, size_t size);
static void session_header(struct session *session, uint8_t byte);
static void session_payload(struct session *session, const uint8_t *bytes, size_t size);
static void session_frame_end(struct session *session);
static void text_verdict_compare(const struct session *session, int status);
static bool text_may_begin(const uint8_t *text, size_t size);

static void record(struct session *session, const void *bytes, size_t size)
{
    ASSERT(session->record_size + size <= RECORD_SIZE_MAX);
    if (size > 0) {
        memcpy(session->record + session->record_size, bytes, size);
    }
    session->record_size += size;
}

static void record_int(struct session *session, int64_t value)
{
    record(session, &value, sizeof(value));
}

static uint32_t random_next(struct session *session)
{
    session->random = session->random * 1664525 + 1013904223;
    return session->random >> 16;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t size_limits[] = {16, 300, 70000, UINT64_MAX};
    static struct session whole;
    static struct session pieces;
    if (size < 2 || size > INPUT_SIZE_MAX) {
        return 0;
    }
    whole = (struct session){.size_max = size_limits[data[0] & 3],
                             .rsv_allowed = (data[0] & 4) != 0 ? WS_RSV1 : 0};
    pieces = whole;
    pieces.cuts = true;
    pieces.random = data[1];
    session_feed(&whole, data + 2, size - 2);
    session_feed(&pieces, data + 2, size - 2);
    ASSERT(whole.status == pieces.status);
    ASSERT(span_equal(span_of(whole.record, whole.record_size),
                      span_of(pieces.record, pieces.record_size)));
    return 0;
}

static void session_feed(struct session *session, const uint8_t *bytes, size_t size)
{
    while (size > 0 && session->status == 0) {
        size_t piece_max = session->cuts ? 1 + random_next(session) % 40 : size;
        size_t taken = 1;
        if (session->in_payload) {
            uint64_t missing = session->frame.payload_size - session->payload_done;
            taken = (size_t)MIN((uint64_t)MIN(size, piece_max), missing);
            session_payload(session, bytes, taken);
        } else {
            session_header(session, *bytes);
        }
        bytes += taken;
        size -= taken;
    }
    /* What has come of a frame that is not complete. After a failure it depends on the pieces. */
    if (session->status == 0) {
        record_int(session, (int64_t)session->payload_done);
        record(session, session->payload, session->frame_size);
    }
}

/* Headers are collected byte by byte; a parser that sees the whole must come to the same. */
static void session_header(struct session *session, uint8_t byte)
{
    session->header[session->header_size++] = byte;
    uint8_t *exact = malloc(session->header_size);
    ASSERT(exact != NULL);
    memcpy(exact, session->header, session->header_size);
    int status = ws_frame_parse(&session->frame, session->rsv_allowed, exact, session->header_size);
    free(exact);
    if (status == NEED_MORE) {
        ASSERT(session->header_size < WS_CLIENT_HEADER_SIZE_MAX);
        return;
    }
    if (status == 0) {
        ASSERT(session->frame.header_size == session->header_size);
        status = ws_message_frame(&session->message, &session->frame, session->size_max);
    }
    record_int(session, status);
    session->status = status;
    if (status != 0) {
        return;
    }
    record(session, session->header, session->header_size);
    session->in_payload = true;
    session->payload_done = 0;
    session->frame_size = 0;
    if (session->frame.payload_size == 0) {
        session_frame_end(session);
    }
}

/* Unmask into memory of exactly the size, as far below the source as the random number says. */
static void session_payload(struct session *session, const uint8_t *bytes, size_t size)
{
    enum simd_level level = SIMD_PORTABLE;
    size_t distance = 0;
    if (session->cuts) {
        level = (enum simd_level)(random_next(session) % (simd_detect() + 1));
        distance = random_next(session) % 70;
    }
    const struct ws_mask_ops *ops = ws_mask_ops(level);
    uint32_t key = ws_mask_advance(session->frame.masking_key, session->payload_done);
    uint8_t *target = malloc(size + distance);
    ASSERT(target != NULL);
    memcpy(target + distance, bytes, size);
    int status = 0;
    if (ws_opcode_is_control(session->frame.opcode)) {
        ops->unmask(target, target + distance, size, key);
    } else {
        status = ws_message_payload(&session->message, ops, target, target + distance, size, key);
        memcpy(session->text + session->text_size, target, size);
        session->text_size += size;
        text_verdict_compare(session, status);
    }
    memcpy(session->payload + session->frame_size, target, size);
    free(target);
    session->frame_size += size;
    session->payload_done += size;
    if (status != 0) {
        record_int(session, status);
        session->status = status;
    } else if (session->payload_done == session->frame.payload_size) {
        session_frame_end(session);
    }
}

static void session_frame_end(struct session *session)
{
    struct span payload = span_of(session->payload, session->frame_size);
    session->in_payload = false;
    session->header_size = 0;
    record(session, payload.ptr, payload.size);
    session->frame_size = 0;
    session->payload_done = 0;
    if (session->frame.opcode == WS_OPCODE_CLOSE) {
        uint16_t close_code = 0;
        struct span reason = {0};
        record_int(session, ws_close_parse(payload, &close_code, &reason));
        record_int(session, close_code);
        ASSERT(reason.size == 0 || simdjson_shim_utf8_is_valid(reason.ptr, reason.size));
    }
    if (ws_opcode_is_control(session->frame.opcode)) {
        return;
    }
    bool is_text = session->message.opcode == WS_OPCODE_TEXT && session->message.rsv == 0;
    int status = ws_message_frame_end(&session->message);
    record_int(session, status);
    if (status == NEED_MORE) {
        return;
    }
    if (is_text) {
        bool valid = simdjson_shim_utf8_is_valid(session->text, session->text_size);
        ASSERT(valid == (status == 0));
    }
    session->status = status;
    session->text_size = 0;
}

static void text_verdict_compare(const struct session *session, int status)
{
    if (session->message.opcode == WS_OPCODE_TEXT && session->message.rsv == 0) {
        ASSERT((status == 0) == text_may_begin(session->text, session->text_size));
    } else {
        ASSERT(status == 0);
    }
}

/* Could a valid text begin with these bytes? Asks simdjson about all completions of the last three
 * bytes that stand at an edge of some range. */
static bool text_may_begin(const uint8_t *text, size_t size)
{
    static const uint8_t edges[] = {0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf};
    if (simdjson_shim_utf8_is_valid(text, size)) {
        return true;
    }
    for (size_t open = 1; open <= 3 && open <= size; open++) {
        if (!simdjson_shim_utf8_is_valid(text, size - open)) {
            continue;
        }
        uint8_t character[6];
        memcpy(character, text + size - open, open);
        for (size_t i = 0; i < COUNT_OF(edges); i++) {
            character[open] = edges[i];
            character[open + 1] = 0x80;
            character[open + 2] = 0x80;
            for (size_t more = 1; more <= 3; more++) {
                if (simdjson_shim_utf8_is_valid(character, open + more)) {
                    return true;
                }
            }
        }
    }
    return false;
}
