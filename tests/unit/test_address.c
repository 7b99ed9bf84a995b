/* SPDX-License-Identifier: MIT */
/* Addresses and ranges as text: what is read is compared with inet_pton, what is written with
 * inet_ntop, over every form of RFC 4291 and over texts that are one change away from one. */
#include "proto/address.h"
#include "proto/text_list.h"

#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

static struct span text_of(const char *text)
{
    return span_of(text, strlen(text));
}

static uint64_t random_next(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

/* Parse a copy that ends before a guard page. */
static int parse(const char *text, struct address *address)
{
    uint8_t *copy = guard_copy(text, strlen(text));
    int err = address_parse(span_of(copy, strlen(text)), address);
    guard_free(copy);
    return err;
}

static int parse_with_port(const char *text, struct address *address)
{
    uint8_t *copy = guard_copy(text, strlen(text));
    int err = address_parse_with_port(span_of(copy, strlen(text)), address);
    guard_free(copy);
    return err;
}

/* What the C library makes of the same text. */
static int oracle(const char *text, struct address *address)
{
    uint8_t ip[16];
    if (inet_pton(AF_INET, text, ip) == 1) {
        *address = address_ipv4(ip, 0);
        return 0;
    }
    if (inet_pton(AF_INET6, text, ip) == 1) {
        *address = address_ipv6(ip, 0);
        return 0;
    }
    return GYR_ERR_ARGUMENT;
}

static void expect_as_oracle(const char *text)
{
    struct address actual = {.family = ADDRESS_NONE};
    struct address expected = {.family = ADDRESS_NONE};
    int err = parse(text, &actual);
    EXPECT_INT(err, oracle(text, &expected), text);
    EXPECT(memcmp(&actual, &expected, sizeof(actual)) == 0, text);
}

/* Each rule of RFC 4291 section 2.2 kept, and broken. */
static const char *const forms[] = {
    "192.0.2.1",
    "0.0.0.0",
    "255.255.255.255",
    "256.0.0.1",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.",
    ".1.2.3",
    "1..2.3",
    "01.2.3.4",
    "1.2.3.04",
    "1.2.3.4 ",
    " 1.2.3.4",
    "1.2.3.4a",
    "0x1.2.3.4",
    "1.2.3.+4",
    "1.2.3.0004",
    "00.0.0.0",
    "1,2,3,4",
    "",
    ".",
    ":",
    "::",
    ":::",
    "::1",
    "1::",
    "1::1",
    "1::1::1",
    "::1::",
    "1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7::",
    "::2:3:4:5:6:7:8",
    "1::3:4:5:6:7:8",
    "1:2:3:4:5:6:7:8::",
    "::1:2:3:4:5:6:7:8",
    "1:2:3:4::5:6:7:8",
    ":1",
    "1:",
    ":1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:",
    "::12345",
    "::g",
    "::ABCD",
    "::AbCd",
    "2001:DB8::1",
    "::1.2.3.4",
    "::ffff:1.2.3.4",
    "::ffff:102:304",
    "1:2:3:4:5:6:1.2.3.4",
    "1:2:3:4:5:6:7:1.2.3.4",
    "1:2:3:4:5:1.2.3.4",
    "1::6:7:1.2.3.4",
    "1:2:3:4:5::1.2.3.4",
    "1:2:3:4:5:6::1.2.3.4",
    "::1.2.3.4:1",
    "1.2.3.4::",
    "1.2.3.4:1::",
    "::1.2.3",
    "::1.2.3.256",
    "::01.2.3.4",
    "::0001",
    "::00001",
    "fe80::1%eth0",
    "fe80::1%1",
    "[::1]",
    "::1]",
    "::1/64",
    "1:2:3:4:5:6:7:8 ",
    "1 ::",
    "localhost",
    "1",
    "::-1",
    "1:::2",
    "0:0:0:0:0:0:0:0",
    "0:0:0:0:0:ffff:c000:201",
    "::ffff:0:0",
};

void address_parse_agrees_with_inet_pton_on_every_form(void)
{
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        expect_as_oracle(forms[i]);
    }
}

