/* SPDX-License-Identifier: MIT */
/* The scan for tags at every SIMD level: tables, all small documents over the characters that
 * matter, random bytes and random documents, against simdjson wherever the document is valid. */
#include "router/tag.h"
#include "router/tag_escape.h"
#include "tests/parser_kit.h"
#include "tests/run_tests.h"
#include "tests/tag_kit.h"

#include <stdio.h>
#include <stdlib.h>

#define RANDOM_COUNT 100000
#define TEXT_MAX     2000

struct row {
    const char *why;
    const char *text;
    int status;
    const char *raw; /* what is found */
};

/* Of these all is well up to the tag, whose name is "type". */
static const struct row found_rows[] = {
    {"first", "{\"type\":\"a\"}", TAG_FOUND, "a"},
    {"first, a space", "{\"type\": \"a\"}", TAG_FOUND, "a"},
    {"first, spaces", " \t\r\n{ \t\r\n\"type\" \t\r\n: \t\r\n\"a\" \t\r\n} ", TAG_FOUND, "a"},
    {"empty", "{\"type\":\"\"}", TAG_FOUND, ""},
    {"second", "{\"id\":1,\"type\":\"a\"}", TAG_FOUND, "a"},
    {"of two the first", "{\"type\":\"a\",\"type\":\"b\"}", TAG_FOUND, "a"},
    {"behind a string that is the name", "{\"a\":\"type\",\"type\":\"b\"}", TAG_FOUND, "b"},
    {"behind an array of the name", "{\"a\":[\"type\",\"x\"],\"type\":\"b\"}", TAG_FOUND, "b"},
    {"behind one further in", "{\"a\":{\"type\":\"x\"},\"type\":\"b\"}", TAG_FOUND, "b"},
    {"behind brackets in a string", "{\"a\":\"}]{[\",\"type\":\"b\"}", TAG_FOUND, "b"},
    {"behind the same in a string", "{\"a\":\"\\\"type\\\":\\\"x\\\"\",\"type\":\"b\"}", TAG_FOUND,
     "b"},
    {"behind a backslash at an end", "{\"a\":\"\\\\\",\"type\":\"b\"}", TAG_FOUND, "b"},
    {"behind three", "{\"a\":\"\\\\\\\"\",\"type\":\"b\"}", TAG_FOUND, "b"},
    {"behind empty ones", "{\"a\":{},\"b\":[],\"\":\"\",\"type\":\"b\"}", TAG_FOUND, "b"},
    {"behind deep ones", "{\"a\":[[[[{\"b\":[{}]}]]]],\"type\":\"b\"}", TAG_FOUND, "b"},
    {"behind a key that ends with it", "{\"a\\\"type\":1,\"type\":\"b\"}", TAG_FOUND, "b"},
    {"behind a longer key", "{\"types\":1,\"type\":\"b\"}", TAG_FOUND, "b"},
    {"behind a shorter key", "{\"typ\":1,\"type\":\"b\"}", TAG_FOUND, "b"},
    {"behind one of the same size", "{\"Type\":1,\"tyqe\":2,\"type\":\"b\"}", TAG_FOUND, "b"},
    {"escaped", "{\"type\":\"a\\n\\\"\\\\\"}", TAG_FOUND, "a\\n\\\"\\\\"},
    {"escaped key", "{\"\\u0074ype\":\"b\"}", TAG_FOUND, "b"},
    {"all of it", "{\"\\u0074\\u0079\\u0070\\u0065\":\"b\"}", TAG_FOUND, "b"},
    {"digits of any case", "{\"t\\u0079\\u0070e\":\"b\",\"type\":\"c\"}", TAG_FOUND, "b"},
    {"of escaped ones the first", "{\"type\":\"a\",\"\\u0074ype\":\"b\"}", TAG_FOUND, "a"},
    {"brackets in the tag", "{\"type\":\"{[]}\"}", TAG_FOUND, "{[]}"},
    {"not ASCII", "{\"\xc3\xa9\":\"\xc3\xa9\",\"type\":\"\xc3\xa9\"}", TAG_FOUND, "\xc3\xa9"},
    /* What is wrong behind it is not the scan's business. */
    {"the object does not end", "{\"type\":\"a\"", TAG_FOUND, "a"},
    {"no JSON behind it", "{\"type\":\"a\"]x\xff", TAG_FOUND, "a"},
};

