/* SPDX-License-Identifier: MIT */
/* A server as its service sees it: made, given addresses, asked, stopped, released; and the calls
 * that other threads may make to its cores. How the cores begin and end is in server_core.c. */
#include "engine/server.h"

#include "engine/engine.h"
#include "engine/error.h"
#include "engine/offload.h"
#include "engine/reload.h"
#include "engine/settings.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

static int server_allocate(struct gyr_server *server, const struct gyr_settings *settings,
                           struct gyr_error *error);
static int server_take_layer(struct gyr_server *server, const struct engine_layer *layer,
                             struct gyr_error *error);
static int listener_add(struct gyr_server *server, const struct listener_address *address,
                        struct gyr_error *error);

int engine_server_create(const struct gyr_settings *settings, const struct gyr_service *service,
                         const struct engine_layer *layer, struct gyr_server **server_out,
                         struct gyr_error *error)
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
    pthread_mutex_init(&server->log_lock, NULL);
    int err = server_allocate(server, settings, error);
    if (err == 0 && layer != NULL) {
        err = server_take_layer(server, layer, error);
    }
    if (err < 0) {
        gyr_server_destroy(server);
        return err;
    }
    *server_out = server;
    return 0;
}

static int server_take_layer(struct gyr_server *server, const struct engine_layer *layer,
                             struct gyr_error *error)
{
    const struct engine_server made = {
        .server = server,
        .config = &server->config,
        .service = &server->service,
        .core_count = server->core_count,
    };
    server->layer = layer;
    return layer->server_create(&made, &server->layer_state, error);
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
        server->configs == NULL || server->cores == NULL || server->threads == NULL ||
        server->run == NULL || server->offload == NULL) {
        return ERROR_SET(error, GYR_ERR_MEMORY, "server: no memory for %u cores", count);
    }
    memcpy(server->cpus, cpus, count * sizeof(*cpus));
    for (unsigned i = 0; i < count; i++) {
        settings_of_core(settings, i, &server->configs[i]);
    }
    return 0;
}

bool engine_server_has_begun(struct gyr_server *server)
{
    pthread_mutex_lock(&server->lock);
    bool begun = server->way != SERVER_NOT_STARTED;
    pthread_mutex_unlock(&server->lock);
    return begun;
}

int gyr_server_listen(struct gyr_server *server, const char *text, struct gyr_error *error)
{
    struct listener_address address;
    if (engine_server_has_begun(server)) {
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
    if (engine_server_has_begun(server)) {
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
    bool has_run = server->way != SERVER_NOT_STARTED;
    unsigned thread_count = server->thread_count;
    server->thread_count = 0;
    pthread_mutex_unlock(&server->lock);
    for (unsigned i = 0; i < thread_count; i++) {
        pthread_join(server->threads[i], NULL);
    }
    if (has_run && server->layer != NULL && server->layer->server_wait != NULL) {
        server->layer->server_wait(server->layer_state);
    }
}

void gyr_server_destroy(struct gyr_server *server)
{
    if (server == NULL) {
        return;
    }
    ASSERT(server->thread_count == 0);
    if (server->layer_state != NULL) {
        server->layer->server_destroy(server->layer_state);
    }
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
    pthread_mutex_destroy(&server->log_lock);
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
