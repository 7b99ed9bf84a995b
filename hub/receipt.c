/* SPDX-License-Identifier: MIT */
/* A receipt is made before its message, one part for each core, and counts what is pending: the
 * publisher, and each entry of the ring that a core still has to handle. Nothing of it is touched
 * by who has released its share. The last one puts it on the list of the core that asked.
 *
 * With a time limit an entry is pending until the kernel has taken the message from each queue, it
 * was dropped, or the time is over and it was taken back. */
#include "hub/receipt.h"

#include "hub/hub.h"
#include "hub/message.h"
#include "hub/publish.h"

#define ERRORS_MIN 16U

/* The core has ended: nobody calls `done` there any more. */
static char closed_mark;
#define RECEIPTS_CLOSED ((struct receipt *)(void *)&closed_mark)

static void part_error(struct receipt_part *part, struct gyr_handle handle, int err);
static void part_on_track(struct engine_track *track, struct gyr_handle handle, bool taken,
                          int err);
static void part_on_timer(struct gyr_core *core, void *arg);
static void part_cancel(struct receipt_part *part);
static void part_watch(struct receipt_part *part);
static void part_settle(struct receipt_part *part);
static void receipts_tell_all(struct hub_core *core, struct receipt *newest);
static void receipt_tell(struct receipt *receipt, struct gyr_core *core);
static void receipt_free(struct receipt *receipt);
static void receipt_give(struct receipt *receipt);

/* ---- from its publisher to its end ----------------------------------------------------------- */

/* Without the errors, which come when it is nearly through. */
static size_t receipt_size(const struct hub *hub)
{
    return sizeof(struct receipt) + hub->core_count * sizeof(struct receipt_part);
}

int receipt_create(struct hub *hub, struct hub_core *from, const struct gyr_publish *publish,
                   struct receipt **receipt_out)
{
    int err = message_size_take(hub, from, &hub->receipt_size, receipt_size(hub));
    if (err < 0) {
        return err;
    }
    struct receipt *receipt = memory_alloc(receipt_size(hub));
    if (receipt == NULL) {
        message_size_give(hub, &hub->receipt_size, receipt_size(hub));
        return GYR_ERR_MEMORY;
    }
    receipt->hub = hub;
    receipt->done = publish->done;
    receipt->arg = publish->arg;
    receipt->done_core_index = publish->done_core_index;
    receipt->timeout_ms = publish->timeout_ms;
    receipt->errors_max = publish->errors_max;
    for (unsigned i = 0; i < hub->core_count; i++) {
        receipt->parts[i].receipt = receipt;
        receipt->parts[i].core = hub->cores[i];
        receipt->parts[i].track.done = part_on_track;
    }
    atomic_store_explicit(&receipt->pending, 1, memory_order_relaxed);
    *receipt_out = receipt;
    return 0;
}

void receipt_discard(struct receipt *receipt)
{
    ASSERT(atomic_load_explicit(&receipt->pending, memory_order_relaxed) == 1);
    receipt_give(receipt);
}

static void receipt_free(struct receipt *receipt)
{
    for (unsigned i = 0; i < receipt->hub->core_count; i++) {
        memory_free(receipt->parts[i].errors);
    }
    memory_free(receipt);
}

static void receipt_give(struct receipt *receipt)
{
    struct hub *hub = receipt->hub;
    receipt_free(receipt);
    message_size_give(hub, &hub->receipt_size, receipt_size(hub));
}

void receipt_expect(struct receipt *receipt, uint32_t count)
{
    atomic_fetch_add_explicit(&receipt->pending, count, memory_order_relaxed);
}

void receipt_fail(struct receipt *receipt, int err, struct hub_core *core)
{
    receipt->err = err;
    receipt_release(receipt, 1, core);
}

