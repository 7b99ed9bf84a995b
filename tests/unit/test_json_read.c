/* SPDX-License-Identifier: MIT */
/* Reading JSON into structures: what each kind of member takes and refuses, and what is said of
 * what is refused. */
#include "tests/json_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <float.h>
#include <math.h>
#include <stdio.h>

#define R(name) GYR_REASON_##name

/* One member `v` of a kind. */
#define BOX(name, type, declare) \
    struct box_##name {          \
        type v;                  \
    };                           \
    GYR_PART(box_##name, declare)
BOX(bool, bool, GYR_MEMBER(box_bool, v));
BOX(i8, int8_t, GYR_MEMBER(box_i8, v));
BOX(i16, int16_t, GYR_MEMBER(box_i16, v));
BOX(i32, int32_t, GYR_MEMBER(box_i32, v));
BOX(i64, int64_t, GYR_MEMBER(box_i64, v));
BOX(u8, uint8_t, GYR_MEMBER(box_u8, v));
BOX(u16, uint16_t, GYR_MEMBER(box_u16, v));
BOX(u32, uint32_t, GYR_MEMBER(box_u32, v));
BOX(u64, uint64_t, GYR_MEMBER(box_u64, v));
BOX(range, int32_t, GYR_MEMBER(box_range, v, GYR_RANGE(-5, 9)));
BOX(urange, uint64_t, GYR_MEMBER(box_urange, v, GYR_RANGE(3, UINT64_MAX - 1)));
BOX(real, double, GYR_MEMBER(box_real, v));
BOX(reals, double, GYR_MEMBER(box_reals, v, GYR_REAL_RANGE(-1.5, 1)));
BOX(text, struct gyr_span, GYR_MEMBER(box_text, v));
BOX(short, struct gyr_span, GYR_MEMBER(box_short, v, GYR_SIZE(2, 4)));
BOX(bytes, struct gyr_span, GYR_BYTES(box_bytes, v, GYR_SIZE(0, 6)));
BOX(raw, struct gyr_span, GYR_RAW(box_raw, v, GYR_SIZE(0, 30)));
BOX(enum, enum kit_colour, GYR_ENUM(box_enum, v, kit_colours));

static int box_read(struct kit_reader *kit, const struct gyr_schema *schema, const char *json,
                    bool lenient, void *value)
{
    char text[512];
    struct json_read how = {.schema = schema, .is_lenient = lenient};
    (void)snprintf(text, sizeof(text), "{\"v\":%s}", json);
    return kit_read(kit, kit_span(text), &how, value);
}

static int64_t value_of(const struct gyr_schema *schema, const void *value)
{
    bool is_unsigned = schema->members[0].kind == GYR_KIND_UINT;
    unsigned spare = 64 - schema->struct_size * 8;
    uint64_t bits;
    memcpy(&bits, value, sizeof(bits));
    /* Its own bits to the top and back, with the sign or without. */
    return is_unsigned ? (int64_t)(bits << spare >> spare) : (int64_t)(bits << spare) >> spare;
}

struct integer_row {
    const struct gyr_schema *schema;
    const char *json;
    enum gyr_reason reason;
    int64_t value;
};

static const struct integer_row integers[] = {
    {&box_i8_schema, "0", 0, 0},
    {&box_i8_schema, "-0", 0, 0},
    {&box_i8_schema, "127", 0, 127},
    {&box_i8_schema, "-128", 0, -128},
    {&box_i8_schema, "128", R(RANGE), 0},
    {&box_i8_schema, "-129", R(RANGE), 0},
    {&box_i16_schema, "32767", 0, 32767},
    {&box_i16_schema, "-32768", 0, -32768},
    {&box_i16_schema, "32768", R(RANGE), 0},
    {&box_i16_schema, "-32769", R(RANGE), 0},
    {&box_i32_schema, "2147483647", 0, INT32_MAX},
    {&box_i32_schema, "-2147483648", 0, INT32_MIN},
    {&box_i32_schema, "2147483648", R(RANGE), 0},
    {&box_i32_schema, "-2147483649", R(RANGE), 0},
    {&box_i64_schema, "9223372036854775807", 0, INT64_MAX},
    {&box_i64_schema, "-9223372036854775808", 0, INT64_MIN},
    {&box_i64_schema, "9223372036854775808", R(RANGE), 0},
    {&box_i64_schema, "-9223372036854775809", R(RANGE), 0},
    {&box_i64_schema, "18446744073709551616", R(RANGE), 0},
    {&box_i64_schema, "-18446744073709551616", R(RANGE), 0},
    {&box_i64_schema, "123456789012345678901234567890", R(RANGE), 0},
    {&box_u8_schema, "255", 0, 255},
    {&box_u8_schema, "-0", 0, 0},
    {&box_u8_schema, "256", R(RANGE), 0},
    {&box_u8_schema, "-1", R(RANGE), 0},
    {&box_u16_schema, "65535", 0, 65535},
    {&box_u16_schema, "65536", R(RANGE), 0},
    {&box_u32_schema, "4294967295", 0, UINT32_MAX},
    {&box_u32_schema, "4294967296", R(RANGE), 0},
    {&box_u64_schema, "18446744073709551615", 0, -1},
    {&box_u64_schema, "10000000000000000000", 0, (int64_t)10000000000000000000U},
    {&box_u64_schema, "18446744073709551616", R(RANGE), 0},
    {&box_u64_schema, "19999999999999999999", R(RANGE), 0},
    {&box_u64_schema, "20000000000000000000", R(RANGE), 0},
    {&box_u64_schema, "36893488147419103232", R(RANGE), 0},
    {&box_u64_schema, "99999999999999999999", R(RANGE), 0},
    {&box_u64_schema, "100000000000000000000", R(RANGE), 0},
    {&box_u64_schema, "-1", R(RANGE), 0},
    {&box_range_schema, "-5", 0, -5},
    {&box_range_schema, "9", 0, 9},
    {&box_range_schema, "-6", R(RANGE), 0},
    {&box_range_schema, "10", R(RANGE), 0},
    {&box_urange_schema, "3", 0, 3},
    {&box_urange_schema, "18446744073709551614", 0, -2},
    {&box_urange_schema, "2", R(RANGE), 0},
    {&box_urange_schema, "18446744073709551615", R(RANGE), 0},
    /* Numbers that are no integers, and other types. */
    {&box_i32_schema, "3.0", R(TYPE), 0},
    {&box_i32_schema, "1e2", R(TYPE), 0},
    {&box_i32_schema, "1E2", R(TYPE), 0},
    {&box_i32_schema, "-1.5", R(TYPE), 0},
    {&box_i32_schema, "true", R(TYPE), 0},
    {&box_i32_schema, "\"3\"", R(TYPE), 0},
    {&box_i32_schema, "null", R(TYPE), 0},
    {&box_i32_schema, "[3]", R(TYPE), 0},
    {&box_i32_schema, "{\"v\":3}", R(TYPE), 0},
    {&box_u32_schema, "3.0", R(TYPE), 0},
    {&box_u32_schema, "\"3\"", R(TYPE), 0},
    {&box_bool_schema, "true", 0, 1},
    {&box_bool_schema, "false", 0, 0},
    {&box_bool_schema, "1", R(TYPE), 0},
    {&box_bool_schema, "0", R(TYPE), 0},
    {&box_bool_schema, "\"true\"", R(TYPE), 0},
    {&box_bool_schema, "null", R(TYPE), 0},
    {&box_enum_schema, "\"red\"", 0, KIT_RED},
    {&box_enum_schema, "\"green\"", 0, KIT_GREEN},
    {&box_enum_schema, "\"blue\"", 0, KIT_BLUE},
    {&box_enum_schema, "\"\\u0072e\\u0064\"", 0, KIT_RED},
    {&box_enum_schema, "\"RED\"", R(NAME), 0},
    {&box_enum_schema, "\"re\"", R(NAME), 0},
    {&box_enum_schema, "\"redd\"", R(NAME), 0},
    {&box_enum_schema, "\"\"", R(NAME), 0},
    {&box_enum_schema, "\"red\\u0000\"", R(NAME), 0},
    {&box_enum_schema, "7", R(TYPE), 0},
    {&box_enum_schema, "null", R(TYPE), 0},
    /* What is no JSON is not taken for another type. */
    {&box_i32_schema, "01", R(MALFORMED), 0},
    {&box_i32_schema, "-01", R(MALFORMED), 0},
    {&box_i32_schema, "00", R(MALFORMED), 0},
    {&box_i32_schema, "-", R(MALFORMED), 0},
    {&box_i32_schema, "+1", R(MALFORMED), 0},
    {&box_i32_schema, "--1", R(MALFORMED), 0},
    {&box_i32_schema, "1.", R(MALFORMED), 0},
    {&box_i32_schema, ".5", R(MALFORMED), 0},
    {&box_i32_schema, "1e", R(MALFORMED), 0},
    {&box_i32_schema, "1e+", R(MALFORMED), 0},
    {&box_i32_schema, "1.5.5", R(MALFORMED), 0},
    {&box_i32_schema, "1x", R(MALFORMED), 0},
    {&box_i32_schema, "0x1", R(MALFORMED), 0},
    {&box_i32_schema, "1 2", R(MALFORMED), 0},
    {&box_i32_schema, "", R(MALFORMED), 0},
    {&box_i32_schema, "NaN", R(MALFORMED), 0},
    {&box_i32_schema, "nul", R(MALFORMED), 0},
    {&box_i32_schema, "nulll", R(MALFORMED), 0},
    {&box_i32_schema, "nullx", R(MALFORMED), 0},
    {&box_i32_schema, "\"\\x\"", R(MALFORMED), 0},
    {&box_i32_schema, "[1,]", R(MALFORMED), 0},
    {&box_i32_schema, "{]", R(MALFORMED), 0},
    {&box_bool_schema, "tru", R(MALFORMED), 0},
    {&box_bool_schema, "truee", R(MALFORMED), 0},
    {&box_bool_schema, "True", R(MALFORMED), 0},
    {&box_bool_schema, "falsy", R(MALFORMED), 0},
    {&box_enum_schema, "red", R(MALFORMED), 0},
    {&box_enum_schema, "'red'", R(MALFORMED), 0},
};

void json_read_takes_integers_bools_and_names(void)
{
    struct kit_reader kit;
    kit_reader_init(&kit);
    for (size_t i = 0; i < COUNT_OF(integers); i++) {
        const struct integer_row *row = &integers[i];
        uint64_t value = 0;
        int err = box_read(&kit, row->schema, row->json, false, &value);
        EXPECT_INT(err, row->reason == 0 ? 0 : GYR_ERR_MESSAGE, row->json);
        EXPECT_INT(kit.fault.reason, row->reason, row->json);
        if (row->reason == 0) {
            EXPECT_INT(value_of(row->schema, &value), row->value, row->json);
        } else if (row->reason != R(MALFORMED)) {
            EXPECT(strcmp(kit.fault.path, "v") == 0, row->json);
        }
    }
    kit_reader_deinit(&kit);
}

static const struct integer_row lenient_integers[] = {
    {&box_i32_schema, "\"5\"", 0, 5},
    {&box_i32_schema, "\"-5\"", 0, -5},
    {&box_i32_schema, "5", 0, 5},
    {&box_u64_schema, "\"18446744073709551615\"", 0, -1},
    {&box_bool_schema, "\"true\"", 0, 1},
    {&box_bool_schema, "\"false\"", 0, 0},
    {&box_i8_schema, "\"128\"", R(RANGE), 0},
    {&box_range_schema, "\"10\"", R(RANGE), 0},
    {&box_i32_schema, "\"5.0\"", R(TYPE), 0},
    {&box_i32_schema, "\"1e2\"", R(TYPE), 0},
    {&box_i32_schema, "\"\"", R(TYPE), 0},
    {&box_i32_schema, "\" 5\"", R(TYPE), 0},
    {&box_i32_schema, "\"5 \"", R(TYPE), 0},
    {&box_i32_schema, "\"05\"", R(TYPE), 0},
    {&box_i32_schema, "\"+5\"", R(TYPE), 0},
    {&box_i32_schema, "\"-\"", R(TYPE), 0},
    {&box_i32_schema, "\"5\\n\"", R(TYPE), 0},
    {&box_i32_schema, "\"\\u0035\"", R(TYPE), 0},
    {&box_i32_schema, "\"true\"", R(TYPE), 0},
    {&box_i32_schema, "5.0", R(TYPE), 0},
    {&box_i32_schema, "true", R(TYPE), 0},
    {&box_i32_schema, "null", R(TYPE), 0},
    {&box_bool_schema, "\"1\"", R(TYPE), 0},
    {&box_bool_schema, "\"TRUE\"", R(TYPE), 0},
    {&box_bool_schema, "\"truex\"", R(TYPE), 0},
    {&box_bool_schema, "\"tru\"", R(TYPE), 0},
    {&box_bool_schema, "1", R(TYPE), 0},
    {&box_enum_schema, "7", R(TYPE), 0},
    {&box_i32_schema, "\"5", R(MALFORMED), 0},
    {&box_i32_schema, "\"\\q\"", R(MALFORMED), 0},
    {&box_i32_schema, "05", R(MALFORMED), 0},
};

void json_read_lenient_takes_numbers_and_bools_in_quotes(void)
{
    struct kit_reader kit;
    kit_reader_init(&kit);
    for (size_t i = 0; i < COUNT_OF(lenient_integers); i++) {
        const struct integer_row *row = &lenient_integers[i];
        uint64_t value = 0;
        (void)box_read(&kit, row->schema, row->json, true, &value);
        EXPECT_INT(kit.fault.reason, row->reason, row->json);
        if (row->reason == 0) {
            EXPECT_INT(value_of(row->schema, &value), row->value, row->json);
        }
    }
    struct box_real real;
    CU_ASSERT_EQUAL(box_read(&kit, &box_real_schema, "\"1.5\"", true, &real), 0);
    CU_ASSERT_EQUAL(real.v, 1.5);
    CU_ASSERT_EQUAL(box_read(&kit, &box_real_schema, "\"1e400\"", true, &real), GYR_ERR_MESSAGE);
    CU_ASSERT_EQUAL(kit.fault.reason, R(RANGE));
    CU_ASSERT_EQUAL(box_read(&kit, &box_real_schema, "\"1.\"", true, &real), GYR_ERR_MESSAGE);
    CU_ASSERT_EQUAL(kit.fault.reason, R(TYPE));
    CU_ASSERT_EQUAL(box_read(&kit, &box_real_schema, "\"inf\"", true, &real), GYR_ERR_MESSAGE);
    CU_ASSERT_EQUAL(kit.fault.reason, R(TYPE));
    kit_reader_deinit(&kit);
}

static const struct {
    const struct gyr_schema *schema;
    const char *json;
    enum gyr_reason reason;
    double value;
} reals[] = {
    {&box_real_schema, "0", 0, 0},
    {&box_real_schema, "3", 0, 3},
    {&box_real_schema, "-3", 0, -3},
    {&box_real_schema, "0.1", 0, 0.1},
    {&box_real_schema, "123.456e-7", 0, 123.456e-7},
    {&box_real_schema, "1E+22", 0, 1e22},
    {&box_real_schema, "1e23", 0, 1e23},
    {&box_real_schema, "9007199254740993", 0, 9007199254740992.0},
    {&box_real_schema, "9007199254740993.00000000000000000001", 0, 9007199254740994.0},
    {&box_real_schema, "1.7976931348623157e308", 0, DBL_MAX},
    {&box_real_schema, "2.2250738585072014e-308", 0, DBL_MIN},
    {&box_real_schema, "5e-324", 0, 5e-324},
    {&box_real_schema, "1e-400", 0, 0},
    {&box_real_schema, "0e999999999999", 0, 0},
    {&box_real_schema, "1e-99999999999999999999", 0, 0},
    {&box_real_schema, "0.00000000000000000000000000000000000000000000001e40", 0, 1e-7},
    {&box_real_schema, "123456789012345678901234567890", 0, 123456789012345678901234567890.0},
    {&box_real_schema, "1.8e308", R(RANGE), 0},
    {&box_real_schema, "-1e309", R(RANGE), 0},
    {&box_real_schema, "1e99999999999999999999", R(RANGE), 0},
    {&box_reals_schema, "1", 0, 1},
    {&box_reals_schema, "-1.5", 0, -1.5},
    {&box_reals_schema, "1.0000000000000002", R(RANGE), 0},
    {&box_reals_schema, "-1.6", R(RANGE), 0},
    {&box_real_schema, "\"1.5\"", R(TYPE), 0},
    {&box_real_schema, "true", R(TYPE), 0},
    {&box_real_schema, "null", R(TYPE), 0},
    {&box_real_schema, "[]", R(TYPE), 0},
    {&box_real_schema, "01", R(MALFORMED), 0},
    {&box_real_schema, "-", R(MALFORMED), 0},
    {&box_real_schema, ".5", R(MALFORMED), 0},
    {&box_real_schema, "5.", R(MALFORMED), 0},
    {&box_real_schema, "5.e1", R(MALFORMED), 0},
    {&box_real_schema, "1e", R(MALFORMED), 0},
    {&box_real_schema, "1e-", R(MALFORMED), 0},
    {&box_real_schema, "1e1.5", R(MALFORMED), 0},
    {&box_real_schema, "1.5.", R(MALFORMED), 0},
    {&box_real_schema, "Infinity", R(MALFORMED), 0},
    {&box_real_schema, "-Infinity", R(MALFORMED), 0},
    {&box_real_schema, "NaN", R(MALFORMED), 0},
    {&box_real_schema, "1_000", R(MALFORMED), 0},
};

void json_read_takes_doubles(void)
{
    struct kit_reader kit;
    kit_reader_init(&kit);
    for (size_t i = 0; i < COUNT_OF(reals); i++) {
        struct box_real real = {-7};
        (void)box_read(&kit, reals[i].schema, reals[i].json, false, &real);
        EXPECT_INT(kit.fault.reason, reals[i].reason, reals[i].json);
        EXPECT(reals[i].reason != 0 || real.v == reals[i].value, reals[i].json);
    }
    struct box_real real;
    CU_ASSERT_EQUAL(box_read(&kit, &box_real_schema, "-0", false, &real), 0);
    CU_ASSERT(signbit(real.v));
    CU_ASSERT_EQUAL(box_read(&kit, &box_real_schema, "-1e-999", false, &real), 0);
    CU_ASSERT(signbit(real.v) && real.v == 0);
    kit_reader_deinit(&kit);
}

static const struct {
    const struct gyr_schema *schema;
    const char *json;
    enum gyr_reason reason;
    struct span value;
} strings[] = {
    {&box_text_schema, "\"\"", 0, SPAN_STATIC("")},
    {&box_text_schema, "\"hi\"", 0, SPAN_STATIC("hi")},
    {&box_text_schema, "\"}\"", 0, SPAN_STATIC("}")},
    {&box_text_schema, "\"a longer text, of more bytes than one block has\"", 0,
     SPAN_STATIC("a longer text, of more bytes than one block has")},
    {&box_text_schema, "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", 0, SPAN_STATIC("\"\\/\b\f\n\r\t")},
    {&box_text_schema, "\"0123456789abcde\\n0123456789abcdef\\u0041\"", 0,
     SPAN_STATIC("0123456789abcde\n0123456789abcdefA")},
    {&box_text_schema, "\"\\u0000\"", 0, SPAN_STATIC("\0")},
    {&box_text_schema, "\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"", 0,
     SPAN_STATIC("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf")},
    {&box_text_schema, "\"\\uD800\\uDC00\\uDBFF\\uDFFF\"", 0,
     SPAN_STATIC("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf")},
    {&box_text_schema, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"", 0,
     SPAN_STATIC("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")},
    {&box_short_schema, "\"ab\"", 0, SPAN_STATIC("ab")},
    {&box_short_schema, "\"abcd\"", 0, SPAN_STATIC("abcd")},
    {&box_short_schema, "\"\\u20aca\"", 0,
     SPAN_STATIC("\xe2\x82\xac"
                 "a")},
    {&box_bytes_schema, "\"\"", 0, SPAN_STATIC("")},
    {&box_bytes_schema, "\"Zm9vYmFy\"", 0, SPAN_STATIC("foobar")},
    {&box_bytes_schema, "\"Zg==\"", 0, SPAN_STATIC("f")},
    {&box_bytes_schema, "\"\\/\\/+\\u002f\"", 0, SPAN_STATIC("\xff\xff\xbf")},
    {&box_raw_schema, "null", 0, SPAN_STATIC("null")},
    {&box_raw_schema, "1e400", 0, SPAN_STATIC("1e400")},
    {&box_raw_schema, "[ ]", 0, SPAN_STATIC("[ ]")},
    {&box_raw_schema, "{\"a\":[{},[]]}", 0, SPAN_STATIC("{\"a\":[{},[]]}")},
    {&box_raw_schema, " \"\\u0000\" ", 0, SPAN_STATIC("\"\\u0000\"")},
    {&box_short_schema, "\"a\"", R(SIZE), {0}},
    {&box_short_schema, "\"abcde\"", R(SIZE), {0}},
    {&box_short_schema, "\"\\n\"", R(SIZE), {0}},
    {&box_short_schema, "\"\\u20ac\\u20ac\"", R(SIZE), {0}},
    {&box_bytes_schema, "\"Zm9vYmFyZg==\"", R(SIZE), {0}},
    {&box_bytes_schema, "\"Zg\"", R(BASE64), {0}},
    {&box_bytes_schema, "\"Zg=\"", R(BASE64), {0}},
    {&box_bytes_schema, "\"Zg==Zg==\"", R(BASE64), {0}},
    {&box_bytes_schema, "\"Zm9 \"", R(BASE64), {0}},
    {&box_bytes_schema, "\"-_-_\"", R(BASE64), {0}},
    {&box_raw_schema, "[1,2,3,4,5,6,7,8,9,10,11,12,13,14]", R(SIZE), {0}},
    {&box_text_schema, "null", R(TYPE), {0}},
    {&box_text_schema, "5", R(TYPE), {0}},
    {&box_text_schema, "{}", R(TYPE), {0}},
    {&box_text_schema, "[\"a\"]", R(TYPE), {0}},
    {&box_bytes_schema, "[0,1]", R(TYPE), {0}},
    {&box_text_schema, "\"a", R(MALFORMED), {0}},
    {&box_text_schema, "\"a\"b\"", R(MALFORMED), {0}},
    {&box_text_schema, "'a'", R(MALFORMED), {0}},
    {&box_text_schema, "a", R(MALFORMED), {0}},
    {&box_text_schema, "\"\n\"", R(MALFORMED), {0}},
    {&box_text_schema, "\"\x01\"", R(MALFORMED), {0}},
    {&box_text_schema, "\"0123456789abcdef\x1f\"", R(MALFORMED), {0}},
    {&box_text_schema, "\"\\\"", R(MALFORMED), {0}},
    {&box_text_schema, "\"\\a\"", R(MALFORMED), {0}},
    {&box_text_schema, "\"\\U0041\"", R(MALFORMED), {0}},
    {&box_text_schema, "\"\\u004\"", R(MALFORMED), {0}},
    {&box_text_schema, "\"\\u00g0\"", R(MALFORMED), {0}},
    {&box_text_schema, "\"\\u 041\"", R(MALFORMED), {0}},
    {&box_text_schema, "\"\\ud800\"", R(MALFORMED), {0}},
    {&box_text_schema, "\"\\udc00\"", R(MALFORMED), {0}},
    {&box_text_schema, "\"\\ud800\\ud800\"", R(MALFORMED), {0}},
    {&box_text_schema, "\"\\ud800\\u0041\"", R(MALFORMED), {0}},
    {&box_text_schema, "\"\\ud800\\n\"", R(MALFORMED), {0}},
    {&box_text_schema, "\"\\ud800\\udc0\"", R(MALFORMED), {0}},
    {&box_text_schema, "\"\\udc00\\ud800\"", R(MALFORMED), {0}},
    {&box_raw_schema, "\"\\ud800\"", R(MALFORMED), {0}},
    {&box_raw_schema, "[\"\t\"]", R(MALFORMED), {0}},
    {&box_raw_schema, "[01]", R(MALFORMED), {0}},
    {&box_raw_schema, "{\"a\" 1}", R(MALFORMED), {0}},
    {&box_raw_schema, "{1:1}", R(MALFORMED), {0}},
    {&box_raw_schema, "[1 2]", R(MALFORMED), {0}},
    {&box_raw_schema, "[1}", R(MALFORMED), {0}},
    {&box_raw_schema, "[", R(MALFORMED), {0}},
    {&box_text_schema, "\"\xff\"", R(UTF8), {0}},
    {&box_text_schema, "\"\xc0\x80\"", R(UTF8), {0}},
    {&box_text_schema, "\"\xed\xa0\x80\"", R(UTF8), {0}},
    {&box_text_schema, "\"\xf4\x90\x80\x80\"", R(UTF8), {0}},
    {&box_text_schema, "\"\xe2\x82\"", R(UTF8), {0}},
    {&box_raw_schema, "[\"\xff\"]", R(UTF8), {0}},
};

void json_read_takes_strings_bytes_and_raw_values(void)
{
    struct kit_reader kit;
    kit_reader_init(&kit);
    for (size_t i = 0; i < COUNT_OF(strings); i++) {
        struct box_text text;
        (void)box_read(&kit, strings[i].schema, strings[i].json, false, &text);
        EXPECT_INT(kit.fault.reason, strings[i].reason, strings[i].json);
        EXPECT(strings[i].reason != 0 ||
                   span_equal(span_of(text.v.ptr, text.v.size), strings[i].value),
               strings[i].json);
    }
    kit_reader_deinit(&kit);
}

void json_read_takes_a_quote_at_every_place_of_a_block(void)
{
    struct kit_reader kit;
    kit_reader_init(&kit);
    for (size_t size = 0; size < 70; size++) {
        for (size_t place = 0; place <= size; place++) {
            char text[256] = {'"'};
            struct box_text value;
            memset(text + 1, 'x', size);
            memcpy(text + 1 + place, "\\n", 2);
            memset(text + 3 + place, 'y', size - place);
            text[3 + size] = '"';
            EXPECT_INT(box_read(&kit, &box_text_schema, text, false, &value), 0, text);
            EXPECT_INT(value.v.size, size + 1, text);
            EXPECT(value.v.ptr[place] == '\n', text);
            text[1 + place] = '\x1f';
            EXPECT_INT(box_read(&kit, &box_text_schema, text, false, &value), GYR_ERR_MESSAGE,
                       "a control character");
        }
    }
    kit_reader_deinit(&kit);
}

static void all_is_read(const struct kit_all *all)
{
    CU_ASSERT(all->flag && all->i8 == INT8_MIN && all->i16 == INT16_MIN);
    CU_ASSERT(all->i32 == INT32_MIN && all->i64 == INT64_MIN);
    CU_ASSERT(all->u8 == UINT8_MAX && all->u16 == UINT16_MAX);
    CU_ASSERT(all->u32 == UINT32_MAX && all->u64 == UINT64_MAX && all->real == -2.5e-3);
    CU_ASSERT_EQUAL(all->text.size, 9);
    CU_ASSERT(memcmp(all->text.ptr, "a \"b\" \xe2\x82\xac", 9) == 0);
    CU_ASSERT(all->bytes.size == 3 && memcmp(all->bytes.ptr, "\0\1\xff", 3) == 0);
    CU_ASSERT_EQUAL(all->colour, KIT_BLUE);
    CU_ASSERT(all->part.x == 1 && all->part.has_label && all->part.label.size == 1);
    CU_ASSERT_EQUAL_FATAL(all->number_count, 9);
    CU_ASSERT(all->numbers[0] == 1 && all->numbers[1] == -2 && all->numbers[8] == 9);
    CU_ASSERT_EQUAL_FATAL(all->part_count, 5);
    CU_ASSERT(all->parts[0].x == 1 && !all->parts[0].has_label && all->parts[1].has_label);
    CU_ASSERT(all->parts[4].x == 5 && !all->parts[4].has_label);
    CU_ASSERT_EQUAL_FATAL(all->word_count, 2);
    CU_ASSERT(all->words[1].size == 3 && memcmp(all->words[1].ptr, "two", 3) == 0);
    CU_ASSERT(all->raw.size == 14 && memcmp(all->raw.ptr, "[1,{\"a\":null}]", 14) == 0);
    CU_ASSERT_PTR_EQUAL_FATAL(all->shape.schema, &kit_square_schema);
    const struct kit_square *square = all->shape.value;
    CU_ASSERT(square->side == 2 && square->corner.x == 9 && !square->corner.has_label);
    CU_ASSERT(all->preset == 21 && all->has_maybe && all->maybe == 0);
    CU_ASSERT(all->note.ptr != NULL && all->note.size == 0);
}

void json_read_fills_members_of_every_kind(void)
{
    struct kit_reader kit;
    struct kit_all all;
    kit_reader_init(&kit);
    CU_ASSERT_EQUAL_FATAL(kit_read_plain(&kit, kit_all_text, &kit_all_schema, &all), 0);
    all_is_read(&all);
    memset(&all, 0xff, sizeof(all));
    CU_ASSERT_EQUAL_FATAL(kit_read_plain(&kit, kit_least_text, &kit_all_schema, &all), 0);
    CU_ASSERT(!all.flag && all.i64 == 0 && all.u64 == 0 && all.real == 0);
    CU_ASSERT(all.preset == 20 && !all.has_maybe && all.maybe == 0 && all.note.ptr == NULL);
    CU_ASSERT(all.number_count == 0 && all.numbers != NULL && all.part_count == 0);
    CU_ASSERT(all.raw.size == 4 && memcmp(all.raw.ptr, "null", 4) == 0);
    kit_reader_deinit(&kit);
}

/* The members of an object without the braces, in another order and with blanks everywhere. */
void json_read_takes_members_in_any_order_and_with_blanks(void)
{
    static const char text[] = " \t{ \"x\" : -7 ,\r\n\t\"label\" : \"l\" } \n";
    static const char other[] = "{\"label\":\"l\",\"x\":-7}";
    static const char escaped[] = "{\"l\\u0061bel\":\"l\",\"\\u0078\":-7}";
    const char *const texts[] = {text, other, escaped};
    struct kit_reader kit;
    kit_reader_init(&kit);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct kit_part part;
        EXPECT_INT(kit_read_plain(&kit, texts[i], &kit_part_schema, &part), 0, texts[i]);
        EXPECT(part.x == -7 && part.has_label && part.label.size == 1, texts[i]);
    }
    kit_reader_deinit(&kit);
}

