/* SPDX-License-Identifier: MIT */
/* The request target and the authority. Used by http_request.c and http_field.c only. */
#ifndef PROTO_HTTP_TARGET_H
#define PROTO_HTTP_TARGET_H

#include "proto/http_request.h"

/* A part of the head, within one line. */
struct http_range {
    const uint8_t *bytes; /* the head */
    uint32_t start;
    uint32_t end;
};

static inline struct http_slice http_slice_of(size_t offset, size_t size)
{
    return (struct http_slice){(uint16_t)offset, (uint16_t)size};
}

/* Check the target (1 byte or more) of a request whose method and target are set; set path, query,
 * flags and, if the target names one, host. Returns NEED_MORE, since the fields follow, or
 * GYR_ERR_HTTP_TARGET. */
MUST_CHECK int http_target_take(struct http_request *request, struct http_range target);

/* uri-host [ ":" port ] without userinfo (RFC 9110 sections 4.2.4 and 7.2). */
bool http_authority_is_valid(struct http_range text, bool port_required);

#endif
