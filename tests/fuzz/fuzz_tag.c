/* SPDX-License-Identifier: MIT */
/* Fuzzes the scan for tags. The first byte chooses the name, the rest is the text.
 *
 * All levels of vector instructions must agree about any bytes, whatever lies behind them. If
 * simdjson accepts the whole text, they must also agree with its on-demand parser: about the
 * member, and about what its value stands for. */
#include "tests/tag_kit.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tag_kit *kit;
    if (size < 1 || size > TAG_KIT_SIZE_MAX) {
        return 0;
    }
    if (kit == NULL) {
        kit = tag_kit_create();
    }
    const char *why = tag_kit_check(kit, span_of(data + 1, size - 1), tag_kit_name(data[0]));
    if (why != NULL) {
        (void)fprintf(stderr, "fuzz_tag: %s\n", why);
        abort();
    }
    return 0;
}
