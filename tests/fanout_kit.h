/* SPDX-License-Identifier: MIT */
/* Rooms as the engine sees them, for tests on the engine kit: one message to the members of a room,
 * and the frames that a peer has got, written as a line. */
#ifndef TESTS_FANOUT_KIT_H
#define TESTS_FANOUT_KIT_H

#include "engine/fanout.h"
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

struct fan_room {
    struct engine_fanout fanout;
    struct engine_removed removed; /* by all deliveries so far */
    uint64_t key;
    struct engine_track *track; /* or NULL */
    enum gyr_room_policy policy;
    uint32_t queue_size_max;
    uint32_t room;
    bool shared; /* messages come from other cores */
};

/* What has become of the deliveries that are followed. */
struct fan_track {
    struct engine_track track; /* first */
    unsigned taken;
    unsigned timed_out;
    unsigned dropped;
    unsigned closed;
    unsigned other;
    uint64_t handle; /* of the last */
};

#define FAN_ROOM(...) ((struct fan_room){__VA_ARGS__})

/* A core with `send_queue_size_max` bytes for each queue (0: default), and one open WebSocket. */
void fan_begin(struct kit *kit, uint32_t queue_size_max);
/* End it; and a room, and the messages that were shared: nobody has any of them. */
void fan_end(struct kit *kit, struct fan_room *room);

/* One message between its begin and its end. */
MUST_CHECK int fan_delivery_begin(struct engine_delivery *delivery, struct kit *kit,
                                  struct fan_room *room, const void *payload, size_t size);
void fan_delivery_end(struct engine_delivery *delivery, struct fan_room *room);

/* One message to the kit's current connection: enum engine_delivered, or why there is none. */
int fan_send(struct kit *kit, struct fan_room *room, const void *payload, size_t size);
#define FAN(kit, room, literal) fan_send((kit), (room), (literal), sizeof(literal) - 1)
/* The same, and let the core run. */
#define FAN_RUN(kit, room, literal) fan_send_run((kit), (room), (literal), sizeof(literal) - 1)
int fan_send_run(struct kit *kit, struct fan_room *room, const void *payload, size_t size);
/* One message to these connections; how many of them have it in their queue. */
unsigned fan_send_all(struct kit *kit, struct fan_room *room, const char *text, const int *fds,
                      unsigned count);

/* The peer takes nothing, and a message "x" of the service is on its way: what is published now
 * waits behind it. It has taken nothing of it: 3 bytes of the queue. */
void fan_block(struct kit *kit);
/* The peer takes everything. */
void fan_unblock(struct kit *kit);

/* Text messages as they are, other frames with what they are: "a1 binary:b ping: close:1013 +rest
 * part..."; of more than 40 bytes the first, and the size: "a*100". Then they are forgotten. */
bool fan_frames_are(struct kit *kit, const char *text);
#define EXPECT_FRAMES(kit, text, why) EXPECT(fan_frames_are((kit), (text)), (why))

struct fan_track fan_track(void);
/* Each delivery of it was done, this often with each result. */
bool fan_track_is(const struct fan_track *track, unsigned taken, unsigned timed_out,
                  unsigned dropped, unsigned closed);

/* Messages of other cores that were not released yet; each is released once, or the program
 * ends. */
unsigned fan_shared_count(void);

/* Take all of the core's heap but `left` bytes, or give it back. */
struct fan_ballast {
    void *pointer;
    size_t size;
};
struct fan_ballast fan_heap_fill(struct kit *kit, size_t left);
void fan_heap_free(struct kit *kit, struct fan_ballast *ballast);

/* The entries of the current connection's queue. */
unsigned fan_entries(struct kit *kit);

#endif
