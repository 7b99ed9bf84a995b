/* SPDX-License-Identifier: MIT */
/* Text ids: a hash table of lists. A writer holds the lock of its list's stripe, one of 64. Readers
 * take no lock, and never wait for a writer, not for one either that was interrupted half-way. They
 * may do so because memory of a name is only ever that of a name of its class: a reader that stands
 * on one while it is removed and given to somebody else sees another name, and never nonsense.
 *
 *   - The contents of a name carry a state: a number that each life of it has for itself, the size
 *     of the id, and a bit that says that it is free or being written. Who reads the same state
 *     before and behind the contents has read one life's.
 *   - A list ends with a mark that names its bucket. Who arrives at the mark of another one was on
 *     a name that has moved there, and begins anew. A removed name keeps its `next`, and names are
 *     put in at the head only. So a name that leads to a given id, or to the mark of another list,
 *     goes on doing so while that id stays: removing what lies between only makes the way shorter,
 *     and what moves comes to stand in front of the id, or in another list. A reader that begins at
 *     the head stands on such names only; an id that was there all the time is always found (N1).
 *
 * All fields that are read without the lock are atomic. Loads acquire and stores release, which
 * costs nothing on x86-64: a reader that sees any of a new life's contents then also sees that the
 * old state has ended. What is done to the lists and names of a stripe is ordered by its lock; so a
 * reader that knows of an id, because it was told by whoever has added it, cannot see anything of
 * that stripe as it was before. */
#include "hub/names.h"

#include "base/siphash.h"
#include "engine/engine.h"

#include <pthread.h>
#include <stdalign.h>

#define STRIPE_COUNT    64U
#define BUCKETS_MAX     (1U << 22) /* 32 MB, touched where used */
#define CLASS_COUNT     3
#define SLAB_NAMES      16 /* of one class, taken together */
#define WORD            sizeof(uint64_t)
#define ID_WORDS_MAX    ((GYR_ID_SIZE_MAX + WORD - 1) / WORD)
#define STATE_BUSY      1U /* free, or being written */
#define STATE_SIZE_BIT  8
#define STATE_LIFE_BIT  16
#define LINK_IS_MARK(l) (((l)&1) != 0)

struct name {
    /* Read by any thread, written with the lock of the stripe. */
    _Atomic uint64_t state;
    _Atomic uintptr_t next;   /* the next name of the list, or the mark at its end */
    _Atomic uint64_t handle;  /* while it is free: the next free one of its class */
    _Atomic uint64_t words[]; /* the id, filled up with zeros */
};

/* Bytes of id: a UUID in its usual form has 36, and its name takes one cache line. */
static const uint16_t CLASS_SIZES[CLASS_COUNT] = {40, 104, 256};
static_assert(sizeof(struct name) == 24, "with 40 bytes of id it fills a line");

/* `names` follow, from the next line on. */
struct slab {
    struct slab *next; /* owned */
    size_t size;
};

struct stripe {
    alignas(CACHE_LINE) pthread_mutex_t lock;
    struct name *free[CLASS_COUNT];
    struct slab *slabs; /* owned */
    uint64_t count;
};

struct names {
    struct stripe stripes[STRIPE_COUNT];
    _Atomic uintptr_t *buckets; /* owned; any thread, written with the lock. 0: an empty list */
    uint64_t bucket_count;      /* a power of two; the stripe is the lowest bits of the bucket */
    uint8_t secret[16];
};

static uint64_t names_bucket(const struct names *names, struct span id);
static uintptr_t bucket_mark(uint64_t bucket);
static size_t id_pack(struct span id, uint64_t words[ID_WORDS_MAX]);
static bool name_is(const struct name *name, const uint64_t *words, size_t size, uint64_t *handle);
static struct name *link_name(uintptr_t link);
static struct name *list_find(const struct names *names, uint64_t bucket, const uint64_t *words,
                              size_t size, uint64_t *handle);
static unsigned class_of(size_t id_size);
static struct name *name_take(struct stripe *stripe, unsigned class_index);
static bool slab_add(struct stripe *stripe, unsigned class_index);
static void name_give(struct stripe *stripe, struct name *name, unsigned class_index);
static void name_write(struct name *name, const uint64_t *words, size_t size, uint64_t handle);

int names_create(const uint8_t secret[16], uint64_t count_max, struct names **names)
{
    struct names *made = memory_map(sizeof(*made));
    if (made == NULL) {
        return GYR_ERR_MEMORY;
    }
    /* Two to a list, if there are ever so many. */
    made->bucket_count = STRIPE_COUNT;
    while (made->bucket_count < BUCKETS_MAX && made->bucket_count < count_max / 2) {
        made->bucket_count *= 2;
    }
    made->buckets = memory_map(made->bucket_count * sizeof(*made->buckets));
    if (made->buckets == NULL) {
        memory_unmap(made, sizeof(*made));
        return GYR_ERR_MEMORY;
    }
    memcpy(made->secret, secret, sizeof(made->secret));
    for (unsigned i = 0; i < STRIPE_COUNT; i++) {
        (void)pthread_mutex_init(&made->stripes[i].lock, NULL); /* of this kind it cannot fail */
    }
    *names = made;
    return 0;
}

