/* SPDX-License-Identifier: MIT */
/* The table of what a newer message replaces, against a list that is searched from end to end. */
#include "engine/fanout.h"

#include "engine/core.h"
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#define ENTRIES_MAX 4096

struct model {
    struct kit kit;
    struct keyed_entry entries[ENTRIES_MAX];
    bool newest[ENTRIES_MAX]; /* what the table should hold */
    bool used[ENTRIES_MAX];
    unsigned count; /* of `newest` */
    uint64_t state;
};

static uint32_t dice(struct model *model, uint32_t sides)
{
    model->state = model->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(model->state >> 33) % sides;
}

static void model_begin(struct model *model, uint64_t seed)
{
    kit_init(&model->kit);
    model->kit.config.core_heap_size_max = 1 << 20;
    kit_start(&model->kit);
    memset(model->newest, 0, sizeof(model->newest));
    memset(model->used, 0, sizeof(model->used));
    model->count = 0;
    model->state = seed;
}

/* The newest of a key, by looking at each; ENTRIES_MAX: none. */
static unsigned model_find(const struct model *model, uint32_t transport_index, uint32_t room,
                           uint64_t key)
{
    for (unsigned i = 0; i < ENTRIES_MAX; i++) {
        const struct keyed_entry *entry = &model->entries[i];
        if (model->newest[i] && entry->transport_index == transport_index &&
            entry->run_entry.room == room && entry->key == key) {
            return i;
        }
    }
    return ENTRIES_MAX;
}

static void model_add(struct model *model, unsigned i, uint32_t transport_index, uint32_t room,
                      uint64_t key)
{
    unsigned older = model_find(model, transport_index, room, key);
    if (older != ENTRIES_MAX) {
        model->newest[older] = false;
        model->count--;
    }
    model->entries[i] = (struct keyed_entry){
        .run_entry.room = room,
        .key = key,
        .transport_index = transport_index,
    };
    EXPECT(conflation_reserve(model->kit.core), "there is memory");
    conflation_add(model->kit.core, &model->entries[i]);
    model->used[i] = true;
    model->newest[i] = true;
    model->count++;
}

static void model_remove(struct model *model, unsigned i)
{
    conflation_remove(model->kit.core, &model->entries[i]);
    model->count -= model->newest[i];
    model->used[i] = false;
    model->newest[i] = false;
}

static bool model_agrees(struct model *model, uint32_t transport_index, uint32_t room, uint64_t key)
{
    unsigned i = model_find(model, transport_index, room, key);
    const struct keyed_entry *expected = i == ENTRIES_MAX ? NULL : &model->entries[i];
    return conflation_find(model->kit.core, transport_index, room, key) == expected;
}

static bool model_agrees_everywhere(struct model *model)
{
    bool agrees = model->kit.core->conflation.count == model->count;
    for (unsigned i = 0; i < ENTRIES_MAX; i++) {
        const struct keyed_entry *entry = &model->entries[i];
        agrees = agrees && (!model->used[i] || model_agrees(model, entry->transport_index,
                                                            entry->run_entry.room, entry->key));
    }
    return agrees;
}

/* Keys, rooms and connections of small ranges replace each other, and of a few neighbouring slots
 * collide all the time. */
static void run_random(uint64_t seed, unsigned entries, uint32_t keys, uint64_t stride)
{
    static struct model model;
    model_begin(&model, seed);
    bool agrees = true;
    for (unsigned step = 0; step < 20000 && agrees; step++) {
        unsigned i = dice(&model, entries);
        if (model.used[i]) {
            model_remove(&model, i);
        } else {
            model_add(&model, i, dice(&model, 3), dice(&model, 3), dice(&model, keys) * stride);
        }
        agrees =
            model_agrees(&model, dice(&model, 3), dice(&model, 3), dice(&model, keys) * stride);
        agrees = agrees && (step % 500 != 0 || model_agrees_everywhere(&model));
    }
    EXPECT(agrees, "as the list says");
    for (unsigned i = 0; i < entries; i++) {
        if (model.used[i]) {
            model_remove(&model, i);
        }
    }
    EXPECT_INT(model.kit.core->conflation.count, 0, "nothing is left");
    for (uint32_t i = 0; i < model.kit.core->conflation.capacity; i++) {
        EXPECT(model.kit.core->conflation.slots[i] == NULL, "nothing at all");
    }
    kit_end(&model.kit);
}

