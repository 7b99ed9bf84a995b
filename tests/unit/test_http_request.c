/* SPDX-License-Identifier: MIT */
/* Request heads: what is accepted and what follows from it, what is refused and with which error,
 * and that neither depends on how the input is cut (P1). Ids such as SMUG-CL-OCTAL are those of
 * Http11Probe. Every input lies flush against a guard page. */
#include "tests/http_kit.h"

#include <stdio.h>

/* --- accepted ------------------------------------------------------------------------------- */

static const struct accepted {
    const char *why;
    const char *text;
    enum http_method method;
    const char *path;
    const char *query;
    const char *host;
    unsigned flags;
} accepted[] = {
    {"RFC 9112 section 3.2.1", "GET /where?q=now HTTP/1.1\r\nHost: www.example.org\r\n\r\n",
     HTTP_GET, "/where", "q=now", "www.example.org", HTTP_F_KEEP_ALIVE},
    {"RFC 9112 section 3.2.2",
     "GET http://www.example.org/pub/WWW/TheProject.html HTTP/1.1\r\nHost: www.example.org\r\n\r\n",
     HTTP_GET, "/pub/WWW/TheProject.html", "", "www.example.org",
     HTTP_F_KEEP_ALIVE | HTTP_F_ABSOLUTE_FORM},
    {"RFC 9112 section 3.2.3",
     "CONNECT www.example.com:80 HTTP/1.1\r\nHost: www.example.com:80\r\n\r\n", HTTP_CONNECT, "",
     "", "www.example.com:80", HTTP_F_KEEP_ALIVE},
    {"RFC 9112 section 3.2.4", "OPTIONS * HTTP/1.1\r\nHost: www.example.org:8001\r\n\r\n",
     HTTP_OPTIONS, "*", "", "www.example.org:8001", HTTP_F_KEEP_ALIVE | HTTP_F_ASTERISK_FORM},
    {"RFC 9112 section 3.2.4, before the last proxy",
     "OPTIONS http://www.example.org:8001 HTTP/1.1\r\nHost: www.example.org:8001\r\n\r\n",
     HTTP_OPTIONS, "/", "", "www.example.org:8001", HTTP_F_KEEP_ALIVE | HTTP_F_ABSOLUTE_FORM},
    {"RFC 9110 section 3.9",
     "GET /hello.txt HTTP/1.1\r\nUser-Agent: curl/7.64.1\r\nHost: www.example.com\r\n"
     "Accept-Language: en, mi\r\n\r\n",
     HTTP_GET, "/hello.txt", "", "www.example.com", HTTP_F_KEEP_ALIVE},
    {"RFC 6455 section 1.3",
     "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n"
     "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
     "Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n"
     "Sec-WebSocket-Version: 13\r\n\r\n",
     HTTP_GET, "/chat", "", "server.example.com", HTTP_F_KEEP_ALIVE | HTTP_F_UPGRADE_WEBSOCKET},
    {"HTTP/1.0 closes", "GET / HTTP/1.0\r\n\r\n", HTTP_GET, "/", "", "", 0},
    {"HTTP/1.0 with Host", "HEAD / HTTP/1.0\r\nHost: a\r\n\r\n", HTTP_HEAD, "/", "", "a", 0},
    {"HTTP/1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", HTTP_GET, "/", "",
     "", HTTP_F_KEEP_ALIVE},
    {"HTTP/1.0, absolute, no Host", "GET http://h/x HTTP/1.0\r\n\r\n", HTTP_GET, "/x", "", "h",
     HTTP_F_ABSOLUTE_FORM},
    {"close wins", GET_WITH("Connection: keep-alive\r\nConnection: a, CLOSE ,b\r\n"), HTTP_GET, "/",
     "", "a", 0},
    {"empty lines first (RFC 9112 section 2.2)", "\r\n\r\n" GET_WITH(""), HTTP_GET, "/", "", "a",
     HTTP_F_KEEP_ALIVE},
    {"raw in a query", "GET /x?a={1|2}^`[] HTTP/1.1\r\n" H "\r\n", HTTP_GET, "/x", "a={1|2}^`[]",
     "a", HTTP_F_KEEP_ALIVE},
    {"raw in a path", "GET /x|^[] HTTP/1.1\r\n" H "\r\n", HTTP_GET, "/x|^[]", "", "a",
     HTTP_F_KEEP_ALIVE},
    {"empty query", "GET /x? HTTP/1.1\r\n" H "\r\n", HTTP_GET, "/x", "", "a", HTTP_F_KEEP_ALIVE},
    {"two question marks", "GET /x?a?b/c HTTP/1.1\r\n" H "\r\n", HTTP_GET, "/x", "a?b/c", "a",
     HTTP_F_KEEP_ALIVE},
    {"every byte of a target", "GET /-._~!$&'()*+,;=:@[]%41%fF?%0a HTTP/1.1\r\n" H "\r\n", HTTP_GET,
     "/-._~!$&'()*+,;=:@[]%41%fF", "%0a", "a", HTTP_F_KEEP_ALIVE},
    {"absolute, no path, query", "GET WS://a:1?x HTTP/1.1\r\nHost: A:1\r\n\r\n", HTTP_GET, "/", "x",
     "a:1", HTTP_F_KEEP_ALIVE | HTTP_F_ABSOLUTE_FORM},
    {"absolute wss", "GET wss://[::1]/ HTTP/1.1\r\nHost: [::1]\r\n\r\n", HTTP_GET, "/", "", "[::1]",
     HTTP_F_KEEP_ALIVE | HTTP_F_ABSOLUTE_FORM},
    {"absolute https", "GET https://a/b?c HTTP/1.1\r\n" H "\r\n", HTTP_GET, "/b", "c", "a",
     HTTP_F_KEEP_ALIVE | HTTP_F_ABSOLUTE_FORM},
    {"white space round values", "PUT / HTTP/1.1\r\nHost:\t a \t\r\nX:\r\nY: \t \r\n\r\n", HTTP_PUT,
     "/", "", "a", HTTP_F_KEEP_ALIVE},
    {"obs-text in a value", "PUT / HTTP/1.1\r\n" H "X: \x80\xFF\r\n\r\n", HTTP_PUT, "/", "", "a",
     HTTP_F_KEEP_ALIVE},
    {"Expect with content", POST_WITH("Content-Length: 5\r\nExpect: 100-Continue\r\n"), HTTP_POST,
     "/", "", "a", HTTP_F_KEEP_ALIVE | HTTP_F_EXPECT_CONTINUE},
    {"Expect, chunked", POST_WITH("EXPECT: 100-continue\r\nTransfer-Encoding: chunked\r\n"),
     HTTP_POST, "/", "", "a", HTTP_F_KEEP_ALIVE | HTTP_F_EXPECT_CONTINUE},
    {"Expect without content", GET_WITH("Expect: 100-continue\r\n"), HTTP_GET, "/", "", "a",
     HTTP_F_KEEP_ALIVE},
    {"COMP-NO-1XX-HTTP10",
     "POST / HTTP/1.0\r\n" H "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", HTTP_POST, "/",
     "", "a", 0},
    {"Expect of HTTP/1.0 is ignored", "GET / HTTP/1.0\r\nExpect: 200-ok\r\n\r\n", HTTP_GET, "/", "",
     "", 0},
    {"upgrade in lists",
     GET_WITH("Connection: keep-alive, Upgrade\r\nUpgrade: h2c , WebSocket\r\n"), HTTP_GET, "/", "",
     "a", HTTP_F_KEEP_ALIVE | HTTP_F_UPGRADE_WEBSOCKET},
    {"upgrade with Content-Length 0",
     GET_WITH("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n"), HTTP_GET, "/",
     "", "a", HTTP_F_KEEP_ALIVE | HTTP_F_UPGRADE_WEBSOCKET},
    {"upgrade with a body",
     GET_WITH("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n"), HTTP_GET, "/",
     "", "a", HTTP_F_KEEP_ALIVE},
    {"COMP-UPGRADE-POST", POST_WITH("Connection: Upgrade\r\nUpgrade: websocket\r\n"), HTTP_POST,
     "/", "", "a", HTTP_F_KEEP_ALIVE},
    {"COMP-UPGRADE-MISSING-CONN", GET_WITH("Upgrade: websocket\r\n"), HTTP_GET, "/", "", "a",
     HTTP_F_KEEP_ALIVE},
    {"COMP-UPGRADE-UNKNOWN", GET_WITH("Connection: Upgrade\r\nUpgrade: totally-made-up/1.0\r\n"),
     HTTP_GET, "/", "", "a", HTTP_F_KEEP_ALIVE},
    {"COMP-UPGRADE-HTTP10",
     "GET / HTTP/1.0\r\n" H "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", HTTP_GET, "/", "",
     "a", 0},
    {"TRACE", "TRACE / HTTP/1.1\r\n" H "\r\n", HTTP_TRACE, "/", "", "a", HTTP_F_KEEP_ALIVE},
    {"PATCH", "PATCH / HTTP/1.1\r\n" H "\r\n", HTTP_PATCH, "/", "", "a", HTTP_F_KEEP_ALIVE},
    {"DELETE", "DELETE / HTTP/1.1\r\n" H "\r\n", HTTP_DELETE, "/", "", "a", HTTP_F_KEEP_ALIVE},
};

