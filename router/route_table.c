/* SPDX-License-Identifier: MIT */
/* From a path to its route. Routes are put in shapes: how many segments, which of them are literals
 * alone, and whether the last one is the rest of the path.
 *
 * Each segment of a path is hashed once, turned by its place. A filter says of which shapes a
 * literal with this hash is known at this place; what is left after all segments is a shape or two
 * of those with as many segments, seldom more. The literals of a path, as a shape has them, have a
 * key: the sum of their hashes. A key is looked up in one table for all shapes: a pilot, found when
 * the table is made, turns it into a place of its own (hash and displace), where half of the key
 * and a node stand. A node that has the key is looked at, its literals are compared, and routes
 * with the same literals and shape follow it.
 *
 * RFC 3986 section 3.3 (segments), section 2.4 (decode after splitting, once). */
#include "router/route_table.h"

#include "base/hash.h"
#include "engine/engine.h"
#include "proto/http_byte.h"
#include "router/route_build.h"

#include <stdarg.h>
#include <stdio.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define MARKS_SIZE 64
#define BLOCK_SIZE 16
#define WORD_SIZE  8
#define PAIR_SIZE  16
#define ONES       0x0101010101010101U
#define HIGH_BITS  0x8080808080808080U

/* A lookup. */
struct search {
    struct route_probe probe;
    struct span path;
    size_t path_end; /* without a trailing slash */
    bool is_encoded; /* there is a "%" somewhere */
    bool is_empty;   /* one of the segments is */
    uint16_t method;
    uint16_t allowed; /* by whatever fits */
    const struct route_node *best;
    const struct shape *best_shape;
    struct route_match *match;
};

static inline bool path_split(struct search *search);
static bool path_is_sound(struct span path);
static uint32_t path_hash(const struct route_table *table, struct search *search,
                          const struct route_row *row);
static void shapes_search(const struct route_table *table, struct search *search,
                          uint32_t candidates, struct shape_range range);
static void node_consider(const struct route_table *table, struct search *search,
                          const struct shape *shape, uint32_t index);
static bool node_match(struct search *search, const struct shape *shape,
                       const struct route_node *node);
static struct span segment_rest(const struct search *search, const struct shape *shape);
static void match_write(const struct search *search);

enum route_status route_find(const struct route_table *table, struct span path, uint16_t method,
                             struct route_match *match)
{
    struct search search;
    if (path.size == 0 || path.ptr[0] != '/') {
        return ROUTE_NOT_FOUND;
    }
    search.path = path;
    search.method = method;
    search.allowed = 0;
    search.best = NULL;
    search.match = match;
    if (!path_split(&search)) {
        return ROUTE_BAD_PATH;
    }
    if (search.is_empty) {
        return ROUTE_NOT_FOUND;
    }
    const struct route_row *row = &table->rows[MIN(search.probe.count, ROUTE_ROWS - 1)];
    uint32_t candidates = path_hash(table, &search, row);
    for (size_t i = 0; i < COUNT_OF(row->ranges); i++) {
        shapes_search(table, &search, candidates, row->ranges[i]);
    }
    if (search.best != NULL) {
        match_write(&search);
        return ROUTE_FOUND;
    }
    match->methods = search.allowed;
    return search.allowed != 0 ? ROUTE_NOT_ALLOWED : ROUTE_NOT_FOUND;
}

/* ---- the path -------------------------------------------------------------------------------- */

/* What is looked for in a path: a bit for each of up to 64 bytes that is a slash; and whether there
 * is a "%" or a NUL anywhere. */
struct marks {
    uint64_t slashes;
    bool has_odd;
};

/* Up to eight bytes at `at`, the first of them lowest, those behind the path being ones. Nothing is
 * read that is not the path's. */
static inline uint64_t word_load(struct span path, size_t at)
{
    uint64_t word;
    size_t left = path.size - at;
    if (left >= WORD_SIZE) {
        memcpy(&word, path.ptr + at, sizeof(word));
        return word;
    }
    uint64_t filled = ONES << (8 * left);
    if (path.size >= WORD_SIZE) {
        memcpy(&word, path.ptr + path.size - WORD_SIZE, sizeof(word));
        return (word >> (8 * (WORD_SIZE - left))) | filled;
    }
    word = filled;
    for (size_t i = 0; i < left; i++) {
        word |= (uint64_t)path.ptr[at + i] << (8 * i);
    }
    return word;
}

