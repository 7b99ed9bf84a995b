/* SPDX-License-Identifier: MIT */
/* Handlers by convention, by numbers, and of messages as they come. */
#include "router/dispatch.h"

#include "tests/app_probe.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

struct exchange {
    const char *said;
    const char *noted;
};

/* ---- names ----------------------------------------------------------------------------------- */

static int on_send_message(struct gyr_conn *conn, void *self, const struct ping *ping)
{
    (void)conn;
    app_kit_note(probe_kit(self), "by name %.*s", (int)ping->text.size, ping->text.ptr);
    return 0;
}

static int named_on_2_fa(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    (void)conn;
    app_kit_note(probe_kit(self), "2fa %.*s", (int)payload.size, payload.ptr);
    return 0;
}

static int on_both(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    (void)conn;
    (void)payload;
    app_kit_note(probe_kit(self), "both by name");
    return 0;
}

static int both_by_tag(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    (void)conn;
    (void)payload;
    app_kit_note(probe_kit(self), "both by tag");
    return 0;
}

static int never_connect(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)conn;
    (void)request;
    app_kit_note(probe_kit(self), "connected");
    return 0;
}

static void noted_disconnect(struct gyr_conn *conn, void *self, uint16_t close_code,
                             struct gyr_span reason)
{
    (void)conn;
    (void)reason;
    app_kit_note(probe_kit(self), "disconnected %u", close_code);
}

static const struct gyr_resource named = {
    PROBE("named"),
    .handlers = GYR_HANDLERS(GYR_ON_NAMED(ping, on_send_message), GYR_ON_NAMED_RAW(named_on_2_fa),
                             GYR_ON_NAMED_RAW(on_both), GYR_ON_RAW("both", both_by_tag)),
    .on_connect = never_connect,
    .on_disconnect = noted_disconnect,
    .on_unhandled = probe_unhandled,
};
static const struct gyr_route named_routes[] = {GYR_ROUTE("/", &named), {0}};

void scenario_67_68_69_names_by_convention(void)
{
    static const struct exchange table[] = {
        {"{\"type\":\"sendMessage\",\"text\":\"a\"}", "by name a\n"},
        {"{\"type\":\"SEND_MESSAGE\",\"text\":\"b\"}", "by name b\n"},
        {"{\"type\":\"send.message\",\"text\":\"c\"}", "by name c\n"},
        {"{\"type\":\"send\\u002dmessage\",\"text\":\"d\"}", "by name d\n"},
        {"{\"type\":\"2FA\"}", "2fa {\"type\":\"2FA\"}\n"},
        {"{\"type\":\"both\"}", "both by tag\n"},
        {"{\"type\":\"Both\"}", "both by name\n"},
        {"{\"type\":\"send_message\",\"text\":\"a\",\"more\":1}",
         "text unknown_member 'more' tag 'send_message' id ''\n"},
        {"{\"type\":\"sendmessage\",\"text\":\"a\"}",
         "text unknown_tag '' tag 'sendmessage' id ''\n"},
        {"{\"type\":\"on_send_message\",\"text\":\"a\"}",
         "text unknown_tag '' tag 'on_send_message' id ''\n"},
        {"{\"type\":\"connect\"}", "text unknown_tag '' tag 'connect' id ''\n"},
        {"{\"type\":\"disconnect\",\"payload\":1000}",
         "text unknown_tag '' tag 'disconnect' id ''\n"},
        {"{\"type\":\"unhandled\"}", "text unknown_tag '' tag 'unhandled' id ''\n"},
        {"{\"type\":\"create\"}", "text unknown_tag '' tag 'create' id ''\n"},
        {"{\"type\":\"\"}", "text unknown_tag '' tag '' id ''\n"},
    };
    struct app_kit kit;
    app_kit_init(&kit);
    app_kit_start(&kit, named_routes);
    (void)app_kit_open(&kit, "/");
    EXPECT(app_kit_noted(&kit, "connected\n"), "once");
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        app_kit_say(&kit, table[i].said);
        EXPECT(app_kit_noted(&kit, table[i].noted), table[i].said);
    }
    app_kit_end(&kit);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static int on_bytes(struct gyr_conn *conn, void *self, struct gyr_span bytes)
{
    (void)conn;
    app_kit_note(probe_kit(self), "bytes %zu %.*s", bytes.size, (int)bytes.size, bytes.ptr);
    return 0;
}

static int on_more_bytes(struct gyr_conn *conn, void *self, struct gyr_span bytes)
{
    (void)conn;
    app_kit_note(probe_kit(self), "more %zu %.*s", bytes.size, (int)bytes.size, bytes.ptr);
    return 0;
}

static int on_text(struct gyr_conn *conn, void *self, struct gyr_span text)
{
    (void)conn;
    app_kit_note(probe_kit(self), "text %.*s", (int)text.size, text.ptr);
    return 0;
}

