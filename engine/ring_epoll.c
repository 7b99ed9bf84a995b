/* SPDX-License-Identifier: MIT */
/* The kernel seam on epoll, for machines where io_uring is forbidden or missing. Journey: hops 1,
 * 3, 12.
 *
 * A descriptor is registered when its first operation begins and stays so until it is closed, edge
 * triggered: epoll tells of a change once, and `ready` remembers it until a receive has found the
 * socket empty. So a message costs its share of an epoll_wait, one recv and one send: a receive
 * that leaves room in its buffer has emptied the socket, unless the stream has ended or an urgent
 * mark has cut it short, and what comes later is a new event. Room to send is asked for when a send
 * has first found none: sockets of the AF_UNIX family would report it after each message.
 *
 * Sends are collected and made by `submit` and `wait`, as those of a submission queue are; see
 * docs/architecture.md for what that saves. All other operations take effect at once and complete
 * in `wait`. */
#include "engine/ring_epoll.h"

#include "engine/memory.h"
#include "engine/ring_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static void send_block(struct epoll_ring *self, const struct epoll_send *send);

/* ---- Beginning and ending ---- */

/* Have epoll report on a descriptor: `again` also if it was told already, for what holds now.
 * -errno, such as -EPERM for a file and -ENOSPC past /proc/sys/fs/epoll/max_user_watches. */
