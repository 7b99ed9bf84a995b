/* SPDX-License-Identifier: MIT */
/* Messages as a whole: tag, ids and payload, flat and in an envelope; and the limits. */
#include "tests/json_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>

#define R(name) GYR_REASON_##name

enum mode {
    FLAT = 1,
    ENVELOPE = 2,
    LENIENT = 4,
    OPTIONAL = 8,
    NO_SCHEMA = 16
};

static const struct {
    int mode;
    const char *text;
    enum gyr_reason reason;
    const char *path;
    const char *id;
    const char *answer;
    const char *payload; /* NULL: none */
} rows[] = {
    {FLAT, "{\"type\":\"part\",\"x\":1}", 0, "", "", "", "{\"type\":\"part\",\"x\":1}"},
    {FLAT, " {\"x\":1,\"type\":\"part\"}\n", 0, "", "", "", "{\"x\":1,\"type\":\"part\"}"},
    {FLAT, "{\"t\\u0079pe\":\"p\\u0061rt\",\"x\":1}", 0, "", "", "",
     "{\"t\\u0079pe\":\"p\\u0061rt\",\"x\":1}"},
    {FLAT, "{\"type\":\"part\",\"id\":17,\"x\":1}", 0, "", "17", "",
     "{\"type\":\"part\",\"id\":17,\"x\":1}"},
    {FLAT, "{\"re\":\"a\\n\",\"type\":\"part\",\"x\":1,\"id\":-1.5e3}", 0, "", "-1.5e3", "\"a\\n\"",
     "{\"re\":\"a\\n\",\"type\":\"part\",\"x\":1,\"id\":-1.5e3}"},
    {FLAT, "{\"type\":\"part\",\"id\":1,\"id\":2,\"x\":1}", 0, "", "2", "",
     "{\"type\":\"part\",\"id\":1,\"id\":2,\"x\":1}"},
    {FLAT, "{\"type\":\"part\",\"type\":\"part\",\"x\":1}", 0, "", "", "",
     "{\"type\":\"part\",\"type\":\"part\",\"x\":1}"},
    {FLAT | LENIENT, "{\"type\":\"part\",\"x\":\"1\",\"y\":[{}]}", 0, "", "", "",
     "{\"type\":\"part\",\"x\":\"1\",\"y\":[{}]}"},
    {FLAT | NO_SCHEMA, "{\"type\":\"part\",\"z\":[],\"id\":1}", 0, "", "1", "",
     "{\"type\":\"part\",\"z\":[],\"id\":1}"},
    {FLAT, "{\"type\":\"part\",\"x\":1,\"type\":\"other\",\"id\":3}", R(TAG_TWICE), "type", "3", "",
     NULL},
    {FLAT, "{\"type\":\"part\",\"x\":1,\"type\":5,\"id\":3}", R(TAG_TYPE), "type", "3", "", NULL},
    {FLAT, "{\"type\":\"part\",\"x\":1,\"type\":null}", R(TAG_TYPE), "type", "", "", NULL},
    {FLAT, "{\"type\":\"part\",\"x\":1,\"type\":\"p}", R(MALFORMED), "type", "", "", NULL},
    {FLAT, "{\"x\":1}", R(NO_TAG), "", "", "", NULL},
    {FLAT, "{\"type\":\"part\"}", R(MISSING), "x", "", "", NULL},
    {FLAT, "{\"type\":\"part\",}", R(MALFORMED), "", "", "", NULL},
    {FLAT, "{\"type\":\"part\",\"y\":1,\"id\":\"i\"}", R(UNKNOWN_MEMBER), "y", "\"i\"", "", NULL},
    {FLAT, "{\"type\":\"part\",\"payload\":{\"x\":1}}", R(UNKNOWN_MEMBER), "payload", "", "", NULL},
    {FLAT, "{\"type\":\"part\",\"x\":1,\"id\":null}", R(ID), "id", "", "", NULL},
    {FLAT, "{\"type\":\"part\",\"x\":1,\"id\":true}", R(ID), "id", "", "", NULL},
    {FLAT, "{\"type\":\"part\",\"x\":1,\"id\":{}}", R(ID), "id", "", "", NULL},
    {FLAT, "{\"type\":\"part\",\"x\":1,\"re\":[1]}", R(ID), "re", "", "", NULL},
    {FLAT, "{\"type\":\"part\",\"x\":1,\"id\":01}", R(MALFORMED), "", "", "", NULL},
    {FLAT | LENIENT, "{\"type\":\"part\",\"x\":1,\"id\":[]}", R(ID), "id", "", "", NULL},
    {FLAT | NO_SCHEMA, "{\"type\":\"part\",\"z\":01}", R(MALFORMED), "", "", "", NULL},
    {FLAT | NO_SCHEMA, "{\"type\":\"part\",\"z\":{}", R(MALFORMED), "", "", "", NULL},
    {FLAT, "{\"type\":\"part\"", R(MALFORMED), "", "", "", NULL},
    {FLAT, "[]", R(NOT_OBJECT), "", "", "", NULL},
    {FLAT, "{\"type\":\"part\",\"x\":1,\"label\":\"\xff\",\"id\":4}", R(UTF8), "", "4", "", NULL},

    {ENVELOPE, "{\"type\":\"part\",\"payload\":{\"x\":1}}", 0, "", "", "", "{\"x\":1}"},
    {ENVELOPE, "{ \"payload\" : { \"x\" : 1 } , \"re\" : 5 , \"type\" : \"part\" }", 0, "", "", "5",
     "{ \"x\" : 1 }"},
    {ENVELOPE, "{\"type\":\"part\",\"extra\":[{}],\"payload\":{\"x\":1}}", 0, "", "", "",
     "{\"x\":1}"},
    {ENVELOPE, "{\"type\":\"part\",\"payload\":null,\"payload\":{\"x\":2}}", 0, "", "", "",
     "{\"x\":2}"},
    {ENVELOPE | OPTIONAL, "{\"type\":\"part\"}", 0, "", "", "", NULL},
    {ENVELOPE | OPTIONAL, "{\"type\":\"part\",\"payload\":null}", 0, "", "", "", NULL},
    {ENVELOPE | NO_SCHEMA, "{\"type\":\"part\"}", 0, "", "", "", NULL},
    {ENVELOPE | NO_SCHEMA, "{\"type\":\"part\",\"payload\":null}", 0, "", "", "", NULL},
    {ENVELOPE | NO_SCHEMA, "{\"type\":\"part\",\"payload\":[1, {}]}", 0, "", "", "", "[1, {}]"},
    {ENVELOPE | NO_SCHEMA, "{\"type\":\"part\",\"payload\":0}", 0, "", "", "", "0"},
    {ENVELOPE, "{\"type\":\"part\",\"id\":8}", R(MISSING), "payload", "8", "", NULL},
    {ENVELOPE, "{\"type\":\"part\",\"payload\":null}", R(TYPE), "payload", "", "", NULL},
    {ENVELOPE, "{\"type\":\"part\",\"payload\":[]}", R(TYPE), "payload", "", "", NULL},
    {ENVELOPE, "{\"type\":\"part\",\"payload\":\"x\"}", R(TYPE), "payload", "", "", NULL},
    {ENVELOPE, "{\"type\":\"part\",\"payload\":{\"x\":1},\"payload\":null}", R(TYPE), "payload", "",
     "", NULL},
    {ENVELOPE | OPTIONAL, "{\"type\":\"part\",\"payload\":{}}", R(MISSING), "payload.x", "", "",
     NULL},
    {ENVELOPE | OPTIONAL, "{\"type\":\"part\",\"payload\":5}", R(TYPE), "payload", "", "", NULL},
    {ENVELOPE, "{\"type\":\"part\",\"payload\":{\"x\":1,\"id\":1}}", R(UNKNOWN_MEMBER),
     "payload.id", "", "", NULL},
    {ENVELOPE, "{\"type\":\"part\",\"payload\":{\"x\":1,\"type\":\"part\"}}", R(UNKNOWN_MEMBER),
     "payload.type", "", "", NULL},
    {ENVELOPE, "{\"type\":\"part\",\"payload\":{\"x\":1},\"type\":\"p\"}", R(TAG_TWICE), "type", "",
     "", NULL},
    {ENVELOPE, "{\"type\":\"part\",\"payload\":{\"x\":1},\"id\":[]}", R(ID), "id", "", "", NULL},
    {ENVELOPE, "{\"payload\":{\"x\":1}}", R(NO_TAG), "", "", "", NULL},
    {ENVELOPE, "{}", R(MISSING), "payload", "", "", NULL},
    {ENVELOPE | OPTIONAL, "{}", R(NO_TAG), "", "", "", NULL},
    {ENVELOPE, "{\"type\":\"part\",\"payload\":{\"x\":1},\"z\":tru}", R(MALFORMED), "", "", "",
     NULL},
    {ENVELOPE, "{\"type\":\"part\",\"payload\":{\"x\":1}", R(MALFORMED), "payload.x", "", "", NULL},
    {ENVELOPE, "{\"type\":\"part\",\"payload\":{\"x\":1},}", R(MALFORMED), "", "", "", NULL},
    {ENVELOPE, "{\"type\":\"part\" \"payload\":{\"x\":1}}", R(MALFORMED), "", "", "", NULL},
    {ENVELOPE, "{\"type\":\"part\",\"payload\":nul}", R(MALFORMED), "", "", "", NULL},
    {ENVELOPE | NO_SCHEMA, "{\"type\":\"part\",\"payload\":[}", R(MALFORMED), "", "", "", NULL},
};

