/* SPDX-License-Identifier: MIT */
/* Templates of paths: "/rooms/{room}/{n:int}". A template is split at slashes; a segment is made of
 * literals and parameters: one literal, one parameter, or several of both, as "{x}-{y}". Types of
 * parameters: none (text), int, uint, uuid; path, the rest of the path, as the last segment.
 *
 * Literals are written as they are after decoding: "/caf\xC3\xA9 1" is matched by "/caf%C3%A9%201".
 * "{{" and "}}" stand for a brace. Refused, because no request would be as the author thinks: "?",
 * "%" in front of two hexadecimal digits, control characters, empty segments, and the segments "."
 * and "..", which clients resolve before they send (RFC 3986 section 5.2.4).
 *
 * Between two parameters of a segment stands a literal; behind an int or a uint it does not begin
 * with a digit. So a number ends in one place only, and of several ways to divide a segment the
 * one counts in which the leftmost text is longest, then the next; it is found in a time that is
 * the segment's size times its parameters. Comparing is case-sensitive. */
#ifndef ROUTER_TEMPLATE_H
#define ROUTER_TEMPLATE_H

#include "base/base.h"
#include "gyr/gyr.h"

#define TEMPLATE_SIZE_MAX     1024
#define TEMPLATE_SEGMENTS_MAX 32
#define TEMPLATE_PARAMS_MAX   16

enum param_type {
    PARAM_TEXT, /* one byte or more, of one segment */
    PARAM_INT,  /* int64_t, "-" or nothing and then digits; no leading zeros but "0", and no "-0" */
    PARAM_UINT, /* uint64_t, likewise */
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
 * the inner one counts: the outer one still takes part in matching, but is none of the template's
 * parameters any more, and template_write writes the inner one's value for it. The inner one's
 * trailing slash counts, too, unless it is the root. GYR_ERR_ARGUMENT past a maximum and below the
 * rest of a path, with a line; GYR_ERR_MEMORY. */
MUST_CHECK int template_join(const struct template *outer, const struct template *inner,
                             struct template **joined, struct gyr_error *error);
void template_destroy(struct template *template);

struct span template_text(const struct template *template); /* as it was written, with the slash */
bool template_is_root(const struct template *template);
size_t template_param_count(const struct template *template);
struct template_param template_param(const struct template *template, size_t index);
/* Both have the same text, but for a trailing slash? */
bool template_equals(const struct template *a, const struct template *b);
/* Is whatever `b` matches matched by `a`, too: `b` behind `a` would never be reached? It compares
 * segment by segment, so it may say no where a segment with several parameters takes all that a
 * different one does, as "{x}-{y}" all of "{x}-{y}-{z}"; yes is always right. */
bool template_covers(const struct template *a, const struct template *b);

/* Write the path that the template stands for: percent-encoded (RFC 3986 section 2.1), with its
 * trailing slash. What is written is matched by the template, and gives these values again.
 *
 *   values  one for each parameter, by index
 *
 * Returns 0; GYR_ERR_ARGUMENT for a value that does not fit its parameter (`bad` says which index):
 * an empty one, one with a NUL, one that is not of its type; a path with an empty segment; one
 * that would make a segment "." or "..", which clients resolve; and in a segment with several
 * parameters one that would be divided differently, as "b-c" for {y} of "{x}-{y}".
 * GYR_ERR_LIMIT if it does not fit `capacity`; *size is what it needs. No NUL follows. */
MUST_CHECK int template_write(const struct template *template, const struct span *values,
                              char *text, size_t capacity, size_t *size, size_t *bad);

/* ---- for the route table ------------------------------------------------------------------ */

size_t template_segment_count(const struct template *template);
/* Is the last segment a path? */
bool template_has_path(const struct template *template);
/* Is each segment a literal or one parameter of text or path, and each of these a parameter of the
 * template? Then the values are these segments, in their order. */
bool template_is_plain(const struct template *template);
/* Is this segment a literal alone? */
bool template_segment_literal(const struct template *template, size_t index, struct span *literal);
/* Does a segment of a path fit this segment of the template? It is percent-encoded and well-formed;
 * for a path parameter it is the rest of the path. The values of its parameters go to their places
 * in `values`, as views of `raw`; they are undefined if it does not fit. */
bool template_segment_match(const struct template *template, size_t index, struct span raw,
                            struct span *values);

#endif
