/* SPDX-License-Identifier: MIT */
/* Rooms on one core: who is in them, as the public calls say, against a plain model; limits,
 * events, memory that runs out, and that a membership ends before its slot is used again. */
#include "hub/rooms.h"

#include "tests/hub_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>
#include <stdlib.h>

static bool is_in(const struct gyr_conn *conn, const char *room)
{
    return gyr_is_member(conn, hub_kit_span(room));
}

static int join(struct gyr_conn *conn, const char *room)
{
    return gyr_join(conn, hub_kit_span(room));
}

void scenario_101_repeated_joins_are_one_membership(void)
{
    struct hub_kit kit;
    hub_kit_begin(&kit);
    struct gyr_conn *conn = hub_kit_open(&kit);
    int fd = kit.kit.fd;
    for (unsigned i = 0; i < 5; i++) {
        EXPECT_INT(join(conn, "a"), 0, "again");
    }
    EXPECT_INT(gyr_conn_room_count(conn), 1, "one");
    EXPECT_INT(hub_kit_stats(&kit, "a").members, 1, "one there, too");
    EXPECT_INT(kit.core->stats->memberships, 1, "and in the statistics");
    EXPECT_INT(hub_kit_publish(&kit, "a", "x"), 0, "published");
    EXPECT(hub_kit_got(&kit, fd, "x"), "once");
    gyr_leave(conn, GYR_SPAN("a"));
    EXPECT(!is_in(conn, "a"), "one leave ends it");
    gyr_leave(conn, GYR_SPAN("a"));
    EXPECT_INT(kit.core->stats->memberships, 0, "none");
    hub_kit_end(&kit);
}

void scenario_101_the_last_leave_or_end_takes_the_room_along(void)
{
    struct hub_kit kit;
    hub_kit_begin(&kit);
    struct gyr_conn *first = hub_kit_open(&kit);
    int first_fd = kit.kit.fd;
    struct gyr_conn *second = hub_kit_open(&kit);
    EXPECT(join(first, "a") == 0 && join(second, "a") == 0 && join(first, "b") == 0, "joined");
    kit_run(&kit.kit);
    EXPECT(hub_kit_news_are(&kit, "+a+b"), "two rooms");
    gyr_leave(first, GYR_SPAN("a"));
    kit_run(&kit.kit);
    EXPECT(hub_kit_news_are(&kit, ""), "one is left");
    gyr_leave(second, GYR_SPAN("a"));
    EXPECT_INT(registry_count(kit.hub->registry), 1, "gone at once");
    EXPECT(hub_kit_news_are(&kit, ""), "told later");
    kit_run(&kit.kit);
    EXPECT(hub_kit_news_are(&kit, "-a"), "told");
    kit.kit.fd = first_fd;
    kit_reset(&kit.kit);
    kit_run(&kit.kit);
    EXPECT(hub_kit_news_are(&kit, "-b"), "its end is its last leave");
    hub_kit_end(&kit);
}

void rooms_join_refuses_what_cannot_be(void)
{
    char name[GYR_ROOM_NAME_SIZE_MAX + 1] = {0};
    struct hub_kit kit;
    hub_kit_init(&kit);
    kit.kit.config.conn_rooms_max = 3;
    kit.kit.config.rooms_max = 4;
    hub_kit_start(&kit);
    struct gyr_conn *conn = hub_kit_open(&kit);
    struct gyr_conn *other = hub_kit_open(&kit);
    struct gyr_span longest = {name, GYR_ROOM_NAME_SIZE_MAX};
    struct gyr_span longer = {name, GYR_ROOM_NAME_SIZE_MAX + 1};
    EXPECT_INT(gyr_join(conn, longer), GYR_ERR_ARGUMENT, "too long");
    EXPECT(!gyr_is_member(conn, longer), "nor is it one");
    gyr_leave(conn, longer);
    EXPECT_INT(gyr_join(conn, longest), 0, "the longest");
    EXPECT_INT(gyr_join(conn, GYR_SPAN("")), 0, "the shortest");
    EXPECT_INT(join(conn, "c"), 0, "the third");
    EXPECT_INT(join(conn, "d"), GYR_ERR_LIMIT, "one room too many for it");
    EXPECT_INT(join(conn, "c"), 0, "but it is in this one");
    EXPECT_INT(join(other, "d"), 0, "another may");
    EXPECT_INT(join(other, "e"), GYR_ERR_LIMIT, "one too many for the server");
    EXPECT_INT(gyr_conn_room_count(other), 1, "nothing has changed");
    EXPECT_INT(registry_count(kit.hub->registry), 4, "nor there");
    EXPECT_INT(gyr_close(conn, 1000, GYR_SPAN("")), 0, "closing");
    EXPECT_INT(join(conn, "d"), GYR_ERR_CLOSED, "it is closing");
    EXPECT(is_in(conn, "c"), "but is a member still");
    hub_kit_end(&kit);
}

