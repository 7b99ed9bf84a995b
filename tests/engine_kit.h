/* SPDX-License-Identifier: MIT */
/* The production engine on a ring made of memory: a core whose peers are byte arrays. A test
 * connects, delivers bytes, says how much the peer takes and how far time goes, and looks at the
 * bytes that came out, at what was done to the socket, and at the upcalls that ran.
 *
 * The ring holds the engine to the contract of engine/ring.h: one receive and one send per
 * socket (C3), nothing closed with an operation in flight, every buffer returned once (B1),
 * buffers overwritten when they are. The service holds it to D1. Whatever breaks these rules
 * ends the program with a line that says so. Nothing here needs CUnit, so that the fuzzer can
 * use it too. */
#ifndef TESTS_ENGINE_KIT_H
#define TESTS_ENGINE_KIT_H

#include "base/base.h"
#include "engine/core.h"
#include "engine/exchange.h"
#include "gyr/gyr.h"

#include <semaphore.h>

#define KIT_SOCKETS_MAX 128
#define KIT_DATE        "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
#define KIT_KEY         "dGhlIHNhbXBsZSBub25jZQ==" /* RFC 6455 section 1.3 */
#define KIT_ACCEPT      "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define KIT_UPGRADE_WITH(fields)                                                   \
    "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Key: " KIT_KEY "\r\nSec-WebSocket-Version: 13\r\n" fields "\r\n"
#define KIT_101_WITH(fields)                                                            \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Accept: " KIT_ACCEPT "\r\n" fields "\r\n"
#define KIT_GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"
/* What the service below answers to a request without content. */
#define KIT_OK \
    "HTTP/1.1 200 OK\r\n" KIT_DATE "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"

enum kit_call { /* the upcalls of struct gyr_service */
    KIT_REQUEST,
    KIT_BODY,
    KIT_DONE,
    KIT_OPEN,
    KIT_MESSAGE,
    KIT_PART,
    KIT_DRAIN,
    KIT_MAIL,
    KIT_TIMER,
    KIT_CLOSE,
    KIT_CALLS,
};

enum kit_act {   /* what an upcall does */
    KIT_DEFAULT, /* upgrade; answer 200; echo a message with gyr_reply */
    KIT_NOTHING, /* return 0 */
    KIT_PENDING, /* return GYR_PENDING */
    KIT_FAIL,    /* return kit->fail_result */
    KIT_ABORT,   /* gyr_abort, and return 0 */
    KIT_CLOSING, /* gyr_close with 1000 "bye", and return 0 */
    KIT_PAUSE,   /* gyr_pause, and what is default */
    KIT_SEND,    /* gyr_send "sent", and what is default */
    KIT_HIGH,    /* what is default, and return GYR_QUEUE_HIGH */
    KIT_ACTS,
};

struct kit_event {
    enum kit_call call;
    const struct gyr_request *request;
    struct gyr_span bytes; /* piece, message, part, reason */
    enum gyr_opcode opcode;
    unsigned flags; /* of a part */
    unsigned code;  /* outcome or close code */
    bool last;      /* of a body */
};

struct kit;
typedef int kit_hook_fn(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event);

struct kit_bytes {
    uint8_t *ptr; /* owned */
    size_t size;
    size_t capacity;
};

struct kit_ring;
struct kit_socket;

struct kit {
    /* To be changed between kit_init and kit_start. */
    struct gyr_config config;
    struct gyr_service service;

    /* To be changed at any time. */
    enum kit_act acts[KIT_CALLS];
    kit_hook_fn *hooks[KIT_CALLS];                               /* instead of the act */
    enum kit_act (*choose)(struct kit *kit, enum kit_call call); /* instead of `acts` */
    void *context;                                               /* the test's own */
    int fail_result;
    bool quiet;          /* upcalls are counted, and not logged */
    int fd;              /* the connection that the calls below are about */
    struct address peer; /* of connections made from now on; its port will be their fd */
    struct address_table *addresses;  /* borrowed; for kit_start */
    const struct engine_layer *layer; /* borrowed; for kit_start */
    void *layer_state;                /* borrowed; NULL: the kit */

    /* To be looked at. */
    struct core *core;
    struct kit_ring *ring;
    struct kit_bytes log;   /* a line for each upcall */
    struct kit_bytes lines; /* what on_log got, if kit_on_log is that */
    unsigned counts[KIT_CALLS];
    int result;              /* of the last gyr_* call that an act made */
    unsigned exchanges_open; /* on_request without on_done, on_open without on_close */
    bool in_piece;           /* the log's last line is open: a body or a message in parts */
    struct core *peers[1];
};

/* Defaults: 4 KiB buffers, 16 of them; heartbeat off; everything else as gyr_config_default. */
void kit_init(struct kit *kit);
void kit_start(struct kit *kit);
/* Stop the core, let time pass until it has ended, check D1 and that nothing is left. */
void kit_end(struct kit *kit);
/* For service.on_log; its user is the kit. */
void kit_on_log(void *user, enum gyr_log_level level, struct gyr_span line);
/* Does the log have such a line? And forget it all. */
bool kit_line_has(struct kit *kit, const char *text);

