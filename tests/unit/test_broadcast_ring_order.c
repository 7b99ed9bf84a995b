/* SPDX-License-Identifier: MIT */
/* The broadcast ring with several at work at once: cores that publish, take, join, leave, bypass
 * and sleep, and other threads that publish. Once as fibers that change at every point of the ring
 * as a seed decides, for many seeds, and once as real threads. Afterwards what each has written
 * down is compared: one order, nothing lost, nothing twice, every join exact, no bypass that the
 * others should have heard, nobody left asleep. */
#include "engine/broadcast_ring.h"

#include "tests/fiber_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>

#define ACTORS_MAX   6
#define STEPS_MAX    1000000u /* of one seed; what is not over then never will be */
#define SEEDS        4000u
#define STALL_S_MAX  60 /* after which a thread that sleeps is said to have been forgotten */
#define YIELD_PERIOD 64 /* a thread gives way at every so-many-th point */

/* Times so many messages; BROADCAST_STRESS=n multiplies. */
#ifdef __SANITIZE_THREAD__
#define STRESS_MESSAGES 20000u
#else
#define STRESS_MESSAGES 10000u
#endif

/* A message as its producer wrote it down. */
struct record {
    uint64_t position;
    uint64_t targets[2];
};

/* As a core took it. */
struct taken {
    uint64_t position;
    const struct record *record;
};

/* From the position of a join up to the cursor at the leave. */
struct stay {
    uint64_t begin;
    uint64_t end;
};

struct actor {
    struct world *world;
    struct fiber *fiber;
    pthread_t thread;
    sem_t woken;
    _Atomic bool is_asleep;    /* set by the core, cleared by who wakes it */
    _Atomic bool is_ring_call; /* it was the ring that has woken it */
    unsigned core;             /* or BROADCAST_NOBODY */
    uint64_t random;
    struct record *records;
    unsigned record_count;
    struct taken *taken;
    unsigned taken_count;
    struct stay *stays;
    unsigned stay_count;
    uint64_t *bypasses; /* cursors at which it has delivered to itself */
    unsigned bypass_count;
    unsigned left; /* still to be published */
    unsigned moves_left;
    uint64_t held_first; /* valid if holds */
    bool holds;
    bool is_joined;
    bool has_work;
    bool waits;
    bool is_blocked; /* a fiber that is_asleep means it */
};

struct world {
    struct broadcast_ring *ring;
    struct broadcast_interest interest;
    struct actor actors[ACTORS_MAX];
    unsigned actor_count;
    unsigned core_count; /* actors that are cores, the first ones */
    unsigned core_stride;
    uint32_t entry_count;
    unsigned messages;
    struct actor *current; /* fibers only */
    uint64_t random;
    unsigned change_period; /* a fiber is changed at about every so-many-th point */
    _Atomic unsigned point_count;
    _Atomic unsigned busy; /* actors that have something to publish */
    _Atomic(const char *) fault;
};

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Any thread: note the first thing that went wrong. */
static void must(struct world *world, bool condition, const char *what)
{
    const char *none = NULL;
    if (!condition) {
        (void)atomic_compare_exchange_strong(&world->fault, &none, what);
    }
}

static bool is_failed(struct world *world)
{
    return atomic_load(&world->fault) != NULL;
}

static void world_point(void *context, enum broadcast_point point)
{
    struct world *world = context;
    (void)point;
    if (world->current == NULL) {
        if (atomic_fetch_add_explicit(&world->point_count, 1, memory_order_relaxed) %
                YIELD_PERIOD ==
            0) {
            (void)sched_yield();
        }
    } else if (random_next(&world->random) % world->change_period == 0) {
        fiber_pause(world->current->fiber);
    }
}

static void actor_wake(struct actor *actor)
{
    if (atomic_exchange(&actor->is_asleep, false) && actor->fiber == NULL) {
        (void)sem_post(&actor->woken);
    }
}

static void world_wake(void *context, unsigned core, unsigned from)
{
    struct world *world = context;
    struct actor *actor = &world->actors[core / world->core_stride];
    (void)from;
    atomic_store(&actor->is_ring_call, true);
    actor_wake(actor);
}

