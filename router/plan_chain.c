/* SPDX-License-Identifier: MIT */
/* A route's chain of resources: where the inputs of each come from, which hooks lie round each
 * event, and how all of it is laid out in one piece of memory. */
#include "router/plan_make.h"
#include "router/visit.h"

/* Hooks of one event while they are gathered: first counted, then written. */
struct gathering {
    enum gyr_hook_event event; /* of its `before` */
    struct plan_hook *hooks;   /* NULL: count only */
    uint32_t count;
    uint32_t data_size;
};

static int input_make(struct plan_making *making, const struct gyr_input *row, bool is_product,
                      struct plan_input *input);
static void values_check(struct plan_making *making, const struct made_level *level);
static int levels_make(struct plan_making *making, struct plan_route *route,
                       struct plan_level **levels);
static int hooks_make(struct plan_making *making, enum gyr_hook_event event,
                      struct plan_hooks *hooks);
static void hooks_gather(const struct plan_making *making, struct gathering *gathering);
static void hooks_of_level(const struct plan_making *making, unsigned index,
                           struct gathering *gathering);
static void hooks_take(struct gathering *gathering, const struct gyr_hook *table, uint8_t level);
static void layout_make(struct plan_making *making, struct plan_route *route,
                        struct plan_level *levels);

/* ---- inputs ---------------------------------------------------------------------------------- */

int plan_inputs_make(struct plan_making *making, bool is_product)
{
    struct made_level *level = &making->levels[making->depth - 1];
    const struct made_type *type = &making->types[level->type];
    struct plan_input *inputs = pool_alloc(making->pool, type->input_count * sizeof(*inputs));
    if (inputs == NULL) {
        return GYR_ERR_MEMORY;
    }
    int err = 0;
    for (size_t i = 0; err == 0 && i < type->input_count; i++) {
        err = input_make(making, type->inputs[i], is_product, &inputs[i]);
    }
    level->inputs = inputs;
    if (!is_product) {
        values_check(making, level);
    }
    return err;
}

/* A further source: behind `*last`, or, for the first, `*last` itself. */
static int source_add(struct plan_making *making, struct plan_input **last, bool *is_first,
                      struct plan_input source)
{
    struct plan_input *at = *last;
    if (!*is_first) {
        struct plan_input *added = pool_alloc(making->pool, sizeof(*added));
        if (added == NULL) {
            return GYR_ERR_MEMORY;
        }
        added->offset = at->offset;
        added->name = at->name;
        added->type = at->type;
        added->at = at->at;
        at->next = added;
        at = added;
    }
    *is_first = false;
    at->source = source.source;
    at->level = source.level;
    at->index = source.index;
    at->pointer = source.pointer;
    *last = at;
    return 0;
}

/* The name stands there with another type: none is found then, and one mistake is enough. */
static void type_differs(struct plan_making *making, const struct gyr_input *row, const char *what,
                         const char *type, const char *at)
{
    const struct made_level *level = &making->levels[making->depth - 1];
    mistakes_add(making->mistakes, row->at,
                 "the resource \"%s\" wants \"%s\" as %s, but the %s of this name%s%s is %s; make "
                 "the types agree",
                 making->types[level->type].own.name, row->name, row->type, what,
                 at != NULL ? " at " : "", at != NULL ? at : "", type);
}

static bool gift_find(struct plan_making *making, const struct gyr_input *row,
                      struct plan_input *source, bool *is_wrong)
{
    for (unsigned i = making->depth - 1; i-- > 0;) {
        struct made_type *type = &making->types[making->levels[i].type];
        for (size_t k = 0; k < type->gift_count; k++) {
            const struct gyr_gift *gift = type->gifts[k];
            if (strcmp(gift->name, row->name) != 0) {
                continue;
            }
            struct span key = span_of_address((const void *const *)&type->gifts[k]);
            if (text_map_add(&making->gifts, key, 0) == GYR_ERR_MEMORY) {
                making->mistakes->out_of_memory = true;
            }
            if (!type_equals(gift->type, row->type)) {
                type_differs(making, row, "gift", gift->type, gift->at);
                *is_wrong = true;
            }
            *source = (struct plan_input){
                .source = PLAN_FROM_GIFT,
                .level = i,
                .index = (uint32_t)k,
            };
            return true;
        }
    }
    return false;
}

