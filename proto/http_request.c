/* SPDX-License-Identifier: MIT */
/* Parses the head of an HTTP/1.1 request line by line: a vector scan finds the control characters,
 * the next of which must be its end; a complete line is then taken apart at once.
 *
 * Invariant P1 holds because an error is raised at a byte whose position depends on the bytes
 * alone: a control character, the line end, or the byte that passes a limit. So what a line holds
 * is judged only when the line is complete, and limits are judged before what lies beyond them.
 *
 * Journey: hop 4 (for HTTP). RFC 9112 sections 2 to 6 and 9.3, RFC 9110 sections 5 to 8, RFC 3986.
 *
 *   LEADING --request_line_take--> FIELDS --head_finish--> DONE
 */
#include "proto/http_request.h"

#include "proto/http_byte.h"
#include "proto/http_field.h"
#include "proto/http_target.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define METHOD_SIZE_MAX         32 /* longer tokens are no method of anybody */
#define LEADING_EMPTY_LINES_MAX 2  /* RFC 9112 section 2.2 asks for one */
#define VERSION_SIZE            8
#define VERSION_1_0             UINT64_C(0x485454502F312E30) /* "HTTP/1.0" as a big-endian number */
#define REQUEST_LINE_SIZE_MIN   12                           /* "X * HTTP/1.1" */

enum {
    STATE_LEADING, /* the request line, or empty lines before it */
    STATE_FIELDS,
    STATE_DONE,
};

struct method {
    uint64_t word; /* the name and one space as a big-endian number */
    struct span name;
};

static const struct method methods[HTTP_METHOD_COUNT] = {
    [HTTP_GET] = {0x47455420, {(const uint8_t *)"GET", 3}},
    [HTTP_HEAD] = {0x4845414420, {(const uint8_t *)"HEAD", 4}},
    [HTTP_POST] = {0x504F535420, {(const uint8_t *)"POST", 4}},
    [HTTP_PUT] = {0x50555420, {(const uint8_t *)"PUT", 3}},
    [HTTP_DELETE] = {0x44454C45544520, {(const uint8_t *)"DELETE", 6}},
    [HTTP_CONNECT] = {0x434F4E4E45435420, {(const uint8_t *)"CONNECT", 7}},
    [HTTP_OPTIONS] = {0x4F5054494F4E5320, {(const uint8_t *)"OPTIONS", 7}},
    [HTTP_TRACE] = {0x545241434520, {(const uint8_t *)"TRACE", 5}},
    [HTTP_PATCH] = {0x504154434820, {(const uint8_t *)"PATCH", 5}},
};

static int head_parse(struct http_request *request, const struct http_limits *limits,
                      const uint8_t *bytes, uint32_t end);
static int request_line_take(struct http_request *request, struct http_range line);
static int head_finish(struct http_request *request);

void http_request_reset(struct http_request *request)
{
    memset(request, 0, offsetof(struct http_request, fields));
}

int http_request_parse(struct http_request *request, const struct http_limits *limits,
                       const uint8_t *bytes, size_t size)
{
    ASSERT(request->state != STATE_DONE);
    ASSERT(limits->head_size_max <= HTTP_HEAD_SIZE_MAX);
    ASSERT(limits->target_size_max < limits->head_size_max);
    ASSERT(limits->field_count_max <= HTTP_FIELD_COUNT_MAX);
    ASSERT(request->parsed_size <= size);

    /* What lies past the limit is never looked at, so that it cannot change the outcome. */
    uint32_t end = (uint32_t)MIN(size, limits->head_size_max);
    if (UNLIKELY(request->parsed_size > end)) {
        return GYR_ERR_HTTP_HEAD_SIZE; /* the limit was larger at the last call */
    }
    int status = head_parse(request, limits, bytes, end);
    if (status == NEED_MORE && end == limits->head_size_max) {
        return GYR_ERR_HTTP_HEAD_SIZE;
    }
    return status;
}

