/* SPDX-License-Identifier: MIT */
/* What the clients of an application say: requests that lead somewhere or nowhere, messages that
 * are sound or not, with ids and without, and answers to questions. */
#include "tests/sim/app.h"
#include "tests/sim/app_message.h"
#include "tests/sim/world.h"

#include "proto/ws_frame.h"
#include "proto/ws_handshake.h"

#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *method;
    const char *path;
    unsigned status;
} ASTRAY[APP_ASTRAY_COUNT] = {
    {"GET", "/nothing/%u/%u", 404},  {"GET", "/bytes/%u/%u", 426},
    {"DELETE", "/room/%u/%u", 405},  {"OPTIONS", "/room/%u/%u", 204},
    {"GET", "/room/%u/not-%u", 404}, {"GET", "/room/%%%u%u\x7f", 400},
};

unsigned app_astray_status(unsigned number)
{
    return ASTRAY[number - APP_ASTRAY_FIRST].status;
}

/* ---- requests -------------------------------------------------------------------------------- */

static struct item *request_begin(struct client *client, const char *method, const char *path,
                                  unsigned route)
{
    uint32_t number = client->request_number++;
    struct item *item = item_push(&client->said, ITEM_REQUEST, NULL, 0);
    item->number = number;
    item->done = route;
    bytes_printf(&client->out, "%s ", method);
    /* style: the paths are those of tables, each with up to two numbers. */
    char target[128];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(target, sizeof(target), path, client->id, number);
#pragma GCC diagnostic pop
    bytes_printf(&client->out, "%s HTTP/1.1\r\nHost: sim\r\nX-Sim: %u %u\r\n", target, client->id,
                 number);
    world_note(client->world, "client %u says request %u: %s %s", client->id, number, method,
               target);
    return item;
}

/* Content, mostly sound. */
static void content_write(struct client *client, struct item *item)
{
    struct dice *dice = &client->dice;
    char content[96];
    const char *type = "application/json";
    int size = snprintf(content, sizeof(content), "{\"n\":%u,\"text\":\"say %u\"}", item->number,
                        item->number);
    uint32_t drawn = client->careful ? 9 : dice_below(dice, 10);
    if (drawn == 0) {
        type = "text/plain";
        item->code = 415;
    } else if (drawn == 1) {
        size -= (int)dice_between(dice, 1, (uint32_t)size - 1);
        item->code = 400;
    } else if (drawn == 2) {
        content[2] = 'm'; /* there is no member of this name */
        item->code = 400;
    }
    item->opcode = 'P';
    bytes_printf(&client->out, "Content-Type: %s\r\n", type);
    if (dice_chance(dice, 500)) {
        bytes_printf(&client->out, "Content-Length: %d\r\n\r\n%.*s", size, size, content);
        return;
    }
    bytes_printf(&client->out, "Transfer-Encoding: chunked\r\n\r\n%x\r\n%.*s\r\n0\r\n\r\n",
                 (unsigned)size, size, content);
}

static void request_generate(struct client *client)
{
    struct dice *dice = &client->dice;
    bool last = client->requests_left == 0 && !client->upgrade && client->ending == ENDING_CLOSE;
    unsigned route = dice_below(dice, APP_ROUTE_COUNT);
    bool astray = !client->careful && dice_chance(dice, 250);
    bool is_post = dice_chance(dice, 500);
    struct item *item;
    while (!app_routes[route].has_methods && !app_routes[route].is_made) {
        route = dice_below(dice, APP_ROUTE_COUNT);
    }
    if (astray) {
        unsigned row = dice_below(dice, APP_ASTRAY_COUNT - 1);
        item = request_begin(client, ASTRAY[row].method, ASTRAY[row].path, APP_ASTRAY_FIRST + row);
        if (ASTRAY[row].status == 426) { /* it closes */
            item->flags |= ITEM_F_MUST_CLOSE | ITEM_F_MAY_CLOSE;
            client->sealed = true;
        }
    } else {
        item = request_begin(client, is_post ? "POST" : "GET", app_routes[route].path, route);
    }
    if (last) {
        bytes_printf(&client->out, "Connection: close\r\n");
        item->flags |= ITEM_F_MUST_CLOSE | ITEM_F_MAY_CLOSE;
        client->sealed = true;
    }
    if (!astray && is_post) {
        content_write(client, item);
    } else {
        bytes_printf(&client->out, "\r\n");
    }
}

