/* SPDX-License-Identifier: MIT */
/* The loop. Journey: hops 1, 2 and 13. A turn reads as the journey does: dispatch what the last
 * wait brought, mail, timers, flush what is dirty, publish statistics, wait. The wait comes last,
 * so that between two turns a core is either asleep and says so in its mailbox, or has something to
 * do.
 *
 *     RUNNING --core_stop, seen by drain_begin--> DRAINING --(nothing left) drain_step--> ENDED */
#include "engine/core.h"

#include "engine/error.h"
#include "engine/exchange.h"
#include "engine/report.h"
#include "engine/session.h"

#include <errno.h>
#include <sched.h>

#define ACCEPT_RETRY_MS     100 /* after running out of descriptors or memory */
#define DRAIN_STEP_MS       10  /* the spread of Close 1001 goes on this often */
#define TROUBLE_INTERVAL_MS 1000
#define CLOCK_START_MS      1000 /* so that no time is 0 */

static int core_allocate(struct core *core, struct address_table *addresses,
                         struct gyr_error *error);
static void mail_end(struct core *core);
static void listeners_close(struct core *core);
static bool layer_wants(const struct core *core);
static void layer_work(struct core *core);
static void turn_sends_settle(struct core *core);
static void quiet_sends_settle(struct core *core);
static uint64_t wait_timeout(struct core *core);
static void clock_update(struct core *core);
static void dispatch(struct core *core, const struct completion *completion);
static void on_accept(struct core *core, uint32_t index, const struct completion *completion);
static void place(struct core *core, int fd);
static void accept_start(struct core *core, unsigned index);
static void trouble_tell(struct core *core);
static void timers_expire(struct core *core);
static void timer_run(struct core *core, struct timer *timer);
static void flush_dirty(struct core *core);
static void drain_begin(struct core *core);
static void drain_step(struct core *core);
static void mail_adopt(struct core *core, struct mail *mail);

int core_create(const struct core_config *config, struct core **core_out, struct gyr_error *error)
{
    const struct gyr_config *limits = config->config;
    struct core *core = memory_map(sizeof(*core));
    if (core == NULL) {
        return ERROR_SET(error, GYR_ERR_MEMORY, "core %u: no memory", config->index);
    }
    core->config = limits;
    core->service = config->service;
    core->server = config->server;
    core->layer = config->layer;
    core->layer_state = config->layer_state;
    core->layer_due_ns = UINT64_MAX;
    core->bell = &core->layer_silence;
    core->peers = config->peers;
    core->peer_count = config->peer_count;
    core->index = config->index;
    core->refusals = (struct core_slots){CORE_INDEX_NONE, 0, CORE_REFUSALS_MAX};
    core->slots = (struct core_slots){CORE_INDEX_NONE, CORE_REFUSALS_MAX,
                                      CORE_REFUSALS_MAX + limits->connections_max};
    core->exchange_free = CORE_INDEX_NONE;
    core->dirty_head = CORE_INDEX_NONE;
    core->dirty_tail = CORE_INDEX_NONE;
    core->accept_timer.kind = TIMER_CORE;
    core->drain_timer.kind = TIMER_CORE;
    core->mask_ops = ws_mask_ops(simd_detect());
    struct ring_config ring = {
        .submission_entries = limits->submission_entries,
        .completion_entries = limits->completion_entries,
        .buffer_size = limits->recv_buffer_size,
        .buffer_count = limits->recv_buffer_count,
        .context = config->ring_context,
    };
    char why[RING_WHY_SIZE] = "";
    int err = config->ring_ops->create(&ring, &core->ring, why);
    if (err < 0) {
        error_write(error, "core %u: %s", config->index, why[0] != '\0' ? why : gyr_strerror(err));
        if (config->ring_why != NULL && err == GYR_ERR_UNSUPPORTED) {
            memcpy(config->ring_why, why, sizeof(why));
        }
        memory_unmap(core, sizeof(*core));
        return err;
    }
    mailbox_init(&core->mailbox, core->ring, limits->mailbox_count_max);
    err = core_allocate(core, config->addresses, error);
    if (err < 0) {
        core_destroy(core);
        core_free(core);
        return err;
    }
    clock_update(core);
    timer_wheel_init(&core->wheel, core->now_ms);
    *core_out = core;
    return 0;
}

