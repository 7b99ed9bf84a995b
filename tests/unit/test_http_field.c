/* SPDX-License-Identifier: MIT */
/* Field lines and what they decide: Host, framing, expectations. Ids such as SMUG-CL-OCTAL are
 * those of Http11Probe. */
#include "tests/http_kit.h"

#include <stdio.h>
#include <stdlib.h>

void http_field_rejects_bad_lines(void)
{
    static const struct http_row rows[] = {
        ROW("RFC9112-2.2-BARE-LF-HEADER", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
            GYR_ERR_HTTP_FIELD),
        ROW("bare LF ends the head", "GET / HTTP/1.1\r\nHost: a\r\n\n", GYR_ERR_HTTP_FIELD),
        ROW("SMUG-BARE-CR-HEADER-VALUE", GET_WITH("X: val\rue\r\n"), GYR_ERR_HTTP_FIELD),
        ROW("CR CR LF", GET_WITH("X: a\r\r\n"), GYR_ERR_HTTP_FIELD),
        ROW("RFC9112-5.1-OBS-FOLD", GET_WITH("X: a\r\n b\r\n"), GYR_ERR_HTTP_FIELD),
        ROW("obs-fold with a colon", GET_WITH("X: a\r\n b: c\r\n"), GYR_ERR_HTTP_FIELD),
        ROW("obs-fold, tab", GET_WITH("X: a\r\n\tb: c\r\n"), GYR_ERR_HTTP_FIELD),
        ROW("COMP-WHITESPACE-BEFORE-HEADERS", "GET / HTTP/1.1\r\n \r\n" H "\r\n",
            GYR_ERR_HTTP_FIELD),
        ROW("space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
            GYR_ERR_HTTP_FIELD),
        ROW("RFC9110-5.6.2-SP-BEFORE-COLON", GET_WITH("X : a\r\n"), GYR_ERR_HTTP_FIELD),
        ROW("tab before the colon", GET_WITH("X\t: a\r\n"), GYR_ERR_HTTP_FIELD),
        ROW("SMUG-TE-SP-BEFORE-COLON", POST_WITH("Transfer-Encoding : chunked\r\n"),
            GYR_ERR_HTTP_FIELD),
        ROW("RFC9112-5-EMPTY-HEADER-NAME", GET_WITH(": empty\r\n"), GYR_ERR_HTTP_FIELD),
        ROW("RFC9112-5-HEADER-NO-COLON", GET_WITH("NoColonHere\r\n"), GYR_ERR_HTTP_FIELD),
        ROW("RFC9112-5-INVALID-HEADER-NAME", GET_WITH("Bad[Name: a\r\n"), GYR_ERR_HTTP_FIELD),
        ROW("MAL-NON-ASCII-HEADER-NAME", GET_WITH("X-T\xC3\xABst: a\r\n"), GYR_ERR_HTTP_FIELD),
        ROW("MAL-NUL-IN-HEADER-VALUE", GET_WITH("X: val\0ue\r\n"), GYR_ERR_HTTP_FIELD),
        ROW("MAL-CONTROL-CHARS-HEADER", GET_WITH("X: abc\x07\x08\x0B\r\n"), GYR_ERR_HTTP_FIELD),
        ROW("DEL in a value", GET_WITH("X: a\x7F\r\n"), GYR_ERR_HTTP_FIELD),
        ROW("NUL in a name", GET_WITH("X\0: a\r\n"), GYR_ERR_HTTP_FIELD),
        ROW("NORM-UNDERSCORE-CL", POST_WITH("Content_Length: 9\r\n"), GYR_ERR_HTTP_FIELD),
        ROW("SMUG-TRANSFER_ENCODING", POST_WITH("Transfer_Encoding: chunked\r\n"),
            GYR_ERR_HTTP_FIELD),
        ROW("COMP-EXPECT-UNKNOWN", GET_WITH("Expect: 200-ok\r\n"), GYR_ERR_HTTP_EXPECT),
        ROW("two expectations", GET_WITH("Expect: 100-continue, x\r\n"), GYR_ERR_HTTP_EXPECT),
        ROW("empty expectation", GET_WITH("Expect:\r\n"), GYR_ERR_HTTP_EXPECT),
    };
    http_kit_expect_rows(rows, COUNT_OF(rows));
}

void http_field_wants_one_host(void)
{
    static const struct http_row rows[] = {
        ROW("RFC9112-7.1-MISSING-HOST", "GET / HTTP/1.1\r\n\r\n", GYR_ERR_HTTP_HOST),
        ROW("RFC9110-5.4-DUPLICATE-HOST", GET_WITH("Host: b\r\n"), GYR_ERR_HTTP_HOST),
        ROW("COMP-DUPLICATE-HOST-SAME", GET_WITH("hOST: a\r\n"), GYR_ERR_HTTP_HOST),
        ROW("twice on HTTP/1.0", "GET / HTTP/1.0\r\n" H H "\r\n", GYR_ERR_HTTP_HOST),
        ROW("empty on HTTP/1.0", "GET / HTTP/1.0\r\nHost:\r\n\r\n", GYR_ERR_HTTP_HOST),
        ROW("a longer name", "GET / HTTP/1.1\r\nHosts: a\r\n\r\n", GYR_ERR_HTTP_HOST),
        ROW("another name", "GET / HTTP/1.1\r\nHorst: a\r\nHosu: a\r\n\r\n", GYR_ERR_HTTP_HOST),
    };
    http_kit_expect_rows(rows, COUNT_OF(rows));
}

