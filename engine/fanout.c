/* SPDX-License-Identifier: MIT */
/* One message to many connections of a core. Journey: hop 11. A delivery frames its message once,
 * at the end of its room's run, and then queues it to one connection after the other: as a rule by
 * making the last entry of a queue a little longer. What a member does not take in time is dropped,
 * replaced or closed by its room's policy; control frames and what others send are not touched. */
#include "engine/fanout.h"

#include "engine/exchange.h"
#include "engine/session.h"
#include "proto/ws_close.h"

#define RUN_SIZE_MIN 256   /* of memory for messages that are not known yet */
#define RUN_SIZE_MAX 65536 /* of one run, unless a single message is larger */
#define ENTRIES_FREE 4096  /* half of what entries take in memory, whatever the limit in bytes */

static int run_take_shared(struct engine_delivery *delivery);
static uint8_t *run_append(struct engine_delivery *delivery, size_t size);
static struct fanout_run *run_create(struct core *core, size_t capacity);
static void run_unref(struct core *core, struct fanout_run *run);
static enum engine_delivered deliver_early(struct engine_delivery *delivery,
                                           struct gyr_conn *exchange);
static struct keyed_entry *replaceable(const struct engine_delivery *delivery,
                                       const struct transport *transport);
static enum engine_delivered replace(struct engine_delivery *delivery, struct transport *transport,
                                     struct keyed_entry *older);
static uint32_t limit_of(const struct engine_delivery *delivery);
static bool limit_is_passed(const struct engine_delivery *delivery,
                            const struct transport *transport);
static bool limit_is_passed_without(const struct engine_delivery *delivery,
                                    const struct transport *transport, uint64_t size,
                                    uint64_t memory);
static enum engine_delivered deliver_full(struct engine_delivery *delivery,
                                          struct transport *transport);
static bool oldest_drop(struct engine_delivery *delivery, struct transport *transport);
static void slow_close(struct engine_delivery *delivery, struct transport *transport);
static struct run_entry *tail_to_extend(const struct engine_delivery *delivery,
                                        const struct transport *transport);
static bool entry_append(struct engine_delivery *delivery, struct transport *transport);
static struct run_entry *run_entry_create(struct engine_delivery *delivery,
                                          struct transport *transport, unsigned flags);
static void track_add(struct engine_delivery *delivery, struct transport *transport,
                      struct tracked_entry *tracked);

static struct core *core_of(const struct engine_delivery *delivery)
{
    return (struct core *)delivery->core;
}

/* ---- what is shared by cores ----------------------------------------------------------------- */

size_t engine_frame_size(size_t payload_size)
{
    return ws_frame_header_size(payload_size) + payload_size;
}

static void frame_write(uint8_t *frame, uint8_t opcode, const void *payload, size_t size)
{
    size_t header_size = ws_frame_header_size(size);
    ws_frame_write_header(frame, opcode, true, 0, size);
    if (size != 0) {
        memcpy(frame + header_size, payload, size);
    }
}

void engine_shared_init(struct engine_shared *shared, uint8_t *frame, enum gyr_opcode opcode,
                        struct gyr_span payload, void (*free)(struct engine_shared *shared))
{
    frame_write(frame, (uint8_t)opcode, payload.ptr, payload.size);
    atomic_store_explicit(&shared->count, 1, memory_order_relaxed);
    shared->size = (uint32_t)engine_frame_size(payload.size);
    shared->opcode = (uint8_t)opcode;
    shared->header_size = (uint8_t)ws_frame_header_size(payload.size);
    shared->frame = frame;
    shared->free = free;
}

void engine_shared_unref(struct engine_shared *shared)
{
    /* Whoever is last sees what all others have done with it. */
    if (atomic_fetch_sub_explicit(&shared->count, 1, memory_order_acq_rel) == 1) {
        shared->free(shared);
    }
}

/* ---- runs ------------------------------------------------------------------------------------ */

