/* SPDX-License-Identifier: MIT */
/* The simulator's face to a test: a world with its own time, network and faults, all decided by one
 * seed. Rings made with ring_sim_ops and this world as context run the production engine, any
 * number of cores in one thread. Part of the test library only.
 *
 * A ring is awake or asleep. It falls asleep by a `wait` that had nothing to return and was not
 * woken; after every other wait its owner has something to do, and takes another turn. So a test
 * drives it:
 *
 *     while some ring is ready: let one of them, chosen by sim_random, take a turn
 *     let the clients do something, or time go on to the earliest sim_ring_sleep_end_ns
 *
 * Descriptors begin at 1000 and are never used twice; any ring of the world may use any of them.
 * A connection behaves as TCP does where it hurts: closing with bytes unread, or sending to who has
 * closed, makes a reset, and a reset loses what has not been read yet. A ring takes any buffer_size
 * from 2 on, so that messages can be cut finely. */
#ifndef ENGINE_RING_SIM_H
#define ENGINE_RING_SIM_H

#include "engine/ring.h"

#include <stdio.h>

extern const struct ring_ops ring_sim_ops;

struct sim;

/* Chances in 1/1000, drawn whenever the occasion arises; all 0 is a calm world. */
struct sim_faults {
    uint16_t short_send;    /* a send takes only a part */
    uint16_t short_recv;    /* a receive gets only a part of what is there */
    uint16_t send_again;    /* send_now: -EAGAIN although there was room */
    uint16_t recv_again;    /* recv_now: -EAGAIN although there was something */
    uint16_t reset;         /* the connection breaks: -ECONNRESET */
    uint16_t accept_emfile; /* accept ends with -EMFILE */
    uint16_t enobufs;       /* a receive ends with -ENOBUFS although buffers are left */
    uint16_t multishot_end; /* a multishot operation ends without error */
    uint16_t late;          /* a completion is held back for some turns */
    uint16_t reorder;       /* completions of different operations change places */
    uint16_t time_jump;     /* time goes on by up to ten seconds within a wait */
    uint16_t spurious_wake; /* wait returns with nothing */
    uint16_t file_wait;     /* opening or reading a file takes another turn */
    uint16_t file_fail;     /* opening or reading a file fails */
    uint16_t short_read;    /* a read of a file gets only a part */
};

/* A world. `socket_size` is what one direction of a connection holds before it is full. All its
 * rings must be destroyed before it is. */
MUST_CHECK int sim_create(uint64_t seed, const struct sim_faults *faults, uint32_t socket_size,
                          struct sim **sim);
void sim_destroy(struct sim *sim);

uint64_t sim_now_ns(const struct sim *sim);
/* Let time pass. */
void sim_advance(struct sim *sim, uint64_t ns);
/* A number from the seed, below `below`. */
uint64_t sim_random(struct sim *sim, uint64_t below);
/* Change the faults, to calm the world for the last part of a test. */
void sim_set_faults(struct sim *sim, const struct sim_faults *faults);
/* Write each event as a line, or NULL: no more. */
void sim_trace(struct sim *sim, FILE *file);

/* True if a wait on this ring would return at once. When it is true for no ring, time must go on to
 * the earliest of their sleep ends. */
bool sim_ring_is_ready(const struct ring *ring);
/* When the last wait of this ring would have timed out; UINT64_MAX: never. Not later than now if
 * the ring is awake. */
uint64_t sim_ring_sleep_end_ns(const struct ring *ring);

/* A listening descriptor for accept_start; several rings may accept from it, or each from its own.
 */
int sim_listen(struct sim *sim, uint32_t backlog);
/* Close it; nothing may be in flight on it. The owner of a ring may use its `close` as well. */
void sim_listen_close(struct sim *sim, int listener_fd);

/* The client's end. Returns a client descriptor, or -ECONNREFUSED when the backlog is full or the
 * listener is gone. */
int sim_connect(struct sim *sim, int listener_fd);
/* From where it seems to come; before the server may have asked. */
void sim_client_name(struct sim *sim, int fd, const struct address *address);
/* Bytes taken or brought; -EAGAIN; -ECONNRESET, for ever; -EPIPE after sim_client_shutdown;
 * sim_client_recv: 0 at the end of the stream. */
int64_t sim_client_send(struct sim *sim, int fd, const void *bytes, size_t size);
int64_t sim_client_recv(struct sim *sim, int fd, void *bytes, size_t size);
void sim_client_shutdown(struct sim *sim, int fd); /* FIN; receiving goes on */
void sim_client_close(struct sim *sim, int fd);
void sim_client_reset(struct sim *sim, int fd); /* the descriptor stays open */

/* Files. A world has one tree of them; paths are those of its root, without a slash at either end,
 * and a folder must be there before what it holds. What exists is replaced, and who has it open
 * sees what replaces it. */
void sim_file_write(struct sim *sim, const char *path, const void *bytes, size_t size,
                    int64_t modified_seconds);
void sim_file_folder(struct sim *sim, const char *path);
void sim_file_link(struct sim *sim, const char *path, const char *target); /* symbolic */
void sim_file_fifo(struct sim *sim, const char *path);
/* Opening it fails with -EACCES. */
void sim_file_refuse(struct sim *sim, const char *path);
/* A descriptor of a folder, for open_start, which lives as long as the world; "": the root. */
int sim_folder_open(struct sim *sim, const char *path);

/* Descriptors of the server's side that are open, listeners among them: to find leaks. */
unsigned sim_open_count(const struct sim *sim);
/* Provided buffers of this ring that the engine has not returned. */
unsigned sim_buffers_out(const struct ring *ring);

#endif
