/* SPDX-License-Identifier: MIT */
/* The kernel seam on a simulated kernel: rings that live in the world of ring_sim_net.c, any number
 * of them on one thread. Part of the test library only; the simulator's tests run the production
 * engine on it, one seed after another.
 *
 * It is stricter than a kernel. What a kernel would punish by mixed up bytes, or now and then, is a
 * broken assertion here, at once: a descriptor closed with an operation in flight or used after
 * close, two sends or two receives on one socket, memory of a send that changes before the send has
 * completed, a provided buffer returned twice (B1) or written to after its return.
 *
 *     buffer: free --received into--> filled --ring_deliver--> out --sim_buffer_return--> free
 *
 * `wait` never blocks. When nothing is there it notes when it would have timed out and returns 0;
 * whoever drives the world lets another core take its turn, or time go on. */
#include "engine/ring_sim.h"
#include "engine/ring_sim_op.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define WHY_SIZE           256
#define WALL_SECONDS_START UINT64_C(1700000000)
#define NS_PER_SECOND      1000000000u

static struct sim_ring *sim_ring_of(struct ring *ring)
{
    ASSERT(ring->ops == &ring_sim_ops);
    return (struct sim_ring *)ring;
}

static const struct sim_ring *sim_ring_of_const(const struct ring *ring)
{
    ASSERT(ring->ops == &ring_sim_ops);
    return (const struct sim_ring *)ring;
}

static void ring_note(const struct sim_ring *ring, const char *what, int fd, int64_t result)
{
    sim_note(ring->sim, ring->index, what, fd, result);
}

/* ---- Life ---- */

static bool is_power_of_two(uint32_t number)
{
    return number > 0 && (number & (number - 1)) == 0;
}

static void buffers_make(struct sim_ring *ring, const struct ring_config *config)
{
    size_t size = (size_t)config->buffer_size * config->buffer_count + MESSAGE_PADDING;
    ring->ring.buffer_size = config->buffer_size;
    ring->ring.buffer_count = config->buffer_count;
    ring->ring.buffers = sim_alloc(size, 1);
    memset(ring->ring.buffers, SIM_POISON, size);
    ring->buffer_states = sim_alloc(config->buffer_count, sizeof(uint8_t));
    ring->free_ids = sim_alloc(config->buffer_count, sizeof(uint16_t));
    for (uint32_t i = 0; i < config->buffer_count; i++) {
        ring->free_ids[i] = (uint16_t)i;
    }
    ring->free_count = config->buffer_count;
}

static int sim_ring_create(const struct ring_config *config, struct ring **made, char *why)
{
    struct sim *sim = config->context;
    ASSERT(sim != NULL);
    if (!is_power_of_two(config->submission_entries) ||
        !is_power_of_two(config->completion_entries) || !is_power_of_two(config->buffer_count) ||
        config->buffer_count > 32768 || config->buffer_size < 2) {
        (void)snprintf(why, WHY_SIZE,
                       "the sizes of the ring are not powers of two, or out of range");
        return -EINVAL;
    }
    struct sim_ring *ring = sim_alloc(1, sizeof(*ring));
    ring->ring.ops = &ring_sim_ops;
    ring->ring.now_ns = sim->now_ns;
    ring->sim = sim;
    ring->index = (int)sim->ring_count++;
    sim->ring_live_count++;
    ring->submission_entries = config->submission_entries;
    ring->completion_entries = config->completion_entries;
    ring->queued = sim_alloc(config->submission_entries, sizeof(struct sim_op *));
    list_init(&ring->runnable);
    buffers_make(ring, config);
    *made = &ring->ring;
    return 0;
}

static void sim_ring_destroy(struct ring *public_ring)
{
    struct sim_ring *ring = sim_ring_of(public_ring);
    while (ring->op_count > 0) {
        sim_op_free(ring->ops[ring->op_count - 1]);
    }
    ring->sim->ring_live_count--;
    free(ring->queued);
    free(ring->ops);
    free(ring->pending);
    free(ring->free_ids);
    free(ring->buffer_states);
    free(ring->ring.buffers);
    free(ring);
}

/* ---- Waiting ---- */

