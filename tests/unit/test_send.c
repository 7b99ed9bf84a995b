/* SPDX-License-Identifier: MIT */
/* Messages on their way out: sent, published, and as answers to requests, at once and later. */
#include "router/send.h"

#include "engine/core.h"
#include "engine/memory.h"
#include "tests/app_probe.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct said {
    struct gyr_span text;
    int32_t n;
};
GYR_MESSAGE(said, "said", GYR_MEMBER(said, text), GYR_MEMBER(said, n, GYR_OPTIONAL));

/* ---- sending --------------------------------------------------------------------------------- */

static int greet(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)self;
    (void)request;
    return GYR_SEND(conn, said, .text = GYR_SPAN("welcome"));
}

static int do_echo(struct gyr_conn *conn, void *self, const struct ping *ping)
{
    (void)self;
    return GYR_SEND(conn, said, .text = ping->text, .n = (int32_t)ping->text.size);
}

static int do_bad(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    (void)payload;
    int err = GYR_SEND(conn, said, .text = GYR_SPAN("\xff"));
    app_kit_note(probe_kit(self), "%s", gyr_strerror(err));
    return 0;
}

static int do_large(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    static char text[50000];
    (void)payload;
    memset(text, 'x', sizeof(text));
    int err = GYR_SEND(conn, said, .text = {text, sizeof(text)});
    app_kit_note(probe_kit(self), "%s", gyr_strerror(err));
    return 0;
}

static int do_join(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    (void)self;
    (void)payload;
    return gyr_join(conn, GYR_SPAN("a"));
}

static int do_publish(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    (void)self;
    (void)payload;
    return GYR_PUBLISH(conn, GYR_SPAN("a"), said, .text = GYR_SPAN("all"));
}

static int do_publish_others(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    (void)self;
    (void)payload;
    return GYR_PUBLISH_OTHERS(conn, GYR_SPAN("a"), said, .text = GYR_SPAN("others"), .n = 2);
}

static int do_publish_bad(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    (void)payload;
    int err = GYR_PUBLISH(conn, GYR_SPAN("a"), said, .text = GYR_SPAN("\xff"));
    int others = GYR_PUBLISH_OTHERS(conn, GYR_SPAN("a"), said, .text = GYR_SPAN("\xff"));
    app_kit_note(probe_kit(self), "%d %d", err == GYR_ERR_ARGUMENT, others == GYR_ERR_ARGUMENT);
    return 0;
}

/* ---- answering ------------------------------------------------------------------------------- */

static int do_answer(struct gyr_conn *conn, void *self, const struct ping *ping)
{
    struct app_kit *kit = probe_kit(self);
    struct gyr_span id = gyr_message_id(conn);
    app_kit_note(kit, "id %.*s", (int)id.size, id.ptr);
    int err = GYR_ANSWER(conn, said, .text = ping->text);
    int again = GYR_ANSWER(conn, said, .text = ping->text);
    app_kit_note(kit, "%s, again: %s", err == 0 ? "answered" : gyr_strerror(err),
                 again == GYR_ERR_STATE ? "no" : "yes");
    return 0;
}

static int do_refuse(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    (void)payload;
    int err = gyr_answer_error(conn, "busy", "come \"later\"", "a.b");
    app_kit_note(probe_kit(self), "%d %d", err,
                 gyr_answer_error(conn, "busy", "twice", NULL) == GYR_ERR_STATE);
    return 0;
}

static int do_answer_and_fail(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    (void)self;
    (void)payload;
    int err = GYR_ANSWER(conn, said, .text = GYR_SPAN("done"));
    return err < 0 ? err : GYR_ERR_NOT_FOUND;
}

static int do_wait(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    (void)conn;
    (void)payload;
    app_kit_note(probe_kit(self), "waits");
    return GYR_PENDING;
}

static int unhandled_waits(struct gyr_conn *conn, void *self, const struct gyr_unhandled *unhandled)
{
    (void)probe_unhandled(conn, self, unhandled);
    return GYR_PENDING;
}

