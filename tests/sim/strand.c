/* SPDX-License-Identifier: MIT */
/* A strand is a fiber that takes one turn after another. Between two of them, and where the ring
 * has a point, it hands the thread back to the world's loop, which resumes one or the other. What
 * the world knows of whoever runs (is it within an upcall, on which core) is kept with the stack of
 * who is left. */
#include "tests/sim/strand.h"

#include "hub/hub.h"
#include "tests/fiber_kit.h"
#include "tests/sim/ledger.h"
#include "tests/sim/thread.h"
#include "tests/sim/world.h"

static void strand_main(void *arg);
static void strand_leave(struct world *world, struct strand *strand);

void strands_init(struct world *world)
{
    world->strand_count = world->plan.core_count + world->plan.thread_count;
    world->strand_dice = dice_make(world->plan.seed, 5);
    for (unsigned i = 0; i < world->strand_count; i++) {
        struct strand *strand = &world->strands[i];
        *strand = (struct strand){.world = world, .index = i};
        strand->fiber = fiber_create(strand_main, strand);
    }
}

void strands_deinit(struct world *world)
{
    for (unsigned i = 0; i < world->strand_count; i++) {
        struct strand *strand = &world->strands[i];
        ASSERT(!strand->is_within);
        strand->is_over = true;
        while (!fiber_has_ended(strand->fiber)) {
            fiber_resume(strand->fiber);
        }
        fiber_destroy(strand->fiber);
    }
}

static void strand_main(void *arg)
{
    struct strand *strand = arg;
    struct world *world = strand->world;
    while (!strand->is_over) {
        strand->is_within = true;
        strand->has_acted = strand->index < world->plan.core_count
                                ? world_core_turn(world, strand->index)
                                : thread_turn(world, strand->index - world->plan.core_count);
        strand->is_within = false;
        fiber_pause(strand->fiber);
    }
}

bool strand_step(struct world *world, unsigned index)
{
    struct strand *strand = &world->strands[index];
    if (strand->is_within && world->step < strand->frozen_step) {
        return false;
    }
    ASSERT(world->strand_now == STRAND_NOBODY);
    bool was_within = strand->is_within;
    world->strand_now = index;
    fiber_resume(strand->fiber);
    world->strand_now = STRAND_NOBODY;
    world->is_upcall = false;
    world->is_call = false;
    return was_within || strand->is_within || strand->has_acted;
}

bool strands_have_left(const struct world *world)
{
    for (unsigned i = 0; i < world->strand_count; i++) {
        if (i != world->strand_now && world->strands[i].is_within) {
            return true;
        }
    }
    return false;
}

bool strands_thaw(struct world *world)
{
    bool any = false;
    for (unsigned i = 0; i < world->strand_count; i++) {
        any |= world->strands[i].is_within;
        world->strands[i].frozen_step = 0;
    }
    return any;
}

bool strands_have_claimer(const struct world *world)
{
    for (unsigned i = 0; i < world->strand_count; i++) {
        if (i != world->strand_now && world->strands[i].claim_count != 0) {
            return true;
        }
    }
    return false;
}

void strand_point(void *context, enum broadcast_point point)
{
    struct world *world = ((struct hub *)context)->service->user;
    if (world->strand_now == STRAND_NOBODY) {
        return; /* the world itself: a core is being made, or ends */
    }
    struct strand *strand = &world->strands[world->strand_now];
    struct dice *dice = &world->strand_dice;
    if (point == BROADCAST_AT_INTEREST) {
        strand->claim_count++;
        if (world->ledger != NULL) {
            ledger_placed(world, strand->index);
        }
    } else if (point == BROADCAST_AT_ROOM && strand->claim_count != 0) {
        strand->claim_count--; /* done with a commit, unless it only moves on */
    }
    if (!world->failed && dice_chance(dice, world->plan.switch_chance)) {
        strand_leave(world, strand);
    }
    if (point == BROADCAST_AT_BYPASS && world->ledger != NULL) {
        ledger_looked(world, strand->index);
    }
}

static void strand_leave(struct world *world, struct strand *strand)
{
    struct dice *dice = &world->strand_dice;
    if (dice_chance(dice, world->plan.freeze_chance)) {
        strand->frozen_step = world->step + dice_between(dice, 1, 300);
    }
    bool is_upcall = world->is_upcall;
    bool is_call = world->is_call;
    unsigned core_now = world->core_now;
    fiber_pause(strand->fiber);
    world->is_upcall = is_upcall;
    world->is_call = is_call;
    world->core_now = core_now;
}
