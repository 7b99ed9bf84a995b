/* SPDX-License-Identifier: MIT */
/* Flat messages that have a member "id" of their own are no requests, whatever becomes of them. */
#include "router/dispatch.h"

#include "tests/app_probe.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

struct move {
    int64_t id;
    int32_t x;
};
GYR_MESSAGE(move, "move", GYR_MEMBER(move, id), GYR_MEMBER(move, x));

static int on_move(struct gyr_conn *conn, void *self, const struct move *move)
{
    struct gyr_span id = gyr_message_id(conn);
    app_kit_note(probe_kit(self), "move %lld, id '%.*s', answer %d", (long long)move->id,
                 (int)id.size, id.ptr, gyr_answer(conn, &move_schema, move));
    return move->x == 0 ? GYR_ERR_NOT_FOUND : 0;
}

static int on_moved(struct gyr_conn *conn, void *self, const struct move *move,
                    const struct gyr_fault *fault, void *arg)
{
    struct gyr_span id = gyr_message_id(conn);
    (void)arg;
    app_kit_note(probe_kit(self), "moved %lld, id '%.*s'", move != NULL ? (long long)move->id : -1,
                 (int)id.size, id.ptr);
    return move == NULL && fault->reason != GYR_REASON_FAILED ? GYR_ERR_NOT_FOUND : 0;
}

static int on_ask(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    const struct ping question = {.text = GYR_SPAN("where?")};
    (void)self;
    (void)payload;
    return GYR_ASK(conn, ping, &question, move, 1000, on_moved, NULL);
}

#define MOVER                                                                 \
    .handlers = GYR_HANDLERS(GYR_ON(move, on_move), GYR_ON(ping, probe_ping), \
                             GYR_ON_RAW("ask", on_ask), GYR_ON_RAW("raw", on_ask))

static const struct gyr_resource flat = {PROBE("flat"), MOVER};
static const struct gyr_resource told = {PROBE("told"), MOVER, .on_unhandled = probe_unhandled};
static const struct gyr_resource envelope = {PROBE("envelope"), MOVER, .form = GYR_FORM_ENVELOPE,
                                             .on_unhandled = probe_unhandled};
static const struct gyr_route routes[] = {
    GYR_ROUTE("/flat", &flat), GYR_ROUTE("/told", &told), GYR_ROUTE("/envelope", &envelope), {0}};

void dispatch_takes_no_message_with_its_own_id_for_a_request(void)
{
    static const struct {
        const char *said;
        const char *noted;
    } table[] = {
        {"{\"type\":\"move\",\"id\":7,\"x\":1}", "move 7, id '', answer -5003\n"},
        {"{\"type\":\"move\",\"id\":7,\"x\":0}", "move 7, id '', answer -5003\n"},
        {"{\"type\":\"move\",\"id\":7}", ""},
        {"{\"type\":\"move\",\"id\":\"7\",\"x\":1}", ""},
        {"{\"type\":\"move\",\"id\":7,\"x\":1,\"y\":1}", ""},
        {"{\"type\":\"move\",\"id\":7,\"x\":1,\"re\":1}", ""},
    };
    struct app_kit kit;
    app_kit_init(&kit);
    app_kit_start(&kit, routes);
    (void)app_kit_open(&kit, "/flat");
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        app_kit_say(&kit, table[i].said);
        EXPECT(app_kit_noted(&kit, table[i].noted), table[i].said);
        EXPECT(app_kit_got(&kit, ""), "nobody has asked");
    }
    app_kit_say(&kit, "{\"type\":\"gone\",\"id\":7}");
    EXPECT(app_kit_got(&kit, "{\"type\":\"error\",\"re\":7,\"code\":\"unknown_tag\",\"reason\":"
                             "\"there is no message of this type\",\"path\":\"\"}\n"),
           "nobody knows better of one that nobody knows");
    (void)app_kit_open(&kit, "/told");
    app_kit_say(&kit, "{\"type\":\"move\",\"id\":7}");
    EXPECT(app_kit_noted(&kit, "text missing 'x' tag 'move' id ''\n"), "on_unhandled");
    app_kit_end(&kit);
}

void dispatch_takes_no_answer_with_its_own_id_for_a_request(void)
{
    struct app_kit kit;
    app_kit_init(&kit);
    app_kit_start(&kit, routes);
    (void)app_kit_open(&kit, "/told");
    app_kit_say(&kit, "{\"type\":\"ask\"}");
    EXPECT(app_kit_got(&kit, "{\"type\":\"ping\",\"id\":1,\"text\":\"where?\"}\n"), "asked");
    app_kit_say(&kit, "{\"type\":\"move\",\"re\":1,\"id\":9,\"x\":1}");
    EXPECT(app_kit_noted(&kit, "moved 9, id ''\n"), "it is the member's");
    app_kit_say(&kit, "{\"type\":\"ask\"}");
    app_kit_say(&kit, "{\"type\":\"move\",\"re\":2,\"id\":9}");
    EXPECT(app_kit_noted(&kit, "moved -1, id ''\n"), "and if it does not fit");
    EXPECT(app_kit_got(&kit, "{\"type\":\"ping\",\"id\":2,\"text\":\"where?\"}\n"), "no error");
    (void)app_kit_open(&kit, "/envelope");
    app_kit_say(&kit, "{\"type\":\"move\",\"id\":\"q\",\"payload\":{\"id\":9,\"x\":1}}");
    EXPECT(app_kit_noted(&kit, "move 9, id '\"q\"', answer 0\n"), "in an envelope there are two");
    app_kit_end(&kit);
}
