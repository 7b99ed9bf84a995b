/* SPDX-License-Identifier: MIT */
/* What the functions of a simulated application do, by chance: send, answer, ask, allocate, keep
 * state, close, refuse, fail, and wait for somebody who comes back later or never. */
#include "tests/sim/app.h"

#include "engine/engine.h"
#include "engine/mailbox.h"
#include "tests/sim/app_message.h"
#include "tests/sim/app_router.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>

/* Somebody who ends a GYR_PENDING. */
struct app_wait {
    struct app_wait *next;
    struct tour *tour; /* borrowed */
    unsigned number;   /* of the wait in it */
    enum app_call call;
    uint64_t due_ns;
    bool is_sent;
    struct gyr_timer timer;
};

static void wait_start(struct tour *tour, enum app_call call);
static void wait_end(struct app_wait *wait, struct gyr_conn *conn);

bool app_is_tight(const struct world *world)
{
    return (world->plan.excuses & EXCUSE_MEMORY) != 0;
}

/* ---- what clients must get ------------------------------------------------------------------- */

void app_owe(struct tour *tour, const char *text, unsigned flags)
{
    bool is_early = tour->phase == TOUR_CONNECT;
    struct item *item =
        item_push(is_early ? &tour->held : &tour->client->owed, ITEM_FRAME, text, strlen(text));
    item->opcode = GYR_TEXT;
    item->flags = (uint16_t)(ITEM_F_FIRST | ITEM_F_LAST | flags);
}

void app_held_owe(struct tour *tour, unsigned flags)
{
    while (tour->held.head != NULL) {
        struct item *item = tour->held.head;
        struct item *owed = item_push(&tour->client->owed, ITEM_FRAME, item->bytes, item->size);
        owed->opcode = item->opcode;
        owed->flags = (uint16_t)(item->flags | flags);
        item_pop(&tour->held);
    }
}

void app_owe_response(struct tour *tour, unsigned status, const char *text, unsigned flags)
{
    struct item *item = item_push(&tour->client->owed, ITEM_RESPONSE, text, strlen(text));
    item->code = (uint16_t)status;
    item->opcode = tour->is_handshake ? 'W' : 'R';
    flags |= tour->is_post && !tour->content_is_here ? ITEM_F_MAY_CLOSE : 0U;
    item->flags = (uint16_t)(tour->response_flags | flags);
}

/* Would the client certainly get this? The queue's limit counts memory, too. */
static bool is_certain(const struct tour *tour, size_t size)
{
    return !app_is_tight(tour->world) && !tour->is_closed &&
           engine_conn_may_send(tour->conn) == 0 &&
           gyr_queued_size(tour->conn) + size < tour->world->plan.config.send_queue_size_max / 4;
}

