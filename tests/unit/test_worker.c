/* SPDX-License-Identifier: MIT */
/* Workers that are threads, in a controller of their own: how they begin, sleep, wake, fail and
 * end, and that none is left where none should be. What they do with a server is in
 * test_worker_server.c, timers are in test_worker_timer.c. */
#include "hub/worker.h"

#include "tests/worker_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define FOR_EVER UINT32_MAX

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROUNDS 100
#else
#define ROUNDS 500
#endif

struct stage {
    struct gyr_workers *workers;
    struct worker_probe probe;
    struct gyr_error error;
};

static void stage_init(struct stage *stage)
{
    worker_probe_init(&stage->probe);
    stage->error.text[0] = '\0';
    CU_ASSERT_FATAL(gyr_workers_create(NULL, &stage->workers) == 0);
}

static void stage_deinit(struct stage *stage)
{
    gyr_workers_destroy(stage->workers);
    worker_probe_deinit(&stage->probe);
}

static void start(struct stage *stage, const struct gyr_worker *table)
{
    EXPECT_INT(gyr_workers_start(stage->workers, table, &stage->probe, &stage->error), 0,
               stage->error.text);
}

static int stop(struct stage *stage)
{
    return gyr_workers_stop(stage->workers, FOR_EVER, &stage->error);
}

static const struct gyr_worker SLEEPER[] = {GYR_WORKER("sleeper", worker_kit_sleeper), {0}};
static const struct gyr_worker DEAF[] = {GYR_WORKER("deaf", worker_kit_deaf), {0}};

/* ---- threads --------------------------------------------------------------------------------- */

struct look {
    sem_t done;
    char name[32];
    sigset_t blocked;
    int cancel;
};

static int look_around(struct gyr_worker_run *run, void *context)
{
    struct look *look = context;
    (void)pthread_getname_np(pthread_self(), look->name, sizeof(look->name));
    (void)pthread_sigmask(SIG_BLOCK, NULL, &look->blocked);
    (void)gyr_worker_sleep(run, 0);
    (void)sem_post(&look->done);
    return 0;
}

void worker_is_a_thread_of_its_name_that_takes_no_signals(void)
{
    static const struct {
        struct gyr_worker table[2];
        const char *name;
    } CASES[] = {
        {{GYR_WORKER("pump", look_around), {0}}, "pump"},
        {{GYR_WORKER("fifteen bytes..", look_around), {0}}, "fifteen bytes.."},
        {{GYR_WORKER("sixteen bytes...", look_around), {0}}, "sixteen bytes.."},
    };
    sigset_t before;
    sigset_t after;
    (void)pthread_sigmask(SIG_BLOCK, NULL, &before);
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        struct gyr_workers *workers;
        struct look look = {.name = ""};
        (void)sem_init(&look.done, 0, 0);
        CU_ASSERT_FATAL(gyr_workers_create(NULL, &workers) == 0);
        EXPECT_INT(gyr_workers_start(workers, CASES[i].table, &look, NULL), 0, "starts");
        kit_wait(&look.done);
        EXPECT_INT(gyr_workers_stop(workers, FOR_EVER, NULL), 0, "ends");
        EXPECT(strcmp(look.name, CASES[i].name) == 0, look.name);
        EXPECT(sigismember(&look.blocked, SIGTERM) == 1 &&
                   sigismember(&look.blocked, SIGINT) == 1 &&
                   sigismember(&look.blocked, SIGUSR1) == 1,
               "signals are the host's");
        gyr_workers_destroy(workers);
        (void)sem_destroy(&look.done);
    }
    (void)pthread_sigmask(SIG_BLOCK, NULL, &after);
    EXPECT_INT(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM), "who starts keeps its");
}

