/* SPDX-License-Identifier: MIT */
/* The calls that a service makes on a connection: each checks the state of its exchange and leaves
 * the work to the session or the transport. None of them calls back. */
#include "engine/exchange.h"

#include "engine/session.h"
#include "proto/ws_close.h"

#define TIMER_DELAY_MAX_MS (24 * 86400 * 1000) /* what 32-bit times can tell from the past */

static uint32_t generation_of(const struct gyr_conn *exchange);

struct gyr_conn *exchange_acquire(struct transport *transport)
{
    struct core *core = transport->core;
    uint32_t index = core->exchange_free;
    if (index != CORE_INDEX_NONE) {
        core->exchange_free = exchange_at(core, index)->next_free;
    } else if (core->exchange_used < core->config->connections_max) {
        index = core->exchange_used++;
    } else {
        return NULL;
    }
    struct gyr_conn *exchange = exchange_at(core, index);
    ASSERT(exchange->state == EXCHANGE_FREE);
    if (generation_of(exchange) == 0) {
        atomic_store_explicit(&exchange->generation, 1, memory_order_relaxed);
    }
    exchange->transport = transport;
    exchange->index = index;
    exchange->flags = 0;
    exchange->state = EXCHANGE_REQUEST;
    exchange->timer_set = false;
    exchange->watched = 0;
    exchange->result = 0;
    if (core->service->conn_data_size != 0) {
        memset(exchange + 1, 0, core->service->conn_data_size);
    }
    return exchange;
}

void exchange_release(struct gyr_conn *exchange)
{
    struct core *core = exchange->transport->core;
    ASSERT(exchange->state != EXCHANGE_FREE);
    if (UNLIKELY(exchange->watched != 0)) {
        core->layer->conn_end(core->layer_state, exchange);
    }
    /* Its handles are stale from here on; partner: engine_handle_is_live. */
    uint32_t generation = (generation_of(exchange) + 1) & 0xffffff;
    atomic_store_explicit(&exchange->generation, generation == 0 ? 1 : generation,
                          memory_order_relaxed);
    exchange->state = EXCHANGE_FREE;
    exchange->next_free = core->exchange_free;
    core->exchange_free = exchange->index;
}

struct gyr_conn *exchange_at(const struct core *core, uint32_t index)
{
    return (struct gyr_conn *)(void *)(core->exchanges + index * core->exchange_stride);
}

static uint32_t generation_of(const struct gyr_conn *exchange)
{
    return atomic_load_explicit(&exchange->generation, memory_order_relaxed);
}

/* A handle is core (16 bits), generation (24, never 0), slot (24). */
struct gyr_handle gyr_conn_handle(const struct gyr_conn *conn)
{
    uint64_t core = exchange_core(conn)->index;
    return (struct gyr_handle){core << 48 | (uint64_t)generation_of(conn) << 24 | conn->index};
}

struct gyr_conn *gyr_core_find(struct gyr_core *core_public, struct gyr_handle handle)
{
    struct core *core = (struct core *)core_public;
    uint32_t index = handle.id & 0xffffff;
    uint32_t generation = (uint32_t)(handle.id >> 24) & 0xffffff;
    if (handle.id >> 48 != core->index || index >= core->exchange_used) {
        return NULL;
    }
    struct gyr_conn *exchange = exchange_at(core, index);
    if (generation_of(exchange) != generation || exchange->state == EXCHANGE_FREE) {
        return NULL;
    }
    return exchange;
}

int gyr_respond(struct gyr_conn *conn, const struct gyr_response *response)
{
    if (LIKELY(response->size >= sizeof(*response))) {
        return session_http_respond(conn, response);
    }
    /* A program compiled against an older header has a shorter structure. */
    struct gyr_response full = {0};
    if (response->size == 0) {
        return GYR_ERR_ARGUMENT;
    }
    memcpy(&full, response, response->size);
    return session_http_respond(conn, &full);
}

int gyr_respond_begin(struct gyr_conn *conn, const struct gyr_response *response)
{
    struct gyr_response full = {0};
    if (response->size == 0) {
        return GYR_ERR_ARGUMENT;
    }
    memcpy(&full, response, MIN(response->size, sizeof(full)));
    return session_stream_begin(conn, &full, STREAM_SIZE_UNKNOWN);
}

int gyr_respond_part(struct gyr_conn *conn, struct gyr_span piece)
{
    return session_stream_part(conn, span_internal(piece));
}

int gyr_respond_end(struct gyr_conn *conn)
{
    return session_file_is_sent(conn) ? GYR_ERR_STATE : session_stream_end(conn);
}

int gyr_respond_file(struct gyr_conn *conn, const struct gyr_request *request,
                     const struct gyr_files *files, struct gyr_span path)
{
    return session_file_begin(conn, request, files, span_internal(path));
}

int gyr_respond_text(struct gyr_conn *conn, unsigned status_code, const char *content_type,
                     struct gyr_span content)
{
    return gyr_respond(conn, &(struct gyr_response){
                                 .size = sizeof(struct gyr_response),
                                 .status_code = status_code,
                                 .content_type = {content_type, strlen(content_type)},
                                 .content = content,
                             });
}

