/* SPDX-License-Identifier: MIT */
/* Joining and leaving, on one core. A room is made with its first member here: entered in the
 * registry, under a lock that is shared with few others, and then announced to the broadcast ring;
 * and unmade with its last. All that lies between is plain memory of the core.
 *
 * The rooms of a connection that has more than a few are looked up in a table of places beside
 * them, of 16 bits each as long as those are enough. */
#include "hub/rooms.h"

#include "hub/attendance.h"
#include "hub/deliver.h"
#include "hub/hub.h"
#include "hub/recovery.h"

#define BUCKETS_MIN     64U
#define BUCKETS_MAX     (1U << 22)
#define MEMBERS_MIN     4U
#define SEATS_MIN       4U
#define SEATS_SCAN_MAX  16U    /* so many are compared one by one */
#define SEATS_SHORT_MAX 65535U /* places below fit in 16 bits */

static int room_create(struct hub_core *core, struct gyr_span name, uint64_t hash,
                       struct room **room);
static void room_destroy(struct hub_core *core, struct room *room);
static void room_link(struct rooms *rooms, struct room *room);
static void room_unlink(struct rooms *rooms, struct room *room);
static int members_reserve(struct hub_core *core, struct room *room);
static int seats_reserve(struct hub_core *core, struct member *member);
static void seats_free(struct hub_core *core, struct member *member);

/* ---- tables ---------------------------------------------------------------------------------- */

int rooms_init(struct rooms *rooms, uint32_t room_max)
{
    uint32_t bucket_count = BUCKETS_MIN;
    while (bucket_count < room_max && bucket_count < BUCKETS_MAX) {
        bucket_count *= 2;
    }
    *rooms = (struct rooms){
        .by_index = memory_map(room_max * sizeof(struct room *)),
        .buckets = memory_map(bucket_count * sizeof(uint32_t)),
        .index_max = room_max,
        .bucket_mask = bucket_count - 1,
    };
    return rooms->by_index == NULL || rooms->buckets == NULL ? GYR_ERR_MEMORY : 0;
}

void rooms_deinit(struct rooms *rooms)
{
    ASSERT(rooms->count == 0);
    memory_unmap((void *)rooms->by_index, rooms->index_max * sizeof(struct room *));
    memory_unmap(rooms->buckets, (rooms->bucket_mask + 1) * sizeof(uint32_t));
    *rooms = (struct rooms){0};
}

struct room *rooms_find(const struct hub_core *core, struct gyr_span name, uint64_t hash)
{
    const struct rooms *rooms = &core->rooms;
    uint32_t at = rooms->buckets[hash & rooms->bucket_mask];
    while (at != 0) {
        struct room *room = rooms->by_index[at - 1];
        if (room->hash == hash && room->name_size == name.size &&
            (name.size == 0 || memcmp(room->name, name.ptr, name.size) == 0)) {
            return room;
        }
        at = room->next;
    }
    return NULL;
}

static void room_link(struct rooms *rooms, struct room *room)
{
    uint32_t *bucket = &rooms->buckets[room->hash & rooms->bucket_mask];
    ASSERT(rooms->by_index[room->index] == NULL);
    room->next = *bucket;
    *bucket = room->index + 1;
    rooms->by_index[room->index] = room;
    rooms->count++;
}

static void room_unlink(struct rooms *rooms, struct room *room)
{
    uint32_t *link = &rooms->buckets[room->hash & rooms->bucket_mask];
    while (*link != room->index + 1) {
        ASSERT(*link != 0);
        link = &rooms->by_index[*link - 1]->next;
    }
    *link = room->next;
    rooms->by_index[room->index] = NULL;
    rooms->count--;
}

/* ---- the rooms of a connection --------------------------------------------------------------- */

/* Places beside the seats: open addressing, a power of two, at most three quarters taken. */
static uint32_t index_count(uint32_t seat_capacity)
{
    if (seat_capacity <= SEATS_SCAN_MAX) {
        return 0;
    }
    uint32_t count = SEATS_SCAN_MAX * 2;
    while (count < seat_capacity + seat_capacity / 3) {
        count *= 2;
    }
    return count;
}

