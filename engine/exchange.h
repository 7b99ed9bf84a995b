/* SPDX-License-Identifier: MIT */
/* An exchange is what a service sees of a transport: one WebSocket, or one HTTP request and its
 * answer. Pause, waiting, user data and the name by which other threads find it belong to the
 * exchange; the socket does not. */
#ifndef ENGINE_EXCHANGE_H
#define ENGINE_EXCHANGE_H

#include "base/base.h"
#include "engine/core.h"
#include "gyr/gyr.h"
#include "proto/ws_handshake.h"

enum exchange_state {
    EXCHANGE_FREE,
    EXCHANGE_REQUEST,   /* on_request has run, or runs; not answered */
    EXCHANGE_STREAMING, /* gyr_respond_begin; the content comes in pieces */
    EXCHANGE_ANSWERED,  /* the response is queued */
    EXCHANGE_UPGRADED,  /* gyr_upgrade was accepted; the 101 is queued */
    EXCHANGE_OPEN,      /* a WebSocket */
    EXCHANGE_CLOSING,   /* our Close is queued; the peer's has not come */
    EXCHANGE_CLOSED,    /* on_close or on_done is running or has run */
};

enum exchange_flags {
    EXCHANGE_F_PENDING = 1 << 0,       /* GYR_PENDING was returned */
    EXCHANGE_F_PAUSED = 1 << 1,        /* gyr_pause */
    EXCHANGE_F_PARTS = 1 << 2,         /* on_part instead of on_message */
    EXCHANGE_F_SENDING_PARTS = 1 << 3, /* a message is being sent in parts */
    EXCHANGE_F_CLOSE = 1 << 4,         /* HTTP: close after the answer */
    EXCHANGE_F_NO_CONTENT = 1 << 5,    /* HEAD: the response has no content */
    EXCHANGE_F_HANDSHAKE = 1 << 6,     /* a valid WebSocket handshake */
    EXCHANGE_F_COLLECT = 1 << 7,       /* gyr_collect */
    EXCHANGE_F_BODY = 1 << 8,          /* content is still to come */
    EXCHANGE_F_CONTINUE = 1 << 9,      /* the client waits for 100 Continue */
    EXCHANGE_F_HTTP_1_0 = 1 << 10,     /* keep-alive must be said */
    EXCHANGE_F_OPENED = 1 << 11,       /* on_open ran: on_close is owed (D1) */
    EXCHANGE_F_IN_REQUEST = 1 << 12,   /* on_request is running: the head can be looked at */
    EXCHANGE_F_RESULT = 1 << 13,       /* gyr_finish has brought the result of what is pending */
    EXCHANGE_F_QUEUE_HIGH = 1 << 15,   /* GYR_QUEUE_HIGH was returned */
    EXCHANGE_F_CLOSE_SENT = 1 << 14,   /* our Close is queued: before on_open, too */
};

/* The public name of an exchange is the same object. */
struct gyr_conn {
    struct transport *transport; /* borrowed */
    uint32_t index;
    _Atomic uint32_t generation; /* written by its core when a life of the slot ends; any thread
                                    compares it with a handle's */
    uint32_t timer_ms;           /* when on_timer is due, if timer_set */
    uint16_t flags;              /* enum exchange_flags */
    uint8_t state;               /* enum exchange_state */
    bool timer_set;
    union {
        uint32_t next_free; /* EXCHANGE_FREE */
        uint32_t watched;   /* otherwise: the layer above wants to know of its end */
    };
    union {
        uint32_t pending_ms; /* since when it is pending; until EXCHANGE_F_RESULT */
        int32_t result;      /* of gyr_finish; with EXCHANGE_F_RESULT */
    };
    /* service->conn_data_size bytes follow */
};
static_assert(sizeof(struct gyr_conn) == 32, "half a line");

/* The public view of a head; lives on the stack of whoever calls on_request. */
struct gyr_request {
    const struct http_request *head;
    const uint8_t *bytes;
};

/* What an exchange needs only while its request has content or may become a WebSocket. */
struct http_state {
    struct http_body body;
    uint64_t size_max;    /* of the content */
    uint64_t window_size; /* bytes of the content since window_ms: body_rate_min */
    uint32_t window_ms;
    uint32_t early_size;      /* of early_head and what follows it, on the wire */
    uint32_t early_memory;    /* the same, of the heap */
    uint64_t collect_max;     /* gyr_collect */
    struct entry *collected;  /* owned; gyr_collect */
    struct entry *early_head; /* owned; sent before the 101 */
    struct entry *early_tail;
    uint8_t accept[WS_ACCEPT_SIZE];
};

struct gyr_conn *exchange_acquire(struct transport *transport);
void exchange_release(struct gyr_conn *exchange);

/* The exchange that has this index, now or in an earlier life. */
struct gyr_conn *exchange_at(const struct core *core, uint32_t index);

/* Queue a message, or a part of one, before the upgrade is accepted: it goes behind the 101. */
MUST_CHECK int exchange_send_early(struct gyr_conn *exchange, uint8_t opcode, unsigned flags,
                                   struct span payload);

/* May a message, or this part of one, be sent now? 0; GYR_ERR_ARGUMENT, GYR_ERR_STATE,
 * GYR_ERR_CLOSED. */
MUST_CHECK int exchange_may_send(const struct gyr_conn *exchange, enum gyr_opcode opcode,
                                 struct gyr_span payload, unsigned flags);

/* Nothing may be handed to it now. While closing nothing is anyway: what comes is only looked
 * through for the peer's Close. Behind a request whose response goes on, or has ended and is not
 * finished yet, comes the next request. */
static inline bool exchange_is_waiting(const struct gyr_conn *exchange)
{
    unsigned waits = EXCHANGE_F_PENDING | EXCHANGE_F_PAUSED | EXCHANGE_F_QUEUE_HIGH;
    if ((exchange->flags & waits) != 0) {
        return exchange->state < EXCHANGE_CLOSING;
    }
    return UNLIKELY(exchange->state == EXCHANGE_STREAMING ||
                    exchange->state == EXCHANGE_ANSWERED) &&
           (exchange->flags & EXCHANGE_F_BODY) == 0;
}

static inline struct core *exchange_core(const struct gyr_conn *exchange)
{
    return exchange->transport->core;
}

static inline struct gyr_span span_public(struct span span)
{
    return (struct gyr_span){(const char *)span.ptr, span.size};
}

static inline struct span span_internal(struct gyr_span span)
{
    return (struct span){(const uint8_t *)span.ptr, span.size};
}

#endif
