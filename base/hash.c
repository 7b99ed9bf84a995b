/* SPDX-License-Identifier: MIT */
/* The one includer of xxHash: its header alone, so that nothing is linked. */
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <errno.h>
#include <sys/random.h>

static_assert(HASH_SECRET_SIZE >= XXH3_SECRET_SIZE_MIN, "as long as XXH3 wants it");

int hash_secret_init(struct hash_secret *secret)
{
    /* Up to 256 bytes come whole, or not at all (getrandom(2)). */
    return getrandom(secret->bytes, sizeof(secret->bytes), 0) == sizeof(secret->bytes) ? 0 : -errno;
}

uint64_t hash_bytes(const struct hash_secret *secret, const void *bytes, size_t size)
{
    return XXH3_64bits_withSecret(bytes, size, secret->bytes, sizeof(secret->bytes));
}

uint64_t hash_pair(const struct hash_secret *secret, uint64_t first, uint64_t second)
{
    const uint64_t pair[2] = {first, second};
    return XXH3_64bits_withSecret(pair, sizeof(pair), secret->bytes, sizeof(secret->bytes));
}
