/* SPDX-License-Identifier: MIT */
/* Any policies, any input, any answers, any end, and other policies meanwhile: whatever happens,
 * nothing is left behind, and nothing that waits for a rate waits for ever. */
#include "engine/guard.h"

#include "engine/config.h"
#include "tests/engine_kit.h"
#include "tests/http_kit.h"
#include "tests/parser_kit.h"
#include "tests/run_tests.h"

#define PROXY_FIXED     "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"
#define PROXY_ADDRESSES "\xc6\x33\x64\x07\xcb\x00\x71\x01\x9c\x40\x01\xbb"
#define PROXY_IPV4      PROXY_FIXED PROXY_ADDRESSES

static uint32_t dice(uint32_t *state, uint32_t below)
{
    *state = *state * 1664525 + 1013904223;
    return (uint32_t)(((uint64_t)*state * below) >> 32);
}

struct policy_values {
    const char *name;
    const char *values[4];
};

static const struct policy_values policies[] = {
    {"server_connections_max", {"0", "0", "6", "20"}},
    {"address_connections_max", {"0", "1", "2", "5"}},
    {"upgrade_rate_max", {"0", "1", "10", "1000"}},
    {"message_rate_max", {"0", "0", "5", "1000"}},
    {"message_burst_max", {"1", "3", "100", "100"}},
    {"byte_rate_max", {"0", "0", "500", "100000"}},
    {"byte_burst_max", {"1k", "1k", "4k", "1m"}},
    {"rate_action", {"close", "pause", "pause", "pause"}},
    {"body_rate_min", {"0", "1", "128", "100000"}},
    {"hosts", {"", "", "a", "*.a a"}},
    {"origins", {"", "", "*", "http://b"}},
    {"trusted_proxies", {"", "192.0.2.1", "192.0.2.1", "192.0.2.0/24 198.51.100.7"}},
    {"proxy_protocol", {"0", "0", "1", "1"}},
    {"forwarded", {"none", "forwarded", "x-forwarded-for", "x-forwarded-for"}},
    {"log_level", {"off", "info", "debug", "debug"}},
    {"log_rate_max", {"1", "10", "100000", "100000"}},
    {"access_log", {"0", "1", "1", "1"}},
    {"pause_size_max", {"0", "100", "10000", "256k"}},
    {"heartbeat_interval_ms", {"0", "50", "1000", "0"}},
    {"idle_timeout_ms", {"0", "0", "500", "3000"}},
    {"lifetime_max_ms", {"0", "0", "0", "2000"}},
    {"recv_scratch_threshold", {"0", "8k", "64", "512"}},
};

static void policies_at_random(struct kit *kit, uint32_t *state, uint32_t of)
{
    for (size_t i = 0; i < COUNT_OF(policies); i++) {
        struct gyr_error error = {""};
        const char *value = policies[i].values[dice(state, 4)];
        if (dice(state, of) == 0) {
            EXPECT_INT(gyr_config_set(&kit->config, policies[i].name, value, &error), 0,
                       error.text);
        }
    }
}

/* A response in one piece, in several, or of which the end comes later. */
static int respond(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    uint32_t *state = kit->context;
    if (gyr_request_is_upgrade(event->request)) {
        const struct gyr_upgrade upgrade = {.size = sizeof(upgrade),
                                            .receive_parts = dice(state, 2) != 0};
        return dice(state, 4) != 0 ? gyr_upgrade(conn, &upgrade) : GYR_ERR_HTTP_NOT_FOUND;
    }
    const struct gyr_response response = {.size = sizeof(response), .status_code = 200};
    if (dice(state, 3) != 0) {
        return kit_default(kit, conn, event);
    }
    int err = gyr_respond_begin(conn, &response);
    if (err == 0 && dice(state, 2) != 0) {
        err = gyr_respond_part(conn, GYR_SPAN("some of it"));
    }
    if (err >= 0 && dice(state, 2) != 0) {
        err = gyr_respond_end(conn);
    }
    return dice(state, 3) == 0 ? GYR_PENDING : err;
}

static enum kit_act choose(struct kit *kit, enum kit_call call)
{
    uint32_t *state = kit->context;
    if (call == KIT_CLOSE || call == KIT_DONE || dice(state, 4) != 0) {
        return KIT_DEFAULT;
    }
    return (enum kit_act)dice(state, KIT_ACTS);
}

