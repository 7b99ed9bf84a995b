/* SPDX-License-Identifier: MIT */
/* Range and Content-Range (RFC 9110 section 14): every small range against a plain reading of the
 * rules, numbers of any length, and what does not count. */
#include "proto/http_range.h"
#include "tests/parser_kit.h"

#include <stdio.h>

static enum http_range_kind parse(const char *text, uint64_t size, struct http_part *part)
{
    uint8_t *copy = guard_copy(text, strlen(text));
    *part = (struct http_part){0};
    enum http_range_kind kind = http_range_parse(span_of(copy, strlen(text)), size, part);
    guard_free(copy);
    return kind;
}

void http_range_takes_one_range(void)
{
    static const struct {
        const char *text;
        uint64_t size;
        enum http_range_kind kind;
        uint64_t first;
        uint64_t part_size;
    } rows[] = {
        {"bytes=0-0", 10, HTTP_RANGE_PART, 0, 1},
        {"bytes=0-9", 10, HTTP_RANGE_PART, 0, 10},
        {"bytes=0-10", 10, HTTP_RANGE_PART, 0, 10},
        {"bytes=9-9", 10, HTTP_RANGE_PART, 9, 1},
        {"bytes=9-", 10, HTTP_RANGE_PART, 9, 1},
        {"bytes=0-", 10, HTTP_RANGE_PART, 0, 10},
        {"bytes=-1", 10, HTTP_RANGE_PART, 9, 1},
        {"bytes=-10", 10, HTTP_RANGE_PART, 0, 10},
        {"bytes=-11", 10, HTTP_RANGE_PART, 0, 10},
        {"BYTES=0-0", 10, HTTP_RANGE_PART, 0, 1},
        {"bytes= 2-3", 10, HTTP_RANGE_PART, 2, 2},
        {"bytes=2-3 ", 10, HTTP_RANGE_PART, 2, 2},
        {"bytes=,2-3", 10, HTTP_RANGE_PART, 2, 2},
        {"bytes= , ,\t2-3 ,", 10, HTTP_RANGE_PART, 2, 2},
        {"bytes=0002-0003", 10, HTTP_RANGE_PART, 2, 2},
        {"bytes=10-", 10, HTTP_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=10-10", 10, HTTP_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-0", 10, HTTP_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=0-", 0, HTTP_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=0-0", 0, HTTP_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-0", 0, HTTP_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-1", 0, HTTP_RANGE_NONE, 0, 0},
        {"bytes=1-18446744073709551615", 10, HTTP_RANGE_PART, 1, 9},
        {"bytes=1-18446744073709551616", 10, HTTP_RANGE_PART, 1, 9},
        {"bytes=1-99999999999999999999999999999999999999999", 10, HTTP_RANGE_PART, 1, 9},
        {"bytes=-99999999999999999999999999999999999999999", 10, HTTP_RANGE_PART, 0, 10},
        {"bytes=18446744073709551615-", 10, HTTP_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=18446744073709551616-", 10, HTTP_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=18446744073709551616-18446744073709551617", 10, HTTP_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=36893488147419103232-", 10, HTTP_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=0-18446744073709551615", UINT64_MAX, HTTP_RANGE_PART, 0, UINT64_MAX},
        {"bytes=18446744073709551614-", UINT64_MAX, HTTP_RANGE_PART, UINT64_MAX - 1, 1},
        {"bytes=18446744073709551615-", UINT64_MAX, HTTP_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-18446744073709551616", UINT64_MAX, HTTP_RANGE_PART, 0, UINT64_MAX},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct http_part part;
        EXPECT_INT(parse(rows[i].text, rows[i].size, &part), rows[i].kind, rows[i].text);
        if (rows[i].kind == HTTP_RANGE_PART) {
            EXPECT(part.first == rows[i].first && part.size == rows[i].part_size, rows[i].text);
        }
    }
}

void http_range_ignores_what_is_no_single_range_of_bytes(void)
{
    static const char *const texts[] = {
        "",
        "bytes",
        "bytes=",
        "bytes= ",
        "bytes=,",
        "bytes=-",
        "bytes=--1",
        "bytes=1",
        "bytes=1--2",
        "bytes=1-2-3",
        "bytes=-1-",
        "bytes=5-4",
        "bytes=1-0",
        "bytes=99-98",
        "bytes=0 - 1",
        "bytes=0- 1",
        "bytes=+0-1",
        "bytes=0-+1",
        "bytes=0x0-1",
        "bytes=a-b",
        "bytes=0-1a",
        "bytes=0-1;x",
        "bytes=\"0-1\"",
        "bytes=*",
        "bytes=*/10",
        "bytes=0-1,2-3",
        "bytes=0-1, -1",
        "bytes=0-0,0-0",
        "bytes=0-1,x",
        "bytes 0-1",
        "bytes =0-1",
        " bytes=0-1",
        "bytes: 0-1",
        "byte=0-1",
        "bytess=0-1",
        "items=0-1",
        "seconds=0-1",
        "none",
        "0-1",
        "=0-1",
        "bytes=0-\x80",
        "bytes=1.0-2",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct http_part part;
        EXPECT_INT(parse(texts[i], 10, &part), HTTP_RANGE_NONE, texts[i]);
    }
}

/* All ranges of all small sizes. */
void http_range_is_within_the_representation(void)
{
    char text[64];
    struct http_part part;
    for (uint64_t size = 0; size < 6; size++) {
        for (unsigned first = 0; first < 8; first++) {
            for (unsigned last = 0; last < 8; last++) {
                snprintf(text, sizeof(text), "bytes=%u-%u", first, last);
                enum http_range_kind expected = last < first   ? HTTP_RANGE_NONE
                                                : first < size ? HTTP_RANGE_PART
                                                               : HTTP_RANGE_UNSATISFIABLE;
                EXPECT_INT(parse(text, size, &part), expected, text);
                uint64_t end = last < size ? last + 1u : size;
                EXPECT(expected != HTTP_RANGE_PART ||
                           (part.first == first && part.first + part.size == end),
                       text);
            }
        }
    }
}

void http_content_range_is_written(void)
{
    static const struct {
        struct http_part part;
        uint64_t size;
        const char *text;
    } rows[] = {
        {{0, 1}, 1, "bytes 0-0/1"},
        {{0, 10}, 10, "bytes 0-9/10"},
        {{9, 1}, 10, "bytes 9-9/10"},
        {{1234, 5678}, 100000, "bytes 1234-6911/100000"},
        {{0, UINT64_MAX}, UINT64_MAX, "bytes 0-18446744073709551614/18446744073709551615"},
        {{UINT64_MAX - 1, 1},
         UINT64_MAX,
         "bytes 18446744073709551614-18446744073709551614/18446744073709551615"},
        {{0, 0}, 0, "bytes */0"},
        {{0, 0}, UINT64_MAX, "bytes */18446744073709551615"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t zeros[HTTP_CONTENT_RANGE_SIZE] = {0};
        uint8_t *text = guard_copy(zeros, sizeof(zeros));
        size_t size = http_content_range_write(text, rows[i].part.size == 0 ? NULL : &rows[i].part,
                                               rows[i].size);
        EXPECT_SPAN(span_of(text, size), rows[i].text, rows[i].text);
        guard_free(text);
    }
}
