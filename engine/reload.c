/* SPDX-License-Identifier: MIT */
/* New settings for cores that run: all is checked and all memory taken before the first core is
 * told, so that either every core takes them over or none. */
#include "engine/reload.h"

#include "engine/config.h"
#include "engine/core.h"
#include "engine/error.h"
#include "engine/memory.h"
#include "engine/settings.h"

/* A configuration on its way to a core. */
struct reload {
    struct mail mail;          /* first: the mailbox frees it */
    struct gyr_config *target; /* borrowed; the core's own */
    struct gyr_config config;
};

static int reload_check(const struct gyr_settings *settings, const struct gyr_config *configs,
                        unsigned core_count, struct gyr_error *error);
static struct reload *reload_create(const struct gyr_settings *settings, struct gyr_config *target,
                                    unsigned core_index);
static void reload_run(struct core *core, struct mail *mail);

int reload_post(const struct gyr_settings *settings, struct core *const *cores,
                struct gyr_config *configs, unsigned core_count, struct gyr_error *error)
{
    int err = reload_check(settings, configs, core_count, error);
    if (err < 0) {
        return err;
    }
    struct reload **reloads = memory_alloc(core_count * sizeof(struct reload *));
    bool complete = reloads != NULL;
    for (unsigned i = 0; i < core_count && complete; i++) {
        reloads[i] = reload_create(settings, &configs[i], i);
        complete = reloads[i] != NULL;
    }
    bool taken = false;
    for (unsigned i = 0; i < core_count && complete; i++) {
        /* A core that has ended takes nothing, and needs nothing. */
        if (mailbox_give(&cores[i]->mailbox, &reloads[i]->mail) == 0) {
            reloads[i] = NULL;
            taken = true;
        }
    }
    for (unsigned i = 0; i < core_count && reloads != NULL; i++) {
        memory_free(reloads[i]);
    }
    memory_free(reloads);
    if (!complete) {
        return ERROR_SET(error, GYR_ERR_MEMORY, "reload: no memory for %u cores", core_count);
    }
    return taken ? 0 : ERROR_SET(error, GYR_ERR_STATE, "reload: the server has ended");
}

/* What cannot be reloaded is never written, so it may be read while the cores run. */
static int reload_check(const struct gyr_settings *settings, const struct gyr_config *configs,
                        unsigned core_count, struct gyr_error *error)
{
    int err = settings_check(settings, core_count, error);
    for (unsigned i = 0; i < core_count && err == 0; i++) {
        err = settings_check_reload(settings, i, &configs[i], error);
    }
    return err;
}

static struct reload *reload_create(const struct gyr_settings *settings, struct gyr_config *target,
                                    unsigned core_index)
{
    struct reload *reload = memory_alloc(sizeof(*reload));
    if (reload != NULL) {
        reload->mail.run = reload_run;
        reload->target = target;
        settings_of_core(settings, core_index, &reload->config);
    }
    return reload;
}

static void reload_run(struct core *core, struct mail *mail)
{
    const struct reload *reload = (const struct reload *)(const void *)mail;
    if (core->state != CORE_ENDED) {
        config_reload(reload->target, &reload->config);
        core_config_changed(core);
    }
}
