/* SPDX-License-Identifier: MIT */
/* Responses on their way out: the head of each (RFC 9112 section 4), and the answer to a handshake
 * (RFC 6455 section 4.2.2). How a message is framed is the engine's to say, alone. Journey: hop 9
 * for requests. */
#include "engine/session.h"

#include "engine/access.h"
#include "proto/http_byte.h"
#include "proto/http_response.h"

#define RESPONSE_HEAD_MAX 512 /* of the lines that the engine writes */

static inline int respond(struct gyr_conn *exchange, const struct gyr_response *response,
                          uint64_t content_size, enum exchange_state state);
static bool field_is_reserved(struct gyr_span name);

int session_http_respond(struct gyr_conn *exchange, const struct gyr_response *response)
{
    return respond(exchange, response, response->content.size, EXCHANGE_ANSWERED);
}

int session_http_respond_head(struct gyr_conn *exchange, const struct gyr_response *response,
                              uint64_t content_size)
{
    return respond(exchange, response, content_size, EXCHANGE_STREAMING);
}

static inline int respond(struct gyr_conn *exchange, const struct gyr_response *response,
                          uint64_t content_size, enum exchange_state state)
{
    if (exchange->state != EXCHANGE_REQUEST) {
        return GYR_ERR_STATE;
    }
    if (response->status_code < 200 || response->status_code > 599) {
        return GYR_ERR_ARGUMENT;
    }
    for (size_t i = 0; i < response->field_count; i++) {
        if (field_is_reserved(response->fields[i].name)) {
            return GYR_ERR_ARGUMENT;
        }
    }
    unsigned flags = exchange->flags;
    /* An error before the content was read: what follows is of unknown length to a client that
     * stops, and a client that waits for 100 Continue may never send it. */
    bool unread = (flags & EXCHANGE_F_BODY) != 0;
    if (response->close || response->status_code == 426 || /* which says so */
        (exchange->transport->flags & TRANSPORT_F_LAST_REQUEST) != 0 ||
        (unread && (response->status_code >= 400 || (flags & EXCHANGE_F_CONTINUE) != 0))) {
        flags |= EXCHANGE_F_CLOSE;
    }
    if (content_size == STREAM_SIZE_UNKNOWN && (flags & EXCHANGE_F_HTTP_1_0) != 0 &&
        http_status_has_content(response->status_code)) {
        flags |= EXCHANGE_F_CLOSE; /* which is the end of the content (RFC 9112 section 6.3) */
    }
    int err = session_response_write(exchange->transport, response, content_size, flags);
    if (err < 0) {
        return err;
    }
    exchange->flags |= flags & EXCHANGE_F_CLOSE;
    exchange->state = (uint8_t)state;
    return 0;
}

int session_response_write(struct transport *transport, const struct gyr_response *response,
                           uint64_t content_size, unsigned flags)
{
    size_t size = RESPONSE_HEAD_MAX + response->content_type.size;
    for (size_t i = 0; i < response->field_count; i++) {
        size += response->fields[i].name.size + response->fields[i].value.size + 4;
    }
    bool may_have_content = http_status_has_content(response->status_code);
    bool content = may_have_content && (flags & EXCHANGE_F_NO_CONTENT) == 0;
    uint8_t *bytes = transport_reserve(transport, size + (content ? response->content.size : 0));
    if (bytes == NULL) {
        return GYR_ERR_MEMORY;
    }
    struct http_writer writer = http_writer_init(bytes, size);
    http_write_status(&writer, response->status_code);
    http_write_date(&writer, transport->core->date);
    if (response->content_type.size != 0) {
        http_write_content_type(&writer, span_internal(response->content_type));
    }
    if (LIKELY(content_size != STREAM_SIZE_UNKNOWN)) {
        if (may_have_content) {
            http_write_content_length(&writer, content_size);
        }
    } else if (may_have_content && (flags & EXCHANGE_F_HTTP_1_0) == 0) {
        http_write_field(&writer, SPAN_LITERAL("Transfer-Encoding"), SPAN_LITERAL("chunked"));
    }
    if (response->status_code == 426) {
        /* RFC 9110 section 15.5.22; whoever names a protocol says so in Connection, section 7.8. */
        http_write_field(&writer, SPAN_LITERAL("Connection"), SPAN_LITERAL("close, upgrade"));
        http_write_field(&writer, SPAN_LITERAL("Upgrade"), SPAN_LITERAL("websocket"));
    } else if ((flags & EXCHANGE_F_CLOSE) != 0 || response->close) {
        http_write_field(&writer, SPAN_LITERAL("Connection"), SPAN_LITERAL("close"));
    } else if ((flags & EXCHANGE_F_HTTP_1_0) != 0) {
        http_write_field(&writer, SPAN_LITERAL("Connection"), SPAN_LITERAL("keep-alive"));
    }
    for (size_t i = 0; i < response->field_count; i++) {
        http_write_field(&writer, span_internal(response->fields[i].name),
                         span_internal(response->fields[i].value));
    }
    size_t head_size;
    int err = http_write_end(&writer, &head_size);
    if (err < 0) {
        transport_commit(transport, 0);
        return err;
    }
    if (content && response->content.size != 0) {
        memcpy(bytes + head_size, response->content.ptr, response->content.size);
        head_size += response->content.size;
    }
    transport_commit(transport, head_size);
    access_answered(transport, response->status_code, content ? response->content.size : 0);
    return 0;
}

