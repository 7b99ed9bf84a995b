/* SPDX-License-Identifier: MIT */
/* WebSocket as the session of a transport (RFC 6455). Journey: hops 4 to 9.
 *
 *     OPEN --session_ws_close--> CLOSING --(Close received, or time-out)--> CLOSED
 *       |                                                                     ^
 *       +---- Close received, frame_fail, or the transport lost --------------+
 *
 * A message that lies whole in the input is handed over there, unmasked in place, or moved down to
 * right behind the replies of this batch, which is where its own reply has to be. Any other is
 * assembled on the heap once, and may be sent back from there. */
#include "engine/session.h"

#include "engine/access.h"
#include "engine/error.h"
#include "engine/report.h"
#include "proto/ws_close.h"

#define ASSEMBLY_AT_ONCE_MAX (1 << 20) /* memory taken for bytes that are only announced */
#define ASSEMBLY_MIN         1024

static size_t messages_input(struct transport *transport, uint8_t *bytes, size_t size);
static size_t frame_begin(struct transport *transport, uint8_t *bytes, size_t size);
static void frame_count(struct transport *transport);
static size_t message_whole(struct transport *transport, const struct ws_frame *frame,
                            uint8_t *bytes);
static size_t payload_input(struct transport *transport, uint8_t *bytes, size_t size);
static bool payload_end(struct transport *transport);
static inline uint8_t *message_place(struct gyr_conn *exchange, uint8_t *source, size_t size);
static inline int message_call(struct gyr_conn *exchange, uint8_t opcode, uint8_t *bytes,
                               size_t size, struct entry *entry);
static int reply_any(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span part);
static bool assembly_grow(struct transport *transport, size_t size);
static void message_deliver(struct transport *transport, uint8_t opcode, uint8_t *bytes,
                            size_t size, struct entry *entry);
static void part_deliver(struct transport *transport, struct span part, bool last);
static void control_input(struct transport *transport, const struct ws_frame *frame,
                          uint8_t *payload);
static void close_input(struct transport *transport, struct span payload);
static void frame_fail(struct transport *transport, int err);
static void session_ended(struct transport *transport, uint16_t close_code, struct span reason);
static void ws_free(struct transport *transport);

void session_ws_open(struct transport *transport)
{
    struct core *core = transport->core;
    struct gyr_conn *exchange = transport->exchange;
    transport->session = SESSION_WS;
    transport->ws = (struct session_ws){.part_flags = GYR_FIRST};
    transport->message_ms = core_now32(core);
    STATS_ADD(&core->stats, upgrades, 1);
    STATS_ADD(&core->stats, websockets, 1);
    access_end(transport, GYR_DONE_UPGRADED);
    if (core->service->on_done != NULL) {
        core->service->on_done(exchange, GYR_DONE_UPGRADED);
    }
    bool close_sent = (exchange->flags & EXCHANGE_F_CLOSE_SENT) != 0;
    exchange->state = close_sent ? EXCHANGE_CLOSING : EXCHANGE_OPEN;
    exchange->flags |= EXCHANGE_F_OPENED;
    if (close_sent) {
        transport->flags &= (uint16_t)~TRANSPORT_F_RATE;
    }
    transport->phase_ms = transport->message_ms;
    if ((transport->flags & TRANSPORT_F_DRAIN_OWED) != 0) {
        transport_mark(transport, TRANSPORT_F_WORK);
    }
    int result = core->service->on_open != NULL ? core->service->on_open(exchange) : 0;
    session_ws_result(transport, result);
    transport_timer_update(transport);
    if ((transport->flags & TRANSPORT_F_LAST_REQUEST) != 0) {
        session_drain(transport);
    }
}

void session_ws_result(struct transport *transport, int result)
{
    struct gyr_conn *exchange = transport->exchange;
    if (result == GYR_PENDING) {
        exchange->flags |= EXCHANGE_F_PENDING;
        exchange->pending_ms = core_now32(transport->core);
    } else if (result == GYR_QUEUE_HIGH && exchange->state == EXCHANGE_OPEN) {
        exchange->flags |= EXCHANGE_F_QUEUE_HIGH;
        transport_mark(transport, TRANSPORT_F_DRAIN_OWED | TRANSPORT_F_WORK);
    } else if (result < 0) {
        uint16_t close_code = error_close_code(result);
        session_ws_close(transport, close_code != 0 ? close_code : WS_CLOSE_INTERNAL,
                         (struct span){0});
    }
}

