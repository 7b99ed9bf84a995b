/* SPDX-License-Identifier: MIT */
/* Bytes in. Journey: hop 3. Small reads come through provided buffers, of which a connection holds
 * none between its turns. Large ones are announced by a poll and read into one scratch buffer that
 * stays warm: a pool of 64 KB buffers used in turn walks out of the second-level cache. Each
 * connection changes over by itself, with hysteresis. What cannot be handled at once is copied to
 * the backlog. */
#include "engine/core.h"
#include "engine/session.h"
#include "engine/transport.h"

#include <errno.h>

#define READ_STREAK_LARGE 4     /* large reads in a row before changing to scratch */
#define READ_STREAK_SMALL 16    /* small ones before changing back */
#define READ_DIRECT_MIN   16384 /* bytes of a message worth receiving where they belong */
#define BACKLOG_MIN       512

static enum transport_recv recv_wanted(const struct transport *transport);
static void recv_start(struct transport *transport, enum transport_recv recv);
static void recv_failed(struct transport *transport, int err);
static bool transport_input(struct transport *transport, uint8_t *bytes, size_t size,
                            uint32_t buffer_id);
static size_t backlog_input(struct transport *transport, uint8_t *bytes, size_t size);
static size_t backlog_session(struct transport *transport);
static bool backlog_append(struct transport *transport, const uint8_t *bytes, size_t size);
static void backlog_free(struct transport *transport);
static void sign_of_life(struct transport *transport);
static void read_streak(struct transport *transport, size_t size);
static void end_of_stream(struct transport *transport);

void transport_recv_update(struct transport *transport)
{
    enum transport_recv wanted = recv_wanted(transport);
    if (wanted == transport->recv || (transport->flags & TRANSPORT_F_RECV_CANCELLED) != 0) {
        return;
    }
    if (transport->recv == RECV_NONE) {
        recv_start(transport, wanted);
        return;
    }
    /* Only after the last completion may the other way begin; otherwise bytes change places. */
    struct core *core = transport->core;
    unsigned op = transport->recv == RECV_BUFFERS ? CORE_OP_RECV : CORE_OP_POLL;
    transport->flags |= TRANSPORT_F_RECV_CANCELLED;
    core->ring->ops->cancel(core->ring,
                            core_user_data(op, transport->generation, transport->index));
}

static enum transport_recv recv_wanted(const struct transport *transport)
{
    if (transport->state == TRANSPORT_CLOSING || transport->state == TRANSPORT_FREE ||
        (transport->flags & TRANSPORT_F_LOST) != 0) {
        return RECV_NONE;
    }
    bool waiting = transport->state == TRANSPORT_OPEN && session_is_waiting(transport);
    if ((transport->flags & TRANSPORT_F_END_OF_STREAM) != 0) {
        return waiting ? RECV_WATCH : RECV_NONE;
    }
    if (waiting && transport->backlog != NULL &&
        transport->backlog->size >= transport->core->config->pause_size_max) {
        return RECV_WATCH;
    }
    return (transport->flags & TRANSPORT_F_LARGE) != 0 ? RECV_SCRATCH : RECV_BUFFERS;
}

static void recv_start(struct transport *transport, enum transport_recv recv)
{
    struct ring *ring = transport->core->ring;
    uint32_t generation = transport->generation;
    uint32_t index = transport->index;
    ASSERT(transport->recv == RECV_NONE); /* C3 */
    transport->recv = (uint8_t)recv;
    transport->inflight++;
    switch (recv) {
    case RECV_BUFFERS:
        ring->ops->recv_start(ring, transport->fd, core_user_data(CORE_OP_RECV, generation, index));
        break;
    case RECV_SCRATCH:
        ring->ops->poll_start(ring, transport->fd, RING_POLL_IN | RING_POLL_RDHUP, true,
                              core_user_data(CORE_OP_POLL, generation, index));
        break;
    case RECV_WATCH:
        /* Multishot: the end of the peer's stream is reported whether asked for or not, and a poll
         * for one event would be started again and report it again for ever. */
        ring->ops->poll_start(ring, transport->fd, 0, true,
                              core_user_data(CORE_OP_POLL, generation, index));
        break;
    case RECV_NONE:
        transport->inflight--;
        break;
    }
}

/* The last completion of the receive in flight has come. */
static void recv_ended(struct transport *transport)
{
    ASSERT(transport->inflight > 0);
    transport->inflight--;
    transport->recv = RECV_NONE;
    transport->flags &= (uint16_t)~TRANSPORT_F_RECV_CANCELLED;
}

void transport_on_recv(struct transport *transport, const struct completion *completion)
{
    struct ring *ring = transport->core->ring;
    if ((completion->flags & COMPLETION_F_MORE) == 0) {
        recv_ended(transport);
    }
    if ((completion->flags & COMPLETION_F_BUFFER) != 0) {
        bool taken = false;
        if (completion->result > 0) {
            size_t size = (size_t)completion->result;
            taken = transport_input(transport, ring_buffer(ring, completion->buffer_id), size,
                                    completion->buffer_id);
            read_streak(transport, size);
        }
        if (!taken) {
            ring->ops->buffer_return(ring, completion->buffer_id); /* B1 */
        }
    }
    if (completion->result == 0) {
        end_of_stream(transport);
    } else if (completion->result < 0) {
        recv_failed(transport, completion->result);
    }
    transport_recv_update(transport);
}

