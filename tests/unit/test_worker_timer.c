/* SPDX-License-Identifier: MIT */
/* Workers that are calls on a core's thread: where and how often they run, and that none runs once
 * somebody was told that they have ended. On each ring. */
#include "hub/worker.h"

#include "tests/worker_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#define FOR_EVER UINT32_MAX

struct stage {
    struct worker_log log;
    struct worker_probe probe;
    struct gyr_server *server;
    struct gyr_workers *workers;
    struct gyr_error error;
    struct gyr_error tick_error; /* of tick_stop */
};

static void stage_init(struct stage *stage, enum gyr_ring ring, unsigned core_count)
{
    worker_log_init(&stage->log);
    worker_probe_init(&stage->probe);
    stage->error.text[0] = '\0';
    stage->server = worker_kit_server(ring, core_count, &stage->log, NULL);
    worker_kit_start(stage->server);
    CU_ASSERT_FATAL(gyr_workers_create(stage->server, &stage->workers) == 0);
}

static void stage_deinit(struct stage *stage)
{
    gyr_workers_destroy(stage->workers);
    kit_server_end(stage->server);
    worker_probe_deinit(&stage->probe);
    worker_log_deinit(&stage->log);
}

static void start(struct stage *stage, const struct gyr_worker *table, void *context)
{
    EXPECT_INT(gyr_workers_start(stage->workers, table, context, &stage->error), 0,
               stage->error.text);
}

/* Run a test on each ring. */
static void on_rings(unsigned core_count, void (*run)(struct stage *stage))
{
    if (!kit_server_possible(core_count)) {
        return;
    }
    for (enum gyr_ring ring = GYR_RING_URING; ring <= GYR_RING_EPOLL; ring++) {
        struct stage stage;
        stage_init(&stage, ring, core_count);
        run(&stage);
        stage_deinit(&stage);
    }
}

/* What has run on a core by then. */
static void core_pass(struct gyr_core *core, void *arg)
{
    (void)core;
    (void)sem_post(arg);
}

static void pass(struct stage *stage, unsigned core_index)
{
    sem_t passed;
    (void)sem_init(&passed, 0, 0);
    EXPECT_INT(gyr_post(stage->server, core_index, core_pass, &passed), 0, "posted");
    kit_wait(&passed);
    (void)sem_destroy(&passed);
}

/* ---- ticks ----------------------------------------------------------------------------------- */

struct place {
    sem_t ticked;
    _Atomic unsigned count;
    _Atomic unsigned core_index;
    _Atomic bool as_promised;
};

static int tick_look(struct gyr_worker_run *run, struct gyr_core *core, void *context)
{
    struct place *place = context;
    place->core_index = gyr_core_index(core);
    bool sleeps = gyr_worker_sleep(run, WORKER_KIT_HOUR_MS); /* it does not */
    place->as_promised = sleeps && gyr_worker_fd(run) == -1 && !gyr_worker_is_stopping(run) &&
                         gyr_worker_server(run) == gyr_core_server(core);
    place->count++;
    (void)sem_post(&place->ticked);
    return 0;
}

static void ticks_on_its_core(struct stage *stage)
{
    static const struct gyr_worker TABLES[2][2] = {
        {GYR_WORKER_TIMER("look", tick_look, 1, .core_index = 0), {0}},
        {GYR_WORKER_TIMER("look", tick_look, 1, .core_index = 1), {0}},
    };
    for (unsigned i = 0; i < 2; i++) {
        struct place place = {.count = 0};
        (void)sem_init(&place.ticked, 0, 0);
        start(stage, TABLES[i], &place);
        for (unsigned k = 0; k < 5; k++) {
            kit_wait(&place.ticked);
        }
        EXPECT_INT(place.core_index, i, "on the core that it asked for");
        EXPECT(place.as_promised, "no wait, no descriptor, its server");
        EXPECT_INT(gyr_workers_stop(stage->workers, FOR_EVER, &stage->error), 0, "ends");
        unsigned count = place.count;
        pass(stage, i);
        pass(stage, i);
        EXPECT_INT(place.count, count, "no tick follows");
        (void)sem_destroy(&place.ticked);
    }
}

void worker_timer_ticks_on_its_core_until_it_is_stopped(void)
{
    on_rings(2, ticks_on_its_core);
}

static void far_ticks_end(struct stage *stage)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER_TIMER("far", worker_kit_tick, WORKER_MS_MAX), {0}};
    for (unsigned round = 0; round < 50; round++) {
        start(stage, TABLE, &stage->probe);
        if (round % 2 == 0) {
            pass(stage, 0); /* otherwise it is stopped before it was armed, perhaps */
        }
        EXPECT_INT(gyr_workers_stop(stage->workers, FOR_EVER, &stage->error), 0, "at once");
    }
    EXPECT_INT(stage->probe.began_count, 0, "in 24 days");
}

