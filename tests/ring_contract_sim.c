/* SPDX-License-Identifier: MIT */
/* The contract of the kernel seam on the simulator, in a calm world: what the scripts see there is
 * what they see of a kernel. With faults the same rings are the subject of the simulator's own
 * tests. */
#include "engine/ring_sim.h"
#include "tests/ring_contract.h"

#include <stdio.h>

#define SEED        1
#define BACKLOG     64
#define SOCKET_SIZE (64 * 1024)
#define IDLE_NS     1000000

#define FILE_MODIFIED 1000000000 /* 2001 */

static void *world_begin(void)
{
    static const struct sim_faults calm;
    struct sim *sim = NULL;
    int status = sim_create(SEED, &calm, SOCKET_SIZE, &sim);
    ASSERT(status == 0);
    return sim;
}

static void world_end(void *context)
{
    sim_destroy(context);
}

static int listener_open(void *context)
{
    return sim_listen(context, BACKLOG);
}

static void listener_close(void *context, int listener_fd)
{
    sim_listen_close(context, listener_fd);
}

static int client_connect(void *context, int listener_fd)
{
    return sim_connect(context, listener_fd);
}

static int64_t client_send(void *context, int fd, const void *bytes, size_t size)
{
    return sim_client_send(context, fd, bytes, size);
}

static int64_t client_recv(void *context, int fd, void *bytes, size_t size)
{
    return sim_client_recv(context, fd, bytes, size);
}

static void client_shutdown(void *context, int fd)
{
    sim_client_shutdown(context, fd);
}

static void client_close(void *context, int fd)
{
    sim_client_close(context, fd);
}

static void client_reset(void *context, int fd)
{
    sim_client_reset(context, fd);
    sim_client_close(context, fd);
}

/* There are no threads in this world: the function has run when this returns, and its result is the
 * handle. */
static void *thread_start(void *context, void *(*function)(void *argument), void *argument)
{
    (void)context;
    return function(argument);
}

static void thread_join(void *context, void *thread)
{
    (void)context;
    (void)thread;
}

static bool is_ready(void *context, const struct ring *ring)
{
    (void)context;
    return sim_ring_is_ready(ring);
}

static void idle(void *context, struct ring *ring)
{
    uint64_t now_ns = sim_now_ns(context);
    uint64_t end_ns = sim_ring_sleep_end_ns(ring);
    bool has_end = end_ns != UINT64_MAX && end_ns > now_ns;
    sim_advance(context, has_end ? end_ns - now_ns : IDLE_NS);
}

/* One folder in a world; names in the tree are below it. */
static int folder_open(void *context)
{
    sim_file_folder(context, "files");
    sim_file_folder(context, "other");
    sim_file_write(context, "secret", "secret", 6, 0);
    return sim_folder_open(context, "files");
}

static void folder_close(void *context, int folder_fd)
{
    (void)context;
    (void)folder_fd;
}

static const char *path_below(const char *path, char text[256])
{
    int size = snprintf(text, 256, "files/%s", path);
    ASSERT(size > 0 && size < 256);
    return text;
}

static void file_make(void *context, int folder_fd, const char *path, const void *bytes,
                      size_t size)
{
    char text[256];
    (void)folder_fd;
    sim_file_write(context, path_below(path, text), bytes, size, FILE_MODIFIED);
}

static void folder_make(void *context, int folder_fd, const char *path)
{
    char text[256];
    (void)folder_fd;
    sim_file_folder(context, path_below(path, text));
}

static void link_make(void *context, int folder_fd, const char *path, const char *target)
{
    char text[256];
    (void)folder_fd;
    sim_file_link(context, path_below(path, text), target);
}

static void fifo_make(void *context, int folder_fd, const char *path)
{
    char text[256];
    (void)folder_fd;
    sim_file_fifo(context, path_below(path, text));
}

static const struct ring_contract_world world = {
    .name = "sim",
    .ops = &ring_sim_ops,
    .begin = world_begin,
    .end = world_end,
    .listener_open = listener_open,
    .listener_close = listener_close,
    .client_connect = client_connect,
    .client_send = client_send,
    .client_recv = client_recv,
    .client_shutdown = client_shutdown,
    .client_close = client_close,
    .client_reset = client_reset,
    .thread_start = thread_start,
    .thread_join = thread_join,
    .folder_open = folder_open,
    .folder_close = folder_close,
    .file_make = file_make,
    .folder_make = folder_make,
    .link_make = link_make,
    .fifo_make = fifo_make,
    .is_ready = is_ready,
    .idle = idle,
};

#define DEFINE(implementation, script) RING_CONTRACT_DEFINE(implementation, script, &world)
RING_CONTRACT_SCRIPTS(DEFINE, sim)
