/* SPDX-License-Identifier: MIT */
/* A transport owns a socket: it knows bytes, completions, time limits and closing, and has never
 * heard of WebSocket. What the bytes mean is its session's matter; what a service sees of it are
 * exchanges. On HTTP/1.1 a transport carries one exchange at a time. */
#ifndef ENGINE_TRANSPORT_H
#define ENGINE_TRANSPORT_H

#include "base/base.h"
#include "engine/ring.h"
#include "engine/timer.h"
#include "proto/http_body.h"
#include "proto/ws_message.h"

struct core;
struct core_turn_send;
struct gyr_conn;

enum transport_state {
    TRANSPORT_FREE,
    TRANSPORT_OPEN,    /* bytes flow */
    TRANSPORT_ENDING,  /* nothing more is accepted; when the queue is empty the stream is ended */
    TRANSPORT_LINGER,  /* our stream is ended; input is dropped until the peer ends its own */
    TRANSPORT_CLOSING, /* shut down; waits for the last completions */
};

enum transport_recv { /* the one receive that may be in flight (invariant C3) */
    RECV_NONE,
    RECV_BUFFERS, /* multishot into provided buffers: reads are small */
    RECV_SCRATCH, /* poll, then recv_now into the core's scratch buffer: reads are large */
    RECV_WATCH,   /* paused: only errors are reported */
};

enum transport_flags {
    TRANSPORT_F_RECV_CANCELLED = 1 << 0, /* the receive in flight was asked to end */
    TRANSPORT_F_SENDING = 1 << 1,        /* a send is in flight; it names memory of queue_head */
    TRANSPORT_F_DIRTY = 1 << 2,          /* on the core's dirty list */
    TRANSPORT_F_LARGE = 1 << 3,          /* reads have been large: receive through scratch */
    TRANSPORT_F_END_OF_STREAM = 1 << 4,  /* the peer has ended its stream */
    TRANSPORT_F_WORK = 1 << 5,           /* the session has work without input: see session_work */
    TRANSPORT_F_READ_AGAIN = 1 << 6,     /* scratch: the socket may hold more */
    TRANSPORT_F_DRAIN_OWED = 1 << 7,     /* on_drain is owed */
    TRANSPORT_F_LOST = 1 << 8,           /* the peer is gone: nothing can be sent */
    TRANSPORT_F_IN_REQUEST = 1 << 9,     /* HTTP: a head is awaited since phase_ms */
    TRANSPORT_F_LAST_REQUEST = 1 << 10,  /* HTTP: no request after the current one */
    TRANSPORT_F_PINGED = 1 << 11,        /* WebSocket: a heartbeat Ping is out */
    TRANSPORT_F_CUT = 1 << 12,           /* close with a reset */
    TRANSPORT_F_TURN_SEND = 1 << 13,     /* a turn send is in flight */
    TRANSPORT_F_RATE = 1 << 15,          /* no input is taken before the rate allows it */
    TRANSPORT_F_QUEUE_HIGH = 1 << 14, /* HTTP: no request is taken before the queue has drained */
};

/* One piece of output, or a message under assembly. `bytes` leaves room for the largest header in
 * front of the payload, so that a message that was assembled can be sent from where it lies. */
struct entry {
    struct entry *next;
    uint32_t capacity;   /* of payload bytes */
    uint32_t size;       /* payload bytes */
    uint32_t sent;       /* of header and payload, already taken by the kernel */
    uint8_t kind;        /* enum entry_kind */
    uint8_t opcode;      /* messages */
    uint8_t flags;       /* messages: GYR_FIRST, GYR_LAST */
    uint8_t header_size; /* messages: set when queued, written when the entry goes out; raw bytes:
                            what stands in front of the payload already */
    uint8_t bytes[WS_SERVER_HEADER_SIZE_MAX];
    /* capacity payload bytes and MESSAGE_PADDING follow */
};

