/* SPDX-License-Identifier: MIT */
/* Load generator for fan-out: subscribers on /sub/ROOM, publishers on /pub/ROOM; whatever a
 * publisher sends, the server publishes to the room. bench/run starts one per server; by hand:
 *
 *   bench-fangen --connect 127.0.0.1:9001 --subscribers 1000 --size 64 --seconds 5
 *
 * Closed loop, the default: in a round every publisher sends a burst in one send(2), and when all
 * subscribers of all rooms have all of it, the next round begins. Frames are masked once, before
 * the start, and what comes is counted by bytes and not looked at. `whole` is the time of a round.
 *
 * Open loop, --rate: every publisher sends a burst at fixed times, whatever is still on its way.
 * `each` is the time from when a message should have been sent to each subscriber that reads it,
 * `whole` to the last of them; a generator or a server that is late makes these times longer, so
 * they need no further correction for coordinated omission. The first second is not timed.
 *
 * With --rate and with --verify every message has its room, publisher, number and time in it, and
 * every subscriber must get each number once and in order. --verify also compares a checksum of the
 * content, and at the end that all members of a room have seen the messages of all its publishers
 * in one order.
 *
 * Of the subscribers, --stalled PERMILLE never read, and nobody waits for them.
 *
 * With --cpus there is a thread for each CPU named, bound to it, with the connections that live
 * on the server's core of the same index: subscriber i on core i modulo their number, and publisher
 * p of room r on core r + p modulo it. A connection that asks with ?core is told its core in a text
 * message "core N" before anything else; the kernel chose it, so those that are not wanted are
 * reset and opened anew. One room then has its members on all cores; as many rooms as cores have
 * theirs on one each.
 *
 * RFC 6455 section 5.2. */
#include "bench/fangen.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define SUBSCRIBER_COUNT_MAX 100000
#define ROOM_COUNT_MAX       100000
#define PUBLISHER_COUNT_MAX  64 /* of a room */
#define BURST_MAX            4096
#define PAYLOAD_SIZE_MAX     (1u << 20)
#define BURST_SIZE_MAX       (2u << 20) /* bytes of a burst, which PUBLISHER_SEND_SIZE holds */
#define WARM_UP_S            1
#define MESSAGE_COUNT_MAX    (50u << 20)

static void options_parse(struct options *options, int argc, char **argv);
static void generator_prepare(struct generator *generator);
static void generator_start(struct generator *generator);
static void generator_report(struct generator *generator, uint64_t elapsed_ns);
static void generator_verify(const struct generator *generator);
static void generator_release(struct generator *generator);

int main(int argc, char **argv)
{
    struct options options = {0};
    options_parse(&options, argc, argv);
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }

    struct generator generator = {.options = &options};
    generator_prepare(&generator);
    generator_connect(&generator);
    generator_start(&generator);
    for (uint32_t i = 1; i < generator.thread_count; i++) {
        int err = pthread_create(&generator.threads[i].id, NULL, thread_run, &generator.threads[i]);
        if (err != 0) {
            errno = err;
            die("pthread_create: %m");
        }
    }
    (void)thread_run(&generator.threads[0]);
    uint64_t elapsed_ns = clock_ns() - generator.start_ns;
    for (uint32_t i = 1; i < generator.thread_count; i++) {
        (void)pthread_join(generator.threads[i].id, NULL);
    }
    generator_report(&generator, elapsed_ns);
    if (options.verify) {
        generator_verify(&generator);
    }
    generator_release(&generator);
    return 0;
}

/* --- options ------------------------------------------------------------------------------- */

