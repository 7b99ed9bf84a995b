/* SPDX-License-Identifier: MIT */
/* Writes response heads. Each call writes its whole line or nothing, so that the bytes so far are
 * always whole lines; the status lines that exist lie ready as text.
 *
 * Journey: hop 9 (for HTTP). RFC 9112 sections 4 and 7.1, RFC 9110 sections 5.6.7, 6.4.1 and 15.
 */
#include "proto/http_response.h"

#include "proto/http_byte.h"

#define SECONDS_PER_DAY 86400
#define DATE_MAX        UINT64_C(253402300799) /* Fri, 31 Dec 9999 23:59:59 GMT */

/* The registered status codes with their reason phrases (RFC 9110 section 15.1 and the IANA
 * registry). */
#define STATUS_CODES(X)                       \
    X(100, "Continue")                        \
    X(101, "Switching Protocols")             \
    X(102, "Processing")                      \
    X(103, "Early Hints")                     \
    X(200, "OK")                              \
    X(201, "Created")                         \
    X(202, "Accepted")                        \
    X(203, "Non-Authoritative Information")   \
    X(204, "No Content")                      \
    X(205, "Reset Content")                   \
    X(206, "Partial Content")                 \
    X(207, "Multi-Status")                    \
    X(208, "Already Reported")                \
    X(226, "IM Used")                         \
    X(300, "Multiple Choices")                \
    X(301, "Moved Permanently")               \
    X(302, "Found")                           \
    X(303, "See Other")                       \
    X(304, "Not Modified")                    \
    X(305, "Use Proxy")                       \
    X(307, "Temporary Redirect")              \
    X(308, "Permanent Redirect")              \
    X(400, "Bad Request")                     \
    X(401, "Unauthorized")                    \
    X(402, "Payment Required")                \
    X(403, "Forbidden")                       \
    X(404, "Not Found")                       \
    X(405, "Method Not Allowed")              \
    X(406, "Not Acceptable")                  \
    X(407, "Proxy Authentication Required")   \
    X(408, "Request Timeout")                 \
    X(409, "Conflict")                        \
    X(410, "Gone")                            \
    X(411, "Length Required")                 \
    X(412, "Precondition Failed")             \
    X(413, "Content Too Large")               \
    X(414, "URI Too Long")                    \
    X(415, "Unsupported Media Type")          \
    X(416, "Range Not Satisfiable")           \
    X(417, "Expectation Failed")              \
    X(421, "Misdirected Request")             \
    X(422, "Unprocessable Content")           \
    X(423, "Locked")                          \
    X(424, "Failed Dependency")               \
    X(425, "Too Early")                       \
    X(426, "Upgrade Required")                \
    X(428, "Precondition Required")           \
    X(429, "Too Many Requests")               \
    X(431, "Request Header Fields Too Large") \
    X(451, "Unavailable For Legal Reasons")   \
    X(500, "Internal Server Error")           \
    X(501, "Not Implemented")                 \
    X(502, "Bad Gateway")                     \
    X(503, "Service Unavailable")             \
    X(504, "Gateway Timeout")                 \
    X(505, "HTTP Version Not Supported")      \
    X(506, "Variant Also Negotiates")         \
    X(507, "Insufficient Storage")            \
    X(508, "Loop Detected")                   \
    X(511, "Network Authentication Required")

/* The reason phrase is the status line without its first 13 and last 2 bytes. */
#define LINE_BEFORE_REASON      "HTTP/1.1 200 "
#define LINE_BEFORE_REASON_SIZE (sizeof(LINE_BEFORE_REASON) - 1)
#define LINE_END_SIZE           2

