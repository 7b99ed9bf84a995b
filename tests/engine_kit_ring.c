/* SPDX-License-Identifier: MIT */
/* The ring made of memory: what peers let arrive is a list of chunks, what they take is counted,
 * and each rule of engine/ring.h that the engine could break is looked at where it would. */
#include "tests/engine_kit_ring.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void kit_broken(const char *what)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "engine_kit: %s\n", what);
    abort();
}

void kit_bytes_add(struct kit_bytes *bytes, const void *more, size_t size)
{
    if (bytes->size + size > bytes->capacity) {
        bytes->capacity = (bytes->size + size) * 2 + 256;
        bytes->ptr = realloc(bytes->ptr, bytes->capacity);
        if (bytes->ptr == NULL) {
            kit_broken("no memory");
        }
    }
    if (size != 0) {
        memcpy(bytes->ptr + bytes->size, more, size);
    }
    bytes->size += size;
}

static struct kit_ring *kit_ring(struct ring *ring)
{
    return (struct kit_ring *)(void *)ring;
}

static struct kit_socket *socket_at(struct ring *ring, int fd)
{
    struct kit_ring *kit = kit_ring(ring);
    unsigned index = (unsigned)fd - FD_FIRST;
    if (index >= kit->socket_count || kit->sockets[index].closed) {
        kit_broken("a call on a descriptor that is not open");
    }
    return &kit->sockets[index];
}

static int ring_create(const struct ring_config *config, struct ring **ring, char *why)
{
    (void)why;
    struct kit_ring *kit = calloc(1, sizeof(*kit));
    size_t size = (size_t)config->buffer_size * config->buffer_count + MESSAGE_PADDING;
    if (kit == NULL || config->buffer_count > COUNT_OF(kit->buffer_out)) {
        kit_broken("no memory");
    }
    kit->base.ops = &kit_ring_ops;
    kit->base.buffers = malloc(size);
    kit->base.buffer_size = config->buffer_size;
    kit->base.buffer_count = config->buffer_count;
    kit->base.now_ns = 1000000000;
    memset(kit->base.buffers, 0xdd, size);
    *ring = &kit->base;
    return 0;
}

static void ring_destroy(struct ring *ring)
{
    struct kit_ring *kit = kit_ring(ring);
    for (unsigned i = 0; i < kit->socket_count; i++) {
        struct kit_socket *socket = &kit->sockets[i];
        if (!socket->closed) {
            kit_broken("a descriptor was not closed");
        }
        while (socket->first != NULL) {
            struct chunk *next = socket->first->next;
            free(socket->first);
            socket->first = next;
        }
        free(socket->out.ptr);
    }
    kit_files_end(&kit->files);
    if (kit->out_count != 0) {
        kit_broken("a provided buffer was not returned (B1)");
    }
    free(ring->buffers);
    free(kit);
}

static void ring_accept_start(struct ring *ring, int fd, uint64_t user_data)
{
    if (fd != FD_LISTENER || kit_ring(ring)->accepting) {
        kit_broken("a second accept");
    }
    kit_ring(ring)->accepting = true;
    kit_ring(ring)->accept_user_data = user_data;
}

static struct kit_socket *recv_begin(struct ring *ring, int fd, uint64_t user_data)
{
    struct kit_socket *socket = socket_at(ring, fd);
    if (socket->receiving || socket->polling) {
        kit_broken("a second receive on a connection (C3)");
    }
    socket->recv_user_data = user_data;
    socket->recv_cancelled = false;
    socket->poll_seen = false;
    return socket;
}

static void ring_recv_start(struct ring *ring, int fd, uint64_t user_data)
{
    recv_begin(ring, fd, user_data)->receiving = true;
}

static void ring_poll_start(struct ring *ring, int fd, uint32_t events, bool multishot,
                            uint64_t user_data)
{
    struct kit_socket *socket = recv_begin(ring, fd, user_data);
    if (!multishot) {
        kit_broken("a poll once: the engine has no use for it");
    }
    socket->polling = true;
    socket->poll_events = events;
}

