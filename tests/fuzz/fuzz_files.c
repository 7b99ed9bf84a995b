/* SPDX-License-Identifier: MIT */
/* Fuzzes what a request for a file is read with: its path, dates, ranges, conditions and accepted
 * codings. The first byte of the input says which; the rest is the text. Everything lies in memory
 * of its own size, so that the sanitizer sees a read past its end. */
#include "proto/http_accept.h"
#include "proto/http_condition.h"
#include "proto/http_date.h"
#include "proto/http_path.h"
#include "proto/http_range.h"
#include "proto/http_response.h"

#include <stdlib.h>

#define TEXT_SIZE_MAX 2048

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* No segment of what is opened is empty, begins with a dot, or holds a separator. */
static void path_fuzz(struct span text)
{
    uint8_t *decoded = malloc(text.size + 1);
    size_t size;
    bool folder;
    ASSERT(decoded != NULL);
    if (http_path_decode(text, decoded, &size, &folder) == 0) {
        ASSERT(size <= text.size && decoded[size] == 0);
        ASSERT(memchr(decoded, 0, size) == NULL && memchr(decoded, '\\', size) == NULL);
        ASSERT(size != 0 || folder);
        for (size_t i = 0; i < size; i++) {
            bool begins = i == 0 || decoded[i - 1] == '/';
            ASSERT(!begins || (decoded[i] != '.' && decoded[i] != '/'));
        }
        ASSERT(size == 0 || decoded[size - 1] != '/');
    }
    free(decoded);
}

/* What is a date is the date that the formatter writes for it; a leap second is the next. */
static void date_fuzz(struct span text)
{
    int64_t seconds;
    if (!http_date_parse(text, 1700000000, &seconds) || seconds < 0 || seconds > 253402300799) {
        return;
    }
    uint8_t written[HTTP_DATE_SIZE];
    int64_t again;
    http_date_format((uint64_t)seconds, written);
    bool valid = http_date_parse(span_of(written, sizeof(written)), 0, &again);
    ASSERT(valid && again == seconds);
    ASSERT(text.size != HTTP_DATE_SIZE || text.ptr[3] != ',' || text.ptr[23] == '6' ||
           memcmp(text.ptr, written, sizeof(written)) == 0);
}

static void range_fuzz(struct span text, uint64_t size)
{
    struct http_part part;
    if (http_range_parse(text, size, &part) == HTTP_RANGE_PART) {
        uint8_t written[HTTP_CONTENT_RANGE_SIZE];
        ASSERT(part.size > 0 && part.first < size && part.size <= size - part.first);
        size_t written_size = http_content_range_write(written, &part, size);
        ASSERT(written_size > 0 && written_size <= sizeof(written));
    }
}

/* The text stands where the fields of a request stand. */
static void fields_fuzz(struct span text)
{
    static const struct http_limits limits = {8192, 1000, HTTP_FIELD_COUNT_MAX};
    static const char opening[] = "GET / HTTP/1.1\r\nHost: a\r\n";
    static struct http_request request;
    size_t size = sizeof(opening) - 1 + text.size + 4;
    uint8_t *bytes = malloc(size);
    ASSERT(bytes != NULL);
    memcpy(bytes, opening, sizeof(opening) - 1);
    memcpy(bytes + sizeof(opening) - 1, text.ptr, text.size);
    memcpy(bytes + size - 4, "\r\n\r\n", 4);
    http_request_reset(&request);
    if (http_request_parse(&request, &limits, bytes, size) == 0) {
        struct http_validators validators = {SPAN_LITERAL("\"a\""), 784111777, 1700000000};
        enum http_condition verdict = http_condition_judge(&request, bytes, &validators);
        ASSERT(verdict == HTTP_CONDITION_MET || verdict == HTTP_CONDITION_NOT_MODIFIED ||
               verdict == HTTP_CONDITION_FAILED);
        (void)http_condition_if_range(&request, bytes, &validators);
        enum http_coding codings[HTTP_CODING_COUNT];
        unsigned count = http_accept_codings(&request, bytes, codings);
        ASSERT(count >= 1 && count <= HTTP_CODING_COUNT);
        ASSERT(codings[count - 1] == HTTP_CODING_IDENTITY);
        ASSERT(count < 2 || codings[0] != codings[1]);
    }
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > TEXT_SIZE_MAX) {
        return 0;
    }
    uint8_t *copy = malloc(size - 1);
    ASSERT(copy != NULL);
    memcpy(copy, data + 1, size - 1);
    struct span text = span_of(copy, size - 1);
    switch (data[0] % 4) {
    case 0:
        path_fuzz(text);
        break;
    case 1:
        date_fuzz(text);
        break;
    case 2:
        range_fuzz(text, (uint64_t)1 << (data[0] >> 2));
        break;
    default:
        fields_fuzz(text);
        break;
    }
    free(copy);
    return 0;
}
