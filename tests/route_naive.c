/* SPDX-License-Identifier: MIT */
/* The naive matcher: everything is decoded into buffers, numbers are right if they print as they
 * were written, and of a segment with several parameters a table says from which byte on which rest
 * of the template fits. */
#include "tests/route_naive.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ITEMS_MAX    128
#define SEGMENTS_MAX (NAIVE_PATH_MAX / 2 + 1)

/* A literal or a parameter of one segment of a template. */
struct item {
    struct span name; /* of a parameter; ptr NULL: a literal */
    char type[8];
    uint8_t literal[TEMPLATE_SIZE_MAX];
    size_t literal_size;
};

struct items {
    struct item item[ITEMS_MAX];
    size_t count;
};

struct segment {
    uint8_t bytes[NAIVE_PATH_MAX];
    size_t size;
};

static bool decode(struct span raw, struct segment *segment)
{
    segment->size = 0;
    for (size_t i = 0; i < raw.size; i++) {
        uint8_t byte = raw.ptr[i];
        if (byte == '%') {
            if (i + 2 >= raw.size || !isxdigit(raw.ptr[i + 1]) || !isxdigit(raw.ptr[i + 2])) {
                return false;
            }
            char digits[3] = {(char)raw.ptr[i + 1], (char)raw.ptr[i + 2], 0};
            byte = (uint8_t)strtoul(digits, NULL, 16);
            i += 2;
        }
        if (byte == 0) {
            return false;
        }
        segment->bytes[segment->size++] = byte;
    }
    return true;
}

/* Divide at slashes, without the first and one trailing one. */
static size_t divide(struct span text, struct span *parts, size_t capacity)
{
    size_t count = 0;
    size_t begin = 1;
    if (text.size > 1 && text.ptr[text.size - 1] == '/') {
        text.size--;
    }
    if (text.size == 1) {
        /* The root has no segment; of "//" the last slash was taken off, and one is empty. */
        return 0;
    }
    for (size_t i = 1; i <= text.size; i++) {
        if (i == text.size || text.ptr[i] == '/') {
            ASSERT(count < capacity);
            parts[count++] = span_of(text.ptr + begin, i - begin);
            begin = i + 1;
        }
    }
    return count;
}

static void items_read(struct span text, struct items *items)
{
    items->count = 0;
    for (size_t i = 0; i < text.size;) {
        struct item *item = &items->item[items->count++];
        ASSERT(items->count <= ITEMS_MAX);
        item->name.ptr = NULL;
        item->literal_size = 0;
        item->type[0] = 0;
        if (text.ptr[i] == '{' && text.ptr[i + 1] != '{') {
            size_t end = i;
            while (text.ptr[end] != '}') {
                end++;
            }
            size_t colon = i;
            while (colon < end && text.ptr[colon] != ':') {
                colon++;
            }
            item->name = span_of(text.ptr + i + 1, colon - i - 1);
            if (colon < end) {
                memcpy(item->type, text.ptr + colon + 1, end - colon - 1);
                item->type[end - colon - 1] = 0;
            }
            i = end + 1;
            continue;
        }
        while (i < text.size && (text.ptr[i] != '{' || text.ptr[i + 1] == '{')) {
            bool is_brace = text.ptr[i] == '{' || text.ptr[i] == '}';
            item->literal[item->literal_size++] = text.ptr[i];
            i += is_brace ? 2 : 1;
        }
    }
}

static bool item_takes(const struct item *item, const uint8_t *bytes, size_t size)
{
    char text[64];
    char printed[64];
    if (item->name.ptr == NULL) {
        return size == item->literal_size && memcmp(bytes, item->literal, size) == 0;
    }
    if (size == 0) {
        return false;
    }
    if (item->type[0] == 0 || strcmp(item->type, "path") == 0) {
        return true;
    }
    if (size >= sizeof(text)) {
        return false;
    }
    memcpy(text, bytes, size);
    text[size] = 0;
    if (strcmp(item->type, "uuid") == 0) {
        static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
        bool fits = strlen(text) == strlen(form);
        for (size_t i = 0; fits && i < size; i++) {
            fits = form[i] == '-' ? text[i] == '-' : isxdigit(bytes[i]) != 0;
        }
        return fits;
    }
    if (strcmp(item->type, "int") == 0) {
        (void)snprintf(printed, sizeof(printed), "%" PRId64, (int64_t)strtoll(text, NULL, 10));
    } else {
        (void)snprintf(printed, sizeof(printed), "%" PRIu64, (uint64_t)strtoull(text, NULL, 10));
    }
    return strcmp(text, printed) == 0;
}

/* How many bytes each item takes: the first one as many as possible, then the second, and so on. */
static bool items_match(const struct items *items, const struct segment *segment, size_t *sizes)
{
    size_t count = items->count;
    size_t row = segment->size + 1;
    /* fits[i * row + at]: items from i on take all bytes from `at` on. */
    uint8_t *fits = calloc(count + 1, row);
    ASSERT(fits != NULL);
    fits[count * row + segment->size] = 1;
    for (size_t i = count; i-- > 0;) {
        for (size_t at = 0; at < row; at++) {
            for (size_t end = at; fits[i * row + at] == 0 && end < row; end++) {
                fits[i * row + at] = fits[(i + 1) * row + end] != 0 &&
                                     item_takes(&items->item[i], segment->bytes + at, end - at);
            }
        }
    }
    bool matches = fits[0] != 0;
    size_t at = 0;
    for (size_t i = 0; matches && i < count; i++) {
        size_t end = segment->size;
        while (fits[(i + 1) * row + end] == 0 ||
               !item_takes(&items->item[i], segment->bytes + at, end - at)) {
            end--;
        }
        sizes[i] = end - at;
        at = end;
    }
    free(fits);
    return matches;
}

