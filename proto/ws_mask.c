/* SPDX-License-Identifier: MIT */
/* Unmasks payload (RFC 6455 section 5.3), one set of functions per SIMD level. Journey: hop 5.
 *
 * Every function goes forward and stores a byte only after loading all that it overlays: as the
 * target never lies above the source, a store can reach only source bytes that are behind us. A
 * byte unmasked twice would be masked again, so the last vector, which overlaps the one before it,
 * is loaded before the first store; both then hold the same result where they overlap.
 *
 * Each level is one always_inline function that also collects the OR of all unmasked bytes; where
 * nobody asks for it, the compiler drops it. */
#include "proto/ws_mask.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define ALWAYS_INLINE  static inline __attribute__((always_inline))
#define NON_ASCII_BITS UINT64_C(0x8080808080808080)

ALWAYS_INLINE uint32_t load_word32(const uint8_t *bytes)
{
    uint32_t word;
    memcpy(&word, bytes, sizeof(word));
    return word;
}

ALWAYS_INLINE uint64_t load_word64(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
    return word;
}

ALWAYS_INLINE void store_word32(uint8_t *bytes, uint32_t word)
{
    memcpy(bytes, &word, sizeof(word));
}

ALWAYS_INLINE void store_word64(uint8_t *bytes, uint64_t word)
{
    memcpy(bytes, &word, sizeof(word));
}

ALWAYS_INLINE uint64_t key_twice(uint32_t key)
{
    return (uint64_t)key << 32 | key;
}

/* Up to 15 bytes as a first and a last word, which overlap in the middle. Returns the OR of all
 * unmasked bytes, spread over the bytes of a word. */
ALWAYS_INLINE uint64_t short_unmask(uint8_t *target, const uint8_t *source, size_t size,
                                    uint32_t key)
{
    if (size >= 8) {
        uint64_t first = load_word64(source) ^ key_twice(key);
        uint64_t last = load_word64(source + size - 8) ^ key_twice(ws_mask_advance(key, size));
        store_word64(target, first);
        store_word64(target + size - 8, last);
        return first | last;
    }
    if (size >= 4) {
        uint32_t first = load_word32(source) ^ key;
        uint32_t last = load_word32(source + size - 4) ^ ws_mask_advance(key, size);
        store_word32(target, first);
        store_word32(target + size - 4, last);
        return first | last;
    }
    if (size == 0) {
        return 0;
    }
    /* Of 1 to 3 bytes, these three are all; some may be the same one. */
    uint8_t first = (uint8_t)(source[0] ^ key);
    uint8_t middle = (uint8_t)(source[size / 2] ^ key >> (size / 2 * 8));
    uint8_t last = (uint8_t)(source[size - 1] ^ key >> ((size - 1) * 8));
    target[0] = first;
    target[size / 2] = middle;
    target[size - 1] = last;
    return (uint64_t)(first | middle | last);
}

/* 16 to 32 bytes likewise. */
ALWAYS_INLINE uint64_t middle_unmask(uint8_t *target, const uint8_t *source, size_t size,
                                     uint32_t key)
{
    uint64_t keys = key_twice(key);
    uint64_t last_keys = key_twice(ws_mask_advance(key, size));
    uint64_t a = load_word64(source) ^ keys;
    uint64_t b = load_word64(source + 8) ^ keys;
    uint64_t c = load_word64(source + size - 16) ^ last_keys;
    uint64_t d = load_word64(source + size - 8) ^ last_keys;
    store_word64(target, a);
    store_word64(target + 8, b);
    store_word64(target + size - 16, c);
    store_word64(target + size - 8, d);
    return a | b | c | d;
}

int ws_unmask_message(const struct ws_mask_ops *ops, uint8_t *target, const uint8_t *source,
                      size_t size, bool text)
{
    uint32_t key = load_word32(source - sizeof(key));
    uint64_t seen;
    if (LIKELY(size - 16 <= 16)) {
        seen = middle_unmask(target, source, size, key);
    } else if (size < 16) {
        seen = short_unmask(target, source, size, key);
    } else if (text) {
        struct ws_utf8 utf8 = {0};
        int err = ws_unmask_text(ops, &utf8, target, source, size, key);
        return err == 0 && !ws_utf8_is_complete(&utf8) ? GYR_ERR_WS_UTF8 : err;
    } else {
        ops->unmask(target, source, size, key);
        return 0;
    }
    if (LIKELY(!text || (seen & NON_ASCII_BITS) == 0)) {
        return 0;
    }
    struct ws_utf8 utf8 = {0};
    int err = ws_utf8_check(&utf8, target, size);
    return err == 0 && !ws_utf8_is_complete(&utf8) ? GYR_ERR_WS_UTF8 : err;
}

