/* SPDX-License-Identifier: MIT */
/* The application seam: all that a layer above may see of the engine. It is the public interface
 * itself, the upcalls of struct gyr_service and the calls that may be made back; and what stands
 * here for layers of the library: how they come to live beside the engine, and how one message is
 * queued to many connections. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "base/base.h"
#include "engine/broadcast_ring.h"
#include "engine/error.h"
#include "engine/log.h"
#include "engine/memory.h"
#include "engine/stats.h"
#include "gyr/gyr.h"

struct core;

/* ---- a layer above --------------------------------------------------------------------------- */

/* What a layer has to know of a server while it is made. */
struct engine_server {
    struct gyr_server *server; /* NULL in tests without one */
    const struct gyr_config *config;
    const struct gyr_service *service; /* lives as long as the server */
    unsigned core_count;
    /* As broadcast_config.point, its context being the layer's state: for the simulator, or
     * NULL. */
    void (*point)(void *context, enum broadcast_point point);
};

/* What the engine calls in a layer of the library. All but server_create, server_wait and
 * server_destroy are on a core's thread: those of the server on that of core 0. The four from
 * server_ready on may be NULL. */
struct engine_layer {
    /* The server is made and checked; *state is the layer's, and given to all others. */
    int (*server_create)(const struct engine_server *server, void **state, struct gyr_error *error);
    /* The server is being released, or server_create of somebody has failed. */
    void (*server_destroy)(void *state);
    /* All cores are made and core 0 has begun. Make ready what shall begin with the server, which
     * may still fail to start. An error, with its line, makes it fail; server_stop follows then,
     * too. */
    int (*server_ready)(void *state, struct gyr_error *error);
    /* All cores have begun: connections are accepted. */
    void (*server_start)(void *state);
    /* The server was told to stop, which takes `deadline_ms` at most, or has failed to start. Once,
     * wherever server_ready was called. It must not wait. */
    void (*server_stop)(void *state, uint32_t deadline_ms);
    /* All cores have ended: wait for what has begun with the server. Any thread, several of them,
     * several times; or, before server_destroy, never. */
    void (*server_wait)(void *state);
    /* Before on_core_start; all cores are made. */
    int (*core_start)(void *state, struct gyr_core *core);
    /* The core has no connection any more, and will have none; before on_core_stop. Called wherever
     * core_start has succeeded. */
    void (*core_stop)(void *state, struct gyr_core *core);
    /* The core's bell has rung, or engine_core_due was called: once a turn, after what has been
     * received was handled. Returns 0, or the nanoseconds after which it wants to be called again
     * though nothing rings. */
    uint64_t (*core_work)(void *state, struct gyr_core *core);
    /* A connection that is watched has ended, after its on_close or on_done. */
    void (*conn_end)(void *state, struct gyr_conn *conn);
};

/* gyr_server_create_with, with a layer above; NULL: none. */
MUST_CHECK int engine_server_create(const struct gyr_settings *settings,
                                    const struct gyr_service *service,
                                    const struct engine_layer *layer, struct gyr_server **server,
                                    struct gyr_error *error);
/* What server_create gave; any thread. */
void *engine_server_state(const struct gyr_server *server);
void *engine_core_state(const struct gyr_core *core);
/* Are all cores made, so that gyr_post may be called? Any thread. */
bool engine_server_is_made(const struct gyr_server *server);
/* Was it started, or any of its cores run? Any thread. */
bool engine_server_has_begun(struct gyr_server *server);

/* ---- cores ----------------------------------------------------------------------------------- */

const struct gyr_config *engine_core_config(const struct gyr_core *core);
const struct gyr_service *engine_core_service(const struct gyr_core *core);
struct stats *engine_core_stats(struct gyr_core *core);
/* How many connections it can have: every index is below. */
uint32_t engine_core_conns_max(const struct gyr_core *core);

/* How many indexes were ever used: those of all connections that are there are below. */
uint32_t engine_core_conns_used(const struct gyr_core *core);

/* Look at this bell before each sleep, and call core_work when it is not zero. */
void engine_core_set_bell(struct gyr_core *core, const _Atomic uint32_t *bell);
/* Call core_work in this turn still, or in the next one, without a sleep between. */
void engine_core_due(struct gyr_core *core);
/* Any thread, once all cores are made: end a core's sleep. `from` is the calling core, or NULL.
 * Nothing happens to a core that has ended. */
