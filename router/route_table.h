/* SPDX-License-Identifier: MIT */
/* Which route gets this path: a perfect hash over the literal segments of each shape of template,
 * one probe and one compare for each shape that has as many segments as the path. Frozen at the
 * start; shared by all cores. */
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
    uint16_t methods;
    uint16_t value_count;
    struct route_value values[TEMPLATE_PARAMS_MAX]; /* in the order of the template's parameters */
};

/* Make a table; the order of entries is their precedence. Entries that no path can reach are told
 * to `unreachable` (may be NULL), with the index of one before that takes all they would.
 * GYR_ERR_MEMORY. */
MUST_CHECK int route_table_create(const struct route_entry *entries, size_t count,
                                  void (*unreachable)(void *context, size_t index, size_t by),
                                  void *context, struct route_table **table);
void route_table_destroy(struct route_table *table);

/* Find what a path leads to; `path` is undecoded, without its query. One trailing slash has no
 * meaning; an empty segment is never found. Literals are compared decoded. Any thread. */
enum route_status route_find(const struct route_table *table, struct span path, uint16_t method,
                             struct route_match *match);

/* Decode a value to `bytes`, which has raw.size bytes; returns its size. */
size_t route_value_decode(struct route_value value, uint8_t *bytes);

/* For --routes: "7 shapes, 3 with a parameter of ..." and a line for each shape with its entries;
 * size that all of it needs, like snprintf. */
size_t route_table_print(const struct route_table *table, char *text, size_t size);

#endif
