/* SPDX-License-Identifier: MIT */
/* What became of one message, for who asks (struct gyr_publish, `done`). Each core counts in a part
 * of its own; the last one that is through with the message hands everything to the core on which
 * `done` is called. */
#ifndef HUB_COMPLETION_H
#define HUB_COMPLETION_H

#include "base/base.h"
#include "base/list.h"
#include "engine/engine.h"
#include "gyr/gyr.h"

#include <stdatomic.h>

struct completion;
struct hub;
struct hub_core;

/* What one core has to say. Written by it alone; read by the last one of all. */
struct completion_part {
    struct engine_track track; /* of deliveries that the kernel has to take in time */
    struct completion *completion;
    struct hub_core *core;
    struct list cancel; /* timeout_ms is 0: it is to be taken back in the next turn */
    struct gyr_timer timer;
    bool is_timed;   /* the timer was started, or has run out */
    bool is_expired; /* it has run out */
    bool is_busy;    /* a delivery or a cancel is under way */
    uint32_t owed;   /* of completion->pending: given up when the track has nothing left */
    uint32_t error_count;
    uint32_t error_capacity;
    uint64_t queued;
    uint64_t dropped;
    uint64_t closed;
    uint64_t timed_out;
    struct gyr_publish_error *errors; /* owned */
};

struct completion {
    struct completion *next; /* on the way to its core, and there */
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
    struct completion_part parts[]; /* of each core */
};

/* NULL: no memory. It has one pending: the publisher. */
struct completion *completion_create(struct hub *hub, const struct gyr_publish *publish);
/* Nothing was published: `done` is not called. */
void completion_discard(struct completion *completion);

/* `count` more are to come; while at least one is pending. */
void completion_expect(struct completion *completion, uint32_t count);
/* `count` of them have come to their end; the last ends it. `core` is the calling one, or NULL. */
void completion_release(struct completion *completion, uint32_t count, struct hub_core *core);
/* It comes to nothing: what the publisher had is released. */
void completion_fail(struct completion *completion, int err, struct hub_core *core);

/* A delivery on this core begins and ends; in between, the track to deliver with (NULL: to be
 * queued is enough) and what became of one member: 0 for queued. The end releases one. */
struct completion_part *completion_begin(struct completion *completion, struct hub_core *core);
struct engine_track *completion_track(struct completion_part *part);
void completion_count(struct completion_part *part, struct gyr_handle handle, int err);
void completion_end(struct completion_part *part);

/* Call `done` of what has come to this core. */
void completions_tell(struct hub_core *core);
/* Take back what had until the end of the last turn. */
void completions_cancel(struct hub_core *core);
/* The core ends: the last `done` are called, those that come later are released without. */
void completions_end(struct hub_core *core);

#endif
