/* SPDX-License-Identifier: MIT */
/* Writing structures as JSON: what comes out, what is refused, and that it reads back. */
#include "tests/json_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

#define BOX(name, type, declare) \
    struct out_##name {          \
        type v;                  \
    };                           \
    GYR_PART(out_##name, declare)
BOX(i8, int8_t, GYR_MEMBER(out_i8, v, GYR_RANGE(-100, 100)));
BOX(i64, int64_t, GYR_MEMBER(out_i64, v));
BOX(u8, uint8_t, GYR_MEMBER(out_u8, v, GYR_RANGE(1, 200)));
BOX(u64, uint64_t, GYR_MEMBER(out_u64, v));
BOX(real, double, GYR_MEMBER(out_real, v, GYR_REAL_RANGE(-DBL_MAX, DBL_MAX)));
BOX(text, struct gyr_span, GYR_MEMBER(out_text, v));
BOX(short, struct gyr_span, GYR_MEMBER(out_short, v, GYR_SIZE(1, 3)));
BOX(bytes, struct gyr_span, GYR_BYTES(out_bytes, v));
BOX(raw, struct gyr_span, GYR_RAW(out_raw, v));
BOX(enum, enum kit_colour, GYR_ENUM(out_enum, v, kit_colours));
BOX(bool, bool, GYR_MEMBER(out_bool, v));

/* Write flush against a guard page; compare with what is wanted round `{"v":` and `}`. */
static int box_write(const struct gyr_schema *schema, const void *value, char *text, size_t room)
{
    struct json_write how = {.form = NULL};
    size_t size = 0;
    size_t again;
    int err = json_write(&how, schema, value, NULL, 0, &size);
    EXPECT(err == GYR_ERR_LIMIT || err == GYR_ERR_ARGUMENT, "nothing fits nothing");
    if (err == GYR_ERR_ARGUMENT) {
        return err;
    }
    CU_ASSERT_FATAL(size < room);
    for (size_t capacity = 1; capacity < size; capacity++) {
        uint8_t *cut = guard_copy(text, capacity);
        EXPECT_INT(json_write(&how, schema, value, cut, capacity, &again), GYR_ERR_LIMIT, "cut");
        EXPECT_INT(again, size, "the size is told all the same");
        guard_free(cut);
    }
    uint8_t *bytes = guard_copy(text, size);
    EXPECT_INT(json_write(&how, schema, value, bytes, size, &again), 0, "it fits");
    EXPECT_INT(again, size, "as counted");
    memcpy(text, bytes, size);
    text[size] = '\0';
    guard_free(bytes);
    return 0;
}

#define EXPECT_BOX(box, expected)                                                         \
    do {                                                                                  \
        char text_[1024] = "";                                                            \
        EXPECT_INT(box_write(&box##_schema, &(struct box)VALUE, text_, sizeof(text_)), 0, \
                   expected);                                                             \
        EXPECT_SPAN(kit_span(text_), "{\"v\":" expected "}", expected);                   \
    } while (0)

static void expect_text(const struct gyr_schema *schema, const void *value, const char *expected)
{
    char text[1024] = "";
    EXPECT_INT(box_write(schema, value, text, sizeof(text)), 0, expected);
    size_t size = strlen(text);
    EXPECT(size > 6 && memcmp(text, "{\"v\":", 5) == 0 && text[size - 1] == '}', expected);
    if (size > 6) {
        text[size - 1] = '\0';
        EXPECT_SPAN(kit_span(text + 5), expected, expected);
    }
}

static void expect_refused(const struct gyr_schema *schema, const void *value, const char *why)
{
    char text[1024];
    EXPECT_INT(box_write(schema, value, text, sizeof(text)), GYR_ERR_ARGUMENT, why);
}

void json_write_writes_integers_and_bools(void)
{
    static const int8_t small[] = {0, 1, -1, 9, 10, -10, 99, 100, -100};
    static const char *const small_texts[] = {"0",   "1",  "-1",  "9",   "10",
                                              "-10", "99", "100", "-100"};
    for (size_t i = 0; i < COUNT_OF(small); i++) {
        struct out_i8 value = {small[i]};
        expect_text(&out_i8_schema, &value, small_texts[i]);
    }
    expect_refused(&out_i8_schema, &(struct out_i8){101}, "range");
    expect_refused(&out_i8_schema, &(struct out_i8){-101}, "range");
    expect_text(&out_i64_schema, &(struct out_i64){INT64_MIN}, "-9223372036854775808");
    expect_text(&out_i64_schema, &(struct out_i64){INT64_MAX}, "9223372036854775807");
    expect_text(&out_u64_schema, &(struct out_u64){UINT64_MAX}, "18446744073709551615");
    expect_text(&out_u8_schema, &(struct out_u8){200}, "200");
    expect_refused(&out_u8_schema, &(struct out_u8){0}, "range");
    expect_refused(&out_u8_schema, &(struct out_u8){201}, "range");
    expect_text(&out_bool_schema, &(struct out_bool){true}, "true");
    expect_text(&out_bool_schema, &(struct out_bool){false}, "false");
    /* Each power of ten, and its neighbours. */
    uint64_t power = 1;
    for (unsigned i = 0; i < 20; i++, power *= 10) {
        for (uint64_t value = power - 1; value <= power + 1; value++) {
            char expected[24];
            (void)snprintf(expected, sizeof(expected), "%llu", (unsigned long long)value);
            expect_text(&out_u64_schema, &(struct out_u64){value}, expected);
        }
    }
}

void json_write_writes_enums_by_name(void)
{
    expect_text(&out_enum_schema, &(struct out_enum){KIT_BLUE}, "\"blue\"");
    expect_text(&out_enum_schema, &(struct out_enum){KIT_RED}, "\"red\"");
    expect_refused(&out_enum_schema, &(struct out_enum){(enum kit_colour)5}, "no name");
}

void json_write_writes_the_shortest_double_that_reads_back(void)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0, "0"},
        {-0.0, "-0"},
        {1, "1"},
        {-2.5, "-2.5"},
        {0.1, "0.1"},
        {0.07, "0.07"},
        {0.0001, "0.0001"},
        {-0.0003, "-0.0003"},
        {19.99, "19.99"},
        {1e10, "10000000000"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1e300, "1e+300"},
        {5e-324, "5e-324"},
        {DBL_MAX, "1.7976931348623157e+308"},
        {-DBL_MIN, "-2.2250738585072014e-308"},
        {1.0 / 3, "0.3333333333333333"},
        {123456789.1234, "123456789.1234"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        expect_text(&out_real_schema, &(struct out_real){rows[i].value}, rows[i].text);
    }
    expect_refused(&out_real_schema, &(struct out_real){NAN}, "not a number");
    expect_refused(&out_real_schema, &(struct out_real){INFINITY}, "infinite");
    expect_refused(&out_real_schema, &(struct out_real){-INFINITY}, "infinite");
    expect_refused(&kit_square_schema, &(struct kit_square){.side = -0.5}, "out of its range");
}