void app_owe_error(struct tour *tour, enum gyr_reason reason, const char *path)
{
    if (!tour->has_id || tour->is_answered) {
        return;
    }
    bool is_envelope = app_types[tour->types[tour->level_count - 1U]].is_envelope;
    if (path == NULL) {
        path = reason == GYR_REASON_MISSING || reason == GYR_REASON_TYPE ? "n"
               : reason == GYR_REASON_UNKNOWN_MEMBER                     ? "more"
                                                                         : "";
    }
    char text[APP_TEXT_SIZE];
    (void)snprintf(text, sizeof(text),
                   "{\"type\":\"error\",\"re\":%s,%s\"code\":\"%s\",\"reason\":\"%s\",\"path\":"
                   "\"%s\"}%s",
                   tour->said_id, is_envelope ? "\"payload\":{" : "", gyr_reason_code(reason),
                   gyr_reason_text(reason), path, is_envelope ? "}" : "");
    tour->is_answered = true;
    tour->is_unsure = !is_certain(tour, strlen(text));
    app_owe(tour, text, tour->is_unsure ? ITEM_F_MAYBE : 0);
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* Is this what sending may return? */
static void result_check(const struct tour *tour, const char *what, int result)
{
    world_note(tour->world, "    %s: %d", what, result);
    bool right = result == 0 || result == GYR_QUEUE_HIGH || result == GYR_ERR_BACKPRESSURE ||
                 result == GYR_ERR_CLOSED ||
                 (result == GYR_ERR_MEMORY && app_is_tight(tour->world));
    if (!right) {
        world_fail(tour->world, "client %u: %s returned %d", tour->client->id, what, result);
    }
}

/* The head of a message of the server, up to its first member. */
static const char *head_write(const struct tour *tour, char *text, size_t size, const char *tag,
                              const char *name, const char *id)
{
    bool is_envelope = app_types[tour->types[tour->level_count - 1U]].is_envelope;
    (void)snprintf(text, size, "{\"type\":\"%s\"%s%s,%s", tag, name, id,
                   is_envelope ? "\"payload\":{" : "");
    return is_envelope ? "}}" : "}";
}

static int note_send(struct tour *tour, bool is_answer)
{
    struct world *world = tour->world;
    char words[64];
    char text[APP_TEXT_SIZE];
    char head[128];
    int32_t n = (int32_t)dice_below(&tour->dice, 1000000);
    int size = snprintf(words, sizeof(words), "of %u%0*d", tour->number,
                        (int)dice_below(&tour->dice, 40) + 1, 0);
    const struct note note = {.n = n, .text = {words, (size_t)size}};
    const char *end = head_write(tour, head, sizeof(head), "note", is_answer ? ",\"re\":" : "",
                                 is_answer ? tour->said_id : "");
    (void)snprintf(text, sizeof(text), "%s\"n\":%d,\"text\":\"%s\"%s", head, n, words, end);
    world->is_call = true;
    int result = is_answer ? gyr_answer(tour->conn, &note_schema, &note)
                           : gyr_send_msg(tour->conn, &note_schema, &note);
    world->is_call = false;
    if (is_answer && tour->is_unsure && result == GYR_ERR_STATE) {
        return 0;
    }
    if (is_answer && !tour->is_unsure && (!tour->has_id || tour->is_answered)) {
        if (result != GYR_ERR_STATE) {
            world_fail(world, "client %u: gyr_answer returned %d where nobody asks",
                       tour->client->id, result);
        }
        return 0;
    }
    if (is_answer && result == GYR_ERR_STATE && app_is_tight(world)) {
        return 0; /* the id could not be kept */
    }
    result_check(tour, is_answer ? "gyr_answer" : "gyr_send_msg", result);
    if (result >= 0) {
        app_owe(tour, text, 0);
        tour->is_answered = tour->is_answered || is_answer;
    }
    return result;
}

static int answered(struct gyr_conn *conn, void *self, const struct reply *reply,
                    const struct gyr_fault *fault, void *arg)
{
    struct app_ask *ask = arg;
    struct tour *tour = ask->tour;
    world_note(tour->world, "core%u question %llu of client %u: %s", tour->core_index,
               (unsigned long long)ask->number, tour->client->id,
               fault == NULL ? "answered" : gyr_reason_code(fault->reason));
    bool is_step = tour_answer_enter(tour, ask, fault);
    if (conn != tour->conn || (reply == NULL) != (fault != NULL) ||
        (reply != NULL && reply->n != (int32_t)ask->number) ||
        self != tour->selfs[tour->level_count - 1U]) {
        world_fail(tour->world, "client %u: a question is answered wrongly", tour->client->id);
    }
    bool goes_on = is_step && tour_enter(tour, APP_ANSWER, 0, self);
    ask->is_waiting = false;
    if (!goes_on) {
        return 0;
    }
    return tour_leave(tour, app_act(tour, APP_ANSWER, 0));
}

static void ask(struct tour *tour)
{
    struct app_ask *free_ask = NULL;
    for (unsigned i = 0; i < APP_ASKS_MAX; i++) {
        free_ask = tour->asks[i].is_waiting ? free_ask : &tour->asks[i];
    }
    unsigned type = tour->types[tour->level_count - 1U];
    if (free_ask == NULL) {
        return;
    }
    const struct question question = {.n = (int32_t)dice_below(&tour->dice, 100)};
    uint32_t timeout_ms = DICE_PICK(&tour->dice, 1, 20, 5000, 60000);
    tour->world->is_call = true;
    int result = GYR_ASK(tour->conn, question, &question, reply, timeout_ms, answered, free_ask);
    tour->world->is_call = false;
    if (app_type_has(type, APP_BYTES) || tour->made != tour->level_count) {
        if (result != GYR_ERR_STATE) {
            world_fail(tour->world, "client %u: gyr_ask returned %d where nobody could answer",
                       tour->client->id, result);
        }
        return;
    }
    result_check(tour, "gyr_ask", result);
    if (result < 0) {
        return;
    }
    uint64_t number = app_router_ask_count(gyr_conn_core(tour->conn));
    *free_ask = (struct app_ask){.tour = tour, .number = number, .is_waiting = true};
    char id[24];
    char head[128];
    char text[APP_TEXT_SIZE];
    (void)snprintf(id, sizeof(id), "%llu", (unsigned long long)number);
    const char *end = head_write(tour, head, sizeof(head), "question", ",\"id\":", id);
    (void)snprintf(text, sizeof(text), "%s\"n\":%d%s", head, question.n, end);
    app_owe(tour, text, 0);
}

static void allocate(struct tour *tour)
{
    if (tour->memory_count == COUNT_OF(tour->memory)) {
        return;
    }
    uint8_t *memory = gyr_conn_alloc(tour->conn, APP_MEMORY_SIZE);
    if (memory == NULL) {
        if (!app_is_tight(tour->world)) {
            world_fail(tour->world, "gyr_conn_alloc has nothing");
        }
        return;
    }
    for (unsigned i = 0; i < APP_MEMORY_SIZE; i++) {
        if (memory[i] != 0) {
            world_fail(tour->world, "gyr_conn_alloc has given memory that is not zeroed");
        }
    }
    memset(memory, (int)((tour->number + tour->memory_count) & 0xff), APP_MEMORY_SIZE);
    tour->memory[tour->memory_count++] = memory;
}

static void close_or_abort(struct tour *tour)
{
    struct client *client = tour->client;
    client->excuses |= EXCUSE_SERVICE;
    /* Of a handshake that is accepted then it closes nothing. */
    bool early = tour->phase == TOUR_CONNECT && tour->is_handshake;
    if (early || dice_chance(&tour->dice, 500)) {
        world_note(tour->world, "    gyr_abort");
        gyr_abort(tour->conn);
        tour->is_lost = true;
    } else {
        int err = gyr_close(tour->conn, 3005, GYR_SPAN("the application says so"));
        world_note(tour->world, "    gyr_close: %d", err);
        if (err == 0 && !tour->is_closed && tour->phase != TOUR_CONNECT) {
            item_push(&client->owed, ITEM_CLOSE, NULL, 0)->code = 3005;
            client->service_closed = true;
        }
    }
    tour->is_closed = true;
}

/* ---- results --------------------------------------------------------------------------------- */

static int error_draw(struct tour *tour)
{
    return (int[]){GYR_ERR_STATE, GYR_ERR_NOT_FOUND, GYR_ERR_RATE, GYR_ERR_REFUSED,
                   -5}[dice_below(&tour->dice, 5)];
}

static int refuse(struct tour *tour)
{
    struct gyr_span text = GYR_SPAN("no, not you");
    bool counts = tour->err == 0;
    bool has_text = dice_chance(&tour->dice, 500) && !app_is_tight(tour->world);
    bool closes = dice_chance(&tour->dice, 400);
    unsigned code = closes ? 4001 : DICE_PICK(&tour->dice, 400, 401, 404, 451, 503);
    text.size = has_text ? text.size : 0;
    int err = closes ? gyr_refuse_close(tour->conn, (uint16_t)code, text)
                     : gyr_refuse(tour->conn, code, text);
    if (err != GYR_ERR_REFUSED) {
        world_fail(tour->world, "gyr_refuse returned %d", err);
    }
    if (counts) {
        tour->refuse_code = closes && !tour->is_handshake ? 403 : code;
        tour->refuse_closes = closes && tour->is_handshake;
        tour->refuse_has_text = has_text;
    }
    return dice_chance(&tour->dice, 800) ? err : 0;
}

/* Answer the request that is being handled. */
static int respond(struct tour *tour)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "{\"n\":%u}", tour->number);
    const struct reply reply = {.n = (int32_t)tour->number};
    bool is_plain = dice_chance(&tour->dice, 500);
    int err = is_plain ? gyr_respond_text(tour->conn, 200, "text/plain",
                                          (struct gyr_span){text, strlen(text)})
                       : gyr_respond_msg(tour->conn, 200, &reply_schema, &reply);
    world_note(tour->world, "    gyr_respond: %d", err);
    if (err == 0) {
        tour->is_answered = true;
        app_owe_response(tour, 200, text, 0);
    } else if (err != GYR_ERR_CLOSED && !(err == GYR_ERR_MEMORY && app_is_tight(tour->world))) {
        world_fail(tour->world, "client %u: gyr_respond returned %d", tour->client->id, err);
    }
    return err;
}

