/* SPDX-License-Identifier: MIT */
/* Messages on their way out: encoded in memory of the core, then given to the engine or the hub,
 * which copy. */
#ifndef ROUTER_SEND_H
#define ROUTER_SEND_H

#include "router/json.h"
#include "router/visit.h"

/* Send a message in the form of the visit's resource. `id` makes it a question, `answer` says whose
 * answer it is. As gyr_send_msg. */
MUST_CHECK int send_message(struct visit *visit, struct span id, struct span answer,
                            const struct gyr_schema *schema, const void *value);
/* Answer what is being handled with an error, once. As gyr_answer. */
int send_answer_error(struct visit *visit, const char *code, const char *reason, const char *path);

#endif