static int join_and_refuse(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)event;
    kit->result = gyr_join(conn, GYR_SPAN("a"));
    return gyr_respond_text(conn, 200, "text/plain", GYR_SPAN("ok"));
}

static int join_and_upgrade(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    kit->result = gyr_join(conn, GYR_SPAN("a"));
    EXPECT_INT(gyr_publish(gyr_conn_core(conn), GYR_SPAN("a"), GYR_TEXT, GYR_SPAN("early")), 0,
               "published before the upgrade");
    return kit_default(kit, conn, event);
}

void rooms_join_before_the_upgrade_queues_behind_the_101(void)
{
    struct hub_kit kit;
    hub_kit_begin(&kit);
    kit.kit.hooks[KIT_REQUEST] = join_and_upgrade;
    kit_connect(&kit.kit);
    KIT_INPUT(&kit.kit, KIT_UPGRADE_WITH(""));
    EXPECT_INT(kit.kit.result, 0, "joined");
    EXPECT_OUTPUT(&kit.kit,
                  KIT_101_WITH("") "\x81\x05"
                                   "early",
                  "behind it");
    EXPECT(is_in(kit_conn(&kit.kit), "a"), "and a member after it");
    hub_kit_end(&kit);
}

void rooms_join_of_a_handshake_that_is_refused_ends_with_it(void)
{
    struct hub_kit kit;
    hub_kit_begin(&kit);
    kit.kit.hooks[KIT_REQUEST] = join_and_refuse;
    kit_connect(&kit.kit);
    KIT_INPUT(&kit.kit, KIT_UPGRADE_WITH(""));
    EXPECT_INT(kit.kit.result, 0, "joined");
    EXPECT(hub_kit_news_are(&kit, "+a-a"), "and left");
    EXPECT_INT(registry_count(kit.hub->registry), 0, "nothing is left");
    kit_forget(&kit.kit);
    KIT_INPUT(&kit.kit, KIT_GET("/"));
    EXPECT_INT(kit.kit.result, GYR_ERR_STATE, "no WebSocket will come of this");
    EXPECT_INT(registry_count(kit.hub->registry), 0, "nothing has changed");
    hub_kit_end(&kit);
}

static int publish_in_close(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)event;
    EXPECT(is_in(conn, "a"), "a member still");
    EXPECT_INT(join(conn, "b"), GYR_ERR_CLOSED, "but of no other any more");
    kit->result = gyr_publish_others(conn, GYR_SPAN("a"), GYR_TEXT, GYR_SPAN("bye"));
    return 0;
}

void rooms_member_publishes_from_its_close(void)
{
    struct hub_kit kit;
    hub_kit_begin(&kit);
    struct gyr_conn *stays = hub_kit_open(&kit);
    int stays_fd = kit.kit.fd;
    struct gyr_conn *goes = hub_kit_open(&kit);
    EXPECT(join(stays, "a") == 0 && join(goes, "a") == 0, "joined");
    kit.kit.hooks[KIT_CLOSE] = publish_in_close;
    kit_reset(&kit.kit);
    kit_run(&kit.kit);
    EXPECT_INT(kit.kit.result, 0, "published");
    EXPECT(hub_kit_got(&kit, stays_fd, "bye"), "to the others");
    EXPECT_INT(hub_kit_stats(&kit, "a").members, 1, "one is left");
    kit.kit.hooks[KIT_CLOSE] = NULL;
    hub_kit_end(&kit);
}

