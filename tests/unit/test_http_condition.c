/* SPDX-License-Identifier: MIT */
/* Conditional requests: each field alone, lists, and the order in which they count (RFC 9110
 * sections 13.1 and 13.2.2). */
#include "proto/http_condition.h"
#include "tests/http_kit.h"

#define MODIFIED "Sun, 06 Nov 1994 08:49:37 GMT" /* 784111777 */
#define BEFORE   "Sun, 06 Nov 1994 08:49:36 GMT"
#define AFTER    "Sun, 06 Nov 1994 08:49:38 GMT"
#define SECONDS  784111777

enum {
    MET = HTTP_CONDITION_MET,
    SAME = HTTP_CONDITION_NOT_MODIFIED,
    FAILED = HTTP_CONDITION_FAILED,
};

struct row {
    const char *fields;
    int expected;
};

static int64_t now_seconds(int64_t after)
{
    return SECONDS + after;
}

static void request_of(struct http_request *request, const char *fields, char text[512])
{
    strcpy(text, "GET / HTTP/1.1\r\nHost: a\r\n");
    strcat(text, fields);
    strcat(text, "\r\n");
    EXPECT_INT(http_kit_parse(request, text, strlen(text)), 0, fields);
}

static void expect_rows(const struct row *rows, size_t count)
{
    static struct http_request request;
    struct http_validators validators = {SPAN_LITERAL("\"a-1\""), SECONDS, now_seconds(100)};
    for (size_t i = 0; i < count; i++) {
        char text[512];
        request_of(&request, rows[i].fields, text);
        EXPECT_INT(http_condition_judge(&request, (const uint8_t *)text, &validators),
                   rows[i].expected, rows[i].fields);
    }
}

void http_condition_if_none_match_compares_weakly(void)
{
    static const struct row rows[] = {
        {"", MET},
        {"If-None-Match: \"a-1\"\r\n", SAME},
        {"If-None-Match: W/\"a-1\"\r\n", SAME},
        {"if-none-match: *\r\n", SAME},
        {"If-None-Match: \"b\", \"a-1\"\r\n", SAME},
        {"If-None-Match: \"b\",W/\"a-1\",\"c\"\r\n", SAME},
        {"If-None-Match: , ,\"a-1\",\r\n", SAME},
        {"If-None-Match: \"b,\", \"a-1\"\r\n", SAME},
        {"If-None-Match: \"b\"\r\nIf-None-Match: \"a-1\"\r\n", SAME},
        {"If-None-Match: x\r\nIf-None-Match: \"a-1\"\r\n", SAME},
        {"If-None-Match: \"\"\r\n", MET},
        {"If-None-Match:\r\n", MET},
        {"If-None-Match: \"A-1\"\r\n", MET},
        {"If-None-Match: \"a-1 \"\r\n", MET},
        {"If-None-Match: \"a-\"\r\n", MET},
        {"If-None-Match: \"a-11\"\r\n", MET},
        {"If-None-Match: a-1\r\n", MET},
        {"If-None-Match: \"a-1\r\n", MET},
        {"If-None-Match: a-1\"\r\n", MET},
        {"If-None-Match: w/\"a-1\"\r\n", MET},
        {"If-None-Match: W\"a-1\"\r\n", MET},
        {"If-None-Match: W/ \"a-1\"\r\n", MET},
        {"If-None-Match: 'a-1'\r\n", MET},
        {"If-None-Match: \"a-1\" x\r\n", MET},
        {"If-None-Match: \"a-1\" \"b\"\r\n", MET},
        {"If-None-Match: \"a-1\"\"b\"\r\n", MET},
        {"If-None-Match: \"a-1\", *\r\n", MET},
        {"If-None-Match: *, \"b\"\r\n", MET},
        {"If-None-Match: \"b, \"a-1\"\r\n", MET},
    };
    expect_rows(rows, COUNT_OF(rows));
}

void http_condition_if_match_compares_strongly(void)
{
    static const struct row rows[] = {
        {"If-Match: \"a-1\"\r\n", MET},
        {"If-Match: *\r\n", MET},
        {"If-Match: \"b\", \"a-1\"\r\n", MET},
        {"If-Match: \"b\"\r\nIf-Match: \"a-1\"\r\n", MET},
        {"If-Match: W/\"a-1\", \"a-1\"\r\n", MET},
        {"If-Match: W/\"a-1\"\r\n", FAILED},
        {"If-Match: \"b\"\r\n", FAILED},
        {"If-Match:\r\n", FAILED},
        {"If-Match: a-1\r\n", FAILED},
        {"If-Match: \"a-1\r\n", FAILED},
        {"If-Match: \"a-1\" \"b\"\r\n", FAILED},
        {"If-Match: **\r\n", FAILED},
    };
    expect_rows(rows, COUNT_OF(rows));
}

