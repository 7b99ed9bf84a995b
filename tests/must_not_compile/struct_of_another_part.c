/* SPDX-License-Identifier: MIT */
/* A structure within a message that is another one than its schema's. */
#include "gyr/gyr_message.h"

struct point {
    int32_t x;
};
struct size {
    int32_t x;
};
GYR_PART(point, GYR_MEMBER(point, x));

struct move {
#ifdef FIXED
    struct point to;
#else
    struct size to;
#endif
};
GYR_MESSAGE(move, "move", GYR_STRUCT(move, to, point));

extern const struct gyr_schema *used;
const struct gyr_schema *used = &move_schema;
