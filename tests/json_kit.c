/* SPDX-License-Identifier: MIT */
#include "tests/json_kit.h"

#include "tests/parser_kit.h"

#include <stdlib.h>

#define READER_SIZE_MAX (1 << 20)

const char kit_all_text[] =
    "{\"flag\":true,\"i8\":-128,\"i16\":-32768,\"i32\":-2147483648,\"i64\":-9223372036854775808,"
    "\"u8\":255,\"u16\":65535,\"u32\":4294967295,\"u64\":18446744073709551615,\"real\":-2.5e-3,"
    "\"text\":\"a \\\"b\\\" \\u20ac\",\"bytes\":\"AAH/\",\"colour\":\"blue\",\"part\":{\"x\":1,"
    "\"label\":\"p\"},\"numbers\":[1,-2,3,4,5,6,7,8,9],\"parts\":[{\"x\":1},{\"x\":2,\"label\":"
    "\"\"},{\"x\":3},{\"x\":4},{\"x\":5}],\"words\":[\"one\",\"t\\u0077o\"],\"raw\":[1,{\"a\":"
    "null}],\"shape\":{\"type\":\"square\",\"side\":2,\"corner\":{\"x\":9}},\"preset\":21,"
    "\"maybe\":0,\"note\":\"\"}";
const char kit_least_text[] =
    "{\"flag\":false,\"i8\":0,\"i16\":0,\"i32\":0,\"i64\":0,\"u8\":0,\"u16\":0,\"u32\":0,"
    "\"u64\":0,\"real\":0,\"text\":\"\",\"bytes\":\"\",\"colour\":\"red\",\"part\":{\"x\":0},"
    "\"numbers\":[],\"parts\":[],\"words\":[],\"raw\":null,\"shape\":{\"type\":\"circle\","
    "\"radius\":1}}";

const struct json_form kit_flat = {.tag_name = SPAN_STATIC("type")};
const struct json_form kit_envelope = {.tag_name = SPAN_STATIC("type"),
                                       .payload_name = SPAN_STATIC("payload")};

void kit_reader_init(struct kit_reader *kit)
{
    memset(kit, 0, sizeof(*kit));
    arena_init(&kit->arena, READER_SIZE_MAX);
    if (json_reader_create(READER_SIZE_MAX, &kit->reader) != 0) {
        abort();
    }
}

void kit_reader_deinit(struct kit_reader *kit)
{
    if (kit->copy != NULL) {
        guard_free(kit->copy);
    }
    arena_deinit(&kit->arena);
    json_reader_destroy(kit->reader);
}

static int read_padded(struct kit_reader *kit, struct span text, int padding,
                       const struct json_read *how, void *value)
{
    uint8_t *bytes = malloc(text.size + JSON_PADDING);
    if (bytes == NULL) {
        abort();
    }
    if (text.size > 0) {
        memcpy(bytes, text.ptr, text.size);
    }
    memset(bytes + text.size, padding, JSON_PADDING);
    if (kit->copy != NULL) {
        guard_free(kit->copy);
    }
    kit->copy = guard_copy(bytes, text.size + JSON_PADDING);
    free(bytes);
    arena_reset(&kit->arena);
    memset(&kit->fault, 0, sizeof(kit->fault));
    return json_read(kit->reader, span_of(kit->copy, text.size), how, &kit->arena, value,
                     &kit->message, &kit->fault);
}

int kit_read(struct kit_reader *kit, struct span text, const struct json_read *how, void *value)
{
    static const char paddings[] = "}\"1] \\\t,{\xff";
    int first = read_padded(kit, text, 0, how, value);
    struct gyr_fault fault = kit->fault;
    for (size_t i = 0; i < sizeof(paddings) - 1; i++) {
        int err = read_padded(kit, text, paddings[i], how, value);
        EXPECT_INT(err, first, "what is behind a message makes no difference");
        EXPECT_INT(kit->fault.reason, fault.reason, "nor to its fault");
        EXPECT(strcmp(kit->fault.path, fault.path) == 0, "nor to where that is");
    }
    return first;
}

int kit_read_plain(struct kit_reader *kit, const char *text, const struct gyr_schema *schema,
                   void *value)
{
    struct json_read how = {.schema = schema};
    return kit_read(kit, kit_span(text), &how, value);
}
