/* SPDX-License-Identifier: MIT */
/* Scenarios 67 to 74: which handler gets a message, and what becomes of one that fails. */
#include "tests/scenario_kit.h"

#include <errno.h>
#include <stdio.h>

/* A handler that notes its name. */
#define NAMED(name)                                                             \
    static int name(struct gyr_conn *conn, void *self, struct gyr_span payload) \
    {                                                                           \
        (void)self;                                                             \
        (void)payload;                                                          \
        note(conn, "%s", #name);                                                \
        return 0;                                                               \
    }

/* X(name of the handler, tags that become it, in JSON) */
#define CONVERSIONS(X)                                                               \
    X(on_send_message, "sendMessage", "SendMessage", "send-message", "send.message", \
      "send message", "SEND_MESSAGE", "send--message", "send_message")               \
    X(on_http_server, "HTTPServer")                                                  \
    X(on_get_http_response_code, "getHTTPResponseCode")                              \
    X(on_json_to_xml, "JSONToXML")                                                   \
    X(on_chat_message_new, "chat.message.new")                                       \
    X(on_x509_cert, "X509Cert")                                                      \
    X(on_na_ve_tag, "na\303\257veTag")                                               \
    X(on_stra_e, "Stra\303\237e")                                                    \
    X(on_user_id2, "userID2")                                                        \
    X(on_version2_update, "version2Update")                                          \
    X(on_2_fa, "2FA")                                                                \
    X(on_type1_a, "type1A")                                                          \
    X(on_a1_b2, "a1B2")                                                              \
    X(on_i_os, "iOS")                                                                \
    X(on_a_bc, "ABc")                                                                \
    X(on_abc, "ABC")                                                                 \
    X(on_foo_bar, "foo--bar", "foo__bar")                                            \
    X(on__foo_, "-foo-")                                                             \
    X(on_foo_, "foo_")                                                               \
    X(on_join_, "join!")                                                             \
    X(on__, "\303\251", "\346\227\245\346\234\254")                                  \
    X(on_, "")

#define HANDLER(name, ...) NAMED(name)
CONVERSIONS(HANDLER)
#undef HANDLER

#define HANDLER(name, ...) GYR_ON_NAMED_RAW(name),
static const struct gyr_handler conversions[] = {CONVERSIONS(HANDLER){0}};
#undef HANDLER
static const struct gyr_resource converting = {
    GYR_RESOURCE_PLAIN("converting"), .handlers = conversions, .on_unhandled = scenario_unhandled};
static const struct gyr_route convertings[] = {GYR_ROUTE("/", &converting), {0}};

/* Send a message of this tag and compare what was noted. */
static void says_tag(struct scenario *at, struct scenario_client *client, const char *tag,
                     const char *noted)
{
    char message[128];
    (void)snprintf(message, sizeof(message), "{\"type\":\"%s\"}", tag);
    scenario_say(client, message);
    scenario_noted(at, noted, __FILE__, __LINE__);
}

void scenario_067_a_tag_becomes_a_name_by_convention(void)
{
#define HANDLER(name, ...) {#name, {__VA_ARGS__}},
    static const struct {
        const char *name;
        const char *tags[9];
    } rows[] = {CONVERSIONS(HANDLER)};
#undef HANDLER
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", convertings);
        SERVE(&at);
        struct scenario_client *client = OPEN(&at, "/");
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            for (size_t j = 0; rows[i].tags[j] != NULL; j++) {
                says_tag(&at, client, rows[i].tags[j], rows[i].name);
            }
        }
        says_tag(&at, client, "send\\u004dessage", "on_send_message");
        says_tag(&at, client, "sendmessage", "unhandled:unknown_tag::{\"type\":\"sendmessage\"}");
        LEAVE(client);
        ENDED(&at, "");
    }
}

NAMED(registered)
NAMED(both_on_both)
static const struct gyr_resource both = {
    GYR_RESOURCE_PLAIN("both"),
    .handlers = GYR_HANDLERS(GYR_ON_NAMED_RAW(both_on_both), GYR_ON_RAW("both", registered))};
