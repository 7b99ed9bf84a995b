/* SPDX-License-Identifier: MIT */
/* A service that records its upcalls and holds the engine to D1, and the peer's side of
 * connections. */
#include "tests/engine_kit.h"

#include "proto/ws_frame.h"
#include "tests/engine_kit_ring.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define TURNS_MAX 100000
#define SHOWN_MAX 40 /* payload bytes that the log shows; of more it shows size and sum */

/* What the service keeps of an exchange, at gyr_conn_data. */
struct kit_conn_data {
    uint32_t cookie; /* of gyr_conn_data being this exchange's own and zero at first */
    bool requested;
    bool done;
    bool upgraded;
    bool opened;
    bool closed;
};

static struct kit *kit_of(const struct gyr_conn *conn)
{
    return *(struct kit **)gyr_core_data(gyr_conn_core(conn));
}

/* ---- the log ---- */

static void record_text(struct kit *kit, const char *text)
{
    kit_bytes_add(&kit->log, text, strlen(text));
}

static void record_bytes(struct kit *kit, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char text[8];
        unsigned byte = (unsigned char)bytes[i];
        (void)snprintf(text, sizeof(text), byte < ' ' || byte > '~' ? "\\x%02x" : "%c", byte);
        record_text(kit, text);
    }
}

static void log_quoted(struct kit *kit, struct gyr_span bytes)
{
    if (bytes.size <= SHOWN_MAX) {
        record_text(kit, "\"");
        record_bytes(kit, bytes.ptr, bytes.size);
        record_text(kit, "\"");
        return;
    }
    uint32_t sum = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        sum = sum * 31 + (unsigned char)bytes.ptr[i];
    }
    char text[64];
    (void)snprintf(text, sizeof(text), "%zu bytes, sum %08x", bytes.size, sum);
    record_text(kit, text);
}

/* Pieces that follow each other are one line, so that the log does not depend on where input was
 * cut. */
static void log_piece(struct kit *kit, const char *what, struct gyr_span bytes, bool last)
{
    if (!kit->in_piece) {
        record_text(kit, what);
    }
    record_bytes(kit, bytes.ptr, bytes.size);
    kit->in_piece = !last;
    if (last) {
        record_text(kit, " last\n");
    }
}

static const char *opcode_name(enum gyr_opcode opcode)
{
    return opcode == GYR_TEXT ? "text " : opcode == GYR_BINARY ? "binary " : "unknown opcode ";
}

static void log_event(struct kit *kit, const struct kit_event *event)
{
    static const char *const OUTCOMES[] = {"done answered\n", "done upgraded\n", "done aborted\n"};
    static const char *const PLAIN[] = {[KIT_OPEN] = "open\n",
                                        [KIT_DRAIN] = "drain\n",
                                        [KIT_MAIL] = "mail\n",
                                        [KIT_TIMER] = "timer\n"};
    bool piece = event->call == KIT_BODY || event->call == KIT_PART;
    if (kit->in_piece && !piece) {
        record_text(kit, "...\n");
        kit->in_piece = false;
    }
    char code[32];
    switch (event->call) {
    case KIT_REQUEST: {
        struct gyr_span method = gyr_request_method(event->request);
        struct gyr_span target = gyr_request_target(event->request);
        record_text(kit, "request ");
        record_bytes(kit, method.ptr, method.size);
        record_text(kit, " ");
        record_bytes(kit, target.ptr, target.size);
        record_text(kit, "\n");
        break;
    }
    case KIT_BODY:
        log_piece(kit, "body ", event->bytes, event->last);
        break;
    case KIT_PART:
        log_piece(kit, event->opcode == GYR_TEXT ? "text part " : "binary part ", event->bytes,
                  (event->flags & GYR_LAST) != 0);
        break;
    case KIT_DONE:
        record_text(kit, OUTCOMES[event->code]);
        break;
    case KIT_MESSAGE:
        record_text(kit, opcode_name(event->opcode));
        log_quoted(kit, event->bytes);
        record_text(kit, "\n");
        break;
    case KIT_CLOSE:
        (void)snprintf(code, sizeof(code), "close %u", event->code);
        record_text(kit, code);
        record_text(kit, event->bytes.size != 0 ? " " : "\n");
        if (event->bytes.size != 0) {
            record_bytes(kit, event->bytes.ptr, event->bytes.size);
            record_text(kit, "\n");
        }
        break;
    case KIT_OPEN:
    case KIT_DRAIN:
    case KIT_MAIL:
    case KIT_TIMER:
    case KIT_CALLS:
        record_text(kit, PLAIN[event->call]);
        break;
    }
}