static bool value_find(struct plan_making *making, const struct gyr_input *row,
                       struct plan_input *source, bool *is_wrong)
{
    const struct gyr_value *value = making->levels[making->depth - 1].row->values;
    for (; value != NULL && value->name != NULL; value++) {
        if (strcmp(value->name, row->name) != 0) {
            continue;
        }
        if (!type_equals(value->type, row->type)) {
            type_differs(making, row, "value", value->type, value->at);
            *is_wrong = true;
        }
        *source = (struct plan_input){.source = PLAN_FROM_VALUE, .pointer = value->pointer};
        return true;
    }
    return false;
}

static bool service_find(struct plan_making *making, const struct gyr_input *row,
                         struct plan_input *source, const char **other_type)
{
    const struct plan *plan = making->plan;
    *other_type = NULL;
    for (size_t i = 0; i < plan->service_count; i++) {
        if (strcmp(plan->services[i].name, row->name) == 0) {
            if (type_equals(plan->services[i].type, row->type)) {
                *source = (struct plan_input){.source = PLAN_FROM_SERVICE, .index = (uint32_t)i};
                return true;
            }
            *other_type = plan->services[i].type;
        }
    }
    for (size_t i = 0; i < plan->maker_count; i++) {
        if (strcmp(plan->makers[i].name, row->name) == 0) {
            if (type_equals(plan->makers[i].type, row->type)) {
                *source = (struct plan_input){.source = PLAN_FROM_MAKER, .index = (uint32_t)i};
                return true;
            }
            *other_type = plan->makers[i].type;
        }
    }
    return false;
}

static int input_make(struct plan_making *making, const struct gyr_input *row, bool is_product,
                      struct plan_input *input)
{
    struct plan_input source;
    struct plan_input *last = input;
    const char *other_type = NULL;
    bool is_first = true;
    bool is_wrong = false;
    *input = (struct plan_input){
        .offset = row->offset, .name = row->name, .type = row->type, .at = row->at};
    int err = 0;
    if (gift_find(making, row, &source, &is_wrong)) {
        err = source_add(making, &last, &is_first, source);
    }
    if (err == 0 && value_find(making, row, &source, &is_wrong)) {
        err = source_add(making, &last, &is_first, source);
    }
    if (err == 0 && service_find(making, row, &source, &other_type)) {
        return source_add(making, &last, &is_first, source);
    }
    if (err < 0) {
        return err;
    }
    if (!is_first && last->source == PLAN_FROM_VALUE && !is_product) {
        return 0;
    }
    if (is_first && other_type != NULL) {
        type_differs(making, row, "service", other_type, NULL);
        is_wrong = true;
    }
    if (is_first && !is_wrong && !row->optional && !is_product) {
        mistakes_add(making->mistakes, row->at,
                     "the resource \"%s\" wants the service \"%s\" (%s), which nobody has "
                     "registered; call gyr_app_service before gyr_app_server",
                     making->types[making->levels[making->depth - 1].type].own.name, row->name,
                     row->type);
    }
    source = (struct plan_input){
        .source = row->optional ? PLAN_FROM_PRESET : PLAN_FROM_NOTHING,
        .pointer = row->preset,
    };
    return source_add(making, &last, &is_first, source);
}

