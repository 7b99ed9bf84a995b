/* SPDX-License-Identifier: MIT */
/* A session gives the bytes of a transport their meaning: it drives proto/, makes upcalls, writes
 * output, and has never heard of rings. A transport begins as HTTP/1.1 and may become a
 * WebSocket. */
#ifndef ENGINE_SESSION_H
#define ENGINE_SESSION_H

#include "base/base.h"
#include "engine/exchange.h"

enum session_kind {
    SESSION_HTTP,
    SESSION_WS,
    SESSION_PROXY, /* a PROXY header, then HTTP */
};

/* Must input wait, for the exchange or for the queue? */
static inline bool session_is_waiting(const struct transport *transport)
{
    return (transport->flags & (TRANSPORT_F_QUEUE_HIGH | TRANSPORT_F_RATE)) != 0 ||
           (transport->exchange != NULL && exchange_is_waiting(transport->exchange));
}

/* Handle input as far as it goes and as the exchange does not wait. `bytes` may be written to:
 * unmasked and framed in place; MESSAGE_PADDING bytes behind it are readable. Returns how many
 * bytes were handled; the rest must come again, with more or later. */
size_t session_input(struct transport *transport, uint8_t *bytes, size_t size);

/* `size` more bytes have come from the peer, and byte_rate_max is set. */
void session_bytes_received(struct transport *transport, size_t size);

/* Bytes that a session may leave unhandled for want of more, at most. */
size_t session_unit_max(const struct transport *transport);

/* Work that waits for no input: the result of what was pending, and a queue that has drained. */
void session_work(struct transport *transport);

/* Where the bytes that come next belong as they are, if that is more than `size_min` of them: the
 * rest of a large message. Returns false if they must be looked at. */
bool session_direct(struct transport *transport, size_t size_min, uint8_t **target, size_t *size);
/* `size` bytes have been received there. */
void session_direct_done(struct transport *transport, size_t size);

/* A wait of our own making is over: time limits count from now. */
void session_wait_ended(struct transport *transport);

/* The peer has ended its stream. */
void session_end_of_stream(struct transport *transport);

/* The transport is being cut: end the exchange (D1) and free what the session owns. */
void session_cut(struct transport *transport);

/* The time limit that comes first, if there is one; times are the core's, modulo 2^32. */
struct session_limit {
    uint32_t due_ms;
    bool set;
};
struct session_limit session_limit(const struct transport *transport);
/* Act on whatever has passed its limit. */
void session_on_limit(struct transport *transport);

/* The server stops: end politely, now or after the current request. */
void session_drain(struct transport *transport);

/* ---- session_http.c ---- */
size_t session_http_input(struct transport *transport, uint8_t *bytes, size_t size);
void session_http_cut(struct transport *transport);
void session_http_fail(struct transport *transport, int err);
struct session_limit session_http_limit(const struct transport *transport);
void session_http_on_limit(struct transport *transport);
void session_http_drain(struct transport *transport);
/* A wait of ours is over: the rate of the content counts from now. */
void session_http_wait_ended(struct transport *transport);
/* Take what on_request, on_body or a later gyr_finish has returned. */
void session_http_result(struct transport *transport, int result);
/* Let a client send its content that waits for 100 Continue. */
MUST_CHECK int session_http_continue(struct transport *transport);

/* Input of SESSION_PROXY. */
size_t session_proxy_input(struct transport *transport, const uint8_t *bytes, size_t size);

/* ---- session_response.c ---- */
MUST_CHECK int session_http_respond(struct gyr_conn *exchange, const struct gyr_response *response);
/* Write the head only: of `content_size` bytes, or STREAM_SIZE_UNKNOWN. */
MUST_CHECK int session_http_respond_head(struct gyr_conn *exchange,
                                         const struct gyr_response *response,
                                         uint64_t content_size);
MUST_CHECK int session_http_upgrade(struct gyr_conn *exchange, const struct gyr_upgrade *upgrade);
/* Write the head, which announces `content_size` bytes, and what there is of the content. `flags`
 * are of the exchange: how it asked. */
MUST_CHECK int session_response_write(struct transport *transport,
                                      const struct gyr_response *response, uint64_t content_size,
                                      unsigned flags);

/* ---- session_ws.c ---- */
void session_ws_open(struct transport *transport);
size_t session_ws_input(struct transport *transport, uint8_t *bytes, size_t size);
void session_ws_cut(struct transport *transport, uint16_t close_code);
void session_ws_result(struct transport *transport, int result);
/* Queue a Close frame and begin the closing handshake. */
void session_ws_close(struct transport *transport, uint16_t close_code, struct span reason);
/* Only the frame. */
void session_ws_send_close(struct transport *transport, uint16_t close_code, struct span reason);
struct session_limit session_ws_limit(const struct transport *transport);
void session_ws_on_limit(struct transport *transport);
/* It sends faster than it may: close with 1008. */
void session_ws_exceeded(struct transport *transport);

/* ---- session_stream.c: a response whose content comes in pieces ---- */

#define STREAM_SIZE_UNKNOWN UINT64_MAX

/* Write the head and begin; `content_size` is what all pieces will have together, or
 * STREAM_SIZE_UNKNOWN: then chunked (RFC 9112 section 7.1), or up to the end of the connection for
 * HTTP/1.0. Errors as gyr_respond. */
MUST_CHECK int session_stream_begin(struct gyr_conn *exchange, const struct gyr_response *response,
                                    uint64_t content_size);
/* Queue a piece, which is copied. Returns as gyr_respond_part. */
MUST_CHECK int session_stream_part(struct gyr_conn *exchange, struct span piece);
/* The same in two steps, for a piece that is written where it goes out from: room for `size` bytes,
 * to be filled at once and committed. `*room` is NULL if there is nothing to be filled: an error,
 * no bytes, or nobody who wants them. */
MUST_CHECK int session_stream_reserve(struct gyr_conn *exchange, size_t size, uint8_t **room);
MUST_CHECK int session_stream_commit(struct gyr_conn *exchange, size_t size);
/* The same for `entry->size` bytes that were read into the payload of an entry: takes it, whatever
 * is returned, and does not copy. */
MUST_CHECK int session_stream_entry(struct gyr_conn *exchange, struct entry *entry);
/* All pieces have been queued. Returns as gyr_respond_end; a response that has fewer bytes than
 * announced breaks: GYR_ERR_CLOSED. */
MUST_CHECK int session_stream_end(struct gyr_conn *exchange);
/* It cannot go on: cut the connection, so that the client sees that something is missing. on_done
 * follows. */
void session_stream_break(struct gyr_conn *exchange);
/* Take what a callback has returned that is neither 0 nor GYR_PENDING. */
void session_stream_result(struct gyr_conn *exchange, int result);
/* Its end is queued, and no callback of it is running: finish the exchange. */
void session_stream_ended(struct transport *transport);

/* ---- session_file.c: a response that is a file ---- */

/* See gyr_respond_file. */
MUST_CHECK int session_file_begin(struct gyr_conn *exchange, const struct gyr_request *request,
                                  const struct gyr_files *files, struct span path);
/* Something was opened or read. */
void session_file_on_completion(struct transport *transport, const struct completion *completion);
/* The queue has drained: read on. */
void session_file_read(struct transport *transport);
/* The transport is being cut; there is a file. */
void session_file_cut(struct transport *transport);

/* Is the content of its response that of a file, so that nobody else may add to it? */
static inline bool session_file_is_sent(const struct gyr_conn *exchange)
{
    return exchange->state == EXCHANGE_STREAMING && exchange->transport->http.file != NULL;
}

#endif
