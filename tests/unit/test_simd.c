/* SPDX-License-Identifier: MIT */
/* The SIMD level: what the kernel says about this machine must agree with what we found. */
#include "base/simd.h"

#include "base/base.h"
#include "tests/parser_kit.h"
#include "tests/run_tests.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>

void simd_level_names_are_all_different(void)
{
    for (unsigned i = 0; i < SIMD_LEVEL_COUNT; i++) {
        const char *name = simd_level_name((enum simd_level)i);
        EXPECT(name[0] != '\0', "every level has a name");
        for (unsigned k = 0; k < i; k++) {
            EXPECT(strcmp(name, simd_level_name((enum simd_level)k)) != 0, name);
        }
    }
    EXPECT(strcmp(simd_level_name(SIMD_PORTABLE), "portable") == 0, "the first");
    EXPECT(strcmp(simd_level_name(SIMD_AVX512), "avx512") == 0, "by its level");
}

void simd_detect_finds_the_same_each_time(void)
{
    enum simd_level level = simd_detect();
    EXPECT((unsigned)level < SIMD_LEVEL_COUNT, "a level");
    EXPECT_INT(simd_detect(), level, "again");
}

#if defined(__x86_64__)
/* Are all of these words among the first "flags" of /proc/cpuinfo? `flags` has blanks around. */
static bool has(const char *flags, const char *const *words)
{
    for (; *words != NULL; words++) {
        char word[32];
        (void)snprintf(word, sizeof(word), " %s ", *words);
        if (strstr(flags, word) == NULL) {
            return false;
        }
    }
    return true;
}
#endif

void simd_detect_agrees_with_the_kernel(void)
{
#if defined(__x86_64__)
    static const struct {
        enum simd_level level;
        const char *words[10];
    } rows[] = {
        {SIMD_SSE42, {"sse4_2", "popcnt"}},
        {SIMD_AVX2, {"sse4_2", "popcnt", "avx2", "bmi1", "bmi2"}},
        {SIMD_AVX512,
         {"sse4_2", "popcnt", "avx2", "bmi1", "bmi2", "avx512f", "avx512bw", "avx512vl",
          "avx512vbmi"}},
    };
    char line[8192] = "";
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file != NULL && fgets(line, sizeof(line) - 1, file) != NULL &&
           strncmp(line, "flags", 5) != 0) {
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    char *end = strchr(line, '\n');
    if (strncmp(line, "flags", 5) != 0 || end == NULL) {
        test_skip("/proc/cpuinfo names no flags");
        return;
    }
    *end = ' ';
    enum simd_level expected = SIMD_PORTABLE;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        expected = has(line, rows[i].words) ? rows[i].level : expected;
    }
    EXPECT(simd_detect() == expected, simd_level_name(expected));
#elif defined(__aarch64__)
    EXPECT_INT(simd_detect(), SIMD_NEON, "every machine of this architecture has it");
#else
    EXPECT_INT(simd_detect(), SIMD_PORTABLE, "nothing is known of this architecture");
#endif
}
