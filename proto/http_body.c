/* SPDX-License-Identifier: MIT */
/* Reads the body of a request: by length, or chunk by chunk. Content is handed out in place; the
 * bytes round it go one by one through a small automaton, so that no split of the input can change
 * what is emitted (P1). Extensions and trailers are checked and discarded, both within a budget.
 *
 * Journey: hop 4 (for HTTP). RFC 9112 sections 6 and 7, RFC 9110 section 6.5.
 *
 *   LENGTH, or SIZE_FIRST --> SIZE --> (EXT_*) --> LINE_LF --> DATA --> DATA_CR --> DATA_LF --+
 *                  ^                                  |                                       |
 *                  +----------------------------------|---------------------------------------+
 *                                   size 0            v
 *   DONE <-- END_LF <--(CR)-- TRAILER_FIRST <--> TRAILER_NAME --> TRAILER_VALUE --> TRAILER_LF
 *
 *   chunk_line_byte takes SIZE_FIRST to LINE_LF, extension_byte EXT_*, chunk_end_byte DATA_CR and
 *   DATA_LF, trailer_byte the last line of the picture.
 */
#include "proto/http_body.h"

#include "proto/http_byte.h"

#define CHUNK_SIZE_DIGITS_MAX 16          /* what a uint64_t holds */
#define CHUNK_LINE_SIZE_MAX   4096        /* one size with its extensions */
#define OVERHEAD_SIZE_MAX     (16 * 1024) /* extensions and trailers of a body (CVE-2023-39326) */
#define NAME_INDEX_NONE       UINT8_MAX

enum {
    STATE_DONE,
    STATE_LENGTH,
    STATE_SIZE_FIRST,
    STATE_SIZE,
    STATE_EXT_NAME_FIRST,
    STATE_EXT_NAME,
    STATE_EXT_VALUE_FIRST,
    STATE_EXT_VALUE,
    STATE_EXT_QUOTED,
    STATE_EXT_ESCAPED,
    STATE_EXT_QUOTED_END,
    STATE_LINE_LF,
    STATE_DATA,
    STATE_DATA_CR,
    STATE_DATA_LF,
    STATE_TRAILER_FIRST,
    STATE_TRAILER_NAME,
    STATE_TRAILER_VALUE,
    STATE_TRAILER_LF,
    STATE_END_LF,
};

static_assert(sizeof(struct http_body) <= 48, "one body per exchange, idle ones included");

#define NAME(text)                                \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }

/* Fields that would change how the request is framed, routed, authorised or read after that has
 * been decided (RFC 9110 section 6.5.1). Sorted, since a name is matched byte by byte as it
 * comes. */
static const struct span forbidden_names[] = {
    NAME("age"),
    NAME("authorization"),
    NAME("cache-control"),
    NAME("connection"),
    NAME("content-encoding"),
    NAME("content-length"),
    NAME("content-range"),
    NAME("content-type"),
    NAME("cookie"),
    NAME("date"),
    NAME("expect"),
    NAME("expires"),
    NAME("host"),
    NAME("if-match"),
    NAME("if-modified-since"),
    NAME("if-none-match"),
    NAME("if-range"),
    NAME("if-unmodified-since"),
    NAME("keep-alive"),
    NAME("location"),
    NAME("max-forwards"),
    NAME("pragma"),
    NAME("proxy-authenticate"),
    NAME("proxy-authorization"),
    NAME("proxy-connection"),
    NAME("range"),
    NAME("retry-after"),
    NAME("set-cookie"),
    NAME("te"),
    NAME("trailer"),
    NAME("transfer-encoding"),
    NAME("upgrade"),
    NAME("vary"),
    NAME("warning"),
    NAME("www-authenticate"),
};

static_assert(COUNT_OF(forbidden_names) < NAME_INDEX_NONE, "an index is one byte");

static int chunked_parse(struct http_body *body, uint64_t size_max, const uint8_t *bytes,
                         size_t size, size_t *consumed, struct span *piece);
static int chunked_byte(struct http_body *body, uint64_t size_max, uint8_t byte);
static void data_take(struct http_body *body, const uint8_t *bytes, size_t size,
                      struct span *piece);

void http_body_init(struct http_body *body, const struct http_request *request)
{
    *body = (struct http_body){.framing = request->framing};
    if (request->framing == HTTP_FRAMING_LENGTH) {
        body->remaining = request->content_length;
        body->state = STATE_LENGTH;
    } else if (request->framing == HTTP_FRAMING_CHUNKED) {
        body->state = STATE_SIZE_FIRST;
    }
}

