/* SPDX-License-Identifier: MIT */
/* The cluster seam: how the rooms of several processes become one. A backend is a table of
 * functions that carries publications, keeps histories and knows who is present. It speaks of room
 * names, messages and text ids, and never of connections or sockets. Without one
 * (gyr_service.backend is NULL) rooms end at this process, which uses the same table: every publish
 * goes through it.
 *
 * Threads. A core is named by its index; GYR_BACKEND_NO_CORE is a thread that is no core's.
 * Functions of the backend are called on the thread of the core that they are told, or on any if
 * they are told none; several at once, unless it is said otherwise. They return at once and never
 * wait. The hub's functions may be called on any thread, also from within the backend's own, and
 * with the index of a core on its thread only. Views live until the function that got them returns.
 *
 * What the hub calls, and when:
 *
 *   create        once, in gyr_server_create; destroy once for each create that succeeded
 *   core_start    on each core before its on_core_start
 *   work          on a core whenever it looks at what other cores have for it, when the hub has
 *                 room again for who was told GYR_ERR_BACKPRESSURE, and when the backend asked for
 *                 it (`due`, or the time that `work` has returned)
 *   subscribe     in gyr_join, when a room gets its first member of all cores
 *   unsubscribe   when a room has lost its last; the calls for one room come one after another
 *   publish       for each message that is published, also if nobody here is in its rooms
 *   history       in gyr_join_since, behind the join and its subscribe
 *   presence_add  when a connection with a text id is in a room whose rule asks for presence: in
 *                 gyr_join or gyr_conn_set_id, whichever comes later; presence_remove when it
 *                 leaves or ends
 *   presence      in gyr_presence
 *   core_stop     on each core where core_start has succeeded, before its on_core_stop */
#ifndef GYR_BACKEND_H
#define GYR_BACKEND_H

#include "gyr/gyr.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GYR_BACKEND_NO_CORE UINT32_MAX

/* Whichever process they are in, the members of a room get its messages in one order. Without it
 * they do within a process, and in rooms with a history. */
#define GYR_BACKEND_ORDERS 0x1
/* `history` is there. */
#define GYR_BACKEND_HISTORY 0x2
/* `presence_add`, `presence_remove` and `presence` are there. */
#define GYR_BACKEND_PRESENCE 0x4

/* One message on its way. */
struct gyr_publication {
    size_t size; /* sizeof(struct gyr_publication) */
    const struct gyr_span *rooms;
    size_t room_count; /* 0: all open WebSockets; 1 if the room keeps a history */
    enum gyr_opcode opcode;
    struct gyr_span payload;
    struct gyr_span key;             /* GYR_ROOM_CONFLATE */
    const struct gyr_handle *except; /* connections of this process */
    size_t except_count;
    /* Of the first room; NULL: no rule fits. Lives as long as the server. */
    const struct gyr_room_rule *rule;
    /* Where the message stands in the history of its room; 0: it has none. Set by the backend. */
    uint64_t epoch;
    uint64_t offset;
    /* Not NULL: somebody in this process wants to know what becomes of it. For each publish that
     * has returned 0 the backend gives it back exactly once: in a `deliver` that has returned 0, or
     * in `failed`. NULL in what other processes have published. */
    void *request;
    /* The hub's: what is delivered within `publish` may have it as it was; NULL otherwise. */
    const void *context;
};

/* What a room's history is asked. */
struct gyr_backend_question {
    size_t size; /* sizeof(struct gyr_backend_question) */
    struct gyr_span room;
    const struct gyr_room_rule *rule;
    uint64_t epoch; /* 0: only where the room stands */
    uint64_t offset;
};

/* What it answers. */
struct gyr_backend_history {
    size_t size;     /* sizeof(struct gyr_backend_history) */
    int err;         /* 0; GYR_ERR_NOT_FOUND: not all since the offset is kept; otherwise why not */
    uint64_t epoch;  /* of the history; it changes when offsets do not go on where they were */
    uint64_t offset; /* of its newest message; 0: there was none yet in this epoch */
    /* If `err` is 0, every message behind the offset that was asked for, up to `offset`, in order;
     * of each only opcode, payload, key, epoch and offset. */
    const struct gyr_publication *publications;
    size_t count;
};

/* What a backend may call; lives from `create` to `destroy`. */
struct gyr_backend_hub {
    size_t size; /* sizeof(struct gyr_backend_hub) */
    void *state; /* first argument of its functions */
    struct gyr_server *server;
    const struct gyr_config *config;
    unsigned core_count;

