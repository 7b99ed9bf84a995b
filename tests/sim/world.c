/* SPDX-License-Identifier: MIT */
/* One seed from its beginning to its end:
 *
 *     storm: cores take turns and clients do things, in an order that the seed decides, until every
 *            client has ended; at some step the faults are calmed
 *     rest:  every connection comes to its end, and one more client must get through
 *     stop:  core_stop; every core ends
 *
 * Time stands still while anybody has something to do, and then goes on to the next who has. */
#include "tests/sim/world.h"

#include "engine/files.h"
#include "tests/sim/app.h"
#include "tests/sim/app_router.h"
#include "tests/sim/ledger.h"
#include "tests/sim/policy.h"
#include "tests/sim/random.h"
#include "tests/sim/service.h"
#include "tests/sim/world_hub.h"

#include <stdarg.h>
#include <stdlib.h>

#define STEPS_MAX     3000000
#define STOP_SLACK_MS 500     /* for the last completions, and accepting again */
#define PHASE_MS_MAX  3600000 /* of the world's time; the longest limit is some minutes */

static void world_create(struct world *world);
static void world_destroy(struct world *world);
static void world_until(struct world *world, bool (*is_over)(const struct world *world),
                        const char *phase);
static void world_step(struct world *world);
static bool clients_step(struct world *world);
static void time_go_on(struct world *world);
static void core_check(struct world *world, unsigned index);
static void core_end(struct world *world, unsigned index);
static void stop_all(struct world *world);
static bool clients_are_done(const struct world *world);
static bool connections_are_gone(const struct world *world);
static bool cores_are_done(const struct world *world);
static bool rooms_are_at_rest(const struct world *world);
static bool threads_are_done(const struct world *world);

bool world_run(uint64_t seed, enum profile profile, FILE *trace, char failure[400])
{
    struct world world = {.trace = trace, .strand_now = STRAND_NOBODY};
    plan_make(&world.plan, seed, profile);
    struct dice secrets = dice_make(seed, 7);
    random_from(&secrets);
    world_create(&world);
    world_until(&world, clients_are_done, "the clients' scripts");
    world.plan.calm_step = world.step;
    if (!world.is_stopping) {
        world_until(&world, connections_are_gone, "the last connections");
        sim_advance(world.sim, policy_upgrade_wait_ns(&world));
        client_init_probe(&world.clients[world.client_count], &world, world.client_count);
        world_until(&world, clients_are_done, "the client after the storm");
        const struct client *probe = &world.clients[world.client_count];
        if (!world.failed && !world.is_stopping && probe->echo_count == 0 && probe->excuses == 0) {
            world_fail(&world, "the client after the storm got nothing");
        }
        world.is_ending = true;
        world_until(&world, rooms_are_at_rest, "the last of rooms");
    }
    stop_all(&world);
    world_until(&world, cores_are_done, "the stop");
    world_until(&world, clients_are_done, "the clients after the stop");
    world_until(&world, threads_are_done, "the threads after the stop");
    world_destroy(&world);
    random_from(NULL);
    memcpy(failure, world.failure, sizeof(world.failure));
    return !world.failed;
}

