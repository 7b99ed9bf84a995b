/* SPDX-License-Identifier: MIT */
/* Request bodies: content comes out the same however the input is cut (P1), and every doubtful byte
 * round it is refused. Ids such as SMUG-CHUNK-SPILL are those of Http11Probe. */
#include "proto/http_body.h"
#include "tests/parser_kit.h"

#include <stdio.h>
#include <stdlib.h>

#define ROW(why, text, status, content)              \
    {                                                \
        why, text, sizeof(text) - 1, status, content \
    }
#define NO_LIMIT UINT64_MAX

struct row {
    const char *why;
    const char *text;
    size_t size;
    int status;
    const char *content;
};

/* What one run over the pieces has emitted. */
struct outcome {
    int status;
    size_t taken; /* bytes of the input, all pieces together */
    size_t content_size;
    char content[256];
};

struct run {
    struct http_body start;
    uint64_t size_max;
    struct outcome outcome;
    bool used; /* an outcome to compare with is there */
    const char *why;
};

/* Feed one buffer until the body stops taking from it. */
static int feed(struct http_body *body, uint64_t size_max, struct piece in, struct outcome *out)
{
    size_t at = 0;
    for (;;) {
        size_t consumed = 0;
        struct span piece = {NULL, 0};
        int status = http_body_parse(body, size_max, in.ptr + at, in.size - at, &consumed, &piece);
        EXPECT(consumed <= in.size - at, "no more is taken than there is");
        EXPECT(piece.size <= consumed, "content lies within what was taken");
        size_t room = sizeof(out->content) - out->content_size;
        size_t size = MIN(piece.size, room);
        memcpy(out->content + out->content_size, piece.ptr, size);
        out->content_size += size;
        out->taken += consumed;
        at += consumed;
        if (status != NEED_MORE || at == in.size) {
            return status;
        }
        EXPECT(consumed > 0, "every call makes progress");
    }
}

static void run_pieces(void *ctx, const struct piece *pieces, size_t piece_count)
{
    struct run *run = ctx;
    struct http_body body = run->start;
    struct outcome outcome = {.status = NEED_MORE};
    for (size_t i = 0; i < piece_count && outcome.status == NEED_MORE; i++) {
        outcome.status = feed(&body, run->size_max, pieces[i], &outcome);
    }
    if (!run->used) {
        run->used = true;
        run->outcome = outcome;
        return;
    }
    EXPECT_INT(outcome.status, run->outcome.status, run->why);
    EXPECT_INT(outcome.taken, run->outcome.taken, run->why);
    EXPECT_INT(outcome.content_size, run->outcome.content_size, run->why);
    EXPECT(memcmp(outcome.content, run->outcome.content, outcome.content_size) == 0, run->why);
}

static struct http_body body_of(enum http_framing framing, uint64_t content_length)
{
    static struct http_request request;
    struct http_body body;
    http_request_reset(&request);
    request.framing = (uint8_t)framing;
    request.content_length = content_length;
    http_body_init(&body, &request);
    return body;
}

static struct outcome parse_every_way(struct http_body start, uint64_t size_max, struct span input,
                                      const char *why)
{
    struct run run = {.start = start, .size_max = size_max, .why = why};
    split_at_every_byte(input, run_pieces, &run);
    return run.outcome;
}

static void expect_row(const struct row *row, uint64_t size_max)
{
    struct http_body body = body_of(HTTP_FRAMING_CHUNKED, 0);
    struct span input = span_of(row->text, row->size);
    struct outcome outcome = parse_every_way(body, size_max, input, row->why);
    EXPECT_INT(outcome.status, row->status, row->why);
    EXPECT_SPAN(span_of(outcome.content, outcome.content_size), row->content, row->why);
    EXPECT(row->status != 0 || row->text[outcome.taken] == 0, row->why);
}

