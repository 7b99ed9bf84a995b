/* SPDX-License-Identifier: MIT */
/* Types: all resources that a route can lead to, their bases and mixins, each merged behind those
 * it comes from. Bases are made first, with a stack of our own; a base that is being made already
 * leads back to itself. */
#include "router/plan_make.h"

static int types_collect(struct plan_making *making);
static int types_of_route(struct plan_making *making, const struct gyr_route *route);
static int types_of_type(struct plan_making *making, size_t index);
static int type_add(struct plan_making *making, const struct gyr_resource *resource);
static int type_put(struct plan_making *making, const struct gyr_resource *resource);
static int types_merge(struct plan_making *making, uint32_t *stack);
static uint32_t type_next_base(struct plan_making *making, struct made_type *type);
static int type_merge(struct plan_making *making, uint32_t index);
static void functions_merge(struct gyr_resource *merged, const struct gyr_resource *base);
static void settings_merge(const struct gyr_app *app, struct plan_type *out);
static void methods_merge(struct made_type *type, const struct made_type *base);
static int inputs_merge(struct plan_making *making, struct made_type *type,
                        const struct made_type *base);
static int gifts_merge(struct plan_making *making, struct made_type *type,
                       const struct made_type *base);
static int children_merge(struct plan_making *making, struct made_type *type,
                          const struct made_type *base);
static int child_make(struct plan_making *making, struct made_type *type,
                      const struct gyr_route *row);

int plan_types_make(struct plan_making *making)
{
    int err = types_collect(making);
    if (err < 0) {
        return err;
    }
    struct plan *plan = making->plan;
    plan->types = pool_alloc(making->pool, making->type_count * sizeof(*plan->types));
    uint32_t *stack = memory_alloc((making->type_count + 1) * sizeof(*stack));
    if (plan->types == NULL || stack == NULL) {
        memory_free(stack);
        return GYR_ERR_MEMORY;
    }
    plan->type_count = making->type_count;
    err = types_merge(making, stack);
    memory_free(stack);
    return err;
}

/* ---- which there are ------------------------------------------------------------------------- */

static int types_collect(struct plan_making *making)
{
    int err = 0;
    for (const struct gyr_router *router = making->app->routers; router != NULL;
         router = router->next) {
        for (size_t i = 0; err == 0 && i < router->row_count; i++) {
            err = types_of_route(making, &router->rows[i].route);
        }
    }
    /* types_of_type adds behind. */
    for (size_t i = 0; err == 0 && i < making->type_count; i++) {
        err = types_of_type(making, i);
    }
    return err;
}

static int types_of_route(struct plan_making *making, const struct gyr_route *route)
{
    int err = route->resource != NULL ? type_add(making, route->resource) : 0;
    for (const struct gyr_mixin *product = route->products;
         err == 0 && product != NULL && product->resource != NULL; product++) {
        err = type_add(making, product->resource);
    }
    return err;
}

static int types_of_type(struct plan_making *making, size_t index)
{
    const struct gyr_resource own = making->types[index].own;
    int err = own.base != NULL ? type_add(making, own.base) : 0;
    for (const struct gyr_mixin *mixin = own.mixins;
         err == 0 && mixin != NULL && mixin->resource != NULL; mixin++) {
        err = type_add(making, mixin->resource);
    }
    for (const struct gyr_route *child = own.children;
         err == 0 && child != NULL && (child->path != NULL || child->at != NULL); child++) {
        err = types_of_route(making, child);
    }
    return err;
}

static int type_add(struct plan_making *making, const struct gyr_resource *resource)
{
    return plan_type_of(making, resource) == PLAN_NO_TYPE ? type_put(making, resource) : 0;
}

uint32_t plan_type_of(const struct plan_making *making, const struct gyr_resource *resource)
{
    const void *address = resource;
    return text_map_find(&making->type_map, span_of_address(&address));
}

static int type_put(struct plan_making *making, const struct gyr_resource *resource)
{
    if (making->type_count == making->type_capacity) {
        size_t capacity = MAX(2 * making->type_capacity, (size_t)64);
        struct made_type *types = memory_alloc(capacity * sizeof(*types));
        if (types == NULL) {
            return GYR_ERR_MEMORY;
        }
        if (making->type_count != 0) {
            memcpy(types, making->types, making->type_count * sizeof(*types));
        }
        memory_free(making->types);
        making->types = types;
        making->type_capacity = capacity;
    }
    const void **key = pool_alloc(making->pool, sizeof(void *));
    if (key == NULL) {
        return GYR_ERR_MEMORY;
    }
    *key = resource;
    uint32_t index = (uint32_t)making->type_count;
    int err = text_map_add(&making->type_map, span_of_address(key), index);
    if (err < 0) {
        return err;
    }
    struct made_type *type = &making->types[making->type_count++];
    *type = (struct made_type){.declared = resource, .base = PLAN_NO_TYPE};
    type->is_readable = resource_read(resource, &type->own);
    return 0;
}

/* ---- in the order in which they build on each other ------------------------------------------ */

