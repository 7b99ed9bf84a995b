/* SPDX-License-Identifier: MIT */
/* The tokens of JSON as they are written (RFC 8259), for json_write.c. What does not fit is counted
 * and not written. */
#ifndef ROUTER_JSON_EMIT_H
#define ROUTER_JSON_EMIT_H

#include "base/base.h"

#define EMIT_WORD sizeof(uint64_t)
#define EMIT_HALF sizeof(uint32_t)

struct emit {
    uint8_t *at; /* the next byte */
    uint8_t *end;
    size_t over; /* bytes that had no room; once there are some, what is written is of no use */
};

static inline struct emit emit_begin(uint8_t *bytes, size_t capacity)
{
    return (struct emit){.at = bytes, .end = capacity == 0 ? bytes : bytes + capacity};
}

/* What all of it takes, and whether it fits, unless it has failed already. */
static inline int emit_end(const struct emit *emit, int err, const uint8_t *bytes, size_t *size)
{
    *size = (size_t)(emit->at - bytes) + emit->over;
    return err == 0 && emit->over > 0 ? GYR_ERR_LIMIT : err;
}

/* Copy without a call what is short: its last word goes over what was copied before. The bodies
 * here are longer than those of other headers, so that they become part of their callers:
 * writing a key is little but these few branches. */
static inline void emit_copy(uint8_t *to, const uint8_t *from, size_t size)
{
    uint64_t words[2];
    uint32_t halves[2];
    if (size > 2 * EMIT_WORD) {
        memcpy(to, from, size);
    } else if (size >= EMIT_WORD) {
        memcpy(&words[0], from, EMIT_WORD);
        memcpy(&words[1], from + size - EMIT_WORD, EMIT_WORD);
        memcpy(to, &words[0], EMIT_WORD);
        memcpy(to + size - EMIT_WORD, &words[1], EMIT_WORD);
    } else if (size >= EMIT_HALF) {
        memcpy(&halves[0], from, EMIT_HALF);
        memcpy(&halves[1], from + size - EMIT_HALF, EMIT_HALF);
        memcpy(to, &halves[0], EMIT_HALF);
        memcpy(to + size - EMIT_HALF, &halves[1], EMIT_HALF);
    } else {
        for (size_t i = 0; i < size; i++) {
            to[i] = from[i];
        }
    }
}

/* Where `size` bytes go, which are counted; NULL if they do not fit. */
static inline uint8_t *emit_take(struct emit *emit, size_t size)
{
    uint8_t *to = emit->at;
    if (UNLIKELY((size_t)(emit->end - to) < size)) {
        emit->over += size;
        return NULL;
    }
    emit->at += size;
    return to;
}

static inline void emit_byte(struct emit *emit, char byte)
{
    uint8_t *to = emit_take(emit, 1);
    if (LIKELY(to != NULL)) {
        *to = (uint8_t)byte;
    }
}

/* Bytes as they are. */
static inline void emit_bytes(struct emit *emit, const void *bytes, size_t size)
{
    uint8_t *to = emit_take(emit, size);
    if (LIKELY(to != NULL)) {
        emit_copy(to, bytes, size);
    }
}

/* A comma, if `is_begun`, and a key with quotes and colon. */
static inline void emit_key(struct emit *emit, bool is_begun, const char *key, size_t size)
{
    uint8_t *to = emit_take(emit, size + is_begun);
    if (LIKELY(to != NULL)) {
        *to = ',';
        emit_copy(to + is_begun, (const uint8_t *)key, size);
    }
}

/* The same of a name that needs no escapes. */
void emit_name(struct emit *emit, bool is_begun, struct span name);
void emit_integer(struct emit *emit, bool is_negative, uint64_t magnitude);
/* Finite. */
void emit_double(struct emit *emit, double value);
/* In quotes, escaped. GYR_ERR_ARGUMENT if it is not UTF-8. */
MUST_CHECK int emit_string(struct emit *emit, struct span text);
void emit_base64(struct emit *emit, struct span bytes);

#endif
