/* SPDX-License-Identifier: MIT */
/* Close frames and their codes (RFC 6455 sections 5.5.1 and 7.4). */
#ifndef PROTO_WS_CLOSE_H
#define PROTO_WS_CLOSE_H

#include "base/base.h"

enum ws_close_code {
    WS_CLOSE_NORMAL = 1000,
    WS_CLOSE_GOING_AWAY = 1001,
    WS_CLOSE_PROTOCOL_ERROR = 1002,
    WS_CLOSE_UNSUPPORTED = 1003,
    WS_CLOSE_NO_STATUS = 1005, /* never sent: the Close frame had no code */
    WS_CLOSE_ABNORMAL = 1006,  /* never sent: the connection was lost without a Close frame */
    WS_CLOSE_INVALID_DATA = 1007,
    WS_CLOSE_POLICY = 1008,
    WS_CLOSE_TOO_BIG = 1009,
    WS_CLOSE_INTERNAL = 1011,
    WS_CLOSE_TRY_LATER = 1013,
};

#define WS_CLOSE_REASON_SIZE_MAX 123

/* May this code stand in a Close frame: 1000-1003, 1007-1014 (IANA registry), 3000-4999? */
bool ws_close_code_is_valid(unsigned close_code);

/* Take the unmasked payload of a Close frame apart. An empty one gives 1005. Returns 0;
 * GYR_ERR_WS_CLOSE for one byte or a code that may not be sent; GYR_ERR_WS_UTF8 for a reason that
 * is not UTF-8. */
MUST_CHECK int ws_close_parse(struct span payload, uint16_t *close_code, struct span *reason);

/* Write the payload of a Close frame: the code and as much of the reason as fits, cut before a
 * character that does not. A code of 1005 writes nothing. Returns its size, at most 125. */
size_t ws_close_write(uint8_t payload[125], uint16_t close_code, struct span reason);

#endif
