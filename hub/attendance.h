/* SPDX-License-Identifier: MIT */
/* Who is in the rooms whose rule asks for presence: what the backend is told of members that have a
 * text id, and gyr_presence. */
#ifndef HUB_ATTENDANCE_H
#define HUB_ATTENDANCE_H

#include "base/base.h"
#include "gyr/gyr.h"

#define ROLL_CALLS_MAX 64 /* of one core: each takes what the ids of the room take */

struct hub;
struct hub_core;
struct room;

/* A connection is about to be a member of a room. What the backend says. */
MUST_CHECK int attendance_join(struct hub_core *core, const struct room *room, uint32_t conn_index);
/* A member leaves. */
void attendance_leave(struct hub_core *core, const struct room *room, uint32_t conn_index);
/* A connection has got its text id; it is a member of whatever it is. If that fails nothing has
 * happened. */
MUST_CHECK int attendance_name(struct hub_core *core, uint32_t conn_index);

/* For the backend; any thread: see struct gyr_backend_hub. */
void attendance_done(struct hub *hub, void *request, int err, const struct gyr_span *ids,
                     size_t id_count);

#endif