void json_read_counts_the_last_of_members_that_come_twice(void)
{
    struct kit_reader kit;
    struct kit_part part;
    kit_reader_init(&kit);
    CU_ASSERT_EQUAL(kit_read_plain(&kit, "{\"x\":1,\"x\":2}", &kit_part_schema, &part), 0);
    CU_ASSERT_EQUAL(part.x, 2);
    CU_ASSERT_EQUAL(
        kit_read_plain(&kit, "{\"label\":\"a\",\"x\":1,\"label\":null}", &kit_part_schema, &part),
        0);
    CU_ASSERT(!part.has_label && part.label.ptr == NULL);
    CU_ASSERT_EQUAL(
        kit_read_plain(&kit, "{\"x\":1,\"label\":null,\"label\":\"b\"}", &kit_part_schema, &part),
        0);
    CU_ASSERT(part.has_label && part.label.size == 1);
    /* A structure that comes again keeps nothing of before, and misses what it had. */
    struct kit_square square;
    CU_ASSERT_EQUAL(kit_read_plain(&kit,
                                   "{\"side\":1,\"corner\":{\"x\":1,\"label\":\"a\"},"
                                   "\"corner\":{\"x\":2}}",
                                   &kit_square_schema, &square),
                    0);
    CU_ASSERT(square.corner.x == 2 && !square.corner.has_label && square.corner.label.size == 0);
    CU_ASSERT_EQUAL(kit_read_plain(&kit,
                                   "{\"side\":1,\"corner\":{\"x\":1},\"corner\":{\"label\":"
                                   "\"a\"}}",
                                   &kit_square_schema, &square),
                    GYR_ERR_MESSAGE);
    CU_ASSERT_EQUAL(kit.fault.reason, R(MISSING));
    CU_ASSERT_STRING_EQUAL(kit.fault.path, "corner.x");
    kit_reader_deinit(&kit);
}

