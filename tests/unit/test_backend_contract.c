/* SPDX-License-Identifier: MIT */
/* The contract of all backends, tested itself: one whose links repeat, break off and echo keeps it,
 * and each mistake that such a backend may make is found by the script that is there for it. */
#include "tests/backend_contract.h"

#include "tests/backend_bus.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>

#define SEEDS 15

static struct contract_bed bed_of(unsigned node_count, enum bus_fault fault)
{
    return (struct contract_bed){
        .name = "bus",
        .table = &backend_bus,
        .node_count = node_count,
        .begin = backend_bus_begin,
        .end = backend_bus_end,
        .step = backend_bus_step,
        .fault = fault,
    };
}

void backend_contract_is_kept_over_links_that_repeat_and_break(void)
{
    for (unsigned script = 0; script < BACKEND_CONTRACT_COUNT; script++) {
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct contract_bed bed = bed_of(1 + (unsigned)seed % 3, BUS_sound);
            const char *wrong = backend_contract_run(&bed, (enum contract_script)script, seed);
            char why[256];
            (void)snprintf(why, sizeof(why), "%s, seed %u: %s",
                           backend_contract_name((enum contract_script)script), (unsigned)seed,
                           wrong);
            EXPECT(wrong == NULL, why);
        }
    }
}

void backend_contract_finds_every_mistake(void)
{
    static const struct {
        const char *why;
        enum bus_fault fault;
        enum contract_script script;
    } rows[] = {
        {"takes_repeated", BUS_takes_repeated,
         BACKEND_CONTRACT_reaches_exactly_those_who_have_subscribed},
        {"publishes_repeated", BUS_publishes_repeated,
         BACKEND_CONTRACT_reaches_exactly_those_who_have_subscribed},
        {"loses_at_reconnect", BUS_loses_at_reconnect,
         BACKEND_CONTRACT_reaches_exactly_those_who_have_subscribed},
        {"delivers_and_echoes", BUS_delivers_and_echoes,
         BACKEND_CONTRACT_reaches_exactly_those_who_have_subscribed},
        {"ignores_its_echo", BUS_ignores_its_echo, BACKEND_CONTRACT_keeps_the_order_of_each_room},
        {"never_unsubscribes", BUS_never_unsubscribes, BACKEND_CONTRACT_ends_a_subscription},
        {"drops_what_is_refused", BUS_drops_what_is_refused,
         BACKEND_CONTRACT_loses_nothing_when_the_hub_is_full},
        {"swaps_what_is_refused", BUS_swaps_what_is_refused,
         BACKEND_CONTRACT_loses_nothing_when_the_hub_is_full},
        {"loses_requests", BUS_loses_requests, BACKEND_CONTRACT_gives_every_request_back_once},
        {"tells_nobody", BUS_tells_nobody,
         BACKEND_CONTRACT_refuses_and_tells_when_there_is_room_again},
        {"takes_everything", BUS_takes_everything,
         BACKEND_CONTRACT_refuses_and_tells_when_there_is_room_again},
        {"forgets_the_newest", BUS_forgets_the_newest,
         BACKEND_CONTRACT_tells_what_was_missed_without_a_gap},
        {"believes_any_epoch", BUS_believes_any_epoch,
         BACKEND_CONTRACT_tells_what_it_does_not_keep},
        {"keeps_the_absent", BUS_keeps_the_absent, BACKEND_CONTRACT_knows_who_is_present},
        {"goes_on_after_its_end", BUS_goes_on_after_its_end,
         BACKEND_CONTRACT_calls_nothing_after_its_end},
        {"drops_keys", BUS_drops_keys, BACKEND_CONTRACT_carries_every_byte},
    };
    EXPECT_INT(COUNT_OF(rows), BUS_FAULT_COUNT - 1, "every mistake");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *wrong = NULL;
        for (uint64_t seed = 0; seed < SEEDS && wrong == NULL; seed++) {
            struct contract_bed bed = bed_of(3, rows[i].fault);
            wrong = backend_contract_run(&bed, rows[i].script, seed);
        }
        EXPECT(wrong != NULL, rows[i].why);
    }
}