void worker_timer_that_waits_ends_at_once(void)
{
    on_rings(1, far_ticks_end);
}

static void is_done(struct stage *stage)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER_TIMER("done", worker_kit_tick, 1, .on_failure = GYR_WORKER_RESTART),
        {0},
    };
    stage->probe.result = 1;
    start(stage, TABLE, &stage->probe);
    kit_wait(&stage->probe.began);
    pass(stage, 0);
    EXPECT_INT(gyr_workers_stop(stage->workers, FOR_EVER, &stage->error), 0, "no failure");
    EXPECT_INT(stage->probe.began_count, 1, "a positive number: once");
}

void worker_timer_that_is_done_ticks_no_more(void)
{
    on_rings(1, is_done);
}

/* ---- failures -------------------------------------------------------------------------------- */

static void fails(struct stage *stage)
{
    static const struct gyr_worker TABLE[] = {
        {.name = "fails", .at = "a.c:1", .tick = worker_kit_tick, .interval_ms = 1},
        {0},
    };
    stage->probe.result = -EPIPE;
    start(stage, TABLE, &stage->probe);
    worker_log_wait(&stage->log,
                    " error worker.failed worker=fails result=-32 error=\"Broken pipe\" "
                    "follows=nothing",
                    1);
    EXPECT_INT(gyr_workers_stop(stage->workers, FOR_EVER, &stage->error), -EPIPE, "and told");
    EXPECT(strcmp(stage->error.text, "worker \"fails\" (a.c:1): failed with -32: Broken pipe") == 0,
           stage->error.text);
    EXPECT_INT(stage->probe.began_count, 1, "once");
}

void worker_timer_that_fails_ends(void)
{
    on_rings(1, fails);
}

struct relapse {
    sem_t done;
    unsigned ticks;
    unsigned failures;
    uint32_t restarts;
};

/* Three failures, then three sound ticks. */
static int tick_relapse(struct gyr_worker_run *run, struct gyr_core *core, void *context)
{
    struct relapse *state = context;
    (void)core;
    state->restarts = gyr_worker_restarts(run);
    if (state->failures < 3) {
        state->failures++;
        return -EIO;
    }
    if (++state->ticks == 3) {
        (void)sem_post(&state->done);
    }
    return 0;
}

static void begins_anew(struct stage *stage)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER_TIMER("relapse", tick_relapse, 1, .on_failure = GYR_WORKER_RESTART,
                         .restart_ms_min = 1, .restart_ms_max = 30000),
        {0},
    };
    struct relapse state = {.ticks = 0};
    (void)sem_init(&state.done, 0, 0);
    start(stage, TABLE, &state);
    kit_wait(&state.done);
    EXPECT_INT(gyr_workers_stop(stage->workers, FOR_EVER, &stage->error), 0, "it is well again");
    EXPECT_INT(state.restarts, 3, "counted");
    for (unsigned delay = 1; delay <= 4; delay *= 2) {
        char text[80];
        (void)snprintf(text, sizeof(text), "result=-5 error=\"%s\" follows=restart delay_ms=%u",
                       gyr_strerror(-EIO), delay);
        EXPECT_INT(worker_log_count(&stage->log, text), 1, text);
    }
    (void)sem_destroy(&state.done);
}

void worker_timer_begins_anew_after_waits_that_double(void)
{
    on_rings(1, begins_anew);
}

static void waits_to_begin_anew(struct stage *stage)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER_TIMER("relapse", worker_kit_tick, 1, .on_failure = GYR_WORKER_RESTART,
                         .restart_ms_min = WORKER_MS_MAX, .restart_ms_max = WORKER_MS_MAX),
        {0},
    };
    stage->probe.result = -EIO;
    start(stage, TABLE, &stage->probe);
    worker_log_wait(&stage->log, "follows=restart", 1);
    EXPECT_INT(gyr_workers_stop(stage->workers, FOR_EVER, &stage->error), -EIO, "at once");
    EXPECT_INT(stage->probe.began_count, 1, "once");
}

void worker_timer_that_waits_to_begin_anew_ends_at_once(void)
{
    on_rings(1, waits_to_begin_anew);
}

/* ---- stop ------------------------------------------------------------------------------------ */

struct stopper {
    pthread_t thread;
    struct stage *stage;
    sem_t begins;
    _Atomic bool has_returned;
    int err;
};

static void *stop_main(void *arg)
{
    struct stopper *stopper = arg;
    (void)sem_post(&stopper->begins);
    stopper->err = gyr_workers_stop(stopper->stage->workers, FOR_EVER, NULL);
    atomic_store(&stopper->has_returned, true);
    return NULL;
}