int engine_deliver_begin(struct engine_delivery *delivery)
{
    struct core *core = core_of(delivery);
    struct engine_shared *shared = delivery->shared;
    delivery->removed = (struct engine_removed){0};
    if (shared != NULL && shared->size > core->config->broadcast_copy_size) {
        return run_take_shared(delivery);
    }
    size_t size = shared != NULL ? shared->size : engine_frame_size(delivery->payload.size);
    uint8_t *frame = run_append(delivery, size);
    if (frame != NULL && shared != NULL) {
        memcpy(frame, shared->frame, size);
    } else if (frame != NULL) {
        frame_write(frame, (uint8_t)delivery->opcode, delivery->payload.ptr,
                    delivery->payload.size);
    }
    if (shared != NULL) {
        engine_shared_unref(shared);
    }
    return frame == NULL ? GYR_ERR_MEMORY : 0;
}

/* A run that consists of the message as it is. */
static int run_take_shared(struct engine_delivery *delivery)
{
    struct core *core = core_of(delivery);
    struct engine_shared *shared = delivery->shared;
    bool fits = core->shared_size + shared->size <= core->config->core_heap_size_max;
    struct fanout_run *run = fits ? run_create(core, 0) : NULL;
    if (run == NULL) {
        engine_shared_unref(shared);
        return GYR_ERR_MEMORY;
    }
    run->shared = shared;
    run->bytes = shared->frame;
    run->size = shared->size;
    run->capacity = shared->size;
    core->shared_size += shared->size;
    delivery->run = run;
    delivery->start = 0;
    delivery->size = shared->size;
    return 0;
}

/* Room for a message at the end of the room's run, or in a new one; NULL: no memory. */
static uint8_t *run_append(struct engine_delivery *delivery, size_t size)
{
    struct core *core = core_of(delivery);
    /* What is kept of conflated messages is one here and one there: each is a run by itself, so
     * that it does not keep those before and behind it. */
    struct engine_fanout *fanout = delivery->policy != GYR_ROOM_CONFLATE ? delivery->fanout : NULL;
    struct fanout_run *run = fanout != NULL ? fanout->run : NULL;
    if (run == NULL || run->capacity - run->size < size) {
        size_t wanted = 0;
        if (fanout != NULL) {
            wanted = run != NULL ? (size_t)run->capacity * 2 : (size_t)fanout->run_size;
            wanted = MIN(MAX(wanted, (size_t)RUN_SIZE_MIN), (size_t)RUN_SIZE_MAX);
            fanout->run_size = (uint32_t)wanted;
        }
        struct fanout_run *grown = run_create(core, MAX(wanted, size));
        if (grown == NULL) {
            return NULL;
        }
        if (run != NULL) {
            run->fanout = NULL;
        }
        grown->fanout = fanout;
        if (fanout != NULL) {
            fanout->run = grown;
        }
        run = grown;
    } else {
        run->count++;
    }
    delivery->run = run;
    delivery->start = run->size;
    delivery->size = (uint32_t)size;
    run->size += (uint32_t)size;
    return (uint8_t *)(run + 1) + delivery->start;
}

/* Counted once, for the delivery that makes it. */
static struct fanout_run *run_create(struct core *core, size_t capacity)
{
    size_t memory = sizeof(struct fanout_run) + capacity;
    if (capacity > UINT32_MAX / 2) {
        return NULL;
    }
    struct fanout_run *run = engine_core_alloc((struct gyr_core *)core, memory);
    if (run != NULL) {
        *run = (struct fanout_run){
            .count = 1,
            .capacity = (uint32_t)capacity,
            .memory = (uint32_t)memory,
            .bytes = (const uint8_t *)(run + 1),
        };
    }
    return run;
}

static void run_unref(struct core *core, struct fanout_run *run)
{
    if (--run->count != 0) {
        return;
    }
    if (run->fanout != NULL) {
        run->fanout->run = NULL;
        /* The next one begins as large as this had to be; less, when less has come for a while. */
        uint32_t less = run->fanout->run_size - run->fanout->run_size / 8;
        run->fanout->run_size = MAX(run->size, less);
    }
    if (run->shared != NULL) {
        core->shared_size -= run->size;
        engine_shared_unref(run->shared);
    }
    engine_core_free((struct gyr_core *)core, run, run->memory);
}

void engine_deliver_end(struct engine_delivery *delivery)
{
    run_unref(core_of(delivery), delivery->run);
    delivery->run = NULL;
}

void engine_fanout_end(struct engine_fanout *fanout)
{
    if (fanout->run != NULL) {
        fanout->run->fanout = NULL;
        fanout->run = NULL;
    }
}

/* ---- delivering ------------------------------------------------------------------------------ */

