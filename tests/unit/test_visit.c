/* SPDX-License-Identifier: MIT */
/* The life of an exchange in an application: what runs, in which order, and what it may ask. */
#include "router/visit.h"

#include "tests/parser_kit.h"
#include "tests/visit_kit.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>

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

/* ---- subprotocols ---- */

static int choose_connect(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    struct gyr_span query = gyr_request_query(request);
    char name[16] = "";
    (void)self;
    if (query.size != 0 && query.size < sizeof(name)) {
        memcpy(name, query.ptr, query.size);
        visit_trace(conn, "%d", gyr_subprotocol(conn, name));
        memset(name, 'X', sizeof(name));
    }
    return 0;
}

static int choose_text(struct gyr_conn *conn, void *self, struct gyr_span message)
{
    (void)self;
    (void)message;
    EXPECT_INT(gyr_subprotocol(conn, "chat"), GYR_ERR_STATE, "it is accepted");
    return 0;
}

static const struct gyr_resource chooser = {
    GYR_RESOURCE_PLAIN("chooser"),
    .on_connect = choose_connect,
    .on_text = choose_text,
    .subprotocols = (const char *const[]){"best", "good", "chat", NULL},
};
static const struct gyr_route chooser_routes[] = {GYR_ROUTE("/", &chooser), {0}};

void visit_chooses_a_subprotocol_that_is_offered(void)
{
    static const struct {
        const char *path;
        const char *offered;
        const char *chosen; /* NULL: none */
        const char *trace;
    } rows[] = {
        {"/", "chat, good", "good", ""},
        {"/", "x, best, good", "best", ""},
        {"/", "x", NULL, ""},
        {"/", NULL, NULL, ""},
        {"/?chat", "best, chat", "chat", "0"},
        {"/?other", "best, other", "other", "0"},
        {"/?other", "best", NULL, "-5012"},
        {"/?chat", NULL, NULL, "-5012"},
        {"/?bes", "best", NULL, "-5012"},
    };
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, chooser_routes);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char fields[64] = "";
        char expected[64];
        if (rows[i].offered != NULL) {
            (void)snprintf(fields, sizeof(fields), "Sec-WebSocket-Protocol: %s\r\n",
                           rows[i].offered);
        }
        (void)snprintf(expected, sizeof(expected), "Sec-WebSocket-Protocol: %s\r\n",
                       rows[i].chosen != NULL ? rows[i].chosen : "");
        visit_kit_upgrade(&visit_kit, rows[i].path, fields);
        EXPECT_INT(visit_kit_status(&visit_kit), 101, rows[i].path);
        EXPECT(visit_kit_answered(&visit_kit, rows[i].chosen != NULL ? expected : "\r\n\r\n"),
               expected);
        EXPECT(rows[i].chosen != NULL || !visit_kit_answered(&visit_kit, "Sec-WebSocket-Protocol"),
               "no field");
        EXPECT_TRACE(&visit_kit, rows[i].trace, rows[i].path);
        KIT_FRAME(&visit_kit.kit, 0x81, "x");
        kit_reset(&visit_kit.kit);
    }
    visit_kit_end(&visit_kit);
}

/* ---- what is sent, joined and kept while it is connected ---- */

static int early_connect(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    struct gyr_span query = gyr_request_query(request);
    (void)self;
    EXPECT(gyr_send(conn, GYR_TEXT, GYR_SPAN("one")) >= 0, "before the 101");
    EXPECT(gyr_send(conn, GYR_TEXT, GYR_SPAN("two")) >= 0, "and another");
    visit_kit_of(conn)->context = gyr_keep(conn, query.ptr, query.size);
    EXPECT(gyr_conn_alloc(conn, SIZE_MAX) == NULL, "too much");
    EXPECT(gyr_keep(conn, "", SIZE_MAX) == NULL, "too much");
    return query.size != 0 ? GYR_PENDING : 0;
}

