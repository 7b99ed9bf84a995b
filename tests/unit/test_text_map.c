/* SPDX-License-Identifier: MIT */
/* Texts and addresses with numbers: what was added is found, however many there are, and nothing
 * else. */
#include "router/text_map.h"

#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>

#define MANY 5000

void text_map_finds_what_was_added_and_nothing_else(void)
{
    static char names[MANY][12];
    struct text_map map = {0};
    EXPECT_INT(text_map_find(&map, SPAN_LITERAL("")), TEXT_MAP_NONE, "an empty one");
    EXPECT(text_map_at(&map, SPAN_LITERAL("")) == NULL, "an empty one");
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "n%u", i);
        EXPECT_INT(text_map_add(&map, span_of_text(names[i]), i), 0, names[i]);
    }
    for (unsigned i = 0; i < MANY; i++) {
        char copy[12];
        memcpy(copy, names[i], sizeof(copy));
        EXPECT_INT(text_map_find(&map, span_of_text(copy)), i, "by its text");
        EXPECT_INT(text_map_add(&map, span_of_text(copy), 7), GYR_ERR_EXISTS, "it is there");
    }
    EXPECT_INT(map.count, MANY, "each once");
    EXPECT(2 * map.count <= map.capacity, "half of it is free");
    EXPECT_INT(text_map_find(&map, SPAN_LITERAL("n")), TEXT_MAP_NONE, "a part of one");
    EXPECT_INT(text_map_find(&map, SPAN_LITERAL("n50000")), TEXT_MAP_NONE, "longer than one");
    EXPECT_INT(text_map_find(&map, SPAN_LITERAL("n1\0")), TEXT_MAP_NONE, "with a NUL");
    *text_map_at(&map, SPAN_LITERAL("n1")) = 99;
    EXPECT_INT(text_map_find(&map, SPAN_LITERAL("n1")), 99, "written where it is");
    text_map_deinit(&map);
    EXPECT_INT(text_map_find(&map, SPAN_LITERAL("n1")), TEXT_MAP_NONE, "empty again");
}

void text_map_takes_the_empty_text_and_addresses(void)
{
    struct text_map map = {0};
    static const void *addresses[3];
    for (uint32_t i = 0; i < COUNT_OF(addresses); i++) {
        addresses[i] = &addresses[i];
        EXPECT_INT(text_map_add(&map, span_of_address(&addresses[i]), i), 0, "an address");
    }
    EXPECT_INT(text_map_add(&map, SPAN_LITERAL(""), 5), 0, "no text");
    const void *same = &addresses[1];
    EXPECT_INT(text_map_find(&map, span_of_address(&same)), 1, "the same address elsewhere");
    EXPECT_INT(text_map_find(&map, SPAN_LITERAL("")), 5, "no text");
    text_map_deinit(&map);
}

void text_map_has_room_for_what_was_reserved(void)
{
    static char names[100][4];
    struct text_map map = {0};
    for (unsigned i = 0; i < COUNT_OF(names); i++) {
        EXPECT_INT(text_map_reserve(&map), 0, "room");
        const struct text_slot *slots = map.slots;
        (void)snprintf(names[i], sizeof(names[i]), "%u", i);
        EXPECT_INT(text_map_add(&map, span_of_text(names[i]), i), 0, "added");
        EXPECT(map.slots == slots, "without other memory");
    }
    text_map_deinit(&map);
}
