/* SPDX-License-Identifier: MIT */
/* Part of bench/fangen.c: connecting. One connection after the other, each step waited for. */
#include "bench/fangen.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PUBLISHER_SEND_SIZE (4u << 20)
#define UNWANTED_MAX        1000 /* in a row */
#define PATH_SIZE           64

/* Read "core N", which the server sends before anything else. `rest` is what came with its answer
 * to the handshake. */
static uint32_t core_receive(int fd, uint8_t *rest, size_t size)
{
    while (size < 2 || size < 2 + (size_t)rest[1]) {
        ssize_t received = recv(fd, rest + size, HANDSHAKE_SIZE - size, 0);
        if (received <= 0 && errno != EINTR) {
            die("the server does not say its core: %m");
        }
        size += received > 0 ? (size_t)received : 0;
    }
    char text[128] = "";
    memcpy(text, rest + 2, rest[1] & 0x7f);
    if (rest[0] != (FRAME_FIN | FRAME_OPCODE_TEXT) || size != 2 + (size_t)rest[1] ||
        strncmp(text, "core ", 5) != 0) {
        die("the server does not say its core with ?core");
    }
    return number_parse(text + 5, 0, 1u << 16);
}

/* Open a connection; returns the thread that it is for. */
static uint32_t conn_open(const struct generator *generator, struct conn *conn)
{
    const struct options *options = generator->options;
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof(path), "/%s/r%u%s", conn->is_publisher ? "pub" : "sub", conn->room,
                   options->cpu_count == 0 ? "" : "?core");
    uint8_t rest[HANDSHAKE_SIZE];
    conn->fd = client_connect(&options->address, conn->is_stalled);
    size_t size = client_upgrade(conn->fd, &options->address, path, rest);
    if (options->cpu_count == 0) {
        if (size != 0) {
            die("the server sent something behind its answer to the handshake");
        }
        return 0;
    }
    uint32_t core = core_receive(conn->fd, rest, size);
    if (core >= options->cpu_count) {
        die("the server has a core %u, and --cpus has %u", core, options->cpu_count);
    }
    return core;
}

/* An orderly end would keep our port for a minute. */
static void conn_reset(struct conn *conn)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    (void)close(conn->fd);
    conn->fd = -1;
}

static void conn_adopt(struct generator *generator, struct conn *conn, uint32_t thread_index)
{
    const struct options *options = generator->options;
    struct thread *thread = &generator->threads[thread_index];
    if (conn->is_publisher) {
        int size = (int)PUBLISHER_SEND_SIZE;
        if (setsockopt(conn->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) != 0) {
            die("SO_SNDBUF: %m");
        }
        thread->publishers[thread->publisher_count++] = conn;
    } else if (conn->is_stalled) {
        generator->stalled_count++;
    } else {
        generator->reader_count++;
        generator->readers[conn->room]++;
        if (generator->looks) {
            conn->kept = take_memory(1, generator->reply_size);
            conn->numbers = take_memory(options->publisher_count, sizeof(conn->numbers[0]));
        }
    }
    generator->conn_count++;
    atomic_store_explicit(&generator->counter->connected, generator->conn_count,
                          memory_order_relaxed);
    if (conn->is_stalled) {
        return;
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data = {.ptr = conn}};
    if (epoll_ctl(thread->epoll_fd, EPOLL_CTL_ADD, conn->fd, &event) != 0) {
        die("epoll_ctl: %m");
    }
}

/* Open `count` connections like this one, of which each thread wants so many. */
static void conns_open(struct generator *generator, const struct conn *like, uint32_t *wanted,
                       uint32_t count)
{
    uint32_t permille = generator->options->stalled_permille;
    uint32_t unwanted_count = 0;
    while (count > 0) {
        struct conn *conn = &generator->conns[generator->conn_count];
        uint64_t place = generator->conn_count;
        *conn = *like;
        conn->is_stalled =
            !like->is_publisher && (place + 1) * permille / 1000 != place * permille / 1000;
        uint32_t thread_index = conn_open(generator, conn);
        if (wanted[thread_index] == 0) {
            conn_reset(conn);
            if (++unwanted_count == UNWANTED_MAX) {
                die("the server keeps putting us on core %u: does it balance by other than the "
                    "kernel's hash?",
                    thread_index);
            }
            continue;
        }
        unwanted_count = 0;
        wanted[thread_index]--;
        count--;
        conn_adopt(generator, conn, thread_index);
    }
}

void generator_connect(struct generator *generator)
{
    const struct options *options = generator->options;
    for (uint32_t room = 0; room < options->room_count; room++) {
        uint32_t wanted[THREAD_COUNT_MAX] = {0};
        uint32_t count = 0;
        for (uint32_t i = room; i < options->subscriber_count; i += options->room_count) {
            wanted[i % generator->thread_count]++;
            count++;
        }
        conns_open(generator, &(struct conn){.room = room}, wanted, count);
    }
    for (uint32_t room = 0; room < options->room_count; room++) {
        for (uint32_t i = 0; i < options->publisher_count; i++) {
            uint32_t wanted[THREAD_COUNT_MAX] = {0};
            wanted[(room + i) % generator->thread_count] = 1;
            struct conn like = {.room = room, .is_publisher = true, .publisher = i};
            conns_open(generator, &like, wanted, 1);
        }
    }
    if (generator->reader_count == 0) {
        die("nobody reads: lower --stalled");
    }
}
