/* SPDX-License-Identifier: MIT */
/* Part of bench/fangen.c: the loop of a thread, from what it publishes to what its subscribers
 * receive. epoll, edge triggered: a receive that does not fill the buffer has taken everything. */
#include "bench/fangen.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENT_COUNT    512
#define SILENCE_MAX_NS UINT64_C(10000000000)
#define WAIT_MAX_NS    100000000 /* of one epoll_pwait2 */

static const uint8_t FIXED_MASKING_KEY[FRAME_KEY_SIZE] = {0x37, 0xfa, 0x21, 0x3d};

/* --- messages ------------------------------------------------------------------------------ */

/* Eight bytes at a time; only a generator of the same machine reads it. */
static uint64_t checksum(const uint8_t *bytes, size_t size)
{
    uint64_t hash = size;
    while (size > 0) {
        uint64_t word = 0;
        size_t piece = size < sizeof(word) ? size : sizeof(word);
        memcpy(&word, bytes, piece);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
        bytes += piece;
        size -= piece;
    }
    return hash;
}

static void frame_write(struct thread *thread, const struct stamp *stamp, uint8_t *frame)
{
    const struct options *options = thread->generator->options;
    size_t size = options->payload_size;
    uint8_t *key = frame + header_write(frame, FRAME_OPCODE_BINARY, FRAME_MASKED, size);
    uint8_t *payload = key + FRAME_KEY_SIZE;
    memcpy(key, FIXED_MASKING_KEY, FRAME_KEY_SIZE);
    if (options->verify) {
        uint64_t random = random_next(&thread->random_state);
        memcpy(key, &random, FRAME_KEY_SIZE);
    }
    memcpy(payload, stamp, sizeof(*stamp));
    for (size_t i = sizeof(*stamp); i < size; i += sizeof(uint64_t)) {
        uint64_t random = random_next(&thread->random_state);
        memcpy(payload + i, &random, size - i < sizeof(random) ? size - i : sizeof(random));
    }
    uint64_t sum = checksum(payload, size - CHECKSUM_SIZE);
    memcpy(payload + size - CHECKSUM_SIZE, &sum, CHECKSUM_SIZE);
    for (size_t i = 0; i < size; i++) {
        payload[i] ^= key[i & 3];
    }
}

void burst_write(struct thread *thread, struct conn *conn, uint64_t due_ns)
{
    struct generator *generator = thread->generator;
    const struct options *options = generator->options;
    for (uint32_t i = 0; i < options->burst; i++) {
        struct stamp stamp = {.room = conn->room,
                              .publisher = conn->publisher,
                              .number = conn->number++,
                              .due_ns = due_ns};
        frame_write(thread, &stamp, thread->frames + i * generator->frame_size);
    }
}

static void publisher_send(struct thread *thread, struct conn *conn, uint64_t due_ns)
{
    struct generator *generator = thread->generator;
    if (generator->looks) {
        burst_write(thread, conn, due_ns);
    }
    size_t size = generator->frame_size * generator->options->burst;
    ssize_t sent = send(conn->fd, thread->frames, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
        die("send: %m");
    }
    if (sent < 0 || (size_t)sent != size) {
        die("the server does not take what is published: lower --rate or --burst");
    }
}

/* The readers that lack a message. */
static _Atomic uint32_t *message_remaining(const struct generator *generator,
                                           const struct stamp *stamp)
{
    size_t publisher = (size_t)stamp->room * generator->options->publisher_count + stamp->publisher;
    return &generator->remaining[publisher * generator->message_count + stamp->number];
}