/* Where the control characters lie among the SCAN_SIZE bytes from `start` on. Lines are short: one
 * load serves several of them. */
struct scan {
    uint64_t controls; /* a bit for each but HTAB; set for what lies past the end of the input */
    uint32_t start;
};

#define SCAN_SIZE 64

#if defined(__SSE2__)

#define SCAN_STEP 16

/* A bit for each of SCAN_STEP bytes. */
static inline uint64_t control_bits(const uint8_t *bytes)
{
    __m128i block = _mm_loadu_si128((const __m128i *)(const void *)bytes);
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1F)), block);
    __m128i control =
        _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('\t')), low),
                     _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7F)));
    return (uint32_t)_mm_movemask_epi8(control);
}

#else

#define SCAN_STEP 8

/* A bit for each byte that is zero, the first byte's lowest. */
static inline uint64_t zero_bits(uint64_t word)
{
    const uint64_t sevens = UINT64_C(0x7F7F7F7F7F7F7F7F);
    uint64_t highs = ~(((word & sevens) + sevens) | word | sevens);
    return (highs >> 7) * UINT64_C(0x0102040810204080) >> 56;
}

static inline uint64_t control_bits(const uint8_t *bytes)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t word = __builtin_bswap64(load_be64(bytes));
    uint64_t low = zero_bits(word & (ones * 0xE0)) & ~zero_bits(word ^ (ones * '\t'));
    return low | zero_bits(word ^ (ones * 0x7F));
}

#endif

/* Look at the bytes from `at` on. A step that would pass the end begins earlier, so that no byte
 * outside the input is touched. */
static inline struct scan scan_load(const uint8_t *bytes, uint32_t at, uint32_t end)
{
    struct scan scan = {.start = at};
    uint32_t size = end - at;
    if (LIKELY(size >= SCAN_SIZE)) {
#pragma GCC unroll 8
        for (unsigned done = 0; done < SCAN_SIZE; done += SCAN_STEP) {
            scan.controls |= control_bits(bytes + at + done) << done;
        }
        return scan;
    }
    scan.controls = UINT64_MAX << size;
    unsigned done = 0;
    for (; size - done >= SCAN_STEP; done += SCAN_STEP) {
        scan.controls |= control_bits(bytes + at + done) << done;
    }
    if (done < size && end >= SCAN_STEP) {
        scan.controls |= control_bits(bytes + end - SCAN_STEP) >> (SCAN_STEP - size + done) << done;
    } else if (done < size) {
        uint8_t padded[SCAN_STEP] = {0};
        memcpy(padded, bytes + at, size);
        scan.controls |= control_bits(padded);
    }
    return scan;
}

/* The first control character but HTAB at or after `at`, or `end`. */
static inline uint32_t line_scan(struct scan *scan, const uint8_t *bytes, uint32_t at, uint32_t end)
{
    for (;;) {
        if (at - scan->start >= SCAN_SIZE) {
            *scan = scan_load(bytes, at, end);
        }
        uint64_t controls = scan->controls >> (at - scan->start);
        if (LIKELY(controls != 0)) {
            return at + (uint32_t)__builtin_ctzll(controls);
        }
        at = scan->start + SCAN_SIZE;
    }
}

/* Has the request line, scanned up to `end` and perhaps not complete, passed a limit? */
static int request_line_check_size(const struct http_request *request,
                                   const struct http_limits *limits, const uint8_t *bytes,
                                   uint32_t end)
{
    uint32_t start = request->line_start;
    if (LIKELY(end - start <= MIN(METHOD_SIZE_MAX, limits->target_size_max))) {
        return 0;
    }
    const uint8_t *space = memchr(bytes + start, ' ', MIN(end - start, METHOD_SIZE_MAX + 1));
    if (space == NULL) {
        return end - start > METHOD_SIZE_MAX ? GYR_ERR_HTTP_REQUEST_LINE : 0;
    }
    uint32_t target_start = (uint32_t)(space - bytes) + 1;
    if (end - target_start <= limits->target_size_max) {
        return 0;
    }
    space = memchr(bytes + target_start, ' ', (size_t)limits->target_size_max + 1);
    if (space == NULL) {
        return GYR_ERR_HTTP_TARGET_SIZE;
    }
    return bytes + end - space > 1 + VERSION_SIZE ? GYR_ERR_HTTP_REQUEST_LINE : 0;
}

