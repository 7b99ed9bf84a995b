/* SPDX-License-Identifier: MIT */
/* Local fan-out. Journey: hops 10 and 11. What the ring has for a core is taken lane by lane, in
 * the order of its positions, and queued to the members that the core has now: those of a room's
 * life that the message was published to. A message for several rooms comes once for each lane that
 * they lie on, and goes to a member with the lane of the first room that it is in. */
#include "hub/deliver.h"

#include "hub/hub.h"
#include "hub/publish.h"
#include "hub/receipt.h"
#include "hub/recovery.h"

#include <sched.h>

#define PREFETCH_AHEAD 8U
#define DONE_EVERY     64U        /* so many entries are given back to producers at a time */
#define ROOM_ALL       UINT32_MAX /* for the engine: messages to all WebSockets */

/* One delivery: a message to the members of one room. */
struct fanout {
    struct hub_core *core;
    const struct parcel *parcel;
    const struct parcel_room *rooms; /* of the parcel, up to this room */
    size_t rooms_before;             /* those in front of it */
    struct receipt_part *part;       /* or NULL */
    const uint32_t *except;          /* connections that get nothing */
    size_t except_count;
    struct engine_delivery delivery;
    uint64_t removed; /* by policies, so far */
    /* What became of it. */
    uint64_t queued;
    uint64_t dropped;
    uint64_t dropped_memory;
    uint64_t closed;
};

static void deliver_room(struct hub_core *core, const struct parcel *parcel, size_t place,
                         struct room *room, struct receipt_part *part);
static void deliver_all(struct hub_core *core, const struct parcel *parcel,
                        struct receipt_part *part);
static bool fanout_skips(const struct fanout *fanout, uint32_t conn_index);
static bool fanout_waits(struct fanout *fanout, struct room *room, uint32_t conn_index);
static void fanout_one(struct fanout *fanout, uint32_t conn_index);
static void fanout_odd(struct fanout *fanout, struct gyr_conn *conn, enum engine_delivered outcome);
static void fanout_failed(struct fanout *fanout, uint32_t conn_index);
static void fanout_count(struct fanout *fanout, struct room *room);
static struct room *parcel_room(struct hub_core *core, const struct parcel_room *place);
static bool lane_take(struct hub_core *core, unsigned lane, uint64_t end);
static void message_deliver(struct hub_core *core, struct message *message, unsigned lane);
static void message_taken(struct message *message);
static void message_deliver_rooms(struct hub_core *core, struct message *message, unsigned lane,
                                  struct receipt_part *part);
static void message_count(struct message *message, size_t place, struct room *room);

/* ---- a message on this core ------------------------------------------------------------------ */

void deliver_here(struct hub_core *core, const struct parcel *parcel)
{
    struct receipt_part *part =
        parcel->receipt != NULL ? receipt_begin(parcel->receipt, core) : NULL;
    if (parcel->room_count == 0) {
        deliver_all(core, parcel, part);
    }
    for (size_t i = 0; i < parcel->room_count; i++) {
        struct room *room = parcel_room(core, &parcel->rooms[i]);
        if (room != NULL) {
            deliver_room(core, parcel, i, room, part);
        }
    }
    if (part != NULL) {
        receipt_end(part);
    }
}

/* The room as it was published to, if it has members here that may get it; or NULL. */
static struct room *parcel_room(struct hub_core *core, const struct parcel_room *place)
{
    struct room *room = rooms_at(&core->rooms, place->index);
    bool fits =
        room != NULL && room->generation == place->generation && place->position >= room->floor;
    return fits ? room : NULL;
}

/* The connections of this core that are not to get it. */
static size_t except_resolve(struct hub_core *core, const struct parcel *parcel,
                             uint32_t except[MESSAGE_EXCEPT_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < parcel->except_count; i++) {
        const struct gyr_conn *conn = gyr_core_find(core->core, parcel->except[i]);
        if (conn != NULL) {
            except[count++] = engine_conn_index(conn);
        }
    }
    return count;
}

