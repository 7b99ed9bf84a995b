/* SPDX-License-Identifier: MIT */
/* Fuzzes whole connections: the production engine on the ring made of memory.
 *
 * The input is a script. From its front come the steps: what the peer sends and how it is cut,
 * how much it takes, how time goes, and what the service calls between upcalls. From its back
 * come the decisions of the upcalls: answer, send, pause, wait, fail, close, abort. The kit ends
 * the program where D1, B1, C1 or C3 is broken; the engine's own assertions and the sanitizers
 * do so for the rest, A1 at the end included. Here the bytes accounted to connections are added
 * up after every step (A1), and everything has to end when the server stops. */
#include "engine/files.h"
#include "engine/session.h"
#include "tests/engine_kit.c" /* fuzzers link the library alone */
#include "tests/engine_kit_file.c"
#include "tests/engine_kit_ring.c"

#define STEPS_MAX 300
#define LARGE_MAX 20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct script {
    const uint8_t *data;
    size_t size;
    struct gyr_files *files;
};

static const char GET[] = KIT_GET("/");
static const char UPGRADE[] = KIT_UPGRADE_WITH("");
static const char RANGE[] = "GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=9-\r\n"
                            "Accept-Encoding: br\r\nIf-None-Match: \"a\"\r\n\r\n";
static const char POST[] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
static const char EXPECTED[] =
    "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n";
static uint8_t payload[LARGE_MAX];
static uint8_t frame[LARGE_MAX + WS_CLIENT_HEADER_SIZE_MAX];

static uint8_t take_front(struct script *script)
{
    if (script->size == 0) {
        return 0;
    }
    script->size--;
    return *script->data++;
}

static uint8_t take_back(struct script *script)
{
    return script->size == 0 ? 0xff : script->data[--script->size];
}

static enum kit_act choose(struct kit *kit, enum kit_call call)
{
    (void)call;
    uint8_t byte = take_back(kit->context);
    static const int results[] = {-EIO, GYR_ERR_STATE, GYR_ERR_HTTP_NOT_FOUND, GYR_ERR_LIMIT, 1, 7};
    kit->fail_result = results[byte / 16 % COUNT_OF(results)];
    return byte < 128 ? (enum kit_act)(byte % 16 % KIT_ACTS) : KIT_DEFAULT;
}

static int stream_begin(struct gyr_conn *conn, uint64_t content_size)
{
    return session_stream_begin(
        conn, &(struct gyr_response){.size = sizeof(struct gyr_response), .status_code = 200},
        content_size);
}

/* As far as the script says; from any callback or none. */
static void stream_goes_on(struct kit *kit, struct gyr_conn *conn)
{
    uint8_t byte = take_back(kit->context);
    struct gyr_span piece = {(char *)payload, (size_t)byte * 3};
    struct gyr_event event = {.size = sizeof(event), .data = GYR_SPAN("a\r\nb"), .id = piece};
    struct entry *entry = NULL;
    if (session_file_is_sent(conn)) {
        ASSERT(gyr_respond_part(conn, piece) == GYR_ERR_STATE);
        ASSERT(gyr_respond_end(conn) == GYR_ERR_STATE);
        return;
    }
    switch (byte % 6) {
    case 0:
        kit->result = gyr_respond_end(conn);
        break;
    case 1:
        kit->result = gyr_events_send(conn, &event);
        break;
    case 2:
        kit->result = gyr_events_comment(conn, piece);
        break;
    case 3:
        entry = entry_create(conn->transport, piece.size);
        if (entry != NULL) {
            memset(entry_payload(entry), 'e', piece.size);
            entry->size = (uint32_t)piece.size;
            kit->result = session_stream_entry(conn, entry);
        }
        break;
    case 4:
        if (conn->state == EXCHANGE_STREAMING && byte < 100) {
            session_stream_break(conn);
        }
        break;
    default:
        kit->result = gyr_respond_part(conn, piece);
        break;
    }
}

static int on_any_fuzzed(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    const struct script *script = kit->context;
    if (conn->state == EXCHANGE_STREAMING && script->size != 0) { /* not for ever */
        stream_goes_on(kit, conn);
    }
    return act(kit, conn, event);
}

static int file_begin(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    static const struct gyr_span paths[] = {GYR_LITERAL("file"), GYR_LITERAL("folder"),
                                            GYR_LITERAL("none"), GYR_LITERAL("../file")};
    const struct script *script = kit->context;
    uint8_t byte = take_back(kit->context);
    int err = gyr_respond_file(conn, event->request, script->files, paths[byte % 4]);
    return byte < 250 ? err : -EIO;
}

