/* SPDX-License-Identifier: MIT */
/* Which CPUs the cores run on: "0-3,6" against the affinity mask of the calling thread. */
#include "engine/config.h"
#include "engine/error.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>

#define CPU_NUMBER_MAX 99999999 /* so that a list cannot overflow an unsigned */

static int cores_range_parse(const char **text, unsigned *first, unsigned *last);
static const char *cpu_parse(const char *text, unsigned *cpu);

struct cpu_mask {
    cpu_set_t words[CONFIG_CPU_MAX / CPU_SETSIZE];
};

static int cores_allowed(struct cpu_mask *mask, struct gyr_error *error);
static int cores_select(const char *text, const struct cpu_mask *allowed, struct cpu_mask *selected,
                        struct gyr_error *error);
static void mask_format(const struct cpu_mask *mask, char *text, size_t size);

static bool mask_has(const struct cpu_mask *mask, unsigned cpu)
{
    return CPU_ISSET_S(cpu, sizeof(*mask), mask->words);
}

int config_cores(const struct gyr_config *config, unsigned *cpus, unsigned max, unsigned *count,
                 struct gyr_error *error)
{
    struct gyr_config full;
    config_complete(&full, config);
    struct cpu_mask allowed = {0};
    struct cpu_mask selected = {0};
    int err = config_cores_check(full.cores, sizeof(full.cores), error);
    if (err == 0) {
        err = cores_allowed(&allowed, error);
    }
    if (err == 0) {
        err = cores_select(full.cores, &allowed, &selected, error);
    }
    if (err != 0) {
        return err;
    }
    unsigned found = 0;
    for (unsigned cpu = 0; cpu < CONFIG_CPU_MAX; cpu++) {
        if (!mask_has(&selected, cpu)) {
            continue;
        }
        if (found == max) {
            return ERROR_SET(error, GYR_ERR_CONFIG,
                             "cores = \"%s\" means more than %u CPUs; name at most that many",
                             full.cores, max);
        }
        cpus[found++] = cpu;
    }
    ASSERT(found > 0);
    *count = found;
    return 0;
}

int config_cores_check(const char *text, size_t size, struct gyr_error *error)
{
    if (strnlen(text, size) == size) {
        return ERROR_SET(error, GYR_ERR_CONFIG,
                         "cores is longer than %zu characters; use ranges, as in 0-3,6", size - 1);
    }
    const char *at = text;
    while (*at != '\0') {
        unsigned first;
        unsigned last;
        if (cores_range_parse(&at, &first, &last) != 0) {
            return ERROR_SET(error, GYR_ERR_CONFIG,
                             "cores = \"%s\" is not a list of CPUs; write it as in 0-3,6", text);
        }
    }
    return 0;
}

int config_cpu_check(unsigned cpu, struct gyr_error *error)
{
    struct cpu_mask allowed = {0};
    int err = cores_allowed(&allowed, error);
    if (err == 0 && (cpu >= CONFIG_CPU_MAX || !mask_has(&allowed, cpu))) {
        char allowed_text[64];
        mask_format(&allowed, allowed_text, sizeof(allowed_text));
        err = ERROR_SET(error, GYR_ERR_CONFIG,
                        "cpu = %u does not exist or is not allowed to this process; choose from %s",
                        cpu, allowed_text);
    }
    return err;
}

/* Take "6" or "0-3", and the comma behind it if another one follows. */
static int cores_range_parse(const char **text, unsigned *first, unsigned *last)
{
    const char *at = cpu_parse(*text, first);
    *last = *first;
    if (at != NULL && *at == '-') {
        at = cpu_parse(at + 1, last);
    }
    if (at == NULL || *last < *first) {
        return GYR_ERR_CONFIG;
    }
    if (*at == ',' && at[1] != '\0') {
        at++;
    } else if (*at != '\0') {
        return GYR_ERR_CONFIG;
    }
    *text = at;
    return 0;
}

/* Take digits; returns what follows them, or NULL if there are none. */
static const char *cpu_parse(const char *text, unsigned *cpu)
{
    const char *at = text;
    *cpu = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        *cpu = MIN(*cpu * 10 + (unsigned)(*at - '0'), CPU_NUMBER_MAX);
    }
    return at > text ? at : NULL;
}

static int cores_allowed(struct cpu_mask *mask, struct gyr_error *error)
{
    if (sched_getaffinity(0, sizeof(*mask), mask->words) != 0) {
        int err = -errno;
        return ERROR_SET(error, err, "cores: the CPUs of this process cannot be read: %s",
                         strerrordesc_np(-err));
    }
    return 0;
}

static int cores_select(const char *text, const struct cpu_mask *allowed, struct cpu_mask *selected,
                        struct gyr_error *error)
{
    if (*text == '\0') {
        *selected = *allowed;
        return 0;
    }
    for (const char *at = text; *at != '\0';) {
        unsigned first;
        unsigned last;
        int err = cores_range_parse(&at, &first, &last);
        ASSERT(err == 0); /* config_cores_check has read it */
        for (unsigned cpu = first; cpu <= last; cpu++) {
            if (mask_has(selected, cpu)) {
                return ERROR_SET(error, GYR_ERR_CONFIG,
                                 "cores = \"%s\" names CPU %u twice; name it once", text, cpu);
            }
            if (!mask_has(allowed, cpu)) {
                char allowed_text[64];
                mask_format(allowed, allowed_text, sizeof(allowed_text));
                return ERROR_SET(error, GYR_ERR_CONFIG,
                                 "cores = \"%s\": CPU %u does not exist or is not allowed to this "
                                 "process; choose from %s",
                                 text, cpu, allowed_text);
            }
            CPU_SET_S(cpu, sizeof(*selected), selected->words);
        }
    }
    return 0;
}

/* "0-3,6", cut with "..." when it does not fit. */
static void mask_format(const struct cpu_mask *mask, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (unsigned cpu = 0; cpu < CONFIG_CPU_MAX; cpu++) {
        if (!mask_has(mask, cpu)) {
            continue;
        }
        unsigned first = cpu;
        while (cpu + 1 < CONFIG_CPU_MAX && mask_has(mask, cpu + 1)) {
            cpu++;
        }
        const char *comma = used > 0 ? "," : "";
        if (used + sizeof(",8191-8191,...") > size) {
            (void)snprintf(text + used, size - used, "%s...", comma);
            return;
        }
        int written = first == cpu
                          ? snprintf(text + used, size - used, "%s%u", comma, cpu)
                          : snprintf(text + used, size - used, "%s%u-%u", comma, first, cpu);
        used += (size_t)written;
    }
}
