/* SPDX-License-Identifier: MIT */
/* The HTTP side of a client: requests of all kinds, good and bad, and a reader of responses (RFC
 * 9112). */
#include "tests/sim/client.h"

#include "proto/ws_handshake.h"
#include "tests/sim/app.h"
#include "tests/sim/policy.h"
#include "tests/sim/service.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>

struct request;

static void request_generate(struct client *client);
static void request_bad(struct client *client);
static void request_content(struct client *client, struct item *item, bool chunked, bool has_size);
static enum mode mode_draw(struct client *client);
static void mode_foresee(struct client *client, enum mode mode, unsigned doom);
static void file_draw(struct client *client, struct request *request);
static void handshake_generate(struct client *client);
static void response_take(struct client *client, unsigned status, const char *head,
                          struct span content);
static size_t chunks_decode(struct world *world, struct span in, struct bytes *content,
                            bool *complete);
static void owed_take(struct client *client, bool closes, struct span content);
static void upgrade_take(struct client *client, const char *head);
static bool file_has_failed(const struct client *client, const struct item *owed, unsigned status);
static bool field_find(const char *head, const char *name, char value[64]);

static const char SIM_KEY[] = "dGhlIHNhbXBsZSBub25jZQ==";

/* A request that is about to be written. */
struct request {
    bool head;
    bool content;
    bool collect;
    bool chunked;
    bool expect;
    bool last;
    enum stream stream;
    enum mode mode;
    enum when when;
    unsigned doom;
    size_t size; /* of the answer; with `collect` what gyr_collect is given */
    size_t content_size;
};

void client_http_generate(struct client *client)
{
    if (client->requests_left != 0 && !client->sealed) {
        client->requests_left--;
        request_generate(client);
        return;
    }
    if (client->sealed && dice_chance(&client->dice, 500)) {
        bytes_printf(&client->out, "GET /never HTTP/1.1\r\nHost: sim\r\n\r\n");
    } else if (!client->sealed && client->ending == ENDING_BAD && !client->upgrade) {
        request_bad(client);
    } else if (!client->sealed && client->upgrade) {
        handshake_generate(client);
        return;
    }
    client->script_done = true;
}

static struct request request_draw(struct client *client)
{
    struct dice *dice = &client->dice;
    struct request request = {.content = dice_chance(dice, 500), .mode = mode_draw(client)};
    request.last = client->requests_left == 0 && !client->upgrade && client->ending == ENDING_CLOSE;
    request.collect = request.content && dice_chance(dice, 400);
    request.head = !request.content && dice_chance(dice, 250);
    request.chunked = request.content && !client->old && dice_chance(dice, 500);
    request.expect = request.content && !client->old && dice_chance(dice, 200);
    if (!client->careful && dice_chance(dice, 30)) {
        request.doom = dice_between(dice, 2, DOOM_DONE * 2 + 1);
    }
    request.size = dice_below(dice, dice_chance(dice, 850) ? 300 : 20000);
    uint64_t content_max = MIN(client->world->plan.config.body_size_max, client->budget);
    if (request.content) {
        request.content_size = dice_below(dice, (uint32_t)content_max);
    }
    if (request.collect) {
        bool too_large = !client->careful && dice_chance(dice, 100) && request.content_size > 0;
        request.mode = too_large ? MODE_NOW : request.mode;
        request.size = too_large ? dice_below(dice, (uint32_t)request.content_size)
                                 : request.content_size + dice_below(dice, 100);
    }
    client->budget -= MIN(client->budget - 1, request.content_size);
    if (dice_chance(dice, 300)) {
        request.stream = dice_chance(dice, 700) ? STREAM_CHUNKED : STREAM_SIZED;
    }
    request.when = (enum when)dice_below(dice, 3);
    bool fails = client->world->plan.faults.file_fail != 0;
    if (!request.content && !(client->careful && fails) && dice_chance(dice, 400)) {
        file_draw(client, &request);
    }
    return request;
}

/* Ask for a file. Where opening may fail, so may that of a variant: then another is served. */
static void file_draw(struct client *client, struct request *request)
{
    struct dice *dice = &client->dice;
    bool fails = client->world->plan.faults.file_fail != 0;
    request->stream = STREAM_FILE;
    request->mode = MODE_NOW;
    request->size = dice_below(dice, client->careful ? SIM_FILE_SMALL_COUNT : SIM_FILE_COUNT);
    request->when = fails && request->when == WHEN_FIRST ? WHEN_HEAD : request->when;
    client->excuses |= fails ? EXCUSE_SERVICE : 0U;
}

