/* SPDX-License-Identifier: MIT */
/* An input whose member is the structure itself. */
#include "gyr/gyr_app.h"

struct store {
    int unused;
};
struct chat {
#ifdef FIXED
    struct store *store;
#else
    struct store store;
#endif
};

extern const struct gyr_resource resource;
const struct gyr_resource resource = {
    GYR_RESOURCE(chat),
    .inputs = GYR_INPUTS(GYR_INPUT(chat, store, struct store)),
};
