/* SPDX-License-Identifier: MIT */
/* Slots, states and time limits of transports. Journey: hops 2 and 13.
 *
 *                               +------------------ transport_end_idle --------------------+
 *                               |                                                          v
 *     FREE --transport_open--> OPEN --transport_end--> ENDING --(queue empty) stream_end--> LINGER
 *       ^                       |                        |                                   |
 *       |                       +---- transport_cut -----+----- or the peer's end of stream--+
 *       |                                                                                    v
 *       +------------- transport_release_if_done (nothing in flight) <------------------- CLOSING
 *
 * transport_cut frees what the session's code may still be using; so it runs only where no session
 * is on the stack: completions, timers, transport_work. Everything else asks for it with
 * transport_mark. */
#include "engine/transport.h"

#include "engine/core.h"
#include "engine/session.h"

#include <errno.h>

#define RATE_WAIT_MAX_MS 60000 /* then it is looked at again */

static void transport_begin(struct transport *transport, int fd);
static void transport_refuse(struct core *core, int fd, int err);
static struct transport *slot_acquire(struct core *core, struct core_slots *slots);
static bool turn_send_is_awaited(const struct transport *transport);
static void stream_end(struct transport *transport);
static void stream_shut(struct transport *transport, uint32_t since_ms);
static uint32_t rate_wait_ms(const struct transport *transport);
static bool limit_passed(const struct transport *transport, uint32_t since_ms, uint32_t limit_ms);
static void due_lower(struct session_limit *limit, uint32_t since_ms, uint32_t limit_ms);

void transport_open(struct core *core, int fd)
{
    struct visitor visitor = {0};
    bool guarded = (core->guard_flags & GUARD_F_ACCEPT) != 0;
    int err = 0;
    if (core->state == CORE_DRAINING) {
        err = GYR_ERR_HTTP_STOPPING;
    } else if (core->state == CORE_ENDED) {
        err = -ENOTCONN;
    } else if (guarded) {
        err = guard_admit(core, fd, &visitor);
    }
    if (err == -ENOTCONN) {
        atomic_fetch_sub_explicit(&core->load, 1, memory_order_relaxed);
        STATS_ADD(&core->stats, refused, 1);
        core->ring->ops->close_reset(core->ring, fd);
        return;
    }
    struct transport *transport = err == 0 ? slot_acquire(core, &core->slots) : NULL;
    if (transport == NULL) {
        atomic_fetch_sub_explicit(&core->load, 1, memory_order_relaxed);
        if (err == 0) {
            err = GYR_ERR_LIMIT;
            core->guard.limit = "connections_max";
        }
        transport_refuse(core, fd, err);
        guard_forget(core, &visitor);
        return;
    }
    transport_begin(transport, fd);
    if (guarded) {
        guard_begin(transport, &visitor);
        if (guard_wants_header(transport)) {
            transport->session = SESSION_PROXY;
        }
    }
    STATS_ADD(&core->stats, accepted, 1);
    transport_recv_update(transport);
    transport_timer_update(transport);
}

static void transport_begin(struct transport *transport, int fd)
{
    struct core *core = transport->core;
    transport->fd = fd;
    transport->state = TRANSPORT_OPEN;
    transport->session = SESSION_HTTP;
    transport->flags = TRANSPORT_F_IN_REQUEST; /* the first head's time counts from now */
    transport->opened_ms = core_now32(core);
    transport->activity_ms = transport->opened_ms;
    transport->phase_ms = transport->opened_ms;
    core->open_count++;
    STATS_SET(&core->stats, connections, core->open_count);
}

/* Tell a client that there is no place for it, if there is a place to tell it from. Its request
 * may still be on its way: closing at once would reset the connection and take our answer away. */
static void transport_refuse(struct core *core, int fd, int err)
{
    bool limited = err != GYR_ERR_HTTP_STOPPING;
    if (limited) {
        core_trouble(core, err);
    }
    struct transport *transport = slot_acquire(core, &core->refusals);
    if (transport == NULL) {
        STATS_ADD(&core->stats, refused, 1);
        core->guard.limit = NULL;
        core->ring->ops->close_reset(core->ring, fd);
        return;
    }
    transport_begin(transport, fd);
    STATS_ADD(&core->stats, limited, limited);
    ASSERT(core->out.transport == NULL);
    core->out = (struct core_output){.transport = transport, .buffer_id = CORE_NO_BUFFER};
    session_http_fail(transport, err);
    (void)transport_end_batch(transport);
    transport_recv_update(transport);
}

