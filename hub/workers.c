/* SPDX-License-Identifier: MIT */
/* What a service calls to have workers: controllers of its own, and crews that live with a
 * server. */
#include "hub/hub.h"
#include "hub/worker.h"

#include <stdio.h>

struct gyr_workers {
    struct gyr_server *server; /* borrowed; NULL: none */
    pthread_mutex_t lock;      /* guards what follows */
    pthread_cond_t change;
    struct crew *crew; /* owned; NULL: not started, or stopped */
    bool is_stopping;  /* somebody waits for the crew's end, without the lock */
};

static int workers_begin(struct gyr_workers *workers, const struct gyr_worker *table,
                         unsigned count, void *context, struct gyr_error *error);
static const struct gyr_worker_run *crew_find_self(struct crew *crew);
static int crew_result(struct crew *crew, unsigned left_count, uint32_t deadline_ms,
                       struct gyr_error *error);
static void left_write(const struct crew *crew, uint32_t deadline_ms, struct gyr_error *error);

/* ---- on their own ---------------------------------------------------------------------------- */

int gyr_workers_create(struct gyr_server *server, struct gyr_workers **workers_out)
{
    struct gyr_workers *workers = memory_alloc(sizeof(*workers));
    if (workers == NULL) {
        return GYR_ERR_MEMORY;
    }
    workers->server = server;
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->change, NULL);
    *workers_out = workers;
    return 0;
}

int gyr_workers_start(struct gyr_workers *workers, const struct gyr_worker *table, void *context,
                      struct gyr_error *error)
{
    unsigned count;
    int err = worker_table_check(workers->server, table, &count, error);
    if (err < 0) {
        return err;
    }
    pthread_mutex_lock(&workers->lock);
    if (workers->crew != NULL) {
        err = ERROR_SET(error, GYR_ERR_STATE,
                        "workers: started already, \"%s\" first; gyr_workers_stop comes before "
                        "another start",
                        workers->crew->runs[0].worker.name);
    } else if (count != 0) {
        err = workers_begin(workers, table, count, context, error);
    }
    pthread_mutex_unlock(&workers->lock);
    return err;
}

/* With the lock held. */
static int workers_begin(struct gyr_workers *workers, const struct gyr_worker *table,
                         unsigned count, void *context, struct gyr_error *error)
{
    struct gyr_server *server = workers->server;
    for (unsigned i = 0; i < count; i++) {
        if (table[i].tick != NULL && !engine_server_is_made(server)) {
            return ERROR_SET(error, GYR_ERR_STATE,
                             "worker \"%s\"%s: a timer needs a server that has started; start it "
                             "before, or use gyr_server_workers",
                             table[i].name, worker_place(&table[i]).text);
        }
    }
    struct crew *crew = crew_create(server, table, count, context);
    if (crew == NULL) {
        return ERROR_SET(error, GYR_ERR_MEMORY, "workers: no memory for %u", count);
    }
    int err = crew_prepare(crew, error);
    if (err < 0) {
        crew_unref(crew);
        return err;
    }
    workers->crew = crew;
    crew_begin(crew);
    return 0;
}

int gyr_workers_stop(struct gyr_workers *workers, uint32_t deadline_ms, struct gyr_error *error)
{
    uint64_t end_ns = worker_now_ns() + (uint64_t)deadline_ms * 1000000;
    pthread_mutex_lock(&workers->lock);
    struct crew *crew = workers->crew;
    const struct gyr_worker_run *self = crew != NULL ? crew_find_self(crew) : NULL;
    bool is_ours = crew != NULL && self == NULL && !workers->is_stopping;
    if (is_ours) {
        workers->is_stopping = true;
        crew_ask(crew);
    }
    while (self == NULL && !is_ours && workers->is_stopping) {
        pthread_cond_wait(&workers->change, &workers->lock);
    }
    pthread_mutex_unlock(&workers->lock);
    if (self != NULL) {
        return ERROR_SET(error, GYR_ERR_STATE,
                         "worker \"%s\": it would wait for its own end; let another thread call "
                         "gyr_workers_stop",
                         self->worker.name);
    }
    if (!is_ours) {
        return 0;
    }
    int result = crew_result(crew, crew_wait(crew, end_ns), deadline_ms, error);
    pthread_mutex_lock(&workers->lock);
    workers->crew = NULL;
    workers->is_stopping = false;
    pthread_cond_broadcast(&workers->change);
    pthread_mutex_unlock(&workers->lock);
    crew_unref(crew);
    return result;
}

/* The worker whose thread, or whose core's, calls this; or NULL. */
static const struct gyr_worker_run *crew_find_self(struct crew *crew)
{
    const struct gyr_worker_run *self = NULL;
    for (unsigned i = 0; i < crew->run_count && self == NULL; i++) {
        struct gyr_worker_run *run = &crew->runs[i];
        pthread_mutex_lock(&run->lock);
        if (run->has_thread && !run->has_ended && pthread_equal(run->thread, pthread_self())) {
            self = run;
        }
        pthread_mutex_unlock(&run->lock);
    }
    return self;
}

