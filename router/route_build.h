/* SPDX-License-Identifier: MIT */
/* The route table as it lies in memory: what route_build.c makes and route_table.c reads. */
#ifndef ROUTER_ROUTE_BUILD_H
#define ROUTER_ROUTE_BUILD_H

#include "base/hash.h"
#include "router/route_table.h"

#define ROUTE_NONE UINT32_MAX
/* By the segments of a path, the last one for all that have more than a template. */
#define ROUTE_ROWS (TEMPLATE_SEGMENTS_MAX + 2)

#define NODE_F_LAST       1  /* of the routes that have the same key */
#define NODE_F_PLAIN      2  /* template_is_plain: whoever has the literals fits */
#define SHAPE_BITS        32 /* of the words in which a bit is a shape */
#define ROUTE_INLINE_SIZE 40

/* Templates that differ in the names of their literals only. */
struct shape {
    uint64_t seed;
    uint32_t literals; /* a bit for each segment that is a literal alone */
    uint32_t params;   /* a bit for each other one, but the rest of a path */
    uint32_t entry_count;
    uint8_t fixed_count; /* segments without the rest of a path */
    bool has_path;
};

/* A place of the perfect hash. */
struct route_slot {
    uint32_t tag;  /* half of the key */
    uint32_t node; /* ROUTE_NONE: a free place */
};

/* An entry. Those with the same key lie behind one another, in their order. */
struct route_node {
    const struct template *template; /* borrowed */
    uint32_t index;
    uint16_t methods;
    uint16_t text_size;
    uint8_t flags;
    /* Its literals, each with a slash behind it; or where they are, if they are more. */
    uint8_t bytes[ROUTE_INLINE_SIZE];
};
static_assert(sizeof(struct route_node) == CACHE_LINE, "so a lookup reads one line of it");

struct shape_range {
    uint32_t begin;
    uint32_t end;
};

/* What paths with so many segments may be. Shapes are bits of words here: of those with the same
 * number modulo SHAPE_BITS a bit is set if it is of one. */
struct route_row {
    struct shape_range ranges[2]; /* with this many segments; and with a path, and no more */
    uint32_t hashed;              /* segments that are a literal of any of them */
    uint32_t open[TEMPLATE_SEGMENTS_MAX]; /* for each segment the shapes that take any text there */
};

struct route_table {
    struct route_node *nodes;
    struct route_slot *slots;
    uint16_t *pilots;
    uint32_t *filter;     /* for each hash of a segment the shapes that have such a literal there */
    struct shape *shapes; /* by segments; those with a path behind the others */
    uint32_t *order;      /* nodes by shape, and in a shape as they were given */
    uint8_t *texts;
    uint64_t pilot_mask;
    uint64_t filter_mask;
    unsigned slot_shift;
    uint32_t node_count;
    uint32_t shape_count;
    size_t memory_size;
    struct route_row rows[ROUTE_ROWS];
    struct hash_secret secret;
};

/* The segments of a path, or of a template, for which nodes are sought. */
struct route_probe {
    struct span segments[TEMPLATE_SEGMENTS_MAX];
    uint64_t hashes[TEMPLATE_SEGMENTS_MAX];
    uint64_t sums[TEMPLATE_SEGMENTS_MAX + 1]; /* of the hashes in front */
    size_t count;                             /* may be more */
};

/* A segment, decoded. No segment has a NUL, so that zeros behind a short one do not matter. */
static inline uint64_t route_hash(const struct route_table *table, struct span segment)
{
    uint64_t pair[2] = {0, 0};
    if (segment.size > sizeof(pair)) {
        return hash_bytes(&table->secret, segment.ptr, segment.size);
    }
    memcpy(pair, segment.ptr, segment.size);
    return hash_pair(&table->secret, pair[0], pair[1]);
}

/* The same literal elsewhere is another one. */
static inline uint64_t route_hash_turn(uint64_t hash, size_t place)
{
    unsigned turn = (unsigned)place & 63;
    return hash << turn | hash >> (-turn & 63);
}

/* The filter's word for a segment. */
static inline uint32_t *route_filter(const struct route_table *table, uint64_t hash)
{
    return &table->filter[hash >> 32 & table->filter_mask];
}

static inline uint64_t route_key(const struct shape *shape, const struct route_probe *probe)
{
    /* There are fewer parameters than literals, as a rule. */
    uint64_t key = shape->seed + probe->sums[shape->fixed_count];
    for (uint32_t left = shape->params; left != 0; left &= left - 1) {
        key -= probe->hashes[__builtin_ctz(left)];
    }
    return key;
}

static inline uint32_t route_tag(uint64_t key)
{
    return (uint32_t)(key >> 32);
}

/* Odd numbers with as many ones as zeros: what they multiply is spread over the upper bits. */
static inline uint64_t route_place(uint64_t key, uint16_t pilot, unsigned shift)
{
    return ((key ^ pilot * 0x9e3779b97f4a7c15U) * 0xd6e8feb86659fd93U) >> shift;
}

static inline const struct route_slot *route_slot(const struct route_table *table, uint64_t key)
{
    uint16_t pilot = table->pilots[key & table->pilot_mask];
    return &table->slots[route_place(key, pilot, table->slot_shift)];
}

static inline struct span route_node_text(const struct route_node *node)
{
    const uint8_t *text = node->bytes;
    if (node->text_size > ROUTE_INLINE_SIZE) {
        memcpy(&text, node->bytes, sizeof(text));
    }
    return span_of(text, node->text_size);
}

/* Has the probe the literals of this node? Its segments are those of a path, or decoded. */
bool route_node_has(const struct route_node *node, const struct shape *shape,
                    const struct route_probe *probe, bool is_decoded);

#endif
