/* SPDX-License-Identifier: MIT */
/* Queues and bytes that grow. Memory that runs out ends the program: this is test code. */
#include "tests/sim/item.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct item *item_push(struct item_queue *queue, enum item_kind kind, const void *bytes,
                       size_t size)
{
    struct item *item = calloc(1, sizeof(*item));
    ASSERT(item != NULL);
    item->bytes = malloc(size + 1);
    ASSERT(item->bytes != NULL);
    item->kind = (uint8_t)kind;
    item->size = size;
    if (size != 0) {
        memcpy(item->bytes, bytes, size);
    }
    if (queue->head == NULL) {
        queue->head = item;
    } else {
        queue->tail->next = item;
    }
    queue->tail = item;
    return item;
}

void item_pop(struct item_queue *queue)
{
    struct item *item = queue->head;
    queue->head = item->next;
    free(item->bytes);
    free(item);
}

void item_clear(struct item_queue *queue)
{
    while (queue->head != NULL) {
        item_pop(queue);
    }
}

void item_truncate(struct item_queue *queue, struct item *last)
{
    struct item_queue rest = {.head = last == NULL ? queue->head : last->next};
    item_clear(&rest);
    queue->tail = last;
    if (last == NULL) {
        queue->head = NULL;
    } else {
        last->next = NULL;
    }
}

void bytes_append(struct bytes *bytes, const void *more, size_t size)
{
    if (bytes->size + size > bytes->capacity) {
        bytes->capacity = MAX(bytes->size + size, bytes->capacity * 2 + 256);
        bytes->ptr = realloc(bytes->ptr, bytes->capacity);
        ASSERT(bytes->ptr != NULL);
    }
    if (size != 0) {
        memcpy(bytes->ptr + bytes->size, more, size);
    }
    bytes->size += size;
}

void bytes_printf(struct bytes *bytes, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    ASSERT(size >= 0 && (size_t)size < sizeof(text));
    bytes_append(bytes, text, (size_t)size);
}

void bytes_drop(struct bytes *bytes, size_t size)
{
    ASSERT(size <= bytes->size);
    bytes->size -= size;
    if (bytes->size != 0) {
        memmove(bytes->ptr, bytes->ptr + size, bytes->size);
    }
}

void bytes_free(struct bytes *bytes)
{
    free(bytes->ptr);
    *bytes = (struct bytes){0};
}
