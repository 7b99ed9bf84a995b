/* SPDX-License-Identifier: MIT */
/* Publishing to members that do not read, and to members that join and leave meanwhile, on two
 * cores and real sockets. */
#include "hub/publish.h"

#include "tests/cores_kit.h"

#include <limits.h>

static char OTHER[] = "other";

static bool everything_was_taken(void *arg)
{
    struct cores *of = arg;
    const struct hub *hub = hub_of_server(of->crowd.server);
    return atomic_load(&hub->broadcast_size) == 0;
}

void publish_of_large_messages_does_not_wait_for_who_does_not_read(void)
{
    static char large[30001];
    struct cores of;
    struct crowd_client clients[3];
    if (!cores_init(&of)) {
        return;
    }
    of.crowd.config.broadcast_size_max = 65536;
    of.crowd.config.broadcast_copy_size = 1024;
    crowd_start(&of.crowd);
    memset(large, 'l', sizeof(large) - 1);
    for (unsigned i = 0; i < 3; i++) {
        crowd_connect_on(&of.crowd, &clients[i], i % 2, "", "lobby");
    }
    struct gyr_span rooms[2] = {GYR_SPAN("lobby"), GYR_SPAN("other")};
    EXPECT(crowd_run(&of.crowd, clients[1].handle, cores_join, OTHER), "joined");
    /* More than sockets take. What waits is 20 MB for each, of 32 that may. */
    for (unsigned i = 0; i < 700; i++) {
        struct gyr_publish publish = cores_publish_to(rooms, i % 3, large);
        EXPECT_INT(cores_publish_with(&of, 0, &publish), 0, "published");
        crowd_until(everything_was_taken, &of);
    }
    EXPECT_INT(CORES_FIGURE(&of, UINT_MAX, room_dropped), 0, "and is queued");
    EXPECT_INT(CORES_FIGURE(&of, UINT_MAX, room_queued), 3 * 700, "to all");
    crowd_end(&of.crowd);
}

struct change {
    struct gyr_span rooms[2];
    void (*fn)(struct gyr_conn *conn, void *arg);
    void *arg;
};

/* As another thread does, so that it waits in both lanes when the rooms change. */
static void publish_and_change(struct gyr_conn *conn, void *arg)
{
    const struct change *change = arg;
    struct gyr_publish publish = cores_publish_to(change->rooms, 2, "once");
    EXPECT_INT(gyr_server_publish(gyr_core_server(gyr_conn_core(conn)), &publish), 0, "published");
    change->fn(conn, change->arg);
}

void publish_to_several_rooms_comes_once_to_who_joins_or_leaves_one(void)
{
    static char names[2][2] = {"a", "b"};
    for (unsigned i = 0; i < 8; i++) {
        unsigned changed = i & 1;
        bool leaves = (i & 2) != 0;
        struct cores of;
        struct crowd_client client;
        struct crowd_client other;
        if (!cores_begin(&of)) {
            return;
        }
        crowd_connect_on(&of.crowd, &client, 0, "", "");
        crowd_connect_on(&of.crowd, &other, 0, "", "");
        for (unsigned k = 0; k < 2; k++) { /* beginning anew, so that each has a lane of its own */
            EXPECT(crowd_run(&of.crowd, other.handle, cores_join, names[k]), "joined");
            if (k != changed || leaves) {
                EXPECT(crowd_run(&of.crowd, client.handle, cores_join, names[k]), "joined");
            }
        }
        struct change change = {{cores_span(names[i >> 2]), cores_span(names[1 - (i >> 2)])},
                                leaves ? cores_leave : cores_join,
                                names[changed]};
        EXPECT(crowd_run(&of.crowd, client.handle, publish_and_change, &change), "accepted");
        struct gyr_publish last = cores_publish_to(NULL, 0, "last");
        EXPECT_INT(cores_publish_with(&of, 0, &last), 0, "published");
        EXPECT(crowd_reads(&client, "once"), "it was a member of one all the time");
        EXPECT(crowd_reads(&client, "last"), "and nothing twice");
        EXPECT(crowd_reads(&other, "once") && crowd_reads(&other, "last"), "nor the other");
        crowd_end(&of.crowd);
    }
}
