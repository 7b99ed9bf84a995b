/* SPDX-License-Identifier: MIT */
/* The server's part of the WebSocket opening handshake (RFC 6455 section 4.2). */
#ifndef PROTO_WS_HANDSHAKE_H
#define PROTO_WS_HANDSHAKE_H

#include "proto/http_request.h"

#define WS_ACCEPT_SIZE 28 /* base64 of a SHA-1 */

/* Check a complete request with HTTP_F_UPGRADE_WEBSOCKET: Sec-WebSocket-Version is 13, once
 * (otherwise GYR_ERR_HTTP_WS_VERSION); Sec-WebSocket-Key is the base64 of 16 bytes, once; Host is
 * there; Sec-WebSocket-Protocol and -Extensions, if there, are well formed
 * (GYR_ERR_HTTP_UPGRADE). */
MUST_CHECK int ws_handshake_check(const struct http_request *request, const uint8_t *bytes);

/* Sec-WebSocket-Accept for a Sec-WebSocket-Key of 24 characters (RFC 6455 section 4.2.2). */
void ws_handshake_accept(const uint8_t key[24], uint8_t accept[WS_ACCEPT_SIZE]);

/* Was this subprotocol offered in any Sec-WebSocket-Protocol field? Compared byte by byte. */
bool ws_handshake_offers(const struct http_request *request, const uint8_t *bytes,
                         struct span protocol);

#endif
