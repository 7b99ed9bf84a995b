/* SPDX-License-Identifier: MIT */
/* Which vector instructions this machine has. Found once, by simd_detect; everything above gets a
 * table of functions that fits the level and never looks again. */
#ifndef BASE_SIMD_H
#define BASE_SIMD_H

enum simd_level {
    SIMD_PORTABLE, /* no vector instructions beyond what the compiler may assume */
    SIMD_SSE42,
    SIMD_AVX2,
    SIMD_AVX512, /* F, BW, VL, VBMI */
    SIMD_NEON,
    SIMD_LEVEL_COUNT,
};

/* The best level of the machine we run on. */
enum simd_level simd_detect(void);

/* "avx512", "avx2", ...; lives for ever. */
const char *simd_level_name(enum simd_level level);

#endif
