/* SPDX-License-Identifier: MIT */
/* Scenarios of workers: beside a service, and with it from its start to its end, over real sockets
 * and on each ring where there is a server. What can go wrong in detail is in
 * tests/unit/test_worker*.c. */
#include "gyr/gyr_worker.h"

#include "tests/worker_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FOR_EVER   UINT32_MAX
#define PEER_COUNT 20

static const char UPGRADE[] = KIT_UPGRADE_WITH("");

/* ---- 109 to 111, 113, 114: controllers ------------------------------------------------------- */

struct stage {
    struct gyr_workers *workers;
    struct worker_probe probe;
    struct gyr_error error;
};

static void stage_init(struct stage *stage)
{
    worker_probe_init(&stage->probe);
    stage->error.text[0] = '\0';
    CU_ASSERT_FATAL(gyr_workers_create(NULL, &stage->workers) == 0);
}

static void stage_deinit(struct stage *stage)
{
    gyr_workers_destroy(stage->workers);
    worker_probe_deinit(&stage->probe);
}

static int start(struct stage *stage, const struct gyr_worker *table)
{
    return gyr_workers_start(stage->workers, table, &stage->probe, &stage->error);
}

static int stop(struct stage *stage)
{
    return gyr_workers_stop(stage->workers, FOR_EVER, &stage->error);
}

static const struct gyr_worker SLEEPER[] = {GYR_WORKER("sleeper", worker_kit_sleeper), {0}};

struct counter {
    _Atomic unsigned steps;
    sem_t stepped;
};

static int count_steps(struct gyr_worker_run *run, void *context)
{
    struct counter *counter = context;
    while (gyr_worker_sleep(run, 1)) {
        counter->steps++;
        (void)sem_post(&counter->stepped);
    }
    return 0;
}

void scenario_109_a_worker_runs_with_its_context_until_it_is_stopped(void)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER("one", count_steps), GYR_WORKER("two", count_steps), {0}};
    struct counter counter = {.steps = 0};
    struct gyr_workers *workers;
    struct gyr_error error = {""};
    (void)sem_init(&counter.stepped, 0, 0);
    CU_ASSERT_FATAL(gyr_workers_create(NULL, &workers) == 0);
    EXPECT_INT(gyr_workers_start(workers, TABLE, &counter, &error), 0, error.text);
    for (unsigned i = 0; i < 10; i++) {
        kit_wait(&counter.stepped);
    }
    EXPECT(counter.steps >= 10, "both have the same context");
    EXPECT_INT(gyr_workers_stop(workers, FOR_EVER, &error), 0, error.text);
    unsigned steps = counter.steps;
    worker_kit_gone("one");
    worker_kit_gone("two");
    EXPECT_INT(counter.steps, steps, "none steps behind the stop");
    gyr_workers_destroy(workers);
    (void)sem_destroy(&counter.stepped);
}

void scenario_110_a_second_start_is_an_error_and_stop_may_be_repeated(void)
{
    struct stage stage;
    stage_init(&stage);
    EXPECT_INT(stop(&stage), 0, "before the start");
    for (unsigned round = 0; round < 3; round++) {
        EXPECT_INT(start(&stage, SLEEPER), 0, stage.error.text);
        kit_wait(&stage.probe.began);
        EXPECT_INT(start(&stage, SLEEPER), GYR_ERR_STATE, "started already");
        EXPECT_INT(stage.probe.began_count, round + 1, "the second one has begun nothing");
        EXPECT_INT(stop(&stage), 0, "stopped");
        EXPECT_INT(stop(&stage), 0, "again");
        EXPECT_INT(stage.probe.ended_count, round + 1, "ended");
    }
    stage_deinit(&stage);
}

static int fail_a(struct gyr_worker_run *run, void *context)
{
    (void)run;
    (void)context;
    return -ENOENT;
}

static int fail_b(struct gyr_worker_run *run, void *context)
{
    (void)run;
    (void)context;
    return -EPIPE;
}

void scenario_111_stop_returns_the_first_failure_and_joins_the_rest(void)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER("sleeper", worker_kit_sleeper),
        GYR_WORKER("a", fail_a),
        GYR_WORKER("b", fail_b),
        {0},
    };
    struct stage stage;
    stage_init(&stage);
    for (unsigned round = 0; round < 3; round++) {
        EXPECT_INT(start(&stage, TABLE), 0, stage.error.text);
        kit_wait(&stage.probe.began);
        worker_kit_gone("a");
        worker_kit_gone("b");
        EXPECT_INT(stage.probe.ended_count, round, "the other goes on");
        EXPECT_INT(stop(&stage), -ENOENT, "the first of the table, whichever failed first");
        EXPECT(strstr(stage.error.text, "worker \"a\" (") == stage.error.text, stage.error.text);
        EXPECT_INT(stage.probe.ended_count, round + 1, "the other is joined");
    }
    stage_deinit(&stage);
}

