/* SPDX-License-Identifier: MIT */
/* Snapshots of who is connected, or in a room: gathered from all cores. */
#ifndef HUB_SNAPSHOT_H
#define HUB_SNAPSHOT_H

#include "base/base.h"
#include "base/list.h"

struct hub_core;

/* Snapshots that are to be handed out on a core, and are not whole yet. Its own thread. */
struct snapshots {
    struct list waiting;
};

void snapshots_init(struct snapshots *snapshots);
/* The core ends, and takes no letters any more: hand out what there is. */
void snapshots_end(struct hub_core *core);

#endif