static void ring_send_start(struct ring *ring, int fd, const void *bytes, size_t size, bool quiet,
                            uint64_t user_data)
{
    struct kit_socket *socket = socket_at(ring, fd);
    if (socket->sending || size == 0 || socket->shut != 0) {
        kit_broken("a second send on a connection (C3), or one after the end of the stream");
    }
    socket->sending = true;
    socket->send_cancelled = false;
    socket->send_quiet = quiet;
    socket->send_settled = false;
    socket->send_user_data = user_data;
    socket->send_bytes = bytes;
    socket->send_size = size;
    kit_ring(ring)->sent_last = bytes;
    kit_ring(ring)->sends++;
}

static void ring_open_start(struct ring *ring, int folder_fd, const char *path, uint64_t user_data)
{
    (void)folder_fd;
    kit_files_open_start(&kit_ring(ring)->files, path, user_data);
}

static void ring_read_start(struct ring *ring, int fd, void *bytes, size_t size, uint64_t offset,
                            uint64_t user_data)
{
    kit_files_read_start(&kit_ring(ring)->files, fd, bytes, size, offset, user_data);
}

static int ring_file_status(struct ring *ring, int fd, struct ring_file_status *status)
{
    kit_files_status(&kit_ring(ring)->files, fd, status);
    return 0;
}

static void ring_cancel(struct ring *ring, uint64_t user_data)
{
    struct kit_ring *kit = kit_ring(ring);
    kit_files_cancel(&kit->files, user_data);
    if (kit->accepting && kit->accept_user_data == user_data) {
        kit->accept_cancelled = true;
        return;
    }
    for (unsigned i = 0; i < kit->socket_count; i++) {
        struct kit_socket *socket = &kit->sockets[i];
        if ((socket->receiving || socket->polling) && socket->recv_user_data == user_data) {
            socket->recv_cancelled = true;
        }
        if (socket->sending && socket->send_user_data == user_data) {
            socket->send_cancelled = true;
        }
    }
}

/* What the peer takes now: bytes, 0 if it has no room, or the error that was asked for. */
static int64_t socket_take(struct kit_socket *socket, const uint8_t *bytes, size_t size)
{
    if (socket->lost || socket->shut == 2) {
        return socket->lost ? -ECONNRESET : -EPIPE;
    }
    if (socket->send_err != 0) {
        int err = socket->send_err;
        socket->send_err = 0;
        return err;
    }
    size_t taken = MIN(socket->room, size);
    kit_bytes_add(&socket->out, bytes, taken);
    socket->room -= socket->room == SIZE_MAX ? 0 : taken;
    return (int64_t)taken;
}

/* Quiet sends are settled when they are submitted, and never wait for room. */
static void ring_submit(struct ring *ring)
{
    struct kit_ring *kit = kit_ring(ring);
    for (unsigned i = 0; i < kit->socket_count; i++) {
        struct kit_socket *socket = &kit->sockets[i];
        if (!socket->sending || !socket->send_quiet || socket->send_settled) {
            continue;
        }
        if (socket->shut == 1) {
            kit_broken("our stream was ended before what is to be sent on it");
        }
        int64_t result = socket_take(socket, socket->send_bytes, socket->send_size);
        if (result == (int64_t)socket->send_size) {
            socket->sending = false;
        } else {
            socket->send_settled = true;
            socket->send_result = result != 0 ? result : -EAGAIN;
        }
    }
}

static void complete(struct kit_ring *kit, uint64_t user_data, int64_t result, unsigned flags,
                     uint16_t buffer_id)
{
    kit->completions[kit->count++] = (struct completion){
        .user_data = user_data,
        .result = (int32_t)result,
        .flags = (uint16_t)flags,
        .buffer_id = buffer_id,
    };
}

static void accept_complete(struct kit_ring *kit)
{
    while (kit->accepting && kit->count < kit->max) {
        if (kit->accept_err != 0 || kit->accept_cancelled) {
            int err = kit->accept_cancelled ? -ECANCELED : kit->accept_err;
            kit->accepting = false;
            kit->accept_err = 0;
            complete(kit, kit->accept_user_data, err, 0, 0);
        } else if (kit->accepted < kit->socket_count) {
            complete(kit, kit->accept_user_data, FD_FIRST + (int)kit->accepted++, COMPLETION_F_MORE,
                     0);
        } else {
            return;
        }
    }
}

