/* SPDX-License-Identifier: MIT */
/* The rooms of all cores: that names are exact, that a room begins and ends with its first and last
 * core, that those who look without a lock never see another room, and the limits. */
#include "hub/registry.h"

#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define CORES 3

/* What `begin` and `end` were told. */
struct told {
    int err; /* of the next begin */
    unsigned begun;
    unsigned ended;
    unsigned core;
    char name[GYR_ROOM_NAME_SIZE_MAX];
    size_t name_size;
};

static const struct gyr_room_rule RULE = {.size = sizeof(RULE)};

static int begin(void *context, unsigned core, struct gyr_span name,
                 const struct gyr_room_rule **rule)
{
    struct told *told = context;
    if (told != NULL) {
        told->begun++;
        told->core = core;
        told->name_size = name.size;
        memcpy(told->name, name.ptr, name.size);
    }
    *rule = &RULE;
    return told == NULL ? 0 : told->err;
}

static void end(void *context, unsigned core, struct gyr_span name,
                const struct gyr_room_rule *rule)
{
    struct told *told = context;
    EXPECT(rule == &RULE, "the rule that begin gave");
    if (told != NULL) {
        told->ended++;
        told->core = core;
        told->name_size = name.size;
        memcpy(told->name, name.ptr, name.size);
    }
}

static struct registry *make(uint32_t room_max, struct told *told)
{
    const struct registry_config config = {
        .room_max = room_max,
        .core_count = CORES,
        .lane_count = 4,
        .context = told,
        .begin = begin,
        .end = end,
    };
    struct registry *registry = registry_create(&config);
    if (registry == NULL) {
        abort();
    }
    return registry;
}

static struct gyr_span span(const char *text)
{
    return (struct gyr_span){text, strlen(text)};
}

static struct registry_entered enter(struct registry *registry, unsigned core, const char *name,
                                     uint64_t hash)
{
    struct registry_entered entered = {0};
    EXPECT_INT(registry_enter(registry, core, span(name), hash, &entered), 0, name);
    return entered;
}

static bool is_found(struct registry *registry, const char *name, uint64_t hash)
{
    struct room_ref ref;
    return registry_find(registry, span(name), hash, &ref);
}

void registry_room_lives_from_its_first_core_to_its_last(void)
{
    struct told told = {0};
    struct registry *registry = make(10, &told);
    EXPECT(!is_found(registry, "a", 1), "not yet");
    struct registry_entered first = enter(registry, 2, "a", 1);
    EXPECT(first.event_number != 0, "created");
    EXPECT(told.begun == 1 && told.core == 2 && told.name_size == 1, "told once, with its name");
    struct registry_entered second = enter(registry, 0, "a", 1);
    EXPECT_INT(second.event_number, 0, "nothing new");
    EXPECT_INT(told.begun, 1, "nor to be told");
    EXPECT(first.ref.shared == second.ref.shared, "the same room");
    EXPECT(first.counters != second.counters, "each counts for itself");
    EXPECT_INT(registry_exit(registry, 2, first.ref.shared), 0, "one is left");
    EXPECT(is_found(registry, "a", 1), "still there");
    uint64_t emptied = registry_exit(registry, 0, first.ref.shared);
    EXPECT(emptied > first.event_number, "emptied, after it was created");
    EXPECT(told.ended == 1 && told.core == 0 && told.name[0] == 'a', "told once");
    EXPECT(!is_found(registry, "a", 1), "gone");
    EXPECT(!registry_is_same(&first.ref), "and known to be");
    struct registry_entered again = enter(registry, 1, "a", 1);
    EXPECT(again.event_number > emptied, "the next life comes later");
    EXPECT(!registry_is_same(&first.ref) && registry_is_same(&again.ref), "another life");
    (void)registry_exit(registry, 1, again.ref.shared);
    EXPECT_INT(registry_count(registry), 0, "none is left");
    registry_destroy(registry);
}

