/* SPDX-License-Identifier: MIT */
/* Buckets are chains of rooms, changed under one of 64 locks, followed by anybody at any time: a
 * room is put in front with one store, and taken out with one. Whoever stands on a room that is
 * taken out goes on from there as before, since its link stays as it is. Only when it begins again,
 * perhaps in another chain, does the link change; then who is led astray finds the stripe's version
 * changed, and begins anew. So a search goes on even if the thread that holds the lock does not. */
#include "hub/registry.h"

#include <pthread.h>
#include <stdalign.h>

#define STRIPE_COUNT      64 /* a power of two; the lowest bits of a bucket's number */
#define BUCKETS_MAX       (1U << 22)
#define CAPACITY_MIN      2U /* words of the smallest block of a name: 16 bytes */
#define CAPACITY_SHIFTS   5  /* 2, 4, 8, 16, 32 words: 256 bytes hold every name */
#define LIVES(generation) (((generation)&1) != 0)

static_assert((CAPACITY_MIN << (CAPACITY_SHIFTS - 1)) * 8 > GYR_ROOM_NAME_SIZE_MAX,
              "every name has a block");

/* Space for a name. Only its words are looked at without a lock. */
struct name_block {
    struct name_block *next; /* nobody uses it */
    _Atomic uint64_t words[];
};

struct stripe {
    alignas(CACHE_LINE) pthread_mutex_t lock;
    /* Grows whenever a room is taken out, before it can begin again. Written under the lock, read
     * by any thread (partner: bucket_find). */
    _Atomic uint64_t version;
    uint64_t event_number; /* of the last event of its rooms */
};

struct registry {
    struct registry_config config;
    uint32_t bucket_mask;
    size_t shared_size;
    _Atomic uint32_t *buckets;            /* owned; mapped: index + 1 of the first, 0: none */
    _Atomic(struct room_shared *) *rooms; /* owned; mapped; each is set once, by who makes it */
    struct stripe stripes[STRIPE_COUNT];

    alignas(CACHE_LINE)
        pthread_mutex_t free_lock; /* within that of a stripe; guards what follows */
    uint32_t free_first;           /* index + 1 of a room that has ended, 0: none */
    uint32_t made_count;
    struct name_block *names[CAPACITY_SHIFTS]; /* owned; nobody uses them */
    _Atomic uint32_t count;                    /* of rooms that live; read by any thread */
};

static struct room_shared *bucket_find(struct registry *registry, struct gyr_span name,
                                       uint64_t hash, uint32_t *generation);
static bool shared_is(const struct room_shared *shared, struct gyr_span name, uint64_t hash,
                      uint32_t generation);
static int shared_make(struct registry *registry, uint32_t name_size, struct room_shared **shared);
static int shared_name(struct registry *registry, struct room_shared *shared, uint32_t name_size);
static void shared_begin(struct registry *registry, struct room_shared *shared,
                         struct gyr_span name, uint64_t hash);
static void shared_end(struct registry *registry, struct room_shared *shared);
static void shared_free(struct registry *registry, struct room_shared *shared);
static struct room_counters *counters_of(const struct registry *registry,
                                         struct room_shared *shared, unsigned core);
static struct room_counters *counters_make(const struct registry *registry,
                                           struct room_shared *shared, unsigned core);
static void counters_zero(struct room_counters *counters);

/* ---- start and end ---- */

struct registry *registry_create(const struct registry_config *config)
{
    struct registry *registry = memory_map(sizeof(*registry));
    if (registry == NULL) {
        return NULL;
    }
    registry->config = *config;
    uint32_t bucket_count = STRIPE_COUNT;
    while (bucket_count < config->room_max && bucket_count < BUCKETS_MAX) {
        bucket_count *= 2;
    }
    registry->bucket_mask = bucket_count - 1;
    unsigned words = (config->core_count + BROADCAST_WORD_CORES - 1) / BROADCAST_WORD_CORES;
    registry->shared_size = offsetof(struct room_shared, interest) + words * sizeof(uint64_t) +
                            config->core_count * sizeof(struct room_counters *);
    for (unsigned i = 0; i < STRIPE_COUNT; i++) {
        (void)pthread_mutex_init(&registry->stripes[i].lock,
                                 NULL); /* of this kind it cannot fail */
    }
    (void)pthread_mutex_init(&registry->free_lock, NULL);
    registry->buckets = memory_map(bucket_count * sizeof(*registry->buckets));
    registry->rooms = memory_map(config->room_max * sizeof(*registry->rooms));
    if (registry->buckets == NULL || registry->rooms == NULL) {
        registry_destroy(registry);
        return NULL;
    }
    return registry;
}

