/* SPDX-License-Identifier: MIT */
/* Lines of mistakes: in order, once each, one line each whatever is quoted. */
#include "router/mistakes.h"

#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

static void expect_lines(const struct mistakes *mistakes, const char *expected, const char *why)
{
    char text[2048] = "";
    EXPECT_INT(mistakes_print(mistakes, text, sizeof(text)), strlen(expected), why);
    EXPECT_SPAN(span_of(text, strlen(text)), expected, why);
}

void mistakes_are_told_in_order_and_once(void)
{
    struct mistakes mistakes = {0};
    expect_lines(&mistakes, "", "none");
    mistakes_add(&mistakes, "a.c:1", "first %d", 1);
    mistakes_add(&mistakes, "b.c:2", "second");
    mistakes_add(&mistakes, "a.c:1", "first %d", 1);
    mistakes_add(&mistakes, "a.c:1", "first %d", 2);
    mistakes_add(&mistakes, NULL, "no place");
    mistakes_add_line(&mistakes, "c.c:3: a line");
    expect_lines(&mistakes,
                 "a.c:1: first 1\nb.c:2: second\na.c:1: first 2\n(somewhere): no place\n"
                 "c.c:3: a line\n",
                 "in order");
    EXPECT_INT(mistakes.count, 5, "each once");
    struct mistakes all = {0};
    mistakes_add(&all, "b.c:2", "second");
    mistakes_add_all(&all, &mistakes);
    expect_lines(&all,
                 "b.c:2: second\na.c:1: first 1\na.c:1: first 2\n(somewhere): no place\n"
                 "c.c:3: a line\n",
                 "those of another");
    mistakes_deinit(&all);
    mistakes_deinit(&mistakes);
}

void mistakes_stay_one_line_and_are_cut(void)
{
    static char name[2 * MISTAKE_SIZE_MAX];
    struct mistakes mistakes = {0};
    mistakes_add(&mistakes, "a.c:1", "a\nb\tc\x7f%s", "\x01");
    expect_lines(&mistakes, "a.c:1: a?b?c??\n", "control characters");
    memset(name, 'x', sizeof(name) - 1);
    mistakes_add(&mistakes, "a.c:1", "%s", name);
    EXPECT_INT(mistakes.last->size, MISTAKE_SIZE_MAX - 1, "cut");
    mistakes_add(&mistakes, name, "%s", "behind a place that fills the line");
    EXPECT_INT(mistakes.last->size, MISTAKE_SIZE_MAX - 1, "cut");
    mistakes_deinit(&mistakes);
}

void mistakes_print_what_fits(void)
{
    static const char expected[] = "a: one\nb: two\n";
    struct mistakes mistakes = {0};
    mistakes_add(&mistakes, "a", "one");
    mistakes_add(&mistakes, "b", "two");
    for (size_t size = 0; size <= sizeof(expected) + 1; size++) {
        char text[sizeof(expected) + 2];
        memset(text, 'z', sizeof(text));
        EXPECT_INT(mistakes_print(&mistakes, text, size), sizeof(expected) - 1, "all it needs");
        size_t used = size == 0 ? 0 : MIN(size - 1, sizeof(expected) - 1);
        EXPECT(memcmp(text, expected, used) == 0, "the front");
        EXPECT(size == 0 || text[used] == 0, "with a NUL");
        EXPECT_INT(text[size], 'z', "nothing behind");
    }
    mistakes_deinit(&mistakes);
}
