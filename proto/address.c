/* SPDX-License-Identifier: MIT */
/* Addresses as text. IPv6 is written as RFC 5952 section 4 asks: lower case, no leading zeros, and
 * "::" for the first longest run of at least two zero groups. */
#include "proto/address.h"

#define GROUPS 8 /* of an IPv6 address, 16 bits each */

struct text {
    char *at;
};

static void put(struct text *text, const char *literal);
static void put_number(struct text *text, unsigned value, unsigned base);
static void put_ipv6(struct text *text, const uint8_t ip[16]);

struct address address_ipv4(const uint8_t ip[4], uint16_t port)
{
    struct address address = {.family = ADDRESS_IPV4, .port = port};
    memcpy(address.ip, ip, 4);
    return address;
}

struct address address_ipv6(const uint8_t ip[16], uint16_t port)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (memcmp(ip, mapped, sizeof(mapped)) == 0) {
        return address_ipv4(ip + sizeof(mapped), port);
    }
    struct address address = {.family = ADDRESS_IPV6, .port = port};
    memcpy(address.ip, ip, sizeof(address.ip));
    return address;
}

void address_format(const struct address *address, char text[ADDRESS_TEXT_SIZE])
{
    struct text out = {text};
    bool port = address->port != 0;
    switch ((enum address_family)address->family) {
    case ADDRESS_IPV4:
        for (unsigned i = 0; i < 4; i++) {
            put(&out, i == 0 ? "" : ".");
            put_number(&out, address->ip[i], 10);
        }
        break;
    case ADDRESS_IPV6:
        put(&out, port ? "[" : "");
        put_ipv6(&out, address->ip);
        put(&out, port ? "]" : "");
        break;
    case ADDRESS_LOCAL:
        put(&out, "unix:");
        port = false;
        break;
    case ADDRESS_NONE:
        put(&out, "?");
        port = false;
        break;
    }
    if (port) {
        put(&out, ":");
        put_number(&out, address->port, 10);
    }
    *out.at = '\0';
}

static void put(struct text *text, const char *literal)
{
    while (*literal != '\0') {
        *text->at++ = *literal++;
    }
}

static void put_number(struct text *text, unsigned value, unsigned base)
{
    static const char digits[] = "0123456789abcdef";
    unsigned place = 1;
    while (value / place >= base) {
        place *= base;
    }
    for (; place != 0; place /= base) {
        *text->at++ = digits[value / place % base];
    }
}

static void put_ipv6(struct text *text, const uint8_t ip[16])
{
    unsigned run_start = GROUPS;
    unsigned run_count = 1;
    for (unsigned i = 0; i < GROUPS; i++) {
        unsigned count = 0;
        while (i + count < GROUPS && load_be16(ip + (size_t)(i + count) * 2) == 0) {
            count++;
        }
        if (count > run_count) {
            run_start = i;
            run_count = count;
        }
    }
    for (unsigned i = 0; i < GROUPS;) {
        if (i == run_start) {
            put(text, "::");
            i += run_count;
            continue;
        }
        put(text, i == 0 || i == run_start + run_count ? "" : ":");
        put_number(text, load_be16(ip + (size_t)i * 2), 16);
        i++;
    }
}
