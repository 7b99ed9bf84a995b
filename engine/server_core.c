/* SPDX-License-Identifier: MIT */
/* How the cores of a server begin and end, each on its own thread. They meet before the first of
 * them takes a turn: when each has tried io_uring, if the configuration leaves the choice, for all
 * take the same kind of ring; when all are made, so that they and other threads find each other
 * without a lock; and when on_core_start has succeeded on all of them. */
#include "engine/error.h"
#include "engine/report.h"
#include "engine/server.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>

struct core_thread {
    struct gyr_server *server;
    unsigned index;
};

static void *core_main(void *arg);
static void threads_start(struct gyr_server *server);
static int thread_start(struct gyr_server *server, unsigned index);
static int server_core_run(struct gyr_server *server, unsigned index, struct gyr_error *error);
static int core_make(struct gyr_server *server, unsigned index, struct core **core,
                     struct gyr_error *error);
static bool server_all_tried(struct gyr_server *server, const char *why);
static bool core_is_bound(const struct gyr_server *server, unsigned index);
static int core_bind(const struct gyr_server *server, unsigned index, struct gyr_error *error);
static int server_all_made(struct gyr_server *server, struct core *core, unsigned index, int err,
                           struct gyr_error *error);
static int core_begin(struct core *core, struct gyr_error *error);
static int server_all_ready(struct gyr_server *server, int err, struct gyr_error *error);
static void server_note_failure(struct gyr_server *server, int err, const struct gyr_error *error);
static void report_start(const struct gyr_server *server);
static void core_take_listeners(struct gyr_server *server, struct core *core, unsigned index);

int gyr_server_start(struct gyr_server *server, struct gyr_error *error)
{
    pthread_mutex_lock(&server->lock);
    if (server->way != SERVER_NOT_STARTED) {
        pthread_mutex_unlock(&server->lock);
        return ERROR_SET(error, GYR_ERR_STATE, "the server was started already; make another one");
    }
    server->way = SERVER_OWN_THREADS;
    threads_start(server);
    while (server->ready < server->core_count) {
        pthread_cond_wait(&server->change, &server->lock);
    }
    int err = server->err;
    struct gyr_error failed = server->error;
    pthread_mutex_unlock(&server->lock);
    if (err < 0) {
        gyr_server_wait(server);
        error_write(error, "%s", failed.text);
    }
    return err;
}

/* With the lock held. A core that gets no thread counts as one that has failed and ended. */
static void threads_start(struct gyr_server *server)
{
    /* The cores take no signal: they are the host's. */
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (server->thread_count < server->core_count) {
        unsigned index = server->thread_count;
        int err = thread_start(server, index);
        if (err < 0) {
            struct gyr_error failed;
            error_write(&failed, "core %u: no thread: %s%s", index, gyr_strerror(err),
                        error_advice(err));
            server_note_failure(server, err, &failed);
            unsigned missing = server->core_count - index;
            server->tried += missing;
            server->made += missing;
            server->ready += missing;
            server->ended += missing;
            pthread_cond_broadcast(&server->change);
            break;
        }
        server->thread_count++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static int thread_start(struct gyr_server *server, unsigned index)
{
    struct core_thread *thread = memory_alloc(sizeof(*thread));
    if (thread == NULL) {
        return -ENOMEM;
    }
    *thread = (struct core_thread){.server = server, .index = index};
    int err = pthread_create(&server->threads[index], NULL, core_main, thread);
    if (err != 0) {
        memory_free(thread);
        return -err;
    }
    char name[32];
    (void)snprintf(name, sizeof(name), "gyr-core-%u", index);
    pthread_setname_np(server->threads[index], name);
    return 0;
}

static void *core_main(void *arg)
{
    struct core_thread thread = *(struct core_thread *)arg;
    memory_free(arg);
    /* The error stays in the server for whoever started it. */
    (void)server_core_run(thread.server, thread.index, NULL);
    return NULL;
}

int gyr_server_run_core(struct gyr_server *server, unsigned core_index, struct gyr_error *error)
{
    if (core_index >= server->core_count) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT, "core %u: the server has cores 0 to %u",
                         core_index, server->core_count - 1);
    }
    pthread_mutex_lock(&server->lock);
    bool taken = server->way == SERVER_OWN_THREADS || server->run[core_index];
    if (!taken) {
        server->way = SERVER_HOST_THREADS;
        server->run[core_index] = true;
    }
    pthread_mutex_unlock(&server->lock);
    if (taken) {
        return ERROR_SET(error, GYR_ERR_STATE, "core %u: it was run already", core_index);
    }
    /* The thread is the host's: it gets back the CPUs that it had. */
    cpu_set_t cpus;
    bool bound = core_is_bound(server, core_index) &&
                 pthread_getaffinity_np(pthread_self(), sizeof(cpus), &cpus) == 0;
    int err = server_core_run(server, core_index, error);
    if (bound) {
        (void)pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
    }
    return err;
}

