/* SPDX-License-Identifier: MIT */
/* The hub: who is connected and who hears what. It is a layer above the engine (struct engine_layer
 * in engine/engine.h): one struct hub for a server, one struct hub_core for each of its cores.
 *
 *   hub.c         begins and ends with the server and its cores; rules
 *   members.c     gyr_join and its kin; events of rooms
 *   registry.c    the rooms of all cores: name -> struct room_shared
 *   rooms.c       rooms and members of one core
 *   message.c     what the broadcast ring carries
 *   publish.c     gyr_publish and its kin; what goes into the broadcast ring
 *   deliver.c     what comes out of it; one message to the members on one core
 *   receipt.c  what became of a message, for who asks
 *   names.c       text ids
 *   handles.c     calls on connections by handle or text id, from any thread
 *   snapshot.c    snapshots and walks
 *   worker*.c, crew.c  what runs beside the connections
 *   backend*.c    the seam to other nodes, and what stands there when there are none */
#ifndef HUB_HUB_H
#define HUB_HUB_H

#include "base/base.h"
#include "base/hash.h"
#include "base/list.h"
#include "engine/engine.h"
#include "gyr/gyr.h"
#include "hub/backend.h"
#include "hub/registry.h"
#include "hub/rooms.h"
#include "hub/snapshot.h"
#include "hub/worker.h"

#include <stdalign.h>
#include <stdatomic.h>

struct receipt;
struct name;  /* hub/names.h: the text id of one connection */
struct names; /* hub/names.h */

/* What the hub keeps of a connection, by engine_conn_index. Zero is a connection that has nothing
 * here; conn_end makes it zero again before the slot is used by another. */
struct member {
    struct name *name; /* owned by hub/names.c; NULL: no text id */
    union {
        struct seat one;   /* seat_capacity is 0: the only room, if seat_count is 1 */
        struct seat *many; /* owned; otherwise */
    } seats;
    uint64_t dropped; /* messages of rooms that it was not given; gyr_take_dropped */
    uint32_t seat_count;
    uint32_t seat_capacity;
};
static_assert(sizeof(struct member) == 32, "two to a cache line, and none across two");

/* What has happened to a room, for on_room. */
struct room_news {
    struct room_news *next;
    uint64_t event_number;
    enum gyr_room_event event;
    uint32_t name_size;
    char name[];
};

/* Of one core. Its own thread only, but for the last part. */
struct hub_core {
    struct hub *hub;       /* borrowed */
    struct gyr_core *core; /* borrowed; NULL before its start */
    struct stats *stats;   /* borrowed: engine_core_stats */
    unsigned index;
    uint32_t conns_max;
    struct member *members; /* owned; mapped: conns_max */
    struct rooms rooms;
    struct room_news *news_first; /* owned; in the order of their events */
    struct room_news *news_last;
    struct recover *recover;   /* owned; hub/recovery.c */
    struct list cancel_next;   /* struct receipt_part: to be taken back in the next turn ... */
    struct list cancel_now;    /* ... and in this one */
    struct list worker_timers; /* struct gyr_worker_run that tick here */
    bool refused; /* a full lane refused a publish of this core: on_publish_ready is owed */
    bool ended;   /* or not begun: nothing can be published here */

    /* Any thread. */
    /* Owned; `done` is to be called: pushed by receipt_release, taken by receipts_tell. */
    alignas(CACHE_LINE) _Atomic(struct receipt *) completed;
    _Atomic uint64_t held;       /* messages that others could not publish because of this core:
                                    added by lane_claim, taken by core_count; a sum */
    _Atomic bool ready;          /* on_publish_ready is to be called: set by hub_ready, taken by
                                    publish_is_ready */
    _Atomic uint32_t roll_calls; /* of gyr_presence, that were not answered yet; a sum */
    struct snapshots snapshots;
};

/* Of a server. */
struct hub {
    struct gyr_server *server; /* borrowed; NULL in tests without one */
    const struct gyr_config *config;
    const struct gyr_service *service;
    unsigned core_count;
    struct hash_secret secret;   /* of all hashes of names */
    struct gyr_room_rule *rules; /* owned, with their patterns */
    size_t rule_count;
    struct hub_core **cores;     /* owned; each on lines of its own */
    struct broadcast_ring *ring; /* owned */
    struct registry *registry;   /* owned */
    struct names *names;         /* owned; hub/names.h */
    struct backend backend;
    struct staff staff; /* workers that live with the server */
    /* Every core from its start to its end: for messages to all WebSockets. */
    struct broadcast_interest everybody;

    /* Any thread. */
    alignas(CACHE_LINE) _Atomic uint64_t broadcast_size; /* bytes of messages on their way */
    _Atomic uint64_t receipt_size;  /* bytes of receipts whose `done` was not called yet */
    _Atomic uint64_t recovery_size; /* bytes of answers to gyr_join_since on their way */
    /* Cores that wait for the first two to fall (partner: message_size_give). */
    _Atomic uint64_t size_waits[BROADCAST_WORDS_MAX];
    /* Raised by hub_core_stop; partner: has_ended. */
    _Atomic uint32_t cores_ended;
    _Atomic bool refused;           /* a full lane refused a thread that is no core: core 0 owes
                             on_publish_ready (partner: publish_is_ready) */
    _Atomic uint64_t refused_count; /* messages of such threads; core 0 adds them to its own */
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

/* The rule that holds for rooms of this name, or NULL. Any thread. */
const struct gyr_room_rule *hub_rule(const struct hub *hub, struct gyr_span name);

/* Any thread, all cores are made. */
struct gyr_core *hub_core_at(const struct hub *hub, unsigned index);
/* Any thread, all cores are made: let a core look at what others have for it. `from` is the calling
 * core, or NULL. */
void hub_call(struct hub *hub, unsigned index, const struct hub_core *from);
/* Any thread, all cores are made: on_publish_ready is to be called on a core. */
void hub_ready(struct hub *hub, unsigned index);

/* ---- backend_hub.c ---- */

/* What the backend may call. */
struct gyr_backend_hub hub_offer(struct hub *hub);

/* ---- members.c ---- */

/* Events of rooms, for on_room: made when they can still fail to be, told after the callback that
 * caused them. *news is NULL if nobody wants to know. */
MUST_CHECK int hub_news_create(struct hub_core *core, struct gyr_span name,
                               enum gyr_room_event event, struct room_news **news);
/* It has happened; number 0: it has not. Takes it. */
void hub_news_add(struct hub_core *core, struct room_news *news, uint64_t event_number);
void hub_news_free(struct hub_core *core, struct room_news *news);
/* Tell on_room. */
void hub_news_tell(struct hub_core *core);

#endif