static const struct gyr_resource early = {GYR_RESOURCE_PLAIN("early"), .on_connect = early_connect};
static const struct gyr_route early_routes[] = {GYR_ROUTE("/", &early), {0}};

void visit_sends_behind_the_101_what_was_sent_before(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, early_routes);
    visit_kit_upgrade(&visit_kit, "/", "");
    EXPECT_OUTPUT(&visit_kit.kit, KIT_101_WITH("") "\x81\x03one\x81\x03two", "in order");
    uint64_t heap = visit_kit_heap(&visit_kit);
    visit_kit_upgrade(&visit_kit, "/?query", "");
    static const char QUERY[5 + GYR_MESSAGE_PADDING] = "query";
    EXPECT(memcmp(visit_kit.context, QUERY, sizeof(QUERY)) == 0, "kept while it waits");
    EXPECT_OUTPUT(&visit_kit.kit, "", "nothing yet");
    EXPECT_INT(gyr_finish(kit_conn(&visit_kit.kit), 0), 0, "go on");
    kit_run(&visit_kit.kit);
    EXPECT_OUTPUT(&visit_kit.kit, KIT_101_WITH("") "\x81\x03one\x81\x03two", "in order");
    EXPECT_INT(visit_kit_heap(&visit_kit), 2 * heap, "and then given back");
    visit_kit_end(&visit_kit);
}

/* ---- memory of a connection, and of a message ---- */

static int alloc_text(struct gyr_conn *conn, void *self, struct gyr_span message)
{
    (void)self;
    uint8_t *bytes = gyr_conn_alloc(conn, 1000);
    if (message.size != 0 && message.ptr[0] == 'm') {
        EXPECT(bytes == NULL && gyr_keep(conn, message.ptr, message.size) == NULL, "no memory");
        return 0;
    }
    EXPECT(bytes != NULL && (uintptr_t)bytes % 16 == 0, "aligned for anything");
    for (size_t i = 0; i < 1000; i++) {
        EXPECT(bytes[i] == 0, "zeroed");
    }
    memset(bytes, 'x', 1000);
    EXPECT(gyr_keep(conn, message.ptr, message.size) != NULL, "kept");
    return 0;
}

static const struct gyr_resource allocs = {GYR_RESOURCE_PLAIN("allocs"), .on_text = alloc_text};
static const struct gyr_route alloc_routes[] = {GYR_ROUTE("/", &allocs), {0}};

void visit_keeps_memory_as_long_as_it_is_said_to(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, alloc_routes);
    visit_kit_upgrade(&visit_kit, "/", "");
    uint64_t heap = visit_kit_heap(&visit_kit);
    KIT_FRAME(&visit_kit.kit, 0x81, "one");
    EXPECT_INT(visit_kit_heap(&visit_kit) - heap, 1000 + 16, "of the message nothing is left");
    KIT_FRAME(&visit_kit.kit, 0x81, "two");
    EXPECT_INT(visit_kit_heap(&visit_kit) - heap, 2 * (1000 + 16), "of the connection all");
    struct core *core = visit_kit.kit.core;
    size_t size = visit_kit.kit.config.core_heap_size_max - heap_used(core->heap);
    void *hog = heap_alloc(core->heap, size);
    EXPECT(hog != NULL, "all there is");
    KIT_FRAME(&visit_kit.kit, 0x81, "memory");
    heap_free(core->heap, hog, size);
    kit_reset(&visit_kit.kit);
    EXPECT_INT(visit_kit_heap(&visit_kit), 0, "and then nothing");
    visit_kit_end(&visit_kit);
}

struct small {
    char fill[64];
};

static const struct gyr_resource deepest = {GYR_RESOURCE(small), .on_text = alloc_text};
static const struct gyr_resource deeper = {GYR_RESOURCE(small),
                                           .children = GYR_ROUTES(GYR_ROUTE("c/{z}", &deepest))};
static const struct gyr_resource deep = {GYR_RESOURCE(small),
                                         .children = GYR_ROUTES(GYR_ROUTE("b/{y}", &deeper))};
