/* SPDX-License-Identifier: MIT */
/* The life of a server: it owns the listeners and the cores, gives each core its thread or is given
 * one, and ends them together. The cores meet before the first of them takes a turn: when each has
 * tried io_uring, if the configuration leaves the choice, since all take the same kind of ring;
 * when all are made, so that they and other threads find each other without a lock; and when
 * on_core_start has succeeded on all of them. */
#include "engine/config.h"
#include "engine/core.h"
#include "engine/error.h"
#include "engine/listener.h"
#include "engine/offload.h"
#include "engine/reload.h"
#include "engine/settings.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#define SERVER_CORES_MAX     CONFIG_CORES_MAX
#define SERVER_LISTENERS_MAX CORE_LISTENERS_MAX

/* One address: a socket per core where the kernel can spread connections, otherwise one. */
struct server_listener {
    struct listener_address address; /* text is "" if the descriptor was adopted */
    unsigned fd_count;
    bool adopted;
    int *fds; /* owned; -1 once a core has taken it */
};

/* A server starts once, and in one way. */
enum server_way {
    SERVER_NOT_STARTED,
    SERVER_OWN_THREADS,  /* gyr_server_start */
    SERVER_HOST_THREADS, /* gyr_server_run_core */
};

struct gyr_server {
    struct gyr_config config; /* of all cores, as at the start */
    struct gyr_service service;
    const struct ring_ops *ring_ops; /* once `tried` is complete, all cores' */
    unsigned core_count;
    unsigned *cpus; /* owned; core_count */
    struct gyr_config
        *configs; /* owned; core_count; from its first turn on each is written by its core alone */
    struct core **cores; /* owned; read without the lock once cores_made */
    pthread_t *threads;  /* owned; core_count */
    unsigned listener_count;
    struct server_listener listeners[SERVER_LISTENERS_MAX];
    struct offload *offload;         /* owned */
    struct address_table *addresses; /* owned */

    pthread_mutex_t lock; /* start and end only; it guards what follows */
    pthread_cond_t change;
    enum server_way way;
    bool *run;                       /* owned; core_count: gyr_server_run_core was called */
    unsigned thread_count;           /* to be joined */
    unsigned tried;                  /* GYR_RING_AUTO: cores that have io_uring, or have failed */
    char ring_reason[RING_WHY_SIZE]; /* of the first that cannot have it; "" if all can */
    unsigned made;                   /* cores that are made, or have failed */
    unsigned ready;                  /* cores that may take turns, or have failed */
    unsigned ended;                  /* cores that have ended */
    int err;                         /* of the first core that failed */
    struct gyr_error error;

    _Atomic bool cores_made; /* every core is; set once, under the lock */
    _Atomic bool stop_requested;
};

struct core_thread {
    struct gyr_server *server;
    unsigned index;
};

static int server_allocate(struct gyr_server *server, const struct gyr_settings *settings,
                           struct gyr_error *error);
static bool server_has_begun(struct gyr_server *server);
static int listener_add(struct gyr_server *server, const struct listener_address *address,
                        struct gyr_error *error);
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
static void core_take_listeners(struct gyr_server *server, struct core *core, unsigned index);

int gyr_server_create(const struct gyr_config *config, const struct gyr_service *service,
                      struct gyr_server **server, struct gyr_error *error)
{
    struct gyr_settings *settings;
    int err = gyr_settings_create(config, &settings, error);
    if (err < 0) {
        return err;
    }
    err = gyr_server_create_with(settings, service, server, error);
    gyr_settings_destroy(settings);
    return err;
}