static void world_create(struct world *world)
{
    struct plan *plan = &world->plan;
    world->dice = dice_make(plan->seed, 2);
    if (sim_create(plan->seed, &plan->faults, plan->socket_size, &world->sim) < 0) {
        abort();
    }
    sim_trace(world->sim, world->trace);
    service_init(world);
    service_files_init(world);
    policy_init(world);
    ledger_init(world);
    app_world_init(world);
    world_hub_create(world);
    for (unsigned i = 0; i < plan->listener_count; i++) {
        world->listeners[i] = sim_listen(world->sim, plan->backlog);
    }
    for (unsigned i = 0; i < plan->core_count; i++) {
        struct core_config config = {
            .config = &world->configs[i],
            .service = &world->service,
            .server = world->server,
            .layer = world_hub_layer(world),
            .layer_state = world->hub,
            .ring_ops = &ring_sim_ops,
            .ring_context = world->sim,
            .addresses = world->addresses,
            .peers = world->cores,
            .peer_count = plan->core_count,
            .index = i,
        };
        struct gyr_error error;
        int err = core_create(&config, &world->cores[i], &error);
        ASSERT(err == 0);
        *(struct world **)gyr_core_data((struct gyr_core *)world->cores[i]) = world;
        err = world->app != NULL ? app_router_core_start((struct gyr_core *)world->cores[i]) : 0;
        ASSERT(err == 0);
        world->cores[i]->data_ready = true;
    }
    world_hub_start(world);
    threads_init(world);
    strands_init(world);
    for (unsigned i = 0; i < plan->listener_count; i++) {
        core_listen(world->cores[i], world->listeners[i]);
    }
    world->clients = calloc(plan->client_count + 1, sizeof(struct client));
    ASSERT(world->clients != NULL);
    world->client_count = plan->client_count;
    for (unsigned i = 0; i < plan->client_count; i++) {
        client_init(&world->clients[i], world, i);
    }
    world->clients[plan->client_count] = (struct client){.fd = -1, .state = CLIENT_ENDED};
}

/* After a failure the cores are in any state: the rest is left to the end of the process. */
static void world_destroy(struct world *world)
{
    if (world->failed) {
        return;
    }
    journal_check(world);
    world_hub_check_end(world);
    strands_deinit(world);
    ledger_deinit(world);
    for (unsigned i = 0; i <= world->client_count; i++) {
        client_deinit(&world->clients[i]);
    }
    free(world->clients);
    service_deinit(world);
    if (world->app != NULL) {
        app_world_deinit(world);
    }
    files_destroy(world->files);
    if (sim_open_count(world->sim) != 0) {
        world_fail(world, "%u descriptors are still open", sim_open_count(world->sim));
    }
    world_hub_destroy(world);
    for (unsigned i = 0; i < world->plan.core_count; i++) {
        core_free(world->cores[i]);
    }
    policy_deinit(world);
    sim_destroy(world->sim);
}

void world_fail(struct world *world, const char *format, ...)
{
    if (world->failed) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(world->failure, sizeof(world->failure), format, arguments);
    va_end(arguments);
    world->failed = true;
    world_note(world, "FAILED: %s", world->failure);
}

void world_note(struct world *world, const char *format, ...)
{
    if (world->trace == NULL) {
        return;
    }
    (void)fprintf(world->trace, "%14llu -- ", (unsigned long long)sim_now_ns(world->sim));
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(world->trace, format, arguments);
    va_end(arguments);
    (void)fputc('\n', world->trace);
}

/* ---- the loop ---- */

static void world_until(struct world *world, bool (*is_over)(const struct world *world),
                        const char *phase)
{
    uint64_t start_ns = sim_now_ns(world->sim);
    uint32_t step = 0;
    world_note(world, "now: %s", phase);
    while (!world->failed && !is_over(world)) {
        world_step(world);
        bool late = sim_now_ns(world->sim) - start_ns > PHASE_MS_MAX * 1000000ULL && world->is_calm;
        if (!world->failed && (late || step++ > STEPS_MAX)) {
            world_fail(world, "%s: no end is seen after %u steps and %llu s", phase, step,
                       (unsigned long long)((sim_now_ns(world->sim) - start_ns) / 1000000000));
        }
    }
}

static void world_step(struct world *world)
{
    const struct plan *plan = &world->plan;
    world->step++;
    if (!world->is_calm && world->step >= plan->calm_step) {
        world_note(world, "the faults are calmed");
        sim_set_faults(world->sim, &(struct sim_faults){0});
        world->is_calm = true;
    }
    if (plan->stop_step != 0 && world->step >= plan->stop_step) {
        stop_all(world);
    }
    policy_step(world);
    unsigned first = dice_below(&world->dice, world->strand_count);
    bool busy = false;
    for (unsigned i = 0; i < world->strand_count && !busy; i++) {
        busy = strand_step(world, (first + i) % world->strand_count);
    }
    unsigned client = dice_below(&world->dice, world->client_count + 1);
    busy |= !world->failed && client_step(&world->clients[client]);
    busy |= !world->failed && jobs_step(world);
    busy |= !world->failed && world->app != NULL && app_waits_step(world);
    if (!busy && !world->failed && !clients_step(world) && !strands_thaw(world)) {
        ledger_quiet(world);
        if (world->ledger == NULL || !world->ledger->has_rested) {
            time_go_on(world);
        }
    }
}