void registry_destroy(struct registry *registry)
{
    if (registry == NULL) {
        return;
    }
    for (uint32_t i = 0; i < registry->made_count; i++) {
        struct room_shared *shared = registry->rooms[i];
        for (unsigned core = 0; core < registry->config.core_count; core++) {
            memory_free(counters_of(registry, shared, core));
        }
        memory_free(shared->name);
        memory_free(shared);
    }
    for (unsigned i = 0; i < CAPACITY_SHIFTS; i++) {
        while (registry->names[i] != NULL) {
            struct name_block *block = registry->names[i];
            registry->names[i] = block->next;
            memory_free(block);
        }
    }
    for (unsigned i = 0; i < STRIPE_COUNT; i++) {
        (void)pthread_mutex_destroy(&registry->stripes[i].lock);
    }
    (void)pthread_mutex_destroy(&registry->free_lock);
    memory_unmap(registry->buckets, (registry->bucket_mask + 1) * sizeof(uint32_t));
    memory_unmap(registry->rooms, registry->config.room_max * sizeof(*registry->rooms));
    memory_unmap(registry, sizeof(*registry));
}

/* ---- looking up ---- */

bool registry_find(struct registry *registry, struct gyr_span name, uint64_t hash,
                   struct room_ref *ref)
{
    ref->shared = bucket_find(registry, name, hash, &ref->generation);
    return ref->shared != NULL;
}

static struct stripe *stripe_of(struct registry *registry, uint64_t hash)
{
    return &registry->stripes[hash & registry->bucket_mask & (STRIPE_COUNT - 1)];
}

/* NULL: there was an instant during this call at which no room had the name. */
static struct room_shared *bucket_find(struct registry *registry, struct gyr_span name,
                                       uint64_t hash, uint32_t *generation)
{
    struct stripe *stripe = stripe_of(registry, hash);
    for (;;) {
        /* Partner: shared_end. What we see of a room that has begun again, its link included, was
         * stored after the version had grown. */
        uint64_t version = atomic_load_explicit(&stripe->version, memory_order_acquire);
        uint64_t now = version;
        uint32_t at = atomic_load_explicit(&registry->buckets[hash & registry->bucket_mask],
                                           memory_order_acquire);
        while (at != 0 && now == version) {
            struct room_shared *shared =
                atomic_load_explicit(&registry->rooms[at - 1], memory_order_acquire);
            *generation = atomic_load_explicit(&shared->generation, memory_order_acquire);
            if (LIVES(*generation) && shared_is(shared, name, hash, *generation)) {
                return shared;
            }
            at = atomic_load_explicit(&shared->next, memory_order_acquire);
            now = atomic_load_explicit(&stripe->version, memory_order_acquire);
        }
        if (now == version) {
            return NULL;
        }
    }
}

/* Has it this name, in this generation? The words are read one by one while another thread may
 * write them; then the generation is another one. */
static bool shared_is(const struct room_shared *shared, struct gyr_span name, uint64_t hash,
                      uint32_t generation)
{
    if (atomic_load_explicit(&shared->hash, memory_order_acquire) != hash ||
        atomic_load_explicit(&shared->name_size, memory_order_acquire) != name.size) {
        return false;
    }
    const _Atomic uint64_t *words =
        atomic_load_explicit(&shared->name, memory_order_acquire)->words;
    for (size_t i = 0; i < name.size; i += sizeof(uint64_t)) {
        uint64_t word = 0;
        memcpy(&word, name.ptr + i, MIN(name.size - i, sizeof(word)));
        if (atomic_load_explicit(&words[i / sizeof(word)], memory_order_acquire) != word) {
            return false;
        }
    }
    return atomic_load_explicit(&shared->generation, memory_order_acquire) == generation;
}

int registry_stats(struct registry *registry, struct gyr_span name, uint64_t hash,
                   struct gyr_room_stats *stats)
{
    struct room_ref ref;
    do {
        if (!registry_find(registry, name, hash, &ref)) {
            return GYR_ERR_NOT_FOUND;
        }
        memset(stats, 0, sizeof(*stats));
        for (unsigned i = 0; i < registry->config.core_count; i++) {
            const struct room_counters *counters = counters_of(registry, ref.shared, i);
            if (counters != NULL) {
#define COUNTER_SUM(name, text) \
    stats->name += atomic_load_explicit(&counters->name, memory_order_acquire);
                GYR_ROOM_STATS(COUNTER_SUM)
#undef COUNTER_SUM
            }
        }
    } while (!registry_is_same(&ref));
    return 0;
}

uint32_t registry_count(const struct registry *registry)
{
    return atomic_load_explicit(&registry->count, memory_order_relaxed);
}

/* ---- begin and end ---- */

