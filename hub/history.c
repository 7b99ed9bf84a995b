/* SPDX-License-Identifier: MIT */
/* Histories of rooms. A room keeps the messages with the offsets newest - count + 1 to newest in a
 * ring of pointers, at the place that the offset's low bits say, so that a place is found without a
 * search. Three things let messages go: the rule's count, the rule's time, and the bound of all
 * rooms, which takes from the room that was used least lately. A room without messages stays known,
 * because its epoch tells those who come back that they have missed nothing; the bound takes such
 * rooms, too, and they have another epoch when they are known again. A room that has more than its
 * share pays for its messages itself, so that a busy one does not push out all others. */
#include "hub/history.h"

#include "base/list.h"
#include "base/siphash.h"

#define PLACES_MIN  4U  /* of a ring */
#define BUCKETS_MIN 16U /* of the table of names */
#define SWEEP_COUNT 2   /* rooms that each message looks at for what has grown too old */

struct history_room {
    struct list used;          /* of history.rooms: the least lately used first */
    struct history_room *next; /* owned; of the bucket */
    uint64_t hash;
    uint64_t epoch;                /* not 0 */
    uint64_t newest;               /* offset; 0: there was none */
    size_t size;                   /* of its entries */
    struct history_entry **places; /* owned; place_count of them */
    uint32_t place_count;          /* a power of two, or 0 */
    uint32_t count;                /* of entries */
    uint32_t limit_ms;             /* of its rule */
    uint32_t name_size;
    uint8_t name[];
};

struct history {
    struct history_config config;
    struct list rooms;
    struct history_room *hand;     /* of the sweep; NULL: begin anew */
    struct history_room **buckets; /* owned; bucket_count of them, a power of two */
    size_t bucket_count;
    size_t room_count;
    size_t size;
    uint64_t epoch_count;
};

static struct history_room *room_find(struct history *history, struct gyr_span name, uint64_t hash);
static struct history_room *room_use(struct history *history, struct gyr_span name,
                                     const struct gyr_room_rule *rule, uint64_t now_ms);
static struct history_room *room_make(struct history *history, struct gyr_span name, uint64_t hash);
static void room_end(struct history *history, struct history_room *room);
static void room_drop_oldest(struct history *history, struct history_room *room);
static void room_expire(struct history *history, struct history_room *room, uint64_t now_ms);
static int room_grow(struct history *history, struct history_room *room);
static struct history_entry *entry_make(struct history *history, struct history_room *room,
                                        uint64_t now_ms, const struct gyr_publication *from);
static void *take(struct history *history, struct history_room *keep, size_t size);
static bool let_go(struct history *history, struct history_room *keep);
static void give(struct history *history, void *pointer, size_t size);
static void sweep(struct history *history, uint64_t now_ms);
static int buckets_grow(struct history *history);

static size_t entry_size(const struct history_entry *entry)
{
    return sizeof(*entry) + entry->payload_size + entry->key_size;
}

static size_t room_size(const struct history_room *room)
{
    return sizeof(*room) + room->name_size;
}

static struct history_entry **room_place(const struct history_room *room, uint64_t offset)
{
    return &room->places[offset & (room->place_count - 1)];
}

struct history *history_create(const struct history_config *config)
{
    struct history *history = config->alloc(config->context, sizeof(*history));
    if (history == NULL) {
        return NULL;
    }
    *history = (struct history){.config = *config};
    list_init(&history->rooms);
    return history;
}

void history_destroy(struct history *history)
{
    if (history == NULL) {
        return;
    }
    while (!list_is_empty(&history->rooms)) {
        room_end(history, CONTAINER_OF(history->rooms.next, struct history_room, used));
    }
    give(history, history->buckets, history->bucket_count * sizeof(struct history_room *));
    ASSERT(history->size == 0);
    history->config.free(history->config.context, history, sizeof(*history));
}

int history_add(struct history *history, struct gyr_span name, const struct gyr_room_rule *rule,
                uint64_t now_ms, const struct gyr_publication *publication,
                struct history_place *place)
{
    ASSERT(rule->history_count > 0);
    sweep(history, now_ms);
    struct history_room *room = room_use(history, name, rule, now_ms);
    if (room == NULL) {
        return GYR_ERR_MEMORY;
    }
    while (room->count >= rule->history_count) {
        room_drop_oldest(history, room);
    }
    /* Both may let go of the room's own messages, too. */
    struct history_entry *entry = NULL;
    if (room_grow(history, room) == 0) {
        entry = entry_make(history, room, now_ms, publication);
    }
    if (entry == NULL) { /* what is kept has no gap, so that nobody misses this one unawares */
        while (room->count > 0) {
            room_drop_oldest(history, room);
        }
    }
    room->newest++;
    if (entry != NULL) {
        *room_place(room, room->newest) = entry;
        room->size += entry_size(entry);
        room->count++;
    }
    *place = (struct history_place){.epoch = room->epoch, .offset = room->newest};
    return 0;
}