/* The highest bit of each byte that is zero; of bytes above such a one it may be set wrongly. */
static inline uint64_t word_zeros(uint64_t word)
{
    return (word - ONES) & ~word & HIGH_BITS;
}

static inline void word_mark(struct span path, size_t at, size_t place, struct marks *marks)
{
    static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first byte is the lowest");
    uint64_t word = word_load(path, at);
    uint64_t others = word ^ (ONES * '/');
    uint64_t highs = ~(((others & ~HIGH_BITS) + ~HIGH_BITS) | others) & HIGH_BITS;
    /* The product brings bit 8 n + 7 to bit 56 + n. */
    marks->slashes |= ((highs >> 7) * 0x0102040810204080U >> 56) << place;
    marks->has_odd |= (word_zeros(word ^ (ONES * '%')) | word_zeros(word)) != 0;
}

#if defined(__SSE2__)

static inline void block_mark(const uint8_t *bytes, size_t skip, size_t place, struct marks *marks)
{
    __m128i block = _mm_loadu_si128((const __m128i *)(const void *)bytes);
    __m128i odd = _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('%')),
                               _mm_cmpeq_epi8(block, _mm_setzero_si128()));
    __m128i slash = _mm_cmpeq_epi8(block, _mm_set1_epi8('/'));
    marks->has_odd |= _mm_movemask_epi8(odd) != 0;
    marks->slashes |= (uint64_t)((uint32_t)_mm_movemask_epi8(slash) >> skip) << place;
}

static inline struct marks path_mark(struct span path, size_t at)
{
    struct marks marks = {.slashes = 0};
    size_t end = MIN(path.size, at + MARKS_SIZE);
    size_t from = at;
    if (path.size < BLOCK_SIZE) {
        for (; at < end; at += WORD_SIZE) {
            word_mark(path, at, at - from, &marks);
        }
        return marks;
    }
    for (; at + BLOCK_SIZE <= end; at += BLOCK_SIZE) {
        block_mark(path.ptr + at, 0, at - from, &marks);
    }
    if (at < end) {
        /* The last bytes, and some that were looked at before. */
        block_mark(path.ptr + end - BLOCK_SIZE, at + BLOCK_SIZE - end, at - from, &marks);
    }
    return marks;
}

#else

static inline struct marks path_mark(struct span path, size_t at)
{
    struct marks marks = {.slashes = 0};
    size_t end = MIN(path.size, at + MARKS_SIZE);
    for (size_t from = at; at < end; at += WORD_SIZE) {
        word_mark(path, at, at - from, &marks);
    }
    return marks;
}

#endif

/* False: a percent-encoding is malformed, or there is a NUL. */
static inline bool path_split(struct search *search)
{
    struct span path = search->path;
    struct span *segments = search->probe.segments;
    size_t count = 0;
    size_t begin = 1;
    bool is_empty = false;
    bool is_encoded = false;
    for (size_t at = 0; at < path.size; at += MARKS_SIZE) {
        struct marks marks = path_mark(path, at);
        is_encoded |= marks.has_odd;
        marks.slashes &= at == 0 ? ~(uint64_t)1 : ~(uint64_t)0;
        for (; marks.slashes != 0; marks.slashes &= marks.slashes - 1) {
            size_t slash = at + (size_t)__builtin_ctzll(marks.slashes);
            is_empty |= slash == begin;
            if (count < TEMPLATE_SEGMENTS_MAX) {
                segments[count] = span_of(path.ptr + begin, slash - begin);
            }
            count++;
            begin = slash + 1;
        }
    }
    search->path_end = path.size;
    if (begin < path.size) {
        if (count < TEMPLATE_SEGMENTS_MAX) {
            segments[count] = span_of(path.ptr + begin, path.size - begin);
        }
        count++;
    } else if (path.size > 1) {
        search->path_end = path.size - 1;
    }
    search->probe.count = count;
    search->is_empty = is_empty;
    search->is_encoded = is_encoded;
    return !is_encoded || path_is_sound(path);
}

