/* SPDX-License-Identifier: MIT */
/* Unmasking at every SIMD level against the loop of RFC 6455 section 5.3: all small sizes, all
 * alignments, all distances between target and source, with unreadable pages on both sides. */
#include "proto/ws_mask.h"
#include "tests/parser_kit.h"
#include "tests/run_tests.h"

#include <stdalign.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SMALL_SIZE_MAX 300
#define ALIGNMENT_MAX  64
#define KEY            UINT32_C(0xd4c3b2a1)

/* Long enough for the path with aligned stores, which begins at 512 bytes. */
static const size_t long_sizes[] = {511, 512, 513, 575, 576, 577, 639, 640, 767, 1024, 1500, 4099};

/* Section 5.3: transformed-octet-i = original-octet-i XOR masking-key-octet-(i MOD 4). */
static void mask_reference(uint8_t *target, const uint8_t *source, size_t size, uint32_t key)
{
    uint8_t key_bytes[4];
    memcpy(key_bytes, &key, sizeof(key_bytes));
    for (size_t i = 0; i < size; i++) {
        target[i] = source[i] ^ key_bytes[i % 4];
    }
}

/* True if this machine can run the level; otherwise the test counts as skipped. */
static bool level_begin(enum simd_level level)
{
    enum simd_level best = simd_detect();
    bool runs = level == SIMD_PORTABLE || level == best ||
                (level < best && best <= SIMD_AVX512 && level <= SIMD_AVX512);
    if (!runs) {
        test_skip(simd_level_name(level));
    }
    return runs;
}

/* A page of `size` bytes at least, with an unreadable page before it and one behind it. */
static uint8_t *arena_map(size_t size)
{
    size_t page = (size_t)getpagesize();
    size_t data_size = (size + page - 1) / page * page;
    uint8_t *map = mmap(NULL, data_size + 2 * page, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || mprotect(map, page, PROT_NONE) != 0 ||
        mprotect(map + page + data_size, page, PROT_NONE) != 0) {
        abort();
    }
    return map + page;
}

static void arena_unmap(uint8_t *arena, size_t size)
{
    size_t page = (size_t)getpagesize();
    munmap(arena - page, (size + page - 1) / page * page + 2 * page);
}

static void arena_fill(uint8_t *arena, size_t size)
{
    uint32_t state = 12345;
    for (size_t i = 0; i < size; i++) {
        state = state * 1103515245 + 12345;
        arena[i] = (uint8_t)(state >> 16);
    }
}

/* One call in a window of `window_size` bytes: the source at source_at, the target `distance`
 * below. The whole window must look as the byte loop leaves it. Returns true if it does. */
static bool window_agrees(const struct ws_mask_ops *ops, uint8_t *window, size_t window_size,
                          size_t source_at, size_t distance, size_t size)
{
    static uint8_t expected[16384];
    uint8_t *target = expected + source_at - distance;
    arena_fill(window, window_size);
    memcpy(expected, window, window_size);
    mask_reference(target, expected + source_at, size, KEY);
    bool ascii = true;
    for (size_t i = 0; i < size; i++) {
        ascii = ascii && target[i] < 0x80;
    }
    ops->unmask(window + source_at - distance, window + source_at, size, KEY);
    bool good = memcmp(window, expected, window_size) == 0;

    arena_fill(window, window_size);
    bool found = ops->unmask_ascii(window + source_at - distance, window + source_at, size, KEY);
    return good && found == ascii && memcmp(window, expected, window_size) == 0;
}

/* The source ends at the upper guard page, and the target begins at any distance below. */
static unsigned distances_count_wrong(const struct ws_mask_ops *ops, uint8_t *end, size_t size)
{
    unsigned wrong = 0;
    for (size_t distance = 0; distance <= 2 * ALIGNMENT_MAX + 4; distance++) {
        size_t window_size = size + distance + 16;
        wrong += !window_agrees(ops, end - window_size, window_size, distance + 16, distance, size);
    }
    size_t apart = size + 3;
    size_t window_size = size + apart + 16;
    wrong += !window_agrees(ops, end - window_size, window_size, apart + 16, apart, size);
    return wrong;
}

/* The target begins at the lower guard page or up to 63 bytes behind it. */
static unsigned alignments_count_wrong(const struct ws_mask_ops *ops, uint8_t *start, size_t size)
{
    static const size_t distances[] = {0, 1, 2, 4, 6, 14, 31, 32, 64};
    unsigned wrong = 0;
    for (size_t alignment = 0; alignment < ALIGNMENT_MAX; alignment++) {
        size_t distance = distances[(alignment + size) % COUNT_OF(distances)];
        size_t window_size = alignment + distance + size + 8;
        wrong += !window_agrees(ops, start, window_size, alignment + distance, distance, size);
        wrong += !window_agrees(ops, start, window_size, alignment, 0, size);
    }
    return wrong;
}

static void level_agrees_with_byte_loop(enum simd_level level)
{
    if (!level_begin(level)) {
        return;
    }
    const struct ws_mask_ops *ops = ws_mask_ops(level);
    size_t arena_size = 16384;
    uint8_t *arena = arena_map(arena_size);
    for (size_t size = 0; size <= SMALL_SIZE_MAX; size++) {
        EXPECT_INT(distances_count_wrong(ops, arena + arena_size, size), 0, "small, distances");
        EXPECT_INT(alignments_count_wrong(ops, arena, size), 0, "small, alignments");
    }
    for (size_t i = 0; i < COUNT_OF(long_sizes); i++) {
        size_t size = long_sizes[i];
        EXPECT_INT(distances_count_wrong(ops, arena + arena_size, size), 0, "long, distances");
        EXPECT_INT(alignments_count_wrong(ops, arena, size), 0, "long, alignments");
    }
    arena_unmap(arena, arena_size);
}

