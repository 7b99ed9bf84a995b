/* SPDX-License-Identifier: MIT */
/* A core: one ring and everything it owns. core_turn() is the loop's body; the thread around it is
 * a thin loop, and the simulator calls it for any number of cores in one thread. */
#ifndef ENGINE_CORE_H
#define ENGINE_CORE_H

#include "base/base.h"
#include "engine/engine.h"
#include "engine/fanout.h"
#include "engine/guard.h"
#include "engine/log.h"
#include "engine/mailbox.h"
#include "engine/memory.h"
#include "engine/ring.h"
#include "engine/stats.h"
#include "engine/timer.h"
#include "engine/transport.h"
#include "gyr/gyr.h"
#include "proto/http_response.h"

#include <stdalign.h>

#define CORE_COMPLETIONS_MAX  256    /* taken by one wait; config->turn_completions_max at most */
#define CORE_COMPLETIONS_SIZE 1024   /* of a turn, with those taken while its sends are settled */
#define CORE_STAGING_SIZE     262144 /* output of a turn that is not framed in place */
#define CORE_STAGING_RESERVE  65536  /* of it, for the run that is being made */
#define CORE_TURN_SENDS_MAX   255    /* room for config->turn_sends_max */
#define CORE_LISTENERS_MAX    64
#define CORE_REFUSALS_MAX     64 /* connections that are being told 503, beside connections_max */
#define CORE_NO_BUFFER        UINT32_MAX
#define CORE_INDEX_NONE       UINT32_MAX

/* What a struct gyr_timer holds. */
struct user_timer {
    struct timer timer;
    void (*fn)(struct gyr_core *core, void *arg);
    void *arg;
};
static_assert(sizeof(struct user_timer) <= sizeof(struct gyr_timer), "fits the public storage");

enum core_op { /* in user_data beside generation and slot */
    CORE_OP_ACCEPT = 1,
    CORE_OP_RECV,
    CORE_OP_POLL,
    CORE_OP_SEND,
    CORE_OP_TURN_SEND, /* quiet: completes only if it did not send everything */
    CORE_OP_FILE,      /* a file is opened or read */
};

enum core_state {
    CORE_RUNNING,
    CORE_DRAINING, /* no new connections; those that are there end */
    CORE_ENDED,
};

struct core_listener {
    int fd;
    bool armed;     /* an accept is in flight */
    bool cancelled; /* it was asked to end */
};

/* A range of slots. */
struct core_slots {
    uint32_t free; /* first free slot that was used before */
    uint32_t used; /* end of the slots that were ever used */
    uint32_t end;
};

/* Where the output of the batch being handled lies: framed in place in its input, or in staging. */
struct core_output {
    struct transport *transport; /* whose batch is handled now, or NULL */
    uint8_t *start;
    uint8_t *end;
    uint8_t *limit;         /* a run that begins at start must end here: send_queue_size_max */
    uint32_t buffer_id;     /* of the provided buffer that the input lies in, or CORE_NO_BUFFER */
    bool staged;            /* start and end lie in staging */
    struct entry *reserved; /* what transport_reserve gave, if not staging */
};

/* The output of one batch, sent quietly at the end of the turn together with that of the others. */
struct core_turn_send {
    const uint8_t *bytes; /* in a provided buffer or in staging: untouched until it is settled */
    uint32_t size;
    uint32_t transport_index;
    uint32_t buffer_id; /* to be returned, or CORE_NO_BUFFER */
    int32_t result;     /* size, unless a completion says otherwise */
};

/* The message that on_message is looking at. */
struct core_message {
    struct gyr_conn *exchange; /* NULL outside of on_message */
    struct gyr_conn
        *in_place;  /* the same if its reply may be framed around it; any other output of its
                                  transport clears it */
    uint8_t *bytes; /* NULL: given up by gyr_reply */
    size_t size;
    struct entry *entry; /* owned if it was assembled; NULL: it lies in the input */
};

struct core_config {
    const struct gyr_config *config;
    const struct gyr_service *service;
    const struct engine_layer *layer; /* borrowed; NULL: none */
    void *layer_state;
    const struct ring_ops *ring_ops;
    void *ring_context;
    char *ring_why;            /* of RING_WHY_SIZE: gets the ring's own line if it cannot be made,
                                  with GYR_ERR_UNSUPPORTED; or NULL */
    struct gyr_server *server; /* borrowed; NULL in tests */
    struct address_table *addresses; /* borrowed; NULL in tests: connections are not counted */
    struct core *const *peers; /* all cores of the server, by index; filled before the first turn */
    unsigned peer_count;
    unsigned index;
};

