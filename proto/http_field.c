/* SPDX-License-Identifier: MIT */
/* One field line: name and value (RFC 9112 section 5), and the meaning of the few fields that
 * decide about framing, persistence, the authority and the upgrade. They are recognised by the
 * length of the name and two comparisons of words.
 *
 * Journey: hop 4 (for HTTP). RFC 9110 sections 5.6, 7.2, 7.6.1, 7.8, 8.6 and 10.1.1, RFC 9112
 * section 6.1.
 */
#include "proto/http_field.h"

#include "proto/http_byte.h"

enum field_kind {
    FIELD_OTHER,
    FIELD_HOST,
    FIELD_EXPECT,
    FIELD_UPGRADE,
    FIELD_CONNECTION,
    FIELD_CONTENT_LENGTH,
    FIELD_TRANSFER_ENCODING,
    FIELD_WS_KEY,
};

/* Names that we act on, as big-endian words of eight letters in lower case. Setting bit 5 makes
 * letters lower case and leaves the hyphen alone; no other byte that can stand in a line becomes
 * one of these letters or the hyphen. */
#define WORD_FOLD     UINT64_C(0x2020202020202020)
#define WORD_HOST     UINT64_C(0x686F7374)         /* "host" */
#define WORD_EXPE     UINT64_C(0x65787065)         /* "expe" */
#define WORD_PECT     UINT64_C(0x70656374)         /* "pect" */
#define WORD_UPGR     UINT64_C(0x75706772)         /* "upgr" */
#define WORD_RADE     UINT64_C(0x72616465)         /* "rade" */
#define WORD_CONNECTI UINT64_C(0x636F6E6E65637469) /* "connecti" */
#define WORD_NNECTION UINT64_C(0x6E6E656374696F6E) /* "nnection" */
#define WORD_CONTENT  UINT64_C(0x636F6E74656E742D) /* "content-" */
#define WORD_T_LENGTH UINT64_C(0x742D6C656E677468) /* "t-length" */
#define WORD_TRANSFER UINT64_C(0x7472616E73666572) /* "transfer" */
#define WORD_ENCODING UINT64_C(0x656E636F64696E67) /* "encoding" */
#define WORD_SEC_WEBS UINT64_C(0x7365632D77656273) /* "sec-webs" */
#define WORD_CKET_KEY UINT64_C(0x636B65742D6B6579) /* "cket-key" */

#define SPAN_IS(value, text) span_is((value), ("" text), sizeof(text) - 1)

static enum field_kind field_kind_of(const uint8_t *name, size_t size);
static bool field_name_is_disguise(struct span name);
static int field_apply(struct http_request *request, enum field_kind kind, struct span value,
                       struct http_slice slice);
static bool list_next(struct span *list, struct span *element);

/* field-name ":" OWS field-value OWS (RFC 9112 section 5). That the value holds no control
 * character is known from the scan. White space before the name or the colon, and so a folded line,
 * is refused because it is no token. */
int http_field_take(struct http_request *request, const struct http_limits *limits,
                    struct http_range line)
{
    const uint8_t *bytes = line.bytes;
    uint32_t colon = line.start;
    while (http_byte_is(bytes[colon], HTTP_BYTE_TOKEN)) {
        colon++; /* ends at the CR at the latest */
    }
    if (request->field_count >= limits->field_count_max) {
        return GYR_ERR_HTTP_FIELD_COUNT;
    }
    struct span name = span_of(bytes + line.start, colon - line.start);
    enum field_kind kind = field_kind_of(name.ptr, name.size);
    if (bytes[colon] != ':' || name.size == 0 ||
        (kind == FIELD_OTHER && field_name_is_disguise(name))) {
        return GYR_ERR_HTTP_FIELD;
    }
    uint32_t start = colon + 1;
    uint32_t end = line.end;
    while (start < end && bytes[start] <= ' ') { /* SP or HTAB: there is no other */
        start++;
    }
    while (end > start && bytes[end - 1] <= ' ') {
        end--;
    }
    struct http_field *field = &request->fields[request->field_count];
    field->name = http_slice_of(line.start, name.size);
    field->value = http_slice_of(start, end - start);
    request->field_count++;
    return field_apply(request, kind, span_of(bytes + start, end - start), field->value);
}

