/* SPDX-License-Identifier: MIT */
/* What is wrong with the messages of a resource: how they are written, which handlers there are,
 * which messages are said to be all. */
#include "router/plan_make.h"
#include "router/tag_name.h"

#define TAG_OF_ERRORS "error" /* of the standard form of errors: docs/wire.md */

static void check_tags(struct plan_making *making, const struct made_type *type);
static void check_members(struct plan_making *making, const struct made_type *type,
                          const struct plan_type *merged);
static void check_binary(struct plan_making *making, const struct made_type *type,
                         const struct plan_type *merged);
static void check_raw(struct plan_making *making, const struct made_type *type,
                      const struct plan_type *merged);
static const struct gyr_message_ref *listed(const struct plan_making *making,
                                            const struct made_type *type, size_t index);
static void check_listed_twice(struct plan_making *making, const struct made_type *type);
static bool is_handled(const struct plan_type *merged, struct span tag);
static bool is_listed(const struct plan_making *making, const struct made_type *type,
                      struct span tag);

void check_handlers(struct plan_making *making, const struct made_type *type,
                    const struct plan_type *merged)
{
    check_tags(making, type);
    check_members(making, type, merged);
    check_binary(making, type, merged);
    check_raw(making, type, merged);
    if (type->own.form != GYR_FORM_DEFAULT || type->own.tag_name != NULL ||
        type->own.payload_name != NULL) {
        check_form(making->mistakes, type->own.at, type->own.name, &merged->form);
    }
}

static void check_tags(struct plan_making *making, const struct made_type *type)
{
    for (const struct gyr_handler *row = type->own.handlers; row != NULL && row->kind != 0; row++) {
        if (row->kind > GYR_HANDLER_BINARY) {
            mistakes_add(making->mistakes, row->at,
                         "the handler \"%s\" is of a kind that does not exist; use GYR_ON or its "
                         "kin",
                         row->name);
        }
        if (row->schema != NULL) {
            check_schema(making->mistakes, row->schema);
        }
    }
    for (size_t i = 0; i < type->handlers.count; i++) {
        const struct made_handler *made = &type->handlers.rows[i];
        if (made->kind == GYR_HANDLER_TAG && span_equal(made->key, SPAN_LITERAL(TAG_OF_ERRORS))) {
            mistakes_add(making->mistakes, made->row->at,
                         "the handler \"%s\" is of the tag \"" TAG_OF_ERRORS
                         "\", which is that of errors; choose another",
                         made->row->name);
        }
    }
}

static void check_member(struct plan_making *making, const struct gyr_schema *schema,
                         struct span name, const char *what)
{
    if (json_has_member(schema, name)) {
        mistakes_add(making->mistakes, schema->at,
                     "struct %s has the member \"%.*s\", but that is %s in the flat form, in which "
                     "it comes to a handler; rename it, or use the envelope form",
                     schema->name, (int)name.size, name.ptr, what);
    }
}

/* In the flat form the members of a message stand beside those that all messages have. */
static void check_members(struct plan_making *making, const struct made_type *type,
                          const struct plan_type *merged)
{
    for (size_t i = 0; merged->form.payload_name.size == 0 && i < type->handlers.count; i++) {
        const struct gyr_schema *schema = type->handlers.rows[i].row->schema;
        check_member(making, schema, merged->form.tag_name, "the tag");
        check_member(making, schema, SPAN_LITERAL("re"), "whose answer a message is");
    }
}

void check_schema(struct mistakes *mistakes, const struct gyr_schema *schema)
{
    struct gyr_error error;
    if (gyr_schema_check(schema, &error) < 0) {
        mistakes_add_line(mistakes, error.text);
    }
}

