/* SPDX-License-Identifier: MIT */
/* The way of a message to its handler (hops 7 and 8 of docs/journey.md):
 *
 *   text  -> on_text
 *   JSON  -> "re" while questions wait -> ask_finish
 *         -> scan -> perfect hash of tags, then of names -> decode -> handler
 *   bytes -> on_binary, or a number -> handler; JSON without either
 *   else  -> on_unhandled, with the bytes that came and what is wrong with them
 *
 * No handler runs before its message is known to be sound from the first byte to the last. A
 * request (a message with an id) always gets an answer: what the handler sends, "failed", or what
 * is wrong with it. */
#include "router/dispatch.h"

#include "engine/engine.h"
#include "router/ask.h"
#include "router/send.h"
#include "router/tag_name.h"

#define VALUE_ALIGN 16 /* of decoded structures: as malloc has it */

typedef int (*typed_fn)(struct gyr_conn *conn, void *self, const void *message);
typedef int (*untyped_fn)(struct gyr_conn *conn, void *self, struct gyr_span payload);

/* A message that is on its way. */
struct incoming {
    struct visit *visit;
    const struct plan_type *type;
    struct gyr_span message;
    struct span tag; /* unescaped; size 0: not found */
    enum gyr_opcode opcode;
    bool is_json;
    bool is_utf8; /* the engine has checked it */
    bool owns_id; /* a member "id" is the message's own: it is no request */
    struct gyr_fault fault;
};

/* What is looked at of a message that no handler gets. */
struct marks {
    struct gyr_span id;
    struct gyr_span re;
};
GYR_PART(marks, GYR_RAW(marks, id, GYR_OPTIONAL), GYR_RAW(marks, re, GYR_OPTIONAL));

/* For the log, where there is no handler. */
static const struct plan_handler row_unhandled = {.name = "on_unhandled"};
static const struct plan_handler row_text = {.name = "on_text"};
static const struct plan_handler row_binary = {.name = "on_binary"};
static const struct plan_handler row_answer = {.name = "answer"};

static int handle_json(struct incoming *in);
static int handle_plain(struct incoming *in);
static int handler_returned(struct visit *visit, const struct plan_handler *handler, int result);

static struct gyr_span as_public(struct span span)
{
    return (struct gyr_span){(const char *)span.ptr, span.size};
}

static struct span as_internal(struct gyr_span span)
{
    return span_of(span.ptr, span.size);
}

static void *self_of(const struct visit *visit)
{
    return visit_self(visit, visit->route->level_count - 1U);
}

int dispatch_message(struct visit *visit, enum gyr_opcode opcode, struct gyr_span message)
{
    struct incoming in; /* the fault is written when there is one */
    in.visit = visit;
    in.type = visit_type(visit);
    in.message = message;
    in.tag = (struct span){0};
    in.opcode = opcode;
    in.is_utf8 = opcode == GYR_TEXT && (visit->flags & VISIT_F_REPLACED) == 0;
    in.owns_id = false;
    visit->id = (struct gyr_span){0};
    visit->flags &= ~(uint32_t)VISIT_F_ANSWERED_ID;
    const struct gyr_resource *merged = &in.type->merged;
    in.is_json = opcode == GYR_TEXT ? merged->on_text == NULL
                                    : merged->on_binary == NULL && in.type->binary_tag_size == 0 &&
                                          (in.type->has_json || merged->on_text == NULL);
    return in.is_json ? handle_json(&in) : handle_plain(&in);
}

/* ---- what becomes of it ---------------------------------------------------------------------- */

/* The id has to outlive the message. Without memory for it the connection ends, as it does
 * wherever a core's budget is used up: nobody could be answered. */
void dispatch_keep_id(struct visit *visit)
{
    if (visit->id.size == 0 || (visit->flags & VISIT_F_ID_KEPT) != 0) {
        return;
    }
    void *kept = visit_keep_alloc(visit, visit->id.size);
    if (kept == NULL) {
        visit->id = (struct gyr_span){0};
        (void)gyr_close(visit->conn, error_close_code(GYR_ERR_MEMORY),
                        GYR_SPAN("no memory for a request"));
        return;
    }
    memcpy(kept, visit->id.ptr, visit->id.size);
    visit->id.ptr = kept;
    visit->flags |= VISIT_F_ID_KEPT;
}

