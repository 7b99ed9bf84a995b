/* SPDX-License-Identifier: MIT */
/* Workers that live with a server: when they begin and end, what their failures do to it, and who
 * is left behind. On each ring, where it matters. */
#include "hub/worker.h"

#include "tests/worker_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct stage {
    struct worker_log log;
    struct worker_probe probe;
    struct gyr_server *server;
    struct gyr_error error;
};

static void stage_init(struct stage *stage, enum gyr_ring ring, unsigned core_count,
                       void (*change)(struct gyr_config *config, struct gyr_service *service))
{
    worker_log_init(&stage->log);
    worker_probe_init(&stage->probe);
    stage->error.text[0] = '\0';
    stage->server = worker_kit_server(ring, core_count, &stage->log, change);
}

static void stage_deinit(struct stage *stage)
{
    worker_probe_deinit(&stage->probe);
    worker_log_deinit(&stage->log);
}

static void take(struct stage *stage, const struct gyr_worker *table)
{
    EXPECT_INT(gyr_server_workers(stage->server, table, &stage->probe, &stage->error), 0,
               stage->error.text);
}

static void on_rings(unsigned core_count, void (*run)(struct stage *stage),
                     void (*change)(struct gyr_config *config, struct gyr_service *service))
{
    if (!kit_server_possible(core_count)) {
        return;
    }
    for (enum gyr_ring ring = GYR_RING_URING; ring <= GYR_RING_EPOLL; ring++) {
        struct stage stage;
        stage_init(&stage, ring, core_count, change);
        run(&stage);
        stage_deinit(&stage);
    }
}

static const struct gyr_worker SLEEPER[] = {GYR_WORKER("sleeper", worker_kit_sleeper), {0}};

/* ---- begin and end --------------------------------------------------------------------------- */

static void several_tables(struct stage *stage)
{
    static const struct gyr_worker EMPTY[] = {{0}};
    static const struct gyr_worker MORE[] = {
        GYR_WORKER("sleeper", worker_kit_sleeper),
        GYR_WORKER_TIMER("tick", worker_kit_tick, 1, .core_index = 1),
        {0},
    };
    struct worker_probe more;
    worker_probe_init(&more);
    take(stage, SLEEPER);
    take(stage, EMPTY);
    EXPECT_INT(gyr_server_workers(stage->server, MORE, &more, &stage->error), 0, "another table");
    EXPECT_INT(worker_kit_threads("sleeper"), 0, "nothing begins before the server does");
    worker_kit_start(stage->server);
    kit_wait(&stage->probe.began);
    kit_wait(&more.began);
    kit_wait(&more.began);
    kit_wait(&more.began); /* one was the thread; ticks go on */
    EXPECT(stage->probe.server == stage->server, "it knows its server");
    gyr_server_stop(stage->server);
    gyr_server_wait(stage->server);
    EXPECT_INT(stage->probe.ended_count, 1, "ended before that returned");
    EXPECT(more.ended_count == more.began_count, "all of them");
    unsigned count = more.began_count;
    gyr_server_wait(stage->server); /* again */
    gyr_server_destroy(stage->server);
    EXPECT_INT(more.began_count, count, "and for good");
    EXPECT_INT(worker_log_count(&stage->log, "worker."), 0, "nothing to be said");
    worker_probe_deinit(&more);
}

void worker_server_runs_several_tables_from_its_start_to_its_end(void)
{
    on_rings(2, several_tables, NULL);
}

static void never_started(struct stage *stage)
{
    take(stage, SLEEPER);
    gyr_server_wait(stage->server); /* returns at once */
    gyr_server_destroy(stage->server);
    EXPECT_INT(stage->probe.began_count, 0, "none has begun");
}

void worker_server_that_never_starts_has_none(void)
{
    on_rings(1, never_started, NULL);
}

struct host {
    pthread_t thread;
    struct gyr_server *server;
    unsigned index;
    int result;
};

static void *host_main(void *arg)
{
    struct host *host = arg;
    host->result = gyr_server_run_core(host->server, host->index, NULL);
    return NULL;
}

