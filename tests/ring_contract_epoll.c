/* SPDX-License-Identifier: MIT */
/* The kernel seam's contract on epoll, and what only epoll can get wrong. */
#include "tests/engine_kit.h"
#include "tests/ring_contract_sockets.h"
#include "tests/ring_stage.h"

#include <CUnit/CUnit.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define WORLD (&ring_contract_sockets_epoll)

/* A descriptor that a fork or dup has kept alive is still in epoll when ours is closed, under the
 * number that is the next connection's. */
void ring_contract_epoll_drops_events_of_a_descriptor_that_lives_on_elsewhere(void)
{
    struct stage stage;
    if (!stage_open(&stage, WORLD, 16)) {
        return;
    }
    struct pair old = stage_pair(&stage);
    stage.ops->poll_start(stage.ring, old.server, 0, true, user_data_of(OP_POLL, 0));
    stage_expect_nothing(&stage);
    stage.ops->cancel(stage.ring, user_data_of(OP_ACCEPT, 0));
    stage.ops->cancel(stage.ring, user_data_of(OP_POLL, 0));
    (void)stage_next(&stage);
    (void)stage_next(&stage);
    const int copy = dup(old.server);
    CU_ASSERT_FATAL(copy >= 0);
    struct pair fresh = {.client = WORLD->client_connect(stage.context, stage.listener)};
    stage.ops->close(stage.ring, old.server);
    stage.ops->accept_start(stage.ring, stage.listener, user_data_of(OP_ACCEPT, 1));
    fresh.server = stage_next(&stage).result;
    CU_ASSERT_FATAL(fresh.server == old.server); /* otherwise this shows nothing */

    stage.ops->poll_start(stage.ring, fresh.server, RING_POLL_IN, true, user_data_of(OP_POLL, 1));
    stage_expect_nothing(&stage);
    WORLD->client_reset(stage.context, old.client);
    stage_expect_nothing(&stage);
    pair_feed(&stage, &fresh, 1000);
    const struct completion completion = stage_next(&stage);
    CU_ASSERT(completion.user_data == user_data_of(OP_POLL, 1));
    CU_ASSERT(completion.result == RING_POLL_IN);
    pair_receive_now(&stage, &fresh, 1000);
    stage.ops->cancel(stage.ring, user_data_of(OP_POLL, 1));
    (void)stage_next(&stage);
    close(copy);
    stage_pair_close(&stage, &fresh);
    stage_close(&stage, "accept -ECANCELED\n"
                        "poll -ECANCELED\n"
                        "accept fd more\n"
                        "poll in more\n"
                        "poll -ECANCELED\n");
}

/* A receive ends at an urgent mark though there are bytes behind it, and no event tells of those.
 * The urgent byte itself is not part of the stream (RFC 9293 section 3.8.5). */
void ring_contract_epoll_reads_on_behind_urgent_data(void)
{
    struct stage stage;
    if (!stage_open(&stage, WORLD, 16)) {
        return;
    }
    struct pair pair = stage_pair(&stage);
    stage.ops->recv_start(stage.ring, pair.server, user_data_of(OP_RECV, 0));
    for (uint64_t end = 2000; end <= 20000; end += 2000) {
        pair_feed(&stage, &pair, end - 1000);
        CU_ASSERT(send(pair.client, "!", 1, MSG_OOB) == 1);
        pair_feed(&stage, &pair, end);
        pair_receive(&stage, &pair, end);
    }
    stage.ops->cancel(stage.ring, user_data_of(OP_RECV, 0));
    (void)stage_next(&stage);
    stage_pair_close(&stage, &pair);
    stage_close(&stage, "recv data more\n"
                        "recv -ECANCELED\n");
}

/* An accept must not block, whoever else takes the connections; and a process that has the listener
 * too finds it as it was. */
