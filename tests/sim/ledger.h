/* SPDX-License-Identifier: MIT */
/* What the oracle knows of rooms: who was a member when, what was published when and by whom, which
 * place it took, and what each client has got. Time is a count of events here, a stamp: larger is
 * later, whichever strand it happened on. */
#ifndef TESTS_SIM_LEDGER_H
#define TESTS_SIM_LEDGER_H

#include "engine/engine.h"
#include "tests/sim/service.h"
#include "tests/sim/strand.h"

#define LEDGER_ROOMS_MAX 8
#define ROOM_ALL         LEDGER_ROOMS_MAX /* index of "every WebSocket" */
#define LISTED_MAX       4
#define LETTER_MIN       8 /* bytes */
#define NEVER            UINT64_MAX
#define ROOM_NAME_SIZE   24

struct room_event {
    uint64_t number;
    enum gyr_room_event event;
};

struct room_model {
    char text[ROOM_NAME_SIZE];
    struct gyr_span name;
    enum gyr_room_policy policy;
    uint32_t queue_size_max;
    uint32_t history_count;
    struct room_event *events; /* owned; as they were told */
    unsigned event_count;
    unsigned event_capacity;
    uint64_t epoch;  /* of its history; 0: not known */
    uint64_t offset; /* the largest that is known */
};

/* A message that was published, or sent by handle. */
struct letter {
    struct world *world; /* borrowed */
    uint32_t number;
    unsigned strand;
    uint8_t listed[LISTED_MAX]; /* rooms, in the order in which they were given */
    unsigned listed_count;      /* 0: sent by handle to `target` */
    unsigned target;
    uint64_t except; /* clients, a bit for each */
    uint8_t opcode;
    uint32_t size;
    uint64_t called;
    uint64_t placed;   /* when its last place was claimed, or it was delivered without one */
    uint64_t looked;   /* whether it may be delivered without a place, the last time; 0: never */
    uint64_t due;      /* who was a member then and stays must get it */
    uint64_t returned; /* 0: within the call */
    uint64_t settled;  /* everybody was at rest since; NEVER: not yet */
    int result;
    bool is_unsure;    /* somebody else stood before it with a place not filled: may come later */
    bool is_sequenced; /* its room keeps a history: takes its place on another core */

    bool wants_done;
    unsigned done_core;
    uint32_t timeout_ms;
    uint32_t errors_max;
    unsigned done_count;
    struct gyr_published done;
    uint64_t failed; /* clients that `done` has named */
    uint64_t got;    /* clients that have got it */
};

/* A membership, from the call that began it to the one that ended it. */
struct stay {
    uint8_t room;
    uint64_t join_start;
    uint64_t join_end; /* NEVER: asked for by another thread, and not seen yet */
    uint64_t leave_start;
    uint64_t leave_end;
    bool is_since; /* by gyr_join_since: what is older may come, too */
};

/* What a client has asked of a history. */
struct since {
    unsigned room;
    uint64_t epoch;
    uint64_t offset;
    bool is_pending;
    bool is_recovered;
    uint64_t first; /* what is behind comes */
    uint64_t last;  /* ... and up to here it is recovered */
    uint64_t stamp; /* of on_recovered; 0: it has not come */
};

/* What another thread has asked a connection's core to do, and has not been seen to be done. */
enum asked {
    ASKED_NOTHING,
    ASKED_JOIN,
    ASKED_LEAVE,
};

/* A client as rooms see it. */
struct guest {
    struct visit *visit; /* borrowed; of its WebSocket; NULL: none yet */
    unsigned core_index;
    uint64_t open_start;
    uint64_t open_end;
    uint64_t closing; /* the service has begun to end it */
    uint64_t ended;
    struct stay *stays; /* owned */
    unsigned stay_count;
    unsigned stay_capacity;
    uint32_t now;  /* rooms it is in, a bit for each */
    uint32_t *got; /* owned; numbers of letters as they came */
    unsigned got_count;
    unsigned got_capacity;
    uint64_t owed_stamp; /* of the newest of the service's own frames that has come */
    uint64_t last_placed[LEDGER_ROOMS_MAX + 1];
    uint32_t last_of[LEDGER_ROOMS_MAX + 2][STRANDS_MAX]; /* the last: sent by handle */
    uint64_t told;                                       /* by gyr_take_dropped */
    char id[16];                                         /* "": none */
    bool is_leaving; /* its last upcall has returned, and its core's turn has not ended yet */
    enum asked asked;
    unsigned asked_room;
    struct since since;
};

