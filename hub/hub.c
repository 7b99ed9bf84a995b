/* SPDX-License-Identifier: MIT */
/* The hub as a layer above the engine: how it begins and ends with the server and its cores, and
 * what it does when a core's bell rings or a connection ends. */
#include "hub/hub.h"

#include "engine/engine.h"

const struct engine_layer hub_layer = {0};

int gyr_server_create(const struct gyr_config *config, const struct gyr_service *service,
                      struct gyr_server **server, struct gyr_error *error)
{
    struct gyr_settings *settings;
    int err = gyr_settings_create(config, &settings, error);
    if (err < 0) {
        return err;
    }
    err = gyr_server_create_with(settings, service, server, error);
    gyr_settings_destroy(settings);
    return err;
}

int gyr_server_create_with(const struct gyr_settings *settings, const struct gyr_service *service,
                           struct gyr_server **server, struct gyr_error *error)
{
    return engine_server_create(settings, service, NULL, server, error);
}
