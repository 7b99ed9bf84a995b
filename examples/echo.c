/* SPDX-License-Identifier: MIT */
/* gyr-echo: a complete service on Gyr. A WebSocket on any path gets back what it sends; a few paths
 * are answered over HTTP:
 *
 *     GET  /           a page that echoes what is typed and plots the round trips
 *     GET  /plaintext  Hello, World!
 *     GET  /stats      every counter as JSON
 *     POST /upload     length and hash of the body, which is hashed as it arrives
 *     GET  /events     the same as server-sent events, one a second; ?count=N&interval_ms=M
 *     GET  /stream     ?size=N&piece=M: so many bytes in pieces, as fast as they are read
 *     GET  /files/...  the files of the folder that --files names
 *
 * Read main first, then on_request and what it calls: functions named on_* are called by the
 * engine, on the thread of the core that has the connection. The command line, settings and
 * signals of the program are in common_program.c. */
#include "examples/common_program.h"

#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_MAX    65536
#define PATTERN_SIZE 251 /* the content of /stream: each byte is its place modulo this */

/* examples/echo.html, put into this program by the Makefile. */
extern const char echo_html[];
extern const size_t echo_html_size;

enum task {
    TASK_NONE,
    TASK_UPLOAD,
    TASK_EVENTS,
    TASK_STREAM,
};

/* What a connection remembers: gyr_conn_data, zero at first. */
struct progress {
    uint32_t task;   /* enum task */
    uint32_t step;   /* milliseconds from event to event; bytes of a piece */
    uint64_t length; /* bytes uploaded; events or bytes still to be sent */
    union {
        uint64_t hash; /* of what was uploaded */
        uint64_t sent; /* bytes streamed */
    };
};

/* What all cores share: gyr_server_user. */
struct shared {
    atomic_bool stopping;    /* events would go on until shutdown_deadline_ms */
    struct gyr_files *files; /* NULL: none are served */
};

struct route {
    const char *path;
    const char *method;
    const char *allow;
    int (*answer)(struct gyr_conn *conn, const struct gyr_request *request);
};

static int on_request(struct gyr_conn *conn, const struct gyr_request *request);
static int on_body(struct gyr_conn *conn, struct gyr_span piece, bool last);
static void on_drain(struct gyr_conn *conn);
static void on_timer(struct gyr_conn *conn);
static int on_message(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span message);

int main(int argc, char **argv)
{
    struct options options = {.has_files = true};
    struct gyr_error error;
    program_options(&options, argc, argv);
    struct gyr_settings *settings = program_settings_of(&options);
    sigset_t signals;
    program_signals(&options, &signals);

    struct shared shared = {0};
    const struct gyr_service service = {
        .size = sizeof(service),
        .conn_data_size = sizeof(struct progress),
        .user = &shared,
        .on_request = on_request,
        .on_body = on_body,
        .on_drain = on_drain,
        .on_timer = on_timer,
        .on_message = on_message,
        .on_log = program_log,
    };
    struct gyr_server *server;
    if (options.files != NULL) {
        const struct gyr_files_options how = {.size = sizeof(how), .precompressed = true};
        program_check(gyr_files_open(options.files, &how, &shared.files, &error), &error);
    }
    program_check(gyr_server_create_with(settings, &service, &server, &error), &error);
    gyr_settings_destroy(settings);
    program_listen(&options, server);
    program_check(gyr_server_start(server, &error), &error);
    program_wait(&options, server, &signals);
    atomic_store(&shared.stopping, true);
    program_stop(server, &signals);
    gyr_files_close(shared.files);
    return 0;
}

/* ---- WebSocket ------------------------------------------------------------------------------- */

static int upgrade(struct gyr_conn *conn, const struct gyr_request *request)
{
    struct gyr_upgrade with = {.size = sizeof(with)};
    if (gyr_request_offers(request, "echo")) {
        with.subprotocol = GYR_SPAN("echo");
    }
    return gyr_upgrade(conn, &with);
}

static int on_message(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span message)
{
    /* If the queue is high, so is the result, and the engine reads on when the peer has. */
    return gyr_reply(conn, opcode, message);
}

