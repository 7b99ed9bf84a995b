/* SPDX-License-Identifier: MIT */
/* What goes on behind a wait: on_finish decides about the result that gyr_finish has brought, and a
 * request can be kept beyond its callback. */
#include "engine/engine.h"
#include "engine/exchange.h"

#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdlib.h>

/* What on_finish has got, and what it answers. */
struct finisher {
    int got[4];
    int gives[4];
    unsigned count;
    const struct gyr_request *kept; /* owned */
};

static int on_finish(struct gyr_conn *conn, int result)
{
    struct finisher *finisher = exchange_core(conn)->service->user;
    unsigned index = finisher->count++;
    EXPECT(index < 4, "not so often");
    finisher->got[index] = result;
    if (finisher->gives[index] == 0 && conn->state == EXCHANGE_REQUEST) {
        return gyr_respond_text(conn, 200, "text/plain", GYR_SPAN("late"));
    }
    return finisher->gives[index];
}

static void begin(struct kit *kit, struct finisher *finisher)
{
    kit_init(kit);
    kit->service.on_finish = on_finish;
    kit->service.user = finisher;
    kit_start(kit);
    kit_connect(kit);
}

void exchange_on_finish_answers_behind_a_wait(void)
{
    struct finisher finisher = {0};
    struct kit kit;
    begin(&kit, &finisher);
    kit.acts[KIT_REQUEST] = KIT_PENDING;
    KIT_INPUT(&kit, KIT_GET("/"));
    EXPECT_INT(finisher.count, 0, "it waits");
    EXPECT_INT(gyr_finish(kit_conn(&kit), 7), 0, "go on");
    EXPECT_INT(finisher.count, 0, "not within the call");
    kit_run(&kit);
    EXPECT_INT(finisher.count, 1, "once");
    EXPECT_INT(finisher.got[0], 7, "what gyr_finish said");
    EXPECT(memmem(kit_output(&kit).ptr, kit_output(&kit).size, "late", 4) != NULL, "answered");
    kit_end(&kit);
}

void exchange_on_finish_may_wait_again(void)
{
    struct finisher finisher = {.gives = {GYR_PENDING, GYR_PENDING, 0}};
    struct kit kit;
    begin(&kit, &finisher);
    kit.acts[KIT_REQUEST] = KIT_PENDING;
    KIT_INPUT(&kit, KIT_GET("/") KIT_GET("/next"));
    for (int i = 0; i < 3; i++) {
        EXPECT_INT(kit_output(&kit).size, 0, "no answer yet");
        EXPECT_INT(gyr_finish(kit_conn(&kit), 10 + i), 0, "go on");
        EXPECT_INT(gyr_finish(kit_conn(&kit), 10 + i), GYR_ERR_STATE, "once for each wait");
        kit.acts[KIT_REQUEST] = KIT_DEFAULT;
        kit_run(&kit);
        EXPECT_INT(finisher.got[i], 10 + i, "each in its turn");
    }
    EXPECT_LOG(&kit, "request GET /\ndone answered\nrequest GET /next\ndone answered\n",
               "the next request has waited");
    kit_end(&kit);
}

void exchange_on_finish_can_refuse(void)
{
    struct finisher finisher = {.gives = {GYR_ERR_REFUSED}};
    struct kit kit;
    begin(&kit, &finisher);
    kit.acts[KIT_REQUEST] = KIT_PENDING;
    KIT_INPUT(&kit, KIT_GET("/"));
    EXPECT_INT(gyr_finish(kit_conn(&kit), 0), 0, "go on");
    kit_run(&kit);
    EXPECT(memcmp(kit_output(&kit).ptr, "HTTP/1.1 403 ", 13) == 0, "with the error's status code");
    kit_end(&kit);
}

void exchange_on_finish_closes_a_websocket_with_its_error(void)
{
    struct finisher finisher = {.gives = {GYR_ERR_MESSAGE}};
    struct kit kit;
    begin(&kit, &finisher);
    kit.acts[KIT_MESSAGE] = KIT_PENDING;
    KIT_INPUT(&kit, KIT_UPGRADE_WITH(""));
    kit_forget(&kit);
    KIT_FRAME(&kit, 0x81, "x");
    EXPECT_INT(gyr_finish(kit_conn(&kit), 0), 0, "go on");
    kit_run(&kit);
    EXPECT_OUTPUT(&kit, "\x88\x02\x03\xef", "1007");
    kit_end(&kit);
}

static int keep(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    struct finisher *finisher = kit->service.user;
    (void)conn;
    void *memory = malloc(engine_request_size(event->request));
    EXPECT(memory != NULL, "memory");
    finisher->kept = engine_request_keep(event->request, memory);
    return GYR_PENDING;
}

static void expect_text(struct gyr_span span, const char *text)
{
    EXPECT_INT(span.size, strlen(text), text);
    EXPECT(memcmp(span.ptr, text, span.size) == 0, text);
}

void exchange_a_kept_request_outlives_its_callback(void)
{
    struct finisher finisher = {0};
    struct kit kit;
    begin(&kit, &finisher);
    kit.hooks[KIT_REQUEST] = keep;
    KIT_INPUT(&kit, KIT_UPGRADE_WITH("Sec-WebSocket-Protocol: chat, superchat\r\nX-A: b\r\n"));
    const struct gyr_request *kept = finisher.kept; /* the kit overwrites buffers given back */
    expect_text(gyr_request_method(kept), "GET");
    expect_text(gyr_request_path(kept), "/ws");
    expect_text(gyr_request_query(kept), "");
    expect_text(gyr_request_field(kept, "x-a"), "b");
    EXPECT(gyr_request_field(kept, "x-b").ptr == NULL, "there is none");
    EXPECT(gyr_request_is_upgrade(kept), "a handshake");
    EXPECT(gyr_request_offers(kept, "superchat"), "offered");
    EXPECT(!gyr_request_offers(kept, "super"), "not offered");
    EXPECT_INT(gyr_upgrade(kit_conn(&kit), NULL), 0, "accept");
    EXPECT_INT(gyr_finish(kit_conn(&kit), 0), 0, "go on");
    finisher.gives[0] = 0;
    kit_run(&kit);
    free((void *)(uintptr_t)kept);
    kit_end(&kit);
}
