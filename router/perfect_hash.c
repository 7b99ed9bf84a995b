/* SPDX-License-Identifier: MIT */
/* A perfect hash of names: tags, routes. Journey: hop 7.
 *
 * The hash of a name leads to a bucket, of which there is one for every three names, or for fewer.
 * It has a pilot: a number that, mixed into the hashes of its names, sends each to a slot of its
 * own. So a search reads the pilot and one slot, whatever the number of names. Pilots are found by
 * trying, the fullest bucket first, while most slots are free. A slot holds the first 16 bytes of
 * its name, so that a short one is compared without going elsewhere.
 *
 * Mixing is a multiplication of 64 by 64 bits whose halves are folded together. If two names agree
 * in all 64 bits, or no pilot is found, everything is tried again with another seed and more slots;
 * everything that a name adds to its hash depends on the seed. */
#include "router/perfect_hash.h"

#include <stdlib.h>

#define WORDS_SIZE      16u    /* bytes of a name that its slot holds */
#define BUCKET_NAMES    3u     /* for each bucket, on average, at most */
#define BUCKET_SIZE_MAX 64u    /* names; about 14 occur */
#define PILOT_COUNT     65536u /* tried for a bucket */
#define ATTEMPT_MAX     64u    /* the first one does, nearly always */
#define NAMES_MAX       (UINT32_MAX / 4)

/* Odd numbers without a pattern: of the golden ratio, and of the roots of 3 and 5. */
#define FACTOR_SEED  UINT64_C(0x9e3779b97f4a7c15)
#define FACTOR_PILOT UINT64_C(0xbb67ae8584caa73b)
#define FACTOR_SLOT  UINT64_C(0x3c6ef372fe94f82b)

/* An empty slot is the empty name with the index PERFECT_HASH_NONE. */
struct slot {
    uint64_t low; /* the first 8 bytes of the name, and the next; zeros behind its end */
    uint64_t high;
    const uint8_t *name; /* in `text` */
    uint32_t size;
    uint32_t index;
};

static_assert(sizeof(struct slot) == 32, "two of them in a cache line");

struct perfect_hash {
    uint64_t seed;
    uint64_t size_seed;
    unsigned bucket_shift; /* of a hash, to its bucket */
    uint32_t slot_count;
    uint64_t *pilots;   /* owned; one for each bucket */
    struct slot *slots; /* owned, aligned to cache lines */
    uint8_t *text;      /* owned: all names */
};

/* What building needs besides. */
struct builder {
    struct perfect_hash *hash; /* borrowed */
    struct slot *names;        /* owned; in the order given */
    uint64_t *hashes;          /* owned; of each */
    uint32_t *first;           /* owned; bucket i has order[first[i]] to order[first[i + 1]] */
    uint32_t *order;           /* owned; names by bucket */
    uint32_t *buckets;         /* owned; the fullest first */
    size_t bucket_count;       /* a power of two */
    size_t count;
};

/* --- search -------------------------------------------------------------------------------- */

static inline uint64_t load_word(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
    return word;
}

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The first 16 bytes, with zeros behind the end of the name. */
static inline void words_load(struct span name, uint64_t *low, uint64_t *high)
{
    static const uint8_t masks[2 * WORDS_SIZE] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                                  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    *low = 0;
    *high = 0;
    if (LIKELY(name.size > 0)) { /* or there may be no pointer */
        const uint8_t *mask = masks + WORDS_SIZE - MIN(name.size, WORDS_SIZE);
        *low = load_word(name.ptr) & load_word(mask);
        *high = load_word(name.ptr + 8) & load_word(mask + 8);
    }
}

static inline uint64_t hash_make(const struct perfect_hash *hash, struct span name, uint64_t low,
                                 uint64_t high)
{
    uint64_t mixed = fold(low ^ hash->seed, high ^ (hash->size_seed * (name.size + 1)));
    if (UNLIKELY(name.size > WORDS_SIZE)) {
        for (size_t i = WORDS_SIZE; i + WORDS_SIZE < name.size; i += WORDS_SIZE) {
            mixed = fold(load_word(name.ptr + i) ^ mixed,
                         load_word(name.ptr + i + 8) ^ hash->size_seed);
        }
        const uint8_t *end = name.ptr + name.size;
        mixed = fold(load_word(end - 16) ^ mixed, load_word(end - 8) ^ hash->size_seed);
    }
    return mixed;
}

static inline size_t bucket_of(const struct perfect_hash *hash, uint64_t mixed)
{
    return mixed >> hash->bucket_shift;
}

static inline size_t slot_of(const struct perfect_hash *hash, uint64_t mixed, uint64_t pilot)
{
    return (((mixed ^ pilot) * FACTOR_SLOT) >> 32) * hash->slot_count >> 32;
}

