/* SPDX-License-Identifier: MIT */
/* Reads dates in the three forms of RFC 9110 section 5.6.7. They are written by
 * http_date_format in proto/http_response.h. */
#ifndef PROTO_HTTP_DATE_H
#define PROTO_HTTP_DATE_H

#include "base/base.h"

/* Is `text` a date: "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT" or
 * "Sun Nov  6 08:49:37 1994"? Every byte must be as the RFC has it, the date must exist, and its
 * day of the week must be right.
 *
 *   now_seconds   since 1970; a year of two digits is not more than 50 years after it
 *   unix_seconds  out, if true: since 1970, below 0 before that */
MUST_CHECK bool http_date_parse(struct span text, int64_t now_seconds, int64_t *unix_seconds);

#endif
