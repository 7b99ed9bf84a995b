/* SPDX-License-Identifier: MIT */
/* Members that come back. From the join on, what is delivered to the room is copied and waits. The
 * history answers with everything up to some offset; of what has waited, only what lies behind that
 * follows. But answers and messages travel on different ways: a message that the answer had already
 * may still arrive behind it. So the member stays here, now only with the offset that it has
 * reached, until the first message behind it comes.
 *
 *     recover_begin      -> WAITING
 *     recover_answer     WAITING -> PLACED
 *     recover_judge      WAITING: held;  PLACED: known, or passes and is forgotten
 *     recover_leave      both: forgotten
 *
 * If too much waits, or a part of the answer finds no room in the member's queue, it is told so,
 * with the offset of the last message that it may not have got, and gets what comes behind that. */
#include "hub/recover.h"

#define BUCKETS_MIN 16U

/* A message that waits. */
struct held {
    struct held *next;
    size_t size;
    enum gyr_opcode opcode;
    uint64_t epoch;
    uint64_t offset;
    size_t payload_size;
    size_t key_size;
    char bytes[]; /* payload, key */
};

struct comer {
    struct comer *next; /* owned; of the bucket */
    struct recover_member member;
    uint64_t number;
    bool is_placed;
    bool has_overflowed; /* WAITING: nothing is held any more */
    /* PLACED: up to where it has everything, or was told that it has not. WAITING: the last message
     * that was dropped, if one was. */
    uint64_t epoch;
    uint64_t offset;
    size_t held_size;
    struct held *first; /* owned */
    struct held *last;
};

struct recover {
    struct recover_config config;
    struct comer **buckets; /* owned; bucket_count of them, a power of two */
    size_t bucket_count;
    size_t count;
    uint64_t number;
};

static struct comer **comer_link(struct recover *recover, struct recover_member member);
static void comer_end(struct recover *recover, struct comer **link);
static void comer_drop_held(struct recover *recover, struct comer *comer);
static bool comer_hold(struct recover *recover, struct comer *comer,
                       const struct gyr_publication *publication);
static int comer_queue(const struct recover_config *config, struct comer *comer,
                       const struct gyr_backend_history *history, struct gyr_recovery *recovery);
static void comer_give_up(struct comer *comer, const struct gyr_backend_history *history);
static int buckets_grow(struct recover *recover);

struct recover *recover_create(const struct recover_config *config)
{
    struct recover *recover = config->alloc(config->context, sizeof(*recover));
    if (recover != NULL) {
        *recover = (struct recover){.config = *config};
    }
    return recover;
}

void recover_destroy(struct recover *recover)
{
    if (recover == NULL) {
        return;
    }
    for (size_t i = 0; i < recover->bucket_count; i++) {
        while (recover->buckets[i] != NULL) {
            comer_end(recover, &recover->buckets[i]);
        }
    }
    const struct recover_config config = recover->config;
    if (recover->buckets != NULL) {
        config.free(config.context, recover->buckets,
                    recover->bucket_count * sizeof(struct comer *));
    }
    config.free(config.context, recover, sizeof(*recover));
}

int recover_begin(struct recover *recover, struct recover_member member, uint64_t *number)
{
    if (recover->count >= recover->bucket_count && buckets_grow(recover) < 0) {
        return GYR_ERR_MEMORY;
    }
    struct comer **link = comer_link(recover, member);
    ASSERT(*link == NULL);
    struct comer *comer = recover->config.alloc(recover->config.context, sizeof(*comer));
    if (comer == NULL) {
        return GYR_ERR_MEMORY;
    }
    recover->number++;
    *comer = (struct comer){.member = member, .number = recover->number};
    *link = comer;
    recover->count++;
    *number = comer->number;
    return 0;
}

enum recover_verdict recover_judge(struct recover *recover, struct recover_member member,
                                   const struct gyr_publication *publication)
{
    if (recover->count == 0) {
        return RECOVER_PASSES;
    }
    struct comer **link = comer_link(recover, member);
    struct comer *comer = *link;
    if (comer == NULL) {
        return RECOVER_PASSES;
    }
    if (comer->is_placed) {
        if (publication->epoch == comer->epoch && publication->offset <= comer->offset) {
            return RECOVER_KNOWN;
        }
        comer_end(recover, link);
        return RECOVER_PASSES;
    }
    if (!comer->has_overflowed && comer_hold(recover, comer, publication)) {
        return RECOVER_HELD;
    }
    comer->has_overflowed = true;
    comer->epoch = publication->epoch;
    comer->offset = publication->offset;
    comer_drop_held(recover, comer);
    return RECOVER_DROPPED;
}

bool recover_answer(struct recover *recover, struct recover_member member, uint64_t number,
                    uint64_t since_epoch, const struct gyr_backend_history *history,
                    struct gyr_recovery *recovery)
{
    if (recover->count == 0) {
        return false;
    }
    struct comer **link = comer_link(recover, member);
    struct comer *comer = *link;
    if (comer == NULL || comer->number != number || comer->is_placed) {
        return false;
    }
    *recovery = (struct gyr_recovery){.size = sizeof(*recovery)};
    int err = GYR_ERR_BACKPRESSURE;
    if (!comer->has_overflowed) {
        err = comer_queue(&recover->config, comer, history, recovery);
    }
    if (err < 0) {
        comer_give_up(comer, history);
    }
    comer_drop_held(recover, comer);
    recovery->err = err < 0 ? err : history->err;
    recovery->recovered = recovery->err == 0 && since_epoch != 0;
    recovery->epoch = comer->epoch;
    recovery->offset = comer->offset;
    comer->is_placed = true;
    if (comer->epoch == 0) { /* the history could not tell where the room stands */
        comer_end(recover, link);
    }
    return true;
}

