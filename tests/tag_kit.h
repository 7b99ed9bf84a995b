/* SPDX-License-Identifier: MIT */
/* The scan for tags against simdjson and against itself: one check, and documents to check. Used
 * by unit tests, the fuzz target and `make tag-differential`. */
#ifndef TESTS_TAG_KIT_H
#define TESTS_TAG_KIT_H

#include "base/base.h"
#include "router/tag.h"

#define TAG_KIT_SIZE_MAX 4096 /* of a document */

struct tag_kit;

struct tag_kit *tag_kit_create(void); /* aborts if memory is short */
void tag_kit_destroy(struct tag_kit *kit);

/* Scan this text with every level that this machine has, each with other bytes in the padding,
 * which ends at an unreadable page. All must agree, and with simdjson if the document is valid.
 * Returns NULL, or what is wrong. */
const char *tag_kit_check(struct tag_kit *kit, struct span text, struct span name);

/* What has been checked so far. */
struct tag_kit_counts {
    uint64_t valid;   /* documents that simdjson accepts */
    uint64_t found;   /* of those: with a tag */
    uint64_t escaped; /* of those: its value or a key before it is escaped */
    uint64_t absent;
    uint64_t refused;   /* valid, but no object, or no string */
    uint64_t malformed; /* not valid */
};
const struct tag_kit_counts *tag_kit_counts(const struct tag_kit *kit);

/* A random document: by the grammar of JSON, and three of eight mutated. `name` gets the name to
 * look for, which lives for ever. Returns a view of memory of the kit. */
struct span tag_kit_generate(struct tag_kit *kit, uint64_t *random, struct span *name);

/* The names that documents are generated with. */
struct span tag_kit_name(unsigned index);

#endif
