/* SPDX-License-Identifier: MIT */
/* Nanoseconds per call of the parsers: unmasking against memcpy, UTF-8, frame headers, request
 * heads.
 *
 *   bench-micro [name]    only the cases whose name begins so
 *
 * A case is calibrated until it runs for 5 ms and then run 9 times; the best and the middle are
 * printed. All data is warm, so these are costs of instructions and not of memory. */
#include "base/simd.h"
#include "proto/http_request.h"
#include "proto/ws_frame.h"
#include "proto/ws_mask.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define DATA_SIZE      (64u << 10)
#define GUARD          64
#define PLACE_COUNT    16
#define PLACE_SIZE     2048
#define RUN_COUNT      9
#define RUN_NS         5000000u
#define REPEAT_MAX     (1u << 30)
#define FRAME_COUNT    128 /* as in workload E4 */
#define PIPELINE_COUNT 16  /* as in workload H2 */
#define MASKING_KEY    0x3d21fa37u

/* What a case works on. */
struct data {
    uint8_t *target;
    uint8_t *source;
    size_t size;
    const struct ws_mask_ops *mask_ops;
    const struct http_limits *limits;
    struct http_request *request;
};

typedef void (*case_fn)(struct data *data, uint32_t repeat);

/* Make the compiler believe that the memory is read and written here. */
static inline void memory_touch(void *memory)
{
    __asm__ volatile("" : : "r"(memory) : "memory");
}

static uint64_t clock_ns(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        abort();
    }
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* --- the measurement ----------------------------------------------------------------------- */

static int double_compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double run_once(case_fn run, struct data *data, uint32_t repeat)
{
    uint64_t start_ns = clock_ns();
    run(data, repeat);
    return (double)(clock_ns() - start_ns);
}

/* Print one line: `count` things are done in one call. */
static void measure(const char *filter, const char *name, case_fn run, struct data *data,
                    unsigned count)
{
    if (strncmp(name, filter, strlen(filter)) != 0) {
        return;
    }
    uint32_t repeat = 1;
    while (repeat < REPEAT_MAX && run_once(run, data, repeat) < RUN_NS) {
        repeat *= 2;
    }
    double runs[RUN_COUNT];
    for (unsigned i = 0; i < RUN_COUNT; i++) {
        runs[i] = run_once(run, data, repeat) / repeat / count;
    }
    qsort(runs, RUN_COUNT, sizeof(runs[0]), double_compare);
    double bytes = (double)data->size / count;
    (void)printf("%-24s %8.0f %12.2f %12.2f %10.2f\n", name, bytes, runs[0], runs[RUN_COUNT / 2],
                 bytes / runs[0]);
}

/* --- unmasking ----------------------------------------------------------------------------- */

static void run_memcpy(struct data *data, uint32_t repeat)
{
    for (uint32_t i = 0; i < repeat; i++) {
        memcpy(data->target, data->source, data->size);
        memory_touch(data->target);
    }
}

static void run_unmask(struct data *data, uint32_t repeat)
{
    for (uint32_t i = 0; i < repeat; i++) {
        data->mask_ops->unmask(data->target, data->source, data->size, MASKING_KEY);
        memory_touch(data->target);
    }
}

/* Small sizes take turns in 16 places. In one place each call would wait for the stores of the call
 * before, which a server does not. */
static inline uint8_t *target_place(const struct data *data, uint32_t turn)
{
    return data->target + (data->size <= PLACE_SIZE / 2 ? turn % PLACE_COUNT * PLACE_SIZE : 0);
}

static void run_unmask_in_place(struct data *data, uint32_t repeat)
{
    for (uint32_t i = 0; i < repeat; i++) {
        uint8_t *place = target_place(data, i);
        data->mask_ops->unmask(place, place, data->size, MASKING_KEY);
        memory_touch(place);
    }
}

/* Four bytes down: what an echo does, whose reply has no masking key. The bytes wander, their
 * values do not matter. */
static void run_unmask_down(struct data *data, uint32_t repeat)
{
    for (uint32_t i = 0; i < repeat; i++) {
        uint8_t *place = target_place(data, i);
        data->mask_ops->unmask(place, place + 4, data->size, MASKING_KEY);
        memory_touch(place);
    }
}

