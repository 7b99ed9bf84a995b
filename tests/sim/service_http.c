/* SPDX-License-Identifier: MIT */
/* The service's HTTP side. A target is /KIND/CLIENT/NUMBER/MODE/WHEN/SIZE/DOOM: get answers SIZE
 * bytes, getf the file with number SIZE, sum and col answer the sum of the content, read in pieces
 * or gathered; ws upgrades. */
#include "tests/sim/service.h"

#include "proto/ws_close.h"
#include "tests/sim/ledger.h"
#include "tests/sim/policy.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>

static struct visit *visit_make(struct gyr_conn *conn, const struct gyr_request *request,
                                struct item *item);
static int mode_apply(struct visit *visit);
static int pending_start(struct visit *visit);
static int answer(struct visit *visit);
static int upgrade(struct visit *visit);
static void respond_wrongly(struct visit *visit, const struct gyr_response *response);

int service_on_request(struct gyr_conn *conn, const struct gyr_request *request)
{
    struct world *world = *(struct world **)gyr_core_data(gyr_conn_core(conn));
    struct gyr_span path = gyr_request_path(request);
    char text[128];
    char kind[8];
    unsigned id;
    unsigned number;
    unsigned mode;
    unsigned when;
    size_t size;
    unsigned doom;
    (void)snprintf(text, sizeof(text), "%.*s", (int)path.size, path.ptr);
    if (sscanf(text, "/%7[a-z]/%u/%u/%u/%u/%zu/%u", kind, &id, &number, &mode, &when, &size,
               &doom) != 7 ||
        id > world->client_count) {
        world_fail(world, "a request that must not be heard: %s", text);
        return 0;
    }
    struct client *client = &world->clients[id];
    struct item *item = client->said.head;
    if (item == NULL || item->kind != ITEM_REQUEST || item->number != number) {
        world_fail(world, "client %u: request %u out of order, or twice", id, number);
        return 0;
    }
    struct visit *visit = visit_make(conn, request, item);
    visit_enter(conn, text, 0);
    visit->mode = (enum mode)mode;
    visit->when = (enum when)when;
    visit->answer_size = size;
    visit->doom = doom;
    visit->collects = strncmp(kind, "col", 3) == 0;
    visit->stream = kind[2] == '\0' || kind[3] == '\0' ? STREAM_NONE
                    : kind[3] == 'p'                   ? STREAM_CHUNKED
                    : kind[3] == 'f'                   ? STREAM_FILE
                                                       : STREAM_SIZED;
    if (strcmp(kind, "ws") == 0) {
        visit->early = when;
        visit->flags |= VISIT_F_HANDSHAKE | (size != 0 ? VISIT_F_PARTS : 0U);
        visit->answer_size = 0;
        if (!gyr_request_is_upgrade(request) || !gyr_request_offers(request, "sim")) {
            world_fail(world, "client %u: a handshake is none", id);
        }
    }
    memcpy(visit->target, text, sizeof(text));
    visit->from = item->from;
    visit->is_logged = journal_is_kept(visit);
    policy_request_heard(visit, item);
    if (strcmp(kind, "ws") == 0 && world->ledger != NULL) {
        ledger_visit_upgrades(visit);
        visit_room_join(visit);
    }
    visit_doom(visit, DOOM_REQUEST);
    if (visit->stream == STREAM_FILE) {
        visit->flags |= VISIT_F_MODE_DONE;
        return visit_leave(visit, visit_file_answer(visit, request));
    }
    if (visit->collects && (visit->flags & VISIT_F_CONTENT) != 0 &&
        gyr_collect(conn, visit->answer_size) != 0) {
        world_fail(world, "gyr_collect has failed");
    }
    bool now = (visit->flags & VISIT_F_CONTENT) == 0 || visit->when == WHEN_HEAD ||
               visit->mode == MODE_EARLY;
    return visit_leave(visit, now ? mode_apply(visit) : 0);
}