static uint64_t load_folded_4(const uint8_t *bytes)
{
    uint32_t word;
    memcpy(&word, bytes, sizeof(word));
    return __builtin_bswap32(word) | (uint32_t)WORD_FOLD;
}

static uint64_t load_folded_8(const uint8_t *bytes)
{
    return load_be64(bytes) | WORD_FOLD;
}

/* The name is not empty; what is recognised is a token. */
static enum field_kind field_kind_of(const uint8_t *name, size_t size)
{
    bool found = false;
    switch (size) {
    case 4:
        return load_folded_4(name) == WORD_HOST ? FIELD_HOST : FIELD_OTHER;
    case 6:
        found = load_folded_4(name) == WORD_EXPE && load_folded_4(name + 2) == WORD_PECT;
        return found ? FIELD_EXPECT : FIELD_OTHER;
    case 7:
        found = load_folded_4(name) == WORD_UPGR && load_folded_4(name + 3) == WORD_RADE;
        return found ? FIELD_UPGRADE : FIELD_OTHER;
    case 10:
        found = load_folded_8(name) == WORD_CONNECTI && load_folded_8(name + 2) == WORD_NNECTION;
        return found ? FIELD_CONNECTION : FIELD_OTHER;
    case 14:
        found = load_folded_8(name) == WORD_CONTENT && load_folded_8(name + 6) == WORD_T_LENGTH;
        return found ? FIELD_CONTENT_LENGTH : FIELD_OTHER;
    case 17:
        if (load_folded_8(name) == WORD_TRANSFER && name[8] == '-' &&
            load_folded_8(name + 9) == WORD_ENCODING) {
            return FIELD_TRANSFER_ENCODING;
        }
        found = load_folded_8(name) == WORD_SEC_WEBS && ascii_lower(name[8]) == 'o' &&
                load_folded_8(name + 9) == WORD_CKET_KEY;
        return found ? FIELD_WS_KEY : FIELD_OTHER;
    default:
        return FIELD_OTHER;
    }
}

static bool span_is(struct span value, const char *text, size_t text_size)
{
    return span_equal_nocase(value, span_of(text, text_size));
}

/* A framing field with an underscore for the hyphen: what maps names to variables (CGI, WSGI) would
 * take it for the real one. */
static bool field_name_is_disguise(struct span name)
{
    return SPAN_IS(name, "content_length") || SPAN_IS(name, "transfer_encoding");
}

static int host_take(struct http_request *request, struct span value, struct http_slice slice)
{
    struct http_range text = {value.ptr - slice.offset, slice.offset,
                              (uint32_t)slice.offset + slice.size};
    if ((request->seen & SEEN_HOST) != 0 || !http_authority_is_valid(text, false)) {
        return GYR_ERR_HTTP_HOST;
    }
    request->seen |= SEEN_HOST;
    if (request->host.size > 0) {
        /* The target has named the authority. A Host that differs is a request that two servers
         * would route differently. */
        struct span host = http_slice_span(request->host, text.bytes);
        return span_equal_nocase(host, value) ? NEED_MORE : GYR_ERR_HTTP_HOST;
    }
    request->host = slice;
    return NEED_MORE;
}

/* One number without sign, list or leading zero (RFC 9110 section 8.6 would allow the last two). */
static int content_length_take(struct http_request *request, struct span value)
{
    const unsigned conflicts = SEEN_CONTENT_LENGTH | SEEN_TRANSFER_ENCODING;
    bool leading_zero = value.size > 1 && value.ptr[0] == '0';
    if ((request->seen & conflicts) != 0 || value.size == 0 || value.size > 19 || leading_zero ||
        !http_bytes_are(value.ptr, value.size, HTTP_BYTE_DIGIT)) {
        return GYR_ERR_HTTP_CONTENT_LENGTH;
    }
    uint64_t length = 0; /* 19 digits fit */
    for (size_t i = 0; i < value.size; i++) {
        length = length * 10 + (uint64_t)(value.ptr[i] - '0');
    }
    if (length > INT64_MAX) {
        return GYR_ERR_HTTP_CONTENT_LENGTH;
    }
    request->seen |= SEEN_CONTENT_LENGTH;
    request->content_length = length;
    return NEED_MORE;
}