/* `changed` takes the place of `from` in kit_all_text. */
static const struct {
    const char *from;
    const char *changed;
    enum gyr_reason reason;
    const char *path;
} faults[] = {
    {"\"flag\":true,", "", R(MISSING), "flag"},
    {"\"part\":{\"x\":1,", "\"part\":{", R(MISSING), "part.x"},
    {"{\"x\":3}", "{}", R(MISSING), "parts[2].x"},
    {"{\"x\":3}", "{\"x\":1001}", R(RANGE), "parts[2].x"},
    {"{\"x\":3}", "{\"x\":3,\"y\":0}", R(UNKNOWN_MEMBER), "parts[2].y"},
    {"{\"x\":3}", "3", R(TYPE), "parts[2]"},
    {"{\"x\":3}", "null", R(TYPE), "parts[2]"},
    {"[{\"x\":1}", "[[{\"x\":1}]", R(TYPE), "parts[0]"},
    {"\"label\":\"\"", "\"label\":0", R(TYPE), "parts[1].label"},
    {"-2,3", "true,3", R(TYPE), "numbers[1]"},
    {"-2,3", "2147483648,3", R(RANGE), "numbers[1]"},
    {"-2,3", "null,3", R(TYPE), "numbers[1]"},
    {"[1,-2,3,4,5,6,7,8,9]", "{\"0\":1}", R(TYPE), "numbers"},
    {"[1,-2,3,4,5,6,7,8,9]", "null", R(TYPE), "numbers"},
    {"\"one\"", "1", R(TYPE), "words[0]"},
    {"t\\u0077o", "t\\u0g77o", R(MALFORMED), "words[1]"},
    {"\"blue\"", "\"Blue\"", R(NAME), "colour"},
    {"AAH/", "AAH", R(BASE64), "bytes"},
    {"\"type\":\"square\",", "", R(NO_TAG), "shape"},
    {"\"type\":\"square\"", "\"type\":5", R(TAG_TYPE), "shape.type"},
    {"\"type\":\"square\"", "\"type\":\"cube\"", R(UNKNOWN_TAG), "shape.type"},
    {"\"side\":2", "\"side\":2,\"type\":\"circle\"", R(TAG_TWICE), "shape.type"},
    {"\"side\":2", "\"side\":2,\"type\":null", R(TAG_TYPE), "shape.type"},
    {"\"side\":2", "\"side\":-1", R(RANGE), "shape.side"},
    {"\"side\":2", "\"side\":2,\"radius\":2", R(UNKNOWN_MEMBER), "shape.radius"},
    {"\"corner\":{\"x\":9}", "\"corner\":{\"x\":\"9\"}", R(TYPE), "shape.corner.x"},
    {"{\"type\":\"square\",\"side\":2,\"corner\":{\"x\":9}}", "{}", R(NO_TAG), "shape"},
    {"{\"type\":\"square\",\"side\":2,\"corner\":{\"x\":9}}", "\"square\"", R(TYPE), "shape"},
    {"{\"type\":\"square\",\"side\":2,\"corner\":{\"x\":9}}", "null", R(TYPE), "shape"},
    {"\"note\":\"\"", "\"note\":\"\",\"more\":1", R(UNKNOWN_MEMBER), "more"},
    {"\"note\":\"\"", "\"note\":\"\",\"m\\nore\":1", R(UNKNOWN_MEMBER), "m\\nore"},
    {"\"note\":\"\"", "\"note\":\"\",\"\":1", R(UNKNOWN_MEMBER), ""},
    {"\"note\":\"\"", "\"note\":\"\",\"m\xc3\xa9\":1", R(UNKNOWN_MEMBER), "m\xc3\xa9"},
    {"\"note\":\"\"", "\"note\":\"\",\"m\xff\":1", R(UNKNOWN_MEMBER), "m?"},
    {"\"note\":\"\"", "\"note\":\"\",\"id\":1", R(UNKNOWN_MEMBER), "id"},
    {"\"note\":\"\"", "\"note\":\"\",\"type\":{\"a\":01}", R(MALFORMED), ""},
    {"[1,{\"a\":null}]", "[1,{\"a\":nul}]", R(MALFORMED), "raw"},
};