static _Noreturn void usage(void)
{
    (void)fputs("usage: bench-fangen --connect ADDRESS:PORT [options]\n"
                "  --subscribers N    default 1000\n"
                "  --rooms N          subscriber i is in room i modulo N; default 1\n"
                "  --publishers N     of each room; default 1\n"
                "  --burst N          messages that a publisher sends at once; default 1\n"
                "  --size N           payload bytes of a message; default 64\n"
                "  --rate R           open loop: bursts a second of each publisher\n"
                "  --seconds S        run so long and print figures; default 0: until killed\n"
                "  --stalled PERMILLE of the subscribers never read; default 0\n"
                "  --verify           check content, number and order of every message\n"
                "  --cpus A,B         a thread on each, with what lives on the server's core of\n"
                "                     the same index\n"
                "  --counter FILE     keep counts in this file, which exists, for bench/run\n",
                stderr);
    exit(2);
}

static double positive_parse(const char *text)
{
    char *end = NULL;
    errno = 0;
    double value = strtod(text, &end);
    if (errno != 0 || end == text || *end != '\0' || !(value > 0) || value > 1e6) {
        die("%s: not a number from 0 to 1000000", text);
    }
    return value;
}

static void cpus_parse(struct options *options, char *text)
{
    char *rest = NULL;
    for (char *word = strtok_r(text, ",", &rest); word != NULL; word = strtok_r(NULL, ",", &rest)) {
        if (options->cpu_count == THREAD_COUNT_MAX) {
            die("--cpus: more than %d", THREAD_COUNT_MAX);
        }
        options->cpus[options->cpu_count++] = number_parse(word, 0, CPU_SETSIZE - 1);
    }
}

static void option_take(struct options *options, int letter, char *value)
{
    switch (letter) {
    case 'a':
        client_address_parse(&options->address, value);
        break;
    case 'n':
        options->subscriber_count = number_parse(value, 1, SUBSCRIBER_COUNT_MAX);
        break;
    case 'r':
        options->room_count = number_parse(value, 1, ROOM_COUNT_MAX);
        break;
    case 'p':
        options->publisher_count = number_parse(value, 1, PUBLISHER_COUNT_MAX);
        break;
    case 'b':
        options->burst = number_parse(value, 1, BURST_MAX);
        break;
    case 's':
        options->payload_size = number_parse(value, PAYLOAD_SIZE_MIN, PAYLOAD_SIZE_MAX);
        break;
    case 'R':
        options->rate = positive_parse(value);
        break;
    case 'S':
        options->seconds = positive_parse(value);
        break;
    case 'x':
        options->stalled_permille = number_parse(value, 0, 999);
        break;
    case 'v':
        options->verify = true;
        break;
    case 'c':
        cpus_parse(options, value);
        break;
    case 'C':
        options->counter_path = value;
        break;
    default:
        usage();
    }
}

static void options_parse(struct options *options, int argc, char **argv)
{
    static const struct option table[] = {
        {"connect", required_argument, NULL, 'a'},
        {"subscribers", required_argument, NULL, 'n'},
        {"rooms", required_argument, NULL, 'r'},
        {"publishers", required_argument, NULL, 'p'},
        {"burst", required_argument, NULL, 'b'},
        {"size", required_argument, NULL, 's'},
        {"rate", required_argument, NULL, 'R'},
        {"seconds", required_argument, NULL, 'S'},
        {"stalled", required_argument, NULL, 'x'},
        {"verify", no_argument, NULL, 'v'},
        {"cpus", required_argument, NULL, 'c'},
        {"counter", required_argument, NULL, 'C'},
        {NULL, 0, NULL, 0},
    };
    options->subscriber_count = 1000;
    options->room_count = 1;
    options->publisher_count = 1;
    options->burst = 1;
    options->payload_size = 64;

    for (int letter; (letter = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        option_take(options, letter, optarg);
    }
    if (optind != argc || options->address.sin_port == 0) {
        usage();
    }
    if (options->rate > 0 && options->seconds <= 0) {
        die("--rate needs --seconds");
    }
    if (options->room_count > options->subscriber_count) {
        die("--rooms %u: more than there are subscribers", options->room_count);
    }
}

/* --- preparing ----------------------------------------------------------------------------- */

static void thread_prepare(struct generator *generator, uint32_t index)
{
    const struct options *options = generator->options;
    struct thread *thread = &generator->threads[index];
    thread->generator = generator;
    thread->index = index;
    thread->random_state = 0x9e3779b97f4a7c15u + index;
    thread->recv_bytes = take_memory(1, RECV_SIZE);
    thread->frames = take_memory(options->burst, generator->frame_size);
    thread->publishers = take_memory((size_t)options->room_count * options->publisher_count,
                                     sizeof(thread->publishers[0]));
    thread->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    thread->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data = {.ptr = NULL}};
    if (thread->epoll_fd < 0 || thread->wake_fd < 0 ||
        epoll_ctl(thread->epoll_fd, EPOLL_CTL_ADD, thread->wake_fd, &event) != 0) {
        die("epoll: %m");
    }
}

