/* SPDX-License-Identifier: MIT */
/* Budgeted heaps on mimalloc, and the only file that knows it.
 *
 * Debian's libmimalloc.so exports malloc and free. Linking it would replace the allocator of every
 * program that links libgyr; so it is opened at run time with its symbols kept local, and only its
 * mi_* functions are called. Without it the heaps use the C library, with the same budget. Builds
 * with a sanitizer always use the C library, so that the sanitizer sees each block. */
#include "engine/memory.h"

#include <mimalloc.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

struct heap {
    void *native; /* owned; mi_heap_t, or NULL with the C library */
    uint64_t used;
    uint64_t size_max;
    uint64_t block_count;
};

struct allocator {
    const char *name;
    __typeof__(&mi_heap_new) heap_new;
    __typeof__(&mi_heap_malloc) heap_malloc;
    __typeof__(&mi_heap_destroy) heap_destroy;
    __typeof__(&mi_free) free;
};

static struct allocator allocator = {.name = "libc"};
static pthread_once_t allocator_once = PTHREAD_ONCE_INIT;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifndef SANITIZED
/* POSIX lets a void pointer from dlsym carry a function; ISO C wants the bytes copied. */
static bool symbol_load(void *library, const char *name, void *function, size_t size)
{
    void *symbol = dlsym(library, name);
    ASSERT(size == sizeof(symbol));
    memcpy(function, &symbol, size);
    return symbol != NULL;
}

#define SYMBOL_LOAD(library, name, function) \
    symbol_load(library, name, &(function), sizeof(function))
#endif

static void allocator_open(void)
{
#ifndef SANITIZED
    void *library = dlopen("libmimalloc.so.2", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        return;
    }
    struct allocator found = {.name = "mimalloc"};
    if (SYMBOL_LOAD(library, "mi_heap_new", found.heap_new) &&
        SYMBOL_LOAD(library, "mi_heap_malloc", found.heap_malloc) &&
        SYMBOL_LOAD(library, "mi_heap_destroy", found.heap_destroy) &&
        SYMBOL_LOAD(library, "mi_free", found.free)) {
        allocator = found;
    }
#endif
}

struct heap *heap_create(uint64_t size_max)
{
    pthread_once(&allocator_once, allocator_open);
    struct heap *heap = memory_alloc(sizeof(*heap));
    if (heap == NULL) {
        return NULL;
    }
    heap->size_max = size_max;
    if (allocator.heap_new != NULL) {
        heap->native = allocator.heap_new();
        if (heap->native == NULL) {
            memory_free(heap);
            return NULL;
        }
    }
    return heap;
}

void heap_destroy(struct heap *heap)
{
    if (heap->native != NULL) {
        allocator.heap_destroy(heap->native);
    } else {
        ASSERT(heap->block_count == 0); /* the C library cannot free what we no longer name */
    }
    memory_free(heap);
}

void *heap_alloc(struct heap *heap, size_t size)
{
    if (UNLIKELY(size > heap->size_max - heap->used)) {
        return NULL;
    }
    void *pointer = heap->native != NULL ? allocator.heap_malloc(heap->native, size) : malloc(size);
    if (LIKELY(pointer != NULL)) {
        heap->used += size;
        heap->block_count++;
    }
    return pointer;
}

void heap_free(struct heap *heap, void *pointer, size_t size)
{
    if (pointer == NULL) {
        return;
    }
    ASSERT(heap->used >= size && heap->block_count > 0);
    heap->used -= size;
    heap->block_count--;
    if (heap->native != NULL) {
        allocator.free(pointer);
    } else {
        free(pointer);
    }
}

uint64_t heap_used(const struct heap *heap)
{
    return heap->used;
}

const char *heap_allocator_name(void)
{
    pthread_once(&allocator_once, allocator_open);
    return allocator.name;
}

void *memory_map(size_t size)
{
    void *pointer = mmap(NULL, size, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return pointer == MAP_FAILED ? NULL : pointer;
}

void memory_unmap(void *pointer, size_t size)
{
    if (pointer != NULL) {
        munmap(pointer, size);
    }
}

void *memory_alloc(size_t size)
{
    return calloc(1, size);
}

void *memory_take(size_t size)
{
    return malloc(size);
}

void memory_free(void *pointer)
{
    free(pointer);
}
