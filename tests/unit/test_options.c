/* SPDX-License-Identifier: MIT */
/* That every option has a test that shows its effect, and those of them that stand nowhere else:
 * each is run with two values, and what is seen differs. */
#include "engine/config.h"
#include "engine/core.h"
#include "tests/engine_kit.h"
#include "tests/engine_kit_ring.h"
#include "tests/parser_kit.h"
#include "tests/run_tests.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <errno.h>
#include <glob.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- the list ---- */

struct option_row {
    const char *option;
    const char *test;
};

static const struct option_row options[] = {
#define OPTION(option, test) {#option, #test},
#include "tests/options.h"
#undef OPTION
};

static const char *const tests[] = {
#define SUITE(suite)
#define TEST(suite, test) #test,
#include "tests/suites.h"
#undef SUITE
#undef TEST
};

/* The text of a file, to be freed; NULL if there is none. */
static char *file_text(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t capacity = 0;
    if (file != NULL) {
        (void)getdelim(&text, &capacity, '\0', file);
        (void)fclose(file);
    }
    return text;
}

static bool is_python_test(const glob_t *scripts, const char *name)
{
    char definition[128];
    bool found = false;
    (void)snprintf(definition, sizeof(definition), "\n@test\ndef %s():\n", name);
    for (size_t i = 0; i < scripts->gl_pathc; i++) {
        char *text = file_text(scripts->gl_pathv[i]);
        found = found || (text != NULL && strstr(text, definition) != NULL);
        free(text);
    }
    return found;
}

void options_have_a_test_each(void)
{
    glob_t scripts;
    if (glob("tests/socket/test_*.py", 0, NULL, &scripts) != 0) {
        test_skip("not run from the root of the sources");
        return;
    }
    const struct config_field *field;
    for (unsigned i = 0; (field = config_field_at(i)) != NULL; i++) {
        bool listed = i < COUNT_OF(options) && strcmp(options[i].option, field->name) == 0;
        EXPECT(listed, field->name);
        if (!listed) {
            continue;
        }
        bool exists = false;
        for (size_t k = 0; k < COUNT_OF(tests); k++) {
            exists = exists || strcmp(tests[k], options[i].test) == 0;
        }
        EXPECT(exists || is_python_test(&scripts, options[i].test), options[i].test);
    }
    EXPECT(config_field_at(COUNT_OF(options)) == NULL, "the list ends with the table");
    globfree(&scripts);
}

void options_are_documented(void)
{
    char *text = file_text("docs/configuration.md");
    if (text == NULL) {
        test_skip("not run from the root of the sources");
        return;
    }
    const struct config_field *field;
    for (unsigned i = 0; (field = config_field_at(i)) != NULL; i++) {
        char cell[64];
        (void)snprintf(cell, sizeof(cell), "\n| `%s` | ", field->name);
        EXPECT(strstr(text, cell) != NULL, field->name);
    }
    free(text);
}

/* ---- one turn ---- */

/* WebSockets, each with a message of this size waiting. */
static void begin_messages(struct kit *kit, unsigned count, size_t size)
{
    uint8_t frame[4096 + 16];
    char payload[4096] = "";
    int fds[8];
    for (unsigned i = 0; i < count; i++) {
        kit_open(kit);
        fds[i] = kit->fd;
    }
    for (unsigned i = 0; i < count; i++) {
        kit->fd = fds[i];
        kit_deliver(kit, frame, kit_frame(frame, 0x82, payload, size));
    }
}

void options_turn_completions_max_bounds_a_turn(void)
{
    for (unsigned max = 1; max <= 4; max++) {
        struct kit kit;
        kit_init(&kit);
        kit_start(&kit);
        kit.acts[KIT_MESSAGE] = KIT_NOTHING;
        kit.config.turn_completions_max = max;
        begin_messages(&kit, 3, 5);
        EXPECT(core_turn(kit.core), "its wait brings them");
        EXPECT(core_turn(kit.core), "and they are handled");
        EXPECT_INT(kit.counts[KIT_MESSAGE], MIN(max, 3U), "as many as that");
        kit_run(&kit);
        EXPECT_INT(kit.counts[KIT_MESSAGE], 3, "all in the end");
        kit_end(&kit);
    }
}

