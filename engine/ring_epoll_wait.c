/* SPDX-License-Identifier: MIT */
/* An epoll ring's wait. Journey: hops 1 and 3. Each descriptor that has news is looked at: its
 * operations are tried, once each, so that nobody is starved. Whoever may have more, or found no
 * room for his completion, stands in the list of those to be looked at by the next wait. What ends
 * elsewhere, by a cancel or a send that failed, waits in the list of the done. */
#include "engine/ring_epoll.h"

#include "engine/ring_socket.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>

#define ACCEPT_ROUNDS_MAX 64 /* connections of one listener before others get their turn */

/* Where `wait` writes to. */
struct harvest {
    struct completion *completions;
    uint32_t count;
    uint32_t room;
};

enum run_result {
    RUN_DONE = 0,
    RUN_AGAIN = 1 << 0, /* there may be more */
    RUN_NEWS = 1 << 1,  /* there was no room to tell of the news */
};

/* ---- The lists ---- */

void epoll_ring_look(struct epoll_ring *self, int fd)
{
    struct epoll_descriptor *descriptor = epoll_descriptor(self, fd);
    if ((descriptor->flags & EPOLL_F_QUEUED) != 0) {
        return;
    }
    descriptor->flags |= EPOLL_F_QUEUED;
    descriptor->run_next = EPOLL_RUN_END;
    if (self->run_head == EPOLL_RUN_END) {
        self->run_head = fd;
    } else {
        epoll_descriptor(self, self->run_tail)->run_next = fd;
    }
    self->run_tail = fd;
}

void epoll_ring_complete_op(struct epoll_ring *self, uint32_t index, int32_t result)
{
    struct epoll_op *op = &self->table.ops[index];
    ASSERT(op->kind == EPOLL_OP_DONE);
    op->result = result;
    op->next = EPOLL_OP_NONE;
    if (self->done_head == EPOLL_OP_NONE) {
        self->done_head = index;
    } else {
        self->table.ops[self->done_tail].next = index;
    }
    self->done_tail = index;
}

void epoll_ring_complete(struct epoll_ring *self, uint64_t user_data, int32_t result)
{
    uint32_t index = epoll_op_alloc(&self->table);
    while (UNLIKELY(index == EPOLL_OP_NONE)) {
        /* Submissions cannot fail, so this goes on until there is memory, as in ring_uring.c. */
        if (epoll_table_reserve(&self->table, 0) < 0) {
            sched_yield();
        }
        index = epoll_op_alloc(&self->table);
    }
    self->table.ops[index].user_data = user_data;
    epoll_ring_complete_op(self, index, result);
}

static inline void harvest_add(struct harvest *harvest, uint64_t user_data, int32_t result,
                               uint16_t flags, uint16_t buffer_id)
{
    ASSERT_SLOW(harvest->count < harvest->room);
    harvest->completions[harvest->count] = (struct completion){
        .user_data = user_data, .result = result, .flags = flags, .buffer_id = buffer_id};
    harvest->count++;
}

static void done_harvest(struct epoll_ring *self, struct harvest *harvest)
{
    while (self->done_head != EPOLL_OP_NONE && harvest->count < harvest->room) {
        uint32_t index = self->done_head;
        const struct epoll_op *op = &self->table.ops[index];
        self->done_head = op->next;
        harvest_add(harvest, op->user_data, op->result, 0, 0);
        epoll_op_free(&self->table, index);
    }
}

static void op_finish(struct epoll_ring *self, uint32_t index, int32_t result,
                      struct harvest *harvest)
{
    harvest_add(harvest, self->table.ops[index].user_data, result, 0, 0);
    epoll_ring_end(self, index);
    epoll_op_free(&self->table, index);
}

/* ---- Completions ---- */

