/* SPDX-License-Identifier: MIT */
/* Ranges of bytes (RFC 9110 sections 14.1.2, 14.2 and 14.4). */
#include "proto/http_range.h"

#include "proto/http_byte.h"
#include "proto/http_list.h"

static bool number_take(struct span *text, uint64_t *value);
static enum http_range_kind spec_parse(struct span spec, uint64_t size, struct http_part *part);

enum http_range_kind http_range_parse(struct span value, uint64_t size, struct http_part *part)
{
    static const struct span UNIT = SPAN_STATIC("bytes=");
    if (value.size < UNIT.size || !span_equal_nocase(span_of(value.ptr, UNIT.size), UNIT)) {
        return HTTP_RANGE_NONE;
    }
    struct span list = span_of(value.ptr + UNIT.size, value.size - UNIT.size);
    struct span spec = {0};
    struct span second;
    if (!http_list_next(&list, &spec) || http_list_next(&list, &second)) {
        return HTTP_RANGE_NONE; /* no range, or several */
    }
    return spec_parse(spec, size, part);
}

static enum http_range_kind spec_parse(struct span spec, uint64_t size, struct http_part *part)
{
    uint64_t first = 0;
    uint64_t last = UINT64_MAX;
    bool has_first = number_take(&spec, &first);
    if (spec.size == 0 || spec.ptr[0] != '-') {
        return HTTP_RANGE_NONE;
    }
    spec = span_of(spec.ptr + 1, spec.size - 1);
    bool has_last = number_take(&spec, &last);
    if (spec.size != 0 || (!has_first && !has_last)) {
        return HTTP_RANGE_NONE;
    }
    if (!has_first) {
        if (last == 0) {
            return HTTP_RANGE_UNSATISFIABLE;
        }
        /* The last bytes of nothing are satisfiable, and no Content-Range could say so. */
        *part = (struct http_part){.first = size - MIN(last, size), .size = MIN(last, size)};
        return size == 0 ? HTTP_RANGE_NONE : HTTP_RANGE_PART;
    }
    if (last < first) {
        return HTTP_RANGE_NONE;
    }
    if (first >= size) {
        return HTTP_RANGE_UNSATISFIABLE;
    }
    *part = (struct http_part){.first = first, .size = MIN(last, size - 1) - first + 1};
    return HTTP_RANGE_PART;
}

/* Digits, if there are any; what is too large for the result counts as the largest. */
static bool number_take(struct span *text, uint64_t *value)
{
    uint64_t number = 0;
    size_t count = 0;
    while (count < text->size && http_byte_is(text->ptr[count], HTTP_BYTE_DIGIT)) {
        uint64_t digit = (uint64_t)(text->ptr[count] - '0');
        number = number > (UINT64_MAX - digit) / 10 ? UINT64_MAX : number * 10 + digit;
        count++;
    }
    if (count == 0) {
        return false;
    }
    *text = span_of(text->ptr + count, text->size - count);
    *value = number;
    return true;
}

static size_t number_write(uint8_t *text, uint64_t value)
{
    uint8_t digits[20];
    size_t count = 0;
    do {
        digits[count++] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    for (size_t i = 0; i < count; i++) {
        text[i] = digits[count - 1 - i];
    }
    return count;
}

size_t http_content_range_write(uint8_t text[HTTP_CONTENT_RANGE_SIZE], const struct http_part *part,
                                uint64_t size)
{
    static const char UNIT[] = "bytes ";
    size_t at = sizeof(UNIT) - 1;
    memcpy(text, UNIT, at);
    if (part == NULL) {
        text[at++] = '*';
    } else {
        ASSERT(part->size > 0 && part->first < size && part->size <= size - part->first);
        at += number_write(text + at, part->first);
        text[at++] = '-';
        at += number_write(text + at, part->first + part->size - 1);
    }
    text[at++] = '/';
    at += number_write(text + at, size);
    ASSERT(at <= HTTP_CONTENT_RANGE_SIZE);
    return at;
}