static int unhandled_answers(struct gyr_conn *conn, void *self,
                             const struct gyr_unhandled *unhandled)
{
    (void)self;
    return gyr_answer_error(conn, "mine", "I have looked at it",
                            gyr_reason_code(unhandled->fault->reason));
}

#define HANDLERS                                                                                  \
    GYR_HANDLERS(GYR_ON(ping, do_answer), GYR_ON_RAW("bad", do_bad), GYR_ON_RAW("join", do_join), \
                 GYR_ON_RAW("publish", do_publish), GYR_ON_RAW("others", do_publish_others),      \
                 GYR_ON_RAW("refuse", do_refuse),                                                 \
                 GYR_ON_RAW("answer_and_fail", do_answer_and_fail),                               \
                 GYR_ON_RAW("publish_bad", do_publish_bad), GYR_ON_RAW("wait", do_wait),          \
                 GYR_ON_RAW("large", do_large))

static const struct gyr_resource flat = {PROBE("flat"), .handlers = HANDLERS};
static const struct gyr_resource envelope = {PROBE("envelope"), .handlers = HANDLERS,
                                             .form = GYR_FORM_ENVELOPE, .tag_name = "kind"};
static const struct gyr_resource echo = {PROBE("echo"), .on_connect = greet,
                                         .handlers = GYR_HANDLERS(GYR_ON(ping, do_echo))};
static const struct gyr_resource waits = {PROBE("waits"), .on_unhandled = unhandled_waits};
static const struct gyr_resource answers = {PROBE("answers"), .on_unhandled = unhandled_answers};
static const struct gyr_route routes[] = {
    GYR_ROUTE("/flat", &flat),   GYR_ROUTE("/envelope", &envelope), GYR_ROUTE("/echo", &echo),
    GYR_ROUTE("/waits", &waits), GYR_ROUTE("/answers", &answers),   {0}};

static void begin(struct app_kit *kit, const char *path)
{
    app_kit_init(kit);
    kit->options.on_failure = probe_failure;
    app_kit_start(kit, routes);
    (void)app_kit_open(kit, path);
}

void send_writes_messages_in_the_form_of_the_resource(void)
{
    struct app_kit kit;
    begin(&kit, "/echo");
    EXPECT(app_kit_got(&kit, "{\"type\":\"said\",\"text\":\"welcome\",\"n\":0}\n"),
           "behind the 101");
    app_kit_say(&kit, "{\"type\":\"ping\",\"text\":\"a\\\"b\\u00e9\"}");
    EXPECT(app_kit_got(&kit, "{\"type\":\"said\",\"text\":\"a\\\"b\xc3\xa9\",\"n\":5}\n"), "flat");
    (void)app_kit_open(&kit, "/envelope");
    app_kit_say(&kit, "{\"kind\":\"ping\",\"id\":1,\"payload\":{\"text\":\"x\"}}");
    EXPECT(app_kit_got(&kit, "{\"kind\":\"said\",\"re\":1,\"payload\":{\"text\":\"x\",\"n\":0}}\n"),
           "in an envelope");
    app_kit_say(&kit, "{\"kind\":\"bad\"}");
    EXPECT(app_kit_got(&kit, ""), "what is not UTF-8 is not sent");
    EXPECT(app_kit_noted(&kit, "id 1\nanswered, again: no\nan argument is out of its range\n"),
           "and told");
    app_kit_end(&kit);
}

