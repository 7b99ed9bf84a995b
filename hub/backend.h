/* SPDX-License-Identifier: MIT */
/* The inner side of the cluster seam (include/gyr/gyr_backend.h): the backend that a server uses,
 * and the one in this process that it uses if it is given none. */
#ifndef HUB_BACKEND_H
#define HUB_BACKEND_H

#include "base/base.h"
#include "gyr/gyr_backend.h"

/* A backend in use. Zero is none. */
struct backend {
    const struct gyr_backend *table; /* borrowed: lives as long as the server */
    void *state;                     /* the backend's own */
    struct gyr_backend_hub hub;      /* what it may call */
};

/* Rooms end at this process: what is published to an ordinary room is delivered within the call; a
 * room with a history has a home, one of the cores, that gives its messages their offsets, keeps
 * them, and delivers them. Orders such rooms, keeps histories, knows presence. */
extern const struct gyr_backend backend_local;

/* Has a table all that it declares? GYR_ERR_CONFIG with a line that names what is missing. */
MUST_CHECK int backend_check(const struct gyr_backend *table, struct gyr_error *error);

/* Check a table (NULL: backend_local) and create its state. `hub` is copied; the rest lives at the
 * same place until backend_destroy. */
MUST_CHECK int backend_create(struct backend *backend, const struct gyr_backend *table,
                              const struct gyr_backend_hub *hub, struct gyr_error *error);
/* Nothing happens to a backend that was not created. */
void backend_destroy(struct backend *backend);

static inline bool backend_can(const struct backend *backend, uint32_t capability)
{
    return (backend->table->capabilities & capability) == capability;
}

static inline int backend_publish(const struct backend *backend, unsigned core,
                                  const struct gyr_publication *publication)
{
    return backend->table->publish(backend->state, core, publication);
}

/* Does a room of this rule keep a history (with a backend that has any)? */
static inline bool backend_keeps(const struct backend *backend, const struct gyr_room_rule *rule)
{
    return rule != NULL && rule->history_count > 0 && backend_can(backend, GYR_BACKEND_HISTORY);
}

#endif