int gyr_respond_not_allowed(struct gyr_conn *conn, const char *allow)
{
    struct gyr_field field = {GYR_LITERAL("Allow"), {allow, strlen(allow)}};
    return gyr_respond(conn, &(struct gyr_response){
                                 .size = sizeof(struct gyr_response),
                                 .status_code = 405,
                                 .content_type = GYR_LITERAL("text/plain; charset=utf-8"),
                                 .content = GYR_LITERAL("method not allowed"),
                                 .fields = &field,
                                 .field_count = 1,
                             });
}

int gyr_collect(struct gyr_conn *conn, size_t size_max)
{
    if ((conn->flags & EXCHANGE_F_IN_REQUEST) == 0) {
        return GYR_ERR_STATE;
    }
    struct http_state *state = conn->transport->http.state;
    if ((conn->flags & EXCHANGE_F_BODY) != 0) {
        conn->flags |= EXCHANGE_F_COLLECT;
        state->collect_max = MIN((uint64_t)size_max, state->size_max);
    }
    return 0;
}

int gyr_upgrade(struct gyr_conn *conn, const struct gyr_upgrade *upgrade)
{
    struct gyr_upgrade full = {0};
    if (upgrade != NULL) {
        if (upgrade->size == 0) {
            return GYR_ERR_ARGUMENT;
        }
        memcpy(&full, upgrade, MIN(upgrade->size, sizeof(full)));
    }
    return session_http_upgrade(conn, &full);
}

int gyr_send(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span payload)
{
    return gyr_send_part(conn, opcode, payload, GYR_FIRST | GYR_LAST);
}

int gyr_send_part(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span part,
                  unsigned flags)
{
    int err = exchange_may_send(conn, opcode, part, flags);
    if (err < 0) {
        return err;
    }
    struct transport *transport = conn->transport;
    err = conn->state == EXCHANGE_REQUEST
              ? exchange_send_early(conn, (uint8_t)opcode, flags, span_internal(part))
              : transport_send_frame(transport, (uint8_t)opcode, flags, span_internal(part));
    if (err < 0) {
        return err;
    }
    if ((flags & GYR_LAST) == 0) {
        conn->flags |= EXCHANGE_F_SENDING_PARTS;
    } else {
        if (UNLIKELY((conn->flags & EXCHANGE_F_SENDING_PARTS) != 0)) {
            conn->flags &= (uint16_t)~EXCHANGE_F_SENDING_PARTS;
            transport_release_held(transport);
        }
        STATS_ADD(&transport->core->stats, messages_out, 1);
    }
    transport->message_ms = core_now32(transport->core);
    return err;
}

/* The header is written when the size is known: room is kept for that of a payload of up to 64 KB,
 * and a shorter one moves the payload. */
#define SEND_HEADER_SIZE 4

uint8_t *engine_send_begin(struct gyr_conn *conn, size_t size)
{
    struct transport *transport = conn->transport;
    ASSERT(size <= UINT16_MAX);
    if (conn->state != EXCHANGE_OPEN ||
        (conn->flags & (EXCHANGE_F_CLOSE_SENT | EXCHANGE_F_SENDING_PARTS)) != 0 ||
        transport_is_full(transport, SEND_HEADER_SIZE + size)) {
        return NULL;
    }
    uint8_t *bytes = transport_reserve_direct(transport, SEND_HEADER_SIZE + size);
    return bytes != NULL ? bytes + SEND_HEADER_SIZE : NULL;
}

void engine_send_end(struct gyr_conn *conn, enum gyr_opcode opcode, size_t size)
{
    struct transport *transport = conn->transport;
    uint8_t *bytes = transport->core->out.end;
    size_t header_size = ws_frame_header_size(size);
    if (header_size != SEND_HEADER_SIZE) {
        memmove(bytes + header_size, bytes + SEND_HEADER_SIZE, size);
    }
    ws_frame_write_header(bytes, (uint8_t)opcode, true, 0, size);
    transport_commit(transport, header_size + size);
    STATS_ADD(&transport->core->stats, messages_out, 1);
    transport->message_ms = core_now32(transport->core);
}

int exchange_may_send(const struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span payload,
                      unsigned flags)
{
    if ((opcode != GYR_TEXT && opcode != GYR_BINARY) || payload.size > UINT32_MAX / 2) {
        return GYR_ERR_ARGUMENT;
    }
    if ((conn->flags & EXCHANGE_F_CLOSE_SENT) != 0) {
        return GYR_ERR_CLOSED;
    }
    bool early = conn->state == EXCHANGE_REQUEST && (conn->flags & EXCHANGE_F_HANDSHAKE) != 0;
    if (!early && conn->state != EXCHANGE_OPEN && conn->state != EXCHANGE_UPGRADED) {
        return conn->state <= EXCHANGE_ANSWERED ? GYR_ERR_STATE : GYR_ERR_CLOSED;
    }
    /* A message within a message, or a part of none? */
    bool within = (conn->flags & EXCHANGE_F_SENDING_PARTS) != 0;
    return within == ((flags & GYR_FIRST) != 0) ? GYR_ERR_STATE : 0;
}