int history_since(struct history *history, struct gyr_span name, const struct gyr_room_rule *rule,
                  uint64_t now_ms, struct history_place since, struct history_view *view)
{
    *view = (struct history_view){0};
    struct history_room *room = room_use(history, name, rule, now_ms);
    if (room == NULL) {
        return GYR_ERR_MEMORY;
    }
    view->room = room;
    view->newest = (struct history_place){.epoch = room->epoch, .offset = room->newest};
    if (since.epoch == 0) {
        return 0;
    }
    if (since.epoch != room->epoch || since.offset > room->newest ||
        room->newest - since.offset > room->count) {
        return GYR_ERR_NOT_FOUND;
    }
    view->count = room->newest - since.offset;
    view->first_offset = since.offset + 1;
    return 0;
}

const struct history_entry *history_at(const struct history_view *view, size_t index)
{
    ASSERT(index < view->count);
    return *room_place(view->room, view->first_offset + index);
}

size_t history_room_count(const struct history *history)
{
    return history->room_count;
}

size_t history_size(const struct history *history)
{
    return history->size;
}

/* ---- rooms ---- */

static struct history_room *room_find(struct history *history, struct gyr_span name, uint64_t hash)
{
    if (history->bucket_count == 0) {
        return NULL;
    }
    struct history_room *room = history->buckets[hash & (history->bucket_count - 1)];
    while (room != NULL && (room->hash != hash || !span_equal(span_of(room->name, room->name_size),
                                                              span_of(name.ptr, name.size)))) {
        room = room->next;
    }
    return room;
}

/* The room, known from now on, and without what is too old; NULL: no memory. */
static struct history_room *room_use(struct history *history, struct gyr_span name,
                                     const struct gyr_room_rule *rule, uint64_t now_ms)
{
    uint64_t hash = siphash(history->config.secret, name.ptr, name.size);
    struct history_room *room = room_find(history, name, hash);
    if (room == NULL) {
        room = room_make(history, name, hash);
        if (room == NULL) {
            return NULL;
        }
    } else {
        list_remove(&room->used);
        list_push_back(&history->rooms, &room->used);
    }
    room->limit_ms = rule->history_ms;
    room_expire(history, room, now_ms);
    return room;
}

static struct history_room *room_make(struct history *history, struct gyr_span name, uint64_t hash)
{
    while (history->room_count >= history->config.room_max) {
        room_end(history, CONTAINER_OF(history->rooms.next, struct history_room, used));
    }
    if (history->room_count >= history->bucket_count && buckets_grow(history) < 0) {
        return NULL;
    }
    struct history_room *room = take(history, NULL, sizeof(*room) + name.size);
    if (room == NULL) {
        return NULL;
    }
    *room = (struct history_room){.hash = hash, .name_size = (uint32_t)name.size};
    if (name.size > 0) {
        memcpy(room->name, name.ptr, name.size);
    }
    do {
        history->epoch_count++;
        room->epoch =
            siphash(history->config.secret, &history->epoch_count, sizeof(history->epoch_count));
    } while (room->epoch == 0);
    struct history_room **bucket = &history->buckets[hash & (history->bucket_count - 1)];
    room->next = *bucket;
    *bucket = room;
    list_push_back(&history->rooms, &room->used);
    history->room_count++;
    return room;
}

static void room_end(struct history *history, struct history_room *room)
{
    while (room->count > 0) {
        room_drop_oldest(history, room);
    }
    give(history, room->places, room->place_count * sizeof(struct history_entry *));
    struct history_room **link = &history->buckets[room->hash & (history->bucket_count - 1)];
    while (*link != room) {
        link = &(*link)->next;
    }
    *link = room->next;
    if (history->hand == room) {
        history->hand = NULL;
    }
    list_remove(&room->used);
    history->room_count--;
    give(history, room, room_size(room));
}

static void room_drop_oldest(struct history *history, struct history_room *room)
{
    struct history_entry **place = room_place(room, room->newest - room->count + 1);
    room->size -= entry_size(*place);
    give(history, *place, entry_size(*place));
    *place = NULL;
    room->count--;
}

static void room_expire(struct history *history, struct history_room *room, uint64_t now_ms)
{
    while (room->limit_ms > 0 && room->count > 0) {
        const struct history_entry *oldest = *room_place(room, room->newest - room->count + 1);
        if (now_ms - oldest->since_ms <= room->limit_ms) {
            return;
        }
        room_drop_oldest(history, room);
    }
}

