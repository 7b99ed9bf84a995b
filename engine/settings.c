/* SPDX-License-Identifier: MIT */
/* Configuration in layers. A layer is not kept: what comes later is written over what was there, and
 * every value keeps the name of where it came from. What was said of one core lies beside what was
 * said of all, and wins on that core, whichever came later. */
#include "engine/settings.h"

#include "engine/config.h"
#include "engine/error.h"
#include "engine/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FIELDS_MAX 96 /* more than the table has: layer_make asserts it */
#define NAME_SIZE  64 /* of a setting in the environment, in small letters */

/* The values of all cores, or those that one core has of its own. */
struct layer {
    struct gyr_config config;
    uint32_t drafts[FIELDS_MAX];                    /* in which draft it was set */
    char origins[FIELDS_MAX][SETTINGS_ORIGIN_SIZE]; /* "": a core has no value of its own */
};

struct gyr_settings {
    struct layer all;
    uint32_t draft;                        /* counts drafts, from 1 on */
    struct layer *cores[CONFIG_CORES_MAX]; /* owned; NULL: nothing of its own */
};

static int put(struct gyr_settings *settings, uint32_t core, const struct config_field *field,
               const char *value, const char *origin, struct gyr_error *error);
static int field_refuse(const struct config_field *field, uint32_t core, const char *value,
                        struct gyr_error *error);
static struct layer *layer_make(struct gyr_settings *settings, uint32_t core);
static bool layer_is_empty(const struct layer *layer);
static void origin_store(struct layer *layer, unsigned index, const char *origin);
static const char *origin_of(const struct gyr_settings *settings, uint32_t core, unsigned index);
static int variable_put(struct gyr_settings *draft, const char *variable, struct gyr_error *error);
static int relations_check(const struct gyr_settings *settings, uint32_t core,
                           struct gyr_error *error);
static int core_missing(const struct layer *layer, uint32_t core, unsigned core_count,
                        struct gyr_error *error);
static int cpus_check(const struct gyr_settings *settings, const unsigned *cpus, unsigned count,
                      struct gyr_error *error);
static int prefix(struct gyr_error *error, int err, const char *origin, uint32_t core);
static size_t layer_format(const struct layer *layer, char *text, size_t size);

/* ---- life ------------------------------------------------------------------------------------ */

int gyr_settings_create(const struct gyr_config *config, struct gyr_settings **settings_out,
                        struct gyr_error *error)
{
    struct gyr_settings *settings = memory_alloc(sizeof(*settings));
    if (settings == NULL) {
        return ERROR_SET(error, GYR_ERR_MEMORY, "settings: no memory");
    }
    struct gyr_config standard = gyr_config_default();
    struct layer *all = &settings->all;
    all->config = standard;
    int err = config != NULL ? config_size_check(config, error) : 0;
    if (err == 0 && config != NULL) {
        config_complete(&all->config, config);
    }
    const struct config_field *field;
    for (unsigned i = 0; err == 0 && (field = config_field_at(i)) != NULL; i++) {
        bool same = config_field_equal(field, &all->config, &standard);
        origin_store(all, i, same ? "default" : "program");
        err = config_field_check(field, &all->config, error);
        if (err == 0 && field->kind == CONFIG_CPU && !same) {
            char value[CONFIG_NUMBER_SIZE];
            config_number_format(field, all->config.cpu, value);
            err = field_refuse(field, SETTINGS_ALL, value, error);
        }
    }
    if (err < 0) {
        gyr_settings_destroy(settings);
        return err;
    }
    *settings_out = settings;
    return 0;
}

void gyr_settings_destroy(struct gyr_settings *settings)
{
    for (unsigned i = 0; settings != NULL && i < CONFIG_CORES_MAX; i++) {
        memory_free(settings->cores[i]);
    }
    memory_free(settings);
}

