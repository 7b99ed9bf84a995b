/* SPDX-License-Identifier: MIT */
/* The table of the service's functions, and what is checked of it from outside. */
#include "tests/sim/service.h"

#include "tests/sim/world.h"

#include <stdlib.h>

static int on_core_start(struct gyr_core *core)
{
    (void)core;
    return 0;
}

static void on_core_stop(struct gyr_core *core)
{
    (void)core;
}

static void on_trouble(struct gyr_core *core, int err, uint64_t count)
{
    struct world *world = *(struct world **)gyr_core_data(core);
    world_note(world, "core%u on_trouble %d, %llu times", gyr_core_index(core), err,
               (unsigned long long)count);
    if (count == 0) {
        world_fail(world, "on_trouble without trouble");
    }
}

void service_init(struct world *world)
{
    world->service = (struct gyr_service){
        .size = sizeof(struct gyr_service),
        .conn_data_size = sizeof(struct visit *),
        .core_data_size = sizeof(struct world *),
        .on_core_start = on_core_start,
        .on_core_stop = on_core_stop,
        .on_trouble = on_trouble,
        .on_log = journal_on_log,
        .user = world,
        .on_request = service_on_request,
        .on_body = service_on_body,
        .on_done = service_on_done,
        .on_open = service_on_open,
        .on_message = service_on_message,
        .on_part = service_on_part,
        .on_drain = service_on_drain,
        .on_mail = job_on_mail,
        .on_timer = job_on_timer,
        .on_close = service_on_close,
    };
}

void service_check(struct world *world)
{
    /* Those that ended long ago are asked for now and then only. */
    unsigned ended_left = 8;
    for (const struct visit *visit = world->visits; visit != NULL && !world->failed;
         visit = visit->next) {
        bool live = visit->state != VISIT_ENDED;
        struct core *core = world->cores[visit->core_index];
        if (world->strands[visit->core_index].is_within && world->strand_now != visit->core_index) {
            continue; /* it was left in the midst of a turn */
        }
        if (world->ended[visit->core_index]) {
            if (live) {
                world_fail(world, "core %u has ended, and client %u was not told",
                           visit->core_index, visit->client->id);
            }
            continue;
        }
        if (!live && ended_left == 0) {
            continue;
        }
        ended_left -= !live;
        if (gyr_core_find((struct gyr_core *)core, visit->handle) != visit->conn) {
            world_fail(world, "the handle of an exchange of client %u, %s, names something else",
                       visit->client->id, live ? "which lives" : "which has ended");
        }
    }
}

void service_deinit(struct world *world)
{
    while (world->visits != NULL) {
        struct visit *visit = world->visits;
        if (visit->state != VISIT_ENDED) {
            world_fail(world, "an exchange of client %u has never ended (D1), state %d",
                       visit->client->id, visit->state);
        }
        bytes_free(&visit->held);
        bytes_free(&visit->pieces);
        world->visits = visit->next;
        free(visit);
    }
    jobs_free(world);
}
