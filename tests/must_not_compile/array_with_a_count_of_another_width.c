/* SPDX-License-Identifier: MIT */
/* An array whose count is no size_t. */
#include "gyr/gyr_message.h"

struct list {
    const int32_t *items;
#ifdef FIXED
    size_t item_count;
#else
    uint32_t item_count;
#endif
};
GYR_MESSAGE(list, "list", GYR_ARRAY(list, items, item_count));

extern const struct gyr_schema *used;
const struct gyr_schema *used = &list_schema;