void ring_contract_epoll_leaves_a_listener_blocking_as_it_was(void)
{
    struct stage stage;
    if (!stage_open(&stage, WORLD, 16)) {
        return;
    }
    struct pair pair = stage_pair(&stage);
    CU_ASSERT((fcntl(stage.listener, F_GETFL) & O_NONBLOCK) != 0);
    CU_ASSERT((fcntl(pair.server, F_GETFL) & O_NONBLOCK) == 0);
    stage.ops->cancel(stage.ring, user_data_of(OP_ACCEPT, 0));
    (void)stage_next(&stage);
    CU_ASSERT((fcntl(stage.listener, F_GETFL) & O_NONBLOCK) == 0);
    stage.ops->accept_start(stage.ring, stage.listener, user_data_of(OP_ACCEPT, 1));
    stage.ops->destroy(stage.ring);
    CU_ASSERT((fcntl(stage.listener, F_GETFL) & O_NONBLOCK) == 0);
    CU_ASSERT(fcntl(stage.listener, F_SETFL, O_NONBLOCK) == 0);
    CU_ASSERT_FATAL(stage_ring_create(&stage, &stage.ring));
    stage.ops->accept_start(stage.ring, stage.listener, user_data_of(OP_ACCEPT, 2));
    stage.ops->cancel(stage.ring, user_data_of(OP_ACCEPT, 2));
    (void)stage_next(&stage);
    CU_ASSERT((fcntl(stage.listener, F_GETFL) & O_NONBLOCK) != 0);
    stage_pair_close(&stage, &pair);
    stage_close(&stage, "accept -ECANCELED\n");
}

/* What epoll does not take is a completion. */
void ring_contract_epoll_reports_what_cannot_be_polled(void)
{
    struct stage stage;
    if (!stage_open(&stage, WORLD, 16)) {
        return;
    }
    const int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    CU_ASSERT_FATAL(file >= 0);
    stage.ops->poll_start(stage.ring, file, RING_POLL_IN, false, user_data_of(OP_POLL, 0));
    (void)stage_next(&stage);
    stage.ops->recv_start(stage.ring, file, user_data_of(OP_RECV, 0));
    (void)stage_next(&stage);
    stage.ops->close(stage.ring, file);
    stage_close(&stage, "poll -EPERM\n"
                        "recv -EPERM\n");
}

/* Wait for a completion of a file, which stands in no trace. */
static struct completion file_next(struct stage *stage)
{
    struct completion completion = {0};
    for (unsigned turn = 0; turn < TURNS_MAX; turn++) {
        if (stage->ops->wait(stage->ring, UINT64_MAX, &completion, 1) == 1) {
            break;
        }
    }
    return completion;
}

void ring_contract_epoll_cancels_files_that_nobody_has_begun(void)
{
    enum {
        COUNT = 100
    };
    struct stage stage;
    if (!stage_open(&stage, WORLD, 16)) {
        return;
    }
    const int folder = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
    const unsigned before = kit_descriptors();
    for (uint32_t i = 0; i < COUNT; i++) {
        stage.ops->open_start(stage.ring, folder, "stat", i);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        stage.ops->cancel(stage.ring, i);
    }
    bool seen[COUNT] = {false};
    for (uint32_t i = 0; i < COUNT; i++) {
        const struct completion completion = file_next(&stage);
        CU_ASSERT_FATAL(completion.user_data < COUNT && !seen[completion.user_data]);
        CU_ASSERT(completion.result >= 0 || completion.result == -ECANCELED);
        seen[completion.user_data] = true;
        if (completion.result >= 0) {
            stage.ops->close(stage.ring, completion.result);
        }
    }
    stage_expect_nothing(&stage);
    CU_ASSERT(kit_descriptors() == before);
    close(folder);
    stage_close(&stage, "");
}

/* The thread may be in the middle of one, and may have opened others that nobody took. */
void ring_contract_epoll_destroy_closes_what_it_has_opened(void)
{
    struct stage stage;
    const unsigned before = kit_descriptors();
    for (unsigned round = 0; round < 50; round++) {
        if (!stage_open(&stage, WORLD, 16)) {
            return;
        }
        const int folder = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
        char bytes[100];
        for (uint32_t i = 0; i < 10; i++) {
            stage.ops->open_start(stage.ring, folder, "stat", i);
            stage.ops->read_start(stage.ring, folder, bytes, sizeof(bytes), 0, 100 + i);
        }
        for (uint32_t i = 0; i < round % 8; i++) {
            const struct completion completion = file_next(&stage);
            CU_ASSERT(completion.user_data < 10 || completion.result == -EBADF);
            if (completion.result >= 0) {
                stage.ops->close(stage.ring, completion.result);
            }
        }
        stage.ops->destroy(stage.ring);
        close(folder);
        WORLD->listener_close(stage.context, stage.listener);
        WORLD->end(stage.context);
    }
    CU_ASSERT(kit_descriptors() == before);
}

#define DEFINE(implementation, script) RING_CONTRACT_DEFINE(implementation, script, WORLD)
RING_CONTRACT_SCRIPTS(DEFINE, epoll)
