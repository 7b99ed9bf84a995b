/* SPDX-License-Identifier: MIT */
/* An application on a server with real sockets, its clients, and a record of what its functions
 * did. A scenario runs on io_uring and then on epoll, or on the one that GYR_RING names:
 *
 *     struct scenario at;
 *     SCENARIO_EACH_RING(&at) {
 *         ROUTES(&at, "/api", rooms);
 *         SERVE(&at);
 *         LEAVE(OPEN(&at, "/api/rooms/42"));
 *         ENDED(&at, "connect:42 disconnect:1000");
 *     }
 *
 * Nothing here hangs: what does not come within KIT_PATIENCE_S fails, and from then on the client
 * it was waited for is dead. */
#ifndef TESTS_SCENARIO_KIT_H
#define TESTS_SCENARIO_KIT_H

#include "base/base.h"
#include "gyr/gyr_app.h"
#include "tests/parser_kit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define SCENARIO_TEXT_SIZE   8192
#define SCENARIO_CLIENTS_MAX 16

struct scenario_text {
    size_t size;
    char text[SCENARIO_TEXT_SIZE]; /* with a NUL */
};

struct scenario {
    int ring; /* enum gyr_ring */
    unsigned failures_before;
    bool gave_up;                   /* something did not come: nothing more is waited for */
    struct gyr_config config;       /* to be changed before SERVE */
    struct gyr_app_options options; /* to be changed before the first call that needs `app` */
    struct gyr_service service;     /* that of `options` */
    struct gyr_app *app;            /* owned; scenario_app makes it */
    struct gyr_server *server;      /* owned */
    char address[128];
    struct gyr_error error;
    size_t client_count;
    struct scenario_client *clients[SCENARIO_CLIENTS_MAX]; /* owned */

    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t changed;
    struct scenario_text notes;
    struct scenario_text log;
    struct gyr_handle held; /* of the last scenario_hold */
    unsigned held_count;
    char cut[SCENARIO_TEXT_SIZE]; /* of scenario_mistakes or scenario_error */
};

#define SCENARIO_EACH_RING(at) for (scenario_begin(at); scenario_next(at);)
void scenario_begin(struct scenario *at);
bool scenario_next(struct scenario *at);
/* Use so many cores; 2 if it is not called. */
void scenario_cores(struct scenario *at, unsigned count);

/* ---- declaring and serving ---- */

struct gyr_app *scenario_app(struct scenario *at);
#define ROUTES(at, prefix, table) \
    EXPECT_INT(gyr_app_routes(scenario_app(at), prefix, table), 0, prefix)
/* A router with this table, mounted. */
#define MOUNT(at, prefix, name, table) scenario_mount(at, prefix, name, table, __FILE__, __LINE__)
struct gyr_router *scenario_mount(struct scenario *at, const char *prefix, const char *name,
                                  const struct gyr_route *table, const char *file, int line);
#define SERVE(at) scenario_serve(at, __FILE__, __LINE__)
bool scenario_serve(struct scenario *at, const char *file, int line);
/* All mistakes of the application, a line each, and the text of `error`; "@" stands for where a row
 * of a test is, its file and line. */
#define MISTAKES(at, text) expect_text(scenario_mistakes(at), text, "mistakes", __FILE__, __LINE__)
#define ERROR(at, text)    expect_text(scenario_error(at), text, "error", __FILE__, __LINE__)
const char *scenario_mistakes(struct scenario *at);
const char *scenario_error(struct scenario *at);
void expect_text(const char *actual, const char *expected, const char *why, const char *file,
                 int line);

/* ---- what the functions of the application did ---- */

struct scenario *scenario_of(const struct gyr_conn *conn);
/* Add a word, or several. */
__attribute__((format(printf, 2, 3))) void note(const struct gyr_conn *conn, const char *format,
                                                ...);
__attribute__((format(printf, 2, 3))) void scenario_note(struct scenario *at, const char *format,
                                                         ...);
/* Wait until as much has been noted as this text has, and compare; the notes are forgotten. */
#define NOTED(at, expected) scenario_noted(at, expected, __FILE__, __LINE__)
void scenario_noted(struct scenario *at, const char *expected, const char *file, int line);
/* The same when the server has ended: this and nothing else. */
#define ENDED(at, expected) scenario_ended(at, expected, __FILE__, __LINE__)
void scenario_ended(struct scenario *at, const char *expected, const char *file, int line);
/* How many lines of the log have this in them; what is logged in front of an answer counts. */
unsigned scenario_logged(struct scenario *at, const char *text);

/* Remember the connection, and return GYR_PENDING. */
int scenario_hold(struct gyr_conn *conn);
/* End what is held with this result, from this thread. */
void scenario_let_go(struct scenario *at, int result);
/* Run fn(conn, arg) for it on its core, and let its result count. */
void scenario_let_go_with(struct scenario *at, int (*fn)(struct gyr_conn *conn, void *arg),
                          void *arg);

/* `struct NAME` with functions that note "NAME:create", "NAME:destroy", "NAME:connect",
 * "NAME:disconnect:CODE"; and its resource's members. */
