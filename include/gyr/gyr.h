/* SPDX-License-Identifier: MIT */
/* Gyr: a WebSocket and HTTP server engine for Linux. This page reads as the life of a server, top
 * to bottom: configure, create, listen, start; what the engine calls; what may be called back;
 * other threads; names and rooms; statistics; stop.
 *
 * Threads. Every core of a server is one thread. A connection, a request and a core belong to the
 * thread that passes them to a callback; calls that take them are legal there only. Calls that are
 * legal on any thread say so. Nothing here calls back into the service before it returns.
 *
 * Errors. A call that can fail returns 0, or a negative number: -errno or one of gyr_err.h. A
 * failing call has changed nothing unless its text says what. */
#ifndef GYR_GYR_H
#define GYR_GYR_H

#include "gyr/gyr_err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GYR_VERSION    "0.1.0"
#define GYR_API        __attribute__((visibility("default")))
#define GYR_MUST_CHECK __attribute__((warn_unused_result))

struct gyr_server;
struct gyr_core;
struct gyr_conn; /* one exchange: a WebSocket, or an HTTP request and its answer */
struct gyr_request;
struct gyr_backend;
struct gyr_app; /* gyr_app.h */

/* A view of bytes that somebody else owns. */
struct gyr_span {
    const char *ptr;
    size_t size;
};

/* A span of a string literal, for initialisers too. */
/* clang-format off */
#define GYR_LITERAL(text) {"" text, sizeof(text) - 1}
/* clang-format on */
#ifdef __cplusplus
#define GYR_SPAN(text) (gyr_span GYR_LITERAL(text)) /* C++ has no compound literals */
#else
#define GYR_SPAN(text) ((struct gyr_span)GYR_LITERAL(text))
#endif

/* Where something was declared: "examples/chat.c:17". */
#define GYR_AT          __FILE__ ":" GYR_AT_TEXT_(__LINE__)
#define GYR_AT_TEXT_(x) GYR_AT_LINE_(x)
#define GYR_AT_LINE_(x) #x

/* One line of text for people: what was wrong, with which value, and what to do about it. */
struct gyr_error {
    char text[320];
};

/* "the queue is full; wait for on_drain" for GYR_ERR_BACKPRESSURE, strerror for -errno. Any thread;
 * lives for ever. */
GYR_API const char *gyr_strerror(int err);

/* ---- 1. Configure ---------------------------------------------------------------------------- */

enum gyr_balance {
    GYR_BALANCE_HASH,  /* a connection stays on the core that the kernel's hash chose */
    GYR_BALANCE_LEAST, /* a core hands new connections to the core with the fewest */
};

enum gyr_ring {
    GYR_RING_AUTO,  /* io_uring, or epoll where that cannot be had */
    GYR_RING_URING, /* io_uring, or an error */
    GYR_RING_EPOLL,
};

/* What happens to a WebSocket that passes message_rate_max or byte_rate_max. */
enum gyr_rate_action {
    GYR_RATE_CLOSE, /* it is closed with 1008 */
    GYR_RATE_PAUSE, /* nothing more is read before the rate allows it */
};

/* From which field a trusted proxy's word about its client is taken. */
enum gyr_forwarded {
    GYR_FORWARDED_NONE,
    GYR_FORWARDED_RFC_7239, /* Forwarded: for= */
    GYR_FORWARDED_X,        /* X-Forwarded-For */
};

enum gyr_log_level {
    GYR_LOG_OFF,
    GYR_LOG_ERROR,
    GYR_LOG_WARNING,
    GYR_LOG_INFO, /* the access log too */
    GYR_LOG_DEBUG,
};

enum gyr_log_format {
    GYR_LOG_TEXT, /* time level event name=value name="quoted value" */
    GYR_LOG_JSON, /* one object a line */
};

#define GYR_CPU_BY_CORES 65535

/* All fields have a default (gyr_config_default) and a range (gyr_config_print); zero means zero.
 * Times of 0 switch a limit off where the range allows it. */
struct gyr_config {
    size_t size; /* sizeof(struct gyr_config), set by gyr_config_default */

    /* Cores. */
    char cores[128];  /* CPUs, a thread each: "0-3,6"; "" is all that this process may run on */
    uint32_t pin;     /* 1: bind each thread to its CPU; 0: leave it to the scheduler */
    uint32_t balance; /* enum gyr_balance */
    uint32_t spin_us; /* poll this long before sleeping; lowers latency, burns the core */

    uint32_t ring; /* enum gyr_ring */
    uint32_t cpu;  /* of one core (gyr_settings, section [core N]); GYR_CPU_BY_CORES otherwise */

    /* One turn of a core. */
    uint32_t turn_completions_max; /* completions taken by one wait */
    uint32_t turn_sends_max;       /* batches of output sent together at its end */
    uint32_t read_rounds_max;      /* large reads of one connection before others get their turn */

    /* Memory, per core. */
    uint32_t connections_max;    /* slots; a slot that was never used costs address space only */
    uint64_t core_heap_size_max; /* bytes for all that peers can make grow */
    uint32_t submission_entries; /* io_uring submission queue; power of two */
    uint32_t completion_entries; /* io_uring completion queue; power of two */
    uint32_t recv_buffer_size;   /* bytes of one provided buffer */
    uint32_t recv_buffer_count;  /* provided buffers; power of two */
    uint32_t recv_scratch_threshold; /* reads of this many bytes and more use scratch; 0: never */
    uint32_t mailbox_count_max;      /* entries that other threads may have queued to a core */

    /* Rooms. */
    uint32_t rooms_max;           /* of the server */
    uint32_t conn_rooms_max;      /* of a connection */
    uint32_t broadcast_lanes;     /* a room belongs to one; messages of a lane have one order */
    uint32_t broadcast_entries;   /* messages of a lane that a core may be behind; power of two */
    uint64_t broadcast_size_max;  /* bytes of messages on their way between cores */
    uint32_t broadcast_copy_size; /* a message up to this is copied by each core, not shared */

    /* Limits of one connection. */
    uint32_t head_size_max;       /* bytes of request line and fields */
    uint32_t target_size_max;     /* bytes of the request target */
    uint32_t field_count_max;     /* fields of a request */
    uint64_t body_size_max;       /* bytes of a request's content */
    uint32_t message_size_max;    /* bytes of a WebSocket message */
    uint32_t send_queue_size_max; /* bytes queued to a connection; control frames exempt */
    uint32_t send_queue_high;     /* on_drain is owed once the queue has reached this ... */
    uint32_t send_queue_low;      /* ... and comes when it has fallen to this */
    uint32_t pause_size_max;      /* bytes read ahead for a paused or waiting connection */

    /* Limits of a public server; 0: none. */
    uint32_t server_connections_max;  /* of all cores together; 503 beyond */
    uint32_t address_connections_max; /* from one address; 503 beyond */
    uint32_t upgrade_rate_max;        /* WebSockets accepted per second and core; 503 beyond */
    uint32_t message_rate_max;        /* messages, Pings and Pongs per second from one WebSocket */
    uint32_t message_burst_max;       /* of which so many may come at once */
    uint64_t byte_rate_max;           /* bytes per second from one connection */
    uint64_t byte_burst_max;          /* of which so many may come at once */
    uint32_t rate_action;             /* enum gyr_rate_action */
    uint32_t body_rate_min; /* bytes per second of a request's content, on the whole; 408 */

    /* Who may come. Lists are separated by blanks. */
    char origins[1024]; /* of browsers, beside the request's own host, as "https://a.example null";
                           a host may begin with "*."; "*" alone: any */
    char hosts[1024];   /* that are served: "a.example *.b.example:8443 192.0.2.1"; "": any */
    char trusted_proxies[1024]; /* "192.0.2.1 2001:db8::/32 unix:": whose word is taken */
    uint32_t proxy_protocol;    /* 1: connections of trusted proxies begin with a PROXY v2 header */
    uint32_t forwarded;         /* enum gyr_forwarded */