static int on_request_fuzzed(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    uint8_t byte = take_back(kit->context);
    switch (byte) {
    case 0:
        return gyr_collect(conn, 10);
    case 1:
        (void)gyr_upgrade(
            conn, &(struct gyr_upgrade){.size = sizeof(struct gyr_upgrade), .receive_parts = true});
        return 0;
    case 2:
        return gyr_respond_text(conn, 403, "text/plain", GYR_SPAN("no"));
    case 3:
        return gyr_respond_text(conn, 200, "a/b", (struct gyr_span){(char *)payload, LARGE_MAX});
    case 4:
        (void)gyr_upgrade(conn, NULL);
        (void)gyr_close(conn, 1000, GYR_SPAN("at once"));
        return 0;
    case 5:
        (void)gyr_respond_text(conn, 200, "a/b", GYR_SPAN("early"));
        return GYR_PENDING;
    case 6:
        (void)!stream_begin(conn, 50);
        return act(kit, conn, event);
    case 7:
        (void)!gyr_events_begin(conn);
        stream_goes_on(kit, conn);
        return 0;
    case 8:
        (void)!stream_begin(conn, STREAM_SIZE_UNKNOWN);
        return GYR_PENDING;
    case 9:
    case 10:
        return file_begin(kit, conn, event);
    default:
        return act(kit, conn, event);
    }
}

/* What a service may call between upcalls. */
static void service_calls(struct kit *kit, struct gyr_conn *conn, uint8_t what)
{
    struct gyr_span large = {(char *)payload, (size_t)take_front(kit->context) * 37};
    switch (what % 17) {
    case 0:
        kit->result = gyr_send(conn, GYR_BINARY, large);
        break;
    case 1:
        kit->result = gyr_send_part(conn, GYR_TEXT, GYR_SPAN("part"), GYR_FIRST);
        break;
    case 2:
        kit->result = gyr_send_part(conn, GYR_TEXT, GYR_SPAN("part"), GYR_LAST);
        break;
    case 3:
        kit->result = gyr_ping(conn, GYR_SPAN("ping"));
        break;
    case 4:
        kit->result = gyr_close(conn, 1001, GYR_SPAN("going"));
        break;
    case 5:
        gyr_abort(conn);
        break;
    case 6:
        gyr_pause(conn);
        break;
    case 7:
        gyr_resume(conn);
        break;
    case 8:
        kit->result = gyr_finish(conn, 0);
        break;
    case 9:
        kit->result = gyr_finish(conn, -EIO);
        break;
    case 10:
        kit->result = gyr_respond_text(conn, 200, "text/plain", large);
        break;
    case 11:
        kit->result = gyr_upgrade(conn, NULL);
        break;
    case 12:
        kit->result = gyr_finish(conn, GYR_QUEUE_HIGH);
        break;
    case 13:
        kit->result = stream_begin(conn, large.size != 0 ? large.size : STREAM_SIZE_UNKNOWN);
        break;
    case 14:
    case 15:
        stream_goes_on(kit, conn);
        break;
    default:
        gyr_conn_timer(conn, take_front(kit->context) * 10U);
        break;
    }
}

static void peer_sends(struct kit *kit, const void *bytes, size_t size)
{
    uint8_t step = take_front(kit->context);
    if (step == 0xff) {
        kit_deliver(kit, bytes, size); /* with what comes next */
    } else if (step < 16 || size / step < 64) {
        kit_input_steps(kit, bytes, size, step == 0 || size > 256 ? MAX(size, (size_t)1) : step);
    } else {
        kit_input(kit, bytes, size);
    }
}

static void peer_sends_raw(struct kit *kit)
{
    struct script *script = kit->context;
    size_t size = take_front(script);
    size = MIN(size, script->size);
    memcpy(frame, script->data, size);
    script->data += size;
    script->size -= size;
    peer_sends(kit, frame, size);
}

static void peer_sends_frame(struct kit *kit)
{
    struct script *script = kit->context;
    uint8_t first = take_front(script);
    size_t size = take_front(script);
    size = size < 128 ? size : (size - 127) * 150;
    memset(payload, 'a', sizeof(payload));
    size_t given = MIN(MIN(size, script->size), (size_t)8);
    memcpy(payload, script->data, given);
    script->data += given;
    script->size -= given;
    peer_sends(kit, frame, kit_frame(frame, first, payload, size));
}

static void file_changes(struct kit *kit, uint8_t what, uint8_t byte)
{
    static const int errors[] = {-EIO, -EINTR, -EMFILE, -EACCES, -EAGAIN};
    switch (what % 4) {
    case 0:
        kit_file_hold(kit, byte % 2 == 0);
        kit_file_obey(kit, byte % 4 < 2);
        break;
    case 1:
        kit_file_fail(kit, errors[byte % COUNT_OF(errors)]);
        break;
    case 2:
        kit_file_read_max(kit, byte);
        break;
    default:
        kit_file(kit, "file", payload, (size_t)byte * (LARGE_MAX / 255));
        break;
    }
    kit_run(kit);
}

