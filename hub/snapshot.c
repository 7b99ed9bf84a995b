/* SPDX-License-Identifier: MIT */
/* Who is connected, or in a room: snapshots of all cores, and walks over one. Both are copies of
 * handles, so that nothing that happens to the connections meanwhile can hurt.
 *
 *   gyr_snapshot        any thread        a letter to the core that will hand it out, its home
 *   snapshot_begin      home              copies its own, asks the others by letters
 *   snapshot_collect    each other core   copies its own, tells home
 *   snapshot_look       home              hands it out when all have answered
 *
 * Only the first letter is the caller's to see refused: what is refused later, by a mailbox that is
 * full at the moment, is tried again by a timer of the home core, which also finds answers that
 * nobody could tell it of. A core that has ended has no connections; if home itself ends first
 * (snapshots_end), it hands out what it has. So `done` is called exactly once, whatever happens
 * (N2). */
#include "hub/snapshot.h"

#include "hub/hub.h"

#define RETRY_MS 1

/* What one core has. Written by that core up to `answered`; by home, if it asks in vain. */
struct part {
    struct gyr_handle *handles; /* owned */
    size_t count;
    int err;
    _Atomic bool
        answered; /* publishes the fields above; partner: snapshot_is_whole and _hand_out */

    /* Home only; read by anybody once it was handed out. */
    bool asked;
    size_t first; /* index of its first handle in the snapshot */
    size_t end;   /* ... and of the first of the next part; the same if it came too late */
};

struct gyr_snapshot {
    struct list waiting; /* of home; first, so that the list's node is the snapshot */
    void (*done)(struct gyr_core *core, void *arg, struct gyr_snapshot *snapshot);
    void *arg;
    struct gyr_timer timer;
    struct gyr_server *server; /* borrowed; it may be gone when the snapshot was handed out */
    unsigned core_count;
    unsigned home;
    bool handed_out; /* home only */
    bool of_room;
    int err;
    size_t count;
    _Atomic uint32_t ref_count; /* of home or who it was given to, and of each letter */
    size_t room_size;
    uint8_t room[GYR_ROOM_NAME_SIZE_MAX];
    struct part parts[]; /* core_count */
};

static void snapshot_begin(struct gyr_core *core, void *arg);
static void snapshot_ask(struct gyr_snapshot *snapshot);
static int snapshot_post(struct gyr_snapshot *snapshot, unsigned core_index,
                         void (*fn)(struct gyr_core *core, void *arg));
static void snapshot_collect(struct gyr_core *core, void *arg);
static void snapshot_copy(struct gyr_snapshot *snapshot, struct gyr_core *core);
static void snapshot_look(struct gyr_core *core, void *arg);
static void snapshot_tick(struct gyr_core *core, void *arg);
static void snapshot_go_on(struct gyr_snapshot *snapshot, struct gyr_core *core);
static bool snapshot_is_whole(const struct gyr_snapshot *snapshot);
static void snapshot_hand_out(struct gyr_snapshot *snapshot, struct gyr_core *core);
static void snapshot_unref(struct gyr_snapshot *snapshot);
static int handles_copy(struct gyr_core *core, const struct gyr_span *room,
                        struct gyr_handle **handles, size_t *count);
static int handles_of_room(struct hub_core *core, const struct room *room,
                           struct gyr_handle **handles, size_t *count);
static int handles_of_all(struct gyr_core *core, struct gyr_handle **handles, size_t *count);

void snapshots_begin(struct hub_core *core)
{
    list_init(&core->snapshots.waiting);
    core->snapshots.is_open = true;
}

/* ---- snapshots ---- */

int gyr_snapshot(struct gyr_server *server, const struct gyr_span *room, unsigned core_index,
                 void (*done)(struct gyr_core *core, void *arg, struct gyr_snapshot *snapshot),
                 void *arg)
{
    struct hub *hub = hub_of_server(server);
    if (core_index >= hub->core_count || (room != NULL && room->size > GYR_ROOM_NAME_SIZE_MAX)) {
        return GYR_ERR_ARGUMENT;
    }
    if (!engine_server_is_made(server)) {
        return GYR_ERR_STATE;
    }
    _Atomic uint32_t *count = &hub->cores[core_index]->snapshots.count;
    int err = GYR_ERR_BACKPRESSURE;
    /* Nothing but a number: no order is asked for. */
    if (atomic_fetch_add_explicit(count, 1, memory_order_relaxed) >= SNAPSHOTS_MAX) {
        goto fail;
    }
    err = GYR_ERR_MEMORY;
    struct gyr_snapshot *snapshot =
        memory_alloc(sizeof(*snapshot) + hub->core_count * sizeof(snapshot->parts[0]));
    if (snapshot == NULL) {
        goto fail;
    }
    snapshot->done = done;
    snapshot->arg = arg;
    snapshot->server = server;
    snapshot->core_count = hub->core_count;
    snapshot->home = core_index;
    snapshot->of_room = room != NULL;
    if (room != NULL && room->size != 0) {
        snapshot->room_size = room->size;
        memcpy(snapshot->room, room->ptr, room->size);
    }
    atomic_init(&snapshot->ref_count, 1);
    err = engine_core_post(engine_server_core(server, core_index), snapshot_begin, snapshot);
    if (err == 0) {
        return 0;
    }
    snapshot_unref(snapshot);
fail:
    atomic_fetch_sub_explicit(count, 1, memory_order_relaxed);
    return err;
}