void http_field_derives_framing(void)
{
    static const struct {
        const char *text;
        enum http_framing framing;
        uint64_t content_length;
    } rows[] = {
        {GET_WITH(""), HTTP_FRAMING_NONE, 0},
        {POST_WITH(""), HTTP_FRAMING_NONE, 0},
        {POST_WITH("Content-Length: 0\r\n"), HTTP_FRAMING_LENGTH, 0},
        {POST_WITH("Content-Length: 5 \t\r\n"), HTTP_FRAMING_LENGTH, 5},
        {GET_WITH("cONTENT-lENGTH:\t10\r\n"), HTTP_FRAMING_LENGTH, 10},
        {"TRACE / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n", HTTP_FRAMING_LENGTH, 5},
        {"POST / HTTP/1.0\r\nContent-Length: 7\r\n\r\n", HTTP_FRAMING_LENGTH, 7},
        {POST_WITH("Content-Length: 9223372036854775807\r\n"), HTTP_FRAMING_LENGTH, INT64_MAX},
        {POST_WITH("Transfer-Encoding: chunked\r\n"), HTTP_FRAMING_CHUNKED, 0},
        {POST_WITH("TRANSFER-encoding:\tChUnKeD \r\n"), HTTP_FRAMING_CHUNKED, 0},
        {POST_WITH("Transfer-Encodine: gzip\r\nTrensfer-Encoding: x\r\n"), HTTP_FRAMING_NONE, 0},
        {POST_WITH("Content-Lengti: x\r\nContenu-Length: x\r\n"), HTTP_FRAMING_NONE, 0},
    };
    static struct http_request request;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *text = rows[i].text;
        EXPECT_INT(http_kit_parse_every_way(&request, text, strlen(text), text), 0, text);
        EXPECT_INT(request.framing, rows[i].framing, text);
        EXPECT_INT(request.content_length, rows[i].content_length, text);
    }
}

