/* SPDX-License-Identifier: MIT */
/* Servers as guests: several in one process, again and again, on the host's own threads, and
 * without a trace when they have gone. The states of one life are in test_server.c. */
#include "gyr/gyr.h"

#include "tests/engine_kit.h"
#include "tests/parser_kit.h"
#include "tests/run_tests.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* every life takes longer, and the sanitizer's own memory grows */
#else
#define SANITIZED 0
#endif

static const char UPGRADE[] = KIT_UPGRADE_WITH("");
static const char ASK[] = KIT_GET("/");
/* What answer_user answers: `user` of a service. */
static char FIRST[] = "the first";
static char SECOND[] = "the second";

/* ---- several at a time ---- */

static int answer_user(struct gyr_conn *conn, const struct gyr_request *request)
{
    if (gyr_request_is_upgrade(request)) {
        return gyr_upgrade(conn, NULL);
    }
    const char *text = gyr_server_user(gyr_core_server(gyr_conn_core(conn)));
    return gyr_respond_text(conn, 200, "text/plain", (struct gyr_span){text, strlen(text)});
}

static int refuse(struct gyr_conn *conn, const struct gyr_request *request)
{
    (void)conn;
    (void)request;
    return GYR_ERR_HTTP_NOT_FOUND;
}

static int echo(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span message)
{
    return gyr_reply(conn, opcode, message);
}

static int shout(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span message)
{
    (void)message;
    return gyr_send(conn, opcode, GYR_SPAN("WHAT?"));
}

static void ask(const char *address, const char *bytes, const char *expected)
{
    int fd = kit_client(address);
    EXPECT(kit_client_ask(fd, bytes, expected), expected);
    (void)close(fd);
}

/* Open a WebSocket, send one message, and wait for what begins the answer. */
static void ask_ws(const char *address, const char *frame, const char *expected)
{
    int fd = kit_client(address);
    EXPECT(kit_client_ask(fd, UPGRADE, "\r\n\r\n"), "accepted");
    EXPECT(kit_client_ask(fd, frame, expected), expected);
    (void)close(fd);
}

void server_life_each_of_two_keeps_its_own_configuration_and_service(void)
{
    if (!kit_server_possible(1)) {
        return;
    }
    struct gyr_config small = kit_server_config(1);
    struct gyr_config large = kit_server_config(1);
    small.message_size_max = 4;
    small.target_size_max = 16;
    struct gyr_service first = {
        .size = sizeof(first), .user = FIRST, .on_request = answer_user, .on_message = echo};
    struct gyr_service second = {.size = sizeof(second),
                                 .user = SECOND,
                                 .conn_data_size = 1000,
                                 .on_request = answer_user,
                                 .on_message = shout};
    char addresses[2][128];
    struct gyr_server *servers[2] = {
        kit_server_start(&small, &first, "127.0.0.1:0", addresses[0]),
        kit_server_start(&large, &second, "127.0.0.1:0", addresses[1]),
    };
    EXPECT(strcmp(addresses[0], addresses[1]) != 0, "two ports");
    for (unsigned round = 0; round < 10; round++) {
        ask(addresses[0], ASK, "\r\n\r\nthe first");
        ask(addresses[1], ASK, "\r\n\r\nthe second");
        ask(addresses[0], KIT_GET("/12345678901234567890"), "HTTP/1.1 414 ");
        ask(addresses[1], KIT_GET("/12345678901234567890"), "\r\n\r\nthe second");
        ask_ws(addresses[0], "\x81\x84\1\1\1\1ihih", "\x81\x04hihi");
        ask_ws(addresses[1], "\x81\x84\1\1\1\1ihih", "\x81\x05WHAT?");
        ask_ws(addresses[0], "\x81\x85\1\1\1\1ihihi", "\x88\x02\x03\xf1"); /* 1009 */
        ask_ws(addresses[1], "\x81\x85\1\1\1\1ihihi", "\x81\x05WHAT?");
    }
    struct gyr_stats stats[2];
    for (unsigned i = 0; i < 2; i++) {
        gyr_server_stats(servers[i], UINT_MAX, &stats[i], sizeof(stats[i]));
        EXPECT_INT(stats[i].http_errors, i == 0 ? 10 : 0, "each counts its own");
        EXPECT_INT(stats[i].upgrades, 20, "each counts its own");
        EXPECT_INT(stats[i].ws_errors, i == 0 ? 10 : 0, "each counts its own");
    }
    kit_server_end(servers[0]);
    ask(addresses[1], ASK, "\r\n\r\nthe second");
    kit_server_end(servers[1]);
}

