/* SPDX-License-Identifier: MIT */
/* A visit: one exchange from its request to its end, a chain of resources on the way through its
 * stages. One piece of the core's heap, laid out by its route: this structure, the parameters, the
 * instances, what they give each other, the data of hooks.
 *
 *   request -> global before_connect -> for each level: create, guard, give -> before_connect of
 *   levels -> on_connect, or the handler of the request -> after_connect, from the inside out ->
 *   accepted (101), answered, or refused
 *
 *   message -> before_receive -> tag, decode, handler (dispatch.c) -> after_receive
 *
 * Each arrow may wait: a function has returned GYR_PENDING, and visit_finish goes on. */
#ifndef ROUTER_VISIT_H
#define ROUTER_VISIT_H

#include "base/base.h"
#include "router/app.h"

enum visit_stage {
    VISIT_BEFORE_GLOBAL, /* `step` counts hooks */
    VISIT_CREATE,        /* `level` */
    VISIT_GUARD,
    VISIT_GIVE,
    VISIT_BEFORE,
    VISIT_CONNECT, /* on_connect, or the handler of an HTTP request */
    VISIT_AFTER,
    VISIT_ANSWERED, /* HTTP: streaming, or nothing follows but on_done */
    VISIT_OPEN,     /* a WebSocket between messages */
    VISIT_RECEIVE_BEFORE,
    VISIT_RECEIVE_HANDLER,
    VISIT_RECEIVE_AFTER,
    VISIT_ENDED,
};

enum visit_flags {
    VISIT_F_PENDING = 1 << 0,
    VISIT_F_HANDSHAKE = 1 << 1,
    VISIT_F_ACCEPTED = 1 << 2, /* on_open ran: on_disconnect is owed */
    VISIT_F_REFUSED = 1 << 3,  /* gyr_refuse: refuse_* */
    VISIT_F_REFUSE_CLOSE = 1 << 4,
    VISIT_F_ANSWERED_ID = 1 << 5, /* gyr_answer was called for this message */
    VISIT_F_RAN_OUT = 1 << 6,
    VISIT_F_CONTENT = 1 << 7,       /* the handler waits for the request's content */
    VISIT_F_SKIPPED = 1 << 8,       /* a before hook has dealt with it */
    VISIT_F_QUEUE_HIGH = 1 << 9,    /* a function has returned GYR_QUEUE_HIGH */
    VISIT_F_MESSAGE_KEPT = 1 << 10, /* `message` is in kept memory */
    VISIT_F_TOLD = 1 << 11,         /* what the function returns now was told, or is no failure */
    VISIT_F_BAD_GIFT = 1 << 12,     /* gyr_give of a name that is not among the gifts */
    VISIT_F_REQUEST_KEPT = 1 << 13, /* `request` is in kept memory */
    VISIT_F_PARAMS_MOVED = 1 << 14, /* `params` has room for all that may be */
    VISIT_F_REPLACED = 1 << 15,     /* `message` is a hook's: nobody has checked its bytes */
    VISIT_F_ID_KEPT = 1 << 16,      /* `id` is in kept memory */
    VISIT_F_STATES_END = 1 << 17,   /* states are being destroyed, or have been */
};

struct visit_param {
    const char *name;
    struct gyr_span value;
};

/* Memory of the core's heap that hangs on a visit. */
struct visit_block {
    struct visit_block *next;
    size_t size;
};

struct ask;
struct state_store;

struct visit {
    const struct plan_route *route;
    struct app_core *core;
    struct gyr_conn *conn;
    uint8_t stage; /* enum visit_stage */
    uint8_t level;
    uint8_t made_count; /* levels whose create has succeeded */
    uint8_t param_count;
    uint16_t step; /* of hooks */
    uint16_t opcode;
    uint32_t flags; /* enum visit_flags */
    int32_t err;    /* of the event that is under way: the first */
    uint32_t refuse_code;
    uint32_t size;                     /* of this piece of memory */
    uint32_t state_size;               /* bytes that the entries of all default states have */
    const struct gyr_request *request; /* while it lives, or kept; NULL after connect */
    struct gyr_span message;           /* that is being handled; size 0 if it is gone */
    struct gyr_span id;                /* of the message, as it is written; in the message or in
                                          kept memory */
    const struct plan_method *method;  /* of an HTTP request */
    const struct gyr_value *values;    /* that a factory has chosen, or NULL */
    const char *subprotocol;     /* NULL: the first of the resource's that is offered; "": none */
    struct visit_block *kept;    /* owned; until the message, or the connect, is done with */
    struct visit_block *blocks;  /* owned; until the end */
    struct ask *asks;            /* owned */
    struct state_store **states; /* of each level; owned, laid out or NULL until the first use */
    void (*cancel)(void *arg);
    void *cancel_arg;
    const struct plan_handler *handler; /* that has left the message pending */
    struct gyr_span refuse_text;
    struct visit_param *params;
};

static inline struct visit *visit_of(const struct gyr_conn *conn)
{
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): the data is behind what may not be changed */
    return *(struct visit **)gyr_conn_data((struct gyr_conn *)(uintptr_t)conn);
}

static inline void *visit_self(const struct visit *visit, unsigned level)
{
    uint32_t offset = visit->route->levels[level].instance_offset;
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): so is an instance */
    return offset != 0 ? (uint8_t *)(uintptr_t)visit + offset : NULL;
}

static inline const struct plan_type *visit_type(const struct visit *visit)
{
    return visit->route->levels[visit->route->level_count - 1].type;
}

/* The functions of struct gyr_service. */
int visit_request(struct gyr_conn *conn, const struct gyr_request *request);
int visit_body(struct gyr_conn *conn, struct gyr_span piece, bool last);
void visit_done(struct gyr_conn *conn, enum gyr_outcome outcome);
int visit_open(struct gyr_conn *conn);
int visit_message(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span message);
void visit_close(struct gyr_conn *conn, uint16_t close_code, struct gyr_span reason);
int visit_finish(struct gyr_conn *conn, int result);

/* What gyr_mail, a timer, and a room bring, and that there is room again: for the innermost
 * resource, once it is made. */
void visit_drain(struct gyr_conn *conn);
void visit_mail(struct gyr_conn *conn, void *mail);
void visit_timer(struct gyr_conn *conn);
void visit_recovered(struct gyr_conn *conn, struct gyr_span room,
                     const struct gyr_recovery *recovery);

/* Something has failed: log it, and tell on_failure. Refusals are not told. */
void visit_failed(struct visit *visit, int err, const char *what, const char *resource,
                  const char *name);

/* Memory that lives until the message, or the connect, is done with; NULL past the budget. */
void *visit_keep_alloc(struct visit *visit, size_t size);

#endif