static void check_binary(struct plan_making *making, const struct made_type *type,
                         const struct plan_type *merged)
{
    const struct gyr_resource *own = &type->own;
    if (own->binary_tag_size > 2) {
        mistakes_add(making->mistakes, own->at,
                     "the resource \"%s\" has binary_tag_size = %u; it is 1 or 2, or 0 for none",
                     own->name, own->binary_tag_size);
    }
    for (const struct gyr_handler *row = own->handlers; row != NULL && row->kind != 0; row++) {
        if (row->kind != GYR_HANDLER_BINARY) {
            continue;
        }
        if (merged->binary_tag_size == 0) {
            mistakes_add(making->mistakes, row->at,
                         "the handler \"%s\" is of the number %u, but the resource \"%s\" has no "
                         "binary_tag_size; set it to 1 or 2",
                         row->name, row->number, own->name);
        } else if (merged->binary_tag_size == 1 && row->number > UINT8_MAX) {
            mistakes_add(making->mistakes, row->at,
                         "the handler \"%s\" is of the number %u, which is no single byte; set "
                         "binary_tag_size of the resource \"%s\" to 2",
                         row->name, row->number, own->name);
        }
    }
    if (merged->binary_tag_size != 0 && merged->binary_count == 0) {
        mistakes_add(making->mistakes, own->at,
                     "the resource \"%s\" has binary_tag_size = %u, but no handler of a number; "
                     "add GYR_ON_BINARY, or leave it out",
                     own->name, merged->binary_tag_size);
    }
}

/* on_text and on_binary take messages away from handlers. */
static void check_raw(struct plan_making *making, const struct made_type *type,
                      const struct plan_type *merged)
{
    const struct gyr_resource *all = &merged->merged;
    if (all->on_binary != NULL && merged->binary_count > 0) {
        mistakes_add(making->mistakes, type->own.at,
                     "the resource \"%s\" has on_binary, which takes all binary messages, and "
                     "handlers of numbers; remove one of them",
                     type->own.name);
    }
    bool takes_binary = all->on_binary != NULL || merged->binary_tag_size != 0;
    if (all->on_text != NULL && takes_binary && merged->has_json) {
        mistakes_add(making->mistakes, type->own.at,
                     "the resource \"%s\" has on_text, which takes all text, and takes binary "
                     "messages in another way: no message comes to its handlers of tags; remove "
                     "one of them",
                     type->own.name);
    }
}

/* ---- how messages are written ---------------------------------------------------------------- */

static bool is_plain(struct span text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.ptr[i] < 0x20 || text.ptr[i] == '"' || text.ptr[i] == '\\') {
            return false;
        }
    }
    return text.size > 0;
}

static void check_form_name(struct mistakes *mistakes, const char *at, const char *what,
                            struct span name)
{
    if (!is_plain(name)) {
        mistakes_add(mistakes, at,
                     "the member \"%.*s\" of the messages of \"%s\" is empty, or has a quote, a "
                     "backslash or a control character; choose another name",
                     (int)name.size, name.ptr, what);
    } else if (span_equal(name, SPAN_LITERAL("id")) || span_equal(name, SPAN_LITERAL("re"))) {
        mistakes_add(mistakes, at,
                     "the member \"%.*s\" of the messages of \"%s\" is that of requests and "
                     "answers; choose another name",
                     (int)name.size, name.ptr, what);
    }
}

void check_form(struct mistakes *mistakes, const char *at, const char *what,
                const struct json_form *form)
{
    check_form_name(mistakes, at, what, form->tag_name);
    if (form->payload_name.ptr == NULL) {
        return;
    }
    check_form_name(mistakes, at, what, form->payload_name);
    if (span_equal(form->tag_name, form->payload_name)) {
        mistakes_add(mistakes, at,
                     "the messages of \"%s\" have \"%.*s\" as the name of their tag and of their "
                     "payload; choose two names",
                     what, (int)form->tag_name.size, form->tag_name.ptr);
    }
}

/* ---- all messages that there are ------------------------------------------------------------- */

