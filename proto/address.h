/* SPDX-License-Identifier: MIT */
/* Addresses of peers: as 20 bytes, as text, and as ranges that contain them. */
#ifndef PROTO_ADDRESS_H
#define PROTO_ADDRESS_H

#include "base/base.h"

#define ADDRESS_TEXT_SIZE 64 /* the longest text, with port and final NUL */

enum address_family {
    ADDRESS_NONE, /* not known, or gone */
    ADDRESS_IPV4,
    ADDRESS_IPV6, /* never one that stands for an IPv4 address: those are ADDRESS_IPV4 */
    ADDRESS_LOCAL /* a Unix socket */
};

struct address {
    uint8_t family; /* enum address_family */
    uint8_t reserved;
    uint16_t port;  /* 0: none */
    uint8_t ip[16]; /* network order; IPv4: the first four, then zeros */
};
static_assert(sizeof(struct address) == 20, "it is copied and compared whole");

/* Make an address of network-order bytes: 4 of them for IPv4, 16 for IPv6, of which those that
 * stand for IPv4 (::ffff:0:0/96, RFC 4291 section 2.5.5.2) become IPv4. */
struct address address_ipv4(const uint8_t ip[4], uint16_t port);
struct address address_ipv6(const uint8_t ip[16], uint16_t port);

/* "192.0.2.1:4711", "[2001:db8::1]:4711" (RFC 5952), without the port if that is 0 ("192.0.2.1",
 * "2001:db8::1"); "unix:", "?". */
void address_format(const struct address *address, char text[ADDRESS_TEXT_SIZE]);

#endif
