/* SPDX-License-Identifier: MIT */
/* The policies of a public server, on a core whose peers are byte arrays: how many connections may
 * come, from whom, for whom, and how fast they may send. */
#include "engine/guard.h"

#include "tests/engine_kit.h"
#include "tests/http_kit.h"
#include "tests/parser_kit.h"
#include "tests/run_tests.h"

#include <errno.h>
#include <stdio.h>

#define PROXY_SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
/* From 198.51.100.7:40000 to 203.0.113.1:443. */
#define PROXY_IPV4  PROXY_SIGNATURE "\x21\x11\0\x0c\xc6\x33\x64\x07\xcb\x00\x71\x01\x9c\x40\x01\xbb"
#define PROXY_LOCAL PROXY_SIGNATURE "\x20\x00\0\0"
#define BYTES(text) (text), sizeof(text) - 1

static struct address ipv4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    return address_ipv4((const uint8_t[]){a, b, c, d}, 0);
}

static bool answered(struct kit *kit, const char *status_code)
{
    struct span output = kit_output(kit);
    return output.size >= 12 && memcmp(output.ptr, "HTTP/1.1 ", 9) == 0 &&
           memcmp(output.ptr + 9, status_code, 3) == 0;
}

static void set(struct kit *kit, const char *name, const char *value)
{
    struct gyr_error error = {""};
    EXPECT_INT(gyr_config_set(&kit->config, name, value, &error), 0, error.text);
}

static const char *client_of(struct kit *kit)
{
    static char text[64];
    gyr_client_address(kit_conn(kit), text);
    return text;
}

/* ---- connections ---- */

static struct address_table *table_make(void)
{
    static const uint8_t secret[16] = "sixteen bytes..";
    struct address_table *table = NULL;
    EXPECT_INT(address_table_create(secret, &table), 0, "made");
    return table;
}

void guard_server_connections_max_answers_503_beyond(void)
{
    struct kit kit;
    kit_init(&kit);
    set(&kit, "server_connections_max", "2");
    kit_start(&kit);
    kit_connect(&kit);
    kit_connect(&kit);
    int second = kit.fd;
    kit_connect(&kit);
    EXPECT(answered(&kit, "503"), "the third");
    EXPECT(kit_is_ended(&kit), "and the end of the stream");
    kit.fd = second;
    KIT_INPUT(&kit, KIT_GET("/"));
    EXPECT_OUTPUT(&kit, KIT_OK, "the others are served");
    kit_reset(&kit);
    kit_connect(&kit);
    KIT_INPUT(&kit, KIT_GET("/"));
    EXPECT_OUTPUT(&kit, KIT_OK, "there is a place again, though one is still being told");
    EXPECT_INT(kit.core->stats.limited, 1, "counted");
    kit_end(&kit);
}

void guard_address_connections_max_counts_each_address(void)
{
    struct address_table *table = table_make();
    struct kit kit;
    kit_init(&kit);
    kit.addresses = table;
    set(&kit, "address_connections_max", "2");
    kit_start(&kit);
    kit.peer = ipv4(192, 0, 2, 1);
    kit_connect(&kit);
    int first = kit.fd;
    kit_connect(&kit);
    kit_connect(&kit);
    EXPECT(answered(&kit, "503"), "the third of this address");
    kit.peer = ipv4(192, 0, 2, 2);
    kit_connect(&kit);
    KIT_INPUT(&kit, KIT_GET("/"));
    EXPECT_OUTPUT(&kit, KIT_OK, "another address has its own");
    kit.peer = ipv4(192, 0, 2, 1);
    kit.fd = first;
    kit_reset(&kit);
    kit_connect(&kit);
    KIT_INPUT(&kit, KIT_GET("/"));
    EXPECT_OUTPUT(&kit, KIT_OK, "one of them has gone");
    kit_connect(&kit);
    EXPECT(answered(&kit, "503"), "and only one");
    kit.peer = (struct address){.family = ADDRESS_LOCAL};
    for (unsigned i = 0; i < 4; i++) {
        kit_connect(&kit);
        EXPECT_INT(kit_output(&kit).size, 0, "Unix sockets have no address to be counted by");
    }
    kit_end(&kit);
    EXPECT_INT(address_table_size(table).address_count, 0, "all have left");
    address_table_destroy(table);
}

