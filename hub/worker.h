/* SPDX-License-Identifier: MIT */
/* Workers from inside: one worker (struct gyr_worker_run), those that start and stop together
 * (struct crew), and the crews of a server (struct staff). See include/gyr/gyr_worker.h.
 *
 *   worker.c        what a worker may call; what follows when it fails
 *   worker_table.c  is a table usable?
 *   worker_thread.c a worker that is a thread
 *   worker_timer.c  a worker that is a call on a core's thread, again and again
 *   crew.c          begin, ask, wait, leave behind
 *   workers.c       gyr_workers_*, gyr_server_workers */
#ifndef HUB_WORKER_H
#define HUB_WORKER_H

#include "base/base.h"
#include "base/list.h"
#include "engine/engine.h"
#include "gyr/gyr_worker.h"

#include <pthread.h>
#include <stdatomic.h>

#define WORKER_TABLE_MAX     256 /* entries: a table without its end is noticed */
#define WORKER_NAME_SIZE_MAX 64
#define WORKER_MS_MAX        2073600000 /* 24 days, as gyr_timer_start */
/* What 0 stands for. */
#define WORKER_RESTART_MS_MIN 100
#define WORKER_RESTART_MS_MAX 30000

struct crew;

/* One worker, from its crew's begin to its end. */
struct gyr_worker_run {
    struct crew *crew;         /* that it is a part of, and whose count keeps it */
    struct gyr_server *server; /* borrowed until is_left; NULL: none */
    struct gyr_worker worker;  /* copied; its name is borrowed until is_left */
    void *context;

    /* Of whoever runs it: its thread or its core. */
    uint64_t since_ns;      /* it began, or began anew, then */
    uint32_t restart_count; /* that follow each other without a long run */
    uint32_t restart_ms;    /* the last wait */

    int fd;                             /* owned; -1: none */
    struct gyr_core *core;              /* of a timer */
    struct gyr_timer timer;             /* its core's thread only */
    struct list core_link;              /* ... and so: hub_core.worker_timers */
    bool is_armed;                      /* ... and so: the crew is kept for it */
    bool is_anew;                       /* ... and so: its next tick begins it anew */
    struct engine_letter *begin_letter; /* owned until it is given */
    struct engine_letter *end_letter;   /* owned until it is given */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t change;
    pthread_t thread;
    bool has_thread; /* a thread: to be joined or detached; a timer: its core's is known */
    bool may_begin;
    bool is_woken;
    bool is_busy; /* it uses the server: nobody leaves it behind now */
    bool has_ended;
    int err; /* what it has failed with, unless it began anew since then */

    _Atomic bool is_stopping; /* written with the lock held; read by any thread */
    _Atomic bool is_left;     /* the same */
    _Atomic uint32_t restarts;
};

/* ---- worker.c ---- */

uint64_t worker_now_ns(void);
/* With the lock held: wait until something has changed; false: it is `end_ns` or later. */
bool worker_wait_until(struct gyr_worker_run *run, uint64_t end_ns);
/* Its function has returned a negative number. True: it is to begin anew after *delay_ms. */
bool worker_on_failure(struct gyr_worker_run *run, int err, uint32_t *delay_ms);
/* It begins anew. */
void worker_begin_anew(struct gyr_worker_run *run);
/* It has ended; wakes who waits for it. Nothing of it may be touched behind this but by who still
 * keeps its crew. */
void worker_end(struct gyr_worker_run *run);

/* ---- worker_table.c ---- */

/* How many workers a table has, if it is usable; GYR_ERR_ARGUMENT with a line. */
MUST_CHECK int worker_table_check(const struct gyr_server *server, const struct gyr_worker *table,
                                  unsigned *count, struct gyr_error *error);
/* "" or " (file:line)" of a worker, for a line. */
struct worker_place {
    char text[128];
};
struct worker_place worker_place(const struct gyr_worker *worker);

/* ---- worker_thread.c, worker_timer.c ---- */

/* Have what it takes, so that _begin and _ask cannot fail; -errno, GYR_ERR_MEMORY. */
MUST_CHECK int worker_thread_prepare(struct gyr_worker_run *run);
MUST_CHECK int worker_timer_prepare(struct gyr_worker_run *run);
void worker_thread_begin(struct gyr_worker_run *run);
void worker_timer_begin(struct gyr_worker_run *run);
/* Once, after _prepare. */
void worker_thread_ask(struct gyr_worker_run *run);
void worker_timer_ask(struct gyr_worker_run *run);
/* A core ends: so do its timers. On its thread. */
struct hub_core;
void worker_timers_end(struct hub_core *core);

/* ---- crew.c ---- */

struct crew {
    _Atomic uint32_t count; /* of who keeps it: the owner, each thread, timer and letter; a sum */
    unsigned run_count;
    struct gyr_worker_run runs[];
};

/* A crew of a table that was checked; NULL: no memory. */
struct crew *crew_create(struct gyr_server *server, const struct gyr_worker *table, unsigned count,
                         void *context);
void crew_ref(struct crew *crew);
void crew_unref(struct crew *crew);
/* Threads exist and wait for crew_begin. An error, with its line: nothing is left of them. */
MUST_CHECK int crew_prepare(struct crew *crew, struct gyr_error *error);
void crew_begin(struct crew *crew);
/* Ask all to stop; also those that never began. */
void crew_ask(struct crew *crew);
/* Wait for all; those that have not ended by then are left behind: is_left says which. Returns how
 * many. UINT64_MAX: no limit. */
unsigned crew_wait(struct crew *crew, uint64_t end_ns);

/* ---- workers.c ---- */

/* All crews of a server. `crews` and its count are written before the server starts only. */
struct staff {
    struct crew **crews; /* owned */
    unsigned crew_count;
    uint64_t end_ns;      /* of waiting; written by the core that asks, before it ends */
    pthread_mutex_t lock; /* of those who wait, and of those who add */
};

void staff_init(struct staff *staff);
/* Waits as staff_wait does. */
void staff_deinit(struct staff *staff, struct gyr_server *server);
MUST_CHECK int staff_prepare(struct staff *staff, struct gyr_error *error);
void staff_begin(struct staff *staff);
void staff_ask(struct staff *staff, uint32_t deadline_ms);
void staff_wait(struct staff *staff, struct gyr_server *server);

#endif
