/* SPDX-License-Identifier: MIT */
/* Nanoseconds for reading and writing one message of 151 bytes and eight members: bench-json
 *
 * The best of ROUNDS rounds is printed. All data is warm, so these are costs of instructions and
 * not of memory. */
#include "router/json.h"
#include "router/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS      400
#define CALLS       2000
#define MESSAGE_MAX 256

struct task_add {
    int64_t id;
    struct gyr_span title;
    struct gyr_span project;
    int32_t priority;
    bool done;
    double estimate;
    struct gyr_span note;
};
GYR_MESSAGE(task_add, "task.add", GYR_MEMBER(task_add, id),
            GYR_MEMBER(task_add, title, GYR_SIZE(1, 200)), GYR_MEMBER(task_add, project),
            GYR_MEMBER(task_add, priority, GYR_RANGE(0, 9)), GYR_MEMBER(task_add, done),
            GYR_MEMBER(task_add, estimate), GYR_MEMBER(task_add, note, GYR_OPTIONAL));

static const char text[] =
    "{\"type\":\"task.add\",\"id\":123456,\"title\":\"Write the report about the quarter\","
    "\"project\":\"gyr-engine\",\"priority\":7,\"done\":false,\"estimate\":2.5,\"note\":\"x\"}";

struct bench {
    struct json_reader *reader;
    struct arena arena;
    struct json_form form;
    struct task_add value;
    struct json_message message;
    struct gyr_fault fault;
    uint8_t bytes[MESSAGE_MAX + JSON_PADDING];
    uint8_t written[MESSAGE_MAX];
};

static void must(int err)
{
    if (err != 0) {
        (void)fprintf(stderr, "bench-json: %d\n", err);
        exit(1);
    }
}

static void read_once(struct bench *bench)
{
    struct json_read how = {.form = &bench->form,
                            .tag = SPAN_LITERAL("task.add"),
                            .schema = &task_add_schema,
                            .is_utf8 = true};
    arena_reset(&bench->arena);
    must(json_read(bench->reader, span_of(bench->bytes, sizeof(text) - 1), &how, &bench->arena,
                   &bench->value, &bench->message, &bench->fault));
}

static void write_once(struct bench *bench)
{
    struct json_write how = {.form = &bench->form};
    size_t size;
    must(json_write(&how, &task_add_schema, &bench->value, bench->written, MESSAGE_MAX, &size));
}

static void walk_once(struct bench *bench)
{
    enum gyr_reason reason;
    must(json_walk(span_of(bench->bytes, sizeof(text) - 1), &reason));
}

static double seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void measure(struct bench *bench, const char *name, void (*once)(struct bench *bench))
{
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        double start = seconds();
        for (int i = 0; i < CALLS; i++) {
            once(bench);
        }
        best = MIN(best, seconds() - start);
    }
    printf("%-12s %6.1f ns\n", name, best / CALLS * 1e9);
}

int main(void)
{
    static struct bench bench;
    must(json_reader_create(MESSAGE_MAX, &bench.reader));
    arena_init(&bench.arena, (size_t)1 << 16);
    bench.form.tag_name = SPAN_LITERAL("type");
    memcpy(bench.bytes, text, sizeof(text) - 1);
    measure(&bench, "json_read", read_once);
    measure(&bench, "json_write", write_once);
    measure(&bench, "json_walk", walk_once);
    arena_deinit(&bench.arena);
    json_reader_destroy(bench.reader);
    return 0;
}
