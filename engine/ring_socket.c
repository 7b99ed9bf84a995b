/* SPDX-License-Identifier: MIT */
/* Sockets, files and clocks of the kernel, called directly. */
#include "engine/ring_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec time;
    const int err = clock_gettime(clock, &time);
    ASSERT(err == 0);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Not by send(2) and recv(2) of the C library. These are cancellation points, which take two locked
 * instructions each in a program that has threads: 3 % of the CPU of an echo of 20 bytes. */
int64_t ring_socket_send_now(struct ring *ring, int fd, const void *bytes, size_t size)
{
    (void)ring;
    const long sent = syscall(SYS_sendto, fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
    return LIKELY(sent >= 0) ? sent : -errno;
}

int64_t ring_socket_recv_now(struct ring *ring, int fd, void *bytes, size_t size)
{
    (void)ring;
    const long received = syscall(SYS_recvfrom, fd, bytes, size, MSG_DONTWAIT, NULL, NULL);
    return LIKELY(received >= 0) ? received : -errno;
}

void ring_socket_shutdown(struct ring *ring, int fd, int how)
{
    (void)ring;
    static_assert(SHUT_WR == 1 && SHUT_RDWR == 2, "`how` passes through");
    ASSERT(how == SHUT_WR || how == SHUT_RDWR);
    (void)shutdown(fd, how);
}

void ring_socket_close(struct ring *ring, int fd)
{
    (void)ring;
    /* Linux frees the descriptor whatever close answers; trying again would hit somebody else's. */
    (void)close(fd);
}

void ring_socket_close_reset(struct ring *ring, int fd)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    ring_socket_close(ring, fd);
}

void ring_socket_peer_address(struct ring *ring, int fd, struct address *address)
{
    (void)ring;
    struct sockaddr_storage storage = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof(storage);
    *address = (struct address){.family = ADDRESS_NONE};
    (void)getpeername(fd, (struct sockaddr *)&storage, &size);
    if (storage.ss_family == AF_INET) {
        struct sockaddr_in in4;
        memcpy(&in4, &storage, sizeof(in4));
        *address = address_ipv4((const uint8_t *)&in4.sin_addr, ntohs(in4.sin_port));
    } else if (storage.ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, &storage, sizeof(in6));
        *address = address_ipv6((const uint8_t *)&in6.sin6_addr, ntohs(in6.sin6_port));
    } else if (storage.ss_family == AF_UNIX) {
        address->family = ADDRESS_LOCAL;
    }
}

int ring_socket_file_status(struct ring *ring, int fd, struct ring_file_status *status)
{
    (void)ring;
    struct stat stat;
    if (fstat(fd, &stat) != 0) {
        return -errno;
    }
    *status = (struct ring_file_status){
        .size = (uint64_t)stat.st_size,
        .modified_seconds = stat.st_mtim.tv_sec,
        .modified_ns = (uint32_t)stat.st_mtim.tv_nsec,
        .is_regular = S_ISREG(stat.st_mode),
        .is_folder = S_ISDIR(stat.st_mode),
    };
    return 0;
}

uint64_t ring_socket_wall_seconds(struct ring *ring)
{
    (void)ring;
    return clock_ns(CLOCK_REALTIME) / 1000000000u;
}

uint64_t ring_socket_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

const struct open_how ring_socket_open_how = {
    .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
    .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
};
