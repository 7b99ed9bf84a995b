/* SPDX-License-Identifier: MIT */
/* Memory of a core: a heap with a budget for everything that peers can make grow, and zeroed
 * address space for the tables that are sized at start. */
#ifndef ENGINE_MEMORY_H
#define ENGINE_MEMORY_H

#include "base/base.h"

struct heap;

/* Make the heap of the calling thread's core; `size_max` bytes at most are handed out at a time.
 * NULL when memory is used up. */
struct heap *heap_create(uint64_t size_max);

/* Release the heap and everything that is still in it. */
void heap_destroy(struct heap *heap);

/* Bytes, not zeroed; NULL when the budget or memory is used up. Owner thread only. */
void *heap_alloc(struct heap *heap, size_t size);

/* Give back what heap_alloc gave with this very size; NULL is allowed. */
void heap_free(struct heap *heap, void *pointer, size_t size);

/* Bytes handed out now. */
uint64_t heap_used(const struct heap *heap);

/* "mimalloc", or "libc" where libmimalloc.so.2 is not installed; lives for ever. */
const char *heap_allocator_name(void);

/* Zeroed memory that takes no room until it is touched, aligned to a page; NULL when there is
 * none. */
void *memory_map(size_t size);
void memory_unmap(void *pointer, size_t size);

/* Small long-lived memory of any thread, zeroed; NULL when there is none. */
void *memory_alloc(size_t size);
/* The same, not zeroed. */
void *memory_take(size_t size);
void memory_free(void *pointer);

#endif
