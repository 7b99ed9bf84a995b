/* SPDX-License-Identifier: MIT */
/* What the ring carries: one piece of memory with the frame and all that has to be known about it.
 * How much of it there is at a time is bounded for the whole server; who is refused for that is
 * told when something was given back. */
#include "hub/message.h"

#include "hub/deliver.h"
#include "hub/hub.h"

struct parcel message_parcel(const struct hub *hub, const struct gyr_publication *publication)
{
    struct gyr_span key = publication->key;
    bool is_keyed = publication->rule != NULL && publication->rule->policy == GYR_ROOM_CONFLATE;
    return (struct parcel){
        .opcode = publication->opcode,
        .payload = publication->payload,
        .key = key,
        /* Of several rooms any may have such a policy. */
        .key_hash = is_keyed || publication->room_count > 1 ? hub_hash(hub, key) : 0,
        .except = publication->except,
        .except_count = publication->except_count,
        .receipt = publication->request,
        .epoch = publication->epoch,
        .offset = publication->offset,
    };
}

struct message *message_create(struct hub *hub, struct hub_core *from,
                               const struct gyr_publication *publication,
                               const struct room_ref *refs, size_t room_count, int *err)
{
    size_t rooms_size = room_count * sizeof(struct parcel_room);
    size_t except_size = publication->except_count * sizeof(struct gyr_handle);
    size_t frame_size = engine_frame_size(publication->payload.size);
    size_t size =
        sizeof(struct message) + rooms_size + except_size + publication->key.size + frame_size;
    *err = message_size_take(hub, from, &hub->broadcast_size, size);
    if (*err < 0) {
        return NULL;
    }
    struct message *message = memory_take(size);
    if (message == NULL) {
        message_size_give(hub, &hub->broadcast_size, size);
        *err = GYR_ERR_MEMORY;
        return NULL;
    }
    struct parcel_room *rooms = (struct parcel_room *)(message + 1);
    char *except = (char *)rooms + rooms_size;
    char *key = except + except_size;
    uint8_t *frame = (uint8_t *)key + publication->key.size;
    for (size_t i = 0; i < room_count; i++) {
        rooms[i] = (struct parcel_room){refs[i].shared->index, refs[i].generation, 0};
    }
    if (except_size != 0) {
        memcpy(except, publication->except, except_size);
    }
    if (publication->key.size != 0) {
        memcpy(key, publication->key.ptr, publication->key.size);
    }
    engine_shared_init(&message->shared, frame, publication->opcode, publication->payload,
                       message_free);
    message->hub = hub;
    message->size = size;
    message->parcel = message_parcel(hub, publication);
    message->parcel.shared = &message->shared;
    message->parcel.payload = (struct gyr_span){(const char *)frame + message->shared.header_size,
                                                publication->payload.size};
    message->parcel.key.ptr = key;
    message->parcel.except = (const struct gyr_handle *)(const void *)except;
    message->parcel.rooms = rooms;
    message->parcel.room_count = room_count;
    atomic_store_explicit(&message->counted, 0, memory_order_relaxed);
    atomic_store_explicit(&message->takers, 1, memory_order_relaxed);
    return message;
}

void message_free(struct engine_shared *shared)
{
    struct message *message = CONTAINER_OF(shared, struct message, shared);
    struct hub *hub = message->hub;
    /* Partner: message_taken. */
    bool is_counted = atomic_load_explicit(&message->takers, memory_order_relaxed) != 0;
    size_t size = is_counted ? message->size : 0;
    memory_free(message);
    message_size_give(hub, &hub->broadcast_size, size);
}

static bool size_try(const struct hub *hub, _Atomic uint64_t *total, size_t size)
{
    uint64_t used = atomic_load_explicit(total, memory_order_seq_cst);
    do {
        if (used != 0 && used + size > hub->config->broadcast_size_max) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(total, &used, used + size, memory_order_seq_cst,
                                                    memory_order_seq_cst));
    return true;
}

int message_size_take(struct hub *hub, struct hub_core *from, _Atomic uint64_t *total, size_t size)
{
    if (LIKELY(size_try(hub, total, size))) {
        return 0;
    }
    /* Partner: message_size_give. It sees who waits when it has given, or has given before we try
     * again. */
    unsigned waiter = from != NULL ? from->index : 0;
    atomic_fetch_or_explicit(&hub->size_waits[waiter / 64], UINT64_C(1) << waiter % 64,
                             memory_order_seq_cst);
    if (size_try(hub, total, size)) {
        return 0;
    }
    message_refused(hub, from);
    return GYR_ERR_BACKPRESSURE;
}

void message_size_give(struct hub *hub, _Atomic uint64_t *total, size_t size)
{
    atomic_fetch_sub_explicit(total, size, memory_order_seq_cst);
    for (unsigned i = 0; i * 64 < hub->core_count; i++) {
        if (LIKELY(atomic_load_explicit(&hub->size_waits[i], memory_order_seq_cst) == 0)) {
            continue;
        }
        uint64_t waits = atomic_exchange_explicit(&hub->size_waits[i], 0, memory_order_seq_cst);
        for (; waits != 0; waits &= waits - 1) {
            hub_ready(hub, i * 64 + (unsigned)__builtin_ctzll(waits));
        }
    }
}

void message_refused(struct hub *hub, struct hub_core *from)
{
    if (from != NULL) {
        STATS_ADD(from->stats, publish_refused, 1);
    } else {
        atomic_fetch_add_explicit(&hub->refused_count, 1, memory_order_relaxed);
    }
}
