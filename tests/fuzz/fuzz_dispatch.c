/* SPDX-License-Identifier: MIT */
/* Fuzzes messages on their way through an application: the first byte says which resource gets the
 * others, and as what. Whatever they are, exactly one of its functions is called, once; a handler
 * only if simdjson, too, takes the message for sound; on_unhandled with the very bytes. Whatever is
 * sent is JSON. */
#include "router/app.h"
#include "tests/engine_kit.c" /* fuzzers link the library alone */
#include "tests/engine_kit_file.c"
#include "tests/engine_kit_ring.c"
#include "tests/json_reference.h"

#define INPUT_SIZE_MAX 4000
#define FRAME_SIZE_MAX (2 * INPUT_SIZE_MAX + 1000) /* of what is sent */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct part {
    int32_t n;
};
GYR_PART(part, GYR_MEMBER(part, n, GYR_RANGE(-5, 5)));

struct all {
    struct gyr_span text;
    struct gyr_span bytes;
    struct gyr_span raw;
    int64_t whole;
    uint8_t small;
    double real;
    bool flag;
    bool has_flag;
    const struct part *parts;
    size_t part_count;
};
GYR_MESSAGE(all, "all", GYR_MEMBER(all, text, GYR_SIZE(0, 100)),
            GYR_BYTES(all, bytes, GYR_OPTIONAL), GYR_RAW(all, raw, GYR_OPTIONAL),
            GYR_MEMBER(all, whole, GYR_OPTIONAL), GYR_MEMBER(all, small, GYR_OPTIONAL),
            GYR_MEMBER(all, real, GYR_OPTIONAL), GYR_MEMBER(all, flag, GYR_HAS(all, has_flag)),
            GYR_ARRAY_OF(all, parts, part_count, part, GYR_OPTIONAL));

struct text {
    struct gyr_span text;
};
GYR_MESSAGE(text, "text", GYR_MEMBER(text, text));

static struct {
    /* These live between inputs. */
    struct gyr_app *app;
    struct json_reference *reference;
    /* Of one input. */
    struct kit kit;
    struct gyr_span message;
    unsigned calls;
} state;

/* ---- functions that are called --------------------------------------------------------------- */

static bool is_sound(struct gyr_span text)
{
    return json_reference_is_valid(state.reference, (const uint8_t *)text.ptr, text.size);
}

static void handled(void)
{
    state.calls++;
    ASSERT(is_sound(state.message));
}

static int on_all(struct gyr_conn *conn, void *self, const struct all *all)
{
    (void)self;
    handled();
    for (size_t i = 0; i < all->part_count; i++) {
        ASSERT(all->parts[i].n >= -5 && all->parts[i].n <= 5);
    }
    int err = gyr_message_id(conn).size != 0 ? gyr_answer(conn, &all_schema, all)
                                             : gyr_send_msg(conn, &all_schema, all);
    ASSERT(err >= 0); /* what was read can be written */
    return all->small == 7 ? GYR_ERR_NOT_FOUND : 0;
}

static int on_text_message(struct gyr_conn *conn, void *self, const struct text *text)
{
    (void)conn;
    (void)self;
    (void)text; /* NULL where the payload is optional */
    handled();
    return 0;
}

static int on_raw(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    struct all all;
    struct gyr_fault fault;
    (void)self;
    handled();
    ASSERT(payload.ptr == NULL || is_sound(payload));
    (void)!gyr_conn_decode(conn, &all_schema, payload, true, &all, &fault);
    return 0;
}

static int on_bytes(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    (void)conn;
    (void)self;
    ASSERT(payload.size <= state.message.size);
    ASSERT(memcmp(payload.ptr, state.message.ptr + state.message.size - payload.size,
                  payload.size) == 0);
    state.calls++;
    return 0;
}

static int on_unhandled(struct gyr_conn *conn, void *self, const struct gyr_unhandled *unhandled)
{
    (void)conn;
    (void)self;
    state.calls++;
    ASSERT(unhandled->message.size == state.message.size);
    ASSERT(memcmp(unhandled->message.ptr, state.message.ptr, state.message.size) == 0);
    ASSERT(unhandled->fault->reason != GYR_REASON_NONE);
    ASSERT(unhandled->id.size <= JSON_ID_SIZE_MAX);
    return 0;
}

static int on_answer(struct gyr_conn *conn, void *self, const struct all *answer,
                     const struct gyr_fault *fault, void *arg)
{
    (void)conn;
    (void)self;
    (void)arg;
    ASSERT((answer == NULL) == (fault != NULL));
    ASSERT(answer == NULL || is_sound(state.message));
    state.calls += fault == NULL || fault->reason != GYR_REASON_FAILED; /* the end is no message */
    return 0;
}

/* ---- the application ------------------------------------------------------------------------- */

static const struct gyr_handler rows[] = {
    GYR_ON(all, on_all),
    GYR_ON(text, on_text_message, .payload_optional = true),
    GYR_ON_RAW("raw", on_raw),
    GYR_ON_NAMED_RAW(on_raw),
    {0},
};
#define ANY(name_text, ...)                                                            \
    {                                                                                  \
        GYR_RESOURCE_PLAIN(name_text), .on_unhandled = on_unhandled,                   \
                                       .failure_policy = GYR_FAILURE_KEEP, __VA_ARGS__ \
    }
static const struct gyr_resource flat = ANY("flat", .handlers = rows);
static const struct gyr_resource envelope =
    ANY("envelope", .handlers = rows, .form = GYR_FORM_ENVELOPE);