/* ---- the service ---- */

int kit_default(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    (void)kit;
    switch (event->call) {
    case KIT_REQUEST:
        if (gyr_request_is_upgrade(event->request)) {
            return gyr_upgrade(conn, NULL);
        }
        if (gyr_request_content_length(event->request) != 0) {
            return 0;
        }
        return gyr_respond_text(conn, 200, "text/plain", GYR_SPAN("ok"));
    case KIT_BODY:
        return event->last ? gyr_respond_text(conn, 200, "text/plain", GYR_SPAN("ok")) : 0;
    case KIT_MESSAGE:
        return gyr_reply(conn, event->opcode, event->bytes);
    case KIT_DONE:
    case KIT_OPEN:
    case KIT_PART:
    case KIT_DRAIN:
    case KIT_MAIL:
    case KIT_TIMER:
    case KIT_CLOSE:
    case KIT_CALLS:
        break;
    }
    return 0;
}

static int act(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    enum kit_act what =
        kit->choose != NULL ? kit->choose(kit, event->call) : kit->acts[event->call];
    switch (what) {
    case KIT_NOTHING:
        return 0;
    case KIT_PENDING:
        return GYR_PENDING;
    case KIT_FAIL:
        return kit->fail_result;
    case KIT_ABORT:
        gyr_abort(conn);
        return 0;
    case KIT_CLOSING:
        kit->result = gyr_close(conn, 1000, GYR_SPAN("bye"));
        return 0;
    case KIT_PAUSE:
        gyr_pause(conn);
        break;
    case KIT_SEND:
        kit->result = gyr_send(conn, GYR_TEXT, GYR_SPAN("sent"));
        break;
    case KIT_HIGH:
        (void)kit_default(kit, conn, event);
        return GYR_QUEUE_HIGH;
    case KIT_DEFAULT:
    case KIT_ACTS:
        break;
    }
    return kit_default(kit, conn, event);
}

/* D1, and that nothing else is called on an exchange before its beginning or after its end. */
static void check_order(struct kit *kit, struct kit_conn_data *data, enum kit_call call,
                        unsigned code)
{
    bool in_request = data->requested && !data->done;
    bool in_websocket = data->opened && !data->closed;
    bool good = false;
    switch (call) {
    case KIT_REQUEST:
        good = !data->requested && !data->opened && data->cookie == 0;
        data->requested = true;
        data->cookie = 0xc00c1e;
        kit->exchanges_open++;
        break;
    case KIT_BODY:
        good = in_request;
        break;
    case KIT_DONE:
        good = in_request;
        data->done = true;
        data->upgraded = code == GYR_DONE_UPGRADED;
        kit->exchanges_open--;
        break;
    case KIT_OPEN:
        good = data->done && data->upgraded && !data->opened;
        data->opened = true;
        kit->exchanges_open++;
        break;
    case KIT_MESSAGE:
    case KIT_PART:
        good = in_websocket;
        break;
    case KIT_CLOSE:
        good = in_websocket;
        data->closed = true;
        kit->exchanges_open--;
        break;
    case KIT_DRAIN:
    case KIT_MAIL:
    case KIT_TIMER:
    case KIT_CALLS:
        good = in_request || in_websocket;
        break;
    }
    if (!good || data->cookie != 0xc00c1e) {
        (void)fprintf(stderr, "%.*s", (int)kit->log.size, (const char *)kit->log.ptr);
        kit_broken("an upcall before the beginning or after the end of its exchange (D1)");
    }
}

static int upcall(struct gyr_conn *conn, const struct kit_event *event)
{
    struct kit *kit = kit_of(conn);
    kit->counts[event->call]++;
    if (!kit->quiet) {
        log_event(kit, event);
    }
    check_order(kit, gyr_conn_data(conn), event->call, event->code);
    return kit->hooks[event->call] != NULL ? kit->hooks[event->call](kit, conn, event)
                                           : act(kit, conn, event);
}

static int on_request(struct gyr_conn *conn, const struct gyr_request *request)
{
    return upcall(conn, &(struct kit_event){.call = KIT_REQUEST, .request = request});
}

static int on_body(struct gyr_conn *conn, struct gyr_span piece, bool last)
{
    return upcall(conn, &(struct kit_event){.call = KIT_BODY, .bytes = piece, .last = last});
}

