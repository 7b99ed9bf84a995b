/* SPDX-License-Identifier: MIT */
/* The broadcast ring alone: nanoseconds per entry.
 *
 *   bench-ring [costs | turns | threads]
 *
 * costs    what one thread pays for each call, everything warm
 * turns    one thread is the producer and all of 1, 2 and 8 consumers in turn, entries one by one
 *          and in bursts of 32: what an entry costs all of them together, without the scheduler
 * threads  the producer and each consumer are threads and go as fast as they can; nobody sleeps,
 *          who has nothing to do yields
 *
 * The last two also for a queue under a mutex, with a cursor for each consumer, and for a copy in a
 * mailbox (engine/mailbox.h) of each consumer.
 *
 * Each figure is the best and the middle of several runs. */
#include "engine/ring.h"
#include "engine/broadcast_ring.h"
#include "engine/mailbox.h"

#include <pthread.h>
#include <sched.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RUN_COUNT     9
#define COST_CALLS    2000000u
#define ENTRY_COUNT   1024u
#define MESSAGE_COUNT 200000u
#define CONSUMERS_MAX 8
#define BURST         32u

static uint64_t clock_ns(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        abort();
    }
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int double_compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_runs(const char *name, double runs[RUN_COUNT])
{
    qsort(runs, RUN_COUNT, sizeof(runs[0]), double_compare);
    (void)printf("%-52s %9.2f %9.2f\n", name, runs[0], runs[RUN_COUNT / 2]);
    (void)fflush(stdout);
}

static void check(bool condition, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "bench-ring: %s\n", what);
        exit(1);
    }
}

static void wake_nobody(void *context, unsigned core, unsigned from)
{
    (void)context;
    (void)core;
    (void)from;
}

static struct broadcast_ring *ring_create(unsigned core_count)
{
    struct broadcast_config config = {
        .core_count = core_count,
        .lane_count = 1,
        .entry_count = ENTRY_COUNT,
        .wake = wake_nobody,
    };
    struct broadcast_ring *ring = broadcast_ring_create(&config);
    check(ring != NULL, "no memory");
    return ring;
}

/* ---- what one thread pays ---- */

struct cost {
    struct broadcast_ring *ring;
    struct broadcast_interest interest;
    unsigned core_count;
};

static bool publish(struct broadcast_ring *ring, struct broadcast_interest *interest, uint64_t tag)
{
    struct broadcast_claim claim;
    unsigned held_by;
    if (broadcast_claim(ring, 0, BROADCAST_NOBODY, interest, &claim, &held_by) < 0) {
        return false;
    }
    broadcast_commit(ring, &claim, (struct broadcast_entry){.item = interest, .tag = tag});
    return true;
}

/* Publish half a ring, without the time that its targets take for it. */
static double cost_publish(struct cost *cost)
{
    uint64_t spent_ns = 0;
    unsigned calls = 0;
    while (calls < COST_CALLS) {
        uint64_t start_ns = clock_ns();
        for (unsigned i = 0; i < ENTRY_COUNT / 2; i++) {
            check(publish(cost->ring, &cost->interest, i), "full");
        }
        spent_ns += clock_ns() - start_ns;
        calls += ENTRY_COUNT / 2;
        for (unsigned core = 0; core < cost->core_count; core++) {
            struct broadcast_entry entry;
            uint64_t position;
            (void)broadcast_look(cost->ring, core);
            while (broadcast_take(cost->ring, 0, core, &entry, &position) == BROADCAST_ENTRY) {
            }
            broadcast_done(cost->ring, 0, core);
        }
    }
    return (double)spent_ns / calls;
}

/* Take half a ring, or step over it. */
static double cost_take(struct cost *cost, unsigned core)
{
    uint64_t spent_ns = 0;
    unsigned calls = 0;
    while (calls < COST_CALLS) {
        struct broadcast_entry entry;
        uint64_t position;
        for (unsigned i = 0; i < ENTRY_COUNT / 2; i++) {
            check(publish(cost->ring, &cost->interest, i), "full");
        }
        uint64_t start_ns = clock_ns();
        while (broadcast_take(cost->ring, 0, core, &entry, &position) == BROADCAST_ENTRY) {
        }
        broadcast_done(cost->ring, 0, core);
        spent_ns += clock_ns() - start_ns;
        calls += ENTRY_COUNT / 2;
        while (broadcast_take(cost->ring, 0, 0, &entry, &position) == BROADCAST_ENTRY) {
        }
        broadcast_done(cost->ring, 0, 0);
    }
    return (double)spent_ns / calls;
}

