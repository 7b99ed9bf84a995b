/* SPDX-License-Identifier: MIT */
/* HTTP requests of a visit (RFC 9110): which row of methods gets one, answers to those that none
 * gets, content that is decoded before its handler runs, files. */
#include "router/dispatch.h"
#include "router/visit_parts.h"

#define METHOD_BIT(method) ((uint16_t)(1U << (method)))
#define ALLOW_SIZE         64

/* style: a handler is called through the type that the macro of its row has checked. */
typedef int (*requested_fn)(struct gyr_conn *conn, void *self, const struct gyr_request *request);
typedef int (*content_fn)(struct gyr_conn *conn, void *self, const void *content);

static const struct {
    enum gyr_method method;
    struct span name;
} METHODS[] = {
    {GYR_METHOD_GET, SPAN_STATIC("GET")},         {GYR_METHOD_HEAD, SPAN_STATIC("HEAD")},
    {GYR_METHOD_POST, SPAN_STATIC("POST")},       {GYR_METHOD_PUT, SPAN_STATIC("PUT")},
    {GYR_METHOD_PATCH, SPAN_STATIC("PATCH")},     {GYR_METHOD_DELETE, SPAN_STATIC("DELETE")},
    {GYR_METHOD_OPTIONS, SPAN_STATIC("OPTIONS")},
};

static enum gyr_method method_of(const struct gyr_request *request);
static void allow_write(uint16_t methods, char text[ALLOW_SIZE]);
static int respond_plain(struct gyr_conn *conn, unsigned status_code, const struct gyr_field *field,
                         const char *text);
static bool content_is_json(const struct gyr_request *request);
static int content_fault(struct visit *visit, const struct gyr_fault *fault);
static int http_file(struct visit *visit);

/* ---- which row ---- */

void http_find(const struct plan *plan, const struct gyr_request *request,
               struct http_target *target)
{
    struct gyr_span path_public = gyr_request_path(request);
    struct span path = span_of(path_public.ptr, path_public.size);
    bool handshake = gyr_request_is_upgrade(request);
    target->method = handshake ? (enum gyr_method)0 : method_of(request);
    uint16_t bit = (uint16_t)(handshake ? ROUTE_WEBSOCKET : METHOD_BIT(target->method));
    target->status = route_find(plan->table, path, bit, &target->match);
    /* A HEAD is answered as the GET (RFC 9110 section 9.3.2), and so is a handshake where there is
     * no WebSocket: a server may ignore it (section 7.8). */
    bool get = handshake || target->method == GYR_METHOD_HEAD;
    if (UNLIKELY(target->status == ROUTE_NOT_ALLOWED) && get &&
        (target->match.methods & METHOD_BIT(GYR_METHOD_GET)) != 0) {
        target->method = handshake ? GYR_METHOD_GET : GYR_METHOD_HEAD;
        target->status = route_find(plan->table, path, METHOD_BIT(GYR_METHOD_GET), &target->match);
    }
}

/* The engine has refused all that is none of these. */
static enum gyr_method method_of(const struct gyr_request *request)
{
    struct gyr_span name = gyr_request_method(request);
    for (size_t i = 0; i < COUNT_OF(METHODS); i++) {
        if (span_equal(span_of(name.ptr, name.size), METHODS[i].name)) {
            return METHODS[i].method;
        }
    }
    return GYR_METHOD_OPTIONS;
}

const struct plan_method *http_method(const struct plan_route *route, enum gyr_method method)
{
    const struct plan_method *row = &route->method[method]; /* of HEAD perhaps that of GET */
    return row->function != NULL ? row : NULL;
}

int http_product(struct visit *visit)
{
    const struct plan_route *route = visit->route;
    bool handshake = (visit->flags & VISIT_F_HANDSHAKE) != 0;
    if (handshake && (route->methods & ROUTE_WEBSOCKET) != 0) {
        return 0;
    }
    visit->flags &= ~(uint32_t)VISIT_F_HANDSHAKE;
    struct http_target target = {.status = ROUTE_NOT_ALLOWED, .method = method_of(visit->request)};
    target.match.methods = route->methods;
    visit->method = http_method(route, target.method);
    if (visit->method != NULL) {
        return 0;
    }
    int err = http_respond_unrouted(visit->conn, visit->request, &target);
    visit->flags |= VISIT_F_TOLD;
    return err < 0 ? err : GYR_ERR_HTTP_NOT_OFFERED;
}

static size_t content_size_max(const struct visit *visit, const struct plan_method *row)
{
    return row->content_size_max != 0 ? row->content_size_max
                                      : engine_core_config(visit->core->core)->message_size_max;
}