void worker_runs_until_it_is_stopped(void)
{
    struct stage stage;
    stage_init(&stage);
    start(&stage, SLEEPER);
    kit_wait(&stage.probe.began);
    EXPECT_INT(stage.probe.ended_count, 0, "it sleeps");
    EXPECT_INT(worker_kit_threads("sleeper"), 1, "a thread");
    EXPECT(stage.probe.server == NULL, "it has no server");
    EXPECT_INT(stop(&stage), 0, "stopped");
    EXPECT_INT(stage.probe.ended_count, 1, "it has returned before that did");
    EXPECT(stage.probe.was_stopping, "and knew why");
    worker_kit_gone("sleeper");
    EXPECT_INT(stop(&stage), 0, "once more does no harm");
    stage_deinit(&stage);
}

void worker_that_is_done_is_not_started_again(void)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER("done", worker_kit_returns, .on_failure = GYR_WORKER_RESTART,
                   .restart_ms_min = 1, .restart_ms_max = 1),
        GYR_WORKER("sleeper", worker_kit_sleeper),
        {0},
    };
    for (int result = 0; result <= 7; result += 7) {
        struct stage stage;
        stage_init(&stage);
        stage.probe.result = result;
        start(&stage, TABLE);
        kit_wait(&stage.probe.began);
        kit_wait(&stage.probe.began);
        worker_kit_gone("done");
        EXPECT_INT(worker_kit_threads("sleeper"), 1, "the other goes on");
        EXPECT_INT(stop(&stage), 0, "a positive number is no failure");
        EXPECT_INT(stage.probe.began_count, 2, "each once");
        stage_deinit(&stage);
    }
}

/* ---- sleep and wake -------------------------------------------------------------------------- */

struct naps {
    sem_t asks; /* the next nap is about to begin */
    _Atomic(struct gyr_worker_run *) run;
    _Atomic unsigned taken; /* naps that have returned true */
};

static int nap(struct gyr_worker_run *run, void *context)
{
    struct naps *naps = context;
    atomic_store(&naps->run, run);
    bool goes_on = gyr_worker_sleep(run, 0) && gyr_worker_sleep(run, 1);
    while (goes_on) {
        atomic_fetch_add(&naps->taken, 1);
        (void)sem_post(&naps->asks);
        goes_on = gyr_worker_sleep(run, WORKER_KIT_HOUR_MS);
    }
    return gyr_worker_sleep(run, WORKER_KIT_HOUR_MS) ? -1 : 0; /* a stop is not forgotten */
}

void worker_sleep_ends_by_time_by_wake_and_by_stop(void)
{
    static const struct gyr_worker TABLE[] = {GYR_WORKER("napper", nap), {0}};
    struct gyr_workers *workers;
    struct naps naps = {.taken = 0};
    (void)sem_init(&naps.asks, 0, 0);
    CU_ASSERT_FATAL(gyr_workers_create(NULL, &workers) == 0);
    EXPECT_INT(gyr_workers_start(workers, TABLE, &naps, NULL), 0, "starts");
    kit_wait(&naps.asks); /* 0 ms and 1 ms have passed */
    for (unsigned i = 0; i < 1000; i++) {
        /* Perhaps before it sleeps, perhaps while it does: neither is lost. */
        gyr_worker_wake(naps.run);
        kit_wait(&naps.asks);
    }
    EXPECT_INT(naps.taken, 1001, "each ends one nap");
    EXPECT_INT(gyr_workers_stop(workers, FOR_EVER, NULL), 0, "and a stop the last, for good");
    EXPECT_INT(naps.taken, 1001, "that one says so");
    gyr_workers_destroy(workers);
    (void)sem_destroy(&naps.asks);
}

static int poll_fd(struct gyr_worker_run *run, void *context)
{
    struct worker_probe *probe = context;
    struct pollfd poller = {.fd = gyr_worker_fd(run), .events = POLLIN};
    if (poll(&poller, 1, 0) != 0 || gyr_worker_is_stopping(run)) {
        return -EBUSY; /* readable too early */
    }
    gyr_worker_wake(run); /* which is for sleepers */
    if (poll(&poller, 1, 0) != 0) {
        return -EBUSY;
    }
    (void)sem_post(&probe->began);
    for (unsigned i = 0; i < 2; i++) {
        if (poll(&poller, 1, KIT_PATIENCE_S * 1000) != 1 || poller.revents != POLLIN ||
            !gyr_worker_is_stopping(run)) {
            return -ETIME;
        }
    }
    return (fcntl(poller.fd, F_GETFD) & FD_CLOEXEC) != 0 ? 0 : -EBADF;
}

