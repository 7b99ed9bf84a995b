/* SPDX-License-Identifier: MIT */
/* From a seed to a plan. Everything is small: limits are reached by a few hundred bytes, so that
 * a seed takes milliseconds and still sees every queue full. */
#include "tests/sim/plan.h"

#include "tests/sim/dice.h"
#include "tests/sim/ledger.h"

static enum profile profile_draw(struct dice *dice);
static void memory_draw(struct plan *plan, struct dice *dice);
static void turns_draw(struct plan *plan, struct dice *dice);
static void limits_draw(struct plan *plan, struct dice *dice);
static void times_draw(struct plan *plan, struct dice *dice);
static void faults_draw(struct plan *plan, struct dice *dice);
static void tight_draw(struct plan *plan, struct dice *dice);
static void rooms_draw(struct plan *plan);
static bool app_draw(const struct plan *plan, enum profile profile);
static void app_fit(struct plan *plan);

void plan_make(struct plan *plan, uint64_t seed, enum profile profile)
{
    struct dice dice = dice_make(seed, 1);
    *plan = (struct plan){.seed = seed, .config = gyr_config_default()};
    enum profile drawn = profile_draw(&dice);
    plan->profile = profile == PROFILE_ANY || profile == PROFILE_APP ? drawn : profile;
    plan->is_app = app_draw(plan, profile);
    plan->core_count = dice_between(&dice, 1, CORES_MAX);
    plan->listener_count = dice_chance(&dice, 700) ? plan->core_count : 1;
    plan->client_count = dice_between(&dice, 2, CLIENTS_MAX);
    plan->socket_size = DICE_PICK(&dice, 64, 300, 1000, 4096, 20000, 100000);
    plan->backlog = dice_between(&dice, 1, CLIENTS_MAX);
    plan->calm_step = dice_between(&dice, 200, 40000);
    memory_draw(plan, &dice);
    limits_draw(plan, &dice);
    times_draw(plan, &dice);
    if (plan->profile != PROFILE_CALM) {
        faults_draw(plan, &dice);
    }
    if (plan->profile == PROFILE_TIGHT) {
        tight_draw(plan, &dice);
    }
    if (plan->profile == PROFILE_STOP) {
        plan->stop_step = dice_between(&dice, 1, 4000);
        plan->excuses |= EXCUSE_STOP;
    }
    if (plan->faults.reset != 0) {
        plan->excuses |= EXCUSE_RESET;
    }
    if (plan->faults.time_jump != 0) {
        plan->excuses |= EXCUSE_TIME;
    }
    turns_draw(plan, &dice); /* late: what is drawn before stays what it was */
    if (plan->is_app) {
        app_fit(plan);
        return;
    }
    if (dice_chance(&dice, 600)) {
        plan->address_count = DICE_PICK(&dice, 1, 1, 2, 6);
        plan->reload_steps = dice_chance(&dice, 250) ? dice_between(&dice, 20, 2000) : 0;
        plan_policies_draw(&plan->config, &dice);
    }
    rooms_draw(plan);
}

static enum profile profile_draw(struct dice *dice)
{
    uint32_t drawn = dice_below(dice, 100);
    return drawn < 10   ? PROFILE_CALM
           : drawn < 45 ? PROFILE_ROUGH
           : drawn < 65 ? PROFILE_STORM
           : drawn < 85 ? PROFILE_TIGHT
                        : PROFILE_STOP;
}

static void memory_draw(struct plan *plan, struct dice *dice)
{
    struct gyr_config *config = &plan->config;
    config->balance = dice_chance(dice, 500) ? GYR_BALANCE_LEAST : GYR_BALANCE_HASH;
    config->spin_us = dice_chance(dice, 200) ? dice_between(dice, 1, 100) : 0;
    config->connections_max = CLIENTS_MAX + 2;
    config->core_heap_size_max = 64 << 20;
    config->submission_entries = DICE_PICK(dice, 16, 32, 64);
    config->completion_entries = DICE_PICK(dice, 64, 128, 256);
    config->recv_buffer_size = DICE_PICK(dice, 64, 256, 300, 1024, 4096, 65536);
    config->recv_buffer_count = DICE_PICK(dice, 1, 2, 4, 16);
    if (dice_chance(dice, 50)) {
        /* More completions than a turn takes, and a turn send that is settled by the next. */
        config->recv_buffer_size = 8;
        config->recv_buffer_count = 1024;
        config->completion_entries = 4096;
    }
    config->recv_scratch_threshold =
        dice_chance(dice, 250) ? 0 : dice_between(dice, 8, config->recv_buffer_size);
    config->mailbox_count_max = DICE_PICK(dice, 1, 3, 16, 1024);
}