/* Sizes round those at which memory is taken, kept and given back. */
void send_writes_messages_of_any_size(void)
{
    static const size_t sizes[] = {0, 1, 4000, 16300, 16384, 17000, 60000, 65536, 70000, 3, 131072};
    struct app_kit kit;
    begin(&kit, "/echo");
    (void)app_kit_got(&kit, "{\"type\":\"said\",\"text\":\"welcome\",\"n\":0}\n");
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        size_t size = sizes[i];
        char *said = malloc(size + 64);
        char *got = malloc(size + 64);
        if (said == NULL || got == NULL) {
            abort();
        }
        int head = snprintf(said, 64, "{\"type\":\"ping\",\"text\":\"");
        memset(said + head, 'x', size);
        (void)snprintf(said + head + size, 64 - (size_t)head, "\"}");
        head = snprintf(got, 64, "{\"type\":\"said\",\"text\":\"");
        memset(got + head, 'x', size);
        (void)snprintf(got + head + size, 64 - (size_t)head, "\",\"n\":%zu}\n", size);
        app_kit_say(&kit, said);
        EXPECT(app_kit_got(&kit, got), "all of it");
        EXPECT(app_core_of((struct gyr_core *)kit.hub.kit.core)->out_size <= 65536,
               "what is more is given back");
        free(said);
        free(got);
    }
    app_kit_end(&kit);
}

void send_tells_what_never_fits_a_queue(void)
{
    struct app_kit kit;
    app_kit_init(&kit);
    kit.options.on_failure = probe_failure;
    kit.hub.kit.config.send_queue_size_max = 4096;
    kit.hub.kit.config.send_queue_high = 2048;
    kit.hub.kit.config.send_queue_low = 1024;
    app_kit_start(&kit, routes);
    (void)app_kit_open(&kit, "/echo");
    (void)app_kit_got(&kit, "{\"type\":\"said\",\"text\":\"welcome\",\"n\":0}\n");
    char said[6000];
    int head = snprintf(said, sizeof(said), "{\"type\":\"ping\",\"text\":\"");
    memset(said + head, 'x', 5000);
    (void)snprintf(said + head + 5000, 10, "\"}");
    app_kit_say(&kit, said);
    EXPECT(app_kit_got(&kit, ""), "nothing is sent");
    EXPECT(app_kit_noted(&kit, "failure handler echo do_echo: the queue is full; wait for "
                               "on_drain\n"),
           "it is told");
    app_kit_end(&kit);
}

void send_publishes_in_the_form_of_the_publisher(void)
{
    struct app_kit kit;
    begin(&kit, "/flat");
    int first = kit.hub.kit.fd;
    app_kit_say(&kit, "{\"type\":\"join\"}");
    (void)app_kit_open(&kit, "/flat");
    int second = kit.hub.kit.fd;
    app_kit_say(&kit, "{\"type\":\"join\"}");
    app_kit_say(&kit, "{\"type\":\"publish\"}");
    app_kit_say(&kit, "{\"type\":\"others\"}");
    EXPECT(app_kit_got(&kit, "{\"type\":\"said\",\"text\":\"all\",\"n\":0}\n"), "all get it");
    kit.hub.kit.fd = first;
    EXPECT(app_kit_got(&kit, "{\"type\":\"said\",\"text\":\"all\",\"n\":0}\n"
                             "{\"type\":\"said\",\"text\":\"others\",\"n\":2}\n"),
           "all, and what is for the others");
    kit.hub.kit.fd = second;
    app_kit_say(&kit, "{\"type\":\"publish_bad\"}");
    EXPECT(app_kit_noted(&kit, "1 1\n"), "what cannot be encoded is not published");
    EXPECT(app_kit_got(&kit, ""), "to anybody");
    app_kit_end(&kit);
}

