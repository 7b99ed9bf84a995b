/* SPDX-License-Identifier: MIT */
/* The simulator in detail: that every fault really happens, that sockets have TCP's manners, and
 * that a broken assertion catches what an engine may do wrong. Each test has one ring and one
 * connection. */
#include "engine/ring_sim.h"

#include <CUnit/CUnit.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOCKET_SIZE  4096
#define BUFFER_SIZE  64
#define BUFFER_COUNT 16
#define POISON       0xdb
#define ALWAYS       1000

enum {
    ID_ACCEPT = 1,
    ID_RECV,
    ID_SEND,
    ID_POLL
};

static const struct sim_faults CALM;
static const uint8_t BYTES[2 * SOCKET_SIZE];

struct pair {
    struct sim *sim;
    struct ring *ring;
    int listener; /* with an accept armed */
    int fd;       /* the server's end */
    int client;
    unsigned count; /* completions of the last turn */
    struct completion got[64];
};

static const struct ring_ops *const ops = &ring_sim_ops;

static unsigned pair_turn(struct pair *pair)
{
    pair->count = ops->wait(pair->ring, UINT64_MAX, pair->got, COUNT_OF(pair->got));
    return pair->count;
}

/* Take turns until something comes; false if nothing does. */
static bool pair_wait(struct pair *pair)
{
    for (int i = 0; i < 20; i++) {
        if (pair_turn(pair) > 0) {
            return true;
        }
    }
    return false;
}

static void pair_expect(struct pair *pair, uint64_t user_data, int32_t result)
{
    CU_ASSERT_TRUE_FATAL(pair_wait(pair));
    CU_ASSERT_EQUAL(pair->got[0].user_data, user_data);
    CU_ASSERT_EQUAL(pair->got[0].result, result);
}

static void pair_open_sized(struct pair *pair, const struct sim_faults *faults,
                            uint32_t completion_entries)
{
    *pair = (struct pair){.fd = 0};
    CU_ASSERT_EQUAL_FATAL(sim_create(7, &CALM, SOCKET_SIZE, &pair->sim), 0);
    const struct ring_config config = {.submission_entries = 16,
                                       .completion_entries = completion_entries,
                                       .buffer_size = BUFFER_SIZE,
                                       .buffer_count = BUFFER_COUNT,
                                       .context = pair->sim};
    char why[256];
    CU_ASSERT_EQUAL_FATAL(ops->create(&config, &pair->ring, why), 0);
    pair->listener = sim_listen(pair->sim, 16);
    ops->accept_start(pair->ring, pair->listener, ID_ACCEPT);
    pair->client = sim_connect(pair->sim, pair->listener);
    CU_ASSERT_EQUAL_FATAL(pair_turn(pair), 1);
    pair->fd = pair->got[0].result;
    sim_set_faults(pair->sim, faults);
}

static void pair_open(struct pair *pair, const struct sim_faults *faults)
{
    pair_open_sized(pair, faults, 64);
}

static void pair_close(struct pair *pair)
{
    ops->destroy(pair->ring);
    sim_destroy(pair->sim);
}

static void client_send(struct pair *pair, size_t size)
{
    CU_ASSERT_EQUAL(sim_client_send(pair->sim, pair->client, BYTES, size), (int64_t)size);
}

static int64_t client_recv(struct pair *pair)
{
    uint8_t bytes[SOCKET_SIZE];
    return sim_client_recv(pair->sim, pair->client, bytes, sizeof(bytes));
}

static int64_t send_now(struct pair *pair, size_t size)
{
    return ops->send_now(pair->ring, pair->fd, BYTES, size);
}

static int64_t recv_now(struct pair *pair)
{
    uint8_t bytes[SOCKET_SIZE];
    return ops->recv_now(pair->ring, pair->fd, bytes, sizeof(bytes));
}

static void recv_start(struct pair *pair)
{
    ops->recv_start(pair->ring, pair->fd, ID_RECV);
}