void json_read_finds_tag_ids_and_payload(void)
{
    struct kit_reader kit;
    kit_reader_init(&kit);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kit_part part;
        int mode = rows[i].mode;
        struct json_read how = {.form = (mode & FLAT) != 0 ? &kit_flat : &kit_envelope,
                                .tag = SPAN_LITERAL("part"),
                                .schema = (mode & NO_SCHEMA) != 0 ? NULL : &kit_part_schema,
                                .is_lenient = (mode & LENIENT) != 0,
                                .is_payload_optional = (mode & OPTIONAL) != 0};
        int err = kit_read(&kit, kit_span(rows[i].text), &how, &part);
        EXPECT_INT(err, rows[i].reason == 0 ? 0 : GYR_ERR_MESSAGE, rows[i].text);
        EXPECT_INT(kit.fault.reason, rows[i].reason, rows[i].text);
        EXPECT_SPAN(kit_span(kit.fault.path), rows[i].path, rows[i].text);
        EXPECT_SPAN(kit.message.id, rows[i].id, rows[i].text);
        EXPECT_SPAN(kit.message.answer, rows[i].answer, rows[i].text);
        if (err == 0) {
            EXPECT_INT(kit.message.has_payload, rows[i].payload != NULL, rows[i].text);
        }
        if (rows[i].payload != NULL) {
            EXPECT_SPAN(kit.message.payload, rows[i].payload, rows[i].text);
        }
    }
    kit_reader_deinit(&kit);
}