/* The public name of a core is the same object. */
struct core {
    /* Owner core only. */
    struct ring *ring; /* owned */
    const struct gyr_config *config;
    const struct gyr_service *service;
    struct heap *heap; /* owned */
    const struct ws_mask_ops *mask_ops;
    uint64_t now_ms;
    uint32_t guard_flags;  /* enum guard_flags */
    bool visitors_used;    /* guard.visitors may be other than zero */
    uint64_t layer_due_ns; /* core_work is called from then on; UINT64_MAX: when the bell rings */
    const _Atomic uint32_t
        *bell; /* borrowed from the layer, or layer_silence; partner: who rings */
    struct core_output out;
    struct core_message message;
    uint8_t *staging;      /* owned; CORE_STAGING_SIZE */
    uint32_t staging_used; /* by the batches of this turn */
    uint32_t turn_send_count;
    bool settle_soon; /* something waits for a turn send: do not sleep on it */
    struct core_turn_send turn_sends[CORE_TURN_SENDS_MAX];
    uint8_t *scratch;             /* owned; config->recv_buffer_size and MESSAGE_PADDING */
    struct transport *transports; /* owned; CORE_REFUSALS_MAX slots, then connections_max */
    uint8_t *exchanges;           /* owned; the same number, exchange_stride bytes each */
    size_t exchange_stride;
    struct core_slots refusals; /* the slots below CORE_REFUSALS_MAX */
    struct core_slots slots;    /* those from there on */
    uint32_t exchange_free;
    uint32_t exchange_used;
    uint32_t dirty_head;
    uint32_t dirty_tail;
    uint32_t open_count;
    uint64_t heap_accounted; /* sum of heap_size over all transports (A1) */
    uint64_t layer_size;     /* heap bytes of engine_core_alloc, and of what is sent to many */
    uint64_t shared_size;    /* bytes of other cores' memory that queues here refer to */
    struct conflation conflation;
    uint32_t *quiet_sends; /* owned; transports whose queue is sent quietly in this turn */
    uint32_t quiet_count;
    const struct engine_layer *layer; /* borrowed; NULL: none */
    void *layer_state;
    bool layer_started;             /* core_stop is owed */
    size_t exchanges_size;          /* of the mapping of `exchanges` */
    _Atomic uint32_t layer_silence; /* a bell that never rings */
    struct http_request request;    /* the head being parsed */
    uint64_t date_next_ms;
    uint8_t date[HTTP_DATE_SIZE];
    uint8_t state; /* enum core_state */
    uint64_t spin_end_ns;
    struct timer_wheel wheel;
    struct core_listener listeners[CORE_LISTENERS_MAX];
    unsigned listener_count;
    struct timer accept_timer; /* accepting failed: try again */
    struct timer drain_timer;
    uint64_t drain_start_ms;
    uint32_t drain_next; /* slots that the spread of Close 1001 has reached */
    uint32_t drain_total;
    struct guard guard;
    struct log_gate log_gate;
    uint64_t trouble_ms;    /* when on_trouble was called last */
    uint64_t trouble_count; /* since then */
    uint64_t trouble_owed;  /* on_trouble is to be called with this count; 0: it is not */
    int trouble_err;        /* ... and this */
    void *data;             /* owned; service->core_data_size */
    bool data_ready;        /* on_core_start has succeeded: on_core_stop is owed */
    struct gyr_server *server;
    struct core *const *peers;
    unsigned peer_count;
    unsigned index;
    uint32_t
        offload_count; /* calls of gyr_offload that have not come back; the core waits for them */
    unsigned completion_count; /* from the last wait */
    struct completion completions[CORE_COMPLETIONS_SIZE];

    /* Written by any thread. */
    alignas(CACHE_LINE) struct mailbox mailbox;
    alignas(CACHE_LINE) _Atomic uint32_t load; /* connections here or on their way */
    _Atomic bool stop_requested;

    /* Written by the owner core, read by any thread. */
    alignas(CACHE_LINE) struct stats stats;
};

/* Make a core for the calling thread. Errors as gyr_server_start. */
MUST_CHECK int core_create(const struct core_config *config, struct core **core,
                           struct gyr_error *error);

/* Accept from this descriptor, one of CORE_LISTENERS_MAX; the core takes it. */
void core_listen(struct core *core, int fd);

/* One turn: dispatch, mail, timers, flush, wait. False once the core has ended. */
bool core_turn(struct core *core);

/* End a core that has taken its last turn, or none: wait for its calls of gyr_offload, run what
 * mail is left, call on_core_stop if that is owed, and release what it owns. On its thread. Its
 * memory stays until core_free, so that other threads find its mailbox closed. */
void core_destroy(struct core *core);
void core_free(struct core *core);

/* Any thread. */
void core_stop(struct core *core);

/* Let the layer above begin on this core; all cores are made. */
MUST_CHECK int core_layer_start(struct core *core);

/* What can be reloaded has changed in core->config: on its thread. */
void core_config_changed(struct core *core);

/* Something is wrong that the server lives with: tell the service, once a second at most. */
void core_trouble(struct core *core, int err);

/* Give an accepted descriptor to another core. */
void core_hand_over(struct core *from, struct core *to, int fd);

static inline uint64_t core_user_data(unsigned op, uint32_t generation, uint32_t index)
{
    return (uint64_t)op << 56 | (uint64_t)(generation & 0xffffff) << 32 | index;
}

static inline uint32_t core_now32(const struct core *core)
{
    return (uint32_t)core->now_ms;
}

#endif
