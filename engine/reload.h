/* SPDX-License-Identifier: MIT */
/* New settings for cores that run. */
#ifndef ENGINE_RELOAD_H
#define ENGINE_RELOAD_H

#include "base/base.h"
#include "gyr/gyr.h"

struct core;

/* Check the settings, then have each core copy what can be reloaded, on its own thread. For one
 * caller at a time.
 *
 *   cores    all that the server has made, ended or not
 *   configs  theirs, to which the copies go; what cannot be reloaded is compared with it
 *
 * GYR_ERR_CONFIG, GYR_ERR_MEMORY: nothing has changed. GYR_ERR_STATE: every core has ended. */
MUST_CHECK int reload_post(const struct gyr_settings *settings, struct core *const *cores,
                           struct gyr_config *configs, unsigned core_count,
                           struct gyr_error *error);

#endif
