/* SPDX-License-Identifier: MIT */
/* Heaps with a budget, and that the program around them keeps its own malloc. */
#include "engine/memory.h"

#include "tests/parser_kit.h"
#include "tests/run_tests.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define BUDGET (UINT64_C(1) << 20)

void heap_hands_out_its_budget_to_the_byte(void)
{
    struct heap *heap = heap_create(1000);
    void *first = heap_alloc(heap, 600);
    CU_ASSERT_PTR_NOT_NULL(first);
    EXPECT_INT(heap_used(heap), 600, "as asked for");
    CU_ASSERT_PTR_NULL(heap_alloc(heap, 401));
    EXPECT_INT(heap_used(heap), 600, "a refusal costs nothing");
    void *second = heap_alloc(heap, 400);
    CU_ASSERT_PTR_NOT_NULL(second);
    EXPECT_INT(heap_used(heap), 1000, "all of it");
    CU_ASSERT_PTR_NULL(heap_alloc(heap, 1));
    heap_free(heap, first, 600);
    EXPECT_INT(heap_used(heap), 400, "given back");
    first = heap_alloc(heap, 600);
    CU_ASSERT_PTR_NOT_NULL(first);
    heap_free(heap, second, 400);
    heap_free(heap, first, 600);
    EXPECT_INT(heap_used(heap), 0, "all given back");
    heap_destroy(heap);
}

void heap_refuses_sizes_that_would_overflow(void)
{
    struct heap *heap = heap_create(BUDGET);
    void *some = heap_alloc(heap, 100);
    CU_ASSERT_PTR_NULL(heap_alloc(heap, SIZE_MAX));
    CU_ASSERT_PTR_NULL(heap_alloc(heap, SIZE_MAX - 99));
    CU_ASSERT_PTR_NULL(heap_alloc(heap, BUDGET - 99));
    EXPECT_INT(heap_used(heap), 100, "nothing was counted");
    heap_free(heap, some, 100);
    heap_free(heap, NULL, 12345);
    EXPECT_INT(heap_used(heap), 0, "NULL is nothing");
    heap_destroy(heap);
}

/* Blocks of many sizes, each filled to its last byte with a pattern of its own. */
void heap_blocks_do_not_overlap(void)
{
    enum {
        BLOCKS = 256
    };
    struct heap *heap = heap_create(BUDGET * 16);
    uint8_t *blocks[BLOCKS];
    size_t sizes[BLOCKS];
    uint64_t sum = 0;
    for (unsigned i = 0; i < BLOCKS; i++) {
        sizes[i] = (size_t)i * i + 1;
        sum += sizes[i];
        blocks[i] = heap_alloc(heap, sizes[i]);
        CU_ASSERT_PTR_NOT_NULL_FATAL(blocks[i]);
        memset(blocks[i], (int)i, sizes[i]);
    }
    EXPECT_INT(heap_used(heap), sum, "the sum of what was asked for");
    for (unsigned i = 0; i < BLOCKS; i++) {
        bool intact = true;
        for (size_t k = 0; k < sizes[i]; k++) {
            intact &= blocks[i][k] == (uint8_t)i;
        }
        EXPECT(intact, "a block keeps its bytes");
        heap_free(heap, blocks[i], sizes[i]);
    }
    EXPECT_INT(heap_used(heap), 0, "all given back");
    heap_destroy(heap);
}

void heaps_have_budgets_of_their_own(void)
{
    struct heap *one = heap_create(100);
    struct heap *other = heap_create(100);
    void *block = heap_alloc(one, 100);
    void *second = heap_alloc(other, 100);
    CU_ASSERT_PTR_NOT_NULL(block);
    CU_ASSERT_PTR_NOT_NULL(second);
    heap_free(one, block, 100);
    EXPECT_INT(heap_used(other), 100, "untouched by the other");
    heap_free(other, second, 100);
    heap_destroy(one);
    heap_destroy(other);
}

/* Resident pages of this process. */
static long resident_pages(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file != NULL) {
        if (fscanf(file, "%*d %ld", &pages) != 1) {
            pages = 0;
        }
        (void)fclose(file);
    }
    return pages;
}