/* The result of a function, or of what it waited for. */
static int result_draw(struct tour *tour, enum app_call call)
{
    struct dice *dice = &tour->dice;
    bool connect = tour->phase == TOUR_CONNECT;
    bool careful = tour->client->careful || tour->is_closed;
    bool refuses = connect && call != APP_MAKE && call != APP_FACTORY;
    if (!careful && dice_chance(dice, 45)) {
        return error_draw(tour);
    }
    if (!careful && refuses && !tour->is_answered && dice_chance(dice, 25)) {
        return refuse(tour);
    }
    bool may_skip = call == APP_BEFORE && !(careful && connect) && !tour->is_answered;
    if (may_skip && !connect && dice_chance(dice, 60)) {
        return GYR_SKIP;
    }
    if (may_skip && connect && tour->refuse_code == 0 && dice_chance(dice, 15)) {
        int err = respond(tour);
        return err < 0 ? err : GYR_SKIP;
    }
    if ((call == APP_REQUEST || call == APP_CONTENT) && !tour->is_answered &&
        tour->refuse_code == 0) {
        return respond(tour);
    }
    return 0;
}

static int send_some(struct tour *tour)
{
    bool is_socket = tour->is_handshake && tour->level_count != 0;
    int result = 0;
    if (!is_socket || tour->is_answered) {
        is_socket = is_socket && tour->phase == TOUR_MESSAGE;
    }
    if (is_socket && dice_chance(&tour->dice, 300)) {
        result = note_send(tour, false);
    }
    if (is_socket && tour->phase == TOUR_MESSAGE && dice_chance(&tour->dice, 300)) {
        int answer = note_send(tour, true);
        result = answer == GYR_QUEUE_HIGH ? answer : result;
    }
    if (is_socket && dice_chance(&tour->dice, 120)) {
        ask(tour);
    }
    if (is_socket && dice_chance(&tour->dice, 100)) {
        app_room_join(tour);
    }
    if (is_socket && dice_chance(&tour->dice, 100)) {
        app_room_publish(tour);
    }
    return result;
}

