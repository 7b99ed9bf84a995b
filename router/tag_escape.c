/* SPDX-License-Identifier: MIT */
/* What strings of JSON stand for (RFC 8259 section 7), as far as tags need it. Journey: hop 7. */
#include "router/tag_escape.h"

#include "router/tag.h"

static int hex_value(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    byte = ascii_lower(byte);
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* The code unit of "\uXXXX" at the beginning of these bytes, or -1. */
static int32_t escape_unit(const uint8_t *bytes, size_t size)
{
    if (size < 6 || bytes[0] != '\\' || bytes[1] != 'u') {
        return -1;
    }
    int32_t unit = 0;
    for (size_t i = 2; i < 6; i++) {
        int digit = hex_value(bytes[i]);
        if (digit < 0) {
            return -1;
        }
        unit = unit << 4 | digit;
    }
    return unit;
}

size_t tag_escape_utf8_write(uint32_t code, uint8_t bytes[4])
{
    if (code < 0x80) {
        bytes[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        bytes[0] = (uint8_t)(0xc0 | code >> 6);
        bytes[1] = (uint8_t)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        bytes[0] = (uint8_t)(0xe0 | code >> 12);
        bytes[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        bytes[2] = (uint8_t)(0x80 | (code & 0x3f));
        return 3;
    }
    bytes[0] = (uint8_t)(0xf0 | code >> 18);
    bytes[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
    bytes[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    bytes[3] = (uint8_t)(0x80 | (code & 0x3f));
    return 4;
}

/* One character of a string: a byte as it is, or what an escape stands for (RFC 8259 section 7).
 * Moves `raw` behind it. Returns how many bytes it has, 0 for a bad escape; half a surrogate pair
 * is one, for there is no UTF-8 for it. */
static size_t char_read(struct span *raw, uint8_t bytes[4])
{
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    size_t taken = 1;
    size_t size = 1;
    bytes[0] = raw->ptr[0];
    if (bytes[0] == '\\') {
        const char *name = raw->size < 2 ? NULL : memchr(names, raw->ptr[1], sizeof(names) - 1);
        int32_t unit = escape_unit(raw->ptr, raw->size);
        if (name != NULL) {
            bytes[0] = (uint8_t)values[name - names];
            taken = 2;
        } else if (unit < 0 || (unit & 0xfc00) == 0xdc00) {
            return 0;
        } else if ((unit & 0xfc00) == 0xd800) {
            int32_t low = escape_unit(raw->ptr + 6, raw->size - 6);
            if (low < 0 || (low & 0xfc00) != 0xdc00) {
                return 0;
            }
            uint32_t code = 0x10000u + ((uint32_t)(unit & 0x3ff) << 10) + (uint32_t)(low & 0x3ff);
            size = tag_escape_utf8_write(code, bytes);
            taken = 12;
        } else {
            size = tag_escape_utf8_write((uint32_t)unit, bytes);
            taken = 6;
        }
    }
    *raw = span_of(raw->ptr + taken, raw->size - taken);
    return size;
}

int tag_unescape(struct span raw, uint8_t bytes[TAG_SIZE_MAX], size_t *size)
{
    size_t written = 0;
    while (raw.size > 0) {
        uint8_t next[4];
        size_t next_size = char_read(&raw, next);
        if (next_size == 0) {
            return GYR_ERR_MESSAGE;
        }
        if (next_size > TAG_SIZE_MAX - written) {
            return GYR_ERR_LIMIT;
        }
        memcpy(bytes + written, next, next_size);
        written += next_size;
    }
    *size = written;
    return 0;
}

bool tag_key_equals(struct span raw, struct span name)
{
    while (raw.size > 0) {
        uint8_t next[4];
        size_t size = char_read(&raw, next);
        if (size == 0 || size > name.size || memcmp(next, name.ptr, size) != 0) {
            return false;
        }
        name = span_of(name.ptr + size, name.size - size);
    }
    return name.size == 0;
}
