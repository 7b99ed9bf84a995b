/* SPDX-License-Identifier: MIT */
/* Lines of the log: their exact form, that no value can leave its place, that a line is whole
 * however much it should hold, and the limit of lines. */
#include "engine/log.h"

#include "tests/json_check.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>
#include <time.h>

#define SECOND  UINT64_C(1000000000)
#define WALL_NS (UINT64_C(1795428000123) * 1000000 + 456789)

static struct span end_of(struct log_line *line)
{
    struct gyr_span text = log_end(line);
    return span_of(text.ptr, text.size);
}

static void request_begin(struct log_line *line, enum gyr_log_format format)
{
    static const uint8_t ip[4] = {192, 0, 2, 1};
    struct address client = address_ipv4(ip, 0);
    log_begin(line, format, GYR_LOG_INFO, "request", WALL_NS);
    log_address(line, "client", &client);
    log_text(line, "method", "GET");
    log_text(line, "target", "/a b");
    log_number(line, "status", 200);
    log_signed(line, "err", -5103);
}

void log_line_has_the_form_of_text(void)
{
    struct log_line line;
    request_begin(&line, GYR_LOG_TEXT);
    EXPECT_SPAN(end_of(&line),
                "2026-11-23T10:00:00.123Z info request client=192.0.2.1 method=GET "
                "target=\"/a b\" status=200 err=-5103",
                "text");
}

void log_line_has_the_form_of_json(void)
{
    struct log_line line;
    request_begin(&line, GYR_LOG_JSON);
    EXPECT_SPAN(end_of(&line),
                "{\"time\":\"2026-11-23T10:00:00.123Z\",\"level\":\"info\",\"event\":\"request\","
                "\"client\":\"192.0.2.1\",\"method\":\"GET\",\"target\":\"/a b\",\"status\":200,"
                "\"err\":-5103}",
                "json");
}

void log_line_names_each_level(void)
{
    static const char *const names[] = {NULL, " error x", " warning x", " info x", " debug x"};
    for (unsigned level = GYR_LOG_ERROR; level <= GYR_LOG_DEBUG; level++) {
        struct log_line line;
        log_begin(&line, GYR_LOG_TEXT, (enum gyr_log_level)level, "x", 0);
        struct span text = end_of(&line);
        EXPECT_SPAN(span_of(text.ptr + 24, text.size - 24), names[level], "level");
    }
}

/* Against the calendar of the C library, over four centuries. */
void log_time_agrees_with_gmtime(void)
{
    for (uint64_t wall_ns = 0; wall_ns < UINT64_C(584) * 365 * 86400 * SECOND;
         wall_ns += UINT64_C(1234567890123456)) {
        struct log_line line;
        log_begin(&line, GYR_LOG_TEXT, GYR_LOG_INFO, "x", wall_ns);
        time_t seconds = (time_t)(wall_ns / SECOND);
        struct tm parts;
        char expected[64];
        CU_ASSERT_PTR_NOT_NULL_FATAL(gmtime_r(&seconds, &parts));
        size_t size = strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S", &parts);
        (void)snprintf(expected + size, sizeof(expected) - size, ".%03uZ info x",
                       (unsigned)(wall_ns / 1000000 % 1000));
        EXPECT_SPAN(end_of(&line), expected, "time");
    }
    struct log_line line;
    log_begin(&line, GYR_LOG_TEXT, GYR_LOG_INFO, "x", UINT64_MAX);
    EXPECT_SPAN(end_of(&line), "2554-07-21T23:34:33.709Z info x", "the last time");
}

void log_numbers_are_exact_at_their_ends(void)
{
    struct log_line line;
    log_begin(&line, GYR_LOG_TEXT, GYR_LOG_INFO, "x", 0);
    log_number(&line, "a", 0);
    log_number(&line, "b", UINT64_MAX);
    log_signed(&line, "c", INT64_MIN);
    log_signed(&line, "d", INT64_MAX);
    log_signed(&line, "e", 0);
    EXPECT_SPAN(end_of(&line),
                "1970-01-01T00:00:00.000Z info x a=0 b=18446744073709551615 "
                "c=-9223372036854775808 d=9223372036854775807 e=0",
                "numbers");
}

