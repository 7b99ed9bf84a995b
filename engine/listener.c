/* SPDX-License-Identifier: MIT */
/* Listening sockets.
 *
 * The sockets of a group share their port by SO_REUSEPORT, which would as readily let a second
 * server of the same user join in and take half of the connections unnoticed. So the first socket
 * of a group binds and listens without that option, which the kernel refuses if anybody listens
 * there, and gets it only then: from there on sockets with the option may join, and whoever comes
 * without it is refused. There is no moment in which two servers could both succeed. That the
 * option may come so late was tried on Linux 6.18; reuseport_add_sock in net/core/sock_reuseport.c
 * has provided for it since 4.5.
 *
 * A socket file outlives its process. Whether anybody listens behind one is asked by connecting.
 *
 * A process on io_uring that is killed may be reaped some 5 to 17 ms (measured, Linux 6.18) before
 * its ring has let go of its listener. So that a supervisor can start the next one at once, an
 * address that is in use is tried again for a moment. */
#include "engine/listener.h"
#include "engine/error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNIX_PREFIX          "unix:"
#define HOST_TEXT_SIZE       INET6_ADDRSTRLEN
#define IN_USE_TRIES_MAX     6
#define IN_USE_WAIT_FIRST_MS 5 /* and twice as long each time: 155 ms in all */

static int parse_path(const char *path, struct listener_address *address, struct gyr_error *error);
static int parse_port(const char *text, in_port_t *port);
static int address_of(int fd, struct listener_address *address);
static int open_bound(const struct listener_address *address, bool join, int *fd);
static int open_listening(const struct listener_address *address, bool reuseport, unsigned backlog,
                          int *fd);
static int option_set(int fd, int level, int name);
static bool is_inet(const struct listener_address *address);
static bool file_is_stale(const struct listener_address *address);
static int explain(const struct listener_address *address, int err, struct gyr_error *error);
static void address_format(const union listener_sockaddr *name, socklen_t name_size, char *text,
                           size_t size);

int listener_parse(const char *text, struct listener_address *address, struct gyr_error *error)
{
    *address = (struct listener_address){0};
    (void)snprintf(address->text, sizeof(address->text), "%s", text);
    if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0) {
        return parse_path(text + strlen(UNIX_PREFIX), address, error);
    }
    char host[HOST_TEXT_SIZE];
    const char *colon = strrchr(text, ':');
    bool brackets = text[0] == '[' && colon != NULL && colon > text + 1 && colon[-1] == ']';
    const char *start = brackets ? text + 1 : text;
    const char *end = brackets ? colon - 1 : colon;
    in_port_t port;
    if (end == NULL || (size_t)(end - start) >= sizeof(host) || parse_port(colon + 1, &port) != 0) {
        goto fail;
    }
    memcpy(host, start, (size_t)(end - start));
    host[end - start] = '\0';
    if (brackets) {
        address->name.ipv6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
        address->size = sizeof(address->name.ipv6);
        if (inet_pton(AF_INET6, host, &address->name.ipv6.sin6_addr) == 1) {
            return 0;
        }
    } else {
        address->name.ipv4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
        address->size = sizeof(address->name.ipv4);
        if (inet_pton(AF_INET, host, &address->name.ipv4.sin_addr) == 1) {
            return 0;
        }
    }
fail:
    return ERROR_SET(error, GYR_ERR_ARGUMENT,
                     "%.100s is not an address to listen on; write it as 127.0.0.1:8080, "
                     "0.0.0.0:8080, [::1]:8080 or unix:/path",
                     text);
}

int listener_open(const struct listener_address *address, bool reuseport, unsigned backlog, int *fd,
                  struct gyr_error *error)
{
    int err = -EADDRINUSE;
    for (unsigned try = 0; err == -EADDRINUSE && try < IN_USE_TRIES_MAX; try++) {
        if (try > 0) {
            (void)usleep((IN_USE_WAIT_FIRST_MS * 1000U) << (try - 1));
        }
        listener_remove(address);
        err = open_listening(address, reuseport, backlog, fd);
    }
    return err == 0 ? 0 : explain(address, err, error);
}

