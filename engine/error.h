/* SPDX-License-Identifier: MIT */
/* The line that people read when something cannot be started. */
#ifndef ENGINE_ERROR_H
#define ENGINE_ERROR_H

#include "base/base.h"
#include "gyr/gyr.h"

/* Write one line to `error`, which may be NULL. A line that is too long is cut, and a control
 * character in it becomes '?', so that what is printed is one line whatever was quoted in it. */
void error_write(struct gyr_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same, with `err` as its value: `return ERROR_SET(error, GYR_ERR_CONFIG, "...");`. A macro, so
 * that compilers and analysers see which value it is. */
#define ERROR_SET(error, err, ...) (error_write((error), __VA_ARGS__), (err))

/* What to do about an error of the system, to be put behind a line: "; raise ..." or "". */
const char *error_advice(int err);

/* What an HTTP client is answered for this error, 0 if the list has nothing; and what the peer of a
 * WebSocket is told. */
unsigned error_status_code(int err);
uint16_t error_close_code(int err);

#endif
