/* SPDX-License-Identifier: MIT */
/* Addresses as text, and ranges of them. IPv6 is written as RFC 5952 section 4 asks: lower case, no
 * leading zeros, and "::" for the first longest run of at least two zero groups; it is read in all
 * the forms of RFC 4291 section 2.2. */
#include "proto/address.h"

#include "proto/text_list.h"

#define GROUPS 8 /* of an IPv6 address, 16 bits each */

#define IPV4_BITS   32
#define IPV6_BITS   128
#define MAPPED_BITS 96 /* of ::ffff:0:0/96 */

struct text {
    char *at;
};

static bool ipv4_parse(struct span text, uint8_t ip[4]);
static bool ipv6_parse(struct span text, uint8_t ip[16]);
static bool group_parse(struct span *rest, uint8_t ip[2]);
static bool number_parse(struct span text, unsigned digits_max, uint32_t max, uint32_t *number);
static bool prefix_parse(struct span text, struct address_range *range, bool colon);
static bool bits_are_equal(const uint8_t *a, const uint8_t *b, unsigned bits);
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
    struct text out;
    out.at = text;
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

int address_parse(struct span text, struct address *address)
{
    uint8_t ip[16];
    if (ipv4_parse(text, ip)) {
        *address = address_ipv4(ip, 0);
        return 0;
    }
    if (ipv6_parse(text, ip)) {
        *address = address_ipv6(ip, 0);
        return 0;
    }
    return GYR_ERR_ARGUMENT;
}

int address_parse_with_port(struct span text, struct address *address)
{
    struct span host = text;
    struct span port = {NULL, 0};
    uint32_t number = 0;
    bool bracket = text.size > 0 && text.ptr[0] == '[';
    if (bracket) {
        const uint8_t *close = memchr(text.ptr, ']', text.size);
        if (close == NULL) {
            return GYR_ERR_ARGUMENT;
        }
        host = span_of(text.ptr + 1, (size_t)(close - text.ptr) - 1);
        port = span_of(close + 1, text.size - host.size - 2);
    } else if (text.size > 0 && memchr(text.ptr, '.', text.size) != NULL) {
        /* IPv4, or IPv6 that ends like it: only the first can have a port. */
        const uint8_t *colon = memchr(text.ptr, ':', text.size);
        const uint8_t *dot = memchr(text.ptr, '.', text.size);
        if (colon > dot) {
            host.size = (size_t)(colon - text.ptr);
            port = span_of(colon, text.size - host.size);
        }
    }
    if (port.size > 0 && (port.ptr[0] != ':' || !number_parse(span_of(port.ptr + 1, port.size - 1),
                                                              5, UINT16_MAX, &number))) {
        return GYR_ERR_ARGUMENT;
    }
    /* Brackets are for IPv6 alone (RFC 3986 section 3.2.2). */
    if (bracket && (host.size == 0 || memchr(host.ptr, ':', host.size) == NULL)) {
        return GYR_ERR_ARGUMENT;
    }
    int err = address_parse(host, address);
    if (err == 0) {
        address->port = (uint16_t)number;
    }
    return err;
}

int address_range_parse(struct span text, struct address_range *range)
{
    *range = (struct address_range){.family = ADDRESS_NONE};
    if (span_equal(text, SPAN_LITERAL("unix:"))) {
        range->family = ADDRESS_LOCAL;
        return 0;
    }
    struct address address;
    const uint8_t *slash = text.size > 0 ? memchr(text.ptr, '/', text.size) : NULL;
    struct span ip = slash == NULL ? text : span_of(text.ptr, (size_t)(slash - text.ptr));
    if (address_parse(ip, &address) != 0) {
        return GYR_ERR_ARGUMENT;
    }
    struct address_range made = {.family = address.family};
    made.prefix = made.family == ADDRESS_IPV4 ? IPV4_BITS : IPV6_BITS;
    memcpy(made.ip, address.ip, sizeof(made.ip));
    if (slash != NULL) {
        struct span bits = span_of(slash + 1, text.size - ip.size - 1);
        if (!prefix_parse(bits, &made, memchr(ip.ptr, ':', ip.size) != NULL)) {
            return GYR_ERR_ARGUMENT;
        }
    }
    *range = made;
    return 0;
}

bool address_range_has(const struct address_range *range, const struct address *address)
{
    return range->family == address->family && range->family != ADDRESS_NONE &&
           bits_are_equal(range->ip, address->ip, range->prefix);
}

int address_ranges_parse(struct span text, struct address_ranges *ranges, struct span *bad)
{
    ranges->count = 0;
    struct span element;
    uint32_t count = 0;
    while (text_list_next(&text, &element)) {
        if (count == ADDRESS_RANGE_COUNT_MAX) {
            *bad = element;
            return GYR_ERR_LIMIT;
        }
        int err = address_range_parse(element, &ranges->ranges[count]);
        if (err != 0) {
            *bad = element;
            return err;
        }
        count++;
    }
    ranges->count = count;
    return 0;
}

