/* SPDX-License-Identifier: MIT */
/* What other threads want a core to do: a bounded list, lock-free, many writers, one reader. The
 * calls of one thread keep their order. */
#ifndef ENGINE_MAILBOX_H
#define ENGINE_MAILBOX_H

#include "base/base.h"

#include <stdatomic.h>

struct core;
struct gyr_conn;
struct gyr_core;
struct ring;

/* One call. `run` is made on the core's thread, also for what is left when the core ends. The
 * mailbox frees it afterwards, so it may be the first member of something larger. */
struct mail {
    struct mail *next;
    void (*run)(struct core *core, struct mail *mail);
    union {
        void (*post)(struct gyr_core *core, void *arg);
        int (*complete)(struct gyr_conn *conn, void *arg);
    } fn;
    void *arg;
    uint64_t handle;
};

struct mailbox {
    _Atomic(struct mail *) newest; /* any thread; MAILBOX_CLOSED after the end */
    _Atomic uint32_t count;        /* any thread: entries and their writers' reservations */
    _Atomic uint32_t writers;      /* any thread: calls of mailbox_put under way */
    _Atomic bool sleeping;         /* set by the owner before it waits, cleared by who wakes it */
    uint32_t count_max;
    struct ring *ring; /* borrowed; woken */
};

void mailbox_init(struct mailbox *mailbox, struct ring *ring, uint32_t count_max);

/* Any thread: queue a copy of `mail` and wake the core if it sleeps. `from` is the calling core's
 * ring, or NULL. GYR_ERR_BACKPRESSURE, GYR_ERR_CLOSED, GYR_ERR_MEMORY. */
MUST_CHECK int mailbox_put(struct mailbox *mailbox, const struct mail *mail, struct ring *from);

/* Any thread: queue what the caller has from memory_alloc, beyond count_max too; the mailbox takes
 * it. GYR_ERR_CLOSED, and then nothing was taken. */
MUST_CHECK int mailbox_give(struct mailbox *mailbox, struct mail *mail);

/* Any thread: end the core's wait without mail. */
void mailbox_wake(struct mailbox *mailbox, struct ring *from);

/* Owner: announce a wait. Returns false, and no wait is announced, if there is mail already. */
bool mailbox_sleep(struct mailbox *mailbox);
void mailbox_awake(struct mailbox *mailbox);

/* Owner: run what is there; returns the number of calls made. */
unsigned mailbox_run(struct mailbox *mailbox, struct core *core);

/* Owner: take no more, run what is there, wait until no writer is left. */
void mailbox_close(struct mailbox *mailbox, struct core *core);

#endif