int http_body_parse(struct http_body *body, uint64_t size_max, const uint8_t *bytes, size_t size,
                    size_t *consumed, struct span *piece)
{
    *consumed = 0;
    *piece = span_of(bytes, 0);
    if (body->state == STATE_DONE) {
        return 0;
    }
    if (body->state != STATE_LENGTH) {
        return chunked_parse(body, size_max, bytes, size, consumed, piece);
    }
    if (body->received + body->remaining > size_max) {
        return GYR_ERR_HTTP_BODY_SIZE;
    }
    data_take(body, bytes, size, piece);
    *consumed = piece->size;
    if (body->remaining > 0) {
        return NEED_MORE;
    }
    body->state = STATE_DONE;
    return 0;
}

/* A piece ends the call even where more could be taken: an error in the bytes behind it must not
 * swallow it, since with another split it would have been emitted. */
static int chunked_parse(struct http_body *body, uint64_t size_max, const uint8_t *bytes,
                         size_t size, size_t *consumed, struct span *piece)
{
    while (*consumed < size) {
        if (body->state == STATE_DATA) {
            data_take(body, bytes + *consumed, size - *consumed, piece);
            *consumed += piece->size;
            if (body->remaining == 0) {
                body->state = STATE_DATA_CR;
            }
            return NEED_MORE;
        }
        int err = chunked_byte(body, size_max, bytes[*consumed]);
        if (err != 0) {
            return err;
        }
        (*consumed)++;
        if (body->state == STATE_DONE) {
            return 0;
        }
    }
    return NEED_MORE;
}

static void data_take(struct http_body *body, const uint8_t *bytes, size_t size, struct span *piece)
{
    size_t take = (size_t)MIN(body->remaining, size);
    *piece = span_of(bytes, take);
    body->remaining -= take;
    body->received += take;
}

/* The chunk-size line is complete. */
static int chunk_begin(struct http_body *body, uint64_t size_max)
{
    body->line_size = 0;
    if (body->remaining == 0) {
        body->state = STATE_TRAILER_FIRST;
        return 0;
    }
    if (body->received > size_max || body->remaining > size_max - body->received) {
        return GYR_ERR_HTTP_BODY_SIZE;
    }
    body->state = STATE_DATA;
    return 0;
}

static uint64_t hex_value(uint8_t digit)
{
    return digit <= '9' ? (uint64_t)(digit - '0') : (uint64_t)((digit | 0x20) - 'a' + 10);
}

/* The end of a size, an extension name or an extension value: what may follow each is the same.
 * White space may not, though RFC 9112 section 7.1.1 would have it skipped. */
static int chunk_line_part_end(struct http_body *body, uint8_t byte)
{
    if (byte == ';') {
        body->state = STATE_EXT_NAME_FIRST;
        return 0;
    }
    if (byte == '\r') {
        body->state = STATE_LINE_LF;
        return 0;
    }
    return GYR_ERR_HTTP_CHUNK;
}

/* token [ "=" ( token / quoted-string ) ] (RFC 9112 section 7.1.1, RFC 9110 section 5.6.4). */
static int extension_byte(struct http_body *body, uint8_t byte)
{
    bool token = http_byte_is(byte, HTTP_BYTE_TOKEN);
    bool quoted = http_byte_is(byte, HTTP_BYTE_QUOTED);
    bool text = http_byte_is(byte, HTTP_BYTE_VALUE);
    switch (body->state) {
    case STATE_EXT_NAME_FIRST:
        body->state = STATE_EXT_NAME;
        return token ? 0 : GYR_ERR_HTTP_CHUNK;
    case STATE_EXT_NAME:
        if (byte == '=') {
            body->state = STATE_EXT_VALUE_FIRST;
            return 0;
        }
        return token ? 0 : chunk_line_part_end(body, byte);
    case STATE_EXT_VALUE_FIRST:
        body->state = byte == '"' ? STATE_EXT_QUOTED : STATE_EXT_VALUE;
        return token || byte == '"' ? 0 : GYR_ERR_HTTP_CHUNK;
    case STATE_EXT_VALUE:
        return token ? 0 : chunk_line_part_end(body, byte);
    case STATE_EXT_QUOTED:
        if (byte == '"') {
            body->state = STATE_EXT_QUOTED_END;
        } else if (byte == '\\') {
            body->state = STATE_EXT_ESCAPED;
        }
        return quoted || body->state != STATE_EXT_QUOTED ? 0 : GYR_ERR_HTTP_CHUNK;
    case STATE_EXT_ESCAPED:
        body->state = STATE_EXT_QUOTED;
        return text ? 0 : GYR_ERR_HTTP_CHUNK;
    default: /* STATE_EXT_QUOTED_END */
        return chunk_line_part_end(body, byte);
    }
}

