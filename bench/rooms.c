/* SPDX-License-Identifier: MIT */
/* What rooms cost when there are many: a million memberships of WebSockets over loopback, in rooms
 * of 10, and in rooms of 1000 for the price of a membership without its room. Beside that fewer
 * rooms of 10: ten, and as many as give each connection one.
 *
 *   bench-rooms --cores 0 --client 1
 *
 * One process: a server, whose calls are made and timed on its cores by gyr_post, and a thread on
 * the CPU of --client that reads what comes. Sending is not timed, the calls alone are.
 *
 *   join, leave  calls per second: every connection joins all of its rooms, one after the other
 *   heap         of the cores' budgeted heaps (gyr_stats) per membership, rooms included
 *   resident     of the process (smaps_rollup), the same
 *   publish      64 B to a room of ten: nanoseconds of a call, with the ten queueings that it ends
 *                with; to the same ten rooms in turn, and to any room
 *
 * Every message that is published has to come at every member. With several cores publishes are
 * those of the first, and joins of one follow those of the other. */
#include "bench/client.h"

#include <gyr/gyr.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONN_COUNT          5000 /* twice as many descriptors */
#define ROOMS_PER_CONN      200
#define MEMBERSHIP_COUNT    (CONN_COUNT * ROOMS_PER_CONN)
#define STEP                61803 /* shares no factor with numbers of rooms: they spread */
#define PUBLISH_COUNT       200000
#define PUBLISH_BATCH       64 /* calls of a post; then the core sends */
#define PAYLOAD_SIZE        64
#define FRAME_SIZE          (2 + PAYLOAD_SIZE)
#define FEW_ROOMS           10
#define EVENT_COUNT         512
#define RECV_SIZE           (256u << 10)
#define SILENCE_NS          UINT64_C(10000000000)
#define PUBLISH_MEMBERS_MAX 10 /* larger rooms: their publishes are not measured */

struct member {
    struct gyr_conn *conn;
    unsigned core_index;
};

struct bench {
    struct gyr_server *server; /* owned, while a case is measured */
    const char *cores;
    int client_cpu; /* below 0: any */
    int epoll_fd;
    pthread_t reader;
    int fds[CONN_COUNT];
    struct member members[CONN_COUNT]; /* written on the cores, read behind `opened` */
    _Atomic uint32_t places;           /* taken of `members` */
    _Atomic uint32_t opened;           /* released by on_open, acquired by members_open */
    _Atomic uint64_t received;         /* bytes; by the reader, read by anyone */
    _Atomic bool reader_stops;
    uint64_t expected; /* bytes */
    sem_t done;        /* of a task */
};

struct scale {
    uint32_t conn_count; /* that join */
    uint32_t rooms_per_conn;
    uint32_t room_count;
};

/* A piece of work for one core. */
struct task {
    struct bench *bench;
    const struct scale *scale;
    uint32_t first; /* of the connections, or of the publishes */
    uint32_t count; /* of publishes; out: that were not refused */
    bool anywhere;  /* publish to any room, not to FEW_ROOMS of them */
    uint64_t ns;    /* out */
};

/* Of a call; 0: not measured. */
struct publish_ns {
    double few; /* to FEW_ROOMS rooms in turn */
    double any; /* to any room */
};

struct memory {
    uint64_t heap;
    uint64_t resident;
};

static void options_parse(struct bench *bench, int argc, char **argv);
static void server_begin(struct bench *bench);
static void server_end(struct bench *bench);
static struct publish_ns scale_measure(struct bench *bench, const struct scale *scale);

int main(int argc, char **argv)
{
    static struct bench bench = {.cores = "0", .client_cpu = -1};
    static const struct scale many = {CONN_COUNT, ROOMS_PER_CONN, MEMBERSHIP_COUNT / 10};
    static const struct scale large = {CONN_COUNT, ROOMS_PER_CONN, MEMBERSHIP_COUNT / 1000};
    static const struct scale some = {CONN_COUNT, 1, CONN_COUNT / 10};
    static const struct scale few = {FEW_ROOMS * 10, 1, FEW_ROOMS};
    options_parse(&bench, argc, argv);
    (void)printf("%d connections, cores %s\n", CONN_COUNT, bench.cores);

    (void)scale_measure(&bench, &large);
    struct publish_ns few_ns = scale_measure(&bench, &few);
    struct publish_ns some_ns = scale_measure(&bench, &some);
    struct publish_ns many_ns = scale_measure(&bench, &many);
    (void)printf("publish to ten rooms: with %u rooms / with %u: %.2f\n", many.room_count,
                 few.room_count, many_ns.few / few_ns.few);
    (void)printf("publish to any room, all connections: with %u rooms / with %u: %.2f\n",
                 many.room_count, some.room_count, many_ns.any / some_ns.any);
    return 0;
}

