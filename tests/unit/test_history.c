/* SPDX-License-Identifier: MIT */
/* Histories: what is kept and what is told of it, against a plain model, with every limit reached
 * and with memory that fails. */
#include "hub/history.h"

#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>
#include <stdlib.h>

#define MEGABYTE (1U << 20)

/* A heap that counts, and fails when it is told to. */
struct memory {
    size_t used;
    size_t peak;
    unsigned fail_every; /* 0: never */
    unsigned count;
};

static void *memory_take(void *context, size_t size)
{
    struct memory *memory = context;
    memory->count++;
    if (memory->fail_every > 0 && memory->count % memory->fail_every == 0) {
        return NULL;
    }
    memory->used += size;
    memory->peak = MAX(memory->peak, memory->used);
    return malloc(size);
}

static void memory_give(void *context, void *pointer, size_t size)
{
    struct memory *memory = context;
    memory->used -= size;
    free(pointer);
}

static struct history *make(struct memory *memory, size_t size_max, size_t room_max)
{
    struct history_config config = {
        .size_max = size_max,
        .room_max = room_max,
        .secret = "a secret of 16 b",
        .context = memory,
        .alloc = memory_take,
        .free = memory_give,
    };
    struct history *history = history_create(&config);
    if (history == NULL) {
        abort();
    }
    return history;
}

static struct gyr_span text_span(const char *text)
{
    return (struct gyr_span){.ptr = text, .size = strlen(text)};
}

static struct history_place add(struct history *history, const char *room,
                                const struct gyr_room_rule *rule, uint64_t now_ms, const char *text)
{
    struct gyr_publication publication = {
        .size = sizeof(publication), .opcode = GYR_TEXT, .payload = text_span(text)};
    struct history_place place = {0};
    EXPECT_INT(history_add(history, text_span(room), rule, now_ms, &publication, &place), 0, text);
    return place;
}

/* "b c" for two messages, "!" for those that are not kept, "?" for no memory. */
static const char *since(struct history *history, const char *room,
                         const struct gyr_room_rule *rule, uint64_t now_ms,
                         struct history_place place)
{
    static char text[256];
    struct history_view view;
    int err = history_since(history, text_span(room), rule, now_ms, place, &view);
    size_t size = 0;
    text[0] = '\0';
    if (err < 0) {
        return err == GYR_ERR_NOT_FOUND ? "!" : "?";
    }
    for (size_t i = 0; i < view.count; i++) {
        const struct history_entry *entry = history_at(&view, i);
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%.*s", i > 0 ? " " : "",
                                 (int)entry->payload_size, (const char *)entry->bytes);
    }
    return text;
}

#define EXPECT_TEXT(actual, expected, why) EXPECT(strcmp((actual), (expected)) == 0, why)

static const struct gyr_room_rule rule_of_3 = {.history_count = 3};
static const struct gyr_room_rule rule_of_100_ms = {.history_count = 5, .history_ms = 100};

void history_numbers_the_messages_of_each_room_from_1(void)
{
    struct memory memory = {0};
    struct history *history = make(&memory, MEGABYTE, 10);
    struct history_place first = add(history, "one", &rule_of_3, 0, "a");
    struct history_place second = add(history, "one", &rule_of_3, 0, "b");
    struct history_place other = add(history, "two", &rule_of_3, 0, "c");
    EXPECT_INT(first.offset, 1, "first");
    EXPECT_INT(second.offset, 2, "second");
    EXPECT_INT(other.offset, 1, "of another room");
    EXPECT(first.epoch != 0 && first.epoch == second.epoch, "one epoch");
    EXPECT(other.epoch != 0 && other.epoch != first.epoch, "each room has its own");
    EXPECT_INT(history_room_count(history), 2, "rooms");
    history_destroy(history);
    EXPECT_INT(memory.used, 0, "all is given back");
}

