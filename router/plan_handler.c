/* SPDX-License-Identifier: MIT */
/* The handlers of a type: its own rows, then those of its base that it has not replaced, then those
 * of its mixins; of two bases with one tag the first counts. Tags and names by convention get a
 * perfect hash each, numbers a sorted table. */
#include "router/plan_make.h"

/* While a type's rows are put together. */
struct merging {
    struct plan_making *making;
    struct made_type *type;
    struct text_map tags;
    struct text_map names;
    size_t own_count;
};

static int rows_reserve(struct merging *merging);
static int rows_own(struct merging *merging);
static int row_own(struct merging *merging, const struct gyr_handler *row);
static bool row_tag(struct merging *merging, const struct gyr_handler *row,
                    struct made_handler *made);
static bool row_named(struct merging *merging, const struct gyr_handler *row,
                      struct made_handler *made);
static int row_override(struct merging *merging, const struct gyr_handler *row);
static int row_put_own(struct merging *merging, const struct made_handler *made);
static int row_put(struct merging *merging, const struct made_handler *made);
static bool row_is_known(const struct merging *merging, const struct made_handler *made,
                         uint32_t *index);
static void row_twice(struct merging *merging, const struct made_handler *made, uint32_t first);
static int rows_inherit(struct merging *merging, const struct made_handlers *from);
static int tables_make(struct plan_making *making, const struct made_handlers *rows,
                       struct plan_type *out);
static int hash_make(struct plan_making *making, const struct made_handlers *rows,
                     enum gyr_handler_kind kind, struct perfect_hash **hash,
                     struct plan_handler **handlers);
static int binary_make(struct plan_making *making, const struct made_handlers *rows,
                       struct plan_type *out);
static struct plan_handler handler_of(const struct made_handler *made);