/* Of parameters with one name the last counts. */
static void names_take(struct naive_match *match, struct span *names)
{
    size_t left = 0;
    for (size_t i = 0; i < match->value_count; i++) {
        bool comes_again = false;
        for (size_t k = i + 1; k < match->value_count; k++) {
            comes_again = comes_again || span_equal(names[i], names[k]);
        }
        if (!comes_again) {
            memmove(&match->values[left++], &match->values[i], sizeof(match->values[i]));
        }
    }
    match->value_count = left;
}

static void value_add(struct naive_match *match, const uint8_t *bytes, size_t size)
{
    ASSERT(match->value_count < NAIVE_VALUES_MAX);
    struct naive_value *value = &match->values[match->value_count++];
    memcpy(value->bytes, bytes, size);
    value->size = size;
}

static bool template_fits(struct span text, const struct span *parts, size_t part_count,
                          struct span rest_of[], struct naive_match *match)
{
    static struct items items; /* large, and used by one thread */
    static struct segment segment;
    struct span segments[TEMPLATE_SEGMENTS_MAX];
    size_t count = divide(text, segments, COUNT_OF(segments));
    struct span names[NAIVE_VALUES_MAX];
    match->value_count = 0;
    for (size_t i = 0; i < count; i++) {
        size_t sizes[ITEMS_MAX];
        if (i >= part_count) {
            return false;
        }
        items_read(segments[i], &items);
        bool is_path = strcmp(items.item[0].type, "path") == 0;
        if (!decode(is_path ? rest_of[i] : parts[i], &segment) ||
            !items_match(&items, &segment, sizes)) {
            return false;
        }
        size_t at = 0;
        for (size_t k = 0; k < items.count; k++) {
            struct span name = items.item[k].name;
            if (name.ptr != NULL) {
                names[match->value_count] = name;
                value_add(match, segment.bytes + at, sizes[k]);
            }
            at += sizes[k];
        }
        if (is_path) {
            part_count = count;
        }
    }
    names_take(match, names);
    return count == part_count;
}

enum route_status naive_find(const struct route_entry *entries, size_t count, struct span path,
                             uint16_t method, struct naive_match *match)
{
    static struct segment whole;
    struct span parts[SEGMENTS_MAX];
    struct span rest_of[SEGMENTS_MAX];
    ASSERT(path.size <= NAIVE_PATH_MAX);
    if (path.size == 0 || path.ptr[0] != '/') {
        return ROUTE_NOT_FOUND;
    }
    if (!decode(path, &whole)) {
        return ROUTE_BAD_PATH;
    }
    for (size_t i = 1; i < path.size; i++) {
        if (path.ptr[i] == '/' && path.ptr[i - 1] == '/') {
            return ROUTE_NOT_FOUND;
        }
    }
    size_t part_count = divide(path, parts, COUNT_OF(parts));
    for (size_t i = 0; i < part_count; i++) {
        const struct span *last = &parts[part_count - 1];
        rest_of[i] = span_of(parts[i].ptr, (size_t)(last->ptr + last->size - parts[i].ptr));
    }
    uint16_t allowed = 0;
    for (size_t i = 0; i < count; i++) {
        if (!template_fits(template_text(entries[i].template), parts, part_count, rest_of, match)) {
            continue;
        }
        allowed |= entries[i].methods;
        if ((entries[i].methods & method) != 0) {
            match->index = i;
            match->methods = entries[i].methods;
            return ROUTE_FOUND;
        }
    }
    match->methods = allowed;
    return allowed != 0 ? ROUTE_NOT_ALLOWED : ROUTE_NOT_FOUND;
}

static bool is_dots(const uint8_t *bytes, size_t size)
{
    return (size == 1 && bytes[0] == '.') || (size == 2 && bytes[0] == '.' && bytes[1] == '.');
}

bool naive_can_be_written(struct span path, const struct template *template,
                          const struct naive_match *match)
{
    static struct segment segment;
    struct span parts[SEGMENTS_MAX];
    size_t part_count = divide(path, parts, COUNT_OF(parts));
    for (size_t i = 0; i < part_count; i++) {
        if (!decode(parts[i], &segment) || is_dots(segment.bytes, segment.size)) {
            return false;
        }
    }
    for (size_t i = 0; i < match->value_count; i++) {
        const struct naive_value *value = &match->values[i];
        if (template_param(template, i).type != PARAM_PATH) {
            continue;
        }
        size_t begin = 0;
        for (size_t k = 0; k <= value->size; k++) {
            if (k == value->size || value->bytes[k] == '/') {
                if (k == begin || is_dots(value->bytes + begin, k - begin)) {
                    return false;
                }
                begin = k + 1;
            }
        }
    }
    return true;
}
