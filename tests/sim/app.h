/* SPDX-License-Identifier: MIT */
/* A world whose service is an application (gyr/gyr_app.h). Its functions do what the dice say; an
 * oracle of its own, which knows nothing but the rules of that header, says of every call whether
 * it may come now, and of every upcall of the engine what it must return. */
#ifndef TESTS_SIM_APP_H
#define TESTS_SIM_APP_H

#include "gyr/gyr_app.h"
#include "tests/sim/client.h"

struct world;
struct app_wait;
struct app_letter;

#define APP_LEVELS_MAX  3
#define APP_STEPS_MAX   40
#define APP_HOOKS_MAX   8
#define APP_ASKS_MAX    3
#define APP_TEXT_SIZE   400
#define APP_LETTERS_MAX 200

/* What is called. */
enum app_call {
    APP_NOTHING,
    APP_BEFORE, /* who: the hook */
    APP_AFTER,
    APP_FACTORY,
    APP_MAKE,
    APP_CREATE, /* who: the level */
    APP_GUARD,
    APP_GIVE,
    APP_CONNECT,
    APP_REQUEST,
    APP_CONTENT,
    APP_NOTE, /* handlers */
    APP_NOTE_OF_CLOSET,
    APP_RAW,
    APP_NAMED,
    APP_BYTES, /* on_text, on_binary */
    APP_UNHANDLED,
    APP_ANSWER,
    APP_LEAVE, /* before_disconnect; who: the hook */
    APP_DISCONNECT,
    APP_DESTROY, /* who: the level */
    APP_DROP,
    APP_CALL_COUNT,
};

/* Types of resources. */
enum app_type {
    APP_HALL,
    APP_CELL,
    APP_ROOM,
    APP_CLOSET,
    APP_BARE,
    APP_PLAIN_BYTES,
    APP_TYPE_COUNT,
};

/* Messages of clients. */
enum app_say {
    SAY_NOTE,
    SAY_RAW,
    SAY_NAMED,
    SAY_UNKNOWN,
    SAY_NO_TAG,
    SAY_MISSING,
    SAY_TYPE,
    SAY_EXTRA,
    SAY_BROKEN,
    SAY_ARRAY,
    SAY_COUNT, /* of those that are said unasked */
    SAY_ANSWER = SAY_COUNT,
    SAY_ANSWER_BAD,
    SAY_ANSWER_ERROR,
};

/* What the oracle knows of a type, a hook, a route: written a second time on purpose. */
struct app_type_model {
    uint32_t calls; /* bits 1 << enum app_call */
    bool is_envelope;
    bool keeps; /* goes on after a failure */
    uint8_t hooks[3];
    uint8_t hook_count;
};

enum app_hook_part {
    PART_BEFORE_CONNECT = 1 << 0,
    PART_AFTER_CONNECT = 1 << 1,
    PART_BEFORE_RECEIVE = 1 << 2,
    PART_AFTER_RECEIVE = 1 << 3,
    PART_LEAVE = 1 << 4,
};

struct app_hook_model {
    uint8_t index;
    uint8_t parts; /* enum app_hook_part */
    uint8_t data_size;
};

struct app_route_model {
    const char *path; /* the client's id, and the request's number */
    uint8_t types[APP_LEVELS_MAX];
    uint8_t level_count;
    bool is_made;     /* by the factory: the last of its types is not known */
    bool has_methods; /* GET and POST with a note */
    bool has_sockets;
};

extern const struct app_type_model app_types[APP_TYPE_COUNT];
extern const struct app_hook_model app_hooks[APP_HOOKS_MAX];
#define APP_GLOBAL_HOOKS 2 /* the first of them */
#define APP_ROUTE_COUNT  10
extern const struct app_route_model app_routes[APP_ROUTE_COUNT];

/* Requests that lead nowhere: numbers from here on instead of routes. */
#define APP_ASTRAY_FIRST 100
#define APP_ASTRAY_COUNT 6

struct app_step {
    uint8_t call; /* enum app_call */
    uint8_t who;
    bool is_silent; /* there is no function: it succeeds by itself */
};

enum tour_phase {
    TOUR_CONNECT,
    TOUR_CONTENT, /* its handler waits for content */
    TOUR_ANSWERED,
    TOUR_ACCEPTED, /* 101 is on its way */
    TOUR_REFUSED,  /* Close right behind it */
    TOUR_OPEN,
    TOUR_MESSAGE,
    TOUR_ENDING,
    TOUR_ENDED,
};

struct tour;

struct app_ask {
    struct tour *tour; /* borrowed */
    uint64_t number;
    bool is_waiting;
};

/* One exchange, from its request to its end. */
struct tour {
    struct tour *next;
    struct world *world;   /* borrowed */
    struct client *client; /* borrowed */
    struct gyr_conn *conn; /* NULL once ended */
    struct gyr_handle handle;
    unsigned core_index;
    unsigned number;
    struct dice dice;
    enum tour_phase phase;
    bool is_handshake;
    bool is_post;
    unsigned route;
    uint8_t types[APP_LEVELS_MAX];
    uint8_t level_count;

    /* The event that is under way. */
    struct app_step steps[APP_STEPS_MAX];
    unsigned step_count;
    unsigned at;
    uint8_t passed[APP_STEPS_MAX]; /* hooks whose before has succeeded */
    unsigned passed_count;
    bool is_unwinding;
    bool is_skipped;
    int err;
    int failure;      /* that on_failure must tell before anything else is called */
    unsigned created; /* levels whose create was called and has not failed */
    unsigned made;    /* levels whose create has ended */
    struct app_step ending[APP_STEPS_MAX];