/* ---- what an actor does ---- */

static void actor_give_way(struct actor *actor)
{
    if (actor->fiber != NULL) {
        fiber_pause(actor->fiber);
    } else {
        (void)sched_yield();
    }
}

static void actor_finish_publishing(struct actor *actor)
{
    struct world *world = actor->world;
    if (atomic_fetch_sub(&world->busy, 1) == 1) {
        for (unsigned i = 0; i < world->core_count; i++) {
            actor_wake(&world->actors[i]);
        }
    }
}

static void actor_publish(struct actor *actor)
{
    struct world *world = actor->world;
    if (actor->is_joined && broadcast_may_bypass(world->ring, 0, &world->interest, actor->core)) {
        actor->bypasses[actor->bypass_count++] = broadcast_cursor(world->ring, 0, actor->core);
    } else {
        struct broadcast_claim claim;
        unsigned held_by = 0;
        int err = broadcast_claim(world->ring, 0, actor->core, &world->interest, &claim, &held_by);
        if (err < 0) {
            must(world, err == GYR_ERR_BACKPRESSURE, "a claim fails for want of room only");
            must(world, held_by == BROADCAST_NOBODY || held_by % world->core_stride == 0,
                 "a core that has never joined holds nothing");
            actor->waits = true;
            return;
        }
        struct record *record = &actor->records[actor->record_count++];
        record->position = claim.position;
        record->targets[0] = claim.targets[0];
        record->targets[1] = world->core_stride > 1 ? claim.targets[1] : 0;
        struct broadcast_entry entry = {.item = record, .tag = ~claim.position};
        broadcast_commit(world->ring, &claim, entry);
    }
    actor->left--;
    if (actor->left == 0) {
        actor_finish_publishing(actor);
    }
}

static bool record_is_for(const struct record *record, unsigned core)
{
    return (record->targets[core / BROADCAST_WORD_CORES] >> core % BROADCAST_WORD_CORES & 1) != 0;
}

static enum broadcast_take actor_take(struct actor *actor)
{
    struct world *world = actor->world;
    struct broadcast_entry entry;
    uint64_t position;
    enum broadcast_take found = broadcast_take(world->ring, 0, actor->core, &entry, &position);
    if (found == BROADCAST_ENTRY) {
        const struct record *record = entry.item;
        must(world, entry.tag == ~position && record->position == position,
             "a core finds another entry in the place of its own");
        actor->taken[actor->taken_count++] = (struct taken){position, record};
        actor->held_first = actor->holds ? actor->held_first : position;
        actor->holds = true;
    }
    return found;
}

static void actor_done(struct actor *actor)
{
    struct world *world = actor->world;
    must(world,
         !actor->holds || broadcast_tail(world->ring, 0) - actor->held_first <= world->entry_count,
         "an entry is used again before its target is done with it");
    actor->holds = false;
    broadcast_done(world->ring, 0, actor->core);
}

static void actor_look(struct actor *actor)
{
    struct broadcast_ring *ring = actor->world->ring;
    if (broadcast_has_news(broadcast_bell(ring, actor->core))) {
        uint32_t bits = broadcast_look(ring, actor->core);
        actor->has_work = actor->has_work || (bits & 1) != 0;
        actor->waits = actor->waits && (bits & BROADCAST_ROOM_BIT) == 0;
    }
    if (actor->has_work) {
        unsigned budget = (unsigned)(random_next(&actor->random) % 4 + 1);
        enum broadcast_take found = BROADCAST_ENTRY;
        while (budget-- > 0 && found == BROADCAST_ENTRY) {
            found = actor_take(actor);
        }
        actor->has_work = found == BROADCAST_ENTRY;
        if (found != BROADCAST_ENTRY || random_next(&actor->random) % 2 == 0) {
            actor_done(actor);
        }
    }
}

static void actor_move(struct actor *actor)
{
    struct world *world = actor->world;
    struct stay *stay = &actor->stays[actor->stay_count];
    if (actor->is_joined) {
        stay->end = broadcast_cursor(world->ring, 0, actor->core);
        actor->stay_count++;
        broadcast_leave(world->ring, &world->interest, actor->core);
    } else {
        stay->begin = broadcast_join(world->ring, 0, &world->interest, actor->core);
        must(world, broadcast_cursor(world->ring, 0, actor->core) <= stay->begin,
             "a cursor is behind the tail");
    }
    actor->is_joined = !actor->is_joined;
}

