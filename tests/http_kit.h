/* SPDX-License-Identifier: MIT */
/* What the tests of request heads share: rows of a table, and parsing in every way input can
 * come. */
#ifndef TESTS_HTTP_KIT_H
#define TESTS_HTTP_KIT_H

#include "proto/http_request.h"
#include "tests/parser_kit.h"

#define H                 "Host: a\r\n"
#define GET_WITH(fields)  "GET / HTTP/1.1\r\n" H fields "\r\n"
#define POST_WITH(fields) "POST / HTTP/1.1\r\n" H fields "\r\n"

/* A string literal, which may hold NUL, and what parsing it returns. */
#define ROW(why, text, expected)              \
    {                                         \
        why, text, sizeof(text) - 1, expected \
    }

struct http_row {
    const char *why;
    const char *text;
    size_t size;
    int expected;
};

/* 8 KiB of head, 4 KiB of target, 100 fields. */
extern const struct http_limits http_kit_limits;

/* Parse a copy that lies flush against a guard page. */
int http_kit_parse(struct http_request *request, const void *bytes, size_t size);

/* Deliver prefixes that grow by `step` bytes, each at another address. */
int http_kit_parse_growing(struct http_request *request, const struct http_limits *limits,
                           struct span input, size_t step);

/* Parse whole, by every step, and cut in two at every byte; all must agree. */
int http_kit_parse_every_way(struct http_request *request, const char *text, size_t size,
                             const char *why);

void http_kit_expect_rows(const struct http_row *rows, size_t row_count);

void http_kit_expect_slice(struct http_slice slice, const char *text, const char *expected,
                           const char *why);

#endif