static struct engine_delivery delivery_to(const struct hub_core *core, const struct parcel *parcel,
                                          struct room *room, struct receipt_part *part)
{
    const struct gyr_room_rule *rule = room->rule;
    return (struct engine_delivery){
        .core = core->core,
        .fanout = &room->fanout,
        .policy = rule != NULL ? rule->policy : GYR_ROOM_QUEUE,
        .queue_size_max = rule != NULL ? rule->queue_size_max : 0,
        .room = room->index,
        .key = parcel->key_hash,
        .shared = parcel->shared,
        .opcode = parcel->opcode,
        .payload = parcel->payload,
        .track = part != NULL ? receipt_track(part) : NULL,
    };
}

/* Takes one reference of parcel->shared; the parcel itself may go with it, unless it has more than
 * one room or a receipt (see message_deliver). */
static void deliver_room(struct hub_core *core, const struct parcel *parcel, size_t place,
                         struct room *room, struct receipt_part *part)
{
    uint32_t except[MESSAGE_EXCEPT_MAX];
    struct fanout fanout = {
        .core = core,
        .parcel = parcel,
        .rooms = parcel->rooms,
        .rooms_before = place,
        .part = part,
        .except = except,
        .except_count = parcel->except_count != 0 ? except_resolve(core, parcel, except) : 0,
        .delivery = delivery_to(core, parcel, room, part),
    };
    bool recovers = room->recover_count != 0 && parcel->offset != 0;
    bool skips = place != 0 || fanout.except_count != 0 || recovers;
    uint32_t count = room->member_count;
    const struct room_member *members = room->members;
    struct engine_shared *shared = recovers ? parcel->shared : NULL;
    if (shared != NULL) { /* the parcel is looked at up to the end */
        atomic_fetch_add_explicit(&shared->count, 1, memory_order_relaxed);
    }
    int err = engine_deliver_begin(&fanout.delivery);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t conn_index = members[i].conn_index;
        if (i + 2 * PREFETCH_AHEAD < count) {
            engine_conn_prefetch(core->core, members[i + 2 * PREFETCH_AHEAD].conn_index);
            engine_conn_prefetch_queue(core->core, members[i + PREFETCH_AHEAD].conn_index);
        }
        if (skips && (fanout_skips(&fanout, conn_index) ||
                      (recovers && fanout_waits(&fanout, room, conn_index)))) {
            continue;
        }
        if (UNLIKELY(err < 0)) {
            fanout_failed(&fanout, conn_index);
        } else {
            fanout_one(&fanout, conn_index);
        }
    }
    if (err == 0) {
        engine_deliver_end(&fanout.delivery);
    }
    if (shared != NULL) {
        engine_shared_unref(shared);
    }
    fanout_count(&fanout, room);
}

int deliver_one(struct hub_core *core, const struct parcel *parcel, struct room *room,
                uint32_t conn_index)
{
    struct fanout fanout = {
        .core = core, .parcel = parcel, .delivery = delivery_to(core, parcel, room, NULL)};
    int err = engine_deliver_begin(&fanout.delivery);
    if (err < 0) {
        fanout_failed(&fanout, conn_index);
    } else {
        fanout_one(&fanout, conn_index);
        engine_deliver_end(&fanout.delivery);
    }
    fanout_count(&fanout, room);
    if (fanout.queued != 0) {
        return 0;
    }
    if (fanout.dropped_memory != 0) {
        return GYR_ERR_MEMORY;
    }
    return fanout.dropped != 0 ? GYR_ERR_BACKPRESSURE : GYR_ERR_CLOSED;
}

