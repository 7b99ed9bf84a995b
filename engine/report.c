/* SPDX-License-Identifier: MIT */
/* Lines for on_log: who wants them, how many there may be, and those of single events. What an
 * operator must know is a warning; what a policy of his has refused is information; what peers do
 * wrong every day is for debugging. */
#include "engine/report.h"

#include <errno.h>
#include <time.h>

static uint64_t wall_ns(void)
{
    struct timespec time;
    const int err = clock_gettime(CLOCK_REALTIME, &time);
    ASSERT(err == 0);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

bool report_is_wanted(const struct gyr_service *service, const struct gyr_config *config,
                      enum gyr_log_level level)
{
    return service->on_log != NULL && level <= config->log_level;
}

bool report_begin(struct core *core, enum gyr_log_level level, const char *event,
                  struct log_line *line)
{
    const struct gyr_config *config = core->config;
    const struct gyr_service *service = core->service;
    if (!report_is_wanted(service, config, level)) {
        return false;
    }
    uint64_t dropped;
    if (!log_gate_pass(&core->log_gate, core->ring->now_ns, config->log_rate_max, &dropped)) {
        STATS_ADD(&core->stats, log_dropped, 1);
        return false;
    }
    enum gyr_log_format format = (enum gyr_log_format)config->log_format;
    uint64_t now_ns = core->ring->ops->wall_ns(core->ring);
    if (dropped != 0) {
        service->on_log(service->user, GYR_LOG_WARNING, log_dropped(line, format, dropped, now_ns));
    }
    log_begin(line, format, level, event, now_ns);
    log_number(line, "core", core->index);
    return true;
}

void report_end(struct core *core, struct log_line *line)
{
    report_server_end(core->service, line);
}

bool report_server_begin(const struct gyr_service *service, const struct gyr_config *config,
                         enum gyr_log_level level, const char *event, struct log_line *line)
{
    if (!report_is_wanted(service, config, level)) {
        return false;
    }
    log_begin(line, (enum gyr_log_format)config->log_format, level, event, wall_ns());
    return true;
}

void report_server_end(const struct gyr_service *service, struct log_line *line)
{
    enum gyr_log_level level = (enum gyr_log_level)line->level;
    service->on_log(service->user, level, log_end(line));
}

/* A limit alone does not say which to raise. */
static void error_add(const struct core *core, struct log_line *line, int err)
{
    log_text(line, "error", gyr_strerror(err));
    if (err == GYR_ERR_LIMIT && core->guard.limit != NULL) {
        log_text(line, "limit", core->guard.limit);
    }
}

void report_trouble(struct core *core, int err, uint64_t count)
{
    /* What the operator has limited is a warning, what the machine lacks an error. */
    bool limited = err == GYR_ERR_LIMIT || err == GYR_ERR_MEMORY || err == -ENOBUFS;
    struct log_line line;
    if (report_begin(core, limited ? GYR_LOG_WARNING : GYR_LOG_ERROR, "trouble", &line)) {
        error_add(core, &line, err);
        log_number(&line, "count", count);
        report_end(core, &line);
    }
}

void report_core(struct core *core, const char *event)
{
    struct log_line line;
    if (report_begin(core, GYR_LOG_INFO, event, &line)) {
        log_number(&line, "connections", core->open_count);
        log_number(&line, "accepted",
                   atomic_load_explicit(&core->stats.accepted, memory_order_relaxed));
        report_end(core, &line);
    }
}

static void report_of(struct transport *transport, enum gyr_log_level level, const char *event,
                      int err)
{
    struct core *core = transport->core;
    struct log_line line;
    if (!report_is_wanted(core->service, core->config, level) ||
        !report_begin(core, level, event, &line)) {
        return;
    }
    struct address client;
    guard_client(transport, &client);
    log_address(&line, "client", &client);
    error_add(core, &line, err);
    report_end(core, &line);
}

void report_refused(struct transport *transport, int err)
{
    bool policy = err == GYR_ERR_HTTP_ORIGIN || err == GYR_ERR_HTTP_MISDIRECTED ||
                  err == GYR_ERR_HTTP_FORWARDED || err == GYR_ERR_HTTP_PROXY ||
                  err == GYR_ERR_LIMIT;
    report_of(transport, policy ? GYR_LOG_INFO : GYR_LOG_DEBUG, "request.refused", err);
    transport->core->guard.limit = NULL;
}

void report_ws_failed(struct transport *transport, int err)
{
    bool policy = err == GYR_ERR_RATE;
    report_of(transport, policy ? GYR_LOG_INFO : GYR_LOG_DEBUG, "websocket.failed", err);
}
