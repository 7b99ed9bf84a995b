/* SPDX-License-Identifier: MIT */
/* The worlds of the rings that are made of the machine's own sockets. Their client descriptors are
 * those of the process. */
#ifndef TESTS_RING_CONTRACT_SOCKETS_H
#define TESTS_RING_CONTRACT_SOCKETS_H

#include "tests/ring_contract.h"

extern const struct ring_contract_world ring_contract_sockets_uring;
extern const struct ring_contract_world ring_contract_sockets_epoll;

#endif
