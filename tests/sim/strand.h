/* SPDX-License-Identifier: MIT */
/* Strands: what would be threads of a real server, each core and each thread beside them, as fibers
 * of one thread. A core may be left between two turns, and in the midst of one wherever the
 * broadcast ring asks; the seed decides where, for how long, and who runs next. */
#ifndef TESTS_SIM_STRAND_H
#define TESTS_SIM_STRAND_H

#include "engine/broadcast_ring.h"
#include "tests/sim/plan.h"

struct fiber;
struct world;

#define STRANDS_MAX   (CORES_MAX + THREADS_MAX)
#define STRAND_NOBODY UINT32_MAX

struct strand {
    struct world *world; /* borrowed */
    struct fiber *fiber; /* owned */
    unsigned index;
    bool is_within;       /* left in the midst of a turn */
    bool is_over;         /* takes no further turn */
    bool has_acted;       /* the last turn found something to do */
    unsigned claim_count; /* places it has claimed and not filled yet */
    uint32_t frozen_step; /* not resumed before this step of the world */
};

/* One for each core, and then one for each thread. */
void strands_init(struct world *world);
/* None is within a turn. */
void strands_deinit(struct world *world);

/* Let it take its next turn, or go on with one. Returns false if there was nothing to do. */
bool strand_step(struct world *world, unsigned index);
/* Is another than the one that runs in the midst of a turn? */
bool strands_have_left(const struct world *world);
/* Nobody else can do anything: those that were held back go on. */
bool strands_thaw(struct world *world);
/* Is somebody else between claiming a place in the ring and filling it? */
bool strands_have_claimer(const struct world *world);

/* What the broadcast ring calls; `context` is the hub. */
void strand_point(void *context, enum broadcast_point point);

#endif
