/* SPDX-License-Identifier: MIT */
/* Bytes out. Journey: hops 12 and 13. What the handling of one batch of input produces is one
 * contiguous run, framed in place in the input or written to the core's staging buffer. The runs of
 * a turn go out together with one submission at its end, quietly: whoever waits for them on this
 * CPU is not woken between one and the next, and takes the core away but once. A run whose memory
 * does not last that long (scratch, backlog) goes out at once, by send_now. What the kernel does
 * not take, what does not fit, and what is sent to other connections becomes entries of the queue,
 * sent by submission, one in flight: two would interleave after a short send (C3).
 *
 * While a run is not empty the queue is, and nothing is in flight; so the order of bytes is the
 * order of calls. */
#include "engine/core.h"
#include "engine/fanout.h"
#include "engine/session.h"
#include "engine/transport.h"

#include <errno.h>

static bool output_is_direct(const struct transport *transport, size_t size);
static void output_to_staging(struct transport *transport, size_t size);
static void queue_send(struct transport *transport);
static void queue_sent(struct transport *transport, uint32_t sent);
static void rest_keep(struct transport *transport, const uint8_t *bytes, size_t size);
static void drain_check(struct transport *transport);

uint8_t *transport_reserve(struct transport *transport, size_t size)
{
    struct core_output *out = &transport->core->out;
    ASSERT(out->reserved == NULL);
    if (output_is_direct(transport, size)) {
        output_to_staging(transport, size);
    }
    if (output_is_direct(transport, size)) {
        return out->end;
    }
    if (out->transport == transport) {
        transport_flush_batch(transport);
    }
    out->reserved = entry_create(transport, size);
    return out->reserved == NULL ? NULL : entry_payload(out->reserved);
}

uint8_t *transport_reserve_direct(struct transport *transport, size_t size)
{
    ASSERT(transport->core->out.reserved == NULL);
    if (output_is_direct(transport, size)) {
        output_to_staging(transport, size);
    }
    return output_is_direct(transport, size) ? transport->core->out.end : NULL;
}

void transport_commit(struct transport *transport, size_t size)
{
    struct core_output *out = &transport->core->out;
    struct entry *entry = out->reserved;
    if (entry == NULL) {
        out->end += size;
        ASSERT(out->staged && out->end <= transport->core->staging + CORE_STAGING_SIZE);
        return;
    }
    out->reserved = NULL;
    ASSERT(size <= entry->capacity);
    if (size == 0) {
        entry_free(transport, entry);
        return;
    }
    entry->size = (uint32_t)size;
    transport_queue(transport, entry);
}

/* May output of this size be part of the batch's run? */
static bool output_is_direct(const struct transport *transport, size_t size)
{
    const struct core *core = transport->core;
    return core->out.transport == transport && transport->queue_head == NULL &&
           !transport_is_sending(transport) && size <= CORE_STAGING_SIZE - core->staging_used &&
           transport->state == TRANSPORT_OPEN;
}

/* Make room in staging; a run that lies in the input moves there, or goes out if it is too
 * large. */
static void output_to_staging(struct transport *transport, size_t size)
{
    struct core *core = transport->core;
    struct core_output *out = &core->out;
    uint8_t *free_room = core->staging + core->staging_used;
    size_t held = (size_t)(out->end - out->start);
    if (held != 0 && core->staging_used + held + size > CORE_STAGING_SIZE) {
        transport_flush_batch(transport);
        held = 0;
    }
    core->message.in_place = NULL;
    if (held == 0) {
        out->start = free_room;
        out->end = free_room;
    } else if (!out->staged) {
        memcpy(free_room, out->start, held);
        out->start = free_room;
        out->end = free_room + held;
    }
    out->staged = true;
}

void transport_queue_behind_batch(struct transport *transport, struct entry *entry)
{
    if (transport->core->out.transport == transport) {
        transport_flush_batch(transport);
    }
    transport_queue(transport, entry);
}

