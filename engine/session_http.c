/* SPDX-License-Identifier: MIT */
/* HTTP/1.1 as the session of a transport (RFC 9112): one request at a time, so pipelined answers
 * keep their order. Journey: hops 4 to 9 for requests.
 *
 *     no exchange  --request_begin-->         REQUEST
 *     REQUEST      --session_http_respond-->  ANSWERED   --request_finish-->      no exchange
 *     REQUEST      --session_stream_begin-->  STREAMING  --session_stream_end-->  ANSWERED
 *     REQUEST      --session_file_begin-->    STREAMING, see engine/session_file.c
 *     REQUEST      --session_http_upgrade-->  UPGRADED   --session_ws_open-->     a WebSocket
 *
 * A request ends when it is answered and its content has been read. Whatever the engine refuses by
 * itself is answered once and closes the connection: what follows is never interpreted. */
#include "engine/session.h"

#include "engine/access.h"
#include "engine/error.h"
#include "engine/report.h"

static bool queue_is_high(struct transport *transport);
static size_t head_input(struct transport *transport, uint8_t *bytes, size_t size);
static bool head_keep_partial(struct transport *transport, struct http_request *request);
static void request_begin(struct transport *transport, const struct http_request *head,
                          const uint8_t *bytes);
static int request_check(struct transport *transport, struct gyr_conn *exchange,
                         const struct http_request *head, const uint8_t *bytes);
static int request_call(struct gyr_conn *exchange, const struct gyr_request *request);
static void limit_begin(struct transport *transport, uint32_t limit_ms);
static inline void request_advance(struct transport *transport);
static void request_finish(struct transport *transport, enum gyr_outcome outcome);
static bool refuse(struct transport *transport, int err, unsigned flags);
static size_t body_input(struct transport *transport, const uint8_t *bytes, size_t size);
static int body_deliver(struct transport *transport, struct span piece, bool last);
static int body_collect(struct transport *transport, struct span piece, bool last);
static void state_free(struct transport *transport);

static const char ALLOW_ALL[] = "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH";

size_t session_http_input(struct transport *transport, uint8_t *bytes, size_t size)
{
    size_t used = 0;
    while (used < size && transport_is_live(transport) && transport->session == SESSION_HTTP) {
        const struct gyr_conn *exchange = transport->exchange;
        if (session_is_waiting(transport) || (exchange == NULL && queue_is_high(transport))) {
            break;
        }
        if (exchange == NULL && (transport->flags & TRANSPORT_F_LAST_REQUEST) != 0) {
            return size;
        }
        size_t taken = exchange == NULL ? head_input(transport, bytes + used, size - used)
                                        : body_input(transport, bytes + used, size - used);
        if (taken == 0) {
            break;
        }
        used += taken;
    }
    return used;
}

/* Whoever asks without reading the answers is not listened to before it has (L1). */
static bool queue_is_high(struct transport *transport)
{
    size_t high = transport->core->config->send_queue_high;
    if (LIKELY(transport_queued_size(transport) < high)) {
        return false;
    }
    transport_flush_batch(transport);
    if (transport_queued_size(transport) < high) {
        return false;
    }
    transport_mark(transport, TRANSPORT_F_QUEUE_HIGH | TRANSPORT_F_DRAIN_OWED | TRANSPORT_F_WORK);
    return true;
}

static size_t head_input(struct transport *transport, uint8_t *bytes, size_t size)
{
    struct core *core = transport->core;
    struct http_request *partial = transport->http.partial;
    struct http_request *request = partial != NULL ? partial : &core->request;
    if (partial == NULL) {
        http_request_reset(request);
    }
    struct http_limits limits = {core->config->head_size_max, core->config->target_size_max,
                                 core->config->field_count_max};
    int err = http_request_parse(request, &limits, bytes, size);
    if (err == NEED_MORE) {
        if (partial == NULL && !head_keep_partial(transport, request)) {
            session_http_fail(transport, GYR_ERR_MEMORY);
            return size;
        }
        return 0;
    }
    if (partial != NULL) {
        core->request = *partial;
        transport_free(transport, partial, sizeof(*partial));
        transport->http.partial = NULL;
    }
    transport->flags &= (uint16_t)~TRANSPORT_F_IN_REQUEST;
    if (err < 0) {
        session_http_fail(transport, err);
        return size;
    }
    size_t head_size = core->request.head_size;
    request_begin(transport, &core->request, bytes);
    return head_size;
}

