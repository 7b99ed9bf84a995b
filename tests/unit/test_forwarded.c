/* SPDX-License-Identifier: MIT */
/* Forwarded and X-Forwarded-For: who is the client, against every trick of one that writes such
 * fields itself, and the grammar in both directions. */
#include "proto/forwarded.h"

#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>
#include <stdlib.h>

#define TRUSTED   "10.0.0.0/8 2001:db8::/32 unix:"
#define MALFORMED "malformed"

struct row {
    const char *why;
    const char *value;  /* of one field; "|" begins the next */
    const char *client; /* MALFORMED, or what is expected; "?" is the peer */
};

static const struct address_ranges *trusted_ranges(void)
{
    static struct address_ranges ranges;
    struct span bad;
    EXPECT_INT(address_ranges_parse(SPAN_LITERAL(TRUSTED), &ranges, &bad), 0, TRUSTED);
    return &ranges;
}

static void expect_row(enum forwarded_kind kind, const struct row *row)
{
    struct forwarded forwarded;
    forwarded_init(&forwarded, trusted_ranges());
    int err = 0;
    const char *at = row->value;
    for (;;) {
        size_t size = strcspn(at, "|");
        uint8_t *copy = guard_copy(at, size);
        err = err != 0 ? err : forwarded_take(&forwarded, kind, span_of(copy, size));
        guard_free(copy);
        if (at[size] == '\0') {
            break;
        }
        at += size + 1;
    }
    bool malformed = strcmp(row->client, MALFORMED) == 0;
    char why[512];
    (void)snprintf(why, sizeof(why), "%s: %.300s", row->why, row->value);
    EXPECT_INT(err, malformed ? GYR_ERR_HTTP_FORWARDED : 0, why);
    if (!malformed) {
        char text[ADDRESS_TEXT_SIZE];
        address_format(&forwarded.client, text);
        EXPECT_SPAN(span_of(text, strlen(text)), row->client, why);
    }
}

void forwarded_x_client_is_the_first_that_is_not_trusted_from_the_right(void)
{
    static const struct row rows[] = {
        {"one", "192.0.2.1", "192.0.2.1"},
        {"nothing", "", "?"},
        {"only commas", " , ,, ", "?"},
        {"behind a proxy", "192.0.2.1, 10.0.0.1", "192.0.2.1"},
        {"behind three", "192.0.2.1,10.0.0.1 ,\t10.0.0.2,2001:db8::1", "192.0.2.1"},
        {"a claim of the client", "192.0.2.66, 192.0.2.1", "192.0.2.1"},
        {"a claim to be trusted", "10.0.0.66, 192.0.2.1, 10.0.0.1", "192.0.2.1"},
        {"all trusted", "10.0.0.3, 10.0.0.2, 10.0.0.1", "10.0.0.3"},
        {"unknown", "unknown", "?"},
        {"unknown behind a proxy", "192.0.2.1, unknown, 10.0.0.1", "10.0.0.1"},
        {"unknown in the middle", "unknown, 10.0.0.2, 10.0.0.1", "10.0.0.2"},
        {"unknown that a client claims", "unknown, 192.0.2.1, 10.0.0.1", "192.0.2.1"},
        {"unknown last", "192.0.2.1, 10.0.0.1, UnKnown", "?"},
        {"obfuscated", "192.0.2.1, _a-b.c_9, 10.0.0.1", "10.0.0.1"},
        {"empty elements", ",, 192.0.2.1 ,, 10.0.0.1,", "192.0.2.1"},
        {"bare IPv6", "2001:db9::1, 10.0.0.1", "2001:db9::1"},
        {"IPv6 in brackets", "[2001:db9::1], 10.0.0.1", "2001:db9::1"},
        {"with ports", "[2001:db9::1]:4711, 10.0.0.1:80", "[2001:db9::1]:4711"},
        {"IPv4 with a port", "192.0.2.1:4711", "192.0.2.1:4711"},
        {"a trusted one as IPv6", "192.0.2.1, ::ffff:10.0.0.1", "192.0.2.1"},
        {"several fields", "192.0.2.66|192.0.2.1, 10.0.0.1|10.0.0.2", "192.0.2.1"},
        {"fields of nothing", "|192.0.2.1||", "192.0.2.1"},
        {"a field of trusted ones behind", "192.0.2.1|10.0.0.1|10.0.0.2", "192.0.2.1"},
        {"a hidden hop in an earlier field", "192.0.2.1, _x|10.0.0.1", "10.0.0.1"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        expect_row(FORWARDED_X, &rows[i]);
    }
}

void forwarded_x_rejects_what_is_no_list_of_addresses(void)
{
    static const char *const values[] = {
        "a.example",
        "192.0.2.1;192.0.2.2",
        "192.0.2.1 192.0.2.2",
        "192.0.2",
        "192.0.2.256",
        "192.0.2.01",
        "192.0.2.1:",
        "192.0.2.1:99999",
        "192.0.2.1:x",
        "[192.0.2.1]",
        "[::1",
        "::1]",
        "[::1]x",
        "fe80::1%eth0",
        "[fe80::1%25eth0]",
        "\"192.0.2.1\"",
        "for=192.0.2.1",
        "unknown1",
        "unknow",
        "unknown:",
        "unknown:123456",
        "unknown:x",
        "_",
        "_a b",
        "_a/b",
        "_a:",
        "_\xc3\xa4",
        "unix:",
        "-",
        "null",
        "192.0.2.1\r",
        "192.0.2.1\x01",
        "192.0.2.1:80:80",
        "bad, 192.0.2.1",
        "192.0.2.1, bad",
        "192.0.2.1, 10.0.0.1, bad",
        "192.0.2.1|bad",
        "192.0.2.1:_",
        "192.0.2.1:80:_x",
        "::1:_x",
        "[::1]_x",
        ":_x",
        "192.0.2.1/32",
    };
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        struct row row = {"no list", values[i], MALFORMED};
        expect_row(FORWARDED_X, &row);
    }
}

