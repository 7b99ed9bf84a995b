/* SPDX-License-Identifier: MIT */
#include "tests/scenario_kit.h"

#include "engine/ring.h"
#include "tests/engine_kit.h"
#include "tests/run_tests.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char *const RING_NAMES[] = {[GYR_RING_URING] = "uring", [GYR_RING_EPOLL] = "epoll"};

/* Is it to be had here, and is it wanted? */
static bool ring_is_usable(int which)
{
    static char why[RING_WHY_SIZE];
    const char *wanted = getenv("GYR_RING"); /* NOLINT(concurrency-mt-unsafe): nobody sets it */
    if (wanted != NULL && wanted[0] != '\0' && strcmp(wanted, RING_NAMES[which]) != 0) {
        return false;
    }
    struct ring_config config = {
        .submission_entries = 16, .completion_entries = 64, .buffer_size = 4096, .buffer_count = 1};
    const struct ring_ops *ops = which == GYR_RING_URING ? &ring_uring_ops : &ring_epoll_ops;
    struct ring *ring;
    if (ops->create(&config, &ring, why) < 0) {
        test_skip(why);
        return false;
    }
    ops->destroy(ring);
    return true;
}

/* ---- notes ---- */

__attribute__((format(printf, 2, 0))) static void text_add(struct scenario_text *to,
                                                           const char *format, va_list arguments)
{
    size_t room = sizeof(to->text) - to->size;
    int size = vsnprintf(to->text + to->size, room, format, arguments);
    to->size += MIN((size_t)MAX(size, 0), room - 1);
}

struct scenario *scenario_of(const struct gyr_conn *conn)
{
    return gyr_server_user(gyr_core_server(gyr_conn_core(conn)));
}

static void note_with(struct scenario *at, const char *format, va_list arguments)
{
    (void)pthread_mutex_lock(&at->lock);
    if (at->notes.size != 0 && at->notes.size + 1 < sizeof(at->notes.text)) {
        at->notes.text[at->notes.size++] = ' ';
    }
    text_add(&at->notes, format, arguments);
    (void)pthread_cond_broadcast(&at->changed);
    (void)pthread_mutex_unlock(&at->lock);
}

void note(const struct gyr_conn *conn, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    note_with(scenario_of(conn), format, arguments);
    va_end(arguments);
}

void scenario_note(struct scenario *at, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    note_with(at, format, arguments);
    va_end(arguments);
}

static struct timespec patience_end(void)
{
    struct timespec end;
    (void)clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += KIT_PATIENCE_S;
    return end;
}

void scenario_noted(struct scenario *at, const char *expected, const char *file, int line)
{
    struct timespec end = patience_end();
    size_t size = strlen(expected);
    (void)pthread_mutex_lock(&at->lock);
    while (!at->gave_up && at->notes.size < size &&
           strncmp(at->notes.text, expected, at->notes.size) == 0) { /* or waiting is in vain */
        at->gave_up = pthread_cond_timedwait(&at->changed, &at->lock, &end) == ETIMEDOUT;
    }
    struct scenario_text notes = at->notes;
    at->notes.size = 0;
    at->notes.text[0] = '\0';
    (void)pthread_mutex_unlock(&at->lock);
    expect_text(notes.text, expected, "noted", file, line);
}

static void server_end(struct scenario *at)
{
    if (at->server != NULL) {
        gyr_server_stop(at->server);
        gyr_server_wait(at->server);
        gyr_server_destroy(at->server);
        at->server = NULL;
    }
}

void scenario_ended(struct scenario *at, const char *expected, const char *file, int line)
{
    server_end(at);
    expect_text(at->notes.text, expected, "noted in the end", file, line);
    at->notes.size = 0;
    at->notes.text[0] = '\0';
}

static void on_log(void *user, enum gyr_log_level level, struct gyr_span line)
{
    struct scenario *at = user;
    (void)level;
    (void)pthread_mutex_lock(&at->lock);
    size_t room = sizeof(at->log.text) - at->log.size;
    int size = snprintf(at->log.text + at->log.size, room, "%.*s\n", (int)line.size, line.ptr);
    at->log.size += MIN((size_t)MAX(size, 0), room - 1);
    (void)pthread_mutex_unlock(&at->lock);
}

