/* SPDX-License-Identifier: MIT */
/* Hooks of messages: what they may change, what they see, and in which order those of bases and of
 * later additions run. Which of them run at all is gone through in test_visit_order.c. */
#include "router/visit.h"
#include "tests/parser_kit.h"
#include "tests/visit_kit.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>

static int echo_text(struct gyr_conn *conn, void *self, struct gyr_span message)
{
    (void)self;
    visit_trace(conn, "[%.*s]", (int)message.size, message.ptr);
    /* The padding can be read; a sanitizer would object. */
    unsigned sum = 0;
    for (size_t i = 0; i < GYR_MESSAGE_PADDING; i++) {
        sum += ((const volatile unsigned char *)message.ptr)[message.size + i];
    }
    (void)sum;
    if (message.size == 4 && memcmp(message.ptr, "high", 4) == 0) {
        return GYR_QUEUE_HIGH;
    }
    return message.size == 4 && memcmp(message.ptr, "wait", 4) == 0 ? GYR_PENDING : 0;
}

/* ---- what they may change ---- */

static int change_before(struct gyr_hook_call *call)
{
    EXPECT_INT(call->opcode, GYR_TEXT, "the frame's kind");
    EXPECT(call->request == NULL && call->err == 0, "of a connect, and of an after");
    if (call->message.size != 0 && call->message.ptr[0] == '>') {
        /* A view of what has come. */
        call->message.ptr++;
        call->message.size--;
    } else if (call->message.size != 0 && call->message.ptr[0] == '*') {
        const char *copy = gyr_keep(call->conn, "replaced", 8);
        call->message = (struct gyr_span){copy, 8};
    } else if (call->message.size != 0 && call->message.ptr[0] == '#') {
        return GYR_SKIP;
    }
    return 0;
}

static void on_cancel(void *arg)
{
    visit_trace(arg, "cancel");
}

static int wait_before(struct gyr_hook_call *call)
{
    gyr_on_cancel(call->conn, on_cancel, call->conn);
    visit_trace(call->conn, "%.*s", (int)call->message.size, call->message.ptr);
    return call->message.size != 0 && call->message.ptr[0] == '?' ? GYR_PENDING : 0;
}

static int see_after(struct gyr_hook_call *call)
{
    visit_trace(call->conn, "(%.*s)", (int)call->message.size, call->message.ptr);
    return 0;
}

static const struct gyr_resource changed = {
    GYR_RESOURCE_PLAIN("changed"),
    .on_text = echo_text,
    .hooks =
        GYR_HOOKS(GYR_HOOK("change", .before_receive = change_before, .after_receive = see_after),
                  GYR_HOOK("wait", .before_receive = wait_before)),
};
static const struct gyr_route changed_routes[] = {GYR_ROUTE("/", &changed), {0}};

static void say(struct visit_kit *visit_kit, const char *text, bool waits, const char *trace)
{
    struct kit *kit = &visit_kit->kit;
    kit_input_frame(kit, 0x81, text, strlen(text));
    if (waits) {
        /* The next message waits, too, and its bytes come over those of this one. */
        KIT_FRAME(kit, 0x81, "XXXXXXXXXXXX");
        EXPECT_INT(gyr_finish(kit_conn(kit), 0), 0, text);
        kit_run(kit);
    }
    EXPECT_TRACE(visit_kit, trace, text);
}

void hook_before_may_replace_or_skip_a_message(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, changed_routes);
    visit_kit_upgrade(&visit_kit, "/", "");
    uint64_t heap = visit_kit_heap(&visit_kit);
    say(&visit_kit, "plain", false, "plain [plain] (plain)");
    say(&visit_kit, ">part", false, "part [part] (part)");
    say(&visit_kit, "*", false, "replaced [replaced] (replaced)");
    say(&visit_kit, "#", false, "");
    say(&visit_kit, "", false, " [] ()");
    say(&visit_kit, "?x", true, "?x [?x] (?x) XXXXXXXXXXXX [XXXXXXXXXXXX] (XXXXXXXXXXXX)");
    say(&visit_kit, ">?x", true, "?x [?x] (?x) XXXXXXXXXXXX [XXXXXXXXXXXX] (XXXXXXXXXXXX)");
    say(&visit_kit, "wait", true, "wait [wait] () XXXXXXXXXXXX [XXXXXXXXXXXX] (XXXXXXXXXXXX)");
    EXPECT_INT(visit_kit_heap(&visit_kit), heap, "what was kept has gone");
    visit_kit_end(&visit_kit);
}

