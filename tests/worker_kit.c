/* SPDX-License-Identifier: MIT */
/* For tests of workers: the log, the names of threads, and workers that say what they do. */
#include "tests/worker_kit.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void give_up(const char *what, const char *detail)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "worker_kit: %s: %s\n", what, detail);
    abort();
}

static struct timespec patience_end(void)
{
    struct timespec end;
    (void)clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += KIT_PATIENCE_S;
    return end;
}

/* ---- the log ---- */

void worker_log_init(struct worker_log *log)
{
    memset(log, 0, sizeof(*log));
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->change, NULL);
}

void worker_log_deinit(struct worker_log *log)
{
    pthread_cond_destroy(&log->change);
    pthread_mutex_destroy(&log->lock);
}

void worker_kit_log(void *user, enum gyr_log_level level, struct gyr_span line)
{
    struct worker_log *log = user;
    (void)level;
    pthread_mutex_lock(&log->lock);
    if (log->size + line.size + 2 < sizeof(log->text)) {
        memcpy(log->text + log->size, line.ptr, line.size);
        log->size += line.size;
        log->text[log->size++] = '\n';
        log->text[log->size] = '\0';
    }
    pthread_cond_broadcast(&log->change);
    pthread_mutex_unlock(&log->lock);
}

/* With the lock held. */
static unsigned log_count(const struct worker_log *log, const char *text)
{
    unsigned count = 0;
    for (const char *line = log->text; *line != '\0';) {
        const char *end = strchr(line, '\n');
        count += memmem(line, (size_t)(end - line), text, strlen(text)) != NULL;
        line = end + 1;
    }
    return count;
}

unsigned worker_log_count(struct worker_log *log, const char *text)
{
    pthread_mutex_lock(&log->lock);
    unsigned count = log_count(log, text);
    pthread_mutex_unlock(&log->lock);
    return count;
}

void worker_log_wait(struct worker_log *log, const char *text, unsigned count)
{
    struct timespec end = patience_end();
    pthread_mutex_lock(&log->lock);
    while (log_count(log, text) < count) {
        if (pthread_cond_timedwait(&log->change, &log->lock, &end) != 0) {
            give_up("never logged", text);
        }
    }
    pthread_mutex_unlock(&log->lock);
}

/* ---- threads ---- */

unsigned worker_kit_threads(const char *name)
{
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/task");
    for (const struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        char path[300];
        char found[32] = "";
        (void)snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "re");
        if (file == NULL) {
            continue; /* it has ended meanwhile, or is no thread */
        }
        if (fgets(found, sizeof(found), file) != NULL) {
            found[strcspn(found, "\n")] = '\0';
            count += strcmp(found, name) == 0;
        }
        (void)fclose(file);
    }
    (void)closedir(directory);
    return count;
}

void worker_kit_gone(const char *name)
{
    const time_t end = time(NULL) + KIT_PATIENCE_S;
    while (worker_kit_threads(name) != 0) {
        if (time(NULL) > end) {
            give_up("a thread does not end", name);
        }
        (void)sched_yield();
    }
}

/* ---- workers ---- */

void worker_probe_init(struct worker_probe *probe)
{
    memset(probe, 0, sizeof(*probe));
    (void)sem_init(&probe->began, 0, 0);
    (void)sem_init(&probe->ended, 0, 0);
    (void)sem_init(&probe->go, 0, 0);
}

void worker_probe_deinit(struct worker_probe *probe)
{
    (void)sem_destroy(&probe->began);
    (void)sem_destroy(&probe->ended);
    (void)sem_destroy(&probe->go);
}

static struct worker_probe *probe_begin(struct gyr_worker_run *run, void *context)
{
    struct worker_probe *probe = context;
    atomic_store(&probe->run, run);
    atomic_store(&probe->server, gyr_worker_server(run));
    atomic_fetch_add(&probe->began_count, 1);
    (void)sem_post(&probe->began);
    return probe;
}

static int probe_end(struct gyr_worker_run *run, struct worker_probe *probe)
{
    atomic_store(&probe->was_stopping, gyr_worker_is_stopping(run));
    atomic_fetch_add(&probe->ended_count, 1);
    int result = atomic_load(&probe->result);
    (void)sem_post(&probe->ended);
    return result;
}

int worker_kit_sleeper(struct gyr_worker_run *run, void *context)
{
    struct worker_probe *probe = probe_begin(run, context);
    while (gyr_worker_sleep(run, WORKER_KIT_HOUR_MS)) {
    }
    return probe_end(run, probe);
}

int worker_kit_returns(struct gyr_worker_run *run, void *context)
{
    return probe_end(run, probe_begin(run, context));
}

int worker_kit_deaf(struct gyr_worker_run *run, void *context)
{
    struct worker_probe *probe = probe_begin(run, context);
    while (sem_wait(&probe->go) != 0 && errno == EINTR) {
    }
    atomic_store(&probe->server, gyr_worker_server(run));
    return probe_end(run, probe);
}

int worker_kit_tick(struct gyr_worker_run *run, struct gyr_core *core, void *context)
{
    (void)core;
    return worker_kit_returns(run, context);
}

int worker_kit_deaf_tick(struct gyr_worker_run *run, struct gyr_core *core, void *context)
{
    (void)core;
    return worker_kit_deaf(run, context);
}

/* ---- servers ---- */

struct gyr_server *
worker_kit_server(enum gyr_ring ring, unsigned core_count, struct worker_log *log,
                  void (*change)(struct gyr_config *config, struct gyr_service *service))
{
    struct gyr_config config = kit_server_config(core_count);
    struct gyr_service service = {.size = sizeof(service), .user = log, .on_log = worker_kit_log};
    struct gyr_server *server;
    struct gyr_error error;
    config.ring = ring;
    if (change != NULL) {
        change(&config, &service);
    }
    if (gyr_server_create(&config, &service, &server, &error) < 0 ||
        gyr_server_listen(server, "127.0.0.1:0", &error) < 0) {
        give_up("no server", error.text);
    }
    return server;
}

void worker_kit_start(struct gyr_server *server)
{
    struct gyr_error error;
    if (gyr_server_start(server, &error) < 0) {
        give_up("no start", error.text);
    }
}
