/* SPDX-License-Identifier: MIT */
/* The life of a server on real sockets: start, run, stop, and what must not go wrong with them. */
#include "gyr/gyr.h"

#include "engine/listener.h"
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"
#include "tests/run_tests.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char UPGRADE[] = KIT_UPGRADE_WITH("");
static const char ASK[] = KIT_GET("/");

static int on_request(struct gyr_conn *conn, const struct gyr_request *request)
{
    if (gyr_request_is_upgrade(request)) {
        return gyr_upgrade(conn, NULL);
    }
    char text[32];
    int size = snprintf(text, sizeof(text), "core %u.", gyr_core_index(gyr_conn_core(conn)));
    return gyr_respond_text(conn, 200, "text/plain", (struct gyr_span){text, (size_t)size});
}

static int on_message(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span message)
{
    return gyr_reply(conn, opcode, message);
}

static const struct gyr_service SERVICE = {
    .size = sizeof(SERVICE), .on_request = on_request, .on_message = on_message};

void server_starts_answers_stops_and_starts_again(void)
{
    if (!kit_server_possible(1)) {
        return;
    }
    struct gyr_config config = kit_server_config(1);
    char address[128] = "127.0.0.1:0";
    for (unsigned i = 0; i < 3; i++) {
        struct gyr_server *server = kit_server_start(&config, &SERVICE, address, address);
        int fd = kit_client(address);
        EXPECT(kit_client_ask(fd, ASK, "core 0."), "answered");
        EXPECT(kit_client_ask(fd, UPGRADE, "\r\n\r\n"), "accepted");
        EXPECT(kit_client_ask(fd, "\x81\x82\1\1\1\1ih", "\x81\x02hi"), "echoed");
        struct gyr_stats stats;
        gyr_server_stats(server, UINT_MAX, &stats, sizeof(stats));
        EXPECT_INT(stats.messages_in, 1, "counted");
        gyr_server_stop(server);
        EXPECT(kit_client_ask(fd, "", "\x88\x02\x03\xe9"), "told to go away");
        EXPECT(!kit_client_ask(fd, "\x88\x80\1\1\1\1", "more"), "and the end of the stream");
        gyr_server_wait(server);
        gyr_server_destroy(server);
        (void)close(fd);
    }
}

void server_is_one_of_several_in_a_process(void)
{
    if (!kit_server_possible(1)) {
        return;
    }
    struct gyr_config config = kit_server_config(1);
    struct gyr_server *servers[3];
    char addresses[3][128];
    int fds[3];
    for (unsigned i = 0; i < 3; i++) {
        servers[i] = kit_server_start(&config, &SERVICE, "127.0.0.1:0", addresses[i]);
        fds[i] = kit_client(addresses[i]);
    }
    kit_server_end(servers[1]);
    EXPECT(kit_client_ask(fds[0], ASK, "core 0."), "the others live");
    EXPECT(kit_client_ask(fds[2], ASK, "core 0."), "the others live");
    EXPECT(!kit_client_ask(fds[1], ASK, "core 0."), "that one does not");
    kit_server_end(servers[0]);
    kit_server_end(servers[2]);
    for (unsigned i = 0; i < 3; i++) {
        (void)close(fds[i]);
    }
}

struct runner {
    struct gyr_server *server;
    unsigned index;
    int result;
    pthread_t thread;
};

static void *run_core(void *arg)
{
    struct runner *runner = arg;
    runner->result = gyr_server_run_core(runner->server, runner->index, NULL);
    return NULL;
}

