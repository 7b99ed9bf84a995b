/* SPDX-License-Identifier: MIT */
/* The mailbox is a stack that writers push to with one compare-and-swap and the owner takes whole
 * and turns round. Sleeping is the classic handshake: the owner sets `sleeping` and then looks for
 * mail; a writer pushes and then looks at `sleeping`. Both pairs are sequentially consistent, so at
 * least one of the two sees the other. */
#include "engine/mailbox.h"

#include "engine/memory.h"
#include "engine/ring.h"

#include <sched.h>

static char closed_mark;
#define MAILBOX_CLOSED ((struct mail *)(void *)&closed_mark)

static int mailbox_copy(struct mailbox *mailbox, const struct mail *mail);
static int mailbox_push(struct mailbox *mailbox, struct mail *mail);
static unsigned mailbox_run_list(struct mailbox *mailbox, struct mail *newest, struct core *core);

void mailbox_init(struct mailbox *mailbox, struct ring *ring, uint32_t count_max)
{
    *mailbox = (struct mailbox){.ring = ring, .count_max = count_max};
}

int mailbox_put(struct mailbox *mailbox, const struct mail *mail, struct ring *from)
{
    /* While `writers` is not zero, the ring is not destroyed (partner: mailbox_close). */
    atomic_fetch_add_explicit(&mailbox->writers, 1, memory_order_acquire);
    int err = mailbox_copy(mailbox, mail);
    if (err == 0) {
        mailbox_wake(mailbox, from);
    }
    atomic_fetch_sub_explicit(&mailbox->writers, 1, memory_order_release);
    return err;
}

int mailbox_give(struct mailbox *mailbox, struct mail *mail)
{
    atomic_fetch_add_explicit(&mailbox->writers, 1, memory_order_acquire);
    atomic_fetch_add_explicit(&mailbox->count, 1, memory_order_relaxed);
    int err = mailbox_push(mailbox, mail);
    if (err == 0) {
        mailbox_wake(mailbox, NULL);
    }
    atomic_fetch_sub_explicit(&mailbox->writers, 1, memory_order_release);
    return err;
}

static int mailbox_copy(struct mailbox *mailbox, const struct mail *mail)
{
    if (atomic_load_explicit(&mailbox->newest, memory_order_relaxed) == MAILBOX_CLOSED) {
        return GYR_ERR_CLOSED;
    }
    if (atomic_fetch_add_explicit(&mailbox->count, 1, memory_order_relaxed) >= mailbox->count_max) {
        atomic_fetch_sub_explicit(&mailbox->count, 1, memory_order_relaxed);
        return GYR_ERR_BACKPRESSURE;
    }
    struct mail *copy = memory_alloc(sizeof(*copy));
    if (copy == NULL) {
        atomic_fetch_sub_explicit(&mailbox->count, 1, memory_order_relaxed);
        return GYR_ERR_MEMORY;
    }
    *copy = *mail;
    int err = mailbox_push(mailbox, copy);
    if (err < 0) {
        memory_free(copy);
    }
    return err;
}

/* Queue what is counted already; what cannot be queued is not counted any more. */
static int mailbox_push(struct mailbox *mailbox, struct mail *mail)
{
    struct mail *newest = atomic_load_explicit(&mailbox->newest, memory_order_relaxed);
    do {
        if (newest == MAILBOX_CLOSED) {
            atomic_fetch_sub_explicit(&mailbox->count, 1, memory_order_relaxed);
            return GYR_ERR_CLOSED;
        }
        mail->next = newest;
        /* Publishes *mail; partner: the exchange in mailbox_run. */
    } while (!atomic_compare_exchange_weak_explicit(&mailbox->newest, &newest, mail,
                                                    memory_order_seq_cst, memory_order_relaxed));
    return 0;
}

void mailbox_wake(struct mailbox *mailbox, struct ring *from)
{
    /* Partner: mailbox_sleep. Only the first of several writers pays for the wake. An owner that
     * ends is awake, so once mailbox_close has seen no writer, nobody touches the ring any more. */
    if (!atomic_load_explicit(&mailbox->sleeping, memory_order_seq_cst)) {
        return;
    }
    atomic_fetch_add_explicit(&mailbox->writers, 1, memory_order_acquire);
    if (atomic_exchange_explicit(&mailbox->sleeping, false, memory_order_seq_cst)) {
        mailbox->ring->ops->wake(mailbox->ring, from);
    }
    atomic_fetch_sub_explicit(&mailbox->writers, 1, memory_order_release);
}

bool mailbox_sleep(struct mailbox *mailbox)
{
    atomic_store_explicit(&mailbox->sleeping, true, memory_order_seq_cst);
    if (atomic_load_explicit(&mailbox->newest, memory_order_seq_cst) != NULL) {
        mailbox_awake(mailbox);
        return false;
    }
    return true;
}

void mailbox_awake(struct mailbox *mailbox)
{
    atomic_store_explicit(&mailbox->sleeping, false, memory_order_relaxed);
}

unsigned mailbox_run(struct mailbox *mailbox, struct core *core)
{
    if (atomic_load_explicit(&mailbox->newest, memory_order_relaxed) == NULL) {
        return 0;
    }
    struct mail *newest = atomic_exchange_explicit(&mailbox->newest, NULL, memory_order_acquire);
    return mailbox_run_list(mailbox, newest, core);
}

void mailbox_close(struct mailbox *mailbox, struct core *core)
{
    struct mail *newest =
        atomic_exchange_explicit(&mailbox->newest, MAILBOX_CLOSED, memory_order_acq_rel);
    if (newest != MAILBOX_CLOSED) {
        mailbox_run_list(mailbox, newest, core);
    }
    while (atomic_load_explicit(&mailbox->writers, memory_order_acquire) != 0) {
        sched_yield();
    }
}

static unsigned mailbox_run_list(struct mailbox *mailbox, struct mail *newest, struct core *core)
{
    struct mail *oldest = NULL;
    while (newest != NULL) {
        struct mail *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    unsigned count = 0;
    while (oldest != NULL) {
        struct mail *next = oldest->next;
        atomic_fetch_sub_explicit(&mailbox->count, 1, memory_order_relaxed);
        oldest->run(core, oldest);
        memory_free(oldest);
        oldest = next;
        count++;
    }
    return count;
}
