/* SPDX-License-Identifier: MIT */
/* The route table is made here, once, before the first connection: entries get their shape and
 * their key, and are sorted by it; each key gets a place of its own. The keys are divided into
 * buckets of about three; from the fullest to the emptiest each bucket tries pilots until all its
 * keys fall on free places. All of the table is one piece of memory.
 *
 * Keys come from names that their author chose, and a path costs one comparison for each shape
 * whatever it says. So the hash needs no secret, and a table is the same at each start. */
#include "router/route_build.h"

#include "engine/engine.h"

#include <stdlib.h>

#define SEEDS_MAX   16  /* two keys of different routes are equal once in 2^32 tables of 2^16 */
#define COVERED_MAX 256 /* routes of one key that are looked at for one that takes all */
#define PART_ALIGN  64

/* What is known of an entry. */
struct row {
    uint64_t key;
    uint64_t shape_word; /* struct shape in one word, in the order of shapes */
    uint32_t shape;
    uint32_t index;
};

struct builder {
    const struct route_entry *entries;
    size_t count;
    struct row *rows;       /* owned; one for each entry */
    struct bucket *buckets; /* owned */
    uint32_t *keys;         /* owned; the first node of each key, by bucket */
    struct route_table *table;
    size_t shape_count;
    size_t key_count;
    size_t text_size; /* of those that are not in their nodes */
    size_t literal_count;
};

struct bucket {
    uint32_t begin; /* in `keys` */
    uint32_t count;
    uint32_t index;
};

static void rows_shape(struct builder *builder);
static int table_alloc(struct builder *builder);
static void shapes_make(struct builder *builder);
static void row_make(const struct route_table *table, uint32_t segment_count,
                     struct route_row *row);
static bool nodes_make(struct builder *builder, uint64_t seed);
static int keys_place(struct builder *builder, bool *is_placed);
static void order_make(struct builder *builder);
static void unreachable_tell(const struct builder *builder,
                             void (*unreachable)(void *context, size_t index, size_t by),
                             void *context);

int route_table_create(const struct route_entry *entries, size_t count,
                       void (*unreachable)(void *context, size_t index, size_t by), void *context,
                       struct route_table **table)
{
    struct builder builder = {.entries = entries, .count = count};
    ASSERT(count < ROUTE_NONE / 2);
    builder.rows = memory_take(MAX(count, 1) * sizeof(*builder.rows));
    int err = GYR_ERR_MEMORY;
    if (builder.rows == NULL) {
        goto out;
    }
    rows_shape(&builder);
    err = table_alloc(&builder);
    if (err != 0) {
        goto out;
    }
    shapes_make(&builder);
    bool is_placed = false;
    for (uint64_t seed = 0; err == 0 && !is_placed; seed++) {
        ASSERT(seed < SEEDS_MAX);
        if (nodes_make(&builder, seed)) {
            err = keys_place(&builder, &is_placed);
        }
    }
    if (err != 0) {
        route_table_destroy(builder.table);
        goto out;
    }
    order_make(&builder);
    if (unreachable != NULL) {
        unreachable_tell(&builder, unreachable, context);
    }
    *table = builder.table;
out:
    memory_free(builder.rows);
    return err;
}

void route_table_destroy(struct route_table *table)
{
    if (table != NULL) {
        memory_unmap(table, table->memory_size);
    }
}

/* ---- shapes ---------------------------------------------------------------------------------- */

#define WORD_HAS_PATH    ((uint64_t)1 << 63)
#define WORD_COUNT_SHIFT 32

static uint32_t template_literals(const struct template *template)
{
    uint32_t literals = 0;
    for (size_t i = 0; i < template_segment_count(template); i++) {
        struct span literal;
        literals |= (uint32_t)template_segment_literal(template, i, &literal) << i;
    }
    return literals;
}

static uint64_t shape_word(const struct template *template)
{
    return (template_has_path(template) ? WORD_HAS_PATH : 0) |
           (uint64_t)template_segment_count(template) << WORD_COUNT_SHIFT |
           template_literals(template);
}