/* Fields that say how the message is framed are written by the engine alone. */
static bool field_is_reserved(struct gyr_span name)
{
    static const struct span RESERVED[] = {
        SPAN_STATIC("Content-Length"),
        SPAN_STATIC("Transfer-Encoding"),
        SPAN_STATIC("Connection"),
        SPAN_STATIC("Date"),
        SPAN_STATIC("Upgrade"),
        SPAN_STATIC("Sec-WebSocket-Accept"),
        SPAN_STATIC("Sec-WebSocket-Protocol"),
        SPAN_STATIC("Sec-WebSocket-Extensions"),
    };
    for (size_t i = 0; i < COUNT_OF(RESERVED); i++) {
        if (span_equal_nocase(span_internal(name), RESERVED[i])) {
            return true;
        }
    }
    return false;
}

int session_http_upgrade(struct gyr_conn *exchange, const struct gyr_upgrade *upgrade)
{
    struct transport *transport = exchange->transport;
    if (exchange->state != EXCHANGE_REQUEST || (exchange->flags & EXCHANGE_F_HANDSHAKE) == 0) {
        return GYR_ERR_STATE;
    }
    struct span subprotocol = span_internal(upgrade->subprotocol);
    if (!http_bytes_are(subprotocol.ptr, subprotocol.size, HTTP_BYTE_TOKEN)) {
        return GYR_ERR_ARGUMENT; /* it is one word (RFC 6455 section 4.1) */
    }
    size_t size = RESPONSE_HEAD_MAX + subprotocol.size;
    for (size_t i = 0; i < upgrade->field_count; i++) {
        if (field_is_reserved(upgrade->fields[i].name)) {
            return GYR_ERR_ARGUMENT;
        }
        size += upgrade->fields[i].name.size + upgrade->fields[i].value.size + 4;
    }
    uint8_t *bytes = transport_reserve(transport, size);
    if (bytes == NULL) {
        return GYR_ERR_MEMORY;
    }
    struct http_state *state = transport->http.state;
    struct http_writer writer = http_writer_init(bytes, size);
    http_write_status(&writer, 101);
    http_write_field(&writer, SPAN_LITERAL("Upgrade"), SPAN_LITERAL("websocket"));
    http_write_field(&writer, SPAN_LITERAL("Connection"), SPAN_LITERAL("Upgrade"));
    http_write_field(&writer, SPAN_LITERAL("Sec-WebSocket-Accept"),
                     span_of(state->accept, sizeof(state->accept)));
    if (subprotocol.size != 0) {
        http_write_field(&writer, SPAN_LITERAL("Sec-WebSocket-Protocol"), subprotocol);
    }
    for (size_t i = 0; i < upgrade->field_count; i++) {
        http_write_field(&writer, span_internal(upgrade->fields[i].name),
                         span_internal(upgrade->fields[i].value));
    }
    size_t head_size;
    int err = http_write_end(&writer, &head_size);
    transport_commit(transport, err < 0 ? 0 : head_size);
    if (err < 0) {
        return err;
    }
    exchange->state = EXCHANGE_UPGRADED;
    access_answered(transport, 101, 0);
    if (upgrade->receive_parts) {
        exchange->flags |= EXCHANGE_F_PARTS;
    }
    while (state->early_head != NULL) {
        struct entry *entry = state->early_head;
        state->early_head = entry->next;
        transport_queue_behind_batch(transport, entry);
    }
    return 0;
}
