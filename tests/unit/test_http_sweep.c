/* SPDX-License-Identifier: MIT */
/* Every byte value at every place of small requests with content: a reference that is written after
 * the grammar says whether the request is taken, what its content is and where it ends. Each is
 * read in one piece and byte by byte (P1). */
#include "proto/http_body.h"
#include "tests/http_kit.h"

#include <stdio.h>
#include <stdlib.h>

#define WHOLE 1000

/* What was read, or is to be read. */
struct reading {
    int status; /* 0, NEED_MORE, or below 0: refused */
    size_t taken;
    size_t content_size;
    char content[64];
    bool chunked;
    uint64_t length; /* if not chunked */
};

static struct http_request request; /* large; tests run in one thread */

/* ---- the parsers --------------------------------------------------------------------------- */

static void read_body(struct reading *reading, const char *text, size_t size, size_t step)
{
    struct http_body body;
    http_body_init(&body, &request);
    reading->taken = request.head_size;
    do {
        size_t consumed;
        struct span piece;
        size_t part = MIN(step, size - reading->taken);
        reading->status = http_body_parse(&body, 1000, (const uint8_t *)text + reading->taken, part,
                                          &consumed, &piece);
        reading->taken += consumed;
        memcpy(reading->content + reading->content_size, piece.ptr, piece.size);
        reading->content_size += piece.size;
    } while (reading->status == NEED_MORE && reading->taken < size);
}

static struct reading read_request(const char *text, size_t size, size_t step)
{
    struct reading reading = {.status = NEED_MORE};
    http_request_reset(&request);
    for (size_t end = 0; reading.status == NEED_MORE && end < size;) {
        end = MIN(end + step, size);
        reading.status = http_request_parse(&request, &http_kit_limits, (const uint8_t *)text, end);
    }
    if (reading.status == 0) {
        read_body(&reading, text, size, step);
    }
    return reading;
}

/* ---- the reference ------------------------------------------------------------------------- */

static bool all_of(const char *text, size_t size, const char *set)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] == 0 || strchr(set, text[i]) == NULL) {
            return false;
        }
    }
    return size > 0;
}

#define DIGITS  "0123456789"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define TCHARS  DIGITS LETTERS "!#$%&'*+-.^_`|~"

/* Control characters other than the tab stand nowhere but in a line end. */
static bool has_control(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == 0x7F) {
            return true;
        }
    }
    return false;
}

#define PATH DIGITS LETTERS "/-._~!$&'()*+,;=:@[]|^"

/* "PUT" SP origin-form SP "HTTP/1." ( "0" / "1" ); no digit of base 16 stands in the paths below,
 * so that one changed byte makes no percent triplet. */
static bool request_line_reference(const char *line, size_t size, bool *old)
{
    const size_t tail = sizeof(" HTTP/1.1") - 1;
    if (size < 5 + tail || memcmp(line, "PUT /", 5) != 0 ||
        memcmp(line + size - tail, " HTTP/1.", tail - 1) != 0) {
        return false;
    }
    *old = line[size - 1] == '0';
    /* RFC 3986, and what browsers leave as it is: "|" and "^", and in a query three more. */
    const char *query = memchr(line, '?', size - tail);
    const char *end = line + size - tail;
    size_t path_size = (size_t)((query == NULL ? end : query) - (line + 4));
    return (*old || line[size - 1] == '1') && all_of(line + 4, path_size, PATH) &&
           (query == NULL || all_of(query, (size_t)(end - query), PATH "?`{}"));
}

/* reg-name [ ":" port ], where no percent triplet can be, and no comma, which would make a list. */
static bool host_reference(const char *value, size_t size)
{
    const char *colon = memchr(value, ':', size);
    size_t name = colon == NULL ? size : (size_t)(colon - value);
    if (!all_of(value, name, DIGITS LETTERS "-._~!$&'()*+;=")) {
        return false;
    }
    return colon == NULL || (all_of(colon + 1, size - name - 1, DIGITS) && size - name - 1 <= 4);
}