/* Its reference is home's from now on. */
static void snapshot_begin(struct gyr_core *core, void *arg)
{
    struct gyr_snapshot *snapshot = arg;
    snapshot->parts[snapshot->home].asked = true;
    if (!hub_of_core(core)->snapshots.is_open) { /* a start has failed: letters are opened still */
        snapshot_hand_out(snapshot, core);
        return;
    }
    list_push_back(&hub_of_core(core)->snapshots.waiting, &snapshot->waiting);
    snapshot_copy(snapshot, core);
    snapshot_go_on(snapshot, core);
}

/* Ask all that were not asked yet. */
static void snapshot_ask(struct gyr_snapshot *snapshot)
{
    for (unsigned i = 0; i < snapshot->core_count; i++) {
        struct part *part = &snapshot->parts[i];
        if (part->asked) {
            continue;
        }
        int err = snapshot_post(snapshot, i, snapshot_collect);
        part->asked = err == 0 || err == GYR_ERR_CLOSED;
        if (err == GYR_ERR_CLOSED) {
            atomic_store_explicit(&part->answered, true, memory_order_relaxed);
        }
    }
}

/* A letter holds a reference. */
static int snapshot_post(struct gyr_snapshot *snapshot, unsigned core_index,
                         void (*fn)(struct gyr_core *core, void *arg))
{
    struct gyr_core *core = engine_server_core(snapshot->server, core_index);
    atomic_fetch_add_explicit(&snapshot->ref_count, 1, memory_order_relaxed);
    int err = engine_core_post(core, fn, snapshot);
    if (err < 0) {
        snapshot_unref(snapshot);
    }
    return err;
}

static void snapshot_collect(struct gyr_core *core, void *arg)
{
    struct gyr_snapshot *snapshot = arg;
    snapshot_copy(snapshot, core);
    /* Refused: home's timer will find the answer, or home has ended. */
    (void)!snapshot_post(snapshot, snapshot->home, snapshot_look);
    snapshot_unref(snapshot);
}

static void snapshot_copy(struct gyr_snapshot *snapshot, struct gyr_core *core)
{
    struct part *part = &snapshot->parts[gyr_core_index(core)];
    const struct gyr_span room = {(const char *)snapshot->room, snapshot->room_size};
    part->err = handles_copy(core, snapshot->of_room ? &room : NULL, &part->handles, &part->count);
    atomic_store_explicit(&part->answered, true, memory_order_release);
}

static void snapshot_look(struct gyr_core *core, void *arg)
{
    struct gyr_snapshot *snapshot = arg;
    if (!snapshot->handed_out && snapshot_is_whole(snapshot)) {
        snapshot_hand_out(snapshot, core);
    }
    snapshot_unref(snapshot);
}

static void snapshot_tick(struct gyr_core *core, void *arg)
{
    snapshot_go_on(arg, core);
}

static void snapshot_go_on(struct gyr_snapshot *snapshot, struct gyr_core *core)
{
    snapshot_ask(snapshot);
    if (snapshot_is_whole(snapshot)) {
        snapshot_hand_out(snapshot, core);
    } else {
        gyr_timer_start(core, &snapshot->timer, RETRY_MS, snapshot_tick, snapshot);
    }
}

static bool snapshot_is_whole(const struct gyr_snapshot *snapshot)
{
    for (unsigned i = 0; i < snapshot->core_count; i++) {
        if (!atomic_load_explicit(&snapshot->parts[i].answered, memory_order_acquire)) {
            return false;
        }
    }
    return true;
}

/* Home's reference is the service's from now on. */
static void snapshot_hand_out(struct gyr_snapshot *snapshot, struct gyr_core *core)
{
    gyr_timer_stop(core, &snapshot->timer);
    list_remove(&snapshot->waiting);
    snapshot->handed_out = true;
    atomic_fetch_sub_explicit(&hub_of_core(core)->snapshots.count, 1, memory_order_relaxed);
    for (unsigned i = 0; i < snapshot->core_count; i++) {
        struct part *part = &snapshot->parts[i];
        part->first = snapshot->count;
        int err = GYR_ERR_CLOSED;
        if (atomic_load_explicit(&part->answered, memory_order_acquire)) {
            err = part->err;
            snapshot->count += part->count;
        }
        part->end = snapshot->count;
        snapshot->err = snapshot->err == 0 ? err : snapshot->err;
    }
    snapshot->done(core, snapshot->arg, snapshot);
}

