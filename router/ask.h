/* SPDX-License-Identifier: MIT */
/* Questions of the server to a client, and who waits for their answers. */
#ifndef ROUTER_ASK_H
#define ROUTER_ASK_H

#include "router/visit.h"

struct ask;

/* Whose answer is this? `answer` is the member "re" as it is written; NULL: nobody waits. */
struct ask *ask_find(const struct visit *visit, struct span answer);
const struct gyr_schema *ask_schema(const struct ask *ask);
/* It is over: `value` is a structure of that schema, or NULL and `fault` says why. Returns what the
 * function that has asked returned. */
MUST_CHECK int ask_finish(struct visit *visit, struct ask *ask, const void *value,
                          const struct gyr_fault *fault);

#endif