/* Some of these bytes, which may make sense to whom they come. */
static void input_at_random(struct kit *kit, uint32_t *state)
{
    static const struct {
        const char *bytes;
        size_t size;
    } inputs[] = {
#define INPUT(text) {(text), sizeof(text) - 1}
        INPUT(KIT_GET("/")),
        INPUT(PROXY_IPV4),
        INPUT(PROXY_IPV4 KIT_GET("/a?b") KIT_GET("/c")),
        INPUT("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n"),
        INPUT(KIT_UPGRADE_WITH("X-Forwarded-For: 198.51.100.8\r\n")),
        INPUT(KIT_UPGRADE_WITH("Origin: http://b\r\nForwarded: for=198.51.100.9\r\n")),
        INPUT(PROXY_IPV4 KIT_UPGRADE_WITH("")),
        INPUT("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n0123456789"),
        INPUT("0123456789"),
        INPUT("GET /\n\n"),
        INPUT("\x81\x82\0\0\0\0hi"),
        INPUT("\x81\x82\0\0\0\0hi\x89\x81\0\0\0\0p\x01\x81\0\0\0\0a\x80\x81\0\0\0\0b"),
        INPUT("\x82\xfe\x04\x00\0\0\0\0"),
        INPUT("\x88\x82\0\0\0\0\x03\xe8"),
#undef INPUT
    };
    static const char zeros[1024] = "";
    size_t which = dice(state, COUNT_OF(inputs) + 1);
    const char *bytes = which < COUNT_OF(inputs) ? inputs[which].bytes : zeros;
    size_t size = which < COUNT_OF(inputs) ? inputs[which].size : sizeof(zeros);
    if (!kit_is_closed(kit)) {
        kit_input_steps(kit, bytes, size, dice(state, 2) != 0 ? size : 1 + dice(state, 60));
    }
}

/* One of the things a peer or a service may do next; on whichever connection is kit->fd. */
static void step(struct kit *kit, uint32_t *state, int first, int last)
{
    struct gyr_conn *conn = kit_is_closed(kit) ? NULL : kit_conn(kit);
    switch (kit_is_ended(kit) && dice(state, 8) == 0 ? 0 : dice(state, 40)) {
    case 0:
        kit->peer = address_ipv4((const uint8_t[]){192, 0, 2, (uint8_t)(1 + dice(state, 3))}, 0);
        kit_connect(kit);
        break;
    case 1:
        kit_advance(kit, dice(state, dice(state, 2) ? 5000 : 100));
        break;
    case 2:
        policies_at_random(kit, state, 3);
        core_config_changed(kit->core);
        kit_run(kit);
        break;
    case 3:
        kit_room(kit, dice(state, 2) != 0 ? SIZE_MAX : dice(state, 200));
        break;
    case 4:
    case 7:
        if (!kit_is_closed(kit)) {
            (dice(state, 2) != 0 ? kit_reset : kit_end_of_stream)(kit);
        }
        break;
    case 8:
    case 9:
    case 10:
        kit->fd = first + (int)dice(state, (uint32_t)(last - first) + 1);
        break;
    case 5:
        if (conn != NULL) {
            (dice(state, 2) != 0 ? gyr_resume : gyr_pause)(conn);
            kit_run(kit);
        }
        break;
    case 6:
        if (conn != NULL) {
            (void)!gyr_respond_end(conn);
            (void)gyr_finish(conn, dice(state, 3) == 0 ? GYR_ERR_LIMIT : 0);
            kit_run(kit);
        }
        break;
    default:
        input_at_random(kit, state);
        break;
    }
}

