/* SPDX-License-Identifier: MIT */
/* Checks the client's opening handshake and computes the answer to its key (RFC 6455 section 4.2).
 * Journey: hops 4 to 9 of a request, once per connection.
 *
 * Field values come from anybody, so every list is walked once, from left to right. Lists follow
 * RFC 9110 section 5.6.1 as a recipient must read them: empty elements are skipped, but a list
 * needs one that is not. That an offered subprotocol is unique (section 4.1) is not checked: a
 * repeat harms nobody, as an offer is only ever looked up, and finding it would cost more than it
 * is worth. */
#include "proto/ws_handshake.h"

#include "proto/base64.h"
#include "proto/http_byte.h"
#include "proto/sha1.h"

#define KEY_CHARS 24 /* base64 of KEY_BYTES */
#define KEY_BYTES 16

static int version_check(const struct http_request *request, const uint8_t *bytes);
static bool key_is_valid(const struct http_request *request, const uint8_t *bytes);
static bool fields_are_lists(const struct http_request *request, const uint8_t *bytes,
                             struct span name, bool (*element_take)(struct span *rest));
static bool list_is_valid(struct span list, bool (*element_take)(struct span *rest));
static bool protocol_take(struct span *rest);
static bool extension_take(struct span *rest);
static bool extension_param_take(struct span *rest);
static bool quoted_token_take(struct span *rest);
static struct span token_take(struct span *rest);
static bool char_take(struct span *rest, char wanted);
static void space_skip(struct span *rest);

static const struct span key_name = {(const uint8_t *)"Sec-WebSocket-Key", 17};
static const struct span version_name = {(const uint8_t *)"Sec-WebSocket-Version", 21};
static const struct span protocol_name = {(const uint8_t *)"Sec-WebSocket-Protocol", 22};
static const struct span extensions_name = {(const uint8_t *)"Sec-WebSocket-Extensions", 24};

int ws_handshake_check(const struct http_request *request, const uint8_t *bytes)
{
    ASSERT((request->flags & HTTP_F_UPGRADE_WEBSOCKET) != 0);
    /* First of all: what another version means by the other fields is not for us to judge. */
    int status = version_check(request, bytes);
    if (status != 0) {
        return status;
    }
    if (request->host.size == 0 || !key_is_valid(request, bytes) ||
        !fields_are_lists(request, bytes, protocol_name, protocol_take) ||
        !fields_are_lists(request, bytes, extensions_name, extension_take)) {
        return GYR_ERR_HTTP_UPGRADE;
    }
    return 0;
}

void ws_handshake_accept(const uint8_t key[24], uint8_t accept[WS_ACCEPT_SIZE])
{
    /* RFC 6455 section 1.3 gives this GUID its meaning. */
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t proof[KEY_CHARS + sizeof(guid) - 1];
    uint8_t digest[SHA1_DIGEST_SIZE];

    memcpy(proof, key, KEY_CHARS);
    memcpy(proof + KEY_CHARS, guid, sizeof(guid) - 1);
    sha1(proof, sizeof(proof), digest);
    size_t size = base64_encode(accept, span_of(digest, sizeof(digest)));
    ASSERT(size == WS_ACCEPT_SIZE);
}

bool ws_handshake_offers(const struct http_request *request, const uint8_t *bytes,
                         struct span protocol)
{
    int index = http_request_find(request, bytes, protocol_name, 0);
    while (index >= 0) {
        struct span list = http_slice_span(request->fields[index].value, bytes);
        while (list.size > 0) {
            struct span token = token_take(&list);
            if (token.size > 0 && span_equal(token, protocol)) {
                return true;
            }
            if (token.size == 0) {
                /* A separator, or white space round it. */
                list = span_of(list.ptr + 1, list.size - 1);
            }
        }
        index = http_request_find(request, bytes, protocol_name, (unsigned)index + 1);
    }
    return false;
}

static int version_check(const struct http_request *request, const uint8_t *bytes)
{
    int index = http_request_find(request, bytes, version_name, 0);
    if (index < 0) {
        return GYR_ERR_HTTP_WS_VERSION;
    }
    if (http_request_find(request, bytes, version_name, (unsigned)index + 1) >= 0) {
        return GYR_ERR_HTTP_UPGRADE;
    }
    struct span version = http_slice_span(request->fields[index].value, bytes);
    return span_equal(version, SPAN_LITERAL("13")) ? 0 : GYR_ERR_HTTP_WS_VERSION;
}