static int types_merge(struct plan_making *making, uint32_t *stack)
{
    int err = 0;
    for (uint32_t i = 0; i < making->type_count; i++) {
        size_t depth = 0;
        if (making->types[i].state == MADE_NOT_YET) {
            stack[depth++] = i;
        }
        while (err == 0 && depth > 0) {
            struct made_type *type = &making->types[stack[depth - 1]];
            type->state = MADE_BEGUN;
            uint32_t next = type_next_base(making, type);
            if (next != PLAN_NO_TYPE) {
                stack[depth++] = next;
                continue;
            }
            err = type_merge(making, stack[depth - 1]);
            type->state = MADE_DONE;
            depth--;
        }
    }
    return err;
}

/* A base or mixin that is to be made before this type. */
static uint32_t type_next_base(struct plan_making *making, struct made_type *type)
{
    if (type->own.base != NULL) {
        uint32_t base = plan_type_of(making, type->own.base);
        if (making->types[base].state == MADE_NOT_YET) {
            return base;
        }
        if (making->types[base].state == MADE_BEGUN) {
            mistakes_add(making->mistakes, type->own.at,
                         "the base of the resource \"%s\" leads back to it; cut the circle",
                         type->own.name);
            type->own.base = NULL;
        }
    }
    for (const struct gyr_mixin *mixin = type->own.mixins; mixin != NULL && mixin->resource != NULL;
         mixin++) {
        uint32_t index = plan_type_of(making, mixin->resource);
        if (making->types[index].state == MADE_NOT_YET) {
            return index;
        }
        if (making->types[index].state == MADE_BEGUN) {
            mistakes_add(making->mistakes, type->own.at,
                         "the mixins of the resource \"%s\" lead back to it; cut the circle",
                         type->own.name);
        }
    }
    return PLAN_NO_TYPE;
}

/* ---- a type ---------------------------------------------------------------------------------- */

static int type_merge(struct plan_making *making, uint32_t index)
{
    struct made_type *type = &making->types[index];
    struct plan_type *out = &making->plan->types[index];
    static const struct made_type none = {.base = PLAN_NO_TYPE};
    const struct made_type *base = &none;
    *out = (struct plan_type){.declared = type->declared, .merged = type->own};
    if (type->own.base != NULL) {
        type->base = plan_type_of(making, type->own.base);
        base = &making->types[type->base];
        functions_merge(&out->merged, &making->plan->types[type->base].merged);
    }
    settings_merge(making->app, out);
    methods_merge(type, base);
    int err = inputs_merge(making, type, base);
    if (err == 0) {
        err = gifts_merge(making, type, base);
    }
    if (err == 0) {
        err = children_merge(making, type, base);
    }
    if (err == 0) {
        err = plan_handlers_make(making, type, out);
    }
    if (err == 0) {
        check_type(making, type, out);
    }
    return err;
}

#define INHERIT(field)               \
    if (merged->field == 0) {        \
        merged->field = base->field; \
    }

static void functions_merge(struct gyr_resource *merged, const struct gyr_resource *base)
{
    INHERIT(create)
    INHERIT(destroy)
    INHERIT(guard)
    INHERIT(give)
    INHERIT(on_connect)
    INHERIT(on_disconnect)
    INHERIT(on_unhandled)
    INHERIT(on_text)
    INHERIT(on_binary)
    INHERIT(on_body)
    INHERIT(on_drain)
    INHERIT(on_timer)
    INHERIT(on_mail)
    INHERIT(on_recovered)
    INHERIT(binary_tag_size)
    INHERIT(form)
    INHERIT(tag_name)
    INHERIT(payload_name)
    INHERIT(failure_policy)
    INHERIT(subprotocols)
}

static void settings_merge(const struct gyr_app *app, struct plan_type *out)
{
    const struct gyr_app_options *options = &app->options;
    const struct gyr_resource *merged = &out->merged;
    enum gyr_form form = merged->form != GYR_FORM_DEFAULT ? merged->form : options->form;
    out->form.tag_name =
        span_of_text(merged->tag_name != NULL ? merged->tag_name : options->tag_name);
    if (form == GYR_FORM_ENVELOPE) {
        out->form.payload_name = span_of_text(merged->payload_name != NULL ? merged->payload_name
                                                                           : options->payload_name);
    }
    out->failure_policy = merged->failure_policy != GYR_FAILURE_DEFAULT ? merged->failure_policy
                                                                        : options->failure_policy;
    out->binary_tag_size = (uint16_t)merged->binary_tag_size;
}

static void methods_merge(struct made_type *type, const struct made_type *base)
{
    memcpy(type->methods, base->methods, sizeof(type->methods));
    plan_methods_take(type->methods, type->own.methods);
}

void plan_methods_take(struct plan_method *methods, const struct gyr_http_handler *rows)
{
    uint16_t taken = 0;
    for (; rows != NULL && rows->method != 0; rows++) {
        if (rows->method > GYR_METHOD_OPTIONS || (taken & (1U << rows->method)) != 0) {
            continue;
        }
        taken |= (uint16_t)(1U << rows->method);
        methods[rows->method] = (struct plan_method){
            .function = rows->function,
            .schema = rows->schema,
            .content_size_max = rows->content_size_max,
            .lenient = rows->lenient,
            .name = rows->name,
        };
    }
}

