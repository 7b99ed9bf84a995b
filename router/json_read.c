/* SPDX-License-Identifier: MIT */
/* Objects of JSON into structures (journey: hop 8; RFC 8259 sections 4 and 5), member by member, in
 * one pass and without recursion: what is open is a stack of frames. Most senders write members in
 * the schema's order without blanks, so each is first compared with the member whose turn it is, in
 * quotes and with its colon; only then it is searched for.
 *
 *     OPEN    behind a {:                    a name, or }          member_read, frame_close
 *     MEMBER  a name has to come:                                  member_read
 *     BEHIND  a value has ended:             , or }                frame_close
 *
 * An array of plain values is read in one go. The items of an array of structures take turns in one
 * frame, which frame_close opens again until the array ends. */
#include "router/arena.h"
#include "router/json_reader.h"

#define ITEMS_MIN     4
#define ITEMS_ALIGN   16
#define WORD          sizeof(uint64_t)
#define HALF          sizeof(uint32_t)
#define TAG_NAME      "type" /* where nothing else is said */
#define KEY_MARK_SIZE 3      /* quotes and colon of a key */

enum step {
    STEP_OPEN,
    STEP_MEMBER,
    STEP_BEHIND
};

static const uint8_t *frames_read(struct json_reader *reader, const uint8_t *at);
static const uint8_t *member_read(struct json_reader *reader, const uint8_t *at, enum step *step);
static bool key_matches(const struct json_reader *reader, const uint8_t *at,
                        const struct gyr_member *member);
static const uint8_t *member_search(struct json_reader *reader, const uint8_t *at,
                                    const struct gyr_member **member);
static const uint8_t *unknown_read(struct json_reader *reader, struct span name, unsigned marks,
                                   const uint8_t *at);
static const uint8_t *choice_tag_check(struct json_reader *reader, const uint8_t *at);
static const uint8_t *value_read(struct json_reader *reader, const struct gyr_member *member,
                                 const uint8_t *at, enum step *step);
static const uint8_t *null_read(struct json_reader *reader, const struct gyr_member *member,
                                const uint8_t *at);
static const uint8_t *frame_open(struct json_reader *reader, const struct gyr_schema *schema,
                                 const uint8_t *at, uint8_t *value);
static void frame_begin(struct json_frame *frame, const struct gyr_schema *schema, uint8_t *value);
static int frame_finish(struct json_reader *reader, struct json_frame *frame);
static const uint8_t *frame_close(struct json_reader *reader, const uint8_t *at, enum step *step);
static const uint8_t *array_read(struct json_reader *reader, const struct gyr_member *member,
                                 const uint8_t *at, enum step *step);
static const uint8_t *array_plain_read(struct json_reader *reader, const struct gyr_member *member,
                                       const uint8_t *at);
static const uint8_t *array_structures_open(struct json_reader *reader,
                                            const struct gyr_member *member, const uint8_t *at);
static uint8_t *items_grow(struct json_reader *reader, const struct gyr_member *member,
                           uint8_t *items, size_t *room);
static int array_store(struct json_reader *reader, const struct gyr_member *member,
                       struct json_frame *frame, const uint8_t *items, size_t count);
static const uint8_t *variant_open(struct json_reader *reader, const struct gyr_member *member,
                                   const uint8_t *at);
static const uint8_t *variant_tag_find(struct json_reader *reader, const char *tag_name,
                                       const uint8_t *at, struct span *tag, unsigned *tag_marks);

const uint8_t *json_structure_read(struct json_reader *reader, const uint8_t *at)
{
    memset(reader->value, 0, reader->how->schema->struct_size);
    reader->top = reader->frames;
    reader->depth++;
    frame_begin(reader->top, reader->how->schema, reader->value);
    at = frames_read(reader, at);
    reader->depth--;
    return at;
}

static const uint8_t *frames_read(struct json_reader *reader, const uint8_t *at)
{
    enum step step = STEP_OPEN;
    for (;;) {
        if (step == STEP_OPEN) {
            at = scan_blanks(at);
            step = *at == '}' ? STEP_BEHIND : STEP_MEMBER;
        }
        if (step == STEP_MEMBER) {
            at = member_read(reader, at, &step);
            if (UNLIKELY(at == NULL)) {
                return NULL;
            }
            if (step == STEP_OPEN) {
                continue;
            }
            at = scan_blanks(at);
        }
        if (*at == ',') {
            at = scan_blanks(at + 1);
            step = STEP_MEMBER;
            continue;
        }
        if (UNLIKELY(*at != '}')) {
            return json_fail(reader, GYR_REASON_MALFORMED);
        }
        if (UNLIKELY(frame_finish(reader, reader->top) != 0)) {
            return NULL;
        }
        at++;
        if (reader->top == reader->frames) {
            return at;
        }
        at = frame_close(reader, at, &step);
        if (at == NULL) {
            return NULL;
        }
        if (step == STEP_BEHIND) {
            at = scan_blanks(at);
        }
    }
}

