/* SPDX-License-Identifier: MIT */
/* A message as a whole (journey: hop 8): where the tag, the ids and the payload are, and what is
 * said of one that is refused. Flat messages, and the payloads of envelopes, json_read.c reads. */
#include "base/simdjson_shim.h"
#include "engine/engine.h"
#include "router/json_reader.h"

#define CUT_MARK      "..."
#define CUT_MARK_SIZE (sizeof(CUT_MARK) - 1)

/* A path while it is written. */
struct path {
    char *text;
    size_t size;
    bool is_cut;
};

static const uint8_t *message_begin(struct json_reader *reader, struct span text);
static const uint8_t *message_parts_read(struct json_reader *reader, const uint8_t *at);
static int message_end(struct json_reader *reader, const uint8_t *begin, const uint8_t *at);
static const uint8_t *tag_pass(struct json_reader *reader, const uint8_t *at);
static const uint8_t *envelope_read(struct json_reader *reader, const uint8_t *at);
static const uint8_t *envelope_member_read(struct json_reader *reader, const uint8_t *at);
static const uint8_t *payload_read(struct json_reader *reader, const uint8_t *at);
static const uint8_t *tag_read(struct json_reader *reader, struct span name, const uint8_t *at);
static const uint8_t *id_read(struct json_reader *reader, struct span name, const uint8_t *at);
static struct span *id_place(struct json_message *message, struct span name);
static bool is_id(const uint8_t *at, const uint8_t *behind);
static void ids_find(struct json_reader *reader, const uint8_t *at);
static void fault_write(const struct json_reader *reader, struct gyr_fault *fault);
static void path_add(struct path *path, struct span name);
static void path_add_index(struct path *path, size_t index);
static void path_append(struct path *path, struct span text);

int json_reader_create(size_t size_max, struct json_reader **reader)
{
    *reader = memory_alloc(sizeof(**reader));
    if (*reader == NULL) {
        return GYR_ERR_MEMORY;
    }
    (*reader)->size_max = size_max;
    return 0;
}

void json_reader_destroy(struct json_reader *reader)
{
    memory_free(reader);
}

/* NOLINTNEXTLINE(readability-function-size): two more results than others have */
int json_read(struct json_reader *reader, struct span text, const struct json_read *how,
              struct arena *arena, void *value, struct json_message *message,
              struct gyr_fault *fault)
{
    *message = (struct json_message){.has_payload = false};
    reader->how = how;
    reader->arena = arena;
    reader->value = value;
    reader->message = message;
    reader->is_lenient = how->is_lenient;
    reader->is_flat = how->form != NULL && how->form->payload_name.size == 0;
    const uint8_t *begin = message_begin(reader, text);
    const uint8_t *at = begin == NULL ? NULL : message_parts_read(reader, begin + 1);
    if (LIKELY(message_end(reader, begin, at) == 0)) {
        return 0;
    }
    fault_write(reader, fault);
    return reader->reason == GYR_REASON_MEMORY ? GYR_ERR_MEMORY : GYR_ERR_MESSAGE;
}

/* The object's first byte, when its last one is known too. */
static const uint8_t *message_begin(struct json_reader *reader, struct span text)
{
    reader->top = reader->frames;
    reader->frames[0].current = NULL;
    reader->frames[0].array = NULL;
    reader->depth = 0;
    reader->has_tag = false;
    reader->is_in_payload = false;
    reader->name.size = 0;
    reader->item = JSON_NO_ITEM;
    if (text.size > reader->size_max) {
        return json_fail(reader, GYR_REASON_SIZE);
    }
    text = json_trim(text);
    const uint8_t *begin = text.ptr;
    const uint8_t *end = text.ptr + text.size;
    reader->scan = (struct scan){.end = end, .limit = end + JSON_PADDING};
    if (begin == end || *begin != '{') {
        bool is_sound = json_walk(text, &reader->reason) == 0;
        return is_sound ? json_fail(reader, GYR_REASON_NOT_OBJECT) : NULL;
    }
    return end[-1] == '}' ? begin : json_fail(reader, GYR_REASON_MALFORMED);
}

