/* SPDX-License-Identifier: MIT */
/* What a seed means: the configuration of the server, the faults of the world, the number of
 * clients, and what follows from them: which ends of a connection need no other cause. */
#ifndef TESTS_SIM_PLAN_H
#define TESTS_SIM_PLAN_H

#include "engine/ring_sim.h"
#include "gyr/gyr.h"

struct dice;

#define CORES_MAX        4
#define CLIENTS_MAX      24
#define THREADS_MAX      2
#define PLAN_HEAP_ENOUGH 40000 /* bytes, for one client */

enum profile {
    PROFILE_ANY,   /* the seed decides */
    PROFILE_CALM,  /* no faults */
    PROFILE_ROUGH, /* faults that a connection survives */
    PROFILE_STORM, /* resets and time jumps too */
    PROFILE_TIGHT, /* little memory, few slots, short time limits */
    PROFILE_STOP,  /* the server is stopped in the middle */
    PROFILE_ROOMS, /* as PROFILE_ROUGH; several cores, and certainly rooms */
    PROFILE_APP,   /* the seed decides; the service is an application */
};

/* Why a connection may end before its script does. */
enum excuse {
    EXCUSE_RESET = 1 << 0,   /* the world breaks connections */
    EXCUSE_TIME = 1 << 1,    /* time limits are short, or time jumps */
    EXCUSE_MEMORY = 1 << 2,  /* the budget is small */
    EXCUSE_LIMIT = 1 << 3,   /* there are fewer slots than clients */
    EXCUSE_STOP = 1 << 4,    /* the server stops */
    EXCUSE_SELF = 1 << 5,    /* the client has broken it */
    EXCUSE_SERVICE = 1 << 6, /* the service has */
    EXCUSE_POLICY = 1 << 7,  /* it was refused or closed for a policy, and told so */
};

struct plan {
    uint64_t seed;
    enum profile profile;
    struct gyr_config config;
    struct sim_faults faults;
    unsigned core_count;
    unsigned listener_count;
    unsigned client_count;
    uint32_t socket_size;
    uint32_t backlog;
    uint32_t message_max; /* payload bytes of the largest message that clients send */
    uint32_t calm_step;   /* from this step on there are no faults */
    uint32_t stop_step;   /* the server is stopped then; 0: when all is done */
    unsigned excuses;
    uint32_t address_count; /* that clients come from; 0: there are no policies */
    uint32_t reload_steps;  /* policies change once in so many steps; 0: never */
    bool is_app;            /* the service is an application: no policies, no ledger */
    bool has_app_rooms;     /* ... which has a room */

    unsigned room_count;    /* that clients are in; 0: this world has no rooms */
    unsigned thread_count;  /* beside the cores */
    uint32_t letters_max;   /* messages that may be published */
    uint32_t letter_bytes;  /* ... and their bytes, all together */
    uint32_t act_chance;    /* per mille: a callback does something with rooms */
    uint32_t switch_chance; /* per mille: a core is left where the broadcast ring has a point */
    uint32_t freeze_chance; /* per mille: ... and does not go on for a while */
};

void plan_make(struct plan *plan, uint64_t seed, enum profile profile);
/* Policies of a public server, most of them switched off. */
void plan_policies_draw(struct gyr_config *config, struct dice *dice);

#endif
