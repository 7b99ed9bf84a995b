/* SPDX-License-Identifier: MIT */
/* The tasks of all projects, in memory, for all cores. */
#ifndef EXAMPLES_TASKS_STORE_H
#define EXAMPLES_TASKS_STORE_H

#include <gyr/gyr.h>

#include <pthread.h>

#define PROJECTS_MAX   64
#define TASKS_MAX      100 /* of a project */
#define NAME_SIZE_MAX  32
#define TITLE_SIZE_MAX 200

struct task {
    uint32_t id;
    struct gyr_span title; /* texts never change, and live as long as the store */
    struct gyr_span by;
    bool done;
};

struct project {
    char name[NAME_SIZE_MAX];
    size_t name_size;
    struct task tasks[TASKS_MAX];
    char texts[TASKS_MAX][TITLE_SIZE_MAX + NAME_SIZE_MAX];
    uint32_t count;
    bool changed; /* since it was told last */
};

struct store {
    pthread_mutex_t lock;
    struct project projects[PROJECTS_MAX];
    unsigned count;
};

#define STORE_EMPTY                       \
    {                                     \
        .lock = PTHREAD_MUTEX_INITIALIZER \
    }

/* Any thread, all of them. `name` is the project's, up to NAME_SIZE_MAX bytes; it begins with its
 * first task. GYR_ERR_LIMIT: there are too many. */
int store_add(struct store *store, struct gyr_span name, struct gyr_span title, struct gyr_span by,
              struct task *added);
/* GYR_ERR_NOT_FOUND. */
int store_done(struct store *store, struct gyr_span name, uint32_t id, struct task *task);
/* Copies the project's tasks; returns how many. */
size_t store_list(struct store *store, struct gyr_span name, struct task copy[TASKS_MAX]);
/* For each project that has changed since tell() returned 0 for it. */
void store_each_changed(struct store *store,
                        int (*tell)(void *arg, const struct project *project, uint32_t open,
                                    uint32_t done),
                        void *arg);

#endif
