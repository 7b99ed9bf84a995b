/* SPDX-License-Identifier: MIT */
/* Workers that start and stop together. A crew is counted: its owner keeps it, and so does each
 * thread, timer and letter of it; so who is left behind finds what it still looks at. */
#include "hub/worker.h"

#include <unistd.h>

static int run_prepare(struct gyr_worker_run *run);
static bool run_leave(struct gyr_worker_run *run, uint64_t end_ns);
static bool is_thread(const struct gyr_worker_run *run);

struct crew *crew_create(struct gyr_server *server, const struct gyr_worker *table, unsigned count,
                         void *context)
{
    struct crew *crew = memory_alloc(sizeof(*crew) + count * sizeof(crew->runs[0]));
    if (crew == NULL) {
        return NULL;
    }
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    atomic_store_explicit(&crew->count, 1, memory_order_relaxed);
    crew->run_count = count;
    for (unsigned i = 0; i < count; i++) {
        struct gyr_worker_run *run = &crew->runs[i];
        run->crew = crew;
        run->server = server;
        run->worker = table[i];
        run->context = context;
        run->fd = -1;
        run->has_ended = true; /* until it is prepared */
        if (run->worker.restart_ms_min == 0) {
            run->worker.restart_ms_min = WORKER_RESTART_MS_MIN;
        }
        if (run->worker.restart_ms_max == 0) {
            run->worker.restart_ms_max = WORKER_RESTART_MS_MAX;
        }
        pthread_mutex_init(&run->lock, NULL);
        pthread_cond_init(&run->change, &attributes);
    }
    (void)pthread_condattr_destroy(&attributes);
    return crew;
}

void crew_ref(struct crew *crew)
{
    atomic_fetch_add_explicit(&crew->count, 1, memory_order_relaxed);
}

void crew_unref(struct crew *crew)
{
    /* Partner: itself; the last one sees all that the others have done. */
    if (atomic_fetch_sub_explicit(&crew->count, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (unsigned i = 0; i < crew->run_count; i++) {
        struct gyr_worker_run *run = &crew->runs[i];
        ASSERT(run->has_ended && !run->is_armed);
        if (run->fd >= 0) {
            (void)close(run->fd);
        }
        memory_free(run->begin_letter);
        memory_free(run->end_letter);
        pthread_cond_destroy(&run->change);
        pthread_mutex_destroy(&run->lock);
    }
    memory_free(crew);
}

static bool is_thread(const struct gyr_worker_run *run)
{
    return run->worker.run != NULL;
}

int crew_prepare(struct crew *crew, struct gyr_error *error)
{
    for (unsigned i = 0; i < crew->run_count; i++) {
        struct gyr_worker_run *run = &crew->runs[i];
        int err = run_prepare(run);
        if (err < 0) {
            error_write(error, "worker \"%s\"%s: it cannot begin: %s%s", run->worker.name,
                        worker_place(&run->worker).text, gyr_strerror(err), error_advice(err));
            crew_ask(crew);
            (void)crew_wait(crew, UINT64_MAX); /* none has begun */
            return err;
        }
    }
    return 0;
}

static int run_prepare(struct gyr_worker_run *run)
{
    return is_thread(run) ? worker_thread_prepare(run) : worker_timer_prepare(run);
}

void crew_begin(struct crew *crew)
{
    for (unsigned i = 0; i < crew->run_count; i++) {
        struct gyr_worker_run *run = &crew->runs[i];
        if (is_thread(run)) {
            worker_thread_begin(run);
        } else {
            worker_timer_begin(run);
        }
    }
}

void crew_ask(struct crew *crew)
{
    for (unsigned i = 0; i < crew->run_count; i++) {
        struct gyr_worker_run *run = &crew->runs[i];
        pthread_mutex_lock(&run->lock);
        bool is_asked = gyr_worker_is_stopping(run) || (run->has_ended && !run->has_thread);
        pthread_mutex_unlock(&run->lock);
        if (is_asked) {
            continue;
        }
        if (is_thread(run)) {
            worker_thread_ask(run);
        } else {
            worker_timer_ask(run);
        }
    }
}

unsigned crew_wait(struct crew *crew, uint64_t end_ns)
{
    unsigned left_count = 0;
    for (unsigned i = 0; i < crew->run_count; i++) {
        left_count += run_leave(&crew->runs[i], end_ns);
    }
    return left_count;
}

/* Wait for the end of one; false: it has come, or it was left behind before. Otherwise it is left
 * behind now. */
static bool run_leave(struct gyr_worker_run *run, uint64_t end_ns)
{
    if (atomic_load_explicit(&run->is_left, memory_order_relaxed)) {
        return false;
    }
    pthread_mutex_lock(&run->lock);
    bool waits = true;
    while (!run->has_ended && waits) {
        waits = worker_wait_until(run, end_ns);
    }
    while (!run->has_ended && run->is_busy) {
        /* Whatever the time: it does not wait while it uses the server. */
        (void)worker_wait_until(run, UINT64_MAX);
    }
    bool is_left = !run->has_ended;
    /* Partner: gyr_worker_server. */
    atomic_store_explicit(&run->is_left, is_left, memory_order_release);
    bool has_thread = run->has_thread && is_thread(run);
    run->has_thread = false;
    pthread_mutex_unlock(&run->lock);
    if (has_thread && is_left) {
        (void)pthread_detach(run->thread);
    } else if (has_thread) {
        (void)pthread_join(run->thread, NULL); /* it has nothing left to do */
    }
    return is_left;
}