int registry_enter(struct registry *registry, unsigned core, struct gyr_span name, uint64_t hash,
                   struct registry_entered *entered)
{
    struct stripe *stripe = stripe_of(registry, hash);
    int err = 0;
    uint32_t generation;
    (void)pthread_mutex_lock(&stripe->lock);
    struct room_shared *shared = bucket_find(registry, name, hash, &generation);
    bool is_new = shared == NULL;
    if (is_new) {
        err = shared_make(registry, (uint32_t)name.size, &shared);
        if (err < 0) {
            goto out;
        }
    }
    entered->counters = counters_make(registry, shared, core);
    if (entered->counters == NULL) {
        err = GYR_ERR_MEMORY;
    } else if (is_new) {
        err = registry->config.begin(registry->config.context, core, name, &shared->rule);
    }
    if (err < 0) {
        if (is_new) {
            shared_free(registry, shared);
        }
        goto out;
    }
    if (is_new) {
        shared_begin(registry, shared, name, hash);
    }
    ASSERT(shared != NULL);
    shared->core_count++;
    entered->event_number = is_new ? ++stripe->event_number : 0;
    entered->ref.shared = shared;
    entered->ref.generation = atomic_load_explicit(&shared->generation, memory_order_relaxed);
out:
    (void)pthread_mutex_unlock(&stripe->lock);
    return err;
}

uint64_t registry_exit(struct registry *registry, unsigned core, struct room_shared *shared)
{
    uint64_t hash = atomic_load_explicit(&shared->hash, memory_order_relaxed);
    struct stripe *stripe = stripe_of(registry, hash);
    uint64_t event_number = 0;
    (void)pthread_mutex_lock(&stripe->lock);
    ASSERT(shared->core_count > 0);
    shared->core_count--;
    if (shared->core_count == 0) {
        char name[GYR_ROOM_NAME_SIZE_MAX + 1];
        size_t name_size = atomic_load_explicit(&shared->name_size, memory_order_relaxed);
        _Atomic uint64_t *words = atomic_load_explicit(&shared->name, memory_order_relaxed)->words;
        for (size_t i = 0; i < name_size; i += sizeof(uint64_t)) {
            uint64_t word = atomic_load_explicit(&words[i / sizeof(word)], memory_order_relaxed);
            memcpy(name + i, &word, sizeof(word));
        }
        shared_end(registry, shared);
        registry->config.end(registry->config.context, core, (struct gyr_span){name, name_size},
                             shared->rule);
        event_number = ++stripe->event_number;
        shared_free(registry, shared);
    }
    (void)pthread_mutex_unlock(&stripe->lock);
    return event_number;
}

/* A room that has ended, or a new one, with space for a name. */
static int shared_make(struct registry *registry, uint32_t name_size, struct room_shared **shared)
{
    int err = 0;
    (void)pthread_mutex_lock(&registry->free_lock);
    struct room_shared *made = NULL;
    if (registry->free_first != 0) {
        made =
            atomic_load_explicit(&registry->rooms[registry->free_first - 1], memory_order_relaxed);
    } else if (registry->made_count == registry->config.room_max) {
        err = GYR_ERR_LIMIT;
    } else {
        made = memory_alloc(registry->shared_size);
        if (made != NULL) {
            made->index = registry->made_count;
            made->lane = made->index % registry->config.lane_count;
            /* Partner: bucket_find, which meets its index behind this. */
            atomic_store_explicit(&registry->rooms[made->index], made, memory_order_release);
            registry->made_count++;
            registry->free_first = made->index + 1;
        }
    }
    if (err == 0) {
        err = made == NULL ? GYR_ERR_MEMORY : shared_name(registry, made, name_size);
    }
    if (err == 0) {
        registry->free_first = made->next_free;
        atomic_fetch_add_explicit(&registry->count, 1, memory_order_relaxed);
        *shared = made;
    }
    (void)pthread_mutex_unlock(&registry->free_lock);
    return err;
}

/* Make space for a name. The old block is used again for other names, and not freed: somebody may
 * be reading it. It never gets less: so a size that was read before the block fits in the block. */
static int shared_name(struct registry *registry, struct room_shared *shared, uint32_t name_size)
{
    unsigned shift = 0;
    while ((CAPACITY_MIN << shift) * sizeof(uint64_t) < name_size) {
        shift++;
    }
    uint32_t capacity = CAPACITY_MIN << shift;
    if (shared->name_capacity >= capacity) {
        return 0;
    }
    struct name_block *block = registry->names[shift];
    if (block != NULL) {
        registry->names[shift] = block->next;
    } else {
        block = memory_alloc(sizeof(*block) + capacity * sizeof(uint64_t));
        if (block == NULL) {
            return GYR_ERR_MEMORY;
        }
    }
    struct name_block *old = atomic_load_explicit(&shared->name, memory_order_relaxed);
    if (old != NULL) {
        unsigned old_shift = (unsigned)__builtin_ctz(shared->name_capacity / CAPACITY_MIN);
        old->next = registry->names[old_shift];
        registry->names[old_shift] = old;
    }
    /* Of a room that does not live; partner: shared_is. */
    atomic_store_explicit(&shared->name, block, memory_order_release);
    shared->name_capacity = capacity;
    return 0;
}