void http_body_parse_reads_chunks(void)
{
    static const struct row rows[] = {
        ROW("COMP-CHUNKED-BODY", "5\r\nhello\r\n0\r\n\r\n", 0, "hello"),
        ROW("COMP-CHUNKED-MULTI", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", 0, "hello world"),
        ROW("COMP-CHUNKED-EMPTY", "0\r\n\r\n", 0, ""),
        ROW("COMP-CHUNKED-HEX-UPPERCASE", "A\r\nhelloworld\r\n0\r\n\r\n", 0, "helloworld"),
        ROW("lower case and zeros", "000a\r\nhelloworld\r\n000\r\n\r\n", 0, "helloworld"),
        ROW("16 digits", "0000000000000001\r\nx\r\n0\r\n\r\n", 0, "x"),
        ROW("content like framing", "4\r\n\r\n0\r\r\n2\r\n\n\r\r\n0\r\n\r\n", 0, "\r\n0\r\n\r"),
        ROW("COMP-CHUNKED-EXTENSION", "5;ext=value\r\nhello\r\n0\r\n\r\n", 0, "hello"),
        ROW("RFC 9112 section 7.1.1", "1;a;b=c;d=\"e\";f=\"\\\"\\\\;\t\x80\"\r\nx\r\n0;z\r\n\r\n",
            0, "x"),
        ROW("COMP-CHUNKED-TRAILER-VALID", "1\r\nx\r\n0\r\nX-Checksum: abc\r\n\r\n", 0, "x"),
        ROW("RFC 9112 section 7.1.2",
            "1\r\nx\r\n0\r\nA:\r\nServer-Timing: a \t\x80\r\ndigest::\r\n\r\n", 0, "x"),
        ROW("names next to forbidden ones",
            "0\r\nHos: a\r\nHostX: a\r\nHosu: a\r\nT: a\r\nTer: a\r\nContent-Typ: a\r\nZ: a\r\n"
            "Content-Types: a\r\nA: b\r\nContent-Lengti: a\r\nIf-Rang: a\r\n\r\n",
            0, ""),
        ROW("COMP-CHUNKED-NO-FINAL", "5\r\nhello\r\n", NEED_MORE, "hello"),
        ROW("half a chunk", "5\r\nhel", NEED_MORE, "hel"),
        ROW("half an end", "0\r\n\r", NEED_MORE, ""),
        ROW("nothing", "", NEED_MORE, ""),
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        expect_row(&rows[i], NO_LIMIT);
    }
}

void http_body_parse_rejects_bad_chunks(void)
{
    static const struct row rows[] = {
        ROW("MAL-CHUNK-SIZE-OVERFLOW", "FFFFFFFFFFFFFFFF0\r\nhello", GYR_ERR_HTTP_CHUNK, ""),
        ROW("17 digits", "00000000000000005\r\nhello", GYR_ERR_HTTP_CHUNK, ""),
        ROW("SMUG-CHUNK-UNDERSCORE", "1_0\r\nhello", GYR_ERR_HTTP_CHUNK, ""),
        ROW("SMUG-CHUNK-HEX-PREFIX", "0x5\r\nhello\r\n", GYR_ERR_HTTP_CHUNK, ""),
        ROW("SMUG-CHUNK-SIZE-PLUS", "+5\r\nhello\r\n", GYR_ERR_HTTP_CHUNK, ""),
        ROW("SMUG-CHUNK-NEGATIVE", "-1\r\nhello\r\n", GYR_ERR_HTTP_CHUNK, ""),
        ROW("SMUG-CHUNK-SIZE-TRAILING-OWS", "5 \r\nhello\r\n", GYR_ERR_HTTP_CHUNK, ""),
        ROW("SMUG-CHUNK-LEADING-SP", " 5\r\nhello\r\n", GYR_ERR_HTTP_CHUNK, ""),
        ROW("no size", "\r\nhello\r\n", GYR_ERR_HTTP_CHUNK, ""),
        ROW("no size but an extension", ";a\r\nhello\r\n", GYR_ERR_HTTP_CHUNK, ""),
        ROW("SMUG-CHUNK-BARE-SEMICOLON", "5;\r\nhello\r\n", GYR_ERR_HTTP_CHUNK, ""),
        ROW("SMUG-CHUNK-EXT-LF", "5;\nhello\r\n0\r\n\r\n", GYR_ERR_HTTP_CHUNK, ""),
        ROW("bare LF in an extension", "5;a\nhello\r\n0\r\n\r\n", GYR_ERR_HTTP_CHUNK, ""),
        ROW("SMUG-CHUNK-EXT-CTRL", "5;\0ext\r\nhello\r\n", GYR_ERR_HTTP_CHUNK, ""),
        ROW("SMUG-CHUNK-EXT-CR", "5;a\rX\r\nhello\r\n", GYR_ERR_HTTP_CHUNK, ""),
        ROW("SMUG-CHUNK-EXT-INVALID-TOKEN", "5;bad[=x\r\nhello\r\n", GYR_ERR_HTTP_CHUNK, ""),
        ROW("two semicolons", "5;;a\r\nhello\r\n", GYR_ERR_HTTP_CHUNK, ""),
        ROW("space round the semicolon", "5 ; a\r\nhello\r\n", GYR_ERR_HTTP_CHUNK, ""),
        ROW("no extension value", "5;a=\r\nhello\r\n", GYR_ERR_HTTP_CHUNK, ""),
        ROW("two equals signs", "5;a==b\r\nhello\r\n", GYR_ERR_HTTP_CHUNK, ""),
        ROW("open quote", "5;a=\"b\r\nhello\r\n", GYR_ERR_HTTP_CHUNK, ""),
        ROW("behind the quote", "5;a=\"b\"c\r\nhello\r\n", GYR_ERR_HTTP_CHUNK, ""),
        ROW("LF in quotes", "5;a=\"\n\"\r\nhello\r\n", GYR_ERR_HTTP_CHUNK, ""),
        ROW("escaped CR", "5;a=\"\\\r\n\"\r\nhello\r\n", GYR_ERR_HTTP_CHUNK, ""),
        ROW("quote within a value", "5;a=b\"c\"\r\nhello\r\n", GYR_ERR_HTTP_CHUNK, ""),
        ROW("bare LF after the size", "5\nhello\r\n0\r\n\r\n", GYR_ERR_HTTP_CHUNK, ""),
        ROW("SMUG-CHUNK-BARE-CR-TERM", "5\rhello\r\n0\r\n\r\n", GYR_ERR_HTTP_CHUNK, ""),
        ROW("SMUG-CHUNK-MISSING-TRAILING-CRLF", "5\r\nhello0\r\n\r\n", GYR_ERR_HTTP_CHUNK, "hello"),
        ROW("SMUG-CHUNK-SPILL", "5\r\nhello!!\r\n0\r\n\r\n", GYR_ERR_HTTP_CHUNK, "hello"),
        ROW("SMUG-CHUNK-LF-TERM", "5\r\nhello\n0\r\n\r\n", GYR_ERR_HTTP_CHUNK, "hello"),
        ROW("bare CR behind the data", "5\r\nhello\r0\r\n\r\n", GYR_ERR_HTTP_CHUNK, "hello"),
        ROW("space behind the data", "5\r\nhello \r\n0\r\n\r\n", GYR_ERR_HTTP_CHUNK, "hello"),
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        expect_row(&rows[i], NO_LIMIT);
    }
}

void http_body_parse_rejects_bad_trailers(void)
{
    static const struct row rows[] = {
        ROW("SMUG-CHUNK-LF-TRAILER", "0\r\n\n", GYR_ERR_HTTP_TRAILER, ""),
        ROW("CR CR", "0\r\n\r\r\n", GYR_ERR_HTTP_TRAILER, ""),
        ROW("bare LF behind a trailer", "0\r\nA: b\n\r\n", GYR_ERR_HTTP_TRAILER, ""),
        ROW("bare CR in a trailer", "0\r\nA: b\rc\r\n\r\n", GYR_ERR_HTTP_TRAILER, ""),
        ROW("NUL in a trailer", "0\r\nA: b\0\r\n\r\n", GYR_ERR_HTTP_TRAILER, ""),
        ROW("DEL in a trailer", "0\r\nA: b\x7F\r\n\r\n", GYR_ERR_HTTP_TRAILER, ""),
        ROW("empty name", "0\r\n: b\r\n\r\n", GYR_ERR_HTTP_TRAILER, ""),
        ROW("no colon", "0\r\nAb\r\n\r\n", GYR_ERR_HTTP_TRAILER, ""),
        ROW("space before the colon", "0\r\nA : b\r\n\r\n", GYR_ERR_HTTP_TRAILER, ""),
        ROW("obs-fold", "0\r\nA: b\r\n c\r\n\r\n", GYR_ERR_HTTP_TRAILER, ""),
        ROW("no token", "0\r\nA\x80: b\r\n\r\n", GYR_ERR_HTTP_TRAILER, ""),
        ROW("a request at once", "0\r\nGET / HTTP/1.1\r\n", GYR_ERR_HTTP_TRAILER, ""),
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        expect_row(&rows[i], NO_LIMIT);
    }
}

/* SMUG-TRAILER-CL, -TE, -HOST, -AUTH, -CONTENT-TYPE and their like (RFC 9110 section 6.5.1). */
void http_body_parse_rejects_forbidden_trailers(void)
{
    static const char *const names[] = {
        "Content-Length",
        "Transfer-Encoding",
        "Host",
        "Authorization",
        "Content-Type",
        "Content-Encoding",
        "Content-Range",
        "Trailer",
        "TE",
        "Cache-Control",
        "Expect",
        "Max-Forwards",
        "Pragma",
        "Range",
        "If-Match",
        "If-None-Match",
        "If-Modified-Since",
        "If-Unmodified-Since",
        "If-Range",
        "Proxy-Authorization",
        "Proxy-Authenticate",
        "WWW-Authenticate",
        "Cookie",
        "Set-Cookie",
        "Age",
        "Date",
        "Expires",
        "Location",
        "Retry-After",
        "Vary",
        "Warning",
        "Connection",
        "Keep-Alive",
        "Proxy-Connection",
        "Upgrade",
    };
    char text[128];
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        for (unsigned prefix = 0; prefix < 2; prefix++) {
            snprintf(text, sizeof(text), "0\r\n%s%s: x\r\n\r\n", prefix == 1 ? "a: b\r\n" : "",
                     names[i]);
            if (prefix == 1) {
                text[9] = (char)(text[9] | 0x20);
            }
            struct row row = {names[i], text, strlen(text), GYR_ERR_HTTP_TRAILER, ""};
            expect_row(&row, NO_LIMIT);
        }
    }
}

