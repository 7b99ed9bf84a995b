/* SPDX-License-Identifier: MIT */
/* The layer above the engine in the world of one seed: a server that has no threads, and what can
 * be seen of the hub from outside when everybody rests. */
#ifndef TESTS_SIM_WORLD_HUB_H
#define TESTS_SIM_WORLD_HUB_H

struct engine_layer;
struct world;

/* Before the cores are made. Does nothing in a world without rooms, as all of these. */
void world_hub_create(struct world *world);
const struct engine_layer *world_hub_layer(const struct world *world);
/* All cores are made. */
void world_hub_start(struct world *world);
/* Nobody has anything to do: is anything forgotten? */
void world_hub_quiet(struct world *world);
/* The cores have ended: is anything left? */
void world_hub_check_end(struct world *world);
void world_hub_destroy(struct world *world);

#endif
