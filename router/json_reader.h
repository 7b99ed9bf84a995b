/* SPDX-License-Identifier: MIT */
/* A message while it is read: shared by json_message.c, which reads what is round the members,
 * json_read.c, which reads structures, and json_value.c, which reads what stands in them. */
#ifndef ROUTER_JSON_READER_H
#define ROUTER_JSON_READER_H

#include "router/json.h"
#include "router/json_scan.h"

#define JSON_NO_ITEM SIZE_MAX

/* A structure that is open. The item of an array is one too, with the array's state. */
struct json_frame {
    const struct gyr_schema *schema;
    uint8_t *value;
    const struct gyr_member *current;  /* the one being read, for the path; NULL: none */
    const struct gyr_member *expected; /* whose turn it is if the order is the schema's */
    uint64_t seen;                     /* a bit for each member */
    uint64_t bit;                      /* that of `expected` */
    const char *tag_name;              /* of a choice of a variant: what says that it is one */
    const struct gyr_member *array;    /* of an item: the member whose item it is */
    uint8_t *items;
    size_t item_count; /* before this one */
    size_t item_room;
};

struct json_reader {
    struct scan scan;
    struct json_frame *top;
    struct arena *arena;
    const struct json_read *how;
    void *value;
    struct json_message *message;
    unsigned depth; /* brackets that are open */
    bool is_lenient;
    bool is_flat; /* members stand beside tag and id */
    bool has_tag;
    enum gyr_reason reason;

    /* Where the fault is, behind the path of the frames. */
    struct span name; /* no member of the schema; size 0: none */
    size_t item;      /* of an array of plain values, or JSON_NO_ITEM */
    bool is_in_payload;

    size_t size_max;
    struct json_frame frames[GYR_DEPTH_MAX];
};

/* All that read return what is behind it, or NULL with `reason`. */

static inline const uint8_t *json_fail(struct json_reader *reader, enum gyr_reason reason)
{
    reader->reason = reason;
    return NULL;
}

/* What stands here is of another type, if it is sound at all. Returns NULL. */
const uint8_t *json_fail_type(struct json_reader *reader, const uint8_t *at);

/* A value of any kind but structures, arrays and variants. */
const uint8_t *json_value_read(struct json_reader *reader, const struct gyr_member *member,
                               unsigned kind, const uint8_t *at, uint8_t *target);
/* A value that nobody wants; the message goes on behind it. */
const uint8_t *json_value_skip(struct json_reader *reader, const uint8_t *at);
/* The structure that the message is for; `at` is behind its opening bracket. */
const uint8_t *json_structure_read(struct json_reader *reader, const uint8_t *at);
/* A member beside those of the schema at the top of a flat message, or one of an envelope: the tag
 * and the ids. `taken` says whether it was one. */
const uint8_t *json_special_read(struct json_reader *reader, struct span name, unsigned marks,
                                 const uint8_t *at, bool *taken);

#endif
