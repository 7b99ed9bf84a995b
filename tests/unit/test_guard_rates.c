/* SPDX-License-Identifier: MIT */
/* Rates when something else happens meanwhile: a Close, a reload; and what the log says
 * of an answer that could not be written. */
#include "engine/guard.h"

#include "tests/engine_kit.h"
#include "tests/parser_kit.h"
#include "tests/run_tests.h"

#include <CUnit/CUnit.h>

static void set(struct kit *kit, const char *name, const char *value)
{
    struct gyr_error error = {""};
    EXPECT_INT(gyr_config_set(&kit->config, name, value, &error), 0, error.text);
}

static void begin(struct kit *kit, const char *name, const char *value, const char *action)
{
    kit_init(kit);
    kit->service.on_log = kit_on_log;
    kit->service.user = kit;
    set(kit, name, value);
    set(kit, "message_burst_max", "2");
    set(kit, "byte_burst_max", "1k");
    set(kit, "rate_action", action);
    kit_start(kit);
    kit_open(kit);
}

/* What comes behind the Close is thrown away: nothing of it is another offence. */
void guard_byte_rate_counts_and_tells_of_a_close_once(void)
{
    struct kit kit;
    begin(&kit, "byte_rate_max", "1000", "close");
    char payload[2000] = "";
    for (unsigned i = 0; i < 5; i++) {
        kit_input_frame(&kit, 0x82, payload, sizeof(payload));
    }
    EXPECT(kit_line_has(&kit, "websocket.failed"), "told");
    EXPECT_INT(kit.core->stats.rate_limited, 1, "one WebSocket was closed");
    kit_input_frame(&kit, 0x82, payload, sizeof(payload));
    EXPECT(!kit_line_has(&kit, "websocket.failed"), "not again");
    kit_input_frame(&kit, 0x88, "\x03\xf0", 2);
    EXPECT(kit_is_ended(&kit), "closed");
    kit_end(&kit);
}

/* The peer's Close ends it, whenever it comes: to wait for the rate before it is read would only
 * keep a connection that nobody wants, and cut it off in the end. */
void guard_rate_does_not_delay_the_end(void)
{
    static const char *const rates[][2] = {{"byte_rate_max", "100"}, {"message_rate_max", "1"}};
    for (size_t i = 0; i < COUNT_OF(rates); i++) {
        for (unsigned early = 0; early < 2; early++) {
            struct kit kit;
            begin(&kit, rates[i][0], rates[i][1], "pause");
            char payload[2000] = "";
            for (unsigned k = 0; k < 4; k++) {
                kit_input_frame(&kit, 0x82, payload, sizeof(payload));
            }
            EXPECT_INT(kit.core->stats.rate_limited, 1, "paused");
            kit_forget(&kit);
            if (early != 0) {
                kit_input_frame(&kit, 0x88, "\x03\xe8", 2);
                EXPECT_INT(kit.counts[KIT_CLOSE], 0, "it waits behind the messages");
            }
            unsigned heard = kit.counts[KIT_MESSAGE];
            EXPECT_INT(gyr_close(kit_conn(&kit), 1000, (struct gyr_span){0}), 0, "ours");
            kit_run(&kit);
            if (early == 0) {
                kit_input_frame(&kit, 0x82, payload, sizeof(payload));
                kit_input_frame(&kit, 0x88, "\x03\xe8", 2);
            }
            EXPECT_INT(kit.counts[KIT_CLOSE], 1, rates[i][0]);
            EXPECT_INT(kit.counts[KIT_MESSAGE], heard, "messages are not handled any more");
            EXPECT(kit_is_ended(&kit), "at once");
            kit_end(&kit);
        }
    }
}

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
