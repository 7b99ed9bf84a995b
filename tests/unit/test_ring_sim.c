/* SPDX-License-Identifier: MIT */
/* The simulator as a whole: that one seed gives one history, that bytes keep their order whatever
 * happens, and that rings sleep, wake and see time pass. Single operations and faults:
 * test_ring_sim_op.c. */
#include "engine/ring_sim.h"

#include <CUnit/CUnit.h>

#include <errno.h>
#include <stdlib.h>

#define SOCKET_SIZE  4096
#define BUFFER_SIZE  64
#define BUFFER_COUNT 16

static const struct sim_faults CALM;

static struct ring *ring_make(struct sim *sim)
{
    const struct ring_config config = {.submission_entries = 16,
                                       .completion_entries = 64,
                                       .buffer_size = BUFFER_SIZE,
                                       .buffer_count = BUFFER_COUNT,
                                       .context = sim};
    struct ring *ring = NULL;
    char why[256];
    CU_ASSERT_EQUAL_FATAL(ring_sim_ops.create(&config, &ring, why), 0);
    return ring;
}

enum {
    ID_ACCEPT = 1,
    ID_RECV,
    ID_SEND
};

/* ---- An echo server on two rings, under all faults at once ---- */

#define ECHO_CONN_MAX 8
#define ECHO_SIZE     3000
#define ECHO_RINGS    2

struct echo_conn {
    int fd; /* 0: closed */
    bool receiving;
    bool sending;
    bool ended;
    bool broken;
    uint32_t recv_size;
    uint32_t sent_size;
    uint8_t bytes[ECHO_SIZE];
};

struct echo_client {
    int fd; /* < 0: closed */
    uint32_t sent_size;
    uint32_t recv_size;
};

struct echo {
    struct sim *sim;
    struct ring *rings[ECHO_RINGS];
    int listener;
    unsigned accepting_count;
    unsigned conn_count;
    unsigned open_count;
    unsigned whole_count; /* clients that got everything back */
    bool stopping;
    struct echo_conn conns[ECHO_CONN_MAX];
    struct echo_client clients[ECHO_CONN_MAX];
};

static uint8_t echo_pattern(uint32_t position)
{
    return (uint8_t)(position * 31 + (position >> 8));
}

static uint64_t echo_id(unsigned kind, unsigned index)
{
    return (uint64_t)kind << 32 | index;
}

static void echo_accept_start(struct echo *echo, unsigned ring)
{
    ring_sim_ops.accept_start(echo->rings[ring], echo->listener, echo_id(ID_ACCEPT, ring));
    echo->accepting_count++;
}

static void echo_flush(struct echo *echo, struct ring *ring, struct echo_conn *conn)
{
    uint64_t id = echo_id(ID_SEND, (unsigned)(conn - echo->conns));
    while (!conn->sending && !conn->broken && conn->sent_size < conn->recv_size) {
        const uint8_t *rest = conn->bytes + conn->sent_size;
        size_t size = conn->recv_size - conn->sent_size;
        int64_t sent = ring_sim_ops.send_now(ring, conn->fd, rest, size);
        if (sent >= 0) {
            conn->sent_size += (uint32_t)sent;
        } else if (sent == -EAGAIN) {
            ring_sim_ops.send_start(ring, conn->fd, rest, size, false, id);
            conn->sending = true;
        } else {
            conn->broken = true;
        }
    }
    if (conn->broken && conn->receiving) {
        ring_sim_ops.shutdown(ring, conn->fd, 2);
    }
    bool is_done = conn->broken || (conn->ended && conn->sent_size == conn->recv_size);
    if (is_done && !conn->receiving && !conn->sending) {
        ring_sim_ops.close(ring, conn->fd);
        conn->fd = 0;
        echo->open_count--;
    }
}

static void echo_on_accept(struct echo *echo, unsigned ring, const struct completion *completion)
{
    if (completion->result >= 0) {
        unsigned index = echo->conn_count++;
        echo->open_count++;
        echo->conns[index].fd = completion->result;
        echo->conns[index].receiving = true;
        ring_sim_ops.recv_start(echo->rings[ring], completion->result, echo_id(ID_RECV, index));
    }
    if (!(completion->flags & COMPLETION_F_MORE)) {
        echo->accepting_count--;
        if (!echo->stopping) {
            echo_accept_start(echo, ring);
        }
    }
}

