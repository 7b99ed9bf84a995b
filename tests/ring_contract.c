/* SPDX-License-Identifier: MIT */
/* The scripts of the kernel seam's contract about bytes: accept, receive, send, close. Those about
 * poll, cancel, wake and the ring itself are in tests/ring_contract_control.c. */
#include "tests/ring_stage.h"

#include <CUnit/CUnit.h>

#include <errno.h>
#include <stdlib.h>

/* ---- Accept ---- */

void ring_contract_accepts_until_cancelled(const struct ring_contract_world *world)
{
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    int clients[4];
    for (int i = 0; i < 3; i++) {
        clients[i] = world->client_connect(stage.context, stage.listener);
        const struct completion completion = stage_next(&stage);
        CU_ASSERT_FATAL(completion.result >= 0);
        stage.ops->close(stage.ring, completion.result);
    }
    stage.ops->cancel(stage.ring, user_data_of(OP_ACCEPT, 0));
    struct completion completion = stage_next(&stage);
    CU_ASSERT(!has_more(&completion));

    /* Now a client stays in the backlog until somebody accepts again. */
    clients[3] = world->client_connect(stage.context, stage.listener);
    stage_expect_nothing(&stage);
    stage.ops->accept_start(stage.ring, stage.listener, user_data_of(OP_ACCEPT, 1));
    completion = stage_next(&stage);
    CU_ASSERT(completion.user_data == user_data_of(OP_ACCEPT, 1));
    stage.ops->close(stage.ring, completion.result);
    for (int i = 0; i < 4; i++) {
        world->client_close(stage.context, clients[i]);
    }
    stage_close(&stage, "accept fd more\n"
                        "accept -ECANCELED\n"
                        "accept fd more\n");
}

/* ---- Receive ---- */

void ring_contract_receives_in_order_until_end_of_stream(const struct ring_contract_world *world)
{
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    struct pair pair = stage_pair(&stage);
    stage.ops->recv_start(stage.ring, pair.server, user_data_of(OP_RECV, 0));
    for (uint64_t end = 10000; end <= 30000; end += 10000) {
        pair_feed(&stage, &pair, end);
        CU_ASSERT(pair.fed == end);
        pair_receive(&stage, &pair, end);
    }
    world->client_shutdown(stage.context, pair.client);
    const struct completion completion = stage_next(&stage);
    CU_ASSERT(!has_more(&completion));

    /* Half closed: our direction still works. */
    uint8_t bytes[100];
    pattern_fill(bytes, 0, sizeof(bytes));
    CU_ASSERT(stage.ops->send_now(stage.ring, pair.server, bytes, sizeof(bytes)) == 100);
    pair_collect_to(&stage, &pair, sizeof(bytes));
    stage.ops->shutdown(stage.ring, pair.server, 1);
    pair_collect_to(&stage, &pair, UINT64_MAX);
    stage_pair_close(&stage, &pair);
    stage_close(&stage, "recv data more\n"
                        "recv end\n");
}

/* A core that spins never sleeps: deferred work must be done all the same, for any number of
 * sockets. */
void ring_contract_receives_without_ever_sleeping(const struct ring_contract_world *world)
{
    enum {
        PAIR_COUNT = 50
    };
    struct stage stage;
    if (!stage_open(&stage, world, 64)) {
        return;
    }
    struct pair pairs[PAIR_COUNT];
    for (uint32_t i = 0; i < PAIR_COUNT; i++) {
        pairs[i] = stage_pair(&stage);
        stage.ops->recv_start(stage.ring, pairs[i].server, user_data_of(OP_RECV, i));
    }
    stage_expect_nothing(&stage);
    for (int i = 0; i < PAIR_COUNT; i++) {
        pair_feed(&stage, &pairs[i], 1000);
        world->client_shutdown(stage.context, pairs[i].client);
    }
    unsigned ended = 0;
    stage.silent = true; /* the order of the connections is free */
    for (unsigned turn = 0; turn < TURNS_MAX && ended < PAIR_COUNT; turn++) {
        struct completion completion;
        while (stage_try(&stage, 0, &completion)) {
            const uint32_t number = (uint32_t)completion.user_data;
            CU_ASSERT_FATAL(number < PAIR_COUNT);
            if (completion.result > 0) {
                pair_take(&stage, &pairs[number], &completion);
                stage.ops->buffer_return(stage.ring, completion.buffer_id);
            }
            ended += !has_more(&completion);
        }
        world->idle(stage.context, stage.ring);
    }
    CU_ASSERT(ended == PAIR_COUNT);
    for (int i = 0; i < PAIR_COUNT; i++) {
        CU_ASSERT(pairs[i].received == 1000);
        stage_pair_close(&stage, &pairs[i]);
    }
    stage_close(&stage, "");
}