int transport_send_frame(struct transport *transport, uint8_t opcode, unsigned flags,
                         struct span payload)
{
    size_t header_size = ws_frame_header_size(payload.size);
    if (transport_is_full(transport, header_size + payload.size)) {
        transport_refused(transport);
        return GYR_ERR_BACKPRESSURE;
    }
    if (output_is_direct(transport, header_size + payload.size)) {
        uint8_t *bytes = transport_reserve(transport, header_size + payload.size);
        if (bytes == NULL) {
            return GYR_ERR_MEMORY;
        }
        bool fin = (flags & GYR_LAST) != 0;
        uint8_t code = (flags & GYR_FIRST) != 0 ? opcode : WS_OPCODE_CONTINUATION;
        ws_frame_write_header(bytes, code, fin, 0, payload.size);
        if (payload.size != 0) {
            memcpy(bytes + header_size, payload.ptr, payload.size);
        }
        transport_commit(transport, header_size + payload.size);
        return 0;
    }
    struct entry *entry = entry_create_message(transport, opcode, flags, payload);
    if (entry == NULL) {
        return GYR_ERR_MEMORY;
    }
    transport_queue_behind_batch(transport, entry);
    return transport_queue_status(transport);
}

int transport_queue_status(const struct transport *transport)
{
    uint32_t high = transport->core->config->send_queue_high;
    return transport->queued_size >= high || transport->queue_memory / 2 >= high ? GYR_QUEUE_HIGH
                                                                                 : 0;
}

int transport_send_control(struct transport *transport, uint8_t opcode, struct span payload)
{
    ASSERT(payload.size <= WS_CONTROL_SIZE_MAX);
    if (output_is_direct(transport, 2 + payload.size)) {
        uint8_t *bytes = transport_reserve(transport, 2 + payload.size);
        if (bytes == NULL) {
            return GYR_ERR_MEMORY;
        }
        ws_frame_write_header(bytes, opcode, true, 0, payload.size);
        if (payload.size != 0) {
            memcpy(bytes + 2, payload.ptr, payload.size);
        }
        transport_commit(transport, 2 + payload.size);
        return 0;
    }
    struct entry *entry = entry_create(transport, WS_CONTROL_SIZE_MAX);
    if (entry == NULL) {
        return GYR_ERR_MEMORY;
    }
    entry->kind = ENTRY_CONTROL;
    entry->opcode = opcode;
    entry->flags = GYR_FIRST | GYR_LAST;
    entry->size = (uint32_t)payload.size;
    if (payload.size != 0) {
        memcpy(entry_payload(entry), payload.ptr, payload.size);
    }
    if (opcode == WS_OPCODE_PONG) {
        queue_drop_pongs(transport);
    }
    transport_queue_behind_batch(transport, entry);
    return 0;
}

size_t transport_queued_size(const struct transport *transport)
{
    const struct core_output *out = &transport->core->out;
    size_t run = out->transport == transport ? (size_t)(out->end - out->start) : 0;
    return transport->queued_size + run;
}

bool transport_is_full(struct transport *transport, size_t size)
{
    size_t size_max = transport->core->config->send_queue_size_max;
    /* Many tiny messages: what they take beside their bytes is limited too. */
    if (LIKELY(transport->queue_memory / 2 <= size_max &&
               transport_queued_size(transport) + size <= size_max)) {
        return false;
    }
    if (transport->core->out.transport == transport) {
        transport_flush_batch(transport);
    }
    struct queue_amount held = queue_held_amount(transport);
    return (transport->queue_memory - held.memory) / 2 > size_max ||
           transport_queued_size(transport) - held.size + size > size_max;
}

void transport_refused(struct transport *transport)
{
    transport_mark(transport, TRANSPORT_F_DRAIN_OWED | TRANSPORT_F_WORK);
    STATS_ADD(&transport->core->stats, backpressure, 1);
}

