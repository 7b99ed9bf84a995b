/* SPDX-License-Identifier: MIT */
/* The scripts of the kernel seam's contract about control: poll, cancel, queues, wake, time,
 * destroy. Those about bytes are in tests/ring_contract.c. */
#include "tests/ring_stage.h"

#include <CUnit/CUnit.h>

#include <errno.h>
#include <stdlib.h>

/* ---- Poll ---- */

/* How the engine watches a connection that it does not read from. */
void ring_contract_reports_reset_to_poll_without_events(const struct ring_contract_world *world)
{
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    struct pair pair = stage_pair(&stage);
    stage.ops->poll_start(stage.ring, pair.server, 0, false, user_data_of(OP_POLL, 0));
    pair_feed(&stage, &pair, 1000);
    stage_expect_nothing(&stage);
    world->client_reset(stage.context, pair.client);
    const struct completion completion = stage_next(&stage);
    CU_ASSERT(!has_more(&completion));
    stage.ops->close(stage.ring, pair.server);
    stage_close(&stage, "poll err hup rdhup\n");
}

/* A half close is reported unasked. It does not hide the reset that follows. */
void ring_contract_reports_reset_after_half_close(const struct ring_contract_world *world)
{
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    struct pair pair = stage_pair(&stage);
    stage.ops->poll_start(stage.ring, pair.server, 0, true, user_data_of(OP_POLL, 0));
    pair_feed(&stage, &pair, 1000);
    stage_expect_nothing(&stage);
    world->client_shutdown(stage.context, pair.client);
    struct completion completion = stage_next(&stage);
    CU_ASSERT(completion.result == RING_POLL_RDHUP);
    stage_expect_nothing(&stage);
    world->client_reset(stage.context, pair.client);
    completion = stage_next(&stage);
    CU_ASSERT((completion.result & RING_POLL_ERR) != 0);
    stage.ops->cancel(stage.ring, user_data_of(OP_POLL, 0));
    while (has_more(&completion)) {
        completion = stage_next(&stage);
    }
    stage.ops->close(stage.ring, pair.server);
    stage_close(&stage, "poll rdhup more\n"
                        "poll err hup rdhup more\n"
                        "poll -ECANCELED\n");
}

void ring_contract_polls_once(const struct ring_contract_world *world)
{
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    struct pair pair = stage_pair(&stage);
    stage.ops->poll_start(stage.ring, pair.server, RING_POLL_IN, false, user_data_of(OP_POLL, 0));
    stage_expect_nothing(&stage);
    pair_feed(&stage, &pair, 10);
    struct completion completion = stage_next(&stage);
    CU_ASSERT(!has_more(&completion));
    pair_feed(&stage, &pair, 20);
    stage_expect_nothing(&stage);

    /* Readiness that is there already is reported too. */
    stage.ops->poll_start(stage.ring, pair.server, RING_POLL_IN, false, user_data_of(OP_POLL, 1));
    completion = stage_next(&stage);
    CU_ASSERT(completion.user_data == user_data_of(OP_POLL, 1) && !has_more(&completion));
    stage_pair_close(&stage, &pair);
    stage_close(&stage, "poll in\n");
}

void ring_contract_polls_until_cancelled(const struct ring_contract_world *world)
{
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    struct pair pair = stage_pair(&stage);
    stage.ops->poll_start(stage.ring, pair.server, RING_POLL_IN, true, user_data_of(OP_POLL, 0));
    for (uint64_t end = 10; end <= 50; end += 10) {
        pair_feed(&stage, &pair, end);
        const struct completion completion = stage_next(&stage);
        CU_ASSERT(has_more(&completion));
        pair_receive_now(&stage, &pair, end);
    }
    stage.ops->cancel(stage.ring, user_data_of(OP_POLL, 0));
    const struct completion completion = stage_next(&stage);
    CU_ASSERT(!has_more(&completion));
    pair_feed(&stage, &pair, 60);
    stage_expect_nothing(&stage);
    stage_pair_close(&stage, &pair);
    stage_close(&stage, "poll in more\n"
                        "poll -ECANCELED\n");
}

