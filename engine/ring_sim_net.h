/* SPDX-License-Identifier: MIT */
/* The inside of the simulator, shared by its two halves: ring_sim_net.c (the world: chance, time,
 * sockets) and ring_sim.c (rings and their operations). Tests include engine/ring_sim.h instead. */
#ifndef ENGINE_RING_SIM_NET_H
#define ENGINE_RING_SIM_NET_H

#include "base/list.h"
#include "engine/ring_sim.h"

/* What a socket tells those who watch it. */
#define SIM_EVENT_IN  0x1 /* something to read or accept, an end, or an error */
#define SIM_EVENT_OUT 0x2 /* room to write, or an error */

enum sim_socket_kind {
    SIM_LISTENER,
    SIM_SERVER,
    SIM_CLIENT,
    SIM_FILE,
    SIM_FOLDER /* of the test's */
};

struct sim_file;

struct sim_watcher {
    struct list node;
    uint32_t events;
    void (*on_event)(struct sim_watcher *watcher);
};

/* One end of a connection, or a listener. Each end owns the bytes on their way to it. */
struct sim_socket {
    enum sim_socket_kind kind;
    int fd;                  /* -1 while it waits in a backlog */
    uint32_t id;             /* makes the client's address ... */
    struct address address;  /* ... unless sim_client_name has said it */
    struct sim_socket *peer; /* borrowed; NULL once that end is closed */
    uint8_t *bytes;          /* owned; a circle of socket_size, NULL before the first byte */
    uint32_t head;
    uint32_t size;
    int32_t error; /* -errno that the next call reports, once */
    bool fin_received;
    bool fin_sent;
    bool recv_shut;
    bool broken; /* a reset came or went */

    struct list watchers;
    uint32_t inflight_count; /* operations of all rings that name this socket */
    bool recv_inflight;
    bool send_inflight;

    struct sim_file *file; /* borrowed; SIM_FILE, SIM_FOLDER */

    struct sim_socket *backlog;      /* owned; of a listener: the first not accepted yet */
    struct sim_socket *backlog_next; /* of such a socket */
    uint32_t backlog_count;
    uint32_t backlog_max;
};

struct sim {
    uint64_t random[4];
    uint64_t now_ns;
    struct sim_faults faults;
    FILE *trace;                 /* borrowed; or NULL */
    struct sim_socket **sockets; /* owned; by descriptor - SIM_FD_FIRST, NULL: closed */
    struct sim_file *files;      /* owned; ring_sim_file.c */
    uint32_t socket_count;
    uint32_t socket_max;
    uint32_t socket_size;
    uint32_t connection_count; /* ever made */
    uint32_t open_count;       /* descriptors of the server's side */
    uint32_t ring_count;       /* ever made */
    uint32_t ring_live_count;
};

/* Zeroed memory, always: this is test code and has no use for a recovery. */
void *sim_alloc(size_t count, size_t size);

/* True with a chance of per_mille / 1000; draws nothing when that is 0. */
bool sim_chance(struct sim *sim, uint16_t per_mille);
/* The time that one turn of a core takes. */
void sim_pass_turn(struct sim *sim);
/* One line of the trace; `ring` is -1 for the test's own side. */
void sim_note(struct sim *sim, int ring, const char *what, int fd, int64_t result);

/* The server's open socket with this descriptor; asserts that there is one. */
struct sim_socket *sim_socket_get(struct sim *sim, int fd);
void sim_socket_watch(struct sim_socket *socket, struct sim_watcher *watcher);
/* Let the watchers of these events look again. */
void sim_socket_notify(struct sim_socket *socket, uint32_t events);

/* As send(2) and recv(2) without waiting. The faults `reset` and `short_send` are drawn here. */
int64_t sim_socket_send(struct sim *sim, struct sim_socket *socket, const void *bytes, size_t size);
int64_t sim_socket_recv(struct sim *sim, struct sim_socket *socket, void *bytes, size_t size);
/* Draw the fault `reset`. */
void sim_socket_tempt(struct sim *sim, struct sim_socket *socket);
/* A new descriptor; -EAGAIN: the backlog is empty; -EINVAL: the listener has been shut down. */
int sim_socket_accept(struct sim *sim, struct sim_socket *listener);
/* The events that poll(2) would report, all of them. */
uint32_t sim_socket_poll(const struct sim_socket *socket);
void sim_socket_shutdown(struct sim_socket *socket, int how);
/* Break both ends at once. */
void sim_socket_reset(struct sim_socket *socket);
/* A descriptor of a file or folder. */
int sim_socket_of_file(struct sim *sim, enum sim_socket_kind kind, struct sim_file *file);
/* Close and free; nothing may be in flight. */
void sim_socket_close(struct sim *sim, struct sim_socket *socket);

/* As openat2(2) with RESOLVE_BENEATH and O_NONBLOCK, pread(2) and fstat(2). */
int sim_file_open(struct sim *sim, const struct sim_socket *folder, const char *path);
int64_t sim_file_read(const struct sim_socket *socket, void *bytes, size_t size, uint64_t offset);
void sim_file_status(const struct sim_socket *socket, struct ring_file_status *status);
void sim_files_free(struct sim *sim);

#endif
