/* SPDX-License-Identifier: MIT */
/* Load generator for the benchmarks: a WebSocket client that costs less than any server it drives.
 * bench/run starts one per server and gives them turns; by hand it takes --seconds and prints a
 * rate.
 *
 * Closed loop: every connection sends a batch of `depth` frames in one send(2), waits until all
 * replies have come, and sends the next. Frames are masked once, before the start, and all
 * connections send the same memory; replies are counted by bytes and not looked at. With --verify
 * each batch is made afresh (random payload, random masking key, every fourth batch in small
 * pieces) and every byte of the replies is compared, which proves content and order.
 *
 * RFC 6455 sections 4.1 (handshake, with the key of section 1.3) and 5.2 (frames). epoll, level
 * triggered, one receive per event. */

#include "bench/client.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTION_COUNT_MAX 100000
#define DEPTH_MAX            65536
#define PAYLOAD_SIZE_MAX     (64u << 20)
#define BATCH_SIZE_MAX       (1u << 30)
#define EVENT_COUNT          512
#define RECV_SIZE            (256u << 10) /* holds a batch of every workload but those of 1 MB */
#define PIECE_SIZE_MAX       64           /* of a batch that --verify sends in small pieces */
#define PIECE_COUNT_MAX      256          /* then the rest of the batch goes at once */

static const uint8_t FIXED_MASKING_KEY[4] = {0x37, 0xfa, 0x21, 0x3d}; /* RFC 6455 section 5.7 */

struct options {
    struct sockaddr_in address;
    const char *path;
    const char *counter_path; /* NULL: none */
    uint32_t connection_count;
    uint32_t depth;
    uint32_t payload_size;
    const char *message; /* the payload of all; NULL: made up */
    const char *reply;   /* what comes back for it, of the same size; NULL: the same */
    double seconds;      /* 0: until a signal ends the process */
    bool text;
    bool verify;
    bool raw;  /* no handshake; the server echoes the frames as they are */
    bool idle; /* connect, then do nothing */
};

struct conn {
    int fd;
    bool wants_write;
    uint32_t piece_count; /* small pieces left in this batch; 0: send as much as goes */
    size_t sent;
    size_t received;
    uint8_t *memory; /* owned: with --verify frames and replies of this connection, or NULL */
    const uint8_t *replies; /* with --verify: what must come back; otherwise NULL */
    const uint8_t *frames;  /* into memory, or borrowed from the generator */
};

struct generator {
    const struct options *options;
    struct counter *counter;
    struct conn *conns;  /* owned */
    uint8_t *recv_bytes; /* owned, RECV_SIZE */
    uint8_t *frames;     /* owned: the batch of everyone, unless --verify */
    size_t frame_size;
    size_t reply_size;
    size_t batch_size;
    size_t replies_size;
    uint64_t reply_bytes; /* these three: since the start */
    uint64_t send_calls;
    uint64_t recv_calls;
    uint64_t random_state;
    int epoll_fd;
};

static void options_parse(struct options *options, int argc, char **argv);
static void generator_prepare(struct generator *generator);
static void conn_open(struct generator *generator, struct conn *conn);
static void conn_batch_start(struct generator *generator, struct conn *conn);
static void generator_run(struct generator *generator);
static void generator_report(const struct generator *generator, uint64_t elapsed_ns);
static void generator_release(struct generator *generator);

int main(int argc, char **argv)
{
    struct options options = {0};
    options_parse(&options, argc, argv);

    struct generator generator = {.options = &options, .random_state = 0x9e3779b97f4a7c15u};
    generator.counter = counter_map(options.counter_path);
    generator_prepare(&generator);
    for (uint32_t i = 0; i < options.connection_count; i++) {
        conn_open(&generator, &generator.conns[i]);
        atomic_store_explicit(&generator.counter->connected, i + 1, memory_order_relaxed);
    }
    if (options.idle) {
        pause();
    } else {
        uint64_t start_ns = clock_ns();
        generator_run(&generator);
        generator_report(&generator, clock_ns() - start_ns);
    }
    generator_release(&generator);
    return 0;
}

/* --- options ------------------------------------------------------------------------------- */

