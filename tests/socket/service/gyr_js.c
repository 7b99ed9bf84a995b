/* SPDX-License-Identifier: MIT */
/* What tests/socket/test_gyr_js.py talks to with examples/gyr.js:
 *
 *   gyr_js ADDRESS RING EXAMPLES TESTS
 *
 * RING is a setting, or "". The two folders are served below /examples and /tests, for browsers. */
#include <gyr/gyr_app.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define NUMBER_SIZE 24 /* of 64 bits as text */

/* ---- messages -------------------------------------------------------------------------------- */

struct add {
    struct gyr_span title;
};
GYR_MESSAGE(add, "add", GYR_MEMBER(add, title, GYR_SIZE(1, 64)));
struct added {
    struct gyr_span title;
    int64_t number;
};
GYR_MESSAGE(added, "added", GYR_MEMBER(added, title), GYR_MEMBER(added, number));

struct confirm {
    struct gyr_span text;
};
GYR_MESSAGE(confirm, "confirm", GYR_MEMBER(confirm, text));
struct confirmed {
    bool yes;
};
GYR_MESSAGE(confirmed, "confirmed", GYR_MEMBER(confirmed, yes));
struct verdict {
    struct gyr_span text;
};
GYR_MESSAGE(verdict, "verdict", GYR_MEMBER(verdict, text));

struct join {
    struct gyr_span room;
    struct gyr_span epoch; /* in quotes: a number of JavaScript has 53 bits */
    uint64_t offset;
};
GYR_MESSAGE(join, "join", GYR_MEMBER(join, room), GYR_MEMBER(join, epoch),
            GYR_MEMBER(join, offset));
struct joined {
    struct gyr_span room;
    struct gyr_span epoch;
    uint64_t offset;
    bool recovered;
};
GYR_MESSAGE(joined, "joined", GYR_MEMBER(joined, room), GYR_MEMBER(joined, epoch),
            GYR_MEMBER(joined, offset), GYR_MEMBER(joined, recovered));
struct leave {
    struct gyr_span room;
};
GYR_MESSAGE(leave, "leave", GYR_MEMBER(leave, room));
struct say {
    struct gyr_span room;
    struct gyr_span text;
};
GYR_MESSAGE(say, "say", GYR_MEMBER(say, room), GYR_MEMBER(say, text));
struct said {
    struct gyr_span room;
    struct gyr_span text;
};
GYR_MESSAGE(said, "said", GYR_MEMBER(said, room), GYR_MEMBER(said, text));

/* ---- handlers -------------------------------------------------------------------------------- */

struct desk {
    int64_t count;
};

static int desk_add(struct gyr_conn *conn, void *self, const struct add *add)
{
    struct desk *desk = self;
    desk->count++;
    return GYR_ANSWER(conn, added, .title = add->title, .number = desk->count);
}

static int desk_fail(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    (void)conn;
    (void)self;
    (void)payload;
    return GYR_ERR_NOT_FOUND;
}

static int desk_silence(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    (void)conn;
    (void)self;
    (void)payload;
    return 0;
}

static int desk_drop(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    (void)self;
    (void)payload;
    gyr_abort(conn);
    return 0;
}

static int desk_bye(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    (void)self;
    (void)payload;
    return gyr_close(conn, 4001, GYR_SPAN("enough"));
}

static int desk_confirmed(struct gyr_conn *conn, void *self, const struct confirmed *answer,
                          const struct gyr_fault *fault, void *arg)
{
    (void)self;
    (void)arg;
    const char *text = answer == NULL ? gyr_reason_code(fault->reason) : answer->yes ? "yes" : "no";
    return GYR_SEND(conn, verdict, .text = {text, strlen(text)});
}

static int desk_ask(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    const struct confirm question = {.text = GYR_SPAN("sure?")};
    (void)self;
    (void)payload;
    return GYR_ASK(conn, confirm, &question, confirmed, 10000, desk_confirmed, NULL);
}

/* ---- rooms ----------------------------------------------------------------------------------- */

static int desk_join(struct gyr_conn *conn, void *self, const struct join *join)
{
    char epoch[NUMBER_SIZE];
    (void)self;
    (void)snprintf(epoch, sizeof(epoch), "%.*s", (int)join->epoch.size, join->epoch.ptr);
    return gyr_join_since(conn, join->room, strtoull(epoch, NULL, 10), join->offset);
}