/* ---- HTTP ------------------------------------------------------------------------------------ */

static int answer_page(struct gyr_conn *conn, const struct gyr_request *request)
{
    (void)request;
    /* With these two a browser lets the page measure in steps of 5 microseconds instead of 100. */
    static const struct gyr_field fields[] = {
        {GYR_LITERAL("Cross-Origin-Opener-Policy"), GYR_LITERAL("same-origin")},
        {GYR_LITERAL("Cross-Origin-Embedder-Policy"), GYR_LITERAL("require-corp")},
    };
    const struct gyr_response response = {
        .size = sizeof(response),
        .status_code = 200,
        .content_type = GYR_SPAN("text/html; charset=utf-8"),
        .content = {echo_html, echo_html_size},
        .fields = fields,
        .field_count = 2,
    };
    return gyr_respond(conn, &response);
}

static int answer_plaintext(struct gyr_conn *conn, const struct gyr_request *request)
{
    (void)request;
    return gyr_respond_text(conn, 200, "text/plain", GYR_SPAN("Hello, World!"));
}

/* One object with every counter: GYR_STATS names them all. */
static void stats_print(FILE *out, const struct gyr_server *server, unsigned core_index)
{
    struct gyr_stats stats;
    gyr_server_stats(server, core_index, &stats, sizeof(stats));
    const char *separator = "{";
#define PRINT(name, text)                                            \
    fprintf(out, "%s\"" #name "\":%" PRIu64, separator, stats.name); \
    separator = ",";
    GYR_STATS(PRINT)
#undef PRINT
    fputc('}', out);
}

/* Counters of the server and of each core; to be freed. */
static int stats_json(const struct gyr_conn *conn, struct gyr_span *span, char **json)
{
    const struct gyr_server *server = gyr_core_server(gyr_conn_core(conn));
    size_t size = 0;
    *json = NULL;
    FILE *out = open_memstream(json, &size);
    if (out == NULL) {
        return GYR_ERR_MEMORY;
    }
    fputs("{\"server\":", out);
    stats_print(out, server, UINT_MAX);
    for (unsigned i = 0; i < gyr_server_core_count(server); i++) {
        fputs(i == 0 ? ",\"cores\":[" : ",", out);
        stats_print(out, server, i);
    }
    fputs("]}\n", out);
    int err = fclose(out) != 0 ? GYR_ERR_MEMORY : 0;
    *span = (struct gyr_span){*json, size};
    return err;
}

static int answer_stats(struct gyr_conn *conn, const struct gyr_request *request)
{
    (void)request;
    struct gyr_span span;
    char *json;
    int err = stats_json(conn, &span, &json);
    if (err == 0) {
        err = gyr_respond_text(conn, 200, "application/json", span);
    }
    free(json);
    return err;
}

static int upload_finish(struct gyr_conn *conn, const struct progress *upload)
{
    char json[80];
    int size =
        snprintf(json, sizeof(json), "{\"length\":%" PRIu64 ",\"hash\":\"%016" PRIx64 "\"}\n",
                 upload->length, upload->hash);
    return gyr_respond_text(conn, 200, "application/json", (struct gyr_span){json, (size_t)size});
}

static int answer_upload(struct gyr_conn *conn, const struct gyr_request *request)
{
    struct progress *upload = gyr_conn_data(conn);
    *upload = (struct progress){.task = TASK_UPLOAD, .hash = UINT64_C(0xcbf29ce484222325)};
    if (gyr_request_content_length(request) == 0) {
        return upload_finish(conn, upload);
    }
    return 0; /* on_body will answer */
}

static int on_body(struct gyr_conn *conn, struct gyr_span piece, bool last)
{
    struct progress *upload = gyr_conn_data(conn);
    if (upload->task != TASK_UPLOAD) {
        return 0; /* content of a request that has been answered already */
    }
    uint64_t hash = upload->hash;
    for (size_t i = 0; i < piece.size; i++) { /* FNV-1a */
        hash = (hash ^ (unsigned char)piece.ptr[i]) * UINT64_C(0x100000001b3);
    }
    upload->hash = hash;
    upload->length += piece.size;
    return last ? upload_finish(conn, upload) : 0;
}

static bool is(struct gyr_span span, const char *text)
{
    return span.size == strlen(text) && memcmp(span.ptr, text, span.size) == 0;
}

static bool number_parse(struct gyr_span text, uint64_t min, uint64_t max, uint64_t *value)
{
    uint64_t number = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = (unsigned char)text.ptr[i] - (unsigned)'0';
        if (digit > 9 || number > (max - digit) / 10) {
            return false;
        }
        number = number * 10 + digit;
    }
    *value = number;
    return text.size != 0 && number >= min;
}

