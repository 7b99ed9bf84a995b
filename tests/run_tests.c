/* SPDX-License-Identifier: MIT */
/* The test runner: every test of tests/suites.h, or those whose "suite.test" holds one of the given
 * strings.
 *
 *     run_tests [--list] [-v] [STRING]...
 *
 * Prints one line per suite, the failures, and last `N passed, M failed, K skipped`. Ends with 1 if
 * something failed, with 2 if no test was chosen. */
#include "tests/run_tests.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUITE(suite)
#define TEST(suite, test) void test(void);
#include "tests/suites.h"
#undef SUITE
#undef TEST

struct test {
    const char *suite;
    const char *name;
    CU_TestFunc run;
};

static const struct test TESTS[] = {
#define SUITE(suite)
#define TEST(suite, test) {#suite, #test, test},
#include "tests/suites.h"
#undef SUITE
#undef TEST
};

#define TEST_COUNT (sizeof(TESTS) / sizeof(TESTS[0]))

struct tally {
    unsigned passed;
    unsigned failed;
    unsigned skipped;
};

static struct {
    struct tally all;
    struct tally suite;
    const struct test *current; /* for the report of a crash */
    const char *skip_why;
    bool verbose;
} runner;

static bool is_chosen(const struct test *test, char *const *filters);
static void run(const struct test *test);
static void report_failures(const struct test *test);
static void suite_end(const char *suite);
static void on_crash(int signal_number);

int main(int argc, char **argv)
{
    bool list = false;
    int first = 1;
    for (; first < argc && argv[first][0] == '-'; first++) {
        if (strcmp(argv[first], "--list") == 0) {
            list = true;
        } else if (strcmp(argv[first], "-v") == 0) {
            runner.verbose = true;
        } else {
            fprintf(stderr, "usage: run_tests [--list] [-v] [STRING]...\n");
            return 2;
        }
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGABRT, on_crash);
    if (CU_initialize_registry() != CUE_SUCCESS) {
        fprintf(stderr, "run_tests: %s\n", CU_get_error_msg());
        return 2;
    }
    const char *suite = NULL;
    for (size_t i = 0; i < TEST_COUNT; i++) {
        const struct test *test = &TESTS[i];
        if (!is_chosen(test, argv + first)) {
            continue;
        }
        if (list) {
            printf("%s.%s\n", test->suite, test->name);
            continue;
        }
        if (suite != NULL && strcmp(suite, test->suite) != 0) {
            suite_end(suite);
        }
        suite = test->suite;
        run(test);
    }
    CU_cleanup_registry();
    if (list) {
        return 0;
    }
    if (suite == NULL) {
        fprintf(stderr, "run_tests: no test matches\n");
        return 2;
    }
    suite_end(suite);
    printf("%u passed, %u failed, %u skipped\n", runner.all.passed, runner.all.failed,
           runner.all.skipped);
    return runner.all.failed != 0;
}

void test_skip(const char *why)
{
    runner.skip_why = why;
}

static bool is_chosen(const struct test *test, char *const *filters)
{
    char full_name[256];
    snprintf(full_name, sizeof(full_name), "%s.%s", test->suite, test->name);
    bool chosen = filters[0] == NULL;
    for (; *filters != NULL && !chosen; filters++) {
        chosen = strstr(full_name, *filters) != NULL;
    }
    return chosen;
}

/* Run one test in a suite of its own, so that CUnit's list of failures is this test's. */
static void run(const struct test *test)
{
    runner.current = test;
    runner.skip_why = NULL;
    CU_pSuite suite = CU_add_suite(test->name, NULL, NULL);
    CU_pTest added = CU_add_test(suite, test->name, test->run);
    if (suite == NULL || added == NULL) {
        fprintf(stderr, "run_tests: %s.%s: %s\n", test->suite, test->name, CU_get_error_msg());
        exit(2);
    }
    CU_run_test(suite, added);
    if (CU_get_number_of_failures() > 0) {
        runner.suite.failed++;
        report_failures(test);
    } else if (runner.skip_why != NULL) {
        runner.suite.skipped++;
        printf("skipped %s.%s: %s\n", test->suite, test->name, runner.skip_why);
    } else {
        runner.suite.passed++;
        if (runner.verbose) {
            printf("ok %s.%s\n", test->suite, test->name);
        }
    }
    runner.current = NULL;
}

static void report_failures(const struct test *test)
{
    printf("FAILED %s.%s\n", test->suite, test->name);
    unsigned shown = 0;
    for (CU_pFailureRecord failure = CU_get_failure_list(); failure != NULL && shown < 20;
         failure = failure->pNext, shown++) {
        printf("    %s:%u: %s\n", failure->strFileName, failure->uiLineNumber,
               failure->strCondition);
    }
    unsigned count = CU_get_number_of_failure_records();
    if (count > shown) {
        printf("    and %u more\n", count - shown);
    }
}

static void suite_end(const char *suite)
{
    struct tally *tally = &runner.suite;
    printf("%-24s %4u passed", suite, tally->passed);
    if (tally->failed != 0) {
        printf(", %u FAILED", tally->failed);
    }
    if (tally->skipped != 0) {
        printf(", %u skipped", tally->skipped);
    }
    printf("\n");
    runner.all.passed += tally->passed;
    runner.all.failed += tally->failed;
    runner.all.skipped += tally->skipped;
    *tally = (struct tally){0};
}

/* A broken assertion ends the run; say in which test, and still end with the line of totals. */
static void on_crash(int signal_number)
{
    signal(signal_number, SIG_DFL);
    if (runner.current != NULL) {
        printf("FAILED %s.%s: aborted\n", runner.current->suite, runner.current->name);
    }
    printf("%u passed, %u failed, %u skipped\n", runner.all.passed + runner.suite.passed,
           runner.all.failed + runner.suite.failed + 1, runner.all.skipped + runner.suite.skipped);
    fflush(stdout);
    raise(signal_number);
}