static void handshake_generate(struct client *client)
{
    struct dice *dice = &client->dice;
    char key[] = "dGhlIHNhbXBsZSBub25jZQ==";
    for (size_t i = 0; i < 20; i++) {
        key[i] = (char)('A' + dice_below(dice, 26));
    }
    ws_handshake_accept((const uint8_t *)key, client->accept);
    unsigned route = dice_below(dice, APP_ROUTE_COUNT);
    struct item *item = request_begin(client, "GET", app_routes[route].path, route);
    item->opcode = 'W';
    client->app_route = route;
    bytes_printf(&client->out,
                 "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: %s\r\n\r\n",
                 key);
    client->out_ws = true;
    client->upgrade = false;
    client->gate = client->careful || dice_chance(dice, 700);
}

void app_client_answered(struct client *client, const struct item *owed)
{
    if (client->got_final && (owed->flags & ITEM_F_MUST_CLOSE) == 0) {
        client->excuses |= EXCUSE_SERVICE; /* its content was not wanted, nor what follows */
        client->script_done = true;
        client->gate = false;
    }
    if (owed->opcode != 'W') {
        return;
    }
    bool has_spoken = !client->gate;
    client->out_ws = false;
    client->gate = false;
    if (has_spoken) {
        client->excuses |= EXCUSE_SELF; /* frames are no requests */
        client->script_done = true;
        client->sealed = true;
    } else if (!client->got_final) {
        client->requests_left++;
    }
}

/* ---- messages -------------------------------------------------------------------------------- */

static void frame_write(struct client *client, uint8_t first_byte, const char *text, size_t size)
{
    uint8_t header[WS_CLIENT_HEADER_SIZE_MAX];
    size_t header_size = ws_frame_write_header(header, WS_OPCODE_BINARY, true, 0, size);
    uint32_t key = (uint32_t)dice_next(&client->dice);
    header[0] = first_byte;
    header[1] |= 0x80;
    memcpy(header + header_size, &key, sizeof(key));
    bytes_append(&client->out, header, header_size + sizeof(key));
    bytes_append(&client->out, text, size);
    client->frame_count++;
    uint8_t *at = client->out.ptr + client->out.size - size;
    for (size_t i = 0; i < size; i++) {
        at[i] ^= header[header_size + i % 4];
    }
}

static void message_say(struct client *client, enum app_say say, uint64_t number, const char *text)
{
    bool binary = dice_chance(&client->dice, 200);
    uint8_t opcode = binary ? WS_OPCODE_BINARY : WS_OPCODE_TEXT;
    struct item *item = item_push(&client->said, ITEM_MESSAGE, text, strlen(text));
    item->opcode = opcode;
    item->number = say;
    item->stamp = number;
    bool is_whole = dice_chance(&client->dice, 700);
    size_t first = is_whole ? strlen(text) : dice_below(&client->dice, (uint32_t)strlen(text));
    frame_write(client, (uint8_t)(opcode | (is_whole ? 0x80U : 0U)), text, first);
    if (!is_whole) {
        frame_write(client, 0x80 | WS_OPCODE_CONTINUATION, text + first, strlen(text + first));
    }
}

static bool is_envelope(const struct client *client)
{
    const struct app_route_model *route = &app_routes[client->app_route];
    return route->level_count != 0 && app_types[route->types[route->level_count - 1]].is_envelope;
}

static void message_generate(struct client *client)
{
    static const char *const TAGS[SAY_COUNT] = {
        [SAY_NOTE] = "note",    [SAY_RAW] = "raw",    [SAY_NAMED] = "doThing",
        [SAY_UNKNOWN] = "what", [SAY_NO_TAG] = NULL,  [SAY_MISSING] = "note",
        [SAY_TYPE] = "note",    [SAY_EXTRA] = "note", [SAY_BROKEN] = "note",
        [SAY_ARRAY] = NULL,
    };
    struct dice *dice = &client->dice;
    enum app_say say = dice_chance(dice, 600) ? (enum app_say)dice_below(dice, SAY_UNKNOWN)
                                              : (enum app_say)dice_below(dice, SAY_COUNT);
    unsigned number = dice_below(dice, 100000);
    uint32_t id_kind = dice_below(dice, 4);
    char id[40] = "";
    char members[128];
    char text[APP_TEXT_SIZE];
    if (id_kind < 2) {
        (void)snprintf(id, sizeof(id), id_kind == 0 ? ",\"id\":%u" : ",\"id\":\"i-%u\"", number);
    }
    if (say == SAY_MISSING) {
        (void)snprintf(members, sizeof(members), "\"text\":\"say %u\"", number);
    } else {
        (void)snprintf(members, sizeof(members),
                       say == SAY_TYPE    ? "\"n\":\"%u\",\"text\":\"say %u\""
                       : say == SAY_EXTRA ? "\"n\":%u,\"more\":1,\"text\":\"say %u\""
                                          : "\"n\":%u,\"text\":\"say %u\"",
                       number, number);
    }
    bool envelope = is_envelope(client);
    int size = say == SAY_ARRAY ? snprintf(text, sizeof(text), "[%u]", number)
               : say == SAY_NO_TAG
                   ? snprintf(text, sizeof(text), "{\"kind\":1%s}", id)
                   : snprintf(text, sizeof(text), "{\"type\":\"%s\"%s,%s%s%s}", TAGS[say], id,
                              envelope ? "\"payload\":{" : "", members, envelope ? "}" : "");
    if (say == SAY_BROKEN) {
        text[size - (int)dice_between(dice, 1, 10)] = '\0';
    }
    message_say(client, say, number, text);
}

