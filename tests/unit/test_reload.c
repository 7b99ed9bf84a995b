/* SPDX-License-Identifier: MIT */
/* New settings for a server that runs: what is taken over, what is refused and then changes
 * nothing, and that servers of one process share none of it. */
#include "engine/reload.h"

#include "engine/config.h"
#include "engine/core.h"
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"
#include "tests/run_tests.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char LONG_TARGET[] =
    "GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\nHost: a\r\n\r\n";

static int on_request(struct gyr_conn *conn, const struct gyr_request *request)
{
    (void)request;
    return gyr_respond_text(conn, 200, "text/plain", GYR_SPAN("ok."));
}

static const struct gyr_service SERVICE = {.size = sizeof(SERVICE), .on_request = on_request};

static struct gyr_settings *settings_with(const struct gyr_config *config, const char *name,
                                          const char *value)
{
    struct gyr_settings *settings = NULL;
    struct gyr_error error = {.text = ""};
    EXPECT_INT(gyr_settings_create(config, &settings, &error), 0, error.text);
    CU_ASSERT_FATAL(settings != NULL);
    if (name != NULL) {
        EXPECT_INT(gyr_settings_set(settings, name, value, "--set", &error), 0, error.text);
    }
    return settings;
}

static int reload(struct gyr_server *server, const struct gyr_config *config, const char *name,
                  const char *value, struct gyr_error *error)
{
    struct gyr_settings *settings = settings_with(config, name, value);
    error->text[0] = '\0';
    int err = gyr_server_reload(server, settings, error);
    gyr_settings_destroy(settings);
    return err;
}

static void reached(struct gyr_core *core, void *arg)
{
    (void)core;
    sem_post(arg);
}

/* Calls of one thread to one core keep their order: so it has taken what was posted before. */
static void wait_for_core(struct gyr_server *server, unsigned index)
{
    sem_t semaphore;
    sem_init(&semaphore, 0, 0);
    EXPECT_INT(gyr_post(server, index, reached, &semaphore), 0, "posted");
    kit_wait(&semaphore);
    sem_destroy(&semaphore);
}

static bool answers(const char *address, const char *status)
{
    int fd = kit_client(address);
    bool good = kit_client_ask(fd, LONG_TARGET, status);
    (void)close(fd);
    return good;
}

void reload_takes_over_limits_for_new_work(void)
{
    if (!kit_server_possible(1)) {
        return;
    }
    struct gyr_config config = kit_server_config(1);
    char addresses[2][128];
    struct gyr_server *server = kit_server_start(&config, &SERVICE, "127.0.0.1:0", addresses[0]);
    struct gyr_server *other = kit_server_start(&config, &SERVICE, "127.0.0.1:0", addresses[1]);
    struct gyr_error error;
    EXPECT(answers(addresses[0], " 200 OK"), "before");
    EXPECT_INT(reload(server, &config, "target_size_max", "16", &error), 0, error.text);
    wait_for_core(server, 0);
    EXPECT(answers(addresses[0], " 414 "), "after");
    EXPECT(answers(addresses[1], " 200 OK"), "the other server has its own");
    EXPECT_INT(reload(server, &config, NULL, NULL, &error), 0, error.text);
    wait_for_core(server, 0);
    EXPECT(answers(addresses[0], " 200 OK"), "and back");
    kit_server_end(server);
    kit_server_end(other);
}

static void copy_spin(struct gyr_core *core, void *arg)
{
    ((uint32_t *)arg)[gyr_core_index(core)] = ((struct core *)core)->config->spin_us;
}

void reload_gives_each_core_its_own(void)
{
    if (!kit_server_possible(2)) {
        return;
    }
    struct gyr_config config = kit_server_config(2);
    struct gyr_settings *settings = settings_with(&config, "core 1.spin_us", "7");
    struct gyr_server *server;
    struct gyr_error error;
    uint32_t spin[2] = {77, 77};
    CU_ASSERT_FATAL(gyr_server_create_with(settings, &SERVICE, &server, &error) == 0);
    gyr_settings_destroy(settings); /* it was copied */
    CU_ASSERT_FATAL(gyr_server_start(server, &error) == 0);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 2; i++) {
            EXPECT_INT(gyr_post(server, i, copy_spin, spin), 0, "asked");
            wait_for_core(server, i);
        }
        EXPECT_INT(spin[0], round == 0 ? 0 : 8, "core 0");
        EXPECT_INT(spin[1], round == 0 ? 7 : 0, "core 1");
        EXPECT_INT(reload(server, &config, "core 0.spin_us", "8", &error), 0, error.text);
    }
    kit_server_end(server);
}