void http_request_parse_accepts_what_rfcs_allow(void)
{
    static struct http_request request;
    for (size_t i = 0; i < COUNT_OF(accepted); i++) {
        const struct accepted *row = &accepted[i];
        size_t size = strlen(row->text);
        EXPECT_INT(http_kit_parse_every_way(&request, row->text, size, row->why), 0, row->why);
        EXPECT_INT(request.head_size, size, row->why);
        EXPECT_INT(request.method, row->method, row->why);
        EXPECT_INT(request.flags, row->flags, row->why);
        http_kit_expect_slice(request.path, row->text, row->path, row->why);
        http_kit_expect_slice(request.query, row->text, row->query, row->why);
        http_kit_expect_slice(request.host, row->text, row->host, row->why);
    }
}

void http_request_parse_stops_at_the_end_of_the_head(void)
{
    static const char text[] = "GET /1 HTTP/1.1\r\n" H "\r\nGET /2 HTTP/1.1\r\n" H "\r\n\r\n\x01";
    static struct http_request request;
    EXPECT_INT(http_kit_parse(&request, text, sizeof(text) - 1), 0, "first");
    size_t second = request.head_size;
    http_kit_expect_slice(request.path, text, "/1", "first");
    EXPECT_INT(http_kit_parse(&request, text + second, sizeof(text) - 1 - second), 0, "second");
    http_kit_expect_slice(request.path, text + second, "/2", "second");
}

