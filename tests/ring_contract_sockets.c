/* SPDX-License-Identifier: MIT */
/* The machine's own sockets as a world of the kernel seam's contract: clients are TCP sockets over
 * loopback, listeners have fresh ports, and a foreign thread is a thread. Nothing here waits for a
 * time: loopback may deliver late, so the scripts ask again. */
#include "tests/ring_contract_sockets.h"

#include "tests/ring_contract_disk.h"

#include <CUnit/CUnit.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel doubles it and holds it in each of two queues, with overhead: between 64 KB and 1 MB.
 */
#define SOCKET_BUFFER_SIZE (128 * 1024)

#define DESCRIPTORS_MAX 256

/* What the other end has open, to be closed when a script has failed. */
struct sockets {
    int fds[DESCRIPTORS_MAX];
    unsigned count;
};

static void *sockets_begin(void)
{
    struct sockets *sockets = calloc(1, sizeof(*sockets));
    CU_ASSERT_PTR_NOT_NULL_FATAL(sockets);
    return sockets;
}

static int sockets_add(struct sockets *sockets, int fd)
{
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_FATAL(sockets->count < DESCRIPTORS_MAX);
    sockets->fds[sockets->count] = fd;
    sockets->count++;
    return fd;
}

static void sockets_close(struct sockets *sockets, int fd)
{
    for (unsigned i = 0; i < sockets->count; i++) {
        if (sockets->fds[i] == fd) {
            sockets->count--;
            sockets->fds[i] = sockets->fds[sockets->count];
            close(fd);
            return;
        }
    }
    CU_FAIL("a descriptor was closed twice");
}

static void sockets_end(void *context)
{
    struct sockets *sockets = context;
    while (sockets->count > 0) {
        sockets_close(sockets, sockets->fds[0]);
    }
    free(sockets);
}

static int socket_make(struct sockets *sockets)
{
    const int size = SOCKET_BUFFER_SIZE;
    const int one = 1;
    int fd = sockets_add(sockets, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CU_ASSERT_FATAL(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) == 0);
    CU_ASSERT_FATAL(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0);
    CU_ASSERT_FATAL(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0);
    return fd;
}

static int listener_open(void *context)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket_make(context);
    CU_ASSERT_FATAL(bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
    CU_ASSERT_FATAL(listen(fd, 64) == 0);
    return fd;
}

static void listener_close(void *context, int listener_fd)
{
    sockets_close(context, listener_fd);
}

static int client_connect(void *context, int listener_fd)
{
    struct sockaddr_in address;
    socklen_t size = sizeof(address);
    CU_ASSERT_FATAL(getsockname(listener_fd, (struct sockaddr *)&address, &size) == 0);
    int fd = socket_make(context);
    CU_ASSERT_FATAL(connect(fd, (const struct sockaddr *)&address, size) == 0);
    return fd;
}

static int64_t client_send(void *context, int fd, const void *bytes, size_t size)
{
    (void)context;
    const ssize_t sent = send(fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent >= 0 ? sent : -errno;
}

static int64_t client_recv(void *context, int fd, void *bytes, size_t size)
{
    (void)context;
    const ssize_t received = recv(fd, bytes, size, MSG_DONTWAIT);
    return received >= 0 ? received : -errno;
}

static void client_shutdown(void *context, int fd)
{
    (void)context;
    CU_ASSERT(shutdown(fd, SHUT_WR) == 0);
}

static void client_close(void *context, int fd)
{
    sockets_close(context, fd);
}

static void client_reset(void *context, int fd)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};
    CU_ASSERT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0);
    sockets_close(context, fd);
}

static void *thread_start(void *context, void *(*function)(void *argument), void *argument)
{
    (void)context;
    pthread_t *thread = malloc(sizeof(*thread));
    CU_ASSERT_PTR_NOT_NULL_FATAL(thread);
    CU_ASSERT_FATAL(pthread_create(thread, NULL, function, argument) == 0);
    return thread;
}

static void thread_join(void *context, void *thread)
{
    (void)context;
    CU_ASSERT(pthread_join(*(pthread_t *)thread, NULL) == 0);
    free(thread);
}

static bool is_ready(void *context, const struct ring *ring)
{
    (void)context;
    (void)ring;
    return true;
}

static void idle(void *context, struct ring *ring)
{
    (void)context;
    (void)ring;
    (void)poll(NULL, 0, 1);
}

#define SOCKETS(ring, ring_ops)                                                                    \
    {                                                                                              \
        .name = ring, .ops = ring_ops, .begin = sockets_begin, .end = sockets_end,                 \
        .listener_open = listener_open, .listener_close = listener_close,                          \
        .client_connect = client_connect, .client_send = client_send, .client_recv = client_recv,  \
        .client_shutdown = client_shutdown, .client_close = client_close,                          \
        .client_reset = client_reset, .thread_start = thread_start, .thread_join = thread_join,    \
        .folder_open = disk_folder_open, .folder_close = disk_folder_close,                        \
        .file_make = disk_file_make, .folder_make = disk_folder_make, .link_make = disk_link_make, \
        .fifo_make = disk_fifo_make, .is_ready = is_ready, .idle = idle,                           \
    }

const struct ring_contract_world ring_contract_sockets_uring = SOCKETS("uring", &ring_uring_ops);
const struct ring_contract_world ring_contract_sockets_epoll = SOCKETS("epoll", &ring_epoll_ops);
