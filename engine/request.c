/* SPDX-License-Identifier: MIT */
/* What a service may ask of a request: views of its head. */
#include "engine/exchange.h"

static struct gyr_span slice_public(const struct gyr_request *request, struct http_slice slice)
{
    return span_public(http_slice_span(slice, request->bytes));
}

struct gyr_span gyr_request_method(const struct gyr_request *request)
{
    return span_public(http_method_name((enum http_method)request->head->method));
}

struct gyr_span gyr_request_target(const struct gyr_request *request)
{
    return slice_public(request, request->head->target);
}

struct gyr_span gyr_request_path(const struct gyr_request *request)
{
    return slice_public(request, request->head->path);
}

struct gyr_span gyr_request_query(const struct gyr_request *request)
{
    return slice_public(request, request->head->query);
}

struct gyr_span gyr_request_host(const struct gyr_request *request)
{
    return slice_public(request, request->head->host);
}

unsigned gyr_request_version_minor(const struct gyr_request *request)
{
    return request->head->version_minor;
}

int64_t gyr_request_content_length(const struct gyr_request *request)
{
    switch ((enum http_framing)request->head->framing) {
    case HTTP_FRAMING_LENGTH:
        return (int64_t)request->head->content_length;
    case HTTP_FRAMING_CHUNKED:
        return -1;
    case HTTP_FRAMING_NONE:
        break;
    }
    return 0;
}

bool gyr_request_is_upgrade(const struct gyr_request *request)
{
    /* The engine has checked the handshake before it called on_request. */
    return (request->head->flags & HTTP_F_UPGRADE_WEBSOCKET) != 0;
}

bool gyr_request_offers(const struct gyr_request *request, const char *subprotocol)
{
    return ws_handshake_offers(request->head, request->bytes,
                               span_of(subprotocol, strlen(subprotocol)));
}

struct gyr_span gyr_request_field(const struct gyr_request *request, const char *name)
{
    int index = http_request_find(request->head, request->bytes, span_of(name, strlen(name)), 0);
    if (index < 0) {
        return (struct gyr_span){0};
    }
    return slice_public(request, request->head->fields[index].value);
}

bool gyr_request_field_at(const struct gyr_request *request, unsigned index, struct gyr_span *name,
                          struct gyr_span *value)
{
    if (index >= request->head->field_count) {
        return false;
    }
    *name = slice_public(request, request->head->fields[index].name);
    *value = slice_public(request, request->head->fields[index].value);
    return true;
}