    /* What on_log gets. */
    uint32_t log_level;    /* enum gyr_log_level */
    uint32_t log_format;   /* enum gyr_log_format */
    uint32_t log_rate_max; /* lines per second and core; what is dropped is counted in a line */
    uint32_t access_log;   /* 1: a line for each request and each WebSocket that has ended */

    /* Time limits, milliseconds. */
    uint32_t header_timeout_ms; /* from the first byte of a request, or the accept, to its head */
    uint32_t body_timeout_ms;   /* without a byte of a request's content */
    uint32_t keep_alive_timeout_ms; /* between two requests */
    uint32_t handshake_timeout_ms;  /* of a request that is GYR_PENDING: 503 */
    uint32_t heartbeat_interval_ms; /* silence after which a Ping is sent; 0: never */
    uint32_t heartbeat_timeout_ms; /* after it without a byte from the peer, or taken by it: 1006 */
    uint32_t idle_timeout_ms;      /* without a message in either direction: 1001; 0: never */
    uint32_t close_timeout_ms;     /* for the peer's Close, and for its end of the stream */
    uint32_t send_timeout_ms;      /* without a byte taken by the peer while bytes are queued */
    uint32_t lifetime_max_ms;      /* of a connection: 1001; 0: unlimited */

    /* Stopping, milliseconds. */
    uint32_t shutdown_window_ms;   /* over which Close 1001 is spread */
    uint32_t shutdown_deadline_ms; /* after which what is left is cut */

    /* Threads beside the cores. */
    uint32_t offload_threads;   /* of gyr_offload; started at first use */
    uint32_t offload_count_max; /* calls of gyr_offload that wait or run */

    uint32_t listen_backlog; /* connections the kernel queues per listener */
};

GYR_API void gyr_config_init(struct gyr_config *config, size_t size);

static inline struct gyr_config gyr_config_default(void)
{
    struct gyr_config config;
    gyr_config_init(&config, sizeof(config));
    return config;
}

/* Set one field by name from text: "message_size_max", "65536". Numbers take the suffixes k, m, g
 * (powers of 1024). Returns GYR_ERR_CONFIG with a line in `error` that names the field, the value
 * and the range. */
GYR_API GYR_MUST_CHECK int gyr_config_set(struct gyr_config *config, const char *name,
                                          const char *value, struct gyr_error *error);

/* Write every field as "name = value  # unit, range" lines to `text`; returns the size that all of
 * it needs, like snprintf. */
GYR_API size_t gyr_config_print(const struct gyr_config *config, char *text, size_t size);

/* Configuration in layers: what comes later wins. A program's own structure, then a file, the
 * environment and the command line, each only if it is asked for. Every value keeps the name of
 * where it came from, and every core may have its own. One thread at a time. */
struct gyr_settings;

/* Begin with a structure; NULL: the defaults. GYR_ERR_CONFIG, GYR_ERR_MEMORY. */
GYR_API GYR_MUST_CHECK int gyr_settings_create(const struct gyr_config *config,
                                               struct gyr_settings **settings,
                                               struct gyr_error *error);
GYR_API void gyr_settings_destroy(struct gyr_settings *settings);

/* Read an INI file: "name = value" lines, before any section for all cores, after "[core 1]" for
 * that core. Comments begin with ; or #. Every mistake is "path:line: what is wrong". -errno,
 * GYR_ERR_CONFIG; what the file says has then not been taken. */
GYR_API GYR_MUST_CHECK int gyr_settings_read(struct gyr_settings *settings, const char *path,
                                             struct gyr_error *error);

/* Read GYR_<NAME>, in capitals: GYR_MESSAGE_SIZE_MAX=64k; of one core: GYR_CORE_1_SPIN_US=50. A
 * variable that begins like this and names no setting is an error. */
GYR_API GYR_MUST_CHECK int gyr_settings_environment(struct gyr_settings *settings,
                                                    struct gyr_error *error);

/* Set one: "spin_us", "50"; of one core: "core 1.spin_us". `origin` is what gyr_settings_print
 * shows, as "--set"; copied. */
GYR_API GYR_MUST_CHECK int gyr_settings_set(struct gyr_settings *settings, const char *name,
                                            const char *value, const char *origin,
                                            struct gyr_error *error);

/* Are all values of all cores usable together, as a start would ask? GYR_ERR_CONFIG with a line
 * that names the value and where it came from. */
GYR_API GYR_MUST_CHECK int gyr_settings_check(const struct gyr_settings *settings,
                                              struct gyr_error *error);

/* Write "name = value  # unit, range; origin" lines, with a section for each core that has its own;
 * returns the size that all of it needs, like snprintf. gyr_settings_read can read it. */
GYR_API size_t gyr_settings_print(const struct gyr_settings *settings, char *text, size_t size);

/* What holds for all cores; lives as long as the settings stay as they are. */
GYR_API const struct gyr_config *gyr_settings_config(const struct gyr_settings *settings);

/* ---- 2. What the engine calls ---------------------------------------------------------------- */

enum gyr_opcode {
    GYR_TEXT = 1,
    GYR_BINARY = 2,
};

/* Returned by on_request, on_body, on_open, on_message and on_part: the answer comes later, by
 * gyr_finish on this thread or gyr_complete from any. Until then this connection's next request or
 * message waits; other connections go on. */
#define GYR_PENDING 2

/* Returned by gyr_send, gyr_send_part and gyr_reply: the message was taken, but the queue has
 * reached send_queue_high; on_drain will come. A callback that returns it is not called again for
 * this connection before the queue has drained: so `return gyr_reply(...);` slows a peer down that
 * sends without reading. */
#define GYR_QUEUE_HIGH 3

/* How a request ended (on_done). */
enum gyr_outcome {
    GYR_DONE_ANSWERED, /* the response is on its way */
    GYR_DONE_UPGRADED, /* it became a WebSocket; on_open follows */
    GYR_DONE_ABORTED,  /* the connection was lost, or the request's content or the response broke
                          off */
};

enum gyr_room_event {
    GYR_ROOM_CREATED,
    GYR_ROOM_EMPTIED,
};

/* What becomes of a message for a member that does not read fast enough: when its queue, whatever
 * is in there, would grow past the rule's queue_size_max. */
enum gyr_room_policy {
    GYR_ROOM_QUEUE,       /* queue up to send_queue_size_max; what would pass that is dropped */
    GYR_ROOM_DROP_NEWEST, /* the message is dropped */
    GYR_ROOM_DROP_OLDEST, /* the room's oldest messages in this queue are dropped until it fits */
    GYR_ROOM_CONFLATE,    /* of each key (struct gyr_publish) only the newest message is kept, at
                             all times; beyond the limit it is dropped */
    GYR_ROOM_CLOSE,       /* the member is closed with 1013 (RFC 6455 section 7.4.1); the room's
                             messages that wait in its queue are dropped */
};

/* What the rooms of a name are like. The first rule that fits holds; without one a room has
 * GYR_ROOM_QUEUE and no history. */
struct gyr_room_rule {
    size_t size;             /* sizeof(struct gyr_room_rule) */
    struct gyr_span pattern; /* a name; or, with '*' at its end, what names begin with */
    enum gyr_room_policy policy;
    uint32_t queue_size_max; /* bytes; 0: send_queue_size_max; not with GYR_ROOM_QUEUE */
    /* Messages that are kept for gyr_join_since; 0: none. They outlive the room's members. The
     * rooms of a core together have a fourth of core_heap_size_max, and rooms_max of them are
     * known: what was used least lately goes first, and a room that is known again has another
     * epoch. Such a room is not among several of one publish. */
    uint32_t history_count;
    uint32_t history_ms; /* ... for at most so long; 0: no limit */
    bool presence;       /* gyr_presence knows the members that have a text id */
};