static const struct row refused_rows[] = {
    {"nothing", "", TAG_NOT_OBJECT, NULL},
    {"spaces", " \t\r\n", TAG_NOT_OBJECT, NULL},
    {"a string", "\"type\"", TAG_NOT_OBJECT, NULL},
    {"a number", "17", TAG_NOT_OBJECT, NULL},
    {"null", "null", TAG_NOT_OBJECT, NULL},
    {"an array", "[{\"type\":\"a\"}]", TAG_NOT_OBJECT, NULL},
    {"a byte order mark", "\xef\xbb\xbf{\"type\":\"a\"}", TAG_NOT_OBJECT, NULL},
    {"no space of JSON", "\f{\"type\":\"a\"}", TAG_NOT_OBJECT, NULL},
    {"an end", "}", TAG_NOT_OBJECT, NULL},
    {"an empty object", "{}", TAG_ABSENT, NULL},
    {"an empty object with spaces", " { } ", TAG_ABSENT, NULL},
    {"another member", "{\"a\":\"type\"}", TAG_ABSENT, NULL},
    {"only further in", "{\"a\":{\"type\":\"x\"},\"b\":[{\"type\":\"x\"}]}", TAG_ABSENT, NULL},
    {"only in a string", "{\"a\":\"{\\\"type\\\":\\\"x\\\"}\"}", TAG_ABSENT, NULL},
    {"only behind the object", "{\"a\":1},\"type\":\"x\"}", TAG_ABSENT, NULL},
    {"only in a second object", "{\"a\":1}{\"type\":\"x\"}", TAG_ABSENT, NULL},
    {"another case", "{\"TYPE\":\"x\"}", TAG_ABSENT, NULL},
    {"a space in front", "{\" type\":\"x\"}", TAG_ABSENT, NULL},
    {"a space behind", "{\"type \":\"x\"}", TAG_ABSENT, NULL},
    {"a NUL behind", "{\"type\\u0000\":\"x\"}", TAG_ABSENT, NULL},
    {"an escape that is another", "{\"\\u0075ype\":\"x\"}", TAG_ABSENT, NULL},
    {"an escape of too few digits", "{\"\\u074ype\":\"x\"}", TAG_ABSENT, NULL},
    {"an escape that is none", "{\"\\type\":\"x\"}", TAG_ABSENT, NULL},
    {"a number", "{\"type\":17}", TAG_NOT_STRING, NULL},
    {"null", "{\"type\":null}", TAG_NOT_STRING, NULL},
    {"an object", "{\"type\":{\"type\":\"x\"}}", TAG_NOT_STRING, NULL},
    {"an array", "{\"a\":1,\"type\":[\"x\"]}", TAG_NOT_STRING, NULL},
    {"no string first", "{\"type\":1,\"type\":\"x\"}", TAG_NOT_STRING, NULL},
    {"no value", "{\"type\":}", TAG_NOT_STRING, NULL},
    {"a bracket and the end", "{", TAG_MALFORMED, NULL},
    {"an end within a key", "{\"typ", TAG_MALFORMED, NULL},
    {"an end behind the key", "{\"type\"", TAG_MALFORMED, NULL},
    {"an end behind the colon", "{\"type\": ", TAG_MALFORMED, NULL},
    {"an end within the tag", "{\"type\":\"a", TAG_MALFORMED, NULL},
    {"an end behind the quote", "{\"type\":\"", TAG_MALFORMED, NULL},
    {"an end behind a backslash", "{\"type\":\"a\\", TAG_MALFORMED, NULL},
    {"an escaped quote and the end", "{\"type\":\"a\\\"", TAG_MALFORMED, NULL},
    {"no colon", "{\"type\" \"x\"", TAG_MALFORMED, NULL},
    {"open brackets", "{\"a\":[{},", TAG_MALFORMED, NULL},
};

/* True if this machine can run the level; otherwise the test counts as skipped. */
static bool level_begin(enum simd_level level)
{
    enum simd_level best = simd_detect();
    bool runs = tag_scan_at(level) != NULL && level <= best;
    if (!runs) {
        test_skip(simd_level_name(level));
    }
    return runs;
}

