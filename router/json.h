/* SPDX-License-Identifier: MIT */
/* JSON in and out of structures (RFC 8259), as schemas say (hop 8 of docs/journey.md). Reading is
 * one pass over the text, on demand and straight into the structure, that judges every byte it
 * passes; docs/json.md says what is taken and what not, and what other ways cost. Writing allocates
 * nothing. */
#ifndef ROUTER_JSON_H
#define ROUTER_JSON_H

#include "base/base.h"
#include "gyr/gyr_message.h"

struct arena;
struct json_reader; /* what a message being read has open; one for each core */

#define JSON_PADDING     64 /* readable bytes behind what is read: GYR_MESSAGE_PADDING */
#define JSON_ID_SIZE_MAX 66 /* of an id as it is written, quotes included */

/* For messages of up to `size_max` bytes. GYR_ERR_MEMORY. */
MUST_CHECK int json_reader_create(size_t size_max, struct json_reader **reader);
void json_reader_destroy(struct json_reader *reader);

/* How messages are written. */
struct json_form {
    struct span tag_name;     /* "type" */
    struct span payload_name; /* "payload"; size 0: flat, the members stand beside the tag */
};

/* How one message is to be read. */
struct json_read {
    const struct json_form *form; /* NULL: an object without a tag (gyr_decode) */
    struct span tag;              /* unescaped; what the scan has found: another one is TAG_TWICE */
    const struct gyr_schema *schema; /* NULL: only check it; `payload` is its raw value */
    bool is_utf8;                    /* the engine has checked it: a text message */
    bool is_lenient;
    bool is_payload_optional; /* with an envelope: missing or null is no payload, `value` is not
                                 written and has_payload false */
};

/* Of a message that is refused, `id` and `answer` are found too, if it is sound up to there. */
struct json_message {
    struct span payload; /* with an envelope: as it is written, or size 0 if it is missing; else
                            the whole object. A view of the message. `null` is written, too */
    struct span id;      /* member "id" at the top level, as it is written; size 0: none, or, in
                            the flat form, the schema's own (json_owns_id) */
    struct span answer;  /* member "re": whose answer this is */
    bool has_payload;    /* it is there, and not null */
};

/* Read a message; JSON_PADDING readable bytes follow it, its bytes do not change.
 *
 *   value  out: a structure of the schema, zeroed by this; strings that are escaped, items and
 *          variants go to the arena, other strings are views of the text
 *
 * Of members that come twice the last counts. Unless lenient, unknown members are a fault, but for
 * "id" and "re" at the top level of a message, and any beside the payload of an envelope; what is
 * skipped is checked. A schema for flat messages has no member of the name of the tag, nor "re".
 * Returns 0;
 * GYR_ERR_MESSAGE with `fault` for anything that is not sound from its first byte to its last;
 * GYR_ERR_MEMORY with it if the arena is full. */
MUST_CHECK int json_read(struct json_reader *reader, struct span text, const struct json_read *how,
                         struct arena *arena, void *value, struct json_message *message,
                         struct gyr_fault *fault);

/* Has the schema a member of this name? NULL has none. */
bool json_has_member(const struct gyr_schema *schema, struct span name);
/* In the flat form a member "id" of the schema belongs to the message, which then is no request. */
bool json_owns_id(const struct json_form *form, const struct gyr_schema *schema);

/* Is this one JSON value in UTF-8, with nothing but white space around it, and brackets in each
 * other up to GYR_DEPTH_MAX? Reads nothing past the end. Returns 0 or GYR_ERR_MESSAGE with the
 * reason. */
MUST_CHECK int json_walk(struct span text, enum gyr_reason *reason);
/* The same for a value inside `depth` open brackets. */
MUST_CHECK int json_walk_at(struct span text, unsigned depth, enum gyr_reason *reason);
/* The text without the white space round it. */
struct span json_trim(struct span text);

/* What is written round the members of a message. */
struct json_write {
    const struct json_form *form; /* NULL: an object without a tag (gyr_encode) */
    struct span id;               /* as it is written; size 0: none */
    struct span answer;           /* "re" */
};

/* Write a message.
 *
 *   bytes     out: up to `capacity`
 *   size      out: what all of it needs; nothing usable is in `bytes` if that is more than capacity
 *
 * 0, GYR_ERR_LIMIT (it did not fit; `size` says what would), or GYR_ERR_ARGUMENT as gyr_encode. */
MUST_CHECK int json_write(const struct json_write *how, const struct gyr_schema *schema,
                          const void *value, uint8_t *bytes, size_t capacity, size_t *size);

/* The standard form of an error: {"type":"error","re":ID,"code":"missing","reason":"it is missing",
 * "path":"title"}, in an envelope with the last three in the payload. Errors as json_write. */
MUST_CHECK int json_write_error(const struct json_write *how, struct span code, struct span reason,
                                struct span path, uint8_t *bytes, size_t capacity, size_t *size);

#endif