static _Noreturn void usage(void)
{
    (void)fputs("usage: bench-wsgen --connect ADDRESS:PORT [options]\n"
                "  --connections N  default 64\n"
                "  --depth N        messages in flight on a connection, sent at once; default 1\n"
                "  --size N         payload bytes of a message; default 20\n"
                "  --text           text instead of binary messages\n"
                "  --message TEXT   this text, all the time\n"
                "  --reply TEXT     what the server answers to it, of the same size\n"
                "  --path PATH      request target of the handshake; default /\n"
                "  --seconds S      run so long and print the rate; default 0: until killed\n"
                "  --verify         compare every byte that comes back\n"
                "  --raw            the server is a plain TCP echo\n"
                "  --idle           upgrade the connections, then only hold them\n"
                "  --counter FILE   keep counts in this file, which exists, for bench/run\n",
                stderr);
    exit(2);
}

static void option_take(struct options *options, int letter, const char *value)
{
    switch (letter) {
    case 'a':
        client_address_parse(&options->address, value);
        break;
    case 'c':
        options->connection_count = number_parse(value, 1, CONNECTION_COUNT_MAX);
        break;
    case 'd':
        options->depth = number_parse(value, 1, DEPTH_MAX);
        break;
    case 's':
        options->payload_size = number_parse(value, 0, PAYLOAD_SIZE_MAX);
        break;
    case 'S':
        options->seconds = strtod(value, NULL);
        break;
    case 'p':
        options->path = value;
        break;
    case 'C':
        options->counter_path = value;
        break;
    case 't':
        options->text = true;
        break;
    case 'm':
        options->message = value;
        options->payload_size = (uint32_t)strlen(value);
        options->text = true;
        break;
    case 'R':
        options->reply = value;
        break;
    case 'v':
        options->verify = true;
        break;
    case 'r':
        options->raw = true;
        break;
    case 'i':
        options->idle = true;
        break;
    default:
        usage();
    }
}

