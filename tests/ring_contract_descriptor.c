/* SPDX-License-Identifier: MIT */
/* The scripts of the kernel seam's contract about descriptors: their numbers come back, they carry
 * several operations at a time, and there are many of them. */
#include "tests/ring_stage.h"

#include <CUnit/CUnit.h>

#include <errno.h>
#include <stdlib.h>

/* End an operation. What others bring meanwhile is not looked at. */
static void operation_end(struct stage *stage, uint64_t user_data)
{
    struct completion completion;
    stage->ops->cancel(stage->ring, user_data);
    do {
        completion = stage_next(stage);
        if ((completion.flags & COMPLETION_F_BUFFER) != 0) {
            stage->ops->buffer_return(stage->ring, completion.buffer_id);
        }
    } while (completion.user_data != user_data || has_more(&completion));
}

/* The number of a closed descriptor is the next connection's: nothing of its former owner may reach
 * it, neither bytes nor the reset. */
void ring_contract_number_of_closed_descriptor_is_used_again(
    const struct ring_contract_world *world)
{
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    stage.silent = true;
    for (uint32_t i = 0; i < 20; i++) {
        const bool polls = i % 2 == 0;
        const uint64_t user_data = user_data_of(polls ? OP_POLL : OP_RECV, i);
        struct pair old = stage_pair(&stage);
        if (polls) {
            stage.ops->poll_start(stage.ring, old.server, 0, true, user_data);
        } else {
            stage.ops->recv_start(stage.ring, old.server, user_data);
        }
        stage_expect_nothing(&stage);
        /* Connected while the number is taken, accepted when it is free. */
        operation_end(&stage, user_data_of(OP_ACCEPT, i));
        struct pair fresh = {.client = world->client_connect(stage.context, stage.listener)};
        pair_feed(&stage, &old, 1000);
        world->client_reset(stage.context, old.client);
        operation_end(&stage, user_data);
        stage.ops->close(stage.ring, old.server);
        stage.ops->accept_start(stage.ring, stage.listener, user_data_of(OP_ACCEPT, i + 1));
        struct completion completion = stage_next(&stage);
        CU_ASSERT_FATAL(op_of(&completion) == OP_ACCEPT && completion.result >= 0);
        fresh.server = completion.result;

        stage.ops->recv_start(stage.ring, fresh.server, user_data_of(OP_RECV, 100 + i));
        stage_expect_nothing(&stage);
        pair_feed(&stage, &fresh, 3000);
        pair_receive(&stage, &fresh, 3000);
        world->client_shutdown(stage.context, fresh.client);
        completion = stage_next(&stage);
        CU_ASSERT(completion.user_data == user_data_of(OP_RECV, 100 + i));
        CU_ASSERT(completion.result == 0 && !has_more(&completion));
        stage_pair_close(&stage, &fresh);
    }
    stage_close(&stage, "");
}

/* Receive up to position `end` while a send of `bytes` waits; it may go on, and starts again. */
static void receive_beside_send(struct stage *stage, struct pair *pair, uint64_t end,
                                struct span bytes)
{
    while (pair->received < end) {
        const struct completion completion = stage_next(stage);
        if (op_of(&completion) == OP_SEND) {
            CU_ASSERT_FATAL(completion.result > 0);
            pair->sent += (uint64_t)completion.result;
            stage->ops->send_start(stage->ring, pair->server, bytes.ptr + pair->sent,
                                   bytes.size - (size_t)pair->sent, false,
                                   user_data_of(OP_SEND, 0));
            continue;
        }
        pair_take(stage, pair, &completion);
        stage->ops->buffer_return(stage->ring, completion.buffer_id);
    }
    CU_ASSERT(pair->received == end);
}

