/* SPDX-License-Identifier: MIT */
/* gyr_join_since on one core: what a member gets when it comes back, in which order, and what it is
 * told; with little room, and when it goes away meanwhile. */
#include "hub/recovery.h"

#include "tests/hub_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

/* The last on_recovered, and how many there were. */
struct told {
    struct hub_kit kit; /* first member */
    unsigned count;
    struct gyr_conn *conn;
    struct gyr_recovery recovery;
    bool leaves; /* in on_recovered */
};

static const struct gyr_room_rule rules[] = {
    {.size = sizeof(struct gyr_room_rule), .pattern = GYR_LITERAL("h*"), .history_count = 4},
    {.size = sizeof(struct gyr_room_rule),
     .pattern = GYR_LITERAL("small"),
     .policy = GYR_ROOM_DROP_NEWEST,
     .queue_size_max = 100,
     .history_count = 100},
};

static void on_recovered(struct gyr_conn *conn, struct gyr_span room,
                         const struct gyr_recovery *recovery)
{
    struct told *told = *(struct told **)gyr_core_data(gyr_conn_core(conn));
    told->count++;
    told->conn = conn;
    told->recovery = *recovery;
    EXPECT_INT(recovery->size, sizeof(*recovery), "its size");
    EXPECT(gyr_is_member(conn, room), "it is a member");
    if (told->leaves) {
        gyr_leave(conn, room);
        EXPECT_SPAN(span_of(room.ptr, room.size), "h", "the name lives on");
    }
}

static void begin_with(struct told *told, uint32_t send_queue_size_max)
{
    *told = (struct told){0};
    hub_kit_init(&told->kit);
    told->kit.kit.service.room_rules = rules;
    told->kit.kit.service.room_rule_count = COUNT_OF(rules);
    told->kit.kit.service.on_recovered = on_recovered;
    if (send_queue_size_max != 0) {
        told->kit.kit.config.send_queue_size_max = send_queue_size_max;
        told->kit.kit.config.send_queue_high = send_queue_size_max / 2;
        told->kit.kit.config.send_queue_low = send_queue_size_max / 4;
    }
    hub_kit_start(&told->kit);
}

static void end(struct told *told)
{
    EXPECT_INT(told->kit.hub->recovery_size, 0, "no answer is left");
    hub_kit_end(&told->kit);
}

static int since(struct told *told, struct gyr_conn *conn, const char *room, uint64_t offset)
{
    return gyr_join_since(conn, hub_kit_span(room), told->recovery.epoch, offset);
}

/* Publish "1", "2" ... up to `last`, from `first` on. */
static void publish(struct told *told, const char *room, char first, char last)
{
    for (; first <= last; first++) {
        char text[2] = {first, '\0'};
        EXPECT_INT(
            gyr_publish(told->kit.core->core, hub_kit_span(room), GYR_TEXT, hub_kit_span(text)), 0,
            "published");
    }
}

/* A member has learned where the room stands, has got "1" and "2", and has left. */
static struct gyr_conn *away(struct told *told, int *fd)
{
    begin_with(told, 0);
    struct gyr_conn *conn = hub_kit_open(&told->kit);
    *fd = told->kit.kit.fd;
    EXPECT_INT(gyr_join_since(conn, GYR_SPAN("h"), 0, 99), 0, "joined");
    EXPECT_INT(told->count, 0, "nothing calls back before it returns");
    kit_run(&told->kit.kit);
    EXPECT_INT(told->count, 1, "told");
    EXPECT(!told->recovery.recovered && told->recovery.err == 0, "nothing was asked for");
    EXPECT(told->recovery.epoch != 0 && told->recovery.offset == 0, "where the room stands");
    publish(told, "h", '1', '2');
    kit_run(&told->kit.kit);
    EXPECT(hub_kit_got(&told->kit, *fd, "1 2"), "like any member");
    gyr_leave(conn, GYR_SPAN("h"));
    return conn;
}

void recovery_brings_what_was_missed_and_what_came_meanwhile(void)
{
    struct told told;
    int fd;
    struct gyr_conn *conn = away(&told, &fd);
    publish(&told, "h", '3', '4');
    EXPECT_INT(since(&told, conn, "h", 2), 0, "back");
    publish(&told, "h", '5', '6');
    EXPECT_INT(told.count, 1, "not yet");
    kit_run(&told.kit.kit);
    EXPECT_INT(told.count, 2, "told");
    EXPECT(told.conn == conn && told.recovery.recovered && told.recovery.err == 0, "recovered");
    EXPECT(told.recovery.offset == 6 && told.recovery.count == 4, "everything");
    publish(&told, "h", '7', '7');
    kit_run(&told.kit.kit);
    EXPECT(hub_kit_got(&told.kit, fd, "3 4 5 6 7"), "in order, each once");
    EXPECT_INT(recover_count(told.kit.core->recover), 0, "nothing is kept of it");
    EXPECT_INT(gyr_take_dropped(conn), 0, "nothing was dropped");
    end(&told);
}

