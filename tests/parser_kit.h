/* SPDX-License-Identifier: MIT */
/* What the tests of all parsers share: input that ends directly before an unreadable page, input
 * cut at every byte, and checks that name the row of the table that failed. */
#ifndef TESTS_PARSER_KIT_H
#define TESTS_PARSER_KIT_H

#include "base/base.h"

/* A copy whose last byte lies directly before a PROT_NONE page, so that reading or writing one byte
 * past the end faults. Writable; successive copies lie at different addresses. A copy of 0 bytes is
 * a pointer to the guard page itself. Aborts if memory is short. Not for use by several threads. */
uint8_t *guard_copy(const void *bytes, size_t size);

/* Give a copy back. Its bytes are overwritten, so that a view kept too long shows itself. */
void guard_free(uint8_t *copy);

/* One part of an input, writable (parsers may unmask in place), flush against a guard page. */
struct piece {
    uint8_t *ptr;
    size_t size;
};

/* Run a fresh parser over the pieces in their order and compare what it emits. */
typedef void (*pieces_fn)(void *ctx, const struct piece *pieces, size_t piece_count);

/* Call `run` with the input whole; cut in two at every position (0 and size included, so that empty
 * pieces occur); cut into single bytes; and cut into pieces of 2, 3 and 7 bytes. */
void split_at_every_byte(struct span input, pieces_fn run, void *ctx);

/* A CUnit check that prints `why` when it fails. */
#define EXPECT(condition, why) expect_that((condition), (why), #condition, __FILE__, __LINE__)
void expect_that(bool condition, const char *why, const char *text, const char *file, int line);

/* A CUnit check that two integers are equal; prints `why` and both values when they are not. */
#define EXPECT_INT(actual, expected, why) \
    expect_int((int64_t)(actual), (int64_t)(expected), (why), __FILE__, __LINE__)
void expect_int(int64_t actual, int64_t expected, const char *why, const char *file, int line);

/* A CUnit check that a view holds exactly these bytes. */
#define EXPECT_SPAN(actual, text, why) expect_span((actual), (text), (why), __FILE__, __LINE__)
void expect_span(struct span actual, const char *text, const char *why, const char *file, int line);

/* Registration for a program that runs one file of tests by itself. */
struct parser_test {
    const char *name;
    void (*run)(void);
};

#define PARSER_TEST(function) \
    {                         \
#function, function   \
    }

/* Register the tests as one CUnit suite and run them. Returns what main should return. */
int parser_tests_run(const char *suite, const struct parser_test *tests, size_t test_count);

#endif