void server_runs_its_cores_on_threads_of_the_host(void)
{
    if (!kit_server_possible(2)) {
        return;
    }
    struct gyr_config config = kit_server_config(2);
    struct gyr_server *server;
    struct gyr_error error;
    char address[128];
    CU_ASSERT_FATAL(gyr_server_create(&config, &SERVICE, &server, &error) == 0);
    CU_ASSERT_FATAL(gyr_server_listen(server, "127.0.0.1:0", &error) == 0);
    EXPECT(gyr_server_address(server, 0, address, sizeof(address)), "an address");
    EXPECT(!gyr_server_address(server, 1, address + 100, 28), "behind the last");
    EXPECT_INT(gyr_server_run_core(server, 2, &error), GYR_ERR_ARGUMENT, "no such core");
    struct runner runners[2];
    for (unsigned i = 0; i < 2; i++) {
        runners[i] = (struct runner){.server = server, .index = i};
        CU_ASSERT_FATAL(pthread_create(&runners[i].thread, NULL, run_core, &runners[i]) == 0);
    }
    int fd = kit_client(address);
    EXPECT(kit_client_ask(fd, ASK, "core "), "answered");
    gyr_server_stop(server);
    for (unsigned i = 0; i < 2; i++) {
        (void)pthread_join(runners[i].thread, NULL);
        EXPECT_INT(runners[i].result, 0, "ended well");
    }
    gyr_server_wait(server);
    gyr_server_destroy(server);
    (void)close(fd);
}

void server_names_the_address_that_is_taken(void)
{
    if (!kit_server_possible(1)) {
        return;
    }
    struct gyr_config config = kit_server_config(1);
    char address[128];
    struct gyr_server *first = kit_server_start(&config, &SERVICE, "127.0.0.1:0", address);
    struct gyr_server *second;
    struct gyr_error error = {""};
    CU_ASSERT_FATAL(gyr_server_create(&config, &SERVICE, &second, &error) == 0);
    EXPECT_INT(gyr_server_listen(second, address, &error), -EADDRINUSE, "taken");
    EXPECT(strstr(error.text, address) != NULL, error.text);
    EXPECT_INT(gyr_server_listen(second, "nonsense", &error), GYR_ERR_ARGUMENT, "no address");
    EXPECT(strstr(error.text, "nonsense") != NULL, error.text);
    gyr_server_destroy(second); /* it never started */
    kit_server_end(first);
}

void server_leaks_no_descriptor_over_100_lives(void)
{
    if (!kit_server_possible(1)) {
        return;
    }
    struct gyr_config config = kit_server_config(1);
    unsigned before = 0;
    for (unsigned i = 0; i < 100; i++) {
        char address[128];
        struct gyr_server *server = kit_server_start(&config, &SERVICE, "127.0.0.1:0", address);
        if (i % 10 == 0) {
            int fd = kit_client(address);
            EXPECT(kit_client_ask(fd, ASK, "core 0."), "answered");
            (void)close(fd);
        }
        kit_server_end(server);
        before = i == 0 ? kit_descriptors() : before;
    }
    EXPECT_INT(kit_descriptors(), before, "as many as after the first");
}

static void *load(void *arg)
{
    const char *address = arg;
    int fd = kit_client(address);
    if (kit_client_ask(fd, UPGRADE, "\r\n\r\n")) {
        while (kit_client_ask(fd, "\x81\x82\1\1\1\1ih", "\x81\x02hi")) {
        }
    }
    (void)close(fd);
    return NULL;
}

void server_stops_under_load(void)
{
    if (!kit_server_possible(1)) {
        return;
    }
    struct gyr_config config = kit_server_config(1);
    config.shutdown_deadline_ms = 200; /* the clients do not answer a Close */
    char address[128];
    struct gyr_server *server = kit_server_start(&config, &SERVICE, "127.0.0.1:0", address);
    pthread_t threads[8];
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        CU_ASSERT_FATAL(pthread_create(&threads[i], NULL, load, address) == 0);
    }
    struct gyr_stats stats;
    do {
        gyr_server_stats(server, 0, &stats, sizeof(stats));
    } while (stats.messages_in < 1000);
    gyr_server_stop(server);
    gyr_server_stop(server); /* once more does no harm */
    gyr_server_wait(server);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        (void)pthread_join(threads[i], NULL);
    }
    gyr_server_stats(server, 0, &stats, sizeof(stats));
    EXPECT_INT(stats.connections, 0, "nothing is left");
    EXPECT_INT(stats.websockets, 0, "nothing is left");
    gyr_server_destroy(server);
}