    /* GYR_PENDING. */
    bool is_pending;
    bool has_cancel;
    unsigned wait_number;
    void *kept; /* by gyr_keep, up to the end of the event; APP_KEPT_SIZE bytes */

    /* What is due. */
    bool is_answered; /* the request; or the message */
    bool is_high;
    unsigned refuse_code;
    bool refuse_closes;
    bool refuse_has_text;
    bool is_closed;         /* gyr_close or gyr_abort */
    bool is_lost;           /* gyr_abort */
    bool is_made;           /* by the maker */
    bool is_excused;        /* memory ran out in the midst of it */
    struct item_queue held; /* frames that come behind the 101 */
    struct app_ask asks[APP_ASKS_MAX];
    enum app_say say;
    char said_id[24];        /* of the message as it is written; "": none */
    bool has_id;             /* it may be answered */
    bool is_unsure;          /* whether the router could answer it, nobody knows */
    struct app_ask *answers; /* borrowed; the question that it answers */
    char said[APP_TEXT_SIZE];
    size_t said_size;
    bool message_is_gone;
    uint64_t said_number;
    enum gyr_reason reason;
    bool content_is_here;
    unsigned content_status; /* with which bad content is answered; 0: it is sound */
    unsigned response_flags; /* of what answers the request */

    /* What lives as long as the connection. */
    void *selfs[APP_LEVELS_MAX];
    uint8_t *memory[4]; /* by gyr_conn_alloc */
    unsigned memory_count;
    int stores[4]; /* states: number in each; -1: none */
    unsigned store_count;
    uint8_t store_of[APP_LEVELS_MAX];
    int64_t param_set;           /* -1: it is not */
    struct app_wait *timer_wait; /* borrowed; that gyr_conn_timer ends */
};

#define APP_KEPT_SIZE   40
#define APP_MEMORY_SIZE 24

struct app_world {
    struct gyr_app *app; /* owned */
    struct gyr_service declared;
    struct gyr_service inner; /* what the application does at each upcall */
    struct tour *tours;       /* owned; newest first */
    struct app_wait *waits;   /* owned; newest first */
    unsigned tour_count;
    unsigned global_mask; /* which global hooks there are */
    uint64_t made_count;
    uint64_t dropped_count;
    unsigned store_count;                        /* of the service's own, that live */
    struct app_letter *letters[APP_LETTERS_MAX]; /* owned; what was published */
    unsigned letter_count;
};

/* ---- app.c ---- */
/* Make the application, if this world has one: world->service is its. */
void app_world_init(struct world *world);
void app_world_check(struct world *world);
void app_world_deinit(struct world *world);
struct tour *tour_of(struct gyr_conn *conn);

/* ---- app_tables.c ---- */
int app_declare(struct world *world, struct gyr_app *app);

/* ---- app_tour.c: the oracle ---- */
/* The steps of a connect, and of a message. */
void tour_connect_begin(struct tour *tour);
void tour_message_begin(struct tour *tour, const struct item *item);
/* What runs without a function has run before the next that is called. */
void tour_look(struct tour *tour);
/* A function is called: is it its turn? */
bool tour_enter(struct tour *tour, enum app_call call, unsigned who, void *self);
/* ... and returns this. */
int tour_leave(struct tour *tour, int result);
/* What was pending ends with this. */
void tour_settle(struct tour *tour, int result);
/* on_failure. */
void tour_told(struct tour *tour, const struct gyr_failure *failure);
/* The upcall has returned. */
int tour_upcall_end(struct tour *tour, int result);
/* The factory has chosen. */
void tour_made(struct tour *tour, enum app_type type);
/* All of it ends now, and has ended. */
void tour_end_begin(struct tour *tour, bool was_open);
void tour_end(struct tour *tour);
/* An answer's function is called, in the midst of a message or by itself. */
bool tour_answer_enter(struct tour *tour, struct app_ask *ask, const struct gyr_fault *fault);
bool app_type_has(unsigned type, enum app_call call);

/* ---- app_act.c: what functions do ---- */
/* Anything that a function may do, and its result. */
int app_act(struct tour *tour, enum app_call call, unsigned who);
void app_owe(struct tour *tour, const char *text, unsigned flags);
void app_owe_response(struct tour *tour, unsigned status, const char *text, unsigned flags);
void app_held_owe(struct tour *tour, unsigned flags);
bool app_is_tight(const struct world *world);
/* The error that the router sends by itself. */
void app_owe_error(struct tour *tour, enum gyr_reason reason, const char *path);
bool app_waits_step(struct world *world);
uint64_t app_waits_next_ns(const struct world *world);
void app_waits_free(struct world *world);
void app_on_cancel(void *arg);
void app_on_timer(struct tour *tour, void *self);

/* ---- app_state.c ---- */
/* In `give` of this level: perhaps another state for those below. */
void app_state_give(struct tour *tour, unsigned level);
/* Compare one with what is known of it, and change it. */
void app_state_use(struct tour *tour);
void app_params_use(struct tour *tour, enum app_call call);

/* ---- app_room.c ---- */
void app_room_join(struct tour *tour);
void app_room_publish(struct tour *tour);
/* Is it a letter? Then it is judged, and true returned. */
bool app_room_take(struct client *client, struct span payload);
void app_rooms_free(struct world *world);

/* ---- app_client.c ---- */
void app_client_generate(struct client *client);
/* It has got this response. */
void app_client_answered(struct client *client, const struct item *owed);
/* A frame has come: what may be missing in front of it is missing. */
void app_client_skip(struct client *client, struct span payload);
/* It is a question: answer it, perhaps. */
void app_client_asked(struct client *client, struct span payload);
unsigned app_astray_status(unsigned number);

#endif
