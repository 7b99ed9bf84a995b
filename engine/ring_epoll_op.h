/* SPDX-License-Identifier: MIT */
/* What an epoll ring remembers: the operations in flight, by descriptor and by user_data, and what
 * is known of each descriptor. Of a connection that is idle that is one of each. */
#ifndef ENGINE_RING_EPOLL_OP_H
#define ENGINE_RING_EPOLL_OP_H

#include "base/base.h"

#define EPOLL_OP_NONE      0         /* the operation with this index is nobody's */
#define EPOLL_OP_COUNT_MAX (1 << 24) /* of one ring */

enum epoll_op_kind {
    EPOLL_OP_ACCEPT,
    EPOLL_OP_RECV,
    EPOLL_OP_POLL,
    EPOLL_OP_SEND, /* waits for room */
    EPOLL_OP_DONE, /* has ended; its completion waits to be taken */
};

/* An operation, named by its index: the table may move. */
struct epoll_op {
    uint64_t user_data;
    union {
        const uint8_t *bytes; /* of a send; the caller's */
        struct {              /* of a poll */
            uint16_t events;
            bool multishot;
        };
    };
    union {
        uint32_t size;  /* of a send */
        int32_t result; /* of one that is done */
    };
    int32_t fd;              /* of one that is done: a new one, or -1 */
    uint32_t next;           /* of the same descriptor; of the done; of the free */
    uint32_t hash_next : 24; /* in the same chain */
    uint32_t kind : 8;       /* enum epoll_op_kind */
};
static_assert(sizeof(struct epoll_op) == 32, "one for each connection");

enum epoll_descriptor_flags {
    EPOLL_F_WATCHED = 1 << 0,  /* epoll reports its changes */
    EPOLL_F_ROOM = 1 << 1,     /* ... room to send too */
    EPOLL_F_QUEUED = 1 << 2,   /* in the list of those to be looked at */
    EPOLL_F_BLOCKING = 1 << 3, /* it was, and shall be again when the accept ends */
};

struct epoll_descriptor {
    uint32_t op;      /* first of its operations, or EPOLL_OP_NONE */
    int32_t run_next; /* the descriptor behind it in the list of those to be looked at */
    uint32_t
        generation : 24; /* names one life of this number: events of an earlier one are stale */
    uint32_t flags : 8;  /* enum epoll_descriptor_flags */
    uint16_t ready;      /* events that came, and what they told of was not used up since */
    uint16_t news;       /* events that came, and were not shown to polls and sends yet */
};
static_assert(sizeof(struct epoll_descriptor) == 16, "one for each connection");

/* Zeroed memory is a table that is empty and has no room yet. */
struct epoll_table {
    struct epoll_op *ops;                 /* owned; op_room */
    struct epoll_descriptor *descriptors; /* owned; descriptor_room, by number */
    uint32_t *chains;                     /* owned; op_room; the first operation of each */
    uint32_t op_room;                     /* a power of two */
    uint32_t op_used;                     /* were ever used, number 0 included */
    uint32_t op_free;                     /* first free one of these, or EPOLL_OP_NONE */
    uint32_t op_count;                    /* in use */
    uint32_t descriptor_room;             /* a power of two */
};

/* Make room for this descriptor, one operation on it and those that say that there is no room.
 * -ENOMEM. */
MUST_CHECK int epoll_table_reserve(struct epoll_table *table, int fd);
void epoll_table_free(struct epoll_table *table);

/* An operation that belongs to no descriptor. EPOLL_OP_NONE if there is no memory, for which
 * epoll_table_reserve has kept some back. */
uint32_t epoll_op_alloc(struct epoll_table *table);
void epoll_op_free(struct epoll_table *table, uint32_t index);

/* Begin an operation on a descriptor; there is room. */
uint32_t epoll_op_begin(struct epoll_table *table, int fd, enum epoll_op_kind kind,
                        uint64_t user_data);
/* Take an operation from its descriptor; it is the caller's then. */
void epoll_op_end(struct epoll_table *table, uint32_t index);
/* One in flight with this user_data, or EPOLL_OP_NONE. */
uint32_t epoll_op_find(const struct epoll_table *table, uint64_t user_data);

#endif
