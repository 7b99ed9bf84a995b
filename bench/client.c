/* SPDX-License-Identifier: MIT */
/* What the load generators share; not a program. Each step waits for its end: connections are
 * opened before anything is measured. */
#include "bench/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define COUNTER_PAGE_SIZE  4096
#define SMALL_RECV_SIZE    4096
#define SMALL_SEGMENT_SIZE 536 /* the least that RFC 9293 section 3.7.1 lets us count on */

/* The key of RFC 6455 section 1.3. */
static const char HANDSHAKE_KEY[] = "dGhlIHNhbXBsZSBub25jZQ==";
static const char HANDSHAKE_ACCEPT[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

_Noreturn void die(const char *format, ...)
{
    int err = errno; /* for %m */
    va_list arguments;
    va_start(arguments, format);
    (void)fprintf(stderr, "%s: ", program_invocation_short_name);
    errno = err;
    (void)vfprintf(stderr, format, arguments);
    (void)fputs("\n", stderr);
    va_end(arguments);
    exit(1);
}

uint64_t clock_ns(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        die("clock_gettime: %m");
    }
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void *take_memory(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL) {
        die("out of memory");
    }
    return memory;
}

uint64_t random_next(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    *state = x;
    return x;
}

uint32_t number_parse(const char *text, uint32_t min, uint32_t max)
{
    char *end = NULL;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < min || value > max) {
        die("%s: not a number from %u to %u", text, min, max);
    }
    return (uint32_t)value;
}

void client_address_parse(struct sockaddr_in *address, const char *text)
{
    char host[INET_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    size_t host_size = colon == NULL ? sizeof(host) : (size_t)(colon - text);
    if (host_size >= sizeof(host)) {
        die("%s: not ADDRESS:PORT", text);
    }
    memcpy(host, text, host_size);
    host[host_size] = '\0';
    address->sin_family = AF_INET;
    address->sin_port = htons((uint16_t)number_parse(colon + 1, 1, 65535));
    if (inet_pton(AF_INET, host, &address->sin_addr) != 1) {
        die("%s: not an IPv4 address", host);
    }
}

struct counter *counter_map(const char *path)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    int fd = -1;
    if (path != NULL) {
        flags = MAP_SHARED;
        fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0 || ftruncate(fd, COUNTER_PAGE_SIZE) != 0) {
            die("%s: %m", path);
        }
    }
    void *page = mmap(NULL, COUNTER_PAGE_SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (page == MAP_FAILED) {
        die("mmap: %m");
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return page;
}

size_t header_write(uint8_t *bytes, uint8_t opcode, uint8_t masked, uint64_t size)
{
    bytes[0] = (uint8_t)(FRAME_FIN | opcode);
    if (size <= 125) {
        bytes[1] = (uint8_t)(masked | size);
        return 2;
    }
    size_t length_size = size <= 0xffff ? 2 : 8;
    bytes[1] = (uint8_t)(masked | (length_size == 2 ? 126 : 127));
    for (size_t i = 0; i < length_size; i++) {
        bytes[2 + i] = (uint8_t)(size >> (8 * (length_size - 1 - i)));
    }
    return 2 + length_size;
}

/* A server's kernel queues twenty segments at first, and a segment on loopback is 64 KB, so that
 * nothing would ever wait in the server itself. The window, too, has to be agreed on when
 * connecting: later it does not become smaller. */
static void socket_make_small(int fd)
{
    int recv_size = SMALL_RECV_SIZE;
    int segment_size = SMALL_SEGMENT_SIZE;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &recv_size, sizeof(recv_size)) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment_size, sizeof(segment_size)) != 0) {
        die("SO_RCVBUF, TCP_MAXSEG: %m");
    }
}

int client_connect(const struct sockaddr_in *address, bool small)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        die("socket: %m");
    }
    if (small) {
        socket_make_small(fd);
    }
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0) {
        die("connect: %m");
    }
    int one = 1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0) {
        die("TCP_NODELAY: %m");
    }
    return fd;
}

static void handshake_send(int fd, const struct sockaddr_in *address, const char *path)
{
    char request[HANDSHAKE_SIZE];
    int size = snprintf(request, sizeof(request),
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
                        "Sec-WebSocket-Version: 13\r\n\r\n",
                        path, ntohs(address->sin_port), HANDSHAKE_KEY);
    if (size < 0 || (size_t)size >= sizeof(request)) {
        die("--path is too long");
    }
    if (send(fd, request, (size_t)size, MSG_NOSIGNAL) != size) {
        die("handshake: send: %m");
    }
}

size_t client_upgrade(int fd, const struct sockaddr_in *address, const char *path, uint8_t *rest)
{
    handshake_send(fd, address, path);
    char response[HANDSHAKE_SIZE];
    size_t size = 0;
    const char *end = NULL;
    do {
        ssize_t received = recv(fd, response + size, sizeof(response) - 1 - size, 0);
        if (received < 0 && errno == EINTR) {
            continue;
        }
        if (received <= 0) {
            die(received == 0 ? "handshake: closed by the server" : "handshake: %m");
        }
        size += (size_t)received;
        response[size] = '\0';
        end = strstr(response, "\r\n\r\n");
    } while (size < sizeof(response) - 1 && end == NULL);

    const char *accept = strstr(response, HANDSHAKE_ACCEPT);
    if (strncmp(response, "HTTP/1.1 101 ", 13) != 0 || end == NULL || accept == NULL ||
        accept > end) {
        die("handshake: refused or wrong: %s", response);
    }
    size_t rest_size = size - (size_t)(end + 4 - response);
    memcpy(rest, end + 4, rest_size);
    return rest_size;
}
