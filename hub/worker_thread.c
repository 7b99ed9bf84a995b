/* SPDX-License-Identifier: MIT */
/* A worker that is a thread. It exists before it may begin, so that a table is started as a whole
 * or not at all.
 *
 *     HELD --begin--> RUNNING --(failed, GYR_WORKER_RESTART)--> WAITING --(delay)--> RUNNING
 *       |                |                                         |
 *       +---- ask -------+--- its function has returned -----------+---- ask ----> ENDED */
#include "hub/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>

static void *thread_main(void *arg);
static bool thread_is_let_go(struct gyr_worker_run *run);
static bool thread_run(struct gyr_worker_run *run);

int worker_thread_prepare(struct gyr_worker_run *run)
{
    run->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (run->fd < 0) {
        return -errno;
    }
    /* It takes no signal: they are the host's. */
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    crew_ref(run->crew);
    pthread_mutex_lock(&run->lock); /* it waits until it can read its own `thread` */
    int err = pthread_create(&run->thread, NULL, thread_main, run);
    run->has_thread = err == 0;
    run->has_ended = err != 0;
    if (err == 0) {
        char name[16]; /* what pthread_setname_np takes */
        (void)snprintf(name, sizeof(name), "%s", run->worker.name);
        (void)pthread_setname_np(run->thread, name);
    }
    pthread_mutex_unlock(&run->lock);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (err != 0) {
        crew_unref(run->crew);
    }
    return -err;
}

void worker_thread_begin(struct gyr_worker_run *run)
{
    pthread_mutex_lock(&run->lock);
    run->may_begin = true;
    pthread_cond_broadcast(&run->change);
    pthread_mutex_unlock(&run->lock);
}

void worker_thread_ask(struct gyr_worker_run *run)
{
    pthread_mutex_lock(&run->lock);
    /* Partner: gyr_worker_is_stopping. */
    atomic_store_explicit(&run->is_stopping, true, memory_order_release);
    pthread_cond_broadcast(&run->change);
    pthread_mutex_unlock(&run->lock);
    /* Behind the flag: who polls this looks there next. */
    const int err = eventfd_write(run->fd, 1);
    ASSERT(err == 0);
}

static void *thread_main(void *arg)
{
    struct gyr_worker_run *run = arg;
    struct crew *crew = run->crew;
    if (thread_is_let_go(run)) {
        run->since_ns = worker_now_ns();
        while (thread_run(run)) {
            worker_begin_anew(run);
        }
    }
    worker_end(run);
    crew_unref(crew);
    return NULL;
}

/* Held until it may begin; false: it was asked to stop before. */
static bool thread_is_let_go(struct gyr_worker_run *run)
{
    pthread_mutex_lock(&run->lock);
    while (!run->may_begin && !gyr_worker_is_stopping(run)) {
        (void)worker_wait_until(run, UINT64_MAX);
    }
    pthread_mutex_unlock(&run->lock);
    return !gyr_worker_is_stopping(run);
}

/* Once, and the wait for the next time; false: there is none. */
static bool thread_run(struct gyr_worker_run *run)
{
    uint32_t delay_ms;
    int result = run->worker.run(run, run->context);
    if (result >= 0 || !worker_on_failure(run, result, &delay_ms)) {
        return false;
    }
    uint64_t end_ns = worker_now_ns() + (uint64_t)delay_ms * 1000000;
    pthread_mutex_lock(&run->lock);
    bool waits = true;
    while (waits && !gyr_worker_is_stopping(run)) {
        waits = worker_wait_until(run, end_ns);
    }
    pthread_mutex_unlock(&run->lock);
    return !gyr_worker_is_stopping(run);
}
