/* SPDX-License-Identifier: MIT */
/* Tables of workers: every mistake is refused by name, and nothing of the table begins. */
#include "hub/worker.h"

#include "tests/worker_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>
#include <string.h>

#define NAME_64 "0123456789012345678901234567890123456789012345678901234567890123"

static const struct {
    const char *why;
    struct gyr_worker worker; /* behind a sound one, "first" */
    bool needs_server;        /* the mistake is one only for a server */
    const char *text;
} MISTAKES[] = {
    {"no function",
     {.name = "x", .at = "a.c:1"},
     false,
     "worker \"x\" (a.c:1): neither run nor tick; a worker has one of them"},
    {"two functions",
     {.name = "x", .run = worker_kit_sleeper, .tick = worker_kit_tick},
     false,
     "worker \"x\": both run and tick; a worker has one of them"},
    {"an empty name",
     {.name = "", .at = "a.c:1", .run = worker_kit_sleeper},
     false,
     "worker 1 of a table (a.c:1): its name has 0 bytes; 1 to 64"},
    {"a long name",
     {.name = NAME_64 "4", .run = worker_kit_sleeper},
     false,
     "worker 1 of a table: its name has 65 bytes; 1 to 64"},
    {"a name again",
     {.name = "first", .at = "a.c:2", .run = worker_kit_sleeper},
     false,
     "worker \"first\" (a.c:2): the table has that name already (a.c:1); choose another"},
    {"an interval of a thread",
     {.name = "x", .run = worker_kit_sleeper, .interval_ms = 5},
     false,
     "worker \"x\": interval_ms = 5, core_index = 0 are of tick; leave them 0 with run"},
    {"a core of a thread",
     {.name = "x", .run = worker_kit_sleeper, .core_index = 1},
     false,
     "worker \"x\": interval_ms = 0, core_index = 1 are of tick; leave them 0 with run"},
    {"a timer without an interval",
     {.name = "x", .tick = worker_kit_tick},
     true,
     "worker \"x\": interval_ms = 0; 1 to 2073600000 (24 days)"},
    {"a timer of 25 days",
     {.name = "x", .tick = worker_kit_tick, .interval_ms = 2073600001},
     true,
     "worker \"x\": interval_ms = 2073600001; 1 to 2073600000 (24 days)"},
    {"a core that is not there",
     {.name = "x", .tick = worker_kit_tick, .interval_ms = 1, .core_index = 1},
     true,
     "worker \"x\": core_index = 1; the server has cores 0 to 0"},
    {"no policy",
     {.name = "x", .run = worker_kit_sleeper, .on_failure = 3},
     false,
     "worker \"x\": on_failure = 3 is no enum gyr_worker_failure"},
    {"a negative policy",
     {.name = "x", .run = worker_kit_sleeper, .on_failure = -1},
     false,
     "worker \"x\": on_failure = 4294967295 is no enum gyr_worker_failure"},
    {"a wait of one that is not started again",
     {.name = "x", .run = worker_kit_sleeper, .restart_ms_min = 1},
     false,
     "worker \"x\": restart_ms_min = 1, restart_ms_max = 0, restarts_max = 0 are of "
     "GYR_WORKER_RESTART; choose it, or leave them 0"},
    {"a longest wait of one that stops the server",
     {.name = "x", .run = worker_kit_sleeper, .on_failure = GYR_WORKER_STOP, .restart_ms_max = 1},
     false,
     "worker \"x\": restart_ms_min = 0, restart_ms_max = 1, restarts_max = 0 are of "
     "GYR_WORKER_RESTART; choose it, or leave them 0"},
    {"a number of restarts without restarts",
     {.name = "x", .run = worker_kit_sleeper, .restarts_max = 7},
     false,
     "worker \"x\": restart_ms_min = 0, restart_ms_max = 0, restarts_max = 7 are of "
     "GYR_WORKER_RESTART; choose it, or leave them 0"},
    {"a first wait beyond the longest",
     {.name = "x",
      .run = worker_kit_sleeper,
      .on_failure = GYR_WORKER_RESTART,
      .restart_ms_min = 2,
      .restart_ms_max = 1},
     false,
     "worker \"x\": restart_ms_min = 2, restart_ms_max = 1; the first is at most the second, and "
     "that at most 2073600000 (24 days)"},
    {"a first wait beyond the longest that nobody gave",
     {.name = "x",
      .run = worker_kit_sleeper,
      .on_failure = GYR_WORKER_RESTART,
      .restart_ms_min = 30001},
     false,
     "worker \"x\": restart_ms_min = 30001, restart_ms_max = 30000; the first is at most the "
     "second, and that at most 2073600000 (24 days)"},
    {"a longest wait below the first that nobody gave",
     {.name = "x",
      .run = worker_kit_sleeper,
      .on_failure = GYR_WORKER_RESTART,
      .restart_ms_max = 99},
     false,
     "worker \"x\": restart_ms_min = 100, restart_ms_max = 99; the first is at most the second, "
     "and that at most 2073600000 (24 days)"},
    {"a wait of 25 days",
     {.name = "x",
      .run = worker_kit_sleeper,
      .on_failure = GYR_WORKER_RESTART,
      .restart_ms_max = 2073600001},
     false,
     "worker \"x\": restart_ms_min = 100, restart_ms_max = 2073600001; the first is at most the "
     "second, and that at most 2073600000 (24 days)"},
};