/* One byte that is not ASCII is found wherever it stands, under a key that is itself not ASCII. */
static void level_finds_every_non_ascii_byte(enum simd_level level)
{
    if (!level_begin(level)) {
        return;
    }
    const struct ws_mask_ops *ops = ws_mask_ops(level);
    static const size_t sizes[] = {600, 1087, 1500};
    /* Not aligned, so that the long sizes begin with a head of their own. */
    alignas(64) static uint8_t aligned[64 + 1500];
    uint8_t *text = aligned + 13;
    uint8_t masked[1500];
    for (size_t row = 0; row <= SMALL_SIZE_MAX + COUNT_OF(sizes); row++) {
        size_t size = row <= SMALL_SIZE_MAX ? row : sizes[row - SMALL_SIZE_MAX - 1];
        unsigned wrong = 0;
        memset(text, 0x7f, size);
        mask_reference(masked, text, size, KEY);
        memcpy(text, masked, size);
        wrong += !ops->unmask_ascii(text, text, size, KEY);
        for (size_t place = 0; place < size; place++) {
            memcpy(text, masked, size);
            text[place] ^= 0x80;
            wrong += ops->unmask_ascii(text, text, size, KEY);
        }
        EXPECT_INT(wrong, 0, "every place of one byte that is not ASCII");
    }
}

/* A payload that comes in two pieces, cut anywhere, with the key turned between them. */
static void level_unmasks_in_pieces(enum simd_level level)
{
    if (!level_begin(level)) {
        return;
    }
    const struct ws_mask_ops *ops = ws_mask_ops(level);
    uint8_t masked[700];
    uint8_t expected[700];
    arena_fill(masked, sizeof(masked));
    mask_reference(expected, masked, sizeof(masked), KEY);
    unsigned wrong = 0;
    for (size_t cut = 0; cut <= sizeof(masked); cut++) {
        uint8_t bytes[700];
        memcpy(bytes, masked, sizeof(bytes));
        ops->unmask(bytes, bytes, cut, KEY);
        ops->unmask(bytes + cut, bytes + cut, sizeof(bytes) - cut, ws_mask_advance(KEY, cut));
        wrong += memcmp(bytes, expected, sizeof(bytes)) != 0;
    }
    EXPECT_INT(wrong, 0, "cut in two at every byte");
}

void ws_mask_portable_agrees_with_byte_loop(void)
{
    level_agrees_with_byte_loop(SIMD_PORTABLE);
}

void ws_mask_sse42_agrees_with_byte_loop(void)
{
    level_agrees_with_byte_loop(SIMD_SSE42);
}

void ws_mask_avx2_agrees_with_byte_loop(void)
{
    level_agrees_with_byte_loop(SIMD_AVX2);
}

void ws_mask_avx512_agrees_with_byte_loop(void)
{
    level_agrees_with_byte_loop(SIMD_AVX512);
}

void ws_mask_neon_agrees_with_byte_loop(void)
{
    level_agrees_with_byte_loop(SIMD_NEON);
}

void ws_mask_portable_finds_every_non_ascii_byte(void)
{
    level_finds_every_non_ascii_byte(SIMD_PORTABLE);
}

void ws_mask_sse42_finds_every_non_ascii_byte(void)
{
    level_finds_every_non_ascii_byte(SIMD_SSE42);
}

void ws_mask_avx2_finds_every_non_ascii_byte(void)
{
    level_finds_every_non_ascii_byte(SIMD_AVX2);
}

void ws_mask_avx512_finds_every_non_ascii_byte(void)
{
    level_finds_every_non_ascii_byte(SIMD_AVX512);
}

void ws_mask_neon_finds_every_non_ascii_byte(void)
{
    level_finds_every_non_ascii_byte(SIMD_NEON);
}

void ws_mask_unmasks_in_pieces(void)
{
    level_unmasks_in_pieces(SIMD_PORTABLE);
    level_unmasks_in_pieces(simd_detect());
}

/* RFC 6455 section 5.7. */
void ws_mask_unmasks_section_5_7_hello(void)
{
    const uint8_t key_bytes[4] = {0x37, 0xfa, 0x21, 0x3d};
    const uint8_t masked[5] = {0x7f, 0x9f, 0x4d, 0x51, 0x58};
    uint32_t key;
    memcpy(&key, key_bytes, sizeof(key));
    uint8_t *bytes = guard_copy(masked, sizeof(masked));
    EXPECT(ws_mask_ops(simd_detect())->unmask_ascii(bytes, bytes, sizeof(masked), key), "ASCII");
    EXPECT_SPAN(span_of(bytes, sizeof(masked)), "Hello", "section 5.7");
    guard_free(bytes);
}

void ws_mask_advance_turns_the_key(void)
{
    const uint8_t key_bytes[4] = {1, 2, 3, 4};
    uint32_t key;
    memcpy(&key, key_bytes, sizeof(key));
    for (uint64_t size = 0; size < 20; size++) {
        uint8_t turned[4];
        uint32_t advanced = ws_mask_advance(key, size + (UINT64_C(1) << 40));
        memcpy(turned, &advanced, sizeof(turned));
        for (size_t i = 0; i < sizeof(turned); i++) {
            EXPECT_INT(turned[i], key_bytes[(size + i) % 4], "turned by size modulo 4");
        }
    }
}

void ws_mask_ops_has_a_table_for_every_level(void)
{
    for (unsigned level = 0; level < SIMD_LEVEL_COUNT; level++) {
        const struct ws_mask_ops *ops = ws_mask_ops((enum simd_level)level);
        EXPECT(ops != NULL && ops->unmask != NULL && ops->unmask_ascii != NULL,
               simd_level_name((enum simd_level)level));
    }
}
