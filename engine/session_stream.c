/* SPDX-License-Identifier: MIT */
/* Responses whose content comes in pieces: chunked (RFC 9112 section 7.1), of a known size, or, for
 * HTTP/1.0, up to the end of the connection (section 6.3). A piece is part of the batch's run like
 * any other output, or an entry of the queue. Journey: hop 9 for requests.
 *
 * The exchange lives from session_stream_begin to session_stream_end, whatever its callbacks
 * return, and is finished where none of them is running: after the callback that has ended it, or
 * in session_work. A response that cannot be completed ends with a reset, so that its client does
 * not take it for whole. */
#include "engine/session.h"

#include "engine/access.h"
#include "proto/http_response.h"

#define CHUNK_END      "\r\n"
#define CHUNK_END_SIZE 2
#define LAST_CHUNK     "0\r\n\r\n"

static_assert(HTTP_CHUNK_HEADER_MAX <= WS_SERVER_HEADER_SIZE_MAX, "fits in front of a payload");
static_assert(CHUNK_END_SIZE <= MESSAGE_PADDING, "fits behind a payload that fills its entry");

static int stream_check(const struct gyr_conn *exchange, size_t size);
static int stream_admit(struct gyr_conn *exchange, size_t size);
static int stream_status(struct transport *transport, size_t size);

static struct http_stream *stream_of(const struct gyr_conn *exchange)
{
    return &exchange->transport->http.stream;
}

int session_stream_begin(struct gyr_conn *exchange, const struct gyr_response *response,
                         uint64_t content_size)
{
    struct transport *transport = exchange->transport;
    if (exchange->state != EXCHANGE_REQUEST) {
        return GYR_ERR_STATE;
    }
    if (response->content.size != 0) {
        return GYR_ERR_ARGUMENT;
    }
    if ((exchange->flags & EXCHANGE_F_CONTINUE) != 0 && response->status_code < 400) {
        /* The request's content may be what the response is made of. After the head it would be too
         * late to ask for it. */
        int err = session_http_continue(transport);
        if (err < 0) {
            return err;
        }
    }
    int err = session_http_respond_head(exchange, response, content_size);
    if (err < 0) {
        return err;
    }
    unsigned flags = 0;
    if (content_size != STREAM_SIZE_UNKNOWN) {
        flags = HTTP_STREAM_F_SIZED;
    } else if ((exchange->flags & EXCHANGE_F_HTTP_1_0) == 0) {
        flags = HTTP_STREAM_F_CHUNKED;
    }
    if ((exchange->flags & EXCHANGE_F_NO_CONTENT) != 0 ||
        !http_status_has_content(response->status_code)) {
        flags |= HTTP_STREAM_F_DROPPED;
    }
    transport->http.stream = (struct http_stream){
        .remaining = content_size,
        .flags = (uint8_t)flags,
    };
    return 0;
}

int session_stream_part(struct gyr_conn *exchange, struct span piece)
{
    uint8_t *room;
    int err = session_stream_reserve(exchange, piece.size, &room);
    if (room == NULL) {
        return err;
    }
    memcpy(room, piece.ptr, piece.size);
    return session_stream_commit(exchange, piece.size);
}

int session_stream_reserve(struct gyr_conn *exchange, size_t size, uint8_t **room)
{
    *room = NULL;
    if (session_file_is_sent(exchange)) {
        return GYR_ERR_STATE;
    }
    int err = stream_admit(exchange, size);
    if (err < 0 || size == 0 || (stream_of(exchange)->flags & HTTP_STREAM_F_DROPPED) != 0) {
        return err;
    }
    size_t framing_size = 0;
    size_t header_size = 0;
    if ((stream_of(exchange)->flags & HTTP_STREAM_F_CHUNKED) != 0) {
        header_size = http_chunk_header_size((uint32_t)size);
        framing_size = header_size + CHUNK_END_SIZE;
    }
    uint8_t *bytes = transport_reserve(exchange->transport, framing_size + size);
    if (bytes == NULL) {
        return GYR_ERR_MEMORY;
    }
    if (framing_size != 0) {
        http_chunk_header_write(bytes, (uint32_t)size);
        memcpy(bytes + header_size + size, CHUNK_END, CHUNK_END_SIZE);
    }
    *room = bytes + header_size;
    return 0;
}

int session_stream_commit(struct gyr_conn *exchange, size_t size)
{
    struct http_stream *stream = stream_of(exchange);
    size_t wire_size = size;
    if ((stream->flags & HTTP_STREAM_F_CHUNKED) != 0) {
        wire_size += http_chunk_header_size((uint32_t)size) + CHUNK_END_SIZE;
    }
    stream->remaining -= size;
    access_content(exchange->transport, size);
    transport_commit(exchange->transport, wire_size);
    return stream_status(exchange->transport, wire_size);
}

int session_stream_entry(struct gyr_conn *exchange, struct entry *entry)
{
    struct transport *transport = exchange->transport;
    struct http_stream *stream = stream_of(exchange);
    size_t size = entry->size;
    ASSERT(entry->kind == ENTRY_RAW && entry->header_size == 0 && size <= entry->capacity);
    int err = stream_admit(exchange, size);
    if (err < 0 || size == 0 || (stream->flags & HTTP_STREAM_F_DROPPED) != 0) {
        entry_free(transport, entry);
        return err;
    }
    if ((stream->flags & HTTP_STREAM_F_CHUNKED) != 0) {
        uint8_t *payload = entry_payload(entry);
        size_t header_size = http_chunk_header_size((uint32_t)size);
        http_chunk_header_write(payload - header_size, (uint32_t)size);
        memcpy(payload + size, CHUNK_END, CHUNK_END_SIZE);
        entry->header_size = (uint8_t)header_size;
        entry->size += CHUNK_END_SIZE;
    }
    stream->remaining -= size;
    access_content(transport, size);
    size_t wire_size = (size_t)entry->header_size + entry->size;
    transport_queue_behind_batch(transport, entry);
    return stream_status(transport, wire_size);
}