static void deliver_all(struct hub_core *core, const struct parcel *parcel,
                        struct receipt_part *part)
{
    uint32_t except[MESSAGE_EXCEPT_MAX];
    struct fanout fanout = {
        .core = core,
        .parcel = parcel,
        .part = part,
        .except = except,
        .except_count = except_resolve(core, parcel, except),
        .delivery =
            {
                .core = core->core,
                .room = ROOM_ALL,
                .shared = parcel->shared,
                .opcode = parcel->opcode,
                .payload = parcel->payload,
                .track = part != NULL ? receipt_track(part) : NULL,
            },
    };
    uint32_t count = engine_core_conns_used(core->core);
    int err = engine_deliver_begin(&fanout.delivery);
    for (uint32_t i = 0; i < count; i++) {
        if (!engine_conn_is_open(engine_conn_at(core->core, i)) || fanout_skips(&fanout, i)) {
            continue;
        }
        if (UNLIKELY(err < 0)) {
            fanout_failed(&fanout, i);
        } else {
            fanout_one(&fanout, i);
        }
    }
    if (err == 0) {
        engine_deliver_end(&fanout.delivery);
    }
    fanout_count(&fanout, NULL);
}

/* Is it one of those that are to get nothing, or gets it with an earlier room? */
static bool fanout_skips(const struct fanout *fanout, uint32_t conn_index)
{
    for (size_t i = 0; i < fanout->except_count; i++) {
        if (fanout->except[i] == conn_index) {
            return true;
        }
    }
    for (size_t i = 0; i < fanout->rooms_before; i++) {
        const struct room *room = parcel_room(fanout->core, &fanout->rooms[i]);
        if (room != NULL && rooms_has(fanout->core, room->index, conn_index)) {
            return true;
        }
    }
    return false;
}

/* Has it come back to the room, and gets this later, or has it been given this already? */
static bool fanout_waits(struct fanout *fanout, struct room *room, uint32_t conn_index)
{
    struct gyr_conn *conn = engine_conn_at(fanout->core->core, conn_index);
    switch (recovery_judge(fanout->core, room, fanout->parcel, conn_index)) {
    case RECOVER_PASSES:
        return false;
    case RECOVER_HELD:
    case RECOVER_KNOWN:
        if (fanout->part != NULL) {
            receipt_count(fanout->part, gyr_conn_handle(conn), 0);
        }
        break;
    case RECOVER_DROPPED:
        fanout_odd(fanout, conn, ENGINE_DROPPED);
        break;
    }
    return true;
}

static inline uint64_t removed_sum(const struct fanout *fanout)
{
    const struct engine_removed *removed = &fanout->delivery.removed;
    return removed->oldest + removed->conflated + removed->closed;
}

static inline void fanout_one(struct fanout *fanout, uint32_t conn_index)
{
    struct gyr_conn *conn = engine_conn_at(fanout->core->core, conn_index);
    enum engine_delivered outcome = engine_deliver(&fanout->delivery, conn);
    if (LIKELY(outcome == ENGINE_QUEUED && removed_sum(fanout) == fanout->removed &&
               fanout->part == NULL)) {
        fanout->queued++;
        return;
    }
    fanout_odd(fanout, conn, outcome);
}

/* Something is to be told: to the member, to who asked, to the counters. */
static void fanout_odd(struct fanout *fanout, struct gyr_conn *conn, enum engine_delivered outcome)
{
    uint64_t removed = removed_sum(fanout) - fanout->removed;
    fanout->removed += removed;
    int err = 0;
    switch (outcome) {
    case ENGINE_QUEUED:
        fanout->queued++;
        break;
    case ENGINE_DROPPED:
        err = GYR_ERR_BACKPRESSURE;
        fanout->dropped++;
        removed++;
        break;
    case ENGINE_DROPPED_MEMORY:
        err = GYR_ERR_MEMORY;
        fanout->dropped_memory++;
        removed++;
        break;
    case ENGINE_CLOSED:
        err = GYR_ERR_CLOSED;
        fanout->closed++;
        removed++;
        break;
    case ENGINE_GONE:
        err = GYR_ERR_CLOSED;
        break;
    }
    if (removed != 0) {
        engine_conn_watch(conn); /* so that its count does not outlive it */
        hub_member(fanout->core, conn)->dropped += removed;
        if (outcome != ENGINE_CLOSED) {
            engine_conn_owe_drain(conn);
        }
    }
    bool is_tracked = outcome == ENGINE_QUEUED && fanout->delivery.track != NULL;
    if (fanout->part != NULL && !is_tracked) {
        receipt_count(fanout->part, gyr_conn_handle(conn), err);
    }
}