/* The number behind `name` in "name=1&other=2"; `value` stays as it is if the name is not there.
 * False: no number from `min` to `max`. */
static bool query_number(struct gyr_span query, const char *name, uint64_t min, uint64_t max,
                         uint64_t *value)
{
    const char *at = query.ptr;
    const char *end = query.ptr + query.size;
    while (at < end) {
        const char *stop = memchr(at, '&', (size_t)(end - at));
        stop = stop == NULL ? end : stop;
        const char *equals = memchr(at, '=', (size_t)(stop - at));
        equals = equals == NULL ? stop : equals;
        if (is((struct gyr_span){at, (size_t)(equals - at)}, name)) {
            const char *number = equals < stop ? equals + 1 : stop;
            return number_parse((struct gyr_span){number, (size_t)(stop - number)}, min, max,
                                value);
        }
        at = stop + 1;
    }
    return true;
}

static int events_next(struct gyr_conn *conn)
{
    struct progress *events = gyr_conn_data(conn);
    struct gyr_span span;
    char *json;
    int err = stats_json(conn, &span, &json);
    if (err == 0) {
        span.size--; /* one line, without its end */
        const struct gyr_event event = {.size = sizeof(event), .data = span};
        err = gyr_events_send(conn, &event);
    }
    free(json);
    if (err < 0 && err != GYR_ERR_BACKPRESSURE) { /* who reads too slowly misses some */
        return err;
    }
    const struct shared *shared = gyr_server_user(gyr_core_server(gyr_conn_core(conn)));
    if (--events->length == 0 || atomic_load(&shared->stopping)) {
        return gyr_respond_end(conn);
    }
    gyr_conn_timer(conn, events->step);
    return 0;
}

static int answer_events(struct gyr_conn *conn, const struct gyr_request *request)
{
    struct gyr_span query = gyr_request_query(request);
    uint64_t count = UINT64_MAX;
    uint64_t interval_ms = 1000;
    if (!query_number(query, "count", 1, UINT32_MAX, &count) ||
        !query_number(query, "interval_ms", 1, 60000, &interval_ms)) {
        return gyr_respond_text(conn, 400, "text/plain",
                                GYR_SPAN("/events?count=N&interval_ms=M: N from 1 to 4294967295, "
                                         "M from 1 to 60000\n"));
    }
    int err = gyr_events_begin(conn);
    if (err < 0 || is(gyr_request_method(request), "HEAD")) {
        return err < 0 ? err : gyr_respond_end(conn);
    }
    struct progress *events = gyr_conn_data(conn);
    *events =
        (struct progress){.task = TASK_EVENTS, .step = (uint32_t)interval_ms, .length = count};
    return events_next(conn);
}

static void on_timer(struct gyr_conn *conn)
{
    if (events_next(conn) < 0) {
        gyr_abort(conn);
    }
}

/* Send until the queue is high: on_drain goes on. */
static int stream_next(struct gyr_conn *conn)
{
    struct progress *stream = gyr_conn_data(conn);
    while (stream->length != 0) {
        char piece[PIECE_MAX];
        size_t size = stream->length < stream->step ? (size_t)stream->length : stream->step;
        unsigned place = (unsigned)(stream->sent % PATTERN_SIZE);
        for (size_t i = 0; i < size; i++) {
            piece[i] = (char)place;
            place = place + 1 == PATTERN_SIZE ? 0 : place + 1;
        }
        int err = gyr_respond_part(conn, (struct gyr_span){piece, size});
        if (err < 0) {
            return err == GYR_ERR_BACKPRESSURE ? 0 : err;
        }
        stream->sent += size;
        stream->length -= size;
        if (err == GYR_QUEUE_HIGH) {
            return 0;
        }
    }
    return gyr_respond_end(conn);
}

