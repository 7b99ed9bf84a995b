/* SPDX-License-Identifier: MIT */
/* One message to many: gyr_publish and its kin check their arguments and hand the message to the
 * backend; an ordinary room's comes back at once, through publish_local. That queues it to the
 * members on this core, or puts it into the broadcast ring, from which each core that has members
 * takes it (hub/deliver.c). */
#ifndef HUB_PUBLISH_H
#define HUB_PUBLISH_H

#include "base/base.h"
#include "gyr/gyr_backend.h"

#include <stdatomic.h>

struct hub;
struct hub_core;

#define PUBLISH_ERRORS_MAX 65536
#define PUBLISH_SIZE_MAX   INT32_MAX /* bytes of a payload */
#define PUBLISH_LANE_ALL   0         /* of messages to all WebSockets */

/* Deliver a publication to the members in this process. `from` is the calling core, or NULL.
 * Returns 0, GYR_ERR_BACKPRESSURE, GYR_ERR_MEMORY, GYR_ERR_CLOSED. publication->request, a struct
 * receipt, is given back if the result is 0, and stays with the backend otherwise. */
MUST_CHECK int publish_local(struct hub *hub, struct hub_core *from,
                             const struct gyr_publication *publication);
/* A publication that had a request comes to nothing. `from` as above. */
void publish_failed(struct hub_core *from, void *request, int err);

/* Is on_publish_ready to be called? `has_room`: the bell said that there is room in a lane. */
MUST_CHECK bool publish_is_ready(struct hub_core *core, bool has_room);

#endif
