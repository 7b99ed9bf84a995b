/* SPDX-License-Identifier: MIT */
/* Presence: who is in a room, against a plain model, at its bound, and among threads. */
#include "hub/presence.h"

#include "engine/memory.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define MEGABYTE (1U << 20)

static const uint8_t secret[16] = "a secret of 16 b";

static struct presence *make(size_t size_max)
{
    struct presence *presence = presence_create(secret, size_max);
    if (presence == NULL) {
        abort();
    }
    return presence;
}

static struct gyr_span text_span(const char *text)
{
    return (struct gyr_span){.ptr = text, .size = strlen(text)};
}

static int span_order(const void *a, const void *b)
{
    const struct gyr_span *first = a;
    const struct gyr_span *second = b;
    int order = memcmp(first->ptr, second->ptr, MIN(first->size, second->size));
    return order != 0 ? order : (first->size > second->size) - (first->size < second->size);
}

/* "a b c": the ids in their order. */
static const char *list(struct presence *presence, const char *room)
{
    static char text[4096];
    struct presence_ids *ids = NULL;
    EXPECT_INT(presence_list(presence, text_span(room), &ids), 0, room);
    qsort(ids->ids, ids->count, sizeof(ids->ids[0]), span_order);
    size_t size = 0;
    text[0] = '\0';
    for (size_t i = 0; i < ids->count; i++) {
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%.*s", i > 0 ? " " : "",
                                 (int)ids->ids[i].size, ids->ids[i].ptr);
    }
    memory_free(ids);
    return text;
}

#define EXPECT_LIST(presence, room, expected, why) \
    EXPECT(strcmp(list(presence, room), expected) == 0, why)

void presence_knows_who_is_in_which_room(void)
{
    struct presence *presence = make(MEGABYTE);
    EXPECT_LIST(presence, "r", "", "nobody yet");
    EXPECT_INT(presence_add(presence, text_span("r"), text_span("ada")), 0, "first");
    EXPECT_INT(presence_add(presence, text_span("r"), text_span("bob")), 0, "second");
    EXPECT_INT(presence_add(presence, text_span("s"), text_span("ada")), 0, "in another room");
    EXPECT_INT(presence_add(presence, text_span(""), text_span("ada")), 0, "in one without name");
    EXPECT_INT(presence_add(presence, text_span("r"), text_span("ada")), GYR_ERR_EXISTS, "again");
    EXPECT_LIST(presence, "r", "ada bob", "both, once");
    EXPECT_LIST(presence, "s", "ada", "one");
    EXPECT_LIST(presence, "", "ada", "one");
    EXPECT_LIST(presence, "rr", "", "another name");
    presence_remove(presence, text_span("r"), text_span("ada"));
    EXPECT_LIST(presence, "r", "bob", "the other");
    EXPECT_LIST(presence, "s", "ada", "it is still there");
    presence_destroy(presence);
    presence_destroy(NULL);
}

void presence_remove_of_nobody_changes_nothing(void)
{
    struct presence *presence = make(MEGABYTE);
    presence_remove(presence, text_span("r"), text_span("ada"));
    EXPECT_INT(presence_add(presence, text_span("r"), text_span("ada")), 0, "add");
    presence_remove(presence, text_span("r"), text_span("ad"));
    presence_remove(presence, text_span("r"), text_span("adaa"));
    presence_remove(presence, text_span("ra"), text_span("da"));
    presence_remove(presence, text_span(""), text_span("ada"));
    EXPECT_LIST(presence, "r", "ada", "it is there");
    presence_remove(presence, text_span("r"), text_span("ada"));
    presence_remove(presence, text_span("r"), text_span("ada"));
    EXPECT_LIST(presence, "r", "", "it is gone");
    presence_destroy(presence);
}