/* Like a core's loop: say that we sleep, then look at the bell once more. */
static void actor_sleep(struct actor *actor)
{
    struct world *world = actor->world;
    const _Atomic uint32_t *bell = broadcast_bell(world->ring, actor->core);
    atomic_store(&actor->is_ring_call, false);
    atomic_store(&actor->is_asleep, true);
    world_point(world, BROADCAST_AT_LOOK);
    if (broadcast_has_news(bell) || atomic_load(&world->busy) == 0) {
        if (!atomic_exchange(&actor->is_asleep, false) && actor->fiber == NULL) {
            (void)sem_wait(&actor->woken); /* its post is on the way */
        }
        return;
    }
    if (actor->fiber != NULL) {
        actor->is_blocked = true; /* so it is not chosen before it is woken */
        fiber_pause(actor->fiber);
        actor->is_blocked = false;
    } else {
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += STALL_S_MAX;
        must(world, sem_timedwait(&actor->woken, &until) == 0, "a core is not woken");
    }
    /* Woken since all is over. Who has rung for lane 0 and found the bell empty has woken us before
     * that. */
    must(world, atomic_load(&actor->is_ring_call) || atomic_load(bell) != 1,
         "a bell has rung, and its core was not woken");
}

static void core_run(void *arg)
{
    struct actor *actor = arg;
    struct world *world = actor->world;
    while (atomic_load(&world->busy) != 0 && !is_failed(world)) {
        unsigned choice = (unsigned)(random_next(&actor->random) % 16);
        if (choice < 6 && actor->left > 0 && !actor->waits) {
            actor_publish(actor);
        } else if (choice == 6 && actor->moves_left > 0) {
            actor->moves_left--;
            actor_move(actor);
        } else {
            actor_look(actor);
        }
        if ((actor->left == 0 || actor->waits) && !actor->has_work) {
            actor_done(actor);
            actor_sleep(actor);
        }
    }
    /* All have published and rung, so what the bell does not tell of must not be there. */
    const _Atomic uint32_t *bell = broadcast_bell(world->ring, actor->core);
    bool is_told = actor->has_work || broadcast_has_news(bell);
    enum broadcast_take found = actor_take(actor);
    must(world, is_told || found != BROADCAST_ENTRY, "a bell did not ring");
    while (found == BROADCAST_ENTRY) {
        found = actor_take(actor);
    }
    must(world, is_failed(world) || found == BROADCAST_NONE, "a hole is left");
    actor_done(actor);
    if (actor->is_joined) {
        actor_move(actor);
    }
}

static void foreign_run(void *arg)
{
    struct actor *actor = arg;
    while (actor->left > 0 && !is_failed(actor->world)) {
        actor_publish(actor);
        if (actor->waits) {
            actor->waits = false;
            actor_give_way(actor);
        }
    }
}

/* ---- the world ---- */

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

/* The caller has set the counts. */
static void world_begin(struct world *world, uint64_t seed)
{
    world->random = seed * 0x9e3779b97f4a7c15u + 1;
    struct broadcast_config config = {
        .core_count = world->core_count * world->core_stride,
        .lane_count = 1,
        .entry_count = world->entry_count,
        .wake = world_wake,
        .point = world_point,
        .context = world,
    };
    world->ring = broadcast_ring_create(&config);
    CU_ASSERT_FATAL(world->ring != NULL);
    atomic_store(&world->busy, world->actor_count);
    size_t total = (size_t)world->messages * world->actor_count;
    for (unsigned i = 0; i < world->actor_count; i++) {
        bool is_core = i < world->core_count;
        struct actor *actor = &world->actors[i];
        actor->world = world;
        actor->core = is_core ? i * world->core_stride : BROADCAST_NOBODY;
        actor->random = random_next(&world->random) | 1;
        actor->left = world->messages;
        actor->records = allocate(world->messages, sizeof(*actor->records));
        actor->taken = allocate(total, sizeof(*actor->taken));
        actor->moves_left = world->messages;
        actor->stays = allocate(world->messages + 1, sizeof(*actor->stays));
        actor->bypasses = allocate(world->messages, sizeof(*actor->bypasses));
        CU_ASSERT_FATAL(sem_init(&actor->woken, 0, 0) == 0);
    }
}