size_t session_ws_input(struct transport *transport, uint8_t *bytes, size_t size)
{
    struct session_ws *ws = &transport->ws;
    size_t used = 0;
    while (used < size) {
        size_t taken = 0;
        if (ws->frame_open != 0) {
            taken = payload_input(transport, bytes + used, size - used);
        } else {
            if (ws->message.opcode == 0 && (transport->exchange->flags & EXCHANGE_F_PARTS) == 0 &&
                LIKELY((transport->core->guard_flags & GUARD_F_MESSAGES) == 0)) {
                taken = messages_input(transport, bytes + used, size - used);
            }
            if (taken == 0) {
                taken = frame_begin(transport, bytes + used, size - used);
            }
        }
        used += taken;
        if (taken == 0 || !transport_is_live(transport) || session_is_waiting(transport)) {
            break;
        }
    }
    return used;
}

/* The usual case in a tight loop: messages of one frame below 64 KB that lie whole in the input.
 * Whatever else comes ends the loop and is for frame_begin to judge. */
static size_t messages_input(struct transport *transport, uint8_t *bytes, size_t size)
{
    struct core *core = transport->core;
    struct gyr_conn *exchange = transport->exchange;
    size_t size_max = core->config->message_size_max;
    uint8_t *at = bytes;
    uint8_t *end = bytes + size;
    unsigned count = 0;
    while (exchange->state == EXCHANGE_OPEN && (size_t)(end - at) >= WS_MESSAGE_HEADER_MIN) {
        size_t payload_size;
        size_t header_size = ws_message_header(at, (size_t)(end - at), &payload_size);
        uint8_t *source = at + header_size;
        if (header_size == 0 || (size_t)(end - source) < payload_size || payload_size > size_max) {
            break;
        }
        uint8_t opcode = at[0] & 0x0f;
        uint8_t *target = message_place(exchange, source, payload_size);
        if (UNLIKELY(ws_unmask_message(core->mask_ops, target, source, payload_size,
                                       opcode == WS_OPCODE_TEXT) < 0)) {
            frame_fail(transport, GYR_ERR_WS_UTF8);
            return size;
        }
        at = source + payload_size;
        count++;
        int result = message_call(exchange, opcode, target, payload_size, NULL);
        if (UNLIKELY(result != 0)) {
            session_ws_result(transport, result);
        }
        if (UNLIKELY(!transport_is_live(transport) || exchange_is_waiting(exchange))) {
            break;
        }
    }
    if (LIKELY(count != 0)) {
        STATS_ADD(&core->stats, messages_in, count);
        transport->message_ms = core_now32(core);
    }
    return (size_t)(at - bytes);
}

/* Where a message of the input is put, and whether its reply may be framed around it. Replies of
 * this batch end somewhere before the message, and its own has to follow them; the first of them
 * begins in the room of its message's longer header. */
static inline uint8_t *message_place(struct gyr_conn *exchange, uint8_t *source, size_t size)
{
    struct core *core = exchange_core(exchange);
    struct core_output *out = &core->out;
    size_t header_size = ws_frame_header_size(size);
    if (out->start == out->end) {
        out->start = source - header_size;
        out->end = out->start;
        out->limit = out->start + core->config->send_queue_size_max;
        out->staged = false;
    }
    if (UNLIKELY(out->staged || exchange->transport->queue_head != NULL ||
                 transport_is_sending(exchange->transport) ||
                 (exchange->flags & EXCHANGE_F_SENDING_PARTS) != 0)) {
        core->message.in_place = NULL;
        return source;
    }
    core->message.in_place = exchange;
    uint8_t *target = out->end + header_size;
    ASSERT(target <= source);
    return target;
}