/* Take from what the peer has let arrive, up to the end of one delivery, or across them. */
static size_t chunks_take(struct kit_socket *socket, uint8_t *target, size_t room, bool across)
{
    size_t size = 0;
    while (socket->first != NULL && size < room) {
        struct chunk *chunk = socket->first;
        size_t taken = MIN(room - size, chunk->size - chunk->taken);
        memcpy(target + size, chunk->bytes + chunk->taken, taken);
        size += taken;
        chunk->taken += taken;
        if (chunk->taken == chunk->size) {
            socket->first = chunk->next;
            free(chunk);
        }
        if (!across) {
            break;
        }
    }
    return size;
}

static bool recv_is_cancelled(const struct kit_ring *kit, const struct kit_socket *socket)
{
    return socket->recv_cancelled && !kit->hold_cancel;
}

static void recv_complete(struct kit_ring *kit, struct kit_socket *socket)
{
    struct ring *ring = &kit->base;
    while (socket->receiving && kit->count < kit->max) {
        uint64_t user_data = socket->recv_user_data;
        if (recv_is_cancelled(kit, socket) || socket->lost ||
            (socket->shut == 2 && !kit->hold_cancel) || (socket->first == NULL && socket->end)) {
            int err = socket->recv_cancelled ? -ECANCELED : socket->lost ? -ECONNRESET : 0;
            socket->receiving = false;
            complete(kit, user_data, err, 0, 0);
            return;
        }
        if (socket->first == NULL) {
            return;
        }
        uint16_t id = 0;
        while (id < ring->buffer_count && kit->buffer_out[id]) {
            id++;
        }
        if (id == ring->buffer_count) {
            socket->receiving = false;
            complete(kit, user_data, -ENOBUFS, 0, 0);
            return;
        }
        size_t size = chunks_take(socket, ring_buffer(ring, id), ring->buffer_size, false);
        kit->buffer_out[id] = true;
        kit->out_count++;
        complete(kit, user_data, (int64_t)size, COMPLETION_F_MORE | COMPLETION_F_BUFFER, id);
    }
}

static void poll_complete(struct kit_ring *kit, struct kit_socket *socket)
{
    if (!socket->polling || kit->count == kit->max) {
        return;
    }
    if (recv_is_cancelled(kit, socket)) {
        socket->polling = false;
        complete(kit, socket->recv_user_data, -ECANCELED, 0, 0);
        return;
    }
    uint32_t events = socket->first != NULL || socket->end ? RING_POLL_IN : 0;
    events &= socket->poll_events;
    events |= socket->end ? RING_POLL_RDHUP : 0U;
    events |= socket->lost || socket->shut == 2 ? RING_POLL_ERR | RING_POLL_HUP : 0U;
    if (events != 0 && !socket->poll_seen) {
        socket->poll_seen = true;
        complete(kit, socket->recv_user_data, events, COMPLETION_F_MORE, 0);
    }
}

static void send_complete(struct kit_ring *kit, struct kit_socket *socket)
{
    if (!socket->sending || kit->count == kit->max) {
        return;
    }
    int64_t result = socket->send_quiet
                         ? socket->send_result
                         : socket_take(socket, socket->send_bytes, socket->send_size);
    if (result == 0) {
        if (!socket->send_cancelled) {
            return;
        }
        result = -ECANCELED;
    }
    socket->sending = false;
    complete(kit, socket->send_user_data, result, 0, 0);
}

static unsigned ring_wait(struct ring *ring, uint64_t timeout_ns, struct completion *completions,
                          unsigned max)
{
    struct kit_ring *kit = kit_ring(ring);
    kit->completions = completions;
    kit->count = 0;
    kit->max = max;
    ring_submit(ring);
    accept_complete(kit);
    uint64_t user_data;
    int64_t result;
    while (kit->count < kit->max && kit_files_complete(&kit->files, &user_data, &result)) {
        complete(kit, user_data, result, 0, 0);
    }
    for (unsigned i = 0; i < kit->socket_count; i++) {
        send_complete(kit, &kit->sockets[i]);
        recv_complete(kit, &kit->sockets[i]);
        poll_complete(kit, &kit->sockets[i]);
    }
    kit->idle = kit->count == 0 && timeout_ns != 0;
    return kit->count;
}

