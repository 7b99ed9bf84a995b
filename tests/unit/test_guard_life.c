/* SPDX-License-Identifier: MIT */
/* The policies of a public server over the life of a connection: what one request, one rate or one
 * configuration leaves behind for the next. */
#include "engine/guard.h"

#include "engine/config.h"
#include "tests/engine_kit.h"
#include "tests/http_kit.h"
#include "tests/parser_kit.h"
#include "tests/run_tests.h"

#include <CUnit/CUnit.h>

static void set(struct kit *kit, const char *name, const char *value)
{
    struct gyr_error error = {""};
    EXPECT_INT(gyr_config_set(&kit->config, name, value, &error), 0, error.text);
}

static void reload(struct kit *kit, const char *name, const char *value)
{
    set(kit, name, value);
    core_config_changed(kit->core);
    kit_run(kit);
}

static bool answered(struct kit *kit, const char *status_code)
{
    struct span output = kit_output(kit);
    return output.size >= 12 && memcmp(output.ptr, "HTTP/1.1 ", 9) == 0 &&
           memcmp(output.ptr + 9, status_code, 3) == 0;
}

/* ---- rates ---- */

static void opened(struct kit *kit, const char *name, const char *value, const char *action)
{
    kit_init(kit);
    kit->service.on_log = kit_on_log;
    kit->service.user = kit;
    set(kit, name, value);
    set(kit, "message_burst_max", "1");
    set(kit, "byte_burst_max", "1k");
    set(kit, "rate_action", action);
    kit_start(kit);
    kit_open(kit);
}

void guard_rate_that_is_exceeded_is_told_once(void)
{
    struct kit kit;
    char payload[2000] = "";
    opened(&kit, "byte_rate_max", "1000", "close");
    kit_input_frame(&kit, 0x82, payload, sizeof(payload));
    EXPECT_OUTPUT(&kit, "\x88\x02\x03\xf0", "Close 1008");
    EXPECT(kit_line_has(&kit, "websocket.failed"), "told");
    for (unsigned i = 0; i < 3; i++) {
        kit_input_frame(&kit, 0x82, payload, sizeof(payload));
    }
    EXPECT(!kit_line_has(&kit, "websocket.failed"), "what was on its way is no news");
    EXPECT_INT(kit.core->stats.rate_limited, 1, "counted once");
    EXPECT_INT(kit_output(&kit).size, 0, "nor answered again");
    kit_input_frame(&kit, 0x88, "\x03\xf0", 2);
    EXPECT(kit_is_ended(&kit), "closed");
    EXPECT_INT(kit.counts[KIT_CLOSE], 1, "once");
    kit_end(&kit);
}

void guard_rate_does_not_hold_up_the_closing_handshake(void)
{
    static const char *const rates[] = {"byte_rate_max", "message_rate_max"};
    for (size_t i = 0; i < COUNT_OF(rates); i++) {
        for (unsigned late = 0; late < 2; late++) {
            struct kit kit;
            char payload[2000] = "";
            opened(&kit, rates[i], "1", "pause");
            kit_input_frame(&kit, 0x82, payload, sizeof(payload));
            kit_input_frame(&kit, 0x82, payload, sizeof(payload));
            EXPECT_INT(kit.core->stats.rate_limited, 1, "paused");
            unsigned messages = kit.counts[KIT_MESSAGE];
            if (late == 0) {
                kit_input_frame(&kit, 0x88, "\x03\xe8", 2);
                EXPECT_INT(kit.counts[KIT_CLOSE], 0, "its Close waits with the rest");
            }
            EXPECT_INT(gyr_close(kit_conn(&kit), 1000, (struct gyr_span){0}), 0, "ours");
            kit_run(&kit);
            if (late != 0) {
                kit_input_frame(&kit, 0x82, payload, sizeof(payload));
                kit_input_frame(&kit, 0x88, "\x03\xe8", 2);
            }
            EXPECT_INT(kit.counts[KIT_CLOSE], 1, "it is found at once");
            EXPECT_INT(kit.counts[KIT_MESSAGE], messages, "and nothing else is handed over");
            EXPECT(kit_is_ended(&kit), "in order");
            EXPECT_INT(kit.core->stats.timeouts, 0, "without a time limit");
            kit_end(&kit);
        }
    }
}

