/* SPDX-License-Identifier: MIT */
/* From a path to its route. Routes are put in shapes: how many segments, which of them are literals
 * alone, and whether the last one is the rest of the path. The literals of a path, as a shape has
 * them, have a key: the sum of the hashes of the segments, each turned by its place, so that a
 * path is hashed once for all shapes. A key is looked up in one table for all shapes: a pilot,
 * found when the table is made, turns it into a place of its own (hash and displace), where half of
 * the key and a node stand. So a shape costs two loads without a branch; only a node that has the
 * key is looked at, its literals are compared, and routes with the same literals and shape follow
 * it.
 *
 * RFC 3986 section 3.3 (segments), section 2.4 (decode after splitting, once). */
#include "router/route_table.h"

#include "base/hash.h"
#include "engine/engine.h"
#include "proto/http_byte.h"
#include "router/route_build.h"

#include <stdarg.h>
#include <stdio.h>

#define PROBE_BLOCK 32 /* shapes whose answers are gathered in one word */
#define WORD_SIZE   8
#define ONES        0x0101010101010101U
#define HIGH_BITS   0x8080808080808080U

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

static bool path_split(struct search *search);
static bool path_is_sound(struct span path);
static void path_hash(const struct route_table *table, struct search *search, uint32_t hashed);
static void shapes_search(const struct route_table *table, struct search *search, uint32_t begin,
                          uint32_t end);
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
    path_hash(table, &search, row->hashed);
    shapes_search(table, &search, row->exact_begin, row->exact_end);
    shapes_search(table, &search, table->path_begin, row->path_end);
    if (search.best != NULL) {
        match_write(&search);
        return ROUTE_FOUND;
    }
    match->methods = search.allowed;
    return search.allowed != 0 ? ROUTE_NOT_ALLOWED : ROUTE_NOT_FOUND;
}

/* ---- the path -------------------------------------------------------------------------------- */

/* The highest bit of each byte that is zero; bytes above one that is may have it wrongly. */
static inline uint64_t word_zeros(uint64_t word)
{
    return (word - ONES) & ~word & HIGH_BITS;
}

/* The highest bit of each byte that is this one, of no other. */
static inline uint64_t word_bytes(uint64_t word, uint8_t byte)
{
    uint64_t others = word ^ (ONES * byte);
    return ~(((others & ~HIGH_BITS) + ~HIGH_BITS) | others) & HIGH_BITS;
}

/* The up to eight bytes at `at`, the first of them lowest; behind them slashes' neighbours that
 * mean nothing. Nothing is read that is not the path's. */
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

static inline void segment_add(struct search *search, size_t begin, size_t end)
{
    struct route_probe *probe = &search->probe;
    if (probe->count < TEMPLATE_SEGMENTS_MAX) {
        probe->segments[probe->count] = span_of(search->path.ptr + begin, end - begin);
    }
    search->is_empty |= begin == end;
    probe->count++;
}

/* False: a percent-encoding is malformed, or there is a NUL. */
static bool path_split(struct search *search)
{
    struct span path = search->path;
    uint64_t odd = 0;
    size_t begin = 1;
    search->probe.count = 0;
    search->is_empty = false;
    static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first byte is the lowest");
    for (size_t at = 0; at < path.size; at += WORD_SIZE) {
        uint64_t word = word_load(path, at);
        uint64_t slashes = word_bytes(word, '/');
        odd |= word_zeros(word ^ (ONES * '%')) | word_zeros(word);
        slashes &= at == 0 ? ~(uint64_t)0x80 : ~(uint64_t)0;
        for (; slashes != 0; slashes &= slashes - 1) {
            size_t slash = at + (size_t)__builtin_ctzll(slashes) / 8;
            segment_add(search, begin, slash);
            begin = slash + 1;
        }
    }
    search->path_end = path.size;
    if (begin < path.size) {
        segment_add(search, begin, path.size);
    } else if (path.size > 1) {
        search->path_end = path.size - 1;
    }
    search->is_encoded = odd != 0;
    return odd == 0 || path_is_sound(path);
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

/* What is longer than a template has another hash than all of its literals, or is compared. */
static uint64_t segment_hash_encoded(const struct route_table *table, struct span raw)
{
    uint8_t bytes[TEMPLATE_SIZE_MAX];
    size_t size = span_decode(raw, bytes, sizeof(bytes));
    return hash_bytes(&table->secret, bytes, size);
}

static void path_hash(const struct route_table *table, struct search *search, uint32_t hashed)
{
    struct route_probe *probe = &search->probe;
    size_t count = MIN(probe->count, TEMPLATE_SEGMENTS_MAX);
    uint64_t sum = 0;
    probe->sums[0] = 0;
    for (size_t i = 0; i < count; i++) {
        struct span raw = probe->segments[i];
        uint64_t hash = 0;
        if ((hashed >> i & 1) != 0) {
            hash = search->is_encoded && span_is_encoded(raw)
                       ? segment_hash_encoded(table, raw)
                       : hash_bytes(&table->secret, raw.ptr, raw.size);
            hash = route_hash_turn(hash, i);
        }
        probe->hashes[i] = hash;
        sum += hash;
        probe->sums[i + 1] = sum;
    }
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static void shapes_search(const struct route_table *table, struct search *search, uint32_t begin,
                          uint32_t end)
{
    while (begin < end) {
        uint32_t count = MIN(end - begin, PROBE_BLOCK);
        uint32_t nodes[PROBE_BLOCK];
        uint32_t hits = 0;
        for (uint32_t i = 0; i < count; i++) {
            uint64_t key = route_key(&table->shapes[begin + i], &search->probe);
            const struct route_slot *slot = route_slot(table, key);
            nodes[i] = slot->node;
            hits |= (uint32_t)(slot->tag == route_tag(key)) << i;
        }
        for (; hits != 0; hits &= hits - 1) {
            uint32_t i = (uint32_t)__builtin_ctz(hits);
            node_consider(table, search, &table->shapes[begin + i], nodes[i]);
        }
        begin += count;
    }
}

/* Is a segment, decoded, this literal's first bytes? Returns how many it has, or SIZE_MAX. */
static size_t literal_compare(struct span raw, struct span text, bool is_encoded)
{
    if (!is_encoded || !span_is_encoded(raw)) {
        bool same = raw.size <= text.size && memcmp(raw.ptr, text.ptr, raw.size) == 0;
        return same ? raw.size : SIZE_MAX;
    }
    uint8_t bytes[TEMPLATE_SIZE_MAX];
    size_t size = span_decode(raw, bytes, sizeof(bytes));
    return size <= text.size && memcmp(bytes, text.ptr, size) == 0 ? size : SIZE_MAX;
}

bool route_node_has(const struct route_node *node, const struct shape *shape,
                    const struct route_probe *probe, bool is_encoded)
{
    struct span text = route_node_text(node);
    for (uint32_t left = shape->literals; left != 0; left &= left - 1) {
        size_t size = literal_compare(probe->segments[__builtin_ctz(left)], text, is_encoded);
        /* No literal has a slash: so equal texts have equal segments. */
        if (size >= text.size || text.ptr[size] != '/') {
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
    if (!route_node_has(node, shape, &search->probe, search->is_encoded)) {
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
        uint32_t probes = row->exact_end - row->exact_begin + row->path_end - table->path_begin;
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