struct gyr_settings *settings_draft(const struct gyr_settings *settings)
{
    struct gyr_settings *draft = memory_alloc(sizeof(*draft));
    if (draft == NULL) {
        return NULL;
    }
    draft->all = settings->all;
    draft->draft = settings->draft + 1;
    for (unsigned i = 0; i < CONFIG_CORES_MAX; i++) {
        if (settings->cores[i] == NULL) {
            continue;
        }
        struct layer *layer = layer_make(draft, i);
        if (layer == NULL) {
            gyr_settings_destroy(draft);
            return NULL;
        }
        *layer = *settings->cores[i];
    }
    return draft;
}

void settings_draft_take(struct gyr_settings *settings, struct gyr_settings *draft)
{
    settings->all = draft->all;
    settings->draft = draft->draft;
    for (unsigned i = 0; i < CONFIG_CORES_MAX; i++) {
        struct layer *old = settings->cores[i];
        settings->cores[i] = draft->cores[i];
        draft->cores[i] = old;
    }
    gyr_settings_destroy(draft);
}

const struct gyr_config *gyr_settings_config(const struct gyr_settings *settings)
{
    return &settings->all.config;
}

void settings_of_core(const struct gyr_settings *settings, uint32_t core, struct gyr_config *config)
{
    *config = settings->all.config;
    const struct layer *layer = settings->cores[core];
    const struct config_field *field;
    for (unsigned i = 0; layer != NULL && (field = config_field_at(i)) != NULL; i++) {
        if (layer->origins[i][0] != '\0') {
            config_field_copy(field, config, &layer->config);
        }
    }
}

/* ---- one value ------------------------------------------------------------------------------- */

int settings_put(struct gyr_settings *draft, uint32_t core, const char *name, const char *value,
                 const char *origin, struct gyr_error *error)
{
    const struct config_field *field = config_field_find(name, sizeof(struct gyr_config));
    int err = field == NULL ? config_unknown(name, value, error)
                            : put(draft, core, field, value, origin, error);
    return prefix(error, err, origin, core);
}

static int put(struct gyr_settings *settings, uint32_t core, const struct config_field *field,
               const char *value, const char *origin, struct gyr_error *error)
{
    unsigned index = config_field_index(field);
    int err = field_refuse(field, core, value, error);
    if (err < 0) {
        return err;
    }
    struct layer *layer = layer_make(settings, core);
    if (layer == NULL) {
        return ERROR_SET(error, GYR_ERR_MEMORY, "%s = %.64s: no memory", field->name, value);
    }
    if (layer->drafts[index] == settings->draft) {
        return ERROR_SET(error, GYR_ERR_CONFIG, "%s = %.64s: %s has set it already; keep one",
                         field->name, value, layer->origins[index]);
    }
    err = config_field_set(field, &layer->config, value, error);
    if (err == 0) {
        layer->drafts[index] = settings->draft;
        origin_store(layer, index, origin);
    }
    return err;
}

/* What one core cannot have of its own, and what only one core can have. */
static int field_refuse(const struct config_field *field, uint32_t core, const char *value,
                        struct gyr_error *error)
{
    if (core != SETTINGS_ALL && (field->flags & CONFIG_F_CORE) == 0) {
        return ERROR_SET(error, GYR_ERR_CONFIG,
                         "%s = %.64s holds for all cores or none; set it outside of the section",
                         field->name, value);
    }
    if (core == SETTINGS_ALL && field->kind == CONFIG_CPU && strcmp(value, "auto") != 0) {
        return ERROR_SET(error, GYR_ERR_CONFIG,
                         "%s = %.64s: a CPU is for one core; set it in a section, as [core 0]",
                         field->name, value);
    }
    return 0;
}

int gyr_settings_set(struct gyr_settings *settings, const char *name, const char *value,
                     const char *origin, struct gyr_error *error)
{
    uint32_t core = SETTINGS_ALL;
    if (strncmp(name, "core ", 5) == 0) {
        const char *rest = settings_core_parse(name + 5, &core);
        if (rest == NULL || *rest != '.') {
            return ERROR_SET(error, GYR_ERR_CONFIG,
                             "%.48s: %.48s = %.48s names no core; write it as core 1.spin_us, with "
                             "a number up to %d",
                             origin, name, value, CONFIG_CORES_MAX - 1);
        }
        name = rest + 1;
    }
    settings->draft++; /* by itself, so that it may be set again */
    return settings_put(settings, core, name, value, origin, error);
}

