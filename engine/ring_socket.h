/* SPDX-License-Identifier: MIT */
/* The direct calls of a ring that is made of sockets and files of the kernel: what io_uring and
 * epoll have in common. Each has the shape that struct ring_ops asks for and ignores its ring. */
#ifndef ENGINE_RING_SOCKET_H
#define ENGINE_RING_SOCKET_H

#include "engine/ring.h"

int64_t ring_socket_send_now(struct ring *ring, int fd, const void *bytes, size_t size);
int64_t ring_socket_recv_now(struct ring *ring, int fd, void *bytes, size_t size);
void ring_socket_shutdown(struct ring *ring, int fd, int how);
void ring_socket_close(struct ring *ring, int fd);
void ring_socket_close_reset(struct ring *ring, int fd);
void ring_socket_peer_address(struct ring *ring, int fd, struct address *address);
int ring_socket_file_status(struct ring *ring, int fd, struct ring_file_status *status);
uint64_t ring_socket_wall_ns(struct ring *ring);

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t ring_socket_now_ns(void);

/* How a file below a folder is opened (openat2): for reading, never outside of the folder, and
 * never waiting for the other end of a pipe. */
struct open_how;
extern const struct open_how ring_socket_open_how;

#endif