void history_tells_what_came_since_a_place_and_nothing_else(void)
{
    struct memory memory = {0};
    struct history *history = make(&memory, MEGABYTE, 10);
    static const char *const texts[] = {"a", "b", "c", "d", "e"};
    struct history_place places[COUNT_OF(texts)];
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        places[i] = add(history, "room", &rule_of_3, 0, texts[i]);
        add(history, "other", &rule_of_3, 0, "x");
    }
    static const char *const expected[] = {"!", "c d e", "d e", "e", ""};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        EXPECT_TEXT(since(history, "room", &rule_of_3, 0, places[i]), expected[i], texts[i]);
    }
    uint64_t epoch = places[0].epoch;
    static const struct {
        const char *why;
        uint64_t epoch_change;
        uint64_t offset;
        const char *expected;
    } rows[] = {
        {"before all", 0, 0, "!"},
        {"the oldest that is kept needs the one before it", 0, 1, "!"},
        {"a place that nothing has had", 0, 6, "!"},
        {"far away", 0, UINT64_MAX, "!"},
        {"another epoch at the newest", 1, 5, "!"},
        {"another epoch at 0", 1, 0, "!"},
        {"another epoch in the middle", 2, 3, "!"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct history_place place = {.epoch = epoch ^ rows[i].epoch_change,
                                      .offset = rows[i].offset};
        EXPECT_TEXT(since(history, "room", &rule_of_3, 0, place), rows[i].expected, rows[i].why);
    }
    history_destroy(history);
}

void history_tells_where_a_room_stands(void)
{
    struct memory memory = {0};
    struct history *history = make(&memory, MEGABYTE, 10);
    struct history_view view;
    struct history_place nothing = {.epoch = 0, .offset = 77};
    EXPECT_INT(history_since(history, text_span("r"), &rule_of_3, 0, nothing, &view), 0, "unknown");
    EXPECT(view.newest.epoch != 0, "it has an epoch before its first message");
    EXPECT_INT(view.newest.offset, 0, "and none");
    EXPECT_INT(view.count, 0, "no entry");
    struct history_place begin = view.newest;
    struct history_place place = add(history, "r", &rule_of_3, 0, "a");
    EXPECT(place.epoch == begin.epoch, "which goes on");
    EXPECT_TEXT(since(history, "r", &rule_of_3, 0, begin), "a", "everything since the begin");
    struct history_place wrong = {.epoch = begin.epoch + 1, .offset = 1};
    EXPECT_INT(history_since(history, text_span("r"), &rule_of_3, 0, wrong, &view),
               GYR_ERR_NOT_FOUND, "another epoch");
    EXPECT(view.newest.epoch == begin.epoch && view.newest.offset == 1, "told all the same");
    EXPECT_INT(view.count, 0, "no entry");
    history_destroy(history);
}

void history_keeps_opcode_payload_and_key(void)
{
    struct memory memory = {0};
    struct history *history = make(&memory, MEGABYTE, 10);
    struct history_view view;
    static const struct gyr_publication rows[] = {
        {.opcode = GYR_TEXT, .payload = GYR_LITERAL("text"), .key = GYR_LITERAL("key")},
        {.opcode = GYR_BINARY, .payload = GYR_LITERAL("\0\xff"), .key = GYR_LITERAL("")},
        {.opcode = GYR_BINARY, .payload = {NULL, 0}, .key = {NULL, 0}},
    };
    struct history_place place;
    EXPECT_INT(
        history_since(history, text_span(""), &rule_of_3, 0, (struct history_place){0, 0}, &view),
        0, "a name without bytes");
    struct history_place begin = view.newest;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        EXPECT_INT(history_add(history, text_span(""), &rule_of_3, 5, &rows[i], &place), 0, "add");
    }
    EXPECT_INT(history_since(history, text_span(""), &rule_of_3, 5, begin, &view), 0, "since");
    EXPECT_INT(view.count, COUNT_OF(rows), "all");
    for (size_t i = 0; i < view.count; i++) {
        const struct history_entry *entry = history_at(&view, i);
        EXPECT_INT(entry->opcode, rows[i].opcode, "opcode");
        EXPECT(span_equal(span_of(entry->bytes, entry->payload_size),
                          span_of(rows[i].payload.ptr, rows[i].payload.size)),
               "payload");
        EXPECT(span_equal(span_of(entry->bytes + entry->payload_size, entry->key_size),
                          span_of(rows[i].key.ptr, rows[i].key.size)),
               "key");
    }
    history_destroy(history);
}