static void waits_for_a_tick(struct stage *stage)
{
    static const struct gyr_worker TABLE[] = {GYR_WORKER_TIMER("slow", worker_kit_deaf_tick, 1),
                                              {0}};
    struct stopper stopper = {.stage = stage};
    (void)sem_init(&stopper.begins, 0, 0);
    start(stage, TABLE, &stage->probe);
    kit_wait(&stage->probe.began);
    CU_ASSERT_FATAL(pthread_create(&stopper.thread, NULL, stop_main, &stopper) == 0);
    kit_wait(&stopper.begins);
    while (!gyr_worker_is_stopping(stage->probe.run)) {
        (void)sched_yield();
    }
    EXPECT(!stopper.has_returned, "the tick still runs");
    (void)sem_post(&stage->probe.go);
    (void)pthread_join(stopper.thread, NULL);
    EXPECT_INT(stage->probe.ended_count, 1, "it has ended first");
    EXPECT_INT(stopper.err, 0, "well");
    pass(stage, 0);
    EXPECT_INT(stage->probe.began_count, 1, "no tick follows");
    (void)sem_destroy(&stopper.begins);
}

void worker_timer_stop_waits_for_a_tick_that_runs(void)
{
    on_rings(1, waits_for_a_tick);
}

static void left_behind(struct stage *stage)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER_TIMER("slow", worker_kit_deaf_tick, 1, .on_failure = GYR_WORKER_STOP), {0}};
    static const struct gyr_worker NEXT[] = {GYR_WORKER_TIMER("next", worker_kit_tick, 1), {0}};
    stage->probe.result = -EIO;
    start(stage, TABLE, &stage->probe);
    kit_wait(&stage->probe.began);
    EXPECT_INT(gyr_workers_stop(stage->workers, 0, &stage->error), GYR_ERR_TIMEOUT, "it hangs");
    EXPECT(strstr(stage->error.text, "\"slow\"") != NULL, stage->error.text);
    struct worker_probe probe;
    worker_probe_init(&probe);
    start(stage, NEXT, &probe);
    (void)sem_post(&stage->probe.go);
    kit_wait(&probe.began);
    EXPECT_INT(gyr_workers_stop(stage->workers, FOR_EVER, &stage->error), 0, "the next one ends");
    EXPECT_INT(stage->probe.began_count, 1, "the other has ended by itself");
    EXPECT(stage->probe.server == NULL, "it was left without a server");
    EXPECT_INT(worker_log_count(&stage->log, "worker.failed"), 0, "nobody asks for it any more");
    EXPECT_INT(worker_log_count(&stage->log, "core.stop"), 0, "it does not stop the server either");
    worker_probe_deinit(&probe);
}

void worker_timer_that_hangs_is_left_behind(void)
{
    on_rings(1, left_behind);
}

static int tick_stop(struct gyr_worker_run *run, struct gyr_core *core, void *context)
{
    struct stage *stage = context;
    (void)run;
    (void)core;
    int err = gyr_workers_stop(stage->workers, FOR_EVER, &stage->tick_error);
    (void)sem_post(&stage->probe.began);
    return err;
}

static void cannot_stop_itself(struct stage *stage)
{
    static const struct gyr_worker TABLE[] = {GYR_WORKER_TIMER("self", tick_stop, 1), {0}};
    start(stage, TABLE, stage);
    kit_wait(&stage->probe.began);
    EXPECT(strcmp(stage->tick_error.text,
                  "worker \"self\": it would wait for its own end; let another "
                  "thread call gyr_workers_stop") == 0,
           stage->tick_error.text);
    worker_log_wait(&stage->log, "worker.failed worker=self result=-5003", 1);
    EXPECT_INT(gyr_workers_stop(stage->workers, FOR_EVER, NULL), GYR_ERR_STATE, "its result");
}

void worker_timer_cannot_stop_its_own_controller(void)
{
    on_rings(1, cannot_stop_itself);
}

/* ---- ends of servers ------------------------------------------------------------------------- */

static void server_ends_first(struct stage *stage)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER_TIMER("a", worker_kit_tick, 1),
        GYR_WORKER_TIMER("b", worker_kit_tick, 1, .core_index = 1),
        {0},
    };
    start(stage, TABLE, &stage->probe);
    kit_wait(&stage->probe.began);
    gyr_server_stop(stage->server);
    gyr_server_wait(stage->server);
    unsigned count = stage->probe.began_count;
    EXPECT_INT(gyr_workers_stop(stage->workers, FOR_EVER, &stage->error), 0, "they have ended");
    EXPECT_INT(stage->probe.began_count, count, "none ticks without a core");
    start(stage, TABLE, &stage->probe);
    EXPECT_INT(gyr_workers_stop(stage->workers, FOR_EVER, &stage->error), 0, "nor begins");
    EXPECT_INT(stage->probe.began_count, count, "none ticks without a core");
}