static unsigned recv_run(struct epoll_ring *self, uint32_t index, struct harvest *harvest)
{
    const struct epoll_op *op = &self->table.ops[index];
    struct epoll_descriptor *descriptor = epoll_descriptor(self, op->fd);
    if (UNLIKELY(self->free_count == 0)) {
        op_finish(self, index, -ENOBUFS, harvest);
        return RUN_DONE;
    }
    const uint16_t id = self->free_buffers[self->free_count - 1];
    const uint32_t size = self->ring.buffer_size;
    const int64_t received =
        ring_socket_recv_now(&self->ring, op->fd, self->ring.buffers + (size_t)id * size, size);
    if (LIKELY(received > 0)) {
        self->free_count--;
        ASSERT(self->buffer_out[id] == 0);
        self->buffer_out[id] = 1;
        const bool full = received == size;
        /* The end of the stream comes after the bytes; urgent data cuts a receive short. */
        const bool more = full || (descriptor->ready & (EPOLL_READ & ~EPOLLIN)) != 0;
        harvest_add(harvest, op->user_data, (int32_t)received,
                    (uint16_t)(COMPLETION_F_MORE | COMPLETION_F_BUFFER |
                               (full ? COMPLETION_F_NONEMPTY : 0)),
                    id);
        if (UNLIKELY(more)) {
            return RUN_AGAIN;
        }
        descriptor->ready &= (uint16_t)~EPOLLIN;
        return RUN_DONE;
    }
    if (received == -EAGAIN) {
        descriptor->ready &= (uint16_t) ~(EPOLLIN | EPOLLPRI);
        return RUN_DONE;
    }
    op_finish(self, index, (int32_t)received, harvest);
    return RUN_DONE;
}

static unsigned accept_run(struct epoll_ring *self, uint32_t index, struct harvest *harvest)
{
    const struct epoll_op *op = &self->table.ops[index];
    for (unsigned i = 0; i < ACCEPT_ROUNDS_MAX && harvest->count < harvest->room; i++) {
        /* The descriptors stay blocking, as the calls pass MSG_DONTWAIT. */
        const int fd = accept4(op->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            harvest_add(harvest, op->user_data, fd, COMPLETION_F_MORE, 0);
        } else if (errno == EAGAIN) {
            epoll_descriptor(self, op->fd)->ready &= (uint16_t)~EPOLLIN;
            return RUN_DONE;
        } else {
            op_finish(self, index, -errno, harvest);
            return RUN_DONE;
        }
    }
    return RUN_AGAIN;
}

static unsigned poll_run(struct epoll_ring *self, uint32_t index, struct harvest *harvest)
{
    const struct epoll_op *op = &self->table.ops[index];
    const int32_t events = epoll_descriptor(self, op->fd)->news & op->events;
    if (events != 0 && op->multishot) {
        harvest_add(harvest, op->user_data, events, COMPLETION_F_MORE, 0);
    } else if (events != 0) {
        op_finish(self, index, events, harvest);
    }
    return RUN_DONE;
}

static unsigned send_run(struct epoll_ring *self, uint32_t index, struct harvest *harvest)
{
    const struct epoll_op *op = &self->table.ops[index];
    if ((epoll_descriptor(self, op->fd)->news & EPOLL_SEND) != 0) {
        const int64_t sent = ring_socket_send_now(&self->ring, op->fd, op->bytes, op->size);
        if (sent != -EAGAIN) {
            op_finish(self, index, (int32_t)sent, harvest);
        }
    }
    return RUN_DONE;
}

/* Try one operation of a descriptor that has news. */
static unsigned op_run(struct epoll_ring *self, uint32_t index, struct harvest *harvest)
{
    const struct epoll_op *op = &self->table.ops[index];
    if (UNLIKELY(harvest->count == harvest->room)) {
        return RUN_AGAIN | RUN_NEWS;
    }
    bool readable = (epoll_descriptor(self, op->fd)->ready & EPOLL_READ) != 0;
    switch ((enum epoll_op_kind)op->kind) {
    case EPOLL_OP_RECV:
        return readable ? recv_run(self, index, harvest) : RUN_DONE;
    case EPOLL_OP_ACCEPT:
        return readable ? accept_run(self, index, harvest) : RUN_DONE;
    case EPOLL_OP_POLL:
        return poll_run(self, index, harvest);
    case EPOLL_OP_SEND:
        return send_run(self, index, harvest);
    case EPOLL_OP_DONE:
        break;
    }
    ASSERT(false); /* those stand in the list of no descriptor */
    return RUN_DONE;
}