/* How gyr_join_since has ended. */
struct gyr_recovery {
    size_t size;
    bool recovered; /* everything since the offset has been queued, in order; false for epoch 0 */
    int err; /* why not, 0 for epoch 0: GYR_ERR_NOT_FOUND, it is not kept any more, or the epoch is
                another; GYR_ERR_BACKPRESSURE, it did not fit the queue, and a part of it may have
                been queued; GYR_ERR_MEMORY; what the backend said otherwise */
    uint64_t epoch;  /* of the room's history */
    uint64_t offset; /* of the last message before those that come from now on */
    size_t count;    /* messages that were queued */
};

/* Flags of on_part and gyr_send_part. */
#define GYR_FIRST 0x1 /* the message begins with this part */
#define GYR_LAST  0x2 /* the message ends with this part */

/* The functions of a service. Any may be NULL. Views passed to them die when they return.
 *
 * Each on_request that ran sees exactly one on_done, and each on_open exactly one on_close,
 * whatever happened; nothing else follows those on the same exchange, but that on_open follows an
 * on_done with GYR_DONE_UPGRADED. */
struct gyr_service {
    size_t size;           /* sizeof(struct gyr_service) */
    size_t conn_data_size; /* bytes per exchange at gyr_conn_data, zeroed; up to 65536 */
    size_t core_data_size; /* bytes per core at gyr_core_data, zeroed */
    void *user;            /* gyr_server_user */
    const struct gyr_room_rule *room_rules; /* what rooms are like; copied */
    size_t room_rule_count;
    const struct gyr_backend *backend; /* gyr_backend.h; NULL: rooms end at this process */

    /* On each core's thread, before its first and after its last connection. All cores are made
     * when the first is called, so it may post to any; a negative result of it stops the start. The
     * second is called on each core where the first has succeeded, and nothing follows it there. */
    int (*on_core_start)(struct gyr_core *core);
    void (*on_core_stop)(struct gyr_core *core);
    /* A line for the log, without its line feed: at most log_rate_max a second and core. On the
     * thread of a core or a worker (gyr_worker.h), or on the one that creates, starts, reloads or
     * waits for the server; it must not wait. NULL: nothing is logged, and nothing else is ever
     * written anywhere. */
    void (*on_log)(void *user, enum gyr_log_level level, struct gyr_span line);
    /* Something is wrong that the server lives with: no descriptor left (-EMFILE), a maximum of
     * connections reached (GYR_ERR_LIMIT), no memory (GYR_ERR_MEMORY), no buffer (-ENOBUFS). At
     * most once a second and core; `count` is how often since the last call. Like all others never
     * within a call of yours: soon behind it. on_log gets the same as a line, at once. */
    void (*on_trouble)(struct gyr_core *core, int err, uint64_t count);

    /* The head of a request is complete. Answer with gyr_respond or gyr_upgrade: now, in on_body,
     * or after GYR_PENDING. A negative result is answered with the error's status code, or 500; so
     * is a request that nobody has answered when its last callback returns 0. NULL: handshakes are
     * accepted, all else is 404. */
    int (*on_request)(struct gyr_conn *conn, const struct gyr_request *request);
    /* A piece of the request's content as it arrived, or all of it after gyr_collect. `last` comes
     * once, perhaps with an empty piece. Not called for a request without content. */
    int (*on_body)(struct gyr_conn *conn, struct gyr_span piece, bool last);
    void (*on_done)(struct gyr_conn *conn, enum gyr_outcome outcome);

    /* The WebSocket is open. A negative result of this, on_message or on_part closes it with the
     * error's close code, or 1011. */
    int (*on_open)(struct gyr_conn *conn);
    /* A whole message: text is valid UTF-8. GYR_MESSAGE_PADDING bytes behind it are readable. */
    int (*on_message)(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span message);
    /* Instead of on_message after gyr_upgrade with receive_parts: what has arrived of a message.
     * Text is checked as far as it goes and may break off within a character. */
    int (*on_part)(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span part,
                   unsigned flags);
    /* The queue had reached send_queue_high, or refused something, and has fallen to
     * send_queue_low: of a WebSocket, or of a response between gyr_respond_begin and
     * gyr_respond_end. */
    void (*on_drain)(struct gyr_conn *conn);
    /* What gyr_mail brought; conn is NULL if the connection has gone. */
    void (*on_mail)(struct gyr_conn *conn, void *mail);
    /* gyr_conn_timer has run out. */
    void (*on_timer)(struct gyr_conn *conn);
    /* A room has got its first member of all cores, or has lost its last. On the core where that
     * happened, after the callback that did it. Events of one name come from several cores, each
     * on its own thread: which was first, `event_number` says: it grows from each to the next. */
    void (*on_room)(struct gyr_core *core, struct gyr_span room, enum gyr_room_event event,
                    uint64_t event_number);
    /* There is room again for who was told GYR_ERR_BACKPRESSURE by gyr_publish and its kin: on the
     * core that was refused; on core 0 for threads that are no core's, perhaps before their call
     * has returned. It may come early: then the next refusal is followed by another. */
    void (*on_publish_ready)(struct gyr_core *core);
    /* gyr_join_since has come to its end: what was missed, if `recovery->recovered`, has been
     * queued to this connection, and what follows it is being queued from now on. */
    void (*on_recovered)(struct gyr_conn *conn, struct gyr_span room,
                         const struct gyr_recovery *recovery);
    /* The WebSocket has ended; nothing can be sent any more. It is still a member of its rooms, and
     * leaves them, and gives up its text id, when this returns. `close_code` is what the peer sent,
     * 1005 if its Close had none, or 1006 if there was no Close (RFC 6455 section 7.1.5). */
    void (*on_close)(struct gyr_conn *conn, uint16_t close_code, struct gyr_span reason);
    /* A GYR_PENDING has been ended by gyr_finish or gyr_complete with `result`, or by
     * gyr_respond_end and the end of a file, and `result` is GYR_PENDING: what this returns counts
     * instead, and may be GYR_PENDING again. For what goes on behind a wait. */
    int (*on_finish)(struct gyr_conn *conn, int result);
    struct gyr_app *app; /* gyr_app_server sets it; NULL: there is none */
};

#define GYR_MESSAGE_PADDING 64

/* ---- 3. Create, listen, start ---------------------------------------------------------------- */

/* Check the configuration, copy it and the table of functions, and make a server that does nothing
 * yet. GYR_ERR_CONFIG, GYR_ERR_MEMORY, GYR_ERR_UNSUPPORTED, each with a line in `error`. */
GYR_API GYR_MUST_CHECK int gyr_server_create(const struct gyr_config *config,
                                             const struct gyr_service *service,
                                             struct gyr_server **server, struct gyr_error *error);

/* The same with a configuration for each core. The settings are copied. */
GYR_API GYR_MUST_CHECK int gyr_server_create_with(const struct gyr_settings *settings,
                                                  const struct gyr_service *service,
                                                  struct gyr_server **server,
                                                  struct gyr_error *error);

/* Any thread, while the server runs: take over what docs/configuration.md marks as reloadable; each
 * core does so at its next turn, for new work. GYR_ERR_CONFIG with a line that names a setting that
 * differs and cannot change while running, or is not usable: then nothing has changed.
 * GYR_ERR_STATE before the start and after the end. */
GYR_API GYR_MUST_CHECK int gyr_server_reload(struct gyr_server *server,
                                             const struct gyr_settings *settings,
                                             struct gyr_error *error);

/* Listen on "127.0.0.1:8080", "[::1]:8080" or "unix:/path"; port 0 lets the kernel choose. Before
 * start. -EADDRINUSE, -EACCES, GYR_ERR_ARGUMENT, GYR_ERR_STATE after the start ..., with a line in
 * `error`. */