static void on_done(struct gyr_conn *conn, enum gyr_outcome outcome)
{
    (void)upcall(conn, &(struct kit_event){.call = KIT_DONE, .code = outcome});
}

static int on_open(struct gyr_conn *conn)
{
    return upcall(conn, &(struct kit_event){.call = KIT_OPEN});
}

static int on_message(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span message)
{
    /* M1: the padding can be read; a sanitizer would object. */
    unsigned sum = 0;
    for (size_t i = 0; i < GYR_MESSAGE_PADDING; i++) {
        sum += ((const volatile unsigned char *)message.ptr)[message.size + i];
    }
    (void)sum;
    return upcall(conn,
                  &(struct kit_event){.call = KIT_MESSAGE, .opcode = opcode, .bytes = message});
}

static int on_part(struct gyr_conn *conn, enum gyr_opcode opcode, struct gyr_span part,
                   unsigned flags)
{
    return upcall(conn, &(struct kit_event){
                            .call = KIT_PART, .opcode = opcode, .bytes = part, .flags = flags});
}

static void on_drain(struct gyr_conn *conn)
{
    (void)upcall(conn, &(struct kit_event){.call = KIT_DRAIN});
}

static void on_mail(struct gyr_conn *conn, void *mail)
{
    (void)mail;
    if (conn != NULL) {
        (void)upcall(conn, &(struct kit_event){.call = KIT_MAIL});
    }
}

static void on_timer(struct gyr_conn *conn)
{
    (void)upcall(conn, &(struct kit_event){.call = KIT_TIMER});
}

static void on_close(struct gyr_conn *conn, uint16_t close_code, struct gyr_span reason)
{
    (void)upcall(conn, &(struct kit_event){.call = KIT_CLOSE, .code = close_code, .bytes = reason});
}

/* ---- a core and its life ---- */

void kit_init(struct kit *kit)
{
    *kit = (struct kit){
        .config = gyr_config_default(),
        .service =
            {
                .size = sizeof(struct gyr_service),
                .conn_data_size = sizeof(struct kit_conn_data),
                .core_data_size = sizeof(struct kit *),
                .on_request = on_request,
                .on_body = on_body,
                .on_done = on_done,
                .on_open = on_open,
                .on_message = on_message,
                .on_part = on_part,
                .on_drain = on_drain,
                .on_mail = on_mail,
                .on_timer = on_timer,
                .on_close = on_close,
            },
        .fail_result = -EIO,
        .peer = {.family = ADDRESS_IPV4, .ip = {192, 0, 2, 1}},
    };
    kit->config.recv_buffer_size = 4096;
    kit->config.recv_buffer_count = 16;
    kit->config.connections_max = KIT_SOCKETS_MAX;
    kit->config.heartbeat_interval_ms = 0;
}

void kit_start(struct kit *kit)
{
    struct core_config config = {
        .config = &kit->config,
        .service = &kit->service,
        .ring_ops = &kit_ring_ops,
        .peers = kit->peers,
        .peer_count = 1,
        .addresses = kit->addresses,
        .layer = kit->layer,
        .layer_state = kit->layer_state != NULL ? kit->layer_state : kit,
    };
    struct gyr_error error;
    if (core_create(&config, &kit->core, &error) < 0) {
        kit_broken(error.text);
    }
    core_listen(kit->core, FD_LISTENER);
    kit->peers[0] = kit->core;
    kit->ring = (struct kit_ring *)(void *)kit->core->ring;
    *(struct kit **)kit->core->data = kit;
    if (core_layer_start(kit->core) < 0) {
        kit_broken("the layer does not start");
    }
    kit_run(kit);
}

void kit_begin(struct kit *kit)
{
    kit_init(kit);
    kit_start(kit);
    kit_connect(kit);
}

void kit_end(struct kit *kit)
{
    kit_hold_cancel(kit, false);
    core_stop(kit->core);
    for (unsigned i = 0; kit->core->state != CORE_ENDED; i++) {
        if (i == 1000) {
            kit_broken("the core does not end");
        }
        kit_advance(kit, i == 0 ? 0 : kit->config.shutdown_deadline_ms / 2 + 10);
    }
    if (kit->exchanges_open != 0) {
        kit_broken("an exchange has not seen its end (D1)");
    }
    core_destroy(kit->core);
    core_free(kit->core);
    free(kit->log.ptr);
    free(kit->lines.ptr);
}

