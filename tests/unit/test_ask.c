/* SPDX-License-Identifier: MIT */
/* Questions to the client: what is sent, and the one answer that each of them gets. */
#include "router/ask.h"

#include "tests/app_probe.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>

struct confirm {
    struct gyr_span text;
};
GYR_MESSAGE(confirm, "confirm", GYR_MEMBER(confirm, text));

struct confirmed {
    bool yes;
};
GYR_MESSAGE(confirmed, "confirmed", GYR_MEMBER(confirmed, yes));

#define TIMEOUT_MS 5000

static int on_answer(struct gyr_conn *conn, void *self, const struct confirmed *answer,
                     const struct gyr_fault *fault, void *arg)
{
    struct gyr_span id = gyr_message_id(conn);
    app_kit_note(probe_kit(self), "%s: %s%s%s%s%.*s", (const char *)arg,
                 answer == NULL ? "none, "
                 : answer->yes  ? "yes"
                                : "no",
                 answer == NULL ? gyr_reason_code(fault->reason) : "",
                 answer == NULL && fault->path[0] != '\0' ? " of " : "",
                 answer == NULL ? fault->path : "", (int)id.size, id.ptr);
    return 0;
}

static int on_answer_fail(struct gyr_conn *conn, void *self, const struct confirmed *answer,
                          const struct gyr_fault *fault, void *arg)
{
    (void)on_answer(conn, self, answer, fault, arg);
    return GYR_ERR_NOT_FOUND;
}

static int on_answer_wait(struct gyr_conn *conn, void *self, const struct confirmed *answer,
                          const struct gyr_fault *fault, void *arg)
{
    (void)on_answer(conn, self, answer, fault, arg);
    return GYR_PENDING;
}

static int on_answer_again(struct gyr_conn *conn, void *self, const struct confirmed *answer,
                           const struct gyr_fault *fault, void *arg)
{
    const struct confirm question = {.text = GYR_SPAN("again")};
    (void)on_answer(conn, self, answer, fault, arg);
    int err = GYR_ASK(conn, confirm, &question, confirmed, TIMEOUT_MS, on_answer_again, arg);
    app_kit_note(probe_kit(self), "asked again: %s", err < 0 ? gyr_strerror(err) : "yes");
    return 0;
}

typedef int (*answer_fn)(struct gyr_conn *conn, void *self, const struct confirmed *answer,
                         const struct gyr_fault *fault, void *arg);

static int ask(struct gyr_conn *conn, uint32_t timeout_ms, answer_fn fn, const char *name)
{
    const struct confirm question = {.text = GYR_SPAN("sure?")};
    return GYR_ASK(conn, confirm, &question, confirmed, timeout_ms, fn, (void *)(uintptr_t)name);
}

static int ask_at_once(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)self;
    (void)request;
    return ask(conn, TIMEOUT_MS, on_answer, "early");
}

static int on_text(struct gyr_conn *conn, void *self, struct gyr_span text)
{
    (void)text;
    app_kit_note(probe_kit(self), "%d", ask(conn, TIMEOUT_MS, on_answer, "text") == GYR_ERR_STATE);
    return 0;
}

static void on_disconnect(struct gyr_conn *conn, void *self, uint16_t close_code,
                          struct gyr_span reason)
{
    (void)conn;
    (void)reason;
    app_kit_note(probe_kit(self), "disconnected %u", close_code);
}

#define ASKER                                                                            \
    .handlers = GYR_HANDLERS(GYR_ON(ping, probe_ping)), .on_unhandled = probe_unhandled, \
    .on_disconnect = on_disconnect

static const struct gyr_resource flat = {PROBE("flat"), ASKER};
static const struct gyr_resource envelope = {PROBE("envelope"), ASKER, .form = GYR_FORM_ENVELOPE};
static const struct gyr_resource early = {PROBE("early"), ASKER, .on_connect = ask_at_once};
static const struct gyr_resource text = {PROBE("text"), .on_text = on_text};
static const struct gyr_resource strict = {
    .size = sizeof(struct gyr_resource),
    .name = "strict",
    .at = GYR_AT,
    .instance_size = sizeof(struct probe),
    .instance_align = _Alignof(struct probe),
    .inputs = GYR_INPUTS(GYR_INPUT(probe, kit, struct app_kit)),
    ASKER,
};
static const struct gyr_route routes[] = {
    GYR_ROUTE("/flat", &flat), GYR_ROUTE("/envelope", &envelope), GYR_ROUTE("/early", &early),
    GYR_ROUTE("/text", &text), GYR_ROUTE("/strict", &strict),     {0}};

