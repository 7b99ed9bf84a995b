/* SPDX-License-Identifier: MIT */
/* The service that the simulated server runs: its requests and messages say how they want to be
 * dealt with. It checks every upcall against the promises of gyr.h, and tells the clients what
 * to expect. */
#ifndef TESTS_SIM_SERVICE_H
#define TESTS_SIM_SERVICE_H

#include "gyr/gyr.h"
#include "tests/sim/client.h"

struct world;
struct job;

enum visit_state {
    VISIT_REQUEST,  /* on_request has run */
    VISIT_UPGRADED, /* on_done(UPGRADED) has run */
    VISIT_OPEN,     /* on_open has run */
    VISIT_ENDED,    /* on_close or the last on_done has run */
};

enum visit_flags {
    VISIT_F_PENDING = 1 << 0,
    VISIT_F_PAUSED = 1 << 1,
    VISIT_F_HIGH = 1 << 2,     /* GYR_QUEUE_HIGH was returned */
    VISIT_F_ANSWERED = 1 << 3, /* gyr_respond or gyr_upgrade */
    VISIT_F_FINAL = 1 << 4,    /* nothing of the request follows: the end of GYR_PENDING answers */
    VISIT_F_CONTENT = 1 << 5,
    VISIT_F_MODE_DONE = 1 << 6,    /* the request's mode has been applied */
    VISIT_F_CLOSED = 1 << 7,       /* gyr_close of the WebSocket has succeeded */
    VISIT_F_HTTP_CLOSED = 1 << 11, /* ... of the request */
    VISIT_F_HANDSHAKE = 1 << 12,
    VISIT_F_WITHIN = 1 << 13,      /* a message that is sent in parts */
    VISIT_F_PARTS = 1 << 8,        /* receive_parts */
    VISIT_F_NEVER = 1 << 9,        /* no end of GYR_PENDING is planned */
    VISIT_F_DRAIN_RUN = 1 << 10,   /* held bytes wait for on_drain */
    VISIT_F_STREAM = 1 << 14,      /* a response in pieces has begun and not ended */
    VISIT_F_STREAM_WAIT = 1 << 15, /* it waits for on_drain */
};

/* One exchange, from its on_request on; it outlives the connection. */
struct visit {
    struct visit *next;
    struct world *world;   /* borrowed */
    struct client *client; /* borrowed */
    struct gyr_conn *conn; /* NULL once ended */
    struct gyr_handle handle;
    unsigned core_index;
    enum visit_state state;
    unsigned flags; /* enum visit_flags */
    struct dice dice;

    /* The request. */
    enum mode mode;
    enum when when;
    unsigned doom;
    unsigned early;
    size_t answer_size;
    bool collects;
    enum stream stream;
    size_t content_size;
    uint64_t content_sum;

    /* What the log must say. */
    bool is_logged;
    unsigned status; /* of the answer; 0: the engine's */
    struct address from;
    char target[128];

    struct job *conn_job; /* borrowed; waits for on_timer */
    size_t part_done;     /* of the message that is heard in parts */

    /* The answer, if it comes in pieces. */
    struct bytes pieces;
    size_t pieces_done;
    unsigned pieces_retries;

    /* Bytes that a full queue has refused, or that wait for the end of GYR_PENDING. */
    struct bytes held;
    size_t held_done;
    size_t held_step; /* bytes of a part */
    uint8_t held_opcode;
    unsigned held_flags; /* what the first and last of the parts carry */
};

/* The table of functions for this world. */
void service_init(struct world *world);
/* At the end: has everything that began ended? Frees what the service owns. */
void service_deinit(struct world *world);

/* After each turn: live exchanges are found, those that have ended are not. */
void service_check(struct world *world);

/* ---- service_http.c ---- */
int service_on_request(struct gyr_conn *conn, const struct gyr_request *request);
int service_on_body(struct gyr_conn *conn, struct gyr_span piece, bool last);
void service_on_done(struct gyr_conn *conn, enum gyr_outcome outcome);
/* The GYR_PENDING of a request ends: answer, if that is due. */
int visit_request_finish(struct visit *visit);
/* Let the client expect it. */
void visit_answer_owe(struct visit *visit, const struct gyr_response *response);

/* ---- service_stream.c ---- */
/* Begin the response instead of answering in whole. */
int visit_stream_begin(struct visit *visit, const struct gyr_response *response);
/* Carry it on; returns what a callback may return. */
int visit_stream_run(struct visit *visit);

/* ---- service_file.c ---- */
#define SIM_FILE_COUNT       13
#define SIM_FILE_SMALL_COUNT 11 /* the first, that take little memory */
void service_files_init(struct world *world);
/* The fields of a request for a file. */
const char *service_file_fields(enum when when);
/* Answer with the file whose number is answer_size. */
int visit_file_answer(struct visit *visit, const struct gyr_request *request);

/* ---- service_ws.c ---- */
int service_on_open(struct gyr_conn *conn);
int service_on_message(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span message);
int service_on_part(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span part,
                    unsigned flags);
void service_on_drain(struct gyr_conn *conn);
void service_on_close(struct gyr_conn *conn, uint16_t close_code, struct gyr_span reason);
/* Send one message and let the client expect it. */
int visit_send(struct visit *visit, uint8_t opcode, struct gyr_span payload, unsigned flags);
/* Send what is held; the result of a callback. */
int visit_held_send(struct visit *visit);

/* ---- visit.c: what both have in common ---- */
struct visit *visit_of(struct gyr_conn *conn);
/* Begin and end of an upcall. */
struct visit *visit_enter(struct gyr_conn *conn, const char *upcall, size_t size);
int visit_leave(struct visit *visit, int result);
void visit_doom(struct visit *visit, enum doom doom);
void visit_close_with(struct visit *visit, uint16_t close_code);
void visit_ended(struct visit *visit);

/* What happens later, and how. */
enum job_what {
    JOB_FINISH, /* end the GYR_PENDING */
    JOB_RESUME,
    JOB_SEND,   /* a message that nobody asked for */
    JOB_STREAM, /* carry a response on */
};
void job_start(struct visit *visit, enum job_what what, enum later later);
void job_on_mail(struct gyr_conn *conn, void *mail);
void job_on_timer(struct gyr_conn *conn);
/* Those that are another thread's and due: done now. Returns false if there is none. */
bool jobs_step(struct world *world);
/* When the next of them is due; UINT64_MAX: never. */
uint64_t jobs_next_ns(const struct world *world);
void jobs_free(struct world *world);

#endif