/* chunk-size [ chunk-ext ] CRLF (RFC 9112 section 7.1). */
static int chunk_line_byte(struct http_body *body, uint64_t size_max, uint8_t byte)
{
    if (body->state == STATE_LINE_LF) {
        return byte == '\n' ? chunk_begin(body, size_max) : GYR_ERR_HTTP_CHUNK;
    }
    body->line_size++;
    if (body->state > STATE_SIZE) {
        body->overhead++;
        bool within = body->line_size <= CHUNK_LINE_SIZE_MAX && body->overhead <= OVERHEAD_SIZE_MAX;
        return within ? extension_byte(body, byte) : GYR_ERR_HTTP_CHUNK;
    }
    if (http_byte_is(byte, HTTP_BYTE_HEX)) {
        body->state = STATE_SIZE;
        body->remaining = body->remaining << 4 | hex_value(byte);
        return body->line_size <= CHUNK_SIZE_DIGITS_MAX ? 0 : GYR_ERR_HTTP_CHUNK;
    }
    return body->state == STATE_SIZE ? chunk_line_part_end(body, byte) : GYR_ERR_HTTP_CHUNK;
}

/* The CRLF after the data of a chunk. */
static int chunk_end_byte(struct http_body *body, uint8_t byte)
{
    bool cr = body->state == STATE_DATA_CR;
    body->state = cr ? STATE_DATA_LF : STATE_SIZE_FIRST;
    return byte == (cr ? '\r' : '\n') ? 0 : GYR_ERR_HTTP_CHUNK;
}

/* One more byte of a trailer name. name_index is the first forbidden name that begins with the
 * name_size bytes so far; those that share the beginning lie behind it. */
static void trailer_name_byte(struct http_body *body, uint8_t byte)
{
    if (body->name_index == NAME_INDEX_NONE) {
        return;
    }
    uint8_t letter = ascii_lower(byte);
    size_t size = body->name_size;
    const struct span *first = &forbidden_names[body->name_index];
    const struct span *end = forbidden_names + COUNT_OF(forbidden_names);
    for (const struct span *name = first; name < end; name++) {
        if (name->size < size || memcmp(name->ptr, first->ptr, size) != 0) {
            break;
        }
        if (name->size > size && name->ptr[size] == letter) {
            body->name_index = (uint8_t)(name - forbidden_names);
            body->name_size++;
            return;
        }
    }
    body->name_index = NAME_INDEX_NONE;
}

static bool trailer_name_is_forbidden(const struct http_body *body)
{
    return body->name_index != NAME_INDEX_NONE &&
           forbidden_names[body->name_index].size == body->name_size;
}

/* *( field-line CRLF ) CRLF (RFC 9112 section 7.1.2), with the grammar of the head. */
static int trailer_byte(struct http_body *body, uint8_t byte)
{
    body->overhead++;
    if (body->overhead > OVERHEAD_SIZE_MAX) {
        return GYR_ERR_HTTP_TRAILER;
    }
    switch (body->state) {
    case STATE_TRAILER_FIRST:
        if (byte == '\r') {
            body->state = STATE_END_LF;
            return 0;
        }
        body->name_index = 0;
        body->name_size = 0;
        body->state = STATE_TRAILER_NAME;
        trailer_name_byte(body, byte);
        return http_byte_is(byte, HTTP_BYTE_TOKEN) ? 0 : GYR_ERR_HTTP_TRAILER;
    case STATE_TRAILER_NAME:
        if (byte == ':') {
            body->state = STATE_TRAILER_VALUE;
            return trailer_name_is_forbidden(body) ? GYR_ERR_HTTP_TRAILER : 0;
        }
        trailer_name_byte(body, byte);
        return http_byte_is(byte, HTTP_BYTE_TOKEN) ? 0 : GYR_ERR_HTTP_TRAILER;
    case STATE_TRAILER_VALUE:
        if (byte == '\r') {
            body->state = STATE_TRAILER_LF;
            return 0;
        }
        return http_byte_is(byte, HTTP_BYTE_VALUE) ? 0 : GYR_ERR_HTTP_TRAILER;
    case STATE_TRAILER_LF:
        body->state = STATE_TRAILER_FIRST;
        return byte == '\n' ? 0 : GYR_ERR_HTTP_TRAILER;
    default: /* STATE_END_LF */
        body->state = STATE_DONE;
        return byte == '\n' ? 0 : GYR_ERR_HTTP_TRAILER;
    }
}

static int chunked_byte(struct http_body *body, uint64_t size_max, uint8_t byte)
{
    if (body->state < STATE_DATA) {
        return chunk_line_byte(body, size_max, byte);
    }
    if (body->state < STATE_TRAILER_FIRST) {
        return chunk_end_byte(body, byte);
    }
    return trailer_byte(body, byte);
}