GYR_API GYR_MUST_CHECK int gyr_server_listen(struct gyr_server *server, const char *address,
                                             struct gyr_error *error);

/* Listen on a descriptor that is bound and listening already; the server takes it. Before start.
 * Errors as gyr_server_listen, and then the descriptor was not taken. */
GYR_API GYR_MUST_CHECK int gyr_server_adopt(struct gyr_server *server, int fd,
                                            struct gyr_error *error);

/* Listen on every descriptor that a service manager has passed to this process: LISTEN_PID,
 * LISTEN_FDS and LISTEN_FDNAMES, as in sd_listen_fds(3). Takes the variables out of the
 * environment, whatever it returns: how many sockets there were, 0 without a manager; or
 * GYR_ERR_ARGUMENT for a variable that is malformed and for what does not listen, GYR_ERR_LIMIT,
 * otherwise as gyr_server_adopt, each with a line in `error`. Before other threads. */
GYR_API GYR_MUST_CHECK int gyr_server_adopt_activated(struct gyr_server *server,
                                                      struct gyr_error *error);

/* "127.0.0.1:8080" of the listener with this index, in the order of listening; false behind the
 * last. */
GYR_API bool gyr_server_address(const struct gyr_server *server, unsigned index, char *text,
                                size_t size);

/* Start a thread per core and return when all of them accept connections. Or an error, and then
 * nothing runs. A server starts once, even if that fails: GYR_ERR_STATE. */
GYR_API GYR_MUST_CHECK int gyr_server_start(struct gyr_server *server, struct gyr_error *error);

/* Instead of gyr_server_start: run one core on the calling thread until the server is stopped.
 * Every core must be run, once and each on a thread of its own; none begins before all are. With
 * `pin` the thread is bound to the core's CPU until this returns. GYR_ERR_STATE if the core was run
 * already or the server was started; otherwise errors as gyr_server_start. */
GYR_API GYR_MUST_CHECK int gyr_server_run_core(struct gyr_server *server, unsigned core_index,
                                               struct gyr_error *error);

/* "uring" or "epoll", after the start; and in one line why it is not io_uring, "" if it is or if
 * epoll was asked for. Both live as long as the server. */
GYR_API const char *gyr_server_ring(const struct gyr_server *server);
GYR_API const char *gyr_server_ring_reason(const struct gyr_server *server);

GYR_API unsigned gyr_server_core_count(const struct gyr_server *server);
GYR_API void *gyr_server_user(const struct gyr_server *server);

/* ---- 4. Requests ----------------------------------------------------------------------------- */

/* Views of a request live until the callback that got it returns. */
GYR_API struct gyr_span gyr_request_method(const struct gyr_request *request); /* "GET" */
GYR_API struct gyr_span gyr_request_target(const struct gyr_request *request); /* as it came */
GYR_API struct gyr_span gyr_request_path(const struct gyr_request *request);   /* undecoded */
GYR_API struct gyr_span gyr_request_query(const struct gyr_request *request);  /* without '?' */
GYR_API struct gyr_span gyr_request_host(const struct gyr_request *request);
GYR_API unsigned gyr_request_version_minor(const struct gyr_request *request); /* HTTP/1.x */
/* Bytes of content; 0 if there is none; -1 if chunked. */
GYR_API int64_t gyr_request_content_length(const struct gyr_request *request);
/* A WebSocket handshake that gyr_upgrade would accept. */
GYR_API bool gyr_request_is_upgrade(const struct gyr_request *request);
/* Was this subprotocol offered (RFC 6455 section 1.9)? */
GYR_API bool gyr_request_offers(const struct gyr_request *request, const char *subprotocol);
/* Value of the first field of this name, in any case; ptr NULL if there is none. */
GYR_API struct gyr_span gyr_request_field(const struct gyr_request *request, const char *name);
/* The field with this index; false behind the last. */
GYR_API bool gyr_request_field_at(const struct gyr_request *request, unsigned index,
                                  struct gyr_span *name, struct gyr_span *value);

struct gyr_field {
    struct gyr_span name;
    struct gyr_span value;
};

struct gyr_response {
    size_t size; /* sizeof(struct gyr_response) */
    unsigned status_code;
    struct gyr_span content_type; /* size 0: none */
    struct gyr_span content;      /* copied */
    const struct gyr_field *fields;
    size_t field_count;
    bool close; /* close the connection after this response */
};

/* Answer the request, once. Content-Length, Date and Connection are the engine's to write; content
 * is left out for HEAD, 204 and 304. GYR_ERR_STATE if it is answered already; GYR_ERR_ARGUMENT for
 * a field that could split the response, a field of the engine's, or a status code outside 200 to
 * 599; GYR_ERR_MEMORY. */
GYR_API GYR_MUST_CHECK int gyr_respond(struct gyr_conn *conn, const struct gyr_response *response);

/* The same for the usual case: `content` as `content_type`. */
GYR_API GYR_MUST_CHECK int gyr_respond_text(struct gyr_conn *conn, unsigned status_code,
                                            const char *content_type, struct gyr_span content);

/* Answer 405 with an Allow field: "GET, HEAD". */
GYR_API GYR_MUST_CHECK int gyr_respond_not_allowed(struct gyr_conn *conn, const char *allow);

/* Begin a response whose content comes in pieces (RFC 9112 section 7.1): from on_request or on_body
 * on. `response->content` must be empty. The exchange then lives until gyr_respond_end or until the
 * connection is lost, and when the server stops until shutdown_deadline_ms has passed. Its
 * callbacks may return 0, GYR_PENDING or GYR_QUEUE_HIGH, and the last two let the request's content
 * wait; after a negative result the connection is reset. The client's next request waits, the end
 * of its stream does not end the response, and of the time limits only send_timeout_ms holds. A
 * HEAD request gets the head, and what is sent of the content is dropped. Errors as gyr_respond. */
GYR_API GYR_MUST_CHECK int gyr_respond_begin(struct gyr_conn *conn,
                                             const struct gyr_response *response);

/* Queue a piece; copied. On the connection's thread: in any callback of this exchange, a timer or
 * on_mail. Returns 0; GYR_QUEUE_HIGH if it was taken and the queue, or what the response has had of
 * this turn of the core, has reached send_queue_high: wait for on_drain; GYR_ERR_BACKPRESSURE if
 * the piece would take the queue past send_queue_size_max (nothing is queued; wait for on_drain);
 * GYR_ERR_ARGUMENT for a piece of 2 GiB or more; GYR_ERR_MEMORY;
 * GYR_ERR_STATE outside of such a response; GYR_ERR_CLOSED when the connection is lost (on_done
 * follows). */
GYR_API GYR_MUST_CHECK int gyr_respond_part(struct gyr_conn *conn, struct gyr_span piece);

/* End it, and a GYR_PENDING with it. GYR_ERR_STATE outside of such a response. Otherwise on_done
 * follows, behind what is left of the request's content: with GYR_DONE_ABORTED after
 * GYR_ERR_CLOSED, when the connection is lost, and after GYR_ERR_MEMORY, when the end could not be
 * queued and the connection is reset. */
GYR_API GYR_MUST_CHECK int gyr_respond_end(struct gyr_conn *conn);

/* An event of a stream (HTML Living Standard, section 9.2). */
struct gyr_event {
    size_t size;           /* sizeof(struct gyr_event) */
    struct gyr_span event; /* its type; size 0: "message" */
    struct gyr_span data; /* UTF-8; may have several lines; ptr NULL: no event, only what follows */
    struct gyr_span id;   /* ptr NULL: unchanged; size 0: forget the last one */
    uint32_t retry_ms;    /* 0: unchanged */
};

/* Begin a stream of events: 200 with text/event-stream, Cache-Control: no-store. Ended by
 * gyr_respond_end. Errors as gyr_respond_begin. One that began with that instead takes events,
 * too. */
