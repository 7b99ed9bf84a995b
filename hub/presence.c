/* SPDX-License-Identifier: MIT */
/* Presence: 64 stripes, each a lock and two hash tables, one of rooms and one of ids in rooms. A
 * room's ids are a list as well, so that to ask costs what the answer has. The stripe is that of
 * the room, so one lock is enough for whatever happens in it. */
#include "hub/presence.h"

#include "base/list.h"
#include "base/siphash.h"
#include "engine/engine.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>

#define STRIPE_COUNT 64
#define STRIPE_BITS  6
#define BUCKETS_MIN  8U

struct node {
    struct node *next; /* owned; of the bucket */
    uint64_t hash;
};

struct table {
    struct node **buckets; /* owned; bucket_count of them: a power of two, or 0 */
    size_t bucket_count;
    size_t count;
};

struct room {
    struct node node; /* first member */
    struct list ids;
    size_t id_count;
    size_t id_size; /* bytes of all ids */
    size_t name_size;
    uint8_t name[];
};

struct id {
    struct node node; /* first member */
    struct list link; /* of room->ids */
    struct room *room;
    size_t size;
    uint8_t bytes[];
};

struct stripe {
    alignas(CACHE_LINE) pthread_mutex_t lock;
    struct table rooms;
    struct table ids;
};

struct presence {
    struct stripe stripes[STRIPE_COUNT];
    uint8_t secret[16];
    size_t size_max;
    _Atomic size_t size; /* any thread; a sum, which orders nothing */
};

static int add(struct presence *presence, struct stripe *stripe, struct gyr_span room_name,
               uint64_t hash, struct gyr_span id_bytes);
static struct room *room_find(const struct stripe *stripe, struct gyr_span name, uint64_t hash);
static struct room *room_make(struct presence *presence, struct stripe *stripe,
                              struct gyr_span name, uint64_t hash);
static void room_end(struct presence *presence, struct stripe *stripe, struct room *room);
static uint64_t id_hash(const struct presence *presence, uint64_t room_hash, struct gyr_span id);
static struct id *id_find(const struct stripe *stripe, const struct room *room, struct gyr_span id,
                          uint64_t hash);
static void id_end(struct presence *presence, struct stripe *stripe, struct id *id);
static struct node *table_first(const struct table *table, uint64_t hash);
static int table_add(struct presence *presence, struct table *table, struct node *node);
static void table_remove(struct table *table, struct node *node);
static void *take(struct presence *presence, size_t size);
static void give(struct presence *presence, void *pointer, size_t size);

static struct stripe *stripe_lock(struct presence *presence, struct gyr_span room, uint64_t *hash)
{
    *hash = siphash(presence->secret, room.ptr, room.size);
    struct stripe *stripe = &presence->stripes[*hash >> (64 - STRIPE_BITS)];
    (void)pthread_mutex_lock(&stripe->lock);
    return stripe;
}

static void stripe_unlock(struct stripe *stripe)
{
    (void)pthread_mutex_unlock(&stripe->lock);
}

struct presence *presence_create(const uint8_t secret[16], size_t size_max)
{
    struct presence *presence = memory_map(sizeof(*presence));
    if (presence == NULL) {
        return NULL;
    }
    memcpy(presence->secret, secret, sizeof(presence->secret));
    presence->size_max = size_max;
    for (unsigned i = 0; i < STRIPE_COUNT; i++) {
        (void)pthread_mutex_init(&presence->stripes[i].lock, NULL); /* of this kind cannot fail */
    }
    return presence;
}

void presence_destroy(struct presence *presence)
{
    if (presence == NULL) {
        return;
    }
    for (unsigned i = 0; i < STRIPE_COUNT; i++) {
        struct stripe *stripe = &presence->stripes[i];
        for (size_t bucket = 0; bucket < stripe->ids.bucket_count; bucket++) {
            while (stripe->ids.buckets[bucket] != NULL) {
                id_end(presence, stripe, (struct id *)(void *)stripe->ids.buckets[bucket]);
            }
        }
        give(presence, stripe->ids.buckets, stripe->ids.bucket_count * sizeof(struct node *));
        give(presence, stripe->rooms.buckets, stripe->rooms.bucket_count * sizeof(struct node *));
        (void)pthread_mutex_destroy(&stripe->lock);
    }
    ASSERT(presence_size(presence) == 0);
    memory_unmap(presence, sizeof(*presence));
}

