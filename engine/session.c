/* SPDX-License-Identifier: MIT */
/* What HTTP/1.1 and WebSocket have in common as sessions of a transport: going on after a wait,
 * time limits, ends. */
#include "engine/session.h"

#include "proto/proxy_protocol.h"
#include "proto/ws_close.h"

static void session_result(struct transport *transport);
static void session_drained(struct transport *transport);

size_t session_input(struct transport *transport, uint8_t *bytes, size_t size)
{
    size_t used = 0;
    while (used < size && transport_is_live(transport) && !session_is_waiting(transport)) {
        uint8_t session = transport->session;
        size_t taken = 0;
        if (LIKELY(session == SESSION_WS)) {
            taken = session_ws_input(transport, bytes + used, size - used);
        } else if (LIKELY(session == SESSION_HTTP)) {
            taken = session_http_input(transport, bytes + used, size - used);
        } else {
            taken = session_proxy_input(transport, bytes + used, size - used);
        }
        used += taken;
        if (taken == 0 && session == transport->session) {
            break; /* a unit is incomplete */
        }
    }
    return used;
}

size_t session_unit_max(const struct transport *transport)
{
    /* The largest units are a control frame with its header, the head of a request, and a PROXY
     * header. */
    switch ((enum session_kind)transport->session) {
    case SESSION_WS:
        return WS_CLIENT_HEADER_SIZE_MAX + WS_CONTROL_SIZE_MAX;
    case SESSION_PROXY:
        return PROXY_HEADER_SIZE_MAX;
    case SESSION_HTTP:
        break;
    }
    return transport->core->config->head_size_max;
}

/* The connection of a trusted proxy says first for whom it speaks. */
size_t session_proxy_input(struct transport *transport, const uint8_t *bytes, size_t size)
{
    struct proxy_header header;
    int err = proxy_header_parse(bytes, size, &header);
    if (err == NEED_MORE) {
        return 0;
    }
    transport->session = SESSION_HTTP;
    if (err == 0) {
        err = guard_header(transport, &header.source);
        if (err < 0) {
            STATS_ADD(&transport->core->stats, limited, 1);
        }
    } else {
        STATS_ADD(&transport->core->stats, forbidden, 1);
    }
    if (err < 0) {
        session_http_fail(transport, err);
        return size;
    }
    return header.size;
}

void session_bytes_received(struct transport *transport, size_t size)
{
    bool websocket = transport->session == SESSION_WS;
    if (!guard_bytes_exceed(transport, size) || transport->state != TRANSPORT_OPEN ||
        (websocket && transport->exchange->state != EXCHANGE_OPEN)) {
        return; /* while closing, all that comes is looked through for the peer's Close */
    }
    if (websocket && transport->core->config->rate_action == GYR_RATE_CLOSE) {
        session_ws_exceeded(transport);
    } else {
        transport_rate_wait(transport);
    }
}

void session_work(struct transport *transport)
{
    if (transport->state != TRANSPORT_OPEN) {
        return;
    }
    if (transport->exchange != NULL && (transport->exchange->flags & EXCHANGE_F_RESULT) != 0) {
        session_result(transport);
    }
    if (transport->exchange != NULL && transport->session == SESSION_HTTP &&
        (transport->http.stream.flags & HTTP_STREAM_F_ENDED) != 0) {
        session_stream_ended(transport);
    }
    if ((transport->flags & TRANSPORT_F_DRAIN_OWED) != 0 && transport_is_drained(transport)) {
        session_drained(transport);
    }
}