static void world_end(struct world *world)
{
    for (unsigned i = 0; i < world->actor_count; i++) {
        struct actor *actor = &world->actors[i];
        free(actor->records);
        free(actor->taken);
        free(actor->stays);
        free(actor->bypasses);
        (void)sem_destroy(&actor->woken);
    }
    broadcast_ring_destroy(world->ring);
}

static int record_compare(const void *a, const void *b)
{
    uint64_t x = (*(struct record *const *)a)->position;
    uint64_t y = (*(struct record *const *)b)->position;
    return (x > y) - (x < y);
}

/* Did this core take what was meant for it, in its order, and was everything meant for it that came
 * while it stayed? */
static void judge_core(struct world *world, const struct actor *actor, struct record **records,
                       uint64_t count)
{
    unsigned taken = 0;
    unsigned stay = 0;
    for (uint64_t i = 0; i < count; i++) {
        bool is_ours = record_is_for(records[i], actor->core);
        while (stay < actor->stay_count && actor->stays[stay].end <= i) {
            stay++;
        }
        must(world, is_ours || stay == actor->stay_count || actor->stays[stay].begin > i,
             "a join misses an entry");
        if (is_ours) {
            must(world, taken < actor->taken_count && actor->taken[taken].record == records[i],
                 "an entry is lost, or out of order");
            taken++;
        }
    }
    must(world, taken == actor->taken_count, "an entry comes twice");
}

/* A core that delivers to itself alone where another one stays makes that one miss it. */
static void judge_bypasses(struct world *world, const struct actor *actor)
{
    for (unsigned i = 0; i < actor->bypass_count; i++) {
        uint64_t at = actor->bypasses[i];
        for (unsigned k = 0; k < world->core_count; k++) {
            const struct actor *other = &world->actors[k];
            for (unsigned n = 0; n < other->stay_count && other != actor; n++) {
                must(world, at <= other->stays[n].begin || at >= other->stays[n].end,
                     "a bypass that somebody else should have heard");
            }
        }
    }
}

static void world_judge(struct world *world)
{
    uint64_t tail = broadcast_tail(world->ring, 0);
    struct record **records = allocate((size_t)tail + 1, sizeof(struct record *));
    uint64_t count = 0;
    for (unsigned i = 0; i < world->actor_count; i++) {
        const struct actor *actor = &world->actors[i];
        must(world, actor->left == 0, "somebody could not publish");
        for (unsigned k = 0; k < actor->record_count && count < tail; k++) {
            must(world, k == 0 || actor->records[k].position > actor->records[k - 1].position,
                 "a producer's entries are out of order");
            records[count++] = &actor->records[k];
        }
    }
    qsort(records, count, sizeof(records[0]), record_compare);
    must(world, count == tail, "a position for each entry");
    for (uint64_t i = 0; i < count; i++) {
        must(world, records[i]->position == i, "a position was given to two");
    }
    for (unsigned i = 0; i < world->core_count && !is_failed(world); i++) {
        judge_core(world, &world->actors[i], records, count);
        judge_bypasses(world, &world->actors[i]);
    }
    free(records);
}

/* ---- fibers ---- */

/* One who can go on, by chance; NULL if all have ended or sleep. */
static struct actor *world_choose(struct world *world, bool *is_over)
{
    struct actor *ready[ACTORS_MAX];
    unsigned count = 0;
    *is_over = true;
    for (unsigned i = 0; i < world->actor_count; i++) {
        struct actor *actor = &world->actors[i];
        bool has_ended = fiber_has_ended(actor->fiber);
        *is_over = *is_over && has_ended;
        if (!has_ended && !(actor->is_blocked && atomic_load(&actor->is_asleep))) {
            ready[count++] = actor;
        }
    }
    return count == 0 ? NULL : ready[random_next(&world->random) % count];
}

