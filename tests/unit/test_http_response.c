/* SPDX-License-Identifier: MIT */
/* Response heads: the bytes, the room they need, and that nothing a caller passes in can split a
 * response; dates against the calendar of the C library. */
#include "proto/http_response.h"
#include "tests/parser_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct span written(const struct http_writer *writer)
{
    return span_of(writer->start, (size_t)(writer->at - writer->start));
}

static void write_all(struct http_writer *writer)
{
    const uint8_t *date = (const uint8_t *)"Sun, 06 Nov 1994 08:49:37 GMT";
    http_write_status(writer, 200);
    http_write_date(writer, date);
    http_write_content_type(writer, SPAN_LITERAL("text/plain"));
    http_write_field(writer, SPAN_LITERAL("X"), SPAN_LITERAL(""));
    http_write_content_length(writer, 13);
}

static const char all_text[] = "HTTP/1.1 200 OK\r\n"
                               "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                               "Content-Type: text/plain\r\n"
                               "X: \r\n"
                               "Content-Length: 13\r\n"
                               "\r\n";

void http_response_writes_a_head(void)
{
    uint8_t bytes[256];
    size_t size = 0;
    struct http_writer writer = http_writer_init(bytes, sizeof(bytes));
    write_all(&writer);
    EXPECT_INT(http_write_end(&writer, &size), 0, "head");
    EXPECT_INT(size, sizeof(all_text) - 1, "head");
    EXPECT_SPAN(span_of(bytes, size), all_text, "head");
}

/* Every room that is too small by one byte or more; whole lines only, and nothing past the end. */
void http_response_writes_whole_lines_or_nothing(void)
{
    uint8_t zeros[sizeof(all_text)] = {0};
    for (size_t room = 0; room < sizeof(all_text); room++) {
        uint8_t *bytes = guard_copy(zeros, room);
        size_t size = 0;
        struct http_writer writer = http_writer_init(bytes, room);
        write_all(&writer);
        int expected = room == sizeof(all_text) - 1 ? 0 : GYR_ERR_LIMIT;
        EXPECT_INT(http_write_end(&writer, &size), expected, "room");
        struct span out = written(&writer);
        EXPECT(out.size == 0 || memcmp(out.ptr, all_text, out.size) == 0, "a prefix");
        EXPECT(out.size == 0 || out.ptr[out.size - 1] == '\n', "of whole lines");
        guard_free(bytes);
    }
}

void http_response_writes_nothing_after_a_failure(void)
{
    uint8_t bytes[64];
    size_t size = 0;
    struct http_writer writer = http_writer_init(bytes, 20);
    http_write_status(&writer, 200);
    http_write_field(&writer, SPAN_LITERAL("Long-Name"), SPAN_LITERAL("value"));
    http_write_field(&writer, SPAN_LITERAL("\n"), SPAN_LITERAL(""));
    EXPECT_INT(writer.err, GYR_ERR_LIMIT, "the first failure is kept");
    EXPECT_INT(http_write_end(&writer, &size), GYR_ERR_LIMIT, "although there is room for it");
    EXPECT_SPAN(written(&writer), "HTTP/1.1 200 OK\r\n", "nothing more");
}

void http_response_status_lines_are_well_formed(void)
{
    char expected[128];
    uint8_t bytes[128];
    unsigned known = 0;
    for (unsigned code = 0; code < 1200; code++) {
        struct http_writer writer = http_writer_init(bytes, sizeof(bytes));
        struct span reason = http_status_reason(code);
        http_write_status(&writer, code);
        known += reason.size > 0;
        if (code < 100 || code > 599) {
            EXPECT_INT(writer.err, GYR_ERR_ARGUMENT, "no status code");
            EXPECT_INT(reason.size, 0, "no status code");
            continue;
        }
        snprintf(expected, sizeof(expected), "HTTP/1.1 %u %.*s\r\n", code, (int)reason.size,
                 reason.size > 0 ? (const char *)reason.ptr : "");
        EXPECT_SPAN(written(&writer), expected, "status line");
    }
    EXPECT_INT(known, 60, "registered codes, but 104, 306, 418 and 510");
    EXPECT_SPAN(http_status_reason(413), "Content Too Large", "RFC 9110 section 15.5.14");
    EXPECT_SPAN(http_status_reason(431), "Request Header Fields Too Large", "RFC 6585 section 5");
    EXPECT_SPAN(http_status_reason(101), "Switching Protocols", "RFC 9110 section 15.2.2");
}

/* Every code of the error list can be answered with. */
void http_response_knows_the_codes_of_the_error_list(void)
{
#define STATUS_CODE(name, value, close_code, status_code, message) status_code,
    static const unsigned codes[] = {GYR_ERRORS(STATUS_CODE)};
#undef STATUS_CODE
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        EXPECT(codes[i] == 0 || http_status_reason(codes[i]).size > 0, "has a reason phrase");
    }
}

