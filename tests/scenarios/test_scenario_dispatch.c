/* SPDX-License-Identifier: MIT */
/* Scenarios 56 to 66 and 75 to 77: what a message has to be to come to its handler. */
#include "tests/scenario_kit.h"

#include <stdio.h>
#include <stdlib.h>

/* Send it and compare what was noted; nothing else must come before the next message. */
#define SAYS(client, message, noted)       \
    do {                                   \
        scenario_say((client), (message)); \
        NOTED(&at, noted);                 \
    } while (0)
#define SAYS_BINARY(client, message, noted)                              \
    do {                                                                 \
        scenario_send((client), GYR_BINARY, (message), strlen(message)); \
        NOTED(&at, noted);                                               \
    } while (0)

struct ping {
    struct gyr_span text;
};
GYR_MESSAGE(ping, "ping", GYR_MEMBER(ping, text));

static int on_ping(struct gyr_conn *conn, void *self, const struct ping *ping)
{
    (void)self;
    note(conn, "ping:%.*s", (int)ping->text.size, ping->text.ptr);
    return 0;
}
static const struct gyr_resource pinger = {GYR_RESOURCE_PLAIN("pinger"), .form = GYR_FORM_ENVELOPE,
                                           .handlers = GYR_HANDLERS(GYR_ON(ping, on_ping)),
                                           .on_unhandled = scenario_unhandled};
static const struct gyr_resource flat_pinger = {GYR_RESOURCE_PLAIN("flat_pinger"),
                                                .handlers = GYR_HANDLERS(GYR_ON(ping, on_ping)),
                                                .on_unhandled = scenario_unhandled};
static const struct gyr_resource lenient_pinger = {
    GYR_RESOURCE_PLAIN("lenient_pinger"),
    .handlers = GYR_HANDLERS(GYR_ON(ping, on_ping, .lenient = true)),
    .on_unhandled = scenario_unhandled};
static const struct gyr_route pingers[] = {GYR_ROUTE("/", &pinger),
                                           GYR_ROUTE("/flat", &flat_pinger),
                                           GYR_ROUTE("/lenient", &lenient_pinger),
                                           {0}};

void scenario_056_a_handler_gets_the_payload_decoded(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", pingers);
        SERVE(&at);
        struct scenario_client *client = OPEN(&at, "/");
        SAYS(client, "{\"type\":\"ping\",\"payload\":{\"text\":\"hi\"}}", "ping:hi");
        SAYS(client, " {\"payload\" : {\"text\":\"\\u0068\\u0069\"}, \"type\" : \"pi\\u006eg\"}\n",
             "ping:hi");
        LEAVE(client);
        ENDED(&at, "");
    }
}

void scenario_057_a_binary_frame_is_read_as_text_is(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", pingers);
        SERVE(&at);
        struct scenario_client *client = OPEN(&at, "/");
        SAYS_BINARY(client, "{\"type\":\"ping\",\"payload\":{\"text\":\"hi\"}}", "ping:hi");
        LEAVE(client);
        client = OPEN(&at, "/flat");
        SAYS_BINARY(client, "{\"type\":\"ping\",\"text\":\"hi\"}", "ping:hi");
        LEAVE(client);
        ENDED(&at, "");
    }
}

struct join {
    struct gyr_span room;
    uint32_t since;
};
GYR_MESSAGE(join, "join", GYR_MEMBER(join, room), GYR_MEMBER(join, since));
struct leave {
    struct gyr_span room;
    bool quietly;
};
GYR_MESSAGE(leave, "leave", GYR_MEMBER(leave, room), GYR_MEMBER(leave, quietly, GYR_OPTIONAL));

static int on_join(struct gyr_conn *conn, void *self, const struct join *join)
{
    (void)self;
    note(conn, "join:%.*s:%u", (int)join->room.size, join->room.ptr, join->since);
    return 0;
}
static int on_leave(struct gyr_conn *conn, void *self, const struct leave *leave)
{
    (void)self;
    note(conn, "leave:%.*s:%d", (int)leave->room.size, leave->room.ptr, leave->quietly);
    return 0;
}
static const struct gyr_resource either = {
    GYR_RESOURCE_PLAIN("either"), .on_unhandled = scenario_unhandled,
    .messages = GYR_MESSAGES({&join_schema}, {&leave_schema}),
    .handlers = GYR_HANDLERS(GYR_ON(join, on_join), GYR_ON(leave, on_leave))};