static int core_allocate(struct core *core, struct address_table *addresses,
                         struct gyr_error *error)
{
    const struct gyr_config *config = core->config;
    core->exchange_stride =
        (sizeof(struct gyr_conn) + core->service->conn_data_size + 15) & ~(size_t)15;
    core->heap = heap_create(config->core_heap_size_max);
    core->staging = memory_map(CORE_STAGING_SIZE);
    core->scratch = memory_map(config->recv_buffer_size + MESSAGE_PADDING);
    core->transports = memory_map(core->slots.end * sizeof(struct transport));
    core->exchanges_size = config->connections_max * core->exchange_stride;
    core->exchanges = memory_map(core->exchanges_size);
    core->quiet_sends = memory_map(core->slots.end * sizeof(*core->quiet_sends));
    core->data = memory_alloc(MAX(core->service->core_data_size, (size_t)1));
    int err = guard_init(core, addresses);
    if (core->heap == NULL || core->staging == NULL || core->scratch == NULL ||
        core->transports == NULL || core->exchanges == NULL || core->quiet_sends == NULL ||
        core->data == NULL || err < 0) {
        return ERROR_SET(error, GYR_ERR_MEMORY,
                         "core %u: no address space for connections_max = %u; lower it",
                         core->index, config->connections_max);
    }
    return 0;
}

void core_destroy(struct core *core)
{
    ASSERT(core->open_count == 0);
    ASSERT(core->heap_accounted == 0); /* A1 */
    core->state = CORE_ENDED;          /* from here on gyr_offload refuses */
    mail_end(core);
    if (core->layer_started) {
        core->layer->core_stop(core->layer_state, (struct gyr_core *)core);
        core->bell = &core->layer_silence;
    }
    if (core->data_ready && core->service->on_core_stop != NULL) {
        core->service->on_core_stop((struct gyr_core *)core);
    }
    listeners_close(core);
    core->ring->ops->destroy(core->ring);
    core->ring = NULL;
    if (core->heap != NULL) {
        conflation_deinit(core);
        ASSERT(core->layer_size == 0 && core->shared_size == 0);
        ASSERT(heap_used(core->heap) == 0); /* A1 */
        heap_destroy(core->heap);
    }
    const struct gyr_config *config = core->config;
    guard_deinit(core);
    memory_unmap(core->staging, CORE_STAGING_SIZE);
    memory_unmap(core->scratch, config->recv_buffer_size + MESSAGE_PADDING);
    memory_unmap(core->transports, core->slots.end * sizeof(struct transport));
    memory_unmap(core->quiet_sends, core->slots.end * sizeof(*core->quiet_sends));
    memory_free(core->data);
}

/* What the service has given away comes back, and whatever was accepted runs. */
static void mail_end(struct core *core)
{
    while (core->offload_count != 0) {
        if (mailbox_run(&core->mailbox, core) == 0) {
            sched_yield();
        }
    }
    mailbox_close(&core->mailbox, core);
}

/* Nothing accepts any more. */
static void listeners_close(struct core *core)
{
    for (unsigned i = 0; i < core->listener_count; i++) {
        struct core_listener *listener = &core->listeners[i];
        ASSERT(!listener->armed);
        if (listener->fd >= 0) {
            core->ring->ops->close(core->ring, listener->fd);
            listener->fd = -1;
        }
    }
}

void core_free(struct core *core)
{
    /* Not earlier: other threads may ask whether a handle is stale. */
    memory_unmap(core->exchanges, core->exchanges_size);
    memory_unmap(core, sizeof(*core));
}

void core_listen(struct core *core, int fd)
{
    ASSERT(core->listener_count < CORE_LISTENERS_MAX);
    core->listeners[core->listener_count] = (struct core_listener){.fd = fd};
    accept_start(core, core->listener_count++);
}

