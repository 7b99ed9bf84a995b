/* SPDX-License-Identifier: MIT */
/* Memory of what is made once and lives until all of it goes: a plan, and what was declared. */
#ifndef ROUTER_POOL_H
#define ROUTER_POOL_H

#include "base/base.h"

struct pool_block;

/* Zero is an empty one. */
struct pool {
    struct pool_block *blocks; /* owned; the newest first */
    size_t left;               /* bytes free in it */
};

/* Zeroed, aligned to 16; NULL without memory. */
void *pool_alloc(struct pool *pool, size_t size);
/* A copy with a NUL behind it. */
char *pool_copy(struct pool *pool, struct span text);
void pool_deinit(struct pool *pool);

#endif
