/* SPDX-License-Identifier: MIT */
/* Publishing to the members on one core: who gets it, what each policy does and counts, and what a
 * receipt says. With several cores: test_publish_cores.c. */
#include "hub/publish.h"

#include "hub/deliver.h"
#include "tests/hub_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdlib.h>

#define MEMBERS 4

/* A core with members of room "a" under one rule. */
struct room_kit {
    struct hub_kit hub;
    struct gyr_room_rule rules[2];
    struct gyr_conn *conns[MEMBERS];
    int fds[MEMBERS];
};

static void begin_with(struct room_kit *kit, enum gyr_room_policy policy, uint32_t queue_size_max)
{
    hub_kit_init(&kit->hub);
    kit->hub.kit.config.send_queue_high = 4096;
    kit->hub.kit.config.send_queue_low = 1024;
    kit->rules[0] = (struct gyr_room_rule){
        .size = sizeof(struct gyr_room_rule),
        .pattern = GYR_LITERAL("a*"),
        .policy = policy,
        .queue_size_max = queue_size_max,
    };
    kit->hub.kit.service.room_rules = kit->rules;
    kit->hub.kit.service.room_rule_count = 1;
    hub_kit_start(&kit->hub);
    for (unsigned i = 0; i < MEMBERS; i++) {
        kit->conns[i] = hub_kit_open(&kit->hub);
        kit->fds[i] = kit->hub.kit.fd;
        EXPECT_INT(gyr_join(kit->conns[i], GYR_SPAN("a")), 0, "joined");
    }
    kit_run(&kit->hub.kit);
}

static void begin(struct room_kit *kit)
{
    begin_with(kit, GYR_ROOM_QUEUE, 0);
}

/* The first member reads nothing from now on. */
static void block(struct room_kit *kit)
{
    kit->hub.kit.fd = kit->fds[0];
    fan_block(&kit->hub.kit);
}

static bool got(struct room_kit *kit, unsigned member, const char *text)
{
    return hub_kit_got(&kit->hub, kit->fds[member], text);
}

static int publish(struct room_kit *kit, const char *payload)
{
    return hub_kit_publish(&kit->hub, "a", payload);
}

/* What the first member gets once it reads again; the others have got `all`. */
static bool outcome_is(struct room_kit *kit, const char *slow, const char *all)
{
    bool is = true;
    for (unsigned i = 1; i < MEMBERS; i++) {
        is = got(kit, i, all) && is;
    }
    kit->hub.kit.fd = kit->fds[0];
    fan_unblock(&kit->hub.kit);
    return got(kit, 0, slow) && is;
}

static int join_of(struct room_kit *kit, unsigned member, const char *room)
{
    return gyr_join(kit->conns[member], hub_kit_span(room));
}

/* ---- who gets it ----------------------------------------------------------------------------- */

void scenario_97_a_broadcast_reaches_the_members_and_nobody_else(void)
{
    struct room_kit kit;
    begin(&kit);
    gyr_leave(kit.conns[3], GYR_SPAN("a"));
    EXPECT_INT(publish(&kit, "all"), 0, "published");
    EXPECT_INT(gyr_publish_others(kit.conns[1], GYR_SPAN("a"), GYR_BINARY, GYR_SPAN("others")), 0,
               "to the others");
    kit_run(&kit.hub.kit);
    EXPECT(got(&kit, 0, "all binary:others"), "both");
    EXPECT(got(&kit, 1, "all"), "not what it has published itself");
    EXPECT(got(&kit, 2, "all binary:others"), "both");
    EXPECT(got(&kit, 3, ""), "it has left");
    struct gyr_room_stats stats = hub_kit_stats(&kit.hub, "a");
    EXPECT(stats.published == 2 && stats.queued == 5, "two messages, five times queued");
    EXPECT_INT(kit.hub.core->stats->room_queued, 5, "in the core's figures, too");
    hub_kit_end(&kit.hub);
}