static struct transport *slot_acquire(struct core *core, struct core_slots *slots)
{
    struct transport *transport;
    if (slots->free != CORE_INDEX_NONE) {
        transport = &core->transports[slots->free];
        slots->free = transport->dirty_next;
    } else if (slots->used < slots->end) {
        transport = &core->transports[slots->used];
        transport->index = slots->used++;
    } else {
        return NULL;
    }
    ASSERT(transport->state == TRANSPORT_FREE && transport->inflight == 0);
    *transport = (struct transport){
        .core = core,
        .index = transport->index,
        .generation = (transport->generation + 1) & 0xffffff,
        .dirty_next = CORE_INDEX_NONE,
        .timer = {.kind = TIMER_TRANSPORT},
    };
    return transport;
}

void transport_release_if_done(struct transport *transport)
{
    if (transport->state != TRANSPORT_CLOSING || transport->inflight != 0 ||
        (transport->flags & TRANSPORT_F_DIRTY) != 0) {
        return;
    }
    struct core *core = transport->core;
    transport_drop_queue(transport);
    timer_stop(&transport->timer);
    ASSERT(transport->exchange == NULL && transport->backlog == NULL);
    ASSERT(transport->heap_size == 0); /* A1 */
    if ((transport->flags & TRANSPORT_F_CUT) != 0) {
        core->ring->ops->close_reset(core->ring, transport->fd);
    } else {
        core->ring->ops->close(core->ring, transport->fd);
    }
    guard_end(transport);
    transport->state = TRANSPORT_FREE;
    bool refused = transport->index < CORE_REFUSALS_MAX;
    struct core_slots *slots = refused ? &core->refusals : &core->slots;
    transport->dirty_next = slots->free;
    slots->free = transport->index;
    core->open_count--;
    STATS_SET(&core->stats, connections, core->open_count);
    if (!refused) {
        atomic_fetch_sub_explicit(&core->load, 1, memory_order_relaxed);
    }
}

void transport_on_completion(struct transport *transport, unsigned op,
                             const struct completion *completion)
{
    switch (op) {
    case CORE_OP_RECV:
        transport_on_recv(transport, completion);
        break;
    case CORE_OP_POLL:
        transport_on_poll(transport, completion);
        break;
    case CORE_OP_FILE:
        session_file_on_completion(transport, completion);
        break;
    default:
        ASSERT(op == CORE_OP_SEND);
        transport_on_send(transport, completion);
        break;
    }
    transport_release_if_done(transport);
}

void transport_end(struct transport *transport)
{
    if (transport->state != TRANSPORT_OPEN) {
        return;
    }
    transport->state = TRANSPORT_ENDING;
    transport->phase_ms = core_now32(transport->core);
    transport_timer_update(transport);
    transport_mark(transport, 0);
}

void transport_end_idle(struct transport *transport, uint32_t since_ms)
{
    uint32_t now_ms = core_now32(transport->core);
    if (transport->state != TRANSPORT_OPEN || transport->queue_head != NULL ||
        transport_is_sending(transport) || (transport->flags & TRANSPORT_F_END_OF_STREAM) != 0) {
        transport_end(transport);
        return;
    }
    /* A slow peer has taken the last of our bytes later; a send of long ago does not count. */
    if (transport->send_ms - since_ms <= now_ms - since_ms) {
        since_ms = transport->send_ms;
    }
    stream_shut(transport, since_ms);
    transport_mark(transport, 0);
}

void transport_cut(struct transport *transport, bool reset)
{
    if (transport->state == TRANSPORT_FREE || transport->state == TRANSPORT_CLOSING) {
        return;
    }
    struct core *core = transport->core;
    ASSERT(core->out.transport != transport);
    transport->state = TRANSPORT_CLOSING;
    if (reset) {
        transport->flags |= TRANSPORT_F_CUT;
    }
    session_cut(transport);
    transport_drop_queue(transport);
    if (transport->backlog != NULL) {
        transport_free(transport, transport->backlog,
                       sizeof(struct backlog) + transport->backlog->capacity + MESSAGE_PADDING);
        transport->backlog = NULL;
    }
    /* Shut down before closing: close alone sends no FIN while a receive is armed, and shutting
     * down ends the receive and a blocked send promptly. A reset is made by closing; shutting down
     * first would send a FIN before it. */
    if (transport->inflight != 0 && !reset) {
        core->ring->ops->shutdown(core->ring, transport->fd, 2);
    }
    if (transport->recv != RECV_NONE && (transport->flags & TRANSPORT_F_RECV_CANCELLED) == 0) {
        unsigned op = transport->recv == RECV_BUFFERS ? CORE_OP_RECV : CORE_OP_POLL;
        transport->flags |= TRANSPORT_F_RECV_CANCELLED;
        core->ring->ops->cancel(core->ring,
                                core_user_data(op, transport->generation, transport->index));
    }
    if ((transport->flags & TRANSPORT_F_TURN_SEND) != 0) {
        core->settle_soon = true; /* nothing else would wake the core for this slot */
    }
    if ((transport->flags & TRANSPORT_F_SENDING) != 0) {
        core->ring->ops->cancel(
            core->ring, core_user_data(CORE_OP_SEND, transport->generation, transport->index));
    }
    transport_release_if_done(transport);
}

