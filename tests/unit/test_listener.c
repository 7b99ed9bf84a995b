/* SPDX-License-Identifier: MIT */
/* Listening sockets on the real kernel: what an address may look like, that a port or a socket file
 * has one server, whatever options that one uses, and that a group shares its port. */
#include "engine/listener.h"

#include "tests/parser_kit.h"
#include "tests/run_tests.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* More than any test connects: with a full queue connect would wait for minutes. */
#define BACKLOG 256

static int open_text(const char *text, bool reuseport, int *fd, struct gyr_error *error)
{
    struct listener_address address;
    int err = listener_parse(text, &address, error);
    return err != 0 ? err : listener_open(&address, reuseport, BACKLOG, fd, error);
}

/* A listener that a test cannot do without; its address is written to `text`. */
static int must_open(const char *where, bool reuseport, char text[LISTENER_TEXT_SIZE])
{
    struct gyr_error error = {.text = ""};
    int fd = -1;
    int err = open_text(where, reuseport, &fd, &error);
    EXPECT_INT(err, 0, error.text);
    if (err != 0) {
        abort();
    }
    listener_local(fd, text, LISTENER_TEXT_SIZE);
    return fd;
}

static int client_connect(const char *text)
{
    struct listener_address address;
    if (listener_parse(text, &address, NULL) != 0) {
        return -EINVAL;
    }
    int fd = socket(address.name.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, &address.name.any, address.size) != 0) {
        int err = -errno;
        (void)close(fd);
        return err;
    }
    return fd;
}

static int option_get(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);
    EXPECT_INT(getsockopt(fd, level, name, &value, &size), 0, "getsockopt");
    return value;
}

/* A directory for socket files; `path` becomes "unix:" and a path in it. */
struct place {
    char directory[32];
    char text[64];
    const char *path;
};

static void place_init(struct place *place)
{
    (void)snprintf(place->directory, sizeof(place->directory), "/tmp/gyr-test-XXXXXX");
    if (mkdtemp(place->directory) == NULL) {
        abort();
    }
    (void)snprintf(place->text, sizeof(place->text), "unix:%s/socket", place->directory);
    place->path = place->text + strlen("unix:");
}

static void place_deinit(struct place *place)
{
    (void)unlink(place->path);
    EXPECT_INT(rmdir(place->directory), 0, "nothing else was left behind");
}

