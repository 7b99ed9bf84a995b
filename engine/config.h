/* SPDX-License-Identifier: MIT */
/* The configuration: one table says of every field where it lies, what it may be, what it is unless
 * it is set, who may set it when, and what raising it costs. */
#ifndef ENGINE_CONFIG_H
#define ENGINE_CONFIG_H

#include "base/base.h"
#include "gyr/gyr.h"

#define CONFIG_CPU_MAX     8192 /* the largest NR_CPUS a kernel can be built with on x86-64 */
#define CONFIG_NUMBER_SIZE 24   /* of the text of a number or a choice */
#define CONFIG_CORES_MAX   1024

enum config_kind {
    CONFIG_NUMBER,
    CONFIG_POWER,  /* a number that is a power of two */
    CONFIG_CHOICE, /* a number that has a name: names[value - min] */
    CONFIG_CPU,    /* a number, or "auto": GYR_CPU_BY_CORES */
    CONFIG_CORES,  /* text: a list of CPUs */
    CONFIG_TEXT,   /* text */
};

enum config_flags {
    CONFIG_F_CORE = 1 << 0, /* a core may have its own: nothing but this core reads it */
    CONFIG_F_LIVE = 1 << 1, /* can be reloaded: it is read anew wherever it counts */
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
    uint8_t kind;  /* enum config_kind */
    uint8_t flags; /* enum config_flags */
};

/* A field that, taken `factor` times and plus `plus`, must not exceed another. */
struct config_relation {
    const char *small;
    const char *large;
    uint64_t factor;
    uint64_t plus;
    const char *phrase;
};

/* ---- config.c: the table, and what is right ---- */

/* The fields in the order of struct gyr_config; NULL behind the last. */
const struct config_field *config_field_at(unsigned index);
const struct config_relation *config_relation_at(unsigned index);

/* The field of this name that lies within a configuration of `size` bytes, or NULL. */
const struct config_field *config_field_find(const char *name, size_t size);
/* The name that somebody may have meant who wrote this one; NULL if none is like it. */
const char *config_field_closest(const char *name);
unsigned config_field_index(const struct config_field *field);
bool config_field_is_text(const struct config_field *field);
bool config_field_is_within(const struct config_field *field, size_t size);
bool config_field_equal(const struct config_field *field, const struct gyr_config *a,
                        const struct gyr_config *b);
void config_field_copy(const struct config_field *field, struct gyr_config *to,
                       const struct gyr_config *from);
uint64_t config_field_load(const struct config_field *field, const struct gyr_config *config);
void config_field_store(const struct config_field *field, struct gyr_config *config,
                        uint64_t value);

/* Make a full configuration of one that may come from a program compiled against an older header:
 * what that did not know yet gets its default. */
void config_complete(struct gyr_config *full, const struct gyr_config *config);

/* Take over what can be reloaded. */
void config_reload(struct gyr_config *config, const struct gyr_config *from);

/* Are all fields within their ranges and in the right relation to each other? Returns 0, or
 * GYR_ERR_CONFIG with a line in `error`. A configuration of an older header is completed first; one
 * of a newer header fails if it sets fields that are unknown here. */
MUST_CHECK int config_check(const struct gyr_config *config, struct gyr_error *error);

/* The parts of config_check, of a full configuration. */
MUST_CHECK int config_size_check(const struct gyr_config *config, struct gyr_error *error);
MUST_CHECK int config_field_check(const struct config_field *field, const struct gyr_config *config,
                                  struct gyr_error *error);
MUST_CHECK int config_number_check(const struct config_field *field, uint64_t value,
                                   struct gyr_error *error);
/* With `origins` the line says where the two values came from: of the smaller, of the larger. */
MUST_CHECK int config_relation_check(const struct config_relation *relation,
                                     const struct gyr_config *config, const char *const origins[2],
                                     struct gyr_error *error);

/* ---- config_text.c ---- */

/* As gyr_config_set. */
MUST_CHECK int config_field_set(const struct config_field *field, struct gyr_config *config,
                                const char *text, struct gyr_error *error);

/* GYR_ERR_CONFIG: no setting is called that. */
MUST_CHECK int config_unknown(const char *name, const char *value, struct gyr_error *error);

/* The name of a choice; bytes with a suffix where that is exact; otherwise digits. */
void config_number_format(const struct config_field *field, uint64_t value,
                          char text[CONFIG_NUMBER_SIZE]);

/* "name = value  # unit, range; `label``note`" and a line feed, like snprintf. */
size_t config_field_format(const struct config_field *field, const struct gyr_config *config,
                           const char *label, const char *note, char *text, size_t size);
/* "0 to 64k", "hash or least", or "" for text, like snprintf. */
size_t config_field_range(const struct config_field *field, char *text, size_t size);
/* The value alone, like snprintf. */
size_t config_field_value(const struct config_field *field, const struct gyr_config *config,
                          char *text, size_t size);

/* ---- config_cores.c ---- */

/* Is this "" or a list of CPUs and ranges that fits into `size` bytes with its end? */
MUST_CHECK int config_cores_check(const char *text, size_t size, struct gyr_error *error);

/* May this thread run on that CPU? Otherwise GYR_ERR_CONFIG, or -errno of sched_getaffinity. */
MUST_CHECK int config_cpu_check(unsigned cpu, struct gyr_error *error);

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