static void options_parse(struct bench *bench, int argc, char **argv)
{
    static const struct option table[] = {
        {"cores", required_argument, NULL, 'c'},
        {"client", required_argument, NULL, 'p'},
        {NULL, 0, NULL, 0},
    };
    int letter;
    while ((letter = getopt_long(argc, argv, "", table, NULL)) == 'c' || letter == 'p') {
        if (letter == 'c') {
            bench->cores = optarg;
        } else {
            bench->client_cpu = (int)number_parse(optarg, 0, CPU_SETSIZE - 1);
        }
    }
    if (letter != -1 || optind != argc) {
        die("usage: bench-rooms [--cores LIST] [--client CPU]");
    }
}

static void thread_bind(const struct bench *bench)
{
    if (bench->client_cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((unsigned)bench->client_cpu, &set);
        if (sched_setaffinity(0, sizeof(set), &set) != 0) {
            die("CPU %d: %m", bench->client_cpu);
        }
    }
}

/* --- the server and its clients ------------------------------------------------------------ */

static int on_open(struct gyr_conn *conn)
{
    struct gyr_core *core = gyr_conn_core(conn);
    struct bench *bench = gyr_server_user(gyr_core_server(core));
    uint32_t index = atomic_fetch_add_explicit(&bench->places, 1, memory_order_relaxed);
    bench->members[index] = (struct member){conn, gyr_core_index(core)};
    (void)atomic_fetch_add_explicit(&bench->opened, 1, memory_order_release);
    return 0;
}

static void *reader_run(void *argument)
{
    struct bench *bench = argument;
    uint8_t *bytes = take_memory(1, RECV_SIZE);
    thread_bind(bench);
    while (!atomic_load_explicit(&bench->reader_stops, memory_order_relaxed)) {
        struct epoll_event events[EVENT_COUNT];
        uint64_t received = 0;
        int count = epoll_wait(bench->epoll_fd, events, EVENT_COUNT, 100);
        for (int i = 0; i < count; i++) {
            ssize_t size;
            do {
                size = recv(events[i].data.fd, bytes, RECV_SIZE, MSG_DONTWAIT);
                received += size > 0 ? (uint64_t)size : 0;
            } while (size == RECV_SIZE);
            if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) {
                die("a connection was lost");
            }
        }
        (void)atomic_fetch_add_explicit(&bench->received, received, memory_order_relaxed);
    }
    free(bytes);
    return NULL;
}

static void wait_a_moment(void)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    (void)nanosleep(&moment, NULL);
}

/* Until everything that was published has come. */
static void received_await(struct bench *bench)
{
    uint64_t since_ns = clock_ns();
    uint64_t last = 0;
    for (;;) {
        uint64_t now = atomic_load_explicit(&bench->received, memory_order_relaxed);
        if (now == bench->expected) {
            return;
        }
        if (now != last) {
            last = now;
            since_ns = clock_ns();
        } else if (clock_ns() - since_ns > SILENCE_NS) {
            die("%" PRIu64 " bytes came, and %" PRIu64 " were published", now, bench->expected);
        }
        wait_a_moment();
    }
}

static void members_open(struct bench *bench)
{
    char text[64];
    struct sockaddr_in address = {0};
    if (!gyr_server_address(bench->server, 0, text, sizeof(text))) {
        die("the server does not listen");
    }
    client_address_parse(&address, text);
    bench->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (uint32_t i = 0; i < CONN_COUNT; i++) {
        uint8_t rest[HANDSHAKE_SIZE];
        bench->fds[i] = client_connect(&address, false);
        if (client_upgrade(bench->fds[i], &address, "/", rest) != 0) {
            die("the server sent something behind its answer to the handshake");
        }
        struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data = {.fd = bench->fds[i]}};
        if (epoll_ctl(bench->epoll_fd, EPOLL_CTL_ADD, bench->fds[i], &event) != 0) {
            die("epoll: %m");
        }
    }
    while (atomic_load_explicit(&bench->opened, memory_order_acquire) < CONN_COUNT) {
        wait_a_moment();
    }
    int err = pthread_create(&bench->reader, NULL, reader_run, bench);
    if (err != 0) {
        errno = err;
        die("pthread_create: %m");
    }
}