/* Neighbours of different operations change places; those of quiet sends, the first, stay. */
static void pending_shuffle(struct sim_ring *ring)
{
    for (uint32_t i = ring->quiet_pending_count; i + 1 < ring->pending_count; i++) {
        struct sim_pending first = ring->pending[i];
        bool may_change = first.op != ring->pending[i + 1].op;
        if (may_change && sim_chance(ring->sim, ring->sim->faults.reorder)) {
            ring->pending[i] = ring->pending[i + 1];
            ring->pending[i + 1] = first;
        }
    }
}

static struct completion pending_deliver(struct sim_ring *ring, const struct sim_pending *pending)
{
    struct sim_op *op = pending->op;
    struct completion completion = pending->completion;
    ring_note(ring, SIM_OP_NAMES[op->kind].done, op->socket->fd, completion.result);
    if (completion.flags & COMPLETION_F_BUFFER) {
        ASSERT(ring->buffer_states[completion.buffer_id] == BUFFER_FILLED);
        ring->buffer_states[completion.buffer_id] = BUFFER_OUT;
    }
    if (op->quiet) {
        ring->quiet_pending_count--;
    }
    if (!(completion.flags & COMPLETION_F_MORE)) {
        sim_op_assert_bytes_unchanged(op);
        sim_op_read_land(op, completion.result);
        sim_op_free(op);
    }
    return completion;
}

static unsigned ring_deliver(struct sim_ring *ring, struct completion *completions, unsigned max)
{
    unsigned count = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < ring->pending_count; i++) {
        const struct sim_pending *pending = &ring->pending[i];
        if (count < max && ring->turn >= pending->op->held_until_turn) {
            completions[count++] = pending_deliver(ring, pending);
        } else {
            ring->pending[kept++] = *pending;
        }
    }
    ring->pending_count = kept;
    return count;
}

static bool ring_has_work(const struct sim_ring *ring)
{
    return ring->pending_count > 0 || ring->queued_count > 0 || !list_is_empty(&ring->runnable);
}

static unsigned sim_wait(struct ring *public_ring, uint64_t timeout_ns,
                         struct completion *completions, unsigned max)
{
    struct sim_ring *ring = sim_ring_of(public_ring);
    struct sim *sim = ring->sim;
    ASSERT(max > 0);
    ring->turn++;
    sim_pass_turn(sim);
    sim_op_submit_all(ring);
    sim_op_run_all(ring);
    public_ring->now_ns = sim->now_ns;
    bool woken = atomic_exchange_explicit(&ring->woken, false, memory_order_relaxed);
    unsigned count = 0;
    if (ring->quiet_pending_count == 0 && sim_chance(sim, sim->faults.spurious_wake)) {
        woken = true;
    } else {
        pending_shuffle(ring);
        count = ring_deliver(ring, completions, max);
    }
    bool sleeps = count == 0 && !woken && !ring_has_work(ring);
    ring->sleep_end_ns = sim->now_ns;
    if (sleeps) {
        bool is_endless = timeout_ns >= UINT64_MAX - sim->now_ns;
        ring->sleep_end_ns = is_endless ? UINT64_MAX : sim->now_ns + timeout_ns;
    }
    ring_note(ring, sleeps ? "sleep" : "turn", -1, count);
    return count;
}

bool sim_ring_is_ready(const struct ring *public_ring)
{
    const struct sim_ring *ring = sim_ring_of_const(public_ring);
    return ring_has_work(ring) || atomic_load_explicit(&ring->woken, memory_order_relaxed) ||
           ring->sim->now_ns >= ring->sleep_end_ns;
}

uint64_t sim_ring_sleep_end_ns(const struct ring *public_ring)
{
    return sim_ring_of_const(public_ring)->sleep_end_ns;
}

static void sim_wake(struct ring *target, struct ring *from)
{
    (void)from;
    /* No trace and no chance here: the caller may be another thread. */
    atomic_store_explicit(&sim_ring_of(target)->woken, true, memory_order_relaxed);
}

static void sim_submit(struct ring *ring)
{
    sim_op_submit_all(sim_ring_of(ring));
}

/* ---- Submissions ---- */