GYR_API GYR_MUST_CHECK int gyr_events_begin(struct gyr_conn *conn);
/* Send one. Errors as gyr_respond_part, and GYR_ERR_ARGUMENT for CR, LF or NUL in `event` or `id`.
 */
GYR_API GYR_MUST_CHECK int gyr_events_send(struct gyr_conn *conn, const struct gyr_event *event);
/* A comment, which clients ignore: keeps proxies from closing a silent stream, and finds out that a
 * client has gone, which only something sent to it can. */
GYR_API GYR_MUST_CHECK int gyr_events_comment(struct gyr_conn *conn, struct gyr_span text);

/* The files of a folder. Nothing outside of it is ever opened, whatever links or dots a path has;
 * names that begin with a dot are not served. Shared by all threads. */
struct gyr_files;

struct gyr_files_options {
    size_t size;               /* sizeof(struct gyr_files_options) */
    const char *index;         /* the file that stands for a folder; NULL: "index.html"; "": none */
    const char *cache_control; /* of every answer about a file that is there; NULL: none */
    bool precompressed;        /* look for `path.br` and `path.gz` beside a file */
};

/* Open a folder; `options` may be NULL. -ENOENT, -ENOTDIR, -EACCES ..., with a line in `error`. */
GYR_API GYR_MUST_CHECK int gyr_files_open(const char *folder,
                                          const struct gyr_files_options *options,
                                          struct gyr_files **files, struct gyr_error *error);
/* No exchange may still be served from it: after gyr_server_wait. */
GYR_API void gyr_files_close(struct gyr_files *files);

/* From on_request: answer with a file, read through the ring in pieces, so that its size takes no
 * memory. `path` is below the folder, percent-encoded as in a request, "/" or "" being the folder
 * itself. Takes GET and HEAD (405 otherwise), conditional and Range requests (RFC 9110 sections 13
 * and 14); sets Content-Type by the name, ETag, Last-Modified, Accept-Ranges, Vary. Answers 404,
 * 403, 301 for a folder without its slash, 304, 412, 416 by itself. The exchange is then as if
 * gyr_respond_begin had been called: on_done follows. GYR_ERR_STATE, GYR_ERR_MEMORY. */
GYR_API GYR_MUST_CHECK int gyr_respond_file(struct gyr_conn *conn,
                                            const struct gyr_request *request,
                                            const struct gyr_files *files, struct gyr_span path);

/* From on_request: gather the content and hand it to on_body whole; 413 when it passes size_max. */
GYR_API GYR_MUST_CHECK int gyr_collect(struct gyr_conn *conn, size_t size_max);

struct gyr_upgrade {
    size_t size;                 /* sizeof(struct gyr_upgrade) */
    struct gyr_span subprotocol; /* one that was offered; size 0: none */
    const struct gyr_field *fields;
    size_t field_count;
    bool receive_parts; /* on_part instead of on_message */
};

/* Accept the WebSocket handshake; NULL is an upgrade without options. What was sent before queues
 * behind the 101. GYR_ERR_STATE if the request was answered or is no handshake. */
GYR_API GYR_MUST_CHECK int gyr_upgrade(struct gyr_conn *conn, const struct gyr_upgrade *upgrade);

/* ---- 5. WebSocket ---------------------------------------------------------------------------- */

/* Queue one message (RFC 6455 section 5.6).
 *
 *   opcode   GYR_TEXT (valid UTF-8, section 8.1, which is not checked) or GYR_BINARY
 *   payload  copied before return
 *
 * Legal from on_request on, before the upgrade is accepted too. Returns 0 or GYR_QUEUE_HIGH;
 * GYR_ERR_CLOSED after gyr_close or a Close frame; GYR_ERR_BACKPRESSURE if the frame would take the
 * queue past send_queue_size_max (nothing is queued; wait for on_drain); GYR_ERR_MEMORY;
 * GYR_ERR_STATE within a message that is sent in parts. One copy; a system call before the
 * callback has returned only when the output of the core's turn passes 256 KB or the queue is
 * nearly full. */
GYR_API GYR_MUST_CHECK int gyr_send(struct gyr_conn *conn, enum gyr_opcode opcode,
                                    struct gyr_span payload);

/* Queue one part of a message, as one fragment (RFC 6455 section 5.4); the first with GYR_FIRST,
 * the last with GYR_LAST. Otherwise like gyr_send. */
GYR_API GYR_MUST_CHECK int gyr_send_part(struct gyr_conn *conn, enum gyr_opcode opcode,
                                         struct gyr_span part, unsigned flags);

/* From on_message only: send back a part of the message just received, and give it up: the whole
 * view is dead afterwards. Framed where it lies, without a copy, if nothing else is queued.
 * Otherwise like gyr_send. */
GYR_API GYR_MUST_CHECK int gyr_reply(struct gyr_conn *conn, enum gyr_opcode opcode,
                                     struct gyr_span part);

/* Queue a Ping with up to 125 bytes; its Pong is not reported. */
GYR_API GYR_MUST_CHECK int gyr_ping(struct gyr_conn *conn, struct gyr_span payload);

/* Begin the closing handshake (RFC 6455 section 7.1.2): a Close frame behind what is queued.
 * on_close comes when the peer has answered or close_timeout_ms has passed; no message comes before
 * it. The reason is cut at 123 bytes. GYR_ERR_CLOSED if closing has begun; GYR_ERR_ARGUMENT for a
 * code that may not be sent; on an HTTP exchange the connection is closed after the answer, unless
 * that is a 101. */
GYR_API int gyr_close(struct gyr_conn *conn, uint16_t close_code, struct gyr_span reason);

/* Drop the connection at once, what is queued included (a TCP reset). */
GYR_API void gyr_abort(struct gyr_conn *conn);

/* ---- 6. Any connection ----------------------------------------------------------------------- */

/* Stop and go on calling on_message, on_part, on_body. Up to pause_size_max bytes, and what was on
 * its way then, are read ahead; then the peer's window closes. Resets are still seen. The heartbeat
 * and idle limits rest meanwhile. */
GYR_API void gyr_pause(struct gyr_conn *conn);
GYR_API void gyr_resume(struct gyr_conn *conn);

/* End a GYR_PENDING; `result` counts as that of the callback. GYR_ERR_STATE if none is pending. */
GYR_API int gyr_finish(struct gyr_conn *conn, int result);

/* Bytes queued and not yet taken by the kernel. */
GYR_API size_t gyr_queued_size(const struct gyr_conn *conn);

/* "192.0.2.1:4711", "[2001:db8::1]:4711", "unix:"; one system call. */
GYR_API void gyr_peer_address(const struct gyr_conn *conn, char text[64]);

/* The same of the client: of the peer, or of whom a trusted proxy names (trusted_proxies,
 * proxy_protocol, forwarded); then without port if the proxy says none. */
GYR_API void gyr_client_address(const struct gyr_conn *conn, char text[64]);

/* conn_data_size bytes that live as long as the exchange; an upgraded request keeps its own. */
GYR_API void *gyr_conn_data(struct gyr_conn *conn);
GYR_API struct gyr_core *gyr_conn_core(const struct gyr_conn *conn);

/* Call on_timer once after delay_ms (1 ms to 24 days), instead of an earlier call of this; 0:
 * never. */
GYR_API void gyr_conn_timer(struct gyr_conn *conn, uint32_t delay_ms);

/* ---- 7. Cores, timers, other threads --------------------------------------------------------- */

GYR_API unsigned gyr_core_index(const struct gyr_core *core);
GYR_API struct gyr_server *gyr_core_server(const struct gyr_core *core);
GYR_API void *gyr_core_data(const struct gyr_core *core);
/* Milliseconds of a clock that only goes forward; constant within a callback. */
GYR_API uint64_t gyr_core_now_ms(const struct gyr_core *core);

