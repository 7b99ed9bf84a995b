/* SPDX-License-Identifier: MIT */
/* The request target in its four forms (RFC 9112 section 3.2) and the authority, which is also the
 * value of Host (RFC 9110 section 7.2). Only bytes that RFC 3986 allows pass, and those that
 * browsers leave as they are; nothing is decoded or normalised.
 *
 * Journey: hop 4 (for HTTP). RFC 3986 sections 2.1 and 3.2 to 3.4.
 */
#include "proto/http_target.h"

#include "proto/http_byte.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define TARGET_TAIL_SIZE 11 /* " HTTP/1.1" and CRLF: they are there, since the line is complete */

static int path_take(struct http_request *request, struct http_range text);
static int path_divide(struct http_request *request, struct http_range text, uint32_t readable_end);
static int target_take_absolute(struct http_request *request, struct http_range target);
static bool browsers_leave(uint8_t byte, bool in_query);
static bool percent_is_valid(const uint8_t *bytes, uint32_t at, uint32_t end, bool in_query);

int http_target_take(struct http_request *request, struct http_range target)
{
    const uint8_t *bytes = target.bytes;
    if (UNLIKELY(request->method == HTTP_CONNECT)) {
        /* The authority form, only here and only this (RFC 9112 section 3.2.3). */
        request->host = request->target;
        return http_authority_is_valid(target, true) ? NEED_MORE : GYR_ERR_HTTP_TARGET;
    }
    if (LIKELY(bytes[target.start] == '/')) {
        return path_take(request, target);
    }
    if (bytes[target.start] == '*' && target.end - target.start == 1) {
        request->flags |= HTTP_F_ASTERISK_FORM;
        request->path = request->target;
        return request->method == HTTP_OPTIONS ? NEED_MORE : GYR_ERR_HTTP_TARGET;
    }
    return target_take_absolute(request, target);
}

#if defined(__SSE2__)

static inline __m128i bytes_within(__m128i block, char first, char last)
{
    __m128i above = _mm_sub_epi8(block, _mm_set1_epi8(first));
    return _mm_cmpeq_epi8(_mm_min_epu8(above, _mm_set1_epi8((char)(last - first))), above);
}

/* A bit for each of sixteen bytes that is a letter, or another common one of the class. */
static inline uint32_t common_bits(const uint8_t *bytes, enum http_byte_class byte_class)
{
    __m128i block = _mm_loadu_si128((const __m128i *)(const void *)bytes);
    __m128i common = bytes_within(_mm_or_si128(block, _mm_set1_epi8(0x20)), 'a', 'z');
    if (byte_class == HTTP_BYTE_TARGET) {
        /* & ' ( ) * + , - . / digits : ; */
        common = _mm_or_si128(common, bytes_within(block, '&', ';'));
        common = _mm_or_si128(common, _mm_cmpeq_epi8(block, _mm_set1_epi8('_')));
        common = _mm_or_si128(common, _mm_cmpeq_epi8(block, _mm_set1_epi8('=')));
    } else {
        common = _mm_or_si128(common, bytes_within(block, '0', '9'));
        common = _mm_or_si128(common, bytes_within(block, '-', '.'));
    }
    return (uint32_t)_mm_movemask_epi8(common);
}

/* Skip common bytes of the class, sixteen per step. A step that would pass what can be read begins
 * earlier, where the head has bytes that are not asked for. */
static inline uint32_t skip_common(struct http_range text, uint32_t readable_end,
                                   enum http_byte_class byte_class)
{
    uint32_t at = text.start;
    uint32_t run = 16;
    while (run == 16 && at + 16 <= readable_end) {
        /* Bits 16 to 31 are set. */
        run = (uint32_t)__builtin_ctz(~common_bits(text.bytes + at, byte_class));
        at += run;
    }
    if (run == 16 && readable_end >= 16) {
        /* Fewer than 16 bytes are left to read; `seen` of these lie before them. */
        uint32_t seen = at - (readable_end - 16);
        at += (uint32_t)__builtin_ctz(~common_bits(text.bytes + at - seen, byte_class) >> seen);
    }
    return MIN(at, text.end);
}

#else

static inline uint32_t skip_common(struct http_range text, uint32_t readable_end,
                                   enum http_byte_class byte_class)
{
    (void)readable_end;
    (void)byte_class;
    return text.start;
}

#endif