void server_life_begins_again_on_its_port_while_another_lives(void)
{
    if (!kit_server_possible(1)) {
        return;
    }
    struct gyr_config config = kit_server_config(1);
    struct gyr_service service = {
        .size = sizeof(service), .user = FIRST, .on_request = answer_user, .on_message = echo};
    struct gyr_service other = {.size = sizeof(other), .on_request = refuse};
    char fixed[2][128] = {"127.0.0.1:0", "127.0.0.1:0"};
    char beside[128];
    struct gyr_server *neighbour = kit_server_start(&config, &other, "127.0.0.1:0", beside);
    struct gyr_server *servers[2] = {0};
    int clients[2] = {-1, -1};
    for (unsigned round = 0; round < 40; round++) {
        unsigned i = round % 2;
        if (servers[i] != NULL) {
            kit_server_end(servers[i]);
        }
        /* At once: connections of the last life, which it has closed, are in TIME_WAIT. */
        servers[i] = kit_server_start(&config, &service, fixed[i], fixed[i]);
        if (clients[i] >= 0) {
            EXPECT(!kit_client_ask(clients[i], "", "more"),
                   "a client of the last life sees its end");
            (void)close(clients[i]);
        }
        clients[i] = kit_client(fixed[i]);
        EXPECT(kit_client_ask(clients[i], ASK, "\r\n\r\nthe first"), "a real answer");
        ask_ws(fixed[i], "\x81\x82\1\1\1\1ih", "\x81\x02hi");
        ask(beside, ASK, "HTTP/1.1 404 ");
    }
    for (unsigned i = 0; i < 2; i++) {
        (void)close(clients[i]);
        kit_server_end(servers[i]);
    }
    kit_server_end(neighbour);
}

/* ---- threads of the host ---- */

struct host {
    struct gyr_server *server;
    unsigned index;
    int result;
    bool unchanged;
    pthread_t thread;
};

struct thread_state {
    char name[16];
    sigset_t mask;
    cpu_set_t cpus;
    int cancel;
};

static void thread_look(struct thread_state *state)
{
    memset(state, 0, sizeof(*state));
    (void)pthread_getname_np(pthread_self(), state->name, sizeof(state->name));
    (void)pthread_sigmask(SIG_SETMASK, NULL, &state->mask);
    (void)pthread_getaffinity_np(pthread_self(), sizeof(state->cpus), &state->cpus);
    int old;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
    (void)pthread_setcancelstate(old, NULL);
    state->cancel = old;
}

static bool masks_equal(const sigset_t *a, const sigset_t *b)
{
    bool equal = true;
    for (int number = 1; number <= SIGRTMAX; number++) {
        equal = equal && sigismember(a, number) == sigismember(b, number);
    }
    return equal;
}

static void *host_main(void *arg)
{
    struct host *host = arg;
    struct thread_state before;
    struct thread_state after;
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    (void)pthread_sigmask(SIG_SETMASK, &mask, NULL);
    (void)pthread_setname_np(pthread_self(), "host");
    thread_look(&before);
    host->result = gyr_server_run_core(host->server, host->index, NULL);
    thread_look(&after);
    host->unchanged = strcmp(before.name, after.name) == 0 &&
                      masks_equal(&before.mask, &after.mask) &&
                      CPU_EQUAL(&before.cpus, &after.cpus) && before.cancel == after.cancel;
    return NULL;
}

/* "host" or another name, and the number of CPUs that the thread may run on. */
static int answer_thread(struct gyr_conn *conn, const struct gyr_request *request)
{
    (void)request;
    struct thread_state state;
    thread_look(&state);
    char text[64];
    int size = snprintf(text, sizeof(text), "%s on %d, SIGUSR2 %d, SIGUSR1 %d.", state.name,
                        CPU_COUNT(&state.cpus), sigismember(&state.mask, SIGUSR2),
                        sigismember(&state.mask, SIGUSR1));
    return gyr_respond_text(conn, 200, "text/plain", (struct gyr_span){text, (size_t)size});
}