/* Under the lock of the stripe. Everything is stored before the generation turns odd, and the room
 * is put into its chain behind that. */
static void shared_begin(struct registry *registry, struct room_shared *shared,
                         struct gyr_span name, uint64_t hash)
{
    for (unsigned i = 0; i < registry->config.core_count; i++) {
        struct room_counters *counters = counters_of(registry, shared, i);
        if (counters != NULL) {
            counters_zero(counters);
        }
    }
    _Atomic uint64_t *words = atomic_load_explicit(&shared->name, memory_order_relaxed)->words;
    for (size_t i = 0; i < name.size; i += sizeof(uint64_t)) {
        uint64_t word = 0;
        memcpy(&word, name.ptr + i, MIN(name.size - i, sizeof(word)));
        atomic_store_explicit(&words[i / sizeof(word)], word, memory_order_release);
    }
    atomic_store_explicit(&shared->name_size, (uint32_t)name.size, memory_order_release);
    atomic_store_explicit(&shared->hash, hash, memory_order_release);
    _Atomic uint32_t *bucket = &registry->buckets[hash & registry->bucket_mask];
    atomic_store_explicit(&shared->next, atomic_load_explicit(bucket, memory_order_relaxed),
                          memory_order_release);
    atomic_fetch_add_explicit(&shared->generation, 1, memory_order_seq_cst);
    atomic_store_explicit(bucket, shared->index + 1, memory_order_release);
}

/* Under the lock of the stripe. The version grows before anything of the room can change. */
static void shared_end(struct registry *registry, struct room_shared *shared)
{
    atomic_fetch_add_explicit(&shared->generation, 1, memory_order_seq_cst);
    uint64_t hash = atomic_load_explicit(&shared->hash, memory_order_relaxed);
    _Atomic uint32_t *link = &registry->buckets[hash & registry->bucket_mask];
    uint32_t at = atomic_load_explicit(link, memory_order_relaxed);
    while (at != shared->index + 1) {
        ASSERT(at != 0);
        link = &atomic_load_explicit(&registry->rooms[at - 1], memory_order_relaxed)->next;
        at = atomic_load_explicit(link, memory_order_relaxed);
    }
    atomic_store_explicit(link, atomic_load_explicit(&shared->next, memory_order_relaxed),
                          memory_order_release);
    struct stripe *stripe = stripe_of(registry, hash);
    atomic_fetch_add_explicit(&stripe->version, 1, memory_order_seq_cst);
}

/* It may begin again. */
static void shared_free(struct registry *registry, struct room_shared *shared)
{
    (void)pthread_mutex_lock(&registry->free_lock);
    shared->next_free = registry->free_first;
    registry->free_first = shared->index + 1;
    atomic_fetch_sub_explicit(&registry->count, 1, memory_order_relaxed);
    (void)pthread_mutex_unlock(&registry->free_lock);
}

/* ---- counters ---- */

static _Atomic(struct room_counters *) *counters_slot(const struct registry *registry,
                                                      struct room_shared *shared, unsigned core)
{
    size_t offset = registry->shared_size -
                    (registry->config.core_count - core) * sizeof(struct room_counters *);
    return (_Atomic(struct room_counters *) *)(void *)((char *)shared + offset);
}

static struct room_counters *counters_of(const struct registry *registry,
                                         struct room_shared *shared, unsigned core)
{
    /* Partner: counters_make. */
    return atomic_load_explicit(counters_slot(registry, shared, core), memory_order_acquire);
}

static struct room_counters *counters_make(const struct registry *registry,
                                           struct room_shared *shared, unsigned core)
{
    struct room_counters *counters = counters_of(registry, shared, core);
    if (counters == NULL) {
        counters = memory_alloc(sizeof(*counters));
        atomic_store_explicit(counters_slot(registry, shared, core), counters,
                              memory_order_release);
    }
    return counters;
}

static void counters_zero(struct room_counters *counters)
{
#define COUNTER_ZERO(name, text) atomic_store_explicit(&counters->name, 0, memory_order_relaxed);
    GYR_ROOM_STATS(COUNTER_ZERO)
#undef COUNTER_ZERO
}
