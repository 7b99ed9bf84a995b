/* SPDX-License-Identifier: MIT */
/* Visits on a core whose memory is nearly used up: whatever is refused for want of it, each
 * function that is owed runs, and every byte comes back. */
#include "router/visit.h"
#include "tests/parser_kit.h"
#include "tests/visit_kit.h"

#include <CUnit/CUnit.h>
#include <stdio.h>

/* How often each ran; what belongs together is equal in the end. */
struct tally {
    int made;
    int dropped;
    int created;
    int destroyed;
    int opened; /* on_connect, or a handler, has succeeded */
    int closed;
    int waited; /* GYR_PENDING was returned ... */
    int woken;  /* ... and was finished, or cancelled */
    int failures;
};

static struct tally *tally_of(const struct gyr_conn *conn)
{
    return visit_kit_of(conn)->context;
}

static void on_failure(struct gyr_conn *conn, const struct gyr_failure *failure)
{
    EXPECT(failure->err < 0 && failure->what != NULL, "what has failed");
    tally_of(conn)->failures++;
}

static void woken(void *arg)
{
    ((struct tally *)arg)->woken++;
}

static int wait(struct gyr_conn *conn)
{
    struct tally *tally = tally_of(conn);
    gyr_on_cancel(conn, woken, tally);
    tally->waited++;
    return GYR_PENDING;
}

static int make(struct gyr_conn *conn, void *user, void **pointer)
{
    *pointer = user;
    tally_of(conn)->made++;
    return 0;
}

static void drop(struct gyr_conn *conn, void *user, void *pointer)
{
    EXPECT(user == pointer, "what was made");
    tally_of(conn)->dropped++;
}

/* Take of everything that there is, and fail as it does. */
static int take(struct gyr_conn *conn, void *self)
{
    int err = gyr_state_set(conn, self, GYR_SPAN("key"), GYR_SPAN("a value of some bytes"));
    if (err == 0 && gyr_conn_alloc(conn, 100) == NULL) {
        err = GYR_ERR_MEMORY;
    }
    if (err == 0 && gyr_keep(conn, "kept", 4) == NULL) {
        err = GYR_ERR_MEMORY;
    }
    return err;
}

static int before(struct gyr_hook_call *call)
{
    if (call->event != GYR_BEFORE_CONNECT) {
        return call->message.size == 0 ? GYR_SKIP : wait(call->conn);
    }
    int err = gyr_set_param(call->conn, "more", GYR_SPAN("another value"));
    return err < 0 ? err : wait(call->conn);
}

static int after(struct gyr_hook_call *call)
{
    (void)gyr_keep(call->conn, "x", 1);
    return 0;
}

struct part {
    struct tool *tool;
};

static int create(struct gyr_conn *conn, void *self)
{
    int err = take(conn, self);
    if (err < 0) {
        return err;
    }
    tally_of(conn)->created++;
    return wait(conn);
}

static void destroy(struct gyr_conn *conn, void *self)
{
    (void)self;
    tally_of(conn)->destroyed++;
}

static int give(struct gyr_conn *conn, void *self)
{
    (void)self;
    return gyr_give_state(conn, NULL, NULL);
}

static int connect_(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)request;
    int err = gyr_subprotocol(conn, "chat");
    if (err == 0) {
        err = take(conn, self);
    }
    if (err == 0) {
        err = gyr_send(conn, GYR_TEXT, GYR_SPAN("early"));
    }
    return err < 0 ? gyr_refuse(conn, 503, GYR_SPAN("a text that takes memory, too")) : 0;
}

static int text(struct gyr_conn *conn, void *self, struct gyr_span message)
{
    (void)message;
    int err = take(conn, self);
    return err < 0 ? err : wait(conn);
}

static int opened(struct gyr_hook_call *call)
{
    tally_of(call->conn)->opened++;
    return 0;
}

static void disconnect(struct gyr_conn *conn, void *self, uint16_t close_code,
                       struct gyr_span reason)
{
    (void)self;
    (void)close_code;
    (void)reason;
    tally_of(conn)->closed++;
}

