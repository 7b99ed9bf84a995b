/* SPDX-License-Identifier: MIT */
/* A plain decoder over simdjson's DOM, recursive and slow, that the reader is compared with. */
#ifndef TESTS_FUZZ_JSON_DOM_H
#define TESTS_FUZZ_JSON_DOM_H

#include "gyr/gyr_message.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What simdjson's DOM says of a text. */
enum json_dom_verdict {
    JSON_DOM_SOUND,
    JSON_DOM_BROKEN,
    JSON_DOM_NUMBER, /* a number that fits neither 64 bits nor a double: JSON, but not for it */
};
enum json_dom_verdict json_dom_verdict(const char *text, size_t size);

/* Decode into `value`, whose memory lives until the next call of this function. The first reason
 * against it in the order of the text, or GYR_REASON_NONE. The text is sound. Raw values are
 * without blanks. */
enum gyr_reason json_dom_decode(const struct gyr_schema *schema, const char *text, size_t size,
                                bool lenient, void *value);

/* A text without blanks, and numbers and strings as the DOM writes them; lives as that. */
struct gyr_span json_dom_plain(struct gyr_span text);

#ifdef __cplusplus
}
#endif

#endif
