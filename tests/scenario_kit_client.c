/* SPDX-License-Identifier: MIT */
/* A small client that blocks: HTTP/1.1 with Content-Length, and WebSocket frames as they are, so
 * that a scenario decides what is answered. */
#include "tests/engine_kit.h"
#include "tests/scenario_kit.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    OPCODE_CLOSE = 8,
    OPCODE_PING = 9,
    OPCODE_PONG = 10,
    FRAME_FIN = 0x80,
    FRAME_MASK = 0x80,
};

static const uint8_t MASKING_KEY[4] = {0x37, 0xfa, 0x21, 0x3d};

static void client_end(struct scenario_client *client)
{
    if (client->fd >= 0) {
        (void)close(client->fd);
        client->fd = -1;
    }
}

static bool client_receive(struct scenario_client *client)
{
    size_t room = sizeof(client->bytes) - client->size;
    while (client->fd >= 0 && room != 0) {
        struct pollfd poll_fd = {.fd = client->fd, .events = POLLIN};
        int ready = poll(&poll_fd, 1, KIT_PATIENCE_S * 1000);
        if (ready == 0) {
            EXPECT(false, "the server says nothing any more");
            client_end(client);
            return false;
        }
        ssize_t got = recv(client->fd, client->bytes + client->size, room, MSG_DONTWAIT);
        if (got > 0) {
            client->size += (size_t)got;
            return true;
        }
        if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
            return false;
        }
    }
    return false;
}

/* At least so many bytes lie in `bytes`. */
static bool client_has(struct scenario_client *client, size_t size)
{
    while (client->size < size) {
        if (!client_receive(client)) {
            return false;
        }
    }
    return true;
}

static void client_drop(struct scenario_client *client, size_t size)
{
    client->size -= size;
    memmove(client->bytes, client->bytes + size, client->size);
}

static void client_write(struct scenario_client *client, const void *bytes, size_t size)
{
    const uint8_t *from = bytes;
    while (client->fd >= 0 && size != 0) {
        ssize_t sent = send(client->fd, from, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR) {
            return; /* the server has ended it; what is read next says so */
        }
        from += sent > 0 ? sent : 0;
        size -= sent > 0 ? (size_t)sent : 0;
    }
}

struct scenario_client *scenario_client(struct scenario *at)
{
    struct scenario_client *client = calloc(1, sizeof(*client));
    if (client == NULL || at->client_count == SCENARIO_CLIENTS_MAX) {
        abort();
    }
    at->clients[at->client_count++] = client;
    client->fd = at->server != NULL ? kit_client(at->address) : -1;
    return client;
}

void scenario_client_free(struct scenario_client *client)
{
    client_end(client);
    free(client);
}

/* ---- HTTP ---- */

static bool read_head(struct scenario_client *client)
{
    uint8_t *end;
    while ((end = memmem(client->bytes, client->size, "\r\n\r\n", 4)) == NULL) {
        if (!client_receive(client)) {
            return false;
        }
    }
    size_t size = (size_t)(end - client->bytes) + 2;
    if (size >= sizeof(client->head)) {
        return false;
    }
    memcpy(client->head, client->bytes, size);
    client->head[size] = '\0';
    client_drop(client, size + 2);
    return sscanf(client->head, "HTTP/1.1 %3u ", &client->status) == 1;
}

unsigned scenario_request(struct scenario_client *client, const char *method, const char *target,
                          const char *fields, const char *content)
{
    static const char FORMAT[] =
        "%s %s HTTP/1.1\r\nHost: gyr.test\r\n%sContent-Length: %zu\r\n\r\n%s";
    char request[4096];
    bool is_upgrade = strstr(fields, "Upgrade:") != NULL;
    int size = is_upgrade
                   ? snprintf(request, sizeof(request),
                              "%s %s HTTP/1.1\r\nHost: gyr.test\r\n%s\r\n", method, target, fields)
                   : snprintf(request, sizeof(request), FORMAT, method, target, fields,
                              strlen(content), content);
    client_write(client, request, (size_t)size);
    return scenario_answer(client);
}

void scenario_write(struct scenario_client *client, const char *request)
{
    client_write(client, request, strlen(request));
}

unsigned scenario_answer(struct scenario_client *client)
{
    client->status = 0;
    client->head[0] = client->content[0] = '\0';
    if (!read_head(client)) {
        return 0;
    }
    size_t length = strtoul(scenario_field(client, "Content-Length"), NULL, 10);
    if (client->status != 101 && length < sizeof(client->content) && client_has(client, length)) {
        memcpy(client->content, client->bytes, length);
        client->content[length] = '\0';
        client_drop(client, length);
    }
    return client->status;
}

unsigned scenario_upgrade(struct scenario_client *client, const char *target, const char *fields)
{
    char all[2048];
    (void)snprintf(all, sizeof(all),
                   "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                   "Sec-WebSocket-Version: 13\r\n%s",
                   fields);
    return scenario_request(client, "GET", target, all, "");
}

const char *scenario_field(struct scenario_client *client, const char *name)
{
    static char value[512];
    size_t name_size = strlen(name);
    for (char *line = strchr(client->head, '\n'); line != NULL; line = strchr(line, '\n')) {
        line++;
        if (strncasecmp(line, name, name_size) == 0 && line[name_size] == ':') {
            const char *begin = line + name_size + 1;
            begin += strspn(begin, " ");
            (void)snprintf(value, sizeof(value), "%.*s", (int)strcspn(begin, "\r"), begin);
            return value;
        }
    }
    return "";
}

