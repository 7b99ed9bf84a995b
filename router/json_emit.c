/* SPDX-License-Identifier: MIT */
/* Strings, numbers and keys of JSON (journey: hop 9; RFC 8259 sections 6 and 7). Most strings hold
 * nothing that has to be escaped: they are copied a block at a time while they are looked through,
 * and only one that does is written again, byte by byte where it has to be. */
#include "router/json_emit.h"

#include "base/decimal.h"
#include "base/simdjson_shim.h"
#include "proto/base64.h"
#include "router/json_scan.h"

#include <math.h>

#define INTEGER_SIZE_MAX 21 /* with its sign */
#define WORD             EMIT_WORD
#define HALF             EMIT_HALF
#define SCALED_MAX       1e11 /* times SCALE, all integers are doubles */
#define SCALE            1e4
#define SCALE_PLACES     4
#define EACH_BYTE        UINT64_C(0x0101010101010101)

static void emit_scaled(struct emit *emit, bool is_negative, uint64_t scaled, unsigned places);
static bool string_copy(uint8_t *to, struct span text, uint32_t *high);
static bool words_copy(uint8_t *to, struct span text, uint32_t *high);
static bool word_stops(uint64_t word, uint32_t *high);
static void string_escape(struct emit *emit, struct span text);
static void escape_emit(struct emit *emit, uint8_t byte);

void emit_name(struct emit *emit, bool is_begun, struct span name)
{
    emit_bytes(emit, is_begun ? ",\"" : "\"", 1 + (size_t)is_begun);
    emit_bytes(emit, name.ptr, name.size);
    emit_bytes(emit, "\":", 2);
}

void emit_integer(struct emit *emit, bool is_negative, uint64_t magnitude)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    char text[INTEGER_SIZE_MAX];
    char *at = text + sizeof(text);
    while (magnitude >= 100) {
        at -= 2;
        memcpy(at, pairs + magnitude % 100 * 2, 2);
        magnitude /= 100;
    }
    if (magnitude >= 10) {
        at -= 2;
        memcpy(at, pairs + magnitude * 2, 2);
    } else {
        *--at = (char)('0' + magnitude);
    }
    if (is_negative) {
        *--at = '-';
    }
    emit_bytes(emit, at, (size_t)(text + sizeof(text) - at));
}

/* Most doubles that are sent have a few decimal places at most: an integer, divided by a power of
 * ten. A quotient is rounded once, so one that is the double again stands for it; without the
 * zeros at its end it has the fewest places that do. */
void emit_double(struct emit *emit, double value)
{
    double magnitude = fabs(value);
    uint64_t scaled = magnitude < SCALED_MAX ? (uint64_t)(magnitude * SCALE + 0.5) : 0;
    if (LIKELY(magnitude < SCALED_MAX) && (double)scaled / SCALE == magnitude) {
        unsigned places = SCALE_PLACES;
        while (places > 0 && scaled % 10 == 0) {
            scaled /= 10;
            places--;
        }
        emit_scaled(emit, signbit(value) != 0, scaled, places);
        return;
    }
    uint8_t text[DECIMAL_SIZE_MAX];
    emit_bytes(emit, text, decimal_write(value, text));
}

/* An integer with so many of its digits behind a point. It is written where it stays: what was
 * written byte by byte is slow to be read again as words. */
static void emit_scaled(struct emit *emit, bool is_negative, uint64_t scaled, unsigned places)
{
    static const uint32_t powers[] = {1, 10, 100, 1000, 10000, 100000};
    unsigned digits = places + 1;
    for (uint64_t rest = scaled / powers[digits]; rest > 0; rest /= 10) {
        digits++;
    }
    size_t size = (size_t)is_negative + digits + (places > 0);
    uint8_t *to = emit_take(emit, size);
    if (to == NULL) {
        return;
    }
    *to = '-';
    for (uint8_t *at = to + size; digits > 0; digits--, places--) {
        *--at = (uint8_t)('0' + scaled % 10);
        scaled /= 10;
        if (places == 1) {
            *--at = '.';
        }
    }
}

int emit_string(struct emit *emit, struct span text)
{
    uint32_t high = 0;
    uint8_t *to = emit->at;
    if (LIKELY((size_t)(emit->end - to) >= text.size + 2) &&
        LIKELY(string_copy(to + 1, text, &high))) {
        to[0] = '"';
        to[text.size + 1] = '"';
        emit->at += text.size + 2;
    } else {
        emit_byte(emit, '"');
        string_escape(emit, text);
        emit_byte(emit, '"');
        high = 1;
    }
    bool is_valid = high == 0 || simdjson_shim_utf8_is_valid(text.ptr, text.size);
    return is_valid ? 0 : GYR_ERR_ARGUMENT;
}

