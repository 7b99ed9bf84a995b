/* SPDX-License-Identifier: MIT */
/* SipHash against the values of its paper, and what a keyed hash is for. */
#include "base/siphash.h"

#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

/* Key 00..0f and the input 00, 01, 02 ... of each size, as the reference vectors have it; that of
 * 15 bytes is also in appendix A of the paper. */
void siphash_gives_the_values_of_its_paper(void)
{
    static const struct {
        size_t size;
        uint64_t hash;
    } rows[] = {
        {0, UINT64_C(0x726fdb47dd0e0e31)},  {1, UINT64_C(0x74f839c593dc67fd)},
        {7, UINT64_C(0xab0200f58b01d137)},  {8, UINT64_C(0x93f5f5799a932462)},
        {15, UINT64_C(0xa129ca6149be45e5)},
    };
    uint8_t secret[16];
    uint8_t input[64];
    for (unsigned i = 0; i < sizeof(input); i++) {
        input[i] = (uint8_t)i;
        secret[i % 16] = (uint8_t)(i % 16);
    }
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t *copy = guard_copy(input, rows[i].size);
        EXPECT(siphash(secret, copy, rows[i].size) == rows[i].hash, "a reference vector");
        guard_free(copy);
    }
}

void siphash_depends_on_each_bit_of_key_and_input(void)
{
    uint8_t secret[16] = {1, 2, 3};
    uint8_t input[12] = {4, 5, 6};
    uint64_t hash = siphash(secret, input, sizeof(input));
    for (unsigned bit = 0; bit < sizeof(secret) * 8; bit++) {
        secret[bit / 8] ^= (uint8_t)(1 << bit % 8);
        EXPECT(siphash(secret, input, sizeof(input)) != hash, "a bit of the key");
        secret[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (unsigned bit = 0; bit < sizeof(input) * 8; bit++) {
        input[bit / 8] ^= (uint8_t)(1 << bit % 8);
        EXPECT(siphash(secret, input, sizeof(input)) != hash, "a bit of the input");
        input[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    EXPECT(siphash(secret, input, sizeof(input) - 1) != hash, "the size");
}