void options_turn_sends_max_sends_the_rest_at_once(void)
{
    for (unsigned max = 1; max <= 4; max++) {
        struct kit kit;
        kit_init(&kit);
        kit_start(&kit);
        kit.config.turn_sends_max = max;
        begin_messages(&kit, 3, 5);
        struct stats before = kit.core->stats;
        kit_run(&kit);
        EXPECT_INT(kit.core->stats.sends_turn - before.sends_turn, MIN(max, 3U), "together");
        EXPECT_INT(kit.core->stats.sends_now - before.sends_now, 3 - MIN(max, 3U), "at once");
        kit_end(&kit);
    }
}

static void begin_scratch(struct kit *kit, uint32_t threshold)
{
    char payload[3000] = "";
    kit_init(kit);
    kit->config.recv_scratch_threshold = threshold;
    kit_start(kit);
    kit_open(kit);
    kit->acts[KIT_MESSAGE] = KIT_NOTHING;
    for (unsigned i = 0; i < 4; i++) {
        kit_input_frame(kit, 0x82, payload, sizeof(payload));
    }
}

void options_recv_scratch_threshold_says_what_is_large(void)
{
    static const struct {
        uint32_t threshold;
        enum transport_recv recv;
    } rows[] = {{2000, RECV_SCRATCH}, {4000, RECV_BUFFERS}, {0, RECV_BUFFERS}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kit kit;
        begin_scratch(&kit, rows[i].threshold);
        EXPECT_INT(kit_transport(&kit)->recv, rows[i].recv, "reads of 3 KB");
        kit_end(&kit);
    }
}

void options_read_rounds_max_bounds_the_reads_of_a_turn(void)
{
    for (unsigned more = 0; more < 2; more++) {
        struct kit kit;
        begin_scratch(&kit, 2000);
        kit.config.read_rounds_max = more ? 64 : 1;
        uint8_t frames[20 * 1010];
        char payload[1000] = "";
        size_t size = 0;
        for (unsigned i = 0; i < 20; i++) {
            size += kit_frame(frames + size, 0x82, payload, sizeof(payload));
        }
        kit_deliver(&kit, frames, size); /* five reads of 4 KB */
        EXPECT(core_turn(kit.core), "the wait tells of it");
        EXPECT(core_turn(kit.core), "and it is read");
        unsigned read = kit.counts[KIT_MESSAGE] - 4;
        EXPECT(more ? read == 20 : read > 0 && read < 10, "a part of it, or all");
        kit_run(&kit);
        EXPECT_INT(kit.counts[KIT_MESSAGE], 4 + 20, "all in the end");
        kit_end(&kit);
    }
}

/* ---- memory ---- */

static struct ring_config ring_seen;

static int ring_create_seen(const struct ring_config *config, struct ring **ring, char *why)
{
    ring_seen = *config;
    return kit_ring_ops.create(config, ring, why);
}

void options_of_the_ring_reach_it(void)
{
    struct ring_ops ops = kit_ring_ops;
    struct gyr_config config = gyr_config_default();
    struct gyr_service service = {.size = sizeof(service)};
    struct core *core;
    struct gyr_error error;
    ops.create = ring_create_seen;
    config.submission_entries = 32;
    config.completion_entries = 2048;
    config.recv_buffer_size = 8192;
    config.recv_buffer_count = 4;
    config.connections_max = 1;
    struct core_config with = {
        .config = &config, .service = &service, .ring_ops = &ops, .peer_count = 0};
    CU_ASSERT_FATAL(core_create(&with, &core, &error) == 0);
    EXPECT_INT(ring_seen.submission_entries, 32, "submission_entries");
    EXPECT_INT(ring_seen.completion_entries, 2048, "completion_entries");
    EXPECT_INT(ring_seen.buffer_size, 8192, "recv_buffer_size");
    EXPECT_INT(ring_seen.buffer_count, 4, "recv_buffer_count");
    core_destroy(core);
    core_free(core);
}

