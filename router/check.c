/* SPDX-License-Identifier: MIT */
/* What is wrong with a resource by itself. Every mistake is one line that begins with the place. */
#include "router/plan_make.h"

#define CHECK_ALIGN_MAX 16 /* of an instance: what allocations are aligned to */

static bool check_fields(struct plan_making *making, const struct made_type *type);
static void check_binary(struct plan_making *making, const struct made_type *type,
                         const struct plan_type *merged);

void check_type(struct plan_making *making, const struct made_type *type,
                const struct plan_type *merged)
{
    if (check_fields(making, type)) {
        check_binary(making, type, merged);
        check_hooks(making->mistakes, type->own.hooks);
    }
}

static bool check_fields(struct plan_making *making, const struct made_type *type)
{
    if (!type->is_readable) {
        mistakes_add(making->mistakes, NULL,
                     "a resource has the size %zu; begin it with GYR_RESOURCE",
                     type->declared->size);
        return false;
    }
    const struct gyr_resource *own = &type->own;
    if (own->instance_size != 0 && own->instance_align > CHECK_ALIGN_MAX) {
        mistakes_add(making->mistakes, own->at,
                     "the structure of the resource \"%s\" is aligned to %u bytes; it may be to %u",
                     own->name, own->instance_align, (unsigned)CHECK_ALIGN_MAX);
    }
    return true;
}

static void check_binary(struct plan_making *making, const struct made_type *type,
                         const struct plan_type *merged)
{
    (void)making;
    (void)type;
    (void)merged;
}

void check_hooks(struct mistakes *mistakes, const struct gyr_hook *hooks)
{
    for (; hooks != NULL && hooks->name != NULL; hooks++) {
        if (hooks->before_connect == NULL && hooks->after_connect == NULL &&
            hooks->before_receive == NULL && hooks->after_receive == NULL &&
            hooks->before_disconnect == NULL) {
            mistakes_add(mistakes, hooks->at,
                         "the hook \"%s\" has no function; give it one of the five", hooks->name);
        }
        if (hooks->data_size > DECLARE_HOOK_DATA) {
            mistakes_add(mistakes, hooks->at,
                         "the hook \"%s\" has data_size = %u; it is at most %u", hooks->name,
                         hooks->data_size, (unsigned)DECLARE_HOOK_DATA);
        }
    }
}