void history_lets_go_of_what_is_too_old(void)
{
    struct memory memory = {0};
    struct history *history = make(&memory, MEGABYTE, 10);
    struct history_place a = add(history, "r", &rule_of_100_ms, 1000, "a");
    struct history_place b = add(history, "r", &rule_of_100_ms, 1060, "b");
    struct history_place begin = {.epoch = a.epoch, .offset = 0};
    EXPECT_TEXT(since(history, "r", &rule_of_100_ms, 1100, begin), "a b", "at its limit");
    EXPECT_TEXT(since(history, "r", &rule_of_100_ms, 1101, begin), "!", "past it");
    EXPECT_TEXT(since(history, "r", &rule_of_100_ms, 1101, a), "b", "the other is kept");
    EXPECT_TEXT(since(history, "r", &rule_of_100_ms, 1160, a), "b", "at its limit");
    EXPECT_TEXT(since(history, "r", &rule_of_100_ms, 1161, a), "!", "past it");
    EXPECT_TEXT(since(history, "r", &rule_of_100_ms, 9999999, b), "",
                "who has seen all has missed nothing, however long ago");
    struct history_place c = add(history, "r", &rule_of_100_ms, 9999999, "c");
    EXPECT(c.epoch == a.epoch, "the epoch goes on");
    EXPECT_INT(c.offset, 3, "and the offsets");
    struct history_place rest = add(history, "s", &rule_of_3, 0, "x");
    EXPECT_TEXT(since(history, "s", &rule_of_3, UINT64_MAX,
                      (struct history_place){.epoch = rest.epoch, .offset = 0}),
                "x", "history_ms 0 is no limit");
    history_destroy(history);
}

void history_sweeps_rooms_that_nobody_uses(void)
{
    enum {
        ROOMS = 100
    };
    struct memory memory = {0};
    struct history *history = make(&memory, MEGABYTE, 2 * ROOMS);
    for (unsigned i = 0; i < ROOMS; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "room %u", i);
        add(history, name, &rule_of_100_ms, 0, "some bytes that take room");
    }
    size_t before = history_size(history);
    for (unsigned i = 0; i < ROOMS; i++) {
        add(history, "busy", &rule_of_3, 1000, "x");
    }
    EXPECT(history_size(history) + (size_t)ROOMS * 25 < before, "the old messages are gone");
    EXPECT_INT(history_room_count(history), ROOMS + 1, "the rooms are known");
    history_destroy(history);
}

void history_holds_its_bound_and_takes_from_the_least_used(void)
{
    struct memory memory = {0};
    struct history *history = make(&memory, 8192, 11);
    static const struct gyr_room_rule rule = {.history_count = 1000};
    struct history_place quiet = add(history, "quiet", &rule, 0, "q");
    struct history_place busy = {0};
    for (unsigned i = 0; i < 500; i++) {
        busy = add(history, "busy", &rule, 0, "some bytes that take room");
        EXPECT(history_size(history) <= 8192, "never over");
        if (i % 10 == 0) {
            EXPECT_TEXT(since(history, "quiet", &rule, 0, quiet), "", "it is used");
        }
    }
    EXPECT_INT(busy.offset, 500, "all were numbered");
    EXPECT_TEXT(since(history, "busy", &rule, 0, (struct history_place){busy.epoch, 499}),
                "some bytes that take room", "the newest is kept");
    EXPECT_TEXT(since(history, "busy", &rule, 0, (struct history_place){busy.epoch, 0}), "!",
                "the oldest are not");
    EXPECT_TEXT(since(history, "quiet", &rule, 0, quiet), "", "it had less than its share");
    /* Now others come, and nobody asks for the quiet one. */
    for (unsigned i = 0; i < 500; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "other %u", i % 9);
        add(history, name, &rule, 0, "some bytes that take room");
    }
    struct history_view view;
    EXPECT_INT(history_since(history, text_span("quiet"), &rule, 0, quiet, &view),
               GYR_ERR_NOT_FOUND, "it was let go");
    EXPECT(view.newest.epoch != quiet.epoch, "and has another epoch");
    EXPECT_INT(view.newest.offset, 0, "and begins anew");
    history_destroy(history);
    EXPECT_INT(memory.used, 0, "all is given back");
}

