/* SPDX-License-Identifier: MIT */
#include "tests/fanout_kit.h"

#include "proto/ws_frame.h"
#include "tests/engine_kit_ring.h"

#include <stdio.h>
#include <stdlib.h>

#define SHOWN_MAX 40

struct fan_shared {
    struct engine_shared shared; /* first */
    bool freed;
    uint8_t frame[];
};

static unsigned shared_count;

void fan_begin(struct kit *kit, uint32_t queue_size_max)
{
    kit_init(kit);
    if (queue_size_max != 0) {
        kit->config.send_queue_size_max = queue_size_max;
        kit->config.send_queue_high = queue_size_max;
        kit->config.send_queue_low = queue_size_max / 4;
    }
    kit->config.broadcast_copy_size = 100;
    kit_start(kit);
    kit_open(kit);
}

void fan_end(struct kit *kit, struct fan_room *room)
{
    engine_fanout_end(&room->fanout);
    kit_end(kit);
    EXPECT_INT(shared_count, 0, "nothing shared is left");
}

static void shared_free(struct engine_shared *shared)
{
    struct fan_shared *fan_shared = (struct fan_shared *)(void *)shared;
    if (fan_shared->freed) {
        kit_broken("a shared message was released twice");
    }
    fan_shared->freed = true;
    shared_count--;
    free(fan_shared);
}

unsigned fan_shared_count(void)
{
    return shared_count;
}

static struct engine_delivery delivery_of(struct kit *kit, struct fan_room *room,
                                          struct gyr_span payload)
{
    struct engine_delivery delivery = {
        .core = (struct gyr_core *)kit->core,
        .fanout = &room->fanout,
        .policy = room->policy,
        .queue_size_max = room->queue_size_max,
        .room = room->room,
        .key = room->key,
        .opcode = GYR_TEXT,
        .payload = payload,
        .track = room->track,
    };
    if (room->shared) {
        struct fan_shared *shared = calloc(1, sizeof(*shared) + engine_frame_size(payload.size));
        if (shared == NULL) {
            kit_broken("no memory");
        }
        engine_shared_init(&shared->shared, shared->frame, GYR_TEXT, payload, shared_free);
        shared_count++;
        delivery.shared = &shared->shared;
        delivery.payload = (struct gyr_span){0};
    }
    return delivery;
}

void fan_delivery_end(struct engine_delivery *delivery, struct fan_room *room)
{
    engine_deliver_end(delivery);
    room->removed.oldest += delivery->removed.oldest;
    room->removed.conflated += delivery->removed.conflated;
    room->removed.closed += delivery->removed.closed;
}

int fan_delivery_begin(struct engine_delivery *delivery, struct kit *kit, struct fan_room *room,
                       const void *payload, size_t size)
{
    *delivery = delivery_of(kit, room, (struct gyr_span){payload, size});
    return engine_deliver_begin(delivery);
}

int fan_send(struct kit *kit, struct fan_room *room, const void *payload, size_t size)
{
    struct engine_delivery delivery;
    int err = fan_delivery_begin(&delivery, kit, room, payload, size);
    if (err < 0) {
        return err;
    }
    enum engine_delivered outcome = engine_deliver(&delivery, kit_conn(kit));
    fan_delivery_end(&delivery, room);
    return (int)outcome;
}

int fan_send_run(struct kit *kit, struct fan_room *room, const void *payload, size_t size)
{
    int outcome = fan_send(kit, room, payload, size);
    kit_run(kit);
    return outcome;
}

unsigned fan_send_all(struct kit *kit, struct fan_room *room, const char *text, const int *fds,
                      unsigned count)
{
    struct engine_delivery delivery;
    if (fan_delivery_begin(&delivery, kit, room, text, strlen(text)) < 0) {
        return 0;
    }
    unsigned queued = 0;
    int fd = kit->fd;
    for (unsigned i = 0; i < count; i++) {
        kit->fd = fds[i];
        queued += engine_deliver(&delivery, kit_conn(kit)) == ENGINE_QUEUED;
    }
    kit->fd = fd;
    fan_delivery_end(&delivery, room);
    return queued;
}

void fan_block(struct kit *kit)
{
    kit_room(kit, 0);
    EXPECT_INT(gyr_send(kit_conn(kit), GYR_TEXT, GYR_SPAN("x")), 0, "queued");
    kit_run(kit);
    EXPECT(kit_is_sending(kit), "and waits for the peer");
}

void fan_unblock(struct kit *kit)
{
    kit_room(kit, SIZE_MAX);
}

/* ---- frames ---- */