void http_request_parse_keeps_fields_in_order(void)
{
    static const char text[] =
        "GET / HTTP/1.1\r\nhost: a\r\nX-A:1\r\nCookie: b=c: d \r\nx-a:\r\n\r\n";
    static const char *const expected[][2] = {
        {"host", "a"}, {"X-A", "1"}, {"Cookie", "b=c: d"}, {"x-a", ""}};
    static struct http_request request;
    const uint8_t *bytes = (const uint8_t *)text;
    EXPECT_INT(http_kit_parse_every_way(&request, text, sizeof(text) - 1, "fields"), 0, "fields");
    EXPECT_INT(request.field_count, COUNT_OF(expected), "fields");
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        http_kit_expect_slice(request.fields[i].name, text, expected[i][0], "name");
        http_kit_expect_slice(request.fields[i].value, text, expected[i][1], "value");
    }
    EXPECT_INT(http_request_find(&request, bytes, SPAN_LITERAL("x-A"), 0), 1, "any case");
    EXPECT_INT(http_request_find(&request, bytes, SPAN_LITERAL("X-a"), 2), 3, "a repeat");
    EXPECT_INT(http_request_find(&request, bytes, SPAN_LITERAL("x-a"), 4), -1, "behind the last");
    EXPECT_INT(http_request_find(&request, bytes, SPAN_LITERAL("x-b"), 0), -1, "absent");
    EXPECT_INT(http_request_find(&request, bytes, SPAN_LITERAL("Hos"), 0), -1, "a prefix");
}

void http_request_parse_finds_the_websocket_key(void)
{
    static const char text[] = GET_WITH(
        "sec-websocket-KEY: first\r\nSec-WebSocket-Kez: x\r\nSec-WebSocket-Key: second\r\n");
    static struct http_request request;
    EXPECT_INT(http_kit_parse_every_way(&request, text, sizeof(text) - 1, "key"), 0, "key");
    http_kit_expect_slice(request.ws_key, text, "first",
                          "the first, for the handshake to refuse the second");
}

