/* SPDX-License-Identifier: MIT */
/* The timer wheel against a naive model: random starts, stops and jumps of time on every scale,
 * from starting points around the wheel's turning points. */
#include "engine/timer.h"

#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdlib.h>

#define TIMER_COUNT 128
#define STEPS       20000
#define TIME_END    (UINT64_C(1) << 42) /* the wheel's last millisecond lies before this */

/* What the wheel should do, said in the plainest way. */
struct model {
    struct timer_wheel wheel;
    struct timer timers[TIMER_COUNT];
    uint64_t expires_ms[TIMER_COUNT]; /* 0: does not run */
    uint64_t now_ms;
    uint64_t random;
};

static uint64_t random_next(struct model *model)
{
    model->random ^= model->random << 13;
    model->random ^= model->random >> 7;
    model->random ^= model->random << 17;
    return model->random;
}

/* 0 to 2^40, each order of magnitude as likely as any other. */
static uint64_t random_span(struct model *model)
{
    uint64_t bits = random_next(model) % 41;
    return random_next(model) & ((UINT64_C(1) << bits) - 1);
}

static struct model *model_create(uint64_t now_ms, uint64_t seed)
{
    struct model *model = calloc(1, sizeof(*model));
    if (model == NULL) {
        abort();
    }
    model->now_ms = now_ms;
    model->random = seed * 2654435761U + 88172645463325252U;
    timer_wheel_init(&model->wheel, now_ms);
    return model;
}

static uint64_t model_first(const struct model *model)
{
    uint64_t first = UINT64_MAX;
    for (unsigned i = 0; i < TIMER_COUNT; i++) {
        if (model->expires_ms[i] != 0) {
            first = MIN(first, model->expires_ms[i]);
        }
    }
    return first;
}

static void model_start(struct model *model, unsigned i, uint64_t expires_ms)
{
    timer_start(&model->wheel, &model->timers[i], expires_ms);
    model->expires_ms[i] = MIN(MAX(expires_ms, model->now_ms + 1), TIME_END - 1);
}

static void model_stop(struct model *model, unsigned i)
{
    timer_stop(&model->timers[i]);
    model->expires_ms[i] = 0;
}

/* Let time go on and compare: exactly the timers that are due, the earliest first. */
static void model_expire(struct model *model, uint64_t now_ms)
{
    struct list expired;
    list_init(&expired);
    timer_wheel_expire(&model->wheel, now_ms, &expired);
    model->now_ms = now_ms;
    uint64_t before = 0;
    while (!list_is_empty(&expired)) {
        struct timer *timer = (struct timer *)expired.next;
        unsigned i = (unsigned)(timer - model->timers);
        EXPECT_INT(timer->expires_ms, model->expires_ms[i], "a timer that runs, with its own time");
        EXPECT(timer->expires_ms <= now_ms, "not too early");
        EXPECT(timer->expires_ms >= before, "the earliest first");
        before = timer->expires_ms;
        model_stop(model, i);
    }
    EXPECT(model_first(model) > now_ms, "none is left that is due");
}

static void model_check(const struct model *model)
{
    uint64_t first = model_first(model);
    uint64_t next = timer_wheel_next(&model->wheel);
    EXPECT(next <= first, "no timer is slept through");
    EXPECT(next > model->now_ms, "time goes on");
    for (unsigned i = 0; i < TIMER_COUNT; i++) {
        EXPECT(timer_is_running(&model->timers[i]) == (model->expires_ms[i] != 0), "running");
    }
}

static void model_step(struct model *model)
{
    unsigned i = (unsigned)(random_next(model) % TIMER_COUNT);
    uint64_t now_ms = model->now_ms;
    uint64_t span = random_span(model);
    switch (random_next(model) % 8) {
    case 0:
        model_stop(model, i);
        break;
    case 1: /* time goes on a little, or not at all */
        model_expire(model, MIN(now_ms + (span & 3), TIME_END - 1));
        break;
    case 2: /* as in the loop: to the moment that was asked for */
        model_expire(model, MIN(timer_wheel_next(&model->wheel), TIME_END - 1));
        break;
    case 3: /* a machine that slept */
        model_expire(model, MIN(now_ms + (span >> 8), TIME_END - 1));
        break;
    case 4: /* in the past */
        model_start(model, i, now_ms - MIN(now_ms, span));
        break;
    default:
        model_start(model, i, now_ms + span);
        break;
    }
}