unsigned scenario_logged(struct scenario *at, const char *text)
{
    unsigned count = 0;
    (void)pthread_mutex_lock(&at->lock);
    for (const char *line = at->log.text; *line != '\0';) {
        const char *end = strchr(line, '\n');
        count += memmem(line, (size_t)(end - line), text, strlen(text)) != NULL;
        line = end + 1;
    }
    (void)pthread_mutex_unlock(&at->lock);
    return count;
}

/* "failed:WHAT:ERR", with the name of what has failed, if it has one. */
static void on_failure(struct gyr_conn *conn, const struct gyr_failure *failure)
{
    if (failure->name != NULL) {
        note(conn, "failed:%s:%s:%d", failure->what, failure->name, failure->err);
    } else {
        note(conn, "failed:%s:%d", failure->what, failure->err);
    }
}

/* ---- the server ---- */

static void run_begin(struct scenario *at)
{
    at->failures_before = CU_get_number_of_failures();
    scenario_cores(at, 2);
    at->service = (struct gyr_service){.size = sizeof(at->service), .user = at, .on_log = on_log};
    at->options = (struct gyr_app_options){
        .size = sizeof(at->options), .service = &at->service, .on_failure = on_failure};
    at->notes = at->log = (struct scenario_text){0};
    at->error.text[0] = '\0';
    at->held_count = 0;
    at->gave_up = false;
    (void)pthread_mutex_init(&at->lock, NULL);
    (void)pthread_cond_init(&at->changed, NULL);
}

static void run_end(struct scenario *at)
{
    for (size_t i = 0; i < at->client_count; i++) {
        scenario_client_free(at->clients[i]);
    }
    at->client_count = 0;
    server_end(at);
    if (at->app != NULL) {
        gyr_app_destroy(at->app);
        at->app = NULL;
    }
    (void)pthread_mutex_destroy(&at->lock);
    (void)pthread_cond_destroy(&at->changed);
    if (CU_get_number_of_failures() != at->failures_before) {
        printf("    (on %s)\n%s", RING_NAMES[at->ring], at->log.text);
    }
}

void scenario_begin(struct scenario *at)
{
    memset(at, 0, sizeof(*at));
    at->ring = GYR_RING_AUTO;
}

bool scenario_next(struct scenario *at)
{
    static_assert(GYR_RING_URING == 1 && GYR_RING_EPOLL == 2, "in this order");
    if (at->ring != GYR_RING_AUTO) {
        run_end(at);
    }
    do {
        at->ring++;
    } while (at->ring <= GYR_RING_EPOLL && !ring_is_usable(at->ring));
    if (at->ring > GYR_RING_EPOLL) {
        return false;
    }
    run_begin(at);
    return true;
}

void scenario_cores(struct scenario *at, unsigned count)
{
    at->config = kit_server_config(count);
    at->config.ring = (uint32_t)at->ring;
    at->config.heartbeat_interval_ms = 0; /* a client of ours answers no Ping */
}

struct gyr_app *scenario_app(struct scenario *at)
{
    if (at->app == NULL && gyr_app_create(&at->options, &at->app, &at->error) != 0) {
        (void)fprintf(stderr, "scenario_kit: %s\n", at->error.text);
        abort();
    }
    return at->app;
}

struct gyr_router *scenario_mount(struct scenario *at, const char *prefix, const char *name,
                                  const struct gyr_route *table, const char *file, int line)
{
    struct gyr_router *router = NULL;
    expect_int(gyr_router_create(name, &router), 0, "made", file, line);
    expect_int(gyr_router_add_all(router, table), 0, "added", file, line);
    expect_int(gyr_app_mount(scenario_app(at), prefix, router, &at->error), 0, at->error.text, file,
               line);
    return router;
}

bool scenario_serve(struct scenario *at, const char *file, int line)
{
    struct gyr_settings *settings = NULL;
    int err = gyr_settings_create(&at->config, &settings, &at->error);
    if (err == 0) {
        err = gyr_app_server(scenario_app(at), settings, &at->server, &at->error);
        gyr_settings_destroy(settings);
    }
    if (err != 0) {
        at->server = NULL;
        expect_int(err, 0, at->error.text, file, line);
        return false;
    }
    if (gyr_server_listen(at->server, "127.0.0.1:0", &at->error) != 0 ||
        gyr_server_start(at->server, &at->error) != 0 ||
        !gyr_server_address(at->server, 0, at->address, sizeof(at->address))) {
        expect_that(false, at->error.text, "start", file, line);
        gyr_server_destroy(at->server);
        at->server = NULL;
        return false;
    }
    return true;
}

