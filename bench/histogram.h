/* SPDX-License-Identifier: MIT */
/* Times in buckets whose width grows with the time: no bucket is wider than 1/64 of what it holds,
 * so a quantile is too large by at most 1.6 %. Fixed size, no allocation. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS     6
#define HISTOGRAM_BUCKET_COUNT ((64 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

/* Zero is empty. */
struct histogram {
    uint64_t count;
    uint64_t max;
    uint64_t buckets[HISTOGRAM_BUCKET_COUNT];
};

void histogram_add(struct histogram *histogram, uint64_t value);
void histogram_merge(struct histogram *to, const struct histogram *from);
/* The upper end of the bucket that holds the value at this quantile (0 to 1), at most the largest
 * value; 0 if empty. */
uint64_t histogram_quantile(const struct histogram *histogram, double quantile);
/* "NAME count=N p50=A p99=B p99.9=C max=D" and a line feed, in microseconds, to stdout. bench/run
 * reads it. */
void histogram_print(const struct histogram *histogram, const char *name);

#endif
