/* SPDX-License-Identifier: MIT */
/* Fuzzes reading and writing JSON. The first byte says what is compared:
 *
 *   - reading a schema of all kinds, strict or lenient, with a plain decoder over simdjson's DOM:
 *     the same verdict, the same first reason, the same values; and what was read, written, reads
 *     as the same again;
 *   - the walker's verdict on any bytes with the DOM's;
 *   - the same text as a message by itself and as the payload of an envelope;
 *   - messages of any bytes, flat and in envelopes, with the walker's verdict.
 *
 * Where the two differ by intent docs/json.md says why: numbers beyond 64 bits and doubles, which
 * are JSON, and the limit of depth. */
#include "router/arena.h"
#include "router/json.h"
#include "tests/fuzz/json_dom.h"
#include "tests/json_kit.h"

#include <stdlib.h>

#define INPUT_SIZE_MAX 4096
#define ARENA_SIZE_MAX (1 << 22)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct reading {
    int err;
    struct kit_all value;
    struct json_message message;
    struct gyr_fault fault;
};

static void check(bool condition)
{
    if (!condition) {
        abort();
    }
}

static uint8_t *padded_copy(const void *text, size_t size)
{
    uint8_t *copy = malloc(size + JSON_PADDING);
    check(copy != NULL);
    if (size > 0) {
        memcpy(copy, text, size);
    }
    memset(copy + size, '}', JSON_PADDING);
    return copy;
}

static size_t depth_of(const uint8_t *text, size_t size)
{
    size_t depth = 0;
    size_t most = 0;
    bool in_string = false;
    for (size_t i = 0; i < size; i++) {
        if (in_string) {
            i += text[i] == '\\';
            in_string = i >= size || text[i] != '"' || text[i - 1] == '\\';
            continue;
        }
        in_string = text[i] == '"';
        depth += text[i] == '{' || text[i] == '[';
        depth -= (text[i] == '}' || text[i] == ']') && depth > 0;
        most = MAX(most, depth);
    }
    return most;
}

static void read_it(struct json_reader *reader, struct arena *arena, struct span text,
                    const struct json_read *how, struct reading *reading)
{
    arena_reset(arena);
    memset(&reading->fault, 0, sizeof(reading->fault));
    reading->err =
        json_read(reader, text, how, arena, &reading->value, &reading->message, &reading->fault);
    check((reading->err == 0) == (reading->fault.reason == GYR_REASON_NONE));
    check(memchr(reading->fault.path, '\0', GYR_FAULT_PATH_SIZE) != NULL);
}

static uint8_t *write_it(const struct kit_all *value, size_t *size)
{
    struct json_write how = {.form = NULL};
    check(json_write(&how, &kit_all_schema, value, NULL, 0, size) == GYR_ERR_LIMIT);
    uint8_t *bytes = malloc(*size + JSON_PADDING);
    size_t again;
    check(bytes != NULL);
    check(json_write(&how, &kit_all_schema, value, bytes, *size, &again) == 0 && again == *size);
    memset(bytes + *size, '1', JSON_PADDING);
    return bytes;
}

/* Both as texts, but for the sign of a zero that has no point: the DOM takes -0 for an integer. */
static bool same(const struct kit_all *a, const struct kit_all *b)
{
    struct kit_all copies[2] = {*a, *b};
    struct kit_square squares[2];
    uint8_t *texts[2];
    size_t sizes[2];
    for (unsigned i = 0; i < 2; i++) {
        copies[i].real += 0.0;
        copies[i].raw = json_dom_plain(copies[i].raw);
        if (copies[i].shape.schema == &kit_square_schema) {
            squares[i] = *(const struct kit_square *)copies[i].shape.value;
            squares[i].side += 0.0;
            copies[i].shape.value = &squares[i];
        }
        texts[i] = write_it(&copies[i], &sizes[i]);
    }
    bool equal = sizes[0] == sizes[1] && memcmp(texts[0], texts[1], sizes[0]) == 0;
    free(texts[0]);
    free(texts[1]);
    return equal;
}

/* What was read, is written, read and written: the same text. */
static void round_trip(struct json_reader *reader, struct arena *arena,
                       const struct reading *reading, bool is_lenient)
{
    struct json_read how = {.schema = &kit_all_schema, .is_lenient = is_lenient, .is_utf8 = true};
    struct reading back;
    size_t sizes[2];
    uint8_t *first = write_it(&reading->value, &sizes[0]);
    read_it(reader, arena, span_of(first, sizes[0]), &how, &back);
    check(back.err == 0);
    uint8_t *second = write_it(&back.value, &sizes[1]);
    check(sizes[0] == sizes[1] && memcmp(first, second, sizes[0]) == 0);
    free(first);
    free(second);
}

