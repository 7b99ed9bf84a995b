/* SPDX-License-Identifier: MIT */
/* Publishing. Journey: hop 10. A message whose members are all on the publisher's core is queued to
 * them here and now, if the core has taken everything that was published before; then the ring is
 * not touched. Otherwise it is framed once, in one piece of memory with all that has to be known
 * about it, a place of the room's lane is claimed, and only then it is read which cores have
 * members. Those take it; the publisher's core does at once. */
#include "hub/publish.h"

#include "hub/deliver.h"
#include "hub/hub.h"
#include "hub/message.h"
#include "hub/receipt.h"

#define STALE_MAX 64 /* rooms of one name that may end while something is published to it */

/* What a publish knows already when its backend gives it back within the call. */
struct publish_context {
    struct room *room; /* the only one, if it has members on this core; or NULL */
    uint64_t hash;     /* of the only one */
};

/* The rooms of a message that there are. */
struct route {
    size_t count;
    uint32_t lanes;   /* a bit for each that they lie on */
    uint64_t counted; /* see struct message */
    bool is_local;    /* each has members on this core, and on no other */
    struct room_ref refs[MESSAGE_ROOMS_MAX];
};

static int publish_checked(struct hub *hub, struct hub_core *from,
                           const struct gyr_publish *publish);
static bool has_ended(const struct hub *hub, const struct hub_core *from);
static bool publish_is_valid(const struct hub *hub, const struct gyr_publish *publish);
static int publish_room(struct hub *hub, struct hub_core *from,
                        const struct gyr_publication *publication);
static int publish_rooms(struct hub *hub, struct hub_core *from,
                         const struct gyr_publication *publication);
static int publish_all(struct hub *hub, struct hub_core *from,
                       const struct gyr_publication *publication);
static void publish_here(struct hub_core *core, const struct gyr_publication *publication,
                         struct parcel_room *rooms, size_t room_count);
static int publish_ring(struct hub *hub, struct hub_core *from,
                        const struct gyr_publication *publication, const struct room_ref *ref,
                        bool is_member, bool *is_stale);
static void claims_cancel(struct hub *hub, struct broadcast_claim *claims, size_t count);
static int publish_lanes(struct hub *hub, struct hub_core *from,
                         const struct gyr_publication *publication, const struct route *route,
                         bool *is_stale);
static void commit(struct hub *hub, struct hub_core *from, const struct broadcast_claim *claim,
                   struct broadcast_entry entry);
static int lane_claim(struct hub *hub, struct hub_core *from, unsigned lane,
                      const struct broadcast_interest *interest, struct broadcast_claim *claim);

/* ---- what a service calls -------------------------------------------------------------------- */

int gyr_publish(struct gyr_core *core, struct gyr_span room, enum gyr_opcode opcode,
                struct gyr_span payload)
{
    struct gyr_publish publish = gyr_publish_default();
    publish.rooms = &room;
    publish.room_count = 1;
    publish.opcode = opcode;
    publish.payload = payload;
    struct hub_core *from = hub_of_core(core);
    return publish_checked(from->hub, from, &publish);
}

int gyr_publish_others(struct gyr_conn *conn, struct gyr_span room, enum gyr_opcode opcode,
                       struct gyr_span payload)
{
    struct gyr_handle except = gyr_conn_handle(conn);
    struct gyr_publish publish = gyr_publish_default();
    publish.rooms = &room;
    publish.room_count = 1;
    publish.opcode = opcode;
    publish.payload = payload;
    publish.except = &except;
    publish.except_count = 1;
    struct hub_core *from = hub_of_conn(conn);
    return publish_checked(from->hub, from, &publish);
}

/* What an older service does not know of is as by default. */
static struct gyr_publish publish_copy(const struct gyr_publish *publish)
{
    struct gyr_publish copy = gyr_publish_default();
    memcpy(&copy, publish, MIN(MAX(publish->size, sizeof(publish->size)), sizeof(copy)));
    return copy;
}

int gyr_publish_with(struct gyr_core *core, const struct gyr_publish *publish)
{
    struct gyr_publish copy = publish_copy(publish);
    struct hub_core *from = hub_of_core(core);
    return publish_checked(from->hub, from, &copy);
}

int gyr_server_publish(struct gyr_server *server, const struct gyr_publish *publish)
{
    if (!engine_server_is_made(server)) {
        return GYR_ERR_STATE;
    }
    struct gyr_publish copy = publish_copy(publish);
    return publish_checked(hub_of_server(server), NULL, &copy);
}

