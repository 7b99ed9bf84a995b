/* SPDX-License-Identifier: MIT */
/* Text ids: which connection of all cores has which. */
#ifndef HUB_NAMES_H
#define HUB_NAMES_H

#include "base/base.h"
#include "gyr/gyr.h"

struct names;
struct name; /* an id that a connection has */

/* Make an empty table. GYR_ERR_MEMORY.
 *
 *   secret     keys its hash; from the kernel's random numbers, so that nobody can choose ids that
 *              meet in one place
 *   count_max  ids that there may be at a time */
MUST_CHECK int names_create(const uint8_t secret[16], uint64_t count_max, struct names **names);
void names_destroy(struct names *names); /* NULL too */

/* Any thread: give an id of 1 to GYR_ID_SIZE_MAX bytes to a connection. names_remove is owed.
 * GYR_ERR_EXISTS, and then *holder is who has it; GYR_ERR_MEMORY. One lock among 64, held while a
 * short list is gone through. */
MUST_CHECK int names_add(struct names *names, struct span id, struct gyr_handle handle,
                         struct name **name, struct gyr_handle *holder);
/* Any thread: it may be given again. */
void names_remove(struct names *names, struct name *name);
/* Whoever holds the name, on whichever thread has added it: its bytes, up to names_remove. */
struct span name_id(const struct name *name);

/* Any thread, no lock and no wait, whatever others do at the same time: who has this id? False:
 * nobody. */
bool names_find(const struct names *names, struct span id, struct gyr_handle *handle);

/* Any thread, for tests: ids given now, bytes that the table takes, its longest list. */
struct names_size {
    uint64_t count;
    uint64_t memory_size;
    uint64_t list_max;
};
struct names_size names_size(struct names *names);

#endif