/* Scan a text that ends, with its padding, before a page that faults. */
static void scan_expect(tag_scan_fn scan, struct span text, struct span name,
                        const struct row *expected)
{
    uint8_t bytes[TEXT_MAX + TAG_PADDING];
    ASSERT(text.size <= TEXT_MAX);
    memset(bytes, '"', text.size + TAG_PADDING);
    if (text.size > 0) {
        memcpy(bytes, text.ptr, text.size);
    }
    uint8_t *copy = guard_copy(bytes, text.size + TAG_PADDING);
    struct tag tag = {0};
    EXPECT_INT(scan(span_of(copy, text.size), name, &tag), expected->status, expected->why);
    if (expected->raw != NULL) {
        EXPECT_SPAN(tag.raw, expected->raw, expected->why);
        EXPECT_INT(tag.is_escaped, strchr(expected->raw, '\\') != NULL, expected->why);
        EXPECT(tag.raw.ptr >= copy && tag.raw.ptr <= copy + text.size, expected->why);
    }
    guard_free(copy);
}

/* As it is, and with spaces in front of it and behind its bracket, so that each of its bytes comes
 * to lie at each place of a block. */
static void row_expect(tag_scan_fn scan, const struct row *row)
{
    struct span name = SPAN_LITERAL("type");
    size_t size = strlen(row->text);
    const char *bracket = strchr(row->text, '{');
    scan_expect(scan, span_of(row->text, size), name, row);
    for (size_t spaces = 1; spaces <= 130; spaces++) {
        uint8_t text[TEXT_MAX];
        memset(text, ' ', spaces);
        memcpy(text + spaces, row->text, size);
        scan_expect(scan, span_of(text, spaces + size), name, row);
        if (bracket != NULL) {
            size_t head = (size_t)(bracket - row->text) + 1;
            memcpy(text, row->text, head);
            memset(text + head, ' ', spaces);
            memcpy(text + head + spaces, bracket + 1, size - head);
            scan_expect(scan, span_of(text, spaces + size), name, row);
        }
    }
}

static void level_holds_the_tables(enum simd_level level)
{
    if (!level_begin(level)) {
        return;
    }
    for (size_t i = 0; i < COUNT_OF(found_rows); i++) {
        row_expect(tag_scan_at(level), &found_rows[i]);
    }
    for (size_t i = 0; i < COUNT_OF(refused_rows); i++) {
        row_expect(tag_scan_at(level), &refused_rows[i]);
    }
}

void tag_scan_portable_holds_the_tables(void)
{
    level_holds_the_tables(SIMD_PORTABLE);
}

void tag_scan_sse42_holds_the_tables(void)
{
    level_holds_the_tables(SIMD_SSE42);
}

void tag_scan_avx2_holds_the_tables(void)
{
    level_holds_the_tables(SIMD_AVX2);
}

void tag_scan_avx512_holds_the_tables(void)
{
    level_holds_the_tables(SIMD_AVX512);
}

void tag_scan_neon_holds_the_tables(void)
{
    level_holds_the_tables(SIMD_NEON);
}

void tag_scan_at_knows_the_levels_of_the_build(void)
{
    EXPECT(tag_scan_at(SIMD_PORTABLE) != NULL, "always there");
    EXPECT(tag_scan_at(simd_detect()) != NULL, "what this machine has");
#if defined(__x86_64__)
    EXPECT(tag_scan_at(SIMD_NEON) == NULL, "of another architecture");
#else
    EXPECT(tag_scan_at(SIMD_AVX2) == NULL, "of another architecture");
#endif
}

/* Every beginning of a document: the tag is found once its closing quote is there. */
void tag_scan_needs_all_of_the_tag_and_nothing_behind_it(void)
{
    static const char text[] =
        "{\"list\":[{\"type\":\"no\",\"a\":\"\\\\\"},\"type\"],\"text\":\"some "
        "characters, so that there are blocks\",\"type\" : \"chat.said\"}";
    tag_scan_fn scan = tag_scan_at(simd_detect());
    const struct row malformed = {"cut off", NULL, TAG_MALFORMED, NULL};
    const struct row found = {"with its quote", NULL, TAG_FOUND, "chat.said"};
    for (size_t size = 1; size < sizeof(text); size++) {
        bool is_whole = size >= sizeof(text) - 2;
        scan_expect(scan, span_of(text, size), SPAN_LITERAL("type"),
                    is_whole ? &found : &malformed);
        scan_expect(tag_scan_at(SIMD_PORTABLE), span_of(text, size), SPAN_LITERAL("type"),
                    is_whole ? &found : &malformed);
    }
}

