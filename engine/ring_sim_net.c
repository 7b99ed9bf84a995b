/* SPDX-License-Identifier: MIT */
/* The world of the simulator: chance, time, and a network of in-memory sockets with TCP's manners,
 * the bad ones included. A connection is two sockets, each owning a circle of the bytes on their
 * way to it. A socket never acts by itself; it tells its watchers (operations of rings) what has
 * become possible. Descriptors are never used twice, so that a use after close is always found.
 *
 * An end of a connection; the server's and the client's obey the same rules:
 *
 *     open --shutdown(1)--> fin_sent        the peer reads the rest, then the end of the stream
 *     open --shutdown(2)--> and recv_shut   as before; later bytes from the peer are answered by a
 * reset any  --close--------> gone            unread bytes: the peer is reset; otherwise it sees a
 * FIN, and a reset in answer to what it sends afterwards any  --reset--------> broken bytes not yet
 * read are lost at both ends
 *
 * The client is the harsh one of RFC 9112 section 9.6: a reset erases what it has not read. */
#include "engine/ring_sim_net.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define SIM_FD_FIRST         1000 /* far from the descriptors of the process */
#define SIM_START_NS         1000000000u
#define SIM_TURN_NS_MAX      50000u
#define SIM_TIME_JUMP_NS_MAX 10000000000u

void *sim_alloc(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    ASSERT(memory != NULL);
    return memory;
}

/* ---- The world ---- */

/* splitmix64: spreads a small seed over the state. */
static uint64_t seed_next(uint64_t *seed)
{
    *seed += 0x9e3779b97f4a7c15u;
    uint64_t mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
}

int sim_create(uint64_t seed, const struct sim_faults *faults, uint32_t socket_size,
               struct sim **sim)
{
    ASSERT(socket_size > 0);
    struct sim *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < COUNT_OF(made->random); i++) {
        made->random[i] = seed_next(&seed);
    }
    made->now_ns = SIM_START_NS;
    made->faults = *faults;
    made->socket_size = socket_size;
    *sim = made;
    return 0;
}

static void socket_free(struct sim_socket *socket)
{
    free(socket->bytes);
    free(socket);
}

static void backlog_drop(struct sim_socket *listener)
{
    struct sim_socket *next = NULL;
    for (struct sim_socket *waiting = listener->backlog; waiting != NULL; waiting = next) {
        next = waiting->backlog_next;
        sim_socket_reset(waiting);
        if (waiting->peer != NULL) {
            waiting->peer->peer = NULL;
        }
        socket_free(waiting);
    }
    listener->backlog = NULL;
    listener->backlog_count = 0;
}

static void backlog_push(struct sim_socket *listener, struct sim_socket *waiting)
{
    struct sim_socket **end = &listener->backlog;
    while (*end != NULL) {
        end = &(*end)->backlog_next;
    }
    *end = waiting;
    listener->backlog_count++;
}

void sim_destroy(struct sim *sim)
{
    ASSERT(sim->ring_live_count == 0);
    for (uint32_t i = 0; i < sim->socket_count; i++) {
        if (sim->sockets[i] != NULL && sim->sockets[i]->kind == SIM_LISTENER) {
            backlog_drop(sim->sockets[i]);
        }
    }
    for (uint32_t i = 0; i < sim->socket_count; i++) {
        if (sim->sockets[i] != NULL) {
            socket_free(sim->sockets[i]);
        }
    }
    sim_files_free(sim);
    free(sim->sockets);
    free(sim);
}

uint64_t sim_now_ns(const struct sim *sim)
{
    return sim->now_ns;
}

void sim_advance(struct sim *sim, uint64_t ns)
{
    sim->now_ns += ns;
    sim_note(sim, -1, "advance", -1, (int64_t)ns);
}

static uint64_t rotate_left(uint64_t word, unsigned bits)
{
    return (word << bits) | (word >> (64 - bits));
}

/* xoshiro256**: the same numbers on every machine and with every C library. */
uint64_t sim_random(struct sim *sim, uint64_t below)
{
    ASSERT(below > 0);
    uint64_t *state = sim->random;
    uint64_t drawn = rotate_left(state[1] * 5, 7) * 9;
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate_left(state[3], 45);
    return drawn % below;
}

void sim_set_faults(struct sim *sim, const struct sim_faults *faults)
{
    sim->faults = *faults;
}

void sim_trace(struct sim *sim, FILE *file)
{
    sim->trace = file;
}

bool sim_chance(struct sim *sim, uint16_t per_mille)
{
    return per_mille > 0 && sim_random(sim, 1000) < per_mille;
}