static double cost_bypass(struct cost *cost)
{
    unsigned allowed = 0;
    uint64_t start_ns = clock_ns();
    for (unsigned i = 0; i < COST_CALLS; i++) {
        allowed += broadcast_may_bypass(cost->ring, 0, &cost->interest, 0);
    }
    double spent_ns = (double)(clock_ns() - start_ns);
    check(allowed == COST_CALLS, "not alone");
    return spent_ns / COST_CALLS;
}

static double cost_news(struct cost *cost)
{
    const _Atomic uint32_t *bell = broadcast_bell(cost->ring, 0);
    unsigned news = 0;
    uint64_t start_ns = clock_ns();
    for (unsigned i = 0; i < COST_CALLS; i++) {
        news += broadcast_has_news(bell);
    }
    double spent_ns = (double)(clock_ns() - start_ns);
    check(news == 0, "a bell was rung");
    return spent_ns / COST_CALLS;
}

static double cost_take_own(struct cost *cost)
{
    return cost_take(cost, 0);
}

static double cost_step_over(struct cost *cost)
{
    return cost_take(cost, 1); /* which has not joined */
}

static void cost_print(const char *name, double (*run)(struct cost *cost), unsigned core_count)
{
    double runs[RUN_COUNT];
    for (unsigned i = 0; i < RUN_COUNT; i++) {
        struct cost cost = {.ring = ring_create(core_count + 1), .core_count = core_count};
        for (unsigned core = 0; core < core_count; core++) {
            (void)broadcast_join(cost.ring, 0, &cost.interest, core);
        }
        runs[i] = run(&cost);
        broadcast_ring_destroy(cost.ring);
    }
    print_runs(name, runs);
}

static void costs(void)
{
    cost_print("claim and commit, nobody wants it", cost_publish, 0);
    cost_print("claim and commit, 1 target", cost_publish, 1);
    cost_print("claim and commit, 2 targets", cost_publish, 2);
    cost_print("claim and commit, 8 targets", cost_publish, 8);
    cost_print("take", cost_take_own, 1);
    cost_print("step over an entry for another core", cost_step_over, 1);
    cost_print("may_bypass", cost_bypass, 1);
    cost_print("has_news, none", cost_news, 1);
}

/* ---- turns and threads ---- */

enum kind {
    KIND_RING,
    KIND_MUTEX,
    KIND_MAILBOX,
};

struct consumer {
    alignas(CACHE_LINE) struct race *race;
    pthread_t thread;
    unsigned index;
    uint64_t expected;
    struct mailbox mailbox;
};

/* A queue under a mutex: what all consumers have passed is free. */
struct queue {
    pthread_mutex_t lock;
    struct broadcast_entry entries[ENTRY_COUNT];
    uint64_t tail;
    uint64_t cursors[CONSUMERS_MAX];
};

struct race {
    enum kind kind;
    unsigned consumer_count;
    struct broadcast_ring *ring;
    struct broadcast_interest interest;
    struct queue queue;
    struct consumer consumers[CONSUMERS_MAX];
};

static bool queue_put(struct race *race, uint64_t tag)
{
    struct queue *queue = &race->queue;
    (void)pthread_mutex_lock(&queue->lock);
    bool has_room = true;
    for (unsigned i = 0; i < race->consumer_count; i++) {
        has_room = has_room && queue->tail - queue->cursors[i] < ENTRY_COUNT;
    }
    if (has_room) {
        queue->entries[queue->tail++ % ENTRY_COUNT] =
            (struct broadcast_entry){.item = race, .tag = tag};
    }
    (void)pthread_mutex_unlock(&queue->lock);
    return has_room;
}

