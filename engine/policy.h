/* SPDX-License-Identifier: MIT */
/* The lists of the configuration that say who may come. */
#ifndef ENGINE_POLICY_H
#define ENGINE_POLICY_H

#include "base/base.h"
#include "gyr/gyr.h"

/* Can this be the text of the field `name`? Knows origins, hosts and trusted_proxies, and has
 * nothing to say about others. Returns 0, or GYR_ERR_CONFIG with a line in `error` that names the
 * field and the element of its list. */
MUST_CHECK int policy_check_text(const char *name, const char *text, struct gyr_error *error);

#endif
