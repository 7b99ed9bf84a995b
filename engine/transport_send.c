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
#include "engine/session.h"
#include "engine/transport.h"

#include <errno.h>

#define MERGE_SIZE_MAX    65536 /* of small entries sent as one */
#define OVERTAKE_SIZE_MIN 4096  /* bytes queued before a control frame overtakes messages */
#define PONGS_MAX         16    /* that wait */
#define MERGE_ENTRY_MAX   8192  /* an entry up to this is worth copying to save a send */

static bool output_is_direct(const struct transport *transport, size_t size);
static void output_to_staging(struct transport *transport, size_t size);
static void queue_insert(struct transport *transport, struct entry *entry);
static struct entry **queue_controls(struct transport *transport);
static void pong_drop(struct transport *transport);
static void queue_send(struct transport *transport);
static void queue_merge(struct transport *transport);
static void entry_pop(struct transport *transport);
static void entry_frame(struct entry *entry);
static void rest_keep(struct transport *transport, const uint8_t *bytes, size_t size);
static void drain_check(struct transport *transport);

/* What an entry takes of the heap. */
static size_t entry_memory(size_t capacity)
{
    return offsetof(struct entry, bytes) + WS_SERVER_HEADER_SIZE_MAX + capacity + MESSAGE_PADDING;
}

static bool entry_is_pong(const struct entry *entry)
{
    return entry->kind == ENTRY_CONTROL && entry->opcode == WS_OPCODE_PONG;
}

static size_t entry_wire_size(const struct entry *entry)
{
    return (size_t)entry->header_size + entry->size;
}

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

struct entry *entry_create(struct transport *transport, size_t capacity)
{
    struct entry *entry = NULL;
    if (capacity <= UINT32_MAX / 2) {
        entry = transport_alloc(transport, entry_memory(capacity));
    }
    if (entry != NULL) {
        *entry = (struct entry){.capacity = (uint32_t)capacity};
    }
    return entry;
}

struct entry *entry_create_message(struct transport *transport, uint8_t opcode, unsigned flags,
                                   struct span payload)
{
    struct entry *entry = entry_create(transport, payload.size);
    if (entry == NULL) {
        return NULL;
    }
    entry->kind = ENTRY_MESSAGE;
    entry->opcode = opcode;
    entry->flags = (uint8_t)flags;
    entry->size = (uint32_t)payload.size;
    if (payload.size != 0) {
        memcpy(entry_payload(entry), payload.ptr, payload.size);
    }
    return entry;
}

void entry_free(struct transport *transport, struct entry *entry)
{
    if (entry != NULL) {
        transport_free(transport, entry, entry_memory(entry->capacity));
    }
}

void transport_queue(struct transport *transport, struct entry *entry)
{
    if (transport->state == TRANSPORT_CLOSING || (transport->flags & TRANSPORT_F_LOST) != 0) {
        entry_free(transport, entry);
        return;
    }
    if (entry->kind != ENTRY_RAW) {
        entry->header_size = (uint8_t)ws_frame_header_size(entry->size);
    }
    bool was_empty = transport->queue_head == NULL;
    transport->core->message.in_place = NULL;
    queue_insert(transport, entry);
    transport->queued_size += (uint32_t)entry_wire_size(entry);
    transport->queue_memory += (uint32_t)entry_memory(entry->capacity);
    if (transport_queue_status(transport) != 0) {
        transport->flags |= TRANSPORT_F_DRAIN_OWED;
    }
    if (was_empty) {
        transport->send_ms = core_now32(transport->core);
        transport_timer_update(transport);
    }
    transport_mark(transport, 0);
}

void transport_queue_behind_batch(struct transport *transport, struct entry *entry)
{
    if (transport->core->out.transport == transport) {
        transport_flush_batch(transport);
    }
    transport_queue(transport, entry);
}

/* At the end. When that is far away, a control frame goes before messages, but behind the control
 * frames that wait already; in a short queue it keeps its place, since some clients take a Pong for
 * the answer to all that came before their Ping. */