/* Make a place for one more message. */
static int room_grow(struct history *history, struct history_room *room)
{
    if (room->count < room->place_count) {
        return 0;
    }
    uint32_t place_count = MAX(PLACES_MIN, room->place_count * 2);
    struct history_entry **places =
        take(history, room, place_count * sizeof(struct history_entry *));
    if (places == NULL) {
        return GYR_ERR_MEMORY;
    }
    memset(places, 0, place_count * sizeof(struct history_entry *));
    for (uint32_t i = 0; i < room->count; i++) {
        uint64_t offset = room->newest - i;
        places[offset & (place_count - 1)] = *room_place(room, offset);
    }
    give(history, room->places, room->place_count * sizeof(struct history_entry *));
    room->places = places;
    room->place_count = place_count;
    return 0;
}

static struct history_entry *entry_make(struct history *history, struct history_room *room,
                                        uint64_t now_ms, const struct gyr_publication *from)
{
    struct history_entry *entry =
        take(history, room, sizeof(*entry) + from->payload.size + from->key.size);
    if (entry == NULL) {
        return NULL;
    }
    entry->since_ms = now_ms;
    entry->opcode = from->opcode;
    entry->payload_size = (uint32_t)from->payload.size;
    entry->key_size = (uint32_t)from->key.size;
    if (from->payload.size > 0) {
        memcpy(entry->bytes, from->payload.ptr, from->payload.size);
    }
    if (from->key.size > 0) {
        memcpy(entry->bytes + from->payload.size, from->key.ptr, from->key.size);
    }
    return entry;
}

/* ---- the bound ---- */

/* Memory within the bound, for which others are let go, but not the room `keep` as such. */
static void *take(struct history *history, struct history_room *keep, size_t size)
{
    if (size > history->config.size_max) {
        return NULL;
    }
    void *pointer = NULL;
    for (;;) {
        if (history->size + size <= history->config.size_max) {
            pointer = history->config.alloc(history->config.context, size);
        }
        if (pointer != NULL) {
            history->size += size;
            return pointer;
        }
        if (!let_go(history, keep)) {
            return NULL;
        }
    }
}

/* Let go of the oldest message of `keep`, if it has more than its share, or of the room that was
 * used least lately, or of that room. False: nothing is left but `keep`, without messages. */
static bool let_go(struct history *history, struct history_room *keep)
{
    if (keep != NULL && keep->count > 0 &&
        keep->size > history->config.size_max / history->room_count) {
        room_drop_oldest(history, keep);
        return true;
    }
    for (struct list *node = history->rooms.next; node != &history->rooms; node = node->next) {
        struct history_room *room = CONTAINER_OF(node, struct history_room, used);
        if (room->count > 0) {
            room_drop_oldest(history, room);
            return true;
        }
        if (room != keep) {
            room_end(history, room);
            return true;
        }
    }
    return false;
}

static void give(struct history *history, void *pointer, size_t size)
{
    if (pointer != NULL) {
        history->size -= size;
        history->config.free(history->config.context, pointer, size);
    }
}

/* Look at a few rooms, others each time, so that what has grown too old in rooms that nobody uses
 * does not stay until the bound is reached. */
static void sweep(struct history *history, uint64_t now_ms)
{
    for (unsigned i = 0; i < SWEEP_COUNT && !list_is_empty(&history->rooms); i++) {
        if (history->hand == NULL) {
            history->hand = CONTAINER_OF(history->rooms.next, struct history_room, used);
        }
        struct history_room *room = history->hand;
        struct list *next = room->used.next;
        history->hand =
            next == &history->rooms ? NULL : CONTAINER_OF(next, struct history_room, used);
        room_expire(history, room, now_ms);
    }
}

static int buckets_grow(struct history *history)
{
    size_t count = MAX(BUCKETS_MIN, history->bucket_count * 2);
    struct history_room **buckets = take(history, NULL, count * sizeof(struct history_room *));
    if (buckets == NULL) {
        return GYR_ERR_MEMORY;
    }
    memset(buckets, 0, count * sizeof(struct history_room *));
    for (size_t i = 0; i < history->bucket_count; i++) {
        while (history->buckets[i] != NULL) {
            struct history_room *room = history->buckets[i];
            history->buckets[i] = room->next;
            room->next = buckets[room->hash & (count - 1)];
            buckets[room->hash & (count - 1)] = room;
        }
    }
    give(history, history->buckets, history->bucket_count * sizeof(struct history_room *));
    history->buckets = buckets;
    history->bucket_count = count;
    return 0;
}
