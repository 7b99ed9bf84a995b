/* SPDX-License-Identifier: MIT */
/* Rates when something else happens meanwhile: a Close, a reload. */
#include "engine/guard.h"

#include "tests/engine_kit.h"
#include "tests/parser_kit.h"
#include "tests/run_tests.h"

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

/* A wait was computed for the old rate. */
void guard_reload_ends_the_waits_of_an_old_rate(void)
{
    static const char *const rates[] = {"0", "1g"};
    for (size_t i = 0; i < COUNT_OF(rates); i++) {
        struct kit kit;
        begin(&kit, "byte_rate_max", "1", "pause");
        char payload[2000] = "";
        kit_input_frame(&kit, 0x82, payload, sizeof(payload));
        kit_input_frame(&kit, 0x82, payload, sizeof(payload));
        unsigned heard = kit.counts[KIT_MESSAGE];
        EXPECT(heard < 2, "paused, for an hour");
        set(&kit, "byte_rate_max", rates[i]);
        core_config_changed(kit.core);
        kit_advance(&kit, 2);
        EXPECT_INT(kit.counts[KIT_MESSAGE], 2, "the new rate allows it");
        kit_input_frame(&kit, 0x82, payload, sizeof(payload));
        kit_advance(&kit, 2);
        EXPECT_INT(kit.counts[KIT_MESSAGE], 3, "and what follows");
        kit_end(&kit);
    }
}
