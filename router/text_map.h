/* SPDX-License-Identifier: MIT */
/* Texts, or any bytes, with a number each: what is declared, while it is checked. Not for what a
 * peer sends: who knows the hash can make them collide. */
#ifndef ROUTER_TEXT_MAP_H
#define ROUTER_TEXT_MAP_H

#include "base/base.h"

#define TEXT_MAP_NONE UINT32_MAX

struct text_slot {
    struct span key; /* borrowed; ptr NULL: free */
    uint32_t value;
};

/* Zero is an empty one. */
struct text_map {
    struct text_slot *slots; /* owned; capacity of them, a power of two */
    size_t capacity;
    size_t count;
};

/* Keys are borrowed as long as the map lives. GYR_ERR_EXISTS for a key that is there: nothing has
 * changed; GYR_ERR_MEMORY. */
MUST_CHECK int text_map_add(struct text_map *map, struct span key, uint32_t value);
/* Make room for one more, so that the next text_map_add finds memory. */
MUST_CHECK int text_map_reserve(struct text_map *map);
uint32_t text_map_find(const struct text_map *map, struct span key);
/* Where the value of a key is, until the next text_map_add; NULL: nowhere. */
uint32_t *text_map_at(const struct text_map *map, struct span key);
void text_map_deinit(struct text_map *map);

/* An address as a key: of where it stands. */
static inline struct span span_of_address(const void *const *address)
{
    return span_of(address, sizeof(void *));
}

static inline struct span span_of_text(const char *text)
{
    return span_of(text, strlen(text));
}

#endif
