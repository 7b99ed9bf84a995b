/* SPDX-License-Identifier: MIT */
/* Which route gets this path: a perfect hash over the literal segments of each shape of template,
 * at most one probe and one compare for each shape that has as many segments as the path. Routes
 * that have the same literals and the same shape, as "/{x}-{y}" and "/v{n:int}", are matched one
 * after the other. Frozen at the start; shared by all cores. */
#ifndef ROUTER_ROUTE_TABLE_H
#define ROUTER_ROUTE_TABLE_H

#include "base/base.h"
#include "router/template.h"

struct route_table;

/* Methods as bits; ROUTE_WEBSOCKET stands for a handshake. */
#define ROUTE_WEBSOCKET (1U << 15)

struct route_entry {
    const struct template *template; /* borrowed */
    uint16_t methods;                /* a bit for each that this entry takes */
};

enum route_status {
    ROUTE_FOUND,
    ROUTE_NOT_FOUND,
    ROUTE_NOT_ALLOWED, /* there are entries, but none takes this method; `methods` says which */
    ROUTE_BAD_PATH,    /* a malformed percent-encoding, or a NUL: 400 */
};

/* A value of a parameter, as it stands in the path. */
struct route_value {
    struct span raw;
    bool is_encoded; /* percent-encoded: route_value_decode first */
};

struct route_match {
    uint32_t index; /* of the entry: the first in the order given that fits and takes the method */
    uint16_t methods; /* of this entry; when not allowed, of all that fit */
    uint16_t value_count;
    struct route_value values[TEMPLATE_PARAMS_MAX]; /* in the order of the template's parameters */
};

/* Make a table; the order of entries is their precedence. Entries that no path can reach are told
 * to `unreachable` (may be NULL), in their order, with the index of the first before that takes all
 * they would and has all of their methods. Not found out is what only several together take, what
 * template_covers does not see, and what stands behind 256 routes with the same literals and shape.
 * GYR_ERR_MEMORY. */
MUST_CHECK int route_table_create(const struct route_entry *entries, size_t count,
                                  void (*unreachable)(void *context, size_t index, size_t by),
                                  void *context, struct route_table **table);
void route_table_destroy(struct route_table *table);

/* Find what a path leads to; `path` is undecoded, without its query. One trailing slash has no
 * meaning; an empty segment is never found, nor is what does not begin with a slash. Dot segments
 * are segments like others. Literals are compared decoded. ROUTE_BAD_PATH whatever routes there
 * are. Of `match` only what belongs to the result is written. Any thread. */
enum route_status route_find(const struct route_table *table, struct span path, uint16_t method,
                             struct route_match *match);

/* Decode a value to `bytes`, which has raw.size bytes; returns its size. */
size_t route_value_decode(struct route_value value, uint8_t *bytes);

/* For --routes: a line "routes: 7, matched byte by byte: 1, shapes: 5, probed for one path: 4 at
 * most", and one for each shape, with a star for each literal, and its entries in their order.
 * Returns the size that all of it needs, like snprintf. */
size_t route_table_print(const struct route_table *table, char *text, size_t size);

#endif
