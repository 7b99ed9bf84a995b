/* SPDX-License-Identifier: MIT */
/* Helpers for the tests of parsers. Guarded copies come from a small table of mappings that are
 * kept and reused, because a split test makes a hundred thousand of them; each mapping ends with a
 * page that may not be touched. */
#include "tests/parser_kit.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define GUARD_BLOCK_COUNT_MAX 4096
#define GUARD_BLOCK_SIZE_MIN  ((size_t)16 * 1024)
#define FREED_BYTE            0xDD

struct guard_block {
    uint8_t *map;   /* owned; NULL: not mapped yet */
    uint8_t *guard; /* within map: the page that faults */
    size_t used;    /* bytes of the copy before the guard page */
    bool busy;
};

/* Mutable file-scope state, which shipped code may not have: tests run in one thread. */
static struct guard_block blocks[GUARD_BLOCK_COUNT_MAX];
static size_t block_next;

static void guard_map(struct guard_block *block, size_t size);

static struct guard_block *guard_block_find_free(size_t size)
{
    for (size_t i = 0; i < GUARD_BLOCK_COUNT_MAX; i++) {
        struct guard_block *block = &blocks[(block_next + i) % 8];
        if (i >= 8) {
            block = &blocks[i];
        }
        if (block->busy) {
            continue;
        }
        if (block->map != NULL && (size_t)(block->guard - block->map) < size) {
            munmap(block->map, (size_t)(block->guard - block->map) + (size_t)getpagesize());
            block->map = NULL;
        }
        if (block->map == NULL) {
            guard_map(block, size);
        }
        block_next++;
        return block;
    }
    abort();
}

static void guard_map(struct guard_block *block, size_t size)
{
    size_t page_size = (size_t)getpagesize();
    size_t data_size = (MAX(size, GUARD_BLOCK_SIZE_MIN) + page_size - 1) & ~(page_size - 1);
    void *map = mmap(NULL, data_size + page_size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) {
        abort();
    }
    block->map = map;
    block->guard = block->map + data_size;
    if (mprotect(block->guard, page_size, PROT_NONE) != 0) {
        abort();
    }
}

uint8_t *guard_copy(const void *bytes, size_t size)
{
    struct guard_block *block = guard_block_find_free(size);
    block->busy = true;
    block->used = size;
    if (size > 0) {
        memcpy(block->guard - size, bytes, size);
    }
    return block->guard - size;
}

void guard_free(uint8_t *copy)
{
    for (size_t i = 0; i < GUARD_BLOCK_COUNT_MAX; i++) {
        struct guard_block *block = &blocks[i];
        if (block->busy && copy == block->guard - block->used) {
            memset(copy, FREED_BYTE, block->used);
            block->busy = false;
            return;
        }
    }
    abort();
}

static void run_pieces(struct span input, size_t first_size, size_t piece_size, pieces_fn run,
                       void *ctx)
{
    size_t piece_count_max = input.size / piece_size + 2;
    struct piece *pieces = calloc(piece_count_max, sizeof(*pieces));
    if (pieces == NULL) {
        abort();
    }
    size_t count = 0;
    size_t at = 0;
    size_t size = first_size;
    do {
        size = MIN(size, input.size - at);
        pieces[count].ptr = guard_copy(input.ptr + at, size);
        pieces[count].size = size;
        count++;
        at += size;
        size = piece_size;
    } while (at < input.size);
    run(ctx, pieces, count);
    for (size_t i = 0; i < count; i++) {
        guard_free(pieces[i].ptr);
    }
    free(pieces);
}

void split_at_every_byte(struct span input, pieces_fn run, void *ctx)
{
    static const size_t sizes[] = {1, 2, 3, 7};
    for (size_t cut = 0; cut <= input.size; cut++) {
        run_pieces(input, cut, MAX(input.size, 1), run, ctx);
    }
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        if (input.size / sizes[i] < GUARD_BLOCK_COUNT_MAX / 2) {
            run_pieces(input, sizes[i], sizes[i], run, ctx);
        }
    }
}

void expect_that(bool condition, const char *why, const char *text, const char *file, int line)
{
    char message[512];
    snprintf(message, sizeof(message), "%s [%s]", text, why);
    CU_assertImplementation(condition, (unsigned)line, message, file, "", CU_FALSE);
}

void expect_int(int64_t actual, int64_t expected, const char *why, const char *file, int line)
{
    char message[512];
    snprintf(message, sizeof(message), "%" PRId64 ", expected %" PRId64 " [%s]", actual, expected,
             why);
    CU_assertImplementation(actual == expected, (unsigned)line, message, file, "", CU_FALSE);
}

void expect_span(struct span actual, const char *text, const char *why, const char *file, int line)
{
    char message[512];
    snprintf(message, sizeof(message), "\"%.*s\", expected \"%s\" [%s]",
             (int)MIN(actual.size, (size_t)100), (const char *)actual.ptr, text, why);
    CU_assertImplementation(span_equal(actual, span_of(text, strlen(text))), (unsigned)line,
                            message, file, "", CU_FALSE);
}

int parser_tests_run(const char *suite, const struct parser_test *tests, size_t test_count)
{
    if (CU_initialize_registry() != CUE_SUCCESS) {
        return EXIT_FAILURE;
    }
    CU_pSuite registered = CU_add_suite(suite, NULL, NULL);
    for (size_t i = 0; registered != NULL && i < test_count; i++) {
        if (CU_add_test(registered, tests[i].name, tests[i].run) == NULL) {
            registered = NULL;
        }
    }
    if (registered == NULL) {
        CU_cleanup_registry();
        return EXIT_FAILURE;
    }
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