static void reading_fuzz(struct json_reader *reader, struct arena *arena, struct span text,
                         bool is_lenient)
{
    struct json_read how = {.schema = &kit_all_schema, .is_lenient = is_lenient};
    struct reading reading;
    struct kit_all other;
    enum json_dom_verdict verdict = json_dom_verdict((const char *)text.ptr, text.size);
    read_it(reader, arena, text, &how, &reading);
    if (reading.err == 0) {
        check(verdict != JSON_DOM_BROKEN);
    }
    if (verdict == JSON_DOM_SOUND && depth_of(text.ptr, text.size) <= GYR_DEPTH_MAX) {
        enum gyr_reason expected =
            json_dom_decode(&kit_all_schema, (const char *)text.ptr, text.size, is_lenient, &other);
        bool is_quoted = is_lenient && memchr(text.ptr, '\\', text.size) != NULL;
        /* Numbers in quotes may not be escaped, which the DOM does not tell. */
        if (!is_quoted) {
            check(reading.fault.reason == expected);
            check(expected != GYR_REASON_NONE || same(&reading.value, &other));
        }
    }
    if (reading.err == 0) {
        round_trip(reader, arena, &reading, is_lenient);
    }
}

static void walk_fuzz(const uint8_t *data, size_t size)
{
    enum gyr_reason reason;
    uint8_t *exact = malloc(size + 1);
    check(exact != NULL);
    memcpy(exact + 1, data, size);
    int err = json_walk(span_of(exact + 1, size), &reason);
    enum json_dom_verdict verdict = json_dom_verdict((const char *)data, size);
    check((err == 0) == (reason == GYR_REASON_NONE));
    if (reason == GYR_REASON_DEPTH) {
        check(depth_of(data, size) > GYR_DEPTH_MAX);
    } else if (verdict != JSON_DOM_NUMBER) {
        check((err == 0) == (verdict == JSON_DOM_SOUND));
    }
    free(exact);
}

static void envelope_fuzz(struct json_reader *reader, struct arena *arena, struct span text)
{
    static const struct json_form form = {.tag_name = SPAN_STATIC("type"),
                                          .payload_name = SPAN_STATIC("payload")};
    static const char head[] = "{\"type\":\"all\",\"id\":7,\"payload\":";
    struct json_read plain = {.schema = &kit_all_schema, .is_lenient = true};
    struct json_read how = {
        .form = &form, .tag = SPAN_LITERAL("all"), .schema = &kit_all_schema, .is_lenient = true};
    struct reading readings[2];
    read_it(reader, arena, text, &plain, &readings[0]);
    size_t size = sizeof(head) - 1 + text.size + 1;
    uint8_t *wrapped = malloc(size + JSON_PADDING);
    check(wrapped != NULL);
    memcpy(wrapped, head, sizeof(head) - 1);
    memcpy(wrapped + sizeof(head) - 1, text.ptr, text.size);
    memset(wrapped + size - 1, '}', JSON_PADDING + 1);
    read_it(reader, arena, span_of(wrapped, size), &how, &readings[1]);
    if (readings[0].err == 0 && readings[1].fault.reason != GYR_REASON_DEPTH) {
        check(readings[1].err == 0 && readings[1].message.has_payload);
        check(readings[1].message.id.size == 1 && *readings[1].message.id.ptr == '7');
    }
    free(wrapped);
}

/* Whatever bytes: what is taken is JSON, and what is told to be none is none. */
static void message_fuzz(struct json_reader *reader, struct arena *arena, struct span text,
                         const struct json_read *how)
{
    struct reading reading;
    enum gyr_reason reason;
    read_it(reader, arena, text, how, &reading);
    int err = json_walk(text, &reason);
    check(reading.err != 0 || err == 0);
    check(err != 0 || (reading.fault.reason != GYR_REASON_MALFORMED &&
                       reading.fault.reason != GYR_REASON_UTF8));
    check(how->schema != NULL || err == 0 || reading.fault.reason != GYR_REASON_NONE);
    check(reading.message.id.size <= JSON_ID_SIZE_MAX);
    check(reading.message.answer.size <= JSON_ID_SIZE_MAX);
}

static void messages_fuzz(struct json_reader *reader, struct arena *arena, struct span text)
{
    static const struct json_form forms[] = {
        {.tag_name = SPAN_STATIC("type")},
        {.tag_name = SPAN_STATIC("type"), .payload_name = SPAN_STATIC("payload")}};
    for (unsigned i = 0; i < 8; i++) {
        struct json_read how = {.form = &forms[i & 1],
                                .tag = SPAN_LITERAL("all"),
                                .schema = (i & 2) != 0 ? &kit_part_schema : NULL,
                                .is_lenient = (i & 4) != 0,
                                .is_payload_optional = (i & 4) != 0};
        message_fuzz(reader, arena, text, &how);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > INPUT_SIZE_MAX) {
        return 0;
    }
    struct json_reader *reader;
    struct arena arena;
    check(json_reader_create(INPUT_SIZE_MAX * 2, &reader) == 0);
    arena_init(&arena, ARENA_SIZE_MAX);
    uint8_t *copy = padded_copy(data + 1, size - 1);
    struct span text = span_of(copy, size - 1);
    switch (data[0] % 5) {
    case 0:
        reading_fuzz(reader, &arena, text, false);
        break;
    case 1:
        reading_fuzz(reader, &arena, text, true);
        break;
    case 2:
        walk_fuzz(data + 1, size - 1);
        break;
    case 3:
        envelope_fuzz(reader, &arena, text);
        break;
    default:
        messages_fuzz(reader, &arena, text);
        break;
    }
    free(copy);
    arena_deinit(&arena);
    json_reader_destroy(reader);
    return 0;
}
