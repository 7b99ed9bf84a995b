/* SPDX-License-Identifier: MIT */
/* Dates in the three forms of RFC 9110 section 5.6.7: against the formatter, against the C
 * library, and whatever differs from a form by one byte. */
#include "proto/http_date.h"
#include "proto/http_response.h"
#include "tests/parser_kit.h"

#include <stdio.h>
#include <time.h>

#define NOW    1700000000 /* 2023-11-14 */
#define NO     INT64_MIN
#define SUNDAY 784111777 /* the RFC's example */

static int64_t parse_at(const char *text, size_t size, int64_t now_seconds)
{
    uint8_t *copy = guard_copy(text, size);
    int64_t seconds = NO;
    bool valid = http_date_parse(span_of(copy, size), now_seconds, &seconds);
    EXPECT(valid == (seconds != NO), "seconds are set exactly when it is a date");
    guard_free(copy);
    return seconds;
}

static int64_t parse(const char *text)
{
    return parse_at(text, strlen(text), NOW);
}

void http_date_parses_the_three_forms(void)
{
    EXPECT_INT(parse("Sun, 06 Nov 1994 08:49:37 GMT"), SUNDAY, "IMF-fixdate");
    EXPECT_INT(parse("Sunday, 06-Nov-94 08:49:37 GMT"), SUNDAY, "rfc850-date");
    EXPECT_INT(parse("Sun Nov  6 08:49:37 1994"), SUNDAY, "asctime-date");
    EXPECT_INT(parse("Wed Nov 16 08:49:37 1994"), SUNDAY + 10 * 86400, "asctime, two digits");
    EXPECT_INT(parse("Wednesday, 16-Nov-94 08:49:37 GMT"), SUNDAY + 10 * 86400, "longest name");
    EXPECT_INT(parse("Thu, 01 Jan 1970 00:00:00 GMT"), 0, "epoch");
    EXPECT_INT(parse("Wed, 31 Dec 1969 23:59:59 GMT"), -1, "before it");
    EXPECT_INT(parse("Sat, 01 Jan 0000 00:00:00 GMT"), -62167219200, "first year");
    EXPECT_INT(parse("Fri, 31 Dec 9999 23:59:59 GMT"), 253402300799, "last second");
    EXPECT_INT(parse("Sat, 31 Dec 2016 23:59:60 GMT"), 1483228800, "leap second");
    EXPECT_INT(parse("Tue, 29 Feb 2000 00:00:00 GMT"), 951782400, "leap year of a century");
}

void http_date_reads_what_the_formatter_writes(void)
{
    uint64_t seconds = 0;
    unsigned wrong = 0;
    for (unsigned i = 0; i < 30000; i++) {
        uint8_t text[HTTP_DATE_SIZE];
        http_date_format(seconds, text);
        wrong += parse_at((const char *)text, sizeof(text), NOW) != (int64_t)seconds;
        seconds += 8446043; /* 97 days and some, to the year 9998 */
    }
    EXPECT_INT(wrong, 0, "every date");
}

/* Every day of four centuries, by the calendar of the C library. */
void http_date_agrees_with_the_c_library(void)
{
    unsigned wrong = 0;
    for (int64_t day = -146097 / 2; day < 146097 / 2; day++) {
        time_t time = day * 86400 + day % 86400 * (day < 0 ? -1 : 1);
        struct tm parts;
        char text[64];
        ASSERT(gmtime_r(&time, &parts) != NULL);
        size_t size = strftime(text, sizeof(text), "%a %b %e %H:%M:%S %Y", &parts);
        wrong += parse_at(text, size, NOW) != time;
    }
    EXPECT_INT(wrong, 0, "every day");
}