static void send_start(struct pair *pair, size_t size, bool quiet)
{
    ops->send_start(pair->ring, pair->fd, BYTES, size, quiet, ID_SEND);
}

/* ---- Faults ---- */

void ring_sim_sends_short(void)
{
    struct pair pair;
    pair_open(&pair, &(struct sim_faults){.short_send = ALWAYS});
    int64_t sent = send_now(&pair, 100);
    CU_ASSERT_TRUE(sent > 0 && sent < 100);
    send_start(&pair, 100, false);
    CU_ASSERT_TRUE_FATAL(pair_wait(&pair));
    CU_ASSERT_TRUE(pair.got[0].result > 0 && pair.got[0].result < 100);
    sent += pair.got[0].result;
    send_start(&pair, 100, true);
    CU_ASSERT_TRUE_FATAL(pair_wait(&pair));
    CU_ASSERT_TRUE(pair.got[0].result > 0 && pair.got[0].result < 100);
    CU_ASSERT_EQUAL(client_recv(&pair), sent + pair.got[0].result);
    pair_close(&pair);
}

void ring_sim_receives_short(void)
{
    struct pair pair;
    pair_open(&pair, &(struct sim_faults){.short_recv = ALWAYS});
    client_send(&pair, 100);
    int64_t got = recv_now(&pair);
    CU_ASSERT_TRUE(got > 0 && got < 100);
    recv_start(&pair);
    unsigned piece_count = 0;
    while (got < 100 && pair_wait(&pair)) {
        for (unsigned i = 0; i < pair.count; i++) {
            got += pair.got[i].result;
            piece_count++;
        }
    }
    CU_ASSERT_EQUAL(got, 100);
    CU_ASSERT_TRUE(piece_count > 1);
    pair_close(&pair);
}

void ring_sim_send_again_strikes_send_now_and_quiet_sends(void)
{
    struct pair pair;
    pair_open(&pair, &(struct sim_faults){.send_again = ALWAYS});
    CU_ASSERT_EQUAL(send_now(&pair, 100), -EAGAIN);
    send_start(&pair, 100, true);
    pair_expect(&pair, ID_SEND, -EAGAIN);
    CU_ASSERT_EQUAL(client_recv(&pair), -EAGAIN);
    send_start(&pair, 100, false);
    pair_expect(&pair, ID_SEND, 100);
    pair_close(&pair);
}

void ring_sim_recv_again_is_polled_again(void)
{
    struct pair pair;
    pair_open(&pair, &(struct sim_faults){.recv_again = ALWAYS});
    ops->poll_start(pair.ring, pair.fd, RING_POLL_IN, true, ID_POLL);
    client_send(&pair, 100);
    pair_expect(&pair, ID_POLL, RING_POLL_IN);
    CU_ASSERT_EQUAL(recv_now(&pair), -EAGAIN);
    sim_set_faults(pair.sim, &CALM);
    pair_expect(&pair, ID_POLL, RING_POLL_IN);
    CU_ASSERT_EQUAL(recv_now(&pair), 100);
    pair_close(&pair);
}

void ring_sim_reset_breaks_both_ends(void)
{
    struct pair pair;
    pair_open(&pair, &CALM);
    recv_start(&pair);
    pair_turn(&pair);
    client_send(&pair, 100);
    CU_ASSERT_EQUAL(send_now(&pair, 100), 100);
    sim_set_faults(pair.sim, &(struct sim_faults){.reset = ALWAYS});
    pair_expect(&pair, ID_RECV, -ECONNRESET);
    CU_ASSERT_EQUAL(pair.got[0].flags, 0);
    CU_ASSERT_EQUAL(send_now(&pair, 1), -EPIPE);
    CU_ASSERT_EQUAL(client_recv(&pair), -ECONNRESET);
    CU_ASSERT_EQUAL(sim_client_send(pair.sim, pair.client, BYTES, 1), -ECONNRESET);
    pair_close(&pair);
}