static void desk_recovered(struct gyr_conn *conn, void *self, struct gyr_span room,
                           const struct gyr_recovery *recovery)
{
    char epoch[NUMBER_SIZE];
    int size = snprintf(epoch, sizeof(epoch), "%" PRIu64, recovery->epoch);
    (void)self;
    (void)!GYR_SEND(conn, joined, .room = room, .epoch = {epoch, (size_t)size},
                    .offset = recovery->offset, .recovered = recovery->recovered);
}

static int desk_leave(struct gyr_conn *conn, void *self, const struct leave *leave)
{
    (void)self;
    gyr_leave(conn, leave->room);
    return 0;
}

static int desk_say(struct gyr_conn *conn, void *self, const struct say *say)
{
    (void)self;
    return GYR_PUBLISH(conn, say->room, said, .room = say->room, .text = say->text);
}

/* ---- the application ------------------------------------------------------------------------- */

static const struct gyr_resource desk = {
    GYR_RESOURCE(desk),
    .handlers = GYR_HANDLERS(
        GYR_ON(add, desk_add), GYR_ON_RAW("fail", desk_fail), GYR_ON_RAW("silence", desk_silence),
        GYR_ON_RAW("drop", desk_drop), GYR_ON_RAW("bye", desk_bye), GYR_ON_RAW("ask", desk_ask),
        GYR_ON(join, desk_join), GYR_ON(leave, desk_leave), GYR_ON(say, desk_say)),
    .on_recovered = desk_recovered,
    .failure_policy = GYR_FAILURE_KEEP,
};
static const struct gyr_resource enveloped = {
    GYR_RESOURCE(desk),
    .base = &desk,
    .form = GYR_FORM_ENVELOPE,
};
static const struct gyr_route routes[] = {
    GYR_ROUTE("/flat", &desk),
    GYR_ROUTE("/envelope", &enveloped),
    GYR_ROUTE_FILES("/examples/{path:path}", "examples"),
    GYR_ROUTE_FILES("/tests/{path:path}", "tests"),
    {0},
};
static const struct gyr_room_rule rules[] = {
    {.size = sizeof(struct gyr_room_rule), .pattern = GYR_LITERAL("*"), .history_count = 100}};
static const struct gyr_service service = {
    .size = sizeof(service), .room_rules = rules, .room_rule_count = 1};

static void check(int err, const struct gyr_error *error)
{
    if (err < 0) {
        (void)fprintf(stderr, "%s\n", error->text);
        exit(1);
    }
}

static void serve_folder(struct gyr_app *app, const char *name, const char *folder)
{
    struct gyr_files *files;
    struct gyr_error error;
    check(gyr_files_open(folder, NULL, &files, &error), &error);
    const struct gyr_value value = {
        .name = name, .type = "struct gyr_files", .at = GYR_AT, .pointer = files};
    check(gyr_app_service(app, &value, &error), &error);
}

int main(int argc, char **argv)
{
    const struct gyr_app_options options = {.size = sizeof(options), .service = &service};
    struct gyr_error error;
    struct gyr_settings *settings;
    struct gyr_app *app;
    struct gyr_server *server;
    if (argc != 5) {
        return 2;
    }
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    check(gyr_settings_create(NULL, &settings, &error), &error);
    if (argv[2][0] != '\0') {
        check(gyr_settings_set(settings, "ring", argv[2], "RING", &error), &error);
    }
    check(gyr_app_create(&options, &app, &error), &error);
    serve_folder(app, "examples", argv[3]);
    serve_folder(app, "tests", argv[4]);
    if (gyr_app_routes(app, "", routes) < 0) {
        return 1;
    }
    check(gyr_app_server(app, settings, &server, &error), &error);
    gyr_settings_destroy(settings);
    check(gyr_server_listen(server, argv[1], &error), &error);
    check(gyr_server_start(server, &error), &error);
    int signal_number;
    (void)sigwait(&signals, &signal_number);
    gyr_server_stop(server);
    gyr_server_wait(server);
    gyr_server_destroy(server);
    gyr_app_destroy(app);
    return 0;
}
