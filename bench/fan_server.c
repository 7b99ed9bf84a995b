/* SPDX-License-Identifier: MIT */
/* Fan-out for the benchmarks, on the public interface: a WebSocket on /sub/ROOM becomes a member of
 * the room, and what comes from one on /pub/ROOM is published to it. bench/run starts it; by hand:
 *
 *   bench-fan_server --listen 127.0.0.1:9001 --cores 0
 *
 * Whoever asks with ?core is first told on which core it is, in a text message "core N":
 * bench/fangen.c --cpus keeps those that it wants. GET /stats has every counter, a line each.
 *
 * A publish that is refused because a core is behind is not lost: its connection is not read on
 * until the message has been published. */
#include <gyr/gyr.h>

#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_SIZE_MAX 64

/* Of a connection. */
struct role {
    bool publishes;
    uint8_t room_size;
    char room[ROOM_SIZE_MAX];
    /* A message that was refused: */
    void *message; /* owned; NULL: none */
    size_t message_size;
    enum gyr_opcode opcode;
    struct role *next; /* in the list of its core */
    struct gyr_conn *conn;
};

/* Of a core: connections whose message was refused, in the order in which that happened. */
struct waiting {
    struct role *first;
    struct role **end; /* of the list; NULL before its first use */
};

struct options {
    const char *listen;
    struct gyr_settings *settings;
    struct gyr_room_rule rule;
};

static void options_parse(struct options *options, int argc, char **argv);
static int on_request(struct gyr_conn *conn, const struct gyr_request *request);
static int on_message(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span message);
static void on_publish_ready(struct gyr_core *core);
static void on_close(struct gyr_conn *conn, uint16_t close_code, struct gyr_span reason);

static _Noreturn void fail(const char *text)
{
    (void)fprintf(stderr, "bench-fan_server: %s\n", text);
    exit(1);
}

static void check(int err, const struct gyr_error *error)
{
    if (err < 0) {
        fail(error->text);
    }
}

int main(int argc, char **argv)
{
    struct gyr_error error;
    struct options options = {.listen = "127.0.0.1:9001",
                              .rule = {.size = sizeof(options.rule), .pattern = GYR_SPAN("*")}};
    check(gyr_settings_create(NULL, &options.settings, &error), &error);
    options_parse(&options, argc, argv);

    sigset_t signals; /* no thread takes them; the sigwait below does */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);

    const struct gyr_service service = {
        .size = sizeof(service),
        .conn_data_size = sizeof(struct role),
        .core_data_size = sizeof(struct waiting),
        .room_rules = &options.rule,
        .room_rule_count = 1,
        .on_request = on_request,
        .on_message = on_message,
        .on_publish_ready = on_publish_ready,
        .on_close = on_close,
    };
    struct gyr_server *server;
    check(gyr_server_create_with(options.settings, &service, &server, &error), &error);
    gyr_settings_destroy(options.settings);
    check(gyr_server_listen(server, options.listen, &error), &error);
    check(gyr_server_start(server, &error), &error);
    int signal_number;
    (void)sigwait(&signals, &signal_number);
    gyr_server_stop(server);
    gyr_server_wait(server);
    gyr_server_destroy(server);
    return 0;
}

/* --- options ------------------------------------------------------------------------------- */

static _Noreturn void usage(void)
{
    (void)fputs(
        "usage: bench-fan_server [options]\n"
        "  --listen ADDRESS:PORT  default 127.0.0.1:9001\n"
        "  --cores LIST           CPUs, a thread each; default: all\n"
        "  --set NAME=VALUE       any setting\n"
        "  --policy POLICY        of all rooms: queue (default), drop-newest, drop-oldest,\n"
        "                         conflate, close\n"
        "  --queue-size BYTES     from which on the policy holds; default\n"
        "                         send_queue_size_max\n",
        stderr);
    exit(2);
}

static enum gyr_room_policy policy_parse(const char *text)
{
    static const struct {
        const char *name;
        enum gyr_room_policy policy;
    } policies[] = {
        {"queue", GYR_ROOM_QUEUE},
        {"drop-newest", GYR_ROOM_DROP_NEWEST},
        {"drop-oldest", GYR_ROOM_DROP_OLDEST},
        {"conflate", GYR_ROOM_CONFLATE},
        {"close", GYR_ROOM_CLOSE},
    };
    for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        if (strcmp(text, policies[i].name) == 0) {
            return policies[i].policy;
        }
    }
    usage();
}

static uint32_t size_parse(const char *text)
{
    char *end = NULL;
    unsigned long size = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || size > UINT32_MAX) {
        fail("--queue-size is a number of bytes");
    }
    return (uint32_t)size;
}

static void setting_take(struct gyr_settings *settings, const char *text)
{
    char name[64];
    struct gyr_error error;
    const char *equals = strchr(text, '=');
    if (equals == NULL || (size_t)(equals - text) >= sizeof(name)) {
        usage();
    }
    memcpy(name, text, (size_t)(equals - text));
    name[equals - text] = '\0';
    check(gyr_settings_set(settings, name, equals + 1, "--set", &error), &error);
}

