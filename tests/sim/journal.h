/* SPDX-License-Identifier: MIT */
/* The log of a simulated server, read line by line: is it well formed, is everything in it that has
 * ended, once, and does what it says add up? */
#ifndef TESTS_SIM_JOURNAL_H
#define TESTS_SIM_JOURNAL_H

#include "tests/sim/service.h"

/* A line that says that something has ended. */
struct journal_line {
    char event[32];
    char client[80];
    char target[160];
    char outcome[16];
    unsigned status;
    unsigned close_code;
    bool has_target;
};

struct journal {
    struct journal_line last; /* has not been looked at, if it has an event */
    uint64_t dropped_seen;    /* of stats.log_dropped */
    uint64_t dropped_told;    /* in lines */
    uint64_t line_count;      /* without those that tell of others */
    struct pace pace;
};

void journal_on_log(void *user, enum gyr_log_level level, struct gyr_span text);

/* Is its end going to be logged? */
bool journal_is_kept(const struct visit *visit);
/* It has ended. */
void journal_request_ended(struct visit *visit, enum gyr_outcome outcome);
void journal_ws_ended(struct visit *visit, uint16_t close_code);
/* A client has got an answer. */
void journal_answered(struct client *client, unsigned status);

void journal_turn_ended(struct world *world, unsigned index);
void journal_core_ended(struct world *world, unsigned index);
/* Was every client answered as the log says? */
void journal_check(struct world *world);

#endif