void sim_pass_turn(struct sim *sim)
{
    sim->now_ns += 1000 + sim_random(sim, SIM_TURN_NS_MAX - 999);
    if (sim_chance(sim, sim->faults.time_jump)) {
        sim->now_ns += sim_random(sim, SIM_TIME_JUMP_NS_MAX + 1);
    }
}

void sim_note(struct sim *sim, int ring, const char *what, int fd, int64_t result)
{
    if (sim->trace == NULL) {
        return;
    }
    (void)fprintf(sim->trace, "%14" PRIu64 " ", sim->now_ns);
    if (ring < 0) {
        (void)fputs("test  ", sim->trace);
    } else {
        (void)fprintf(sim->trace, "ring%-2d", ring);
    }
    (void)fprintf(sim->trace, " %-12s fd=%-5d %" PRId64 "\n", what, fd, result);
}

unsigned sim_open_count(const struct sim *sim)
{
    return sim->open_count;
}

/* ---- Sockets ---- */

static struct sim_socket *socket_make(enum sim_socket_kind kind, uint32_t id)
{
    struct sim_socket *socket = sim_alloc(1, sizeof(*socket));
    socket->kind = kind;
    socket->fd = -1;
    socket->id = id;
    list_init(&socket->watchers);
    return socket;
}

static int socket_open(struct sim *sim, struct sim_socket *socket)
{
    if (sim->socket_count == sim->socket_max) {
        sim->socket_max = MAX(64, sim->socket_max * 2);
        sim->sockets = realloc(sim->sockets, sim->socket_max * sizeof(struct sim_socket *));
        ASSERT(sim->sockets != NULL);
    }
    sim->sockets[sim->socket_count] = socket;
    socket->fd = SIM_FD_FIRST + (int)sim->socket_count;
    sim->socket_count++;
    if (socket->kind != SIM_CLIENT && socket->kind != SIM_FOLDER) {
        sim->open_count++;
    }
    return socket->fd;
}

int sim_socket_of_file(struct sim *sim, enum sim_socket_kind kind, struct sim_file *file)
{
    struct sim_socket *socket = socket_make(kind, 0);
    socket->file = file;
    return socket_open(sim, socket);
}

/* NULL if it is closed. */
static struct sim_socket *socket_find(const struct sim *sim, int fd)
{
    ASSERT(fd >= SIM_FD_FIRST);
    uint32_t index = (uint32_t)(fd - SIM_FD_FIRST);
    ASSERT(index < sim->socket_count);
    return sim->sockets[index];
}

struct sim_socket *sim_socket_get(struct sim *sim, int fd)
{
    struct sim_socket *socket = socket_find(sim, fd);
    /* The descriptor has been closed: a kernel would answer for whoever has got the number since.
     */
    ASSERT(socket != NULL);
    ASSERT(socket->kind != SIM_CLIENT);
    return socket;
}

void sim_socket_watch(struct sim_socket *socket, struct sim_watcher *watcher)
{
    list_push_back(&socket->watchers, &watcher->node);
}

void sim_socket_notify(struct sim_socket *socket, uint32_t events)
{
    for (struct list *node = socket->watchers.next; node != &socket->watchers; node = node->next) {
        struct sim_watcher *watcher = CONTAINER_OF(node, struct sim_watcher, node);
        if (watcher->events & events) {
            watcher->on_event(watcher);
        }
    }
}

static void socket_break(struct sim_socket *socket)
{
    if (socket->broken) {
        return;
    }
    socket->broken = true;
    socket->error = -ECONNRESET;
    socket->size = 0;
    sim_socket_notify(socket, SIM_EVENT_IN | SIM_EVENT_OUT);
}

void sim_socket_reset(struct sim_socket *socket)
{
    socket_break(socket);
    if (socket->peer != NULL) {
        socket_break(socket->peer);
    }
}

void sim_socket_tempt(struct sim *sim, struct sim_socket *socket)
{
    if (socket->kind == SIM_SERVER && !socket->broken && sim_chance(sim, sim->faults.reset)) {
        sim_note(sim, -1, "fault-reset", socket->fd, 0);
        sim_socket_reset(socket);
    }
}

/* A write to a peer that does not listen any more: the bytes leave, and a reset comes back. */
static void socket_write_to_deaf(struct sim_socket *socket)
{
    bool was_ended = socket->peer == NULL;
    if (was_ended && socket->kind == SIM_SERVER) {
        /* As Linux does after a FIN: what came before it can still be read, then its end. */
        socket->broken = true;
        sim_socket_notify(socket, SIM_EVENT_IN | SIM_EVENT_OUT);
        return;
    }
    sim_socket_reset(socket);
}