static int server_core_run(struct gyr_server *server, unsigned index, struct gyr_error *error)
{
    struct gyr_error failed = {""};
    struct core *core = NULL;
    int err = core_make(server, index, &core, &failed);
    err = server_all_made(server, core, index, err, &failed);
    if (err == 0) {
        err = core_begin(core, &failed);
    }
    const struct engine_layer *layer = err == 0 && index == 0 ? server->layer : NULL;
    if (layer != NULL && layer->server_ready != NULL) {
        err = layer->server_ready(server->layer_state, &failed);
    }
    err = server_all_ready(server, err, &failed);
    if (err == 0) {
        ASSERT(core != NULL);
        if (index == 0) {
            report_start(server);
        }
        core_take_listeners(server, core, index);
        if (layer != NULL && layer->server_start != NULL) {
            layer->server_start(server->layer_state);
        }
        /* Partner: gyr_server_stop, which stores the request before it looks for the cores. */
        if (atomic_load_explicit(&server->stop_requested, memory_order_seq_cst)) {
            core_stop(core);
        }
        while (core_turn(core)) {
        }
    } else {
        error_write(error, "%s", failed.text);
        if (layer != NULL && layer->server_stop != NULL) {
            layer->server_stop(server->layer_state, server->config.shutdown_deadline_ms);
        }
    }
    if (core != NULL) {
        core_destroy(core);
    }
    /* The last touch: after it the server may be destroyed. */
    pthread_mutex_lock(&server->lock);
    server->ended++;
    pthread_cond_broadcast(&server->change);
    pthread_mutex_unlock(&server->lock);
    return err;
}

/* Make a core on its own thread: its ring belongs to the thread that made it. */
static int core_make(struct gyr_server *server, unsigned index, struct core **core,
                     struct gyr_error *error)
{
    char why[RING_WHY_SIZE] = "";
    struct core_config config = {
        .config = &server->configs[index],
        .service = &server->service,
        .layer = server->layer,
        .layer_state = server->layer_state,
        .ring_ops = server->ring_ops,
        .ring_why = why,
        .server = server,
        .addresses = server->addresses,
        .peers = server->cores,
        .peer_count = server->core_count,
        .index = index,
    };
    int err = core_is_bound(server, index) ? core_bind(server, index, error) : 0;
    if (err == 0) {
        err = core_create(&config, core, error);
    }
    if (server->config.ring != GYR_RING_AUTO || server_all_tried(server, why)) {
        return err;
    }
    if (err == 0) {
        core_destroy(*core);
        core_free(*core);
        *core = NULL;
    } else if (why[0] == '\0') {
        return err; /* not for want of io_uring */
    }
    config.ring_ops = server->ring_ops;
    return core_create(&config, core, error);
}

/* Wait until every core has tried io_uring. Returns false if one cannot have it, `why` not being
 * "": then all take epoll, since a core wakes another through its own ring. */
static bool server_all_tried(struct gyr_server *server, const char *why)
{
    pthread_mutex_lock(&server->lock);
    if (server->ring_reason[0] == '\0' && why[0] != '\0') {
        (void)snprintf(server->ring_reason, sizeof(server->ring_reason), "%s", why);
    }
    server->tried++;
    bool all = server->ring_reason[0] == '\0';
    if (server->tried == server->core_count && !all) {
        server->ring_ops = &ring_epoll_ops;
    }
    pthread_cond_broadcast(&server->change);
    while (server->tried < server->core_count) {
        pthread_cond_wait(&server->change, &server->lock);
    }
    all = server->ring_reason[0] == '\0';
    pthread_mutex_unlock(&server->lock);
    return all;
}

/* A core with a CPU of its own is bound to it, or the CPU would mean nothing. */
static bool core_is_bound(const struct gyr_server *server, unsigned index)
{
    const struct gyr_config *config = &server->configs[index];
    return config->pin != 0 || config->cpu != GYR_CPU_BY_CORES;
}