static void frame_take(struct thread *thread, struct conn *conn, const uint8_t *frame,
                       uint64_t now_ns)
{
    struct generator *generator = thread->generator;
    const struct options *options = generator->options;
    if (memcmp(frame, generator->reply_header, generator->reply_header_size) != 0) {
        die("a frame of another kind: 0x%02x 0x%02x, expected 0x%02x 0x%02x", frame[0], frame[1],
            generator->reply_header[0], generator->reply_header[1]);
    }
    const uint8_t *payload = frame + generator->reply_header_size;
    struct stamp stamp;
    memcpy(&stamp, payload, sizeof(stamp));
    if (stamp.room != conn->room || stamp.publisher >= options->publisher_count) {
        die("a member of room %u got a message to room %u of publisher %u", conn->room, stamp.room,
            stamp.publisher);
    }
    if (stamp.number != conn->numbers[stamp.publisher]) {
        die("a member of room %u got message %" PRIu64 " of publisher %u instead of %" PRIu64,
            conn->room, stamp.number, stamp.publisher, conn->numbers[stamp.publisher]);
    }
    conn->numbers[stamp.publisher]++;
    if (options->verify) {
        uint64_t sum;
        memcpy(&sum, payload + options->payload_size - CHECKSUM_SIZE, CHECKSUM_SIZE);
        if (sum != checksum(payload, options->payload_size - CHECKSUM_SIZE)) {
            die("message %" PRIu64 " of room %u came with other content", stamp.number, stamp.room);
        }
        conn->order = (conn->order ^ stamp.publisher) * 0x9e3779b97f4a7c15u + stamp.number;
    }
    if (options->rate > 0 && stamp.due_ns >= generator->times_ns) {
        histogram_add(&thread->each, now_ns - stamp.due_ns);
        if (atomic_fetch_sub_explicit(message_remaining(generator, &stamp), 1,
                                      memory_order_relaxed) == 1) {
            histogram_add(&thread->whole, now_ns - stamp.due_ns);
        }
    }
}

/* Frames may be cut anywhere. */
static void bytes_take(struct thread *thread, struct conn *conn, const uint8_t *bytes, size_t size)
{
    size_t frame_size = thread->generator->reply_size;
    uint64_t now_ns = clock_ns();
    if (conn->kept_size > 0) {
        size_t missing = frame_size - conn->kept_size;
        size_t piece = size < missing ? size : missing;
        memcpy(conn->kept + conn->kept_size, bytes, piece);
        conn->kept_size += (uint32_t)piece;
        bytes += piece;
        size -= piece;
        if (conn->kept_size < frame_size) {
            return;
        }
        frame_take(thread, conn, conn->kept, now_ns);
        conn->kept_size = 0;
    }
    while (size >= frame_size) {
        frame_take(thread, conn, bytes, now_ns);
        bytes += frame_size;
        size -= frame_size;
    }
    memcpy(conn->kept, bytes, size);
    conn->kept_size = (uint32_t)size;
}

static void conn_receive(struct thread *thread, struct conn *conn)
{
    ssize_t size;
    do {
        size = recv(conn->fd, thread->recv_bytes, RECV_SIZE, MSG_DONTWAIT);
        thread->recv_calls++;
        if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (size <= 0) {
            errno = size == 0 ? ECONNRESET : errno; /* its end is as bad */
            die("%s of room %u: %m", conn->is_publisher ? "a publisher" : "a member", conn->room);
        }
        if (conn->is_publisher) {
            die("the server sent something to a publisher, which is no member");
        }
        if (thread->generator->looks) {
            bytes_take(thread, conn, thread->recv_bytes, (size_t)size);
        }
        thread->batch_bytes += (uint64_t)size;
    } while (size == RECV_SIZE); /* less is all there was: the next byte is a new edge */
}

/* --- rounds and times ---------------------------------------------------------------------- */