/* RFC 9110: what appears to be more than 50 years in the future is in the past. */
void http_date_places_two_digit_years(void)
{
    static const struct {
        const char *text;
        int now_year;
        int year; /* 0: it would be another day of the week, in the year that is meant */
    } rows[] = {
        {"Sunday, 06-Nov-94 00:00:00 GMT", 2026, 1994},
        {"Saturday, 06-Nov-76 00:00:00 GMT", 2026, 0},
        {"Friday, 06-Nov-76 00:00:00 GMT", 2026, 2076},
        {"Sunday, 06-Nov-77 00:00:00 GMT", 2026, 1977},
        {"Saturday, 06-Nov-77 00:00:00 GMT", 2026, 0},
        {"Monday, 06-Nov-00 00:00:00 GMT", 2026, 2000},
        {"Saturday, 06-Nov-99 00:00:00 GMT", 2049, 1999},
        {"Friday, 06-Nov-99 00:00:00 GMT", 2049, 2099},
        {"Sunday, 06-Nov-05 00:00:00 GMT", 2080, 0},
        {"Friday, 06-Nov-05 00:00:00 GMT", 2080, 2105},
        {"Sunday, 06-Nov-05 00:00:00 GMT", 2054, 2005},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct tm now = {.tm_year = rows[i].now_year - 1900, .tm_mon = 5, .tm_mday = 1};
        struct tm then = {.tm_year = rows[i].year - 1900, .tm_mon = 10, .tm_mday = 6};
        int64_t expected = rows[i].year == 0 ? NO : timegm(&then);
        int64_t seconds = parse_at(rows[i].text, strlen(rows[i].text), timegm(&now));
        /* 1999 and 2099 are both 50 years from 2049: the one ahead is not more than that. */
        if (rows[i].year == 1999) {
            expected = NO;
        }
        EXPECT_INT(seconds, expected, rows[i].text);
    }
    EXPECT_INT(parse_at("Sunday, 06-Nov-94 08:49:37 GMT", 30, -5), SUNDAY, "clock before 1970");
}

void http_date_rejects_what_is_almost_a_date(void)
{
    static const char *const texts[] = {
        "",
        "Sun",
        "Sunday",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 gmt",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun,  6 Nov 1994 08:49:37 GMT",
        "Sun, 06  Nov 1994 08:49:37 GMT",
        "sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nox 1994 08:49:37 GMT",
        "Mon, 06 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Thu, 31 Nov 1994 08:49:37 GMT",
        "Tue, 29 Feb 1994 00:00:00 GMT",
        "Thu, 29 Feb 1900 00:00:00 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 -8:49:37 GMT",
        "Sun, 06 Nov 19941 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sunda, 06-Nov-94 08:49:37 GMT",
        "Monday, 06-Nov-94 08:49:37 GMT",
        "Sunday, 6-Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 EST",
        "Sun Nov 06 08:49:37 94",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 GMT",
        "Sun Nov   08:49:37 1994",
        "Sun Nov 6  08:49:37 1994",
        "Sun, Nov  6 08:49:37 1994",
        "1994-11-06T08:49:37Z",
        "784111777",
        "0",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        EXPECT_INT(parse(texts[i]), NO, texts[i]);
    }
}

/* Cut anywhere, or with any byte at any place: what is still a date differs in a digit. */
void http_date_rejects_other_bytes(void)
{
    static const char *const forms[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
                                        "Sunday, 06-Nov-94 08:49:37 GMT",
                                        "Sun Nov  6 08:49:37 1994"};
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        size_t size = strlen(forms[i]);
        for (size_t at = 0; at < size; at++) {
            EXPECT_INT(parse_at(forms[i], at, NOW), NO, "cut off");
            for (unsigned byte = 0; byte < 256; byte++) {
                char text[64];
                memcpy(text, forms[i], size);
                text[at] = (char)byte;
                bool was_digit = forms[i][at] >= '0' && forms[i][at] <= '9';
                bool is_digit = byte >= '0' && byte <= '9';
                was_digit = was_digit || (at == 8 && forms[i][at] == ' '); /* 6 and 06 */
                bool changed = (uint8_t)forms[i][at] != byte;
                if (parse_at(text, size, NOW) != NO) {
                    EXPECT(!changed || (was_digit && is_digit), forms[i]);
                }
            }
        }
    }
}
