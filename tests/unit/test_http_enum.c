/* SPDX-License-Identifier: MIT */
/* All short values of the fields and lines that frame a request, over the bytes with which servers
 * have been deceived, against references that are written after the grammar and share nothing with
 * the parsers. Every value is read in one piece; those of up to four parts also byte by byte
 * (P1). */
#include "engine/error.h"
#include "proto/http_body.h"
#include "tests/http_kit.h"

#include <stdio.h>
#include <stdlib.h>

#define PARTS_MAX    5
#define FAILURES_MAX 10 /* reported; a mistake in a grammar is seen in the first */

/* A string made of a few parts, and what is said about it. */
struct value {
    char text[64];
    size_t size;
    char why[200];
};

typedef void (*value_fn)(const struct value *value, bool by_byte);

static struct http_request request; /* large; tests run in one thread */
static unsigned counts[3];          /* outcomes by kind, so that a test sees that all occur */
static unsigned failures;

static void check(bool condition, int status, const struct value *value)
{
    if (!condition && failures++ < FAILURES_MAX) {
        EXPECT_INT(status, 0, value->why);
        EXPECT(condition, value->why);
    }
}

static void value_add(struct value *value, const char *part, size_t size)
{
    memcpy(value->text + value->size, part, size);
    value->size += size;
}

/* In printable form, for messages. */
static void value_describe(struct value *value)
{
    size_t at = 0;
    for (size_t i = 0; i < value->size && at + 8 < sizeof(value->why); i++) {
        unsigned char c = (unsigned char)value->text[i];
        bool plain = c > ' ' && c < 0x7F;
        at +=
            (size_t)snprintf(value->why + at, sizeof(value->why) - at, plain ? "%c" : "<%02x>", c);
    }
    value->why[at] = 0;
}

/* Call `run` with every sequence of up to PARTS_MAX parts, the empty one included. */
static void enumerate(const struct span *parts, size_t part_count, value_fn run)
{
    memset(counts, 0, sizeof(counts));
    failures = 0;
    size_t total = 1;
    for (size_t length = 0; length <= PARTS_MAX; length++) {
        for (size_t n = 0; n < total; n++) {
            struct value value = {.size = 0};
            size_t rest = n;
            for (size_t i = 0; i < length; i++) {
                const struct span *part = &parts[rest % part_count];
                value_add(&value, (const char *)part->ptr, part->size);
                rest /= part_count;
            }
            value_describe(&value);
            run(&value, length < PARTS_MAX);
        }
        total *= part_count;
    }
    EXPECT_INT(failures, 0, "values that were judged wrongly");
}

/* The letters of a string, NUL among them. */
static void enumerate_letters(const char *letters, size_t letter_count, value_fn run)
{
    struct span parts[32];
    for (size_t i = 0; i < letter_count; i++) {
        parts[i] = span_of(letters + i, 1);
    }
    enumerate(parts, letter_count, run);
}

/* ---- references ---------------------------------------------------------------------------- */

static bool is_control(char c)
{
    return ((unsigned char)c < ' ' && c != '\t') || c == 0x7F;
}

static bool is_tchar(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static size_t token_size(const char *text, size_t size)
{
    size_t at = 0;
    while (at < size && is_tchar(text[at])) {
        at++;
    }
    return at;
}

/* Without spaces and tabs at both ends (RFC 9110 section 5.5). */
static struct span trimmed(const char *text, size_t size)
{
    while (size > 0 && (text[0] == ' ' || text[0] == '\t')) {
        text++;
        size--;
    }
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t')) {
        size--;
    }
    return span_of(text, size);
}

/* What a field value with these bytes comes to before its meaning is asked: 0 or an error. */
static int value_reference(const struct value *value)
{
    for (size_t i = 0; i < value->size; i++) {
        if (is_control(value->text[i])) {
            return GYR_ERR_HTTP_FIELD;
        }
    }
    return 0;
}

/* ---- field values -------------------------------------------------------------------------- */

