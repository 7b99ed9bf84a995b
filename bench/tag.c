/* SPDX-License-Identifier: MIT */
/* From a message to its handler: nanoseconds of the scan for the tag next to simdjson's on-demand
 * doc["type"] on the same bytes (D1), and of the perfect hash of tags (D2).
 *
 *   bench-tag [name]    only the cases whose name begins so
 *
 * Every case is run in short pieces, those that are compared by turns, 15 rounds of 2 ms each; the
 * best of each is printed. All data is warm. */
#include "router/tag.h"
#include "base/simd.h"
#include "router/perfect_hash.h"
#include "tests/json_reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TEXT_MAX    (20u << 10)
#define ROUND_COUNT 15
#define ROUND_NS    2000000u
#define REPEAT_MAX  (1u << 30)
#define NAME_SIZE   24
#define NAMES_MAX   1000
#define ORDER_COUNT 4096 /* of searches, in random order */

struct data {
    struct json_reference *reference;
    tag_scan_fn scan;
    uint8_t *text; /* with TAG_PADDING bytes behind it */
    size_t size;
    struct perfect_hash *hash;
    uint8_t (*names)[NAME_SIZE];
    struct span *order; /* what to search for */
    uint32_t chain;     /* keeps the compiler from dropping results */
};

typedef void (*case_fn)(struct data *data, uint32_t repeat);

static inline void memory_touch(void *memory)
{
    __asm__ volatile("" : : "r"(memory) : "memory");
}

static uint64_t clock_ns(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        abort();
    }
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static double run_once(case_fn run, struct data *data, uint32_t repeat)
{
    uint64_t start_ns = clock_ns();
    run(data, repeat);
    return (double)(clock_ns() - start_ns);
}

/* The best of several rounds, in nanoseconds for one of `count` things in a call. */
static void measure(struct data *data, const case_fn *runs, double *best, size_t run_count)
{
    uint32_t repeat[4];
    for (size_t i = 0; i < run_count; i++) {
        repeat[i] = 1;
        best[i] = 1e30;
        while (repeat[i] < REPEAT_MAX && run_once(runs[i], data, repeat[i]) < ROUND_NS) {
            repeat[i] *= 2;
        }
    }
    for (unsigned round = 0; round < ROUND_COUNT; round++) {
        for (size_t i = 0; i < run_count; i++) {
            double ns = run_once(runs[i], data, repeat[i]) / repeat[i];
            best[i] = ns < best[i] ? ns : best[i];
        }
    }
}

/* --- D1 ------------------------------------------------------------------------------------ */

static void run_scan(struct data *data, uint32_t repeat)
{
    for (uint32_t i = 0; i < repeat; i++) {
        struct tag tag;
        memory_touch(data->text);
        if (data->scan(span_of(data->text, data->size), SPAN_LITERAL("type"), &tag) != TAG_FOUND) {
            abort();
        }
        memory_touch(&tag);
    }
}

static void run_simdjson(struct data *data, uint32_t repeat)
{
    for (uint32_t i = 0; i < repeat; i++) {
        memory_touch(data->text);
        if (json_reference_lookup(data->reference, data->text, data->size, "type", 4) < 0) {
            abort();
        }
    }
}

static void text_put(struct data *data, const char *text)
{
    size_t size = strlen(text);
    memcpy(data->text + data->size, text, size);
    data->size += size;
}

/* A message of this size: some members, a list of objects, and a text that fills it up. */
static void text_fill(struct data *data, size_t size, bool is_late)
{
    static const char tag[] = "\"type\":\"chat.said\"";
    static const char head[] = "\"id\":1024,\"room\":\"lobby\",\"seen\":true,";
    char item[128];
    data->size = 0;
    text_put(data, "{");
    text_put(data, is_late ? "" : tag);
    text_put(data, is_late ? "" : ",");
    text_put(data, head);
    text_put(data, "\"list\":[");
    for (unsigned i = 0; data->size + 128 < size; i++) {
        (void)snprintf(item, sizeof(item),
                       "%s{\"id\":%u,\"text\":\"a line of it, number %u\",\"tags\":[\"x\",\"y\"],"
                       "\"score\":%u.5,\"seen\":true}",
                       i == 0 ? "" : ",", i, i * 7, i % 50);
        text_put(data, item);
    }
    text_put(data, "],\"more\":\"");
    size_t tail = is_late ? sizeof(tag) + 2 : 2;
    while (data->size + tail < size) {
        text_put(data, "x");
    }
    text_put(data, is_late ? "\"," : "\"}");
    text_put(data, is_late ? tag : "");
    text_put(data, is_late ? "}" : "");
}

