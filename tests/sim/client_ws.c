/* SPDX-License-Identifier: MIT */
/* The WebSocket side of a client: messages whole and in fragments, Pings between them, breaches of
 * protocol, and a reader of frames that compares each with what the service has sent (RFC 6455). */
#include "tests/sim/client.h"

#include "proto/ws_close.h"
#include "proto/ws_frame.h"
#include "tests/sim/app.h"
#include "tests/sim/ledger.h"
#include "tests/sim/policy.h"
#include "tests/sim/world.h"

#include <stdio.h>

static void message_generate(struct client *client);
static size_t message_size(struct client *client);
static void message_fill(struct client *client, uint8_t *bytes, size_t size, bool text);
static uint8_t command_draw(struct client *client);
static void ending_generate(struct client *client);
static void breach_generate(struct client *client);
static void frame_write(struct client *client, unsigned first_byte, const void *payload,
                        size_t size);
static void ping_generate(struct client *client);
static void data_take(struct client *client, unsigned first_byte, struct span payload);
static void pong_take(struct client *client, struct span payload);
static void close_take(struct client *client, struct span payload);

/* Commands that end the connection. */
static const char COMMANDS_LAST[] = "cCae";
/* And those that do not; the service knows what they mean. */
static const char COMMANDS[] = "rrrrrrrrrrrrsxpbdhhzgtTmi";

void client_ws_generate(struct client *client)
{
    struct dice *dice = &client->dice;
    if (client->sealed && client->messages_left > 3) {
        client->messages_left = 3; /* some that are not heard any more */
    }
    if (client->messages_left == 0 || client->budget < 2) {
        ending_generate(client);
        client->script_done = true;
        return;
    }
    client->messages_left--;
    if (client->ping_number == 0 && dice_chance(dice, 300)) {
        ping_generate(client); /* before the 101 has come, perhaps */
    }
    unsigned count = dice_chance(dice, 200) ? dice_between(dice, 2, 12) : 1;
    while (count-- > 0) {
        message_generate(client);
    }
    if (dice_chance(dice, 150)) {
        ping_generate(client);
    }
    if (dice_chance(dice, 50)) {
        frame_write(client, 0x80 | WS_OPCODE_PONG, "unasked", 7);
    }
}

static void message_generate(struct client *client)
{
    static uint8_t bytes[1 << 18]; /* written anew each time */
    struct dice *dice = &client->dice;
    bool text = dice_chance(dice, 500);
    uint8_t opcode = text ? WS_OPCODE_TEXT : WS_OPCODE_BINARY;
    size_t size = message_size(client);
    client->budget -= MIN(size + 1, client->budget - 1);
    message_fill(client, bytes, size, text);
    if (!client->sealed) {
        item_push(&client->said, ITEM_MESSAGE, bytes, size)->opcode = opcode;
    }
    if (size != 0 && !client->parts && strchr(COMMANDS_LAST, bytes[0]) != NULL) {
        client->sealed = true;
    }
    if (dice_chance(dice, 750)) {
        frame_write(client, 0x80U | opcode, bytes, size);
        return;
    }
    /* Fragments, empty ones too, with control frames between them. */
    for (size_t at = 0;;) {
        size_t part = dice_piece(dice, (uint32_t)size + 2, size - at + 1) - 1;
        bool last = at + part == size && dice_chance(dice, 700);
        frame_write(client, (last ? 0x80U : 0U) | opcode, bytes + at, part);
        at += part;
        opcode = WS_OPCODE_CONTINUATION;
        if (last) {
            return;
        }
        if (dice_chance(dice, 200)) {
            ping_generate(client);
        }
    }
}

/* Mostly small; the edges of the three lengths of a header; now and then as large as may be. */
static size_t message_size(struct client *client)
{
    struct dice *dice = &client->dice;
    uint32_t max = (uint32_t)MIN((size_t)client->world->plan.message_max, client->budget);
    uint32_t drawn = dice_below(dice, 100);
    uint32_t size = drawn < 50   ? dice_below(dice, 60)
                    : drawn < 70 ? dice_between(dice, 120, 130)
                    : drawn < 90 ? dice_below(dice, 2000)
                    : drawn < 95 ? dice_between(dice, 65530, 65540)
                                 : dice_below(dice, max + 1);
    return MIN(size, max);
}

