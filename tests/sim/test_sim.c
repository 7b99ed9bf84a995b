/* SPDX-License-Identifier: MIT */
/* The production engine on the simulated ring: a few seeds of each kind of world. What the
 * oracle wants is in world.c, service*.c and client*.c; `make sim SEEDS=n` runs as many seeds as
 * one likes. */
#include "tests/sim/seeds.h"
#include "tests/sim/world.h"

#include <CUnit/CUnit.h>

#include <stdlib.h>

#define SEEDS_EACH 12
#define ROOM_SEEDS 60
#define SEED_FIRST 100000 /* not those of `make sim` */

/* Every client whose connection nobody broke has got each byte once and in order; text stays
 * text. */
void sim_echoes_every_byte_once_and_in_order(void)
{
    CU_ASSERT_EQUAL(seeds_run(SEED_FIRST, SEEDS_EACH, PROFILE_CALM), 0);
}

/* The same with short sends and receives, ended multishots, late and reordered completions. */
void sim_loses_nothing_to_faults_that_tcp_survives(void)
{
    CU_ASSERT_EQUAL(seeds_run(SEED_FIRST, SEEDS_EACH, PROFILE_ROUGH), 0);
}

/* Resets and time jumps as well: every exchange that began has ended once (D1), no byte of
 * memory (A1), no buffer (B1) and no descriptor is lost, and afterwards the server serves. */
void sim_survives_all_faults(void)
{
    CU_ASSERT_EQUAL(seeds_run(SEED_FIRST, SEEDS_EACH, PROFILE_STORM), 0);
}

void sim_lives_with_every_limit_reached(void)
{
    CU_ASSERT_EQUAL(seeds_run(SEED_FIRST, SEEDS_EACH, PROFILE_TIGHT), 0);
}

void sim_drains_on_stop(void)
{
    CU_ASSERT_EQUAL(seeds_run(SEED_FIRST, SEEDS_EACH, PROFILE_STOP), 0);
}

/* Members on several cores, which change at every step of the broadcast ring: each gets what it
 * must have, in one order, once, or is told; nothing is left of rooms and messages at the end. */
void sim_rooms_have_one_order_and_lose_nothing_untold(void)
{
    CU_ASSERT_EQUAL(seeds_run(SEED_FIRST, ROOM_SEEDS, PROFILE_ROOMS), 0);
}

static char *trace_of(uint64_t seed, enum profile profile)
{
    char *text = NULL;
    size_t size = 0;
    char failure[400];
    FILE *file = open_memstream(&text, &size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_TRUE(world_run(seed, profile, file, failure));
    CU_ASSERT_EQUAL(fclose(file), 0);
    return text;
}

static void same_seed_gives_same_trace(enum profile profile)
{
    char *first = trace_of(SEED_FIRST, profile);
    char *second = trace_of(SEED_FIRST, profile);
    char *other = trace_of(SEED_FIRST + 1, profile);
    CU_ASSERT_TRUE(strlen(first) > 10000);
    CU_ASSERT_STRING_EQUAL(first, second);
    CU_ASSERT_STRING_NOT_EQUAL(first, other);
    free(first);
    free(second);
    free(other);
}

void sim_same_seed_gives_same_trace(void)
{
    same_seed_gives_same_trace(PROFILE_STORM);
}

void sim_same_seed_gives_same_trace_with_rooms(void)
{
    same_seed_gives_same_trace(PROFILE_ROOMS);
}

/* Whatever the functions of an application do, and whoever leaves when: each runs when it must, and
 * everybody is told once. */
void sim_application_calls_what_the_rules_say(void)
{
    CU_ASSERT_EQUAL(seeds_run(SEED_FIRST, SEEDS_EACH, PROFILE_APP), 0);
}

void sim_same_seed_gives_same_trace_with_an_application(void)
{
    same_seed_gives_same_trace(PROFILE_APP);
}