static void request_generate(struct client *client)
{
    struct dice *dice = &client->dice;
    struct request request = request_draw(client);
    uint32_t number = client->request_number++;
    const char *method = request.head ? "HEAD" : "GET";
    const char *kind = request.collect ? "col" : request.content ? "sum" : "get";
    static const char *const STREAMS[] = {"", "p", "z", "f"};
    bytes_printf(&client->out, "%s /%s%s/%u/%u/%u/%u/%zu/%u HTTP/1.%d\r\nHost: sim\r\n",
                 request.content ? "POST" : method, kind, STREAMS[request.stream], client->id,
                 number, request.mode, request.when, request.size, request.doom,
                 client->old ? 0 : 1);
    if (request.stream == STREAM_FILE) {
        bytes_printf(&client->out, "%s", service_file_fields(request.when));
    }
    uint8_t bytes[65536];
    for (size_t i = 0; i < request.content_size; i++) {
        bytes[i] = (uint8_t)dice_next(dice);
    }
    struct item *item = item_push(&client->said, ITEM_REQUEST, bytes, request.content_size);
    item->number = number;
    item->flags = request.head ? ITEM_F_HEAD : 0;
    policy_fields(client, item);
    bool has_body = request.content_size != 0 || request.chunked;
    if (request.expect) {
        bytes_printf(&client->out, "Expect: 100-continue\r\n");
        item->flags |= ITEM_F_EXPECT;
        client->continues += has_body;
    }
    if (dice_chance(dice, 300)) {
        bytes_printf(&client->out, "X-Filler: %0*d\r\n", (int)dice_between(dice, 1, 200), 7);
    }
    if (request.last) {
        bytes_printf(&client->out, "Connection: close\r\n");
        item->flags |= ITEM_F_MUST_CLOSE;
    } else if (client->old) {
        bytes_printf(&client->out, "Connection: keep-alive\r\n");
    }
    if (request.stream == STREAM_CHUNKED && client->old) {
        item->flags |= ITEM_F_MUST_CLOSE; /* the end of its answer is that of the connection */
        request.last = true;
    }
    if (request.last || request.mode == MODE_CLOSE ||
        (request.expect && request.mode == MODE_EARLY && has_body &&
         request.stream == STREAM_NONE)) {
        client->sealed = true;
    }
    mode_foresee(client, request.mode, request.doom);
    client->fail_head = request.head && client->fail_status != 0;
    if (request.collect && request.size < request.content_size && client->fail_status == 0) {
        client->fail_status = 413;
        client->sealed = true;
    }
    request_content(client, item, request.chunked, request.content && dice_chance(dice, 900));
    world_note(client->world, "client %u says request %u: %zu bytes%s%s%s", client->id, number,
               request.content_size, request.chunked ? ", chunked" : "",
               request.expect ? ", Expect" : "", client->gate ? ", and waits" : "");
}

/* The rest of the head, and the content, in whole or behind the gate. */
static void request_content(struct client *client, struct item *item, bool chunked, bool has_size)
{
    struct bytes *out = &client->out;
    struct dice *dice = &client->dice;
    bool waits = (item->flags & ITEM_F_EXPECT) != 0 && dice_chance(dice, 500) &&
                 (item->size != 0 || chunked);
    if (!chunked) {
        if (item->size != 0 || has_size) {
            bytes_printf(out, "Content-Length: %zu\r\n", item->size);
        }
        bytes_printf(out, "\r\n");
        client->gate = waits;
        bytes_append(waits ? &client->held : out, item->bytes, item->size);
        return;
    }
    bytes_printf(out, "Transfer-Encoding: chunked\r\n\r\n");
    client->gate = waits;
    out = waits ? &client->held : out;
    bool bad = !client->careful && !client->sealed && dice_chance(dice, 50);
    for (size_t at = 0; at < item->size;) {
        size_t size = dice_piece(dice, 700, item->size - at);
        bytes_printf(out, dice_chance(dice, 500) ? "%zx\r\n" : "%zX;name=value\r\n", size);
        bytes_append(out, item->bytes + at, size);
        at += size;
        bytes_printf(out, "\r\n");
    }
    if (bad) {
        bytes_printf(out, "x\r\n");
        item->flags |= ITEM_F_BAD;
        client->sealed = true;
        client->excuses |= EXCUSE_SELF; /* it may be answered before it is found */
        return;
    }
    bytes_printf(out, dice_chance(dice, 800) ? "0\r\n\r\n" : "0\r\nX-Trailer: 1\r\n\r\n");
}