#define SCENARIO_TRACED(type)                                                             \
    struct type {                                                                         \
        int unused;                                                                       \
    };                                                                                    \
    __attribute__((unused)) static int type##_create(struct gyr_conn *conn, void *self)   \
    {                                                                                     \
        (void)self;                                                                       \
        note(conn, #type ":create");                                                      \
        return 0;                                                                         \
    }                                                                                     \
    __attribute__((unused)) static void type##_destroy(struct gyr_conn *conn, void *self) \
    {                                                                                     \
        (void)self;                                                                       \
        note(conn, #type ":destroy");                                                     \
    }                                                                                     \
    __attribute__((unused)) static int type##_connect(struct gyr_conn *conn, void *self,  \
                                                      const struct gyr_request *request)  \
    {                                                                                     \
        (void)self;                                                                       \
        (void)request;                                                                    \
        note(conn, #type ":connect");                                                     \
        return 0;                                                                         \
    }                                                                                     \
    __attribute__((unused)) static void type##_disconnect(                                \
        struct gyr_conn *conn, void *self, uint16_t close_code, struct gyr_span reason)   \
    {                                                                                     \
        (void)self;                                                                       \
        (void)reason;                                                                     \
        note(conn, #type ":disconnect:%u", close_code);                                   \
    }                                                                                     \
    struct type
#define SCENARIO_LIFE(type)                                                           \
    .create = type##_create, .destroy = type##_destroy, .on_connect = type##_connect, \
    .on_disconnect = type##_disconnect
/* on_connect: notes each parameter that is one of x, y, room, id, rest as "NAME=VALUE". */
int scenario_note_params(struct gyr_conn *conn, void *self, const struct gyr_request *request);
/* on_text: sends it back. */
int scenario_echo(struct gyr_conn *conn, void *self, struct gyr_span message);
/* on_unhandled: notes "unhandled:CODE:PATH:BYTES", "~" in front of those of a binary message. */
int scenario_unhandled(struct gyr_conn *conn, void *self, const struct gyr_unhandled *unhandled);

/* ---- clients (tests/scenario_kit_client.c) ---- */

struct scenario_client {
    int fd;          /* -1: dead */
    unsigned status; /* of the last answer; 0: the connection ended */
    char head[4096]; /* of it, with a NUL */
    char content[SCENARIO_TEXT_SIZE];
    unsigned opcode; /* of the last frame */
    size_t payload_size;
    char payload[SCENARIO_TEXT_SIZE]; /* with a NUL */
    size_t size;
    uint8_t bytes[2 * SCENARIO_TEXT_SIZE]; /* read, and not looked at yet */
};

/* A connection on which nothing was asked yet. */
struct scenario_client *scenario_client(struct scenario *at);
/* Send a request and read the answer; `fields` may be "", each ends with CR LF. */
unsigned scenario_request(struct scenario_client *client, const char *method, const char *target,
                          const char *fields, const char *content);
/* The two halves of it: what is asked as it is written, and the head of the answer. */
void scenario_write(struct scenario_client *client, const char *request);
unsigned scenario_answer(struct scenario_client *client);
unsigned scenario_upgrade(struct scenario_client *client, const char *target, const char *fields);
/* The value of a field of the answer, "" if there is none; lives until the next call. */
const char *scenario_field(struct scenario_client *client, const char *name);

/* A WebSocket. */
#define OPEN(at, target)              OPEN_WITH(at, target, "")
#define OPEN_WITH(at, target, fields) scenario_open(at, target, fields, __FILE__, __LINE__)
struct scenario_client *scenario_open(struct scenario *at, const char *target, const char *fields,
                                      const char *file, int line);
/* A handshake that is answered with this status code. */
#define REFUSED(at, target, status_code) \
    scenario_refused(at, target, status_code, __FILE__, __LINE__)
struct scenario_client *scenario_refused(struct scenario *at, const char *target,
                                         unsigned status_code, const char *file, int line);
/* Open, and leave at once with 1000. */
#define VISIT(at, target) LEAVE(OPEN(at, target))

void scenario_send(struct scenario_client *client, unsigned opcode, const void *bytes, size_t size);
void scenario_say(struct scenario_client *client, const char *text);
void scenario_send_close(struct scenario_client *client, uint16_t code, const char *reason);
/* The next frame that is no Ping or Pong; false: there is none any more. */
bool scenario_read(struct scenario_client *client);
#define HEARS(client, text) scenario_hears(client, text, __FILE__, __LINE__)
void scenario_hears(struct scenario_client *client, const char *text, const char *file, int line);
/* A Close comes next; it is answered, and the connection ends. */
#define HEARS_CLOSE(client, code, reason) \
    scenario_hears_close(client, code, reason, __FILE__, __LINE__)
void scenario_hears_close(struct scenario_client *client, uint16_t code, const char *reason,
                          const char *file, int line);
/* Close with this code, read its echo and the end. */
#define LEAVE(client)            LEAVE_WITH(client, 1000)
#define LEAVE_WITH(client, code) scenario_leave(client, code, __FILE__, __LINE__)
void scenario_leave(struct scenario_client *client, uint16_t code, const char *file, int line);
/* Nothing comes any more, and the connection has ended. */
bool scenario_has_ended(struct scenario_client *client);
/* A TCP reset. */
void scenario_reset(struct scenario_client *client);
void scenario_client_free(struct scenario_client *client);

#endif