void server_adopts_a_listening_descriptor(void)
{
    if (!kit_server_possible(1)) {
        return;
    }
    struct listener_address where;
    char address[128];
    int fd = -1;
    CU_ASSERT_FATAL(listener_parse("127.0.0.1:0", &where, NULL) == 0);
    CU_ASSERT_FATAL(listener_open(&where, false, 16, &fd, NULL) == 0);
    struct gyr_config config = kit_server_config(1);
    struct gyr_server *server;
    struct gyr_error error;
    CU_ASSERT_FATAL(gyr_server_create(&config, &SERVICE, &server, &error) == 0);
    int pair[2];
    CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    EXPECT(gyr_server_adopt(server, pair[0], &error) < 0, "it does not listen");
    EXPECT_INT(gyr_server_adopt(server, fd, &error), 0, "it does");
    CU_ASSERT_FATAL(gyr_server_start(server, &error) == 0);
    EXPECT(gyr_server_address(server, 0, address, sizeof(address)), "its address");
    int client = kit_client(address);
    EXPECT(kit_client_ask(client, ASK, "core 0."), "answered");
    (void)close(client);
    (void)close(pair[0]);
    (void)close(pair[1]);
    kit_server_end(server);
}

void server_listens_on_a_socket_file_and_removes_it(void)
{
    if (!kit_server_possible(1)) {
        return;
    }
    char directory[] = "/tmp/gyr-test-XXXXXX";
    CU_ASSERT_FATAL(mkdtemp(directory) != NULL);
    char path[64];
    char address[128];
    (void)snprintf(path, sizeof(path), "unix:%s/socket", directory);
    struct gyr_config config = kit_server_config(1);
    struct gyr_server *server = kit_server_start(&config, &SERVICE, path, address);
    EXPECT(strcmp(address, path) == 0, "its address");
    int fd = kit_client(address);
    EXPECT(kit_client_ask(fd, ASK, "core 0."), "answered");
    (void)close(fd);
    kit_server_end(server);
    EXPECT_INT(rmdir(directory), 0, "nothing is left behind");
}

void server_balances_connections_over_its_cores(void)
{
    if (!kit_server_possible(2)) {
        return;
    }
    for (unsigned socket_file = 0; socket_file < 2; socket_file++) {
        char directory[] = "/tmp/gyr-test-XXXXXX";
        CU_ASSERT_FATAL(mkdtemp(directory) != NULL);
        char path[64];
        (void)snprintf(path, sizeof(path), "unix:%s/socket", directory);
        struct gyr_config config = kit_server_config(2);
        char address[128];
        struct gyr_server *server =
            kit_server_start(&config, &SERVICE, socket_file ? path : "127.0.0.1:0", address);
        int fds[40];
        for (size_t i = 0; i < COUNT_OF(fds); i++) {
            fds[i] = kit_client(address);
            EXPECT(kit_client_ask(fds[i], ASK, "core "), "answered");
        }
        struct gyr_stats stats[2];
        gyr_server_stats(server, 0, &stats[0], sizeof(stats[0]));
        gyr_server_stats(server, 1, &stats[1], sizeof(stats[1]));
        EXPECT_INT(stats[0].connections + stats[1].connections, COUNT_OF(fds), "all are served");
        EXPECT(stats[0].connections >= 15 && stats[1].connections >= 15, "by both");
        for (size_t i = 0; i < COUNT_OF(fds); i++) {
            (void)close(fds[i]);
        }
        kit_server_end(server);
        (void)rmdir(directory);
    }
}

static _Atomic unsigned cores_started;
static _Atomic unsigned cores_stopped;
static unsigned core_that_fails;

static int on_core_start(struct gyr_core *core)
{
    if (gyr_core_index(core) == core_that_fails) {
        return -ENOENT;
    }
    atomic_fetch_add(&cores_started, 1);
    return 0;
}

static void on_core_stop(struct gyr_core *core)
{
    (void)core;
    atomic_fetch_add(&cores_stopped, 1);
}

