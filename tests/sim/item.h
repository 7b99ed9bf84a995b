/* SPDX-License-Identifier: MIT */
/* What one side has said and the other has not heard yet: queues of requests, responses,
 * messages and frames, with their bytes. */
#ifndef TESTS_SIM_ITEM_H
#define TESTS_SIM_ITEM_H

#include "base/base.h"
#include "proto/address.h"

enum item_kind {
    ITEM_REQUEST,  /* to the service */
    ITEM_MESSAGE,  /* to the service */
    ITEM_PING,     /* to the server; its Pong */
    ITEM_RESPONSE, /* to the client */
    ITEM_UPGRADE,  /* to the client: 101 */
    ITEM_FRAME,    /* to the client */
    ITEM_CLOSE,    /* to the client */
};

enum item_flags {
    ITEM_F_FIRST = 1 << 0,      /* ITEM_FRAME, as GYR_FIRST */
    ITEM_F_LAST = 1 << 1,       /* ITEM_FRAME, as GYR_LAST */
    ITEM_F_BAD = 1 << 2,        /* it must never be heard whole */
    ITEM_F_HEAD = 1 << 3,       /* the method is HEAD */
    ITEM_F_MAY_CLOSE = 1 << 4,  /* ITEM_RESPONSE: the connection may close behind it */
    ITEM_F_MUST_CLOSE = 1 << 5, /* ITEM_REQUEST, ITEM_RESPONSE: it closes */
    ITEM_F_EXPECT = 1 << 6,     /* ITEM_REQUEST: Expect: 100-continue */
    ITEM_F_FILE = 1 << 7,       /* ITEM_RESPONSE: a file, which may fail to be opened */
    ITEM_F_ANY = 1 << 8,        /* ITEM_RESPONSE: whatever its content is */
    ITEM_F_MAYBE = 1 << 9,      /* ITEM_FRAME: it may not come */
};

struct item {
    struct item *next;
    uint8_t kind;   /* enum item_kind */
    uint8_t opcode; /* of a message or frame */
    uint16_t flags; /* enum item_flags */
    uint16_t code;  /* status code of a response, code of a Close */
    uint32_t number;
    struct address from; /* ITEM_REQUEST: who the service must see */
    uint64_t stamp;      /* ITEM_FRAME: when it was queued, as the ledger counts */
    size_t size;
    size_t done;    /* heard so far */
    uint8_t *bytes; /* owned; size */
};

struct item_queue {
    struct item *head;
    struct item *tail;
};

/* Append a copy. */
struct item *item_push(struct item_queue *queue, enum item_kind kind, const void *bytes,
                       size_t size);
void item_pop(struct item_queue *queue);
void item_clear(struct item_queue *queue);
/* Drop what stands behind `last`; NULL: all. */
void item_truncate(struct item_queue *queue, struct item *last);

/* Bytes that grow. */
struct bytes {
    uint8_t *ptr; /* owned */
    size_t size;
    size_t capacity;
};

void bytes_append(struct bytes *bytes, const void *more, size_t size);
void bytes_printf(struct bytes *bytes, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Drop the first. */
void bytes_drop(struct bytes *bytes, size_t size);
void bytes_free(struct bytes *bytes);

#endif