static enum mode mode_draw(struct client *client)
{
    struct dice *dice = &client->dice;
    if (dice_chance(dice, 400)) {
        return MODE_NOW;
    }
    if (dice_chance(dice, 600)) {
        return MODE_LATER + dice_below(dice, LATER_COUNT);
    }
    if (client->careful || dice_chance(dice, 500)) {
        return (enum mode)DICE_PICK(dice, MODE_EARLY, MODE_PAUSE);
    }
    return (enum mode)dice_between(dice, MODE_CLOSE, MODE_NEVER);
}

/* What the service will do decides what must come back. */
static void mode_foresee(struct client *client, enum mode mode, unsigned doom)
{
    unsigned status = mode == MODE_ERROR    ? 404
                      : mode == MODE_SILENT ? 500
                      : mode == MODE_NEVER  ? 503
                                            : 0;
    if (status != 0) {
        client->fail_status = (uint16_t)status;
        client->sealed = true;
    }
    if (mode == MODE_ABORT || doom != 0) {
        client->excuses |= EXCUSE_SERVICE;
        client->sealed = mode == MODE_ABORT || client->sealed;
    }
}

static void request_bad(struct client *client)
{
    static const struct {
        const char *text;
        uint16_t status;
    } BAD[] = {
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET  / HTTP/1.1\r\nHost: sim\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: sim\r\n folded: 1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: sim\r\nName : value\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: sim\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: sim\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
         400},
        {"POST / HTTP/1.1\r\nHost: sim\r\nContent-Length: 99999999\r\n\r\n", 413},
        {"POST / HTTP/1.1\r\nHost: sim\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
        {"BREW / HTTP/1.1\r\nHost: sim\r\n\r\n", 501},
        {"TRACE / HTTP/1.1\r\nHost: sim\r\n\r\n", 405},
        {"GET / HTTP/2.0\r\nHost: sim\r\n\r\n", 505},
        {"GET / HTTP/1.1\r\nHost: sim\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 12\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
         426},
    };
    size_t row = dice_below(&client->dice, COUNT_OF(BAD) + 2);
    if (policy_bad_request(client)) {
        return;
    }
    client->sealed = true;
    if (row < COUNT_OF(BAD)) {
        bytes_printf(&client->out, "%s", BAD[row].text);
        client->fail_status = BAD[row].status;
    } else if (row == COUNT_OF(BAD)) {
        bytes_printf(&client->out, "GET /%0500d HTTP/1.1\r\nHost: sim\r\n\r\n", 0);
        client->fail_status = 414;
    } else {
        for (unsigned i = 0; i < 5; i++) {
            bytes_printf(&client->out, i == 0 ? "GET / HTTP/1.1\r\nA: %0500d\r\n" : "A: %0500d\r\n",
                         0);
        }
        client->fail_status = 431;
    }
}

static void handshake_generate(struct client *client)
{
    struct dice *dice = &client->dice;
    char key[sizeof(SIM_KEY)];
    memcpy(key, SIM_KEY, sizeof(key));
    for (size_t i = 0; i < 20; i++) {
        key[i] = (char)('A' + dice_below(dice, 26));
    }
    ws_handshake_accept((const uint8_t *)key, client->accept);
    enum mode mode = mode_draw(client);
    if (mode == MODE_EARLY || mode == MODE_SILENT) {
        mode = MODE_NOW;
    }
    unsigned doom =
        client->careful || !dice_chance(dice, 80) ? 0 : dice_between(dice, 2, DOOM_COUNT * 2 - 1);
    unsigned early = dice_chance(dice, 300) ? dice_between(dice, 1, 4) : 0;
    bool fails = early == 4 && !client->careful && client->ending != ENDING_FIN;
    early = early == 4 && !fails ? 0 : early;
    client->parts = dice_chance(dice, 250);
    uint32_t number = client->request_number++;
    bytes_printf(&client->out, "GET /ws/%u/%u/%u/%u/%u/%u HTTP/1.1\r\nHost: sim\r\n", client->id,
                 number, mode, early, client->parts, doom);
    struct item *item = item_push(&client->said, ITEM_REQUEST, NULL, 0);
    item->number = number;
    policy_fields(client, item);
    bytes_printf(&client->out,
                 "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: other, sim\r\n\r\n",
                 key);
    mode_foresee(client, mode, doom);
    client->out_ws = !client->sealed || mode == MODE_CLOSE;
    client->script_done = !client->out_ws;
    if (mode == MODE_CLOSE) {
        client->excuses |= EXCUSE_SERVICE; /* a Close right behind the 101 */
    }
    /* Some wait for the 101, as most real clients do. */
    client->gate = client->out_ws && dice_chance(dice, 400);
}