/* Each *_run returns true if all unmasked bytes are ASCII. */
ALWAYS_INLINE bool portable_run(uint8_t *target, const uint8_t *source, size_t size, uint32_t key)
{
    if (size < 8) {
        return (short_unmask(target, source, size, key) & NON_ASCII_BITS) == 0;
    }
    uint64_t keys = key_twice(key);
    uint64_t last = load_word64(source + size - 8) ^ key_twice(ws_mask_advance(key, size));
    uint64_t seen = last;
    size_t at = 0;
    for (; at + 32 < size; at += 32) {
        uint64_t a = load_word64(source + at) ^ keys;
        uint64_t b = load_word64(source + at + 8) ^ keys;
        uint64_t c = load_word64(source + at + 16) ^ keys;
        uint64_t d = load_word64(source + at + 24) ^ keys;
        seen |= a | b | c | d;
        store_word64(target + at, a);
        store_word64(target + at + 8, b);
        store_word64(target + at + 16, c);
        store_word64(target + at + 24, d);
    }
    for (; at + 8 < size; at += 8) {
        uint64_t word = load_word64(source + at) ^ keys;
        seen |= word;
        store_word64(target + at, word);
    }
    store_word64(target + size - 8, last);
    return (seen & NON_ASCII_BITS) == 0;
}

static void portable_unmask(uint8_t *target, const uint8_t *source, size_t size, uint32_t key)
{
    (void)portable_run(target, source, size, key);
}

static bool portable_unmask_ascii(uint8_t *target, const uint8_t *source, size_t size, uint32_t key)
{
    return portable_run(target, source, size, key);
}

static const struct ws_mask_ops portable_ops = {portable_unmask, portable_unmask_ascii};

#if defined(__x86_64__)

/* From this size on, the first bytes are done by themselves so that the stores of the rest are
 * aligned: an unaligned vector store crosses a cache line every second or every time. */
#define ALIGN_SIZE_MIN 512

#define TARGET_AVX2   __attribute__((target("avx2,bmi2")))
#define TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,bmi2")))

/* How far it is to the next multiple of a power of two. */
ALWAYS_INLINE size_t distance_to_aligned(const uint8_t *pointer, size_t alignment)
{
    return -(uintptr_t)pointer & (alignment - 1);
}

/* The casts through void are for the compiler: these vectors need no alignment. */
ALWAYS_INLINE __m128i load_128(const uint8_t *bytes)
{
    return _mm_loadu_si128((const void *)bytes);
}

ALWAYS_INLINE void store_128(uint8_t *bytes, __m128i vector)
{
    _mm_storeu_si128((void *)bytes, vector);
}

/* SSE2 is all it takes, which every x86-64 has. */
ALWAYS_INLINE bool sse_run(uint8_t *target, const uint8_t *source, size_t size, uint32_t key)
{
    if (size < 16) {
        return (short_unmask(target, source, size, key) & NON_ASCII_BITS) == 0;
    }
    __m128i keys = _mm_set1_epi32((int)key);
    __m128i last_keys = _mm_set1_epi32((int)ws_mask_advance(key, size));
    __m128i last = _mm_xor_si128(load_128(source + size - 16), last_keys);
    __m128i seen = last;
    size_t at = 0;
    for (; at + 64 < size; at += 64) {
        __m128i a = _mm_xor_si128(load_128(source + at), keys);
        __m128i b = _mm_xor_si128(load_128(source + at + 16), keys);
        __m128i c = _mm_xor_si128(load_128(source + at + 32), keys);
        __m128i d = _mm_xor_si128(load_128(source + at + 48), keys);
        seen = _mm_or_si128(seen, _mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d)));
        store_128(target + at, a);
        store_128(target + at + 16, b);
        store_128(target + at + 32, c);
        store_128(target + at + 48, d);
    }
    for (; at + 16 < size; at += 16) {
        __m128i vector = _mm_xor_si128(load_128(source + at), keys);
        seen = _mm_or_si128(seen, vector);
        store_128(target + at, vector);
    }
    store_128(target + size - 16, last);
    return _mm_movemask_epi8(seen) == 0;
}

static void sse_unmask(uint8_t *target, const uint8_t *source, size_t size, uint32_t key)
{
    (void)sse_run(target, source, size, key);
}