void guard_drops_who_was_reset_before_the_accept(void)
{
    struct kit kit;
    kit_init(&kit);
    set(&kit, "trusted_proxies", "192.0.2.9");
    kit_start(&kit);
    kit.peer = (struct address){.family = ADDRESS_NONE};
    kit_connect(&kit);
    EXPECT(kit_is_closed(&kit), "nobody can say whose request it would be");
    EXPECT_INT(kit.core->stats.refused, 1, "counted");
    EXPECT_INT(kit.core->stats.accepted, 0, "and not as accepted");
    EXPECT_INT(kit.core->load, 0, "as other cores see it");
    kit.peer = ipv4(192, 0, 2, 1);
    kit_connect(&kit);
    KIT_INPUT(&kit, KIT_GET("/"));
    EXPECT_OUTPUT(&kit, KIT_OK, "another is served");
    kit_end(&kit);
}

void guard_address_is_given_back_when_no_slot_is_left(void)
{
    struct address_table *table = table_make();
    struct kit kit;
    kit_init(&kit);
    kit.addresses = table;
    set(&kit, "address_connections_max", "100");
    set(&kit, "connections_max", "1");
    kit_start(&kit);
    kit_connect(&kit);
    kit.peer = ipv4(192, 0, 2, 2);
    kit_connect(&kit);
    EXPECT(answered(&kit, "503"), "no slot");
    EXPECT_INT(address_table_size(table).address_count, 1, "not counted");
    kit_end(&kit);
    address_table_destroy(table);
}

void guard_upgrade_rate_max_answers_503_until_time_has_passed(void)
{
    static const char UPGRADE[] = KIT_UPGRADE_WITH("");
    struct kit kit;
    kit_init(&kit);
    set(&kit, "upgrade_rate_max", "2");
    kit_start(&kit);
    for (unsigned i = 0; i < 3; i++) {
        kit_connect(&kit);
        KIT_INPUT(&kit, UPGRADE);
        EXPECT(answered(&kit, i < 2 ? "101" : "503"), "two at once");
    }
    kit_connect(&kit);
    KIT_INPUT(&kit, KIT_GET("/"));
    EXPECT_OUTPUT(&kit, KIT_OK, "other requests have no such limit");
    kit_advance(&kit, 500);
    for (unsigned i = 0; i < 2; i++) {
        kit_connect(&kit);
        KIT_INPUT(&kit, UPGRADE);
        EXPECT(answered(&kit, i < 1 ? "101" : "503"), "one more after half a second");
    }
    kit_end(&kit);
}

/* ---- PROXY header ---- */

static void proxied(struct kit *kit)
{
    kit_init(kit);
    set(kit, "trusted_proxies", "192.0.2.0/24");
    set(kit, "proxy_protocol", "1");
}

void guard_proxy_header_names_the_client(void)
{
    struct kit kit;
    proxied(&kit);
    kit_start(&kit);
    kit_connect(&kit);
    kit.acts[KIT_REQUEST] = KIT_PENDING;
    KIT_INPUT(&kit, PROXY_IPV4 KIT_GET("/"));
    EXPECT_INT(kit.counts[KIT_REQUEST], 1, "the request behind it");
    EXPECT(strcmp(client_of(&kit), "198.51.100.7:40000") == 0, client_of(&kit));
    kit_connect(&kit);
    KIT_INPUT(&kit, PROXY_LOCAL KIT_GET("/"));
    EXPECT(strncmp(client_of(&kit), "192.0.2.1:", 10) == 0, "the proxy speaks for itself");
    kit_end(&kit);
}

void guard_proxy_header_may_come_in_pieces(void)
{
    static const char INPUT[] = PROXY_IPV4 KIT_GET("/");
    for (size_t step = 1; step < sizeof(INPUT); step++) {
        struct kit kit;
        proxied(&kit);
        kit_start(&kit);
        kit_connect(&kit);
        kit_input_steps(&kit, BYTES(INPUT), step);
        EXPECT_OUTPUT(&kit, KIT_OK, "answered once");
        EXPECT_INT(kit.counts[KIT_REQUEST], 1, "asked once");
        kit_end(&kit);
    }
}