static void circle_write(struct sim *sim, struct sim_socket *to, const uint8_t *bytes,
                         uint32_t size)
{
    if (to->bytes == NULL) {
        to->bytes = sim_alloc(sim->socket_size, 1);
    }
    uint32_t tail = (uint32_t)(((uint64_t)to->head + to->size) % sim->socket_size);
    uint32_t first = MIN(size, sim->socket_size - tail);
    memcpy(to->bytes + tail, bytes, first);
    memcpy(to->bytes, bytes + first, size - first);
    to->size += size;
}

static void circle_read(struct sim *sim, struct sim_socket *from, uint8_t *bytes, uint32_t size)
{
    uint32_t first = MIN(size, sim->socket_size - from->head);
    memcpy(bytes, from->bytes + from->head, first);
    memcpy(bytes + first, from->bytes, size - first);
    from->head = (uint32_t)(((uint64_t)from->head + size) % sim->socket_size);
    from->size -= size;
}

static int64_t socket_write(struct sim *sim, struct sim_socket *socket, const void *bytes,
                            size_t size)
{
    if (socket->error != 0) {
        int32_t error = socket->error;
        socket->error = 0;
        return error;
    }
    if (socket->broken || socket->fin_sent) {
        return -EPIPE;
    }
    struct sim_socket *peer = socket->peer;
    if (peer == NULL || (peer->recv_shut && peer->fin_sent)) {
        socket_write_to_deaf(socket);
        return (int64_t)size;
    }
    uint32_t taken = (uint32_t)MIN(size, (size_t)(sim->socket_size - peer->size));
    if (taken == 0) {
        return size == 0 ? 0 : -EAGAIN;
    }
    circle_write(sim, peer, bytes, taken);
    sim_socket_notify(peer, SIM_EVENT_IN);
    return taken;
}

int64_t sim_socket_send(struct sim *sim, struct sim_socket *socket, const void *bytes, size_t size)
{
    ASSERT(socket->kind == SIM_SERVER);
    sim_socket_tempt(sim, socket);
    if (size > 1 && sim_chance(sim, sim->faults.short_send)) {
        size = 1 + (size_t)sim_random(sim, size - 1);
    }
    return socket_write(sim, socket, bytes, size);
}

int64_t sim_socket_recv(struct sim *sim, struct sim_socket *socket, void *bytes, size_t size)
{
    ASSERT(socket->kind != SIM_LISTENER);
    if (socket->size > 0) {
        uint32_t brought = (uint32_t)MIN(size, (size_t)socket->size);
        circle_read(sim, socket, bytes, brought);
        if (socket->peer != NULL && brought > 0) {
            sim_socket_notify(socket->peer, SIM_EVENT_OUT);
        }
        return brought;
    }
    if (socket->error != 0) {
        int32_t error = socket->error;
        socket->error = 0;
        return error;
    }
    return socket->broken || socket->fin_received || socket->recv_shut ? 0 : -EAGAIN;
}

uint32_t sim_socket_poll(const struct sim_socket *socket)
{
    if (socket->kind == SIM_LISTENER) {
        uint32_t shut = socket->recv_shut ? RING_POLL_IN | RING_POLL_HUP | RING_POLL_RDHUP : 0;
        return shut | (socket->backlog == NULL ? 0 : RING_POLL_IN);
    }
    bool ended = socket->fin_received || socket->recv_shut || socket->broken;
    uint32_t events = ended ? RING_POLL_IN | RING_POLL_RDHUP : 0;
    if (socket->size > 0) {
        events |= RING_POLL_IN;
    }
    if (socket->broken || (ended && socket->fin_sent)) {
        events |= RING_POLL_HUP;
    }
    if (socket->error != 0) {
        events |= RING_POLL_ERR;
    }
    return events;
}

void sim_socket_shutdown(struct sim_socket *socket, int how)
{
    ASSERT(how == 1 || how == 2);
    if (socket->kind == SIM_LISTENER) {
        if (how == 2) {
            socket->recv_shut = true;
            backlog_drop(socket);
            sim_socket_notify(socket, SIM_EVENT_IN);
        }
        return;
    }
    if (how == 2) {
        socket->recv_shut = true;
    }
    if (!socket->fin_sent && !socket->broken) {
        socket->fin_sent = true;
        if (socket->peer != NULL) {
            socket->peer->fin_received = true;
            sim_socket_notify(socket->peer, SIM_EVENT_IN);
        }
    }
    sim_socket_notify(socket, how == 2 ? SIM_EVENT_IN | SIM_EVENT_OUT : SIM_EVENT_OUT);
}

