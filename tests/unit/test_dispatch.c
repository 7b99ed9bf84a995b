/* SPDX-License-Identifier: MIT */
/* Messages on their way to handlers: which one, with what, and what becomes of those that none
 * gets. Requests and their answers: test_send.c, test_ask.c. */
#include "router/dispatch.h"

#include "tests/app_probe.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>
#include <stdlib.h>

struct part {
    int32_t n;
};
GYR_PART(part, GYR_MEMBER(part, n));

struct count {
    int64_t n;
    double x;
    struct part part;
};
GYR_MESSAGE(count, "count", GYR_MEMBER(count, n), GYR_MEMBER(count, x, GYR_OPTIONAL),
            GYR_STRUCT(count, part, part, GYR_OPTIONAL));

struct join {
    struct gyr_span room;
};
GYR_MESSAGE(join, "join", GYR_MEMBER(join, room));

struct leave {
    struct gyr_span room;
};
GYR_MESSAGE(leave, "leave", GYR_MEMBER(leave, room));

struct empty {
    bool unused;
};
GYR_MESSAGE(empty, "empty", GYR_MEMBER(empty, unused, GYR_OPTIONAL));

static int on_count(struct gyr_conn *conn, void *self, const struct count *count)
{
    (void)conn;
    app_kit_note(probe_kit(self), "count %lld %g %d", (long long)count->n, count->x, count->part.n);
    return 0;
}

static int on_join(struct gyr_conn *conn, void *self, const struct join *join)
{
    (void)conn;
    app_kit_note(probe_kit(self), "join %.*s", (int)join->room.size, join->room.ptr);
    return 0;
}

static int on_leave(struct gyr_conn *conn, void *self, const struct leave *leave)
{
    (void)conn;
    app_kit_note(probe_kit(self), "leave %.*s", (int)leave->room.size, leave->room.ptr);
    return 0;
}

static int on_empty(struct gyr_conn *conn, void *self, const struct empty *empty)
{
    (void)conn;
    app_kit_note(probe_kit(self), "empty %s", empty != NULL ? "there" : "missing");
    return 0;
}

static int on_raw(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    (void)conn;
    app_kit_note(probe_kit(self), "raw %.*s", payload.ptr != NULL ? (int)payload.size : 4,
                 payload.ptr != NULL ? payload.ptr : "NULL");
    return 0;
}

static int on_fail(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    (void)conn;
    (void)payload;
    app_kit_note(probe_kit(self), "fail");
    return GYR_ERR_NOT_FOUND;
}

static const struct gyr_handler handlers[] = {
    GYR_ON(ping, probe_ping),
    GYR_ON(count, on_count),
    GYR_ON(join, on_join),
    GYR_ON(leave, on_leave),
    GYR_ON(empty, on_empty, .payload_optional = true),
    GYR_ON_RAW("raw", on_raw),
    GYR_ON_RAW("fail", on_fail),
    {0},
};
static const struct gyr_resource flat = {
    PROBE("flat"),
    .handlers = handlers,
    .on_unhandled = probe_unhandled,
};
static const struct gyr_resource envelope = {
    PROBE("envelope"),
    .handlers = handlers,
    .on_unhandled = probe_unhandled,
    .form = GYR_FORM_ENVELOPE,
};
static const struct gyr_resource lenient = {
    PROBE("lenient"),
    .handlers = GYR_HANDLERS(GYR_ON(count, on_count, .lenient = true)),
    .on_unhandled = probe_unhandled,
};
static const struct gyr_resource silent = {
    PROBE("silent"),
    .handlers = GYR_HANDLERS(GYR_ON(ping, probe_ping)),
};
static const struct gyr_resource bare = {
    PROBE("bare"),
};
static const struct gyr_resource renamed = {
    PROBE("renamed"),
    .handlers = GYR_HANDLERS(GYR_ON(ping, probe_ping)),
    .on_unhandled = probe_unhandled,
    .form = GYR_FORM_ENVELOPE,
    .tag_name = "kind",
    .payload_name = "data",
};

static const struct gyr_route routes[] = {
    GYR_ROUTE("/flat", &flat),
    GYR_ROUTE("/envelope", &envelope),
    GYR_ROUTE("/lenient", &lenient),
    GYR_ROUTE("/silent", &silent),
    GYR_ROUTE("/bare", &bare),
    GYR_ROUTE("/renamed", &renamed),
    {0},
};

static void begin(struct app_kit *kit, const char *path)
{
    app_kit_init(kit);
    app_kit_start(kit, routes);
    (void)app_kit_open(kit, path);
}

struct exchange {
    const char *said;
    const char *noted;
};

