/* SPDX-License-Identifier: MIT */
/* Which content codings a client takes (RFC 9110 sections 8.4.1, 12.4.2 and 12.5.3). */
#include "proto/http_accept.h"

#include "proto/http_byte.h"
#include "proto/http_list.h"

#define WEIGHT_MAX  1000
#define WEIGHT_NONE (-1) /* not mentioned */

struct weights {
    int coding[HTTP_CODING_COUNT];
    int any; /* "*" */
};

static void element_take(struct span element, struct weights *weights);
static int weight_parse(struct span text);
static unsigned codings_order(const struct weights *weights,
                              enum http_coding codings[HTTP_CODING_COUNT]);

unsigned http_accept_codings(const struct http_request *request, const uint8_t *bytes,
                             enum http_coding codings[HTTP_CODING_COUNT])
{
    static const struct span NAME = SPAN_STATIC("Accept-Encoding");
    struct weights weights = {{WEIGHT_NONE, WEIGHT_NONE, WEIGHT_NONE}, WEIGHT_NONE};
    int index = http_request_find(request, bytes, NAME, 0);
    while (index >= 0) {
        struct span list = http_slice_span(request->fields[index].value, bytes);
        struct span element;
        while (http_list_next(&list, &element)) {
            element_take(element, &weights);
        }
        index = http_request_find(request, bytes, NAME, (unsigned)index + 1);
    }
    return codings_order(&weights, codings);
}

/* Of a coding that is mentioned twice the first counts. */
static void element_take(struct span element, struct weights *weights)
{
    const uint8_t *semicolon = memchr(element.ptr, ';', element.size);
    size_t size = semicolon != NULL ? (size_t)(semicolon - element.ptr) : element.size;
    struct span name = http_list_trim(span_of(element.ptr, size));
    int weight = WEIGHT_MAX;
    if (semicolon != NULL) {
        weight =
            weight_parse(http_list_trim(span_of(element.ptr + size + 1, element.size - size - 1)));
    }
    int *place = NULL;
    if (span_equal_nocase(name, SPAN_LITERAL("br"))) {
        place = &weights->coding[HTTP_CODING_BR];
    } else if (span_equal_nocase(name, SPAN_LITERAL("gzip")) ||
               span_equal_nocase(name, SPAN_LITERAL("x-gzip"))) {
        place = &weights->coding[HTTP_CODING_GZIP];
    } else if (span_equal_nocase(name, SPAN_LITERAL("identity"))) {
        place = &weights->coding[HTTP_CODING_IDENTITY];
    } else if (span_equal(name, SPAN_LITERAL("*"))) {
        place = &weights->any;
    }
    if (place != NULL && *place == WEIGHT_NONE) {
        *place = weight;
    }
}

/* "q=" and a qvalue: 0 to 1 with up to three decimals. WEIGHT_NONE if it is malformed. */
static int weight_parse(struct span text)
{
    if (text.size < 3 || text.size > 7 || ascii_lower(text.ptr[0]) != 'q' || text.ptr[1] != '=' ||
        (text.ptr[2] != '0' && text.ptr[2] != '1') || (text.size > 3 && text.ptr[3] != '.')) {
        return WEIGHT_NONE;
    }
    int weight = (text.ptr[2] - '0') * WEIGHT_MAX;
    int unit = 100;
    for (size_t i = 4; i < text.size; i++) {
        if (!http_byte_is(text.ptr[i], HTTP_BYTE_DIGIT)) {
            return WEIGHT_NONE;
        }
        weight += (text.ptr[i] - '0') * unit;
        unit /= 10;
    }
    return weight <= WEIGHT_MAX ? weight : WEIGHT_NONE;
}

static unsigned codings_order(const struct weights *weights,
                              enum http_coding codings[HTTP_CODING_COUNT])
{
    static const enum http_coding COMPRESSED[] = {HTTP_CODING_BR, HTTP_CODING_GZIP};
    /* Identity is acceptable unless it is excluded, and the last choice unless it is wanted. */
    int identity = weights->coding[HTTP_CODING_IDENTITY];
    int weight[HTTP_CODING_COUNT] = {0};
    unsigned count = 0;
    for (size_t i = 0; i < COUNT_OF(COMPRESSED); i++) {
        enum http_coding coding = COMPRESSED[i];
        int own = weights->coding[coding];
        weight[coding] = own != WEIGHT_NONE ? own : MAX(weights->any, 0);
        if (weight[coding] > 0 && weight[coding] >= identity) {
            codings[count++] = coding;
        }
    }
    if (count == 2 && weight[codings[0]] < weight[codings[1]]) {
        enum http_coding second = codings[0];
        codings[0] = codings[1];
        codings[1] = second;
    }
    codings[count++] = HTTP_CODING_IDENTITY;
    return count;
}

struct span http_coding_name(enum http_coding coding)
{
    static const struct span NAMES[HTTP_CODING_COUNT] = {
        [HTTP_CODING_IDENTITY] = SPAN_STATIC(""),
        [HTTP_CODING_GZIP] = SPAN_STATIC("gzip"),
        [HTTP_CODING_BR] = SPAN_STATIC("br"),
    };
    return NAMES[coding];
}