/* The head is incomplete: its bytes go to the backlog, and what is known of it stays here, so that
 * no byte is looked at twice. */
static bool head_keep_partial(struct transport *transport, struct http_request *request)
{
    struct http_request *partial = transport_alloc(transport, sizeof(*partial));
    if (partial == NULL) {
        return false;
    }
    *partial = *request;
    transport->http.partial = partial;
    if ((transport->flags & TRANSPORT_F_IN_REQUEST) == 0) {
        transport->flags |= TRANSPORT_F_IN_REQUEST;
        transport->phase_ms = core_now32(transport->core);
    }
    transport_timer_update(transport);
    return true;
}

static void request_begin(struct transport *transport, const struct http_request *head,
                          const uint8_t *bytes)
{
    STATS_ADD(&transport->core->stats, requests, 1);
    struct gyr_conn *exchange = exchange_acquire(transport);
    if (exchange == NULL) {
        session_http_fail(transport, GYR_ERR_LIMIT);
        return;
    }
    transport->exchange = exchange;
    exchange->state = EXCHANGE_REQUEST;
    if (head->method == HTTP_HEAD) {
        exchange->flags |= EXCHANGE_F_NO_CONTENT;
    }
    if (head->version_minor == 0) {
        exchange->flags |= EXCHANGE_F_HTTP_1_0;
    }
    if ((head->flags & HTTP_F_KEEP_ALIVE) == 0 ||
        (transport->flags & TRANSPORT_F_LAST_REQUEST) != 0) {
        exchange->flags |= EXCHANGE_F_CLOSE;
    }
    if (UNLIKELY((transport->core->guard_flags & GUARD_F_ACCESS) != 0)) {
        access_begin(transport, head, bytes);
    }
    int err = request_check(transport, exchange, head, bytes);
    if (err < 0) {
        /* on_request has not run, so no on_done is owed. */
        unsigned flags = exchange->flags;
        state_free(transport);
        transport->exchange = NULL;
        exchange_release(exchange);
        bool answered = refuse(transport, err, flags);
        access_end(transport, answered ? GYR_DONE_ANSWERED : GYR_DONE_ABORTED);
        transport_end(transport);
        return;
    }
    struct gyr_request request = {.head = head, .bytes = bytes};
    exchange->flags |= EXCHANGE_F_IN_REQUEST;
    int result = request_call(exchange, &request);
    exchange->flags &= (uint16_t)~EXCHANGE_F_IN_REQUEST;
    session_http_result(transport, result);
}

/* What can be refused before the service is asked; and the state of a request with content. */
static int request_check(struct transport *transport, struct gyr_conn *exchange,
                         const struct http_request *head, const uint8_t *bytes)
{
    if (head->method == HTTP_CONNECT || head->method == HTTP_TRACE) {
        return GYR_ERR_HTTP_NOT_OFFERED;
    }
    if (UNLIKELY((transport->core->guard_flags & GUARD_F_REQUEST) != 0)) {
        int err = guard_request(transport, head, bytes);
        if (err < 0) {
            return err;
        }
    }
    bool has_body = head->framing == HTTP_FRAMING_CHUNKED ||
                    (head->framing == HTTP_FRAMING_LENGTH && head->content_length > 0);
    bool handshake = (head->flags & HTTP_F_UPGRADE_WEBSOCKET) != 0;
    if (handshake) {
        int err = ws_handshake_check(head, bytes);
        if (err == 0) {
            err = guard_handshake(transport, head, bytes);
        }
        if (err < 0) {
            return err;
        }
        exchange->flags |= EXCHANGE_F_HANDSHAKE;
    }
    if (!has_body && !handshake) {
        return 0;
    }
    uint64_t size_max = transport->core->config->body_size_max;
    if (head->framing == HTTP_FRAMING_LENGTH && head->content_length > size_max) {
        return GYR_ERR_HTTP_BODY_SIZE;
    }
    struct http_state *state = transport_alloc(transport, sizeof(*state));
    if (state == NULL) {
        return GYR_ERR_MEMORY;
    }
    *state = (struct http_state){.size_max = size_max, .window_ms = transport->activity_ms};
    transport->http.state = state;
    if (handshake) {
        ws_handshake_accept(bytes + head->ws_key.offset, state->accept);
    }
    if (has_body) {
        http_body_init(&state->body, head);
        exchange->flags |= EXCHANGE_F_BODY;
        if ((head->flags & HTTP_F_EXPECT_CONTINUE) != 0) {
            exchange->flags |= EXCHANGE_F_CONTINUE;
        }
    }
    return 0;
}

