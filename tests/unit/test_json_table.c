/* SPDX-License-Identifier: MIT */
/* The table of tests/json_table.h: our walker and reader, and simdjson's DOM. What Python says
 * tests/socket/test_json_table.py looks at. */
#include "tests/fuzz/json_dom.h"
#include "tests/json_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <stdlib.h>

struct table_row {
    const char *why;
    struct span text;
    bool walk;
    bool dom;
    bool python;
};

static const struct table_row table[] = {
#define X(why, text, walk, dom, python) {why, SPAN_STATIC(text), walk, dom, python},
#include "tests/json_table.h"
#undef X
};

void json_table_has_the_verdicts_of_the_walker(void)
{
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        enum gyr_reason reason;
        uint8_t *copy = guard_copy(table[i].text.ptr, table[i].text.size);
        int err = json_walk(span_of(copy, table[i].text.size), &reason);
        EXPECT_INT(err == 0, table[i].walk, (const char *)table[i].text.ptr);
        guard_free(copy);
    }
}

struct any {
    struct gyr_span v;
};
GYR_PART(any, GYR_RAW(any, v));

/* The same text as a value that is kept, and as one that is skipped. */
void json_table_has_the_verdicts_of_the_reader(void)
{
    static const char *const heads[] = {"{\"v\":", "{\"v\":0,\"more\":"};
    struct kit_reader kit;
    kit_reader_init(&kit);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        for (size_t j = 0; j < COUNT_OF(heads); j++) {
            struct any any;
            struct json_read how = {.schema = &any_schema, .is_lenient = true};
            size_t head = strlen(heads[j]);
            size_t size = head + table[i].text.size + 1;
            char *text = malloc(size + 1);
            CU_ASSERT_PTR_NOT_NULL_FATAL(text);
            memcpy(text, heads[j], head);
            memcpy(text + head, table[i].text.ptr, table[i].text.size);
            memcpy(text + size - 1, "}", 2);
            /* What closes more than it opens, or goes on with another member, is another text. */
            struct span row = table[i].text;
            bool goes_on =
                !table[i].walk && row.size > 0 &&
                (memchr(row.ptr, '}', row.size) != NULL || memchr(row.ptr, ',', row.size) != NULL);
            bool deeper = strcmp(table[i].why, "depth of 32") == 0;
            int err = kit_read(&kit, span_of(text, size), &how, &any);
            EXPECT(goes_on || (err == 0) == (table[i].walk && !deeper), text);
            EXPECT(!deeper || kit.fault.reason == GYR_REASON_DEPTH, text);
            free(text);
        }
    }
    kit_reader_deinit(&kit);
}

void json_table_has_the_verdicts_of_simdjson(void)
{
    unsigned differences = 0;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        enum json_dom_verdict verdict =
            json_dom_verdict((const char *)table[i].text.ptr, table[i].text.size);
        EXPECT_INT(verdict == JSON_DOM_SOUND, table[i].dom, (const char *)table[i].text.ptr);
        EXPECT(verdict != JSON_DOM_NUMBER || !table[i].walk ||
                   strcmp(table[i].why, "large-number") == 0,
               (const char *)table[i].text.ptr);
        differences += table[i].walk != table[i].dom;
    }
    CU_ASSERT(COUNT_OF(table) >= 200 && differences > 0);
}
