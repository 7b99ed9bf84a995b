/* SPDX-License-Identifier: MIT */
/* The kernel seam. Its operations and one 16-byte completion, behind one const struct ring_ops
 * chosen when a core is created: ring_uring.c (io_uring, Linux 6.1 and later), ring_epoll.c (where
 * io_uring is forbidden or missing), ring_sim.c (a seeded simulator that owns time, the network and
 * every fault). tests/ring_contract runs the same scripts
 * on all implementations.
 *
 * Promises that the engine leans on:
 *
 *   - Every *_start yields completions with its user_data; the last one, and only that, comes
 *     without COMPLETION_F_MORE. Until then the descriptor and the memory named in it belong to the
 *     ring, whatever the result says.
 *   - Completions of one operation come in order. Completions of different operations may come in
 *     any.
 *   - No operation completes inside the call that starts it; completions come out of `wait` alone.
 *   - A cancelled operation still yields its last completion (-ECANCELED, or what it had reached).
 *   - A quiet send yields a completion only if it did not send everything; whether it will is
 *     settled when the next `submit` or `wait` has returned, and such a completion is then returned
 *     by that or the next `wait`, or by the one after if `max` cut that short.
 *   - send_now and recv_now never wait. Going from recv_start to recv_now means: cancel, consume
 *     the completions in order up to the last one, and only then recv_now; otherwise bytes change
 *     places.
 *   - close on a descriptor with an operation in flight is forbidden: shutdown or cancel first,
 *     since close alone sends no FIN while a receive is armed.
 *   - All calls belong to the thread that created the ring, except ring_wake, which is legal on
 *     any. */
#ifndef ENGINE_RING_H
#define ENGINE_RING_H

#include "base/base.h"
#include "proto/address.h"

#define COMPLETION_F_MORE     0x1 /* more completions of this operation will come */
#define COMPLETION_F_BUFFER   0x2 /* buffer_id names a provided buffer that now is ours to return */
#define COMPLETION_F_NONEMPTY 0x4 /* a hint: the socket held more bytes when this one was made */

struct completion {
    uint64_t user_data;
    int32_t result; /* bytes, descriptor, poll events, or -errno; 0 on a receive: end of stream */
    uint16_t flags;
    uint16_t buffer_id;
};
static_assert(sizeof(struct completion) == 16, "four completions fill a cache line");

/* Events of poll_start, with the values of poll(2). ERR, HUP and RDHUP are reported whether asked
 * for or not: io_uring watches for the half close too, always. As it does not go away, who only
 * waits for a reset polls multishot, which reports changes; a poll once would complete at once,
 * again and again. */
#define RING_POLL_IN    0x001
#define RING_POLL_ERR   0x008
#define RING_POLL_HUP   0x010
#define RING_POLL_RDHUP 0x2000

#define RING_USER_DATA_MAX (UINT64_MAX - 16) /* greater values are the ring's own */

/* What an opened file is. */
struct ring_file_status {
    uint64_t size;
    int64_t modified_seconds; /* since 1970 */
    uint32_t modified_ns;
    bool is_regular;
    bool is_folder;
};

struct ring_config {
    uint32_t submission_entries; /* power of two, 16 to 32768 */
    uint32_t completion_entries; /* power of two, >= 4 * submission_entries; small ones overflow and
                                    end multishot receives */
    uint32_t buffer_size;        /* of one provided buffer: 4096 to 1048576 */
    uint32_t buffer_count;       /* power of two, 1 to 32768 */
    void *context;               /* ring_sim: the struct sim it lives in; others: unused */
};

struct ring;

#define RING_WHY_SIZE 256

struct ring_ops {
    const char *name; /* "uring", "epoll", "sim" */

    /* Make a ring for the calling thread. Returns 0, -errno, or GYR_ERR_UNSUPPORTED with a line
     * in `why` (RING_WHY_SIZE) that names what is missing and how to allow it. */
    int (*create)(const struct ring_config *config, struct ring **ring, char *why);

    /* Release everything; operations still in flight are cancelled first and their memory is free
     * to reuse when this returns. Descriptors stay open. A connection that was accepted and not yet
     * reported is lost with its descriptor: end accept_start first. */
    void (*destroy)(struct ring *ring);

    /* Submissions: queued, and given to the kernel by `submit` or `wait`. They cannot fail; when
     * the queue is full they submit first. */