void history_knows_so_many_rooms_and_no_more(void)
{
    struct memory memory = {0};
    struct history *history = make(&memory, MEGABYTE, 3);
    struct history_place a = add(history, "a", &rule_of_3, 0, "1");
    struct history_place b = add(history, "b", &rule_of_3, 0, "2");
    add(history, "c", &rule_of_3, 0, "3");
    EXPECT_TEXT(since(history, "a", &rule_of_3, 0, a), "", "a is used again");
    add(history, "d", &rule_of_3, 0, "4");
    EXPECT_INT(history_room_count(history), 3, "three");
    EXPECT_TEXT(since(history, "a", &rule_of_3, 0, a), "", "a is still known");
    EXPECT_TEXT(since(history, "b", &rule_of_3, 0, b), "!", "b was used least lately");
    history_destroy(history);
}

void history_goes_on_without_a_message_that_it_cannot_keep(void)
{
    struct memory memory = {0};
    struct history *history = make(&memory, 2048, 3);
    static char large[3000];
    memset(large, 'x', sizeof(large) - 1);
    struct history_place a = add(history, "r", &rule_of_3, 0, "a");
    struct history_place b = add(history, "r", &rule_of_3, 0, large);
    EXPECT_INT(b.offset, a.offset + 1, "it has its place");
    EXPECT_TEXT(since(history, "r", &rule_of_3, 0, a), "!", "that it is missing is told");
    EXPECT_TEXT(since(history, "r", &rule_of_3, 0, b), "", "who has got it has all");
    struct history_place c = add(history, "r", &rule_of_3, 0, "c");
    EXPECT(c.epoch == a.epoch && c.offset == 3, "it goes on");
    EXPECT_TEXT(since(history, "r", &rule_of_3, 0, b), "c", "and keeps what follows");
    history_destroy(history);
}

/* ---- against a model ---- */

#define MODEL_ROOMS 5
#define MODEL_KEPT  8

struct model {
    uint64_t epoch;
    uint64_t newest;
    uint64_t added_ms[4096]; /* by offset */
};

/* Nothing that is told is wrong; and, while memory is there, nothing is missing. */
static void check_room(struct history *history, unsigned number, struct model *model,
                       const struct gyr_room_rule *rule, uint64_t now_ms, uint64_t back)
{
    char name[2] = {(char)('a' + number), '\0'};
    uint64_t offset = back > model->newest ? 0 : model->newest - back;
    struct history_view view;
    struct history_place place = {.epoch = model->epoch, .offset = offset};
    int err = history_since(history, text_span(name), rule, now_ms, place, &view);
    bool kept = model->newest - offset <= rule->history_count &&
                (offset == model->newest || rule->history_ms == 0 ||
                 now_ms - model->added_ms[offset + 1] <= rule->history_ms);
    EXPECT_INT(err, kept ? 0 : GYR_ERR_NOT_FOUND, "kept");
    EXPECT_INT(view.newest.offset, model->newest, "newest");
    EXPECT_INT(view.count, kept ? model->newest - offset : 0, "count");
    for (size_t i = 0; err == 0 && i < view.count; i++) {
        uint64_t value = 0;
        const struct history_entry *entry = history_at(&view, i);
        EXPECT_INT(entry->payload_size, sizeof(value), "size");
        memcpy(&value, entry->bytes, sizeof(value));
        EXPECT_INT(value, (offset + 1 + i) * MODEL_ROOMS + number, "the very message");
    }
}