static void queue_insert(struct transport *transport, struct entry *entry)
{
    struct entry **place = &transport->queue_head;
    bool far = transport->queued_size >= OVERTAKE_SIZE_MIN;
    if (*place != NULL &&
        (entry->kind != ENTRY_CONTROL || entry->opcode == WS_OPCODE_CLOSE || !far)) {
        place = &transport->queue_tail->next;
    } else if (*place != NULL) {
        place = queue_controls(transport);
        while (*place != NULL && (*place)->kind == ENTRY_CONTROL) {
            place = &(*place)->next;
        }
    }
    entry->next = *place;
    *place = entry;
    if (entry->next == NULL) {
        transport->queue_tail = entry;
    }
}

/* Where the control frames that wait begin: behind the responses up to the 101, what a batch
 * could not send, and an entry that is on its way. */
static struct entry **queue_controls(struct transport *transport)
{
    struct entry **place = &transport->queue_head;
    if (*place != NULL && ((transport->flags & TRANSPORT_F_SENDING) != 0 || (*place)->sent != 0)) {
        place = &(*place)->next;
    }
    while (*place != NULL && (*place)->kind == ENTRY_RAW) {
        place = &(*place)->next;
    }
    return place;
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
        pong_drop(transport);
    }
    transport_queue_behind_batch(transport, entry);
    return 0;
}

/* Only the newest Pong is owed (RFC 6455 section 5.5.3), but peers may count on an answer to each
 * of a few: let PONGS_MAX wait, and none that the next one will overtake. Where queue_insert has
 * put them, no more than OVERTAKE_SIZE_MIN bytes stand between. */