int http_collect(struct visit *visit, enum gyr_method method)
{
    const struct plan_route *route = visit->route;
    bool wanted = visit->method != NULL && visit->method->schema != NULL;
    size_t size_max = wanted ? content_size_max(visit, visit->method) : 0;
    for (uint32_t i = 0; i < route->product_count; i++) {
        const struct plan_method *row = http_method(&route->products[i], method);
        if (row != NULL && row->schema != NULL) {
            wanted = true;
            size_max = MAX(size_max, content_size_max(visit, row));
        }
    }
    return wanted ? gyr_collect(visit->conn, size_max) : 0;
}

/* ---- requests that lead nowhere ---- */

int http_respond_unrouted(struct gyr_conn *conn, const struct gyr_request *request,
                          const struct http_target *target)
{
    struct gyr_span path = gyr_request_path(request);
    uint16_t methods = target->match.methods;
    char allow[ALLOW_SIZE];
    struct gyr_field field = {0};
    if (target->method == GYR_METHOD_OPTIONS && path.size == 1 && path.ptr[0] == '*') {
        return respond_plain(conn, 204, NULL, "");
    }
    switch (target->status) {
    case ROUTE_FOUND:
        break;
    case ROUTE_BAD_PATH:
        return respond_plain(conn, 400, NULL, "malformed request target (RFC 9112 section 3.2)");
    case ROUTE_NOT_FOUND:
        return respond_plain(conn, 404, NULL, gyr_strerror(GYR_ERR_HTTP_NOT_FOUND));
    case ROUTE_NOT_ALLOWED:
        allow_write(methods, allow);
        field = (struct gyr_field){GYR_LITERAL("Allow"), {allow, strlen(allow)}};
        if (target->method == GYR_METHOD_OPTIONS) {
            return respond_plain(conn, 204, &field, "");
        }
        if ((methods & ROUTE_WEBSOCKET) != 0 &&
            (target->method == GYR_METHOD_GET || target->method == GYR_METHOD_HEAD)) {
            return respond_plain(conn, 426, NULL, "connect a WebSocket here (RFC 6455)");
        }
        return respond_plain(conn, 405, &field, gyr_strerror(GYR_ERR_HTTP_NOT_OFFERED));
    }
    ASSERT(false);
    return GYR_ERR_STATE;
}

/* "GET, HEAD, OPTIONS": a WebSocket begins with a GET. */
static void allow_write(uint16_t methods, char text[ALLOW_SIZE])
{
    if ((methods & ROUTE_WEBSOCKET) != 0) {
        methods |= METHOD_BIT(GYR_METHOD_GET);
    }
    if ((methods & METHOD_BIT(GYR_METHOD_GET)) != 0) {
        methods |= METHOD_BIT(GYR_METHOD_HEAD);
    }
    methods |= METHOD_BIT(GYR_METHOD_OPTIONS);
    size_t at = 0;
    for (size_t i = 0; i < COUNT_OF(METHODS); i++) {
        if ((methods & METHOD_BIT(METHODS[i].method)) == 0) {
            continue;
        }
        if (at != 0) {
            text[at++] = ',';
            text[at++] = ' ';
        }
        ASSERT(at + METHODS[i].name.size + sizeof(", ") < ALLOW_SIZE);
        memcpy(text + at, METHODS[i].name.ptr, METHODS[i].name.size);
        at += METHODS[i].name.size;
    }
    text[at] = '\0';
}

static int respond_plain(struct gyr_conn *conn, unsigned status_code, const struct gyr_field *field,
                         const char *text)
{
    struct gyr_response response = {
        .size = sizeof(response),
        .status_code = status_code,
        .content = {text, strlen(text)},
        .fields = field,
        .field_count = field != NULL,
    };
    if (response.content.size != 0) {
        response.content_type = GYR_SPAN("text/plain; charset=utf-8");
    }
    int err = gyr_respond(conn, &response);
    if (err == 0 && status_code >= 400) {
        STATS_ADD(engine_core_stats(gyr_conn_core(conn)), http_errors, 1);
    }
    return err;
}

/* ---- handlers ---- */

int http_handle(struct visit *visit)
{
    if (visit->route->files != NULL) {
        return http_file(visit);
    }
    const struct plan_method *method = visit->method;
    ASSERT(method != NULL);
    if (method->schema == NULL) {
        const struct gyr_resource *type;
        void *self = visit_innermost(visit, &type);
        return ((requested_fn)method->function)(visit->conn, self, visit->request);
    }
    if (gyr_request_content_length(visit->request) == 0) {
        static const char NOTHING[JSON_PADDING] = {0};
        return http_handle_content(visit, (struct gyr_span){NOTHING, 0});
    }
    if (!content_is_json(visit->request)) {
        int err = gyr_respond_error(visit->conn, 415, "content_type",
                                    "the content has to be application/json", NULL);
        visit->flags |= VISIT_F_TOLD;
        return err < 0 ? err : GYR_ERR_MESSAGE;
    }
    visit->flags |= VISIT_F_CONTENT;
    return 0;
}

