/* SPDX-License-Identifier: MIT */
/* A backend that lacks something, or cannot begin, is found when the server is made, with a line
 * that names it. */
#include "hub/backend.h"

#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>

/* Make a server with it; is the error this, and the line has that text? */
static bool is_refused(const struct gyr_backend *backend, int err_wanted, const char *text)
{
    struct gyr_config config = gyr_config_default();
    struct gyr_service service = {.size = sizeof(service), .backend = backend};
    struct gyr_server *server = NULL;
    struct gyr_error error;
    memset(&error, 'x', sizeof(error)); /* nobody clears it before */
    error.text[sizeof(error.text) - 1] = '\0';
    config.connections_max = 16;
    int err = gyr_server_create(&config, &service, &server, &error);
    if (err == 0) {
        gyr_server_destroy(server);
    }
    bool is = err == err_wanted && strstr(error.text, text) != NULL;
    EXPECT(is, text);
    if (!is) {
        (void)printf("    %d: %s\n", err, error.text);
    }
    return is;
}

void scenario_105_a_backend_that_lacks_a_function_is_refused_by_its_name(void)
{
    struct gyr_backend table;
#define LACKS(function)    \
    table = backend_local; \
    table.name = "mine";   \
    table.function = NULL; \
    (void)is_refused(&table, GYR_ERR_CONFIG, "\"mine\": it has no function `" #function "`");
    LACKS(create)
    LACKS(destroy)
    LACKS(core_start)
    LACKS(core_stop)
    LACKS(work)
    LACKS(publish)
    LACKS(subscribe)
    LACKS(unsubscribe)
    LACKS(history)
    LACKS(presence_add)
    LACKS(presence_remove)
    LACKS(presence)
#undef LACKS
}

void scenario_105_a_backend_needs_only_what_it_declares(void)
{
    struct gyr_config config = gyr_config_default();
    struct gyr_backend table = backend_local;
    table.capabilities = GYR_BACKEND_ORDERS;
    table.history = NULL;
    table.presence_add = NULL;
    table.presence_remove = NULL;
    table.presence = NULL;
    struct gyr_service service = {.size = sizeof(service), .backend = &table};
    struct gyr_server *server;
    struct gyr_error error;
    config.connections_max = 16;
    EXPECT_INT(gyr_server_create(&config, &service, &server, &error), 0, "neither of these");
    gyr_server_destroy(server);
}

void backend_that_is_no_backend_is_refused(void)
{
    struct gyr_backend table = backend_local;
    table.size--;
    EXPECT(is_refused(&table, GYR_ERR_CONFIG, "gyr_backend.size"), "of another version");
    table = backend_local;
    table.name = NULL;
    EXPECT(is_refused(&table, GYR_ERR_CONFIG, "gyr_backend.name"), "no name");
    table.name = "";
    EXPECT(is_refused(&table, GYR_ERR_CONFIG, "gyr_backend.name"), "an empty one");
    table = backend_local;
    table.name = "mine";
    table.capabilities |= UINT32_C(1) << 31;
    EXPECT(is_refused(&table, GYR_ERR_CONFIG, "\"mine\""), "it can what nobody knows");
}

static int fails_silently(const struct gyr_backend_hub *hub, void *user, void **state,
                          struct gyr_error *error)
{
    (void)hub;
    (void)user;
    (void)state;
    (void)error;
    return GYR_ERR_MEMORY;
}

static int fails_with_a_line(const struct gyr_backend_hub *hub, void *user, void **state,
                             struct gyr_error *error)
{
    (void)hub;
    (void)user;
    (void)state;
    (void)snprintf(error->text, sizeof(error->text), "the line of the backend");
    return GYR_ERR_UNSUPPORTED;
}

void backend_that_cannot_begin_is_named(void)
{
    struct gyr_backend table = backend_local;
    table.name = "mine";
    table.create = fails_silently;
    EXPECT(is_refused(&table, GYR_ERR_MEMORY, "backend \"mine\""), "though it says nothing");
    table.create = fails_with_a_line;
    EXPECT(is_refused(&table, GYR_ERR_UNSUPPORTED, "the line of the backend"), "its own words");
}

/* Core 1 fails to begin when core 0 has written to it. */
static struct {
    sem_t written;
    int post_err;
    int publish_err;
} late;

static void late_publish(struct gyr_core *core, void *arg)
{
    (void)arg;
    late.publish_err = gyr_publish(core, GYR_SPAN("room"), GYR_TEXT, GYR_SPAN("text"));
}

static int late_core_start(void *state, unsigned core)
{
    if (core == 0) {
        return backend_local.core_start(state, core);
    }
    kit_wait(&late.written);
    return GYR_ERR_MEMORY;
}

static int late_on_core_start(struct gyr_core *core)
{
    late.post_err = gyr_post(gyr_core_server(core), 1, late_publish, NULL);
    (void)sem_post(&late.written);
    return 0;
}

void backend_that_fails_on_a_core_leaves_nothing_to_publish_with_there(void)
{
    struct gyr_backend table = backend_local;
    struct gyr_service service = {
        .size = sizeof(service), .backend = &table, .on_core_start = late_on_core_start};
    struct gyr_server *server;
    struct gyr_error error;
    if (!kit_server_possible(2)) {
        return;
    }
    struct gyr_config config = kit_server_config(2);
    memset(&late, 0, sizeof(late));
    (void)sem_init(&late.written, 0, 0);
    table.core_start = late_core_start;
    EXPECT_INT(gyr_server_create(&config, &service, &server, &error), 0, "made");
    EXPECT_INT(gyr_server_start(server, &error), GYR_ERR_MEMORY, "and not started");
    EXPECT_INT(late.post_err, 0, "a letter to the core that fails");
    EXPECT_INT(late.publish_err, GYR_ERR_CLOSED, "was opened, and there is nothing there");
    gyr_server_destroy(server);
}