static void options_parse(struct options *options, int argc, char **argv)
{
    static const struct option table[] = {
        {"listen", required_argument, NULL, 'l'},     {"cores", required_argument, NULL, 'c'},
        {"set", required_argument, NULL, 's'},        {"policy", required_argument, NULL, 'p'},
        {"queue-size", required_argument, NULL, 'q'}, {NULL, 0, NULL, 0},
    };
    struct gyr_error error;
    for (int letter; (letter = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        switch (letter) {
        case 'l':
            options->listen = optarg;
            break;
        case 'c':
            check(gyr_settings_set(options->settings, "cores", optarg, "--cores", &error), &error);
            break;
        case 's':
            setting_take(options->settings, optarg);
            break;
        case 'p':
            options->rule.policy = policy_parse(optarg);
            break;
        case 'q':
            options->rule.queue_size_max = size_parse(optarg);
            break;
        default:
            usage();
        }
    }
    if (optind != argc) {
        usage();
    }
}

/* --- requests ------------------------------------------------------------------------------ */

static bool is(struct gyr_span span, const char *text)
{
    return span.size == strlen(text) && memcmp(span.ptr, text, span.size) == 0;
}

static int stats_answer(struct gyr_conn *conn)
{
    char text[4096];
    struct gyr_stats stats;
    gyr_server_stats(gyr_core_server(gyr_conn_core(conn)), UINT_MAX, &stats, sizeof(stats));
    int size = snprintf(text, sizeof(text),
#define STATS_FORMAT(name, about) #name " %" PRIu64 "\n"
                        GYR_STATS(STATS_FORMAT) "%s"
#define STATS_VALUE(name, about) , stats.name
                        GYR_STATS(STATS_VALUE),
                        "");
    return gyr_respond_text(conn, 200, "text/plain", (struct gyr_span){text, (size_t)size});
}

static int core_tell(struct gyr_conn *conn)
{
    char text[32];
    int size = snprintf(text, sizeof(text), "core %u", gyr_core_index(gyr_conn_core(conn)));
    return gyr_send(conn, GYR_TEXT, (struct gyr_span){text, (size_t)size});
}

/* A member before the handshake is answered: whoever has its answer misses nothing. */
static int on_request(struct gyr_conn *conn, const struct gyr_request *request)
{
    struct gyr_span path = gyr_request_path(request);
    if (!gyr_request_is_upgrade(request)) {
        return is(path, "/stats") ? stats_answer(conn)
                                  : gyr_respond_text(conn, 404, "text/plain",
                                                     GYR_SPAN("/sub/ROOM, /pub/ROOM, /stats\n"));
    }
    struct role *role = gyr_conn_data(conn);
    role->conn = conn;
    role->publishes = path.size > 5 && memcmp(path.ptr, "/pub/", 5) == 0;
    if (path.size <= 5 || path.size - 5 > ROOM_SIZE_MAX ||
        (!role->publishes && memcmp(path.ptr, "/sub/", 5) != 0)) {
        return gyr_respond_text(conn, 404, "text/plain", GYR_SPAN("/sub/ROOM or /pub/ROOM\n"));
    }
    role->room_size = (uint8_t)(path.size - 5);
    memcpy(role->room, path.ptr + 5, role->room_size);
    int err = is(gyr_request_query(request), "core") ? core_tell(conn) : 0;
    if (err >= 0 && !role->publishes) {
        err = gyr_join(conn, (struct gyr_span){role->room, role->room_size});
    }
    return err < 0 ? err : gyr_upgrade(conn, NULL);
}

/* --- publishing ---------------------------------------------------------------------------- */

static int publish_later(struct gyr_conn *conn, struct role *role, enum gyr_opcode opcode,
                         struct gyr_span message)
{
    struct waiting *waiting = gyr_core_data(gyr_conn_core(conn));
    role->message = malloc(message.size + 1);
    if (role->message == NULL) {
        return GYR_ERR_MEMORY;
    }
    memcpy(role->message, message.ptr, message.size);
    role->message_size = message.size;
    role->opcode = opcode;
    role->next = NULL;
    if (waiting->first == NULL) {
        waiting->end = &waiting->first;
    }
    *waiting->end = role;
    waiting->end = &role->next;
    return GYR_PENDING;
}

static int on_message(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span message)
{
    struct role *role = gyr_conn_data(conn);
    if (!role->publishes) {
        return 0;
    }
    int err = gyr_publish(gyr_conn_core(conn), (struct gyr_span){role->room, role->room_size},
                          opcode, message);
    return err == GYR_ERR_BACKPRESSURE ? publish_later(conn, role, opcode, message) : err;
}

static void on_publish_ready(struct gyr_core *core)
{
    struct waiting *waiting = gyr_core_data(core);
    while (waiting->first != NULL) {
        struct role *role = waiting->first;
        int err = gyr_publish(core, (struct gyr_span){role->room, role->room_size}, role->opcode,
                              (struct gyr_span){role->message, role->message_size});
        if (err == GYR_ERR_BACKPRESSURE) {
            return; /* this is called again */
        }
        waiting->first = role->next;
        free(role->message);
        role->message = NULL;
        (void)gyr_finish(role->conn, err);
    }
}

static void on_close(struct gyr_conn *conn, uint16_t close_code, struct gyr_span reason)
{
    (void)close_code;
    (void)reason;
    struct role *role = gyr_conn_data(conn);
    struct waiting *waiting = gyr_core_data(gyr_conn_core(conn));
    if (role->message == NULL) {
        return;
    }
    struct role **at = &waiting->first;
    while (*at != role) {
        at = &(*at)->next;
    }
    *at = role->next;
    if (role->next == NULL) {
        waiting->end = at;
    }
    free(role->message);
    role->message = NULL;
}