/* Who was left behind comes first: its context must live on. */
static int crew_result(struct crew *crew, unsigned left_count, uint32_t deadline_ms,
                       struct gyr_error *error)
{
    if (left_count != 0) {
        left_write(crew, deadline_ms, error);
        return GYR_ERR_TIMEOUT;
    }
    for (unsigned i = 0; i < crew->run_count; i++) {
        const struct gyr_worker_run *run = &crew->runs[i];
        if (run->err < 0) {
            return ERROR_SET(error, run->err, "worker \"%s\"%s: failed with %d: %s",
                             run->worker.name, worker_place(&run->worker).text, run->err,
                             gyr_strerror(run->err));
        }
    }
    return 0;
}

static void left_write(const struct crew *crew, uint32_t deadline_ms, struct gyr_error *error)
{
    char names[160] = "";
    size_t size = 0;
    for (unsigned i = 0; i < crew->run_count; i++) {
        const struct gyr_worker_run *run = &crew->runs[i];
        if (!atomic_load_explicit(&run->is_left, memory_order_relaxed)) {
            continue;
        }
        size_t name_size = strlen(run->worker.name);
        if (size + name_size + sizeof("\"\", ...") > sizeof(names)) {
            memcpy(names + size, ", ...", sizeof(", ..."));
            break;
        }
        size += (size_t)snprintf(names + size, sizeof(names) - size, "%s\"%s\"",
                                 size != 0 ? ", " : "", run->worker.name);
    }
    error_write(error,
                "workers: not ended within %u ms: %s; left behind, so their context must live on",
                deadline_ms, names);
}

void gyr_workers_destroy(struct gyr_workers *workers)
{
    if (workers == NULL) {
        return;
    }
    ASSERT(workers->crew == NULL); /* stopped before */
    pthread_cond_destroy(&workers->change);
    pthread_mutex_destroy(&workers->lock);
    memory_free(workers);
}

/* ---- with a server --------------------------------------------------------------------------- */

void staff_init(struct staff *staff)
{
    pthread_mutex_init(&staff->lock, NULL);
}

void staff_deinit(struct staff *staff, struct gyr_server *server)
{
    staff_wait(staff, server);
    for (unsigned i = 0; i < staff->crew_count; i++) {
        crew_unref(staff->crews[i]);
    }
    memory_free((void *)staff->crews);
    pthread_mutex_destroy(&staff->lock);
}

int gyr_server_workers(struct gyr_server *server, const struct gyr_worker *table, void *context,
                       struct gyr_error *error)
{
    struct staff *staff = &hub_of_server(server)->staff;
    unsigned count;
    int err = worker_table_check(server, table, &count, error);
    if (err < 0) {
        return err;
    }
    if (engine_server_has_begun(server)) {
        return ERROR_SET(error, GYR_ERR_STATE,
                         "workers: the server was started already; call gyr_server_workers before, "
                         "or gyr_workers_start");
    }
    if (count == 0) {
        return 0;
    }
    pthread_mutex_lock(&staff->lock);
    struct crew *crew = crew_create(server, table, count, context);
    struct crew **crews = memory_alloc((staff->crew_count + 1) * sizeof(struct crew *));
    if (crew != NULL && crews != NULL) {
        if (staff->crew_count != 0) {
            memcpy((void *)crews, (void *)staff->crews, staff->crew_count * sizeof(struct crew *));
        }
        memory_free((void *)staff->crews);
        staff->crews = crews;
        staff->crews[staff->crew_count++] = crew;
    } else {
        if (crew != NULL) {
            crew_unref(crew);
        }
        memory_free((void *)crews);
        err = ERROR_SET(error, GYR_ERR_MEMORY, "workers: no memory for %u", count);
    }
    pthread_mutex_unlock(&staff->lock);
    return err;
}

int staff_prepare(struct staff *staff, struct gyr_error *error)
{
    int err = 0;
    for (unsigned i = 0; i < staff->crew_count && err == 0; i++) {
        err = crew_prepare(staff->crews[i], error);
    }
    return err;
}

void staff_begin(struct staff *staff)
{
    for (unsigned i = 0; i < staff->crew_count; i++) {
        crew_begin(staff->crews[i]);
    }
}

void staff_ask(struct staff *staff, uint32_t deadline_ms)
{
    staff->end_ns = worker_now_ns() + (uint64_t)deadline_ms * 1000000;
    for (unsigned i = 0; i < staff->crew_count; i++) {
        crew_ask(staff->crews[i]);
    }
}

void staff_wait(struct staff *staff, struct gyr_server *server)
{
    pthread_mutex_lock(&staff->lock);
    for (unsigned i = 0; i < staff->crew_count; i++) {
        struct crew *crew = staff->crews[i];
        unsigned left_count = crew_wait(crew, staff->end_ns);
        for (unsigned k = 0; k < crew->run_count && left_count != 0; k++) {
            struct gyr_worker_run *run = &crew->runs[k];
            struct log_line line;
            if (atomic_load_explicit(&run->is_left, memory_order_relaxed) &&
                engine_server_log_begin(server, GYR_LOG_ERROR, "worker.left", &line)) {
                log_text(&line, "worker", run->worker.name);
                engine_server_log_end(server, &line);
            }
        }
    }
    pthread_mutex_unlock(&staff->lock);
}