void transport_flush_batch(struct transport *transport)
{
    struct core *core = transport->core;
    struct core_output *out = &core->out;
    ASSERT(out->transport == transport);
    size_t size = (size_t)(out->end - out->start);
    const uint8_t *bytes = out->start;
    core->message.in_place = NULL;
    out->end = out->start;
    if (size == 0 || (transport->flags & (TRANSPORT_F_LOST | TRANSPORT_F_CUT)) != 0) {
        return;
    }
    ASSERT(transport->queue_head == NULL && !transport_is_sending(transport));
    int64_t sent = core->ring->ops->send_now(core->ring, transport->fd, bytes, size);
    if (UNLIKELY(sent < 0 && sent != -EAGAIN)) {
        transport_mark(transport, TRANSPORT_F_LOST);
        return;
    }
    sent = MAX(sent, 0);
    STATS_ADD(&core->stats, sends_now, 1);
    STATS_ADD(&core->stats, bytes_out, sent);
    if (UNLIKELY((size_t)sent < size)) {
        rest_keep(transport, bytes + sent, size - (size_t)sent);
    }
}

bool transport_end_batch(struct transport *transport)
{
    struct core *core = transport->core;
    struct core_output *out = &core->out;
    ASSERT(out->transport == transport && out->reserved == NULL);
    size_t size = (size_t)(out->end - out->start);
    bool lasts = out->staged || out->buffer_id != CORE_NO_BUFFER;
    /* What waits for the end of the turn leaves room in staging: with little of it every further
     * run would go out in pieces. */
    bool fills = out->staged &&
                 (size_t)(out->end - core->staging) > CORE_STAGING_SIZE - CORE_STAGING_RESERVE;
    if (size == 0 || !lasts || fills || core->turn_send_count >= core->config->turn_sends_max ||
        (transport->flags & (TRANSPORT_F_LOST | TRANSPORT_F_CUT)) != 0) {
        transport_flush_batch(transport);
        out->transport = NULL;
        return false;
    }
    ASSERT(transport->queue_head == NULL && !transport_is_sending(transport));
    uint32_t index = core->turn_send_count++;
    bool takes_buffer = !out->staged;
    core->turn_sends[index] = (struct core_turn_send){
        .bytes = out->start,
        .size = (uint32_t)size,
        .transport_index = transport->index,
        .buffer_id = takes_buffer ? out->buffer_id : CORE_NO_BUFFER,
        .result = (int32_t)size,
    };
    if (out->staged) {
        core->staging_used = (uint32_t)(out->end - core->staging);
    }
    transport->turn_send = (uint8_t)index;
    transport->flags |= TRANSPORT_F_TURN_SEND;
    transport->inflight++;
    transport->queued_size += (uint32_t)size;
    core->ring->ops->send_start(
        core->ring, transport->fd, out->start, size, true,
        core_user_data(CORE_OP_TURN_SEND, transport->generation, transport->index));
    out->transport = NULL;
    return takes_buffer;
}

void transport_on_turn_send(struct transport *transport, const struct core_turn_send *send)
{
    struct core *core = transport->core;
    ASSERT(transport->inflight > 0 && (transport->flags & TRANSPORT_F_TURN_SEND) != 0);
    transport->inflight--;
    transport->flags &= (uint16_t)~TRANSPORT_F_TURN_SEND;
    if (UNLIKELY(transport->state == TRANSPORT_CLOSING)) {
        return;
    }
    ASSERT(transport->queued_size >= send->size);
    transport->queued_size -= send->size;
    STATS_ADD(&core->stats, sends_turn, 1);
    if (UNLIKELY(send->result < 0 && send->result != -EAGAIN)) {
        transport_mark(transport, TRANSPORT_F_LOST);
        return;
    }
    uint32_t sent = (uint32_t)MAX(send->result, 0);
    STATS_ADD(&core->stats, bytes_out, sent);
    if (UNLIKELY(sent < send->size)) {
        rest_keep(transport, send->bytes + sent, send->size - sent);
    }
    if (UNLIKELY(transport->queue_head != NULL || transport->state == TRANSPORT_ENDING)) {
        transport_mark(transport, 0);
    }
    drain_check(transport);
}