/* Attacks B1: each buffer is either with the ring or out, thousands of times. */
void ring_contract_receives_while_buffers_are_cycled(const struct ring_contract_world *world)
{
    enum {
        BUFFER_COUNT = 8,
        HELD_MAX = 4
    };
    const uint64_t total = 8 * 1024 * 1024;
    struct stage stage;
    if (!stage_open(&stage, world, BUFFER_COUNT)) {
        return;
    }
    struct pair pair = stage_pair(&stage);
    bool is_out[BUFFER_COUNT] = {false};
    uint16_t held[HELD_MAX];
    uint64_t taken = 0;
    unsigned dry = 0;
    stage.silent = true;
    stage.ops->recv_start(stage.ring, pair.server, user_data_of(OP_RECV, 0));
    while (pair.received < total) {
        pair_feed(&stage, &pair, total);
        const struct completion completion = stage_next(&stage);
        if (completion.result > 0) {
            const uint64_t slot = taken % HELD_MAX;
            if (taken >= HELD_MAX) {
                is_out[held[slot]] = false;
                stage.ops->buffer_return(stage.ring, held[slot]);
            }
            pair_take(&stage, &pair, &completion);
            CU_ASSERT_FATAL(completion.buffer_id < BUFFER_COUNT && !is_out[completion.buffer_id]);
            is_out[completion.buffer_id] = true;
            held[slot] = completion.buffer_id;
            taken++;
            dry = 0;
        }
        if (!has_more(&completion)) {
            CU_ASSERT_FATAL(completion.result == -ENOBUFS);
            dry++;
            CU_ASSERT_FATAL(dry < TURNS_MAX);
            stage.ops->recv_start(stage.ring, pair.server, user_data_of(OP_RECV, 0));
        }
    }
    CU_ASSERT(taken >= total / 4096);
    stage.silent = false;
    stage.ops->cancel(stage.ring, user_data_of(OP_RECV, 0));
    (void)stage_next(&stage);
    stage_pair_close(&stage, &pair);
    stage_close(&stage, "recv -ECANCELED\n");
}

/* Receive what is left while buffers run dry again and again. */
static void receive_rest(struct stage *stage, struct pair *pair, uint64_t end)
{
    unsigned dry = 0;
    while (pair->received < end) {
        const struct completion completion = stage_next(stage);
        if (completion.result > 0) {
            pair_take(stage, pair, &completion);
            stage->ops->buffer_return(stage->ring, completion.buffer_id);
        }
        if (!has_more(&completion)) {
            dry++;
            CU_ASSERT_FATAL(completion.result == -ENOBUFS && dry < TURNS_MAX);
            stage->ops->recv_start(stage->ring, pair->server, user_data_of(OP_RECV, 0));
        }
    }
    CU_ASSERT(pair->received == end);
}

