/* SPDX-License-Identifier: MIT */
/* Token buckets against exact arithmetic in 128 bits: over years, at the ends of every range, and
 * at the very nanosecond at which a token comes. */
#include "engine/rate.h"

#include "engine/config.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>

#define SECOND UINT64_C(1000000000)
#define YEAR   (365 * 86400 * SECOND)

static uint64_t random_next(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

/* 1 to 2^bits, each order of magnitude as likely as any other. */
static uint64_t random_size(uint64_t *random, unsigned bits)
{
    unsigned shift = (unsigned)(random_next(random) % (bits + 1));
    return (random_next(random) & ((UINT64_C(1) << shift) - 1)) + 1;
}

void rate_of_zero_is_no_limit(void)
{
    struct rate rate = {0};
    for (unsigned i = 0; i < 1000; i++) {
        EXPECT_INT(rate_take(&rate, 5, 1, 0, 1), 0, "taken");
        EXPECT_INT(rate_charge(&rate, 5, RATE_BURST_MAX, 0, 1), 0, "charged");
    }
    EXPECT_INT(rate.used, 0, "nothing is counted");
}

void rate_zero_is_a_full_bucket_at_any_time(void)
{
    static const uint64_t times[] = {0, 1, SECOND, YEAR, 100 * YEAR, UINT64_MAX};
    static const uint64_t rates[] = {1, 100, 1000000, RATE_PER_SECOND_MAX};
    for (size_t i = 0; i < COUNT_OF(times) * COUNT_OF(rates); i++) {
        struct rate rate = {0};
        uint64_t now_ns = times[i / COUNT_OF(rates)];
        uint64_t per_second = rates[i % COUNT_OF(rates)];
        EXPECT_INT(rate_take(&rate, now_ns, 10, per_second, 10), 0, "all of the burst");
        EXPECT(rate_take(&rate, now_ns, 1, per_second, 10) > 0, "and no more");
    }
}

void rate_take_says_the_nanosecond_at_which_a_token_comes(void)
{
    uint64_t random = 88172645463325252U;
    for (unsigned i = 0; i < 100000; i++) {
        struct rate rate = {0};
        uint64_t now_ns = random_next(&random) >> (1 + random_next(&random) % 40);
        uint64_t per_second = random_size(&random, 36);
        uint64_t burst = random_size(&random, 36);
        uint64_t amount = 1 + random_next(&random) % burst;
        EXPECT_INT(rate_take(&rate, now_ns, burst, per_second, burst), 0, "the burst");
        struct rate before = rate;
        uint64_t wait_ns = rate_take(&rate, now_ns, amount, per_second, burst);
        EXPECT(wait_ns > 0, "the bucket is empty");
        EXPECT(rate.used == before.used, "nothing was taken");
        if (wait_ns < UINT64_MAX - now_ns) {
            struct rate early = rate;
            EXPECT_INT(rate_take(&early, now_ns + wait_ns - 1, amount, per_second, burst), 1,
                       "one nanosecond too early");
            EXPECT_INT(rate_take(&rate, now_ns + wait_ns, amount, per_second, burst), 0, "then");
        }
    }
}

/* The tokens issued up to this time, as the definition has it. */
static unsigned __int128 issued(uint64_t now_ns, uint64_t per_second)
{
    return (unsigned __int128)now_ns * per_second / SECOND;
}

/* Who takes each token the moment it is there has, after any number of them, exactly what was
 * issued: however oddly the rate divides a second, no rounding adds up. */
void rate_take_does_not_drift(void)
{
    static const uint64_t rates[] = {1, 3, 7, 999, 1001, 999983, 1000000, 68719476735};
    for (size_t i = 0; i < COUNT_OF(rates); i++) {
        struct rate rate = {0};
        uint64_t amount = 1 + rates[i] / 1000;
        uint64_t burst = amount + 100; /* a nanosecond brings up to 69 at once; none is lost */
        uint64_t start_ns = UINT64_C(12345678901234567) + i;
        uint64_t now_ns = start_ns;
        uint64_t taken = 0;
        EXPECT_INT(rate_take(&rate, now_ns, burst, rates[i], burst), 0, "the burst");
        for (unsigned count = 0; count < 200000; count++) {
            now_ns += rate_take(&rate, now_ns, amount, rates[i], burst);
            taken += amount;
            EXPECT_INT(rate_take(&rate, now_ns, amount, rates[i], burst), 0, "it has come");
        }
        unsigned __int128 start = issued(start_ns, rates[i]);
        EXPECT(issued(now_ns, rates[i]) - start >= taken, "not too early");
        EXPECT(issued(now_ns - 1, rates[i]) - start < taken, "not too late");
    }
}

/* The same for what is charged afterwards, by one that waits as long as it is told. */
void rate_charge_keeps_the_rate_of_one_that_waits(void)
{
    static const uint64_t rates[] = {1, 3, 1001, 999983, 64 << 20, RATE_PER_SECOND_MAX};
    for (size_t i = 0; i < COUNT_OF(rates); i++) {
        struct rate rate = {0};
        uint64_t random = 88172645463325252U + i;
        uint64_t burst = 1024;
        uint64_t start_ns = UINT64_C(98765432109876543);
        uint64_t now_ns = start_ns;
        uint64_t charged = 0;
        for (unsigned count = 0; count < 100000; count++) {
            uint64_t amount = 1 + random_next(&random) % 65536;
            charged += amount;
            now_ns += rate_charge(&rate, now_ns, amount, rates[i], burst);
        }
        unsigned __int128 start = issued(start_ns, rates[i]);
        EXPECT(issued(now_ns, rates[i]) - start >= charged - burst, "not too early");
        EXPECT(issued(now_ns - 1, rates[i]) - start < charged - burst, "not too late");
    }
}

/* A bucket without a modulus: its counts have 128 bits. */
struct model {
    unsigned __int128 used;
};

static bool model_take(struct model *model, unsigned __int128 now, uint64_t amount, uint64_t burst)
{
    unsigned __int128 used = MAX(model->used, now) + amount;
    if (used > now + burst) {
        return false;
    }
    model->used = used;
    return true;
}

void rate_agrees_with_a_bucket_of_128_bits(void)
{
    uint64_t random = 88172645463325252U;
    uint64_t taken = 0;
    uint64_t refused = 0;
    for (unsigned round = 0; round < 2000; round++) {
        struct rate rate = {0};
        struct model model = {0};
        uint64_t per_second = random_size(&random, 36);
        uint64_t burst = random_size(&random, 36);
        uint64_t now_ns = random_next(&random) >> (2 + random_next(&random) % 60);
        for (unsigned i = 0; i < 200; i++) {
            uint64_t amount = 1 + random_size(&random, 36) % burst;
            bool expected = model_take(&model, issued(now_ns, per_second), amount, burst);
            bool actual = rate_take(&rate, now_ns, amount, per_second, burst) == 0;
            EXPECT(actual == expected, "the same verdict");
            taken += actual;
            refused += !actual;
            /* Up to a second, mostly; now and then up to 18 hours. */
            now_ns += random_size(&random, i % 50 == 0 ? 46 : 30);
        }
    }
    EXPECT(taken > 10000 && refused > 10000, "both happen");
}

/* The count of tokens laps 2^64 after eight years at the largest rate. */
void rate_survives_the_end_of_its_count(void)
{
    uint64_t per_second = RATE_PER_SECOND_MAX;
    uint64_t lap_ns = (UINT64_C(1) << 28) * SECOND;
    for (uint64_t before_ns = 0; before_ns < 4; before_ns++) {
        struct rate rate = {0};
        uint64_t now_ns = lap_ns - before_ns;
        EXPECT_INT(rate_take(&rate, now_ns, RATE_BURST_MAX, per_second, RATE_BURST_MAX), 0, "full");
        uint64_t wait_ns = rate_take(&rate, now_ns, RATE_BURST_MAX, per_second, RATE_BURST_MAX);
        EXPECT(wait_ns >= SECOND && wait_ns <= SECOND + 1, "empty");
        EXPECT_INT(rate_take(&rate, now_ns + wait_ns, RATE_BURST_MAX, per_second, RATE_BURST_MAX),
                   0, "full again, on the other side");
    }
}

void rate_forgets_debts_beyond_what_it_can_count(void)
{
    struct rate rate = {0};
    for (unsigned i = 0; i < 100; i++) {
        EXPECT(rate_charge(&rate, YEAR, RATE_BURST_MAX, 1, 1) > 0 || i == 0, "a debt");
    }
    uint64_t wait_ns = rate_charge(&rate, YEAR, 1, 1, 1);
    EXPECT_INT(wait_ns, UINT64_MAX, "4000 years at a token a second");
    struct rate fast = {0};
    for (unsigned i = 0; i < 100; i++) {
        (void)!rate_charge(&fast, YEAR, RATE_BURST_MAX, RATE_PER_SECOND_MAX, 1024);
    }
    wait_ns = rate_charge(&fast, YEAR, 0, RATE_PER_SECOND_MAX, 1024);
    EXPECT(wait_ns <= 2 * SECOND && wait_ns > SECOND, "two seconds at the largest rate");
    EXPECT_INT(rate_charge(&fast, YEAR + wait_ns, 0, RATE_PER_SECOND_MAX, 1024), 0, "then none");
}

/* The ranges of the configuration are those that this can count. */
void rate_takes_the_ranges_of_the_configuration(void)
{
    unsigned count = 0;
    for (unsigned i = 0; config_field_at(i) != NULL; i++) {
        const struct config_field *field = config_field_at(i);
        if (strstr(field->name, "_rate_max") != NULL || strstr(field->name, "_burst_max") != NULL) {
            EXPECT(field->max <= RATE_PER_SECOND_MAX, field->name);
            EXPECT(field->max <= RATE_BURST_MAX, field->name);
            count++;
        }
    }
    EXPECT(count >= 5, "they were found");
}
