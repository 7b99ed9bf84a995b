/* SPDX-License-Identifier: MIT */
#include "tests/crowd_kit.h"

#include "tests/engine_kit.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void give_up(const char *what)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "crowd_kit: %s\n", what);
    abort();
}

static struct crowd *crowd_of(const struct gyr_conn *conn)
{
    return gyr_server_user(gyr_core_server(gyr_conn_core(conn)));
}

/* ---- the service ---- */

static int on_request(struct gyr_conn *conn, const struct gyr_request *request)
{
    struct gyr_span path = gyr_request_path(request);
    const char *slash = memchr(path.ptr + 1, '/', path.size - 1);
    if (slash == NULL) {
        return GYR_ERR_HTTP_NOT_FOUND;
    }
    struct gyr_span id = {path.ptr + 1, (size_t)(slash - path.ptr) - 1};
    struct gyr_span room = {slash + 1, path.size - id.size - 2};
    int err = id.size == 0 ? 0 : gyr_conn_set_id(conn, id);
    if (err == 0 && room.size != 0) {
        err = gyr_join(conn, room);
    }
    if (err < 0) {
        unsigned core = gyr_core_index(gyr_conn_core(conn));
        atomic_fetch_add_explicit(&crowd_of(conn)->refused[core], 1, memory_order_relaxed);
        return err;
    }
    return gyr_upgrade(conn, NULL);
}

static int on_open(struct gyr_conn *conn)
{
    char text[24];
    int size = snprintf(text, sizeof(text), "%016" PRIx64, gyr_conn_handle(conn).id);
    return gyr_send(conn, GYR_TEXT, (struct gyr_span){text, (size_t)size});
}

static int on_message(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span message)
{
    return gyr_reply(conn, opcode, message);
}

bool crowd_init(struct crowd *crowd)
{
    *crowd = (struct crowd){.service = {.size = sizeof(struct gyr_service),
                                        .user = crowd,
                                        .on_request = on_request,
                                        .on_open = on_open,
                                        .on_message = on_message}};
    if (!kit_server_possible(CROWD_CORES)) {
        return false;
    }
    crowd->config = kit_server_config(CROWD_CORES);
    crowd->config.balance = GYR_BALANCE_HASH; /* or all would come to the core that has fewer */
    return true;
}

void crowd_start(struct crowd *crowd)
{
    crowd->server =
        kit_server_start(&crowd->config, &crowd->service, "127.0.0.1:0", crowd->address);
}

void crowd_end(struct crowd *crowd)
{
    kit_server_end(crowd->server);
    for (int fd = 0; fd < CROWD_SOCKETS_MAX; fd++) {
        if (crowd->sockets[fd]) {
            (void)close(fd);
        }
    }
}

/* ---- clients ---- */

static bool client_receive(struct crowd_client *client)
{
    for (;;) {
        ssize_t got =
            recv(client->fd, client->bytes + client->size, sizeof(client->bytes) - client->size, 0);
        if (got > 0) {
            client->size += (size_t)got;
            return true;
        }
        if (got < 0 && errno == EAGAIN) {
            give_up("the server says nothing any more");
        }
        if (got == 0 || errno != EINTR) {
            return false;
        }
    }
}

static void client_drop(struct crowd_client *client, size_t size)
{
    client->size -= size;
    memmove(client->bytes, client->bytes + size, client->size);
}

unsigned crowd_connect(struct crowd *crowd, struct crowd_client *client, const char *id,
                       const char *room)
{
    char request[1024];
    char text[CROWD_MESSAGE_MAX];
    int size = snprintf(request, sizeof(request),
                        "GET /%s/%s HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Key: " KIT_KEY
                        "\r\nSec-WebSocket-Version: 13\r\n\r\n",
                        id, room);
    client->fd = kit_client(crowd->address);
    client->crowd = crowd;
    if (client->fd >= CROWD_SOCKETS_MAX) {
        give_up("a crowd has too many clients");
    }
    crowd->sockets[client->fd] = true;
    client->size = 0;
    client->handle = (struct gyr_handle){0};
    if (send(client->fd, request, (size_t)size, MSG_NOSIGNAL) != size) {
        give_up("a client cannot ask");
    }
    const uint8_t *end;
    while ((end = memmem(client->bytes, client->size, "\r\n\r\n", 4)) == NULL) {
        if (!client_receive(client)) {
            return 0;
        }
    }
    unsigned status_code = (unsigned)strtoul((const char *)client->bytes + 9, NULL, 10);
    client_drop(client, (size_t)(end - client->bytes) + 4);
    if (status_code == 101) {
        if (crowd_read(client, text) != GYR_TEXT) {
            return 0;
        }
        client->handle.id = strtoull(text, NULL, 16);
    }
    return status_code;
}