void guard_proxy_header_is_demanded_of_trusted_proxies(void)
{
    static const struct {
        const char *why;
        const char *bytes;
        size_t size;
    } rows[] = {
        {"a request instead", BYTES(KIT_GET("/"))},
        {"the text form", BYTES("PROXY TCP4 198.51.100.7 203.0.113.1 40000 443\r\n" KIT_GET("/"))},
        {"another version", BYTES(PROXY_SIGNATURE "\x11\x11\0\x0c............" KIT_GET("/"))},
        {"addresses cut short", BYTES(PROXY_SIGNATURE "\x21\x11\0\x08........" KIT_GET("/"))},
        {"a header twice", BYTES(PROXY_IPV4 PROXY_IPV4 KIT_GET("/"))},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kit kit;
        proxied(&kit);
        kit_start(&kit);
        kit_connect(&kit);
        kit_input(&kit, rows[i].bytes, rows[i].size);
        EXPECT(answered(&kit, "400"), rows[i].why);
        EXPECT(kit_is_ended(&kit), rows[i].why);
        EXPECT_INT(kit.counts[KIT_REQUEST], 0, rows[i].why);
        kit_end(&kit);
    }
}

void guard_proxy_header_is_refused_from_others(void)
{
    struct kit kit;
    proxied(&kit);
    kit_start(&kit);
    kit.peer = ipv4(198, 51, 100, 1);
    kit_connect(&kit);
    KIT_INPUT(&kit, PROXY_IPV4 KIT_GET("/"));
    EXPECT(answered(&kit, "400"), "whoever is not trusted cannot choose an address");
    EXPECT_INT(kit.counts[KIT_REQUEST], 0, "nor ask");
    kit_connect(&kit);
    KIT_INPUT(&kit, KIT_GET("/"));
    EXPECT_OUTPUT(&kit, KIT_OK, "and needs no header");
    kit_end(&kit);
}

void guard_proxy_header_has_the_time_of_a_head(void)
{
    struct kit kit;
    proxied(&kit);
    kit_start(&kit);
    kit_connect(&kit);
    kit_input(&kit, PROXY_IPV4, 20);
    kit_advance(&kit, kit.config.header_timeout_ms + 1);
    EXPECT(kit_is_ended(&kit), "closed");
    kit_connect(&kit);
    kit_input(&kit, PROXY_IPV4, 20);
    kit_end_of_stream(&kit);
    EXPECT(kit_is_closed(&kit), "a stream that ends within it is no request");
    EXPECT_INT(kit.counts[KIT_REQUEST], 0, "none");
    kit_end(&kit);
}

void guard_proxy_header_decides_whose_connection_it_is(void)
{
    struct address_table *table = table_make();
    struct kit kit;
    proxied(&kit);
    kit.addresses = table;
    set(&kit, "address_connections_max", "1");
    kit_start(&kit);
    kit_connect(&kit);
    KIT_INPUT(&kit, PROXY_IPV4 KIT_GET("/"));
    EXPECT_OUTPUT(&kit, KIT_OK, "the first of this client");
    kit_connect(&kit);
    KIT_INPUT(&kit, PROXY_IPV4 KIT_GET("/"));
    EXPECT(answered(&kit, "503"), "the second");
    for (unsigned i = 0; i < 3; i++) {
        kit_connect(&kit);
        KIT_INPUT(&kit, PROXY_LOCAL KIT_GET("/"));
        EXPECT_OUTPUT(&kit, KIT_OK, "the proxy itself is not counted");
    }
    kit_end(&kit);
    EXPECT_INT(address_table_size(table).address_count, 0, "all have left");
    address_table_destroy(table);
}

/* ---- Forwarded ---- */

