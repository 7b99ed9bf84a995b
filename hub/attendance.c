/* SPDX-License-Identifier: MIT */
/* Presence, between connections and the backend. Only members with a text id count, in rooms whose
 * rule asks for it; a connection that ends leaves its rooms while it still has its id. */
#include "hub/attendance.h"

#include "hub/hub.h"
#include "hub/names.h"

/* A list of ids, for a service; its bytes follow. */
struct gyr_presence {
    int err;
    size_t count;
    struct gyr_span ids[];
};

/* A question of a service, and then the answer on its way to a core. */
struct roll_call {
    struct engine_letter letter; /* first member; the engine frees it */
    unsigned core_index;
    void (*done)(struct gyr_core *core, void *arg, struct gyr_presence *presence);
    void *arg;
    struct gyr_presence
        *presence; /* owned; made before it is asked, so that an error can be told */
};

static bool is_asked_for(const struct hub *hub, const struct gyr_room_rule *rule)
{
    return rule != NULL && rule->presence && backend_can(&hub->backend, GYR_BACKEND_PRESENCE);
}

static struct gyr_span id_of(const struct hub_core *core, uint32_t conn_index)
{
    struct span id = name_id(core->members[conn_index].name);
    return (struct gyr_span){(const char *)id.ptr, id.size};
}

/* ---- who comes and goes ---------------------------------------------------------------------- */

int attendance_join(struct hub_core *core, const struct room *room, uint32_t conn_index)
{
    const struct backend *backend = &core->hub->backend;
    if (LIKELY(!is_asked_for(core->hub, room->rule)) || core->members[conn_index].name == NULL) {
        return 0;
    }
    return backend->table->presence_add(backend->state, core->index, room_name(room),
                                        id_of(core, conn_index));
}

void attendance_leave(struct hub_core *core, const struct room *room, uint32_t conn_index)
{
    const struct backend *backend = &core->hub->backend;
    if (UNLIKELY(is_asked_for(core->hub, room->rule)) && core->members[conn_index].name != NULL) {
        backend->table->presence_remove(backend->state, core->index, room_name(room),
                                        id_of(core, conn_index));
    }
}

int attendance_name(struct hub_core *core, uint32_t conn_index)
{
    const struct member *member = &core->members[conn_index];
    for (uint32_t i = 0; i < member->seat_count; i++) {
        const struct room *room = rooms_at(&core->rooms, rooms_of_member(member, i));
        int err = attendance_join(core, room, conn_index);
        if (err < 0) {
            while (i > 0) {
                i--;
                room = rooms_at(&core->rooms, rooms_of_member(member, i));
                attendance_leave(core, room, conn_index);
            }
            return err;
        }
    }
    return 0;
}

/* ---- who is there ---------------------------------------------------------------------------- */

int gyr_presence(struct gyr_server *server, struct gyr_span room, unsigned core_index,
                 void (*done)(struct gyr_core *core, void *arg, struct gyr_presence *presence),
                 void *arg)
{
    if (!engine_server_is_made(server)) {
        return GYR_ERR_STATE;
    }
    struct hub *hub = hub_of_server(server);
    if (core_index >= hub->core_count || room.size > GYR_ROOM_NAME_SIZE_MAX || done == NULL) {
        return GYR_ERR_ARGUMENT;
    }
    if (!is_asked_for(hub, hub_rule(hub, room))) {
        return GYR_ERR_UNSUPPORTED;
    }
    if (atomic_load_explicit(&hub->cores_ended, memory_order_acquire) == hub->core_count) {
        return GYR_ERR_CLOSED;
    }
    _Atomic uint32_t *call_count = &hub->cores[core_index]->roll_calls;
    if (atomic_fetch_add_explicit(call_count, 1, memory_order_relaxed) >= ROLL_CALLS_MAX) {
        atomic_fetch_sub_explicit(call_count, 1, memory_order_relaxed);
        return GYR_ERR_BACKPRESSURE;
    }
    struct roll_call *call = memory_alloc(sizeof(*call));
    struct gyr_presence *presence = memory_alloc(sizeof(*presence));
    int err = GYR_ERR_MEMORY;
    if (call != NULL && presence != NULL) {
        *call = (struct roll_call){
            .core_index = core_index, .done = done, .arg = arg, .presence = presence};
        err = hub->backend.table->presence(hub->backend.state, GYR_BACKEND_NO_CORE, room, call);
    }
    if (err < 0) {
        memory_free(presence);
        memory_free(call);
        atomic_fetch_sub_explicit(call_count, 1, memory_order_relaxed);
    }
    return err;
}

static void call_answered(struct gyr_core *core, void *arg)
{
    const struct roll_call *call = arg;
    atomic_fetch_sub_explicit(&hub_of_core(core)->roll_calls, 1, memory_order_relaxed);
    call->done(core, call->arg, call->presence);
}

/* NULL: no memory. */
static struct gyr_presence *presence_copy(const struct gyr_span *ids, size_t id_count)
{
    size_t size = sizeof(struct gyr_presence) + id_count * sizeof(struct gyr_span);
    for (size_t i = 0; i < id_count; i++) {
        size += ids[i].size;
    }
    struct gyr_presence *copy = memory_alloc(size);
    if (copy == NULL) {
        return NULL;
    }
    char *end = (char *)&copy->ids[id_count];
    copy->count = id_count;
    for (size_t i = 0; i < id_count; i++) {
        memcpy(end, ids[i].ptr, ids[i].size);
        copy->ids[i] = (struct gyr_span){.ptr = end, .size = ids[i].size};
        end += ids[i].size;
    }
    return copy;
}

void attendance_done(struct hub *hub, void *request, int err, const struct gyr_span *ids,
                     size_t id_count)
{
    struct roll_call *call = request;
    struct gyr_presence *copy = err == 0 ? presence_copy(ids, id_count) : NULL;
    if (copy != NULL) {
        memory_free(call->presence);
        call->presence = copy;
    } else {
        call->presence->err = err < 0 ? err : GYR_ERR_MEMORY;
    }
    struct gyr_core *core = hub_core_at(hub, call->core_index);
    if (engine_core_give(core, &call->letter, call_answered, call) < 0) { /* it has ended */
        atomic_fetch_sub_explicit(&hub->cores[call->core_index]->roll_calls, 1,
                                  memory_order_relaxed);
        memory_free(call->presence);
        memory_free(call);
    }
}

int gyr_presence_error(const struct gyr_presence *presence)
{
    return presence->err;
}

size_t gyr_presence_count(const struct gyr_presence *presence)
{
    return presence->count;
}

struct gyr_span gyr_presence_at(const struct gyr_presence *presence, size_t index)
{
    ASSERT(index < presence->count);
    return presence->ids[index];
}

void gyr_presence_free(struct gyr_presence *presence)
{
    memory_free(presence);
}