static bool sse_unmask_ascii(uint8_t *target, const uint8_t *source, size_t size, uint32_t key)
{
    return sse_run(target, source, size, key);
}

static const struct ws_mask_ops sse_ops = {sse_unmask, sse_unmask_ascii};

TARGET_AVX2 ALWAYS_INLINE __m256i load_256(const uint8_t *bytes)
{
    return _mm256_loadu_si256((const void *)bytes);
}

TARGET_AVX2 ALWAYS_INLINE void store_256(uint8_t *bytes, __m256i vector)
{
    _mm256_storeu_si256((void *)bytes, vector);
}

/* At least 32 bytes. */
TARGET_AVX2 ALWAYS_INLINE bool avx2_long_run(uint8_t *target, const uint8_t *source, size_t size,
                                             uint32_t key)
{
    __m256i keys = _mm256_set1_epi32((int)key);
    __m256i last_keys = _mm256_set1_epi32((int)ws_mask_advance(key, size));
    __m256i last = _mm256_xor_si256(load_256(source + size - 32), last_keys);
    __m256i seen = last;
    size_t at = 0;
    for (; at + 128 < size; at += 128) {
        __m256i a = _mm256_xor_si256(load_256(source + at), keys);
        __m256i b = _mm256_xor_si256(load_256(source + at + 32), keys);
        __m256i c = _mm256_xor_si256(load_256(source + at + 64), keys);
        __m256i d = _mm256_xor_si256(load_256(source + at + 96), keys);
        seen = _mm256_or_si256(seen, _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d)));
        store_256(target + at, a);
        store_256(target + at + 32, b);
        store_256(target + at + 64, c);
        store_256(target + at + 96, d);
    }
    for (; at + 32 < size; at += 32) {
        __m256i vector = _mm256_xor_si256(load_256(source + at), keys);
        seen = _mm256_or_si256(seen, vector);
        store_256(target + at, vector);
    }
    store_256(target + size - 32, last);
    return _mm256_movemask_epi8(seen) == 0;
}

TARGET_AVX2 ALWAYS_INLINE bool avx2_run(uint8_t *target, const uint8_t *source, size_t size,
                                        uint32_t key)
{
    if (size < 32) {
        return sse_run(target, source, size, key);
    }
    bool head_ascii = true;
    if (size >= ALIGN_SIZE_MIN) {
        size_t head_size = distance_to_aligned(target, 32);
        head_ascii = sse_run(target, source, head_size, key);
        target += head_size;
        source += head_size;
        size -= head_size;
        key = ws_mask_advance(key, head_size);
    }
    return avx2_long_run(target, source, size, key) && head_ascii;
}

TARGET_AVX2 static void avx2_unmask(uint8_t *target, const uint8_t *source, size_t size,
                                    uint32_t key)
{
    (void)avx2_run(target, source, size, key);
}

TARGET_AVX2 static bool avx2_unmask_ascii(uint8_t *target, const uint8_t *source, size_t size,
                                          uint32_t key)
{
    return avx2_run(target, source, size, key);
}

static const struct ws_mask_ops avx2_ops = {avx2_unmask, avx2_unmask_ascii};

/* At least 64 bytes. No masked stores for the ends: a load that touches the line of one waits for
 * it, and the next pipelined frame, or the handler, loads at once (14 ns instead of 3 for 48
 * bytes). */
TARGET_AVX512 ALWAYS_INLINE bool avx512_long_run(uint8_t *target, const uint8_t *source,
                                                 size_t size, uint32_t key)
{
    __m512i keys = _mm512_set1_epi32((int)key);
    __m512i last_keys = _mm512_set1_epi32((int)ws_mask_advance(key, size));
    __m512i last = _mm512_xor_si512(_mm512_loadu_si512(source + size - 64), last_keys);
    __m512i seen = last;
    size_t at = 0;
    for (; at + 256 < size; at += 256) {
        __m512i a = _mm512_xor_si512(_mm512_loadu_si512(source + at), keys);
        __m512i b = _mm512_xor_si512(_mm512_loadu_si512(source + at + 64), keys);
        __m512i c = _mm512_xor_si512(_mm512_loadu_si512(source + at + 128), keys);
        __m512i d = _mm512_xor_si512(_mm512_loadu_si512(source + at + 192), keys);
        seen = _mm512_or_si512(seen, _mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d)));
        _mm512_storeu_si512(target + at, a);
        _mm512_storeu_si512(target + at + 64, b);
        _mm512_storeu_si512(target + at + 128, c);
        _mm512_storeu_si512(target + at + 192, d);
    }
    for (; at + 64 < size; at += 64) {
        __m512i vector = _mm512_xor_si512(_mm512_loadu_si512(source + at), keys);
        seen = _mm512_or_si512(seen, vector);
        _mm512_storeu_si512(target + at, vector);
    }
    _mm512_storeu_si512(target + size - 64, last);
    return _mm512_movepi8_mask(seen) == 0;
}

