/* SPDX-License-Identifier: MIT */
/* A backend in use: is its table complete, and its state created and destroyed. A table that lacks
 * something is found when the server is made, and not by the first message that needs it. */
#include "hub/backend.h"

#include <stdio.h>

#define CAPABILITIES (GYR_BACKEND_ORDERS | GYR_BACKEND_HISTORY | GYR_BACKEND_PRESENCE)

/* X(function, the capability that asks for it; 0: all) */
#define FUNCTIONS(X)                         \
    X(create, 0)                             \
    X(destroy, 0)                            \
    X(core_start, 0)                         \
    X(core_stop, 0)                          \
    X(work, 0)                               \
    X(publish, 0)                            \
    X(subscribe, 0)                          \
    X(unsubscribe, 0)                        \
    X(history, GYR_BACKEND_HISTORY)          \
    X(presence_add, GYR_BACKEND_PRESENCE)    \
    X(presence_remove, GYR_BACKEND_PRESENCE) \
    X(presence, GYR_BACKEND_PRESENCE)

static int complain(struct gyr_error *error, const char *name, const char *what, const char *then)
{
    if (error != NULL) {
        (void)snprintf(error->text, sizeof(error->text), "backend \"%.60s\": %s%s", name, what,
                       then);
    }
    return GYR_ERR_CONFIG;
}

int backend_check(const struct gyr_backend *table, struct gyr_error *error)
{
    if (table->size != sizeof(*table)) {
        return complain(error, "?", "gyr_backend.size", " is not sizeof(struct gyr_backend)");
    }
    const char *name = table->name;
    if (name == NULL || name[0] == '\0') {
        return complain(error, "?", "gyr_backend.name", " is missing; give it one");
    }
    if ((table->capabilities & ~(uint32_t)CAPABILITIES) != 0) {
        return complain(error, name, "it declares a capability that is not known here",
                        "; build it against this version's gyr_backend.h");
    }
#define CHECK(function, capability)                                                         \
    if (table->function == NULL && (table->capabilities & (capability)) == (capability)) {  \
        return complain(error, name, "it has no function `" #function "`",                  \
                        (capability) == 0 ? ", which every backend must have"               \
                                          : ", which a capability that it declares needs"); \
    }
    FUNCTIONS(CHECK)
#undef CHECK
    return 0;
}

int backend_create(struct backend *backend, const struct gyr_backend *table,
                   const struct gyr_backend_hub *hub, struct gyr_error *error)
{
    *backend = (struct backend){0};
    if (table == NULL) {
        table = &backend_local;
    }
    int err = backend_check(table, error);
    if (err < 0) {
        return err;
    }
    backend->hub = *hub;
    backend->hub.size = sizeof(backend->hub);
    struct gyr_error line = {""}; /* for backends there always is one */
    err = table->create(&backend->hub, table->user, &backend->state, &line);
    if (err < 0 && line.text[0] == '\0') {
        (void)complain(error, table->name, "it cannot begin: ", gyr_strerror(err));
    } else if (err < 0 && error != NULL) {
        *error = line;
    }
    if (err == 0) {
        backend->table = table;
    }
    return err;
}

void backend_destroy(struct backend *backend)
{
    if (backend->table != NULL) {
        backend->table->destroy(backend->state);
    }
    *backend = (struct backend){0};
}