void json_write_reads_back_every_double(void)
{
    struct kit_reader kit;
    kit_reader_init(&kit);
    uint64_t state = 7;
    for (unsigned i = 0; i < 20000; i++) {
        struct json_read read = {.schema = &out_real_schema};
        struct json_write how = {.form = NULL};
        struct out_real value;
        struct out_real back = {0};
        uint8_t text[64 + JSON_PADDING] = {0};
        size_t size;
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t bits = state ^ state >> 29;
        memcpy(&value.v, &bits, sizeof(bits));
        if (i % 2 == 0) {
            /* Few decimal places, of both signs. */
            value.v = (double)(int64_t)(bits >> (20 + i % 40)) / ((i % 5 + 1) * 10.0);
            value.v = i % 4 == 0 ? -value.v : value.v;
        }
        if (!isfinite(value.v)) {
            continue;
        }
        EXPECT_INT(json_write(&how, &out_real_schema, &value, text, 64, &size), 0, "written");
        EXPECT_INT(json_read(kit.reader, span_of(text, size), &read, &kit.arena, &back,
                             &kit.message, &kit.fault),
                   0, (const char *)text);
        EXPECT(memcmp(&value, &back, sizeof(back)) == 0, (const char *)text);
    }
    kit_reader_deinit(&kit);
}