/* Turns that end early, now and then. */
static void turns_draw(struct plan *plan, struct dice *dice)
{
    struct gyr_config *config = &plan->config;
    if (dice_chance(dice, 400)) {
        config->turn_completions_max = DICE_PICK(dice, 1, 2, 7, 64);
        config->turn_sends_max = DICE_PICK(dice, 1, 2, 9, 255);
        config->read_rounds_max = dice_between(dice, 1, 8);
    }
}

static void limits_draw(struct plan *plan, struct dice *dice)
{
    struct gyr_config *config = &plan->config;
    config->head_size_max = dice_between(dice, 600, 2000);
    config->target_size_max = dice_between(dice, 100, 400);
    config->field_count_max = dice_between(dice, 12, 40);
    config->body_size_max = dice_between(dice, 100, 20000);
    config->message_size_max = DICE_PICK(dice, 200, 1000, 5000, 70000, 200000);
    plan->message_max = config->message_size_max;
    /* A part of a message that is sent in parts may have to wait for the rest of it, so there is
     * always room for a whole one. */
    config->send_queue_size_max = config->message_size_max + 14 + dice_below(dice, 2000);
    config->send_queue_size_max = MAX(1024U, config->send_queue_size_max);
    config->send_queue_high =
        dice_between(dice, 1, dice_chance(dice, 400) ? 300 : config->send_queue_size_max);
    config->send_queue_low = dice_below(dice, config->send_queue_high + 1);
    config->pause_size_max = dice_chance(dice, 200) ? 0 : dice_between(dice, 1, 4096);
}

static void times_draw(struct plan *plan, struct dice *dice)
{
    struct gyr_config *config = &plan->config;
    config->header_timeout_ms = 60000;
    config->body_timeout_ms = 600000; /* a slow reader comes to a 100 Continue late */
    config->keep_alive_timeout_ms = 60000;
    config->handshake_timeout_ms = 60000;
    config->heartbeat_interval_ms = DICE_PICK(dice, 20, 500, 30000);
    config->heartbeat_timeout_ms = 600000; /* a slow reader comes to a Ping late */
    config->idle_timeout_ms = dice_chance(dice, 300) ? 120000 : 0;
    if (config->idle_timeout_ms != 0 && dice_chance(dice, 500)) {
        config->heartbeat_interval_ms = 0;
    }
    config->close_timeout_ms = 600000; /* ... or to a Close */
    config->send_timeout_ms = 60000;
    config->lifetime_max_ms = 0;
    config->shutdown_window_ms = dice_below(dice, 2000);
    config->shutdown_deadline_ms = dice_below(dice, 10000);
}

/* Each fault with its own chance, most of them in most seeds. */
static void faults_draw(struct plan *plan, struct dice *dice)
{
    static const struct {
        size_t offset;
        uint16_t max;
    } SURVIVABLE[] = {
        {offsetof(struct sim_faults, short_send), 500},
        {offsetof(struct sim_faults, short_recv), 500},
        {offsetof(struct sim_faults, send_again), 500},
        {offsetof(struct sim_faults, recv_again), 500},
        {offsetof(struct sim_faults, accept_emfile), 300},
        {offsetof(struct sim_faults, enobufs), 300},
        {offsetof(struct sim_faults, multishot_end), 300},
        {offsetof(struct sim_faults, late), 400},
        {offsetof(struct sim_faults, reorder), 500},
        {offsetof(struct sim_faults, spurious_wake), 200},
        {offsetof(struct sim_faults, file_wait), 900},
        {offsetof(struct sim_faults, short_read), 700},
    };
    for (size_t i = 0; i < COUNT_OF(SURVIVABLE); i++) {
        uint16_t chance = (uint16_t)dice_below(dice, SURVIVABLE[i].max);
        if (dice_chance(dice, 700)) {
            memcpy((char *)&plan->faults + SURVIVABLE[i].offset, &chance, sizeof(chance));
        }
    }
    bool harsh = plan->profile == PROFILE_STORM ||
                 (plan->profile != PROFILE_ROUGH && plan->profile != PROFILE_ROOMS &&
                  dice_chance(dice, 300));
    if (harsh) {
        plan->faults.reset = (uint16_t)dice_below(dice, 5);
        plan->faults.time_jump = (uint16_t)dice_below(dice, 4);
        plan->faults.file_fail = (uint16_t)(dice_chance(dice, 500) ? dice_below(dice, 300) : 0);
    }
}

