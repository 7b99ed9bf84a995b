/* SPDX-License-Identifier: MIT */
/* The tables of an epoll ring: operations are found by user_data and by descriptor, however many
 * there are and in whatever order they end. */
#include "engine/ring_epoll_op.h"
#include "tests/parser_kit.h"
#include "tests/run_tests.h"

#include <CUnit/CUnit.h>

#include <errno.h>

static uint32_t begin(struct epoll_table *table, int fd, uint64_t user_data)
{
    CU_ASSERT_FATAL(epoll_table_reserve(table, fd) == 0);
    return epoll_op_begin(table, fd, EPOLL_OP_RECV, user_data);
}

static void end(struct epoll_table *table, uint64_t user_data)
{
    uint32_t index = epoll_op_find(table, user_data);
    CU_ASSERT_FATAL(index != EPOLL_OP_NONE);
    CU_ASSERT(table->ops[index].user_data == user_data);
    epoll_op_end(table, index);
    epoll_op_free(table, index);
}

static unsigned count_of(const struct epoll_table *table, int fd)
{
    unsigned count = 0;
    for (uint32_t i = table->descriptors[fd].op; i != EPOLL_OP_NONE; i = table->ops[i].next) {
        EXPECT_INT(table->ops[i].fd, fd, "in the list of its descriptor");
        count++;
    }
    return count;
}

void epoll_op_is_found_while_the_table_grows(void)
{
    enum {
        COUNT = 10000
    };
    struct epoll_table table = {0};
    for (unsigned i = 0; i < COUNT; i++) {
        begin(&table, (int)(i % 100), (uint64_t)i << 32 | i % 7);
    }
    for (unsigned i = 0; i < COUNT; i += 3) {
        end(&table, (uint64_t)i << 32 | i % 7);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        bool found = epoll_op_find(&table, (uint64_t)i << 32 | i % 7) != EPOLL_OP_NONE;
        EXPECT_INT(found, i % 3 != 0, "those that have not ended, and no others");
    }
    unsigned total = 0;
    for (int fd = 0; fd < 100; fd++) {
        total += count_of(&table, fd);
    }
    EXPECT_INT(total, COUNT - (COUNT + 2) / 3, "each is in one list");
    epoll_table_free(&table);
}

void epoll_op_room_is_used_again(void)
{
    struct epoll_table table = {0};
    for (unsigned i = 0; i < 100000; i++) {
        begin(&table, 5, i);
        begin(&table, 6, ~(uint64_t)i);
        end(&table, i);
        end(&table, ~(uint64_t)i);
    }
    EXPECT(table.op_used <= 3, "two, and the one that is nobody's");
    EXPECT_INT(count_of(&table, 5), 0, "none is left");
    epoll_table_free(&table);
}

void epoll_op_of_two_with_one_name_ends_one(void)
{
    struct epoll_table table = {0};
    begin(&table, 1, 42);
    begin(&table, 2, 42);
    end(&table, 42);
    EXPECT(epoll_op_find(&table, 42) != EPOLL_OP_NONE, "the other");
    end(&table, 42);
    EXPECT(epoll_op_find(&table, 42) == EPOLL_OP_NONE, "none");
    epoll_table_free(&table);
}

void epoll_table_has_room_for_any_descriptor(void)
{
    struct epoll_table table = {0};
    static const int fds[] = {0, 1023, 1024, 4096, 1048575, 3};
    for (unsigned i = 0; i < COUNT_OF(fds); i++) {
        begin(&table, fds[i], i);
        table.descriptors[fds[i]].ready = (uint16_t)(i + 1);
    }
    for (unsigned i = 0; i < COUNT_OF(fds); i++) {
        EXPECT_INT(count_of(&table, fds[i]), 1, "its own");
        EXPECT_INT(table.descriptors[fds[i]].ready, i + 1, "kept while the table moved");
    }
    epoll_table_free(&table);
}

/* Room for completions that say so is kept back. */
void epoll_table_keeps_room_when_there_is_none(void)
{
    struct epoll_table table = {0};
    CU_ASSERT_FATAL(epoll_table_reserve(&table, 0) == 0);
    uint32_t room = table.op_room;
    unsigned begun = 0;
    while (table.op_room == room) {
        begin(&table, 0, begun++);
    }
    EXPECT(begun < room - 100, "it grew before it was full");
    table.op_room = room; /* as if it had not */
    unsigned kept = 0;
    while (epoll_op_alloc(&table) != EPOLL_OP_NONE) {
        kept++;
    }
    EXPECT(kept >= 100, "kept back");
    table.op_room = 2 * room;
    epoll_table_free(&table);
}