/* Parse a POST with this value, in one piece or byte by byte. */
static int field_parse(const char *name, const struct value *value, size_t step)
{
    char text[160];
    size_t size = (size_t)snprintf(text, sizeof(text), "POST / HTTP/1.1\r\n" H "%s:", name);
    memcpy(text + size, value->text, value->size);
    size += value->size;
    memcpy(text + size, "\r\n\r\n", 4);
    size += 4;
    int status = NEED_MORE;
    http_request_reset(&request);
    for (size_t end = 0; status == NEED_MORE && end < size;) {
        end = MIN(end + step, size);
        status = http_request_parse(&request, &http_kit_limits, (const uint8_t *)text, end);
    }
    return status;
}

static void content_length_run(const struct value *value, bool by_byte)
{
    int wanted = value_reference(value);
    struct span digits = trimmed(value->text, value->size);
    uint64_t length = 0;
    if (wanted == 0) {
        bool valid = digits.size > 0 && (digits.ptr[0] != '0' || digits.size == 1);
        for (size_t i = 0; i < digits.size; i++) {
            valid = valid && digits.ptr[i] >= '0' && digits.ptr[i] <= '9';
            length = length * 10 + digits.ptr[i] - '0';
        }
        wanted = valid ? 0 : GYR_ERR_HTTP_CONTENT_LENGTH;
    }
    int status = field_parse("Content-Length", value, 1000);
    check(status == wanted, status, value);
    check(wanted != 0 ||
              (request.content_length == length && request.framing == HTTP_FRAMING_LENGTH),
          status, value);
    counts[wanted == 0 ? 0 : wanted == GYR_ERR_HTTP_FIELD ? 1 : 2]++;
    if (by_byte) {
        check(field_parse("Content-Length", value, 1) == wanted, status, value);
    }
}

void http_enum_content_lengths_are_digits_without_a_leading_zero(void)
{
    static const char letters[] = "019+-_x,;. \ta\f\""; /* and NUL */
    enumerate_letters(letters, sizeof(letters), content_length_run);
    EXPECT(counts[0] > 1000 && counts[1] > counts[0] && counts[2] > counts[0], "all kinds occur");
}

/* What an empty list, a list with empty elements or other things than tokens comes to, and one in
 * which something stands behind `chunked` (RFC 9112 section 6.1). */
static int coding_reference(const struct value *value)
{
    struct span whole = trimmed(value->text, value->size);
    if (span_equal_nocase(whole, SPAN_LITERAL("chunked"))) {
        return 0;
    }
    bool chunked = false;
    const char *text = (const char *)whole.ptr;
    size_t start = 0;
    for (size_t i = 0; i <= whole.size; i++) {
        if (i < whole.size && text[i] != ',') {
            continue;
        }
        struct span coding = trimmed(text + start, i - start);
        if (chunked || coding.size == 0 ||
            token_size((const char *)coding.ptr, coding.size) != coding.size) {
            return GYR_ERR_HTTP_TRANSFER_CODING;
        }
        chunked = span_equal_nocase(coding, SPAN_LITERAL("chunked"));
        start = i + 1;
    }
    return GYR_ERR_HTTP_CODING_UNKNOWN;
}

static void coding_run(const struct value *value, bool by_byte)
{
    int wanted = value_reference(value);
    if (wanted == 0) {
        wanted = coding_reference(value);
    }
    int status = field_parse("Transfer-Encoding", value, 1000);
    check(status == wanted, status, value);
    check(wanted != 0 || request.framing == HTTP_FRAMING_CHUNKED, status, value);
    counts[wanted == 0 ? 0 : wanted == GYR_ERR_HTTP_CODING_UNKNOWN ? 1 : 2]++;
    if (by_byte) {
        check(field_parse("Transfer-Encoding", value, 1) == wanted, status, value);
    }
}

void http_enum_codings_are_chunked_or_refused(void)
{
    static const struct span parts[] = {
        SPAN_STATIC("chunked"), SPAN_STATIC("CHUNKED"), SPAN_STATIC("gzip"), SPAN_STATIC("x"),
        SPAN_STATIC(" "),       SPAN_STATIC("\t"),      SPAN_STATIC(","),    SPAN_STATIC(";"),
        SPAN_STATIC("="),       SPAN_STATIC("\""),      SPAN_STATIC("\f"),   SPAN_STATIC("\v"),
        SPAN_STATIC("\0"),      SPAN_STATIC("\xA0"),
    };
    enumerate(parts, COUNT_OF(parts), coding_run);
    EXPECT(counts[0] > 100 && counts[1] > 100 && counts[2] > counts[1], "all kinds occur");
}

