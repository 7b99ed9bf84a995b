/* SPDX-License-Identifier: MIT */
/* The policies of a public server in the world of one seed: where clients come from and what is
 * said of that, who may be refused or closed, how fast anybody may be heard, and what changes
 * while cores run. */
#ifndef TESTS_SIM_POLICY_H
#define TESTS_SIM_POLICY_H

#include "tests/sim/client.h"
#include "tests/sim/service.h"

struct item;
struct world;

void policy_init(struct world *world);
/* Is everything given back? */
void policy_deinit(struct world *world);
/* After each turn: are there no more connections than there may be? */
void policy_check(struct world *world);
/* Give the cores another configuration, now and then. */
void policy_step(struct world *world);
/* How long until the next upgrade is certain to be accepted? */
uint64_t policy_upgrade_wait_ns(const struct world *world);

/* ---- clients ---- */
void policy_client_init(struct client *client);
/* It has connected: name it, and let it say for whom it speaks. */
void policy_connected(struct client *client);
/* Fields that a request carries, which say who has sent it: `item` gets to know whom the service
 * must see. */
void policy_fields(struct client *client, struct item *item);
/* A request that a policy must refuse. Returns false if none has been written. */
bool policy_bad_request(struct client *client);
/* It has sent more. */
void policy_sent(struct client *client);
/* May it get this answer, or this Close, for a policy? It has an excuse then. */
bool policy_may_refuse(struct client *client, unsigned status);
bool policy_may_close(struct client *client, uint16_t close_code);

/* ---- the service ---- */
void policy_request_heard(struct visit *visit, const struct item *item);
/* It hears bytes of a message or of content, with which so many messages are complete. */
void policy_bytes_heard(struct visit *visit, size_t size, unsigned message_count);

#endif
