/* SPDX-License-Identifier: MIT */
/* The hub as a layer above the engine: how it begins and ends with the server and its cores, and
 * what it does when a core's bell rings or a connection ends. */
#include "hub/hub.h"

#include "hub/deliver.h"
#include "hub/names.h"
#include "hub/publish.h"
#include "hub/receipt.h"
#include "hub/recovery.h"

static int hub_server_create(const struct engine_server *server, void **state,
                             struct gyr_error *error);
static int hub_make(struct hub *hub, const struct engine_server *server, struct gyr_error *error);
static int rules_copy(struct hub *hub, struct gyr_error *error);
static int rule_check(const struct gyr_room_rule *rule, size_t index, struct gyr_error *error);
static int room_begin(void *context, unsigned core, struct gyr_span name,
                      const struct gyr_room_rule **rule);
static void room_end(void *context, unsigned core, struct gyr_span name,
                     const struct gyr_room_rule *rule);
static void core_wake(void *context, unsigned core, unsigned from);
static void hub_server_destroy(void *state);
static int hub_server_ready(void *state, struct gyr_error *error);
static void hub_server_start(void *state);
static void hub_server_stop(void *state, uint32_t deadline_ms);
static void hub_server_wait(void *state);
static int hub_core_start(void *state, struct gyr_core *core);
static void hub_core_stop(void *state, struct gyr_core *core);
static uint64_t hub_core_work(void *state, struct gyr_core *core);
static void hub_conn_end(void *state, struct gyr_conn *conn);

const struct engine_layer hub_layer = {
    .server_create = hub_server_create,
    .server_destroy = hub_server_destroy,
    .server_ready = hub_server_ready,
    .server_start = hub_server_start,
    .server_stop = hub_server_stop,
    .server_wait = hub_server_wait,
    .core_start = hub_core_start,
    .core_stop = hub_core_stop,
    .core_work = hub_core_work,
    .conn_end = hub_conn_end,
};

/* ---- a server -------------------------------------------------------------------------------- */

int gyr_server_create(const struct gyr_config *config, const struct gyr_service *service,
                      struct gyr_server **server, struct gyr_error *error)
{
    struct gyr_settings *settings;
    int err = gyr_settings_create(config, &settings, error);
    if (err < 0) {
        return err;
    }
    err = gyr_server_create_with(settings, service, server, error);
    gyr_settings_destroy(settings);
    return err;
}

int gyr_server_create_with(const struct gyr_settings *settings, const struct gyr_service *service,
                           struct gyr_server **server, struct gyr_error *error)
{
    return engine_server_create(settings, service, &hub_layer, server, error);
}

static int hub_server_create(const struct engine_server *server, void **state,
                             struct gyr_error *error)
{
    struct hub *hub = memory_map(sizeof(*hub));
    if (hub == NULL) {
        return ERROR_SET(error, GYR_ERR_MEMORY, "hub: no memory");
    }
    hub->server = server->server;
    hub->config = server->config;
    hub->service = server->service;
    hub->core_count = server->core_count;
    staff_init(&hub->staff);
    int err = rules_copy(hub, error);
    if (err == 0) {
        err = hub_make(hub, server, error);
    }
    if (err < 0) {
        hub_server_destroy(hub);
        return err;
    }
    *state = hub;
    return 0;
}