/* From the frame to the reply: all that is handed out is taken, and it goes on as before. */
void send_of_a_reply_to_a_typed_message_takes_no_memory(void)
{
    struct app_kit kit;
    app_kit_init(&kit);
    kit.hub.kit.config.core_heap_size_max = 1 << 22;
    app_kit_start(&kit, routes);
    (void)app_kit_open(&kit, "/flat");
    static const char ask[] = "{\"type\":\"ping\",\"text\":\"a\\n\\u00e9\",\"id\":7}";
    static const char answer[] = "{\"type\":\"said\",\"re\":7,\"text\":\"a\\n\xc3\xa9\",\"n\":0}\n";
    app_kit_say(&kit, ask);
    EXPECT(app_kit_got(&kit, answer), "the first one");
    struct core *core = kit.hub.kit.core;
    const struct arena *arena = &app_core_of((struct gyr_core *)core)->arena;
    const void *block = arena->first;
    size_t held = arena->size;
    size_t size = (size_t)(kit.hub.kit.config.core_heap_size_max - heap_used(core->heap));
    void *all = heap_alloc(core->heap, size);
    EXPECT(all != NULL && heap_alloc(core->heap, 1) == NULL, "nothing is left");
    for (unsigned i = 0; i < 1000; i++) {
        app_kit_say(&kit, ask);
        EXPECT(app_kit_got(&kit, answer), "and still it is answered");
    }
    EXPECT(arena->first == block && arena->size == held, "in the same memory");
    heap_free(core->heap, all, size);
    kit.notes.size = 0;
    app_kit_end(&kit);
}

/* ---- answers --------------------------------------------------------------------------------- */

void send_answers_a_request_once(void)
{
    struct app_kit kit;
    begin(&kit, "/flat");
    app_kit_say(&kit, "{\"type\":\"ping\",\"text\":\"x\",\"id\":\"a\"}");
    EXPECT(app_kit_noted(&kit, "id \"a\"\nanswered, again: no\n"), "answered once");
    EXPECT(app_kit_got(&kit, "{\"type\":\"said\",\"re\":\"a\",\"text\":\"x\",\"n\":0}\n"), "it is");
    app_kit_say(&kit, "{\"type\":\"ping\",\"text\":\"x\"}");
    EXPECT(app_kit_noted(&kit, "id \nthis call is not allowed in this state, again: no\n"),
           "what is no request has no answer");
    app_kit_say(&kit, "{\"type\":\"refuse\",\"id\":-5}");
    EXPECT(app_kit_got(&kit, "{\"type\":\"error\",\"re\":-5,\"code\":\"busy\","
                             "\"reason\":\"come \\\"later\\\"\",\"path\":\"a.b\"}\n"),
           "an error");
    EXPECT(app_kit_noted(&kit, "0 1\n"), "once");
    app_kit_say(&kit, "{\"type\":\"refuse\"}");
    EXPECT(app_kit_got(&kit, ""), "nobody asked, so nobody is told");
    EXPECT(app_kit_noted(&kit, "0 0\n"), "and that is no failure");
    app_kit_say(&kit, "{\"type\":\"answer_and_fail\",\"id\":1}");
    EXPECT(app_kit_got(&kit, "{\"type\":\"said\",\"re\":1,\"text\":\"done\",\"n\":0}\n"),
           "no second answer when it fails");
    kit.notes.size = 0;
    app_kit_end(&kit);
}

void send_answers_a_request_once_though_the_queue_is_high(void)
{
    struct app_kit kit;
    begin(&kit, "/flat");
    kit_room(&kit.hub.kit, 0);
    char big[1000];
    memset(big, 'b', sizeof(big));
    int err = 0;
    while (err == 0) {
        err = gyr_send(kit.conn, GYR_TEXT, (struct gyr_span){big, sizeof(big)});
    }
    EXPECT_INT(err, GYR_QUEUE_HIGH, "the queue is high");
    static const char ask[] = "{\"type\":\"refuse\",\"id\":-5}";
    char padded[sizeof(ask) + GYR_MESSAGE_PADDING] = {0};
    memcpy(padded, ask, sizeof(ask));
    (void)visit_message(kit.conn, GYR_TEXT, (struct gyr_span){padded, sizeof(ask) - 1});
    EXPECT(app_kit_noted(&kit, "3 1\n"), "answered, and not again");
    app_kit_end(&kit);
}