void receipt_release(struct receipt *receipt, uint32_t count, struct hub_core *core)
{
    if (atomic_fetch_sub_explicit(&receipt->pending, count, memory_order_acq_rel) != count) {
        return;
    }
    struct hub *hub = receipt->hub;
    unsigned index = receipt->done_core_index;
    struct hub_core *target = hub->cores[index];
    /* Partners: receipts_tell, receipts_end. */
    struct receipt *first = atomic_load_explicit(&target->completed, memory_order_relaxed);
    do {
        if (first == RECEIPTS_CLOSED) {
            receipt_give(receipt);
            return;
        }
        receipt->next = first;
    } while (!atomic_compare_exchange_weak_explicit(&target->completed, &first, receipt,
                                                    memory_order_release, memory_order_relaxed));
    hub_call(hub, index, core);
}

/* ---- what one core has to say ---------------------------------------------------------------- */

struct receipt_part *receipt_begin(struct receipt *receipt, struct hub_core *core)
{
    struct receipt_part *part = &receipt->parts[core->index];
    ASSERT(!part->is_busy);
    part->is_busy = true;
    return part;
}

struct engine_track *receipt_track(struct receipt_part *part)
{
    return part->receipt->timeout_ms == GYR_NO_TIMEOUT ? NULL : &part->track;
}

void receipt_count(struct receipt_part *part, struct gyr_handle handle, int err)
{
    switch (err) {
    case 0:
        part->queued++;
        return;
    case GYR_ERR_CLOSED:
        part->closed++;
        break;
    case GYR_ERR_TIMEOUT:
        part->timed_out++;
        break;
    default:
        part->dropped++;
        break;
    }
    part_error(part, handle, err);
}

/* Without memory the counts are right, and the list is short. */
static void part_error(struct receipt_part *part, struct gyr_handle handle, int err)
{
    if (part->error_count == part->receipt->errors_max) {
        return;
    }
    if (part->error_count == part->error_capacity) {
        uint32_t capacity = MAX(part->error_capacity * 2, ERRORS_MIN);
        struct gyr_publish_error *errors = memory_alloc(capacity * sizeof(*errors));
        if (errors == NULL) {
            return;
        }
        if (part->error_count != 0) {
            memcpy(errors, part->errors, part->error_count * sizeof(*errors));
        }
        memory_free(part->errors);
        part->errors = errors;
        part->error_capacity = capacity;
    }
    part->errors[part->error_count++] = (struct gyr_publish_error){handle, err};
}

void receipt_end(struct receipt_part *part)
{
    part->owed++;
    if (part->track.first != NULL && !part->is_timed) {
        part_watch(part);
    } else if (part->track.first != NULL && part->is_expired) {
        part_cancel(part);
    }
    part->is_busy = false;
    if (part->track.first == NULL) {
        part_settle(part);
    }
}

/* Nothing waits. There may be another entry of it in the ring for this core; its time begins
 * anew, unless this one's is over. */
static void part_settle(struct receipt_part *part)
{
    if (part->is_timed && !part->is_expired) {
        gyr_timer_stop(part->core->core, &part->timer);
        list_remove(&part->cancel);
        part->is_timed = false;
    }
    uint32_t owed = part->owed;
    part->owed = 0;
    receipt_release(part->receipt, owed, part->core);
}

/* Its time begins. */
static void part_watch(struct receipt_part *part)
{
    struct hub_core *core = part->core;
    part->is_timed = true;
    if (part->receipt->timeout_ms == 0) {
        list_push_back(&core->cancel_next, &part->cancel);
        engine_core_due(core->core);
    } else {
        gyr_timer_start(core->core, &part->timer, part->receipt->timeout_ms, part_on_timer, part);
    }
}

