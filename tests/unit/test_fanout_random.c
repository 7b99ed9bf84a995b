/* SPDX-License-Identifier: MIT */
/* Rooms of every policy, members of every speed, and a service that sends, pings, sends in parts,
 * pauses and ends connections, as a die says. Of each connection it is written down what it was
 * given, and what it gets must be just that. */
#include "tests/fanout_kit.h"

#include "tests/engine_kit_ring.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>
#include <stdlib.h>

#define CONNS     6
#define ROOMS     6
#define STEPS     3000
#define ITEMS_MAX 20000
#define KEYS      5
#define WIRE_MAX  1400

/* A message that a connection was given, in this order. */
struct item {
    uint32_t number;
    uint8_t room; /* ROOMS: of the service */
    uint8_t key;
    bool seen;
};

struct conn_model {
    int fd;
    struct item items[ITEMS_MAX];
    unsigned item_count;
    unsigned parts; /* sent of a message that is not complete */
    uint32_t part_number;
    size_t parsed; /* of its output */
    bool ended;
    unsigned removed[ROOMS]; /* by policy */
};

struct world {
    struct kit kit;
    struct fan_room rooms[ROOMS];
    struct conn_model conns[CONNS];
    struct fan_track tracks[ROOMS];
    unsigned tracked[ROOMS]; /* deliveries that were queued with a track */
    uint64_t state;
    uint32_t number;
    unsigned outcomes[5];
    unsigned pings;
    bool good;
};

static uint32_t dice(struct world *world, uint32_t sides)
{
    world->state = world->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(world->state >> 33) % sides;
}

static void fail(struct world *world, const char *why, const struct conn_model *conn)
{
    if (world->good) {
        printf("    %s: connection %d, message %u\n", why, conn->fd, world->number);
    }
    world->good = false;
}

/* A message tells its number, and room and key; what follows makes it longer. */
static size_t payload_make(struct world *world, char *payload, uint32_t number, unsigned room,
                           unsigned key)
{
    size_t size = 16;
    (void)snprintf(payload, 17, "%08x %02u %02u  ", number, room, key);
    uint32_t more = dice(world, 8);
    size_t extra = more == 0 ? dice(world, WIRE_MAX - 30) : more < 4 ? dice(world, 200) : 0;
    memset(payload + size, 'm', extra);
    return size + extra;
}

static void item_add(struct world *world, struct conn_model *conn, uint32_t number, unsigned room,
                     unsigned key)
{
    if (conn->item_count == ITEMS_MAX) {
        fail(world, "too many items for this test", conn);
        return;
    }
    conn->items[conn->item_count++] =
        (struct item){.number = number, .room = (uint8_t)room, .key = (uint8_t)key};
}

static void publish(struct world *world)
{
    unsigned index = dice(world, ROOMS);
    struct fan_room *room = &world->rooms[index];
    unsigned key = dice(world, KEYS);
    room->key = key;
    room->shared = dice(world, 3) == 0;
    room->track = dice(world, 5) == 0 ? &world->tracks[index].track : NULL;
    uint32_t number = ++world->number;
    char payload[WIRE_MAX + 20];
    size_t size = payload_make(world, payload, number, index, key);
    struct engine_delivery delivery;
    if (fan_delivery_begin(&delivery, &world->kit, room, payload, size) < 0) {
        return;
    }
    for (unsigned i = 0; i < CONNS; i++) {
        struct conn_model *conn = &world->conns[i];
        if (dice(world, 4) == 0) {
            continue; /* no member, or excepted */
        }
        world->kit.fd = conn->fd;
        struct gyr_conn *gyr_conn = kit_conn(&world->kit);
        if (gyr_conn == NULL) {
            continue;
        }
        struct engine_removed before = delivery.removed;
        enum engine_delivered outcome = engine_deliver(&delivery, gyr_conn);
        struct engine_removed after = delivery.removed;
        world->outcomes[outcome]++;
        conn->removed[index] += (unsigned)(after.oldest - before.oldest + after.conflated -
                                           before.conflated + after.closed - before.closed);
        if (outcome == ENGINE_QUEUED) {
            item_add(world, conn, number, index, key);
            world->tracked[index] += room->track != NULL;
        }
        bool may_close = room->policy == GYR_ROOM_CLOSE;
        if ((outcome == ENGINE_CLOSED) != (outcome == ENGINE_CLOSED && may_close)) {
            fail(world, "closed by a policy that does not close", conn);
        }
        if (gyr_queued_size(gyr_conn) > world->kit.config.send_queue_size_max + 2 * WIRE_MAX) {
            fail(world, "the queue is too long", conn);
        }
    }
    fan_delivery_end(&delivery, room);
}