enum engine_delivered engine_deliver(struct engine_delivery *delivery, struct gyr_conn *conn)
{
    struct core *core = core_of(delivery);
    struct transport *transport = conn->transport;
    if (UNLIKELY(conn->state != EXCHANGE_OPEN)) {
        if (engine_conn_may_send(conn) < 0) {
            return ENGINE_GONE;
        }
        if (conn->state == EXCHANGE_REQUEST) {
            return deliver_early(delivery, conn);
        }
    }
    if (UNLIKELY(core->out.transport == transport)) {
        transport_flush_batch(transport); /* what its own callbacks have sent comes before */
    }
    if (UNLIKELY((transport->flags & (TRANSPORT_F_LOST | TRANSPORT_F_CUT)) != 0)) {
        return ENGINE_GONE;
    }
    if (UNLIKELY(delivery->policy == GYR_ROOM_CONFLATE)) {
        struct keyed_entry *older = replaceable(delivery, transport);
        if (older != NULL) {
            return replace(delivery, transport, older);
        }
    }
    if (UNLIKELY(limit_is_passed(delivery, transport))) {
        enum engine_delivered outcome = deliver_full(delivery, transport);
        if (outcome != ENGINE_QUEUED) {
            return outcome;
        }
    }
    if (UNLIKELY(!entry_append(delivery, transport))) {
        engine_conn_owe_drain(conn);
        return ENGINE_DROPPED_MEMORY;
    }
    return ENGINE_QUEUED;
}

/* What the message replaces if there is room for it then, or NULL. */
static struct keyed_entry *replaceable(const struct engine_delivery *delivery,
                                       const struct transport *transport)
{
    struct keyed_entry *older =
        conflation_find(transport->core, transport->index, delivery->room, delivery->key);
    if (older == NULL || (older->run_entry.entry.flags & RUN_ENTRY_F_SENT) != 0) {
        return NULL; /* a message that is on its way is not replaced but followed */
    }
    const struct entry *entry = &older->run_entry.entry;
    bool passed = limit_is_passed_without(delivery, transport, entry->size,
                                          (uint32_t)run_entry_memory(entry));
    return passed ? NULL : older;
}

/* The older one goes when the newer one is queued: without memory for that it is better than
 * nothing. */
static enum engine_delivered replace(struct engine_delivery *delivery, struct transport *transport,
                                     struct keyed_entry *older)
{
    if (!entry_append(delivery, transport)) {
        engine_conn_owe_drain(transport->exchange);
        return ENGINE_DROPPED_MEMORY;
    }
    delivery->removed.conflated++;
    queue_drop(transport, older->link);
    return ENGINE_QUEUED;
}

/* Before its upgrade is accepted a connection keeps copies. There a message can neither be held
 * until one in parts is complete (RFC 6455 section 5.4) nor be taken out again. */
static enum engine_delivered deliver_early(struct engine_delivery *delivery,
                                           struct gyr_conn *exchange)
{
    struct transport *transport = exchange->transport;
    const struct http_state *state = transport->http.state;
    uint32_t limit = limit_of(delivery);
    if ((transport->flags & (TRANSPORT_F_LOST | TRANSPORT_F_CUT)) != 0) {
        return ENGINE_GONE;
    }
    if ((exchange->flags & EXCHANGE_F_SENDING_PARTS) != 0 ||
        state->early_memory / 2 > MAX(limit, (uint32_t)ENTRIES_FREE) ||
        (uint64_t)state->early_size + delivery->size > limit) {
        if (delivery->policy == GYR_ROOM_CLOSE) {
            transport_mark(transport, TRANSPORT_F_CUT);
            return ENGINE_CLOSED;
        }
        transport_refused(transport);
        return ENGINE_DROPPED;
    }
    const struct engine_shared *shared = delivery->run->shared;
    const uint8_t *frame = delivery->run->bytes + delivery->start;
    struct engine_track *track = delivery->track;
    if (track != NULL) {
        /* Nothing of it can be taken in any time that could be told. */
        track->done(track, gyr_conn_handle(exchange), false, GYR_ERR_TIMEOUT);
        return ENGINE_QUEUED;
    }
    uint8_t opcode = shared != NULL ? shared->opcode : frame[0] & 0x0f;
    size_t header_size = frame[1] < 126 ? 2 : frame[1] == 126 ? 4 : 10;
    struct span payload = span_of(frame + header_size, delivery->size - header_size);
    int err = exchange_send_early(exchange, opcode, GYR_FIRST | GYR_LAST, payload);
    if (err == GYR_ERR_MEMORY) {
        return ENGINE_DROPPED_MEMORY;
    }
    return err < 0 ? ENGINE_DROPPED : ENGINE_QUEUED;
}

