/* SPDX-License-Identifier: MIT */
/* Assertions. ASSERT is for our own mistakes, stays on in release and costs constant time;
 * ASSERT_SLOW checks whole objects and is compiled into debug builds only. Neither may hold an
 * effect, and neither may judge what a peer or an operator can cause. */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

#include <assert.h> /* static_assert */

#define LIKELY(condition)   __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* Print the broken condition and abort. */
_Noreturn void assert_fail(const char *condition, const char *file, int line);

#define ASSERT(condition)                                \
    do {                                                 \
        if (UNLIKELY(!(condition))) {                    \
            assert_fail(#condition, __FILE__, __LINE__); \
        }                                                \
    } while (0)

#ifdef GYR_DEBUG
#define ASSERT_SLOW(condition) ASSERT(condition)
#else
#define ASSERT_SLOW(condition) ((void)sizeof(condition))
#endif

#endif