void scenario_106_a_connection_that_ends_has_left_before_its_slot_is_used_again(void)
{
    struct hub_kit kit;
    hub_kit_begin(&kit);
    struct gyr_conn *conn = hub_kit_open(&kit);
    uint32_t index = engine_conn_index(conn);
    char name[16];
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof(name), "room %u", i);
        EXPECT_INT(join(conn, name), 0, name);
    }
    kit.core->members[index].dropped = 7;
    kit_reset(&kit.kit);
    kit_run(&kit.kit);
    EXPECT_INT(registry_count(kit.hub->registry), 0, "it has left all");
    EXPECT_INT(kit.core->stats->memberships, 0, "all of them");
    conn = hub_kit_open(&kit);
    EXPECT_INT(engine_conn_index(conn), index, "the slot is used again");
    EXPECT_INT(gyr_conn_room_count(conn), 0, "by one that is in no room");
    EXPECT_INT(gyr_take_dropped(conn), 0, "and has lost nothing");
    EXPECT_INT(hub_kit_publish(&kit, "room 1", "x"), 0, "published");
    EXPECT(hub_kit_got(&kit, kit.kit.fd, ""), "and gets nothing");
    hub_kit_end(&kit);
}

void rooms_of_a_connection_are_named(void)
{
    struct hub_kit kit;
    hub_kit_begin(&kit);
    struct gyr_conn *conn = hub_kit_open(&kit);
    EXPECT(gyr_conn_room_at(conn, 0).ptr == NULL, "none yet");
    EXPECT(join(conn, "a") == 0 && join(conn, "bb") == 0 && join(conn, "ccc") == 0, "three");
    gyr_leave(conn, GYR_SPAN("a"));
    size_t sizes = 0;
    for (size_t i = 0; i < gyr_conn_room_count(conn); i++) {
        sizes += gyr_conn_room_at(conn, i).size;
    }
    EXPECT_INT(gyr_conn_room_count(conn), 2, "two are left");
    EXPECT_INT(sizes, 5, "these");
    EXPECT(gyr_conn_room_at(conn, 2).ptr == NULL && gyr_conn_room_at(conn, SIZE_MAX).ptr == NULL,
           "none behind the last");
    hub_kit_end(&kit);
}

/* ---- against a model ------------------------------------------------------------------------- */

#define MODEL_CONNS 6U
#define MODEL_ROOMS 300U
#define MODEL_STEPS 60000U

struct model {
    struct hub_kit kit;
    struct gyr_conn *conns[MODEL_CONNS];
    bool in[MODEL_CONNS][MODEL_ROOMS];
    uint32_t dice;
};

static uint32_t roll(struct model *model, uint32_t end)
{
    model->dice = model->dice * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)(model->dice >> 8) * end >> 24);
}

static struct gyr_span model_name(uint32_t room, char text[16])
{
    int size = snprintf(text, 16, "%x", room * 7919);
    return (struct gyr_span){text, (size_t)size};
}

static void model_check(struct model *model)
{
    char text[16];
    size_t sum = 0;
    size_t rooms = 0;
    for (uint32_t k = 0; k < MODEL_ROOMS; k++) {
        size_t members = 0;
        for (uint32_t i = 0; i < MODEL_CONNS; i++) {
            EXPECT(gyr_is_member(model->conns[i], model_name(k, text)) == model->in[i][k], text);
            members += model->in[i][k];
        }
        (void)model_name(k, text);
        EXPECT_INT(hub_kit_stats(&model->kit, text).members, members, text);
        rooms += members != 0;
        sum += members;
    }
    EXPECT_INT(registry_count(model->kit.hub->registry), rooms, "rooms with members, and no other");
    EXPECT_INT(model->kit.core->stats->memberships, sum, "memberships");
}