static const struct {
    const char *why;
    struct span value;
    const char *text;
    const char *json;
} values[] = {
    {"plain", SPAN_STATIC("a/b?c"), "v=a/b?c", "\"v\":\"a/b?c\""},
    {"empty", SPAN_STATIC(""), "v=\"\"", "\"v\":\"\""},
    {"a blank", SPAN_STATIC("a b"), "v=\"a b\"", "\"v\":\"a b\""},
    {"an equals sign", SPAN_STATIC("a=b"), "v=\"a=b\"", "\"v\":\"a=b\""},
    {"a quote", SPAN_STATIC("a\"b"), "v=\"a\\x22b\"", "\"v\":\"a\\\"b\""},
    {"a backslash", SPAN_STATIC("a\\b"), "v=\"a\\x5Cb\"", "\"v\":\"a\\\\b\""},
    {"a backslash at the end", SPAN_STATIC("a\\"), "v=\"a\\x5C\"", "\"v\":\"a\\\\\""},
    {"a forged line", SPAN_STATIC("a\nx=\"1"), "v=\"a\\x0Ax=\\x221\"", "\"v\":\"a\\u000Ax=\\\"1\""},
    {"a forged member", SPAN_STATIC("\",\"a\":\"b"), "v=\"\\x22,\\x22a\\x22:\\x22b\"",
     "\"v\":\"\\\",\\\"a\\\":\\\"b\""},
    {"controls", SPAN_STATIC("\0\t\r\x1b[31m\x7f"), "v=\"\\x00\\x09\\x0D\\x1B[31m\\x7F\"",
     "\"v\":\"\\u0000\\u0009\\u000D\\u001B[31m\\u007F\""},
    {"two bytes", SPAN_STATIC("\xc3\xa4"), "v=\"\\xC3\\xA4\"", "\"v\":\"\\u00E4\""},
    {"a C1 control", SPAN_STATIC("\xc2\x9b"), "v=\"\\xC2\\x9B\"", "\"v\":\"\\u009B\""},
    {"a line separator", SPAN_STATIC("\xe2\x80\xa8"), "v=\"\\xE2\\x80\\xA8\"", "\"v\":\"\\u2028\""},
    {"four bytes", SPAN_STATIC("\xf0\x9f\x98\x80"), "v=\"\\xF0\\x9F\\x98\\x80\"",
     "\"v\":\"\\uD83D\\uDE00\""},
    {"the last character", SPAN_STATIC("\xf4\x8f\xbf\xbf"), "v=\"\\xF4\\x8F\\xBF\\xBF\"",
     "\"v\":\"\\uDBFF\\uDFFF\""},
    {"beyond it", SPAN_STATIC("\xf4\x90\x80\x80"), "v=\"\\xF4\\x90\\x80\\x80\"",
     "\"v\":\"\\uFFFD\\uFFFD\\uFFFD\\uFFFD\""},
    {"no UTF-8",
     SPAN_STATIC("\xff"
                 "a"),
     "v=\"\\xFFa\"", "\"v\":\"\\uFFFDa\""},
    {"overlong", SPAN_STATIC("\xc0\x8a"), "v=\"\\xC0\\x8A\"", "\"v\":\"\\uFFFD\\uFFFD\""},
    {"overlong of three", SPAN_STATIC("\xe0\x80\x8a"), "v=\"\\xE0\\x80\\x8A\"",
     "\"v\":\"\\uFFFD\\uFFFD\\uFFFD\""},
    {"a surrogate", SPAN_STATIC("\xed\xa0\x80"), "v=\"\\xED\\xA0\\x80\"",
     "\"v\":\"\\uFFFD\\uFFFD\\uFFFD\""},
    {"a character that ends early", SPAN_STATIC("\xe2\x82"), "v=\"\\xE2\\x82\"",
     "\"v\":\"\\uFFFD\\uFFFD\""},
    {"a character that is broken off", SPAN_STATIC("\xe2\"a"), "v=\"\\xE2\\x22a\"",
     "\"v\":\"\\uFFFD\\\"a\""},
    {"a continuation alone", SPAN_STATIC("\x80"), "v=\"\\x80\"", "\"v\":\"\\uFFFD\""},
};

void log_values_stay_where_they_are(void)
{
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        char expected[256];
        struct log_line line;
        uint8_t *copy = guard_copy(values[i].value.ptr, values[i].value.size);
        log_begin(&line, GYR_LOG_TEXT, GYR_LOG_INFO, "x", 0);
        log_span(&line, "v", span_of(copy, values[i].value.size));
        (void)snprintf(expected, sizeof(expected), "1970-01-01T00:00:00.000Z info x %s",
                       values[i].text);
        EXPECT_SPAN(end_of(&line), expected, values[i].why);
        log_begin(&line, GYR_LOG_JSON, GYR_LOG_INFO, "x", 0);
        log_span(&line, "v", span_of(copy, values[i].value.size));
        (void)snprintf(expected, sizeof(expected),
                       "{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"info\",\"event\":\"x\","
                       "%s}",
                       values[i].json);
        EXPECT_SPAN(end_of(&line), expected, values[i].why);
        guard_free(copy);
    }
}

