/* SPDX-License-Identifier: MIT */
/* What a service calls about rooms and who is in them, and what it is told: gyr_join and its kin,
 * events, figures. */
#include "hub/deliver.h"
#include "hub/hub.h"

/* ---- calls ----------------------------------------------------------------------------------- */

int gyr_join(struct gyr_conn *conn, struct gyr_span room)
{
    int err = engine_conn_may_send(conn);
    if (err < 0) {
        return err;
    }
    if (room.size > GYR_ROOM_NAME_SIZE_MAX) {
        return GYR_ERR_ARGUMENT;
    }
    struct hub_core *core = hub_of_conn(conn);
    struct room *joined_room;
    bool joined;
    return rooms_join(core, conn, room, hub_hash(core->hub, room), &joined_room, &joined);
}

/* The room of this name that this connection may be in, or NULL. */
static struct room *room_of(const struct gyr_conn *conn, struct gyr_span name)
{
    const struct hub_core *core = hub_of_conn(conn);
    bool has_any = core->members[engine_conn_index(conn)].seat_count != 0;
    return has_any && name.size <= GYR_ROOM_NAME_SIZE_MAX
               ? rooms_find(core, name, hub_hash(core->hub, name))
               : NULL;
}

void gyr_leave(struct gyr_conn *conn, struct gyr_span name)
{
    struct hub_core *core = hub_of_conn(conn);
    struct room *room = room_of(conn, name);
    if (room != NULL) {
        deliver_before(core, hub_member(core, conn), room->shared->lane);
        rooms_leave(core, room, engine_conn_index(conn));
    }
}

bool gyr_is_member(const struct gyr_conn *conn, struct gyr_span name)
{
    const struct room *room = room_of(conn, name);
    return room != NULL && rooms_has(hub_of_conn(conn), room->index, engine_conn_index(conn));
}

size_t gyr_conn_room_count(const struct gyr_conn *conn)
{
    return hub_member(hub_of_conn(conn), conn)->seat_count;
}

struct gyr_span gyr_conn_room_at(const struct gyr_conn *conn, size_t index)
{
    struct hub_core *core = hub_of_conn(conn);
    const struct member *member = hub_member(core, conn);
    if (index >= member->seat_count) {
        return (struct gyr_span){NULL, 0};
    }
    return room_name(rooms_at(&core->rooms, rooms_of_member(member, (uint32_t)index)));
}

uint64_t gyr_take_dropped(struct gyr_conn *conn)
{
    struct member *member = hub_member(hub_of_conn(conn), conn);
    uint64_t dropped = member->dropped;
    member->dropped = 0;
    return dropped;
}

int gyr_room_stats(const struct gyr_server *server, struct gyr_span room,
                   struct gyr_room_stats *stats, size_t size)
{
    struct hub *hub = hub_of_server(server);
    struct gyr_room_stats sum = {0};
    int err = GYR_ERR_NOT_FOUND;
    if (room.size <= GYR_ROOM_NAME_SIZE_MAX) {
        err = registry_stats(hub->registry, room, hub_hash(hub, room), &sum);
    }
    memset(stats, 0, size);
    memcpy(stats, &sum, MIN(size, sizeof(sum)));
    return err;
}

/* ---- events ---------------------------------------------------------------------------------- */

int hub_news_create(struct hub_core *core, struct gyr_span name, enum gyr_room_event event,
                    struct room_news **news)
{
    *news = NULL;
    if (core->hub->service->on_room == NULL) {
        return 0;
    }
    *news = engine_core_alloc(core->core, sizeof(**news) + name.size);
    if (*news == NULL) {
        return GYR_ERR_MEMORY;
    }
    **news = (struct room_news){.event = event, .name_size = (uint32_t)name.size};
    if (name.size != 0) {
        memcpy((*news)->name, name.ptr, name.size);
    }
    return 0;
}

void hub_news_free(struct hub_core *core, struct room_news *news)
{
    if (news != NULL) {
        engine_core_free(core->core, news, sizeof(*news) + news->name_size);
    }
}

void hub_news_add(struct hub_core *core, struct room_news *news, uint64_t event_number)
{
    if (news == NULL || event_number == 0) {
        hub_news_free(core, news);
        return;
    }
    news->event_number = event_number;
    if (core->news_first == NULL) {
        core->news_first = news;
    } else {
        core->news_last->next = news;
    }
    core->news_last = news;
    engine_core_due(core->core);
}

void hub_news_tell(struct hub_core *core)
{
    struct room_news *news = core->news_first;
    core->news_first = NULL;
    while (news != NULL) {
        struct room_news *next = news->next;
        struct gyr_span name = {news->name, news->name_size};
        core->hub->service->on_room(core->core, name, news->event, news->event_number);
        hub_news_free(core, news);
        news = next;
    }
}