void transport_mark(struct transport *transport, unsigned flags)
{
    struct core *core = transport->core;
    ASSERT(transport->state != TRANSPORT_FREE);
    transport->flags |= (uint16_t)flags;
    if ((transport->flags & TRANSPORT_F_DIRTY) != 0) {
        return;
    }
    transport->flags |= TRANSPORT_F_DIRTY;
    transport->dirty_next = CORE_INDEX_NONE;
    if (core->dirty_tail == CORE_INDEX_NONE) {
        core->dirty_head = transport->index;
    } else {
        core->transports[core->dirty_tail].dirty_next = transport->index;
    }
    core->dirty_tail = transport->index;
}

void transport_work(struct transport *transport)
{
    if (turn_send_is_awaited(transport)) {
        transport->core->settle_soon = true;
        transport_mark(transport, 0);
        return;
    }
    if ((transport->flags & (TRANSPORT_F_LOST | TRANSPORT_F_CUT)) != 0) {
        transport_cut(transport, (transport->flags & TRANSPORT_F_CUT) != 0);
    }
    if (transport->state == TRANSPORT_CLOSING || transport->state == TRANSPORT_FREE) {
        transport_release_if_done(transport);
        return;
    }
    if ((transport->flags & TRANSPORT_F_WORK) != 0) {
        transport->flags &= (uint16_t)~TRANSPORT_F_WORK;
        transport_backlog_run(transport);
    }
    if ((transport->flags & TRANSPORT_F_READ_AGAIN) != 0) {
        transport->flags &= (uint16_t)~TRANSPORT_F_READ_AGAIN;
        transport_read_scratch(transport);
    }
    if ((transport->flags & (TRANSPORT_F_LOST | TRANSPORT_F_CUT)) != 0) {
        transport_mark(transport, 0);
        return;
    }
    transport_flush_queue(transport);
    if (transport->state == TRANSPORT_ENDING && transport->queue_head == NULL &&
        !transport_is_sending(transport)) {
        stream_end(transport);
    }
    transport_recv_update(transport);
}

/* Is there something to be done that has to wait for the turn's send? A peer that has ended its
 * stream still gets our last answer; one that is lost or to be cut does not. */
static bool turn_send_is_awaited(const struct transport *transport)
{
    if ((transport->flags & TRANSPORT_F_TURN_SEND) == 0 ||
        (transport->flags & TRANSPORT_F_CUT) != 0 || transport->state == TRANSPORT_CLOSING) {
        return false;
    }
    if ((transport->flags & TRANSPORT_F_LOST) != 0) {
        return (transport->flags & TRANSPORT_F_END_OF_STREAM) != 0;
    }
    return transport->state == TRANSPORT_ENDING || transport->queue_head != NULL ||
           (transport->flags & TRANSPORT_F_DRAIN_OWED) != 0;
}

/* Everything is sent: end our stream, so that the peer ends its own. Closing at once instead would
 * turn into a reset when input is unread, and take our last bytes from the peer (RFC 9112 section
 * 9.6). */
static void stream_end(struct transport *transport)
{
    if ((transport->flags & TRANSPORT_F_END_OF_STREAM) != 0) {
        transport_cut(transport, false);
        return;
    }
    stream_shut(transport, core_now32(transport->core));
}

/* Our stream ends; the peer has close_timeout_ms for its own, counted from `since_ms`. */
static void stream_shut(struct transport *transport, uint32_t since_ms)
{
    struct core *core = transport->core;
    core->ring->ops->shutdown(core->ring, transport->fd, 1);
    transport->state = TRANSPORT_LINGER;
    transport->phase_ms = since_ms;
    transport_timer_update(transport);
}

void *transport_alloc(struct transport *transport, size_t size)
{
    struct core *core = transport->core;
    void *pointer = size <= UINT32_MAX - transport->heap_size ? heap_alloc(core->heap, size) : NULL;
    if (pointer == NULL) {
        core_trouble(core, GYR_ERR_MEMORY);
        return NULL;
    }
    transport->heap_size += (uint32_t)size;
    core->heap_accounted += size;
    return pointer;
}

