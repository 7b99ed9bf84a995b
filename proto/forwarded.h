/* SPDX-License-Identifier: MIT */
/* Who sent a request, by the word of trusted proxies: Forwarded (RFC 7239) or X-Forwarded-For. */
#ifndef PROTO_FORWARDED_H
#define PROTO_FORWARDED_H

#include "proto/address.h"
#include "proto/http_request.h"

enum forwarded_kind {
    FORWARDED_RFC_7239, /* Forwarded: for="[2001:db8::1]:4711";proto=https, for=192.0.2.1 */
    FORWARDED_X,        /* X-Forwarded-For: 2001:db8::1, 192.0.2.1 */
};

/* A list is read from left to right, over all fields that hold a part of it. What counts is what a
 * walk from its right end would meet: trusted addresses are skipped, and the first that is not
 * trusted is the client; further left stands what that client claims. If all are trusted, the
 * leftmost is the client. A hop that is hidden ("unknown", "_name", or without "for") ends the
 * walk: the client is then the trusted address right of it, which is all that is known. */
struct forwarded {
    const struct address_ranges *trusted; /* borrowed for as long as this is used */
    struct address client;                /* ADDRESS_NONE: what comes next from the right */
};

void forwarded_init(struct forwarded *forwarded, const struct address_ranges *trusted);

/* Take the value of the next field, in the order of the request. Returns 0 or
 * GYR_ERR_HTTP_FORWARDED for a value that is malformed in any part; empty elements are none. */
MUST_CHECK int forwarded_take(struct forwarded *forwarded, enum forwarded_kind kind,
                              struct span value);

/* Who sent this request, of which `peer` is the connection's other end? It is `peer` itself if it
 * is not trusted, whatever the fields say; and if there is no field, or the last hop is hidden. The
 * port of `client` is 0 where none is known. Linear time in the size of the head. Returns 0 or
 * GYR_ERR_HTTP_FORWARDED, with `client` untouched. */
MUST_CHECK int forwarded_client(const struct http_request *request, const uint8_t *bytes,
                                enum forwarded_kind kind, const struct address_ranges *trusted,
                                const struct address *peer, struct address *client);

#endif