void kit_on_log(void *user, enum gyr_log_level level, struct gyr_span line)
{
    struct kit *kit = user;
    (void)level;
    kit_bytes_add(&kit->lines, line.ptr, line.size);
    kit_bytes_add(&kit->lines, "\n", 1);
}

bool kit_line_has(struct kit *kit, const char *text)
{
    bool found =
        kit->lines.size != 0 && memmem(kit->lines.ptr, kit->lines.size, text, strlen(text)) != NULL;
    kit->lines.size = 0;
    return found;
}

void kit_run(struct kit *kit)
{
    unsigned turns = 0;
    do {
        if (++turns == TURNS_MAX) {
            kit_broken("the core does not come to rest");
        }
        kit->ring->idle = false;
    } while (core_turn(kit->core) && !kit->ring->idle);
}

void kit_advance(struct kit *kit, uint64_t ms)
{
    kit->core->ring->now_ns += ms * 1000000;
    kit_run(kit);
}

/* ---- the peer ---- */

static struct kit_socket *current(struct kit *kit)
{
    return &kit->ring->sockets[kit->fd - FD_FIRST];
}

void kit_connect(struct kit *kit)
{
    struct kit_ring *ring = kit->ring;
    if (ring->socket_count == KIT_SOCKETS_MAX) {
        kit_broken("too many connections for one test");
    }
    ring->sockets[ring->socket_count] =
        (struct kit_socket){.used = true, .room = SIZE_MAX, .peer = kit->peer};
    kit->fd = FD_FIRST + (int)ring->socket_count++;
    kit_run(kit);
}

void kit_open(struct kit *kit)
{
    static const char REQUEST[] = KIT_UPGRADE_WITH("");
    kit_connect(kit);
    kit_input(kit, REQUEST, sizeof(REQUEST) - 1);
    kit_forget(kit);
}

void kit_accept_fail(struct kit *kit, int err)
{
    kit->ring->accept_err = err;
    kit_run(kit);
}

void kit_deliver(struct kit *kit, const void *bytes, size_t size)
{
    struct kit_socket *socket = current(kit);
    if (size == 0) {
        return;
    }
    struct chunk *chunk = malloc(sizeof(*chunk) + size);
    if (chunk == NULL) {
        kit_broken("no memory");
    }
    *chunk = (struct chunk){.size = size};
    memcpy(chunk->bytes, bytes, size);
    if (socket->first == NULL) {
        socket->first = chunk;
    } else {
        socket->last->next = chunk;
    }
    socket->last = chunk;
    socket->poll_seen = false;
}

void kit_input(struct kit *kit, const void *bytes, size_t size)
{
    kit_deliver(kit, bytes, size);
    kit_run(kit);
}

void kit_input_steps(struct kit *kit, const void *bytes, size_t size, size_t step)
{
    for (size_t at = 0; at < size; at += step) {
        kit_input(kit, (const uint8_t *)bytes + at, MIN(step, size - at));
    }
}

void kit_end_of_stream(struct kit *kit)
{
    current(kit)->end = true;
    current(kit)->poll_seen = false;
    kit_run(kit);
}

void kit_reset(struct kit *kit)
{
    current(kit)->lost = true;
    current(kit)->poll_seen = false;
    kit_run(kit);
}

void kit_room(struct kit *kit, size_t room)
{
    current(kit)->room = room;
    kit_run(kit);
}

void kit_send_fail(struct kit *kit, int err)
{
    current(kit)->send_err = err;
}

void kit_hold_cancel(struct kit *kit, bool hold)
{
    kit->ring->hold_cancel = hold;
}

size_t kit_frame(uint8_t *bytes, uint8_t first, const void *payload, size_t size)
{
    static const uint8_t KEY[4] = {0x37, 0xfa, 0x21, 0x3d};
    /* A server's header has the same form; the mask bit and the key are what a client adds. */
    size_t header = ws_frame_write_header(bytes, WS_OPCODE_BINARY, true, 0, size);
    bytes[0] = first;
    bytes[1] |= 0x80;
    memcpy(bytes + header, KEY, 4);
    for (size_t i = 0; i < size; i++) {
        bytes[header + 4 + i] = ((const uint8_t *)payload)[i] ^ KEY[i % 4];
    }
    return header + 4 + size;
}

void kit_input_frame(struct kit *kit, uint8_t first, const void *payload, size_t size)
{
    uint8_t *bytes = malloc(size + WS_CLIENT_HEADER_SIZE_MAX);
    if (bytes == NULL) {
        kit_broken("no memory");
    }
    kit_input(kit, bytes, kit_frame(bytes, first, payload, size));
    free(bytes);
}

