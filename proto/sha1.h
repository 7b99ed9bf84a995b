/* SPDX-License-Identifier: MIT */
/* SHA-1 (FIPS 180-4), for the WebSocket handshake (RFC 6455 section 4.2.2), which uses it as proof
 * that the server understood, not as protection. Use it for nothing else. */
#ifndef PROTO_SHA1_H
#define PROTO_SHA1_H

#include "base/base.h"

#define SHA1_DIGEST_SIZE 20

/* The digest of a message that lies whole in memory. */
void sha1(const uint8_t *bytes, size_t size, uint8_t digest[SHA1_DIGEST_SIZE]) READS(1, 2);

#endif