static int publish_checked(struct hub *hub, struct hub_core *from,
                           const struct gyr_publish *publish)
{
    if (!publish_is_valid(hub, publish)) {
        return GYR_ERR_ARGUMENT;
    }
    if (has_ended(hub, from)) {
        return GYR_ERR_CLOSED;
    }
    struct publish_context context = {0};
    const struct gyr_room_rule *rule = NULL;
    if (LIKELY(publish->room_count == 1)) {
        context.hash = hub_hash(hub, publish->rooms[0]);
        context.room = from != NULL ? rooms_find(from, publish->rooms[0], context.hash) : NULL;
        rule = context.room != NULL ? context.room->rule : hub_rule(hub, publish->rooms[0]);
    } else if (publish->room_count > 1) {
        rule = hub_rule(hub, publish->rooms[0]);
        for (size_t i = 0; i < publish->room_count; i++) {
            if (backend_keeps(&hub->backend, hub_rule(hub, publish->rooms[i]))) {
                return GYR_ERR_UNSUPPORTED;
            }
        }
    }
    struct receipt *receipt = NULL;
    if (publish->done != NULL) {
        int err = receipt_create(hub, from, publish, &receipt);
        if (err < 0) {
            return err;
        }
    }
    struct gyr_publication publication = {
        .size = sizeof(publication),
        .rooms = publish->rooms,
        .room_count = publish->room_count,
        .opcode = publish->opcode,
        .payload = publish->payload,
        .key = publish->key,
        .except = publish->except,
        .except_count = publish->except_count,
        .rule = rule,
        .request = receipt,
        .context = &context,
    };
    unsigned core_index = from != NULL ? from->index : GYR_BACKEND_NO_CORE;
    int err = backend_publish(&hub->backend, core_index, &publication);
    if (err < 0) {
        if (receipt != NULL) {
            receipt_discard(receipt);
        }
        return err;
    }
    return 0;
}

/* Is there nobody left to deliver to, or nobody to do it? */
static bool has_ended(const struct hub *hub, const struct hub_core *from)
{
    return from != NULL
               ? from->ended
               : atomic_load_explicit(&hub->cores_ended, memory_order_acquire) == hub->core_count;
}

static bool publish_is_valid(const struct hub *hub, const struct gyr_publish *publish)
{
    for (size_t i = 0; i < publish->room_count && i < MESSAGE_ROOMS_MAX; i++) {
        if (publish->rooms[i].size > GYR_ROOM_NAME_SIZE_MAX) {
            return false;
        }
    }
    return publish->size != 0 && publish->room_count <= MESSAGE_ROOMS_MAX &&
           publish->except_count <= MESSAGE_EXCEPT_MAX && publish->key.size <= MESSAGE_KEY_MAX &&
           publish->errors_max <= PUBLISH_ERRORS_MAX &&
           (publish->opcode == GYR_TEXT || publish->opcode == GYR_BINARY) &&
           publish->payload.size <= PUBLISH_SIZE_MAX &&
           publish->payload.size + MESSAGE_SIZE_MAX <= hub->config->broadcast_size_max &&
           (publish->done == NULL || publish->done_core_index < hub->core_count);
}

bool publish_is_ready(struct hub_core *core, bool has_room)
{
    bool is_ready = atomic_load_explicit(&core->ready, memory_order_seq_cst) &&
                    atomic_exchange_explicit(&core->ready, false, memory_order_seq_cst);
    if (has_room) {
        is_ready = is_ready || core->refused;
        core->refused = false;
        /* Partner: lane_claim. */
        if (core->index == 0 &&
            atomic_exchange_explicit(&core->hub->refused, false, memory_order_seq_cst)) {
            is_ready = true;
        }
    }
    return is_ready;
}

/* ---- from the backend to the members of this process ----------------------------------------- */

int publish_local(struct hub *hub, struct hub_core *from, const struct gyr_publication *publication)
{
    int err;
    if (UNLIKELY(has_ended(hub, from))) {
        err = GYR_ERR_CLOSED;
    } else if (LIKELY(publication->room_count == 1)) {
        err = publish_room(hub, from, publication);
    } else if (publication->room_count == 0) {
        err = publish_all(hub, from, publication);
    } else {
        err = publish_rooms(hub, from, publication);
    }
    return err;
}

void publish_failed(struct hub_core *from, void *request, int err)
{
    receipt_fail(request, err, from);
}

static void count_published(struct hub_core *from)
{
    if (from != NULL) {
        STATS_ADD(from->stats, published, 1);
    }
}

