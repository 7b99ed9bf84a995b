/* SPDX-License-Identifier: MIT */
/* The tag of a message, without parsing it: a scan over its structural characters to the first
 * member of a name at the top level of an object (hop 7 of docs/journey.md). The scan stops there;
 * what is wrong behind it decoding finds out. For every valid document its answer is simdjson's. */
#ifndef ROUTER_TAG_H
#define ROUTER_TAG_H

#include "base/base.h"
#include "base/simd.h"

#define TAG_SIZE_MAX 255 /* of a tag, unescaped */
#define TAG_PADDING  64  /* readable bytes behind a message: GYR_MESSAGE_PADDING */

enum tag_status {
    TAG_FOUND,
    TAG_ABSENT,     /* the object ends without it */
    TAG_NOT_OBJECT, /* something else begins, or nothing does */
    TAG_NOT_STRING, /* it is there, and its value does not begin with a quote */
    TAG_MALFORMED,  /* the scan could not get that far */
};

struct tag {
    struct span raw; /* between its quotes, in the message */
    bool is_escaped; /* it holds a backslash: tag_unescape first */
};

/* Find the member `name` (without quotes, backslashes, control characters) of the object `text`,
 * which TAG_PADDING readable bytes follow. One for each level of vector instructions. Returns an
 * enum tag_status. */
typedef int (*tag_scan_fn)(struct span text, struct span name, struct tag *tag);
tag_scan_fn tag_scan_at(enum simd_level level); /* NULL: not in this build */

/* Unescape a tag (RFC 8259 section 7). Returns its size; GYR_ERR_LIMIT past TAG_SIZE_MAX,
 * GYR_ERR_MESSAGE for a bad escape. */
MUST_CHECK int tag_unescape(struct span raw, uint8_t bytes[TAG_SIZE_MAX], size_t *size);

#endif