int presence_add(struct presence *presence, struct gyr_span room, struct gyr_span id)
{
    uint64_t hash = 0;
    struct stripe *stripe = stripe_lock(presence, room, &hash);
    int err = add(presence, stripe, room, hash, id);
    stripe_unlock(stripe);
    return err;
}

void presence_remove(struct presence *presence, struct gyr_span room_name, struct gyr_span id_bytes)
{
    uint64_t hash = 0;
    struct stripe *stripe = stripe_lock(presence, room_name, &hash);
    const struct room *room = room_find(stripe, room_name, hash);
    if (room != NULL) {
        struct id *id = id_find(stripe, room, id_bytes, id_hash(presence, hash, id_bytes));
        if (id != NULL) {
            id_end(presence, stripe, id);
        }
    }
    stripe_unlock(stripe);
}

int presence_list(struct presence *presence, struct gyr_span room_name, struct presence_ids **ids)
{
    uint64_t hash = 0;
    struct stripe *stripe = stripe_lock(presence, room_name, &hash);
    struct room *room = room_find(stripe, room_name, hash);
    size_t count = room != NULL ? room->id_count : 0;
    size_t size = room != NULL ? room->id_size : 0;
    struct presence_ids *list = memory_alloc(sizeof(*list) + count * sizeof(list->ids[0]) + size);
    if (list != NULL && room != NULL) {
        char *bytes = (char *)&list->ids[count];
        for (struct list *node = room->ids.next; node != &room->ids; node = node->next) {
            const struct id *id = CONTAINER_OF(node, struct id, link);
            memcpy(bytes, id->bytes, id->size);
            list->ids[list->count] = (struct gyr_span){.ptr = bytes, .size = id->size};
            list->count++;
            bytes += id->size;
        }
    }
    stripe_unlock(stripe);
    *ids = list;
    return list != NULL ? 0 : GYR_ERR_MEMORY;
}

size_t presence_size(const struct presence *presence)
{
    return atomic_load_explicit(&presence->size, memory_order_relaxed);
}

static int add(struct presence *presence, struct stripe *stripe, struct gyr_span room_name,
               uint64_t hash, struct gyr_span id_bytes)
{
    struct room *room = room_find(stripe, room_name, hash);
    uint64_t hash_of_id = id_hash(presence, hash, id_bytes);
    if (room != NULL && id_find(stripe, room, id_bytes, hash_of_id) != NULL) {
        return GYR_ERR_EXISTS;
    }
    struct id *id = take(presence, sizeof(*id) + id_bytes.size);
    if (id == NULL) {
        return GYR_ERR_MEMORY;
    }
    id->node.hash = hash_of_id;
    id->size = id_bytes.size;
    memcpy(id->bytes, id_bytes.ptr, id_bytes.size);
    if (room == NULL) {
        room = room_make(presence, stripe, room_name, hash);
    }
    if (room == NULL) {
        give(presence, id, sizeof(*id) + id_bytes.size);
        return GYR_ERR_MEMORY;
    }
    if (table_add(presence, &stripe->ids, &id->node) < 0) {
        give(presence, id, sizeof(*id) + id_bytes.size);
        room_end(presence, stripe, room);
        return GYR_ERR_MEMORY;
    }
    id->room = room;
    list_push_back(&room->ids, &id->link);
    room->id_count++;
    room->id_size += id->size;
    return 0;
}

static struct room *room_find(const struct stripe *stripe, struct gyr_span name, uint64_t hash)
{
    for (struct node *node = table_first(&stripe->rooms, hash); node != NULL; node = node->next) {
        struct room *room = (struct room *)(void *)node;
        if (node->hash == hash &&
            span_equal(span_of(room->name, room->name_size), span_of(name.ptr, name.size))) {
            return room;
        }
    }
    return NULL;
}

