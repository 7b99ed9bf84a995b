/* SPDX-License-Identifier: MIT */
/* A backend for tests of the contract: nodes that talk to a broker over links that repeat messages,
 * break off and begin again further back, and bring everybody's own messages back. The broker has a
 * backend_local, so histories and presence are its. One thread. */
#ifndef TESTS_BACKEND_BUS_H
#define TESTS_BACKEND_BUS_H

#include "tests/backend_contract.h"

/* Mistakes that a backend may make. X(name) */
#define BUS_FAULTS(X)        \
    X(takes_repeated)        \
    X(publishes_repeated)    \
    X(loses_at_reconnect)    \
    X(delivers_and_echoes)   \
    X(ignores_its_echo)      \
    X(never_unsubscribes)    \
    X(drops_what_is_refused) \
    X(swaps_what_is_refused) \
    X(loses_requests)        \
    X(tells_nobody)          \
    X(takes_everything)      \
    X(forgets_the_newest)    \
    X(believes_any_epoch)    \
    X(keeps_the_absent)      \
    X(goes_on_after_its_end) \
    X(drops_keys)

#define BUS_FAULT_ENUM(name) BUS_##name,
enum bus_fault {
    BUS_sound, /* none */
    BUS_FAULTS(BUS_FAULT_ENUM) BUS_FAULT_COUNT,
};
#undef BUS_FAULT_ENUM

extern const struct gyr_backend backend_bus;

/* For struct contract_bed. */
void *backend_bus_begin(unsigned node_count, uint64_t seed, unsigned fault);
void backend_bus_end(void *world);
bool backend_bus_step(void *world);

#endif
