/* SPDX-License-Identifier: MIT */
/* The operations of a simulated ring: how they are queued, what they do to sockets, which faults
 * strike them, and the completions they leave behind.
 *
 *     queued --op_submit--> armed --completion_post without MORE--> ended --sim_op_free--> gone
 *     armed: runnable when its socket has news (op_on_event); tried again by sim_op_run_all
 *
 * An operation holds its descriptor until it is gone, which is when the ring's owner has been given
 * the last completion. */
#include "engine/ring_sim_op.h"

#include <errno.h>
#include <stdlib.h>

#define LATE_TURNS_MAX 8

const struct sim_op_name SIM_OP_NAMES[] = {
    [OP_ACCEPT] = {"accept", "accepted"},  [OP_RECV] = {"recv", "received"},
    [OP_POLL] = {"poll", "polled"},        [OP_SEND] = {"send", "sent"},
    [OP_OPEN] = {"open", "opened"},        [OP_READ] = {"read", "was-read"},
    [OP_CANCEL] = {"cancel", "cancelled"},
};

/* ---- Provided buffers ---- */

/* Somebody wrote to a buffer that was the kernel's. */
static void buffer_assert_poisoned(const uint8_t *buffer, uint32_t size)
{
    ASSERT(buffer[0] == SIM_POISON);
    ASSERT(memcmp(buffer, buffer + 1, size - 1) == 0);
}

static uint16_t buffer_take(struct sim_ring *ring)
{
    ASSERT(ring->free_count > 0);
    uint16_t id = ring->free_ids[ring->free_head];
    ring->free_head = (ring->free_head + 1) & (ring->ring.buffer_count - 1);
    ring->free_count--;
    ASSERT(ring->buffer_states[id] == BUFFER_FREE);
    buffer_assert_poisoned(ring_buffer(&ring->ring, id), ring->ring.buffer_size);
    ring->buffer_states[id] = BUFFER_FILLED;
    return id;
}

/* ---- Completions ---- */

static void op_mark_runnable(struct sim_op *op)
{
    if (!op->ended && !list_is_linked(&op->run_node)) {
        list_push_back(&op->ring->runnable, &op->run_node);
    }
}

static void op_on_event(struct sim_watcher *watcher)
{
    op_mark_runnable(CONTAINER_OF(watcher, struct sim_op, watcher));
}

void sim_op_keep_bytes(struct sim_op *op, const void *bytes, size_t size)
{
    op->bytes = bytes;
    op->size = size;
    op->copy = sim_alloc(size + 1, 1);
    if (size > 0) {
        memcpy(op->copy, bytes, size);
    }
}

void sim_op_assert_bytes_unchanged(const struct sim_op *op)
{
    /* The engine changed, freed or reused memory that belonged to the kernel. */
    ASSERT(op->size == 0 || memcmp(op->bytes, op->copy, op->size) == 0);
}

void sim_op_free(struct sim_op *op)
{
    if (op->kind == OP_SEND) {
        op->socket->send_inflight = false;
    }
    if (op->kind == OP_RECV) {
        op->socket->recv_inflight = false;
    }
    if (op->socket != NULL) {
        op->socket->inflight_count--;
    }
    list_remove(&op->watcher.node);
    list_remove(&op->run_node);
    struct sim_op *last = op->ring->ops[--op->ring->op_count];
    op->ring->ops[op->index] = last;
    last->index = op->index;
    free(op->copy);
    free(op->found);
    free(op);
}

/* True if the operation may go on after the completion that comes now. */
static bool op_keeps_on(struct sim_op *op)
{
    struct sim_ring *ring = op->ring;
    /* A kernel ends what would overflow the completion queue. */
    return op->multishot && ring->pending_count < ring->completion_entries &&
           !sim_chance(ring->sim, ring->sim->faults.multishot_end);
}

/* The place of a new completion: those of quiet sends come first, since they may not wait. */
static struct sim_pending *pending_slot(struct sim_ring *ring, bool quiet)
{
    if (ring->pending_count == ring->pending_max) {
        ring->pending_max = MAX(64, ring->pending_max * 2);
        ring->pending = realloc(ring->pending, ring->pending_max * sizeof(struct sim_pending));
        ASSERT(ring->pending != NULL);
    }
    uint32_t index = ring->pending_count++;
    if (quiet) {
        uint32_t after = index - ring->quiet_pending_count;
        index = ring->quiet_pending_count++;
        memmove(&ring->pending[index + 1], &ring->pending[index],
                after * sizeof(struct sim_pending));
    }
    return &ring->pending[index];
}

static void completion_post(struct sim_op *op, int64_t result, uint16_t flags, uint16_t buffer_id)
{
    struct sim_ring *ring = op->ring;
    ASSERT(!op->ended);
    *pending_slot(ring, op->quiet) = (struct sim_pending){
        .op = op,
        .completion = {.user_data = op->user_data,
                       .result = (int32_t)result,
                       .flags = flags,
                       .buffer_id = buffer_id},
    };
    if (!(flags & COMPLETION_F_MORE)) {
        op->ended = true;
        list_remove(&op->watcher.node);
        list_remove(&op->run_node);
    }
    if (!op->quiet && sim_chance(ring->sim, ring->sim->faults.late)) {
        op->held_until_turn = ring->turn + 2 + sim_random(ring->sim, LATE_TURNS_MAX);
    }
}

