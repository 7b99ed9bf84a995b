/* SPDX-License-Identifier: MIT */
/* What the test runner offers to a test besides CUnit's assertions. */
#ifndef TESTS_RUN_TESTS_H
#define TESTS_RUN_TESTS_H

/* Say that this machine cannot run the test, and return from it afterwards. It is shown as skipped,
 * unless an assertion of it has failed. `why` must outlive the test. */
void test_skip(const char *why);

#endif