void forwarded_rfc_7239_client_is_the_first_that_is_not_trusted_from_the_right(void)
{
    static const struct row rows[] = {
        {"one", "for=192.0.2.1", "192.0.2.1"},
        {"nothing", "", "?"},
        {"name in capitals", "For=192.0.2.1", "192.0.2.1"},
        {"quoted", "for=\"192.0.2.1\"", "192.0.2.1"},
        {"quoted with a port", "FOR=\"192.0.2.1:4711\"", "192.0.2.1:4711"},
        {"quoted IPv6", "for=\"[2001:db9:cafe::17]:4711\"", "[2001:db9:cafe::17]:4711"},
        {"IPv6 without a port", "for=\"[2001:db9::1]\"", "2001:db9::1"},
        {"escaped for no need", "for=\"\\1\\9\\2.0.2.1\"", "192.0.2.1"},
        {"with others", "for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"},
        {"others before", "proto=https;host=\"a.example:80\";for=192.0.2.60", "192.0.2.60"},
        {"an extension", "for=192.0.2.1;secret=\"a\\\"b,c;for=10.0.0.1\"", "192.0.2.1"},
        {"an extension twice", "a=1;for=192.0.2.1;a=2", "192.0.2.1"},
        {"blanks at the semicolon", "for=192.0.2.1 ; proto=http", "192.0.2.1"},
        {"empty pairs", ";;for=192.0.2.1;", "192.0.2.1"},
        {"behind a proxy", "for=192.0.2.43, for=\"10.0.0.1\"", "192.0.2.43"},
        {"a claim of the client", "for=192.0.2.66, for=192.0.2.1", "192.0.2.1"},
        {"a claim in quotes", "for=192.0.2.66;x=\", for=10.0.0.1\", for=192.0.2.1", "192.0.2.1"},
        {"a claim behind", "for=192.0.2.1;x=\"for=192.0.2.66\",for=10.0.0.1", "192.0.2.1"},
        {"all trusted", "for=10.0.0.2,for=10.0.0.1", "10.0.0.2"},
        {"unknown", "for=192.0.2.1, for=unknown, for=10.0.0.1", "10.0.0.1"},
        {"unknown with a port", "for=192.0.2.1, for=\"Unknown:80\", for=10.0.0.1", "10.0.0.1"},
        {"obfuscated", "for=_hidden, for=_SEVKISEK", "?"},
        {"obfuscated with a port", "for=\"_x:_y\", for=10.0.0.1", "10.0.0.1"},
        {"a hidden port", "for=\"192.0.2.1:_p\"", "192.0.2.1"},
        {"a hidden port of IPv6", "for=\"[2001:db9::1]:_p\"", "2001:db9::1"},
        {"a hop without for", "for=192.0.2.1, by=10.0.0.7, for=10.0.0.1", "10.0.0.1"},
        {"nothing but a hop without for", "proto=http", "?"},
        {"a semicolon alone", "for=192.0.2.1, ;, for=10.0.0.1", "10.0.0.1"},
        {"empty elements", ", ,for=192.0.2.1,,", "192.0.2.1"},
        {"several fields", "for=192.0.2.66|for=192.0.2.1|for=10.0.0.1", "192.0.2.1"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        expect_row(FORWARDED_RFC_7239, &rows[i]);
    }
}

void forwarded_rfc_7239_rejects_what_its_grammar_does_not_have(void)
{
    static const char *const values[] = {
        "192.0.2.1",
        "for",
        "for=",
        "for=;",
        "for=,for=192.0.2.1",
        "=192.0.2.1",
        "for =192.0.2.1",
        "for= 192.0.2.1",
        "for=192.0.2.1:80",
        "for=[::1]",
        "for=\"::1\"",
        "for=\"2001:db8::1\"",
        "for=\"[::1\"",
        "for=\"[::1]",
        "for=\"192.0.2.1",
        "for=\"192.0.2.1\\\"",
        "for=\"\"",
        "for=\"192.0.2.1\"x",
        "for=\"192.0.2.1\" x",
        "for=192.0.2.1 for=192.0.2.2",
        "for=a.example",
        "for=192.0.2.1;for=192.0.2.2",
        "for=192.0.2.1;FOR=192.0.2.1",
        "by=_a;by=_b;for=192.0.2.1",
        "proto=http;proto=http",
        "host=a;host=b",
        "for=192.0.2.1;proto",
        "for=192.0.2.1;=a",
        "for=192.0.2.1;a=\"\x01\"",
        "for=192.0.2.1;a=\"\\\x01\"",
        "for=192.0.2.1;a=b\"c\"",
        "for=192.0.2.1;a=\"b",
        "for=192.0.2.1;a=\"b\\",
        "for==192.0.2.1",
        "for:192.0.2.1",
        "for=\" 192.0.2.1\"",
        "for=\"192.0.2.1 \"",
        "for=\"192.0.2.1,192.0.2.2\"",
        "for=_",
        "for=\"_a b\"",
        "for=\"_a:\"",
        "for=\"unknown:_\"",
        "for=unknownx",
        "for=\"[192.0.2.1]\"",
        "for=\"[fe80::1%eth0]\"",
        "for=192.0.2.1, bad",
        "bad, for=192.0.2.1",
        "for=192.0.2.1|bad",
        "for='192.0.2.1'",
        "f\xc3\xb6r=192.0.2.1",
        "for=\"unix:\"",
        "\"for\"=192.0.2.1",
    };
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        struct row row = {"not in the grammar", values[i], MALFORMED};
        expect_row(FORWARDED_RFC_7239, &row);
    }
}

