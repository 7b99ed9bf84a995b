/* SPDX-License-Identifier: MIT */
/* Workers: what runs beside the connections for as long as the server does. A worker is a thread of
 * its own, or a call on a core's thread again and again.
 *
 *     static int pump(struct gyr_worker_run *run, void *context)
 *     {
 *         struct feed *feed = context;
 *         while (gyr_worker_sleep(run, 1000)) {
 *             ...
 *         }
 *         return 0;
 *     }
 *     static const struct gyr_worker workers[] = {GYR_WORKER("pump", pump), {0}};
 *     gyr_server_workers(server, workers, &feed, &error);
 */
#ifndef GYR_WORKER_H
#define GYR_WORKER_H

#include "gyr/gyr.h"

#ifdef __cplusplus
extern "C" {
#endif

struct gyr_workers;    /* a controller: some workers that start and stop together */
struct gyr_worker_run; /* one worker while it runs; its stop token */

/* What follows when a worker fails: when its function returns a negative number. It is logged at
 * once in any case. */
enum gyr_worker_failure {
    GYR_WORKER_LOG,     /* nothing else; the others go on */
    GYR_WORKER_RESTART, /* it begins anew, after a while that doubles each time it fails soon */
    GYR_WORKER_STOP,    /* gyr_server_stop */
};

struct gyr_worker {
    const char *name; /* NULL ends a table */
    const char *at;   /* where it was declared: GYR_AT */
    /* A thread: runs until gyr_worker_is_stopping, or until it is done (0). Either this ... */
    int (*run)(struct gyr_worker_run *run, void *context);
    /* ... or a timer: called every interval_ms on a core's thread; it must not wait. 0: again. */
    int (*tick)(struct gyr_worker_run *run, struct gyr_core *core, void *context);
    uint32_t interval_ms; /* of tick: 1 ms to 24 days, from the end of one to the next */
    uint32_t core_index;  /* of tick */
    enum gyr_worker_failure on_failure;
    uint32_t restart_ms_min; /* GYR_WORKER_RESTART; 0: 100 */
    uint32_t restart_ms_max; /* 0: 30000 */
    uint32_t restarts_max;   /* that follow each other without a run as long as restart_ms_max; then
                                as GYR_WORKER_STOP; 0: no limit */
};

#define GYR_WORKER(name_text, function, ...)                          \
    {                                                                 \
        .name = name_text, .at = GYR_AT, .run = function, __VA_ARGS__ \
    }
#define GYR_WORKER_TIMER(name_text, function, every_ms, ...)                                    \
    {                                                                                           \
        .name = name_text, .at = GYR_AT, .tick = function, .interval_ms = every_ms, __VA_ARGS__ \
    }

/* ---- within a worker ------------------------------------------------------------------------- */

/* Any thread: has somebody asked this worker to stop? */
GYR_API bool gyr_worker_is_stopping(const struct gyr_worker_run *run);
/* A thread's worker: wait so long, or until it is asked to stop. False: stop now. */
GYR_API bool gyr_worker_sleep(struct gyr_worker_run *run, uint32_t duration_ms);
/* A descriptor that becomes readable when the worker is asked to stop: for poll(2). Not to be read
 * or closed. -1: there is none (a timer). */
GYR_API int gyr_worker_fd(const struct gyr_worker_run *run);
/* End a gyr_worker_sleep early, from any thread, as long as the worker runs: something is there to
 * do. It then returns true. */
GYR_API void gyr_worker_wake(struct gyr_worker_run *run);
/* Any thread: the server that it belongs to; NULL if none. */
GYR_API struct gyr_server *gyr_worker_server(const struct gyr_worker_run *run);
/* How often it was started before, since the controller's start. */
GYR_API uint32_t gyr_worker_restarts(const struct gyr_worker_run *run);

/* ---- tied to a server ------------------------------------------------------------------------ */

/* Before the server starts: workers that begin when all cores accept connections, and are asked to
 * stop by gyr_server_stop; gyr_server_wait returns when they have ended, at the latest when
 * shutdown_deadline_ms has passed since then; a worker that has not ended by that time is logged
 * and left behind, and its context must live on. The table and the context must live until then.
 * May be called several times. GYR_ERR_ARGUMENT with a line that names the worker and what is
 * wrong: none of the table was taken; GYR_ERR_STATE after the start; GYR_ERR_MEMORY. */
GYR_API GYR_MUST_CHECK int gyr_server_workers(struct gyr_server *server,
                                              const struct gyr_worker *table, void *context,
                                              struct gyr_error *error);

/* ---- on their own ---------------------------------------------------------------------------- */

/* A controller; `server` is for timers, logging and GYR_WORKER_STOP, and may be NULL if there are
 * none. It must outlive nothing but the server. GYR_ERR_MEMORY. */
GYR_API GYR_MUST_CHECK int gyr_workers_create(struct gyr_server *server,
                                              struct gyr_workers **workers);
/* Start all of a table, in its order, with one context. All or none: GYR_ERR_ARGUMENT for one that
 * is not usable, GYR_ERR_STATE if it has been started and not stopped, -errno if a thread cannot be
 * had, each with a line in `error`. */
GYR_API GYR_MUST_CHECK int gyr_workers_start(struct gyr_workers *workers,
                                             const struct gyr_worker *table, void *context,
                                             struct gyr_error *error);
/* Ask all to stop, and wait for them, at most deadline_ms. Returns 0; what the first in the table
 * that has failed returned, with its name in `error`; GYR_ERR_TIMEOUT if some have not ended, with
 * their names: they are left behind, and must find their context when they go on. It may then be
 * started again. 0 if it was not started. Any thread but a worker's and, with timers, a core's. */
GYR_API int gyr_workers_stop(struct gyr_workers *workers, uint32_t deadline_ms,
                             struct gyr_error *error);
/* Stopped before, or never started. */
GYR_API void gyr_workers_destroy(struct gyr_workers *workers);

#ifdef __cplusplus
}
#endif

#endif