static struct visit *visit_make(struct gyr_conn *conn, const struct gyr_request *request,
                                struct item *item)
{
    struct world *world = *(struct world **)gyr_core_data(gyr_conn_core(conn));
    struct visit *visit = calloc(1, sizeof(*visit));
    ASSERT(visit != NULL);
    *visit = (struct visit){
        .next = world->visits,
        .world = world,
        .client = NULL,
        .conn = conn,
        .handle = gyr_conn_handle(conn),
        .core_index = gyr_core_index(gyr_conn_core(conn)),
        .dice = dice_make(world->plan.seed, 10000 + world->visit_count),
    };
    for (unsigned i = 0; i <= world->client_count; i++) {
        if (world->clients[i].said.head == item) {
            visit->client = &world->clients[i];
        }
    }
    world->visits = visit;
    world->visit_count++;
    if (gyr_request_content_length(request) != 0) {
        visit->flags |= VISIT_F_CONTENT;
    } else {
        visit->flags |= VISIT_F_FINAL;
    }
    int64_t length = gyr_request_content_length(request);
    if (length > 0 && (size_t)length != item->size) {
        world_fail(world, "content of %lld bytes, %zu were said", (long long)length, item->size);
    }
    *(struct visit **)gyr_conn_data(conn) = visit;
    return visit;
}

int service_on_body(struct gyr_conn *conn, struct gyr_span piece, bool last)
{
    struct visit *visit = visit_enter(conn, last ? "on_body (last)" : "on_body", piece.size);
    struct item *item = visit->client->said.head;
    if (visit->state != VISIT_REQUEST || (visit->flags & VISIT_F_CONTENT) == 0 ||
        (visit->flags & (VISIT_F_PENDING | VISIT_F_PAUSED | VISIT_F_HIGH | VISIT_F_ANSWERED |
                         VISIT_F_FINAL)) != 0) {
        world_fail(visit->world, "on_body of client %u, flags 0x%x", visit->client->id,
                   visit->flags);
    } else if (item == NULL || item->done + piece.size > item->size ||
               (piece.size != 0 && memcmp(piece.ptr, item->bytes + item->done, piece.size) != 0) ||
               (visit->collects && !last) ||
               (last &&
                (item->done + piece.size != item->size || (item->flags & ITEM_F_BAD) != 0))) {
        world_fail(visit->world, "on_body of client %u: not what was sent", visit->client->id);
    }
    if (visit->world->failed) {
        return visit_leave(visit, 0);
    }
    policy_bytes_heard(visit, piece.size, 0);
    item->done += piece.size;
    visit->content_size += piece.size;
    for (size_t i = 0; i < piece.size; i++) {
        visit->content_sum = visit->content_sum * 31 + (uint8_t)piece.ptr[i];
    }
    if (last) {
        visit->flags |= VISIT_F_FINAL;
    }
    visit_doom(visit, DOOM_BODY);
    int result = 0;
    if ((visit->flags & VISIT_F_MODE_DONE) == 0 && (last || visit->when == WHEN_FIRST)) {
        result = mode_apply(visit);
    } else if (last) {
        result = visit->mode == MODE_SILENT ? 0 : answer(visit);
    }
    return visit_leave(visit, result);
}

static int mode_apply(struct visit *visit)
{
    bool is_final = (visit->flags & VISIT_F_FINAL) != 0;
    visit->flags |= VISIT_F_MODE_DONE;
    switch (visit->mode) {
    case MODE_NOW:
        return is_final ? answer(visit) : 0;
    case MODE_EARLY:
        return answer(visit);
    case MODE_PAUSE:
        gyr_pause(visit->conn);
        visit->flags |= VISIT_F_PAUSED;
        job_start(visit, JOB_RESUME, (enum later)dice_below(&visit->dice, LATER_COUNT));
        return is_final ? answer(visit) : 0;
    case MODE_CLOSE:
        visit_close_with(visit, 1000);
        return is_final ? answer(visit) : 0;
    case MODE_ERROR:
        return GYR_ERR_HTTP_NOT_FOUND;
    case MODE_SILENT:
        return 0;
    case MODE_ABORT:
        visit->client->excuses |= EXCUSE_SERVICE;
        gyr_abort(visit->conn);
        return is_final ? answer(visit) : 0;
    case MODE_NEVER:
        visit->flags |= VISIT_F_NEVER;
        return GYR_PENDING;
    case MODE_LATER:
        break;
    }
    return pending_start(visit);
}