static void unmask_cases(const char *filter, struct data *data)
{
    static const size_t sizes[] = {16, 20, 64, 125, 256, 1024, 4096, 16384, DATA_SIZE};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        data->size = sizes[i];
        measure(filter, "unmask: memcpy", run_memcpy, data, 1);
        measure(filter, "unmask: copy", run_unmask, data, 1);
        measure(filter, "unmask: in place", run_unmask_in_place, data, 1);
        measure(filter, "unmask: four down", run_unmask_down, data, 1);
    }
}

/* --- text ---------------------------------------------------------------------------------- */

static void run_utf8(struct data *data, uint32_t repeat)
{
    for (uint32_t i = 0; i < repeat; i++) {
        struct ws_utf8 utf8 = {0};
        memory_touch(data->source);
        if (ws_utf8_check(&utf8, data->source, data->size) != 0 || !ws_utf8_is_complete(&utf8)) {
            abort();
        }
    }
}

/* The source holds masked text. */
static void run_unmask_text(struct data *data, uint32_t repeat)
{
    for (uint32_t i = 0; i < repeat; i++) {
        struct ws_utf8 utf8 = {0};
        memory_touch(data->source);
        if (ws_unmask_text(data->mask_ops, &utf8, data->target, data->source, data->size,
                           MASKING_KEY) != 0) {
            abort();
        }
        memory_touch(data->target);
    }
}

/* Repeat the pattern as often as it fits, and fill up with spaces: never half a character. */
static void text_fill(struct data *data, const char *pattern)
{
    size_t pattern_size = strlen(pattern);
    size_t at = 0;
    while (at + pattern_size <= data->size) {
        memcpy(data->source + at, pattern, pattern_size);
        at += pattern_size;
    }
    memset(data->source + at, ' ', data->size - at);
}

static void text_cases(const char *filter, struct data *data)
{
    static const size_t sizes[] = {20, 125, 1024, 16384, DATA_SIZE};
    static const char ascii[] = "{\"type\":\"chat\"}";
    static const char mixed[] = "Gr\xc3\xbc\xc3\x9f"
                                "e \xe4\xbd\xa0\xe5\xa5\xbd! ";
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        data->size = sizes[i];
        text_fill(data, ascii);
        measure(filter, "utf8: ASCII", run_utf8, data, 1);
        data->mask_ops->unmask(data->source, data->source, data->size, MASKING_KEY);
        measure(filter, "utf8: unmask, ASCII", run_unmask_text, data, 1);
        text_fill(data, mixed);
        measure(filter, "utf8: mixed", run_utf8, data, 1);
        data->mask_ops->unmask(data->source, data->source, data->size, MASKING_KEY);
        measure(filter, "utf8: unmask, mixed", run_unmask_text, data, 1);
    }
}

/* --- frames -------------------------------------------------------------------------------- */

/* Walk over FRAME_COUNT frames by their headers. */
static void run_frame_parse(struct data *data, uint32_t repeat)
{
    for (uint32_t i = 0; i < repeat; i++) {
        memory_touch(data->source);
        for (size_t at = 0; at < data->size;) {
            struct ws_frame frame;
            if (ws_frame_parse(&frame, 0, data->source + at, data->size - at) != 0) {
                abort();
            }
            memory_touch(&frame);
            at += frame.header_size + (size_t)frame.payload_size;
        }
    }
}

/* Parse, write the reply's header, unmask behind it: the user-space part of an echo. */
static void run_frame_echo(struct data *data, uint32_t repeat)
{
    for (uint32_t i = 0; i < repeat; i++) {
        memory_touch(data->source);
        uint8_t *out = data->target;
        for (size_t at = 0; at < data->size;) {
            struct ws_frame frame;
            if (ws_frame_parse(&frame, 0, data->source + at, data->size - at) != 0) {
                abort();
            }
            at += frame.header_size;
            size_t size = (size_t)frame.payload_size;
            out += ws_frame_write_header(out, (enum ws_opcode)frame.opcode, frame.fin, 0, size);
            data->mask_ops->unmask(out, data->source + at, size, frame.masking_key);
            out += size;
            at += size;
        }
        memory_touch(data->target);
    }
}