int gyr_server_create_with(const struct gyr_settings *settings, const struct gyr_service *service,
                           struct gyr_server **server_out, struct gyr_error *error)
{
    if (service->size == 0 || service->conn_data_size > 65536) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "gyr_service: size = %zu, conn_data_size = %zu; set size to "
                         "sizeof(struct gyr_service), conn_data_size to at most 65536",
                         service->size, service->conn_data_size);
    }
    struct gyr_server *server = memory_alloc(sizeof(*server));
    if (server == NULL) {
        return ERROR_SET(error, GYR_ERR_MEMORY, "server: no memory");
    }
    server->config = *gyr_settings_config(settings);
    memcpy(&server->service, service, MIN(service->size, sizeof(server->service)));
    server->ring_ops = server->config.ring == GYR_RING_EPOLL ? &ring_epoll_ops : &ring_uring_ops;
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->change, NULL);
    int err = server_allocate(server, settings, error);
    if (err < 0) {
        gyr_server_destroy(server);
        return err;
    }
    *server_out = server;
    return 0;
}

static int server_allocate(struct gyr_server *server, const struct gyr_settings *settings,
                           struct gyr_error *error)
{
    unsigned cpus[SERVER_CORES_MAX];
    int err = settings_cpus(settings, cpus, SERVER_CORES_MAX, &server->core_count, error);
    if (err == 0) {
        err = settings_check(settings, server->core_count, error);
    }
    if (err < 0) {
        return err;
    }
    unsigned count = server->core_count;
    server->cpus = memory_alloc(count * sizeof(*server->cpus));
    server->configs = memory_alloc(count * sizeof(*server->configs));
    server->cores = memory_alloc(count * sizeof(struct core *));
    server->threads = memory_alloc(count * sizeof(*server->threads));
    server->run = memory_alloc(count * sizeof(*server->run));
    server->offload =
        offload_create(server->config.offload_threads, server->config.offload_count_max);
    uint8_t secret[16];
    if (getrandom(secret, sizeof(secret), 0) != sizeof(secret)) {
        return ERROR_SET(error, -errno, "server: no random numbers: %s", gyr_strerror(-errno));
    }
    if (address_table_create(secret, &server->addresses) < 0 || server->cpus == NULL ||
        server->configs == NULL || server->cores == NULL || server->threads == NULL || server->run == NULL ||
        server->offload == NULL) {
        return ERROR_SET(error, GYR_ERR_MEMORY, "server: no memory for %u cores", count);
    }
    memcpy(server->cpus, cpus, count * sizeof(*cpus));
    for (unsigned i = 0; i < count; i++) {
        settings_of_core(settings, i, &server->configs[i]);
    }
    return 0;
}

static bool server_has_begun(struct gyr_server *server)
{
    pthread_mutex_lock(&server->lock);
    bool begun = server->way != SERVER_NOT_STARTED;
    pthread_mutex_unlock(&server->lock);
    return begun;
}

int gyr_server_listen(struct gyr_server *server, const char *text, struct gyr_error *error)
{
    struct listener_address address;
    if (server_has_begun(server)) {
        return ERROR_SET(error, GYR_ERR_STATE, "%s: the server was started already", text);
    }
    int err = listener_parse(text, &address, error);
    return err < 0 ? err : listener_add(server, &address, error);
}

static int listener_add(struct gyr_server *server, const struct listener_address *address,
                        struct gyr_error *error)
{
    if (server->listener_count == SERVER_LISTENERS_MAX) {
        return ERROR_SET(error, GYR_ERR_LIMIT, "%s: more than %d listeners", address->text,
                         SERVER_LISTENERS_MAX);
    }
    bool spread = address->name.any.sa_family != AF_UNIX && server->core_count > 1;
    unsigned count = spread ? server->core_count : 1;
    struct server_listener *listener = &server->listeners[server->listener_count];
    *listener = (struct server_listener){.address = *address};
    listener->fds = memory_alloc(count * sizeof(int));
    if (listener->fds == NULL) {
        return ERROR_SET(error, GYR_ERR_MEMORY, "%s: no memory", address->text);
    }
    unsigned backlog = server->config.listen_backlog;
    for (unsigned i = 0; i < count; i++) {
        int err = i == 0 ? listener_open(address, spread, backlog, &listener->fds[0], error)
                         : listener_join(listener->fds[0], backlog, &listener->fds[i], error);
        if (err < 0) {
            while (i-- > 0) {
                listener_close(listener->fds[i]);
            }
            memory_free(listener->fds);
            return err;
        }
        listener->fd_count++;
    }
    listener_local(listener->fds[0], listener->address.text, sizeof(listener->address.text));
    server->listener_count++;
    return 0;
}

