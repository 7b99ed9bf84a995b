/* SPDX-License-Identifier: MIT */
/* Members that come back: history first, then what has waited, then what follows, whatever order
 * messages and answers arrive in; nothing missing, nothing twice, and a word when it cannot be. */
#include "hub/recover.h"

#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>
#include <stdlib.h>

#define MEMBERS 200

/* A core with memory that is counted, and the offsets that each member has been given. */
struct stage {
    struct recover *recover;
    size_t used;
    unsigned fail_every; /* allocations; 0: never */
    unsigned alloc_count;
    unsigned fail_after; /* deliveries that succeed; UINT_MAX: all */
    int deliver_err;
    char got[MEMBERS][1U << 14]; /* "1 2 3" */
};

static void *stage_alloc(void *context, size_t size)
{
    struct stage *stage = context;
    stage->alloc_count++;
    if (stage->fail_every > 0 && stage->alloc_count % stage->fail_every == 0) {
        return NULL;
    }
    stage->used += size;
    return malloc(size);
}

static void stage_free(void *context, void *pointer, size_t size)
{
    struct stage *stage = context;
    stage->used -= size;
    free(pointer);
}

static void note(struct stage *stage, uint32_t conn_index, uint64_t offset)
{
    char *got = stage->got[conn_index];
    size_t size = strlen(got);
    (void)snprintf(got + size, sizeof(stage->got[0]) - size, "%s%llu", size > 0 ? " " : "",
                   (unsigned long long)offset);
}

static int stage_deliver(void *context, struct recover_member member,
                         const struct gyr_publication *publication)
{
    struct stage *stage = context;
    if (stage->fail_after == 0) {
        return stage->deliver_err;
    }
    stage->fail_after -= stage->fail_after != UINT32_MAX;
    uint64_t value = 0;
    EXPECT_INT(publication->payload.size, sizeof(value), "size");
    memcpy(&value, publication->payload.ptr, sizeof(value));
    EXPECT_INT(value, publication->offset, "its own payload");
    EXPECT_SPAN(span_of(publication->key.ptr, publication->key.size), "key", "its key");
    EXPECT_INT(publication->opcode, GYR_BINARY, "opcode");
    note(stage, member.conn_index, publication->offset);
    return 0;
}

static struct stage *stage_create(size_t held_size_max)
{
    static struct stage stage;
    memset(&stage, 0, sizeof(stage));
    stage.fail_after = UINT32_MAX;
    stage.deliver_err = GYR_ERR_BACKPRESSURE;
    struct recover_config config = {
        .context = &stage,
        .held_size_max = held_size_max,
        .deliver = stage_deliver,
        .alloc = stage_alloc,
        .free = stage_free,
    };
    stage.recover = recover_create(&config);
    if (stage.recover == NULL) {
        abort();
    }
    return &stage;
}

static void stage_destroy(struct stage *stage)
{
    recover_destroy(stage->recover);
    EXPECT_INT(stage->used, 0, "all is given back");
}

static struct gyr_publication message(const uint64_t *value, uint64_t epoch)
{
    return (struct gyr_publication){
        .size = sizeof(struct gyr_publication),
        .opcode = GYR_BINARY,
        .payload = {(const char *)value, sizeof(*value)},
        .key = GYR_LITERAL("key"),
        .epoch = epoch,
        .offset = *value,
    };
}

static enum recover_verdict live(struct stage *stage, struct recover_member member, uint64_t epoch,
                                 uint64_t offset)
{
    struct gyr_publication publication = message(&offset, epoch);
    enum recover_verdict verdict = recover_judge(stage->recover, member, &publication);
    if (verdict == RECOVER_PASSES) {
        note(stage, member.conn_index, offset);
    }
    return verdict;
}

/* The answer of a history that has the offsets `first` to `newest` for this member. */
static bool answer(struct stage *stage, struct recover_member member, uint64_t number,
                   struct gyr_backend_history head, uint64_t first, struct gyr_recovery *recovery)
{
    enum {
        ANSWER_MAX = 4096
    };
    static uint64_t values[ANSWER_MAX];
    static struct gyr_publication publications[ANSWER_MAX];
    head.size = sizeof(head);
    head.publications = publications;
    for (uint64_t offset = first; offset <= head.offset && head.err == 0; offset++) {
        values[head.count] = offset;
        publications[head.count] = message(&values[head.count], head.epoch);
        head.count++;
    }
    return recover_answer(stage->recover, member, number, 9, &head, recovery);
}

