/* SPDX-License-Identifier: MIT */
/* A rate limit as a token bucket in one word: the generic cell rate algorithm in tokens. */
#ifndef ENGINE_RATE_H
#define ENGINE_RATE_H

#include "base/base.h"

#define RATE_PER_SECOND_MAX (UINT64_C(1) << 36) /* 64 GiB/s, as the configuration allows */
#define RATE_BURST_MAX      (UINT64_C(1) << 36)

/* Zero is a full bucket. Its numbers mean something for one per_second only: when that changes, set
 * it to zero. */
struct rate {
    uint64_t used; /* tokens taken, in the count of all that were ever issued, modulo 2^64 */
};

/* Take `amount` tokens of a bucket that holds `burst` and is refilled with `per_second`; 0 of these
 * is no limit. Tokens are issued at the whole multiples of 1/per_second of the clock, so nothing is
 * rounded twice and no error grows with time.
 *
 *   now_ns      a clock that only goes forward
 *   burst       at least 1; more than burst at once is never there, so amount <= burst
 *
 * Returns 0: taken; or after how many nanoseconds it will be there, with nothing taken. Exact: at
 * that time it is, and one nanosecond before it is not. */
MUST_CHECK uint64_t rate_take(struct rate *rate, uint64_t now_ns, uint64_t amount,
                              uint64_t per_second, uint64_t burst);

/* Take `amount` tokens (up to 2^36) for what has happened already, whether they are there or not.
 * Returns 0, or after how many nanoseconds the bucket is no longer overdrawn. Whoever waits for
 * so long after each call keeps the rate on the average. A debt of more than 2^37 tokens is not
 * remembered in full. */
MUST_CHECK uint64_t rate_charge(struct rate *rate, uint64_t now_ns, uint64_t amount,
                                uint64_t per_second, uint64_t burst);

#endif