static size_t seats_size(uint32_t capacity)
{
    size_t place_size = capacity <= SEATS_SHORT_MAX ? sizeof(uint16_t) : sizeof(uint32_t);
    return capacity * sizeof(struct seat) + index_count(capacity) * place_size;
}

static struct seat *seats_of(struct member *member)
{
    return member->seat_capacity == 0 ? &member->seats.one : member->seats.many;
}

/* One more than a place among the seats; 0: free. */
static uint32_t index_get(const struct member *member, uint32_t slot)
{
    const void *places = member->seats.many + member->seat_capacity;
    return member->seat_capacity <= SEATS_SHORT_MAX ? ((const uint16_t *)places)[slot]
                                                    : ((const uint32_t *)places)[slot];
}

static void index_set(struct member *member, uint32_t slot, uint32_t place)
{
    void *places = member->seats.many + member->seat_capacity;
    if (member->seat_capacity <= SEATS_SHORT_MAX) {
        ((uint16_t *)places)[slot] = (uint16_t)place;
    } else {
        ((uint32_t *)places)[slot] = place;
    }
}

/* Room indexes are dense and small: spread them. A peer does not choose them. */
static uint32_t index_first(uint32_t room_index, uint32_t mask)
{
    return (uint32_t)((room_index * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & mask;
}

/* Where the room stands in the index, or the free slot where it would. */
static uint32_t index_find(const struct member *member, uint32_t room_index)
{
    uint32_t mask = index_count(member->seat_capacity) - 1;
    uint32_t slot = index_first(room_index, mask);
    for (uint32_t place; (place = index_get(member, slot)) != 0; slot = (slot + 1) & mask) {
        if (member->seats.many[place - 1].room_index == room_index) {
            break;
        }
    }
    return slot;
}

/* Free a slot, and move up what would not be found behind it any more. */
static void index_free(struct member *member, uint32_t gap)
{
    uint32_t mask = index_count(member->seat_capacity) - 1;
    uint32_t place;
    for (uint32_t at = (gap + 1) & mask; (place = index_get(member, at)) != 0;
         at = (at + 1) & mask) {
        uint32_t first = index_first(member->seats.many[place - 1].room_index, mask);
        if (((at - first) & mask) >= ((at - gap) & mask)) {
            index_set(member, gap, place);
            gap = at;
        }
    }
    index_set(member, gap, 0);
}

/* The place of a room among the seats, or UINT32_MAX. */
static uint32_t seat_find(struct member *member, uint32_t room_index)
{
    if (member->seat_capacity > SEATS_SCAN_MAX) {
        return index_get(member, index_find(member, room_index)) - 1;
    }
    const struct seat *seats = seats_of(member);
    for (uint32_t i = 0; i < member->seat_count; i++) {
        if (seats[i].room_index == room_index) {
            return i;
        }
    }
    return UINT32_MAX;
}

bool rooms_has(const struct hub_core *core, uint32_t room_index, uint32_t conn_index)
{
    return seat_find(&core->members[conn_index], room_index) != UINT32_MAX;
}

uint32_t rooms_of_member(const struct member *member, uint32_t place)
{
    ASSERT(place < member->seat_count);
    return member->seat_capacity == 0 ? member->seats.one.room_index
                                      : member->seats.many[place].room_index;
}

/* Make room for one more. What was given once is kept until the connection has no room any more. */
static int seats_reserve(struct hub_core *core, struct member *member)
{
    uint32_t old_capacity = member->seat_capacity;
    if (member->seat_count < MAX(old_capacity, 1U)) {
        return 0;
    }
    uint32_t capacity = MAX(old_capacity + old_capacity / 2, SEATS_MIN);
    struct seat *seats = engine_core_alloc(core->core, seats_size(capacity));
    if (seats == NULL) {
        return GYR_ERR_MEMORY;
    }
    memcpy(seats, seats_of(member), member->seat_count * sizeof(*seats));
    if (old_capacity != 0) {
        engine_core_free(core->core, member->seats.many, seats_size(old_capacity));
    }
    member->seats.many = seats;
    member->seat_capacity = capacity;
    if (capacity > SEATS_SCAN_MAX) {
        memset(seats + capacity, 0, seats_size(capacity) - capacity * sizeof(*seats));
        for (uint32_t i = 0; i < member->seat_count; i++) {
            index_set(member, index_find(member, seats[i].room_index), i + 1);
        }
    }
    return 0;
}

static void seats_free(struct hub_core *core, struct member *member)
{
    if (member->seat_capacity != 0) {
        engine_core_free(core->core, member->seats.many, seats_size(member->seat_capacity));
        member->seats.many = NULL;
        member->seat_capacity = 0;
    }
}

/* Space was reserved. */
static uint32_t seat_add(struct member *member, struct seat seat)
{
    uint32_t place = member->seat_count++;
    seats_of(member)[place] = seat;
    if (member->seat_capacity > SEATS_SCAN_MAX) {
        index_set(member, index_find(member, seat.room_index), place + 1);
    }
    return place;
}

/* The last one takes its place; whose member entry has to know. */
static void seat_remove(struct hub_core *core, struct member *member, uint32_t place)
{
    struct seat *seats = seats_of(member);
    uint32_t last = --member->seat_count;
    bool is_indexed = member->seat_capacity > SEATS_SCAN_MAX;
    if (is_indexed) {
        index_free(member, index_find(member, seats[place].room_index));
    }
    if (place != last) {
        if (is_indexed) {
            index_set(member, index_find(member, seats[last].room_index), place + 1);
        }
        seats[place] = seats[last];
        rooms_at(&core->rooms, seats[place].room_index)->members[seats[place].position].seat =
            place;
    }
    if (last == 0) {
        seats_free(core, member);
    }
}

/* ---- rooms ----------------------------------------------------------------------------------- */

static size_t room_size(size_t name_size)
{
    return sizeof(struct room) + name_size;
}

static int room_create(struct hub_core *core, struct gyr_span name, uint64_t hash,
                       struct room **room_out)
{
    struct room *room = engine_core_alloc(core->core, room_size(name.size));
    struct room_news *created = NULL;
    if (room == NULL) {
        return GYR_ERR_MEMORY;
    }
    *room = (struct room){.hash = hash, .name_size = (uint32_t)name.size};
    memcpy(room->name, name.ptr, name.size);
    int err = members_reserve(core, room);
    if (err == 0) {
        err = hub_news_create(core, name, GYR_ROOM_CREATED, &created);
    }
    if (err == 0) {
        err = hub_news_create(core, name, GYR_ROOM_EMPTIED, &room->emptied);
    }
    struct registry_entered entered;
    if (err == 0) {
        err = registry_enter(core->hub->registry, core->index, name, hash, &entered);
    }
    if (err != 0) {
        hub_news_free(core, room->emptied);
        hub_news_free(core, created);
        engine_core_free(core->core, room->members, room->member_capacity * sizeof(*room->members));
        engine_core_free(core->core, room, room_size(name.size));
        return err;
    }
    hub_news_add(core, created, entered.event_number);
    room->shared = entered.ref.shared;
    room->index = room->shared->index;
    room->generation = entered.ref.generation;
    room->rule = room->shared->rule;
    room->counters = entered.counters;
    room->floor =
        broadcast_join(core->hub->ring, room->shared->lane, &room->shared->interest, core->index);
    room_link(&core->rooms, room);
    *room_out = room;
    return 0;
}

/* What the ring still has for it will find no room, or one whose floor is above. */
static void room_destroy(struct hub_core *core, struct room *room)
{
    engine_fanout_end(&room->fanout);
    room_unlink(&core->rooms, room);
    broadcast_leave(core->hub->ring, &room->shared->interest, core->index);
    uint64_t event_number = registry_exit(core->hub->registry, core->index, room->shared);
    hub_news_add(core, room->emptied, event_number);
    engine_core_free(core->core, room->members, room->member_capacity * sizeof(*room->members));
    engine_core_free(core->core, room, room_size(room->name_size));
}

static int members_reserve(struct hub_core *core, struct room *room)
{
    uint32_t old_capacity = room->member_capacity;
    if (room->member_count < old_capacity) {
        return 0;
    }
    uint32_t capacity = MAX(old_capacity + old_capacity / 2, MEMBERS_MIN);
    struct room_member *members =
        engine_core_alloc(core->core, capacity * sizeof(struct room_member));
    if (members == NULL) {
        return GYR_ERR_MEMORY;
    }
    if (old_capacity != 0) {
        memcpy(members, room->members, room->member_count * sizeof(*members));
        engine_core_free(core->core, room->members, old_capacity * sizeof(*members));
    }
    room->members = members;
    room->member_capacity = capacity;
    return 0;
}

/* ---- joining and leaving --------------------------------------------------------------------- */

int rooms_join(struct hub_core *core, struct gyr_conn *conn, struct gyr_span name, uint64_t hash,
               struct room **room_out, bool *joined)
{
    uint32_t conn_index = engine_conn_index(conn);
    struct member *member = &core->members[conn_index];
    struct room *room = rooms_find(core, name, hash);
    *joined = room == NULL || seat_find(member, room->index) == UINT32_MAX;
    *room_out = room;
    if (!*joined) {
        return 0;
    }
    if (member->seat_count >= engine_core_config(core->core)->conn_rooms_max) {
        return GYR_ERR_LIMIT;
    }
    int err = seats_reserve(core, member);
    if (err == 0) {
        err = room == NULL ? room_create(core, name, hash, &room) : members_reserve(core, room);
    }
    if (err != 0) {
        if (member->seat_count == 0) {
            seats_free(core, member);
        }
        return err;
    }
    err = attendance_join(core, room, conn_index);
    if (err != 0) {
        if (room->member_count == 0) {
            room_destroy(core, room);
        }
        if (member->seat_count == 0) {
            seats_free(core, member);
        }
        return err;
    }
    deliver_before(core, member, room->shared->lane);
    engine_conn_watch(conn);
    uint32_t position = room->member_count++;
    uint32_t seat = seat_add(member, (struct seat){room->index, position});
    room->members[position] = (struct room_member){conn_index, seat};
    ROOM_ADD(room->counters, members, 1);
    STATS_ADD(core->stats, memberships, 1);
    *room_out = room;
    return 0;
}

void rooms_leave(struct hub_core *core, struct room *room, uint32_t conn_index)
{
    struct member *member = &core->members[conn_index];
    uint32_t place = seat_find(member, room->index);
    if (place == UINT32_MAX) {
        return;
    }
    attendance_leave(core, room, conn_index);
    if (UNLIKELY(room->recover_count != 0)) {
        recovery_leave(core, room, conn_index);
    }
    uint32_t position = seats_of(member)[place].position;
    uint32_t last = --room->member_count;
    if (position != last) {
        struct room_member moved = room->members[last];
        room->members[position] = moved;
        seats_of(&core->members[moved.conn_index])[moved.seat].position = position;
    }
    seat_remove(core, member, place);
    ROOM_ADD(room->counters, members, -1);
    STATS_ADD(core->stats, memberships, -1);
    if (last == 0) {
        room_destroy(core, room);
    }
}

void rooms_leave_all(struct hub_core *core, uint32_t conn_index)
{
    struct member *member = &core->members[conn_index];
    while (member->seat_count != 0) {
        uint32_t room_index = rooms_of_member(member, member->seat_count - 1);
        rooms_leave(core, rooms_at(&core->rooms, room_index), conn_index);
    }
}