bool core_turn(struct core *core)
{
    struct ring *ring = core->ring;
    mailbox_awake(&core->mailbox);
    clock_update(core);
    unsigned count = core->completion_count;
    core->completion_count = 0;
    for (unsigned i = 0; i < count; i++) {
        dispatch(core, &core->completions[i]);
    }
    count += mailbox_run(&core->mailbox, core);
    if (UNLIKELY(layer_wants(core))) {
        layer_work(core);
        count++;
    }
    timers_expire(core);
    if (UNLIKELY(core->trouble_owed != 0)) {
        trouble_tell(core);
    }
    flush_dirty(core);
    if (UNLIKELY(atomic_load_explicit(&core->stop_requested, memory_order_relaxed)) &&
        core->state == CORE_RUNNING) {
        drain_begin(core);
    }
    if (UNLIKELY(core->state == CORE_DRAINING)) {
        drain_step(core);
    }
    if (count != 0 && core->config->spin_us != 0) {
        core->spin_end_ns = ring->now_ns + (uint64_t)core->config->spin_us * 1000;
    }
    STATS_ADD(&core->stats, turns, 1);
    STATS_SET(&core->stats, heap_bytes, core->heap_accounted + core->layer_size);
    if (UNLIKELY(core->state == CORE_ENDED)) {
        return false;
    }
    core->completion_count = ring->ops->wait(ring, wait_timeout(core), core->completions,
                                             core->config->turn_completions_max);
    if (core->turn_send_count != 0 || core->quiet_count != 0) {
        turn_sends_settle(core);
    }
    return true;
}

/* Does the layer above ask for its turn? */
static bool layer_wants(const struct core *core)
{
    return core->ring->now_ns >= core->layer_due_ns ||
           atomic_load_explicit(core->bell, memory_order_relaxed) != 0;
}

__attribute__((noinline)) static void layer_work(struct core *core)
{
    core->layer_due_ns = UINT64_MAX;
    uint64_t again_ns = core->layer->core_work(core->layer_state, (struct gyr_core *)core);
    if (again_ns != 0) {
        core->layer_due_ns = MIN(core->layer_due_ns, core->ring->now_ns + again_ns);
    }
}

int core_layer_start(struct core *core)
{
    if (core->layer == NULL) {
        return 0;
    }
    int err = core->layer->core_start(core->layer_state, (struct gyr_core *)core);
    core->layer_started = err == 0;
    return err;
}

/* The wait has submitted the turn's sends, and those that did not send everything have completed:
 * tell the transports, return the buffers. */
static void turn_sends_settle(struct core *core)
{
    /* A failure may be among those that the last wait had no room for. */
    bool complete = core->completion_count < core->config->turn_completions_max;
    while (!complete && core->completion_count + CORE_COMPLETIONS_MAX <= CORE_COMPLETIONS_SIZE) {
        unsigned more = core->ring->ops->wait(
            core->ring, 0, core->completions + core->completion_count, CORE_COMPLETIONS_MAX);
        core->completion_count += more;
        complete = more < CORE_COMPLETIONS_MAX;
    }
    unsigned kept = 0;
    for (unsigned i = 0; i < core->completion_count; i++) {
        struct completion completion = core->completions[i];
        if (completion.user_data >> 56 != CORE_OP_TURN_SEND) {
            core->completions[kept++] = completion;
            continue;
        }
        struct transport *transport = &core->transports[(uint32_t)completion.user_data];
        ASSERT((transport->flags & TRANSPORT_F_TURN_SEND) != 0);
        if (transport->turn_send == TURN_SEND_QUEUE) {
            transport_on_quiet_send(transport, completion.result);
        } else {
            core->turn_sends[transport->turn_send].result = completion.result;
        }
    }
    core->completion_count = kept;
    if (!complete) {
        return; /* then after the next wait */
    }
    for (unsigned i = 0; i < core->turn_send_count; i++) {
        const struct core_turn_send *send = &core->turn_sends[i];
        struct transport *transport = &core->transports[send->transport_index];
        transport_on_turn_send(transport, send);
        if (send->buffer_id != CORE_NO_BUFFER) {
            core->ring->ops->buffer_return(core->ring, (uint16_t)send->buffer_id); /* B1 */
        }
        transport_release_if_done(transport);
    }
    core->turn_send_count = 0;
    core->staging_used = 0;
    if (UNLIKELY(core->quiet_count != 0)) {
        quiet_sends_settle(core);
    }
}

/* The same for queues: what has not failed by now was sent. */
__attribute__((noinline)) static void quiet_sends_settle(struct core *core)
{
    for (uint32_t i = 0; i < core->quiet_count; i++) {
        struct transport *transport = &core->transports[core->quiet_sends[i]];
        if ((transport->flags & TRANSPORT_F_TURN_SEND) != 0 &&
            transport->turn_send == TURN_SEND_QUEUE) {
            transport_on_quiet_send(transport, TURN_SEND_WHOLE);
        }
        transport_release_if_done(transport);
    }
    core->quiet_count = 0;
}

