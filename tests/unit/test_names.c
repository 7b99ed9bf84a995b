/* SPDX-License-Identifier: MIT */
/* Text ids: each is given once, whole ids are compared, memory is bounded and used again, ids that
 * were chosen to meet, and readers without a lock among writers. */
#include "hub/names.h"

#include "base/siphash.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static const uint8_t secret[16] = "a secret of 16 b";

static struct names *table_create(uint64_t count_max)
{
    struct names *names = NULL;
    if (names_create(secret, count_max, &names) != 0) {
        abort();
    }
    return names;
}

static int add(struct names *names, struct span id, uint64_t handle, struct name **name)
{
    struct gyr_handle holder;
    return names_add(names, id, (struct gyr_handle){handle}, name, &holder);
}

/* The handle that an id leads to; 0: none. */
static uint64_t find(const struct names *names, struct span id)
{
    struct gyr_handle handle;
    return names_find(names, id, &handle) ? handle.id : 0;
}

static uint64_t random_next(uint64_t *random)
{
    *random = *random * 6364136223846793005U + 1442695040888963407U;
    return *random >> 33;
}

void names_gives_an_id_once_and_again_after_its_end(void)
{
    struct names *names = table_create(100);
    struct gyr_handle holder = {0};
    struct name *first;
    struct name *second;
    struct span id = SPAN_LITERAL("alice");
    EXPECT_INT(find(names, id), 0, "nobody has it yet");
    EXPECT_INT(names_add(names, id, (struct gyr_handle){7}, &first, &holder), 0, "given");
    EXPECT_INT(names_add(names, id, (struct gyr_handle){8}, &second, &holder), GYR_ERR_EXISTS,
               "in use");
    EXPECT_INT(holder.id, 7, "by the first");
    EXPECT_INT(names_add(names, id, (struct gyr_handle){7}, &second, &holder), GYR_ERR_EXISTS,
               "for the same one, too");
    EXPECT_INT(find(names, id), 7, "the first stays");
    EXPECT_SPAN(name_id(first), "alice", "its bytes");
    names_remove(names, first);
    EXPECT_INT(find(names, id), 0, "nobody any more");
    EXPECT_INT(add(names, id, 9, &second), 0, "given again");
    EXPECT_INT(find(names, id), 9, "to the other");
    names_remove(names, second);
    EXPECT_INT(names_size(names).count, 0, "all have ended");
    names_destroy(names);
    names_destroy(NULL);
}

/* Every size, in pairs that differ in one byte only, or in a zero at the end; flush against a guard
 * page, and all at once. */
void names_compares_whole_ids(void)
{
    struct names *names = table_create(1);
    struct name *given[GYR_ID_SIZE_MAX + 1][2];
    uint8_t bytes[GYR_ID_SIZE_MAX + 1];
    for (size_t size = 1; size <= GYR_ID_SIZE_MAX; size++) {
        for (size_t i = 0; i < 2; i++) {
            memset(bytes, 0, size);
            bytes[size - 1] = (uint8_t)i;
            uint8_t *copy = guard_copy(bytes, size);
            EXPECT_INT(add(names, span_of(copy, size), size << 1 | i, &given[size][i]), 0, "new");
            EXPECT_INT(find(names, span_of(copy, size)), size << 1 | i, "found");
            EXPECT(span_equal(name_id(given[size][i]), span_of(copy, size)), "all its bytes");
            guard_free(copy);
        }
    }
    EXPECT_INT(names_size(names).count, 2 * GYR_ID_SIZE_MAX, "all differ");
    for (size_t size = 1; size <= GYR_ID_SIZE_MAX; size++) {
        memset(bytes, 0, size);
        EXPECT_INT(find(names, span_of(bytes, size)), size << 1, "zeros");
        for (size_t i = 0; i < size; i++) {
            bytes[i] = 2;
            EXPECT_INT(find(names, span_of(bytes, size)), 0, "one byte differs");
            bytes[i] = 0;
        }
        names_remove(names, given[size][0]);
        EXPECT_INT(find(names, span_of(bytes, size)), 0, "removed");
        bytes[size - 1] = 1;
        EXPECT_INT(find(names, span_of(bytes, size)), size << 1 | 1, "the other one stays");
        names_remove(names, given[size][1]);
    }
    EXPECT_INT(names_size(names).count, 0, "all have ended");
    names_destroy(names);
}

void names_finds_nothing_for_sizes_that_no_id_has(void)
{
    struct names *names = table_create(1);
    uint8_t bytes[1000] = {0};
    struct name *name;
    EXPECT_INT(add(names, span_of(bytes, GYR_ID_SIZE_MAX), 1, &name), 0, "the longest");
    uint8_t *copy = guard_copy("", 0);
    EXPECT_INT(find(names, span_of(copy, 0)), 0, "empty");
    guard_free(copy);
    EXPECT_INT(find(names, span_of(NULL, 0)), 0, "no bytes");
    EXPECT_INT(find(names, span_of(bytes, GYR_ID_SIZE_MAX + 1)), 0, "one byte too long");
    EXPECT_INT(find(names, span_of(bytes, sizeof(bytes))), 0, "much too long");
    EXPECT_INT(find(names, span_of(bytes, GYR_ID_SIZE_MAX)), 1, "the longest");
    names_destroy(names); /* with a name in it */
}