void ring_contract_receives_while_a_send_waits(const struct ring_contract_world *world)
{
    const size_t size = 4 * RING_CONTRACT_SOCKET_SIZE_MAX;
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    struct pair pair = stage_pair(&stage);
    uint8_t *bytes = malloc(size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
    pattern_fill(bytes, 0, size);
    stage.silent = true;
    stage.ops->recv_start(stage.ring, pair.server, user_data_of(OP_RECV, 0));
    stage.ops->send_start(stage.ring, pair.server, bytes, size, false, user_data_of(OP_SEND, 0));
    for (uint64_t end = 1000; end <= 20000; end += 1000) {
        pair_feed(&stage, &pair, end);
        receive_beside_send(&stage, &pair, end, span_of(bytes, size));
    }
    CU_ASSERT(pair.sent <= RING_CONTRACT_SOCKET_SIZE_MAX);
    /* Room comes as the client reads: the send goes on, and so does the receive. */
    for (uint64_t end = 21000; pair.collected < size / 2; end += 1000) {
        (void)pair_collect(&stage, &pair);
        pair_feed(&stage, &pair, end);
        receive_beside_send(&stage, &pair, end, span_of(bytes, size));
    }
    operation_end(&stage, user_data_of(OP_SEND, 0));
    operation_end(&stage, user_data_of(OP_RECV, 0));
    free(bytes);
    stage_pair_close(&stage, &pair);
    stage_close(&stage, "");
}

/* More than any table begins with, on connections that live on meanwhile. */
void ring_contract_keeps_thousands_of_operations_apart(const struct ring_contract_world *world)
{
    enum {
        PAIR_COUNT = 60,
        POLL_COUNT = 3000
    };
    struct stage stage;
    if (!stage_open(&stage, world, 64)) {
        return;
    }
    struct pair pairs[PAIR_COUNT];
    bool *seen = calloc(POLL_COUNT, sizeof(*seen));
    CU_ASSERT_PTR_NOT_NULL_FATAL(seen);
    stage.silent = true;
    for (uint32_t i = 0; i < PAIR_COUNT; i++) {
        pairs[i] = stage_pair(&stage);
        stage.ops->recv_start(stage.ring, pairs[i].server, user_data_of(OP_RECV, i));
    }
    struct pair polled = stage_pair(&stage);
    for (uint32_t i = 0; i < POLL_COUNT; i++) {
        stage.ops->poll_start(stage.ring, polled.server, RING_POLL_IN, false,
                              user_data_of(OP_POLL, i));
    }
    stage_expect_nothing(&stage);
    for (uint32_t i = 0; i < POLL_COUNT; i += 2) {
        stage.ops->cancel(stage.ring, user_data_of(OP_POLL, i));
    }
    for (uint32_t i = 0; i < POLL_COUNT; i++) {
        if (i == POLL_COUNT / 2) {
            pair_feed(&stage, &polled, 1); /* all cancelled ones have completed */
        }
        const struct completion completion = stage_next(&stage);
        const uint32_t number = (uint32_t)completion.user_data;
        CU_ASSERT_FATAL(op_of(&completion) == OP_POLL && number < POLL_COUNT && !seen[number]);
        CU_ASSERT(completion.result == (number % 2 == 0 ? -ECANCELED : RING_POLL_IN));
        seen[number] = true;
    }
    for (uint32_t i = 0; i < PAIR_COUNT; i++) {
        pair_feed(&stage, &pairs[i], 100 + i);
        pair_receive(&stage, &pairs[i], 100 + i);
        stage.ops->cancel(stage.ring, user_data_of(OP_RECV, i));
        CU_ASSERT(stage_next(&stage).user_data == user_data_of(OP_RECV, i));
        stage_pair_close(&stage, &pairs[i]);
    }
    free(seen);
    stage_pair_close(&stage, &polled);
    stage_close(&stage, "");
}

/* Sockets that always hold bytes, and a caller that takes one completion at a time. */
void ring_contract_serves_everyone_when_max_is_small(const struct ring_contract_world *world)
{
    enum {
        PAIR_COUNT = 5,
        ROUNDS = 8
    };
    struct stage stage;
    if (!stage_open(&stage, world, 128)) {
        return;
    }
    struct pair pairs[PAIR_COUNT];
    unsigned served[PAIR_COUNT] = {0};
    for (uint32_t i = 0; i < PAIR_COUNT; i++) {
        pairs[i] = stage_pair(&stage);
        pair_feed(&stage, &pairs[i], 64 * 1024);
    }
    stage.silent = true;
    for (uint32_t i = 0; i < PAIR_COUNT; i++) {
        stage.ops->recv_start(stage.ring, pairs[i].server, user_data_of(OP_RECV, i));
    }
    unsigned least = 0;
    for (unsigned turn = 0; turn < TURNS_MAX && least < ROUNDS; turn++) {
        struct completion completion;
        if (stage.ops->wait(stage.ring, TURN_NS, &completion, 1) == 0) {
            world->idle(stage.context, stage.ring);
            continue;
        }
        const uint32_t number = (uint32_t)completion.user_data;
        CU_ASSERT_FATAL(number < PAIR_COUNT);
        pair_take(&stage, &pairs[number], &completion);
        stage.ops->buffer_return(stage.ring, completion.buffer_id);
        served[number]++;
        least = served[0];
        for (uint32_t i = 1; i < PAIR_COUNT; i++) {
            least = MIN(least, served[i]);
        }
    }
    CU_ASSERT(least == ROUNDS);
    for (uint32_t i = 0; i < PAIR_COUNT; i++) {
        operation_end(&stage, user_data_of(OP_RECV, i));
    }
    for (uint32_t i = 0; i < PAIR_COUNT; i++) {
        stage_pair_close(&stage, &pairs[i]);
    }
    stage_close(&stage, "");
}
