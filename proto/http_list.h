/* SPDX-License-Identifier: MIT */
/* Elements of a list in a field value (RFC 9110 section 5.6.1.2). */
#ifndef PROTO_HTTP_LIST_H
#define PROTO_HTTP_LIST_H

#include "base/base.h"

static inline bool http_list_is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

/* Without the white space around it. */
static inline struct span http_list_trim(struct span text)
{
    while (text.size != 0 && http_list_is_blank(text.ptr[0])) {
        text = span_of(text.ptr + 1, text.size - 1);
    }
    while (text.size != 0 && http_list_is_blank(text.ptr[text.size - 1])) {
        text.size--;
    }
    return text;
}

/* Take the next element that is not empty off the list: up to a comma, of elements that cannot hold
 * one. Returns false at the end. */
bool http_list_next(struct span *list, struct span *element);

#endif