static int answer_stream(struct gyr_conn *conn, const struct gyr_request *request)
{
    struct gyr_span query = gyr_request_query(request);
    uint64_t size = 1 << 20;
    uint64_t piece = 16384;
    if (!query_number(query, "size", 0, UINT64_C(1) << 40, &size) ||
        !query_number(query, "piece", 1, PIECE_MAX, &piece)) {
        return gyr_respond_text(conn, 400, "text/plain",
                                GYR_SPAN("/stream?size=N&piece=M: N up to 1099511627776, "
                                         "M from 1 to 65536\n"));
    }
    struct progress *stream = gyr_conn_data(conn);
    *stream = (struct progress){.task = TASK_STREAM, .step = (uint32_t)piece, .length = size};
    const struct gyr_response response = {.size = sizeof(response),
                                          .status_code = 200,
                                          .content_type = GYR_SPAN("application/octet-stream")};
    int err = gyr_respond_begin(conn, &response);
    return err < 0 ? err : stream_next(conn);
}

/* The reader has caught up. */
static void on_drain(struct gyr_conn *conn)
{
    struct progress *progress = gyr_conn_data(conn);
    if (progress->task == TASK_STREAM && stream_next(conn) < 0) {
        gyr_abort(conn);
    }
}

static const struct route routes[] = {
    {"/", "GET", "GET, HEAD, OPTIONS", answer_page},
    {"/plaintext", "GET", "GET, HEAD, OPTIONS", answer_plaintext},
    {"/stats", "GET", "GET, HEAD, OPTIONS", answer_stats},
    {"/upload", "POST", "POST, OPTIONS", answer_upload},
    {"/events", "GET", "GET, HEAD, OPTIONS", answer_events},
    {"/stream", "GET", "GET, HEAD, OPTIONS", answer_stream},
};

/* What comes behind /files is the path below the folder. */
static bool answer_file(struct gyr_conn *conn, const struct gyr_request *request, int *result)
{
    static const struct gyr_span prefix = GYR_LITERAL("/files/");
    const struct shared *shared = gyr_server_user(gyr_core_server(gyr_conn_core(conn)));
    struct gyr_span path = gyr_request_path(request);
    if (shared->files == NULL || path.size < prefix.size ||
        memcmp(path.ptr, prefix.ptr, prefix.size) != 0) {
        return false;
    }
    size_t skipped = prefix.size - 1;
    *result = gyr_respond_file(conn, request, shared->files,
                               (struct gyr_span){path.ptr + skipped, path.size - skipped});
    return true;
}

static int answer_options(struct gyr_conn *conn, const char *allow)
{
    const struct gyr_field field = {GYR_SPAN("Allow"), {allow, strlen(allow)}};
    const struct gyr_response response = {
        .size = sizeof(response), .status_code = 204, .fields = &field, .field_count = 1};
    return gyr_respond(conn, &response);
}

static int on_request(struct gyr_conn *conn, const struct gyr_request *request)
{
    if (gyr_request_is_upgrade(request)) {
        return upgrade(conn, request);
    }
    struct gyr_span path = gyr_request_path(request);
    struct gyr_span method = gyr_request_method(request);
    if (is(path, "*")) { /* the server as a whole: only OPTIONS may ask for it */
        return answer_options(conn, "GET, HEAD, POST, OPTIONS");
    }
    int result;
    if (answer_file(conn, request, &result)) {
        return result;
    }
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        const struct route *route = &routes[i];
        if (!is(path, route->path)) {
            continue;
        }
        /* The engine leaves the content out of an answer to HEAD. */
        if (is(method, route->method) ||
            (is(method, "HEAD") && strcmp(route->method, "GET") == 0)) {
            return route->answer(conn, request);
        }
        return is(method, "OPTIONS") ? answer_options(conn, route->allow)
                                     : gyr_respond_not_allowed(conn, route->allow);
    }
    return gyr_respond_text(conn, 404, "text/plain", GYR_SPAN("There is nothing here.\n"));
}