/* How long may the wait last? Announces it to the mailbox if it may last at all. */
static uint64_t wait_timeout(struct core *core)
{
    /* Buffers whose sends have gone well come back only after the wait: do not sleep on many. */
    if (core->settle_soon || core->turn_send_count * 2 > core->config->recv_buffer_count) {
        core->settle_soon = false;
        return 0;
    }
    if (core->dirty_head != CORE_INDEX_NONE || core->ring->now_ns < core->spin_end_ns ||
        core->trouble_owed != 0) {
        return 0;
    }
    uint64_t next_ms = timer_wheel_next(&core->wheel);
    if (next_ms <= core->now_ms) {
        return 0;
    }
    if (!mailbox_sleep(&core->mailbox)) {
        return 0;
    }
    /* Partner: core_stop, which stores the request before it looks whether we sleep. */
    if (atomic_load_explicit(&core->stop_requested, memory_order_seq_cst) &&
        core->state == CORE_RUNNING) {
        return 0;
    }
    /* Partner: who rings, and looks whether we sleep after that (engine_core_wake). */
    if (atomic_load_explicit(core->bell, memory_order_seq_cst) != 0) {
        return 0;
    }
    uint64_t timeout_ns = next_ms == UINT64_MAX ? UINT64_MAX : (next_ms - core->now_ms) * 1000000;
    if (UNLIKELY(core->layer_due_ns != UINT64_MAX)) {
        uint64_t now_ns = core->ring->now_ns;
        timeout_ns = MIN(timeout_ns, core->layer_due_ns - MIN(now_ns, core->layer_due_ns));
    }
    return timeout_ns;
}

static void clock_update(struct core *core)
{
    core->now_ms = core->ring->now_ns / 1000000 + CLOCK_START_MS;
    if (UNLIKELY(core->now_ms >= core->date_next_ms)) {
        /* Within a second of the wall clock's own change: Date is good to a second. */
        http_date_format(core->ring->ops->wall_ns(core->ring) / 1000000000, core->date);
        core->date_next_ms = core->now_ms + 1000;
    }
}

static void dispatch(struct core *core, const struct completion *completion)
{
    unsigned op = (unsigned)(completion->user_data >> 56);
    uint32_t generation = (uint32_t)(completion->user_data >> 32) & 0xffffff;
    uint32_t index = (uint32_t)completion->user_data;
    if (op == CORE_OP_ACCEPT) {
        on_accept(core, index, completion);
        return;
    }
    ASSERT(index < core->slots.used);
    struct transport *transport = &core->transports[index];
    if (UNLIKELY(transport->generation != generation || transport->state == TRANSPORT_FREE)) {
        /* C2: it belongs to an earlier life of the slot. */
        if ((completion->flags & COMPLETION_F_BUFFER) != 0) {
            core->ring->ops->buffer_return(core->ring, completion->buffer_id);
        }
        return;
    }
    transport_on_completion(transport, op, completion);
}

static void accept_start(struct core *core, unsigned index)
{
    struct core_listener *listener = &core->listeners[index];
    listener->armed = true;
    core->ring->ops->accept_start(core->ring, listener->fd,
                                  core_user_data(CORE_OP_ACCEPT, 0, index));
}

static void on_accept(struct core *core, uint32_t index, const struct completion *completion)
{
    ASSERT(index < core->listener_count);
    struct core_listener *listener = &core->listeners[index];
    if (completion->result >= 0) {
        place(core, completion->result);
    }
    if ((completion->flags & COMPLETION_F_MORE) != 0) {
        return;
    }
    listener->armed = false;
    if (listener->cancelled) {
        /* Closed at once, so that newcomers are refused rather than left in a queue nobody reads.
         * Not earlier: what accepts still holds the socket. */
        core->ring->ops->close(core->ring, listener->fd);
        listener->fd = -1;
        return;
    }
    if (completion->result >= 0 || completion->result == -ECONNABORTED ||
        completion->result == -EINTR || completion->result == -ECANCELED) {
        accept_start(core, index);
        return;
    }
    /* No descriptor or no memory left. Starting again at once would spin; connections wait in the
     * kernel's queue meanwhile. */
    core_trouble(core, completion->result);
    timer_start(&core->wheel, &core->accept_timer, core->now_ms + ACCEPT_RETRY_MS);
}

/* Connections, or more than any number of them if there is no slot left. A peer's connections_max
 * may be another one, and never changes. */
static uint32_t load_of(const struct core *core)
{
    uint32_t load = atomic_load_explicit(&core->load, memory_order_relaxed);
    return load < core->config->connections_max ? load : UINT32_MAX;
}

