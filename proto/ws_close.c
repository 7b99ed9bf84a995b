/* SPDX-License-Identifier: MIT */
/* Takes Close frames apart and writes them (RFC 6455 sections 5.5.1 and 7.4). */
#include "proto/ws_close.h"

#include "proto/ws_frame.h"
#include "proto/ws_mask.h"

#define CODE_SIZE 2
static_assert(CODE_SIZE + WS_CLOSE_REASON_SIZE_MAX == WS_CONTROL_SIZE_MAX, "a full Close frame");

bool ws_close_code_is_valid(unsigned close_code)
{
    /* 1004 is reserved; 1005, 1006 and 1015 are for reports and never travel. */
    return (close_code >= 1000 && close_code <= 1003) ||
           (close_code >= 1007 && close_code <= 1014) || (close_code >= 3000 && close_code <= 4999);
}

int ws_close_parse(struct span payload, uint16_t *close_code, struct span *reason)
{
    if (payload.size == 0) {
        *close_code = WS_CLOSE_NO_STATUS;
        *reason = (struct span){0};
        return 0;
    }
    if (payload.size < CODE_SIZE) {
        return GYR_ERR_WS_CLOSE;
    }
    uint16_t code = load_be16(payload.ptr);
    if (!ws_close_code_is_valid(code)) {
        return GYR_ERR_WS_CLOSE;
    }
    struct span text = span_of(payload.ptr + CODE_SIZE, payload.size - CODE_SIZE);
    struct ws_utf8 utf8 = {0};
    int status = ws_utf8_check(&utf8, text.ptr, text.size);
    if (status != 0 || !ws_utf8_is_complete(&utf8)) {
        return GYR_ERR_WS_UTF8;
    }
    *close_code = code;
    *reason = text;
    return 0;
}

size_t ws_close_write(uint8_t payload[125], uint16_t close_code, struct span reason)
{
    if (close_code == WS_CLOSE_NO_STATUS) {
        return 0;
    }
    ASSERT(ws_close_code_is_valid(close_code));
    size_t size = reason.size;
    if (size > WS_CLOSE_REASON_SIZE_MAX) {
        size = WS_CLOSE_REASON_SIZE_MAX;
        /* A continuation byte at the cut belongs to a character that began before it. */
        while (size > 0 && (reason.ptr[size] & 0xc0) == 0x80) {
            size--;
        }
    }
    store_be16(payload, close_code);
    if (size > 0) {
        memcpy(payload + CODE_SIZE, reason.ptr, size);
    }
    return CODE_SIZE + size;
}