void http_request_parse_names_every_method(void)
{
    static const char *const names[HTTP_METHOD_COUNT] = {
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"};
    static struct http_request request;
    char text[64];
    for (unsigned i = 0; i < HTTP_METHOD_COUNT; i++) {
        const char *target = i == HTTP_CONNECT ? "a:1" : "/";
        const char *host = i == HTTP_CONNECT ? "a:1" : "a";
        snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: %s\r\n\r\n", names[i], target, host);
        EXPECT_INT(http_kit_parse_every_way(&request, text, strlen(text), names[i]), 0, names[i]);
        EXPECT_INT(request.method, i, names[i]);
        EXPECT_SPAN(http_method_name((enum http_method)i), names[i], names[i]);
        text[0] = (char)(text[0] | 0x20);
        EXPECT_INT(http_kit_parse(&request, text, strlen(text)), GYR_ERR_HTTP_METHOD,
                   "COMP-METHOD-CASE");
    }
}

/* --- refused -------------------------------------------------------------------------------- */

void http_request_parse_rejects_bad_request_lines(void)
{
    static const struct http_row rows[] = {
        ROW("MAL-WHITESPACE-ONLY-LINE", "   \r\n\r\n", GYR_ERR_HTTP_REQUEST_LINE),
        ROW("three empty lines", "\r\n\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n",
            GYR_ERR_HTTP_REQUEST_LINE),
        ROW("RFC9112-3-MISSING-TARGET", "GET HTTP/1.1\r\n" H "\r\n", GYR_ERR_HTTP_REQUEST_LINE),
        ROW("empty target", "GET  HTTP/1.1\r\n" H "\r\n", GYR_ERR_HTTP_REQUEST_LINE),
        ROW("RFC9112-3-MULTI-SP-REQUEST-LINE", "GET  / HTTP/1.1\r\n" H "\r\n",
            GYR_ERR_HTTP_REQUEST_LINE),
        ROW("two spaces before the version", "GET /  HTTP/1.1\r\n" H "\r\n",
            GYR_ERR_HTTP_REQUEST_LINE),
        ROW("COMP-SPACE-IN-TARGET", "GET /pa th HTTP/1.1\r\n" H "\r\n", GYR_ERR_HTTP_REQUEST_LINE),
        ROW("leading space", " GET / HTTP/1.1\r\n" H "\r\n", GYR_ERR_HTTP_REQUEST_LINE),
        ROW("trailing space", "GET / HTTP/1.1 \r\n" H "\r\n", GYR_ERR_HTTP_REQUEST_LINE),
        ROW("COMP-REQUEST-LINE-TAB", "GET\t/ HTTP/1.1\r\n" H "\r\n", GYR_ERR_HTTP_REQUEST_LINE),
        ROW("tab before the version", "GET /\tHTTP/1.1\r\n" H "\r\n", GYR_ERR_HTTP_REQUEST_LINE),
        ROW("RFC9112-2.3-HTTP09-REQUEST", "GET /\r\n", GYR_ERR_HTTP_REQUEST_LINE),
        ROW("RFC9112-2.2-BARE-LF-REQUEST-LINE", "GET / HTTP/1.1\nHost: a\r\n\r\n",
            GYR_ERR_HTTP_REQUEST_LINE),
        ROW("RFC9112-3-CR-ONLY-LINE-ENDING", "GET / HTTP/1.1\rHost: a\r\n\r\n",
            GYR_ERR_HTTP_REQUEST_LINE),
        ROW("bare LF first", "\nGET / HTTP/1.1\r\n" H "\r\n", GYR_ERR_HTTP_REQUEST_LINE),
        ROW("CR CR LF", "GET / HTTP/1.1\r\r\n" H "\r\n", GYR_ERR_HTTP_REQUEST_LINE),
        ROW("empty method", " / HTTP/1.1\r\n" H "\r\n", GYR_ERR_HTTP_REQUEST_LINE),
        ROW("no token", "G(T / HTTP/1.1\r\n" H "\r\n", GYR_ERR_HTTP_REQUEST_LINE),
        ROW("no token, obs-text", "G\xC3\x8BT / HTTP/1.1\r\n" H "\r\n", GYR_ERR_HTTP_REQUEST_LINE),
        ROW("MAL-LONG-METHOD", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\n" H "\r\n",
            GYR_ERR_HTTP_REQUEST_LINE),
        ROW("MAL-LONG-METHOD, incomplete", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG",
            GYR_ERR_HTTP_REQUEST_LINE),
        ROW("a TLS ClientHello", "\x16\x03\x01\x02", GYR_ERR_HTTP_REQUEST_LINE),
        ROW("a longer method than ours", "GETS / HTTP/1.1\r\n" H "\r\n", GYR_ERR_HTTP_METHOD),
        ROW("COMP-UNKNOWN-METHOD", "FOOBAR / HTTP/1.1\r\n" H "\r\n", GYR_ERR_HTTP_METHOD),
        ROW("32 bytes of method", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF / HTTP/1.1\r\n" H "\r\n",
            GYR_ERR_HTTP_METHOD),
        ROW("one-letter method", "G / HTTP/1.1\r\n" H "\r\n", GYR_ERR_HTTP_METHOD),
        ROW("COMP-VERSION-MISSING-MINOR", "GET / HTTP/1\r\n" H "\r\n", GYR_ERR_HTTP_REQUEST_LINE),
        ROW("no minor digit", "GET / HTTP/1.\r\n" H "\r\n", GYR_ERR_HTTP_REQUEST_LINE),
        ROW("COMP-VERSION-LEADING-ZEROS", "GET / HTTP/01.01\r\n" H "\r\n",
            GYR_ERR_HTTP_REQUEST_LINE),
        ROW("two minor digits", "GET / HTTP/1.10\r\n" H "\r\n", GYR_ERR_HTTP_REQUEST_LINE),
        ROW("COMP-VERSION-WHITESPACE", "GET / HTTP/ 1.1\r\n" H "\r\n", GYR_ERR_HTTP_REQUEST_LINE),
        ROW("COMP-VERSION-CASE", "GET / http/1.1\r\n" H "\r\n", GYR_ERR_HTTP_REQUEST_LINE),
        ROW("another protocol", "GET / ICAP/1.0\r\n" H "\r\n", GYR_ERR_HTTP_REQUEST_LINE),
        ROW("a comma in the version", "GET / HTTP/1,1\r\n" H "\r\n", GYR_ERR_HTTP_REQUEST_LINE),
        ROW("two versions", "GET / HTTP/1.1 HTTP/1.1\r\n" H "\r\n", GYR_ERR_HTTP_REQUEST_LINE),
        ROW("RFC9112-2.3-INVALID-VERSION", "GET / HTTP/9.9\r\n" H "\r\n", GYR_ERR_HTTP_VERSION),
        ROW("COMP-HTTP12-VERSION", "GET / HTTP/1.2\r\n" H "\r\n", GYR_ERR_HTTP_VERSION),
        ROW("HTTP/0.9 spelt out", "GET / HTTP/0.9\r\n" H "\r\n", GYR_ERR_HTTP_VERSION),
        ROW("MAL-H2-PREFACE", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", GYR_ERR_HTTP_VERSION),
    };
    http_kit_expect_rows(rows, COUNT_OF(rows));
}

/* --- every byte at every place -------------------------------------------------------------- */

static bool is_token(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!alnum && (c == 0 || strchr("!#$%&'*+-.^_`|~", c) == NULL)) {
            return false;
        }
    }
    return size > 0;
}