/* Names and tags of every size, also those that are longer than blocks. */
void tag_scan_finds_names_and_tags_of_every_size(void)
{
    struct tag_kit *kit = tag_kit_create();
    unsigned wrong = 0;
    for (size_t name_size = 0; name_size <= 150; name_size++) {
        char name[160];
        char text[TEXT_MAX];
        memset(name, 'n', sizeof(name));
        for (size_t tag_size = 0; tag_size <= 140; tag_size += 1 + name_size % 7) {
            /* Keys of all neighbouring sizes in front of it. */
            int size =
                snprintf(text, sizeof(text), "{\"x%.*s\":\"%.*s\",\"%.*s\":1,\"%.*s\":\"%.*s\"}",
                         (int)name_size, name, (int)name_size, name, (int)name_size + 1, name,
                         (int)name_size, name, (int)tag_size, name);
            wrong +=
                tag_kit_check(kit, span_of(text, (size_t)size), span_of(name, name_size)) != NULL;
        }
    }
    EXPECT_INT(wrong, 0, "all levels, and simdjson");
    EXPECT_INT(tag_kit_counts(kit)->found, tag_kit_counts(kit)->valid, "all have it");
    EXPECT(tag_kit_counts(kit)->found > 5000, "and all are valid");
    tag_kit_destroy(kit);
}

/* Runs of backslashes of every length at every place. */
void tag_scan_sees_which_quotes_are_escaped(void)
{
    struct tag_kit *kit = tag_kit_create();
    unsigned wrong = 0;
    for (size_t shift = 0; shift < 70; shift++) {
        for (size_t run = 0; run <= 140; run++) {
            char text[TEXT_MAX];
            char slashes[200];
            memset(slashes, '\\', sizeof(slashes));
            const char *end = run % 2 == 0 ? "\"" : "\",\\\"";
            int size = snprintf(text, sizeof(text), "{\"a\":\"%*s%.*s%s,\"type\":\"t%.*s%s}",
                                (int)shift, "", (int)run, slashes, end, (int)run, slashes,
                                run % 2 == 0 ? "\"" : "\"\"");
            wrong += tag_kit_check(kit, span_of(text, (size_t)size), SPAN_LITERAL("type")) != NULL;
        }
    }
    EXPECT_INT(wrong, 0, "all levels, and simdjson");
    EXPECT(tag_kit_counts(kit)->escaped > 70 * 60, "those of even length have a tag");
    tag_kit_destroy(kit);
}

void tag_scan_counts_any_depth(void)
{
    struct tag_kit *kit = tag_kit_create();
    unsigned wrong = 0;
    for (size_t depth = 0; depth <= 1500; depth += 1 + depth / 16) {
        uint8_t text[TAG_KIT_SIZE_MAX];
        memcpy(text, "{\"a\":0", 6);
        memset(text + 5, '[', depth);
        memset(text + 5 + depth, ']', depth);
        if (depth == 0) {
            text[5] = '0';
        }
        size_t at = depth == 0 ? 6 : 5 + 2 * depth;
        memcpy(text + at, ",\"type\":\"b\"}", 12);
        wrong += tag_kit_check(kit, span_of(text, at + 12), SPAN_LITERAL("type")) != NULL;
        /* One bracket more, or less, and the member is of nothing, or further in. */
        text[at] = depth == 0 ? '}' : ' ';
        wrong += tag_kit_check(kit, span_of(text, at + 12), SPAN_LITERAL("type")) != NULL;
    }
    EXPECT_INT(wrong, 0, "all levels, and simdjson");
    EXPECT(tag_kit_counts(kit)->found >= 50, "found behind them");
    tag_kit_destroy(kit);
}

/* --- all levels and simdjson ---------------------------------------------------------------- */

/* Every text of `size` characters of the alphabet, behind a head, before a tail. */
static void enumerate(struct tag_kit *kit, const char *head, const char *alphabet, size_t size)
{
    size_t letters = strlen(alphabet);
    size_t head_size = strlen(head);
    size_t digits[16] = {0};
    uint8_t text[200];
    unsigned wrong = 0;
    ASSERT(size < COUNT_OF(digits) && head_size + size < sizeof(text));
    memcpy(text, head, head_size);
    for (size_t i = 0; i < size; digits[i]++) {
        for (size_t k = 0; k < size; k++) {
            text[head_size + k] = (uint8_t)alphabet[digits[k]];
        }
        wrong += tag_kit_check(kit, span_of(text, head_size + size), SPAN_LITERAL("t")) != NULL;
        for (i = 0; i < size && digits[i] == letters - 1; i++) {
            digits[i] = 0;
        }
    }
    EXPECT_INT(wrong, 0, head);
}

/* 60 spaces: the text begins in one block and ends in the next. */
#define SPACES_60 "                                                            "

