/* SPDX-License-Identifier: MIT */
/* A question whose answer goes to a function of another message. */
#include "gyr/gyr_app.h"

struct ask {
    struct gyr_span text;
};
struct told {
    struct gyr_span text;
};
GYR_MESSAGE(ask, "ask", GYR_MEMBER(ask, text));
GYR_MESSAGE(told, "told", GYR_MEMBER(told, text));

#ifdef FIXED
#define ANSWER struct told
#else
#define ANSWER struct ask
#endif
#define QUESTION struct ask

static int take(struct gyr_conn *conn, void *self, const ANSWER *told,
                const struct gyr_fault *fault, void *arg)
{
    return conn != NULL && self != NULL && told != NULL && fault != NULL && arg != NULL;
}

int use(struct gyr_conn *conn, const QUESTION *value);
int use(struct gyr_conn *conn, const QUESTION *value)
{
    return GYR_ASK(conn, ask, value, told, 1000, take, NULL);
}