static void handler_failed(struct visit *visit, int err)
{
    const struct plan_handler *handler = visit->handler;
    bool is_row = handler->function != NULL;
    visit_failed(visit, err, is_row ? "handler" : handler->name, visit_type(visit)->declared->name,
                 is_row ? handler->name : NULL);
    /* It may be answered already, or nobody be there any more. */
    (void)send_answer_error(visit, gyr_reason_code(GYR_REASON_FAILED),
                            gyr_reason_text(GYR_REASON_FAILED), NULL);
}

static int handler_returned(struct visit *visit, const struct plan_handler *handler, int result)
{
    if (result == GYR_PENDING) {
        visit->handler = handler;
        dispatch_keep_id(visit);
    } else if (result < 0) {
        visit->handler = handler;
        handler_failed(visit, result);
    }
    return result;
}

int dispatch_finish(struct visit *visit, int result)
{
    if (result < 0) {
        handler_failed(visit, result);
    }
    return result;
}

void dispatch_ask_failed(struct visit *visit, int err)
{
    const struct plan_type *type = visit_type(visit);
    visit_failed(visit, err, row_answer.name, type->declared->name, NULL);
    if (type->failure_policy == GYR_FAILURE_CLOSE) {
        uint16_t close_code = error_close_code(err);
        (void)gyr_close(visit->conn, close_code != 0 ? close_code : 1011,
                        GYR_SPAN("the service has failed"));
    }
}

/* ---- unhandled ------------------------------------------------------------------------------- */

static void fault_set(struct incoming *in, enum gyr_reason reason)
{
    in->fault.reason = reason;
    in->fault.path[0] = '\0';
}

/* Read the whole message for its id and its "re" alone. */
static int marks_read(struct incoming *in, struct marks *marks, struct gyr_fault *fault)
{
    struct app_core *core = in->visit->core;
    struct json_read how = {
        .schema = &marks_schema,
        .is_utf8 = in->is_utf8,
        .is_lenient = true,
    };
    struct json_message read;
    return json_read(core->reader, as_internal(in->message), &how, &core->arena, marks, &read,
                     fault);
}

/* An id is a number, or a string of up to 64 bytes. */
static bool is_id(struct gyr_span text)
{
    return text.size != 0 && text.size <= JSON_ID_SIZE_MAX &&
           (text.ptr[0] == '"' || text.ptr[0] == '-' || (text.ptr[0] >= '0' && text.ptr[0] <= '9'));
}

static bool reason_is_of_scan(enum gyr_reason reason)
{
    return reason == GYR_REASON_MALFORMED || reason == GYR_REASON_NOT_OBJECT ||
           reason == GYR_REASON_NO_TAG || reason == GYR_REASON_TAG_TYPE ||
           reason == GYR_REASON_UNKNOWN_TAG;
}

/* Is it a request, or an answer, though no handler gets it? A message that is not sound is that
 * above all: what its tag is has been found out without reading it to its end. */
static void marks_find(struct incoming *in)
{
    struct gyr_fault fault;
    struct marks marks;
    if (marks_read(in, &marks, &fault) != 0) {
        if (in->message.size != 0 && reason_is_of_scan(in->fault.reason)) {
            in->fault = fault;
        }
        return;
    }
    if (is_id(marks.id) && !in->owns_id) {
        in->visit->id = marks.id;
    }
    if (marks.re.size != 0) {
        fault_set(in, GYR_REASON_NOT_ASKED);
    }
}

static int unhandled(struct incoming *in)
{
    struct visit *visit = in->visit;
    if (in->is_json) {
        marks_find(in);
    }
    if (in->fault.reason == GYR_REASON_MEMORY) {
        visit_failed(visit, GYR_ERR_MEMORY, "message", in->type->declared->name, NULL);
    }
    if (in->type->merged.on_unhandled != NULL) {
        struct gyr_unhandled unhandled = {
            .opcode = in->opcode,
            .message = in->message,
            .tag = as_public(in->tag),
            .id = visit->id,
            .fault = &in->fault,
        };
        return handler_returned(
            visit, &row_unhandled,
            in->type->merged.on_unhandled(visit->conn, self_of(visit), &unhandled));
    }
    if (visit->id.size != 0) { /* the client has gone, or its queue is full: nothing is lost */
        (void)send_answer_error(visit, gyr_reason_code(in->fault.reason),
                                gyr_reason_text(in->fault.reason), in->fault.path);
    }
    return 0;
}

