/* SPDX-License-Identifier: MIT */
/* Base64 with the standard alphabet and padding (RFC 4648 section 4). */
#ifndef PROTO_BASE64_H
#define PROTO_BASE64_H

#include "base/base.h"

/* Characters that `size` bytes become. */
static inline size_t base64_encoded_size(size_t size)
{
    return (size + 2) / 3 * 4;
}

/* Writes base64_encoded_size(bytes.size) characters; no NUL follows. Returns their number. */
size_t base64_encode(uint8_t *text, struct span bytes);

/* Read text back.
 *
 *   bytes  out: room for text.size / 4 * 3 bytes
 *   size   out: bytes written
 *
 * Returns 0, or GYR_ERR_ARGUMENT for a length that is no multiple of 4, a character outside the
 * alphabet (white space included), or padding elsewhere than in the last one or two places. Bits
 * that a canonical encoder leaves zero before the padding are not looked at (RFC 4648 section 3.5
 * leaves it open). After a failure, `bytes` may hold anything. */
MUST_CHECK int base64_decode(uint8_t *bytes, size_t *size, struct span text);

#endif