void forwarded_node_has_a_largest_size(void)
{
    static const size_t sizes[] = {255, 256, 257, 2000};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        static char value[4096];
        memset(value, 'a', sizeof(value));
        memcpy(value, "for=_", 5);
        value[4 + sizes[i]] = '\0';
        struct row token = {"a long name", value, sizes[i] <= 256 ? "?" : MALFORMED};
        expect_row(FORWARDED_RFC_7239, &token);
        static char quoted[sizeof(value) + 16];
        (void)snprintf(quoted, sizeof(quoted), "for=\"%s\"", value + 4);
        struct row row = {"a long name in quotes", quoted, sizes[i] <= 256 ? "?" : MALFORMED};
        expect_row(FORWARDED_RFC_7239, &row);
        struct row other = {"others may be longer", quoted, "?"};
        memcpy(quoted, "foo", 3);
        expect_row(FORWARDED_RFC_7239, &other);
    }
}

/* The walk from the right as it is described, on lists of random hops. */
void forwarded_agrees_with_a_walk_from_the_right(void)
{
    uint64_t random = 88172645463325252U;
    for (unsigned round = 0; round < 20000; round++) {
        static const char *const hops[] = {"10.0.0.", "192.0.2.", "unknown"};
        char hop[12][32];
        unsigned kinds[12];
        char value[512] = "";
        random = random * 6364136223846793005U + 1442695040888963407U;
        unsigned count = (unsigned)(random >> 33) % COUNT_OF(hop);
        for (unsigned i = 0; i < count; i++) {
            random = random * 6364136223846793005U + 1442695040888963407U;
            unsigned dice = (unsigned)(random >> 33) % 10;
            kinds[i] = dice < 6 ? 0 : dice < 8 ? 1 : 2;
            char last[8];
            (void)snprintf(last, sizeof(last), "%u", i + 1);
            (void)snprintf(hop[i], sizeof(hop[i]), "%s%s", hops[kinds[i]],
                           kinds[i] == 2 ? "" : last);
            size_t used = strlen(value);
            (void)snprintf(value + used, sizeof(value) - used, "%s%s",
                           i == 0 ? "" : (dice % 2 == 0 ? ", " : "|"), hop[i]);
        }
        const char *client = "?";
        unsigned at = count;
        while (at > 0 && kinds[at - 1] == 0) {
            client = hop[--at];
        }
        if (at > 0 && kinds[at - 1] == 1) {
            client = hop[at - 1];
        }
        struct row row = {"a random list", value, client};
        expect_row(FORWARDED_X, &row);
    }
}