static const struct gyr_route boths[] = {GYR_ROUTE("/", &both), {0}};

void scenario_068_a_registered_handler_goes_before_one_by_convention(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", boths);
        SERVE(&at);
        struct scenario_client *client = OPEN(&at, "/");
        says_tag(&at, client, "both", "registered");
        says_tag(&at, client, "Both", "both_on_both");
        says_tag(&at, client, "both", "registered");
        LEAVE(client);
        ENDED(&at, "");
    }
}

SCENARIO_TRACED(life);

NAMED(on_other)
static const struct gyr_resource living = {GYR_RESOURCE(life), SCENARIO_LIFE(life),
                                           .on_unhandled = scenario_unhandled,
                                           .handlers = GYR_HANDLERS(GYR_ON_NAMED_RAW(on_other))};
static const struct gyr_route livings[] = {GYR_ROUTE("/", &living), {0}};

void scenario_069_no_tag_reaches_a_function_of_the_lifecycle(void)
{
    static const char *const tags[] = {"connect", "disconnect",   "unhandled", "create",  "destroy",
                                       "text",    "life_connect", "Connect",   "message", "timer"};
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", livings);
        SERVE(&at);
        struct scenario_client *client = OPEN(&at, "/");
        NOTED(&at, "life:create life:connect");
        for (size_t i = 0; i < COUNT_OF(tags); i++) {
            char expected[128];
            (void)snprintf(expected, sizeof(expected), "unhandled:unknown_tag::{\"type\":\"%s\"}",
                           tags[i]);
            says_tag(&at, client, tags[i], expected);
        }
        LEAVE(client);
        ENDED(&at, "life:disconnect:1000 life:destroy");
    }
}

/* ---- declared wrongly ---- */

struct say {
    int32_t n;
};
GYR_MESSAGE(say, "say", GYR_MEMBER(say, n));
struct part {
    int32_t n;
};
GYR_PART(part, GYR_MEMBER(part, n));
struct say_too {
    int32_t n;
};
GYR_MESSAGE(say_too, "say", GYR_MEMBER(say_too, n));

#define TYPED(function, message)                                                       \
    static int function(struct gyr_conn *conn, void *self, const struct message *came) \
    {                                                                                  \
        (void)self;                                                                    \
        note(conn, "%s:%d", #function, came->n);                                       \
        return 0;                                                                      \
    }
TYPED(on_say, say)
TYPED(on_say_again, say)
TYPED(on_say_too, say_too)
TYPED(on_part, part)

static const struct gyr_resource tag_twice = {
    GYR_RESOURCE_PLAIN("tag_twice"),
    .handlers = GYR_HANDLERS(GYR_ON_RAW("x", registered), GYR_ON_RAW("x", on_other))};
static const struct gyr_resource schema_twice = {
    GYR_RESOURCE_PLAIN("schema_twice"),
    .handlers = GYR_HANDLERS(GYR_ON(say, on_say), GYR_ON(say, on_say_again))};
static const struct gyr_route tag_twices[] = {GYR_ROUTE("/", &tag_twice), {0}};
static const struct gyr_route schema_twices[] = {GYR_ROUTE("/", &schema_twice), {0}};

void scenario_070_a_tag_or_a_schema_twice_is_a_mistake(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", tag_twices);
        MISTAKES(&at, "@: the resource \"tag_twice\" has two handlers of the tag \"x\", the first "
                      "at @; remove one");
    }
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", schema_twices);
        MISTAKES(&at, "@: the resource \"schema_twice\" has two handlers of struct say, the first "
                      "at @; remove one");
    }
}

static const struct gyr_resource untagged = {GYR_RESOURCE_PLAIN("untagged"),
                                             .handlers = GYR_HANDLERS(GYR_ON(part, on_part))};
