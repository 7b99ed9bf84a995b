/* SPDX-License-Identifier: MIT */
/* Is a table of workers usable? Whatever would be ignored is refused, with a line that names the
 * worker, where it was declared, and what to write instead. */
#include "hub/worker.h"

#include <stdio.h>

static int name_check(const struct gyr_worker *table, unsigned index, struct gyr_error *error);
static int kind_check(const struct gyr_server *server, const struct gyr_worker *worker,
                      struct gyr_error *error);
static int failure_check(const struct gyr_server *server, const struct gyr_worker *worker,
                         struct gyr_error *error);

/* A line that begins with the worker. */
#define COMPLAIN(error, worker, format, ...)                                         \
    ERROR_SET((error), GYR_ERR_ARGUMENT, "worker \"%s\"%s: " format, (worker)->name, \
              worker_place(worker).text __VA_OPT__(, ) __VA_ARGS__)

int worker_table_check(const struct gyr_server *server, const struct gyr_worker *table,
                       unsigned *count, struct gyr_error *error)
{
    if (table == NULL) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "workers: the table is NULL; an empty one is {{0}}");
    }
    unsigned i = 0;
    for (; table[i].name != NULL; i++) {
        if (i == WORKER_TABLE_MAX) {
            return ERROR_SET(error, GYR_ERR_ARGUMENT,
                             "workers: more than %d in a table; is {0} missing at its end?",
                             WORKER_TABLE_MAX);
        }
        int err = name_check(table, i, error);
        if (err == 0) {
            err = kind_check(server, &table[i], error);
        }
        if (err == 0) {
            err = failure_check(server, &table[i], error);
        }
        if (err < 0) {
            return err;
        }
    }
    *count = i;
    return 0;
}

struct worker_place worker_place(const struct gyr_worker *worker)
{
    struct worker_place place = {""};
    if (worker->at != NULL) {
        (void)snprintf(place.text, sizeof(place.text), " (%s)", worker->at);
    }
    return place;
}

static int name_check(const struct gyr_worker *table, unsigned index, struct gyr_error *error)
{
    const struct gyr_worker *worker = &table[index];
    size_t size = strlen(worker->name);
    if (size == 0 || size > WORKER_NAME_SIZE_MAX) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "worker %u of a table%s: its name has %zu bytes; 1 to %d", index,
                         worker_place(worker).text, size, WORKER_NAME_SIZE_MAX);
    }
    for (unsigned i = 0; i < index; i++) {
        if (strcmp(table[i].name, worker->name) == 0) {
            return COMPLAIN(error, worker, "the table has that name already%s; choose another",
                            worker_place(&table[i]).text);
        }
    }
    return 0;
}

static int kind_check(const struct gyr_server *server, const struct gyr_worker *worker,
                      struct gyr_error *error)
{
    if ((worker->run == NULL) == (worker->tick == NULL)) {
        return COMPLAIN(error, worker, "%s; a worker has one of them",
                        worker->run == NULL ? "neither run nor tick" : "both run and tick");
    }
    if (worker->run != NULL && (worker->interval_ms != 0 || worker->core_index != 0)) {
        return COMPLAIN(error, worker,
                        "interval_ms = %u, core_index = %u are of tick; leave them 0 with run",
                        worker->interval_ms, worker->core_index);
    }
    if (worker->run != NULL) {
        return 0;
    }
    if (server == NULL) {
        return COMPLAIN(error, worker,
                        "a timer needs a core, and there is no server; give one to "
                        "gyr_workers_create, or use run");
    }
    if (worker->interval_ms == 0 || worker->interval_ms > WORKER_MS_MAX) {
        return COMPLAIN(error, worker, "interval_ms = %u; 1 to %d (24 days)", worker->interval_ms,
                        WORKER_MS_MAX);
    }
    if (worker->core_index >= gyr_server_core_count(server)) {
        return COMPLAIN(error, worker, "core_index = %u; the server has cores 0 to %u",
                        worker->core_index, gyr_server_core_count(server) - 1);
    }
    return 0;
}

static int failure_check(const struct gyr_server *server, const struct gyr_worker *worker,
                         struct gyr_error *error)
{
    if ((unsigned)worker->on_failure > GYR_WORKER_STOP) {
        return COMPLAIN(error, worker, "on_failure = %u is no enum gyr_worker_failure",
                        (unsigned)worker->on_failure);
    }
    bool stops = worker->on_failure == GYR_WORKER_STOP || worker->restarts_max != 0;
    if (worker->on_failure != GYR_WORKER_RESTART &&
        (worker->restart_ms_min != 0 || worker->restart_ms_max != 0 || worker->restarts_max != 0)) {
        return COMPLAIN(error, worker,
                        "restart_ms_min = %u, restart_ms_max = %u, restarts_max = %u are of "
                        "GYR_WORKER_RESTART; choose it, or leave them 0",
                        worker->restart_ms_min, worker->restart_ms_max, worker->restarts_max);
    }
    if (stops && server == NULL) {
        return COMPLAIN(error, worker,
                        "%s stops a server, and there is none; give one to gyr_workers_create",
                        worker->restarts_max != 0 ? "restarts_max" : "GYR_WORKER_STOP");
    }
    uint32_t min_ms = worker->restart_ms_min != 0 ? worker->restart_ms_min : WORKER_RESTART_MS_MIN;
    uint32_t max_ms = worker->restart_ms_max != 0 ? worker->restart_ms_max : WORKER_RESTART_MS_MAX;
    if (min_ms > max_ms || max_ms > WORKER_MS_MAX) {
        return COMPLAIN(error, worker,
                        "restart_ms_min = %u, restart_ms_max = %u; the first is at most the "
                        "second, and that at most %d (24 days)",
                        min_ms, max_ms, WORKER_MS_MAX);
    }
    return 0;
}