/* "17", or with so many more bytes that it is of another class. */
static struct span id_number(uint32_t number, char text[GYR_ID_SIZE_MAX])
{
    static const uint8_t more[] = {0, 60, 200, 0};
    int size = snprintf(text, 20, "%u", number);
    memset(text + size, '.', more[number % 4]);
    return span_of(text, (size_t)size + more[number % 4]);
}

void names_agrees_with_a_plain_model(void)
{
    enum {
        IDS = 3000,
        STEPS = 200000
    };
    static struct name *given[IDS];
    static uint64_t handles[IDS];
    memset(given, 0, sizeof(given));
    struct names *names = table_create(IDS / 4);
    uint64_t random = 88172645463325252U;
    uint64_t count = 0;
    char text[GYR_ID_SIZE_MAX];
    for (uint32_t step = 1; step <= STEPS; step++) {
        uint32_t number = (uint32_t)random_next(&random) % IDS;
        bool come = random_next(&random) % 10 < (step / 20000 % 2 == 0 ? 8 : 2);
        struct span id = id_number(number, text);
        EXPECT_INT(find(names, id), given[number] == NULL ? 0 : handles[number], "find");
        if (come) {
            struct name *name;
            int err = add(names, id, step, &name);
            EXPECT_INT(err, given[number] == NULL ? 0 : GYR_ERR_EXISTS, "add");
            if (err == 0) {
                given[number] = name;
                handles[number] = step;
                count++;
            }
        } else if (given[number] != NULL) {
            EXPECT(span_equal(name_id(given[number]), id), "its own bytes");
            names_remove(names, given[number]);
            given[number] = NULL;
            count--;
        }
        if (step % 1000 == 0) {
            EXPECT_INT(names_size(names).count, count, "ids");
        }
    }
    names_destroy(names);
}

void names_takes_memory_in_steps_and_uses_it_again(void)
{
    enum {
        IDS = 50000
    };
    static struct name *given[IDS];
    struct names *names = table_create(IDS);
    uint64_t empty = names_size(names).memory_size;
    EXPECT(empty < IDS * 8, "two ids to a list, and little else");
    uint64_t full = 0;
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < IDS; i++) {
            char text[40];
            int size = snprintf(text, sizeof(text), "%036u", i * 3 + round);
            EXPECT_INT(add(names, span_of(text, (size_t)size), i + 1, &given[i]), 0, "add");
        }
        EXPECT_INT(names_size(names).count, IDS, "all are there");
        uint64_t size = names_size(names).memory_size - empty;
        EXPECT(size < IDS * 80, "a UUID takes little more than a cache line");
        EXPECT(round == 0 || size < full + full / 20, "and the next ones take its place");
        full = MAX(full, size);
        for (uint32_t i = 0; i < IDS; i++) {
            names_remove(names, given[i]);
        }
    }
    EXPECT_INT(names_size(names).count, 0, "all have ended");
    names_destroy(names);
}

/* Ids that all meet in one list under a secret that is known: under another they do not. */
void names_spreads_ids_that_were_chosen_to_meet(void)
{
    enum {
        IDS = 1 << 12,
        LISTS = IDS / 2
    };
    uint8_t unknown[16] = "another secret.";
    struct names *known_names = table_create(IDS);
    struct names *names = NULL;
    CU_ASSERT_EQUAL_FATAL(names_create(unknown, IDS, &names), 0);
    unsigned chosen = 0;
    for (uint64_t i = 0; chosen < IDS / 8; i++) {
        struct name *name;
        struct span id = span_of(&i, sizeof(i));
        if (siphash(secret, id.ptr, id.size) % LISTS == 7) {
            EXPECT_INT(add(known_names, id, 1, &name), 0, "known");
            EXPECT_INT(add(names, id, 1, &name), 0, "unknown");
            chosen++;
        }
    }
    EXPECT_INT(names_size(known_names).list_max, IDS / 8, "the attack works");
    EXPECT(names_size(names).list_max < 8, "not here");
    names_destroy(known_names);
    names_destroy(names);
}

/* ---- threads ---- */

#define READERS      2
#define WRITERS      2
#define STRESS_IDS   64
#define STRESS_MOVES 200000

/* All ids have one lock, and share two lists and the memory of their names: whatever can meet,
 * meets. Those with an even number stay. Handles tell their id. */
struct stress {
    struct names *names;
    char ids[STRESS_IDS][24];
    size_t sizes[STRESS_IDS];
    _Atomic unsigned writers; /* that go on */
    _Atomic unsigned wrong;   /* finds that must not be */
    _Atomic uint64_t found;   /* of ids that come and go */
};

struct stress_thread {
    struct stress *stress;
    unsigned index;
    pthread_t thread;
};

static struct span stress_id(const struct stress *stress, unsigned number)
{
    return span_of(stress->ids[number], stress->sizes[number]);
}

