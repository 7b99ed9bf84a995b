/* SPDX-License-Identifier: MIT */
/* Doubles as text and back, exactly: the shortest text that reads back as the same double, and the
 * double that is nearest to a text. Without locales. */
#ifndef BASE_DECIMAL_H
#define BASE_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DECIMAL_SIZE_MAX 24 /* -2.2250738585072014e-308 */

/* Read a number of JSON (RFC 8259 section 6), all of `size` bytes. What is nearer to zero than any
 * double becomes a zero with its sign. Returns 0, or -1 if it is beyond the largest double. */
int decimal_read(const uint8_t *text, size_t size, double *value);

/* Write a finite double, as a number of JSON; no NUL follows. Returns its size. */
size_t decimal_write(double value, uint8_t text[DECIMAL_SIZE_MAX]);

#ifdef __cplusplus
}
#endif

#endif