void scenario_97_an_unknown_or_empty_room_is_a_success_with_nobody(void)
{
    struct room_kit kit;
    begin(&kit);
    EXPECT_INT(hub_kit_publish(&kit.hub, "b", "x"), 0, "never was");
    EXPECT_INT(join_of(&kit, 0, "b"), 0, "joined");
    gyr_leave(kit.conns[0], GYR_SPAN("b"));
    EXPECT_INT(hub_kit_publish(&kit.hub, "b", "x"), 0, "is no more");
    EXPECT_INT(hub_kit_publish(&kit.hub, "", "x"), 0, "nor is the one without a name");
    EXPECT(got(&kit, 0, ""), "nobody got it");
    EXPECT_INT(kit.hub.core->stats->published, 3, "published");
    EXPECT_INT(kit.hub.core->stats->room_queued, 0, "to nobody");
    hub_kit_end(&kit.hub);
}

static struct gyr_publish publish_to(const struct gyr_span *rooms, size_t room_count,
                                     const char *payload)
{
    struct gyr_publish publish = gyr_publish_default();
    publish.rooms = rooms;
    publish.room_count = room_count;
    publish.payload = hub_kit_span(payload);
    return publish;
}

static int publish_with(struct room_kit *kit, const struct gyr_publish *publish)
{
    int err = gyr_publish_with(kit->hub.core->core, publish);
    kit_run(&kit->hub.kit);
    return err;
}

void scenario_97_unknown_exclusions_are_ignored(void)
{
    struct room_kit kit;
    begin(&kit);
    struct gyr_conn *gone = hub_kit_open(&kit.hub);
    struct gyr_handle except[64] = {
        gyr_conn_handle(kit.conns[1]), gyr_conn_handle(gone), {0}, {UINT64_MAX},
        gyr_conn_handle(kit.conns[1]), {0x0007000000000000},
    };
    kit_reset(&kit.hub.kit);
    kit_run(&kit.hub.kit);
    struct gyr_publish publish = publish_to(&GYR_SPAN("a"), 1, "x");
    publish.except = except;
    publish.except_count = COUNT_OF(except);
    EXPECT_INT(publish_with(&kit, &publish), 0, "published");
    EXPECT(got(&kit, 0, "x") && got(&kit, 1, "") && got(&kit, 2, "x"), "all but one");
    for (unsigned i = 0; i < MEMBERS; i++) {
        except[i] = gyr_conn_handle(kit.conns[i]);
    }
    EXPECT_INT(publish_with(&kit, &publish), 0, "to nobody");
    EXPECT(got(&kit, 0, "") && got(&kit, 3, "x"), "all are excluded");
    hub_kit_end(&kit.hub);
}

void publish_to_several_rooms_comes_once(void)
{
    struct room_kit kit;
    begin(&kit);
    EXPECT(join_of(&kit, 0, "b") == 0 && join_of(&kit, 1, "c") == 0, "joined");
    gyr_leave(kit.conns[3], GYR_SPAN("a"));
    const struct gyr_span rooms[] = {GYR_LITERAL("c"), GYR_LITERAL("b"), GYR_LITERAL("none"),
                                     GYR_LITERAL("a"), GYR_LITERAL("b"), GYR_LITERAL("a")};
    struct gyr_publish publish = publish_to(rooms, COUNT_OF(rooms), "x");
    EXPECT_INT(publish_with(&kit, &publish), 0, "published");
    EXPECT(got(&kit, 0, "x") && got(&kit, 1, "x") && got(&kit, 2, "x") && got(&kit, 3, ""),
           "once each");
    EXPECT(hub_kit_stats(&kit.hub, "a").queued == 1 && hub_kit_stats(&kit.hub, "b").queued == 1 &&
               hub_kit_stats(&kit.hub, "c").queued == 1,
           "with the first room that it is in");
    EXPECT_INT(hub_kit_stats(&kit.hub, "a").published, 1, "once there, too");
    publish.room_count = 3;
    EXPECT_INT(publish_with(&kit, &publish), 0, "published");
    EXPECT(got(&kit, 0, "x") && got(&kit, 1, "x") && got(&kit, 2, ""), "members of b and c");
    hub_kit_end(&kit.hub);
}