void server_does_not_start_when_a_core_of_the_service_fails(void)
{
    if (!kit_server_possible(2)) {
        return;
    }
    struct gyr_service service = SERVICE;
    service.on_core_start = on_core_start;
    service.on_core_stop = on_core_stop;
    struct gyr_config config = kit_server_config(2);
    for (core_that_fails = 0; core_that_fails < 3; core_that_fails++) {
        struct gyr_server *server;
        struct gyr_error error = {""};
        cores_started = 0;
        cores_stopped = 0;
        CU_ASSERT_FATAL(gyr_server_create(&config, &service, &server, &error) == 0);
        CU_ASSERT_FATAL(gyr_server_listen(server, "127.0.0.1:0", &error) == 0);
        int err = gyr_server_start(server, &error);
        if (core_that_fails < 2) {
            char text[64];
            (void)snprintf(text, sizeof(text), "core %u: on_core_start: No such file or directory",
                           core_that_fails);
            EXPECT_INT(err, -ENOENT, "its error");
            EXPECT(strcmp(error.text, text) == 0, error.text);
            EXPECT_INT(cores_started, 1, "the other was made");
        } else {
            EXPECT_INT(err, 0, "all are well");
            gyr_server_stop(server);
        }
        gyr_server_wait(server);
        EXPECT_INT(cores_stopped, cores_started, "and each was unmade");
        gyr_server_destroy(server);
    }
}

/* ---- states ---- */

void server_starts_once_and_listens_before(void)
{
    if (!kit_server_possible(1)) {
        return;
    }
    struct gyr_config config = kit_server_config(1);
    char address[128];
    struct gyr_server *server = kit_server_start(&config, &SERVICE, "127.0.0.1:0", address);
    struct gyr_error error = {""};
    EXPECT_INT(gyr_server_listen(server, "127.0.0.1:0", &error), GYR_ERR_STATE, "too late");
    EXPECT(strstr(error.text, "127.0.0.1:0: ") != NULL, error.text);
    int fd = kit_client(address);
    EXPECT_INT(gyr_server_adopt(server, fd, &error), GYR_ERR_STATE, "too late");
    EXPECT(strstr(error.text, "descriptor ") != NULL, error.text);
    error.text[0] = '\0';
    EXPECT_INT(gyr_server_start(server, &error), GYR_ERR_STATE, "it runs");
    EXPECT(error.text[0] != '\0', "with a line");
    EXPECT_INT(gyr_server_run_core(server, 0, &error), GYR_ERR_STATE, "it runs");
    EXPECT(strstr(error.text, "core 0: ") != NULL, error.text);
    EXPECT(kit_client_ask(fd, ASK, "core 0."), "the descriptor was not taken, the server lives");
    (void)close(fd);
    gyr_server_stop(server);
    gyr_server_wait(server);
    gyr_server_wait(server); /* once more does no harm */
    EXPECT_INT(gyr_server_start(server, &error), GYR_ERR_STATE, "not again either");
    gyr_server_destroy(server);
}

static struct {
    sem_t reached;
    sem_t go;
    _Atomic int stops;
    _Atomic int posts;
    int errs[8];
} shared;

static void shared_init(void)
{
    memset(&shared, 0, sizeof(shared));
    (void)sem_init(&shared.reached, 0, 0);
    (void)sem_init(&shared.go, 0, 0);
}

static int start_slowly(struct gyr_core *core)
{
    (void)core;
    sem_post(&shared.reached);
    kit_wait(&shared.go);
    return 0;
}

static void stop_slowly(struct gyr_core *core)
{
    (void)core;
    (void)sched_yield();
    shared.stops++;
}

/* Does the thread that runs the tests, which is the process's first, sleep? */
static bool test_sleeps(void)
{
    char state = 'S';
    FILE *file = fopen("/proc/self/stat", "re");
    if (file != NULL) {
        (void)!fscanf(file, "%*d (%*[^)]) %c", &state);
        (void)fclose(file);
    }
    return state == 'S';
}

static void *go_later(void *arg)
{
    (void)arg;
    while (!test_sleeps()) { /* in gyr_server_wait, for there is nothing else to wait for */
        (void)sched_yield();
    }
    sem_post(&shared.go);
    return NULL;
}