static void kept_start(struct tour *tour)
{
    uint8_t bytes[APP_KEPT_SIZE];
    memset(bytes, (int)(tour->number & 0xff), sizeof(bytes));
    tour->kept = gyr_keep(tour->conn, bytes, sizeof(bytes));
    if (tour->kept == NULL && !app_is_tight(tour->world)) {
        world_fail(tour->world, "gyr_keep has nothing");
    }
}

static bool call_may_wait(enum app_call call)
{
    return call != APP_FACTORY && call != APP_MAKE && call != APP_ANSWER;
}

/* Of what can be sent no more. */
static int act_late(struct tour *tour)
{
    if (tour->is_handshake && tour->level_count != 0 && tour->steps[0].call == APP_LEAVE &&
        gyr_send(tour->conn, GYR_TEXT, GYR_SPAN("too late")) >= 0) {
        world_fail(tour->world, "client %u: gyr_send is taken at the end", tour->client->id);
    }
    return dice_chance(&tour->dice, 100) ? error_draw(tour) : 0;
}

int app_act(struct tour *tour, enum app_call call, unsigned who)
{
    struct dice *dice = &tour->dice;
    (void)who;
    if (tour->phase == TOUR_ENDING) {
        return act_late(tour);
    }
    int result = send_some(tour);
    if (dice_chance(dice, 60)) {
        allocate(tour);
    }
    bool has_state = tour->created == tour->level_count && tour->level_count != 0;
    if (has_state && dice_chance(dice, 150)) {
        app_state_use(tour);
    }
    if (call != APP_FACTORY && call != APP_MAKE && dice_chance(dice, 80)) {
        app_params_use(tour, call);
    }
    if (!tour->client->careful && dice_chance(dice, 10)) {
        close_or_abort(tour);
    }
    if (tour->client->careful ? dice_chance(dice, 60) : dice_chance(dice, 160)) {
        if (call_may_wait(call)) {
            wait_start(tour, call);
            return GYR_PENDING;
        }
    }
    int drawn = result_draw(tour, call);
    return drawn == 0 && result == GYR_QUEUE_HIGH && call != APP_MAKE && call != APP_FACTORY
               ? result
               : drawn;
}