void json_read_takes_ids_of_up_to_64_bytes(void)
{
    struct kit_reader kit;
    kit_reader_init(&kit);
    for (size_t size = 60; size < 70; size++) {
        for (unsigned is_number = 0; is_number < 2; is_number++) {
            char id[80] = {is_number ? '1' : '"'};
            char text[160];
            struct kit_part part;
            struct json_read how = {
                .form = &kit_flat, .tag = SPAN_LITERAL("part"), .schema = &kit_part_schema};
            memset(id + 1, '7', size);
            id[1 + size] = is_number ? '\0' : '"';
            (void)snprintf(text, sizeof(text), "{\"type\":\"part\",\"x\":1,\"id\":%s}", id);
            int err = kit_read(&kit, kit_span(text), &how, &part);
            bool fits = strlen(id) <= JSON_ID_SIZE_MAX;
            EXPECT_INT(err, fits ? 0 : GYR_ERR_MESSAGE, id);
            EXPECT_INT(kit.fault.reason, fits ? 0 : R(ID), id);
            EXPECT_SPAN(kit.message.id, fits ? id : "", id);
        }
    }
    kit_reader_deinit(&kit);
}

struct own_id {
    int64_t id;
    int32_t x;
};
GYR_MESSAGE(own_id, "own", GYR_MEMBER(own_id, id), GYR_MEMBER(own_id, x, GYR_OPTIONAL));

void json_read_leaves_an_id_to_the_message_that_has_one(void)
{
    struct kit_reader kit;
    struct own_id own;
    struct json_read how = {
        .form = &kit_flat, .tag = SPAN_LITERAL("own"), .schema = &own_id_schema};
    kit_reader_init(&kit);
    struct span text = SPAN_LITERAL("{\"type\":\"own\",\"i\\u0064\":5,\"re\":\"x\"}");
    CU_ASSERT_EQUAL(kit_read(&kit, text, &how, &own), 0);
    CU_ASSERT_EQUAL(own.id, 5);
    EXPECT_SPAN(kit.message.id, "", "it is the member's");
    EXPECT_SPAN(kit.message.answer, "\"x\"", "nobody else has this");
    static const char *const refused[] = {
        "{\"type\":\"own\",\"id\":\"5\"}",       "{\"type\":\"own\",\"id\":null}",
        "{\"type\":\"own\",\"id\":5,\"x\":{}}",  "{\"id\":5,\"type\":\"own\",\"y\":1}",
        "{\"id\":5,\"type\":\"other\",\"x\":1}",
    };
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        CU_ASSERT_EQUAL(kit_read(&kit, kit_span(refused[i]), &how, &own), GYR_ERR_MESSAGE);
        EXPECT_SPAN(kit.message.id, "", refused[i]);
    }
    how.form = &kit_envelope;
    text = SPAN_LITERAL("{\"type\":\"own\",\"id\":7,\"payload\":{\"id\":5}}");
    CU_ASSERT_EQUAL(kit_read(&kit, text, &how, &own), 0);
    CU_ASSERT_EQUAL(own.id, 5);
    EXPECT_SPAN(kit.message.id, "7", "in an envelope there are two");
    kit_reader_deinit(&kit);
}

