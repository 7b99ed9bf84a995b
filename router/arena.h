/* SPDX-License-Identifier: MIT */
/* Memory that is given back all at once: what one message needs while it is handled. It grows by
 * blocks that stay for the next message, so that in the long run nothing is allocated. */
#ifndef ROUTER_ARENA_H
#define ROUTER_ARENA_H

#include "base/base.h"

struct arena_block;

struct arena {
    uint8_t *at;               /* the next free byte */
    uint8_t *end;              /* of the block */
    struct arena_block *first; /* owned */
    struct arena_block *block; /* the one in use */
    size_t size_max;           /* bytes of all blocks */
    size_t size;
    uint32_t reset_count; /* since blocks were given back; */
    uint32_t index_max;   /* the furthest one in use since then */
};

/* No memory yet. */
void arena_init(struct arena *arena, size_t size_max);
void arena_deinit(struct arena *arena);
/* All is free again. Blocks beyond the first are given back if they have not been used for long. */
void arena_reset(struct arena *arena);
/* `align` is a power of two up to 16. NULL past size_max, or without memory. Not zeroed. */
void *arena_alloc(struct arena *arena, size_t size, size_t align);
/* Make what arena_alloc gave larger, or, if it was the last, smaller: where it is if there is room
 * behind it, else as a copy. NULL as arena_alloc. `memory` is NULL while size_old is 0. */
void *arena_resize(struct arena *arena, void *memory, size_t size_old, size_t size, size_t align);

#endif
