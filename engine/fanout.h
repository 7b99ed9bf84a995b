/* SPDX-License-Identifier: MIT */
/* One message to many connections of a core: the calls of engine.h, and what their entries in the
 * queues are made of.
 *
 * What is published to a room lately lies framed in a run: one piece of memory, to which messages
 * are added at its end and of which nothing changes (F1). Each member's queue has one entry for a
 * stretch of it. So a further message costs a member that has not sent the last one yet no memory
 * and no copy, and what it has to send is one contiguous piece. */
#ifndef ENGINE_FANOUT_H
#define ENGINE_FANOUT_H

#include "engine/engine.h"
#include "engine/transport.h"

/* Frames in a row; freed with its last reader. */
struct fanout_run {
    uint32_t count; /* entries that refer to it, and the delivery under way */
    uint32_t capacity;
    uint32_t size;
    uint32_t memory;              /* of the core's heap */
    struct engine_fanout *fanout; /* borrowed: the room that adds to it, or NULL */
    struct engine_shared *shared; /* counted: where the bytes lie, or NULL */
    const uint8_t *bytes;
};

/* Flags of an entry of ENTRY_RUN, beside GYR_FIRST and GYR_LAST. */
enum run_entry_flags {
    RUN_ENTRY_F_HELD = 1 << 2,    /* waits for the end of a message that is sent in parts */
    RUN_ENTRY_F_KEYED = 1 << 3,   /* a struct keyed_entry */
    RUN_ENTRY_F_TRACKED = 1 << 4, /* a struct tracked_entry */
    RUN_ENTRY_F_SENT = 1 << 5,    /* it was given to the kernel: nothing may be added */
};

/* `entry.size` bytes of a run. */
struct run_entry {
    struct entry entry;
    uint32_t start;
    uint32_t room;
    struct fanout_run *run; /* counted */
};

/* One message, of a room that keeps only the newest of each key. */
struct keyed_entry {
    struct run_entry run_entry;
    struct entry **link; /* what points to it; NULL: not in a queue */
    uint64_t key;
    uint32_t transport_index;
};

/* One message somebody wants to know about. */
struct tracked_entry {
    struct keyed_entry keyed_entry;
    struct engine_track *track; /* borrowed */
    struct transport *transport;
    uint64_t handle;
    struct tracked_entry *previous;
    struct tracked_entry *next;
};

/* The keyed entries of a core that are in queues, by connection, room and key: open addressing. */
struct conflation {
    struct keyed_entry **slots; /* owned; of the core's heap */
    uint32_t capacity;          /* power of two, or 0 */
    uint32_t count;
};

static_assert(offsetof(struct run_entry, entry) == 0, "an entry of ENTRY_RUN is one");

static inline struct run_entry *run_entry_of(struct entry *entry)
{
    return CONTAINER_OF(entry, struct run_entry, entry);
}

/* An entry of a run leaves its queue; `taken`: the kernel has all of it. Frees it. */
void run_entry_release(struct transport *transport, struct entry *entry, bool taken);

/* What it takes of the heap. */
size_t run_entry_memory(const struct entry *entry);

/* ---- conflation.c ---- */

/* The newest message of this key in the queue of this connection, or NULL. */
struct keyed_entry *conflation_find(const struct core *core, uint32_t transport_index,
                                    uint32_t room, uint64_t key);
/* Make room for one more; false: no memory. */
bool conflation_reserve(struct core *core);
/* It is the newest of its key from now on; room was made for it. */
void conflation_add(struct core *core, struct keyed_entry *entry);
/* It leaves its queue. Nothing happens to one that is not the newest any more. */
void conflation_remove(struct core *core, const struct keyed_entry *entry);
void conflation_deinit(struct core *core);

#endif
