/* SPDX-License-Identifier: MIT */
/* The few words every file uses: spans, byte order, compiler marks, the status NEED_MORE. */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include "base/assert.h"
#include "gyr/gyr_err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A function that can fail returns int: 0 done, NEED_MORE bring more bytes, < 0 failed. */
#define NEED_MORE 1

#define MUST_CHECK            __attribute__((warn_unused_result))
#define READS(pointer, size)  __attribute__((access(read_only, pointer, size)))
#define WRITES(pointer, size) __attribute__((access(write_only, pointer, size)))
#define CACHE_LINE            64

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define MIN(a, b)       ((a) < (b) ? (a) : (b))
#define MAX(a, b)       ((a) > (b) ? (a) : (b))
#define CONTAINER_OF(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Readable bytes that follow every message handed to a service (invariant M1). At least
 * SIMDJSON_PADDING, which is 32 in simdjson 3.0 and 64 since 3.1. */
#define MESSAGE_PADDING 64

/* A view of bytes that somebody else owns. */
struct span {
    const uint8_t *ptr;
    size_t size;
};

#define SPAN_LITERAL(text) ((struct span){(const uint8_t *)("" text), sizeof(text) - 1})

/* The same where a constant is asked for. */
/* clang-format off */
#define SPAN_STATIC(text) {(const uint8_t *)("" text), sizeof(text) - 1}
/* clang-format on */

static inline struct span span_of(const void *ptr, size_t size)
{
    return (struct span){(const uint8_t *)ptr, size};
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.ptr, b.ptr, a.size) == 0);
}

static inline uint8_t ascii_lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

/* Compare without regard to ASCII case (RFC 9110 section 5.1: field names). */
static inline bool span_equal_nocase(struct span a, struct span b)
{
    if (a.size != b.size) {
        return false;
    }
    for (size_t i = 0; i < a.size; i++) {
        if (ascii_lower(a.ptr[i]) != ascii_lower(b.ptr[i])) {
            return false;
        }
    }
    return true;
}

static inline uint16_t load_be16(const uint8_t *bytes)
{
    return (uint16_t)((bytes[0] << 8) | bytes[1]);
}

static inline uint64_t load_be64(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof(value));
    return __builtin_bswap64(value);
}

static inline void store_be16(uint8_t *bytes, uint16_t value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

static inline void store_be64(uint8_t *bytes, uint64_t value)
{
    value = __builtin_bswap64(value);
    memcpy(bytes, &value, sizeof(value));
}

#endif