#define STATUS_CODE_MIN 100
#define STATUS_LINE(code, reason)                                                     \
    [(code)-STATUS_CODE_MIN] = {(const uint8_t *)"HTTP/1.1 " #code " " reason "\r\n", \
                                sizeof("HTTP/1.1 " #code " " reason "\r\n") - 1},

static const struct span status_lines[] = {STATUS_CODES(STATUS_LINE)};

static inline struct span status_line(unsigned status_code)
{
    unsigned index = status_code - STATUS_CODE_MIN;
    return index < COUNT_OF(status_lines) ? status_lines[index] : span_of(NULL, 0);
}

/* Remember the first error. No room is left after it, so that nothing more is written. */
static void writer_fail(struct http_writer *writer, int err)
{
    if (writer->err == 0) {
        writer->err = err;
        writer->end = writer->at;
    }
}

/* Room for `size` bytes, 1 or more, that the caller will fill; or NULL, which is remembered. */
static inline uint8_t *writer_reserve(struct http_writer *writer, size_t size)
{
    uint8_t *at = writer->at;
    if (UNLIKELY((size_t)(writer->end - at) < size)) {
        writer_fail(writer, GYR_ERR_LIMIT);
        return NULL;
    }
    writer->at = at + size;
    return at;
}

/* memcpy without a call for what most lines are: two copies that may overlap. */
static inline void copy_short(uint8_t *to, const uint8_t *from, size_t size)
{
    if (size - 16 <= 16) {
        memcpy(to, from, 16);
        memcpy(to + size - 16, from + size - 16, 16);
    } else if (size - 8 <= 8) {
        memcpy(to, from, 8);
        memcpy(to + size - 8, from + size - 8, 8);
    } else if (size > 0) {
        memcpy(to, from, size);
    }
}

static inline void store_line_end(uint8_t *bytes)
{
    memcpy(bytes, "\r\n", LINE_END_SIZE);
}

void http_write_status(struct http_writer *writer, unsigned status_code)
{
    struct span line = status_line(status_code);
    if (line.size > 0) {
        uint8_t *at = writer_reserve(writer, line.size);
        if (at != NULL) {
            copy_short(at, line.ptr, line.size);
        }
        return;
    }
    if (status_code < STATUS_CODE_MIN || status_code > 599) {
        writer_fail(writer, GYR_ERR_ARGUMENT);
        return;
    }
    /* The space before an absent reason phrase stays (RFC 9112 section 4). */
    uint8_t *at = writer_reserve(writer, LINE_BEFORE_REASON_SIZE + LINE_END_SIZE);
    if (at != NULL) {
        memcpy(at, LINE_BEFORE_REASON "\r\n", LINE_BEFORE_REASON_SIZE + LINE_END_SIZE);
        at[9] = (uint8_t)('0' + status_code / 100);
        at[10] = (uint8_t)('0' + status_code / 10 % 10);
        at[11] = (uint8_t)('0' + status_code % 10);
    }
}

/* The highest bit of a byte is set if it might be a control character: below 0x20, 0x7F, or 0x80
 * and above. */
static inline uint64_t word_suspects(const uint8_t *bytes)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
    return (word - ones * 0x20) | (word + ones) | word;
}

/* No control character but HTAB (RFC 9110 section 5.5). */
static inline bool value_is_valid(const uint8_t *bytes, size_t size)
{
    if (size < 8) {
        return http_bytes_are(bytes, size, HTTP_BYTE_VALUE);
    }
    uint64_t suspects = word_suspects(bytes + size - 8);
    for (size_t at = 0; at + 8 < size; at += 8) {
        suspects |= word_suspects(bytes + at);
    }
    return LIKELY((suspects & UINT64_C(0x8080808080808080)) == 0) ||
           http_bytes_are(bytes, size, HTTP_BYTE_VALUE);
}

void http_write_field(struct http_writer *writer, struct span name, struct span value)
{
    if (name.size == 0 || !http_bytes_are(name.ptr, name.size, HTTP_BYTE_TOKEN) ||
        !value_is_valid(value.ptr, value.size)) {
        writer_fail(writer, GYR_ERR_ARGUMENT);
        return;
    }
    /* Compared one after the other, since the sum of two sizes may overflow. */
    size_t room = (size_t)(writer->end - writer->at);
    size_t value_size = MIN(value.size, room);
    size_t name_size = MIN(name.size, room);
    uint8_t *at = writer_reserve(writer, name_size + value_size + 4);
    if (at != NULL) {
        copy_short(at, name.ptr, name_size);
        at += name_size;
        *at++ = ':';
        *at++ = ' ';
        copy_short(at, value.ptr, value_size);
        store_line_end(at + value_size);
    }
}

void http_write_content_type(struct http_writer *writer, struct span value)
{
    static const char name[] = "Content-Type: ";
    const size_t name_size = sizeof(name) - 1;
    if (!value_is_valid(value.ptr, value.size)) {
        writer_fail(writer, GYR_ERR_ARGUMENT);
        return;
    }
    size_t value_size = MIN(value.size, (size_t)(writer->end - writer->at));
    uint8_t *at = writer_reserve(writer, name_size + value_size + LINE_END_SIZE);
    if (at != NULL) {
        memcpy(at, name, name_size);
        copy_short(at + name_size, value.ptr, value_size);
        store_line_end(at + name_size + value_size);
    }
}

static unsigned digits_count(uint64_t number)
{
    unsigned count = 1;
    while (number >= 10) {
        number /= 10;
        count++;
    }
    return count;
}

void http_write_content_length(struct http_writer *writer, uint64_t size)
{
    static const char name[] = "Content-Length: ";
    const size_t name_size = sizeof(name) - 1;
    unsigned digit_count = digits_count(size);
    uint8_t *at = writer_reserve(writer, name_size + digit_count + LINE_END_SIZE);
    if (at != NULL) {
        memcpy(at, name, name_size);
        at += name_size;
        for (unsigned i = digit_count; i > 0; i--) {
            at[i - 1] = (uint8_t)('0' + size % 10);
            size /= 10;
        }
        store_line_end(at + digit_count);
    }
}

void http_write_date(struct http_writer *writer, const uint8_t date[HTTP_DATE_SIZE])
{
    static const char name[] = "Date: ";
    const size_t name_size = sizeof(name) - 1;
    uint8_t *at = writer_reserve(writer, name_size + HTTP_DATE_SIZE + LINE_END_SIZE);
    if (at != NULL) {
        memcpy(at, name, name_size);
        memcpy(at + name_size, date, HTTP_DATE_SIZE);
        store_line_end(at + name_size + HTTP_DATE_SIZE);
    }
}

int http_write_end(struct http_writer *writer, size_t *size)
{
    uint8_t *at = writer_reserve(writer, 2);
    if (at == NULL) {
        return writer->err;
    }
    store_line_end(at);
    *size = (size_t)(writer->at - writer->start);
    return 0;
}

size_t http_chunk_header_size(uint32_t size)
{
    size_t digit_count = 1;
    while (size > 0xf) {
        size >>= 4;
        digit_count++;
    }
    return digit_count + LINE_END_SIZE;
}

size_t http_chunk_header_write(uint8_t *bytes, uint32_t size)
{
    size_t header_size = http_chunk_header_size(size);
    ASSERT(size != 0);
    for (size_t i = header_size - LINE_END_SIZE; i > 0; i--) {
        bytes[i - 1] = (uint8_t) "0123456789abcdef"[size & 0xf];
        size >>= 4;
    }
    store_line_end(bytes + header_size - LINE_END_SIZE);
    return header_size;
}

/* Year, month (1 to 12) and day of the Gregorian calendar for days since 1970. Years are counted
 * from March, so that the leap day is the last of its year, in cycles of 400 years. */
static void civil_from_days(uint32_t days, uint32_t *year, uint32_t *month, uint32_t *day)
{
    const uint32_t days_to_1970 = 719468; /* from 1 March of the year 0 */
    const uint32_t days_per_cycle = 146097;
    uint32_t shifted = days + days_to_1970;
    uint32_t cycle = shifted / days_per_cycle;
    uint32_t day_of_cycle = shifted % days_per_cycle;
    uint32_t leap_free = day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36524 -
                         day_of_cycle / (days_per_cycle - 1);
    uint32_t year_of_cycle = leap_free / 365;
    uint32_t day_of_year =
        day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    uint32_t month_from_march = (5 * day_of_year + 2) / 153;
    *day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    *month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    *year = cycle * 400 + year_of_cycle + (*month <= 2 ? 1 : 0);
}

static void store_digits_2(uint8_t *bytes, uint32_t value)
{
    bytes[0] = (uint8_t)('0' + value / 10);
    bytes[1] = (uint8_t)('0' + value % 10);
}

void http_date_format(uint64_t unix_seconds, uint8_t date[HTTP_DATE_SIZE])
{
    static const uint8_t date_form[HTTP_DATE_SIZE] = "Sun, 00 Jan 0000 00:00:00 GMT";
    static const char day_names[] = "SunMonTueWedThuFriSat";
    static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    ASSERT(unix_seconds <= DATE_MAX);

    uint32_t days = (uint32_t)(unix_seconds / SECONDS_PER_DAY);
    uint32_t seconds = (uint32_t)(unix_seconds % SECONDS_PER_DAY);
    uint32_t year = 0;
    uint32_t month = 0;
    uint32_t day = 0;
    civil_from_days(days, &year, &month, &day);
    uint32_t weekday = (days + 4) % 7; /* the first day of 1970 was a Thursday */

    memcpy(date, date_form, HTTP_DATE_SIZE);
    memcpy(date, day_names + (size_t)weekday * 3, 3);
    store_digits_2(date + 5, day);
    memcpy(date + 8, month_names + (size_t)(month - 1) * 3, 3);
    store_digits_2(date + 12, year / 100);
    store_digits_2(date + 14, year % 100);
    store_digits_2(date + 17, seconds / 3600);
    store_digits_2(date + 20, seconds / 60 % 60);
    store_digits_2(date + 23, seconds % 60);
}

/* 205 is not among them: it has no content either, but says so with a Content-Length of 0. */
bool http_status_has_content(unsigned status_code)
{
    return status_code >= 200 && status_code != 204 && status_code != 304;
}

struct span http_status_reason(unsigned status_code)
{
    struct span line = status_line(status_code);
    if (line.size == 0) {
        return line;
    }
    return span_of(line.ptr + LINE_BEFORE_REASON_SIZE,
                   line.size - LINE_BEFORE_REASON_SIZE - LINE_END_SIZE);
}
