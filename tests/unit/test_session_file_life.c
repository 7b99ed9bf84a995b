/* SPDX-License-Identifier: MIT */
/* The life of an answer with a file: what it holds in memory, and every failure at every step. The
 * kit ends the program when a descriptor is left open, closed twice, or closed with an operation in
 * flight, and when memory of a read is touched too early. */
#include "engine/files.h"
#include "engine/session.h"
#include "tests/engine_kit_file.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define LARGE_SIZE 1000003
#define PIECE      65536

static int serve(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    kit->result =
        gyr_respond_file(conn, event->request, kit->context, gyr_request_path(event->request));
    return kit->result;
}

static uint8_t *large_make(void)
{
    uint8_t *bytes = malloc(LARGE_SIZE);
    CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
    for (size_t i = 0; i < LARGE_SIZE; i++) {
        bytes[i] = (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
    }
    return bytes;
}

static void init(struct kit *kit)
{
    static const struct gyr_files_options options = {.size = sizeof(options),
                                                     .precompressed = true};
    struct gyr_files *files = NULL;
    CU_ASSERT_FATAL(files_create(7, &options, &files, NULL) == 0);
    kit_init(kit);
    kit->context = files;
    kit->hooks[KIT_REQUEST] = serve;
}

static void start(struct kit *kit, const uint8_t *large)
{
    kit_start(kit);
    kit_connect(kit);
    kit_file(kit, "large.txt", large, LARGE_SIZE);
    kit_file(kit, "small.txt", "small", 5);
}

static void end(struct kit *kit)
{
    kit_file_hold(kit, false);
    kit_run(kit);
    kit_end(kit);
    files_destroy(kit->context);
}

/* What the client has got is a head and the file's first bytes; returns how many. */
static size_t content_of(struct kit *kit, const uint8_t *file, size_t size)
{
    struct span output = kit_output(kit);
    if (output.size == 0) {
        return 0;
    }
    const uint8_t *content = memmem(output.ptr, output.size, "\r\n\r\n", 4);
    if (content == NULL) {
        return 0;
    }
    content += 4;
    size_t got = output.size - (size_t)(content - output.ptr);
    EXPECT(got <= size && memcmp(content, file, MIN(got, size)) == 0, "the file's bytes");
    return got;
}

void session_file_takes_no_memory_for_the_size_of_a_file(void)
{
    uint8_t *large = large_make();
    struct kit kit;
    init(&kit);
    kit.config.send_queue_high = 200000;
    kit.config.send_queue_low = 100000;
    start(&kit, large);
    kit_room(&kit, 0);
    KIT_INPUT(&kit, KIT_GET("/large.txt"));
    uint64_t most = 0;
    size_t steps = 0;
    while (content_of(&kit, large, LARGE_SIZE) < LARGE_SIZE && steps++ < 10000) {
        most = MAX(most, kit.core->heap_accounted);
        kit_room(&kit, 4999);
        kit_run(&kit);
    }
    EXPECT(most > PIECE && most < 100000 + 2 * PIECE + 4096, "the low mark and a piece");
    EXPECT_INT(content_of(&kit, large, LARGE_SIZE), LARGE_SIZE, "all of it");
    EXPECT_LOG(&kit, "request GET /large.txt\ndone answered\n", "on_drain is not for files");
    EXPECT_INT(kit_file_reads(&kit), (LARGE_SIZE + PIECE - 1) / PIECE, "each byte once");
    EXPECT_INT(kit.core->heap_accounted, 0, "nothing is left");
    EXPECT_INT(kit_file_count(&kit), 0, "closed");
    free(large);
    end(&kit);
}

void session_file_sends_what_short_reads_bring(void)
{
    static const size_t sizes[] = {1, 7, PIECE - 1, PIECE};
    uint8_t *large = large_make();
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct kit kit;
        init(&kit);
        start(&kit, large);
        kit_file(&kit, "large.txt", large, 20000 * MIN(i * i + 1, (size_t)10));
        kit_file_read_max(&kit, sizes[i]);
        KIT_INPUT(&kit, KIT_GET("/large.txt"));
        EXPECT_INT(content_of(&kit, large, LARGE_SIZE), 20000 * MIN(i * i + 1, (size_t)10), "all");
        EXPECT_INT(kit.counts[KIT_DONE], 1, "D1");
        end(&kit);
    }
    free(large);
}