void guard_reload_ends_the_waits_of_an_old_rate(void)
{
    static const char *const rates[] = {"byte_rate_max", "message_rate_max"};
    for (size_t i = 0; i < COUNT_OF(rates); i++) {
        struct kit kit;
        char payload[2000] = "";
        opened(&kit, rates[i], "1", "pause");
        for (unsigned k = 0; k < 4; k++) {
            kit_input_frame(&kit, 0x82, payload, sizeof(payload));
        }
        EXPECT(kit.counts[KIT_MESSAGE] < 4, "it waits, for hours");
        reload(&kit, rates[i], i == 0 ? "0" : "1000000");
        kit_advance(&kit, 10);
        EXPECT_INT(kit.counts[KIT_MESSAGE], 4, "no longer");
        kit_end(&kit);
    }
}

void guard_reload_of_the_rate_of_lines_does_not_silence_the_log(void)
{
    struct kit kit;
    kit_init(&kit);
    kit.service.on_log = kit_on_log;
    kit.service.user = &kit;
    set(&kit, "access_log", "1");
    kit_start(&kit);
    kit_advance(&kit, 100000);
    kit_connect(&kit);
    KIT_INPUT(&kit, KIT_GET("/a"));
    EXPECT(kit_line_has(&kit, "target=/a"), "at the larger rate");
    reload(&kit, "log_rate_max", "10");
    kit_advance(&kit, 1000);
    kit_line_has(&kit, "");
    KIT_INPUT(&kit, KIT_GET("/b"));
    EXPECT(kit_line_has(&kit, "target=/b"), "at the smaller rate");
    EXPECT_INT(kit.core->stats.log_dropped, 0, "none was dropped");
    kit_end(&kit);
}

/* ---- clients that share a connection of their proxy ---- */

static void shared(struct kit *kit)
{
    kit_init(kit);
    kit->service.on_log = kit_on_log;
    kit->service.user = kit;
    set(kit, "trusted_proxies", "192.0.2.1");
    set(kit, "forwarded", "x-forwarded-for");
    set(kit, "access_log", "1");
    kit_start(kit);
    kit_connect(kit);
}

#define GET_OF(client) "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: " client "\r\n\r\n"

void guard_client_of_one_request_is_not_that_of_the_next(void)
{
    static const struct {
        const char *why;
        const char *request;
    } rows[] = {
        {"no client named", KIT_GET("/")},
        {"malformed", "GET /\n\n"},
        {"a method that is not offered", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"a host that is not served", "GET / HTTP/1.1\r\nHost: b\r\n\r\n"},
        {"a malformed field", "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: ?\r\n\r\n"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kit kit;
        shared(&kit);
        reload(&kit, "hosts", "a");
        KIT_INPUT(&kit, GET_OF("198.51.100.7"));
        EXPECT(kit_line_has(&kit, "client=198.51.100.7 "), "the first");
        kit_input(&kit, rows[i].request, strlen(rows[i].request));
        EXPECT(kit.lines.size != 0, rows[i].why);
        EXPECT(!kit_line_has(&kit, "198.51.100.7"), rows[i].why);
        kit_end(&kit);
    }
}

void guard_client_is_named_for_requests_that_are_refused(void)
{
    struct kit kit;
    shared(&kit);
    reload(&kit, "hosts", "a");
    KIT_INPUT(&kit, "GET / HTTP/1.1\r\nHost: b\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n");
    EXPECT(answered(&kit, "421"), "its host is not served");
    EXPECT(kit_line_has(&kit, "client=198.51.100.7 "), "but the operator can see who asks");
    kit_end(&kit);
}

void guard_client_is_that_of_the_proxy_when_its_word_is_no_longer_taken(void)
{
    struct kit kit;
    shared(&kit);
    KIT_INPUT(&kit, GET_OF("198.51.100.7"));
    reload(&kit, "forwarded", "none");
    kit_line_has(&kit, "");
    KIT_INPUT(&kit, GET_OF("198.51.100.8"));
    EXPECT(kit_line_has(&kit, "client=192.0.2.1:"), "nobody else is known");
    kit_end(&kit);
}

static int deny(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)kit;
    (void)event;
    return gyr_respond_text(conn, 401, "text/plain", GYR_SPAN("no"));
}