/* ---- waiting --------------------------------------------------------------------------------- */

void app_on_cancel(void *arg)
{
    struct tour *tour = arg;
    world_note(tour->world, "core%u cancelled: client %u", tour->core_index, tour->client->id);
    bool within = tour->is_pending && app_is_tight(tour->world); /* it could not be kept */
    if (!tour->has_cancel || (tour->phase != TOUR_ENDING && !within)) {
        world_fail(tour->world, "client %u: on_cancel in phase %d", tour->client->id, tour->phase);
    }
    tour->has_cancel = false;
}

void app_on_timer(struct tour *tour, void *self)
{
    struct app_wait *wait = tour->timer_wait;
    if (wait == NULL || self != tour->selfs[tour->level_count - 1U]) {
        world_fail(tour->world, "client %u: on_timer without a timer", tour->client->id);
        return;
    }
    tour->timer_wait = NULL;
    wait_end(wait, tour->conn);
}

/* End it, on the core's thread. */
static void wait_end(struct app_wait *wait, struct gyr_conn *conn)
{
    struct tour *tour = wait->tour;
    struct world *world = tour->world;
    if ((conn != NULL) != (tour->conn != NULL) || (conn != NULL && conn != tour->conn)) {
        world_fail(world, "the handle of client %u names %s", tour->client->id,
                   conn == NULL ? "nothing" : "what has ended");
    }
    if (conn == NULL || world->failed || !tour->is_pending || tour->wait_number != wait->number) {
        return;
    }
    const uint8_t *kept = tour->kept;
    for (unsigned i = 0; kept != NULL && i < APP_KEPT_SIZE; i++) {
        if (kept[i] != (uint8_t)tour->number) {
            world_fail(world, "client %u: what gyr_keep gave has changed", tour->client->id);
        }
    }
    world_note(world, "core%u the wait of client %u ends", tour->core_index, tour->client->id);
    int sent = send_some(tour);
    int result = result_draw(tour, wait->call);
    result = result == 0 && sent == GYR_QUEUE_HIGH ? sent : result;
    tour->has_cancel = false;
    int err = gyr_finish(conn, result);
    world_note(world, "    gyr_finish %d: %d", result, err);
    if (err != 0 && !tour->is_closed) {
        world_fail(world, "client %u: gyr_finish returned %d", tour->client->id, err);
    }
}