static int request_call(struct gyr_conn *exchange, const struct gyr_request *request)
{
    const struct gyr_service *service = exchange_core(exchange)->service;
    if (service->on_request != NULL) {
        return service->on_request(exchange, request);
    }
    return (exchange->flags & EXCHANGE_F_HANDSHAKE) != 0 ? gyr_upgrade(exchange, NULL)
                                                         : GYR_ERR_HTTP_NOT_FOUND;
}

void session_http_result(struct transport *transport, int result)
{
    struct gyr_conn *exchange = transport->exchange;
    if (result == GYR_PENDING) {
        exchange->flags |= EXCHANGE_F_PENDING;
        exchange->pending_ms = core_now32(transport->core);
        transport_timer_update(transport);
        return;
    }
    if (result < 0 && exchange->state == EXCHANGE_REQUEST) {
        session_http_fail(transport, result);
        return;
    }
    if (UNLIKELY(result != 0 && exchange->state == EXCHANGE_STREAMING)) {
        session_stream_result(exchange, result);
        return;
    }
    request_advance(transport);
    if (result < 0 && transport->session == SESSION_WS) {
        session_ws_result(transport, result);
    }
}

static inline void request_advance(struct transport *transport)
{
    struct gyr_conn *exchange = transport->exchange;
    if (UNLIKELY(exchange->state == EXCHANGE_STREAMING)) {
        return;
    }
    if (exchange->state == EXCHANGE_UPGRADED) {
        state_free(transport);
        session_ws_open(transport);
        return;
    }
    if ((exchange->flags & EXCHANGE_F_BODY) != 0) {
        limit_begin(transport, transport->core->config->body_timeout_ms);
        if (exchange->state == EXCHANGE_ANSWERED) {
            if ((exchange->flags & EXCHANGE_F_CLOSE) != 0) {
                request_finish(transport, GYR_DONE_ANSWERED);
            } else {
                gyr_resume(exchange); /* what is left is dropped: there is nobody to spare */
            }
        } else if ((exchange->flags & EXCHANGE_F_CONTINUE) != 0 &&
                   session_http_continue(transport) < 0) {
            transport_mark(transport, TRANSPORT_F_CUT); /* the client would wait for ever */
        }
        return;
    }
    if (exchange->state == EXCHANGE_REQUEST) {
        session_http_fail(transport, GYR_ERR_HTTP_UNANSWERED);
        return;
    }
    request_finish(transport, GYR_DONE_ANSWERED);
}

/* RFC 9110 section 10.1.1. */
int session_http_continue(struct transport *transport)
{
    static const char CONTINUE[] = "HTTP/1.1 100 Continue\r\n\r\n";
    uint8_t *bytes = transport_reserve(transport, sizeof(CONTINUE) - 1);
    if (bytes == NULL) {
        return GYR_ERR_MEMORY;
    }
    memcpy(bytes, CONTINUE, sizeof(CONTINUE) - 1);
    transport_commit(transport, sizeof(CONTINUE) - 1);
    transport->exchange->flags &= (uint16_t)~EXCHANGE_F_CONTINUE;
    return 0;
}

/* A time limit begins now: it needs the timer only if that runs longer. */
static void limit_begin(struct transport *transport, uint32_t limit_ms)
{
    if (transport->timer.expires_ms > transport->core->now_ms + limit_ms) {
        transport_timer_update(transport);
    }
}

