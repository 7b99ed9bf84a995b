/* SPDX-License-Identifier: MIT */
/* What was published to the rooms with a history whose home is one core: a ring of messages for
 * each, numbered from 1 in each epoch, within a bound for all of them together. One thread. */
#ifndef HUB_HISTORY_H
#define HUB_HISTORY_H

#include "base/base.h"
#include "gyr/gyr_backend.h"

struct history;

struct history_config {
    size_t size_max;    /* bytes of all rooms together, their names and tables included */
    size_t room_max;    /* rooms that are known */
    uint8_t secret[16]; /* hashes names, and makes epochs that nobody can predict */
    void *context;
    void *(*alloc)(void *context, size_t size);
    void (*free)(void *context, void *pointer, size_t size);
};

/* Where a message stands. */
struct history_place {
    uint64_t epoch;
    uint64_t offset;
};

/* A message that is kept. */
struct history_entry {
    uint64_t since_ms;
    enum gyr_opcode opcode;
    uint32_t payload_size;
    uint32_t key_size;
    uint8_t bytes[]; /* payload, key */
};

/* What a room has since a place: `count` entries from history_at(.., 0) on. */
struct history_view {
    struct history_place newest;
    size_t count;
    const struct history_room *room; /* borrowed until the next call that changes the history */
    uint64_t first_offset;           /* of the entry with index 0 */
};

/* NULL: no memory. */
struct history *history_create(const struct history_config *config);
void history_destroy(struct history *history);

/* Give a message the next place in its room, and keep it. What is older than the rule allows, and
 * what was used least of all rooms if there is no space, is let go. GYR_ERR_MEMORY: the room cannot
 * be known, and nothing has happened. If the room is known and only the message cannot be kept, it
 * has its place, and the room keeps what comes after it. */
MUST_CHECK int history_add(struct history *history, struct gyr_span room,
                           const struct gyr_room_rule *rule, uint64_t now_ms,
                           const struct gyr_publication *publication, struct history_place *place);

/* What was added to a room since a place. 0; GYR_ERR_NOT_FOUND: not all of that is kept, or the
 * epoch has changed, or nothing ever had this place; GYR_ERR_MEMORY: the room cannot be known.
 * `view->newest` is right after GYR_ERR_NOT_FOUND, too. Epoch 0: 0 and no entry. */
MUST_CHECK int history_since(struct history *history, struct gyr_span room,
                             const struct gyr_room_rule *rule, uint64_t now_ms,
                             struct history_place since, struct history_view *view);

/* The entry with this index, below view->count. */
const struct history_entry *history_at(const struct history_view *view, size_t index);

/* Rooms that are known, and bytes taken for all. */
size_t history_room_count(const struct history *history);
size_t history_size(const struct history *history);

#endif
