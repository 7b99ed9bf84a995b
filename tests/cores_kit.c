/* SPDX-License-Identifier: MIT */
#include "tests/cores_kit.h"

#include <CUnit/CUnit.h>

char CORES_LOBBY[] = "lobby";

static void on_publish_ready(struct gyr_core *core)
{
    struct cores *of =
        CONTAINER_OF((struct crowd *)gyr_server_user(gyr_core_server(core)), struct cores, crowd);
    atomic_store(&of->ready_core, gyr_core_index(core));
    (void)sem_post(&of->ready);
}

bool cores_init(struct cores *of)
{
    if (!crowd_init(&of->crowd)) {
        return false;
    }
    (void)sem_init(&of->ready, 0, 0);
    of->crowd.service.on_publish_ready = on_publish_ready;
    return true;
}

bool cores_begin(struct cores *of)
{
    bool is_possible = cores_init(of);
    if (is_possible) {
        crowd_start(&of->crowd);
    }
    return is_possible;
}

struct gyr_span cores_span(const char *text)
{
    return (struct gyr_span){text, strlen(text)};
}

uint64_t cores_figure(struct cores *of, unsigned core, size_t offset)
{
    struct gyr_stats stats;
    uint64_t value;
    gyr_server_stats(of->crowd.server, core, &stats, sizeof(stats));
    memcpy(&value, (const char *)&stats + offset, sizeof(value));
    return value;
}

/* ---- what a core does ------------------------------------------------------------------------ */

struct order {
    const char *room;
    const char *payload;
    struct gyr_publish *publish; /* instead of both */
    int err;
};

static void publish_on(struct gyr_core *core, void *arg)
{
    struct order *order = arg;
    order->err = order->publish != NULL ? gyr_publish_with(core, order->publish)
                                        : gyr_publish(core, cores_span(order->room), GYR_TEXT,
                                                      cores_span(order->payload));
}

int cores_publish(struct cores *of, unsigned core, const char *room, const char *payload)
{
    struct order order = {.room = room, .payload = payload};
    crowd_run_core(&of->crowd, core, publish_on, &order);
    return order.err;
}

int cores_publish_with(struct cores *of, unsigned core, struct gyr_publish *publish)
{
    struct order order = {.publish = publish};
    crowd_run_core(&of->crowd, core, publish_on, &order);
    return order.err;
}

struct gyr_publish cores_publish_to(const struct gyr_span *rooms, size_t room_count,
                                    const char *payload)
{
    struct gyr_publish publish = gyr_publish_default();
    publish.rooms = rooms;
    publish.room_count = room_count;
    publish.payload = cores_span(payload);
    return publish;
}

int cores_publish_foreign(struct cores *of, const char *room, const char *payload)
{
    struct gyr_span name = cores_span(room);
    struct gyr_publish publish = cores_publish_to(&name, 1, payload);
    return gyr_server_publish(of->crowd.server, &publish);
}

void cores_join(struct gyr_conn *conn, void *arg)
{
    EXPECT_INT(gyr_join(conn, cores_span(arg)), 0, arg);
}

void cores_leave(struct gyr_conn *conn, void *arg)
{
    gyr_leave(conn, cores_span(arg));
}

static void hold_on(struct gyr_core *core, void *arg)
{
    struct cores_hold *hold = arg;
    (void)sem_post(&hold->held);
    kit_wait(&hold->go);
    if (hold->last != NULL) {
        hold->last(core, hold->arg);
    }
    (void)sem_post(&hold->gone);
}

void cores_hold(struct cores *of, unsigned core, struct cores_hold *hold)
{
    (void)sem_init(&hold->held, 0, 0);
    (void)sem_init(&hold->go, 0, 0);
    (void)sem_init(&hold->gone, 0, 0);
    EXPECT_INT(gyr_post(of->crowd.server, core, hold_on, hold), 0, "posted");
    kit_wait(&hold->held);
}

void cores_let_go(struct cores_hold *hold)
{
    (void)sem_post(&hold->go);
    kit_wait(&hold->gone);
}

static void on_done(struct gyr_core *core, void *arg, const struct gyr_published *published)
{
    struct cores_told *told = arg;
    told->core = gyr_core_index(core);
    told->published = *published;
    for (size_t i = 0; i < published->error_count; i++) {
        told->errors[i] = published->errors[i];
    }
    atomic_fetch_add(&told->count, 1);
    (void)sem_post(&told->done);
}

struct gyr_publish cores_ask(struct cores_told *told, const struct gyr_span *rooms,
                             size_t room_count)
{
    struct gyr_publish publish = cores_publish_to(rooms, room_count, "x");
    publish.done = on_done;
    publish.arg = told;
    publish.done_core_index = 1;
    publish.errors_max = 8;
    *told = (struct cores_told){.core = 99};
    (void)sem_init(&told->done, 0, 0);
    return publish;
}
