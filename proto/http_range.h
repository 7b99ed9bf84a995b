/* SPDX-License-Identifier: MIT */
/* The field Range (RFC 9110 section 14). One range of bytes is served; a client that asks for
 * several, or in another unit, gets everything, which section 14.2 allows: parts of parts cost the
 * server more than the client gains, and overlapping ones have been used as an attack. */
#ifndef PROTO_HTTP_RANGE_H
#define PROTO_HTTP_RANGE_H

#include "base/base.h"

#define HTTP_CONTENT_RANGE_SIZE 72 /* "bytes ", three numbers of up to 20 digits, "-", "/" */

enum http_range_kind {
    HTTP_RANGE_NONE,          /* the field does not count: 200 with everything */
    HTTP_RANGE_PART,          /* 206 */
    HTTP_RANGE_UNSATISFIABLE, /* 416 */
};

/* Bytes `first` to `first + size - 1` of a representation. */
struct http_part {
    uint64_t first;
    uint64_t size; /* 1 or more */
};

/* What does the value of Range ask of a representation of `size` bytes? `part` is set for
 * HTTP_RANGE_PART. Numbers of any length are read. */
enum http_range_kind http_range_parse(struct span value, uint64_t size, struct http_part *part);

/* The value of Content-Range (section 14.4): "bytes 0-4/10"; with NULL for the part an asterisk
 * stands for it. Returns its size. */
size_t http_content_range_write(uint8_t text[HTTP_CONTENT_RANGE_SIZE], const struct http_part *part,
                                uint64_t size);

#endif