void snapshots_end(struct hub_core *core)
{
    struct list *waiting = &core->snapshots.waiting;
    core->snapshots.is_open = false;
    while (!list_is_empty(waiting)) {
        snapshot_hand_out(CONTAINER_OF(waiting->next, struct gyr_snapshot, waiting), core->core);
    }
}

static void snapshot_unref(struct gyr_snapshot *snapshot)
{
    /* Release what this thread has written, acquire what others have: the last one frees it all. */
    if (atomic_fetch_sub_explicit(&snapshot->ref_count, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (unsigned i = 0; i < snapshot->core_count; i++) {
        memory_free(snapshot->parts[i].handles);
    }
    memory_free(snapshot);
}

int gyr_snapshot_error(const struct gyr_snapshot *snapshot)
{
    return snapshot->err;
}

size_t gyr_snapshot_count(const struct gyr_snapshot *snapshot)
{
    return snapshot->count;
}

struct gyr_handle gyr_snapshot_at(const struct gyr_snapshot *snapshot, size_t index)
{
    unsigned low = 0;
    unsigned high = snapshot->core_count - 1;
    ASSERT(index < snapshot->count);
    while (low < high) { /* the first part whose end is behind it */
        unsigned middle = (low + high) / 2;
        if (snapshot->parts[middle].end > index) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return snapshot->parts[low].handles[index - snapshot->parts[low].first];
}

void gyr_snapshot_free(struct gyr_snapshot *snapshot)
{
    if (snapshot != NULL) {
        snapshot_unref(snapshot);
    }
}

/* ---- walks ---- */

struct gyr_conn *gyr_walk_begin(struct gyr_walk *walk, struct gyr_core *core,
                                const struct gyr_span *room)
{
    struct gyr_handle *handles = NULL;
    *walk = (struct gyr_walk){.core = core};
    walk->err = handles_copy(core, room, &handles, &walk->count);
    walk->private_ = handles;
    return gyr_walk_next(walk);
}

struct gyr_conn *gyr_walk_next(struct gyr_walk *walk)
{
    const struct gyr_handle *handles = walk->private_;
    while (walk->index < walk->count) {
        struct gyr_conn *conn = gyr_core_find(walk->core, handles[walk->index++]);
        if (conn != NULL) {
            return conn;
        }
    }
    gyr_walk_end(walk);
    return NULL;
}

void gyr_walk_end(struct gyr_walk *walk)
{
    memory_free(walk->private_);
    walk->private_ = NULL;
    walk->count = 0;
}

/* ---- handles of one core ---- */

/* Not from the core's heap: when peers have used that up, whoever has to end some of them must
 * still be able to go through them. */
static int handles_copy(struct gyr_core *core, const struct gyr_span *room,
                        struct gyr_handle **handles, size_t *count)
{
    struct hub_core *hub_core = hub_of_core(core);
    *count = 0;
    if (!hub_core->snapshots.is_open) {
        return 0;
    }
    if (room == NULL) {
        return handles_of_all(core, handles, count);
    }
    const struct room *found = rooms_find(hub_core, *room, hub_hash(hub_core->hub, *room));
    return found == NULL ? 0 : handles_of_room(hub_core, found, handles, count);
}

static int handles_of_room(struct hub_core *core, const struct room *room,
                           struct gyr_handle **handles, size_t *count)
{
    *handles = memory_alloc(room->member_count * sizeof(**handles));
    if (*handles == NULL) {
        return GYR_ERR_MEMORY;
    }
    for (uint32_t i = 0; i < room->member_count; i++) {
        uint32_t index = room->members[i].conn_index;
        (*handles)[i] = gyr_conn_handle(engine_conn_at(core->core, index));
    }
    *count = room->member_count;
    return 0;
}

/* Open WebSockets are counted first: that is cheaper than room for all that there might be. */
static int handles_of_all(struct gyr_core *core, struct gyr_handle **handles, size_t *count)
{
    uint32_t used = engine_core_conns_used(core);
    size_t open_count = 0;
    for (uint32_t i = 0; i < used; i++) {
        open_count += engine_conn_is_open(engine_conn_at(core, i));
    }
    *handles = open_count == 0 ? NULL : memory_alloc(open_count * sizeof(**handles));
    if (*handles == NULL) {
        return open_count == 0 ? 0 : GYR_ERR_MEMORY;
    }
    for (uint32_t i = 0; i < used; i++) {
        const struct gyr_conn *conn = engine_conn_at(core, i);
        if (engine_conn_is_open(conn)) {
            (*handles)[(*count)++] = gyr_conn_handle(conn);
        }
    }
    return 0;
}