/* Every character there is comes back from JSON. */
void log_json_keeps_every_character(void)
{
    for (uint32_t character = 0; character < 0x110000; character += 1 + character / 4096) {
        if (character >= 0xd800 && character <= 0xdfff) {
            continue;
        }
        uint8_t bytes[4];
        size_t size = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
        static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
        for (size_t i = 0; i < size; i++) {
            uint32_t part = character >> 6 * (size - 1 - i);
            bytes[i] = (uint8_t)(i == 0 ? leads[size] | part : 0x80 | (part & 0x3f));
        }
        struct log_line line;
        log_begin(&line, GYR_LOG_JSON, GYR_LOG_INFO, "x", 0);
        log_span(&line, "v", span_of(bytes, size));
        struct json_member members[8];
        uint8_t back[8];
        CU_ASSERT_EQUAL_FATAL(json_check(end_of(&line), members, COUNT_OF(members)), 4);
        EXPECT_INT(json_decode(members[3].value, back, sizeof(back)), size, "as many bytes");
        EXPECT(memcmp(back, bytes, size) == 0, "the same");
    }
}

void log_long_values_are_shortened_between_characters(void)
{
    static const struct {
        const char *why;
        const char *unit;
        size_t text_units;
        size_t json_units;
    } rows[] = {
        {"plain", "a", 256, 256},
        {"controls", "\n", 64, 42},
        {"quotes", "\"", 64, 128},
        {"two bytes", "\xc3\xa4", 32, 42},
        {"surrogates", "\xf0\x9f\x98\x80", 16, 21},
        {"no UTF-8", "\xff", 64, 42},
    };
    for (size_t i = 0; i < COUNT_OF(rows) * 2; i++) {
        bool json = i % 2 == 1;
        size_t most = json ? rows[i / 2].json_units : rows[i / 2].text_units;
        size_t unit_size = strlen(rows[i / 2].unit);
        for (size_t count = most - 1; count <= most + 1; count++) {
            uint8_t value[1200];
            for (size_t at = 0; at < count * unit_size; at++) {
                value[at] = (uint8_t)rows[i / 2].unit[at % unit_size];
            }
            struct log_line line;
            log_begin(&line, json ? GYR_LOG_JSON : GYR_LOG_TEXT, GYR_LOG_INFO, "x", 0);
            log_span(&line, "v", span_of(value, count * unit_size));
            log_number(&line, "after", 7);
            struct span text = end_of(&line);
            const char *end = count > most ? (json ? ",\"after\":7,\"cut\":1}" : " after=7 cut=1")
                                           : (json ? ",\"after\":7}" : " after=7");
            EXPECT(text.size > strlen(end) &&
                       memcmp(text.ptr + text.size - strlen(end), end, strlen(end)) == 0,
                   rows[i / 2].why);
        }
    }
}

/* However many fields of whatever size: the line is whole and says that it is cut. */
void log_lines_are_whole_however_much_they_should_hold(void)
{
    uint64_t random = 88172645463325252U;
    unsigned cut = 0;
    for (unsigned round = 0; round < 20000; round++) {
        enum gyr_log_format format = round % 2 == 0 ? GYR_LOG_TEXT : GYR_LOG_JSON;
        struct log_line line;
        log_begin(&line, format, GYR_LOG_INFO, "x", WALL_NS);
        for (unsigned field = 0; field < 16; field++) {
            uint8_t value[300];
            random = random * 6364136223846793005U + 1442695040888963407U;
            size_t size = (size_t)(random >> 33) % (round % 300 + 1);
            for (size_t at = 0; at < size; at++) {
                random = random * 6364136223846793005U + 1442695040888963407U;
                value[at] = (uint8_t)(random >> (round % 3 == 0 ? 56 : 60));
            }
            char name[8];
            (void)snprintf(name, sizeof(name), "n%u", field);
            log_span(&line, name, span_of(value, size));
        }
        bool is_cut = line.cut;
        cut += is_cut;
        struct span text = end_of(&line);
        struct json_member members[32];
        EXPECT(text.size <= LOG_LINE_SIZE, "it fits");
        if (format == GYR_LOG_JSON) {
            int count = json_check(text, members, COUNT_OF(members));
            EXPECT(count > 3, "it is JSON");
            EXPECT(count < 0 || is_cut == span_equal(members[count - 1].name, SPAN_LITERAL("cut")),
                   "and says whether it is cut");
        } else {
            EXPECT(is_cut == (memcmp(text.ptr + text.size - 6, " cut=1", 6) == 0), "it says so");
            EXPECT(memchr(text.ptr, '\n', text.size) == NULL, "it is one line");
        }
    }
    EXPECT(cut > 1000 && cut < 19000, "both happen");
}