struct list {
    const int32_t *n;
    size_t n_count;
    struct gyr_span raw;
};
GYR_PART(list, GYR_ARRAY(list, n, n_count, GYR_OPTIONAL, GYR_COUNT(2, 5)),
         GYR_RAW(list, raw, GYR_OPTIONAL));
struct longer {
    const uint8_t *n;
    size_t n_count;
};
GYR_PART(longer, GYR_ARRAY(longer, n, n_count));
struct parts {
    const struct kit_part *part;
    size_t count;
};
GYR_PART(parts, GYR_ARRAY_OF(parts, part, count, kit_part, GYR_COUNT(1, 6)));

void json_read_counts_items(void)
{
    struct kit_reader kit;
    kit_reader_init(&kit);
    for (size_t count = 0; count < 10; count++) {
        char numbers[64] = "{\"n\":[";
        char structures[128] = "{\"part\":[";
        struct list list;
        struct parts parts;
        for (size_t i = 0; i < count; i++) {
            (void)snprintf(numbers + strlen(numbers), 8, "%s%zu", i > 0 ? "," : "", i);
            (void)snprintf(structures + strlen(structures), 16, "%s{\"x\":%zu}", i > 0 ? "," : "",
                           i);
        }
        (void)snprintf(numbers + strlen(numbers), 3, "]}");
        (void)snprintf(structures + strlen(structures), 3, "]}");
        bool fits = count >= 2 && count <= 5;
        EXPECT_INT(kit_read_plain(&kit, numbers, &list_schema, &list), fits ? 0 : GYR_ERR_MESSAGE,
                   numbers);
        EXPECT_INT(kit.fault.reason, fits ? 0 : R(COUNT), numbers);
        EXPECT_SPAN(kit_span(kit.fault.path), fits ? "" : "n", numbers);
        EXPECT(!fits || (list.n_count == count && list.n[count - 1] == (int32_t)count - 1),
               numbers);
        fits = count >= 1 && count <= 6;
        EXPECT_INT(kit_read_plain(&kit, structures, &parts_schema, &parts),
                   fits ? 0 : GYR_ERR_MESSAGE, structures);
        EXPECT_INT(kit.fault.reason, fits ? 0 : R(COUNT), structures);
        EXPECT_SPAN(kit_span(kit.fault.path), fits ? "" : "part", structures);
        EXPECT(!fits || (parts.count == count && parts.part[count - 1].x == (int32_t)count - 1),
               structures);
    }
    /* Without a maximum of its own an array has the usual one. */
    size_t size_max = 2 * (size_t)GYR_COUNT_MAX_DEFAULT + 16;
    char *text = malloc(size_max + 8);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    for (size_t extra = 0; extra < 2; extra++) {
        struct longer longer;
        char *at = text + sprintf(text, "{\"n\":[");
        for (size_t i = 0; i < GYR_COUNT_MAX_DEFAULT + extra; i++) {
            *at++ = '7';
            *at++ = ',';
        }
        memcpy(at - 1, "]}", 3);
        EXPECT_INT(kit_read_plain(&kit, text, &longer_schema, &longer),
                   extra == 0 ? 0 : GYR_ERR_MESSAGE, "the usual maximum");
        EXPECT_INT(kit.fault.reason, extra == 0 ? 0 : R(COUNT), "the usual maximum");
    }
    free(text);
    kit_reader_deinit(&kit);
}

