/* SPDX-License-Identifier: MIT */
/* A few processes at a time, one seed each; what a child writes comes through a pipe of its own. */
#include "tests/sim/seeds.h"

#include "tests/sim/world.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN_MAX    8
#define CPU_SECONDS_MAX 120 /* of one seed; valgrind needs many times what a release build does */

static const char *const PROFILE_NAMES[] = {"any",   "calm", "rough", "storm",
                                            "tight", "stop", "rooms", "app"};

struct child {
    pid_t pid; /* 0: none */
    int output;
    uint64_t seed;
};

static void child_start(struct child *child, uint64_t seed, enum profile profile);
static bool child_end(struct child *child, enum profile profile);

unsigned seeds_run(uint64_t first, unsigned count, enum profile profile)
{
    struct child children[CHILDREN_MAX] = {0};
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned width = (unsigned)MIN(MAX(cpus, 1), CHILDREN_MAX);
    unsigned failed = 0;
    unsigned running = 0;
    for (uint64_t next = first; next < first + count || running > 0;) {
        for (unsigned i = 0; i < width && next < first + count; i++) {
            if (children[i].pid == 0) {
                child_start(&children[i], next++, profile);
                running++;
            }
        }
        for (unsigned i = 0; i < width; i++) {
            if (children[i].pid != 0) {
                failed += !child_end(&children[i], profile);
                running--;
            }
        }
    }
    return failed;
}

static void child_start(struct child *child, uint64_t seed, enum profile profile)
{
    int ends[2];
    if (pipe(ends) != 0) {
        abort();
    }
    (void)fflush(NULL);
    *child = (struct child){.pid = fork(), .output = ends[0], .seed = seed};
    ASSERT(child->pid >= 0);
    if (child->pid != 0) {
        (void)close(ends[1]);
        return;
    }
    (void)dup2(ends[1], STDERR_FILENO);
    (void)close(ends[0]);
    (void)close(ends[1]);
    (void)signal(SIGABRT, SIG_DFL);
    const struct itimerval limit = {.it_value = {.tv_sec = CPU_SECONDS_MAX}};
    (void)setitimer(ITIMER_PROF, &limit, NULL);
    char failure[400];
    if (!world_run(seed, profile, NULL, failure)) {
        (void)fprintf(stderr, "%s\n", failure);
        (void)fflush(stderr);
        _exit(1); /* what is left over after a failure is no leak */
    }
    exit(0);
}

/* Wait for it and report what it has to say. */
static bool child_end(struct child *child, enum profile profile)
{
    char text[4000];
    char more[4000];
    int status = 0;
    size_t size = 0;
    ssize_t got;
    while ((got = read(child->output, more, sizeof(more))) > 0) {
        size_t taken = MIN((size_t)got, sizeof(text) - 1 - size);
        memcpy(text + size, more, taken);
        size += taken;
    }
    (void)waitpid(child->pid, &status, 0);
    text[size] = '\0';
    (void)close(child->output);
    child->pid = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return true;
    }
    while (size > 0 && text[size - 1] == '\n') {
        text[--size] = '\0';
    }
    const char *end = !WIFSIGNALED(status)          ? ""
                      : WTERMSIG(status) == SIGPROF ? " (it does not end)"
                                                    : " (it crashed)";
    printf("seed %llu: %s%s\n", (unsigned long long)child->seed, text, end);
    printf("    replay: build/MODE/bin/sim %s%s%s%llu\n",
           profile == PROFILE_ANY ? "" : "--profile ",
           profile == PROFILE_ANY ? "" : PROFILE_NAMES[profile], profile == PROFILE_ANY ? "" : " ",
           (unsigned long long)child->seed);
    return false;
}

bool seed_replay(uint64_t seed, enum profile profile)
{
    char failure[400];
    bool passed = world_run(seed, profile, stdout, failure);
    printf("seed %llu: %s\n", (unsigned long long)seed, passed ? "passed" : failure);
    return passed;
}

bool profile_find(const char *name, enum profile *profile)
{
    for (unsigned i = 0; i < COUNT_OF(PROFILE_NAMES); i++) {
        if (strcmp(name, PROFILE_NAMES[i]) == 0) {
            *profile = (enum profile)i;
            return true;
        }
    }
    return false;
}