void listener_parse_takes_addresses(void)
{
    static const struct {
        const char *text;
        sa_family_t family;
        unsigned port;
    } rows[] = {
        {"127.0.0.1:9001", AF_INET, 9001},
        {"0.0.0.0:0", AF_INET, 0},
        {"255.255.255.255:65535", AF_INET, 65535},
        {"[::1]:9001", AF_INET6, 9001},
        {"[::]:80", AF_INET6, 80},
        {"[2001:db8:1:2:3:4:5:6]:65535", AF_INET6, 65535},
        {"[::ffff:192.0.2.1]:1", AF_INET6, 1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct listener_address address;
        EXPECT_INT(listener_parse(rows[i].text, &address, NULL), 0, rows[i].text);
        EXPECT_INT(address.name.any.sa_family, rows[i].family, rows[i].text);
        in_port_t port =
            rows[i].family == AF_INET ? address.name.ipv4.sin_port : address.name.ipv6.sin6_port;
        EXPECT_INT(ntohs(port), rows[i].port, rows[i].text);
        EXPECT(strcmp(address.text, rows[i].text) == 0, rows[i].text);
    }
    struct listener_address address;
    EXPECT_INT(listener_parse("unix:/run/gyr.sock", &address, NULL), 0, "a path");
    EXPECT_INT(address.name.any.sa_family, AF_UNIX, "a path");
    EXPECT(strcmp(address.name.local.sun_path, "/run/gyr.sock") == 0, "a path");
    EXPECT_INT(address.size, offsetof(struct sockaddr_un, sun_path) + 14, "a path and its end");
}

void listener_parse_rejects_what_is_no_address(void)
{
    static const char *const rows[] = {
        "",
        ":",
        "8080",
        ":8080",
        "*:8080",
        "localhost:8080",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:99999999999",
        "127.0.0.1:-1",
        "127.0.0.1:+1",
        "127.0.0.1: 1",
        "127.0.0.1:1 ",
        " 127.0.0.1:1",
        "127.0.0.1:80a",
        "127.0.0.1:http",
        "127.1:80",
        "127.0.0.1.1:80",
        "256.0.0.1:80",
        "0x7f000001:80",
        "::1:80",
        "::1",
        "[::1]",
        "[::1]:",
        "[::1]80",
        "[::1:80",
        "::1]:80",
        "[]:80",
        "[127.0.0.1]:80",
        "[:::1]:80",
        "[::1]]:80",
        "[[::1]]:80",
        "[::1%lo]:80",
        "http://127.0.0.1:80",
        "127.0.0.1:80/",
        "unix:",
        "UNIX:/path",
        "/path",
        "127.0.0.1:80\n",
        "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc]:1",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct listener_address address;
        struct gyr_error error = {.text = ""};
        EXPECT_INT(listener_parse(rows[i], &address, &error), GYR_ERR_ARGUMENT, rows[i]);
        EXPECT(error.text[0] != '\0' && strchr(error.text, '\n') == NULL, rows[i]);
    }
}

void listener_parse_takes_paths_up_to_their_limit(void)
{
    struct sockaddr_un local;
    char text[256] = "unix:";
    memset(text + 5, 'p', sizeof(local.sun_path));
    text[5 + sizeof(local.sun_path)] = '\0';
    struct listener_address address;
    struct gyr_error error = {.text = ""};
    EXPECT_INT(listener_parse(text, &address, &error), GYR_ERR_ARGUMENT, "no room for the end");
    EXPECT(strstr(error.text, "107") != NULL, error.text);
    text[5 + sizeof(local.sun_path) - 1] = '\0';
    EXPECT_INT(listener_parse(text, &address, &error), 0, "just fits");
    EXPECT(strcmp(address.text, text) == 0, "text as given");
}

void listener_open_chooses_a_port_and_tells_it(void)
{
    char text[LISTENER_TEXT_SIZE];
    int fd = must_open("127.0.0.1:0", false, text);
    unsigned port = 0;
    EXPECT_INT(sscanf(text, "127.0.0.1:%u", &port), 1, text);
    EXPECT(port > 0, text);
    int client = client_connect(text);
    EXPECT(client >= 0, "it listens");
    (void)close(client);
    char cut[6];
    listener_local(fd, cut, sizeof(cut));
    EXPECT(strcmp(cut, "127.0") == 0, "cut to the room there is");
    listener_close(fd);
    EXPECT_INT(client_connect(text), -ECONNREFUSED, "it listens no more");
}

void listener_passes_nodelay_on_and_is_not_inherited(void)
{
    static const char *const where[] = {"127.0.0.1:0", "[::1]:0"};
    for (size_t i = 0; i < COUNT_OF(where); i++) {
        char text[LISTENER_TEXT_SIZE];
        int fd = must_open(where[i], true, text);
        EXPECT((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0, "closed on exec");
        int client = client_connect(text);
        int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        EXPECT(accepted >= 0, text);
        EXPECT(option_get(accepted, IPPROTO_TCP, TCP_NODELAY) != 0, "TCP_NODELAY");
        (void)close(accepted);
        (void)close(client);
        listener_close(fd);
    }
}

/* With and without SO_REUSEPORT on either side: the second server never gets the port. */
void listener_open_refuses_a_port_that_is_taken(void)
{
    for (unsigned round = 0; round < 4; round++) {
        char text[LISTENER_TEXT_SIZE];
        int fd = must_open("127.0.0.1:0", (round & 1) != 0, text);
        struct gyr_error error = {.text = ""};
        int second = -1;
        EXPECT_INT(open_text(text, (round & 2) != 0, &second, &error), -EADDRINUSE, text);
        EXPECT_INT(second, -1, "no descriptor");
        EXPECT(strstr(error.text, text) != NULL, error.text);
        EXPECT(strstr(error.text, "choose another port") != NULL, error.text);
        char any[LISTENER_TEXT_SIZE];
        (void)snprintf(any, sizeof(any), "0.0.0.0:%s", strrchr(text, ':') + 1);
        EXPECT_INT(open_text(any, true, &second, &error), -EADDRINUSE, any);
        listener_close(fd);
        second = must_open(text, true, text);
        listener_close(second);
    }
}

static _Noreturn void race_run(const char *text, int report, int release)
{
    int fd = -1;
    char won = open_text(text, true, &fd, NULL) == 0;
    char byte;
    if (write(report, &won, 1) != 1 || read(release, &byte, 1) != 0) {
        _exit(2);
    }
    _exit(0);
}

/* Several processes at once: one gets the port, however the steps of their openings mix. */
void listener_open_has_one_winner(void)
{
    enum {
        RACERS = 6,
        ROUNDS = 10
    };
    for (unsigned round = 0; round < ROUNDS; round++) {
        char text[LISTENER_TEXT_SIZE];
        listener_close(must_open("127.0.0.1:0", true, text));
        int report[2];
        int release[2];
        if (pipe(report) != 0 || pipe(release) != 0) {
            abort();
        }
        pid_t racers[RACERS];
        for (unsigned i = 0; i < RACERS; i++) {
            racers[i] = fork();
            if (racers[i] == 0) {
                (void)close(release[1]);
                race_run(text, report[1], release[0]);
            }
        }
        unsigned winners = 0;
        for (unsigned i = 0; i < RACERS; i++) {
            char won = 0;
            EXPECT_INT(read(report[0], &won, 1), 1, "a report");
            winners += won != 0;
        }
        EXPECT_INT(winners, 1, text);
        (void)close(release[1]); /* the end of this pipe lets all of them go */
        for (unsigned i = 0; i < RACERS; i++) {
            EXPECT_INT(waitpid(racers[i], NULL, 0), racers[i], "waitpid");
        }
        (void)close(release[0]);
        (void)close(report[0]);
        (void)close(report[1]);
    }
}

void listener_group_shares_its_port(void)
{
    enum {
        SOCKETS = 4,
        CLIENTS = 200
    };
    char text[LISTENER_TEXT_SIZE];
    int sockets[SOCKETS] = {must_open("127.0.0.1:0", true, text)};
    for (unsigned i = 1; i < SOCKETS; i++) {
        struct gyr_error error = {.text = ""};
        EXPECT_INT(listener_join(sockets[0], BACKLOG, &sockets[i], &error), 0, error.text);
        char joined[LISTENER_TEXT_SIZE];
        listener_local(sockets[i], joined, sizeof(joined));
        EXPECT(strcmp(joined, text) == 0, joined);
        EXPECT((fcntl(sockets[i], F_GETFD) & FD_CLOEXEC) != 0, "closed on exec");
    }
    int clients[CLIENTS];
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = client_connect(text);
        EXPECT_INT(MIN(clients[i], 0), 0, "connected");
    }
    unsigned sum = 0;
    for (unsigned i = 0; i < SOCKETS; i++) {
        EXPECT_INT(fcntl(sockets[i], F_SETFL, O_NONBLOCK), 0, "O_NONBLOCK");
        unsigned count = 0;
        for (int fd; (fd = accept4(sockets[i], NULL, NULL, SOCK_CLOEXEC)) >= 0; count++) {
            (void)close(fd);
        }
        EXPECT(count > 0, "every socket of the group gets connections");
        sum += count;
        listener_close(sockets[i]);
    }
    EXPECT_INT(sum, CLIENTS, "no connection is lost");
    for (unsigned i = 0; i < CLIENTS; i++) {
        (void)close(clients[i]);
    }
}

void listener_join_needs_a_group(void)
{
    char text[LISTENER_TEXT_SIZE];
    int fd = must_open("127.0.0.1:0", false, text);
    struct gyr_error error = {.text = ""};
    int second = -1;
    EXPECT_INT(listener_join(fd, BACKLOG, &second, &error), -EADDRINUSE, "not opened for sharing");
    EXPECT(strstr(error.text, text) != NULL, error.text);
    listener_close(fd);
}

void listener_takes_ipv4_and_ipv6_side_by_side(void)
{
    char text[LISTENER_TEXT_SIZE];
    int ipv6 = must_open("[::]:0", false, text);
    char other[LISTENER_TEXT_SIZE];
    (void)snprintf(other, sizeof(other), "0.0.0.0:%s", strrchr(text, ':') + 1);
    int ipv4 = must_open(other, false, other);
    listener_close(ipv4);
    listener_close(ipv6);
}

/* The server's end of a connection stays in TIME_WAIT; that must not keep its successor out. */
void listener_open_is_not_kept_out_by_old_connections(void)
{
    char text[LISTENER_TEXT_SIZE];
    int fd = must_open("127.0.0.1:0", true, text);
    int client = client_connect(text);
    int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    EXPECT(accepted >= 0, "accepted");
    (void)close(accepted);
    char byte;
    EXPECT_INT(read(client, &byte, 1), 0, "the server has closed first");
    (void)close(client);
    listener_close(fd);
    listener_close(must_open(text, true, text));
}

void listener_open_names_an_address_that_is_not_ours(void)
{
    struct gyr_error error = {.text = ""};
    int fd = -1;
    EXPECT_INT(open_text("192.0.2.1:8080", false, &fd, &error), -EADDRNOTAVAIL, error.text);
    EXPECT(strstr(error.text, "192.0.2.1:8080") != NULL, error.text);
    EXPECT(strstr(error.text, "no interface") != NULL, error.text);
}

void listener_socket_file_comes_and_goes(void)
{
    struct place place;
    place_init(&place);
    char text[LISTENER_TEXT_SIZE];
    int fd = must_open(place.text, true, text);
    EXPECT(strcmp(text, place.text) == 0, text);
    int client = client_connect(text);
    EXPECT(client >= 0, "it listens");
    (void)close(client);
    listener_close(fd);
    EXPECT_INT(access(place.path, F_OK), -1, "the file has gone");
    place_deinit(&place);
}

void listener_replaces_a_stale_socket_file(void)
{
    struct place place;
    place_init(&place);
    char text[LISTENER_TEXT_SIZE];
    (void)close(must_open(place.text, false, text)); /* as a killed process leaves it */
    EXPECT_INT(access(place.path, F_OK), 0, "the file is still there");
    int fd = must_open(place.text, false, text);
    int client = client_connect(text);
    EXPECT(client >= 0, "the new one listens");
    (void)close(client);
    listener_close(fd);
    place_deinit(&place);
}

void listener_never_replaces_a_live_socket_file(void)
{
    struct place place;
    place_init(&place);
    char text[LISTENER_TEXT_SIZE];
    int fd = must_open(place.text, false, text);
    int clients[BACKLOG + 1];
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        clients[i] = client_connect(text); /* fills its queue: the next would have to wait */
    }
    struct gyr_error error = {.text = ""};
    int second = -1;
    EXPECT_INT(open_text(place.text, false, &second, &error), -EADDRINUSE, error.text);
    EXPECT(strstr(error.text, place.text) != NULL, error.text);
    EXPECT(strstr(error.text, "another process listens there") != NULL, error.text);
    EXPECT_INT(access(place.path, F_OK), 0, "the file is untouched");
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        (void)close(clients[i]);
    }
    listener_close(fd);
    place_deinit(&place);
}

