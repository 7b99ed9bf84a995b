/* SPDX-License-Identifier: MIT */
/* Parses and writes the frame header (RFC 6455 section 5.2). Journey: hop 4 in, hop 12 out.
 *
 * Nearly every frame of a busy server is a data frame of at most 125 bytes whose header lies whole
 * in the buffer. That case is three comparisons in ws_frame_parse, small enough to be inlined into
 * the receive loop; everything else is judged byte by byte, in the order of the bytes, so that the
 * verdict does not depend on how many of them have come (P1). */
#include "proto/ws_frame.h"

#define FIN_BIT     0x80
#define RSV_BITS    0x70
#define OPCODE_BITS 0x0f
#define CONTROL_BIT 0x08
#define MASK_BIT    0x80
#define LENGTH_BITS 0x7f
#define LENGTH_16   126 /* the length is in the next two bytes */
#define LENGTH_64   127 /* the length is in the next eight bytes */
#define KEY_SIZE    4

static int first_byte_check(uint8_t first, uint8_t rsv_allowed);
static int second_byte_check(uint8_t first, uint8_t second);
static int length_parse(uint64_t *payload_size, const uint8_t *bytes, size_t size);
static int parse_slow(struct ws_frame *frame, uint8_t rsv_allowed, const uint8_t *bytes,
                      size_t size);

static inline void frame_fill(struct ws_frame *frame, const uint8_t *bytes, uint64_t payload_size,
                              size_t key_at)
{
    frame->payload_size = payload_size;
    memcpy(&frame->masking_key, bytes + key_at, KEY_SIZE);
    frame->opcode = bytes[0] & OPCODE_BITS;
    frame->fin = (bytes[0] & FIN_BIT) != 0;
    frame->rsv = bytes[0] & RSV_BITS;
    frame->header_size = (uint8_t)(key_at + KEY_SIZE);
}

int ws_frame_parse(struct ws_frame *frame, uint8_t rsv_allowed, const uint8_t *bytes, size_t size)
{
    /* Without fin and the allowed reserved bits, the first byte of a good data frame is 0 to 2: any
     * reserved bit, the control bit and opcodes 3 to 7 all make it larger. A missing mask bit wraps
     * the length round to 128 and more. */
    if (LIKELY(size >= 2 + KEY_SIZE) &&
        LIKELY((bytes[0] & (RSV_BITS | OPCODE_BITS) & ~rsv_allowed) <= WS_OPCODE_BINARY) &&
        LIKELY((uint8_t)(bytes[1] - MASK_BIT) < LENGTH_16)) {
        frame_fill(frame, bytes, (uint64_t)(bytes[1] - MASK_BIT), 2);
        return 0;
    }
    return parse_slow(frame, rsv_allowed, bytes, size);
}

/* Any header, complete or not. Out of line, so that the inlined part stays small. */
__attribute__((noinline)) static int parse_slow(struct ws_frame *frame, uint8_t rsv_allowed,
                                                const uint8_t *bytes, size_t size)
{
    ASSERT((rsv_allowed & ~RSV_BITS) == 0);
    if (size < 1) {
        return NEED_MORE;
    }
    int status = first_byte_check(bytes[0], rsv_allowed);
    if (status != 0) {
        return status;
    }
    if (size < 2) {
        return NEED_MORE;
    }
    status = second_byte_check(bytes[0], bytes[1]);
    if (status != 0) {
        return status;
    }
    uint64_t payload_size = bytes[1] & LENGTH_BITS;
    size_t key_at = 2;
    if (payload_size >= LENGTH_16) {
        key_at = payload_size == LENGTH_16 ? 4 : 10;
        status = length_parse(&payload_size, bytes, size);
        if (status != 0) {
            return status;
        }
    }
    if (size < key_at + KEY_SIZE) {
        return NEED_MORE;
    }
    frame_fill(frame, bytes, payload_size, key_at);
    return 0;
}

static int first_byte_check(uint8_t first, uint8_t rsv_allowed)
{
    static const uint16_t opcodes_known = 1u << WS_OPCODE_CONTINUATION | 1u << WS_OPCODE_TEXT |
                                          1u << WS_OPCODE_BINARY | 1u << WS_OPCODE_CLOSE |
                                          1u << WS_OPCODE_PING | 1u << WS_OPCODE_PONG;
    bool control = (first & CONTROL_BIT) != 0;

    /* What extensions agree on is for data frames (RFC 7692 section 6.1). */
    if ((first & RSV_BITS & ~(control ? 0u : rsv_allowed)) != 0) {
        return GYR_ERR_WS_RESERVED_BIT;
    }
    if ((opcodes_known >> (first & OPCODE_BITS) & 1) == 0) {
        return GYR_ERR_WS_OPCODE;
    }
    if (control && (first & FIN_BIT) == 0) {
        return GYR_ERR_WS_CONTROL;
    }
    return 0;
}

static int second_byte_check(uint8_t first, uint8_t second)
{
    if ((second & MASK_BIT) == 0) {
        return GYR_ERR_WS_UNMASKED;
    }
    if ((first & CONTROL_BIT) != 0 && (second & LENGTH_BITS) > WS_CONTROL_SIZE_MAX) {
        return GYR_ERR_WS_CONTROL;
    }
    return 0;
}

/* The longer lengths. Too small a number, or the top bit, is found with the byte that proves it. */
static int length_parse(uint64_t *payload_size, const uint8_t *bytes, size_t size)
{
    if ((bytes[1] & LENGTH_BITS) == LENGTH_16) {
        if (size < 4) {
            return NEED_MORE;
        }
        *payload_size = load_be16(bytes + 2);
        return *payload_size < LENGTH_16 ? GYR_ERR_WS_LENGTH : 0;
    }
    if (size > 2 && (bytes[2] & 0x80) != 0) {
        return GYR_ERR_WS_LENGTH;
    }
    /* 65536 or more has a bit in its upper six bytes. */
    if (size >= 8 && (bytes[2] | bytes[3] | bytes[4] | bytes[5] | bytes[6] | bytes[7]) == 0) {
        return GYR_ERR_WS_LENGTH;
    }
    if (size < 10) {
        return NEED_MORE;
    }
    *payload_size = load_be64(bytes + 2);
    return 0;
}

size_t ws_frame_write_header(uint8_t *bytes, enum ws_opcode opcode, bool fin, uint8_t rsv,
                             uint64_t payload_size)
{
    ASSERT(payload_size <= INT64_MAX);
    bytes[0] = (uint8_t)((fin ? FIN_BIT : 0) | rsv | (uint8_t)opcode);
    if (LIKELY(payload_size < LENGTH_16)) {
        bytes[1] = (uint8_t)payload_size;
        return 2;
    }
    if (payload_size <= UINT16_MAX) {
        bytes[1] = LENGTH_16;
        store_be16(bytes + 2, (uint16_t)payload_size);
        return 4;
    }
    bytes[1] = LENGTH_64;
    store_be64(bytes + 2, payload_size);
    return 10;
}
