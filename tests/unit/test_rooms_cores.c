/* SPDX-License-Identifier: MIT */
/* Joining, leaving and ending on two cores and real sockets, while others publish. */
#include "hub/rooms.h"

#include "hub/hub.h"
#include "tests/crowd_kit.h"
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define CLIENTS 4U
#define ROOM    GYR_SPAN("lobby")

struct place {
    struct crowd crowd;
    struct crowd_client clients[CLIENTS]; /* every other one on core 1 */
    /* Events of the room "lobby". */
    _Atomic unsigned created;
    _Atomic unsigned emptied;
    /* A thread that publishes numbers, one after the other. */
    pthread_t publisher;
    _Atomic unsigned started;
    _Atomic unsigned finished;
    _Atomic bool stops;
};

static struct place *place_of(const struct gyr_core *core)
{
    return CONTAINER_OF((struct crowd *)gyr_server_user(gyr_core_server(core)), struct place,
                        crowd);
}

static void on_room(struct gyr_core *core, struct gyr_span room, enum gyr_room_event event,
                    uint64_t event_number)
{
    struct place *place = place_of(core);
    EXPECT(event_number != 0, "they are numbered");
    if (room.size == ROOM.size && memcmp(room.ptr, ROOM.ptr, room.size) == 0) {
        atomic_fetch_add(event == GYR_ROOM_CREATED ? &place->created : &place->emptied, 1);
    }
}

static bool place_init(struct place *place)
{
    memset(place, 0, sizeof(*place));
    if (!crowd_init(&place->crowd)) {
        return false;
    }
    place->crowd.service.on_room = on_room;
    place->crowd.config.conn_rooms_max = 2000;
    return true;
}

static void place_start(struct place *place, const char *room)
{
    crowd_start(&place->crowd);
    for (unsigned i = 0; i < CLIENTS; i++) {
        crowd_connect_on(&place->crowd, &place->clients[i], i % 2, "", room);
    }
}

static void publish_on(struct gyr_core *core, void *arg)
{
    const char *text = arg;
    EXPECT_INT(gyr_publish(core, ROOM, GYR_TEXT, (struct gyr_span){text, strlen(text)}), 0, text);
}

static void publish(struct place *place, unsigned core, char *text)
{
    crowd_run_core(&place->crowd, core, publish_on, text);
}

static void join_on(struct gyr_conn *conn, void *arg)
{
    (void)arg;
    EXPECT_INT(gyr_join(conn, ROOM), 0, "joined");
}

static void leave_on(struct gyr_conn *conn, void *arg)
{
    (void)arg;
    gyr_leave(conn, ROOM);
}

static void say_on(struct gyr_conn *conn, void *arg)
{
    const char *text = arg;
    EXPECT_INT(gyr_send(conn, GYR_TEXT, (struct gyr_span){text, strlen(text)}), 0, "said");
}

static uint64_t members_of(struct place *place)
{
    struct gyr_room_stats stats;
    int err = gyr_room_stats(place->crowd.server, ROOM, &stats, sizeof(stats));
    EXPECT(err == (stats.members != 0 ? 0 : GYR_ERR_NOT_FOUND), "a room has members");
    return stats.members;
}

static bool run(struct place *place, unsigned client, void (*fn)(struct gyr_conn *, void *),
                void *arg)
{
    return crowd_run(&place->crowd, place->clients[client].handle, fn, arg);
}

/* ---- joining and leaving --------------------------------------------------------------------- */

static char TEXT_ONE[] = "one";
static char TEXT_TWO[] = "two";
static char TEXT_END[] = "end";

static bool has_emptied_once(void *arg)
{
    return atomic_load(&((struct place *)arg)->emptied) == 1;
}