    /* Give a publication to the members in this process; copied. Those of one thread reach the
     * members of a room in the order of the calls. Returns 0, also if there is no such room;
     * GYR_ERR_BACKPRESSURE: nothing was delivered, and it has to be tried again, in front of what
     * follows it (`work` is called when there is room again, of core 0 for a thread that is no
     * core's), unless the error is handed on as the result of `publish`; GYR_ERR_MEMORY: the same,
     * but nobody tells when there is memory again; GYR_ERR_CLOSED: there is nobody any more. */
    int (*deliver)(void *state, unsigned core, const struct gyr_publication *publication);
    /* A publication that had a request comes to nothing: `err` says why. */
    void (*failed)(void *state, void *request, int err);
    /* There is room again for `publish`: owed for each time that it has returned
     * GYR_ERR_BACKPRESSURE on this core, except where that came from `deliver`; several times may
     * be answered at once. Core 0 for threads that are no core's. On any thread. */
    void (*ready)(void *state, unsigned core);

    /* Answers, exactly one for each `history` and `presence` that has returned 0. The first returns
     * GYR_ERR_BACKPRESSURE if there are too many others on their way, and then has to be called
     * again later; it does not without publications, and nothing else fails. */
    int (*history_done)(void *state, unsigned core, void *request,
                        const struct gyr_backend_history *history);
    void (*presence_done)(void *state, unsigned core, void *request, int err,
                          const struct gyr_span *ids, size_t id_count);

    /* Run fn(core, arg) on a core, as gyr_post does, with its errors. */
    int (*post)(void *state, unsigned core, void (*fn)(unsigned core, void *arg), void *arg);
    /* On this core's thread: call `work` there soon. */
    void (*due)(void *state, unsigned core);
    /* On this core's thread: milliseconds of a clock that only goes forward, the same for all
     * cores. */
    uint64_t (*now_ms)(void *state, unsigned core);
    /* On this core's thread: memory of its budgeted heap, for what peers can make grow; NULL past
     * the budget. What is not given back before the end of core_stop is lost then. */
    void *(*alloc)(void *state, unsigned core, size_t size);
    void (*free)(void *state, unsigned core, void *pointer, size_t size);
};

/* A backend: constant, and alive as long as the server. All functions must be there but those whose
 * capability is not declared: gyr_server_create says which one is missing. */
struct gyr_backend {
    size_t size;      /* sizeof(struct gyr_backend) */
    const char *name; /* for people: "redis" */
    uint32_t capabilities;
    void *user; /* handed to `create` */

    /* GYR_ERR_CONFIG and the like, with a line in `error`: gyr_server_create fails with it. */
    int (*create)(const struct gyr_backend_hub *hub, void *user, void **state,
                  struct gyr_error *error);
    /* Nothing is called any more, in either direction. */
    void (*destroy)(void *state);
    /* All cores are made; a negative result stops the start. */
    int (*core_start)(void *state, unsigned core);
    /* The core takes no part any more: nothing of the hub may be called with its index when this
     * has returned, and when it has on all cores nothing at all. A `request` that is still held
     * here is given back by `failed` or an answer with GYR_ERR_CLOSED. */
    void (*core_stop)(void *state, unsigned core);
    /* Returns 0, or the nanoseconds after which it wants to be called again though nothing
     * happens. */
    uint64_t (*work)(void *state, unsigned core);

    /* Returns 0, and the message will reach every member of its rooms, wherever they are;
     * GYR_ERR_BACKPRESSURE: nothing was published, `ready` follows; GYR_ERR_MEMORY, GYR_ERR_CLOSED
     * ...: nothing was published. `core` may be GYR_BACKEND_NO_CORE. */
    int (*publish)(void *state, unsigned core, const struct gyr_publication *publication);

    /* From now on, and from other processes as soon as can be, what is published to this room is
     * wanted here. Called under a lock: it must not call the hub. An error is that of the join. */
    int (*subscribe)(void *state, unsigned core, struct gyr_span room,
                     const struct gyr_room_rule *rule);
    void (*unsubscribe)(void *state, unsigned core, struct gyr_span room);

    /* What was published to a room since `offset` of `epoch`: answered by `history_done`, within
     * this call or later. Every message that is missing there is delivered after this call, so that
     * both together have all. GYR_ERR_BACKPRESSURE ...: there will be no answer. */
    int (*history)(void *state, unsigned core, const struct gyr_backend_question *question,
                   void *request);

    /* The connection with this text id is in the room now, and has left it. An id is in a room of
     * this process once at most. An error is that of the join. */
    int (*presence_add)(void *state, unsigned core, struct gyr_span room, struct gyr_span id);
    void (*presence_remove)(void *state, unsigned core, struct gyr_span room, struct gyr_span id);
    /* The ids in a room, of all processes: answered by `presence_done`, within this call or later.
     * `core` may be GYR_BACKEND_NO_CORE. */
    int (*presence)(void *state, unsigned core, struct gyr_span room, void *request);
};

#ifdef __cplusplus
}
#endif

#endif