void recovery_tells_what_is_not_kept(void)
{
    struct told told;
    int fd;
    struct gyr_conn *conn = away(&told, &fd);
    uint64_t epoch = told.recovery.epoch;
    publish(&told, "h", '3', '7'); /* four are kept */
    EXPECT_INT(since(&told, conn, "h", 2), 0, "too late");
    kit_run(&told.kit.kit);
    EXPECT(!told.recovery.recovered && told.recovery.err == GYR_ERR_NOT_FOUND, "told");
    EXPECT(told.recovery.epoch == epoch && told.recovery.offset == 7, "where it stands");
    gyr_leave(conn, GYR_SPAN("h"));
    EXPECT_INT(gyr_join_since(conn, GYR_SPAN("h"), epoch + 1, 7), 0, "of another life");
    kit_run(&told.kit.kit);
    EXPECT(!told.recovery.recovered && told.recovery.err == GYR_ERR_NOT_FOUND, "told");
    gyr_leave(conn, GYR_SPAN("h"));
    EXPECT_INT(gyr_join_since(conn, GYR_SPAN("h"), epoch, 8), 0, "of the future");
    kit_run(&told.kit.kit);
    EXPECT(!told.recovery.recovered && told.recovery.err == GYR_ERR_NOT_FOUND, "told");
    EXPECT(hub_kit_got(&told.kit, fd, ""), "nothing of all that");
    publish(&told, "h", '8', '8');
    kit_run(&told.kit.kit);
    EXPECT(hub_kit_got(&told.kit, fd, "8"), "but what follows");
    end(&told);
}

void recovery_refuses_what_cannot_be(void)
{
    char name[GYR_ROOM_NAME_SIZE_MAX + 1] = "h";
    struct told told;
    int fd;
    struct gyr_conn *conn = away(&told, &fd);
    struct gyr_span longer = {name, sizeof(name)};
    EXPECT_INT(since(&told, conn, "plain", 0), GYR_ERR_UNSUPPORTED, "it keeps no history");
    EXPECT_INT(gyr_join_since(conn, longer, 0, 0), GYR_ERR_ARGUMENT, "too long");
    EXPECT_INT(gyr_join(conn, GYR_SPAN("h")), 0, "joined");
    EXPECT_INT(since(&told, conn, "h", 2), GYR_ERR_STATE, "it is a member");
    EXPECT_INT(since(&told, conn, "h2", 0), 0, "of another it is not");
    EXPECT_INT(since(&told, conn, "h2", 0), GYR_ERR_STATE, "nor twice at a time");
    EXPECT_INT(gyr_close(conn, 1000, GYR_SPAN("")), 0, "closing");
    EXPECT_INT(since(&told, conn, "h3", 0), GYR_ERR_CLOSED, "it is closing");
    EXPECT_INT(gyr_conn_room_count(conn), 2, "nothing else has changed");
    const struct gyr_span rooms[] = {GYR_SPAN("plain"), GYR_SPAN("h")};
    struct gyr_publish several = gyr_publish_default();
    several.rooms = rooms;
    several.room_count = 2;
    EXPECT_INT(gyr_publish_with(told.kit.core->core, &several), GYR_ERR_UNSUPPORTED,
               "a room with a history is published to alone");
    end(&told);
}

void recovery_forgets_who_goes_away(void)
{
    struct told told;
    int fd;
    struct gyr_conn *conn = away(&told, &fd);
    publish(&told, "h", '3', '3');
    EXPECT_INT(since(&told, conn, "h", 2), 0, "back");
    publish(&told, "h", '4', '4');
    gyr_leave(conn, GYR_SPAN("h"));
    kit_run(&told.kit.kit);
    EXPECT_INT(told.count, 1, "it has left before its answer");
    EXPECT(hub_kit_got(&told.kit, fd, ""), "and gets nothing");
    EXPECT_INT(since(&told, conn, "h", 2), 0, "back");
    gyr_leave(conn, GYR_SPAN("h"));
    EXPECT_INT(since(&told, conn, "h", 3), 0, "and again, before the first answer");
    kit_run(&told.kit.kit);
    EXPECT_INT(told.count, 2, "one answer counts");
    EXPECT(hub_kit_got(&told.kit, fd, "4"), "that of the second");
    gyr_leave(conn, GYR_SPAN("h"));
    EXPECT_INT(since(&told, conn, "h", 2), 0, "back");
    told.kit.kit.fd = fd;
    kit_reset(&told.kit.kit);
    kit_run(&told.kit.kit);
    EXPECT_INT(registry_count(told.kit.hub->registry), 0, "it has ended, and the room with it");
    EXPECT_INT(recover_count(told.kit.core->recover), 0, "nothing is kept of it");
    end(&told);
}

