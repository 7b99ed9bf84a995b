/* SPDX-License-Identifier: MIT */
/* Where the engine's secrets come from while a world runs: from its seed, so that the same seed
 * gives the same world. */
#ifndef TESTS_SIM_RANDOM_H
#define TESTS_SIM_RANDOM_H

#include "tests/sim/dice.h"

/* From now on getrandom(2) draws from here; NULL: from the kernel again. */
void random_from(struct dice *dice);

#endif