static void part_on_track(struct engine_track *track, struct gyr_handle handle, bool taken, int err)
{
    struct receipt_part *part = CONTAINER_OF(track, struct receipt_part, track);
    struct hub_core *core = part->core;
    receipt_count(part, handle, taken ? 0 : err);
    struct gyr_conn *conn = err == GYR_ERR_TIMEOUT ? gyr_core_find(core->core, handle) : NULL;
    if (conn != NULL) {
        engine_conn_watch(conn);
        hub_member(core, conn)->dropped++;
        engine_conn_owe_drain(conn);
        STATS_ADD(core->stats, room_dropped, 1);
    }
    if (part->is_busy || track->first != NULL) {
        return;
    }
    part_settle(part);
}

static void part_on_timer(struct gyr_core *core, void *arg)
{
    (void)core;
    struct receipt_part *part = arg;
    part->is_busy = true;
    part_cancel(part);
    part->owed--; /* receipt_end counts one more */
    receipt_end(part);
}

/* What the kernel has begun to take stays, and is told when it is through. */
static void part_cancel(struct receipt_part *part)
{
    part->is_expired = true;
    engine_track_cancel(part->core->core, &part->track);
}

void receipts_cancel(struct hub_core *core)
{
    while (!list_is_empty(&core->cancel_now)) {
        struct receipt_part *part =
            CONTAINER_OF(core->cancel_now.next, struct receipt_part, cancel);
        list_remove(&part->cancel);
        part_on_timer(core->core, part);
    }
    if (!list_is_empty(&core->cancel_next)) {
        list_splice_back(&core->cancel_now, &core->cancel_next);
        engine_core_due(core->core);
    }
}

/* ---- on the core that asked ------------------------------------------------------------------ */

void receipts_tell(struct hub_core *core)
{
    if (atomic_load_explicit(&core->completed, memory_order_relaxed) == NULL) {
        return;
    }
    /* Partner: receipt_release. */
    receipts_tell_all(core, atomic_exchange_explicit(&core->completed, NULL, memory_order_acquire));
}

void receipts_end(struct hub_core *core)
{
    receipts_tell_all(
        core, atomic_exchange_explicit(&core->completed, RECEIPTS_CLOSED, memory_order_acquire));
}

void receipts_discard(struct hub_core *core)
{
    struct receipt *first = atomic_load_explicit(&core->completed, memory_order_relaxed);
    while (first != NULL && first != RECEIPTS_CLOSED) {
        struct receipt *next = first->next;
        receipt_free(first);
        first = next;
    }
}

/* In the order in which they came to their end. */
static void receipts_tell_all(struct hub_core *core, struct receipt *newest)
{
    struct receipt *first = NULL;
    while (newest != NULL) {
        struct receipt *next = newest->next;
        newest->next = first;
        first = newest;
        newest = next;
    }
    while (first != NULL) {
        struct receipt *next = first->next;
        receipt_tell(first, core->core);
        receipt_give(first);
        first = next;
    }
}

static void receipt_tell(struct receipt *receipt, struct gyr_core *core)
{
    unsigned part_count = receipt->hub->core_count;
    struct gyr_published published = {
        .size = sizeof(published),
        .err = receipt->err,
        .epoch = receipt->epoch,
        .offset = receipt->offset,
    };
    size_t error_count = 0;
    for (unsigned i = 0; i < part_count; i++) {
        const struct receipt_part *part = &receipt->parts[i];
        published.queued += part->queued;
        published.dropped += part->dropped;
        published.closed += part->closed;
        published.timed_out += part->timed_out;
        error_count += part->error_count;
    }
    size_t wanted = MIN(error_count, receipt->errors_max);
    struct gyr_publish_error *errors = wanted == 0 ? NULL : memory_alloc(wanted * sizeof(*errors));
    for (unsigned i = 0; i < part_count && errors != NULL; i++) {
        const struct receipt_part *part = &receipt->parts[i];
        size_t count = MIN(part->error_count, wanted - published.error_count);
        if (count != 0) {
            memcpy(errors + published.error_count, part->errors, count * sizeof(*errors));
            published.error_count += count;
        }
    }
    published.errors = errors;
    receipt->done(core, receipt->arg, &published);
    memory_free(errors);
}