static int core_bind(const struct gyr_server *server, unsigned index, struct gyr_error *error)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(server->cpus[index], &set);
    int err = pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
    if (err != 0) {
        return ERROR_SET(error, -err, "core %u: cannot be bound to CPU %u: %s", index,
                         server->cpus[index], gyr_strerror(-err));
    }
    return 0;
}

/* Wait until every core is made; publish them. If any has failed, none goes on: the first one's
 * error, with its line. */
static int server_all_made(struct gyr_server *server, struct core *core, unsigned index, int err,
                           struct gyr_error *error)
{
    pthread_mutex_lock(&server->lock);
    server->cores[index] = core;
    server_note_failure(server, err, error);
    server->made++;
    if (server->made == server->core_count && server->err == 0) {
        /* Publishes `cores` and the choice of the ring; partners: server_put, gyr_server_stats,
         * gyr_server_stop, gyr_server_ring. */
        atomic_store_explicit(&server->cores_made, true, memory_order_seq_cst);
    }
    pthread_cond_broadcast(&server->change);
    while (server->made < server->core_count) {
        pthread_cond_wait(&server->change, &server->lock);
    }
    /* Not `err` alone: another core may have failed in core_begin already. */
    bool all = atomic_load_explicit(&server->cores_made, memory_order_relaxed);
    err = all ? 0 : server->err;
    pthread_mutex_unlock(&server->lock);
    return err;
}

static int core_begin(struct core *core, struct gyr_error *error)
{
    ASSERT(core != NULL); /* otherwise server_all_made had failed */
    int err = core_layer_start(core);
    if (err < 0) {
        return ERROR_SET(error, err, "core %u: %s", core->index, gyr_strerror(err));
    }
    if (core->service->on_core_start != NULL) {
        err = core->service->on_core_start((struct gyr_core *)core);
        if (err < 0) {
            return ERROR_SET(error, err, "core %u: on_core_start: %s", core->index,
                             gyr_strerror(err));
        }
    }
    core->data_ready = true;
    return 0;
}

/* Wait until every core may take turns. If any may not, none does: as server_all_made. */
static int server_all_ready(struct gyr_server *server, int err, struct gyr_error *error)
{
    pthread_mutex_lock(&server->lock);
    server_note_failure(server, err, error);
    server->ready++;
    pthread_cond_broadcast(&server->change);
    while (server->ready < server->core_count) {
        pthread_cond_wait(&server->change, &server->lock);
    }
    err = server->err;
    *error = server->error;
    pthread_mutex_unlock(&server->lock);
    return err;
}

/* With the lock held. */
static void server_note_failure(struct gyr_server *server, int err, const struct gyr_error *error)
{
    if (err < 0 && server->err == 0) {
        server->err = err;
        server->error = *error;
    }
}

static void report_start(const struct gyr_server *server)
{
    const struct gyr_service *service = &server->service;
    const struct gyr_config *config = &server->config;
    struct log_line line;
    if (server->ring_reason[0] != '\0' &&
        report_server_begin(service, config, GYR_LOG_INFO, "server.ring", &line)) {
        log_text(&line, "ring", server->ring_ops->name);
        log_text(&line, "reason", server->ring_reason);
        report_server_end(service, &line);
    }
    if (report_server_begin(service, config, GYR_LOG_INFO, "server.start", &line)) {
        log_text(&line, "version", GYR_VERSION);
        log_text(&line, "ring", server->ring_ops->name);
        log_number(&line, "cores", server->core_count);
        report_server_end(service, &line);
    }
    for (unsigned i = 0; i < server->listener_count; i++) {
        if (report_server_begin(service, config, GYR_LOG_INFO, "server.listen", &line)) {
            log_text(&line, "address", server->listeners[i].address.text);
            report_server_end(service, &line);
        }
    }
}

static void core_take_listeners(struct gyr_server *server, struct core *core, unsigned index)
{
    for (unsigned i = 0; i < server->listener_count; i++) {
        struct server_listener *listener = &server->listeners[i];
        unsigned slot = listener->fd_count == 1 ? 0 : index;
        /* A socket that cannot be spread goes to one core, which hands over what it accepts. */
        if (listener->fd_count == 1 && i % server->core_count != index) {
            continue;
        }
        core_listen(core, listener->fds[slot]);
        listener->fds[slot] = -1;
    }
}