void transport_free(struct transport *transport, void *pointer, size_t size)
{
    if (pointer != NULL) {
        ASSERT(transport->heap_size >= size);
        transport->heap_size -= (uint32_t)size;
        transport->core->heap_accounted -= size;
        heap_free(transport->core->heap, pointer, size);
    }
}

void transport_timer_update(struct transport *transport)
{
    const struct gyr_config *config = transport->core->config;
    struct session_limit due = {0};
    if (transport->state == TRANSPORT_OPEN) {
        due = session_limit(transport);
        due_lower(&due, transport->opened_ms, config->lifetime_max_ms);
        if (UNLIKELY((transport->flags & TRANSPORT_F_RATE) != 0)) {
            due_lower(&due, core_now32(transport->core), MAX(rate_wait_ms(transport), 1U));
        }
    } else if (transport->state == TRANSPORT_LINGER || transport->state == TRANSPORT_ENDING) {
        due_lower(&due, transport->phase_ms, config->close_timeout_ms);
    }
    if (transport->queue_head != NULL && !queue_is_held(transport)) {
        due_lower(&due, transport->send_ms, config->send_timeout_ms);
    }
    if (transport->exchange != NULL && transport->exchange->timer_set) {
        due_lower(&due, transport->exchange->timer_ms - 1, 1);
    }
    if (!due.set) {
        return;
    }
    struct core *core = transport->core;
    int32_t delay = (int32_t)(due.due_ms - core_now32(core));
    uint64_t expires = core->now_ms + (uint64_t)(delay > 1 ? delay : 1);
    if (!timer_is_running(&transport->timer) || transport->timer.expires_ms > expires) {
        timer_start(&core->wheel, &transport->timer, expires);
    }
}

void transport_on_timer(struct transport *transport)
{
    const struct gyr_config *config = transport->core->config;
    bool ending = transport->state == TRANSPORT_LINGER || transport->state == TRANSPORT_ENDING;
    if (transport->state == TRANSPORT_CLOSING) {
        return;
    }
    if ((transport->queue_head != NULL && !queue_is_held(transport) &&
         limit_passed(transport, transport->send_ms, config->send_timeout_ms)) ||
        (ending && transport->queue_head == NULL &&
         limit_passed(transport, transport->phase_ms, config->close_timeout_ms))) {
        STATS_ADD(&transport->core->stats, timeouts, 1);
        transport_cut(transport, false);
        return;
    }
    if (transport->state == TRANSPORT_OPEN) {
        if ((transport->flags & TRANSPORT_F_RATE) != 0 && rate_wait_ms(transport) == 0) {
            transport->flags &= (uint16_t)~TRANSPORT_F_RATE;
            session_wait_ended(transport);
            transport_mark(transport, TRANSPORT_F_WORK);
        }
        if (limit_passed(transport, transport->opened_ms, config->lifetime_max_ms)) {
            transport->opened_ms = core_now32(transport->core);
            STATS_ADD(&transport->core->stats, timeouts, 1);
            session_drain(transport);
        }
        session_on_limit(transport);
    }
    transport_timer_update(transport);
}

/* How long no input is taken yet; 0: it is. */
static uint32_t rate_wait_ms(const struct transport *transport)
{
    uint64_t end_ns = guard_visitor(transport)->rate_end_ns;
    uint64_t now_ns = transport->core->ring->now_ns;
    uint64_t wait_ms = end_ns > now_ns ? (end_ns - now_ns + 999999) / 1000000 : 0;
    return (uint32_t)MIN(wait_ms, (uint64_t)RATE_WAIT_MAX_MS);
}

void transport_rate_wait(struct transport *transport)
{
    if ((transport->flags & TRANSPORT_F_RATE) == 0) {
        transport->flags |= TRANSPORT_F_RATE;
        STATS_ADD(&transport->core->stats, rate_limited, 1);
    }
    transport_timer_update(transport);
}

/* A limit of 0 is off. */
static bool limit_passed(const struct transport *transport, uint32_t since_ms, uint32_t limit_ms)
{
    return limit_ms != 0 && core_now32(transport->core) - since_ms >= limit_ms;
}

static void due_lower(struct session_limit *limit, uint32_t since_ms, uint32_t limit_ms)
{
    uint32_t due_ms = since_ms + limit_ms;
    if (limit_ms != 0 && (!limit->set || (int32_t)(due_ms - limit->due_ms) < 0)) {
        *limit = (struct session_limit){.due_ms = due_ms, .set = true};
    }
}
