/* SPDX-License-Identifier: MIT */
/* The rooms that have members on one core, and who they are. Plain memory of that core: a room is
 * found by its name in the core's own table, or by the index that the cores share, in an array. A
 * membership is two entries of 8 bytes that name each other's place: the member in the room's
 * array, the room in the connection's. Both are dense; who leaves is replaced by the last. */
#ifndef HUB_ROOMS_H
#define HUB_ROOMS_H

#include "base/base.h"
#include "engine/engine.h"
#include "hub/registry.h"

struct hub_core;
struct member;
struct recover; /* hub/recover.h */

/* A member of a room. */
struct room_member {
    uint32_t conn_index; /* engine_conn_at; ROOM_MEMBER_HELD may be added */
    uint32_t seat;       /* where the room stands among those of the connection */
};

/* It joined by gyr_join_since and has not got what it missed: what is published meanwhile is held
 * for it (hub/recover.h), and not delivered. */
#define ROOM_MEMBER_HELD (1U << 31)

/* A room of a connection. */
struct seat {
    uint32_t room_index; /* rooms_at */
    uint32_t position;   /* where the connection stands among the members */
};

/* A room that has members on this core. */
struct room {
    struct room_shared *shared; /* borrowed from the registry; its room_shared_ fields are stable */
    struct room_counters *counters; /* borrowed from the registry; this core's */
    uint64_t hash;
    uint64_t floor;      /* entries of its lane below this position are not for this core */
    uint32_t index;      /* shared->index */
    uint32_t generation; /* of `shared`, while this room is here */
    uint32_t member_count;
    uint32_t member_capacity;
    struct room_member *members; /* owned; on the core's heap */
    struct engine_fanout fanout;
    struct room *next;       /* in the bucket of the core's table */
    struct recover *recover; /* owned by hub/recover.c; NULL: nobody's messages are held */
    uint32_t name_size;
    uint8_t name[]; /* the end */
};

/* Tables of a core; zero before rooms_init. */
struct rooms {
    struct room **by_index; /* owned; mapped: config->rooms_max */
    struct room **buckets;  /* owned; a power of two */
    uint32_t bucket_count;
    uint32_t count;
    uint32_t index_max; /* config->rooms_max */
};

MUST_CHECK int rooms_init(struct hub_core *core);
/* Nobody is a member any more. */
void rooms_deinit(struct hub_core *core);

/* The room with this name that has members here, or NULL. */
struct room *rooms_find(const struct hub_core *core, struct gyr_span name, uint64_t hash);
/* The room that has this index here, or NULL. */
static inline struct room *rooms_at(const struct rooms *rooms, uint32_t index)
{
    return rooms->by_index[index];
}

/* Is it a member? Where it stands in the room is *position. */
bool rooms_has(const struct hub_core *core, const struct room *room, uint32_t conn_index,
               uint32_t *position);

/* What gyr_join does, and the room it has joined. `held`: nothing is delivered to it before
 * rooms_release (gyr_join_since). *joined: it was no member. */
MUST_CHECK int rooms_join(struct hub_core *core, struct gyr_conn *conn, struct gyr_span name,
                          bool held, struct room **room, bool *joined);
void rooms_release(struct hub_core *core, struct room *room, uint32_t conn_index);
/* The room may be gone afterwards. */
void rooms_leave(struct hub_core *core, struct room *room, uint32_t conn_index);
/* The connection ends: it leaves all. */
void rooms_leave_all(struct hub_core *core, uint32_t conn_index);

#endif
