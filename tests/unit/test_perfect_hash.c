/* SPDX-License-Identifier: MIT */
/* The perfect hash of names: every name is found, nothing else is, whatever the names look like. */
#include "router/perfect_hash.h"
#include "tests/parser_kit.h"
#include "tests/run_tests.h"

#include <stdio.h>
#include <stdlib.h>

#define NAME_SIZE  48 /* and what may be read behind it */
#define COUNT_MAX  100000
#define OVERREAD   16
#define TAIL_COUNT 200

/* Many names in one piece of memory. */
struct names {
    uint8_t (*bytes)[NAME_SIZE]; /* owned */
    struct span *spans;          /* owned */
    size_t count;
};

static void names_init(struct names *names, size_t count)
{
    names->bytes = calloc(count + 1, sizeof(*names->bytes));
    names->spans = calloc(count + 1, sizeof(*names->spans));
    names->count = count;
    if (names->bytes == NULL || names->spans == NULL) {
        abort();
    }
}

static void names_deinit(struct names *names)
{
    free(names->bytes);
    free(names->spans);
}

/* What tags and routes look like. */
static void names_fill(struct names *names)
{
    static const char *const formats[][2] = {
        {"task.", ""}, {"", ""}, {"a/rather/long/route/", "/edit"}, {"t", ""}};
    for (size_t i = 0; i < names->count; i++) {
        const char *const *format = formats[i % COUNT_OF(formats)];
        int size = snprintf((char *)names->bytes[i], NAME_SIZE - OVERREAD, "%s%zu%s", format[0], i,
                            format[1]);
        names->spans[i] = span_of(names->bytes[i], (size_t)size);
    }
}

static struct perfect_hash *hash_create(const struct span *names, size_t count)
{
    struct perfect_hash *hash = NULL;
    size_t twins[2];
    EXPECT_INT(perfect_hash_create(names, count, &hash, twins), 0, "created");
    if (hash == NULL) {
        abort();
    }
    return hash;
}

/* How many names are not found at their index. */
static unsigned names_count_wrong(const struct perfect_hash *hash, const struct span *names,
                                  size_t count)
{
    unsigned wrong = 0;
    for (size_t i = 0; i < count; i++) {
        wrong += perfect_hash_find(hash, names[i]) != i;
    }
    return wrong;
}

void perfect_hash_finds_every_name_and_no_other(void)
{
    static const size_t counts[] = {10, 100, 997, 10000, COUNT_MAX};
    for (size_t row = 0; row < 70 + COUNT_OF(counts); row++) {
        size_t count = row < 70 ? row : counts[row - 70];
        struct names names;
        names_init(&names, count);
        names_fill(&names);
        struct perfect_hash *hash = hash_create(names.spans, count);
        EXPECT_INT(names_count_wrong(hash, names.spans, count), 0, "every name");
        unsigned wrong = 0;
        for (size_t i = 0; i < count; i++) {
            /* One character more, one less that leaves no other name, one that differs. */
            struct span name = names.spans[i];
            uint8_t *last = names.bytes[i] + name.size - 1;
            *(last + 1) = 'x';
            wrong += perfect_hash_find(hash, span_of(name.ptr, name.size + 1)) != PERFECT_HASH_NONE;
            uint8_t saved = *last;
            *last = 'x';
            wrong += perfect_hash_find(hash, name) != PERFECT_HASH_NONE;
            *last = saved;
        }
        wrong += perfect_hash_find(hash, SPAN_LITERAL("")) != PERFECT_HASH_NONE;
        EXPECT_INT(wrong, 0, "no other");
        perfect_hash_destroy(hash);
        names_deinit(&names);
    }
}

void perfect_hash_of_nothing_finds_nothing(void)
{
    struct perfect_hash *hash = hash_create(NULL, 0);
    uint8_t name[1 + OVERREAD] = "a";
    EXPECT(perfect_hash_find(hash, span_of(name, 1)) == PERFECT_HASH_NONE, "a name");
    EXPECT(perfect_hash_find(hash, span_of(name, 0)) == PERFECT_HASH_NONE, "the empty name");
    EXPECT(perfect_hash_find(hash, span_of(NULL, 0)) == PERFECT_HASH_NONE, "no pointer");
    perfect_hash_destroy(hash);
    perfect_hash_destroy(NULL);
}