static size_t template_text_size(const struct template *template)
{
    size_t size = 0;
    for (size_t i = 0; i < template_segment_count(template); i++) {
        struct span literal;
        size += template_segment_literal(template, i, &literal) ? literal.size + 1 : 0;
    }
    return size;
}

static int row_compare_shape(const void *a, const void *b)
{
    const struct row *x = a;
    const struct row *y = b;
    if (x->shape_word != y->shape_word) {
        return x->shape_word < y->shape_word ? -1 : 1;
    }
    return (x->index > y->index) - (x->index < y->index);
}

static void rows_shape(struct builder *builder)
{
    for (size_t i = 0; i < builder->count; i++) {
        const struct template *template = builder->entries[i].template;
        size_t text_size = template_text_size(template);
        builder->rows[i] = (struct row){.shape_word = shape_word(template), .index = (uint32_t)i};
        builder->text_size += text_size > ROUTE_INLINE_SIZE ? text_size : 0;
        builder->literal_count += (size_t)__builtin_popcount(template_literals(template));
    }
    qsort(builder->rows, builder->count, sizeof(*builder->rows), row_compare_shape);
    for (size_t i = 0; i < builder->count; i++) {
        bool is_new = i == 0 || builder->rows[i].shape_word != builder->rows[i - 1].shape_word;
        builder->shape_count += is_new;
        builder->rows[i].shape = (uint32_t)builder->shape_count - 1;
    }
}

static void shapes_make(struct builder *builder)
{
    struct route_table *table = builder->table;
    for (size_t i = 0; i < builder->count; i++) {
        uint64_t word = builder->rows[i].shape_word;
        struct shape *shape = &table->shapes[builder->rows[i].shape];
        shape->has_path = (word & WORD_HAS_PATH) != 0;
        shape->literals = (uint32_t)word;
        uint64_t segment_count = (word & ~WORD_HAS_PATH) >> WORD_COUNT_SHIFT;
        shape->fixed_count = (uint8_t)(segment_count - shape->has_path);
        shape->params = (uint32_t)(((uint64_t)1 << shape->fixed_count) - 1) & ~shape->literals;
        shape->entry_count++;
    }
    for (uint32_t segments = 0; segments < ROUTE_ROWS; segments++) {
        row_make(table, segments, &table->rows[segments]);
    }
}

static void row_make(const struct route_table *table, uint32_t segment_count, struct route_row *row)
{
    for (uint32_t i = 0; i < table->shape_count; i++) {
        const struct shape *shape = &table->shapes[i];
        bool is_path = shape->has_path && shape->fixed_count < segment_count;
        bool is_exact = !shape->has_path && shape->fixed_count == segment_count;
        if (!is_path && !is_exact) {
            continue;
        }
        struct shape_range *range = &row->ranges[is_path];
        range->begin = range->end == 0 ? i : range->begin;
        range->end = i + 1;
        row->hashed |= shape->literals;
        for (size_t k = 0; k < TEMPLATE_SEGMENTS_MAX; k++) {
            row->open[k] |= (~shape->literals >> k & 1) << i % SHAPE_BITS;
        }
    }
}

/* ---- memory ---------------------------------------------------------------------------------- */

static size_t power_of_two(size_t least)
{
    size_t power = 2;
    while (power < least) {
        power *= 2;
    }
    return power;
}

static size_t part_take(size_t *size, size_t part)
{
    size_t at = *size;
    *size = (at + part + PART_ALIGN - 1) & ~(size_t)(PART_ALIGN - 1);
    return at;
}