void engine_core_wake(struct gyr_core *core, struct gyr_core *from);
/* The core with this index; all cores are made. */
struct gyr_core *engine_core_peer(const struct gyr_core *core, unsigned index);
struct gyr_core *engine_server_core(const struct gyr_server *server, unsigned index);
/* Any thread: as gyr_post, to a core of a server that may be NULL (tests). */
MUST_CHECK int engine_core_post(struct gyr_core *core, void (*fn)(struct gyr_core *core, void *arg),
                                void *arg);

/* Mail that takes no memory when it is sent: first member of something from memory_alloc. */
struct engine_letter {
    void *private_[5];
};
/* Any thread: as engine_core_post, but beyond mailbox_count_max too: for what has a bound of its
 * own, and must not be lost. The memory is freed when `fn` has returned. GYR_ERR_CLOSED, and then
 * nothing was taken. */
MUST_CHECK int engine_core_give(struct gyr_core *core, struct engine_letter *letter,
                                void (*fn)(struct gyr_core *core, void *arg), void *arg);

/* Memory of the core's budgeted heap, for what peers can make grow; NULL past the budget. Its own
 * thread only. */
void *engine_core_alloc(struct gyr_core *core, size_t size);
void engine_core_free(struct gyr_core *core, void *pointer, size_t size);

/* A line of the log: begin, add values (engine/log.h), end. False: it is not wanted, or there have
 * been too many. Of a core, on its thread; and of a server outside of its cores. */
MUST_CHECK bool engine_core_log_begin(struct gyr_core *core, enum gyr_log_level level,
                                      const char *event, struct log_line *line);
void engine_core_log_end(struct gyr_core *core, struct log_line *line);
MUST_CHECK bool engine_log_begin(const struct gyr_service *service, const struct gyr_config *config,
                                 enum gyr_log_level level, const char *event,
                                 struct log_line *line);
void engine_log_end(const struct gyr_service *service, struct log_line *line);
/* The same of a server from any thread, a core's too, while the server lives: at most log_rate_max
 * a second of all that come this way; what is dropped is counted in a line. */
MUST_CHECK bool engine_server_log_begin(struct gyr_server *server, enum gyr_log_level level,
                                        const char *event, struct log_line *line);
void engine_server_log_end(struct gyr_server *server, struct log_line *line);

/* ---- connections ----------------------------------------------------------------------------- */

/* Its number on its core, below engine_core_conns_max; used again after its end. */
uint32_t engine_conn_index(const struct gyr_conn *conn);
/* The connection that has this number now. */
struct gyr_conn *engine_conn_at(struct gyr_core *core, uint32_t index);
/* Bring what a delivery will touch into the cache: first the connection, and when that is there its
 * queue. */
void engine_conn_prefetch(struct gyr_core *core, uint32_t index);
void engine_conn_prefetch_queue(struct gyr_core *core, uint32_t index);
/* conn_end is wanted. */
void engine_conn_watch(struct gyr_conn *conn);
bool engine_conn_is_watched(const struct gyr_conn *conn);
/* May it send messages, now or once its handshake is accepted? 0, GYR_ERR_STATE, GYR_ERR_CLOSED. */
MUST_CHECK int engine_conn_may_send(const struct gyr_conn *conn);
/* Is it an open WebSocket? */
bool engine_conn_is_open(const struct gyr_conn *conn);
/* Has gyr_finish brought a result that on_finish has not got yet? */
bool engine_conn_is_finished(const struct gyr_conn *conn);
/* Let on_drain come, when the queue is low. */
void engine_conn_owe_drain(struct gyr_conn *conn);
/* The core of a connection with this handle, which may be no core's index. */
static inline unsigned engine_handle_core(struct gyr_handle handle)
{
    return (unsigned)(handle.id >> 48);
}

/* Write a message where it is sent from: room for the payload, up to `size` bytes; NULL: not now,
 * it may go by gyr_send. Within a callback of the connection, with nothing in between; what was
 * begun and is not ended has no effect. */
uint8_t *engine_send_begin(struct gyr_conn *conn, size_t size);
void engine_send_end(struct gyr_conn *conn, enum gyr_opcode opcode, size_t size);

/* Keep a request beyond the callback that got it: a copy in `memory`, of engine_request_size bytes,
 * aligned as pointers are; lives as long as that. */
size_t engine_request_size(const struct gyr_request *request);
const struct gyr_request *engine_request_keep(const struct gyr_request *request, void *memory);
/* As gyr_respond_file, also behind on_request: of a request that is kept. */
MUST_CHECK int engine_respond_file(struct gyr_conn *conn, const struct gyr_request *request,
                                   const struct gyr_files *files, struct gyr_span path);