/* There is nobody to publish to. */
static int publish_nobody(struct hub_core *from, const struct gyr_publication *publication)
{
    count_published(from);
    if (from != NULL) {
        STATS_ADD(from->stats, bypassed, 1);
    }
    if (publication->request != NULL) {
        receipt_release(publication->request, 1, from);
    }
    return 0;
}

static int publish_room(struct hub *hub, struct hub_core *from,
                        const struct gyr_publication *publication)
{
    const struct publish_context *context = publication->context;
    struct gyr_span name = publication->rooms[0];
    uint64_t hash = context != NULL ? context->hash : hub_hash(hub, name);
    struct room *room = NULL;
    if (context != NULL) {
        room = context->room;
    } else if (from != NULL) {
        room = rooms_find(from, name, hash);
    }
    if (room != NULL) {
        if (LIKELY(broadcast_may_bypass(hub->ring, room->shared->lane, &room->shared->interest,
                                        from->index))) {
            struct parcel_room place = {room->index, room->generation, UINT64_MAX};
            ROOM_ADD(room->counters, published, 1);
            publish_here(from, publication, &place, 1);
            return 0;
        }
        struct room_ref own = {room->shared, room->generation};
        bool is_stale;
        return publish_ring(hub, from, publication, &own, true, &is_stale);
    }
    /* The room that was found may end, and one of its name begin, before there is a place. */
    struct room_ref ref;
    for (unsigned i = 0; i < STALE_MAX && registry_find(hub->registry, name, hash, &ref) &&
                         !broadcast_is_unwanted(hub->ring, &ref.shared->interest);
         i++) {
        bool is_stale;
        int err = publish_ring(hub, from, publication, &ref, false, &is_stale);
        if (!is_stale) {
            return err;
        }
    }
    return publish_nobody(from, publication);
}

/* Where it stands in a history, and how many entries of the ring it is. */
static void receipt_place(struct receipt *receipt, const struct gyr_publication *publication,
                          uint32_t count)
{
    if (receipt != NULL) {
        receipt->epoch = publication->epoch;
        receipt->offset = publication->offset;
        receipt_expect(receipt, count);
    }
}

/* Only members of this core have to get it, and it may be now. */
static void publish_here(struct hub_core *core, const struct gyr_publication *publication,
                         struct parcel_room *rooms, size_t room_count)
{
    struct parcel parcel = message_parcel(core->hub, publication);
    parcel.rooms = rooms;
    parcel.room_count = room_count;
    receipt_place(publication->request, publication, 0);
    count_published(core);
    STATS_ADD(core->stats, bypassed, 1);
    deliver_here(core, &parcel);
}

/* ---- through the ring ------------------------------------------------------------------------ */

/* To one room; what the ring carries is counted down by each core that takes it. *is_stale: the
 * room has ended meanwhile, and nothing was published. */
static int publish_ring(struct hub *hub, struct hub_core *from,
                        const struct gyr_publication *publication, const struct room_ref *ref,
                        bool is_member, bool *is_stale)
{
    *is_stale = false;
    struct receipt *receipt = publication->request;
    int err;
    struct message *message = message_create(hub, from, publication, ref, 1, &err);
    if (message == NULL) {
        return err;
    }
    struct broadcast_claim claim;
    unsigned lane = ref->shared->lane;
    err = lane_claim(hub, from, lane, &ref->shared->interest, &claim);
    if (err < 0) {
        message_free(&message->shared);
        return err;
    }
    if (!is_member && UNLIKELY(!registry_is_same(ref))) {
        claims_cancel(hub, &claim, 1); /* what was read is another room's interest */
        message_free(&message->shared);
        *is_stale = true;
        return 0;
    }
    struct broadcast_entry entry = {message, (uint64_t)ref->shared->index << 32 | ref->generation};
    struct parcel_room *place = message->parcel.rooms;
    place->position = claim.position;
    atomic_store_explicit(&message->counted, is_member, memory_order_relaxed);
    message_expect(message, claim.target_count, claim.target_count);
    receipt_place(receipt, publication, claim.target_count);
    bool is_wanted = claim.target_count != 0;
    commit(hub, from, &claim, entry);
    if (!is_wanted) {
        message_free(&message->shared);
    }
    count_published(from);
    if (from != NULL) {
        if (is_member) {
            struct room *room = rooms_at(&from->rooms, ref->shared->index);
            ROOM_ADD(room->counters, published, 1);
        }
        deliver_drain(from, lane);
    }
    if (receipt != NULL) {
        receipt_release(receipt, 1, from);
    }
    return 0;
}

