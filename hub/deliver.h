/* SPDX-License-Identifier: MIT */
/* One message to the members on one core, and what the broadcast ring has for that core. */
#ifndef HUB_DELIVER_H
#define HUB_DELIVER_H

#include "base/base.h"
#include "engine/engine.h"
#include "hub/message.h"

struct hub;
struct hub_core;
struct member;
struct room;

/* Queue it to the members of its rooms on this core. One of the receipt's is released. */
void deliver_here(struct hub_core *core, const struct parcel *parcel);

/* Queue it to one member of a room. 0, or why the member has not got it. */
MUST_CHECK int deliver_one(struct hub_core *core, const struct parcel *parcel, struct room *room,
                           uint32_t conn_index);

/* The bell: take what the ring has for this core. True: it says that there is room again, too. */
MUST_CHECK bool deliver_work(struct hub_core *core);
/* Take from one lane what is there now, as far as it has been filled in. */
void deliver_drain(struct hub_core *core, unsigned lane);
/* Before a member joins or leaves a room of this lane: what was published before is not for a
 * newcomer. And what was published to that room and to others of the member comes with the first
 * that it is in: between two lanes that must not change, or it would come twice, or not at all. */
void deliver_before(struct hub_core *core, const struct member *member, unsigned lane);
/* The core ends: nothing in the ring is for it any more, and nobody waits for it. */
void deliver_end(struct hub_core *core);

#endif