void ring_sim_accept_runs_out_of_descriptors(void)
{
    struct pair pair;
    pair_open(&pair, &(struct sim_faults){.accept_emfile = ALWAYS});
    CU_ASSERT_TRUE(sim_connect(pair.sim, pair.listener) > 0);
    pair_expect(&pair, ID_ACCEPT, -EMFILE);
    CU_ASSERT_EQUAL(pair.got[0].flags, 0);
    sim_set_faults(pair.sim, &CALM);
    ops->accept_start(pair.ring, pair.listener, ID_ACCEPT);
    CU_ASSERT_TRUE_FATAL(pair_wait(&pair));
    CU_ASSERT_TRUE(pair.got[0].result > pair.fd);
    pair_close(&pair);
}

void ring_sim_buffers_seem_to_run_out(void)
{
    struct pair pair;
    pair_open(&pair, &(struct sim_faults){.enobufs = ALWAYS});
    recv_start(&pair);
    client_send(&pair, 100);
    pair_expect(&pair, ID_RECV, -ENOBUFS);
    CU_ASSERT_EQUAL(pair.got[0].flags, 0);
    CU_ASSERT_EQUAL(sim_buffers_out(pair.ring), 0);
    pair_close(&pair);
}

void ring_sim_ends_multishot_operations(void)
{
    struct pair pair;
    pair_open(&pair, &(struct sim_faults){.multishot_end = ALWAYS});
    recv_start(&pair);
    client_send(&pair, BUFFER_SIZE + 1);
    pair_expect(&pair, ID_RECV, BUFFER_SIZE);
    CU_ASSERT_EQUAL(pair.got[0].flags, COMPLETION_F_BUFFER | COMPLETION_F_NONEMPTY);
    recv_start(&pair);
    pair_expect(&pair, ID_RECV, 1);
    CU_ASSERT_EQUAL(pair.got[0].flags, COMPLETION_F_BUFFER);
    CU_ASSERT_TRUE(sim_connect(pair.sim, pair.listener) > 0);
    CU_ASSERT_TRUE_FATAL(pair_wait(&pair));
    CU_ASSERT_EQUAL(pair.got[0].user_data, ID_ACCEPT);
    CU_ASSERT_EQUAL(pair.got[0].flags, 0);
    pair_close(&pair);
}

void ring_sim_full_completion_queue_ends_multishot_receive(void)
{
    struct pair pair;
    pair_open_sized(&pair, &CALM, 4);
    recv_start(&pair);
    client_send(&pair, (size_t)8 * BUFFER_SIZE);
    CU_ASSERT_TRUE_FATAL(pair_wait(&pair));
    CU_ASSERT_EQUAL_FATAL(pair.count, 5);
    CU_ASSERT_TRUE(pair.got[3].flags & COMPLETION_F_MORE);
    CU_ASSERT_FALSE(pair.got[4].flags & COMPLETION_F_MORE);
    pair_close(&pair);
}

void ring_sim_holds_completions_back(void)
{
    struct pair pair;
    pair_open(&pair, &(struct sim_faults){.late = ALWAYS});
    unsigned empty_count = 0;
    for (int i = 0; i < 10; i++) {
        send_start(&pair, 1, false);
        while (pair_turn(&pair) == 0) {
            CU_ASSERT_TRUE_FATAL(sim_ring_is_ready(pair.ring));
            empty_count++;
        }
    }
    CU_ASSERT_TRUE(empty_count >= 10);
    /* Contract: what a quiet send did not send is known at once. */
    send_start(&pair, sizeof(BYTES), true);
    CU_ASSERT_EQUAL(pair_turn(&pair), 1);
    pair_close(&pair);
}

