/* SPDX-License-Identifier: MIT */
/* Request targets and authorities: the rejected ones, by form and by byte. What is accepted stands
 * in test_http_request.c. */
#include "tests/http_kit.h"

#include <stdio.h>

void http_target_rejects_bad_bytes_and_forms(void)
{
    static const char *const targets[] = {
        "x",           "*x",           "*",           "**",
        "/a b",        "?x",           "a:1",         "http:/a",
        "http//a",     "http://",      "http:///x",   "ftp://a/",
        "http://u@a/", "http://a:b/",  "http://a:/",  "http://a:65536/",
        "http://a,b/", "http://[::1/", "http://a/#f", "/#f",
        "#",           "/a\\b",        "/\"",         "/<",
        "/>",          "/?\"",         "/`",          "/{",
        "/?<",         "/}",           "/\x80",       "/\xC3\xA9",
        "/\xC0\xAF",   "/%",           "/%4",         "/%4g",
        "/%g4",        "/%%41",        "/%00",        "/?%00",
        "/%0a",        "/%0D",         "/%0A%",       "/?%",
        "/?%x",        "/?#",          "httpx://a/",  "HTTP:a",
    };
    static struct http_request request;
    char text[128];
    for (size_t i = 0; i < COUNT_OF(targets); i++) {
        snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", targets[i]);
        int expected =
            strchr(targets[i], ' ') != NULL ? GYR_ERR_HTTP_REQUEST_LINE : GYR_ERR_HTTP_TARGET;
        EXPECT_INT(http_kit_parse_every_way(&request, text, strlen(text), targets[i]), expected,
                   targets[i]);
    }
}

void http_target_rejects_forms_of_other_methods(void)
{
    static const struct http_row rows[] = {
        ROW("COMP-ASTERISK-WITH-GET", "GET * HTTP/1.1\r\n" H "\r\n", GYR_ERR_HTTP_TARGET),
        ROW("OPTIONS with two stars", "OPTIONS ** HTTP/1.1\r\n" H "\r\n", GYR_ERR_HTTP_TARGET),
        ROW("OPTIONS with a query", "OPTIONS *?x HTTP/1.1\r\n" H "\r\n", GYR_ERR_HTTP_TARGET),
        ROW("CONNECT with a path", "CONNECT / HTTP/1.1\r\n" H "\r\n", GYR_ERR_HTTP_TARGET),
        ROW("CONNECT without a port", "CONNECT a HTTP/1.1\r\n" H "\r\n", GYR_ERR_HTTP_TARGET),
        ROW("CONNECT, absolute", "CONNECT http://a:1/ HTTP/1.1\r\n" H "\r\n", GYR_ERR_HTTP_TARGET),
        ROW("CONNECT, path behind", "CONNECT a:1/x HTTP/1.1\r\n" H "\r\n", GYR_ERR_HTTP_TARGET),
        ROW("CONNECT, other Host", "CONNECT b:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", GYR_ERR_HTTP_HOST),
        ROW("GET, authority form", "GET a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", GYR_ERR_HTTP_TARGET),
        ROW("SMUG-ABSOLUTE-URI-HOST-MISMATCH", "GET http://b/ HTTP/1.1\r\n" H "\r\n",
            GYR_ERR_HTTP_HOST),
        ROW("absolute, port only in one", "GET http://a:80/ HTTP/1.1\r\n" H "\r\n",
            GYR_ERR_HTTP_HOST),
        ROW("absolute, no Host", "GET http://a/ HTTP/1.1\r\n\r\n", GYR_ERR_HTTP_HOST),
    };
    http_kit_expect_rows(rows, COUNT_OF(rows));
}

/* Every value in the list, without blanks at the ends, as Host. A value ends with a bar. */
static void expect_hosts(const char *hosts, int expected)
{
    static struct http_request request;
    char text[128];
    while (*hosts != 0) {
        int size = (int)strcspn(hosts, "|");
        snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %.*s\r\n\r\n", size, hosts);
        EXPECT_INT(http_kit_parse_every_way(&request, text, strlen(text), text), expected, text);
        hosts += size + 1;
    }
}