void registry_compares_names_and_not_hashes(void)
{
    static const char *const NAMES[] = {
        "",
        "a",
        "b",
        "aa",
        "aaaaaaa",
        "aaaaaaab",
        "aaaaaaaab",
        "aaaaaaaaaaaaaaab",
        "aaaaaaaaaaaaaaaab",
        "aaaaaaaaaaaaaaaa",
    };
    struct registry *registry = make(100, NULL);
    struct registry_entered entered[COUNT_OF(NAMES)];
    for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
        EXPECT(!is_found(registry, NAMES[i], 77), NAMES[i]);
        entered[i] = enter(registry, 0, NAMES[i], 77);
        for (size_t k = 0; k < i; k++) {
            EXPECT(entered[k].ref.shared != entered[i].ref.shared, "a room of its own");
        }
    }
    for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
        struct room_ref ref;
        EXPECT(registry_find(registry, span(NAMES[i]), 77, &ref), NAMES[i]);
        EXPECT(ref.shared == entered[i].ref.shared, "the right one");
        EXPECT(!registry_find(registry, span(NAMES[i]), 78, &ref), "with its hash only");
    }
    /* Out of the middle of the chain, from its end and from its front. */
    static const size_t ORDER[] = {4, 0, 9, 5, 1, 8, 2, 7, 3, 6};
    for (size_t i = 0; i < COUNT_OF(ORDER); i++) {
        EXPECT(registry_exit(registry, 0, entered[ORDER[i]].ref.shared) != 0, "emptied");
        for (size_t k = 0; k < COUNT_OF(ORDER); k++) {
            EXPECT(is_found(registry, NAMES[ORDER[k]], 77) == (k > i), NAMES[ORDER[k]]);
        }
    }
    registry_destroy(registry);
}

void registry_names_have_0_to_255_bytes_of_any_kind(void)
{
    struct registry *registry = make(2, NULL);
    char name[GYR_ROOM_NAME_SIZE_MAX];
    for (size_t i = 0; i < sizeof(name); i++) {
        name[i] = (char)(i * 7);
    }
    /* Each size comes twice, after a longer and after a shorter one, in the same place. */
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i <= sizeof(name); i++) {
            size_t size = round == 0 ? i : sizeof(name) - i;
            struct gyr_span whole = {name, size};
            struct registry_entered entered;
            struct room_ref ref;
            EXPECT_INT(registry_enter(registry, 0, whole, size, &entered), 0, "entered");
            EXPECT(registry_find(registry, whole, size, &ref), "found");
            if (size != 0) {
                struct gyr_span less = {name, size - 1};
                EXPECT(!registry_find(registry, less, size, &ref), "not the shorter");
                name[size - 1] ^= 1;
                EXPECT(!registry_find(registry, whole, size, &ref), "nor another last byte");
                name[size - 1] ^= 1;
            }
            (void)registry_exit(registry, 0, entered.ref.shared);
        }
    }
    registry_destroy(registry);
}

void registry_holds_room_max_rooms_and_no_more(void)
{
    struct registry *registry = make(3, NULL);
    struct registry_entered entered[3];
    struct registry_entered more;
    for (uint32_t i = 0; i < 3; i++) {
        char name[2] = {(char)('a' + i), '\0'};
        entered[i] = enter(registry, 0, name, i);
        EXPECT(entered[i].ref.shared->index < 3, "dense");
        EXPECT(entered[i].ref.shared->lane < 4, "on one of the lanes");
    }
    EXPECT_INT(registry_enter(registry, 0, span("d"), 3, &more), GYR_ERR_LIMIT, "no more");
    EXPECT_INT(registry_enter(registry, 1, span("a"), 0, &more), 0, "but a core of those");
    EXPECT_INT(registry_exit(registry, 1, more.ref.shared), 0, "it leaves");
    (void)registry_exit(registry, 0, entered[1].ref.shared);
    more = enter(registry, 0, "d", 3);
    EXPECT(more.ref.shared == entered[1].ref.shared, "in the place of who has gone");
    EXPECT_INT(registry_enter(registry, 0, span("b"), 1, &more), GYR_ERR_LIMIT, "full again");
    EXPECT_INT(registry_count(registry), 3, "three");
    registry_destroy(registry);
}

void registry_room_that_cannot_begin_was_never_there(void)
{
    struct told told = {.err = GYR_ERR_MEMORY};
    struct registry *registry = make(1, &told);
    struct registry_entered entered;
    EXPECT_INT(registry_enter(registry, 0, span("a"), 1, &entered), GYR_ERR_MEMORY, "refused");
    EXPECT(!is_found(registry, "a", 1), "not there");
    EXPECT_INT(registry_count(registry), 0, "none");
    told.err = 0;
    EXPECT(enter(registry, 0, "b", 2).event_number != 0, "its place is free");
    EXPECT_INT(told.ended, 0, "what has not begun does not end");
    registry_destroy(registry);
}