/* FRAME_COUNT masked binary frames with payloads of this size. */
static void frames_fill(struct data *data, size_t payload_size)
{
    uint8_t *at = data->source;
    const uint32_t key = MASKING_KEY;
    for (unsigned i = 0; i < FRAME_COUNT; i++) {
        size_t header_size = ws_frame_write_header(at, WS_OPCODE_BINARY, true, 0, payload_size);
        at[1] |= 0x80; /* masked, RFC 6455 section 5.2 */
        memcpy(at + header_size, &key, sizeof(key));
        at += header_size + sizeof(key);
        memset(at, 'x', payload_size);
        at += payload_size;
    }
    data->size = (size_t)(at - data->source);
}

static void frame_cases(const char *filter, struct data *data)
{
    static const size_t sizes[] = {20, 125, 256};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        frames_fill(data, sizes[i]);
        measure(filter, "frame: parse", run_frame_parse, data, FRAME_COUNT);
        measure(filter, "frame: echo", run_frame_echo, data, FRAME_COUNT);
    }
}

/* --- requests ------------------------------------------------------------------------------ */

static const char REQUEST_WRK[] = "GET /plaintext HTTP/1.1\r\n"
                                  "Host: 127.0.0.1:8080\r\n"
                                  "\r\n";

static const char REQUEST_BROWSER[] =
    "GET /api/v1/rooms/42/messages?after=1700000000&limit=50 HTTP/1.1\r\n"
    "Host: chat.example.com\r\n"
    "Connection: keep-alive\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/120.0.0.0 Safari/537.36\r\n"
    "Accept: application/json, text/plain, */*\r\n"
    "Referer: https://chat.example.com/rooms/42\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n"
    "\r\n";

static const char REQUEST_UPGRADE[] = "GET /chat HTTP/1.1\r\n"
                                      "Host: server.example.com\r\n"
                                      "Upgrade: websocket\r\n"
                                      "Connection: Upgrade\r\n"
                                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                      "Origin: http://example.com\r\n"
                                      "Sec-WebSocket-Protocol: chat, superchat\r\n"
                                      "Sec-WebSocket-Version: 13\r\n"
                                      "\r\n";

/* Parse heads that lie one behind the other. */
static void run_http_parse(struct data *data, uint32_t repeat)
{
    for (uint32_t i = 0; i < repeat; i++) {
        memory_touch(data->source);
        for (size_t at = 0; at < data->size; at += data->request->head_size) {
            http_request_reset(data->request);
            if (http_request_parse(data->request, data->limits, data->source + at,
                                   data->size - at) != 0) {
                abort();
            }
        }
        memory_touch(data->request);
    }
}

static void http_case(const char *filter, struct data *data, const char *name, const char *text)
{
    size_t size = strlen(text);
    data->size = 0;
    for (unsigned i = 0; i < PIPELINE_COUNT; i++) {
        memcpy(data->source + data->size, text, size);
        data->size += size;
    }
    measure(filter, name, run_http_parse, data, PIPELINE_COUNT);
}

int main(int argc, char **argv)
{
    const char *filter = argc > 1 ? argv[1] : "";
    const struct http_limits limits = {
        .head_size_max = 16384, .target_size_max = 8192, .field_count_max = 100};
    struct http_request request = {0};
    struct data data = {.limits = &limits, .request = &request};
    enum simd_level level = simd_detect();

    data.mask_ops = ws_mask_ops(level);
    data.source = aligned_alloc(CACHE_LINE, DATA_SIZE + GUARD);
    data.target = aligned_alloc(CACHE_LINE, DATA_SIZE + GUARD);
    if (data.source == NULL || data.target == NULL) {
        abort();
    }
    memset(data.source, 'x', DATA_SIZE + GUARD);
    memset(data.target, 'x', DATA_SIZE + GUARD);

    (void)printf("SIMD level: %s\n%-24s %8s %12s %12s %10s\n", simd_level_name(level), "case",
                 "bytes", "best ns", "middle ns", "GB/s");
    unmask_cases(filter, &data);
    text_cases(filter, &data);
    frame_cases(filter, &data);
    http_case(filter, &data, "http: wrk", REQUEST_WRK);
    http_case(filter, &data, "http: browser", REQUEST_BROWSER);
    http_case(filter, &data, "http: upgrade", REQUEST_UPGRADE);
    free(data.source);
    free(data.target);
    return 0;
}