int session_stream_end(struct gyr_conn *exchange)
{
    struct transport *transport = exchange->transport;
    int err = stream_check(exchange, 0);
    if (err < 0) {
        return err;
    }
    struct http_stream *stream = stream_of(exchange);
    bool dropped = (stream->flags & HTTP_STREAM_F_DROPPED) != 0;
    if ((stream->flags & HTTP_STREAM_F_SIZED) != 0 && !dropped && stream->remaining != 0) {
        session_stream_break(exchange);
        return GYR_ERR_CLOSED;
    }
    if ((stream->flags & HTTP_STREAM_F_CHUNKED) != 0 && !dropped) {
        uint8_t *bytes = transport_reserve(transport, sizeof(LAST_CHUNK) - 1);
        if (bytes == NULL) {
            /* A service that has said its last word need not be asked to say it again. */
            session_stream_break(exchange);
            return GYR_ERR_MEMORY;
        }
        memcpy(bytes, LAST_CHUNK, sizeof(LAST_CHUNK) - 1);
        transport_commit(transport, sizeof(LAST_CHUNK) - 1);
    }
    exchange->state = EXCHANGE_ANSWERED;
    stream->flags |= HTTP_STREAM_F_ENDED;
    transport_mark(transport, TRANSPORT_F_WORK);
    return 0;
}

void session_stream_break(struct gyr_conn *exchange)
{
    transport_mark(exchange->transport, TRANSPORT_F_CUT);
}

void session_stream_result(struct gyr_conn *exchange, int result)
{
    if (result < 0) {
        session_stream_break(exchange);
    } else if (result == GYR_QUEUE_HIGH) {
        exchange->flags |= EXCHANGE_F_QUEUE_HIGH;
        transport_mark(exchange->transport, TRANSPORT_F_DRAIN_OWED | TRANSPORT_F_WORK);
    }
}

void session_stream_ended(struct transport *transport)
{
    struct gyr_conn *exchange = transport->exchange;
    unsigned waits = EXCHANGE_F_PENDING | EXCHANGE_F_RESULT | EXCHANGE_F_QUEUE_HIGH;
    bool pending = (exchange->flags & EXCHANGE_F_PENDING) != 0;
    int result = 0;
    exchange->flags &= (uint16_t)~waits; /* it was all about this response */
    transport->http.stream.flags = 0;
    session_wait_ended(transport);
    if (pending && transport->core->service->on_finish != NULL) {
        result = transport->core->service->on_finish(exchange, GYR_PENDING);
    }
    session_http_result(transport, result);
    transport_timer_update(transport);
}

/* May `size` bytes of content come now, as far as the response is concerned? */
static int stream_check(const struct gyr_conn *exchange, size_t size)
{
    if (exchange->state != EXCHANGE_STREAMING) {
        return exchange->state == EXCHANGE_CLOSED ? GYR_ERR_CLOSED : GYR_ERR_STATE;
    }
    if (!transport_is_live(exchange->transport)) {
        return GYR_ERR_CLOSED;
    }
    const struct http_stream *stream = stream_of(exchange);
    if (size > UINT32_MAX / 2 ||
        ((stream->flags & HTTP_STREAM_F_SIZED) != 0 && size > stream->remaining)) {
        return GYR_ERR_ARGUMENT;
    }
    return 0;
}

/* And as far as the queue is? What is dropped is only counted. */
static int stream_admit(struct gyr_conn *exchange, size_t size)
{
    int err = stream_check(exchange, size);
    if (err < 0 || size == 0) {
        return err;
    }
    struct http_stream *stream = stream_of(exchange);
    if ((stream->flags & HTTP_STREAM_F_DROPPED) != 0) {
        stream->remaining -= size;
        return 0;
    }
    size_t wire_size = size;
    if ((stream->flags & HTTP_STREAM_F_CHUNKED) != 0) {
        wire_size += http_chunk_header_size((uint32_t)size) + CHUNK_END_SIZE;
    }
    if (transport_is_full(exchange->transport, wire_size)) {
        transport_refused(exchange->transport);
        return GYR_ERR_BACKPRESSURE;
    }
    return 0;
}

/* A client that reads as fast as its response is made would keep a service that sends while it may
 * from ever returning: within one turn no more than the high mark is a response's share (L1). */
static int stream_status(struct transport *transport, size_t size)
{
    struct core *core = transport->core;
    struct http_stream *stream = &transport->http.stream;
    uint16_t turn = (uint16_t)atomic_load_explicit(&core->stats.turns, memory_order_relaxed);
    if (stream->turn != turn) {
        stream->turn = turn;
        stream->burst = 0;
    }
    stream->burst += (uint32_t)MIN(size, (size_t)(UINT32_MAX - stream->burst));
    if (transport_queue_status(transport) == 0 && stream->burst < core->config->send_queue_high) {
        return 0;
    }
    transport_mark(transport, TRANSPORT_F_DRAIN_OWED | TRANSPORT_F_WORK);
    return GYR_QUEUE_HIGH;
}