/* Sometimes more join, sometimes more leave, so that tables grow and shrink. */
void rooms_are_as_a_plain_model_says(void)
{
    char text[16];
    struct model *model = calloc(1, sizeof(*model));
    if (model == NULL) {
        abort();
    }
    model->dice = 1;
    hub_kit_begin(&model->kit);
    for (uint32_t i = 0; i < MODEL_CONNS; i++) {
        model->conns[i] = hub_kit_open(&model->kit);
    }
    for (uint32_t step = 0; step < MODEL_STEPS; step++) {
        uint32_t conn = roll(model, MODEL_CONNS);
        uint32_t room = roll(model, conn < 2 ? 12 : MODEL_ROOMS);
        bool joins = roll(model, 10) < (step / 10000 % 2 == 0 ? 8U : 2U);
        if (joins) {
            EXPECT_INT(gyr_join(model->conns[conn], model_name(room, text)), 0, text);
        } else {
            gyr_leave(model->conns[conn], model_name(room, text));
        }
        model->in[conn][room] = joins;
        if (step % 5000 == 0) {
            model_check(model);
            kit_run(&model->kit.kit);
            model->kit.news.size = 0;
        }
    }
    model_check(model);
    hub_kit_end(&model->kit);
    free(model);
}

/* ---- memory ---------------------------------------------------------------------------------- */

void rooms_join_that_finds_no_memory_changes_nothing(void)
{
    struct hub_kit kit;
    hub_kit_init(&kit);
    kit.kit.config.core_heap_size_max = 4 << 20;
    hub_kit_start(&kit);
    struct gyr_conn *conn = hub_kit_open(&kit);
    struct gyr_conn *other = hub_kit_open(&kit);
    EXPECT(join(other, "b") == 0 && join(other, "c") == 0, "rooms that are there");
    kit_run(&kit.kit);
    unsigned refused = 0;
    for (size_t left = 0; left < 1000; left += 8) {
        uint64_t used = kit.kit.core->layer_size;
        struct fan_ballast ballast = fan_heap_fill(&kit.kit, left);
        int err = join(conn, "a");
        int err_b = join(conn, "b");
        fan_heap_free(&kit.kit, &ballast);
        EXPECT(err == 0 || err == GYR_ERR_MEMORY, "one or the other");
        EXPECT(is_in(conn, "a") == (err == 0) && is_in(conn, "b") == (err_b == 0), "as it said");
        EXPECT_INT(registry_count(kit.hub->registry), 2 + (err == 0), "no room without a member");
        refused += err != 0;
        gyr_leave(conn, GYR_SPAN("a"));
        gyr_leave(conn, GYR_SPAN("b"));
        kit_run(&kit.kit);
        EXPECT_INT(kit.kit.core->layer_size, used, "nothing is kept");
    }
    EXPECT(refused != 0 && refused < 125, "some were, and some were not");
    EXPECT_INT(join(conn, "a"), 0, "now it can");
    hub_kit_end(&kit);
}

void rooms_membership_takes_at_most_32_bytes(void)
{
    enum {
        ROOMS = 2000,
        CONNS = 50
    };
    struct hub_kit kit;
    hub_kit_init(&kit);
    kit.kit.config.rooms_max = ROOMS;
    kit.kit.config.conn_rooms_max = ROOMS;
    kit.kit.service.on_room = NULL;
    hub_kit_start(&kit);
    struct gyr_conn *conns[CONNS];
    char name[16];
    uint64_t before = 0;
    uint64_t most = 0;
    for (unsigned i = 0; i < CONNS; i++) {
        conns[i] = hub_kit_open(&kit);
    }
    struct gyr_conn *first = hub_kit_open(&kit);
    for (unsigned k = 0; k < ROOMS; k++) {
        (void)snprintf(name, sizeof(name), "%u", k);
        EXPECT_INT(join(first, name), 0, name);
    }
    before = kit.kit.core->layer_size;
    for (unsigned i = 0; i < CONNS; i++) {
        for (unsigned k = 0; k < ROOMS; k++) {
            (void)snprintf(name, sizeof(name), "%u", k);
            EXPECT_INT(join(conns[i], name), 0, name);
        }
        if (i >= 9) {
            uint64_t each = (kit.kit.core->layer_size - before) / ((uint64_t)(i + 1) * ROOMS);
            most = MAX(most, each);
        }
    }
    EXPECT(most <= 32, "on average, whenever it is looked at");
    hub_kit_end(&kit);
}