const char *settings_core_parse(const char *text, uint32_t *core)
{
    const char *at = text;
    uint32_t number = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        number = MIN(number * 10 + (uint32_t)(*at - '0'), (uint32_t)CONFIG_CORES_MAX);
    }
    *core = number;
    return at > text && number < CONFIG_CORES_MAX ? at : NULL;
}

static struct layer *layer_make(struct gyr_settings *settings, uint32_t core)
{
    ASSERT(config_field_at(FIELDS_MAX) == NULL);
    if (core == SETTINGS_ALL) {
        return &settings->all;
    }
    ASSERT(core < CONFIG_CORES_MAX);
    if (settings->cores[core] == NULL) {
        settings->cores[core] = memory_alloc(sizeof(struct layer));
    }
    return settings->cores[core];
}

static bool layer_is_empty(const struct layer *layer)
{
    bool empty = true;
    for (unsigned i = 0; layer != NULL && i < FIELDS_MAX; i++) {
        empty = empty && layer->origins[i][0] == '\0';
    }
    return empty;
}

/* Of a long one the end says more: it has the name of the file and the line. */
static void origin_store(struct layer *layer, unsigned index, const char *origin)
{
    size_t size = strlen(origin);
    const char *end = size < SETTINGS_ORIGIN_SIZE ? origin : origin + size - 90;
    struct gyr_error line;
    error_write(&line, "%s%s", end > origin ? "..." : "", end); /* one line, whatever is in it */
    (void)snprintf(layer->origins[index], SETTINGS_ORIGIN_SIZE, "%.*s", SETTINGS_ORIGIN_SIZE - 1,
                   line.text);
}

static const char *origin_of(const struct gyr_settings *settings, uint32_t core, unsigned index)
{
    const struct layer *layer = core == SETTINGS_ALL ? NULL : settings->cores[core];
    return layer != NULL && layer->origins[index][0] != '\0' ? layer->origins[index]
                                                             : settings->all.origins[index];
}

/* ---- the environment ------------------------------------------------------------------------- */

int gyr_settings_environment(struct gyr_settings *settings, struct gyr_error *error)
{
    struct gyr_settings *draft = settings_draft(settings);
    if (draft == NULL) {
        return ERROR_SET(error, GYR_ERR_MEMORY, "environment: no memory");
    }
    for (char **variable = environ; variable != NULL && *variable != NULL; variable++) {
        int err = strncmp(*variable, "GYR_", 4) == 0 ? variable_put(draft, *variable, error) : 0;
        if (err < 0) {
            gyr_settings_destroy(draft);
            return err;
        }
    }
    settings_draft_take(settings, draft);
    return 0;
}

/* "GYR_CORE_1_SPIN_US=50". core_heap_size_max is no core: no number follows. */
static int variable_put(struct gyr_settings *draft, const char *variable, struct gyr_error *error)
{
    const char *value = strchrnul(variable, '=');
    char origin[SETTINGS_ORIGIN_SIZE];
    char name[NAME_SIZE] = "";
    (void)snprintf(origin, sizeof(origin), "%.*s", (int)(value - variable), variable);
    value += *value == '=';
    uint32_t core = SETTINGS_ALL;
    const char *at = origin + strlen("GYR_");
    if (strncmp(at, "CORE_", 5) == 0 && at[5] >= '0' && at[5] <= '9') {
        const char *rest = settings_core_parse(at + 5, &core);
        if (rest == NULL || *rest != '_') {
            return ERROR_SET(error, GYR_ERR_CONFIG,
                             "%s = %.64s names no core; write it as GYR_CORE_1_SPIN_US, with a "
                             "number up to %d",
                             origin, value, CONFIG_CORES_MAX - 1);
        }
        at = rest + 1;
    }
    /* A small letter makes it another name, and so does a name that is too long. */
    bool known = strlen(at) < NAME_SIZE;
    for (size_t i = 0; known && at[i] != '\0'; i++) {
        known = at[i] < 'a' || at[i] > 'z';
        name[i] = (char)ascii_lower((uint8_t)at[i]);
    }
    if (!known || config_field_find(name, sizeof(struct gyr_config)) == NULL) {
        const char *closest = config_field_closest(name);
        return ERROR_SET(error, GYR_ERR_CONFIG,
                         "%s = %.64s: there is no setting of this name%s%s; unset it, or write "
                         "GYR_ and the name of a setting in capitals",
                         origin, value, closest != NULL ? ", the closest is " : "",
                         closest != NULL ? closest : "");
    }
    return settings_put(draft, core, name, value, origin, error);
}