static const struct gyr_resource inner = {
    GYR_RESOURCE(part),
    .create = create,
    .destroy = destroy,
    .on_connect = connect_,
    .on_text = text,
    .on_disconnect = disconnect,
    .inputs = GYR_INPUTS(GYR_INPUT(part, tool, struct tool)),
    .hooks = GYR_HOOKS(GYR_HOOK("gone", .before_disconnect = opened)),
};
static const struct gyr_resource outer = {
    GYR_RESOURCE(part),
    .create = create,
    .destroy = destroy,
    .give = give,
    .inputs = GYR_INPUTS(GYR_INPUT(part, tool, struct tool)),
    .children = GYR_ROUTES(GYR_ROUTE("inner", &inner)),
};
static const struct gyr_route routes[] = {GYR_ROUTE("/{name}", &outer), {0}};
static const struct gyr_hook hooks[] = {
    GYR_HOOK("all", .before_connect = before, .after_connect = after, .before_receive = before,
             .after_receive = after),
    {0},
};

static void finish_all(struct visit_kit *visit_kit)
{
    struct tally *tally = visit_kit->context;
    struct kit *kit = &visit_kit->kit;
    while (!kit_is_closed(kit) && kit_conn(kit) != NULL && gyr_finish(kit_conn(kit), 0) == 0) {
        tally->woken++;
        kit_run(kit);
    }
}

/* One connection while so many bytes of the heap are left. True: it was served. */
static bool serve_with(struct visit_kit *visit_kit, size_t left)
{
    struct tally *tally = visit_kit->context;
    struct kit *kit = &visit_kit->kit;
    struct heap *heap = kit->core->heap;
    *tally = (struct tally){0};
    kit_connect(kit);
    size_t hog_size = kit->config.core_heap_size_max - heap_used(heap) - left;
    void *hog = heap_alloc(heap, hog_size);
    EXPECT(hog != NULL, "there is so much");
    static const char REQUEST[] =
        "GET /a%20name/inner HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: " KIT_KEY "\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: chat\r\n\r\n";
    kit_input(kit, REQUEST, sizeof(REQUEST) - 1);
    finish_all(visit_kit);
    bool accepted = visit_kit_status(visit_kit) == 101;
    if (accepted && !kit_is_closed(kit)) {
        KIT_FRAME(kit, 0x81, "hello");
        finish_all(visit_kit);
    }
    bool whole = tally->failures == 0 && accepted && !visit_kit_answered(visit_kit, "\x88");
    kit_reset(kit);
    heap_free(heap, hog, hog_size);
    EXPECT_INT(tally->dropped, tally->made, "what was made is dropped");
    EXPECT_INT(tally->destroyed, tally->created, "what was created is destroyed");
    EXPECT_INT(tally->closed, tally->opened, "what was opened is closed");
    EXPECT_INT(tally->woken, tally->waited, "what waited was woken or cancelled");
    EXPECT_INT(visit_kit_heap(visit_kit), 0, "every byte has come back");
    kit_forget(kit);
    return whole;
}

void visit_memory_that_is_used_up_leaves_nothing_behind(void)
{
    static int tool;
    static const struct gyr_maker maker = GYR_MAKER("tool", struct tool, make, drop, &tool);
    struct tally tally;
    struct visit_kit visit_kit;
    struct gyr_error error;
    size_t served = 0;
    size_t refused = 0;
    bool begun = false;
    for (size_t left = 0; left < 8192; left += 24) {
        if (!begun) {
            visit_kit_init(&visit_kit);
            visit_kit.context = &tally;
            visit_kit.options.on_failure = on_failure;
            visit_kit_app(&visit_kit);
            EXPECT_INT(gyr_app_maker(visit_kit.app, &maker, &error), 0, error.text);
            EXPECT_INT(gyr_app_routes(visit_kit.app, "", routes), 0, "routes");
            EXPECT_INT(gyr_app_hooks(visit_kit.app, NULL, hooks, &error), 0, error.text);
            visit_kit_start(&visit_kit);
        }
        begun = true;
        bool whole = serve_with(&visit_kit, left);
        served += whole;
        refused += !whole;
        if ((left / 24) % 100 == 99 || left + 24 >= 8192) {
            visit_kit_end(&visit_kit);
            begun = false;
        }
    }
    EXPECT(served > 50 && refused > 50, "there was enough for some, and not for others");
}
