/* SPDX-License-Identifier: MIT */
/* Snapshots of who is connected, or in a room: gathered from all cores. */
#ifndef HUB_SNAPSHOT_H
#define HUB_SNAPSHOT_H

#include "base/base.h"
#include "base/list.h"

#include <stdatomic.h>

#define SNAPSHOTS_MAX 64 /* of one core: each takes 8 bytes for each connection that is in it */

struct hub_core;

/* Snapshots that are to be handed out on a core, and were not yet. */
struct snapshots {
    struct list waiting;    /* its own thread only */
    bool is_open;           /* its own thread only: between snapshots_begin and snapshots_end */
    _Atomic uint32_t count; /* any thread; with those whose first letter is on its way */
};

/* The core has begun. */
void snapshots_begin(struct hub_core *core);
/* The core ends, and takes no letters any more: hand out what there is. */
void snapshots_end(struct hub_core *core);

#endif