/* A command, and then anything. */
static void message_fill(struct client *client, uint8_t *bytes, size_t size, bool text)
{
    static const char *const CHARACTERS[] = {
        "a", "~", "\n", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    struct dice *dice = &client->dice;
    bool ascii = dice_chance(dice, 500);
    for (size_t at = 0; at < size;) {
        if (!text) {
            uint64_t word = dice_next(dice);
            memcpy(bytes + at, &word, MIN(sizeof(word), size - at));
            at += sizeof(word);
            continue;
        }
        const char *character = CHARACTERS[dice_below(dice, ascii ? 3 : COUNT_OF(CHARACTERS))];
        size_t length = strlen(character);
        if (length > size - at) {
            character = "b";
            length = 1;
        }
        memcpy(bytes + at, character, length);
        at += length;
    }
    if (size == 0) {
        return;
    }
    bytes[0] = command_draw(client);
    if (size >= 2) {
        bytes[1] = (uint8_t)('0' + dice_below(dice, 64));
    }
    /* Overwriting may have left the rest of a character. */
    for (size_t at = 2; text && at < size && (bytes[at] & 0xc0) == 0x80; at++) {
        bytes[at] = 'c';
    }
}

static uint8_t command_draw(struct client *client)
{
    struct dice *dice = &client->dice;
    if (!client->careful && !client->sealed && !client->parts && dice_chance(dice, 15)) {
        return (uint8_t)COMMANDS_LAST[dice_below(dice, sizeof(COMMANDS_LAST) - 1)];
    }
    return (uint8_t)COMMANDS[dice_below(dice, sizeof(COMMANDS) - 1)];
}

static void ending_generate(struct client *client)
{
    struct dice *dice = &client->dice;
    if (client->sealed) {
        return; /* the service closes */
    }
    switch (client->ending) {
    case ENDING_CLOSE:
        client_ws_close(client, (uint16_t)DICE_PICK(dice, 1000, 1001, 1005, 3000, 4999));
        break;
    case ENDING_BAD:
        breach_generate(client);
        break;
    case ENDING_FIN:
        if (dice_chance(dice, 500)) {
            client_ws_close(client, 1000);
        }
        break;
    case ENDING_MUTE:
    case ENDING_RESET:
    case ENDING_DROP:
        client->mute_after = (uint32_t)(client->out_total + client->out.size - client->out_sent);
        break;
    }
}

void client_ws_close(struct client *client, uint16_t close_code)
{
    uint8_t payload[WS_CONTROL_SIZE_MAX];
    size_t size = ws_close_write(payload, close_code, SPAN_LITERAL("that is all"));
    client->close_sent = true;
    client->close_code = close_code;
    client->sealed = true;
    frame_write(client, 0x80 | WS_OPCODE_CLOSE, payload, size);
}

static void breach_generate(struct client *client)
{
    static const char TOO_MANY[126] = "";
    static const struct {
        uint8_t first_byte;
        const char *payload;
        size_t size;
        uint16_t close_code;
    } BREACHES[] = {
        {0xc1, "rsv1", 4, 1002},           {0x83, "opcode", 6, 1002},
        {0x8b, "opcode", 6, 1002},         {0x09, "ping", 4, 1002},
        {0x80, "of what", 7, 1002},        {0x89, TOO_MANY, 126, 1002},
        {0x88, "\x03", 1, 1002},           {0x88, "\x03\xed", 2, 1002},
        {0x88, "\x03\xe8\xff", 3, 1007},   {0x81, "r\xc3\x28", 3, 1007},
        {0x81, "r0\xed\xa0\x80", 5, 1007}, {0x81, "r\xe2\x82", 3, 1007},
    };
    size_t row = dice_below(&client->dice, COUNT_OF(BREACHES) + 2);
    client->sealed = true;
    if (row < COUNT_OF(BREACHES)) {
        frame_write(client, BREACHES[row].first_byte, BREACHES[row].payload, BREACHES[row].size);
        client->fail_code = BREACHES[row].close_code;
        if (BREACHES[row].first_byte == 0x81) {
            /* Its beginning may be heard as a part. */
            struct item *item =
                item_push(&client->said, ITEM_MESSAGE, BREACHES[row].payload, BREACHES[row].size);
            item->opcode = WS_OPCODE_TEXT;
            item->flags = ITEM_F_BAD;
        }
        return;
    }
    uint8_t header[10];
    bool too_large = row == COUNT_OF(BREACHES);
    uint32_t size = too_large ? client->world->plan.config.message_size_max + 1 : 70000;
    size_t header_size = ws_frame_write_header(header, WS_OPCODE_BINARY, true, 0, size);
    header[1] |= too_large ? 0x80 : 0; /* the other one is not masked */
    client->fail_code = too_large ? 1009 : 1002;
    bytes_append(&client->out, header, header_size);
    bytes_append(&client->out, "mask and payload", 16);
    client->frame_count++;
}

static void ping_generate(struct client *client)
{
    char text[WS_CONTROL_SIZE_MAX + 1];
    (void)snprintf(text, sizeof(text), "%u:%0*d", client->ping_number++,
                   (int)dice_below(&client->dice, 100) + 1, 0);
    frame_write(client, 0x80 | WS_OPCODE_PING, text, strlen(text));
    item_push(&client->pings, ITEM_PING, text, strlen(text));
}

/* One masked frame. */
static void frame_write(struct client *client, unsigned first_byte, const void *payload,
                        size_t size)
{
    uint8_t header[WS_CLIENT_HEADER_SIZE_MAX];
    size_t header_size = ws_frame_write_header(header, WS_OPCODE_BINARY, true, 0, size);
    uint32_t key = dice_chance(&client->dice, 100) ? 0 : (uint32_t)dice_next(&client->dice);
    header[0] = (uint8_t)first_byte;
    header[1] |= 0x80;
    memcpy(header + header_size, &key, sizeof(key));
    bytes_append(&client->out, header, header_size + sizeof(key));
    bytes_append(&client->out, payload, size);
    client->frame_count++;
    uint8_t *at = client->out.ptr + client->out.size - size;
    for (size_t i = 0; i < size; i++) {
        at[i] ^= header[header_size + i % 4];
    }
}

/* ---- frames of the server ---- */

bool client_ws_parse(struct client *client)
{
    struct bytes *in = &client->in;
    struct world *world = client->world;
    if (in->size < 2) {
        return false;
    }
    size_t header_size = in->ptr[1] < 126 ? 2 : in->ptr[1] == 126 ? 4 : 10;
    if (in->size < header_size) {
        return false;
    }
    size_t size = header_size == 2   ? in->ptr[1]
                  : header_size == 4 ? load_be16(in->ptr + 2)
                                     : load_be64(in->ptr + 2);
    uint8_t first_byte = in->ptr[0];
    uint8_t opcode = first_byte & 0x0f;
    bool control = ws_opcode_is_control(opcode);
    if ((first_byte & 0x70) != 0 || in->ptr[1] > 127 || ws_frame_header_size(size) != header_size ||
        (control && (size > WS_CONTROL_SIZE_MAX || (first_byte & 0x80) == 0))) {
        world_fail(world, "client %u got a malformed frame header: %02x %02x", client->id,
                   first_byte, in->ptr[1]);
        return false;
    }
    if (in->size < header_size + size) {
        return false;
    }
    struct span payload = {in->ptr + header_size, size};
    world_note(world, "client %u got frame %02x, %zu bytes", client->id, first_byte, size);
    if (client->got_close) {
        world_fail(world, "client %u got a frame behind a Close", client->id);
    } else if (opcode == WS_OPCODE_PONG) {
        pong_take(client, payload);
    } else if (opcode == WS_OPCODE_CLOSE) {
        app_client_skip(client, (struct span){0});
        close_take(client, payload);
    } else if (opcode != WS_OPCODE_PING) {
        data_take(client, first_byte, payload);
    } else if (!client->close_sent && !client->out_ended && client->out_ws && !client->gate) {
        frame_write(client, 0x80 | WS_OPCODE_PONG, payload.ptr, payload.size);
    }
    bytes_drop(in, header_size + size);
    return true;
}

static void data_take(struct client *client, unsigned first_byte, struct span payload)
{
    if (client->world->app != NULL && app_room_take(client, payload)) {
        return;
    }
    app_client_skip(client, payload);
    if (ledger_take(client, first_byte, payload)) {
        if (client->within) {
            world_fail(client->world, "client %u got a message within another", client->id);
        }
        return;
    }
    struct item *owed = client->owed.head;
    if (owed == NULL || owed->kind != ITEM_FRAME) {
        world_fail(client->world, "client %u got a frame that nobody sent", client->id);
        return;
    }
    unsigned expected = ((owed->flags & ITEM_F_LAST) != 0 ? 0x80U : 0U) |
                        ((owed->flags & ITEM_F_FIRST) != 0 ? owed->opcode : 0U);
    if (first_byte != expected) {
        world_fail(client->world, "client %u got a frame %02x instead of %02x", client->id,
                   first_byte, expected);
    } else if (payload.size != owed->size ||
               (owed->size != 0 && memcmp(payload.ptr, owed->bytes, owed->size) != 0)) {
        world_fail(client->world, "client %u got other bytes than were sent (%zu, owed %zu)",
                   client->id, payload.size, owed->size);
    }
    client->within = (owed->flags & ITEM_F_LAST) == 0;
    if ((owed->flags & ITEM_F_FIRST) != 0) {
        ledger_owed_came(client, owed->stamp);
    }
    item_pop(&client->owed);
    client->echo_count++;
    if (client->world->app != NULL) {
        app_client_asked(client, payload);
    }
}

/* It answers the oldest Ping or a newer one, and then those before it are not owed any more (RFC
 * 6455 section 5.5.3). */
static void pong_take(struct client *client, struct span payload)
{
    while (client->pings.head != NULL) {
        struct item *ping = client->pings.head;
        bool same = span_equal(payload, span_of(ping->bytes, ping->size));
        item_pop(&client->pings);
        if (same) {
            return;
        }
    }
    world_fail(client->world, "client %u got a Pong for no Ping: %.*s", client->id,
               (int)payload.size, (const char *)payload.ptr);
}

static void close_take(struct client *client, struct span payload)
{
    struct item *owed = client->owed.head;
    uint16_t code = payload.size >= 2 ? load_be16(payload.ptr) : WS_CLOSE_NO_STATUS;
    unsigned excuses = client_excuses(client);
    client->got_close = true;
    bool right;
    if (owed != NULL && owed->kind == ITEM_CLOSE && owed->code == code) {
        right = payload.size < 2 || owed->size == 0 ||
                (payload.size - 2 == owed->size &&
                 memcmp(payload.ptr + 2, owed->bytes, owed->size) == 0);
        item_pop(&client->owed);
    } else if (owed != NULL && owed->kind != ITEM_CLOSE) {
        world_fail(client->world, "client %u got a Close before what was sent earlier", client->id);
        return;
    } else if (owed != NULL) {
        right = excuses != 0;
    } else {
        right = (client->close_sent && code == client->close_code) ||
                (client->fail_code != 0 && code == client->fail_code) ||
                (code == 1001 && (excuses & (EXCUSE_TIME | EXCUSE_STOP | EXCUSE_SELF)) != 0) ||
                policy_may_close(client, code) || ledger_may_close(client, code) ||
                (code == 1013 && (excuses & (EXCUSE_MEMORY | EXCUSE_SERVICE)) != 0) ||
                (excuses & EXCUSE_SERVICE) != 0;
    }
    if (!right) {
        world_fail(client->world, "client %u got Close %u; owed %d, own %u, foreseen %u",
                   client->id, code, owed == NULL ? -1 : owed->code, client->close_code,
                   client->fail_code);
        return;
    }
    if (!client->close_sent && !client->out_ended && client->fail_code == 0) {
        client->script_done = true;
        client_gate_open(client);
        client_ws_close(client, code);
    }
}
