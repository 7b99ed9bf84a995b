/* SPDX-License-Identifier: MIT */
/* Typed messages for the benchmarks (D4), on the application model: {"type":"order",...} with five
 * members is decoded and answered with {"type":"taken",...}. bench/run starts it; by hand:
 *
 *   bench-typed_server --listen 127.0.0.1:9001 --cores 0 */
#include <gyr/gyr_app.h>

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct order {
    struct gyr_span user;
    struct gyr_span symbol;
    uint32_t quantity;
    double price;
    struct gyr_span note;
};
GYR_MESSAGE(order, "order", GYR_MEMBER(order, user, GYR_SIZE(1, 64)),
            GYR_MEMBER(order, symbol, GYR_SIZE(1, 16)),
            GYR_MEMBER(order, quantity, GYR_RANGE(1, 1000000)), GYR_MEMBER(order, price),
            GYR_MEMBER(order, note, GYR_OPTIONAL));

struct taken {
    struct gyr_span user;
    struct gyr_span symbol;
    uint32_t quantity;
    double price;
    struct gyr_span note;
};
GYR_MESSAGE(taken, "taken", GYR_MEMBER(taken, user), GYR_MEMBER(taken, symbol),
            GYR_MEMBER(taken, quantity), GYR_MEMBER(taken, price), GYR_MEMBER(taken, note));

static int desk_order(struct gyr_conn *conn, void *self, const struct order *order)
{
    (void)self;
    return GYR_SEND(conn, taken, .user = order->user, .symbol = order->symbol,
                    .quantity = order->quantity, .price = order->price, .note = order->note);
}

static const struct gyr_resource desk = {
    GYR_RESOURCE_PLAIN("desk"),
    .handlers = GYR_HANDLERS(GYR_ON(order, desk_order)),
};
static const struct gyr_route routes[] = {GYR_ROUTE("/", &desk), {0}};

static void check(int err, const struct gyr_error *error)
{
    if (err < 0) {
        (void)fprintf(stderr, "bench-typed_server: %s\n", error->text);
        exit(1);
    }
}

static _Noreturn void usage(void)
{
    (void)fputs("usage: bench-typed_server [options]\n"
                "  --listen ADDRESS:PORT  default 127.0.0.1:9001\n"
                "  --cores LIST           CPUs, a thread each; default: all\n"
                "  --ring RING            uring or epoll; default: auto\n",
                stderr);
    exit(2);
}

static const char *options_parse(struct gyr_settings *settings, int argc, char **argv)
{
    static const struct option table[] = {
        {"listen", required_argument, NULL, 'l'},
        {"cores", required_argument, NULL, 'c'},
        {"ring", required_argument, NULL, 'r'},
        {NULL, 0, NULL, 0},
    };
    const char *listen = "127.0.0.1:9001";
    struct gyr_error error;
    for (int letter; (letter = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        switch (letter) {
        case 'l':
            listen = optarg;
            break;
        case 'c':
            check(gyr_settings_set(settings, "cores", optarg, "--cores", &error), &error);
            break;
        case 'r':
            check(gyr_settings_set(settings, "ring", optarg, "--ring", &error), &error);
            break;
        default:
            usage();
        }
    }
    if (optind != argc) {
        usage();
    }
    return listen;
}

int main(int argc, char **argv)
{
    struct gyr_error error;
    struct gyr_settings *settings;
    check(gyr_settings_create(NULL, &settings, &error), &error);
    const char *listen = options_parse(settings, argc, argv);

    sigset_t signals; /* no thread takes them; the sigwait below does */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);

    struct gyr_app *app;
    struct gyr_server *server;
    check(gyr_app_create(NULL, &app, &error), &error);
    if (gyr_app_routes(app, "/", routes) < 0) {
        return 1;
    }
    check(gyr_app_server(app, settings, &server, &error), &error);
    gyr_settings_destroy(settings);
    check(gyr_server_listen(server, listen, &error), &error);
    check(gyr_server_start(server, &error), &error);
    int signal_number;
    (void)sigwait(&signals, &signal_number);
    gyr_server_stop(server);
    gyr_server_wait(server);
    gyr_server_destroy(server);
    gyr_app_destroy(app);
    return 0;
}