static void begin(struct app_kit *kit, const char *path)
{
    app_kit_init(kit);
    kit->options.on_failure = probe_failure;
    kit->options.asks_max = 3;
    app_kit_start(kit, routes);
    (void)app_kit_open(kit, path);
}

/* Ask by name, and look at what is sent: the n-th question of this core. */
static void asked(struct app_kit *kit, answer_fn fn, const char *name, unsigned number)
{
    char sent[128];
    (void)snprintf(sent, sizeof(sent), "{\"type\":\"confirm\",\"id\":%u,\"text\":\"sure?\"}\n",
                   number);
    EXPECT_INT(ask(kit->conn, TIMEOUT_MS, fn, name), 0, "asked");
    kit_run(&kit->hub.kit);
    EXPECT(app_kit_got(kit, sent), "the question");
}

void ask_gets_its_answer(void)
{
    struct app_kit kit;
    begin(&kit, "/flat");
    asked(&kit, on_answer, "a", 1);
    asked(&kit, on_answer, "b", 2);
    app_kit_say(&kit, "{\"type\":\"ping\",\"text\":\"meanwhile\"}");
    app_kit_say(&kit, "{\"type\":\"confirmed\",\"re\":2,\"yes\":true}");
    app_kit_say(&kit, "{\"type\":\"whatever\",\"yes\":false,\"re\":1}");
    EXPECT(app_kit_noted(&kit, "ping meanwhile\nb: yes\na: no\n"), "each its own");
    kit_advance(&kit.hub.kit, 2 * TIMEOUT_MS);
    EXPECT(app_kit_noted(&kit, ""), "once");
    EXPECT(app_kit_got(&kit, ""), "and nothing is sent");
    (void)app_kit_open(&kit, "/envelope");
    EXPECT_INT(ask(kit.conn, TIMEOUT_MS, on_answer, "c"), 0, "asked");
    kit_run(&kit.hub.kit);
    EXPECT(app_kit_got(&kit, "{\"type\":\"confirm\",\"id\":3,\"payload\":{\"text\":\"sure?\"}}\n"),
           "in an envelope");
    app_kit_say(&kit, "{\"type\":\"confirmed\",\"payload\":{\"yes\":true},\"re\":3}");
    EXPECT(app_kit_noted(&kit, "c: yes\n"), "answered in one");
    kit.notes.size = 0;
    app_kit_end(&kit);
}

void ask_is_told_why_there_is_no_answer(void)
{
    static const struct {
        const char *before; /* the id */
        const char *behind;
        const char *noted;
    } table[] = {
        {"{\"type\":\"error\",\"re\":", ",\"code\":\"x\"}", "q: none, refused\n"},
        {"{\"type\":\"\\u0065rror\",\"re\":", "}", "q: none, refused\n"},
        {"{\"type\":\"confirmed\",\"re\":", "}", "q: none, missing of yes\n"},
        {"{\"type\":\"confirmed\",\"re\":", ",\"yes\":1}", "q: none, type of yes\n"},
        {"{\"type\":\"confirmed\",\"re\":", ",\"yes\":true,\"no\":1}",
         "q: none, unknown_member of no\n"},
        {"{\"re\":", ",\"yes\":true}", "q: none, no_tag\n"},
        {"{\"type\":5,\"re\":", ",\"yes\":true}", "q: none, tag_type of type\n"},
    };
    struct app_kit kit;
    begin(&kit, "/flat");
    for (unsigned i = 0; i < COUNT_OF(table); i++) {
        char said[128];
        asked(&kit, on_answer, "q", i + 1);
        (void)snprintf(said, sizeof(said), "%s%u%s", table[i].before, i + 1, table[i].behind);
        app_kit_say(&kit, said);
        EXPECT(app_kit_noted(&kit, table[i].noted), said);
    }
    asked(&kit, on_answer, "late", COUNT_OF(table) + 1);
    kit_advance(&kit.hub.kit, TIMEOUT_MS - 1000);
    EXPECT(app_kit_noted(&kit, ""), "not yet");
    kit_advance(&kit.hub.kit, 2000);
    EXPECT(app_kit_noted(&kit, "late: none, timeout\n"), "its time has passed");
    app_kit_end(&kit);
}