void recovery_lets_a_member_leave_in_its_callback(void)
{
    struct told told;
    int fd;
    struct gyr_conn *conn = away(&told, &fd);
    told.leaves = true;
    publish(&told, "h", '3', '3');
    EXPECT_INT(since(&told, conn, "h", 2), 0, "back");
    kit_run(&told.kit.kit);
    EXPECT_INT(told.count, 2, "told");
    EXPECT(hub_kit_got(&told.kit, fd, "3"), "what was missed");
    EXPECT_INT(gyr_conn_room_count(conn), 0, "it has left");
    end(&told);
}

void recovery_tells_when_the_queue_has_no_room(void)
{
    struct told told;
    begin_with(&told, 0);
    struct gyr_conn *conn = hub_kit_open(&told.kit);
    EXPECT_INT(gyr_join_since(conn, GYR_SPAN("small"), 0, 0), 0, "joined");
    kit_run(&told.kit.kit);
    gyr_leave(conn, GYR_SPAN("small"));
    for (unsigned i = 0; i < 3; i++) {
        static const char text[60] = "x";
        EXPECT_INT(gyr_publish(told.kit.core->core, GYR_SPAN("small"), GYR_TEXT,
                               (struct gyr_span){text, sizeof(text)}),
                   0, "published");
    }
    kit_room(&told.kit.kit, 0); /* the peer reads no more */
    EXPECT_INT(since(&told, conn, "small", 0), 0, "back");
    kit_run(&told.kit.kit);
    EXPECT_INT(told.count, 2, "told");
    EXPECT(!told.recovery.recovered && told.recovery.err == GYR_ERR_BACKPRESSURE, "not all");
    EXPECT_INT(told.recovery.count, 1, "one had room");
    EXPECT_INT(told.recovery.offset, 3, "up to here it may lack some");
    EXPECT(gyr_take_dropped(conn) >= 1, "the drop is told");
    EXPECT_INT(hub_kit_stats(&told.kit, "small").dropped_newest, 1, "and counted");
    kit_room(&told.kit.kit, SIZE_MAX);
    kit_run(&told.kit.kit);
    end(&told);
}

void recovery_gives_up_when_too_much_waits(void)
{
    static char text[300];
    struct told told;
    begin_with(&told, 4096);
    struct gyr_conn *conn = hub_kit_open(&told.kit);
    EXPECT_INT(gyr_join_since(conn, GYR_SPAN("h"), 0, 0), 0, "joined");
    kit_run(&told.kit.kit);
    gyr_leave(conn, GYR_SPAN("h"));
    EXPECT_INT(since(&told, conn, "h", 0), 0, "back");
    for (unsigned i = 0; i < 20; i++) {
        EXPECT_INT(gyr_publish(told.kit.core->core, GYR_SPAN("h"), GYR_TEXT,
                               (struct gyr_span){text, sizeof(text)}),
                   0, "published");
    }
    kit_run(&told.kit.kit);
    EXPECT(!told.recovery.recovered && told.recovery.err == GYR_ERR_BACKPRESSURE, "told");
    EXPECT_INT(told.recovery.offset, 20, "up to here it has none");
    EXPECT(gyr_take_dropped(conn) > 0, "the drops are told");
    EXPECT(hub_kit_got(&told.kit, told.kit.kit.fd, ""), "nothing came");
    publish(&told, "h", 'x', 'x');
    kit_run(&told.kit.kit);
    EXPECT(hub_kit_got(&told.kit, told.kit.kit.fd, "x"), "what follows does");
    end(&told);
}

static void note_done(struct gyr_core *core, void *arg, const struct gyr_published *published)
{
    (void)core;
    *(struct gyr_published *)arg = *published;
}

void recovery_done_knows_epoch_and_offset_of_a_publish(void)
{
    struct told told;
    int fd;
    struct gyr_conn *conn = away(&told, &fd);
    struct gyr_span room = GYR_SPAN("h");
    struct gyr_published published = {0};
    struct gyr_publish publish = gyr_publish_default();
    publish.rooms = &room;
    publish.room_count = 1;
    publish.payload = GYR_SPAN("3");
    publish.done = note_done;
    publish.arg = &published;
    EXPECT_INT(since(&told, conn, "h", 2), 0, "back");
    EXPECT_INT(gyr_publish_with(told.kit.core->core, &publish), 0, "published");
    kit_run(&told.kit.kit);
    EXPECT(published.epoch == told.recovery.epoch && published.offset == 3, "its place");
    EXPECT_INT(published.queued, 1, "who waits for it will have it");
    EXPECT(hub_kit_got(&told.kit, fd, "3"), "and has");
    end(&told);
}
