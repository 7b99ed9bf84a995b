/* SPDX-License-Identifier: MIT */
/* Field lines of a request head. Used by http_request.c only. */
#ifndef PROTO_HTTP_FIELD_H
#define PROTO_HTTP_FIELD_H

#include "proto/http_target.h"

/* In http_request.seen, once the request line is behind us. */
enum {
    SEEN_HOST = 1 << 0,
    SEEN_CONTENT_LENGTH = 1 << 1,
    SEEN_TRANSFER_ENCODING = 1 << 2,
    SEEN_CLOSE = 1 << 3,
    SEEN_KEEP_ALIVE = 1 << 4,
    SEEN_CONNECTION_UPGRADE = 1 << 5,
    SEEN_UPGRADE_WEBSOCKET = 1 << 6,
    SEEN_EXPECT_CONTINUE = 1 << 7,
};

/* Take the field line before a CR, of which it is known that it holds no control character but
 * HTAB. Returns NEED_MORE, since a line follows, or GYR_ERR_HTTP_*. */
MUST_CHECK int http_field_take(struct http_request *request, const struct http_limits *limits,
                               struct http_range line);

#endif