void json_read_limits_depth_everywhere(void)
{
    struct kit_reader kit;
    kit_reader_init(&kit);
    for (size_t depth = 1; depth < 80; depth++) {
        char text[256] = "{\"raw\":";
        struct list list;
        size_t head = strlen(text);
        memset(text + head, '[', depth);
        memset(text + head + depth, ']', depth);
        text[head + 2 * depth] = '}';
        bool fits = depth + 1 <= GYR_DEPTH_MAX;
        EXPECT_INT(kit_read_plain(&kit, text, &list_schema, &list), fits ? 0 : GYR_ERR_MESSAGE,
                   "raw");
        EXPECT_INT(kit.fault.reason, fits ? 0 : R(DEPTH), "raw");
        EXPECT_SPAN(kit_span(kit.fault.path), fits ? "" : "raw", "raw");
        memcpy(text, "{\"why\":", 7);
        struct json_read how = {.schema = &list_schema, .is_lenient = true};
        EXPECT_INT(kit_read(&kit, kit_span(text), &how, &list), fits ? 0 : GYR_ERR_MESSAGE,
                   "skipped");
        memcpy(text, "{\"payload\":", 11);
        memset(text + 11, '[', depth);
        memset(text + 11 + depth, ']', depth);
        (void)snprintf(text + 11 + 2 * depth, 20, ",\"type\":\"x\"}");
        how = (struct json_read){.form = &kit_envelope, .tag = SPAN_LITERAL("x")};
        EXPECT_INT(kit_read(&kit, kit_span(text), &how, NULL), fits ? 0 : GYR_ERR_MESSAGE,
                   "payload");
    }
    kit_reader_deinit(&kit);
}

void json_read_limits_size_and_memory(void)
{
    struct json_reader *reader;
    struct arena arena;
    struct json_message message;
    struct gyr_fault fault = {0};
    struct kit_part part;
    struct json_read how = {.schema = &kit_part_schema};
    uint8_t text[64 + JSON_PADDING] = "{\"x\":1,\"label\":\"a\\n\"}";
    size_t size = strlen((char *)text);
    arena_init(&arena, 0);
    CU_ASSERT_EQUAL_FATAL(json_reader_create(size, &reader), 0);
    CU_ASSERT_EQUAL(json_read(reader, span_of(text, size), &how, &arena, &part, &message, &fault),
                    GYR_ERR_MEMORY);
    CU_ASSERT_EQUAL(fault.reason, R(MEMORY));
    CU_ASSERT_STRING_EQUAL(fault.path, "label");
    CU_ASSERT_EQUAL(
        json_read(reader, span_of(text, size + 1), &how, &arena, &part, &message, &fault),
        GYR_ERR_MESSAGE);
    CU_ASSERT_EQUAL(fault.reason, R(SIZE));
    CU_ASSERT_STRING_EQUAL(fault.path, "");
    /* Who does not ask is not told. */
    CU_ASSERT_EQUAL(json_read(reader, span_of(text, size + 1), &how, &arena, &part, &message, NULL),
                    GYR_ERR_MESSAGE);
    json_reader_destroy(reader);
    arena_deinit(&arena);
}

void json_read_cuts_long_paths_at_a_character(void)
{
    struct kit_reader kit;
    kit_reader_init(&kit);
    for (size_t size = 100; size < 300; size++) {
        for (size_t shift = 0; shift < 3; shift++) {
            char text[400] = "{\"";
            size_t at = 2;
            for (size_t i = 0; i < shift; i++) {
                text[at++] = 'a';
            }
            while (at + 3 <= size + 2) {
                memcpy(text + at, "\xe2\x82\xac", 3);
                at += 3;
            }
            size_t name_size = at - 2;
            memcpy(text + at, "\":1}", 5);
            struct kit_part part;
            EXPECT_INT(kit_read_plain(&kit, text, &kit_part_schema, &part), GYR_ERR_MESSAGE,
                       "unknown");
            size_t path_size = strlen(kit.fault.path);
            if (name_size < GYR_FAULT_PATH_SIZE) {
                EXPECT_INT(path_size, name_size, "whole");
            } else {
                EXPECT(path_size > GYR_FAULT_PATH_SIZE - 8 && path_size < GYR_FAULT_PATH_SIZE,
                       "nearly all");
                EXPECT(strcmp(kit.fault.path + path_size - 3, "...") == 0, "marked");
                EXPECT_INT((path_size - 3 - shift) % 3, 0, "whole characters");
            }
        }
    }
    kit_reader_deinit(&kit);
}

/* The text message has been checked by the engine: then it is not looked at again. */
void json_read_believes_that_text_is_utf_8(void)
{
    struct kit_reader kit;
    struct kit_part part;
    struct json_read how = {.schema = &kit_part_schema, .is_utf8 = true};
    kit_reader_init(&kit);
    struct span text = SPAN_LITERAL("{\"x\":1,\"label\":\"\xff\"}");
    CU_ASSERT_EQUAL(kit_read(&kit, text, &how, &part), 0);
    how.is_utf8 = false;
    CU_ASSERT_EQUAL(kit_read(&kit, text, &how, &part), GYR_ERR_MESSAGE);
    CU_ASSERT_EQUAL(kit.fault.reason, R(UTF8));
    kit_reader_deinit(&kit);
}