static const struct gyr_route eithers[] = {GYR_ROUTE("/", &either), {0}};

void scenario_058_each_of_several_messages_comes_whole_to_its_handler(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", eithers);
        SERVE(&at);
        struct scenario_client *client = OPEN(&at, "/");
        SAYS(client, "{\"type\":\"join\",\"room\":\"a\",\"since\":7}", "join:a:7");
        SAYS(client, "{\"room\":\"b\",\"type\":\"join\",\"since\":8}", "join:b:8");
        SAYS(client, "{\"since\":9,\"room\":\"c\",\"type\":\"join\"}", "join:c:9");
        SAYS(client, "{\"room\":\"type\",\"type\":\"leave\",\"quietly\":true}", "leave:type:1");
        SAYS(client, "{\"room\":\"d\",\"type\":\"leave\"}", "leave:d:0");
        LEAVE(client);
        ENDED(&at, "");
    }
}

void scenario_059_what_is_no_known_message_comes_to_the_fallback_as_it_is(void)
{
    static const struct {
        const char *message;
        const char *code;
    } rows[] = {
        {"{\"type\":\"nobody\",\"payload\":1}", "unknown_tag"},
        {"{\"type\":\"Ping\",\"payload\":{\"text\":\"hi\"}}", "unknown_tag"},
        {"{\"payload\":{\"type\":\"ping\"}}", "no_tag"},
        {"{}", "no_tag"},
        {"{\"type\":1}", "tag_type"},
        {"{\"type\":null}", "tag_type"},
        {"{\"type\":[\"ping\"]}", "tag_type"},
        {"{\"type\":\"ping\",\"payload\":{\"text\":\"hi\"}", "malformed"},
        {"{\"type\":\"ping\",\"payload\":{\"text\":\"hi\"}}x", "malformed"},
        {"{\"type\":\"ping\",\"payload\":{\"text\":\"hi\"},}", "malformed"},
        {"{\"type\"", "malformed"},
        {"[{\"type\":\"ping\"}]", "not_object"},
        {"\"ping\"", "not_object"},
        {"null", "not_object"},
        {"", "not_object"},
    };
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", pingers);
        SERVE(&at);
        struct scenario_client *client = OPEN(&at, "/");
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            char expected[256];
            (void)snprintf(expected, sizeof(expected), "unhandled:%s::%s", rows[i].code,
                           rows[i].message);
            SAYS(client, rows[i].message, expected);
            (void)snprintf(expected, sizeof(expected), "unhandled:%s::~%s", rows[i].code,
                           rows[i].message);
            SAYS_BINARY(client, rows[i].message, expected);
        }
        SAYS(client, "{\"type\":\"ping\",\"payload\":{\"text\":\"still here\"}}",
             "ping:still here");
        LEAVE(client);
        ENDED(&at, "");
    }
}

/* ---- what does not fit its schema ---- */

struct point {
    int32_t x;
};
GYR_PART(point, GYR_MEMBER(point, x));
struct shape {
    int64_t count;
    struct point at;
    const struct point *points;
    size_t point_count;
};
GYR_MESSAGE(shape, "shape", GYR_MEMBER(shape, count, GYR_RANGE(0, 9)), GYR_STRUCT(shape, at, point),
            GYR_ARRAY_OF(shape, points, point_count, point, GYR_OPTIONAL));

static int on_shape(struct gyr_conn *conn, void *self, const struct shape *shape)
{
    (void)self;
    note(conn, "shape:%lld:%d:%zu", (long long)shape->count, shape->at.x, shape->point_count);
    return 0;
}

/* The same message, strict and lenient, flat and in an envelope. */
static const struct gyr_resource strict = {GYR_RESOURCE_PLAIN("strict"),
                                           .on_unhandled = scenario_unhandled,
                                           .handlers = GYR_HANDLERS(GYR_ON(shape, on_shape))};
static const struct gyr_resource lenient = {
    GYR_RESOURCE_PLAIN("lenient"), .on_unhandled = scenario_unhandled,
    .handlers = GYR_HANDLERS(GYR_ON(shape, on_shape, .lenient = true))};