/* Keep a connection that was just accepted, or give it to the core with the fewest. A small
 * difference is kept: handing over wakes the other core. */
static void place(struct core *core, int fd)
{
    struct core *best = core;
    if (core->config->balance == GYR_BALANCE_LEAST) {
        uint32_t mine = load_of(core);
        uint32_t least = mine;
        for (unsigned i = 0; i < core->peer_count; i++) {
            uint32_t load = load_of(core->peers[i]);
            if (load < least) {
                least = load;
                best = core->peers[i];
            }
        }
        if (mine <= (uint64_t)least + 1 + least / 32) {
            best = core;
        }
    }
    if (best != core) {
        core_hand_over(core, best, fd);
        return;
    }
    atomic_fetch_add_explicit(&core->load, 1, memory_order_seq_cst);
    transport_open(core, fd);
}

void core_hand_over(struct core *from, struct core *to, int fd)
{
    struct mail mail = {.run = mail_adopt, .handle = (uint64_t)fd};
    atomic_fetch_add_explicit(&to->load, 1, memory_order_seq_cst);
    if (mailbox_put(&to->mailbox, &mail, from->ring) < 0) {
        atomic_fetch_sub_explicit(&to->load, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&from->load, 1, memory_order_seq_cst);
        transport_open(from, fd);
        return;
    }
    STATS_ADD(&from->stats, handed_over, 1);
}

static void mail_adopt(struct core *core, struct mail *mail)
{
    transport_open(core, (int)mail->handle);
}

/* A limit that is shorter now holds for those that are there, too. */
void core_config_changed(struct core *core)
{
    guard_configure(core);
    core->log_gate.rate = (struct rate){0}; /* it was filled at the old log_rate_max */
    report_core(core, "core.reload");
    for (uint32_t i = CORE_REFUSALS_MAX; i < core->slots.used; i++) {
        struct transport *transport = &core->transports[i];
        if (transport->state != TRANSPORT_FREE && transport->state != TRANSPORT_CLOSING) {
            transport_timer_update(transport);
        }
    }
}

void core_trouble(struct core *core, int err)
{
    core->trouble_count++;
    if (core->trouble_ms != 0 && core->now_ms - core->trouble_ms < TROUBLE_INTERVAL_MS) {
        return;
    }
    uint64_t count = core->trouble_count;
    core->trouble_count = 0;
    core->trouble_ms = core->now_ms;
    report_trouble(core, err, count);
    core->trouble_err = err;
    core->trouble_owed = count;
}

/* Behind whatever has met it: that stands in the middle of something, perhaps in a call of the
 * service itself, which a service that closes, leaves or sends now would change under its feet. */
__attribute__((noinline)) static void trouble_tell(struct core *core)
{
    uint64_t count = core->trouble_owed;
    core->trouble_owed = 0;
    if (core->service->on_trouble != NULL) {
        core->service->on_trouble((struct gyr_core *)core, core->trouble_err, count);
    }
}

static void timers_expire(struct core *core)
{
    struct list expired;
    list_init(&expired);
    timer_wheel_expire(&core->wheel, core->now_ms, &expired);
    while (!list_is_empty(&expired)) {
        struct timer *timer = (struct timer *)expired.next;
        timer_stop(timer);
        timer_run(core, timer);
    }
}

static void timer_run(struct core *core, struct timer *timer)
{
    switch ((enum timer_kind)timer->kind) {
    case TIMER_TRANSPORT: {
        struct transport *transport = CONTAINER_OF(timer, struct transport, timer);
        transport_on_timer(transport);
        break;
    }
    case TIMER_USER: {
        struct user_timer *user = CONTAINER_OF(timer, struct user_timer, timer);
        user->fn((struct gyr_core *)core, user->arg);
        break;
    }
    case TIMER_CORE:
        for (unsigned i = 0; timer == &core->accept_timer && i < core->listener_count; i++) {
            if (!core->listeners[i].armed && !core->listeners[i].cancelled) {
                accept_start(core, i);
            }
        }
        break; /* the drain timer only ends the wait: drain_step runs at every turn */
    }
}

/* Work on those that were marked up to now; what they mark again waits for the next turn. */
static void flush_dirty(struct core *core)
{
    uint32_t index = core->dirty_head;
    core->dirty_head = CORE_INDEX_NONE;
    core->dirty_tail = CORE_INDEX_NONE;
    while (index != CORE_INDEX_NONE) {
        struct transport *transport = &core->transports[index];
        index = transport->dirty_next;
        transport->flags &= (uint16_t)~TRANSPORT_F_DIRTY;
        transport_work(transport);
    }
}