void scenario_101_on_two_cores_repeated_joins_are_one_membership(void)
{
    struct place place;
    if (!place_init(&place)) {
        return;
    }
    place_start(&place, "");
    for (unsigned i = 0; i < CLIENTS * 3; i++) {
        EXPECT(run(&place, i % CLIENTS, join_on, NULL), "again");
    }
    EXPECT_INT(members_of(&place), CLIENTS, "one each");
    publish(&place, 0, TEXT_ONE);
    for (unsigned i = 0; i < CLIENTS; i++) {
        EXPECT(run(&place, i, say_on, TEXT_TWO), "said");
        EXPECT(crowd_reads(&place.clients[i], "one") && crowd_reads(&place.clients[i], "two"),
               "once each");
        EXPECT(run(&place, i, leave_on, NULL) && run(&place, i, leave_on, NULL), "left, twice");
        EXPECT_INT(members_of(&place), CLIENTS - 1 - i, "one leave ends it");
        EXPECT_INT(atomic_load(&place.created), 1, "one room on both cores");
    }
    crowd_until(has_emptied_once, &place);
    EXPECT_INT(registry_count(hub_of_server(place.crowd.server)->registry), 0, "it is gone");
    publish(&place, 1, TEXT_ONE);
    for (unsigned i = 0; i < CLIENTS; i++) {
        EXPECT(run(&place, i, say_on, TEXT_END) && crowd_reads(&place.clients[i], "end"),
               "nobody is in it");
    }
    crowd_end(&place.crowd);
}

/* ---- the end of a connection ----------------------------------------------------------------- */

static void index_of(struct gyr_conn *conn, void *arg)
{
    *(uint32_t *)arg = conn != NULL ? engine_conn_index(conn) : UINT32_MAX;
}

static void rooms_of(struct gyr_conn *conn, void *arg)
{
    *(size_t *)arg = conn != NULL ? gyr_conn_room_count(conn) : SIZE_MAX;
}

/* Resets its connection, and comes back, in no room, until it has the same place on core 1. */
static void come_again(struct place *place, struct crowd_client *client)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    uint32_t index = 0;
    uint32_t again = UINT32_MAX;
    EXPECT(crowd_run(&place->crowd, client->handle, index_of, &index), "its place");
    EXPECT_INT(setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0, "reset");
    crowd_leave(client);
    crowd_until_ended(&place->crowd, client->handle);
    for (unsigned i = 0; i < 100 && again != index; i++) {
        crowd_connect_on(&place->crowd, client, 1, "user", "");
        EXPECT(crowd_run(&place->crowd, client->handle, index_of, &again), "its place");
        if (again != index) {
            crowd_leave(client);
            crowd_until_ended(&place->crowd, client->handle);
        }
    }
    EXPECT_INT(again, index, "the place is used again");
}

void scenario_106_on_two_cores_who_breaks_off_has_left_before_its_place_is_used_again(void)
{
    struct place place;
    struct crowd_client client;
    if (!place_init(&place)) {
        return;
    }
    place_start(&place, "lobby");
    crowd_connect_on(&place.crowd, &client, 1, "user", "lobby");
    for (unsigned round = 0; round < 10; round++) {
        size_t rooms = 1;
        EXPECT_INT(members_of(&place), CLIENTS + 1, "it is in the room");
        come_again(&place, &client);
        EXPECT_INT(members_of(&place), CLIENTS, "it has left");
        EXPECT(crowd_run(&place.crowd, client.handle, rooms_of, &rooms) && rooms == 0, "all");
        publish(&place, round % 2, TEXT_ONE);
        for (unsigned i = 0; i < CLIENTS; i++) {
            EXPECT(crowd_reads(&place.clients[i], "one"), "the others have it");
        }
        EXPECT(crowd_run(&place.crowd, client.handle, say_on, TEXT_TWO), "said");
        EXPECT(crowd_reads(&client, "two"), "and nothing before that");
        EXPECT(crowd_run(&place.crowd, client.handle, join_on, NULL), "it comes back");
    }
    crowd_end(&place.crowd);
}

static void publish_in_close(struct gyr_conn *conn, uint16_t close_code, struct gyr_span reason)
{
    (void)close_code;
    (void)reason;
    if (gyr_is_member(conn, ROOM)) { /* some are not, which only looked for a core */
        int err = gyr_publish_others(conn, ROOM, GYR_TEXT, GYR_SPAN("bye"));
        EXPECT_INT(err, 0, "published");
        EXPECT_INT(gyr_join(conn, GYR_SPAN("other")), GYR_ERR_CLOSED, "in no other any more");
    }
}