void server_life_leaves_threads_of_the_host_as_they_were(void)
{
    if (!kit_server_possible(2)) {
        return;
    }
    cpu_set_t cpus;
    (void)pthread_getaffinity_np(pthread_self(), sizeof(cpus), &cpus);
    for (unsigned pin = 0; pin < 2; pin++) {
        struct gyr_config config = kit_server_config(2);
        config.pin = pin;
        struct gyr_service service = {.size = sizeof(service), .on_request = answer_thread};
        struct gyr_server *server;
        struct gyr_error error;
        char address[128];
        char expected[64];
        CU_ASSERT_FATAL(gyr_server_create(&config, &service, &server, &error) == 0);
        CU_ASSERT_FATAL(gyr_server_listen(server, "127.0.0.1:0", &error) == 0);
        CU_ASSERT_FATAL(gyr_server_address(server, 0, address, sizeof(address)));
        struct host hosts[2];
        for (unsigned i = 0; i < 2; i++) {
            hosts[i] = (struct host){.server = server, .index = i};
            CU_ASSERT_FATAL(pthread_create(&hosts[i].thread, NULL, host_main, &hosts[i]) == 0);
        }
        (void)snprintf(expected, sizeof(expected), "\r\n\r\nhost on %d, SIGUSR2 1, SIGUSR1 0.",
                       pin != 0 ? 1 : CPU_COUNT(&cpus));
        for (unsigned i = 0; i < 8; i++) {
            ask(address, ASK, expected);
        }
        gyr_server_stop(server);
        for (unsigned i = 0; i < 2; i++) {
            (void)pthread_join(hosts[i].thread, NULL);
            EXPECT_INT(hosts[i].result, 0, "ended well");
            EXPECT(hosts[i].unchanged, "name, mask, CPUs and cancellation are the host's");
        }
        gyr_server_destroy(server);
    }
}

static int fail(struct gyr_core *core)
{
    (void)core;
    return -ENOENT;
}

void server_life_leaves_the_thread_as_it_was_when_its_core_fails(void)
{
    if (!kit_server_possible(2)) {
        return;
    }
    struct gyr_config config = kit_server_config(1);
    config.pin = 1;
    struct gyr_service service = {.size = sizeof(service), .on_core_start = fail};
    struct gyr_server *server;
    struct gyr_error error = {""};
    CU_ASSERT_FATAL(gyr_server_create(&config, &service, &server, &error) == 0);
    static const int expected[2] = {-ENOENT, GYR_ERR_ARGUMENT};
    for (unsigned i = 0; i < 2; i++) {
        struct host host = {.server = server, .index = i};
        CU_ASSERT_FATAL(pthread_create(&host.thread, NULL, host_main, &host) == 0);
        (void)pthread_join(host.thread, NULL);
        EXPECT_INT(host.result, expected[i], "on_core_start fails; there is no core 1");
        EXPECT(host.unchanged, "name, mask, CPUs and cancellation are the host's");
    }
    gyr_server_wait(server);
    gyr_server_destroy(server);
}

/* ---- no trace ---- */

struct traces {
    unsigned descriptors;
    unsigned threads;
    unsigned mappings;
    size_t address_space; /* bytes */
    size_t heap;          /* bytes in use */
};

static unsigned entries_of(const char *path)
{
    DIR *directory = opendir(path);
    unsigned count = 0;
    while (directory != NULL && readdir(directory) != NULL) {
        count++;
    }
    if (directory != NULL) {
        (void)closedir(directory);
    }
    return count;
}

static struct traces traces_look(void)
{
    struct traces traces = {.descriptors = kit_descriptors(),
                            .threads = entries_of("/proc/self/task"),
                            .heap = mallinfo2().uordblks};
    char line[512];
    FILE *file = fopen("/proc/self/maps", "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        traces.mappings++;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    file = fopen("/proc/self/status", "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "VmSize:", 7) == 0) {
            traces.address_space = strtoul(line + 7, NULL, 10) * 1024;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return traces;
}

