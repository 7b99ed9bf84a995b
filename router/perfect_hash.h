/* SPDX-License-Identifier: MIT */
/* A perfect hash of names that are known at the start: one probe and one compare, however many
 * there are. Frozen; shared by all threads. */
#ifndef ROUTER_PERFECT_HASH_H
#define ROUTER_PERFECT_HASH_H

#include "base/base.h"

struct perfect_hash;

#define PERFECT_HASH_NONE    UINT32_MAX
#define PERFECT_HASH_PADDING 16 /* readable bytes behind a name that is looked up */

/* Make one of `count` names, all different; they are copied. The value of a name is its index.
 * GYR_ERR_MEMORY; GYR_ERR_EXISTS with the indexes of two equal names in `twins`. */
MUST_CHECK int perfect_hash_create(const struct span *names, size_t count,
                                   struct perfect_hash **hash, size_t twins[2]);
void perfect_hash_destroy(struct perfect_hash *hash);

/* The index of a name, or PERFECT_HASH_NONE. Any thread. `name` may be read in words: bytes behind
 * it are read, and have no effect, up to PERFECT_HASH_PADDING (M1). */
uint32_t perfect_hash_find(const struct perfect_hash *hash, struct span name);

#endif