TARGET_AVX512 ALWAYS_INLINE bool avx512_run(uint8_t *target, const uint8_t *source, size_t size,
                                            uint32_t key)
{
    if (size < 64) {
        return avx2_run(target, source, size, key);
    }
    bool head_ascii = true;
    if (size >= ALIGN_SIZE_MIN) {
        size_t head_size = distance_to_aligned(target, 64);
        head_ascii = avx2_run(target, source, head_size, key);
        target += head_size;
        source += head_size;
        size -= head_size;
        key = ws_mask_advance(key, head_size);
    }
    return avx512_long_run(target, source, size, key) && head_ascii;
}

TARGET_AVX512 static void avx512_unmask(uint8_t *target, const uint8_t *source, size_t size,
                                        uint32_t key)
{
    (void)avx512_run(target, source, size, key);
}

TARGET_AVX512 static bool avx512_unmask_ascii(uint8_t *target, const uint8_t *source, size_t size,
                                              uint32_t key)
{
    return avx512_run(target, source, size, key);
}

static const struct ws_mask_ops avx512_ops = {avx512_unmask, avx512_unmask_ascii};

#elif defined(__aarch64__)

ALWAYS_INLINE bool neon_run(uint8_t *target, const uint8_t *source, size_t size, uint32_t key)
{
    if (size < 16) {
        return (short_unmask(target, source, size, key) & NON_ASCII_BITS) == 0;
    }
    uint8x16_t keys = vreinterpretq_u8_u32(vdupq_n_u32(key));
    uint8x16_t last_keys = vreinterpretq_u8_u32(vdupq_n_u32(ws_mask_advance(key, size)));
    uint8x16_t last = veorq_u8(vld1q_u8(source + size - 16), last_keys);
    uint8x16_t seen = last;
    size_t at = 0;
    for (; at + 64 < size; at += 64) {
        uint8x16_t a = veorq_u8(vld1q_u8(source + at), keys);
        uint8x16_t b = veorq_u8(vld1q_u8(source + at + 16), keys);
        uint8x16_t c = veorq_u8(vld1q_u8(source + at + 32), keys);
        uint8x16_t d = veorq_u8(vld1q_u8(source + at + 48), keys);
        seen = vorrq_u8(seen, vorrq_u8(vorrq_u8(a, b), vorrq_u8(c, d)));
        vst1q_u8(target + at, a);
        vst1q_u8(target + at + 16, b);
        vst1q_u8(target + at + 32, c);
        vst1q_u8(target + at + 48, d);
    }
    for (; at + 16 < size; at += 16) {
        uint8x16_t vector = veorq_u8(vld1q_u8(source + at), keys);
        seen = vorrq_u8(seen, vector);
        vst1q_u8(target + at, vector);
    }
    vst1q_u8(target + size - 16, last);
    return vmaxvq_u8(seen) < 0x80;
}

static void neon_unmask(uint8_t *target, const uint8_t *source, size_t size, uint32_t key)
{
    (void)neon_run(target, source, size, key);
}

static bool neon_unmask_ascii(uint8_t *target, const uint8_t *source, size_t size, uint32_t key)
{
    return neon_run(target, source, size, key);
}

static const struct ws_mask_ops neon_ops = {neon_unmask, neon_unmask_ascii};

#endif

const struct ws_mask_ops *ws_mask_ops(enum simd_level level)
{
    static const struct ws_mask_ops *const tables[SIMD_LEVEL_COUNT] = {
        [SIMD_PORTABLE] = &portable_ops,
#if defined(__x86_64__)
        [SIMD_SSE42] = &sse_ops,
        [SIMD_AVX2] = &avx2_ops,
        [SIMD_AVX512] = &avx512_ops,
#elif defined(__aarch64__)
        [SIMD_NEON] = &neon_ops,
#endif
    };
    ASSERT((unsigned)level < SIMD_LEVEL_COUNT);
    return tables[level] != NULL ? tables[level] : &portable_ops;
}