int listener_join(int first, unsigned backlog, int *fd, struct gyr_error *error)
{
    struct listener_address address;
    int err = address_of(first, &address);
    if (err == 0) {
        ASSERT(is_inet(&address));
        err = open_bound(&address, true, fd);
    }
    if (err == 0 && listen(*fd, (int)backlog) != 0) {
        err = -errno;
        (void)close(*fd);
    }
    return err == 0 ? 0 : explain(&address, err, error);
}

int listener_adopt(int fd, struct gyr_error *error)
{
    int type = 0;
    int listening = 0;
    struct listener_address address;
    socklen_t size = sizeof(type);
    int err = address_of(fd, &address);
    if (err == 0 && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
        err = -errno;
    }
    size = sizeof(listening);
    if (err == 0 && getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0) {
        err = -errno;
    }
    if (err != 0) {
        return ERROR_SET(error, err, "descriptor %d is not a socket that can be used: %s", fd,
                         strerrordesc_np(-err));
    }
    if (type != SOCK_STREAM || listening == 0 ||
        (!is_inet(&address) && address.name.any.sa_family != AF_UNIX)) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "descriptor %d is not a listening TCP or Unix stream socket; bind it and "
                         "listen on it first",
                         fd);
    }
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        err = -errno;
    }
    if (err == 0 && is_inet(&address)) {
        err = option_set(fd, IPPROTO_TCP, TCP_NODELAY);
    }
    return err == 0 ? 0 : explain(&address, err, error);
}

void listener_local(int fd, char *text, size_t size)
{
    struct listener_address address;
    if (address_of(fd, &address) == 0) {
        (void)snprintf(text, size, "%s", address.text);
    } else if (size > 0) {
        text[0] = '\0';
    }
}

void listener_close(int fd)
{
    struct listener_address address;
    bool known = address_of(fd, &address) == 0;
    /* Ends listening at once, though a ring may still hold a reference to the socket for a while: a
     * connection made meanwhile would be reset. */
    (void)shutdown(fd, SHUT_RDWR);
    (void)close(fd);
    if (known) {
        listener_remove(&address);
    }
}

void listener_remove(const struct listener_address *address)
{
    if (file_is_stale(address)) {
        (void)unlink(address->name.local.sun_path);
    }
}

/* ---- parsing --------------------------------------------------------------------------------- */

static int parse_path(const char *path, struct listener_address *address, struct gyr_error *error)
{
    struct sockaddr_un *local = &address->name.local;
    size_t size = strlen(path);
    if (size == 0 || size >= sizeof(local->sun_path)) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "unix:%.120s: the path has %zu characters; use 1 to %zu", path, size,
                         sizeof(local->sun_path) - 1);
    }
    local->sun_family = AF_UNIX;
    memcpy(local->sun_path, path, size + 1);
    address->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + 1);
    return 0;
}

static int parse_port(const char *text, in_port_t *port)
{
    unsigned value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && value <= UINT16_MAX; at++) {
        value = value * 10 + (unsigned)(*at - '0');
    }
    *port = htons((uint16_t)value);
    return at > text && *at == '\0' && value <= UINT16_MAX ? 0 : GYR_ERR_ARGUMENT;
}

/* ---- sockets --------------------------------------------------------------------------------- */

static bool is_inet(const struct listener_address *address)
{
    return address->name.any.sa_family == AF_INET || address->name.any.sa_family == AF_INET6;
}

static int address_of(int fd, struct listener_address *address)
{
    *address = (struct listener_address){.size = sizeof(address->name)};
    if (getsockname(fd, &address->name.any, &address->size) != 0) {
        return -errno;
    }
    address_format(&address->name, address->size, address->text, sizeof(address->text));
    return 0;
}

static int option_set(int fd, int level, int name)
{
    int on = 1;
    return setsockopt(fd, level, name, &on, sizeof(on)) == 0 ? 0 : -errno;
}