void worker_fd_becomes_readable_when_it_is_to_stop_and_stays_so(void)
{
    static const struct gyr_worker TABLE[] = {GYR_WORKER("poller", poll_fd), {0}};
    unsigned before = kit_descriptors();
    struct stage stage;
    stage_init(&stage);
    start(&stage, TABLE);
    kit_wait(&stage.probe.began);
    EXPECT_INT(stop(&stage), 0, stage.error.text);
    EXPECT_INT(kit_descriptors(), before, "closed");
    stage_deinit(&stage);
}

/* ---- failures -------------------------------------------------------------------------------- */

static int fail_first(struct gyr_worker_run *run, void *context)
{
    (void)run;
    (void)context;
    return -EPIPE;
}

static int fail_at_stop(struct gyr_worker_run *run, void *context)
{
    (void)worker_kit_sleeper(run, context);
    return GYR_ERR_MEMORY;
}

void workers_stop_returns_the_first_failure_of_the_table(void)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER("well", worker_kit_sleeper),
        {.name = "cleanup", .at = "a.c:7", .run = fail_at_stop},
        {.name = "early", .at = "a.c:8", .run = fail_first},
        {0},
    };
    struct stage stage;
    stage_init(&stage);
    for (unsigned round = 0; round < 2; round++) {
        start(&stage, TABLE);
        kit_wait(&stage.probe.began);
        kit_wait(&stage.probe.began);
        worker_kit_gone("early");
        EXPECT_INT(stop(&stage), GYR_ERR_MEMORY, "also what it meets when it is asked to stop");
        EXPECT(strcmp(stage.error.text, "worker \"cleanup\" (a.c:7): failed with -5004: the core's "
                                        "memory budget is used up") == 0,
               stage.error.text);
        EXPECT_INT(stage.probe.ended_count, 2 * (round + 1), "the others are joined");
        EXPECT_INT(stop(&stage), 0, "it is told once; and may be started again");
    }
    start(&stage, TABLE + 2);
    worker_kit_gone("early");
    EXPECT_INT(stop(&stage), -EPIPE, "that of the system");
    EXPECT(strcmp(stage.error.text, "worker \"early\" (a.c:8): failed with -32: Broken pipe") == 0,
           stage.error.text);
    stage_deinit(&stage);
}

struct relapse {
    sem_t begun;
    unsigned failures; /* that it still has */
    _Atomic uint32_t restarts;
};

static int relapse(struct gyr_worker_run *run, void *context)
{
    struct relapse *state = context;
    atomic_store(&state->restarts, gyr_worker_restarts(run));
    (void)sem_post(&state->begun);
    if (state->failures != 0) {
        state->failures--;
        return -EIO;
    }
    return gyr_worker_sleep(run, WORKER_KIT_HOUR_MS) ? -1 : 0;
}

void worker_begins_anew_until_it_fails_no_more(void)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER("patient", relapse, .on_failure = GYR_WORKER_RESTART, .restart_ms_min = 1,
                   .restart_ms_max = 2),
        {0},
    };
    struct gyr_workers *workers;
    struct relapse state = {.failures = 10};
    struct gyr_error error = {""};
    (void)sem_init(&state.begun, 0, 0);
    CU_ASSERT_FATAL(gyr_workers_create(NULL, &workers) == 0);
    for (unsigned round = 0; round < 2; round++) {
        state.failures = 10;
        EXPECT_INT(gyr_workers_start(workers, TABLE, &state, &error), 0, error.text);
        for (unsigned i = 0; i <= 10; i++) {
            kit_wait(&state.begun);
        }
        EXPECT_INT(state.restarts, 10, "since this start");
        EXPECT_INT(gyr_workers_stop(workers, FOR_EVER, &error), 0, "it is well again");
    }
    gyr_workers_destroy(workers);
    (void)sem_destroy(&state.begun);
}