void guard_leaves_nothing_behind_whatever_happens(void)
{
    static const uint8_t secret[16] = "sixteen bytes..";
    unsigned requests = 0;
    unsigned opens = 0;
    unsigned limited = 0;
    for (uint32_t seed = 1; seed <= 400; seed++) {
        uint32_t state = seed * 2654435761U;
        struct address_table *table = NULL;
        EXPECT_INT(address_table_create(secret, &table), 0, "made");
        struct kit kit;
        kit_init(&kit);
        kit.quiet = true;
        kit.choose = choose;
        kit.hooks[KIT_REQUEST] = dice(&state, 2) != 0 ? respond : NULL;
        kit.context = &state;
        kit.fail_result = GYR_ERR_LIMIT;
        kit.addresses = table;
        kit.service.on_log = dice(&state, 4) != 0 ? kit_on_log : NULL;
        kit.service.user = &kit;
        kit.config.connections_max = 20;
        kit.config.header_timeout_ms = 1000;
        kit.config.keep_alive_timeout_ms = 1000;
        kit.config.handshake_timeout_ms = 3000;
        kit.config.core_heap_size_max = dice(&state, 3) == 0 ? 65536 : 1 << 24;
        policies_at_random(&kit, &state, 2);
        kit_start(&kit);
        kit_connect(&kit);
        int first = kit.fd;
        int last = first;
        for (unsigned i = 0; i < 1000 && last < first + 100; i++) {
            step(&kit, &state, first, last);
            last = MAX(last, kit.fd);
            (void)kit_line_has(&kit, "");
        }
        requests += kit.counts[KIT_REQUEST];
        opens += kit.counts[KIT_OPEN];
        limited += (unsigned)kit.core->stats.limited;
        kit_room(&kit, SIZE_MAX);
        kit.config.shutdown_deadline_ms = dice(&state, 2) * 1000;
        kit_end(&kit); /* which looks for heap, exchanges and descriptors */
        EXPECT_INT(address_table_size(table).address_count, 0, "all have left");
        address_table_destroy(table);
    }
    EXPECT(requests > 1000 && opens > 200 && limited > 200, "all of it was tried");
}

static int wait_at_random(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)event;
    uint32_t *state = kit->context;
    switch (dice(state, 12)) {
    case 0:
        gyr_pause(conn);
        return 0;
    case 1:
        return GYR_PENDING;
    case 2:
        return GYR_QUEUE_HIGH;
    default:
        return 0;
    }
}

/* Rates, pauses, pending results and full queues end each other's waits in no order. */
void guard_rate_pause_never_waits_for_ever(void)
{
    unsigned paused = 0;
    for (uint32_t seed = 1; seed <= 300; seed++) {
        uint32_t state = seed * 2654435761U;
        struct kit kit;
        struct gyr_error error = {""};
        kit_init(&kit);
        kit.quiet = true;
        kit.context = &state;
        kit.hooks[KIT_MESSAGE] = wait_at_random;
        static const char *const settings[][2] = {
            {"rate_action", "pause"},    {"message_burst_max", "3"},
            {"byte_burst_max", "1k"},    {"byte_rate_max", "20000"},
            {"message_rate_max", "100"}, {"pause_size_max", "300"},
            {"close_timeout_ms", "100"}, {"recv_scratch_threshold", "64"},
        };
        for (size_t i = 0; i < COUNT_OF(settings); i++) {
            EXPECT_INT(gyr_config_set(&kit.config, settings[i][0], settings[i][1], &error), 0,
                       error.text);
        }
        kit.config.message_rate_max *= dice(&state, 2);
        kit.config.byte_rate_max *= dice(&state, 2);
        kit_start(&kit);
        kit_open(&kit);
        unsigned sent = 0;
        for (unsigned i = 0; i < 60; i++) {
            uint8_t frames[4 * 1024];
            char payload[1000] = "";
            size_t size = 0;
            for (unsigned k = dice(&state, 3) + 1; k > 0; k--) {
                size_t payload_size = dice(&state, dice(&state, 3) == 0 ? 1000 : 20);
                size += kit_frame(frames + size, 0x82, payload, payload_size);
                sent++;
            }
            kit_input_steps(&kit, frames, size, dice(&state, 2) ? size : 1 + dice(&state, 300));
            if (dice(&state, 3) == 0) {
                kit_advance(&kit, dice(&state, 50));
            }
            if (dice(&state, 2) == 0) {
                gyr_resume(kit_conn(&kit));
                (void)gyr_finish(kit_conn(&kit), 0);
                kit_run(&kit);
            }
        }
        for (unsigned i = 0; i < 5000 && kit.counts[KIT_MESSAGE] < sent; i++) {
            gyr_resume(kit_conn(&kit));
            (void)gyr_finish(kit_conn(&kit), 0);
            kit_advance(&kit, 50);
        }
        paused += (unsigned)kit.core->stats.rate_limited;
        EXPECT_INT(kit.counts[KIT_MESSAGE], sent, "every message in the end");
        kit_end(&kit);
    }
    EXPECT(paused > 300, "and there were rates that waited");
}

