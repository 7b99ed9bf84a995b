/* SPDX-License-Identifier: MIT */
/* What every backend has to keep (include/gyr/gyr_backend.h), as scripts that run against any
 * table: on a stage of several nodes with several cores each, without threads, where a seed decides
 * what happens next. A backend that talks to the world gets its world from the bed. */
#ifndef TESTS_BACKEND_CONTRACT_H
#define TESTS_BACKEND_CONTRACT_H

#include "gyr/gyr_backend.h"

/* What a backend is tested in. */
struct contract_bed {
    const char *name;
    const struct gyr_backend *table; /* created once for each node */
    unsigned node_count;
    /* What lies between the nodes, or NULL: its result is the `user` of each node's `create`. */
    void *(*begin)(unsigned node_count, uint64_t seed, unsigned fault);
    void (*end)(void *world);
    /* Let something happen there; false: nothing is under way. */
    bool (*step)(void *world);
    unsigned fault; /* which mistake it makes, for tests of the contract itself; 0: none */
};

/* X(name of the script) */
#define BACKEND_CONTRACT_SCRIPTS(X)               \
    X(reaches_exactly_those_who_have_subscribed)  \
    X(carries_every_byte)                         \
    X(keeps_the_order_of_each_room)               \
    X(gives_every_request_back_once)              \
    X(loses_nothing_when_the_hub_is_full)         \
    X(refuses_and_tells_when_there_is_room_again) \
    X(ends_a_subscription)                        \
    X(tells_what_was_missed_without_a_gap)        \
    X(tells_what_it_does_not_keep)                \
    X(knows_who_is_present)                       \
    X(calls_nothing_after_its_end)

#define BACKEND_CONTRACT_ENUM(name) BACKEND_CONTRACT_##name,
enum contract_script {
    BACKEND_CONTRACT_SCRIPTS(BACKEND_CONTRACT_ENUM) BACKEND_CONTRACT_COUNT,
};
#undef BACKEND_CONTRACT_ENUM

/* Run one script. NULL, or what the backend has done wrong first. */
const char *backend_contract_run(const struct contract_bed *bed, enum contract_script script,
                                 uint64_t seed);
const char *backend_contract_name(enum contract_script script);

#endif
