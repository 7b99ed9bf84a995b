/* SPDX-License-Identifier: MIT */
/* Fuzzes the lines of the log. The first byte says the format; the rest are values, each behind a
 * byte with its size.
 *
 * Every line must be printable ASCII of one line, be read again by a parser of its own, have its
 * members in their order, and give back the bytes of each value (in JSON: if they are UTF-8) unless
 * the line says that it was cut. */
#include "base/simdjson_shim.h"
#include "engine/log.h"
#include "tests/json_check.h"

#include <stdio.h>
#include <stdlib.h>

#define VALUES_MAX  16
#define HEAD_COUNT  3 /* time, level, event */
#define HEAD_TEXT   "1970-01-01T00:00:00.000Z warning fuzz"
#define DECODED_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void line_check_json(struct span line, const struct span *values, int count);
static void line_check_text(struct span line, const struct span *values, int count);
static size_t text_decode(struct span *rest, uint8_t *bytes);

static void check(bool condition)
{
    if (!condition) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    struct span values[VALUES_MAX];
    int count = 0;
    struct log_line line;
    enum gyr_log_format format = data[0] % 2 == 0 ? GYR_LOG_TEXT : GYR_LOG_JSON;
    log_begin(&line, format, GYR_LOG_WARNING, "fuzz", 0);
    for (size_t at = 1; at < size && count < VALUES_MAX; count++) {
        size_t value_size = MIN(data[at], size - at - 1);
        values[count] = span_of(data + at + 1, value_size);
        char name[8];
        (void)snprintf(name, sizeof(name), "v%d", count);
        log_span(&line, name, values[count]);
        at += 1 + value_size;
    }
    struct gyr_span text = log_end(&line);
    check(text.size <= LOG_LINE_SIZE);
    struct span whole = span_of(text.ptr, text.size);
    for (size_t i = 0; i < whole.size; i++) {
        check(whole.ptr[i] >= ' ' && whole.ptr[i] <= '~');
    }
    if (format == GYR_LOG_JSON) {
        line_check_json(whole, values, count);
    } else {
        line_check_text(whole, values, count);
    }
    return 0;
}

static void line_check_json(struct span line, const struct span *values, int count)
{
    struct json_member members[HEAD_COUNT + VALUES_MAX + 1];
    int found = json_check(line, members, COUNT_OF(members));
    check(found >= HEAD_COUNT);
    bool cut = span_equal(members[found - 1].name, SPAN_LITERAL("cut"));
    found -= HEAD_COUNT + cut;
    check(cut ? found <= count : found == count);
    for (int i = 0; i < found; i++) {
        uint8_t decoded[DECODED_MAX];
        const struct json_member *member = &members[HEAD_COUNT + i];
        check(member->is_string);
        int size = json_decode(member->value, decoded, sizeof(decoded));
        check(size >= 0);
        if (!simdjson_shim_utf8_is_valid(values[i].ptr, values[i].size)) {
            continue;
        }
        check((size_t)size == values[i].size || (cut && (size_t)size < values[i].size));
        check(memcmp(decoded, values[i].ptr, (size_t)size) == 0);
    }
}

static void line_check_text(struct span line, const struct span *values, int count)
{
    static const char cut_end[] = " cut=1";
    size_t head_size = sizeof(HEAD_TEXT) - 1;
    size_t end_size = sizeof(cut_end) - 1;
    check(line.size >= head_size && memcmp(line.ptr, HEAD_TEXT, head_size) == 0);
    bool cut =
        line.size >= end_size && memcmp(line.ptr + line.size - end_size, cut_end, end_size) == 0;
    struct span rest = span_of(line.ptr + head_size, line.size - head_size);
    rest.size -= cut ? end_size : 0;
    int found = 0;
    for (; rest.size > 0; found++) {
        char name[16];
        uint8_t decoded[LOG_LINE_SIZE];
        int name_size = snprintf(name, sizeof(name), " v%d=", found);
        check(name_size > 0 && found < count && rest.size >= (size_t)name_size);
        check(memcmp(rest.ptr, name, (size_t)name_size) == 0);
        rest = span_of(rest.ptr + name_size, rest.size - (size_t)name_size);
        size_t size = text_decode(&rest, decoded);
        check(size == values[found].size || (cut && size < values[found].size));
        check(memcmp(decoded, values[found].ptr, size) == 0);
    }
    check(cut || found == count);
}

/* The bytes of a value, with or without quotes, which is taken from `rest`. */
static size_t text_decode(struct span *rest, uint8_t *bytes)
{
    size_t at = 0;
    size_t size = 0;
    bool quoted = rest->size > 0 && rest->ptr[0] == '"';
    at += quoted;
    while (at < rest->size && rest->ptr[at] != (quoted ? '"' : ' ')) {
        uint8_t byte = rest->ptr[at++];
        check(quoted || (byte != '"' && byte != '=' && byte != '\\'));
        if (byte == '\\') {
            unsigned value = 0;
            char hex[3] = {0};
            check(rest->size - at >= 3 && rest->ptr[at] == 'x');
            memcpy(hex, rest->ptr + at + 1, 2);
            check(sscanf(hex, "%2x", &value) == 1);
            byte = (uint8_t)value;
            at += 3;
        }
        bytes[size++] = byte;
    }
    if (quoted) {
        check(at < rest->size);
        at++;
    }
    *rest = span_of(rest->ptr + at, rest->size - at);
    return size;
}