static int hub_make(struct hub *hub, const struct engine_server *server, struct gyr_error *error)
{
    const struct gyr_config *config = hub->config;
    const struct broadcast_config ring = {
        .core_count = hub->core_count,
        .lane_count = config->broadcast_lanes,
        .entry_count = config->broadcast_entries,
        .wake = core_wake,
        .point = server->point,
        .context = hub,
    };
    const struct registry_config registry = {
        .room_max = config->rooms_max,
        .core_count = hub->core_count,
        .lane_count = config->broadcast_lanes,
        .context = hub,
        .begin = room_begin,
        .end = room_end,
    };
    int err = hash_secret_init(&hub->secret);
    if (err < 0) {
        return ERROR_SET(error, err, "hub: no random numbers: %s", gyr_strerror(err));
    }
    hub->cores = memory_alloc(hub->core_count * sizeof(struct hub_core *));
    hub->ring = broadcast_ring_create(&ring);
    hub->registry = registry_create(&registry);
    bool is_made = hub->cores != NULL && hub->ring != NULL && hub->registry != NULL;
    for (unsigned i = 0; i < hub->core_count && is_made; i++) {
        hub->cores[i] = memory_map(sizeof(struct hub_core));
        is_made = hub->cores[i] != NULL;
        if (is_made) {
            hub->cores[i]->hub = hub;
            hub->cores[i]->index = i;
            hub->cores[i]->ended = true; /* letters are opened also if its start fails */
        }
    }
    if (!is_made) {
        return ERROR_SET(error, GYR_ERR_MEMORY,
                         "hub: no memory for rooms_max = %u, broadcast_lanes = %u, "
                         "broadcast_entries = %u; lower them",
                         config->rooms_max, config->broadcast_lanes, config->broadcast_entries);
    }
    err = names_create(hub->secret.bytes, (uint64_t)config->connections_max * hub->core_count,
                       &hub->names);
    if (err < 0) {
        return ERROR_SET(error, err, "hub: no memory for the ids of connections_max = %u",
                         config->connections_max);
    }
    struct gyr_backend_hub offer = hub_offer(hub);
    return backend_create(&hub->backend, hub->service->backend, &offer, error);
}

static void hub_server_destroy(void *state)
{
    struct hub *hub = state;
    staff_deinit(&hub->staff, hub->server);
    backend_destroy(&hub->backend);
    for (unsigned i = 0; hub->cores != NULL && i < hub->core_count; i++) {
        struct hub_core *core = hub->cores[i];
        if (core == NULL) {
            continue;
        }
        receipts_discard(core);
        rooms_deinit(&core->rooms);
        memory_unmap(core->members, core->conns_max * sizeof(struct member));
        memory_unmap(core, sizeof(*core));
    }
    names_destroy(hub->names);
    registry_destroy(hub->registry);
    broadcast_ring_destroy(hub->ring);
    memory_free((void *)hub->cores);
    memory_free(hub->rules);
    memory_unmap(hub, sizeof(*hub));
}

/* Workers begin and end with the server. */
static int hub_server_ready(void *state, struct gyr_error *error)
{
    return staff_prepare(&((struct hub *)state)->staff, error);
}

static void hub_server_start(void *state)
{
    staff_begin(&((struct hub *)state)->staff);
}

static void hub_server_stop(void *state, uint32_t deadline_ms)
{
    staff_ask(&((struct hub *)state)->staff, deadline_ms);
}

static void hub_server_wait(void *state)
{
    struct hub *hub = state;
    staff_wait(&hub->staff, hub->server);
}

/* ---- rules of rooms -------------------------------------------------------------------------- */

/* One piece of memory: the rules, and behind them their patterns. */
static int rules_copy(struct hub *hub, struct gyr_error *error)
{
    size_t count = hub->service->room_rule_count;
    size_t patterns_size = 0;
    for (size_t i = 0; i < count; i++) {
        const struct gyr_room_rule *rule = &hub->service->room_rules[i];
        int err = rule_check(rule, i, error);
        if (err < 0) {
            return err;
        }
        patterns_size += rule->pattern.size;
    }
    if (count == 0) {
        return 0;
    }
    hub->rules = memory_alloc(count * sizeof(*hub->rules) + patterns_size);
    if (hub->rules == NULL) {
        return ERROR_SET(error, GYR_ERR_MEMORY, "hub: no memory for %zu room_rules", count);
    }
    char *pattern = (char *)(hub->rules + count);
    for (size_t i = 0; i < count; i++) {
        hub->rules[i] = hub->service->room_rules[i];
        size_t size = hub->rules[i].pattern.size;
        if (size != 0) {
            memcpy(pattern, hub->rules[i].pattern.ptr, size);
        }
        hub->rules[i].pattern.ptr = pattern;
        pattern += size;
    }
    hub->rule_count = count;
    return 0;
}

