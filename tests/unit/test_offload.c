/* SPDX-License-Identifier: MIT */
/* What leaves a core's thread and comes back to it: posts, mail, completions, and the pool. */
#include "engine/offload.h"

#include "engine/core.h"
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static const char ASK[] = KIT_GET("/");

/* What the tests below share with the cores; set up anew by each. */
static struct {
    struct gyr_server *server;
    struct gyr_handle handle;
    int err;       /* of a call from a callback */
    sem_t reached; /* a callback has come to where the test waits for it */
    sem_t go;      /* and may go on */
    sem_t filled;  /* the pool is */
    pthread_t core_thread;
    pthread_t work_thread;
    unsigned order[1000];
    unsigned count;
    int mails;
    int stale;
    _Atomic int done;
} shared;

static int on_request(struct gyr_conn *conn, const struct gyr_request *request)
{
    (void)request;
    shared.handle = gyr_conn_handle(conn);
    shared.core_thread = pthread_self();
    sem_post(&shared.reached);
    return GYR_PENDING;
}

static int answer(struct gyr_conn *conn, void *arg)
{
    (void)arg;
    if (conn == NULL) {
        shared.stale++;
        sem_post(&shared.reached);
        return 0;
    }
    return gyr_respond_text(conn, 200, "text/plain", GYR_SPAN("late."));
}

static void on_mail(struct gyr_conn *conn, void *mail)
{
    shared.mails += conn != NULL ? *(int *)mail : 100;
    sem_post(&shared.reached);
}

static const struct gyr_service SERVICE = {
    .size = sizeof(SERVICE), .on_request = on_request, .on_mail = on_mail};

static void shared_init(void)
{
    memset(&shared, 0, sizeof(shared));
    (void)sem_init(&shared.reached, 0, 0);
    (void)sem_init(&shared.go, 0, 0);
    (void)sem_init(&shared.filled, 0, 0);
}

static void begin(const struct gyr_config *config, char address[128])
{
    shared_init();
    shared.server = kit_server_start(config, &SERVICE, "127.0.0.1:0", address);
}

static void end(void)
{
    kit_server_end(shared.server);
    (void)sem_destroy(&shared.reached);
    (void)sem_destroy(&shared.go);
    (void)sem_destroy(&shared.filled);
}

void offload_complete_answers_from_another_thread(void)
{
    if (!kit_server_possible(1)) {
        return;
    }
    struct gyr_config config = kit_server_config(1);
    char address[128];
    begin(&config, address);
    int fd = kit_client(address);
    EXPECT(write(fd, ASK, sizeof(ASK) - 1) > 0, "asked");
    kit_wait(&shared.reached);
    int two = 2;
    EXPECT_INT(gyr_mail(shared.server, shared.handle, &two), 0, "mail");
    kit_wait(&shared.reached);
    EXPECT_INT(shared.mails, 2, "on_mail with its connection");
    EXPECT_INT(gyr_complete(shared.server, shared.handle, answer, NULL), 0, "complete");
    EXPECT(kit_client_ask(fd, "", "late."), "answered");
    /* The exchange is over; its name is stale. */
    EXPECT_INT(gyr_complete(shared.server, shared.handle, answer, NULL), 0, "taken");
    kit_wait(&shared.reached);
    EXPECT_INT(shared.stale, 1, "conn is NULL");
    EXPECT_INT(gyr_mail(shared.server, shared.handle, &two), 0, "taken");
    kit_wait(&shared.reached);
    EXPECT_INT(shared.mails, 102, "conn is NULL");
    EXPECT_INT(gyr_mail(shared.server, (struct gyr_handle){UINT64_MAX}, &two), GYR_ERR_ARGUMENT,
               "no such core");
    end();
    (void)close(fd);
}

static void post_number(struct gyr_core *core, void *arg)
{
    (void)core;
    shared.order[shared.count++] = (unsigned)(uintptr_t)arg;
}

