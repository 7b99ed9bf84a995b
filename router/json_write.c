/* SPDX-License-Identifier: MIT */
/* Structures as JSON (journey: hop 9; RFC 8259). One pass over the schema, without recursion: what
 * is open is a stack of frames, as in json_read.c. What is written, the same schema reads. */
#include "router/json.h"
#include "router/json_emit.h"

#include <math.h>

struct frame {
    const struct gyr_schema *schema;
    const struct gyr_member *member; /* the next one */
    const uint8_t *value;
    bool is_begun;                  /* a comma stands before the next member */
    const struct gyr_member *array; /* of an item: the member whose item it is */
    size_t items_left;              /* behind this one */
};

struct writer {
    struct emit emit;
    const struct json_write *how;
    struct frame *top;
    unsigned depth; /* brackets that are open */
    struct frame frames[GYR_DEPTH_MAX];
};

static int structure_write(struct writer *writer);
static int member_write(struct writer *writer, const struct gyr_member *member);
static bool is_absent(const struct gyr_member *member, const uint8_t *value);
static bool is_id(const struct json_write *how, const struct gyr_member *member);
static int frame_open(struct writer *writer, const struct gyr_schema *schema, const void *value);
static void frame_close(struct writer *writer);
static int array_write(struct writer *writer, const struct gyr_member *member);
static int variant_write(struct writer *writer, const struct gyr_member *member);
static int value_write(struct writer *writer, const struct gyr_member *member, unsigned kind,
                       const uint8_t *from);
static int bool_write(struct emit *emit, const uint8_t *from);
static int int_write(struct emit *emit, const struct gyr_member *member, const uint8_t *from);
static int uint_write(struct emit *emit, const struct gyr_member *member, const uint8_t *from);
static int double_write(struct emit *emit, const struct gyr_member *member, const uint8_t *from);
static int enum_write(struct emit *emit, const struct gyr_member *member, const uint8_t *from);
static int raw_write(struct writer *writer, struct span raw);
static uint64_t integer_load(const uint8_t *from, unsigned width);
static struct span span_load(const uint8_t *from);
static bool size_fits(const struct gyr_member *member, size_t size);
static void head_write(struct emit *emit, const struct json_write *how, const char *quoted);

int json_write(const struct json_write *how, const struct gyr_schema *schema, const void *value,
               uint8_t *bytes, size_t capacity, size_t *size)
{
    const struct json_form *form = how->form;
    bool is_envelope = form != NULL && form->payload_name.size > 0;
    struct writer writer;
    writer.emit = emit_begin(bytes, capacity);
    writer.how = how;
    writer.depth = 0;
    *size = 0;
    if (form != NULL) {
        if (schema->tag == NULL) {
            return GYR_ERR_ARGUMENT;
        }
        head_write(&writer.emit, how, schema->quoted);
    } else {
        emit_byte(&writer.emit, '{');
    }
    if (is_envelope) {
        emit_name(&writer.emit, true, form->payload_name);
        emit_byte(&writer.emit, '{');
        writer.depth = 1;
    }
    writer.top = writer.frames;
    writer.depth++;
    writer.frames[0] = (struct frame){.schema = schema,
                                      .member = schema->members,
                                      .value = value,
                                      .is_begun = form != NULL && !is_envelope};
    int err = structure_write(&writer);
    if (is_envelope) {
        emit_byte(&writer.emit, '}');
    }
    return emit_end(&writer.emit, err, bytes, size);
}

/* The outermost structure, and all that is in it. */
static int structure_write(struct writer *writer)
{
    for (;;) {
        struct frame *frame = writer->top;
        const struct gyr_member *member = frame->member;
        if (member->name == NULL) {
            emit_byte(&writer->emit, '}');
            if (frame == writer->frames) {
                return 0;
            }
            frame_close(writer);
            continue;
        }
        frame->member++;
        if (member->optional && is_absent(member, frame->value)) {
            continue;
        }
        if (frame == writer->frames && is_id(writer->how, member)) {
            continue;
        }
        emit_key(&writer->emit, frame->is_begun, member->key, (size_t)member->name_size + 3);
        frame->is_begun = true;
        int err = member_write(writer, member);
        if (UNLIKELY(err != 0)) {
            return err;
        }
    }
}

/* Write the value of a member, or its begin: what is a structure gets a frame. */
static inline int member_write(struct writer *writer, const struct gyr_member *member)
{
    const uint8_t *from = writer->top->value + member->offset;
    if (member->kind == GYR_KIND_STRUCT) {
        emit_byte(&writer->emit, '{');
        return frame_open(writer, member->schema, from);
    }
    if (member->kind == GYR_KIND_ARRAY) {
        return array_write(writer, member);
    }
    if (member->kind == GYR_KIND_VARIANT) {
        return variant_write(writer, member);
    }
    return value_write(writer, member, member->kind, from);
}

/* An optional member that says itself that it is not there. Others, whose zero may be a value, have
 * a preset or a `presence` if it makes a difference. */