/* Make a socket and bind it; with `join` to a port that our group has already. */
static int open_bound(const struct listener_address *address, bool join, int *fd)
{
    sa_family_t family = address->name.any.sa_family;
    int opened = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (opened < 0) {
        return -errno;
    }
    int err = 0;
    if (is_inet(address)) {
        /* Connections of an earlier server may linger on the port in TIME_WAIT. */
        err = option_set(opened, SOL_SOCKET, SO_REUSEADDR);
        err = err != 0 ? err : option_set(opened, IPPROTO_TCP, TCP_NODELAY);
    }
    if (err == 0 && family == AF_INET6) {
        /* Whatever the system's default: "[::]" and "0.0.0.0" may be listened on side by side. */
        err = option_set(opened, IPPROTO_IPV6, IPV6_V6ONLY);
    }
    if (err == 0 && join) {
        err = option_set(opened, SOL_SOCKET, SO_REUSEPORT);
    }
    if (err == 0 && bind(opened, &address->name.any, address->size) != 0) {
        err = -errno;
    }
    if (err != 0) {
        (void)close(opened);
        return err;
    }
    *fd = opened;
    return 0;
}

/* Make the first socket of a group; see the top of this file for the order. */
static int open_listening(const struct listener_address *address, bool reuseport, unsigned backlog,
                          int *fd)
{
    int opened = -1;
    int err = open_bound(address, false, &opened);
    if (err != 0) {
        return err;
    }
    if (listen(opened, (int)backlog) != 0) {
        err = -errno;
    }
    if (err == 0 && reuseport && is_inet(address)) {
        err = option_set(opened, SOL_SOCKET, SO_REUSEPORT);
    }
    if (err != 0) {
        listener_close(opened);
        return err;
    }
    *fd = opened;
    return 0;
}

/* Is there a socket file behind which nobody listens? */
static bool file_is_stale(const struct listener_address *address)
{
    const struct sockaddr_un *local = &address->name.local;
    struct stat status;
    if (local->sun_family != AF_UNIX || local->sun_path[0] == '\0' ||
        lstat(local->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) {
        return false;
    }
    /* Not blocking: a live listener whose queue is full would let us wait; it answers EAGAIN. */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return false;
    }
    bool stale = connect(fd, &address->name.any, address->size) != 0 && errno == ECONNREFUSED;
    (void)close(fd);
    return stale;
}

/* ---- text ------------------------------------------------------------------------------------ */

static int explain(const struct listener_address *address, int err, struct gyr_error *error)
{
    bool is_file = address->name.any.sa_family == AF_UNIX;
    struct stat status;
    const char *advice = "";
    switch (-err) {
    case EADDRINUSE:
        if (is_file && lstat(address->name.local.sun_path, &status) == 0 &&
            !S_ISSOCK(status.st_mode)) {
            advice = "; a file that is no socket lies there: choose another path, or remove it";
        } else {
            advice = is_file ? "; another process listens there: stop it, or choose another path"
                             : "; another process uses this port: stop it, or choose another port";
        }
        break;
    case EADDRNOTAVAIL:
        advice = "; no interface of this machine has this address: use one that `ip address` lists";
        break;
    case EACCES:
        advice = is_file ? "; choose a directory that this user may write to"
                         : "; choose a port from 1024 on, or grant CAP_NET_BIND_SERVICE";
        break;
    case ENOENT:
        advice = "; make the directory first";
        break;
    default:
        advice = error_advice(err);
        break;
    }
    return ERROR_SET(error, err, "cannot listen on %s: %s%s", address->text, strerrordesc_np(-err),
                     advice);
}

static void address_format(const union listener_sockaddr *name, socklen_t name_size, char *text,
                           size_t size)
{
    char host[HOST_TEXT_SIZE] = "";
    switch (name->any.sa_family) {
    case AF_INET:
        (void)inet_ntop(AF_INET, &name->ipv4.sin_addr, host, sizeof(host));
        (void)snprintf(text, size, "%s:%u", host, ntohs(name->ipv4.sin_port));
        break;
    case AF_INET6:
        (void)inet_ntop(AF_INET6, &name->ipv6.sin6_addr, host, sizeof(host));
        (void)snprintf(text, size, "[%s]:%u", host, ntohs(name->ipv6.sin6_port));
        break;
    case AF_UNIX: {
        /* The kernel need not end the path with a zero; a name may be missing or abstract. */
        size_t head = offsetof(struct sockaddr_un, sun_path);
        size_t path_size = name_size > head ? name_size - head : 0;
        path_size = strnlen(name->local.sun_path, path_size);
        (void)snprintf(text, size, UNIX_PREFIX "%.*s", (int)path_size, name->local.sun_path);
        break;
    }
    default:
        (void)snprintf(text, size, "family %u", name->any.sa_family);
        break;
    }
}