static const struct gyr_resource strict_envelope = {
    GYR_RESOURCE_PLAIN("strict_envelope"), .form = GYR_FORM_ENVELOPE,
    .on_unhandled = scenario_unhandled, .handlers = GYR_HANDLERS(GYR_ON(shape, on_shape))};
static const struct gyr_resource lenient_envelope = {
    GYR_RESOURCE_PLAIN("lenient_envelope"), .form = GYR_FORM_ENVELOPE,
    .on_unhandled = scenario_unhandled,
    .handlers = GYR_HANDLERS(GYR_ON(shape, on_shape, .lenient = true))};
static const struct gyr_route shapes[] = {GYR_ROUTE("/strict/flat", &strict),
                                          GYR_ROUTE("/lenient/flat", &lenient),
                                          GYR_ROUTE("/strict/envelope", &strict_envelope),
                                          GYR_ROUTE("/lenient/envelope", &lenient_envelope),
                                          {0}};

struct body {
    const char *members; /* of the message */
    const char *noted;   /* a handler's note, or the code and path of a fault */
};

/* Send them all to a path, in its form. */
static void bodies_say(const char *target, const struct body *bodies, size_t count)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", shapes);
        SERVE(&at);
        struct scenario_client *client = OPEN(&at, target);
        bool is_envelope = strstr(target, "envelope") != NULL;
        for (size_t i = 0; i < count; i++) {
            char message[256];
            char expected[512];
            (void)snprintf(message, sizeof(message),
                           is_envelope ? "{\"type\":\"shape\",\"payload\":{%s}}"
                                       : "{\"type\":\"shape\",%s}",
                           bodies[i].members);
            if (strncmp(bodies[i].noted, "shape:", 6) == 0) {
                (void)snprintf(expected, sizeof(expected), "%s", bodies[i].noted);
            } else { /* "code:path": where in the message as it came */
                const char *path = strchr(bodies[i].noted, ':') + 1;
                (void)snprintf(expected, sizeof(expected), "unhandled:%.*s%s%s:%s",
                               (int)(path - bodies[i].noted), bodies[i].noted,
                               is_envelope && *path != '\0' ? "payload." : "", path, message);
            }
            SAYS(client, message, expected);
        }
        LEAVE(client);
        ENDED(&at, "");
    }
}

void scenario_060_a_wrong_or_missing_member_is_named_to_the_fallback(void)
{
    static const struct body bodies[] = {
        {"\"count\":1,\"at\":{\"x\":2}", "shape:1:2:0"},
        {"\"count\":\"1\",\"at\":{\"x\":2}", "type:count"},
        {"\"count\":null,\"at\":{\"x\":2}", "type:count"},
        {"\"count\":10,\"at\":{\"x\":2}", "range:count"},
        {"\"at\":{\"x\":2}", "missing:count"},
        {"\"count\":1", "missing:at"},
        {"\"count\":1,\"at\":[]", "type:at"},
        {"\"count\":1,\"at\":{}", "missing:at.x"},
        {"\"count\":1,\"at\":{\"x\":\"\"}", "type:at.x"},
        {"\"count\":1,\"at\":{\"x\":2},\"points\":[{\"x\":1},{\"x\":true}]", "type:points[1].x"},
        {"\"count\":1,\"at\":{\"x\":2},\"points\":[{\"x\":1},{}]", "missing:points[1].x"},
    };
    bodies_say("/strict/envelope", bodies, COUNT_OF(bodies));
    bodies_say("/strict/flat", bodies, COUNT_OF(bodies));
}

static const struct body extra_strict[] = {
    {"\"count\":1,\"at\":{\"x\":2},\"more\":3", "unknown_member:more"},
    {"\"more\":{},\"count\":1,\"at\":{\"x\":2}", "unknown_member:more"}};
static const struct body extra_lenient[] = {
    {"\"count\":1,\"at\":{\"x\":2},\"more\":3", "shape:1:2:0"},
    {"\"more\":{\"count\":7},\"count\":1,\"at\":{\"x\":2}", "shape:1:2:0"},
    {"\"more\":{,\"count\":1,\"at\":{\"x\":2}", "malformed:"},
    {"\"more\":1", "missing:count"}};

void scenario_061_in_an_envelope_strict_refuses_what_lenient_drops(void)
{
    bodies_say("/strict/envelope", extra_strict, COUNT_OF(extra_strict));
    bodies_say("/lenient/envelope", extra_lenient, COUNT_OF(extra_lenient));
}

