/* SPDX-License-Identifier: MIT */
/* The rarer tokens of JSON: escapes (RFC 8259 section 7), numbers (section 6), and values that are
 * passed over (journey: hop 8). A value's brackets are bits of a word, so that nesting needs no
 * recursion and no memory. */
#include "router/json_scan.h"

#include "router/tag_escape.h"

#define HEX_SIZE      4
#define ESCAPE_SIZE   6 /* \u0000 */
#define CHAR_SIZE_MAX 4

/* What a value has open. */
struct brackets {
    uint32_t are_objects; /* a bit for each, the innermost one last */
    unsigned count;
};
static_assert(GYR_DEPTH_MAX <= 32, "brackets are bits of a word");

static int hex_read(const uint8_t *at, uint32_t *value);
static bool is_digit(const uint8_t *at, const uint8_t *end);
static const uint8_t *digits_pass(const uint8_t *at, const uint8_t *end);
static const uint8_t *brackets_open(struct scan *scan, const uint8_t *at, struct brackets *open,
                                    bool *is_empty);
static uint8_t brackets_close(const struct brackets *open);
static const uint8_t *brackets_pass(struct scan *scan, const uint8_t *at, struct brackets *open);
static const uint8_t *value_begin(struct scan *scan, const uint8_t *at,
                                  const struct brackets *open);
static const uint8_t *scalar_pass(struct scan *scan, const uint8_t *at);
static const uint8_t *literal_pass(const uint8_t *at, const uint8_t *end, struct span word);
static const uint8_t *escape_read(const uint8_t *at, uint8_t bytes[CHAR_SIZE_MAX], size_t *size);

const uint8_t *scan_escape(const uint8_t *at, const uint8_t *end)
{
    uint32_t unit;
    uint32_t low;
    if (end - at < 2) {
        return NULL;
    }
    switch (at[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return at + 2;
    case 'u':
        break;
    default:
        return NULL;
    }
    if (end - at < ESCAPE_SIZE || hex_read(at + 2, &unit) != 0) {
        return NULL;
    }
    if (unit < 0xd800 || unit > 0xdfff) {
        return at + ESCAPE_SIZE;
    }
    /* The first half of a character beyond U+FFFF; the other one follows. */
    if (unit > 0xdbff || end - at < (ptrdiff_t)2 * ESCAPE_SIZE || at[ESCAPE_SIZE] != '\\' ||
        at[ESCAPE_SIZE + 1] != 'u' || hex_read(at + ESCAPE_SIZE + 2, &low) != 0 || low < 0xdc00 ||
        low > 0xdfff) {
        return NULL;
    }
    return at + (ptrdiff_t)2 * ESCAPE_SIZE;
}

static int hex_read(const uint8_t *at, uint32_t *value)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < HEX_SIZE; i++) {
        uint8_t lower = at[i] | 0x20;
        if (at[i] >= '0' && at[i] <= '9') {
            sum = sum << 4 | (uint32_t)(at[i] - '0');
        } else if (lower >= 'a' && lower <= 'f') {
            sum = sum << 4 | (uint32_t)(lower - 'a' + 10);
        } else {
            return GYR_ERR_MESSAGE;
        }
    }
    *value = sum;
    return 0;
}

const uint8_t *scan_number(const uint8_t *at, const uint8_t *end)
{
    at += at < end && *at == '-';
    if (!is_digit(at, end)) {
        return NULL;
    }
    /* No digit stands behind a leading zero: what does is no part of the number. */
    at = *at == '0' ? at + 1 : digits_pass(at, end);
    if (at < end && *at == '.') {
        if (!is_digit(at + 1, end)) {
            return NULL;
        }
        at = digits_pass(at + 1, end);
    }
    if (at < end && (*at | 0x20) == 'e') {
        at++;
        at += at < end && (*at == '+' || *at == '-');
        if (!is_digit(at, end)) {
            return NULL;
        }
        at = digits_pass(at, end);
    }
    return at;
}

static bool is_digit(const uint8_t *at, const uint8_t *end)
{
    return at < end && *at >= '0' && *at <= '9';
}

static const uint8_t *digits_pass(const uint8_t *at, const uint8_t *end)
{
    while (is_digit(at, end)) {
        at++;
    }
    return at;
}

const uint8_t *scan_value(struct scan *scan, const uint8_t *at, unsigned depth,
                          enum gyr_reason *reason)
{
    struct brackets open = {0, 0};
    *reason = GYR_REASON_MALFORMED;
    for (;;) {
        /* A value begins here. */
        if (*at == '{' || *at == '[') {
            if (depth + open.count >= GYR_DEPTH_MAX) {
                *reason = GYR_REASON_DEPTH;
                return NULL;
            }
            bool is_empty;
            at = brackets_open(scan, at, &open, &is_empty);
            if (at != NULL && !is_empty) {
                continue;
            }
        } else {
            at = scalar_pass(scan, at);
            if (at == NULL || open.count == 0) {
                return at;
            }
            at = scan_blanks(at);
        }
        at = at == NULL ? NULL : brackets_pass(scan, at, &open);
        if (at == NULL || open.count == 0) {
            return at;
        }
    }
}

