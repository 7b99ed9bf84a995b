/* SPDX-License-Identifier: MIT */
/* A crowd: a server on real sockets whose WebSockets have text ids and rooms, and blocking clients
 * that know their handles. A client asks for "/ID/ROOM"; either may be empty. The server's first
 * message is its handle. */
#ifndef TESTS_CROWD_KIT_H
#define TESTS_CROWD_KIT_H

#include "base/base.h"
#include "gyr/gyr.h"

#include <stdatomic.h>

#define CROWD_CORES       2
#define CROWD_MESSAGE_MAX 256
#define CROWD_SOCKETS_MAX 1024

struct crowd {
    struct gyr_config config;
    struct gyr_service service; /* to be changed before crowd_start */
    struct gyr_server *server;
    char address[128];
    _Atomic uint32_t refused[CROWD_CORES];   /* handshakes that were not accepted, by core */
    _Atomic bool sockets[CROWD_SOCKETS_MAX]; /* by descriptor: of clients that have not left */
};

/* Returns false, and marks the test as skipped, if this machine cannot run it. */
bool crowd_init(struct crowd *crowd);
void crowd_start(struct crowd *crowd);
/* Its clients leave, too. */
void crowd_end(struct crowd *crowd);

struct crowd_client {
    struct crowd *crowd; /* borrowed */
    int fd;
    struct gyr_handle handle;
    size_t size;
    uint8_t bytes[4096]; /* read, and not looked at yet */
};

/* Connect and ask; returns the status code: 101 if it is a WebSocket now, 0 if the connection has
 * ended. */
unsigned crowd_connect(struct crowd *crowd, struct crowd_client *client, const char *id,
                       const char *room);
/* The same until one is on this core; those on others are closed. The program ends if it is not
 * accepted. */
void crowd_connect_on(struct crowd *crowd, struct crowd_client *client, unsigned core,
                      const char *id, const char *room);
/* The next message; its opcode, with the payload as text; 0 if the connection has ended. The
 * program ends if nothing comes for KIT_PATIENCE_S. Any thread. */
unsigned crowd_read(struct crowd_client *client, char text[CROWD_MESSAGE_MAX]);
/* Is the next message this one? */
bool crowd_reads(struct crowd_client *client, const char *text);
void crowd_say(struct crowd_client *client, const char *text);
void crowd_leave(struct crowd_client *client);

/* Run fn(conn, arg) on its core, and wait until it has run; conn may be NULL. False: it was not
 * accepted. */
bool crowd_run(struct crowd *crowd, struct gyr_handle handle,
               void (*fn)(struct gyr_conn *conn, void *arg), void *arg);
/* The same with a core. */
void crowd_run_core(struct crowd *crowd, unsigned core,
                    void (*fn)(struct gyr_core *core, void *arg), void *arg);
/* Wait until condition(arg) holds; the program ends if it does not for KIT_PATIENCE_S. */
void crowd_until(bool (*condition)(void *arg), void *arg);
/* Wait until nothing of this connection is left. */
void crowd_until_ended(struct crowd *crowd, struct gyr_handle handle);
unsigned crowd_core(struct gyr_handle handle);

#endif