/* What the kernel did not take of a run: the input must not stay pinned, so keep a copy. It goes
 * before everything that was queued since. */
static void rest_keep(struct transport *transport, const uint8_t *bytes, size_t size)
{
    struct core *core = transport->core;
    if ((transport->flags & (TRANSPORT_F_LOST | TRANSPORT_F_CUT)) != 0) {
        return; /* nobody will take it */
    }
    struct entry *entry = entry_create(transport, size);
    if (entry == NULL) {
        transport_mark(transport, TRANSPORT_F_CUT);
        return;
    }
    STATS_ADD(&core->stats, copied_bytes, size);
    memcpy(entry_payload(entry), bytes, size);
    entry->size = (uint32_t)size;
    bool was_idle = transport->queue_head == NULL || queue_is_held(transport);
    queue_put(transport, &transport->queue_head, entry);
    if (transport_queue_status(transport) != 0) {
        transport->flags |= TRANSPORT_F_DRAIN_OWED;
    }
    if (was_idle) {
        transport->send_ms = core_now32(core);
        transport_timer_update(transport);
    }
    transport_mark(transport, 0);
    queue_send(transport);
}

void transport_flush_queue(struct transport *transport)
{
    struct entry *head = transport->queue_head;
    if (head == NULL || transport_is_sending(transport) || transport->state == TRANSPORT_CLOSING ||
        queue_is_held(transport)) {
        return;
    }
    if (head->next != NULL) {
        queue_merge(transport);
    }
    queue_send(transport);
}

void transport_send_queue_now(struct transport *transport)
{
    struct core *core = transport->core;
    while (transport->queue_head != NULL && !transport_is_sending(transport) &&
           !queue_is_held(transport) && transport->state == TRANSPORT_OPEN) {
        if (transport->queue_head->next != NULL) {
            queue_merge(transport);
        }
        struct entry *entry = transport->queue_head;
        size_t size = entry_wire_size(entry) - entry->sent;
        int64_t sent = core->ring->ops->send_now(core->ring, transport->fd,
                                                 entry_frame(entry) + entry->sent, size);
        STATS_ADD(&core->stats, sends_now, 1);
        if (sent < 0 && sent != -EAGAIN) {
            transport_mark(transport, TRANSPORT_F_LOST);
            return;
        }
        sent = MAX(sent, 0);
        if ((size_t)sent < size) {
            entry->flags |= entry->kind == ENTRY_RUN ? RUN_ENTRY_F_SENT : 0;
            queue_sent(transport, (uint32_t)sent);
            queue_send(transport);
            transport_timer_update(transport);
            return;
        }
        queue_sent(transport, (uint32_t)sent);
    }
}

/* What many are sent goes out quietly at first: for most of them there is room. */
static void queue_send(struct transport *transport)
{
    struct core *core = transport->core;
    struct entry *entry = transport->queue_head;
    ASSERT(entry != NULL && !transport_is_sending(transport)); /* C3 */
    bool quiet = entry->kind == ENTRY_RUN && (entry->flags & RUN_ENTRY_F_SENT) == 0 &&
                 transport->state == TRANSPORT_OPEN && core->quiet_count < core->slots.end;
    const uint8_t *bytes = entry_frame(entry) + entry->sent;
    transport->flags |= quiet ? TRANSPORT_F_TURN_SEND : TRANSPORT_F_SENDING;
    transport->inflight++;
    if (quiet) {
        transport->turn_send = TURN_SEND_QUEUE;
        core->quiet_sends[core->quiet_count++] = transport->index;
        /* Nothing wakes the core when it has gone well. */
        core->settle_soon |= (transport->flags & TRANSPORT_F_DRAIN_OWED) != 0 ||
                             entry->next != NULL || (entry->flags & RUN_ENTRY_F_TRACKED) != 0;
    }
    /* Nothing may be added to what is on its way: a completion is compared with its size. */
    entry->flags |= entry->kind == ENTRY_RUN ? RUN_ENTRY_F_SENT : 0;
    STATS_ADD(&core->stats, sends_queued, 1);
    core->ring->ops->send_start(core->ring, transport->fd, bytes,
                                entry_wire_size(entry) - entry->sent, quiet,
                                core_user_data(quiet ? CORE_OP_TURN_SEND : CORE_OP_SEND,
                                               transport->generation, transport->index));
}

