/* SPDX-License-Identifier: MIT */
/* Memory that goes all at once: zeroed, aligned, nobody else's. */
#include "router/pool.h"

#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

void pool_gives_zeroed_aligned_memory_of_any_size(void)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 1000, 65535, 65536, 65537, 300000, 3, 64};
    struct pool pool = {0};
    uint8_t *pieces[3 * COUNT_OF(sizes)];
    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        size_t size = sizes[i % COUNT_OF(sizes)];
        pieces[i] = pool_alloc(&pool, size);
        ASSERT(pieces[i] != NULL);
        EXPECT_INT((uintptr_t)pieces[i] % 16, 0, "aligned");
        size_t strange = 0;
        for (size_t k = 0; k < size; k++) {
            strange += pieces[i][k] != 0;
            pieces[i][k] = (uint8_t)(i + 1);
        }
        EXPECT_INT(strange, 0, "zeroed");
    }
    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        size_t strange = 0;
        for (size_t k = 0; k < sizes[i % COUNT_OF(sizes)]; k++) {
            strange += pieces[i][k] != (uint8_t)(i + 1);
        }
        EXPECT_INT(strange, 0, "nobody else has written to it");
    }
    pool_deinit(&pool);
    pool_deinit(&pool);
}

void pool_copies_text_with_a_nul(void)
{
    struct pool pool = {0};
    const char *copy = pool_copy(&pool, SPAN_LITERAL("abc"));
    ASSERT(copy != NULL);
    EXPECT(strcmp(copy, "abc") == 0, "the text");
    copy = pool_copy(&pool, (struct span){NULL, 0});
    ASSERT(copy != NULL);
    EXPECT_INT(copy[0], 0, "no text");
    pool_deinit(&pool);
}