void log_leaves_out_all_fields_after_one_without_room(void)
{
    for (unsigned format = GYR_LOG_TEXT; format <= GYR_LOG_JSON; format++) {
        struct log_line line;
        uint8_t value[256];
        memset(value, 'a', sizeof(value));
        log_begin(&line, (enum gyr_log_format)format, GYR_LOG_INFO, "x", 0);
        for (unsigned i = 0; i < 4; i++) {
            log_span(&line, "v", span_of(value, sizeof(value)));
        }
        size_t before = line.size;
        log_number(&line, "small", 1);
        EXPECT_INT(line.size, before, "it would have had room, but stands behind what had none");
        EXPECT(end_of(&line).size < 1000, "three of them");
    }
}

void log_gate_lets_so_many_lines_pass(void)
{
    struct log_gate gate = {.dropped = 0};
    uint64_t dropped = 77;
    unsigned passed = 0;
    for (unsigned i = 0; i < 1000; i++) {
        passed += log_gate_pass(&gate, SECOND, 10, &dropped);
    }
    EXPECT_INT(passed, 10, "a burst of one second's lines");
    EXPECT_INT(dropped, 0, "none before them");
    EXPECT_INT(gate.dropped, 990, "the others are counted");
    EXPECT(!log_gate_pass(&gate, SECOND + SECOND / 10, 10, &dropped), "one is no room for two");
    EXPECT(log_gate_pass(&gate, SECOND + SECOND / 5, 10, &dropped), "now there is");
    EXPECT_INT(dropped, 991, "what was dropped is told");
    EXPECT(!log_gate_pass(&gate, SECOND + SECOND / 5, 10, &dropped), "that was it");
    EXPECT(log_gate_pass(&gate, SECOND * 3, 10, &dropped), "later");
    EXPECT_INT(dropped, 1, "only what was dropped since");
    EXPECT(log_gate_pass(&gate, SECOND * 3, 10, &dropped), "and again");
    EXPECT_INT(dropped, 0, "nothing in between");
}

void log_gate_works_at_one_line_a_second(void)
{
    struct log_gate gate = {.dropped = 0};
    uint64_t dropped = 77;
    EXPECT(log_gate_pass(&gate, 5, 1, &dropped), "the first");
    EXPECT(!log_gate_pass(&gate, SECOND - 1, 1, &dropped), "too early");
    EXPECT(log_gate_pass(&gate, SECOND * 2, 1, &dropped), "the second");
    EXPECT_INT(dropped, 1, "and what was dropped");
}

void log_dropped_is_a_line_of_its_own(void)
{
    struct log_line line;
    struct gyr_span text = log_dropped(&line, GYR_LOG_TEXT, 17, WALL_NS);
    EXPECT_SPAN(span_of(text.ptr, text.size),
                "2026-11-23T10:00:00.123Z warning log.dropped count=17", "text");
    text = log_dropped(&line, GYR_LOG_JSON, 17, WALL_NS);
    EXPECT_SPAN(span_of(text.ptr, text.size),
                "{\"time\":\"2026-11-23T10:00:00.123Z\",\"level\":\"warning\","
                "\"event\":\"log.dropped\",\"count\":17}",
                "json");
}

/* The checker that the others rely on. */
void json_check_rejects_what_is_no_object(void)
{
    static const char *const rows[] = {
        "",
        "{",
        "}",
        "{}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1",
        "{\"a\":1,}",
        "{\"a\":1}x",
        "{\"a\":1 }",
        "{\"a\":01}",
        "{\"a\":-}",
        "{\"a\":\"}",
        "{\"a\":\"\\x22\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\\"}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\xc3\xa4\"}",
        "{a:1}",
        "{\"a\":\"b\"c\"}",
    };
    struct json_member members[4];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        EXPECT_INT(json_check(span_of(rows[i], strlen(rows[i])), members, 4), -1, rows[i]);
    }
    EXPECT_INT(json_check(SPAN_LITERAL("{\"a\":-10,\"b\":\"\\u0041\\\"\"}"), members, 4), 2,
               "good");
    EXPECT_SPAN(members[1].value, "\\u0041\\\"", "a string");
}