void worker_that_waits_to_begin_anew_ends_at_once(void)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER("waits", relapse, .on_failure = GYR_WORKER_RESTART,
                   .restart_ms_min = WORKER_MS_MAX, .restart_ms_max = WORKER_MS_MAX),
        {0},
    };
    struct gyr_workers *workers;
    struct relapse state = {.failures = UINT32_MAX};
    struct gyr_error error = {""};
    (void)sem_init(&state.begun, 0, 0);
    CU_ASSERT_FATAL(gyr_workers_create(NULL, &workers) == 0);
    for (unsigned round = 0; round < 20; round++) {
        EXPECT_INT(gyr_workers_start(workers, TABLE, &state, &error), 0, error.text);
        kit_wait(&state.begun);
        EXPECT_INT(gyr_workers_stop(workers, FOR_EVER, &error), -EIO, "its failure stands");
        EXPECT_INT(state.restarts, 0, "it has not begun anew");
    }
    gyr_workers_destroy(workers);
    (void)sem_destroy(&state.begun);
}

static int wake_itself_and_fail(struct gyr_worker_run *run, void *context)
{
    struct relapse *state = context;
    atomic_store(&state->restarts, gyr_worker_restarts(run));
    gyr_worker_wake(run);
    (void)sem_post(&state->begun);
    return -EIO;
}

void worker_that_waits_to_begin_anew_is_not_woken(void)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER("waits", wake_itself_and_fail, .on_failure = GYR_WORKER_RESTART,
                   .restart_ms_min = WORKER_MS_MAX, .restart_ms_max = WORKER_MS_MAX),
        {0},
    };
    struct gyr_workers *workers;
    struct relapse state = {.failures = 0};
    (void)sem_init(&state.begun, 0, 0);
    CU_ASSERT_FATAL(gyr_workers_create(NULL, &workers) == 0);
    EXPECT_INT(gyr_workers_start(workers, TABLE, &state, NULL), 0, "starts");
    kit_wait(&state.begun);
    EXPECT_INT(gyr_workers_stop(workers, FOR_EVER, NULL), -EIO, "failed");
    EXPECT_INT(state.restarts, 0, "a wake is for who sleeps");
    gyr_workers_destroy(workers);
    (void)sem_destroy(&state.begun);
}

/* ---- deadlines ------------------------------------------------------------------------------- */

void worker_that_does_not_end_is_named_and_left_behind(void)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER("deaf", worker_kit_deaf),
        GYR_WORKER("well", worker_kit_sleeper),
        GYR_WORKER("deafer", worker_kit_deaf),
        {0},
    };
    unsigned descriptors = kit_descriptors();
    struct stage stage;
    stage_init(&stage);
    stage.probe.result = -EIO;
    start(&stage, TABLE);
    for (unsigned i = 0; i < 3; i++) {
        kit_wait(&stage.probe.began);
    }
    EXPECT_INT(gyr_workers_stop(stage.workers, 0, &stage.error), GYR_ERR_TIMEOUT, "two are deaf");
    EXPECT(strcmp(stage.error.text, "workers: not ended within 0 ms: \"deaf\", \"deafer\"; left "
                                    "behind, so their context must live on") == 0 ||
               strcmp(stage.error.text, "workers: not ended within 0 ms: \"deaf\", \"well\", "
                                        "\"deafer\"; left behind, so their context must live "
                                        "on") == 0,
           stage.error.text);
    start(&stage, SLEEPER);
    kit_wait(&stage.probe.began);
    EXPECT_INT(worker_kit_threads("deaf"), 1, "it goes on, beside those that came after it");
    gyr_workers_destroy((stop(&stage), stage.workers));
    (void)sem_post(&stage.probe.go);
    (void)sem_post(&stage.probe.go);
    for (unsigned i = 0; i < 4; i++) {
        kit_wait(&stage.probe.ended); /* as many as have begun */
    }
    worker_kit_gone("deaf");
    worker_kit_gone("deafer");
    worker_kit_gone("well");
    EXPECT(stage.probe.was_stopping, "it was told to stop");
    EXPECT_INT(kit_descriptors(), descriptors, "and took along what it had");
    worker_probe_deinit(&stage.probe);
}

