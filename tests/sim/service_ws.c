/* SPDX-License-Identifier: MIT */
/* The service's WebSocket side: an echo. The first byte of a message says how it wants to be
 * echoed. What the queue refuses is held until on_drain, and the connection waits for it with
 * GYR_PENDING. */
#include "tests/sim/service.h"

#include "proto/ws_close.h"
#include "tests/sim/ledger.h"
#include "tests/sim/policy.h"
#include "tests/sim/world.h"

static int message_hear(struct visit *visit, enum gyr_opcode opcode, struct gyr_span message);
static int message_command(struct visit *visit, enum gyr_opcode opcode, struct gyr_span message);
static int echo_reply(struct visit *visit, enum gyr_opcode opcode, struct gyr_span part);
static int echo_parts(struct visit *visit, enum gyr_opcode opcode, struct gyr_span message);
static int echo_hold(struct visit *visit, enum gyr_opcode opcode, struct gyr_span message,
                     unsigned flags);
static int result_of(struct visit *visit, int result);
static int last_result(struct visit *visit, int result);

int service_on_open(struct gyr_conn *conn)
{
    struct visit *visit = visit_enter(conn, "on_open", 0);
    if (visit->state != VISIT_UPGRADED) {
        world_fail(visit->world, "on_open of client %u in state %d", visit->client->id,
                   visit->state);
    }
    visit->state = VISIT_OPEN;
    visit->flags &= ~(unsigned)(VISIT_F_PENDING | VISIT_F_NEVER);
    ledger_visit_open(visit);
    visit_room_join(visit);
    visit_room_act(visit);
    visit_doom(visit, DOOM_OPEN);
    int result = 0;
    if (visit->early == 3 && visit->doom == 0) {
        job_start(visit, JOB_FINISH, LATER_TIMER);
        result = GYR_PENDING;
    } else if (visit->early == 2) {
        result = visit_send(visit, GYR_BINARY, GYR_SPAN("hello"), GYR_FIRST | GYR_LAST);
        result = MAX(result, 0);
    }
    return visit_leave(visit, result);
}

/* May a message come now? */
static bool message_is_wanted(struct visit *visit, struct item *item, enum gyr_opcode opcode)
{
    if (visit->state != VISIT_OPEN ||
        (visit->flags & (VISIT_F_PENDING | VISIT_F_PAUSED | VISIT_F_HIGH | VISIT_F_CLOSED)) != 0) {
        world_fail(visit->world, "client %u: a message in state %d, flags 0x%x", visit->client->id,
                   visit->state, visit->flags);
    } else if (item == NULL || item->kind != ITEM_MESSAGE || item->opcode != (uint8_t)opcode) {
        world_fail(visit->world,
                   "client %u: a message of opcode %d that was not sent; said is %d, %d",
                   visit->client->id, opcode, item == NULL ? -1 : item->kind,
                   item == NULL ? -1 : item->opcode);
    }
    return !visit->world->failed;
}

int service_on_message(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span message)
{
    struct visit *visit = visit_enter(conn, "on_message", message.size);
    struct item *item = visit->client->said.head;
    if (!message_is_wanted(visit, item, opcode)) {
        return visit_leave(visit, 0);
    }
    if ((visit->flags & VISIT_F_PARTS) != 0 || message.size != item->size ||
        (item->flags & ITEM_F_BAD) != 0 ||
        (item->size != 0 && memcmp(message.ptr, item->bytes, item->size) != 0)) {
        world_fail(visit->world, "client %u: a message of %zu bytes is not the one of %zu sent",
                   visit->client->id, message.size, item->size);
        return visit_leave(visit, 0);
    }
    /* The padding may be looked at. */
    volatile char last = message.ptr[message.size + GYR_MESSAGE_PADDING - 1];
    (void)last;
    policy_bytes_heard(visit, message.size, 1);
    item_pop(&visit->client->said);
    int result = message_hear(visit, opcode, message);
    return visit_leave(visit, result);
}

static int message_hear(struct visit *visit, enum gyr_opcode opcode, struct gyr_span message)
{
    visit_room_act(visit);
    visit_doom(visit, DOOM_MESSAGE);
    if (message.size + 10 > visit->world->plan.config.send_queue_size_max) {
        visit->client->excuses |= EXCUSE_SERVICE; /* it could never be sent back */
        return GYR_ERR_BACKPRESSURE;
    }
    return message.size == 0 ? result_of(visit, echo_reply(visit, opcode, message))
                             : message_command(visit, opcode, message);
}