void tag_scan_agrees_with_simdjson_about_all_small_documents(void)
{
    struct tag_kit *kit = tag_kit_create();
    enumerate(kit, "", "{}[]\": t,", 5);
    enumerate(kit, "{", "{}[]\":t,", 6);
    enumerate(kit, "{", "\":t}\\", 8);
    enumerate(kit, "{" SPACES_60, "\":t}\\", 8);
    enumerate(kit, "{\"t\"", ":{}\" t,\\", 6);
    enumerate(kit, "{\"a\":{" SPACES_60 "},\"b", "\":,t}\\1", 7);
    EXPECT(tag_kit_counts(kit)->found >= 50, "with a tag");
    EXPECT(tag_kit_counts(kit)->absent >= 20, "without");
    EXPECT(tag_kit_counts(kit)->malformed >= 1000000, "malformed");
    tag_kit_destroy(kit);
}

/* No JSON at all: levels agree, and read nothing that they must not. */
void tag_scan_levels_agree_about_any_bytes(void)
{
    static const char alphabet[] = "{{}[]\"\"\"\"::,\\\\t  x\xff";
    struct tag_kit *kit = tag_kit_create();
    uint64_t state = 1;
    unsigned wrong = 0;
    for (unsigned i = 0; i < RANDOM_COUNT; i++) {
        uint8_t text[300];
        size_t size = i % sizeof(text);
        for (size_t k = 0; k < size; k++) {
            state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
            text[k] = i % 4 == 0 ? (uint8_t)(state >> 40)
                                 : (uint8_t)alphabet[(state >> 40) % (sizeof(alphabet) - 1)];
        }
        if (size > 0) {
            text[0] = '{';
        }
        wrong += tag_kit_check(kit, span_of(text, size), SPAN_LITERAL("t")) != NULL;
    }
    EXPECT_INT(wrong, 0, "all levels");
    tag_kit_destroy(kit);
}

void tag_scan_agrees_with_simdjson_about_random_documents(void)
{
    struct tag_kit *kit = tag_kit_create();
    uint64_t random = 4711;
    unsigned wrong = 0;
    for (unsigned i = 0; i < RANDOM_COUNT; i++) {
        struct span name;
        struct span text = tag_kit_generate(kit, &random, &name);
        wrong += tag_kit_check(kit, text, name) != NULL;
    }
    EXPECT_INT(wrong, 0, "all levels, and simdjson");
    EXPECT(tag_kit_counts(kit)->found > RANDOM_COUNT / 10, "with a tag");
    EXPECT(tag_kit_counts(kit)->escaped > RANDOM_COUNT / 20, "with escapes up to it");
    EXPECT(tag_kit_counts(kit)->absent > RANDOM_COUNT / 10, "without");
    EXPECT(tag_kit_counts(kit)->refused > RANDOM_COUNT / 20, "no object, or no string");
    EXPECT(tag_kit_counts(kit)->malformed > RANDOM_COUNT / 10, "malformed");
    tag_kit_destroy(kit);
}

/* --- escapes ------------------------------------------------------------------------------- */

static void unescape_expect(const char *why, const char *raw, int expected_err,
                            const char *expected)
{
    uint8_t bytes[TAG_SIZE_MAX];
    size_t size = 0;
    uint8_t *copy = guard_copy(raw, strlen(raw));
    int err = tag_unescape(span_of(copy, strlen(raw)), bytes, &size);
    EXPECT_INT(err, expected_err, why);
    if (err == 0 && expected != NULL) {
        EXPECT_SPAN(span_of(bytes, size), expected, why);
    }
    guard_free(copy);
}

void tag_unescape_writes_what_escapes_stand_for(void)
{
    unescape_expect("nothing", "", 0, "");
    unescape_expect("no escape", "chat.said", 0, "chat.said");
    unescape_expect("all short ones", "\\\"\\\\\\/\\b\\f\\n\\r\\t", 0, "\"\\/\b\f\n\r\t");
    unescape_expect("ASCII", "\\u0041\\u007f", 0, "A\x7f");
    unescape_expect("two bytes", "\\u0080\\u00e9\\u07FF", 0, "\xc2\x80\xc3\xa9\xdf\xbf");
    unescape_expect("three bytes", "\\u0800\\u20AC\\uffff", 0,
                    "\xe0\xa0\x80\xe2\x82\xac\xef\xbf\xbf");
    unescape_expect("around the surrogates", "\\uD7FF\\uE000", 0, "\xed\x9f\xbf\xee\x80\x80");
    unescape_expect("four bytes", "\\ud83d\\uDE00", 0, "\xf0\x9f\x98\x80");
    unescape_expect("the first pair", "\\ud800\\udc00", 0, "\xf0\x90\x80\x80");
    unescape_expect("the last pair", "\\uDBFF\\uDFFF", 0, "\xf4\x8f\xbf\xbf");
    unescape_expect("between others", "a\\u0062c\\\\u0064", 0, "abc\\u0064");
    unescape_expect("bytes that are not ASCII", "\xc3\xa9\\n", 0, "\xc3\xa9\n");
}

