/* SPDX-License-Identifier: MIT */
/* A reader of JSON as the log writes it, by the grammar of RFC 8259, independent of the writer. */
#include "tests/json_check.h"

struct cursor {
    struct span rest;
};

static bool take(struct cursor *cursor, uint8_t byte)
{
    if (cursor->rest.size == 0 || cursor->rest.ptr[0] != byte) {
        return false;
    }
    cursor->rest = span_of(cursor->rest.ptr + 1, cursor->rest.size - 1);
    return true;
}

static int hex_value(uint8_t byte)
{
    byte = ascii_lower(byte);
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* Four hex digits; -1 if there are none. */
static int32_t unit_of(struct span text)
{
    int32_t unit = 0;
    if (text.size < 4) {
        return -1;
    }
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_value(text.ptr[i]);
        if (digit < 0) {
            return -1;
        }
        unit = unit * 16 + digit;
    }
    return unit;
}

static bool take_string(struct cursor *cursor, struct span *text)
{
    if (!take(cursor, '"')) {
        return false;
    }
    struct span rest = cursor->rest;
    size_t at = 0;
    while (at < rest.size && rest.ptr[at] != '"') {
        if (rest.ptr[at] == '\\') {
            at++;
            if (at == rest.size || memchr("\"\\/bfnrtu", rest.ptr[at], 9) == NULL ||
                (rest.ptr[at] == 'u' &&
                 unit_of(span_of(rest.ptr + at + 1, rest.size - at - 1)) < 0)) {
                return false;
            }
        }
        at++;
    }
    if (at >= rest.size) {
        return false;
    }
    *text = span_of(rest.ptr, at);
    cursor->rest = span_of(rest.ptr + at + 1, rest.size - at - 1);
    return true;
}

static bool take_integer(struct cursor *cursor, struct span *text)
{
    struct span start = cursor->rest;
    (void)take(cursor, '-');
    struct span digits = cursor->rest;
    while (cursor->rest.size > 0 && cursor->rest.ptr[0] >= '0' && cursor->rest.ptr[0] <= '9') {
        (void)take(cursor, cursor->rest.ptr[0]);
    }
    size_t count = digits.size - cursor->rest.size;
    *text = span_of(start.ptr, start.size - cursor->rest.size);
    return count > 0 && (count == 1 || digits.ptr[0] != '0');
}

int json_check(struct span line, struct json_member *members, int max)
{
    struct json_member seen[64];
    int count = 0;
    struct cursor cursor = {line};
    for (size_t i = 0; i < line.size; i++) {
        if (line.ptr[i] < ' ' || line.ptr[i] > '~') {
            return -1;
        }
    }
    if (!take(&cursor, '{')) {
        return -1;
    }
    do {
        struct json_member *member = &seen[count];
        if (!take_string(&cursor, &member->name) || !take(&cursor, ':')) {
            return -1;
        }
        member->is_string = cursor.rest.size > 0 && cursor.rest.ptr[0] == '"';
        if (member->is_string ? !take_string(&cursor, &member->value)
                              : !take_integer(&cursor, &member->value)) {
            return -1;
        }
        for (int i = 0; i < count; i++) {
            if (span_equal(seen[i].name, member->name)) {
                return -1;
            }
        }
        count++;
    } while (count < (int)COUNT_OF(seen) && take(&cursor, ','));
    if (!take(&cursor, '}') || cursor.rest.size > 0) {
        return -1;
    }
    for (int i = 0; i < MIN(count, max); i++) {
        members[i] = seen[i];
    }
    return count;
}

static size_t put_utf8(uint32_t character, uint8_t bytes[4])
{
    size_t size = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size; i > 1; i--) {
        bytes[i - 1] = (uint8_t)(0x80 | (character & 0x3f));
        character >>= 6;
    }
    bytes[0] = (uint8_t)(leads[size] | character);
    return size;
}

/* The character that an escape stands for, behind its backslash; its size in `size`. */
static int32_t escape_of(struct span text, size_t *size)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    *size = 1;
    if (text.ptr[0] != 'u') {
        const char *letter = memchr(letters, text.ptr[0], sizeof(letters) - 1);
        return letter == NULL ? -1 : meanings[letter - letters];
    }
    int32_t unit = unit_of(span_of(text.ptr + 1, text.size - 1));
    *size = 5;
    if (unit < 0xd800 || unit > 0xdfff) {
        return unit;
    }
    if (unit >= 0xdc00 || text.size < 11 || text.ptr[5] != '\\' || text.ptr[6] != 'u') {
        return -1;
    }
    int32_t low = unit_of(span_of(text.ptr + 7, 4));
    *size = 11;
    return low < 0xdc00 || low > 0xdfff ? -1 : 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
}

int json_decode(struct span escaped, uint8_t *text, size_t size)
{
    size_t used = 0;
    for (size_t at = 0; at < escaped.size;) {
        int32_t character = escaped.ptr[at];
        size_t taken = 1;
        if (character == '\\') {
            struct span rest = span_of(escaped.ptr + at + 1, escaped.size - at - 1);
            character = rest.size == 0 ? -1 : escape_of(rest, &taken);
            taken++;
        }
        if (character < 0 || size - used < 4) {
            return -1;
        }
        used += put_utf8((uint32_t)character, text + used);
        at += taken;
    }
    return (int)used;
}