void names_destroy(struct names *names)
{
    if (names == NULL) {
        return;
    }
    for (unsigned i = 0; i < STRIPE_COUNT; i++) {
        struct stripe *stripe = &names->stripes[i];
        while (stripe->slabs != NULL) {
            struct slab *slab = stripe->slabs;
            stripe->slabs = slab->next;
            memory_free(slab);
        }
        (void)pthread_mutex_destroy(&stripe->lock);
    }
    memory_unmap(names->buckets, names->bucket_count * sizeof(*names->buckets));
    memory_unmap(names, sizeof(*names));
}

bool names_find(const struct names *names, struct span id, struct gyr_handle *handle)
{
    uint64_t words[ID_WORDS_MAX];
    if (id.size == 0 || id.size > GYR_ID_SIZE_MAX) {
        return false;
    }
    size_t size = id_pack(id, words);
    return list_find(names, names_bucket(names, id), words, size, &handle->id) != NULL;
}

int names_add(struct names *names, struct span id, struct gyr_handle handle, struct name **name_out,
              struct gyr_handle *holder)
{
    ASSERT(id.size != 0 && id.size <= GYR_ID_SIZE_MAX);
    uint64_t words[ID_WORDS_MAX];
    size_t size = id_pack(id, words);
    uint64_t bucket = names_bucket(names, id);
    _Atomic uintptr_t *head = &names->buckets[bucket];
    struct stripe *stripe = &names->stripes[bucket % STRIPE_COUNT];
    int err = 0;
    (void)pthread_mutex_lock(&stripe->lock);
    if (list_find(names, bucket, words, size, &holder->id) != NULL) {
        err = GYR_ERR_EXISTS;
        goto out;
    }
    struct name *name = name_take(stripe, class_of(size));
    if (name == NULL) {
        err = GYR_ERR_MEMORY;
        goto out;
    }
    name_write(name, words, size, handle.id);
    uintptr_t first = atomic_load_explicit(head, memory_order_relaxed);
    /* Partners of both: the loads in list_find. A reader may stand on this name still. */
    atomic_store_explicit(&name->next, first == 0 ? bucket_mark(bucket) : first,
                          memory_order_release);
    atomic_store_explicit(head, (uintptr_t)name, memory_order_release);
    stripe->count++;
    *name_out = name;
out:
    (void)pthread_mutex_unlock(&stripe->lock);
    return err;
}

void names_remove(struct names *names, struct name *name)
{
    struct span id = name_id(name);
    uint64_t bucket = names_bucket(names, id);
    struct stripe *stripe = &names->stripes[bucket % STRIPE_COUNT];
    (void)pthread_mutex_lock(&stripe->lock);
    _Atomic uintptr_t *link = &names->buckets[bucket];
    uintptr_t at = atomic_load_explicit(link, memory_order_relaxed);
    while (at != (uintptr_t)name) {
        ASSERT(at != 0 && !LINK_IS_MARK(at));
        link = &link_name(at)->next;
        at = atomic_load_explicit(link, memory_order_relaxed);
    }
    /* Its own `next` stays, for readers that stand on it. */
    atomic_store_explicit(link, atomic_load_explicit(&name->next, memory_order_relaxed),
                          memory_order_release);
    ASSERT(stripe->count > 0);
    stripe->count--;
    name_give(stripe, name, class_of(id.size));
    (void)pthread_mutex_unlock(&stripe->lock);
}

struct span name_id(const struct name *name)
{
    uint64_t state = atomic_load_explicit(&name->state, memory_order_relaxed);
    ASSERT((state & STATE_BUSY) == 0);
    return span_of((const uint8_t *)name + sizeof(*name), (uint8_t)(state >> STATE_SIZE_BIT));
}

struct names_size names_size(struct names *names)
{
    struct names_size size = {
        .memory_size = sizeof(*names) + names->bucket_count * sizeof(*names->buckets),
    };
    for (uint64_t i = 0; i < STRIPE_COUNT; i++) {
        struct stripe *stripe = &names->stripes[i];
        (void)pthread_mutex_lock(&stripe->lock);
        size.count += stripe->count;
        for (const struct slab *slab = stripe->slabs; slab != NULL; slab = slab->next) {
            size.memory_size += slab->size;
        }
        for (uint64_t bucket = i; bucket < names->bucket_count; bucket += STRIPE_COUNT) {
            uintptr_t at = atomic_load_explicit(&names->buckets[bucket], memory_order_relaxed);
            uint64_t length = 0;
            for (; at != 0 && !LINK_IS_MARK(at); length++) {
                at = atomic_load_explicit(&link_name(at)->next, memory_order_relaxed);
            }
            size.list_max = MAX(size.list_max, length);
        }
        (void)pthread_mutex_unlock(&stripe->lock);
    }
    return size;
}