/* application/json, or any type that says of itself that it is JSON (RFC 6839 section 3.1). Content
 * without a type is not taken for it: pages of other origins may send such without being asked. */
static bool content_is_json(const struct gyr_request *request)
{
    struct gyr_span field = gyr_request_field(request, "Content-Type");
    const char *end = field.size != 0 ? memchr(field.ptr, ';', field.size) : NULL;
    size_t size = end != NULL ? (size_t)(end - field.ptr) : field.size;
    while (size != 0 && (field.ptr[size - 1] == ' ' || field.ptr[size - 1] == '\t')) {
        size--;
    }
    struct span type = span_of(field.ptr, size);
    struct span suffix = SPAN_LITERAL("+json");
    if (span_equal_nocase(type, SPAN_LITERAL("application/json"))) {
        return true;
    }
    return size > suffix.size && memchr(type.ptr, '/', size) != NULL &&
           span_equal_nocase(span_of(type.ptr + size - suffix.size, suffix.size), suffix);
}

int http_handle_content(struct visit *visit, struct gyr_span content)
{
    const struct plan_method *method = visit->method;
    struct app_core *core = visit->core;
    if (content.size > content_size_max(visit, method)) {
        visit->flags |= VISIT_F_TOLD; /* the client's affair; another product may have had it */
        return GYR_ERR_HTTP_BODY_SIZE;
    }
    arena_reset(&core->arena);
    size_t align = MAX((size_t)method->schema->struct_align, (size_t)1);
    void *value = arena_alloc(&core->arena, method->schema->struct_size, align);
    if (value == NULL) {
        return GYR_ERR_MEMORY;
    }
    struct json_read how = {.schema = method->schema, .is_lenient = method->lenient};
    struct json_message message;
    struct gyr_fault fault = {0};
    int err = json_read(core->reader, span_of(content.ptr, content.size), &how, &core->arena, value,
                        &message, &fault);
    if (err < 0) {
        return err == GYR_ERR_MESSAGE ? content_fault(visit, &fault) : err;
    }
    const struct gyr_resource *type;
    void *self = visit_innermost(visit, &type);
    return ((content_fn)method->function)(visit->conn, self, value);
}

/* The content does not fit: that is the client's affair, unless there was no memory for it. */
static int content_fault(struct visit *visit, const struct gyr_fault *fault)
{
    if (fault->reason == GYR_REASON_MEMORY) {
        return GYR_ERR_MEMORY;
    }
    int err = gyr_respond_error(visit->conn, 400, gyr_reason_code(fault->reason),
                                gyr_reason_text(fault->reason),
                                fault->path[0] != '\0' ? fault->path : NULL);
    if (err < 0) {
        return err;
    }
    visit->flags |= VISIT_F_TOLD;
    return GYR_ERR_MESSAGE;
}

int http_body_result(struct visit *visit, int result)
{
    if (result == GYR_PENDING) {
        visit->flags |= VISIT_F_PENDING;
        return result;
    }
    visit->cancel = NULL;
    result = visit_refused(visit, result);
    if (result < 0) {
        const struct gyr_resource *type = gyr_conn_resource(visit->conn);
        visit_failed(visit, result, "on_body", type != NULL ? type->name : NULL, NULL);
        result = refuse_answer(visit, result);
    }
    visit->flags &= ~(uint32_t)(VISIT_F_REFUSED | VISIT_F_REFUSE_CLOSE);
    visit_keep_release(visit);
    return result;
}

/* ---- files ---- */

/* The path below the folder is what stands in the request's own, to its end: its escapes, and the
 * slash that makes it a folder's. */
static int http_file(struct visit *visit)
{
    const struct plan *plan = visit->core->plan;
    const struct plan_route *route = visit->route;
    const struct gyr_files *files =
        atomic_load_explicit(&plan->services[route->files_slot].pointer, memory_order_acquire);
    struct gyr_span path = GYR_SPAN("/");
    if (route->files->file != NULL) {
        path = (struct gyr_span){route->files->file, strlen(route->files->file)};
    } else {
        struct http_target target;
        http_find(plan, visit->request, &target);
        if (target.status == ROUTE_FOUND && target.match.value_count != 0) {
            struct gyr_span whole = gyr_request_path(visit->request);
            path.ptr = (const char *)target.match.values[target.match.value_count - 1].raw.ptr;
            path.size = (size_t)(whole.ptr + whole.size - path.ptr);
        }
    }
    if (files == NULL) {
        return GYR_ERR_NOT_FOUND;
    }
    return engine_respond_file(visit->conn, visit->request, files, path);
}