/* Skip to the first byte that is not of the class, HTTP_BYTE_TARGET or HTTP_BYTE_HOST. */
static inline uint32_t skip_class(struct http_range text, uint32_t readable_end,
                                  enum http_byte_class byte_class)
{
    uint32_t at = skip_common(text, readable_end, byte_class);
    while (at < text.end && http_byte_is(text.bytes[at], byte_class)) {
        at++;
    }
    return at;
}

/* Divide what begins with "/" or "?" into path and query (RFC 3986 sections 3.3 and 3.4). */
static int path_take(struct http_request *request, struct http_range text)
{
    uint32_t readable_end = text.end + TARGET_TAIL_SIZE;
    if (LIKELY(skip_common(text, readable_end, HTTP_BYTE_TARGET) == text.end)) {
        request->path = http_slice_of(text.start, text.end - text.start);
        return NEED_MORE;
    }
    return path_divide(request, text, readable_end);
}

static int path_divide(struct http_request *request, struct http_range text, uint32_t readable_end)
{
    uint32_t path_end = 0;
    struct http_range rest = text;
    while ((rest.start = skip_class(rest, readable_end, HTTP_BYTE_TARGET)) < text.end) {
        uint8_t byte = text.bytes[rest.start];
        if (byte == '?') {
            path_end = path_end == 0 ? rest.start : path_end;
        } else if (byte == '%' ? !percent_is_valid(text.bytes, rest.start, text.end, path_end != 0)
                               : !browsers_leave(byte, path_end != 0)) {
            return GYR_ERR_HTTP_TARGET;
        }
        rest.start++;
    }
    if (path_end == 0) {
        path_end = text.end;
    } else {
        request->query = http_slice_of(path_end + 1, text.end - path_end - 1);
    }
    request->path = http_slice_of(text.start, path_end - text.start);
    return NEED_MORE;
}

/* RFC 3986 has no place for these, but browsers send them as they are: what the percent-encode sets
 * of the URL Living Standard (section 1.3) leave out for a query, and for a path, where some still
 * leave "^". Brackets are in HTTP_BYTE_TARGET. */
static bool browsers_leave(uint8_t byte, bool in_query)
{
    return byte == '|' || byte == '^' || (in_query && (byte == '`' || byte == '{' || byte == '}'));
}

/* Two hex digits after a percent sign that spell neither NUL nor, outside a query, an end of line:
 * what is decoded later must not be able to end a string or a header line. */
static bool percent_is_valid(const uint8_t *bytes, uint32_t at, uint32_t end, bool in_query)
{
    if (end - at < 3 || !http_bytes_are(bytes + at + 1, 2, HTTP_BYTE_HEX)) {
        return false;
    }
    if (bytes[at + 1] != '0') {
        return true;
    }
    uint8_t low = ascii_lower(bytes[at + 2]);
    return low != '0' && (in_query || (low != 'a' && low != 'd'));
}

/* The scheme of an absolute form, with "://"; 0 if it is none of ours. */
static uint32_t scheme_size(struct http_range target)
{
    static const struct span schemes[] = {
        {(const uint8_t *)"http://", 7},
        {(const uint8_t *)"https://", 8},
        {(const uint8_t *)"ws://", 5},
        {(const uint8_t *)"wss://", 6},
    };
    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        struct span scheme = schemes[i];
        if (target.end - target.start > scheme.size &&
            span_equal_nocase(span_of(target.bytes + target.start, scheme.size), scheme)) {
            return (uint32_t)scheme.size;
        }
    }
    return 0;
}

/* scheme "://" authority path-abempty [ "?" query ] (RFC 9112 section 3.2.2). */
static int target_take_absolute(struct http_request *request, struct http_range target)
{
    uint32_t size = scheme_size(target);
    if (size == 0) {
        return GYR_ERR_HTTP_TARGET;
    }
    uint32_t host_start = target.start + size;
    uint32_t host_end = host_start;
    while (host_end < target.end && target.bytes[host_end] != '/' &&
           target.bytes[host_end] != '?') {
        host_end++;
    }
    if (!http_authority_is_valid((struct http_range){target.bytes, host_start, host_end}, false)) {
        return GYR_ERR_HTTP_TARGET;
    }
    request->host = http_slice_of(host_start, host_end - host_start);
    request->flags |= HTTP_F_ABSOLUTE_FORM;
    target.start = host_end;
    int status = path_take(request, target);
    if (request->path.size == 0) {
        /* An empty path is "/" (RFC 9110 section 4.2.3); the scheme has one to point at. */
        request->path = http_slice_of(host_start - 1, 1);
    }
    return status;
}