static int rule_check(const struct gyr_room_rule *rule, size_t index, struct gyr_error *error)
{
    struct gyr_span pattern = rule->pattern;
    if (rule->size != sizeof(*rule)) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "room_rules[%zu]: size = %zu; set it to sizeof(struct gyr_room_rule)",
                         index, rule->size);
    }
    if (pattern.size > GYR_ROOM_NAME_SIZE_MAX + 1 ||
        (pattern.size == GYR_ROOM_NAME_SIZE_MAX + 1 && pattern.ptr[pattern.size - 1] != '*')) {
        return ERROR_SET(error, GYR_ERR_CONFIG,
                         "room_rules[%zu]: a pattern of %zu bytes fits no room; names have up to "
                         "%d",
                         index, pattern.size, GYR_ROOM_NAME_SIZE_MAX);
    }
    if ((unsigned)rule->policy > GYR_ROOM_CLOSE) {
        return ERROR_SET(error, GYR_ERR_CONFIG,
                         "room_rules[%zu] (\"%.*s\"): policy = %u is no enum gyr_room_policy",
                         index, (int)pattern.size, pattern.ptr, (unsigned)rule->policy);
    }
    if (rule->policy == GYR_ROOM_QUEUE && rule->queue_size_max != 0) {
        return ERROR_SET(error, GYR_ERR_CONFIG,
                         "room_rules[%zu] (\"%.*s\"): queue_size_max = %u with GYR_ROOM_QUEUE, "
                         "which queues up to send_queue_size_max; set it to 0, or another policy",
                         index, (int)pattern.size, pattern.ptr, rule->queue_size_max);
    }
    return 0;
}

const struct gyr_room_rule *hub_rule(const struct hub *hub, struct gyr_span name)
{
    for (size_t i = 0; i < hub->rule_count; i++) {
        struct gyr_span pattern = hub->rules[i].pattern;
        bool is_prefix = pattern.size != 0 && pattern.ptr[pattern.size - 1] == '*';
        size_t size = pattern.size - is_prefix;
        bool fits = is_prefix ? name.size >= size : name.size == size;
        if (fits && (size == 0 || memcmp(name.ptr, pattern.ptr, size) == 0)) {
            return &hub->rules[i];
        }
    }
    return NULL;
}

static int room_begin(void *context, unsigned core, struct gyr_span name,
                      const struct gyr_room_rule **rule)
{
    const struct hub *hub = context;
    *rule = hub_rule(hub, name);
    return hub->backend.table->subscribe(hub->backend.state, core, name, *rule);
}

static void room_end(void *context, unsigned core, struct gyr_span name,
                     const struct gyr_room_rule *rule)
{
    const struct hub *hub = context;
    (void)rule;
    hub->backend.table->unsubscribe(hub->backend.state, core, name);
}

/* ---- cores ----------------------------------------------------------------------------------- */

struct gyr_core *hub_core_at(const struct hub *hub, unsigned index)
{
    return hub->server != NULL ? engine_server_core(hub->server, index) : hub->cores[index]->core;
}

static void core_wake(void *context, unsigned core, unsigned from)
{
    struct hub *hub = context;
    if (core != from) {
        engine_core_wake(hub_core_at(hub, core),
                         from != BROADCAST_NOBODY ? hub->cores[from]->core : NULL);
    }
}

void hub_call(struct hub *hub, unsigned index, const struct hub_core *from)
{
    broadcast_call(hub->ring, index, from != NULL ? from->index : BROADCAST_NOBODY);
}