void sim_socket_close(struct sim *sim, struct sim_socket *socket)
{
    /* Close does not end an operation, and its memory would be read or written later. */
    ASSERT(socket->inflight_count == 0);
    ASSERT(list_is_empty(&socket->watchers) && socket->kind != SIM_FOLDER);
    backlog_drop(socket);
    struct sim_socket *peer = socket->peer;
    if (peer != NULL) {
        if (socket->size > 0) {
            sim_socket_reset(socket); /* RFC 1122 section 4.2.2.13 */
        } else {
            sim_socket_shutdown(socket, 1);
        }
        peer->peer = NULL;
        sim_socket_notify(peer, SIM_EVENT_OUT);
    }
    sim->sockets[socket->fd - SIM_FD_FIRST] = NULL;
    if (socket->kind != SIM_CLIENT) {
        sim->open_count--;
    }
    socket_free(socket);
}

/* ---- Listeners ---- */

int sim_listen(struct sim *sim, uint32_t backlog)
{
    ASSERT(backlog > 0);
    struct sim_socket *listener = socket_make(SIM_LISTENER, 0);
    listener->backlog_max = backlog;
    int fd = socket_open(sim, listener);
    sim_note(sim, -1, "listen", fd, backlog);
    return fd;
}

void sim_listen_close(struct sim *sim, int listener_fd)
{
    sim_note(sim, -1, "unlisten", listener_fd, 0);
    struct sim_socket *listener = sim_socket_get(sim, listener_fd);
    ASSERT(listener->kind == SIM_LISTENER);
    sim_socket_close(sim, listener);
}

int sim_socket_accept(struct sim *sim, struct sim_socket *listener)
{
    ASSERT(listener->kind == SIM_LISTENER);
    if (listener->recv_shut) {
        return -EINVAL;
    }
    struct sim_socket *accepted = listener->backlog;
    if (accepted == NULL) {
        return -EAGAIN;
    }
    listener->backlog = accepted->backlog_next;
    listener->backlog_count--;
    return socket_open(sim, accepted);
}

/* ---- The client's end ---- */

int sim_connect(struct sim *sim, int listener_fd)
{
    struct sim_socket *listener = socket_find(sim, listener_fd);
    if (listener == NULL || listener->recv_shut ||
        listener->backlog_count == listener->backlog_max) {
        sim_note(sim, -1, "connect", listener_fd, -ECONNREFUSED);
        return -ECONNREFUSED;
    }
    ASSERT(listener->kind == SIM_LISTENER);
    uint32_t id = sim->connection_count++;
    struct sim_socket *client = socket_make(SIM_CLIENT, id);
    struct sim_socket *server = socket_make(SIM_SERVER, id);
    client->peer = server;
    server->peer = client;
    backlog_push(listener, server);
    sim_socket_notify(listener, SIM_EVENT_IN);
    int fd = socket_open(sim, client);
    sim_note(sim, -1, "connect", listener_fd, fd);
    return fd;
}

static struct sim_socket *client_get(struct sim *sim, int fd)
{
    struct sim_socket *client = socket_find(sim, fd);
    ASSERT(client != NULL);
    ASSERT(client->kind == SIM_CLIENT);
    return client;
}

void sim_client_name(struct sim *sim, int fd, const struct address *address)
{
    struct sim_socket *client = client_get(sim, fd);
    ASSERT(client->peer != NULL);
    client->peer->address = *address;
}

int64_t sim_client_send(struct sim *sim, int fd, const void *bytes, size_t size)
{
    struct sim_socket *client = client_get(sim, fd);
    int64_t result = client->broken ? -ECONNRESET : socket_write(sim, client, bytes, size);
    sim_note(sim, -1, "client-send", fd, result);
    return result;
}

int64_t sim_client_recv(struct sim *sim, int fd, void *bytes, size_t size)
{
    struct sim_socket *client = client_get(sim, fd);
    int64_t result = client->broken ? -ECONNRESET : sim_socket_recv(sim, client, bytes, size);
    if (result != -EAGAIN) {
        sim_note(sim, -1, "client-recv", fd, result);
    }
    return result;
}

void sim_client_shutdown(struct sim *sim, int fd)
{
    sim_note(sim, -1, "client-fin", fd, 0);
    sim_socket_shutdown(client_get(sim, fd), 1);
}

void sim_client_close(struct sim *sim, int fd)
{
    sim_note(sim, -1, "client-close", fd, 0);
    sim_socket_close(sim, client_get(sim, fd));
}

void sim_client_reset(struct sim *sim, int fd)
{
    sim_note(sim, -1, "client-reset", fd, 0);
    sim_socket_reset(client_get(sim, fd));
}