void json_write_escapes_what_must_be_and_nothing_else(void)
{
    for (unsigned byte = 0; byte < 0x80; byte++) {
        char letter = (char)byte;
        char expected[16];
        static const char *const named[] = {
            ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f",
            ['\r'] = "\\r", ['"'] = "\\\"", ['\\'] = "\\\\"};
        if (byte < COUNT_OF(named) && named[byte] != NULL) {
            (void)snprintf(expected, sizeof(expected), "\"%s\"", named[byte]);
        } else if (byte < 0x20) {
            (void)snprintf(expected, sizeof(expected), "\"\\u%04x\"", byte);
        } else {
            (void)snprintf(expected, sizeof(expected), "\"%c\"", letter);
        }
        expect_text(&out_text_schema, &(struct out_text){{&letter, 1}}, expected);
    }
    /* At every place of texts of every length up to some blocks. */
    for (size_t size = 1; size <= 50; size++) {
        for (size_t place = 0; place < size; place++) {
            char expected[128] = "\"";
            char plain[64];
            memset(plain, 'x', size);
            plain[place] = place % 2 == 0 ? '"' : '\x01';
            char *at = expected + 1;
            for (size_t i = 0; i < size; i++) {
                const char *piece = i != place ? "x" : place % 2 == 0 ? "\\\"" : "\\u0001";
                memcpy(at, piece, strlen(piece));
                at += strlen(piece);
            }
            memcpy(at, "\"", 2);
            uint8_t *copy = guard_copy(plain, size);
            expect_text(&out_text_schema, &(struct out_text){{(char *)copy, size}}, expected);
            guard_free(copy);
        }
    }
}

void json_write_refuses_text_that_is_not_utf_8(void)
{
    static const char *const bad[] = {"\xff",
                                      "\x80",
                                      "\xc0\x80",
                                      "\xe2\x82",
                                      "\xed\xa0\x80",
                                      "\xf4\x90\x80\x80",
                                      "0123456789abcdef\xff",
                                      "\xff"
                                      "0123456789abcdef",
                                      "01234567\xff",
                                      "012\xff",
                                      "a quote \" and then \xff"};
    static const char *const good[] = {
        "\xc3\xa9", "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac",
        "\xf0\x9f\x98\x80"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        expect_refused(&out_text_schema, &(struct out_text){{bad[i], strlen(bad[i])}}, bad[i]);
    }
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        char expected[64];
        (void)snprintf(expected, sizeof(expected), "\"%s\"", good[i]);
        expect_text(&out_text_schema, &(struct out_text){{good[i], strlen(good[i])}}, expected);
    }
}

void json_write_keeps_sizes_and_counts(void)
{
    expect_text(&out_text_schema, &(struct out_text){{NULL, 0}}, "\"\"");
    expect_text(&out_short_schema, &(struct out_short){{"abc", 3}}, "\"abc\"");
    expect_refused(&out_short_schema, &(struct out_short){{"abcd", 4}}, "too long");
    expect_refused(&out_short_schema, &(struct out_short){{"", 0}}, "too short");
    expect_text(&out_bytes_schema, &(struct out_bytes){{"foobar", 6}}, "\"Zm9vYmFy\"");
    expect_text(&out_bytes_schema, &(struct out_bytes){{"fo", 2}}, "\"Zm8=\"");
    struct kit_all all = {.shape = {&kit_circle_schema, &(struct kit_circle){1}}, .raw = {"0", 1}};
    int32_t numbers[101] = {0};
    char text[1024];
    all.numbers = numbers;
    all.number_count = 100;
    CU_ASSERT_EQUAL(box_write(&kit_all_schema, &all, text, sizeof(text)), 0);
    all.number_count = 101;
    expect_refused(&kit_all_schema, &all, "too many items");
    all.number_count = 1;
    all.numbers = NULL;
    expect_refused(&kit_all_schema, &all, "items that are nowhere");
    all.number_count = 0;
    all.shape.schema = &kit_all_schema;
    expect_refused(&kit_all_schema, &all, "none of the choices");
    all.shape.schema = NULL;
    expect_refused(&kit_all_schema, &all, "no choice");
}

