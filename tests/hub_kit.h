/* SPDX-License-Identifier: MIT */
/* The hub on the engine kit: one core, with rooms. */
#ifndef TESTS_HUB_KIT_H
#define TESTS_HUB_KIT_H

#include "hub/hub.h"
#include "tests/engine_kit.h"
#include "tests/fanout_kit.h"

struct hub_kit {
    struct kit kit; /* config and service: to be changed between hub_kit_init and _start */
    struct hub *hub;
    struct hub_core *core;
    struct kit_bytes news; /* a line for each on_room: "+name" or "-name" */
    uint64_t event_number; /* of the last of room "a" */
    unsigned ready_count;  /* on_publish_ready */
    void (*point)(void *context, enum broadcast_point point); /* of the ring; set as config */
};

void hub_kit_init(struct hub_kit *kit);
void hub_kit_start(struct hub_kit *kit);
/* Ends the core too: nothing is left of it. */
void hub_kit_end(struct hub_kit *kit);
/* hub_kit_init, hub_kit_start. */
void hub_kit_begin(struct hub_kit *kit);

/* A new WebSocket, which becomes kit.fd. */
struct gyr_conn *hub_kit_open(struct hub_kit *kit);
/* Compare, and forget. */
bool hub_kit_news_are(struct hub_kit *kit, const char *text);
/* The figures of a room; all zero if there is none. */
struct gyr_room_stats hub_kit_stats(struct hub_kit *kit, const char *room);
/* Publish to one room on the core, and let it run. */
int hub_kit_publish(struct hub_kit *kit, const char *room, const char *payload);
/* The frames that the peer of this descriptor has got; see EXPECT_FRAMES. */
bool hub_kit_got(struct hub_kit *kit, int fd, const char *text);
struct gyr_span hub_kit_span(const char *text);

#endif