void send_answers_what_was_pending(void)
{
    struct app_kit kit;
    begin(&kit, "/flat");
    app_kit_say(&kit, "{\"type\":\"wait\",\"id\":\"a long enough id to be kept\"}");
    app_kit_say(&kit, "{\"type\":\"ping\",\"text\":\"next\"}");
    EXPECT(app_kit_noted(&kit, "waits\n"), "the next one waits");
    EXPECT_SPAN(span_of(gyr_message_id(kit.conn).ptr, gyr_message_id(kit.conn).size),
                "\"a long enough id to be kept\"", "its id is still there");
    EXPECT_INT(GYR_ANSWER(kit.conn, said, .text = GYR_SPAN("late")), 0, "answered");
    EXPECT_INT(gyr_finish(kit.conn, 0), 0, "finished");
    kit_run(&kit.hub.kit);
    EXPECT(app_kit_got(&kit, "{\"type\":\"said\",\"re\":\"a long enough id to be kept\","
                             "\"text\":\"late\",\"n\":0}\n"),
           "the answer");
    EXPECT(app_kit_noted(&kit, "id \nthis call is not allowed in this state, again: no\n"),
           "and then the next one, without its id");
    EXPECT_INT(gyr_message_id(kit.conn).size, 0, "nothing is being handled");
    EXPECT_INT(GYR_ANSWER(kit.conn, said, .text = GYR_SPAN("x")), GYR_ERR_STATE, "nor answered");

    app_kit_say(&kit, "{\"type\":\"wait\",\"id\":2}");
    EXPECT_INT(gyr_finish(kit.conn, GYR_ERR_NOT_FOUND), 0, "finished with an error");
    kit_run(&kit.hub.kit);
    EXPECT(app_kit_got(&kit, "{\"type\":\"error\",\"re\":2,\"code\":\"failed\","
                             "\"reason\":\"the server could not do it\",\"path\":\"\"}\n"),
           "answered");
    EXPECT(app_kit_noted(&kit, "waits\nfailure handler flat do_wait: "
                               "nobody has this id, or nothing this name\n"),
           "and told by name");
    app_kit_end(&kit);
}

void send_answers_what_on_unhandled_leaves_pending(void)
{
    struct app_kit kit;
    begin(&kit, "/waits");
    app_kit_say(&kit, "{\"type\":\"x\",\"id\":2}");
    EXPECT_INT(gyr_finish(kit.conn, GYR_ERR_NOT_FOUND), 0, "finished with an error");
    kit_run(&kit.hub.kit);
    EXPECT(app_kit_got(&kit, "{\"type\":\"error\",\"re\":2,\"code\":\"failed\","
                             "\"reason\":\"the server could not do it\",\"path\":\"\"}\n"),
           "answered");
    EXPECT(app_kit_noted(&kit, "text unknown_tag '' tag 'x' id '2'\nfailure on_unhandled waits -: "
                               "nobody has this id, or nothing this name\n"),
           "told");
    app_kit_say(&kit, "{\"type\":\"x\",\"id\":3}");
    EXPECT_INT(gyr_finish(kit.conn, 0), 0, "finished");
    kit_run(&kit.hub.kit);
    EXPECT(app_kit_got(&kit, ""), "on_unhandled decides whether there is an answer");
    (void)app_kit_open(&kit, "/answers");
    app_kit_say(&kit, "{\"type\":\"x\",\"id\":4}");
    EXPECT(app_kit_got(&kit, "{\"type\":\"error\",\"re\":4,\"code\":\"mine\","
                             "\"reason\":\"I have looked at it\",\"path\":\"unknown_tag\"}\n"),
           "it may answer");
    kit.notes.size = 0;
    app_kit_end(&kit);
}