/* Storage of a timer; zero before its first use. It must stay where it is while it runs. */
struct gyr_timer {
    void *private_[4];
    uint64_t private_deadline;
};

/* Call fn(core, arg) once after delay_ms (up to 24 days). A running timer starts anew. */
GYR_API void gyr_timer_start(struct gyr_core *core, struct gyr_timer *timer, uint32_t delay_ms,
                             void (*fn)(struct gyr_core *core, void *arg), void *arg);
GYR_API void gyr_timer_stop(struct gyr_core *core, struct gyr_timer *timer);

/* Any thread: run fn(core, arg) on a core. Calls of one thread to one core keep their order.
 * Returns 0; GYR_ERR_BACKPRESSURE when mailbox_count_max is reached; GYR_ERR_STATE before the cores
 * are made (from on_core_start on they are); GYR_ERR_CLOSED after the core has ended, in its
 * on_core_stop too; GYR_ERR_ARGUMENT if there is no such core; GYR_ERR_MEMORY. Whatever was
 * accepted runs, at the latest when the core ends, before on_core_stop. */
GYR_API GYR_MUST_CHECK int gyr_post(struct gyr_server *server, unsigned core_index,
                                    void (*fn)(struct gyr_core *core, void *arg), void *arg);

/* Run work(arg) on a thread of the pool, then done(core, arg) on this core, which does not end
 * before that. Returns 0; GYR_ERR_BACKPRESSURE when offload_count_max is reached; GYR_ERR_CLOSED
 * once the core has ended: in on_core_stop, and in what was posted so late that it runs only at the
 * end; GYR_ERR_MEMORY; -errno if the pool's first thread cannot be started. */
GYR_API GYR_MUST_CHECK int gyr_offload(struct gyr_core *core, void (*work)(void *arg),
                                       void (*done)(struct gyr_core *core, void *arg), void *arg);

/* Names a connection on any thread, also after it has gone. Never zero. */
struct gyr_handle {
    uint64_t id;
};

GYR_API struct gyr_handle gyr_conn_handle(const struct gyr_conn *conn);
/* On its core's thread: the connection, or NULL if it has gone. */
GYR_API struct gyr_conn *gyr_core_find(struct gyr_core *core, struct gyr_handle handle);

/* Any thread: run fn(conn, arg) on the connection's core and let its result end the GYR_PENDING, as
 * the callback's own would have; it may answer, upgrade and send, and may return GYR_PENDING again.
 * conn is NULL if the connection has gone meanwhile (the result is ignored then). Errors as
 * gyr_post. */
GYR_API GYR_MUST_CHECK int gyr_complete(struct gyr_server *server, struct gyr_handle handle,
                                        int (*fn)(struct gyr_conn *conn, void *arg), void *arg);

/* Any thread: call on_mail(conn, mail) on the connection's core. Errors as gyr_post. */
GYR_API GYR_MUST_CHECK int gyr_mail(struct gyr_server *server, struct gyr_handle handle,
                                    void *mail);

/* ---- 8. Names and other threads -------------------------------------------------------------- */

#define GYR_ID_SIZE_MAX 255

/* Give a connection a text id, 1 to GYR_ID_SIZE_MAX bytes, unique over all cores of the server,
 * until its end. From on_request of a handshake on. GYR_ERR_EXISTS if another one has it (which
 * keeps it); GYR_ERR_STATE if this one has another id already, or is no WebSocket; GYR_ERR_CLOSED;
 * GYR_ERR_ARGUMENT; GYR_ERR_MEMORY. Nothing happens if this one has it. Takes a lock that is shared
 * with few others. */
GYR_API GYR_MUST_CHECK int gyr_conn_set_id(struct gyr_conn *conn, struct gyr_span id);
/* Its text id; size 0: none. Lives as long as the connection. */
GYR_API struct gyr_span gyr_conn_id(const struct gyr_conn *conn);

/* Any thread, no lock: the connection with this text id. GYR_ERR_NOT_FOUND. */
GYR_API GYR_MUST_CHECK int gyr_find(const struct gyr_server *server, struct gyr_span id,
                                    struct gyr_handle *handle);

/* Any thread: is this the handle of a connection that has not ended? It may end at any time. */
GYR_API bool gyr_handle_is_live(const struct gyr_server *server, struct gyr_handle handle);

/* Any thread: do on the connection's core what the call without gyr_handle_ does there. The payload
 * is copied. Calls of one thread for one connection keep their order. GYR_ERR_CLOSED if it has
 * ended; if it ends before its core comes to it, nothing is done. GYR_ERR_ARGUMENT for an opcode, a
 * code, a size or a name that the call there would refuse. Otherwise errors as gyr_post. What is
 * found out on the core is not told: a full queue by on_drain and the statistics only; who wants to
 * know more joins within gyr_handle_run. */
GYR_API GYR_MUST_CHECK int gyr_handle_send(struct gyr_server *server, struct gyr_handle handle,
                                           enum gyr_opcode opcode, struct gyr_span payload);
GYR_API GYR_MUST_CHECK int gyr_handle_close(struct gyr_server *server, struct gyr_handle handle,
                                            uint16_t close_code, struct gyr_span reason);
/* As gyr_abort: a TCP reset. */
GYR_API GYR_MUST_CHECK int gyr_handle_kick(struct gyr_server *server, struct gyr_handle handle);
GYR_API GYR_MUST_CHECK int gyr_handle_join(struct gyr_server *server, struct gyr_handle handle,
                                           struct gyr_span room);
GYR_API GYR_MUST_CHECK int gyr_handle_leave(struct gyr_server *server, struct gyr_handle handle,
                                            struct gyr_span room);
/* Any thread: run fn(conn, arg) on the connection's core; conn is NULL if it has ended meanwhile,
 * so that what was accepted always runs. GYR_ERR_CLOSED if it has ended already, and then it does
 * not; otherwise errors as gyr_post. */
GYR_API GYR_MUST_CHECK int gyr_handle_run(struct gyr_server *server, struct gyr_handle handle,
                                          void (*fn)(struct gyr_conn *conn, void *arg), void *arg);
/* The same by text id: GYR_ERR_NOT_FOUND if nobody has it; GYR_ERR_CLOSED for an instant after its
 * connection has ended. */
GYR_API GYR_MUST_CHECK int gyr_id_send(struct gyr_server *server, struct gyr_span id,
                                       enum gyr_opcode opcode, struct gyr_span payload);
GYR_API GYR_MUST_CHECK int gyr_id_close(struct gyr_server *server, struct gyr_span id,
                                        uint16_t close_code, struct gyr_span reason);

/* Handles of connections as they were at one instant on each core. */
struct gyr_snapshot;

/* Any thread: let each core copy the handles of its open WebSockets (`room` is NULL), or of those
 * in a room, and then call done(core, arg, snapshot) on core `core_index`, once. The snapshot is
 * given away with that: release it with gyr_snapshot_free. A core that has ended has nobody.
 * Errors as gyr_post, and GYR_ERR_BACKPRESSURE also while 64 snapshots for that core are under way;
 * then `done` is not called. What goes wrong later the snapshot says (gyr_snapshot_error). */
GYR_API GYR_MUST_CHECK int
gyr_snapshot(struct gyr_server *server, const struct gyr_span *room, unsigned core_index,
             void (*done)(struct gyr_core *core, void *arg, struct gyr_snapshot *snapshot),
             void *arg);
/* 0; otherwise not all are in it: GYR_ERR_MEMORY, or GYR_ERR_CLOSED because core `core_index` ended
 * before all others had answered. */
GYR_API int gyr_snapshot_error(const struct gyr_snapshot *snapshot);
GYR_API size_t gyr_snapshot_count(const struct gyr_snapshot *snapshot);
/* `index` is below gyr_snapshot_count. Handles of connections that end stay in it: gyr_core_find
 * and the calls above tell. */
