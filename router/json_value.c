/* SPDX-License-Identifier: MIT */
/* Values of JSON, each into the type of its member (journey: hop 8; RFC 8259 sections 6 and 7). A
 * value that is of another type is still judged: what is not JSON is told as that. */
#include "base/decimal.h"
#include "proto/base64.h"
#include "router/arena.h"
#include "router/json_reader.h"

#define MANTISSA_DIGITS_MAX 19 /* any of so many digits fit a uint64_t */
#define EXPONENT_MAX        100000
#define UINT64_DIGITS       20

static const uint8_t *plain_read(struct json_reader *reader, const struct gyr_member *member,
                                 unsigned kind, const uint8_t *at, uint8_t *target);
static const uint8_t *quoted_read(struct json_reader *reader, const struct gyr_member *member,
                                  unsigned kind, const uint8_t *at, uint8_t *target);
static const uint8_t *bool_read(struct json_reader *reader, const uint8_t *at, uint8_t *target);
static const uint8_t *integer_read(struct json_reader *reader, const struct gyr_member *member,
                                   unsigned kind, const uint8_t *at, uint8_t *target);
static bool integer_fits(const struct gyr_member *member, unsigned kind, bool is_negative,
                         uint64_t magnitude);
static void integer_store(uint8_t *target, unsigned width, uint64_t value);
static const uint8_t *double_read(struct json_reader *reader, const struct gyr_member *member,
                                  const uint8_t *at, uint8_t *target);
static const uint8_t *exponent_read(const uint8_t *at, int64_t *exponent);
static int double_make(const uint8_t *at, const uint8_t *behind, uint64_t mantissa,
                       int64_t exponent, double *value);
static const uint8_t *string_read(struct json_reader *reader, const struct gyr_member *member,
                                  const uint8_t *at, uint8_t *target);
static const uint8_t *text_read(struct json_reader *reader, const uint8_t *at, struct span *text);
static const uint8_t *bytes_read(struct json_reader *reader, const struct gyr_member *member,
                                 const uint8_t *at, uint8_t *target);
static const uint8_t *enum_read(struct json_reader *reader, const struct gyr_member *member,
                                const uint8_t *at, uint8_t *target);
static const uint8_t *raw_read(struct json_reader *reader, const struct gyr_member *member,
                               const uint8_t *at, uint8_t *target);
static bool size_fits(const struct gyr_member *member, size_t size);
static void span_store(uint8_t *target, struct span text);

const uint8_t *json_fail_type(struct json_reader *reader, const uint8_t *at)
{
    at = json_value_skip(reader, at);
    if (at == NULL) {
        return NULL;
    }
    at = scan_blanks(at);
    bool is_sound = *at == ',' || *at == '}' || *at == ']';
    return json_fail(reader, is_sound ? GYR_REASON_TYPE : GYR_REASON_MALFORMED);
}

const uint8_t *json_value_skip(struct json_reader *reader, const uint8_t *at)
{
    at = scan_value(&reader->scan, at, reader->depth, &reader->reason);
    /* It may not take the last bracket of all: that is the message's. */
    return at != reader->scan.end ? at : json_fail(reader, GYR_REASON_MALFORMED);
}

const uint8_t *json_value_read(struct json_reader *reader, const struct gyr_member *member,
                               unsigned kind, const uint8_t *at, uint8_t *target)
{
    switch (kind) {
    case GYR_KIND_STRING:
        return string_read(reader, member, at, target);
    case GYR_KIND_BYTES:
        return bytes_read(reader, member, at, target);
    case GYR_KIND_ENUM:
        return enum_read(reader, member, at, target);
    case GYR_KIND_RAW:
        return raw_read(reader, member, at, target);
    default:
        if (UNLIKELY(*at == '"') && reader->is_lenient) {
            return quoted_read(reader, member, kind, at, target);
        }
        return plain_read(reader, member, kind, at, target);
    }
}

static inline const uint8_t *plain_read(struct json_reader *reader, const struct gyr_member *member,
                                        unsigned kind, const uint8_t *at, uint8_t *target)
{
    if (kind == GYR_KIND_BOOL) {
        return bool_read(reader, at, target);
    }
    if (kind == GYR_KIND_DOUBLE) {
        return double_read(reader, member, at, target);
    }
    return integer_read(reader, member, kind, at, target);
}

/* What lenient readers take for a number or a bool: one in quotes, and nothing else there. */
static const uint8_t *quoted_read(struct json_reader *reader, const struct gyr_member *member,
                                  unsigned kind, const uint8_t *at, uint8_t *target)
{
    unsigned marks;
    const uint8_t *quote = scan_string(&reader->scan, at + 1, &marks);
    if (quote == NULL) {
        return json_fail(reader, GYR_REASON_MALFORMED);
    }
    const uint8_t *behind = plain_read(reader, member, kind, at + 1, target);
    if (behind == NULL && reader->reason == GYR_REASON_RANGE) {
        return NULL;
    }
    return behind == quote ? quote + 1 : json_fail(reader, GYR_REASON_TYPE);
}