static bool line_reference(const char *line, size_t size)
{
    const char *colon = memchr(line, ':', size);
    if (colon == NULL || !is_token(line, (size_t)(colon - line))) {
        return false;
    }
    for (const char *c = colon + 1; c < line + size; c++) {
        if ((*c >= 0 && *c < ' ' && *c != '\t') || *c == 0x7F) {
            return false;
        }
    }
    return true;
}

static bool target_reference(const char *target, size_t size)
{
    const char *bad = "\"<>\\`{} #%"; /* browsers leave "|" and "^", in a query more */
    for (size_t i = 0; i < size; i++) {
        if (target[i] == '?') {
            bad = "\"<>\\ #%";
        }
        if (target[i] <= ' ' || target[i] >= 0x7F || strchr(bad, target[i]) != NULL) {
            return false;
        }
    }
    return size > 0 && target[0] == '/';
}

/* "<method> <target> HTTP/1.<0 or 1>" CRLF, "Host: h" CRLF, one more line, empty line; slow and
 * plain. The host is fixed, so that a changed byte there is judged by the host table instead. */
static bool head_reference(const char *text, size_t size)
{
    const char *target = memchr(text, ' ', size);
    const char *end = memchr(text, '\r', size);
    if (target == NULL || end == NULL || end - target < 10 || end[1] != '\n') {
        return false;
    }
    target++;
    bool method = memcmp(text, "GET ", 4) == 0 || memcmp(text, "PUT ", 4) == 0;
    bool version = memcmp(end - 9, " HTTP/1.1", 9) == 0 || memcmp(end - 9, " HTTP/1.0", 9) == 0;
    if (!method || !version || !target_reference(target, (size_t)(end - 9 - target))) {
        return false;
    }
    const char *field = end + 2 + strlen("Host: h\r\n");
    const char *tail = text + size - 4;
    return memcmp(tail, "\r\n\r\n", 4) == 0 && line_reference(field, (size_t)(tail - field));
}

