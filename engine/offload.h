/* SPDX-License-Identifier: MIT */
/* A bounded pool of threads for work that would block a core. */
#ifndef ENGINE_OFFLOAD_H
#define ENGINE_OFFLOAD_H

#include "base/base.h"

struct core;
struct gyr_core;
struct offload;

/* No thread is started before the first call of offload_submit. NULL when memory is used up. */
struct offload *offload_create(unsigned thread_count_max, unsigned count_max);

/* End the threads. Nothing may wait or run: cores end only when their calls have come back. */
void offload_destroy(struct offload *offload);

/* Any core's thread: run work(arg) on the pool, then done(core, arg) on the core.
 * GYR_ERR_BACKPRESSURE, GYR_ERR_CLOSED once the core has ended, GYR_ERR_MEMORY, -errno of the first
 * thread. */
MUST_CHECK int offload_submit(struct offload *offload, struct core *core, void (*work)(void *arg),
                              void (*done)(struct gyr_core *core, void *arg), void *arg);

#endif