void ring_contract_loses_no_byte_when_buffers_run_dry(const struct ring_contract_world *world)
{
    enum {
        BUFFER_COUNT = 4,
        HELD_MAX = BUFFER_COUNT + 1
    };
    struct stage stage;
    if (!stage_open(&stage, world, BUFFER_COUNT)) {
        return;
    }
    struct pair pair = stage_pair(&stage);
    uint16_t held[HELD_MAX];
    unsigned held_count = 0;
    pair_feed(&stage, &pair, 32768);
    CU_ASSERT(pair.fed == 32768);

    /* Round 0 takes all buffers, round 1 the one that was returned. */
    for (int round = 0; round < 2; round++) {
        stage.ops->recv_start(stage.ring, pair.server, user_data_of(OP_RECV, 0));
        struct completion completion = stage_next(&stage);
        while (completion.result > 0) {
            CU_ASSERT_FATAL(held_count < BUFFER_COUNT);
            pair_take(&stage, &pair, &completion);
            held[held_count] = completion.buffer_id;
            held_count++;
            completion = stage_next(&stage);
        }
        CU_ASSERT(completion.result == -ENOBUFS && !has_more(&completion));
        CU_ASSERT(held_count == BUFFER_COUNT);
        stage_expect_nothing(&stage);
        held_count--;
        stage.ops->buffer_return(stage.ring, held[held_count]);
    }
    stage_check(&stage, "recv data more\n"
                        "recv -ENOBUFS\n"
                        "recv data more\n"
                        "recv -ENOBUFS\n");
    while (held_count > 0) {
        held_count--;
        stage.ops->buffer_return(stage.ring, held[held_count]);
    }
    stage.silent = true;
    stage.ops->recv_start(stage.ring, pair.server, user_data_of(OP_RECV, 0));
    receive_rest(&stage, &pair, 32768);
    world->client_shutdown(stage.context, pair.client);
    const struct completion completion = stage_next(&stage);
    CU_ASSERT(completion.result == 0 && !has_more(&completion));
    stage_pair_close(&stage, &pair);
    stage_close(&stage, stage.trace);
}

void ring_contract_keeps_byte_order_from_recv_start_to_recv_now(
    const struct ring_contract_world *world)
{
    struct stage stage;
    if (!stage_open(&stage, world, 32)) {
        return;
    }
    struct pair pair = stage_pair(&stage);
    stage.ops->recv_start(stage.ring, pair.server, user_data_of(OP_RECV, 0));
    pair_feed(&stage, &pair, 16384);
    struct completion completion = stage_next(&stage);
    pair_take(&stage, &pair, &completion);
    stage.ops->buffer_return(stage.ring, completion.buffer_id);
    pair_feed(&stage, &pair, 32768);
    stage.ops->cancel(stage.ring, user_data_of(OP_RECV, 0));
    for (completion = stage_next(&stage); has_more(&completion); completion = stage_next(&stage)) {
        pair_take(&stage, &pair, &completion);
        stage.ops->buffer_return(stage.ring, completion.buffer_id);
    }
    pair_feed(&stage, &pair, 49152);
    CU_ASSERT(pair.fed == 49152);
    pair_receive_now(&stage, &pair, 49152);
    stage_pair_close(&stage, &pair);
    stage_close(&stage, "recv data more\n"
                        "recv -ECANCELED\n");
}

void ring_contract_recv_now_and_send_now_never_wait(const struct ring_contract_world *world)
{
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    struct pair pair = stage_pair(&stage);
    uint8_t byte;
    CU_ASSERT(stage.ops->recv_now(stage.ring, pair.server, &byte, 1) == -EAGAIN);
    pair_fill(&stage, &pair);
    CU_ASSERT(pair.sent >= RING_CONTRACT_SOCKET_SIZE_MIN);
    pair_collect_to(&stage, &pair, pair.sent);
    pair_feed(&stage, &pair, 20000);
    pair_receive_now(&stage, &pair, 20000);
    CU_ASSERT(stage.ops->recv_now(stage.ring, pair.server, &byte, 1) == -EAGAIN);
    world->client_shutdown(stage.context, pair.client);
    CU_ASSERT(pair_recv_now(&stage, &pair, &byte, 1) == 0);
    stage_pair_close(&stage, &pair);
    stage_close(&stage, "");
}