/* Mistakes of those that have no server, beside those above. */
static const struct {
    struct gyr_worker worker;
    const char *text;
} HOMELESS[] = {
    {{.name = "x", .tick = worker_kit_tick, .interval_ms = 1},
     "worker \"x\": a timer needs a core, and there is no server; give one to "
     "gyr_workers_create, or use run"},
    {{.name = "x", .run = worker_kit_sleeper, .on_failure = GYR_WORKER_STOP},
     "worker \"x\": GYR_WORKER_STOP stops a server, and there is none; give one to "
     "gyr_workers_create"},
    {{.name = "x", .run = worker_kit_sleeper, .on_failure = GYR_WORKER_RESTART, .restarts_max = 1},
     "worker \"x\": restarts_max stops a server, and there is none; give one to "
     "gyr_workers_create"},
};

/* Start it behind a sound one: refused with this line, and the sound one has not begun. */
static void expect_refused(struct gyr_workers *workers, const struct gyr_worker *worker,
                           const char *text, const char *why)
{
    struct worker_probe probe;
    worker_probe_init(&probe);
    const struct gyr_worker table[] = {
        {.name = "first", .at = "a.c:1", .run = worker_kit_sleeper}, *worker, {0}};
    struct gyr_error error = {""};
    EXPECT_INT(gyr_workers_start(workers, table, &probe, &error), GYR_ERR_ARGUMENT, why);
    EXPECT(strcmp(error.text, text) == 0, error.text);
    EXPECT_INT(gyr_workers_start(workers, table, &probe, NULL), GYR_ERR_ARGUMENT, "without a line");
    EXPECT_INT(gyr_workers_stop(workers, 0, &error), 0, "it was not started");
    EXPECT_INT(probe.began_count, 0, "none has begun");
    worker_kit_gone("first");
    worker_probe_deinit(&probe);
}

void worker_table_names_every_mistake(void)
{
    struct gyr_workers *workers;
    CU_ASSERT_FATAL(gyr_workers_create(NULL, &workers) == 0);
    for (size_t i = 0; i < COUNT_OF(MISTAKES); i++) {
        if (!MISTAKES[i].needs_server) {
            expect_refused(workers, &MISTAKES[i].worker, MISTAKES[i].text, MISTAKES[i].why);
        }
    }
    for (size_t i = 0; i < COUNT_OF(HOMELESS); i++) {
        expect_refused(workers, &HOMELESS[i].worker, HOMELESS[i].text, "without a server");
    }
    gyr_workers_destroy(workers);
}

void worker_table_names_every_mistake_of_a_server(void)
{
    if (!kit_server_possible(1)) {
        return;
    }
    struct worker_log log;
    worker_log_init(&log);
    struct gyr_server *server = worker_kit_server(GYR_RING_EPOLL, 1, &log, NULL);
    struct gyr_workers *workers;
    CU_ASSERT_FATAL(gyr_workers_create(server, &workers) == 0);
    for (size_t i = 0; i < COUNT_OF(MISTAKES); i++) {
        const struct gyr_worker table[] = {
            {.name = "first", .at = "a.c:1", .run = worker_kit_sleeper}, MISTAKES[i].worker, {0}};
        struct gyr_error error = {""};
        expect_refused(workers, &MISTAKES[i].worker, MISTAKES[i].text, MISTAKES[i].why);
        EXPECT_INT(gyr_server_workers(server, table, NULL, &error), GYR_ERR_ARGUMENT,
                   MISTAKES[i].why);
        EXPECT(strcmp(error.text, MISTAKES[i].text) == 0, error.text);
    }
    const struct gyr_worker timer[] = {
        {.name = "x", .at = "a.c:1", .tick = worker_kit_tick, .interval_ms = 1}, {0}};
    struct gyr_error error = {""};
    EXPECT_INT(gyr_workers_start(workers, timer, NULL, &error), GYR_ERR_STATE, "no core yet");
    EXPECT(strcmp(error.text, "worker \"x\" (a.c:1): a timer needs a server that has started; "
                              "start it before, or use gyr_server_workers") == 0,
           error.text);
    worker_kit_start(server);
    worker_kit_gone("first");
    EXPECT_INT(gyr_server_workers(server, timer, NULL, &error), GYR_ERR_STATE, "too late");
    EXPECT(strcmp(error.text, "workers: the server was started already; call gyr_server_workers "
                              "before, or gyr_workers_start") == 0,
           error.text);
    kit_server_end(server);
    gyr_workers_destroy(workers);
    worker_log_deinit(&log);
}