static void options_parse(struct options *options, int argc, char **argv)
{
    static const struct option table[] = {
        {"connect", required_argument, NULL, 'a'}, {"connections", required_argument, NULL, 'c'},
        {"depth", required_argument, NULL, 'd'},   {"size", required_argument, NULL, 's'},
        {"seconds", required_argument, NULL, 'S'}, {"path", required_argument, NULL, 'p'},
        {"counter", required_argument, NULL, 'C'}, {"text", no_argument, NULL, 't'},
        {"verify", no_argument, NULL, 'v'},        {"raw", no_argument, NULL, 'r'},
        {"idle", no_argument, NULL, 'i'},          {"message", required_argument, NULL, 'm'},
        {"reply", required_argument, NULL, 'R'},   {NULL, 0, NULL, 0},
    };
    options->path = "/";
    options->connection_count = 64;
    options->depth = 1;
    options->payload_size = 20;

    for (int letter; (letter = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        option_take(options, letter, optarg);
    }
    if (optind != argc || options->address.sin_port == 0 || options->seconds < 0) {
        usage();
    }
    if (options->reply != NULL &&
        (options->message == NULL || strlen(options->reply) != options->payload_size)) {
        die("--reply goes with a --message of the same size");
    }
}

/* --- frames -------------------------------------------------------------------------------- */

/* Write one character of two to four bytes; returns its size. */
static size_t utf8_write(uint8_t *bytes, uint64_t random)
{
    uint8_t tail[3] = {(uint8_t)(0x80 | (random >> 8 & 0x3f)),
                       (uint8_t)(0x80 | (random >> 16 & 0x3f)),
                       (uint8_t)(0x80 | (random >> 24 & 0x3f))};
    switch (random % 3) {
    case 0:
        bytes[0] = (uint8_t)(0xc2 + random / 3 % 30); /* U+0080 to U+07FF */
        memcpy(bytes + 1, tail, 1);
        return 2;
    case 1:
        bytes[0] = (uint8_t)(0xe1 + random / 3 % 12); /* U+1000 to U+CFFF: no surrogates */
        memcpy(bytes + 1, tail, 2);
        return 3;
    default:
        bytes[0] = (uint8_t)(0xf1 + random / 3 % 3); /* U+40000 to U+FFFFF */
        memcpy(bytes + 1, tail, 3);
        return 4;
    }
}

/* Text is ASCII in rate runs, as chat and JSON mostly are; a verifying run mixes in every size of
 * character. */
static void payload_fill(const struct options *options, uint64_t *random_state, uint8_t *payload)
{
    size_t size = options->payload_size;
    if (options->message != NULL) {
        memcpy(payload, options->message, size);
        return;
    }
    for (size_t i = 0; i < size;) {
        uint64_t random = random_next(random_state);
        if (!options->text) {
            size_t piece = size - i < sizeof(random) ? size - i : sizeof(random);
            memcpy(payload + i, &random, piece);
            i += piece;
        } else if (options->verify && size - i >= 4 && random >> 62 == 0) {
            i += utf8_write(payload + i, random & 0xffffffff);
        } else {
            payload[i++] = (uint8_t)('a' + (random >> 32) % 26);
        }
    }
}

/* Write one masked frame and, if asked for, the reply that an echo server owes us. */
static void frame_write(const struct options *options, uint64_t *random_state, uint8_t *frame,
                        uint8_t *reply)
{
    uint8_t opcode = options->text ? FRAME_OPCODE_TEXT : FRAME_OPCODE_BINARY;
    size_t size = options->payload_size;
    size_t header_size = header_write(frame, opcode, FRAME_MASKED, size);
    uint8_t *key = frame + header_size;
    uint8_t *payload = key + 4;

    memcpy(key, FIXED_MASKING_KEY, 4);
    if (options->verify) {
        uint64_t random = random_next(random_state);
        memcpy(key, &random, 4);
    }
    payload_fill(options, random_state, payload);
    if (reply != NULL && !options->raw) {
        header_size = header_write(reply, opcode, 0, size);
        memcpy(reply + header_size, options->reply != NULL ? (const void *)options->reply : payload,
               size);
    }
    for (size_t i = 0; i < size; i++) {
        payload[i] ^= key[i & 3];
    }
    if (reply != NULL && options->raw) {
        memcpy(reply, frame, (size_t)(payload - frame) + size);
    }
}

static void generator_prepare(struct generator *generator)
{
    const struct options *options = generator->options;
    uint8_t header[10];
    size_t header_size = header_write(header, 0, 0, options->payload_size);
    generator->frame_size = header_size + 4 + options->payload_size;
    generator->reply_size =
        options->raw ? generator->frame_size : header_size + options->payload_size;
    if (generator->frame_size * options->depth > BATCH_SIZE_MAX) {
        die("depth times size is more than %u bytes", BATCH_SIZE_MAX);
    }
    generator->batch_size = generator->frame_size * options->depth;
    generator->replies_size = generator->reply_size * options->depth;
    atomic_store_explicit(&generator->counter->reply_size, generator->reply_size,
                          memory_order_relaxed);

    generator->conns = take_memory(options->connection_count, sizeof(struct conn));
    generator->recv_bytes = take_memory(1, RECV_SIZE);
    generator->frames = take_memory(1, generator->batch_size);
    for (uint32_t i = 0; i < options->depth; i++) {
        frame_write(options, &generator->random_state,
                    generator->frames + i * generator->frame_size, NULL);
    }
    generator->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (generator->epoll_fd < 0) {
        die("epoll_create1: %m");
    }
}

/* --- connections --------------------------------------------------------------------------- */

/* Connect and upgrade, waiting for each step. */
static void conn_open(struct generator *generator, struct conn *conn)
{
    const struct options *options = generator->options;
    conn->fd = client_connect(&options->address, false);
    uint8_t rest[HANDSHAKE_SIZE];
    /* The server sends nothing of its own, so that no reply can stand behind the handshake. */
    if (!options->raw && client_upgrade(conn->fd, &options->address, options->path, rest) != 0) {
        die("handshake: the server sent something behind its answer");
    }
    conn->frames = generator->frames;
    if (options->verify) {
        conn->memory = take_memory(1, generator->batch_size + generator->replies_size);
        conn->frames = conn->memory;
        conn->replies = conn->memory + generator->batch_size;
    }
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = conn}};
    if (epoll_ctl(generator->epoll_fd, EPOLL_CTL_ADD, conn->fd, &event) != 0) {
        die("epoll_ctl: %m");
    }
}

static void conn_write_events(struct generator *generator, struct conn *conn, bool wants_write)
{
    if (conn->wants_write == wants_write) {
        return;
    }
    struct epoll_event event = {.events = wants_write ? EPOLLIN | EPOLLOUT : EPOLLIN,
                                .data = {.ptr = conn}};
    if (epoll_ctl(generator->epoll_fd, EPOLL_CTL_MOD, conn->fd, &event) != 0) {
        die("epoll_ctl: %m");
    }
    conn->wants_write = wants_write;
}

/* Send on until the batch is out, the socket is full, or one small piece has gone. */
static void conn_send(struct generator *generator, struct conn *conn)
{
    size_t size = generator->batch_size - conn->sent;
    if (conn->piece_count > 0) {
        size_t piece_size = 1 + random_next(&generator->random_state) % PIECE_SIZE_MAX;
        size = piece_size < size ? piece_size : size;
        conn->piece_count--;
    }
    ssize_t sent = send(conn->fd, conn->frames + conn->sent, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    generator->send_calls++;
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        die("send: %m");
    }
    conn->sent += sent > 0 ? (size_t)sent : 0;
    conn_write_events(generator, conn, conn->sent < generator->batch_size);
}