int gyr_server_adopt(struct gyr_server *server, int fd, struct gyr_error *error)
{
    if (server_has_begun(server)) {
        return ERROR_SET(error, GYR_ERR_STATE, "descriptor %d: the server was started already", fd);
    }
    if (server->listener_count == SERVER_LISTENERS_MAX) {
        return ERROR_SET(error, GYR_ERR_LIMIT, "descriptor %d: more than %d listeners", fd,
                         SERVER_LISTENERS_MAX);
    }
    int err = listener_adopt(fd, error);
    if (err < 0) {
        return err;
    }
    struct server_listener *listener = &server->listeners[server->listener_count];
    *listener = (struct server_listener){.adopted = true, .fd_count = 1};
    listener->fds = memory_alloc(sizeof(int));
    if (listener->fds == NULL) {
        return ERROR_SET(error, GYR_ERR_MEMORY, "descriptor %d: no memory", fd);
    }
    listener->fds[0] = fd;
    listener_local(fd, listener->address.text, sizeof(listener->address.text));
    server->listener_count++;
    return 0;
}

bool gyr_server_address(const struct gyr_server *server, unsigned index, char *text, size_t size)
{
    if (index >= server->listener_count) {
        return false;
    }
    (void)snprintf(text, size, "%s", server->listeners[index].address.text);
    return true;
}

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
    err = server_all_ready(server, err, &failed);
    if (err == 0) {
        ASSERT(core != NULL);
        core_take_listeners(server, core, index);
        /* Partner: gyr_server_stop, which stores the request before it looks for the cores. */
        if (atomic_load_explicit(&server->stop_requested, memory_order_seq_cst)) {
            core_stop(core);
        }
        while (core_turn(core)) {
        }
    } else {
        error_write(error, "%s", failed.text);
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
    if (core->service->on_core_start != NULL) {
        int err = core->service->on_core_start((struct gyr_core *)core);
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

const char *gyr_server_ring(const struct gyr_server *server)
{
    bool made = atomic_load_explicit(&server->cores_made, memory_order_acquire);
    return made ? server->ring_ops->name : "";
}

const char *gyr_server_ring_reason(const struct gyr_server *server)
{
    bool made = atomic_load_explicit(&server->cores_made, memory_order_acquire);
    return made ? server->ring_reason : "";
}

unsigned gyr_server_core_count(const struct gyr_server *server)
{
    return server->core_count;
}

void *gyr_server_user(const struct gyr_server *server)
{
    return server->service.user;
}

void gyr_server_stats(const struct gyr_server *server, unsigned core_index, struct gyr_stats *stats,
                      size_t size)
{
    struct gyr_stats sum = {0};
    bool made = atomic_load_explicit(&server->cores_made, memory_order_acquire);
    for (unsigned i = 0; made && i < server->core_count; i++) {
        if (core_index == UINT_MAX || core_index == i) {
            stats_sum(&sum, &server->cores[i]->stats);
        }
    }
    memset(stats, 0, size);
    memcpy(stats, &sum, MIN(size, sizeof(sum)));
}

void gyr_server_stop(struct gyr_server *server)
{
    /* Partner: server_core_run, which looks for the request after the cores were published. */
    atomic_store_explicit(&server->stop_requested, true, memory_order_seq_cst);
    bool made = atomic_load_explicit(&server->cores_made, memory_order_seq_cst);
    for (unsigned i = 0; made && i < server->core_count; i++) {
        core_stop(server->cores[i]);
    }
}

int gyr_server_reload(struct gyr_server *server, const struct gyr_settings *settings,
                      struct gyr_error *error)
{
    if (!atomic_load_explicit(&server->cores_made, memory_order_acquire)) {
        return ERROR_SET(error, GYR_ERR_STATE, "reload: the server does not run yet");
    }
    /* One at a time, so that all cores end up with the same. */
    pthread_mutex_lock(&server->lock);
    int err = reload_post(settings, server->cores, server->configs, server->core_count, error);
    pthread_mutex_unlock(&server->lock);
    return err;
}

void gyr_server_wait(struct gyr_server *server)
{
    pthread_mutex_lock(&server->lock);
    while (server->way != SERVER_NOT_STARTED && server->ended < server->core_count) {
        pthread_cond_wait(&server->change, &server->lock);
    }
    unsigned thread_count = server->thread_count;
    server->thread_count = 0;
    pthread_mutex_unlock(&server->lock);
    for (unsigned i = 0; i < thread_count; i++) {
        pthread_join(server->threads[i], NULL);
    }
}

void gyr_server_destroy(struct gyr_server *server)
{
    if (server == NULL) {
        return;
    }
    ASSERT(server->thread_count == 0);
    offload_destroy(server->offload);
    address_table_destroy(server->addresses);
    for (unsigned i = 0; i < server->listener_count; i++) {
        struct server_listener *listener = &server->listeners[i];
        for (unsigned k = 0; k < listener->fd_count; k++) {
            if (listener->fds[k] >= 0) {
                close(listener->fds[k]);
            }
        }
        if (!listener->adopted) {
            listener_remove(&listener->address);
        }
        memory_free(listener->fds);
    }
    for (unsigned i = 0; i < server->core_count && server->cores != NULL; i++) {
        if (server->cores[i] != NULL) {
            core_free(server->cores[i]);
        }
    }
    memory_free(server->cpus);
    memory_free(server->configs);
    memory_free(server->cores);
    memory_free(server->threads);
    memory_free(server->run);
    pthread_cond_destroy(&server->change);
    pthread_mutex_destroy(&server->lock);
    memory_free(server);
}

/* ---- calls of other threads ---- */

static void mail_post(struct core *core, struct mail *mail)
{
    mail->fn.post((struct gyr_core *)core, mail->arg);
}

static void mail_complete(struct core *core, struct mail *mail)
{
    struct gyr_conn *conn =
        gyr_core_find((struct gyr_core *)core, (struct gyr_handle){mail->handle});
    int result = mail->fn.complete(conn, mail->arg);
    if (conn != NULL) {
        /* Whoever has ended the wait meanwhile was first. */
        (void)gyr_finish(conn, result);
    }
}

static void mail_mail(struct core *core, struct mail *mail)
{
    if (core->service->on_mail != NULL) {
        core->service->on_mail(
            gyr_core_find((struct gyr_core *)core, (struct gyr_handle){mail->handle}), mail->arg);
    }
}

static int server_put(struct gyr_server *server, uint64_t core_index, const struct mail *mail)
{
    if (core_index >= server->core_count) {
        return GYR_ERR_ARGUMENT;
    }
    if (!atomic_load_explicit(&server->cores_made, memory_order_acquire)) {
        return GYR_ERR_STATE;
    }
    return mailbox_put(&server->cores[core_index]->mailbox, mail, NULL);
}

int gyr_post(struct gyr_server *server, unsigned core_index,
             void (*fn)(struct gyr_core *core, void *arg), void *arg)
{
    struct mail mail = {.run = mail_post, .fn.post = fn, .arg = arg};
    return server_put(server, core_index, &mail);
}

int gyr_complete(struct gyr_server *server, struct gyr_handle handle,
                 int (*fn)(struct gyr_conn *conn, void *arg), void *arg)
{
    struct mail mail = {.run = mail_complete, .fn.complete = fn, .arg = arg, .handle = handle.id};
    return server_put(server, handle.id >> 48, &mail);
}

int gyr_mail(struct gyr_server *server, struct gyr_handle handle, void *letter)
{
    struct mail mail = {.run = mail_mail, .arg = letter, .handle = handle.id};
    return server_put(server, handle.id >> 48, &mail);
}

int gyr_offload(struct gyr_core *core_public, void (*work)(void *arg),
                void (*done)(struct gyr_core *core, void *arg), void *arg)
{
    struct core *core = (struct core *)core_public;
    return offload_submit(core->server->offload, core, work, done, arg);
}
