/* SPDX-License-Identifier: MIT */
/* The wheel. Level 0 has a slot for each of the 64 milliseconds of the current block of 64, level 1
 * a slot for each block of 64 in the current 4096, and so on. A timer lies at the level of the
 * highest 6-bit digit in which its time differs from now; so every slot in use lies ahead of now
 * within its level, the lowest level in use holds the earliest timer, and time can jump from one
 * slot in use to the next. When now enters a slot of a higher level, its timers move down. */
#include "engine/timer.h"

#define SLOT_BITS 6
#define TIME_MAX  ((UINT64_C(1) << 42) - 1) /* 139 years: all levels */
static_assert(SLOT_BITS * TIMER_LEVELS == 42, "a level per digit");

static void wheel_insert(struct timer_wheel *wheel, struct timer *timer);
static uint64_t slot_start(const struct timer_wheel *wheel, unsigned level, unsigned slot);

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ms)
{
    wheel->now_ms = now_ms;
    for (unsigned level = 0; level < TIMER_LEVELS; level++) {
        wheel->pending[level] = 0;
        for (unsigned slot = 0; slot < TIMER_SLOTS; slot++) {
            list_init(&wheel->slots[level][slot]);
        }
    }
}

void timer_start(struct timer_wheel *wheel, struct timer *timer, uint64_t expires_ms)
{
    timer_stop(timer);
    timer->expires_ms = MIN(MAX(expires_ms, wheel->now_ms + 1), TIME_MAX) & TIME_MAX;
    wheel_insert(wheel, timer);
}

uint64_t timer_wheel_next(const struct timer_wheel *wheel)
{
    for (unsigned level = 0; level < TIMER_LEVELS; level++) {
        if (wheel->pending[level] != 0) {
            return slot_start(wheel, level, (unsigned)__builtin_ctzll(wheel->pending[level]));
        }
    }
    return UINT64_MAX;
}

void timer_wheel_expire(struct timer_wheel *wheel, uint64_t now_ms, struct list *expired)
{
    ASSERT(now_ms >= wheel->now_ms);
    for (;;) {
        uint64_t next = timer_wheel_next(wheel);
        if (next > now_ms) {
            break;
        }
        unsigned level = 0;
        while (wheel->pending[level] == 0) {
            level++;
        }
        unsigned slot = (unsigned)__builtin_ctzll(wheel->pending[level]);
        wheel->pending[level] &= wheel->pending[level] - 1;
        wheel->now_ms = next;
        struct list due;
        list_init(&due);
        list_splice_back(&due, &wheel->slots[level][slot]);
        while (!list_is_empty(&due)) {
            struct timer *timer = (struct timer *)due.next;
            list_remove(&timer->link);
            if (timer->expires_ms <= next) {
                list_push_back(expired, &timer->link);
            } else {
                wheel_insert(wheel, timer);
            }
        }
    }
    /* No slot in use begins before or at now_ms, so the digits that differ stay the same. */
    wheel->now_ms = now_ms;
}

static void wheel_insert(struct timer_wheel *wheel, struct timer *timer)
{
    ASSERT(timer->expires_ms > wheel->now_ms);
    uint64_t difference = timer->expires_ms ^ wheel->now_ms;
    unsigned level = (63 - (unsigned)__builtin_clzll(difference)) / SLOT_BITS;
    ASSERT(level < TIMER_LEVELS);
    unsigned slot = (timer->expires_ms >> (level * SLOT_BITS)) & (TIMER_SLOTS - 1);
    list_push_back(&wheel->slots[level][slot], &timer->link);
    wheel->pending[level] |= UINT64_C(1) << slot;
}

static uint64_t slot_start(const struct timer_wheel *wheel, unsigned level, unsigned slot)
{
    unsigned shift = level * SLOT_BITS;
    uint64_t block = wheel->now_ms >> (shift + SLOT_BITS) << (shift + SLOT_BITS);
    return block | (uint64_t)slot << shift;
}