static inline const uint8_t *message_parts_read(struct json_reader *reader, const uint8_t *at)
{
    if (reader->how->form != NULL) {
        at = tag_pass(reader, at);
    }
    bool is_whole = reader->how->form == NULL || reader->is_flat;
    return is_whole && reader->how->schema != NULL ? json_structure_read(reader, at)
                                                   : envelope_read(reader, at);
}

/* Is all of it sound? */
static inline int message_end(struct json_reader *reader, const uint8_t *begin, const uint8_t *at)
{
    const struct json_form *form = reader->how->form;
    const uint8_t *end = reader->scan.end;
    if (UNLIKELY(at != end && at != NULL)) {
        at = json_fail(reader, GYR_REASON_MALFORMED);
    }
    if (at != NULL && (reader->scan.marks & SCAN_HIGH) != 0 && !reader->how->is_utf8 &&
        !simdjson_shim_utf8_is_valid(begin, (size_t)(end - begin))) {
        reader->frames[0].current = NULL;
        at = json_fail(reader, GYR_REASON_UTF8);
    }
    if (UNLIKELY(at != NULL && form != NULL && !reader->has_tag)) {
        reader->frames[0].current = NULL;
        at = json_fail(reader, GYR_REASON_NO_TAG);
    }
    if (UNLIKELY(at == NULL)) {
        reader->message->id.size = 0;
        reader->message->answer.size = 0;
        if (begin != NULL && form != NULL) {
            ids_find(reader, begin + 1);
        }
        return GYR_ERR_MESSAGE;
    }
    if (form == NULL || reader->is_flat) {
        reader->message->payload = span_of(begin, (size_t)(end - begin));
        reader->message->has_payload = true;
    }
    return 0;
}

/* Most messages begin with their tag: go behind its comma, if another member follows. */
static inline const uint8_t *tag_pass(struct json_reader *reader, const uint8_t *at)
{
    struct span name = reader->how->form->tag_name;
    const uint8_t *tag = at + name.size + 4; /* behind "type":" */
    unsigned marks;
    if (reader->scan.end - tag < 1 || at[0] != '"' || memcmp(at + 1, name.ptr, name.size) != 0 ||
        tag[-3] != '"' || tag[-2] != ':' || tag[-1] != '"') {
        return at;
    }
    const uint8_t *quote = scan_string(&reader->scan, tag, &marks);
    if (quote == NULL || (marks & SCAN_ESCAPED) != 0 || quote[1] != ',' || quote[2] != '"' ||
        !span_equal(span_of(tag, (size_t)(quote - tag)), reader->how->tag)) {
        return at;
    }
    reader->has_tag = true;
    return quote + 2;
}

/* ---- envelopes ------------------------------------------------------------------------------- */

static const uint8_t *envelope_read(struct json_reader *reader, const uint8_t *at)
{
    reader->depth = 1;
    at = scan_blanks(at);
    while (*at != '}') {
        at = envelope_member_read(reader, at);
        if (at == NULL) {
            return NULL;
        }
        at = scan_blanks(at);
        if (*at == '}') {
            break;
        }
        if (*at != ',') {
            return json_fail(reader, GYR_REASON_MALFORMED);
        }
        at = scan_blanks(at + 1);
        if (*at == '}') {
            return json_fail(reader, GYR_REASON_MALFORMED);
        }
    }
    const struct json_read *how = reader->how;
    const struct json_message *message = reader->message;
    if (how->schema != NULL && !message->has_payload && !how->is_payload_optional) {
        reader->name = how->form->payload_name;
        return json_fail(reader, message->payload.size > 0 ? GYR_REASON_TYPE : GYR_REASON_MISSING);
    }
    return at + 1;
}

