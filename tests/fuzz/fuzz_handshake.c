/* SPDX-License-Identifier: MIT */
/* Fuzzes the WebSocket handshake. The input stands where the field lines of an upgrade request
 * stand; if its first byte is odd, behind a good key and version, so that the lists are reached.
 *
 * A handshake that is accepted must have a key that encodes 16 bytes, the same verdict wherever the
 * head lies in memory, and offer exactly the names that a plain cut at commas finds. */
#include "proto/base64.h"
#include "proto/ws_handshake.h"

#include <stdio.h>
#include <stdlib.h>

#define HEAD_SIZE_MAX 8192
#define GOOD_FIELDS   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void key_compare(const struct http_request *request, const uint8_t *bytes);
static void offers_compare(const struct http_request *request, const uint8_t *bytes);
static struct span element_trim(struct span element);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct http_limits limits = {HEAD_SIZE_MAX, 1000, HTTP_FIELD_COUNT_MAX};
    static const char opening[] = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                                  "Connection: Upgrade\r\n";
    static struct http_request request;
    if (size < 1 || size > HEAD_SIZE_MAX - 512) {
        return 0;
    }
    const char *fields = data[0] % 2 == 1 ? GOOD_FIELDS : "";
    uint8_t head[HEAD_SIZE_MAX];
    int opening_size = snprintf((char *)head, sizeof(head), "%s%s", opening, fields);
    ASSERT(opening_size > 0);
    size_t head_size = (size_t)opening_size;
    memcpy(head + head_size, data + 1, size - 1);
    head_size += size - 1;
    memcpy(head + head_size, "\r\n\r\n", 4);
    head_size += 4;

    uint8_t *bytes = malloc(head_size);
    ASSERT(bytes != NULL);
    memcpy(bytes, head, head_size);
    http_request_reset(&request);
    int status = http_request_parse(&request, &limits, bytes, head_size);
    if (status == 0 && (request.flags & HTTP_F_UPGRADE_WEBSOCKET) != 0) {
        status = ws_handshake_check(&request, bytes);
        ASSERT(status == 0 || status == GYR_ERR_HTTP_UPGRADE || status == GYR_ERR_HTTP_WS_VERSION);
        ASSERT(status == ws_handshake_check(&request, head));
        if (status == 0) {
            key_compare(&request, bytes);
            offers_compare(&request, bytes);
        }
    }
    free(bytes);
    return 0;
}

/* The key decodes to 16 bytes, and these encode to the same key but for its last four bits. */
static void key_compare(const struct http_request *request, const uint8_t *bytes)
{
    struct span key = http_slice_span(request->ws_key, bytes);
    uint8_t decoded[18];
    uint8_t encoded[24];
    uint8_t accept[WS_ACCEPT_SIZE];
    size_t size;
    ASSERT(key.size == sizeof(encoded));
    int status = base64_decode(decoded, &size, key);
    ASSERT(status == 0);
    ASSERT(size == 16);
    base64_encode(encoded, span_of(decoded, size));
    ASSERT(memcmp(encoded, key.ptr, 21) == 0);
    ASSERT(memcmp(encoded + 22, key.ptr + 22, 2) == 0);
    ws_handshake_accept(key.ptr, accept);
    ASSERT(accept[WS_ACCEPT_SIZE - 1] == '=');
}

static void offers_compare(const struct http_request *request, const uint8_t *bytes)
{
    struct span name = SPAN_LITERAL("Sec-WebSocket-Protocol");
    bool found = false;
    for (unsigned i = 0; i < request->field_count; i++) {
        if (!span_equal_nocase(http_slice_span(request->fields[i].name, bytes), name)) {
            continue;
        }
        struct span list = http_slice_span(request->fields[i].value, bytes);
        size_t from = 0;
        for (size_t at = 0; at <= list.size; at++) {
            if (at < list.size && list.ptr[at] != ',') {
                continue;
            }
            struct span element = element_trim(span_of(list.ptr + from, at - from));
            ASSERT(element.size == 0 || ws_handshake_offers(request, bytes, element));
            found = found || span_equal(element, SPAN_LITERAL("chat"));
            from = at + 1;
        }
    }
    ASSERT(found == ws_handshake_offers(request, bytes, SPAN_LITERAL("chat")));
    ASSERT(!ws_handshake_offers(request, bytes, SPAN_LITERAL("")));
}

static struct span element_trim(struct span element)
{
    while (element.size > 0 && (element.ptr[0] == ' ' || element.ptr[0] == '\t')) {
        element = span_of(element.ptr + 1, element.size - 1);
    }
    while (element.size > 0 &&
           (element.ptr[element.size - 1] == ' ' || element.ptr[element.size - 1] == '\t')) {
        element.size--;
    }
    return element;
}