void worker_that_ends_in_time_is_not_left_behind(void)
{
    struct stage stage;
    stage_init(&stage);
    start(&stage, DEAF);
    kit_wait(&stage.probe.began);
    (void)sem_post(&stage.probe.go);
    EXPECT_INT(gyr_workers_stop(stage.workers, KIT_PATIENCE_S * 1000, &stage.error), 0,
               stage.error.text);
    EXPECT_INT(stage.probe.ended_count, 1, "waited for");
    stage_deinit(&stage);
}

void workers_names_of_those_left_behind_are_cut_with_an_ellipsis(void)
{
    static char names[8][WORKER_NAME_SIZE_MAX + 1];
    static struct gyr_worker table[9];
    struct stage stage;
    stage_init(&stage);
    for (unsigned i = 0; i < 8; i++) {
        memset(names[i], 'a' + (int)i, WORKER_NAME_SIZE_MAX);
        table[i] = (struct gyr_worker){.name = names[i], .run = worker_kit_deaf};
    }
    start(&stage, table);
    for (unsigned i = 0; i < 8; i++) {
        kit_wait(&stage.probe.began);
    }
    EXPECT_INT(gyr_workers_stop(stage.workers, 0, &stage.error), GYR_ERR_TIMEOUT, "all are deaf");
    EXPECT(strstr(stage.error.text, names[0]) != NULL && strstr(stage.error.text, names[1]) != NULL,
           "what there is room for");
    EXPECT(strstr(stage.error.text, "bb\", ...; left behind") != NULL, stage.error.text);
    for (unsigned i = 0; i < 8; i++) {
        (void)sem_post(&stage.probe.go);
    }
    for (unsigned i = 0; i < 8; i++) {
        kit_wait(&stage.probe.ended);
    }
    for (unsigned i = 0; i < 8; i++) {
        char name[16] = "";
        memcpy(name, names[i], 15);
        worker_kit_gone(name);
    }
    stage_deinit(&stage);
}

/* ---- controllers ----------------------------------------------------------------------------- */

void workers_start_twice_is_an_error_that_changes_nothing(void)
{
    struct stage stage;
    stage_init(&stage);
    static const struct gyr_worker EMPTY[] = {{0}};
    start(&stage, EMPTY);
    EXPECT_INT(stop(&stage), 0, "nothing to stop");
    start(&stage, EMPTY); /* leaves it as it was: not started */
    start(&stage, SLEEPER);
    EXPECT_INT(gyr_workers_start(stage.workers, DEAF, &stage.probe, &stage.error), GYR_ERR_STATE,
               "started");
    EXPECT(strcmp(stage.error.text, "workers: started already, \"sleeper\" first; "
                                    "gyr_workers_stop comes before another start") == 0,
           stage.error.text);
    worker_kit_gone("deaf");
    EXPECT_INT(stop(&stage), 0, "ends");
    stage.probe.result = 0;
    static const struct gyr_worker DONE[] = {GYR_WORKER("done", worker_kit_returns), {0}};
    start(&stage, DONE);
    worker_kit_gone("done");
    EXPECT_INT(gyr_workers_start(stage.workers, DONE, &stage.probe, NULL), GYR_ERR_STATE,
               "also when all have ended by themselves");
    EXPECT_INT(stop(&stage), 0, "stopped");
    start(&stage, DONE);
    EXPECT_INT(stop(&stage), 0, "and again");
    stage_deinit(&stage);
}

void workers_destroy_takes_null(void)
{
    gyr_workers_destroy(NULL);
}

static int stop_itself(struct gyr_worker_run *run, void *context)
{
    struct stage *stage = context;
    int err = gyr_workers_stop(stage->workers, FOR_EVER, &stage->error);
    bool unchanged = !gyr_worker_is_stopping(run);
    (void)sem_post(&stage->probe.began);
    (void)gyr_worker_sleep(run, WORKER_KIT_HOUR_MS);
    return unchanged ? err : -1;
}