static const struct gyr_resource same_tag = {
    GYR_RESOURCE_PLAIN("same_tag"),
    .handlers = GYR_HANDLERS(GYR_ON(say, on_say), GYR_ON(say_too, on_say_too))};
static const struct gyr_resource listed_twice = {
    GYR_RESOURCE_PLAIN("listed_twice"), .messages = GYR_MESSAGES({&say_schema}, {&say_too_schema}),
    .handlers = GYR_HANDLERS(GYR_ON(say, on_say))};
/* Within a message, too. */
struct either {
    struct gyr_variant variant;
};
static const struct gyr_choice same_choices[] = {{&say_schema}, {&say_too_schema}, {0}};
GYR_MESSAGE(either, "either", GYR_VARIANT(either, variant, same_choices));
static int on_either(struct gyr_conn *conn, void *self, const struct either *either)
{
    (void)self;
    (void)either;
    note(conn, "either");
    return 0;
}
static const struct gyr_resource within = {GYR_RESOURCE_PLAIN("within"),
                                           .handlers = GYR_HANDLERS(GYR_ON(either, on_either))};
static const struct gyr_route withins[] = {GYR_ROUTE("/", &within), {0}};
static const struct gyr_route untaggeds[] = {GYR_ROUTE("/", &untagged), {0}};
static const struct gyr_route same_tags[] = {GYR_ROUTE("/", &same_tag), {0}};
static const struct gyr_route listed_twices[] = {GYR_ROUTE("/", &listed_twice), {0}};

void scenario_073_a_schema_without_a_tag_or_with_anothers_is_a_mistake(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", untaggeds);
        MISTAKES(&at, "@: the handler \"on_part\" is of struct part, which has no tag; declare it "
                      "with GYR_MESSAGE, or use GYR_ON_NAMED");
    }
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", same_tags);
        MISTAKES(&at, "@: the resource \"same_tag\" has two handlers of the tag \"say\", the first "
                      "at @; remove one");
    }
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", listed_twices);
        MISTAKES(&at,
                 "@: struct say_too and struct say, at @, have the same tag \"say\", and both are "
                 "among the messages of the resource \"listed_twice\"; remove one");
    }
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", withins);
        MISTAKES(&at,
                 "@: either.variant: the choices say and say_too have the same tag 'say'; give "
                 "one another");
    }
}

/* ---- bases ---- */

NAMED(grand_x)
NAMED(grand_y)
NAMED(parent_x)
NAMED(leaf_z)
NAMED(mixed_x)
NAMED(mixed_m)
NAMED(other_m)
TYPED(base_say, say)
TYPED(child_say, say)

static const struct gyr_resource grand = {
    GYR_RESOURCE_PLAIN("grand"), .on_unhandled = scenario_unhandled,
    .handlers = GYR_HANDLERS(GYR_ON_RAW("x", grand_x), GYR_ON_RAW("y", grand_y),
                             GYR_ON(say, base_say, .lenient = true))};
static const struct gyr_resource adding = {
    GYR_RESOURCE_PLAIN("adding"), .base = &grand,
    .handlers = GYR_HANDLERS(GYR_ON_RAW("z", leaf_z), GYR_ON_RAW("x", parent_x),
                             GYR_OVERRIDE(say, base_say, child_say))};
static const struct gyr_route addings[] = {
    GYR_ROUTE("/", &adding), GYR_ROUTE("/base", &grand), {0}};

void scenario_071_a_derived_type_adds_replaces_and_overrides_by_name(void)
{
    static const char extra[] = "{\"type\":\"say\",\"n\":\"5\",\"more\":1}"; /* lenient */
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", addings);
        SERVE(&at);
        struct scenario_client *client = OPEN(&at, "/");
        says_tag(&at, client, "y", "grand_y");
        says_tag(&at, client, "z", "leaf_z");
        says_tag(&at, client, "x", "parent_x");
        scenario_say(client, extra);
        NOTED(&at, "child_say:5");
        LEAVE(client);
        client = OPEN(&at, "/base");
        says_tag(&at, client, "x", "grand_x");
        says_tag(&at, client, "z", "unhandled:unknown_tag::{\"type\":\"z\"}");
        scenario_say(client, extra);
        NOTED(&at, "base_say:5");
        LEAVE(client);
        ENDED(&at, "");
    }
}

