/* SPDX-License-Identifier: MIT */
/* A worker that is a call on a core's thread, again and again. It begins and ends by letters to
 * that core, which come between two ticks; a tick that was due when it was asked to stop does not
 * run. A core that ends takes no letter any more: it ends its timers by itself, for only its own
 * thread may take them out of its wheel, where others lie beside them.
 *
 * The crew is kept once while the timer is armed, and once for each letter on its way. */
#include "hub/hub.h"
#include "hub/worker.h"

static void letter_begin(struct gyr_core *core, void *arg);
static void letter_end(struct gyr_core *core, void *arg);
static void timer_arm(struct gyr_worker_run *run, struct gyr_core *core, uint32_t delay_ms);
static void timer_tick(struct gyr_core *core, void *arg);
static void timer_end(struct gyr_worker_run *run);

int worker_timer_prepare(struct gyr_worker_run *run)
{
    if (!engine_server_is_made(run->server)) {
        return GYR_ERR_STATE;
    }
    run->core = engine_server_core(run->server, run->worker.core_index);
    run->begin_letter = memory_alloc(sizeof(*run->begin_letter));
    run->end_letter = memory_alloc(sizeof(*run->end_letter));
    if (run->begin_letter == NULL || run->end_letter == NULL) {
        return GYR_ERR_MEMORY;
    }
    run->has_ended = false;
    return 0;
}

void worker_timer_begin(struct gyr_worker_run *run)
{
    run->may_begin = true;
    crew_ref(run->crew);
    if (engine_core_give(run->core, run->begin_letter, letter_begin, run) < 0) {
        worker_end(run); /* the core has ended */
        crew_unref(run->crew);
        return;
    }
    run->begin_letter = NULL;
}

void worker_timer_ask(struct gyr_worker_run *run)
{
    pthread_mutex_lock(&run->lock);
    /* Partner: gyr_worker_is_stopping. */
    atomic_store_explicit(&run->is_stopping, true, memory_order_release);
    bool is_over = run->has_ended;
    run->has_ended = is_over || !run->may_begin;
    pthread_mutex_unlock(&run->lock);
    if (is_over || !run->may_begin) {
        return;
    }
    crew_ref(run->crew);
    if (engine_core_give(run->core, run->end_letter, letter_end, run) == 0) {
        run->end_letter = NULL;
    } else {
        crew_unref(run->crew); /* the core ends, and this with it: worker_timers_end */
    }
}

static void letter_begin(struct gyr_core *core, void *arg)
{
    struct gyr_worker_run *run = arg;
    struct hub_core *hub_core = hub_of_core(core);
    if (hub_core->ended) {
        struct crew *crew = run->crew; /* the core has failed to start */
        worker_end(run);
        crew_unref(crew);
        return;
    }
    pthread_mutex_lock(&run->lock);
    run->thread = pthread_self();
    run->has_thread = true;
    pthread_mutex_unlock(&run->lock);
    run->since_ns = worker_now_ns();
    /* The count that came with this letter is the timer's from here on. */
    run->is_armed = true;
    list_push_back(&hub_core->worker_timers, &run->core_link);
    timer_arm(run, core, run->worker.interval_ms);
}

static void letter_end(struct gyr_core *core, void *arg)
{
    struct gyr_worker_run *run = arg;
    struct crew *crew = run->crew;
    if (run->is_armed) {
        gyr_timer_stop(core, &run->timer);
        timer_end(run);
    }
    crew_unref(crew);
}

void worker_timers_end(struct hub_core *core)
{
    while (!list_is_empty(&core->worker_timers)) {
        struct gyr_worker_run *run =
            CONTAINER_OF(core->worker_timers.next, struct gyr_worker_run, core_link);
        gyr_timer_stop(core->core, &run->timer);
        timer_end(run);
    }
}

static void timer_arm(struct gyr_worker_run *run, struct gyr_core *core, uint32_t delay_ms)
{
    gyr_timer_start(core, &run->timer, delay_ms, timer_tick, run);
}

static void timer_tick(struct gyr_core *core, void *arg)
{
    struct gyr_worker_run *run = arg;
    if (gyr_worker_is_stopping(run)) {
        timer_end(run);
        return;
    }
    if (run->is_anew) {
        run->is_anew = false;
        worker_begin_anew(run);
    }
    int result = run->worker.tick(run, core, run->context);
    uint32_t delay_ms = run->worker.interval_ms;
    if (result < 0) {
        run->is_anew = worker_on_failure(run, result, &delay_ms);
    }
    if (result == 0 || run->is_anew) {
        timer_arm(run, core, delay_ms);
    } else {
        timer_end(run);
    }
}

static void timer_end(struct gyr_worker_run *run)
{
    struct crew *crew = run->crew;
    list_remove(&run->core_link);
    run->is_armed = false;
    worker_end(run);
    crew_unref(crew);
}
