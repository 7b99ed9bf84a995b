/* SPDX-License-Identifier: MIT */
/* The kernel seam's contract on io_uring. */
#include "tests/ring_contract_sockets.h"

#define DEFINE(implementation, script) \
    RING_CONTRACT_DEFINE(implementation, script, &ring_contract_sockets_uring)
RING_CONTRACT_SCRIPTS(DEFINE, uring)