static const struct gyr_resource lenient =
    ANY("lenient", .handlers = GYR_HANDLERS(GYR_ON(all, on_all, .lenient = true)));
static const struct gyr_resource numbers =
    ANY("numbers", .binary_tag_size = 1,
        .handlers = GYR_HANDLERS(GYR_ON_BINARY(1, on_bytes), GYR_ON_BINARY(200, on_bytes)));
static const struct gyr_resource numbers2 =
    ANY("numbers2", .binary_tag_size = 2,
        .handlers = GYR_HANDLERS(GYR_ON_BINARY(0x3132, on_bytes), GYR_ON(all, on_all)));
static const struct gyr_resource asking = ANY("asking", .handlers = rows);
static const struct gyr_resource asking_envelope =
    ANY("asking_envelope", .handlers = rows, .form = GYR_FORM_ENVELOPE);
static const struct gyr_resource plain = ANY("plain", .on_text = on_bytes, .on_binary = on_bytes);
static const struct gyr_route routes[] = {GYR_ROUTE("/0", &flat),
                                          GYR_ROUTE("/1", &envelope),
                                          GYR_ROUTE("/2", &lenient),
                                          GYR_ROUTE("/3", &numbers),
                                          GYR_ROUTE("/4", &numbers2),
                                          GYR_ROUTE("/5", &asking),
                                          GYR_ROUTE("/6", &asking_envelope),
                                          GYR_ROUTE("/7", &plain),
                                          {0}};
#define ROUTE_COUNT 8
#define ROUTE_ASKS  5 /* and the one behind it */

static int layer_core_start(void *layer_state, struct gyr_core *core)
{
    (void)layer_state;
    return app_core_start(core);
}

static void layer_core_stop(void *layer_state, struct gyr_core *core)
{
    (void)layer_state;
    app_core_stop(core);
}

static const struct engine_layer layer = {
    .core_start = layer_core_start,
    .core_stop = layer_core_stop,
};

static void app_make(void)
{
    static const struct gyr_service declared = {.size = sizeof(declared),
                                                .core_data_size = sizeof(struct kit *)};
    const struct gyr_app_options options = {.size = sizeof(options), .service = &declared};
    struct gyr_error error;
    char mistakes[1024];
    state.reference = json_reference_create(FRAME_SIZE_MAX);
    ASSERT(gyr_app_create(&options, &state.app, &error) == 0);
    ASSERT(gyr_app_routes(state.app, "", routes) == 0);
    ASSERT(gyr_app_check(state.app, mistakes, sizeof(mistakes)) == 0);
}

static struct gyr_conn *open_route(unsigned route)
{
    char request[300];
    if (state.app == NULL) {
        app_make();
    }
    kit_init(&state.kit);
    state.kit.quiet = true;
    state.kit.service = *app_service(state.app);
    state.kit.config.log_level = GYR_LOG_OFF;
    state.kit.layer = &layer;
    kit_start(&state.kit);
    int size = snprintf(request, sizeof(request),
                        "GET /%u HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Key: " KIT_KEY "\r\n"
                        "Sec-WebSocket-Version: 13\r\n\r\n",
                        route);
    kit_connect(&state.kit);
    kit_input(&state.kit, request, (size_t)size);
    kit_forget(&state.kit);
    return kit_conn(&state.kit);
}

/* ---- one input ------------------------------------------------------------------------------- */

static void ask(struct gyr_conn *conn)
{
    const struct all question = {.text = GYR_SPAN("?")};
    ASSERT(gyr_ask(conn, &all_schema, &question, &all_schema, 60000, (gyr_any_fn)on_answer, NULL) ==
           0);
    kit_run(&state.kit);
    kit_forget(&state.kit);
}

/* All that was sent is JSON; true if it ends with a Close. */
static bool output_check(void)
{
    struct span out = kit_output(&state.kit);
    bool is_closed = false;
    for (size_t at = 0; at < out.size;) {
        const uint8_t *frame = out.ptr + at;
        ASSERT(frame[1] != 127 && at + 4 <= out.size);
        size_t header_size = frame[1] < 126 ? 2 : 4;
        size_t size = frame[1] < 126 ? frame[1] : load_be16(frame + 2);
        ASSERT(at + header_size + size <= out.size);
        is_closed = (frame[0] & 0x0f) == 8;
        ASSERT(is_closed || is_sound((struct gyr_span){(const char *)frame + header_size, size}));
        at += header_size + size;
    }
    kit_forget(&state.kit);
    return is_closed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > INPUT_SIZE_MAX) {
        return -1;
    }
    static uint8_t copy[INPUT_SIZE_MAX];
    uint8_t first = data[0] & 0x80 ? 0x82 : 0x81;
    unsigned route = data[0] % ROUTE_COUNT;
    memcpy(copy, data + 1, size - 1);
    state.message = (struct gyr_span){0};
    struct gyr_conn *conn = open_route(route);
    ASSERT(conn != NULL);
    if (route == ROUTE_ASKS || route == ROUTE_ASKS + 1) {
        ask(conn);
    }
    state.message = (struct gyr_span){(const char *)copy, size - 1};
    state.calls = 0;
    kit_input_frame(&state.kit, first, copy, size - 1);
    bool is_closed = output_check();
    ASSERT(state.calls == (is_closed ? 0 : 1)); /* text that is not UTF-8 reaches nobody */
    state.message = (struct gyr_span){0};
    kit_end(&state.kit);
    return 0;
}