static void conn_batch_start(struct generator *generator, struct conn *conn)
{
    const struct options *options = generator->options;
    conn->sent = 0;
    conn->received = 0;
    if (options->verify) {
        uint8_t *frame = conn->memory;
        uint8_t *reply = conn->memory + generator->batch_size;
        for (size_t i = 0; i < options->depth; i++) {
            frame_write(options, &generator->random_state, frame, reply);
            frame += generator->frame_size;
            reply += generator->reply_size;
        }
        bool in_pieces = (random_next(&generator->random_state) >> 62) == 0;
        conn->piece_count = in_pieces ? PIECE_COUNT_MAX : 0;
    }
    conn_send(generator, conn);
}

static void conn_verify(const struct conn *conn, const uint8_t *bytes, size_t size)
{
    const uint8_t *expected = conn->replies + conn->received;
    if (memcmp(bytes, expected, size) == 0) {
        return;
    }
    size_t at = 0;
    while (bytes[at] == expected[at]) {
        at++;
    }
    die("wrong echo on descriptor %d: byte %zu of the batch is 0x%02x, expected 0x%02x", conn->fd,
        conn->received + at, bytes[at], expected[at]);
}

static void conn_receive(struct generator *generator, struct conn *conn)
{
    ssize_t size = recv(conn->fd, generator->recv_bytes, RECV_SIZE, MSG_DONTWAIT);
    generator->recv_calls++;
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (size <= 0) {
        die(size == 0 ? "receive: closed by the server" : "receive: %m");
    }
    if ((size_t)size > generator->replies_size - conn->received) {
        die("the server sent more than it owes");
    }
    if (conn->replies != NULL) {
        conn_verify(conn, generator->recv_bytes, (size_t)size);
    }
    conn->received += (size_t)size;
    generator->reply_bytes += (uint64_t)size;
    if (conn->received == generator->replies_size) {
        if (conn->sent != generator->batch_size) {
            die("the server answered before it was asked");
        }
        conn_batch_start(generator, conn);
    }
}

/* --- the loop ------------------------------------------------------------------------------ */

static void generator_run(struct generator *generator)
{
    const struct options *options = generator->options;
    for (uint32_t i = 0; i < options->connection_count; i++) {
        conn_batch_start(generator, &generator->conns[i]);
    }
    uint64_t end_ns = UINT64_MAX;
    if (options->seconds > 0) {
        end_ns = clock_ns() + (uint64_t)(options->seconds * 1e9);
    }
    while (end_ns == UINT64_MAX || clock_ns() < end_ns) {
        struct epoll_event events[EVENT_COUNT];
        int count = epoll_wait(generator->epoll_fd, events, EVENT_COUNT, 100);
        if (count < 0 && errno != EINTR) { /* EINTR: also after SIGSTOP and SIGCONT, signal(7) */
            die("epoll_wait: %m");
        }
        for (int i = 0; i < count; i++) {
            struct conn *conn = events[i].data.ptr;
            if ((events[i].events & EPOLLOUT) != 0) {
                conn_send(generator, conn);
            }
            if ((events[i].events & ~(uint32_t)EPOLLOUT) != 0) {
                conn_receive(generator, conn);
            }
        }
        atomic_store_explicit(&generator->counter->reply_bytes, generator->reply_bytes,
                              memory_order_relaxed);
    }
}

static void generator_report(const struct generator *generator, uint64_t elapsed_ns)
{
    double messages = (double)generator->reply_bytes / (double)generator->reply_size;
    (void)printf("%.0f messages in %.2f s: %.0f per second; %.1f per send, %.1f per receive%s\n",
                 messages, (double)elapsed_ns / 1e9, messages * 1e9 / (double)elapsed_ns,
                 messages / (double)generator->send_calls, messages / (double)generator->recv_calls,
                 generator->options->verify ? "; every byte verified" : "");
}

static void generator_release(struct generator *generator)
{
    for (uint32_t i = 0; i < generator->options->connection_count; i++) {
        (void)close(generator->conns[i].fd);
        free(generator->conns[i].memory);
    }
    free(generator->conns);
    free(generator->recv_bytes);
    free(generator->frames);
    (void)close(generator->epoll_fd);
}