void send_answers_later_by_a_copied_id(void)
{
    static const struct {
        const char *id;
        bool is_good;
    } ids[] = {
        {"\"a\"", true},     {"17", true},  {"-1.5e3", true}, {"\"\\u0041\"", true},
        {"", false},         {"a", false},  {"\"a", false},   {"\"a\"b", false},
        {"1 2", false},      {"{}", false}, {"[1]", false},   {"null", false},
        {"true", false},     {"01", false}, {"-", false},     {"\"a\",\"b\":\"c\"", false},
        {"\"\xff\"", false},
    };
    struct app_kit kit;
    begin(&kit, "/flat");
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        struct gyr_span id = {ids[i].id, strlen(ids[i].id)};
        const struct said said = {.text = GYR_SPAN("x")};
        char got[128] = "";
        if (ids[i].is_good) {
            (void)snprintf(got, sizeof(got),
                           "{\"type\":\"said\",\"re\":%s,\"text\":\"x\",\"n\":0}\n", ids[i].id);
        }
        EXPECT_INT(gyr_answer_to(kit.conn, id, &said_schema, &said),
                   ids[i].is_good ? 0 : GYR_ERR_ARGUMENT, ids[i].id);
        kit_run(&kit.hub.kit);
        EXPECT(app_kit_got(&kit, got), ids[i].id);
        if (ids[i].is_good) {
            (void)snprintf(got, sizeof(got),
                           "{\"type\":\"error\",\"re\":%s,\"code\":\"c\",\"reason\":\"r\","
                           "\"path\":\"p\"}\n",
                           ids[i].id);
        }
        EXPECT_INT(gyr_answer_error_to(kit.conn, id, "c", "r", "p"),
                   ids[i].is_good ? 0 : GYR_ERR_ARGUMENT, ids[i].id);
        kit_run(&kit.hub.kit);
        EXPECT(app_kit_got(&kit, got), ids[i].id);
    }
    char longest[80];
    memset(longest, 'i', sizeof(longest));
    longest[0] = '"';
    const struct said said = {.text = GYR_SPAN("x")};
    for (size_t size = 66; size <= 67; size++) {
        longest[size - 2] = 'i';
        longest[size - 1] = '"';
        EXPECT_INT(gyr_answer_to(kit.conn, (struct gyr_span){longest, size}, &said_schema, &said),
                   size == 66 ? 0 : GYR_ERR_ARGUMENT, "up to 64 bytes");
    }
    app_kit_end(&kit);
}

/* ---- without memory -------------------------------------------------------------------------- */

void send_without_memory_says_so_and_goes_on(void)
{
    struct app_kit kit;
    begin(&kit, "/flat");
    struct fan_ballast ballast = fan_heap_fill(&kit.hub.kit, 4096);
    app_kit_say(&kit, "{\"type\":\"large\"}");
    EXPECT(app_kit_noted(&kit, "the core's memory budget is used up\n"), "told");
    EXPECT(app_kit_got(&kit, ""), "nothing is sent");
    fan_heap_free(&kit.hub.kit, &ballast);
    app_kit_say(&kit, "{\"type\":\"ping\",\"text\":\"a\",\"id\":1}");
    EXPECT(app_kit_got(&kit, "{\"type\":\"said\",\"re\":1,\"text\":\"a\",\"n\":0}\n"),
           "it goes on");
    kit.notes.size = 0;
    app_kit_end(&kit);
}

void send_closes_a_request_whose_id_cannot_be_kept(void)
{
    struct app_kit kit;
    begin(&kit, "/flat");
    struct fan_ballast ballast = fan_heap_fill(&kit.hub.kit, 0);
    app_kit_say(&kit, "{\"type\":\"wait\",\"id\":1}");
    EXPECT(app_kit_got(&kit, "close:1013\n"), "it ends, like all for which there is no memory");
    EXPECT_INT(gyr_message_id(kit.conn).size, 0, "nobody can answer it");
    fan_heap_free(&kit.hub.kit, &ballast);
    EXPECT_INT(gyr_finish(kit.conn, 0), 0, "finished");
    kit_run(&kit.hub.kit);
    app_kit_end(&kit);
}

/* ---- from any thread ------------------------------------------------------------------------- */