/* To all WebSockets: through the lane that is for that. */
static int publish_all(struct hub *hub, struct hub_core *from,
                       const struct gyr_publication *publication)
{
    struct receipt *receipt = publication->request;
    if (from != NULL &&
        broadcast_may_bypass(hub->ring, PUBLISH_LANE_ALL, &hub->everybody, from->index)) {
        publish_here(from, publication, NULL, 0);
        return 0;
    }
    int err;
    struct message *message = message_create(hub, from, publication, NULL, 0, &err);
    if (message == NULL) {
        return err;
    }
    struct broadcast_claim claim;
    err = lane_claim(hub, from, PUBLISH_LANE_ALL, &hub->everybody, &claim);
    if (err < 0) {
        message_free(&message->shared);
        return err;
    }
    bool is_wanted = claim.target_count != 0;
    message_expect(message, claim.target_count, claim.target_count);
    receipt_place(receipt, publication, claim.target_count);
    commit(hub, from, &claim, (struct broadcast_entry){message, UINT64_MAX});
    if (!is_wanted) {
        message_free(&message->shared);
    }
    count_published(from);
    if (from != NULL) {
        deliver_drain(from, PUBLISH_LANE_ALL);
    }
    if (receipt != NULL) {
        receipt_release(receipt, 1, from);
    }
    return 0;
}

/* Is the room among those before it already? */
static bool route_has(const struct route *route, const struct room_shared *shared)
{
    for (size_t i = 0; i < route->count; i++) {
        if (route->refs[i].shared == shared) {
            return true;
        }
    }
    return false;
}

static void route_find(struct hub *hub, struct hub_core *from,
                       const struct gyr_publication *publication, struct route *route)
{
    route->is_local = from != NULL;
    for (size_t i = 0; i < publication->room_count; i++) {
        struct gyr_span name = publication->rooms[i];
        uint64_t hash = hub_hash(hub, name);
        const struct room *room = from != NULL ? rooms_find(from, name, hash) : NULL;
        struct room_ref ref;
        if (room != NULL) {
            ref = (struct room_ref){room->shared, room->generation};
        } else if (!registry_find(hub->registry, name, hash, &ref) ||
                   broadcast_is_unwanted(hub->ring, &ref.shared->interest)) {
            continue;
        }
        if (route_has(route, ref.shared)) {
            continue;
        }
        route->is_local =
            route->is_local && room != NULL &&
            broadcast_may_bypass(hub->ring, ref.shared->lane, &ref.shared->interest, from->index);
        route->counted |= (uint64_t)(room != NULL) << route->count;
        route->lanes |= UINT32_C(1) << ref.shared->lane;
        route->refs[route->count++] = ref;
    }
}

/* To several rooms. */
static int publish_rooms(struct hub *hub, struct hub_core *from,
                         const struct gyr_publication *publication)
{
    struct route route;
    bool is_stale = true;
    for (unsigned i = 0; i < STALE_MAX && is_stale; i++) {
        is_stale = false;
        route = (struct route){0};
        route_find(hub, from, publication, &route);
        if (route.count == 0) {
            return publish_nobody(from, publication);
        }
        int err = route.is_local ? 0 : publish_lanes(hub, from, publication, &route, &is_stale);
        if (err < 0) {
            return err;
        }
    }
    if (is_stale) {
        return publish_nobody(from, publication);
    }
    struct parcel_room places[MESSAGE_ROOMS_MAX];
    for (size_t i = 0; i < route.count; i++) {
        places[i] =
            (struct parcel_room){route.refs[i].shared->index, route.refs[i].generation, UINT64_MAX};
        if ((route.counted >> i & 1) != 0) {
            ROOM_ADD(rooms_at(&from->rooms, places[i].index)->counters, published, 1);
        }
    }
    if (route.is_local) {
        publish_here(from, publication, places, route.count);
    }
    return 0;
}

/* Take the claims back: their places are for nobody. */
static void claims_cancel(struct hub *hub, struct broadcast_claim *claims, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        claims[i].target_count = 0;
        broadcast_commit(hub->ring, &claims[i], (struct broadcast_entry){0});
    }
}

/* Claim a place in one lane, for all rooms of the route that lie on it. */
static int lane_claim_rooms(struct hub *hub, struct hub_core *from, const struct route *route,
                            unsigned lane, struct broadcast_claim *claim,
                            struct parcel_room *places)
{
    bool is_claimed = false;
    for (size_t i = 0; i < route->count; i++) {
        const struct room_shared *shared = route->refs[i].shared;
        if (shared->lane != lane) {
            continue;
        }
        if (is_claimed) {
            broadcast_claim_also(hub->ring, &shared->interest, claim);
        } else {
            int err = lane_claim(hub, from, lane, &shared->interest, claim);
            if (err < 0) {
                return err;
            }
            is_claimed = true;
        }
        places[i].position = claim->position;
    }
    return 0;
}