/* The next frame: whole messages and control frames are handled here. 0: bring more. */
static size_t frame_begin(struct transport *transport, uint8_t *bytes, size_t size)
{
    struct session_ws *ws = &transport->ws;
    struct ws_frame frame;
    int err = ws_frame_parse(&frame, 0, bytes, size);
    if (UNLIKELY(err != 0)) {
        if (err == NEED_MORE) {
            return 0;
        }
        frame_fail(transport, err);
        return size;
    }
    uint64_t frame_size = frame.header_size + frame.payload_size;
    if (ws_opcode_is_control(frame.opcode)) {
        if (size < frame_size) {
            return 0;
        }
        frame_count(transport);
        control_input(transport, &frame, bytes + frame.header_size);
        return frame_size;
    }
    frame_count(transport);
    bool whole = frame.fin && ws->message.opcode == 0 && size >= frame_size &&
                 (transport->exchange->flags & EXCHANGE_F_PARTS) == 0;
    err = ws_message_frame(&ws->message, &frame, transport->core->config->message_size_max);
    if (UNLIKELY(err < 0)) {
        frame_fail(transport, err);
        return size;
    }
    if (LIKELY(whole)) {
        return message_whole(transport, &frame, bytes);
    }
    ws->frame_open = 1;
    ws->frame_remaining = frame.payload_size;
    ws->frame_key = frame.masking_key;
    if (ws->frame_remaining == 0) {
        payload_end(transport);
    }
    return frame.header_size;
}

/* A frame is about to be handled: the next one may have to wait, or none may come any more. */
static void frame_count(struct transport *transport)
{
    if (LIKELY((transport->core->guard_flags & GUARD_F_MESSAGES) == 0) ||
        transport->exchange->state != EXCHANGE_OPEN || !guard_message_exceeds(transport)) {
        return;
    }
    if (transport->core->config->rate_action == GYR_RATE_CLOSE) {
        session_ws_exceeded(transport);
    } else {
        transport_rate_wait(transport);
    }
}

void session_ws_exceeded(struct transport *transport)
{
    STATS_ADD(&transport->core->stats, rate_limited, 1);
    report_ws_failed(transport, GYR_ERR_RATE);
    session_ws_result(transport, GYR_ERR_RATE);
}

static size_t message_whole(struct transport *transport, const struct ws_frame *frame,
                            uint8_t *bytes)
{
    struct core *core = transport->core;
    size_t size = (size_t)frame->payload_size;
    uint8_t *source = bytes + frame->header_size;
    uint8_t *target = message_place(transport->exchange, source, size);
    int err = ws_message_payload(&transport->ws.message, core->mask_ops, target, source, size,
                                 frame->masking_key);
    if (LIKELY(err == 0)) {
        err = ws_message_frame_end(&transport->ws.message);
    }
    if (UNLIKELY(err < 0)) {
        frame_fail(transport, err);
    } else {
        message_deliver(transport, frame->opcode, target, size, NULL);
    }
    return frame->header_size + size;
}

/* Payload of a data frame that did not lie whole in one input. */
static size_t payload_input(struct transport *transport, uint8_t *bytes, size_t size)
{
    struct session_ws *ws = &transport->ws;
    size_t taken = (size_t)MIN((uint64_t)size, ws->frame_remaining);
    bool parts = (transport->exchange->flags & EXCHANGE_F_PARTS) != 0;
    uint8_t *target = bytes;
    if (!parts) {
        if (!assembly_grow(transport, taken)) {
            frame_fail(transport, GYR_ERR_MEMORY);
            return size;
        }
        target = entry_payload(ws->assembly) + ws->assembly->size;
    }
    int err = ws_message_payload(&ws->message, transport->core->mask_ops, target, bytes, taken,
                                 ws->frame_key);
    if (err < 0) {
        frame_fail(transport, err);
        return size;
    }
    ws->frame_key = ws_mask_advance(ws->frame_key, taken);
    ws->frame_remaining -= taken;
    if (!parts) {
        ws->assembly->size += (uint32_t)taken;
        STATS_ADD(&transport->core->stats, copied_bytes, taken);
    } else if (ws->frame_remaining != 0 || !ws->message.fin) {
        part_deliver(transport, span_of(target, taken), false);
    } else {
        /* The last part is handed over when the message is known to be complete. */
        struct ws_utf8 utf8 = ws->message.utf8;
        bool complete = ws->message.opcode != WS_OPCODE_TEXT || ws_utf8_is_complete(&utf8);
        if (complete) {
            part_deliver(transport, span_of(target, taken), true);
        }
    }
    if (ws->frame_remaining == 0 && transport->state == TRANSPORT_OPEN) {
        payload_end(transport);
    }
    return taken;
}

