/* SPDX-License-Identifier: MIT */
/* A backend that cannot begin is found when the server is made, with a line that names it, and one
 * that cannot begin on a core when it starts. */
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