/* Leaves time to whoever does not wait for it. */
static int end_slowly(struct gyr_worker_run *run, void *context)
{
    (void)sem_post(&((struct worker_probe *)context)->began);
    while (gyr_worker_sleep(run, WORKER_KIT_HOUR_MS)) {
    }
    for (unsigned i = 0; i < 5000; i++) {
        (void)sched_yield();
    }
    return worker_kit_sleeper(run, context);
}

static void hosted(struct stage *stage)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER("sleeper", worker_kit_sleeper), GYR_WORKER("slow", end_slowly), {0}};
    struct host hosts[2];
    take(stage, TABLE);
    for (unsigned i = 0; i < 2; i++) {
        EXPECT_INT(stage->probe.began_count, 0, "not before all cores run");
        hosts[i] = (struct host){.server = stage->server, .index = i};
        CU_ASSERT_FATAL(pthread_create(&hosts[i].thread, NULL, host_main, &hosts[i]) == 0);
    }
    kit_wait(&stage->probe.began);
    kit_wait(&stage->probe.began);
    gyr_server_stop(stage->server);
    for (unsigned i = 0; i < 2; i++) {
        (void)pthread_join(hosts[i].thread, NULL);
        EXPECT_INT(hosts[i].result, 0, "ended well");
    }
    gyr_server_destroy(stage->server); /* nobody has called gyr_server_wait */
    EXPECT_INT(stage->probe.ended_count, 2, "they were waited for all the same");
}

void worker_server_on_threads_of_the_host_has_them_too(void)
{
    on_rings(2, hosted, NULL);
}

/* ---- starts that fail ------------------------------------------------------------------------ */

static int core_fails(struct gyr_core *core)
{
    return gyr_core_index(core) == gyr_server_core_count(gyr_core_server(core)) - 1 ? -ENOENT : 0;
}

static void change_core_fails(struct gyr_config *config, struct gyr_service *service)
{
    (void)config;
    service->on_core_start = core_fails;
}

static void start_fails(struct stage *stage)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER("sleeper", worker_kit_sleeper),
        GYR_WORKER_TIMER("tick", worker_kit_tick, 1),
        {0},
    };
    take(stage, TABLE);
    EXPECT_INT(gyr_server_start(stage->server, &stage->error), -ENOENT, "a core does not begin");
    gyr_server_destroy(stage->server);
    EXPECT_INT(stage->probe.began_count, 0, "so none of them has");
    worker_kit_gone("sleeper");
}

void worker_server_that_fails_to_start_has_none(void)
{
    on_rings(1, start_fails, change_core_fails);
    on_rings(2, start_fails, change_core_fails);
}

static int core_takes_all(struct gyr_core *core)
{
    /* Room for one more descriptor when workers are made. */
    (void)core;
    int next = dup(0);
    struct rlimit tight;
    (void)getrlimit(RLIMIT_NOFILE, &tight);
    tight.rlim_cur = (rlim_t)next + 1;
    (void)close(next);
    return setrlimit(RLIMIT_NOFILE, &tight);
}

static void change_core_takes_all(struct gyr_config *config, struct gyr_service *service)
{
    (void)config;
    service->on_core_start = core_takes_all;
}

static void worker_fails_to_begin(struct stage *stage)
{
    static const struct gyr_worker TABLE[] = {
        {.name = "none", .at = "a.c:9", .run = worker_kit_sleeper},
        {0},
    };
    unsigned threads = worker_kit_threads("sleeper");
    struct rlimit old;
    CU_ASSERT_FATAL(getrlimit(RLIMIT_NOFILE, &old) == 0);
    take(stage, SLEEPER);
    take(stage, TABLE);
    take(stage, SLEEPER);
    int err = gyr_server_start(stage->server, &stage->error);
    (void)setrlimit(RLIMIT_NOFILE, &old);
    EXPECT_INT(err, -EMFILE, "a worker cannot begin: nor does the server");
    static const char LINE[] = "worker \"none\" (a.c:9): it cannot begin: Too many open files";
    EXPECT(strncmp(stage->error.text, LINE, sizeof(LINE) - 1) == 0, stage->error.text);
    gyr_server_destroy(stage->server);
    EXPECT_INT(stage->probe.began_count, 0, "none has begun");
    EXPECT_INT(threads, 0, "nor before");
    worker_kit_gone("sleeper");
}

