/* SPDX-License-Identifier: MIT */
/* The scan for tags against simdjson on random documents, as many as one likes.
 *
 *   tag-differential [COUNT [SEED]]
 *
 * Ends with 1 and the document at the first difference; the same seed finds it again. */
#include "tests/tag_kit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT_DEFAULT UINT64_C(1000000)
#define SEED_FACTOR   UINT64_C(0x9e3779b97f4a7c15)

/* A number from 1 on, or 0. */
static uint64_t number_read(const char *text)
{
    char *end;
    uint64_t number = strtoull(text, &end, 10);
    return *text == '\0' || *end != '\0' ? 0 : number;
}

static int usage(const char *text)
{
    (void)fprintf(stderr, "tag-differential: %s is no number from 1 on; COUNT and SEED are\n",
                  text);
    return 2;
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 1 ? number_read(argv[1]) : COUNT_DEFAULT;
    uint64_t seed = argc > 2 ? number_read(argv[2]) : 1;
    if (count == 0 || seed == 0) {
        return usage(argv[count == 0 ? 1 : 2]);
    }
    struct tag_kit *kit = tag_kit_create();
    uint64_t random = seed * SEED_FACTOR;
    random = random != 0 ? random : 1;
    for (uint64_t i = 0; i < count; i++) {
        struct span name;
        struct span text = tag_kit_generate(kit, &random, &name);
        const char *why = tag_kit_check(kit, text, name);
        if (why != NULL) {
            (void)fprintf(stderr, "document %" PRIu64 " of seed %" PRIu64 ", name '%.*s': %s\n", i,
                          seed, (int)name.size, (const char *)name.ptr, why);
            (void)fwrite(text.ptr, 1, text.size, stderr);
            (void)fputc('\n', stderr);
            tag_kit_destroy(kit);
            return 1;
        }
    }
    const struct tag_kit_counts *counts = tag_kit_counts(kit);
    (void)printf("%" PRIu64 " documents of seed %" PRIu64 ": %" PRIu64 " valid (%" PRIu64
                 " with a tag, %" PRIu64 " of them escaped; %" PRIu64 " without; %" PRIu64
                 " no object or no string), %" PRIu64 " malformed; no difference\n",
                 count, seed, counts->valid, counts->found, counts->escaped, counts->absent,
                 counts->refused, counts->malformed);
    tag_kit_destroy(kit);
    return 0;
}
