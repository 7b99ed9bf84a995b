/* SPDX-License-Identifier: MIT */
/* Threads that are no core's: each does something with rooms and names now and then. */
#ifndef TESTS_SIM_THREAD_H
#define TESTS_SIM_THREAD_H

#include "tests/sim/dice.h"

struct world;

struct thread {
    struct dice dice;
    uint64_t wake_ns;
    unsigned acts_left;
};

void threads_init(struct world *world);
/* Do something, if it is time. */
bool thread_turn(struct world *world, unsigned index);
/* When one of them acts next; UINT64_MAX: never. */
uint64_t threads_next_ns(const struct world *world);

#endif