void listener_never_replaces_a_file_that_is_no_socket(void)
{
    struct place place;
    place_init(&place);
    int file = open(place.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    EXPECT_INT(write(file, "data", 4), 4, "a file with content");
    (void)close(file);
    struct gyr_error error = {.text = ""};
    int fd = -1;
    EXPECT_INT(open_text(place.text, false, &fd, &error), -EADDRINUSE, error.text);
    EXPECT(strstr(error.text, "no socket") != NULL, error.text);
    struct stat status;
    EXPECT_INT(stat(place.path, &status), 0, "still there");
    EXPECT_INT(status.st_size, 4, "with its content");
    EXPECT_INT(unlink(place.path), 0, "unlink");
    EXPECT_INT(symlink("/nowhere/at/all", place.path), 0, "a link to nothing");
    EXPECT_INT(open_text(place.text, false, &fd, &error), -EADDRINUSE, error.text);
    EXPECT_INT(lstat(place.path, &status), 0, "still there");
    place_deinit(&place);
}

/* A successor has taken the path over: our end must not remove its file. */
void listener_close_leaves_the_file_of_a_successor(void)
{
    struct place place;
    place_init(&place);
    char text[LISTENER_TEXT_SIZE];
    int old = must_open(place.text, false, text);
    EXPECT_INT(unlink(place.path), 0, "unlink");
    int successor = must_open(place.text, false, text);
    listener_close(old);
    int client = client_connect(text);
    EXPECT(client >= 0, "the successor is still found");
    (void)close(client);
    listener_close(successor);
    place_deinit(&place);
}

void listener_open_names_a_path_that_cannot_be(void)
{
    struct gyr_error error = {.text = ""};
    int fd = -1;
    EXPECT_INT(open_text("unix:/nowhere/at/all", false, &fd, &error), -ENOENT, error.text);
    EXPECT(strstr(error.text, "unix:/nowhere/at/all") != NULL, error.text);
    EXPECT(strstr(error.text, "directory") != NULL, error.text);
}

void listener_adopt_takes_what_listens(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct gyr_error error = {.text = ""};
    EXPECT_INT(bind(fd, (const struct sockaddr *)&name, sizeof(name)), 0, "bind");
    EXPECT_INT(listener_adopt(fd, &error), GYR_ERR_ARGUMENT, "it does not listen yet");
    EXPECT(strstr(error.text, "listen on it first") != NULL, error.text);
    EXPECT_INT(listen(fd, BACKLOG), 0, "listen");
    EXPECT_INT(listener_adopt(fd, &error), 0, error.text);
    EXPECT((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0, "closed on exec");
    EXPECT(option_get(fd, IPPROTO_TCP, TCP_NODELAY) != 0, "TCP_NODELAY");
    (void)close(fd);

    struct place place;
    place_init(&place);
    char text[LISTENER_TEXT_SIZE];
    fd = must_open(place.text, false, text);
    EXPECT_INT(listener_adopt(fd, &error), 0, error.text);
    listener_close(fd);
    place_deinit(&place);
}

void listener_adopt_rejects_what_cannot_listen(void)
{
    struct gyr_error error = {.text = ""};
    EXPECT_INT(listener_adopt(-1, &error), -EBADF, error.text);
    int ends[2];
    EXPECT_INT(pipe(ends), 0, "pipe");
    EXPECT_INT(listener_adopt(ends[0], &error), -ENOTSOCK, error.text);
    (void)close(ends[0]);
    (void)close(ends[1]);
    int datagram = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    EXPECT_INT(listener_adopt(datagram, &error), GYR_ERR_ARGUMENT, error.text);
    (void)close(datagram);
    EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0, "socketpair");
    EXPECT_INT(listener_adopt(ends[0], &error), GYR_ERR_ARGUMENT, error.text);
    (void)close(ends[0]);
    (void)close(ends[1]);
}
