/* SPDX-License-Identifier: MIT */
/* gyr-echo: a complete service on Gyr. A WebSocket on any path gets back what it sends; a few paths
 * are answered over HTTP:
 *
 *     GET  /           a page that echoes what is typed and plots the round trips
 *     GET  /plaintext  Hello, World!
 *     GET  /stats      every counter as JSON
 *     POST /upload     length and hash of the body, which is hashed as it arrives
 *
 * Read main first, then on_request and what it calls: functions named on_* are called by the
 * engine, on the thread of the core that has the connection. */
#include <gyr/gyr.h>

#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ADDRESSES_MAX 16
#define USAGE                                                                      \
    "usage: gyr-echo [--listen ADDRESS]... [--cores LIST] [--set NAME=VALUE]...\n" \
    "                [--help] [--version]\n"

/* examples/echo.html, put into this program by the Makefile. */
extern const char echo_html[];
extern const size_t echo_html_size;

struct options {
    struct gyr_config config;
    const char *addresses[ADDRESSES_MAX];
    unsigned address_count;
};

/* What a connection remembers: gyr_conn_data, zero at first. */
struct upload {
    bool running;
    uint64_t length;
    uint64_t hash;
};

struct route {
    const char *path;
    const char *method;
    const char *allow;
    int (*answer)(struct gyr_conn *conn, const struct gyr_request *request);
};

static int on_request(struct gyr_conn *conn, const struct gyr_request *request);
static int on_body(struct gyr_conn *conn, struct gyr_span piece, bool last);
static int on_message(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span message);
static void on_trouble(struct gyr_core *core, int err, uint64_t count);
static void options_parse(struct options *options, int argc, char **argv);
static void announce(const struct gyr_server *server);
static void notify(const char *state);
static void check(int err, const struct gyr_error *error);

int main(int argc, char **argv)
{
    struct options options = {.config = gyr_config_default()};
    options_parse(&options, argc, argv);

    /* The threads of the cores take no signal; sigwait below is the only place for these two. */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    /* Whoever reads our line may have gone; the engine itself never causes this signal. */
    signal(SIGPIPE, SIG_IGN);

    const struct gyr_service service = {
        .size = sizeof(service),
        .conn_data_size = sizeof(struct upload),
        .on_request = on_request,
        .on_body = on_body,
        .on_message = on_message,
        .on_trouble = on_trouble,
    };
    struct gyr_server *server;
    struct gyr_error error;
    check(gyr_server_create(&options.config, &service, &server, &error), &error);
    for (unsigned i = 0; i < options.address_count; i++) {
        check(gyr_server_listen(server, options.addresses[i], &error), &error);
    }
    /* Sockets of a service manager, as of the unit gyr-echo.socket. */
    int passed = gyr_server_adopt_activated(server, &error);
    check(passed < 0 ? passed : 0, &error);
    if (passed == 0 && options.address_count == 0) {
        check(gyr_server_listen(server, "127.0.0.1:8080", &error), &error);
    }
    check(gyr_server_start(server, &error), &error);
    announce(server);
    notify("READY=1");

    int signal_number;
    sigwait(&signals, &signal_number);
    notify("STOPPING=1");
    gyr_server_stop(server);
    /* From here on a second signal does what it does to any program: it ends this one at once. */
    sigprocmask(SIG_UNBLOCK, &signals, NULL);
    gyr_server_wait(server);
    gyr_server_destroy(server);
    return 0;
}

/* At most once a second and core. */
static void on_trouble(struct gyr_core *core, int err, uint64_t count)
{
    fprintf(stderr, "gyr-echo: core %u: %s (%" PRIu64 " times)\n", gyr_core_index(core),
            gyr_strerror(err), count);
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

static int answer_stats(struct gyr_conn *conn, const struct gyr_request *request)
{
    (void)request;
    const struct gyr_server *server = gyr_core_server(gyr_conn_core(conn));
    char *json = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&json, &size);
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
    if (err == 0) {
        err = gyr_respond_text(conn, 200, "application/json", (struct gyr_span){json, size});
    }
    free(json);
    return err;
}

static int upload_finish(struct gyr_conn *conn, const struct upload *upload)
{
    char json[80];
    int size =
        snprintf(json, sizeof(json), "{\"length\":%" PRIu64 ",\"hash\":\"%016" PRIx64 "\"}\n",
                 upload->length, upload->hash);
    return gyr_respond_text(conn, 200, "application/json", (struct gyr_span){json, (size_t)size});
}