/* The same in each lane, from the lowest on. */
static int claims_make(struct hub *hub, struct hub_core *from, const struct route *route,
                       struct broadcast_claim *claims, struct parcel_room *places)
{
    size_t count = 0;
    for (uint32_t lanes = route->lanes; lanes != 0; lanes &= lanes - 1) {
        unsigned lane = (unsigned)__builtin_ctz(lanes);
        int err = lane_claim_rooms(hub, from, route, lane, &claims[count], places);
        if (err < 0) {
            claims_cancel(hub, claims, count);
            return err;
        }
        count++;
    }
    return 0;
}

/* Has one of its rooms ended since it was found? Those with members here have not. */
static bool route_is_stale(const struct route *route)
{
    for (size_t i = 0; i < route->count; i++) {
        if (!registry_is_same(&route->refs[i])) {
            return true;
        }
    }
    return false;
}

/* *is_stale: as publish_ring. */
static int publish_lanes(struct hub *hub, struct hub_core *from,
                         const struct gyr_publication *publication, const struct route *route,
                         bool *is_stale)
{
    struct receipt *receipt = publication->request;
    size_t lane_count = (size_t)__builtin_popcount(route->lanes);
    struct broadcast_claim *claims = memory_alloc(lane_count * sizeof(*claims));
    if (claims == NULL) {
        return GYR_ERR_MEMORY;
    }
    int err;
    struct message *message =
        message_create(hub, from, publication, route->refs, route->count, &err);
    if (message == NULL) {
        memory_free(claims);
        return err;
    }
    struct parcel_room *places = message->parcel.rooms;
    err = claims_make(hub, from, route, claims, places);
    if (err == 0 && UNLIKELY(route_is_stale(route))) {
        claims_cancel(hub, claims, lane_count);
        *is_stale = true;
    }
    if (err < 0 || *is_stale) {
        message_free(&message->shared);
        memory_free(claims);
        return err;
    }
    uint32_t target_count = 0;
    for (size_t i = 0; i < lane_count; i++) {
        target_count += claims[i].target_count;
    }
    atomic_store_explicit(&message->counted, route->counted, memory_order_relaxed);
    message_expect(message, target_count, target_count + 1);
    receipt_place(receipt, publication, target_count);
    for (size_t i = 0; i < lane_count; i++) {
        commit(hub, from, &claims[i], (struct broadcast_entry){message, UINT64_MAX});
    }
    engine_shared_unref(&message->shared);
    memory_free(claims);
    count_published(from);
    for (uint32_t lanes = from != NULL ? route->lanes : 0; lanes != 0; lanes &= lanes - 1) {
        deliver_drain(from, (unsigned)__builtin_ctz(lanes));
    }
    if (receipt != NULL) {
        receipt_release(receipt, 1, from);
    }
    return 0;
}

/* What a core publishes in one turn is announced to the others at its end, together: who is woken
 * by the first of many messages would send each alone. */
static void commit(struct hub *hub, struct hub_core *from, const struct broadcast_claim *claim,
                   struct broadcast_entry entry)
{
    if (from == NULL) {
        broadcast_commit(hub->ring, claim, entry);
    } else {
        broadcast_commit_later(hub->ring, claim, entry);
        engine_core_due(from->core);
    }
}

static int lane_claim(struct hub *hub, struct hub_core *from, unsigned lane,
                      const struct broadcast_interest *interest, struct broadcast_claim *claim)
{
    unsigned held_by = BROADCAST_NOBODY;
    unsigned index = from != NULL ? from->index : BROADCAST_NOBODY;
    int err = broadcast_claim(hub->ring, lane, index, interest, claim, &held_by);
    if (LIKELY(err == 0)) {
        return 0;
    }
    if (from == NULL) {
        /* Partner: publish_is_ready, which looks here when there is room again: that is told
         * after the claim that is refused from here on. */
        atomic_store_explicit(&hub->refused, true, memory_order_seq_cst);
    } else {
        broadcast_ring_owed(hub->ring, from->index);
        deliver_drain(from, lane); /* perhaps it is this core that is behind */
    }
    err = broadcast_claim(hub->ring, lane, index, interest, claim, &held_by);
    if (err < 0) {
        message_refused(hub, from);
        if (from != NULL) {
            from->refused = true;
        }
        if (held_by != BROADCAST_NOBODY) {
            atomic_fetch_add_explicit(&hub->cores[held_by]->held, 1, memory_order_relaxed);
        }
    }
    return err;
}