void json_write_takes_raw_text_that_is_json(void)
{
    static const char *const bad[] = {"",    " ",        "{",   "[1,]", "01",
                                      "nul", "\"\xff\"", "1 2", "{}{}", "\"\\ud800\"",
                                      "'a'", "[\"\n\"]", "NaN"};
    static const char *const good[] = {"null", "{\"a\":[1,{}]}", "\"\\n\"", "-0.5e3", "[ ]"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        expect_refused(&out_raw_schema, &(struct out_raw){{bad[i], strlen(bad[i])}}, bad[i]);
    }
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        expect_text(&out_raw_schema, &(struct out_raw){{good[i], strlen(good[i])}}, good[i]);
    }
    expect_refused(&out_raw_schema, &(struct out_raw){{NULL, 0}}, "nothing");
    /* What is round it counts. */
    char deep[2 * GYR_DEPTH_MAX + 1];
    memset(deep, '[', GYR_DEPTH_MAX);
    memset(deep + GYR_DEPTH_MAX, ']', GYR_DEPTH_MAX);
    expect_refused(&out_raw_schema, &(struct out_raw){{deep, sizeof(deep) - 1}}, "one too deep");
    deep[2 * GYR_DEPTH_MAX - 1] = '\0';
    expect_text(&out_raw_schema, &(struct out_raw){{deep + 1, 2 * GYR_DEPTH_MAX - 2}}, deep + 1);
}

static size_t message_write(const struct json_write *how, const struct gyr_schema *schema,
                            const void *value, char *text, size_t room)
{
    size_t size = 0;
    EXPECT_INT(json_write(how, schema, value, (uint8_t *)text, room - 1, &size), 0, "written");
    text[size] = '\0';
    return size;
}

void json_write_is_what_json_read_has_read(void)
{
    struct kit_reader kit;
    const char *const texts[] = {kit_all_text, kit_least_text};
    kit_reader_init(&kit);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct json_write how = {.form = NULL};
        struct kit_all all;
        char first[2048];
        char second[2048];
        CU_ASSERT_EQUAL_FATAL(kit_read_plain(&kit, texts[i], &kit_all_schema, &all), 0);
        (void)message_write(&how, &kit_all_schema, &all, first, sizeof(first));
        CU_ASSERT_EQUAL_FATAL(kit_read_plain(&kit, first, &kit_all_schema, &all), 0);
        (void)message_write(&how, &kit_all_schema, &all, second, sizeof(second));
        CU_ASSERT_STRING_EQUAL(first, second);
        if (i == 1) {
            CU_ASSERT_STRING_EQUAL(
                first, "{\"flag\":false,\"i8\":0,\"i16\":0,\"i32\":0,\"i64\":0,\"u8\":0,\"u16\":0,"
                       "\"u32\":0,\"u64\":0,\"real\":0,\"text\":\"\",\"bytes\":\"\",\"colour\":"
                       "\"red\",\"part\":{\"x\":0},\"numbers\":[],\"parts\":[],\"words\":[],"
                       "\"raw\":null,\"shape\":{\"type\":\"circle\",\"radius\":1},\"preset\":20}");
        }
    }
    kit_reader_deinit(&kit);
}

struct asked {
    int32_t id;
    struct gyr_span re;
    int32_t n;
};
GYR_MESSAGE(asked, "asked", GYR_MEMBER(asked, id, GYR_OPTIONAL),
            GYR_MEMBER(asked, re, GYR_OPTIONAL), GYR_MEMBER(asked, n));