static int client_of(const char *fields, enum forwarded_kind kind, const char *peer_text,
                     char text[ADDRESS_TEXT_SIZE])
{
    static const struct http_limits limits = {4096, 1000, HTTP_FIELD_COUNT_MAX};
    static struct http_request request;
    char head[2048];
    int size = snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", fields);
    http_request_reset(&request);
    EXPECT_INT(http_request_parse(&request, &limits, (const uint8_t *)head, (size_t)size), 0, head);
    struct address peer = {.family = ADDRESS_LOCAL};
    struct address client = {.family = ADDRESS_NONE};
    if (strcmp(peer_text, "unix:") != 0) {
        EXPECT_INT(address_parse_with_port(span_of(peer_text, strlen(peer_text)), &peer), 0,
                   "peer");
    }
    int err =
        forwarded_client(&request, (const uint8_t *)head, kind, trusted_ranges(), &peer, &client);
    EXPECT(err == 0 || client.family == ADDRESS_NONE, "untouched by an error");
    address_format(&client, text);
    return err;
}

void forwarded_client_believes_trusted_peers_only(void)
{
    static const struct {
        const char *fields;
        enum forwarded_kind kind;
        const char *peer;
        const char *client; /* NULL: malformed */
    } rows[] = {
        {"X-Forwarded-For: 192.0.2.1\r\n", FORWARDED_X, "10.0.0.1:80", "192.0.2.1"},
        {"x-forwarded-for: 192.0.2.1\r\n", FORWARDED_X, "unix:", "192.0.2.1"},
        {"X-Forwarded-For: 192.0.2.1\r\n", FORWARDED_X, "192.0.2.9:80", "192.0.2.9:80"},
        {"X-Forwarded-For: bad\r\n", FORWARDED_X, "192.0.2.9:80", "192.0.2.9:80"},
        {"X-Forwarded-For: bad\r\n", FORWARDED_X, "10.0.0.1:80", NULL},
        {"Forwarded: for=192.0.2.1\r\n", FORWARDED_X, "10.0.0.1:80", "10.0.0.1:80"},
        {"X-Forwarded-For: 192.0.2.1\r\n", FORWARDED_RFC_7239, "10.0.0.1:80", "10.0.0.1:80"},
        {"X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.2\r\n", FORWARDED_RFC_7239,
         "10.0.0.1:80", "192.0.2.2"},
        {"", FORWARDED_X, "10.0.0.1:80", "10.0.0.1:80"},
        {"X-Forwarded-For:\r\n", FORWARDED_X, "10.0.0.1:80", "10.0.0.1:80"},
        {"X-Forwarded-For: unknown\r\n", FORWARDED_X, "10.0.0.1:80", "10.0.0.1:80"},
        {"X-Forwarded-For: 192.0.2.66\r\nA: b\r\nX-Forwarded-For: 192.0.2.1\r\n", FORWARDED_X,
         "10.0.0.1:80", "192.0.2.1"},
        {"X-Forwarded-For: bad\r\nA: b\r\nX-Forwarded-For: 192.0.2.1\r\n", FORWARDED_X,
         "10.0.0.1:80", NULL},
        {"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 10.0.0.2\r\n", FORWARDED_X, "10.0.0.1:80",
         "192.0.2.1"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[ADDRESS_TEXT_SIZE];
        int err = client_of(rows[i].fields, rows[i].kind, rows[i].peer, text);
        EXPECT_INT(err, rows[i].client == NULL ? GYR_ERR_HTTP_FORWARDED : 0, rows[i].fields);
        EXPECT(rows[i].client == NULL || strcmp(text, rows[i].client) == 0, rows[i].fields);
    }
}