static void service_sends(struct world *world, struct conn_model *conn, struct gyr_conn *gyr_conn)
{
    char payload[WIRE_MAX + 20];
    unsigned what = dice(world, 6);
    if (what == 0) {
        world->pings += gyr_ping(gyr_conn, GYR_SPAN("p")) >= 0;
        return;
    }
    if (conn->parts == 0 && what < 4) {
        uint32_t number = ++world->number;
        size_t size = payload_make(world, payload, number, ROOMS, 0);
        if (gyr_send(gyr_conn, GYR_TEXT, (struct gyr_span){payload, size}) >= 0) {
            item_add(world, conn, number, ROOMS, 0);
        }
    } else if (conn->parts == 0) {
        uint32_t number = ++world->number;
        (void)payload_make(world, payload, number, ROOMS, 0);
        if (gyr_send_part(gyr_conn, GYR_TEXT, (struct gyr_span){payload, 16}, GYR_FIRST) >= 0) {
            item_add(world, conn, number, ROOMS, 0);
            conn->parts = 1;
        }
    } else {
        bool last = dice(world, 2) == 0;
        int err = gyr_send_part(gyr_conn, GYR_TEXT, GYR_SPAN("part"), last ? GYR_LAST : 0);
        conn->parts = err >= 0 && last ? 0 : conn->parts;
    }
}

/* Find what has come among what was given; whatever was given before and has not come never
 * will. */
static void item_see(struct world *world, struct conn_model *conn, const uint8_t *payload,
                     unsigned *at)
{
    char text[9] = "";
    memcpy(text, payload, 8);
    uint32_t number = (uint32_t)strtoul(text, NULL, 16);
    while (*at < conn->item_count && conn->items[*at].number != number) {
        (*at)++;
    }
    if (*at == conn->item_count) {
        fail(world, "a message came twice, not in order, or was never queued", conn);
        return;
    }
    conn->items[(*at)++].seen = true;
}

/* All that the peer has got: whole frames, no message within another. */
static void output_check(struct world *world, struct conn_model *conn)
{
    struct span out = kit_output(&world->kit);
    unsigned at = 0;
    bool within = false;
    bool closed = false;
    for (size_t pos = 0; pos + 2 <= out.size && world->good;) {
        const uint8_t *frame = out.ptr + pos;
        size_t header_size = frame[1] < 126 ? 2 : 4;
        size_t size = header_size == 2 ? frame[1] : load_be16(frame + 2);
        if (frame[1] > 126 || pos + header_size + size > out.size) {
            if (!conn->ended) {
                fail(world, "a frame is torn", conn);
            }
            return;
        }
        unsigned opcode = frame[0] & 0x0f;
        bool fin = (frame[0] & 0x80) != 0;
        if (closed) {
            fail(world, "a frame after the Close", conn);
        } else if (opcode == 8) {
            closed = true;
        } else if (opcode == 1) {
            if (within) {
                fail(world, "a message within a message (RFC 6455 section 5.4)", conn);
            }
            item_see(world, conn, frame + header_size, &at);
            within = !fin;
        } else if (opcode == 0) {
            if (!within) {
                fail(world, "a part of nothing", conn);
            }
            within = !fin;
        } else if (opcode != 9) {
            fail(world, "an unknown frame", conn);
        }
        pos += header_size + size;
    }
}

/* Who was open to the end has got everything but what policies have removed, and of each key the
 * newest. */
static void completeness_check(struct world *world, struct conn_model *conn)
{
    unsigned missed[ROOMS + 1] = {0};
    for (unsigned i = 0; i < conn->item_count; i++) {
        missed[conn->items[i].room] += !conn->items[i].seen;
    }
    for (unsigned r = 0; r <= ROOMS; r++) {
        unsigned removed = r == ROOMS ? 0 : conn->removed[r];
        if (missed[r] != removed) {
            printf("    room %u: %u missed, %u removed\n", r, missed[r], removed);
            fail(world, "not what policies say", conn);
        }
    }
    for (unsigned r = 0; r < ROOMS; r++) {
        for (unsigned key = 0; key < KEYS && world->rooms[r].policy == GYR_ROOM_CONFLATE; key++) {
            const struct item *newest = NULL;
            for (unsigned i = 0; i < conn->item_count; i++) {
                const struct item *item = &conn->items[i];
                newest = item->room == r && item->key == key ? item : newest;
            }
            if (newest != NULL && !newest->seen) {
                fail(world, "the newest of a key was lost", conn);
            }
        }
    }
}