/* The base's first, but a row of the same name instead of the base's. */
static int inputs_merge(struct plan_making *making, struct made_type *type,
                        const struct made_type *base)
{
    size_t count = base->input_count;
    for (const struct gyr_input *row = type->own.inputs; row != NULL && row->name != NULL; row++) {
        count++;
    }
    type->inputs = pool_alloc(making->pool, count * sizeof(void *));
    if (type->inputs == NULL) {
        return GYR_ERR_MEMORY;
    }
    for (size_t i = 0; i < base->input_count; i++) {
        type->inputs[type->input_count++] = base->inputs[i];
    }
    for (const struct gyr_input *row = type->own.inputs; row != NULL && row->name != NULL; row++) {
        size_t at = 0;
        while (at < type->input_count && strcmp(type->inputs[at]->name, row->name) != 0) {
            at++;
        }
        type->inputs[at] = row;
        type->input_count = MAX(type->input_count, at + 1);
    }
    return 0;
}

static int gifts_merge(struct plan_making *making, struct made_type *type,
                       const struct made_type *base)
{
    size_t count = base->gift_count;
    for (const struct gyr_gift *row = type->own.gifts; row != NULL && row->name != NULL; row++) {
        count++;
    }
    type->gifts = pool_alloc(making->pool, count * sizeof(void *));
    if (type->gifts == NULL) {
        return GYR_ERR_MEMORY;
    }
    for (size_t i = 0; i < base->gift_count; i++) {
        type->gifts[type->gift_count++] = base->gifts[i];
    }
    for (const struct gyr_gift *row = type->own.gifts; row != NULL && row->name != NULL; row++) {
        size_t at = 0;
        while (at < type->gift_count && strcmp(type->gifts[at]->name, row->name) != 0) {
            at++;
        }
        type->gifts[at] = row;
        type->gift_count = MAX(type->gift_count, at + 1);
    }
    return 0;
}

/* ---- children -------------------------------------------------------------------------------- */

static int children_merge(struct plan_making *making, struct made_type *type,
                          const struct made_type *base)
{
    size_t count = base->child_count;
    for (const struct gyr_route *row = type->own.children;
         row != NULL && (row->path != NULL || row->at != NULL); row++) {
        count++;
    }
    type->children = pool_alloc(making->pool, count * sizeof(*type->children));
    if (type->children == NULL) {
        return GYR_ERR_MEMORY;
    }
    int err = 0;
    for (const struct gyr_route *row = type->own.children;
         err == 0 && row != NULL && (row->path != NULL || row->at != NULL); row++) {
        err = child_make(making, type, row);
    }
    type->own_child_count = type->child_count;
    for (size_t i = 0; i < base->child_count; i++) {
        size_t at = 0;
        while (at < type->own_child_count &&
               !span_equal(template_key(type->children[at].template),
                           template_key(base->children[i].template))) {
            at++;
        }
        if (at == type->own_child_count) {
            type->children[type->child_count++] = base->children[i];
        }
    }
    return err;
}

/* A child that is not sound is a mistake, and left out. */
static int child_make(struct plan_making *making, struct made_type *type,
                      const struct gyr_route *row)
{
    struct gyr_error error;
    struct template *template;
    int err = route_check(row, &error);
    if (err == 0) {
        err = template_parse(span_of_text(row->path), true, &template, &error);
    }
    if (err == GYR_ERR_MEMORY) {
        return err;
    }
    if (err != 0) {
        mistakes_add(making->mistakes, route_place(row), "%s", error.text);
        return 0;
    }
    for (size_t i = 0; i < type->child_count; i++) {
        const struct gyr_route *other = type->children[i].row;
        bool same_name =
            row->name != NULL && other->name != NULL && strcmp(row->name, other->name) == 0;
        bool same_path =
            (route_bits(row) & route_bits(other)) != 0 &&
            span_equal(template_key(type->children[i].template), template_key(template));
        if (same_name || same_path) {
            mistakes_add(making->mistakes, route_place(row),
                         "the %s \"%s\" is there twice below the resource \"%s\", first at %s; "
                         "%s one",
                         same_path ? "path" : "name", same_path ? row->path : row->name,
                         type->own.name, route_place(other), same_path ? "remove" : "rename");
            template_destroy(template);
            return 0;
        }
    }
    type->children[type->child_count++] = (struct made_child){.row = row, .template = template};
    return 0;
}

void plan_types_unmake(struct plan_making *making)
{
    for (size_t i = 0; i < making->type_count; i++) {
        const struct made_type *type = &making->types[i];
        size_t own_count = type->state == MADE_DONE ? type->own_child_count : type->child_count;
        for (size_t k = 0; k < own_count; k++) {
            template_destroy(type->children[k].template);
        }
    }
    memory_free(making->types);
    text_map_deinit(&making->type_map);
}
