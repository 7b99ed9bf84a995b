/* SPDX-License-Identifier: MIT */
/* Which rooms there are, on all cores: from a name to what the cores share of a room. A lock, one
 * of many, is taken only when a core gets its first member of a room or loses its last; to look a
 * room up takes none. What is shared of a room is never freed before the server ends, only used
 * again for another room, so that one who has looked it up may look at it at any time: the
 * generation tells whether it is still the same room. */
#ifndef HUB_REGISTRY_H
#define HUB_REGISTRY_H

#include "base/base.h"
#include "engine/engine.h"
#include "gyr/gyr.h"

#include <stdatomic.h>

struct hub;
struct registry;

/* What a core counts of a room: written by that core only. */
#define ROOM_COUNTERS_FIELD(name, text) _Atomic uint64_t name;
struct room_counters {
    GYR_ROOM_STATS(ROOM_COUNTERS_FIELD)
};
#undef ROOM_COUNTERS_FIELD

#define ROOM_ADD(counters, name, count)                                                   \
    atomic_store_explicit(&(counters)->name,                                              \
                          atomic_load_explicit(&(counters)->name, memory_order_relaxed) + \
                              (uint64_t)(count),                                          \
                          memory_order_relaxed)

/* A rule of the service, checked and copied. */
struct room_rule {
    struct gyr_room_rule rule; /* pattern: owned, without its '*' */
    bool is_prefix;
};

/* What the cores share of a room. */
struct room_shared {
    uint32_t index; /* constant; below config->rooms_max */
    unsigned lane;  /* constant */
    /* Any thread. Grows by one when the room begins and when it ends: odd while it lives. Written
     * under the lock of its stripe. */
    _Atomic uint32_t generation;
    /* Written before the generation turns odd; constant until it turns even. Others than members
     * look at them through registry_find only. */
    const struct room_rule *rule; /* borrowed from the hub; NULL: no rule fits */
    uint64_t hash;
    _Atomic uint64_t *name; /* owned; type-stable; name_size bytes, the rest of the words zero */
    uint32_t name_size;
    /* Under the lock. */
    uint32_t core_count; /* that have members */
    uint64_t event_number;
    struct room_shared *next_free;
    /* Any thread: publishers that have no member of it count here. */
    _Atomic uint64_t published;
    /* Any thread reads; each core makes its own, once, before its first member. */
    struct broadcast_interest interest; /* the last: only the words that the cores need are there */
};

/* What a publisher without members has to know of a room; copied, and exact at one instant. */
struct registry_found {
    struct room_shared *shared;
    uint32_t generation;
};

/* NULL: no memory. */
struct registry *registry_create(struct hub *hub);
void registry_destroy(struct registry *registry);

/* Any thread, no lock: the room that has this name now, or false. */
bool registry_find(struct registry *registry, struct gyr_span name, uint64_t hash,
                   struct registry_found *found);

/* A core gets its first member of the room, or loses its last: find or create it, or end it. True
 * in *is_event if it is the first of all cores, or the last, and then *event_number is its number.
 * GYR_ERR_LIMIT past rooms_max, GYR_ERR_MEMORY. */
MUST_CHECK int registry_enter(struct registry *registry, unsigned core, struct gyr_span name,
                              uint64_t hash, struct room_shared **shared, uint64_t *event_number);
/* Returns the number of the event, or 0 if other cores still have members. */
uint64_t registry_exit(struct registry *registry, struct room_shared *shared);

/* The counters of one core for a room that it has entered. */
struct room_counters *registry_counters(struct registry *registry, struct room_shared *shared,
                                        unsigned core);

#endif