static int descriptor_watch(struct epoll_ring *self, int fd, bool room, bool again)
{
    struct epoll_descriptor *descriptor = epoll_descriptor(self, fd);
    bool watched = (descriptor->flags & EPOLL_F_WATCHED) != 0;
    bool has_room = (descriptor->flags & EPOLL_F_ROOM) != 0;
    if (watched && !again && (has_room || !room)) {
        return 0;
    }
    room = room || has_room;
    struct epoll_event event = {
        .events = EPOLLET | EPOLLIN | EPOLLPRI | EPOLLRDHUP | (room ? EPOLLOUT : 0U),
        .data.u64 = (uint64_t)descriptor->generation << 32 | (uint32_t)fd,
    };
    if (epoll_ctl(self->epoll_fd, watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0) {
        return -errno;
    }
    descriptor->flags |= EPOLL_F_WATCHED | (room ? EPOLL_F_ROOM : 0U);
    return 0;
}

/* Returns EPOLL_OP_NONE if it has ended already. */
static uint32_t op_start(struct epoll_ring *self, int fd, enum epoll_op_kind kind,
                         uint64_t user_data)
{
    ASSERT(user_data <= RING_USER_DATA_MAX);
    int err = epoll_table_reserve(&self->table, fd);
    if (err == 0) {
        err = descriptor_watch(self, fd, kind == EPOLL_OP_SEND, false);
    }
    if (UNLIKELY(err < 0)) {
        (void)epoll_ring_complete(self, user_data, err);
        return EPOLL_OP_NONE;
    }
    return epoll_op_begin(&self->table, fd, kind, user_data);
}

void epoll_ring_end(struct epoll_ring *self, uint32_t index)
{
    const int fd = self->table.ops[index].fd;
    struct epoll_descriptor *descriptor = epoll_descriptor(self, fd);
    epoll_op_end(&self->table, index);
    if (UNLIKELY((descriptor->flags & EPOLL_F_BLOCKING) != 0) && descriptor->op == EPOLL_OP_NONE) {
        descriptor->flags &= (uint32_t)~EPOLL_F_BLOCKING & 0xff;
        (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    }
}

/* ---- Submissions ---- */

/* An accept would wait for the next connection if another process has taken this one, or if it was
 * aborted; so the listener must not block. */
static void epoll_ring_accept_start(struct ring *ring, int fd, uint64_t user_data)
{
    struct epoll_ring *self = epoll_of(ring);
    if (op_start(self, fd, EPOLL_OP_ACCEPT, user_data) == EPOLL_OP_NONE) {
        return;
    }
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK) == 0) {
        (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
        epoll_descriptor(self, fd)->flags |= EPOLL_F_BLOCKING;
    }
    if ((epoll_descriptor(self, fd)->ready & EPOLL_READ) != 0) {
        epoll_ring_look(self, fd);
    }
}

static void epoll_ring_recv_start(struct ring *ring, int fd, uint64_t user_data)
{
    struct epoll_ring *self = epoll_of(ring);
    if (op_start(self, fd, EPOLL_OP_RECV, user_data) != EPOLL_OP_NONE &&
        (epoll_descriptor(self, fd)->ready & EPOLL_READ) != 0) {
        epoll_ring_look(self, fd);
    }
}

static void epoll_ring_poll_start(struct ring *ring, int fd, uint32_t events, bool multishot,
                                  uint64_t user_data)
{
    struct epoll_ring *self = epoll_of(ring);
    uint32_t index = op_start(self, fd, EPOLL_OP_POLL, user_data);
    if (index == EPOLL_OP_NONE) {
        return;
    }
    struct epoll_op *op = &self->table.ops[index];
    op->events = (uint16_t)(events | EPOLL_GONE);
    op->multishot = multishot;
    /* What was reported before this began may hold still, or have been read meanwhile: epoll is
     * asked again. */
    if ((epoll_descriptor(self, fd)->ready & op->events) != 0) {
        int err = descriptor_watch(self, fd, false, true);
        if (err < 0) {
            epoll_ring_end(self, index);
            epoll_ring_complete_op(self, index, err);
        }
    }
}

void epoll_ring_flush(struct epoll_ring *self)
{
    for (uint32_t i = 0; i < self->send_count; i++) {
        const struct epoll_send *one = &self->sends[i];
        const int64_t sent = ring_socket_send_now(&self->ring, one->fd, one->bytes, one->size);
        if (LIKELY(one->quiet && sent == one->size)) {
            continue;
        }
        if (sent == -EAGAIN && !one->quiet) {
            send_block(self, one);
        } else {
            (void)epoll_ring_complete(self, one->user_data, (int32_t)sent);
        }
    }
    self->send_count = 0;
}

/* A send has found no room: it goes on when there is some. */
static void send_block(struct epoll_ring *self, const struct epoll_send *send)
{
    uint32_t index = op_start(self, send->fd, EPOLL_OP_SEND, send->user_data);
    if (index != EPOLL_OP_NONE) {
        self->table.ops[index].bytes = send->bytes;
        self->table.ops[index].size = send->size;
    }
}

static void epoll_ring_send_start(struct ring *ring, int fd, const void *bytes, size_t size,
                                  bool quiet, uint64_t user_data)
{
    struct epoll_ring *self = epoll_of(ring);
    ASSERT(user_data <= RING_USER_DATA_MAX);
    ASSERT(size > 0);
    if (UNLIKELY(self->send_count == self->send_room)) {
        epoll_ring_flush(self);
    }
    struct epoll_send *send = &self->sends[self->send_count];
    self->send_count++;
    send->bytes = bytes;
    send->user_data = user_data;
    /* More than the kernel sends at once, so a short completion would follow anyway. */
    send->size = (uint32_t)MIN(size, (size_t)INT32_MAX);
    send->fd = fd;
    send->quiet = quiet;
}

static void epoll_ring_submit(struct ring *ring)
{
    epoll_ring_flush(epoll_of(ring));
}

/* The files' thread is started by the first of them. */
static void file_start(struct epoll_ring *self, const struct epoll_file_job *job)
{
    ASSERT(job->user_data <= RING_USER_DATA_MAX);
    int err = -ENOMEM;
    struct epoll_file_job *copy = memory_alloc(sizeof(*copy));
    if (copy != NULL && self->files == NULL) {
        self->files = epoll_files_create(self->event_fd, &err);
    }
    if (copy == NULL || self->files == NULL) {
        memory_free(copy);
        (void)epoll_ring_complete(self, job->user_data, err);
        return;
    }
    *copy = *job;
    epoll_files_put(self->files, copy);
}

static void epoll_ring_open_start(struct ring *ring, int folder_fd, const char *path,
                                  uint64_t user_data)
{
    file_start(epoll_of(ring),
               &(struct epoll_file_job){.user_data = user_data, .fd = folder_fd, .path = path});
}

static void epoll_ring_read_start(struct ring *ring, int fd, void *bytes, size_t size,
                                  uint64_t offset, uint64_t user_data)
{
    ASSERT(size > 0 && size <= INT32_MAX);
    file_start(
        epoll_of(ring),
        &(struct epoll_file_job){
            .user_data = user_data, .fd = fd, .bytes = bytes, .size = size, .offset = offset});
}

void epoll_ring_collect(struct epoll_ring *self)
{
    struct epoll_file_job *job = self->files == NULL ? NULL : epoll_files_take(self->files);
    while (job != NULL) {
        struct epoll_file_job *next = job->next;
        uint32_t index = epoll_ring_complete(self, job->user_data, job->result);
        if (job->path != NULL) {
            self->table.ops[index].fd = job->result; /* closed unless somebody takes it */
        }
        memory_free(job);
        job = next;
    }
}

static void epoll_ring_cancel(struct ring *ring, uint64_t user_data)
{
    struct epoll_ring *self = epoll_of(ring);
    ASSERT(user_data <= RING_USER_DATA_MAX);
    uint32_t index = epoll_op_find(&self->table, user_data);
    if (index == EPOLL_OP_NONE && self->send_count != 0) {
        /* It may be one of these, and then it is made before it is cancelled. */
        epoll_ring_flush(self);
        index = epoll_op_find(&self->table, user_data);
    }
    if (index != EPOLL_OP_NONE) {
        epoll_ring_end(self, index);
        epoll_ring_complete_op(self, index, -ECANCELED);
    } else if (self->files != NULL && epoll_files_cancel(self->files, user_data)) {
        epoll_ring_collect(self);
    }
}

/* ---- Direct calls ---- */

static void epoll_ring_buffer_return(struct ring *ring, uint16_t buffer_id)
{
    struct epoll_ring *self = epoll_of(ring);
    ASSERT(buffer_id < ring->buffer_count);
    ASSERT(self->buffer_out[buffer_id] == 1);
    self->buffer_out[buffer_id] = 0;
    self->free_buffers[self->free_count] = buffer_id;
    self->free_count++;
}

/* Closing takes a descriptor out of epoll, unless a fork has made a second one of it: what that
 * still reports has a generation that is over. */
static void descriptor_forget(struct epoll_ring *self, int fd)
{
    if ((uint32_t)fd >= self->table.descriptor_room) {
        return;
    }
    struct epoll_descriptor *descriptor = epoll_descriptor(self, fd);
    ASSERT(descriptor->op == EPOLL_OP_NONE);
    descriptor->generation++;
    descriptor->flags &= EPOLL_F_QUEUED;
    descriptor->ready = 0;
    descriptor->news = 0;
}

static void epoll_ring_close(struct ring *ring, int fd)
{
    descriptor_forget(epoll_of(ring), fd);
    ring_socket_close(ring, fd);
}

static void epoll_ring_close_reset(struct ring *ring, int fd)
{
    descriptor_forget(epoll_of(ring), fd);
    ring_socket_close_reset(ring, fd);
}

/* Written to, never read: each write is a change that epoll reports once, and one write in a
 * nanosecond would fill the counter after centuries. */
static void epoll_ring_wake(struct ring *target, struct ring *from)
{
    (void)from;
    const uint64_t one = 1;
    const ssize_t written = write(epoll_of(target)->event_fd, &one, sizeof(one));
    ASSERT(written == (ssize_t)sizeof(one));
}

/* ---- Birth and death ---- */

static size_t buffers_mapped_size(const struct ring *ring)
{
    return (size_t)ring->buffer_count * ring->buffer_size + MESSAGE_PADDING;
}

/* -errno, and a line. */
static int failure_explain(const char *call, char *why)
{
    int err = -errno;
    (void)snprintf(why, RING_WHY_SIZE, "%s: %s%s", call, strerrordesc_np(-err),
                   err == -EMFILE ? "; raise the limit of open files (ulimit -n)" : "");
    return err;
}

static int descriptors_setup(struct epoll_ring *self, char *why)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = EPOLL_EVENT_FD_DATA};
    self->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (self->epoll_fd < 0) {
        return failure_explain("epoll_create1", why);
    }
    self->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->event_fd < 0) {
        return failure_explain("eventfd", why);
    }
    if (epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, self->event_fd, &event) != 0) {
        return failure_explain("epoll_ctl", why);
    }
    return 0;
}