void http_authority_accepts_what_rfc_3986_allows(void)
{
    expect_hosts("a|127.0.0.1:8080|example.com:0|a:65535|a.b-c_d~e|xn--bcher-kva.example|a%20b|"
                 "1.2.3.4.5|256.0.0.1|a!$&'()*+;=|",
                 0);
    expect_hosts("[::]|[::1]:80|[1:2:3:4:5:6:7:8]|[1::8]|[1:2:3:4:5:6:7::]|[::2:3:4:5:6:7:8]|"
                 "[::ffff:1.2.3.4]|[1:2:3:4:5:6:1.2.3.4]|[2001:DB8::a]|[1::1.2.3.4]|"
                 "[1:2:3:4:5::1.2.3.4]|",
                 0);
}

void http_authority_rejects_what_could_be_read_two_ways(void)
{
    expect_hosts("| |a b|a\tb|a,b|a, b|user@a|u:p@a|a/path|/|a?x|a#x|http://a|a\\b|a\x80|\"a\"|<a>|"
                 "%|a%2|a%zz|a%00|a%0a|a[::1]|",
                 GYR_ERR_HTTP_HOST);
    expect_hosts(":80|a:|a:65536|a:000080|a:8o|a:+8|a:-1|a:1:2|a:99999|[::1]:|[::1]80|[::1]x|",
                 GYR_ERR_HTTP_HOST);
    expect_hosts("[|[]|[:]|[1]|[:::]|[::1|::1|[1:2:3:4:5:6:7]|[1:2:3:4:5:6:7:8:9]|[12345::]|"
                 "[1::2::3]|[::g]|[1:]|[:1]|[::1:]|[1:2:3:4:5:6:7:8::]|[1:2:3:4::5:6:7:8]|"
                 "[fe80::1%25eth0]|[v1.a]|[::1][::1]|",
                 GYR_ERR_HTTP_HOST);
    expect_hosts("[::1.2.3]|[::1.2.3.256]|[::1.2.3.04]|[::1.2.3.4.5]|[::1.2.3.4:1]|[1.2.3.4]|"
                 "[::1.2.3.]|[::1..2.3]|[::a.2.3.4]|[1:2:3:4:5:6:7:1.2.3.4]|"
                 "[1:2:3:4:5:6::1.2.3.4]|",
                 GYR_ERR_HTTP_HOST);
}

/* Any byte at any place of a text of any size up to 40, in a head that ends before a guard page:
 * what is looked at in blocks must not differ from what is looked at byte by byte. */
static void expect_class(struct span before, struct span after, const char *others)
{
    static struct http_request request;
    char text[128];
    memcpy(text, before.ptr, before.size);
    char *part = text + before.size;
    for (size_t size = 1; size <= 40; size++) {
        memset(part, 'x', size); /* no hex digit: a percent sign is wrong everywhere */
        memcpy(part + size, after.ptr, after.size);
        for (size_t at = 0; at < size; at++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                part[at] = (char)byte;
                bool letter = (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z' && byte < 0x80;
                bool digit = byte >= '0' && byte <= '9';
                bool other = byte != 0 && strchr(others, (int)byte) != NULL;
                int status = http_kit_parse(&request, text, before.size + size + after.size);
                EXPECT_INT(status == 0, letter || digit || other, others);
            }
            part[at] = 'x';
        }
    }
}

void http_target_knows_every_byte_at_every_place(void)
{
    expect_class(SPAN_LITERAL("GET /"), SPAN_LITERAL(" HTTP/1.1\r\nHost: x\r\n\r\n"),
                 "-._~!$&'()*+,;=:@/[]?|^");
    expect_class(SPAN_LITERAL("GET /?"), SPAN_LITERAL(" HTTP/1.1\r\nHost: x\r\n\r\n"),
                 "-._~!$&'()*+,;=:@/[]?|^`{}");
}

void http_authority_knows_every_byte_at_every_place(void)
{
    expect_class(SPAN_LITERAL("GET / HTTP/1.1\r\nHost: x"), SPAN_LITERAL("x\r\n\r\n"),
                 "-._~!$&'()*+;=");
}
