/* SPDX-License-Identifier: MIT */
/* What simdjson says about a document: for tests and benchmarks that compare with it. */
#ifndef TESTS_JSON_REFERENCE_H
#define TESTS_JSON_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define JSON_REFERENCE_PADDING 64 /* readable bytes behind every text */

struct json_reference; /* parsers; not for use by several threads */

/* Documents of up to `size_max` bytes, and as deep. Aborts if memory is short. */
struct json_reference *json_reference_create(size_t size_max);
void json_reference_destroy(struct json_reference *reference);

/* Is all of it one valid JSON value? The whole document is parsed. */
bool json_reference_is_valid(struct json_reference *reference, const uint8_t *text, size_t size);

enum json_reference_status {
    JSON_REFERENCE_FOUND,
    JSON_REFERENCE_ABSENT,
    JSON_REFERENCE_NOT_OBJECT,
    JSON_REFERENCE_NOT_STRING,
    JSON_REFERENCE_ERROR, /* the document is not valid */
};

struct json_reference_member {
    size_t raw_at;         /* of the value: behind its opening quote */
    const uint8_t *string; /* the value unescaped, until the next call */
    size_t string_size;
    bool is_key_plain; /* no key up to it has a backslash */
};

/* Find the first member of this name with the on-demand parser, going through the object from its
 * start and comparing unescaped keys. */
enum json_reference_status json_reference_find(struct json_reference *reference,
                                               const uint8_t *text, size_t size, const char *name,
                                               size_t name_size,
                                               struct json_reference_member *member);

/* The same as services write it: doc[name], which compares keys as they are written. Returns the
 * size of the unescaped string, or -1 for anything but one. */
ptrdiff_t json_reference_lookup(struct json_reference *reference, const uint8_t *text, size_t size,
                                const char *name, size_t name_size);

#ifdef __cplusplus
}
#endif

#endif