enum entry_kind {
    ENTRY_RAW,     /* bytes as they go out */
    ENTRY_MESSAGE, /* a payload; framed when it goes out */
    ENTRY_CONTROL, /* the same, of a control frame: overtakes messages, exempt from limits */
    ENTRY_RUN,     /* frames that others send, too: a struct run_entry, see fanout.h */
};

/* Input that cannot be handled yet: an incomplete head or frame, or whatever came while the
 * exchange waits. */
struct backlog {
    uint32_t capacity;
    uint32_t start; /* handled before this */
    uint32_t size;  /* bytes from start */
    uint32_t reserved;
    uint8_t bytes[]; /* capacity and MESSAGE_PADDING */
};

enum http_stream_flags {
    HTTP_STREAM_F_CHUNKED = 1 << 0,
    HTTP_STREAM_F_SIZED = 1 << 1,   /* Content-Length was written */
    HTTP_STREAM_F_DROPPED = 1 << 2, /* of the content nothing is sent: HEAD, 204, 304 */
    HTTP_STREAM_F_ENDED = 1 << 3,   /* its end is queued; on_done is owed */
};

/* A response whose content comes in pieces. */
struct http_stream {
    uint64_t remaining; /* content bytes still to come, with HTTP_STREAM_F_SIZED */
    uint32_t burst;     /* bytes queued in this turn, or since on_drain; stays at its maximum */
    uint16_t turn;      /* of `burst`, modulo 2^16 */
    uint8_t flags;      /* enum http_stream_flags */
};

/* HTTP/1.1 on a transport. */
struct session_http {
    struct http_request *partial; /* owned; while a head is incomplete */
    struct http_state *state;     /* owned; while a request has content or may be upgraded */
    struct session_file *file;    /* owned; while a request is answered with one, and until the ring
                                     has given it back */
    struct http_stream stream;
};

/* WebSocket on a transport. */
struct session_ws {
    struct ws_message message;
    uint64_t frame_remaining; /* payload bytes of the current data frame still to come */
    uint32_t frame_key;       /* masking key for the next of them */
    uint8_t frame_open;       /* a data frame is in progress */
    uint8_t part_flags;       /* receive_parts: GYR_FIRST while none was handed out */
    uint8_t reserved[2];
    struct entry *assembly; /* owned; the message so far */
};

struct transport {
    /* First line: every turn. */
    struct core *core;         /* borrowed */
    struct gyr_conn *exchange; /* owned; the current exchange, or NULL */
    struct entry *queue_head;  /* owned */
    struct entry *queue_tail;
    struct backlog *backlog; /* owned */
    int32_t fd;
    uint32_t
        queued_size; /* bytes queued or in flight, headers included, not yet taken by the kernel */
    uint32_t index;  /* of this slot */
    uint32_t generation; /* of this slot, modulo 2^24: names one life of it */
    uint16_t flags;      /* enum transport_flags */
    uint8_t state;       /* enum transport_state */
    uint8_t recv;        /* enum transport_recv */
    uint8_t inflight;    /* operations whose last completion has not come (C1) */
    uint8_t session;     /* enum session_kind */
    uint8_t read_streak; /* reads in a row that spoke for the other way to receive */
    uint8_t turn_send;   /* index of its turn send, or TURN_SEND_QUEUE, with
                            TRANSPORT_F_TURN_SEND */

    /* Second line: limits and session. */
    struct timer timer;
    uint32_t opened_ms;    /* times of the core's clock, modulo 2^32 */
    uint32_t activity_ms;  /* last byte from the peer */
    uint32_t message_ms;   /* last message in either direction */
    uint32_t phase_ms;     /* begin of what the current limit is about */
    uint32_t send_ms;      /* last time the peer took bytes, or the queue began */
    uint32_t dirty_next;   /* slot after this on the dirty list */
    uint32_t heap_size;    /* bytes of the heap that belong to this transport (A1) */
    uint32_t queue_memory; /* bytes of the heap that the entries of the queue take */
    union {
        struct session_http http;
        struct session_ws ws;
    };
};
static_assert(offsetof(struct transport, timer) == CACHE_LINE, "hot fields fill one line");
static_assert(sizeof(struct transport) <= 160, "with its exchange an idle WebSocket has 224 bytes");