static const uint8_t *envelope_member_read(struct json_reader *reader, const uint8_t *at)
{
    const struct json_form *form = reader->how->form;
    struct span name;
    unsigned marks;
    bool taken = false;
    at = scan_name(&reader->scan, at, &name, &marks);
    if (at == NULL) {
        return json_fail(reader, GYR_REASON_MALFORMED);
    }
    if (form == NULL) {
        return json_value_skip(reader, at);
    }
    if (form->payload_name.size > 0 && scan_equal(name, marks, form->payload_name)) {
        return payload_read(reader, at);
    }
    at = json_special_read(reader, name, marks, at, &taken);
    return taken || at == NULL ? at : json_value_skip(reader, at);
}

static const uint8_t *payload_read(struct json_reader *reader, const uint8_t *at)
{
    const struct json_read *how = reader->how;
    const uint8_t *begin = at;
    bool is_null = *at == 'n';
    if (how->schema == NULL || is_null) {
        at = json_value_skip(reader, at);
    } else if (*at == '{') {
        reader->is_in_payload = true;
        at = json_structure_read(reader, at + 1);
        if (at != NULL && at >= reader->scan.end) {
            return json_fail(reader, GYR_REASON_MALFORMED);
        }
    } else {
        reader->name = how->form->payload_name;
        return json_fail_type(reader, at);
    }
    if (at == NULL) {
        return NULL;
    }
    reader->is_in_payload = false;
    reader->frames[0].current = NULL;
    reader->message->payload = span_of(begin, (size_t)(at - begin));
    reader->message->has_payload = !is_null;
    return at;
}

/* ---- tag and ids ----------------------------------------------------------------------------- */

const uint8_t *json_special_read(struct json_reader *reader, struct span name, unsigned marks,
                                 const uint8_t *at, bool *taken)
{
    struct span tag_name = reader->how->form->tag_name;
    *taken = true;
    if (scan_equal(name, marks, tag_name)) {
        return tag_read(reader, tag_name, at);
    }
    if (scan_equal(name, marks, SPAN_LITERAL("id"))) {
        return id_read(reader, SPAN_LITERAL("id"), at);
    }
    if (scan_equal(name, marks, SPAN_LITERAL("re"))) {
        return id_read(reader, SPAN_LITERAL("re"), at);
    }
    *taken = false;
    return at;
}

/* The scan has found the first one; this may be that, or another that has to be the same. */
static const uint8_t *tag_read(struct json_reader *reader, struct span name, const uint8_t *at)
{
    unsigned marks;
    reader->name = name;
    if (*at != '"') {
        at = json_fail_type(reader, at);
        if (reader->reason == GYR_REASON_TYPE) {
            reader->reason = GYR_REASON_TAG_TYPE;
        }
        return at;
    }
    const uint8_t *quote = scan_string(&reader->scan, at + 1, &marks);
    if (quote == NULL) {
        return json_fail(reader, GYR_REASON_MALFORMED);
    }
    if (!scan_equal(span_of(at + 1, (size_t)(quote - at - 1)), marks, reader->how->tag)) {
        return json_fail(reader, GYR_REASON_TAG_TWICE);
    }
    reader->name.size = 0;
    reader->has_tag = true;
    return quote + 1;
}

static const uint8_t *id_read(struct json_reader *reader, struct span name, const uint8_t *at)
{
    reader->name = name;
    const uint8_t *behind = json_value_skip(reader, at);
    if (behind == NULL) {
        return NULL;
    }
    if (!is_id(at, behind)) {
        return json_fail(reader, GYR_REASON_ID);
    }
    reader->name.size = 0;
    *id_place(reader->message, name) = span_of(at, (size_t)(behind - at));
    return behind;
}

bool json_owns_id(const struct json_form *form, const struct gyr_schema *schema)
{
    return form->payload_name.size == 0 && json_has_member(schema, SPAN_LITERAL("id"));
}

bool json_has_member(const struct gyr_schema *schema, struct span name)
{
    const struct gyr_member *member = schema != NULL ? schema->members : NULL;
    while (member != NULL && member->name != NULL &&
           !span_equal(span_of(member->name, member->name_size), name)) {
        member++;
    }
    return member != NULL && member->name != NULL;
}

