/* SPDX-License-Identifier: MIT */
/* One message to many: queued to the members on this core, and sent to the other cores that have
 * some by the broadcast ring. gyr_publish and its kin check their arguments and hand the message to
 * the backend (hub/backend.h); an ordinary room's comes back at once, through publish_local. */
#ifndef HUB_PUBLISH_H
#define HUB_PUBLISH_H

#include "base/base.h"
#include "gyr/gyr.h"

struct hub;
struct hub_core;

#define PUBLISH_ROOMS_MAX  64
#define PUBLISH_EXCEPT_MAX 64
#define PUBLISH_KEY_MAX    255
#define PUBLISH_ERRORS_MAX 65536

/* Deliver a message to the members on this process. `from` is the calling core, or NULL on any
 * other thread. `publish` was checked. `offset` of the room's history at `epoch`; 0: none. Returns
 * 0, GYR_ERR_BACKPRESSURE, GYR_ERR_MEMORY, GYR_ERR_CLOSED; then nothing was delivered, and
 * publish->done is not called. */
MUST_CHECK int publish_local(struct hub *hub, struct hub_core *from,
                             const struct gyr_publish *publish, uint64_t epoch, uint64_t offset);

/* The core's bell: take what the ring has for it. Returns 0, or the nanoseconds after which it
 * wants to be called again (a place is claimed and not filled yet). */
uint64_t publish_work(struct hub_core *core);

/* Take from one lane what can be taken: before a member is added (nothing that was published
 * before reaches it). */
void publish_drain(struct hub_core *core, unsigned lane);

/* The core ends: nothing of the ring waits for it any more, and nobody for what it had to do. */
void publish_end(struct hub_core *core);

#endif
