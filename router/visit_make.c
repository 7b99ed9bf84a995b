/* SPDX-License-Identifier: MIT */
/* How the instances of a chain come to be and end: the choice of a factory, inputs, create, guard,
 * give, destroy. Everything was laid out by the plan; nothing is searched for here but by
 * gyr_give and the values of a factory. */
#include "router/declare.h"
#include "router/visit_parts.h"

static int inputs_fill(struct visit *visit, uint8_t *self);
static int input_resolve(struct visit *visit, const struct plan_input *input, const void **pointer);
static bool value_find(const struct gyr_value *values, const char *name, const void **pointer);
static int source_resolve(struct visit *visit, const struct plan_input *input,
                          const void **pointer);
static int maker_make(struct visit *visit, uint32_t index, const void **pointer);
static int make_failed(struct visit *visit, int err, const char *what, const char *name);
static void factory_move(struct visit *visit, const struct plan_route *product);
static int values_check(const struct plan_route *product, const struct gyr_value *values);

static const void **slots_at(struct visit *visit, uint32_t offset)
{
    return (const void **)(void *)((uint8_t *)visit + offset);
}

static struct plan_made *made_at(struct visit *visit, size_t index)
{
    return (struct plan_made *)(void *)((uint8_t *)visit + visit->route->makers_offset) + index;
}

int level_create(struct visit *visit)
{
    const struct plan_level *level = &visit->route->levels[visit->level];
    uint8_t *self = visit_self(visit, visit->level);
    const struct gyr_resource *type = &level->type->merged;
    int result = self != NULL ? inputs_fill(visit, self) : 0;
    if (result == 0 && type->create != NULL) {
        result = type->create(visit->conn, self);
    }
    if (result >= 0) {
        visit->made_count++; /* also while it waits: destroy is owed */
    }
    return result;
}

int level_guard(struct visit *visit)
{
    const struct gyr_resource *type = &visit->route->levels[visit->level].type->merged;
    void *self = visit_self(visit, visit->level);
    return type->guard != NULL ? type->guard(visit->conn, self, visit->request) : 0;
}

int level_give(struct visit *visit)
{
    const struct gyr_resource *type = &visit->route->levels[visit->level].type->merged;
    void *self = visit_self(visit, visit->level);
    return type->give != NULL ? type->give(visit->conn, self) : 0;
}

void levels_destroy(struct visit *visit)
{
    const struct plan_route *route = visit->route;
    while (visit->made_count != 0) {
        unsigned level = visit->made_count - 1U;
        const struct gyr_resource *type = &route->levels[level].type->merged;
        if (type->destroy != NULL) {
            type->destroy(visit->conn, visit_self(visit, level));
        }
        visit->made_count--;
    }
    if (route->makers_offset == 0) {
        return;
    }
    const struct plan *plan = visit->core->plan;
    for (size_t i = plan->maker_count; i-- != 0;) {
        struct plan_made *made = made_at(visit, i);
        if (made->is_made && plan->makers[i].drop != NULL) {
            plan->makers[i].drop(visit->conn, plan->makers[i].user, made->pointer);
        }
    }
}

/* ---- inputs ---- */

static int inputs_fill(struct visit *visit, uint8_t *self)
{
    const struct plan_level *level = &visit->route->levels[visit->level];
    for (uint32_t i = 0; i < level->input_count; i++) {
        const void *pointer = NULL;
        int err = input_resolve(visit, &level->inputs[i], &pointer);
        if (err < 0) {
            return err;
        }
        memcpy(self + level->inputs[i].offset, &pointer, sizeof(pointer));
    }
    return 0;
}

static int input_resolve(struct visit *visit, const struct plan_input *input, const void **pointer)
{
    bool innermost = visit->level + 1 == visit->route->level_count;
    const struct gyr_value *values = innermost ? visit->values : NULL;
    for (; input != NULL; input = input->next) {
        if (input->source == PLAN_FROM_GIFT) {
            const struct plan_level *giver = &visit->route->levels[input->level];
            *pointer = slots_at(visit, giver->gifts_offset)[input->index];
            if (*pointer != NULL) {
                return 0;
            }
        } else if (value_find(values, input->name, pointer)) {
            return 0;
        } else if (input->source != PLAN_FROM_VALUE || values == NULL) {
            return source_resolve(visit, input, pointer);
        }
    }
    ASSERT(false); /* the last one is no gift, and no value */
    return GYR_ERR_STATE;
}

static bool value_find(const struct gyr_value *values, const char *name, const void **pointer)
{
    for (const struct gyr_value *value = values; value != NULL && value->name != NULL; value++) {
        if (strcmp(value->name, name) == 0) {
            *pointer = value->pointer;
            return true;
        }
    }
    return false;
}