void scenario_062_a_flat_message_is_as_strict_as_one_in_an_envelope(void)
{
    bodies_say("/strict/flat", extra_strict, COUNT_OF(extra_strict));
    bodies_say("/lenient/flat", extra_lenient, COUNT_OF(extra_lenient));
}

void scenario_063_strict_holds_for_nested_members_too(void)
{
    static const struct body nested[] = {
        {"\"count\":1,\"at\":{\"x\":2,\"y\":3}", "unknown_member:at.y"},
        {"\"count\":1,\"at\":{\"x\":2},\"points\":[{\"x\":1,\"y\":1}]",
         "unknown_member:points[0].y"}};
    static const struct body dropped[] = {
        {"\"count\":1,\"at\":{\"x\":2,\"y\":3},\"points\":[{\"x\":1,\"y\":1}]", "shape:1:2:1"}};
    bodies_say("/strict/flat", nested, COUNT_OF(nested));
    bodies_say("/strict/envelope", nested, COUNT_OF(nested));
    bodies_say("/lenient/flat", dropped, COUNT_OF(dropped));
    bodies_say("/lenient/envelope", dropped, COUNT_OF(dropped));
}

void scenario_064_lenient_takes_a_number_in_quotes_strict_does_not(void)
{
    static const struct body refused[] = {{"\"count\":\"5\",\"at\":{\"x\":2}", "type:count"}};
    static const struct body taken[] = {{"\"count\":\"5\",\"at\":{\"x\":\"-2\"}", "shape:5:-2:0"},
                                        {"\"count\":\"10\",\"at\":{\"x\":2}", "range:count"},
                                        {"\"count\":\"five\",\"at\":{\"x\":2}", "type:count"},
                                        {"\"count\":\" 5\",\"at\":{\"x\":2}", "type:count"},
                                        {"\"count\":\"\",\"at\":{\"x\":2}", "type:count"}};
    bodies_say("/strict/envelope", refused, COUNT_OF(refused));
    bodies_say("/strict/flat", refused, COUNT_OF(refused));
    bodies_say("/lenient/envelope", taken, COUNT_OF(taken));
    bodies_say("/lenient/flat", taken, COUNT_OF(taken));
}

/* ---- payloads that are not there ---- */

static int on_raw(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    (void)self;
    if (payload.ptr != NULL) {
        note(conn, "raw:%.*s", (int)payload.size, payload.ptr);
    } else {
        note(conn, "raw none");
    }
    return 0;
}
static int on_maybe(struct gyr_conn *conn, void *self, const struct leave *leave)
{
    if (leave == NULL) {
        note(conn, "leave none");
        return 0;
    }
    return on_leave(conn, self, leave);
}
static const struct gyr_resource payloads = {
    GYR_RESOURCE_PLAIN("payloads"), .form = GYR_FORM_ENVELOPE, .on_unhandled = scenario_unhandled,
    .handlers = GYR_HANDLERS(GYR_ON_RAW("raw", on_raw), GYR_ON(ping, on_ping),
                             GYR_ON(leave, on_maybe, .payload_optional = true))};
static const struct gyr_resource flat_raw = {GYR_RESOURCE_PLAIN("flat_raw"),
                                             .on_unhandled = scenario_unhandled,
                                             .handlers = GYR_HANDLERS(GYR_ON_RAW("raw", on_raw))};
static const struct gyr_route payload_routes[] = {
    GYR_ROUTE("/", &payloads), GYR_ROUTE("/flat", &flat_raw), {0}};

void scenario_065_a_handler_without_a_schema_gets_what_stands_there(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", payload_routes);
        SERVE(&at);
        struct scenario_client *client = OPEN(&at, "/");
        SAYS(client, "{\"type\":\"raw\",\"payload\":{\"a\": [1, 2]}}", "raw:{\"a\": [1, 2]}");
        SAYS(client, "{\"payload\":\"x\",\"type\":\"raw\"}", "raw:\"x\"");
        SAYS(client, "{\"type\":\"raw\",\"payload\":null}", "raw:null");
        SAYS(client, "{\"type\":\"raw\"}", "raw none");
        SAYS(client, "{\"type\":\"raw\",\"payload\":{\"a\":}}",
             "unhandled:malformed::{\"type\":\"raw\",\"payload\":{\"a\":}}");
        LEAVE(client);
        client = OPEN(&at, "/flat");
        SAYS(client, "{\"type\":\"raw\",\"a\":1}", "raw:{\"type\":\"raw\",\"a\":1}");
        SAYS(client, "{\"type\":\"raw\",\"a\":1", "unhandled:malformed::{\"type\":\"raw\",\"a\":1");
        LEAVE(client);
        ENDED(&at, "");
    }
}