static bool chunk_size_reference(const char *text)
{
    size_t digits = strspn(text, "0123456789abcdefABCDEF");
    return digits > 0 && text[digits] == 0;
}

/* All chunk-size lines of up to four characters over what has been used to smuggle. */
void http_body_parse_agrees_on_short_chunk_sizes(void)
{
    static const char alphabet[] = "019aFgx+-_. \t\r\n\"\x80";
    const size_t letters = sizeof(alphabet); /* the last one, NUL, ends the line early */
    unsigned counts[2] = {0, 0};
    for (size_t n = 0; n < letters * letters * letters * letters; n++) {
        char size[5] = {alphabet[n % letters], alphabet[n / letters % letters],
                        alphabet[n / letters / letters % letters],
                        alphabet[n / letters / letters / letters], 0};
        char text[16];
        snprintf(text, sizeof(text), "%s\r\n", size);
        struct http_body body = body_of(HTTP_FRAMING_CHUNKED, 0);
        struct outcome outcome = {.status = NEED_MORE};
        struct piece in = {guard_copy(text, strlen(text)), strlen(text)};
        int status = feed(&body, NO_LIMIT, in, &outcome);
        guard_free(in.ptr);
        bool valid = chunk_size_reference(size);
        /* Taken whole as a size line, or refused, unless it is a size line with data behind it. */
        bool early = strstr(text, "\r\n") != text + strlen(text) - 2;
        counts[valid]++;
        EXPECT(early || (status == NEED_MORE) == valid, size);
        EXPECT(!valid || body.remaining == strtoull(size, NULL, 16), size);
    }
    EXPECT(counts[0] > counts[1] && counts[1] > 0, "both kinds occur");
}