void http_field_rejects_ambiguous_framing(void)
{
    static const struct http_row rows[] = {
        ROW("SMUG-CL-TE-BOTH", POST_WITH("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
            GYR_ERR_HTTP_TRANSFER_CODING),
        ROW("SMUG-TECL-PIPELINE", POST_WITH("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
            GYR_ERR_HTTP_CONTENT_LENGTH),
        ROW("SMUG-DUPLICATE-CL", POST_WITH("Content-Length: 5\r\nContent-Length: 10\r\n"),
            GYR_ERR_HTTP_CONTENT_LENGTH),
        ROW("the same length twice", POST_WITH("Content-Length: 5\r\nContent-Length: 5\r\n"),
            GYR_ERR_HTTP_CONTENT_LENGTH),
        ROW("MAL-CL-OVERFLOW", POST_WITH("Content-Length: 99999999999999999999\r\n"),
            GYR_ERR_HTTP_CONTENT_LENGTH),
        ROW("2^63", POST_WITH("Content-Length: 9223372036854775808\r\n"),
            GYR_ERR_HTTP_CONTENT_LENGTH),
        ROW("2^64 + 1", POST_WITH("Content-Length: 18446744073709551617\r\n"),
            GYR_ERR_HTTP_CONTENT_LENGTH),
        ROW("SMUG-CL-OCTAL", POST_WITH("Content-Length: 0o5\r\n"), GYR_ERR_HTTP_CONTENT_LENGTH),
        ROW("SMUG-CL-HEX-PREFIX", POST_WITH("Content-Length: 0x5\r\n"),
            GYR_ERR_HTTP_CONTENT_LENGTH),
        ROW("SMUG-CL-LEADING-ZEROS", POST_WITH("Content-Length: 005\r\n"),
            GYR_ERR_HTTP_CONTENT_LENGTH),
        ROW("SMUG-CL-COMMA-SAME", POST_WITH("Content-Length: 5, 5\r\n"),
            GYR_ERR_HTTP_CONTENT_LENGTH),
        ROW("RFC9112-6.1-CL-NON-NUMERIC", POST_WITH("Content-Length: abc\r\n"),
            GYR_ERR_HTTP_CONTENT_LENGTH),
        ROW("fullwidth digit", POST_WITH("Content-Length: \xEF\xBC\x95\r\n"),
            GYR_ERR_HTTP_CONTENT_LENGTH),
        ROW("SMUG-TE-HTTP10", "POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n",
            GYR_ERR_HTTP_TRANSFER_CODING),
        ROW("SMUG-TE-DUPLICATE-HEADERS",
            POST_WITH("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
            GYR_ERR_HTTP_TRANSFER_CODING),
        ROW("SMUG-TE-OBS-FOLD", POST_WITH("Transfer-Encoding:\r\n chunked\r\n"),
            GYR_ERR_HTTP_TRANSFER_CODING),
        ROW("SMUG-TE-VTAB",
            POST_WITH("Transfer-Encoding: \x0B"
                      "chunked\r\n"),
            GYR_ERR_HTTP_FIELD),
        ROW("SMUG-TE-FORMFEED",
            POST_WITH("Transfer-Encoding: \x0C"
                      "chunked\r\n"),
            GYR_ERR_HTTP_FIELD),
        ROW("SMUG-TE-NULL", POST_WITH("Transfer-Encoding: chunked\0\r\n"), GYR_ERR_HTTP_FIELD),
    };
    http_kit_expect_rows(rows, COUNT_OF(rows));
}

void http_field_judges_transfer_codings(void)
{
    static const struct {
        const char *value;
        int expected;
    } rows[] = {
        {"xchunked", GYR_ERR_HTTP_CODING_UNKNOWN},
        {"identity", GYR_ERR_HTTP_CODING_UNKNOWN},
        {"gzip", GYR_ERR_HTTP_CODING_UNKNOWN},
        {"gzip, chunked", GYR_ERR_HTTP_CODING_UNKNOWN},
        {"gzip,chunked", GYR_ERR_HTTP_CODING_UNKNOWN},
        {"chunkedx", GYR_ERR_HTTP_CODING_UNKNOWN},
        {"a, b\t,\tCHUNKED", GYR_ERR_HTTP_CODING_UNKNOWN},
        {"", GYR_ERR_HTTP_TRANSFER_CODING},
        {",", GYR_ERR_HTTP_TRANSFER_CODING},
        {"chunked,", GYR_ERR_HTTP_TRANSFER_CODING},
        {", chunked", GYR_ERR_HTTP_TRANSFER_CODING},
        {"chunked, gzip", GYR_ERR_HTTP_TRANSFER_CODING},
        {"chunked, chunked", GYR_ERR_HTTP_TRANSFER_CODING},
        {"gzip, chunked, chunked", GYR_ERR_HTTP_TRANSFER_CODING},
        {"gzip,, chunked", GYR_ERR_HTTP_TRANSFER_CODING},
        {"chunked;ext=val", GYR_ERR_HTTP_TRANSFER_CODING},
        {"\"chunked\"", GYR_ERR_HTTP_TRANSFER_CODING},
        {"chunked chunked", GYR_ERR_HTTP_TRANSFER_CODING},
        {"chunked\x80", GYR_ERR_HTTP_TRANSFER_CODING},
        {"(chunked)", GYR_ERR_HTTP_TRANSFER_CODING},
        {"gzip;q=1, chunked", GYR_ERR_HTTP_TRANSFER_CODING},
    };
    static struct http_request request;
    char text[128];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        snprintf(text, sizeof(text), POST_WITH("Transfer-Encoding: %s\r\n"), rows[i].value);
        EXPECT_INT(http_kit_parse_every_way(&request, text, strlen(text), text), rows[i].expected,
                   text);
    }
}

static bool content_length_reference(const char *value)
{
    size_t size = strlen(value);
    while (size > 0 && strchr(" \t", value[0]) != NULL) {
        value++;
        size--;
    }
    while (size > 0 && strchr(" \t", value[size - 1]) != NULL) {
        size--;
    }
    return size > 0 && strspn(value, "0123456789") >= size && (value[0] != '0' || size == 1);
}

/* All values of up to four characters that have been used to smuggle requests. */
void http_field_agrees_on_short_content_lengths(void)
{
    static const char alphabet[] = "019aAx+-_,;. \t\"'\x80";
    static struct http_request request;
    unsigned counts[2] = {0, 0};
    size_t letters = sizeof(alphabet); /* the last one, NUL, ends the value early */
    for (size_t n = 0; n < letters * letters * letters * letters; n++) {
        char value[5] = {alphabet[n % letters], alphabet[n / letters % letters],
                         alphabet[n / letters / letters % letters],
                         alphabet[n / letters / letters / letters], 0};
        char text[80];
        snprintf(text, sizeof(text), POST_WITH("Content-Length:%s\r\n"), value);
        bool valid = content_length_reference(value);
        counts[valid]++;
        int status = http_kit_parse(&request, text, strlen(text));
        EXPECT_INT(status, valid ? 0 : GYR_ERR_HTTP_CONTENT_LENGTH, text);
        EXPECT(!valid || request.content_length == strtoull(value, NULL, 10), text);
    }
    EXPECT(counts[0] > counts[1] && counts[1] > 0, "both kinds occur");
}