int exchange_send_early(struct gyr_conn *conn, uint8_t opcode, unsigned flags, struct span payload)
{
    struct transport *transport = conn->transport;
    struct http_state *state = transport->http.state;
    size_t wire_size = ws_frame_header_size(payload.size) + payload.size;
    uint32_t size_max = transport->core->config->send_queue_size_max;
    if (state->early_size + wire_size > size_max || state->early_memory / 2 > size_max) {
        transport_refused(transport);
        return GYR_ERR_BACKPRESSURE;
    }
    struct entry *entry = entry_create_message(transport, opcode, flags, payload);
    if (entry == NULL) {
        return GYR_ERR_MEMORY;
    }
    if (state->early_head == NULL) {
        state->early_head = entry;
    } else {
        state->early_tail->next = entry;
    }
    state->early_tail = entry;
    state->early_size += (uint32_t)wire_size;
    state->early_memory += (uint32_t)entry_memory(entry);
    return 0;
}

int gyr_ping(struct gyr_conn *conn, struct gyr_span payload)
{
    if (payload.size > WS_CONTROL_SIZE_MAX) {
        return GYR_ERR_ARGUMENT;
    }
    if (conn->state != EXCHANGE_OPEN) {
        return conn->state < EXCHANGE_OPEN ? GYR_ERR_STATE : GYR_ERR_CLOSED;
    }
    return transport_send_control(conn->transport, WS_OPCODE_PING, span_internal(payload));
}

int gyr_close(struct gyr_conn *conn, uint16_t close_code, struct gyr_span reason)
{
    if (!ws_close_code_is_valid(close_code) && close_code != WS_CLOSE_NO_STATUS) {
        return GYR_ERR_ARGUMENT;
    }
    switch ((enum exchange_state)conn->state) {
    case EXCHANGE_REQUEST:
    case EXCHANGE_STREAMING:
    case EXCHANGE_ANSWERED:
        conn->flags |= EXCHANGE_F_CLOSE;
        return 0;
    case EXCHANGE_UPGRADED:
        if ((conn->flags & EXCHANGE_F_CLOSE_SENT) != 0) {
            return GYR_ERR_CLOSED;
        }
        session_ws_send_close(conn->transport, close_code, span_internal(reason));
        return 0;
    case EXCHANGE_OPEN:
        session_ws_close(conn->transport, close_code, span_internal(reason));
        return 0;
    case EXCHANGE_FREE:
    case EXCHANGE_CLOSING:
    case EXCHANGE_CLOSED:
        break;
    }
    return GYR_ERR_CLOSED;
}

void gyr_abort(struct gyr_conn *conn)
{
    transport_mark(conn->transport, TRANSPORT_F_CUT);
}

void gyr_pause(struct gyr_conn *conn)
{
    conn->flags |= EXCHANGE_F_PAUSED;
}

void gyr_resume(struct gyr_conn *conn)
{
    if ((conn->flags & EXCHANGE_F_PAUSED) != 0) {
        conn->flags &= (uint16_t)~EXCHANGE_F_PAUSED;
        session_wait_ended(conn->transport);
        transport_mark(conn->transport, TRANSPORT_F_WORK);
    }
}

int gyr_finish(struct gyr_conn *conn, int result)
{
    if ((conn->flags & EXCHANGE_F_PENDING) == 0 || (conn->flags & EXCHANGE_F_RESULT) != 0) {
        return GYR_ERR_STATE;
    }
    if (result != GYR_PENDING) {
        conn->result = result;
        conn->flags |= EXCHANGE_F_RESULT;
        transport_mark(conn->transport, TRANSPORT_F_WORK);
    }
    return 0;
}

size_t gyr_queued_size(const struct gyr_conn *conn)
{
    return transport_queued_size(conn->transport);
}

void gyr_peer_address(const struct gyr_conn *conn, char text[64])
{
    struct ring *ring = exchange_core(conn)->ring;
    struct address address;
    ring->ops->peer_address(ring, conn->transport->fd, &address);
    address_format(&address, text);
}

void gyr_client_address(const struct gyr_conn *conn, char text[64])
{
    struct address address;
    guard_client(conn->transport, &address);
    address_format(&address, text);
}

void *gyr_conn_data(struct gyr_conn *conn)
{
    return conn + 1;
}

struct gyr_core *gyr_conn_core(const struct gyr_conn *conn)
{
    return (struct gyr_core *)exchange_core(conn);
}

void gyr_conn_timer(struct gyr_conn *conn, uint32_t delay_ms)
{
    conn->timer_set = delay_ms != 0;
    if (conn->timer_set) {
        conn->timer_ms =
            core_now32(exchange_core(conn)) + MIN(delay_ms, (uint32_t)TIMER_DELAY_MAX_MS);
        transport_timer_update(conn->transport);
    }
}