/* 1*DIGIT up to 65535. An empty port would be legal, but nobody sends it and not all agree on
 * it. */
static bool port_is_valid(const uint8_t *bytes, size_t size)
{
    if (size == 0 || size > 5 || !http_bytes_are(bytes, size, HTTP_BYTE_DIGIT)) {
        return false;
    }
    return size < 5 || memcmp(bytes, "65535", 5) <= 0;
}

/* dec-octet three times with dots and once without (RFC 3986 section 3.2.2). */
static bool ipv4_is_valid(const uint8_t *bytes, size_t size)
{
    unsigned octets = 0;
    size_t at = 0;
    for (;;) {
        unsigned value = 0;
        size_t start = at;
        while (at < size && at - start < 4 && http_byte_is(bytes[at], HTTP_BYTE_DIGIT)) {
            value = value * 10 + (unsigned)(bytes[at] - '0');
            at++;
        }
        bool leading_zero = at - start > 1 && bytes[start] == '0';
        if (at == start || value > 255 || leading_zero) {
            return false;
        }
        octets++;
        if (at == size) {
            return octets == 4;
        }
        if (bytes[at] != '.' || octets == 4) {
            return false;
        }
        at++;
    }
}

/* Eight groups, of which "::" may stand for one or more, and an IPv4 address for the last two
 * (RFC 3986 section 3.2.2). */
static bool ipv6_is_valid(const uint8_t *bytes, size_t size)
{
    unsigned groups = 0;
    bool shortened = size >= 2 && bytes[0] == ':' && bytes[1] == ':';
    size_t at = shortened ? 2 : 0;
    while (at < size) {
        size_t start = at;
        while (at < size && http_byte_is(bytes[at], HTTP_BYTE_HEX)) {
            at++;
        }
        if (at < size && bytes[at] == '.') {
            groups += 2;
            return ipv4_is_valid(bytes + start, size - start) &&
                   (shortened ? groups < 8 : groups == 8);
        }
        if (at == start || at - start > 4 || groups == 8) {
            return false;
        }
        groups++;
        if (at == size) {
            break;
        }
        if (bytes[at] != ':' || at + 1 == size) {
            return false;
        }
        at++;
        if (bytes[at] == ':') {
            if (shortened) {
                return false;
            }
            shortened = true;
            at++;
        }
    }
    return shortened ? groups < 8 : groups == 8;
}

/* Where a reg-name ends: at the first byte that cannot be part of it. text.start for a bad percent
 * triplet. */
static uint32_t reg_name_end(struct http_range text)
{
    struct http_range rest = text;
    for (;;) {
        rest.start = skip_class(rest, text.end, HTTP_BYTE_HOST);
        if (rest.start == text.end || text.bytes[rest.start] != '%') {
            return rest.start;
        }
        if (!percent_is_valid(text.bytes, rest.start, text.end, false)) {
            return text.start;
        }
        rest.start += 3;
    }
}

/* Where an IP-literal ends: behind its closing bracket. text.start if it is not valid. */
static uint32_t ip_literal_end(struct http_range text)
{
    const uint8_t *open = text.bytes + text.start;
    const uint8_t *close = memchr(open, ']', text.end - text.start);
    if (close == NULL || !ipv6_is_valid(open + 1, (size_t)(close - open) - 1)) {
        return text.start;
    }
    return (uint32_t)(close - text.bytes) + 1;
}

/* uri-host [ ":" port ] without userinfo (RFC 9110 sections 4.2.4 and 7.2). */
bool http_authority_is_valid(struct http_range text, bool port_required)
{
    uint32_t host_end = skip_common(text, text.end, HTTP_BYTE_HOST);
    if (UNLIKELY(host_end < text.end && text.bytes[host_end] != ':')) {
        host_end = text.bytes[text.start] == '[' ? ip_literal_end(text) : reg_name_end(text);
    }
    if (host_end == text.start) {
        return false;
    }
    if (host_end == text.end) {
        return !port_required;
    }
    return text.bytes[host_end] == ':' &&
           port_is_valid(text.bytes + host_end + 1, text.end - host_end - 1);
}