void publish_to_all_reaches_every_open_websocket(void)
{
    struct room_kit kit;
    begin(&kit);
    kit_connect(&kit.hub.kit); /* HTTP, and nothing else */
    int http_fd = kit.hub.kit.fd;
    for (unsigned i = 0; i < MEMBERS; i++) {
        gyr_leave(kit.conns[i], GYR_SPAN("a"));
    }
    struct gyr_handle except = gyr_conn_handle(kit.conns[2]);
    struct gyr_publish publish = publish_to(NULL, 0, "x");
    publish.except = &except;
    publish.except_count = 1;
    EXPECT_INT(publish_with(&kit, &publish), 0, "published");
    EXPECT(got(&kit, 0, "x") && got(&kit, 1, "x") && got(&kit, 2, "") && got(&kit, 3, "x"),
           "all but one");
    kit.hub.kit.fd = http_fd;
    EXPECT_OUTPUT(&kit.hub.kit, "", "and no HTTP connection");
    hub_kit_end(&kit.hub);
}

static int publish_and_send(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)event;
    (void)kit;
    EXPECT_INT(gyr_send(conn, GYR_TEXT, GYR_SPAN("1")), 0, "before");
    EXPECT_INT(gyr_publish(gyr_conn_core(conn), GYR_SPAN("a"), GYR_TEXT, GYR_SPAN("2")), 0, "it");
    return gyr_send(conn, GYR_TEXT, GYR_SPAN("3"));
}

void publish_is_queued_when_it_returns(void)
{
    struct room_kit kit;
    begin(&kit);
    kit.hub.kit.hooks[KIT_MESSAGE] = publish_and_send;
    kit.hub.kit.fd = kit.fds[1];
    KIT_FRAME(&kit.hub.kit, 0x81, "go");
    EXPECT(got(&kit, 1, "1 2 3"), "in the order of the calls");
    EXPECT(got(&kit, 0, "2"), "and to the others");
    hub_kit_end(&kit.hub);
}

/* A service that lets everybody leave when memory runs out. */
static struct {
    struct gyr_conn *conns[3];
    bool within; /* a call of its own */
    unsigned calls;
} relief;

static void on_trouble(struct gyr_core *core, int err, uint64_t count)
{
    (void)core;
    (void)count;
    EXPECT_INT(err, GYR_ERR_MEMORY, "told of memory");
    EXPECT(!relief.within, "not before the call has returned");
    relief.calls++;
    for (unsigned i = 0; i < COUNT_OF(relief.conns); i++) {
        gyr_leave(relief.conns[i], GYR_SPAN("a"));
    }
}

void publish_without_memory_is_told_behind_it(void)
{
    static char large[65536];
    struct hub_kit kit;
    memset(&relief, 0, sizeof(relief));
    hub_kit_init(&kit);
    kit.kit.config.core_heap_size_max = 65536;
    kit.kit.service.on_trouble = on_trouble;
    hub_kit_start(&kit);
    for (unsigned i = 0; i < COUNT_OF(relief.conns); i++) {
        relief.conns[i] = hub_kit_open(&kit);
        EXPECT_INT(gyr_join(relief.conns[i], GYR_SPAN("a")), 0, "joined");
    }
    relief.within = true;
    EXPECT_INT(gyr_publish(kit.core->core, GYR_SPAN("a"), GYR_BINARY,
                           (struct gyr_span){large, sizeof(large)}),
               0, "published");
    relief.within = false;
    EXPECT_INT(hub_kit_stats(&kit, "a").dropped_memory, 3, "to nobody");
    kit_run(&kit.kit);
    EXPECT_INT(relief.calls, 1, "told once");
    EXPECT_INT(registry_count(kit.hub->registry), 0, "everybody has left");
    hub_kit_end(&kit);
}

/* What a core finds in the ring may be meant for a room that it had earlier. */
void publish_reaches_the_life_of_a_room_that_it_was_made_for(void)
{
    struct room_kit kit;
    begin(&kit);
    struct hub_core *core = kit.hub.core;
    struct room *room = rooms_find(core, GYR_SPAN("a"), hub_hash(kit.hub.hub, GYR_SPAN("a")));
    room->floor = 10;
    struct parcel_room places[] = {
        {room->index, room->generation, 9},          {room->index, room->generation + 2, 10},
        {room->index, room->generation - 2, 10},     {room->index + 1, room->generation, 10},
        {room->index, room->generation, UINT64_MAX}, {room->index, room->generation, 10},
    };
    for (unsigned i = 0; i < COUNT_OF(places); i++) {
        struct parcel parcel = {
            .opcode = GYR_TEXT,
            .payload = GYR_SPAN("x"),
            .rooms = &places[i],
            .room_count = 1,
        };
        deliver_here(core, &parcel);
        kit_run(&kit.hub.kit);
        EXPECT(got(&kit, 0, i < 4 ? "" : "x"), "this life, and not before it was there");
    }
    room->floor = 0;
    hub_kit_end(&kit.hub);
}