/* ---- what is right --------------------------------------------------------------------------- */

int gyr_settings_check(const struct gyr_settings *settings, struct gyr_error *error)
{
    unsigned cpus[CONFIG_CORES_MAX];
    unsigned count;
    int err = settings_cpus(settings, cpus, CONFIG_CORES_MAX, &count, error);
    return err < 0 ? err : settings_check(settings, count, error);
}

int settings_check(const struct gyr_settings *settings, unsigned core_count,
                   struct gyr_error *error)
{
    int err = relations_check(settings, SETTINGS_ALL, error);
    for (unsigned i = 0; i < CONFIG_CORES_MAX && err == 0; i++) {
        if (layer_is_empty(settings->cores[i])) {
            continue;
        }
        err = i < core_count ? relations_check(settings, i, error)
                             : core_missing(settings->cores[i], i, core_count, error);
    }
    return err;
}

static int relations_check(const struct gyr_settings *settings, uint32_t core,
                           struct gyr_error *error)
{
    struct gyr_config config = settings->all.config;
    if (core != SETTINGS_ALL) {
        settings_of_core(settings, core, &config);
    }
    const struct config_relation *relation;
    for (unsigned i = 0; (relation = config_relation_at(i)) != NULL; i++) {
        const struct config_field *small = config_field_find(relation->small, sizeof(config));
        const struct config_field *large = config_field_find(relation->large, sizeof(config));
        const char *const origins[2] = {origin_of(settings, core, config_field_index(small)),
                                        origin_of(settings, core, config_field_index(large))};
        int err = config_relation_check(relation, &config, origins, error);
        if (err < 0) {
            return prefix(error, err, "", core);
        }
    }
    return 0;
}

static int core_missing(const struct layer *layer, uint32_t core, unsigned core_count,
                        struct gyr_error *error)
{
    unsigned index = 0;
    while (layer->origins[index][0] == '\0') {
        index++;
    }
    const struct config_field *field = config_field_at(index);
    char value[65];
    (void)config_field_value(field, &layer->config, value, sizeof(value));
    int err = ERROR_SET(error, GYR_ERR_CONFIG,
                        "%s = %s: there are cores 0 to %u only; take it out, or name more CPUs in "
                        "cores",
                        field->name, value, core_count - 1);
    return prefix(error, err, layer->origins[index], core);
}

int settings_cpus(const struct gyr_settings *settings, unsigned *cpus, unsigned max,
                  unsigned *count, struct gyr_error *error)
{
    const struct config_field *cores = config_field_find("cores", sizeof(struct gyr_config));
    const struct config_field *cpu = config_field_find("cpu", sizeof(struct gyr_config));
    ASSERT(cores != NULL && cpu != NULL);
    int err = config_cores(&settings->all.config, cpus, max, count, error);
    if (err < 0) {
        return prefix(error, err, settings->all.origins[config_field_index(cores)], SETTINGS_ALL);
    }
    bool own = false;
    for (unsigned i = 0; i < *count; i++) {
        struct gyr_config config;
        settings_of_core(settings, i, &config);
        if (config.cpu == GYR_CPU_BY_CORES) {
            continue;
        }
        err = config_cpu_check(config.cpu, error);
        if (err < 0) {
            return prefix(error, err, origin_of(settings, i, config_field_index(cpu)), i);
        }
        cpus[i] = config.cpu;
        own = true;
    }
    return own ? cpus_check(settings, cpus, *count, error) : 0;
}