static int source_resolve(struct visit *visit, const struct plan_input *input, const void **pointer)
{
    switch (input->source) {
    case PLAN_FROM_VALUE:
    case PLAN_FROM_PRESET:
        *pointer = input->pointer;
        return 0;
    case PLAN_FROM_SERVICE:
        /* Partner: gyr_app_service. */
        *pointer = atomic_load_explicit(&visit->core->plan->services[input->index].pointer,
                                        memory_order_acquire);
        return 0;
    case PLAN_FROM_MAKER:
        return maker_make(visit, input->index, pointer);
    case PLAN_FROM_NOTHING:
        return make_failed(visit, GYR_ERR_ARGUMENT, "input", input->name);
    case PLAN_FROM_GIFT:
        break;
    }
    ASSERT(false);
    return GYR_ERR_STATE;
}

static int maker_make(struct visit *visit, uint32_t index, const void **pointer)
{
    struct plan_made *made = made_at(visit, index);
    if (!made->is_made) {
        const struct gyr_maker *maker = &visit->core->plan->makers[index];
        int err = visit_refused(visit, maker->make(visit->conn, maker->user, &made->pointer));
        if (err < 0) {
            return make_failed(visit, err, "make", maker->name);
        }
        made->is_made = true;
    }
    *pointer = made->pointer;
    return 0;
}

/* Tell here what is no function of a resource. */
static int make_failed(struct visit *visit, int err, const char *what, const char *name)
{
    const struct plan_type *type = visit->route->levels[visit->level].type;
    visit_failed(visit, err, what, type->declared->name, name);
    visit->flags |= VISIT_F_TOLD;
    return err;
}

/* ---- factories ---- */

int factory_choose(struct visit *visit)
{
    const struct plan_route *route = visit->route;
    const struct gyr_route *row = route->factory;
    struct gyr_product chosen = {0};
    int err = visit_refused(visit, row->factory(visit->conn, row->user, visit->request, &chosen));
    if (err < 0) {
        return err;
    }
    const struct plan_route *product = NULL;
    for (uint32_t i = 0; i < route->product_count && product == NULL; i++) {
        const struct plan_route *candidate = &route->products[i];
        if (candidate->levels[candidate->level_count - 1].type->declared == chosen.resource) {
            product = candidate;
        }
    }
    if (product == NULL || values_check(product, chosen.values) < 0) {
        return GYR_ERR_ARGUMENT;
    }
    factory_move(visit, product);
    visit->route = product;
    visit->values = chosen.values;
    return http_product(visit);
}

/* Hooks of the application have run, and keep their data, which lies behind all that is made. What
 * is made from now on is zero at first. */
static void factory_move(struct visit *visit, const struct plan_route *product)
{
    const struct plan_route *route = visit->route;
    uint8_t *bytes = (uint8_t *)visit;
    size_t from = route->connect.data_offset;
    size_t to = product->connect.data_offset;
    size_t params_end =
        route->params_offset + (size_t)route->param_count * sizeof(struct visit_param);
    ASSERT(to >= from && product->params_offset == route->params_offset);
    memmove(bytes + to, bytes + from, route->connect.data_size);
    memset(bytes + params_end, 0, to - params_end);
}

/* Does the product want these values? */
static int values_check(const struct plan_route *product, const struct gyr_value *values)
{
    const struct plan_level *level = &product->levels[product->level_count - 1];
    for (const struct gyr_value *value = values; value != NULL && value->name != NULL; value++) {
        bool wanted = false;
        for (uint32_t i = 0; i < level->input_count && !wanted; i++) {
            wanted = strcmp(level->inputs[i].name, value->name) == 0 &&
                     type_equals(level->inputs[i].type, value->type);
        }
        if (!wanted) {
            return GYR_ERR_ARGUMENT;
        }
    }
    return 0;
}

/* ---- gifts ---- */

int gyr_give(struct gyr_conn *conn, const char *name, const void *pointer)
{
    struct visit *visit = visit_of(conn);
    if (visit->stage != VISIT_GIVE) {
        return GYR_ERR_STATE;
    }
    const struct plan_level *level = &visit->route->levels[visit->level];
    for (uint32_t i = 0; i < level->gift_count; i++) {
        if (strcmp(level->gifts[i]->name, name) == 0) {
            slots_at(visit, level->gifts_offset)[i] = pointer;
            return 0;
        }
    }
    if ((visit->flags & VISIT_F_BAD_GIFT) == 0) {
        size_t size = strlen(name) + 1;
        char *copy = visit_keep_alloc(visit, size);
        if (copy != NULL) {
            memcpy(copy, name, size);
            visit->refuse_text = (struct gyr_span){copy, size - 1};
        }
    }
    visit->flags |= VISIT_F_BAD_GIFT;
    return GYR_ERR_NOT_FOUND;
}
