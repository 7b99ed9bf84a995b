/* SPDX-License-Identifier: MIT */
/* A member of a type that JSON has nothing for: text is a struct gyr_span. */
#include "gyr/gyr_message.h"

struct say {
#ifdef FIXED
    struct gyr_span text;
#else
    const char *text;
#endif
};
GYR_MESSAGE(say, "say", GYR_MEMBER(say, text));

extern const struct gyr_schema *used;
const struct gyr_schema *used = &say_schema;
