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

/* Read "192.0.2.1" or "2001:db8::1" (RFC 4291 section 2.2, of either case); the port becomes 0.
 * Refused with GYR_ERR_ARGUMENT: octets with leading zeros, which some read as octal; a zone
 * ("fe80::1%eth0", RFC 4007); brackets; blanks; anything before or behind. */
MUST_CHECK int address_parse(struct span text, struct address *address);

/* The same with what may stand around it: "192.0.2.1:80", "[2001:db8::1]:80", "[2001:db8::1]" and
 * both bare forms, of which that of IPv6 never has a port. A port is one to five digits, up to
 * 65535. */
MUST_CHECK int address_parse_with_port(struct span text, struct address *address);

/* The addresses whose first bits are those of `ip`. ADDRESS_LOCAL: every Unix socket. An IPv4
 * address is in no range of IPv6, not in "::/0" either. */
struct address_range {
    uint8_t family; /* enum address_family */
    uint8_t prefix; /* bits: 0 to 32, or 128 */
    uint8_t ip[16]; /* network order; zero behind the prefix */
};

/* Read "192.0.2.0/24", "2001:db8::/32", an address, which is a range of one, or "unix:". Ranges
 * within ::ffff:0:0/96 become ranges of IPv4. A range with a bit behind its prefix
 * ("192.0.2.1/24") is a mistake of whoever wrote it and GYR_ERR_ARGUMENT, as all else is. */
MUST_CHECK int address_range_parse(struct span text, struct address_range *range);

/* ADDRESS_NONE is in no range. */
bool address_range_has(const struct address_range *range, const struct address *address);

#define ADDRESS_RANGE_COUNT_MAX 128

/* A list of them. Zero is the empty list. */
struct address_ranges {
    uint32_t count;
    struct address_range ranges[ADDRESS_RANGE_COUNT_MAX];
};

/* Read a list that is separated by blanks (SP or HTAB). Returns 0; GYR_ERR_ARGUMENT, with the
 * element that is wrong in `bad`; GYR_ERR_LIMIT, with the first element that is too many. The list
 * is empty after an error, so that it trusts nobody. */
MUST_CHECK int address_ranges_parse(struct span text, struct address_ranges *ranges,
                                    struct span *bad);

/* Is the address in any of them? Time grows with the length of the list. */
bool address_ranges_have(const struct address_ranges *ranges, const struct address *address);

#endif
