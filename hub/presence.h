/* SPDX-License-Identifier: MIT */
/* Who is in a room, by text id, for the rooms whose rule asks for it: a table of this process, with
 * a lock for each of its stripes, taken when somebody comes, goes or asks. Any thread. */
#ifndef HUB_PRESENCE_H
#define HUB_PRESENCE_H

#include "base/base.h"
#include "gyr/gyr.h"

struct presence;

/* The ids in a room; one piece of memory, memory_free gives it back. */
struct presence_ids {
    size_t count;
    struct gyr_span ids[]; /* their bytes follow */
};

/* `secret` hashes names and ids; at most `size_max` bytes are kept. NULL: no memory. */
struct presence *presence_create(const uint8_t secret[16], size_t size_max);
/* Nobody uses it any more. */
void presence_destroy(struct presence *presence);

/* GYR_ERR_EXISTS: it is there already; GYR_ERR_MEMORY. */
MUST_CHECK int presence_add(struct presence *presence, struct gyr_span room, struct gyr_span id);
/* Nothing happens if it is not there. */
void presence_remove(struct presence *presence, struct gyr_span room, struct gyr_span id);
/* The ids in a room as they are at one instant. GYR_ERR_MEMORY. */
MUST_CHECK int presence_list(struct presence *presence, struct gyr_span room,
                             struct presence_ids **ids);

/* Bytes that are kept. */
size_t presence_size(const struct presence *presence);

#endif
