/* SPDX-License-Identifier: MIT */
/* SipHash-2-4 as its paper has it (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012,
 * section 2): two rounds for each eight bytes, four at the end. */
#include "base/siphash.h"

struct sip_state {
    uint64_t v[4];
};

static void sip_rounds(struct sip_state *state, unsigned count);
static uint64_t rotate(uint64_t word, unsigned bits);
static uint64_t load_le64(const uint8_t *bytes);

uint64_t siphash(const uint8_t secret[16], const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint64_t k0 = load_le64(secret);
    uint64_t k1 = load_le64(secret + 8);
    struct sip_state state = {{
        k0 ^ UINT64_C(0x736f6d6570736575),
        k1 ^ UINT64_C(0x646f72616e646f6d),
        k0 ^ UINT64_C(0x6c7967656e657261),
        k1 ^ UINT64_C(0x7465646279746573),
    }};
    size_t left = size;
    for (; left >= 8; left -= 8, at += 8) {
        uint64_t word = load_le64(at);
        state.v[3] ^= word;
        sip_rounds(&state, 2);
        state.v[0] ^= word;
    }
    /* The last word: what is left, and the size modulo 256 in its highest byte. */
    uint8_t last[8] = {[7] = (uint8_t)size};
    if (left > 0) {
        memcpy(last, at, left);
    }
    uint64_t word = load_le64(last);
    state.v[3] ^= word;
    sip_rounds(&state, 2);
    state.v[0] ^= word;
    state.v[2] ^= 0xff;
    sip_rounds(&state, 4);
    return state.v[0] ^ state.v[1] ^ state.v[2] ^ state.v[3];
}

static void sip_rounds(struct sip_state *state, unsigned count)
{
    uint64_t *v = state->v;
    for (unsigned i = 0; i < count; i++) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] = rotate(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] = rotate(v[2], 32);
    }
}

static uint64_t rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static uint64_t load_le64(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof(word)); /* little endian, as all that Gyr runs on */
    return word;
}