/* Check that a 1 is received before a 0, whatever comes between. */
static void receives_stay_in_order(struct pair *pair)
{
    uint8_t expected = 1;
    for (unsigned i = 0; i < pair->count; i++) {
        if (pair->got[i].user_data == ID_RECV) {
            CU_ASSERT_EQUAL(ring_buffer(pair->ring, pair->got[i].buffer_id)[0], expected);
            ops->buffer_return(pair->ring, pair->got[i].buffer_id);
            expected = 0;
        }
    }
}

void ring_sim_reorders_different_operations_only(void)
{
    struct pair pair;
    pair_open(&pair, &(struct sim_faults){.reorder = 500});
    unsigned swapped_count = 0;
    recv_start(&pair);
    for (int i = 0; i < 50; i++) {
        const uint8_t first[BUFFER_SIZE] = {1};
        CU_ASSERT_EQUAL(sim_client_send(pair.sim, pair.client, first, BUFFER_SIZE), BUFFER_SIZE);
        client_send(&pair, BUFFER_SIZE);
        send_start(&pair, 1, false);
        CU_ASSERT_EQUAL_FATAL(pair_turn(&pair), 3);
        swapped_count += pair.got[1].user_data == ID_SEND;
        receives_stay_in_order(&pair);
    }
    CU_ASSERT_TRUE(swapped_count > 0);
    CU_ASSERT_TRUE(swapped_count < 50);
    pair_close(&pair);
}

/* ---- Buffers ---- */

void ring_sim_returned_buffer_is_poisoned(void)
{
    struct pair pair;
    pair_open(&pair, &CALM);
    recv_start(&pair);
    client_send(&pair, 10);
    pair_expect(&pair, ID_RECV, 10);
    const uint8_t *buffer = ring_buffer(pair.ring, pair.got[0].buffer_id);
    CU_ASSERT_EQUAL(buffer[0], 0);
    CU_ASSERT_EQUAL(sim_buffers_out(pair.ring), 1);
    ops->buffer_return(pair.ring, pair.got[0].buffer_id);
    CU_ASSERT_EQUAL(buffer[0], POISON);
    CU_ASSERT_EQUAL(buffer[BUFFER_SIZE - 1], POISON);
    CU_ASSERT_EQUAL(sim_buffers_out(pair.ring), 0);
    pair_close(&pair);
}

/* ---- TCP's manners ---- */

void ring_sim_half_close_lets_the_answer_through(void)
{
    struct pair pair;
    pair_open(&pair, &CALM);
    recv_start(&pair);
    client_send(&pair, 10);
    sim_client_shutdown(pair.sim, pair.client);
    CU_ASSERT_TRUE(pair_wait(&pair));
    CU_ASSERT_EQUAL_FATAL(pair.count, 2);
    CU_ASSERT_EQUAL(pair.got[0].result, 10);
    CU_ASSERT_EQUAL(pair.got[1].result, 0);
    CU_ASSERT_EQUAL(pair.got[1].flags, 0);
    CU_ASSERT_EQUAL(send_now(&pair, 20), 20);
    ops->shutdown(pair.ring, pair.fd, 1);
    CU_ASSERT_EQUAL(send_now(&pair, 1), -EPIPE);
    ops->close(pair.ring, pair.fd);
    CU_ASSERT_EQUAL(client_recv(&pair), 20);
    CU_ASSERT_EQUAL(client_recv(&pair), 0);
    CU_ASSERT_EQUAL(sim_open_count(pair.sim), 1);
    pair_close(&pair);
}

void ring_sim_close_with_bytes_unread_resets(void)
{
    struct pair pair;
    pair_open(&pair, &CALM);
    client_send(&pair, 10);
    CU_ASSERT_EQUAL(send_now(&pair, 20), 20);
    ops->close(pair.ring, pair.fd);
    CU_ASSERT_EQUAL(client_recv(&pair), -ECONNRESET);
    pair_close(&pair);
}

