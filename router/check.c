/* SPDX-License-Identifier: MIT */
/* What is wrong with a resource by itself, and with what stands on no route as it was meant. Every
 * mistake is one line that begins with the place; what has to do with messages is in
 * check_message.c. */
#include "router/plan_make.h"

#define CHECK_ALIGN_MAX 16 /* of an instance: what allocations are aligned to */

static bool check_fields(struct plan_making *making, const struct made_type *type);
static void check_bases(struct plan_making *making, const struct made_type *type);
static void check_inputs(struct plan_making *making, const struct made_type *type);
static void check_gifts(struct plan_making *making, const struct made_type *type);
static void check_hooks(struct mistakes *mistakes, const struct gyr_hook *hooks);
static void check_subprotocols(struct plan_making *making, const struct made_type *type);
static void check_gifts_taken(struct plan_making *making, const struct made_type *type);

void check_type(struct plan_making *making, const struct made_type *type,
                const struct plan_type *merged)
{
    if (!check_fields(making, type)) {
        return;
    }
    check_bases(making, type);
    check_inputs(making, type);
    check_gifts(making, type);
    check_hooks(making->mistakes, type->own.hooks);
    check_subprotocols(making, type);
    check_methods(making->mistakes, type->own.methods, type->own.name);
    check_handlers(making, type, merged);
}

static bool check_fields(struct plan_making *making, const struct made_type *type)
{
    const struct gyr_resource *own = &type->own;
    if (!type->is_readable) {
        mistakes_add(making->mistakes, "a resource",
                     "its size is %zu; begin it with GYR_RESOURCE or GYR_RESOURCE_PLAIN",
                     type->declared->size);
        return false;
    }
    if (own->name == NULL || own->name[0] == 0) {
        mistakes_add(making->mistakes, own->at,
                     "a resource has no name; begin it with GYR_RESOURCE or GYR_RESOURCE_PLAIN");
        return false;
    }
    if (own->instance_size != 0 && (own->instance_align > CHECK_ALIGN_MAX ||
                                    (own->instance_align & (own->instance_align - 1)) != 0)) {
        mistakes_add(making->mistakes, own->at,
                     "the structure of the resource \"%s\" is aligned to %u bytes; it may be to "
                     "%u; keep what needs more behind a pointer",
                     own->name, own->instance_align, (unsigned)CHECK_ALIGN_MAX);
    }
    if (own->form > GYR_FORM_ENVELOPE || own->failure_policy > GYR_FAILURE_KEEP) {
        mistakes_add(making->mistakes, own->at,
                     "the resource \"%s\" has form %u and failure_policy %u; one of them does not "
                     "exist",
                     own->name, (unsigned)own->form, (unsigned)own->failure_policy);
    }
    return true;
}

static void check_bases(struct plan_making *making, const struct made_type *type)
{
    unsigned count = 1;
    for (uint32_t base = type->base; base != PLAN_NO_TYPE; base = making->types[base].base) {
        count++;
    }
    if (count > DECLARE_BASES_MAX) {
        mistakes_add(making->mistakes, type->own.at,
                     "the resource \"%s\" and its bases are %u; they may be %d", type->own.name,
                     count, DECLARE_BASES_MAX);
    }
    for (const struct gyr_mixin *mixin = type->own.mixins; mixin != NULL && mixin->resource != NULL;
         mixin++) {
        const struct gyr_resource *mixed =
            &making->types[plan_type_of(making, mixin->resource)].own;
        if (mixed->instance_size > type->own.instance_size) {
            mistakes_add(making->mistakes, type->own.at,
                         "the structure of the resource \"%s\" (%u bytes) is smaller than that of "
                         "its mixin \"%s\" (%u bytes), whose handlers get it; begin both alike",
                         type->own.name, type->own.instance_size, mixed->name,
                         mixed->instance_size);
        }
    }
    if (type->base == PLAN_NO_TYPE) {
        return;
    }
    const struct gyr_resource *base = &making->types[type->base].own;
    if (base->instance_size > type->own.instance_size) {
        mistakes_add(making->mistakes, type->own.at,
                     "the structure of the resource \"%s\" (%u bytes) is smaller than that of "
                     "its base \"%s\" (%u bytes); make the base's structure its first member",
                     type->own.name, type->own.instance_size, base->name, base->instance_size);
    }
}