static void work(void *arg)
{
    (void)arg;
}

static _Atomic unsigned works_done;

static void work_done(struct gyr_core *core, void *arg)
{
    (void)core;
    (void)arg;
    works_done++;
}

static int start_working(struct gyr_core *core)
{
    return gyr_offload(core, work, work_done, NULL);
}

/* What differs from life to life: nothing asked, a request, a WebSocket that stays, a start that
 * fails, threads of a pool. */
static void live_once(unsigned round)
{
    struct gyr_config config = kit_server_config(1);
    struct gyr_service service = {.size = sizeof(service),
                                  .user = FIRST,
                                  .core_data_size = 100,
                                  .on_request = answer_user,
                                  .on_message = echo,
                                  .on_core_start = round % 8 == 3 ? start_working : NULL};
    config.close_timeout_ms = 1;
    char address[128];
    if (round % 8 == 5) {
        struct gyr_server *server;
        struct gyr_error error;
        CU_ASSERT_FATAL(gyr_server_create(&config, &service, &server, &error) == 0);
        EXPECT_INT(gyr_server_listen(server, "192.0.2.1:80", &error), -EADDRNOTAVAIL, "not ours");
        gyr_server_destroy(server);
        return;
    }
    struct gyr_server *server = kit_server_start(&config, &service, "127.0.0.1:0", address);
    int fd = -1;
    if (round % 8 == 1) {
        fd = kit_client(address);
        EXPECT(kit_client_ask(fd, ASK, "\r\n\r\nthe first"), "answered");
    } else if (round % 8 == 2) {
        fd = kit_client(address);
        EXPECT(kit_client_ask(fd, UPGRADE, "\r\n\r\n"), "accepted");
        EXPECT(kit_client_ask(fd, "\x81\x82\1\1\1\1ih", "\x81\x02hi"), "echoed");
        (void)close(fd);
        fd = -1;
    }
    kit_server_end(server);
    if (fd >= 0) {
        (void)close(fd);
    }
}

void server_life_leaves_nothing_behind_a_thousand_times(void)
{
    if (!kit_server_possible(1)) {
        return;
    }
    const unsigned warm = SANITIZED ? 16 : 64;
    const unsigned lives = SANITIZED ? 64 : 1000;
    struct traces before = {0};
    for (unsigned round = 0; round < lives; round++) {
        live_once(round);
        before = round == warm ? traces_look() : before;
    }
    struct traces after = traces_look();
    EXPECT_INT(after.descriptors, before.descriptors, "descriptors");
    EXPECT_INT(after.threads, before.threads, "threads");
    EXPECT(works_done != 0, "pools had threads");
    if (SANITIZED == 0) {
        /* Less than one page, and one block of the heap, for each life: nothing is lost by it. What
         * the C library keeps for the next thread may differ by a little. */
        unsigned between = lives - warm;
        EXPECT(after.mappings <= before.mappings + 8, "mappings");
        EXPECT(after.address_space < before.address_space + (size_t)between * 4096,
               "address space");
        EXPECT(after.heap < before.heap + (size_t)between * 16, "heap");
    }
}

/* ---- signals ---- */

static volatile sig_atomic_t pipe_signals;

static void on_sigpipe(int number)
{
    (void)number;
    pipe_signals++;
}

static const char *large_content(size_t *size)
{
    static char content[1 << 20];
    *size = sizeof(content);
    return content;
}

static struct {
    sem_t reached;
    struct gyr_handle handle;
} waiting;

static int answer_waiting(struct gyr_conn *conn, void *arg)
{
    (void)arg;
    size_t size;
    const char *content = large_content(&size);
    return conn == NULL
               ? 0
               : gyr_respond_text(conn, 200, "text/plain", (struct gyr_span){content, size});
}

static int answer_large(struct gyr_conn *conn, const struct gyr_request *request)
{
    if (gyr_request_is_upgrade(request)) {
        return gyr_upgrade(conn, NULL);
    }
    if (gyr_request_path(request).size > 1) { /* "/later" */
        waiting.handle = gyr_conn_handle(conn);
        sem_post(&waiting.reached);
        return GYR_PENDING;
    }
    size_t size;
    const char *content = large_content(&size);
    return gyr_respond_text(conn, 200, "text/plain", (struct gyr_span){content, size});
}