/* Each as text and as a binary frame: `noted` begins with "text" where that is told. */
static void check_both(const char *path, const struct exchange *table, size_t count)
{
    struct app_kit kit;
    begin(&kit, path);
    for (size_t i = 0; i < count; i++) {
        const struct exchange *row = &table[i];
        app_kit_say(&kit, row->said);
        EXPECT(app_kit_noted(&kit, row->noted), row->said);
        char binary[1024];
        bool told = strncmp(row->noted, "text ", 5) == 0;
        (void)snprintf(binary, sizeof(binary), "%s%s", told ? "binary " : "",
                       row->noted + (told ? 5 : 0));
        app_kit_say_bytes(&kit, GYR_BINARY, row->said, strlen(row->said));
        EXPECT(app_kit_noted(&kit, binary), row->said);
        EXPECT(app_kit_got(&kit, ""), "nothing is sent");
    }
    app_kit_end(&kit);
}

/* ---- handlers -------------------------------------------------------------------------------- */

void scenario_56_57_a_handler_gets_its_payload_from_text_and_binary(void)
{
    static const struct exchange in_envelope[] = {
        {"{\"type\":\"ping\",\"payload\":{\"text\":\"hi\"}}", "ping hi\n"},
        {"{\"payload\":{\"text\":\"hi\"},\"type\":\"ping\"}", "ping hi\n"},
        {" { \"payload\" : { \"text\" : \"\\u0068i\" } , \"type\" : \"ping\" } ", "ping hi\n"},
        {"{\"type\":\"ping\",\"payload\":{\"text\":\"hi\"},\"more\":[1,{}]}", "ping hi\n"},
    };
    check_both("/envelope", in_envelope, COUNT_OF(in_envelope));
    static const struct exchange in_renamed[] = {
        {"{\"kind\":\"ping\",\"data\":{\"text\":\"hi\"}}", "ping hi\n"},
        {"{\"type\":\"ping\",\"kind\":\"ping\",\"data\":{\"text\":\"hi\"}}", "ping hi\n"},
        {"{\"type\":\"ping\",\"payload\":{\"text\":\"hi\"}}", "text no_tag '' tag '' id ''\n"},
    };
    check_both("/renamed", in_renamed, COUNT_OF(in_renamed));
}

void scenario_58_each_tag_has_its_handler_wherever_it_stands(void)
{
    static const struct exchange table[] = {
        {"{\"type\":\"join\",\"room\":\"a\"}", "join a\n"},
        {"{\"room\":\"b\",\"type\":\"leave\"}", "leave b\n"},
        {"{\"room\":\"type\",\"type\":\"join\"}", "join type\n"},
        {"{\"type\":\"jo\\u0069n\",\"room\":\"c\"}", "join c\n"},
        {"{\"t\\u0079pe\":\"join\",\"room\":\"c\"}", "join c\n"},
        {"{\"type\":\"count\",\"n\":1,\"part\":{\"n\":2}}", "count 1 0 2\n"},
    };
    check_both("/flat", table, COUNT_OF(table));
}