static int unhandled_for(struct incoming *in, enum gyr_reason reason)
{
    fault_set(in, reason);
    return unhandled(in);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static int scan_refused(struct incoming *in, int status)
{
    switch ((enum tag_status)status) {
    case TAG_ABSENT:
        return unhandled_for(in, GYR_REASON_NO_TAG);
    case TAG_NOT_OBJECT:
        return unhandled_for(in, GYR_REASON_NOT_OBJECT);
    case TAG_NOT_STRING:
        return unhandled_for(in, GYR_REASON_TAG_TYPE);
    case TAG_FOUND:
    case TAG_MALFORMED:
        break;
    }
    return unhandled_for(in, GYR_REASON_MALFORMED);
}

/* Unescape the tag into memory of the message. One that is too long, or badly escaped, is left
 * out: no handler has it. */
static void tag_unescaped(struct incoming *in, struct span raw)
{
    uint8_t *bytes = arena_alloc(&in->visit->core->arena, TAG_SIZE_MAX + PERFECT_HASH_PADDING, 1);
    size_t size = 0;
    if (bytes != NULL && tag_unescape(raw, bytes, &size) == 0) {
        memset(bytes + size, 0, PERFECT_HASH_PADDING);
        in->tag = span_of(bytes, size);
    }
}

static const struct plan_handler *handler_named(const struct plan_type *type, struct span tag)
{
    uint8_t name[TAG_NAME_SIZE(TAG_SIZE_MAX) + PERFECT_HASH_PADDING];
    if (type->names == NULL || tag.size > TAG_SIZE_MAX) {
        return NULL;
    }
    size_t size = tag_name_write(tag, name);
    memset(name + size, 0, PERFECT_HASH_PADDING);
    uint32_t index = perfect_hash_find(type->names, span_of(name, size));
    return index != PERFECT_HASH_NONE ? &type->named[index] : NULL;
}

static const struct plan_handler *handler_find(const struct plan_type *type, struct span tag)
{
    if (type->tags != NULL) {
        uint32_t index = perfect_hash_find(type->tags, tag);
        if (index != PERFECT_HASH_NONE) {
            return &type->handlers[index];
        }
    }
    return handler_named(type, tag);
}

/* An answer to a question of ours? Only while one waits it is looked for in front of the tag. */
static bool is_answer(const struct incoming *in)
{
    struct tag re;
    int status = in->visit->core->tag_scan(as_internal(in->message), SPAN_LITERAL("re"), &re);
    return status == TAG_FOUND || status == TAG_NOT_STRING;
}

static int handle_answer(struct incoming *in)
{
    struct visit *visit = in->visit;
    struct app_core *core = visit->core;
    struct marks marks;
    if (marks_read(in, &marks, &in->fault) != 0) {
        return unhandled(in);
    }
    struct ask *ask = ask_find(visit, as_internal(marks.re));
    if (ask == NULL) {
        return unhandled_for(in, GYR_REASON_NOT_ASKED);
    }
    const struct gyr_schema *schema = ask_schema(ask);
    if (is_id(marks.id) && !json_owns_id(&in->type->form, schema)) {
        visit->id = marks.id;
    }
    void *value = arena_alloc(&core->arena, schema->struct_size, VALUE_ALIGN);
    struct json_read how = {
        .form = &in->type->form,
        .tag = in->tag,
        .schema = schema,
        .is_utf8 = in->is_utf8,
    };
    struct json_message read;
    int err = GYR_ERR_MESSAGE;
    if (span_equal(in->tag, SPAN_LITERAL("error"))) {
        fault_set(in, GYR_REASON_REFUSED);
    } else if (value == NULL) {
        fault_set(in, GYR_REASON_MEMORY);
    } else {
        err = json_read(core->reader, as_internal(in->message), &how, &core->arena, value, &read,
                        &in->fault);
    }
    int result = ask_finish(visit, ask, err == 0 ? value : NULL, err == 0 ? NULL : &in->fault);
    return handler_returned(visit, &row_answer, result);
}

static int handler_call(struct incoming *in, const struct plan_handler *handler)
{
    struct visit *visit = in->visit;
    struct app_core *core = visit->core;
    struct json_read how = {
        .form = &in->type->form,
        .tag = in->tag,
        .schema = handler->schema,
        .is_utf8 = in->is_utf8,
        .is_lenient = handler->lenient,
        .is_payload_optional = handler->payload_optional,
    };
    void *value = NULL;
    if (handler->schema != NULL) {
        value = arena_alloc(&core->arena, handler->value_size, VALUE_ALIGN);
        if (value == NULL) {
            in->owns_id = json_owns_id(how.form, how.schema);
            return unhandled_for(in, GYR_REASON_MEMORY);
        }
    }
    struct json_message read;
    int err = json_read(core->reader, as_internal(in->message), &how, &core->arena, value, &read,
                        &in->fault);
    if (err != 0) {
        in->owns_id = json_owns_id(how.form, how.schema);
        return unhandled(in);
    }
    if (read.answer.size != 0) {
        in->owns_id = json_owns_id(how.form, how.schema);
        return unhandled_for(in, GYR_REASON_NOT_ASKED);
    }
    visit->id = as_public(read.id);
    int result;
    if (handler->schema != NULL) {
        typed_fn function = (typed_fn)handler->function;
        result = function(visit->conn, self_of(visit), read.has_payload ? value : NULL);
    } else {
        untyped_fn function = (untyped_fn)handler->function;
        struct span none = {0};
        result = function(visit->conn, self_of(visit),
                          as_public(read.payload.size != 0 ? read.payload : none));
    }
    return handler_returned(visit, handler, result);
}

static int handle_json(struct incoming *in)
{
    struct visit *visit = in->visit;
    struct tag tag;
    int status = visit->core->tag_scan(as_internal(in->message), in->type->form.tag_name, &tag);
    if (status == TAG_FOUND) {
        if (tag.is_escaped) {
            tag_unescaped(in, tag.raw);
        } else {
            in->tag.ptr = tag.raw.ptr; /* one by one, as they were stored just now */
            in->tag.size = tag.raw.size;
        }
    }
    if (visit->asks != NULL && is_answer(in)) {
        return handle_answer(in);
    }
    if (status != TAG_FOUND) {
        return scan_refused(in, status);
    }
    const struct plan_handler *handler = handler_find(in->type, in->tag);
    return handler != NULL ? handler_call(in, handler) : unhandled_for(in, GYR_REASON_UNKNOWN_TAG);
}

/* ---- everything else ------------------------------------------------------------------------- */

static const struct plan_handler *handler_numbered(const struct plan_type *type, uint16_t number)
{
    uint32_t low = 0;
    uint32_t high = type->binary_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (type->binary_numbers[middle] < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool is_there = low < type->binary_count && type->binary_numbers[low] == number;
    return is_there ? &type->binary[low] : NULL;
}

static int handle_number(struct incoming *in)
{
    const struct plan_type *type = in->type;
    const uint8_t *bytes = as_internal(in->message).ptr;
    size_t tag_size = type->binary_tag_size;
    if (in->message.size < tag_size) {
        return unhandled_for(in, GYR_REASON_NO_TAG);
    }
    const struct plan_handler *handler =
        handler_numbered(type, tag_size == 1 ? bytes[0] : load_be16(bytes));
    if (handler == NULL) {
        return unhandled_for(in, GYR_REASON_UNKNOWN_TAG);
    }
    struct gyr_span payload = {in->message.ptr + tag_size, in->message.size - tag_size};
    untyped_fn function = (untyped_fn)handler->function;
    return handler_returned(in->visit, handler,
                            function(in->visit->conn, self_of(in->visit), payload));
}

static int handle_plain(struct incoming *in)
{
    struct visit *visit = in->visit;
    const struct gyr_resource *merged = &in->type->merged;
    if (in->opcode == GYR_TEXT) {
        return handler_returned(visit, &row_text,
                                merged->on_text(visit->conn, self_of(visit), in->message));
    }
    if (merged->on_binary != NULL) {
        return handler_returned(visit, &row_binary,
                                merged->on_binary(visit->conn, self_of(visit), in->message));
    }
    return in->type->binary_tag_size != 0 ? handle_number(in)
                                          : unhandled_for(in, GYR_REASON_OPCODE);
}

/* ---- within handlers ------------------------------------------------------------------------- */

int gyr_conn_decode(struct gyr_conn *conn, const struct gyr_schema *schema, struct gyr_span text,
                    bool lenient, void *value, struct gyr_fault *fault)
{
    struct visit *visit = visit_of(conn);
    struct app_core *core = visit->core;
    /* What is raw in a message has its padding, but who knows where this comes from? */
    uint8_t *copy = arena_alloc(&core->arena, text.size + JSON_PADDING, 1);
    if (copy == NULL) {
        *fault = (struct gyr_fault){.reason = GYR_REASON_MEMORY};
        return GYR_ERR_MEMORY;
    }
    if (text.size != 0) {
        memcpy(copy, text.ptr, text.size);
    }
    memset(copy + text.size, 0, JSON_PADDING);
    struct json_read how = {.schema = schema, .is_lenient = lenient};
    struct json_message read;
    int err =
        json_read(core->reader, span_of(copy, text.size), &how, &core->arena, value, &read, fault);
    return err != 0 && fault->reason == GYR_REASON_MEMORY ? GYR_ERR_MEMORY : err;
}
