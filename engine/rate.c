/* SPDX-License-Identifier: MIT */
/* Token buckets as the generic cell rate algorithm (ITU-T I.371 annex A), but with the theoretical
 * arrival time counted in tokens instead of time: since the clock began, floor(now * per_second)
 * tokens were issued, which is computed anew each time and exactly. A bucket is the count up to
 * which tokens have been taken. It may run ahead of what was issued by `burst`, and it is pulled
 * forward to what was issued when it lags behind, which is a full bucket.
 *
 *     issued         used      issued + burst
 *   ----+--------------+-------------+-----> tokens
 *        taken, not yet     free
 *        issued again
 *
 * Counts are taken modulo 2^64, and only their differences are used: at 64 GiB/s the count passes
 * 2^64 after eight years. A difference that no bucket can have means that the count has lapped one
 * that lay idle for years; that bucket is full. */
#include "engine/rate.h"

#define NS_PER_SECOND UINT64_C(1000000000)
#define AHEAD_MAX     (UINT64_C(1) << 37) /* that is remembered */
static_assert(RATE_BURST_MAX <= AHEAD_MAX, "a burst and a debt as large");

static uint64_t issued_at(uint64_t now_ns, uint64_t per_second);
static uint64_t ahead_of(const struct rate *rate, uint64_t issued);
static void ahead_store(struct rate *rate, uint64_t issued, uint64_t ahead);
static uint64_t wait_for(uint64_t count, uint64_t now_ns, uint64_t per_second);

uint64_t rate_take(struct rate *rate, uint64_t now_ns, uint64_t amount, uint64_t per_second,
                   uint64_t burst)
{
    ASSERT(per_second <= RATE_PER_SECOND_MAX);
    ASSERT(burst <= RATE_BURST_MAX);
    ASSERT(amount <= burst);
    if (per_second == 0) {
        return 0;
    }
    uint64_t issued = issued_at(now_ns, per_second);
    uint64_t ahead = ahead_of(rate, issued) + amount;
    if (ahead > burst) {
        return wait_for(ahead - burst, now_ns, per_second);
    }
    ahead_store(rate, issued, ahead);
    return 0;
}

uint64_t rate_charge(struct rate *rate, uint64_t now_ns, uint64_t amount, uint64_t per_second,
                     uint64_t burst)
{
    ASSERT(per_second <= RATE_PER_SECOND_MAX);
    ASSERT(burst <= RATE_BURST_MAX);
    ASSERT(amount <= AHEAD_MAX);
    if (per_second == 0) {
        return 0;
    }
    uint64_t issued = issued_at(now_ns, per_second);
    uint64_t ahead = MIN(ahead_of(rate, issued) + amount, AHEAD_MAX);
    ahead_store(rate, issued, ahead);
    return ahead > burst ? wait_for(ahead - burst, now_ns, per_second) : 0;
}

/* floor(now_ns * per_second / 10^9) modulo 2^64. */
static uint64_t issued_at(uint64_t now_ns, uint64_t per_second)
{
    uint64_t seconds = now_ns / NS_PER_SECOND;
    unsigned __int128 part = (unsigned __int128)(now_ns % NS_PER_SECOND) * per_second;
    return seconds * per_second + (uint64_t)(part / NS_PER_SECOND);
}

/* Tokens taken that are not issued again yet. */
static uint64_t ahead_of(const struct rate *rate, uint64_t issued)
{
    uint64_t ahead = rate->used - issued;
    return rate->used != 0 && ahead <= AHEAD_MAX ? ahead : 0;
}

/* Zero says that nothing was ever taken; a count that comes to it is one token larger. */
static void ahead_store(struct rate *rate, uint64_t issued, uint64_t ahead)
{
    uint64_t used = issued + ahead;
    rate->used = used == 0 ? 1 : used;
}

/* How long until `count` more tokens are issued? They are at the first nanosecond t for which
 * floor(t * per_second / 10^9) is that much larger, with t counted from the last whole second. */
static uint64_t wait_for(uint64_t count, uint64_t now_ns, uint64_t per_second)
{
    uint64_t part_ns = now_ns % NS_PER_SECOND;
    unsigned __int128 goal = (unsigned __int128)part_ns * per_second / NS_PER_SECOND + count;
    unsigned __int128 at_ns = (goal * NS_PER_SECOND + per_second - 1) / per_second;
    return (uint64_t)MIN(at_ns - part_ns, (unsigned __int128)UINT64_MAX);
}