void worker_server_does_not_start_without_its_workers(void)
{
    on_rings(1, worker_fails_to_begin, change_core_takes_all);
}

/* ---- failures -------------------------------------------------------------------------------- */

static void failure_stops(struct stage *stage)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER("vital", worker_kit_deaf, .on_failure = GYR_WORKER_STOP),
        GYR_WORKER("sleeper", worker_kit_sleeper, .on_failure = GYR_WORKER_RESTART,
                   .restart_ms_min = 1),
        {0},
    };
    stage->probe.result = -EIO;
    take(stage, TABLE);
    worker_kit_start(stage->server);
    kit_wait(&stage->probe.began);
    kit_wait(&stage->probe.began);
    (void)sem_post(&stage->probe.go);
    gyr_server_wait(stage->server); /* nobody else stops it */
    EXPECT_INT(worker_log_count(&stage->log, "worker.failed worker=vital result=-5"), 1, "logged");
    EXPECT_INT(worker_log_count(&stage->log, "follows=stop"), 1, "with what follows");
    /* The other fails too, by `result`, when it was asked to stop: nothing follows. */
    EXPECT_INT(worker_log_count(&stage->log, "worker=sleeper result=-5"), 1, "logged");
    EXPECT_INT(worker_log_count(&stage->log, "follows=nothing"), 1, "with what follows");
    EXPECT_INT(stage->probe.began_count, 2, "it does not begin anew either");
    gyr_server_destroy(stage->server);
}

void worker_server_is_stopped_by_a_worker_that_it_cannot_do_without(void)
{
    on_rings(1, failure_stops, NULL);
}

static void restarts_end(struct stage *stage)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER("tries", worker_kit_returns, .on_failure = GYR_WORKER_RESTART,
                   .restart_ms_min = 2, .restart_ms_max = 9000, .restarts_max = 4),
        {0},
    };
    stage->probe.result = -EIO;
    take(stage, TABLE);
    worker_kit_start(stage->server);
    gyr_server_wait(stage->server);
    EXPECT_INT(worker_log_count(&stage->log, "worker=tries"), 5, "each");
    for (unsigned delay = 2; delay <= 16; delay *= 2) {
        char text[64];
        (void)snprintf(text, sizeof(text), "follows=restart delay_ms=%u", delay);
        EXPECT(worker_log_count(&stage->log, text) != 0, text);
    }
    EXPECT_INT(worker_log_count(&stage->log, "follows=restart"), 4, "so often");
    EXPECT_INT(worker_log_count(&stage->log, "follows=stop"), 1, "and then");
    EXPECT_INT(stage->probe.began_count, 5, "it has run as often");
    gyr_server_destroy(stage->server);
}

void worker_server_is_stopped_when_restarts_do_not_help(void)
{
    on_rings(1, restarts_end, NULL);
}

static int last_and_fail(struct gyr_worker_run *run, void *context)
{
    bool goes_on = gyr_worker_sleep(run, 3); /* longer than its longest wait */
    (void)sem_post(&((struct worker_probe *)context)->began);
    return goes_on ? -EIO : 0;
}

static void long_runs(struct stage *stage)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER("lasts", last_and_fail, .on_failure = GYR_WORKER_RESTART, .restart_ms_min = 1,
                   .restart_ms_max = 2, .restarts_max = 1),
        {0},
    };
    take(stage, TABLE);
    worker_kit_start(stage->server);
    for (unsigned i = 0; i < 6; i++) {
        kit_wait(&stage->probe.began);
    }
    kit_server_end(stage->server);
    EXPECT(worker_log_count(&stage->log, "follows=restart delay_ms=1") >= 5, "the first again");
    EXPECT_INT(worker_log_count(&stage->log, "delay_ms=2"), 0, "never the next");
    EXPECT_INT(worker_log_count(&stage->log, "follows=stop"), 0, "none follows another");
}

void worker_server_waits_no_longer_for_who_has_run_long(void)
{
    on_rings(1, long_runs, NULL);
}

static void change_log_rate(struct gyr_config *config, struct gyr_service *service)
{
    (void)service;
    config->log_rate_max = 1;
}