/* Take one line that ends before a CRLF. Returns 0 when it was the empty line after the fields. */
static int line_take(struct http_request *request, const struct http_limits *limits,
                     struct http_range line)
{
    if (request->state == STATE_FIELDS) {
        if (line.start == line.end) {
            return head_finish(request);
        }
        return http_field_take(request, limits, line);
    }
    if (line.start == line.end) {
        request->seen++; /* counts empty lines until the request line has come */
        return request->seen > LEADING_EMPTY_LINES_MAX ? GYR_ERR_HTTP_REQUEST_LINE : NEED_MORE;
    }
    request->seen = 0;
    return request_line_take(request, line);
}

/* The scan has stopped where no CRLF is: is the line bad, or are its last bytes still to come? */
static int line_end_check(const uint8_t *bytes, uint32_t stop, uint32_t end, int malformed)
{
    if (stop == end || (bytes[stop] == '\r' && stop + 1 == end)) {
        return NEED_MORE;
    }
    return malformed;
}

static int head_parse(struct http_request *request, const struct http_limits *limits,
                      const uint8_t *bytes, uint32_t end)
{
    uint32_t at = request->parsed_size;
    struct scan scan = {.start = at - SCAN_SIZE}; /* nothing is loaded */
    int status = NEED_MORE;
    while (status == NEED_MORE) {
        uint32_t stop = line_scan(&scan, bytes, at, end);
        int malformed = GYR_ERR_HTTP_FIELD;
        if (request->state == STATE_LEADING) {
            malformed = GYR_ERR_HTTP_REQUEST_LINE;
            int err = request_line_check_size(request, limits, bytes, stop);
            if (err != 0) {
                return err;
            }
        }
        request->parsed_size = stop;
        if (UNLIKELY(end - stop < 2 || memcmp(bytes + stop, "\r\n", 2) != 0)) {
            return line_end_check(bytes, stop, end, malformed);
        }
        at = stop + 2;
        request->parsed_size = at;
        status = line_take(request, limits, (struct http_range){bytes, request->line_start, stop});
        request->line_start = (uint16_t)at;
    }
    return status;
}

/* Parse "HTTP/" DIGIT "." DIGIT (RFC 9112 section 2.3), which may not be ours. */
static int version_reject(const uint8_t version[VERSION_SIZE])
{
    bool formed = memcmp(version, "HTTP/", 5) == 0 && http_byte_is(version[5], HTTP_BYTE_DIGIT) &&
                  version[6] == '.' && http_byte_is(version[7], HTTP_BYTE_DIGIT);
    return formed ? GYR_ERR_HTTP_VERSION : GYR_ERR_HTTP_REQUEST_LINE;
}

/* The line is at least REQUEST_LINE_SIZE_MIN bytes long. Returns HTTP_METHOD_COUNT if unknown. */
static enum http_method method_find(const uint8_t *line)
{
    uint64_t word = load_be64(line);
    if (word >> 32 == methods[HTTP_GET].word) {
        return HTTP_GET;
    }
    for (unsigned i = HTTP_HEAD; i < HTTP_METHOD_COUNT; i++) {
        unsigned shift = 56 - 8 * (unsigned)methods[i].name.size;
        if (word >> shift == methods[i].word) {
            return (enum http_method)i;
        }
    }
    return HTTP_METHOD_COUNT;
}

/* method SP request-target SP HTTP-version (RFC 9112 section 3). Malformed comes before
 * unsupported, and the version before the method, so that the preface of HTTP/2 gets a 505. */