void scenario_59_60_what_no_handler_gets_is_unhandled_with_its_bytes(void)
{
    static const struct exchange table[] = {
        {"{\"type\":\"other\"}", "text unknown_tag '' tag 'other' id ''\n"},
        {"{\"type\":\"oth\\u0065r\",\"id\":7}", "text unknown_tag '' tag 'other' id '7'\n"},
        {"{\"type\":\"\"}", "text unknown_tag '' tag '' id ''\n"},
        {"{\"type\":\"Ping\",\"text\":\"hi\"}", "text unknown_tag '' tag 'Ping' id ''\n"},
        {"{}", "text no_tag '' tag '' id ''\n"},
        {"{\"text\":\"hi\",\"id\":\"x\"}", "text no_tag '' tag '' id '\"x\"'\n"},
        {"{\"Type\":\"ping\"}", "text no_tag '' tag '' id ''\n"},
        {"{\"a\":{\"type\":\"ping\"}}", "text no_tag '' tag '' id ''\n"},
        {"{\"type\":5}", "text tag_type '' tag '' id ''\n"},
        {"{\"type\":null,\"id\":-1}", "text tag_type '' tag '' id '-1'\n"},
        {"", "text not_object '' tag '' id ''\n"},
        {" ", "text malformed '' tag '' id ''\n"},
        {"{", "text malformed '' tag '' id ''\n"},
        {"ping", "text malformed '' tag '' id ''\n"},
        {"[]", "text not_object '' tag '' id ''\n"},
        {"\"ping\"", "text not_object '' tag '' id ''\n"},
        {"null", "text not_object '' tag '' id ''\n"},
        {"{\"type\":\"ping\",\"text\":\"hi\"", "text malformed '' tag 'ping' id ''\n"},
        {"{\"type\":\"ping\",\"text\":\"hi\"}x", "text malformed '' tag 'ping' id ''\n"},
        {"{\"type\":\"other\",\"text\":\"hi\"}x", "text malformed '' tag 'other' id ''\n"},
        {"{\"type\":\"other\",\"id\":5,\"a\":01}", "text malformed '' tag 'other' id ''\n"},
        {"{\"type\":\"raw\",\"a\":tru}", "text malformed '' tag 'raw' id ''\n"},
        {"{\"type\":\"raw\"}{}", "text malformed '' tag 'raw' id ''\n"},
        {"{\"type\":\"ping\"}", "text missing 'text' tag 'ping' id ''\n"},
        {"{\"id\":3,\"type\":\"ping\"}", "text missing 'text' tag 'ping' id '3'\n"},
        {"{\"type\":\"ping\",\"text\":1}", "text type 'text' tag 'ping' id ''\n"},
        {"{\"type\":\"ping\",\"text\":1,\"id\":\"a\"}", "text type 'text' tag 'ping' id '\"a\"'\n"},
        {"{\"type\":\"ping\",\"text\":null}", "text type 'text' tag 'ping' id ''\n"},
        {"{\"type\":\"ping\",\"text\":\"a\",\"id\":[]}", "text id 'id' tag 'ping' id ''\n"},
    };
    check_both("/flat", table, COUNT_OF(table));
}

void scenario_61_62_63_64_strict_and_lenient_handlers(void)
{
    static const struct exchange strict[] = {
        {"{\"type\":\"count\",\"n\":1,\"more\":2}",
         "text unknown_member 'more' tag 'count' id ''\n"},
        {"{\"type\":\"count\",\"n\":1,\"part\":{\"n\":1,\"more\":2}}",
         "text unknown_member 'part.more' tag 'count' id ''\n"},
        {"{\"type\":\"count\",\"n\":\"5\"}", "text type 'n' tag 'count' id ''\n"},
    };
    check_both("/flat", strict, COUNT_OF(strict));
    static const struct exchange loose[] = {
        {"{\"type\":\"count\",\"n\":1,\"more\":[{}]}", "count 1 0 0\n"},
        {"{\"type\":\"count\",\"n\":1,\"part\":{\"n\":1,\"more\":2}}", "count 1 0 1\n"},
        {"{\"type\":\"count\",\"n\":\"5\",\"x\":\"1.5\"}", "count 5 1.5 0\n"},
        {"{\"type\":\"count\",\"n\":1,\"more\":[}}", "text malformed '' tag 'count' id ''\n"},
    };
    check_both("/lenient", loose, COUNT_OF(loose));
    static const struct exchange in_envelope[] = {
        {"{\"type\":\"ping\",\"payload\":{\"text\":\"hi\",\"more\":1}}",
         "text unknown_member 'payload.more' tag 'ping' id ''\n"},
    };
    check_both("/envelope", in_envelope, COUNT_OF(in_envelope));
}

void scenario_65_66_a_payload_may_be_null_or_absent(void)
{
    static const struct exchange table[] = {
        {"{\"type\":\"raw\",\"payload\":{\"a\":[1, 2]}}", "raw {\"a\":[1, 2]}\n"},
        {"{\"type\":\"raw\",\"payload\":\"\\u0041\"}", "raw \"\\u0041\"\n"},
        {"{\"type\":\"raw\",\"payload\":null}", "raw null\n"},
        {"{\"type\":\"raw\"}", "raw NULL\n"},
        {"{\"type\":\"ping\",\"payload\":null}", "text type 'payload' tag 'ping' id ''\n"},
        {"{\"type\":\"ping\"}", "text missing 'payload' tag 'ping' id ''\n"},
        {"{\"type\":\"ping\",\"payload\":[]}", "text type 'payload' tag 'ping' id ''\n"},
        {"{\"type\":\"empty\",\"payload\":{}}", "empty there\n"},
        {"{\"type\":\"empty\",\"payload\":null}", "empty missing\n"},
        {"{\"type\":\"empty\"}", "empty missing\n"},
        {"{\"type\":\"empty\",\"payload\":5}", "text type 'payload' tag 'empty' id ''\n"},
    };
    check_both("/envelope", table, COUNT_OF(table));
    static const struct exchange in_flat[] = {
        {"{\"type\":\"raw\", \"a\":1}", "raw {\"type\":\"raw\", \"a\":1}\n"},
        {"{\"type\":\"empty\"}", "empty there\n"},
    };
    check_both("/flat", in_flat, COUNT_OF(in_flat));
}

