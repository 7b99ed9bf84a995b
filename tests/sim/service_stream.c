/* SPDX-License-Identifier: MIT */
/* The service's answers in pieces: begun in any callback, carried on by callbacks, by jobs and by
 * on_drain, in pieces of any size, and ended by whichever of them comes last. */
#include "tests/sim/service.h"

#include "engine/session.h"
#include "tests/sim/world.h"

#define RETRIES_MAX 20 /* for want of memory */

static int stream_result(struct visit *visit);
static int stream_part(struct visit *visit);
static void stream_later(struct visit *visit);
static void stream_end(struct visit *visit);

int visit_stream_begin(struct visit *visit, const struct gyr_response *response)
{
    struct world *world = visit->world;
    struct gyr_response head = *response;
    head.content = (struct gyr_span){0};
    if (response->content.size != 0 && gyr_respond_begin(visit->conn, response) >= 0) {
        world_fail(world, "a response in pieces may not begin with content");
    }
    world->is_call = true;
    int err = visit->stream == STREAM_SIZED
                  ? session_stream_begin(visit->conn, &head, response->content.size)
                  : gyr_respond_begin(visit->conn, &head);
    world->is_call = false;
    world_note(world, "    begins %s, %zu bytes: %d",
               visit->stream == STREAM_SIZED ? "a sized response" : "a response",
               response->content.size, err);
    if (err == 0) {
        visit->flags |= VISIT_F_STREAM;
        bytes_append(&visit->pieces, response->content.ptr, response->content.size);
    }
    return err;
}

int visit_stream_run(struct visit *visit)
{
    struct dice *dice = &visit->dice;
    while ((visit->flags & VISIT_F_STREAM) != 0) {
        bool is_complete = visit->pieces_done == visit->pieces.size;
        if (dice_chance(dice, is_complete ? 300 : 150)) {
            stream_later(visit);
            break;
        }
        if (is_complete) {
            stream_end(visit);
            break;
        }
        int err = stream_part(visit);
        if (err == GYR_ERR_BACKPRESSURE || (err == GYR_QUEUE_HIGH && dice_chance(dice, 800))) {
            visit->flags |= VISIT_F_STREAM_WAIT; /* on_drain goes on */
            return err == GYR_QUEUE_HIGH && dice_chance(dice, 500) ? GYR_QUEUE_HIGH : 0;
        }
        if (err == GYR_ERR_CLOSED) {
            break;
        }
        if (err == GYR_ERR_MEMORY) {
            if (visit->pieces_retries++ == RETRIES_MAX) {
                visit->client->excuses |= EXCUSE_SERVICE;
                gyr_abort(visit->conn);
                break;
            }
            stream_later(visit);
            break;
        }
    }
    return stream_result(visit);
}

/* What the callback returns that has begun it, or carried it on. */
static int stream_result(struct visit *visit)
{
    struct dice *dice = &visit->dice;
    if ((visit->flags & (VISIT_F_STREAM | VISIT_F_PENDING)) != VISIT_F_STREAM) {
        return 0;
    }
    if (!visit->client->careful && dice_chance(dice, 10)) {
        visit->client->excuses |= EXCUSE_SERVICE;
        return GYR_ERR_LIMIT; /* too late for another answer: it breaks off */
    }
    return 0;
}

static int stream_part(struct visit *visit)
{
    struct world *world = visit->world;
    size_t rest = visit->pieces.size - visit->pieces_done;
    size_t size_max = MAX(world->plan.config.send_queue_size_max / 2, 1U);
    size_t size = MIN(dice_piece(&visit->dice, 2000, rest), size_max);
    struct gyr_span piece = {(const char *)visit->pieces.ptr + visit->pieces_done, size};
    world->is_call = true;
    int err;
    if (dice_chance(&visit->dice, 300)) {
        struct transport *transport = visit->conn->transport;
        struct entry *entry = entry_create(transport, size);
        err = GYR_ERR_MEMORY;
        if (entry != NULL) {
            memcpy(entry_payload(entry), piece.ptr, size);
            entry->size = (uint32_t)size;
            err = session_stream_entry(visit->conn, entry);
        }
    } else {
        err = gyr_respond_part(visit->conn, piece);
    }
    if (dice_chance(&visit->dice, 100) && gyr_respond_part(visit->conn, GYR_SPAN("")) > 0) {
        world_fail(world, "an empty piece has filled the queue");
    }
    world->is_call = false;
    world_note(world, "    a piece of %zu bytes: %d", size, err);
    if (err == 0 || err == GYR_QUEUE_HIGH) {
        visit->pieces_done += size;
    } else if (err != GYR_ERR_BACKPRESSURE && err != GYR_ERR_MEMORY && err != GYR_ERR_CLOSED) {
        world_fail(world, "gyr_respond_part returned %d", err);
    }
    return err;
}

static void stream_later(struct visit *visit)
{
    job_start(
        visit, JOB_STREAM,
        (enum later)DICE_PICK(&visit->dice, LATER_TIMER, LATER_CONN_TIMER, LATER_POST, LATER_MAIL));
}

static void stream_end(struct visit *visit)
{
    struct world *world = visit->world;
    world->is_call = true;
    int err = gyr_respond_end(visit->conn);
    world->is_call = false;
    world_note(world, "    gyr_respond_end: %d", err);
    if (err == 0 && (gyr_respond_end(visit->conn) != GYR_ERR_STATE ||
                     gyr_respond_part(visit->conn, GYR_SPAN("x")) != GYR_ERR_STATE)) {
        world_fail(world, "a response goes on after its end");
    } else if (err == GYR_ERR_MEMORY) {
        visit->client->excuses |= EXCUSE_MEMORY;
    } else if (err != 0 && err != GYR_ERR_CLOSED) {
        world_fail(world, "gyr_respond_end returned %d", err);
    }
    visit->flags &= ~(unsigned)(VISIT_F_STREAM | VISIT_F_PENDING);
    visit->flags |= VISIT_F_ANSWERED;
}