bool world_core_turn(struct world *world, unsigned index)
{
    struct core *core = world->cores[index];
    if (world->ended[index] || !sim_ring_is_ready(core->ring)) {
        return false;
    }
    /* Where a kernel's wait would have returned now, the simulated one did so when it fell
     * asleep. */
    core->ring->now_ns = sim_now_ns(world->sim);
    world->core_now = index;
    bool goes_on = core_turn(core);
    journal_turn_ended(world, index);
    ledger_turn_ended(world, index);
    policy_check(world);
    core_check(world, index);
    if (!goes_on) {
        core_end(world, index);
    }
    return true;
}

/* Each in turn: only if nobody did anything, nobody can. */
static bool clients_step(struct world *world)
{
    bool busy = false;
    for (unsigned i = 0; i <= world->client_count && !world->failed; i++) {
        busy |= client_step(&world->clients[i]);
    }
    return busy;
}

static void time_go_on(struct world *world)
{
    uint64_t now_ns = sim_now_ns(world->sim);
    uint64_t next_ns = MIN(jobs_next_ns(world), threads_next_ns(world));
    if (world->app != NULL) {
        next_ns = MIN(next_ns, app_waits_next_ns(world));
    }
    for (unsigned i = 0; i < world->plan.core_count; i++) {
        if (!world->ended[i]) {
            next_ns = MIN(next_ns, sim_ring_sleep_end_ns(world->cores[i]->ring));
        }
    }
    for (unsigned i = 0; i <= world->client_count; i++) {
        const struct client *client = &world->clients[i];
        if (client->state != CLIENT_ENDED && client->wake_ns > now_ns) {
            next_ns = MIN(next_ns, client->wake_ns);
        } else if (client->state != CLIENT_ENDED && client->stall_ns > now_ns) {
            next_ns = MIN(next_ns, client->stall_ns);
        }
    }
    if (next_ns != UINT64_MAX) {
        sim_advance(world->sim, next_ns > now_ns ? next_ns - now_ns : 1);
        return;
    }
    for (unsigned i = 0; i <= world->client_count; i++) {
        if (world->clients[i].state == CLIENT_RUNNING) {
            world_fail(world, "everybody waits for ever; client %u, fd %d, among them", i,
                       world->clients[i].fd);
        }
    }
    world_fail(world, "everybody waits for ever");
}

/* ---- the oracle ---- */

static void transport_check(struct world *world, const struct transport *transport)
{
    size_t queued_size = 0;
    for (const struct entry *entry = transport->queue_head; entry != NULL; entry = entry->next) {
        queued_size += (size_t)entry->header_size + entry->size - entry->sent;
    }
    /* What is sent quietly from the queue stays in it up to the end of the turn. */
    if ((transport->flags & TRANSPORT_F_TURN_SEND) != 0 &&
        transport->turn_send != TURN_SEND_QUEUE) {
        queued_size += transport->core->turn_sends[transport->turn_send].size;
    }
    if (queued_size != transport->queued_size && transport->state != TRANSPORT_CLOSING) {
        world_fail(world, "core %u, fd %d: queued_size is %u, the queue has %zu bytes",
                   transport->core->index, transport->fd, transport->queued_size, queued_size);
    }
    if (transport->state == TRANSPORT_FREE && transport->heap_size != 0) {
        world_fail(world, "core %u: a free slot has %u bytes of the heap", transport->core->index,
                   transport->heap_size);
    }
}

