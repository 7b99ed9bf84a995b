/* SPDX-License-Identifier: MIT */
/* Fibers: functions with a stack of their own that hand the thread back and forth, so that a test
 * decides what runs between two steps of what. The sanitizers are told. */
#ifndef TESTS_FIBER_KIT_H
#define TESTS_FIBER_KIT_H

#include <stdbool.h>

struct fiber;

/* `run` begins with the first fiber_resume. Aborts if memory is short. */
struct fiber *fiber_create(void (*run)(void *arg), void *arg);
/* It has ended, or has not begun. */
void fiber_destroy(struct fiber *fiber);

/* Run it up to its next fiber_pause, or to its end. */
void fiber_resume(struct fiber *fiber);
/* Within the fiber: return from fiber_resume. */
void fiber_pause(struct fiber *fiber);

bool fiber_has_ended(const struct fiber *fiber);

#endif
