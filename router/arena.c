/* SPDX-License-Identifier: MIT */
/* Memory of one message (journey: hop 8). Blocks form a list; what is in use ends in `block`, and
 * those behind it wait for a message that needs them. Once in RESETS_PER_TRIM messages those that
 * none of these has needed are given back, so that one large message does not hold memory for
 * ever. */
#include "router/arena.h"

#include "engine/engine.h"

#include <stdalign.h>

#define BLOCK_SIZE_MIN  4096
#define ALIGN_MAX       16
#define RESETS_PER_TRIM 256

struct arena_block {
    struct arena_block *next; /* owned */
    size_t size;              /* of `bytes` */
    uint32_t index;           /* in the list */
    alignas(ALIGN_MAX) uint8_t bytes[];
};

static void *block_alloc(struct arena *arena, size_t size);
static struct arena_block *block_create(struct arena *arena, size_t size);
static void block_use(struct arena *arena, struct arena_block *block);
static void blocks_free(struct arena *arena, struct arena_block *block);

void arena_init(struct arena *arena, size_t size_max)
{
    *arena = (struct arena){.size_max = size_max};
}

void arena_deinit(struct arena *arena)
{
    blocks_free(arena, arena->first);
    ASSERT(arena->size == 0);
    arena_init(arena, arena->size_max);
}

void arena_reset(struct arena *arena)
{
    if (arena->first == NULL) {
        return;
    }
    if (UNLIKELY(arena->first->next != NULL) && ++arena->reset_count >= RESETS_PER_TRIM) {
        struct arena_block *last = arena->first;
        while (last->index < arena->index_max) {
            last = last->next;
        }
        blocks_free(arena, last->next);
        last->next = NULL;
        arena->index_max = 0;
        arena->reset_count = 0;
    }
    block_use(arena, arena->first);
}

void *arena_alloc(struct arena *arena, size_t size, size_t align)
{
    ASSERT(align != 0 && (align & (align - 1)) == 0 && align <= ALIGN_MAX);
    /* Nothing has an address, too. */
    size += size == 0;
    size_t pad = -(uintptr_t)arena->at & (align - 1);
    if (UNLIKELY((size_t)(arena->end - arena->at) < pad ||
                 (size_t)(arena->end - arena->at) - pad < size)) {
        return block_alloc(arena, size);
    }
    uint8_t *memory = arena->at + pad;
    arena->at = memory + size;
    return memory;
}

void *arena_resize(struct arena *arena, void *memory, size_t size_old, size_t size, size_t align)
{
    uint8_t *bytes = memory;
    if (bytes != NULL && bytes + size_old == arena->at && (size_t)(arena->end - bytes) >= size) {
        arena->at = bytes + size;
        return memory;
    }
    if (size <= size_old) {
        return memory;
    }
    void *larger = arena_alloc(arena, size, align);
    if (larger != NULL && bytes != NULL) {
        memcpy(larger, bytes, size_old);
    }
    return larger;
}

/* From the next block that is large enough, or a new one. */
static void *block_alloc(struct arena *arena, size_t size)
{
    struct arena_block *block = arena->block == NULL ? arena->first : arena->block->next;
    while (block != NULL && block->size < size) {
        block = block->next;
    }
    if (block == NULL) {
        block = block_create(arena, size);
    }
    if (block == NULL) {
        return NULL;
    }
    block_use(arena, block);
    arena->at += size;
    return block->bytes;
}

static struct arena_block *block_create(struct arena *arena, size_t size)
{
    size_t room = arena->size_max - arena->size;
    if (room < sizeof(struct arena_block) || room - sizeof(struct arena_block) < size) {
        return NULL;
    }
    /* Each block is as large as all before it, so that there are few. */
    size_t wanted = MAX(size, MAX(arena->size, (size_t)BLOCK_SIZE_MIN));
    wanted = MIN(wanted, room - sizeof(struct arena_block));
    struct arena_block *block = memory_take(sizeof(*block) + wanted);
    if (block == NULL) {
        return NULL;
    }
    struct arena_block **link = &arena->first;
    uint32_t index = 0;
    while (*link != NULL) {
        link = &(*link)->next;
        index++;
    }
    block->next = NULL;
    block->size = wanted;
    block->index = index;
    arena->size += sizeof(*block) + wanted;
    *link = block;
    return block;
}

static void block_use(struct arena *arena, struct arena_block *block)
{
    arena->block = block;
    arena->at = block->bytes;
    arena->end = block->bytes + block->size;
    arena->index_max = MAX(arena->index_max, block->index);
}

static void blocks_free(struct arena *arena, struct arena_block *block)
{
    while (block != NULL) {
        struct arena_block *next = block->next;
        arena->size -= sizeof(*block) + block->size;
        memory_free(block);
        block = next;
    }
}