/* Every "tests/scenarios/FILE.c:LINE" becomes "@": that it is there matters, not where. */
static void places_cut(const char *from, char *to, size_t size)
{
    size_t used = 0;
    while (*from != '\0' && used + 1 < size) {
        unsigned line = 0;
        int length = 0;
        if (sscanf(from, "tests/scenarios/%*[a-z_].c:%u%n", &line, &length) == 1 && length > 0) {
            from += length;
            to[used++] = '@';
        } else {
            to[used++] = *from++;
        }
    }
    to[used] = '\0';
}

const char *scenario_mistakes(struct scenario *at)
{
    char all[SCENARIO_TEXT_SIZE];
    (void)gyr_app_check(scenario_app(at), all, sizeof(all));
    if (all[0] != '\0') {
        all[strlen(all) - 1] = '\0'; /* the last line feed */
    }
    places_cut(all, at->cut, sizeof(at->cut));
    return at->cut;
}

const char *scenario_error(struct scenario *at)
{
    places_cut(at->error.text, at->cut, sizeof(at->cut));
    return at->cut;
}

void expect_text(const char *actual, const char *expected, const char *why, const char *file,
                 int line)
{
    char both[2 * SCENARIO_TEXT_SIZE + 64];
    if (strcmp(actual, expected) != 0) {
        (void)snprintf(both, sizeof(both), "%s \"%s\", not \"%s\"", why, actual, expected);
        expect_that(false, both, "text", file, line);
    } else {
        expect_that(true, why, "text", file, line);
    }
}

/* ---- waiting ---- */

int scenario_hold(struct gyr_conn *conn)
{
    struct scenario *at = scenario_of(conn);
    (void)pthread_mutex_lock(&at->lock);
    at->held = gyr_conn_handle(conn);
    at->held_count++;
    (void)pthread_cond_broadcast(&at->changed);
    (void)pthread_mutex_unlock(&at->lock);
    return GYR_PENDING;
}

static int result_of(struct gyr_conn *conn, void *arg)
{
    (void)conn;
    return (int)(intptr_t)arg;
}

void scenario_let_go(struct scenario *at, int result)
{
    scenario_let_go_with(at, result_of, (void *)(intptr_t)result);
}

void scenario_let_go_with(struct scenario *at, int (*fn)(struct gyr_conn *conn, void *arg),
                          void *arg)
{
    struct timespec end = patience_end();
    (void)pthread_mutex_lock(&at->lock);
    while (at->held_count == 0 && !at->gave_up) {
        at->gave_up = pthread_cond_timedwait(&at->changed, &at->lock, &end) == ETIMEDOUT;
    }
    bool held = at->held_count != 0;
    struct gyr_handle handle = at->held;
    at->held_count -= held;
    (void)pthread_mutex_unlock(&at->lock);
    EXPECT(held, "something waits");
    if (held) {
        EXPECT_INT(gyr_complete(at->server, handle, fn, arg), 0, "it goes on");
    }
}

/* ---- functions for resources ---- */

int scenario_note_params(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    static const char *const names[] = {"x", "y", "room", "id", "rest"};
    (void)self;
    (void)request;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct gyr_span value = gyr_param(conn, names[i]);
        if (value.ptr != NULL) {
            note(conn, "%s=%.*s", names[i], (int)value.size, value.ptr);
        }
    }
    return 0;
}

int scenario_echo(struct gyr_conn *conn, void *self, struct gyr_span message)
{
    (void)self;
    return gyr_send(conn, GYR_TEXT, message);
}

int scenario_unhandled(struct gyr_conn *conn, void *self, const struct gyr_unhandled *unhandled)
{
    (void)self;
    note(conn, "unhandled:%s:%s:%s%.*s", gyr_reason_code(unhandled->fault->reason),
         unhandled->fault->path, unhandled->opcode == GYR_BINARY ? "~" : "",
         (int)unhandled->message.size, unhandled->message.ptr);
    return 0;
}
