/* SPDX-License-Identifier: MIT */
/* An application on a core of tests/engine_kit.h: what its functions say goes into one trace, and
 * when the core has ended nothing may be left of its heap. */
#ifndef TESTS_VISIT_KIT_H
#define TESTS_VISIT_KIT_H

#include "gyr/gyr_app.h"
#include "router/visit.h"
#include "tests/engine_kit.h"

#define VISIT_KIT_TRACE_MAX 16384

struct visit_kit {
    struct kit kit; /* first: gyr_core_data leads to it */
    struct gyr_service service;
    struct gyr_app_options options; /* to be changed between init and app */
    struct gyr_app *app;
    void *context; /* the test's own */
    bool told;     /* failures go into the trace: "!what resource.name -5" */
    char trace[VISIT_KIT_TRACE_MAX];
    size_t trace_size;
    uint64_t heap_at_rest; /* of the core without a connection */
};

/* init; [change kit.config, options]; app; [declare]; start; ...; end. */
void visit_kit_init(struct visit_kit *visit_kit);
void visit_kit_app(struct visit_kit *visit_kit);
/* Ends the program if something was declared wrongly. */
void visit_kit_start(struct visit_kit *visit_kit);
/* All of it with one table of routes. */
void visit_kit_begin(struct visit_kit *visit_kit, const struct gyr_route *routes);
/* All connections end, and all of the heap has come back. */
void visit_kit_end(struct visit_kit *visit_kit);

struct visit_kit *visit_kit_of(const struct gyr_conn *conn);
/* Write into the trace of this connection's kit: a word, a blank behind it. */
void visit_trace(const struct gyr_conn *conn, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Compare the trace, and forget it. */
void visit_trace_is(struct visit_kit *visit_kit, const char *expected, const char *why,
                    const char *file, int line);
#define EXPECT_TRACE(visit_kit, expected, why) \
    visit_trace_is((visit_kit), (expected), (why), __FILE__, __LINE__)

/* A request on a connection of its own, and its handshake. */
void visit_kit_request(struct visit_kit *visit_kit, const char *request);
void visit_kit_get(struct visit_kit *visit_kit, const char *method, const char *path);
void visit_kit_upgrade(struct visit_kit *visit_kit, const char *path, const char *fields);
/* What came back: the status code of its first line, 0 if there is none; does it hold this? */
unsigned visit_kit_status(struct visit_kit *visit_kit);
bool visit_kit_answered(struct visit_kit *visit_kit, const char *text);
/* Bytes of the core's heap that connections have. */
uint64_t visit_kit_heap(const struct visit_kit *visit_kit);

#endif
