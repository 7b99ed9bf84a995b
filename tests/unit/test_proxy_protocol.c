/* SPDX-License-Identifier: MIT */
/* The PROXY protocol: headers as proxies send them, cut at every byte, and every way in which one
 * can be wrong. */
#include "proto/proxy_protocol.h"

#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define IPV4      "\xc0\0\2\1\xc6\x33\x64\2\x12\x67\0\x50" /* 192.0.2.1:4711 to 198.51.100.2:80 */
#define ADDRESS_6 "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
#define IPV6      ADDRESS_6 ADDRESS_6 "\x12\x67\0\x50"
#define MAPPED    "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1" ADDRESS_6 "\x12\x67\0\x50"
#define ZEROS_8   "\0\0\0\0\0\0\0\0"
#define ZEROS_108                                                                           \
    ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8 \
        ZEROS_8 ZEROS_8 "\0\0\0\0"
#define UNIX ZEROS_108 ZEROS_108

#define BYTES(text)                                  \
    {                                                \
        (const uint8_t *)("" text), sizeof(text) - 1 \
    }

struct row {
    const char *why;
    struct span bytes;
    const char *source; /* NULL: refused */
};

static const struct row good_rows[] = {
    {"TCP over IPv4", BYTES(SIGNATURE "\x21\x11\0\x0c" IPV4), "192.0.2.1:4711"},
    {"UDP over IPv4", BYTES(SIGNATURE "\x21\x12\0\x0c" IPV4), "192.0.2.1:4711"},
    {"TCP over IPv6", BYTES(SIGNATURE "\x21\x21\0\x24" IPV6), "[2001:db8::1]:4711"},
    {"UDP over IPv6", BYTES(SIGNATURE "\x21\x22\0\x24" IPV6), "[2001:db8::1]:4711"},
    {"IPv4 as IPv6", BYTES(SIGNATURE "\x21\x21\0\x24" MAPPED), "192.0.2.1:4711"},
    {"Unix stream", BYTES(SIGNATURE "\x21\x31\0\xd8" UNIX), "unix:"},
    {"Unix datagram", BYTES(SIGNATURE "\x21\x32\0\xd8" UNIX), "unix:"},
    {"LOCAL", BYTES(SIGNATURE "\x20\0\0\0"), "?"},
    {"LOCAL with addresses", BYTES(SIGNATURE "\x20\x11\0\x0c" IPV4), "?"},
    {"LOCAL of an unknown family", BYTES(SIGNATURE "\x20\x77\0\3abc"), "?"},
    {"UNSPEC", BYTES(SIGNATURE "\x21\0\0\0"), "?"},
    {"UNSPEC with something", BYTES(SIGNATURE "\x21\0\0\5abcde"), "?"},
    {"a TLV", BYTES(SIGNATURE "\x21\x11\0\x12" IPV4 "\1\0\3h2c"), "192.0.2.1:4711"},
    {"an empty TLV", BYTES(SIGNATURE "\x21\x11\0\x0f" IPV4 "\4\0\0"), "192.0.2.1:4711"},
    {"two TLVs", BYTES(SIGNATURE "\x21\x11\0\x13" IPV4 "\4\0\0\5\0\1a"), "192.0.2.1:4711"},
    {"a checksum", BYTES(SIGNATURE "\x21\x11\0\x13" IPV4 "\3\0\4\x50\xef\x26\x9e"),
     "192.0.2.1:4711"},
};