static void post_block(struct gyr_core *core, void *arg)
{
    (void)core;
    (void)arg;
    sem_post(&shared.reached);
    kit_wait(&shared.go);
}

void offload_post_keeps_order_is_bounded_and_runs_all_it_took(void)
{
    if (!kit_server_possible(1)) {
        return;
    }
    struct gyr_config config = kit_server_config(1);
    config.mailbox_count_max = 100;
    char address[128];
    begin(&config, address);
    EXPECT_INT(gyr_post(shared.server, 1, post_number, NULL), GYR_ERR_ARGUMENT, "no such core");
    EXPECT_INT(gyr_post(shared.server, 0, post_block, NULL), 0, "taken");
    kit_wait(&shared.reached); /* the core is busy from here on */
    uintptr_t taken = 0;
    while (gyr_post(shared.server, 0, post_number, (void *)taken) == 0) {
        taken++;
    }
    EXPECT_INT(taken, 100, "then GYR_ERR_BACKPRESSURE");
    EXPECT_INT(gyr_post(shared.server, 0, post_number, NULL), GYR_ERR_BACKPRESSURE, "full");
    gyr_server_stop(shared.server);
    sem_post(&shared.go);
    gyr_server_wait(shared.server);
    EXPECT_INT(shared.count, 100, "all, although the server has ended");
    for (unsigned i = 0; i < shared.count; i++) {
        EXPECT_INT(shared.order[i], i, "in order");
    }
    EXPECT_INT(gyr_post(shared.server, 0, post_number, NULL), GYR_ERR_CLOSED, "after the end");
    end();
}

/* ---- the pool ---- */

static void work(void *arg)
{
    (void)arg;
    shared.work_thread = pthread_self();
    sem_post(&shared.reached);
    kit_wait(&shared.go);
}

static void done(struct gyr_core *core, void *arg)
{
    (void)core;
    (void)arg;
    EXPECT(pthread_equal(pthread_self(), shared.core_thread) != 0, "on the core");
    shared.done++;
    sem_post(&shared.reached);
}

/* Fill the pool from the core: one call runs, one waits, no third is taken. None may end before the
 * third was refused: the test waits for `filled` first. */
static void fill_pool(struct gyr_core *core, void *arg)
{
    (void)arg;
    shared.core_thread = pthread_self();
    EXPECT_INT(gyr_offload(core, work, done, NULL), 0, "runs");
    EXPECT_INT(gyr_offload(core, work, done, NULL), 0, "waits");
    EXPECT_INT(gyr_offload(core, work, done, NULL), GYR_ERR_BACKPRESSURE, "is refused");
    sem_post(&shared.filled);
}

void offload_works_elsewhere_and_completes_on_the_core(void)
{
    if (!kit_server_possible(1)) {
        return;
    }
    struct gyr_config config = kit_server_config(1);
    config.offload_threads = 1;
    config.offload_count_max = 2;
    char address[128];
    begin(&config, address);
    EXPECT_INT(gyr_post(shared.server, 0, fill_pool, NULL), 0, "begin");
    kit_wait(&shared.filled);
    for (unsigned i = 0; i < 2; i++) {
        kit_wait(&shared.reached);
        EXPECT(pthread_equal(shared.work_thread, shared.core_thread) == 0, "not on the core");
        EXPECT_INT(shared.done, i, "the core goes on meanwhile");
        sem_post(&shared.go);
        kit_wait(&shared.reached);
        /* One of the two posts was the second call's `work`, or the first one's `done`. */
        while (shared.done <= (int)i) {
            sched_yield();
        }
    }
    EXPECT_INT(shared.done, 2, "both came back");
    end();
}