static void generator_prepare(struct generator *generator)
{
    const struct options *options = generator->options;
    size_t header_size =
        header_write(generator->reply_header, FRAME_OPCODE_BINARY, 0, options->payload_size);
    generator->reply_header_size = header_size;
    generator->reply_size = header_size + options->payload_size;
    generator->frame_size = generator->reply_size + FRAME_KEY_SIZE;
    if (generator->frame_size * options->burst > BURST_SIZE_MAX) {
        die("a burst has more than %u bytes: lower --burst or --size", BURST_SIZE_MAX);
    }
    generator->looks = options->verify || options->rate > 0;
    generator->counter = counter_map(options->counter_path);
    atomic_store_explicit(&generator->counter->reply_size, generator->reply_size,
                          memory_order_relaxed);
    generator->readers = take_memory(options->room_count, sizeof(generator->readers[0]));
    generator->conns = take_memory(options->subscriber_count +
                                       (size_t)options->room_count * options->publisher_count,
                                   sizeof(struct conn));
    generator->thread_count = options->cpu_count == 0 ? 1 : options->cpu_count;
    generator->threads = take_memory(generator->thread_count, sizeof(struct thread));
    for (uint32_t i = 0; i < generator->thread_count; i++) {
        thread_prepare(generator, i);
    }
}

static void generator_start(struct generator *generator)
{
    const struct options *options = generator->options;
    uint64_t deliveries = (uint64_t)generator->reader_count * options->publisher_count;
    generator->round_bytes = deliveries * options->burst * generator->reply_size;
    generator->start_ns = clock_ns();
    generator->end_ns = UINT64_MAX;
    if (options->seconds > 0) {
        generator->end_ns = generator->start_ns + (uint64_t)(options->seconds * 1e9);
    }
    if (options->rate <= 0) {
        if (!generator->looks) { /* all bursts are the same bytes */
            for (uint32_t i = 0; i < generator->thread_count; i++) {
                burst_write(&generator->threads[i], &(struct conn){0}, 0);
            }
        }
        round_begin(generator, &generator->threads[0]);
        return;
    }
    double bursts = options->rate * (options->seconds + WARM_UP_S);
    generator->times_ns = generator->start_ns + WARM_UP_S * UINT64_C(1000000000);
    uint32_t burst_count = bursts < 1 ? 1 : bursts > 1e9 ? 1000000000 : (uint32_t)bursts;
    uint64_t publishers = (uint64_t)options->room_count * options->publisher_count;
    uint64_t messages = publishers * burst_count * options->burst;
    if (messages > MESSAGE_COUNT_MAX) {
        die("more than %u messages: lower --rate or --seconds", MESSAGE_COUNT_MAX);
    }
    generator->interval_ns = (uint64_t)(1e9 / options->rate);
    generator->message_count = burst_count * options->burst;
    generator->total_bytes = generator->round_bytes * burst_count;
    generator->remaining = take_memory(messages, sizeof(generator->remaining[0]));
    for (uint64_t i = 0; i < messages; i++) {
        uint64_t room = i / generator->message_count / options->publisher_count;
        atomic_init(&generator->remaining[i], generator->readers[room]);
    }
    for (uint32_t i = 0; i < generator->thread_count; i++) {
        generator->threads[i].due_ns = generator->start_ns + generator->interval_ns;
        generator->threads[i].bursts_left =
            generator->threads[i].publisher_count > 0 ? burst_count : 0;
    }
}

