/* SPDX-License-Identifier: MIT */
/* Where a broken assertion ends: one line on standard error, then abort, so that a core dump shows
 * the state at the moment of the mistake. */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void assert_fail(const char *condition, const char *file, int line)
{
    (void)fprintf(stderr, "gyr: broken assertion at %s:%d: %s\n", file, line, condition);
    abort();
}