static struct room *room_make(struct presence *presence, struct stripe *stripe,
                              struct gyr_span name, uint64_t hash)
{
    struct room *room = take(presence, sizeof(*room) + name.size);
    if (room == NULL) {
        return NULL;
    }
    list_init(&room->ids);
    room->node.hash = hash;
    room->name_size = name.size;
    if (name.size > 0) {
        memcpy(room->name, name.ptr, name.size);
    }
    if (table_add(presence, &stripe->rooms, &room->node) < 0) {
        give(presence, room, sizeof(*room) + name.size);
        return NULL;
    }
    return room;
}

/* Nothing happens to a room with somebody in it. */
static void room_end(struct presence *presence, struct stripe *stripe, struct room *room)
{
    if (room->id_count == 0) {
        table_remove(&stripe->rooms, &room->node);
        give(presence, room, sizeof(*room) + room->name_size);
    }
}

static uint64_t id_hash(const struct presence *presence, uint64_t room_hash, struct gyr_span id)
{
    return siphash(presence->secret, id.ptr, id.size) ^ room_hash;
}

static struct id *id_find(const struct stripe *stripe, const struct room *room, struct gyr_span id,
                          uint64_t hash)
{
    for (struct node *node = table_first(&stripe->ids, hash); node != NULL; node = node->next) {
        struct id *found = (struct id *)(void *)node;
        if (node->hash == hash && found->room == room &&
            span_equal(span_of(found->bytes, found->size), span_of(id.ptr, id.size))) {
            return found;
        }
    }
    return NULL;
}

static void id_end(struct presence *presence, struct stripe *stripe, struct id *id)
{
    struct room *room = id->room;
    table_remove(&stripe->ids, &id->node);
    list_remove(&id->link);
    room->id_count--;
    room->id_size -= id->size;
    give(presence, id, sizeof(*id) + id->size);
    room_end(presence, stripe, room);
}

/* ---- tables ---- */

static struct node *table_first(const struct table *table, uint64_t hash)
{
    return table->bucket_count > 0 ? table->buckets[hash & (table->bucket_count - 1)] : NULL;
}

static int table_add(struct presence *presence, struct table *table, struct node *node)
{
    if (table->count >= table->bucket_count) {
        size_t count = MAX(BUCKETS_MIN, table->bucket_count * 2);
        struct node **buckets = take(presence, count * sizeof(struct node *));
        if (buckets == NULL) {
            return GYR_ERR_MEMORY;
        }
        for (size_t i = 0; i < table->bucket_count; i++) {
            while (table->buckets[i] != NULL) {
                struct node *moved = table->buckets[i];
                table->buckets[i] = moved->next;
                moved->next = buckets[moved->hash & (count - 1)];
                buckets[moved->hash & (count - 1)] = moved;
            }
        }
        give(presence, table->buckets, table->bucket_count * sizeof(struct node *));
        table->buckets = buckets;
        table->bucket_count = count;
    }
    struct node **bucket = &table->buckets[node->hash & (table->bucket_count - 1)];
    node->next = *bucket;
    *bucket = node;
    table->count++;
    return 0;
}

static void table_remove(struct table *table, struct node *node)
{
    struct node **link = &table->buckets[node->hash & (table->bucket_count - 1)];
    while (*link != node) {
        link = &(*link)->next;
    }
    *link = node->next;
    table->count--;
}

/* ---- the bound ---- */

/* Zeroed. */
static void *take(struct presence *presence, size_t size)
{
    size_t before = atomic_fetch_add_explicit(&presence->size, size, memory_order_relaxed);
    void *pointer = before + size <= presence->size_max ? memory_alloc(size) : NULL;
    if (pointer == NULL) {
        atomic_fetch_sub_explicit(&presence->size, size, memory_order_relaxed);
    }
    return pointer;
}

static void give(struct presence *presence, void *pointer, size_t size)
{
    if (pointer != NULL) {
        atomic_fetch_sub_explicit(&presence->size, size, memory_order_relaxed);
        memory_free(pointer);
    }
}
