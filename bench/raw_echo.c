/* SPDX-License-Identifier: MIT */
/* Plain TCP echo on the engine's kernel seam (engine/ring.h): multishot receive into provided
 * buffers, a direct send of what came, the buffer back in its ring at once. What the engine spends
 * above this is HTTP, WebSocket and bookkeeping; bench/run --raw sets the two side by side.
 *
 *   bench-raw_echo --listen ADDRESS:PORT
 *
 * A connection, per descriptor:
 *
 *     free --on_accept--> open --on_recv: end or error--> ended --conn_settle--> free
 *
 * conn_settle closes only when neither a receive nor a send is in flight. A full socket keeps its
 * pieces (buffer, offset, size) in a list threaded through the buffer numbers; one send is in
 * flight. */
#include "engine/ring.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define FD_COUNT         65536
#define COMPLETION_COUNT 256
#define BUFFER_COUNT     256 /* these four: the engine's defaults (engine/config.c) */
#define BUFFER_SIZE      (64u << 10)
#define SUBMISSIONS      1024
#define COMPLETIONS      16384
#define LISTEN_BACKLOG   4096
#define NO_PIECE         UINT32_MAX

enum operation { /* the low two bits of user_data; the rest is the descriptor */
    OPERATION_ACCEPT,
    OPERATION_RECV,
    OPERATION_SEND,
};

struct piece { /* by buffer_id */
    uint32_t offset;
    uint32_t size;
    uint32_t next; /* buffer_id of the next piece, or NO_PIECE */
};

struct conn {       /* by descriptor; zero is free */
    uint32_t first; /* piece that is sent, or NO_PIECE */
    uint32_t last;
    bool receiving; /* a receive is in flight */
    bool sending;   /* a send of the first piece is in flight */
    bool ended;     /* no more bytes will come */
    bool failed;    /* bytes are not wanted any more */
};

struct echo {
    struct ring *ring;
    struct conn *conns; /* owned, FD_COUNT */
    int *starved;       /* owned: descriptors whose receive found no buffer */
    uint32_t starved_count;
    uint32_t buffers_out; /* taken by completions and not given back */
    struct piece pieces[BUFFER_COUNT];
};

static void on_accept(struct echo *echo, int listen_fd, const struct completion *completion);
static void on_recv(struct echo *echo, int fd, const struct completion *completion);
static void on_send(struct echo *echo, int fd, const struct completion *completion);
static void conn_settle(struct echo *echo, int fd);
static void starved_restart(struct echo *echo);

static _Noreturn void die(const char *what, int err)
{
    errno = err;
    (void)fprintf(stderr, "bench-raw_echo: %s: %m\n", what);
    exit(1);
}

static uint64_t user_data_of(int fd, enum operation operation)
{
    return (uint64_t)fd << 2 | operation;
}

static int listener_open(const char *text)
{
    char host[INET_ADDRSTRLEN];
    struct sockaddr_in address = {.sin_family = AF_INET};
    const char *colon = strchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= sizeof(host)) {
        die(text, EINVAL);
    }
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    address.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1 || address.sin_port == 0) {
        die(text, EINVAL);
    }
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* Accepted sockets inherit TCP_NODELAY. */
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, LISTEN_BACKLOG) != 0) {
        die(text, errno);
    }
    return fd;
}

static void echo_open(struct echo *echo)
{
    const struct ring_config config = {
        .submission_entries = SUBMISSIONS,
        .completion_entries = COMPLETIONS,
        .buffer_size = BUFFER_SIZE,
        .buffer_count = BUFFER_COUNT,
    };
    char why[256] = "";
    if (ring_uring_ops.create(&config, &echo->ring, why) != 0) {
        (void)fprintf(stderr, "bench-raw_echo: %s\n", why);
        exit(1);
    }
    echo->conns = calloc(FD_COUNT, sizeof(struct conn));
    echo->starved = calloc(FD_COUNT, sizeof(int));
    if (echo->conns == NULL || echo->starved == NULL) {
        die("memory", ENOMEM);
    }
}

static void dispatch(struct echo *echo, const struct completion *completion)
{
    int fd = (int)(completion->user_data >> 2);
    switch ((enum operation)(completion->user_data & 3)) {
    case OPERATION_ACCEPT:
        on_accept(echo, fd, completion);
        break;
    case OPERATION_RECV:
        on_recv(echo, fd, completion);
        break;
    case OPERATION_SEND:
        on_send(echo, fd, completion);
        break;
    }
}

int main(int argc, char **argv)
{
    if (argc != 3 || strcmp(argv[1], "--listen") != 0) {
        (void)fputs("usage: bench-raw_echo --listen ADDRESS:PORT\n", stderr);
        return 2;
    }
    struct echo echo = {0};
    int listen_fd = listener_open(argv[2]);
    echo_open(&echo);
    ring_uring_ops.accept_start(echo.ring, listen_fd, user_data_of(listen_fd, OPERATION_ACCEPT));

    for (;;) { /* until a signal ends the process */
        struct completion completions[COMPLETION_COUNT];
        unsigned count = ring_uring_ops.wait(echo.ring, UINT64_MAX, completions, COMPLETION_COUNT);
        for (unsigned i = 0; i < count; i++) {
            dispatch(&echo, &completions[i]);
        }
        starved_restart(&echo);
    }
}

/* --- pieces -------------------------------------------------------------------------------- */

