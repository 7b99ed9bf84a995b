/* SPDX-License-Identifier: MIT */
/* A simulated client: sends requests, perhaps becomes a WebSocket, sends messages, ends in one
 * of many ways, and checks all that comes back against what the service says it has sent. What
 * both sides say lies in two queues here: `said` is for the service to hear, `owed` for the
 * client. */
#ifndef TESTS_SIM_CLIENT_H
#define TESTS_SIM_CLIENT_H

#include "tests/sim/dice.h"
#include "tests/sim/item.h"
#include "tests/sim/plan.h"

struct world;

/* How far something has run ahead of a rate, see policy.c. The engine issues tokens at whole
 * multiples of their distance, so it may be one off either way; the rest is for rounding. */
#define PACE_SLACK 1.1
struct pace {
    double low;
    double peak;
};

#define STATUSES_MAX 64

/* The status codes that a client was answered with, in order. */
struct statuses {
    unsigned count;
    uint16_t codes[STATUSES_MAX];
};

/* How the service deals with a request: MODE_LATER and what follows return GYR_PENDING. */
enum mode {
    MODE_NOW,
    MODE_EARLY,  /* answer although content follows */
    MODE_PAUSE,  /* gyr_pause, gyr_resume later */
    MODE_CLOSE,  /* gyr_close, then answer */
    MODE_ERROR,  /* a negative result: 404 */
    MODE_SILENT, /* no answer: 500 */
    MODE_ABORT,
    MODE_NEVER, /* GYR_PENDING for ever: 503 */
    MODE_LATER, /* and the ways of enum later */
};

enum later {
    LATER_TIMER,      /* gyr_timer_start */
    LATER_CONN_TIMER, /* gyr_conn_timer */
    LATER_COMPLETE,   /* another thread: gyr_complete */
    LATER_POST,       /* another thread: gyr_post, and gyr_core_find */
    LATER_MAIL,       /* another thread: gyr_mail */
    LATER_COUNT,
};

/* How the service answers, if it does. */
enum stream {
    STREAM_NONE,
    STREAM_CHUNKED, /* in pieces */
    STREAM_SIZED,   /* in pieces, of a known size */
    STREAM_FILE,
};

/* When the mode of a request with content applies. */
enum when {
    WHEN_HEAD,
    WHEN_LAST,
    WHEN_FIRST, /* at the first piece */
};

/* In which callback the service closes or aborts the connection; times 2, plus 1: abort. */
enum doom {
    DOOM_NONE,
    DOOM_REQUEST,
    DOOM_BODY,
    DOOM_DONE,
    DOOM_OPEN,
    DOOM_MESSAGE,
    DOOM_DRAIN,
    DOOM_MAIL,
    DOOM_TIMER,
    DOOM_CLOSE,
    DOOM_COUNT,
};

enum ending {
    ENDING_CLOSE, /* as the protocols want it */
    ENDING_BAD,   /* by a breach of protocol */
    ENDING_FIN,   /* half-closed; answers are still wanted */
    ENDING_MUTE,  /* says nothing any more, and waits */
    ENDING_RESET,
    ENDING_DROP, /* closes without a word */
};

enum client_state {
    CLIENT_WAITING,
    CLIENT_RUNNING,
    CLIENT_ENDED,
};

struct client {
    struct world *world; /* borrowed */
    unsigned id;
    struct dice dice;
    enum client_state state;
    int fd;
    unsigned excuses;  /* enum excuse */
    uint64_t wake_ns;  /* does nothing before */
    uint64_t stall_ns; /* reads nothing before */

    /* The script, and how it is carried out. */
    bool old; /* HTTP/1.0 */
    unsigned requests_left;
    unsigned messages_left;
    size_t budget; /* bytes of content that may still be sent */
    bool upgrade;
    enum ending ending;
    uint32_t batch;     /* generate while less than this waits to be sent */
    uint32_t piece_max; /* bytes of one send */
    uint32_t read_max;  /* bytes of one receive */
    uint32_t pause;     /* chance of a pause, per mille */
    uint32_t pause_ms;
    uint32_t mute_after; /* bytes, with ENDING_MUTE, _RESET and _DROP */
    bool careful;        /* nothing unusual: it must get through */

