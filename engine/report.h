/* SPDX-License-Identifier: MIT */
/* What the engine tells on_log. */
#ifndef ENGINE_REPORT_H
#define ENGINE_REPORT_H

#include "engine/core.h"
#include "engine/log.h"

/* Is somebody listening at this level? */
bool report_is_wanted(const struct gyr_service *service, const struct gyr_config *config,
                      enum gyr_log_level level);

/* Begin a line of a core; false: it is not wanted, or there have been too many. Then values are
 * added to it, and report_end hands it over. */
MUST_CHECK bool report_begin(struct core *core, enum gyr_log_level level, const char *event,
                             struct log_line *line);
void report_end(struct core *core, struct log_line *line);

/* The same outside of cores, on the thread of whoever called the server; there is no limit. */
MUST_CHECK bool report_server_begin(const struct gyr_service *service,
                                    const struct gyr_config *config, enum gyr_log_level level,
                                    const char *event, struct log_line *line);
void report_server_end(const struct gyr_service *service, struct log_line *line);

/* Something is wrong that the server lives with. */
void report_trouble(struct core *core, int err, uint64_t count);

/* It stops accepting, or has ended: with how many connections, and how many it has had. */
void report_core(struct core *core, const char *event);

/* A request was refused by the engine itself. */
void report_refused(struct transport *transport, int err);

/* A WebSocket was failed for a breach of protocol, or closed for its rate. */
void report_ws_failed(struct transport *transport, int err);

#endif
