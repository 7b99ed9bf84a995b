/* SPDX-License-Identifier: MIT */
/* Lines for on_log: one structured line an event, in text or JSON, made on the stack.
 *
 *   2026-11-23T10:00:00.123Z info request client=192.0.2.1 method=GET target="/a b" status=200
 *   {"time":"2026-11-23T10:00:00.123Z","level":"info","event":"request","status":200}
 *
 * Every line is printable ASCII, whatever bytes its values hold, so no peer can end a line, begin
 * one, add a name to it or speak to a terminal:
 *
 * - Text: a value stands by itself if it is printable ASCII without a blank, quote, equals sign or
 *   backslash, and not empty; otherwise in quotes, with quote, backslash and every byte that is not
 *   printable ASCII as \xNN. The bytes can be had back.
 * - JSON: what is not printable ASCII is \uNNNN, beyond U+FFFF as a surrogate pair; each byte that
 *   is not part of valid UTF-8 is \uFFFD, since JSON has no bytes.
 *
 * A value that would be longer than LOG_VALUE_SIZE_MAX is shortened between two characters. A name
 * for whose value the line has no room is left out, and so are all after it. Both end the line with
 * cut=1. */
#ifndef ENGINE_LOG_H
#define ENGINE_LOG_H

#include "base/base.h"
#include "engine/rate.h"
#include "gyr/gyr.h"
#include "proto/address.h"

#define LOG_LINE_SIZE      1024
#define LOG_VALUE_SIZE_MAX 256 /* as it is written, without quotes */

struct log_line {
    uint16_t size;
    uint8_t format; /* enum gyr_log_format */
    uint8_t level;  /* enum gyr_log_level */
    bool cut;       /* a value was shortened */
    bool full;      /* nothing further is taken */
    char text[LOG_LINE_SIZE];
};

/* Begin a line. `event` and the names below are ours: lower case, digits, "_" and ".".
 *
 *   wall_ns   nanoseconds since 1970 UTC */
void log_begin(struct log_line *line, enum gyr_log_format format, enum gyr_log_level level,
               const char *event, uint64_t wall_ns);
void log_text(struct log_line *line, const char *name, const char *value);
void log_span(struct log_line *line, const char *name, struct span value);
void log_number(struct log_line *line, const char *name, uint64_t value);
void log_signed(struct log_line *line, const char *name, int64_t value);
void log_address(struct log_line *line, const char *name, const struct address *address);
/* The finished line, without a line feed; lives as long as `line`. */
struct gyr_span log_end(struct log_line *line);

/* The limit of lines of one core. Zero is a valid state. */
struct log_gate {
    struct rate rate;
    uint64_t dropped; /* since the last line that passed */
};

/* May a line pass? If not it is counted as dropped. If so, `dropped` says how many were since the
 * last that passed; unless it is 0, log_dropped comes first, which this call has paid for too.
 *
 *   rate_max   lines a second, 1 or more; so many may come at once */
MUST_CHECK bool log_gate_pass(struct log_gate *gate, uint64_t now_ns, uint32_t rate_max,
                              uint64_t *dropped);

/* The line that says so: "... warning log.dropped count=17". */
struct gyr_span log_dropped(struct log_line *line, enum gyr_log_format format, uint64_t count,
                            uint64_t wall_ns);

#endif