/* Whatever the limits of the queue are, it goes on. */
void session_file_lives_with_every_queue(void)
{
    static const uint32_t limits[][3] = {
        {1024, 1, 0}, {1024, 1024, 1024}, {1024, 1024, 0}, {2000, 1500, 1499}, {100000, 1, 1}};
    uint8_t *large = large_make();
    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        struct kit kit;
        init(&kit);
        kit.config.send_queue_size_max = limits[i][0];
        kit.config.send_queue_high = limits[i][1];
        kit.config.send_queue_low = limits[i][2];
        start(&kit, large);
        kit_file(&kit, "large.txt", large, 50000);
        kit_room(&kit, 0);
        KIT_INPUT(&kit, KIT_GET("/large.txt") KIT_GET("/small.txt"));
        for (unsigned step = 0; step < 2000 && kit.counts[KIT_DONE] < 2; step++) {
            EXPECT(kit_transport(&kit)->queued_size <= limits[i][0] + 1024, "within the limit");
            kit_room(&kit, 100);
            kit_run(&kit);
        }
        kit_room(&kit, SIZE_MAX);
        kit_run(&kit);
        EXPECT_INT(kit.counts[KIT_DONE], 2, "both");
        struct span output = kit_output(&kit);
        EXPECT(output.size > 5 && memcmp(output.ptr + output.size - 5, "small", 5) == 0, "both");
        end(&kit);
    }
    free(large);
}

/* ---- the connection ends ---- */

enum way { /* how it ends */
    RESET,
    ABORT,
    SEND_FAILS,
    DEADLINE,
    WAYS,
};

static void end_it(struct kit *kit, enum way way)
{
    if (way == RESET) {
        kit_reset(kit);
    } else if (way == ABORT) {
        gyr_abort(kit_conn(kit));
    } else if (way == SEND_FAILS) {
        kit_send_fail(kit, -ECONNRESET);
        kit_room(kit, SIZE_MAX);
    } else {
        core_stop(kit->core);
        kit_run(kit);
        kit_advance(kit, kit->config.shutdown_deadline_ms + 100);
    }
    kit_run(kit);
}

/* An operation is in flight when the connection is lost: the slot stays until the ring has given
 * it back, whatever it brings then. */
void session_file_outlives_its_connection_while_it_is_opened(void)
{
    uint8_t *large = large_make();
    for (unsigned way = 0; way < WAYS; way++) {
        for (unsigned obey = 0; obey < 2; obey++) {
            struct kit kit;
            if (way == SEND_FAILS) {
                continue; /* nothing is being sent yet */
            }
            init(&kit);
            start(&kit, large);
            kit_file_hold(&kit, true);
            kit_file_obey(&kit, obey != 0);
            KIT_INPUT(&kit, KIT_GET("/large.txt"));
            EXPECT_INT(kit_file_ops(&kit), 1, "the file is being opened");
            end_it(&kit, (enum way)way);
            EXPECT_LOG(&kit, "request GET /large.txt\ndone aborted\n", "D1, at once");
            EXPECT_INT(kit_file_cancels(&kit), 1, "and asked to end");
            EXPECT(!kit_is_closed(&kit), "C1");
            kit_file_hold(&kit, false);
            kit_run(&kit);
            EXPECT(kit_is_closed(&kit), "then it is");
            EXPECT_INT(kit_file_count(&kit), 0, "a descriptor that came so late too");
            EXPECT_INT(kit.core->heap_accounted, 0, "A1");
            EXPECT_INT(kit_output(&kit).size, 0, "nobody was answered");
            end(&kit);
        }
    }
    free(large);
}

void session_file_outlives_its_connection_while_it_is_read(void)
{
    uint8_t *large = large_make();
    for (unsigned way = 0; way < WAYS; way++) {
        for (unsigned obey = 0; obey < 2; obey++) {
            struct kit kit;
            init(&kit);
            start(&kit, large);
            kit_room(&kit, 1000);
            KIT_INPUT(&kit, KIT_GET("/large.txt"));
            kit_file_hold(&kit, true);
            kit_file_obey(&kit, obey != 0);
            for (unsigned step = 0; kit_file_ops(&kit) == 0 && step < 100; step++) {
                kit_room(&kit, 10000);
                kit_run(&kit);
            }
            EXPECT_INT(kit_file_ops(&kit), 1, "a piece is being read");
            end_it(&kit, (enum way)way);
            EXPECT_LOG(&kit, "request GET /large.txt\ndone aborted\n", "D1, at once");
            EXPECT_INT(kit_file_cancels(&kit), 1, "and asked to end");
            EXPECT_INT(kit_file_count(&kit), 1, "C1");
            EXPECT(!kit_is_closed(&kit), "C1");
            kit_file_hold(&kit, false);
            kit_run(&kit);
            EXPECT(kit_is_closed(&kit), "then it is");
            EXPECT_INT(kit_file_count(&kit), 0, "closed");
            EXPECT_INT(kit.core->heap_accounted, 0, "A1");
            end(&kit);
        }
    }
    free(large);
}