int plan_handlers_make(struct plan_making *making, struct made_type *type, struct plan_type *out)
{
    struct merging merging = {.making = making, .type = type};
    int err = rows_reserve(&merging);
    if (err == 0) {
        err = rows_own(&merging);
    }
    if (err == 0 && type->base != PLAN_NO_TYPE) {
        err = rows_inherit(&merging, &making->types[type->base].handlers);
    }
    for (const struct gyr_mixin *mixin = type->own.mixins;
         err == 0 && mixin != NULL && mixin->resource != NULL; mixin++) {
        const struct made_type *other = &making->types[plan_type_of(making, mixin->resource)];
        if (other->state == MADE_DONE) {
            err = rows_inherit(&merging, &other->handlers);
        }
    }
    text_map_deinit(&merging.tags);
    text_map_deinit(&merging.names);
    return err == 0 ? tables_make(making, &type->handlers, out) : err;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static int rows_reserve(struct merging *merging)
{
    const struct plan_making *making = merging->making;
    struct made_type *type = merging->type;
    size_t count = 0;
    for (const struct gyr_handler *row = type->own.handlers; row != NULL && row->kind != 0; row++) {
        count++;
    }
    if (type->base != PLAN_NO_TYPE) {
        count += making->types[type->base].handlers.count;
    }
    for (const struct gyr_mixin *mixin = type->own.mixins; mixin != NULL && mixin->resource != NULL;
         mixin++) {
        count += making->types[plan_type_of(making, mixin->resource)].handlers.count;
    }
    type->handlers.rows = pool_alloc(making->pool, count * sizeof(*type->handlers.rows));
    return type->handlers.rows != NULL ? 0 : GYR_ERR_MEMORY;
}

static int rows_own(struct merging *merging)
{
    int err = 0;
    for (const struct gyr_handler *row = merging->type->own.handlers;
         err == 0 && row != NULL && row->kind != 0; row++) {
        err = row_own(merging, row);
    }
    merging->own_count = merging->type->handlers.count;
    return err;
}

static int row_own(struct merging *merging, const struct gyr_handler *row)
{
    struct made_handler made = {
        .row = row,
        .kind = row->kind,
        .lenient = row->lenient,
        .payload_optional = row->payload_optional,
        .number = row->number,
    };
    bool is_sound = false;
    if (row->function == NULL) {
        mistakes_add(merging->making->mistakes, row->at,
                     "a handler of the resource \"%s\" has no function; give it one",
                     merging->type->own.name);
        return 0;
    }
    switch (row->kind) {
    case GYR_HANDLER_TAG:
        is_sound = row_tag(merging, row, &made);
        break;
    case GYR_HANDLER_NAMED:
        is_sound = row_named(merging, row, &made);
        break;
    case GYR_HANDLER_OVERRIDE:
        return row_override(merging, row);
    case GYR_HANDLER_BINARY:
        is_sound = true;
        break;
    }
    return is_sound ? row_put_own(merging, &made) : 0;
}

/* Twice is a mistake. */
static int row_put_own(struct merging *merging, const struct made_handler *made)
{
    uint32_t first;
    if (row_is_known(merging, made, &first)) {
        row_twice(merging, made, first);
        return 0;
    }
    return row_put(merging, made);
}

static bool row_tag(struct merging *merging, const struct gyr_handler *row,
                    struct made_handler *made)
{
    const char *tag = row->tag != NULL ? row->tag : row->schema != NULL ? row->schema->tag : NULL;
    if (tag == NULL) {
        mistakes_add(merging->making->mistakes, row->at,
                     "the handler \"%s\" is of struct %s, which has no tag; declare it with "
                     "GYR_MESSAGE, or use GYR_ON_NAMED",
                     row->name, row->schema != NULL ? row->schema->name : "?");
        return false;
    }
    if (strlen(tag) > TAG_SIZE_MAX) {
        mistakes_add(merging->making->mistakes, row->at,
                     "the tag of the handler \"%s\" has %zu bytes; it may have %d", row->name,
                     strlen(tag), TAG_SIZE_MAX);
        return false;
    }
    made->key = span_of_text(tag);
    return true;
}

/* The name of a function without what C++ puts in front: "on_say" of "&chat::on_say". */
static const char *name_plain(const char *name)
{
    const char *colon = strrchr(name, ':');
    name = colon != NULL ? colon + 1 : name;
    return name[0] == '&' ? name + 1 : name;
}

static bool row_named(struct merging *merging, const struct gyr_handler *row,
                      struct made_handler *made)
{
    const char *name = name_plain(row->name);
    const char *on = strncmp(name, "on_", 3) == 0 ? name : strstr(name, "_on_");
    if (on == NULL) {
        mistakes_add(merging->making->mistakes, row->at,
                     "the handler \"%s\" is by convention, but is not called on_... or "
                     "something_on_...; rename it, or use GYR_ON",
                     row->name);
        return false;
    }
    on += on == name ? 3 : 4;
    if (strspn(on, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(on)) {
        mistakes_add(merging->making->mistakes, row->at,
                     "the handler \"%s\" is by convention, but no tag becomes \"%s\"; write it "
                     "small",
                     row->name, on);
        return false;
    }
    made->key = span_of_text(on);
    return true;
}

/* Is this the handler that an override names: by its own function's name, or by that of what it
 * overrides itself? */
static bool is_called(const struct made_handler *made, const char *name)
{
    const struct gyr_handler *row = made->row;
    return strcmp(row->name, name) == 0 ||
           (row->kind == GYR_HANDLER_OVERRIDE && strcmp(row->tag, name) == 0);
}

/* Whose handler is overridden: the base's, or else that of the first mixin that has it. */
static const struct made_handlers *overridden(const struct merging *merging, const char *name)
{
    const struct plan_making *making = merging->making;
    const struct made_type *type = merging->type;
    const struct gyr_mixin *mixin = type->own.mixins;
    const struct made_type *from = type->base != PLAN_NO_TYPE ? &making->types[type->base] : NULL;
    for (;;) {
        for (size_t i = 0; from != NULL && i < from->handlers.count; i++) {
            if (is_called(&from->handlers.rows[i], name)) {
                return &from->handlers;
            }
        }
        if (mixin == NULL || mixin->resource == NULL) {
            return NULL;
        }
        from = &making->types[plan_type_of(making, mixin->resource)];
        mixin++;
    }
}

/* One function may stand there for several tags: for all of them. */
static int row_override(struct merging *merging, const struct gyr_handler *row)
{
    const struct made_handlers *theirs = overridden(merging, row->tag);
    if (theirs == NULL) {
        mistakes_add(merging->making->mistakes, row->at,
                     "the handler \"%s\" overrides \"%s\", but no base of the resource \"%s\" has "
                     "such a handler; name one of theirs, or use GYR_ON",
                     row->name, row->tag, merging->type->own.name);
        return 0;
    }
    int err = 0;
    for (size_t i = 0; err == 0 && i < theirs->count; i++) {
        struct made_handler made = theirs->rows[i];
        const struct gyr_schema *schema = made.row->schema;
        if (!is_called(&made, row->tag)) {
            continue;
        }
        if (schema == NULL || row->schema == NULL || strcmp(schema->name, row->schema->name) != 0) {
            mistakes_add(merging->making->mistakes, row->at,
                         "the handler \"%s\" of struct %s overrides \"%s\" of %s%s; take the same "
                         "message",
                         row->name, row->schema != NULL ? row->schema->name : "?", row->tag,
                         schema != NULL ? "struct " : "raw ",
                         schema != NULL ? schema->name : "text");
            continue;
        }
        made.row = row;
        err = row_put_own(merging, &made);
    }
    return err;
}

static bool row_is_known(const struct merging *merging, const struct made_handler *made,
                         uint32_t *index)
{
    const struct made_handlers *rows = &merging->type->handlers;
    *index = TEXT_MAP_NONE;
    if (made->kind == GYR_HANDLER_TAG) {
        *index = text_map_find(&merging->tags, made->key);
    } else if (made->kind == GYR_HANDLER_NAMED) {
        *index = text_map_find(&merging->names, made->key);
    } else {
        for (uint32_t i = 0; i < rows->count && *index == TEXT_MAP_NONE; i++) {
            if (rows->rows[i].kind == GYR_HANDLER_BINARY && rows->rows[i].number == made->number) {
                *index = i;
            }
        }
    }
    return *index != TEXT_MAP_NONE;
}

static void row_twice(struct merging *merging, const struct made_handler *made, uint32_t first)
{
    struct mistakes *mistakes = merging->making->mistakes;
    const struct gyr_handler *other = merging->type->handlers.rows[first].row;
    const char *resource = merging->type->own.name;
    int size = (int)made->key.size;
    if (made->kind == GYR_HANDLER_BINARY) {
        mistakes_add(mistakes, made->row->at,
                     "the resource \"%s\" has two handlers of the number %u, the first at %s; "
                     "remove one",
                     resource, made->number, other->at);
    } else if (made->kind == GYR_HANDLER_NAMED) {
        mistakes_add(
            mistakes, made->row->at,
            "the resource \"%s\" has two handlers by convention for \"on_%.*s\", the first "
            "at %s; rename one",
            resource, size, made->key.ptr, other->at);
    } else if (made->row->schema != NULL && other->schema != NULL &&
               strcmp(made->row->schema->name, other->schema->name) == 0) {
        mistakes_add(mistakes, made->row->at,
                     "the resource \"%s\" has two handlers of struct %s, the first at %s; remove "
                     "one",
                     resource, made->row->schema->name, other->at);
    } else {
        mistakes_add(mistakes, made->row->at,
                     "the resource \"%s\" has two handlers of the tag \"%.*s\", the first at %s; "
                     "remove one",
                     resource, size, made->key.ptr, other->at);
    }
}

static int row_put(struct merging *merging, const struct made_handler *made)
{
    struct made_handlers *rows = &merging->type->handlers;
    uint32_t index = (uint32_t)rows->count;
    int err = 0;
    if (made->kind == GYR_HANDLER_TAG) {
        err = text_map_add(&merging->tags, made->key, index);
    } else if (made->kind == GYR_HANDLER_NAMED) {
        err = text_map_add(&merging->names, made->key, index);
    }
    if (err == 0) {
        rows->rows[rows->count++] = *made;
    }
    return err;
}

static int rows_inherit(struct merging *merging, const struct made_handlers *from)
{
    int err = 0;
    uint32_t known;
    for (size_t i = 0; err == 0 && i < from->count; i++) {
        if (!row_is_known(merging, &from->rows[i], &known)) {
            err = row_put(merging, &from->rows[i]);
        }
    }
    return err;
}

/* ---- tables ---------------------------------------------------------------------------------- */

static int tables_make(struct plan_making *making, const struct made_handlers *rows,
                       struct plan_type *out)
{
    int err = hash_make(making, rows, GYR_HANDLER_TAG, &out->tags, &out->handlers);
    if (err == 0) {
        err = hash_make(making, rows, GYR_HANDLER_NAMED, &out->names, &out->named);
    }
    out->has_json = out->tags != NULL || out->names != NULL;
    return err == 0 ? binary_make(making, rows, out) : err;
}

static int hash_make(struct plan_making *making, const struct made_handlers *rows,
                     enum gyr_handler_kind kind, struct perfect_hash **hash,
                     struct plan_handler **handlers)
{
    struct span *keys = memory_alloc((rows->count + 1) * sizeof(*keys));
    struct plan_handler *made = pool_alloc(making->pool, rows->count * sizeof(*made));
    size_t count = 0;
    if (keys == NULL || made == NULL) {
        memory_free(keys);
        return GYR_ERR_MEMORY;
    }
    for (size_t i = 0; i < rows->count; i++) {
        if (rows->rows[i].kind == kind) {
            keys[count] = rows->rows[i].key;
            made[count++] = handler_of(&rows->rows[i]);
        }
    }
    int err = 0;
    if (count > 0) {
        size_t twins[2];
        err = perfect_hash_create(keys, count, hash, twins);
        ASSERT(err != GYR_ERR_EXISTS);
        *handlers = made;
    }
    if (err < 0) {
        *hash = NULL;
    }
    memory_free(keys);
    return err;
}

static struct plan_handler handler_of(const struct made_handler *made)
{
    return (struct plan_handler){
        .function = made->row->function,
        .schema = made->row->schema,
        .value_size = made->row->schema != NULL ? made->row->schema->struct_size : 0,
        .lenient = made->lenient,
        .payload_optional = made->payload_optional,
        .name = made->row->name,
        .at = made->row->at,
    };
}

static int binary_make(struct plan_making *making, const struct made_handlers *rows,
                       struct plan_type *out)
{
    uint32_t count = 0;
    for (size_t i = 0; i < rows->count; i++) {
        count += rows->rows[i].kind == GYR_HANDLER_BINARY;
    }
    out->binary = pool_alloc(making->pool, count * sizeof(*out->binary));
    out->binary_numbers = pool_alloc(making->pool, count * sizeof(*out->binary_numbers));
    if (out->binary == NULL || out->binary_numbers == NULL) {
        return GYR_ERR_MEMORY;
    }
    for (size_t i = 0; i < rows->count; i++) {
        const struct made_handler *row = &rows->rows[i];
        if (row->kind != GYR_HANDLER_BINARY) {
            continue;
        }
        uint32_t at = out->binary_count++;
        for (; at > 0 && out->binary_numbers[at - 1] > row->number; at--) {
            out->binary[at] = out->binary[at - 1];
            out->binary_numbers[at] = out->binary_numbers[at - 1];
        }
        out->binary[at] = handler_of(row);
        out->binary_numbers[at] = row->number;
    }
    return 0;
}