void options_recv_buffer_size_bounds_a_piece(void)
{
    for (unsigned large = 0; large < 2; large++) {
        struct kit kit;
        char body[8000] = "";
        kit_init(&kit);
        kit.config.recv_buffer_size = large ? 8192 : 4096;
        kit_start(&kit);
        kit_connect(&kit);
        KIT_INPUT(&kit, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8000\r\n\r\n");
        kit_input(&kit, body, sizeof(body));
        EXPECT_INT(kit.counts[KIT_BODY], large ? 1 : 2, "pieces of 8000 bytes");
        kit_end(&kit);
    }
}

/* ---- time limits ---- */

/* A connection that is left alone ends when `limit_ms` have passed, and not before. */
static void expect_ended_after(struct kit *kit, uint64_t limit_ms)
{
    kit_advance(kit, limit_ms - 1);
    EXPECT(!kit_is_ended(kit), "there is time");
    kit_advance(kit, 2);
    EXPECT(kit_is_ended(kit), "there was");
}

static void begin_http(struct kit *kit, uint32_t *limit_ms, uint32_t value)
{
    *limit_ms = value;
    kit_start(kit);
    kit_connect(kit);
}

void options_header_timeout_ends_a_slow_head(void)
{
    for (uint32_t ms = 700; ms < 3000; ms += 2000) {
        struct kit kit;
        kit_init(&kit);
        begin_http(&kit, &kit.config.header_timeout_ms, ms);
        KIT_INPUT(&kit, "GET / HT");
        expect_ended_after(&kit, ms);
        EXPECT(memmem(kit_output(&kit).ptr, kit_output(&kit).size, " 408 ", 5) != NULL, "408");
        kit_end(&kit);
    }
}

void options_body_timeout_ends_a_slow_body(void)
{
    for (uint32_t ms = 700; ms < 3000; ms += 2000) {
        struct kit kit;
        kit_init(&kit);
        begin_http(&kit, &kit.config.body_timeout_ms, ms);
        KIT_INPUT(&kit, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
        expect_ended_after(&kit, ms);
        EXPECT(memmem(kit_output(&kit).ptr, kit_output(&kit).size, " 408 ", 5) != NULL, "408");
        kit_end(&kit);
    }
}

void options_keep_alive_timeout_ends_a_silent_connection(void)
{
    for (uint32_t ms = 700; ms < 3000; ms += 2000) {
        struct kit kit;
        kit_init(&kit);
        begin_http(&kit, &kit.config.keep_alive_timeout_ms, ms);
        KIT_INPUT(&kit, KIT_GET("/"));
        EXPECT_OUTPUT(&kit, KIT_OK, "answered");
        expect_ended_after(&kit, ms);
        kit_end(&kit);
    }
}

void options_handshake_timeout_answers_503(void)
{
    for (uint32_t ms = 700; ms < 3000; ms += 2000) {
        struct kit kit;
        kit_init(&kit);
        begin_http(&kit, &kit.config.handshake_timeout_ms, ms);
        kit.acts[KIT_REQUEST] = KIT_PENDING;
        KIT_INPUT(&kit, KIT_GET("/"));
        expect_ended_after(&kit, ms);
        EXPECT(memmem(kit_output(&kit).ptr, kit_output(&kit).size, " 503 ", 5) != NULL, "503");
        kit_end(&kit);
    }
}

void options_close_timeout_ends_the_wait_for_a_close(void)
{
    for (uint32_t ms = 700; ms < 3000; ms += 2000) {
        struct kit kit;
        kit_init(&kit);
        kit.config.close_timeout_ms = ms;
        kit_start(&kit);
        kit_open(&kit);
        EXPECT_INT(gyr_close(kit_conn(&kit), 1000, GYR_SPAN("")), 0, "closing");
        kit_run(&kit);
        expect_ended_after(&kit, ms);
        EXPECT_LOG(&kit, "close 1006\n", "no answer");
        kit_end(&kit);
    }
}

void options_send_timeout_cuts_who_does_not_read(void)
{
    for (uint32_t ms = 700; ms < 3000; ms += 2000) {
        struct kit kit;
        kit_init(&kit);
        kit.config.send_timeout_ms = ms;
        kit_start(&kit);
        kit_open(&kit);
        kit_room(&kit, 0);
        EXPECT_INT(gyr_send(kit_conn(&kit), GYR_TEXT, GYR_SPAN("a")), 0, "queued");
        kit_run(&kit);
        expect_ended_after(&kit, ms);
        EXPECT_LOG(&kit, "close 1006\n", "cut");
        kit_end(&kit);
    }
}

void options_shutdown_window_spreads_the_end(void)
{
    for (uint32_t window_ms = 0; window_ms <= 4000; window_ms += 2000) {
        struct kit kit;
        int fds[8];
        kit_init(&kit);
        kit.config.shutdown_window_ms = window_ms;
        kit.config.close_timeout_ms = 60000;
        kit_start(&kit);
        for (unsigned i = 0; i < COUNT_OF(fds); i++) {
            kit_open(&kit);
            fds[i] = kit.fd;
        }
        core_stop(kit.core);
        kit_run(&kit);
        kit_advance(&kit, 1000);
        unsigned closed = 0;
        for (unsigned i = 0; i < COUNT_OF(fds); i++) {
            kit.fd = fds[i];
            closed += kit_output(&kit).size != 0;
        }
        EXPECT_INT(closed, window_ms == 0 ? 8 : 8000 / window_ms, "after a second");
        kit_end(&kit);
    }
}

/* ---- servers ---- */

static struct {
    cpu_set_t cpus[2]; /* of each core's thread */
    _Atomic unsigned running;
    _Atomic unsigned running_max;
    pthread_barrier_t barrier;
    sem_t done;
} seen;

static int on_core_start(struct gyr_core *core)
{
    cpu_set_t *cpus = &seen.cpus[gyr_core_index(core)];
    return pthread_getaffinity_np(pthread_self(), sizeof(*cpus), cpus);
}

static int on_request(struct gyr_conn *conn, const struct gyr_request *request)
{
    (void)request;
    return gyr_respond_text(conn, 200, "text/plain", GYR_SPAN("ok."));
}

static const struct gyr_service SERVICE = {
    .size = sizeof(SERVICE), .on_core_start = on_core_start, .on_request = on_request};

static void run_briefly(struct gyr_settings *settings)
{
    struct gyr_server *server;
    struct gyr_error error;
    CU_ASSERT_FATAL(gyr_server_create_with(settings, &SERVICE, &server, &error) == 0);
    CU_ASSERT_FATAL(gyr_server_start(server, &error) == 0);
    kit_server_end(server);
}

static struct gyr_settings *settings_of(const struct gyr_config *config)
{
    struct gyr_settings *settings = NULL;
    CU_ASSERT_FATAL(gyr_settings_create(config, &settings, NULL) == 0);
    return settings;
}

void options_cores_are_as_many_as_named(void)
{
    struct gyr_config config = kit_server_config(2);
    struct gyr_server *server;
    unsigned cpus[CONFIG_CORES_MAX];
    unsigned count;
    for (unsigned i = 0; i < 3; i++) {
        if (i == 1) {
            config = kit_server_config(1);
        } else if (i == 2) {
            config.cores[0] = '\0';
        }
        CU_ASSERT_FATAL(config_cores(&config, cpus, CONFIG_CORES_MAX, &count, NULL) == 0);
        CU_ASSERT_FATAL(gyr_server_create(&config, &SERVICE, &server, NULL) == 0);
        EXPECT(i != 1 || count == 1, "one was named");
        EXPECT_INT(gyr_server_core_count(server), count, "a core for each CPU");
        gyr_server_destroy(server);
    }
}

void options_pin_binds_each_core(void)
{
    if (!kit_server_possible(2)) {
        return;
    }
    struct gyr_config config = kit_server_config(2);
    unsigned cpus[2];
    unsigned count;
    cpu_set_t all;
    CU_ASSERT_FATAL(config_cores(&config, cpus, 2, &count, NULL) == 0);
    CU_ASSERT_FATAL(sched_getaffinity(0, sizeof(all), &all) == 0);
    for (config.pin = 0; config.pin < 2; config.pin++) {
        struct gyr_settings *settings = settings_of(&config);
        run_briefly(settings);
        for (unsigned i = 0; i < 2; i++) {
            EXPECT_INT(CPU_COUNT(&seen.cpus[i]), config.pin ? 1 : CPU_COUNT(&all), "CPUs");
            EXPECT(CPU_ISSET(cpus[i], &seen.cpus[i]), "the one of this core among them");
        }
        gyr_settings_destroy(settings);
    }
}

void options_cpu_moves_one_core(void)
{
    if (!kit_server_possible(2)) {
        return;
    }
    struct gyr_config config = kit_server_config(2);
    unsigned cpus[2];
    unsigned count;
    CU_ASSERT_FATAL(config_cores(&config, cpus, 2, &count, NULL) == 0);
    struct gyr_settings *settings = settings_of(&config);
    for (unsigned i = 0; i < 2; i++) {
        char name[16];
        char cpu[16];
        (void)snprintf(name, sizeof(name), "core %u.cpu", i);
        (void)snprintf(cpu, sizeof(cpu), "%u", cpus[1 - i]);
        EXPECT_INT(gyr_settings_set(settings, name, cpu, "--set", NULL), 0, name);
    }
    run_briefly(settings);
    for (unsigned i = 0; i < 2; i++) {
        EXPECT_INT(CPU_COUNT(&seen.cpus[i]), 1, "bound, although pin is 0");
        EXPECT(CPU_ISSET(cpus[1 - i], &seen.cpus[i]), "to the other's CPU");
    }
    gyr_settings_destroy(settings);
}

/* A socket file has one listener, on core 0. */
void options_balance_hash_hands_nothing_over(void)
{
    if (!kit_server_possible(2)) {
        return;
    }
    for (uint32_t balance = GYR_BALANCE_HASH; balance <= GYR_BALANCE_LEAST; balance++) {
        char directory[] = "/tmp/gyr-test-XXXXXX";
        CU_ASSERT_FATAL(mkdtemp(directory) != NULL);
        char path[64];
        char address[128];
        (void)snprintf(path, sizeof(path), "unix:%s/socket", directory);
        struct gyr_config config = kit_server_config(2);
        config.balance = balance;
        struct gyr_server *server = kit_server_start(&config, &SERVICE, path, address);
        int fds[10];
        for (size_t i = 0; i < COUNT_OF(fds); i++) {
            fds[i] = kit_client(address);
            EXPECT(kit_client_ask(fds[i], KIT_GET("/"), "ok."), "answered");
        }
        struct gyr_stats stats;
        gyr_server_stats(server, 0, &stats, sizeof(stats));
        bool hash = balance == GYR_BALANCE_HASH;
        EXPECT(hash ? stats.connections == COUNT_OF(fds) : stats.connections < COUNT_OF(fds),
               "on the core that accepted them");
        EXPECT(hash == (stats.handed_over == 0), "counted");
        for (size_t i = 0; i < COUNT_OF(fds); i++) {
            (void)close(fds[i]);
        }
        kit_server_end(server);
        (void)rmdir(directory);
    }
}

void options_connections_max_of_one_core_leaves_the_others_room(void)
{
    if (!kit_server_possible(2)) {
        return;
    }
    char directory[] = "/tmp/gyr-test-XXXXXX";
    CU_ASSERT_FATAL(mkdtemp(directory) != NULL);
    char path[64];
    char address[128];
    (void)snprintf(path, sizeof(path), "unix:%s/socket", directory);
    struct gyr_config config = kit_server_config(2);
    struct gyr_settings *settings = settings_of(&config);
    EXPECT_INT(gyr_settings_set(settings, "core 0.connections_max", "2", "--set", NULL), 0, "set");
    struct gyr_server *server;
    struct gyr_error error;
    CU_ASSERT_FATAL(gyr_server_create_with(settings, &SERVICE, &server, &error) == 0);
    CU_ASSERT_FATAL(gyr_server_listen(server, path, &error) == 0);
    CU_ASSERT_FATAL(gyr_server_start(server, &error) == 0);
    CU_ASSERT_FATAL(gyr_server_address(server, 0, address, sizeof(address)));
    int fds[10];
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        fds[i] = kit_client(address);
        EXPECT(kit_client_ask(fds[i], KIT_GET("/"), "ok."), "answered");
    }
    struct gyr_stats stats;
    gyr_server_stats(server, 0, &stats, sizeof(stats));
    EXPECT_INT(stats.connections, 2, "as many as it may have");
    gyr_server_stats(server, 1, &stats, sizeof(stats));
    EXPECT_INT(stats.connections, COUNT_OF(fds) - 2, "and the rest");
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        (void)close(fds[i]);
    }
    kit_server_end(server);
    gyr_settings_destroy(settings);
    (void)rmdir(directory);
}