/* Go to the first value inside, or to the closing bracket if there is none. */
static const uint8_t *brackets_open(struct scan *scan, const uint8_t *at, struct brackets *open,
                                    bool *is_empty)
{
    open->are_objects = open->are_objects << 1 | (*at == '{');
    open->count++;
    at = scan_blanks(at + 1);
    *is_empty = *at == brackets_close(open);
    return *is_empty ? at : value_begin(scan, at, open);
}

static uint8_t brackets_close(const struct brackets *open)
{
    return (open->are_objects & 1) != 0 ? '}' : ']';
}

/* Behind a value: pass what closes, and the comma before the next one. */
static const uint8_t *brackets_pass(struct scan *scan, const uint8_t *at, struct brackets *open)
{
    while (*at != ',') {
        if (*at != brackets_close(open)) {
            return NULL;
        }
        at++;
        open->are_objects >>= 1;
        open->count--;
        if (open->count == 0) {
            return at;
        }
        if (at >= scan->end) {
            return NULL;
        }
        at = scan_blanks(at);
    }
    return value_begin(scan, scan_blanks(at + 1), open);
}

/* In an object, a value stands behind its name. */
static const uint8_t *value_begin(struct scan *scan, const uint8_t *at, const struct brackets *open)
{
    struct span name;
    unsigned marks;
    return (open->are_objects & 1) != 0 ? scan_name(scan, at, &name, &marks) : at;
}

const uint8_t *scan_name(struct scan *scan, const uint8_t *at, struct span *name, unsigned *marks)
{
    if (*at != '"') {
        return NULL;
    }
    const uint8_t *quote = scan_string(scan, at + 1, marks);
    if (quote == NULL) {
        return NULL;
    }
    *name = span_of(at + 1, (size_t)(quote - at - 1));
    at = scan_blanks(quote + 1);
    return *at == ':' ? scan_blanks(at + 1) : NULL;
}

static const uint8_t *scalar_pass(struct scan *scan, const uint8_t *at)
{
    const uint8_t *quote;
    unsigned marks;
    switch (*at) {
    case '"':
        quote = scan_string(scan, at + 1, &marks);
        return quote == NULL ? NULL : quote + 1;
    case 't':
        return literal_pass(at, scan->end, SPAN_LITERAL("true"));
    case 'f':
        return literal_pass(at, scan->end, SPAN_LITERAL("false"));
    case 'n':
        return literal_pass(at, scan->end, SPAN_LITERAL("null"));
    default:
        return scan_number(at, scan->end);
    }
}

static const uint8_t *literal_pass(const uint8_t *at, const uint8_t *end, struct span word)
{
    bool is_word = (size_t)(end - at) >= word.size && memcmp(at, word.ptr, word.size) == 0;
    return is_word ? at + word.size : NULL;
}

size_t scan_unescape(struct span raw, uint8_t *bytes)
{
    const uint8_t *at = raw.ptr;
    const uint8_t *end = raw.ptr + raw.size;
    uint8_t *to = bytes;
    while (at < end) {
        const uint8_t *slash = memchr(at, '\\', (size_t)(end - at));
        size_t plain = (size_t)((slash == NULL ? end : slash) - at);
        memcpy(to, at, plain);
        at += plain;
        to += plain;
        if (at < end) {
            uint8_t character[CHAR_SIZE_MAX];
            size_t size;
            at = escape_read(at, character, &size);
            memcpy(to, character, size);
            to += size;
        }
    }
    return (size_t)(to - bytes);
}

bool scan_equal(struct span raw, unsigned marks, struct span text)
{
    if ((marks & SCAN_ESCAPED) == 0) {
        return span_equal(raw, text);
    }
    const uint8_t *at = raw.ptr;
    const uint8_t *end = raw.ptr + raw.size;
    size_t used = 0;
    while (at < end) {
        uint8_t character[CHAR_SIZE_MAX] = {*at};
        size_t size = 1;
        at = *at == '\\' ? escape_read(at, character, &size) : at + 1;
        if (text.size - used < size || memcmp(text.ptr + used, character, size) != 0) {
            return false;
        }
        used += size;
    }
    return used == text.size;
}

/* What a sound escape stands for, as UTF-8; returns what is behind it. */
static const uint8_t *escape_read(const uint8_t *at, uint8_t bytes[CHAR_SIZE_MAX], size_t *size)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    uint32_t code = 0;
    uint32_t low = 0;
    if (at[1] != 'u') {
        const char *letter = memchr(letters, at[1], sizeof(letters) - 1);
        ASSERT(letter != NULL);
        bytes[0] = (uint8_t)meanings[letter - letters];
        *size = 1;
        return at + 2;
    }
    int status = hex_read(at + 2, &code);
    at += ESCAPE_SIZE;
    if (code >= 0xd800 && code <= 0xdfff) {
        status |= hex_read(at + 2, &low);
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        at += ESCAPE_SIZE;
    }
    ASSERT(status == 0);
    *size = tag_escape_utf8_write(code, bytes);
    return at;
}
