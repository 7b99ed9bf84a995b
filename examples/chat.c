/* SPDX-License-Identifier: MIT */
/* gyr-chat: a chat with a few rooms, on one page. Open it in several tabs: they land on different
 * cores, and everyone sees everything in the same order.
 *
 * The page opens a WebSocket on /chat, sends lines
 *
 *     name NAME       who I am, which nobody else is; from then on it hears all rooms
 *     say ROOM TEXT   to everyone, the sender too
 *     tell NAME TEXT  to one
 *
 * and gets objects, each told by its first member:
 *
 *     {"hello":["lobby",...],"core":0,"cores":2}           which rooms there are, where it landed
 *     {"name":"ada"}                                       it has this name now
 *     {"came":"ada"}, {"went":"ada"}
 *     {"say":"Hi","room":"lobby","from":"ada","core":0}
 *     {"tell":"Psst","from":"ada","to":"bob"}
 *     {"refused":"somebody has this name"}                 nothing was done, and why
 *     {"dropped":3}                         it reads too slowly: so many are missing, old counters
 *                                           among them
 *     {"counters":[1,...],"core":1}                        of a core, once a second
 *
 * No lock and no list of members is to be seen here: a room is a name. The command line, settings
 * and signals of the program are in common_program.c. */
#include "examples/common_program.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NAME_SIZE_MAX        32
#define TEXT_SIZE_MAX        2000
#define COUNTERS_INTERVAL_MS 1000

/* examples/chat.html, put into this program by the Makefile. */
extern const char chat_html[];
extern const size_t chat_html_size;

static const struct gyr_span rooms[] = {GYR_LITERAL("lobby"), GYR_LITERAL("games"),
                                        GYR_LITERAL("music")};
#define ROOM_COUNT (sizeof(rooms) / sizeof(rooms[0]))

/* Whoever connects is in this one, too. Its messages have a core as their key: who reads slowly
 * gets the newest counters of each core, and no old ones. */
static const struct gyr_span counters = GYR_LITERAL("counters");

/* Who falls behind in what is said misses the oldest of it, and is told how many. */
static const struct gyr_room_rule rules[] = {
    {.size = sizeof(struct gyr_room_rule),
     .pattern = GYR_LITERAL("counters"),
     .policy = GYR_ROOM_CONFLATE},
    {.size = sizeof(struct gyr_room_rule),
     .pattern = GYR_LITERAL("*"),
     .policy = GYR_ROOM_DROP_OLDEST,
     .queue_size_max = 1 << 20},
};

/* What a connection remembers: gyr_conn_data, zero at first. */
struct member {
    uint64_t dropped; /* that it has not been told of yet */
};

/* One object of JSON. A byte of text becomes up to six; names have none of those. */
struct object {
    size_t size;
    char text[6 * TEXT_SIZE_MAX + 4 * NAME_SIZE_MAX + 200];
};

static int on_core_start(struct gyr_core *core);
static int on_request(struct gyr_conn *conn, const struct gyr_request *request);
static int on_open(struct gyr_conn *conn);
static int on_message(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span message);
static void on_drain(struct gyr_conn *conn);
static void on_close(struct gyr_conn *conn, uint16_t close_code, struct gyr_span reason);

int main(int argc, char **argv)
{
    struct options options = {.config = NULL};
    struct gyr_error error;
    program_options(&options, argc, argv);
    struct gyr_settings *settings = program_settings_of(&options);
    sigset_t signals;
    program_signals(&options, &signals);

    const struct gyr_service service = {
        .size = sizeof(service),
        .conn_data_size = sizeof(struct member),
        .core_data_size = sizeof(struct gyr_timer),
        .room_rules = rules,
        .room_rule_count = sizeof(rules) / sizeof(rules[0]),
        .on_core_start = on_core_start,
        .on_request = on_request,
        .on_open = on_open,
        .on_message = on_message,
        .on_drain = on_drain,
        .on_close = on_close,
        .on_log = program_log,
    };
    struct gyr_server *server;
    program_check(gyr_server_create_with(settings, &service, &server, &error), &error);
    gyr_settings_destroy(settings);
    program_listen(&options, server);
    program_check(gyr_server_start(server, &error), &error);
    program_wait(&options, server, &signals);
    program_stop(server, &signals);
    return 0;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* Text of a member, as a string (RFC 8259 section 7). It is UTF-8: the engine has checked it. */
static void object_quote(struct object *object, struct gyr_span text)
{
    char *at = object->text + object->size;
    *at++ = '"';
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if (byte < ' ') {
            static const char digits[] = "0123456789abcdef";
            memcpy(at, "\\u00", 4);
            at[4] = digits[byte >> 4];
            at[5] = digits[byte & 15];
            at += 6;
            continue;
        }
        if (byte == '"' || byte == '\\') {
            *at++ = '\\';
        }
        *at++ = (char)byte;
    }
    *at++ = '"';
    object->size = (size_t)(at - object->text);
}