void http_condition_dates_are_compared_to_the_second(void)
{
    static const struct row rows[] = {
        {"If-Modified-Since: " MODIFIED "\r\n", SAME},
        {"If-Modified-Since: " AFTER "\r\n", SAME},
        {"If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n", SAME},
        {"If-Modified-Since: Sun Nov  6 08:49:37 1994\r\n", SAME},
        {"If-Modified-Since: " BEFORE "\r\n", MET},
        {"If-Modified-Since: \r\n", MET},
        {"If-Modified-Since: 784111777\r\n", MET},
        {"If-Modified-Since: " MODIFIED ", " MODIFIED "\r\n", MET},
        {"If-Modified-Since: " AFTER "\r\nIf-Modified-Since: " AFTER "\r\n", MET},
        {"If-Unmodified-Since: " MODIFIED "\r\n", MET},
        {"If-Unmodified-Since: " AFTER "\r\n", MET},
        {"If-Unmodified-Since: " BEFORE "\r\n", FAILED},
        {"If-Unmodified-Since: yesterday\r\n", MET},
        {"If-Unmodified-Since: " BEFORE "\r\nIf-Unmodified-Since: " BEFORE "\r\n", MET},
    };
    expect_rows(rows, COUNT_OF(rows));
}

void http_condition_fields_count_in_their_order(void)
{
    static const struct row rows[] = {
        {"If-Match: \"a-1\"\r\nIf-Unmodified-Since: " BEFORE "\r\n", MET},
        {"If-Match: \"b\"\r\nIf-Unmodified-Since: " AFTER "\r\n", FAILED},
        {"If-Match: \"b\"\r\nIf-None-Match: \"a-1\"\r\n", FAILED},
        {"If-None-Match: \"a-1\"\r\nIf-Match: \"b\"\r\n", FAILED},
        {"If-Match: \"a-1\"\r\nIf-None-Match: \"a-1\"\r\n", SAME},
        {"If-Match: \"a-1\"\r\nIf-Modified-Since: " AFTER "\r\n", SAME},
        {"If-Unmodified-Since: " AFTER "\r\nIf-None-Match: \"a-1\"\r\n", SAME},
        {"If-Unmodified-Since: " BEFORE "\r\nIf-None-Match: \"a-1\"\r\n", FAILED},
        {"If-Unmodified-Since: " AFTER "\r\nIf-Modified-Since: " AFTER "\r\n", SAME},
        {"If-None-Match: \"b\"\r\nIf-Modified-Since: " AFTER "\r\n", MET},
        {"If-None-Match: x\r\nIf-Modified-Since: " AFTER "\r\n", MET},
        {"If-None-Match: \"a-1\"\r\nIf-Modified-Since: " BEFORE "\r\n", SAME},
    };
    expect_rows(rows, COUNT_OF(rows));
}

void http_condition_if_range_wants_a_strong_validator(void)
{
    static const struct {
        const char *fields;
        int64_t now_after;
        bool expected;
    } rows[] = {
        {"", 100, true},
        {"If-Range: \"a-1\"\r\n", 100, true},
        {"If-Range: \"a-1\"\r\n", 0, true},
        {"If-Range: " MODIFIED "\r\n", 100, true},
        {"If-Range: Sun Nov  6 08:49:37 1994\r\n", 100, true},
        {"If-Range: " MODIFIED "\r\n", 2, true},
        {"If-Range: " MODIFIED "\r\n", 1, false},
        {"If-Range: " MODIFIED "\r\n", -100, false},
        {"If-Range: " BEFORE "\r\n", 100, false},
        {"If-Range: " AFTER "\r\n", 100, false},
        {"If-Range: W/\"a-1\"\r\n", 100, false},
        {"If-Range: \"b\"\r\n", 100, false},
        {"If-Range: *\r\n", 100, false},
        {"If-Range:\r\n", 100, false},
        {"If-Range: \"a-1\", \"b\"\r\n", 100, false},
        {"If-Range: \"a-1\"x\r\n", 100, false},
        {"If-Range: a-1\r\n", 100, false},
        {"If-Range: \"a-1\"\r\nIf-Range: \"a-1\"\r\n", 100, false},
    };
    static struct http_request request;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[512];
        struct http_validators validators = {SPAN_LITERAL("\"a-1\""), SECONDS,
                                             now_seconds(rows[i].now_after)};
        request_of(&request, rows[i].fields, text);
        EXPECT_INT(http_condition_if_range(&request, (const uint8_t *)text, &validators),
                   rows[i].expected, rows[i].fields);
    }
}