void recover_leave(struct recover *recover, struct recover_member member)
{
    if (recover->count > 0) {
        struct comer **link = comer_link(recover, member);
        if (*link != NULL) {
            comer_end(recover, link);
        }
    }
}

size_t recover_count(const struct recover *recover)
{
    return recover->count;
}

/* Queue what the history has brought, and what has waited and lies behind it. */
static int comer_queue(const struct recover_config *config, struct comer *comer,
                       const struct gyr_backend_history *history, struct gyr_recovery *recovery)
{
    comer->epoch = history->epoch;
    comer->offset = history->offset;
    for (size_t i = 0; history->err == 0 && i < history->count; i++) {
        int err = config->deliver(config->context, comer->member, &history->publications[i]);
        if (err < 0) {
            return err;
        }
        recovery->count++;
    }
    for (const struct held *held = comer->first; held != NULL; held = held->next) {
        if (held->epoch == comer->epoch && held->offset <= comer->offset) {
            continue;
        }
        const struct gyr_publication publication = {
            .size = sizeof(publication),
            .opcode = held->opcode,
            .payload = {held->bytes, held->payload_size},
            .key = {held->bytes + held->payload_size, held->key_size},
            .epoch = held->epoch,
            .offset = held->offset,
        };
        int err = config->deliver(config->context, comer->member, &publication);
        if (err < 0) {
            return err;
        }
        recovery->count++;
        comer->epoch = held->epoch;
        comer->offset = held->offset;
    }
    return 0;
}

/* Not all could be queued: what lies behind everything that is known so far goes on. */
static void comer_give_up(struct comer *comer, const struct gyr_backend_history *history)
{
    if (!comer->has_overflowed) {
        const struct held *last = comer->last;
        comer->epoch = last != NULL ? last->epoch : 0;
        comer->offset = last != NULL ? last->offset : 0;
    }
    if (comer->epoch == 0 || (comer->epoch == history->epoch && comer->offset < history->offset)) {
        comer->epoch = history->epoch;
        comer->offset = history->offset;
    }
}

/* Where the member is linked, or would be. */
static struct comer **comer_link(struct recover *recover, struct recover_member member)
{
    uint64_t key = ((uint64_t)member.room_index << 32) | member.conn_index;
    /* The numbers are ours and dense, so a multiplication spreads them. */
    uint64_t hash = (key * 0x9e3779b97f4a7c15U) >> 32;
    struct comer **link = &recover->buckets[hash & (recover->bucket_count - 1)];
    while (*link != NULL && ((*link)->member.room_index != member.room_index ||
                             (*link)->member.conn_index != member.conn_index)) {
        link = &(*link)->next;
    }
    return link;
}

static void comer_end(struct recover *recover, struct comer **link)
{
    struct comer *comer = *link;
    *link = comer->next;
    recover->count--;
    comer_drop_held(recover, comer);
    recover->config.free(recover->config.context, comer, sizeof(*comer));
}

static void comer_drop_held(struct recover *recover, struct comer *comer)
{
    while (comer->first != NULL) {
        struct held *held = comer->first;
        comer->first = held->next;
        recover->config.free(recover->config.context, held, held->size);
    }
    comer->last = NULL;
    comer->held_size = 0;
}

/* False: that is too much, or there is no memory. */
static bool comer_hold(struct recover *recover, struct comer *comer,
                       const struct gyr_publication *publication)
{
    size_t size = sizeof(struct held) + publication->payload.size + publication->key.size;
    if (size > recover->config.held_size_max - comer->held_size) {
        return false;
    }
    struct held *held = recover->config.alloc(recover->config.context, size);
    if (held == NULL) {
        return false;
    }
    *held = (struct held){
        .size = size,
        .opcode = publication->opcode,
        .epoch = publication->epoch,
        .offset = publication->offset,
        .payload_size = publication->payload.size,
        .key_size = publication->key.size,
    };
    if (held->payload_size > 0) {
        memcpy(held->bytes, publication->payload.ptr, held->payload_size);
    }
    if (held->key_size > 0) {
        memcpy(held->bytes + held->payload_size, publication->key.ptr, held->key_size);
    }
    if (comer->last == NULL) {
        comer->first = held;
    } else {
        comer->last->next = held;
    }
    comer->last = held;
    comer->held_size += size;
    return true;
}

static int buckets_grow(struct recover *recover)
{
    const struct recover_config *config = &recover->config;
    size_t count = MAX(BUCKETS_MIN, recover->bucket_count * 2);
    struct comer **old = recover->buckets;
    size_t old_count = recover->bucket_count;
    struct comer **buckets = config->alloc(config->context, count * sizeof(struct comer *));
    if (buckets == NULL) {
        return GYR_ERR_MEMORY;
    }
    memset(buckets, 0, count * sizeof(struct comer *));
    recover->buckets = buckets;
    recover->bucket_count = count;
    for (size_t i = 0; i < old_count; i++) {
        while (old[i] != NULL) {
            struct comer *comer = old[i];
            old[i] = comer->next;
            comer->next = NULL;
            *comer_link(recover, comer->member) = comer;
        }
    }
    if (old != NULL) {
        config->free(config->context, old, old_count * sizeof(struct comer *));
    }
    return 0;
}