/* Write `form`, with the next of `values` as a string for each '?', and as it is for each '#'. */
static struct gyr_span object_write(struct object *object, const char *form,
                                    const struct gyr_span *values)
{
    object->size = 0;
    for (; *form != '\0'; form++) {
        if (*form == '?') {
            object_quote(object, *values++);
        } else if (*form == '#') {
            memcpy(object->text + object->size, values->ptr, values->size);
            object->size += values++->size;
        } else {
            object->text[object->size++] = *form;
        }
    }
    return (struct gyr_span){object->text, object->size};
}

static struct gyr_span number(char text[24], uint64_t value)
{
    return (struct gyr_span){text, (size_t)snprintf(text, 24, "%" PRIu64, value)};
}

/* To one connection. A queue that is high slows it down, when a callback returns this. */
static int tell(struct gyr_conn *conn, const char *form, const struct gyr_span *values)
{
    struct object object;
    return gyr_send(conn, GYR_TEXT, object_write(&object, form, values));
}

static int refuse(struct gyr_conn *conn, struct gyr_span why)
{
    return tell(conn, "{\"refused\":?}", &why);
}

/* ---- once a second --------------------------------------------------------------------------- */

static void counters_publish(struct gyr_core *core, void *arg)
{
    (void)arg;
    struct gyr_stats stats;
    unsigned index = gyr_core_index(core);
    gyr_server_stats(gyr_core_server(core), index, &stats, sizeof(stats));
    char text[200];
    int size = snprintf(text, sizeof(text),
                        "{\"counters\":[%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64
                        ",%" PRIu64 "],\"core\":%u}",
                        stats.websockets, stats.memberships, stats.published, stats.room_queued,
                        stats.room_dropped, stats.publish_refused, index);

    struct gyr_publish publish = gyr_publish_default();
    publish.rooms = &counters;
    publish.room_count = 1;
    publish.payload = (struct gyr_span){text, (size_t)size};
    publish.key = (struct gyr_span){(const char *)&index, sizeof(index)};
    int err = gyr_publish_with(core, &publish);
    /* Refused because a core is behind: what comes a little later is newer anyway. */
    gyr_timer_start(core, gyr_core_data(core), err == 0 ? COUNTERS_INTERVAL_MS : 50,
                    counters_publish, NULL);
}

static int on_core_start(struct gyr_core *core)
{
    gyr_timer_start(core, gyr_core_data(core), COUNTERS_INTERVAL_MS, counters_publish, NULL);
    return 0;
}

/* ---- who is there ---------------------------------------------------------------------------- */

static bool is(struct gyr_span span, const char *text)
{
    return span.size == strlen(text) && memcmp(span.ptr, text, span.size) == 0;
}

static int on_request(struct gyr_conn *conn, const struct gyr_request *request)
{
    struct gyr_span path = gyr_request_path(request);
    if (is(path, "/chat") && gyr_request_is_upgrade(request)) {
        return gyr_upgrade(conn, NULL);
    }
    if (!is(path, "/")) {
        return gyr_respond_text(conn, 404, "text/plain", GYR_SPAN("There is nothing here.\n"));
    }
    struct gyr_span method = gyr_request_method(request);
    if (!is(method, "GET") && !is(method, "HEAD")) {
        return gyr_respond_not_allowed(conn, "GET, HEAD");
    }
    /* There is nothing else to be fetched. A connection that stayed would count as one of its
     * core's where `balance = least` looks for the core with the fewest. */
    const struct gyr_response response = {.size = sizeof(response),
                                          .status_code = 200,
                                          .content_type = GYR_SPAN("text/html; charset=utf-8"),
                                          .content = {chat_html, chat_html_size},
                                          .close = true};
    return gyr_respond(conn, &response);
}

static int on_open(struct gyr_conn *conn)
{
    struct gyr_core *core = gyr_conn_core(conn);
    int err = gyr_join(conn, counters);
    if (err < 0) {
        return err;
    }
    char index[24];
    char count[24];
    static_assert(ROOM_COUNT == 3, "as many as below");
    const struct gyr_span values[] = {rooms[0], rooms[1], rooms[2],
                                      number(index, gyr_core_index(core)),
                                      number(count, gyr_server_core_count(gyr_core_server(core)))};
    return tell(conn, "{\"hello\":[?,?,?],\"core\":#,\"cores\":#}", values);
}

/* To all rooms at once, so that who is in several hears it once. */
static void announce(struct gyr_core *core, const char *form, struct gyr_span name)
{
    struct object object;
    struct gyr_publish publish = gyr_publish_default();
    publish.rooms = rooms;
    publish.room_count = ROOM_COUNT;
    publish.payload = object_write(&object, form, &name);
    int err = gyr_publish_with(core, &publish);
    (void)err; /* nobody waits for it; the column "refused" counts what is missing on the pages */
}

static bool name_is_good(struct gyr_span name)
{
    for (size_t i = 0; i < name.size; i++) {
        unsigned char byte = (unsigned char)name.ptr[i];
        if (byte <= ' ' || byte == 0x7f) {
            return false;
        }
    }
    return name.size >= 1 && name.size <= NAME_SIZE_MAX;
}

