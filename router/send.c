/* SPDX-License-Identifier: MIT */
/* Sending, publishing and answering with messages (hop 9 of docs/journey.md). A message is written
 * once, into memory that the core keeps for that, in the form that whoever gets it expects: a
 * resource's own on its connection, the application's when it comes from any thread. */
#include "router/send.h"

#include "engine/engine.h"

#define OUT_SIZE_MIN  4096
#define OUT_SIZE_KEPT 65536 /* what is more is given back at once */
#define DIRECT_SIZE   1024  /* of a message that is written where it is sent from */
#define STACK_SIZE    2048  /* of a message that is published by any thread */

/* What is written: a structure, or an error. */
struct send_job {
    struct json_write how;
    const struct gyr_schema *schema; /* NULL: `value` is a struct send_error */
    const void *value;
};
struct send_error {
    struct span code;
    struct span reason;
    struct span path;
};

static struct gyr_span as_public(struct span span)
{
    return (struct gyr_span){(const char *)span.ptr, span.size};
}

static struct span as_internal(struct gyr_span span)
{
    return span_of(span.ptr, span.size);
}

static struct span text_span(const char *text)
{
    return span_of(text, text != NULL ? strlen(text) : 0);
}

/* ---- encoding -------------------------------------------------------------------------------- */

static int job_write(const struct send_job *job, uint8_t *bytes, size_t capacity, size_t *size)
{
    if (LIKELY(job->schema != NULL)) {
        return json_write(&job->how, job->schema, job->value, bytes, capacity, size);
    }
    const struct send_error *error = job->value;
    return json_write_error(&job->how, error->code, error->reason, error->path, bytes, capacity,
                            size);
}

static void out_free(struct app_core *core)
{
    engine_core_free(core->core, core->out, core->out_size);
    core->out = NULL;
    core->out_size = 0;
}

static int out_grow(struct app_core *core, size_t size)
{
    size_t grown = MAX(core->out_size, (size_t)OUT_SIZE_MIN);
    while (grown < size && grown < OUT_SIZE_KEPT) {
        grown *= 2;
    }
    out_free(core);
    grown = MAX(grown, size);
    core->out = engine_core_alloc(core->core, grown);
    core->out_size = core->out != NULL ? grown : 0;
    return core->out != NULL ? 0 : GYR_ERR_MEMORY;
}

/* Encode it into the core's memory, which out_release gives back if it is too much to be kept.
 * GYR_ERR_ARGUMENT as gyr_encode, GYR_ERR_LIMIT past size_max, GYR_ERR_MEMORY. */
static int job_encode(struct app_core *core, const struct send_job *job, size_t size_max,
                      size_t *size)
{
    int err = job_write(job, core->out, core->out_size, size);
    if (UNLIKELY(err == GYR_ERR_LIMIT) && *size <= size_max) {
        err = out_grow(core, *size);
        if (err == 0) {
            err = job_write(job, core->out, core->out_size, size);
        }
    }
    return err;
}

static void out_release(struct app_core *core)
{
    if (UNLIKELY(core->out_size > OUT_SIZE_KEPT)) {
        out_free(core);
    }
}

/* ---- to one ---------------------------------------------------------------------------------- */

static const struct json_form *form_of(const struct visit *visit)
{
    return visit->route->level_count != 0 ? &visit_type(visit)->form : &visit->core->plan->form;
}

static int job_send(struct visit *visit, const struct send_job *job)
{
    struct app_core *core = visit->core;
    size_t size = 0;
    uint8_t *bytes = engine_send_begin(visit->conn, DIRECT_SIZE);
    if (LIKELY(bytes != NULL && job_write(job, bytes, DIRECT_SIZE, &size) == 0)) {
        engine_send_end(visit->conn, GYR_TEXT, size);
        return 0;
    }
    int err = job_encode(core, job, engine_core_config(core->core)->send_queue_size_max, &size);
    if (LIKELY(err == 0)) {
        err = gyr_send(visit->conn, GYR_TEXT, (struct gyr_span){(const char *)core->out, size});
    } else if (err == GYR_ERR_LIMIT) {
        err = GYR_ERR_BACKPRESSURE; /* as gyr_send has it, for what never fits */
    }
    out_release(core);
    return err;
}

int send_message(struct visit *visit, struct span id, struct span answer,
                 const struct gyr_schema *schema, const void *value)
{
    const struct send_job job = {
        .how = {.form = form_of(visit), .id = id, .answer = answer},
        .schema = schema,
        .value = value,
    };
    return job_send(visit, &job);
}

int gyr_send_msg(struct gyr_conn *conn, const struct gyr_schema *schema, const void *value)
{
    return send_message(visit_of(conn), (struct span){0}, (struct span){0}, schema, value);
}

/* ---- answers --------------------------------------------------------------------------------- */

struct gyr_span gyr_message_id(const struct gyr_conn *conn)
{
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): nothing is changed through it */
    return visit_of((struct gyr_conn *)(uintptr_t)conn)->id;
}

static int answer_may(const struct visit *visit)
{
    bool may = visit->id.size != 0 && (visit->flags & VISIT_F_ANSWERED_ID) == 0;
    return may ? 0 : GYR_ERR_STATE;
}

static int answer_sent(struct visit *visit, int err)
{
    if (err >= 0) {
        visit->flags |= VISIT_F_ANSWERED_ID;
    }
    return err;
}