/* Texts of the right characters, and good ones with one of them changed. */
void address_parse_agrees_with_inet_pton_on_random_text(void)
{
    static const char characters[] = "0123456789abcdefF::::....g%/ ";
    uint64_t random = 88172645463325252U;
    unsigned accepted = 0;
    for (unsigned i = 0; i < 200000; i++) {
        char text[64] = "";
        if (i % 2 == 0) {
            size_t size = random_next(&random) % 20;
            for (size_t at = 0; at < size; at++) {
                text[at] = characters[random_next(&random) % (sizeof(characters) - 1)];
            }
        } else {
            uint8_t ip[16];
            for (size_t at = 0; at < sizeof(ip); at++) {
                ip[at] = random_next(&random) % 3 == 0 ? (uint8_t)random_next(&random) : 0;
            }
            int family = i % 3 == 0 ? AF_INET : AF_INET6;
            CU_ASSERT_PTR_NOT_NULL_FATAL(inet_ntop(family, ip, text, sizeof(text)));
            text[random_next(&random) % strlen(text)] =
                characters[random_next(&random) % (sizeof(characters) - 1)];
        }
        struct address address;
        accepted += oracle(text, &address) == 0;
        expect_as_oracle(text);
    }
    EXPECT(accepted > 20000, "many of them are addresses");
}

void address_format_agrees_with_inet_ntop_and_is_read_again(void)
{
    uint64_t random = 88172645463325253U;
    for (unsigned i = 0; i < 50000; i++) {
        uint8_t ip[16];
        for (size_t at = 0; at < sizeof(ip); at += 2) {
            uint64_t dice = random_next(&random);
            store_be16(ip + at, (uint16_t)(dice % 2 == 0 ? dice >> 32 >> dice % 16 : 0));
        }
        ip[0] |= 0x20; /* inet_ntop writes ::1.2.3.4 for addresses that RFC 5952 does not */
        uint16_t port = (uint16_t)(i % 3 == 0 ? 0 : random_next(&random));
        struct address address = i % 4 == 0 ? address_ipv4(ip, port) : address_ipv6(ip, port);
        char expected[ADDRESS_TEXT_SIZE];
        char host[INET6_ADDRSTRLEN];
        inet_ntop(i % 4 == 0 ? AF_INET : AF_INET6, ip, host, sizeof(host));
        bool bracket = i % 4 != 0 && port != 0;
        (void)snprintf(expected, sizeof(expected), "%s%s%s", bracket ? "[" : "", host,
                       bracket ? "]" : "");
        if (port != 0) {
            (void)snprintf(expected + strlen(expected), 8, ":%u", (unsigned)port);
        }
        char text[ADDRESS_TEXT_SIZE];
        address_format(&address, text);
        EXPECT(strcmp(text, expected) == 0, text);
        struct address again;
        EXPECT_INT(parse_with_port(text, &again), 0, text);
        EXPECT(memcmp(&again, &address, sizeof(again)) == 0, text);
    }
}

void address_parse_with_port_takes_what_proxies_write(void)
{
    static const struct {
        const char *text;
        const char *formatted;
    } rows[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"192.0.2.1:80", "192.0.2.1:80"},
        {"192.0.2.1:0", "192.0.2.1"},
        {"192.0.2.1:00080", "192.0.2.1:80"},
        {"192.0.2.1:65535", "192.0.2.1:65535"},
        {"[::1]:80", "[::1]:80"},
        {"[2001:DB8::1]", "2001:db8::1"},
        {"::1", "::1"},
        {"::1:80", "::1:80"},
        {"2001:db8::1", "2001:db8::1"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"[::ffff:192.0.2.1]:80", "192.0.2.1:80"},
        {"64:ff9b::192.0.2.1", "64:ff9b::c000:201"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct address address;
        char text[ADDRESS_TEXT_SIZE];
        EXPECT_INT(parse_with_port(rows[i].text, &address), 0, rows[i].text);
        address_format(&address, text);
        EXPECT(strcmp(text, rows[i].formatted) == 0, rows[i].text);
    }
}

void address_parse_with_port_rejects_what_is_neither(void)
{
    static const char *const rows[] = {
        "",
        "192.0.2.1:",
        "192.0.2.1:65536",
        "192.0.2.1:99999",
        "192.0.2.1:000080",
        "192.0.2.1:-1",
        "192.0.2.1:+1",
        "192.0.2.1:8a",
        "192.0.2.1:80:80",
        "192.0.2.1 :80",
        "192.0.2.1: 80",
        ":80",
        "[192.0.2.1]",
        "[192.0.2.1]:80",
        "[]",
        "[]:80",
        "[::1",
        "[::1]80",
        "[::1]:",
        "[::1]:65536",
        "[::1]:80]",
        "::1]:80",
        "[[::1]]:80",
        "[fe80::1%eth0]:80",
        "fe80::1%eth0",
        "a.example:80",
        "::ffff:192.0.2.1:80",
        "[::ffff:192.0.2.1",
        "1:2:3:4:5:6:7:8:80",
        "unix:",
        "unknown",
        "_a",
        "192.0.2.1/32",
        "192.0.2:80",
        "\"192.0.2.1\"",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct address address;
        EXPECT_INT(parse_with_port(rows[i], &address), GYR_ERR_ARGUMENT, rows[i]);
    }
}