static int pending_start(struct visit *visit)
{
    job_start(visit, JOB_FINISH, (enum later)(visit->mode - MODE_LATER));
    return GYR_PENDING;
}

int visit_request_finish(struct visit *visit)
{
    if ((visit->flags & VISIT_F_PENDING) == 0) {
        world_fail(visit->world, "client %u waits no more", visit->client->id);
        return 0;
    }
    return (visit->flags & VISIT_F_FINAL) != 0 ? answer(visit) : 0;
}

static int answer(struct visit *visit)
{
    if ((visit->flags & VISIT_F_HANDSHAKE) != 0) {
        return upgrade(visit);
    }
    if ((visit->flags & (VISIT_F_STREAM | VISIT_F_ANSWERED)) != 0) {
        return visit_stream_run(visit); /* which has begun before the content was complete */
    }
    struct bytes content = {0};
    if ((visit->flags & VISIT_F_CONTENT) != 0) {
        bytes_printf(&content, "%zu %llx", visit->content_size,
                     (unsigned long long)visit->content_sum);
    } else {
        while (content.size < visit->answer_size && !visit->collects) {
            bytes_printf(&content, "%u ", dice_below(&visit->dice, 1000));
        }
    }
    unsigned status = dice_chance(&visit->dice, 50) ? 204 : 200;
    if (visit->stream == STREAM_CHUNKED) {
        status = 200; /* the client may count on the connection's end */
    }
    struct gyr_field field = {GYR_LITERAL("X-Sim"), GYR_LITERAL("yes")};
    struct gyr_response response = {
        .size = sizeof(response),
        .status_code = status,
        .content_type = GYR_LITERAL("text/plain"),
        .content = {(const char *)content.ptr, content.size},
        .fields = &field,
        .field_count = 1,
    };
    respond_wrongly(visit, &response);
    int err;
    if (visit->stream != STREAM_NONE) {
        err = visit_stream_begin(visit, &response);
    } else {
        visit->world->is_call = true;
        err = gyr_respond(visit->conn, &response);
        visit->world->is_call = false;
        world_note(visit->world, "    gyr_respond %u, %zu bytes: %d", status, content.size, err);
        visit->flags |= err == 0 ? VISIT_F_ANSWERED : 0U;
    }
    if (err == 0) {
        visit_answer_owe(visit, &response);
        if (gyr_respond(visit->conn, &response) != GYR_ERR_STATE ||
            gyr_upgrade(visit->conn, NULL) != GYR_ERR_STATE) {
            world_fail(visit->world, "a request is answered twice");
        }
    } else if (err != GYR_ERR_MEMORY) {
        world_fail(visit->world, "gyr_respond returned %d", err);
    }
    bytes_free(&content);
    return err == 0 && visit->stream != STREAM_NONE ? visit_stream_run(visit) : err;
}

void visit_answer_owe(struct visit *visit, const struct gyr_response *response)
{
    const struct item *said = visit->client->said.head;
    visit->status = response->status_code;
    size_t size = response->status_code == 204 ? 0 : response->content.size;
    struct item *item = item_push(&visit->client->owed, ITEM_RESPONSE, response->content.ptr, size);
    item->code = (uint16_t)response->status_code;
    item->flags = said->flags & (ITEM_F_HEAD | ITEM_F_MUST_CLOSE);
    if ((visit->flags & VISIT_F_HTTP_CLOSED) != 0) {
        item->flags |= ITEM_F_MUST_CLOSE;
    }
    if ((item->flags & ITEM_F_MUST_CLOSE) != 0 ||
        ((said->flags & ITEM_F_EXPECT) != 0 && visit->mode == MODE_EARLY)) {
        item->flags |= ITEM_F_MAY_CLOSE;
    }
}

