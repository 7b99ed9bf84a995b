/* SPDX-License-Identifier: MIT */
/* The backend within the process keeps the contract of all backends. */
#include "tests/backend_contract.h"

#include "hub/backend.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>

#define SEEDS 60

static const struct contract_bed bed = {.name = "local", .table = &backend_local, .node_count = 1};

static void run(enum contract_script script)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        const char *wrong = backend_contract_run(&bed, script, seed);
        if (wrong != NULL) {
            char why[256];
            (void)snprintf(why, sizeof(why), "seed %u: %s", (unsigned)seed, wrong);
            EXPECT(wrong == NULL, why);
            return;
        }
    }
}

void backend_local_reaches_exactly_those_who_have_subscribed(void)
{
    run(BACKEND_CONTRACT_reaches_exactly_those_who_have_subscribed);
}

void backend_local_carries_every_byte(void)
{
    run(BACKEND_CONTRACT_carries_every_byte);
}

void backend_local_keeps_the_order_of_each_room(void)
{
    run(BACKEND_CONTRACT_keeps_the_order_of_each_room);
}

void backend_local_gives_every_request_back_once(void)
{
    run(BACKEND_CONTRACT_gives_every_request_back_once);
}

void backend_local_loses_nothing_when_the_hub_is_full(void)
{
    run(BACKEND_CONTRACT_loses_nothing_when_the_hub_is_full);
}

void backend_local_refuses_and_tells_when_there_is_room_again(void)
{
    run(BACKEND_CONTRACT_refuses_and_tells_when_there_is_room_again);
}

void backend_local_ends_a_subscription(void)
{
    run(BACKEND_CONTRACT_ends_a_subscription);
}

void backend_local_tells_what_was_missed_without_a_gap(void)
{
    run(BACKEND_CONTRACT_tells_what_was_missed_without_a_gap);
}

void backend_local_tells_what_it_does_not_keep(void)
{
    run(BACKEND_CONTRACT_tells_what_it_does_not_keep);
}

void backend_local_knows_who_is_present(void)
{
    run(BACKEND_CONTRACT_knows_who_is_present);
}

void backend_local_calls_nothing_after_its_end(void)
{
    run(BACKEND_CONTRACT_calls_nothing_after_its_end);
}