static void scan_cases(const char *filter, struct data *data)
{
    static const size_t sizes[] = {100, 1024, 16384};
    const case_fn runs[] = {run_scan, run_simdjson};
    for (unsigned i = 0; i < 2 * COUNT_OF(sizes); i++) {
        bool is_late = i >= COUNT_OF(sizes);
        const char *name = is_late ? "D1: late tag" : "D1: early tag";
        if (strncmp(name, filter, strlen(filter)) != 0) {
            continue;
        }
        text_fill(data, sizes[i % COUNT_OF(sizes)], is_late);
        for (unsigned level = 0; level < SIMD_LEVEL_COUNT; level++) {
            double best[COUNT_OF(runs)];
            data->scan = tag_scan_at((enum simd_level)level);
            if (data->scan == NULL || level > simd_detect()) {
                continue;
            }
            measure(data, runs, best, COUNT_OF(runs));
            (void)printf("%-16s %-8s %6zu %10.2f %10.2f %8.1f\n", name,
                         simd_level_name((enum simd_level)level), data->size, best[0], best[1],
                         best[1] / best[0]);
        }
    }
}

/* --- D2 ------------------------------------------------------------------------------------ */

/* One search after the other, none waiting for the one before. */
static void run_find(struct data *data, uint32_t repeat)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < repeat; i++) {
        sum += perfect_hash_find(data->hash, data->order[i % ORDER_COUNT]);
    }
    data->chain = sum;
}

/* Each begins where the one before says: all of its latency. */
static void run_find_chained(struct data *data, uint32_t repeat)
{
    uint32_t last = 0;
    for (uint32_t i = 0; i < repeat; i++) {
        last = perfect_hash_find(data->hash, data->order[(i + (last >> 31)) % ORDER_COUNT]);
    }
    data->chain = last;
}

static void find_case(struct data *data, unsigned count, bool is_random)
{
    static const char *const verbs[] = {"add", "said", "left", "renamed", "list", "go"};
    struct span names[NAMES_MAX];
    size_t twins[2];
    for (unsigned i = 0; i < count; i++) {
        int size = snprintf((char *)data->names[i], NAME_SIZE, "%c%c.%s.%u", 'a' + i % 26,
                            'a' + i / 26 % 26, verbs[i % COUNT_OF(verbs)], i);
        names[i] = span_of(data->names[i], (size_t)size);
    }
    if (perfect_hash_create(names, count, &data->hash, twins) != 0) {
        abort();
    }
    uint32_t random = 1;
    for (unsigned i = 0; i < ORDER_COUNT; i++) {
        random = random * 1664525 + 1013904223;
        data->order[i] = names[is_random ? (random >> 8) % count : 0];
    }
    const case_fn runs[] = {run_find, run_find_chained};
    double best[COUNT_OF(runs)];
    measure(data, runs, best, COUNT_OF(runs));
    (void)printf("%-16s %-8s %6u %10.2f %10.2f\n", "D2: find", is_random ? "random" : "one", count,
                 best[0], best[1]);
    perfect_hash_destroy(data->hash);
}

int main(int argc, char **argv)
{
    const char *filter = argc > 1 ? argv[1] : "";
    struct data data = {.reference = json_reference_create(TEXT_MAX),
                        .text = aligned_alloc(CACHE_LINE, TEXT_MAX + TAG_PADDING),
                        .names = calloc(NAMES_MAX + 1, NAME_SIZE),
                        .order = calloc(ORDER_COUNT, sizeof(*data.order))};
    if (data.text == NULL || data.names == NULL || data.order == NULL) {
        abort();
    }
    memset(data.text, ' ', TEXT_MAX + TAG_PADDING);
    (void)printf("%-16s %-8s %6s %10s %10s %8s\n", "case", "level", "bytes", "gyr ns", "simdjson",
                 "ratio");
    scan_cases(filter, &data);
    if (strncmp("D2: find", filter, strlen(filter)) == 0) {
        (void)printf("%-16s %-8s %6s %10s %10s\n", "case", "names", "count", "ns", "chained ns");
        for (unsigned count = 10; count <= NAMES_MAX; count *= 10) {
            find_case(&data, count, false);
            find_case(&data, count, true);
        }
    }
    json_reference_destroy(data.reference);
    free(data.text);
    free(data.names);
    free(data.order);
    return 0;
}