static const struct recover_member one = {.room_index = 3, .conn_index = 7};

void recover_queues_the_history_and_then_what_has_waited(void)
{
    struct stage *stage = stage_create(4096);
    struct gyr_recovery recovery;
    uint64_t number = 0;
    EXPECT_INT(recover_begin(stage->recover, one, &number), 0, "begin");
    EXPECT_INT(live(stage, one, 9, 4), RECOVER_HELD, "in the answer, too");
    EXPECT_INT(live(stage, one, 9, 5), RECOVER_HELD, "in the answer, too");
    EXPECT_INT(live(stage, one, 9, 6), RECOVER_HELD, "behind it");
    EXPECT_INT(live(stage, one, 9, 7), RECOVER_HELD, "behind it");
    EXPECT_SPAN(span_of(stage->got[7], strlen(stage->got[7])), "", "nothing yet");
    EXPECT(answer(stage, one, number, (struct gyr_backend_history){.epoch = 9, .offset = 5}, 3,
                  &recovery),
           "answered");
    EXPECT(recovery.recovered && recovery.err == 0, "recovered");
    EXPECT(recovery.epoch == 9 && recovery.offset == 7, "up to where it has all");
    EXPECT_INT(recovery.count, 5, "messages");
    EXPECT_INT(live(stage, one, 9, 8), RECOVER_PASSES, "the next");
    EXPECT_INT(recover_count(stage->recover), 0, "forgotten");
    EXPECT_INT(live(stage, one, 9, 9), RECOVER_PASSES, "like others");
    EXPECT_SPAN(span_of(stage->got[7], strlen(stage->got[7])), "3 4 5 6 7 8 9", "all, in order");
    stage_destroy(stage);
}

void recover_keeps_out_what_arrives_behind_an_answer_that_had_it(void)
{
    struct stage *stage = stage_create(4096);
    struct gyr_recovery recovery;
    uint64_t number = 0;
    EXPECT_INT(recover_begin(stage->recover, one, &number), 0, "begin");
    EXPECT(answer(stage, one, number, (struct gyr_backend_history){.epoch = 9, .offset = 5}, 4,
                  &recovery),
           "answered");
    EXPECT_INT(live(stage, one, 9, 4), RECOVER_KNOWN, "late");
    EXPECT_INT(live(stage, one, 9, 5), RECOVER_KNOWN, "late");
    EXPECT_INT(live(stage, one, 9, 5), RECOVER_KNOWN, "twice");
    EXPECT_INT(live(stage, one, 9, 6), RECOVER_PASSES, "the next");
    EXPECT_SPAN(span_of(stage->got[7], strlen(stage->got[7])), "4 5 6", "each once");
    stage_destroy(stage);
}

static const struct {
    const char *why;
    struct gyr_backend_history head;
    uint64_t first;
    const char *held; /* offsets, a digit each, that wait at the answer; in epoch 9 */
    int err;
    uint64_t epoch;
    uint64_t offset;
    const char *got;
} answers[] = {
    {"not kept, nothing waits",
     {.err = GYR_ERR_NOT_FOUND, .epoch = 9, .offset = 5},
     1,
     "",
     GYR_ERR_NOT_FOUND,
     9,
     5,
     ""},
    {"not kept, the rest waits",
     {.err = GYR_ERR_NOT_FOUND, .epoch = 9, .offset = 5},
     1,
     "4567",
     GYR_ERR_NOT_FOUND,
     9,
     7,
     "6 7"},
    {"another epoch",
     {.err = GYR_ERR_NOT_FOUND, .epoch = 8, .offset = 2},
     1,
     "",
     GYR_ERR_NOT_FOUND,
     8,
     2,
     ""},
    {"what waits is of another epoch",
     {.err = GYR_ERR_NOT_FOUND, .epoch = 8, .offset = 5},
     1,
     "12",
     GYR_ERR_NOT_FOUND,
     9,
     2,
     "1 2"},
    {"the backend has failed", {.err = -5}, 1, "", -5, 0, 0, ""},
    {"it has failed, and some wait", {.err = GYR_ERR_CLOSED}, 1, "34", GYR_ERR_CLOSED, 9, 4, "3 4"},
    {"nothing was missed", {.epoch = 9, .offset = 5}, 6, "", 0, 9, 5, ""},
    {"nothing was ever published", {.epoch = 9, .offset = 0}, 1, "", 0, 9, 0, ""},
};