static bool is_absent(const struct gyr_member *member, const uint8_t *value)
{
    if (member->presence != 0) {
        return value[member->presence - 1] == 0;
    }
    if (member->kind != GYR_KIND_STRING && member->kind != GYR_KIND_BYTES &&
        member->kind != GYR_KIND_RAW && member->kind != GYR_KIND_ARRAY &&
        member->kind != GYR_KIND_VARIANT) {
        return false;
    }
    /* A pointer is what each of these begins with. */
    const void *pointer;
    memcpy(&pointer, value + member->offset, sizeof(pointer));
    if (pointer != NULL) {
        return false;
    }
    return member->kind == GYR_KIND_RAW || member->kind == GYR_KIND_VARIANT ||
           member->preset == NULL;
}

/* Is this the member whose place an id of the message has taken? */
static bool is_id(const struct json_write *how, const struct gyr_member *member)
{
    if (member->name_size != 2 || how->form == NULL || how->form->payload_name.size > 0) {
        return false;
    }
    return (how->id.size > 0 && memcmp(member->name, "id", 2) == 0) ||
           (how->answer.size > 0 && memcmp(member->name, "re", 2) == 0);
}

static int frame_open(struct writer *writer, const struct gyr_schema *schema, const void *value)
{
    if (writer->depth >= GYR_DEPTH_MAX) {
        return GYR_ERR_ARGUMENT;
    }
    writer->depth++;
    writer->top++;
    *writer->top = (struct frame){.schema = schema, .member = schema->members, .value = value};
    return 0;
}

/* A structure within others has ended: begin the array's next item, or end that, too. */
static void frame_close(struct writer *writer)
{
    struct frame *frame = writer->top;
    if (frame->array != NULL && frame->items_left > 0) {
        emit_bytes(&writer->emit, ",{", 2);
        frame->items_left--;
        frame->value += frame->array->item_size;
        frame->member = frame->schema->members;
        frame->is_begun = false;
        return;
    }
    writer->depth--;
    if (frame->array != NULL) {
        emit_byte(&writer->emit, ']');
        writer->depth--;
    }
    writer->top--;
}

static int array_write(struct writer *writer, const struct gyr_member *member)
{
    const uint8_t *value = writer->top->value;
    const uint8_t *items;
    size_t count;
    memcpy(&items, value + member->offset, sizeof(items));
    memcpy(&count, value + member->count_offset, sizeof(count));
    size_t count_max = member->count_max == 0 ? GYR_COUNT_MAX_DEFAULT : member->count_max;
    if (count < member->count_min || count > count_max || writer->depth >= GYR_DEPTH_MAX ||
        (items == NULL && count > 0)) {
        return GYR_ERR_ARGUMENT;
    }
    if (member->item_kind == GYR_KIND_STRUCT && count > 0) {
        emit_bytes(&writer->emit, "[{", 2);
        writer->depth++;
        int err = frame_open(writer, member->schema, items);
        if (err == 0) {
            writer->top->array = member;
            writer->top->items_left = count - 1;
        }
        return err;
    }
    emit_byte(&writer->emit, '[');
    writer->depth++;
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            emit_byte(&writer->emit, ',');
        }
        int err = value_write(writer, member, member->item_kind, items + i * member->item_size);
        if (err != 0) {
            return err;
        }
    }
    writer->depth--;
    emit_byte(&writer->emit, ']');
    return 0;
}

static int variant_write(struct writer *writer, const struct gyr_member *member)
{
    struct gyr_variant variant;
    memcpy(&variant, writer->top->value + member->offset, sizeof(variant));
    const struct gyr_choice *row = member->choices;
    while (row->schema != NULL && row->schema != variant.schema) {
        row++;
    }
    if (row->schema == NULL || variant.value == NULL) {
        return GYR_ERR_ARGUMENT;
    }
    const char *tag_name = member->tag_name == NULL ? "type" : member->tag_name;
    emit_byte(&writer->emit, '{');
    emit_name(&writer->emit, false, span_of(tag_name, strlen(tag_name)));
    emit_bytes(&writer->emit, row->schema->quoted, strlen(row->schema->quoted));
    int err = frame_open(writer, row->schema, variant.value);
    writer->top->is_begun = true;
    return err;
}

/* ---- values ---------------------------------------------------------------------------------- */

static inline int value_write(struct writer *writer, const struct gyr_member *member, unsigned kind,
                              const uint8_t *from)
{
    struct emit *emit = &writer->emit;
    switch (kind) {
    case GYR_KIND_BOOL:
        return bool_write(emit, from);
    case GYR_KIND_INT:
        return int_write(emit, member, from);
    case GYR_KIND_UINT:
        return uint_write(emit, member, from);
    case GYR_KIND_DOUBLE:
        return double_write(emit, member, from);
    case GYR_KIND_ENUM:
        return enum_write(emit, member, from);
    default:
        break;
    }
    struct span text = span_load(from);
    if (!size_fits(member, text.size)) {
        return GYR_ERR_ARGUMENT;
    }
    if (kind == GYR_KIND_STRING) {
        return emit_string(emit, text);
    }
    if (kind == GYR_KIND_RAW) {
        return raw_write(writer, text);
    }
    emit_base64(emit, text);
    return 0;
}

