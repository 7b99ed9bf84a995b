/* SPDX-License-Identifier: MIT */
/* Listening sockets: addresses as text, groups that share a port, socket files, and descriptors
 * that come from elsewhere. */
#ifndef ENGINE_LISTENER_H
#define ENGINE_LISTENER_H

#include "base/base.h"
#include "gyr/gyr.h"

#include <netinet/in.h>
#include <sys/un.h>

#define LISTENER_TEXT_SIZE 128 /* the longest address, "unix:" and a path, with its end */

union listener_sockaddr {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
    struct sockaddr_un local;
};

struct listener_address {
    union listener_sockaddr name;
    socklen_t size;
    char text[LISTENER_TEXT_SIZE]; /* as it was given */
};

/* Parse "127.0.0.1:9001", "[::1]:9001" or "unix:/path". Names of hosts are not looked up. Returns
 * 0, or GYR_ERR_ARGUMENT with a line in `error`. */
MUST_CHECK int listener_parse(const char *text, struct listener_address *address,
                              struct gyr_error *error);

/* Listen on an address that nobody else listens on; port 0 lets the kernel choose. "[::]" takes
 * IPv6 only. A socket file that its process left behind is replaced; a live one, or a file that is
 * no socket, is never touched.
 *
 *   reuseport  others will join this socket (listener_join); ignored for a socket file
 *   fd         out: closed on exec; accepted TCP sockets inherit TCP_NODELAY
 *
 * Returns 0; -EADDRINUSE also if the other one allows the port to be shared; or another -errno.
 * Each with a line in `error` that names the address. */
MUST_CHECK int listener_open(const struct listener_address *address, bool reuseport,
                             unsigned backlog, int *fd, struct gyr_error *error);

/* Open another listening socket on the very port of `first`, which listener_open made with
 * `reuseport`. The kernel spreads connections over all of them. Errors as listener_open. */
MUST_CHECK int listener_join(int first, unsigned backlog, int *fd, struct gyr_error *error);

/* Is this a listening stream socket of a kind we know? Prepares it like one of our own. Returns 0,
 * GYR_ERR_ARGUMENT or -errno with a line in `error`. */
MUST_CHECK int listener_adopt(int fd, struct gyr_error *error);

/* "127.0.0.1:9001", "[::1]:9001" or "unix:/path" of a listening socket, cut to `size`. */
void listener_local(int fd, char *text, size_t size) WRITES(2, 3);

/* Stop listening on a socket of our own, close it, and remove its socket file. An adopted
 * descriptor may be shared with another process that goes on listening: that one is to be closed by
 * close(2). */
void listener_close(int fd);

/* Remove the socket file of an address whose sockets have been closed elsewhere, unless somebody
 * listens there meanwhile. Does nothing for TCP. */
void listener_remove(const struct listener_address *address);

#endif
