/* SPDX-License-Identifier: MIT */
/* XXH3 with a secret: a fast hash of names, that nobody can predict who does not know the secret.
 * Equal hashes prove nothing: names are compared. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/base.h"

#define HASH_SECRET_SIZE 192

struct hash_secret {
    uint8_t bytes[HASH_SECRET_SIZE];
};

/* From the kernel's random numbers. -errno. */
MUST_CHECK int hash_secret_init(struct hash_secret *secret);

uint64_t hash_bytes(const struct hash_secret *secret, const void *bytes, size_t size) READS(2, 3);

/* hash_bytes of these sixteen bytes: what is shorter and filled up with zeros costs no branch. */
uint64_t hash_pair(const struct hash_secret *secret, uint64_t first, uint64_t second);

#endif
