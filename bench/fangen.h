/* SPDX-License-Identifier: MIT */
/* What the parts of bench/fangen.c share. */
#ifndef BENCH_FANGEN_H
#define BENCH_FANGEN_H

#include "bench/client.h"
#include "bench/histogram.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>

#define THREAD_COUNT_MAX 16
#define RECV_SIZE        (256u << 10)

/* What a message begins with; its last eight bytes are the checksum of all before. */
struct stamp {
    uint32_t room;
    uint32_t publisher; /* of this room */
    uint64_t number;
    uint64_t due_ns; /* when it should have been sent */
};
#define CHECKSUM_SIZE    8
#define PAYLOAD_SIZE_MIN (sizeof(struct stamp) + CHECKSUM_SIZE)
static_assert(sizeof(struct stamp) == 24, "no holes: it is copied as bytes");

struct options {
    struct sockaddr_in address;
    const char *counter_path; /* NULL: none */
    uint32_t subscriber_count;
    uint32_t room_count;
    uint32_t publisher_count; /* of each room */
    uint32_t burst;
    uint32_t payload_size;
    uint32_t stalled_permille;
    double rate;    /* bursts a second of each publisher; 0: closed loop */
    double seconds; /* 0: until a signal ends the process */
    bool verify;
    uint32_t cpus[THREAD_COUNT_MAX];
    uint32_t cpu_count; /* 0: one thread, not bound */
};

struct conn {
    int fd;
    uint32_t room;
    bool is_stalled;
    bool is_publisher;
    uint32_t publisher; /* of its room */
    uint64_t number;    /* publisher: of its next message */
    /* Subscriber, if messages are looked at: */
    uint32_t kept_size;
    uint8_t *kept;     /* owned: the beginning of a frame whose rest has not come */
    uint64_t *numbers; /* owned: of the next message of each publisher */
    uint64_t order;    /* a hash of the messages in the order they came */
};

struct generator;

struct thread {
    struct generator *generator;
    uint32_t index;
    pthread_t id;
    int epoll_fd;
    int wake_fd;
    uint8_t *recv_bytes;      /* owned, RECV_SIZE */
    uint8_t *frames;          /* owned, a burst */
    struct conn **publishers; /* owned; borrowed from the generator's conns */
    uint32_t publisher_count;
    uint64_t round;  /* the last one that our publishers have sent */
    uint64_t due_ns; /* of the next burst; open loop */
    uint32_t bursts_left;
    uint64_t batch_bytes; /* received and not accounted for yet */
    uint64_t recv_calls;
    uint64_t random_state;
    struct histogram each;
    struct histogram whole;
};

struct generator {
    const struct options *options;
    struct counter *counter;
    struct conn *conns; /* owned: subscribers, then publishers */
    uint32_t conn_count;
    uint32_t *readers; /* owned: by room, how many read */
    uint32_t reader_count;
    uint32_t stalled_count;
    bool looks; /* messages are looked at */
    size_t frame_size;
    size_t reply_size;
    uint8_t reply_header[FRAME_HEADER_MAX];
    size_t reply_header_size;
    uint64_t round_bytes; /* that all readers of a round get together */
    uint64_t total_bytes; /* open loop: of all the run */
    uint64_t interval_ns; /* open loop: from burst to burst of a publisher */
    uint64_t start_ns;
    uint64_t end_ns;
    uint64_t times_ns; /* open loop: messages due before this are not timed */
    /* Written by all threads. */
    _Atomic uint64_t round;          /* released by who begins it, acquired by who sends in it */
    _Atomic uint64_t round_start_ns; /* as `round` */
    _Atomic uint64_t pending_bytes;  /* of the round; the release of one thread's share is acquired
                                        by the thread that takes the last */
    _Atomic bool done;
    _Atomic uint32_t *remaining; /* owned; open loop: by message, how many readers lack it */
    uint32_t message_count;      /* of each publisher; open loop */
    struct thread *threads;      /* owned */
    uint32_t thread_count;
};

/* ---- fangen_connect.c ---- */

/* Open all connections, each for the thread that it belongs to. */
void generator_connect(struct generator *generator);

/* ---- fangen_thread.c ---- */

/* Write the frames of the next burst of this publisher to thread->frames. */
void burst_write(struct thread *thread, struct conn *conn, uint64_t due_ns);
/* Let the publishers of all threads send. */
void round_begin(struct generator *generator, const struct thread *thread);
/* Publish and receive until the end. */
void *thread_run(void *argument);

#endif