void offload_is_waited_for_when_the_server_stops(void)
{
    if (!kit_server_possible(1)) {
        return;
    }
    struct gyr_config config = kit_server_config(1);
    config.offload_threads = 1;
    config.offload_count_max = 2;
    config.shutdown_deadline_ms = 0;
    char address[128];
    begin(&config, address);
    EXPECT_INT(gyr_post(shared.server, 0, fill_pool, NULL), 0, "begin");
    kit_wait(&shared.filled);
    kit_wait(&shared.reached);
    gyr_server_stop(shared.server);
    sem_post(&shared.go);
    sem_post(&shared.go);
    gyr_server_wait(shared.server);
    EXPECT_INT(shared.done, 2, "done runs for both before the core ends");
    end();
}

static void work_at_once(void *arg)
{
    (void)arg;
}

static void offload_one(struct gyr_core *core, void *arg)
{
    (void)arg;
    shared.core_thread = pthread_self();
    EXPECT_INT(gyr_offload(core, work_at_once, done, NULL), 0, "taken");
}

/* Each of the two waits for the other. */
static void work_first(void *arg)
{
    (void)arg;
    sem_post(&shared.go);
    kit_wait(&shared.filled);
}

static void work_second(void *arg)
{
    (void)arg;
    kit_wait(&shared.go);
    sem_post(&shared.filled);
}

static void offload_both(struct gyr_core *core, void *arg)
{
    (void)arg;
    EXPECT_INT(gyr_offload(core, work_first, done, NULL), 0, "taken");
    EXPECT_INT(gyr_offload(core, work_second, done, NULL), 0, "taken");
}

void offload_runs_calls_of_one_turn_side_by_side(void)
{
    if (!kit_server_possible(1)) {
        return;
    }
    struct gyr_config config = kit_server_config(1);
    config.offload_threads = 2;
    char address[128];
    begin(&config, address);
    EXPECT_INT(gyr_post(shared.server, 0, offload_one, NULL), 0, "begin");
    kit_wait(&shared.reached);
    (void)usleep(20000); /* so that its thread is idle again; it passes if it is not */
    for (int round = 0; round < 2; round++) {
        EXPECT_INT(gyr_post(shared.server, 0, offload_both, NULL), 0, "begin");
        kit_wait(&shared.reached);
        kit_wait(&shared.reached);
        EXPECT_INT(shared.done, 2 * round + 3, "neither waited for the other's end");
    }
    end();
}

static int start_offload_and_fail(struct gyr_core *core)
{
    shared.core_thread = pthread_self();
    shared.err = gyr_offload(core, work_at_once, done, NULL);
    return -ENOENT;
}

void offload_comes_back_although_the_start_fails(void)
{
    if (!kit_server_possible(1)) {
        return;
    }
    struct gyr_service service = SERVICE;
    service.on_core_start = start_offload_and_fail;
    struct gyr_config config = kit_server_config(1);
    struct gyr_error error;
    shared_init();
    CU_ASSERT_FATAL(gyr_server_create(&config, &service, &shared.server, &error) == 0);
    EXPECT_INT(gyr_server_start(shared.server, &error), -ENOENT, "the service's error");
    EXPECT_INT(shared.err, 0, "taken");
    EXPECT_INT(shared.done, 1, "so done runs");
    end();
}

static struct offload *pool;

static void offload_late(struct core *core, struct mail *mail)
{
    (void)mail;
    shared.err = offload_submit(pool, core, work_at_once, done, NULL);
}

void offload_is_refused_once_the_core_has_ended(void)
{
    struct kit kit;
    kit_begin(&kit);
    shared_init();
    pool = offload_create(1, 1);
    core_stop(kit.core);
    for (unsigned i = 0; i < 100 && kit.core->state != CORE_ENDED; i++) {
        kit_advance(&kit, 1000);
    }
    EXPECT_INT(kit.core->state, CORE_ENDED, "it takes no more turns");
    struct mail mail = {.run = offload_late};
    EXPECT_INT(mailbox_put(&kit.core->mailbox, &mail, NULL), 0, "its mailbox is still open");
    kit_end(&kit);
    EXPECT_INT(shared.err, GYR_ERR_CLOSED, "what is posted runs, but cannot go elsewhere");
    offload_destroy(pool);
}