static const struct gyr_route deep_routes[] = {GYR_ROUTE("/a/{x}", &deep), {0}};

void visit_of_three_resources_takes_less_than_a_kilobyte(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, deep_routes);
    visit_kit_upgrade(&visit_kit, "/a/1/b/2/c/3", "");
    uint64_t heap = visit_kit_heap(&visit_kit);
    EXPECT(heap - 3 * sizeof(struct small) + sizeof(struct gyr_conn) + sizeof(struct transport) <=
               1024,
           "connection, transport and visit together");
    EXPECT(heap != 0, "it is there");
    visit_kit_end(&visit_kit);
}

/* ---- what else the engine calls ---- */

static int calls_guard(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)self;
    (void)request;
    gyr_conn_timer(conn, 10);
    return GYR_PENDING;
}

static int calls_text(struct gyr_conn *conn, void *self, struct gyr_span message)
{
    static char big[20000];
    (void)self;
    (void)message;
    gyr_conn_timer(conn, 10);
    int err = 0;
    while (err == 0) {
        err = gyr_send(conn, GYR_TEXT, (struct gyr_span){big, sizeof(big)});
    }
    return err;
}

static void calls_drain(struct gyr_conn *conn, void *self)
{
    EXPECT(self == gyr_self(conn, 0), "its own");
    visit_trace(conn, "drain");
}

static void calls_timer(struct gyr_conn *conn, void *self)
{
    EXPECT(self == gyr_self(conn, 0), "its own");
    visit_trace(conn, "timer");
}

static void calls_mail(struct gyr_conn *conn, void *self, void *mail)
{
    EXPECT(self == gyr_self(conn, 0), "its own");
    visit_trace(conn, "mail:%s", (const char *)mail);
}

static void calls_recovered(struct gyr_conn *conn, void *self, struct gyr_span room_name,
                            const struct gyr_recovery *recovery)
{
    EXPECT(self == gyr_self(conn, 0), "its own");
    visit_trace(conn, "recovered:%.*s:%zu", (int)room_name.size, room_name.ptr, recovery->count);
}

static const struct gyr_resource calls = {
    GYR_RESOURCE(small),
    .guard = calls_guard,
    .on_text = calls_text,
    .on_drain = calls_drain,
    .on_timer = calls_timer,
    .on_mail = calls_mail,
    .on_recovered = calls_recovered,
};
static const struct gyr_resource quiet = {GYR_RESOURCE_PLAIN("quiet"), .on_text = calls_text};
static const struct gyr_route call_routes[] = {
    GYR_ROUTE("/", &calls), GYR_ROUTE("/quiet", &quiet), {0}};

void visit_hands_on_what_the_engine_calls(void)
{
    static char letter[] = "letter";
    struct gyr_recovery recovery = {.size = sizeof(recovery), .count = 7};
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, call_routes);
    const struct gyr_service *service = &visit_kit.kit.service;
    visit_kit_upgrade(&visit_kit, "/", "");
    kit_advance(&visit_kit.kit, 20);
    EXPECT_TRACE(&visit_kit, "timer", "while it is connected, too, once it is made");
    EXPECT_INT(gyr_finish(kit_conn(&visit_kit.kit), 0), 0, "go on");
    kit_run(&visit_kit.kit);
    for (unsigned i = 0; i < 2; i++) {
        kit_room(&visit_kit.kit, 0);
        KIT_FRAME(&visit_kit.kit, 0x81, "x");
        service->on_mail(kit_conn(&visit_kit.kit), letter);
        service->on_mail(NULL, letter);
        service->on_recovered(kit_conn(&visit_kit.kit), GYR_SPAN("room"), &recovery);
        kit_room(&visit_kit.kit, SIZE_MAX);
        kit_advance(&visit_kit.kit, 20);
        EXPECT_TRACE(&visit_kit, i == 0 ? "mail:letter recovered:room:7 drain timer" : "",
                     "or nobody wants to know");
        kit_reset(&visit_kit.kit);
        visit_kit_upgrade(&visit_kit, "/quiet", "");
    }
    visit_kit_end(&visit_kit);
}

