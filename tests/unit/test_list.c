/* SPDX-License-Identifier: MIT */
/* The intrusive list: order, and links that hold in both directions after every operation. */
#include "base/list.h"

#include "base/base.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

struct item {
    char name;
    struct list node;
};

static struct item items[6];

static void items_init(void)
{
    memset(items, 0, sizeof(items));
    for (size_t i = 0; i < COUNT_OF(items); i++) {
        items[i].name = (char)('a' + i);
    }
}

/* Does the list hold exactly these, forwards and backwards? */
static bool holds(struct list *list, const char *names)
{
    struct list *forwards = list->next;
    for (size_t i = 0; i < strlen(names); i++, forwards = forwards->next) {
        if (forwards == list || CONTAINER_OF(forwards, struct item, node)->name != names[i]) {
            return false;
        }
    }
    struct list *backwards = list->prev;
    for (size_t i = strlen(names); i > 0; i--, backwards = backwards->prev) {
        if (backwards == list || CONTAINER_OF(backwards, struct item, node)->name != names[i - 1]) {
            return false;
        }
    }
    return forwards == list && backwards == list && list_is_empty(list) == (names[0] == '\0');
}

static void push(struct list *list, const char *names)
{
    for (size_t i = 0; i < strlen(names); i++) {
        list_push_back(list, &items[names[i] - 'a'].node);
    }
}

void list_keeps_the_order_of_pushes(void)
{
    struct list list;
    items_init();
    list_init(&list);
    EXPECT(holds(&list, ""), "empty at first");
    push(&list, "a");
    EXPECT(holds(&list, "a"), "one");
    push(&list, "cb");
    EXPECT(holds(&list, "acb"), "the last is last");
}

void list_removes_from_either_end_and_the_middle(void)
{
    struct list list;
    items_init();
    list_init(&list);
    push(&list, "abcde");
    list_remove(&items[2].node);
    EXPECT(holds(&list, "abde"), "the middle");
    list_remove(&items[0].node);
    EXPECT(holds(&list, "bde"), "the first");
    list_remove(&items[4].node);
    EXPECT(holds(&list, "bd"), "the last");
    push(&list, "a");
    EXPECT(holds(&list, "bda"), "what was removed can come back");
    list_remove(&items[1].node);
    list_remove(&items[3].node);
    list_remove(&items[0].node);
    EXPECT(holds(&list, ""), "the only one");
}

void list_remove_does_nothing_to_what_is_in_no_list(void)
{
    struct list list;
    items_init();
    list_init(&list);
    push(&list, "ab");
    list_remove(&items[2].node); /* zero: never in a list */
    EXPECT(!list_is_linked(&items[2].node), "still in none");
    list_remove(&items[0].node);
    list_remove(&items[0].node); /* once more */
    EXPECT(holds(&list, "b"), "the others stay");
}

void list_node_knows_whether_it_is_in_a_list(void)
{
    struct list list;
    items_init();
    list_init(&list);
    EXPECT(!list_is_linked(&items[0].node), "zero");
    push(&list, "a");
    EXPECT(list_is_linked(&items[0].node), "pushed");
    list_remove(&items[0].node);
    EXPECT(!list_is_linked(&items[0].node), "removed");
}

void list_splice_moves_all_to_the_end(void)
{
    static const struct {
        const char *to;
        const char *from;
        const char *expected;
    } rows[] = {
        {"", "", ""},       {"ab", "", "ab"},   {"", "ab", "ab"},         {"a", "b", "ab"},
        {"ab", "c", "abc"}, {"a", "bc", "abc"}, {"cab", "fed", "cabfed"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct list to;
        struct list from;
        items_init();
        list_init(&to);
        list_init(&from);
        push(&to, rows[i].to);
        push(&from, rows[i].from);
        list_splice_back(&to, &from);
        EXPECT(holds(&to, rows[i].expected), rows[i].expected);
        EXPECT(holds(&from, ""), "nothing is left");
        list_splice_back(&to, &from);
        EXPECT(holds(&to, rows[i].expected), "an empty one changes nothing");
    }
}