static void echo_on_recv(struct ring *ring, struct echo_conn *conn, const struct completion *got)
{
    if (got->flags & COMPLETION_F_BUFFER) {
        CU_ASSERT_FATAL(got->result > 0 && conn->recv_size + (uint32_t)got->result <= ECHO_SIZE);
        memcpy(conn->bytes + conn->recv_size, ring_buffer(ring, got->buffer_id),
               (size_t)got->result);
        conn->recv_size += (uint32_t)got->result;
        ring_sim_ops.buffer_return(ring, got->buffer_id);
    }
    if (got->flags & COMPLETION_F_MORE) {
        return;
    }
    conn->receiving = false;
    if ((got->result > 0 || got->result == -ENOBUFS) && !conn->broken) {
        ring_sim_ops.recv_start(ring, conn->fd, got->user_data);
        conn->receiving = true;
    } else {
        conn->ended = true;
        conn->broken |= got->result < 0;
    }
}

static void echo_turn(struct echo *echo, unsigned ring_index)
{
    struct ring *ring = echo->rings[ring_index];
    struct completion completions[8];
    unsigned count = ring_sim_ops.wait(ring, UINT64_MAX, completions, COUNT_OF(completions));
    for (unsigned i = 0; i < count; i++) {
        const struct completion *completion = &completions[i];
        uint32_t index = (uint32_t)completion->user_data;
        if (completion->user_data >> 32 == ID_ACCEPT) {
            echo_on_accept(echo, ring_index, completion);
            continue;
        }
        struct echo_conn *conn = &echo->conns[index];
        if (completion->user_data >> 32 == ID_RECV) {
            echo_on_recv(ring, conn, completion);
        } else {
            conn->sending = false;
            conn->sent_size += completion->result > 0 ? (uint32_t)completion->result : 0;
            conn->broken |= completion->result < 0;
        }
        echo_flush(echo, ring, conn);
    }
}

static void echo_client_end(struct echo *echo, struct echo_client *client)
{
    sim_client_close(echo->sim, client->fd);
    client->fd = -1;
}

/* Send a piece, read a piece, check it. */
static void echo_client_step(struct echo *echo, struct echo_client *client)
{
    uint8_t bytes[700];
    if (client->sent_size < ECHO_SIZE) {
        uint32_t size = 1 + (uint32_t)sim_random(echo->sim, sizeof(bytes));
        size = MIN(size, ECHO_SIZE - client->sent_size);
        for (uint32_t i = 0; i < size; i++) {
            bytes[i] = echo_pattern(client->sent_size + i);
        }
        int64_t sent = sim_client_send(echo->sim, client->fd, bytes, size);
        client->sent_size += sent > 0 ? (uint32_t)sent : 0;
        if (client->sent_size == ECHO_SIZE) {
            sim_client_shutdown(echo->sim, client->fd);
        }
    }
    int64_t got = sim_client_recv(echo->sim, client->fd, bytes, sizeof(bytes));
    for (int64_t i = 0; i < got; i++) {
        CU_ASSERT_EQUAL_FATAL(bytes[i], echo_pattern(client->recv_size));
        client->recv_size++;
    }
    if (got == 0) {
        CU_ASSERT_EQUAL(client->recv_size, ECHO_SIZE);
        echo->whole_count++;
    }
    if (got == 0 || got == -ECONNRESET) {
        echo_client_end(echo, client);
    }
}

static void echo_begin(struct echo *echo, uint64_t seed, const struct sim_faults *faults)
{
    *echo = (struct echo){.stopping = false};
    CU_ASSERT_EQUAL_FATAL(sim_create(seed, faults, SOCKET_SIZE / 4, &echo->sim), 0);
}

/* Returns false if something never came to its end. */
static bool echo_run(struct echo *echo)
{
    echo->listener = sim_listen(echo->sim, ECHO_CONN_MAX);
    for (unsigned i = 0; i < ECHO_RINGS; i++) {
        echo->rings[i] = ring_make(echo->sim);
        echo_accept_start(echo, i);
    }
    for (unsigned i = 0; i < ECHO_CONN_MAX; i++) {
        echo->clients[i].fd = sim_connect(echo->sim, echo->listener);
    }
    for (unsigned step = 0; step < 20000; step++) {
        unsigned ring = (unsigned)sim_random(echo->sim, ECHO_RINGS);
        if (sim_ring_is_ready(echo->rings[ring])) {
            echo_turn(echo, ring);
        }
        struct echo_client *client = &echo->clients[sim_random(echo->sim, ECHO_CONN_MAX)];
        if (client->fd >= 0) {
            echo_client_step(echo, client);
        }
        if (echo->conn_count == ECHO_CONN_MAX && echo->open_count == 0 && !echo->stopping) {
            echo->stopping = true;
            ring_sim_ops.cancel(echo->rings[0], echo_id(ID_ACCEPT, 0));
            ring_sim_ops.cancel(echo->rings[1], echo_id(ID_ACCEPT, 1));
        }
    }
    return echo->stopping && echo->accepting_count == 0;
}

