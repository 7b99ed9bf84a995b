/* SPDX-License-Identifier: MIT */
/* The hash of names: of the bytes and the secret, and of nothing else. */
#include "base/hash.h"

#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdlib.h>

#define SIZE_MAX_TESTED 300U /* names have up to 255 bytes */

void hash_is_of_the_bytes_wherever_they_lie(void)
{
    static uint8_t bytes[SIZE_MAX_TESTED];
    struct hash_secret secret;
    EXPECT_INT(hash_secret_init(&secret), 0, "a secret");
    for (unsigned i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 37 + 1);
    }
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        uint64_t hash = hash_bytes(&secret, bytes, size);
        for (size_t offset = 0; offset < 8; offset++) {
            uint8_t *copy = malloc(offset + size + 1); /* so that a sanitizer sees each end */
            memset(copy, 0xee, offset + size + 1);
            memcpy(copy + offset, bytes, size);
            EXPECT(hash_bytes(&secret, copy + offset, size) == hash, "the same bytes");
            free(copy);
        }
    }
}

void hash_differs_for_every_bit_and_size(void)
{
    static uint8_t bytes[SIZE_MAX_TESTED];
    struct hash_secret secret;
    EXPECT_INT(hash_secret_init(&secret), 0, "a secret");
    for (size_t size = 1; size <= sizeof(bytes); size++) {
        uint64_t hash = hash_bytes(&secret, bytes, size);
        EXPECT(hash != hash_bytes(&secret, bytes, size - 1), "one byte less");
        for (size_t bit = 0; bit < size * 8; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
            EXPECT(hash_bytes(&secret, bytes, size) != hash, "one bit");
            bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
    }
}

/* What meets under one secret does not under another: nobody can choose names that do. */
void hash_of_another_secret_is_another(void)
{
    struct hash_secret secrets[2];
    unsigned same = 0;
    EXPECT(hash_secret_init(&secrets[0]) == 0 && hash_secret_init(&secrets[1]) == 0, "secrets");
    EXPECT(memcmp(&secrets[0], &secrets[1], sizeof(secrets[0])) != 0, "they are random");
    for (uint32_t i = 0; i < 10000; i++) {
        uint64_t one = hash_bytes(&secrets[0], &i, sizeof(i));
        uint64_t other = hash_bytes(&secrets[1], &i, sizeof(i));
        EXPECT(one != other, "another hash");
        same += (one & 255) == (other & 255);
    }
    EXPECT(same < 200, "nor do the low bits, which choose a bucket, follow each other");
}

void hash_of_a_pair_is_that_of_its_bytes(void)
{
    struct hash_secret secret;
    EXPECT_INT(hash_secret_init(&secret), 0, "a secret");
    for (uint64_t i = 0; i < 256; i++) {
        uint64_t pair[2] = {i * 0x0123456789abcdefU, ~i << 7};
        EXPECT(hash_pair(&secret, pair[0], pair[1]) == hash_bytes(&secret, pair, sizeof(pair)),
               "sixteen bytes");
    }
}