void guard_forwarded_is_believed_of_trusted_proxies_only(void)
{
    static const struct {
        const char *why;
        const char *forwarded;
        const char *request;
        const char *client; /* without its port */
        uint8_t peer;       /* 192.0.2.<peer>; 1 is trusted */
    } rows[] = {
        {"RFC 7239", "forwarded", "Forwarded: for=198.51.100.7\r\n", "198.51.100.7", 1},
        {"with a port", "forwarded", "Forwarded: for=\"198.51.100.7:80\"\r\n", "198.51.100.7", 1},
        {"X", "x-forwarded-for", "X-Forwarded-For: 198.51.100.7\r\n", "198.51.100.7", 1},
        {"the last one counts", "x-forwarded-for", "X-Forwarded-For: 203.0.113.9, 198.51.100.7\r\n",
         "198.51.100.7", 1},
        {"the other field is no word", "forwarded", "X-Forwarded-For: 198.51.100.7\r\n",
         "192.0.2.1", 1},
        {"nobody is asked", "none", "Forwarded: for=198.51.100.7\r\n", "192.0.2.1", 1},
        {"not trusted", "forwarded", "Forwarded: for=198.51.100.7\r\n", "192.0.2.2", 2},
        {"not even if malformed", "forwarded", "Forwarded: ;;==\r\n", "192.0.2.2", 2},
        {"no field", "forwarded", "", "192.0.2.1", 1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kit kit;
        char request[256];
        kit_init(&kit);
        set(&kit, "trusted_proxies", "192.0.2.1");
        set(&kit, "forwarded", rows[i].forwarded);
        kit_start(&kit);
        kit.peer = ipv4(192, 0, 2, rows[i].peer);
        kit.acts[KIT_REQUEST] = KIT_PENDING;
        kit_connect(&kit);
        int size = snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n",
                            rows[i].request);
        kit_input(&kit, request, (size_t)size);
        EXPECT_INT(kit.counts[KIT_REQUEST], 1, rows[i].why);
        EXPECT(strncmp(client_of(&kit), rows[i].client, strlen(rows[i].client)) == 0, rows[i].why);
        kit_end(&kit);
    }
}

void guard_forwarded_must_be_well_formed(void)
{
    struct kit kit;
    kit_init(&kit);
    set(&kit, "trusted_proxies", "192.0.2.1");
    set(&kit, "forwarded", "forwarded");
    kit_start(&kit);
    kit_connect(&kit);
    KIT_INPUT(&kit, "GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=\"[::1\"\r\n\r\n" KIT_GET("/"));
    EXPECT(answered(&kit, "400"), "malformed");
    EXPECT_INT(kit.counts[KIT_REQUEST], 0, "not handled, nor what follows");
    EXPECT_INT(kit.core->stats.forbidden, 1, "counted");
    kit_end(&kit);
}

void guard_forwarded_clients_are_counted_when_they_upgrade(void)
{
    static const char UPGRADE[] = KIT_UPGRADE_WITH("X-Forwarded-For: 198.51.100.7\r\n");
    static const char OTHER[] = KIT_UPGRADE_WITH("X-Forwarded-For: 198.51.100.8\r\n");
    struct address_table *table = table_make();
    struct kit kit;
    kit_init(&kit);
    kit.addresses = table;
    set(&kit, "trusted_proxies", "192.0.2.1");
    set(&kit, "forwarded", "x-forwarded-for");
    set(&kit, "address_connections_max", "1");
    kit_start(&kit);
    for (unsigned i = 0; i < 3; i++) {
        kit_connect(&kit);
        KIT_INPUT(&kit, KIT_GET("/"));
        EXPECT_OUTPUT(&kit, KIT_OK, "connections of the proxy belong to nobody");
    }
    kit_connect(&kit);
    KIT_INPUT(&kit, UPGRADE);
    EXPECT(answered(&kit, "101"), "the first");
    kit_connect(&kit);
    KIT_INPUT(&kit, UPGRADE);
    EXPECT(answered(&kit, "503"), "the second");
    kit_connect(&kit);
    KIT_INPUT(&kit, OTHER);
    EXPECT(answered(&kit, "101"), "another client");
    kit_end(&kit);
    EXPECT_INT(address_table_size(table).address_count, 0, "all have left");
    address_table_destroy(table);
}

/* ---- origins and hosts ---- */