static int message_command(struct visit *visit, enum gyr_opcode opcode, struct gyr_span message)
{
    unsigned option = message.size < 2 ? 0 : (uint8_t)message.ptr[1];
    enum later later = (enum later)(option % LATER_COUNT);
    int result;
    switch (message.ptr[0]) {
    case 's':
        return echo_hold(visit, opcode, message, GYR_FIRST | GYR_LAST);
    case 'p':
        return result_of(visit, echo_parts(visit, opcode, message));
    case 'x': /* a part of it, which is ASCII */
        return result_of(visit, echo_reply(visit, opcode, (struct gyr_span){message.ptr, 1}));
    case 'b':
        (void)visit_send(visit, GYR_TEXT, GYR_SPAN("before"), GYR_FIRST | GYR_LAST);
        return result_of(visit, echo_reply(visit, opcode, message));
    case 'd':
        result = echo_reply(visit, opcode, message);
        (void)visit_send(visit, GYR_TEXT, GYR_SPAN("behind"), GYR_FIRST | GYR_LAST);
        return result_of(visit, result);
    case 'h':
        visit->held_opcode = (uint8_t)opcode;
        visit->held_flags = GYR_FIRST | GYR_LAST;
        visit->held_step = message.size;
        bytes_append(&visit->held, message.ptr, message.size);
        job_start(visit, JOB_FINISH, later);
        return GYR_PENDING;
    case 'z':
        visit->flags |= VISIT_F_PAUSED;
        gyr_pause(visit->conn);
        job_start(visit, JOB_RESUME, later);
        return result_of(visit, echo_reply(visit, opcode, message));
    case 'g':
        result = gyr_ping(visit->conn, GYR_SPAN("are you there?"));
        world_note(visit->world, "    gyr_ping: %d", result);
        return result_of(visit, echo_reply(visit, opcode, message));
    case 't':
    case 'T':
    case 'm':
        job_start(visit, JOB_SEND,
                  message.ptr[0] == 't'   ? LATER_CONN_TIMER
                  : message.ptr[0] == 'T' ? LATER_TIMER
                                          : LATER_MAIL);
        return result_of(visit, echo_reply(visit, opcode, message));
    case 'i':
        return 0;
    case 'c':
        result = echo_reply(visit, opcode, message);
        visit_close_with(visit, 3002);
        return last_result(visit, result);
    case 'C':
        visit_close_with(visit, 3003);
        return 0;
    case 'a':
        visit->client->excuses |= EXCUSE_SERVICE;
        result = echo_reply(visit, opcode, message);
        gyr_abort(visit->conn);
        return last_result(visit, result);
    case 'e':
        item_push(&visit->client->owed, ITEM_CLOSE, NULL, 0)->code = WS_CLOSE_INTERNAL;
        visit->client->service_closed = true;
        visit->flags |= VISIT_F_CLOSED;
        return GYR_ERR_STATE;
    default:
        return result_of(visit, echo_reply(visit, opcode, message));
    }
}

/* Reply with a part of the message. What is refused is held. */
static int echo_reply(struct visit *visit, enum gyr_opcode opcode, struct gyr_span part)
{
    struct bytes copy = {0}; /* the view is dead after a reply */
    bytes_append(&copy, part.ptr, part.size);
    visit->world->is_call = true;
    int result = gyr_reply(visit->conn, opcode, part);
    visit->world->is_call = false;
    world_note(visit->world, "    gyr_reply %zu bytes: %d", part.size, result);
    struct gyr_span echo = {(const char *)copy.ptr, copy.size};
    if (result == 0 || result == GYR_QUEUE_HIGH) {
        struct item *item = item_push(&visit->client->owed, ITEM_FRAME, copy.ptr, copy.size);
        item->opcode = (uint8_t)opcode;
        item->stamp = ledger_stamp(visit->world);
        item->flags = ITEM_F_FIRST | ITEM_F_LAST;
    } else if (result == GYR_ERR_BACKPRESSURE) {
        result = echo_hold(visit, opcode, echo, GYR_FIRST | GYR_LAST);
    } else if (result != GYR_ERR_MEMORY && result != GYR_ERR_CLOSED) {
        world_fail(visit->world, "gyr_reply returned %d", result);
    }
    bytes_free(&copy);
    return result;
}

