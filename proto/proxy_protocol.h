/* SPDX-License-Identifier: MIT */
/* The PROXY protocol, version 2: what a proxy says of its client before the client's own bytes. */
#ifndef PROTO_PROXY_PROTOCOL_H
#define PROTO_PROXY_PROTOCOL_H

#include "proto/address.h"

/* Of a whole header. The fixed part and two Unix socket names take 232 bytes; the rest is for
 * certificates and identifiers that proxies append. */
#define PROXY_HEADER_SIZE_MAX 4096

struct proxy_header {
    struct address source; /* the client; ADDRESS_NONE: the connection's own peer holds, since the
                              proxy speaks for itself (LOCAL) or does not know (UNSPEC) */
    uint32_t size;         /* bytes of the header; the client's own follow */
};

/* Read a header, with `bytes` at the first byte of the connection.
 *
 * Returns 0 with `header` set; NEED_MORE if all `size` bytes may begin one: call again with these
 * and further ones, which costs no more for being done often; GYR_ERR_HTTP_PROXY for whatever else,
 * as soon as the first byte that cannot be right is there. So are refused: the text form of version
 * 1, a header beyond PROXY_HEADER_SIZE_MAX, unknown versions, commands, families and transports,
 * addresses or TLVs that do not fit, and a CRC32c that is wrong. */
MUST_CHECK int proxy_header_parse(const uint8_t *bytes, size_t size, struct proxy_header *header)
    READS(1, 2);

#endif
