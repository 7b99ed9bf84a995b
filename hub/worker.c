/* SPDX-License-Identifier: MIT */
/* One worker: what it may call, and what follows when it fails. Whether it is a thread or a timer
 * makes no difference here.
 *
 * A worker may be left behind by who could wait no longer. From then on it must not touch the
 * server, which may be gone: what it needs the server for is done between server_borrow and
 * server_return, and nobody leaves it behind meanwhile. */
#include "hub/worker.h"

#include <time.h>

static bool server_borrow(struct gyr_worker_run *run);
static void server_return(struct gyr_worker_run *run);
static enum gyr_worker_failure failure_follows(struct gyr_worker_run *run);
static void failure_log(const struct gyr_worker_run *run, int err, enum gyr_worker_failure follows);

uint64_t worker_now_ns(void)
{
    struct timespec time;
    const int err = clock_gettime(CLOCK_MONOTONIC, &time);
    ASSERT(err == 0);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* ---- within a worker ------------------------------------------------------------------------- */

bool gyr_worker_is_stopping(const struct gyr_worker_run *run)
{
    /* Partner: worker_thread_ask, worker_timer_ask. */
    return atomic_load_explicit(&run->is_stopping, memory_order_acquire);
}

bool gyr_worker_sleep(struct gyr_worker_run *run, uint32_t duration_ms)
{
    if (run->worker.run == NULL) {
        return !gyr_worker_is_stopping(run); /* a timer must not wait */
    }
    uint64_t end_ns = worker_now_ns() + (uint64_t)duration_ms * 1000000;
    pthread_mutex_lock(&run->lock);
    bool waits = true;
    while (waits && !run->is_woken && !gyr_worker_is_stopping(run)) {
        waits = worker_wait_until(run, end_ns);
    }
    run->is_woken = false;
    pthread_mutex_unlock(&run->lock);
    return !gyr_worker_is_stopping(run);
}

bool worker_wait_until(struct gyr_worker_run *run, uint64_t end_ns)
{
    if (end_ns == UINT64_MAX) {
        pthread_cond_wait(&run->change, &run->lock);
        return true;
    }
    struct timespec end = {.tv_sec = (time_t)(end_ns / 1000000000),
                           .tv_nsec = (long)(end_ns % 1000000000)};
    return pthread_cond_timedwait(&run->change, &run->lock, &end) == 0;
}

int gyr_worker_fd(const struct gyr_worker_run *run)
{
    return run->fd;
}

void gyr_worker_wake(struct gyr_worker_run *run)
{
    pthread_mutex_lock(&run->lock);
    run->is_woken = true;
    pthread_cond_broadcast(&run->change);
    pthread_mutex_unlock(&run->lock);
}

struct gyr_server *gyr_worker_server(const struct gyr_worker_run *run)
{
    /* Partner: run_leave. */
    return atomic_load_explicit(&run->is_left, memory_order_acquire) ? NULL : run->server;
}

uint32_t gyr_worker_restarts(const struct gyr_worker_run *run)
{
    return atomic_load_explicit(&run->restarts, memory_order_relaxed);
}

/* ---- failures -------------------------------------------------------------------------------- */

bool worker_on_failure(struct gyr_worker_run *run, int err, uint32_t *delay_ms)
{
    enum gyr_worker_failure follows = failure_follows(run);
    pthread_mutex_lock(&run->lock);
    run->err = err;
    pthread_mutex_unlock(&run->lock);
    if (server_borrow(run)) {
        failure_log(run, err, follows);
        if (follows == GYR_WORKER_STOP) {
            gyr_server_stop(run->server);
        }
        server_return(run);
    }
    *delay_ms = run->restart_ms;
    return follows == GYR_WORKER_RESTART;
}

/* What it asked for, unless it is stopping anyway or has begun anew too often. */
static enum gyr_worker_failure failure_follows(struct gyr_worker_run *run)
{
    const struct gyr_worker *worker = &run->worker;
    if (gyr_worker_is_stopping(run)) {
        return GYR_WORKER_LOG;
    }
    if (worker->on_failure != GYR_WORKER_RESTART) {
        return worker->on_failure;
    }
    if (worker_now_ns() - run->since_ns >= (uint64_t)worker->restart_ms_max * 1000000) {
        run->restart_count = 0;
    }
    if (worker->restarts_max != 0 && run->restart_count == worker->restarts_max) {
        return GYR_WORKER_STOP;
    }
    uint64_t twice_ms = (uint64_t)run->restart_ms * 2;
    run->restart_ms = run->restart_count == 0
                          ? worker->restart_ms_min
                          : (uint32_t)MIN(twice_ms, (uint64_t)worker->restart_ms_max);
    run->restart_count++;
    return GYR_WORKER_RESTART;
}

static void failure_log(const struct gyr_worker_run *run, int err, enum gyr_worker_failure follows)
{
    static const char *const FOLLOWS[] = {
        [GYR_WORKER_LOG] = "nothing",
        [GYR_WORKER_RESTART] = "restart",
        [GYR_WORKER_STOP] = "stop",
    };
    struct log_line line;
    if (!engine_server_log_begin(run->server, GYR_LOG_ERROR, "worker.failed", &line)) {
        return;
    }
    log_text(&line, "worker", run->worker.name);
    log_signed(&line, "result", err);
    log_text(&line, "error", gyr_strerror(err));
    log_text(&line, "follows", FOLLOWS[follows]);
    if (follows == GYR_WORKER_RESTART) {
        log_number(&line, "delay_ms", run->restart_ms);
    }
    engine_server_log_end(run->server, &line);
}

void worker_begin_anew(struct gyr_worker_run *run)
{
    pthread_mutex_lock(&run->lock);
    run->err = 0;
    pthread_mutex_unlock(&run->lock);
    atomic_fetch_add_explicit(&run->restarts, 1, memory_order_relaxed);
    run->since_ns = worker_now_ns();
}

void worker_end(struct gyr_worker_run *run)
{
    pthread_mutex_lock(&run->lock);
    run->has_ended = true;
    pthread_cond_broadcast(&run->change);
    pthread_mutex_unlock(&run->lock);
}

/* May it use its server now? Then server_return follows. */
static bool server_borrow(struct gyr_worker_run *run)
{
    pthread_mutex_lock(&run->lock);
    bool may = gyr_worker_server(run) != NULL;
    run->is_busy = may;
    pthread_mutex_unlock(&run->lock);
    return may;
}

static void server_return(struct gyr_worker_run *run)
{
    pthread_mutex_lock(&run->lock);
    run->is_busy = false;
    pthread_cond_broadcast(&run->change);
    pthread_mutex_unlock(&run->lock);
}