void perfect_hash_knows_the_empty_name(void)
{
    uint8_t other[1 + OVERREAD] = {0};
    struct span names[] = {SPAN_LITERAL("a"), {NULL, 0}, SPAN_LITERAL("b")};
    struct perfect_hash *hash = hash_create(names, COUNT_OF(names));
    EXPECT_INT(perfect_hash_find(hash, span_of(NULL, 0)), 1, "without a pointer");
    EXPECT_INT(perfect_hash_find(hash, span_of(other, 0)), 1, "with one");
    EXPECT(perfect_hash_find(hash, span_of(other, 1)) == PERFECT_HASH_NONE,
           "a zero is a character");
    perfect_hash_destroy(hash);
}

/* The same byte, zero among them, as often as one likes: names that differ in their size alone. */
void perfect_hash_tells_sizes_apart(void)
{
    static const uint8_t fills[] = {0, 'a', 0xff};
    for (size_t row = 0; row < COUNT_OF(fills); row++) {
        uint8_t bytes[TAIL_COUNT + OVERREAD];
        struct span names[TAIL_COUNT];
        memset(bytes, fills[row], sizeof(bytes));
        for (size_t i = 0; i < TAIL_COUNT; i++) {
            names[i] = span_of(bytes, i);
        }
        struct perfect_hash *hash = hash_create(names, TAIL_COUNT);
        EXPECT_INT(names_count_wrong(hash, names, TAIL_COUNT), 0, "every size");
        perfect_hash_destroy(hash);
        /* Only every second one is a name. */
        for (size_t i = 0; i < TAIL_COUNT / 2; i++) {
            names[i] = span_of(bytes, 2 * i + 1);
        }
        hash = hash_create(names, TAIL_COUNT / 2);
        unsigned wrong = 0;
        for (size_t i = 0; i < TAIL_COUNT; i++) {
            uint32_t expected = i % 2 == 0 ? PERFECT_HASH_NONE : (uint32_t)i / 2;
            wrong += perfect_hash_find(hash, span_of(bytes, i)) != expected;
        }
        EXPECT_INT(wrong, 0, "names are compared");
        perfect_hash_destroy(hash);
    }
}