static void consumer_get(struct consumer *consumer, uint64_t tag)
{
    check(tag == consumer->expected, "out of order");
    consumer->expected++;
}

static void queue_drain(struct consumer *consumer)
{
    struct queue *queue = &consumer->race->queue;
    struct broadcast_entry entries[BURST];
    (void)pthread_mutex_lock(&queue->lock);
    uint64_t *cursor = &queue->cursors[consumer->index];
    unsigned count = 0;
    while (*cursor < queue->tail && count < BURST) {
        entries[count++] = queue->entries[(*cursor)++ % ENTRY_COUNT];
    }
    (void)pthread_mutex_unlock(&queue->lock);
    for (unsigned i = 0; i < count; i++) {
        consumer_get(consumer, entries[i].tag);
    }
}

static void mail_run(struct core *core, struct mail *mail)
{
    (void)core;
    consumer_get(mail->arg, mail->handle);
}

static bool mailboxes_put(struct race *race, uint64_t tag, unsigned *next)
{
    for (; *next < race->consumer_count; (*next)++) {
        struct consumer *consumer = &race->consumers[*next];
        struct mail mail = {.run = mail_run, .arg = consumer, .handle = tag};
        if (mailbox_put(&consumer->mailbox, &mail, NULL) < 0) {
            return false;
        }
    }
    *next = 0;
    return true;
}

static void ring_drain(struct consumer *consumer)
{
    struct broadcast_ring *ring = consumer->race->ring;
    unsigned core = consumer->index;
    if (!broadcast_has_news(broadcast_bell(ring, core))) {
        return;
    }
    (void)broadcast_look(ring, core);
    struct broadcast_entry entry;
    uint64_t position;
    while (broadcast_take(ring, 0, core, &entry, &position) == BROADCAST_ENTRY) {
        consumer_get(consumer, entry.tag);
        if (consumer->expected % (ENTRY_COUNT / 4) == 0) {
            broadcast_done(ring, 0, core);
        }
    }
    broadcast_done(ring, 0, core);
}

static void consumer_drain(struct consumer *consumer)
{
    switch (consumer->race->kind) {
    case KIND_RING:
        ring_drain(consumer);
        break;
    case KIND_MUTEX:
        queue_drain(consumer);
        break;
    case KIND_MAILBOX:
        (void)mailbox_run(&consumer->mailbox, NULL);
        break;
    }
}

static void *consumer_run(void *arg)
{
    struct consumer *consumer = arg;
    while (consumer->expected < MESSAGE_COUNT) {
        uint64_t before = consumer->expected;
        consumer_drain(consumer);
        if (consumer->expected == before) {
            (void)sched_yield();
        }
    }
    return NULL;
}

static bool race_put(struct race *race, uint64_t tag, unsigned *next)
{
    switch (race->kind) {
    case KIND_RING:
        return publish(race->ring, &race->interest, tag);
    case KIND_MUTEX:
        return queue_put(race, tag);
    case KIND_MAILBOX:
        return mailboxes_put(race, tag, next);
    }
    return false;
}

static struct race *race_create(enum kind kind, unsigned consumer_count)
{
    struct race *race = aligned_alloc(CACHE_LINE, sizeof(*race));
    check(race != NULL, "no memory");
    memset(race, 0, sizeof(*race));
    race->kind = kind;
    race->consumer_count = consumer_count;
    race->ring = ring_create(consumer_count);
    check(pthread_mutex_init(&race->queue.lock, NULL) == 0, "no mutex");
    for (unsigned i = 0; i < consumer_count; i++) {
        race->consumers[i].race = race;
        race->consumers[i].index = i;
        /* It never sleeps, so it is never woken. */
        mailbox_init(&race->consumers[i].mailbox, NULL, ENTRY_COUNT);
        (void)broadcast_join(race->ring, 0, &race->interest, i);
    }
    return race;
}

static void race_destroy(struct race *race)
{
    (void)pthread_mutex_destroy(&race->queue.lock);
    broadcast_ring_destroy(race->ring);
    free(race);
}