void address_parse_reads_no_bytes_behind_its_text(void)
{
    struct address address;
    static const char text[] = "192.0.2.123:4567";
    for (size_t size = 0; size < sizeof(text); size++) {
        uint8_t *copy = guard_copy(text, size);
        int err = address_parse_with_port(span_of(copy, size), &address);
        EXPECT_INT(err, size < 9 || size == 12 ? GYR_ERR_ARGUMENT : 0, text + size);
        guard_free(copy);
    }
    EXPECT_INT(address_parse(span_of(NULL, 0), &address), GYR_ERR_ARGUMENT, "no text");
    EXPECT_INT(address_parse_with_port(span_of(NULL, 0), &address), GYR_ERR_ARGUMENT, "no text");
    EXPECT_INT(address_parse(span_of("1.2.3.4\0", 8), &address), GYR_ERR_ARGUMENT, "a NUL");
    EXPECT_INT(address_parse(span_of("::1\0", 4), &address), GYR_ERR_ARGUMENT, "a NUL");
}

static bool range_has(const char *range_text, const char *address_text)
{
    struct address_range range;
    struct address address = {.family = ADDRESS_LOCAL};
    EXPECT_INT(address_range_parse(text_of(range_text), &range), 0, range_text);
    if (strcmp(address_text, "unix:") != 0) {
        EXPECT_INT(parse_with_port(address_text, &address), 0, address_text);
    }
    return address_range_has(&range, &address);
}

void address_range_has_what_shares_its_prefix(void)
{
    static const struct {
        const char *range;
        const char *address;
        bool has;
    } rows[] = {
        {"192.0.2.0/24", "192.0.2.0", true},
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.2.7:4711", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.0/24", "192.0.1.255", false},
        {"192.0.2.0/24", "::ffff:192.0.2.1", true},
        {"192.0.2.0/24", "::192.0.2.1", false},
        {"192.0.2.0/24", "c000:200::", false},
        {"192.0.2.128/25", "192.0.2.128", true},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.0", false},
        {"192.0.2.1/32", "192.0.2.1", true},
        {"0.0.0.0/0", "255.255.255.255", true},
        {"0.0.0.0/0", "::1", false},
        {"128.0.0.0/1", "128.0.0.1", true},
        {"128.0.0.0/1", "127.255.255.255", false},
        {"2001:db8::/32", "2001:db8:ffff::1", true},
        {"2001:db8::/32", "2001:db9::", false},
        {"2001:db8::/33", "2001:db8:7fff::", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"::1", "::1", true},
        {"::1", "::2", false},
        {"::1/128", "::1", true},
        {"::/127", "::1", true},
        {"::/127", "::2", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "192.0.2.1", false},
        {"::ffff:192.0.2.0/120", "192.0.2.9", true},
        {"::ffff:192.0.2.0/120", "192.0.3.9", false},
        {"::ffff:0:0/96", "192.0.3.9", true},
        {"::ffff:0:0/96", "::1", false},
        {"unix:", "unix:", true},
        {"unix:", "0.0.0.0", false},
        {"0.0.0.0/0", "unix:", false},
        {"::/0", "unix:", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char why[128];
        (void)snprintf(why, sizeof(why), "%s in %s", rows[i].address, rows[i].range);
        EXPECT(range_has(rows[i].range, rows[i].address) == rows[i].has, why);
    }
    struct address nobody = {.family = ADDRESS_NONE};
    struct address_range nothing = {.family = ADDRESS_NONE};
    EXPECT(!address_range_has(&nothing, &nobody), "who is not known is nowhere");
}

/* Against a comparison bit by bit, for every prefix of both families. */
void address_range_agrees_with_a_comparison_of_bits(void)
{
    uint64_t random = 88172645463325254U;
    for (unsigned i = 0; i < 20000; i++) {
        bool ipv4 = i % 2 == 0;
        unsigned bits = ipv4 ? 32 : 128;
        unsigned prefix = (unsigned)(random_next(&random) % (bits + 1));
        struct address address = {.family = ipv4 ? ADDRESS_IPV4 : ADDRESS_IPV6};
        struct address_range range = {.family = address.family, .prefix = (uint8_t)prefix};
        for (unsigned bit = 0; bit < bits; bit++) {
            unsigned set = (unsigned)(random_next(&random) >> 40) & 1;
            address.ip[bit / 8] |= (uint8_t)(set << (7 - bit % 8));
            range.ip[bit / 8] |= (uint8_t)(bit < prefix ? set << (7 - bit % 8) : 0);
        }
        EXPECT(address_range_has(&range, &address), "its prefix is its own");
        unsigned flipped = (unsigned)(random_next(&random) % bits);
        address.ip[flipped / 8] ^= (uint8_t)(0x80 >> flipped % 8);
        EXPECT(address_range_has(&range, &address) == (flipped >= prefix), "one bit differs");
    }
}