    /* Where it comes from, and how fast it has sent: policy.c. */
    struct dice policy_dice;
    struct address address;
    struct address announced; /* by its PROXY header; ADDRESS_NONE: none */
    struct address ws_from;   /* for whom it is a WebSocket */
    bool proxied;             /* it comes from where trusted proxies are */
    bool is_trusted;          /* ... and is believed what it says of requests */
    bool says_header;
    bool says_bad_header;
    bool refused;         /* it has got a 503 for a limit */
    uint64_t frame_count; /* said */
    uint64_t heard_count; /* messages that on_message has had */
    uint64_t heard_size;
    struct pace sent_messages;
    struct pace sent_bytes;
    struct pace heard_messages;
    struct pace heard_bytes;
    struct statuses got;    /* answers */
    struct statuses logged; /* and what the log says of them */

    struct bytes out;
    struct bytes held; /* goes out once the gate is open */
    size_t out_sent;
    size_t out_total;
    struct bytes in;
    struct item_queue said;
    struct item_queue owed;
    struct item_queue pings; /* not answered yet */
    uint32_t request_number;
    uint32_t ping_number;
    unsigned app_route;                 /* that the handshake leads to */
    bool app_joined;                    /* the room of an application */
    uint32_t app_last[CLIENTS_MAX + 1]; /* letter of each publisher that has come */
    uint8_t accept[28];                 /* what the 101 must carry */

    bool out_ws;          /* the handshake has been sent */
    bool in_ws;           /* the 101 has come */
    bool sealed;          /* what is sent from now on is never heard */
    bool script_done;     /* nothing will be generated any more */
    bool out_ended;       /* the stream is ended, or never will be */
    bool gate;            /* waits for 100 Continue before it goes on */
    bool got_final;       /* an answer with Connection: close has come */
    bool got_close;       /* a Close frame has come */
    bool within;          /* a message has begun to come, and not ended */
    bool close_sent;      /* a Close frame has been put in `out` */
    bool parts;           /* asks for receive_parts: messages are echoed as they come */
    bool is_upgraded;     /* the service has accepted the handshake */
    bool service_closed;  /* gyr_close has succeeded, or a callback has failed */
    uint16_t close_code;  /* of that Close; 1005: none */
    uint16_t heard_code;  /* what on_close has said; 0: it has not run */
    uint16_t fail_status; /* with which the engine must answer, behind all that is owed */
    uint16_t fail_code;   /* the same for a Close frame */
    bool fail_head;       /* ... to a HEAD */
    unsigned continues;   /* 100 Continue that may come */
    unsigned echo_count;  /* frames that were owed and have come */
};

void client_init(struct client *client, struct world *world, unsigned id);
/* A client after the storm: it must get through, whatever has been before. */
void client_init_probe(struct client *client, struct world *world, unsigned id);
void client_deinit(struct client *client);

/* Do something. Returns false if there was nothing to do. */
bool client_step(struct client *client);

/* Everything that excuses an early end of this connection now. */
unsigned client_excuses(const struct client *client);

/* The connection has ended: was that right? `how` is for the report. */
void client_end(struct client *client, const char *how, bool was_reset);

/* ---- client_http.c ---- */
void client_http_generate(struct client *client);
void client_gate_open(struct client *client);
/* Take what is complete off `in`; returns false if there is nothing. */
bool client_http_parse(struct client *client);

/* ---- client_ws.c ---- */
void client_ws_generate(struct client *client);
bool client_ws_parse(struct client *client);
void client_ws_close(struct client *client, uint16_t close_code);

#endif