void timer_wheel_agrees_with_naive_model(void)
{
    static const uint64_t starts[] = {
        0, 1, 62, 63, 64, 4095, 4096, 99999, 1 << 18, UINT64_C(1) << 36, TIME_END / 2 - 5};
    for (unsigned k = 0; k < COUNT_OF(starts); k++) {
        struct model *model = model_create(starts[k], k + 1);
        for (unsigned step = 0; step < STEPS && model->now_ms < TIME_END - 1; step++) {
            model_step(model);
            if (step % 16 == 0) {
                model_check(model);
            }
        }
        model_expire(model, TIME_END - 1);
        EXPECT_INT(model_first(model), UINT64_MAX, "all have expired in the end");
        EXPECT_INT(timer_wheel_next(&model->wheel), UINT64_MAX, "the wheel is empty");
        free(model);
    }
}

/* Every distance around every digit of the wheel, from every kind of beginning. */
void timer_expires_at_its_very_millisecond(void)
{
    for (unsigned from = 0; from <= 36; from += 6) {
        for (unsigned to = 0; to <= 36; to += 6) {
            for (unsigned edge = 0; edge < 9; edge++) {
                uint64_t now = (UINT64_C(1) << from) + edge % 3 - 1;
                uint64_t delay = (UINT64_C(1) << to) + edge / 3 - 1;
                struct model *model = model_create(now, 1);
                model_start(model, 0, now + delay);
                uint64_t due = MAX(now + delay, now + 1);
                model_expire(model, due - 1);
                EXPECT(timer_is_running(&model->timers[0]), "not a millisecond early");
                model_expire(model, due);
                EXPECT(!timer_is_running(&model->timers[0]), "not a millisecond late");
                free(model);
            }
        }
    }
}

/* The loop sleeps until timer_wheel_next: it may wake too early, but only once per level. */
void timer_wheel_next_reaches_a_timer_in_few_steps(void)
{
    struct model *model = model_create(12345, 7);
    for (unsigned round = 0; round < 1000; round++) {
        model_start(model, 0, model->now_ms + 1 + random_span(model) / 2);
        unsigned wakes = 0;
        while (timer_is_running(&model->timers[0])) {
            uint64_t next = timer_wheel_next(&model->wheel);
            if (next >= TIME_END - 1) {
                break;
            }
            model_expire(model, next);
            wakes++;
        }
        EXPECT(wakes <= TIMER_LEVELS, "at most a wake per level");
        if (model->now_ms > TIME_END / 2) {
            free(model);
            model = model_create(round, round);
        }
    }
    free(model);
}

void timer_restart_moves_it(void)
{
    struct model *model = model_create(1000, 1);
    model_start(model, 0, 1010);
    model_start(model, 0, 90000);
    model_expire(model, 89999);
    EXPECT(timer_is_running(&model->timers[0]), "the later time holds");
    model_start(model, 0, 90001);
    model_start(model, 0, 90000);
    model_expire(model, 90000);
    EXPECT(!timer_is_running(&model->timers[0]), "the earlier time holds");
    free(model);
}

void timer_at_rest_may_be_stopped(void)
{
    struct timer timer = {.kind = TIMER_USER};
    EXPECT(!timer_is_running(&timer), "zero is a timer at rest");
    timer_stop(&timer);
    timer_stop(&timer);
    EXPECT(!timer_is_running(&timer), "still at rest");
    EXPECT_INT(timer.kind, TIMER_USER, "its kind stays");
}

/* Handling one expired timer may stop or start another that has expired with it. */
void timer_on_the_expired_list_may_be_stopped_and_started(void)
{
    struct model *model = model_create(0, 1);
    for (unsigned i = 0; i < 4; i++) {
        timer_start(&model->wheel, &model->timers[i], 10 + i);
    }
    struct list expired;
    list_init(&expired);
    timer_wheel_expire(&model->wheel, 50, &expired);
    EXPECT(timer_is_running(&model->timers[2]), "expired and not yet handled counts as running");
    timer_stop(&model->timers[1]);
    timer_start(&model->wheel, &model->timers[2], 60);
    EXPECT(expired.next == &model->timers[0].link, "the first");
    timer_stop(&model->timers[0]);
    EXPECT(expired.next == &model->timers[3].link, "the last");
    timer_stop(&model->timers[3]);
    EXPECT(list_is_empty(&expired), "all handled");
    timer_wheel_expire(&model->wheel, 60, &expired);
    EXPECT(expired.next == &model->timers[2].link, "started anew");
    timer_stop(&model->timers[2]);
    free(model);
}

void timer_beyond_the_wheel_waits_for_its_end(void)
{
    struct model *model = model_create(5, 1);
    model_start(model, 0, UINT64_MAX >> 8);
    model_start(model, 1, TIME_END - 1);
    EXPECT_INT(model->timers[0].expires_ms, TIME_END - 1, "cut to the wheel's end");
    model_expire(model, TIME_END - 2);
    EXPECT(timer_is_running(&model->timers[0]), "still running after 139 years");
    free(model);
}
