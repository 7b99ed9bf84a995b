/* SPDX-License-Identifier: MIT */
/* Parses request heads in every way input can come and compares the outcomes (invariant P1). */
#include "tests/http_kit.h"

const struct http_limits http_kit_limits = {
    .head_size_max = 8192, .target_size_max = 4096, .field_count_max = 100};

int http_kit_parse(struct http_request *request, const void *bytes, size_t size)
{
    uint8_t *copy = guard_copy(bytes, size);
    http_request_reset(request);
    int status = http_request_parse(request, &http_kit_limits, copy, size);
    guard_free(copy);
    return status;
}

int http_kit_parse_growing(struct http_request *request, const struct http_limits *limits,
                           struct span input, size_t step)
{
    int status = NEED_MORE;
    http_request_reset(request);
    for (size_t end = 0; status == NEED_MORE && end < input.size;) {
        end = MIN(end + step, input.size);
        uint8_t *copy = guard_copy(input.ptr, end);
        status = http_request_parse(request, limits, copy, end);
        guard_free(copy);
    }
    return status;
}

static bool requests_equal(const struct http_request *a, const struct http_request *b)
{
    return memcmp(a, b, offsetof(struct http_request, fields)) == 0 &&
           memcmp(a->fields, b->fields, a->field_count * sizeof(a->fields[0])) == 0;
}

static int parse_cut(struct http_request *request, struct span input, size_t cut)
{
    uint8_t *copy = guard_copy(input.ptr, cut);
    http_request_reset(request);
    int status = http_request_parse(request, &http_kit_limits, copy, cut);
    guard_free(copy);
    if (status == NEED_MORE) {
        copy = guard_copy(input.ptr, input.size);
        status = http_request_parse(request, &http_kit_limits, copy, input.size);
        guard_free(copy);
    }
    return status;
}

int http_kit_parse_every_way(struct http_request *request, const char *text, size_t size,
                             const char *why)
{
    static struct http_request other;
    struct span input = span_of(text, size);
    int status = http_kit_parse(request, text, size);
    for (size_t step = 1; step < size; step++) {
        int split = http_kit_parse_growing(&other, &http_kit_limits, input, step);
        EXPECT_INT(split, status, why);
        EXPECT(status != 0 || requests_equal(request, &other), why);
    }
    for (size_t cut = 0; cut <= size; cut++) {
        int split = parse_cut(&other, input, cut);
        EXPECT_INT(split, status, why);
        EXPECT(status != 0 || requests_equal(request, &other), why);
    }
    return status;
}

void http_kit_expect_rows(const struct http_row *rows, size_t row_count)
{
    static struct http_request request;
    for (size_t i = 0; i < row_count; i++) {
        const struct http_row *row = &rows[i];
        int status = http_kit_parse_every_way(&request, row->text, row->size, row->why);
        EXPECT_INT(status, row->expected, row->why);
    }
}

void http_kit_expect_slice(struct http_slice slice, const char *text, const char *expected,
                           const char *why)
{
    EXPECT_SPAN(http_slice_span(slice, (const uint8_t *)text), expected, why);
}
