/* SPDX-License-Identifier: MIT */
#include "tests/fiber_kit.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <ucontext.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

#define STACK_SIZE (256u << 10)

/* One side of the two: what the sanitizers want to know of a stack. */
struct side {
    ucontext_t context;
    const void *stack;
    size_t stack_size;
    void *fake_stack; /* of the address sanitizer */
    void *fiber;      /* of the thread sanitizer */
};

struct fiber {
    struct side own;
    struct side caller;
    void (*run)(void *arg);
    void *arg;
    bool has_begun;
    bool has_ended;
    void *memory; /* owned */
};

static void fiber_main(unsigned high, unsigned low);
static void side_change(struct side *from, struct side *to, bool is_last);
static void side_arrive(struct side *self, struct side *before);

struct fiber *fiber_create(void (*run)(void *arg), void *arg)
{
    struct fiber *fiber = calloc(1, sizeof(*fiber));
    void *memory = malloc(STACK_SIZE);
    if (fiber == NULL || memory == NULL || getcontext(&fiber->own.context) != 0) {
        abort();
    }
    fiber->run = run;
    fiber->arg = arg;
    fiber->memory = memory;
    fiber->own.stack = memory;
    fiber->own.stack_size = STACK_SIZE;
    fiber->own.context.uc_stack.ss_sp = memory;
    fiber->own.context.uc_stack.ss_size = STACK_SIZE;
    fiber->own.context.uc_link = NULL;
    /* makecontext hands over ints only. */
    makecontext(&fiber->own.context, (void (*)(void))fiber_main, 2,
                (unsigned)((uintptr_t)fiber >> 32), (unsigned)(uintptr_t)fiber);
#ifdef __SANITIZE_THREAD__
    fiber->own.fiber = __tsan_create_fiber(0);
#endif
    return fiber;
}

void fiber_destroy(struct fiber *fiber)
{
    if (fiber->has_begun && !fiber->has_ended) {
        abort();
    }
#ifdef __SANITIZE_THREAD__
    __tsan_destroy_fiber(fiber->own.fiber);
#endif
    free(fiber->memory);
    free(fiber);
}

void fiber_resume(struct fiber *fiber)
{
    if (fiber->has_ended) {
        abort();
    }
    fiber->has_begun = true;
#ifdef __SANITIZE_THREAD__
    fiber->caller.fiber = __tsan_get_current_fiber();
#endif
    side_change(&fiber->caller, &fiber->own, false);
}

void fiber_pause(struct fiber *fiber)
{
    side_change(&fiber->own, &fiber->caller, false);
}

bool fiber_has_ended(const struct fiber *fiber)
{
    return fiber->has_ended;
}

static void fiber_main(unsigned high, unsigned low)
{
    struct fiber *fiber = (struct fiber *)((uintptr_t)high << 32 | low);
    side_arrive(&fiber->own, &fiber->caller);
    fiber->run(fiber->arg);
    fiber->has_ended = true;
    side_change(&fiber->own, &fiber->caller, true);
    abort();
}

static void side_change(struct side *from, struct side *to, bool is_last)
{
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(is_last ? NULL : &from->fake_stack, to->stack, to->stack_size);
#endif
#ifdef __SANITIZE_THREAD__
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    (void)is_last;
    if (swapcontext(&from->context, &to->context) != 0) {
        abort();
    }
    side_arrive(from, to);
}

/* We are on `self` again, or for the first time; its other side was left. */
static void side_arrive(struct side *self, struct side *before)
{
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(self->fake_stack, &before->stack, &before->stack_size);
#endif
    (void)self;
    (void)before;
}