/* A data frame is complete. Returns false if the session has failed. */
static bool payload_end(struct transport *transport)
{
    struct session_ws *ws = &transport->ws;
    uint8_t opcode = ws->message.opcode;
    ws->frame_open = 0;
    int err = ws_message_frame_end(&ws->message);
    if (err == NEED_MORE) {
        return true;
    }
    if (err < 0) {
        frame_fail(transport, err);
        return false;
    }
    if ((transport->exchange->flags & EXCHANGE_F_PARTS) != 0) {
        if ((ws->part_flags & GYR_LAST) == 0) {
            /* An empty last frame: nothing was handed over as the last part yet. */
            ws->message.opcode = opcode;
            part_deliver(transport, (struct span){0}, true);
            ws->message.opcode = 0;
        }
        ws->part_flags = GYR_FIRST;
        return true;
    }
    struct entry *entry = ws->assembly;
    ws->assembly = NULL;
    if (entry == NULL) {
        message_deliver(transport, opcode, transport->core->staging, 0, NULL);
    } else {
        message_deliver(transport, opcode, entry_payload(entry), entry->size, entry);
    }
    return transport->state == TRANSPORT_OPEN;
}

/* Room for `size` more bytes of the message. A message that was announced is given its room at once
 * while that is modest; beyond, room doubles as bytes really come. */
static bool assembly_grow(struct transport *transport, size_t size)
{
    struct session_ws *ws = &transport->ws;
    struct entry *old = ws->assembly;
    size_t held = old == NULL ? 0 : old->size;
    if (old != NULL && held + size <= old->capacity) {
        return true;
    }
    size_t announced = (size_t)ws->message.size;
    size_t capacity = MAX(held + size, held * 2);
    capacity = MAX(capacity, MIN(announced, (size_t)ASSEMBLY_AT_ONCE_MAX));
    if (ws->message.fin) {
        capacity = MIN(capacity, announced);
    }
    struct entry *grown = entry_create(transport, MAX(capacity, (size_t)ASSEMBLY_MIN));
    if (grown == NULL) {
        return false;
    }
    grown->size = (uint32_t)held;
    if (old != NULL) {
        memcpy(entry_payload(grown), entry_payload(old), held);
        entry_free(transport, old);
    }
    ws->assembly = grown;
    return true;
}

bool session_direct(struct transport *transport, size_t size_min, uint8_t **target, size_t *size)
{
    struct session_ws *ws = &transport->ws;
    if (transport->session != SESSION_WS || ws->frame_open == 0 || ws->frame_remaining < size_min ||
        session_is_waiting(transport) || (transport->exchange->flags & EXCHANGE_F_PARTS) != 0) {
        return false;
    }
    size_t wanted = (size_t)MIN(ws->frame_remaining, (uint64_t)ASSEMBLY_AT_ONCE_MAX);
    if (!assembly_grow(transport, wanted)) {
        return false;
    }
    *target = entry_payload(ws->assembly) + ws->assembly->size;
    *size = wanted;
    return true;
}

void session_direct_done(struct transport *transport, size_t size)
{
    struct session_ws *ws = &transport->ws;
    uint8_t *target = entry_payload(ws->assembly) + ws->assembly->size;
    int err = ws_message_payload(&ws->message, transport->core->mask_ops, target, target, size,
                                 ws->frame_key);
    if (err < 0) {
        frame_fail(transport, err);
        return;
    }
    ws->frame_key = ws_mask_advance(ws->frame_key, size);
    ws->frame_remaining -= size;
    ws->assembly->size += (uint32_t)size;
    if (ws->frame_remaining == 0) {
        payload_end(transport);
    }
}