static void check_inputs(struct plan_making *making, const struct made_type *type)
{
    const struct gyr_resource *own = &type->own;
    for (const struct gyr_input *row = own->inputs; row != NULL && row->name != NULL; row++) {
        if (row->type == NULL || row->offset % _Alignof(void *) != 0 ||
            (uint64_t)row->offset + sizeof(void *) > own->instance_size) {
            mistakes_add(making->mistakes, row->at,
                         "the input \"%s\" is no pointer within the structure of the resource "
                         "\"%s\" (%u bytes); use GYR_INPUT with the structure of this resource",
                         row->name, own->name, own->instance_size);
        }
        for (const struct gyr_input *other = own->inputs; other != row; other++) {
            if (strcmp(other->name, row->name) == 0) {
                mistakes_add(making->mistakes, row->at,
                             "the resource \"%s\" has two inputs \"%s\", the first at %s; remove "
                             "one",
                             own->name, row->name, other->at);
            }
        }
    }
}

static void check_gifts(struct plan_making *making, const struct made_type *type)
{
    const struct gyr_resource *own = &type->own;
    for (const struct gyr_gift *row = own->gifts; row != NULL && row->name != NULL; row++) {
        for (const struct gyr_gift *other = own->gifts; other != row; other++) {
            if (strcmp(other->name, row->name) == 0) {
                mistakes_add(making->mistakes, row->at,
                             "the resource \"%s\" has two gifts \"%s\", the first at %s; remove "
                             "one",
                             own->name, row->name, other->at);
            }
        }
    }
}

static void check_hooks(struct mistakes *mistakes, const struct gyr_hook *hooks)
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

/* A token (RFC 9110 section 5.6.2). */
static bool is_token(const char *text)
{
    static const char bytes[] = "!#$%&'*+-.^_`|~0123456789"
                                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return text[0] != 0 && strspn(text, bytes) == strlen(text);
}

static void check_subprotocols(struct plan_making *making, const struct made_type *type)
{
    const char *const *names = type->own.subprotocols;
    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        if (!is_token(names[i])) {
            mistakes_add(making->mistakes, type->own.at,
                         "the subprotocol \"%s\" of the resource \"%s\" is no token (RFC 9110 "
                         "section 5.6.2); use letters, digits and !#$%%&'*+-.^_`|~",
                         names[i], type->own.name);
        }
        for (size_t k = 0; k < i; k++) {
            if (strcmp(names[i], names[k]) == 0) {
                mistakes_add(making->mistakes, type->own.at,
                             "the resource \"%s\" has the subprotocol \"%s\" twice; remove one",
                             type->own.name, names[i]);
            }
        }
    }
}

void check_methods(struct mistakes *mistakes, const struct gyr_http_handler *methods,
                   const char *where)
{
    for (const struct gyr_http_handler *row = methods; row != NULL && row->method != 0; row++) {
        if (row->method > GYR_METHOD_OPTIONS) {
            mistakes_add(mistakes, row->at,
                         "the handler \"%s\" of \"%s\" is of the method %u, which does not exist; "
                         "see enum gyr_method",
                         row->name, where, (unsigned)row->method);
            continue;
        }
        if (row->function == NULL) {
            mistakes_add(mistakes, row->at,
                         "the handler of %s of \"%s\" has no function; give it one",
                         method_name(row->method), where);
        }
        if (row->schema != NULL &&
            (row->method == GYR_METHOD_GET || row->method == GYR_METHOD_HEAD)) {
            mistakes_add(mistakes, row->at,
                         "the handler \"%s\" wants content of %s, whose requests have none (RFC "
                         "9110 section 9.3.1); use GYR_HTTP, or POST",
                         row->name, method_name(row->method));
        }
        if (row->schema != NULL) {
            check_schema(mistakes, row->schema);
        }
        for (const struct gyr_http_handler *other = methods; other != row; other++) {
            if (other->method == row->method) {
                mistakes_add(mistakes, row->at,
                             "\"%s\" has two handlers of %s, the first at %s; remove one", where,
                             method_name(row->method), other->at);
            }
        }
    }
}

/* ---- once all routes are known --------------------------------------------------------------- */

void check_used(struct plan_making *making)
{
    for (size_t i = 0; i < making->type_count; i++) {
        const struct made_type *type = &making->types[i];
        if (type->is_used && type->is_readable) {
            check_listed(making, type, &making->plan->types[i]);
            check_gifts_taken(making, type);
        }
    }
}

static void check_gifts_taken(struct plan_making *making, const struct made_type *type)
{
    for (size_t i = 0; i < type->gift_count; i++) {
        struct span key = span_of_address((const void *const *)&type->gifts[i]);
        if (text_map_find(&making->gifts, key) == TEXT_MAP_NONE) {
            mistakes_add(making->mistakes, type->gifts[i]->at,
                         "the resource \"%s\" gives \"%s\", which nobody below it wants; remove "
                         "it, or add an input of this name",
                         type->own.name, type->gifts[i]->name);
        }
    }
}
