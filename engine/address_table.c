/* SPDX-License-Identifier: MIT */
/* Connections per address: 64 stripes, each a lock and an open hash table that doubles when three
 * quarters of its places are taken and halves when an eighth is. The hash is keyed, so a peer that
 * has many addresses cannot choose them so that they meet in one stripe or one run of places; and
 * an address that has a connection takes 22 to 128 bytes. */
#include "engine/address_table.h"

#include "base/siphash.h"
#include "engine/memory.h"

#include <pthread.h>
#include <stdalign.h>

#define STRIPE_COUNT 64
#define STRIPE_BITS  6
#define PLACES_MIN   8U

/* Zero is a free place. */
struct place {
    uint64_t prefix; /* of IPv6 the first 64 bits, of IPv4 all */
    uint32_t family;
    uint32_t count; /* of connections */
};
static_assert(sizeof(struct place) == 16, "four to a cache line");

struct stripe {
    alignas(CACHE_LINE) pthread_mutex_t lock;
    struct place *places; /* owned; place_count of them, NULL: none yet */
    uint32_t place_count; /* a power of two, or 0 */
    uint32_t used_count;
};

struct address_table {
    struct stripe stripes[STRIPE_COUNT];
    uint8_t secret[16];
};

static bool key_of(const struct address *address, struct place *key);
static uint64_t key_hash(const struct address_table *table, const struct place *key);
static struct place *place_find(const struct stripe *stripe, const struct place *key,
                                uint64_t hash);
static uint32_t place_first(uint64_t hash, uint32_t mask);
static int stripe_resize(const struct address_table *table, struct stripe *stripe, uint32_t count);
static void place_free(const struct address_table *table, struct stripe *stripe, uint32_t gap);

int address_table_create(const uint8_t secret[16], struct address_table **table)
{
    struct address_table *made = memory_map(sizeof(*made));
    if (made == NULL) {
        return GYR_ERR_MEMORY;
    }
    memcpy(made->secret, secret, sizeof(made->secret));
    for (unsigned i = 0; i < STRIPE_COUNT; i++) {
        (void)pthread_mutex_init(&made->stripes[i].lock, NULL); /* of this kind it cannot fail */
    }
    *table = made;
    return 0;
}

void address_table_destroy(struct address_table *table)
{
    if (table == NULL) {
        return;
    }
    for (unsigned i = 0; i < STRIPE_COUNT; i++) {
        memory_free(table->stripes[i].places);
        (void)pthread_mutex_destroy(&table->stripes[i].lock);
    }
    memory_unmap(table, sizeof(*table));
}

int address_table_enter(struct address_table *table, const struct address *address, uint32_t max)
{
    struct place key;
    if (!key_of(address, &key)) {
        return 0;
    }
    int err = 0;
    uint64_t hash = key_hash(table, &key);
    struct stripe *stripe = &table->stripes[hash % STRIPE_COUNT];
    (void)pthread_mutex_lock(&stripe->lock);
    struct place *place = place_find(stripe, &key, hash);
    if (place != NULL && place->count > 0) {
        if (max != 0 && place->count >= max) {
            err = GYR_ERR_LIMIT;
        } else {
            place->count++;
        }
        goto out;
    }
    /* One place is always free, so that a search ends. */
    if (stripe->used_count >= stripe->place_count / 4 * 3) {
        err = stripe_resize(table, stripe, MAX(stripe->place_count * 2, PLACES_MIN));
        if (err != 0) {
            goto out;
        }
        place = place_find(stripe, &key, hash);
    }
    ASSERT(place != NULL);
    *place = key;
    place->count = 1;
    stripe->used_count++;
out:
    (void)pthread_mutex_unlock(&stripe->lock);
    return err;
}

void address_table_leave(struct address_table *table, const struct address *address)
{
    struct place key;
    if (!key_of(address, &key)) {
        return;
    }
    uint64_t hash = key_hash(table, &key);
    struct stripe *stripe = &table->stripes[hash % STRIPE_COUNT];
    (void)pthread_mutex_lock(&stripe->lock);
    struct place *place = place_find(stripe, &key, hash);
    ASSERT(place != NULL);
    ASSERT(place->count > 0);
    place->count--;
    if (place->count == 0) {
        place_free(table, stripe, (uint32_t)(place - stripe->places));
    }
    (void)pthread_mutex_unlock(&stripe->lock);
}