/* All bytes at all places of a short name and a short value. */
void http_response_fields_cannot_split_a_response(void)
{
    uint8_t bytes[64];
    for (unsigned byte = 0; byte < 256; byte++) {
        for (size_t at = 0; at < 3; at++) {
            char text[] = "abc";
            text[at] = (char)byte;
            bool control = (byte < 0x20 && byte != '\t') || byte == 0x7F;
            bool token = (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z' && byte < 0x80;
            token = token || (byte >= '0' && byte <= '9') ||
                    (byte != 0 && strchr("!#$%&'*+-.^_`|~", (int)byte) != NULL);
            struct http_writer writer = http_writer_init(bytes, sizeof(bytes));
            http_write_field(&writer, SPAN_LITERAL("a"), span_of(text, 3));
            EXPECT_INT(writer.err, control ? GYR_ERR_ARGUMENT : 0, "value");
            EXPECT_INT(writer.at - writer.start, control ? 0 : 8, "value");
            writer = http_writer_init(bytes, sizeof(bytes));
            http_write_field(&writer, span_of(text, 3), SPAN_LITERAL("a"));
            EXPECT_INT(writer.err, token ? 0 : GYR_ERR_ARGUMENT, "name");
            EXPECT_INT(writer.at - writer.start, token ? 8 : 0, "name");
        }
    }
    struct http_writer writer = http_writer_init(bytes, sizeof(bytes));
    http_write_field(&writer, SPAN_LITERAL(""), SPAN_LITERAL("a"));
    EXPECT_INT(writer.err, GYR_ERR_ARGUMENT, "empty name");
}

/* Values that are looked at in words: all bytes at all places, in all sizes up to three words; as a
 * field and as the media type. */
void http_response_values_cannot_split_a_response(void)
{
    uint8_t bytes[64];
    uint8_t text[24];
    memset(text, 'a', sizeof(text));
    for (size_t size = 1; size <= sizeof(text); size++) {
        for (size_t at = 0; at < size; at++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                text[at] = (uint8_t)byte;
                bool control = (byte < 0x20 && byte != '\t') || byte == 0x7F;
                struct http_writer writer = http_writer_init(bytes, sizeof(bytes));
                http_write_field(&writer, SPAN_LITERAL("a"), span_of(text, size));
                EXPECT_INT(writer.err, control ? GYR_ERR_ARGUMENT : 0, "value");
                EXPECT_INT(writer.at - writer.start, control ? 0 : size + 5, "value");
                writer = http_writer_init(bytes, sizeof(bytes));
                http_write_content_type(&writer, span_of(text, size));
                EXPECT_INT(writer.err, control ? GYR_ERR_ARGUMENT : 0, "type");
                EXPECT_INT(writer.at - writer.start, control ? 0 : size + 16, "type");
                EXPECT(control || memcmp(bytes + 14, text, size) == 0, "type");
            }
            text[at] = 'a';
        }
    }
}

void http_response_writes_every_length_of_number(void)
{
    uint8_t bytes[64];
    char expected[64];
    uint64_t size = 1;
    for (unsigned digits = 1; digits <= 20; digits++) {
        const uint64_t sizes[] = {size - 1, size, digits == 20 ? UINT64_MAX : size * 9};
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            struct http_writer writer = http_writer_init(bytes, sizeof(bytes));
            http_write_content_length(&writer, sizes[i]);
            snprintf(expected, sizeof(expected), "Content-Length: %llu\r\n",
                     (unsigned long long)sizes[i]);
            EXPECT_SPAN(written(&writer), expected, "Content-Length");
        }
        size *= 10;
    }
}

static void expect_date(uint64_t seconds, const char *expected)
{
    uint8_t date[HTTP_DATE_SIZE];
    http_date_format(seconds, date);
    EXPECT_SPAN(span_of(date, sizeof(date)), expected, expected);
}

void http_date_format_knows_leap_years(void)
{
    expect_date(784111777, "Sun, 06 Nov 1994 08:49:37 GMT"); /* RFC 9110 section 5.6.7 */
    expect_date(0, "Thu, 01 Jan 1970 00:00:00 GMT");
    expect_date(86399, "Thu, 01 Jan 1970 23:59:59 GMT");
    expect_date(68169600, "Tue, 29 Feb 1972 00:00:00 GMT");
    expect_date(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
    expect_date(951868800, "Wed, 01 Mar 2000 00:00:00 GMT");
    expect_date(4107456000, "Sun, 28 Feb 2100 00:00:00 GMT");
    expect_date(4107542400, "Mon, 01 Mar 2100 00:00:00 GMT");
    expect_date(253402300799, "Fri, 31 Dec 9999 23:59:59 GMT");
}

/* The last second and one other of every day up to the year 9999. */
void http_date_format_agrees_with_the_c_library(void)
{
    bool equal = true;
    for (uint64_t day = 0; day <= 253402300799 / 86400 && equal; day++) {
        for (unsigned i = 0; i < 2; i++) {
            uint8_t date[HTTP_DATE_SIZE];
            char expected[64];
            struct tm tm;
            time_t seconds = (time_t)(day * 86400 + (i == 0 ? day % 86400 : 86399));
            http_date_format((uint64_t)seconds, date);
            strftime(expected, sizeof(expected), "%a, %d %b %Y %H:%M:%S GMT",
                     gmtime_r(&seconds, &tm));
            equal = equal && memcmp(date, expected, sizeof(date)) == 0;
        }
    }
    EXPECT(equal, "every day");
}

void http_chunk_header_agrees_with_the_c_library(void)
{
    for (uint64_t bit = 1; bit < UINT64_C(1) << 32; bit *= 2) {
        for (uint64_t size = bit - 1; size <= bit + 1; size++) {
            uint8_t bytes[HTTP_CHUNK_HEADER_MAX];
            char expected[32];
            int length = snprintf(expected, sizeof(expected), "%x\r\n", (uint32_t)size);
            if (size != 0) {
                EXPECT_INT(http_chunk_header_write(bytes, (uint32_t)size), length, "its size");
                EXPECT(memcmp(bytes, expected, (size_t)length) == 0, expected);
            }
            EXPECT_INT(http_chunk_header_size((uint32_t)size), length, "foretold");
        }
    }
}

void http_status_has_content_as_rfc_9110_says(void)
{
    for (unsigned code = 100; code < 600; code++) {
        bool expected = code >= 200 && code != 204 && code != 304;
        EXPECT(http_status_has_content(code) == expected, "RFC 9110 section 6.4.1");
    }
}
