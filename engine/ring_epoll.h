/* SPDX-License-Identifier: MIT */
/* An epoll ring from inside, shared by ring_epoll.c (its birth, what begins operations, the direct
 * calls) and ring_epoll_wait.c (what ends them). */
#ifndef ENGINE_RING_EPOLL_H
#define ENGINE_RING_EPOLL_H

#include "engine/ring.h"
#include "engine/ring_epoll_file.h"
#include "engine/ring_epoll_op.h"

#include <sys/epoll.h>

/* Taken by one epoll_wait. A wait of its own costs little against so many messages, and fewer
 * buffers are in use at a time and stay in the cache: 64 instead of 256 take 5 % from the CPU of an
 * echo on 512 connections. */
#define EPOLL_EVENTS_MAX 64

#define EPOLL_RUN_END       (-1)
#define EPOLL_EVENT_FD_DATA UINT64_MAX /* no descriptor has this number */

#define EPOLL_GONE (EPOLLERR | EPOLLHUP | EPOLLRDHUP) /* polls report it whether asked or not */
#define EPOLL_READ (EPOLLIN | EPOLLPRI | EPOLL_GONE)  /* a receive may have a result */
#define EPOLL_SEND (EPOLLOUT | EPOLLERR | EPOLLHUP)
static_assert(RING_POLL_IN == EPOLLIN && RING_POLL_ERR == EPOLLERR && RING_POLL_HUP == EPOLLHUP &&
                  RING_POLL_RDHUP == EPOLLRDHUP,
              "poll events pass through");
static_assert(EPOLLRDHUP <= UINT16_MAX && EPOLLHUP < EPOLLRDHUP,
              "events fit into struct epoll_descriptor");

/* A send that `submit` or `wait` will make. */
struct epoll_send {
    const uint8_t *bytes; /* borrowed until it is made, or has completed */
    uint64_t user_data;
    uint32_t size;
    int fd;
    bool quiet;
};

struct epoll_ring {
    struct ring ring;
    struct epoll_table table;
    int epoll_fd;
    int event_fd; /* written by any thread, otherwise constant */
    uint32_t send_count;
    uint32_t send_room;
    struct epoll_send *sends; /* owned; send_room */
    uint16_t *free_buffers;   /* owned; a stack: the buffer used last is in the cache */
    uint32_t free_count;
    uint8_t *buffer_out; /* owned; per buffer: 1 while the engine has it (B1) */
    int run_head;        /* descriptors to be looked at, RUN_END at the end */
    int run_tail;
    uint32_t done_head; /* operations that have ended, EPOLL_OP_NONE at the end */
    uint32_t done_tail;
    struct epoll_files *files; /* owned; NULL until there is a file */
    bool busy;                 /* the last wait has made sends or completions */
    bool waits_ms;             /* this kernel has no epoll_pwait2 (Linux 5.11) */
    struct epoll_event events[EPOLL_EVENTS_MAX];
};
static_assert(offsetof(struct epoll_ring, ring) == 0, "a ring is cast to its implementation");

static inline struct epoll_ring *epoll_of(struct ring *ring)
{
    ASSERT(ring->ops == &ring_epoll_ops);
    return (struct epoll_ring *)ring;
}

static inline struct epoll_descriptor *epoll_descriptor(struct epoll_ring *self, int fd)
{
    ASSERT_SLOW((uint32_t)fd < self->table.descriptor_room);
    return &self->table.descriptors[fd];
}

/* ---- ring_epoll.c ---- */

/* Make the sends that are queued. */
void epoll_ring_flush(struct epoll_ring *self);
/* Take what the files have brought. */
void epoll_ring_collect(struct epoll_ring *self);
/* An operation ends; it is the caller's then, and so is its completion. */
void epoll_ring_end(struct epoll_ring *self, uint32_t index);

/* ---- ring_epoll_wait.c ---- */

unsigned epoll_ring_wait(struct ring *ring, uint64_t timeout_ns, struct completion *completions,
                         unsigned max);
/* Let the next wait look at a descriptor. */
void epoll_ring_look(struct epoll_ring *self, int fd);
/* Let the next wait complete what stands in no table. Returns what will do so. */
uint32_t epoll_ring_complete(struct epoll_ring *self, uint64_t user_data, int32_t result);
/* The same with an operation that has ended. */
void epoll_ring_complete_op(struct epoll_ring *self, uint32_t index, int32_t result);

#endif