struct address_table_size address_table_size(struct address_table *table)
{
    struct address_table_size size = {.memory_size = sizeof(*table)};
    for (unsigned i = 0; i < STRIPE_COUNT; i++) {
        struct stripe *stripe = &table->stripes[i];
        (void)pthread_mutex_lock(&stripe->lock);
        size.address_count += stripe->used_count;
        size.memory_size += stripe->place_count * sizeof(struct place);
        size.stripe_count_max = MAX(size.stripe_count_max, stripe->used_count);
        size_t run = 0;
        for (uint32_t at = 0; at < stripe->place_count; at++) {
            run = stripe->places[at].count > 0 ? run + 1 : 0;
            size.run_max = MAX(size.run_max, run);
        }
        (void)pthread_mutex_unlock(&stripe->lock);
    }
    return size;
}

/* What of an address is counted together. False: nothing. */
static bool key_of(const struct address *address, struct place *key)
{
    *key = (struct place){.family = address->family};
    memcpy(&key->prefix, address->ip, address->family == ADDRESS_IPV4 ? 4 : 8);
    return address->family == ADDRESS_IPV4 || address->family == ADDRESS_IPV6;
}

/* The lowest bits choose the stripe, those above them the place. */
static uint64_t key_hash(const struct address_table *table, const struct place *key)
{
    return siphash(table->secret, key, offsetof(struct place, count));
}

/* The key's place, or the free one where it would be; NULL if the stripe has no places. */
static struct place *place_find(const struct stripe *stripe, const struct place *key, uint64_t hash)
{
    if (stripe->place_count == 0) {
        return NULL;
    }
    uint32_t mask = stripe->place_count - 1;
    uint32_t at = place_first(hash, mask);
    while (stripe->places[at].count > 0 &&
           (stripe->places[at].prefix != key->prefix || stripe->places[at].family != key->family)) {
        at = (at + 1) & mask;
    }
    return &stripe->places[at];
}

/* Where the search for a hash begins: its lowest bits have chosen the stripe. */
static uint32_t place_first(uint64_t hash, uint32_t mask)
{
    return (uint32_t)(hash >> STRIPE_BITS) & mask;
}

/* Move all that is used to `count` new places; nothing has changed if there is no memory. */
static int stripe_resize(const struct address_table *table, struct stripe *stripe, uint32_t count)
{
    struct place *old = stripe->places;
    uint32_t old_count = stripe->place_count;
    struct place *places = memory_alloc(count * sizeof(*places));
    if (places == NULL) {
        return GYR_ERR_MEMORY;
    }
    stripe->places = places;
    stripe->place_count = count;
    for (uint32_t i = 0; i < old_count; i++) {
        if (old[i].count > 0) {
            *place_find(stripe, &old[i], key_hash(table, &old[i])) = old[i];
        }
    }
    memory_free(old);
    return 0;
}

/* Free a place and close the gap: what stands behind it moves into it, unless it would then stand
 * before the place where its search begins (Knuth, volume 3, section 6.4, algorithm R). */
static void place_free(const struct address_table *table, struct stripe *stripe, uint32_t gap)
{
    struct place *places = stripe->places;
    uint32_t mask = stripe->place_count - 1;
    for (uint32_t at = (gap + 1) & mask; places[at].count > 0; at = (at + 1) & mask) {
        uint32_t first = place_first(key_hash(table, &places[at]), mask);
        if (((at - first) & mask) >= ((at - gap) & mask)) {
            places[gap] = places[at];
            gap = at;
        }
    }
    places[gap] = (struct place){.count = 0};
    stripe->used_count--;
    if (stripe->place_count > PLACES_MIN && stripe->used_count <= stripe->place_count / 8) {
        /* Without memory for the smaller table the larger one goes on. */
        (void)!stripe_resize(table, stripe, stripe->place_count / 2);
    }
}