void http_request_parse_agrees_on_every_byte(void)
{
    static const char base[] = "GET /a?b HTTP/1.1\r\nHost: h\r\nAb: c d\r\n\r\n";
    static struct http_request request;
    const size_t size = sizeof(base) - 1;
    const size_t host_start = strlen("GET /a?b HTTP/1.1\r\n");
    const size_t host_end = host_start + strlen("Host: h\r\n");
    unsigned counts[2] = {0, 0};
    for (size_t at = 0; at < size; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            char text[sizeof(base)];
            char why[64];
            memcpy(text, base, sizeof(base));
            text[at] = (char)byte;
            snprintf(why, sizeof(why), "byte %02x at %zu", byte, at);
            int status = http_kit_parse(&request, text, size);
            EXPECT(status == 0 || status == NEED_MORE || status < -5000, why);
            EXPECT_INT(http_kit_parse_growing(&request, &http_kit_limits, span_of(text, size), 1),
                       status, why);
            if (at >= host_start && at < host_end) {
                continue;
            }
            bool valid = head_reference(text, size);
            counts[valid]++;
            EXPECT_INT(status == 0, valid, why);
        }
    }
    EXPECT(counts[0] > counts[1] && counts[1] > 0, "both kinds occur");
}

/* --- limits --------------------------------------------------------------------------------- */

static void expect_with(const struct http_limits *own, const char *text, int expected)
{
    static struct http_request request;
    size_t size = strlen(text);
    for (size_t step = 1; step <= size; step++) {
        int status = http_kit_parse_growing(&request, own, span_of(text, size), step);
        EXPECT_INT(status, expected, text);
    }
}

void http_request_parse_limits_the_target(void)
{
    const struct http_limits own = {200, 10, 10};
    expect_with(&own, "GET /23456789A HTTP/1.1\r\n" H "\r\n", 0);
    expect_with(&own, "GET /23456789AB HTTP/1.1\r\n" H "\r\n", GYR_ERR_HTTP_TARGET_SIZE);
    expect_with(&own, "GET /23456789AB", GYR_ERR_HTTP_TARGET_SIZE);
    expect_with(&own, "GET /23456789A", NEED_MORE);
    expect_with(&own, "FOOBAR /23456789AB", GYR_ERR_HTTP_TARGET_SIZE);
    expect_with(&own, "GET /23456789AB\x01", GYR_ERR_HTTP_TARGET_SIZE);
    expect_with(&own, "GET /23456789A\x01", GYR_ERR_HTTP_REQUEST_LINE);
    expect_with(&own, "GET / HTTP/1.1", NEED_MORE);
    expect_with(&own, "GET / HTTP/1.1 ", GYR_ERR_HTTP_REQUEST_LINE);
    expect_with(&own, "GET / HTTP/1.1 and more of it", GYR_ERR_HTTP_REQUEST_LINE);
    expect_with(&own, "GET / HTTP/1.1 and more of it\r\n", GYR_ERR_HTTP_REQUEST_LINE);
}

void http_request_parse_limits_the_head(void)
{
    static const char text[] = "GET / HTTP/1.1\r\n" H "X: 12345678\r\n\r\n";
    struct http_limits own = {sizeof(text) - 1, 20, 10};
    expect_with(&own, text, 0);
    own.head_size_max--;
    expect_with(&own, text, GYR_ERR_HTTP_HEAD_SIZE);
    own.head_size_max = 30;
    expect_with(&own, "GET / HTTP/1.1\r\nHost: 89012345", GYR_ERR_HTTP_HEAD_SIZE);
    expect_with(&own, "GET / HTTP/1.1\r\nHost: 8901234", NEED_MORE);
    /* What lies past the limit does not count, whatever it is. */
    expect_with(&own, "GET / HTTP/1.1\r\nHost: 89012345\x01", GYR_ERR_HTTP_HEAD_SIZE);
}

