/* SPDX-License-Identifier: MIT */
/* The stage of the kernel seam's contract; see the header. */
#include "tests/ring_stage.h"
#include "tests/run_tests.h"

#include <CUnit/CUnit.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static uint8_t pattern_at(uint64_t offset)
{
    return (uint8_t)(offset * 7 + (offset >> 8) * 3 + (offset >> 16));
}

void pattern_fill(uint8_t *bytes, uint64_t offset, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bytes[i] = pattern_at(offset + i);
    }
}

bool pattern_holds(const uint8_t *bytes, uint64_t offset, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != pattern_at(offset + i)) {
            return false;
        }
    }
    return true;
}

static bool has_buffer(const struct completion *completion)
{
    return (completion->flags & COMPLETION_F_BUFFER) != 0;
}

bool stage_ring_create(struct stage *stage, struct ring **ring)
{
    static char why[256];
    int err = stage->ops->create(&stage->config, ring, why);
    if (err == GYR_ERR_UNSUPPORTED) {
        test_skip(why);
        return false;
    }
    CU_ASSERT_FATAL(err == 0);
    CU_ASSERT_PTR_EQUAL((*ring)->ops, stage->ops);
    CU_ASSERT((*ring)->buffer_count == stage->config.buffer_count);
    CU_ASSERT((*ring)->buffer_size == stage->config.buffer_size);
    return true;
}

bool stage_open(struct stage *stage, const struct ring_contract_world *world, uint32_t buffer_count)
{
    *stage = (struct stage){.world = world, .ops = world->ops};
    stage->context = world->begin();
    stage->config = (struct ring_config){
        .submission_entries = 16,
        .completion_entries = 1024,
        .buffer_size = 4096,
        .buffer_count = buffer_count,
        .context = stage->context,
    };
    if (!stage_ring_create(stage, &stage->ring)) {
        world->end(stage->context);
        return false;
    }
    stage->listener = world->listener_open(stage->context);
    stage->ops->accept_start(stage->ring, stage->listener, user_data_of(OP_ACCEPT, 0));
    return true;
}

