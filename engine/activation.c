/* SPDX-License-Identifier: MIT */
/* Sockets that a service manager has opened for us. The protocol is that of sd_listen_fds(3), which
 * other managers speak too; three variables are no reason to link libsystemd. Environment is read
 * here because the caller asked for exactly that. */
#include "engine/activation.h"

#include "engine/core.h"
#include "engine/error.h"
#include "engine/listener.h"

#include <stdlib.h>
#include <unistd.h>

#define NUMBER_MAX (INT32_MAX - ACTIVATION_FD_FIRST)

static bool number_parse(const char *text, int64_t *value);
static unsigned names_count(const char *names);
static int sockets_check(const struct activation *activation, unsigned count,
                         const struct gyr_server *server, struct gyr_error *error);
static int sockets_take(unsigned count, struct gyr_server *server, struct gyr_error *error);

int gyr_server_adopt_activated(struct gyr_server *server, struct gyr_error *error)
{
    /* The caller promises that no other thread changes the environment meanwhile. */
    const struct activation activation = {
        .pid = getenv("LISTEN_PID"),       /* NOLINT(concurrency-mt-unsafe): see above */
        .count = getenv("LISTEN_FDS"),     /* NOLINT(concurrency-mt-unsafe): see above */
        .names = getenv("LISTEN_FDNAMES"), /* NOLINT(concurrency-mt-unsafe): see above */
    };
    int count = activation_parse(&activation, getpid(), error);
    if (count > 0) {
        int err = sockets_check(&activation, (unsigned)count, server, error);
        if (err == 0) {
            err = sockets_take((unsigned)count, server, error);
        }
        count = err < 0 ? err : count;
    }
    /* A child would take them for its own if it came to have our process id. */
    (void)unsetenv("LISTEN_PID");     /* NOLINT(concurrency-mt-unsafe): see above */
    (void)unsetenv("LISTEN_FDS");     /* NOLINT(concurrency-mt-unsafe): see above */
    (void)unsetenv("LISTEN_FDNAMES"); /* NOLINT(concurrency-mt-unsafe): see above */
    return count;
}

int activation_parse(const struct activation *activation, int64_t pid, struct gyr_error *error)
{
    int64_t value;
    if (activation->pid == NULL || activation->count == NULL) {
        return 0;
    }
    if (!number_parse(activation->pid, &value)) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "LISTEN_PID = %.40s: this is no process id; unset it, or let the service "
                         "manager set it",
                         activation->pid);
    }
    if (value != pid) {
        return 0;
    }
    if (!number_parse(activation->count, &value)) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "LISTEN_FDS = %.40s: this is no number of sockets; unset it, or let the "
                         "service manager set it",
                         activation->count);
    }
    int count = (int)value;
    if (activation->names != NULL && names_count(activation->names) != (unsigned)count) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "LISTEN_FDNAMES = %.100s: %u names for the %d sockets of LISTEN_FDS",
                         activation->names, names_count(activation->names), count);
    }
    return count;
}

struct span activation_name(const struct activation *activation, unsigned index)
{
    if (activation->names == NULL) {
        return (struct span){0};
    }
    const char *at = activation->names;
    for (; index > 0 && *at != '\0'; at++) {
        index -= *at == ':';
    }
    return (struct span){(const uint8_t *)at, strcspn(at, ":")};
}

/* Digits only, and more than 0: neither a process nor a set of sockets is less. */
static bool number_parse(const char *text, int64_t *value)
{
    int64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && number <= NUMBER_MAX; at++) {
        number = number * 10 + (*at - '0');
    }
    *value = number;
    return *at == '\0' && number > 0 && number <= NUMBER_MAX;
}

static unsigned names_count(const char *names)
{
    unsigned count = 1;
    for (; *names != '\0'; names++) {
        count += *names == ':';
    }
    return count;
}

/* All of them before the first is taken: a call that fails has changed nothing. */
static int sockets_check(const struct activation *activation, unsigned count,
                         const struct gyr_server *server, struct gyr_error *error)
{
    char address[LISTENER_TEXT_SIZE];
    unsigned known = 0;
    while (gyr_server_address(server, known, address, sizeof(address))) {
        known++;
    }
    if (count > CORE_LISTENERS_MAX - known) {
        return ERROR_SET(error, GYR_ERR_LIMIT,
                         "LISTEN_FDS = %u: a server has at most %d listeners, of which %u are "
                         "there already",
                         count, CORE_LISTENERS_MAX, known);
    }
    for (unsigned i = 0; i < count; i++) {
        struct gyr_error failed;
        struct span name = activation_name(activation, i);
        int err = listener_adopt(ACTIVATION_FD_FIRST + (int)i, &failed);
        if (err < 0) {
            return ERROR_SET(error, err, "LISTEN_FDS, socket \"%.*s\": %s",
                             (int)MIN(name.size, 60U), (const char *)name.ptr, failed.text);
        }
    }
    return 0;
}

static int sockets_take(unsigned count, struct gyr_server *server, struct gyr_error *error)
{
    for (unsigned i = 0; i < count; i++) {
        int err = gyr_server_adopt(server, ACTIVATION_FD_FIRST + (int)i, error);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}