/* Does the kernel have bytes of this transport to send? */
static inline bool transport_is_sending(const struct transport *transport)
{
    return (transport->flags & (TRANSPORT_F_SENDING | TRANSPORT_F_TURN_SEND)) != 0;
}

/* May input still be handed to its session? */
static inline bool transport_is_live(const struct transport *transport)
{
    return transport->state == TRANSPORT_OPEN &&
           (transport->flags & (TRANSPORT_F_LOST | TRANSPORT_F_CUT)) == 0;
}

/* ---- transport.c: slots, states, limits ---- */

/* Take over an accepted descriptor; it is closed if there is no slot left. */
void transport_open(struct core *core, int fd);

/* A completion of one of its operations has come. */
void transport_on_completion(struct transport *transport, unsigned op,
                             const struct completion *completion);

/* Send what is queued, end our stream, drop what still comes, close. */
void transport_end(struct transport *transport);

/* The same when nothing has been sent since `since_ms`: the peer has had that time to read, so it
 * is waited for close_timeout_ms less it, and not at all after a longer silence. RFC 9112 section
 * 9.6 wants a reset kept away from bytes that the peer has not read yet, for as long as we would
 * wait for any peer. */
void transport_end_idle(struct transport *transport, uint32_t since_ms);

/* Drop everything and close; `reset`: the peer sees a reset. The session's exchange is told. */
void transport_cut(struct transport *transport, bool reset);

/* The limits have changed: let the timer expire early enough. */
void transport_timer_update(struct transport *transport);
void transport_on_timer(struct transport *transport);

/* More has come than the rate allows: take no input before visitor.rate_end_ns. */
void transport_rate_wait(struct transport *transport);

/* Put on the dirty list: flushed, and its session asked for work, at the end of the turn. */
void transport_mark(struct transport *transport, unsigned flags);
void transport_work(struct transport *transport);

/* Memory of the core's heap in the name of this transport; NULL past the budget. */
void *transport_alloc(struct transport *transport, size_t size);
void transport_free(struct transport *transport, void *pointer, size_t size);

/* Free the slot if it is CLOSING and nothing is in flight (C1): the only place where that
 * happens. */
void transport_release_if_done(struct transport *transport);

/* ---- transport_recv.c ---- */

/* Start, end or change the receive according to state, pause and size of reads. */
void transport_recv_update(struct transport *transport);
void transport_on_recv(struct transport *transport, const struct completion *completion);
void transport_on_poll(struct transport *transport, const struct completion *completion);
void transport_read_scratch(struct transport *transport);

/* The exchange no longer waits: handle what has piled up. */
void transport_backlog_run(struct transport *transport);

/* ---- transport_send.c ---- */

/* Room for `size` bytes of output, to be filled at once and committed; NULL: no memory. */
uint8_t *transport_reserve(struct transport *transport, size_t size);
/* 0 gives the room back. */
void transport_commit(struct transport *transport, size_t size);
/* The same where the batch's run goes on; NULL: elsewhere, or not now. Nothing needs to be given
 * back. */
uint8_t *transport_reserve_direct(struct transport *transport, size_t size);

/* The same for an entry that must follow what the batch has produced so far. */
void transport_queue_behind_batch(struct transport *transport, struct entry *entry);

/* 0, or GYR_QUEUE_HIGH if the queue has reached its high mark. */
int transport_queue_status(const struct transport *transport);

/* Queue one frame of a message; `payload` is copied. 0, GYR_QUEUE_HIGH, GYR_ERR_BACKPRESSURE,
 * GYR_ERR_MEMORY. */
MUST_CHECK int transport_send_frame(struct transport *transport, uint8_t opcode, unsigned flags,
                                    struct span payload);

/* Queue the frame of a control message; a Pong that waits is replaced. */
MUST_CHECK int transport_send_control(struct transport *transport, uint8_t opcode,
                                      struct span payload);