void check_listed(struct plan_making *making, const struct made_type *type,
                  const struct plan_type *merged)
{
    if (listed(making, type, 0) == NULL) {
        return;
    }
    check_listed_twice(making, type);
    const struct gyr_message_ref *ref;
    for (size_t i = 0; (ref = listed(making, type, i)) != NULL; i++) {
        const struct gyr_schema *schema = ref->schema;
        check_schema(making->mistakes, schema);
        if (schema->tag == NULL) {
            mistakes_add(making->mistakes, schema->at,
                         "struct %s is among the messages of the resource \"%s\", but has no tag; "
                         "declare it with GYR_MESSAGE",
                         schema->name, type->own.name);
        } else if (!is_handled(merged, span_of_text(schema->tag))) {
            mistakes_add(making->mistakes, type->own.at,
                         "the message \"%s\" (struct %s) of the resource \"%s\" has no handler; "
                         "add one, or take it out of its messages",
                         schema->tag, schema->name, type->own.name);
        }
    }
    for (size_t i = 0; i < type->handlers.count; i++) {
        const struct made_handler *made = &type->handlers.rows[i];
        if (made->kind == GYR_HANDLER_TAG && !is_listed(making, type, made->key)) {
            mistakes_add(making->mistakes, made->row->at,
                         "the handler \"%s\" is of \"%.*s\", which is not among the messages of "
                         "the resource \"%s\"; add it there, or remove the handler",
                         made->row->name, (int)made->key.size, made->key.ptr, type->own.name);
        }
    }
}

/* Two structures with one tag. That of a base a type may have again, with another structure. */
static void check_listed_twice(struct plan_making *making, const struct made_type *type)
{
    const struct gyr_message_ref *first = type->own.messages;
    for (const struct gyr_message_ref *ref = first; ref != NULL && ref->schema != NULL; ref++) {
        const char *tag = ref->schema->tag;
        const struct gyr_message_ref *other = first;
        while (other < ref && (tag == NULL || other->schema->tag == NULL ||
                               strcmp(other->schema->tag, tag) != 0)) {
            other++;
        }
        if (other < ref) {
            mistakes_add(making->mistakes, ref->schema->at,
                         "struct %s and struct %s, at %s, have the same tag \"%s\", and both are "
                         "among the messages of the resource \"%s\"; remove one",
                         ref->schema->name, other->schema->name, other->schema->at, tag,
                         type->own.name);
        }
    }
}

/* The row with this index of the lists of a type and its bases; NULL behind the last. */
static const struct gyr_message_ref *listed(const struct plan_making *making,
                                            const struct made_type *type, size_t index)
{
    for (;;) {
        const struct gyr_message_ref *ref = type->own.messages;
        for (; ref != NULL && ref->schema != NULL; ref++) {
            if (index-- == 0) {
                return ref;
            }
        }
        if (type->base == PLAN_NO_TYPE) {
            return NULL;
        }
        type = &making->types[type->base];
    }
}

/* Is there a handler of this tag? What is looked for is read in words: its copy has room. */
static bool is_handled(const struct plan_type *merged, struct span tag)
{
    uint8_t bytes[TAG_NAME_SIZE(TAG_SIZE_MAX) + PERFECT_HASH_PADDING];
    if (tag.size > TAG_SIZE_MAX) {
        return false;
    }
    memset(bytes, 0, sizeof(bytes));
    if (merged->tags != NULL) {
        memcpy(bytes, tag.ptr, tag.size);
        if (perfect_hash_find(merged->tags, span_of(bytes, tag.size)) != PERFECT_HASH_NONE) {
            return true;
        }
    }
    if (merged->names == NULL) {
        return false;
    }
    size_t size = tag_name_write(tag, bytes);
    return perfect_hash_find(merged->names, span_of(bytes, size)) != PERFECT_HASH_NONE;
}

static bool is_listed(const struct plan_making *making, const struct made_type *type,
                      struct span tag)
{
    const struct gyr_message_ref *ref;
    for (size_t i = 0; (ref = listed(making, type, i)) != NULL; i++) {
        if (ref->schema->tag != NULL && span_equal(span_of_text(ref->schema->tag), tag)) {
            return true;
        }
    }
    return false;
}