static void stage_line(struct stage *stage, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Record a line. How many pieces a stream comes in is nobody's promise, so equal neighbours count
 * once. */
static void stage_line(struct stage *stage, const char *format, ...)
{
    char line[128];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    CU_ASSERT_FATAL(size > 0 && (size_t)size < sizeof(line));
    if (stage->silent || strcmp(line, stage->trace + stage->trace_last) == 0) {
        return;
    }
    CU_ASSERT_FATAL(stage->trace_size + (size_t)size < STAGE_TRACE_SIZE);
    memcpy(stage->trace + stage->trace_size, line, (size_t)size + 1);
    stage->trace_last = stage->trace_size;
    stage->trace_size += (size_t)size;
}

void stage_record(struct stage *stage, const struct completion *completion)
{
    static const char *const names[] = {"?", "accept", "recv", "poll", "send", "open", "read"};
    const enum op op = op_of(completion);
    const int32_t result = completion->result;
    const char *more = has_more(completion) ? " more" : "";
    CU_ASSERT_FATAL(op >= OP_ACCEPT && op <= OP_READ);
    CU_ASSERT(has_buffer(completion) == (op == OP_RECV && result > 0));
    if (result < 0) {
        stage_line(stage, "%s -%s%s\n", names[op], strerrorname_np(-result), more);
    } else if (op == OP_ACCEPT) {
        stage_line(stage, "accept fd%s\n", more);
    } else if (op == OP_RECV) {
        stage_line(stage, "recv %s%s\n", result > 0 ? "data" : "end", more);
    } else if (op == OP_POLL) {
        stage_line(stage, "poll%s%s%s%s%s\n", (result & RING_POLL_IN) != 0 ? " in" : "",
                   (result & RING_POLL_ERR) != 0 ? " err" : "",
                   (result & RING_POLL_HUP) != 0 ? " hup" : "",
                   (result & RING_POLL_RDHUP) != 0 ? " rdhup" : "", more);
    } else if (op == OP_OPEN) {
        stage_line(stage, "open fd%s\n", more);
    } else if (op == OP_READ) {
        stage_line(stage, "read %s%s\n", result > 0 ? "data" : "end", more);
    } else {
        stage_line(stage, "send bytes%s\n", more);
    }
}

/* The next completion, waiting at most one turn for it. Returns false if there was none. */
bool stage_try(struct stage *stage, uint64_t timeout_ns, struct completion *completion)
{
    if (stage->batch_next == stage->batch_count) {
        const uint64_t before_ns = stage->ring->now_ns;
        stage->batch_next = 0;
        stage->batch_count = stage->ops->wait(stage->ring, timeout_ns, stage->batch, STAGE_BATCH);
        CU_ASSERT_FATAL(stage->batch_count <= STAGE_BATCH);
        CU_ASSERT(stage->ring->now_ns >= before_ns);
    }
    if (stage->batch_next == stage->batch_count) {
        return false;
    }
    *completion = stage->batch[stage->batch_next];
    stage->batch_next++;
    stage_record(stage, completion);
    return true;
}

struct completion stage_next(struct stage *stage)
{
    struct completion completion;
    for (unsigned turn = 0; turn < TURNS_MAX; turn++) {
        if (stage_try(stage, TURN_NS, &completion)) {
            return completion;
        }
        stage->world->idle(stage->context, stage->ring);
    }
    fprintf(stderr, "%s: no completion after:\n%s", stage->world->name, stage->trace);
    CU_FAIL_FATAL("a completion is missing");
    return (struct completion){0};
}

void stage_expect_nothing(struct stage *stage)
{
    struct completion completion;
    for (int i = 0; i < 3; i++) {
        CU_ASSERT(!stage_try(stage, 0, &completion));
    }
}

struct pair stage_pair(struct stage *stage)
{
    const bool silent = stage->silent;
    stage->silent = true;
    struct pair pair = {.client = stage->world->client_connect(stage->context, stage->listener)};
    CU_ASSERT_FATAL(pair.client >= 0);
    const struct completion completion = stage_next(stage);
    CU_ASSERT_FATAL(op_of(&completion) == OP_ACCEPT && completion.result >= 0);
    CU_ASSERT_FATAL(has_more(&completion));
    pair.server = completion.result;
    stage->silent = silent;
    return pair;
}

void stage_pair_close(struct stage *stage, const struct pair *pair)
{
    stage->ops->close(stage->ring, pair->server);
    stage->world->client_close(stage->context, pair->client);
}

void pair_feed(struct stage *stage, struct pair *pair, uint64_t end)
{
    uint8_t bytes[PIECE_SIZE];
    while (pair->fed < end) {
        const size_t size = (size_t)MIN(end - pair->fed, sizeof(bytes));
        pattern_fill(bytes, pair->fed, size);
        const int64_t sent = stage->world->client_send(stage->context, pair->client, bytes, size);
        if (sent == -EAGAIN) {
            return;
        }
        CU_ASSERT_FATAL(sent > 0);
        pair->fed += (uint64_t)sent;
    }
}

void pair_take(struct stage *stage, struct pair *pair, const struct completion *completion)
{
    CU_ASSERT_FATAL(op_of(completion) == OP_RECV && completion->result > 0);
    CU_ASSERT_FATAL((uint32_t)completion->result <= stage->config.buffer_size);
    const size_t size = (size_t)completion->result;
    CU_ASSERT(pattern_holds(ring_buffer(stage->ring, completion->buffer_id), pair->received, size));
    pair->received += size;
}

void pair_receive(struct stage *stage, struct pair *pair, uint64_t end)
{
    while (pair->received < end) {
        const struct completion completion = stage_next(stage);
        pair_take(stage, pair, &completion);
        stage->ops->buffer_return(stage->ring, completion.buffer_id);
    }
    CU_ASSERT(pair->received == end);
}

bool pair_collect(struct stage *stage, struct pair *pair)
{
    uint8_t bytes[PIECE_SIZE];
    for (;;) {
        const int64_t size =
            stage->world->client_recv(stage->context, pair->client, bytes, sizeof(bytes));
        if (size <= 0) {
            CU_ASSERT(size == 0 || size == -EAGAIN);
            return size != 0;
        }
        CU_ASSERT(pattern_holds(bytes, pair->collected, (size_t)size));
        pair->collected += (uint64_t)size;
    }
}

void pair_collect_to(struct stage *stage, struct pair *pair, uint64_t end)
{
    for (unsigned turn = 0; turn < TURNS_MAX; turn++) {
        const bool open = pair_collect(stage, pair);
        if (pair->collected >= end || !open) {
            CU_ASSERT(end == UINT64_MAX ? !open : pair->collected == end);
            return;
        }
        stage->world->idle(stage->context, stage->ring);
    }
    CU_FAIL_FATAL("bytes are missing");
}

void pair_fill(struct stage *stage, struct pair *pair)
{
    uint8_t bytes[PIECE_SIZE];
    const uint64_t limit = pair->sent + RING_CONTRACT_SOCKET_SIZE_MAX;
    for (;;) {
        pattern_fill(bytes, pair->sent, sizeof(bytes));
        const int64_t sent = stage->ops->send_now(stage->ring, pair->server, bytes, sizeof(bytes));
        if (sent == -EAGAIN) {
            return;
        }
        CU_ASSERT_FATAL(sent > 0);
        pair->sent += (uint64_t)sent;
        CU_ASSERT_FATAL(pair->sent <= limit);
    }
}

int64_t pair_recv_now(struct stage *stage, struct pair *pair, uint8_t *bytes, size_t size)
{
    for (unsigned turn = 0; turn < TURNS_MAX; turn++) {
        const int64_t received = stage->ops->recv_now(stage->ring, pair->server, bytes, size);
        if (received != -EAGAIN) {
            return received;
        }
        stage->world->idle(stage->context, stage->ring);
    }
    CU_FAIL_FATAL("recv_now brings nothing");
    return 0;
}

void pair_receive_now(struct stage *stage, struct pair *pair, uint64_t end)
{
    uint8_t bytes[PIECE_SIZE];
    while (pair->received < end) {
        const size_t size = (size_t)MIN(end - pair->received, sizeof(bytes));
        const int64_t received = pair_recv_now(stage, pair, bytes, size);
        CU_ASSERT_FATAL(received > 0 && (size_t)received <= size);
        CU_ASSERT(pattern_holds(bytes, pair->received, (size_t)received));
        pair->received += (uint64_t)received;
    }
}

int64_t pair_client_result(struct stage *stage, const struct pair *pair)
{
    uint8_t byte;
    for (unsigned turn = 0; turn < TURNS_MAX; turn++) {
        const int64_t result = stage->world->client_recv(stage->context, pair->client, &byte, 1);
        if (result != -EAGAIN) {
            return result;
        }
        stage->world->idle(stage->context, stage->ring);
    }
    CU_FAIL_FATAL("the client sees nothing");
    return 0;
}

void stage_check(struct stage *stage, const char *trace)
{
    if (strcmp(stage->trace, trace) != 0) {
        fprintf(stderr, "%s: expected:\n%sgot:\n%s", stage->world->name, trace, stage->trace);
        CU_FAIL("the trace differs");
    }
}

void stage_close(struct stage *stage, const char *trace)
{
    stage_expect_nothing(stage);
    stage_check(stage, trace);
    stage->ops->destroy(stage->ring);
    stage->world->listener_close(stage->context, stage->listener);
    stage->world->end(stage->context);
}
