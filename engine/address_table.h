/* SPDX-License-Identifier: MIT */
/* How many connections each address has, over all cores. */
#ifndef ENGINE_ADDRESS_TABLE_H
#define ENGINE_ADDRESS_TABLE_H

#include "base/base.h"
#include "proto/address.h"

struct address_table;

/* Make an empty table. `secret` keys its hash; it must come from the kernel's random numbers, so
 * that nobody can choose addresses that share a place. GYR_ERR_MEMORY. */
MUST_CHECK int address_table_create(const uint8_t secret[16], struct address_table **table);
void address_table_destroy(struct address_table *table); /* NULL too */

/* Any thread: count a connection of this address, whose port does not matter. Of IPv6 the first 64
 * bits count, which is what one subscriber has (RFC 6177). Unix sockets and addresses that are not
 * known have nothing to tell them apart and are not counted.
 *
 *   max   connections of one address; 0: no limit, but they are counted
 *
 * Returns 0, and address_table_leave is owed; GYR_ERR_LIMIT if it has max; GYR_ERR_MEMORY. One lock
 * among 64, held for a few loads. */
MUST_CHECK int address_table_enter(struct address_table *table, const struct address *address,
                                   uint32_t max);
/* Any thread: take back one address_table_enter that has returned 0. */
void address_table_leave(struct address_table *table, const struct address *address);

/* Any thread, for tests: addresses counted now, bytes that they take, and how well they are spread.
 */
struct address_table_size {
    size_t address_count;
    size_t memory_size;
    size_t stripe_count_max; /* addresses under the lock that has most of them */
    size_t run_max;          /* the longest search */
};
struct address_table_size address_table_size(struct address_table *table);

#endif
