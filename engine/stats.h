/* SPDX-License-Identifier: MIT */
/* Statistics of a core. One thread writes; any thread reads, without a lock: each counter is one
 * relaxed atomic that only its core stores to, so an addition costs what a plain one does. */
#ifndef ENGINE_STATS_H
#define ENGINE_STATS_H

#include "base/base.h"
#include "gyr/gyr.h"

#include <stdatomic.h>

#define STATS_FIELD(name, text) _Atomic uint64_t name; /* written by the owner core only */
struct stats {
    GYR_STATS(STATS_FIELD)
};
#undef STATS_FIELD

#define STATS_ADD(stats, name, count)                                                  \
    atomic_store_explicit(&(stats)->name,                                              \
                          atomic_load_explicit(&(stats)->name, memory_order_relaxed) + \
                              (uint64_t)(count),                                       \
                          memory_order_relaxed)

#define STATS_SET(stats, name, value) \
    atomic_store_explicit(&(stats)->name, (uint64_t)(value), memory_order_relaxed)

/* Add what is there to `sum`. */
#define STATS_SUM_FIELD(name, text) \
    sum->name += atomic_load_explicit(&stats->name, memory_order_relaxed);
static inline void stats_sum(struct gyr_stats *sum, const struct stats *stats)
{
    GYR_STATS(STATS_SUM_FIELD)
}
#undef STATS_SUM_FIELD

#endif