/* The exchange is over (D1): its `done`, and the next request or the end. */
static void request_finish(struct transport *transport, enum gyr_outcome outcome)
{
    struct core *core = transport->core;
    struct gyr_conn *exchange = transport->exchange;
    bool close = (exchange->flags & EXCHANGE_F_CLOSE) != 0 ||
                 (transport->flags & TRANSPORT_F_LAST_REQUEST) != 0;
    bool streamed = transport->http.stream.flags != 0;
    exchange->state = EXCHANGE_CLOSED;
    access_end(transport, outcome);
    if (core->service->on_done != NULL) {
        core->service->on_done(exchange, outcome);
    }
    if (UNLIKELY(core->visitors_used)) {
        guard_request_end(transport);
    }
    if (transport->http.state != NULL) {
        state_free(transport);
    }
    transport->exchange = NULL;
    transport->http.stream.flags = 0;
    exchange_release(exchange);
    if (close) {
        transport_end(transport);
        return;
    }
    transport->phase_ms = core_now32(core);
    if (UNLIKELY(streamed)) {
        transport_timer_update(transport); /* while streaming there may have been no limit */
        return;
    }
    limit_begin(transport, core->config->keep_alive_timeout_ms);
}

/* Refuse by ourselves: answer if nothing was answered, tell the service, close. */
void session_http_fail(struct transport *transport, int err)
{
    struct gyr_conn *exchange = transport->exchange;
    if (exchange != NULL && exchange->state == EXCHANGE_STREAMING) {
        session_stream_break(exchange);
        return;
    }
    bool answer = exchange == NULL || exchange->state == EXCHANGE_REQUEST;
    if (answer) {
        answer = refuse(transport, err, exchange == NULL ? 0 : exchange->flags);
    }
    transport->flags |= TRANSPORT_F_LAST_REQUEST;
    if (exchange != NULL) {
        bool complete = answer && (exchange->flags & EXCHANGE_F_BODY) == 0;
        request_finish(transport, complete ? GYR_DONE_ANSWERED : GYR_DONE_ABORTED);
    } else {
        transport_end(transport);
    }
}

/* Answer with the error's status code and text. `flags` are of the exchange: how it asked. False:
 * there is no memory for it, and the connection is cut. */
static bool refuse(struct transport *transport, int err, unsigned flags)
{
    struct gyr_span text = GYR_SPAN("internal error");
    unsigned status_code = error_status_code(err);
    if (status_code == 0) {
        status_code = 500;
    } else {
        const char *message = gyr_strerror(err);
        text = (struct gyr_span){message, strlen(message)};
    }
    struct gyr_field field = {0};
    if (status_code == 503) {
        field = (struct gyr_field){GYR_LITERAL("Retry-After"), GYR_LITERAL("1")};
    } else if (err == GYR_ERR_HTTP_NOT_OFFERED) {
        field = (struct gyr_field){GYR_LITERAL("Allow"), {ALLOW_ALL, sizeof(ALLOW_ALL) - 1}};
    } else if (err == GYR_ERR_HTTP_WS_VERSION) {
        field = (struct gyr_field){GYR_LITERAL("Sec-WebSocket-Version"), GYR_LITERAL("13")};
    }
    STATS_ADD(&transport->core->stats, http_errors, 1);
    report_refused(transport, err);
    transport->flags |= TRANSPORT_F_LAST_REQUEST;
    struct gyr_response response = {
        .size = sizeof(response),
        .status_code = status_code,
        .content_type = GYR_LITERAL("text/plain; charset=utf-8"),
        .content = text,
        .fields = &field,
        .field_count = field.name.size != 0,
        .close = true,
    };
    bool written = session_response_write(transport, &response, response.content.size, flags) == 0;
    access_refused(transport, written ? status_code : 0);
    if (!written) {
        transport_mark(transport, TRANSPORT_F_CUT);
    }
    return written;
}