void scenario_77_numbers_and_duplicates(void)
{
    static const struct exchange table[] = {
        {"{\"type\":\"count\",\"n\":3.0}", "text type 'n' tag 'count' id ''\n"},
        {"{\"type\":\"count\",\"n\":1e2}", "text type 'n' tag 'count' id ''\n"},
        {"{\"type\":\"count\",\"n\":true}", "text type 'n' tag 'count' id ''\n"},
        {"{\"type\":\"count\",\"n\":\"3\"}", "text type 'n' tag 'count' id ''\n"},
        {"{\"type\":\"count\",\"n\":3,\"x\":3}", "count 3 3 0\n"},
        {"{\"type\":\"count\",\"n\":1,\"n\":2}", "count 2 0 0\n"},
        {"{\"type\":\"count\",\"n\":9223372036854775807}", "count 9223372036854775807 0 0\n"},
        {"{\"type\":\"count\",\"n\":9223372036854775808}", "text range 'n' tag 'count' id ''\n"},
        {"{\"type\":\"count\",\"n\":1,\"type\":\"count\"}", "count 1 0 0\n"},
        {"{\"type\":\"count\",\"n\":1,\"type\":\"ping\"}",
         "text tag_twice 'type' tag 'count' id ''\n"},
    };
    check_both("/flat", table, COUNT_OF(table));
}

void scenario_75_76_bad_bytes_and_deep_nesting_are_unhandled(void)
{
    struct app_kit kit;
    begin(&kit, "/flat");
    static const char *const bad[] = {
        "{\"type\":\"ping\",\"text\":\"\xff\"}",
        "{\"type\":\"raw\",\"text\":\"\xed\xa0\x80\"}",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        app_kit_say_bytes(&kit, GYR_BINARY, bad[i], strlen(bad[i]));
        EXPECT(app_kit_noted(&kit, i == 0 ? "binary utf8 '' tag 'ping' id ''\n"
                                          : "binary utf8 '' tag 'raw' id ''\n"),
               "not UTF-8");
    }
    char deep[20000];
    for (size_t depth = 100; depth <= 9000; depth *= 9) {
        int size = snprintf(deep, sizeof(deep), "{\"type\":\"raw\",\"a\":");
        memset(deep + size, '[', depth);
        memset(deep + (size_t)size + depth, ']', depth);
        deep[(size_t)size + 2 * depth] = '}';
        deep[(size_t)size + 2 * depth + 1] = '\0';
        app_kit_say(&kit, deep);
        EXPECT(app_kit_noted(&kit, "text depth '' tag 'raw' id ''\n"), "too deep");
    }
    app_kit_say(&kit, "{\"type\":\"ping\",\"text\":\"still here\"}");
    EXPECT(app_kit_noted(&kit, "ping still here\n"), "the connection stays");
    static const char text[] = "{\"type\":\"ping\",\"text\":\"\xff\"}";
    app_kit_say(&kit, text);
    EXPECT(app_kit_got(&kit, "close:1007\n"), "as text it is the end (RFC 6455 section 8.1)");
    EXPECT(app_kit_noted(&kit, ""), "and reaches nobody");
    app_kit_end(&kit);
}

/* ---- what nobody handles --------------------------------------------------------------------- */

void scenario_37_without_on_unhandled_messages_are_ignored_but_requests_are_not(void)
{
    static const struct {
        const char *said;
        const char *got;
    } table[] = {
        {"nonsense", ""},
        {"{\"type\":\"other\"}", ""},
        {"{\"type\":\"ping\"}", ""},
        {"{\"type\":\"other\",\"id\":1}",
         "{\"type\":\"error\",\"re\":1,\"code\":\"unknown_tag\","
         "\"reason\":\"there is no message of this type\",\"path\":\"\"}\n"},
        {"{\"type\":\"ping\",\"id\":\"a\\\"b\"}",
         "{\"type\":\"error\",\"re\":\"a\\\"b\",\"code\":\"missing\","
         "\"reason\":\"it is missing\",\"path\":\"text\"}\n"},
        {"{\"id\":1.5e3}", "{\"type\":\"error\",\"re\":1.5e3,\"code\":\"no_tag\","
                           "\"reason\":\"the message does not say its type\",\"path\":\"\"}\n"},
        {"{\"type\":\"other\",\"id\":{}}", ""},
        {"{\"type\":\"other\",\"id\":1,}", ""},
    };
    struct app_kit kit;
    begin(&kit, "/silent");
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        app_kit_say(&kit, table[i].said);
        EXPECT(app_kit_got(&kit, table[i].got), table[i].said);
        EXPECT(app_kit_noted(&kit, ""), table[i].said);
    }
    (void)app_kit_open(&kit, "/bare");
    app_kit_say(&kit, "{\"type\":\"connect\"}");
    app_kit_say_bytes(&kit, GYR_BINARY, "\0\1\2", 3);
    EXPECT(app_kit_got(&kit, ""), "nobody says anything");
    app_kit_end(&kit);
}