static void peer_changes(struct kit *kit, uint8_t what)
{
    uint8_t byte = take_front(kit->context);
    if (what >= 28) {
        file_changes(kit, what, byte);
        return;
    }
    switch (what % 8) {
    case 0:
        kit_room(kit, byte == 0xff ? SIZE_MAX : byte);
        break;
    case 1:
        kit_advance(kit, (uint64_t)byte * byte * 10);
        break;
    case 2:
        kit_end_of_stream(kit);
        break;
    case 3:
        kit_reset(kit);
        break;
    case 4:
        kit_send_fail(kit, byte % 2 == 0 ? -EPIPE : -EAGAIN);
        break;
    case 5:
        kit_hold_cancel(kit, byte % 2 == 0);
        break;
    case 6:
        if (kit->ring->socket_count < 6) {
            kit_connect(kit);
        }
        break;
    default:
        kit->fd = FD_FIRST + byte % (int)kit->ring->socket_count;
        break;
    }
}

static void step(struct kit *kit)
{
    uint8_t what = take_front(kit->context);
    switch (what % 8) {
    case 0:
        peer_sends_raw(kit);
        break;
    case 1:
        peer_sends(kit, UPGRADE, sizeof(UPGRADE) - 1);
        break;
    case 2:
        if (what >= 224) {
            peer_sends(kit, RANGE, sizeof(RANGE) - 1);
            break;
        }
        peer_sends(kit, what < 128 ? GET : EXPECTED,
                   what < 128 ? sizeof(GET) - 1 : sizeof(EXPECTED) - 1);
        break;
    case 3:
        peer_sends(kit, POST, sizeof(POST) - 1);
        break;
    case 4:
    case 5:
        peer_sends_frame(kit);
        break;
    case 6:
        if (kit_conn(kit) != NULL) {
            service_calls(kit, kit_conn(kit), what / 8);
            kit_run(kit);
        }
        break;
    default:
        peer_changes(kit, what / 8);
        break;
    }
}

static void check_accounts(const struct kit *kit)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < kit->core->slots.used; i++) {
        sum += kit->core->transports[i].heap_size;
    }
    ASSERT(sum == kit->core->heap_accounted); /* A1 */
    ASSERT(sum == heap_used(kit->core->heap));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gyr_files_options files_options = {.size = sizeof(files_options),
                                                           .precompressed = true};
    struct script script = {data, size, NULL};
    struct kit kit;
    int err = files_create(7, &files_options, &script.files, NULL);
    ASSERT(err == 0);
    uint8_t options = take_front(&script);
    kit_init(&kit);
    kit.quiet = true;
    kit.context = &script;
    kit.choose = choose;
    kit.hooks[KIT_REQUEST] = on_request_fuzzed;
    kit.hooks[KIT_BODY] = on_any_fuzzed;
    kit.hooks[KIT_DRAIN] = on_any_fuzzed;
    kit.hooks[KIT_TIMER] = on_any_fuzzed;
    kit.config.connections_max = (options & 1) != 0 ? 4 : 8;
    kit.config.recv_buffer_count = (options & 2) != 0 ? 1 : 4;
    kit.config.recv_scratch_threshold = (options & 4) != 0 ? 0 : 64;
    kit.config.core_heap_size_max = (options & 8) != 0 ? 20000 : 1 << 20;
    kit.config.message_size_max = (options & 16) != 0 ? 1000 : 100000;
    kit.config.send_queue_size_max = (options & 32) != 0 ? 1024 : 100000;
    kit.config.send_queue_high = 500;
    kit.config.send_queue_low = 100;
    kit.config.pause_size_max = (options & 64) != 0 ? 10 : 5000;
    kit.config.heartbeat_interval_ms = (options & 128) != 0 ? 5000 : 0;
    kit.config.idle_timeout_ms = 20000;
    kit.config.lifetime_max_ms = 100000;
    kit_start(&kit);
    kit_connect(&kit);
    kit_file(&kit, "file", payload, 3000);
    kit_file(&kit, "file.br", payload, 100);
    kit_file_folder(&kit, "folder");
    for (unsigned i = 0; i < STEPS_MAX && script.size != 0; i++) {
        step(&kit);
        check_accounts(&kit);
    }
    kit_file_hold(&kit, false);
    kit_end(&kit);
    files_destroy(script.files);
    return 0;
}