bool address_ranges_have(const struct address_ranges *ranges, const struct address *address)
{
    for (uint32_t i = 0; i < ranges->count; i++) {
        if (address_range_has(&ranges->ranges[i], address)) {
            return true;
        }
    }
    return false;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* dec-octet "." dec-octet "." dec-octet "." dec-octet (RFC 3986 section 3.2.2). */
static bool ipv4_parse(struct span text, uint8_t ip[4])
{
    for (unsigned i = 0; i < 4; i++) {
        const uint8_t *dot = text.size > 0 && i < 3 ? memchr(text.ptr, '.', text.size) : NULL;
        if (dot == NULL && i < 3) {
            return false;
        }
        struct span octet = i < 3 ? span_of(text.ptr, (size_t)(dot - text.ptr)) : text;
        uint32_t value;
        if (!number_parse(octet, 3, UINT8_MAX, &value) || (octet.size > 1 && octet.ptr[0] == '0')) {
            return false;
        }
        ip[i] = (uint8_t)value;
        if (i < 3) {
            text = span_of(dot + 1, text.size - octet.size - 1);
        }
    }
    return true;
}

/* Eight groups, of which "::" may stand for one or more, and an IPv4 address for the last two. What
 * follows "::" is read to where it stands and then moved to the end. */
static bool ipv6_parse(struct span text, uint8_t ip[16])
{
    uint8_t groups[GROUPS * 2] = {0};
    unsigned used = 0;         /* bytes of groups */
    unsigned gap = GROUPS * 2; /* where "::" stands; beyond the end: nowhere yet */
    bool shortened = false;
    if (text.size >= 2 && text.ptr[0] == ':' && text.ptr[1] == ':') {
        shortened = true;
        gap = 0;
        text = span_of(text.ptr + 2, text.size - 2);
    }
    bool open = !shortened; /* a group must follow */
    while (text.size > 0) {
        if (used + 4 <= sizeof(groups) && ipv4_parse(text, groups + used)) {
            used += 4;
            open = false;
            break;
        }
        if (used == sizeof(groups) || !group_parse(&text, groups + used)) {
            return false;
        }
        used += 2;
        open = false;
        if (text.size == 0) {
            break;
        }
        if (text.ptr[0] != ':') {
            return false;
        }
        text = span_of(text.ptr + 1, text.size - 1);
        open = true;
        if (text.size > 0 && text.ptr[0] == ':') {
            if (shortened) {
                return false;
            }
            shortened = true;
            gap = used;
            open = false;
            text = span_of(text.ptr + 1, text.size - 1);
        }
    }
    if (open || (shortened ? used == sizeof(groups) : used != sizeof(groups))) {
        return false;
    }
    memset(ip, 0, sizeof(groups));
    gap = MIN(gap, used);
    memcpy(ip, groups, gap);
    memcpy(ip + sizeof(groups) - (used - gap), groups + gap, used - gap);
    return true;
}

/* One to four hex digits, taken from the beginning of `rest`. */
static bool group_parse(struct span *rest, uint8_t ip[2])
{
    unsigned value = 0;
    unsigned count = 0;
    for (; count < rest->size && count < 5; count++) {
        uint8_t byte = ascii_lower(rest->ptr[count]);
        bool digit = byte >= '0' && byte <= '9';
        if (!digit && (byte < 'a' || byte > 'f')) {
            break;
        }
        value = value << 4 | (unsigned)(digit ? byte - '0' : byte - 'a' + 10);
    }
    if (count == 0 || count > 4) {
        return false;
    }
    store_be16(ip, (uint16_t)value);
    *rest = span_of(rest->ptr + count, rest->size - count);
    return true;
}

/* One to digits_max (up to 9) decimal digits. */
static bool number_parse(struct span text, unsigned digits_max, uint32_t max, uint32_t *number)
{
    uint32_t value = 0;
    if (text.size == 0 || text.size > digits_max) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
        value = value * 10 + (uint32_t)(text.ptr[i] - '0');
    }
    *number = value;
    return value <= max;
}

/* The bits behind the slash. Of an address that was written with colons they are counted as IPv6,
 * also if it stands for IPv4. */
static bool prefix_parse(struct span text, struct address_range *range, bool colon)
{
    static const uint8_t zeros[16];
    uint32_t skipped = colon && range->family == ADDRESS_IPV4 ? MAPPED_BITS : 0;
    uint32_t bits;
    if (!number_parse(text, 3, colon ? IPV6_BITS : IPV4_BITS, &bits) ||
        (text.size > 1 && text.ptr[0] == '0') || bits < skipped) {
        return false;
    }
    range->prefix = (uint8_t)(bits - skipped);
    uint8_t behind[16];
    memcpy(behind, range->ip, sizeof(behind));
    memset(behind, 0, range->prefix / 8);
    if (range->prefix % 8 != 0) {
        behind[range->prefix / 8] &= (uint8_t)(0xff >> range->prefix % 8);
    }
    return memcmp(behind, zeros, sizeof(zeros)) == 0;
}

static bool bits_are_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned rest = bits % 8;
    return memcmp(a, b, bits / 8) == 0 &&
           (rest == 0 || ((a[bits / 8] ^ b[bits / 8]) >> (8 - rest)) == 0);
}

/* ---- writing --------------------------------------------------------------------------------- */

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