/* A field of the head, and what it does. */
static bool field_reference(struct reading *want, const char *line, size_t size, unsigned *hosts)
{
    const char *colon = memchr(line, ':', size);
    if (colon == NULL || has_control(line, size) || !all_of(line, (size_t)(colon - line), TCHARS)) {
        return false;
    }
    struct span name = span_of(line, (size_t)(colon - line));
    const char *value = colon + 1;
    const char *end = line + size;
    while (value < end && (*value == ' ' || *value == '\t')) {
        value++;
    }
    while (end > value && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    size_t value_size = (size_t)(end - value);
    if (span_equal_nocase(name, SPAN_LITERAL("host"))) {
        return (*hosts)++ == 0 && host_reference(value, value_size);
    }
    if (span_equal_nocase(name, SPAN_LITERAL("content-length"))) {
        want->length = strtoull(value, NULL, 10);
        return all_of(value, value_size, DIGITS) && (value[0] != '0' || value_size == 1);
    }
    if (span_equal_nocase(name, SPAN_LITERAL("transfer-encoding"))) {
        want->chunked = true;
        return span_equal_nocase(span_of(value, value_size), SPAN_LITERAL("chunked"));
    }
    return !span_equal_nocase(name, SPAN_LITERAL("content_length")) &&
           !span_equal_nocase(name, SPAN_LITERAL("transfer_encoding"));
}

/* The line that begins at `at`: its size, or SIZE_MAX if no CRLF follows. */
static size_t line_size(const char *text, size_t size, size_t at)
{
    for (size_t i = at; i + 1 < size; i++) {
        if (text[i] == '\r' && text[i + 1] == '\n') {
            return i - at;
        }
    }
    return SIZE_MAX;
}

static bool head_reference(struct reading *want, const char *text, size_t size)
{
    bool old = false;
    unsigned hosts = 0;
    for (unsigned number = 0;; number++) {
        size_t line = line_size(text, size, want->taken);
        const char *start = text + want->taken;
        if (line == SIZE_MAX) {
            return false; /* one changed byte cannot take all line ends away */
        }
        want->taken += line + 2;
        if (line == 0 && number > 0) {
            return hosts == 1 && !(old && want->chunked);
        }
        if (number == 0 ? !request_line_reference(start, line, &old)
                        : !field_reference(want, start, line, &hosts)) {
            return false;
        }
    }
}

/* 1*HEXDIG [ ";" token [ "=" token ] ]: one changed byte makes no second extension, except where it
 * turns the "=" into ";", and no quoted string. */
static bool size_line_reference(const char *line, size_t size, uint64_t *value)
{
    const char *semicolon = memchr(line, ';', size);
    size_t digits = semicolon == NULL ? size : (size_t)(semicolon - line);
    if (!all_of(line, digits, DIGITS "abcdefABCDEF")) {
        return false;
    }
    *value = strtoull(line, NULL, 16);
    if (semicolon == NULL) {
        return true;
    }
    const char *name = semicolon + 1;
    size_t rest = size - digits - 1;
    for (size_t i = 0; i < rest; i++) {
        if (name[i] == '=' || name[i] == ';') {
            return all_of(name, i, TCHARS) && all_of(name + i + 1, rest - i - 1, TCHARS);
        }
    }
    return all_of(name, rest, TCHARS);
}

static int trailers_reference(struct reading *want, const char *text, size_t size)
{
    for (;;) {
        size_t line = line_size(text, size, want->taken);
        const char *start = text + want->taken;
        if (line == SIZE_MAX) {
            return has_control(start, size - want->taken) ? -1 : NEED_MORE;
        }
        want->taken += line + 2;
        if (line == 0) {
            return 0;
        }
        const char *colon = memchr(start, ':', line);
        if (colon == NULL || has_control(start, line) ||
            !all_of(start, (size_t)(colon - start), TCHARS)) {
            return -1;
        }
    }
}

static int chunks_reference(struct reading *want, const char *text, size_t size)
{
    for (;;) {
        uint64_t chunk;
        if (want->taken == size) {
            return NEED_MORE; /* a size has become so large that a chunk took the last one's line */
        }
        size_t line = line_size(text, size, want->taken);
        if (line == SIZE_MAX || !size_line_reference(text + want->taken, line, &chunk)) {
            return -1;
        }
        want->taken += line + 2;
        if (chunk == 0) {
            return trailers_reference(want, text, size);
        }
        size_t take = (size_t)MIN(chunk, size - want->taken);
        memcpy(want->content + want->content_size, text + want->taken, take);
        want->content_size += take;
        want->taken += take;
        size_t left = MIN(size - want->taken, 2);
        if (take < chunk || left < 2) {
            return memcmp(text + want->taken, "\r\n", left) == 0 ? NEED_MORE : -1;
        }
        if (memcmp(text + want->taken, "\r\n", 2) != 0) {
            return -1;
        }
        want->taken += 2;
    }
}

static struct reading reference(const char *text, size_t size)
{
    struct reading want = {.status = -1};
    if (!head_reference(&want, text, size)) {
        return want;
    }
    if (want.chunked) {
        want.status = chunks_reference(&want, text, size);
        return want;
    }
    want.content_size = (size_t)MIN(want.length, size - want.taken);
    memcpy(want.content, text + want.taken, want.content_size);
    want.taken += want.content_size;
    want.status = want.content_size == want.length ? 0 : NEED_MORE;
    return want;
}

/* ---- the sweep ----------------------------------------------------------------------------- */

static bool readings_agree(const struct reading *got, const struct reading *want)
{
    if (want->status < 0 || got->status < 0) {
        return want->status < 0 && got->status < 0;
    }
    return got->status == want->status && got->taken == want->taken &&
           got->content_size == want->content_size &&
           memcmp(got->content, want->content, want->content_size) == 0;
}

/* Put every byte at every place, and between every two. */
static void sweep(const char *base, size_t size)
{
    unsigned counts[2] = {0, 0};
    for (size_t at = 0; at < size; at++) {
        for (unsigned n = 0; n < 512; n++) {
            char text[160];
            char why[64];
            bool between = n >= 256;
            memcpy(text, base, at);
            text[at] = (char)n;
            memcpy(text + at + 1, base + at + !between, size - at - !between);
            size_t text_size = size + between;
            snprintf(why, sizeof(why), "byte %02x %s %zu", n % 256, between ? "before" : "at", at);
            struct reading got = read_request(text, text_size, WHOLE);
            struct reading single = read_request(text, text_size, 1);
            struct reading want = reference(text, text_size);
            counts[want.status >= 0]++;
            EXPECT(readings_agree(&got, &want), why);
            EXPECT_INT(single.status, got.status, why);
            EXPECT(readings_agree(&single, &want), why);
        }
    }
    EXPECT(counts[0] > counts[1] && counts[1] > 1000, "both kinds occur");
}

void http_sweep_judges_every_byte_of_a_request_with_a_length(void)
{
    static const char text[] = "PUT /xyz HTTP/1.1\r\nHost: xy:8\r\nContent-Length: 3\r\n\r\nxyz";
    sweep(text, sizeof(text) - 1);
}

void http_sweep_judges_every_byte_of_a_chunked_request(void)
{
    static const char text[] =
        "PUT /xyz HTTP/1.1\r\nHost: xy:8\r\nTransfer-Encoding: chunked\r\n\r\n"
        "2;a=b\r\nxy\r\n0\r\nAb: c\r\n\r\n";
    sweep(text, sizeof(text) - 1);
}
