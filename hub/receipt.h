/* SPDX-License-Identifier: MIT */
/* What became of one message, for who asks (struct gyr_publish, `done`). Each core counts in a part
 * of its own; the last one that is through with the message hands everything to the core on which
 * `done` is called. */
#ifndef HUB_RECEIPT_H
#define HUB_RECEIPT_H

#include "base/base.h"
#include "base/list.h"
#include "engine/engine.h"
#include "gyr/gyr.h"

#include <stdatomic.h>

struct receipt;
struct hub;
struct hub_core;

/* What one core has to say. Written by it alone; read by the last one of all. */
struct receipt_part {
    struct engine_track track; /* of deliveries that the kernel has to take in time */
    struct receipt *receipt;
    struct hub_core *core;
    struct list cancel; /* timeout_ms is 0: it is to be taken back in the next turn */
    struct gyr_timer timer;
    bool is_timed;   /* the timer runs, or has run out */
    bool is_expired; /* it has run out */
    bool is_busy;    /* a delivery or a cancel is under way */
    uint32_t owed;   /* of receipt->pending: given up when the track has nothing left */
    uint32_t error_count;
    uint32_t error_capacity;
    uint64_t queued;
    uint64_t dropped;
    uint64_t closed;
    uint64_t timed_out;
    struct gyr_publish_error *errors; /* owned */
};

struct receipt {
    struct receipt *next; /* on the way to its core, and there */
    struct hub *hub;
    void (*done)(struct gyr_core *core, void *arg, const struct gyr_published *published);
    void *arg;
    unsigned done_core_index;
    uint32_t timeout_ms;
    uint32_t errors_max;
    int err;
    uint64_t epoch;
    uint64_t offset;
    /* Any thread: entries of the ring that a core still has to handle, and one for the publisher.
     * Whoever takes the last one away sees what all others have written. */
    _Atomic uint32_t pending;
    struct receipt_part parts[]; /* of each core */
};

/* It has one pending: the publisher, `from` or another thread. GYR_ERR_MEMORY;
 * GYR_ERR_BACKPRESSURE: there are too many others. */
MUST_CHECK int receipt_create(struct hub *hub, struct hub_core *from,
                              const struct gyr_publish *publish, struct receipt **receipt);
/* Nothing was published: `done` is not called. */
void receipt_discard(struct receipt *receipt);

/* `count` more are to come; while at least one is pending. */
void receipt_expect(struct receipt *receipt, uint32_t count);
/* `count` of them have come to their end; the last ends it. `core` is the calling one, or NULL. */
void receipt_release(struct receipt *receipt, uint32_t count, struct hub_core *core);
/* It comes to nothing: what the publisher had is released. */
void receipt_fail(struct receipt *receipt, int err, struct hub_core *core);

/* A delivery on this core begins and ends; in between, the track to deliver with (NULL: to be
 * queued is enough) and what became of one member: 0 for queued. The end releases one. */
struct receipt_part *receipt_begin(struct receipt *receipt, struct hub_core *core);
struct engine_track *receipt_track(struct receipt_part *part);
void receipt_count(struct receipt_part *part, struct gyr_handle handle, int err);
void receipt_end(struct receipt_part *part);

/* Call `done` of what has come to this core. */
void receipts_tell(struct hub_core *core);
/* Take back what had until the end of the last turn. */
void receipts_cancel(struct hub_core *core);
/* The core ends: the last `done` are called, those that come later are released without. */
void receipts_end(struct hub_core *core);
/* What has come to a core that never started. No thread is left. */
void receipts_discard(struct hub_core *core);

#endif