static void server_begin(struct bench *bench)
{
    struct gyr_error error;
    struct gyr_config config = gyr_config_default();
    const struct gyr_service service = {.size = sizeof(service), .user = bench, .on_open = on_open};
    config.heartbeat_interval_ms = 0; /* the clients never say anything */
    config.pin = 1;
    if (gyr_config_set(&config, "cores", bench->cores, &error) != 0 ||
        gyr_server_create(&config, &service, &bench->server, &error) != 0 ||
        gyr_server_listen(bench->server, "127.0.0.1:0", &error) != 0 ||
        gyr_server_start(bench->server, &error) != 0) {
        die("%s", error.text);
    }
    atomic_store_explicit(&bench->places, 0, memory_order_relaxed);
    atomic_store_explicit(&bench->opened, 0, memory_order_relaxed);
    atomic_store_explicit(&bench->received, 0, memory_order_relaxed);
    atomic_store_explicit(&bench->reader_stops, false, memory_order_relaxed);
    bench->expected = 0;
    if (sem_init(&bench->done, 0, 0) != 0) {
        die("sem_init: %m");
    }
    members_open(bench);
}

static void server_end(struct bench *bench)
{
    atomic_store_explicit(&bench->reader_stops, true, memory_order_relaxed);
    (void)pthread_join(bench->reader, NULL);
    for (uint32_t i = 0; i < CONN_COUNT; i++) {
        (void)close(bench->fds[i]);
    }
    (void)close(bench->epoll_fd);
    gyr_server_stop(bench->server);
    gyr_server_wait(bench->server);
    gyr_server_destroy(bench->server);
    (void)sem_destroy(&bench->done);
}

/* --- the calls ----------------------------------------------------------------------------- */

/* The room of a membership: each has equally many, and those of a connection differ. */
static struct gyr_span room_name(const struct scale *scale, uint32_t membership, char text[32])
{
    uint32_t room = (uint32_t)((uint64_t)membership * STEP % scale->room_count);
    int size = snprintf(text, 32, "rooms/of/bench/%06u", room);
    return (struct gyr_span){text, (size_t)size};
}

static void names_make(const struct task *task, uint32_t first, char texts[][32],
                       struct gyr_span *names)
{
    for (uint32_t i = 0; i < task->scale->rooms_per_conn; i++) {
        names[i] = room_name(task->scale, first + i, texts[i]);
    }
}

/* Those that join are spread over all, so that as few of them share a page as in the large case. */
static const struct member *member_of(const struct task *task)
{
    return &task->bench->members[task->first * (CONN_COUNT / task->scale->conn_count)];
}

static void task_join(struct gyr_core *core, void *argument)
{
    (void)core;
    struct task *task = argument;
    struct gyr_conn *conn = member_of(task)->conn;
    char texts[ROOMS_PER_CONN][32];
    struct gyr_span names[ROOMS_PER_CONN];
    names_make(task, task->first * task->scale->rooms_per_conn, texts, names);
    uint64_t start_ns = clock_ns();
    for (uint32_t i = 0; i < task->scale->rooms_per_conn; i++) {
        int err = gyr_join(conn, names[i]);
        if (err != 0) {
            die("join: %s", gyr_strerror(err));
        }
    }
    task->ns = clock_ns() - start_ns;
    (void)sem_post(&task->bench->done);
}

static void task_leave(struct gyr_core *core, void *argument)
{
    (void)core;
    struct task *task = argument;
    struct gyr_conn *conn = member_of(task)->conn;
    char texts[ROOMS_PER_CONN][32];
    struct gyr_span names[ROOMS_PER_CONN];
    names_make(task, task->first * task->scale->rooms_per_conn, texts, names);
    uint64_t start_ns = clock_ns();
    for (uint32_t i = 0; i < task->scale->rooms_per_conn; i++) {
        gyr_leave(conn, names[i]);
    }
    task->ns = clock_ns() - start_ns;
    (void)sem_post(&task->bench->done);
}

static void task_publish(struct gyr_core *core, void *argument)
{
    struct task *task = argument;
    static const char payload[PAYLOAD_SIZE] = {0};
    char texts[PUBLISH_BATCH][32];
    struct gyr_span names[PUBLISH_BATCH];
    uint64_t random_state = 0x9e3779b97f4a7c15u + task->first;
    for (uint32_t i = 0; i < task->count; i++) {
        uint64_t membership = task->anywhere ? random_next(&random_state) : task->first + i;
        uint32_t limit = task->anywhere ? task->scale->room_count : FEW_ROOMS;
        names[i] = room_name(task->scale, (uint32_t)(membership % limit), texts[i]);
    }
    uint64_t start_ns = clock_ns();
    uint32_t count = 0;
    int err = 0;
    while (count < task->count && err == 0) {
        err = gyr_publish(core, names[count], GYR_BINARY, (struct gyr_span){payload, PAYLOAD_SIZE});
        count += err == 0 ? 1 : 0;
    }
    task->ns = clock_ns() - start_ns;
    if (err != 0 && err != GYR_ERR_BACKPRESSURE) { /* that: the other cores are behind */
        die("publish: %s", gyr_strerror(err));
    }
    task->count = count;
    (void)sem_post(&task->bench->done);
}