static void message_deliver(struct transport *transport, uint8_t opcode, uint8_t *bytes,
                            size_t size, struct entry *entry)
{
    struct core *core = transport->core;
    STATS_ADD(&core->stats, messages_in, 1);
    transport->message_ms = core_now32(core);
    if (transport->exchange->state == EXCHANGE_OPEN) {
        int result = message_call(transport->exchange, opcode, bytes, size, entry);
        entry = core->message.entry; /* gyr_reply may have taken it */
        if (UNLIKELY(result != 0)) {
            session_ws_result(transport, result);
        }
    }
    entry_free(transport, entry);
}

static inline int message_call(struct gyr_conn *exchange, uint8_t opcode, uint8_t *bytes,
                               size_t size, struct entry *entry)
{
    struct core *core = exchange_core(exchange);
    struct core_message *message = &core->message;
    message->exchange = exchange;
    message->bytes = bytes;
    message->size = size;
    message->entry = entry;
    int result = 0;
    if (LIKELY(core->service->on_message != NULL)) {
        result = core->service->on_message(exchange, (enum gyr_opcode)opcode,
                                           span_public(span_of(bytes, size)));
    }
    message->exchange = NULL;
    message->in_place = NULL;
    return result;
}

int gyr_reply(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span part)
{
    struct core *core = exchange_core(conn);
    struct core_message *message = &core->message;
    struct core_output *out = &core->out;
    uint8_t *end = message->bytes + part.size;
    /* The whole message, with nothing else on its way: only a header is needed, and message_place
     * has left the room. */
    if (LIKELY(message->in_place == conn && part.ptr == (const char *)message->bytes &&
               part.size == message->size && (unsigned)opcode - GYR_TEXT <= 1 &&
               end <= out->limit)) {
        uint8_t *header = out->end;
        if (LIKELY(part.size <= 125)) {
            header[0] = (uint8_t)(0x80 | opcode);
            header[1] = (uint8_t)part.size;
        } else {
            ws_frame_write_header(header, (enum ws_opcode)opcode, true, 0, part.size);
        }
        out->end = end;
        message->in_place = NULL;
        message->bytes = NULL;
        STATS_ADD(&core->stats, messages_out, 1);
        return 0;
    }
    return reply_any(conn, opcode, part);
}

/* A part of the message, one that was assembled, or one that must wait behind others. */
__attribute__((noinline)) static int reply_any(struct gyr_conn *conn, enum gyr_opcode opcode,
                                               struct gyr_span part)
{
    struct transport *transport = conn->transport;
    struct core_message *message = &transport->core->message;
    const char *begin = (const char *)message->bytes;
    if (message->exchange != conn || begin == NULL || part.ptr < begin ||
        (size_t)(part.ptr - begin) > message->size ||
        part.size > message->size - (size_t)(part.ptr - begin)) {
        return GYR_ERR_ARGUMENT;
    }
    struct entry *entry = message->entry;
    if (entry == NULL || part.ptr != begin) {
        int err = gyr_send(conn, opcode, part);
        if (err >= 0) {
            message->bytes = NULL;
        }
        return err;
    }
    int err = exchange_may_send(conn, opcode, part, GYR_FIRST | GYR_LAST);
    if (err < 0) {
        return err;
    }
    if (transport_is_full(transport, ws_frame_header_size(part.size) + part.size)) {
        transport_refused(transport);
        return GYR_ERR_BACKPRESSURE;
    }
    entry->kind = ENTRY_MESSAGE;
    entry->opcode = (uint8_t)opcode;
    entry->flags = GYR_FIRST | GYR_LAST;
    entry->size = (uint32_t)part.size;
    message->entry = NULL;
    message->bytes = NULL;
    transport_queue_behind_batch(transport, entry);
    STATS_ADD(&transport->core->stats, messages_out, 1);
    return transport_queue_status(transport);
}