void http_body_parse_agrees_on_every_byte(void)
{
    static const char base[] = "2;a=b\r\nxy\r\n0\r\nAb: c\r\n\r\n";
    const size_t data = strlen("2;a=b\r\n");
    char why[32];
    for (size_t at = 0; at < sizeof(base) - 1; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            char text[sizeof(base)];
            memcpy(text, base, sizeof(base));
            text[at] = (char)byte;
            snprintf(why, sizeof(why), "byte %02x at %zu", byte, at);
            struct http_body body = body_of(HTTP_FRAMING_CHUNKED, 0);
            struct span input = span_of(text, sizeof(base) - 1);
            struct outcome outcome = parse_every_way(body, NO_LIMIT, input, why);
            bool is_data = at == data || at == data + 1;
            bool is_framing = strchr("\r\n;:", base[at]) != NULL;
            EXPECT(!is_data || outcome.status == 0, why);
            EXPECT(!is_framing || byte == (unsigned char)base[at] || outcome.status != 0, why);
            EXPECT(outcome.status <= NEED_MORE, why);
        }
    }
}

void http_body_parse_reads_by_length(void)
{
    struct span input = SPAN_LITERAL("helloGET");
    struct outcome outcome =
        parse_every_way(body_of(HTTP_FRAMING_LENGTH, 5), 5, input, "COMP-POST-CL-BODY");
    EXPECT_INT(outcome.status, 0, "COMP-POST-CL-BODY");
    EXPECT_INT(outcome.taken, 5, "the next request stays");
    EXPECT_SPAN(span_of(outcome.content, outcome.content_size), "hello", "COMP-POST-CL-BODY");

    outcome =
        parse_every_way(body_of(HTTP_FRAMING_LENGTH, 10), 10, input, "COMP-POST-CL-UNDERSEND");
    EXPECT_INT(outcome.status, NEED_MORE, "COMP-POST-CL-UNDERSEND");
    EXPECT_INT(outcome.content_size, 8, "what came is handed out");

    outcome = parse_every_way(body_of(HTTP_FRAMING_LENGTH, 0), 0, input, "COMP-POST-CL-ZERO");
    EXPECT_INT(outcome.status, 0, "COMP-POST-CL-ZERO");
    EXPECT_INT(outcome.taken, 0, "COMP-POST-CL-ZERO");

    outcome = parse_every_way(body_of(HTTP_FRAMING_NONE, 0), 0, input, "no body");
    EXPECT_INT(outcome.status, 0, "no body");
    EXPECT_INT(outcome.taken, 0, "no body");
}

