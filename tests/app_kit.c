/* SPDX-License-Identifier: MIT */
#include "tests/app_kit.h"

#include "proto/ws_frame.h"
#include "router/app.h"
#include "tests/engine_kit_ring.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT_FRAME   0x81
#define BINARY_FRAME 0x82
#define NOTE_MAX     1024

/* ---- life ------------------------------------------------------------------------------------ */

static int layer_core_start(void *state, struct gyr_core *core)
{
    int err = hub_layer.core_start(state, core);
    return err < 0 ? err : app_core_start(core);
}

static void layer_core_stop(void *state, struct gyr_core *core)
{
    app_core_stop(core);
    hub_layer.core_stop(state, core);
}

void app_kit_init(struct app_kit *kit)
{
    memset(kit, 0, sizeof(*kit));
    hub_kit_init(&kit->hub);
    kit->declared = (struct gyr_service){
        .size = sizeof(struct gyr_service),
        .core_data_size = sizeof(struct kit *), /* where the kits below look for themselves */
        .user = &kit->hub.kit,
        .on_log = kit_on_log,
        .on_room = kit->hub.kit.service.on_room,
        .on_publish_ready = kit->hub.kit.service.on_publish_ready,
    };
    kit->options = (struct gyr_app_options){.size = sizeof(kit->options)};
}

static void app_make(struct app_kit *kit, const struct gyr_route *routes)
{
    struct gyr_error error;
    char mistakes[2048];
    kit->options.service = &kit->declared;
    const struct gyr_value self = {
        .name = "kit", .type = "struct app_kit", .at = GYR_AT, .pointer = kit};
    if (gyr_app_create(&kit->options, &kit->app, &error) < 0 ||
        gyr_app_service(kit->app, &self, &error) < 0) {
        kit_broken(error.text);
    }
    if (gyr_app_routes(kit->app, "", routes) < 0 ||
        gyr_app_check(kit->app, mistakes, sizeof(mistakes)) != 0) {
        kit_broken(mistakes);
    }
}

void app_kit_start(struct app_kit *kit, const struct gyr_route *routes)
{
    app_make(kit, routes);
    struct kit *below = &kit->hub.kit;
    below->service = *app_service(kit->app);
    const struct engine_server server = {
        .config = &below->config, .service = &below->service, .core_count = 1};
    void *state;
    struct gyr_error error;
    if (hub_layer.server_create(&server, &state, &error) < 0) {
        kit_broken(error.text);
    }
    kit->hub.hub = state;
    kit->hub.core = kit->hub.hub->cores[0];
    kit->layer = hub_layer;
    kit->layer.core_start = layer_core_start;
    kit->layer.core_stop = layer_core_stop;
    below->layer = &kit->layer;
    below->layer_state = state;
    kit_start(below);
}

void app_kit_end(struct app_kit *kit)
{
    hub_kit_end(&kit->hub);
    gyr_app_destroy(kit->app);
    free(kit->notes.ptr);
    free((void *)(uintptr_t)kit->said.ptr);
}

/* ---- the peer -------------------------------------------------------------------------------- */

struct gyr_conn *app_kit_open(struct app_kit *kit, const char *path)
{
    char request[512];
    int size = snprintf(request, sizeof(request),
                        "GET %s HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Key: " KIT_KEY "\r\n"
                        "Sec-WebSocket-Version: 13\r\n\r\n",
                        path);
    struct kit *below = &kit->hub.kit;
    kit_connect(below);
    kit_input(below, request, (size_t)size);
    struct kit_bytes *out = &below->ring->sockets[below->fd - FD_FIRST].out;
    static const char head[] = KIT_101_WITH("");
    size_t head_size = sizeof(head) - 1;
    if (out->size < head_size || memcmp(out->ptr, head, head_size) != 0) {
        kit_broken("the handshake was not accepted");
    }
    out->size -= head_size; /* what was sent in on_connect stays */
    memmove(out->ptr, out->ptr + head_size, out->size);
    kit->conn = kit_conn(below);
    return kit->conn;
}

void app_kit_say_bytes(struct app_kit *kit, enum gyr_opcode opcode, const void *bytes, size_t size)
{
    free((void *)(uintptr_t)kit->said.ptr);
    char *copy = malloc(size + 1);
    if (copy == NULL) {
        kit_broken("no memory");
    }
    memcpy(copy, bytes, size);
    kit->said = (struct gyr_span){copy, size};
    kit_input_frame(&kit->hub.kit, opcode == GYR_TEXT ? TEXT_FRAME : BINARY_FRAME, bytes, size);
}

void app_kit_say(struct app_kit *kit, const char *text)
{
    app_kit_say_bytes(kit, GYR_TEXT, text, strlen(text));
}

/* ---- what has happened ----------------------------------------------------------------------- */

void app_kit_note(struct app_kit *kit, const char *format, ...)
{
    char text[NOTE_MAX];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    kit_bytes_add(&kit->notes, text, MIN((size_t)size, sizeof(text) - 1));
    kit_bytes_add(&kit->notes, "\n", 1);
}

static bool lines_are(const char *what, const struct kit_bytes *lines, const char *expected)
{
    bool are = lines->size == strlen(expected) &&
               (lines->size == 0 || memcmp(lines->ptr, expected, lines->size) == 0);
    if (!are) {
        printf("    %s:\n%.*s  expected:\n%s", what, (int)lines->size,
               lines->size != 0 ? (const char *)lines->ptr : "", expected);
    }
    return are;
}

bool app_kit_noted(struct app_kit *kit, const char *lines)
{
    bool are = lines_are("noted", &kit->notes, lines);
    kit->notes.size = 0;
    return are;
}

static void frame_add(struct kit_bytes *lines, uint8_t first, struct span payload)
{
    char text[32];
    uint8_t opcode = first & 0x0f;
    if (opcode == WS_OPCODE_CLOSE) {
        int size = snprintf(text, sizeof(text), "close:%u",
                            payload.size >= 2 ? (unsigned)load_be16(payload.ptr) : 1005U);
        kit_bytes_add(lines, text, (size_t)size);
    } else {
        kit_bytes_add(lines, "binary:", opcode == WS_OPCODE_BINARY ? 7 : 0);
        kit_bytes_add(lines, payload.ptr, payload.size);
    }
    kit_bytes_add(lines, "\n", 1);
}

bool app_kit_got(struct app_kit *kit, const char *lines)
{
    struct span out = kit_output(&kit->hub.kit);
    struct kit_bytes got = {0};
    for (size_t at = 0; at + 2 <= out.size;) {
        const uint8_t *frame = out.ptr + at;
        size_t header_size = frame[1] < 126 ? 2 : frame[1] == 126 ? 4 : 10;
        size_t size = frame[1];
        if (at + header_size <= out.size && header_size > 2) {
            size = header_size == 4 ? load_be16(frame + 2) : (size_t)load_be64(frame + 2);
        }
        if (at + header_size + size > out.size) {
            kit_bytes_add(&got, "cut short\n", 10);
            break;
        }
        frame_add(&got, frame[0], span_of(frame + header_size, size));
        at += header_size + size;
    }
    bool are = lines_are("got", &got, lines);
    free(got.ptr);
    kit_forget(&kit->hub.kit);
    return are;
}
