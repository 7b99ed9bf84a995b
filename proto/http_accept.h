/* SPDX-License-Identifier: MIT */
/* The field Accept-Encoding (RFC 9110 section 12.5.3). */
#ifndef PROTO_HTTP_ACCEPT_H
#define PROTO_HTTP_ACCEPT_H

#include "proto/http_request.h"

enum http_coding {
    HTTP_CODING_IDENTITY,
    HTTP_CODING_GZIP,
    HTTP_CODING_BR,
    HTTP_CODING_COUNT,
};

/* The codings in which to look for content, best first: those that the client accepts, by their
 * weight, and with equal weights br, gzip, identity. The last is always identity, also for a client
 * that refuses it: an answer that it may not want is of more use than none (section 12.4.1).
 * Without the field identity is all.
 *
 * Returns how many, 1 to HTTP_CODING_COUNT. A malformed element does not count. */
unsigned http_accept_codings(const struct http_request *request, const uint8_t *bytes,
                             enum http_coding codings[HTTP_CODING_COUNT]);

/* "", "gzip", "br"; lives for ever. */
struct span http_coding_name(enum http_coding coding);

#endif
