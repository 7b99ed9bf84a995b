/* SPDX-License-Identifier: MIT */
/* The tokens of JSON as they are written (RFC 8259), for json_write.c. What does not fit is counted
 * and not written. */
#ifndef ROUTER_JSON_EMIT_H
#define ROUTER_JSON_EMIT_H

#include "base/base.h"

struct emit {
    uint8_t *bytes;
    size_t capacity;
    size_t size; /* of all of it; past capacity nothing is written any more */
};

/* Where `size` more bytes go; NULL if they do not fit. Whoever has written them adds to
 * emit.size. */
static inline uint8_t *emit_room(const struct emit *emit, size_t size)
{
    bool fits = emit->size <= emit->capacity && size <= emit->capacity - emit->size;
    return LIKELY(fits) ? emit->bytes + emit->size : NULL;
}

static inline void emit_byte(struct emit *emit, char byte)
{
    if (LIKELY(emit->size < emit->capacity)) {
        emit->bytes[emit->size] = (uint8_t)byte;
    }
    emit->size++;
}

/* Bytes as they are. */
void emit_bytes(struct emit *emit, const void *bytes, size_t size);
/* A comma, if `is_begun`, and a key with quotes and colon, which is at least 4 bytes. */
void emit_key(struct emit *emit, bool is_begun, const char *key, size_t size);
/* The same of a name that needs no escapes. */
void emit_name(struct emit *emit, bool is_begun, struct span name);
void emit_integer(struct emit *emit, bool is_negative, uint64_t magnitude);
/* Finite. */
void emit_double(struct emit *emit, double value);
/* In quotes, escaped. GYR_ERR_ARGUMENT if it is not UTF-8. */
MUST_CHECK int emit_string(struct emit *emit, struct span text);
void emit_base64(struct emit *emit, struct span bytes);

#endif