void hub_ready(struct hub *hub, unsigned index)
{
    /* Partner: publish_is_ready. */
    atomic_store_explicit(&hub->cores[index]->ready, true, memory_order_seq_cst);
    hub_call(hub, index, NULL);
}

static int hub_core_start(void *state, struct gyr_core *core_public)
{
    struct hub *hub = state;
    struct hub_core *core = hub->cores[gyr_core_index(core_public)];
    core->core = core_public;
    core->stats = engine_core_stats(core_public);
    core->conns_max = engine_core_conns_max(core_public);
    list_init(&core->cancel_next);
    list_init(&core->cancel_now);
    list_init(&core->worker_timers);
    core->members = memory_map(core->conns_max * sizeof(struct member));
    int err = rooms_init(&core->rooms, hub->config->rooms_max);
    if (core->members == NULL || err < 0) {
        return GYR_ERR_MEMORY;
    }
    err = recovery_begin(core);
    if (err < 0) {
        return err;
    }
    err = hub->backend.table->core_start(hub->backend.state, core->index);
    if (err < 0) {
        recovery_end(core);
        return err;
    }
    engine_core_set_bell(core_public, broadcast_bell(hub->ring, core->index));
    (void)broadcast_join(hub->ring, PUBLISH_LANE_ALL, &hub->everybody, core->index);
    snapshots_begin(core);
    core->ended = false;
    return 0;
}

/* What others had to tell this core's statistics. */
static void core_count(struct hub_core *core)
{
    struct hub *hub = core->hub;
    if (atomic_load_explicit(&core->held, memory_order_relaxed) != 0) {
        STATS_ADD(core->stats, broadcast_held,
                  atomic_exchange_explicit(&core->held, 0, memory_order_relaxed));
    }
    if (core->index == 0 && atomic_load_explicit(&hub->refused_count, memory_order_relaxed) != 0) {
        STATS_ADD(core->stats, publish_refused,
                  atomic_exchange_explicit(&hub->refused_count, 0, memory_order_relaxed));
    }
}

static uint64_t hub_core_work(void *state, struct gyr_core *core_public)
{
    struct hub *hub = state;
    struct hub_core *core = hub->cores[gyr_core_index(core_public)];
    broadcast_ring_owed(hub->ring, core->index);
    bool has_room = deliver_work(core);
    uint64_t again_ns = hub->backend.table->work(hub->backend.state, core->index);
    core_count(core);
    if (publish_is_ready(core, has_room) && hub->service->on_publish_ready != NULL) {
        hub->service->on_publish_ready(core_public);
    }
    hub_news_tell(core);
    receipts_tell(core);
    receipts_cancel(core);
    broadcast_ring_owed(hub->ring, core->index);
    return again_ns;
}

static void hub_conn_end(void *state, struct gyr_conn *conn)
{
    struct hub *hub = state;
    struct hub_core *core = hub->cores[gyr_core_index(gyr_conn_core(conn))];
    uint32_t conn_index = engine_conn_index(conn);
    rooms_leave_all(core, conn_index);
    if (core->members[conn_index].name != NULL) {
        names_remove(hub->names, core->members[conn_index].name);
    }
    core->members[conn_index] = (struct member){0};
}

static void hub_core_stop(void *state, struct gyr_core *core_public)
{
    struct hub *hub = state;
    struct hub_core *core = hub->cores[gyr_core_index(core_public)];
    worker_timers_end(core);
    hub_news_tell(core);
    hub->backend.table->core_stop(hub->backend.state, core->index);
    broadcast_ring_owed(hub->ring, core->index);
    core->ended = true;
    snapshots_end(core);
    deliver_end(core);
    receipts_end(core);
    core_count(core);
    ASSERT(core->rooms.count == 0);
    recovery_end(core);
    /* Partner: has_ended, for threads that are no core's. */
    atomic_fetch_add_explicit(&hub->cores_ended, 1, memory_order_release);
}