void guard_handshakes_that_are_denied_are_not_counted_on(void)
{
    static const uint8_t secret[16] = "sixteen bytes..";
    static const char UPGRADE[] = KIT_UPGRADE_WITH("X-Forwarded-For: 198.51.100.7\r\n");
    static const char OTHER[] = KIT_UPGRADE_WITH("X-Forwarded-For: 198.51.100.8\r\n");
    struct address_table *table = NULL;
    struct kit kit;
    EXPECT_INT(address_table_create(secret, &table), 0, "made");
    kit_init(&kit);
    kit.addresses = table;
    set(&kit, "trusted_proxies", "192.0.2.1");
    set(&kit, "forwarded", "x-forwarded-for");
    set(&kit, "address_connections_max", "1");
    kit_start(&kit);
    kit_connect(&kit);
    int proxy = kit.fd;
    kit.hooks[KIT_REQUEST] = deny;
    KIT_INPUT(&kit, UPGRADE);
    EXPECT(answered(&kit, "401"), "denied by the service");
    EXPECT_INT(address_table_size(table).address_count, 0, "it has no WebSocket");
    kit.hooks[KIT_REQUEST] = NULL;
    kit_connect(&kit);
    KIT_INPUT(&kit, UPGRADE);
    EXPECT(answered(&kit, "101"), "so it may have one");
    kit.fd = proxy;
    kit_forget(&kit);
    KIT_INPUT(&kit, OTHER);
    EXPECT(answered(&kit, "101"), "and on the first connection another client");
    EXPECT_INT(address_table_size(table).address_count, 2, "each is counted as itself");
    kit_connect(&kit);
    KIT_INPUT(&kit, OTHER);
    EXPECT(answered(&kit, "503"), "which has no other");
    kit_end(&kit);
    EXPECT_INT(address_table_size(table).address_count, 0, "all have left");
    address_table_destroy(table);
}

/* ---- logs ---- */

/* All but a few bytes of the heap are taken before the request fails. */
static int fail_without_memory(struct kit *kit, struct gyr_conn *conn,
                               const struct kit_event *event)
{
    (void)conn;
    (void)event;
    size_t *size = kit->context;
    *size = (size_t)(kit->config.core_heap_size_max - heap_used(kit->core->heap)) - 64;
    void **ballast = (void **)(void *)(size + 1);
    *ballast = heap_alloc(kit->core->heap, *size);
    return GYR_ERR_HTTP_NOT_FOUND;
}

void guard_access_log_knows_an_answer_that_was_not_written(void)
{
    struct {
        size_t size;
        void *ballast;
    } taken;
    struct kit kit;
    kit_init(&kit);
    kit.service.on_log = kit_on_log;
    kit.service.user = &kit;
    kit.context = &taken;
    set(&kit, "access_log", "1");
    set(&kit, "core_heap_size_max", "64k");
    kit_start(&kit);
    kit_connect(&kit);
    kit_room(&kit, 0);
    KIT_INPUT(&kit, KIT_GET("/first"));
    kit_forget(&kit);
    kit.hooks[KIT_REQUEST] = fail_without_memory;
    KIT_INPUT(&kit, KIT_GET("/lost"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(taken.ballast);
    heap_free(kit.core->heap, taken.ballast, taken.size);
    EXPECT_LOG(&kit, "request GET /lost\ndone aborted\n", "nothing is on its way");
    EXPECT(kit_line_has(&kit, "target=/lost status=0 size=0 duration_ms=0 outcome=unanswered"),
           "as the log says");
    kit_end(&kit);
}