struct ledger {
    uint64_t stamp;
    unsigned count;
    struct room_model room[LEDGER_ROOMS_MAX];
    struct gyr_room_rule rules[LEDGER_ROOMS_MAX];
    struct letter **letters; /* owned */
    uint32_t letter_count;
    uint32_t letter_capacity;
    uint32_t settled_count; /* letters below this number are settled, or still within the call */
    struct guest guests[CLIENTS_MAX + 1];
    struct letter *calls[STRANDS_MAX]; /* that each strand is within */
    bool ready_owed[CORES_MAX];
    uint64_t ready_stamp[CORES_MAX]; /* when on_publish_ready came last */
    uint64_t stop_stamp;
    bool has_rested;        /* everybody at once, and no connection was there */
    unsigned pending_count; /* snapshots and calls by handle that have not come back */
    uint64_t refused_count;
    uint64_t bytes; /* published: limited, so that slow clients come to their end */
};

uint64_t ledger_stamp(struct world *world);
/* Room for one more. */
void *ledger_grow(void *array, unsigned count, unsigned *capacity, size_t size);

void ledger_init(struct world *world);
/* Everything has come to its end: was it right? Frees what the oracle owns. */
void ledger_deinit(struct world *world);

/* ---- the world ---- */
/* A strand has claimed a place in the ring. */
void ledger_placed(struct world *world, unsigned strand);
/* It looks whether it may do without; what it finds is true now. */
void ledger_looked(struct world *world, unsigned strand);
/* Nobody has anything to do before time goes on. */
void ledger_quiet(struct world *world);
void ledger_turn_ended(struct world *world, unsigned core_index);
void ledger_stopping(struct world *world);

/* ---- connections ---- */
struct guest *ledger_guest(struct world *world, const struct client *client);
void ledger_visit_upgrades(struct visit *visit);
void ledger_visit_open(struct visit *visit);
void ledger_visit_ended(struct visit *visit);
struct stay *ledger_stay_begin(struct world *world, struct guest *guest, unsigned room);
/* That it is in, or NULL. */
struct stay *ledger_stay_of(struct guest *guest, unsigned room);

/* ---- letters ---- */
/* The bytes of a letter: nobody else sends what begins with '~'. */
void letter_write(const struct letter *letter, char *bytes);
/* One that is about to be published by the strand that runs. */
struct letter *letter_begin(struct world *world, size_t size);
void letter_end(struct world *world, struct letter *letter, int result);
/* For reports: who published it, where to and when. */
#define LETTER_TEXT_SIZE 200
const char *letter_text(const struct world *world, const struct letter *letter, char *text);
/* Is it a letter that the client has got? Then it is judged, and true returned. */
bool ledger_take(struct client *client, unsigned first_byte, struct span payload);
/* A frame of the service's own has come, queued at this stamp. */
void ledger_owed_came(struct client *client, uint64_t stamp);
/* May the client be closed with this code, by a room's policy? */
bool ledger_may_close(struct client *client, uint16_t close_code);

/* ---- ledger_verdict.c ---- */
void ledger_judge(struct world *world);
/* The client was a member of one of its rooms at some time between its call and its rest. */
bool letter_may_reach(const struct ledger *ledger, const struct letter *letter, unsigned client);
/* Has the client got something that was queued to it after this stamp, or come to a clean end? */
bool guest_has_later(const struct world *world, unsigned client, uint64_t stamp);
/* It was published to several rooms, of which the client has joined or left one meanwhile: the
 * cores take it from each room's lane by itself, so it may not come at all. */
bool letter_may_miss(const struct ledger *ledger, const struct letter *letter, unsigned client);
/* It was a member of this room (or open, with ROOM_ALL) all the time from `start` to `end`. */
bool letter_must_reach(const struct world *world, unsigned room, unsigned client, uint64_t start,
                       uint64_t end);

/* ---- service_room.c: what is done with rooms ---- */
/* Something, on the visit's core. */
void visit_room_act(struct visit *visit);
void visit_room_join(struct visit *visit);
/* Publish something as the strand that runs. `visit` is NULL on other threads than its core's. */
void ledger_publish(struct world *world, struct dice *dice, struct visit *visit);
void visit_room_told(struct visit *visit);
/* Has come to pass what was asked of its core by another thread? */
void visit_room_asked(struct visit *visit);
/* Who has this text id; NULL: nobody. */
const struct guest *ledger_id_holder(const struct world *world, const char *id);

/* ---- service_publish.c ---- */
void service_on_room(struct gyr_core *core, struct gyr_span room, enum gyr_room_event event,
                     uint64_t event_number);
void service_on_publish_ready(struct gyr_core *core);
/* Something that any thread may do. */
void ledger_thread_act(struct world *world, struct dice *dice);

/* ---- service_history.c ---- */
void visit_room_join_since(struct visit *visit, unsigned room_index);
void service_on_recovered(struct gyr_conn *conn, struct gyr_span room,
                          const struct gyr_recovery *recovery);
void ledger_histories_judge(struct world *world);

#endif