/* ---- Send ---- */

void ring_contract_completes_send_when_peer_reads(const struct ring_contract_world *world)
{
    const size_t total = 3 * RING_CONTRACT_SOCKET_SIZE_MAX;
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    struct pair pair = stage_pair(&stage);
    struct completion completion;
    uint8_t *bytes = malloc(total);
    CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
    pattern_fill(bytes, 0, total);
    stage.ops->send_start(stage.ring, pair.server, bytes, total, false, user_data_of(OP_SEND, 0));
    bool reading = false;
    while (pair.sent < total) {
        if (reading) {
            (void)pair_collect(&stage, &pair);
            completion = stage_next(&stage);
        } else if (!stage_try(&stage, 0, &completion)) {
            /* The connection is full, and more than it holds is still to be sent. */
            CU_ASSERT(pair.sent <= RING_CONTRACT_SOCKET_SIZE_MAX);
            reading = true;
            continue;
        }
        CU_ASSERT_FATAL(completion.result > 0 && !has_more(&completion));
        pair.sent += (uint64_t)completion.result;
        CU_ASSERT_FATAL(pair.sent <= total);
        if (pair.sent < total) {
            stage.ops->send_start(stage.ring, pair.server, bytes + pair.sent,
                                  total - (size_t)pair.sent, false, user_data_of(OP_SEND, 0));
        }
    }
    CU_ASSERT(reading);
    pair_collect_to(&stage, &pair, total);
    free(bytes);
    stage_pair_close(&stage, &pair);
    stage_close(&stage, "send bytes\n");
}

void ring_contract_quiet_send_is_silent_when_sent(const struct ring_contract_world *world)
{
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    struct pair pair = stage_pair(&stage);
    uint8_t bytes[3000];
    pattern_fill(bytes, 0, sizeof(bytes));
    for (uint32_t i = 0; i < 3; i++) {
        stage.ops->send_start(stage.ring, pair.server, bytes + (size_t)i * 1000, 1000, true,
                              user_data_of(OP_SEND, i));
        stage.ops->submit(stage.ring);
        memset(bytes + (size_t)i * 1000, 0, 1000); /* settled: the memory is ours again */
    }
    stage_expect_nothing(&stage);
    pair_collect_to(&stage, &pair, 3000);
    stage_pair_close(&stage, &pair);
    stage_close(&stage, "");
}

void ring_contract_quiet_send_reports_full_socket(const struct ring_contract_world *world)
{
    const size_t total = RING_CONTRACT_SOCKET_SIZE_MAX + PIECE_SIZE;
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    struct pair pair = stage_pair(&stage);
    struct completion completion;
    uint8_t *bytes = malloc(total);
    CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
    stage.silent = true;
    for (uint32_t i = 0; i < 3; i++) {
        pattern_fill(bytes, pair.sent, total);
        stage.ops->send_start(stage.ring, pair.server, bytes, total, true,
                              user_data_of(OP_SEND, i));
        if (i < 2) {
            stage.ops->submit(stage.ring);
        }
        CU_ASSERT_FATAL(stage_try(&stage, 0, &completion));
        CU_ASSERT(completion.user_data == user_data_of(OP_SEND, i) && !has_more(&completion));
        CU_ASSERT(completion.result == -EAGAIN || completion.result > 0);
        CU_ASSERT(completion.result < (int32_t)total);
        pair.sent += (uint64_t)MAX(completion.result, 0);
        memset(bytes, 0, total);
    }
    stage.silent = false;
    CU_ASSERT(pair.sent >= RING_CONTRACT_SOCKET_SIZE_MIN);
    free(bytes);
    stage.ops->shutdown(stage.ring, pair.server, 1);
    pair_collect_to(&stage, &pair, UINT64_MAX);
    CU_ASSERT(pair.collected == pair.sent);
    stage_pair_close(&stage, &pair);
    stage_close(&stage, "");
}

