/* SPDX-License-Identifier: MIT */
/* The world of one seed: cores of one server on one thread, their service, clients, and the
 * oracle that looks at all of them after every turn. */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "engine/core.h"
#include "tests/sim/client.h"
#include "tests/sim/dice.h"
#include "tests/sim/journal.h"
#include "tests/sim/plan.h"
#include "tests/sim/strand.h"
#include "tests/sim/thread.h"

#include <stdio.h>

struct app_world;
struct ledger;
struct visit;
struct job;

struct world {
    struct plan plan;
    struct sim *sim;
    struct gyr_service service;
    struct dice dice;
    struct core *cores[CORES_MAX];
    struct gyr_config configs[CORES_MAX]; /* theirs */
    unsigned core_now;                    /* whose turn it is */
    struct gyr_server *server;            /* owned; NULL: this world has no rooms */
    void *hub;                            /* owned; the layer's state, with a server */
    struct strand strands[STRANDS_MAX];
    unsigned strand_count;
    unsigned strand_now; /* who runs; STRAND_NOBODY: the world itself */
    struct dice strand_dice;
    struct thread threads[THREADS_MAX];
    struct ledger *ledger; /* owned; or NULL */
    struct app_world *app; /* owned; NULL: the service is no application */
    bool ended[CORES_MAX]; /* core_turn has returned false */
    int listeners[CORES_MAX];
    struct gyr_files *files; /* owned */
    struct client *clients;  /* owned; client_count, and one for the probe */
    unsigned client_count;
    struct visit *visits; /* owned; newest first */
    unsigned visit_count;
    struct job *jobs;                /* owned; newest first */
    struct address_table *addresses; /* owned */
    struct dice policy_dice;
    struct pace upgrades[CORES_MAX];
    uint64_t upgrade_count[CORES_MAX];
    struct journal journals[CORES_MAX];
    FILE *trace; /* borrowed; or NULL */
    uint32_t step;
    uint64_t stop_ns; /* when the server was stopped */
    bool is_calm;
    bool is_ending; /* the last client has gone */
    bool is_stopping;
    bool is_upcall; /* the service is running */
    bool is_call;   /* the service is within a call of gyr.h */
    bool failed;
    char failure[400];
};

/* Run one seed to its end. Returns false, and says in `failure` what is wrong. */
bool world_run(uint64_t seed, enum profile profile, FILE *trace, char failure[400]);

/* What a strand runs: one turn of a core. Returns false if it had nothing to do. */
bool world_core_turn(struct world *world, unsigned index);

/* The oracle's verdict; the first counts. */
void world_fail(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A line of the trace. */
void world_note(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
