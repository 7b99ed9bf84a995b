/* SPDX-License-Identifier: MIT */
/* Chance of the simulated clients and of the service: a stream of its own for each, so that what
 * one draws does not change what another does. */
#ifndef TESTS_SIM_DICE_H
#define TESTS_SIM_DICE_H

#include "base/base.h"

struct dice {
    uint64_t state;
};

/* splitmix64. */
static inline uint64_t dice_next(struct dice *dice)
{
    dice->state += 0x9e3779b97f4a7c15u;
    uint64_t mixed = dice->state;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
}

/* The stream with this number of a seed. */
static inline struct dice dice_make(uint64_t seed, uint64_t stream)
{
    struct dice dice = {seed * 0x2545f4914f6cdd1du + stream};
    dice.state = dice_next(&dice);
    return dice;
}

/* A number below `below`. */
static inline uint32_t dice_below(struct dice *dice, uint32_t below)
{
    ASSERT(below > 0);
    return (uint32_t)(dice_next(dice) % below);
}

static inline uint32_t dice_between(struct dice *dice, uint32_t min, uint32_t max)
{
    return min + dice_below(dice, max - min + 1);
}

/* 1 to a number of `max`, but not more than `limit`. */
static inline size_t dice_piece(struct dice *dice, uint32_t max, size_t limit)
{
    size_t drawn = dice_between(dice, 1, max);
    return MIN(drawn, limit);
}

static inline bool dice_chance(struct dice *dice, unsigned per_mille)
{
    return dice_below(dice, 1000) < per_mille;
}

/* One of these numbers. */
#define DICE_PICK(dice, ...) \
    ((const uint32_t[]){     \
        __VA_ARGS__}[dice_below((dice), (uint32_t)COUNT_OF(((const uint32_t[]){__VA_ARGS__})))])

#endif