uint32_t perfect_hash_find(const struct perfect_hash *hash, struct span name)
{
    uint64_t low;
    uint64_t high;
    words_load(name, &low, &high);
    uint64_t mixed = hash_make(hash, name, low, high);
    uint64_t pilot = hash->pilots[bucket_of(hash, mixed)];
    const struct slot *slot = &hash->slots[slot_of(hash, mixed, pilot)];
    if (((slot->low ^ low) | (slot->high ^ high) | (slot->size ^ name.size)) != 0) {
        return PERFECT_HASH_NONE;
    }
    if (UNLIKELY(name.size > WORDS_SIZE) &&
        memcmp(slot->name + WORDS_SIZE, name.ptr + WORDS_SIZE, name.size - WORDS_SIZE) != 0) {
        return PERFECT_HASH_NONE;
    }
    return slot->index;
}

/* --- building ------------------------------------------------------------------------------ */

static struct span slot_name(const struct slot *slot)
{
    return span_of(slot->name, slot->size);
}

/* Take copies of the names, with bytes behind the last one that may be read. */
static int names_copy(struct builder *builder, const struct span *names)
{
    size_t text_size = WORDS_SIZE;
    for (size_t i = 0; i < builder->count; i++) {
        ASSERT(names[i].size < UINT32_MAX);
        text_size += names[i].size;
    }
    builder->hash->text = calloc(1, text_size);
    builder->names = calloc(builder->count + 1, sizeof(*builder->names));
    if (builder->hash->text == NULL || builder->names == NULL) {
        return GYR_ERR_MEMORY;
    }
    uint8_t *at = builder->hash->text;
    for (size_t i = 0; i < builder->count; i++) {
        struct slot *slot = &builder->names[i];
        if (names[i].size > 0) {
            memcpy(at, names[i].ptr, names[i].size);
        }
        *slot = (struct slot){.name = at, .size = (uint32_t)names[i].size, .index = (uint32_t)i};
        at += names[i].size;
    }
    for (size_t i = 0; i < builder->count; i++) {
        struct slot *slot = &builder->names[i];
        words_load(slot_name(slot), &slot->low, &slot->high);
    }
    return 0;
}

