/* SPDX-License-Identifier: MIT */
/* The configuration: one table says of every field where it lies, what it may be, what it is unless
 * it is set, and what raising it costs. */
#ifndef ENGINE_CONFIG_H
#define ENGINE_CONFIG_H

#include "base/base.h"
#include "gyr/gyr.h"

enum config_kind {
    CONFIG_NUMBER,
    CONFIG_POWER,  /* a number that is a power of two */
    CONFIG_CHOICE, /* a number that has a name: names[value - min] */
    CONFIG_CORES,  /* text: a list of CPUs */
    CONFIG_TEXT,   /* text */
};

struct config_field {
    const char *name;
    const char *unit;
    const char *cost;         /* of raising it */
    const char *const *names; /* CONFIG_CHOICE */
    uint64_t min;             /* min, max and standard are of numbers; the standard text is "" */
    uint64_t max;
    uint64_t standard; /* the value unless it is set */
    uint16_t offset;
    uint16_t width;
    uint8_t kind; /* enum config_kind */
};

/* The fields in the order of struct gyr_config; NULL behind the last. */
const struct config_field *config_field_at(unsigned index);

/* Make a full configuration of one that may come from a program compiled against an older header:
 * what that did not know yet gets its default. */
void config_complete(struct gyr_config *full, const struct gyr_config *config);

/* Are all fields within their ranges and in the right relation to each other? Returns 0, or
 * GYR_ERR_CONFIG with a line in `error`. A configuration of an older header is completed first; one
 * of a newer header fails if it sets fields that are unknown here. */
MUST_CHECK int config_check(const struct gyr_config *config, struct gyr_error *error);

/* Which CPUs do `cores` mean, in ascending order? "" is every CPU that the calling thread may run
 * on.
 *
 *   cpus   out: `max` entries
 *   count  out: 1 to max
 *
 * Returns 0; GYR_ERR_CONFIG for a list that is malformed, names a CPU twice, or names one that does
 * not exist or is not allowed; -errno of sched_getaffinity. Each with a line in `error`. */
MUST_CHECK int config_cores(const struct gyr_config *config, unsigned *cpus, unsigned max,
                            unsigned *count, struct gyr_error *error);

#endif
