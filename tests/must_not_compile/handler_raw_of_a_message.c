/* SPDX-License-Identifier: MIT */
/* A handler of raw text that takes a message. */
#include "gyr/gyr_app.h"

struct say {
    struct gyr_span text;
};
struct bye {
    struct gyr_span text;
};
GYR_MESSAGE(say, "say", GYR_MEMBER(say, text));
GYR_MESSAGE(bye, "bye", GYR_MEMBER(bye, text));

#ifdef FIXED
static int take(struct gyr_conn *conn, void *self, struct gyr_span what)
#else
static int take(struct gyr_conn *conn, void *self, const struct say *what)
#endif
{
    return conn != NULL && self != NULL;
}

extern const struct gyr_resource chat;
const struct gyr_resource chat = {
    GYR_RESOURCE_PLAIN("chat"),
    .handlers = GYR_HANDLERS(GYR_ON_RAW("say", take)),
};
