/* SPDX-License-Identifier: MIT */
/* Routes the way anybody would find them: one template after the other, in the order given, each
 * read from its text anew; segments with several parameters by trying. Only what router/template.c
 * accepts may be given to it. For comparison with the route table. */
#ifndef TESTS_ROUTE_NAIVE_H
#define TESTS_ROUTE_NAIVE_H

#include "router/route_table.h"

#define NAIVE_PATH_MAX   2048
#define NAIVE_VALUES_MAX 64 /* those included whose names come again */

struct naive_value {
    uint8_t bytes[NAIVE_PATH_MAX]; /* decoded */
    size_t size;
};

struct naive_match {
    size_t index;
    uint16_t methods;
    size_t value_count;
    struct naive_value values[NAIVE_VALUES_MAX];
};

/* As route_find; `path` has up to NAIVE_PATH_MAX bytes. */
enum route_status naive_find(const struct route_entry *entries, size_t count, struct span path,
                             uint16_t method, struct naive_match *match);

/* Can this match be written by template_write? Not with a segment that clients resolve, nor with an
 * empty one in the rest of a path. */
bool naive_can_be_written(struct span path, const struct template *template,
                          const struct naive_match *match);

#endif
