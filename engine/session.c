/* SPDX-License-Identifier: MIT */
/* What HTTP/1.1 and WebSocket have in common as sessions of a transport: going on after a wait,
 * time limits, ends. */
#include "engine/session.h"

#include "proto/ws_close.h"

static void session_result(struct transport *transport);

size_t session_input(struct transport *transport, uint8_t *bytes, size_t size)
{
    size_t used = 0;
    while (used < size && transport_is_live(transport) &&
           (transport->exchange == NULL || !exchange_is_waiting(transport->exchange))) {
        uint8_t session = transport->session;
        size_t taken = session == SESSION_WS
                           ? session_ws_input(transport, bytes + used, size - used)
                           : session_http_input(transport, bytes + used, size - used);
        used += taken;
        if (taken == 0 && session == transport->session) {
            break; /* a unit is incomplete */
        }
    }
    return used;
}

size_t session_unit_max(const struct transport *transport)
{
    /* The largest units are a control frame with its header, and the head of a request. */
    return transport->session == SESSION_WS ? WS_CLIENT_HEADER_SIZE_MAX + WS_CONTROL_SIZE_MAX
                                            : transport->core->config->head_size_max;
}

void session_work(struct transport *transport)
{
    if (transport->state != TRANSPORT_OPEN || transport->exchange == NULL) {
        return;
    }
    if ((transport->exchange->flags & EXCHANGE_F_RESULT) != 0) {
        session_result(transport);
    }
    struct gyr_conn *exchange = transport->exchange;
    if ((transport->flags & TRANSPORT_F_DRAIN_OWED) == 0 || exchange == NULL ||
        exchange->state != EXCHANGE_OPEN ||
        transport_queued_size(transport) > transport->core->config->send_queue_low) {
        return;
    }
    transport->flags &= (uint16_t)~TRANSPORT_F_DRAIN_OWED;
    exchange->flags &= (uint16_t)~EXCHANGE_F_QUEUE_HIGH;
    if (transport->core->service->on_drain != NULL) {
        transport->core->service->on_drain(exchange);
    }
}

/* A pending callback has got its result. */
static void session_result(struct transport *transport)
{
    struct gyr_conn *exchange = transport->exchange;
    int result = exchange->result;
    exchange->flags &= (uint16_t) ~(EXCHANGE_F_RESULT | EXCHANGE_F_PENDING);
    transport->activity_ms = core_now32(transport->core); /* the wait was ours, not the peer's */
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
        if (exchange == NULL || !exchange_is_waiting(exchange)) {
            transport_mark(transport, TRANSPORT_F_LOST);
        }
        return;
    }
    if (exchange != NULL && exchange_is_waiting(exchange) && transport->backlog != NULL) {
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
