/* SPDX-License-Identifier: MIT */
/* A server from inside, shared by server.c (what a service calls) and server_core.c (how its cores
 * begin and end). */
#ifndef ENGINE_SERVER_H
#define ENGINE_SERVER_H

#include "engine/config.h"
#include "engine/core.h"
#include "engine/engine.h"
#include "engine/listener.h"

#include <pthread.h>

#define SERVER_CORES_MAX     CONFIG_CORES_MAX
#define SERVER_LISTENERS_MAX CORE_LISTENERS_MAX

/* One address: a socket per core where the kernel can spread connections, otherwise one. */
struct server_listener {
    struct listener_address address; /* text is "" if the descriptor was adopted */
    unsigned fd_count;
    bool adopted;
    int *fds; /* owned; -1 once a core has taken it */
};

/* A server starts once, and in one way. */
enum server_way {
    SERVER_NOT_STARTED,
    SERVER_OWN_THREADS,  /* gyr_server_start */
    SERVER_HOST_THREADS, /* gyr_server_run_core */
};

struct gyr_server {
    struct gyr_config config; /* of all cores, as at the start */
    struct gyr_service service;
    const struct engine_layer *layer; /* borrowed; NULL: none */
    void *layer_state;                /* the layer's; NULL until it was made */
    const struct ring_ops *ring_ops;  /* once `tried` is complete, all cores' */
    unsigned core_count;
    unsigned *cpus; /* owned; core_count */
    struct gyr_config
        *configs; /* owned; core_count; from its first turn on each is written by its core alone */
    struct core **cores; /* owned; read without the lock once cores_made */
    pthread_t *threads;  /* owned; core_count */
    unsigned listener_count;
    struct server_listener listeners[SERVER_LISTENERS_MAX];
    struct offload *offload;         /* owned */
    struct address_table *addresses; /* owned */

    pthread_mutex_t lock; /* start and end only; it guards what follows */
    pthread_cond_t change;
    enum server_way way;
    bool *run;                       /* owned; core_count: gyr_server_run_core was called */
    unsigned thread_count;           /* to be joined */
    unsigned tried;                  /* GYR_RING_AUTO: cores that have io_uring, or have failed */
    char ring_reason[RING_WHY_SIZE]; /* of the first that cannot have it; "" if all can */
    unsigned made;                   /* cores that are made, or have failed */
    unsigned ready;                  /* cores that may take turns, or have failed */
    unsigned ended;                  /* cores that have ended */
    int err;                         /* of the first core that failed */
    struct gyr_error error;

    pthread_mutex_t log_lock; /* of lines that are no core's; guards what follows */
    struct log_gate log_gate;

    _Atomic bool cores_made; /* every core is; set once, under the lock */
    _Atomic bool stop_requested;
};

#endif