static void sim_accept_start(struct ring *ring, int fd, uint64_t user_data)
{
    struct sim_op *op = sim_op_start(sim_ring_of(ring), OP_ACCEPT, fd, user_data);
    ASSERT(op->socket->kind == SIM_LISTENER);
    op->multishot = true;
}

static void sim_recv_start(struct ring *ring, int fd, uint64_t user_data)
{
    struct sim_op *op = sim_op_start(sim_ring_of(ring), OP_RECV, fd, user_data);
    ASSERT(op->socket->kind == SIM_SERVER);
    /* C3: two receives would share the bytes between them. */
    ASSERT(!op->socket->recv_inflight);
    op->socket->recv_inflight = true;
    op->multishot = true;
}

static void sim_poll_start(struct ring *ring, int fd, uint32_t events, bool multishot,
                           uint64_t user_data)
{
    struct sim_op *op = sim_op_start(sim_ring_of(ring), OP_POLL, fd, user_data);
    op->events = events;
    op->multishot = multishot;
}

static void sim_send_start(struct ring *ring, int fd, const void *bytes, size_t size, bool quiet,
                           uint64_t user_data)
{
    struct sim_op *op = sim_op_start(sim_ring_of(ring), OP_SEND, fd, user_data);
    ASSERT(op->socket->kind == SIM_SERVER);
    /* C3: the bytes of two sends would mix. */
    ASSERT(!op->socket->send_inflight);
    ASSERT(size <= INT32_MAX);
    op->socket->send_inflight = true;
    op->quiet = quiet;
    sim_op_keep_bytes(op, bytes, size);
}

static void sim_open_start(struct ring *ring, int folder_fd, const char *path, uint64_t user_data)
{
    struct sim_op *op = sim_op_start(sim_ring_of(ring), OP_OPEN, folder_fd, user_data);
    ASSERT(op->socket->kind == SIM_FOLDER);
    sim_op_keep_bytes(op, path, strlen(path) + 1);
}

static void sim_read_start(struct ring *ring, int fd, void *bytes, size_t size, uint64_t offset,
                           uint64_t user_data)
{
    struct sim_op *op = sim_op_start(sim_ring_of(ring), OP_READ, fd, user_data);
    ASSERT(op->socket->kind == SIM_FILE);
    ASSERT(size > 0 && size <= INT32_MAX);
    op->target = bytes;
    op->target_size = size;
    op->offset = offset;
    memset(bytes, SIM_POISON, size);
}

static void sim_cancel(struct ring *ring, uint64_t user_data)
{
    sim_op_start(sim_ring_of(ring), OP_CANCEL, -1, user_data);
}

/* ---- Calls that act at once ---- */

static int64_t sim_send_now(struct ring *public_ring, int fd, const void *bytes, size_t size)
{
    struct sim_ring *ring = sim_ring_of(public_ring);
    struct sim_socket *socket = sim_socket_get(ring->sim, fd);
    /* C3: what is in flight would come after these bytes, or between them. */
    ASSERT(!socket->send_inflight);
    int64_t result = -EAGAIN;
    if (!sim_chance(ring->sim, ring->sim->faults.send_again)) {
        result = sim_socket_send(ring->sim, socket, bytes, size);
    }
    ring_note(ring, "send_now", fd, result);
    return result;
}

static int64_t sim_recv_now(struct ring *public_ring, int fd, void *bytes, size_t size)
{
    struct sim_ring *ring = sim_ring_of(public_ring);
    struct sim *sim = ring->sim;
    struct sim_socket *socket = sim_socket_get(sim, fd);
    /* C3: the armed receive may hold bytes that come before these. */
    ASSERT(!socket->recv_inflight);
    sim_socket_tempt(sim, socket);
    size_t there = MIN(size, (size_t)socket->size);
    bool again = there > 0 && sim_chance(sim, sim->faults.recv_again);
    bool in_part = there > 1 && sim_chance(sim, sim->faults.short_recv);
    if (in_part) {
        size = 1 + (size_t)sim_random(sim, there - 1);
    }
    int64_t result = again ? -EAGAIN : sim_socket_recv(sim, socket, bytes, size);
    if (again || in_part) {
        /* The story is that the rest has not come yet: tell the polls when it does. */
        sim_socket_notify(socket, SIM_EVENT_IN);
    }
    ring_note(ring, "recv_now", fd, result);
    return result;
}

