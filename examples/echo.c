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

#define ADDRESSES_MAX 16
#define SETTINGS_MAX  256
#define USAGE                                                                 \
    "usage: gyr-echo [--listen ADDRESS]... [--config FILE] [--environment]\n" \
    "                [--cores LIST] [--set NAME=VALUE]...\n"                  \
    "                [--print-config] [--check-config] [--help] [--version]\n"

/* examples/echo.html, put into this program by the Makefile. */
extern const char echo_html[];
extern const size_t echo_html_size;

/* A setting of the command line. */
struct setting {
    const char *name;
    const char *value;
    const char *origin; /* the option */
};

struct options {
    const char *config; /* the file, or NULL */
    bool environment;
    bool print;
    bool check;
    struct setting settings[SETTINGS_MAX];
    unsigned setting_count;
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
static int settings_load(const struct options *options, struct gyr_settings **settings,
                         struct gyr_error *error);
static void settings_print(const struct gyr_settings *settings);
static void reload(const struct options *options, struct gyr_server *server);
static void options_parse(struct options *options, int argc, char **argv);
static void announce(const struct gyr_server *server);
static void check(int err, const struct gyr_error *error);

int main(int argc, char **argv)
{
    struct options options = {.config = NULL};
    struct gyr_settings *settings;
    struct gyr_error error;
    options_parse(&options, argc, argv);
    check(settings_load(&options, &settings, &error), &error);
    if (options.print) {
        settings_print(settings);
    }
    if (options.check) {
        check(gyr_settings_check(settings, &error), &error);
        printf("%sgyr-echo: configuration is usable\n", options.print ? "# " : "");
    }
    if (options.print || options.check) {
        gyr_settings_destroy(settings);
        return 0;
    }

    /* The threads of the cores take no signal; sigwait below is the only place for these. */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    if (options.config != NULL) {
        sigaddset(&signals, SIGHUP); /* otherwise it ends the program, as when a terminal closes */
    }
    sigprocmask(SIG_BLOCK, &signals, NULL);

    const struct gyr_service service = {
        .size = sizeof(service),
        .conn_data_size = sizeof(struct upload),
        .on_request = on_request,
        .on_body = on_body,
        .on_message = on_message,
        .on_trouble = on_trouble,
    };
    struct gyr_server *server;
    check(gyr_server_create_with(settings, &service, &server, &error), &error);
    gyr_settings_destroy(settings);
    for (unsigned i = 0; i < options.address_count; i++) {
        check(gyr_server_listen(server, options.addresses[i], &error), &error);
    }
    check(gyr_server_start(server, &error), &error);
    announce(server);

    int signal_number;
    while (sigwait(&signals, &signal_number) == 0 && signal_number == SIGHUP) {
        reload(&options, server);
    }
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

static void help_print(void)
{
    static char settings[32768];
    struct gyr_config config = gyr_config_default();
    gyr_config_print(&config, settings, sizeof(settings));
    printf(
        USAGE
        "\n"
        "  --listen ADDRESS  127.0.0.1:8080 (the default), [::1]:8080, unix:/path\n"
        "  --config FILE     read settings: name = value lines, and those of one core after a\n"
        "                    line [core 1]; SIGHUP reads it again and takes over what can change\n"
        "  --environment     read settings from GYR_<NAME> and GYR_CORE_1_<NAME>\n"
        "  --cores LIST      CPUs, a thread each: 0-3,6; all that are allowed by default\n"
        "  --set NAME=VALUE  one setting, of one core with --set 'core 1.spin_us=50'\n"
        "  --print-config    say what is set, and by whom, and end\n"
        "  --check-config    say whether a start could use it, and end\n"
        "\n"
        "The command line wins over the environment, that over the file. The settings:\n\n%s",
        settings);
    exit(0);
}

static void setting_add(struct options *options, const char *name, const char *value,
                        const char *origin)
{
    if (options->setting_count == SETTINGS_MAX) {
        usage_fail("too many settings", name);
    }
    options->settings[options->setting_count++] =
        (struct setting){.name = name, .value = value, .origin = origin};
}

static void setting_split(struct options *options, char *setting)
{
    char *equals = strchr(setting, '=');
    if (equals == NULL) {
        usage_fail("--set wants NAME=VALUE", setting);
        return;
    }
    *equals = '\0';
    setting_add(options, setting, equals + 1, "--set");
}

static void options_parse(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        {"listen", required_argument, NULL, 'l'}, {"config", required_argument, NULL, 'f'},
        {"environment", no_argument, NULL, 'e'},  {"cores", required_argument, NULL, 'c'},
        {"set", required_argument, NULL, 's'},    {"print-config", no_argument, NULL, 'p'},
        {"check-config", no_argument, NULL, 'k'}, {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},      {NULL, 0, NULL, 0},
    };
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'l':
            if (options->address_count == ADDRESSES_MAX) {
                usage_fail("too many addresses", optarg);
            }
            options->addresses[options->address_count++] = optarg;
            break;
        case 'f':
            options->config = optarg;
            break;
        case 'e':
            options->environment = true;
            break;
        case 'c':
            setting_add(options, "cores", optarg, "--cores");
            break;
        case 's':
            setting_split(options, optarg);
            break;
        case 'p':
            options->print = true;
            break;
        case 'k':
            options->check = true;
            break;
        case 'h':
            help_print();
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
    if (options->address_count == 0) {
        options->addresses[options->address_count++] = "127.0.0.1:8080";
    }
}

/* ---- settings -------------------------------------------------------------------------------- */

/* The layers, from the weakest to the strongest. */
static int settings_load(const struct options *options, struct gyr_settings **settings_out,
                         struct gyr_error *error)
{
    struct gyr_settings *settings;
    int err = gyr_settings_create(NULL, &settings, error);
    if (err != 0) {
        return err;
    }
    if (options->config != NULL) {
        err = gyr_settings_read(settings, options->config, error);
    }
    if (err == 0 && options->environment) {
        err = gyr_settings_environment(settings, error);
    }
    for (unsigned i = 0; err == 0 && i < options->setting_count; i++) {
        const struct setting *setting = &options->settings[i];
        err = gyr_settings_set(settings, setting->name, setting->value, setting->origin, error);
    }
    if (err != 0) {
        gyr_settings_destroy(settings);
        return err;
    }
    *settings_out = settings;
    return 0;
}

static void settings_print(const struct gyr_settings *settings)
{
    size_t size = gyr_settings_print(settings, NULL, 0) + 1;
    char *text = malloc(size);
    if (text != NULL) {
        gyr_settings_print(settings, text, size);
        fputs(text, stdout);
    }
    free(text);
}

/* SIGHUP: a mistake in the file is said, and the server goes on as it was. */
static void reload(const struct options *options, struct gyr_server *server)
{
    struct gyr_settings *settings = NULL;
    struct gyr_error error;
    int err = settings_load(options, &settings, &error);
    if (err == 0) {
        err = gyr_server_reload(server, settings, &error);
    }
    if (err == 0) {
        printf("gyr-echo: %s: settings are reloaded\n", options->config);
    } else {
        fprintf(stderr, "gyr-echo: nothing is reloaded: %s\n", error.text);
    }
    fflush(stdout);
    gyr_settings_destroy(settings);
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
