/* SPDX-License-Identifier: MIT */
/* D3, the route lookup: nanoseconds from a path to its route and two values.
 *
 *   bench-route [case [routes]]
 *
 * Routes have two parameters each and are in up to 16 shapes; the literals of all are different
 * words of 5 to 12 letters, but for the first segment of "api", of which there are four.
 *
 *   spread   shapes of four and of five segments: a path is looked up in six or in ten of them
 *   alike    all shapes have seven segments: each path is looked up in all
 *   api      four and five segments that all begin with one of four literals
 *   divided  as spread, with both parameters in one segment, "{a}-{b}"
 *   nothing  as spread, with paths that lead nowhere
 *
 *   hot      64 routes in turn: all that is touched is in the nearest caches
 *   any      each route once, in random order: of a large table nothing is in a near cache; the
 *            paths are, as that of a request would be
 *
 * The best and the middle of nine runs; and the time that making the table takes, templates
 * apart. */
#include "router/route_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SHAPES_MAX   16
#define SEGMENTS_MAX 7
#define PARAM_COUNT  2
#define HOT_COUNT    64
#define RUN_COUNT    9
#define LOOKUPS_MIN  200000U
#define TEXT_SIZE    160

enum kind {
    KIND_SPREAD,
    KIND_ALIKE,
    KIND_API,
    KIND_DIVIDED,
    KIND_NOTHING,
    KIND_COUNT
};

static const char *const kind_names[] = {"spread", "alike", "api", "divided", "nothing"};

struct places {
    uint8_t segment_count;
    uint8_t params[PARAM_COUNT];
};

/* Where parameters are. */
static const struct places spread[SHAPES_MAX] = {
    {4, {0, 1}}, {4, {0, 2}}, {4, {0, 3}}, {4, {1, 2}}, {4, {1, 3}}, {4, {2, 3}},
    {5, {0, 1}}, {5, {0, 2}}, {5, {0, 3}}, {5, {0, 4}}, {5, {1, 2}}, {5, {1, 3}},
    {5, {1, 4}}, {5, {2, 3}}, {5, {2, 4}}, {5, {3, 4}},
};
static const struct places alike[SHAPES_MAX] = {
    {7, {1, 3}}, {7, {1, 5}}, {7, {2, 3}}, {7, {2, 4}}, {7, {2, 5}}, {7, {3, 4}},
    {7, {3, 5}}, {7, {3, 6}}, {7, {4, 5}}, {7, {4, 6}}, {7, {5, 6}}, {7, {0, 6}},
    {7, {0, 3}}, {7, {0, 5}}, {7, {1, 6}}, {7, {2, 6}},
};
static const struct places api[SHAPES_MAX] = {
    {4, {1, 2}}, {4, {1, 3}}, {4, {2, 3}}, {5, {1, 2}}, {5, {1, 3}}, {5, {1, 4}},
    {5, {2, 3}}, {5, {2, 4}}, {5, {3, 4}}, {6, {1, 3}}, {6, {1, 5}}, {6, {2, 3}},
    {6, {2, 5}}, {6, {3, 4}}, {6, {3, 5}}, {6, {4, 5}},
};

struct bench {
    enum kind kind;
    uint32_t count;
    struct route_entry *entries;
    struct route_table *table;
    uint8_t *paths;    /* one behind the other, in the order of lookups */
    uint32_t *offsets; /* count + 1 of them */
    uint32_t *expected;
};

static uint64_t clock_ns(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        abort();
    }
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static uint32_t number_next(uint64_t *state, uint32_t below)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(*state >> 33) % below;
}

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

/* ---- routes ---------------------------------------------------------------------------------- */

static const struct places *places_of(enum kind kind, uint32_t route)
{
    const struct places *shapes = kind == KIND_ALIKE ? alike : kind == KIND_API ? api : spread;
    return &shapes[route % SHAPES_MAX];
}

/* A word of its own for each segment of each route, the same whenever it is asked for. */
static size_t word_write(uint32_t route, uint32_t segment, char *text)
{
    uint64_t state = (uint64_t)route * SEGMENTS_MAX + segment;
    (void)number_next(&state, 2);
    uint32_t size = 5 + number_next(&state, 8);
    for (uint32_t i = 0; i < size; i++) {
        text[i] = (char)('a' + number_next(&state, 26));
    }
    return size;
}

/* The template of a route, or a path to it. */
static size_t route_write(enum kind kind, uint32_t route, bool is_path, char text[TEXT_SIZE])
{
    const struct places *places = places_of(kind, route);
    size_t size = 0;
    uint32_t param = 0;
    for (uint32_t i = 0; i < places->segment_count; i++) {
        text[size++] = '/';
        if (param < PARAM_COUNT && i == places->params[param]) {
            param++;
            bool is_first = param == 1;
            const char *piece = is_path ? "value" : is_first ? "{p}" : "{q}";
            if (kind == KIND_DIVIDED) {
                piece = !is_first ? "literal" : is_path ? "x-and" : "{x}-{y}";
            }
            size += (size_t)snprintf(text + size, TEXT_SIZE - size, "%s", piece);
        } else if (kind == KIND_API && i == 0) {
            size +=
                (size_t)snprintf(text + size, TEXT_SIZE - size, "api%u", route / SHAPES_MAX % 4);
        } else {
            size_t begin = size;
            size += word_write(route, i, text + size);
            text[begin] = kind == KIND_NOTHING && is_path ? 'A' : text[begin];
        }
    }
    return size;
}