void registry_figures_are_those_of_this_life_and_of_all_cores(void)
{
    struct registry *registry = make(1, NULL);
    struct gyr_room_stats stats;
    EXPECT_INT(registry_stats(registry, span("a"), 1, &stats), GYR_ERR_NOT_FOUND, "none yet");
    struct registry_entered first = enter(registry, 0, "a", 1);
    struct registry_entered second = enter(registry, 2, "a", 1);
    ROOM_ADD(first.counters, queued, 5);
    ROOM_ADD(second.counters, queued, 7);
    ROOM_ADD(second.counters, members, 1);
    EXPECT_INT(registry_stats(registry, span("a"), 1, &stats), 0, "there");
    EXPECT(stats.queued == 12 && stats.members == 1 && stats.published == 0, "the sum");
    EXPECT_INT(registry_stats(registry, span("b"), 1, &stats), GYR_ERR_NOT_FOUND, "another");
    (void)registry_exit(registry, 0, first.ref.shared);
    (void)registry_exit(registry, 2, second.ref.shared);
    EXPECT_INT(registry_stats(registry, span("a"), 1, &stats), GYR_ERR_NOT_FOUND, "gone");
    (void)enter(registry, 1, "b", 1);
    EXPECT_INT(registry_stats(registry, span("b"), 1, &stats), 0, "the next in its place");
    EXPECT_INT(stats.queued, 0, "begins with nothing");
    registry_destroy(registry);
}

/* ---- threads --------------------------------------------------------------------------------- */

#if defined(__SANITIZE_THREAD__)
#define ROUNDS 20000U
#else
#define ROUNDS 100000U
#endif
#define NAMES_COUNT 12U

struct crowd {
    struct registry *registry;
    unsigned core;
    _Atomic bool *is_over;
    unsigned found;
    unsigned wrong;
};

/* Few buckets, so that chains are long: all names of one hash, but one that stays. */
static struct gyr_span crowd_name(unsigned number, char text[GYR_ROOM_NAME_SIZE_MAX])
{
    static const size_t SIZES[] = {3, 17, 40, 200};
    size_t size = SIZES[number % COUNT_OF(SIZES)];
    memset(text, 'a' + (int)number, size);
    return (struct gyr_span){text, size};
}

static void *come_and_go(void *arg)
{
    struct crowd *crowd = arg;
    char text[GYR_ROOM_NAME_SIZE_MAX];
    unsigned dice = crowd->core * 77777 + 1;
    for (unsigned i = 0; i < ROUNDS; i++) {
        dice = dice * 1103515245 + 12345;
        struct registry_entered entered;
        unsigned number = (dice >> 16) % NAMES_COUNT;
        if (registry_enter(crowd->registry, crowd->core, crowd_name(number, text), 64, &entered) ==
            0) {
            struct room_ref ref;
            bool found = registry_find(crowd->registry, crowd_name(number, text), 64, &ref);
            crowd->wrong += !found || ref.shared != entered.ref.shared ||
                            ref.generation != entered.ref.generation;
            (void)registry_exit(crowd->registry, crowd->core, entered.ref.shared);
        }
    }
    return NULL;
}

static void *look_around(void *arg)
{
    struct crowd *crowd = arg;
    char text[GYR_ROOM_NAME_SIZE_MAX];
    struct room_ref ref;
    for (unsigned i = 0; !atomic_load_explicit(crowd->is_over, memory_order_relaxed); i++) {
        /* What is always there is found at any time. */
        crowd->wrong += !registry_find(crowd->registry, span("stays"), 64, &ref);
        crowd->found += registry_find(crowd->registry, crowd_name(i % NAMES_COUNT, text), 64, &ref);
        struct gyr_room_stats stats;
        crowd->wrong +=
            registry_stats(crowd->registry, span("stays"), 64, &stats) != 0 || stats.members != 1;
        /* What never is, never. */
        crowd->wrong += registry_find(crowd->registry, span("never"), 64, &ref);
    }
    return NULL;
}

void registry_is_read_by_any_thread_while_rooms_come_and_go(void)
{
    /* Places are short, so that they are used again at once, by names of other sizes. */
    struct registry *registry = make(5, NULL);
    struct registry_entered stays = enter(registry, 2, "stays", 64);
    ROOM_ADD(stays.counters, members, 1);
    _Atomic bool is_over = false;
    struct crowd crowds[4];
    pthread_t threads[4];
    for (unsigned i = 0; i < 4; i++) {
        crowds[i] = (struct crowd){registry, i % 2, &is_over, 0, 0};
        if (pthread_create(&threads[i], NULL, i < 2 ? come_and_go : look_around, &crowds[i]) != 0) {
            abort();
        }
    }
    (void)pthread_join(threads[0], NULL);
    (void)pthread_join(threads[1], NULL);
    atomic_store(&is_over, true);
    (void)pthread_join(threads[2], NULL);
    (void)pthread_join(threads[3], NULL);
    for (unsigned i = 0; i < 4; i++) {
        EXPECT_INT(crowds[i].wrong, 0, "nothing else than what there is");
    }
    EXPECT(registry_exit(registry, 2, stays.ref.shared) != 0, "the last");
    EXPECT_INT(registry_count(registry), 0, "none is left");
    registry_destroy(registry);
}
