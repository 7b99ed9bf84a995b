/* SPDX-License-Identifier: MIT */
/* Applications on the ring made of memory. */
#include "tests/visit_kit.h"

#include "router/app.h"
#include "tests/parser_kit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void broken(const char *why)
{
    (void)fprintf(stderr, "visit_kit: %s\n", why);
    abort();
}

static void trace_add(struct visit_kit *visit_kit, const char *format, va_list arguments)
{
    size_t room = sizeof(visit_kit->trace) - visit_kit->trace_size;
    int size = vsnprintf(visit_kit->trace + visit_kit->trace_size, room, format, arguments);
    if (size < 0 || (size_t)size + 2 > room) {
        broken("the trace is full");
    }
    visit_kit->trace_size += (size_t)size;
    visit_kit->trace[visit_kit->trace_size++] = ' ';
    visit_kit->trace[visit_kit->trace_size] = '\0';
}

void visit_trace(const struct gyr_conn *conn, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    trace_add(visit_kit_of(conn), format, arguments);
    va_end(arguments);
}

void visit_trace_is(struct visit_kit *visit_kit, const char *expected, const char *why,
                    const char *file, int line)
{
    struct span trace = span_of(visit_kit->trace, visit_kit->trace_size);
    if (trace.size != 0) {
        trace.size--; /* the blank at its end */
    }
    expect_span(trace, expected, why, file, line);
    visit_kit->trace_size = 0;
    visit_kit->trace[0] = '\0';
}

struct visit_kit *visit_kit_of(const struct gyr_conn *conn)
{
    return *(struct visit_kit **)gyr_core_data(gyr_conn_core(conn));
}

static void on_failure(struct gyr_conn *conn, const struct gyr_failure *failure)
{
    if (visit_kit_of(conn)->told) {
        visit_trace(conn, "!%s:%s.%s%d", failure->what,
                    failure->resource != NULL ? failure->resource : "",
                    failure->name != NULL ? failure->name : "", failure->err);
    }
}

void visit_kit_init(struct visit_kit *visit_kit)
{
    memset(visit_kit, 0, sizeof(*visit_kit));
    kit_init(&visit_kit->kit);
    visit_kit->service = (struct gyr_service){
        .size = sizeof(struct gyr_service),
        .core_data_size = sizeof(struct visit_kit *),
        .user = &visit_kit->kit,
        .on_log = kit_on_log,
    };
    visit_kit->options = (struct gyr_app_options){
        .size = sizeof(struct gyr_app_options),
        .service = &visit_kit->service,
        .on_failure = on_failure,
    };
}

void visit_kit_app(struct visit_kit *visit_kit)
{
    struct gyr_error error;
    if (gyr_app_create(&visit_kit->options, &visit_kit->app, &error) < 0) {
        broken(error.text);
    }
}

void visit_kit_start(struct visit_kit *visit_kit)
{
    char text[2048];
    if (gyr_app_check(visit_kit->app, text, sizeof(text)) != 0) {
        broken(text);
    }
    struct kit *kit = &visit_kit->kit;
    kit->service = *app_service(visit_kit->app);
    kit_start(kit);
    struct gyr_core *core = (struct gyr_core *)kit->core;
    if (app_core_start(core) < 0) {
        broken("the core does not start");
    }
    visit_kit->heap_at_rest = kit->core->layer_size;
}

void visit_kit_begin(struct visit_kit *visit_kit, const struct gyr_route *routes)
{
    visit_kit_init(visit_kit);
    visit_kit_app(visit_kit);
    if (gyr_app_routes(visit_kit->app, "", routes) < 0) {
        broken("the routes are not taken");
    }
    visit_kit_start(visit_kit);
}

void visit_kit_end(struct visit_kit *visit_kit)
{
    struct kit *kit = &visit_kit->kit;
    core_stop(kit->core);
    for (unsigned i = 0; kit->core->state != CORE_ENDED && i < 1000; i++) {
        kit_advance(kit, i == 0 ? 0 : kit->config.shutdown_deadline_ms / 2 + 10);
    }
    EXPECT_INT(visit_kit_heap(visit_kit), 0, "bytes of the heap that were not given back");
    app_core_stop((struct gyr_core *)kit->core);
    kit_end(kit);
    gyr_app_destroy(visit_kit->app);
}

uint64_t visit_kit_heap(const struct visit_kit *visit_kit)
{
    return visit_kit->kit.core->layer_size - visit_kit->heap_at_rest;
}

void visit_kit_request(struct visit_kit *visit_kit, const char *request)
{
    kit_connect(&visit_kit->kit);
    kit_input(&visit_kit->kit, request, strlen(request));
}

void visit_kit_get(struct visit_kit *visit_kit, const char *method, const char *path)
{
    char request[1024];
    (void)snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: a\r\n\r\n", method, path);
    visit_kit_request(visit_kit, request);
}

void visit_kit_upgrade(struct visit_kit *visit_kit, const char *path, const char *fields)
{
    char request[1024];
    (void)snprintf(request, sizeof(request),
                   "GET %s HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Key: " KIT_KEY "\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
                   path, fields);
    visit_kit_request(visit_kit, request);
}

unsigned visit_kit_status(struct visit_kit *visit_kit)
{
    struct span output = kit_output(&visit_kit->kit);
    if (output.size < 12 || memcmp(output.ptr, "HTTP/1.1 ", 9) != 0) {
        return 0;
    }
    return (unsigned)((output.ptr[9] - 48) * 100 + (output.ptr[10] - 48) * 10 + output.ptr[11] -
                      48);
}

bool visit_kit_answered(struct visit_kit *visit_kit, const char *text)
{
    struct span output = kit_output(&visit_kit->kit);
    return output.size != 0 && memmem(output.ptr, output.size, text, strlen(text)) != NULL;
}