static void bench_init(struct bench *bench, enum kind kind, uint32_t count)
{
    char text[TEXT_SIZE];
    *bench = (struct bench){.kind = kind, .count = count};
    bench->entries = allocate(count, sizeof(*bench->entries));
    bench->expected = allocate(count, sizeof(*bench->expected));
    bench->offsets = allocate((size_t)count + 1, sizeof(*bench->offsets));
    bench->paths = allocate(count, TEXT_SIZE);
    for (uint32_t i = 0; i < count; i++) {
        struct template *template;
        size_t size = route_write(kind, i, false, text);
        if (template_parse(span_of(text, size), false, &template, NULL) != 0) {
            abort();
        }
        bench->entries[i] = (struct route_entry){.template = template, .methods = 1};
        bench->expected[i] = i;
    }
    uint64_t state = 1;
    for (uint32_t i = count; i > 1; i--) {
        uint32_t other = number_next(&state, i);
        uint32_t kept = bench->expected[i - 1];
        bench->expected[i - 1] = bench->expected[other];
        bench->expected[other] = kept;
    }
    for (uint32_t i = 0; i < count; i++) {
        size_t size = route_write(kind, bench->expected[i], true, text);
        memcpy(bench->paths + bench->offsets[i], text, size);
        bench->offsets[i + 1] = bench->offsets[i] + (uint32_t)size;
    }
}

static void bench_deinit(struct bench *bench)
{
    route_table_destroy(bench->table);
    for (uint32_t i = 0; i < bench->count; i++) {
        template_destroy((struct template *)(uintptr_t)bench->entries[i].template);
    }
    free(bench->entries);
    free(bench->expected);
    free(bench->offsets);
    free(bench->paths);
}

/* ---- measuring ------------------------------------------------------------------------------- */

static int double_compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void bench_check(const struct bench *bench)
{
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < bench->count; i++) {
        struct route_match match = {.index = UINT32_MAX};
        uint32_t begin = bench->offsets[i];
        struct span path = span_of(bench->paths + begin, bench->offsets[i + 1] - begin);
        bool found = route_find(bench->table, path, 1, &match) == ROUTE_FOUND;
        wrong += bench->kind == KIND_NOTHING ? found
                                             : !found || match.index != bench->expected[i] ||
                                                   match.value_count != PARAM_COUNT;
    }
    if (wrong != 0) {
        (void)fprintf(stderr, "%u of %u paths were not found as they should\n", wrong,
                      bench->count);
        abort();
    }
}

static double run(const struct bench *bench, uint32_t path_count)
{
    uint32_t rounds = (LOOKUPS_MIN + path_count - 1) / path_count;
    uint64_t start_ns = clock_ns();
    for (uint32_t round = 0; round < rounds; round++) {
        for (uint32_t i = 0; i < path_count; i++) {
            struct route_match match;
            uint32_t begin = bench->offsets[i];
            struct span path = span_of(bench->paths + begin, bench->offsets[i + 1] - begin);
            (void)route_find(bench->table, path, 1, &match);
            __asm__ volatile("" : : "r"(&match) : "memory");
        }
    }
    return (double)(clock_ns() - start_ns) / rounds / path_count;
}

static void on_unreachable(void *context, size_t index, size_t by)
{
    (void)context;
    (void)fprintf(stderr, "route %zu is never reached because of %zu\n", index, by);
    abort();
}

static void measure(const struct bench *bench, const char *name, uint32_t path_count)
{
    double runs[RUN_COUNT];
    for (unsigned i = 0; i < RUN_COUNT; i++) {
        runs[i] = run(bench, path_count);
    }
    qsort(runs, RUN_COUNT, sizeof(runs[0]), double_compare);
    (void)printf("%8.1f %6.1f %s", runs[0], runs[RUN_COUNT / 2], name);
}

int main(int argc, char **argv)
{
    static const uint32_t counts[] = {10, 1000, 100000};
    (void)printf("%-8s %7s %10s %20s %20s\n", "case", "routes", "made in", "hot: best, middle ns",
                 "any: best, middle ns");
    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        for (size_t i = 0; i < COUNT_OF(counts); i++) {
            struct bench bench;
            if ((argc > 1 && strcmp(argv[1], kind_names[kind]) != 0) ||
                (argc > 2 && strtoul(argv[2], NULL, 10) != counts[i])) {
                continue;
            }
            bench_init(&bench, (enum kind)kind, counts[i]);
            uint64_t start_ns = clock_ns();
            if (route_table_create(bench.entries, bench.count, on_unreachable, NULL,
                                   &bench.table) != 0) {
                abort();
            }
            double made_ms = (double)(clock_ns() - start_ns) / 1e6;
            bench_check(&bench);
            (void)printf("%-8s %7u %7.1f ms", kind_names[kind], bench.count, made_ms);
            measure(&bench, "     ", bench.count < HOT_COUNT ? bench.count : HOT_COUNT);
            measure(&bench, "\n", bench.count);
            bench_deinit(&bench);
        }
    }
    return 0;
}
