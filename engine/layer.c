/* SPDX-License-Identifier: MIT */
/* The part of the application seam that is for layers of the library: what they may know of
 * servers, cores and connections. How one message is queued to many is in fanout.c. */
#include "engine/exchange.h"
#include "engine/report.h"
#include "engine/server.h"

#include <time.h>

static const struct core *core_of(const struct gyr_core *core)
{
    return (const struct core *)core;
}

void *engine_server_state(const struct gyr_server *server)
{
    return server->layer_state;
}

bool engine_server_is_made(const struct gyr_server *server)
{
    return atomic_load_explicit(&server->cores_made, memory_order_acquire);
}

struct gyr_core *engine_server_core(const struct gyr_server *server, unsigned index)
{
    ASSERT(index < server->core_count);
    return (struct gyr_core *)server->cores[index];
}

void *engine_core_state(const struct gyr_core *core)
{
    return core_of(core)->layer_state;
}

const struct gyr_config *engine_core_config(const struct gyr_core *core)
{
    return core_of(core)->config;
}

const struct gyr_service *engine_core_service(const struct gyr_core *core)
{
    return core_of(core)->service;
}

struct stats *engine_core_stats(struct gyr_core *core)
{
    return &((struct core *)core)->stats;
}

uint32_t engine_core_conns_max(const struct gyr_core *core)
{
    return core_of(core)->config->connections_max;
}

uint32_t engine_core_conns_used(const struct gyr_core *core)
{
    return core_of(core)->exchange_used;
}

void engine_core_set_bell(struct gyr_core *core, const _Atomic uint32_t *bell)
{
    ((struct core *)core)->bell = bell;
}

void engine_core_due(struct gyr_core *core)
{
    ((struct core *)core)->layer_due_ns = 0;
}

void engine_core_wake(struct gyr_core *core, struct gyr_core *from)
{
    mailbox_wake(&((struct core *)core)->mailbox, from != NULL ? core_of(from)->ring : NULL);
}

struct gyr_core *engine_core_peer(const struct gyr_core *core, unsigned index)
{
    ASSERT(index < core_of(core)->peer_count);
    return (struct gyr_core *)core_of(core)->peers[index];
}

static void mail_call(struct core *core, struct mail *mail)
{
    mail->fn.post((struct gyr_core *)core, mail->arg);
}

int engine_core_post(struct gyr_core *core, void (*fn)(struct gyr_core *core, void *arg), void *arg)
{
    struct mail mail = {.run = mail_call, .fn.post = fn, .arg = arg};
    return mailbox_put(&((struct core *)core)->mailbox, &mail, NULL);
}

int engine_core_give(struct gyr_core *core, struct engine_letter *letter,
                     void (*fn)(struct gyr_core *core, void *arg), void *arg)
{
    static_assert(sizeof(*letter) >= sizeof(struct mail), "a letter is mail");
    struct mail *mail = (struct mail *)(void *)letter;
    *mail = (struct mail){.run = mail_call, .fn.post = fn, .arg = arg};
    return mailbox_give(&((struct core *)core)->mailbox, mail);
}

void *engine_core_alloc(struct gyr_core *core_public, size_t size)
{
    struct core *core = (struct core *)core_public;
    void *pointer = heap_alloc(core->heap, size);
    if (pointer == NULL) {
        core_trouble(core, GYR_ERR_MEMORY);
        return NULL;
    }
    core->layer_size += size;
    return pointer;
}

void engine_core_free(struct gyr_core *core_public, void *pointer, size_t size)
{
    struct core *core = (struct core *)core_public;
    if (pointer != NULL) {
        ASSERT(core->layer_size >= size);
        core->layer_size -= size;
        heap_free(core->heap, pointer, size);
    }
}

uint32_t engine_conn_index(const struct gyr_conn *conn)
{
    return conn->index;
}

struct gyr_conn *engine_conn_at(struct gyr_core *core, uint32_t index)
{
    return exchange_at(core_of(core), index);
}

void engine_conn_prefetch(struct gyr_core *core, uint32_t index)
{
    const struct gyr_conn *conn = exchange_at(core_of(core), index);
    __builtin_prefetch(conn);
}

void engine_conn_prefetch_queue(struct gyr_core *core, uint32_t index)
{
    const struct transport *transport = exchange_at(core_of(core), index)->transport;
    __builtin_prefetch(transport, 1);
    __builtin_prefetch((const uint8_t *)transport + CACHE_LINE, 1);
}

void engine_conn_watch(struct gyr_conn *conn)
{
    ASSERT(conn->state != EXCHANGE_FREE);
    conn->watched = 1;
}

bool engine_conn_is_watched(const struct gyr_conn *conn)
{
    return conn->watched != 0;
}

bool engine_conn_is_finished(const struct gyr_conn *conn)
{
    return (conn->flags & EXCHANGE_F_RESULT) != 0;
}