void recover_tells_what_it_cannot_do(void)
{
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        struct stage *stage = stage_create(4096);
        struct gyr_recovery recovery;
        uint64_t number = 0;
        EXPECT_INT(recover_begin(stage->recover, one, &number), 0, "begin");
        for (const char *held = answers[i].held; *held != '\0'; held++) {
            EXPECT_INT(live(stage, one, 9, (uint64_t)(*held - '0')), RECOVER_HELD, answers[i].why);
        }
        EXPECT(answer(stage, one, number, answers[i].head, answers[i].first, &recovery),
               answers[i].why);
        EXPECT_INT(recovery.err, answers[i].err, answers[i].why);
        EXPECT_INT(recovery.recovered, answers[i].err == 0, answers[i].why);
        EXPECT_INT(recovery.epoch, answers[i].epoch, answers[i].why);
        EXPECT_INT(recovery.offset, answers[i].offset, answers[i].why);
        EXPECT_SPAN(span_of(stage->got[7], strlen(stage->got[7])), answers[i].got, answers[i].why);
        stage_destroy(stage);
    }
}

void recover_of_epoch_0_only_tells_where_the_room_stands(void)
{
    struct stage *stage = stage_create(4096);
    struct gyr_recovery recovery;
    uint64_t number = 0;
    EXPECT_INT(recover_begin(stage->recover, one, &number), 0, "begin");
    EXPECT_INT(live(stage, one, 9, 5), RECOVER_HELD, "before");
    EXPECT_INT(live(stage, one, 9, 6), RECOVER_HELD, "behind");
    const struct gyr_backend_history history = {.size = sizeof(history), .epoch = 9, .offset = 5};
    EXPECT(recover_answer(stage->recover, one, number, 0, &history, &recovery), "answered");
    EXPECT(!recovery.recovered && recovery.err == 0, "nothing was asked for");
    EXPECT(recovery.epoch == 9 && recovery.offset == 6 && recovery.count == 1, "where it stands");
    EXPECT_SPAN(span_of(stage->got[7], strlen(stage->got[7])), "6", "what came behind");
    stage_destroy(stage);
}

void recover_gives_up_when_too_much_waits(void)
{
    /* Header of what waits, 8 bytes of payload and 3 of key: 10 of them fit. */
    for (unsigned memory = 0; memory < 2; memory++) {
        struct stage *stage = stage_create(memory ? 4096 : 700);
        struct gyr_recovery recovery;
        uint64_t number = 0;
        EXPECT_INT(recover_begin(stage->recover, one, &number), 0, "begin");
        size_t used = stage->used;
        uint64_t offset = 10;
        if (memory) {
            EXPECT_INT(live(stage, one, 9, offset++), RECOVER_HELD, "one");
            stage->fail_every = 1;
        }
        while (live(stage, one, 9, offset) == RECOVER_HELD) {
            offset++;
            EXPECT(stage->used - used <= 700, "never over");
        }
        stage->fail_every = 0;
        EXPECT_INT(offset, memory ? 11 : 20, "so many fit");
        EXPECT_INT(stage->used, used, "nothing waits any more");
        EXPECT_INT(live(stage, one, 9, offset + 1), RECOVER_DROPPED, "nor later");
        EXPECT(answer(stage, one, number, (struct gyr_backend_history){.epoch = 9, .offset = 15}, 9,
                      &recovery),
               "answered");
        EXPECT(!recovery.recovered && recovery.err == GYR_ERR_BACKPRESSURE, "told");
        EXPECT_INT(recovery.offset, MAX(offset + 1, 15U), "up to the last that it has not got");
        EXPECT_INT(recovery.count, 0, "nothing was queued");
        EXPECT_INT(live(stage, one, 9, recovery.offset), RECOVER_KNOWN, "told already");
        EXPECT_INT(live(stage, one, 9, recovery.offset + 1), RECOVER_PASSES, "the next");
        stage_destroy(stage);
    }
}