static struct span *id_place(struct json_message *message, struct span name)
{
    if (span_equal(name, SPAN_LITERAL("id"))) {
        return &message->id;
    }
    return span_equal(name, SPAN_LITERAL("re")) ? &message->answer : NULL;
}

static bool is_id(const uint8_t *at, const uint8_t *behind)
{
    bool is_plain = *at == '"' || *at == '-' || (*at >= '0' && *at <= '9');
    return is_plain && behind - at <= JSON_ID_SIZE_MAX;
}

/* Whom to tell that a message was refused: go through its members once more. */
static void ids_find(struct json_reader *reader, const uint8_t *at)
{
    enum gyr_reason reason;
    at = scan_blanks(at);
    while (*at == '"') {
        struct span name;
        unsigned marks;
        at = scan_name(&reader->scan, at, &name, &marks);
        const uint8_t *behind = at == NULL ? NULL : scan_value(&reader->scan, at, 1, &reason);
        if (behind == NULL || behind == reader->scan.end) {
            return;
        }
        struct span *place = id_place(reader->message, name);
        const uint8_t *next = scan_blanks(behind);
        if (*next != ',' && *next != '}') {
            return;
        }
        if (place == &reader->message->id && json_owns_id(reader->how->form, reader->how->schema)) {
            place = NULL;
        }
        if (place != NULL && is_id(at, behind)) {
            *place = span_of(at, (size_t)(behind - at));
        }
        if (*next == '}') {
            return;
        }
        at = scan_blanks(next + 1);
    }
}

/* ---- the fault ------------------------------------------------------------------------------- */

static void fault_write(const struct json_reader *reader, struct gyr_fault *fault)
{
    if (fault == NULL) {
        return;
    }
    struct path path = {.text = fault->path};
    fault->reason = reader->reason;
    if (reader->is_in_payload) {
        path_add(&path, reader->how->form->payload_name);
    }
    for (const struct json_frame *frame = reader->frames; frame <= reader->top; frame++) {
        if (frame > reader->frames && frame->array != NULL) {
            path_add_index(&path, frame->item_count);
        }
        if (frame->current != NULL) {
            path_add(&path, span_of(frame->current->name, frame->current->name_size));
        }
    }
    if (reader->item != JSON_NO_ITEM) {
        path_add_index(&path, reader->item);
    }
    if (reader->name.size > 0) {
        path_add(&path, reader->name);
    }
    path.text[path.size] = '\0';
}

static void path_add(struct path *path, struct span name)
{
    if (path->size > 0) {
        path_append(path, SPAN_LITERAL("."));
    }
    path_append(path, name);
}

static void path_add_index(struct path *path, size_t index)
{
    char digits[24];
    char *at = digits + sizeof(digits);
    *--at = ']';
    do {
        *--at = (char)('0' + index % 10);
        index /= 10;
    } while (index != 0);
    *--at = '[';
    path_append(path, span_of(at, (size_t)(digits + sizeof(digits) - at)));
}

/* Whole characters, as many as there is room for; a name that a peer has sent may be none. */
static void path_append(struct path *path, struct span text)
{
    size_t room = GYR_FAULT_PATH_SIZE - 1 - path->size;
    size_t size = MIN(text.size, room);
    bool is_valid = simdjson_shim_utf8_is_valid(text.ptr, text.size);
    if (path->is_cut) {
        return;
    }
    for (size_t i = 0; i < size; i++) {
        bool is_odd = text.ptr[i] < ' ' || (text.ptr[i] > '~' && !is_valid);
        path->text[path->size++] = (char)(is_odd ? '?' : text.ptr[i]);
    }
    if (size == text.size) {
        return;
    }
    path->is_cut = true;
    path->size = GYR_FAULT_PATH_SIZE - 1 - CUT_MARK_SIZE;
    while (path->size > 0 && ((unsigned char)path->text[path->size] & 0xc0) == 0x80) {
        path->size--;
    }
    memcpy(path->text + path->size, CUT_MARK, CUT_MARK_SIZE);
    path->size += CUT_MARK_SIZE;
}