/* A core that ends gives everything back, whatever its connections still held. */
void heap_destroy_releases_what_is_left(void)
{
    if (strcmp(heap_allocator_name(), "mimalloc") != 0) {
        test_skip("the C library cannot release a heap as a whole");
        return;
    }
    enum {
        ROUNDS = 200,
        BLOCKS = 16,
        SIZE = 64 * 1024
    };
    long before = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct heap *heap = heap_create(BUDGET);
        for (unsigned i = 0; i < BLOCKS; i++) {
            void *block = heap_alloc(heap, SIZE);
            CU_ASSERT_PTR_NOT_NULL_FATAL(block);
            memset(block, 1, SIZE);
        }
        heap_destroy(heap);
        if (round == ROUNDS / 4) {
            before = resident_pages();
        }
    }
    /* A leak of the rounds that followed would be 150 MB. */
    long growth = (resident_pages() - before) * sysconf(_SC_PAGESIZE);
    EXPECT(growth < 16 * 1024 * 1024, "memory does not grow");
}

static void *thread_run(void *argument)
{
    bool *good = argument;
    struct heap *heap = heap_create(BUDGET);
    *good = heap != NULL;
    for (unsigned i = 0; *good && i < 10000; i++) {
        size_t size = 1 + (size_t)i * 31 % 5000;
        void *block = heap_alloc(heap, size);
        *good = block != NULL;
        if (*good) {
            memset(block, (int)i, size);
            heap_free(heap, block, size);
        }
    }
    if (heap != NULL) {
        heap_destroy(heap);
    }
    return NULL;
}

void heaps_of_several_threads_do_not_meet(void)
{
    enum {
        THREADS = 4
    };
    pthread_t threads[THREADS];
    bool good[THREADS] = {false};
    for (unsigned i = 0; i < THREADS; i++) {
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, thread_run, &good[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        CU_ASSERT_EQUAL(pthread_join(threads[i], NULL), 0);
        CU_ASSERT_TRUE(good[i]);
    }
}

/* Which library a function of this name comes from, for this program and whatever it loads. */
static void check_is_of_libc(const char *function)
{
    void *address = dlsym(RTLD_DEFAULT, function);
    Dl_info info = {0};
    CU_ASSERT_PTR_NOT_NULL_FATAL(address);
    CU_ASSERT_NOT_EQUAL_FATAL(dladdr(address, &info), 0);
    EXPECT(strstr(info.dli_fname, "/libc.so.6") != NULL, info.dli_fname);
}

void program_keeps_the_malloc_of_libc(void)
{
    if (getenv("LD_PRELOAD") != NULL) {
        test_skip("a library is preloaded");
        return;
    }
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    test_skip("a sanitizer brings its own malloc");
    return;
#endif
    struct heap *heap = heap_create(BUDGET);
    void *block = heap_alloc(heap, 100);
    check_is_of_libc("malloc");
    check_is_of_libc("calloc");
    check_is_of_libc("realloc");
    check_is_of_libc("free");
    heap_free(heap, block, 100);
    heap_destroy(heap);
}

void memory_map_is_zero_and_lies_on_a_page(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = 3 * page + 1;
    uint8_t *bytes = memory_map(size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
    EXPECT_INT((uintptr_t)bytes % page, 0, "aligned");
    for (size_t i = 0; i < size; i += page) {
        EXPECT_INT(bytes[i], 0, "zero");
        bytes[i] = 1;
    }
    memory_unmap(bytes, size);
    memory_unmap(NULL, size);
}

/* Tables are sized for the most connections there may be: address space, not memory. */
void memory_map_takes_no_room_until_touched(void)
{
    size_t size = (size_t)1 << 34;
    long before = resident_pages();
    uint8_t *bytes = memory_map(size);
    if (bytes == NULL) {
        test_skip("address space is limited");
        return;
    }
    bytes[size / 2] = 1;
    EXPECT(resident_pages() - before < 4096, "a few pages at most");
    memory_unmap(bytes, size);
}

void memory_map_fails_with_null(void)
{
    CU_ASSERT_PTR_NULL(memory_map(SIZE_MAX / 2));
}

void memory_alloc_is_zero(void)
{
    for (unsigned round = 0; round < 10; round++) {
        uint8_t *bytes = memory_alloc(333);
        CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
        for (unsigned i = 0; i < 333; i++) {
            EXPECT_INT(bytes[i], 0, "zero");
        }
        memset(bytes, 0xff, 333);
        memory_free(bytes);
    }
}
