/* SPDX-License-Identifier: MIT */
/* Dates of HTTP (RFC 9110 section 5.6.7), read by a form in which each letter stands for a field:
 * lengths are fixed once the name of the day is behind us, so no byte is ever skipped. */
#include "proto/http_date.h"

#include "proto/http_byte.h"

#define SECONDS_PER_DAY 86400
#define YEARS_AHEAD_MAX 50

struct date_fields {
    int32_t weekday; /* 0: Sunday */
    int32_t year;
    int32_t month; /* 1 to 12 */
    int32_t day;
    int32_t hour;
    int32_t minute;
    int32_t second;
};

static bool form_take(struct span form, struct span text, struct date_fields *fields);
static bool number_take(uint8_t letter, const uint8_t *bytes, struct date_fields *fields);
static bool month_take(const uint8_t *bytes, struct date_fields *fields);
static int32_t weekday_take(struct span *text, bool whole);
static bool fields_are_valid(const struct date_fields *fields);
static int32_t days_of_month(int32_t year, int32_t month);
static int64_t days_from_civil(int32_t year, int32_t month, int32_t day);
static int32_t year_of(int64_t unix_seconds);

static const struct span DAY_NAMES[7] = {SPAN_STATIC("Sunday"),   SPAN_STATIC("Monday"),
                                         SPAN_STATIC("Tuesday"),  SPAN_STATIC("Wednesday"),
                                         SPAN_STATIC("Thursday"), SPAN_STATIC("Friday"),
                                         SPAN_STATIC("Saturday")};

bool http_date_parse(struct span text, int64_t now_seconds, int64_t *unix_seconds)
{
    /* DD day, MMM month, YY or YYYY year, hh mm ss time, dd a day whose first digit may be SP. */
    static const struct span IMF = SPAN_STATIC(", DD MMM YYYY hh:mm:ss GMT");
    static const struct span RFC_850 = SPAN_STATIC(", DD-MMM-YY hh:mm:ss GMT");
    static const struct span ASCTIME = SPAN_STATIC(" MMM dd hh:mm:ss YYYY");
    struct date_fields fields = {0};
    struct span rest = text;
    fields.weekday = weekday_take(&rest, true);
    if (fields.weekday >= 0) {
        if (!form_take(RFC_850, rest, &fields)) {
            return false;
        }
        /* What appears to be more than 50 years ahead is the most recent year in the past with
         * these digits. */
        int32_t now_year = year_of(now_seconds);
        fields.year += now_year / 100 * 100;
        if (fields.year > now_year + YEARS_AHEAD_MAX) {
            fields.year -= 100;
        } else if (fields.year <= now_year + YEARS_AHEAD_MAX - 100) {
            fields.year += 100;
        }
    } else {
        fields.weekday = weekday_take(&rest, false);
        if (fields.weekday < 0 ||
            (!form_take(IMF, rest, &fields) && !form_take(ASCTIME, rest, &fields))) {
            return false;
        }
    }
    if (!fields_are_valid(&fields)) {
        return false;
    }
    *unix_seconds = days_from_civil(fields.year, fields.month, fields.day) * SECONDS_PER_DAY +
                    ((int64_t)fields.hour * 60 + fields.minute) * 60 + fields.second;
    return true;
}

/* The name that the text begins with, whole or its first three letters; -1 if there is none. */
static int32_t weekday_take(struct span *text, bool whole)
{
    for (int32_t i = 0; i < 7; i++) {
        size_t size = whole ? DAY_NAMES[i].size : 3;
        if (text->size > size && memcmp(text->ptr, DAY_NAMES[i].ptr, size) == 0) {
            *text = span_of(text->ptr + size, text->size - size);
            return i;
        }
    }
    return -1;
}

static bool form_take(struct span form, struct span text, struct date_fields *fields)
{
    if (text.size != form.size) {
        return false;
    }
    fields->year = 0;
    size_t at = 0;
    while (at < form.size) {
        uint8_t letter = form.ptr[at];
        const uint8_t *bytes = text.ptr + at;
        /* A field has its letter twice or more; the zone's letters stand for themselves. */
        bool field = at + 1 < form.size && form.ptr[at + 1] == letter && letter != ' ';
        if (!field) {
            if (bytes[0] != letter) {
                return false;
            }
            at++;
        } else if (letter == 'M') {
            if (!month_take(bytes, fields)) {
                return false;
            }
            at += 3;
        } else {
            if (!number_take(letter, bytes, fields)) {
                return false;
            }
            at += 2;
        }
    }
    return true;
}

/* Two digits. */
static bool number_take(uint8_t letter, const uint8_t *bytes, struct date_fields *fields)
{
    bool blank = letter == 'd' && bytes[0] == ' ';
    if (!(blank || http_byte_is(bytes[0], HTTP_BYTE_DIGIT)) ||
        !http_byte_is(bytes[1], HTTP_BYTE_DIGIT)) {
        return false;
    }
    int32_t value = (blank ? 0 : bytes[0] - '0') * 10 + (bytes[1] - '0');
    switch (letter) {
    case 'Y':
        fields->year = fields->year * 100 + value;
        break;
    case 'h':
        fields->hour = value;
        break;
    case 'm':
        fields->minute = value;
        break;
    case 's':
        fields->second = value;
        break;
    default:
        ASSERT(letter == 'D' || letter == 'd');
        fields->day = value;
        break;
    }
    return true;
}

static bool month_take(const uint8_t *bytes, struct date_fields *fields)
{
    static const char NAMES[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int32_t i = 0; i < 12; i++) {
        if (memcmp(bytes, NAMES + (size_t)i * 3, 3) == 0) {
            fields->month = i + 1;
            return true;
        }
    }
    return false;
}

/* A leap second may come at the end of any minute: which have one is not for us to know. */
static bool fields_are_valid(const struct date_fields *fields)
{
    if (fields->day < 1 || fields->day > days_of_month(fields->year, fields->month) ||
        fields->hour > 23 || fields->minute > 59 || fields->second > 60) {
        return false;
    }
    int64_t days = days_from_civil(fields->year, fields->month, fields->day);
    /* The first day of 1970 was a Thursday; the year 0 is 719528 days before it. */
    return (days + 4 + 7 * (int64_t)110000) % 7 == fields->weekday;
}

static bool year_is_leap(int32_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int32_t days_of_month(int32_t year, int32_t month)
{
    static const int8_t DAYS[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && year_is_leap(year) ? 29 : DAYS[month - 1];
}

/* Days since 1970 of the Gregorian calendar; years 0 to 9999. Years are counted from March, so that
 * the leap day is the last of its year. */
static int64_t days_from_civil(int32_t year, int32_t month, int32_t day)
{
    const int32_t days_to_1970 = 719468;                    /* from 1 March of the year 0 */
    int32_t shifted = month <= 2 ? year + 399 : year + 400; /* never below 0: a cycle later */
    int32_t month_from_march = (month + 9) % 12;
    int32_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    int32_t days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + day_of_year;
    return (int64_t)days - 146097 - days_to_1970;
}

/* The year, for times from 1970 to 9999; a clock that is set to less counts as 1970. */
static int32_t year_of(int64_t unix_seconds)
{
    int64_t days = unix_seconds < 0 ? 0 : unix_seconds / SECONDS_PER_DAY;
    int32_t year = 1970 + (int32_t)(MIN(days, (int64_t)2932896) / 366);
    while (year < 9999 && days_from_civil(year + 1, 1, 1) <= days) {
        year++;
    }
    return year;
}