void scenario_066_a_schema_wants_its_payload_unless_it_is_optional(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", payload_routes);
        SERVE(&at);
        struct scenario_client *client = OPEN(&at, "/");
        SAYS(client, "{\"type\":\"ping\"}", "unhandled:missing:payload:{\"type\":\"ping\"}");
        SAYS(client, "{\"type\":\"ping\",\"payload\":null}",
             "unhandled:type:payload:{\"type\":\"ping\",\"payload\":null}");
        SAYS(client, "{\"type\":\"leave\"}", "leave none");
        SAYS(client, "{\"type\":\"leave\",\"payload\":null}", "leave none");
        SAYS(client, "{\"type\":\"leave\",\"payload\":{\"room\":\"a\"}}", "leave:a:0");
        SAYS(client, "{\"type\":\"leave\",\"payload\":{}}",
             "unhandled:missing:payload.room:{\"type\":\"leave\",\"payload\":{}}");
        LEAVE(client);
        ENDED(&at, "");
    }
}

/* ---- hostile messages ---- */

void scenario_075_bytes_that_are_no_utf8_close_with_1007_in_a_text_frame_only(void)
{
    static const struct {
        const char *message;
        const char *noted; /* of it in a binary frame, in front of its bytes */
    } rows[] = {{"{\"type\":\"ping\",\"text\":\"\xff\"}", "utf8:"},
                {"{\"type\":\"ping\",\"text\":\"\xc0\xaf\"}", "utf8:"},
                {"{\"type\":\"ping\",\"\xed\xa0\x80\":1,\"text\":\"\"}", "unknown_member:???"},
                {"\xff{\"type\":\"ping\",\"text\":\"\"}", "malformed:"}};
    static const char skipped[] = "{\"type\":\"ping\",\"text\":\"\",\"more\":\"\xff\"}";
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", pingers);
        SERVE(&at);
        struct scenario_client *binary = OPEN(&at, "/flat");
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            char expected[256];
            struct scenario_client *client = OPEN(&at, "/flat");
            scenario_say(client, rows[i].message);
            HEARS_CLOSE(client, 1007, "");
            (void)snprintf(expected, sizeof(expected), "unhandled:%s:~%s", rows[i].noted,
                           rows[i].message);
            SAYS_BINARY(binary, rows[i].message, expected);
        }
        SAYS_BINARY(binary, "{\"type\":\"ping\",\"text\":\"\xc3\xa9\"}", "ping:\xc3\xa9");
        LEAVE(binary);
        binary = OPEN(&at, "/lenient");
        SAYS_BINARY(binary, skipped,
                    "unhandled:utf8::~{\"type\":\"ping\",\"text\":\"\",\"more\":\"\xff\"}");
        LEAVE(binary);
        ENDED(&at, "");
    }
}

#define DEEP_SIZE 100000

static int measuring_unhandled(struct gyr_conn *conn, void *self,
                               const struct gyr_unhandled *unhandled)
{
    (void)self;
    note(conn, "unhandled:%s:%zu", gyr_reason_code(unhandled->fault->reason),
         unhandled->message.size);
    return 0;
}
static const struct gyr_resource measuring = {
    GYR_RESOURCE_PLAIN("measuring"), .on_unhandled = measuring_unhandled,
    .handlers = GYR_HANDLERS(GYR_ON_RAW("raw", on_raw), GYR_ON(shape, on_shape),
                             GYR_ON(ping, on_ping, .lenient = true))};
static const struct gyr_route measurings[] = {GYR_ROUTE("/", &measuring), {0}};