static inline const uint8_t *member_read(struct json_reader *reader, const uint8_t *at,
                                         enum step *step)
{
    struct json_frame *frame = reader->top;
    const struct gyr_member *member = frame->expected;
    *step = STEP_BEHIND;
    if (LIKELY(key_matches(reader, at, member))) {
        at += member->name_size + KEY_MARK_SIZE;
        at = scan_blanks(at);
    } else {
        at = member_search(reader, at, &member);
        if (at == NULL || member == NULL) {
            return at;
        }
    }
    frame->current = member;
    frame->expected = member + 1;
    uint64_t bit = frame->bit;
    frame->bit = bit << 1;
    if (UNLIKELY((frame->seen & bit) != 0) && member->kind == GYR_KIND_STRUCT) {
        /* Again, and the last one counts. */
        memset(frame->value + member->offset, 0, member->size);
    }
    frame->seen |= bit;
    if (UNLIKELY(*at == 'n') && member->kind != GYR_KIND_RAW) {
        frame->seen &= ~bit;
        return null_read(reader, member, at);
    }
    if (member->presence != 0) {
        frame->value[member->presence - 1] = true;
    }
    return value_read(reader, member, at, step);
}

/* Words are compared, the last one from its end back, over what was compared before. */
static inline bool key_matches(const struct json_reader *reader, const uint8_t *at,
                               const struct gyr_member *member)
{
    size_t size = (size_t)member->name_size + KEY_MARK_SIZE;
    const char *key = member->key;
    uint64_t a[2];
    uint64_t b[2];
    uint32_t c[2];
    uint32_t d[2];
    /* A key may hold a bracket, and so go on behind the last one. */
    if (size == KEY_MARK_SIZE || size >= (size_t)(reader->scan.end - at)) {
        return false;
    }
    if (size > sizeof(a)) {
        return memcmp(at, key, size) == 0;
    }
    if (size < WORD) {
        memcpy(&c[0], at, HALF);
        memcpy(&d[0], key, HALF);
        memcpy(&c[1], at + size - HALF, HALF);
        memcpy(&d[1], key + size - HALF, HALF);
        return ((c[0] ^ d[0]) | (c[1] ^ d[1])) == 0;
    }
    memcpy(&a[0], at, WORD);
    memcpy(&b[0], key, WORD);
    memcpy(&a[1], at + size - WORD, WORD);
    memcpy(&b[1], key + size - WORD, WORD);
    return ((a[0] ^ b[0]) | (a[1] ^ b[1])) == 0;
}

/* The member of this name, whose value then is at what is returned; NULL if it had another meaning
 * or was skipped, and then what is returned is behind its value. */
static const uint8_t *member_search(struct json_reader *reader, const uint8_t *at,
                                    const struct gyr_member **member)
{
    struct json_frame *frame = reader->top;
    struct span name;
    unsigned marks;
    *member = NULL;
    frame->current = NULL;
    at = scan_name(&reader->scan, at, &name, &marks);
    if (at == NULL) {
        return json_fail(reader, GYR_REASON_MALFORMED);
    }
    const struct gyr_member *row = frame->schema->members;
    for (unsigned i = 0; row->name != NULL; i++, row++) {
        if (scan_equal(name, marks, span_of(row->name, row->name_size))) {
            *member = row;
            frame->bit = UINT64_C(1) << i;
            return at;
        }
    }
    return unknown_read(reader, name, marks, at);
}

static const uint8_t *unknown_read(struct json_reader *reader, struct span name, unsigned marks,
                                   const uint8_t *at)
{
    const struct json_frame *frame = reader->top;
    if (frame == reader->frames) {
        bool taken = false;
        if (reader->is_flat) {
            at = json_special_read(reader, name, marks, at, &taken);
        } else if (reader->how->form == NULL) {
            taken = scan_equal(name, marks, SPAN_LITERAL(TAG_NAME));
            at = taken ? json_value_skip(reader, at) : at;
        }
        if (taken || at == NULL) {
            return at;
        }
    } else if (frame->tag_name != NULL &&
               scan_equal(name, marks, span_of(frame->tag_name, strlen(frame->tag_name)))) {
        return choice_tag_check(reader, at);
    }
    if (reader->is_lenient) {
        return json_value_skip(reader, at);
    }
    reader->name = name;
    return json_fail(reader, GYR_REASON_UNKNOWN_MEMBER);
}

