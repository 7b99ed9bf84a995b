/* SPDX-License-Identifier: MIT */
/* The tokens of JSON (RFC 8259), for whoever reads a text from its first byte to its last:
 * json_read.c and json_walk.c. Nothing here allocates, and all of it is judged where it is passed.
 *
 * Texts end with a closing bracket, or are looked at byte by byte: so blanks, numbers and literals
 * need not ask where the end is, for none of them goes past a bracket. Who takes a closing bracket
 * asks. */
#ifndef ROUTER_JSON_SCAN_H
#define ROUTER_JSON_SCAN_H

#include "base/base.h"
#include "gyr/gyr_message.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* What a text's strings have; SCAN_HIGH is not zero if there is a byte beyond ASCII. */
#define SCAN_HIGH    0x0000ffffU
#define SCAN_ESCAPED 0x00010000U
#define SCAN_BLOCK   16

struct scan {
    const uint8_t *end;   /* of the text */
    const uint8_t *limit; /* up to here bytes may be read: `end`, and padding if there is some */
    unsigned marks;       /* of all strings so far */
};

/* Is this byte beyond what may stand in a string by itself: a quote, a backslash, a control? */
static inline bool scan_stops(uint8_t byte)
{
    return byte < 0x20 || byte == '"' || byte == '\\';
}

static inline const uint8_t *scan_blanks(const uint8_t *at)
{
    /* Most messages have none: one comparison tells. */
    while (UNLIKELY(*at <= ' ') && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
        at++;
    }
    return at;
}

/* The bytes of a block at which a string stops, one bit each, and those beyond ASCII. The bodies of
 * this and of scan_string stand here, longer than those of other headers, so that they become part
 * of their callers: most strings are one block, and a call would cost as much as the block. */
static inline uint32_t scan_block(const uint8_t *at, uint32_t *high)
{
#if defined(__SSE2__)
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    __m128i slash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    *high = (uint32_t)_mm_movemask_epi8(bytes);
    return (uint32_t)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, slash), control));
#else
    uint32_t stops = 0;
    *high = 0;
    for (unsigned i = 0; i < SCAN_BLOCK; i++) {
        stops |= (uint32_t)scan_stops(at[i]) << i;
        *high |= (uint32_t)(at[i] >> 7) << i;
    }
    return stops;
#endif
}

/* Behind a sound escape that begins at `at`, NULL if it is none: a lone surrogate, too. */
const uint8_t *scan_escape(const uint8_t *at, const uint8_t *end);

/* From behind a string's first quote to its last one; NULL if it is not sound. */
static inline const uint8_t *scan_string(struct scan *scan, const uint8_t *at, unsigned *marks)
{
    unsigned found = 0;
    for (;;) {
        if (LIKELY(scan->limit - at >= SCAN_BLOCK)) {
            uint32_t high;
            uint32_t stops = scan_block(at, &high);
            unsigned ahead = stops == 0 ? SCAN_BLOCK : (unsigned)__builtin_ctz(stops);
            found |= high & ((1U << ahead) - 1);
            at += ahead;
            if (stops == 0) {
                continue;
            }
        } else {
            while (at < scan->end && !scan_stops(*at)) {
                found |= *at++ >> 7;
            }
        }
        if (UNLIKELY(at >= scan->end)) {
            return NULL;
        }
        if (LIKELY(*at == '"')) {
            break;
        }
        found |= SCAN_ESCAPED;
        at = *at == '\\' ? scan_escape(at, scan->end) : NULL;
        if (at == NULL) {
            return NULL;
        }
    }
    scan->marks |= found;
    *marks = found;
    return at;
}

/* Behind a number, NULL if it is none. Bytes from `end` on are not looked at. */
const uint8_t *scan_number(const uint8_t *at, const uint8_t *end);

/* Behind a value of any kind that begins here, with `depth` brackets open around it; NULL and why
 * if it is not sound. Within the text there is a bracket behind it, or it is all of a text that
 * begins and ends with brackets. */
const uint8_t *scan_value(struct scan *scan, const uint8_t *at, unsigned depth,
                          enum gyr_reason *reason);

/* Behind the colon of a member and its blanks; the name is without its quotes. NULL if `at` begins
 * none. */
const uint8_t *scan_name(struct scan *scan, const uint8_t *at, struct span *name, unsigned *marks);

/* Write what the inside of a sound string stands for, which is never more. Returns its size. */
size_t scan_unescape(struct span raw, uint8_t *bytes);

/* Is the inside of a sound string this text? */
bool scan_equal(struct span raw, unsigned marks, struct span text);

#endif