static void echo_end(struct echo *echo)
{
    sim_listen_close(echo->sim, echo->listener);
    CU_ASSERT_EQUAL(sim_open_count(echo->sim), 0);
    for (unsigned i = 0; i < ECHO_RINGS; i++) {
        CU_ASSERT_EQUAL(sim_buffers_out(echo->rings[i]), 0);
        ring_sim_ops.destroy(echo->rings[i]);
    }
    sim_destroy(echo->sim);
}

static const struct sim_faults STORM = {
    .short_send = 200,
    .short_recv = 200,
    .send_again = 200,
    .recv_again = 200,
    .reset = 3,
    .accept_emfile = 200,
    .enobufs = 100,
    .multishot_end = 100,
    .late = 200,
    .reorder = 300,
    .time_jump = 10,
    .spurious_wake = 100,
};

static char *echo_trace(uint64_t seed)
{
    struct echo echo;
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    echo_begin(&echo, seed, &STORM);
    sim_trace(echo.sim, file);
    CU_ASSERT_TRUE(echo_run(&echo));
    sim_trace(echo.sim, NULL);
    echo_end(&echo);
    CU_ASSERT_EQUAL(fclose(file), 0);
    return text;
}

void ring_sim_same_seed_gives_same_trace(void)
{
    char *first = echo_trace(42);
    char *second = echo_trace(42);
    char *other = echo_trace(43);
    CU_ASSERT_TRUE(strlen(first) > 1000);
    CU_ASSERT_STRING_EQUAL(first, second);
    CU_ASSERT_STRING_NOT_EQUAL(first, other);
    free(first);
    free(second);
    free(other);
}

void ring_sim_calm_echo_brings_everything_back(void)
{
    struct echo echo;
    echo_begin(&echo, 1, &CALM);
    CU_ASSERT_TRUE(echo_run(&echo));
    CU_ASSERT_EQUAL(echo.whole_count, ECHO_CONN_MAX);
    echo_end(&echo);
}

void ring_sim_echo_keeps_bytes_in_order_under_all_faults(void)
{
    unsigned whole_count = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct echo echo;
        echo_begin(&echo, seed, &STORM);
        CU_ASSERT_TRUE(echo_run(&echo));
        whole_count += echo.whole_count;
        echo_end(&echo);
    }
    CU_ASSERT_TRUE(whole_count > 0);
    CU_ASSERT_TRUE(whole_count < 40 * ECHO_CONN_MAX);
}

/* ---- Sleep, wake and time ---- */

static struct sim *world_make(const struct sim_faults *faults)
{
    struct sim *sim = NULL;
    CU_ASSERT_EQUAL_FATAL(sim_create(3, faults, SOCKET_SIZE, &sim), 0);
    return sim;
}

static unsigned wait_one(struct ring *ring, uint64_t timeout_ns)
{
    struct completion completion;
    return ring_sim_ops.wait(ring, timeout_ns, &completion, 1);
}

void ring_sim_sleeps_until_timeout(void)
{
    struct sim *sim = world_make(&CALM);
    struct ring *ring = ring_make(sim);
    CU_ASSERT_TRUE(sim_ring_is_ready(ring));
    CU_ASSERT_EQUAL(wait_one(ring, 1000000), 0);
    CU_ASSERT_EQUAL(ring->now_ns, sim_now_ns(sim));
    CU_ASSERT_FALSE(sim_ring_is_ready(ring));
    CU_ASSERT_EQUAL(sim_ring_sleep_end_ns(ring), ring->now_ns + 1000000);
    sim_advance(sim, 999999);
    CU_ASSERT_FALSE(sim_ring_is_ready(ring));
    sim_advance(sim, 1);
    CU_ASSERT_TRUE(sim_ring_is_ready(ring));
    CU_ASSERT_EQUAL(wait_one(ring, UINT64_MAX), 0);
    CU_ASSERT_EQUAL(sim_ring_sleep_end_ns(ring), UINT64_MAX);
    CU_ASSERT_FALSE(sim_ring_is_ready(ring));
    ring_sim_ops.destroy(ring);
    sim_destroy(sim);
}