/* So little of everything that all of it runs out. */
static void tight_draw(struct plan *plan, struct dice *dice)
{
    struct gyr_config *config = &plan->config;
    if (dice_chance(dice, 600)) {
        /* With less than PLAN_HEAP_ENOUGH nobody is sure to get through. */
        uint32_t max = DICE_PICK(dice, 3000, 9000, 60000);
        config->core_heap_size_max = dice_between(dice, 500, max);
        plan->excuses |= EXCUSE_MEMORY;
    }
    if (dice_chance(dice, 500)) {
        config->connections_max = dice_between(dice, 1, 6);
        plan->excuses |= EXCUSE_LIMIT;
    }
    if (dice_chance(dice, 500)) {
        config->send_queue_size_max = dice_between(dice, 300, 3000);
        config->send_queue_high = dice_between(dice, 1, config->send_queue_size_max);
        config->send_queue_low = dice_below(dice, config->send_queue_high + 1);
    }
    if (dice_chance(dice, 600)) {
        config->header_timeout_ms = dice_between(dice, 300, 2000);
        config->body_timeout_ms = dice_between(dice, 50, 2000);
        config->keep_alive_timeout_ms = dice_between(dice, 50, 2000);
        config->handshake_timeout_ms = dice_between(dice, 50, 2000);
        config->heartbeat_interval_ms = dice_between(dice, 10, 500);
        config->heartbeat_timeout_ms = dice_between(dice, 10, 500);
        config->idle_timeout_ms = dice_chance(dice, 500) ? dice_between(dice, 50, 2000) : 0;
        config->close_timeout_ms = dice_between(dice, 50, 1000);
        config->send_timeout_ms = dice_between(dice, 10, 1000);
        config->lifetime_max_ms = dice_chance(dice, 300) ? dice_between(dice, 500, 5000) : 0;
        plan->excuses |= EXCUSE_TIME;
    }
}

void plan_policies_draw(struct gyr_config *config, struct dice *dice)
{
    static const char *const PROXIES[] = {"10.9.0.0/16", "unix: 2001:db8:9::/48 10.9.0.0/24"};
    config->message_rate_max = dice_chance(dice, 350) ? DICE_PICK(dice, 20, 100, 1000) : 0;
    config->message_burst_max = DICE_PICK(dice, 1, 10, 100, 1000);
    config->byte_rate_max = dice_chance(dice, 350) ? DICE_PICK(dice, 5000, 50000, 500000) : 0;
    config->byte_burst_max = DICE_PICK(dice, 1024, 5000, 50000, 500000);
    config->rate_action = dice_chance(dice, 600) ? GYR_RATE_PAUSE : GYR_RATE_CLOSE;
    config->server_connections_max = dice_chance(dice, 250) ? dice_between(dice, 1, 20) : 0;
    config->address_connections_max = dice_chance(dice, 300) ? DICE_PICK(dice, 1, 1, 2, 5) : 0;
    config->upgrade_rate_max = dice_chance(dice, 200) ? dice_between(dice, 1, 10) : 0;
    memset(config->trusted_proxies, 0, sizeof(config->trusted_proxies));
    if (dice_chance(dice, 600)) {
        const char *proxies = PROXIES[dice_below(dice, COUNT_OF(PROXIES))];
        memcpy(config->trusted_proxies, proxies, strlen(proxies));
    }
    config->proxy_protocol = dice_chance(dice, 500);
    config->forwarded =
        DICE_PICK(dice, GYR_FORWARDED_NONE, GYR_FORWARDED_RFC_7239, GYR_FORWARDED_X);
    memset(config->hosts, 0, sizeof(config->hosts));
    if (dice_chance(dice, 200)) {
        memcpy(config->hosts, "sim *.example", sizeof("sim *.example"));
    }
    config->log_level = DICE_PICK(dice, GYR_LOG_OFF, GYR_LOG_WARNING, GYR_LOG_INFO, GYR_LOG_INFO,
                                  GYR_LOG_INFO, GYR_LOG_DEBUG);
    config->log_format = dice_chance(dice, 500) ? GYR_LOG_JSON : GYR_LOG_TEXT;
    config->log_rate_max = dice_chance(dice, 250) ? dice_between(dice, 1, 20) : 1000000;
    config->access_log = dice_chance(dice, 700);
}

