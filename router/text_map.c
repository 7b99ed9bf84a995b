/* SPDX-License-Identifier: MIT */
/* Open addressing with linear probing, at most half full; nothing is ever taken out. */
#include "router/text_map.h"

#include "engine/engine.h"

#define TEXT_MAP_CAPACITY_MIN 16

static struct text_slot *slot_of(const struct text_map *map, struct span key);
static uint64_t key_hash(struct span key);
static int map_grow(struct text_map *map);

int text_map_add(struct text_map *map, struct span key, uint32_t value)
{
    ASSERT(key.ptr != NULL && value != TEXT_MAP_NONE);
    int err = text_map_reserve(map);
    if (err < 0) {
        return err;
    }
    struct text_slot *slot = slot_of(map, key);
    if (slot->key.ptr != NULL) {
        return GYR_ERR_EXISTS;
    }
    *slot = (struct text_slot){.key = key, .value = value};
    map->count++;
    return 0;
}

int text_map_reserve(struct text_map *map)
{
    return 2 * (map->count + 1) > map->capacity ? map_grow(map) : 0;
}

uint32_t *text_map_at(const struct text_map *map, struct span key)
{
    if (map->capacity == 0) {
        return NULL;
    }
    struct text_slot *slot = slot_of(map, key);
    return slot->key.ptr != NULL ? &slot->value : NULL;
}

uint32_t text_map_find(const struct text_map *map, struct span key)
{
    const uint32_t *value = text_map_at(map, key);
    return value != NULL ? *value : TEXT_MAP_NONE;
}

/* Where the key is, or the free slot where it would be. */
static struct text_slot *slot_of(const struct text_map *map, struct span key)
{
    size_t mask = map->capacity - 1;
    size_t at = (size_t)key_hash(key) & mask;
    while (map->slots[at].key.ptr != NULL && !span_equal(map->slots[at].key, key)) {
        at = (at + 1) & mask;
    }
    return &map->slots[at];
}

/* FNV-1a, its high bits folded in: addresses as keys differ there. */
static uint64_t key_hash(struct span key)
{
    uint64_t hash = 0xcbf29ce484222325U;
    for (size_t i = 0; i < key.size; i++) {
        hash = (hash ^ key.ptr[i]) * 0x100000001b3U;
    }
    return hash ^ (hash >> 32);
}

static int map_grow(struct text_map *map)
{
    struct text_map grown = {
        .capacity = MAX(2 * map->capacity, (size_t)TEXT_MAP_CAPACITY_MIN),
        .count = map->count,
    };
    grown.slots = memory_alloc(grown.capacity * sizeof(*grown.slots));
    if (grown.slots == NULL) {
        return GYR_ERR_MEMORY;
    }
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->slots[i].key.ptr != NULL) {
            *slot_of(&grown, map->slots[i].key) = map->slots[i];
        }
    }
    memory_free(map->slots);
    *map = grown;
    return 0;
}

void text_map_deinit(struct text_map *map)
{
    memory_free(map->slots);
    *map = (struct text_map){0};
}