void address_range_parse_rejects_what_is_no_range(void)
{
    static const char *const rows[] = {
        "",
        "/",
        "/24",
        "192.0.2.0/",
        "192.0.2.0/33",
        "192.0.2.0/-1",
        "192.0.2.0/+8",
        "192.0.2.0/024",
        "192.0.2.0/00",
        "192.0.2.0/2 4",
        "192.0.2.0/24/24",
        "192.0.2.1/24",
        "192.0.2.128/24",
        "192.0.2.1/31",
        "0.0.0.1/0",
        "128.0.0.0/0",
        "192.0.2/24",
        "192.0.2.0/255.255.255.0",
        "192.0.2.0/1000",
        "2001:db8::/129",
        "2001:db8::1/127",
        "2001:db8::/28",
        "2001:db8::1/32",
        "::1/0",
        "::/999",
        "::ffff:192.0.2.1/120",
        "::ffff:0:0/95",
        "::ffff:0:0/0",
        "::ffff:192.0.2.0/24",
        "[::1]",
        "[::1]/128",
        "192.0.2.1:80",
        "unix",
        "unix:/run/x",
        "unix:/0",
        "Unix:",
        "a.example",
        "*",
        "fe80::%1/64",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct address_range range;
        uint8_t *copy = guard_copy(rows[i], strlen(rows[i]));
        EXPECT_INT(address_range_parse(span_of(copy, strlen(rows[i])), &range), GYR_ERR_ARGUMENT,
                   rows[i]);
        EXPECT_INT(range.family, ADDRESS_NONE, "and trusts nobody");
        guard_free(copy);
    }
}

void address_ranges_parse_names_the_element_that_is_wrong(void)
{
    static const struct {
        const char *text;
        const char *bad; /* NULL: none */
        uint32_t count;
    } rows[] = {
        {"", NULL, 0},
        {" \t ", NULL, 0},
        {"192.0.2.1", NULL, 1},
        {"  192.0.2.1\t 2001:db8::/32 unix: ", NULL, 3},
        {"192.0.2.1 192.0.2.1/24", "192.0.2.1/24", 0},
        {"192.0.2.1,192.0.2.2", "192.0.2.1,192.0.2.2", 0},
        {"bad ::1", "bad", 0},
        {"::1\n", "::1\n", 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        static struct address_ranges ranges;
        ranges.count = 77;
        struct span bad = {NULL, 0};
        int err = address_ranges_parse(text_of(rows[i].text), &ranges, &bad);
        EXPECT_INT(err, rows[i].bad == NULL ? 0 : GYR_ERR_ARGUMENT, rows[i].text);
        EXPECT_INT(ranges.count, rows[i].count, rows[i].text);
        EXPECT_SPAN(bad, rows[i].bad == NULL ? "" : rows[i].bad, rows[i].text);
    }
}

void address_ranges_hold_so_many_and_no_more(void)
{
    static struct address_ranges ranges;
    char text[(ADDRESS_RANGE_COUNT_MAX + 1) * 16] = "";
    size_t size = 0;
    for (unsigned i = 0; i < ADDRESS_RANGE_COUNT_MAX; i++) {
        size += (size_t)snprintf(text + size, sizeof(text) - size, "10.0.%u.0/24 ", i);
    }
    struct span bad = {NULL, 0};
    EXPECT_INT(address_ranges_parse(span_of(text, size), &ranges, &bad), 0, "the most");
    struct address last;
    struct address next;
    EXPECT_INT(parse("10.0.127.9", &last), 0, "last");
    EXPECT_INT(parse("10.0.128.9", &next), 0, "next");
    EXPECT(address_ranges_have(&ranges, &last), "the last counts");
    EXPECT(!address_ranges_have(&ranges, &next), "others do not");
    size += (size_t)snprintf(text + size, sizeof(text) - size, "10.0.128.0/24");
    EXPECT_INT(address_ranges_parse(span_of(text, size), &ranges, &bad), GYR_ERR_LIMIT, "too many");
    EXPECT_SPAN(bad, "10.0.128.0/24", "the one that is too many");
    EXPECT(!address_ranges_have(&ranges, &last), "none is trusted then");
}
