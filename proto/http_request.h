/* SPDX-License-Identifier: MIT */
/* The head of an HTTP/1.0 or HTTP/1.1 request: request line and fields (RFC 9112 sections 2 to 5),
 * and what follows from them: framing of the body (section 6), persistence (section 9.3), the
 * WebSocket handshake (RFC 6455 section 4.2.1).
 *
 * Stricter than the RFCs allow wherever leniency has been exploited: a bare LF, white space before
 * a colon, obs-fold, a repeated or differing Content-Length, Content-Length beside
 * Transfer-Encoding, and a Host that could be read two ways are all errors. */
#ifndef PROTO_HTTP_REQUEST_H
#define PROTO_HTTP_REQUEST_H

#include "base/base.h"

#define HTTP_FIELD_COUNT_MAX 128
#define HTTP_HEAD_SIZE_MAX   65535 /* offsets below are 16 bits */

enum http_method { /* RFC 9110 section 9.3, RFC 5789 */
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_DELETE,
    HTTP_CONNECT,
    HTTP_OPTIONS,
    HTTP_TRACE,
    HTTP_PATCH,
    HTTP_METHOD_COUNT,
};

enum http_framing { /* RFC 9112 section 6.3 */
    HTTP_FRAMING_NONE,
    HTTP_FRAMING_LENGTH,
    HTTP_FRAMING_CHUNKED,
};

enum http_request_flags {
    HTTP_F_KEEP_ALIVE = 1 << 0,        /* RFC 9112 section 9.3: persists after the response */
    HTTP_F_EXPECT_CONTINUE = 1 << 1,   /* RFC 9110 section 10.1.1; only set on HTTP/1.1 */
    HTTP_F_UPGRADE_WEBSOCKET = 1 << 2, /* Upgrade names websocket and Connection names upgrade, on
                                          a GET of HTTP/1.1 without body */
    HTTP_F_ASTERISK_FORM = 1 << 3,     /* OPTIONS * (RFC 9112 section 3.2.4) */
    HTTP_F_ABSOLUTE_FORM = 1 << 4, /* RFC 9112 section 3.2.2: path, query, host are of the target */
};

/* Offsets from the first byte of the head; they stay right when the bytes move. */
struct http_slice {
    uint16_t offset;
    uint16_t size;
};

struct http_field {
    struct http_slice name;
    struct http_slice value; /* without surrounding white space */
};

struct http_limits {
    uint32_t
        head_size_max; /* request line and fields with their line ends; <= HTTP_HEAD_SIZE_MAX */
    uint32_t target_size_max; /* < head_size_max */
    uint32_t field_count_max; /* <= HTTP_FIELD_COUNT_MAX */
};

/* Parser state and result in one. Zero (http_request_reset) is the state before the first byte. */
struct http_request {
    uint32_t parsed_size; /* bytes that are behind us; where the next call goes on */
    uint32_t head_size; /* set on 0: bytes of the head with the empty line; what follows is body */
    uint8_t state;      /* private to http_request.c */
    uint8_t method;     /* enum http_method */
    uint8_t version_minor; /* 0 or 1 */
    uint8_t framing;       /* enum http_framing */
    uint16_t flags;        /* enum http_request_flags */
    uint16_t field_count;
    uint64_t content_length; /* if framing is HTTP_FRAMING_LENGTH */
    struct http_slice target;
    struct http_slice path;  /* of the target, undecoded; "*" for the asterisk form */
    struct http_slice query; /* without the question mark; size 0 if none */
    struct http_slice host;  /* authority (RFC 9110 section 7.2); size 0 on HTTP/1.0 without Host */
    struct http_slice ws_key; /* Sec-WebSocket-Key as it came; size 0 if absent */
    uint16_t line_start;      /* private */
    uint32_t seen;            /* private: which singular fields have come */
    struct http_field fields[HTTP_FIELD_COUNT_MAX]; /* the first field_count are set */
};

/* Begin a new request. Does not touch `fields`, which is most of the structure. */
void http_request_reset(struct http_request *request);

/* Parse on. `bytes` begins with the first byte of the head at every call and may lie elsewhere than
 * at the call before; the first parsed_size bytes are not examined again (linear time, however the
 * input is split). Leading empty lines before the request line are skipped (RFC 9112 section 2.2),
 * at most two, and count towards head_size_max.
 *
 * Returns 0 when the head is complete; NEED_MORE; or GYR_ERR_HTTP_*, after which the bytes that
 * follow must not be interpreted. A head that cannot be complete within its limits fails as soon as
 * the limit is passed, complete or not. The limits may change from call to call. */
MUST_CHECK int http_request_parse(struct http_request *request, const struct http_limits *limits,
                                  const uint8_t *bytes, size_t size) READS(3, 4);

/* The first field of this name (any case), or -1. `from` is the index to begin at, for repeats. */
int http_request_find(const struct http_request *request, const uint8_t *bytes, struct span name,
                      unsigned from);

static inline struct span http_slice_span(struct http_slice slice, const uint8_t *bytes)
{
    return (struct span){bytes + slice.offset, slice.size};
}

/* "GET", ...; lives for ever. */
struct span http_method_name(enum http_method method);

#endif
