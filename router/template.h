/* SPDX-License-Identifier: MIT */
/* Templates of paths: "/rooms/{room}/{n:int}". A template is split at slashes; a segment is made of
 * literals and parameters: one literal, one parameter, or several of both, as "{x}-{y}". Types of
 * parameters: none (text), int, uint, uuid; path, the rest of the path, as the last segment. */
#ifndef ROUTER_TEMPLATE_H
#define ROUTER_TEMPLATE_H

#include "base/base.h"
#include "gyr/gyr.h"

#define TEMPLATE_SIZE_MAX     1024
#define TEMPLATE_SEGMENTS_MAX 32
#define TEMPLATE_PARAMS_MAX   16

enum param_type {
    PARAM_TEXT, /* one byte or more, of one segment */
    PARAM_INT,  /* int64_t, "-" or nothing and then digits; no leading zeros but "0" */
    PARAM_UINT, /* uint64_t */
    PARAM_UUID, /* 8-4-4-4-12 hexadecimal digits (RFC 9562 section 4), any case */
    PARAM_PATH, /* one byte or more, slashes included, no empty segment within */
};

struct template_param {
    struct span name;
    enum param_type type;
};

struct template; /* owned by whoever has parsed it; frozen */

/* Parse: a leading slash is added if there is none and `is_part`; a trailing one is remembered. The
 * text is copied. GYR_ERR_ARGUMENT with a line in `error` that names the template, the place in it
 * and the mend; GYR_ERR_MEMORY. */
MUST_CHECK int template_parse(struct span text, bool is_part, struct template **template,
                              struct gyr_error *error);
/* The template of one below another: mounts and nested resources. Of a parameter that both have
 * the inner one counts. GYR_ERR_ARGUMENT past a maximum, with a line; GYR_ERR_MEMORY. */
MUST_CHECK int template_join(const struct template *outer, const struct template *inner,
                             struct template **joined, struct gyr_error *error);
void template_destroy(struct template *template);

struct span template_text(const struct template *template); /* as it was written, with the slash */
bool template_is_root(const struct template *template);
size_t template_param_count(const struct template *template);
struct template_param template_param(const struct template *template, size_t index);
/* Both have the same text, but for a trailing slash? */
bool template_equals(const struct template *a, const struct template *b);
/* Is whatever `b` matches matched by `a`, too: `b` behind `a` would never be reached? */
bool template_covers(const struct template *a, const struct template *b);

/* Write the path that the template stands for: percent-encoded (RFC 3986 section 2.1), with its
 * trailing slash.
 *
 *   values  one for each parameter, by index
 *
 * Returns 0; GYR_ERR_ARGUMENT for a value that does not fit its parameter (`bad` says which index);
 * GYR_ERR_LIMIT if it does not fit `capacity`; *size is what it needs. No NUL follows. */
MUST_CHECK int template_write(const struct template *template, const struct span *values,
                              char *text, size_t capacity, size_t *size, size_t *bad);

#endif