GYR_API struct gyr_handle gyr_snapshot_at(const struct gyr_snapshot *snapshot, size_t index);
/* Any thread. */
GYR_API void gyr_snapshot_free(struct gyr_snapshot *snapshot);

/* Go through the connections of this core that are in a room, or all its open WebSockets (`room`
 * is NULL), as they are now; members may join, leave and end meanwhile. Each that was there at the
 * begin and has not ended when its turn comes is visited once, also if it has left the room; who
 * joins later is not. A walk may go on in later callbacks of its core.
 *
 *     struct gyr_walk walk;
 *     for (conn = gyr_walk_begin(&walk, core, &room); conn != NULL; conn = gyr_walk_next(&walk))
 *
 * A walk that is left early has to be ended by gyr_walk_end. With no memory it visits nobody, and
 * walk.err is GYR_ERR_MEMORY. */
struct gyr_walk {
    int err;
    struct gyr_core *core;
    void *private_;
    size_t index;
    size_t count;
};
GYR_API struct gyr_conn *gyr_walk_begin(struct gyr_walk *walk, struct gyr_core *core,
                                        const struct gyr_span *room);
GYR_API struct gyr_conn *gyr_walk_next(struct gyr_walk *walk);
GYR_API void gyr_walk_end(struct gyr_walk *walk);

/* ---- 9. Rooms -------------------------------------------------------------------------------- */

#define GYR_ROOM_NAME_SIZE_MAX 255

/* Rooms spring into being with their first member and vanish with their last. Names are any bytes,
 * 0 to GYR_ROOM_NAME_SIZE_MAX. Every member of a room, on whichever core, gets its messages in one
 * and the same order; those of one publisher (a thread, or a core) in the order of their calls; and
 * nothing is lost without a word: what a member is not given is counted, and it is told by on_drain
 * and gyr_take_dropped.
 *
 * Join: legal from on_request of a handshake on; what is published before the upgrade is accepted
 * queues behind the 101. Joining twice is one membership. It takes effect at once: nothing that was
 * delivered before, everything that is claimed a place after. GYR_ERR_CLOSED after gyr_close or a
 * Close frame; GYR_ERR_STATE for an exchange that is no WebSocket; GYR_ERR_ARGUMENT for a longer
 * name; GYR_ERR_LIMIT past conn_rooms_max or rooms_max; GYR_ERR_MEMORY. O(1). */
GYR_API GYR_MUST_CHECK int gyr_join(struct gyr_conn *conn, struct gyr_span room);
/* Nothing more of the room is queued; what is queued stays. Nothing happens to who is no member. */
GYR_API void gyr_leave(struct gyr_conn *conn, struct gyr_span room);
GYR_API bool gyr_is_member(const struct gyr_conn *conn, struct gyr_span room);

/* The rooms of a connection: how many, and the name of each; it lives until the next join or leave
 * of this core. In no order. */
GYR_API size_t gyr_conn_room_count(const struct gyr_conn *conn);
GYR_API struct gyr_span gyr_conn_room_at(const struct gyr_conn *conn, size_t index);

/* Join a room with a history (struct gyr_room_rule) and get what was missed since `offset` of
 * `epoch`: what on_recovered of an earlier join said, plus one for each message of the room since
 * then (those included that this connection was excepted from). It is a member at once, but what is
 * published meanwhile waits for the history, up to send_queue_size_max bytes. on_recovered comes
 * once, unless it leaves the room or ends before; before on_open if the handshake still is pending.
 * epoch 0: only join, and learn where the room stands; what is published before that is not queued.
 * A message that the connection had published itself is brought like any other. Errors as gyr_join,
 * and GYR_ERR_STATE for a member; GYR_ERR_UNSUPPORTED if the room keeps no history;
 * GYR_ERR_BACKPRESSURE if the core that keeps it has too much to do: it has not joined then. */
GYR_API GYR_MUST_CHECK int gyr_join_since(struct gyr_conn *conn, struct gyr_span room,
                                          uint64_t epoch, uint64_t offset);

/* How many messages of rooms this connection has not been given since the last call; resets. */
GYR_API uint64_t gyr_take_dropped(struct gyr_conn *conn);

/* A member that did not get a message, and why. */
struct gyr_publish_error {
    struct gyr_handle handle;
    int err; /* GYR_ERR_BACKPRESSURE: dropped; GYR_ERR_CLOSED: it was closed, by the room's policy
                or already; GYR_ERR_TIMEOUT; GYR_ERR_MEMORY */
};

/* What became of a publish, on this process's members. */
struct gyr_published {
    size_t size;
    int err;            /* 0, or why it went nowhere (GYR_ERR_MEMORY, what the backend said) */
    uint64_t queued;    /* members that have it in their queue; with timeout_ms: that took it */
    uint64_t dropped;   /* members that have not been given it, by policy or for want of memory */
    uint64_t closed;    /* members that were closed by it, or were closed already */
    uint64_t timed_out; /* members that did not take it in time; it was taken back */
    uint64_t epoch;     /* of the room's history, and the message's offset in it; 0: none */
    uint64_t offset;
    const struct gyr_publish_error *errors; /* lives until the callback returns */
    size_t error_count; /* up to errors_max of the members that are not among `queued` */
};

#define GYR_NO_TIMEOUT UINT32_MAX

struct gyr_publish {
    size_t size;                  /* sizeof(struct gyr_publish) */
    const struct gyr_span *rooms; /* up to 64; a member of several gets one message, in the order of
                                     the first that it is in (who joins or leaves one of them while
                                     the message is on its way may get it or not) */
    size_t room_count;            /* 0: all open WebSockets of the server */
    enum gyr_opcode opcode;
    struct gyr_span payload;         /* copied; text is not checked to be UTF-8 */
    const struct gyr_handle *except; /* not to these; up to 64 */
    size_t except_count;
    struct gyr_span
        key; /* GYR_ROOM_CONFLATE: of whatever this is the newest state; up to 255 bytes;
                            size 0 is a key like others */
    /* What became of it: called once on core done_core_index, if this call returns 0, unless that
     * core has ended by then. Never within this call; but another core, or a thread that is no
     * core's, may find that it was called before. NULL: nobody asks, and nothing is counted. */
    void (*done)(struct gyr_core *core, void *arg, const struct gyr_published *published);
    void *arg;
    unsigned done_core_index;
    uint32_t
        timeout_ms; /* with `done`: that the kernel must take it from each member's queue within
                            this, from when its core has queued it; 0: when that core sends next;
                            GYR_NO_TIMEOUT: to be queued is enough */
    uint32_t errors_max; /* that `done` gets by name; up to 65536 */
};

/* A publish of nothing to nobody: GYR_TEXT, GYR_NO_TIMEOUT, all else zero. */
static inline struct gyr_publish gyr_publish_default(void)
{
    struct gyr_publish publish;
    memset(&publish, 0, sizeof(publish));
    publish.size = sizeof(publish);
    publish.opcode = GYR_TEXT;
    publish.timeout_ms = GYR_NO_TIMEOUT;
    return publish;
}

/* On a core's thread: one message to every member of a room, whichever core it is on. It is framed
 * once, and it is queued to this core's members when this returns, so that a gyr_send that follows
 * comes behind it; other cores are told when the callbacks of this core's turn have returned. (It
 * is not with a cluster backend that orders the room, in a room with history, and while another
 * thread stands between claiming and filling its place in front of this one; then it is queued as
 * soon as can be.) Returns 0, also if the room does not exist, GYR_ERR_BACKPRESSURE if a core has
 * too much of what was published before still to read, or if too many receipts (`done`) have not
 * come yet: more than broadcast_size_max of each (nothing was published; wait for
 * on_publish_ready), GYR_ERR_ARGUMENT, also for a payload that does not fit in broadcast_size_max,
 * GYR_ERR_MEMORY, GYR_ERR_UNSUPPORTED for one of several rooms that keeps a history,
 * GYR_ERR_CLOSED in on_core_stop. */
