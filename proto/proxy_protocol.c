/* SPDX-License-Identifier: MIT */
/* The PROXY protocol, version 2, as haproxy's doc/proxy-protocol.txt section 2.2 has it:
 *
 *   bytes 0 to 11   signature
 *   byte 12         version (2) and command (0 LOCAL, 1 PROXY)
 *   byte 13         family and transport
 *   bytes 14, 15    size of what follows
 *   then            addresses and ports, as long as the family says; then TLVs
 *
 * The size is known after 16 bytes, and nothing behind those is looked at before all is there: so a
 * header that comes byte by byte costs 16 comparisons a byte. */
#include "proto/proxy_protocol.h"

#define FIXED_SIZE     16
#define SIGNATURE_SIZE 12

#define VERSION_2_LOCAL 0x20
#define VERSION_2_PROXY 0x21

/* Byte 13. A connection of ours is a stream; but a proxy that takes HTTP/3 in may say how its
 * client came, and the addresses are the same. */
#define FAMILY_UNSPEC       0x00
#define FAMILY_IPV4_STREAM  0x11
#define FAMILY_IPV4_DGRAM   0x12
#define FAMILY_IPV6_STREAM  0x21
#define FAMILY_IPV6_DGRAM   0x22
#define FAMILY_LOCAL_STREAM 0x31
#define FAMILY_LOCAL_DGRAM  0x32

#define IPV4_SIZE  12 /* two addresses, two ports */
#define IPV6_SIZE  36
#define LOCAL_SIZE 216 /* two names */

#define TLV_HEAD_SIZE 3
#define TLV_CRC32C    0x03
#define CRC_SIZE      4

static bool fixed_is_valid(const uint8_t *bytes, size_t size);
static int proxy_take(const uint8_t *bytes, size_t size, struct proxy_header *header);
static bool tlvs_are_valid(const uint8_t *bytes, size_t size, size_t at);
static bool crc_is_valid(const uint8_t *bytes, size_t size, size_t at);

int proxy_header_parse(const uint8_t *bytes, size_t size, struct proxy_header *header)
{
    if (!fixed_is_valid(bytes, MIN(size, FIXED_SIZE))) {
        return GYR_ERR_HTTP_PROXY;
    }
    if (size < FIXED_SIZE) {
        return NEED_MORE;
    }
    size_t whole = FIXED_SIZE + (size_t)load_be16(bytes + 14);
    if (whole > PROXY_HEADER_SIZE_MAX) {
        return GYR_ERR_HTTP_PROXY;
    }
    if (size < whole) {
        return NEED_MORE;
    }
    struct proxy_header made = {.source = {.family = ADDRESS_NONE}, .size = (uint32_t)whole};
    if (bytes[12] == VERSION_2_PROXY && proxy_take(bytes, whole, &made) != 0) {
        return GYR_ERR_HTTP_PROXY;
    }
    *header = made;
    return 0;
}

/* Can these first bytes, up to 16, begin a header? */
static bool fixed_is_valid(const uint8_t *bytes, size_t size)
{
    static const uint8_t signature[SIGNATURE_SIZE] = {'\r', '\n', '\r', '\n', 0,   '\r',
                                                      '\n', 'Q',  'U',  'I',  'T', '\n'};
    if (size > 0 && memcmp(bytes, signature, MIN(size, sizeof(signature))) != 0) {
        return false;
    }
    if (size > 12 && bytes[12] != VERSION_2_LOCAL && bytes[12] != VERSION_2_PROXY) {
        return false;
    }
    if (size <= 13 || bytes[12] == VERSION_2_LOCAL) {
        return true; /* the family of a LOCAL header is ignored */
    }
    switch (bytes[13]) {
    case FAMILY_UNSPEC:
    case FAMILY_IPV4_STREAM:
    case FAMILY_IPV4_DGRAM:
    case FAMILY_IPV6_STREAM:
    case FAMILY_IPV6_DGRAM:
    case FAMILY_LOCAL_STREAM:
    case FAMILY_LOCAL_DGRAM:
        return true;
    default:
        return false;
    }
}

/* The addresses of a whole PROXY header, and a look at its TLVs. */
static int proxy_take(const uint8_t *bytes, size_t size, struct proxy_header *header)
{
    const uint8_t *addresses = bytes + FIXED_SIZE;
    size_t addresses_size = 0;
    switch (bytes[13]) {
    case FAMILY_UNSPEC:
        /* How many bytes of addresses stand before the TLVs nobody can know: all are skipped. */
        return 0;
    case FAMILY_IPV4_STREAM:
    case FAMILY_IPV4_DGRAM:
        addresses_size = IPV4_SIZE;
        if (size >= FIXED_SIZE + IPV4_SIZE) {
            header->source = address_ipv4(addresses, load_be16(addresses + 8));
        }
        break;
    case FAMILY_IPV6_STREAM:
    case FAMILY_IPV6_DGRAM:
        addresses_size = IPV6_SIZE;
        if (size >= FIXED_SIZE + IPV6_SIZE) {
            header->source = address_ipv6(addresses, load_be16(addresses + 32));
        }
        break;
    default:
        addresses_size = LOCAL_SIZE;
        header->source.family = ADDRESS_LOCAL;
        break;
    }
    if (size < FIXED_SIZE + addresses_size ||
        !tlvs_are_valid(bytes, size, FIXED_SIZE + addresses_size)) {
        return GYR_ERR_HTTP_PROXY;
    }
    return 0;
}

/* Type, size of two bytes, value; to the end of the header. All are skipped but the checksum. */
static bool tlvs_are_valid(const uint8_t *bytes, size_t size, size_t at)
{
    size_t crc_at = 0;
    while (at < size) {
        if (size - at < TLV_HEAD_SIZE) {
            return false;
        }
        uint8_t type = bytes[at];
        size_t value_size = load_be16(bytes + at + 1);
        at += TLV_HEAD_SIZE;
        if (value_size > size - at) {
            return false;
        }
        if (type == TLV_CRC32C) {
            if (crc_at != 0 || value_size != CRC_SIZE) {
                return false;
            }
            crc_at = at;
        }
        at += value_size;
    }
    return crc_at == 0 || crc_is_valid(bytes, size, crc_at);
}

/* CRC-32C (RFC 3720 appendix B.4) over the header with its own four bytes as zeros. Half a byte a
 * step: 64 bytes of table, and the longest header takes 8000 steps. */
static bool crc_is_valid(const uint8_t *bytes, size_t size, size_t at)
{
    static const uint32_t steps[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        uint32_t byte = i >= at && i < at + CRC_SIZE ? 0 : bytes[i];
        crc = steps[(crc ^ byte) & 15] ^ (crc >> 4);
        crc = steps[(crc ^ (byte >> 4)) & 15] ^ (crc >> 4);
    }
    crc = ~crc;
    return crc == ((uint32_t)load_be16(bytes + at) << 16 | load_be16(bytes + at + 2));
}