static void pong_drop(struct transport *transport)
{
    bool far = transport->queued_size >= OVERTAKE_SIZE_MIN;
    unsigned count = 0;
    size_t passed = 0;
    for (const struct entry *entry = *queue_controls(transport);
         entry != NULL && passed <= OVERTAKE_SIZE_MIN; entry = entry->next) {
        count += entry_is_pong(entry);
        passed += entry_wire_size(entry);
    }
    struct entry **place = queue_controls(transport);
    while (count >= (far ? 1 : PONGS_MAX)) {
        while (!entry_is_pong(*place)) {
            place = &(*place)->next;
        }
        struct entry *entry = *place;
        *place = entry->next;
        if (entry->next == NULL) {
            bool was_only = place == &transport->queue_head;
            transport->queue_tail = was_only ? NULL : CONTAINER_OF(place, struct entry, next);
        }
        transport->queued_size -= (uint32_t)entry_wire_size(entry);
        transport->queue_memory -= (uint32_t)entry_memory(entry->capacity);
        entry_free(transport, entry);
        count--;
    }
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
    if (transport->queue_memory / 2 > size_max) {
        return true; /* many tiny messages: what they take beside their bytes is limited too */
    }
    if (transport_queued_size(transport) + size <= size_max) {
        return false;
    }
    if (transport->core->out.transport == transport) {
        transport_flush_batch(transport);
    }
    return transport_queued_size(transport) + size > size_max;
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
    if (size == 0 || !lasts || core->turn_send_count >= core->config->turn_sends_max ||
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
    struct entry *behind = transport->queue_head;
    struct entry *tail = transport->queue_tail;
    transport->queue_head = NULL;
    transport->queue_tail = NULL;
    transport_queue(transport, entry);
    entry->next = behind;
    transport->queue_tail = behind != NULL ? tail : entry;
    queue_send(transport);
}

void transport_flush_queue(struct transport *transport)
{
    if (transport->queue_head == NULL || transport_is_sending(transport) ||
        transport->state == TRANSPORT_CLOSING) {
        return;
    }
    queue_merge(transport);
    queue_send(transport);
}

static void queue_send(struct transport *transport)
{
    struct core *core = transport->core;
    struct entry *entry = transport->queue_head;
    ASSERT(entry != NULL && !transport_is_sending(transport)); /* C3 */
    if (entry->sent == 0) {
        entry_frame(entry);
    }
    transport->flags |= TRANSPORT_F_SENDING;
    transport->inflight++;
    STATS_ADD(&core->stats, sends_queued, 1);
    const uint8_t *bytes = entry_payload(entry) - entry->header_size + entry->sent;
    core->ring->ops->send_start(
        core->ring, transport->fd, bytes, entry_wire_size(entry) - entry->sent, false,
        core_user_data(CORE_OP_SEND, transport->generation, transport->index));
}

/* Copy small entries that follow each other into one, so that they cost one send. */
static void queue_merge(struct transport *transport)
{
    struct entry *head = transport->queue_head;
    size_t size = 0;
    unsigned count = 0;
    for (struct entry *entry = head; entry != NULL; entry = entry->next) {
        size_t wire_size = entry_wire_size(entry) - entry->sent;
        if (wire_size > MERGE_ENTRY_MAX || size + wire_size > MERGE_SIZE_MAX) {
            break;
        }
        size += wire_size;
        count++;
    }
    if (count < 2) {
        return;
    }
    struct entry *merged = entry_create(transport, size);
    if (merged == NULL) {
        return; /* they go out one by one */
    }
    uint8_t *at = entry_payload(merged);
    uint32_t queued_size = transport->queued_size;
    while (count-- > 0) {
        struct entry *entry = transport->queue_head;
        if (entry->sent == 0) {
            entry_frame(entry);
        }
        size_t wire_size = entry_wire_size(entry) - entry->sent;
        memcpy(at, entry_payload(entry) - entry->header_size + entry->sent, wire_size);
        at += wire_size;
        entry_pop(transport);
    }
    transport->queued_size = queued_size;
    transport->queue_memory += (uint32_t)entry_memory(merged->capacity);
    merged->size = (uint32_t)size;
    merged->next = transport->queue_head;
    transport->queue_head = merged;
    if (merged->next == NULL) {
        transport->queue_tail = merged;
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
    struct entry *entry = transport->queue_head;
    uint32_t sent = (uint32_t)completion->result;
    ASSERT(entry != NULL && sent <= entry_wire_size(entry) - entry->sent);
    STATS_ADD(&transport->core->stats, bytes_out, sent);
    transport->send_ms = core_now32(transport->core);
    transport->queued_size -= sent;
    entry->sent += sent;
    if (entry->sent == entry_wire_size(entry)) {
        entry_pop(transport);
    }
    if (transport->queue_head == NULL) {
        transport_timer_update(transport); /* the limit of a closing handshake begins */
    }
    drain_check(transport);
    transport_mark(transport, 0);
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
    return transport_queued_size(transport) <= low &&
           (transport->queue_memory / 2 <= low || transport->queue_head == NULL ||
            transport->queue_head->next == NULL);
}

void transport_drop_queue(struct transport *transport)
{
    /* The head belongs to the kernel while it is being sent. */
    while (transport->queue_head != NULL && (transport->flags & TRANSPORT_F_SENDING) == 0) {
        entry_pop(transport);
    }
    if (transport->queue_head != NULL) {
        struct entry *head = transport->queue_head;
        while (head->next != NULL) {
            struct entry *second = head->next;
            head->next = second->next;
            transport->queue_memory -= (uint32_t)entry_memory(second->capacity);
            entry_free(transport, second);
        }
        transport->queue_tail = head;
    }
    transport->queued_size = 0;
}

static void entry_pop(struct transport *transport)
{
    struct entry *entry = transport->queue_head;
    transport->queue_memory -= (uint32_t)entry_memory(entry->capacity);
    transport->queue_head = entry->next;
    if (entry->next == NULL) {
        transport->queue_tail = NULL;
    }
    entry_free(transport, entry);
}

/* Write the header of a message or control frame right before its payload. */
static void entry_frame(struct entry *entry)
{
    if (entry->kind == ENTRY_RAW) {
        return;
    }
    bool fin = (entry->flags & GYR_LAST) != 0;
    uint8_t opcode = (entry->flags & GYR_FIRST) != 0 ? entry->opcode : WS_OPCODE_CONTINUATION;
    ws_frame_write_header(entry_payload(entry) - entry->header_size, opcode, fin, 0, entry->size);
}