void ask_ignores_what_answers_nothing(void)
{
    static const struct {
        const char *said;
        const char *noted;
    } table[] = {
        {"{\"type\":\"confirmed\",\"re\":9,\"yes\":true}",
         "text not_asked '' tag 'confirmed' id ''\n"},
        {"{\"type\":\"confirmed\",\"re\":\"1\",\"yes\":true}",
         "text not_asked '' tag 'confirmed' id ''\n"},
        {"{\"type\":\"confirmed\",\"re\":1.0,\"yes\":true}",
         "text not_asked '' tag 'confirmed' id ''\n"},
        {"{\"type\":\"confirmed\",\"re\":01,\"yes\":true}",
         "text malformed 're' tag 'confirmed' id ''\n"},
        {"{\"type\":\"confirmed\",\"re\":[1],\"yes\":true}",
         "text not_asked '' tag 'confirmed' id ''\n"},
        {"{\"type\":\"confirmed\",\"re\":1,\"yes\":true",
         "text malformed '' tag 'confirmed' id ''\n"},
        {"{\"type\":\"error\",\"re\":1]", "text malformed '' tag 'error' id ''\n"},
        {"{\"type\":\"ping\",\"text\":\"x\",\"re\":9}", "text not_asked '' tag 'ping' id ''\n"},
        {"{\"type\":\"ping\",\"text\":\"x\",\"id\":\"a\",\"re\":9}",
         "text not_asked '' tag 'ping' id '\"a\"'\n"},
        {"{\"type\":\"ping\",\"text\":\"{\\\"re\\\":1}\"}", "ping {\"re\":1}\n"},
    };
    struct app_kit kit;
    begin(&kit, "/flat");
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < COUNT_OF(table); i++) {
            app_kit_say(&kit, table[i].said);
            EXPECT(app_kit_noted(&kit, table[i].noted), table[i].said);
        }
        if (round == 0) {
            asked(&kit, on_answer, "q", 1);
        }
    }
    app_kit_say(&kit, "{\"type\":\"confirmed\",\"re\":1,\"yes\":true,\"id\":\"x\"}");
    EXPECT(app_kit_noted(&kit, "q: yes\"x\"\n"), "it still waits; an answer may be a request too");
    app_kit_say(&kit, "{\"type\":\"confirmed\",\"re\":1,\"yes\":true}");
    EXPECT(app_kit_noted(&kit, "text not_asked '' tag 'confirmed' id ''\n"), "only one counts");
    app_kit_end(&kit);
}

void ask_ends_with_its_connection(void)
{
    struct app_kit kit;
    begin(&kit, "/flat");
    asked(&kit, on_answer, "a", 1);
    asked(&kit, on_answer_again, "b", 2);
    asked(&kit, on_answer_fail, "c", 3);
    kit_reset(&kit.hub.kit);
    EXPECT(app_kit_noted(&kit, "a: none, failed\nb: none, failed\n"
                               "asked again: the connection is closed or closing\n"
                               "c: none, failed\n"
                               "failure answer flat -: nobody has this id, or nothing this name\n"
                               "disconnected 1006\n"),
           "in the order of asking, before the end is told");
    app_kit_end(&kit);
}