/* kit_init, kit_start, kit_connect. */
void kit_begin(struct kit *kit);

/* Turn the core until it would sleep. */
void kit_run(struct kit *kit);
/* Let time pass, and run. */
void kit_advance(struct kit *kit, uint64_t ms);

/* A new connection, which becomes kit->fd. */
void kit_connect(struct kit *kit);
/* And a WebSocket of it; output and log are empty afterwards. */
void kit_open(struct kit *kit);
/* An accept fails. */
void kit_accept_fail(struct kit *kit, int err);

/* ---- the peer ---- */

/* Let these bytes arrive, as one read where buffers allow; `kit_input` runs the core as well. */
void kit_deliver(struct kit *kit, const void *bytes, size_t size);
void kit_input(struct kit *kit, const void *bytes, size_t size);
#define KIT_INPUT(kit, literal) kit_input((kit), (literal), sizeof(literal) - 1)
/* Each run of `step` bytes by itself. */
void kit_input_steps(struct kit *kit, const void *bytes, size_t size, size_t step);
/* The peer ends its stream; the connection is reset. */
void kit_end_of_stream(struct kit *kit);
void kit_reset(struct kit *kit);
/* The peer takes this many bytes more, SIZE_MAX for ever. */
void kit_room(struct kit *kit, size_t room);
/* The next send fails. */
void kit_send_fail(struct kit *kit, int err);
/* A receive that is cancelled does not end before this is set to false again. */
void kit_hold_cancel(struct kit *kit, bool hold);

/* Write a frame as a client masks it; `first` is its first byte. Returns its size, at most 14
 * more. */
size_t kit_frame(uint8_t *bytes, uint8_t first, const void *payload, size_t size);
/* Deliver one, and run. */
void kit_input_frame(struct kit *kit, uint8_t first, const void *payload, size_t size);
#define KIT_FRAME(kit, first, literal) \
    kit_input_frame((kit), (first), (literal), sizeof(literal) - 1)

/* ---- what has happened ---- */

struct transport *kit_transport(struct kit *kit); /* NULL: it has been released */
struct gyr_conn *kit_conn(struct kit *kit);       /* its exchange, or NULL */
struct span kit_output(struct kit *kit);
void kit_forget(struct kit *kit); /* empty output and log */
/* Compare, and print both if they differ; then forget what was compared. */
bool kit_output_is(struct kit *kit, const void *bytes, size_t size);
bool kit_log_is(struct kit *kit, const char *text);
bool kit_is_ended(struct kit *kit);  /* our stream has ended, or the socket is closed */
bool kit_is_closed(struct kit *kit); /* closed, by a reset too */
bool kit_is_reset(struct kit *kit);
bool kit_is_receiving(struct kit *kit); /* a receive is armed that yields bytes */
bool kit_is_sending(struct kit *kit);
unsigned kit_sends(struct kit *kit); /* so far, on all connections */
/* Did the last send name memory of a provided buffer? */
bool kit_sent_in_place(struct kit *kit);

#define EXPECT_OUTPUT(kit, literal, why) \
    EXPECT(kit_output_is((kit), (literal), sizeof(literal) - 1), (why))
#define EXPECT_LOG(kit, text, why) EXPECT(kit_log_is((kit), (text)), (why))

/* Give these bytes to fresh connections, whole, cut in two at every position, and in runs of 1,
 * 2, 3 and 7 bytes (P1). Returns where log or output differ from those of the whole, or
 * SIZE_MAX.
 *
 *   prepare    changes a kit before it is started; or NULL
 *   websocket  the handshake comes first, and is forgotten */
size_t kit_split(void (*prepare)(struct kit *kit), bool websocket, const void *bytes, size_t size);

/* What the acts do by default, for hooks. */
int kit_default(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event);

/* ---- servers on real sockets (tests/engine_kit_server.c) ---- */

#define KIT_PATIENCE_S 20 /* a test that hangs fails after this long */

/* Can this machine run a server of so many cores? If not, the test is marked as skipped. */
bool kit_server_possible(unsigned core_count);
/* Small, no drain window, so many cores. */
struct gyr_config kit_server_config(unsigned core_count);
/* Create, listen and start; ends the program if that fails. `address` gets what it listens on. */
struct gyr_server *kit_server_start(const struct gyr_config *config,
                                    const struct gyr_service *service, const char *listen,
                                    char address[128]);
void kit_server_end(struct gyr_server *server);
/* A blocking client; ends the program if it cannot connect. */
int kit_client(const char *address);
/* Send, and read until `expected` has come; false if the connection ends before. If nothing comes
 * for KIT_PATIENCE_S, the test has failed. */
bool kit_client_ask(int fd, const char *bytes, const char *expected);
unsigned kit_descriptors(void); /* open in this process */
/* Wait for what another thread posts; ends the program if it does not for KIT_PATIENCE_S. */
void kit_wait(sem_t *semaphore);

#endif
