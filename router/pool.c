/* SPDX-License-Identifier: MIT */
/* Blocks, filled from their front; what is larger than a block gets one of its own. */
#include "router/pool.h"

#include "engine/engine.h"

#define POOL_BLOCK_SIZE ((size_t)64 * 1024)
#define POOL_ALIGN      ((size_t)16)

struct pool_block {
    _Alignas(16) struct pool_block *next;
    size_t size;
    uint8_t bytes[];
};

void *pool_alloc(struct pool *pool, size_t size)
{
    size = (MAX(size, (size_t)1) + POOL_ALIGN - 1) & ~(POOL_ALIGN - 1);
    if (pool->left < size) {
        size_t block_size = MAX(size, POOL_BLOCK_SIZE);
        struct pool_block *block = memory_alloc(sizeof(*block) + block_size);
        if (block == NULL) {
            return NULL;
        }
        block->next = pool->blocks;
        block->size = block_size;
        pool->blocks = block;
        pool->left = block_size;
    }
    uint8_t *bytes = pool->blocks->bytes + (pool->blocks->size - pool->left);
    pool->left -= size;
    return bytes;
}

char *pool_copy(struct pool *pool, struct span text)
{
    char *copy = pool_alloc(pool, text.size + 1);
    if (copy != NULL && text.size != 0) {
        memcpy(copy, text.ptr, text.size);
    }
    return copy;
}

void pool_deinit(struct pool *pool)
{
    while (pool->blocks != NULL) {
        struct pool_block *block = pool->blocks;
        pool->blocks = block->next;
        memory_free(block);
    }
    *pool = (struct pool){0};
}