void tag_unescape_refuses_bad_escapes(void)
{
    static const char *const rows[] = {
        "\\",
        "a\\",
        "\\a",
        "\\'",
        "\\x41",
        "\\U0041",
        "\\0",
        "\\ ",
        "\\u",
        "\\u0",
        "\\u00",
        "\\u004",
        "\\u004g",
        "\\u004\\",
        "\\u-041",
        "\\u 041",
        "\\u+041",
        "\\u0x41",
        "\\ud800",
        "\\udbff",
        "\\udc00",
        "\\udfff",
        "\\ud800x",
        "\\ud800\\n",
        "\\ud800\\",
        "\\ud800\\u",
        "\\ud800\\u0041",
        "\\ud800\\ud800",
        "\\ud83d\\ue000",
        "\\udc00\\ud800",
        "\\ud800\\udc0",
        "\\ud800\\udbff",
        "\\ud800udc00",
        "\\\\\\",
        "\\N",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        unescape_expect(rows[i], rows[i], GYR_ERR_MESSAGE, NULL);
    }
}

/* Every byte behind a backslash: eight stand for something. */
void tag_unescape_knows_eight_short_escapes(void)
{
    unsigned known = 0;
    for (unsigned byte = 1; byte < 256; byte++) {
        uint8_t bytes[TAG_SIZE_MAX];
        uint8_t raw[2] = {'\\', (uint8_t)byte};
        size_t size = 0;
        int err = tag_unescape(span_of(raw, sizeof(raw)), bytes, &size);
        EXPECT(err == GYR_ERR_MESSAGE || (err == 0 && size == 1), "one byte or an error");
        known += err == 0;
    }
    EXPECT_INT(known, 8, "RFC 8259 section 7");
}

void tag_unescape_limits_the_size_to_the_byte(void)
{
    for (size_t size = TAG_SIZE_MAX - 4; size <= TAG_SIZE_MAX + 4; size++) {
        char raw[2 * TAG_SIZE_MAX];
        memset(raw, 'x', sizeof(raw));
        raw[size] = '\0';
        unescape_expect("plain", raw, size <= TAG_SIZE_MAX ? 0 : GYR_ERR_LIMIT, NULL);
        memcpy(raw + size, "\\u00e9", 7);
        unescape_expect("two bytes", raw, size + 2 <= TAG_SIZE_MAX ? 0 : GYR_ERR_LIMIT, NULL);
        memcpy(raw + size, "\\ud83d\\ude00", 13);
        unescape_expect("four bytes", raw, size + 4 <= TAG_SIZE_MAX ? 0 : GYR_ERR_LIMIT, NULL);
    }
}

void tag_key_equals_compares_to_the_last_character(void)
{
    static const struct {
        const char *raw;
        const char *name;
        bool is_equal;
    } rows[] = {
        {"type", "type", true},
        {"\\u0074ype", "type", true},
        {"t\\u0079p\\u0065", "type", true},
        {"\\/", "/", true},
        {"", "", true},
        {"\\u00e9\\ud83d\\ude00", "\xc3\xa9\xf0\x9f\x98\x80", true},
        {"typ", "type", false},
        {"types", "type", false},
        {"\\u0074yp", "type", false},
        {"\\u0074ypes", "type", false},
        {"", "type", false},
        {"type", "", false},
        {"\\u0074ype\\u0000", "type", false},
        {"\\u0074yp\\", "type", false},
        {"\\u00e9", "\xc3", false},
        {"\\ud83d", "\xed\xa0\xbd", false},
        {"\\type", "type", false},
        {"\\u0054ype", "type", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t *raw = guard_copy(rows[i].raw, strlen(rows[i].raw));
        uint8_t *name = guard_copy(rows[i].name, strlen(rows[i].name));
        EXPECT(tag_key_equals(span_of(raw, strlen(rows[i].raw)),
                              span_of(name, strlen(rows[i].name))) == rows[i].is_equal,
               rows[i].raw);
        guard_free(name);
        guard_free(raw);
    }
}