static const uint8_t *bool_read(struct json_reader *reader, const uint8_t *at, uint8_t *target)
{
    if (memcmp(at, "true", 4) == 0) {
        *target = 1;
        return at + 4;
    }
    if (memcmp(at, "false", 5) == 0) {
        *target = 0;
        return at + 5;
    }
    return json_fail_type(reader, at);
}

/* The digits from here on, as many as there are. */
static inline const uint8_t *digits_read(const uint8_t *at, uint64_t *value)
{
    uint64_t sum = *value;
    unsigned digit;
    while ((digit = (unsigned)*at - '0') <= 9) {
        sum = sum * 10 + digit;
        at++;
    }
    *value = sum;
    return at;
}

static inline const uint8_t *integer_read(struct json_reader *reader,
                                          const struct gyr_member *member, unsigned kind,
                                          const uint8_t *at, uint8_t *target)
{
    bool is_negative = *at == '-';
    const uint8_t *first = at + is_negative;
    uint64_t magnitude = 0;
    const uint8_t *behind = digits_read(first, &magnitude);
    size_t digits = (size_t)(behind - first);
    if (UNLIKELY(digits == 0 || (digits > 1 && *first == '0') || *behind == '.' ||
                 (*behind | 0x20) == 'e')) {
        return json_fail_type(reader, at);
    }
    /* 20 digits fit if they begin with 1, and have not come round to less than 10^19. */
    bool is_over = digits >= UINT64_DIGITS && (digits > UINT64_DIGITS || *first != '1' ||
                                               magnitude < UINT64_C(10000000000000000000));
    if (UNLIKELY(is_over || !integer_fits(member, kind, is_negative, magnitude))) {
        return json_fail(reader, GYR_REASON_RANGE);
    }
    integer_store(target, member->width, is_negative ? -magnitude : magnitude);
    return behind;
}

static inline bool integer_fits(const struct gyr_member *member, unsigned kind, bool is_negative,
                                uint64_t magnitude)
{
    unsigned bits = (unsigned)member->width * 8;
    if (kind == GYR_KIND_UINT) {
        return (!is_negative || magnitude == 0) && magnitude <= UINT64_MAX >> (64 - bits) &&
               (!member->ranged ||
                (magnitude >= (uint64_t)member->min && magnitude <= member->max));
    }
    if (magnitude > (UINT64_C(1) << (bits - 1)) - !is_negative) {
        return false;
    }
    int64_t value = (int64_t)(is_negative ? -magnitude : magnitude);
    return !member->ranged || (value >= member->min && value <= (int64_t)member->max);
}

static inline void integer_store(uint8_t *target, unsigned width, uint64_t value)
{
    uint8_t byte = (uint8_t)value;
    uint16_t half = (uint16_t)value;
    uint32_t word = (uint32_t)value;
    switch (width) {
    case sizeof(byte):
        *target = byte;
        break;
    case sizeof(half):
        memcpy(target, &half, sizeof(half));
        break;
    case sizeof(word):
        memcpy(target, &word, sizeof(word));
        break;
    default:
        ASSERT(width == sizeof(value));
        memcpy(target, &value, sizeof(value));
        break;
    }
}

static const uint8_t *double_read(struct json_reader *reader, const struct gyr_member *member,
                                  const uint8_t *at, uint8_t *target)
{
    const uint8_t *first = at + (*at == '-');
    uint64_t mantissa = 0;
    const uint8_t *behind = digits_read(first, &mantissa);
    size_t digits = (size_t)(behind - first);
    int64_t exponent = 0;
    double value;
    if (digits == 0 || (digits > 1 && *first == '0')) {
        return json_fail_type(reader, at);
    }
    if (*behind == '.') {
        const uint8_t *point = behind;
        behind = digits_read(point + 1, &mantissa);
        if (behind == point + 1) {
            return json_fail(reader, GYR_REASON_MALFORMED);
        }
        exponent = point + 1 - behind;
        digits += (size_t)(behind - point - 1);
    }
    if ((*behind | 0x20) == 'e') {
        behind = exponent_read(behind, &exponent);
        if (behind == NULL) {
            return json_fail(reader, GYR_REASON_MALFORMED);
        }
    }
    /* With more digits the mantissa is not theirs. */
    exponent = digits > MANTISSA_DIGITS_MAX ? EXPONENT_MAX : exponent;
    if (double_make(at, behind, mantissa, exponent, &value) != 0 ||
        (member->real_ranged && !(value >= member->real_min && value <= member->real_max))) {
        return json_fail(reader, GYR_REASON_RANGE);
    }
    memcpy(target, &value, sizeof(value));
    return behind;
}

