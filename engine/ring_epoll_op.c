/* SPDX-License-Identifier: MIT */
/* The tables of an epoll ring. They grow by doubling and are address space until they are used, so
 * that neither the limit of open files nor connections_max has to be known. Operations stand in the
 * list of their descriptor, through which events find them, and in a chain by user_data, through
 * which a cancellation does. */
#include "engine/ring_epoll_op.h"

#include <errno.h>
#include <sys/mman.h>

#define ROOM_MIN       1024
#define OPS_KEPT_COUNT 256 /* kept back for completions that say that there is no room */

static int ops_grow(struct epoll_table *table);
static int descriptors_grow(struct epoll_table *table, uint32_t needed);
static void *pages_grow(void *pages, size_t size, size_t new_size);

static uint32_t *chain_of(const struct epoll_table *table, uint64_t user_data)
{
    /* Multiplied by 2^64 divided by the golden ratio: neighbours go far from each other. */
    uint64_t hash = (user_data ^ user_data >> 32) * UINT64_C(0x9e3779b97f4a7c15);
    return &table->chains[(hash >> 32) & (table->op_room - 1)];
}

static void chain_add(struct epoll_table *table, uint32_t index)
{
    uint32_t *chain = chain_of(table, table->ops[index].user_data);
    table->ops[index].hash_next = *chain & (EPOLL_OP_COUNT_MAX - 1);
    *chain = index;
}

static void chain_remove(struct epoll_table *table, uint32_t index)
{
    struct epoll_op *ops = table->ops;
    uint32_t *chain = chain_of(table, ops[index].user_data);
    if (*chain == index) {
        *chain = ops[index].hash_next;
        return;
    }
    uint32_t before = *chain;
    while (ops[before].hash_next != index) {
        ASSERT(before != EPOLL_OP_NONE);
        before = ops[before].hash_next;
    }
    ops[before].hash_next = ops[index].hash_next;
}

int epoll_table_reserve(struct epoll_table *table, int fd)
{
    ASSERT(fd >= 0);
    int err = 0;
    if (UNLIKELY(table->op_count + OPS_KEPT_COUNT >= table->op_room)) {
        err = ops_grow(table);
    }
    if (err == 0 && UNLIKELY((uint32_t)fd >= table->descriptor_room)) {
        err = descriptors_grow(table, (uint32_t)fd + 1);
    }
    return err;
}

static int ops_grow(struct epoll_table *table)
{
    size_t room = MAX(table->op_room * (size_t)2, (size_t)ROOM_MIN);
    uint32_t *chains =
        room > EPOLL_OP_COUNT_MAX ? NULL : pages_grow(NULL, 0, room * sizeof(*table->chains));
    if (chains == NULL) {
        return -ENOMEM;
    }
    struct epoll_op *ops =
        pages_grow(table->ops, table->op_room * sizeof(*ops), room * sizeof(*ops));
    if (ops == NULL) {
        (void)munmap(chains, room * sizeof(*chains));
        return -ENOMEM;
    }
    if (table->chains != NULL) {
        (void)munmap(table->chains, table->op_room * sizeof(*chains));
    }
    table->ops = ops;
    table->chains = chains;
    table->op_room = (uint32_t)room;
    for (uint32_t i = 1; i < table->op_used; i++) {
        if (ops[i].kind != EPOLL_OP_DONE) {
            chain_add(table, i);
        }
    }
    if (table->op_used == 0) {
        table->op_used = 1;
        table->op_count = 1;
    }
    return 0;
}

static int descriptors_grow(struct epoll_table *table, uint32_t needed)
{
    size_t room = MAX(table->descriptor_room, (uint32_t)ROOM_MIN);
    while (room < needed) {
        room *= 2;
    }
    size_t each = sizeof(*table->descriptors);
    void *pages = pages_grow(table->descriptors, table->descriptor_room * each, room * each);
    if (pages == NULL) {
        return -ENOMEM;
    }
    table->descriptors = pages;
    table->descriptor_room = (uint32_t)room;
    return 0;
}

/* Zeroed pages, the old ones in front; NULL, and these stay, if there is no memory. */
static void *pages_grow(void *pages, size_t size, size_t new_size)
{
    void *grown = size == 0 ? mmap(NULL, new_size, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                            : mremap(pages, size, new_size, MREMAP_MAYMOVE);
    return grown == MAP_FAILED ? NULL : grown;
}

void epoll_table_free(struct epoll_table *table)
{
    if (table->ops != NULL) {
        (void)munmap(table->ops, table->op_room * sizeof(*table->ops));
    }
    if (table->chains != NULL) {
        (void)munmap(table->chains, table->op_room * sizeof(*table->chains));
    }
    if (table->descriptors != NULL) {
        (void)munmap(table->descriptors, table->descriptor_room * sizeof(*table->descriptors));
    }
    *table = (struct epoll_table){0};
}

uint32_t epoll_op_alloc(struct epoll_table *table)
{
    uint32_t index = table->op_free;
    if (index != EPOLL_OP_NONE) {
        table->op_free = table->ops[index].next;
    } else if (table->op_used < table->op_room) {
        index = table->op_used;
        table->op_used++;
    } else {
        return EPOLL_OP_NONE;
    }
    table->op_count++;
    table->ops[index] = (struct epoll_op){.fd = -1, .kind = EPOLL_OP_DONE};
    return index;
}

void epoll_op_free(struct epoll_table *table, uint32_t index)
{
    struct epoll_op *op = &table->ops[index];
    ASSERT(index != EPOLL_OP_NONE && op->kind == EPOLL_OP_DONE);
    op->next = table->op_free;
    table->op_free = index;
    table->op_count--;
}

uint32_t epoll_op_begin(struct epoll_table *table, int fd, enum epoll_op_kind kind,
                        uint64_t user_data)
{
    uint32_t index = epoll_op_alloc(table);
    ASSERT(index != EPOLL_OP_NONE && (uint32_t)fd < table->descriptor_room);
    struct epoll_descriptor *descriptor = &table->descriptors[fd];
    table->ops[index] = (struct epoll_op){
        .user_data = user_data,
        .fd = fd,
        .next = descriptor->op,
        .kind = (uint8_t)kind,
    };
    descriptor->op = index;
    chain_add(table, index);
    return index;
}

void epoll_op_end(struct epoll_table *table, uint32_t index)
{
    struct epoll_op *op = &table->ops[index];
    ASSERT(op->kind != EPOLL_OP_DONE);
    uint32_t *place = &table->descriptors[op->fd].op;
    while (*place != index) {
        ASSERT(*place != EPOLL_OP_NONE);
        place = &table->ops[*place].next;
    }
    *place = op->next;
    chain_remove(table, index);
    op->kind = EPOLL_OP_DONE;
    op->next = EPOLL_OP_NONE;
    op->fd = -1;
}

uint32_t epoll_op_find(const struct epoll_table *table, uint64_t user_data)
{
    uint32_t index = *chain_of(table, user_data);
    while (index != EPOLL_OP_NONE && table->ops[index].user_data != user_data) {
        index = table->ops[index].hash_next;
    }
    return index;
}