/* Three quarters of the places may be taken: with fewer free ones the last buckets try for long. */
static int table_alloc(struct builder *builder)
{
    size_t slot_count = power_of_two(builder->count + builder->count / 3);
    size_t pilot_count = power_of_two(builder->count / 3);
    size_t filter_count = power_of_two(builder->literal_count / 2);
    size_t size = 0;
    (void)part_take(&size, sizeof(struct route_table));
    size_t nodes = part_take(&size, builder->count * sizeof(struct route_node));
    size_t slots = part_take(&size, slot_count * sizeof(struct route_slot));
    size_t pilots = part_take(&size, pilot_count * sizeof(uint16_t));
    size_t filter = part_take(&size, filter_count * sizeof(uint32_t));
    size_t shapes = part_take(&size, builder->shape_count * sizeof(struct shape));
    size_t order = part_take(&size, builder->count * sizeof(uint32_t));
    size_t texts = part_take(&size, builder->text_size);
    uint8_t *memory = memory_map(size);
    if (memory == NULL) {
        return GYR_ERR_MEMORY;
    }
    struct route_table *table = (struct route_table *)(void *)memory;
    table->nodes = (struct route_node *)(void *)(memory + nodes);
    table->slots = (struct route_slot *)(void *)(memory + slots);
    table->pilots = (uint16_t *)(void *)(memory + pilots);
    table->filter = (uint32_t *)(void *)(memory + filter);
    table->shapes = (struct shape *)(void *)(memory + shapes);
    table->order = (uint32_t *)(void *)(memory + order);
    table->texts = memory + texts;
    table->pilot_mask = pilot_count - 1;
    table->filter_mask = filter_count - 1;
    table->slot_shift = 64 - (unsigned)__builtin_ctzll(slot_count);
    table->node_count = (uint32_t)builder->count;
    table->shape_count = (uint32_t)builder->shape_count;
    table->memory_size = size;
    builder->table = table;
    return 0;
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* SplitMix64: numbers that have nothing to do with each other. */
static uint64_t number_next(uint64_t *state)
{
    uint64_t number = *state += 0x9e3779b97f4a7c15U;
    number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9U;
    number = (number ^ number >> 27) * 0x94d049bb133111ebU;
    return number ^ number >> 31;
}

/* What a template looks like to a lookup. */
static void probe_template(const struct route_table *table, const struct template *template,
                           struct route_probe *probe)
{
    probe->count = template_segment_count(template);
    probe->sums[0] = 0;
    for (size_t i = 0; i < probe->count; i++) {
        struct span *literal = &probe->segments[i];
        probe->hashes[i] = 0;
        if (template_segment_literal(template, i, literal)) {
            probe->hashes[i] = route_hash_turn(route_hash(table, *literal), i);
        }
        probe->sums[i + 1] = probe->sums[i] + probe->hashes[i];
    }
}

static int row_compare_key(const void *a, const void *b)
{
    const struct row *x = a;
    const struct row *y = b;
    if (x->key != y->key) {
        return x->key < y->key ? -1 : 1;
    }
    return (x->index > y->index) - (x->index < y->index);
}

static void text_write(const struct template *template, uint8_t *text)
{
    for (size_t i = 0; i < template_segment_count(template); i++) {
        struct span literal;
        if (template_segment_literal(template, i, &literal)) {
            memcpy(text, literal.ptr, literal.size);
            text[literal.size] = '/';
            text += literal.size + 1;
        }
    }
}

static void node_make(struct builder *builder, const struct row *row, struct route_node *node,
                      size_t *texts_at)
{
    const struct route_entry *entry = &builder->entries[row->index];
    size_t size = template_text_size(entry->template);
    uint8_t *text = node->bytes;
    if (size > ROUTE_INLINE_SIZE) {
        text = builder->table->texts + *texts_at;
        memcpy(node->bytes, &text, sizeof(text));
        *texts_at += size;
    }
    text_write(entry->template, text);
    node->template = entry->template;
    node->index = row->index;
    node->methods = entry->methods;
    node->text_size = (uint16_t)size;
    node->flags = template_is_plain(entry->template) ? NODE_F_PLAIN : 0;
}

/* Make the nodes, in the order of keys. False if two routes have the same key that should not. */
static bool nodes_make(struct builder *builder, uint64_t seed)
{
    struct route_table *table = builder->table;
    uint64_t state = seed;
    for (size_t i = 0; i < sizeof(table->secret); i += sizeof(uint64_t)) {
        uint64_t number = number_next(&state);
        memcpy(table->secret.bytes + i, &number, sizeof(number));
    }
    for (uint32_t i = 0; i < table->shape_count; i++) {
        table->shapes[i].seed = number_next(&state);
    }
    for (size_t i = 0; i < builder->count; i++) {
        struct row *row = &builder->rows[i];
        const struct shape *shape = &table->shapes[row->shape];
        struct route_probe probe;
        probe_template(table, builder->entries[row->index].template, &probe);
        row->key = shape->seed + probe.sums[shape->fixed_count];
        for (uint32_t left = shape->literals; left != 0; left &= left - 1) {
            *route_filter(table, probe.hashes[__builtin_ctz(left)]) |= 1U
                                                                       << row->shape % SHAPE_BITS;
        }
    }
    qsort(builder->rows, builder->count, sizeof(*builder->rows), row_compare_key);
    size_t texts_at = 0;
    builder->key_count = 0;
    for (size_t i = 0; i < builder->count; i++) {
        const struct row *row = &builder->rows[i];
        struct route_node *node = &table->nodes[i];
        node_make(builder, row, node, &texts_at);
        if (i != 0 && row->key == row[-1].key) {
            if (row->shape != row[-1].shape ||
                !span_equal(route_node_text(node), route_node_text(node - 1))) {
                return false;
            }
        } else {
            builder->key_count++;
        }
        bool is_last = i + 1 == builder->count || row[1].key != row->key;
        node->flags |= is_last ? NODE_F_LAST : 0;
    }
    return true;
}

/* ---- places ---------------------------------------------------------------------------------- */

static int bucket_compare(const void *a, const void *b)
{
    const struct bucket *x = a;
    const struct bucket *y = b;
    if (x->count != y->count) {
        return x->count > y->count ? -1 : 1;
    }
    return (x->index > y->index) - (x->index < y->index);
}

static bool row_is_first(const struct builder *builder, size_t index)
{
    return index == 0 || builder->rows[index].key != builder->rows[index - 1].key;
}

/* Gather the first node of each key by its bucket. */
static void buckets_fill(struct builder *builder, size_t bucket_count)
{
    uint64_t mask = builder->table->pilot_mask;
    for (size_t i = 0; i < bucket_count; i++) {
        builder->buckets[i] = (struct bucket){.index = (uint32_t)i};
    }
    for (size_t i = 0; i < builder->count; i++) {
        if (row_is_first(builder, i)) {
            builder->buckets[builder->rows[i].key & mask].count++;
        }
    }
    uint32_t at = 0;
    for (size_t i = 0; i < bucket_count; i++) {
        builder->buckets[i].begin = at;
        at += builder->buckets[i].count;
        builder->buckets[i].count = 0;
    }
    for (size_t i = 0; i < builder->count; i++) {
        if (row_is_first(builder, i)) {
            struct bucket *bucket = &builder->buckets[builder->rows[i].key & mask];
            builder->keys[bucket->begin + bucket->count++] = (uint32_t)i;
        }
    }
    qsort(builder->buckets, bucket_count, sizeof(*builder->buckets), bucket_compare);
}

/* Put the keys of a bucket where this pilot says, or none of them. */
static bool bucket_place(struct builder *builder, const struct bucket *bucket, uint16_t pilot)
{
    struct route_table *table = builder->table;
    for (uint32_t i = 0; i < bucket->count; i++) {
        uint32_t index = builder->keys[bucket->begin + i];
        uint64_t key = builder->rows[index].key;
        struct route_slot *slot = &table->slots[route_place(key, pilot, table->slot_shift)];
        if (slot->node != ROUTE_NONE) {
            while (i-- > 0) {
                key = builder->rows[builder->keys[bucket->begin + i]].key;
                table->slots[route_place(key, pilot, table->slot_shift)].node = ROUTE_NONE;
            }
            return false;
        }
        *slot = (struct route_slot){.tag = route_tag(key), .node = index};
    }
    table->pilots[bucket->index] = pilot;
    return true;
}

static int keys_place(struct builder *builder, bool *is_placed)
{
    struct route_table *table = builder->table;
    size_t bucket_count = table->pilot_mask + 1;
    size_t slot_count = (size_t)1 << (64 - table->slot_shift);
    builder->buckets = memory_take(bucket_count * sizeof(*builder->buckets));
    builder->keys = memory_take(MAX(builder->key_count, 1) * sizeof(*builder->keys));
    int err = builder->buckets == NULL || builder->keys == NULL ? GYR_ERR_MEMORY : 0;
    if (err == 0) {
        for (size_t i = 0; i < slot_count; i++) {
            table->slots[i] = (struct route_slot){.node = ROUTE_NONE};
        }
        buckets_fill(builder, bucket_count);
        *is_placed = true;
        for (size_t i = 0; *is_placed && i < bucket_count; i++) {
            uint32_t pilot = 0;
            while (pilot <= UINT16_MAX &&
                   !bucket_place(builder, &builder->buckets[i], (uint16_t)pilot)) {
                pilot++;
            }
            *is_placed = pilot <= UINT16_MAX;
        }
    }
    memory_free(builder->buckets);
    memory_free(builder->keys);
    return err;
}

/* ---- what is printed and told ---------------------------------------------------------------- */

static void order_make(struct builder *builder)
{
    struct row *rows = builder->rows;
    for (size_t i = 0; i < builder->count; i++) {
        rows[i].key = i; /* the node */
    }
    qsort(rows, builder->count, sizeof(*rows), row_compare_shape);
    for (size_t i = 0; i < builder->count; i++) {
        builder->table->order[i] = (uint32_t)rows[i].key;
    }
}

/* The first of the routes with a key that comes before this entry and takes all that it does. */
static uint32_t node_covers(const struct route_table *table, const struct route_node *node,
                            const struct route_entry *entry, uint32_t index)
{
    for (size_t i = 0; i < COVERED_MAX && node->index < index; i++, node++) {
        ASSERT_SLOW(node < table->nodes + table->node_count);
        if ((entry->methods & ~node->methods) == 0 &&
            template_covers(node->template, entry->template)) {
            return node->index;
        }
        if ((node->flags & NODE_F_LAST) != 0) {
            break;
        }
    }
    return ROUTE_NONE;
}

/* An entry that is looked up as if it were a path. */
struct cover {
    struct route_probe probe;
    const struct route_entry *entry;
    uint32_t literals;
    uint32_t index;
    uint32_t by; /* the first that takes all, or ROUTE_NONE */
};

/* Look in those of the shapes that want no other literals than it has. */
static void shapes_cover(const struct route_table *table, struct cover *cover,
                         struct shape_range range)
{
    for (uint32_t i = range.begin; i < range.end; i++) {
        const struct shape *shape = &table->shapes[i];
        if ((shape->literals & ~cover->literals) != 0) {
            continue;
        }
        uint64_t key = route_key(shape, &cover->probe);
        const struct route_slot *slot = route_slot(table, key);
        if (slot->tag == route_tag(key) && slot->node != ROUTE_NONE &&
            route_node_has(&table->nodes[slot->node], shape, &cover->probe, true)) {
            const struct route_node *node = &table->nodes[slot->node];
            cover->by = MIN(cover->by, node_covers(table, node, cover->entry, cover->index));
        }
    }
}

static void unreachable_tell(const struct builder *builder,
                             void (*unreachable)(void *context, size_t index, size_t by),
                             void *context)
{
    for (size_t i = 0; i < builder->count; i++) {
        const struct route_table *table = builder->table;
        const struct template *template = builder->entries[i].template;
        const struct route_row *row = &table->rows[template_segment_count(template)];
        struct cover cover = {
            .entry = &builder->entries[i],
            .literals = template_literals(template),
            .index = (uint32_t)i,
            .by = ROUTE_NONE,
        };
        probe_template(table, template, &cover.probe);
        /* What has a path is not taken by what has none. */
        for (size_t k = template_has_path(template); k < COUNT_OF(row->ranges); k++) {
            shapes_cover(table, &cover, row->ranges[k]);
        }
        if (cover.by != ROUTE_NONE) {
            unreachable(context, i, cover.by);
        }
    }
}