void publish_refuses_what_cannot_be(void)
{
    static const char LONG[GYR_ROOM_NAME_SIZE_MAX + 1];
    static struct gyr_span rooms[65];
    static struct gyr_handle except[65];
    struct room_kit kit;
    begin(&kit);
    const struct gyr_publish good = publish_to(&GYR_SPAN("a"), 1, "x");
    struct gyr_publish bad[10];
    for (unsigned i = 0; i < COUNT_OF(bad); i++) {
        bad[i] = good;
    }
    bad[0].rooms = &(struct gyr_span){LONG, sizeof(LONG)};
    bad[1].rooms = rooms;
    bad[1].room_count = COUNT_OF(rooms);
    bad[2].except = except;
    bad[2].except_count = COUNT_OF(except);
    bad[3].key = (struct gyr_span){LONG, 256};
    bad[4].errors_max = PUBLISH_ERRORS_MAX + 1;
    bad[5].opcode = (enum gyr_opcode)0;
    bad[6].opcode = (enum gyr_opcode)8;
    bad[7].payload.size = (size_t)INT32_MAX + 1;
    bad[8].payload.size = kit.hub.kit.config.broadcast_size_max;
    bad[9].done = (void (*)(struct gyr_core *, void *, const struct gyr_published *))abort;
    bad[9].done_core_index = 1;
    for (unsigned i = 0; i < COUNT_OF(bad); i++) {
        EXPECT_INT(publish_with(&kit, &bad[i]), GYR_ERR_ARGUMENT, "refused");
    }
    EXPECT_INT(gyr_publish(kit.hub.core->core, *bad[0].rooms, GYR_TEXT, GYR_SPAN("")),
               GYR_ERR_ARGUMENT, "here, too");
    EXPECT(got(&kit, 0, ""), "nobody got anything");
    EXPECT_INT(kit.hub.core->stats->published, 0, "nor was it counted");
    EXPECT_INT(publish_with(&kit, &good), 0, "this can");
    EXPECT(got(&kit, 0, "x"), "and is there");
    hub_kit_end(&kit.hub);
}

/* ---- policies -------------------------------------------------------------------------------- */

/* What the first member, which reads nothing, has queued with fan_block is 3 bytes; each message of
 * these tests, 996 times a digit, takes 1000 more. */
#define QUEUE_SIZE 3003

static int publish_key(struct room_kit *kit, const char *key, char digit)
{
    char payload[996];
    memset(payload, digit, sizeof(payload));
    struct gyr_publish publish = publish_to(&GYR_SPAN("a"), 1, "");
    publish.payload = (struct gyr_span){payload, sizeof(payload)};
    publish.key = hub_kit_span(key);
    return publish_with(kit, &publish);
}

void scenario_108_a_full_queue_drops_and_says_so(void)
{
    struct room_kit kit;
    hub_kit_init(&kit.hub);
    kit.hub.kit.config.send_queue_size_max = 4096;
    kit.hub.kit.config.send_queue_high = 4096;
    kit.hub.kit.config.send_queue_low = 1024;
    hub_kit_start(&kit.hub);
    static const char LARGE[1500] = "L";
    for (unsigned i = 0; i < MEMBERS; i++) {
        kit.conns[i] = hub_kit_open(&kit.hub);
        kit.fds[i] = kit.hub.kit.fd;
        EXPECT_INT(join_of(&kit, i, "a"), 0, "joined");
    }
    block(&kit);
    for (unsigned i = 0; i < 4; i++) {
        EXPECT_INT(gyr_publish(kit.hub.core->core, GYR_SPAN("a"), GYR_TEXT,
                               (struct gyr_span){LARGE, sizeof(LARGE)}),
                   0, "published");
        kit_run(&kit.hub.kit);
    }
    EXPECT_INT(gyr_queued_size(kit.conns[0]), 3 + 2 * 1504, "two of them, and no more");
    struct gyr_room_stats stats = hub_kit_stats(&kit.hub, "a");
    EXPECT(stats.queued == 14 && stats.dropped_full == 2, "two were dropped");
    EXPECT_INT(kit.hub.core->stats->room_dropped, 2, "in the core's figures, too");
    kit.hub.kit.counts[KIT_DRAIN] = 0;
    EXPECT(outcome_is(&kit, "x L*1500 L*1500", "L*1500 L*1500 L*1500 L*1500"), "the first two");
    EXPECT_INT(kit.hub.kit.counts[KIT_DRAIN], 1, "it is told");
    EXPECT_INT(gyr_take_dropped(kit.conns[0]), 2, "how many");
    EXPECT_INT(gyr_take_dropped(kit.conns[0]), 0, "once");
    EXPECT_INT(gyr_take_dropped(kit.conns[1]), 0, "only it");
    hub_kit_end(&kit.hub);
}