void server_wait_waits_for_cores_of_the_host_that_are_not_made_yet(void)
{
    if (!kit_server_possible(1)) {
        return;
    }
    shared_init();
    struct gyr_service service = SERVICE;
    service.on_core_start = start_slowly;
    service.on_core_stop = stop_slowly;
    struct gyr_config config = kit_server_config(1);
    struct gyr_server *server;
    struct gyr_error error;
    CU_ASSERT_FATAL(gyr_server_create(&config, &service, &server, &error) == 0);
    gyr_server_wait(server); /* nothing was run: there is nothing to wait for */
    struct runner runner = {.server = server};
    pthread_t later;
    CU_ASSERT_FATAL(pthread_create(&runner.thread, NULL, run_core, &runner) == 0);
    kit_wait(&shared.reached);
    EXPECT_INT(gyr_server_run_core(server, 0, &error), GYR_ERR_STATE, "it is run already");
    EXPECT_INT(gyr_server_start(server, &error), GYR_ERR_STATE, "it is run already");
    gyr_server_stop(server);
    CU_ASSERT_FATAL(pthread_create(&later, NULL, go_later, NULL) == 0);
    gyr_server_wait(server);
    EXPECT_INT(shared.stops, 1, "the core has ended");
    (void)pthread_join(later, NULL);
    (void)pthread_join(runner.thread, NULL);
    EXPECT_INT(runner.result, 0, "well");
    gyr_server_destroy(server);
}

void server_gives_the_thread_of_the_host_its_cpus_back(void)
{
    if (!kit_server_possible(2)) {
        return;
    }
    struct gyr_config config = kit_server_config(1);
    config.pin = 1;
    struct gyr_server *server;
    struct gyr_error error;
    CU_ASSERT_FATAL(gyr_server_create(&config, &SERVICE, &server, &error) == 0);
    gyr_server_stop(server); /* it ends as soon as it has started */
    cpu_set_t before;
    cpu_set_t after;
    CU_ASSERT_FATAL(pthread_getaffinity_np(pthread_self(), sizeof(before), &before) == 0);
    EXPECT_INT(gyr_server_run_core(server, 0, &error), 0, "it ran");
    CU_ASSERT_FATAL(pthread_getaffinity_np(pthread_self(), sizeof(after), &after) == 0);
    (void)pthread_setaffinity_np(pthread_self(), sizeof(before), &before);
    EXPECT(CPU_EQUAL(&before, &after), "as before");
    gyr_server_destroy(server);
}

static void count_post(struct gyr_core *core, void *arg)
{
    (void)core;
    (void)arg;
    shared.posts++;
}

static int start_posting(struct gyr_core *core)
{
    unsigned index = gyr_core_index(core);
    for (unsigned i = 0; i < 2; i++) {
        shared.errs[2 * index + i] = gyr_post(gyr_core_server(core), i, count_post, NULL);
    }
    return 0;
}

void server_posts_to_every_core_from_on_core_start(void)
{
    if (!kit_server_possible(2)) {
        return;
    }
    struct gyr_service service = SERVICE;
    service.on_core_start = start_posting;
    struct gyr_config config = kit_server_config(2);
    for (unsigned round = 0; round < 20; round++) {
        shared_init();
        struct gyr_server *server;
        struct gyr_error error;
        CU_ASSERT_FATAL(gyr_server_create(&config, &service, &server, &error) == 0);
        EXPECT_INT(gyr_post(server, 0, count_post, NULL), GYR_ERR_STATE, "no core is made");
        CU_ASSERT_FATAL(gyr_server_start(server, &error) == 0);
        kit_server_end(server);
        for (unsigned i = 0; i < 4; i++) {
            EXPECT_INT(shared.errs[i], 0, "taken");
        }
        EXPECT_INT(shared.posts, 4, "and run");
    }
}

static void nothing(void *arg)
{
    (void)arg;
}

static void stop_posting(struct gyr_core *core)
{
    struct gyr_handle handle = {0}; /* names core 0 */
    shared.errs[0] = shared.posts;
    shared.errs[1] = gyr_post(gyr_core_server(core), 0, count_post, NULL);
    shared.errs[2] = gyr_mail(gyr_core_server(core), handle, NULL);
    shared.errs[3] = gyr_offload(core, nothing, count_post, NULL);
    shared.stops++;
}