static int memory_setup(struct epoll_ring *self, char *why)
{
    const uint32_t count = self->ring.buffer_count;
    self->ring.buffers = memory_map(buffers_mapped_size(&self->ring));
    self->free_buffers = memory_alloc(count * sizeof(*self->free_buffers));
    self->buffer_out = memory_alloc(count);
    self->sends = memory_alloc(self->send_room * sizeof(*self->sends));
    if (self->ring.buffers == NULL || self->free_buffers == NULL || self->buffer_out == NULL ||
        self->sends == NULL || epoll_table_reserve(&self->table, 0) < 0) {
        (void)snprintf(why, RING_WHY_SIZE, "receive buffers: no memory for %u of %u bytes", count,
                       self->ring.buffer_size);
        return -ENOMEM;
    }
    while (self->free_count < count) {
        self->free_buffers[self->free_count] = (uint16_t)(count - 1 - self->free_count);
        self->free_count++;
    }
    return 0;
}

static void epoll_ring_free(struct epoll_ring *self)
{
    if (self->epoll_fd >= 0) {
        (void)close(self->epoll_fd);
    }
    if (self->event_fd >= 0) {
        (void)close(self->event_fd);
    }
    if (self->ring.buffers != NULL) {
        memory_unmap(self->ring.buffers, buffers_mapped_size(&self->ring));
    }
    epoll_table_free(&self->table);
    memory_free(self->free_buffers);
    memory_free(self->buffer_out);
    memory_free(self->sends);
    memory_free(self);
}