static int64_t ring_send_now(struct ring *ring, int fd, const void *bytes, size_t size)
{
    struct kit_socket *socket = socket_at(ring, fd);
    if (socket->sending || size == 0 || socket->shut != 0) {
        kit_broken("send_now beside a send, or after the end of the stream");
    }
    kit_ring(ring)->sent_last = bytes;
    kit_ring(ring)->sends++;
    int64_t sent = socket_take(socket, bytes, size);
    return sent != 0 ? sent : -EAGAIN;
}

static int64_t ring_recv_now(struct ring *ring, int fd, void *bytes, size_t size)
{
    struct kit_socket *socket = socket_at(ring, fd);
    if (socket->receiving) {
        kit_broken("recv_now while a receive is in flight: bytes change places (C3)");
    }
    if (socket->lost) {
        return -ECONNRESET;
    }
    size_t taken = chunks_take(socket, bytes, size, true);
    return taken != 0 ? (int64_t)taken : socket->end ? 0 : -EAGAIN;
}

static void ring_buffer_return(struct ring *ring, uint16_t buffer_id)
{
    struct kit_ring *kit = kit_ring(ring);
    if (!kit->buffer_out[buffer_id]) {
        kit_broken("a provided buffer was returned twice (B1)");
    }
    kit->buffer_out[buffer_id] = false;
    kit->out_count--;
    memset(ring_buffer(ring, buffer_id), 0xdd, ring->buffer_size);
}

static void ring_shutdown(struct ring *ring, int fd, int how)
{
    struct kit_socket *socket = socket_at(ring, fd);
    socket->shut = MAX(socket->shut, how);
    socket->poll_seen = false;
}

static void ring_close(struct ring *ring, int fd)
{
    if (fd >= FD_FILE_FIRST) {
        kit_files_close(&kit_ring(ring)->files, fd);
        return;
    }
    if (fd == FD_LISTENER) {
        if (kit_ring(ring)->accepting || kit_ring(ring)->listener_closed) {
            kit_broken("the listener was closed twice, or with an accept in flight");
        }
        kit_ring(ring)->listener_closed = true;
        return;
    }
    struct kit_socket *socket = socket_at(ring, fd);
    if (socket->receiving || socket->polling || socket->sending) {
        kit_broken("a descriptor was closed with an operation in flight (C1)");
    }
    socket->closed = true;
}

static void ring_close_reset(struct ring *ring, int fd)
{
    struct kit_socket *socket = socket_at(ring, fd);
    ring_close(ring, fd);
    socket->reset = true;
}

static void ring_peer_address(struct ring *ring, int fd, struct address *address)
{
    (void)socket_at(ring, fd);
    *address = address_ipv4((const uint8_t[]){192, 0, 2, 1}, (uint16_t)fd);
}

static uint64_t ring_wall_seconds(struct ring *ring)
{
    (void)ring;
    return 784111777; /* the example of RFC 9110 section 5.6.7 */
}

static void ring_wake(struct ring *target, struct ring *from)
{
    (void)from;
    kit_ring(target)->idle = false;
}

const struct ring_ops kit_ring_ops = {
    .name = "memory",
    .create = ring_create,
    .destroy = ring_destroy,
    .accept_start = ring_accept_start,
    .recv_start = ring_recv_start,
    .poll_start = ring_poll_start,
    .send_start = ring_send_start,
    .open_start = ring_open_start,
    .read_start = ring_read_start,
    .cancel = ring_cancel,
    .submit = ring_submit,
    .wait = ring_wait,
    .send_now = ring_send_now,
    .recv_now = ring_recv_now,
    .buffer_return = ring_buffer_return,
    .shutdown = ring_shutdown,
    .close = ring_close,
    .close_reset = ring_close_reset,
    .peer_address = ring_peer_address,
    .file_status = ring_file_status,
    .wall_seconds = ring_wall_seconds,
    .wake = ring_wake,
};
