/* SPDX-License-Identifier: MIT */
/* The rooms that have members on one core, and who they are. Plain memory of that core: a room is
 * found by its name in the core's own table, or by the index that the cores share, in an array. A
 * membership is two entries of 8 bytes that name each other's place: the member among those of the
 * room, the room among those of the connection. Both are dense; who leaves is replaced by the last.
 */
#ifndef HUB_ROOMS_H
#define HUB_ROOMS_H

#include "base/base.h"
#include "engine/engine.h"
#include "hub/registry.h"

struct hub_core;
struct member;
struct room_news;

/* A member of a room. */
struct room_member {
    uint32_t conn_index; /* engine_conn_at */
    uint32_t seat;       /* where the room stands among those of the connection */
};

/* A room of a connection. */
struct seat {
    uint32_t room_index; /* rooms_at */
    uint32_t position;   /* where the connection stands among the members */
};

/* A room that has members on this core. */
struct room {
    struct room_shared *shared;       /* borrowed from the registry */
    struct room_counters *counters;   /* borrowed from the registry: this core's */
    const struct gyr_room_rule *rule; /* borrowed from the hub; NULL: none fits */
    struct engine_fanout fanout;
    struct room_member *members; /* owned */
    uint32_t member_count;
    uint32_t member_capacity;
    uint32_t index;            /* of `shared` */
    uint32_t generation;       /* of `shared`, as long as this room is here */
    uint64_t floor;            /* what its lane has below this position is not for this core */
    uint32_t recover_count;    /* of hub/recovery.c: members that are known to hub/recover.c */
    uint32_t next;             /* index + 1 of the next in its bucket; 0: none */
    uint64_t hash;             /* of the name */
    struct room_news *emptied; /* owned; NULL: the service has no on_room */
    uint32_t name_size;
    char name[]; /* the end */
};

/* The tables of a core. */
struct rooms {
    struct room **by_index; /* owned; mapped: as many as there can be on all cores */
    uint32_t *buckets;      /* owned; mapped: index + 1 of the first, 0: none */
    uint32_t index_max;
    uint32_t bucket_mask;
    uint32_t count;
};

MUST_CHECK int rooms_init(struct rooms *rooms, uint32_t room_max);
/* No room is there any more. */
void rooms_deinit(struct rooms *rooms);

/* The room with this name that has members here, or NULL. */
struct room *rooms_find(const struct hub_core *core, struct gyr_span name, uint64_t hash);
/* The room that has this index here, or NULL. */
static inline struct room *rooms_at(const struct rooms *rooms, uint32_t index)
{
    return rooms->by_index[index];
}

static inline struct gyr_span room_name(const struct room *room)
{
    return (struct gyr_span){room->name, room->name_size};
}

/* Is the connection with this index a member of the room with that one? O(1). */
bool rooms_has(const struct hub_core *core, uint32_t room_index, uint32_t conn_index);
/* The index of the room of a connection that stands at this place, below member->seat_count. */
uint32_t rooms_of_member(const struct member *member, uint32_t place);

/* A connection joins a room; that it may has been checked. *joined is false if it was a member
 * already. GYR_ERR_LIMIT, GYR_ERR_MEMORY, what the backend says. */
MUST_CHECK int rooms_join(struct hub_core *core, struct gyr_conn *conn, struct gyr_span name,
                          uint64_t hash, struct room **room, bool *joined);
/* It leaves. The room is gone afterwards if it was the last. Nothing happens to who is no member.
 */
void rooms_leave(struct hub_core *core, struct room *room, uint32_t conn_index);
/* It has ended. */
void rooms_leave_all(struct hub_core *core, uint32_t conn_index);

#endif