void ring_sim_send_to_closed_peer_fails_the_second_time(void)
{
    struct pair pair;
    pair_open(&pair, &CALM);
    client_send(&pair, 10);
    sim_client_close(pair.sim, pair.client);
    CU_ASSERT_EQUAL(send_now(&pair, 20), 20);
    CU_ASSERT_EQUAL(send_now(&pair, 20), -EPIPE);
    CU_ASSERT_EQUAL(recv_now(&pair), 10);
    CU_ASSERT_EQUAL(recv_now(&pair), 0);
    pair_close(&pair);
}

void ring_sim_bytes_after_full_shutdown_are_answered_by_reset(void)
{
    struct pair pair;
    pair_open(&pair, &CALM);
    recv_start(&pair);
    pair_turn(&pair);
    ops->shutdown(pair.ring, pair.fd, 2);
    pair_expect(&pair, ID_RECV, 0);
    CU_ASSERT_EQUAL(client_recv(&pair), 0);
    client_send(&pair, 10);
    CU_ASSERT_EQUAL(client_recv(&pair), -ECONNRESET);
    pair_close(&pair);
}

void ring_sim_send_waits_for_room(void)
{
    struct pair pair;
    pair_open(&pair, &CALM);
    send_start(&pair, sizeof(BYTES), false);
    pair_expect(&pair, ID_SEND, SOCKET_SIZE);
    send_start(&pair, sizeof(BYTES), false);
    CU_ASSERT_EQUAL(pair_turn(&pair), 0);
    CU_ASSERT_FALSE(sim_ring_is_ready(pair.ring));
    CU_ASSERT_EQUAL(client_recv(&pair), SOCKET_SIZE);
    CU_ASSERT_TRUE(sim_ring_is_ready(pair.ring));
    pair_expect(&pair, ID_SEND, SOCKET_SIZE);
    send_start(&pair, 1, false);
    CU_ASSERT_EQUAL(pair_turn(&pair), 0);
    ops->cancel(pair.ring, ID_SEND);
    pair_expect(&pair, ID_SEND, -ECANCELED);
    pair_close(&pair);
}

void ring_sim_connect_is_refused(void)
{
    struct pair pair;
    pair_open(&pair, &CALM);
    int listener = sim_listen(pair.sim, 1);
    int waiting = sim_connect(pair.sim, listener);
    CU_ASSERT_TRUE(waiting > 0);
    CU_ASSERT_EQUAL(sim_connect(pair.sim, listener), -ECONNREFUSED);
    ops->close(pair.ring, listener);
    uint8_t byte;
    CU_ASSERT_EQUAL(sim_client_recv(pair.sim, waiting, &byte, 1), -ECONNRESET);
    CU_ASSERT_EQUAL(sim_connect(pair.sim, listener), -ECONNREFUSED);
    ops->shutdown(pair.ring, pair.listener, 2);
    pair_expect(&pair, ID_ACCEPT, -EINVAL);
    CU_ASSERT_EQUAL(sim_connect(pair.sim, pair.listener), -ECONNREFUSED);
    pair_close(&pair);
}

/* ---- Mistakes of an engine ---- */

static void close_in_flight(struct pair *pair)
{
    recv_start(pair);
    ops->close(pair->ring, pair->fd);
}

static void close_before_last_completion(struct pair *pair)
{
    recv_start(pair);
    pair_turn(pair);
    ops->cancel(pair->ring, ID_RECV);
    ops->submit(pair->ring);
    ops->close(pair->ring, pair->fd);
}

static void close_reset_in_flight(struct pair *pair)
{
    recv_start(pair);
    ops->close_reset(pair->ring, pair->fd);
}

static void close_twice(struct pair *pair)
{
    ops->close(pair->ring, pair->fd);
    ops->close(pair->ring, pair->fd);
}

static void send_after_close(struct pair *pair)
{
    ops->close(pair->ring, pair->fd);
    send_start(pair, 1, false);
}

static void send_twice(struct pair *pair)
{
    send_start(pair, 1, true);
    send_start(pair, 1, true);
}

static void send_now_in_flight(struct pair *pair)
{
    send_start(pair, 1, false);
    send_now(pair, 1);
}