static void split_begin(struct kit *kit, void (*prepare)(struct kit *kit), bool websocket)
{
    kit_init(kit);
    if (prepare != NULL) {
        prepare(kit);
    }
    kit_start(kit);
    if (websocket) {
        kit_open(kit);
    } else {
        kit_connect(kit);
    }
}

static bool bytes_compare(const char *what, const struct kit_bytes *bytes, const void *expected,
                          size_t size);

size_t kit_split(void (*prepare)(struct kit *kit), bool websocket, const void *bytes, size_t size)
{
    static const size_t STEPS[] = {1, 2, 3, 7};
    struct kit whole;
    split_begin(&whole, prepare, websocket);
    kit_input(&whole, bytes, size);
    size_t differs = SIZE_MAX;
    for (size_t i = 1; i < size + COUNT_OF(STEPS) && differs == SIZE_MAX; i++) {
        struct kit kit;
        split_begin(&kit, prepare, websocket);
        if (i < size) {
            kit_input(&kit, bytes, i);
            kit_input(&kit, (const uint8_t *)bytes + i, size - i);
        } else {
            kit_input_steps(&kit, bytes, size, STEPS[i - size]);
        }
        struct kit_bytes *out = &current(&kit)->out;
        if (!bytes_compare("log", &kit.log, whole.log.ptr, whole.log.size) ||
            !bytes_compare("output", out, current(&whole)->out.ptr, current(&whole)->out.size)) {
            differs = i;
        }
        kit_end(&kit);
    }
    kit_end(&whole);
    return differs;
}

/* ---- what has happened ---- */

struct transport *kit_transport(struct kit *kit)
{
    for (uint32_t i = 0; i < kit->core->slots.used; i++) {
        struct transport *transport = &kit->core->transports[i];
        if (transport->state != TRANSPORT_FREE && transport->fd == kit->fd) {
            return transport;
        }
    }
    return NULL;
}

struct gyr_conn *kit_conn(struct kit *kit)
{
    struct transport *transport = kit_transport(kit);
    return transport == NULL ? NULL : transport->exchange;
}

struct span kit_output(struct kit *kit)
{
    return span_of(current(kit)->out.ptr, current(kit)->out.size);
}

void kit_forget(struct kit *kit)
{
    current(kit)->out.size = 0;
    kit->log.size = 0;
    kit->in_piece = false;
}

static bool bytes_compare(const char *what, const struct kit_bytes *bytes, const void *expected,
                          size_t size)
{
    if (bytes->size == size && (size == 0 || memcmp(bytes->ptr, expected, size) == 0)) {
        return true;
    }
    struct kit shown = {0};
    record_bytes(&shown, (const char *)bytes->ptr, MIN(bytes->size, (size_t)2000));
    record_text(&shown, "\n         expected ");
    record_bytes(&shown, expected, MIN(size, (size_t)2000));
    printf("    %s is (%zu) %.*s\n", what, bytes->size, (int)shown.log.size,
           (const char *)shown.log.ptr);
    free(shown.log.ptr);
    return false;
}

bool kit_output_is(struct kit *kit, const void *bytes, size_t size)
{
    bool same = bytes_compare("output", &current(kit)->out, bytes, size);
    current(kit)->out.size = 0;
    return same;
}

bool kit_log_is(struct kit *kit, const char *text)
{
    bool same = bytes_compare("log", &kit->log, text, strlen(text));
    kit->log.size = 0;
    return same;
}

bool kit_is_ended(struct kit *kit)
{
    return current(kit)->shut != 0 || current(kit)->closed;
}

bool kit_is_closed(struct kit *kit)
{
    return current(kit)->closed;
}

bool kit_is_reset(struct kit *kit)
{
    return current(kit)->reset;
}

bool kit_is_receiving(struct kit *kit)
{
    const struct kit_socket *socket = current(kit);
    return socket->receiving || (socket->polling && (socket->poll_events & RING_POLL_IN) != 0);
}

bool kit_is_sending(struct kit *kit)
{
    return current(kit)->sending;
}

unsigned kit_sends(struct kit *kit)
{
    return kit->ring->sends;
}

bool kit_sent_in_place(struct kit *kit)
{
    const struct ring *ring = &kit->ring->base;
    const uint8_t *sent = kit->ring->sent_last;
    return sent >= ring->buffers &&
           sent < ring->buffers + (size_t)ring->buffer_size * ring->buffer_count;
}