static const struct gyr_resource middle = {GYR_RESOURCE_PLAIN("middle"), .base = &grand,
                                           .handlers = GYR_HANDLERS(GYR_ON_RAW("x", parent_x))};
static const struct gyr_resource mixin = {
    GYR_RESOURCE_PLAIN("mixin"),
    .handlers = GYR_HANDLERS(GYR_ON_RAW("x", mixed_x), GYR_ON_RAW("m", mixed_m))};
static const struct gyr_resource second_mixin = {
    GYR_RESOURCE_PLAIN("second_mixin"), .handlers = GYR_HANDLERS(GYR_ON_RAW("m", other_m))};
static const struct gyr_resource leaf = {GYR_RESOURCE_PLAIN("leaf"), .base = &middle,
                                         .mixins = GYR_MIXINS({&mixin}, {&second_mixin}),
                                         .handlers = GYR_HANDLERS(GYR_ON_RAW("z", leaf_z))};
static const struct gyr_route leaves[] = {GYR_ROUTE("/", &leaf), {0}};

void scenario_072_the_nearest_base_wins_and_of_two_the_first(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", leaves);
        SERVE(&at);
        struct scenario_client *client = OPEN(&at, "/");
        says_tag(&at, client, "x", "parent_x");
        says_tag(&at, client, "y", "grand_y");
        says_tag(&at, client, "z", "leaf_z");
        says_tag(&at, client, "m", "mixed_m");
        LEAVE(client);
        ENDED(&at, "");
    }
}

/* ---- failures ---- */

static int fails(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    (void)self;
    (void)payload;
    note(conn, "handler");
    return -EIO;
}
static int after_notes(struct gyr_hook_call *call)
{
    note(call->conn, "after:%d", call->err);
    return 0;
}
static const struct gyr_hook after_hooks[] = {GYR_HOOK("after", .after_receive = after_notes), {0}};
static const struct gyr_resource closing = {GYR_RESOURCE_PLAIN("closing"), .hooks = after_hooks,
                                            .handlers = GYR_HANDLERS(GYR_ON_RAW("fail", fails))};
static const struct gyr_resource keeping = {GYR_RESOURCE_PLAIN("keeping"), .hooks = after_hooks,
                                            .failure_policy = GYR_FAILURE_KEEP,
                                            .handlers = GYR_HANDLERS(GYR_ON_RAW("fail", fails))};
static const struct gyr_route failings[] = {
    GYR_ROUTE("/close", &closing), GYR_ROUTE("/keep", &keeping), {0}};

void scenario_074_a_handler_that_fails_is_reported_and_the_policy_decides(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", failings);
        SERVE(&at);
        struct scenario_client *client = OPEN(&at, "/close");
        says_tag(&at, client, "fail", "handler failed:handler:fails:-5 after:-5");
        HEARS_CLOSE(client, 1011, "");
        client = OPEN(&at, "/keep");
        says_tag(&at, client, "fail", "handler failed:handler:fails:-5 after:-5");
        says_tag(&at, client, "fail", "handler failed:handler:fails:-5 after:-5");
        LEAVE(client);
        ENDED(&at, "");
        EXPECT_INT(scenario_logged(&at, "what=handler"), 3, "a line for each");
    }
    SCENARIO_EACH_RING(&at)
    {
        at.options.failure_policy = GYR_FAILURE_KEEP;
        ROUTES(&at, "", failings);
        SERVE(&at);
        struct scenario_client *client = OPEN(&at, "/close"); /* which has no policy of its own */
        says_tag(&at, client, "fail", "handler failed:handler:fails:-5 after:-5");
        LEAVE(client);
        ENDED(&at, "");
    }
}
