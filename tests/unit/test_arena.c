/* SPDX-License-Identifier: MIT */
/* The arena of a message: alignment, its limit to the byte, and what it keeps. */
#include "router/arena.h"

#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>

void arena_gives_aligned_memory_that_does_not_overlap(void)
{
    struct arena arena;
    uint8_t *given[300];
    size_t sizes[300];
    arena_init(&arena, 1 << 20);
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT_OF(given); i++) {
            size_t align = (size_t)1 << i % 5;
            sizes[i] = i * 37 % 500;
            given[i] = arena_alloc(&arena, sizes[i], align);
            CU_ASSERT_PTR_NOT_NULL_FATAL(given[i]);
            EXPECT_INT((uintptr_t)given[i] % align, 0, "aligned");
            memset(given[i], (int)i, sizes[i]);
        }
        for (size_t i = 0; i < COUNT_OF(given); i++) {
            for (size_t j = 0; j < sizes[i]; j++) {
                EXPECT(given[i][j] == (uint8_t)i, "nobody has written there");
            }
        }
        arena_reset(&arena);
    }
    arena_deinit(&arena);
}

void arena_has_a_limit(void)
{
    struct arena arena;
    arena_init(&arena, 10000);
    CU_ASSERT_PTR_NULL(arena_alloc(&arena, 10001, 1));
    CU_ASSERT_PTR_NULL(arena_alloc(&arena, 10000, 1));
    CU_ASSERT_PTR_NULL(arena_alloc(&arena, SIZE_MAX, 16));
    CU_ASSERT_EQUAL(arena.size, 0);
    size_t got = 0;
    while (arena_alloc(&arena, 100, 1) != NULL) {
        got += 100;
    }
    CU_ASSERT(arena.size <= 10000 && got > 9000);
    arena_reset(&arena);
    CU_ASSERT_PTR_NOT_NULL(arena_alloc(&arena, 100, 1));
    arena_deinit(&arena);
    arena_init(&arena, 0);
    CU_ASSERT_PTR_NULL(arena_alloc(&arena, 1, 1));
    arena_reset(&arena);
    arena_deinit(&arena);
}

void arena_takes_no_memory_for_what_it_has_had_room_for(void)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    CU_ASSERT_PTR_NOT_NULL(arena_alloc(&arena, 100, 8));
    size_t size = arena.size;
    const struct arena_block *first = arena.first;
    for (unsigned i = 0; i < 10000; i++) {
        arena_reset(&arena);
        CU_ASSERT_PTR_NOT_NULL(arena_alloc(&arena, 100, 8));
    }
    CU_ASSERT_EQUAL(arena.size, size);
    CU_ASSERT_PTR_EQUAL(arena.first, first);
    arena_deinit(&arena);
}

void arena_gives_back_what_one_large_message_took(void)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    CU_ASSERT_PTR_NOT_NULL(arena_alloc(&arena, 100, 1));
    size_t small = arena.size;
    CU_ASSERT_PTR_NOT_NULL(arena_alloc(&arena, 500000, 1));
    size_t large = arena.size;
    CU_ASSERT(large > 500000);
    /* While large messages come, it stays. */
    for (unsigned i = 0; i < 1000; i++) {
        arena_reset(&arena);
        CU_ASSERT_PTR_NOT_NULL(arena_alloc(&arena, i % 200 == 0 ? 500000 : 100, 1));
        EXPECT_INT(arena.size, large, "kept");
    }
    for (unsigned i = 0; i < 600; i++) {
        arena_reset(&arena);
        CU_ASSERT_PTR_NOT_NULL(arena_alloc(&arena, 100, 1));
    }
    CU_ASSERT_EQUAL(arena.size, small);
    arena_deinit(&arena);
}

void arena_resize_keeps_what_was_written(void)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    uint8_t *last = arena_resize(&arena, NULL, 0, 4, 16);
    CU_ASSERT_PTR_NOT_NULL_FATAL(last);
    memcpy(last, "abcd", 4);
    /* The last grows and shrinks where it is. */
    CU_ASSERT_PTR_EQUAL(arena_resize(&arena, last, 4, 1000, 16), last);
    CU_ASSERT_PTR_EQUAL(arena_resize(&arena, last, 1000, 4, 16), last);
    uint8_t *behind = arena_alloc(&arena, 4, 1);
    CU_ASSERT_PTR_EQUAL(behind, last + 4);
    /* One that is not the last moves, or stays as it is when it is to be smaller. */
    CU_ASSERT_PTR_EQUAL(arena_resize(&arena, last, 4, 2, 16), last);
    uint8_t *moved = arena_resize(&arena, last, 4, 8, 16);
    CU_ASSERT(moved != NULL && moved != last && memcmp(moved, "abcd", 4) == 0);
    CU_ASSERT_PTR_NULL(arena_resize(&arena, moved, 8, 1 << 20, 16));
    CU_ASSERT(memcmp(moved, "abcd", 4) == 0);
    arena_deinit(&arena);
}