/* Nothing is in flight: the queue is full. */
void session_file_is_closed_with_a_connection_that_stalls(void)
{
    uint8_t *large = large_make();
    for (unsigned way = 0; way <= WAYS; way++) {
        struct kit kit;
        init(&kit);
        start(&kit, large);
        kit_room(&kit, 0);
        KIT_INPUT(&kit, KIT_GET("/large.txt"));
        EXPECT_INT(kit_file_ops(&kit), 0, "it waits for its reader");
        EXPECT_INT(kit_file_count(&kit), 1, "it waits for its reader");
        if (way == WAYS) {
            kit_advance(&kit, kit.config.send_timeout_ms + 10);
        } else {
            end_it(&kit, (enum way)way);
        }
        EXPECT_LOG(&kit, "request GET /large.txt\ndone aborted\n", "D1");
        EXPECT_INT(kit_file_count(&kit), 0, "closed");
        EXPECT(kit_is_closed(&kit), "both");
        end(&kit);
    }
    free(large);
}

/* A client that has said all it wants to say still gets everything. */
void session_file_outlives_the_end_of_the_clients_stream(void)
{
    uint8_t *large = large_make();
    struct kit kit;
    init(&kit);
    start(&kit, large);
    kit_file_hold(&kit, true);
    KIT_INPUT(&kit, KIT_GET("/large.txt"));
    kit_end_of_stream(&kit);
    kit_run(&kit);
    kit_file_hold(&kit, false);
    kit_run(&kit);
    EXPECT_INT(content_of(&kit, large, LARGE_SIZE), LARGE_SIZE, "all of it");
    EXPECT_LOG(&kit, "request GET /large.txt\ndone answered\n", "answered");
    EXPECT(kit_is_closed(&kit), "then it ends");
    free(large);
    end(&kit);
}

void session_file_is_finished_while_the_server_stops(void)
{
    uint8_t *large = large_make();
    struct kit kit;
    init(&kit);
    start(&kit, large);
    kit_file_hold(&kit, true);
    KIT_INPUT(&kit, KIT_GET("/large.txt") KIT_GET("/small.txt"));
    core_stop(kit.core);
    kit_run(&kit);
    kit_file_hold(&kit, false);
    kit_run(&kit);
    struct span output = kit_output(&kit);
    EXPECT(memmem(output.ptr, output.size, "Connection: close\r\n", 19) != NULL, "the last");
    EXPECT_INT(content_of(&kit, large, LARGE_SIZE), LARGE_SIZE, "all of it");
    EXPECT_LOG(&kit, "request GET /large.txt\ndone answered\n", "and nothing after it");
    free(large);
    end(&kit);
}

/* ---- the file or the machine fails ---- */

void session_file_breaks_when_a_read_fails(void)
{
    uint8_t *large = large_make();
    static const int errors[] = {-EIO, -ENOMEM, -EISDIR};
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        struct kit kit;
        init(&kit);
        start(&kit, large);
        kit_room(&kit, 0);
        KIT_INPUT(&kit, KIT_GET("/large.txt"));
        kit_file_fail(&kit, errors[i]);
        kit_room(&kit, SIZE_MAX);
        kit_run(&kit);
        EXPECT(kit_is_reset(&kit), "the client sees that something is missing");
        EXPECT(content_of(&kit, large, LARGE_SIZE) < LARGE_SIZE, "something is missing");
        EXPECT_LOG(&kit, "request GET /large.txt\ndone aborted\n", "D1");
        EXPECT_INT(kit_file_count(&kit), 0, "closed");
        EXPECT(kit.core->trouble_ms != 0 || kit.core->trouble_count != 0, "the service is told");
        end(&kit);
    }
    free(large);
}

void session_file_reads_again_after_an_interruption(void)
{
    struct kit kit;
    uint8_t *large = large_make();
    init(&kit);
    start(&kit, large);
    kit_file_hold(&kit, true);
    KIT_INPUT(&kit, KIT_GET("/small.txt"));
    kit_file_hold(&kit, false);
    kit_room(&kit, SIZE_MAX);
    kit_file_fail(&kit, -EINTR);
    kit_run(&kit);
    EXPECT_INT(content_of(&kit, (const uint8_t *)"small", 5), 5, "opened again");
    kit_forget(&kit);
    kit_room(&kit, 0);
    KIT_INPUT(&kit, KIT_GET("/large.txt"));
    kit_file_fail(&kit, -EINTR);
    kit_room(&kit, SIZE_MAX);
    kit_run(&kit);
    EXPECT_INT(content_of(&kit, large, LARGE_SIZE), LARGE_SIZE, "read again");
    free(large);
    end(&kit);
}