static void stress_init(struct stress *stress)
{
    *stress = (struct stress){.names = table_create(256), .writers = WRITERS};
    unsigned count = 0;
    for (unsigned i = 0; count < STRESS_IDS; i++) {
        char *text = stress->ids[count];
        int size = snprintf(text, sizeof(stress->ids[0]), "id %u", i);
        uint64_t bucket = siphash(secret, text, (size_t)size) % 128;
        if (bucket == 5 || bucket == 5 + 64) {
            stress->sizes[count++] = (size_t)size;
        }
    }
    for (unsigned i = 0; i < STRESS_IDS; i += 2) {
        struct name *name;
        EXPECT_INT(add(stress->names, stress_id(stress, i), i + 1000, &name), 0, "stays");
    }
}

static void *stress_read(void *arg)
{
    const struct stress_thread *thread = arg;
    struct stress *stress = thread->stress;
    uint64_t random = thread->index;
    uint64_t found = 0;
    while (atomic_load_explicit(&stress->writers, memory_order_relaxed) > 0) {
        unsigned number = random_next(&random) % STRESS_IDS;
        uint64_t handle = find(stress->names, stress_id(stress, number));
        bool stays = number % 2 == 0;
        if (stays ? handle != number + 1000 : handle != 0 && handle % STRESS_IDS != number) {
            atomic_fetch_add_explicit(&stress->wrong, 1, memory_order_relaxed);
        }
        found += !stays && handle != 0;
    }
    atomic_fetch_add_explicit(&stress->found, found, memory_order_relaxed);
    return NULL;
}

/* Each writer has ids of its own, so that what it may be told is known. */
static void *stress_write(void *arg)
{
    const struct stress_thread *thread = arg;
    struct stress *stress = thread->stress;
    struct name *given[STRESS_IDS] = {NULL};
    uint64_t random = thread->index;
    for (uint64_t i = 1; i <= STRESS_MOVES; i++) {
        unsigned number = (unsigned)random_next(&random) % (STRESS_IDS / 2 / WRITERS);
        number = (number * WRITERS + thread->index) * 2 + 1;
        struct span id = stress_id(stress, number);
        uint64_t handle = i * STRESS_IDS + number;
        bool is_given = given[number] != NULL;
        if (is_given) {
            names_remove(stress->names, given[number]);
            given[number] = NULL;
        }
        bool ok = find(stress->names, id) == 0;
        if (!is_given) {
            ok = ok && add(stress->names, id, handle, &given[number]) == 0 &&
                 find(stress->names, id) == handle;
        }
        if (!ok) {
            atomic_fetch_add_explicit(&stress->wrong, 1, memory_order_relaxed);
        }
    }
    atomic_fetch_sub_explicit(&stress->writers, 1, memory_order_relaxed);
    return NULL;
}

void names_readers_find_what_stays_among_what_comes_and_goes(void)
{
    static struct stress stress;
    struct stress_thread threads[WRITERS + READERS];
    stress_init(&stress);
    for (unsigned i = 0; i < WRITERS + READERS; i++) {
        threads[i] = (struct stress_thread){.stress = &stress, .index = i};
        if (pthread_create(&threads[i].thread, NULL, i < WRITERS ? stress_write : stress_read,
                           &threads[i]) != 0) {
            abort();
        }
    }
    for (unsigned i = 0; i < WRITERS + READERS; i++) {
        (void)pthread_join(threads[i].thread, NULL);
    }
    EXPECT_INT(stress.wrong, 0, "every find was right");
    EXPECT(stress.found > 0, "readers have met what comes and goes");
    EXPECT(names_size(stress.names).list_max > 10, "in long lists");
    names_destroy(stress.names);
}

/* Many threads want the same id: one at a time has it. */
static void *contest(void *arg)
{
    const struct stress_thread *thread = arg;
    struct stress *stress = thread->stress;
    for (unsigned i = 0; i < 5000;) {
        struct name *name;
        if (add(stress->names, SPAN_LITERAL("the one"), thread->index + 1, &name) != 0) {
            continue;
        }
        if (find(stress->names, SPAN_LITERAL("the one")) != thread->index + 1) {
            atomic_fetch_add_explicit(&stress->wrong, 1, memory_order_relaxed);
        }
        names_remove(stress->names, name);
        i++;
    }
    return NULL;
}

void names_gives_an_id_to_one_of_many_threads(void)
{
    static struct stress stress;
    struct stress_thread threads[4];
    stress = (struct stress){.names = table_create(1)};
    for (unsigned i = 0; i < COUNT_OF(threads); i++) {
        threads[i] = (struct stress_thread){.stress = &stress, .index = i};
        if (pthread_create(&threads[i].thread, NULL, contest, &threads[i]) != 0) {
            abort();
        }
    }
    for (unsigned i = 0; i < COUNT_OF(threads); i++) {
        (void)pthread_join(threads[i].thread, NULL);
    }
    EXPECT_INT(stress.wrong, 0, "nobody else had it");
    EXPECT_INT(names_size(stress.names).count, 0, "nobody has it at the end");
    names_destroy(stress.names);
}