/* Calls that must be refused and change nothing. */
static void respond_wrongly(struct visit *visit, const struct gyr_response *response)
{
    struct gyr_response wrong = *response;
    struct gyr_field fields[] = {{GYR_LITERAL("content-length"), GYR_LITERAL("1")},
                                 {GYR_LITERAL("X-Split"), GYR_LITERAL("a\r\nb: c")}};
    wrong.fields = &fields[dice_below(&visit->dice, 2)];
    int err = gyr_respond(visit->conn, &wrong);
    wrong = *response;
    wrong.status_code = 101;
    if ((err != GYR_ERR_ARGUMENT && err != GYR_ERR_MEMORY) ||
        gyr_respond(visit->conn, &wrong) != GYR_ERR_ARGUMENT) {
        world_fail(visit->world, "a wrong response was not refused: %d", err);
    }
}

static int upgrade(struct visit *visit)
{
    struct world *world = visit->world;
    struct client *client = visit->client;
    struct item *last = client->owed.head == NULL ? NULL : client->owed.tail;
    struct item_queue *owed = &client->owed;
    /* Owed before it is sent, so that what is sent early comes behind it. */
    item_push(owed, ITEM_UPGRADE, NULL, 0);
    for (unsigned i = 0; i < visit->early; i++) {
        char text[400];
        int size = snprintf(text, sizeof(text), "early %u of %0*d", i,
                            (int)dice_between(&visit->dice, 1, 300), 1);
        visit_room_act(visit);
        if (visit_send(visit, GYR_TEXT, (struct gyr_span){text, (size_t)size},
                       GYR_FIRST | GYR_LAST) < 0) {
            break;
        }
    }
    struct gyr_field field = {GYR_LITERAL("X-Sim"), GYR_LITERAL("yes")};
    struct gyr_upgrade options = {
        .size = sizeof(options),
        .subprotocol = GYR_LITERAL("sim"),
        .fields = &field,
        .field_count = 1,
        .receive_parts = (visit->flags & VISIT_F_PARTS) != 0,
    };
    world->is_call = true;
    int err = gyr_upgrade(visit->conn, &options);
    world->is_call = false;
    world_note(world, "    gyr_upgrade: %d", err);
    if (err == 0) {
        visit->flags |= VISIT_F_ANSWERED;
        visit->status = 101;
        client->is_upgraded = true;
        if ((visit->flags & VISIT_F_HTTP_CLOSED) != 0) {
            client->excuses |= EXCUSE_SERVICE; /* gyr_close before: closes as HTTP does */
        }
        if (visit->early == 4) {
            item_push(owed, ITEM_CLOSE, NULL, 0)->code = WS_CLOSE_TRY_LATER;
            client->service_closed = true;
            visit->flags |= VISIT_F_CLOSED;
            return GYR_ERR_LIMIT; /* an upgrade that fails in the end */
        }
        return 0;
    }
    item_truncate(owed, last); /* nothing of it goes out */
    if (err != GYR_ERR_MEMORY || (world->plan.excuses & EXCUSE_MEMORY) == 0) {
        world_fail(world, "gyr_upgrade returned %d", err);
    }
    client->excuses |= EXCUSE_MEMORY; /* others may have taken it all, in this turn too: 503 */
    return err;
}

void service_on_done(struct gyr_conn *conn, enum gyr_outcome outcome)
{
    struct visit *visit = visit_enter(conn, "on_done", outcome);
    struct item *item = visit->client->said.head;
    bool upgraded = outcome == GYR_DONE_UPGRADED;
    if (visit->state != VISIT_REQUEST || item == NULL || item->kind != ITEM_REQUEST) {
        world_fail(visit->world, "on_done of client %u in state %d", visit->client->id,
                   visit->state);
    } else if (upgraded && !visit->client->is_upgraded) {
        world_fail(visit->world, "on_done of client %u: it was not upgraded", visit->client->id);
    } else {
        item_pop(&visit->client->said);
    }
    journal_request_ended(visit, outcome);
    visit_doom(visit, DOOM_DONE);
    visit_leave(visit, 0);
    if (upgraded) {
        visit->state = VISIT_UPGRADED;
    } else {
        visit_ended(visit);
    }
}
