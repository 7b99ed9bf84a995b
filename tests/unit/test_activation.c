/* SPDX-License-Identifier: MIT */
/* What a service manager says about the sockets it passes; with sockets: tests/socket. */
#include "engine/activation.h"

#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#define OUR_PID 4711

static int parse(const char *pid, const char *count, const char *names, struct gyr_error *error)
{
    struct activation activation = {pid, count, names};
    error->text[0] = '\0';
    return activation_parse(&activation, OUR_PID, error);
}

void activation_counts_what_is_for_this_process(void)
{
    static const struct {
        const char *why;
        const char *pid;
        const char *count;
        const char *names;
        int expected;
    } rows[] = {
        {"no manager", NULL, NULL, NULL, 0},
        {"no process", NULL, "3", NULL, 0},
        {"no number", "4711", NULL, NULL, 0},
        {"names alone", NULL, NULL, "a:b", 0},
        {"one", "4711", "1", NULL, 1},
        {"several", "4711", "12", NULL, 12},
        {"zeros in front", "04711", "03", NULL, 3},
        {"the most", "4711", "2147483644", NULL, 2147483644},
        {"a name", "4711", "1", "web", 1},
        {"an empty name", "4711", "1", "", 1},
        {"names, some of them empty", "4711", "4", "::web:", 4},
        {"another process", "4712", "1", NULL, 0},
        {"one with our first digits", "471", "1", NULL, 0},
        {"another process, whose number is its own matter", "1", "many", "a:b", 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gyr_error error;
        EXPECT_INT(parse(rows[i].pid, rows[i].count, rows[i].names, &error), rows[i].expected,
                   rows[i].why);
        EXPECT(error.text[0] == '\0', rows[i].why);
    }
}

void activation_rejects_what_is_malformed(void)
{
    static const struct {
        const char *pid;
        const char *count;
        const char *names;
        const char *expected; /* in the line */
    } rows[] = {
        {"", "1", NULL, "LISTEN_PID = :"},
        {"0", "1", NULL, "LISTEN_PID = 0:"},
        {"-4711", "1", NULL, "LISTEN_PID = -4711:"},
        {"+4711", "1", NULL, "LISTEN_PID = +4711:"},
        {" 4711", "1", NULL, "LISTEN_PID =  4711:"},
        {"4711 ", "1", NULL, "LISTEN_PID = 4711 :"},
        {"0x1267", "1", NULL, "LISTEN_PID = 0x1267:"},
        {"4294972007", "1", NULL, "LISTEN_PID = 4294972007:"}, /* ours modulo 2^32 */
        {"99999999999999999999999", "1", NULL, "LISTEN_PID = 999"},
        {"4711", "", NULL, "LISTEN_FDS = :"},
        {"4711", "0", NULL, "LISTEN_FDS = 0:"},
        {"4711", "-1", NULL, "LISTEN_FDS = -1:"},
        {"4711", "1 2", NULL, "LISTEN_FDS = 1 2:"},
        {"4711", "2147483645", NULL, "LISTEN_FDS = 2147483645:"}, /* 3 + that is past INT_MAX */
        {"4711", "4294967297", NULL, "LISTEN_FDS = 4294967297:"},
        {"4711", "18446744073709551617", NULL, "LISTEN_FDS = 18446744073709551617:"},
        {"4711", "2", "web", "1 names for the 2 sockets"},
        {"4711", "2", "", "1 names for the 2 sockets"},
        {"4711", "1", "web:", "2 names for the 1 sockets"},
        {"4711", "2", "a:b:c", "LISTEN_FDNAMES = a:b:c: 3 names"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gyr_error error;
        EXPECT_INT(parse(rows[i].pid, rows[i].count, rows[i].names, &error), GYR_ERR_ARGUMENT,
                   rows[i].expected);
        EXPECT(strstr(error.text, rows[i].expected) != NULL, error.text);
    }
}

void activation_names_each_socket(void)
{
    struct activation activation = {.names = "web::admin:"};
    EXPECT_SPAN(activation_name(&activation, 0), "web", "the first");
    EXPECT_SPAN(activation_name(&activation, 1), "", "one without");
    EXPECT_SPAN(activation_name(&activation, 2), "admin", "another");
    EXPECT_SPAN(activation_name(&activation, 3), "", "the last");
    EXPECT_SPAN(activation_name(&activation, 4), "", "behind the last");
    activation.names = NULL;
    EXPECT_INT(activation_name(&activation, 0).size, 0, "none has one");
}
