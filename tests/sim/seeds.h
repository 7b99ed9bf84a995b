/* SPDX-License-Identifier: MIT */
/* Runs seeds, each in a process of its own, so that a broken assertion or an endless loop of one
 * is a line in the report and not the end of it. */
#ifndef TESTS_SIM_SEEDS_H
#define TESTS_SIM_SEEDS_H

#include "tests/sim/plan.h"

/* Run seeds first to first + count - 1; prints a line for each that fails. Returns how many did. */
unsigned seeds_run(uint64_t first, unsigned count, enum profile profile);

/* Run one here, with its trace on standard output. Returns false if it failed. */
bool seed_replay(uint64_t seed, enum profile profile);

/* "any", "calm", "rough", "storm", "tight", "stop", "rooms", "app"; false for anything else. */
bool profile_find(const char *name, enum profile *profile);

#endif