static int echo_parts(struct visit *visit, enum gyr_opcode opcode, struct gyr_span message)
{
    visit->held_step = dice_between(&visit->dice, 1, (uint32_t)message.size);
    visit->held_step = MAX(visit->held_step, message.size / 50);
    return echo_hold(visit, opcode, message, GYR_FIRST | GYR_LAST);
}

/* Hold a copy and send as much of it as can be sent now. */
static int echo_hold(struct visit *visit, enum gyr_opcode opcode, struct gyr_span message,
                     unsigned flags)
{
    visit->held_opcode = (uint8_t)opcode;
    visit->held_flags = flags;
    if (visit->held_step == 0) {
        visit->held_step = MAX(message.size, (size_t)1);
    }
    bytes_append(&visit->held, message.ptr, message.size);
    return visit_held_send(visit);
}

int visit_held_send(struct visit *visit)
{
    int result = 0;
    if (visit->held_step == 0) {
        return 0; /* nothing is held */
    }
    for (;;) {
        size_t size = MIN(visit->held.size - visit->held_done, visit->held_step);
        bool last = visit->held_done + size == visit->held.size;
        unsigned flags = visit->held_flags;
        flags &= visit->held_done == 0 ? ~0U : ~(unsigned)GYR_FIRST;
        flags &= last ? ~0U : ~(unsigned)GYR_LAST;
        struct gyr_span part = {(const char *)visit->held.ptr + visit->held_done, size};
        part.ptr = size == 0 ? "" : part.ptr;
        result = visit_send(visit, visit->held_opcode, part, flags);
        if (result == GYR_ERR_BACKPRESSURE) {
            visit->flags |= VISIT_F_DRAIN_RUN;
            return GYR_PENDING;
        }
        if (result < 0) {
            break; /* it is over: of the message no more than a part goes out */
        }
        visit->held_done += size;
        if (last) {
            break;
        }
    }
    visit->held.size = 0;
    visit->held_done = 0;
    visit->held_step = 0;
    return result == GYR_ERR_CLOSED ? 0 : result;
}

int visit_send(struct visit *visit, uint8_t opcode, struct gyr_span payload, unsigned flags)
{
    struct client *client = visit->client;
    visit->world->is_call = true;
    int result = flags == (GYR_FIRST | GYR_LAST)
                     ? gyr_send(visit->conn, (enum gyr_opcode)opcode, payload)
                     : gyr_send_part(visit->conn, (enum gyr_opcode)opcode, payload, flags);
    visit->world->is_call = false;
    world_note(visit->world, "    gyr_send %zu bytes, flags %u: %d", payload.size, flags, result);
    if (result == 0 || result == GYR_QUEUE_HIGH) {
        struct item *item = item_push(&client->owed, ITEM_FRAME, payload.ptr, payload.size);
        item->opcode = opcode;
        item->stamp = ledger_stamp(visit->world);
        if ((flags & GYR_LAST) != 0) {
            visit->flags &= ~(unsigned)VISIT_F_WITHIN;
        } else {
            visit->flags |= VISIT_F_WITHIN;
        }
        item->flags = (uint16_t)(((flags & GYR_FIRST) != 0 ? ITEM_F_FIRST : 0) |
                                 ((flags & GYR_LAST) != 0 ? ITEM_F_LAST : 0));
    } else if (result != GYR_ERR_BACKPRESSURE && result != GYR_ERR_MEMORY &&
               result != GYR_ERR_CLOSED &&
               !(result == GYR_ERR_STATE && (visit->flags & VISIT_F_WITHIN) != 0)) {
        world_fail(visit->world, "gyr_send returned %d", result);
    }
    return result;
}

/* What a callback makes of the result of its last call. */
static int result_of(struct visit *visit, int result)
{
    if (result == GYR_QUEUE_HIGH && dice_chance(&visit->dice, 300)) {
        return 0; /* nobody has to slow down */
    }
    return result == GYR_ERR_CLOSED ? 0 : result;
}

/* The same when nothing can be sent any more: no use in waiting for room. */
static int last_result(struct visit *visit, int result)
{
    if (result == GYR_PENDING) {
        visit->flags &= ~(unsigned)VISIT_F_DRAIN_RUN;
        visit->held.size = 0;
        visit->held_done = 0;
        visit->held_step = 0;
    }
    return result == GYR_QUEUE_HIGH ? result_of(visit, result) : 0;
}