/* One bit, anywhere in a name of any size, makes another name. */
void perfect_hash_compares_every_bit(void)
{
    for (size_t size = 1; size <= 70; size++) {
        uint8_t name[70 + OVERREAD];
        memset(name, 'n', sizeof(name));
        struct span names[] = {span_of(name, size)};
        struct perfect_hash *hash = hash_create(names, 1);
        unsigned found = 0;
        for (size_t bit = 0; bit < 8 * size; bit++) {
            name[bit / 8] ^= (uint8_t)(1u << bit % 8);
            found += perfect_hash_find(hash, span_of(name, size)) != PERFECT_HASH_NONE;
            name[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        EXPECT_INT(found, 0, "another bit");
        EXPECT_INT(perfect_hash_find(hash, span_of(name, size)), 0, "the name itself");
        perfect_hash_destroy(hash);
    }
}

/* What lies behind a name has no effect, and no more of it is read than may be. */
void perfect_hash_reads_sixteen_bytes_behind_a_name_at_most(void)
{
    for (size_t size = 0; size <= 40; size++) {
        uint8_t bytes[40 + OVERREAD];
        memset(bytes, 'n', sizeof(bytes));
        struct span names[] = {span_of(bytes, size)};
        struct perfect_hash *hash = hash_create(names, 1);
        for (unsigned byte = 0; byte < 256; byte += 51) {
            memset(bytes + size, (int)byte, OVERREAD);
            uint8_t *copy = guard_copy(bytes, size + OVERREAD);
            EXPECT_INT(perfect_hash_find(hash, span_of(copy, size)), 0, "found");
            guard_free(copy);
        }
        perfect_hash_destroy(hash);
    }
}

void perfect_hash_keeps_copies_of_names(void)
{
    struct names names;
    names_init(&names, 100);
    names_fill(&names);
    struct perfect_hash *hash = hash_create(names.spans, names.count);
    memset(names.bytes, 0, names.count * sizeof(*names.bytes));
    names_fill(&names);
    EXPECT_INT(names_count_wrong(hash, names.spans, names.count), 0, "written again");
    memset(names.bytes, 0, names.count * sizeof(*names.bytes));
    EXPECT_INT(names_count_wrong(hash, names.spans, names.count), names.count, "overwritten");
    perfect_hash_destroy(hash);
    names_deinit(&names);
}

static void twins_expect(const struct span *names, size_t count, size_t first, size_t second)
{
    struct perfect_hash *hash = NULL;
    size_t twins[2] = {SIZE_MAX, SIZE_MAX};
    EXPECT_INT(perfect_hash_create(names, count, &hash, twins), GYR_ERR_EXISTS, "twins");
    EXPECT(hash == NULL, "nothing is made");
    EXPECT_INT(twins[0], first, "the first");
    EXPECT_INT(twins[1], second, "the second");
}

void perfect_hash_names_two_that_are_equal(void)
{
    static const size_t pairs[][2] = {{0, 1}, {0, 999}, {998, 999}, {17, 500}};
    for (size_t row = 0; row < COUNT_OF(pairs); row++) {
        struct names names;
        names_init(&names, 1000);
        names_fill(&names);
        names.spans[pairs[row][1]] = names.spans[pairs[row][0]];
        twins_expect(names.spans, names.count, pairs[row][0], pairs[row][1]);
        names_deinit(&names);
    }
    const struct span empty[] = {SPAN_LITERAL("a"), {NULL, 0}, SPAN_LITERAL("")};
    twins_expect(empty, COUNT_OF(empty), 1, 2);
    struct span same[1000];
    for (size_t i = 0; i < COUNT_OF(same); i++) {
        same[i] = SPAN_LITERAL("a name of more than sixteen bytes");
    }
    twins_expect(same, COUNT_OF(same), 0, 1);
}

/* The product of two 64-bit numbers, its halves folded, as the hash does it. */
static uint64_t product_fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Names whose first eight bytes are the seed of the first attempt all have the hash 0: a factor is
 * 0. Another seed tells them apart. */
void perfect_hash_tries_another_seed_when_hashes_are_equal(void)
{
    static const size_t counts[] = {2, 3, 64, 65, 66, 1000};
    const uint64_t seed = product_fold(UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xbb67ae8584caa73b));
    for (size_t row = 0; row < COUNT_OF(counts); row++) {
        struct names names;
        names_init(&names, counts[row]);
        for (size_t i = 0; i < names.count; i++) {
            memcpy(names.bytes[i], &seed, sizeof(seed));
            memcpy(names.bytes[i] + sizeof(seed), &i, sizeof(i));
            names.spans[i] = span_of(names.bytes[i], sizeof(seed) + sizeof(i));
        }
        struct perfect_hash *hash = hash_create(names.spans, names.count);
        EXPECT_INT(names_count_wrong(hash, names.spans, names.count), 0, "every name");
        perfect_hash_destroy(hash);
        /* Twins among them are still found. */
        names.spans[names.count - 1] = names.spans[0];
        twins_expect(names.spans, names.count, 0, names.count - 1);
        names_deinit(&names);
    }
}

/* Names in an order, in two alphabets, with long common beginnings: nothing that a hash mixes badly
 * keeps it from being built. */
void perfect_hash_is_built_of_names_of_every_pattern(void)
{
    for (unsigned pattern = 0; pattern < 6; pattern++) {
        struct names names;
        names_init(&names, 5000);
        for (size_t i = 0; i < names.count; i++) {
            uint8_t *bytes = names.bytes[i];
            size_t sizes[] = {4, 8, 12, 16, 24, 32};
            memset(bytes, pattern % 2 == 0 ? 'a' : 0, sizes[pattern]);
            memcpy(bytes + (pattern < 3 ? 0 : sizes[pattern] - 4), &i, 4);
            names.spans[i] = span_of(bytes, sizes[pattern]);
        }
        struct perfect_hash *hash = hash_create(names.spans, names.count);
        EXPECT_INT(names_count_wrong(hash, names.spans, names.count), 0, "every name");
        perfect_hash_destroy(hash);
        names_deinit(&names);
    }
}