bool plan_type_wants(const struct made_type *type, const char *name)
{
    for (size_t i = 0; i < type->input_count; i++) {
        if (strcmp(type->inputs[i]->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void values_check(struct plan_making *making, const struct made_level *level)
{
    const struct made_type *type = &making->types[level->type];
    for (const struct gyr_value *value = level->row->values; value != NULL && value->name != NULL;
         value++) {
        if (!plan_type_wants(type, value->name)) {
            mistakes_add(making->mistakes, value->at,
                         "the route \"%s\" has the value \"%s\", which the resource \"%s\" does "
                         "not want; remove it, or add an input of this name",
                         level->row->path, value->name, type->own.name);
        }
    }
}

/* ---- a chain --------------------------------------------------------------------------------- */

int plan_chain_make(struct plan_making *making, struct plan_route *route)
{
    struct plan_level *levels;
    int err = levels_make(making, route, &levels);
    if (err == 0) {
        err = hooks_make(making, GYR_BEFORE_CONNECT, &route->connect);
    }
    if (err == 0) {
        err = hooks_make(making, GYR_BEFORE_RECEIVE, &route->receive);
    }
    if (err == 0) {
        err = hooks_make(making, GYR_BEFORE_DISCONNECT, &route->disconnect);
    }
    if (err == 0) {
        layout_make(making, route, levels);
    }
    return err;
}

static int levels_make(struct plan_making *making, struct plan_route *route,
                       struct plan_level **levels_out)
{
    struct plan_level *levels = pool_alloc(making->pool, making->depth * sizeof(*levels));
    if (levels == NULL) {
        return GYR_ERR_MEMORY;
    }
    for (unsigned i = 0; i < making->depth; i++) {
        const struct made_level *level = &making->levels[i];
        const struct made_type *type = &making->types[level->type];
        levels[i] = (struct plan_level){
            .type = &making->plan->types[level->type],
            .gift_count = (uint32_t)type->gift_count,
            .gifts = type->gifts,
            .inputs = level->inputs,
            .input_count = (uint32_t)type->input_count,
        };
    }
    *levels_out = levels;
    route->levels = levels;
    route->level_count = (uint8_t)making->depth;
    return 0;
}

/* ---- hooks ----------------------------------------------------------------------------------- */

static int hooks_make(struct plan_making *making, enum gyr_hook_event event,
                      struct plan_hooks *hooks)
{
    struct gathering gathering = {.event = event};
    hooks_gather(making, &gathering);
    *hooks = (struct plan_hooks){.count = (uint16_t)gathering.count};
    if (gathering.count == 0) {
        return 0;
    }
    if (gathering.count > UINT16_MAX || gathering.data_size > PLAN_HOOK_DATA_MAX) {
        mistakes_add(making->mistakes, route_place(making->top),
                     "the hooks of a route below \"%s\" are %u with %u bytes of data; they may be "
                     "%u with %u; take some away",
                     making->top->path, gathering.count, gathering.data_size, UINT16_MAX,
                     PLAN_HOOK_DATA_MAX);
        hooks->count = 0;
        return 0;
    }
    struct plan_hook *made = pool_alloc(making->pool, gathering.count * sizeof(*made));
    if (made == NULL) {
        return GYR_ERR_MEMORY;
    }
    gathering = (struct gathering){.event = event, .hooks = made};
    hooks_gather(making, &gathering);
    hooks->hooks = made;
    hooks->data_size = gathering.data_size;
    while (hooks->global_count < hooks->count && made[hooks->global_count].level == PLAN_NO_LEVEL) {
        hooks->global_count++;
    }
    return 0;
}

static void hooks_gather(const struct plan_making *making, struct gathering *gathering)
{
    for (const struct app_hooks *added = making->app->hooks; added != NULL; added = added->next) {
        if (added->resource == NULL) {
            hooks_take(gathering, added->hooks, PLAN_NO_LEVEL);
        }
    }
    for (unsigned i = 0; i < making->depth; i++) {
        hooks_of_level(making, i, gathering);
    }
}

/* Of a type those of its base first, and of each what it declares before what was added. */
static void hooks_of_level(const struct plan_making *making, unsigned index,
                           struct gathering *gathering)
{
    uint32_t types[DECLARE_BASES_MAX];
    unsigned count = 0;
    for (uint32_t type = making->levels[index].type;
         type != PLAN_NO_TYPE && count < DECLARE_BASES_MAX; type = making->types[type].base) {
        types[count++] = type;
    }
    while (count-- > 0) {
        const struct made_type *type = &making->types[types[count]];
        hooks_take(gathering, type->own.hooks, (uint8_t)index);
        for (const struct app_hooks *added = making->app->hooks; added != NULL;
             added = added->next) {
            if (added->resource == type->declared) {
                hooks_take(gathering, added->hooks, (uint8_t)index);
            }
        }
    }
}

static void hooks_take(struct gathering *gathering, const struct gyr_hook *table, uint8_t level)
{
    for (; table != NULL && table->name != NULL; table++) {
        struct plan_hook hook = {
            .user = table->user,
            .name = table->name,
            .data_offset = gathering->data_size,
            .data_size = (uint16_t)table->data_size,
            .level = level,
        };
        if (gathering->event == GYR_BEFORE_CONNECT) {
            hook.before = table->before_connect;
            hook.after = table->after_connect;
        } else if (gathering->event == GYR_BEFORE_RECEIVE) {
            hook.before = table->before_receive;
            hook.after = table->after_receive;
        } else {
            hook.before = table->before_disconnect;
        }
        if (hook.before == NULL && hook.after == NULL) {
            continue;
        }
        if (gathering->hooks != NULL) {
            gathering->hooks[gathering->count] = hook;
        }
        gathering->count++;
        gathering->data_size += (table->data_size + 15) & ~15U;
    }
}

/* ---- layout ---------------------------------------------------------------------------------- */

static bool wants_makers(const struct plan_route *route)
{
    for (unsigned i = 0; i < route->level_count; i++) {
        for (uint32_t k = 0; k < route->levels[i].input_count; k++) {
            const struct plan_input *input = &route->levels[i].inputs[k];
            while (input != NULL && input->source != PLAN_FROM_MAKER) {
                input = input->next;
            }
            if (input != NULL) {
                return true;
            }
        }
    }
    return false;
}

/* Take a piece; its offset. */
static uint32_t piece(uint64_t *size, uint64_t wanted, uint64_t align)
{
    uint64_t offset = (*size + align - 1) & ~(align - 1);
    *size = offset + wanted;
    return (uint32_t)offset;
}

/* What is touched together stands together: the visit, its parameters, gifts and instances. Hooks
 * of connect and of receive never run at once. */
static void layout_make(struct plan_making *making, struct plan_route *route,
                        struct plan_level *levels)
{
    uint64_t size = sizeof(struct visit);
    route->params_offset =
        piece(&size, route->param_count * sizeof(struct visit_param), _Alignof(void *));
    for (unsigned i = 0; i < route->level_count; i++) {
        levels[i].gifts_offset = piece(&size, levels[i].gift_count * sizeof(void *), 8);
    }
    route->makers_offset = 0;
    if (wants_makers(route)) {
        route->makers_offset =
            piece(&size, making->plan->maker_count * sizeof(struct plan_made), 8);
    }
    for (unsigned i = 0; i < route->level_count; i++) {
        const struct gyr_resource *resource = &levels[i].type->merged;
        levels[i].instance_offset = 0;
        if (resource->instance_size != 0) {
            levels[i].instance_offset =
                piece(&size, resource->instance_size, MAX(resource->instance_align, 8U));
        }
    }
    /* Aligned as what is allocated: instances are not aligned to more, check.c sees to it. */
    uint32_t data = piece(&size, MAX(route->connect.data_size, route->receive.data_size), 16);
    route->connect.data_offset = data;
    route->receive.data_offset = data;
    route->disconnect.data_offset = piece(&size, route->disconnect.data_size, 16);
    if (size > PLAN_VISIT_MAX) {
        mistakes_add(making->mistakes, route_place(route->declared),
                     "a connection of the route \"%s\" takes %llu bytes for its resources; it may "
                     "take %u",
                     route->declared->path, (unsigned long long)size, PLAN_VISIT_MAX);
        size = PLAN_VISIT_MAX;
    }
    route->visit_size = (uint32_t)size;
}