void worker_timer_ends_with_its_core(void)
{
    on_rings(2, server_ends_first);
}

/* A core that is held when it has taken its last turn: what others send it from then on is opened
 * when its mailbox has closed already, or not at all. */
struct ending {
    struct worker_log log; /* first: service.user */
    sem_t reached;
    sem_t go;
};

static void log_and_wait(void *user, enum gyr_log_level level, struct gyr_span line)
{
    struct ending *ending = user;
    worker_kit_log(&ending->log, level, line);
    if (memmem(line.ptr, line.size, " core.end ", 10) != NULL) {
        (void)sem_post(&ending->reached);
        kit_wait(&ending->go);
    }
}

/* Timers of the service lie beside those of workers in the core's wheel. */
static int core_start_timer(struct gyr_core *core)
{
    struct gyr_timer *timer = gyr_core_data(core);
    gyr_timer_start(core, timer, WORKER_KIT_HOUR_MS, core_pass, NULL);
    return 0;
}

static void core_stop_timer(struct gyr_core *core)
{
    gyr_timer_stop(core, gyr_core_data(core));
}

static void change_ending(struct gyr_config *config, struct gyr_service *service)
{
    (void)config;
    service->on_log = log_and_wait;
    service->on_core_start = core_start_timer;
    service->on_core_stop = core_stop_timer;
    service->core_data_size = sizeof(struct gyr_timer);
}

void worker_timer_that_begins_while_its_core_ends_is_over_at_once(void)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER_TIMER("a", worker_kit_tick, WORKER_KIT_HOUR_MS),
        GYR_WORKER_TIMER("b", worker_kit_tick, WORKER_KIT_HOUR_MS),
        {0},
    };
    if (!kit_server_possible(1)) {
        return;
    }
    for (unsigned round = 0; round < 60; round++) {
        struct ending ending;
        struct worker_probe probe;
        struct gyr_workers *workers[2];
        worker_log_init(&ending.log);
        worker_probe_init(&probe);
        (void)sem_init(&ending.reached, 0, 0);
        (void)sem_init(&ending.go, 0, 0);
        struct gyr_server *server = worker_kit_server(
            round % 2 == 0 ? GYR_RING_URING : GYR_RING_EPOLL, 1, &ending.log, change_ending);
        CU_ASSERT_FATAL(gyr_workers_create(server, &workers[0]) == 0);
        CU_ASSERT_FATAL(gyr_workers_create(server, &workers[1]) == 0);
        worker_kit_start(server);
        EXPECT_INT(gyr_workers_start(workers[0], TABLE, &probe, NULL), 0, "while it runs");
        gyr_server_stop(server);
        kit_wait(&ending.reached);
        EXPECT_INT(gyr_workers_start(workers[1], TABLE, &probe, NULL), 0, "while it ends");
        (void)sem_post(&ending.go);
        for (unsigned i = 0; i < 2; i++) {
            struct gyr_error error = {""};
            EXPECT_INT(gyr_workers_stop(workers[(round + i) % 2], KIT_PATIENCE_S * 1000, &error), 0,
                       error.text);
        }
        EXPECT_INT(probe.began_count, 0, "an hour has not passed");
        gyr_workers_destroy(workers[0]);
        gyr_workers_destroy(workers[1]);
        gyr_server_wait(server);
        gyr_server_destroy(server);
        (void)sem_destroy(&ending.reached);
        (void)sem_destroy(&ending.go);
        worker_probe_deinit(&probe);
        worker_log_deinit(&ending.log);
    }
}

/* Start and stop while the server is told to stop: whatever comes first, all ends. */
void worker_timer_races_with_the_end_of_its_server(void)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER_TIMER("a", worker_kit_tick, 1),
        GYR_WORKER_TIMER("b", worker_kit_tick, 2),
        {0},
    };
    if (!kit_server_possible(1)) {
        return;
    }
    for (unsigned round = 0; round < 40; round++) {
        struct stage stage;
        stage_init(&stage, round % 2 == 0 ? GYR_RING_URING : GYR_RING_EPOLL, 1);
        start(&stage, TABLE, &stage.probe);
        struct stopper stopper = {.stage = &stage};
        (void)sem_init(&stopper.begins, 0, 0);
        if (round % 4 < 2) {
            kit_wait(&stage.probe.began);
        }
        CU_ASSERT_FATAL(pthread_create(&stopper.thread, NULL, stop_main, &stopper) == 0);
        if (round % 3 == 0) {
            kit_wait(&stopper.begins);
        }
        gyr_server_stop(stage.server);
        (void)pthread_join(stopper.thread, NULL);
        EXPECT_INT(stopper.err, 0, "ends");
        (void)sem_destroy(&stopper.begins);
        stage_deinit(&stage);
    }
}
