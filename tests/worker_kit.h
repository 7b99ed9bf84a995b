/* SPDX-License-Identifier: MIT */
/* For tests of workers: what a server has logged, who of this process's threads has a name, and
 * workers that say what they do. */
#ifndef TESTS_WORKER_KIT_H
#define TESTS_WORKER_KIT_H

#include "gyr/gyr_worker.h"
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"
#include "tests/run_tests.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#define WORKER_KIT_HOUR_MS 3600000

/* ---- the log ---- */

/* Of a server: service.user, with worker_kit_log as on_log. */
struct worker_log {
    pthread_mutex_t lock;
    pthread_cond_t change;
    char text[16384]; /* lines, each ended; what does not fit is lost */
    size_t size;
};

void worker_log_init(struct worker_log *log);
void worker_log_deinit(struct worker_log *log);
void worker_kit_log(void *user, enum gyr_log_level level, struct gyr_span line);
/* How many lines hold this text? */
unsigned worker_log_count(struct worker_log *log, const char *text);
/* Wait until so many do; the test has failed if they do not come for KIT_PATIENCE_S. */
void worker_log_wait(struct worker_log *log, const char *text, unsigned count);

/* ---- threads ---- */

/* How many threads of this process have this name? */
unsigned worker_kit_threads(const char *name);
/* Wait until none has it: those that were left behind are joined by nobody. */
void worker_kit_gone(const char *name);

/* ---- workers ---- */

/* The context of those below, one for all of a table. */
struct worker_probe {
    sem_t began; /* a run or tick has begun */
    sem_t ended; /* it is about to return, and touches this no more */
    sem_t go;    /* for those that are deaf */
    _Atomic unsigned began_count;
    _Atomic unsigned ended_count;
    _Atomic int result; /* what those return that can */
    _Atomic bool was_stopping;
    _Atomic(struct gyr_worker_run *) run; /* of the last that began */
    _Atomic(struct gyr_server *) server;
};

void worker_probe_init(struct worker_probe *probe);
void worker_probe_deinit(struct worker_probe *probe);

/* Sleeps until it is stopped. */
int worker_kit_sleeper(struct gyr_worker_run *run, void *context);
/* Returns `result` at once. */
int worker_kit_returns(struct gyr_worker_run *run, void *context);
/* Looks at nothing before `go`; then returns `result`. */
int worker_kit_deaf(struct gyr_worker_run *run, void *context);
/* A tick that returns `result`. */
int worker_kit_tick(struct gyr_worker_run *run, struct gyr_core *core, void *context);
/* A tick that waits for `go`, which a real one must not. */
int worker_kit_deaf_tick(struct gyr_worker_run *run, struct gyr_core *core, void *context);

/* ---- servers ---- */

/* A server of so many cores on this ring, not started; GYR_WORKER's log. */
struct gyr_server *
worker_kit_server(enum gyr_ring ring, unsigned core_count, struct worker_log *log,
                  void (*change)(struct gyr_config *config, struct gyr_service *service));
void worker_kit_start(struct gyr_server *server);

#endif
