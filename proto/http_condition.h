/* SPDX-License-Identifier: MIT */
/* Conditional requests (RFC 9110 section 13) for GET and HEAD of something that exists. */
#ifndef PROTO_HTTP_CONDITION_H
#define PROTO_HTTP_CONDITION_H

#include "proto/http_request.h"

/* What the conditions are about: the selected representation as it is now. */
struct http_validators {
    struct span etag;         /* strong: with its quotes, without W/ */
    int64_t modified_seconds; /* Last-Modified, since 1970 */
    int64_t now_seconds;      /* since 1970 */
};

enum http_condition {
    HTTP_CONDITION_MET,          /* go on as if there were none */
    HTTP_CONDITION_NOT_MODIFIED, /* 304 */
    HTTP_CONDITION_FAILED,       /* 412 */
};

/* If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since, in the order of section
 * 13.2.2. A list of entity tags that is malformed names none; a malformed date does not count. */
enum http_condition http_condition_judge(const struct http_request *request, const uint8_t *bytes,
                                         const struct http_validators *validators);

/* May Range count (section 13.1.5)? True without If-Range. A date counts only if the file was last
 * modified a while ago: within the same second it may have changed twice. */
bool http_condition_if_range(const struct http_request *request, const uint8_t *bytes,
                             const struct http_validators *validators);

#endif