static const struct gyr_resource one_byte = {
    PROBE("one_byte"),
    .binary_tag_size = 1,
    .handlers = GYR_HANDLERS(GYR_ON_BINARY(0, on_bytes), GYR_ON_BINARY(255, on_more_bytes),
                             GYR_ON(ping, probe_ping)),
    .on_unhandled = probe_unhandled,
};
static const struct gyr_resource two_bytes = {
    PROBE("two_bytes"),
    .binary_tag_size = 2,
    .handlers = GYR_HANDLERS(GYR_ON_BINARY(0x0102, on_bytes), GYR_ON_BINARY(0xffff, on_more_bytes),
                             GYR_ON_BINARY(7, on_more_bytes)),
    .on_unhandled = probe_unhandled,
};
static const struct gyr_resource raw = {
    PROBE("raw"),
    .on_text = on_text,
    .on_binary = on_bytes,
    .on_unhandled = probe_unhandled,
};
static const struct gyr_resource only_text = {
    PROBE("only_text"),
    .on_text = on_text,
    .on_unhandled = probe_unhandled,
};
static const struct gyr_resource text_and_json = {
    PROBE("text_and_json"),
    .on_text = on_text,
    .handlers = GYR_HANDLERS(GYR_ON(ping, probe_ping)),
    .on_unhandled = probe_unhandled,
};
static const struct gyr_resource bytes_and_json = {
    PROBE("bytes_and_json"),
    .on_binary = on_bytes,
    .handlers = GYR_HANDLERS(GYR_ON(ping, probe_ping)),
    .on_unhandled = probe_unhandled,
};
static const struct gyr_route byte_routes[] = {
    GYR_ROUTE("/one", &one_byte),
    GYR_ROUTE("/two", &two_bytes),
    GYR_ROUTE("/raw", &raw),
    GYR_ROUTE("/text", &only_text),
    GYR_ROUTE("/text-json", &text_and_json),
    GYR_ROUTE("/bytes-json", &bytes_and_json),
    {0},
};

#define PING_HI "{\"type\":\"ping\",\"text\":\"hi\"}"

void dispatch_binary_messages_by_their_number(void)
{
    static const struct {
        const char *path;
        const char *bytes;
        size_t size;
        const char *noted;
    } table[] = {
        {"/one", "\0abc", 4, "bytes 3 abc\n"},
        {"/one", "\0", 1, "bytes 0 \n"},
        {"/one", "\377x", 2, "more 1 x\n"},
        {"/one", "\1x", 2, "binary unknown_tag '' tag '' id ''\n"},
        {"/one", "{\"type\":\"ping\",\"text\":\"hi\",\"id\":1}", 34,
         "binary unknown_tag '' tag '' id ''\n"},
        {"/one", "", 0, "binary no_tag '' tag '' id ''\n"},
        {"/two", "\1\2abc", 5, "bytes 3 abc\n"},
        {"/two", "\0\7", 2, "more 0 \n"},
        {"/two", "\377\377x", 3, "more 1 x\n"},
        {"/two", "\2\1abc", 5, "binary unknown_tag '' tag '' id ''\n"},
        {"/two", "\0\0abc", 5, "binary unknown_tag '' tag '' id ''\n"},
        {"/two", "\1", 1, "binary no_tag '' tag '' id ''\n"},
        {"/two", "", 0, "binary no_tag '' tag '' id ''\n"},
        {"/raw", "abc", 3, "bytes 3 abc\n"},
        {"/raw", "", 0, "bytes 0 \n"},
        {"/text", "{\"type\":\"ping\"}", 15, "binary opcode '' tag '' id ''\n"},
        {"/text-json", PING_HI, sizeof(PING_HI) - 1, "ping hi\n"},
        {"/bytes-json", "{}", 2, "bytes 2 {}\n"},
    };
    struct app_kit kit;
    app_kit_init(&kit);
    app_kit_start(&kit, byte_routes);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        (void)app_kit_open(&kit, table[i].path);
        app_kit_say_bytes(&kit, GYR_BINARY, table[i].bytes, table[i].size);
        EXPECT(app_kit_noted(&kit, table[i].noted), table[i].noted);
        EXPECT(app_kit_got(&kit, ""), "nothing is sent");
    }
    app_kit_end(&kit);
}

void dispatch_gives_text_to_on_text_as_it_comes(void)
{
    static const struct {
        const char *path;
        const char *noted;
    } table[] = {
        {"/raw", "text " PING_HI "\n"}, {"/text", "text " PING_HI "\n"},
        {"/one", "ping hi\n"},          {"/text-json", "text " PING_HI "\n"},
        {"/bytes-json", "ping hi\n"},   {"/two", "text unknown_tag '' tag 'ping' id ''\n"},
    };
    struct app_kit kit;
    app_kit_init(&kit);
    app_kit_start(&kit, byte_routes);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        (void)app_kit_open(&kit, table[i].path);
        app_kit_say(&kit, PING_HI);
        EXPECT(app_kit_noted(&kit, table[i].noted), table[i].noted);
    }
    app_kit_end(&kit);
}
