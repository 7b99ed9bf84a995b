/* SPDX-License-Identifier: MIT */
/* Finds the SIMD level of this machine. The compiler's own CPU detection also asks the operating
 * system whether it saves the wide registers, so a level that is named here can be used. A level
 * promises everything below it, and with AVX2 the bit instructions of the same generation and the
 * product without carries. */
#include "base/simd.h"

#include "base/base.h"

enum simd_level simd_detect(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("sse4.2") || !__builtin_cpu_supports("popcnt")) {
        return SIMD_PORTABLE;
    }
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi") ||
        !__builtin_cpu_supports("bmi2") || !__builtin_cpu_supports("pclmul")) {
        return SIMD_SSE42;
    }
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512vbmi")) {
        return SIMD_AVX2;
    }
    return SIMD_AVX512;
#elif defined(__aarch64__)
    return SIMD_NEON;
#else
    return SIMD_PORTABLE;
#endif
}

const char *simd_level_name(enum simd_level level)
{
    static const char *const names[] = {
        [SIMD_PORTABLE] = "portable", [SIMD_SSE42] = "sse4.2", [SIMD_AVX2] = "avx2",
        [SIMD_AVX512] = "avx512",     [SIMD_NEON] = "neon",
    };
    static_assert(COUNT_OF(names) == SIMD_LEVEL_COUNT, "every level has a name");
    ASSERT((unsigned)level < SIMD_LEVEL_COUNT);
    return names[level];
}
