/* SPDX-License-Identifier: MIT */
/* A thread acts, waits a while and acts again, until its acts are used up or the server stops. */
#include "tests/sim/thread.h"

#include "tests/sim/ledger.h"
#include "tests/sim/world.h"

void threads_init(struct world *world)
{
    for (unsigned i = 0; i < world->plan.thread_count; i++) {
        struct thread *thread = &world->threads[i];
        thread->dice = dice_make(world->plan.seed, 50 + i);
        thread->acts_left = dice_between(&thread->dice, 1, 60);
    }
}

static bool thread_is_over(const struct world *world, const struct thread *thread)
{
    return thread->acts_left == 0 || world->is_stopping;
}

bool thread_turn(struct world *world, unsigned index)
{
    struct thread *thread = &world->threads[index];
    if (thread_is_over(world, thread) || sim_now_ns(world->sim) < thread->wake_ns) {
        return false;
    }
    thread->acts_left--;
    if (dice_chance(&thread->dice, 500)) {
        thread->wake_ns = sim_now_ns(world->sim) + dice_below(&thread->dice, 3000000);
    }
    ledger_thread_act(world, &thread->dice);
    return true;
}

uint64_t threads_next_ns(const struct world *world)
{
    uint64_t next_ns = UINT64_MAX;
    for (unsigned i = 0; i < world->plan.thread_count; i++) {
        const struct thread *thread = &world->threads[i];
        if (!thread_is_over(world, thread)) {
            next_ns = MIN(next_ns, thread->wake_ns);
        }
    }
    return next_ns;
}
