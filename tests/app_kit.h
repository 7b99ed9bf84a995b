/* SPDX-License-Identifier: MIT */
/* An application on the hub's kit: one core, peers that are byte arrays. A test declares resources
 * as a service does; they reach their kit by the service "kit", and note what happens in its log:
 *
 *     struct probe { struct app_kit *kit; };
 *     GYR_INPUTS(GYR_INPUT(probe, kit, struct app_kit)) */
#ifndef TESTS_APP_KIT_H
#define TESTS_APP_KIT_H

#include "gyr/gyr_app.h"
#include "tests/hub_kit.h"

struct app_kit {
    struct hub_kit hub;
    /* To be changed between app_kit_init and app_kit_start. */
    struct gyr_app_options options;
    struct gyr_service declared; /* of the options */
    /* To be looked at. */
    struct gyr_app *app;
    struct gyr_conn *conn;  /* the one that app_kit_open has made */
    struct kit_bytes notes; /* app_kit_note */
    struct gyr_span said;   /* what was delivered last; lives until the next */
    struct engine_layer layer;
};

void app_kit_init(struct app_kit *kit);
void app_kit_start(struct app_kit *kit, const struct gyr_route *routes);
void app_kit_end(struct app_kit *kit);

/* A new WebSocket to this path, which becomes hub.kit.fd. */
struct gyr_conn *app_kit_open(struct app_kit *kit, const char *path);

/* Deliver a text or binary message, and run. */
void app_kit_say(struct app_kit *kit, const char *text);
void app_kit_say_bytes(struct app_kit *kit, enum gyr_opcode opcode, const void *bytes, size_t size);

/* A line of what happens. */
void app_kit_note(struct app_kit *kit, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Compare, and print both if they differ; then forget. Lines of notes, and messages that the peer
 * has got, are ended by a line feed; a Close frame is "close:1011". */
bool app_kit_noted(struct app_kit *kit, const char *lines);
bool app_kit_got(struct app_kit *kit, const char *lines);

#endif