/* The bytes that the queue may hold. */
static uint32_t limit_of(const struct engine_delivery *delivery)
{
    uint32_t limit = core_of(delivery)->config->send_queue_size_max;
    return delivery->queue_size_max != 0 ? MIN(limit, delivery->queue_size_max) : limit;
}

/* Exact to the byte; many tiny entries are limited by what they take beside their bytes, too. */
static bool limit_is_passed(const struct engine_delivery *delivery,
                            const struct transport *transport)
{
    uint32_t limit = limit_of(delivery);
    return (uint64_t)transport->queued_size + delivery->size > limit ||
           transport->queue_memory / 2 > MAX(limit, (uint32_t)ENTRIES_FREE);
}

/* Would it be, if so much of the queue were not there? */
static bool limit_is_passed_without(const struct engine_delivery *delivery,
                                    const struct transport *transport, uint64_t size,
                                    uint64_t memory)
{
    uint32_t limit = limit_of(delivery);
    return transport->queued_size - size + delivery->size > limit ||
           (transport->queue_memory - memory) / 2 > MAX(limit, (uint32_t)ENTRIES_FREE);
}

/* There is no room: do what the policy says. ENGINE_QUEUED: now there is. Much may have been
 * published in this turn, and who has had no chance to take it is not slow yet. */
static enum engine_delivered deliver_full(struct engine_delivery *delivery,
                                          struct transport *transport)
{
    if (delivery->size <= limit_of(delivery)) {
        transport_send_queue_now(transport);
        if ((transport->flags & (TRANSPORT_F_LOST | TRANSPORT_F_CUT)) != 0) {
            return ENGINE_GONE;
        }
        if (!limit_is_passed(delivery, transport)) {
            return ENGINE_QUEUED;
        }
    }
    switch (delivery->policy) {
    case GYR_ROOM_CLOSE:
        slow_close(delivery, transport);
        return ENGINE_CLOSED;
    case GYR_ROOM_DROP_OLDEST:
        if (oldest_drop(delivery, transport)) {
            engine_conn_owe_drain(transport->exchange);
            return ENGINE_QUEUED;
        }
        break;
    case GYR_ROOM_QUEUE:
    case GYR_ROOM_DROP_NEWEST:
    case GYR_ROOM_CONFLATE:
        break;
    }
    transport_refused(transport);
    return ENGINE_DROPPED;
}

/* The size of the frame that begins here (RFC 6455 section 5.2, as a server sends it). */
static uint32_t frame_size_at(const uint8_t *frame)
{
    if (frame[1] < 126) {
        return 2U + frame[1];
    }
    return frame[1] == 126 ? 4U + load_be16(frame + 2) : 10U + (uint32_t)load_be64(frame + 2);
}

/* Can messages of this room be taken out of this entry? Not of what the kernel may have. */
static bool entry_is_droppable(const struct engine_delivery *delivery, const struct entry *entry)
{
    return entry->kind == ENTRY_RUN && (entry->flags & RUN_ENTRY_F_SENT) == 0 &&
           ((const struct run_entry *)(const void *)entry)->room == delivery->room;
}

/* Drop messages of the room from its oldest on until the new one fits; none if that would not be
 * enough. */
static bool oldest_drop(struct engine_delivery *delivery, struct transport *transport)
{
    uint64_t size_max = 0;
    uint64_t memory_max = 0;
    for (const struct entry *entry = transport->queue_head; entry != NULL; entry = entry->next) {
        if (entry_is_droppable(delivery, entry)) {
            size_max += entry->size;
            memory_max += run_entry_memory(entry);
        }
    }
    if (limit_is_passed_without(delivery, transport, size_max, memory_max)) {
        return false;
    }
    struct entry **place = &transport->queue_head;
    while (*place != NULL && limit_is_passed(delivery, transport)) {
        struct entry *entry = *place;
        if (!entry_is_droppable(delivery, entry)) {
            place = &entry->next;
            continue;
        }
        struct run_entry *run_entry = run_entry_of(entry);
        uint32_t size = frame_size_at(run_entry->run->bytes + run_entry->start);
        delivery->removed.oldest++;
        if (size == entry->size) {
            queue_drop(transport, place);
        } else {
            run_entry->start += size;
            entry->size -= size;
            transport->queued_size -= size;
        }
    }
    return true;
}