static void conn_step(struct world *world, unsigned index)
{
    struct conn_model *conn = &world->conns[index];
    struct kit *kit = &world->kit;
    kit->fd = conn->fd;
    struct gyr_conn *gyr_conn = kit_conn(kit);
    if (gyr_conn == NULL) {
        return;
    }
    switch (dice(world, 12)) {
    case 0:
        /* The last connection is always fast, the others are of every kind. */
        kit->ring->sockets[conn->fd - FD_FIRST].room =
            dice(world, 3) == 0 || index == CONNS - 1 ? SIZE_MAX : dice(world, 3000);
        break;
    case 1:
        if (index < 2 && dice(world, 150) == 0) {
            kit->ring->sockets[conn->fd - FD_FIRST].lost = dice(world, 2) == 0;
            gyr_abort(gyr_conn);
        }
        break;
    default:
        service_sends(world, conn, gyr_conn);
        break;
    }
}

static void world_begin(struct world *world, uint64_t seed)
{
    memset(world, 0, sizeof(*world));
    world->state = seed * UINT64_C(0x9e3779b97f4a7c15);
    world->good = true;
    struct kit *kit = &world->kit;
    kit_init(kit);
    kit->quiet = true;
    kit->config.send_queue_size_max = 6000 + dice(world, 20000);
    kit->config.send_queue_high = kit->config.send_queue_size_max / 2;
    kit->config.send_queue_low = kit->config.send_queue_size_max / 4;
    kit->config.broadcast_copy_size = 300;
    kit->config.send_timeout_ms = 0;
    kit_start(kit);
    for (unsigned i = 0; i < CONNS; i++) {
        kit_open(kit);
        world->conns[i].fd = kit->fd;
    }
    static const enum gyr_room_policy POLICIES[ROOMS] = {GYR_ROOM_QUEUE,       GYR_ROOM_DROP_NEWEST,
                                                         GYR_ROOM_DROP_OLDEST, GYR_ROOM_CONFLATE,
                                                         GYR_ROOM_CLOSE,       GYR_ROOM_CONFLATE};
    for (unsigned i = 0; i < ROOMS; i++) {
        world->tracks[i] = fan_track();
        world->rooms[i] = (struct fan_room){.room = i, .policy = POLICIES[i]};
        world->rooms[i].queue_size_max = dice(world, 2) == 0 ? 0 : 3000 + dice(world, 6000);
    }
    /* Closing is rare, so that connections live. */
    world->rooms[4].queue_size_max = 0;
}

static void world_end(struct world *world)
{
    struct kit *kit = &world->kit;
    for (unsigned i = 0; i < CONNS; i++) {
        struct conn_model *conn = &world->conns[i];
        kit->fd = conn->fd;
        kit_room(kit, SIZE_MAX);
        struct gyr_conn *gyr_conn = kit_conn(kit);
        if (gyr_conn != NULL && conn->parts != 0) {
            bool may = gyr_conn->state == EXCHANGE_OPEN;
            int err = gyr_send_part(gyr_conn, GYR_TEXT, GYR_SPAN("end"), GYR_LAST);
            EXPECT((err >= 0) == may, "the end of what is open");
            kit_run(kit);
        }
        conn->ended = kit_conn(kit) == NULL;
        bool open = !conn->ended && kit_conn(kit)->state == EXCHANGE_OPEN;
        output_check(world, conn);
        if (open) {
            EXPECT_INT(gyr_queued_size(kit_conn(kit)), 0, "everything was sent");
            completeness_check(world, conn);
        }
    }
    EXPECT_INT(kit->core->conflation.count, 0, "no key waits");
    for (unsigned i = 0; i < ROOMS; i++) {
        const struct fan_track *track = &world->tracks[i];
        EXPECT_INT(track->taken + track->timed_out + track->dropped + track->closed,
                   world->tracked[i], "each that was followed is done once");
        EXPECT_INT(track->other, 0, "and properly");
        EXPECT(track->track.first == NULL, "none waits");
        engine_fanout_end(&world->rooms[i].fanout);
    }
    kit_end(kit);
    EXPECT_INT(fan_shared_count(), 0, "nothing shared is left");
}

void fanout_random_gives_everybody_what_it_was_given(void)
{
    static struct world world;
    unsigned outcomes[5] = {0};
    for (uint64_t seed = 1; seed <= 60; seed++) {
        world_begin(&world, seed);
        for (unsigned step = 0; step < STEPS && world.good; step++) {
            unsigned what = dice(&world, 10);
            if (what < 4) {
                publish(&world);
            } else if (what < 9) {
                conn_step(&world, dice(&world, CONNS));
            } else {
                kit_run(&world.kit);
            }
        }
        world_end(&world);
        for (unsigned i = 0; i < 5; i++) {
            outcomes[i] += world.outcomes[i];
        }
        if (!world.good) {
            printf("    seed %u\n", (unsigned)seed);
        }
        EXPECT(world.good, "what came is what was given");
    }
    EXPECT(outcomes[ENGINE_QUEUED] > 10000 && outcomes[ENGINE_DROPPED] > 1000 &&
               outcomes[ENGINE_CLOSED] > 10 && outcomes[ENGINE_GONE] > 10,
           "everything has happened");
}