/* There was no memory for the message at all. */
static void fanout_failed(struct fanout *fanout, uint32_t conn_index)
{
    struct gyr_conn *conn = engine_conn_at(fanout->core->core, conn_index);
    bool is_gone = engine_conn_may_send(conn) < 0;
    fanout_odd(fanout, conn, is_gone ? ENGINE_GONE : ENGINE_DROPPED_MEMORY);
}

static void fanout_count(struct fanout *fanout, struct room *room)
{
    struct stats *stats = fanout->core->stats;
    const struct engine_removed *removed = &fanout->delivery.removed;
    uint64_t not_queued = fanout->dropped + fanout->dropped_memory + fanout->closed;
    STATS_ADD(stats, room_queued, fanout->queued);
    if (room != NULL) {
        ROOM_ADD(room->counters, queued, fanout->queued);
    }
    if (LIKELY(not_queued == 0 && fanout->removed == 0)) {
        return;
    }
    STATS_ADD(stats, room_dropped, not_queued + fanout->removed);
    STATS_ADD(stats, room_closed, fanout->closed);
    if (room == NULL) {
        return;
    }
    struct room_counters *counters = room->counters;
    switch (fanout->delivery.policy) {
    case GYR_ROOM_QUEUE:
    case GYR_ROOM_DROP_OLDEST:
        ROOM_ADD(counters, dropped_full, fanout->dropped);
        break;
    case GYR_ROOM_DROP_NEWEST:
    case GYR_ROOM_CONFLATE:
        ROOM_ADD(counters, dropped_newest, fanout->dropped);
        break;
    case GYR_ROOM_CLOSE:
        break; /* it closes instead */
    }
    ROOM_ADD(counters, dropped_memory, fanout->dropped_memory);
    ROOM_ADD(counters, dropped_oldest, removed->oldest);
    ROOM_ADD(counters, conflated, removed->conflated);
    ROOM_ADD(counters, closed_slow, fanout->closed);
    ROOM_ADD(counters, dropped_close, fanout->closed + removed->closed);
}

/* ---- what the ring has ----------------------------------------------------------------------- */

bool deliver_work(struct hub_core *core)
{
    struct broadcast_ring *ring = core->hub->ring;
    uint32_t bell = broadcast_look(ring, core->index);
    for (uint32_t lanes = bell & ~BROADCAST_ROOM_BIT; lanes != 0; lanes &= lanes - 1) {
        /* What is claimed from here on rings the bell again, since it was cleared before. */
        deliver_drain(core, (unsigned)__builtin_ctz(lanes));
    }
    return (bell & BROADCAST_ROOM_BIT) != 0;
}

void deliver_drain(struct hub_core *core, unsigned lane)
{
    struct broadcast_ring *ring = core->hub->ring;
    uint64_t end = broadcast_tail(ring, lane);
    if (broadcast_cursor(ring, lane, core->index) < end) {
        (void)lane_take(core, lane, end); /* behind a hole the bell rings */
    }
}

void deliver_before(struct hub_core *core, const struct member *member, unsigned lane)
{
    if (member->seat_count == 0) {
        deliver_drain(core, lane);
        return;
    }
    for (unsigned i = 0; i < core->hub->config->broadcast_lanes; i++) {
        deliver_drain(core, i);
    }
}

