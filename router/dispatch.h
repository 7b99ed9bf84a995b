/* SPDX-License-Identifier: MIT */
/* A message finds its handler: scan for the tag, perfect hash, decode, call (hops 7 and 8 of
 * docs/journey.md); what no handler gets goes to on_unhandled. Questions to the client and their
 * answers. */
#ifndef ROUTER_DISPATCH_H
#define ROUTER_DISPATCH_H

#include "router/visit.h"

/* Handle a message of an open WebSocket: between its hooks. Sets visit->id. Returns what the
 * handler, or on_unhandled, has returned (GYR_PENDING too); a failure has been told (visit_failed)
 * and answered if it was a request, when this or dispatch_finish returns it. */
MUST_CHECK int dispatch_message(struct visit *visit, enum gyr_opcode opcode,
                                struct gyr_span message);
/* What dispatch_message left pending has ended with `result`. Returns what counts. */
MUST_CHECK int dispatch_finish(struct visit *visit, int result);
/* The message is about to go, but not yet its id. */
void dispatch_keep_id(struct visit *visit);
/* The connection has ended: questions get their answer. */
void dispatch_end(struct visit *visit);
/* A function that got an answer, or none, outside of any message has failed. */
void dispatch_ask_failed(struct visit *visit, int err);

#endif