int engine_conn_may_send(const struct gyr_conn *conn)
{
    if ((conn->flags & EXCHANGE_F_CLOSE_SENT) != 0 || conn->state > EXCHANGE_OPEN) {
        return GYR_ERR_CLOSED;
    }
    bool early = conn->state == EXCHANGE_REQUEST && (conn->flags & EXCHANGE_F_HANDSHAKE) != 0;
    bool may = early || conn->state == EXCHANGE_UPGRADED || conn->state == EXCHANGE_OPEN;
    return may ? 0 : GYR_ERR_STATE;
}

bool engine_conn_is_open(const struct gyr_conn *conn)
{
    return conn->state == EXCHANGE_OPEN;
}

void engine_conn_owe_drain(struct gyr_conn *conn)
{
    transport_mark(conn->transport, TRANSPORT_F_DRAIN_OWED | TRANSPORT_F_WORK);
}

bool engine_handle_is_live(struct gyr_core *core_public, struct gyr_handle handle)
{
    const struct core *core = core_of(core_public);
    uint32_t index = handle.id & 0xffffff;
    uint32_t generation = (uint32_t)(handle.id >> 24) & 0xffffff;
    if (handle.id >> 48 != core->index || index >= core->config->connections_max ||
        generation == 0) {
        return false;
    }
    /* Partner: exchange_release. A slot that was never used has the generation of no handle, 0. */
    return generation != 0 && atomic_load_explicit(&exchange_at(core, index)->generation,
                                                   memory_order_relaxed) == generation;
}

/* ---- requests that are kept ---- */

struct kept_request {
    struct gyr_request request;
    struct http_request head; /* only as many fields as there are; the bytes follow */
};

static size_t kept_head_size(const struct gyr_request *request)
{
    return offsetof(struct http_request, fields) +
           request->head->field_count * sizeof(struct http_field);
}

size_t engine_request_size(const struct gyr_request *request)
{
    return offsetof(struct kept_request, head) + kept_head_size(request) + request->head->head_size;
}

const struct gyr_request *engine_request_keep(const struct gyr_request *request, void *memory)
{
    struct kept_request *kept = memory;
    size_t head_size = kept_head_size(request);
    uint8_t *bytes = (uint8_t *)&kept->head + head_size;
    memcpy(&kept->head, request->head, head_size);
    memcpy(bytes, request->bytes, request->head->head_size);
    kept->request = (struct gyr_request){.head = &kept->head, .bytes = bytes};
    return &kept->request;
}

int engine_respond_file(struct gyr_conn *conn, const struct gyr_request *request,
                        const struct gyr_files *files, struct gyr_span path)
{
    uint16_t was = conn->flags & EXCHANGE_F_IN_REQUEST;
    conn->flags |= EXCHANGE_F_IN_REQUEST; /* the head can be looked at */
    int err = gyr_respond_file(conn, request, files, path);
    conn->flags = (uint16_t)((conn->flags & ~EXCHANGE_F_IN_REQUEST) | was);
    return err;
}

/* ---- the log ---- */

bool engine_core_log_begin(struct gyr_core *core, enum gyr_log_level level, const char *event,
                           struct log_line *line)
{
    return report_begin((struct core *)core, level, event, line);
}

void engine_core_log_end(struct gyr_core *core, struct log_line *line)
{
    report_end((struct core *)core, line);
}

bool engine_log_begin(const struct gyr_service *service, const struct gyr_config *config,
                      enum gyr_log_level level, const char *event, struct log_line *line)
{
    return report_server_begin(service, config, level, event, line);
}

void engine_log_end(const struct gyr_service *service, struct log_line *line)
{
    report_server_end(service, line);
}

/* Does a line pass that is no core's, and how many did not before it? */
static bool log_may_pass(struct gyr_server *server, uint64_t *dropped)
{
    struct timespec now;
    const int err = clock_gettime(CLOCK_MONOTONIC, &now);
    ASSERT(err == 0);
    uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    pthread_mutex_lock(&server->log_lock);
    bool passes = log_gate_pass(&server->log_gate, now_ns, server->config.log_rate_max, dropped);
    pthread_mutex_unlock(&server->log_lock);
    return passes;
}

bool engine_server_log_begin(struct gyr_server *server, enum gyr_log_level level, const char *event,
                             struct log_line *line)
{
    const struct gyr_service *service = &server->service;
    const struct gyr_config *config = &server->config;
    uint64_t dropped;
    if (!report_is_wanted(service, config, level) || !log_may_pass(server, &dropped)) {
        return false;
    }
    if (dropped != 0 &&
        report_server_begin(service, config, GYR_LOG_WARNING, "log.dropped", line)) {
        log_number(line, "count", dropped);
        report_server_end(service, line);
    }
    return report_server_begin(service, config, level, event, line);
}

void engine_server_log_end(struct gyr_server *server, struct log_line *line)
{
    report_server_end(&server->service, line);
}