/* Two cores on one CPU would take turns, and neither know it. */
static int cpus_check(const struct gyr_settings *settings, const unsigned *cpus, unsigned count,
                      struct gyr_error *error)
{
    unsigned index = config_field_index(config_field_find("cpu", sizeof(struct gyr_config)));
    for (unsigned i = 1; i < count; i++) {
        for (unsigned k = 0; k < i; k++) {
            if (cpus[i] != cpus[k]) {
                continue;
            }
            const struct layer *layer = settings->cores[i];
            bool own = layer != NULL && layer->origins[index][0] != '\0';
            int err = ERROR_SET(error, GYR_ERR_CONFIG,
                                "cpu = %u is that of core %u too; give each core its own", cpus[i],
                                own ? k : i);
            return prefix(error, err, origin_of(settings, own ? i : k, index), own ? i : k);
        }
    }
    return 0;
}

int settings_check_reload(const struct gyr_settings *settings, uint32_t core,
                          const struct gyr_config *config, struct gyr_error *error)
{
    struct gyr_config wanted;
    settings_of_core(settings, core, &wanted);
    const struct config_field *field;
    for (unsigned i = 0; (field = config_field_at(i)) != NULL; i++) {
        if ((field->flags & CONFIG_F_LIVE) != 0 || config_field_equal(field, &wanted, config)) {
            continue;
        }
        char is[65];
        char was[65];
        (void)config_field_value(field, &wanted, is, sizeof(is));
        (void)config_field_value(field, config, was, sizeof(was));
        const char *origin = origin_of(settings, core, i);
        bool own = origin != settings->all.origins[i];
        int err = ERROR_SET(error, GYR_ERR_CONFIG,
                            "%s = %s cannot change while the server runs with %s = %s; restart it, "
                            "or take the change back",
                            field->name, is, field->name, was);
        return prefix(error, err, origin, own ? core : SETTINGS_ALL);
    }
    return 0;
}

/* Put the origin and the core before the line. A program knows what it has set. */
static int prefix(struct gyr_error *error, int err, const char *origin, uint32_t core)
{
    if (err == 0 || error == NULL) {
        return err;
    }
    struct gyr_error line = *error;
    char place[24] = "";
    bool quiet = *origin == '\0' || strcmp(origin, "program") == 0;
    size_t size = strlen(origin);
    const char *end = size < SETTINGS_ORIGIN_SIZE ? origin : origin + size - 90;
    if (core != SETTINGS_ALL) {
        (void)snprintf(place, sizeof(place), "core %u: ", core);
    }
    error_write(error, "%s%s%s%s%s", end > origin ? "..." : "", quiet ? "" : end, quiet ? "" : ": ",
                place, line.text);
    return err;
}

/* ---- text ------------------------------------------------------------------------------------ */

size_t gyr_settings_print(const struct gyr_settings *settings, char *text, size_t size)
{
    if (size > 0) {
        text[0] = '\0';
    }
    size_t used = layer_format(&settings->all, text, size);
    for (unsigned i = 0; i < CONFIG_CORES_MAX; i++) {
        if (layer_is_empty(settings->cores[i])) {
            continue;
        }
        size_t room = used < size ? size - used : 0;
        used += (size_t)snprintf(room > 0 ? text + used : NULL, room, "\n[core %u]\n", i);
        room = used < size ? size - used : 0;
        used += layer_format(settings->cores[i], room > 0 ? text + used : NULL, room);
    }
    return used;
}

static size_t layer_format(const struct layer *layer, char *text, size_t size)
{
    size_t used = 0;
    const struct config_field *field;
    for (unsigned i = 0; (field = config_field_at(i)) != NULL; i++) {
        if (layer->origins[i][0] != '\0') {
            size_t room = used < size ? size - used : 0;
            used += config_field_format(field, &layer->config, "", layer->origins[i],
                                        room > 0 ? text + used : NULL, room);
        }
    }
    return used;
}