static size_t body_input(struct transport *transport, const uint8_t *bytes, size_t size)
{
    struct gyr_conn *exchange = transport->exchange;
    struct http_state *state = transport->http.state;
    size_t used = 0;
    ASSERT((exchange->flags & EXCHANGE_F_BODY) != 0);
    while (used < size) {
        size_t consumed;
        struct span piece;
        int err = http_body_parse(&state->body, state->size_max, bytes + used, size - used,
                                  &consumed, &piece);
        if (err < 0) {
            session_http_fail(transport, err);
            return size;
        }
        used += consumed;
        state->window_size += consumed;
        exchange->flags &= (uint16_t)~EXCHANGE_F_CONTINUE; /* it did not wait for it */
        bool last = err == 0;
        if (last) {
            exchange->flags &= (uint16_t)~EXCHANGE_F_BODY;
        }
        if (piece.size != 0 || last) {
            int result = body_deliver(transport, piece, last);
            session_http_result(transport, result);
            if (last || !transport_is_live(transport) || transport->exchange != exchange ||
                session_is_waiting(transport)) {
                break;
            }
        }
    }
    return used;
}

static int body_deliver(struct transport *transport, struct span piece, bool last)
{
    struct gyr_conn *exchange = transport->exchange;
    const struct gyr_service *service = transport->core->service;
    if (exchange->state > EXCHANGE_STREAMING || service->on_body == NULL) {
        return 0; /* read, so that the next request can be found, and dropped */
    }
    if ((exchange->flags & EXCHANGE_F_COLLECT) != 0) {
        return body_collect(transport, piece, last);
    }
    return service->on_body(exchange, span_public(piece), last);
}

/* Gather the content; it is handed over in one piece when it is complete. */
static int body_collect(struct transport *transport, struct span piece, bool last)
{
    struct http_state *state = transport->http.state;
    struct entry *collected = state->collected;
    size_t held = collected == NULL ? 0 : collected->size;
    /* What is announced counts: nobody has to send, and no memory is taken, for what cannot fit. */
    if (held + piece.size + state->body.remaining > state->collect_max) {
        return GYR_ERR_HTTP_BODY_SIZE;
    }
    if (collected == NULL || held + piece.size > collected->capacity) {
        size_t known = held + piece.size + MIN(state->body.remaining, (uint64_t)1 << 16);
        struct entry *grown = entry_create(transport, MAX(known, held * 2));
        if (grown == NULL) {
            return GYR_ERR_MEMORY;
        }
        if (collected != NULL) {
            memcpy(entry_payload(grown), entry_payload(collected), held);
            entry_free(transport, collected);
        }
        state->collected = grown;
        collected = grown;
    }
    if (piece.size != 0) {
        memcpy(entry_payload(collected) + held, piece.ptr, piece.size);
    }
    collected->size = (uint32_t)(held + piece.size);
    if (!last) {
        return 0;
    }
    struct span content = {entry_payload(collected), collected->size};
    return transport->core->service->on_body(transport->exchange, span_public(content), true);
}

static void state_free(struct transport *transport)
{
    struct http_state *state = transport->http.state;
    if (state == NULL) {
        return;
    }
    entry_free(transport, state->collected);
    while (state->early_head != NULL) {
        struct entry *entry = state->early_head;
        state->early_head = entry->next;
        entry_free(transport, entry);
    }
    transport_free(transport, state, sizeof(*state));
    transport->http.state = NULL;
}

void session_http_cut(struct transport *transport)
{
    if (transport->http.partial != NULL) {
        transport_free(transport, transport->http.partial, sizeof(struct http_request));
        transport->http.partial = NULL;
    }
    struct gyr_conn *exchange = transport->exchange;
    if (exchange != NULL) {
        request_finish(transport,
                       exchange->state == EXCHANGE_ANSWERED ? GYR_DONE_ANSWERED : GYR_DONE_ABORTED);
    }
    state_free(transport);
    if (transport->http.file != NULL) {
        session_file_cut(transport);
    }
}