/* The queue had been high and has fallen. */
static void session_drained(struct transport *transport)
{
    struct gyr_conn *exchange = transport->exchange;
    bool streaming = exchange != NULL && exchange->state == EXCHANGE_STREAMING;
    if (exchange != NULL && exchange->state < EXCHANGE_OPEN && !streaming &&
        (exchange->flags & EXCHANGE_F_HANDSHAKE) != 0) {
        return; /* what was refused before the 101 is told about after it */
    }
    bool waited = (transport->flags & TRANSPORT_F_QUEUE_HIGH) != 0 ||
                  (exchange != NULL && (exchange->flags & EXCHANGE_F_QUEUE_HIGH) != 0);
    transport->flags &= (uint16_t) ~(TRANSPORT_F_DRAIN_OWED | TRANSPORT_F_QUEUE_HIGH);
    if (exchange != NULL) {
        exchange->flags &= (uint16_t)~EXCHANGE_F_QUEUE_HIGH;
    }
    if (waited) {
        session_wait_ended(transport);
    }
    if (streaming) {
        transport->http.stream.burst = 0;
        if (transport->http.file != NULL) {
            session_file_read(transport);
            return;
        }
    }
    if (exchange != NULL && (streaming || exchange->state == EXCHANGE_OPEN) &&
        transport->core->service->on_drain != NULL) {
        transport->core->service->on_drain(exchange);
    }
}

void session_wait_ended(struct transport *transport)
{
    uint32_t now_ms = core_now32(transport->core);
    transport->activity_ms = now_ms; /* the silence was ours, not the peer's */
    transport->message_ms = now_ms;
    if (transport->exchange == NULL) {
        transport->phase_ms = now_ms;
    }
    transport->flags &= (uint16_t)~TRANSPORT_F_PINGED;
    if (transport->session != SESSION_WS) {
        session_http_wait_ended(transport);
    }
    transport_timer_update(transport);
}

/* A pending callback has got its result. */
static void session_result(struct transport *transport)
{
    struct gyr_conn *exchange = transport->exchange;
    int result = exchange->result;
    exchange->flags &= (uint16_t) ~(EXCHANGE_F_RESULT | EXCHANGE_F_PENDING);
    session_wait_ended(transport);
    if (transport->core->service->on_finish != NULL) {
        result = transport->core->service->on_finish(exchange, result);
    }
    if (transport->session == SESSION_WS) {
        session_ws_result(transport, result);
    } else {
        session_http_result(transport, result);
    }
    transport_timer_update(transport);
}

void session_end_of_stream(struct transport *transport)
{
    struct gyr_conn *exchange = transport->exchange;
    if (transport->session == SESSION_WS) {
        /* What has come before is still handed over; without a Close it ends with 1006. */
        if (!session_is_waiting(transport)) {
            transport_mark(transport, TRANSPORT_F_LOST);
        }
        return;
    }
    if (session_is_waiting(transport) && transport->backlog != NULL) {
        return; /* requests that came before the end are still answered; then this is asked again */
    }
    transport->flags |= TRANSPORT_F_LAST_REQUEST;
    if (exchange == NULL) {
        transport_end(transport);
    } else if ((exchange->flags & EXCHANGE_F_BODY) != 0 && !exchange_is_waiting(exchange)) {
        transport_mark(transport, TRANSPORT_F_LOST);
    }
}

void session_cut(struct transport *transport)
{
    if (transport->session == SESSION_WS) {
        session_ws_cut(transport, WS_CLOSE_ABNORMAL);
    } else {
        session_http_cut(transport);
    }
}

struct session_limit session_limit(const struct transport *transport)
{
    return transport->session == SESSION_WS ? session_ws_limit(transport)
                                            : session_http_limit(transport);
}

void session_on_limit(struct transport *transport)
{
    struct gyr_conn *exchange = transport->exchange;
    uint32_t now_ms = core_now32(transport->core);
    if (exchange != NULL && exchange->timer_set && (int32_t)(now_ms - exchange->timer_ms) >= 0) {
        exchange->timer_set = false;
        if (transport->core->service->on_timer != NULL) {
            transport->core->service->on_timer(exchange);
        }
    }
    struct session_limit limit = session_limit(transport);
    if (!limit.set || (int32_t)(now_ms - limit.due_ms) < 0) {
        return;
    }
    if (transport->session == SESSION_WS) {
        session_ws_on_limit(transport);
    } else {
        session_http_on_limit(transport);
    }
}

void session_drain(struct transport *transport)
{
    if (transport->state != TRANSPORT_OPEN) {
        return;
    }
    if (transport->session == SESSION_WS) {
        session_ws_close(transport, WS_CLOSE_GOING_AWAY, (struct span){0});
    } else {
        session_http_drain(transport);
    }
}
