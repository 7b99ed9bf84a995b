/* SPDX-License-Identifier: MIT */
/* Which ring a server takes. What a whole process is denied is the matter of
 * tests/socket/test_ring.py; here it is one core's thread. */
#include "gyr/gyr.h"

#include "engine/ring.h"
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"
#include "tests/run_tests.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char ASK[] = KIT_GET("/");

static int on_request(struct gyr_conn *conn, const struct gyr_request *request)
{
    (void)request;
    return gyr_respond_text(conn, 200, "text/plain", GYR_SPAN("here"));
}

static const struct gyr_service SERVICE = {.size = sizeof(SERVICE), .on_request = on_request};

/* Have io_uring_setup fail from now on, on this thread alone. */
static bool io_uring_deny(void)
{
    struct sock_filter instructions[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = COUNT_OF(instructions), .filter = instructions};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* Has this machine io_uring, and two CPUs? */
static bool possible(void)
{
    static char why[RING_WHY_SIZE];
    const struct ring_config config = {
        .submission_entries = 16, .completion_entries = 64, .buffer_size = 4096, .buffer_count = 1};
    struct ring *ring;
    if (ring_uring_ops.create(&config, &ring, why) < 0) {
        test_skip(why);
        return false;
    }
    ring_uring_ops.destroy(ring);
    return kit_server_possible(2);
}

struct runner {
    struct gyr_server *server;
    unsigned index;
    bool denies;
    bool denied;
    int result;
    struct gyr_error error;
    pthread_t thread;
};

static void *run_core(void *arg)
{
    struct runner *runner = arg;
    runner->denied = !runner->denies || io_uring_deny();
    runner->result = gyr_server_run_core(runner->server, runner->index, &runner->error);
    return NULL;
}

/* Run two cores, the one with index `denied` on a thread without io_uring. */
static void runners_start(struct runner runners[2], struct gyr_server *server, unsigned denied)
{
    for (unsigned i = 0; i < 2; i++) {
        runners[i] = (struct runner){.server = server, .index = i, .denies = i == denied};
        CU_ASSERT_FATAL(pthread_create(&runners[i].thread, NULL, run_core, &runners[i]) == 0);
    }
}

static bool runners_join(struct runner runners[2])
{
    bool denied = true;
    for (unsigned i = 0; i < 2; i++) {
        (void)pthread_join(runners[i].thread, NULL);
        denied = denied && runners[i].denied;
    }
    return denied;
}

static void server_make(uint32_t ring, struct gyr_server **server, char address[128])
{
    struct gyr_config config = kit_server_config(2);
    struct gyr_error error = {""};
    config.ring = ring;
    config.balance = GYR_BALANCE_LEAST; /* so that the cores wake each other */
    CU_ASSERT_FATAL(gyr_server_create(&config, &SERVICE, server, &error) == 0);
    CU_ASSERT_FATAL(gyr_server_listen(*server, "127.0.0.1:0", &error) == 0);
    CU_ASSERT_FATAL(gyr_server_address(*server, 0, address, 128));
}

void server_takes_epoll_everywhere_when_one_core_has_no_io_uring(void)
{
    if (!possible()) {
        return;
    }
    for (unsigned denied = 0; denied < 2; denied++) {
        struct gyr_server *server;
        struct runner runners[2];
        char address[128];
        server_make(GYR_RING_AUTO, &server, address);
        runners_start(runners, server, denied);
        int fds[16];
        for (unsigned i = 0; i < COUNT_OF(fds); i++) {
            fds[i] = kit_client(address);
            EXPECT(kit_client_ask(fds[i], ASK, "here"), "answered");
        }
        EXPECT(strcmp(gyr_server_ring(server), "epoll") == 0, gyr_server_ring(server));
        const char *reason = gyr_server_ring_reason(server);
        EXPECT(strncmp(reason, "io_uring_setup: forbidden", 25) == 0, reason);
        for (unsigned i = 0; i < COUNT_OF(fds); i++) {
            (void)close(fds[i]);
        }
        gyr_server_stop(server);
        if (!runners_join(runners)) {
            test_skip("this kernel has no seccomp");
        }
        EXPECT(runners[0].result == 0 && runners[1].result == 0, "both ended well");
        gyr_server_wait(server);
        gyr_server_destroy(server);
    }
}

void server_fails_when_io_uring_is_asked_for_and_one_core_has_none(void)
{
    if (!possible()) {
        return;
    }
    struct gyr_server *server;
    struct runner runners[2];
    char address[128];
    server_make(GYR_RING_URING, &server, address);
    runners_start(runners, server, 1);
    if (!runners_join(runners)) {
        test_skip("this kernel has no seccomp");
    }
    for (unsigned i = 0; i < 2; i++) {
        EXPECT_INT(runners[i].result, GYR_ERR_UNSUPPORTED, "none goes on");
        EXPECT(strstr(runners[i].error.text, "core 1: io_uring_setup: forbidden") != NULL,
               runners[i].error.text);
    }
    EXPECT(gyr_server_ring_reason(server)[0] == '\0', "nothing was chosen");
    gyr_server_wait(server);
    gyr_server_destroy(server);
}

void server_takes_the_ring_that_is_asked_for(void)
{
    if (!possible()) {
        return;
    }
    static const char *const names[] = {
        [GYR_RING_AUTO] = "uring", [GYR_RING_URING] = "uring", [GYR_RING_EPOLL] = "epoll"};
    for (uint32_t ring = 0; ring < COUNT_OF(names); ring++) {
        struct gyr_server *server;
        struct gyr_error error = {""};
        char address[128];
        server_make(ring, &server, address);
        EXPECT(gyr_server_ring(server)[0] == '\0', "not before the start");
        EXPECT_INT(gyr_server_start(server, &error), 0, error.text);
        int fd = kit_client(address);
        EXPECT(kit_client_ask(fd, ASK, "here"), "answered");
        EXPECT(strcmp(gyr_server_ring(server), names[ring]) == 0, gyr_server_ring(server));
        EXPECT(gyr_server_ring_reason(server)[0] == '\0', gyr_server_ring_reason(server));
        (void)close(fd);
        kit_server_end(server);
    }
}