/* Take what lies below `end`. False: it ended before a place that is not filled in yet. */
static bool lane_take(struct hub_core *core, unsigned lane, uint64_t end)
{
    struct broadcast_ring *ring = core->hub->ring;
    struct broadcast_entry entry;
    uint64_t position;
    enum broadcast_take taken = BROADCAST_ENTRY;
    uint64_t count = 0;
    while (broadcast_cursor(ring, lane, core->index) < end) {
        taken = broadcast_take(ring, lane, core->index, &entry, &position);
        if (taken != BROADCAST_ENTRY) {
            break;
        }
        message_deliver(core, entry.item, lane);
        if (++count % DONE_EVERY == 0) {
            broadcast_done(ring, lane, core->index);
        }
    }
    broadcast_done(ring, lane, core->index);
    STATS_ADD(core->stats, broadcast_taken, count);
    return taken != BROADCAST_HOLE;
}

/* An entry that is meant for this core: one reference is ours. */
static void message_deliver(struct hub_core *core, struct message *message, unsigned lane)
{
    const struct parcel *parcel = &message->parcel;
    struct receipt *receipt = parcel->receipt;
    struct receipt_part *part = receipt != NULL ? receipt_begin(receipt, core) : NULL;
    if (UNLIKELY(message->shared.size > core->hub->config->broadcast_copy_size)) {
        message_taken(message);
    }
    if (parcel->room_count == 1) {
        struct room *room = parcel_room(core, &parcel->rooms[0]);
        if (LIKELY(room != NULL)) {
            message_count(message, 0, room);
            deliver_room(core, parcel, 0, room, part);
        } else {
            engine_shared_unref(&message->shared);
        }
    } else if (parcel->room_count == 0) {
        deliver_all(core, parcel, part);
    } else {
        message_deliver_rooms(core, message, lane, part);
    }
    if (part != NULL) {
        receipt_end(part);
    }
}

/* What is kept of it from here on is counted by each core that keeps it (run_take_shared). */
static void message_taken(struct message *message)
{
    /* Partner: message_free, behind the last reference; ours is given up later. */
    if (atomic_fetch_sub_explicit(&message->takers, 1, memory_order_acq_rel) == 1) {
        message_size_give(message->hub, &message->hub->broadcast_size, message->size);
    }
}

/* With this lane it comes for the rooms that lie on it. Each delivery gives up a reference; ours
 * keeps the message until the last. */
static void message_deliver_rooms(struct hub_core *core, struct message *message, unsigned lane,
                                  struct receipt_part *part)
{
    const struct parcel *parcel = &message->parcel;
    for (size_t i = 0; i < parcel->room_count; i++) {
        struct room *room = parcel_room(core, &parcel->rooms[i]);
        if (room != NULL && room->shared->lane == lane) {
            message_count(message, i, room);
            atomic_fetch_add_explicit(&message->shared.count, 1, memory_order_relaxed);
            deliver_room(core, parcel, i, room, part);
        }
    }
    engine_shared_unref(&message->shared);
}

/* Somebody counts it as published to this room, once. */
static void message_count(struct message *message, size_t place, struct room *room)
{
    uint64_t bit = UINT64_C(1) << place;
    if ((atomic_load_explicit(&message->counted, memory_order_relaxed) & bit) == 0 &&
        (atomic_fetch_or_explicit(&message->counted, bit, memory_order_relaxed) & bit) == 0) {
        ROOM_ADD(room->counters, published, 1);
    }
}

void deliver_end(struct hub_core *core)
{
    struct broadcast_ring *ring = core->hub->ring;
    broadcast_leave(ring, &core->hub->everybody, core->index);
    for (unsigned lane = 0; lane < core->hub->config->broadcast_lanes; lane++) {
        /* Who has claimed a place for this core is about to fill it in; there is no other wait in
         * the hub, and this core has nothing else to do any more. */
        uint64_t end = broadcast_tail(ring, lane);
        while (!lane_take(core, lane, end)) {
            (void)sched_yield();
        }
    }
}