/* `chunked` and nothing else is what we can read. A list of tokens in which `chunked` is at most
 * the last is merely not implemented (RFC 9112 section 6.1); anything else is an attempt to have
 * the end of the body read in two ways. */
static int transfer_encoding_take(struct http_request *request, struct span value)
{
    const unsigned conflicts = SEEN_CONTENT_LENGTH | SEEN_TRANSFER_ENCODING;
    if ((request->seen & conflicts) != 0 || request->version_minor == 0) {
        return GYR_ERR_HTTP_TRANSFER_CODING;
    }
    if (SPAN_IS(value, "chunked")) {
        request->seen |= SEEN_TRANSFER_ENCODING;
        return NEED_MORE;
    }
    bool chunked = false;
    struct span list = value;
    struct span coding;
    while (list_next(&list, &coding)) {
        if (chunked || coding.size == 0 ||
            !http_bytes_are(coding.ptr, coding.size, HTTP_BYTE_TOKEN)) {
            return GYR_ERR_HTTP_TRANSFER_CODING;
        }
        chunked = SPAN_IS(coding, "chunked");
    }
    return GYR_ERR_HTTP_CODING_UNKNOWN;
}

static void connection_take(struct http_request *request, struct span value)
{
    struct span list = value;
    struct span option;
    while (list_next(&list, &option)) {
        if (SPAN_IS(option, "close")) {
            request->seen |= SEEN_CLOSE;
        } else if (SPAN_IS(option, "keep-alive")) {
            request->seen |= SEEN_KEEP_ALIVE;
        } else if (SPAN_IS(option, "upgrade")) {
            request->seen |= SEEN_CONNECTION_UPGRADE;
        }
    }
}

static void upgrade_take(struct http_request *request, struct span value)
{
    struct span list = value;
    struct span protocol;
    while (list_next(&list, &protocol)) {
        if (SPAN_IS(protocol, "websocket")) {
            request->seen |= SEEN_UPGRADE_WEBSOCKET;
        }
    }
}

static int expect_take(struct http_request *request, struct span value)
{
    if (request->version_minor == 0) {
        return NEED_MORE; /* RFC 9110 section 10.1.1: ignored */
    }
    if (!SPAN_IS(value, "100-continue")) {
        return GYR_ERR_HTTP_EXPECT;
    }
    request->seen |= SEEN_EXPECT_CONTINUE;
    return NEED_MORE;
}

static int field_apply(struct http_request *request, enum field_kind kind, struct span value,
                       struct http_slice slice)
{
    switch (kind) {
    case FIELD_HOST:
        return host_take(request, value, slice);
    case FIELD_EXPECT:
        return expect_take(request, value);
    case FIELD_UPGRADE:
        upgrade_take(request, value);
        break;
    case FIELD_CONNECTION:
        connection_take(request, value);
        break;
    case FIELD_CONTENT_LENGTH:
        return content_length_take(request, value);
    case FIELD_TRANSFER_ENCODING:
        return transfer_encoding_take(request, value);
    case FIELD_WS_KEY:
        if (request->ws_key.size == 0) {
            request->ws_key = slice;
        }
        break;
    case FIELD_OTHER:
        break;
    }
    return NEED_MORE;
}

/* Cut the next element off a comma-separated list, without white space around it; it may be empty.
 * False at the end. An empty list is one empty element. */
static bool list_next(struct span *list, struct span *element)
{
    if (list->ptr == NULL) {
        return false;
    }
    const uint8_t *comma = list->size > 0 ? memchr(list->ptr, ',', list->size) : NULL;
    size_t size = comma != NULL ? (size_t)(comma - list->ptr) : list->size;
    *element = span_of(list->ptr, size);
    if (comma != NULL) {
        *list = span_of(comma + 1, list->size - size - 1);
    } else {
        *list = span_of(NULL, 0);
    }
    while (element->size > 0 && (element->ptr[0] == ' ' || element->ptr[0] == '\t')) {
        *element = span_of(element->ptr + 1, element->size - 1);
    }
    while (element->size > 0 &&
           (element->ptr[element->size - 1] == ' ' || element->ptr[element->size - 1] == '\t')) {
        element->size--;
    }
    return true;
}