void ring_contract_submit_sends_without_wait(const struct ring_contract_world *world)
{
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    struct pair pair = stage_pair(&stage);
    uint8_t bytes[1000];
    pattern_fill(bytes, 0, sizeof(bytes));
    stage.ops->send_start(stage.ring, pair.server, bytes, sizeof(bytes), false,
                          user_data_of(OP_SEND, 0));
    stage.ops->submit(stage.ring);
    pair_collect_to(&stage, &pair, sizeof(bytes));
    const struct completion completion = stage_next(&stage);
    CU_ASSERT(completion.result == (int32_t)sizeof(bytes) && !has_more(&completion));
    stage_pair_close(&stage, &pair);
    stage_close(&stage, "send bytes\n");
}

void ring_contract_send_to_reset_peer_fails_without_signal(const struct ring_contract_world *world)
{
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    struct pair pair = stage_pair(&stage);
    uint8_t byte = 0;
    int64_t sent = 1;
    world->client_reset(stage.context, pair.client);
    for (unsigned turn = 0; turn < TURNS_MAX && sent >= 0; turn++) {
        sent = stage.ops->send_now(stage.ring, pair.server, &byte, 1);
        world->idle(stage.context, stage.ring);
    }
    CU_ASSERT(sent == -ECONNRESET || sent == -EPIPE);
    /* The first failure tells of the reset; from the second on a signal would be raised. */
    sent = stage.ops->send_now(stage.ring, pair.server, &byte, 1);
    CU_ASSERT(sent == -ECONNRESET || sent == -EPIPE);
    stage.silent = true;
    for (uint32_t i = 0; i < 2; i++) {
        const bool quiet = i == 1;
        stage.ops->send_start(stage.ring, pair.server, &byte, 1, quiet, user_data_of(OP_SEND, i));
        const struct completion completion = stage_next(&stage);
        CU_ASSERT(completion.user_data == user_data_of(OP_SEND, i) && !has_more(&completion));
        CU_ASSERT(completion.result == -ECONNRESET || completion.result == -EPIPE);
    }
    stage.ops->close(stage.ring, pair.server);
    stage_close(&stage, "");
}

/* ---- Closing ---- */

void ring_contract_shutdown_ends_armed_receive(const struct ring_contract_world *world)
{
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    struct pair pair = stage_pair(&stage);
    stage.ops->recv_start(stage.ring, pair.server, user_data_of(OP_RECV, 0));
    stage_expect_nothing(&stage);
    stage.ops->shutdown(stage.ring, pair.server, 2);
    const struct completion completion = stage_next(&stage);
    CU_ASSERT(!has_more(&completion));
    stage.ops->close(stage.ring, pair.server);
    CU_ASSERT(pair_client_result(&stage, &pair) == 0);
    world->client_close(stage.context, pair.client);
    stage_close(&stage, "recv end\n");
}

void ring_contract_close_reset_resets_peer(const struct ring_contract_world *world)
{
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    struct pair pair = stage_pair(&stage);
    stage.ops->close_reset(stage.ring, pair.server);
    CU_ASSERT(pair_client_result(&stage, &pair) == -ECONNRESET);
    world->client_close(stage.context, pair.client);
    stage_close(&stage, "");
}

void ring_contract_reports_reset_to_armed_receive(const struct ring_contract_world *world)
{
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    struct pair pair = stage_pair(&stage);
    stage.ops->recv_start(stage.ring, pair.server, user_data_of(OP_RECV, 0));
    pair_feed(&stage, &pair, 1000);
    pair_receive(&stage, &pair, 1000);
    world->client_reset(stage.context, pair.client);
    const struct completion completion = stage_next(&stage);
    CU_ASSERT(!has_more(&completion));
    stage.ops->close(stage.ring, pair.server);
    stage_close(&stage, "recv data more\n"
                        "recv -ECONNRESET\n");
}