/* It reads too slowly: nothing more of the room, and a Close that does not wait behind it. */
static void slow_close(struct engine_delivery *delivery, struct transport *transport)
{
    struct gyr_conn *exchange = transport->exchange;
    exchange->flags |= EXCHANGE_F_CLOSE_SENT; /* that is what becomes of those that are dropped */
    struct entry **place = &transport->queue_head;
    while (*place != NULL) {
        if (!entry_is_droppable(delivery, *place)) {
            place = &(*place)->next;
            continue;
        }
        struct run_entry *run_entry = run_entry_of(*place);
        for (uint32_t at = 0; at < run_entry->entry.size;) {
            at += frame_size_at(run_entry->run->bytes + run_entry->start + at);
            delivery->removed.closed++;
        }
        queue_drop(transport, place);
    }
    if (exchange->state == EXCHANGE_OPEN) {
        session_ws_close(transport, WS_CLOSE_TRY_LATER, SPAN_LITERAL("too slow"));
    } else {
        session_ws_send_close(transport, WS_CLOSE_TRY_LATER, SPAN_LITERAL("too slow"));
    }
}

/* ---- entries --------------------------------------------------------------------------------- */

/* Queue it at the end; false: no memory. */
static bool entry_append(struct engine_delivery *delivery, struct transport *transport)
{
    struct run_entry *tail = tail_to_extend(delivery, transport);
    if (LIKELY(tail != NULL)) {
        tail->entry.size += delivery->size;
        transport->queued_size += delivery->size;
    } else {
        bool held = (transport->exchange->flags & EXCHANGE_F_SENDING_PARTS) != 0;
        unsigned flags = GYR_FIRST | GYR_LAST | (held ? RUN_ENTRY_F_HELD : 0U);
        struct run_entry *run_entry = run_entry_create(delivery, transport, flags);
        if (run_entry == NULL) {
            return false;
        }
        if (transport->queue_head == NULL) {
            /* Its time limit begins when a send has not gone well: transport_on_quiet_send. */
            transport->send_ms = core_now32(transport->core);
            queue_put(transport, &transport->queue_head, &run_entry->entry);
        } else {
            queue_put(transport, &transport->queue_tail->next, &run_entry->entry);
        }
    }
    transport->message_ms = core_now32(transport->core);
    if (UNLIKELY(transport_queue_status(transport) != 0)) {
        transport->flags |= TRANSPORT_F_DRAIN_OWED;
    }
    transport_mark(transport, 0);
    return true;
}

/* The last entry, if the message is the continuation of what it refers to. */
static struct run_entry *tail_to_extend(const struct engine_delivery *delivery,
                                        const struct transport *transport)
{
    struct entry *tail = transport->queue_tail;
    if (tail == NULL || tail->kind != ENTRY_RUN || delivery->track != NULL) {
        return NULL;
    }
    struct run_entry *run_entry = run_entry_of(tail);
    bool held = (transport->exchange->flags & EXCHANGE_F_SENDING_PARTS) != 0;
    unsigned flags = GYR_FIRST | GYR_LAST | (held ? RUN_ENTRY_F_HELD : 0U);
    bool follows = run_entry->run == delivery->run && run_entry->room == delivery->room &&
                   run_entry->start + tail->size == delivery->start && tail->flags == flags;
    return follows && delivery->policy != GYR_ROOM_CONFLATE ? run_entry : NULL;
}

static size_t memory_of_flags(unsigned flags)
{
    if ((flags & RUN_ENTRY_F_TRACKED) != 0) {
        return sizeof(struct tracked_entry);
    }
    return (flags & RUN_ENTRY_F_KEYED) != 0 ? sizeof(struct keyed_entry) : sizeof(struct run_entry);
}

size_t run_entry_memory(const struct entry *entry)
{
    return memory_of_flags(entry->flags);
}