static void core_check(struct world *world, unsigned index)
{
    struct core *core = world->cores[index];
    uint64_t heap_size = 0;
    unsigned open_count = 0;
    for (uint32_t i = 0; i < core->slots.used; i++) {
        transport_check(world, &core->transports[i]);
        heap_size += core->transports[i].heap_size;
        open_count += core->transports[i].state != TRANSPORT_FREE;
    }
    if (heap_size != core->heap_accounted ||
        heap_size + core->layer_size != heap_used(core->heap)) {
        world_fail(world,
                   "core %u: A1: connections have %llu bytes, the core %llu, rooms %llu, the heap "
                   "%llu",
                   index, (unsigned long long)heap_size, (unsigned long long)core->heap_accounted,
                   (unsigned long long)core->layer_size, (unsigned long long)heap_used(core->heap));
    }
    if (open_count != core->open_count) {
        world_fail(world, "core %u: open_count is %u, there are %u", index, core->open_count,
                   open_count);
    }
    unsigned buffers = 0;
    for (unsigned i = 0; i < core->completion_count; i++) {
        buffers += (core->completions[i].flags & COMPLETION_F_BUFFER) != 0;
    }
    for (unsigned i = 0; i < core->turn_send_count; i++) {
        buffers += core->turn_sends[i].buffer_id != CORE_NO_BUFFER;
    }
    if (sim_buffers_out(core->ring) != buffers) {
        world_fail(world, "core %u: B1: %u buffers are out, completions name %u", index,
                   sim_buffers_out(core->ring), buffers);
    }
    service_check(world);
    if (world->app != NULL) {
        app_world_check(world);
    }
}

static void core_end(struct world *world, unsigned index)
{
    struct core *core = world->cores[index];
    struct stats *stats = &core->stats;
    world_note(world, "core%u ends", index);
    world->ended[index] = true;
    uint64_t stop_ms = (sim_now_ns(world->sim) - world->stop_ns) / 1000000;
    if (world->plan.faults.time_jump == 0 &&
        stop_ms > world->plan.config.shutdown_deadline_ms + STOP_SLACK_MS) {
        world_fail(world, "core %u ends %llu ms after the stop", index,
                   (unsigned long long)stop_ms);
    }
    if (core->heap_accounted != 0 || stats->connections != 0 || stats->websockets != 0) {
        world_fail(world, "core %u ends with %llu bytes, %llu connections, %llu WebSockets", index,
                   (unsigned long long)core->heap_accounted, (unsigned long long)stats->connections,
                   (unsigned long long)stats->websockets);
        return;
    }
    service_check(world);
    core_destroy(core);
    journal_core_ended(world, index);
    if (atomic_load(&core->load) != 0) {
        world_fail(world, "core %u ends with a load of %u", index, atomic_load(&core->load));
    }
}

static void stop_all(struct world *world)
{
    if (world->is_stopping || world->failed) {
        return;
    }
    world_note(world, "the server stops");
    world->is_stopping = true;
    ledger_stopping(world);
    world->stop_ns = sim_now_ns(world->sim);
    for (unsigned i = 0; i < world->plan.core_count; i++) {
        core_stop(world->cores[i]);
    }
}

static bool clients_are_done(const struct world *world)
{
    for (unsigned i = 0; i <= world->client_count; i++) {
        if (world->clients[i].state != CLIENT_ENDED) {
            return false;
        }
    }
    return true;
}

static bool connections_are_gone(const struct world *world)
{
    for (unsigned i = 0; i < world->plan.core_count; i++) {
        if (!world->ended[i] && world->cores[i]->open_count != 0) {
            return false;
        }
    }
    return true;
}

static bool cores_are_done(const struct world *world)
{
    for (unsigned i = 0; i < world->plan.core_count; i++) {
        if (!world->ended[i]) {
            return false;
        }
    }
    return true;
}

/* Since the last connection has gone, everybody has rested. */
static bool rooms_are_at_rest(const struct world *world)
{
    return world->ledger == NULL || (connections_are_gone(world) && world->ledger->has_rested);
}

static bool threads_are_done(const struct world *world)
{
    return !strands_have_left(world);
}
