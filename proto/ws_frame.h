/* SPDX-License-Identifier: MIT */
/* The frame header of WebSocket (RFC 6455 section 5.2): parsed as the server receives it, masked,
 * and written as the server sends it, unmasked. */
#ifndef PROTO_WS_FRAME_H
#define PROTO_WS_FRAME_H

#include "base/base.h"

enum ws_opcode { /* RFC 6455 section 11.8 */
    WS_OPCODE_CONTINUATION = 0x0,
    WS_OPCODE_TEXT = 0x1,
    WS_OPCODE_BINARY = 0x2,
    WS_OPCODE_CLOSE = 0x8,
    WS_OPCODE_PING = 0x9,
    WS_OPCODE_PONG = 0xa,
};

#define WS_RSV1                   0x40
#define WS_CONTROL_SIZE_MAX       125 /* payload of a control frame, RFC 6455 section 5.5 */
#define WS_CLIENT_HEADER_SIZE_MAX 14  /* 2 + 8 + masking key */
#define WS_SERVER_HEADER_SIZE_MAX 10

struct ws_frame {
    uint64_t payload_size;
    uint32_t masking_key; /* in memory order: the first key byte is the first byte of the integer */
    uint8_t opcode;
    bool fin;
    uint8_t rsv;         /* the three reserved bits where they stand in the first byte */
    uint8_t header_size; /* 6 to 14 */
};

static inline bool ws_opcode_is_control(uint8_t opcode)
{
    return (opcode & 0x8) != 0;
}

/* Parse one header as a client must send it.
 *
 *   rsv_allowed  reserved bits that an extension has agreed on: 0 or WS_RSV1
 *
 * Returns 0; NEED_MORE if the header is not complete (an error in the bytes so far is found at
 * once, so a bad first byte never waits for a second); GYR_ERR_WS_RESERVED_BIT, _OPCODE, _UNMASKED,
 * _CONTROL, _LENGTH. A length with the top bit set is GYR_ERR_WS_LENGTH. */
MUST_CHECK int ws_frame_parse(struct ws_frame *frame, uint8_t rsv_allowed, const uint8_t *bytes,
                              size_t size) READS(3, 4);

#define WS_MESSAGE_HEADER_MIN 6

/* The size of a header that begins a message of one frame below 64 KB, and of its payload; 0 for
 * any other header, good or bad: ws_frame_parse is the judge. At least WS_MESSAGE_HEADER_MIN bytes.
 * For the inner loop of a receiver. */
static inline size_t ws_message_header(const uint8_t *bytes, size_t size, size_t *payload_size)
{
    /* FIN, no reserved bits, text or binary. */
    if (UNLIKELY((uint8_t)(bytes[0] - 0x81) > 1)) {
        return 0;
    }
    *payload_size = bytes[1] ^ 0x80U; /* without the mask bit it is 128 and more */
    if (LIKELY(*payload_size <= 125)) {
        return 6;
    }
    if (*payload_size != 126 || size < 8) {
        return 0;
    }
    *payload_size = load_be16(bytes + 2);
    return *payload_size < 126 ? 0 : 8;
}

/* Size of the header the server writes before a payload: 2, 4 or 10. Never larger than the header
 * of the masked frame with the same payload. */
static inline size_t ws_frame_header_size(uint64_t payload_size)
{
    return payload_size <= 125 ? 2 : payload_size <= 0xffff ? 4 : 10;
}

/* Write a header of ws_frame_header_size(payload_size) bytes; returns that size. */
size_t ws_frame_write_header(uint8_t *bytes, enum ws_opcode opcode, bool fin, uint8_t rsv,
                             uint64_t payload_size);

#endif
