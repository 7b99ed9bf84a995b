/* SPDX-License-Identifier: MIT */
/* The lists of the configuration: a mistake in one is found when it is set, by a line that names
 * the field and the element. */
#include "engine/policy.h"

#include "engine/config.h"
#include "proto/address.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>

void policy_check_text_names_the_field_and_the_element(void)
{
    static const struct {
        const char *name;
        const char *text;
        const char *bad;
    } rows[] = {
        {"origins", "https://a.example b.example", "b.example"},
        {"origins", "* https://a.example", "'*'"},
        {"hosts", "a.example *", "'*'"},
        {"hosts", "https://a.example", "https://a.example"},
        {"trusted_proxies", "192.0.2.1 192.0.2.1/24 ::1", "'192.0.2.1/24'"},
        {"trusted_proxies", "a.example", "a.example"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gyr_error error = {.text = ""};
        EXPECT_INT(policy_check_text(rows[i].name, rows[i].text, &error), GYR_ERR_CONFIG,
                   rows[i].text);
        EXPECT(strstr(error.text, rows[i].name) == error.text, error.text);
        EXPECT(strstr(error.text, rows[i].bad) != NULL, error.text);
        EXPECT(strstr(error.text, "; write ") != NULL, error.text);
        EXPECT(strlen(error.text) + 1 < sizeof(error.text), "all of it fits");
        struct gyr_config config = gyr_config_default();
        EXPECT_INT(gyr_config_set(&config, rows[i].name, rows[i].text, &error), GYR_ERR_CONFIG,
                   "the configuration asks");
    }
}

void policy_check_text_takes_lists_and_what_is_no_list(void)
{
    static const struct {
        const char *name;
        const char *text;
    } rows[] = {
        {"origins", ""},
        {"origins", "https://a.example https://*.b.example null"},
        {"origins", "*"},
        {"hosts", ""},
        {"hosts", "a.example *.b.example:8443 192.0.2.1"},
        {"trusted_proxies", ""},
        {"trusted_proxies", "192.0.2.1 2001:db8::/32 unix:"},
        {"cores", "not for us"},
        {"", "nor this"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gyr_error error = {.text = "unset"};
        EXPECT_INT(policy_check_text(rows[i].name, rows[i].text, &error), 0, rows[i].text);
        EXPECT(strcmp(error.text, "unset") == 0, error.text);
    }
}

void policy_check_text_knows_the_most_proxies(void)
{
    char text[1024] = "";
    for (unsigned i = 0; i < ADDRESS_RANGE_COUNT_MAX; i++) {
        (void)snprintf(text + (size_t)i * 4, sizeof(text) - (size_t)i * 4, "::1 ");
    }
    struct gyr_error error = {.text = ""};
    EXPECT_INT(policy_check_text("trusted_proxies", text, &error), 0, error.text);
    (void)snprintf(text + strlen(text), 8, "::2");
    EXPECT_INT(policy_check_text("trusted_proxies", text, &error), GYR_ERR_CONFIG, "too many");
    EXPECT(strstr(error.text, "trusted_proxies has more than 128 elements, from ::2 on") != NULL,
           error.text);
}

/* An element of the longest text, and one with bytes that would end the line. */
void policy_check_text_stays_one_line(void)
{
    char text[1024];
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    struct gyr_error error = {.text = ""};
    EXPECT_INT(policy_check_text("origins", text, &error), GYR_ERR_CONFIG, "far too long");
    EXPECT(strstr(error.text, "; write ") != NULL, error.text);
    EXPECT_INT(policy_check_text("hosts", "a\nb\x1b[31m", &error), GYR_ERR_CONFIG, "two lines");
    EXPECT(strpbrk(error.text, "\n\x1b") == NULL, error.text);
}