static int send_large(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span message)
{
    (void)opcode;
    (void)message;
    size_t size;
    const char *content = large_content(&size);
    return gyr_send(conn, GYR_BINARY, (struct gyr_span){content, size});
}

/* The core's own thread would hide the signal, for it blocks all; a thread of the host does not. */
static void *host_unblocked(void *arg)
{
    struct host *host = arg;
    sigset_t none;
    sigemptyset(&none);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
    host->result = gyr_server_run_core(host->server, host->index, NULL);
    return NULL;
}

/* Ask for more than the socket holds, and go: by a reset, or by an end that becomes one. */
static void leave_while_sent_to(const char *address, unsigned how)
{
    int fd = kit_client(address);
    if (how % 2 == 0) {
        EXPECT(kit_client_ask(fd, KIT_GET("/") KIT_GET("/") KIT_GET("/"), "HTTP/1.1 200 "), "some");
    } else {
        EXPECT(kit_client_ask(fd, UPGRADE, "\r\n\r\n"), "accepted");
        EXPECT(kit_client_ask(fd, "\x81\x80\1\1\1\1\x81\x80\1\1\1\1", "\x82\x7f"), "some");
    }
    struct linger reset = {.l_onoff = how % 4 < 2, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    (void)close(fd);
}

/* Go before the answer: its first bytes are answered by a reset, and the next send gets EPIPE. */
static void leave_before_the_answer(struct gyr_server *server, const char *address)
{
    int fd = kit_client(address);
    EXPECT(send(fd, KIT_GET("/later"), sizeof(KIT_GET("/later")) - 1, MSG_NOSIGNAL) > 0, "asked");
    kit_wait(&waiting.reached);
    (void)close(fd);
    EXPECT_INT(gyr_complete(server, waiting.handle, answer_waiting, NULL), 0, "answered");
}

/* io_uring itself keeps the signal away; a send by a system call has to ask for that. */
static void serve_without_sigpipe(unsigned ring)
{
    struct gyr_config config = kit_server_config(1);
    config.ring = ring;
    struct gyr_service service = {
        .size = sizeof(service), .on_request = answer_large, .on_message = send_large};
    struct gyr_server *server;
    struct gyr_error error;
    char address[128];
    CU_ASSERT_FATAL(gyr_server_create(&config, &service, &server, &error) == 0);
    CU_ASSERT_FATAL(gyr_server_listen(server, "127.0.0.1:0", &error) == 0);
    CU_ASSERT_FATAL(gyr_server_address(server, 0, address, sizeof(address)));
    struct host host = {.server = server};
    CU_ASSERT_FATAL(pthread_create(&host.thread, NULL, host_unblocked, &host) == 0);
    for (unsigned i = 0; i < 100; i++) {
        leave_while_sent_to(address, i);
        leave_before_the_answer(server, address);
    }
    struct gyr_stats stats;
    do {
        (void)sched_yield();
        gyr_server_stats(server, UINT_MAX, &stats, sizeof(stats));
    } while (stats.connections != 0);
    EXPECT(stats.bytes_out < (stats.requests - stats.upgrades + stats.messages_out) << 20,
           "they left before the end");
    gyr_server_stop(server);
    (void)pthread_join(host.thread, NULL);
    EXPECT_INT(host.result, 0, "it lived through it");
    gyr_server_destroy(server);
}

void server_life_never_raises_sigpipe(void)
{
    if (!kit_server_possible(1)) {
        return;
    }
    struct sigaction watch = {.sa_handler = on_sigpipe};
    struct sigaction old;
    (void)sigaction(SIGPIPE, &watch, &old);
    pipe_signals = 0;
    (void)sem_init(&waiting.reached, 0, 0);
    serve_without_sigpipe(GYR_RING_URING);
    serve_without_sigpipe(GYR_RING_EPOLL);
    EXPECT_INT(pipe_signals, 0, "no signal");
    (void)sigaction(SIGPIPE, &old, NULL);
}