static void post_slowly(struct gyr_core *core, void *arg)
{
    (void)core;
    (void)arg;
    sem_post(&shared.reached);
    kit_wait(&shared.go);
}

void server_calls_nothing_on_a_core_after_on_core_stop(void)
{
    if (!kit_server_possible(1)) {
        return;
    }
    shared_init();
    struct gyr_service service = SERVICE;
    service.on_core_stop = stop_posting;
    struct gyr_config config = kit_server_config(1);
    char address[128];
    struct gyr_server *server = kit_server_start(&config, &service, "127.0.0.1:0", address);
    EXPECT_INT(gyr_post(server, 0, post_slowly, NULL), 0, "taken");
    kit_wait(&shared.reached);
    gyr_server_stop(server);
    EXPECT_INT(gyr_post(server, 0, count_post, NULL), 0, "taken");
    sem_post(&shared.go);
    gyr_server_wait(server);
    EXPECT_INT(shared.stops, 1, "on_core_stop");
    EXPECT_INT(shared.errs[0], 1, "what was taken ran before it");
    EXPECT_INT(shared.errs[1], GYR_ERR_CLOSED, "no post");
    EXPECT_INT(shared.errs[2], GYR_ERR_CLOSED, "no mail");
    EXPECT_INT(shared.errs[3], GYR_ERR_CLOSED, "no offload");
    EXPECT_INT(shared.posts, 1, "and nothing came of them");
    gyr_server_destroy(server);
}

/* ---- no descriptor left ---- */

static int trouble_fd;

static void on_trouble(struct gyr_core *core, int err, uint64_t count)
{
    (void)core;
    (void)count;
    (void)write(trouble_fd, &err, sizeof(err));
}

/* A process of its own: a server that may have only a few descriptors more. Says its address,
 * then its troubles, and ends when `control` does. */
static void serve_with_few_descriptors(int out, int control)
{
    /* Whatever goes wrong, it does not outlive the test, which sees its pipe end then. */
    (void)signal(SIGABRT, SIG_DFL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)alarm(2 * KIT_PATIENCE_S);
    struct gyr_service service = SERVICE;
    service.on_trouble = on_trouble;
    struct gyr_config config = kit_server_config(1);
    trouble_fd = out;
    /* Before the start: an accept remembers the limit of the time when it was submitted. */
    int next = dup(out);
    struct rlimit limit;
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = (rlim_t)next + 30;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    (void)close(next);
    char address[128] = "";
    struct gyr_server *server = kit_server_start(&config, &service, "127.0.0.1:0", address);
    (void)write(out, address, sizeof(address));
    char byte;
    (void)read(control, &byte, 1);
    kit_server_end(server);
    _exit(0);
}

static bool read_all(int fd, void *bytes, size_t size)
{
    ssize_t got;
    do {
        got = read(fd, bytes, size);
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t)size;
}

void server_recovers_when_descriptors_run_out(void)
{
    if (!kit_server_possible(1)) {
        return;
    }
    int out[2];
    int control[2];
    CU_ASSERT_FATAL(pipe(out) == 0 && pipe(control) == 0);
    (void)fflush(stdout);
    pid_t child = fork();
    CU_ASSERT_FATAL(child >= 0);
    if (child == 0) {
        (void)close(control[1]);
        serve_with_few_descriptors(out[1], control[0]);
    }
    (void)close(out[1]);
    char address[128];
    CU_ASSERT_FATAL(read_all(out[0], address, sizeof(address)));
    int fds[60];
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        fds[i] = kit_client(address);
        EXPECT(send(fds[i], ASK, sizeof(ASK) - 1, MSG_NOSIGNAL) > 0, "asked");
    }
    int err = 0;
    while (err != -EMFILE && read_all(out[0], &err, sizeof(err))) {
    }
    EXPECT_INT(err, -EMFILE, "the service is told");
    /* As those that were accepted go, those that wait are. */
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        EXPECT(kit_client_ask(fds[i], "", "core 0."), "answered");
        (void)close(fds[i]);
    }
    (void)close(control[1]);
    int status = -1;
    EXPECT(waitpid(child, &status, 0) == child && status == 0, "and it ends well");
    (void)close(control[0]);
    (void)close(out[0]);
}
