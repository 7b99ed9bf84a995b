/* SPDX-License-Identifier: MIT */
/* Reads the lines of the log in JSON, for tests: one flat object of strings and integers, and
 * nothing around it. */
#ifndef TESTS_JSON_CHECK_H
#define TESTS_JSON_CHECK_H

#include "base/base.h"

/* A member of the object; strings are still escaped. */
struct json_member {
    struct span name;
    struct span value; /* without quotes */
    bool is_string;
};

/* Take the line apart (RFC 8259). Returns how many members it has, up to `max` of which are
 * written; -1 if it is no such object, a name comes twice, or a byte is not printable ASCII. */
int json_check(struct span line, struct json_member *members, int max);

/* What an escaped string stands for, as UTF-8, to `text` of `size` bytes. Returns its size; -1 for
 * a lone surrogate, or if there is no room. */
int json_decode(struct span escaped, uint8_t *text, size_t size);

#endif