static void frame_write(char *text, size_t room, const struct ws_frame *frame,
                        const uint8_t *payload)
{
    static const char *const NAMES[16] = {[WS_OPCODE_CONTINUATION] = "+",
                                          [WS_OPCODE_TEXT] = "",
                                          [WS_OPCODE_BINARY] = "binary:",
                                          [WS_OPCODE_PING] = "ping:",
                                          [WS_OPCODE_PONG] = "pong:"};
    const char *more = frame->fin ? "" : "...";
    int size = (int)frame->payload_size;
    if (frame->opcode == WS_OPCODE_CLOSE) {
        unsigned code = size >= 2 ? load_be16(payload) : 1005;
        (void)snprintf(text, room, "close:%u", code);
    } else if (size > SHOWN_MAX) {
        (void)snprintf(text, room, "%s%c*%d%s", NAMES[frame->opcode], payload[0], size, more);
    } else {
        (void)snprintf(text, room, "%s%.*s%s", NAMES[frame->opcode], size, (const char *)payload,
                       more);
    }
}

bool fan_frames_are(struct kit *kit, const char *text)
{
    struct span out = kit_output(kit);
    struct kit_bytes line = {0};
    for (size_t at = 0; at < out.size;) {
        uint8_t bytes[WS_CLIENT_HEADER_SIZE_MAX] = {0};
        memcpy(bytes, out.ptr + at, MIN(out.size - at, sizeof(bytes)));
        /* What a server sends has no mask, and the parser wants one. */
        size_t header_size = bytes[1] < 126 ? 2 : bytes[1] == 126 ? 4 : 10;
        struct ws_frame frame = {
            .fin = (bytes[0] & 0x80) != 0,
            .opcode = bytes[0] & 0x0f,
            .payload_size = header_size == 2   ? bytes[1]
                            : header_size == 4 ? load_be16(bytes + 2)
                                               : load_be64(bytes + 2),
        };
        char shown[SHOWN_MAX + 40] = "cut short";
        if (at + header_size + frame.payload_size <= out.size) {
            frame_write(shown, sizeof(shown), &frame, out.ptr + at + header_size);
        }
        kit_bytes_add(&line, " ", line.size != 0);
        kit_bytes_add(&line, shown, strlen(shown));
        at += header_size + frame.payload_size;
    }
    bool same =
        line.size == strlen(text) && (line.size == 0 || memcmp(line.ptr, text, line.size) == 0);
    if (!same) {
        printf("    frames are   %.*s\n         expected %s\n", (int)line.size,
               line.size != 0 ? (const char *)line.ptr : "", text);
    }
    free(line.ptr);
    kit->ring->sockets[kit->fd - FD_FIRST].out.size = 0;
    return same;
}

/* ---- tracks ---- */

static void track_done(struct engine_track *engine_track, struct gyr_handle handle, bool taken,
                       int err)
{
    struct fan_track *track = (struct fan_track *)(void *)engine_track;
    track->handle = handle.id;
    if (taken) {
        track->taken += err == 0;
        track->other += err != 0;
        return;
    }
    switch (err) {
    case GYR_ERR_TIMEOUT:
        track->timed_out++;
        break;
    case GYR_ERR_BACKPRESSURE:
        track->dropped++;
        break;
    case GYR_ERR_CLOSED:
        track->closed++;
        break;
    default:
        track->other++;
        break;
    }
}

struct fan_track fan_track(void)
{
    return (struct fan_track){.track = {.done = track_done}};
}

bool fan_track_is(const struct fan_track *track, unsigned taken, unsigned timed_out,
                  unsigned dropped, unsigned closed)
{
    bool same = track->taken == taken && track->timed_out == timed_out &&
                track->dropped == dropped && track->closed == closed && track->other == 0;
    if (!same) {
        printf("    taken %u, timed out %u, dropped %u, closed %u, other %u\n", track->taken,
               track->timed_out, track->dropped, track->closed, track->other);
    }
    return same;
}

/* ---- memory ---- */

struct fan_ballast fan_heap_fill(struct kit *kit, size_t left)
{
    struct fan_ballast ballast;
    ballast.size = (size_t)(kit->config.core_heap_size_max - heap_used(kit->core->heap)) - left;
    ballast.pointer = heap_alloc(kit->core->heap, ballast.size);
    EXPECT(ballast.pointer != NULL, "taken");
    return ballast;
}

void fan_heap_free(struct kit *kit, struct fan_ballast *ballast)
{
    heap_free(kit->core->heap, ballast->pointer, ballast->size);
    ballast->pointer = NULL;
}

unsigned fan_entries(struct kit *kit)
{
    unsigned count = 0;
    for (const struct entry *entry = kit_transport(kit)->queue_head; entry != NULL;
         entry = entry->next) {
        count++;
    }
    return count;
}