void scenario_076_nesting_and_size_are_bounded(void)
{
    /* A value of a raw message, of a member that is skipped, of one that is decoded. */
    static const char *const heads[] = {
        "{\"type\":\"raw\",\"a\":", "{\"type\":\"ping\",\"text\":\"\",\"a\":",
        "{\"type\":\"shape\",\"points\":"};
    static char deep[(2 * DEEP_SIZE) + 64];
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        at.config.message_size_max = sizeof(deep);
        ROUTES(&at, "", measurings);
        SERVE(&at);
        struct scenario_client *client = OPEN(&at, "/");
        for (size_t i = 0; i < 2 * COUNT_OF(heads); i++) {
            size_t head_size = strlen(heads[i / 2]);
            bool is_array = i % 2 == 0;
            memcpy(deep, heads[i / 2], head_size);
            memset(deep + head_size, '[', DEEP_SIZE);
            memset(deep + head_size + DEEP_SIZE, ']', DEEP_SIZE);
            size_t size = head_size + (2 * DEEP_SIZE) + 1;
            deep[size - 1] = '}';
            for (size_t j = 0; !is_array && j + 5 <= DEEP_SIZE; j += 5) {
                memcpy(deep + head_size + j, "{\"a\":", 5); /* and then it breaks off */
            }
            scenario_send(client, GYR_TEXT, deep, size);
            char expected[64];
            (void)snprintf(expected, sizeof(expected), "unhandled:depth:%zu", size);
            NOTED(&at, expected);
        }
        memset(deep, 'x', sizeof(deep));
        scenario_send(client, GYR_TEXT, deep, sizeof(deep));
        NOTED(&at, "unhandled:malformed:200064");
        char *more = calloc(1, sizeof(deep) + 1);
        EXPECT(more != NULL, "memory");
        scenario_send(client, GYR_BINARY, more, sizeof(deep) + 1);
        free(more);
        HEARS_CLOSE(client, 1009, "");
        ENDED(&at, "");
    }
}

struct number {
    int64_t i;
    double d;
};
GYR_MESSAGE(number, "number", GYR_MEMBER(number, i, GYR_OPTIONAL),
            GYR_MEMBER(number, d, GYR_OPTIONAL));

static int on_number(struct gyr_conn *conn, void *self, const struct number *number)
{
    (void)self;
    note(conn, "number:%lld:%g", (long long)number->i, number->d);
    return 0;
}
static const struct gyr_resource numbers = {GYR_RESOURCE_PLAIN("numbers"),
                                            .on_unhandled = scenario_unhandled,
                                            .handlers = GYR_HANDLERS(GYR_ON(number, on_number))};
static const struct gyr_route number_routes[] = {GYR_ROUTE("/", &numbers), {0}};

void scenario_077_only_an_integer_is_one_and_the_last_of_two_members_counts(void)
{
    static const struct {
        const char *members;
        const char *noted; /* or code and path */
    } rows[] = {
        {"\"i\":3.0", "type:i"},
        {"\"i\":1e2", "type:i"},
        {"\"i\":true", "type:i"},
        {"\"i\":\"3\"", "type:i"},
        {"\"i\":9223372036854775808", "range:i"},
        {"\"i\":-9223372036854775809", "range:i"},
        {"\"i\":18446744073709551616", "range:i"},
        {"\"i\":03", "malformed:"},
        {"\"d\":1e400", "range:d"},
        {"\"d\":\"3\"", "type:d"},
        {"\"d\":3", "number:0:3"},
        {"\"d\":-0.5e1", "number:0:-5"},
        {"\"i\":-9223372036854775808", "number:-9223372036854775808:0"},
        {"\"i\":1,\"d\":2,\"i\":3", "number:3:2"},
        {"\"i\":1,\"type\":\"number\"", "number:1:0"},
        {"\"i\":1,\"type\":\"other\"", "tag_twice:type"},
        {"\"i\":1,\"t\\u0079pe\":\"other\"", "tag_twice:type"},
    };
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", number_routes);
        SERVE(&at);
        struct scenario_client *client = OPEN(&at, "/");
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            char message[128];
            char expected[256];
            bool is_fault = strncmp(rows[i].noted, "number:", 7) != 0;
            (void)snprintf(message, sizeof(message), "{\"type\":\"number\",%s}", rows[i].members);
            (void)snprintf(expected, sizeof(expected), "%s%s%s%s", is_fault ? "unhandled:" : "",
                           rows[i].noted, is_fault ? ":" : "", is_fault ? message : "");
            SAYS(client, message, expected);
        }
        LEAVE(client);
        ENDED(&at, "");
    }
}