    /* Accept connections until cancelled or failed (multishot): result is a new descriptor, close
     * on exec, not blocking as far as send_now and recv_now are concerned. */
    void (*accept_start)(struct ring *ring, int fd, uint64_t user_data);
    /* Receive into provided buffers until cancelled, ended or failed (multishot). -ENOBUFS ends it
     * when no buffer is left: start it again when one has been returned. */
    void (*recv_start)(struct ring *ring, int fd, uint64_t user_data);
    /* Report readiness: with `multishot` at each change until cancelled, otherwise once. */
    void (*poll_start)(struct ring *ring, int fd, uint32_t events, bool multishot,
                       uint64_t user_data);
    /* Send; may complete short. One per descriptor at a time: two would interleave. `quiet`: see
     * above; it never waits for room, so a full socket is a short send or -EAGAIN. */
    void (*send_start)(struct ring *ring, int fd, const void *bytes, size_t size, bool quiet,
                       uint64_t user_data);
    /* Open a file for reading below a folder: never outside of it, not by "..", an absolute path or
     * a symbolic link (openat2, RESOLVE_BENEATH: then -EXDEV), and without waiting for the other
     * end of a pipe. `path` ends with NUL and stays until the completion. The result is a
     * descriptor, also after a cancel that came too late. */
    void (*open_start)(struct ring *ring, int folder_fd, const char *path, uint64_t user_data);
    /* Read a file from `offset` on; may complete short; 0 at its end. */
    void (*read_start)(struct ring *ring, int fd, void *bytes, size_t size, uint64_t offset,
                       uint64_t user_data);
    /* Ask for the end of the operation with this user_data. Yields no completion of its own. */
    void (*cancel)(struct ring *ring, uint64_t user_data);

    /* Give the queued submissions to the kernel without waiting. */
    void (*submit)(struct ring *ring);
    /* Submit, wait at most timeout_ns for a completion (0: do not wait; UINT64_MAX: no limit),
     * refresh now_ns, and write up to `max` completions in the order they came. Returns their
     * number; 0 on time-out, when woken with nothing to report, and now and then without a
     * cause. */
    unsigned (*wait)(struct ring *ring, uint64_t timeout_ns, struct completion *completions,
                     unsigned max);

    /* Bytes sent or received, or -errno; -EAGAIN when it would have to wait; recv_now returns 0 at
     * the end of the stream. */
    int64_t (*send_now)(struct ring *ring, int fd, const void *bytes, size_t size);
    int64_t (*recv_now)(struct ring *ring, int fd, void *bytes, size_t size);

    /* Give a provided buffer back (invariant B1: exactly once). Takes effect at once. */
    void (*buffer_return)(struct ring *ring, uint16_t buffer_id);

    /* shutdown(2) with SHUT_WR (how 1) or SHUT_RDWR (how 2), close(2), and the reset that
     * closes without lingering (SO_LINGER 0): errors do not matter here. */
    void (*shutdown)(struct ring *ring, int fd, int how);
    void (*close)(struct ring *ring, int fd);
    void (*close_reset)(struct ring *ring, int fd);

    /* The peer's address; ADDRESS_NONE once it has gone. */
    void (*peer_address)(struct ring *ring, int fd, struct address *address);

    /* What is behind the descriptor of open_start? 0 or -errno; does not wait, since opening has
     * brought the inode into memory. */
    int (*file_status)(struct ring *ring, int fd, struct ring_file_status *status);

    /* Seconds since 1970, for Date. */
    uint64_t (*wall_seconds)(struct ring *ring);

    /* Any thread: end the current or the next `wait` of `target` early. `from` is the ring of the
     * calling thread, which may make it cheaper, or NULL on a foreign thread. */
    void (*wake)(struct ring *target, struct ring *from);
};

/* The public part of every implementation; it is their first member. */
struct ring {
    const struct ring_ops *ops;
    uint64_t now_ns;  /* monotonic; refreshed by `wait`, constant in between */
    uint8_t *buffers; /* buffer_count * buffer_size, then MESSAGE_PADDING readable bytes */
    uint32_t buffer_size;
    uint32_t buffer_count;
};

static inline uint8_t *ring_buffer(const struct ring *ring, uint16_t buffer_id)
{
    ASSERT(buffer_id < ring->buffer_count);
    return ring->buffers + (size_t)buffer_id * ring->buffer_size;
}

extern const struct ring_ops ring_uring_ops;
extern const struct ring_ops ring_epoll_ops;

#endif
