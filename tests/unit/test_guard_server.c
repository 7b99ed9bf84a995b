/* SPDX-License-Identifier: MIT */
/* Policies of a server of two cores on real sockets: what cores count together, while connections
 * come and go on both and the policies change. */
#include "engine/guard.h"

#include "engine/server.h"
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"
#include "tests/run_tests.h"

#include <stdatomic.h>
#include <unistd.h>

#define PLACES       6
#define VISITORS     3 /* threads */
#define VISITS       150
#define ATTEMPTS_MAX 10000
static const char GET[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

static int on_request(struct gyr_conn *conn, const struct gyr_request *request)
{
    char text[64];
    gyr_client_address(conn, text);
    if (gyr_request_is_upgrade(request)) {
        return gyr_upgrade(conn, NULL);
    }
    return gyr_respond_text(conn, 200, "text/plain", (struct gyr_span){text, strlen(text)});
}

/* Lines come from both cores at once. */
static void on_log(void *user, enum gyr_log_level level, struct gyr_span line)
{
    (void)level;
    atomic_fetch_add((_Atomic unsigned *)user, line.size != 0);
}

static void set(struct gyr_config *config, const char *name, const char *value)
{
    struct gyr_error error = {""};
    EXPECT_INT(gyr_config_set(config, name, value, &error), 0, error.text);
}

static void connections_are_counted_by(const char *limit, const char *ring)
{
    if (!kit_server_possible(2)) {
        return;
    }
    struct gyr_config config = kit_server_config(2);
    struct gyr_service service = {.size = sizeof(service), .on_request = on_request};
    char address[128];
    set(&config, limit, "6");
    set(&config, "ring", ring);
    struct gyr_server *server = kit_server_start(&config, &service, "127.0.0.1:0", address);
    int fds[PLACES];
    for (unsigned i = 0; i < PLACES; i++) {
        fds[i] = kit_client(address);
        EXPECT(kit_client_ask(fds[i], GET, "127.0.0.1:"), "there is a place");
    }
    int fd = kit_client(address);
    EXPECT(kit_client_ask(fd, GET, " 503 "), "and no other, on whichever core");
    (void)close(fd);
    (void)close(fds[0]);
    bool served = false;
    for (unsigned i = 0; i < ATTEMPTS_MAX && !served; i++) {
        fd = kit_client(address);
        served = kit_client_ask(fd, GET, " 200 ");
        (void)close(fd);
    }
    EXPECT(served, "until one has gone");
    for (unsigned i = 1; i < PLACES; i++) {
        EXPECT(kit_client_ask(fds[i], GET, " 200 "), "the others are still there");
        (void)close(fds[i]);
    }
    gyr_server_stop(server);
    gyr_server_wait(server);
    EXPECT_INT(address_table_size(server->addresses).address_count, 0, "all have left");
    gyr_server_destroy(server);
}

void guard_server_connections_max_is_that_of_all_cores(void)
{
    connections_are_counted_by("server_connections_max", "auto");
    connections_are_counted_by("server_connections_max", "epoll");
}

void guard_address_connections_max_is_that_of_all_cores(void)
{
    connections_are_counted_by("address_connections_max", "auto");
    connections_are_counted_by("address_connections_max", "epoll");
}

struct visiting {
    const char *address;
    _Atomic unsigned visits;
    _Atomic unsigned answers;
};

static void *visit(void *arg)
{
    struct visiting *visiting = arg;
    for (unsigned i = 0; i < VISITS; i++) {
        int fd = kit_client(visiting->address);
        bool upgrade = i % 2 != 0;
        if (kit_client_ask(fd, upgrade ? KIT_UPGRADE_WITH("") : GET, "HTTP/1.1 ")) {
            atomic_fetch_add(&visiting->answers, 1);
        }
        (void)close(fd);
        atomic_fetch_add(&visiting->visits, 1);
    }
    return NULL;
}

static void policies_change(const char *ring)
{
    static const char *const changes[][2] = {
        {"address_connections_max", "2"},
        {"server_connections_max", "3"},
        {"access_log", "1"},
        {"trusted_proxies", "127.0.0.1"},
        {"forwarded", "forwarded"},
        {"address_connections_max", "0"},
        {"message_rate_max", "10"},
        {"server_connections_max", "0"},
        {"trusted_proxies", ""},
        {"access_log", "0"},
    };
    if (!kit_server_possible(2)) {
        return;
    }
    _Atomic unsigned lines = 0;
    struct gyr_config config = kit_server_config(2);
    struct gyr_service service = {
        .size = sizeof(service), .on_request = on_request, .on_log = on_log, .user = &lines};
    char address[128];
    set(&config, "ring", ring);
    struct gyr_server *server = kit_server_start(&config, &service, "127.0.0.1:0", address);
    struct visiting visiting = {.address = address};
    pthread_t threads[VISITORS];
    for (unsigned i = 0; i < VISITORS; i++) {
        EXPECT_INT(pthread_create(&threads[i], NULL, visit, &visiting), 0, "a thread");
    }
    for (unsigned i = 0; atomic_load(&visiting.visits) < VISITORS * VISITS / 2; i++) {
        const char *const *change = changes[i % COUNT_OF(changes)];
        struct gyr_settings *settings = NULL;
        struct gyr_error error = {""};
        set(&config, change[0], change[1]);
        EXPECT_INT(gyr_settings_create(&config, &settings, &error), 0, error.text);
        EXPECT_INT(gyr_server_reload(server, settings, &error), 0, error.text);
        gyr_settings_destroy(settings);
    }
    for (unsigned i = 0; i < VISITORS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    EXPECT_INT(atomic_load(&visiting.answers), VISITORS * VISITS, "everybody has got an answer");
    gyr_server_stop(server);
    gyr_server_wait(server);
    EXPECT_INT(address_table_size(server->addresses).address_count, 0, "all have left");
    EXPECT(atomic_load(&lines) > 0, "and there was something to tell");
    gyr_server_destroy(server);
}

void guard_policies_may_change_while_connections_come_and_go(void)
{
    policies_change("auto");
    policies_change("epoll");
}