/* Room for as many slots as this attempt has; they are empty. */
static int slots_create(struct perfect_hash *hash, size_t slot_count)
{
    free(hash->slots);
    size_t size = (slot_count * sizeof(*hash->slots) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    hash->slots = aligned_alloc(CACHE_LINE, size);
    if (hash->slots == NULL) {
        return GYR_ERR_MEMORY;
    }
    hash->slot_count = (uint32_t)slot_count;
    for (size_t i = 0; i < slot_count; i++) {
        hash->slots[i] = (struct slot){.index = PERFECT_HASH_NONE};
    }
    return 0;
}

/* Sort the names by bucket; within one they stay in their order. */
static void buckets_fill(struct builder *builder)
{
    struct perfect_hash *hash = builder->hash;
    memset(builder->first, 0, (builder->bucket_count + 1) * sizeof(*builder->first));
    for (size_t i = 0; i < builder->count; i++) {
        const struct slot *name = &builder->names[i];
        builder->hashes[i] = hash_make(hash, slot_name(name), name->low, name->high);
        builder->first[bucket_of(hash, builder->hashes[i]) + 1]++;
    }
    for (size_t i = 0; i < builder->bucket_count; i++) {
        builder->first[i + 1] += builder->first[i];
    }
    /* first[i + 1] is where bucket i ends; each name, the last one first, moves that down. */
    for (size_t i = builder->count; i-- > 0;) {
        uint32_t *end = &builder->first[bucket_of(hash, builder->hashes[i]) + 1];
        (*end)--;
        builder->order[*end] = (uint32_t)i;
    }
    /* Now first[i + 1] is where bucket i begins. */
    memmove(builder->first, builder->first + 1, builder->bucket_count * sizeof(*builder->first));
    builder->first[builder->bucket_count] = (uint32_t)builder->count;
}

static size_t bucket_size(const struct builder *builder, size_t bucket)
{
    return builder->first[bucket + 1] - builder->first[bucket];
}

/* Sort the buckets by size. False if one is too full, which another seed will mend. */
static bool buckets_sort(struct builder *builder)
{
    uint32_t starts[BUCKET_SIZE_MAX + 2] = {0};
    for (size_t i = 0; i < builder->bucket_count; i++) {
        size_t size = bucket_size(builder, i);
        if (size > BUCKET_SIZE_MAX) {
            return false;
        }
        starts[BUCKET_SIZE_MAX - size + 1]++;
    }
    for (size_t i = 0; i <= BUCKET_SIZE_MAX; i++) {
        starts[i + 1] += starts[i];
    }
    for (size_t i = 0; i < builder->bucket_count; i++) {
        uint32_t *start = &starts[BUCKET_SIZE_MAX - bucket_size(builder, i)];
        builder->buckets[*start] = (uint32_t)i;
        (*start)++;
    }
    return true;
}

/* Do two names of this bucket have the same hash? 0: no, 1: yes, but they are different names. Of
 * a bucket that is too full only so many are compared: if that is for equal names, two of them are
 * found. */
static int bucket_check(const struct builder *builder, size_t bucket, size_t twins[2])
{
    const uint32_t *order = builder->order + builder->first[bucket];
    size_t size = MIN(bucket_size(builder, bucket), BUCKET_SIZE_MAX + 1);
    int status = 0;
    for (size_t i = 0; i < size; i++) {
        for (size_t k = i + 1; k < size; k++) {
            if (builder->hashes[order[i]] != builder->hashes[order[k]]) {
                continue;
            }
            status = 1;
            if (span_equal(slot_name(&builder->names[order[i]]),
                           slot_name(&builder->names[order[k]]))) {
                twins[0] = order[i];
                twins[1] = order[k];
                return GYR_ERR_EXISTS;
            }
        }
    }
    return status;
}

/* Give each name of the bucket a free slot by this pilot, or none of them. */
static bool bucket_try(struct builder *builder, size_t bucket, uint64_t pilot)
{
    struct perfect_hash *hash = builder->hash;
    const uint32_t *order = builder->order + builder->first[bucket];
    size_t size = bucket_size(builder, bucket);
    for (size_t i = 0; i < size; i++) {
        struct slot *slot = &hash->slots[slot_of(hash, builder->hashes[order[i]], pilot)];
        if (slot->index != PERFECT_HASH_NONE) {
            while (i-- > 0) {
                slot = &hash->slots[slot_of(hash, builder->hashes[order[i]], pilot)];
                slot->index = PERFECT_HASH_NONE;
            }
            return false;
        }
        slot->index = order[i];
    }
    for (size_t i = 0; i < size; i++) {
        hash->slots[slot_of(hash, builder->hashes[order[i]], pilot)] = builder->names[order[i]];
    }
    hash->pilots[bucket] = pilot;
    return true;
}

/* Build with the seed that the hash has. 0; 1: try another one; GYR_ERR_EXISTS. */
static int attempt(struct builder *builder, size_t twins[2])
{
    buckets_fill(builder);
    int status = 0;
    for (size_t i = 0; i < builder->bucket_count; i++) {
        int found = bucket_check(builder, i, twins);
        if (found < 0) {
            return found;
        }
        status |= found;
    }
    if (status != 0 || !buckets_sort(builder)) {
        return 1;
    }
    for (size_t i = 0; i < builder->bucket_count; i++) {
        uint32_t tried = 0;
        while (!bucket_try(builder, builder->buckets[i], tried * FACTOR_PILOT)) {
            tried++;
            if (tried == PILOT_COUNT) {
                return 1;
            }
        }
    }
    return 0;
}

static int build(struct builder *builder, const struct span *names, size_t twins[2])
{
    struct perfect_hash *hash = builder->hash;
    size_t count = builder->count;
    if (count > NAMES_MAX) {
        return GYR_ERR_MEMORY;
    }
    unsigned bucket_bits = 1; /* not 0: a shift by 64 is none */
    while (((size_t)BUCKET_NAMES << bucket_bits) < count) {
        bucket_bits++;
    }
    hash->bucket_shift = 64 - bucket_bits;
    builder->bucket_count = (size_t)1 << bucket_bits;
    hash->pilots = calloc(builder->bucket_count, sizeof(*hash->pilots));
    builder->hashes = calloc(count + 1, sizeof(*builder->hashes));
    builder->order = calloc(count + 1, sizeof(*builder->order));
    builder->first = calloc(builder->bucket_count + 1, sizeof(*builder->first));
    builder->buckets = calloc(builder->bucket_count, sizeof(*builder->buckets));
    if (hash->pilots == NULL || builder->hashes == NULL || builder->order == NULL ||
        builder->first == NULL || builder->buckets == NULL) {
        return GYR_ERR_MEMORY;
    }
    int status = names_copy(builder, names);
    size_t slot_count = count + count / 8 + 1;
    for (unsigned i = 1; status == 0 && i <= ATTEMPT_MAX; i++, slot_count += slot_count / 8) {
        hash->seed = fold(i * FACTOR_SEED, FACTOR_PILOT);
        hash->size_seed = fold(hash->seed, FACTOR_SLOT) | 1;
        status = slots_create(hash, slot_count);
        if (status == 0) {
            status = attempt(builder, twins);
            if (status <= 0) {
                return status;
            }
            status = 0;
        }
    }
    /* Without memory; so many seeds do not fail by chance. */
    ASSERT(status < 0);
    return status;
}

int perfect_hash_create(const struct span *names, size_t count, struct perfect_hash **hash,
                        size_t twins[2])
{
    struct builder builder = {.hash = calloc(1, sizeof(**hash)), .count = count};
    if (builder.hash == NULL) {
        return GYR_ERR_MEMORY;
    }
    int err = build(&builder, names, twins);
    free(builder.names);
    free(builder.hashes);
    free(builder.first);
    free(builder.order);
    free(builder.buckets);
    if (err != 0) {
        perfect_hash_destroy(builder.hash);
        return err;
    }
    *hash = builder.hash;
    return 0;
}

void perfect_hash_destroy(struct perfect_hash *hash)
{
    if (hash == NULL) {
        return;
    }
    free(hash->pilots);
    free(hash->slots);
    free(hash->text);
    free(hash);
}