void worker_table_needs_its_end(void)
{
    static struct gyr_worker table[WORKER_TABLE_MAX + 2];
    static char names[WORKER_TABLE_MAX + 1][8];
    struct gyr_workers *workers;
    struct gyr_error error = {""};
    CU_ASSERT_FATAL(gyr_workers_create(NULL, &workers) == 0);
    for (unsigned i = 0; i <= WORKER_TABLE_MAX; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "w%u", i);
        table[i] = (struct gyr_worker){.name = names[i], .run = worker_kit_returns};
    }
    EXPECT_INT(gyr_workers_start(workers, table, NULL, &error), GYR_ERR_ARGUMENT, "one too many");
    EXPECT(strcmp(error.text, "workers: more than 256 in a table; is {0} missing at its end?") == 0,
           error.text);
    EXPECT_INT(gyr_workers_start(workers, NULL, NULL, &error), GYR_ERR_ARGUMENT, "none");
    EXPECT(strcmp(error.text, "workers: the table is NULL; an empty one is {{0}}") == 0,
           error.text);
    gyr_workers_destroy(workers);
}

void worker_table_may_have_256_workers_and_long_names(void)
{
    static struct gyr_worker table[WORKER_TABLE_MAX + 1];
    static char names[WORKER_TABLE_MAX][WORKER_NAME_SIZE_MAX + 1];
    struct worker_probe probe;
    struct gyr_workers *workers;
    struct gyr_error error = {""};
    worker_probe_init(&probe);
    CU_ASSERT_FATAL(gyr_workers_create(NULL, &workers) == 0);
    for (unsigned i = 0; i < WORKER_TABLE_MAX; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "%03u%.61s", i, NAME_64);
        table[i] = (struct gyr_worker){.name = names[i], .run = worker_kit_returns};
    }
    EXPECT_INT(gyr_workers_start(workers, table, &probe, &error), 0, error.text);
    for (unsigned i = 0; i < WORKER_TABLE_MAX; i++) {
        kit_wait(&probe.began);
    }
    EXPECT_INT(gyr_workers_stop(workers, UINT32_MAX, &error), 0, "all were done");
    EXPECT_INT(probe.ended_count, WORKER_TABLE_MAX, "each ran");
    gyr_workers_destroy(workers);
    worker_probe_deinit(&probe);
}

void worker_table_macros_fill_in_what_they_say(void)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER("a", worker_kit_sleeper),
        GYR_WORKER("b", worker_kit_sleeper, .on_failure = GYR_WORKER_RESTART, .restarts_max = 3),
        GYR_WORKER_TIMER("c", worker_kit_tick, 250),
        GYR_WORKER_TIMER("d", worker_kit_tick, 10, .core_index = 2, .on_failure = GYR_WORKER_STOP),
        {0},
    };
    EXPECT(TABLE[0].run == worker_kit_sleeper && TABLE[0].tick == NULL, "a thread");
    EXPECT(strstr(TABLE[0].at, "test_worker_table.c:") != NULL, "where it stands");
    EXPECT(strcmp(TABLE[0].at, TABLE[1].at) != 0, "each its own line");
    EXPECT_INT(TABLE[0].on_failure, GYR_WORKER_LOG, "unless it says otherwise");
    EXPECT(TABLE[1].on_failure == GYR_WORKER_RESTART && TABLE[1].restarts_max == 3, "more fields");
    EXPECT(TABLE[2].tick == worker_kit_tick && TABLE[2].run == NULL, "a timer");
    EXPECT_INT(TABLE[2].interval_ms, 250, "its interval");
    EXPECT(TABLE[3].core_index == 2 && TABLE[3].on_failure == GYR_WORKER_STOP, "more fields");
    EXPECT(TABLE[4].name == NULL, "the end");
}