static void threads_wake(const struct generator *generator, const struct thread *but)
{
    for (uint32_t i = 0; i < generator->thread_count; i++) {
        const struct thread *thread = &generator->threads[i];
        const uint64_t one = 1;
        if (thread != but && write(thread->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN) {
            die("eventfd: %m");
        }
    }
}

static void generator_end(struct generator *generator, const struct thread *thread)
{
    atomic_store_explicit(&generator->done, true, memory_order_release);
    threads_wake(generator, thread);
}

/* Let the publishers of all threads send. */
void round_begin(struct generator *generator, const struct thread *thread)
{
    atomic_store_explicit(&generator->pending_bytes, generator->round_bytes, memory_order_relaxed);
    atomic_store_explicit(&generator->round_start_ns, clock_ns(), memory_order_relaxed);
    atomic_fetch_add_explicit(&generator->round, 1, memory_order_release);
    for (uint32_t i = 0; i < generator->thread_count; i++) {
        if (&generator->threads[i] != thread && generator->threads[i].publisher_count > 0) {
            threads_wake(generator, thread);
            break;
        }
    }
}

/* What has been received in this turn of the loop counts. */
static void thread_account(struct thread *thread)
{
    struct generator *generator = thread->generator;
    uint64_t bytes = thread->batch_bytes;
    if (bytes == 0) {
        return;
    }
    thread->batch_bytes = 0;
    uint64_t all = bytes + atomic_fetch_add_explicit(&generator->counter->reply_bytes, bytes,
                                                     memory_order_relaxed);
    if (generator->options->rate > 0) {
        if (all == generator->total_bytes) {
            generator_end(generator, thread);
        }
        return;
    }
    uint64_t pending =
        atomic_fetch_sub_explicit(&generator->pending_bytes, bytes, memory_order_acq_rel);
    if (pending < bytes) {
        die("the server sent more than it owes");
    }
    if (pending > bytes) {
        return;
    }
    uint64_t now_ns = clock_ns();
    histogram_add(&thread->whole,
                  now_ns - atomic_load_explicit(&generator->round_start_ns, memory_order_relaxed));
    if (now_ns >= generator->end_ns) {
        generator_end(generator, thread);
    } else {
        round_begin(generator, thread);
    }
}

/* Send whatever is due. */
static void thread_publish(struct thread *thread)
{
    struct generator *generator = thread->generator;
    if (generator->options->rate > 0) {
        while (thread->bursts_left > 0 && clock_ns() >= thread->due_ns) {
            for (uint32_t i = 0; i < thread->publisher_count; i++) {
                publisher_send(thread, thread->publishers[i], thread->due_ns);
            }
            thread->due_ns += generator->interval_ns;
            thread->bursts_left--;
        }
        return;
    }
    uint64_t round = atomic_load_explicit(&generator->round, memory_order_acquire);
    if (round != thread->round) {
        thread->round = round;
        for (uint32_t i = 0; i < thread->publisher_count; i++) {
            publisher_send(thread, thread->publishers[i], 0);
        }
    }
}

static struct timespec thread_timeout(const struct thread *thread)
{
    uint64_t wait_ns = WAIT_MAX_NS;
    if (thread->bursts_left > 0) {
        uint64_t now_ns = clock_ns();
        uint64_t until_ns = thread->due_ns > now_ns ? thread->due_ns - now_ns : 0;
        wait_ns = until_ns < wait_ns ? until_ns : wait_ns;
    }
    return (struct timespec){.tv_nsec = (long)wait_ns};
}

static void thread_bind(const struct thread *thread)
{
    const struct options *options = thread->generator->options;
    if (options->cpu_count == 0) {
        return;
    }
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(options->cpus[thread->index], &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0) {
        die("CPU %u: %m", options->cpus[thread->index]);
    }
}

/* A run that has an end must not hang: nothing has come for a long time. Runs without end may be
 * stopped for as long as bench/run likes. */
static void progress_check(const struct generator *generator, uint64_t *bytes, uint64_t *since_ns)
{
    uint64_t now = atomic_load_explicit(&generator->counter->reply_bytes, memory_order_relaxed);
    uint64_t now_ns = clock_ns();
    if (now != *bytes) {
        *bytes = now;
        *since_ns = now_ns;
    } else if (generator->options->seconds > 0 && now_ns - *since_ns > SILENCE_MAX_NS) {
        if (generator->options->rate > 0) {
            die("nothing has come for a while: %" PRIu64 " of %" PRIu64 " bytes are missing",
                generator->total_bytes - now, generator->total_bytes);
        }
        die("nothing has come for a while: %" PRIu64 " of %" PRIu64 " bytes of a round are missing",
            atomic_load_explicit(&generator->pending_bytes, memory_order_relaxed),
            generator->round_bytes);
    }
}

void *thread_run(void *argument)
{
    struct thread *thread = argument;
    struct generator *generator = thread->generator;
    uint64_t seen_bytes = 0;
    uint64_t seen_ns = clock_ns();
    thread_bind(thread);
    while (!atomic_load_explicit(&generator->done, memory_order_acquire)) {
        thread_publish(thread);
        struct epoll_event events[EVENT_COUNT];
        struct timespec timeout = thread_timeout(thread);
        int count = epoll_pwait2(thread->epoll_fd, events, EVENT_COUNT, &timeout, NULL);
        if (count < 0 && errno != EINTR) { /* EINTR: also after SIGSTOP and SIGCONT, signal(7) */
            die("epoll_pwait2: %m");
        }
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr != NULL) { /* a wake has no more to say, and counts on */
                conn_receive(thread, events[i].data.ptr);
            }
            if (generator->options->rate > 0) {
                thread_publish(thread);
            }
        }
        thread_account(thread);
        if (count <= 0 && thread->index == 0) {
            progress_check(generator, &seen_bytes, &seen_ns);
        }
    }
    return NULL;
}