static void buffer_give_back(struct echo *echo, uint32_t buffer_id)
{
    ring_uring_ops.buffer_return(echo->ring, (uint16_t)buffer_id);
    ASSERT(echo->buffers_out > 0);
    echo->buffers_out--;
}

static void piece_push(struct echo *echo, struct conn *conn, uint32_t buffer_id, uint32_t size)
{
    echo->pieces[buffer_id] = (struct piece){.offset = 0, .size = size, .next = NO_PIECE};
    if (conn->first == NO_PIECE) {
        conn->first = buffer_id;
    } else {
        echo->pieces[conn->last].next = buffer_id;
    }
    conn->last = buffer_id;
}

/* The first piece has lost `size` bytes at its front; give its buffer back if that was all. */
static void piece_consume(struct echo *echo, struct conn *conn, uint32_t size)
{
    uint32_t buffer_id = conn->first;
    struct piece *piece = &echo->pieces[buffer_id];
    ASSERT(size <= piece->size);
    piece->offset += size;
    piece->size -= size;
    if (piece->size == 0) {
        conn->first = piece->next;
        buffer_give_back(echo, buffer_id);
    }
}

static void conn_fail(struct echo *echo, int fd)
{
    echo->conns[fd].failed = true;
    ring_uring_ops.shutdown(echo->ring, fd, 2); /* ends the receive */
}

/* Send what is queued until the socket is full; the rest of that piece goes by submission. */
static void conn_send(struct echo *echo, int fd)
{
    struct conn *conn = &echo->conns[fd];
    while (conn->first != NO_PIECE && !conn->sending && !conn->failed) {
        const struct piece *piece = &echo->pieces[conn->first];
        const uint8_t *bytes = ring_buffer(echo->ring, (uint16_t)conn->first) + piece->offset;
        int64_t sent = ring_uring_ops.send_now(echo->ring, fd, bytes, piece->size);
        if (sent == (int64_t)piece->size) {
            piece_consume(echo, conn, (uint32_t)sent);
        } else if (sent >= 0 || sent == -EAGAIN) {
            sent = sent > 0 ? sent : 0;
            piece_consume(echo, conn, (uint32_t)sent);
            ring_uring_ops.send_start(echo->ring, fd, bytes + sent, piece->size, false,
                                      user_data_of(fd, OPERATION_SEND));
            conn->sending = true;
        } else {
            conn_fail(echo, fd);
        }
    }
}

/* --- completions --------------------------------------------------------------------------- */

static void conn_recv_start(struct echo *echo, int fd)
{
    ring_uring_ops.recv_start(echo->ring, fd, user_data_of(fd, OPERATION_RECV));
    echo->conns[fd].receiving = true;
}

static void on_accept(struct echo *echo, int listen_fd, const struct completion *completion)
{
    if (completion->result >= FD_COUNT) {
        die("accept", EMFILE);
    }
    if (completion->result >= 0) {
        echo->conns[completion->result] = (struct conn){.first = NO_PIECE, .last = NO_PIECE};
        conn_recv_start(echo, completion->result);
    } else if (completion->result != -ECONNABORTED) {
        die("accept", -completion->result);
    }
    if ((completion->flags & COMPLETION_F_MORE) == 0) {
        ring_uring_ops.accept_start(echo->ring, listen_fd,
                                    user_data_of(listen_fd, OPERATION_ACCEPT));
    }
}

static void on_recv(struct echo *echo, int fd, const struct completion *completion)
{
    struct conn *conn = &echo->conns[fd];
    if ((completion->flags & COMPLETION_F_BUFFER) != 0) {
        echo->buffers_out++;
        if (completion->result > 0 && !conn->failed) {
            piece_push(echo, conn, completion->buffer_id, (uint32_t)completion->result);
        } else {
            buffer_give_back(echo, completion->buffer_id);
        }
    }
    if (LIKELY((completion->flags & COMPLETION_F_MORE) != 0)) {
        conn_send(echo, fd);
        return;
    }
    conn->receiving = false;
    if (completion->result == -ENOBUFS) {
        echo->starved[echo->starved_count++] = fd;
    } else if (completion->result > 0) { /* the completion queue had overflowed */
        conn_recv_start(echo, fd);
    } else {
        conn->ended = true;
    }
    conn_send(echo, fd);
    conn_settle(echo, fd);
}

static void on_send(struct echo *echo, int fd, const struct completion *completion)
{
    struct conn *conn = &echo->conns[fd];
    conn->sending = false;
    if (completion->result >= 0) {
        piece_consume(echo, conn, (uint32_t)completion->result);
    } else {
        conn_fail(echo, fd);
    }
    conn_send(echo, fd);
    conn_settle(echo, fd);
}

/* Close a connection that is done, once the kernel has let go of it. */
static void conn_settle(struct echo *echo, int fd)
{
    struct conn *conn = &echo->conns[fd];
    if (conn->receiving || conn->sending || !conn->ended) {
        return;
    }
    while (conn->first != NO_PIECE) {
        piece_consume(echo, conn, echo->pieces[conn->first].size);
    }
    ring_uring_ops.close(echo->ring, fd);
}

/* Receives that found no buffer start again once there is one; before, they would only fail again.
 */
static void starved_restart(struct echo *echo)
{
    if (LIKELY(echo->starved_count == 0) || echo->buffers_out == BUFFER_COUNT) {
        return;
    }
    for (uint32_t i = 0; i < echo->starved_count; i++) {
        conn_recv_start(echo, echo->starved[i]);
    }
    echo->starved_count = 0;
}