static void recv_twice(struct pair *pair)
{
    recv_start(pair);
    pair_turn(pair);
    recv_start(pair);
}

static void recv_now_in_flight(struct pair *pair)
{
    recv_start(pair);
    pair_turn(pair);
    recv_now(pair);
}

static void send_changes_bytes(struct pair *pair)
{
    uint8_t bytes[1] = {0};
    ops->send_start(pair->ring, pair->fd, bytes, sizeof(bytes), false, ID_SEND);
    ops->submit(pair->ring);
    CU_ASSERT_EQUAL(client_recv(pair), 1);
    bytes[0] = 1; /* transmitted already, and yet the kernel's */
    pair_turn(pair);
}

static void send_changes_bytes_before_submit(struct pair *pair)
{
    uint8_t bytes[1] = {0};
    ops->send_start(pair->ring, pair->fd, bytes, sizeof(bytes), true, ID_SEND);
    bytes[0] = 1;
    ops->submit(pair->ring);
}

static void send_returns_its_buffer(struct pair *pair)
{
    recv_start(pair);
    client_send(pair, BUFFER_SIZE);
    pair_turn(pair);
    uint16_t id = pair->got[0].buffer_id;
    ops->send_start(pair->ring, pair->fd, ring_buffer(pair->ring, id), BUFFER_SIZE, false, ID_SEND);
    ops->buffer_return(pair->ring, id);
    pair_turn(pair);
}

static void buffer_return_twice(struct pair *pair)
{
    recv_start(pair);
    client_send(pair, 1);
    pair_turn(pair);
    ops->buffer_return(pair->ring, pair->got[0].buffer_id);
    ops->buffer_return(pair->ring, pair->got[0].buffer_id);
}

static void buffer_return_unseen(struct pair *pair)
{
    ops->buffer_return(pair->ring, 0);
}

static void buffer_write_after_return(struct pair *pair)
{
    ring_buffer(pair->ring, 0)[BUFFER_SIZE - 1] = 1;
    recv_start(pair);
    client_send(pair, 1);
    pair_turn(pair);
}

static void cancel_is_ambiguous(struct pair *pair)
{
    ops->poll_start(pair->ring, pair->fd, RING_POLL_IN, true, ID_POLL);
    ops->poll_start(pair->ring, pair->fd, RING_POLL_IN, true, ID_POLL);
    ops->cancel(pair->ring, ID_POLL);
    pair_turn(pair);
}

static void no_mistake(struct pair *pair)
{
    recv_start(pair);
    pair_turn(pair);
}

static bool is_caught(void (*mistake)(struct pair *pair))
{
    (void)fflush(NULL);
    pid_t child = fork();
    CU_ASSERT_TRUE_FATAL(child >= 0);
    if (child == 0) {
        const struct rlimit no_core = {.rlim_cur = 0};
        struct pair pair;
        close(STDERR_FILENO);
        setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGABRT, SIG_DFL);
        pair_open(&pair, &CALM);
        mistake(&pair);
        _exit(0);
    }
    int status = 0;
    CU_ASSERT_EQUAL_FATAL(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

void ring_sim_catches_mistakes_of_an_engine(void)
{
    static void (*const mistakes[])(struct pair * pair) = {
        close_in_flight,
        close_before_last_completion,
        close_reset_in_flight,
        close_twice,
        send_after_close,
        send_twice,
        send_now_in_flight,
        recv_twice,
        recv_now_in_flight,
        send_changes_bytes,
        send_changes_bytes_before_submit,
        send_returns_its_buffer,
        buffer_return_twice,
        buffer_return_unseen,
        buffer_write_after_return,
        cancel_is_ambiguous,
    };
    for (size_t i = 0; i < COUNT_OF(mistakes); i++) {
        CU_ASSERT_TRUE(is_caught(mistakes[i]));
    }
    CU_ASSERT_FALSE(is_caught(no_mistake));
}
