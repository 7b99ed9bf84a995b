/* SPDX-License-Identifier: MIT */
/* A lock round a table: what a database would be in a service that is more than an example. */
#include "examples/tasks_store.h"

/* With the lock; NULL: there is none. */
static struct project *store_find(struct store *store, struct gyr_span name)
{
    for (unsigned i = 0; i < store->count; i++) {
        struct project *project = &store->projects[i];
        if (project->name_size == name.size && memcmp(project->name, name.ptr, name.size) == 0) {
            return project;
        }
    }
    return NULL;
}

/* With the lock; NULL: there are too many. */
static struct project *store_begin(struct store *store, struct gyr_span name)
{
    if (store->count == PROJECTS_MAX || name.size > NAME_SIZE_MAX) {
        return NULL;
    }
    struct project *project = &store->projects[store->count++];
    memcpy(project->name, name.ptr, name.size);
    project->name_size = name.size;
    return project;
}

int store_add(struct store *store, struct gyr_span name, struct gyr_span title, struct gyr_span by,
              struct task *added)
{
    int err = GYR_ERR_LIMIT;
    pthread_mutex_lock(&store->lock);
    struct project *project = store_find(store, name);
    if (project == NULL) {
        project = store_begin(store, name);
    }
    if (project != NULL && project->count < TASKS_MAX) {
        uint32_t index = project->count++;
        char *text = project->texts[index];
        memcpy(text, title.ptr, title.size);
        memcpy(text + title.size, by.ptr, by.size);
        *added = project->tasks[index] = (struct task){
            .id = index + 1, .title = {text, title.size}, .by = {text + title.size, by.size}};
        project->changed = true;
        err = 0;
    }
    pthread_mutex_unlock(&store->lock);
    return err;
}

int store_done(struct store *store, struct gyr_span name, uint32_t id, struct task *task)
{
    int err = GYR_ERR_NOT_FOUND;
    pthread_mutex_lock(&store->lock);
    struct project *project = store_find(store, name);
    if (project != NULL && id >= 1 && id <= project->count) {
        project->tasks[id - 1].done = true;
        project->changed = true;
        *task = project->tasks[id - 1];
        err = 0;
    }
    pthread_mutex_unlock(&store->lock);
    return err;
}

size_t store_list(struct store *store, struct gyr_span name, struct task copy[TASKS_MAX])
{
    pthread_mutex_lock(&store->lock);
    const struct project *project = store_find(store, name);
    size_t count = project != NULL ? project->count : 0;
    for (size_t i = 0; i < count; i++) {
        copy[i] = project->tasks[i];
    }
    pthread_mutex_unlock(&store->lock);
    return count;
}

void store_each_changed(struct store *store,
                        int (*tell)(void *arg, const struct project *project, uint32_t open,
                                    uint32_t done),
                        void *arg)
{
    pthread_mutex_lock(&store->lock);
    for (unsigned i = 0; i < store->count; i++) {
        struct project *project = &store->projects[i];
        uint32_t done = 0;
        for (uint32_t t = 0; t < project->count; t++) {
            done += project->tasks[t].done;
        }
        if (project->changed && tell(arg, project, project->count - done, done) == 0) {
            project->changed = false;
        }
    }
    pthread_mutex_unlock(&store->lock);
}