void hook_that_waits_without_memory_fails(void)
{
    struct visit_kit visit_kit;
    visit_kit_init(&visit_kit);
    visit_kit.told = true;
    visit_kit.options.failure_policy = GYR_FAILURE_KEEP;
    visit_kit_app(&visit_kit);
    EXPECT_INT(gyr_app_routes(visit_kit.app, "", changed_routes), 0, "routes");
    visit_kit_start(&visit_kit);
    visit_kit_upgrade(&visit_kit, "/", "");
    struct core *core = visit_kit.kit.core;
    size_t size = visit_kit.kit.config.core_heap_size_max - heap_used(core->heap) - 32;
    void *hog = heap_alloc(core->heap, size);
    EXPECT(hog != NULL, "all but 32 bytes");
    say(&visit_kit, "?x", false, "?x cancel !before_receive:changed.wait-5004 (?x)");
    heap_free(core->heap, hog, size);
    say(&visit_kit, "goes on", false, "goes on [goes on] (goes on)");
    visit_kit_end(&visit_kit);
}

void hook_round_a_handler_does_not_hide_a_queue_that_is_high(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, changed_routes);
    visit_kit_upgrade(&visit_kit, "/", "");
    struct gyr_conn *conn = kit_conn(&visit_kit.kit);
    kit_room(&visit_kit.kit, 0);
    char big[1000];
    memset(big, 'b', sizeof(big));
    int err = 0;
    while (err == 0) {
        err = gyr_send(conn, GYR_TEXT, (struct gyr_span){big, sizeof(big)});
    }
    EXPECT_INT(err, GYR_QUEUE_HIGH, "the queue is high");
    say(&visit_kit, "high", false, "high [high] (high)");
    say(&visit_kit, "next", false, "");
    kit_room(&visit_kit.kit, SIZE_MAX);
    EXPECT_TRACE(&visit_kit, "next [next] (next)", "when it has drained");
    EXPECT_INT(visit_message(conn, GYR_TEXT, GYR_SPAN("last")), 0, "it is not high any more");
    EXPECT_TRACE(&visit_kit, "last [last] (last)", "it is not high any more");
    visit_kit_end(&visit_kit);
}

/* ---- in which order ---- */

static int name_before(struct gyr_hook_call *call)
{
    visit_trace(call->conn, "%s", (const char *)call->user);
    EXPECT((call->resource == NULL) == (((const char *)call->user)[0] == 'g'), "whose layer");
    return 0;
}

static int name_after(struct gyr_hook_call *call)
{
    visit_trace(call->conn, "-%s", (const char *)call->user);
    return 0;
}

#define NAMED(text)                                                            \
    GYR_HOOK(text, .before_receive = name_before, .after_receive = name_after, \
             .user = (char[]){text})

static const struct gyr_resource base = {GYR_RESOURCE_PLAIN("base"), .on_text = echo_text,
                                         .hooks = GYR_HOOKS(NAMED("base"))};
static const struct gyr_resource derived = {GYR_RESOURCE_PLAIN("derived"), .base = &base,
                                            .hooks = GYR_HOOKS(NAMED("one"), NAMED("two"))};
static const struct gyr_resource over = {
    GYR_RESOURCE_PLAIN("over"), .on_text = echo_text, .hooks = GYR_HOOKS(NAMED("over")),
    .children = GYR_ROUTES(GYR_ROUTE("base", &base), GYR_ROUTE("derived", &derived))};
static const struct gyr_route order_routes[] = {GYR_ROUTE("/over", &over), {0}};
static const struct gyr_hook globals[] = {NAMED("g1"), NAMED("g2"), {0}};
static const struct gyr_hook late[] = {NAMED("late"), {0}};
static const struct gyr_hook own[] = {NAMED("own"), {0}};

void hook_layers_lie_round_each_other(void)
{
    struct visit_kit visit_kit;
    struct gyr_error error;
    visit_kit_init(&visit_kit);
    visit_kit_app(&visit_kit);
    EXPECT_INT(gyr_app_routes(visit_kit.app, "", order_routes), 0, "routes");
    EXPECT_INT(gyr_app_hooks(visit_kit.app, &derived, own, &error), 0, error.text);
    EXPECT_INT(gyr_app_hooks(visit_kit.app, &base, late, &error), 0, error.text);
    EXPECT_INT(gyr_app_hooks(visit_kit.app, NULL, globals, &error), 0, error.text);
    visit_kit_start(&visit_kit);
    visit_kit_upgrade(&visit_kit, "/over/derived", "");
    say(&visit_kit, "x", false,
        "g1 g2 over base late one two own [x] -own -two -one -late -base -over -g2 -g1");
    visit_kit_upgrade(&visit_kit, "/over/base", "");
    say(&visit_kit, "x", false, "g1 g2 over base late [x] -late -base -over -g2 -g1");
    visit_kit_upgrade(&visit_kit, "/over", "");
    say(&visit_kit, "x", false, "g1 g2 over [x] -over -g2 -g1");
    visit_kit_end(&visit_kit);
}
