/* SPDX-License-Identifier: MIT */
/* One message to the members on one core, and what the broadcast ring has for that core. */
#ifndef HUB_DELIVER_H
#define HUB_DELIVER_H

#include "base/base.h"
#include "engine/engine.h"

#include <stdatomic.h>

struct receipt;
struct hub;
struct hub_core;
struct member;
struct room;

/* A room that a message is for. */
struct parcel_room {
    uint32_t index;
    uint32_t generation;
    uint64_t position; /* in the room's lane; UINT64_MAX: it is in none */
};

/* A message as a core delivers it. */
struct parcel {
    struct engine_shared *shared; /* or NULL: it never was in the ring */
    enum gyr_opcode opcode;
    struct gyr_span payload;
    struct gyr_span key;
    uint64_t key_hash;
    const struct gyr_handle *except;
    size_t except_count;
    const struct parcel_room *rooms;
    size_t room_count; /* 0: all WebSockets */
    struct receipt *receipt;
    uint64_t epoch; /* and offset, in the history of its room; 0: none */
    uint64_t offset;
};

/* What travels in the ring: a parcel with all that it points to. Whoever is last frees it. */
struct message {
    struct engine_shared shared;
    struct hub *hub; /* borrowed */
    size_t size;     /* of the whole, as counted in hub->broadcast_size */
    /* Any thread: a bit for each room that somebody has counted it as published to: its publisher,
     * if it is a core with members, otherwise the first such core that takes it. */
    _Atomic uint64_t counted;
    /* Of one larger than broadcast_copy_size: entries of the ring that were not taken yet. Up to
     * the last it counts against broadcast_size_max; from then on only against the memory of the
     * cores whose members have not sent it, or they could stop everybody's publishing. */
    _Atomic uint32_t takers;
    struct parcel parcel;
};

/* So many entries of the ring will be taken, and so many references given up. What is for nobody
 * stays counted up to its end. */
static inline void message_expect(struct message *message, uint32_t takers, uint32_t count)
{
    atomic_store_explicit(&message->takers, MAX(takers, 1U), memory_order_relaxed);
    atomic_store_explicit(&message->shared.count, count, memory_order_relaxed);
}

/* Queue it to the members of its rooms on this core. One of the receipt's is released. */
void deliver_here(struct hub_core *core, const struct parcel *parcel);

/* Queue it to one member of a room. 0, or why the member has not got it. */
MUST_CHECK int deliver_one(struct hub_core *core, const struct parcel *parcel, struct room *room,
                           uint32_t conn_index);

/* The bell: take what the ring has for this core. True: it says that there is room again, too. */
MUST_CHECK bool deliver_work(struct hub_core *core);
/* Take from one lane what is there now, as far as it has been filled in. */
void deliver_drain(struct hub_core *core, unsigned lane);
/* Before a member joins or leaves a room of this lane: what was published before is not for a
 * newcomer. And what was published to that room and to others of the member comes with the first
 * that it is in: between two lanes that must not change, or it would come twice, or not at all. */
void deliver_before(struct hub_core *core, const struct member *member, unsigned lane);
/* The core ends: nothing in the ring is for it any more, and nobody waits for it. */
void deliver_end(struct hub_core *core);

#endif