static uint8_t hex_value(uint8_t digit)
{
    return (uint8_t)(digit <= '9' ? digit - '0' : ascii_lower(digit) - 'a' + 10);
}

static bool path_is_sound(struct span path)
{
    for (size_t i = 0; i < path.size; i++) {
        if (path.ptr[i] == 0) {
            return false;
        }
        if (path.ptr[i] == '%') {
            if (path.size - i < 3 || !http_byte_is(path.ptr[i + 1], HTTP_BYTE_HEX) ||
                !http_byte_is(path.ptr[i + 2], HTTP_BYTE_HEX) ||
                (path.ptr[i + 1] == '0' && path.ptr[i + 2] == '0')) {
                return false;
            }
        }
    }
    return true;
}

/* Decode up to `capacity` bytes; returns how many. */
static size_t span_decode(struct span raw, uint8_t *bytes, size_t capacity)
{
    size_t size = 0;
    for (size_t i = 0; i < raw.size && size < capacity; i++) {
        uint8_t byte = raw.ptr[i];
        if (byte == '%') {
            byte = (uint8_t)(hex_value(raw.ptr[i + 1]) << 4 | hex_value(raw.ptr[i + 2]));
            i += 2;
        }
        bytes[size++] = byte;
    }
    return size;
}

static bool span_is_encoded(struct span raw)
{
    return memchr(raw.ptr, '%', raw.size) != NULL;
}

/* The last bytes of a path, and zeros: so that of each segment a pair can be read. */
struct tail {
    uint8_t bytes[2 * PAIR_SIZE];
    const uint8_t *begin; /* in the path */
};

static inline void tail_init(struct tail *tail, struct span path)
{
    memset(tail->bytes + PAIR_SIZE, 0, PAIR_SIZE);
    if (path.size >= PAIR_SIZE) {
        tail->begin = path.ptr + path.size - PAIR_SIZE;
        memcpy(tail->bytes, tail->begin, PAIR_SIZE);
    } else {
        tail->begin = path.ptr;
        memset(tail->bytes, 0, PAIR_SIZE);
        memcpy(tail->bytes, path.ptr, path.size);
    }
}

/* As route_hash, of a segment of the path that is not encoded. It takes no branch that depends on a
 * short one's size: its bytes are read with those behind it, and these are masked away. */
static inline uint64_t segment_hash(const struct route_table *table, const struct tail *tail,
                                    struct span raw)
{
    static const uint8_t masks[2 * PAIR_SIZE] = {255, 255, 255, 255, 255, 255, 255, 255,
                                                 255, 255, 255, 255, 255, 255, 255, 255};
    uint64_t pair[2];
    uint64_t mask[2];
    ptrdiff_t behind = raw.ptr - tail->begin;
    memcpy(pair, behind < 0 ? raw.ptr : tail->bytes + behind, sizeof(pair));
    memcpy(mask, masks + PAIR_SIZE - raw.size, sizeof(mask));
    return hash_pair(&table->secret, pair[0] & mask[0], pair[1] & mask[1]);
}

/* The same of any segment; 0 of one that is no literal in this row. */
static uint64_t segment_hash_odd(const struct route_table *table, struct span raw, bool is_hashed,
                                 bool is_encoded)
{
    if (!is_hashed) {
        return 0;
    }
    if (!is_encoded) {
        return route_hash(table, raw);
    }
    uint8_t bytes[TEMPLATE_SIZE_MAX];
    /* What is longer than a template is compared, and differs. */
    return route_hash(table, span_of(bytes, span_decode(raw, bytes, sizeof(bytes))));
}

