/* SPDX-License-Identifier: MIT */
/* Servers on the machine's own io_uring or epoll and sockets, and blocking clients of them. */
#include "engine/config.h"
#include "engine/listener.h"
#include "engine/ring.h"
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"
#include "tests/run_tests.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void give_up(const char *what)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "engine_kit: %s\n", what);
    abort();
}

static unsigned cpus_allowed(unsigned cpus[1024])
{
    struct gyr_config config = gyr_config_default();
    unsigned count = 0;
    return config_cores(&config, cpus, 1024, &count, NULL) < 0 ? 0 : count;
}

/* GYR_RING=epoll: the servers of all tests use epoll. NULL: they use io_uring. */
static const char *ring_name(void)
{
    const char *name = getenv("GYR_RING"); /* NOLINT(concurrency-mt-unsafe): nobody sets it */
    return name != NULL && strcmp(name, "epoll") == 0 ? name : NULL;
}

bool kit_server_possible(unsigned core_count)
{
    static char why[256];
    struct ring_config config = {
        .submission_entries = 16, .completion_entries = 64, .buffer_size = 4096, .buffer_count = 1};
    struct ring *ring;
    const struct ring_ops *ops = ring_name() == NULL ? &ring_uring_ops : &ring_epoll_ops;
    if (ops->create(&config, &ring, why) < 0) {
        test_skip(why);
        return false;
    }
    ops->destroy(ring);
    unsigned cpus[1024];
    if (cpus_allowed(cpus) < core_count) {
        test_skip("not enough CPUs");
        return false;
    }
    return true;
}

struct gyr_config kit_server_config(unsigned core_count)
{
    struct gyr_config config = gyr_config_default();
    unsigned cpus[1024];
    unsigned available = cpus_allowed(cpus);
    size_t size = 0;
    for (unsigned i = 0; i < core_count && i < available; i++) {
        size += (size_t)snprintf(config.cores + size, sizeof(config.cores) - size, "%s%u",
                                 i == 0 ? "" : ",", cpus[i]);
    }
    config.ring = ring_name() == NULL ? GYR_RING_URING : GYR_RING_EPOLL;
    config.connections_max = 1000;
    config.recv_buffer_count = 16;
    config.submission_entries = 64;
    config.completion_entries = 1024;
    config.shutdown_window_ms = 0;
    config.close_timeout_ms = 50; /* idle clients of a test do not close by themselves */
    return config;
}

struct gyr_server *kit_server_start(const struct gyr_config *config,
                                    const struct gyr_service *service, const char *listen,
                                    char address[128])
{
    struct gyr_server *server;
    struct gyr_error error;
    if (gyr_server_create(config, service, &server, &error) < 0 ||
        gyr_server_listen(server, listen, &error) < 0 || gyr_server_start(server, &error) < 0 ||
        !gyr_server_address(server, 0, address, 128)) {
        give_up(error.text);
    }
    return server;
}

void kit_server_end(struct gyr_server *server)
{
    gyr_server_stop(server);
    gyr_server_wait(server);
    gyr_server_destroy(server);
}

int kit_client(const char *text)
{
    struct listener_address address;
    struct timeval patience = {.tv_sec = KIT_PATIENCE_S};
    if (listener_parse(text, &address, NULL) != 0) {
        give_up(text);
    }
    int fd = socket(address.name.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, &address.name.any, address.size) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0) {
        give_up("a client cannot connect");
    }
    return fd;
}

bool kit_client_ask(int fd, const char *bytes, const char *expected)
{
    char answer[4096];
    size_t size = 0;
    if (send(fd, bytes, strlen(bytes), MSG_NOSIGNAL) < 0) {
        return false;
    }
    while (memmem(answer, size, expected, strlen(expected)) == NULL) {
        ssize_t got = recv(fd, answer + size, sizeof(answer) - size, 0);
        if (got < 0 && errno == EINTR) {
            continue; /* the end of a ring is worked off by its thread, and interrupts it */
        }
        EXPECT(got >= 0 || errno != EAGAIN, "the server says nothing any more");
        if (got <= 0) {
            return false;
        }
        size += (size_t)got;
    }
    return true;
}

void kit_wait(sem_t *semaphore)
{
    struct timespec end;
    (void)clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += KIT_PATIENCE_S;
    while (sem_timedwait(semaphore, &end) != 0) {
        if (errno != EINTR) {
            give_up("what a test waits for does not happen");
        }
    }
}

unsigned kit_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned count = 0;
    while (directory != NULL && readdir(directory) != NULL) {
        count++;
    }
    (void)closedir(directory);
    return count;
}