static int epoll_ring_create(const struct ring_config *config, struct ring **ring, char *why)
{
    ASSERT(config->submission_entries > 0);
    ASSERT(config->buffer_count > 0 && config->buffer_count <= 32768);
    struct epoll_ring *self = memory_alloc(sizeof(*self));
    if (self == NULL) {
        (void)snprintf(why, RING_WHY_SIZE, "no memory for a ring");
        return -ENOMEM;
    }
    self->ring.ops = &ring_epoll_ops;
    self->ring.buffer_size = config->buffer_size;
    self->ring.buffer_count = config->buffer_count;
    self->ring.now_ns = ring_socket_now_ns();
    self->send_room = config->submission_entries;
    self->run_head = EPOLL_RUN_END;
    self->epoll_fd = -1;
    self->event_fd = -1;
    int err = descriptors_setup(self, why);
    if (err == 0) {
        err = memory_setup(self, why);
    }
    if (err < 0) {
        epoll_ring_free(self);
        return err;
    }
    *ring = &self->ring;
    return 0;
}

/* Nothing runs by itself but the files; what is queued is forgotten, and so is what waits. */
static void epoll_ring_destroy(struct ring *ring)
{
    struct epoll_ring *self = epoll_of(ring);
    if (self->files != NULL) {
        epoll_files_destroy(self->files);
    }
    for (uint32_t i = 1; i < self->table.op_used; i++) {
        if (self->table.ops[i].kind != EPOLL_OP_DONE) {
            epoll_ring_end(self, i);
        }
    }
    for (uint32_t i = self->done_head; i != EPOLL_OP_NONE; i = self->table.ops[i].next) {
        if (self->table.ops[i].fd >= 0) {
            (void)close(self->table.ops[i].fd);
        }
    }
    epoll_ring_free(self);
}

const struct ring_ops ring_epoll_ops = {
    .name = "epoll",
    .create = epoll_ring_create,
    .destroy = epoll_ring_destroy,
    .accept_start = epoll_ring_accept_start,
    .recv_start = epoll_ring_recv_start,
    .poll_start = epoll_ring_poll_start,
    .send_start = epoll_ring_send_start,
    .open_start = epoll_ring_open_start,
    .read_start = epoll_ring_read_start,
    .cancel = epoll_ring_cancel,
    .submit = epoll_ring_submit,
    .wait = epoll_ring_wait,
    .send_now = ring_socket_send_now,
    .recv_now = ring_socket_recv_now,
    .buffer_return = epoll_ring_buffer_return,
    .shutdown = ring_socket_shutdown,
    .close = epoll_ring_close,
    .close_reset = epoll_ring_close_reset,
    .peer_address = ring_socket_peer_address,
    .file_status = ring_socket_file_status,
    .wall_ns = ring_socket_wall_ns,
    .wake = epoll_ring_wake,
};
