/* SPDX-License-Identifier: MIT */
/* Lists whose elements hold no comma (RFC 9110 section 5.6.1). */
#include "proto/http_list.h"

bool http_list_next(struct span *list, struct span *element)
{
    while (list->size != 0) {
        const uint8_t *comma = memchr(list->ptr, ',', list->size);
        size_t size = comma != NULL ? (size_t)(comma - list->ptr) : list->size;
        size_t taken = comma != NULL ? size + 1 : size;
        *element = http_list_trim(span_of(list->ptr, size));
        *list = span_of(list->ptr + taken, list->size - taken);
        if (element->size != 0) {
            return true;
        }
    }
    return false;
}
