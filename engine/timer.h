/* SPDX-License-Identifier: MIT */
/* Timers of a core: a hierarchical wheel with a tick of one millisecond. Nodes lie in what they
 * time; starting and stopping are O(1). */
#ifndef ENGINE_TIMER_H
#define ENGINE_TIMER_H

#include "base/base.h"
#include "base/list.h"

enum timer_kind { /* what a node lies in */
    TIMER_TRANSPORT,
    TIMER_USER,
    TIMER_CORE,
};

/* Zero is a timer that does not run. */
struct timer {
    struct list link; /* first member: a node of the wheel is its timer */
    uint64_t expires_ms : 56;
    uint64_t kind : 8; /* enum timer_kind */
};
static_assert(sizeof(struct timer) == 24, "three words in each connection");

#define TIMER_LEVELS 7
#define TIMER_SLOTS  64

struct timer_wheel {
    uint64_t now_ms;
    uint64_t pending[TIMER_LEVELS]; /* slots that may hold a timer */
    struct list slots[TIMER_LEVELS][TIMER_SLOTS];
};

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ms);

/* Run a timer until `expires_ms`; one in the past expires at the next call of timer_wheel_expire. A
 * running timer starts anew. */
void timer_start(struct timer_wheel *wheel, struct timer *timer, uint64_t expires_ms);

static inline void timer_stop(struct timer *timer)
{
    list_remove(&timer->link);
}

static inline bool timer_is_running(const struct timer *timer)
{
    return list_is_linked(&timer->link);
}

/* When timer_wheel_expire must be called next, at the latest; UINT64_MAX: there is no timer. May be
 * earlier than the first timer. */
uint64_t timer_wheel_next(const struct timer_wheel *wheel);

/* Let time go on and move the timers that have expired to the end of `expired`, the earliest first.
 * They are stopped by timer_stop as before. */
void timer_wheel_expire(struct timer_wheel *wheel, uint64_t now_ms, struct list *expired);

#endif
