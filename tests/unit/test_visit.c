/* SPDX-License-Identifier: MIT */
/* The life of an exchange in an application: what runs, in which order, and what it may ask. */
#include "router/visit.h"

#include "tests/parser_kit.h"
#include "tests/visit_kit.h"

#include <CUnit/CUnit.h>
#include <errno.h>

struct room {
    struct gyr_span name;
    int count;
};

static int room_create(struct gyr_conn *conn, void *self)
{
    const struct room *room = self;
    EXPECT(room->name.ptr == NULL && room->count == 0, "it is zero at first");
    EXPECT(gyr_self(conn, 0) == self && gyr_self(conn, 1) == NULL, "it can be asked for");
    visit_trace(conn, "create");
    return 0;
}

static int room_connect(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    struct room *room = self;
    room->name = gyr_param(conn, "room");
    visit_trace(conn, "connect:%.*s:%zu", (int)room->name.size, room->name.ptr,
                gyr_request_query(request).size);
    return 0;
}

static int room_text(struct gyr_conn *conn, void *self, struct gyr_span message)
{
    struct room *room = self;
    visit_trace(conn, "text:%.*s", (int)message.size, message.ptr);
    room->count++;
    return gyr_reply(conn, GYR_TEXT, message);
}

static void room_disconnect(struct gyr_conn *conn, void *self, uint16_t close_code,
                            struct gyr_span reason)
{
    const struct room *room = self;
    visit_trace(conn, "disconnect:%u:%.*s:%d", close_code, (int)reason.size, reason.ptr,
                room->count);
}

static void room_destroy(struct gyr_conn *conn, void *self)
{
    EXPECT(gyr_self(conn, 0) == self, "it is there still");
    visit_trace(conn, "destroy");
}

static const struct gyr_resource room = {
    GYR_RESOURCE(room),         .create = room_create, .destroy = room_destroy,
    .on_connect = room_connect, .on_text = room_text,  .on_disconnect = room_disconnect,
};

static const struct gyr_route routes[] = {GYR_ROUTE("/rooms/{room}", &room), {0}};

void visit_lives_from_its_handshake_to_its_close(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, routes);
    struct kit *kit = &visit_kit.kit;
    visit_kit_upgrade(&visit_kit, "/rooms/a%20b?x=1", "");
    EXPECT_OUTPUT(kit, KIT_101_WITH(""), "accepted");
    EXPECT_TRACE(&visit_kit, "create connect:a b:3", "parameters are decoded");
    KIT_FRAME(kit, 0x81, "hi");
    EXPECT_OUTPUT(kit, "\x81\x02hi", "handled");
    KIT_FRAME(kit, 0x88,
              "\x03\xe9"
              "gone");
    EXPECT_TRACE(&visit_kit, "text:hi disconnect:1001:gone:1 destroy", "once, with its code");
    visit_kit_end(&visit_kit);
}

void visit_of_a_connection_that_is_lost_ends_with_1006(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, routes);
    visit_kit_upgrade(&visit_kit, "/rooms/x/", "");
    EXPECT_TRACE(&visit_kit, "create connect:x:0", "a slash at the end has no meaning");
    kit_reset(&visit_kit.kit);
    EXPECT_TRACE(&visit_kit, "disconnect:1006::0 destroy", "once");
    visit_kit_end(&visit_kit);
}