/* The first one has been found before; another one has to say the same. */
static const uint8_t *choice_tag_check(struct json_reader *reader, const uint8_t *at)
{
    const struct json_frame *frame = reader->top;
    unsigned marks;
    reader->name = span_of(frame->tag_name, strlen(frame->tag_name));
    if (*at != '"') {
        at = json_fail_type(reader, at);
        reader->reason = reader->reason == GYR_REASON_TYPE ? GYR_REASON_TAG_TYPE : reader->reason;
        return at;
    }
    const uint8_t *quote = scan_string(&reader->scan, at + 1, &marks);
    if (quote == NULL) {
        return json_fail(reader, GYR_REASON_MALFORMED);
    }
    struct span tag = span_of(at + 1, (size_t)(quote - at - 1));
    if (!scan_equal(tag, marks, span_of(frame->schema->tag, strlen(frame->schema->tag)))) {
        return json_fail(reader, GYR_REASON_TAG_TWICE);
    }
    reader->name.size = 0;
    return quote + 1;
}

static inline const uint8_t *value_read(struct json_reader *reader, const struct gyr_member *member,
                                        const uint8_t *at, enum step *step)
{
    uint8_t *target = reader->top->value + member->offset;
    if (LIKELY(member->kind < GYR_KIND_STRUCT || member->kind == GYR_KIND_RAW)) {
        return json_value_read(reader, member, member->kind, at, target);
    }
    if (member->kind == GYR_KIND_ARRAY) {
        return array_read(reader, member, at, step);
    }
    *step = STEP_OPEN;
    if (*at != '{') {
        return json_fail_type(reader, at);
    }
    if (member->kind == GYR_KIND_STRUCT) {
        return frame_open(reader, member->schema, at, target);
    }
    return variant_open(reader, member, at);
}

/* A null, and so the same as nothing, where that may be; also if there was something before. */
static const uint8_t *null_read(struct json_reader *reader, const struct gyr_member *member,
                                const uint8_t *at)
{
    uint8_t *value = reader->top->value;
    if (memcmp(at, "null", 4) != 0 || !member->optional) {
        return json_fail_type(reader, at);
    }
    memset(value + member->offset, 0, member->size);
    if (member->kind == GYR_KIND_ARRAY) {
        memset(value + member->count_offset, 0, sizeof(size_t));
    }
    if (member->presence != 0) {
        value[member->presence - 1] = false;
    }
    return at + 4;
}

/* ---- frames ---------------------------------------------------------------------------------- */

/* A structure begins, whose memory is zeroed. */
static const uint8_t *frame_open(struct json_reader *reader, const struct gyr_schema *schema,
                                 const uint8_t *at, uint8_t *value)
{
    if (reader->depth >= GYR_DEPTH_MAX) {
        return json_fail(reader, GYR_REASON_DEPTH);
    }
    reader->depth++;
    reader->top++;
    frame_begin(reader->top, schema, value);
    return at + 1;
}

static inline void frame_begin(struct json_frame *frame, const struct gyr_schema *schema,
                               uint8_t *value)
{
    frame->schema = schema;
    frame->value = value;
    frame->current = NULL;
    frame->expected = schema->members;
    frame->seen = 0;
    frame->bit = 1;
    frame->tag_name = NULL;
    frame->array = NULL;
}

/* The structure's end: is anything missing? */
static inline int frame_finish(struct json_reader *reader, struct json_frame *frame)
{
    /* Nothing is if all were there, and the last one at the end; of 64, the bit has gone. */
    if (LIKELY(frame->expected->name == NULL && frame->seen == frame->bit - 1)) {
        return 0;
    }
    const struct gyr_member *member = frame->schema->members;
    for (uint64_t seen = frame->seen; member->name != NULL; member++, seen >>= 1) {
        if ((seen & 1) != 0) {
            continue;
        }
        if (!member->optional) {
            frame->current = member;
            reader->reason = GYR_REASON_MISSING;
            return GYR_ERR_MESSAGE;
        }
        if (member->preset != NULL) {
            memcpy(frame->value + member->offset, member->preset, member->size);
        }
    }
    return 0;
}