/* False if something has to be escaped; then anything may have been written. */
static inline bool string_copy(uint8_t *to, struct span text, uint32_t *high)
{
    const uint8_t *at = text.ptr;
    size_t left = text.size;
    if (left < SCAN_BLOCK) {
        return words_copy(to, text, high);
    }
    for (;;) {
        uint32_t block_high;
        if (scan_block(at, &block_high) != 0) {
            return false;
        }
        *high |= block_high;
        memcpy(to, at, SCAN_BLOCK);
        if (left == SCAN_BLOCK) {
            return true;
        }
        /* The last block goes over the one before. */
        size_t step = MIN(left - SCAN_BLOCK, (size_t)SCAN_BLOCK);
        at += step;
        to += step;
        left -= step;
    }
}

/* Less than a block. */
static inline bool words_copy(uint8_t *to, struct span text, uint32_t *high)
{
    uint64_t first = 0;
    uint64_t last = 0;
    if (text.size >= WORD) {
        memcpy(&first, text.ptr, WORD);
        memcpy(&last, text.ptr + text.size - WORD, WORD);
        memcpy(to, &first, WORD);
        memcpy(to + text.size - WORD, &last, WORD);
        return !word_stops(first, high) && !word_stops(last, high);
    }
    if (text.size >= HALF) {
        uint32_t half[2];
        memcpy(&half[0], text.ptr, HALF);
        memcpy(&half[1], text.ptr + text.size - HALF, HALF);
        memcpy(to, &half[0], HALF);
        memcpy(to + text.size - HALF, &half[1], HALF);
        return !word_stops((uint64_t)half[1] << 32 | half[0], high);
    }
    bool stops = false;
    for (size_t i = 0; i < text.size; i++) {
        stops |= scan_stops(text.ptr[i]);
        *high |= text.ptr[i] >> 7;
        to[i] = text.ptr[i];
    }
    return !stops;
}

/* Each term has the top bit of some byte set if one is a control, a quote, a backslash; with none,
 * no byte borrows from the next, and all are clear. */
static inline bool word_stops(uint64_t word, uint32_t *high)
{
    uint64_t quote = word ^ (EACH_BYTE * '"');
    uint64_t slash = word ^ (EACH_BYTE * '\\');
    uint64_t stops = ((word - EACH_BYTE * 0x20) & ~word) | ((quote - EACH_BYTE) & ~quote) |
                     ((slash - EACH_BYTE) & ~slash);
    *high |= (word & (EACH_BYTE * 0x80)) != 0;
    return (stops & (EACH_BYTE * 0x80)) != 0;
}

/* Run by run of bytes that may stand for themselves. */
static void string_escape(struct emit *emit, struct span text)
{
    const uint8_t *at = text.ptr;
    const uint8_t *end = text.size == 0 ? at : at + text.size;
    while (at < end) {
        const uint8_t *run = at;
        while (at < end && !scan_stops(*at)) {
            at++;
        }
        if (at > run) {
            emit_bytes(emit, run, (size_t)(at - run));
        }
        if (at < end) {
            escape_emit(emit, *at++);
        }
    }
}

static void escape_emit(struct emit *emit, uint8_t byte)
{
    static const char letters[] = "btn\0fr"; /* of 8 to 13; 11 has none */
    static const char hex[] = "0123456789abcdef";
    char text[] = "\\u00..";
    if (byte == '"' || byte == '\\') {
        text[1] = (char)byte;
        emit_bytes(emit, text, 2);
    } else if (byte >= '\b' && byte <= '\r' && byte != '\v') {
        text[1] = letters[byte - '\b'];
        emit_bytes(emit, text, 2);
    } else {
        text[4] = hex[byte >> 4];
        text[5] = hex[byte & 15];
        emit_bytes(emit, text, 6);
    }
}

void emit_base64(struct emit *emit, struct span bytes)
{
    size_t size = base64_encoded_size(bytes.size) + 2;
    uint8_t *to = emit_take(emit, size);
    if (to != NULL) {
        to[0] = '"';
        to[size - 1] = '"';
        (void)base64_encode(to + 1, bytes);
    }
}