/* Try all operations of a descriptor. */
static void descriptor_run(struct epoll_ring *self, int fd, struct harvest *harvest)
{
    struct epoll_descriptor *descriptor = epoll_descriptor(self, fd);
    unsigned result = RUN_DONE;
    uint32_t index = descriptor->op;
    while (index != EPOLL_OP_NONE) {
        uint32_t next = self->table.ops[index].next;
        result |= op_run(self, index, harvest);
        index = next;
    }
    if (LIKELY((result & RUN_NEWS) == 0)) {
        descriptor->news = 0;
    }
    if (UNLIKELY(result != RUN_DONE)) {
        epoll_ring_look(self, fd);
    }
}

/* Look at those that an earlier wait has left. Those for which there is no room come first in the
 * next, before those that may have more. */
static void queued_run(struct epoll_ring *self, struct harvest *harvest)
{
    int fd = self->run_head;
    const int tail = self->run_tail;
    self->run_head = EPOLL_RUN_END;
    while (fd != EPOLL_RUN_END && harvest->count < harvest->room) {
        struct epoll_descriptor *descriptor = epoll_descriptor(self, fd);
        int next = descriptor->run_next;
        descriptor->flags &= (uint32_t)~EPOLL_F_QUEUED & 0xff;
        descriptor_run(self, fd, harvest);
        fd = next;
    }
    if (fd != EPOLL_RUN_END) {
        epoll_descriptor(self, tail)->run_next = self->run_head;
        self->run_tail = self->run_head == EPOLL_RUN_END ? tail : self->run_tail;
        self->run_head = fd;
    }
}

static void event_run(struct epoll_ring *self, const struct epoll_event *event,
                      struct harvest *harvest)
{
    if (UNLIKELY(event->data.u64 == EPOLL_EVENT_FD_DATA)) {
        epoll_ring_collect(self);
        return;
    }
    int fd = (int)(uint32_t)event->data.u64;
    struct epoll_descriptor *descriptor = epoll_descriptor(self, fd);
    if (UNLIKELY(descriptor->generation != event->data.u64 >> 32)) {
        return; /* it was closed here, and lives on somewhere else */
    }
    descriptor->ready |= (uint16_t)event->events;
    descriptor->news |= (uint16_t)event->events;
    descriptor_run(self, fd, harvest);
}

static int events_wait(struct epoll_ring *self, uint64_t timeout_ns, unsigned max)
{
    const int count = (int)MIN(max, (unsigned)EPOLL_EVENTS_MAX);
    if (!self->waits_ms) {
        const struct timespec timeout = {
            .tv_sec = (time_t)(timeout_ns / 1000000000u),
            .tv_nsec = (long)(timeout_ns % 1000000000u),
        };
        const int found = epoll_pwait2(self->epoll_fd, self->events, count,
                                       timeout_ns == UINT64_MAX ? NULL : &timeout, NULL);
        /* A seccomp profile that does not know the call may answer with EPERM. */
        if (LIKELY(found >= 0) || (errno != ENOSYS && errno != EPERM)) {
            return found;
        }
        self->waits_ms = true;
    }
    const uint64_t timeout_ms = timeout_ns / 1000000 + (timeout_ns % 1000000 != 0);
    return epoll_wait(self->epoll_fd, self->events, count,
                      timeout_ns == UINT64_MAX ? -1 : (int)MIN(timeout_ms, (uint64_t)INT_MAX));
}

unsigned epoll_ring_wait(struct ring *ring, uint64_t timeout_ns, struct completion *completions,
                         unsigned max)
{
    struct epoll_ring *self = epoll_of(ring);
    ASSERT(max > 0);
    epoll_ring_flush(self);
    if (self->done_head != EPOLL_OP_NONE || self->run_head != EPOLL_RUN_END) {
        timeout_ns = 0;
    }
    const int found = events_wait(self, timeout_ns, max);
    ASSERT(found >= 0 || errno == EINTR);
    ring->now_ns = ring_socket_now_ns();
    struct harvest harvest = {.completions = completions, .room = max};
    done_harvest(self, &harvest);
    queued_run(self, &harvest);
    for (int i = 0; i < found; i++) {
        event_run(self, &self->events[i], &harvest);
    }
    done_harvest(self, &harvest); /* what the files have brought */
    return harvest.count;
}