void guard_origin_decides_over_handshakes(void)
{
    static const struct {
        const char *why;
        const char *origins;
        const char *fields;
        const char *status_code;
    } rows[] = {
        {"no browser", "", "", "101"},
        {"its own host", "", "Origin: http://a\r\n", "101"},
        {"its own host over TLS at a proxy", "", "Origin: https://a\r\n", "101"},
        {"another host", "", "Origin: http://b\r\n", "403"},
        {"another port", "", "Origin: http://a:81\r\n", "403"},
        {"a sandbox", "", "Origin: null\r\n", "403"},
        {"listed", "http://b https://c", "Origin: https://c\r\n", "101"},
        {"listed with another scheme", "https://b", "Origin: http://b\r\n", "403"},
        {"the own host stays allowed", "https://b", "Origin: http://a\r\n", "101"},
        {"any", "*", "Origin: http://b\r\n", "101"},
        {"two fields", "*", "Origin: http://b\r\nOrigin: http://a\r\n", "403"},
        {"empty", "", "Origin: \r\n", "403"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kit kit;
        char request[512];
        kit_init(&kit);
        set(&kit, "origins", rows[i].origins);
        kit_start(&kit);
        kit_connect(&kit);
        int size = snprintf(request, sizeof(request),
                            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: "
                            "Upgrade\r\nSec-WebSocket-Key: " KIT_KEY
                            "\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
                            rows[i].fields);
        kit_input(&kit, request, (size_t)size);
        EXPECT(answered(&kit, rows[i].status_code), rows[i].why);
        EXPECT_INT(kit.counts[KIT_OPEN], rows[i].status_code[0] == '1', rows[i].why);
        kit_end(&kit);
    }
}

void guard_origin_does_not_matter_to_other_requests(void)
{
    struct kit kit;
    kit_begin(&kit);
    KIT_INPUT(&kit, "GET / HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\n\r\n");
    EXPECT_OUTPUT(&kit, KIT_OK, "that is for the service to judge");
    kit_end(&kit);
}

void guard_hosts_are_the_only_ones_served(void)
{
    static const struct {
        const char *why;
        const char *request;
        bool served;
    } rows[] = {
        {"listed", "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", true},
        {"in capitals", "GET / HTTP/1.1\r\nHost: A.Example\r\n\r\n", true},
        {"at any port", "GET / HTTP/1.1\r\nHost: a.example:8080\r\n\r\n", true},
        {"rebound", "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", false},
        {"an address", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", false},
        {"by the target", "GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", false},
        {"no host at all", "GET / HTTP/1.0\r\n\r\n", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kit kit;
        kit_init(&kit);
        set(&kit, "hosts", "a.example");
        kit_start(&kit);
        kit_connect(&kit);
        kit_input(&kit, rows[i].request, strlen(rows[i].request));
        EXPECT(answered(&kit, rows[i].served ? "200" : "421"), rows[i].why);
        EXPECT_INT(kit.counts[KIT_REQUEST], rows[i].served, rows[i].why);
        kit_end(&kit);
    }
}

/* ---- rates ---- */

static void opened(struct kit *kit, const char *name, const char *value, const char *action)
{
    kit_init(kit);
    set(kit, name, value);
    set(kit, "message_burst_max", "3");
    set(kit, "byte_burst_max", "1k");
    set(kit, "rate_action", action);
    kit_start(kit);
    kit_open(kit);
}

void guard_message_rate_closes_who_exceeds_it(void)
{
    struct kit kit;
    opened(&kit, "message_rate_max", "10", "close");
    for (unsigned i = 0; i < 3; i++) {
        kit_input_frame(&kit, 0x81, "a", 1);
    }
    EXPECT_INT(kit.counts[KIT_MESSAGE], 3, "a burst");
    kit_forget(&kit);
    kit_input_frame(&kit, 0x81, "b", 1);
    EXPECT_INT(kit.counts[KIT_MESSAGE], 3, "the fourth is not handled");
    EXPECT(kit_output_is(&kit, "\x88\x02\x03\xf0", 4), "Close 1008");
    EXPECT_INT(kit.core->stats.rate_limited, 1, "counted");
    kit_input_frame(&kit, 0x88, "\x03\xf0", 2);
    EXPECT(kit_is_ended(&kit), "closed");
    EXPECT_INT(kit.counts[KIT_CLOSE], 1, "once");
    kit_end(&kit);
}

void guard_message_rate_is_one_of_the_long_run(void)
{
    struct kit kit;
    opened(&kit, "message_rate_max", "10", "close");
    for (unsigned i = 0; i < 100; i++) {
        kit_input_frame(&kit, 0x81, "a", 1);
        kit_advance(&kit, 100);
    }
    EXPECT_INT(kit.counts[KIT_MESSAGE], 100, "ten a second for ten seconds");
    kit_end(&kit);
}

void guard_message_rate_counts_every_kind_of_frame(void)
{
    static const uint8_t rows[] = {0x81, 0x82, 0x89, 0x8a, 0x01};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kit kit;
        opened(&kit, "message_rate_max", "10", "close");
        for (unsigned k = 0; k < 4; k++) {
            /* A message in pieces goes on with continuations. */
            kit_input_frame(&kit, rows[i] == 0x01 && k > 0 ? 0x00 : rows[i], "a", 1);
        }
        EXPECT_INT(kit.core->stats.rate_limited, 1, "the fourth frame");
        kit_end(&kit);
    }
}

void guard_message_rate_pauses_and_loses_nothing(void)
{
    struct kit kit;
    opened(&kit, "message_rate_max", "10", "pause");
    uint8_t frames[20 * 7];
    size_t size = 0;
    for (unsigned i = 0; i < 20; i++) {
        char payload = (char)('a' + i);
        size += kit_frame(frames + size, 0x81, &payload, 1);
    }
    kit_input(&kit, frames, size);
    EXPECT_INT(kit.counts[KIT_MESSAGE], 4, "a burst, and the one that is too many");
    EXPECT_INT(kit.core->stats.rate_limited, 1, "paused");
    kit_advance(&kit, 100);
    EXPECT_INT(kit.counts[KIT_MESSAGE], 5, "one more for each tenth of a second");
    for (unsigned i = 0; i < 15; i++) {
        kit_advance(&kit, 100);
    }
    EXPECT_INT(kit.counts[KIT_MESSAGE], 20, "all of them in the end");
    char expected[20 * 3];
    for (unsigned i = 0; i < 20; i++) {
        const char frame[3] = {(char)0x81, 1, (char)('a' + i)};
        memcpy(expected + (size_t)i * 3, frame, 3);
    }
    EXPECT(kit_output_is(&kit, expected, sizeof(expected)), "in order");
    EXPECT_INT(kit.counts[KIT_CLOSE], 0, "and it is still open");
    kit_end(&kit);
}

void guard_byte_rate_pauses_a_slow_pipe(void)
{
    struct kit kit;
    opened(&kit, "byte_rate_max", "1000", "pause");
    char payload[500] = "";
    for (unsigned i = 0; i < 8; i++) {
        kit_input_frame(&kit, 0x82, payload, sizeof(payload));
    }
    unsigned first = kit.counts[KIT_MESSAGE];
    EXPECT(first >= 1 && first <= 3, "what fits into the burst");
    for (unsigned i = 0; i < 4; i++) {
        kit_advance(&kit, 1000);
    }
    EXPECT_INT(kit.counts[KIT_MESSAGE], 8, "four kilobytes in four seconds");
    kit_end(&kit);
}

void guard_byte_rate_closes_who_exceeds_it(void)
{
    struct kit kit;
    opened(&kit, "byte_rate_max", "1000", "close");
    char payload[2000] = "";
    kit_forget(&kit);
    kit_input_frame(&kit, 0x82, payload, sizeof(payload));
    EXPECT_INT(kit.counts[KIT_MESSAGE], 0, "not handled");
    EXPECT(kit_output_is(&kit, "\x88\x02\x03\xf0", 4), "Close 1008");
    kit_end(&kit);
}

void guard_byte_rate_slows_down_requests(void)
{
    struct kit kit;
    kit_init(&kit);
    set(&kit, "byte_rate_max", "1000");
    set(&kit, "byte_burst_max", "1k");
    kit_start(&kit);
    kit_connect(&kit);
    KIT_INPUT(&kit, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n");
    char piece[1500] = "";
    kit_input(&kit, piece, sizeof(piece));
    kit_input(&kit, piece, sizeof(piece));
    EXPECT_INT(kit_output(&kit).size, 0, "not all of it is handled");
    kit_advance(&kit, 1000);
    EXPECT_INT(kit_output(&kit).size, 0, "nor after a second");
    kit_advance(&kit, 1500);
    EXPECT_OUTPUT(&kit, KIT_OK, "but in the end");
    kit_end(&kit);
}

void guard_heartbeat_rests_while_the_rate_pauses(void)
{
    struct kit kit;
    kit_init(&kit);
    set(&kit, "message_rate_max", "1");
    set(&kit, "message_burst_max", "1");
    set(&kit, "rate_action", "pause");
    set(&kit, "heartbeat_interval_ms", "100");
    set(&kit, "heartbeat_timeout_ms", "100");
    kit_start(&kit);
    kit_open(&kit);
    uint8_t frames[4 * 7];
    size_t size = 0;
    for (unsigned i = 0; i < 4; i++) {
        size += kit_frame(frames + size, 0x81, "a", 1);
    }
    kit_input(&kit, frames, size);
    for (unsigned i = 0; i < 9; i++) {
        kit_advance(&kit, 90);
        EXPECT_INT(kit.counts[KIT_CLOSE], 0, "the silence is ours");
    }
    kit_end(&kit);
}

/* ---- logs ---- */

static void logged(struct kit *kit)
{
    kit_init(kit);
    kit->service.on_log = kit_on_log;
    kit->service.user = kit;
}

void guard_access_log_has_a_line_for_each_request(void)
{
    struct kit kit;
    logged(&kit);
    set(&kit, "access_log", "1");
    kit_start(&kit);
    kit_connect(&kit);
    KIT_INPUT(&kit, "GET /a?b HTTP/1.1\r\nHost: a\r\nUser-Agent: x \"y\"\r\n\r\n");
    EXPECT(kit_line_has(&kit, "method=GET target=/a?b status=200 size=2 duration_ms=0 "
                              "outcome=answered user_agent=\"x \\x22y\\x22\"\n"),
           "answered");
    KIT_INPUT(&kit, "GET /\n\n");
    EXPECT(kit_line_has(&kit, "status=400 outcome=refused\n"), "refused by the engine");
    kit_connect(&kit);
    kit.acts[KIT_REQUEST] = KIT_PENDING;
    KIT_INPUT(&kit, KIT_GET("/gone"));
    EXPECT(!kit_line_has(&kit, "gone"), "not before it has ended");
    kit_advance(&kit, 70);
    kit_reset(&kit);
    EXPECT(kit_line_has(&kit, "target=/gone status=0 size=0 duration_ms=70 outcome=unanswered"),
           "lost");
    kit_end(&kit);
}

void guard_access_log_has_a_line_for_each_websocket(void)
{
    struct kit kit;
    logged(&kit);
    set(&kit, "access_log", "1");
    set(&kit, "log_format", "json");
    kit_start(&kit);
    kit_open(&kit);
    EXPECT(kit_line_has(&kit, "\"target\":\"/ws\",\"status\":101,"), "the request");
    kit_advance(&kit, 250);
    kit_input_frame(&kit, 0x88, "\x03\xe8", 2);
    EXPECT(kit_line_has(&kit, "\"event\":\"websocket\",\"core\":0,\"client\":\"192.0.2.1:"),
           "its end");
    kit_open(&kit);
    kit_line_has(&kit, "");
    kit_reset(&kit);
    EXPECT(kit_line_has(&kit, "\"close_code\":1006,\"duration_ms\":0}\n"), "lost");
    kit_end(&kit);
}

void guard_log_says_nothing_unless_it_is_asked(void)
{
    struct kit kit;
    logged(&kit);
    kit_start(&kit);
    kit_connect(&kit);
    KIT_INPUT(&kit, KIT_GET("/"));
    KIT_INPUT(&kit, "GET /\n\n");
    EXPECT_INT(kit.lines.size, 0, "no access log by default");
    kit_end(&kit);
}

void guard_log_level_chooses_what_is_told(void)
{
    static const struct {
        const char *level;
        bool refused;
        bool origin;
        bool trouble;
    } rows[] = {
        {"off", false, false, false},    {"error", false, false, false},
        {"warning", false, false, true}, {"info", false, true, true},
        {"debug", true, true, true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kit kit;
        logged(&kit);
        set(&kit, "log_level", rows[i].level);
        set(&kit, "connections_max", "2");
        kit_start(&kit);
        kit_connect(&kit);
        KIT_INPUT(&kit, "GET /\n\n");
        EXPECT_INT(kit_line_has(&kit, "debug request.refused"), rows[i].refused, rows[i].level);
        kit_end_of_stream(&kit);
        kit_connect(&kit);
        KIT_INPUT(&kit, KIT_UPGRADE_WITH("Origin: http://b\r\n"));
        EXPECT_INT(kit_line_has(&kit, "info request.refused"), rows[i].origin, rows[i].level);
        kit_connect(&kit);
        kit_connect(&kit);
        EXPECT_INT(kit_line_has(&kit, "warning trouble"), rows[i].trouble, rows[i].level);
        kit_connect(&kit); /* the trouble is told once a second, whom it refuses each time */
        EXPECT_INT(kit_line_has(&kit, "info request.refused core=0 client="), rows[i].origin,
                   "and who was refused");
        kit_end(&kit);
    }
}

void guard_log_names_the_limit_that_refused(void)
{
    static const struct {
        const char *setting;
        bool handshake; /* decided there, and not at the accept */
    } rows[] = {{"connections_max", false},
                {"server_connections_max", false},
                {"address_connections_max", false},
                {"upgrade_rate_max", true}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct address_table *table = table_make();
        struct kit kit;
        char wanted[128];
        logged(&kit);
        kit.addresses = table;
        set(&kit, rows[i].setting, "1");
        kit_start(&kit);
        kit.peer = ipv4(192, 0, 2, 1);
        for (unsigned k = 0; k < 2; k++) {
            kit_connect(&kit);
            if (rows[i].handshake) {
                KIT_INPUT(&kit, KIT_UPGRADE_WITH(""));
            }
        }
        for (unsigned part = 0; part < 2; part++) {
            bool trouble = part == 0;
            (void)snprintf(wanted, sizeof(wanted), "maximum is reached\" limit=%s%s",
                           rows[i].setting, trouble ? " count=1\n" : "\n");
            EXPECT_INT(memmem(kit.lines.ptr, kit.lines.size, wanted, strlen(wanted)) != NULL,
                       !trouble || !rows[i].handshake, wanted);
        }
        kit_end(&kit);
        address_table_destroy(table);
    }
}

void guard_log_names_no_limit_for_an_error_of_the_service(void)
{
    struct kit kit;
    logged(&kit);
    set(&kit, "connections_max", "2");
    set(&kit, "upgrade_rate_max", "1");
    kit_start(&kit);
    for (unsigned i = 0; i < 2; i++) { /* the second is refused, which is told and forgotten */
        kit_connect(&kit);
        KIT_INPUT(&kit, KIT_UPGRADE_WITH(""));
    }
    EXPECT(kit_line_has(&kit, " limit=upgrade_rate_max"), "ours");
    kit_end_of_stream(&kit);
    kit_connect(&kit);
    kit.acts[KIT_REQUEST] = KIT_FAIL;
    kit.fail_result = GYR_ERR_LIMIT;
    KIT_INPUT(&kit, KIT_GET("/"));
    EXPECT(memmem(kit.lines.ptr, kit.lines.size, "maximum is reached", 18) != NULL,
           "the service's");
    EXPECT(!kit_line_has(&kit, " limit="), "which knows its own");
    kit_end(&kit);
}

void guard_trouble_is_an_error_where_the_machine_has_no_more(void)
{
    static const struct {
        const char *level;
        bool told;
    } rows[] = {{"off", false}, {"error", true}, {"warning", true}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kit kit;
        logged(&kit);
        set(&kit, "log_level", rows[i].level);
        kit_start(&kit);
        kit_accept_fail(&kit, -EMFILE);
        EXPECT_INT(
            kit_line_has(&kit, "error trouble core=0 error=\"Too many open files\" count=1\n"),
            rows[i].told, rows[i].level);
        kit_end(&kit);
    }
}

void guard_log_rate_max_counts_what_it_drops(void)
{
    struct kit kit;
    logged(&kit);
    set(&kit, "access_log", "1");
    set(&kit, "log_rate_max", "5");
    kit_start(&kit);
    kit_connect(&kit);
    for (unsigned i = 0; i < 20; i++) {
        KIT_INPUT(&kit, KIT_GET("/"));
    }
    unsigned lines = 0;
    for (size_t i = 0; i < kit.lines.size; i++) {
        lines += kit.lines.ptr[i] == '\n';
    }
    EXPECT_INT(lines, 5, "five at once");
    EXPECT_INT(kit.core->stats.log_dropped, 15, "the others are counted");
    kit_line_has(&kit, "");
    kit_advance(&kit, 1000);
    KIT_INPUT(&kit, KIT_GET("/"));
    EXPECT(kit_line_has(&kit, "warning log.dropped count=15"), "and told");
    kit_end(&kit);
}