/* Returns the shapes of which each literal is known to be somebody's. */
static uint32_t path_hash(const struct route_table *table, struct search *search,
                          const struct route_row *row)
{
    struct route_probe *probe = &search->probe;
    size_t count = MIN(probe->count, TEMPLATE_SEGMENTS_MAX);
    uint32_t candidates = UINT32_MAX;
    uint64_t sum = 0;
    struct tail tail;
    tail_init(&tail, search->path);
    probe->sums[0] = 0;
    for (size_t i = 0; i < count; i++) {
        struct span raw = probe->segments[i];
        uint64_t hash =
            search->is_encoded || raw.size > PAIR_SIZE
                ? segment_hash_odd(table, raw, (row->hashed >> i & 1) != 0, search->is_encoded)
                : segment_hash(table, &tail, raw);
        hash = route_hash_turn(hash, i);
        candidates &= *route_filter(table, hash) | row->open[i];
        probe->hashes[i] = hash;
        sum += hash;
        probe->sums[i + 1] = sum;
    }
    return candidates;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static inline void shapes_search(const struct route_table *table, struct search *search,
                                 uint32_t candidates, struct shape_range range)
{
    for (uint32_t begin = range.begin; begin < range.end; begin += SHAPE_BITS) {
        uint32_t count = MIN(range.end - begin, SHAPE_BITS);
        uint32_t turn = begin % SHAPE_BITS;
        uint32_t left = candidates >> turn | candidates << (-turn % SHAPE_BITS);
        left &= UINT32_MAX >> (SHAPE_BITS - count);
        for (; left != 0; left &= left - 1) {
            const struct shape *shape = &table->shapes[begin + (uint32_t)__builtin_ctz(left)];
            uint64_t key = route_key(shape, &search->probe);
            const struct route_slot *slot = route_slot(table, key);
            if (slot->tag == route_tag(key)) {
                node_consider(table, search, shape, slot->node);
            }
        }
    }
}

/* Literals that stand side by side are compared in one piece, with the slashes between them. */
static bool node_has_raw(const struct route_node *node, const struct shape *shape,
                         const struct route_probe *probe)
{
    struct span text = route_node_text(node);
    uint32_t left = shape->literals;
    while (left != 0) {
        unsigned first = (unsigned)__builtin_ctz(left);
        unsigned count = (unsigned)__builtin_ctzll(~((uint64_t)left >> first));
        const struct span *last = &probe->segments[first + count - 1];
        const uint8_t *begin = probe->segments[first].ptr;
        size_t size = (size_t)(last->ptr - begin) + last->size;
        if (size >= text.size || text.ptr[size] != '/' || memcmp(begin, text.ptr, size) != 0) {
            return false;
        }
        text = span_of(text.ptr + size + 1, text.size - size - 1);
        left &= (uint32_t)(UINT64_MAX << (first + count));
    }
    return text.size == 0;
}

bool route_node_has(const struct route_node *node, const struct shape *shape,
                    const struct route_probe *probe, bool is_decoded)
{
    struct span text = route_node_text(node);
    for (uint32_t left = shape->literals; left != 0; left &= left - 1) {
        uint8_t bytes[TEMPLATE_SIZE_MAX];
        struct span raw = probe->segments[__builtin_ctz(left)];
        size_t size = is_decoded ? raw.size : span_decode(raw, bytes, sizeof(bytes));
        const uint8_t *literal = is_decoded ? raw.ptr : bytes;
        /* No literal has a slash: so equal texts have equal segments. */
        if (size >= text.size || text.ptr[size] != '/' || memcmp(literal, text.ptr, size) != 0) {
            return false;
        }
        text = span_of(text.ptr + size + 1, text.size - size - 1);
    }
    return text.size == 0;
}

/* Look at the routes that have this key. */
static void node_consider(const struct route_table *table, struct search *search,
                          const struct shape *shape, uint32_t index)
{
    if (index == ROUTE_NONE) {
        return;
    }
    const struct route_node *node = &table->nodes[index];
    if (search->is_encoded ? !route_node_has(node, shape, &search->probe, false)
                           : !node_has_raw(node, shape, &search->probe)) {
        return;
    }
    for (;; node++) {
        bool is_first = search->best == NULL || node->index < search->best->index;
        if (!is_first) {
            return;
        }
        if ((node->flags & NODE_F_PLAIN) != 0 || node_match(search, shape, node)) {
            search->allowed |= node->methods;
            if ((node->methods & search->method) != 0) {
                search->best = node;
                search->best_shape = shape;
                return;
            }
        }
        if ((node->flags & NODE_F_LAST) != 0) {
            return;
        }
    }
}

/* The segments that are more than one parameter of text. */
static bool node_match(struct search *search, const struct shape *shape,
                       const struct route_node *node)
{
    struct span values[TEMPLATE_PARAMS_MAX];
    bool takes = (node->methods & search->method) != 0;
    for (uint32_t left = shape->params; left != 0; left &= left - 1) {
        size_t i = (size_t)__builtin_ctz(left);
        if (!template_segment_match(node->template, i, search->probe.segments[i], values)) {
            return false;
        }
    }
    if (shape->has_path && !template_segment_match(node->template, shape->fixed_count,
                                                   segment_rest(search, shape), values)) {
        return false;
    }
    for (size_t i = 0; takes && i < template_param_count(node->template); i++) {
        search->match->values[i].raw = values[i];
    }
    return true;
}

/* What a path parameter stands for. */
static struct span segment_rest(const struct search *search, const struct shape *shape)
{
    const uint8_t *begin = search->probe.segments[shape->fixed_count].ptr;
    return span_of(begin, search->path_end - (size_t)(begin - search->path.ptr));
}

static void match_write(const struct search *search)
{
    const struct route_node *node = search->best;
    const struct shape *shape = search->best_shape;
    struct route_match *match = search->match;
    size_t count = 0;
    if ((node->flags & NODE_F_PLAIN) != 0) {
        for (uint32_t left = shape->params; left != 0; left &= left - 1) {
            match->values[count++].raw = search->probe.segments[__builtin_ctz(left)];
        }
        if (shape->has_path) {
            match->values[count++].raw = segment_rest(search, shape);
        }
    } else {
        count = template_param_count(node->template);
    }
    for (size_t i = 0; i < count; i++) {
        match->values[i].is_encoded = search->is_encoded && span_is_encoded(match->values[i].raw);
    }
    match->index = node->index;
    match->methods = node->methods;
    match->value_count = (uint16_t)count;
}

size_t route_value_decode(struct route_value value, uint8_t *bytes)
{
    if (!value.is_encoded) {
        memcpy(bytes, value.raw.ptr, value.raw.size);
        return value.raw.size;
    }
    return span_decode(value.raw, bytes, value.raw.size);
}

/* ---- printing -------------------------------------------------------------------------------- */

struct printer {
    char *text;
    size_t capacity;
    size_t size;
};

static void print(struct printer *printer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void print(struct printer *printer, const char *format, ...)
{
    bool fits = printer->size < printer->capacity;
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(fits ? printer->text + printer->size : NULL,
                         fits ? printer->capacity - printer->size : 0, format, arguments);
    va_end(arguments);
    printer->size += size > 0 ? (size_t)size : 0;
}

static void shape_print(struct printer *printer, const struct shape *shape)
{
    for (uint32_t i = 0; i < shape->fixed_count; i++) {
        print(printer, "%s", (shape->params >> i & 1) != 0 ? "/{}" : "/*");
    }
    if (shape->has_path) {
        print(printer, "/{path}");
    } else if (shape->fixed_count == 0) {
        print(printer, "/");
    }
}

size_t route_table_print(const struct route_table *table,
                         char *text, /* NOLINT(readability-non-const-parameter): printed to */
                         size_t size)
{
    struct printer printer = {.text = text, .capacity = size};
    size_t odd_count = 0;
    uint32_t probes_max = 0;
    for (uint32_t i = 0; i < table->node_count; i++) {
        odd_count += (table->nodes[i].flags & NODE_F_PLAIN) == 0;
    }
    for (size_t i = 0; i < ROUTE_ROWS; i++) {
        const struct route_row *row = &table->rows[i];
        uint32_t probes = 0;
        for (size_t k = 0; k < COUNT_OF(row->ranges); k++) {
            probes += row->ranges[k].end - row->ranges[k].begin;
        }
        probes_max = MAX(probes_max, probes);
    }
    print(&printer,
          "routes: %u, matched byte by byte: %zu, shapes: %u, probed for one path: %u at most\n",
          table->node_count, odd_count, table->shape_count, probes_max);
    uint32_t at = 0;
    for (uint32_t i = 0; i < table->shape_count; i++) {
        const struct shape *shape = &table->shapes[i];
        shape_print(&printer, shape);
        for (uint32_t k = 0; k < shape->entry_count; k++) {
            struct span template = template_text(table->nodes[table->order[at++]].template);
            print(&printer, "%s%.*s", k == 0 ? ": " : ", ", (int)template.size,
                  (const char *)template.ptr);
        }
        print(&printer, "\n");
    }
    return printer.size;
}
