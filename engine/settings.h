/* SPDX-License-Identifier: MIT */
/* Configuration in layers: every value with where it came from, for all cores and for each. */
#ifndef ENGINE_SETTINGS_H
#define ENGINE_SETTINGS_H

#include "base/base.h"
#include "gyr/gyr.h"

#define SETTINGS_ALL         UINT32_MAX /* all cores */
#define SETTINGS_ORIGIN_SIZE 96

/* A layer that is read whole or not at all is read into a draft. */

/* A copy to be changed; NULL: no memory. Ended by settings_draft_take or gyr_settings_destroy. */
struct gyr_settings *settings_draft(const struct gyr_settings *settings);
/* What the draft says holds; the draft is gone. */
void settings_draft_take(struct gyr_settings *settings, struct gyr_settings *draft);

/* Set one value. GYR_ERR_MEMORY; GYR_ERR_CONFIG with a line that begins with the origin; for a
 * value that this draft was given already too.
 *
 *   core    its number, or SETTINGS_ALL
 *   origin  copied; of a long one the end is kept */
MUST_CHECK int settings_put(struct gyr_settings *draft, uint32_t core, const char *name,
                            const char *value, const char *origin, struct gyr_error *error);

/* The number of a core at the beginning of `text`, up to CONFIG_CORES_MAX - 1; returns what follows
 * it, or NULL if there is none. */
const char *settings_core_parse(const char *text, uint32_t *core);

/* What holds for one core. */
void settings_of_core(const struct gyr_settings *settings, uint32_t core,
                      struct gyr_config *config);

/* Are all values usable, each and together, on so many cores? GYR_ERR_CONFIG. */
MUST_CHECK int settings_check(const struct gyr_settings *settings, unsigned core_count,
                              struct gyr_error *error);

/* The CPU of each core: as `cores` says, or the core's own `cpu`. Results as config_cores. */
MUST_CHECK int settings_cpus(const struct gyr_settings *settings, unsigned *cpus, unsigned max,
                             unsigned *count, struct gyr_error *error);

/* Does a core that runs with `config` have to be restarted for these settings? GYR_ERR_CONFIG, with
 * a line that names the first that differs and cannot be reloaded. */
MUST_CHECK int settings_check_reload(const struct gyr_settings *settings, uint32_t core,
                                     const struct gyr_config *config, struct gyr_error *error);

#endif