static void log_is_bounded(struct stage *stage)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER("noisy", worker_kit_returns, .on_failure = GYR_WORKER_RESTART,
                   .restart_ms_min = 1, .restart_ms_max = 1),
        {0},
    };
    stage->probe.result = -EIO;
    take(stage, TABLE);
    worker_kit_start(stage->server);
    /* Two lines of it need a second between them. */
    worker_log_wait(&stage->log, "worker.failed", 2);
    EXPECT(worker_log_count(&stage->log, "log.dropped count=") >= 1, "what was dropped is counted");
    kit_server_end(stage->server);
    EXPECT(worker_log_count(&stage->log, "worker.failed") < stage->probe.began_count, "not all");
}

void worker_server_logs_no_more_than_log_rate_max(void)
{
    on_rings(1, log_is_bounded, change_log_rate);
}

static void change_no_log(struct gyr_config *config, struct gyr_service *service)
{
    config->log_level = GYR_LOG_OFF;
    service->on_core_start = NULL;
}

static void log_is_off(struct stage *stage)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER("fails", worker_kit_returns, .on_failure = GYR_WORKER_STOP), {0}};
    stage->probe.result = -EIO;
    take(stage, TABLE);
    worker_kit_start(stage->server);
    gyr_server_wait(stage->server);
    EXPECT_INT(stage->log.size, 0, "log_level");
    gyr_server_destroy(stage->server);
}

void worker_server_logs_nothing_if_nobody_listens(void)
{
    on_rings(1, log_is_off, change_no_log);
}

/* ---- deadlines ------------------------------------------------------------------------------- */

static void change_deadline(struct gyr_config *config, struct gyr_service *service)
{
    (void)service;
    config->shutdown_deadline_ms = 1;
}

static void is_left_behind(struct stage *stage)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER("deaf", worker_kit_deaf, .on_failure = GYR_WORKER_RESTART, .restart_ms_min = 1),
        {0},
    };
    stage->probe.result = -EIO;
    take(stage, TABLE);
    worker_kit_start(stage->server);
    kit_wait(&stage->probe.began);
    gyr_server_stop(stage->server);
    gyr_server_wait(stage->server);
    EXPECT_INT(worker_log_count(&stage->log, " error worker.left worker=deaf"), 1, "logged");
    gyr_server_wait(stage->server);
    gyr_server_destroy(stage->server);
    EXPECT_INT(worker_log_count(&stage->log, "worker.left"), 1, "once");
    (void)sem_post(&stage->probe.go);
    kit_wait(&stage->probe.ended);
    worker_kit_gone("deaf");
    EXPECT(stage->probe.server == NULL, "it has no server any more");
    EXPECT_INT(stage->probe.began_count, 1, "it does not begin anew");
    EXPECT_INT(worker_log_count(&stage->log, "worker.failed"), 0, "nor does it say anything");
}

void worker_server_leaves_behind_who_does_not_end(void)
{
    on_rings(1, is_left_behind, change_deadline);
}

/* A log that is held while a worker's failure is being written. */
struct slow_log {
    struct worker_log log; /* first: service.user */
    sem_t reached;
    sem_t go;
};

static void log_slowly(void *user, enum gyr_log_level level, struct gyr_span line)
{
    struct slow_log *slow = user;
    if (memmem(line.ptr, line.size, " worker.failed ", 15) != NULL) {
        (void)sem_post(&slow->reached);
        kit_wait(&slow->go);
    }
    worker_kit_log(&slow->log, level, line);
}

static void change_slow_log(struct gyr_config *config, struct gyr_service *service)
{
    config->shutdown_deadline_ms = 0;
    service->on_log = log_slowly;
}

static void *end_main(void *arg)
{
    kit_server_end(arg);
    return NULL;
}