/* ---- several framing fields ---------------------------------------------------------------- */

/* One framing field or none, and a plain one, in any order and number: more than one is refused. */
void http_enum_framing_fields_exclude_each_other_in_any_order(void)
{
    static const struct {
        const char *line;
        int alone;
        bool framing;
    } lines[] = {
        {"X: chunked\r\n", 0, false},
        {"Content-Length: 5\r\n", 0, true},
        {"content-length: 0\r\n", 0, true},
        {"Content-Length: 05\r\n", GYR_ERR_HTTP_CONTENT_LENGTH, true},
        {"Transfer-Encoding: chunked\r\n", 0, true},
        {"TRANSFER-ENCODING: chunked\r\n", 0, true},
        {"Transfer-Encoding: gzip\r\n", GYR_ERR_HTTP_CODING_UNKNOWN, true},
        {"Transfer_Encoding: chunked\r\n", GYR_ERR_HTTP_FIELD, true},
        {"Content_Length: 5\r\n", GYR_ERR_HTTP_FIELD, true},
        {"Content-Length : 5\r\n", GYR_ERR_HTTP_FIELD, true},
        {"Transfer-Encoding:\r\n chunked\r\n", GYR_ERR_HTTP_TRANSFER_CODING, true},
    };
    const size_t kinds = COUNT_OF(lines);
    unsigned accepted = 0;
    for (size_t n = 0; n < kinds * kinds * kinds * kinds; n++) {
        size_t chosen[4] = {n % kinds, n / kinds % kinds, n / kinds / kinds % kinds,
                            n / kinds / kinds / kinds};
        char text[256];
        unsigned framing = 0;
        bool valid = true;
        size_t size = (size_t)snprintf(text, sizeof(text), "POST / HTTP/1.1\r\n" H);
        for (size_t i = 0; i < COUNT_OF(chosen); i++) {
            size += (size_t)snprintf(text + size, sizeof(text) - size, "%s", lines[chosen[i]].line);
            framing += lines[chosen[i]].framing;
            valid = valid && lines[chosen[i]].alone == 0;
        }
        size += (size_t)snprintf(text + size, sizeof(text) - size, "\r\n");
        int status = http_kit_parse(&request, text, size);
        accepted += status == 0;
        EXPECT_INT(status == 0, valid && framing <= 1, text);
        EXPECT(status == 0 || error_status_code(status) == 400 || error_status_code(status) == 501,
               text);
    }
    EXPECT_INT(accepted, 1 + 4 * 4, "plain lines alone, and each good one at each place");
}

/* ---- chunk-size lines ---------------------------------------------------------------------- */

/* quoted-string from its first quote on; 0 if it is none (RFC 9110 section 5.6.4). */
static size_t quoted_size(const char *text, size_t size)
{
    size_t at = 1;
    while (at < size && text[at] != '"') {
        at += text[at] == '\\' ? 2 : 1;
    }
    if (at >= size) {
        return 0;
    }
    for (size_t i = 0; i < at; i++) {
        if (is_control(text[i])) {
            return 0;
        }
    }
    return at + 1;
}

/* 1*HEXDIG *( ";" token [ "=" ( token / quoted-string ) ] ), without the white space that RFC 9112
 * section 7.1.1 would have skipped. */
static bool chunk_line_reference(const char *text, size_t size)
{
    size_t at = 0;
    while (at < size && text[at] != 0 && strchr("0123456789abcdefABCDEF", text[at]) != NULL) {
        at++;
    }
    if (at == 0) {
        return false;
    }
    while (at < size) {
        size_t name = token_size(text + at + 1, size - at - 1);
        if (text[at] != ';' || name == 0) {
            return false;
        }
        at += 1 + name;
        if (at == size || text[at] != '=') {
            continue;
        }
        at++;
        bool quoted = at < size && text[at] == '"';
        size_t part = quoted ? quoted_size(text + at, size - at) : token_size(text + at, size - at);
        if (part == 0) {
            return false;
        }
        at += part;
    }
    return true;
}