/* Publish 1 to 6 while the first member has room for three. */
static void publish_six(struct room_kit *kit, enum gyr_room_policy policy)
{
    begin_with(kit, policy, QUEUE_SIZE);
    block(kit);
    for (char digit = '1'; digit <= '6'; digit++) {
        EXPECT_INT(publish_key(kit, "", digit), 0, "published");
        EXPECT(gyr_queued_size(kit->conns[0]) <= QUEUE_SIZE, "never more than the limit");
    }
}

void scenario_108_drop_newest_keeps_what_came_first(void)
{
    struct room_kit kit;
    publish_six(&kit, GYR_ROOM_DROP_NEWEST);
    struct gyr_room_stats stats = hub_kit_stats(&kit.hub, "a");
    EXPECT(stats.dropped_newest == 3 && stats.queued == 21, "counted");
    kit.hub.kit.counts[KIT_DRAIN] = 0;
    EXPECT(outcome_is(&kit, "x 1*996 2*996 3*996", "1*996 2*996 3*996 4*996 5*996 6*996"),
           "the first three");
    EXPECT_INT(gyr_take_dropped(kit.conns[0]), 3, "and told");
    EXPECT_INT(kit.hub.kit.counts[KIT_DRAIN], 1, "by on_drain");
    hub_kit_end(&kit.hub);
}

void scenario_108_drop_oldest_keeps_what_came_last(void)
{
    struct room_kit kit;
    publish_six(&kit, GYR_ROOM_DROP_OLDEST);
    struct gyr_room_stats stats = hub_kit_stats(&kit.hub, "a");
    EXPECT(stats.dropped_oldest == 3 && stats.queued == 24, "counted");
    EXPECT_INT(kit.hub.core->stats->room_dropped, 3, "in the core's figures, too");
    kit.hub.kit.counts[KIT_DRAIN] = 0;
    EXPECT(outcome_is(&kit, "x 4*996 5*996 6*996", "1*996 2*996 3*996 4*996 5*996 6*996"),
           "the last three");
    EXPECT_INT(gyr_take_dropped(kit.conns[0]), 3, "and told");
    EXPECT_INT(kit.hub.kit.counts[KIT_DRAIN], 1, "by on_drain");
    hub_kit_end(&kit.hub);
}

void scenario_108_close_ends_the_slow_with_1013(void)
{
    struct room_kit kit;
    publish_six(&kit, GYR_ROOM_CLOSE);
    struct gyr_room_stats stats = hub_kit_stats(&kit.hub, "a");
    EXPECT_INT(stats.closed_slow, 1, "one was closed");
    EXPECT_INT(stats.dropped_close, 4, "what it had, and what it was to get");
    EXPECT_INT(kit.hub.core->stats->room_closed, 1, "in the core's figures, too");
    EXPECT(outcome_is(&kit, "x close:1013", "1*996 2*996 3*996 4*996 5*996 6*996"),
           "1013, and no more");
    hub_kit_end(&kit.hub);
}