static uint64_t names_bucket(const struct names *names, struct span id)
{
    return siphash(names->secret, id.ptr, id.size) & (names->bucket_count - 1);
}

static uintptr_t bucket_mark(uint64_t bucket)
{
    return (uintptr_t)bucket << 1 | 1;
}

/* The id as words, the last one filled up with zeros. Returns its size. */
static size_t id_pack(struct span id, uint64_t words[ID_WORDS_MAX])
{
    words[(id.size - 1) / WORD] = 0;
    memcpy(words, id.ptr, id.size);
    return id.size;
}

/* With or without the lock: the name with this id in a list, and its handle; NULL if there is
 * none. */
static struct name *list_find(const struct names *names, uint64_t bucket, const uint64_t *words,
                              size_t size, uint64_t *handle)
{
    uintptr_t end = bucket_mark(bucket);
    uintptr_t at;
    do { /* anew only if another thread has moved a name meanwhile */
        at = atomic_load_explicit(&names->buckets[bucket], memory_order_acquire);
        if (at == 0) {
            return NULL;
        }
        while (!LINK_IS_MARK(at)) {
            struct name *name = link_name(at);
            if (name_is(name, words, size, handle)) {
                return name;
            }
            at = atomic_load_explicit(&name->next, memory_order_acquire);
        }
    } while (at != end);
    return NULL;
}

static struct name *link_name(uintptr_t link)
{
    return (struct name *)link; /* NOLINT(performance-no-int-to-ptr): the lowest bit tells a mark */
}

/* Has it this id, in one life from the first load to the last? Then *handle is that life's. The
 * state's size is never above that of its class, so no load goes beyond the name. */
static bool name_is(const struct name *name, const uint64_t *words, size_t size, uint64_t *handle)
{
    uint64_t state = atomic_load_explicit(&name->state, memory_order_acquire);
    if ((state & ((1U << STATE_LIFE_BIT) - 1)) != size << STATE_SIZE_BIT) {
        return false;
    }
    for (size_t i = 0; i < (size + WORD - 1) / WORD; i++) {
        if (atomic_load_explicit(&name->words[i], memory_order_acquire) != words[i]) {
            return false;
        }
    }
    uint64_t found = atomic_load_explicit(&name->handle, memory_order_acquire);
    /* Relaxed is enough: each load above acquires, so this one is not made before them. Partner:
     * the stores in name_write and name_give, each behind the one that ends the old state. */
    if (atomic_load_explicit(&name->state, memory_order_relaxed) != state) {
        return false;
    }
    *handle = found;
    return true;
}

/* A name that is taken is busy, or nobody has seen it yet. */
static void name_write(struct name *name, const uint64_t *words, size_t size, uint64_t handle)
{
    uint64_t life = atomic_load_explicit(&name->state, memory_order_relaxed) >> STATE_LIFE_BIT;
    for (size_t i = 0; i < (size + WORD - 1) / WORD; i++) {
        atomic_store_explicit(&name->words[i], words[i], memory_order_release);
    }
    atomic_store_explicit(&name->handle, handle, memory_order_release);
    atomic_store_explicit(&name->state, (life + 1) << STATE_LIFE_BIT | size << STATE_SIZE_BIT,
                          memory_order_release);
}

static unsigned class_of(size_t id_size)
{
    unsigned class_index = 0;
    while (class_index < CLASS_COUNT - 1 && id_size > CLASS_SIZES[class_index]) {
        class_index++;
    }
    return class_index;
}

static struct name *name_take(struct stripe *stripe, unsigned class_index)
{
    if (stripe->free[class_index] == NULL && !slab_add(stripe, class_index)) {
        return NULL;
    }
    struct name *name = stripe->free[class_index];
    uintptr_t next = atomic_load_explicit(&name->handle, memory_order_relaxed);
    stripe->free[class_index] = link_name(next);
    return name;
}

/* Memory of names is given back with the table only: see above. */
static bool slab_add(struct stripe *stripe, unsigned class_index)
{
    size_t name_size = sizeof(struct name) + CLASS_SIZES[class_index];
    size_t size = sizeof(struct slab) + CACHE_LINE - 1 + SLAB_NAMES * name_size;
    struct slab *slab = memory_alloc(size);
    if (slab == NULL) {
        return false;
    }
    *slab = (struct slab){.next = stripe->slabs, .size = size};
    stripe->slabs = slab;
    uintptr_t first = ((uintptr_t)(slab + 1) + CACHE_LINE - 1) & ~(uintptr_t)(CACHE_LINE - 1);
    for (size_t i = SLAB_NAMES; i-- > 0;) {
        name_give(stripe, link_name(first + i * name_size), class_index);
    }
    return true;
}

static void name_give(struct stripe *stripe, struct name *name, unsigned class_index)
{
    uint64_t state = atomic_load_explicit(&name->state, memory_order_relaxed);
    atomic_store_explicit(&name->state, state | STATE_BUSY, memory_order_relaxed);
    atomic_store_explicit(&name->handle, (uintptr_t)stripe->free[class_index],
                          memory_order_release);
    stripe->free[class_index] = name;
}