void session_file_gives_up_when_it_is_always_interrupted(void)
{
    for (unsigned times = 1; times <= 5; times++) {
        struct kit kit;
        uint8_t *large = large_make();
        init(&kit);
        start(&kit, large);
        kit_file_hold(&kit, true);
        KIT_INPUT(&kit, KIT_GET("/small.txt"));
        for (unsigned i = 0; i < times; i++) {
            kit_file_fail(&kit, -EAGAIN);
            kit_file_step(&kit);
        }
        kit_file_hold(&kit, false);
        kit_run(&kit);
        struct span output = kit_output(&kit);
        EXPECT(output.size > 12, "answered");
        EXPECT_INT(memcmp(output.ptr + 9, times <= 3 ? "200" : "503", 3), 0,
                   "the fourth is one too many");
        free(large);
        end(&kit);
    }
}

void session_file_breaks_when_the_file_becomes_shorter(void)
{
    uint8_t *large = large_make();
    struct kit kit;
    init(&kit);
    start(&kit, large);
    kit_room(&kit, 0);
    KIT_INPUT(&kit, KIT_GET("/large.txt"));
    kit_file(&kit, "large.txt", large, 500000);
    kit_room(&kit, SIZE_MAX);
    kit_run(&kit);
    EXPECT(kit_is_reset(&kit), "Content-Length cannot be kept");
    EXPECT_LOG(&kit, "request GET /large.txt\ndone aborted\n", "D1");
    kit_connect(&kit);
    kit_room(&kit, 0);
    KIT_INPUT(&kit, KIT_GET("/large.txt"));
    kit_file(&kit, "large.txt", large, LARGE_SIZE);
    kit_room(&kit, SIZE_MAX);
    kit_run(&kit);
    EXPECT_INT(content_of(&kit, large, LARGE_SIZE), 500000, "one that grows is cut off");
    EXPECT_LOG(&kit, "request GET /large.txt\ndone answered\n", "D1");
    free(large);
    end(&kit);
}

/* Every size of the heap that is too small, up to one that is not. */
void session_file_survives_every_want_of_memory(void)
{
    uint8_t *large = large_make();
    unsigned whole = 0;
    unsigned refused = 0;
    unsigned broken = 0;
    for (uint64_t heap = 64; heap < 200000; heap += heap < 4000 ? 16 : 4001) {
        struct kit kit;
        init(&kit);
        kit.config.core_heap_size_max = heap;
        start(&kit, large);
        kit_file(&kit, "large.txt", large, 150000);
        KIT_INPUT(&kit, "GET /large.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=0-\r\n\r\n");
        struct span output = kit_output(&kit);
        if (output.size > 12 && memcmp(output.ptr + 9, "206", 3) == 0) {
            size_t got = content_of(&kit, large, 150000);
            whole += got == 150000;
            broken += got < 150000;
            EXPECT(got == 150000 || kit_is_reset(&kit), "whole or reset");
        } else if (output.size > 12) {
            refused += memcmp(output.ptr + 9, "503", 3) == 0;
        } else {
            EXPECT(kit_is_reset(&kit), "not even an answer");
            broken++;
        }
        EXPECT_INT(kit.counts[KIT_DONE], 1, "D1");
        EXPECT_INT(kit_file_count(&kit), 0, "closed");
        end(&kit);
    }
    EXPECT(whole > 0 && refused > 0 && broken > 0, "all three happened");
    free(large);
}

/* ---- the service ---- */

static int twice(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    int err = serve(kit, conn, event);
    EXPECT_INT(gyr_respond_text(conn, 200, "text/plain", GYR_SPAN("x")), GYR_ERR_STATE, "respond");
    EXPECT_INT(gyr_respond_part(conn, GYR_SPAN("x")), GYR_ERR_STATE, "part");
    EXPECT_INT(gyr_respond_end(conn), GYR_ERR_STATE, "end");
    EXPECT_INT(gyr_events_comment(conn, GYR_SPAN("x")), GYR_ERR_STATE, "event");
    EXPECT_INT(gyr_respond_file(conn, event->request, kit->context, GYR_SPAN("/small.txt")),
               GYR_ERR_STATE, "file");
    EXPECT_INT(gyr_upgrade(conn, NULL), GYR_ERR_STATE, "upgrade");
    return err;
}