GYR_API GYR_MUST_CHECK int gyr_publish(struct gyr_core *core, struct gyr_span room,
                                       enum gyr_opcode opcode, struct gyr_span payload);
/* The same to all members but one: in a handler, from one member to the others. */
GYR_API GYR_MUST_CHECK int gyr_publish_others(struct gyr_conn *conn, struct gyr_span room,
                                              enum gyr_opcode opcode, struct gyr_span payload);
/* The same with everything that can be said. GYR_ERR_UNSUPPORTED for several rooms of which one
 * keeps a history. */
GYR_API GYR_MUST_CHECK int gyr_publish_with(struct gyr_core *core,
                                            const struct gyr_publish *publish);
/* Any thread. It may have been queued to nobody yet when this returns. Otherwise as
 * gyr_publish_with; GYR_ERR_STATE before the cores are made, GYR_ERR_CLOSED after they have ended.
 */
GYR_API GYR_MUST_CHECK int gyr_server_publish(struct gyr_server *server,
                                              const struct gyr_publish *publish);

/* X(name, what it counts) of one room, since its first member came. */
#define GYR_ROOM_STATS(X)                                                        \
    X(members, "now, on all cores")                                              \
    X(published, "messages")                                                     \
    X(queued, "messages times members")                                          \
    X(dropped_full, "GYR_ROOM_QUEUE, GYR_ROOM_DROP_OLDEST: not queued, no room") \
    X(dropped_newest, "GYR_ROOM_DROP_NEWEST, GYR_ROOM_CONFLATE: not queued")     \
    X(dropped_oldest, "GYR_ROOM_DROP_OLDEST: taken out of a queue")              \
    X(conflated, "GYR_ROOM_CONFLATE: replaced by a newer one of the key")        \
    X(closed_slow, "GYR_ROOM_CLOSE: members closed")                             \
    X(dropped_close, "GYR_ROOM_CLOSE: not queued, or taken out of their queues") \
    X(dropped_memory, "not queued for want of memory")

#define GYR_ROOM_STATS_FIELD(name, text) uint64_t name;
struct gyr_room_stats {
    GYR_ROOM_STATS(GYR_ROOM_STATS_FIELD)
};
#undef GYR_ROOM_STATS_FIELD

/* Any thread, no lock. GYR_ERR_NOT_FOUND if the room has no member. Each figure is exact; they are
 * not read at one instant. */
GYR_API GYR_MUST_CHECK int gyr_room_stats(const struct gyr_server *server, struct gyr_span room,
                                          struct gyr_room_stats *stats, size_t size);

/* Who is in a room: the text ids of its members, if its rule asks for presence. With a cluster
 * backend those of all processes. */
struct gyr_presence;

/* Any thread: find out, and then call done(core, arg, presence) on core `core_index`, once. The
 * list is given away with that: release it with gyr_presence_free. GYR_ERR_UNSUPPORTED if the
 * room's rule does not ask for presence, or the backend knows none; GYR_ERR_STATE before the cores
 * are made; GYR_ERR_BACKPRESSURE while 64 such lists for this core are on their way;
 * GYR_ERR_ARGUMENT, GYR_ERR_MEMORY, GYR_ERR_CLOSED, what the backend says. Then `done` is not
 * called. If the core ends before the answer is there, it is not called either. */
GYR_API GYR_MUST_CHECK int
gyr_presence(struct gyr_server *server, struct gyr_span room, unsigned core_index,
             void (*done)(struct gyr_core *core, void *arg, struct gyr_presence *presence),
             void *arg);
/* 0, or why it is not known: GYR_ERR_MEMORY, what the backend said. */
GYR_API int gyr_presence_error(const struct gyr_presence *presence);
GYR_API size_t gyr_presence_count(const struct gyr_presence *presence);
/* In no order; lives as long as the list. */
GYR_API struct gyr_span gyr_presence_at(const struct gyr_presence *presence, size_t index);
/* Any thread. */
GYR_API void gyr_presence_free(struct gyr_presence *presence);

/* ---- 10. Statistics -------------------------------------------------------------------------- */

/* X(name, what it counts). Counters grow for ever; those marked now go up and down. */
#define GYR_STATS(X)                                                                          \
    X(connections, "open now")                                                                \
    X(websockets, "open now")                                                                 \
    X(heap_bytes, "of the budgeted heap now")                                                 \
    X(accepted, "connections taken")                                                          \
    X(handed_over, "connections given to another core")                                       \
    X(refused, "connections closed without a word: gone already, too many or while stopping") \
    X(requests, "heads of requests complete")                                                 \
    X(upgrades, "requests that became WebSockets")                                            \
    X(http_errors, "requests answered by the engine with 4xx or 5xx")                         \
    X(messages_in, "whole WebSocket messages, or their last parts")                           \
    X(messages_out, "WebSocket messages queued, replies included")                            \
    X(ws_errors, "WebSockets failed for a breach of protocol")                                \
    X(timeouts, "connections ended by a time limit")                                          \
    X(backpressure, "messages refused because a queue was full")                              \
    X(bytes_in, "received")                                                                   \
    X(bytes_out, "sent")                                                                      \
    X(sends_now, "outputs of a batch sent at once")                                           \
    X(sends_turn, "outputs of a batch sent with others at the end of a turn")                 \
    X(sends_queued, "sends by submission")                                                    \
    X(copied_bytes, "kept on the heap because they could not be handled or sent at once")     \
    X(scratch_switches, "connections that changed between provided buffers and scratch")      \
    X(buffers_empty, "receives ended because no buffer was left")                             \
    X(turns, "of the loop")                                                                   \
    X(limited, "connections answered with 503 for a limit of connections or upgrades")        \
    X(rate_limited, "WebSockets closed or paused for their rate")                             \
    X(forbidden, "requests refused for their Origin, host or proxy header")                   \
    X(file_bytes, "read from files")                                                          \
    X(log_dropped, "lines of the log dropped for log_rate_max")                               \
    X(memberships, "of rooms now")                                                            \
    X(published, "messages published from this core")                                         \
    X(publish_refused, "messages not published because a lane was full")                      \
    X(bypassed, "messages published that needed no other core")                               \
    X(broadcast_taken, "messages taken from the broadcast ring")                              \
    X(broadcast_held, "messages that others could not publish because this core was behind")  \
    X(room_queued, "messages of rooms, times members")                                        \
    X(room_dropped, "of those not queued or taken back: dropped, conflated, timed out")       \
    X(room_closed, "members closed by GYR_ROOM_CLOSE")

#define GYR_STATS_FIELD(name, text) uint64_t name;
struct gyr_stats {
    GYR_STATS(GYR_STATS_FIELD)
};
#undef GYR_STATS_FIELD

/* Any thread, no lock: the counters of one core, or of all with core_index UINT_MAX. Each is exact;
 * they are not read at one instant. */
GYR_API void gyr_server_stats(const struct gyr_server *server, unsigned core_index,
                              struct gyr_stats *stats, size_t size);

/* ---- 11. Stop -------------------------------------------------------------------------------- */

/* Any thread: stop accepting, send Close 1001 spread over shutdown_window_ms, let requests end, cut
 * what is left after shutdown_deadline_ms. Returns at once. */
GYR_API void gyr_server_stop(struct gyr_server *server);

/* Any thread but a core's or a worker's: wait until every core has ended, and every worker of the
 * server (gyr_server_workers). Returns at once if the server was not
 * started and gyr_server_run_core not called for any core yet. */
GYR_API void gyr_server_wait(struct gyr_server *server);

/* Release the server; it must have ended, or never have started. */
GYR_API void gyr_server_destroy(struct gyr_server *server);

#ifdef __cplusplus
}
#endif

#endif