void reload_refuses_what_cannot_change_and_changes_nothing(void)
{
    if (!kit_server_possible(1)) {
        return;
    }
    struct gyr_config config = kit_server_config(1);
    char address[128];
    struct gyr_server *server = kit_server_start(&config, &SERVICE, "127.0.0.1:0", address);
    struct gyr_config wanted = config;
    struct gyr_error error;
    wanted.target_size_max = 16;
    EXPECT_INT(reload(server, &wanted, "recv_buffer_count", "64", &error), GYR_ERR_CONFIG, "fixed");
    EXPECT(strstr(error.text, "--set: recv_buffer_count = 64 cannot change") != NULL, error.text);
    EXPECT(strstr(error.text, "recv_buffer_count = 16") != NULL, error.text);
    EXPECT_INT(reload(server, &wanted, "core 0.cpu", "0", &error), GYR_ERR_CONFIG, "fixed");
    EXPECT(strstr(error.text, "--set: core 0: cpu = 0 cannot change") != NULL, error.text);
    EXPECT_INT(reload(server, &wanted, "core 1.spin_us", "5", &error), GYR_ERR_CONFIG, "no core 1");
    EXPECT(strstr(error.text, "--set: core 1: spin_us = 5") != NULL, error.text);
    EXPECT_INT(reload(server, &wanted, "send_queue_low", "2m", &error), GYR_ERR_CONFIG, "relation");
    EXPECT(strstr(error.text, "send_queue_low = 2m (--set)") != NULL, error.text);
    wait_for_core(server, 0);
    EXPECT(answers(address, " 200 OK"), "as before");
    kit_server_end(server);
}

void reload_wants_a_server_that_runs(void)
{
    if (!kit_server_possible(1)) {
        return;
    }
    struct gyr_config config = kit_server_config(1);
    struct gyr_server *server;
    struct gyr_error error;
    CU_ASSERT_FATAL(gyr_server_create(&config, &SERVICE, &server, &error) == 0);
    EXPECT_INT(reload(server, &config, NULL, NULL, &error), GYR_ERR_STATE, "before the start");
    EXPECT(error.text[0] != '\0', "with a line");
    CU_ASSERT_FATAL(gyr_server_start(server, &error) == 0);
    EXPECT_INT(reload(server, &config, NULL, NULL, &error), 0, error.text);
    gyr_server_stop(server);
    gyr_server_wait(server);
    EXPECT_INT(reload(server, &config, NULL, NULL, &error), GYR_ERR_STATE, "after the end");
    EXPECT(strstr(error.text, "ended") != NULL, error.text);
    gyr_server_destroy(server);
}

/* Every field is either taken over or compared, by what the table says of it. */
void reload_copies_what_the_table_marks(void)
{
    struct gyr_config from;
    struct gyr_config to;
    memset(&from, 1, sizeof(from));
    memset(&to, 2, sizeof(to));
    config_reload(&to, &from);
    const struct config_field *field;
    for (unsigned i = 0; (field = config_field_at(i)) != NULL; i++) {
        const char *bytes = (const char *)&to + field->offset;
        EXPECT_INT(bytes[0], (field->flags & CONFIG_F_LIVE) != 0 ? 1 : 2, field->name);
        EXPECT_INT(bytes[field->width - 1], bytes[0], field->name);
    }
    EXPECT_INT(to.size, UINT64_C(0x0202020202020202), "nor anything else");
}

void reload_shorter_limits_hold_for_connections_that_are_there(void)
{
    struct kit kit;
    kit_begin(&kit);
    KIT_INPUT(&kit, KIT_GET("/"));
    kit_forget(&kit);
    kit_advance(&kit, 500);
    struct gyr_config wanted = kit.config;
    wanted.keep_alive_timeout_ms = 1000;
    config_reload(&kit.config, &wanted);
    core_config_changed(kit.core);
    kit_advance(&kit, 499);
    EXPECT(!kit_is_ended(&kit), "not yet");
    kit_advance(&kit, 2);
    EXPECT(kit_is_ended(&kit), "by the new limit");
    kit_end(&kit);
}