void ask_is_limited_and_refuses_what_makes_no_sense(void)
{
    struct app_kit kit;
    begin(&kit, "/flat");
    EXPECT_INT(ask(kit.conn, 0, on_answer, "x"), GYR_ERR_ARGUMENT, "no time");
    EXPECT_INT(ask(kit.conn, 25U * 24 * 3600 * 1000, on_answer, "x"), GYR_ERR_ARGUMENT, "too long");
    const struct confirm bad = {.text = GYR_SPAN("\xff")};
    EXPECT_INT(GYR_ASK(kit.conn, confirm, &bad, confirmed, 1, on_answer, NULL), GYR_ERR_ARGUMENT,
               "what cannot be encoded");
    for (unsigned i = 0; i < 3; i++) {
        asked(&kit, on_answer, "a", i + 2); /* the one that failed has had a number, too */
    }
    EXPECT_INT(ask(kit.conn, TIMEOUT_MS, on_answer, "x"), GYR_ERR_LIMIT, "asks_max");
    app_kit_say(&kit, "{\"type\":\"confirmed\",\"re\":3,\"yes\":true}");
    asked(&kit, on_answer, "a", 5);
    kit.notes.size = 0;
    struct fan_ballast ballast = fan_heap_fill(&kit.hub.kit, 0);
    app_kit_say(&kit, "{\"type\":\"confirmed\",\"re\":2,\"yes\":true}");
    EXPECT(app_kit_noted(&kit, "a: yes\n"), "an answer needs no memory");
    fan_heap_free(&kit.hub.kit, &ballast);
    (void)app_kit_open(&kit, "/text");
    app_kit_say(&kit, "x");
    EXPECT(app_kit_noted(&kit, "1\n"), "where all text goes to on_text nobody would find it");
    app_kit_end(&kit);
}

void ask_without_memory_sends_nothing(void)
{
    struct app_kit kit;
    begin(&kit, "/flat");
    struct fan_ballast ballast = fan_heap_fill(&kit.hub.kit, 0);
    EXPECT_INT(ask(kit.conn, TIMEOUT_MS, on_answer, "x"), GYR_ERR_MEMORY, "told");
    fan_heap_free(&kit.hub.kit, &ballast);
    kit_run(&kit.hub.kit);
    EXPECT(app_kit_got(&kit, ""), "nothing is sent");
    kit_advance(&kit.hub.kit, TIMEOUT_MS + 1000);
    EXPECT(app_kit_noted(&kit, ""), "nor is anybody called");
    app_kit_end(&kit);
}

void ask_failures_are_told_and_close_by_policy(void)
{
    struct app_kit kit;
    begin(&kit, "/flat");
    asked(&kit, on_answer_fail, "a", 1);
    app_kit_say(&kit, "{\"type\":\"confirmed\",\"re\":1,\"yes\":true,\"id\":7}");
    EXPECT(app_kit_noted(&kit, "a: yes7\n"
                               "failure answer flat -: nobody has this id, or nothing this name\n"),
           "told");
    EXPECT(app_kit_got(&kit, "{\"type\":\"error\",\"re\":7,\"code\":\"failed\","
                             "\"reason\":\"the server could not do it\",\"path\":\"\"}\n"),
           "and answered, as it was a request");
    asked(&kit, on_answer_wait, "b", 2);
    app_kit_say(&kit, "{\"type\":\"confirmed\",\"re\":2,\"yes\":true}");
    EXPECT(app_kit_noted(&kit, "b: yes\nfailure answer flat -: "
                               "this call is not allowed in this state\n"),
           "it cannot wait");
    asked(&kit, on_answer_fail, "c", 3);
    kit_advance(&kit.hub.kit, TIMEOUT_MS + 1000);
    EXPECT(app_kit_got(&kit, ""), "the connection goes on");
    (void)app_kit_open(&kit, "/strict");
    asked(&kit, on_answer_fail, "d", 4);
    kit_advance(&kit.hub.kit, TIMEOUT_MS + 1000);
    EXPECT(app_kit_got(&kit, "close:1008\n"), "it is closed with the error's code");
    (void)app_kit_open(&kit, "/strict");
    asked(&kit, on_answer_fail, "e", 5);
    app_kit_say(&kit, "{\"type\":\"confirmed\",\"re\":5,\"yes\":true}");
    EXPECT(app_kit_got(&kit, "close:1008\n"), "so it is within a message");
    kit.notes.size = 0;
    app_kit_end(&kit);
}

void ask_works_before_the_handshake_is_accepted(void)
{
    struct app_kit kit;
    begin(&kit, "/early");
    EXPECT(app_kit_got(&kit, "{\"type\":\"confirm\",\"id\":1,\"text\":\"sure?\"}\n"),
           "behind the 101");
    app_kit_say(&kit, "{\"type\":\"confirmed\",\"re\":1,\"yes\":true}");
    EXPECT(app_kit_noted(&kit, "early: yes\n"), "answered");
    app_kit_end(&kit);
}