static void close_generate(struct client *client)
{
    struct dice *dice = &client->dice;
    if (client->sealed) {
        return;
    }
    if (client->ending == ENDING_CLOSE || client->ending == ENDING_BAD) {
        client_ws_close(client, (uint16_t)DICE_PICK(dice, 1000, 1001, 1005, 3000, 4999));
    } else if (client->ending != ENDING_FIN) {
        client->mute_after = (uint32_t)(client->out_total + client->out.size - client->out_sent);
    } else if (dice_chance(dice, 500)) {
        client_ws_close(client, 1000);
    }
}

void app_client_generate(struct client *client)
{
    client->ending = client->ending == ENDING_BAD ? ENDING_CLOSE : client->ending;
    if (client->out_ws) {
        if (client->messages_left == 0 || client->sealed) {
            close_generate(client);
            client->script_done = true;
            return;
        }
        client->messages_left--;
        message_generate(client);
    } else if (client->requests_left != 0 && !client->sealed) {
        client->requests_left--;
        request_generate(client);
    } else if (client->upgrade && !client->sealed) {
        handshake_generate(client);
    } else {
        client->script_done = true;
    }
}

/* ---- what comes ------------------------------------------------------------------------------ */

void app_client_skip(struct client *client, struct span payload)
{
    for (;;) {
        const struct item *owed = client->owed.head;
        if (owed == NULL || (owed->flags & ITEM_F_MAYBE) == 0 ||
            span_equal(payload, span_of(owed->bytes, owed->size))) {
            return;
        }
        item_pop(&client->owed);
    }
}

void app_client_asked(struct client *client, struct span payload)
{
    struct dice *dice = &client->dice;
    char text[APP_TEXT_SIZE];
    (void)snprintf(text, sizeof(text), "%.*s", (int)payload.size, (const char *)payload.ptr);
    const char *id = strstr(text, "\"id\":");
    if (id == NULL || strstr(text, "\"question\"") == NULL || client->close_sent ||
        client->sealed || client->script_done || client->out_ended || !client->out_ws ||
        dice_chance(dice, 200)) {
        return;
    }
    unsigned long number = strtoul(id + 5, NULL, 10);
    enum app_say say = dice_chance(dice, 700)   ? SAY_ANSWER
                       : dice_chance(dice, 500) ? SAY_ANSWER_BAD
                                                : SAY_ANSWER_ERROR;
    bool envelope = is_envelope(client);
    char answer[APP_TEXT_SIZE];
    if (say == SAY_ANSWER_ERROR) {
        (void)snprintf(answer, sizeof(answer),
                       "{\"type\":\"error\",\"re\":%lu,%s\"code\":\"no\",\"reason\":\"\",\"path\":"
                       "\"\"%s}",
                       number, envelope ? "\"payload\":{" : "", envelope ? "}" : "");
    } else {
        const char *n = say == SAY_ANSWER ? "" : "\"";
        (void)snprintf(answer, sizeof(answer), "{\"type\":\"reply\",\"re\":%lu,%s\"n\":%s%lu%s%s}",
                       number, envelope ? "\"payload\":{" : "", n, number, n, envelope ? "}" : "");
    }
    message_say(client, say, number, answer);
    if (dice_chance(dice, 50)) {
        message_say(client, say, number, answer); /* twice: nobody waits for the second */
    }
}