void recover_stops_where_the_queue_is_full(void)
{
    for (unsigned fits = 0; fits < 5; fits++) {
        struct stage *stage = stage_create(4096);
        struct gyr_recovery recovery;
        uint64_t number = 0;
        stage->fail_after = fits;
        stage->deliver_err = fits % 2 == 0 ? GYR_ERR_BACKPRESSURE : GYR_ERR_CLOSED;
        EXPECT_INT(recover_begin(stage->recover, one, &number), 0, "begin");
        EXPECT_INT(live(stage, one, 9, 4), RECOVER_HELD, "waits");
        EXPECT_INT(live(stage, one, 9, 5), RECOVER_HELD, "waits");
        EXPECT(answer(stage, one, number, (struct gyr_backend_history){.epoch = 9, .offset = 3}, 1,
                      &recovery),
               "answered");
        EXPECT(!recovery.recovered, "not all was queued");
        EXPECT_INT(recovery.err, stage->deliver_err, "and why");
        EXPECT_INT(recovery.count, fits, "so many were");
        EXPECT_INT(recovery.offset, 5, "everything that it may have missed");
        EXPECT_INT(live(stage, one, 9, 6), RECOVER_PASSES, "the next");
        stage_destroy(stage);
    }
}

void recover_takes_no_answer_for_somebody_else(void)
{
    struct stage *stage = stage_create(4096);
    struct gyr_recovery recovery;
    struct gyr_backend_history head = {.epoch = 9, .offset = 3};
    uint64_t first = 0;
    uint64_t second = 0;
    EXPECT(!answer(stage, one, 1, head, 1, &recovery), "nobody ever waited");
    EXPECT_INT(recover_begin(stage->recover, one, &first), 0, "begin");
    recover_leave(stage->recover, one);
    recover_leave(stage->recover, one);
    EXPECT(!answer(stage, one, first, head, 1, &recovery), "it has left");
    EXPECT_INT(recover_begin(stage->recover, one, &second), 0, "again, perhaps another connection");
    EXPECT(second != first, "another number");
    EXPECT(!answer(stage, one, first, head, 1, &recovery), "the answer of the first");
    struct recover_member other_room = {.room_index = 4, .conn_index = 7};
    struct recover_member other_conn = {.room_index = 3, .conn_index = 8};
    EXPECT(!answer(stage, other_room, second, head, 1, &recovery), "another room");
    EXPECT(!answer(stage, other_conn, second, head, 1, &recovery), "another connection");
    EXPECT_INT(live(stage, other_room, 9, 1), RECOVER_PASSES, "another room");
    EXPECT_INT(live(stage, other_conn, 9, 1), RECOVER_PASSES, "another connection");
    stage->got[7][0] = '\0';
    EXPECT(answer(stage, one, second, head, 1, &recovery), "its own");
    EXPECT(!answer(stage, one, second, head, 1, &recovery), "once");
    EXPECT_SPAN(span_of(stage->got[7], strlen(stage->got[7])), "1 2 3", "once");
    stage_destroy(stage);
}

void recover_begin_changes_nothing_when_memory_fails(void)
{
    struct stage *stage = stage_create(4096);
    for (unsigned i = 0; i < 40; i++) {
        struct recover_member member = {.room_index = 1, .conn_index = i};
        uint64_t number = 0;
        stage->fail_every = 1;
        size_t used = stage->used;
        EXPECT_INT(recover_begin(stage->recover, member, &number), GYR_ERR_MEMORY, "no memory");
        EXPECT_INT(recover_count(stage->recover), i, "nobody more");
        EXPECT_INT(stage->used, used, "nothing taken");
        stage->fail_every = 0;
        EXPECT_INT(recover_begin(stage->recover, member, &number), 0, "with it");
    }
    stage_destroy(stage);
    recover_destroy(NULL);
    struct recover_config config = {
        .context = stage, .deliver = stage_deliver, .alloc = stage_alloc, .free = stage_free};
    stage->fail_every = 1;
    EXPECT(recover_create(&config) == NULL, "no memory at all");
}

