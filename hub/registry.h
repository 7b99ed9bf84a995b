/* SPDX-License-Identifier: MIT */
/* Which rooms there are, on all cores: from a name to what the cores share of a room. A lock, one
 * of many, is taken only when a core gets its first member of a room or loses its last; to look a
 * room up takes none and waits for nobody. What is shared of a room is never freed before the end
 * of the server, only used again for another room, so that whoever has looked it up may look at it
 * at any time: the generation tells whether it is still the same room. */
#ifndef HUB_REGISTRY_H
#define HUB_REGISTRY_H

#include "base/base.h"
#include "engine/engine.h"
#include "gyr/gyr.h"

#include <stdatomic.h>

struct name_block;
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

/* What the cores share of a room. */
struct room_shared {
    uint32_t index; /* constant; below room_max */
    unsigned lane;  /* constant */
    /* Odd while the room lives; one more with each begin and each end. Written under the lock of
     * its stripe, read by any thread: who has found it odd, has read what follows, and finds it
     * unchanged, has read one room (partners: the stores in shared_begin and shared_end). */
    _Atomic uint32_t generation;
    _Atomic uint32_t name_size;
    _Atomic uint64_t hash;
    _Atomic(struct name_block *) name; /* owned; the rest of the last word is zero */
    /* In its bucket: index + 1 of the one behind it, 0: none. It stays when the room is taken out,
     * until the next room begins here (partner: bucket_find). */
    _Atomic uint32_t next;
    uint32_t name_capacity; /* words */
    uint32_t core_count;    /* that have members; under the lock of its stripe */
    uint32_t next_free;     /* under the lock of the free ones */
    /* Of the service; constant while the room lives; for its members. */
    const struct gyr_room_rule *rule; /* borrowed; NULL: none fits */
    /* Cut off behind the words that the cores need. Behind it: _Atomic(struct room_counters *) for
     * each core. */
    struct broadcast_interest interest;
};

/* How the rooms of a registry begin and end for others: called under the lock of the room's
 * stripe, so that the calls for one room come one after another. */
struct registry_config {
    uint32_t room_max;
    unsigned core_count;
    unsigned lane_count;
    void *context;
    /* A room begins: *rule is the one that fits, or NULL. An error is that of registry_enter. */
    int (*begin)(void *context, unsigned core, struct gyr_span name,
                 const struct gyr_room_rule **rule);
    void (*end)(void *context, unsigned core, struct gyr_span name,
                const struct gyr_room_rule *rule);
};

/* A room as somebody has seen it. */
struct room_ref {
    struct room_shared *shared;
    uint32_t generation;
};

/* What a core gets when it enters a room. */
struct registry_entered {
    struct room_ref ref;
    struct room_counters *counters; /* of this core */
    uint64_t event_number; /* it is the first core: that of GYR_ROOM_CREATED; otherwise 0 */
};

/* NULL: no memory. */
struct registry *registry_create(const struct registry_config *config);
void registry_destroy(struct registry *registry);

/* Any thread, no lock: the room that has this name now, or false. */
MUST_CHECK bool registry_find(struct registry *registry, struct gyr_span name, uint64_t hash,
                              struct room_ref *ref);
/* Any thread: is it still the same room? */
static inline bool registry_is_same(const struct room_ref *ref)
{
    /* Partner: shared_end. */
    return atomic_load_explicit(&ref->shared->generation, memory_order_seq_cst) == ref->generation;
}

/* A core gets its first member of a room. GYR_ERR_LIMIT past room_max, GYR_ERR_MEMORY, and what
 * `begin` says. */
MUST_CHECK int registry_enter(struct registry *registry, unsigned core, struct gyr_span name,
                              uint64_t hash, struct registry_entered *entered);
/* A core has lost its last; its interest has ended. Returns the number of GYR_ROOM_EMPTIED if it
 * was the last core, otherwise 0. */
uint64_t registry_exit(struct registry *registry, unsigned core, struct room_shared *shared);

/* Any thread, no lock: the sum over all cores. GYR_ERR_NOT_FOUND. */
MUST_CHECK int registry_stats(struct registry *registry, struct gyr_span name, uint64_t hash,
                              struct gyr_room_stats *stats);

/* Rooms that there are now; any thread. */
uint32_t registry_count(const struct registry *registry);

#endif