void scenario_113_a_deadline_ends_the_wait_for_who_does_not_stop(void)
{
    static const struct gyr_worker TABLE[] = {GYR_WORKER("deaf", worker_kit_deaf), {0}};
    struct stage stage;
    stage_init(&stage);
    EXPECT_INT(start(&stage, TABLE), 0, stage.error.text);
    kit_wait(&stage.probe.began);
    EXPECT_INT(gyr_workers_stop(stage.workers, 20, &stage.error), GYR_ERR_TIMEOUT, "it is deaf");
    EXPECT(strstr(stage.error.text, "\"deaf\"") != NULL, stage.error.text);
    EXPECT_INT(stage.probe.ended_count, 0, "it goes on");
    EXPECT_INT(start(&stage, SLEEPER), 0, "the controller is free");
    EXPECT_INT(stop(&stage), 0, "as ever");
    (void)sem_post(&stage.probe.go);
    do {
        kit_wait(&stage.probe.ended);
    } while (stage.probe.ended_count < stage.probe.began_count);
    worker_kit_gone("deaf");
    EXPECT(stage.probe.was_stopping, "it could have known");
    stage_deinit(&stage);
}

void scenario_114_an_invalid_worker_keeps_all_from_beginning(void)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER("sleeper", worker_kit_sleeper),
        {.name = "empty", .at = GYR_AT},
        GYR_WORKER("other", worker_kit_sleeper),
        {0},
    };
    struct stage stage;
    stage_init(&stage);
    EXPECT_INT(start(&stage, TABLE), GYR_ERR_ARGUMENT, "no function");
    EXPECT(strstr(stage.error.text, "worker \"empty\" (") == stage.error.text, stage.error.text);
    EXPECT_INT(stage.probe.began_count, 0, "none has begun");
    worker_kit_gone("sleeper");
    worker_kit_gone("other");
    EXPECT_INT(start(&stage, SLEEPER), 0, "it is not started by that");
    EXPECT_INT(stop(&stage), 0, "ends");
    stage_deinit(&stage);
}

/* ---- 112, 115, 116: servers ------------------------------------------------------------------ */

struct party {
    struct worker_log log; /* first: worker_kit_log looks there */
    struct worker_probe probe;
    struct gyr_server *server;
    char address[128];
    _Atomic unsigned open_count;
    _Atomic unsigned close_count;
    _Atomic unsigned going_away; /* of those, with 1001 */
    _Atomic unsigned lost;       /* and with 1006 */
    struct gyr_error error;
};

static struct party *party_of(struct gyr_conn *conn)
{
    return gyr_server_user(gyr_core_server(gyr_conn_core(conn)));
}

static int on_open(struct gyr_conn *conn)
{
    party_of(conn)->open_count++;
    return 0;
}

static int on_message(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span message)
{
    return gyr_reply(conn, opcode, message);
}

static void on_close(struct gyr_conn *conn, uint16_t close_code, struct gyr_span reason)
{
    struct party *party = party_of(conn);
    (void)reason;
    party->going_away += close_code == 1001;
    party->lost += close_code == 1006;
    party->close_count++;
}

static void change_service(struct gyr_config *config, struct gyr_service *service)
{
    config->close_timeout_ms = 10000;
    config->shutdown_deadline_ms = KIT_PATIENCE_S * 1000;
    service->on_open = on_open;
    service->on_message = on_message;
    service->on_close = on_close;
}

static void party_init(struct party *party, enum gyr_ring ring,
                       void (*change)(struct gyr_config *config, struct gyr_service *service))
{
    memset(party, 0, sizeof(*party));
    worker_log_init(&party->log);
    worker_probe_init(&party->probe);
    party->server = worker_kit_server(ring, 2, &party->log, change);
    CU_ASSERT_FATAL(gyr_server_address(party->server, 0, party->address, sizeof(party->address)));
}

static void party_deinit(struct party *party)
{
    gyr_server_destroy(party->server);
    worker_probe_deinit(&party->probe);
    worker_log_deinit(&party->log);
}

static void party_start(struct party *party, const struct gyr_worker *table)
{
    EXPECT_INT(gyr_server_workers(party->server, table, &party->probe, &party->error), 0,
               party->error.text);
    EXPECT_INT(party->probe.began_count, 0, "not before the server");
    worker_kit_start(party->server);
}