static void part_deliver(struct transport *transport, struct span part, bool last)
{
    struct core *core = transport->core;
    struct session_ws *ws = &transport->ws;
    struct gyr_conn *exchange = transport->exchange;
    unsigned flags = (ws->part_flags & GYR_FIRST) | (last ? GYR_LAST : 0U);
    transport->message_ms = core_now32(core);
    ws->part_flags = last ? GYR_LAST : 0;
    if (last) {
        STATS_ADD(&core->stats, messages_in, 1);
    }
    if (exchange->state != EXCHANGE_OPEN || core->service->on_part == NULL) {
        return;
    }
    int result = core->service->on_part(exchange, (enum gyr_opcode)ws->message.opcode,
                                        span_public(part), flags);
    if (result != 0) {
        session_ws_result(transport, result);
    }
}

static void control_input(struct transport *transport, const struct ws_frame *frame,
                          uint8_t *payload)
{
    size_t size = (size_t)frame->payload_size;
    transport->core->mask_ops->unmask(payload, payload, size, frame->masking_key);
    struct span content = {payload, size};
    if (frame->opcode == WS_OPCODE_CLOSE) {
        close_input(transport, content);
    } else if (frame->opcode == WS_OPCODE_PING && transport->exchange->state == EXCHANGE_OPEN) {
        if (transport_send_control(transport, WS_OPCODE_PONG, content) < 0) {
            transport_mark(transport, TRANSPORT_F_CUT);
        }
    }
}

static void close_input(struct transport *transport, struct span payload)
{
    uint16_t close_code;
    struct span reason;
    int err = ws_close_parse(payload, &close_code, &reason);
    if (err < 0) {
        frame_fail(transport, err);
        return;
    }
    if (transport->exchange->state == EXCHANGE_OPEN) {
        session_ws_send_close(transport, close_code, (struct span){0});
    }
    session_ended(transport, close_code, reason);
    transport_end(transport);
}

/* _Fail the WebSocket Connection_ (RFC 6455 section 7.1.7). */
static void frame_fail(struct transport *transport, int err)
{
    if (err != GYR_ERR_MEMORY) {
        STATS_ADD(&transport->core->stats, ws_errors, 1);
    }
    report_ws_failed(transport, err);
    uint16_t close_code = error_close_code(err);
    if (transport->exchange->state == EXCHANGE_OPEN) {
        session_ws_send_close(transport, close_code != 0 ? close_code : WS_CLOSE_INTERNAL,
                              (struct span){0});
    }
    const char *text = gyr_strerror(err);
    session_ended(transport, WS_CLOSE_ABNORMAL, span_of(text, strlen(text)));
    transport_end(transport);
}

void session_ws_close(struct transport *transport, uint16_t close_code, struct span reason)
{
    struct gyr_conn *exchange = transport->exchange;
    if (exchange == NULL || exchange->state != EXCHANGE_OPEN) {
        return;
    }
    exchange->state = EXCHANGE_CLOSING;
    transport->phase_ms = core_now32(transport->core);
    session_ws_send_close(transport, close_code, reason);
    /* What waited, for the rate too, is looked through for the peer's Close. */
    transport->flags &= (uint16_t)~TRANSPORT_F_RATE;
    transport_mark(transport, TRANSPORT_F_WORK);
    transport_timer_update(transport);
}

void session_ws_send_close(struct transport *transport, uint16_t close_code, struct span reason)
{
    uint8_t payload[WS_CONTROL_SIZE_MAX];
    size_t size = ws_close_write(payload, close_code, reason);
    transport->exchange->flags |= EXCHANGE_F_CLOSE_SENT;
    if (UNLIKELY((transport->exchange->flags & EXCHANGE_F_SENDING_PARTS) != 0)) {
        transport_drop_held(transport); /* no message may follow the Close */
    }
    if (transport_send_control(transport, WS_OPCODE_CLOSE, span_of(payload, size)) < 0) {
        transport_mark(transport, TRANSPORT_F_CUT);
    }
}