void scenario_108_conflation_keeps_the_newest_of_each_key(void)
{
    struct room_kit kit;
    begin_with(&kit, GYR_ROOM_CONFLATE, QUEUE_SIZE);
    block(&kit);
    for (unsigned i = 0; i < 5; i++) {
        EXPECT_INT(publish_key(&kit, "p", (char)('1' + i)), 0, "one price");
        EXPECT_INT(publish_key(&kit, "q", (char)('1' + i)), 0, "another");
    }
    EXPECT_INT(publish_key(&kit, "", 'n'), 0, "a key of no size is one");
    EXPECT_INT(publish_key(&kit, "r", 'm'), 0, "one key too many");
    struct gyr_room_stats stats = hub_kit_stats(&kit.hub, "a");
    EXPECT(stats.conflated == 8 && stats.dropped_newest == 1, "counted");
    EXPECT(outcome_is(&kit, "x 5*996 5*996 n*996",
                      "1*996 1*996 2*996 2*996 3*996 3*996 4*996 4*996 5*996 5*996 n*996 m*996"),
           "the newest of each");
    EXPECT_INT(gyr_take_dropped(kit.conns[0]), 9, "and told");
    hub_kit_end(&kit.hub);
}

void publish_rule_that_fits_first_holds(void)
{
    struct hub_kit kit;
    static const struct gyr_room_rule RULES[] = {
        {sizeof(RULES[0]), GYR_LITERAL("ab"), GYR_ROOM_CLOSE, 0, 0, 0, false},
        {sizeof(RULES[0]), GYR_LITERAL("a*"), GYR_ROOM_DROP_NEWEST, 0, 0, 0, false},
        {sizeof(RULES[0]), GYR_LITERAL(""), GYR_ROOM_DROP_OLDEST, 0, 0, 0, false},
        {sizeof(RULES[0]), GYR_LITERAL("b**"), GYR_ROOM_CONFLATE, 0, 0, 0, false},
    };
    hub_kit_init(&kit);
    kit.kit.service.room_rules = RULES;
    kit.kit.service.room_rule_count = COUNT_OF(RULES);
    hub_kit_start(&kit);
    static const struct {
        const char *name;
        int rule; /* -1: none */
    } ROWS[] = {{"ab", 0},  {"a", 1},  {"abc", 1}, {"aa", 1}, {"", 2},     {"b", -1},
                {"bx", -1}, {"b*", 3}, {"b*x", 3}, {"c", -1}, {"xab", -1}, {"A", -1}};
    for (unsigned i = 0; i < COUNT_OF(ROWS); i++) {
        const struct gyr_room_rule *rule = hub_rule(kit.hub, hub_kit_span(ROWS[i].name));
        EXPECT_INT(rule == NULL ? -1 : rule - kit.hub->rules, ROWS[i].rule, ROWS[i].name);
    }
    hub_kit_end(&kit);
}

static bool create_fails(const struct gyr_room_rule *rules, size_t count, const char *text)
{
    struct gyr_config config = gyr_config_default();
    struct gyr_service service = {
        .size = sizeof(service), .room_rules = rules, .room_rule_count = count};
    struct gyr_server *server;
    struct gyr_error error = {""};
    int err = gyr_server_create(&config, &service, &server, &error);
    if (err == 0) {
        gyr_server_destroy(server);
    }
    return err < 0 && strstr(error.text, text) != NULL;
}

void publish_rules_that_cannot_be_are_refused_at_creation(void)
{
    static const char LONG[GYR_ROOM_NAME_SIZE_MAX + 2];
    struct gyr_room_rule rules[2] = {
        {.size = sizeof(rules[0]), .pattern = GYR_LITERAL("a")},
        {.size = sizeof(rules[0]), .pattern = GYR_LITERAL("b")},
    };
    EXPECT(!create_fails(rules, 2, ""), "these are good");
    rules[1].size = 1;
    EXPECT(create_fails(rules, 2, "room_rules[1]: size = 1"), "the size");
    rules[1].size = sizeof(rules[1]);
    rules[1].policy = (enum gyr_room_policy)(GYR_ROOM_CLOSE + 1);
    EXPECT(create_fails(rules, 2, "room_rules[1] (\"b\"): policy = 5"), "the policy");
    rules[1].policy = GYR_ROOM_QUEUE;
    rules[1].queue_size_max = 1;
    EXPECT(create_fails(rules, 2, "(\"b\"): queue_size_max = 1"), "a limit of its own");
    rules[1].queue_size_max = 0;
    rules[1].pattern = (struct gyr_span){LONG, sizeof(LONG)};
    EXPECT(create_fails(rules, 2, "a pattern of 257 bytes"), "a pattern that is too long");
    rules[1].pattern.size = GYR_ROOM_NAME_SIZE_MAX + 1;
    EXPECT(create_fails(rules, 2, "a pattern of 256 bytes"), "and has no '*'");
}