static int take_name(struct gyr_conn *conn, struct gyr_span name)
{
    if (!name_is_good(name)) {
        return refuse(conn, GYR_SPAN("a name has 1 to 32 bytes and no blanks"));
    }
    if (gyr_conn_id(conn).size != 0) {
        return refuse(conn, GYR_SPAN("you have a name already"));
    }
    int err = gyr_conn_set_id(conn, name);
    if (err == GYR_ERR_EXISTS) {
        return refuse(conn, GYR_SPAN("somebody has this name; please take another one"));
    }
    for (size_t i = 0; err == 0 && i < ROOM_COUNT; i++) {
        err = gyr_join(conn, rooms[i]);
    }
    if (err == 0) {
        err = tell(conn, "{\"name\":?}", &name);
    }
    if (err >= 0) {
        announce(gyr_conn_core(conn), "{\"came\":?}", name);
    }
    return err;
}

static void on_close(struct gyr_conn *conn, uint16_t close_code, struct gyr_span reason)
{
    (void)close_code;
    (void)reason;
    struct gyr_span name = gyr_conn_id(conn);
    if (name.size != 0) { /* the name is given up, and the rooms are left, when this returns */
        announce(gyr_conn_core(conn), "{\"went\":?}", name);
    }
}

/* ---- what is said ---------------------------------------------------------------------------- */

static const struct gyr_span busy =
    GYR_LITERAL("too much is being said at the moment; please say it again");

/* Cut the first word off. */
static struct gyr_span word_take(struct gyr_span *line)
{
    const char *blank = memchr(line->ptr, ' ', line->size);
    size_t size = blank == NULL ? line->size : (size_t)(blank - line->ptr);
    struct gyr_span word = {line->ptr, size};
    size += blank != NULL;
    *line = (struct gyr_span){line->ptr + size, line->size - size};
    return word;
}

static int say(struct gyr_conn *conn, struct gyr_span room, struct gyr_span text)
{
    if (is(room, "counters") || !gyr_is_member(conn, room)) {
        return refuse(conn, GYR_SPAN("there is no such room"));
    }
    struct gyr_core *core = gyr_conn_core(conn);
    struct object object;
    char index[24];
    const struct gyr_span values[] = {text, room, gyr_conn_id(conn),
                                      number(index, gyr_core_index(core))};
    const char *form = "{\"say\":?,\"room\":?,\"from\":?,\"core\":#}";
    if (gyr_publish(core, room, GYR_TEXT, object_write(&object, form, values)) != 0) {
        return refuse(conn, busy);
    }
    return 0;
}

static int tell_one(struct gyr_conn *conn, struct gyr_span name, struct gyr_span text)
{
    struct gyr_server *server = gyr_core_server(gyr_conn_core(conn));
    struct object object;
    const struct gyr_span values[] = {text, gyr_conn_id(conn), name};
    int err = GYR_ERR_NOT_FOUND;
    if (name_is_good(name)) { /* otherwise nobody has it, and it might be too long to be quoted */
        object_write(&object, "{\"tell\":?,\"from\":?,\"to\":?}", values);
        struct gyr_span message = {object.text, object.size};
        err = gyr_id_send(server, name, GYR_TEXT, message); /* whichever core that one is on */
        if (err == 0) {
            return gyr_send(conn, GYR_TEXT, message);
        }
    }
    return refuse(conn, err == GYR_ERR_BACKPRESSURE || err == GYR_ERR_MEMORY
                            ? busy
                            : (struct gyr_span)GYR_LITERAL("nobody here has this name"));
}

static int on_message(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span message)
{
    struct gyr_span verb = word_take(&message);
    if (opcode != GYR_TEXT) {
        return gyr_close(conn, 1003, GYR_SPAN("only lines of text"));
    }
    if (is(verb, "name")) {
        return take_name(conn, message);
    }
    struct gyr_span to = word_take(&message);
    if (gyr_conn_id(conn).size == 0) {
        return refuse(conn, GYR_SPAN("please say first who you are"));
    }
    if (message.size == 0 || message.size > TEXT_SIZE_MAX) {
        return refuse(conn, GYR_SPAN("a message has 1 to 2000 bytes"));
    }
    if (is(verb, "say")) {
        return say(conn, to, message);
    }
    if (is(verb, "tell")) {
        return tell_one(conn, to, message);
    }
    return refuse(conn, GYR_SPAN("a line begins with name, say or tell"));
}

/* It reads again, and may have missed something. */
static void on_drain(struct gyr_conn *conn)
{
    struct member *member = gyr_conn_data(conn);
    member->dropped += gyr_take_dropped(conn);
    char text[24];
    const struct gyr_span value = number(text, member->dropped);
    if (member->dropped != 0 && tell(conn, "{\"dropped\":#}", &value) >= 0) {
        member->dropped = 0; /* otherwise the next on_drain tells */
    }
}