void session_file_shares_its_response_with_nobody(void)
{
    uint8_t *large = large_make();
    struct kit kit;
    init(&kit);
    start(&kit, large);
    kit.hooks[KIT_REQUEST] = twice;
    kit_room(&kit, 0);
    KIT_INPUT(&kit, KIT_GET("/large.txt"));
    EXPECT_INT(gyr_respond_part(kit_conn(&kit), GYR_SPAN("x")), GYR_ERR_STATE, "part");
    EXPECT_INT(gyr_respond_end(kit_conn(&kit)), GYR_ERR_STATE, "end");
    EXPECT_INT(gyr_respond_file(kit_conn(&kit), NULL, kit.context, GYR_SPAN("/small.txt")),
               GYR_ERR_STATE, "from on_request only");
    kit_room(&kit, SIZE_MAX);
    kit_run(&kit);
    EXPECT_INT(content_of(&kit, large, LARGE_SIZE), LARGE_SIZE, "nothing but the file");
    EXPECT_LOG(&kit, "request GET /large.txt\ndone answered\n", "D1");
    free(large);
    end(&kit);
}

static int fail_after(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    EXPECT_INT(serve(kit, conn, event), 0, "taken");
    return -EIO;
}

static int pending_after(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    EXPECT_INT(serve(kit, conn, event), 0, "taken");
    return GYR_PENDING;
}

void session_file_breaks_when_its_callback_fails(void)
{
    uint8_t *large = large_make();
    struct kit kit;
    init(&kit);
    start(&kit, large);
    kit.hooks[KIT_REQUEST] = fail_after;
    KIT_INPUT(&kit, KIT_GET("/small.txt"));
    EXPECT(kit_is_reset(&kit), "as any response that has begun");
    EXPECT_LOG(&kit, "request GET /small.txt\ndone aborted\n", "D1");
    kit_connect(&kit);
    kit.hooks[KIT_REQUEST] = pending_after;
    KIT_INPUT(&kit, KIT_GET("/small.txt") KIT_GET("/small.txt"));
    EXPECT_LOG(&kit,
               "request GET /small.txt\ndone answered\nrequest GET /small.txt\ndone answered\n",
               "the answer decides");
    free(large);
    end(&kit);
}

static int upgrade(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    return gyr_request_is_upgrade(event->request) ? kit_default(kit, conn, event)
                                                  : serve(kit, conn, event);
}

void session_file_leaves_a_connection_that_may_become_a_websocket(void)
{
    uint8_t *large = large_make();
    struct kit kit;
    init(&kit);
    start(&kit, large);
    kit.hooks[KIT_REQUEST] = upgrade;
    KIT_INPUT(&kit, KIT_GET("/small.txt") KIT_UPGRADE_WITH(""));
    struct span output = kit_output(&kit);
    EXPECT(memmem(output.ptr, output.size, "small" KIT_101_WITH(""),
                  sizeof(KIT_101_WITH("")) + 4) != NULL,
           "both, in their order");
    kit_forget(&kit);
    KIT_FRAME(&kit, 0x81, "hello");
    EXPECT_LOG(&kit, "text \"hello\"\n", "open");
    free(large);
    end(&kit);
}

static int handshake(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    kit->result = gyr_respond_file(conn, event->request, kit->context, GYR_SPAN("small.txt"));
    return kit->result;
}

void session_file_may_answer_a_handshake(void)
{
    uint8_t *large = large_make();
    struct kit kit;
    init(&kit);
    start(&kit, large);
    kit.hooks[KIT_REQUEST] = handshake;
    KIT_INPUT(&kit, KIT_UPGRADE_WITH(""));
    EXPECT_INT(content_of(&kit, (const uint8_t *)"small", 5), 5, "a page instead");
    EXPECT_LOG(&kit, "request GET /ws\ndone answered\n", "D1");
    EXPECT_INT(kit.core->heap_accounted, 0, "A1");
    free(large);
    end(&kit);
}

void session_file_counts_what_it_reads(void)
{
    uint8_t *large = large_make();
    struct kit kit;
    init(&kit);
    start(&kit, large);
    KIT_INPUT(&kit, KIT_GET("/large.txt") KIT_GET("/none")
                        KIT_GET("/.none") "DELETE /large.txt HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_INT(atomic_load(&kit.core->stats.file_bytes), LARGE_SIZE, "bytes of files");
    EXPECT_INT(atomic_load(&kit.core->stats.http_errors), 3, "and errors");
    free(large);
    end(&kit);
}