void worker_cannot_stop_its_own_controller(void)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER("well", worker_kit_sleeper),
        {0},
    };
    static const struct gyr_worker SELF[] = {GYR_WORKER("self", stop_itself), {0}};
    struct stage stage;
    stage_init(&stage);
    EXPECT_INT(gyr_workers_start(stage.workers, SELF, &stage, &stage.error), 0, "starts");
    kit_wait(&stage.probe.began);
    EXPECT(strcmp(stage.error.text, "worker \"self\": it would wait for its own end; let another "
                                    "thread call gyr_workers_stop") == 0,
           stage.error.text);
    EXPECT_INT(stop(&stage), GYR_ERR_STATE, "what that call returned");
    start(&stage, TABLE);
    EXPECT_INT(stop(&stage), 0, "another thread may");
    stage_deinit(&stage);
}

static void *stop_main(void *arg)
{
    struct stage *stage = arg;
    intptr_t err = gyr_workers_stop(stage->workers, FOR_EVER, NULL);
    return (void *)err; /* NOLINT(performance-no-int-to-ptr): a number */
}

void workers_may_be_stopped_by_two_threads_at_once(void)
{
    struct stage stage;
    stage_init(&stage);
    for (unsigned round = 0; round < ROUNDS; round++) {
        start(&stage, DEAF);
        stage.probe.result = -EIO;
        pthread_t threads[3];
        for (unsigned i = 0; i < COUNT_OF(threads); i++) {
            CU_ASSERT_FATAL(pthread_create(&threads[i], NULL, stop_main, &stage) == 0);
        }
        (void)sem_post(&stage.probe.go);
        unsigned told = 0;
        for (unsigned i = 0; i < COUNT_OF(threads); i++) {
            void *result;
            (void)pthread_join(threads[i], &result);
            told += (intptr_t)result == -EIO;
            EXPECT((intptr_t)result == -EIO || result == NULL, "the failure, or nothing");
            if (i == 0) {
                worker_kit_gone("deaf");
            }
        }
        EXPECT(told <= 1, "one at most is told");
        bool was_begun = stage.probe.began_count != 0;
        EXPECT(told == 1 || !was_begun, "and one is, if it had begun");
        if (!was_begun) {
            kit_wait(&stage.probe.go); /* nobody has taken it */
        }
        stage.probe.began_count = 0;
    }
    stage_deinit(&stage);
}

struct second {
    struct stage *stage;
    sem_t begins;
    unsigned ended_count; /* when its call has returned */
    int err;
};

static void *second_main(void *arg)
{
    struct second *second = arg;
    (void)sem_post(&second->begins);
    second->err = gyr_workers_stop(second->stage->workers, 0, NULL);
    second->ended_count = second->stage->probe.ended_count;
    return NULL;
}

void workers_stop_returns_to_each_thread_when_all_have_ended(void)
{
    struct stage stage;
    pthread_t threads[2];
    stage_init(&stage);
    struct second second = {.stage = &stage};
    (void)sem_init(&second.begins, 0, 0);
    start(&stage, DEAF);
    kit_wait(&stage.probe.began);
    CU_ASSERT_FATAL(pthread_create(&threads[0], NULL, stop_main, &stage) == 0);
    while (!gyr_worker_is_stopping(stage.probe.run)) {
        (void)sched_yield();
    }
    CU_ASSERT_FATAL(pthread_create(&threads[1], NULL, second_main, &second) == 0);
    kit_wait(&second.begins);
    for (unsigned i = 0; i < 5000; i++) {
        (void)sched_yield(); /* time for who would return at once */
    }
    (void)sem_post(&stage.probe.go);
    (void)pthread_join(threads[0], NULL);
    (void)pthread_join(threads[1], NULL);
    EXPECT_INT(second.ended_count, 1, "the second one waits as the first does");
    EXPECT_INT(second.err, 0, "it has nothing to tell");
    (void)sem_destroy(&second.begins);
    stage_deinit(&stage);
}

/* ---- a start that fails ---------------------------------------------------------------------- */