/* ---- What operations do ---- */

static void accept_run(struct sim_op *op)
{
    struct sim *sim = op->ring->sim;
    while (!op->ended) {
        bool has_one = sim_socket_poll(op->socket) == RING_POLL_IN;
        if (has_one && sim_chance(sim, sim->faults.accept_emfile)) {
            completion_post(op, -EMFILE, 0, 0);
            return;
        }
        int result = sim_socket_accept(sim, op->socket);
        if (result == -EAGAIN) {
            return;
        }
        bool more = result >= 0 && op_keeps_on(op);
        completion_post(op, result, more ? COMPLETION_F_MORE : 0, 0);
    }
}

/* One completion at most; false if there was nothing, or if the rest has not arrived yet. */
static bool recv_run_once(struct sim_op *op)
{
    struct sim_ring *ring = op->ring;
    struct sim *sim = ring->sim;
    uint32_t size = MIN(op->socket->size, ring->ring.buffer_size);
    if (size == 0) {
        uint8_t nothing;
        int64_t result = sim_socket_recv(sim, op->socket, &nothing, sizeof(nothing));
        if (result != -EAGAIN) {
            completion_post(op, result, 0, 0);
        }
        return false;
    }
    if (ring->free_count == 0 || sim_chance(sim, sim->faults.enobufs)) {
        completion_post(op, -ENOBUFS, 0, 0);
        return false;
    }
    bool in_part = size > 1 && sim_chance(sim, sim->faults.short_recv);
    if (in_part) {
        size = 1 + (uint32_t)sim_random(sim, size - 1);
    }
    uint16_t id = buffer_take(ring);
    int64_t result = sim_socket_recv(sim, op->socket, ring_buffer(&ring->ring, id), size);
    unsigned flags = COMPLETION_F_BUFFER;
    if (op_keeps_on(op)) {
        flags |= COMPLETION_F_MORE;
    }
    if (op->socket->size > 0) {
        flags |= COMPLETION_F_NONEMPTY;
    }
    completion_post(op, result, (uint16_t)flags, id);
    if (in_part) {
        op_mark_runnable(op);
    }
    return !in_part;
}

static void recv_run(struct sim_op *op)
{
    sim_socket_tempt(op->ring->sim, op->socket);
    while (!op->ended && recv_run_once(op)) {
    }
}

static void poll_run(struct sim_op *op)
{
    sim_socket_tempt(op->ring->sim, op->socket);
    uint32_t events = sim_socket_poll(op->socket);
    /* A kernel reports these unasked. */
    events &= op->events | RING_POLL_ERR | RING_POLL_HUP | RING_POLL_RDHUP;
    if (events != 0) {
        completion_post(op, events, op_keeps_on(op) ? COMPLETION_F_MORE : 0, 0);
    }
}

/* Never waits, and is silent when all went out. */
static void send_run_quiet(struct sim_op *op)
{
    struct sim *sim = op->ring->sim;
    sim_op_assert_bytes_unchanged(op);
    int64_t result = -EAGAIN;
    if (!sim_chance(sim, sim->faults.send_again)) {
        result = sim_socket_send(sim, op->socket, op->copy, op->size);
    }
    if (result == (int64_t)op->size) {
        sim_op_free(op);
        return;
    }
    completion_post(op, result, 0, 0);
}

/* Waits until there is some room, and completes with what fits. */
static void send_run(struct sim_op *op)
{
    struct sim *sim = op->ring->sim;
    sim_op_assert_bytes_unchanged(op);
    int64_t result = sim_socket_send(sim, op->socket, op->copy, op->size);
    if (result != -EAGAIN) {
        completion_post(op, result, 0, 0);
    }
}

/* ---- Files ---- */

/* True if it is not done yet: the seed has it take longer, or fail. */
static bool file_is_delayed(struct sim_op *op)
{
    static const int ERRORS[] = {-EIO, -ENOMEM, -EMFILE, -ENFILE, -EACCES, -EINTR};
    struct sim *sim = op->ring->sim;
    if (sim_chance(sim, sim->faults.file_wait)) {
        op_mark_runnable(op);
        return true;
    }
    if (sim_chance(sim, sim->faults.file_fail)) {
        completion_post(op, ERRORS[sim_random(sim, COUNT_OF(ERRORS))], 0, 0);
        return true;
    }
    return false;
}

static void open_run(struct sim_op *op)
{
    if (!file_is_delayed(op)) {
        sim_op_assert_bytes_unchanged(op);
        completion_post(op, sim_file_open(op->ring->sim, op->socket, (const char *)op->copy), 0, 0);
    }
}

