/* SPDX-License-Identifier: MIT */
/* A message on its way: as a core delivers it, and as the ring carries it. */
#ifndef HUB_MESSAGE_H
#define HUB_MESSAGE_H

#include "base/base.h"
#include "engine/engine.h"
#include "gyr/gyr_backend.h"

#include <stdatomic.h>

struct hub;
struct hub_core;
struct receipt;
struct room_ref;

#define MESSAGE_ROOMS_MAX  64
#define MESSAGE_EXCEPT_MAX 64
#define MESSAGE_KEY_MAX    255

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
    struct parcel_room *rooms;
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

/* What a message takes beside its payload. */
#define MESSAGE_SIZE_MAX                                                       \
    (sizeof(struct message) + MESSAGE_ROOMS_MAX * sizeof(struct parcel_room) + \
     MESSAGE_EXCEPT_MAX * sizeof(struct gyr_handle) + MESSAGE_KEY_MAX + 16)

/* Of what was published, all but the rooms. It points to what the publication does. */
struct parcel message_parcel(const struct hub *hub, const struct gyr_publication *publication);

/* A message for these rooms, with a copy of everything; their positions are to be set. NULL, and in
 * *err GYR_ERR_MEMORY or GYR_ERR_BACKPRESSURE: then on_publish_ready follows. `from` is the calling
 * core, or NULL. */
struct message *message_create(struct hub *hub, struct hub_core *from,
                               const struct gyr_publication *publication,
                               const struct room_ref *refs, size_t room_count, int *err);
/* Any thread; also one that nobody has got. */
void message_free(struct engine_shared *shared);

/* Any thread: count bytes that are on their way in `total`, a field of the hub, up to
 * broadcast_size_max; what is larger alone. GYR_ERR_BACKPRESSURE: and `from`, or core 0 for NULL,
 * owes on_publish_ready when some were given back. */
MUST_CHECK int message_size_take(struct hub *hub, struct hub_core *from, _Atomic uint64_t *total,
                                 size_t size);
void message_size_give(struct hub *hub, _Atomic uint64_t *total, size_t size);

/* A publish of this core, or of another thread, was refused: count it. */
void message_refused(struct hub *hub, struct hub_core *from);

#endif