static void work_counted(void *arg)
{
    unsigned running = atomic_fetch_add(&seen.running, 1) + 1;
    unsigned max = atomic_load(&seen.running_max);
    while (running > max && !atomic_compare_exchange_weak(&seen.running_max, &max, running)) {
    }
    if (arg != NULL) {
        pthread_barrier_wait(&seen.barrier); /* until all of them run */
    }
    for (unsigned i = 0; i < 100; i++) {
        sched_yield(); /* another thread, if there were one, would be seen */
    }
    atomic_fetch_sub(&seen.running, 1);
}

static void work_done(struct gyr_core *core, void *arg)
{
    (void)core;
    (void)arg;
    sem_post(&seen.done);
}

static void offload_three(struct gyr_core *core, void *arg)
{
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_INT(gyr_offload(core, work_counted, work_done, arg), 0, "taken");
    }
}

void options_offload_threads_run_side_by_side(void)
{
    if (!kit_server_possible(1)) {
        return;
    }
    for (unsigned threads = 1; threads <= 3; threads += 2) {
        struct gyr_config config = kit_server_config(1);
        char address[128];
        config.offload_threads = threads;
        seen.running_max = 0;
        sem_init(&seen.done, 0, 0);
        (void)pthread_barrier_init(&seen.barrier, NULL, 3);
        struct gyr_server *server = kit_server_start(&config, &SERVICE, "127.0.0.1:0", address);
        EXPECT_INT(gyr_post(server, 0, offload_three, threads == 3 ? &seen : NULL), 0, "begin");
        for (unsigned i = 0; i < 3; i++) {
            kit_wait(&seen.done);
        }
        EXPECT_INT(seen.running_max, threads, "at once");
        kit_server_end(server);
        (void)pthread_barrier_destroy(&seen.barrier);
        sem_destroy(&seen.done);
    }
}