void worker_server_outlives_what_a_worker_does_with_it(void)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER("fails", worker_kit_returns, .on_failure = GYR_WORKER_STOP), {0}};
    if (!kit_server_possible(1)) {
        return;
    }
    for (enum gyr_ring ring = GYR_RING_URING; ring <= GYR_RING_EPOLL; ring++) {
        struct slow_log slow;
        struct worker_probe probe;
        pthread_t ender;
        worker_log_init(&slow.log);
        worker_probe_init(&probe);
        (void)sem_init(&slow.reached, 0, 0);
        (void)sem_init(&slow.go, 0, 0);
        probe.result = -EIO;
        struct gyr_server *server = worker_kit_server(ring, 1, &slow.log, change_slow_log);
        EXPECT_INT(gyr_server_workers(server, TABLE, &probe, NULL), 0, "taken");
        worker_kit_start(server);
        kit_wait(&slow.reached);
        /* The deadline passes at once, but the worker is about to call gyr_server_stop. */
        CU_ASSERT_FATAL(pthread_create(&ender, NULL, end_main, server) == 0);
        worker_log_wait(&slow.log, " core.end ", 1);
        worker_kit_gone("gyr-core-0");
        (void)sem_post(&slow.go);
        (void)pthread_join(ender, NULL);
        worker_kit_gone("fails");
        EXPECT_INT(worker_log_count(&slow.log, "worker.failed worker=fails"), 1, "written whole");
        (void)sem_destroy(&slow.reached);
        (void)sem_destroy(&slow.go);
        worker_probe_deinit(&probe);
        worker_log_deinit(&slow.log);
    }
}

/* ---- other threads --------------------------------------------------------------------------- */

struct bell {
    _Atomic(struct gyr_worker_run *) run;
    sem_t began;
    sem_t heard;
};

static int listen_bell(struct gyr_worker_run *run, void *context)
{
    struct bell *bell = context;
    atomic_store(&bell->run, run);
    (void)sem_post(&bell->began);
    while (gyr_worker_sleep(run, WORKER_KIT_HOUR_MS)) {
        (void)sem_post(&bell->heard);
    }
    return 0;
}

static void ring_bell(struct gyr_core *core, void *arg)
{
    struct bell *bell = arg;
    (void)core;
    gyr_worker_wake(bell->run);
}

static void woken_by_a_core(struct stage *stage)
{
    static const struct gyr_worker TABLE[] = {GYR_WORKER("bell", listen_bell), {0}};
    struct bell bell = {.run = NULL};
    (void)sem_init(&bell.began, 0, 0);
    (void)sem_init(&bell.heard, 0, 0);
    EXPECT_INT(gyr_server_workers(stage->server, TABLE, &bell, NULL), 0, "taken");
    worker_kit_start(stage->server);
    kit_wait(&bell.began);
    for (unsigned i = 0; i < 200; i++) {
        EXPECT_INT(gyr_post(stage->server, i % 2, ring_bell, &bell), 0, "posted");
        kit_wait(&bell.heard);
    }
    EXPECT(gyr_worker_server(bell.run) == stage->server, "any thread may ask");
    EXPECT_INT(gyr_worker_restarts(bell.run), 0, "and count");
    kit_server_end(stage->server);
    (void)sem_destroy(&bell.began);
    (void)sem_destroy(&bell.heard);
}

void worker_server_may_be_woken_by_its_cores(void)
{
    on_rings(2, woken_by_a_core, NULL);
}

/* ---- often ----------------------------------------------------------------------------------- */

void worker_server_starts_and_stops_often_and_leaves_nothing(void)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER("sleeper", worker_kit_sleeper, .on_failure = GYR_WORKER_STOP),
        GYR_WORKER("tries", worker_kit_returns, .on_failure = GYR_WORKER_RESTART,
                   .restart_ms_min = 1),
        GYR_WORKER_TIMER("tick", worker_kit_tick, 1),
        {0},
    };
    if (!kit_server_possible(1)) {
        return;
    }
    unsigned descriptors = kit_descriptors();
    for (unsigned round = 0; round < 60; round++) {
        struct stage stage;
        stage_init(&stage, round % 2 == 0 ? GYR_RING_URING : GYR_RING_EPOLL, 1, NULL);
        stage.probe.result = round % 3 == 0 ? -EIO : 0;
        take(&stage, TABLE);
        worker_kit_start(stage.server);
        for (unsigned i = 0; i < round % 4; i++) {
            kit_wait(&stage.probe.began);
        }
        kit_server_end(stage.server);
        EXPECT(stage.probe.began_count == stage.probe.ended_count, "who has begun has ended");
        stage_deinit(&stage);
    }
    worker_kit_gone("sleeper");
    worker_kit_gone("tries");
    EXPECT_INT(kit_descriptors(), descriptors, "no descriptor is left");
}