void presence_holds_its_bound(void)
{
    struct presence *presence = make(8192);
    char id[16];
    unsigned count = 0;
    for (int err = 0; err == 0; count += err == 0) {
        (void)snprintf(id, sizeof(id), "%u", count);
        err = presence_add(presence, text_span("r"), text_span(id));
        EXPECT(err == 0 || err == GYR_ERR_MEMORY, "add");
        EXPECT(presence_size(presence) <= 8192, "never over");
    }
    EXPECT(count > 20, "some have fitted");
    size_t size = presence_size(presence);
    EXPECT_INT(presence_add(presence, text_span("r"), text_span(id)), GYR_ERR_MEMORY, "again");
    EXPECT_INT(presence_size(presence), size, "what failed has changed nothing");
    presence_remove(presence, text_span("r"), text_span("0"));
    EXPECT_INT(presence_add(presence, text_span("r"), text_span("x")), 0, "in its place");
    presence_destroy(presence);
    for (size_t tight = 0; tight < 400; tight++) {
        presence = make(tight);
        int err = presence_add(presence, text_span("r"), text_span("ada"));
        EXPECT(err == 0 || err == GYR_ERR_MEMORY, "add");
        EXPECT_LIST(presence, "r", err == 0 ? "ada" : "", "all or nothing");
        EXPECT(err == 0 || presence_size(presence) <= tight, "never over");
        presence_remove(presence, text_span("r"), text_span("ada"));
        presence_destroy(presence);
    }
}

void presence_agrees_with_a_plain_model(void)
{
    enum {
        ROOMS = 40,
        IDS = 60
    };
    static bool present[ROOMS][IDS];
    memset(present, 0, sizeof(present));
    struct presence *presence = make(MEGABYTE);
    uint64_t random = 88172645463325252U;
    for (unsigned step = 0; step < 40000; step++) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        unsigned room = (unsigned)(random >> 33) % ROOMS;
        unsigned id = (unsigned)(random >> 20) % IDS;
        char room_name[16];
        char id_name[16];
        (void)snprintf(room_name, sizeof(room_name), "room %u", room);
        (void)snprintf(id_name, sizeof(id_name), "%02u", id);
        if ((random >> 50) % 2 == 0) {
            EXPECT_INT(presence_add(presence, text_span(room_name), text_span(id_name)),
                       present[room][id] ? GYR_ERR_EXISTS : 0, "add");
            present[room][id] = true;
        } else {
            presence_remove(presence, text_span(room_name), text_span(id_name));
            present[room][id] = false;
        }
        if (step % 100 == 0) {
            char expected[4 * IDS] = "";
            size_t size = 0;
            for (unsigned i = 0; i < IDS; i++) {
                if (present[room][i]) {
                    size += (size_t)snprintf(expected + size, sizeof(expected) - size, "%s%02u",
                                             size > 0 ? " " : "", i);
                }
            }
            EXPECT_LIST(presence, room_name, expected, room_name);
        }
    }
    presence_destroy(presence);
}

/* ---- threads ---- */

#define THREADS 4

struct worker {
    struct presence *presence;
    unsigned number;
    unsigned wrong;
    pthread_t thread;
};

/* Each adds and removes ids of its own in a room of all, and looks: its own must be right. */
static void *work(void *arg)
{
    struct worker *worker = arg;
    for (unsigned step = 0; step < 2000; step++) {
        char id[32];
        (void)snprintf(id, sizeof(id), "%u of %u", step % 8, worker->number);
        worker->wrong += presence_add(worker->presence, text_span("all"), text_span(id)) != 0;
        struct presence_ids *ids = NULL;
        if (step % 8 != 7) {
            continue;
        }
        worker->wrong += presence_list(worker->presence, text_span("all"), &ids) != 0;
        unsigned own = 0;
        for (size_t i = 0; i < ids->count; i++) {
            own += ids->ids[i].ptr[ids->ids[i].size - 1] == (char)('0' + worker->number);
        }
        worker->wrong += own != 8;
        memory_free(ids);
        for (unsigned i = 0; i < 8; i++) {
            (void)snprintf(id, sizeof(id), "%u of %u", i, worker->number);
            presence_remove(worker->presence, text_span("all"), text_span(id));
        }
    }
    return NULL;
}

void presence_is_right_among_threads(void)
{
    struct presence *presence = make(MEGABYTE);
    struct worker workers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.presence = presence, .number = i};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) {
            abort();
        }
    }
    for (unsigned i = 0; i < THREADS; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        EXPECT_INT(workers[i].wrong, 0, "nothing wrong was seen");
    }
    EXPECT_LIST(presence, "all", "", "all have left");
    presence_destroy(presence);
}