/* A key whose last character has bits beyond the 16 bytes is accepted: some clients draw 22 random
 * characters instead of 16 random bytes, and we only hash them. */
static bool key_is_valid(const struct http_request *request, const uint8_t *bytes)
{
    int index = http_request_find(request, bytes, key_name, 0);
    if (index < 0 || http_request_find(request, bytes, key_name, (unsigned)index + 1) >= 0) {
        return false;
    }
    struct span key = http_slice_span(request->fields[index].value, bytes);
    uint8_t decoded[KEY_CHARS / 4 * 3];
    size_t size;
    if (key.size != KEY_CHARS || base64_decode(decoded, &size, key) != 0) {
        return false;
    }
    return size == KEY_BYTES;
}

/* Is every field of this name a list of what element_take takes? True if there is none. */
static bool fields_are_lists(const struct http_request *request, const uint8_t *bytes,
                             struct span name, bool (*element_take)(struct span *rest))
{
    int index = http_request_find(request, bytes, name, 0);
    while (index >= 0) {
        struct span list = http_slice_span(request->fields[index].value, bytes);
        if (!list_is_valid(list, element_take)) {
            return false;
        }
        index = http_request_find(request, bytes, name, (unsigned)index + 1);
    }
    return true;
}

static bool list_is_valid(struct span list, bool (*element_take)(struct span *rest))
{
    bool found = false;
    do {
        space_skip(&list);
        if (list.size > 0 && list.ptr[0] != ',') {
            if (!element_take(&list)) {
                return false;
            }
            found = true;
            space_skip(&list);
        }
    } while (char_take(&list, ','));
    return found && list.size == 0;
}

static bool protocol_take(struct span *rest)
{
    return token_take(rest).size > 0;
}

/* extension = extension-token *( ";" extension-param ), RFC 6455 section 9.1. White space may stand
 * between any two parts, as the grammar is one of RFC 2616 (section 2.1: implied *LWS). */
static bool extension_take(struct span *rest)
{
    if (token_take(rest).size == 0) {
        return false;
    }
    space_skip(rest);
    while (char_take(rest, ';')) {
        if (!extension_param_take(rest)) {
            return false;
        }
        space_skip(rest);
    }
    return true;
}

/* extension-param = token [ "=" (token | quoted-string) ] */
static bool extension_param_take(struct span *rest)
{
    space_skip(rest);
    if (token_take(rest).size == 0) {
        return false;
    }
    space_skip(rest);
    if (!char_take(rest, '=')) {
        return true;
    }
    space_skip(rest);
    if (char_take(rest, '"')) {
        return quoted_token_take(rest);
    }
    return token_take(rest).size > 0;
}

/* The rest of a quoted-string after its opening quote; unescaped it must be a token. */
static bool quoted_token_take(struct span *rest)
{
    size_t at = 0;
    size_t token_size = 0;
    while (at < rest->size && rest->ptr[at] != '"') {
        if (rest->ptr[at] == '\\') {
            at++;
        }
        if (at == rest->size || !http_byte_is(rest->ptr[at], HTTP_BYTE_TOKEN)) {
            return false;
        }
        token_size++;
        at++;
    }
    *rest = span_of(rest->ptr + at, rest->size - at);
    return token_size > 0 && char_take(rest, '"');
}

/* The token at the beginning; size 0 if there is none. */
static struct span token_take(struct span *rest)
{
    size_t size = 0;
    while (size < rest->size && http_byte_is(rest->ptr[size], HTTP_BYTE_TOKEN)) {
        size++;
    }
    struct span token = span_of(rest->ptr, size);
    *rest = span_of(rest->ptr + size, rest->size - size);
    return token;
}

static bool char_take(struct span *rest, char wanted)
{
    if (rest->size == 0 || rest->ptr[0] != (uint8_t)wanted) {
        return false;
    }
    *rest = span_of(rest->ptr + 1, rest->size - 1);
    return true;
}

static void space_skip(struct span *rest)
{
    while (rest->size > 0 && (rest->ptr[0] == ' ' || rest->ptr[0] == '\t')) {
        *rest = span_of(rest->ptr + 1, rest->size - 1);
    }
}