/* ---- waits ---- */

static void count_cancel(void *arg)
{
    (*(int *)arg)++;
}

static int wait_text(struct gyr_conn *conn, void *self, struct gyr_span message)
{
    (void)self;
    visit_trace(conn, "%.*s", (int)message.size, message.ptr);
    if (message.ptr[0] != 'n') {
        gyr_on_cancel(conn, count_cancel, visit_kit_of(conn)->context);
    }
    return message.ptr[0] == '0' ? 0 : GYR_PENDING;
}

static const struct gyr_resource waits = {GYR_RESOURCE_PLAIN("waits"), .on_text = wait_text};

/* They ask for it and do not wait; what waits behind them has not asked. */
static int cancel_guard(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)self;
    (void)request;
    gyr_on_cancel(conn, count_cancel, visit_kit_of(conn)->context);
    return 0;
}

static int cancel_hook(struct gyr_hook_call *call)
{
    gyr_on_cancel(call->conn, count_cancel, visit_kit_of(call->conn)->context);
    return 0;
}

static int wait_connect(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)conn;
    (void)self;
    (void)request;
    return GYR_PENDING;
}

static const struct gyr_resource waits_connect = {
    GYR_RESOURCE_PLAIN("waits"), .guard = cancel_guard, .on_connect = wait_connect};
static const struct gyr_resource waits_hooked = {
    GYR_RESOURCE_PLAIN("waits"), .on_text = wait_text,
    .hooks = GYR_HOOKS(GYR_HOOK("cancel", .before_receive = cancel_hook))};
static const struct gyr_route wait_routes[] = {GYR_ROUTE("/", &waits),
                                               GYR_ROUTE("/connect", &waits_connect),
                                               GYR_ROUTE("/hooked", &waits_hooked),
                                               {0}};

void visit_cancels_only_what_waits(void)
{
    int cancelled = 0;
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, wait_routes);
    visit_kit.context = &cancelled;
    visit_kit_upgrade(&visit_kit, "/", "");
    KIT_FRAME(&visit_kit.kit, 0x81, "0");
    KIT_FRAME(&visit_kit.kit, 0x81, "next");
    kit_reset(&visit_kit.kit);
    EXPECT_INT(cancelled, 0, "asked for by a message that did not wait");
    visit_kit_upgrade(&visit_kit, "/", "");
    KIT_FRAME(&visit_kit.kit, 0x81, "wait");
    EXPECT_INT(gyr_finish(kit_conn(&visit_kit.kit), 0), 0, "finished");
    EXPECT_INT(gyr_finish(kit_conn(&visit_kit.kit), 0), GYR_ERR_STATE, "once");
    kit_run(&visit_kit.kit);
    KIT_FRAME(&visit_kit.kit, 0x81, "next");
    kit_reset(&visit_kit.kit);
    EXPECT_INT(cancelled, 0, "asked for by one that is over");
    visit_kit_upgrade(&visit_kit, "/", "");
    KIT_FRAME(&visit_kit.kit, 0x81, "wait");
    KIT_FRAME(&visit_kit.kit, 0x81, "behind");
    kit_reset(&visit_kit.kit);
    EXPECT_INT(cancelled, 1, "once");
    EXPECT_TRACE(&visit_kit, "0 next wait next wait", "what waits behind does not run");
    visit_kit_upgrade(&visit_kit, "/connect", "");
    kit_reset(&visit_kit.kit);
    visit_kit_upgrade(&visit_kit, "/hooked", "");
    KIT_FRAME(&visit_kit.kit, 0x81, "next");
    kit_reset(&visit_kit.kit);
    EXPECT_TRACE(&visit_kit, "next", "it waited");
    EXPECT_INT(cancelled, 1, "asked for by a guard and a hook that did not wait");
    visit_kit_end(&visit_kit);
}