/* Messages and answers on ways of their own, with delays of their own. */
struct race {
    uint64_t published; /* the home has given so many offsets */
    uint64_t arrived;   /* the core has delivered so many */
    struct {
        bool is_member;
        bool is_asked;
        bool is_answered;
        uint64_t number;
        uint64_t since;
        uint64_t newest;   /* of the answer that is on its way */
        uint64_t expected; /* the next offset that it must get */
    } members[MEMBERS];
};

static void race_check(struct stage *stage, struct race *race, uint32_t index)
{
    char *got = stage->got[index];
    char *end = got;
    for (uint64_t offset = strtoull(got, &end, 10); end != got; offset = strtoull(got, &end, 10)) {
        EXPECT_INT(offset, race->members[index].expected, "no gap, nothing twice");
        race->members[index].expected++;
        got = end;
    }
    stage->got[index][0] = '\0';
}

static void race_step(struct stage *stage, struct race *race, uint64_t random)
{
    uint32_t index = (uint32_t)(random >> 40) % MEMBERS;
    struct recover_member member = {.room_index = 1, .conn_index = index};
    struct gyr_recovery recovery;
    switch ((random >> 20) % 8) {
    case 0:
    case 1:
        race->published++;
        break;
    case 2:
    case 3:
    case 4:
        if (race->arrived == race->published) {
            break;
        }
        race->arrived++;
        for (uint32_t i = 0; i < MEMBERS; i++) {
            if (race->members[i].is_member) {
                live(stage, (struct recover_member){.room_index = 1, .conn_index = i}, 9,
                     race->arrived);
                race_check(stage, race, i);
            }
        }
        break;
    case 5:
        if (!race->members[index].is_member) { /* join; what arrives from now on is held */
            EXPECT_INT(recover_begin(stage->recover, member, &race->members[index].number), 0,
                       "begin");
            race->members[index].is_member = true;
            race->members[index].is_asked = false;
            race->members[index].is_answered = false;
            uint64_t back = (random >> 10) % 20;
            race->members[index].since = race->arrived > back ? race->arrived - back : 0;
            race->members[index].expected = race->members[index].since + 1;
        } else if (!race->members[index].is_asked) { /* the home looks */
            race->members[index].is_asked = true;
            race->members[index].newest = race->published;
        }
        break;
    case 6:
        if (race->members[index].is_member && race->members[index].is_asked &&
            !race->members[index].is_answered) {
            struct gyr_backend_history head = {.epoch = 9, .offset = race->members[index].newest};
            EXPECT(answer(stage, member, race->members[index].number, head,
                          race->members[index].since + 1, &recovery),
                   "answered");
            race->members[index].is_answered = true;
            race_check(stage, race, index);
            EXPECT(recovery.recovered, "recovered");
            EXPECT_INT(recovery.offset, race->members[index].expected - 1, "where it stands");
        }
        break;
    default:
        if (race->members[index].is_member && (random >> 30) % 16 == 0) {
            recover_leave(stage->recover, member);
            race->members[index].is_member = false;
        }
        break;
    }
}

void recover_leaves_no_gap_whatever_arrives_when(void)
{
    static struct race race;
    uint64_t random = 88172645463325252U;
    for (unsigned seed = 0; seed < 20; seed++) {
        memset(&race, 0, sizeof(race));
        struct stage *stage = stage_create(1U << 20);
        for (unsigned step = 0; step < 4000 && race.published - race.arrived < 100; step++) {
            random = random * 6364136223846793005U + 1442695040888963407U;
            race_step(stage, &race, random);
        }
        for (uint32_t i = 0; i < MEMBERS; i++) {
            recover_leave(stage->recover,
                          (struct recover_member){.room_index = 1, .conn_index = i});
        }
        EXPECT_INT(recover_count(stage->recover), 0, "all have left");
        stage_destroy(stage);
    }
}