static const struct row bad_rows[] = {
    {"version 1", BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 4711 80\r\n"), NULL},
    {"version 1, its first byte", BYTES("P"), NULL},
    {"a request", BYTES("GET / HTTP/1.1\r\n"), NULL},
    {"a TLS hello", BYTES("\x16\3\1"), NULL},
    {"an empty line", BYTES("\r\nGET / HTTP/1.1\r\n"), NULL},
    {"a signature that ends otherwise", BYTES("\r\n\r\n\0\r\nQUIT\r"), NULL},
    {"version 0", BYTES(SIGNATURE "\1"), NULL},
    {"version 1 in binary", BYTES(SIGNATURE "\x11\x11\0\x0c" IPV4), NULL},
    {"version 3", BYTES(SIGNATURE "\x31\x11\0\x0c" IPV4), NULL},
    {"command 2", BYTES(SIGNATURE "\x22\x11\0\x0c" IPV4), NULL},
    {"command 15", BYTES(SIGNATURE "\x2f\x11\0\x0c" IPV4), NULL},
    {"family 4", BYTES(SIGNATURE "\x21\x41\0\x0c" IPV4), NULL},
    {"transport 3", BYTES(SIGNATURE "\x21\x13\0\x0c" IPV4), NULL},
    {"IPv4 without a transport", BYTES(SIGNATURE "\x21\x10\0\x0c" IPV4), NULL},
    {"a transport without a family", BYTES(SIGNATURE "\x21\1\0\x0c" IPV4), NULL},
    {"too large", BYTES(SIGNATURE "\x21\x11\x0f\xf1"), NULL},
    {"LOCAL that is too large", BYTES(SIGNATURE "\x20\0\xff\xff"), NULL},
    {"IPv4 without addresses", BYTES(SIGNATURE "\x21\x11\0\0"), NULL},
    {"IPv4 that is one byte short", BYTES(SIGNATURE "\x21\x11\0\x0b" IPV4), NULL},
    {"IPv6 in the room of IPv4", BYTES(SIGNATURE "\x21\x21\0\x0c" IPV4), NULL},
    {"IPv6 that is one byte short", BYTES(SIGNATURE "\x21\x21\0\x23" IPV6), NULL},
    {"Unix that is one byte short", BYTES(SIGNATURE "\x21\x31\0\xd7" UNIX), NULL},
    {"a TLV of one byte", BYTES(SIGNATURE "\x21\x11\0\x0d" IPV4 "\4"), NULL},
    {"a TLV of two bytes", BYTES(SIGNATURE "\x21\x11\0\x0e" IPV4 "\4\0"), NULL},
    {"a TLV that is too long", BYTES(SIGNATURE "\x21\x11\0\x10" IPV4 "\4\0\2a"), NULL},
    {"a TLV that is far too long",
     BYTES(SIGNATURE "\x21\x11\0\x10" IPV4 "\4\xff\xff"
                     "a"),
     NULL},
    {"a second TLV that is too long", BYTES(SIGNATURE "\x21\x11\0\x12" IPV4 "\4\0\0\4\0\1"), NULL},
    {"a bad TLV of IPv6", BYTES(SIGNATURE "\x21\x21\0\x25" IPV6 "\4"), NULL},
    {"a bad TLV of Unix", BYTES(SIGNATURE "\x21\x31\0\xd9" UNIX "\4"), NULL},
    {"a checksum that is wrong", BYTES(SIGNATURE "\x21\x11\0\x13" IPV4 "\3\0\4\x50\xef\x26\x9f"),
     NULL},
    {"a checksum of zero", BYTES(SIGNATURE "\x21\x11\0\x13" IPV4 "\3\0\4\0\0\0\0"), NULL},
    {"a checksum of another source",
     BYTES(SIGNATURE "\x21\x11\0\x13\xc1\0\2\1\xc6\x33\x64\2\x12\x67\0\x50\3\0\4\x50\xef\x26\x9e"),
     NULL},
    {"a checksum of three bytes", BYTES(SIGNATURE "\x21\x11\0\x12" IPV4 "\3\0\3\x50\xef\x26"),
     NULL},
    {"a checksum of no bytes", BYTES(SIGNATURE "\x21\x11\0\x0f" IPV4 "\3\0\0"), NULL},
    {"two checksums of which the second is right",
     BYTES(SIGNATURE "\x21\x11\0\x1a" IPV4 "\3\0\4\0\0\0\0\3\0\4\x94\x97\xbe\x14"), NULL},
    {"two checksums",
     BYTES(SIGNATURE "\x21\x11\0\x1a" IPV4 "\3\0\4\x50\xef\x26\x9e\3\0\4\x50\xef\x26\x9e"), NULL},
};

/* Let the bytes come one after the other, then what follows them. */
static void expect_row(const struct row *row)
{
    static const char behind[] = "GET /";
    int err = NEED_MORE;
    struct proxy_header header = {.size = 77};
    size_t size = 0;
    for (; size <= row->bytes.size && err == NEED_MORE; size++) {
        uint8_t *copy = guard_copy(row->bytes.ptr, size);
        err = proxy_header_parse(copy, size, &header);
        EXPECT(err != NEED_MORE || header.size == 77, "not touched before it is complete");
        guard_free(copy);
    }
    EXPECT_INT(err, row->source == NULL ? GYR_ERR_HTTP_PROXY : 0, row->why);
    if (row->source == NULL) {
        EXPECT_INT(header.size, 77, row->why);
        return;
    }
    EXPECT_INT(size - 1, row->bytes.size, row->why);
    uint8_t whole[1024];
    memcpy(whole, row->bytes.ptr, row->bytes.size);
    memcpy(whole + row->bytes.size, behind, sizeof(behind));
    EXPECT_INT(proxy_header_parse(whole, row->bytes.size + sizeof(behind), &header), 0, row->why);
    EXPECT_INT(header.size, row->bytes.size, row->why);
    char text[ADDRESS_TEXT_SIZE];
    address_format(&header.source, text);
    EXPECT(strcmp(text, row->source) == 0, row->why);
}

void proxy_header_parse_takes_what_proxies_send(void)
{
    for (size_t i = 0; i < COUNT_OF(good_rows); i++) {
        expect_row(&good_rows[i]);
    }
}

void proxy_header_parse_rejects_everything_else(void)
{
    for (size_t i = 0; i < COUNT_OF(bad_rows); i++) {
        expect_row(&bad_rows[i]);
    }
}

/* Each of the first 14 bytes in all its values: what is accepted is known by heart. */
void proxy_header_parse_knows_each_value_of_each_fixed_byte(void)
{
    static const uint8_t families[] = {0, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32};
    uint8_t bytes[16 + 216] = SIGNATURE "\x21\x11\0\xd8";
    /* The addresses and TLVs that follow are zeros: TLVs of type 0 without a value. */
    for (unsigned at = 0; at < 14; at++) {
        uint8_t good = bytes[at];
        for (unsigned value = 0; value < 256; value++) {
            bool valid = value == good || (at == 12 && value == 0x20);
            for (size_t i = 0; at == 13 && i < COUNT_OF(families); i++) {
                valid |= families[i] == value;
            }
            bytes[at] = (uint8_t)value;
            struct proxy_header header;
            EXPECT_INT(proxy_header_parse(bytes, sizeof(bytes), &header),
                       valid ? 0 : GYR_ERR_HTTP_PROXY, "all of it");
            EXPECT_INT(proxy_header_parse(bytes, at + 1, &header),
                       valid ? NEED_MORE : GYR_ERR_HTTP_PROXY, "as soon as it is there");
        }
        bytes[at] = good;
    }
}

void proxy_header_parse_takes_the_largest_header_and_no_larger(void)
{
    uint8_t bytes[PROXY_HEADER_SIZE_MAX] = SIGNATURE "\x21\x11\x0f\xf0" IPV4 "\4\x0f\xe1";
    struct proxy_header header;
    EXPECT_INT(proxy_header_parse(bytes, sizeof(bytes) - 1, &header), NEED_MORE, "one byte lacks");
    EXPECT_INT(proxy_header_parse(bytes, sizeof(bytes), &header), 0, "the largest");
    EXPECT_INT(header.size, PROXY_HEADER_SIZE_MAX, "all of it");
    bytes[15] = 0xf1;
    EXPECT_INT(proxy_header_parse(bytes, 16, &header), GYR_ERR_HTTP_PROXY, "too large");
}

/* No bit of a header with a checksum can change unnoticed. */
void proxy_header_parse_notices_every_flipped_bit_by_the_checksum(void)
{
    uint8_t bytes[] = SIGNATURE "\x21\x11\0\x13" IPV4 "\3\0\4\x50\xef\x26\x9e";
    size_t size = sizeof(bytes) - 1;
    struct proxy_header header;
    for (size_t bit = 16 * 8; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        /* The type of the TLV itself makes it one that is skipped. */
        bool skipped = bit / 8 == 28;
        EXPECT_INT(proxy_header_parse(bytes, size, &header), skipped ? 0 : GYR_ERR_HTTP_PROXY,
                   "a flipped bit");
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    EXPECT_INT(proxy_header_parse(bytes, size, &header), 0, "as it was");
}