static void replace(char *out, size_t size, const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    CU_ASSERT_PTR_NOT_NULL_FATAL(at);
    (void)snprintf(out, size, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

void json_read_names_the_fault_and_its_place(void)
{
    struct kit_reader kit;
    kit_reader_init(&kit);
    for (size_t i = 0; i < COUNT_OF(faults); i++) {
        char text[2048];
        char wrapped[2100];
        char path[GYR_FAULT_PATH_SIZE + 16];
        struct kit_all all;
        replace(text, sizeof(text), kit_all_text, faults[i].from, faults[i].changed);
        EXPECT_INT(kit_read_plain(&kit, text, &kit_all_schema, &all), GYR_ERR_MESSAGE,
                   faults[i].changed);
        EXPECT_INT(kit.fault.reason, faults[i].reason, faults[i].changed);
        EXPECT_SPAN(kit_span(kit.fault.path), faults[i].path, faults[i].changed);

        struct json_read how = {
            .form = &kit_envelope, .tag = SPAN_LITERAL("all"), .schema = &kit_all_schema};
        (void)snprintf(wrapped, sizeof(wrapped), "{\"type\":\"all\",\"payload\":%s,\"id\":\"i\"}",
                       text);
        (void)snprintf(path, sizeof(path), "payload%s%s", faults[i].path[0] == '\0' ? "" : ".",
                       faults[i].path);
        bool is_type = strstr(faults[i].changed, "\"type\":{") != NULL;
        EXPECT_INT(kit_read(&kit, kit_span(wrapped), &how, &all), GYR_ERR_MESSAGE, wrapped);
        EXPECT_INT(kit.fault.reason, is_type ? R(UNKNOWN_MEMBER) : faults[i].reason, wrapped);
        EXPECT_SPAN(kit_span(kit.fault.path), is_type ? "payload.type" : path, wrapped);
        bool is_sound = kit.fault.reason != R(MALFORMED) && !is_type;
        EXPECT_SPAN(kit.message.id, is_sound ? "\"i\"" : "", "the id is known all the same");
    }
    kit_reader_deinit(&kit);
}

void json_read_refuses_every_text_that_ends_early(void)
{
    struct kit_reader kit;
    struct kit_all all;
    kit_reader_init(&kit);
    for (size_t size = 0; size < strlen(kit_all_text); size++) {
        struct json_read how = {.schema = &kit_all_schema};
        EXPECT_INT(kit_read(&kit, span_of(kit_all_text, size), &how, &all), GYR_ERR_MESSAGE, "cut");
        EXPECT_INT(kit.fault.reason, R(MALFORMED), "cut");
    }
    kit_reader_deinit(&kit);
}

void json_read_refuses_what_is_no_object(void)
{
    static const struct {
        const char *text;
        enum gyr_reason reason;
    } rows[] = {
        {"", R(MALFORMED)},
        {" ", R(MALFORMED)},
        {"[]", R(NOT_OBJECT)},
        {"1", R(NOT_OBJECT)},
        {"null", R(NOT_OBJECT)},
        {"\"{}\"", R(NOT_OBJECT)},
        {" true ", R(NOT_OBJECT)},
        {"\xef\xbb\xbf{\"x\":1}", R(MALFORMED)},
        {"{\"x\":1} x", R(MALFORMED)},
        {"{\"x\":1}{}", R(MALFORMED)},
        {"{\"x\":1},{}", R(MALFORMED)},
        {"{\"x\":1}}", R(MALFORMED)},
        {"{{\"x\":1}}", R(MALFORMED)},
        {"{\"x\":1,}", R(MALFORMED)},
        {"{,\"x\":1}", R(MALFORMED)},
        {"{\"x\":1,,}", R(MALFORMED)},
        {"{x:1}", R(MALFORMED)},
        {"{\"x\"}", R(MALFORMED)},
        {"{\"x\":}", R(MALFORMED)},
        {"{\"x\":1 \"y\":2}", R(MALFORMED)},
        {"{\"x\" 1}", R(MALFORMED)},
        {"{\"x\"::1}", R(MALFORMED)},
        {"}", R(MALFORMED)},
        {"{\"x\":1]", R(MALFORMED)},
        {"{'x':1}", R(MALFORMED)},
        {"/**/{\"x\":1}", R(MALFORMED)},
        {"{\"x\":1/**/}", R(MALFORMED)},
        {"{\"x\":1}\f", R(MALFORMED)},
        {"{\"x\":\v1}", R(MALFORMED)},
        {"[1", R(MALFORMED)},
        {"nulL", R(MALFORMED)},
        {"{", R(MALFORMED)},
    };
    struct kit_reader kit;
    kit_reader_init(&kit);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kit_part part;
        EXPECT_INT(kit_read_plain(&kit, rows[i].text, &kit_part_schema, &part), GYR_ERR_MESSAGE,
                   rows[i].text);
        EXPECT_INT(kit.fault.reason, rows[i].reason, rows[i].text);
    }
    kit_reader_deinit(&kit);
}