int gyr_answer(struct gyr_conn *conn, const struct gyr_schema *schema, const void *value)
{
    struct visit *visit = visit_of(conn);
    int err = answer_may(visit);
    if (err != 0) {
        return err;
    }
    return answer_sent(
        visit, send_message(visit, (struct span){0}, as_internal(visit->id), schema, value));
}

static int error_send(struct visit *visit, struct gyr_span id, const char *code, const char *reason,
                      const char *path)
{
    const struct send_error error = {
        .code = text_span(code), .reason = text_span(reason), .path = text_span(path)};
    const struct send_job job = {.how = {.form = form_of(visit), .answer = as_internal(id)},
                                 .value = &error};
    return job_send(visit, &job);
}

int send_answer_error(struct visit *visit, const char *code, const char *reason, const char *path)
{
    int err = answer_may(visit);
    return err != 0 ? err : answer_sent(visit, error_send(visit, visit->id, code, reason, path));
}

int gyr_answer_error(struct gyr_conn *conn, const char *code, const char *reason, const char *path)
{
    struct visit *visit = visit_of(conn);
    /* `return gyr_answer_error(...)` must not fail a handler that nobody wants an answer of. */
    return visit->id.size != 0 ? send_answer_error(visit, code, reason, path) : 0;
}

/* An id as it is written: a string or a number. */
static bool id_is_good(struct gyr_span id)
{
    enum gyr_reason reason;
    bool is_like = id.size != 0 && id.size <= JSON_ID_SIZE_MAX &&
                   (id.ptr[0] == '"' || id.ptr[0] == '-' || (id.ptr[0] >= '0' && id.ptr[0] <= '9'));
    return is_like && json_walk(as_internal(id), &reason) == 0;
}

int gyr_answer_to(struct gyr_conn *conn, struct gyr_span id, const struct gyr_schema *schema,
                  const void *value)
{
    return id_is_good(id)
               ? send_message(visit_of(conn), (struct span){0}, as_internal(id), schema, value)
               : GYR_ERR_ARGUMENT;
}

int gyr_answer_error_to(struct gyr_conn *conn, struct gyr_span id, const char *code,
                        const char *reason, const char *path)
{
    return id_is_good(id) ? error_send(visit_of(conn), id, code, reason, path) : GYR_ERR_ARGUMENT;
}

/* ---- to many --------------------------------------------------------------------------------- */

static int publish_encode(const struct visit *visit, const struct gyr_schema *schema,
                          const void *value, struct gyr_span *text)
{
    struct app_core *core = visit->core;
    const struct send_job job = {.how = {.form = form_of(visit)}, .schema = schema, .value = value};
    size_t size = 0;
    int err = job_encode(core, &job, engine_core_config(core->core)->broadcast_size_max, &size);
    *text = as_public(span_of(core->out, size));
    return err == GYR_ERR_LIMIT ? GYR_ERR_ARGUMENT : err; /* as gyr_publish has it */
}

int gyr_publish_msg(struct gyr_conn *conn, struct gyr_span room, const struct gyr_schema *schema,
                    const void *value)
{
    struct app_core *core = visit_of(conn)->core;
    struct gyr_span text;
    int err = publish_encode(visit_of(conn), schema, value, &text);
    if (err == 0) {
        err = gyr_publish(core->core, room, GYR_TEXT, text);
    }
    out_release(core);
    return err;
}

int gyr_publish_others_msg(struct gyr_conn *conn, struct gyr_span room,
                           const struct gyr_schema *schema, const void *value)
{
    struct gyr_span text;
    int err = publish_encode(visit_of(conn), schema, value, &text);
    if (err == 0) {
        err = gyr_publish_others(conn, room, GYR_TEXT, text);
    }
    out_release(visit_of(conn)->core);
    return err;
}

/* The application's form needs no core: a plan is shared by all (R1). */
int gyr_server_publish_msg(struct gyr_server *server, const struct gyr_publish *publish,
                           const struct gyr_schema *schema, const void *value)
{
    if (!engine_server_is_made(server)) {
        return GYR_ERR_STATE;
    }
    const struct gyr_core *core = engine_server_core(server, 0);
    const struct gyr_app *app = engine_core_service(core)->app;
    if (app == NULL) {
        return GYR_ERR_STATE;
    }
    uint8_t stack[STACK_SIZE];
    uint8_t *bytes = stack;
    struct send_job job = {.how = {.form = &app_plan(app)->form}, .schema = schema, .value = value};
    size_t size = 0;
    int err = job_write(&job, stack, sizeof(stack), &size);
    if (err == GYR_ERR_LIMIT) {
        if (size > engine_core_config(core)->broadcast_size_max) {
            return GYR_ERR_ARGUMENT; /* as gyr_server_publish has it */
        }
        bytes = memory_take(size);
        err = bytes != NULL ? job_write(&job, bytes, size, &size) : GYR_ERR_MEMORY;
    }
    if (err == 0) {
        struct gyr_publish whole = {0};
        memcpy(&whole, publish, MIN(publish->size, sizeof(whole)));
        whole.opcode = GYR_TEXT;
        whole.payload = as_public(span_of(bytes, size));
        err = gyr_server_publish(server, &whole);
    }
    if (bytes != stack) {
        memory_free(bytes);
    }
    return err;
}
