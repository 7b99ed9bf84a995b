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

/* What follows when a worker fails: when its function returns a negative number. That is logged at
 * once in any case (worker.failed). Nothing follows once it was asked to stop. */
enum gyr_worker_failure {
    GYR_WORKER_LOG,     /* nothing else; the others go on */
    GYR_WORKER_RESTART, /* it begins anew, after a while that doubles each time it fails soon */
    GYR_WORKER_STOP,    /* gyr_server_stop */
};

/* An entry of a table, which ends with {0}. Names are 1 to 64 bytes, each once in a table; a thread
 * is called by the first 15. What a worker has no use for stays 0. */
struct gyr_worker {
    const char *name; /* NULL ends a table */
    const char *at;   /* where it was declared: GYR_AT; or NULL */
    /* A thread, which takes no signals: runs until gyr_worker_is_stopping, or until it is done (0
     * or more). Either this ... */
    int (*run)(struct gyr_worker_run *run, void *context);
    /* ... or a timer: called every interval_ms on a core's thread; it must not wait. 0: again;
     * more: it is done. */
    int (*tick)(struct gyr_worker_run *run, struct gyr_core *core, void *context);
    uint32_t interval_ms; /* of tick: 1 ms to 24 days, from the end of one to the next */
    uint32_t core_index;  /* of tick */
    enum gyr_worker_failure on_failure;
    uint32_t restart_ms_min; /* GYR_WORKER_RESTART: the first wait; 0: 100 */
    uint32_t restart_ms_max; /* the longest; a run as long as this makes the next wait the first
                                again; 0: 30000 */
    uint32_t restarts_max;   /* that follow each other without such a run; then as GYR_WORKER_STOP;
                                0: no limit */
};

/* Entries: GYR_WORKER("name", function) and GYR_WORKER_TIMER("name", function, every_ms), behind
 * which more fields may follow, in the order above: .on_failure = GYR_WORKER_STOP. */
#define GYR_WORKER(name_text, ...)                          \
    {                                                       \
        .name = name_text, .at = GYR_AT, .run = __VA_ARGS__ \
    }
#define GYR_WORKER_TIMER(name_text, function, ...)                                    \
    {                                                                                 \
        .name = name_text, .at = GYR_AT, .tick = function, .interval_ms = __VA_ARGS__ \
    }

/* ---- within a worker ------------------------------------------------------------------------- */

/* Any thread, as long as the worker runs: has somebody asked it to stop? */
GYR_API bool gyr_worker_is_stopping(const struct gyr_worker_run *run);
/* A thread's worker: wait so long, or until it is asked to stop. False: stop now. (A timer's does
 * not wait.) */
GYR_API bool gyr_worker_sleep(struct gyr_worker_run *run, uint32_t duration_ms);
/* A descriptor that becomes readable when the worker is asked to stop, and stays so: for poll(2).
 * Not to be read or closed. -1: there is none (a timer). */
GYR_API int gyr_worker_fd(const struct gyr_worker_run *run);
/* End a gyr_worker_sleep early, from any thread, as long as the worker runs: something is there to
 * do. It then returns true. If none is under way the next one returns at once. */
GYR_API void gyr_worker_wake(struct gyr_worker_run *run);
/* Any thread, as long as the worker runs: the server that it belongs to; NULL if there is none, and
 * once it has been left behind. */
GYR_API struct gyr_server *gyr_worker_server(const struct gyr_worker_run *run);
/* How often it began anew since the controller's start. */
GYR_API uint32_t gyr_worker_restarts(const struct gyr_worker_run *run);

/* ---- tied to a server ------------------------------------------------------------------------ */

/* Before the server starts: workers that begin when all cores accept connections, and are asked to
 * stop by gyr_server_stop; gyr_server_wait returns when they have ended, at the latest when
 * shutdown_deadline_ms has passed since then. A worker that has not ended by that time is logged
 * (worker.left) and left behind: it goes on, so its code and its context must live on, but not the
 * server. Otherwise the table and the context must live until gyr_server_wait returns, or
 * gyr_server_destroy without it. If one cannot begin (no thread, no descriptor) the server does not
 * start, and none has begun. May be called several times, for several tables. GYR_ERR_ARGUMENT with
 * a line that names the worker and what is wrong: none of the table was taken; GYR_ERR_STATE after
 * the start; GYR_ERR_MEMORY. */
GYR_API GYR_MUST_CHECK int gyr_server_workers(struct gyr_server *server,
                                              const struct gyr_worker *table, void *context,
                                              struct gyr_error *error);

/* ---- on their own ---------------------------------------------------------------------------- */

/* A controller; `server` is for timers, logging and GYR_WORKER_STOP, and may be NULL if a table has
 * neither timers nor GYR_WORKER_STOP nor restarts_max: then nothing is logged. The server must live
 * until gyr_workers_stop has returned. GYR_ERR_MEMORY. */
GYR_API GYR_MUST_CHECK int gyr_workers_create(struct gyr_server *server,
                                              struct gyr_workers **workers);
/* Start all of a table, in its order (which of two threads then comes first is for the scheduler to
 * say), with one context. All or none: GYR_ERR_ARGUMENT for one that is not usable; GYR_ERR_STATE
 * if it has been started and not stopped, and for timers of a server that has not been started;
 * -errno if a thread or descriptor cannot be had; GYR_ERR_MEMORY; each with a line in `error`. A
 * table without workers leaves it as it was. Timers end with the server's cores, at the latest. */
GYR_API GYR_MUST_CHECK int gyr_workers_start(struct gyr_workers *workers,
                                             const struct gyr_worker *table, void *context,
                                             struct gyr_error *error);
/* Ask all to stop, and wait for them, at most deadline_ms: a tick that runs is waited for, and none
 * follows. Returns 0; what the first in the table that has failed returned (and has not begun anew
 * since), with its name in `error`; GYR_ERR_TIMEOUT if some have not ended, with their names: they
 * are left behind, and must find their context when they go on. In each of these cases it may be
 * started again. 0 if it was not started, and, once it has ended, for who calls this while another
 * thread does. Any thread; but GYR_ERR_STATE, and nothing has changed, on the thread of one of its
 * own workers and on a core that has one of its timers: they would wait for themselves. */
GYR_API int gyr_workers_stop(struct gyr_workers *workers, uint32_t deadline_ms,
                             struct gyr_error *error);
/* Stopped before, or never started. NULL is allowed. */
GYR_API void gyr_workers_destroy(struct gyr_workers *workers);

#ifdef __cplusplus
}
#endif

#endif