/* Behind the end of a structure that is part of another: that goes on, or the array does whose item
 * this was. */
static const uint8_t *frame_close(struct json_reader *reader, const uint8_t *at, enum step *step)
{
    struct json_frame *frame = reader->top;
    const struct gyr_member *array = frame->array;
    reader->depth--;
    *step = STEP_BEHIND;
    if (at >= reader->scan.end) {
        return json_fail(reader, GYR_REASON_MALFORMED);
    }
    if (array == NULL) {
        reader->top--;
        return at;
    }
    size_t count = frame->item_count + 1;
    at = scan_blanks(at);
    if (*at == ']') {
        reader->depth--;
        reader->top--;
        return array_store(reader, array, reader->top, frame->items, count) == 0 ? at + 1 : NULL;
    }
    if (*at != ',') {
        return json_fail(reader, GYR_REASON_MALFORMED);
    }
    at = scan_blanks(at + 1);
    frame->item_count = count;
    frame->current = NULL;
    if (*at != '{') {
        return json_fail_type(reader, at);
    }
    if (count == frame->item_room) {
        frame->items = items_grow(reader, array, frame->items, &frame->item_room);
        if (frame->items == NULL) {
            reader->top--;
            return NULL;
        }
    }
    uint8_t *value = frame->items + count * array->item_size;
    memset(value, 0, array->item_size);
    frame_begin(frame, array->schema, value);
    frame->array = array;
    reader->depth++;
    *step = STEP_OPEN;
    return at + 1;
}

/* ---- arrays ---------------------------------------------------------------------------------- */

static const uint8_t *array_read(struct json_reader *reader, const struct gyr_member *member,
                                 const uint8_t *at, enum step *step)
{
    if (*at != '[') {
        return json_fail_type(reader, at);
    }
    if (reader->depth >= GYR_DEPTH_MAX) {
        return json_fail(reader, GYR_REASON_DEPTH);
    }
    at = scan_blanks(at + 1);
    if (*at == ']') {
        return array_store(reader, member, reader->top, NULL, 0) == 0 ? at + 1 : NULL;
    }
    if (member->item_kind == GYR_KIND_STRUCT) {
        *step = STEP_OPEN;
        return array_structures_open(reader, member, at);
    }
    reader->depth++;
    at = array_plain_read(reader, member, at);
    reader->depth--;
    return at;
}

static const uint8_t *array_plain_read(struct json_reader *reader, const struct gyr_member *member,
                                       const uint8_t *at)
{
    uint8_t *items = NULL;
    size_t count = 0;
    size_t room = 0;
    for (;;) {
        reader->item = count;
        if (count == room) {
            items = items_grow(reader, member, items, &room);
            if (items == NULL) {
                return NULL;
            }
        }
        uint8_t *item = items + count * member->item_size;
        at = json_value_read(reader, member, member->item_kind, at, item);
        if (at == NULL) {
            return NULL;
        }
        count++;
        at = scan_blanks(at);
        if (*at == ']') {
            break;
        }
        if (*at != ',') {
            return json_fail(reader, GYR_REASON_MALFORMED);
        }
        at = scan_blanks(at + 1);
    }
    reader->item = JSON_NO_ITEM;
    /* The arena has no holes behind an array that was its last. */
    size_t size = count * member->item_size;
    items = arena_resize(reader->arena, items, room * member->item_size, size, ITEMS_ALIGN);
    return array_store(reader, member, reader->top, items, count) == 0 ? at + 1 : NULL;
}

static const uint8_t *array_structures_open(struct json_reader *reader,
                                            const struct gyr_member *member, const uint8_t *at)
{
    size_t room = 0;
    /* A bracket for the array, and one for its item. */
    reader->depth++;
    if (*at != '{') {
        reader->item = 0;
        return json_fail_type(reader, at);
    }
    uint8_t *items = items_grow(reader, member, NULL, &room);
    if (items == NULL) {
        return NULL;
    }
    memset(items, 0, member->item_size);
    at = frame_open(reader, member->schema, at, items);
    if (at != NULL) {
        struct json_frame *frame = reader->top;
        frame->array = member;
        frame->items = items;
        frame->item_count = 0;
        frame->item_room = room;
    }
    return at;
}