/* --- results ------------------------------------------------------------------------------- */

/* How many of those that do not read has the server reset or ended, as far as they can know? */
static uint32_t stalled_ended(const struct generator *generator)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < generator->conn_count; i++) {
        const struct conn *conn = &generator->conns[i];
        struct pollfd poll_fd = {.fd = conn->fd, .events = POLLRDHUP};
        if (conn->is_stalled && poll(&poll_fd, 1, 0) > 0) {
            count++;
        }
    }
    return count;
}

static void generator_report(struct generator *generator, uint64_t elapsed_ns)
{
    struct histogram *each = take_memory(1, sizeof(*each));
    struct histogram *whole = take_memory(1, sizeof(*whole));
    uint64_t recv_calls = 0;
    for (uint32_t i = 0; i < generator->thread_count; i++) {
        histogram_merge(each, &generator->threads[i].each);
        histogram_merge(whole, &generator->threads[i].whole);
        recv_calls += generator->threads[i].recv_calls;
    }
    uint64_t bytes = atomic_load_explicit(&generator->counter->reply_bytes, memory_order_relaxed);
    double deliveries = (double)bytes / (double)generator->reply_size;
    (void)printf("%.0f deliveries in %.2f s: %.0f per second; %.1f per receive\n", deliveries,
                 (double)elapsed_ns / 1e9, deliveries * 1e9 / (double)elapsed_ns,
                 deliveries / (double)recv_calls);
    if (generator->options->rate > 0) {
        histogram_print(each, "each");
    }
    histogram_print(whole, "whole");
    if (generator->stalled_count > 0) {
        (void)printf("stalled %u, of which the server has ended %u\n", generator->stalled_count,
                     stalled_ended(generator));
    }
    free(each);
    free(whole);
}

/* Everyone has been checked message by message; what is left is that nobody lacks the end, and the
 * one order of a room. */
static void generator_verify(const struct generator *generator)
{
    const struct options *options = generator->options;
    const struct conn *publishers = generator->conns + options->subscriber_count;
    const struct conn **first = take_memory(options->room_count, sizeof(*first));
    for (uint32_t i = 0; i < options->subscriber_count; i++) {
        const struct conn *conn = &generator->conns[i];
        if (conn->is_stalled) {
            continue;
        }
        if (first[conn->room] == NULL) {
            first[conn->room] = conn;
        }
        if (conn->order != first[conn->room]->order) {
            die("members of room %u got its messages in different orders", conn->room);
        }
        for (uint32_t k = 0; k < options->publisher_count; k++) {
            uint64_t sent = publishers[conn->room * options->publisher_count + k].number;
            if (conn->numbers[k] != sent) {
                die("a member of room %u got %" PRIu64
                    " messages of publisher %u, which sent %" PRIu64,
                    conn->room, conn->numbers[k], k, sent);
            }
        }
    }
    free(first);
    (void)printf("every message verified: content, number and one order for each room\n");
}

static void generator_release(struct generator *generator)
{
    for (uint32_t i = 0; i < generator->conn_count; i++) {
        (void)close(generator->conns[i].fd);
        free(generator->conns[i].kept);
        free(generator->conns[i].numbers);
    }
    for (uint32_t i = 0; i < generator->thread_count; i++) {
        struct thread *thread = &generator->threads[i];
        (void)close(thread->epoll_fd);
        (void)close(thread->wake_fd);
        free(thread->recv_bytes);
        free(thread->frames);
        free(thread->publishers);
    }
    free(generator->threads);
    free(generator->conns);
    free(generator->readers);
    free(generator->remaining);
}