struct empty {
    char unused;
};
GYR_MESSAGE(empty, "empty");

void json_write_puts_tag_and_ids_in_front(void)
{
    struct kit_circle circle = {5};
    struct asked asked = {.id = 1, .re = {"x", 1}, .n = 2};
    struct empty empty = {0};
    char text[256];
    struct json_write flat = {.form = &kit_flat};
    struct json_write envelope = {.form = &kit_envelope};
    (void)message_write(&flat, &kit_circle_schema, &circle, text, sizeof(text));
    CU_ASSERT_STRING_EQUAL(text, "{\"type\":\"circle\",\"radius\":5}");
    (void)message_write(&envelope, &kit_circle_schema, &circle, text, sizeof(text));
    CU_ASSERT_STRING_EQUAL(text, "{\"type\":\"circle\",\"payload\":{\"radius\":5}}");
    (void)message_write(&flat, &empty_schema, &empty, text, sizeof(text));
    CU_ASSERT_STRING_EQUAL(text, "{\"type\":\"empty\"}");
    (void)message_write(&envelope, &empty_schema, &empty, text, sizeof(text));
    CU_ASSERT_STRING_EQUAL(text, "{\"type\":\"empty\",\"payload\":{}}");
    (void)message_write(&flat, &asked_schema, &asked, text, sizeof(text));
    CU_ASSERT_STRING_EQUAL(text, "{\"type\":\"asked\",\"id\":1,\"re\":\"x\",\"n\":2}");
    flat.id = SPAN_LITERAL("17");
    flat.answer = SPAN_LITERAL("\"q\"");
    (void)message_write(&flat, &asked_schema, &asked, text, sizeof(text));
    CU_ASSERT_STRING_EQUAL(text, "{\"type\":\"asked\",\"id\":17,\"re\":\"q\",\"n\":2}");
    envelope.answer = SPAN_LITERAL("17");
    (void)message_write(&envelope, &asked_schema, &asked, text, sizeof(text));
    CU_ASSERT_STRING_EQUAL(
        text, "{\"type\":\"asked\",\"re\":17,\"payload\":{\"id\":1,\"re\":\"x\",\"n\":2}}");
    size_t size;
    CU_ASSERT_EQUAL(json_write(&flat, &kit_part_schema, &(struct kit_part){0}, (uint8_t *)text,
                               sizeof(text), &size),
                    GYR_ERR_ARGUMENT);
}

void json_write_error_has_one_form(void)
{
    char text[256] = "";
    size_t size;
    struct json_write how = {.form = &kit_flat, .answer = SPAN_LITERAL("17")};
    struct span code = SPAN_LITERAL("missing");
    struct span reason = SPAN_LITERAL("it is missing");
    struct span path = SPAN_LITERAL("a\"b");
    CU_ASSERT_EQUAL(
        json_write_error(&how, code, reason, path, (uint8_t *)text, sizeof(text), &size), 0);
    EXPECT_SPAN(span_of(text, size),
                "{\"type\":\"error\",\"re\":17,\"code\":\"missing\",\"reason\":\"it is missing\","
                "\"path\":\"a\\\"b\"}",
                "flat");
    how.form = &kit_envelope;
    CU_ASSERT_EQUAL(
        json_write_error(&how, code, reason, path, (uint8_t *)text, sizeof(text), &size), 0);
    EXPECT_SPAN(span_of(text, size),
                "{\"type\":\"error\",\"re\":17,\"payload\":{\"code\":\"missing\",\"reason\":\"it "
                "is missing\",\"path\":\"a\\\"b\"}}",
                "envelope");
    size_t again;
    CU_ASSERT_EQUAL(json_write_error(&how, code, reason, path, (uint8_t *)text, size - 1, &again),
                    GYR_ERR_LIMIT);
    CU_ASSERT_EQUAL(again, size);
    CU_ASSERT_EQUAL(json_write_error(&how, code, SPAN_LITERAL("\xff"), path, (uint8_t *)text,
                                     sizeof(text), &size),
                    GYR_ERR_ARGUMENT);
}
