/* SPDX-License-Identifier: MIT */
/* What a service may ask of a request. */
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#define EXPECT_VIEW(view, text) EXPECT_SPAN(span_of((view).ptr, (view).size), text, text)

static int look_at_get(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    const struct gyr_request *request = event->request;
    EXPECT_VIEW(gyr_request_method(request), "GET");
    EXPECT_VIEW(gyr_request_target(request), "/a%20b/c?d=e&f");
    EXPECT_VIEW(gyr_request_path(request), "/a%20b/c");
    EXPECT_VIEW(gyr_request_query(request), "d=e&f");
    EXPECT_VIEW(gyr_request_host(request), "example.com:81");
    EXPECT_INT(gyr_request_version_minor(request), 1, "1.1");
    EXPECT_INT(gyr_request_content_length(request), 0, "none");
    EXPECT(!gyr_request_is_upgrade(request), "no handshake");
    EXPECT_VIEW(gyr_request_field(request, "X-ONE"), "1");
    EXPECT_VIEW(gyr_request_field(request, "x-empty"), "");
    EXPECT(gyr_request_field(request, "x-empty").ptr != NULL, "there, and empty");
    EXPECT(gyr_request_field(request, "x-on").ptr == NULL, "not there");
    struct gyr_span name;
    struct gyr_span value;
    unsigned count = 0;
    while (gyr_request_field_at(request, count, &name, &value)) {
        count++;
    }
    EXPECT_INT(count, 4, "all fields");
    EXPECT(gyr_request_field_at(request, 3, &name, &value), "the last");
    EXPECT_VIEW(name, "x-one");
    EXPECT_VIEW(value, "2");
    return kit_default(kit, conn, event);
}

void request_shows_what_the_head_holds(void)
{
    static const char GET[] =
        "GET /a%20b/c?d=e&f HTTP/1.1\r\nHost: example.com:81\r\nX-One:  1 \r\n"
        "X-Empty:\r\nx-one: 2\r\n\r\n";
    for (size_t step = 1; step <= sizeof(GET); step += sizeof(GET) - 1) {
        struct kit kit;
        kit_begin(&kit);
        kit.hooks[KIT_REQUEST] = look_at_get;
        kit_input_steps(&kit, GET, sizeof(GET) - 1, step);
        EXPECT_OUTPUT(&kit, KIT_OK, "looked at");
        kit_end(&kit);
    }
}

static int64_t length_seen;

static int look_at_length(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    length_seen = gyr_request_content_length(event->request);
    return kit_default(kit, conn, event);
}

void request_tells_the_length_of_its_content(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit.hooks[KIT_REQUEST] = look_at_length;
    KIT_INPUT(&kit, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    EXPECT_INT(length_seen, 3, "known");
    KIT_INPUT(&kit, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    EXPECT_INT(length_seen, -1, "chunked");
    KIT_INPUT(&kit, KIT_GET("/"));
    EXPECT_INT(length_seen, 0, "none");
    kit_end(&kit);
}

static int look_at_upgrade(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    const struct gyr_request *request = event->request;
    EXPECT(gyr_request_is_upgrade(request), "a handshake");
    EXPECT(gyr_request_offers(request, "chat") && gyr_request_offers(request, "superchat"), "both");
    EXPECT(gyr_request_offers(request, "v2.b"), "in a second field");
    EXPECT(!gyr_request_offers(request, "super") && !gyr_request_offers(request, "Chat"), "others");
    EXPECT(!gyr_request_offers(request, ""), "nothing");
    return kit_default(kit, conn, event);
}

void request_knows_the_subprotocols_that_are_offered(void)
{
    static const char UPGRADE[] = KIT_UPGRADE_WITH(
        "Sec-WebSocket-Protocol: chat ,superchat\r\nsec-websocket-protocol: v2.b\r\n");
    struct kit kit;
    kit_begin(&kit);
    kit.hooks[KIT_REQUEST] = look_at_upgrade;
    kit_input(&kit, UPGRADE, sizeof(UPGRADE) - 1);
    EXPECT_OUTPUT(&kit, KIT_101_WITH(""), "accepted");
    kit_end(&kit);
}