void ring_contract_poll_reports_half_close(const struct ring_contract_world *world)
{
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    struct pair pair = stage_pair(&stage);
    stage.ops->poll_start(stage.ring, pair.server, RING_POLL_RDHUP, false,
                          user_data_of(OP_POLL, 0));
    pair_feed(&stage, &pair, 10);
    stage_expect_nothing(&stage);
    world->client_shutdown(stage.context, pair.client);
    (void)stage_next(&stage);
    stage.ops->poll_start(stage.ring, pair.server, RING_POLL_IN | RING_POLL_RDHUP, false,
                          user_data_of(OP_POLL, 1));
    (void)stage_next(&stage);
    stage_pair_close(&stage, &pair);
    stage_close(&stage, "poll rdhup\n"
                        "poll in rdhup\n");
}

/* ---- Cancel, queues ---- */

static void cancel_and_expect(struct stage *stage, uint64_t user_data)
{
    stage->ops->cancel(stage->ring, user_data);
    const struct completion completion = stage_next(stage);
    CU_ASSERT(completion.user_data == user_data);
    CU_ASSERT(!has_more(&completion));
    stage_expect_nothing(stage);
}

void ring_contract_cancelled_operations_complete_once(const struct ring_contract_world *world)
{
    const size_t size = 2 * RING_CONTRACT_SOCKET_SIZE_MAX;
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    struct pair pair = stage_pair(&stage);
    struct completion completion;
    uint8_t *bytes = calloc(1, size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
    stage.ops->recv_start(stage.ring, pair.server, user_data_of(OP_RECV, 0));
    stage.ops->poll_start(stage.ring, pair.server, RING_POLL_IN, false, user_data_of(OP_POLL, 0));
    stage.ops->poll_start(stage.ring, pair.server, RING_POLL_IN, true, user_data_of(OP_POLL, 1));
    stage_expect_nothing(&stage);
    cancel_and_expect(&stage, user_data_of(OP_POLL, 0));
    cancel_and_expect(&stage, user_data_of(OP_RECV, 0));
    cancel_and_expect(&stage, user_data_of(OP_POLL, 1));
    cancel_and_expect(&stage, user_data_of(OP_ACCEPT, 0));

    /* A send that waits for room may have sent a part; it ends all the same. */
    stage.silent = true;
    do {
        stage.ops->send_start(stage.ring, pair.server, bytes, size, false,
                              user_data_of(OP_SEND, 0));
    } while (stage_try(&stage, 0, &completion));
    cancel_and_expect(&stage, user_data_of(OP_SEND, 0));
    free(bytes);
    stage_pair_close(&stage, &pair);
    stage_close(&stage, "poll -ECANCELED\n"
                        "recv -ECANCELED\n"
                        "poll -ECANCELED\n"
                        "accept -ECANCELED\n");
}

void ring_contract_cancel_of_nothing_is_silent(const struct ring_contract_world *world)
{
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    struct pair pair = stage_pair(&stage);
    stage.ops->recv_start(stage.ring, pair.server, user_data_of(OP_RECV, 0));
    stage.ops->cancel(stage.ring, user_data_of(OP_RECV, 1));
    stage_expect_nothing(&stage);
    stage.ops->cancel(stage.ring, user_data_of(OP_RECV, 0));
    stage.ops->cancel(stage.ring, user_data_of(OP_RECV, 0));
    (void)stage_next(&stage);
    stage_expect_nothing(&stage);
    stage_pair_close(&stage, &pair);
    stage_close(&stage, "recv -ECANCELED\n");
}

void ring_contract_full_submission_queue_submits_first(const struct ring_contract_world *world)
{
    enum {
        COUNT = 100
    };
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    struct pair pair = stage_pair(&stage);
    bool seen[COUNT] = {false};
    CU_ASSERT(stage.config.submission_entries < COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        stage.ops->poll_start(stage.ring, pair.server, RING_POLL_IN, false,
                              user_data_of(OP_POLL, i));
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        stage.ops->cancel(stage.ring, user_data_of(OP_POLL, i));
    }
    for (int i = 0; i < COUNT; i++) {
        const struct completion completion = stage_next(&stage);
        const uint32_t number = (uint32_t)completion.user_data;
        CU_ASSERT_FATAL(number < COUNT && !seen[number]);
        seen[number] = true;
    }
    stage_pair_close(&stage, &pair);
    stage_close(&stage, "poll -ECANCELED\n");
}

void ring_contract_completions_beyond_max_stay_queued(const struct ring_contract_world *world)
{
    enum {
        COUNT = 10,
        MAX = 3
    };
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    struct pair pair = stage_pair(&stage);
    bool seen[COUNT] = {false};
    pair_feed(&stage, &pair, 10);
    for (uint32_t i = 0; i < COUNT; i++) {
        stage.ops->poll_start(stage.ring, pair.server, RING_POLL_IN, false,
                              user_data_of(OP_POLL, i));
    }
    unsigned count = 0;
    for (unsigned turn = 0; turn < TURNS_MAX && count < COUNT; turn++) {
        /* Poison beyond `max`, which must stay. */
        struct completion batch[MAX + 1] = {[MAX] = {.user_data = 4711}};
        const unsigned n = stage.ops->wait(stage.ring, TURN_NS, batch, MAX);
        CU_ASSERT_FATAL(n <= MAX && count + n <= COUNT);
        CU_ASSERT(batch[MAX].user_data == 4711);
        for (unsigned i = 0; i < n; i++) {
            const uint32_t number = (uint32_t)batch[i].user_data;
            CU_ASSERT_FATAL(number < COUNT && !seen[number]);
            seen[number] = true;
            stage_record(&stage, &batch[i]);
        }
        count += n;
    }
    CU_ASSERT(count == COUNT);
    stage_pair_close(&stage, &pair);
    stage_close(&stage, "poll in\n");
}

/* ---- Wake, time ---- */

struct waker {
    const struct ring_ops *ops;
    const struct ring_config *config;
    struct ring *target;
    int err; /* a foreign thread cannot assert */
};

static void *wake_without_ring(void *argument)
{
    const struct waker *waker = argument;
    waker->ops->wake(waker->target, NULL);
    return NULL;
}

/* Wakes, and takes its ring away at once: the wake must not depend on it any longer. */
static void *wake_with_own_ring(void *argument)
{
    struct waker *waker = argument;
    struct ring *own;
    char why[256];
    waker->err = waker->ops->create(waker->config, &own, why);
    if (waker->err == 0) {
        waker->ops->wake(waker->target, own);
        waker->ops->destroy(own);
    } else {
        waker->ops->wake(waker->target, NULL);
    }
    return NULL;
}

/* Wait without limit for nothing but wakes: one for each thread. */
static void wake_script(const struct ring_contract_world *world, void *(*function)(void *argument))
{
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    stage_expect_nothing(&stage);
    struct waker waker = {.ops = stage.ops, .config = &stage.config, .target = stage.ring};
    struct completion completion;
    for (int i = 0; i < 20; i++) {
        void *thread = world->thread_start(stage.context, function, &waker);
        CU_ASSERT(world->is_ready(stage.context, stage.ring));
        CU_ASSERT(!stage_try(&stage, UINT64_MAX, &completion));
        world->thread_join(stage.context, thread);
        CU_ASSERT(waker.err == 0);
    }

    /* A woken ring still works. */
    struct pair pair = stage_pair(&stage);
    stage_pair_close(&stage, &pair);
    stage_close(&stage, "");
}

void ring_contract_wake_from_foreign_thread_ends_wait(const struct ring_contract_world *world)
{
    wake_script(world, wake_without_ring);
}

void ring_contract_wake_from_other_ring_ends_wait(const struct ring_contract_world *world)
{
    wake_script(world, wake_with_own_ring);
}

void ring_contract_wake_before_wait_is_not_lost(const struct ring_contract_world *world)
{
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    struct ring *other;
    struct completion completion;
    CU_ASSERT_FATAL(stage_ring_create(&stage, &other));
    stage_expect_nothing(&stage);
    struct ring *const wakers[] = {NULL, other, stage.ring};
    for (size_t i = 0; i < COUNT_OF(wakers); i++) {
        /* Two wakes may end one wait or two, so the second is looked for without waiting. */
        stage.ops->wake(stage.ring, wakers[i]);
        stage.ops->wake(stage.ring, wakers[i]);
        CU_ASSERT(world->is_ready(stage.context, stage.ring));
        CU_ASSERT(!stage_try(&stage, UINT64_MAX, &completion));
        stage_expect_nothing(&stage);
    }
    stage.ops->destroy(other);
    stage_close(&stage, "");
}

void ring_contract_timeout_advances_now(const struct ring_contract_world *world)
{
    const uint64_t timeout_ns = 2000000;
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    struct completion completion;
    CU_ASSERT(!stage_try(&stage, 0, &completion));
    const uint64_t start_ns = stage.ring->now_ns;
    unsigned turn = 0;
    while (stage.ring->now_ns < start_ns + timeout_ns && turn < TURNS_MAX) {
        const uint64_t rest_ns = start_ns + timeout_ns - stage.ring->now_ns;
        CU_ASSERT(!stage_try(&stage, rest_ns, &completion));
        if (stage.ring->now_ns < start_ns + timeout_ns) {
            world->idle(stage.context, stage.ring);
        }
        turn++;
    }
    CU_ASSERT(stage.ring->now_ns >= start_ns + timeout_ns);
    CU_ASSERT(stage.ops->wall_ns(stage.ring) > 0);
    stage_close(&stage, "");
}

void ring_contract_peer_address_is_known(const struct ring_contract_world *world)
{
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    struct pair pair = stage_pair(&stage);
    struct address address;
    memset(&address, 'x', sizeof(address));
    stage.ops->peer_address(stage.ring, pair.server, &address);
    CU_ASSERT_EQUAL(address.family, ADDRESS_IPV4);
    CU_ASSERT(address.port != 0);
    stage_pair_close(&stage, &pair);
    stage_close(&stage, "");
}

/* ---- Destroy ---- */

void ring_contract_destroy_cancels_what_is_in_flight(const struct ring_contract_world *world)
{
    const size_t size = 2 * RING_CONTRACT_SOCKET_SIZE_MAX;
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    struct pair receiving = stage_pair(&stage);
    struct pair sending = stage_pair(&stage);
    uint8_t *bytes = malloc(size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
    pattern_fill(bytes, 0, size);
    stage.ops->recv_start(stage.ring, receiving.server, user_data_of(OP_RECV, 0));
    stage.ops->poll_start(stage.ring, sending.server, RING_POLL_IN, true, user_data_of(OP_POLL, 0));
    stage.silent = true;
    pair_fill(&stage, &sending);
    stage.ops->send_start(stage.ring, sending.server, bytes + sending.sent,
                          size - (size_t)sending.sent, false, user_data_of(OP_SEND, 0));
    struct completion completion;
    (void)stage_try(&stage, 0, &completion);
    stage.ops->poll_start(stage.ring, receiving.server, 0, false, user_data_of(OP_POLL, 1));
    stage.ops->destroy(stage.ring);
    memset(bytes, 0, size); /* ours again: the client must not see these zeros */
    free(bytes);

    /* The descriptors are open, and nobody else takes bytes or connections from them any more. */
    pair_feed(&stage, &receiving, 20000);
    struct pair late = {.client = world->client_connect(stage.context, stage.listener)};
    stage.silent = false;
    CU_ASSERT_FATAL(stage_ring_create(&stage, &stage.ring));
    stage.ops->accept_start(stage.ring, stage.listener, user_data_of(OP_ACCEPT, 1));
    completion = stage_next(&stage);
    late.server = completion.result;
    stage_pair_close(&stage, &late);
    stage.ops->recv_start(stage.ring, receiving.server, user_data_of(OP_RECV, 1));
    pair_receive(&stage, &receiving, 20000);
    world->client_shutdown(stage.context, receiving.client);
    (void)stage_next(&stage);
    stage.ops->shutdown(stage.ring, sending.server, 1);
    pair_collect_to(&stage, &sending, UINT64_MAX);
    CU_ASSERT(sending.collected >= sending.sent);
    stage_pair_close(&stage, &sending);
    stage_pair_close(&stage, &receiving);
    stage_close(&stage, "accept fd more\n"
                        "recv data more\n"
                        "recv end\n");
}