void dispatch_finds_ids_up_to_64_bytes(void)
{
    struct app_kit kit;
    begin(&kit, "/flat");
    for (unsigned size = 63; size <= 65; size++) {
        char id[80];
        char said[128];
        char noted[128];
        memset(id, 'i', size);
        id[size] = '\0';
        (void)snprintf(said, sizeof(said), "{\"type\":\"x\",\"id\":\"%s\"}", id);
        (void)snprintf(noted, sizeof(noted), "text unknown_tag '' tag 'x' id '%s%s%s'\n",
                       size <= 64 ? "\"" : "", size <= 64 ? id : "", size <= 64 ? "\"" : "");
        app_kit_say(&kit, said);
        EXPECT(app_kit_noted(&kit, noted), said);
    }
    app_kit_end(&kit);
}

void dispatch_knows_tags_of_any_length(void)
{
    struct app_kit kit;
    begin(&kit, "/flat");
    for (unsigned size = 254; size <= 257; size++) {
        char tag[300];
        char said[400];
        char noted[400];
        memset(tag, 't', size);
        tag[size] = '\0';
        (void)snprintf(said, sizeof(said), "{\"type\":\"%s\"}", tag);
        (void)snprintf(noted, sizeof(noted), "text unknown_tag '' tag '%s' id ''\n", tag);
        app_kit_say(&kit, said);
        EXPECT(app_kit_noted(&kit, noted), "a tag as it is");
        (void)snprintf(said, sizeof(said), "{\"type\":\"\\u0074%s\"}", tag + 1);
        (void)snprintf(noted, sizeof(noted), "text unknown_tag '' tag '%s' id ''\n",
                       size <= 255 ? tag : "");
        app_kit_say(&kit, said);
        EXPECT(app_kit_noted(&kit, noted), "an escaped one up to 255 bytes");
    }
    app_kit_end(&kit);
}

/* ---- failures -------------------------------------------------------------------------------- */

void scenario_74_a_failing_handler_is_told_and_its_request_answered(void)
{
    struct app_kit kit;
    app_kit_init(&kit);
    kit.options.on_failure = probe_failure;
    app_kit_start(&kit, routes);
    (void)app_kit_open(&kit, "/flat");
    app_kit_say(&kit, "{\"type\":\"fail\"}");
    EXPECT(app_kit_noted(&kit, "fail\nfailure handler flat on_fail: "
                               "nobody has this id, or nothing this name\n"),
           "told");
    EXPECT(app_kit_got(&kit, ""), "it was no request");
    EXPECT(kit_line_has(&kit.hub.kit, "app.failed core=0 what=handler resource=flat name=on_fail"),
           "logged");
    app_kit_say(&kit, "{\"type\":\"fail\",\"id\":\"q\"}");
    EXPECT(app_kit_got(&kit, "{\"type\":\"error\",\"re\":\"q\",\"code\":\"failed\","
                             "\"reason\":\"the server could not do it\",\"path\":\"\"}\n"),
           "answered");
    kit.notes.size = 0;
    (void)app_kit_open(&kit, "/envelope");
    app_kit_say(&kit, "{\"type\":\"fail\",\"id\":3}");
    EXPECT(app_kit_got(&kit, "{\"type\":\"error\",\"re\":3,\"payload\":{\"code\":\"failed\","
                             "\"reason\":\"the server could not do it\",\"path\":\"\"}}\n"),
           "in an envelope");
    kit.notes.size = 0;
    app_kit_end(&kit);
}

void dispatch_without_memory_for_a_message_tells_so(void)
{
    struct app_kit kit;
    app_kit_init(&kit);
    kit.options.on_failure = probe_failure;
    kit.options.decoded_size_max = 1;
    app_kit_start(&kit, routes);
    (void)app_kit_open(&kit, "/flat");
    app_kit_say(&kit, "{\"type\":\"ping\",\"text\":\"hi\"}");
    EXPECT(app_kit_noted(&kit, "failure message flat -: the core's memory budget is used up\n"
                               "text memory '' tag 'ping' id ''\n"),
           "it is unhandled");
    app_kit_end(&kit);
}
