/* SPDX-License-Identifier: MIT */
/* Doubles as text and back, by the charconv of the C++ library: exact in both directions, without
 * locale or allocation, and nothing of it throws. */
#include "base/decimal.h"

#include <charconv>
#include <cstdlib>
#include <system_error>

int decimal_read(const uint8_t *text, size_t size, double *value)
{
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
    char *first = reinterpret_cast<char *>(text);
    std::to_chars_result result = std::to_chars(first, first + DECIMAL_SIZE_MAX, value);
    return result.ec == std::errc() ? static_cast<size_t>(result.ptr - first) : 0;
}