/* What has begun under larger limits must not run past the smaller ones unseen. */
void reload_smaller_limits_end_what_has_passed_them(void)
{
    static const char begin[] =
        "GET /target HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n";
    for (size_t size = 1; size < sizeof(begin); size++) {
        for (unsigned fields = 0; fields < 2; fields++) {
            struct kit kit;
            kit_begin(&kit);
            kit_input(&kit, begin, size);
            EXPECT_INT(kit_output(&kit).size, 0, "it is well so far");
            struct gyr_config wanted = kit.config;
            wanted.field_count_max = fields ? 2 : 100;
            wanted.head_size_max = fields ? 4096 : 30;
            wanted.target_size_max = 20;
            config_reload(&kit.config, &wanted);
            core_config_changed(kit.core);
            kit_input(&kit, begin + size, sizeof(begin) - 1 - size);
            KIT_INPUT(&kit, "E: 5\r\n\r\n");
            struct span out = kit_output(&kit);
            EXPECT(memmem(out.ptr, out.size, " 431 ", 5) != NULL, "431");
            EXPECT(kit_is_ended(&kit), "and close");
            kit_end(&kit);
        }
    }
    struct kit kit;
    kit_begin(&kit);
    kit_open(&kit);
    KIT_FRAME(&kit, 0x02, "12345"); /* a fragment */
    kit.config.message_size_max = 4;
    core_config_changed(kit.core);
    KIT_FRAME(&kit, 0x80, "6");
    EXPECT_OUTPUT(&kit, "\x88\x02\x03\xf1", "1009");
    kit_end(&kit);
}

/* ---- any limits at any time ---- */

static uint32_t dice(uint32_t *state, uint32_t below)
{
    *state = *state * 1664525 + 1013904223;
    return (uint32_t)(((uint64_t)*state * below) >> 32);
}

/* Other values for some of what can be reloaded, as a check lets them pass. */
static void reload_at_random(struct kit *kit, uint32_t *state)
{
    struct gyr_config wanted = kit->config;
    const struct config_field *field;
    for (unsigned i = 0; (field = config_field_at(i)) != NULL; i++) {
        if ((field->flags & CONFIG_F_LIVE) == 0 || config_field_is_text(field) ||
            strcmp(field->name, "spin_us") == 0 || /* the kit's time stands still */
            dice(state, 3) != 0) {
            continue;
        }
        uint64_t few = MIN(field->min + dice(state, 300), field->max);
        const uint64_t values[] = {field->min, field->max, field->standard, few, few};
        config_field_store(field, &wanted, values[dice(state, COUNT_OF(values))]);
    }
    if (config_check(&wanted, NULL) == 0) {
        config_reload(&kit->config, &wanted);
        core_config_changed(kit->core);
    }
}

static void input_at_random(struct kit *kit, uint32_t *state, bool websocket)
{
    static const char http[] = KIT_GET("/a?b") "POST / HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d\r\n"
                                               "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"
                                               "\r\n" KIT_GET("/");
    uint8_t frame[4096 + 16];
    char payload[4096] = "";
    size_t size = websocket ? kit_frame(frame, (uint8_t)(dice(state, 4) == 0 ? 0x89 : 0x82),
                                        payload, dice(state, 4) == 0 ? dice(state, 4096) : 20)
                            : sizeof(http) - 1;
    const uint8_t *bytes = websocket ? frame : (const uint8_t *)http;
    for (size_t at = 0; at < size && !kit_is_ended(kit);) {
        size_t piece = 1 + dice(state, dice(state, 2) ? 40 : 5000);
        piece = MIN(piece, size - at);
        kit_input(kit, bytes + at, piece);
        at += piece;
        if (dice(state, 3) == 0) {
            reload_at_random(kit, state);
        }
        if (dice(state, 20) == 0) {
            kit_advance(kit, dice(state, 400));
        }
    }
}

void reload_survives_any_limits_at_any_time(void)
{
    unsigned messages = 0;
    unsigned requests = 0;
    for (uint32_t seed = 1; seed <= 300; seed++) {
        uint32_t state = seed * 2654435761U;
        struct kit kit;
        kit_init(&kit);
        kit.quiet = true;
        kit_start(&kit);
        for (unsigned i = 0; i < 10; i++) {
            bool websocket = dice(&state, 2) == 0;
            kit_connect(&kit);
            if (websocket) {
                KIT_INPUT(&kit, KIT_UPGRADE_WITH(""));
            }
            for (unsigned k = 0; k < 5 && !kit_is_ended(&kit); k++) {
                kit_room(&kit, dice(&state, 3) == 0 ? dice(&state, 100) : SIZE_MAX);
                input_at_random(&kit, &state, websocket);
            }
            kit_room(&kit, SIZE_MAX);
        }
        messages += kit.counts[KIT_MESSAGE];
        requests += kit.counts[KIT_REQUEST];
        kit.config.shutdown_deadline_ms = 1000;
        kit_end(&kit); /* which looks for what is left behind */
    }
    EXPECT(messages > 1000 && requests > 3000, "and most of it is served");
}
