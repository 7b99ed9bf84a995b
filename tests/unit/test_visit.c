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

/* ---- waits that end with their connection ---- */

static void told_cancel(void *arg)
{
    visit_trace(arg, "cancel");
}

static int waiter_text(struct gyr_conn *conn, void *self, struct gyr_span message)
{
    (void)self;
    (void)message;
    gyr_on_cancel(conn, told_cancel, conn);
    return GYR_PENDING;
}

static const struct gyr_resource waiter = {GYR_RESOURCE_PLAIN("waiter"), .on_text = waiter_text};
static const struct gyr_route waiter_routes[] = {GYR_ROUTE("/", &waiter), {0}};

void visit_that_ends_behind_gyr_finish_is_not_cancelled(void)
{
    for (unsigned finished = 0; finished < 2; finished++) {
        struct visit_kit visit_kit;
        visit_kit_begin(&visit_kit, waiter_routes);
        visit_kit_upgrade(&visit_kit, "/", "");
        KIT_FRAME(&visit_kit.kit, 0x81, "wait");
        struct gyr_conn *conn = kit_conn(&visit_kit.kit);
        if (finished != 0) {
            EXPECT_INT(gyr_finish(conn, 0), 0, "whoever was waited for is done");
        }
        gyr_abort(conn);
        kit_run(&visit_kit.kit);
        EXPECT_TRACE(&visit_kit, finished != 0 ? "" : "cancel", "told once, of one of the two");
        visit_kit_end(&visit_kit);
    }
}

struct question {
    int n;
};
GYR_MESSAGE(question, "question", GYR_MEMBER(question, n));

static int question_answered(struct gyr_conn *conn, void *self, const struct question *answer,
                             const struct gyr_fault *fault, void *arg)
{
    (void)arg;
    EXPECT(answer == NULL && fault->reason == GYR_REASON_FAILED, "the connection has ended");
    visit_trace(conn, self == NULL ? "nobody" : "somebody");
    return 0;
}

static int take_raw(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    (void)conn;
    (void)self;
    (void)payload;
    return 0;
}

static const struct gyr_resource asker = {
    GYR_RESOURCE(room),
    .create = room_create,
    .destroy = room_destroy,
    .handlers = GYR_HANDLERS(GYR_ON_RAW("x", take_raw)),
};
static const struct gyr_route asker_routes[] = {GYR_ROUTE("/", &asker), {0}};

static int asks_and_waits(struct gyr_hook_call *call)
{
    const struct question question = {.n = 1};
    EXPECT_INT(GYR_ASK(call->conn, question, &question, question, 1000, question_answered, NULL), 0,
               "asked");
    return GYR_PENDING;
}

void visit_question_that_ends_before_its_resource_is_made_gets_no_instance(void)
{
    struct visit_kit visit_kit;
    visit_kit_init(&visit_kit);
    visit_kit_app(&visit_kit);
    struct gyr_error error;
    EXPECT_INT(gyr_app_routes(visit_kit.app, "", asker_routes), 0, "routes");
    EXPECT_INT(gyr_app_hook(visit_kit.app, NULL, GYR_BEFORE_CONNECT, asks_and_waits, NULL, &error),
               0, "before any resource is made");
    visit_kit_start(&visit_kit);
    visit_kit_upgrade(&visit_kit, "/", "");
    kit_reset(&visit_kit.kit);
    EXPECT_TRACE(&visit_kit, "nobody", "and neither create nor destroy");
    visit_kit_end(&visit_kit);
}
