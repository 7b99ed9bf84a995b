/* SPDX-License-Identifier: MIT */
/* The command line of an example, its settings, its signals, and what it says of itself. */
#include "examples/common_program.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define OPTIONS_OF_ALL 9 /* programs; behind them stand those of some */

/* ---- command line ---------------------------------------------------------------------------- */

void program_check(int err, const struct gyr_error *error)
{
    if (err != 0) {
        fprintf(stderr, "%s: %s\n", program_invocation_short_name, error->text);
        exit(1);
    }
}

static void usage_fail(const char *what, const char *argument)
{
    const char *name = program_invocation_short_name;
    fprintf(stderr, "%s: %s: %s; see %s --help\n", name, what, argument, name);
    exit(2);
}

static void help_print(const struct options *options)
{
    static char settings[32768];
    struct gyr_config config = gyr_config_default();
    gyr_config_print(&config, settings, sizeof(settings));
    const char *name = program_invocation_short_name;
    int indent = (int)(strlen("usage: ") + strlen(name));
    printf(
        "usage: %s [--listen ADDRESS]... [--config FILE] [--environment]\n"
        "%*s [--cores LIST] [--set NAME=VALUE]...%s%s\n"
        "%*s [--print-config] [--check-config] [--help] [--version]\n"
        "\n"
        "  --listen ADDRESS  127.0.0.1:8080, [::1]:8080, unix:/path; without any: the\n"
        "                    sockets that systemd passes, or else 127.0.0.1:8080\n"
        "  --config FILE     read settings: name = value lines, and those of one core after a\n"
        "                    line [core 1]; SIGHUP reads it again and takes over what can change\n"
        "  --environment     read settings from GYR_<NAME> and GYR_CORE_1_<NAME>\n"
        "  --cores LIST      CPUs, a thread each: 0-3,6; all that are allowed by default\n"
        "  --set NAME=VALUE  one setting, of one core with --set 'core 1.spin_us=50'\n"
        "%s%s"
        "  --print-config    say what is set, and by whom, and end\n"
        "  --check-config    say whether a start could use it, and end\n"
        "\n"
        "The command line wins over the environment, that over the file. The settings:\n\n%s",
        name, indent, "", options->has_files ? " [--files FOLDER]" : "",
        options->has_routes ? " [--routes]" : "", indent, "",
        options->has_files ? "  --files FOLDER    serve its files below /files/\n" : "",
        options->has_routes ? "  --routes          say which paths there are, and end\n" : "",
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

void program_options(struct options *options, int argc, char **argv)
{
    struct option known[] = {
        {"listen", required_argument, NULL, 'l'},
        {"config", required_argument, NULL, 'f'},
        {"environment", no_argument, NULL, 'e'},
        {"cores", required_argument, NULL, 'c'},
        {"set", required_argument, NULL, 's'},
        {"print-config", no_argument, NULL, 'p'},
        {"check-config", no_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
        {NULL, 0, NULL, 0},
        {NULL, 0, NULL, 0},
    };
    struct option *own = &known[OPTIONS_OF_ALL];
    if (options->has_files) {
        *own++ = (struct option){"files", required_argument, NULL, 'd'};
    }
    if (options->has_routes) {
        *own++ = (struct option){"routes", no_argument, NULL, 'r'};
    }
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
        case 'd':
            options->files = optarg;
            break;
        case 'r':
            options->routes = true;
            break;
        case 'h':
            help_print(options);
            break;
        case 'v':
            printf("%s " GYR_VERSION "\n", program_invocation_short_name);
            exit(0);
        default:
            usage_fail("unknown option, or its value is missing", argv[optind - 1]);
        }
    }
    if (optind < argc) {
        usage_fail("unexpected argument", argv[optind]);
    }
}

/* ---- settings -------------------------------------------------------------------------------- */

static int settings_load(const struct options *options, struct gyr_settings **settings_out,
                         struct gyr_error *error)
{
    struct gyr_settings *settings;
    struct gyr_config config = gyr_config_default();
    config.log_level = GYR_LOG_WARNING;
    int err = gyr_settings_create(&config, &settings, error);
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

struct gyr_settings *program_settings_of(const struct options *options)
{
    struct gyr_settings *settings = NULL;
    struct gyr_error error;
    program_check(settings_load(options, &settings, &error), &error);
    if (options->print) {
        settings_print(settings);
    }
    if (options->check) {
        program_check(gyr_settings_check(settings, &error), &error);
        printf("%s%s: configuration is usable\n", options->print ? "# " : "",
               program_invocation_short_name);
    }
    if (options->print || options->check) {
        gyr_settings_destroy(settings);
        exit(0);
    }
    return settings;
}

/* What a function like snprintf writes, whole. */
static void app_say(FILE *file, struct gyr_app *app,
                    size_t (*print)(struct gyr_app *app, char *text, size_t size))
{
    size_t size = print(app, NULL, 0) + 1;
    char *text = malloc(size);
    if (text != NULL) {
        print(app, text, size);
        fputs(text, file);
    }
    free(text);
}

void program_app(const struct options *options, struct gyr_app *app)
{
    bool is_wrong = gyr_app_check(app, NULL, 0) > 0;
    if (is_wrong) {
        app_say(stderr, app, gyr_app_check);
    }
    if (options->routes) {
        app_say(stdout, app, gyr_app_print_routes);
    }
    if (is_wrong || options->routes) {
        exit(is_wrong ? 1 : 0);
    }
}

void program_listen(const struct options *options, struct gyr_server *server)
{
    struct gyr_error error;
    for (unsigned i = 0; i < options->address_count; i++) {
        program_check(gyr_server_listen(server, options->addresses[i], &error), &error);
    }
    int passed = gyr_server_adopt_activated(server, &error);
    program_check(passed < 0 ? passed : 0, &error);
    if (passed == 0 && options->address_count == 0) {
        program_check(gyr_server_listen(server, "127.0.0.1:8080", &error), &error);
    }
}

/* ---- from start to end ----------------------------------------------------------------------- */

void program_signals(const struct options *options, sigset_t *signals)
{
    /* The threads of the cores inherit this; the sigwait below is the only place for these. */
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    if (options->config != NULL) {
        sigaddset(signals, SIGHUP); /* otherwise it ends the program, as when a terminal closes */
    }
    sigprocmask(SIG_BLOCK, signals, NULL);
    /* Whoever reads our line may have gone; the engine itself never causes this signal. */
    signal(SIGPIPE, SIG_IGN);
}

/* In one piece, so that lines of several cores do not mix; as it is, so that JSON stays JSON. */
void program_log(void *user, enum gyr_log_level level, struct gyr_span line)
{
    (void)user;
    (void)level;
    fprintf(stderr, "%.*s\n", (int)line.size, line.ptr);
}

/* Where the server listens, in one line; and why it is not on io_uring, if it is not. */
static void announce(const struct gyr_server *server)
{
    const char *name = program_invocation_short_name;
    const char *reason = gyr_server_ring_reason(server);
    if (reason[0] != '\0') {
        fprintf(stderr, "%s: %s instead of io_uring: %s\n", name, gyr_server_ring(server), reason);
    }
    char address[128];
    printf("%s: listening on ", name);
    for (unsigned i = 0; gyr_server_address(server, i, address, sizeof(address)); i++) {
        bool path = strncmp(address, "unix:", 5) == 0;
        printf("%s%s%s%s", i == 0 ? "" : ", ", path ? "" : "http://", address, path ? "" : "/");
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

/* A mistake in the file is said, and the server goes on as it was. */
static void reload(const struct options *options, struct gyr_server *server)
{
    struct gyr_settings *settings = NULL;
    struct gyr_error error;
    int err = settings_load(options, &settings, &error);
    if (err == 0) {
        err = gyr_server_reload(server, settings, &error);
    }
    if (err == 0) {
        printf("%s: %s: settings are reloaded\n", program_invocation_short_name, options->config);
    } else {
        fprintf(stderr, "%s: nothing is reloaded: %s\n", program_invocation_short_name, error.text);
    }
    fflush(stdout);
    gyr_settings_destroy(settings);
}

void program_wait(const struct options *options, struct gyr_server *server, const sigset_t *signals)
{
    announce(server);
    notify("READY=1");
    int signal_number;
    while (sigwait(signals, &signal_number) == 0 && signal_number == SIGHUP) {
        reload(options, server);
    }
}

void program_stop(struct gyr_server *server, const sigset_t *signals)
{
    notify("STOPPING=1");
    gyr_server_stop(server);
    /* From here on a second signal does what it does to any program: it ends this one at once. */
    sigprocmask(SIG_UNBLOCK, signals, NULL);
    gyr_server_wait(server);
    gyr_server_destroy(server);
}