static void echo(int fd)
{
    EXPECT(kit_client_ask(fd, "\x81\x82\1\1\1\1ih", "\x81\x02hi"), "it is served");
}

static int open_ws(struct party *party)
{
    int fd = kit_client(party->address);
    EXPECT(kit_client_ask(fd, UPGRADE, "\r\n\r\n"), "accepted");
    echo(fd);
    return fd;
}

static void on_rings(void (*run)(enum gyr_ring ring))
{
    if (!kit_server_possible(2)) {
        return;
    }
    for (enum gyr_ring ring = GYR_RING_URING; ring <= GYR_RING_EPOLL; ring++) {
        run(ring);
    }
}

static void failures_on(enum gyr_ring ring)
{
    static const struct gyr_worker TABLES[][3] = {
        {GYR_WORKER("weak", worker_kit_deaf), GYR_WORKER("well", worker_kit_sleeper), {0}},
        {GYR_WORKER("weak", worker_kit_deaf, .on_failure = GYR_WORKER_RESTART, .restart_ms_min = 1),
         GYR_WORKER("well", worker_kit_sleeper),
         {0}},
        {GYR_WORKER("weak", worker_kit_deaf, .on_failure = GYR_WORKER_STOP),
         GYR_WORKER("well", worker_kit_sleeper),
         {0}},
    };
    static const char *const FOLLOWS[] = {"nothing", "restart", "stop"};
    for (unsigned i = 0; i < COUNT_OF(TABLES); i++) {
        struct party party;
        party_init(&party, ring, change_service);
        party_start(&party, TABLES[i]);
        kit_wait(&party.probe.began);
        kit_wait(&party.probe.began);
        int fd = open_ws(&party);
        party.probe.result = -EPIPE;
        (void)sem_post(&party.probe.go);
        char line[128];
        (void)snprintf(line, sizeof(line),
                       " error worker.failed worker=weak result=-32 error=\"Broken pipe\" "
                       "follows=%s",
                       FOLLOWS[i]);
        worker_log_wait(&party.log, line, 1); /* nobody has stopped anything yet */
        party.probe.result = 0;
        if (i < 2) {
            echo(fd);
            EXPECT_INT(party.probe.ended_count, 1, "the server goes on, and so does the other");
        }
        if (i == 1) {
            kit_wait(&party.probe.began); /* it has begun anew */
            (void)sem_post(&party.probe.go);
        }
        if (i < 2) {
            gyr_server_stop(party.server);
        }
        EXPECT(kit_client_ask(fd, "", "\x88\x02\x03\xe9"), "1001, whoever has stopped it");
        (void)close(fd);
        gyr_server_wait(party.server);
        EXPECT_INT(party.probe.began_count, party.probe.ended_count, "all have ended");
        EXPECT_INT(party.probe.began_count, i == 1 ? 3 : 2, "one began anew if it was to");
        party_deinit(&party);
    }
}

void scenario_112_a_failure_is_reported_at_once_and_its_policy_followed(void)
{
    on_rings(failures_on);
}

/* Connections that no handshake has come from: one that has just begun, and one within its head.
 * Returns when the server has accepted both and has read what was sent. */
static void open_late(struct party *party, int fds[2])
{
    static const char HEAD[] = "GET /ws HTTP/1.1\r\nHost: a\r\n";
    struct gyr_stats before;
    struct gyr_stats now;
    gyr_server_stats(party->server, UINT_MAX, &before, sizeof(before));
    fds[0] = kit_client(party->address);
    fds[1] = kit_client(party->address);
    EXPECT(send(fds[1], HEAD, sizeof(HEAD) - 1, MSG_NOSIGNAL) > 0, "a part of a handshake");
    do {
        (void)sched_yield();
        gyr_server_stats(party->server, UINT_MAX, &now, sizeof(now));
    } while (now.accepted < before.accepted + 2 ||
             now.bytes_in < before.bytes_in + sizeof(HEAD) - 1);
}

