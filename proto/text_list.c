/* SPDX-License-Identifier: MIT */
/* Lists that operators write: elements between blanks, as many blanks as they like. */
#include "proto/text_list.h"

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

bool text_list_next(struct span *rest, struct span *element)
{
    size_t start = 0;
    while (start < rest->size && is_blank(rest->ptr[start])) {
        start++;
    }
    size_t end = start;
    while (end < rest->size && !is_blank(rest->ptr[end])) {
        end++;
    }
    if (start == end) {
        return false;
    }
    *element = span_of(rest->ptr + start, end - start);
    *rest = span_of(rest->ptr + end, rest->size - end);
    return true;
}