/* Feed `bytes`, all at once or singly. */
static int body_feed(struct http_body *body, const char *bytes, size_t size, size_t step)
{
    int status = NEED_MORE;
    for (size_t at = 0; status == NEED_MORE && at < size;) {
        size_t consumed;
        struct span piece;
        size_t part = MIN(step, size - at);
        status =
            http_body_parse(body, UINT64_MAX, (const uint8_t *)bytes + at, part, &consumed, &piece);
        at += consumed;
    }
    return status;
}

static void chunk_line_check(const struct value *value, size_t step)
{
    char line[sizeof(value->text) + 2];
    memcpy(line, value->text, value->size);
    memcpy(line + value->size, "\r\n", 2);
    request.framing = HTTP_FRAMING_CHUNKED;
    struct http_body body;
    http_body_init(&body, &request);
    bool valid = chunk_line_reference(value->text, value->size);
    int status = body_feed(&body, line, value->size + 2, step);
    check(status == (valid ? NEED_MORE : GYR_ERR_HTTP_CHUNK), status, value);
    counts[valid]++;
    if (!valid || status != NEED_MORE) {
        return;
    }
    /* What comes next shows that the line was understood: so much data, or the end. */
    uint64_t size = strtoull(value->text, NULL, 16);
    check(body.remaining == size, status, value);
    if (size == 0) {
        check(body_feed(&body, "\r\n", 2, step) == 0, status, value);
    } else if (size == 1) {
        check(body_feed(&body, "x\r\n0\r\n\r\n", 8, step) == 0, status, value);
    }
}

static void chunk_line_run(const struct value *value, bool by_byte)
{
    for (size_t i = 0; i + 1 < value->size; i++) {
        if (memcmp(value->text + i, "\r\n", 2) == 0) {
            return; /* a shorter line, and something else */
        }
    }
    chunk_line_check(value, 1000);
    if (by_byte) {
        chunk_line_check(value, 1);
    }
}

void http_enum_chunk_sizes_are_hex_digits_and_extensions(void)
{
    static const char letters[] = "01aFx+-_,;= \t\"\\\r\n\x80"; /* and NUL */
    enumerate_letters(letters, sizeof(letters), chunk_line_run);
    EXPECT(counts[0] > counts[1] && counts[1] > 1000, "both kinds occur");
}

/* ---- how many, how long -------------------------------------------------------------------- */

void http_enum_any_number_of_fields_beyond_the_limit_is_431(void)
{
    enum {
        FIELDS_MAX = 10000
    };
    static char text[sizeof("GET / HTTP/1.0\r\n") + 4 * (FIELDS_MAX + 1)];
    const struct http_limits own = {HTTP_HEAD_SIZE_MAX, 4096, 100};
    size_t size = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.0\r\n");
    failures = 0;
    for (unsigned count = 0; count <= FIELDS_MAX; count++) {
        struct value value = {.size = 0};
        snprintf(value.why, sizeof(value.why), "%u fields", count);
        memcpy(text + size, "\r\n", 2);
        http_request_reset(&request);
        int status = http_request_parse(&request, &own, (const uint8_t *)text, size + 2);
        check(status == (count <= own.field_count_max ? 0 : GYR_ERR_HTTP_FIELD_COUNT), status,
              &value);
        memcpy(text + size, "a:\r\n", 4);
        size += 4;
    }
    EXPECT_INT(failures, 0, "numbers of fields that were judged wrongly");
    EXPECT_INT(error_status_code(GYR_ERR_HTTP_FIELD_COUNT), 431, "what the client is told");
}

/* Lengths without NUL are in test_ws_handshake.c. */
void http_enum_websocket_keys_with_nul_are_refused_at_any_length(void)
{
    for (size_t size = 1; size <= 64; size++) {
        for (size_t nul = 0; nul < size; nul++) {
            char text[160];
            size_t at =
                (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" H "Sec-WebSocket-Key: ");
            memset(text + at, 'A', size);
            text[at + nul] = 0;
            memcpy(text + at + size, "\r\n\r\n", 4);
            EXPECT_INT(http_kit_parse(&request, text, at + size + 4), GYR_ERR_HTTP_FIELD,
                       "a NUL within a key");
        }
    }
}