void workers_start_is_all_or_none_when_descriptors_run_out(void)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER("first", worker_kit_sleeper),
        GYR_WORKER("second", worker_kit_sleeper),
        {.name = "third", .at = "a.c:3", .run = worker_kit_sleeper},
        {0},
    };
    struct stage stage;
    stage_init(&stage);
    /* Room for two more: the lowest number that is free, and the next. */
    int lowest = dup(0);
    int next = dup(0);
    struct rlimit old;
    CU_ASSERT_FATAL(getrlimit(RLIMIT_NOFILE, &old) == 0);
    struct rlimit tight = {.rlim_cur = (rlim_t)next + 1, .rlim_max = old.rlim_max};
    (void)close(lowest);
    (void)close(next);
    CU_ASSERT_FATAL(setrlimit(RLIMIT_NOFILE, &tight) == 0);
    int err = gyr_workers_start(stage.workers, TABLE, &stage.probe, &stage.error);
    (void)setrlimit(RLIMIT_NOFILE, &old);
    EXPECT_INT(err, -EMFILE, "the third has none");
    static const char LINE[] = "worker \"third\" (a.c:3): it cannot begin: Too many open files";
    EXPECT(strncmp(stage.error.text, LINE, sizeof(LINE) - 1) == 0, stage.error.text);
    EXPECT_INT(stage.probe.began_count, 0, "none has begun");
    worker_kit_gone("first");
    worker_kit_gone("second");
    EXPECT_INT(fcntl(lowest, F_GETFD), -1, "no descriptor is left");
    start(&stage, TABLE);
    EXPECT_INT(stop(&stage), 0, "and it may be started then");
    EXPECT_INT(fcntl(lowest, F_GETFD), -1, "closed");
    stage_deinit(&stage);
}

/* ---- races ----------------------------------------------------------------------------------- */

struct storm {
    _Atomic(struct gyr_worker_run *) run;
    _Atomic unsigned begun;
    _Atomic unsigned naps;
};

static int storm_work(struct gyr_worker_run *run, void *context)
{
    struct storm *storm = context;
    unsigned number = atomic_fetch_add(&storm->begun, 1);
    atomic_store(&storm->run, run);
    for (unsigned i = 0; i < 3; i++) {
        if (!gyr_worker_sleep(run, number % 3)) {
            return number % 2 == 0 ? 0 : -EIO;
        }
        atomic_fetch_add(&storm->naps, 1);
    }
    return -EIO;
}

static int storm_wake(struct gyr_worker_run *run, void *context)
{
    struct storm *storm = context;
    while (!gyr_worker_is_stopping(run)) {
        struct gyr_worker_run *other = atomic_load(&storm->run);
        if (other != NULL) {
            gyr_worker_wake(other);
            (void)gyr_worker_restarts(other);
            (void)gyr_worker_is_stopping(other);
        }
        (void)sched_yield();
    }
    return 0;
}

void worker_races_of_fail_restart_wake_and_stop_leave_nothing(void)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER("work", storm_work, .on_failure = GYR_WORKER_RESTART, .restart_ms_min = 1,
                   .restart_ms_max = 1),
        GYR_WORKER("more", storm_work, .on_failure = GYR_WORKER_RESTART, .restart_ms_min = 1,
                   .restart_ms_max = 1),
        GYR_WORKER("fails", storm_work),
        GYR_WORKER("wakes", storm_wake),
        {0},
    };
    struct gyr_workers *workers;
    unsigned descriptors = kit_descriptors();
    CU_ASSERT_FATAL(gyr_workers_create(NULL, &workers) == 0);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct storm storm = {.begun = 0};
        EXPECT_INT(gyr_workers_start(workers, TABLE, &storm, NULL), 0, "starts");
        while (atomic_load(&storm.begun) < round % 8) {
            (void)sched_yield();
        }
        int err = gyr_workers_stop(workers, FOR_EVER, NULL);
        EXPECT(err == 0 || err == -EIO, "ends");
        worker_kit_gone("work");
        worker_kit_gone("wakes");
    }
    EXPECT_INT(kit_descriptors(), descriptors, "no descriptor is left");
    gyr_workers_destroy(workers);
}
