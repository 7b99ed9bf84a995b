/* SPDX-License-Identifier: MIT */
/* How the instances of a chain come to be and end: the choice of a factory, inputs, create, guard,
 * give, destroy. Everything was laid out by the plan; nothing is searched for here but by
 * gyr_give and the values of a factory. */
#include "router/visit_parts.h"

/* A maker has made nothing else: its slot is not empty. */
static const char MADE_NULL = 0;

static int inputs_fill(struct visit *visit, uint8_t *self);
static int input_resolve(struct visit *visit, const struct plan_input *input, const void **pointer);
static int maker_make(struct visit *visit, uint16_t index, const void **pointer);
static int values_check(const struct plan_route *product, const struct gyr_value *values);

static const void **slots_at(struct visit *visit, uint32_t offset)
{
    return (const void **)(void *)((uint8_t *)visit + offset);
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
    const void **slots = slots_at(visit, route->makers_offset);
    for (size_t i = plan->maker_count; i-- != 0;) {
        const struct gyr_maker *maker = &plan->makers[i];
        if (slots[i] != NULL && maker->drop != NULL) {
            const void *made = slots[i] != &MADE_NULL ? slots[i] : NULL;
            maker->drop(visit->conn, maker->user, (void *)(uintptr_t)made);
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
    const char *name = input->name;
    if (input->source == PLAN_FROM_GIFT) {
        const struct plan_level *giver = &visit->route->levels[input->level];
        *pointer = slots_at(visit, giver->gifts_offset)[input->index];
        input = input->next;
        if (*pointer != NULL) {
            return 0;
        }
    }
    bool innermost = visit->level + 1 == visit->route->level_count;
    const struct gyr_value *value = innermost ? visit->values : NULL;
    for (; value != NULL && value->name != NULL; value++) {
        if (strcmp(value->name, name) == 0) {
            *pointer = value->pointer;
            return 0;
        }
    }
    if (input == NULL) {
        return 0;
    }
    switch (input->source) {
    case PLAN_FROM_POINTER:
        *pointer = input->pointer;
        return 0;
    case PLAN_FROM_SERVICE:
        /* Partner: gyr_app_service. */
        *pointer = atomic_load_explicit(&visit->core->plan->services[input->index].pointer,
                                        memory_order_acquire);
        return 0;
    case PLAN_FROM_MAKER:
        return maker_make(visit, input->index, pointer);
    case PLAN_FROM_GIFT:
        break;
    }
    ASSERT(false); /* what a gift falls back to is none */
    return GYR_ERR_STATE;
}

static int maker_make(struct visit *visit, uint16_t index, const void **pointer)
{
    const void **slot = &slots_at(visit, visit->route->makers_offset)[index];
    if (*slot == NULL) {
        const struct gyr_maker *maker = &visit->core->plan->makers[index];
        void *made = NULL;
        int err = visit_refused(visit, maker->make(visit->conn, maker->user, &made));
        if (err < 0) {
            const struct plan_type *type = visit->route->levels[visit->level].type;
            visit_failed(visit, err, "make", type->declared->name, maker->name);
            visit->flags |= VISIT_F_TOLD;
            return err;
        }
        *slot = made != NULL ? made : &MADE_NULL;
    }
    *pointer = *slot != &MADE_NULL ? *slot : NULL;
    return 0;
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
    /* Hooks of the application have run, and keep their data. */
    if (product->connect.data_offset != route->connect.data_offset) {
        uint8_t *bytes = (uint8_t *)visit;
        memmove(bytes + product->connect.data_offset, bytes + route->connect.data_offset,
                route->connect.data_size);
    }
    visit->route = product;
    visit->values = chosen.values;
    return (visit->flags & VISIT_F_HANDSHAKE) != 0 ? 0 : http_product(visit);
}

/* Does the product want these values? */
static int values_check(const struct plan_route *product, const struct gyr_value *values)
{
    const struct gyr_resource *resource = product->levels[product->level_count - 1].type->declared;
    for (const struct gyr_value *value = values; value != NULL && value->name != NULL; value++) {
        bool found = false;
        for (const struct gyr_resource *type = resource; type != NULL && !found;
             type = type->base) {
            const struct gyr_input *input = type->inputs;
            for (; input != NULL && input->name != NULL && !found; input++) {
                found =
                    strcmp(input->name, value->name) == 0 && strcmp(input->type, value->type) == 0;
            }
        }
        if (!found) {
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
    for (uint16_t i = 0; i < level->gift_count; i++) {
        if (strcmp(level->gifts[i].name, name) == 0) {
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
