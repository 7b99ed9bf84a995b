/* SPDX-License-Identifier: MIT */
/* An input whose member points to something else than its row says. */
#include "gyr/gyr_app.h"

struct store {
    int unused;
};
struct other {
    int unused;
};
struct chat {
#ifdef FIXED
    struct store *store;
#else
    struct other *store;
#endif
};

extern const struct gyr_resource resource;
const struct gyr_resource resource = {
    GYR_RESOURCE(chat),
    .inputs = GYR_INPUTS(GYR_INPUT(chat, store, struct store)),
};