void send_server_publish_refuses_a_server_without_an_application(void)
{
    const struct said value = {.text = GYR_SPAN("x")};
    const struct gyr_span room = GYR_SPAN("a");
    struct gyr_publish publish = gyr_publish_default();
    publish.rooms = &room;
    publish.room_count = 1;
    if (!kit_server_possible(1)) {
        return;
    }
    struct gyr_config config = kit_server_config(1);
    struct gyr_service service = {.size = sizeof(service)};
    char address[128];
    struct gyr_server *server = kit_server_start(&config, &service, "127.0.0.1:0", address);
    EXPECT_INT(gyr_server_publish_msg(server, &publish, &said_schema, &value), GYR_ERR_STATE,
               "there is no application whose form it could have");
    kit_server_end(server);
}

static int member_connect(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)self;
    (void)request;
    return gyr_join(conn, GYR_SPAN("a"));
}

/* Its own form is not that of the application. */
static const struct gyr_resource member = {GYR_RESOURCE_PLAIN("member"),
                                           .on_connect = member_connect, .form = GYR_FORM_ENVELOPE};
static const struct gyr_route member_routes[] = {GYR_ROUTE("/ws", &member), {0}};

static struct gyr_server *member_server(struct gyr_app **app, char address[128])
{
    struct gyr_config config = kit_server_config(1);
    struct gyr_settings *settings;
    struct gyr_server *server;
    struct gyr_error error;
    if (gyr_settings_create(&config, &settings, &error) < 0 ||
        gyr_app_create(NULL, app, &error) < 0 || gyr_app_routes(*app, "", member_routes) < 0 ||
        gyr_app_server(*app, settings, &server, &error) < 0 ||
        gyr_server_listen(server, "127.0.0.1:0", &error) < 0) {
        (void)fprintf(stderr, "%s\n", error.text);
        abort();
    }
    gyr_settings_destroy(settings);
    const struct said value = {.text = GYR_SPAN("x")};
    struct gyr_publish publish = gyr_publish_default();
    EXPECT_INT(gyr_server_publish_msg(server, &publish, &said_schema, &value), GYR_ERR_STATE,
               "there are no cores yet");
    if (gyr_server_start(server, &error) < 0 || !gyr_server_address(server, 0, address, 128)) {
        (void)fprintf(stderr, "%s\n", error.text);
        abort();
    }
    return server;
}

void send_publishes_from_any_thread_in_the_form_of_the_application(void)
{
    static const char small[] = "\x81\x22{\"type\":\"said\",\"text\":\"any\",\"n\":0}";
    static const char handshake[] = KIT_UPGRADE_WITH("");
    struct gyr_app *app;
    char address[128];
    char text[4000];
    char large[4100];
    if (!kit_server_possible(1)) {
        return;
    }
    struct gyr_server *server = member_server(&app, address);
    int fd = kit_client(address);
    EXPECT(kit_client_ask(fd, handshake, KIT_101_WITH("")), "a member");
    const struct gyr_span room = GYR_SPAN("a");
    struct gyr_publish publish = gyr_publish_default();
    publish.rooms = &room;
    publish.room_count = 1;
    struct said value = {.text = GYR_SPAN("any")};
    EXPECT_INT(gyr_server_publish_msg(server, &publish, &said_schema, &value), 0, "published");
    EXPECT(kit_client_ask(fd, "", small), "flat, as the application has it");
    memset(text, 'x', sizeof(text));
    value.text = (struct gyr_span){text, sizeof(text)};
    int size =
        snprintf(large, sizeof(large), "\x81\x7e\x0f\xbf{\"type\":\"said\",\"text\":\"%.*s\"",
                 (int)sizeof(text), text);
    (void)snprintf(large + size, sizeof(large) - (size_t)size, ",\"n\":0}");
    EXPECT_INT(gyr_server_publish_msg(server, &publish, &said_schema, &value), 0, "published");
    EXPECT(kit_client_ask(fd, "", large), "one that does not fit the stack");
    value.text = GYR_SPAN("\xff");
    EXPECT_INT(gyr_server_publish_msg(server, &publish, &said_schema, &value), GYR_ERR_ARGUMENT,
               "what cannot be encoded");
    (void)close(fd);
    kit_server_end(server);
    gyr_app_destroy(app);
}