/* Room for more items than there are, which are as many as there was room for. */
static uint8_t *items_grow(struct json_reader *reader, const struct gyr_member *member,
                           uint8_t *items, size_t *room)
{
    size_t size = *room * member->item_size;
    size_t count_max = member->count_max == 0 ? GYR_COUNT_MAX_DEFAULT : member->count_max;
    if (*room >= count_max) {
        reader->item = JSON_NO_ITEM;
        (void)json_fail(reader, GYR_REASON_COUNT);
        return NULL;
    }
    *room = MIN(MAX(*room * 2, (size_t)ITEMS_MIN), count_max);
    items = arena_resize(reader->arena, items, size, *room * member->item_size, ITEMS_ALIGN);
    if (items == NULL) {
        (void)json_fail(reader, GYR_REASON_MEMORY);
    }
    return items;
}

/* `items` is NULL if there are none: their address then is one that is not NULL, for the member is
 * there. */
static int array_store(struct json_reader *reader, const struct gyr_member *member,
                       struct json_frame *frame, const uint8_t *items, size_t count)
{
    static const uint64_t nothing[2] = {0, 0};
    const void *first = items == NULL ? (const void *)nothing : items;
    if (count < member->count_min || (member->count_max != 0 && count > member->count_max)) {
        reader->reason = GYR_REASON_COUNT;
        return GYR_ERR_MESSAGE;
    }
    memcpy(frame->value + member->offset, &first, sizeof(first));
    memcpy(frame->value + member->count_offset, &count, sizeof(count));
    return 0;
}

/* ---- variants -------------------------------------------------------------------------------- */

/* Look for the tag, which may stand anywhere in the object, then read that from its start. */
static const uint8_t *variant_open(struct json_reader *reader, const struct gyr_member *member,
                                   const uint8_t *at)
{
    const char *tag_name = member->tag_name == NULL ? TAG_NAME : member->tag_name;
    struct gyr_variant variant = {NULL, NULL};
    struct span tag;
    unsigned marks;
    if (reader->depth >= GYR_DEPTH_MAX) {
        return json_fail(reader, GYR_REASON_DEPTH);
    }
    if (variant_tag_find(reader, tag_name, at, &tag, &marks) == NULL) {
        return NULL;
    }
    for (const struct gyr_choice *row = member->choices; row->schema != NULL; row++) {
        if (scan_equal(tag, marks, span_of(row->schema->tag, strlen(row->schema->tag)))) {
            variant.schema = row->schema;
            break;
        }
    }
    if (variant.schema == NULL) {
        reader->name = span_of(tag_name, strlen(tag_name));
        return json_fail(reader, GYR_REASON_UNKNOWN_TAG);
    }
    size_t size = variant.schema->struct_size;
    uint8_t *value = arena_alloc(reader->arena, size, variant.schema->struct_align);
    if (value == NULL) {
        return json_fail(reader, GYR_REASON_MEMORY);
    }
    memset(value, 0, size);
    variant.value = value;
    memcpy(reader->top->value + member->offset, &variant, sizeof(variant));
    at = frame_open(reader, variant.schema, at, value);
    if (at != NULL) {
        reader->top->tag_name = tag_name;
    }
    return at;
}

/* Walk the members of the object at `at` up to its tag. Returns NULL if there is none. */
static const uint8_t *variant_tag_find(struct json_reader *reader, const char *tag_name,
                                       const uint8_t *at, struct span *tag, unsigned *tag_marks)
{
    struct span wanted = span_of(tag_name, strlen(tag_name));
    at = scan_blanks(at + 1);
    if (*at == '}') {
        return json_fail(reader, GYR_REASON_NO_TAG);
    }
    for (;;) {
        struct span name;
        unsigned marks;
        at = scan_name(&reader->scan, at, &name, &marks);
        if (at == NULL) {
            return json_fail(reader, GYR_REASON_MALFORMED);
        }
        bool found = scan_equal(name, marks, wanted);
        if (found && *at == '"') {
            const uint8_t *quote = scan_string(&reader->scan, at + 1, tag_marks);
            *tag = span_of(at + 1, quote == NULL ? 0 : (size_t)(quote - at - 1));
            return quote != NULL ? quote + 1 : json_fail(reader, GYR_REASON_MALFORMED);
        }
        reader->depth++;
        at = json_value_skip(reader, at);
        reader->depth--;
        if (at == NULL) {
            return NULL;
        }
        at = scan_blanks(at);
        if (found && (*at == ',' || *at == '}')) {
            reader->name = wanted;
            return json_fail(reader, GYR_REASON_TAG_TYPE);
        }
        if (*at != ',') {
            return json_fail(reader, *at == '}' ? GYR_REASON_NO_TAG : GYR_REASON_MALFORMED);
        }
        at = scan_blanks(at + 1);
    }
}
