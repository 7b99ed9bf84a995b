/* SPDX-License-Identifier: MIT */
/* A value whose pointer is of another type than its row says. */
#include "gyr/gyr_app.h"

struct store {
    int unused;
};
struct other {
    int unused;
};
#ifdef FIXED
static struct store store;
#else
static struct other store;
#endif

extern const struct gyr_value value;
const struct gyr_value value = GYR_VALUE("store", struct store, &store);