int service_on_part(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span part,
                    unsigned flags)
{
    struct visit *visit = visit_enter(conn, "on_part", part.size);
    struct item *item = visit->client->said.head;
    if (!message_is_wanted(visit, item, opcode)) {
        return visit_leave(visit, 0);
    }
    bool last = (flags & GYR_LAST) != 0;
    if ((visit->flags & VISIT_F_PARTS) == 0 || ((flags & GYR_FIRST) != 0) != (item->number == 0) ||
        item->done + part.size > item->size ||
        (last && (item->done + part.size != item->size || (item->flags & ITEM_F_BAD) != 0)) ||
        (part.size != 0 && memcmp(part.ptr, item->bytes + item->done, part.size) != 0)) {
        world_fail(visit->world, "client %u: a part is not what was sent", visit->client->id);
        return visit_leave(visit, 0);
    }
    policy_bytes_heard(visit, part.size, last);
    item->number++; /* of parts heard */
    item->done += part.size;
    if (last) {
        item_pop(&visit->client->said);
    }
    visit_doom(visit, DOOM_MESSAGE);
    if (part.size + 10 > visit->world->plan.config.send_queue_size_max) {
        visit->client->excuses |= EXCUSE_SERVICE;
        return visit_leave(visit, GYR_ERR_BACKPRESSURE);
    }
    return visit_leave(visit, result_of(visit, echo_hold(visit, opcode, part, flags)));
}

void service_on_drain(struct gyr_conn *conn)
{
    struct visit *visit = visit_enter(conn, "on_drain", gyr_queued_size(conn));
    /* What rooms have for it while a message is sent in parts waits for the last of them. */
    bool holds = visit->world->ledger != NULL && (visit->flags & VISIT_F_WITHIN) != 0;
    if (!holds && gyr_queued_size(conn) > visit->world->plan.config.send_queue_low) {
        world_fail(visit->world, "on_drain of client %u with %zu bytes queued", visit->client->id,
                   gyr_queued_size(conn));
    }
    if (visit->state == VISIT_REQUEST && (visit->flags & VISIT_F_STREAM) == 0) {
        world_fail(visit->world, "on_drain of client %u, which gets no pieces", visit->client->id);
    }
    visit->flags &= ~(unsigned)VISIT_F_HIGH;
    visit_room_told(visit);
    visit_room_act(visit);
    visit_doom(visit, DOOM_DRAIN);
    if ((visit->flags & VISIT_F_STREAM_WAIT) != 0) {
        visit->flags &= ~(unsigned)VISIT_F_STREAM_WAIT;
        (void)visit_stream_run(visit);
    }
    if ((visit->flags & VISIT_F_DRAIN_RUN) != 0) {
        visit->flags &= ~(unsigned)VISIT_F_DRAIN_RUN;
        int result = visit_held_send(visit);
        if (result != GYR_PENDING) {
            visit->flags &= ~(unsigned)VISIT_F_PENDING;
            visit->flags |= result == GYR_QUEUE_HIGH ? VISIT_F_HIGH : 0U;
            int err = gyr_finish(conn, result);
            if (err != 0) {
                world_fail(visit->world, "gyr_finish in on_drain of client %u returned %d",
                           visit->client->id, err);
            }
        }
    }
    visit_leave(visit, 0);
}

void service_on_close(struct gyr_conn *conn, uint16_t close_code, struct gyr_span reason)
{
    struct visit *visit = visit_enter(conn, "on_close", close_code);
    struct client *client = visit->client;
    (void)reason;
    if (visit->state != VISIT_OPEN) {
        world_fail(visit->world, "on_close of client %u in state %d", client->id, visit->state);
    }
    if (close_code != WS_CLOSE_ABNORMAL &&
        (!client->close_sent || close_code != client->close_code)) {
        world_fail(visit->world, "on_close of client %u with %u, which it did not send", client->id,
                   close_code);
    }
    client->heard_code = close_code;
    journal_ws_ended(visit, close_code);
    if (gyr_send(conn, GYR_TEXT, GYR_SPAN("too late")) >= 0) {
        world_fail(visit->world, "gyr_send is taken in on_close");
    }
    visit_room_told(visit);
    visit_room_act(visit);
    visit_doom(visit, DOOM_CLOSE);
    visit_leave(visit, 0);
    visit_ended(visit);
}