/* From a stream of its own: worlds without an application are what they were. */
static bool app_draw(const struct plan *plan, enum profile profile)
{
    struct dice dice = dice_make(plan->seed, 8);
    return profile == PROFILE_APP || (profile == PROFILE_ANY && dice_chance(&dice, 250));
}

/* What an application needs on each core before anybody connects, and its messages. */
static void app_fit(struct plan *plan)
{
    struct gyr_config *config = &plan->config;
    struct dice dice = dice_make(plan->seed, 10);
    plan->has_app_rooms = dice_chance(&dice, 400);
    if (plan->has_app_rooms) {
        plan->switch_chance = DICE_PICK(&dice, 0, 100, 400, 800);
        plan->freeze_chance = DICE_PICK(&dice, 0, 5, 50, 200);
        config->broadcast_lanes = DICE_PICK(&dice, 1, 2);
        config->broadcast_entries = DICE_PICK(&dice, 2, 4, 64);
        config->broadcast_size_max = DICE_PICK(&dice, 6000, 20000, 1 << 20);
        config->rooms_max = 64;
    }
    config->core_heap_size_max += 24000;
    config->log_level = GYR_LOG_ERROR;
    config->access_log = 0;
    config->message_size_max = MAX(config->message_size_max, 400U);
    config->send_queue_size_max = MAX(config->send_queue_size_max, 1000U);
}

/* From a stream of its own: worlds without rooms are what they were. */
static void rooms_draw(struct plan *plan)
{
    struct dice dice = dice_make(plan->seed, 4);
    struct gyr_config *config = &plan->config;
    bool has_rooms = dice_chance(&dice, 550);
    if (plan->profile == PROFILE_ROOMS) {
        has_rooms = true;
        plan->core_count = MAX(plan->core_count, 2U);
        plan->listener_count = plan->core_count;
    }
    if (!has_rooms) {
        return;
    }
    plan->room_count = dice_between(&dice, 1, LEDGER_ROOMS_MAX);
    plan->thread_count = dice_below(&dice, THREADS_MAX + 1);
    plan->letters_max = DICE_PICK(&dice, 20, 100, 300);
    plan->letter_bytes = DICE_PICK(&dice, 2000, 6000, 12000);
    plan->act_chance = DICE_PICK(&dice, 100, 300, 700);
    plan->switch_chance = DICE_PICK(&dice, 0, 100, 400, 800);
    plan->freeze_chance = DICE_PICK(&dice, 0, 5, 50, 200);
    config->broadcast_lanes = DICE_PICK(&dice, 1, 1, 2, 4);
    config->broadcast_entries = DICE_PICK(&dice, 2, 2, 4, 8, 64);
    config->broadcast_size_max = DICE_PICK(&dice, 6000, 10000, 20000, 1 << 20);
    config->broadcast_copy_size = DICE_PICK(&dice, 0, 0, 40, 4096);
    config->rooms_max = dice_chance(&dice, 200) ? dice_between(&dice, 1, 4) : 64;
    config->conn_rooms_max = dice_chance(&dice, 200) ? dice_between(&dice, 1, 3) : 32;
}