void conflation_agrees_with_a_list_whatever_is_added_and_removed(void)
{
    run_random(1, 40, 10, 1);
    run_random(2, 30, 1000, 1);
    run_random(3, 1000, 100000, 1);
    run_random(4, ENTRIES_MAX, 100000, UINT64_C(0x9e3779b97f4a7c15));
}

/* The inverse of the multiplier of home_of: keys whose slots are what the test wants. */
static uint64_t key_of_home(uint32_t home)
{
    uint64_t inverse = 1;
    for (unsigned i = 0; i < 6; i++) {
        inverse *= 2 - UINT64_C(0x9e3779b97f4a7c15) * inverse;
    }
    return ((uint64_t)home << 32) * inverse;
}

/* All keys want the last slots of the table, so that they step over its end. */
void conflation_survives_keys_that_all_collide(void)
{
    static struct model model;
    for (unsigned seed = 0; seed < 20; seed++) {
        model_begin(&model, seed);
        bool agrees = true;
        for (unsigned step = 0; step < 2000 && agrees; step++) {
            unsigned i = dice(&model, 31);
            if (model.used[i]) {
                model_remove(&model, i);
            } else {
                /* 62 or 63 of 64; above it, bits that tell keys apart */
                uint32_t home = dice(&model, 1 << 16) << 6 | (62 + dice(&model, 2));
                model_add(&model, i, 0, 0, key_of_home(home));
            }
            agrees = model_agrees_everywhere(&model);
        }
        EXPECT(agrees, "as the list says");
        EXPECT_INT(model.kit.core->conflation.capacity, 64, "it has not grown");
        for (unsigned i = 0; i < 31; i++) {
            if (model.used[i]) {
                model_remove(&model, i);
            }
        }
        kit_end(&model.kit);
    }
}

void conflation_table_is_at_most_half_full(void)
{
    static struct model model;
    model_begin(&model, 1);
    const struct conflation *table = &model.kit.core->conflation;
    EXPECT(conflation_find(model.kit.core, 0, 0, 0) == NULL, "nothing is there at first");
    conflation_remove(model.kit.core, &model.entries[0]);
    EXPECT_INT(table->capacity, 0, "and no memory");
    for (unsigned i = 0; i < 1000; i++) {
        model_add(&model, i, i, 0, 0);
        EXPECT(table->count * 2 <= table->capacity && table->capacity >= 64, "half full");
        EXPECT((table->capacity & (table->capacity - 1)) == 0, "a power of two");
    }
    EXPECT_INT(table->capacity, 2048, "little memory");
    EXPECT(model_agrees_everywhere(&model), "all are found");
    for (unsigned i = 0; i < 999; i++) {
        model_remove(&model, i);
    }
    EXPECT_INT(model.kit.core->layer_size, 2048 * sizeof(void *), "counted");
    model_remove(&model, 999);
    EXPECT_INT(model.kit.core->layer_size, 0, "released with the last of many");
    conflation_deinit(model.kit.core);
    kit_end(&model.kit);
}

void conflation_without_memory_stays_as_it_was(void)
{
    static struct model model;
    model_begin(&model, 1);
    struct core *core = model.kit.core;
    for (unsigned i = 0; i < 32; i++) {
        model_add(&model, i, i, 0, 0);
    }
    size_t size = (size_t)(model.kit.config.core_heap_size_max - heap_used(core->heap)) - 1000;
    void *ballast = heap_alloc(core->heap, size);
    EXPECT(ballast != NULL, "taken");
    EXPECT(!conflation_reserve(core), "128 slots do not fit");
    EXPECT(model_agrees_everywhere(&model), "nothing is lost");
    heap_free(core->heap, ballast, size);
    EXPECT(conflation_reserve(core), "now they do");
    EXPECT(model_agrees_everywhere(&model), "nothing is lost");
    for (unsigned i = 0; i < 32; i++) {
        model_remove(&model, i);
    }
    kit_end(&model.kit);
}