/* ---- responses ---- */

void client_gate_open(struct client *client)
{
    client->gate = false;
    bytes_append(&client->out, client->held.ptr, client->held.size);
    client->held.size = 0;
}

bool client_http_parse(struct client *client)
{
    struct bytes *in = &client->in;
    struct world *world = client->world;
    uint8_t *end = in->size < 4 ? NULL : memmem(in->ptr, in->size, "\r\n\r\n", 4);
    if (end == NULL) {
        return false;
    }
    char head[2048];
    size_t head_size = (size_t)(end - in->ptr) + 4;
    unsigned status = 0;
    if (head_size >= sizeof(head)) {
        world_fail(world, "client %u got a head of %zu bytes", client->id, head_size);
        return false;
    }
    memcpy(head, in->ptr, head_size);
    head[head_size] = '\0';
    if (sscanf(head, "HTTP/1.1 %u ", &status) != 1 || status < 100 || status > 599) {
        world_fail(world, "client %u got something that is no status line: %.40s", client->id,
                   head);
        return false;
    }
    struct item *owed = client->owed.head;
    bool no_content =
        status < 200 || status == 204 || status == 304 ||
        (owed != NULL && owed->kind == ITEM_RESPONSE && (owed->flags & ITEM_F_HEAD) != 0);
    no_content = no_content || (owed == NULL && client->fail_head);
    char value[64] = "0";
    size_t size =
        field_find(head, "Content-Length", value) && !no_content ? strtoul(value, NULL, 10) : 0;
    struct bytes content = {0};
    struct span rest = {in->ptr + head_size, in->size - head_size};
    bool chunked = !no_content && field_find(head, "Transfer-Encoding", value);
    if (!no_content && !chunked && !field_find(head, "Content-Length", value)) {
        size = owed == NULL ? 0 : owed->size; /* and then the connection ends */
    }
    bool complete = true;
    if (chunked) {
        size = chunks_decode(world, rest, &content, &complete);
    } else {
        complete = rest.size >= size;
        bytes_append(&content, rest.ptr, MIN(rest.size, size));
    }
    if (status == 200 && owed != NULL && owed->kind == ITEM_RESPONSE &&
        (content.size > owed->size ||
         (content.size != 0 && memcmp(content.ptr, owed->bytes, content.size) != 0))) {
        world_fail(world, "client %u got other content than the service sent", client->id);
    }
    if (complete && !world->failed) {
        world_note(world, "client %u got status %u, %zu bytes", client->id, status, content.size);
        response_take(client, status, head, span_of(content.ptr, content.size));
        bytes_drop(in, head_size + size);
    }
    bytes_free(&content);
    return complete;
}

/* Decode what has come of a chunked content, strictly as the engine writes it. Returns its size on
 * the wire, once it is complete. */
static size_t chunks_decode(struct world *world, struct span in, struct bytes *content,
                            bool *complete)
{
    size_t at = 0;
    *complete = false;
    for (;;) {
        const uint8_t *end = in.size - at < 2 ? NULL : memmem(in.ptr + at, in.size - at, "\r\n", 2);
        if (end == NULL) {
            return 0;
        }
        char *number_end;
        char number[16] = "";
        memcpy(number, in.ptr + at, MIN((size_t)(end - in.ptr) - at, sizeof(number) - 1));
        size_t size = strtoul(number, &number_end, 16);
        if (number_end == number || *number_end != '\0' ||
            strspn(number, "0123456789abcdef") != strlen(number)) {
            world_fail(world, "a chunk's size is no number: %s", number);
            return 0;
        }
        at = (size_t)(end - in.ptr) + 2;
        size_t here = MIN(size, in.size - at);
        bytes_append(content, in.ptr + at, here);
        if (here < size || in.size - at - size < 2) {
            return 0;
        }
        at += size + 2;
        if (memcmp(in.ptr + at - 2, "\r\n", 2) != 0) {
            world_fail(world, "a chunk has no end");
            return 0;
        }
        if (size == 0) {
            *complete = true;
            return at;
        }
    }
}

