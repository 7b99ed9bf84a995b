/* SPDX-License-Identifier: MIT */
/* A simulated ring from inside, shared by ring_sim.c (the calls of struct ring_ops) and
 * ring_sim_op.c (what its operations do). */
#ifndef ENGINE_RING_SIM_OP_H
#define ENGINE_RING_SIM_OP_H

#include "engine/ring_sim_net.h"

#define SIM_POISON 0xdb /* fills the provided buffers that are the kernel's */

enum sim_op_kind {
    OP_ACCEPT,
    OP_RECV,
    OP_POLL,
    OP_SEND,
    OP_OPEN,
    OP_READ,
    OP_CANCEL
};

struct sim_op_name {
    const char *start;
    const char *done;
};
extern const struct sim_op_name SIM_OP_NAMES[]; /* by kind; for the trace */

struct sim_op {
    uint32_t index;       /* in ring->ops */
    struct list run_node; /* in ring->runnable */
    struct sim_watcher watcher;
    struct sim_ring *ring;     /* borrowed */
    struct sim_socket *socket; /* borrowed; NULL for a cancel */
    enum sim_op_kind kind;
    bool submitted;
    bool ended; /* its last completion has been made */
    bool quiet;
    bool multishot;
    uint32_t events; /* of a poll */
    uint64_t user_data;
    uint64_t held_until_turn;
    const uint8_t *bytes; /* of a send or a path; the engine's, which must not touch them */
    uint8_t *copy;        /* owned; the same bytes as they were when it was started */
    size_t size;          /* of bytes */
    uint8_t *target;      /* of a read; the engine's, poisoned until the completion is delivered */
    uint8_t *found;       /* owned; what a read has brought */
    size_t target_size;
    uint64_t offset;
};

struct sim_pending {
    struct sim_op *op;
    struct completion completion;
};

enum sim_buffer_state {
    BUFFER_FREE,
    BUFFER_FILLED,
    BUFFER_OUT
};

struct sim_ring {
    struct ring ring; /* first */
    struct sim *sim;  /* borrowed */
    int index;
    uint32_t submission_entries;
    uint32_t completion_entries;
    _Atomic bool woken; /* any thread; relaxed: it orders nothing, mailboxes order themselves */
    uint64_t sleep_end_ns;
    uint64_t turn;

    struct sim_op **queued; /* owned; submission_entries */
    uint32_t queued_count;
    struct sim_op **ops; /* owned; all that are not freed, in no order */
    uint32_t op_count;
    uint32_t op_max;
    struct list runnable;

    struct sim_pending *pending; /* owned; completions made and not delivered */
    uint32_t pending_count;
    uint32_t pending_max;
    uint32_t quiet_pending_count; /* the first ones */

    uint16_t *free_ids; /* owned; a circle, first in first out as in a kernel */
    uint32_t free_head;
    uint32_t free_count;
    uint8_t *buffer_states; /* owned; enum sim_buffer_state */
};

/* Queue an operation. `fd` is -1 for a cancellation, whose user_data names its target. */
struct sim_op *sim_op_start(struct sim_ring *ring, enum sim_op_kind kind, int fd,
                            uint64_t user_data);
void sim_op_free(struct sim_op *op);
/* Give the queued operations to the kernel; each is tried at once. */
void sim_op_submit_all(struct sim_ring *ring);
/* Try those again whose socket has news. */
void sim_op_run_all(struct sim_ring *ring);
/* Keep a copy of the bytes that now belong to the operation. */
void sim_op_keep_bytes(struct sim_op *op, const void *bytes, size_t size);
/* Assert that the engine has left them alone. */
void sim_op_assert_bytes_unchanged(const struct sim_op *op);
/* The last completion is handed over: what a read of a file has found appears in the engine's
 * memory. */
void sim_op_read_land(struct sim_op *op, int32_t size);

#endif
