/* SPDX-License-Identifier: MIT */
/* gyr_join_since: between the connections of a core, the backend that knows what they missed, and
 * hub/recover.c, which puts the one behind the other. */
#ifndef HUB_RECOVERY_H
#define HUB_RECOVERY_H

#include "base/base.h"
#include "hub/recover.h"

struct hub;
struct hub_core;
struct parcel;
struct room;

/* Of a core: before and after all that follows. */
MUST_CHECK int recovery_begin(struct hub_core *core);
void recovery_end(struct hub_core *core);

/* A member of a room with room->recover_count > 0 is about to be given a message that has an
 * offset: is it to be? Only RECOVER_PASSES is. */
enum recover_verdict recovery_judge(struct hub_core *core, struct room *room,
                                    const struct parcel *parcel, uint32_t conn_index);
/* A member of such a room leaves. */
void recovery_leave(struct hub_core *core, struct room *room, uint32_t conn_index);

/* For the backend; any thread: see struct gyr_backend_hub. */
MUST_CHECK int recovery_done(struct hub *hub, void *request,
                             const struct gyr_backend_history *history);

#endif
