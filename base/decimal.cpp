/* SPDX-License-Identifier: MIT */
/* Doubles as text and back, by the charconv of the C++ library: exact in both directions, without
 * locale or allocation, and nothing of it throws. */
#include "base/decimal.h"

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <system_error>

#define EXACT_DIGITS_MAX 15 /* of which every number is a double, and one that no other rounds to */
#define POINT_MAX        4  /* places behind the point; with more it is the long way */
#define SHORT_MIN        0.001
#define SHORT_MAX        1e9
#define INTEGER_MAX      1e5 /* from here on one with an exponent may be shorter */

static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

/* Digits, and perhaps a point: few enough that both the number without its point and the power of
 * ten are exact, so that their quotient is rounded once. */
static bool short_read(const uint8_t *text, size_t size, double *value)
{
    bool is_negative = text[0] == '-';
    uint64_t number = 0;
    size_t places = 0;
    bool is_behind_point = false;
    if (size > EXACT_DIGITS_MAX) {
        return false;
    }
    for (size_t i = is_negative; i < size; i++) {
        unsigned digit = static_cast<unsigned>(text[i]) - '0';
        if (digit <= 9) {
            number = number * 10 + digit;
            places += is_behind_point;
        } else if (text[i] == '.') {
            is_behind_point = true;
        } else {
            return false;
        }
    }
    double magnitude = static_cast<double>(number) / powers[places];
    *value = is_negative ? -magnitude : magnitude;
    return true;
}

/* Prices, degrees, seconds: numbers with few places. What has up to 15 digits is the only such text
 * for its double, so with the fewest places it is the shortest one. */
static size_t short_write(double value, uint8_t *text)
{
    double magnitude = value < 0 ? -value : value;
    if (!(magnitude >= SHORT_MIN && magnitude < SHORT_MAX)) {
        return 0;
    }
    unsigned places = POINT_MAX;
    /* NOLINTNEXTLINE(bugprone-incorrect-roundings): the next line finds out */
    uint64_t number = static_cast<uint64_t>(magnitude * powers[POINT_MAX] + 0.5);
    if (static_cast<double>(number) / powers[POINT_MAX] != magnitude) {
        return 0;
    }
    while (places > 0 && number % 10 == 0) {
        number /= 10;
        places--;
    }
    if (places == 0 && magnitude >= INTEGER_MAX) {
        return 0;
    }
    uint8_t buffer[2 * DECIMAL_SIZE_MAX] = {};
    uint8_t *end = buffer + DECIMAL_SIZE_MAX;
    uint8_t *at = end;
    for (; places > 0; places--) {
        *--at = static_cast<uint8_t>('0' + number % 10);
        number /= 10;
        if (places == 1) {
            *--at = '.';
        }
    }
    do {
        *--at = static_cast<uint8_t>('0' + number % 10);
        number /= 10;
    } while (number != 0);
    if (value < 0) {
        *--at = '-';
    }
    memcpy(text, at, DECIMAL_SIZE_MAX); /* all of it, since that is two instructions */
    return static_cast<size_t>(end - at);
}

int decimal_read(const uint8_t *text, size_t size, double *value)
{
    if (short_read(text, size, value)) {
        return 0;
    }
    const char *first = reinterpret_cast<const char *>(text);
    const char *last = first + size;
    std::from_chars_result result = std::from_chars(first, last, *value);
    if (result.ec != std::errc::result_out_of_range) {
        return 0;
    }
    /* Too large, or too near to zero? Its value is 0.d... * 10^magnitude, whose first digit is not
     * zero. Exponents of more digits than a long are cut: none of them is near 1. */
    bool is_negative = *first == '-';
    long magnitude = 0;
    bool is_behind_point = false;
    bool is_begun = false;
    for (first += is_negative; first < last && *first != 'e' && *first != 'E'; first++) {
        if (*first == '.') {
            is_behind_point = true;
            continue;
        }
        is_begun = is_begun || *first != '0';
        magnitude += is_begun && !is_behind_point ? 1 : 0;
        magnitude -= !is_begun && is_behind_point ? 1 : 0;
    }
    if (first < last) {
        first += first[1] == '+' ? 2 : 1;
        long exponent = 0;
        std::from_chars_result scale = std::from_chars(first, last, exponent);
        if (scale.ec == std::errc::result_out_of_range) {
            exponent = *first == '-' ? -(1L << 62) : 1L << 62;
        }
        magnitude += exponent;
    }
    if (magnitude > 0) {
        return -1;
    }
    *value = is_negative ? -0.0 : 0.0;
    return 0;
}

size_t decimal_write(double value, uint8_t text[DECIMAL_SIZE_MAX])
{
    size_t size = short_write(value, text);
    if (size != 0) {
        return size;
    }
    char *first = reinterpret_cast<char *>(text);
    std::to_chars_result result = std::to_chars(first, first + DECIMAL_SIZE_MAX, value);
    return result.ec == std::errc() ? static_cast<size_t>(result.ptr - first) : 0;
}
