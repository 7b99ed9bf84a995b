/* SPDX-License-Identifier: MIT */
/* An exchange at its limits: memory of the queue beside its bytes, closing twice. */
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

void exchange_limits_the_memory_of_many_tiny_messages(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit_open(&kit);
    kit.config.send_queue_size_max = 65536;
    kit.config.send_queue_high = 65536;
    kit_room(&kit, 0);
    int err = 0;
    while (err >= 0 && err != GYR_ERR_BACKPRESSURE) {
        err = gyr_send(kit_conn(&kit), GYR_BINARY, GYR_SPAN("x"));
        kit_run(&kit);
    }
    EXPECT_INT(err, GYR_ERR_BACKPRESSURE, "refused");
    EXPECT(kit.core->heap_accounted <= 4 * 65536, "their entries count too");
    kit_room(&kit, SIZE_MAX);
    kit_end(&kit);
}

static int upgrade_and_close(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)kit;
    (void)event;
    int err = gyr_upgrade(conn, NULL);
    return err != 0 ? err : gyr_close(conn, 1000, GYR_SPAN(""));
}

void exchange_sends_one_close_whatever_on_open_does(void)
{
    struct kit kit;
    kit_begin(&kit);
    kit.hooks[KIT_REQUEST] = upgrade_and_close;
    kit.acts[KIT_OPEN] = KIT_FAIL;
    kit.fail_result = GYR_ERR_ARGUMENT;
    KIT_INPUT(&kit, KIT_UPGRADE_WITH(""));
    struct span out = kit_output(&kit);
    unsigned closes = 0;
    for (size_t i = 0; i + 1 < out.size; i++) {
        closes += out.ptr[i] == 0x88 && out.ptr[i + 1] <= 125;
    }
    EXPECT_INT(closes, 1, "RFC 6455 section 5.5.1");
    kit_end(&kit);
}