/* Bytes queued, what the current batch has produced included. */
size_t transport_queued_size(const struct transport *transport);

/* Has the queue fallen to its low mark? */
bool transport_is_drained(const struct transport *transport);

/* Would `size` more bytes pass the limit? Sends what can be sent first. */
bool transport_is_full(struct transport *transport, size_t size);

/* A message was refused because the queue is full: on_drain is owed. */
void transport_refused(struct transport *transport);

/* Send the output of the batch so far, at once. */
void transport_flush_batch(struct transport *transport);
/* The batch is handled. Its output goes out at the end of the turn if its memory lasts that long;
 * returns true if that takes the provided buffer of the input. Otherwise at once. */
bool transport_end_batch(struct transport *transport);
/* Its turn send is settled: everything went out, or result says how little, or why not. */
void transport_on_turn_send(struct transport *transport, const struct core_turn_send *send);
/* Send what is queued, if nothing is in flight. */
void transport_flush_queue(struct transport *transport);
/* The same at once, and not more than the peer has room for: what it does not take is in flight
 * then. */
void transport_send_queue_now(struct transport *transport);
void transport_on_send(struct transport *transport, const struct completion *completion);
/* The quiet send of its queue's head is settled: TURN_SEND_WHOLE, or the bytes sent, or -errno. */
void transport_on_quiet_send(struct transport *transport, int32_t result);

#define TURN_SEND_QUEUE UINT8_MAX /* what is sent quietly is the head of the queue */
#define TURN_SEND_WHOLE INT32_MAX

/* ---- transport_queue.c ---- */

struct entry *entry_create(struct transport *transport, size_t capacity);
/* One that holds a copy of a message, or of a part of one. */
struct entry *entry_create_message(struct transport *transport, uint8_t opcode, unsigned flags,
                                   struct span payload);
void entry_free(struct transport *transport, struct entry *entry);

/* What it takes of the heap. */
size_t entry_memory(const struct entry *entry);

static inline uint8_t *entry_payload(struct entry *entry)
{
    return (uint8_t *)entry + offsetof(struct entry, bytes) + WS_SERVER_HEADER_SIZE_MAX;
}

/* Bytes on the wire, sent or not. */
static inline size_t entry_wire_size(const struct entry *entry)
{
    return (size_t)entry->header_size + entry->size;
}

/* Where they lie: framed now if they are not. */
const uint8_t *entry_frame(struct entry *entry);

/* Queue an entry; takes it. Control entries go before messages that are not being sent. */
void transport_queue(struct transport *transport, struct entry *entry);

/* Put an entry at a place of the queue: what `place` pointed to comes behind it. */
void queue_put(struct transport *transport, struct entry **place, struct entry *entry);
/* Take out what `place` points to. */
struct entry *queue_take(struct transport *transport, struct entry **place);
/* Take out and free it; of what is not sent yet the queue is the smaller. */
void queue_drop(struct transport *transport, struct entry **place);
/* The head was sent whole, or its bytes are in another entry now. */
void queue_pop(struct transport *transport, bool taken);
/* Let `entry` be what `place` points to. */
void queue_link(struct entry **place, struct entry *entry);
/* Does its head wait for the end of a message that is sent in parts? Then nobody waits for the
 * peer. */
bool queue_is_held(const struct transport *transport);

struct queue_amount {
    uint32_t size;
    uint32_t memory;
};
/* What of the queue is held: the message it waits for must not wait for it. */
struct queue_amount queue_held_amount(const struct transport *transport);
/* Is its head in the hands of the kernel? */
bool queue_is_sent(const struct transport *transport);
/* Copy small entries at the head that follow each other into one, so that they cost one send. */
void queue_merge(struct transport *transport);

/* A Pong has come to be queued: of those that wait drop what is too many. */
void queue_drop_pongs(struct transport *transport);

/* The message that was sent in parts is complete: what others have published meanwhile may go. */
void transport_release_held(struct transport *transport);
/* It never will be. */
void transport_drop_held(struct transport *transport);
void transport_drop_queue(struct transport *transport);

#endif
