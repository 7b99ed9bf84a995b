/* SPDX-License-Identifier: MIT */
/* The oracle of an exchange with an application: which function is next, by the rules of
 * gyr/gyr_app.h alone, and what the engine gets to hear of it. */
#include "tests/sim/app.h"
#include "tests/sim/world.h"

#include <stdio.h>

static const char *const CALL_NAMES[APP_CALL_COUNT] = {
    "nothing",
    "before",
    "after",
    "factory",
    "make",
    "create",
    "guard",
    "give",
    "on_connect",
    "GET",
    "POST",
    "note",
    "note",
    "raw",
    "named",
    "on_text",
    "on_unhandled",
    "answer",
    "before_disconnect",
    "on_disconnect",
    "destroy",
    "drop",
};

bool app_type_has(unsigned type, enum app_call call)
{
    return (app_types[type].calls >> call & 1) != 0;
}

static unsigned innermost_of(const struct tour *tour)
{
    return tour->types[tour->level_count - 1U];
}

static void step_add(struct tour *tour, enum app_call call, unsigned who, bool is_there)
{
    ASSERT(tour->step_count < APP_STEPS_MAX);
    tour->steps[tour->step_count++] = (struct app_step){(uint8_t)call, (uint8_t)who, !is_there};
}

static void event_begin(struct tour *tour)
{
    tour->step_count = 0;
    tour->at = 0;
    tour->passed_count = 0;
    tour->is_unwinding = false;
    tour->is_skipped = false;
    tour->err = 0;
    tour->failure = 0;
    tour->is_answered = false;
    tour->is_high = false;
    tour->kept = NULL;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void hook_add(struct tour *tour, unsigned hook, unsigned before, unsigned after)
{
    unsigned parts = app_hooks[hook].parts;
    if ((parts & (before | after)) != 0) {
        step_add(tour, APP_BEFORE, hook, (parts & before) != 0);
    }
}

static void global_hooks_add(struct tour *tour, unsigned before, unsigned after)
{
    for (unsigned i = 0; i < APP_GLOBAL_HOOKS; i++) {
        if ((tour->world->app->global_mask >> i & 1) != 0) {
            hook_add(tour, i, before, after);
        }
    }
}

static void level_hooks_add(struct tour *tour, unsigned before, unsigned after)
{
    for (unsigned level = 0; level < tour->level_count; level++) {
        const struct app_type_model *type = &app_types[tour->types[level]];
        for (unsigned i = 0; i < type->hook_count; i++) {
            hook_add(tour, type->hooks[i], before, after);
        }
    }
}

static void levels_add(struct tour *tour)
{
    bool is_made = false;
    for (unsigned level = 0; level < tour->level_count; level++) {
        unsigned type = tour->types[level];
        if (app_type_has(type, APP_MAKE) && !is_made) {
            step_add(tour, APP_MAKE, 0, true);
            is_made = true;
        }
        step_add(tour, APP_CREATE, level, app_type_has(type, APP_CREATE));
        step_add(tour, APP_GUARD, level, app_type_has(type, APP_GUARD));
        if (level + 1U < tour->level_count) {
            step_add(tour, APP_GIVE, level, app_type_has(type, APP_GIVE));
        }
    }
    level_hooks_add(tour, PART_BEFORE_CONNECT, PART_AFTER_CONNECT);
    if (tour->is_handshake) {
        step_add(tour, APP_CONNECT, 0, app_type_has(innermost_of(tour), APP_CONNECT));
    } else {
        step_add(tour, tour->is_post ? APP_CONTENT : APP_REQUEST, 0, true);
    }
}

void tour_connect_begin(struct tour *tour)
{
    const struct app_route_model *route = &app_routes[tour->route];
    event_begin(tour);
    tour->phase = TOUR_CONNECT;
    tour->level_count = route->level_count;
    memcpy(tour->types, route->types, sizeof(tour->types));
    global_hooks_add(tour, PART_BEFORE_CONNECT, PART_AFTER_CONNECT);
    if (route->is_made) {
        step_add(tour, APP_FACTORY, 0, true);
    } else {
        levels_add(tour);
    }
}

void tour_made(struct tour *tour, enum app_type type)
{
    tour->types[0] = (uint8_t)type;
    tour->level_count = 1;
    levels_add(tour);
}

/* What is wrong with a message whose tag has no handler in this type. */
static enum gyr_reason reason_of(const struct tour *tour, bool is_known)
{
    switch (tour->say) {
    case SAY_NO_TAG:
        return GYR_REASON_NO_TAG;
    case SAY_BROKEN:
        return GYR_REASON_MALFORMED;
    case SAY_ARRAY:
        return GYR_REASON_NOT_OBJECT;
    case SAY_ANSWER:
    case SAY_ANSWER_BAD:
    case SAY_ANSWER_ERROR:
        return GYR_REASON_NOT_ASKED;
    case SAY_MISSING:
        return is_known ? GYR_REASON_MISSING : GYR_REASON_UNKNOWN_TAG;
    case SAY_TYPE:
        return is_known ? GYR_REASON_TYPE : GYR_REASON_UNKNOWN_TAG;
    case SAY_EXTRA:
        return is_known ? GYR_REASON_UNKNOWN_MEMBER : GYR_REASON_UNKNOWN_TAG;
    case SAY_NOTE:
    case SAY_RAW:
    case SAY_NAMED:
    case SAY_UNKNOWN:
        break;
    }
    return GYR_REASON_UNKNOWN_TAG;
}

static enum app_call handler_of(struct tour *tour)
{
    unsigned type = innermost_of(tour);
    bool is_closet = type == APP_CLOSET;
    if (app_type_has(type, APP_BYTES)) {
        return APP_BYTES;
    }
    enum app_call call = tour->say == SAY_NOTE    ? is_closet ? APP_NOTE_OF_CLOSET : APP_NOTE
                         : tour->say == SAY_RAW   ? APP_RAW
                         : tour->say == SAY_NAMED ? APP_NAMED
                                                  : APP_NOTHING;
    if (call != APP_NOTHING && app_type_has(type, call)) {
        return call;
    }
    for (unsigned i = 0; tour->say >= SAY_ANSWER && i < APP_ASKS_MAX; i++) {
        if (tour->asks[i].is_waiting && tour->asks[i].number == tour->said_number) {
            tour->answers = &tour->asks[i];
            return APP_ANSWER;
        }
    }
    tour->reason =
        reason_of(tour, app_type_has(type, APP_NOTE) || app_type_has(type, APP_NOTE_OF_CLOSET));
    return APP_UNHANDLED;
}

void tour_message_begin(struct tour *tour, const struct item *item)
{
    event_begin(tour);
    tour->phase = TOUR_MESSAGE;
    tour->message_is_gone = false;
    tour->has_id = false;
    tour->is_unsure = false;
    tour->answers = NULL;
    tour->say = (enum app_say)item->number;
    tour->said_number = item->stamp;
    tour->said_size = item->size;
    ASSERT(item->size < sizeof(tour->said));
    memcpy(tour->said, item->bytes, item->size);
    tour->said[item->size] = '\0';
    tour->said_id[0] = '\0';
    const char *id = strstr(tour->said, "\"id\":");
    bool is_json = !app_type_has(innermost_of(tour), APP_BYTES);
    if (id != NULL && tour->say != SAY_BROKEN && is_json) {
        (void)snprintf(tour->said_id, sizeof(tour->said_id), "%.*s", (int)strcspn(id + 5, ",}"),
                       id + 5);
    }
    global_hooks_add(tour, PART_BEFORE_RECEIVE, PART_AFTER_RECEIVE);
    level_hooks_add(tour, PART_BEFORE_RECEIVE, PART_AFTER_RECEIVE);
    enum app_call call = handler_of(tour);
    step_add(tour, call, 0, call != APP_UNHANDLED || app_type_has(innermost_of(tour), call));
}

/* ---- what is next ---------------------------------------------------------------------------- */

static bool call_is_handler(enum app_call call)
{
    return call >= APP_NOTE && call <= APP_ANSWER;
}

static void step_fail(struct tour *tour, int err)
{
    if (tour->err == 0) {
        tour->err = err;
    }
    if (tour->is_unwinding) {
        tour->passed_count--;
    }
    tour->is_unwinding = true;
}

static void step_pass(struct tour *tour)
{
    const struct app_step *step = &tour->steps[tour->at];
    if (tour->is_unwinding) {
        tour->passed_count--;
        return;
    }
    if (step->call == APP_BEFORE) {
        tour->passed[tour->passed_count++] = step->who;
    } else if (step->call == APP_CREATE) {
        tour->created = step->who + 1U;
        tour->made = tour->created;
    } else if (step->call == APP_MAKE) {
        tour->is_made = true;
    } else if (step->call == APP_DROP) {
        tour->is_made = false;
    } else if (step->call == APP_UNHANDLED && step->is_silent) {
        tour->has_id = tour->said_id[0] != '\0';
        app_owe_error(tour, tour->reason, NULL);
    }
    tour->at++;
}

/* Content that has come does not fit: the router answers. */
static bool content_is_bad(struct tour *tour)
{
    if (tour->content_status == 0) {
        return false;
    }
    if (tour->is_closed) {
        return true;
    }
    app_owe_response(tour, tour->content_status, "", ITEM_F_ANY);
    tour->is_answered = true;
    return true;
}

/* Its time may have passed while a hook was waited for. */
static void question_check(struct tour *tour, struct app_step *step)
{
    if (step->call == APP_ANSWER && !tour->is_pending &&
        (!tour->answers->is_waiting || tour->answers->number != tour->said_number)) {
        step->call = APP_UNHANDLED;
        step->is_silent = !app_type_has(innermost_of(tour), APP_UNHANDLED);
        tour->reason = GYR_REASON_NOT_ASKED;
    }
}

static struct app_step next_of(struct tour *tour)
{
    static const struct app_step NOTHING = {APP_NOTHING, 0, false};
    for (;;) {
        if (!tour->is_unwinding && tour->at == tour->step_count) {
            tour->is_unwinding = true;
        }
        if (!tour->is_unwinding) {
            question_check(tour, &tour->steps[tour->at]);
            struct app_step step = tour->steps[tour->at];
            bool content = step.call == APP_CONTENT;
            if (content && tour->content_status != 415 && !tour->content_is_here) {
                return NOTHING;
            }
            if (content && content_is_bad(tour)) {
                step_fail(tour, GYR_ERR_MESSAGE);
            } else if (!step.is_silent) {
                return step;
            } else {
                step_pass(tour);
            }
            continue;
        }
        if (tour->passed_count == 0) {
            return NOTHING;
        }
        unsigned hook = tour->passed[tour->passed_count - 1];
        unsigned after = tour->phase == TOUR_MESSAGE ? PART_AFTER_RECEIVE : PART_AFTER_CONNECT;
        if ((app_hooks[hook].parts & after) != 0) {
            return (struct app_step){APP_AFTER, (uint8_t)hook, false};
        }
        tour->passed_count--;
    }
}

void tour_look(struct tour *tour)
{
    (void)next_of(tour);
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* The level that a function belongs to; level_count: none. */
static unsigned level_of(const struct tour *tour, enum app_call call, unsigned who)
{
    if (call == APP_CREATE || call == APP_GUARD || call == APP_GIVE || call == APP_DESTROY) {
        return who;
    }
    if (call == APP_MAKE || call == APP_DROP || call == APP_FACTORY) {
        return tour->level_count;
    }
    if (call != APP_BEFORE && call != APP_AFTER && call != APP_LEAVE) {
        return tour->level_count - 1U;
    }
    for (unsigned level = 0; level < tour->level_count; level++) {
        const struct app_type_model *type = &app_types[tour->types[level]];
        for (unsigned i = 0; i < type->hook_count; i++) {
            if (type->hooks[i] == who) {
                return level;
            }
        }
    }
    return tour->level_count;
}

static bool self_is_right(struct tour *tour, enum app_call call, unsigned who, void *self)
{
    unsigned level = level_of(tour, call, who);
    if (level == tour->level_count) {
        return self == NULL;
    }
    if (call == APP_CREATE) {
        tour->selfs[level] = self;
        return self != NULL && (uintptr_t)self % sizeof(void *) == 0;
    }
    return self == tour->selfs[level];
}

static void memory_check(struct tour *tour)
{
    for (unsigned i = 0; i < tour->memory_count; i++) {
        for (unsigned k = 0; k < APP_MEMORY_SIZE; k++) {
            if (tour->memory[i][k] != (uint8_t)(tour->number + i)) {
                world_fail(tour->world, "client %u: memory of its connection has changed",
                           tour->client->id);
            }
        }
    }
}

bool tour_enter(struct tour *tour, enum app_call call, unsigned who, void *self)
{
    struct world *world = tour->world;
    world_note(world, "core%u %s %u of client %u", tour->core_index, CALL_NAMES[call], who,
               tour->client->id);
    if (world->failed) {
        return false;
    }
    struct app_step next = next_of(tour);
    if (world->is_call || tour->is_pending || tour->failure != 0 || next.call != call ||
        next.who != who) {
        world_fail(world, "client %u: %s %u instead of %s %u%s%s, failure %d", tour->client->id,
                   CALL_NAMES[call], who, CALL_NAMES[next.call], next.who,
                   tour->is_pending ? ", while it waits" : "",
                   world->is_call ? ", within a call" : "", tour->failure);
        return false;
    }
    if (tour->phase == TOUR_ENDING) {
        for (unsigned i = 0; i < APP_ASKS_MAX; i++) {
            if (tour->asks[i].is_waiting || tour->has_cancel) {
                world_fail(world, "client %u: %s while somebody still waits", tour->client->id,
                           CALL_NAMES[call]);
            }
        }
    }
    if (!self_is_right(tour, call, who, self)) {
        world_fail(world, "client %u: %s %u has the instance of another", tour->client->id,
                   CALL_NAMES[call], who);
    }
    if (call_is_handler(call) && call != APP_ANSWER) {
        tour->has_id = tour->said_id[0] != '\0';
    }
    memory_check(tour);
    return !world->failed;
}

int tour_leave(struct tour *tour, int result)
{
    if (result != 0) {
        world_note(tour->world, "    returns %d", result);
    }
    if (result != GYR_PENDING || tour->phase == TOUR_ENDING) {
        tour_settle(tour, result);
        return result;
    }
    const struct app_step *step = &tour->steps[tour->at];
    tour->is_pending = true;
    if (!tour->is_unwinding && step->call == APP_CREATE) {
        tour->created = step->who + 1U;
    }
    return result;
}

void tour_settle(struct tour *tour, int result)
{
    enum app_call call = tour->is_unwinding ? APP_AFTER : (enum app_call)tour->steps[tour->at].call;
    bool connect = tour->phase == TOUR_CONNECT;
    tour->is_pending = false;
    if (tour->phase == TOUR_ENDING) {
        step_pass(tour);
        return;
    }
    if (connect && tour->err == 0 && result >= 0 && tour->refuse_code != 0) {
        result = GYR_ERR_REFUSED;
    }
    tour->is_high = tour->is_high || result == GYR_QUEUE_HIGH;
    if (result < 0) {
        tour->failure = result == GYR_ERR_REFUSED ? 0 : result;
        if (call == APP_CREATE) {
            tour->created = tour->steps[tour->at].who;
        }
        if (call_is_handler(call)) {
            app_owe_error(tour, GYR_REASON_FAILED, NULL);
        }
        step_fail(tour, result);
    } else if (call == APP_BEFORE && result == GYR_SKIP) {
        tour->is_skipped = true;
        tour->is_unwinding = true;
    } else {
        step_pass(tour);
    }
}

void tour_told(struct tour *tour, const struct gyr_failure *failure)
{
    struct world *world = tour->world;
    world_note(world, "core%u on_failure of client %u: %s %d", tour->core_index, tour->client->id,
               failure->what, failure->err);
    if (tour->failure == failure->err && tour->failure != 0) {
        tour->failure = 0;
        return;
    }
    bool within = tour->phase == TOUR_CONNECT || tour->phase == TOUR_MESSAGE;
    if (failure->err != GYR_ERR_MEMORY || !app_is_tight(world) || !within) {
        world_fail(world, "client %u: %s is told to have failed with %d, and has not",
                   tour->client->id, failure->what, failure->err);
        return;
    }
    /* The router has no memory to go on: as if the function had said so. */
    if (strcmp(failure->what, "message") == 0) {
        tour->reason = GYR_REASON_MEMORY;
        return;
    }
    if (strcmp(failure->what, "handler") == 0) {
        tour->content_status = 0; /* not even to say what is wrong with it */
    }
    (void)next_of(tour);
    unsigned created = tour->is_pending ? tour->created : 0; /* that `create` has not failed */
    tour_settle(tour, GYR_ERR_MEMORY);
    tour->created = MAX(tour->created, created);
    tour->failure = 0;
}

bool tour_answer_enter(struct tour *tour, struct app_ask *ask, const struct gyr_fault *fault)
{
    struct world *world = tour->world;
    enum gyr_reason reason = fault != NULL ? fault->reason : GYR_REASON_NONE;
    bool is_step = tour->phase == TOUR_MESSAGE && tour->answers == ask && !tour->is_pending &&
                   next_of(tour).call == APP_ANSWER && reason != GYR_REASON_TIMEOUT;
    bool is_right = tour->phase == TOUR_ENDING    ? reason == GYR_REASON_FAILED
                    : !is_step                    ? reason == GYR_REASON_TIMEOUT
                    : tour->say == SAY_ANSWER     ? reason == GYR_REASON_NONE
                    : tour->say == SAY_ANSWER_BAD ? reason == GYR_REASON_TYPE
                                                  : reason == GYR_REASON_REFUSED;
    if (!ask->is_waiting || !is_right || tour->phase == TOUR_ENDED) {
        world_fail(world, "client %u: question %llu is answered with %d in phase %d%s",
                   tour->client->id, (unsigned long long)ask->number, reason, tour->phase,
                   ask->is_waiting ? "" : ", twice");
    }
    ask->is_waiting = is_step;
    return is_step;
}

/* ---- upcalls --------------------------------------------------------------------------------- */

/* All functions of a connect have run: what must come of it? */
static void connect_conclude(struct tour *tour, int result)
{
    struct client *client = tour->client;
    bool closes = tour->err == GYR_ERR_REFUSED && tour->refuse_closes && tour->is_handshake;
    tour->phase = TOUR_ANSWERED;
    if (tour->is_closed || (result < 0 && app_is_tight(tour->world))) {
        client->excuses |= EXCUSE_SERVICE;
        if (tour->is_handshake && result == 0 && (tour->err == 0 || closes)) {
            tour->phase = closes ? TOUR_REFUSED : TOUR_ACCEPTED;
            (void)item_push(&client->owed, ITEM_UPGRADE, NULL, 0);
            client->is_upgraded = true;
            app_held_owe(tour, ITEM_F_MAYBE);
        }
        item_clear(&tour->held);
        return;
    }
    if (tour->is_answered) {
        client->excuses |= tour->err != 0 ? EXCUSE_SERVICE : 0U;
    } else if (tour->err == 0 && !tour->is_handshake) {
        client->excuses |= EXCUSE_SERVICE; /* nobody has answered: 500 */
        client->fail_status = 500;
        result = 0;
    } else if (tour->err == 0 || closes) {
        (void)item_push(&client->owed, ITEM_UPGRADE, NULL, 0);
        tour->phase = closes ? TOUR_REFUSED : TOUR_ACCEPTED;
        client->is_upgraded = true;
        app_held_owe(tour, 0);
        if (closes) {
            item_push(&client->owed, ITEM_CLOSE, NULL, 0)->code = (uint16_t)tour->refuse_code;
            client->service_closed = true;
            tour->is_closed = true;
        }
    } else {
        const char *text = tour->refuse_has_text ? "no, not you" : "";
        bool refused = tour->err == GYR_ERR_REFUSED && tour->refuse_code != 0;
        unsigned status = refused                          ? tour->refuse_code
                          : tour->err == GYR_ERR_REFUSED   ? 403
                          : tour->err == GYR_ERR_NOT_FOUND ? 404
                          : tour->err == GYR_ERR_RATE      ? 429
                          : tour->err == GYR_ERR_MEMORY    ? 503
                                                           : 500;
        app_owe_response(tour, status, text, refused ? 0 : ITEM_F_ANY);
    }
    item_clear(&tour->held);
    if (result != 0 && result != GYR_QUEUE_HIGH && !tour->is_answered) {
        world_fail(tour->world, "client %u: its connect has ended with %d (%d)", client->id, result,
                   tour->err);
    }
}

static int message_conclude(struct tour *tour, int result)
{
    struct client *client = tour->client;
    bool fails = tour->err != 0 && !app_types[innermost_of(tour)].keeps;
    int expected = fails ? tour->err : tour->err == 0 && tour->is_high ? GYR_QUEUE_HIGH : 0;
    tour->phase = TOUR_OPEN;
    tour->has_id = false;
    if (result != expected) {
        world_fail(tour->world, "client %u: a message has ended with %d instead of %d", client->id,
                   result, expected);
    }
    if (fails && !tour->is_closed) {
        uint16_t code = tour->err == GYR_ERR_NOT_FOUND || tour->err == GYR_ERR_RATE ||
                                tour->err == GYR_ERR_REFUSED
                            ? 1008
                        : tour->err == GYR_ERR_MEMORY ? 1013
                                                      : 1011;
        item_push(&client->owed, ITEM_CLOSE, NULL, 0)->code = code;
        client->service_closed = true;
        tour->is_closed = true;
    }
    return result;
}

int tour_upcall_end(struct tour *tour, int result)
{
    struct world *world = tour->world;
    if (world->failed) {
        return result;
    }
    if (tour->is_pending) {
        tour->message_is_gone = true;
        if (result == GYR_PENDING) {
            return result;
        }
        world_fail(world, "client %u: a function waits, and the engine is told %d",
                   tour->client->id, result);
    }
    struct app_step next = next_of(tour);
    bool tight = result == GYR_ERR_MEMORY && app_is_tight(world);
    if (tour->failure != 0 || (next.call != APP_NOTHING && !tight)) {
        world_fail(world, "client %u: %s %u was not called, or %d not told", tour->client->id,
                   CALL_NAMES[next.call], next.who, tour->failure);
    }
    if (tour->phase == TOUR_MESSAGE) {
        return message_conclude(tour, result);
    }
    if (tour->phase == TOUR_CONNECT && !tour->is_unwinding && !tight) {
        tour->phase = TOUR_CONTENT;
    } else if (tour->phase == TOUR_CONNECT) {
        connect_conclude(tour, result);
    }
    return result;
}

/* ---- the end --------------------------------------------------------------------------------- */

void tour_end_begin(struct tour *tour, bool was_open)
{
    event_begin(tour);
    tour->phase = TOUR_ENDING;
    tour->is_pending = false;
    tour->has_id = false;
    tour->is_closed = true;
    if (was_open) {
        for (unsigned i = 0; i < APP_GLOBAL_HOOKS; i++) {
            if ((tour->world->app->global_mask >> i & 1) != 0 &&
                (app_hooks[i].parts & PART_LEAVE) != 0) {
                step_add(tour, APP_LEAVE, i, true);
            }
        }
        for (unsigned level = 0; level < tour->level_count; level++) {
            const struct app_type_model *type = &app_types[tour->types[level]];
            for (unsigned i = 0; i < type->hook_count; i++) {
                bool leaves = (app_hooks[type->hooks[i]].parts & PART_LEAVE) != 0;
                step_add(tour, APP_LEAVE, type->hooks[i], leaves);
            }
        }
        step_add(tour, APP_DISCONNECT, 0, app_type_has(innermost_of(tour), APP_DISCONNECT));
    }
    for (unsigned level = tour->created; level-- != 0;) {
        step_add(tour, APP_DESTROY, level, app_type_has(tour->types[level], APP_DESTROY));
    }
    step_add(tour, APP_DROP, 0, tour->is_made);
}

void tour_end(struct tour *tour)
{
    struct world *world = tour->world;
    struct app_step next = next_of(tour);
    bool waits = tour->has_cancel;
    for (unsigned i = 0; i < APP_ASKS_MAX; i++) {
        waits = waits || tour->asks[i].is_waiting;
    }
    if (!world->failed && (next.call != APP_NOTHING || waits || tour->is_made)) {
        world_fail(world, "client %u has ended, and %s %u was not called%s", tour->client->id,
                   CALL_NAMES[next.call], next.who, waits ? "; somebody still waits" : "");
    }
    tour->phase = TOUR_ENDED;
    tour->conn = NULL;
    item_clear(&tour->held);
}