void transport_on_poll(struct transport *transport, const struct completion *completion)
{
    enum transport_recv recv = transport->recv;
    if ((completion->flags & COMPLETION_F_MORE) == 0) {
        recv_ended(transport);
    }
    if (completion->result < 0) {
        recv_failed(transport, completion->result);
    } else if (recv == RECV_WATCH) {
        if ((completion->result & (RING_POLL_ERR | RING_POLL_HUP)) != 0) {
            recv_failed(transport, -ECONNRESET);
        }
    } else if (completion->result > 0) {
        bool hang_up =
            (completion->result & (RING_POLL_ERR | RING_POLL_HUP | RING_POLL_RDHUP)) != 0;
        transport_read_scratch(transport);
        if (hang_up && (transport->flags & TRANSPORT_F_END_OF_STREAM) == 0 &&
            transport->state != TRANSPORT_CLOSING) {
            /* No further event may come: read on until the end of the stream is seen. */
            transport_mark(transport, TRANSPORT_F_READ_AGAIN);
        }
    }
    transport_recv_update(transport);
}

void transport_read_scratch(struct transport *transport)
{
    struct core *core = transport->core;
    uint32_t rounds = core->config->read_rounds_max; /* before other connections get their turn */
    for (uint32_t round = 0; round < rounds; round++) {
        if (transport->state == TRANSPORT_CLOSING || recv_wanted(transport) != RECV_SCRATCH ||
            transport->recv == RECV_BUFFERS) {
            return; /* whoever changes back starts a receive that sees what is left */
        }
        uint8_t *target = core->scratch;
        size_t room = core->config->recv_buffer_size;
        bool direct = transport_is_live(transport) && transport->backlog == NULL &&
                      session_direct(transport, READ_DIRECT_MIN, &target, &room);
        int64_t size = core->ring->ops->recv_now(core->ring, transport->fd, target, room);
        if (size == -EAGAIN) {
            return;
        }
        if (size < 0) {
            recv_failed(transport, (int)size);
            return;
        }
        if (size == 0) {
            end_of_stream(transport);
            return;
        }
        if (direct) {
            STATS_ADD(&core->stats, bytes_in, size);
            sign_of_life(transport);
            core->out = (struct core_output){.transport = transport, .buffer_id = CORE_NO_BUFFER};
            session_direct_done(transport, (size_t)size);
            (void)transport_end_batch(transport);
        } else {
            (void)transport_input(transport, target, (size_t)size, CORE_NO_BUFFER);
            read_streak(transport, (size_t)size);
        }
        if ((size_t)size < room && !direct) {
            return; /* the socket was empty, and what comes next is a new event */
        }
    }
    transport_mark(transport, TRANSPORT_F_READ_AGAIN);
}

static void recv_failed(struct transport *transport, int err)
{
    switch (err) {
    case -ECANCELED:
    case -EINTR:
    case -EAGAIN:
        return;
    case -ENOBUFS:
        /* Every buffer is back in its ring by the end of the turn, and then this is started again;
         * starting it at once gives a storm of completions. */
        STATS_ADD(&transport->core->stats, buffers_empty, 1);
        core_trouble(transport->core, -ENOBUFS);
        transport_mark(transport, 0);
        return;
    default:
        transport_mark(transport, TRANSPORT_F_LOST);
        return;
    }
}

static void end_of_stream(struct transport *transport)
{
    if ((transport->flags & TRANSPORT_F_END_OF_STREAM) != 0) {
        return;
    }
    transport->flags |= TRANSPORT_F_END_OF_STREAM;
    if (transport->state == TRANSPORT_OPEN) {
        session_end_of_stream(transport);
    } else if (transport->state == TRANSPORT_LINGER) {
        transport_mark(transport, TRANSPORT_F_LOST);
    }
}

/* Count reads that speak for the other way to receive, and change over after enough of them. */
static void read_streak(struct transport *transport, size_t size)
{
    uint32_t threshold = transport->core->config->recv_scratch_threshold;
    bool large = (transport->flags & TRANSPORT_F_LARGE) != 0;
    if (threshold == 0 || (large ? size >= threshold / 2 : size < threshold)) {
        transport->read_streak = 0;
        return;
    }
    transport->read_streak++;
    if (transport->read_streak >= (large ? READ_STREAK_SMALL : READ_STREAK_LARGE)) {
        transport->read_streak = 0;
        transport->flags ^= TRANSPORT_F_LARGE;
        STATS_ADD(&transport->core->stats, scratch_switches, 1);
    }
}

