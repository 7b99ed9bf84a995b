/* SPDX-License-Identifier: MIT */
/* What was declared wrongly: one line each, in the order in which it was found, none twice. */
#ifndef ROUTER_MISTAKES_H
#define ROUTER_MISTAKES_H

#include "base/base.h"
#include "router/pool.h"
#include "router/text_map.h"

#define MISTAKE_SIZE_MAX 512 /* of a line; longer ones are cut */

struct mistake {
    struct mistake *next;
    size_t size;
    const char *text; /* ends with a NUL */
};

/* Zero is an empty one. */
struct mistakes {
    struct mistake *first;
    struct mistake *last;
    size_t count;
    struct text_map known;
    struct pool pool;
    bool out_of_memory; /* something could not be written down */
};

/* "PLACE: what is wrong; what to do". */
void mistakes_add(struct mistakes *mistakes, const char *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A line that has its place already. */
void mistakes_add_line(struct mistakes *mistakes, const char *line);
/* All that `from` has. */
void mistakes_add_all(struct mistakes *mistakes, const struct mistakes *from);
/* All lines, each with a line feed; like snprintf. */
size_t mistakes_print(const struct mistakes *mistakes, char *text, size_t size);
void mistakes_deinit(struct mistakes *mistakes);

#endif