void rooms_members_publish_from_on_close_to_those_on_both_cores(void)
{
    struct place place;
    if (!place_init(&place)) {
        return;
    }
    place.crowd.service.on_close = publish_in_close;
    place_start(&place, "");
    for (unsigned i = 0; i < CLIENTS; i++) {
        EXPECT(run(&place, i, join_on, NULL), "joined");
    }
    for (unsigned i = 0; i < 2; i++) {
        crowd_leave(&place.clients[i]); /* one on each core, at the same time */
    }
    for (unsigned i = 0; i < 2; i++) {
        crowd_until_ended(&place.crowd, place.clients[i].handle);
    }
    for (unsigned i = 2; i < CLIENTS; i++) {
        EXPECT(crowd_reads(&place.clients[i], "bye") && crowd_reads(&place.clients[i], "bye"),
               "both");
    }
    EXPECT_INT(members_of(&place), 2, "two are left");
    publish(&place, 0, TEXT_END);
    for (unsigned i = 2; i < CLIENTS; i++) {
        EXPECT(crowd_reads(&place.clients[i], "end"), "once each");
    }
    crowd_end(&place.crowd); /* all at once, while their cores end */
}

/* ---- while others publish -------------------------------------------------------------------- */

static void *publish_numbers(void *arg)
{
    struct place *place = arg;
    struct gyr_span room = ROOM;
    char text[16];
    struct gyr_publish publish = gyr_publish_default();
    publish.rooms = &room;
    publish.room_count = 1;
    while (!atomic_load(&place->stops)) {
        unsigned number = atomic_load(&place->started);
        int size = snprintf(text, sizeof(text), "%u", number);
        publish.payload = (struct gyr_span){text, (size_t)size};
        atomic_store(&place->started, number + 1);
        int err;
        do {
            err = gyr_server_publish(place->crowd.server, &publish);
        } while (err == GYR_ERR_BACKPRESSURE && sched_yield() == 0);
        EXPECT_INT(err, 0, "published");
        atomic_store(&place->finished, number + 1);
        (void)sched_yield();
    }
    return NULL;
}

static void publisher_begin(struct place *place)
{
    EXPECT_INT(pthread_create(&place->publisher, NULL, publish_numbers, place), 0, "begun");
}

static void publisher_end(struct place *place)
{
    atomic_store(&place->stops, true);
    (void)pthread_join(place->publisher, NULL);
}

/* What had been published, and was being published, when a membership began and ended. */
struct stay {
    struct place *place;
    unsigned before_join;
    unsigned after_join;
    unsigned before_leave;
    unsigned after_leave;
};

static void stay_begin(struct gyr_conn *conn, void *arg)
{
    struct stay *stay = arg;
    stay->before_join = atomic_load(&stay->place->finished);
    EXPECT_INT(gyr_join(conn, ROOM), 0, "joined");
    stay->after_join = atomic_load(&stay->place->started);
}

static void stay_end(struct gyr_conn *conn, void *arg)
{
    struct stay *stay = arg;
    stay->before_leave = atomic_load(&stay->place->finished);
    gyr_leave(conn, ROOM);
    stay->after_leave = atomic_load(&stay->place->started);
    EXPECT_INT(gyr_send(conn, GYR_TEXT, GYR_SPAN("left")), 0, "told");
}

static bool stay_is_long(void *arg)
{
    const struct stay *stay = arg;
    return atomic_load(&stay->place->finished) >= stay->after_join + 50;
}

/* Has it got everything from its join to its leave, and nothing else? */
static void stay_check(const struct stay *stay, struct crowd_client *client)
{
    char text[CROWD_MESSAGE_MAX];
    unsigned first = 0;
    unsigned next = 0;
    while (crowd_read(client, text) != 0 && strcmp(text, "left") != 0) {
        unsigned number = (unsigned)strtoul(text, NULL, 10);
        EXPECT(next == 0 || number == next, "without a gap, once, in order");
        first = next == 0 ? number : first;
        next = number + 1;
    }
    EXPECT(first >= stay->before_join, "nothing that was published before it joined");
    EXPECT(first <= stay->after_join, "everything that was published after it had joined");
    EXPECT(next >= stay->before_leave, "up to its leave");
    EXPECT(next <= stay->after_leave, "and no more");
}