static void read_run(struct sim_op *op)
{
    struct sim *sim = op->ring->sim;
    if (file_is_delayed(op)) {
        return;
    }
    size_t size = op->target_size;
    if (size > 1 && sim_chance(sim, sim->faults.short_read)) {
        size = 1 + (size_t)sim_random(sim, size - 1);
    }
    op->found = sim_alloc(size, 1);
    completion_post(op, sim_file_read(op->socket, op->found, size, op->offset), 0, 0);
}

void sim_op_read_land(struct sim_op *op, int32_t size)
{
    /* The engine has used, freed or given away memory that was the kernel's. */
    for (size_t i = 0; i < op->target_size; i++) {
        ASSERT(op->target[i] == SIM_POISON);
    }
    if (op->target != NULL && size > 0) {
        memcpy(op->target, op->found, (size_t)size);
    }
}

/* May free the operation. */
static void op_run(struct sim_op *op)
{
    list_remove(&op->run_node);
    switch (op->kind) {
    case OP_ACCEPT:
        accept_run(op);
        break;
    case OP_RECV:
        recv_run(op);
        break;
    case OP_POLL:
        poll_run(op);
        break;
    case OP_SEND:
        if (op->quiet) {
            send_run_quiet(op);
        } else {
            send_run(op);
        }
        break;
    case OP_OPEN:
        open_run(op);
        break;
    case OP_READ:
        read_run(op);
        break;
    case OP_CANCEL:
        ASSERT(false);
        break;
    }
}

/* ---- Submissions ---- */

static struct sim_op *op_find(const struct sim_ring *ring, uint64_t user_data)
{
    struct sim_op *found = NULL;
    for (uint32_t i = 0; i < ring->op_count; i++) {
        struct sim_op *op = ring->ops[i];
        if (op->user_data != user_data || !op->submitted || op->ended) {
            continue;
        }
        /* A kernel would cancel one of the two. */
        ASSERT(found == NULL);
        found = op;
    }
    return found;
}

static void cancel_run(struct sim_ring *ring, uint64_t user_data)
{
    struct sim_op *found = op_find(ring, user_data);
    if (found == NULL) {
        return;
    }
    /* Which comes first, the news or the cancellation, nobody knows; mostly the news. */
    bool has_news = list_is_linked(&found->run_node);
    if (has_news && !sim_chance(ring->sim, ring->sim->faults.reorder)) {
        op_run(found);
    }
    if (!found->ended) {
        completion_post(found, -ECANCELED, 0, 0);
    }
}

static void op_submit(struct sim_op *op)
{
    struct sim_ring *ring = op->ring;
    if (op->kind == OP_CANCEL) {
        cancel_run(ring, op->user_data);
        sim_op_free(op);
        return;
    }
    op->submitted = true;
    sim_socket_watch(op->socket, &op->watcher);
    /* Some kernels tell a new receive at once that there are no buffers, some when data comes. */
    if (op->kind == OP_RECV && ring->free_count == 0 && sim_random(ring->sim, 2) == 0) {
        completion_post(op, -ENOBUFS, 0, 0);
        return;
    }
    op_run(op);
}

void sim_op_submit_all(struct sim_ring *ring)
{
    for (uint32_t i = 0; i < ring->queued_count; i++) {
        op_submit(ring->queued[i]);
    }
    ring->queued_count = 0;
}

static struct sim_op *op_make(struct sim_ring *ring)
{
    if (ring->op_count == ring->op_max) {
        ring->op_max = MAX(64, ring->op_max * 2);
        ring->ops = realloc(ring->ops, ring->op_max * sizeof(struct sim_op *));
        ASSERT(ring->ops != NULL);
    }
    struct sim_op *op = sim_alloc(1, sizeof(*op));
    op->ring = ring;
    op->index = ring->op_count++;
    ring->ops[op->index] = op;
    return op;
}

struct sim_op *sim_op_start(struct sim_ring *ring, enum sim_op_kind kind, int fd,
                            uint64_t user_data)
{
    if (ring->queued_count == ring->submission_entries) {
        sim_op_submit_all(ring);
    }
    ASSERT(user_data <= RING_USER_DATA_MAX);
    struct sim_op *op = op_make(ring);
    op->kind = kind;
    op->user_data = user_data;
    op->watcher.events = kind == OP_SEND ? SIM_EVENT_OUT : SIM_EVENT_IN;
    op->watcher.on_event = op_on_event;
    if (kind != OP_CANCEL) {
        op->socket = sim_socket_get(ring->sim, fd);
        op->socket->inflight_count++;
    }
    sim_note(ring->sim, ring->index, SIM_OP_NAMES[kind].start, fd, (int64_t)user_data);
    ring->queued[ring->queued_count++] = op;
    return op;
}

void sim_op_run_all(struct sim_ring *ring)
{
    /* What becomes runnable meanwhile has its turn in the next wait. */
    struct list now;
    list_init(&now);
    list_splice_back(&now, &ring->runnable);
    while (!list_is_empty(&now)) {
        op_run(CONTAINER_OF(now.next, struct sim_op, run_node));
    }
}
