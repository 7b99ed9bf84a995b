/* SPDX-License-Identifier: MIT */
/* A crowd of two cores whose rooms are published to: on a core, from another thread, while a core
 * is held where a test needs it to be late. */
#ifndef TESTS_CORES_KIT_H
#define TESTS_CORES_KIT_H

#include "hub/hub.h"
#include "tests/crowd_kit.h"
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

extern char CORES_LOBBY[]; /* "lobby", for cores_join and _leave */

struct cores {
    struct crowd crowd;
    sem_t ready; /* on_publish_ready, once for each */
    _Atomic unsigned ready_core;
};

/* crowd_init and crowd_start. False: this machine cannot. */
bool cores_init(struct cores *of);
bool cores_begin(struct cores *of);
struct gyr_span cores_span(const char *text);
/* A figure of one core, UINT_MAX: of all. */
uint64_t cores_figure(struct cores *of, unsigned core, size_t offset);
#define CORES_FIGURE(of, core, name) cores_figure((of), (core), offsetof(struct gyr_stats, name))

/* Publish on a core, or by this thread; returns what that call did. */
int cores_publish(struct cores *of, unsigned core, const char *room, const char *payload);
int cores_publish_with(struct cores *of, unsigned core, struct gyr_publish *publish);
struct gyr_publish cores_publish_to(const struct gyr_span *rooms, size_t room_count,
                                    const char *payload);
int cores_publish_foreign(struct cores *of, const char *room, const char *payload);
/* For crowd_run; `arg` is the room. */
void cores_join(struct gyr_conn *conn, void *arg);
void cores_leave(struct gyr_conn *conn, void *arg);

/* A core that does nothing until it is let go; then `last` runs, in front of everything that has
 * come meanwhile. */
struct cores_hold {
    sem_t held;
    sem_t go;
    sem_t gone;
    void (*last)(struct gyr_core *core, void *arg);
    void *arg;
};
void cores_hold(struct cores *of, unsigned core, struct cores_hold *hold);
void cores_let_go(struct cores_hold *hold);

/* What became of a message. */
struct cores_told {
    sem_t done;
    _Atomic unsigned count;
    unsigned core;
    struct gyr_published published;
    struct gyr_publish_error errors[8];
};
/* A publish of "x" with a receipt, for core 1. */
struct gyr_publish cores_ask(struct cores_told *told, const struct gyr_span *rooms,
                             size_t room_count);

#endif
