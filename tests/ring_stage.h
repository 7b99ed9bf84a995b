/* SPDX-License-Identifier: MIT */
/* The stage that the contract's scripts play on: a ring with an accept armed, connections of which
 * both ends are known, and the trace of what was completed. Bytes on a connection follow a pattern,
 * so that each can be checked by its position in the stream alone.
 *
 * Scripts ask until something has come and give up after a number of turns, never after a time. */
#ifndef TESTS_RING_STAGE_H
#define TESTS_RING_STAGE_H

#include "tests/ring_contract.h"

#define TURNS_MAX        20000
#define TURN_NS          10000000u
#define STAGE_BATCH      16
#define STAGE_TRACE_SIZE 4096
#define PIECE_SIZE       8192

enum op {
    OP_NONE,
    OP_ACCEPT,
    OP_RECV,
    OP_POLL,
    OP_SEND,
    OP_OPEN,
    OP_READ
};

struct pair {
    int client;
    int server;
    uint64_t fed;       /* bytes the client has sent */
    uint64_t received;  /* of which the server has seen so many */
    uint64_t sent;      /* bytes the server has sent */
    uint64_t collected; /* of which the client has seen so many */
};

struct stage {
    const struct ring_contract_world *world;
    const struct ring_ops *ops;
    void *context;
    struct ring *ring;
    int listener;
    struct ring_config config;
    struct completion batch[STAGE_BATCH];
    unsigned batch_next;
    unsigned batch_count;
    bool silent; /* do not record */
    char trace[STAGE_TRACE_SIZE];
    size_t trace_size;
    size_t trace_last; /* where the last line begins */
};

static inline uint64_t user_data_of(enum op op, uint32_t number)
{
    return (uint64_t)op << 32 | number;
}

static inline enum op op_of(const struct completion *completion)
{
    return (enum op)(completion->user_data >> 32);
}

static inline bool has_more(const struct completion *completion)
{
    return (completion->flags & COMPLETION_F_MORE) != 0;
}

/* Do these bytes stand at this position of the pattern? */
bool pattern_holds(const uint8_t *bytes, uint64_t offset, size_t size);

/* The pattern's bytes from position `offset` on. */
void pattern_fill(uint8_t *bytes, uint64_t offset, size_t size);

/* Another ring in the stage's world. Returns false, having skipped the test, if this machine has
 * none. */
bool stage_ring_create(struct stage *stage, struct ring **ring);

/* Returns false if this machine has no such ring; the script then returns. */
bool stage_open(struct stage *stage, const struct ring_contract_world *world,
                uint32_t buffer_count);
/* The end of a script: compare the trace; nothing has come that it does not know. */
void stage_close(struct stage *stage, const char *trace);
void stage_check(struct stage *stage, const char *trace);
void stage_record(struct stage *stage, const struct completion *completion);

/* The next completion, waiting at most one turn for it. Returns false if there was none. */
bool stage_try(struct stage *stage, uint64_t timeout_ns, struct completion *completion);
/* The next completion, which must come. */
struct completion stage_next(struct stage *stage);
/* Nothing comes, as far as the ring can know by now. */
void stage_expect_nothing(struct stage *stage);

/* Connect a client. Not recorded. */
struct pair stage_pair(struct stage *stage);
/* Close both ends; nothing may be in flight. */
void stage_pair_close(struct stage *stage, const struct pair *pair);

/* Let the client send the next bytes of the pattern, up to position `end`, as far as there is room.
 */
void pair_feed(struct stage *stage, struct pair *pair, uint64_t end);
/* Check the bytes that a receive has brought, and leave the buffer out. */
void pair_take(struct stage *stage, struct pair *pair, const struct completion *completion);
/* Receive up to position `end` and return the buffers. */
void pair_receive(struct stage *stage, struct pair *pair, uint64_t end);
/* What recv_now brings next; never -EAGAIN. */
int64_t pair_recv_now(struct stage *stage, struct pair *pair, uint8_t *bytes, size_t size);
void pair_receive_now(struct stage *stage, struct pair *pair, uint64_t end);

/* Let the server fill the connection until it takes no more. */
void pair_fill(struct stage *stage, struct pair *pair);
/* Let the client read what is there. Returns false at the end of the stream. */
bool pair_collect(struct stage *stage, struct pair *pair);
/* Let the client read up to position `end`, or with UINT64_MAX to the end of the stream. */
void pair_collect_to(struct stage *stage, struct pair *pair, uint64_t end);
/* What the client reads next; never -EAGAIN. */
int64_t pair_client_result(struct stage *stage, const struct pair *pair);

#endif