static void sign_of_life(struct transport *transport)
{
    transport->activity_ms = core_now32(transport->core);
    if (UNLIKELY((transport->flags & TRANSPORT_F_PINGED) != 0)) {
        transport->flags &= (uint16_t)~TRANSPORT_F_PINGED;
        transport_timer_update(transport); /* the next silence may be shorter than this one was */
    }
}

/* Hand input to the session, and keep what it leaves. Returns true if the output has taken the
 * provided buffer that the input lies in. */
static bool transport_input(struct transport *transport, uint8_t *bytes, size_t size,
                            uint32_t buffer_id)
{
    struct core *core = transport->core;
    STATS_ADD(&core->stats, bytes_in, size);
    sign_of_life(transport);
    if (!transport_is_live(transport)) {
        return false;
    }
    if (UNLIKELY(transport->backlog != NULL)) {
        size_t used = backlog_input(transport, bytes, size);
        if (used == size) {
            return false;
        }
        bytes += used;
        size -= used;
    }
    core->out = (struct core_output){.transport = transport, .buffer_id = buffer_id};
    size_t used = session_input(transport, bytes, size);
    if (UNLIKELY(used < size) && transport_is_live(transport)) {
        backlog_append(transport, bytes + used, size - used);
    }
    return transport_end_batch(transport);
}

/* Input that follows a backlog. Unless the exchange waits, the backlog is the beginning of a unit
 * (a head, a frame header, a control frame): complete it there. Returns how much of the input is
 * dealt with; the rest is to be handled where it lies. */
static size_t backlog_input(struct transport *transport, uint8_t *bytes, size_t size)
{
    if (session_is_waiting(transport)) {
        backlog_append(transport, bytes, size);
        return size;
    }
    size_t old_size = transport->backlog->size;
    size_t taken = MIN(size, session_unit_max(transport));
    if (!backlog_append(transport, bytes, taken)) {
        return size;
    }
    size_t used = backlog_session(transport);
    if (!transport_is_live(transport)) {
        backlog_free(transport);
        return size;
    }
    if (session_is_waiting(transport)) {
        backlog_append(transport, bytes + taken, size - taken);
        return size;
    }
    if (used < old_size) {
        ASSERT(taken == size); /* otherwise the unit would be complete */
        return size;
    }
    backlog_free(transport);
    return used - old_size;
}

/* Give the backlog to the session; returns how much it handled. */
static size_t backlog_session(struct transport *transport)
{
    struct backlog *backlog = transport->backlog;
    uint8_t *bytes = backlog->bytes + backlog->start;
    transport->core->out =
        (struct core_output){.transport = transport, .buffer_id = CORE_NO_BUFFER};
    size_t used = session_input(transport, bytes, backlog->size);
    (void)transport_end_batch(transport);
    ASSERT(transport->backlog == backlog && used <= backlog->size);
    backlog->start += (uint32_t)used;
    backlog->size -= (uint32_t)used;
    return used;
}

void transport_backlog_run(struct transport *transport)
{
    transport->core->out =
        (struct core_output){.transport = transport, .buffer_id = CORE_NO_BUFFER};
    session_work(transport);
    (void)transport_end_batch(transport);
    if (transport->backlog != NULL && transport->state == TRANSPORT_OPEN &&
        !session_is_waiting(transport)) {
        backlog_session(transport);
    }
    if (transport->backlog != NULL &&
        (transport->backlog->size == 0 || transport->state != TRANSPORT_OPEN)) {
        backlog_free(transport);
    }
    if (transport->state == TRANSPORT_OPEN && (transport->flags & TRANSPORT_F_END_OF_STREAM) != 0) {
        session_end_of_stream(transport);
    }
}

static bool backlog_append(struct transport *transport, const uint8_t *bytes, size_t size)
{
    struct backlog *old = transport->backlog;
    size_t held = old == NULL ? 0 : old->size;
    if (size == 0) {
        return true;
    }
    STATS_ADD(&transport->core->stats, copied_bytes, size);
    if (old != NULL && old->start + held + size <= old->capacity) {
        memcpy(old->bytes + old->start + held, bytes, size);
        old->size += (uint32_t)size;
        return true;
    }
    size_t capacity = BACKLOG_MIN;
    while (capacity < held + size) {
        capacity *= 2;
    }
    struct backlog *grown = transport_alloc(transport, sizeof(*grown) + capacity + MESSAGE_PADDING);
    if (grown == NULL) {
        transport_mark(transport, TRANSPORT_F_CUT);
        return false;
    }
    *grown = (struct backlog){.capacity = (uint32_t)capacity, .size = (uint32_t)(held + size)};
    if (old != NULL) {
        memcpy(grown->bytes, old->bytes + old->start, held);
    }
    memcpy(grown->bytes + held, bytes, size);
    backlog_free(transport);
    transport->backlog = grown;
    return true;
}

static void backlog_free(struct transport *transport)
{
    if (transport->backlog != NULL) {
        transport_free(transport, transport->backlog,
                       sizeof(struct backlog) + transport->backlog->capacity + MESSAGE_PADDING);
        transport->backlog = NULL;
    }
}
