/* SPDX-License-Identifier: MIT */
/* The error list and the one line for people. */
#include "engine/error.h"

#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <errno.h>

static const struct {
    const char *name;
    int value;
    unsigned close_code;
    unsigned status_code;
    const char *message;
} ERRORS[] = {
#define ERROR_ROW(name, value, close_code, status_code, message) \
    {#name, value, close_code, status_code, message},
    GYR_ERRORS(ERROR_ROW)
#undef ERROR_ROW
};

void error_list_has_a_text_and_codes_for_each(void)
{
    for (size_t i = 0; i < COUNT_OF(ERRORS); i++) {
        EXPECT(strcmp(gyr_strerror(ERRORS[i].value), ERRORS[i].message) == 0, ERRORS[i].name);
        EXPECT_INT(error_close_code(ERRORS[i].value), ERRORS[i].close_code, ERRORS[i].name);
        EXPECT_INT(error_status_code(ERRORS[i].value), ERRORS[i].status_code, ERRORS[i].name);
        EXPECT(ERRORS[i].value <= -5001, ERRORS[i].name);
        for (size_t k = 0; k < i; k++) {
            EXPECT(ERRORS[i].value != ERRORS[k].value, ERRORS[i].name);
        }
    }
    EXPECT(strcmp(gyr_strerror(GYR_ERR_BACKPRESSURE), "the queue is full; wait for on_drain") == 0,
           "as the header says");
}

void error_text_of_errno_is_the_c_librarys(void)
{
    EXPECT(strcmp(gyr_strerror(-EMFILE), "Too many open files") == 0, "EMFILE");
    EXPECT(strcmp(gyr_strerror(-4000), "unknown error") == 0, "no such errno");
    EXPECT(strcmp(gyr_strerror(-6000), "unknown error") == 0, "no such error");
    EXPECT(strcmp(gyr_strerror(1), "unknown error") == 0, "no error");
    EXPECT_INT(error_close_code(-EIO), 0, "none");
    EXPECT_INT(error_status_code(-EIO), 0, "none");
}

void error_advice_says_what_to_raise(void)
{
    static const struct {
        int err;
        const char *expected; /* in the advice */
    } rows[] = {
        {-EMFILE, "ulimit -n"},     {-ENFILE, "fs.file-max"},    {-EAGAIN, "TasksMax="},
        {-ENOMEM, "control group"}, {-ENOBUFS, "control group"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        EXPECT(strstr(error_advice(rows[i].err), rows[i].expected) != NULL, rows[i].expected);
        EXPECT(strncmp(error_advice(rows[i].err), "; ", 2) == 0, "it follows something");
    }
    EXPECT(error_advice(-EIO)[0] == '\0', "there is nothing to say");
    EXPECT(error_advice(GYR_ERR_MEMORY)[0] == '\0', "that is the core's own budget");
}

void error_write_is_one_printable_line_that_fits(void)
{
    struct gyr_error error;
    EXPECT_INT(ERROR_SET(&error, -EIO, "%s = %d", "a\nb\x7f\x1b[1m", 7), -EIO, "its value");
    EXPECT(strcmp(error.text, "a?b??[1m = 7") == 0, "control characters cannot reach a terminal");
    char text[1000];
    memset(text, 'x', sizeof(text));
    error_write(&error, "%.*s", (int)sizeof(text), text);
    EXPECT_INT(strlen(error.text), sizeof(error.text) - 1, "cut");
    EXPECT_INT(ERROR_SET(NULL, -EIO, "%s", "nobody wants to know"), -EIO, "no error to write to");
}