struct scenario_client *scenario_open(struct scenario *at, const char *target, const char *fields,
                                      const char *file, int line)
{
    struct scenario_client *client = scenario_client(at);
    expect_int(scenario_upgrade(client, target, fields), 101, target, file, line);
    if (client->status != 101) {
        client_end(client);
    }
    return client;
}

struct scenario_client *scenario_refused(struct scenario *at, const char *target,
                                         unsigned status_code, const char *file, int line)
{
    struct scenario_client *client = scenario_client(at);
    expect_int(scenario_upgrade(client, target, ""), status_code, target, file, line);
    client_end(client);
    return client;
}

/* ---- WebSocket ---- */

void scenario_send(struct scenario_client *client, unsigned opcode, const void *bytes, size_t size)
{
    uint8_t head[14] = {(uint8_t)(FRAME_FIN | opcode)};
    size_t head_size = 2;
    const uint8_t *from = bytes;
    if (size < 126) {
        head[1] = (uint8_t)(FRAME_MASK | size);
    } else {
        size_t width = size <= UINT16_MAX ? 2 : 8;
        head[1] = FRAME_MASK | (width == 2 ? 126 : 127);
        for (size_t i = 0; i < width; i++) {
            head[head_size++] = (uint8_t)((uint64_t)size >> (8 * (width - 1 - i)));
        }
    }
    memcpy(head + head_size, MASKING_KEY, sizeof(MASKING_KEY));
    head_size += sizeof(MASKING_KEY);
    uint8_t *frame = malloc(head_size + size);
    if (frame == NULL) {
        abort();
    }
    memcpy(frame, head, head_size);
    for (size_t i = 0; i < size; i++) {
        frame[head_size + i] = from[i] ^ MASKING_KEY[i % 4];
    }
    client_write(client, frame, head_size + size);
    free(frame);
}

void scenario_say(struct scenario_client *client, const char *text)
{
    scenario_send(client, GYR_TEXT, text, strlen(text));
}

void scenario_send_close(struct scenario_client *client, uint16_t code, const char *reason)
{
    uint8_t payload[125] = {(uint8_t)(code >> 8), (uint8_t)code};
    size_t size = MIN(strlen(reason), sizeof(payload) - 2);
    memcpy(payload + 2, reason, size);
    scenario_send(client, OPCODE_CLOSE, payload, 2 + size);
}

static bool read_frame(struct scenario_client *client)
{
    size_t head_size = 2;
    if (!client_has(client, head_size)) {
        return false;
    }
    size_t size = client->bytes[1];
    if (size == 126) {
        head_size = 4;
        if (!client_has(client, head_size)) {
            return false;
        }
        size = (size_t)client->bytes[2] << 8 | client->bytes[3];
    }
    if (size >= sizeof(client->payload) || !client_has(client, head_size + size)) {
        return false;
    }
    client->opcode = client->bytes[0] & 0x0fU;
    memcpy(client->payload, client->bytes + head_size, size);
    client->payload[size] = '\0';
    client->payload_size = size;
    client_drop(client, head_size + size);
    return true;
}

bool scenario_read(struct scenario_client *client)
{
    do {
        if (!read_frame(client)) {
            client->opcode = 0;
            client->payload_size = 0;
            client->payload[0] = '\0';
            return false;
        }
    } while (client->opcode == OPCODE_PING || client->opcode == OPCODE_PONG);
    return true;
}

void scenario_hears(struct scenario_client *client, const char *text, const char *file, int line)
{
    (void)scenario_read(client);
    expect_text(client->payload, text, "heard", file, line);
    expect_int(client->opcode, GYR_TEXT, text, file, line);
}

/* 1005 for a Close without one (RFC 6455 section 7.1.5). */
static unsigned close_code_of(const struct scenario_client *client)
{
    const uint8_t *payload = (const uint8_t *)client->payload;
    return client->payload_size < 2 ? 1005U : (unsigned)payload[0] << 8 | payload[1];
}

void scenario_hears_close(struct scenario_client *client, uint16_t code, const char *reason,
                          const char *file, int line)
{
    (void)scenario_read(client);
    expect_int(client->opcode, OPCODE_CLOSE, "a Close", file, line);
    expect_int(close_code_of(client), code, "its code", file, line);
    expect_text(client->payload_size < 2 ? "" : client->payload + 2, reason, "its reason", file,
                line);
    scenario_send(client, OPCODE_CLOSE, client->payload, MIN(client->payload_size, (size_t)2));
    expect_that(scenario_has_ended(client), "then it ends", "end", file, line);
}

void scenario_leave(struct scenario_client *client, uint16_t code, const char *file, int line)
{
    scenario_send_close(client, code, "");
    (void)scenario_read(client);
    expect_int(client->opcode, OPCODE_CLOSE, "a Close is answered", file, line);
    expect_int(close_code_of(client), code, "with its code", file, line);
    expect_that(scenario_has_ended(client), "then it ends", "end", file, line);
}

bool scenario_has_ended(struct scenario_client *client)
{
    bool silent = client->size == 0 && !client_receive(client) && client->fd >= 0;
    client_end(client);
    return silent;
}

void scenario_reset(struct scenario_client *client)
{
    struct linger linger = {.l_onoff = 1};
    if (client->fd >= 0) {
        (void)setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
    client_end(client);
}
