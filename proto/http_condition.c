/* SPDX-License-Identifier: MIT */
/* Preconditions (RFC 9110 sections 8.8.3 and 13). A list may come in several field lines, which
 * count as one (section 5.3); a date that comes twice is none. */
#include "proto/http_condition.h"

#include "proto/http_date.h"
#include "proto/http_list.h"

#define STRONG_AFTER_SECONDS 2 /* that a modification has to lie behind us, section 8.8.2.2 */

enum comparison {   /* section 8.8.3.2 */
    COMPARE_STRONG, /* If-Match: section 13.1.1 */
    COMPARE_WEAK,   /* If-None-Match: section 13.1.2 */
};

static bool field_is_there(const struct http_request *request, const uint8_t *bytes,
                           struct span name);
static bool fields_match(const struct http_request *request, const uint8_t *bytes, struct span name,
                         enum comparison comparison, struct span etag);
static bool list_matches(struct span list, enum comparison comparison, struct span etag);
static bool tag_take(struct span *list, struct span *tag, bool *weak);
static bool date_find(const struct http_request *request, const uint8_t *bytes, struct span name,
                      const struct http_validators *validators, int64_t *seconds);

static const struct span IF_MATCH = SPAN_STATIC("If-Match");
static const struct span IF_NONE_MATCH = SPAN_STATIC("If-None-Match");
static const struct span IF_MODIFIED_SINCE = SPAN_STATIC("If-Modified-Since");
static const struct span IF_UNMODIFIED_SINCE = SPAN_STATIC("If-Unmodified-Since");
static const struct span IF_RANGE = SPAN_STATIC("If-Range");

enum http_condition http_condition_judge(const struct http_request *request, const uint8_t *bytes,
                                         const struct http_validators *validators)
{
    int64_t seconds;
    if (field_is_there(request, bytes, IF_MATCH)) {
        if (!fields_match(request, bytes, IF_MATCH, COMPARE_STRONG, validators->etag)) {
            return HTTP_CONDITION_FAILED;
        }
    } else if (date_find(request, bytes, IF_UNMODIFIED_SINCE, validators, &seconds) &&
               validators->modified_seconds > seconds) {
        return HTTP_CONDITION_FAILED;
    }
    if (field_is_there(request, bytes, IF_NONE_MATCH)) {
        return fields_match(request, bytes, IF_NONE_MATCH, COMPARE_WEAK, validators->etag)
                   ? HTTP_CONDITION_NOT_MODIFIED
                   : HTTP_CONDITION_MET;
    }
    if (date_find(request, bytes, IF_MODIFIED_SINCE, validators, &seconds) &&
        validators->modified_seconds <= seconds) {
        return HTTP_CONDITION_NOT_MODIFIED;
    }
    return HTTP_CONDITION_MET;
}

bool http_condition_if_range(const struct http_request *request, const uint8_t *bytes,
                             const struct http_validators *validators)
{
    int index = http_request_find(request, bytes, IF_RANGE, 0);
    if (index < 0) {
        return true;
    }
    if (http_request_find(request, bytes, IF_RANGE, (unsigned)index + 1) >= 0) {
        return false;
    }
    struct span value = http_slice_span(request->fields[index].value, bytes);
    struct span rest = value;
    struct span tag;
    bool weak;
    if (tag_take(&rest, &tag, &weak)) {
        return rest.size == 0 && !weak && span_equal(tag, validators->etag);
    }
    int64_t seconds;
    return http_date_parse(value, validators->now_seconds, &seconds) &&
           seconds == validators->modified_seconds &&
           validators->now_seconds - seconds >= STRONG_AFTER_SECONDS;
}

static bool field_is_there(const struct http_request *request, const uint8_t *bytes,
                           struct span name)
{
    return http_request_find(request, bytes, name, 0) >= 0;
}

/* Does one of the fields of this name hold the tag? */
static bool fields_match(const struct http_request *request, const uint8_t *bytes, struct span name,
                         enum comparison comparison, struct span etag)
{
    int index = http_request_find(request, bytes, name, 0);
    while (index >= 0) {
        struct span list = http_slice_span(request->fields[index].value, bytes);
        if (list_matches(list, comparison, etag)) {
            return true;
        }
        index = http_request_find(request, bytes, name, (unsigned)index + 1);
    }
    return false;
}

static bool list_matches(struct span list, enum comparison comparison, struct span etag)
{
    if (span_equal(list, SPAN_LITERAL("*"))) {
        return true;
    }
    bool found = false;
    bool separated = true;
    while (list.size != 0) {
        if (http_list_is_blank(list.ptr[0]) || list.ptr[0] == ',') {
            separated = separated || list.ptr[0] == ',';
            list = span_of(list.ptr + 1, list.size - 1);
            continue;
        }
        struct span tag;
        bool weak;
        if (!separated || !tag_take(&list, &tag, &weak)) {
            return false;
        }
        separated = false;
        found = found || ((!weak || comparison == COMPARE_WEAK) && span_equal(tag, etag));
    }
    return found;
}

/* entity-tag = [ %s"W/" ] DQUOTE *etagc DQUOTE; `tag` is what follows W/. */
static bool tag_take(struct span *list, struct span *tag, bool *weak)
{
    struct span rest = *list;
    *weak = rest.size >= 2 && rest.ptr[0] == 'W' && rest.ptr[1] == '/';
    if (*weak) {
        rest = span_of(rest.ptr + 2, rest.size - 2);
    }
    if (rest.size == 0 || rest.ptr[0] != '"') {
        return false;
    }
    size_t size = 1;
    while (size < rest.size && rest.ptr[size] > 0x20 && rest.ptr[size] != 0x7f &&
           rest.ptr[size] != '"') {
        size++;
    }
    if (size == rest.size || rest.ptr[size] != '"') {
        return false;
    }
    *tag = span_of(rest.ptr, size + 1);
    *list = span_of(rest.ptr + size + 1, rest.size - size - 1);
    return true;
}

static bool date_find(const struct http_request *request, const uint8_t *bytes, struct span name,
                      const struct http_validators *validators, int64_t *seconds)
{
    int index = http_request_find(request, bytes, name, 0);
    if (index < 0 || http_request_find(request, bytes, name, (unsigned)index + 1) >= 0) {
        return false;
    }
    return http_date_parse(http_slice_span(request->fields[index].value, bytes),
                           validators->now_seconds, seconds);
}
