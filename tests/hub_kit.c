/* SPDX-License-Identifier: MIT */
#include "tests/hub_kit.h"

#include <stdlib.h>

static struct hub_kit *kit_of(struct gyr_core *core)
{
    struct kit *kit = *(struct kit **)gyr_core_data(core);
    return CONTAINER_OF(kit, struct hub_kit, kit);
}

static void append(struct kit_bytes *to, const void *bytes, size_t size)
{
    if (to->capacity < to->size + size) {
        to->capacity = (to->size + size) * 2;
        to->ptr = realloc(to->ptr, to->capacity);
        if (to->ptr == NULL) {
            abort();
        }
    }
    memcpy(to->ptr + to->size, bytes, size);
    to->size += size;
}

static void on_room(struct gyr_core *core, struct gyr_span room, enum gyr_room_event event,
                    uint64_t event_number)
{
    struct hub_kit *kit = kit_of(core);
    if (room.size == 1 && room.ptr[0] == 'a') {
        EXPECT(event_number > kit->event_number, "later ones have greater numbers");
        kit->event_number = event_number;
    }
    append(&kit->news, event == GYR_ROOM_CREATED ? "+" : "-", 1);
    append(&kit->news, room.ptr, room.size);
}

static void on_publish_ready(struct gyr_core *core)
{
    kit_of(core)->ready_count++;
}

void hub_kit_init(struct hub_kit *kit)
{
    *kit = (struct hub_kit){0};
    kit_init(&kit->kit);
    kit->kit.config.rooms_max = 1000;
    kit->kit.service.on_room = on_room;
    kit->kit.service.on_publish_ready = on_publish_ready;
    kit->kit.quiet = true;
}

void hub_kit_start(struct hub_kit *kit)
{
    const struct engine_server server = {
        .config = &kit->kit.config,
        .service = &kit->kit.service,
        .core_count = 1,
        .point = kit->point,
    };
    void *state;
    struct gyr_error error;
    if (hub_layer.server_create(&server, &state, &error) < 0) {
        abort();
    }
    kit->hub = state;
    kit->core = kit->hub->cores[0];
    kit->kit.layer = &hub_layer;
    kit->kit.layer_state = state;
    kit_start(&kit->kit);
}

void hub_kit_begin(struct hub_kit *kit)
{
    hub_kit_init(kit);
    hub_kit_start(kit);
}

void hub_kit_end(struct hub_kit *kit)
{
    kit_end(&kit->kit);
    EXPECT_INT(registry_count(kit->hub->registry), 0, "no room is left");
    EXPECT_INT(kit->hub->broadcast_size, 0, "no message is left");
    hub_layer.server_destroy(kit->hub);
    free(kit->news.ptr);
}

struct gyr_conn *hub_kit_open(struct hub_kit *kit)
{
    kit_connect(&kit->kit);
    kit_open(&kit->kit);
    return kit_conn(&kit->kit);
}

bool hub_kit_news_are(struct hub_kit *kit, const char *text)
{
    bool are = kit->news.size == strlen(text) && memcmp(kit->news.ptr, text, kit->news.size) == 0;
    kit->news.size = 0;
    return are;
}

struct gyr_span hub_kit_span(const char *text)
{
    return (struct gyr_span){text, strlen(text)};
}

struct gyr_room_stats hub_kit_stats(struct hub_kit *kit, const char *room)
{
    struct gyr_room_stats stats;
    struct gyr_span name = hub_kit_span(room);
    if (registry_stats(kit->hub->registry, name, hub_hash(kit->hub, name), &stats) < 0) {
        memset(&stats, 0, sizeof(stats));
    }
    return stats;
}

int hub_kit_publish(struct hub_kit *kit, const char *room, const char *payload)
{
    int err = gyr_publish(kit->core->core, hub_kit_span(room), GYR_TEXT, hub_kit_span(payload));
    kit_run(&kit->kit);
    return err;
}

bool hub_kit_got(struct hub_kit *kit, int fd, const char *text)
{
    kit->kit.fd = fd;
    return fan_frames_are(&kit->kit, text);
}
