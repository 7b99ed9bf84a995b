/* SPDX-License-Identifier: MIT */
/* What resources of tests on the application kit share: an instance that knows its kit, and notes
 * of what it has been called with. */
#ifndef TESTS_APP_PROBE_H
#define TESTS_APP_PROBE_H

#include "tests/app_kit.h"

struct probe {
    struct app_kit *kit;
};

/* A resource whose failures do not close. */
#define PROBE(name_text)                                                             \
    .size = sizeof(struct gyr_resource), .name = name_text, .at = GYR_AT,            \
    .instance_size = sizeof(struct probe), .instance_align = _Alignof(struct probe), \
    .inputs = GYR_INPUTS(GYR_INPUT(probe, kit, struct app_kit)),                     \
    .failure_policy = GYR_FAILURE_KEEP

struct ping {
    struct gyr_span text;
};
GYR_MESSAGE(ping, "ping", GYR_MEMBER(ping, text));

struct app_kit *probe_kit(void *self);
/* "ping TEXT" */
int probe_ping(struct gyr_conn *conn, void *self, const struct ping *ping);
/* "text REASON 'PATH' tag 'TAG' id 'ID'"; says so if the message is not what was said. */
int probe_unhandled(struct gyr_conn *conn, void *self, const struct gyr_unhandled *unhandled);
/* "failure WHAT RESOURCE NAME: WHY", for on_failure. */
void probe_failure(struct gyr_conn *conn, const struct gyr_failure *failure);

#endif
