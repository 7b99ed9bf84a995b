/* SPDX-License-Identifier: MIT */
/* The body of an HTTP/1.1 request: Content-Length or chunked with trailers (RFC 9112 sections 6
 * and 7). Pieces are handed out as they arrive, as views of the input. */
#ifndef PROTO_HTTP_BODY_H
#define PROTO_HTTP_BODY_H

#include "proto/http_request.h"

/* Zero is the state of a request without body. */
struct http_body {
    uint64_t remaining; /* of the body (length) or of the current chunk */
    uint64_t received;  /* content bytes so far */
    uint32_t line_size; /* of the current chunk-size line: bounded */
    uint32_t overhead;  /* bytes of chunk extensions and trailers so far: bounded */
    uint8_t state;      /* private to http_body.c */
    uint8_t framing;    /* enum http_framing */
    uint8_t name_index; /* private: the forbidden trailer that this name may still become */
    uint8_t name_size;  /* private: how much of it has come */
};

void http_body_init(struct http_body *body, const struct http_request *request);

/* Take input until one piece of content is found, the input ends or the body is complete.
 *
 *   size_max  limit of the content in bytes; passing it is GYR_ERR_HTTP_BODY_SIZE, for
 *             Content-Length before the first byte is taken
 *   consumed  out: bytes taken from `bytes`; the rest was not looked at
 *   piece     out: content within the taken bytes; size 0 if none
 *
 * Returns 0 when the body is complete (the piece may hold its last bytes; what follows `consumed`
 * is the next request); NEED_MORE otherwise: call again with the rest, or with more. Or
 * GYR_ERR_HTTP_*, after which the bytes that follow must not be interpreted. */
MUST_CHECK int http_body_parse(struct http_body *body, uint64_t size_max, const uint8_t *bytes,
                               size_t size, size_t *consumed, struct span *piece) READS(3, 4);

#endif