static void sim_buffer_return(struct ring *public_ring, uint16_t buffer_id)
{
    struct sim_ring *ring = sim_ring_of(public_ring);
    uint8_t *buffer = ring_buffer(public_ring, buffer_id);
    /* B1: returned before, or never received. */
    ASSERT(ring->buffer_states[buffer_id] == BUFFER_OUT);
    memset(buffer, SIM_POISON, public_ring->buffer_size);
    ring->buffer_states[buffer_id] = BUFFER_FREE;
    uint32_t tail = (ring->free_head + ring->free_count) & (public_ring->buffer_count - 1);
    ring->free_ids[tail] = buffer_id;
    ring->free_count++;
}

unsigned sim_buffers_out(const struct ring *public_ring)
{
    const struct sim_ring *ring = sim_ring_of_const(public_ring);
    unsigned count = 0;
    for (uint32_t i = 0; i < public_ring->buffer_count; i++) {
        count += ring->buffer_states[i] == BUFFER_OUT;
    }
    return count;
}

static void sim_shutdown(struct ring *public_ring, int fd, int how)
{
    struct sim_ring *ring = sim_ring_of(public_ring);
    ring_note(ring, "shutdown", fd, how);
    sim_socket_shutdown(sim_socket_get(ring->sim, fd), how);
}

static void sim_close(struct ring *public_ring, int fd)
{
    struct sim_ring *ring = sim_ring_of(public_ring);
    ring_note(ring, "close", fd, 0);
    sim_socket_close(ring->sim, sim_socket_get(ring->sim, fd));
}

static void sim_close_reset(struct ring *public_ring, int fd)
{
    struct sim_ring *ring = sim_ring_of(public_ring);
    ring_note(ring, "close_reset", fd, 0);
    struct sim_socket *socket = sim_socket_get(ring->sim, fd);
    /* As in sim_socket_close, but before a reset could end what is in flight. */
    ASSERT(socket->inflight_count == 0);
    sim_socket_reset(socket);
    sim_socket_close(ring->sim, socket);
}

static void sim_peer_address(struct ring *public_ring, int fd, struct address *address)
{
    const struct sim_socket *socket = sim_socket_get(sim_ring_of(public_ring)->sim, fd);
    uint32_t id = socket->id;
    const uint8_t ip[4] = {192, 0, 2, (uint8_t)(1 + id % 254)};
    *address = address_ipv4(ip, (uint16_t)(1024 + id / 254 % 60000));
    if (socket->address.family != ADDRESS_NONE) {
        *address = socket->address;
    }
    if (socket->broken) {
        *address = (struct address){0}; /* as getpeername(2): ENOTCONN */
    }
}

static int sim_ring_file_status(struct ring *ring, int fd, struct ring_file_status *status)
{
    sim_file_status(sim_socket_get(sim_ring_of(ring)->sim, fd), status);
    return 0;
}

static uint64_t sim_wall_ns(struct ring *public_ring)
{
    return WALL_SECONDS_START * NS_PER_SECOND + sim_ring_of(public_ring)->sim->now_ns;
}

const struct ring_ops ring_sim_ops = {
    .name = "sim",
    .create = sim_ring_create,
    .destroy = sim_ring_destroy,
    .accept_start = sim_accept_start,
    .recv_start = sim_recv_start,
    .poll_start = sim_poll_start,
    .send_start = sim_send_start,
    .open_start = sim_open_start,
    .read_start = sim_read_start,
    .cancel = sim_cancel,
    .submit = sim_submit,
    .wait = sim_wait,
    .send_now = sim_send_now,
    .recv_now = sim_recv_now,
    .buffer_return = sim_buffer_return,
    .shutdown = sim_shutdown,
    .close = sim_close,
    .close_reset = sim_close_reset,
    .peer_address = sim_peer_address,
    .file_status = sim_ring_file_status,
    .wall_ns = sim_wall_ns,
    .wake = sim_wake,
};