static void shut_down_on(enum gyr_ring ring)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER("sleeper", worker_kit_sleeper),
        GYR_WORKER_TIMER("tick", worker_kit_tick, 1, .core_index = 1),
        {0},
    };
    struct party party;
    int peers[PEER_COUNT];
    int late[2];
    party_init(&party, ring, change_service);
    party_start(&party, TABLE);
    for (unsigned i = 0; i < PEER_COUNT; i++) {
        peers[i] = open_ws(&party);
    }
    open_late(&party, late);
    EXPECT_INT(party.open_count, PEER_COUNT, "all are open");
    gyr_server_stop(party.server);
    for (unsigned i = 0; i < 2; i++) {
        EXPECT(kit_client_ask(late[i], "", "HTTP/1.1 503 "), "no upgrade any more");
        (void)close(late[i]);
    }
    for (unsigned i = 0; i < PEER_COUNT; i++) {
        EXPECT(kit_client_ask(peers[i], "", "\x88\x02\x03\xe9"), "Close 1001");
        EXPECT(!kit_client_ask(peers[i], "\x88\x82\1\1\1\1\x02\xe8", "x"), "answered: the end");
        (void)close(peers[i]);
    }
    gyr_server_wait(party.server);
    EXPECT_INT(party.close_count, PEER_COUNT, "on_close ran for each");
    EXPECT_INT(party.going_away, PEER_COUNT, "with the peer's answer");
    EXPECT_INT(party.open_count, PEER_COUNT, "nobody was let in");
    EXPECT_INT(party.probe.began_count, party.probe.ended_count, "the workers have ended");
    EXPECT_INT(worker_log_count(&party.log, "worker."), 0, "well");
    EXPECT_INT(worker_log_count(&party.log, "core.end"), 2, "all cores have");
    party_deinit(&party);
}

static void change_spread(struct gyr_config *config, struct gyr_service *service)
{
    change_service(config, service);
    config->shutdown_window_ms = 600000;
    config->shutdown_deadline_ms = 300;
}

/* So wide a window that the deadline comes before the second peer's turn on a core. */
static void cut_off_on(enum gyr_ring ring)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER("sleeper", worker_kit_sleeper), GYR_WORKER("deaf", worker_kit_deaf), {0}};
    struct party party;
    int peers[PEER_COUNT];
    party_init(&party, ring, change_spread);
    party_start(&party, TABLE);
    kit_wait(&party.probe.began);
    kit_wait(&party.probe.began);
    for (unsigned i = 0; i < PEER_COUNT; i++) {
        peers[i] = open_ws(&party);
    }
    gyr_server_stop(party.server);
    gyr_server_wait(party.server); /* by the deadline, whatever peers and workers do */
    unsigned told = 0;
    for (unsigned i = 0; i < PEER_COUNT; i++) {
        told += kit_client_ask(peers[i], "", "\x88\x02\x03\xe9");
        (void)close(peers[i]);
    }
    EXPECT(told <= 2, "one of each core has had its turn, at most");
    EXPECT_INT(party.close_count, PEER_COUNT, "on_close ran for each all the same");
    EXPECT_INT(party.lost, PEER_COUNT, "without a Close of the peer");
    EXPECT_INT(worker_log_count(&party.log, "worker.left worker=deaf"), 1, "left behind");
    EXPECT_INT(worker_log_count(&party.log, "worker.left"), 1, "the other has ended");
    EXPECT_INT(party.probe.ended_count, 1, "the other has ended");
    (void)sem_post(&party.probe.go);
    kit_wait(&party.probe.ended);
    kit_wait(&party.probe.ended);
    worker_kit_gone("deaf");
    party_deinit(&party);
}

void scenario_115_a_server_that_is_stopped_ends_all_in_order_and_in_time(void)
{
    on_rings(shut_down_on);
    on_rings(cut_off_on);
}

static void lives_on(enum gyr_ring ring)
{
    static const struct gyr_worker TABLE[] = {
        GYR_WORKER("sleeper", worker_kit_sleeper),
        GYR_WORKER_TIMER("tick", worker_kit_tick, 1),
        {0},
    };
    struct party party;
    party_init(&party, ring, change_service);
    party_start(&party, TABLE);
    for (unsigned i = 0; i < 5; i++) {
        kit_wait(&party.probe.began); /* the thread, and ticks */
    }
    int fd = open_ws(&party);
    EXPECT_INT(worker_kit_threads("sleeper"), 1, "beside the connections");
    EXPECT(party.probe.server == party.server, "they know their server");
    (void)close(fd);
    gyr_server_stop(party.server);
    gyr_server_wait(party.server);
    unsigned began = party.probe.began_count;
    EXPECT_INT(party.probe.ended_count, began, "each has ended");
    EXPECT(party.probe.was_stopping, "the thread was the last, and knew");
    worker_kit_gone("sleeper");
    EXPECT_INT(party.probe.began_count, began, "nothing runs behind the end");
    party_deinit(&party);
}

void scenario_116_workers_run_between_start_and_end_of_a_server_only(void)
{
    on_rings(lives_on);
}