void http_request_parse_limits_the_fields(void)
{
    static char text[4096];
    static struct http_request request;
    struct http_limits own = {sizeof(text), 20, HTTP_FIELD_COUNT_MAX};
    size_t at = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" H);
    for (unsigned i = 1; i <= HTTP_FIELD_COUNT_MAX; i++) {
        size_t end = at;
        end += (size_t)snprintf(text + end, sizeof(text) - end, "\r\n");
        http_request_reset(&request);
        int status = http_request_parse(&request, &own, (const uint8_t *)text, end);
        EXPECT_INT(status, 0, "MAL-MANY-HEADERS, as many as allowed");
        EXPECT_INT(request.field_count, i, "all are kept");
        at += (size_t)snprintf(text + at, sizeof(text) - at, "X-%u: y\r\n", i);
    }
    http_request_reset(&request);
    int status = http_request_parse(&request, &own, (const uint8_t *)text, at);
    EXPECT_INT(status, GYR_ERR_HTTP_FIELD_COUNT, "MAL-MANY-HEADERS");
    own.field_count_max = 0;
    expect_with(&own, "GET / HTTP/1.0\r\n\r\n", 0);
    expect_with(&own, "GET / HTTP/1.0\r\nA: b\r\n", GYR_ERR_HTTP_FIELD_COUNT);
}

/* A server may be given smaller limits while a head is on its way. */
void http_request_parse_refuses_a_head_that_smaller_limits_meet(void)
{
    static char text[4096];
    static struct http_request request;
    static const struct http_limits before = {4096, 4000, HTTP_FIELD_COUNT_MAX};
    static const struct http_limits rows[] = {{64, 30, 128}, {4096, 4000, 3}, {20, 10, 1}};
    size_t size = (size_t)snprintf(text, sizeof(text), "GET /a/target HTTP/1.1\r\n" H);
    for (unsigned i = 0; i < 200; i++) { /* more than there is room for */
        size += (size_t)snprintf(text + size, sizeof(text) - size, "X-%u: y\r\n", i);
    }
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t cut = 0; cut < 1200; cut++) {
            uint8_t *head = guard_copy(text, cut);
            http_request_reset(&request);
            EXPECT_INT(http_request_parse(&request, &before, head, cut), NEED_MORE, "by the first");
            guard_free(head);
            head = guard_copy(text, size);
            int err = http_request_parse(&request, &rows[i], head, size);
            EXPECT(err == GYR_ERR_HTTP_HEAD_SIZE || err == GYR_ERR_HTTP_TARGET_SIZE ||
                       err == GYR_ERR_HTTP_FIELD_COUNT,
                   "by the second");
            EXPECT(request.field_count <= HTTP_FIELD_COUNT_MAX, "no field has no room");
            guard_free(head);
        }
    }
}

/* What has been scanned is left behind at once: each call may re-read a CR, nothing else. */
void http_request_parse_is_linear(void)
{
    static uint8_t text[HTTP_HEAD_SIZE_MAX + 1];
    static struct http_request request;
    const struct http_limits own = {HTTP_HEAD_SIZE_MAX, 40000, 10};
    size_t start = (size_t)snprintf((char *)text, sizeof(text), "GET /");
    memset(text + start, 'a', sizeof(text) - start);
    memcpy(text + 30000, " HTTP/1.1\r\n" H "X: ", strlen(" HTTP/1.1\r\n" H "X: "));
    memcpy(text + HTTP_HEAD_SIZE_MAX - 4, "\r\n\r\n", 4);
    http_request_reset(&request);
    bool progress = true;
    int status = NEED_MORE;
    size_t end = 0;
    while (status == NEED_MORE && end < HTTP_HEAD_SIZE_MAX) {
        end++;
        status = http_request_parse(&request, &own, text, end);
        progress = progress && request.parsed_size + 1 >= end;
    }
    EXPECT(progress, "every byte is scanned once");
    EXPECT_INT(status, 0, "64 KiB, byte by byte");
    EXPECT_INT(end, HTTP_HEAD_SIZE_MAX, "the largest head there can be");
}