static void world_run_fibers(struct world *world)
{
    for (unsigned i = 0; i < world->actor_count; i++) {
        world->actors[i].fiber =
            fiber_create(i < world->core_count ? core_run : foreign_run, &world->actors[i]);
    }
    bool is_over = false;
    for (unsigned steps = 0; !is_over; steps++) {
        world->current = world_choose(world, &is_over);
        if (steps > STEPS_MAX || (world->current == NULL && !is_over)) {
            /* Fibers that have not ended cannot be given back: say so, and leave them. */
            must(world, false, "those who could go on do not exist, or do so for ever");
            return;
        }
        if (!is_over) {
            fiber_resume(world->current->fiber);
        }
    }
    world->current = NULL;
    for (unsigned i = 0; i < world->actor_count; i++) {
        fiber_destroy(world->actors[i].fiber);
    }
}

/* 0, or the seed that failed. */
static uint64_t run_seeds(uint64_t first, unsigned count, unsigned core_stride)
{
    uint64_t entries = 0;
    uint64_t bypasses = 0;
    for (uint64_t seed = first; seed < first + count; seed++) {
        uint64_t random = seed * 0x2545f4914f6cdd1du + 99;
        struct world world = {
            .core_count = 1 + (unsigned)(random_next(&random) % 3),
            .core_stride = core_stride,
            .entry_count = 2u << random_next(&random) % 3,
            .messages = 5 + (unsigned)(random_next(&random) % 20),
            .change_period = 1u << random_next(&random) % 4,
        };
        world.actor_count = world.core_count + (unsigned)(random_next(&random) % 3);
        world_begin(&world, seed);
        world_run_fibers(&world);
        if (!is_failed(&world)) {
            world_judge(&world);
        }
        entries += broadcast_tail(world.ring, 0);
        bypasses += world.actors[0].bypass_count;
        const char *fault = atomic_load(&world.fault);
        if (fault != NULL) {
            printf("    seed %llu: %s\n", (unsigned long long)seed, fault);
            return seed;
        }
        world_end(&world);
    }
    EXPECT(entries > count && bypasses > 0, "both ways were gone");
    return 0;
}

void broadcast_ring_keeps_its_promises_in_every_interleaving_tried(void)
{
    EXPECT_INT(run_seeds(1, SEEDS, 1), 0, "the seed that failed");
}

void broadcast_ring_keeps_its_promises_when_cores_are_of_several_words(void)
{
    EXPECT_INT(run_seeds(1, SEEDS, 31), 0, "the seed that failed"); /* cores 0, 31, 62 */
}

/* ---- threads ---- */

static void *thread_run(void *arg)
{
    struct actor *actor = arg;
    (actor->core == BROADCAST_NOBODY ? foreign_run : core_run)(actor);
    return NULL;
}

static void run_threads(unsigned core_stride, uint32_t entry_count)
{
    const char *factor = getenv("BROADCAST_STRESS"); /* NOLINT(concurrency-mt-unsafe): one thread */
    struct world world = {
        .core_count = 3,
        .core_stride = core_stride,
        .actor_count = 5,
        .entry_count = entry_count,
        .messages = STRESS_MESSAGES * (factor == NULL ? 1 : (unsigned)strtoul(factor, NULL, 10)),
    };
    world_begin(&world, entry_count);
    for (unsigned i = 0; i < world.actor_count; i++) {
        struct actor *actor = &world.actors[i];
        CU_ASSERT_FATAL(pthread_create(&actor->thread, NULL, thread_run, actor) == 0);
    }
    for (unsigned i = 0; i < world.actor_count; i++) {
        (void)pthread_join(world.actors[i].thread, NULL);
    }
    if (!is_failed(&world)) {
        world_judge(&world);
    }
    const char *fault = atomic_load(&world.fault);
    EXPECT(fault == NULL, fault == NULL ? "" : fault);
    world_end(&world);
}

void broadcast_ring_keeps_its_promises_to_many_threads(void)
{
    run_threads(1, 64);
}

void broadcast_ring_keeps_its_promises_to_many_threads_that_want_room(void)
{
    run_threads(1, 2);
    run_threads(31, 4);
}
