/* SPDX-License-Identifier: MIT */
/* The walker: which texts are JSON. tests/json_table.txt has many more. */
#include "tests/json_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>

static enum gyr_reason walk(struct span text)
{
    enum gyr_reason reason;
    uint8_t *copy = guard_copy(text.ptr, text.size);
    int err = json_walk(span_of(copy, text.size), &reason);
    EXPECT_INT(err, reason == GYR_REASON_NONE ? 0 : GYR_ERR_MESSAGE, "status and reason agree");
    guard_free(copy);
    return reason;
}

void json_walk_reads_nothing_past_the_end(void)
{
    for (size_t size = 0; size <= strlen(kit_all_text); size++) {
        enum gyr_reason expected =
            size == strlen(kit_all_text) ? GYR_REASON_NONE : GYR_REASON_MALFORMED;
        EXPECT_INT(walk(span_of(kit_all_text, size)), expected, "cut at every byte");
    }
    static const char *const scalars[] = {"true", "false", "null", "-12.5e+10", "\"a\\u0041\\n\""};
    for (size_t i = 0; i < COUNT_OF(scalars); i++) {
        EXPECT_INT(walk(kit_span(scalars[i])), GYR_REASON_NONE, scalars[i]);
        for (size_t size = 0; size < strlen(scalars[i]); size++) {
            /* Some beginnings of numbers are numbers. */
            bool is_number =
                scalars[i][0] == '-' && (size == 2 || size == 3 || size == 5 || size == 8);
            EXPECT_INT(walk(span_of(scalars[i], size)),
                       is_number ? GYR_REASON_NONE : GYR_REASON_MALFORMED, scalars[i]);
        }
    }
}

void json_walk_has_a_limit_of_depth(void)
{
    for (unsigned kind = 0; kind < 3; kind++) {
        for (size_t depth = 1; depth < 100; depth++) {
            char text[1000];
            char *at = text;
            bool is_object = false;
            for (size_t i = 0; i < depth; i++) {
                is_object = kind == 1 || (kind == 2 && i % 2 == 1);
                const char *open = !is_object ? "[" : i + 1 == depth ? "{" : "{\"a\":";
                memcpy(at, open, strlen(open));
                at += strlen(open);
            }
            for (size_t i = depth; i-- > 0;) {
                *at++ = kind == 1 || (kind == 2 && i % 2 == 1) ? '}' : ']';
            }
            size_t size = (size_t)(at - text);
            EXPECT_INT(walk(span_of(text, size)),
                       depth <= GYR_DEPTH_MAX ? GYR_REASON_NONE : GYR_REASON_DEPTH, "depth");
            /* One bracket of the other sort. */
            at[-1] = at[-1] == '}' ? ']' : '}';
            EXPECT(walk(span_of(text, size)) != GYR_REASON_NONE, "another bracket");
        }
    }
    enum gyr_reason reason;
    CU_ASSERT_EQUAL(json_walk_at(kit_span("[[]]"), GYR_DEPTH_MAX - 2, &reason), 0);
    CU_ASSERT_EQUAL(json_walk_at(kit_span("[[]]"), GYR_DEPTH_MAX - 1, &reason), GYR_ERR_MESSAGE);
    CU_ASSERT_EQUAL(reason, GYR_REASON_DEPTH);
    CU_ASSERT_EQUAL(json_walk_at(kit_span("1"), GYR_DEPTH_MAX, &reason), 0);
}

void json_walk_judges_every_byte_in_every_place(void)
{
    /* A byte that is put between, or takes the place of another, and leaves it JSON, is one that
     * may stand there. */
    static const char text[] = "{\"a\":[1,true],\"b\":\"c\"}";
    static const char inserted_anywhere[] = " \t\n\r";
    unsigned accepted = 0;
    for (size_t place = 0; place <= sizeof(text) - 1; place++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            char changed[sizeof(text) + 1];
            memcpy(changed, text, place);
            changed[place] = (char)byte;
            memcpy(changed + place + 1, text + place, sizeof(text) - 1 - place);
            bool is_taken = walk(span_of(changed, sizeof(text))) == GYR_REASON_NONE;
            bool is_text = (place > 1 && place < 4) || (place > 14 && place < 17) ||
                           (place > 18 && place < 21);
            bool is_blank = memchr(inserted_anywhere, (int)byte, 4) != NULL;
            accepted += is_taken;
            if (!is_text && is_taken) {
                /* Blanks between tokens, digits and a sign at the number. */
                bool is_number = place == 6 || place == 7;
                EXPECT(is_blank || (is_number && (byte == '-' || (byte >= '0' && byte <= '9'))),
                       "what may stand there");
            }
            EXPECT(!is_text || byte < 0x20 || byte >= 0x80 || byte == '"' || byte == '\\' ||
                       is_taken,
                   "texts take all that may stand in them");
        }
    }
    CU_ASSERT(accepted > 500);
}