static void answer_at_random(struct kit *kit, struct gyr_conn *conn)
{
    uint32_t *state = kit->context;
    if (dice(state, 2) == 0) {
        (void)!gyr_respond_text(conn, 200, "text/plain", GYR_SPAN("ok"));
        return;
    }
    const struct gyr_response response = {.size = sizeof(response), .status_code = 200};
    if (gyr_respond_begin(conn, &response) == 0 && dice(state, 2) == 0) {
        (void)!gyr_respond_part(conn, GYR_SPAN("ok"));
    }
}

static int request_at_random(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    uint32_t *state = kit->context;
    if (gyr_request_content_length(event->request) == 0 || dice(state, 4) == 0) {
        answer_at_random(kit, conn);
    }
    if (dice(state, 6) == 0) {
        gyr_pause(conn);
    }
    return dice(state, 6) == 0 ? GYR_PENDING : 0;
}

static int body_at_random(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    uint32_t *state = kit->context;
    if (event->last && dice(state, 4) != 0) {
        answer_at_random(kit, conn);
    }
    if (dice(state, 12) == 0) {
        gyr_pause(conn);
    }
    return event->last || dice(state, 12) == 0 ? GYR_PENDING : 0;
}

/* Whatever the service owes: an answer, its end, a result. */
static void settle(struct kit *kit)
{
    struct gyr_conn *conn = kit_conn(kit);
    if (conn == NULL) {
        return;
    }
    gyr_resume(conn);
    (void)!gyr_respond_end(conn);
    if (conn->state == EXCHANGE_REQUEST && (conn->flags & EXCHANGE_F_BODY) == 0) {
        (void)!gyr_respond_text(conn, 200, "text/plain", GYR_SPAN("late"));
    }
    (void)gyr_finish(conn, 0);
    kit_run(kit);
}

void guard_rate_lets_every_request_be_answered(void)
{
    static const char GET[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    static const char POST[] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "5\r\nabcde\r\n3\r\nfgh\r\n0\r\n\r\n";
    unsigned paused = 0;
    for (uint32_t seed = 1; seed <= 300; seed++) {
        uint32_t state = seed * 2654435761U;
        struct kit kit;
        kit_init(&kit);
        kit.quiet = true;
        kit.context = &state;
        kit.hooks[KIT_REQUEST] = request_at_random;
        kit.hooks[KIT_BODY] = body_at_random;
        kit.config.byte_rate_max = 500;
        kit.config.byte_burst_max = 1024;
        kit.config.pause_size_max = 200;
        kit.config.send_queue_high = dice(&state, 2) ? 100 : kit.config.send_queue_high;
        kit.config.send_queue_low = MIN(kit.config.send_queue_low, kit.config.send_queue_high);
        kit.config.recv_scratch_threshold = dice(&state, 2) * 64;
        kit.config.keep_alive_timeout_ms = 100000000;
        kit.config.handshake_timeout_ms = 100000000;
        kit.config.header_timeout_ms = 100000000;
        kit.config.body_timeout_ms = 100000000;
        kit_start(&kit);
        kit_connect(&kit);
        unsigned sent = 0;
        for (unsigned i = 0; i < 30; i++) {
            char input[512];
            size_t size = 0;
            for (unsigned k = dice(&state, 3) + 1; k > 0; k--) {
                bool get = dice(&state, 2) == 0;
                memcpy(input + size, get ? GET : POST, (get ? sizeof(GET) : sizeof(POST)) - 1);
                size += (get ? sizeof(GET) : sizeof(POST)) - 1;
                sent++;
            }
            kit_input_steps(&kit, input, size, dice(&state, 2) ? size : 1 + dice(&state, 100));
            if (dice(&state, 3) == 0) {
                kit_advance(&kit, dice(&state, 100));
            }
            if (dice(&state, 2) == 0) {
                settle(&kit);
            }
        }
        for (unsigned i = 0; i < 20000 && kit.counts[KIT_DONE] < sent; i++) {
            settle(&kit);
            kit_advance(&kit, 50);
        }
        paused += (unsigned)kit.core->stats.rate_limited;
        EXPECT_INT(kit.counts[KIT_REQUEST], sent, "every request in the end");
        EXPECT_INT(kit.counts[KIT_DONE], sent, "is answered");
        EXPECT_INT(kit.core->stats.http_errors, 0, "by the service");
        kit_end(&kit);
    }
    EXPECT(paused > 300, "and there were rates that waited");
}