static int request_line_take(struct http_request *request, struct http_range line)
{
    const uint8_t *bytes = line.bytes;
    if (line.end - line.start < REQUEST_LINE_SIZE_MIN) {
        return GYR_ERR_HTTP_REQUEST_LINE;
    }
    enum http_method method = method_find(bytes + line.start);
    uint32_t method_end = line.start;
    if (LIKELY(method != HTTP_METHOD_COUNT)) {
        method_end += (uint32_t)methods[method].name.size;
    } else {
        while (http_byte_is(bytes[method_end], HTTP_BYTE_TOKEN)) {
            method_end++; /* ends at the CR at the latest */
        }
    }
    uint32_t target_end = line.end - VERSION_SIZE - 1;
    struct http_range target = {bytes, method_end + 1, target_end};
    if (method_end == line.start || bytes[method_end] != ' ' || bytes[target_end] != ' ' ||
        target.start >= target_end) {
        return GYR_ERR_HTTP_REQUEST_LINE;
    }
    int status = GYR_ERR_HTTP_METHOD;
    uint64_t minor = load_be64(bytes + target_end + 1) - VERSION_1_0;
    if (minor > 1) {
        status = version_reject(bytes + target_end + 1);
    } else if (method != HTTP_METHOD_COUNT) {
        request->version_minor = (uint8_t)minor;
        request->method = (uint8_t)method;
        request->target = http_slice_of(target.start, target_end - target.start);
        request->state = STATE_FIELDS;
        status = http_target_take(request, target);
    }
    if (status < 0 && memchr(bytes + target.start, ' ', target_end - target.start) != NULL) {
        return GYR_ERR_HTTP_REQUEST_LINE;
    }
    return status;
}

/* RFC 9112 section 9.3. */
static bool head_is_persistent(const struct http_request *request)
{
    if ((request->seen & SEEN_CLOSE) != 0) {
        return false;
    }
    return request->version_minor == 1 || (request->seen & SEEN_KEEP_ALIVE) != 0;
}

/* What follows from the fields together: framing (RFC 9112 section 6.3) and the flags. */
static int head_finish(struct http_request *request)
{
    const unsigned upgrade = SEEN_CONNECTION_UPGRADE | SEEN_UPGRADE_WEBSOCKET;
    unsigned seen = request->seen;
    if ((seen & SEEN_HOST) == 0 && request->version_minor == 1) {
        return GYR_ERR_HTTP_HOST;
    }
    bool has_content = false;
    if ((seen & SEEN_TRANSFER_ENCODING) != 0) {
        request->framing = HTTP_FRAMING_CHUNKED;
        has_content = true;
    } else if ((seen & SEEN_CONTENT_LENGTH) != 0) {
        request->framing = HTTP_FRAMING_LENGTH;
        has_content = request->content_length > 0;
    }
    if (head_is_persistent(request)) {
        request->flags |= HTTP_F_KEEP_ALIVE;
    }
    /* A client that announces no content waits for nothing. */
    if ((seen & SEEN_EXPECT_CONTINUE) != 0 && has_content) {
        request->flags |= HTTP_F_EXPECT_CONTINUE;
    }
    if ((seen & upgrade) == upgrade && request->method == HTTP_GET && request->version_minor == 1 &&
        !has_content) {
        request->flags |= HTTP_F_UPGRADE_WEBSOCKET;
    }
    request->head_size = request->parsed_size;
    request->state = STATE_DONE;
    return 0;
}

int http_request_find(const struct http_request *request, const uint8_t *bytes, struct span name,
                      unsigned from)
{
    for (unsigned i = from; i < request->field_count; i++) {
        struct http_slice slice = request->fields[i].name;
        if (slice.size == name.size && span_equal_nocase(http_slice_span(slice, bytes), name)) {
            return (int)i;
        }
    }
    return -1;
}

struct span http_method_name(enum http_method method)
{
    ASSERT((unsigned)method < HTTP_METHOD_COUNT);
    return methods[method].name;
}
