/* SPDX-License-Identifier: MIT */
/* The access log: a line for each request and for each WebSocket that has ended. What it says of a
 * request's head is kept while the request is under way, since the head is not. */
#ifndef ENGINE_ACCESS_H
#define ENGINE_ACCESS_H

#include "engine/core.h"

/* A request has begun. Only with GUARD_F_ACCESS. */
void access_begin(struct transport *transport, const struct http_request *head,
                  const uint8_t *bytes);
/* Its response has this status code and, so far, this much content. All that follow do nothing if
 * access_begin was not called. */
void access_note_answer(struct transport *transport, unsigned status_code, uint64_t size);
void access_note_content(struct transport *transport, uint64_t size);
/* It has ended: write the line. A request that became a WebSocket has its line then, and another
 * when that has ended. */
void access_write(struct transport *transport, enum gyr_outcome outcome);
void access_ws_end(struct transport *transport, uint16_t close_code);

/* The engine has answered by itself before there was a request; 0: it could not. */
void access_refused(struct transport *transport, unsigned status_code);

/* The same where requests come by the million, and nobody may be asking. */
static inline void access_answered(struct transport *transport, unsigned status_code, uint64_t size)
{
    if (UNLIKELY(transport->core->visitors_used)) {
        access_note_answer(transport, status_code, size);
    }
}

static inline void access_content(struct transport *transport, uint64_t size)
{
    if (UNLIKELY(transport->core->visitors_used)) {
        access_note_content(transport, size);
    }
}

static inline void access_end(struct transport *transport, enum gyr_outcome outcome)
{
    if (UNLIKELY(transport->core->visitors_used)) {
        access_write(transport, outcome);
    }
}

#endif