void rooms_members_that_join_during_a_publish_get_all_that_is_published_later(void)
{
    struct place place;
    if (!place_init(&place)) {
        return;
    }
    place.crowd.config.broadcast_entries = 16; /* full now and then */
    place_start(&place, "");
    publisher_begin(&place);
    for (unsigned round = 0; round < 25; round++) {
        struct stay stays[CLIENTS];
        unsigned count = 1 + round % CLIENTS; /* so that the room has no other member at times */
        for (unsigned i = 0; i < count; i++) {
            stays[i] = (struct stay){.place = &place};
            EXPECT(run(&place, (i + round) % CLIENTS, stay_begin, &stays[i]), "joined");
        }
        crowd_until(stay_is_long, &stays[count - 1]);
        for (unsigned i = 0; i < count; i++) {
            EXPECT(run(&place, (i + round) % CLIENTS, stay_end, &stays[i]), "left");
            stay_check(&stays[i], &place.clients[(i + round) % CLIENTS]);
        }
    }
    publisher_end(&place);
    EXPECT_INT(members_of(&place), 0, "all have left");
    EXPECT_INT(atomic_load(&hub_of_server(place.crowd.server)->broadcast_size), 0, "all is freed");
    crowd_end(&place.crowd);
}

#define TURN 1000

/* All in one turn of the core: in and out of one room, and in and out of as many rooms; then it
 * stays in the one. */
static void turn_on(struct gyr_conn *conn, void *arg)
{
    char name[16];
    (void)arg;
    for (unsigned i = 0; i < TURN; i++) {
        EXPECT_INT(gyr_join(conn, ROOM), 0, "joined");
        gyr_leave(conn, ROOM);
    }
    for (unsigned i = 0; i < TURN; i++) {
        int size = snprintf(name, sizeof(name), "room %u", i);
        EXPECT_INT(gyr_join(conn, (struct gyr_span){name, (size_t)size}), 0, name);
    }
    EXPECT_INT(gyr_conn_room_count(conn), TURN, "all of them");
    for (unsigned i = 0; i < TURN; i++) {
        int size = snprintf(name, sizeof(name), "room %u", i);
        gyr_leave(conn, (struct gyr_span){name, (size_t)size});
    }
    EXPECT_INT(gyr_conn_room_count(conn), 0, "none");
    EXPECT_INT(gyr_join(conn, ROOM), 0, "joined");
}

/* On both cores at the same time. */
static void *turn_on_thread(void *arg)
{
    void **args = arg;
    EXPECT(run(args[0], 1, turn_on, NULL), "on core 1");
    return NULL;
}

void rooms_thousand_joins_and_leaves_in_a_turn_leave_one_membership(void)
{
    struct place place;
    pthread_t thread;
    void *args[] = {&place};
    char text[CROWD_MESSAGE_MAX];
    if (!place_init(&place)) {
        return;
    }
    place_start(&place, "");
    publisher_begin(&place);
    EXPECT_INT(pthread_create(&thread, NULL, turn_on_thread, args), 0, "on core 1");
    EXPECT(run(&place, 0, turn_on, NULL), "on core 0");
    (void)pthread_join(thread, NULL);
    publisher_end(&place);
    EXPECT_INT(members_of(&place), 2, "one membership of each");
    EXPECT_INT(registry_count(hub_of_server(place.crowd.server)->registry), 1, "one room is left");
    publish(&place, 1, TEXT_END);
    for (unsigned i = 0; i < 2; i++) {
        unsigned next = 0;
        while (crowd_read(&place.clients[i], text) != 0 && strcmp(text, "end") != 0) {
            unsigned number = (unsigned)strtoul(text, NULL, 10);
            EXPECT(number >= next, "in order, and once");
            next = number + 1;
        }
        EXPECT(strcmp(text, "end") == 0, "the last came, too");
        EXPECT(run(&place, i, leave_on, NULL), "left");
    }
    EXPECT_INT(members_of(&place), 0, "nobody");
    publish(&place, 0, TEXT_ONE); /* and with that on_room of this core has been called */
    publish(&place, 1, TEXT_ONE);
    EXPECT_INT(atomic_load(&place.created), atomic_load(&place.emptied), "as often as it ended");
    crowd_end(&place.crowd);
}