static const struct gyr_resource waits_twice = {GYR_RESOURCE_PLAIN("waits"), .guard = wait_connect,
                                                .on_connect = wait_connect};
static const struct gyr_route twice_routes[] = {GYR_ROUTE("/", &waits_twice), {0}};

void visit_keeps_a_request_once_however_often_it_waits(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, twice_routes);
    visit_kit_upgrade(&visit_kit, "/", "");
    uint64_t kept = visit_kit_heap(&visit_kit);
    EXPECT_INT(gyr_finish(kit_conn(&visit_kit.kit), 0), 0, "the guard");
    kit_run(&visit_kit.kit);
    EXPECT_INT(visit_kit_heap(&visit_kit), kept, "on_connect waits with the same copy");
    EXPECT_INT(gyr_finish(kit_conn(&visit_kit.kit), 0), 0, "on_connect");
    kit_run(&visit_kit.kit);
    EXPECT_INT(visit_kit_status(&visit_kit), 101, "accepted");
    EXPECT(visit_kit_heap(&visit_kit) < kept, "and the copy has gone");
    visit_kit_end(&visit_kit);
}

/* ---- the id of a message ---- */

static int id_raw(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    struct gyr_span id = gyr_message_id(conn);
    (void)self;
    (void)payload;
    visit_trace(conn, "%.*s", (int)id.size, id.ptr);
    return gyr_self(conn, 0) != NULL ? 0 : GYR_PENDING;
}

static void id_mail(struct gyr_conn *conn, void *self, void *mail)
{
    struct gyr_span id = gyr_message_id(conn);
    (void)self;
    (void)mail;
    visit_trace(conn, "[%.*s]", (int)id.size, id.ptr);
}

static int id_hook(struct gyr_hook_call *call)
{
    (void)call;
    return 0;
}

static const struct gyr_resource ids = {
    GYR_RESOURCE(small), .handlers = GYR_HANDLERS(GYR_ON_RAW("x", id_raw)), .on_mail = id_mail};
static const struct gyr_resource ids_wait = {GYR_RESOURCE_PLAIN("ids"),
                                             .handlers = GYR_HANDLERS(GYR_ON_RAW("x", id_raw)),
                                             .on_mail = id_mail};
static const struct gyr_resource ids_hooked = {
    GYR_RESOURCE(small), .handlers = GYR_HANDLERS(GYR_ON_RAW("x", id_raw)), .on_mail = id_mail,
    .hooks = GYR_HOOKS(GYR_HOOK("h", .before_receive = id_hook))};
static const struct gyr_route id_routes[] = {GYR_ROUTE("/plain", &ids),
                                             GYR_ROUTE("/wait", &ids_wait),
                                             GYR_ROUTE("/hooked", &ids_hooked),
                                             {0}};

void visit_forgets_the_id_of_a_message_that_is_done_with(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, id_routes);
    const struct gyr_service *service = &visit_kit.kit.service;
    static const char *const PATHS[] = {"/plain", "/hooked", "/wait"};
    for (size_t i = 0; i < COUNT_OF(PATHS); i++) {
        visit_kit_upgrade(&visit_kit, PATHS[i], "");
        KIT_FRAME(&visit_kit.kit, 0x81, "{\"type\":\"x\",\"id\":17}");
        struct gyr_conn *conn = kit_conn(&visit_kit.kit);
        service->on_mail(conn, NULL);
        bool is_waiting = gyr_finish(conn, 0) == 0;
        kit_run(&visit_kit.kit);
        EXPECT_TRACE(&visit_kit, is_waiting ? "17 [17]" : "17 []", PATHS[i]);
        service->on_mail(conn, NULL);
        EXPECT_TRACE(&visit_kit, "[]", PATHS[i]);
        kit_reset(&visit_kit.kit);
    }
    visit_kit_end(&visit_kit);
}