void http_body_parse_limits_content(void)
{
    static const struct row fits = ROW("fits", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 0, "abcde");
    static const struct row second =
        ROW("second chunk", "3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n", GYR_ERR_HTTP_BODY_SIZE, "abc");
    static const struct row huge =
        ROW("2^64 - 1", "3\r\nabc\r\nFFFFFFFFFFFFFFFF\r\n", GYR_ERR_HTTP_BODY_SIZE, "abc");
    expect_row(&fits, 5);
    expect_row(&second, 5);
    expect_row(&huge, 5);
    struct outcome outcome = parse_every_way(body_of(HTTP_FRAMING_LENGTH, 6), 5,
                                             SPAN_LITERAL("abcdef"), "Content-Length");
    EXPECT_INT(outcome.status, GYR_ERR_HTTP_BODY_SIZE, "Content-Length");
    EXPECT_INT(outcome.content_size, 0, "refused before the first byte");
    outcome = parse_every_way(body_of(HTTP_FRAMING_LENGTH, INT64_MAX), 5, SPAN_LITERAL(""), "huge");
    EXPECT_INT(outcome.status, GYR_ERR_HTTP_BODY_SIZE, "even without a byte");
}

/* Repeat a text after a start until the parser has had enough; return how many repeats it took. */
static size_t repeat_until(const char *start, const char *text, int expected)
{
    struct http_body body = body_of(HTTP_FRAMING_CHUNKED, 0);
    struct outcome outcome = {.status = NEED_MORE};
    struct piece in = {guard_copy(start, strlen(start)), strlen(start)};
    int status = feed(&body, NO_LIMIT, in, &outcome);
    guard_free(in.ptr);
    size_t repeats = 0;
    while (status == NEED_MORE && repeats < 1000000) {
        in = (struct piece){guard_copy(text, strlen(text)), strlen(text)};
        status = feed(&body, NO_LIMIT, in, &outcome);
        guard_free(in.ptr);
        repeats++;
    }
    EXPECT_INT(status, expected, text);
    return repeats;
}

/* MAL-CHUNK-EXT-64K, CVE-2023-39326. */
void http_body_parse_limits_overhead(void)
{
    EXPECT_INT(repeat_until("5;", "x", GYR_ERR_HTTP_CHUNK), 4095, "one long extension");
    EXPECT_INT(repeat_until("", "1;12345678\r\nx\r\n", GYR_ERR_HTTP_CHUNK), 1821, "many of them");
    EXPECT_INT(repeat_until("0\r\n", "A: 345678\r\n", GYR_ERR_HTTP_TRAILER), 1490, "many trailers");
    EXPECT_INT(repeat_until("0\r\nA: ", "x", GYR_ERR_HTTP_TRAILER), 16382, "one long trailer");
    EXPECT_INT(repeat_until("0\r\n", "x", GYR_ERR_HTTP_TRAILER), 16385, "one long name");
}