void crowd_connect_on(struct crowd *crowd, struct crowd_client *client, unsigned core,
                      const char *id, const char *room)
{
    for (unsigned i = 0; i < 1000; i++) {
        if (crowd_connect(crowd, client, id, room) != 101) {
            give_up("a client is not accepted");
        }
        if (crowd_core(client->handle) == core) {
            return;
        }
        crowd_leave(client);
        crowd_until_ended(crowd, client->handle);
    }
    give_up("no connection comes to one of the cores");
}

/* Is the first frame there? Then its header and payload have these sizes. */
static bool client_has_frame(const struct crowd_client *client, size_t *header, size_t *size)
{
    bool is_long = client->size >= 2 && client->bytes[1] == 126;
    *header = is_long ? 4 : 2;
    if (client->size < *header) {
        return false;
    }
    *size = is_long ? load_be16(client->bytes + 2) : client->bytes[1];
    if (*size >= CROWD_MESSAGE_MAX) {
        give_up("a message is longer than the kit expects");
    }
    return client->size >= *header + *size;
}

unsigned crowd_read(struct crowd_client *client, char text[CROWD_MESSAGE_MAX])
{
    size_t header;
    size_t size;
    text[0] = '\0';
    while (!client_has_frame(client, &header, &size)) {
        if (!client_receive(client)) {
            return 0;
        }
    }
    unsigned opcode = client->bytes[0] & 0xf;
    memcpy(text, client->bytes + header, size);
    text[size] = '\0';
    client_drop(client, header + size);
    return opcode;
}

bool crowd_reads(struct crowd_client *client, const char *text)
{
    char got[CROWD_MESSAGE_MAX];
    return crowd_read(client, got) != 0 && strcmp(got, text) == 0;
}

void crowd_say(struct crowd_client *client, const char *text)
{
    uint8_t frame[6 + 125] = {0x81, (uint8_t)(0x80 | strlen(text))}; /* the key is zero */
    memcpy(frame + 6, text, strlen(text));
    (void)send(client->fd, frame, 6 + strlen(text), MSG_NOSIGNAL);
}

void crowd_leave(struct crowd_client *client)
{
    client->crowd->sockets[client->fd] = false;
    (void)close(client->fd);
    client->fd = -1;
}

/* ---- the server ---- */

struct errand {
    void (*on_conn)(struct gyr_conn *conn, void *arg);
    void (*on_core)(struct gyr_core *core, void *arg);
    void *arg;
    sem_t done;
};

static void errand_conn(struct gyr_conn *conn, void *arg)
{
    struct errand *errand = arg;
    errand->on_conn(conn, errand->arg);
    (void)sem_post(&errand->done);
}

static void errand_core(struct gyr_core *core, void *arg)
{
    struct errand *errand = arg;
    errand->on_core(core, errand->arg);
    (void)sem_post(&errand->done);
}

bool crowd_run(struct crowd *crowd, struct gyr_handle handle,
               void (*fn)(struct gyr_conn *conn, void *arg), void *arg)
{
    struct errand errand = {.on_conn = fn, .arg = arg};
    (void)sem_init(&errand.done, 0, 0);
    if (gyr_handle_run(crowd->server, handle, errand_conn, &errand) != 0) {
        return false;
    }
    kit_wait(&errand.done);
    return true;
}

void crowd_run_core(struct crowd *crowd, unsigned core,
                    void (*fn)(struct gyr_core *core, void *arg), void *arg)
{
    struct errand errand = {.on_core = fn, .arg = arg};
    (void)sem_init(&errand.done, 0, 0);
    int err;
    do {
        err = gyr_post(crowd->server, core, errand_core, &errand);
    } while (err == GYR_ERR_BACKPRESSURE); /* until a core that was held has read its mail */
    if (err != 0) {
        give_up("a core takes no mail");
    }
    kit_wait(&errand.done);
}

void crowd_until(bool (*condition)(void *arg), void *arg)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    time_t end = now.tv_sec + KIT_PATIENCE_S;
    while (!condition(arg)) {
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec > end) {
            give_up("what a test waits for does not happen");
        }
        (void)sched_yield();
    }
}

struct ending {
    struct gyr_server *server;
    struct gyr_handle handle;
};

static bool has_ended(void *arg)
{
    const struct ending *ending = arg;
    return !gyr_handle_is_live(ending->server, ending->handle);
}

void crowd_until_ended(struct crowd *crowd, struct gyr_handle handle)
{
    struct ending ending = {crowd->server, handle};
    crowd_until(has_ended, &ending);
}

unsigned crowd_core(struct gyr_handle handle)
{
    return (unsigned)(handle.id >> 48);
}
