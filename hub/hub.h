/* SPDX-License-Identifier: MIT */
/* The hub: who is connected and who hears what. It is a layer above the engine (struct engine_layer
 * in engine/engine.h): one struct hub for a server, one struct hub_core for each of its cores.
 *
 *   hub.c        begins and ends with the server and its cores; rules; events of rooms
 *   registry.c   the rooms of all cores: name -> struct room_shared
 *   rooms.c      rooms and members of one core
 *   publish.c    one message to many: local fan-out, the broadcast ring, completions
 *   names.c      text ids
 *   handles.c    calls on connections by handle or text id, from any thread
 *   snapshot.c   snapshots and walks
 *   backend*.c   the seam to other nodes, and what stands there when there are none */
#ifndef HUB_HUB_H
#define HUB_HUB_H

#include "base/base.h"
#include "base/hash.h"
#include "engine/engine.h"
#include "gyr/gyr.h"
#include "hub/registry.h"
#include "hub/rooms.h"
#include "hub/snapshot.h"

#include <stdalign.h>
#include <stdatomic.h>

struct completion;
struct gyr_backend;
struct name;  /* hub/names.h: the text id of one connection */
struct names; /* hub/names.h */

/* What the hub keeps of a connection, by engine_conn_index. Zero is a connection that has nothing
 * here; conn_end makes it zero again before the slot is used by another. */
struct member {
    struct name *name; /* owned by hub/names.c; NULL: no text id */
    union {
        struct seat seat;    /* seat_capacity is 0: the one room it may have, if seat_count is 1 */
        struct seats *seats; /* owned; otherwise: on the core's heap (hub/rooms.c) */
    } rooms;
    uint64_t dropped; /* messages of rooms that it was not given; gyr_take_dropped */
    uint32_t seat_count;
    uint32_t seat_capacity;
};
static_assert(sizeof(struct member) == 32, "two share a cache line, and none has two");

/* What has happened to a room, and on_room has not been told yet. */
struct room_news {
    struct room_news *next;
    enum gyr_room_event event;
    uint64_t event_number;
    uint32_t name_size;
    uint8_t name[];
};

/* Of one core. Its own thread only, but for the last part. */
struct hub_core {
    struct hub *hub;       /* borrowed */
    struct gyr_core *core; /* borrowed; NULL before its start */
    struct stats *stats;   /* borrowed: engine_core_stats */
    unsigned index;
    uint32_t conns_max;     /* engine_core_conns_max */
    struct member *members; /* owned; mapped: conns_max */
    struct rooms rooms;
    struct room_news *news_first; /* owned; for on_room, in their order */
    struct room_news *news_last;
    uint64_t all_floor[BROADCAST_LANES_MAX]; /* of hub->everybody */
    bool ended;                              /* core_stop has been called */
    bool refused; /* one of its publishes was: on_publish_ready is owed */

    /* Any thread. */
    alignas(CACHE_LINE) _Atomic(struct completion *) completed; /* for `done` on this core */
    struct snapshots snapshots;
    _Atomic uint64_t held; /* publishes that others could not make because of this core */
};

/* Of a server. */
struct hub {
    struct gyr_server *server; /* borrowed; NULL in tests without one */
    const struct gyr_config *config;
    const struct gyr_service *service;
    unsigned core_count;
    unsigned lane_count;
    struct hash_secret secret; /* of all hashes of names */
    struct room_rule *rules;   /* owned */
    size_t rule_count;
    struct hub_core **cores;           /* owned; each on lines of its own */
    struct broadcast_ring *ring;       /* owned */
    struct registry *registry;         /* owned */
    struct names *names;               /* owned; hub/names.h */
    const struct gyr_backend *backend; /* borrowed; never NULL once made */
    void *backend_state;               /* owned by the backend */

    /* Any thread. */
    alignas(CACHE_LINE) _Atomic uint64_t broadcast_size; /* bytes of messages on their way */
    _Atomic uint32_t cores_live;  /* cores that have started and have not ended */
    _Atomic bool size_refused;    /* somebody waits for broadcast_size to fall */
    _Atomic bool foreign_refused; /* a thread that is no core was: core 0 owes on_publish_ready */
};

/* The layer itself, for engine_server_create and for tests that make a core without a server. */
extern const struct engine_layer hub_layer;

/* Any thread. */
static inline struct hub *hub_of_server(const struct gyr_server *server)
{
    return engine_server_state(server);
}
/* The core's own thread, between core_start and core_stop. */
static inline struct hub_core *hub_of_core(const struct gyr_core *core)
{
    return ((struct hub *)engine_core_state(core))->cores[gyr_core_index(core)];
}
static inline struct hub_core *hub_of_conn(const struct gyr_conn *conn)
{
    return hub_of_core(gyr_conn_core(conn));
}
static inline struct member *hub_member(struct hub_core *core, const struct gyr_conn *conn)
{
    return &core->members[engine_conn_index(conn)];
}

/* The hash of a name or id, with the hub's secret. Any thread. */
static inline uint64_t hub_hash(const struct hub *hub, struct gyr_span name)
{
    return hash_bytes(&hub->secret, name.ptr, name.size);
}

/* The rule that holds for a room, or NULL. Any thread. */
const struct room_rule *hub_rule(const struct hub *hub, struct gyr_span name);

/* on_room will be told, once the callback that did it has returned. */
void hub_room_event(struct hub_core *core, struct gyr_span name, enum gyr_room_event event,
                    uint64_t event_number);

#endif
