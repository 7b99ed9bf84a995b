/* SPDX-License-Identifier: MIT */
/* Unmasking (RFC 6455 section 5.3), in place or towards lower addresses, by itself or fused with
 * the check that the text is UTF-8 (section 8.1). */
#ifndef PROTO_WS_MASK_H
#define PROTO_WS_MASK_H

#include "base/base.h"
#include "base/simd.h"

/* How much of a text has been seen: the bytes of a character that the last piece broke off in. Zero
 * is the state before the first byte. */
struct ws_utf8 {
    uint8_t pending[3];
    uint8_t pending_size;
};

/* One table per SIMD level. `target` may be `source`, or lie below it by any distance, overlapping
 * or not; nothing outside target[0, size) is written and nothing outside source[0, size) is read.
 * `key` is in memory order and already rotated so that its first byte belongs to source[0]. */
struct ws_mask_ops {
    void (*unmask)(uint8_t *target, const uint8_t *source, size_t size, uint32_t key);
    /* The same; returns true if all unmasked bytes are ASCII. */
    bool (*unmask_ascii)(uint8_t *target, const uint8_t *source, size_t size, uint32_t key);
};

/* The table of a level; a level that this build does not have gives the portable one. */
const struct ws_mask_ops *ws_mask_ops(enum simd_level level);

/* The key for the bytes that follow `size` bytes: rotated by size modulo 4. */
static inline uint32_t ws_mask_advance(uint32_t key, uint64_t size)
{
    unsigned bits = (unsigned)(size & 3) * 8;
    return bits == 0 ? key : (key >> bits) | (key << (32 - bits)); /* little endian */
}

/* Unmask one piece of a text and check it as far as it goes. Returns 0, or GYR_ERR_WS_UTF8 as soon
 * as the bytes so far cannot be the beginning of a valid text (so also for a piece that ends within
 * a character that is already wrong). */
MUST_CHECK int ws_unmask_text(const struct ws_mask_ops *ops, struct ws_utf8 *utf8, uint8_t *target,
                              const uint8_t *source, size_t size, uint32_t key);

/* Unmask a whole message of one frame, whose masking key lies right before `source`, and check it
 * if it is text. Returns 0 or GYR_ERR_WS_UTF8. */
MUST_CHECK int ws_unmask_message(const struct ws_mask_ops *ops, uint8_t *target,
                                 const uint8_t *source, size_t size, bool text);

/* Check a piece that is not masked. */
MUST_CHECK int ws_utf8_check(struct ws_utf8 *utf8, const uint8_t *bytes, size_t size) READS(2, 3);

/* True if the text may end here: no character is open. */
static inline bool ws_utf8_is_complete(const struct ws_utf8 *utf8)
{
    return utf8->pending_size == 0;
}

#endif