void ring_sim_wakes_by_wake_news_and_submissions(void)
{
    struct sim *sim = world_make(&CALM);
    struct ring *ring = ring_make(sim);
    int listener = sim_listen(sim, 4);
    wait_one(ring, UINT64_MAX);
    ring_sim_ops.wake(ring, NULL);
    CU_ASSERT_TRUE(sim_ring_is_ready(ring));
    CU_ASSERT_EQUAL(wait_one(ring, UINT64_MAX), 0);
    /* Awake: it may have made new timers, so it must wait again before it sleeps. */
    CU_ASSERT_TRUE(sim_ring_is_ready(ring));
    wait_one(ring, UINT64_MAX);
    CU_ASSERT_FALSE(sim_ring_is_ready(ring));
    ring_sim_ops.accept_start(ring, listener, 1);
    CU_ASSERT_TRUE(sim_ring_is_ready(ring));
    wait_one(ring, UINT64_MAX);
    CU_ASSERT_FALSE(sim_ring_is_ready(ring));
    CU_ASSERT_TRUE(sim_connect(sim, listener) > 0);
    CU_ASSERT_TRUE(sim_ring_is_ready(ring));
    CU_ASSERT_EQUAL(wait_one(ring, UINT64_MAX), 1);
    CU_ASSERT_TRUE(sim_ring_is_ready(ring));
    ring_sim_ops.destroy(ring);
    sim_destroy(sim);
}

void ring_sim_turn_takes_1_to_50_us(void)
{
    struct sim *sim = world_make(&CALM);
    struct ring *ring = ring_make(sim);
    for (int i = 0; i < 1000; i++) {
        uint64_t before_ns = sim_now_ns(sim);
        wait_one(ring, UINT64_MAX);
        uint64_t passed_ns = sim_now_ns(sim) - before_ns;
        CU_ASSERT_TRUE(passed_ns >= 1000 && passed_ns <= 50000);
    }
    uint64_t wall_ns = ring_sim_ops.wall_ns(ring);
    sim_advance(sim, 5000000000u);
    CU_ASSERT_EQUAL(ring_sim_ops.wall_ns(ring), wall_ns + 5000000000);
    CU_ASSERT_TRUE(wall_ns > UINT64_C(1700000000000000000));
    ring_sim_ops.destroy(ring);
    sim_destroy(sim);
}

void ring_sim_time_jumps(void)
{
    const struct sim_faults faults = {.time_jump = 500};
    struct sim *sim = world_make(&faults);
    struct ring *ring = ring_make(sim);
    unsigned jump_count = 0;
    for (int i = 0; i < 100; i++) {
        uint64_t before_ns = sim_now_ns(sim);
        wait_one(ring, UINT64_MAX);
        jump_count += sim_now_ns(sim) - before_ns > 1000000;
    }
    CU_ASSERT_TRUE(jump_count > 20);
    CU_ASSERT_TRUE(jump_count < 80);
    ring_sim_ops.destroy(ring);
    sim_destroy(sim);
}

void ring_sim_wakes_spuriously(void)
{
    const struct sim_faults faults = {.spurious_wake = 500};
    struct sim *sim = world_make(&faults);
    struct ring *ring = ring_make(sim);
    unsigned awake_count = 0;
    for (int i = 0; i < 100; i++) {
        CU_ASSERT_EQUAL(wait_one(ring, UINT64_MAX), 0);
        awake_count += sim_ring_is_ready(ring);
    }
    CU_ASSERT_TRUE(awake_count > 20);
    CU_ASSERT_TRUE(awake_count < 80);
    ring_sim_ops.destroy(ring);
    sim_destroy(sim);
}

void ring_sim_create_refuses_odd_sizes(void)
{
    struct sim *sim = world_make(&CALM);
    struct ring_config config = {.submission_entries = 16,
                                 .completion_entries = 64,
                                 .buffer_size = 64,
                                 .buffer_count = 12,
                                 .context = sim};
    struct ring *ring = NULL;
    char why[256] = "";
    CU_ASSERT_EQUAL(ring_sim_ops.create(&config, &ring, why), -EINVAL);
    CU_ASSERT_TRUE(strlen(why) > 0);
    sim_destroy(sim);
}