static void wait_on_timer(struct gyr_core *core, void *arg)
{
    struct app_wait *wait = arg;
    wait_end(wait, gyr_core_find(core, wait->tour->handle));
}

static void wait_start(struct tour *tour, enum app_call call)
{
    struct world *world = tour->world;
    struct dice *dice = &tour->dice;
    bool connect = tour->phase == TOUR_CONNECT;
    tour->wait_number++;
    if (dice_chance(dice, 700)) {
        tour->has_cancel = true;
        gyr_on_cancel(tour->conn, app_on_cancel, tour);
    }
    if (tour->kept == NULL && dice_chance(dice, 300)) {
        kept_start(tour);
    }
    if (connect && !tour->client->careful && dice_chance(dice, 20)) {
        tour->client->excuses |= EXCUSE_SERVICE; /* never: 503, when its time is over */
        return;
    }
    struct app_wait *wait = calloc(1, sizeof(*wait));
    ASSERT(wait != NULL);
    *wait = (struct app_wait){
        .next = world->app->waits, .tour = tour, .number = tour->wait_number, .call = call};
    world->app->waits = wait;
    uint32_t delay_ms = dice_between(dice, 1, connect || dice_chance(dice, 900) ? 60 : 20000);
    wait->due_ns = sim_now_ns(world->sim) + delay_ms * 500000ULL;
    bool has_timer = tour->phase == TOUR_MESSAGE && tour->timer_wait == NULL &&
                     app_type_has(tour->types[tour->level_count - 1U], APP_UNHANDLED);
    if (has_timer && dice_chance(dice, 300)) {
        wait->is_sent = true;
        tour->timer_wait = wait;
        gyr_conn_timer(tour->conn, delay_ms);
    } else if (dice_chance(dice, 500)) {
        wait->is_sent = true;
        gyr_timer_start(gyr_conn_core(tour->conn), &wait->timer, delay_ms, wait_on_timer, wait);
    }
}

static void mail_run(struct core *core, struct mail *mail)
{
    wait_end(mail->arg, gyr_core_find((struct gyr_core *)core, (struct gyr_handle){mail->handle}));
}

/* Another thread has the result: what gyr_complete puts into the mailbox. */
bool app_waits_step(struct world *world)
{
    for (struct app_wait *wait = world->app->waits; wait != NULL; wait = wait->next) {
        if (wait->is_sent || sim_now_ns(world->sim) < wait->due_ns) {
            continue;
        }
        struct core *core = world->cores[wait->tour->core_index];
        struct mail mail = {.run = mail_run, .arg = wait, .handle = wait->tour->handle.id};
        int err = mailbox_put(&core->mailbox, &mail, NULL);
        wait->is_sent = err != GYR_ERR_BACKPRESSURE;
        wait->due_ns = sim_now_ns(world->sim) + 1000000;
        return true;
    }
    return false;
}

uint64_t app_waits_next_ns(const struct world *world)
{
    uint64_t next_ns = UINT64_MAX;
    for (const struct app_wait *wait = world->app->waits; wait != NULL; wait = wait->next) {
        next_ns = wait->is_sent ? next_ns : MIN(next_ns, wait->due_ns);
    }
    return next_ns;
}

void app_waits_free(struct world *world)
{
    while (world->app->waits != NULL) {
        struct app_wait *wait = world->app->waits;
        world->app->waits = wait->next;
        free(wait);
    }
}