struct session_limit session_http_limit(const struct transport *transport)
{
    const struct gyr_config *config = transport->core->config;
    const struct gyr_conn *exchange = transport->exchange;
    unsigned waits = EXCHANGE_F_PENDING | EXCHANGE_F_QUEUE_HIGH;
    if ((transport->flags & (TRANSPORT_F_QUEUE_HIGH | TRANSPORT_F_RATE)) != 0 ||
        (exchange != NULL && exchange->state == EXCHANGE_STREAMING &&
         (exchange->flags & (EXCHANGE_F_BODY | waits)) != EXCHANGE_F_BODY)) {
        return (struct session_limit){0}; /* the wait is ours; the send limit counts */
    }
    uint32_t since_ms = transport->phase_ms;
    uint32_t limit_ms = config->keep_alive_timeout_ms;
    if (exchange != NULL && (exchange->flags & EXCHANGE_F_PENDING) != 0) {
        if ((exchange->flags & EXCHANGE_F_RESULT) != 0) {
            return (struct session_limit){0};
        }
        since_ms = exchange->pending_ms;
        limit_ms = config->handshake_timeout_ms;
    } else if (exchange != NULL) {
        bool window = (exchange->flags & EXCHANGE_F_BODY) != 0 && config->body_rate_min != 0;
        since_ms = transport->activity_ms;
        if (window && (int32_t)(transport->http.state->window_ms - since_ms) < 0) {
            since_ms = transport->http.state->window_ms;
        }
        limit_ms = (exchange->flags & EXCHANGE_F_PAUSED) != 0 ? 0 : config->body_timeout_ms;
    } else if ((transport->flags & TRANSPORT_F_IN_REQUEST) != 0) {
        limit_ms = config->header_timeout_ms;
    }
    return (struct session_limit){.due_ms = since_ms + limit_ms, .set = limit_ms != 0};
}

void session_http_wait_ended(struct transport *transport)
{
    if (transport->http.state != NULL) {
        transport->http.state->window_ms = core_now32(transport->core);
        transport->http.state->window_size = 0;
    }
}

/* A window of body_timeout_ms is over. Has it brought bytes up to its end, and enough of them? Then
 * another one begins. */
static bool body_is_fast_enough(struct transport *transport)
{
    const struct gyr_config *config = transport->core->config;
    const struct gyr_conn *exchange = transport->exchange;
    struct http_state *state = transport->http.state;
    uint32_t now_ms = core_now32(transport->core);
    if (exchange == NULL ||
        (exchange->flags & (EXCHANGE_F_BODY | EXCHANGE_F_PENDING)) != EXCHANGE_F_BODY ||
        now_ms - transport->activity_ms >= config->body_timeout_ms ||
        state->window_size * 1000 / MAX(now_ms - state->window_ms, 1U) < config->body_rate_min) {
        return false;
    }
    session_http_wait_ended(transport);
    return true;
}

void session_http_on_limit(struct transport *transport)
{
    if (body_is_fast_enough(transport)) {
        return;
    }
    STATS_ADD(&transport->core->stats, timeouts, 1);
    const struct gyr_conn *exchange = transport->exchange;
    if (exchange != NULL && (exchange->flags & EXCHANGE_F_PENDING) != 0) {
        session_http_fail(transport, GYR_ERR_HTTP_SERVICE_TIME);
    } else if (exchange != NULL || transport->http.partial != NULL) {
        session_http_fail(transport, GYR_ERR_TIMEOUT);
    } else {
        transport_end_idle(transport, transport->phase_ms); /* nothing was asked: no answer */
    }
}

void session_http_drain(struct transport *transport)
{
    const struct core *core = transport->core;
    transport->flags |= TRANSPORT_F_LAST_REQUEST;
    /* A request is on its way, or very likely so after an accept: it would wait for an answer. On
     * a connection that was used before, an answer that nobody asked for could be taken for that of
     * a later request; its client expects that it may end (RFC 9112 section 9.5). */
    if (core->state == CORE_DRAINING && (transport->flags & TRANSPORT_F_IN_REQUEST) != 0 &&
        (transport->http.partial != NULL ||
         core_now32(core) - transport->phase_ms < core->config->close_timeout_ms)) {
        session_http_fail(transport, GYR_ERR_HTTP_STOPPING);
    } else if (transport->http.partial != NULL) {
        transport_end(transport); /* it is not idle: the rest of the head is on its way */
    } else if (transport->exchange == NULL) {
        transport_end_idle(transport, transport->phase_ms);
    }
}