static void task_run(struct task *task, unsigned core_index,
                     void (*run)(struct gyr_core *core, void *argument))
{
    int err = gyr_post(task->bench->server, core_index, run, task);
    if (err != 0) {
        die("post: %s", gyr_strerror(err));
    }
    while (sem_wait(&task->bench->done) != 0) {
    }
}

/* --- what they cost ------------------------------------------------------------------------ */

/* Each connection in its turn; returns calls per second. */
static double members_rate(struct bench *bench, const struct scale *scale,
                           void (*run)(struct gyr_core *core, void *argument))
{
    uint64_t ns = 0;
    for (uint32_t i = 0; i < scale->conn_count; i++) {
        struct task task = {.bench = bench, .scale = scale, .first = i};
        task_run(&task, member_of(&task)->core_index, run);
        ns += task.ns;
    }
    return (double)scale->conn_count * scale->rooms_per_conn * 1e9 / (double)ns;
}

/* Returns nanoseconds of a call. */
static double publish_measure(struct bench *bench, const struct scale *scale, bool anywhere)
{
    uint64_t members = (uint64_t)scale->conn_count * scale->rooms_per_conn / scale->room_count;
    uint64_t ns = 0;
    for (uint32_t i = 0; i < PUBLISH_COUNT;) {
        struct task task = {.bench = bench,
                            .scale = scale,
                            .first = i,
                            .count = PUBLISH_BATCH,
                            .anywhere = anywhere};
        task_run(&task, 0, task_publish);
        bench->expected += task.count * members * FRAME_SIZE;
        i += task.count;
        ns += task.ns;
        received_await(bench);
    }
    return (double)ns / PUBLISH_COUNT;
}

static struct memory memory_used(const struct bench *bench)
{
    struct gyr_stats stats;
    gyr_server_stats(bench->server, UINT_MAX, &stats, sizeof(stats));
    struct memory memory = {.heap = stats.heap_bytes};
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    char line[256];
    while (file != NULL && memory.resident == 0 && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "Rss:", 4) == 0) {
            memory.resident = strtoull(line + 4, NULL, 10) * 1024;
        }
    }
    if (memory.resident == 0) {
        die("/proc/self/smaps_rollup: %m");
    }
    (void)fclose(file);
    return memory;
}

static struct publish_ns scale_measure(struct bench *bench, const struct scale *scale)
{
    double count = (double)scale->conn_count * scale->rooms_per_conn;
    server_begin(bench);
    struct memory before = memory_used(bench);
    double joins = members_rate(bench, scale, task_join);
    struct memory after = memory_used(bench);
    if (scale->conn_count == CONN_COUNT) { /* fewer say nothing about rates */
        (void)printf(
            "%u rooms of %.0f: join %.2f M/s; per membership heap %.1f B, resident %.1f B\n",
            scale->room_count, count / scale->room_count, joins / 1e6,
            ((double)after.heap - (double)before.heap) / count,
            ((double)after.resident - (double)before.resident) / count);
    }

    struct publish_ns publish = {0};
    if (count / scale->room_count <= PUBLISH_MEMBERS_MAX) {
        publish.few = publish_measure(bench, scale, false);
        publish.any = publish_measure(bench, scale, true);
        (void)printf("%u rooms of %.0f: publish %.0f ns to ten of them, %.0f ns to any\n",
                     scale->room_count, count / scale->room_count, publish.few, publish.any);
    }
    double leaves = members_rate(bench, scale, task_leave);
    struct gyr_stats stats;
    gyr_server_stats(bench->server, UINT_MAX, &stats, sizeof(stats));
    struct memory end = memory_used(bench);
    if (stats.memberships != 0) {
        die("%" PRIu64 " memberships are left", stats.memberships);
    }
    if (scale->conn_count == CONN_COUNT) {
        (void)printf(
            "%u rooms of %.0f: leave %.2f M/s; heap then %.0f B more than before the joins\n",
            scale->room_count, count / scale->room_count, leaves / 1e6,
            (double)end.heap - (double)before.heap);
    }
    server_end(bench);
    return publish;
}
