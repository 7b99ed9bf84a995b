/* SPDX-License-Identifier: MIT */
/* From frames to messages: fragments, interleaved control frames, size limit, UTF-8 (RFC 6455
 * sections 5.4, 5.5, 8.1). Pure state; the bytes live with the caller. */
#ifndef PROTO_WS_MESSAGE_H
#define PROTO_WS_MESSAGE_H

#include "proto/ws_frame.h"
#include "proto/ws_mask.h"

/* Zero is the state between messages. */
struct ws_message {
    uint64_t size; /* payload bytes of the message announced so far, the current frame included */
    struct ws_utf8 utf8; /* if opcode is text */
    uint8_t opcode;      /* WS_OPCODE_TEXT or _BINARY while a message is open, else 0 */
    bool fin;            /* the current data frame is the last */
    uint8_t rsv;         /* of the first frame */
};

/* Take the header of the next frame, data or control (RFC 6455 section 5.4). A control frame leaves
 * the state as it is. Returns 0; GYR_ERR_WS_FRAGMENT (continuation without message, new message
 * within a message, reserved bit on a continuation); GYR_ERR_WS_MESSAGE_SIZE if the message would
 * pass size_max (computed without overflow, before any memory is taken). */
MUST_CHECK int ws_message_frame(struct ws_message *message, const struct ws_frame *frame,
                                uint64_t size_max);

/* Unmask one piece of the current data frame's payload, from source to target (ws_mask.h says how
 * they may lie), and check it if it is text. Returns 0 or GYR_ERR_WS_UTF8. */
MUST_CHECK int ws_message_payload(struct ws_message *message, const struct ws_mask_ops *ops,
                                  uint8_t *target, const uint8_t *source, size_t size,
                                  uint32_t key);

/* The payload of the current frame is complete. Returns 0 if the message is complete, and resets
 * the state; NEED_MORE if fragments follow; GYR_ERR_WS_UTF8 if a text ends within a character. */
MUST_CHECK int ws_message_frame_end(struct ws_message *message);

#endif