void history_agrees_with_a_plain_model(void)
{
    static struct model models[MODEL_ROOMS];
    memset(models, 0, sizeof(models));
    struct gyr_room_rule rules[MODEL_ROOMS];
    memset(rules, 0, sizeof(rules));
    for (unsigned i = 0; i < MODEL_ROOMS; i++) {
        rules[i].history_count = 1 + i * MODEL_KEPT;
        rules[i].history_ms = i % 2 == 0 ? 0 : 50;
    }
    struct memory memory = {0};
    struct history *history = make(&memory, MEGABYTE, MODEL_ROOMS);
    uint64_t random = 88172645463325252U;
    uint64_t now_ms = 1;
    for (unsigned step = 0; step < 15000; step++) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        unsigned number = (unsigned)(random >> 33) % MODEL_ROOMS;
        struct model *model = &models[number];
        now_ms += (random >> 20) % 4;
        char name[2] = {(char)('a' + number), '\0'};
        if ((random >> 50) % 2 == 0 && model->newest + 1 < COUNT_OF(model->added_ms)) {
            uint64_t value = (model->newest + 1) * MODEL_ROOMS + number;
            struct gyr_publication publication = {.opcode = GYR_BINARY,
                                                  .payload = {(const char *)&value, sizeof(value)}};
            struct history_place place = {0};
            EXPECT_INT(
                history_add(history, text_span(name), &rules[number], now_ms, &publication, &place),
                0, "add");
            model->newest++;
            EXPECT(model->newest == 1 || place.epoch == model->epoch, "the epoch stays");
            EXPECT_INT(place.offset, model->newest, "the next offset");
            model->epoch = place.epoch;
            model->added_ms[model->newest] = now_ms;
        } else if (model->newest > 0) {
            check_room(history, number, model, &rules[number], now_ms, (random >> 8) % 40);
        }
    }
    history_destroy(history);
    EXPECT_INT(memory.used, 0, "all is given back");
}

/* With memory that fails now and then, what is told may be less, and is never wrong. */
void history_is_never_wrong_when_memory_fails(void)
{
    for (unsigned fail_every = 1; fail_every < 12; fail_every++) {
        struct memory memory = {0};
        struct history *history = make(&memory, 4096, 4);
        memory.fail_every = fail_every;
        for (uint64_t step = 0; step < 2000; step++) {
            char name[2] = {(char)('a' + step % 6), '\0'};
            struct gyr_publication publication = {.opcode = GYR_BINARY,
                                                  .payload = {(const char *)&step, sizeof(step)}};
            struct history_place place = {0};
            int err = history_add(history, text_span(name), &rule_of_3, 0, &publication, &place);
            EXPECT(err == 0 || err == GYR_ERR_MEMORY, "add");
            if (err < 0) {
                continue;
            }
            struct history_view view;
            place.offset--;
            err = history_since(history, text_span(name), &rule_of_3, 0, place, &view);
            EXPECT(err == 0 || err == GYR_ERR_NOT_FOUND || err == GYR_ERR_MEMORY, "since");
            if (err == 0) {
                EXPECT_INT(view.count, 1, "one message");
                EXPECT(memcmp(history_at(&view, 0)->bytes, &step, sizeof(step)) == 0, "this one");
            }
            EXPECT(history_size(history) <= 4096, "never over");
        }
        memory.fail_every = 0;
        history_destroy(history);
        EXPECT_INT(memory.used, 0, "all is given back");
    }
    struct memory none = {.fail_every = 1};
    struct history_config config = {
        .size_max = 1, .room_max = 1, .context = &none, .alloc = memory_take, .free = memory_give};
    EXPECT(history_create(&config) == NULL, "no memory at all");
    history_destroy(NULL);
}