void core_stop(struct core *core)
{
    atomic_store_explicit(&core->stop_requested, true, memory_order_seq_cst);
    mailbox_wake(&core->mailbox, NULL);
}

static void drain_begin(struct core *core)
{
    core->state = CORE_DRAINING;
    report_core(core, "core.stop");
    const struct engine_layer *layer = core->index == 0 ? core->layer : NULL;
    if (layer != NULL && layer->server_stop != NULL) {
        layer->server_stop(core->layer_state, core->config->shutdown_deadline_ms);
    }
    core->drain_start_ms = core->now_ms;
    core->drain_next = CORE_REFUSALS_MAX;
    core->drain_total = core->slots.used - CORE_REFUSALS_MAX;
    for (unsigned i = 0; i < core->listener_count; i++) {
        core->listeners[i].cancelled = true;
        if (!core->listeners[i].armed) {
            core->ring->ops->close(core->ring, core->listeners[i].fd);
            core->listeners[i].fd = -1;
        } else {
            core->ring->ops->cancel(core->ring, core_user_data(CORE_OP_ACCEPT, 0, i));
        }
    }
    /* Those that are being refused have been told what there is to tell. */
    for (uint32_t i = 0; i < core->refusals.used; i++) {
        transport_cut(&core->transports[i], false);
    }
    /* A connection without a request under way has nothing to wait for. */
    for (uint32_t i = CORE_REFUSALS_MAX; i < core->slots.used; i++) {
        struct transport *transport = &core->transports[i];
        if (transport->state == TRANSPORT_OPEN && transport->session != SESSION_WS) {
            session_drain(transport);
        }
    }
}

/* Close a share of the connections that fits the time that has passed; cut what is left at the
 * deadline; end when nothing is left. */
static void drain_step(struct core *core)
{
    const struct gyr_config *config = core->config;
    uint64_t elapsed_ms = core->now_ms - core->drain_start_ms;
    uint64_t window_ms = MAX(config->shutdown_window_ms, 1U);
    uint64_t share = elapsed_ms >= window_ms
                         ? core->drain_total
                         : (elapsed_ms * core->drain_total + window_ms - 1) / window_ms;
    for (; core->drain_next < CORE_REFUSALS_MAX + share; core->drain_next++) {
        session_drain(&core->transports[core->drain_next]);
    }
    if (elapsed_ms >= config->shutdown_deadline_ms) {
        for (uint32_t i = 0; i < core->slots.used; i++) {
            transport_cut(&core->transports[i], true);
        }
    }
    bool accepting = false;
    for (unsigned i = 0; i < core->listener_count; i++) {
        accepting = accepting || core->listeners[i].armed;
    }
    if (core->open_count == 0 && !accepting && core->dirty_head == CORE_INDEX_NONE &&
        core->offload_count == 0) {
        core->state = CORE_ENDED;
        report_core(core, "core.end");
    } else if (!timer_is_running(&core->drain_timer)) {
        timer_start(&core->wheel, &core->drain_timer, core->now_ms + DRAIN_STEP_MS);
    }
}

unsigned gyr_core_index(const struct gyr_core *core)
{
    return ((const struct core *)core)->index;
}

struct gyr_server *gyr_core_server(const struct gyr_core *core)
{
    return ((const struct core *)core)->server;
}

void *gyr_core_data(const struct gyr_core *core)
{
    return ((const struct core *)core)->data;
}

uint64_t gyr_core_now_ms(const struct gyr_core *core)
{
    return ((const struct core *)core)->now_ms;
}

void gyr_timer_start(struct gyr_core *core_public, struct gyr_timer *timer, uint32_t delay_ms,
                     void (*fn)(struct gyr_core *core, void *arg), void *arg)
{
    struct core *core = (struct core *)core_public;
    struct user_timer *user = (struct user_timer *)(void *)timer;
    user->timer.kind = TIMER_USER;
    user->fn = fn;
    user->arg = arg;
    timer_start(&core->wheel, &user->timer, core->now_ms + MIN(delay_ms, (uint32_t)INT32_MAX));
}

void gyr_timer_stop(struct gyr_core *core, struct gyr_timer *timer)
{
    (void)core;
    timer_stop(&((struct user_timer *)(void *)timer)->timer);
}
