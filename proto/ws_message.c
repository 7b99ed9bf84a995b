/* SPDX-License-Identifier: MIT */
/* Puts frames together to messages (RFC 6455 sections 5.4 and 8.1). Journey: hop 5.
 *
 *            ws_message_frame (text, binary)         ws_message_frame_end, fin
 *     CLOSED --------------------------------> OPEN --------------------------> CLOSED
 *                                              |  ^
 *                                              +--+ ws_message_frame (continuation),
 *                                                   ws_message_frame_end without fin
 *
 * OPEN is opcode != 0. Control frames may come at any time and change nothing. */
#include "proto/ws_message.h"

int ws_message_frame(struct ws_message *message, const struct ws_frame *frame, uint64_t size_max)
{
    if (UNLIKELY(ws_opcode_is_control(frame->opcode))) {
        return 0;
    }
    bool is_first = frame->opcode != WS_OPCODE_CONTINUATION;
    bool is_open = message->opcode != 0;
    if (UNLIKELY(is_first == is_open)) {
        return GYR_ERR_WS_FRAGMENT;
    }
    if (UNLIKELY(!is_first && frame->rsv != 0)) {
        return GYR_ERR_WS_FRAGMENT;
    }
    /* message->size is zero for a first frame. The limit may have been lowered meanwhile, so that
     * the difference alone could wrap. */
    if (UNLIKELY(message->size > size_max || frame->payload_size > size_max - message->size)) {
        return GYR_ERR_WS_MESSAGE_SIZE;
    }
    message->size += frame->payload_size;
    message->fin = frame->fin;
    if (is_first) {
        message->opcode = frame->opcode;
        message->rsv = frame->rsv;
    }
    return 0;
}

int ws_message_payload(struct ws_message *message, const struct ws_mask_ops *ops, uint8_t *target,
                       const uint8_t *source, size_t size, uint32_t key)
{
    ASSERT(message->opcode != 0);
    /* With RSV1 these bytes are compressed (RFC 7692 section 6); the text is checked by whoever
     * inflates it, on the same message->utf8, so that ws_message_frame_end still sees its end. */
    if (message->opcode == WS_OPCODE_TEXT && LIKELY(message->rsv == 0)) {
        return ws_unmask_text(ops, &message->utf8, target, source, size, key);
    }
    ops->unmask(target, source, size, key);
    return 0;
}

int ws_message_frame_end(struct ws_message *message)
{
    ASSERT(message->opcode != 0);
    if (!message->fin) {
        return NEED_MORE;
    }
    if (UNLIKELY(!ws_utf8_is_complete(&message->utf8))) {
        return GYR_ERR_WS_UTF8;
    }
    *message = (struct ws_message){0};
    return 0;
}
