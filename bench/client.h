/* SPDX-License-Identifier: MIT */
/* What the load generators share: options, counts that bench/run reads, frames, connecting. A
 * generator has no use for going on after an error, so none of this returns one. */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_OPCODE_TEXT   0x1
#define FRAME_OPCODE_BINARY 0x2
#define FRAME_FIN           0x80
#define FRAME_MASKED        0x80
#define FRAME_HEADER_MAX    10 /* without masking key */
#define FRAME_KEY_SIZE      4

#define HANDSHAKE_SIZE 4096 /* of a request, and of a response with what stands behind it */

/* Shared with bench/run through a mapped file; bench/run knows this layout. Written by the
 * generator only, relaxed: each figure stands for itself. */
struct counter {
    _Atomic uint64_t connected;   /* connections that have finished the handshake */
    _Atomic uint64_t reply_size;  /* bytes of one message as it comes back, with its header */
    _Atomic uint64_t reply_bytes; /* received since the start */
};

/* Print "PROGRAM: ..." and end with 1; %m is of errno at the call. */
__attribute__((format(printf, 1, 2))) _Noreturn void die(const char *format, ...);

uint64_t clock_ns(void);
/* calloc */
void *take_memory(size_t count, size_t size);
/* xorshift64: the same run sends the same bytes. The state is not zero. */
uint64_t random_next(uint64_t *state);

uint32_t number_parse(const char *text, uint32_t min, uint32_t max);
/* "127.0.0.1:8080" */
void client_address_parse(struct sockaddr_in *address, const char *text);
/* Map the counts in this file, which exists; NULL: private memory. */
struct counter *counter_map(const char *path);

/* Write the two to ten bytes of a header without masking key (RFC 6455 section 5.2); returns their
 * number. `masked` is FRAME_MASKED or 0. */
size_t header_write(uint8_t *bytes, uint8_t opcode, uint8_t masked, uint64_t size);

/* A connected socket with TCP_NODELAY. `small`: it takes little, and lets little be sent to it. */
int client_connect(const struct sockaddr_in *address, bool small);
/* The opening handshake (RFC 6455 section 4.1), waiting for the answer. What stands behind that is
 * copied to `rest` (HANDSHAKE_SIZE bytes); returns its size. */
size_t client_upgrade(int fd, const struct sockaddr_in *address, const char *path, uint8_t *rest);

#endif