/* The WebSocket is over (D1): its one `close`. The exchange stays until the transport is cut or
 * ended. */
static void session_ended(struct transport *transport, uint16_t close_code, struct span reason)
{
    struct core *core = transport->core;
    struct gyr_conn *exchange = transport->exchange;
    if (exchange == NULL) {
        return;
    }
    ASSERT(exchange->state == EXCHANGE_OPEN || exchange->state == EXCHANGE_CLOSING);
    exchange->state = EXCHANGE_CLOSED;
    access_ws_end(transport, close_code);
    atomic_store_explicit(&core->stats.websockets,
                          atomic_load_explicit(&core->stats.websockets, memory_order_relaxed) - 1,
                          memory_order_relaxed);
    if (core->service->on_close != NULL) {
        core->service->on_close(exchange, close_code, span_public(reason));
    }
    ws_free(transport);
    transport->exchange = NULL;
    exchange_release(exchange);
}

void session_ws_cut(struct transport *transport, uint16_t close_code)
{
    session_ended(transport, close_code, (struct span){0});
    ws_free(transport);
}

static void ws_free(struct transport *transport)
{
    entry_free(transport, transport->ws.assembly);
    transport->ws.assembly = NULL;
}

struct session_limit session_ws_limit(const struct transport *transport)
{
    const struct gyr_config *config = transport->core->config;
    const struct gyr_conn *exchange = transport->exchange;
    if (exchange == NULL) {
        return (struct session_limit){0};
    }
    if (exchange->state == EXCHANGE_CLOSING) {
        /* From our Close, or from the last byte that the peer took of what stands before it. */
        uint32_t since_ms = transport->phase_ms;
        if ((int32_t)(transport->send_ms - since_ms) > 0) {
            since_ms = transport->send_ms;
        }
        return (struct session_limit){.due_ms = since_ms + config->close_timeout_ms,
                                      .set = config->close_timeout_ms != 0 &&
                                             transport->queue_head == NULL};
    }
    if (session_is_waiting(transport)) {
        return (struct session_limit){0};
    }
    struct session_limit limit = {0};
    if ((transport->flags & TRANSPORT_F_PINGED) != 0) {
        /* The Ping waits behind what is queued: as long as the peer takes of that, it is there. */
        uint32_t since_ms = transport->phase_ms;
        if ((int32_t)(transport->send_ms - since_ms) > 0) {
            since_ms = transport->send_ms;
        }
        limit.due_ms = since_ms + config->heartbeat_timeout_ms;
        limit.set = true;
    } else if (config->heartbeat_interval_ms != 0) {
        limit.due_ms = transport->activity_ms + config->heartbeat_interval_ms;
        limit.set = true;
    }
    uint32_t idle_ms = transport->message_ms + config->idle_timeout_ms;
    if (config->idle_timeout_ms != 0 && (!limit.set || (int32_t)(idle_ms - limit.due_ms) < 0)) {
        limit = (struct session_limit){.due_ms = idle_ms, .set = true};
    }
    return limit;
}

void session_ws_on_limit(struct transport *transport)
{
    struct core *core = transport->core;
    const struct gyr_config *config = core->config;
    uint32_t now_ms = core_now32(core);
    bool closing = transport->exchange->state == EXCHANGE_CLOSING;
    bool idle =
        config->idle_timeout_ms != 0 && now_ms - transport->message_ms >= config->idle_timeout_ms;
    if (closing || (!idle && (transport->flags & TRANSPORT_F_PINGED) != 0)) {
        STATS_ADD(&core->stats, timeouts, 1);
        transport_mark(transport, TRANSPORT_F_LOST);
    } else if (idle) {
        STATS_ADD(&core->stats, timeouts, 1);
        session_ws_close(transport, WS_CLOSE_GOING_AWAY, SPAN_LITERAL("idle"));
    } else {
        transport->flags |= TRANSPORT_F_PINGED;
        transport->phase_ms = now_ms;
        if (transport_send_control(transport, WS_OPCODE_PING, (struct span){0}) < 0) {
            transport_mark(transport, TRANSPORT_F_CUT);
        }
    }
}