/* Nothing accepts before the start. Linux queues one connection more than it is told. */
void options_listen_backlog_bounds_who_waits(void)
{
    for (unsigned backlog = 2; backlog <= 6; backlog += 4) {
        char directory[] = "/tmp/gyr-test-XXXXXX";
        CU_ASSERT_FATAL(mkdtemp(directory) != NULL);
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        char address[128];
        (void)snprintf(name.sun_path, sizeof(name.sun_path), "%s/socket", directory);
        (void)snprintf(address, sizeof(address), "unix:%s", name.sun_path);
        struct gyr_config config = kit_server_config(1);
        config.listen_backlog = backlog;
        struct gyr_server *server;
        struct gyr_error error;
        CU_ASSERT_FATAL(gyr_server_create(&config, &SERVICE, &server, &error) == 0);
        CU_ASSERT_FATAL(gyr_server_listen(server, address, &error) == 0);
        int fds[10];
        unsigned waiting = 0;
        for (size_t i = 0; i < COUNT_OF(fds); i++) {
            fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
            int err = connect(fds[i], (struct sockaddr *)&name, sizeof(name)) == 0 ? 0 : errno;
            EXPECT(err == 0 || err == EAGAIN, "taken or refused");
            waiting += err == 0;
        }
        EXPECT_INT(waiting, backlog + 1, "in the queue");
        for (size_t i = 0; i < COUNT_OF(fds); i++) {
            (void)close(fds[i]);
        }
        gyr_server_destroy(server);
        (void)rmdir(directory);
    }
}