static void response_take(struct client *client, unsigned status, const char *head,
                          struct span content)
{
    struct world *world = client->world;
    struct item *owed = client->owed.head;
    char value[64];
    unsigned excuses = client_excuses(client);
    if (client->got_final) {
        world_fail(world, "client %u got %u behind the last response", client->id, status);
        return;
    }
    if (status == 100) {
        if (client->continues == 0) {
            world_fail(world, "client %u got a 100 that it did not wait for", client->id);
            return;
        }
        client->continues--;
        client_gate_open(client);
        return;
    }
    journal_answered(client, status);
    if (status == 101) {
        upgrade_take(client, head);
        return;
    }
    bool closes = field_find(head, "Connection", value) && strncmp(value, "close", 5) == 0;
    client->got_final = closes;
    if (closes && client->gate) {
        client->gate = false; /* what it held back is not wanted */
        client->script_done = true;
    }
    if (file_has_failed(client, owed, status)) {
        item_pop(&client->owed);
        return;
    }
    if (owed != NULL && owed->kind == ITEM_RESPONSE && owed->code == status) {
        owed_take(client, closes, content);
        return;
    }
    bool foreseen = status == client->fail_status;
    if (owed == NULL && closes && (policy_may_refuse(client, status) || foreseen)) {
        client->refused = !foreseen;
        client->fail_status = 0;
        return;
    }
    bool excused =
        owed == NULL && closes &&
        ((status == 503 &&
          (world->is_stopping || (excuses & (EXCUSE_MEMORY | EXCUSE_LIMIT | EXCUSE_TIME)) != 0)) ||
         (status == 408 && (excuses & (EXCUSE_TIME | EXCUSE_SELF)) != 0) ||
         (status == 400 && (excuses & EXCUSE_SELF) != 0) || (excuses & EXCUSE_SERVICE) != 0);
    if (!excused) {
        world_fail(world, "client %u got %u; owed is %d, %u; foreseen %u", client->id, status,
                   owed == NULL ? -1 : owed->kind, owed == NULL ? 0 : owed->code,
                   client->fail_status);
    }
}

/* The answer that the service has given. */
static void owed_take(struct client *client, bool closes, struct span content)
{
    struct world *world = client->world;
    const struct item *owed = client->owed.head;
    bool any = (owed->flags & ITEM_F_ANY) != 0;
    bool same = span_equal(content, span_of(owed->bytes, owed->size));
    if (!any && content.size != 0 && !same) {
        world_fail(world, "client %u got other content than the service sent", client->id);
    } else if (content.size == 0 && owed->size != 0 && (owed->flags & ITEM_F_HEAD) == 0) {
        world_fail(world, "client %u got no content", client->id);
    } else if (closes && (owed->flags & ITEM_F_MAY_CLOSE) == 0 && client_excuses(client) == 0 &&
               client->ending != ENDING_FIN) {
        world_fail(world, "client %u: Connection: close without a cause", client->id);
    } else if (!closes && (owed->flags & ITEM_F_MUST_CLOSE) != 0) {
        world_fail(world, "client %u: the answer does not close", client->id);
    }
    if (world->app != NULL) {
        app_client_answered(client, owed);
    }
    item_pop(&client->owed);
    client->echo_count++;
}

static void upgrade_take(struct client *client, const char *head)
{
    const struct item *owed = client->owed.head;
    char value[64];
    if (owed == NULL || owed->kind != ITEM_UPGRADE ||
        !field_find(head, "Sec-WebSocket-Accept", value) ||
        memcmp(value, client->accept, sizeof(client->accept)) != 0) {
        world_fail(client->world, "client %u got a wrong 101", client->id);
        return;
    }
    item_pop(&client->owed);
    client->in_ws = true;
    client_gate_open(client);
}

/* The machine had no file to give. */
static bool file_has_failed(const struct client *client, const struct item *owed, unsigned status)
{
    return owed != NULL && (owed->flags & ITEM_F_FILE) != 0 && (status == 503 || status == 403) &&
           client->world->plan.faults.file_fail != 0;
}

static bool field_find(const char *head, const char *name, char value[64])
{
    char pattern[64];
    (void)snprintf(pattern, sizeof(pattern), "\r\n%s: ", name);
    const char *at = strstr(head, pattern);
    if (at == NULL) {
        return false;
    }
    at += strlen(pattern);
    size_t size = MIN(strcspn(at, "\r"), (size_t)63);
    memcpy(value, at, size);
    value[size] = '\0';
    return true;
}