static int answer_upload(struct gyr_conn *conn, const struct gyr_request *request)
{
    struct upload *upload = gyr_conn_data(conn);
    *upload = (struct upload){.running = true, .hash = UINT64_C(0xcbf29ce484222325)};
    if (gyr_request_content_length(request) == 0) {
        return upload_finish(conn, upload);
    }
    return 0; /* on_body will answer */
}

static int on_body(struct gyr_conn *conn, struct gyr_span piece, bool last)
{
    struct upload *upload = gyr_conn_data(conn);
    if (!upload->running) {
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

static const struct route routes[] = {
    {"/", "GET", "GET, HEAD, OPTIONS", answer_page},
    {"/plaintext", "GET", "GET, HEAD, OPTIONS", answer_plaintext},
    {"/stats", "GET", "GET, HEAD, OPTIONS", answer_stats},
    {"/upload", "POST", "POST, OPTIONS", answer_upload},
};

static bool is(struct gyr_span span, const char *text)
{
    return span.size == strlen(text) && memcmp(span.ptr, text, span.size) == 0;
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

/* ---- command line ---------------------------------------------------------------------------- */

static void check(int err, const struct gyr_error *error)
{
    if (err != 0) {
        fprintf(stderr, "gyr-echo: %s\n", error->text);
        exit(1);
    }
}

static void usage_fail(const char *what, const char *argument)
{
    fprintf(stderr, "gyr-echo: %s: %s; see gyr-echo --help\n", what, argument);
    exit(2);
}

static void help_print(const struct gyr_config *config)
{
    static char settings[16384];
    gyr_config_print(config, settings, sizeof(settings));
    printf(USAGE "\n"
                 "  --listen ADDRESS  127.0.0.1:8080, [::1]:8080, unix:/path; without any: the\n"
                 "                    sockets that systemd passes, or else 127.0.0.1:8080\n"
                 "  --cores LIST      CPUs, a thread each: 0-3,6; all that are allowed by default\n"
                 "  --set NAME=VALUE  one of these:\n\n%s",
           settings);
    exit(0);
}

static void set_split(struct gyr_config *config, char *setting)
{
    char *equals = strchr(setting, '=');
    if (equals == NULL) {
        usage_fail("--set wants NAME=VALUE", setting);
        return;
    }
    *equals = '\0';
    struct gyr_error error;
    check(gyr_config_set(config, setting, equals + 1, &error), &error);
}

static void options_parse(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        {"listen", required_argument, NULL, 'l'}, {"cores", required_argument, NULL, 'c'},
        {"set", required_argument, NULL, 's'},    {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},      {NULL, 0, NULL, 0},
    };
    struct gyr_error error;
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'l':
            if (options->address_count == ADDRESSES_MAX) {
                usage_fail("too many addresses", optarg);
            }
            options->addresses[options->address_count++] = optarg;
            break;
        case 'c':
            check(gyr_config_set(&options->config, "cores", optarg, &error), &error);
            break;
        case 's':
            set_split(&options->config, optarg);
            break;
        case 'h':
            help_print(&options->config);
            break;
        case 'v':
            printf("gyr-echo " GYR_VERSION "\n");
            exit(0);
        default:
            usage_fail("unknown option, or its value is missing", argv[optind - 1]);
        }
    }
    if (optind < argc) {
        usage_fail("unexpected argument", argv[optind]);
    }
}

static void announce(const struct gyr_server *server)
{
    char address[128];
    for (unsigned i = 0; gyr_server_address(server, i, address, sizeof(address)); i++) {
        bool path = strncmp(address, "unix:", 5) == 0;
        printf("%s%s%s%s", i == 0 ? "gyr-echo: listening on " : ", ", path ? "" : "http://",
               address, path ? "" : "/");
    }
    unsigned count = gyr_server_core_count(server);
    printf(" with %u %s\n", count, count == 1 ? "core" : "cores");
    fflush(stdout);
}

/* Tell the service manager how far we are, if it wants to know: sd_notify(3). */
static void notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path == NULL || strlen(path) >= sizeof(address.sun_path)) {
        return;
    }
    size_t size = strlen(path);
    memcpy(address.sun_path, path, size);
    if (path[0] == '@') { /* a name without a file begins with a zero */
        address.sun_path[0] = '\0';
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        /* If nobody hears it, the manager's time limit decides. */
        (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address,
                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size));
        close(fd);
    }
}