static void race_in_turns(struct race *race, unsigned burst)
{
    unsigned next = 0;
    for (uint64_t tag = 0; tag < MESSAGE_COUNT; tag++) {
        check(race_put(race, tag, &next), "full");
        for (unsigned i = 0; i < race->consumer_count && (tag + 1) % burst == 0; i++) {
            consumer_drain(&race->consumers[i]);
        }
    }
}

static void race_in_threads(struct race *race)
{
    for (unsigned i = 0; i < race->consumer_count; i++) {
        struct consumer *consumer = &race->consumers[i];
        check(pthread_create(&consumer->thread, NULL, consumer_run, consumer) == 0, "no thread");
    }
    unsigned next = 0;
    for (uint64_t tag = 0; tag < MESSAGE_COUNT; tag++) {
        while (!race_put(race, tag, &next)) {
            (void)sched_yield();
        }
    }
    for (unsigned i = 0; i < race->consumer_count; i++) {
        (void)pthread_join(race->consumers[i].thread, NULL);
    }
}

/* `burst` is 0 for threads. */
static void race_print(enum kind kind, unsigned consumer_count, unsigned burst)
{
    static const char *const names[] = {"ring", "mutex queue", "mailbox copies"};
    double runs[RUN_COUNT];
    for (unsigned i = 0; i < RUN_COUNT; i++) {
        struct race *race = race_create(kind, consumer_count);
        uint64_t start_ns = clock_ns();
        if (burst == 0) {
            race_in_threads(race);
        } else {
            race_in_turns(race, burst);
        }
        runs[i] = (double)(clock_ns() - start_ns) / MESSAGE_COUNT;
        for (unsigned k = 0; k < consumer_count; k++) {
            check(race->consumers[k].expected == MESSAGE_COUNT, "an entry is lost");
        }
        race_destroy(race);
    }
    char name[80];
    (void)snprintf(name, sizeof(name), "%s, %u consumer%s, %s", burst == 0 ? "threads" : "turns",
                   consumer_count, consumer_count == 1 ? "" : "s", names[kind]);
    if (burst != 0) {
        (void)snprintf(name + strlen(name), sizeof(name) - strlen(name), ", %u at a time", burst);
    }
    print_runs(name, runs);
}

/* The C library's mutex costs nothing while there is but one thread; so there is another one. */
static void *bystander_run(void *arg)
{
    (void)pthread_mutex_lock(arg);
    (void)pthread_mutex_unlock(arg);
    return NULL;
}

static void races(bool in_turns)
{
    static const unsigned counts[] = {1, 2, CONSUMERS_MAX};
    for (unsigned burst = in_turns; burst <= (in_turns ? BURST : 0); burst *= BURST) {
        for (unsigned i = 0; i < COUNT_OF(counts); i++) {
            for (enum kind kind = KIND_RING; kind <= KIND_MAILBOX; kind++) {
                race_print(kind, counts[i], burst);
            }
        }
        if (burst == 0) {
            break;
        }
    }
}

int main(int argc, char **argv)
{
    static const char *const parts[] = {"costs", "turns", "threads"};
    const char *part = argc > 1 ? argv[1] : "";
    bool is_known = argc <= 1;
    for (unsigned i = 0; i < COUNT_OF(parts); i++) {
        is_known = is_known || strcmp(part, parts[i]) == 0;
    }
    if (!is_known) {
        (void)fprintf(stderr,
                      "bench-ring: what is '%s'? usage: bench-ring [costs | turns | threads]\n",
                      part);
        return 2;
    }
    (void)printf("%-52s %9s %9s\n", "ns per call, or per entry", "best", "middle");
    if (argc <= 1 || strcmp(part, "costs") == 0) {
        costs();
    }
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_t bystander;
    (void)pthread_mutex_lock(&gate);
    check(pthread_create(&bystander, NULL, bystander_run, &gate) == 0, "no thread");
    if (argc <= 1 || strcmp(part, "turns") == 0) {
        races(true);
    }
    if (argc <= 1 || strcmp(part, "threads") == 0) {
        races(false);
    }
    (void)pthread_mutex_unlock(&gate);
    (void)pthread_join(bystander, NULL);
    return 0;
}