static struct run_entry *run_entry_create(struct engine_delivery *delivery,
                                          struct transport *transport, unsigned flags)
{
    bool keyed = delivery->policy == GYR_ROOM_CONFLATE;
    if (keyed && !conflation_reserve(transport->core)) {
        return NULL;
    }
    flags |= keyed ? RUN_ENTRY_F_KEYED : 0U;
    flags |= delivery->track != NULL ? RUN_ENTRY_F_TRACKED : 0U;
    struct run_entry *run_entry = transport_alloc(transport, memory_of_flags(flags));
    if (run_entry == NULL) {
        return NULL;
    }
    memset(run_entry, 0, memory_of_flags(flags));
    run_entry->entry.kind = ENTRY_RUN;
    run_entry->entry.flags = (uint8_t)flags;
    run_entry->entry.size = delivery->size;
    run_entry->start = delivery->start;
    run_entry->room = delivery->room;
    run_entry->run = delivery->run;
    run_entry->run->count++;
    if (keyed) {
        struct keyed_entry *keyed_entry = CONTAINER_OF(run_entry, struct keyed_entry, run_entry);
        keyed_entry->key = delivery->key;
        keyed_entry->transport_index = transport->index;
        conflation_add(transport->core, keyed_entry);
    }
    if (delivery->track != NULL) {
        struct keyed_entry *keyed_entry = CONTAINER_OF(run_entry, struct keyed_entry, run_entry);
        track_add(delivery, transport,
                  CONTAINER_OF(keyed_entry, struct tracked_entry, keyed_entry));
    }
    return run_entry;
}

void run_entry_release(struct transport *transport, struct entry *entry, bool taken)
{
    struct core *core = transport->core;
    struct run_entry *run_entry = run_entry_of(entry);
    struct keyed_entry *keyed_entry = CONTAINER_OF(run_entry, struct keyed_entry, run_entry);
    unsigned flags = entry->flags;
    if (UNLIKELY((flags & RUN_ENTRY_F_KEYED) != 0)) {
        conflation_remove(core, keyed_entry);
    }
    struct tracked_entry tracked = {0};
    if (UNLIKELY((flags & RUN_ENTRY_F_TRACKED) != 0)) {
        tracked = *CONTAINER_OF(keyed_entry, struct tracked_entry, keyed_entry);
        if (tracked.previous != NULL) {
            tracked.previous->next = tracked.next;
        } else {
            tracked.track->first = tracked.next;
        }
        if (tracked.next != NULL) {
            tracked.next->previous = tracked.previous;
        }
    }
    run_unref(core, run_entry->run);
    transport_free(transport, run_entry, memory_of_flags(flags));
    if (tracked.track != NULL) {
        bool gone = transport->state == TRANSPORT_CLOSING ||
                    (transport->flags & TRANSPORT_F_LOST) != 0 || transport->exchange == NULL ||
                    (transport->exchange->flags & EXCHANGE_F_CLOSE_SENT) != 0;
        int err = taken                       ? 0
                  : tracked.track->cancelling ? GYR_ERR_TIMEOUT
                  : gone                      ? GYR_ERR_CLOSED
                                              : GYR_ERR_BACKPRESSURE;
        tracked.track->done(tracked.track, (struct gyr_handle){tracked.handle}, taken, err);
    }
}

/* ---- tracks ---------------------------------------------------------------------------------- */

static void track_add(struct engine_delivery *delivery, struct transport *transport,
                      struct tracked_entry *tracked)
{
    struct engine_track *track = delivery->track;
    tracked->track = track;
    tracked->transport = transport;
    tracked->handle = gyr_conn_handle(transport->exchange).id;
    tracked->next = track->first;
    if (track->first != NULL) {
        track->first->previous = tracked;
    }
    track->first = tracked;
}

void engine_track_cancel(struct gyr_core *core, struct engine_track *track)
{
    (void)core;
    track->cancelling = true;
    struct tracked_entry *tracked = track->first;
    while (tracked != NULL) {
        struct tracked_entry *next = tracked->next;
        struct transport *transport = tracked->transport;
        struct entry *entry = &tracked->keyed_entry.run_entry.entry;
        struct entry **place = &transport->queue_head;
        while (*place != entry) {
            place = &(*place)->next;
        }
        if (place != &transport->queue_head || !queue_is_sent(transport)) {
            if (entry->sent == 0) {
                queue_drop(transport, place);
            }
        }
        tracked = next;
    }
    track->cancelling = false;
}