void transport_on_quiet_send(struct transport *transport, int32_t result)
{
    ASSERT(transport->inflight > 0 && (transport->flags & TRANSPORT_F_TURN_SEND) != 0);
    transport->inflight--;
    transport->flags &= (uint16_t)~TRANSPORT_F_TURN_SEND;
    if (UNLIKELY(transport->state == TRANSPORT_CLOSING)) {
        return;
    }
    if (UNLIKELY(result < 0 && result != -EAGAIN)) {
        transport_mark(transport, TRANSPORT_F_LOST);
        return;
    }
    const struct entry *entry = transport->queue_head;
    ASSERT(entry != NULL && entry->kind == ENTRY_RUN);
    if (LIKELY(result == TURN_SEND_WHOLE)) {
        queue_sent(transport, (uint32_t)entry_wire_size(entry));
    } else {
        queue_sent(transport, (uint32_t)MAX(result, 0));
    }
    if (UNLIKELY(transport->queue_head != NULL || transport->state == TRANSPORT_ENDING)) {
        /* Now it is slow: wait for it, and not for ever. */
        if (transport->queue_head == entry) {
            queue_send(transport);
        }
        transport_timer_update(transport);
        transport_mark(transport, 0);
    }
}

void transport_on_send(struct transport *transport, const struct completion *completion)
{
    ASSERT(transport->inflight > 0 && (transport->flags & TRANSPORT_F_SENDING) != 0);
    transport->inflight--;
    transport->flags &= (uint16_t)~TRANSPORT_F_SENDING;
    if (transport->state == TRANSPORT_CLOSING) {
        return;
    }
    if (completion->result < 0) {
        if (completion->result != -EAGAIN && completion->result != -EINTR) {
            transport_mark(transport, TRANSPORT_F_LOST);
            return;
        }
        transport_mark(transport, 0);
        return;
    }
    queue_sent(transport, (uint32_t)completion->result);
    if (transport->queue_head == NULL) {
        transport_timer_update(transport); /* the limit of a closing handshake begins */
    }
    transport_mark(transport, 0);
}

/* The peer has taken bytes of the queue's head. */
static void queue_sent(struct transport *transport, uint32_t sent)
{
    struct core *core = transport->core;
    struct entry *entry = transport->queue_head;
    ASSERT(entry != NULL && sent <= entry_wire_size(entry) - entry->sent);
    STATS_ADD(&core->stats, bytes_out, sent);
    transport->send_ms = core_now32(core);
    transport->queued_size -= sent;
    entry->sent += sent;
    if (entry->sent == entry_wire_size(entry)) {
        queue_pop(transport, true);
    }
    drain_check(transport);
}

static void drain_check(struct transport *transport)
{
    if ((transport->flags & TRANSPORT_F_DRAIN_OWED) != 0 && transport_is_drained(transport)) {
        transport_mark(transport, TRANSPORT_F_WORK);
    }
}

bool transport_is_drained(const struct transport *transport)
{
    uint32_t low = transport->core->config->send_queue_low;
    struct queue_amount held = queue_held_amount(transport);
    return transport_queued_size(transport) - held.size <= low &&
           ((transport->queue_memory - held.memory) / 2 <= low || transport->queue_head == NULL ||
            transport->queue_head->next == NULL);
}