static int bool_write(struct emit *emit, const uint8_t *from)
{
    if (*from != 0) {
        emit_bytes(emit, "true", 4);
    } else {
        emit_bytes(emit, "false", 5);
    }
    return 0;
}

static int int_write(struct emit *emit, const struct gyr_member *member, const uint8_t *from)
{
    /* Move the sign to the top, and back with all bits above. */
    unsigned shift = 64 - (unsigned)member->width * 8;
    int64_t value = (int64_t)(integer_load(from, member->width) << shift) >> shift;
    if (member->ranged && (value < member->min || value > (int64_t)member->max)) {
        return GYR_ERR_ARGUMENT;
    }
    emit_integer(emit, value < 0, value < 0 ? -(uint64_t)value : (uint64_t)value);
    return 0;
}

static int uint_write(struct emit *emit, const struct gyr_member *member, const uint8_t *from)
{
    uint64_t value = integer_load(from, member->width);
    if (member->ranged && (value < (uint64_t)member->min || value > member->max)) {
        return GYR_ERR_ARGUMENT;
    }
    emit_integer(emit, false, value);
    return 0;
}

static int double_write(struct emit *emit, const struct gyr_member *member, const uint8_t *from)
{
    double value;
    memcpy(&value, from, sizeof(value));
    if (!isfinite(value) ||
        (member->real_ranged && (value < member->real_min || value > member->real_max))) {
        return GYR_ERR_ARGUMENT;
    }
    emit_double(emit, value);
    return 0;
}

static int enum_write(struct emit *emit, const struct gyr_member *member, const uint8_t *from)
{
    /* Of an enum's type only the size is known: its bytes are compared. */
    uint64_t mask = UINT64_MAX >> (64 - (unsigned)member->width * 8);
    uint64_t value = integer_load(from, member->width);
    for (const struct gyr_enum_name *row = member->names; row->name != NULL; row++) {
        if (((uint64_t)row->value & mask) == value) {
            return emit_string(emit, span_of(row->name, strlen(row->name)));
        }
    }
    return GYR_ERR_ARGUMENT;
}

static int raw_write(struct writer *writer, struct span raw)
{
    enum gyr_reason reason;
    if (json_walk_at(raw, writer->depth, &reason) != 0) {
        return GYR_ERR_ARGUMENT;
    }
    emit_bytes(&writer->emit, raw.ptr, raw.size);
    return 0;
}

static inline uint64_t integer_load(const uint8_t *from, unsigned width)
{
    uint16_t half;
    uint32_t word;
    uint64_t value;
    switch (width) {
    case sizeof(uint8_t):
        return *from;
    case sizeof(half):
        memcpy(&half, from, sizeof(half));
        return half;
    case sizeof(word):
        memcpy(&word, from, sizeof(word));
        return word;
    default:
        ASSERT(width == sizeof(value));
        memcpy(&value, from, sizeof(value));
        return value;
    }
}

static inline struct span span_load(const uint8_t *from)
{
    struct gyr_span span;
    memcpy(&span, from, sizeof(span));
    return span_of(span.ptr, span.size);
}

static inline bool size_fits(const struct gyr_member *member, size_t size)
{
    return size >= member->size_min && (member->size_max == 0 || size <= member->size_max);
}

/* ---- round the members ----------------------------------------------------------------------- */

/* Tag and ids, and no comma behind them. */
static void head_write(struct emit *emit, const struct json_write *how, const char *quoted)
{
    ASSERT(how->id.size <= JSON_ID_SIZE_MAX && how->answer.size <= JSON_ID_SIZE_MAX);
    emit_byte(emit, '{');
    emit_name(emit, false, how->form->tag_name);
    emit_bytes(emit, quoted, strlen(quoted));
    if (how->id.size > 0) {
        emit_bytes(emit, ",\"id\":", 6);
        emit_bytes(emit, how->id.ptr, how->id.size);
    }
    if (how->answer.size > 0) {
        emit_bytes(emit, ",\"re\":", 6);
        emit_bytes(emit, how->answer.ptr, how->answer.size);
    }
}

/* NOLINTNEXTLINE(readability-function-size): three texts, besides what json_write has */
int json_write_error(const struct json_write *how, struct span code, struct span reason,
                     struct span path, uint8_t *bytes, size_t capacity, size_t *size)
{
    struct emit emit = emit_begin(bytes, capacity);
    bool is_envelope = how->form->payload_name.size > 0;
    head_write(&emit, how, "\"error\"");
    if (is_envelope) {
        emit_name(&emit, true, how->form->payload_name);
        emit_byte(&emit, '{');
    }
    emit_name(&emit, !is_envelope, SPAN_LITERAL("code"));
    int err = emit_string(&emit, code);
    emit_name(&emit, true, SPAN_LITERAL("reason"));
    err = emit_string(&emit, reason) != 0 ? GYR_ERR_ARGUMENT : err;
    emit_name(&emit, true, SPAN_LITERAL("path"));
    err = emit_string(&emit, path) != 0 ? GYR_ERR_ARGUMENT : err;
    emit_bytes(&emit, "}}", 1 + (size_t)is_envelope);
    return emit_end(&emit, err, bytes, size);
}
