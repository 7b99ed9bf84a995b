/* SPDX-License-Identifier: MIT */
/* Which message of a queue a newer one replaces: a table of a core's keyed entries by connection,
 * room and key. Open addressing with linear probing, at most half full; what is removed is closed
 * up by moving back what had to step over it. */
#include "engine/core.h"
#include "engine/fanout.h"

#define CAPACITY_MIN 64

static bool keyed_is(const struct keyed_entry *entry, uint32_t transport_index, uint32_t room,
                     uint64_t key)
{
    return entry->key == key && entry->transport_index == transport_index &&
           entry->run_entry.room == room;
}

/* Keys are hashes with a secret already; the rest tells connections and rooms apart. */
static uint32_t home_of(const struct conflation *table, uint32_t transport_index, uint32_t room,
                        uint64_t key)
{
    uint64_t mixed = key ^ ((uint64_t)transport_index << 32 | room);
    mixed *= UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(mixed >> 32) & (table->capacity - 1);
}

static uint32_t home_of_entry(const struct conflation *table, const struct keyed_entry *entry)
{
    return home_of(table, entry->transport_index, entry->run_entry.room, entry->key);
}

/* The slot that holds it, or the free one where it belongs. */
static uint32_t slot_of(const struct conflation *table, uint32_t transport_index, uint32_t room,
                        uint64_t key)
{
    uint32_t slot = home_of(table, transport_index, room, key);
    while (table->slots[slot] != NULL &&
           !keyed_is(table->slots[slot], transport_index, room, key)) {
        slot = (slot + 1) & (table->capacity - 1);
    }
    return slot;
}

struct keyed_entry *conflation_find(const struct core *core, uint32_t transport_index,
                                    uint32_t room, uint64_t key)
{
    const struct conflation *table = &core->conflation;
    return table->count == 0 ? NULL : table->slots[slot_of(table, transport_index, room, key)];
}

bool conflation_reserve(struct core *core)
{
    struct conflation *table = &core->conflation;
    if ((table->count + 1) * 2 <= table->capacity) {
        return true;
    }
    struct conflation grown = {.capacity = MAX(table->capacity * 2, (uint32_t)CAPACITY_MIN)};
    size_t size = grown.capacity * sizeof(struct keyed_entry *);
    grown.slots = engine_core_alloc((struct gyr_core *)core, size);
    if (grown.slots == NULL) {
        return false;
    }
    memset(grown.slots, 0, size);
    for (uint32_t i = 0; i < table->capacity; i++) {
        struct keyed_entry *entry = table->slots[i];
        if (entry != NULL) {
            uint32_t slot =
                slot_of(&grown, entry->transport_index, entry->run_entry.room, entry->key);
            grown.slots[slot] = entry;
        }
    }
    grown.count = table->count;
    conflation_deinit(core);
    *table = grown;
    return true;
}

void conflation_add(struct core *core, struct keyed_entry *entry)
{
    struct conflation *table = &core->conflation;
    uint32_t slot = slot_of(table, entry->transport_index, entry->run_entry.room, entry->key);
    table->count += table->slots[slot] == NULL;
    table->slots[slot] = entry;
}

void conflation_remove(struct core *core, const struct keyed_entry *entry)
{
    struct conflation *table = &core->conflation;
    if (table->count == 0) {
        return;
    }
    uint32_t mask = table->capacity - 1;
    uint32_t gap = slot_of(table, entry->transport_index, entry->run_entry.room, entry->key);
    if (table->slots[gap] != entry) {
        return;
    }
    table->count--;
    for (uint32_t next = (gap + 1) & mask; table->slots[next] != NULL; next = (next + 1) & mask) {
        uint32_t home = home_of_entry(table, table->slots[next]);
        if (((next - home) & mask) >= ((next - gap) & mask)) {
            table->slots[gap] = table->slots[next];
            gap = next;
        }
    }
    table->slots[gap] = NULL;
    if (table->count == 0 && table->capacity > CAPACITY_MIN) {
        conflation_deinit(core); /* what a crowd of slow members needed */
    }
}

void conflation_deinit(struct core *core)
{
    struct conflation *table = &core->conflation;
    engine_core_free((struct gyr_core *)core, table->slots,
                     table->capacity * sizeof(struct keyed_entry *));
    *table = (struct conflation){0};
}