/* Any thread. */
bool engine_handle_is_live(struct gyr_core *core_of_handle, struct gyr_handle handle);

/* ---- one message to many --------------------------------------------------------------------- */

/* A message on its way to several cores: framed once, never changed, counted once per core. First
 * member of whatever a layer sends along. */
struct engine_shared {
    _Atomic uint32_t count; /* any thread */
    uint32_t size;          /* of the frame: header and payload */
    uint8_t opcode;
    uint8_t header_size;
    uint8_t *frame;
    void (*free)(struct engine_shared *shared); /* any thread: nobody has it any more */
};

/* Room that a payload needs to be framed. */
size_t engine_frame_size(size_t payload_size);
/* Frame a payload in `frame`, which has engine_frame_size bytes and lives as long as `shared`. */
void engine_shared_init(struct engine_shared *shared, uint8_t *frame, enum gyr_opcode opcode,
                        struct gyr_span payload, void (*free)(struct engine_shared *shared));
/* Give up one reference. */
void engine_shared_unref(struct engine_shared *shared);

/* What was published to a room lately, as this core keeps it while somebody still has to send it.
 * Zero is nothing. Owned by whoever delivers; engine_fanout_end before it goes away. */
struct engine_fanout {
    struct fanout_run *run; /* borrowed; NULL if nobody has to send any of it */
    uint32_t run_size;      /* how large the next one begins */
};

enum engine_delivered {
    ENGINE_QUEUED,
    ENGINE_DROPPED,        /* this message: by policy, or its queue is full */
    ENGINE_DROPPED_MEMORY, /* this message: no memory */
    ENGINE_CLOSED,         /* this delivery has closed it, for being slow */
    ENGINE_GONE,           /* it is closing or closed, or never was open */
};

/* What policies have taken out of a queue. */
struct engine_removed {
    uint64_t oldest;    /* GYR_ROOM_DROP_OLDEST */
    uint64_t conflated; /* GYR_ROOM_CONFLATE */
    uint64_t closed;    /* GYR_ROOM_CLOSE */
};

/* One message whose deliveries on a core are followed; see struct engine_delivery. Zero but for
 * `done`; the core's own thread. It stays where it is while anything waits. */
struct tracked_entry;
struct engine_track {
    /* `taken`: the kernel has it; otherwise it was dropped, taken back, or the connection has
     * ended. Once for each ENGINE_QUEUED. */
    void (*done)(struct engine_track *track, struct gyr_handle handle, bool taken, int err);
    struct tracked_entry *first; /* the engine's: those that are queued and not done */
    bool cancelling;             /* the engine's */
};

/* One message for many connections of one core, between engine_deliver_begin and _end. */
struct engine_delivery {
    struct gyr_core *core;
    struct engine_fanout *fanout; /* the room's; NULL: nothing is kept for later ones */
    enum gyr_room_policy policy;
    uint32_t queue_size_max;      /* 0: send_queue_size_max */
    uint32_t room;                /* tells the messages of one room in a queue from others */
    uint64_t key;                 /* GYR_ROOM_CONFLATE */
    struct engine_shared *shared; /* or NULL: `payload`, on this core only */
    enum gyr_opcode opcode;
    struct gyr_span payload;
    struct engine_track *track; /* or NULL */

    /* Written by engine_deliver. */
    struct engine_removed removed; /* since the begin */

    /* The engine's. */
    struct fanout_run *run;
    uint32_t start;
    uint32_t size;
};

/* Frame or take over the message. A message up to broadcast_copy_size is copied; beyond, `shared`
 * is kept as long as somebody has to send it (the reference passes to the engine: it is given up
 * here, or later). GYR_ERR_MEMORY: it can be delivered to nobody. */
MUST_CHECK int engine_deliver_begin(struct engine_delivery *delivery);
/* Queue it to one connection. Calls nothing back, but a track. */
enum engine_delivered engine_deliver(struct engine_delivery *delivery, struct gyr_conn *conn);
void engine_deliver_end(struct engine_delivery *delivery);
/* The room goes away; what is queued of it stays queued. */
void engine_fanout_end(struct engine_fanout *fanout);

/* Take back what of this track is still queued whole: its `done` is called for each, with
 * GYR_ERR_TIMEOUT. What the kernel has begun to take goes on and is done later. */
void engine_track_cancel(struct gyr_core *core, struct engine_track *track);

#endif