/* Add the number behind an `e`; NULL if there is none. */
static const uint8_t *exponent_read(const uint8_t *at, int64_t *exponent)
{
    bool is_negative = at[1] == '-';
    const uint8_t *first = at + 1 + (is_negative || at[1] == '+');
    uint64_t magnitude = 0;
    at = digits_read(first, &magnitude);
    if (at == first) {
        return NULL;
    }
    if (at - first > 5) {
        magnitude = EXPONENT_MAX;
    }
    *exponent += is_negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return at;
}

/* Where mantissa and power of ten are both exact as doubles, one operation rounds once, and so
 * right; whatever else there is takes the long way. */
static int double_make(const uint8_t *at, const uint8_t *behind, uint64_t mantissa,
                       int64_t exponent, double *value)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const int64_t limit = COUNT_OF(powers) - 1;
    if (mantissa > UINT64_C(1) << 53 || exponent < -limit || exponent > limit) {
        return decimal_read(at, (size_t)(behind - at), value);
    }
    double exact = (double)mantissa;
    exact = exponent < 0 ? exact / powers[-exponent] : exact * powers[exponent];
    *value = *at == '-' ? -exact : exact;
    return 0;
}

static inline const uint8_t *string_read(struct json_reader *reader,
                                         const struct gyr_member *member, const uint8_t *at,
                                         uint8_t *target)
{
    struct span text;
    at = text_read(reader, at, &text);
    if (at == NULL) {
        return NULL;
    }
    if (UNLIKELY(!size_fits(member, text.size))) {
        return json_fail(reader, GYR_REASON_SIZE);
    }
    span_store(target, text);
    return at;
}

/* A string without its escapes. */
static inline const uint8_t *text_read(struct json_reader *reader, const uint8_t *at,
                                       struct span *text)
{
    unsigned marks;
    if (UNLIKELY(*at != '"')) {
        return json_fail_type(reader, at);
    }
    const uint8_t *quote = scan_string(&reader->scan, at + 1, &marks);
    if (UNLIKELY(quote == NULL)) {
        return json_fail(reader, GYR_REASON_MALFORMED);
    }
    *text = span_of(at + 1, (size_t)(quote - at - 1));
    if (UNLIKELY((marks & SCAN_ESCAPED) != 0)) {
        uint8_t *bytes = arena_alloc(reader->arena, text->size, 1);
        if (bytes == NULL) {
            return json_fail(reader, GYR_REASON_MEMORY);
        }
        *text = span_of(bytes, scan_unescape(*text, bytes));
    }
    return quote + 1;
}

static const uint8_t *bytes_read(struct json_reader *reader, const struct gyr_member *member,
                                 const uint8_t *at, uint8_t *target)
{
    struct span text;
    size_t size;
    at = text_read(reader, at, &text);
    if (at == NULL) {
        return NULL;
    }
    uint8_t *bytes = arena_alloc(reader->arena, text.size / 4 * 3, 1);
    if (bytes == NULL) {
        return json_fail(reader, GYR_REASON_MEMORY);
    }
    if (base64_decode(bytes, &size, text) != 0) {
        return json_fail(reader, GYR_REASON_BASE64);
    }
    if (!size_fits(member, size)) {
        return json_fail(reader, GYR_REASON_SIZE);
    }
    span_store(target, span_of(bytes, size));
    return at;
}

static const uint8_t *enum_read(struct json_reader *reader, const struct gyr_member *member,
                                const uint8_t *at, uint8_t *target)
{
    unsigned marks;
    if (*at != '"') {
        return json_fail_type(reader, at);
    }
    const uint8_t *quote = scan_string(&reader->scan, at + 1, &marks);
    if (quote == NULL) {
        return json_fail(reader, GYR_REASON_MALFORMED);
    }
    struct span raw = span_of(at + 1, (size_t)(quote - at - 1));
    for (const struct gyr_enum_name *row = member->names; row->name != NULL; row++) {
        if (scan_equal(raw, marks, span_of(row->name, strlen(row->name)))) {
            integer_store(target, member->width, (uint64_t)row->value);
            return quote + 1;
        }
    }
    return json_fail(reader, GYR_REASON_NAME);
}

static const uint8_t *raw_read(struct json_reader *reader, const struct gyr_member *member,
                               const uint8_t *at, uint8_t *target)
{
    const uint8_t *behind = json_value_skip(reader, at);
    if (behind == NULL) {
        return NULL;
    }
    struct span raw = span_of(at, (size_t)(behind - at));
    if (!size_fits(member, raw.size)) {
        return json_fail(reader, GYR_REASON_SIZE);
    }
    span_store(target, raw);
    return behind;
}

static inline bool size_fits(const struct gyr_member *member, size_t size)
{
    return size >= member->size_min && (member->size_max == 0 || size <= member->size_max);
}

static inline void span_store(uint8_t *target, struct span text)
{
    struct gyr_span span = {(const char *)text.ptr, text.size};
    memcpy(target, &span, sizeof(span));
}
