/* SPDX-License-Identifier: MIT */
/* Messages on their way out: encoded in memory of the core, then given to the engine or the hub,
 * which copy. */
#ifndef ROUTER_SEND_H
#define ROUTER_SEND_H

#include "router/json.h"
#include "router/visit.h"

/* What is written: a structure, or an error. */
struct send_job {
    struct json_write how;
    const struct gyr_schema *schema; /* NULL: the error */
    const void *value;
    struct span code;
    struct span reason;
    struct span path;
};

/* Encode it into memory of the core; `text` lives until send_release. GYR_ERR_ARGUMENT as
 * gyr_encode, GYR_ERR_LIMIT past size_max, GYR_ERR_MEMORY. */
MUST_CHECK int send_encode(struct app_core *core, const struct send_job *job, size_t size_max,
                           struct gyr_span *text);
/* Give back what is too much to be kept for the next one. */
void send_release(struct app_core *core);

/* Send a message in the form of the visit's resource. `id` makes it a question, `answer` says whose
 * answer it is. As gyr_send_msg. */
MUST_CHECK int send_message(struct visit *visit, struct span id, struct span answer,
                            const struct gyr_schema *schema, const void *value);
/* Answer what is being handled with an error, once. As gyr_answer_error. */
int send_answer_error(struct visit *visit, const char *code, const char *reason, const char *path);

#endif
