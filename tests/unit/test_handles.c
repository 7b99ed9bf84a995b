/* SPDX-License-Identifier: MIT */
/* Text ids and calls by handle, on two cores and real sockets: who gets them, in which order, what
 * is refused. */
#include "gyr/gyr.h"

#include "tests/crowd_kit.h"
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct gyr_span span_text(const char *text)
{
    return (struct gyr_span){text, strlen(text)};
}

/* The handle that an id leads to; 0: none. */
static uint64_t find(const struct crowd *crowd, const char *id)
{
    struct gyr_handle handle = {0};
    int err = gyr_find(crowd->server, span_text(id), &handle);
    EXPECT(err == 0 || err == GYR_ERR_NOT_FOUND, "found or not");
    return err == 0 ? handle.id : 0;
}

/* ---- text ids ---- */

/* The second is refused on whichever core it comes to. */
void scenario_096_an_id_in_use_is_an_error_and_the_first_remains(void)
{
    struct crowd crowd;
    struct crowd_client first;
    struct crowd_client second;
    if (!crowd_init(&crowd)) {
        return;
    }
    crowd_start(&crowd);
    EXPECT_INT(crowd_connect(&crowd, &first, "alice", ""), 101, "accepted");
    EXPECT_INT(find(&crowd, "alice"), first.handle.id, "found");
    while (crowd.refused[0] == 0 || crowd.refused[1] == 0) {
        unsigned status_code = crowd_connect(&crowd, &second, "alice", "");
        EXPECT_INT(status_code, 409, "in use");
        crowd_leave(&second);
        if (status_code != 409) {
            break;
        }
    }
    EXPECT_INT(find(&crowd, "alice"), first.handle.id, "the first has it still");
    EXPECT_INT(gyr_id_send(crowd.server, GYR_SPAN("alice"), GYR_TEXT, GYR_SPAN("hello")), 0,
               "sent");
    EXPECT(crowd_reads(&first, "hello"), "and the first gets what is sent to it");
    EXPECT_INT(crowd_connect(&crowd, &second, "bob", ""), 101, "another id");
    EXPECT_INT(find(&crowd, "bob"), second.handle.id, "found");
    crowd_leave(&first);
    crowd_until_ended(&crowd, first.handle);
    EXPECT_INT(find(&crowd, "alice"), 0, "nobody has it after its end");
    EXPECT_INT(crowd_connect(&crowd, &first, "alice", ""), 101, "it can be given again");
    EXPECT_INT(find(&crowd, "alice"), first.handle.id, "to another connection");
    crowd_leave(&first);
    crowd_leave(&second);
    crowd_end(&crowd);
}

void scenario_100_unknown_ids_and_stale_handles_are_not_found_and_change_nothing(void)
{
    struct crowd crowd;
    struct crowd_client stays;
    struct crowd_client goes;
    if (!crowd_init(&crowd)) {
        return;
    }
    crowd_start(&crowd);
    EXPECT_INT(crowd_connect(&crowd, &stays, "stays", "room"), 101, "accepted");
    EXPECT_INT(crowd_connect(&crowd, &goes, "goes", "room"), 101, "accepted");
    struct gyr_handle handle = {4711};
    struct gyr_server *server = crowd.server;
    static const struct gyr_span unknown[] = {GYR_LITERAL("nobody"), GYR_LITERAL("stay"),
                                              GYR_LITERAL("stays\0"), GYR_LITERAL("")};
    for (size_t i = 0; i < COUNT_OF(unknown); i++) {
        EXPECT_INT(gyr_find(server, unknown[i], &handle), GYR_ERR_NOT_FOUND, "nobody");
        EXPECT_INT(gyr_id_send(server, unknown[i], GYR_TEXT, GYR_SPAN("x")), GYR_ERR_NOT_FOUND,
                   "nobody to send to");
        EXPECT_INT(gyr_id_close(server, unknown[i], 1000, GYR_SPAN("")), GYR_ERR_NOT_FOUND,
                   "nobody to close");
    }
    EXPECT_INT(handle.id, 4711, "not touched");
    EXPECT(gyr_handle_is_live(server, goes.handle), "here");
    crowd_leave(&goes);
    crowd_until_ended(&crowd, goes.handle);
    EXPECT(!gyr_handle_is_live(server, goes.handle), "gone");
    EXPECT_INT(gyr_handle_send(server, goes.handle, GYR_TEXT, GYR_SPAN("x")), GYR_ERR_CLOSED,
               "send");
    EXPECT_INT(gyr_handle_close(server, goes.handle, 1000, GYR_SPAN("")), GYR_ERR_CLOSED, "close");
    EXPECT_INT(gyr_handle_kick(server, goes.handle), GYR_ERR_CLOSED, "kick");
    EXPECT_INT(gyr_handle_join(server, goes.handle, GYR_SPAN("room")), GYR_ERR_CLOSED, "join");
    EXPECT_INT(gyr_handle_leave(server, goes.handle, GYR_SPAN("room")), GYR_ERR_CLOSED, "leave");
    EXPECT_INT(gyr_handle_leave(server, stays.handle, GYR_SPAN("other")), 0, "no member of it");
    EXPECT_INT(gyr_handle_send(server, stays.handle, GYR_TEXT, GYR_SPAN("still here")), 0, "sent");
    EXPECT(crowd_reads(&stays, "still here"), "nothing else has happened to it");
    crowd_leave(&stays);
    crowd_end(&crowd);
}

/* What gyr_conn_set_id may be asked, on the connection's own thread. */
static void ask_ids(struct gyr_conn *conn, void *arg)
{
    static const char bytes[GYR_ID_SIZE_MAX + 1] = "a";
    (void)arg;
    EXPECT_INT(gyr_conn_id(conn).size, 0, "none yet");
    EXPECT_INT(gyr_conn_set_id(conn, GYR_SPAN("")), GYR_ERR_ARGUMENT, "empty");
    EXPECT_INT(gyr_conn_set_id(conn, (struct gyr_span){bytes, sizeof(bytes)}), GYR_ERR_ARGUMENT,
               "too long");
    EXPECT_INT(gyr_conn_id(conn).size, 0, "none still");
    EXPECT_INT(gyr_conn_set_id(conn, (struct gyr_span){bytes, GYR_ID_SIZE_MAX}), 0, "the longest");
    EXPECT_INT(gyr_conn_id(conn).size, GYR_ID_SIZE_MAX, "whole");
    EXPECT(memcmp(gyr_conn_id(conn).ptr, bytes, GYR_ID_SIZE_MAX) == 0, "byte by byte");
    EXPECT_INT(gyr_conn_set_id(conn, (struct gyr_span){bytes, GYR_ID_SIZE_MAX}), 0, "the same");
    EXPECT_INT(gyr_conn_set_id(conn, GYR_SPAN("b")), GYR_ERR_STATE, "it has one");
    EXPECT_INT(gyr_close(conn, 1000, GYR_SPAN("")), 0, "closing");
    EXPECT_INT(gyr_conn_id(conn).size, GYR_ID_SIZE_MAX, "until its end");
}

static void ask_id_when_closing(struct gyr_conn *conn, void *arg)
{
    (void)arg;
    EXPECT_INT(gyr_close(conn, 1000, GYR_SPAN("")), 0, "closing");
    EXPECT_INT(gyr_conn_set_id(conn, GYR_SPAN("late")), GYR_ERR_CLOSED, "too late");
    EXPECT_INT(gyr_conn_id(conn).size, 0, "none");
}

static int ask_id_of_http(struct gyr_conn *conn, const struct gyr_request *request)
{
    if (gyr_request_is_upgrade(request)) {
        return gyr_upgrade(conn, NULL);
    }
    EXPECT_INT(gyr_conn_set_id(conn, GYR_SPAN("http")), GYR_ERR_STATE, "no WebSocket");
    EXPECT_INT(gyr_conn_id(conn).size, 0, "none");
    return gyr_respond_text(conn, 200, "text/plain", GYR_SPAN("asked."));
}

void handles_refuse_ids_that_cannot_be(void)
{
    struct crowd crowd;
    struct crowd_client client;
    char text[CROWD_MESSAGE_MAX];
    if (!crowd_init(&crowd)) {
        return;
    }
    crowd.service.on_request = ask_id_of_http;
    crowd_start(&crowd);
    EXPECT_INT(crowd_connect(&crowd, &client, "", ""), 101, "accepted");
    EXPECT(crowd_run(&crowd, client.handle, ask_ids, NULL), "asked");
    EXPECT_INT(crowd_read(&client, text), 8, "Close");
    crowd_leave(&client);
    EXPECT_INT(crowd_connect(&crowd, &client, "", ""), 101, "accepted");
    EXPECT(crowd_run(&crowd, client.handle, ask_id_when_closing, NULL), "asked");
    EXPECT_INT(crowd_read(&client, text), 8, "Close");
    crowd_leave(&client);
    client.fd = kit_client(crowd.address);
    EXPECT(kit_client_ask(client.fd, KIT_GET("/"), "asked."), "answered");
    crowd_leave(&client);
    crowd_end(&crowd);
}

/* on_close still sees the id, and others find it; then nobody does, though the slot lives on. */
static _Atomic unsigned seen_in_close;

static void look_at_id(struct gyr_conn *conn, uint16_t close_code, struct gyr_span reason)
{
    struct gyr_handle handle;
    struct gyr_span id = gyr_conn_id(conn);
    (void)close_code;
    (void)reason;
    bool seen = id.size == 5 && memcmp(id.ptr, "alice", 5) == 0 &&
                gyr_find(gyr_core_server(gyr_conn_core(conn)), id, &handle) == 0 &&
                handle.id == gyr_conn_handle(conn).id &&
                gyr_conn_set_id(conn, GYR_SPAN("bob")) == GYR_ERR_CLOSED;
    atomic_fetch_add_explicit(&seen_in_close, seen, memory_order_relaxed);
}

void handles_give_up_the_id_after_on_close(void)
{
    struct crowd crowd;
    struct crowd_client client;
    if (!crowd_init(&crowd)) {
        return;
    }
    atomic_store(&seen_in_close, 0);
    crowd.service.on_close = look_at_id;
    crowd_start(&crowd);
    for (unsigned i = 0; i < 20; i++) {
        EXPECT_INT(crowd_connect(&crowd, &client, "alice", ""), 101, "accepted");
        crowd_leave(&client);
        crowd_until_ended(&crowd, client.handle);
        EXPECT_INT(find(&crowd, "alice"), 0, "given up");
        EXPECT_INT(atomic_load(&seen_in_close), i + 1, "but not before");
    }
    crowd_end(&crowd);
}

/* An id that a handshake got, and then was refused, is free again. */
static int set_id_and_refuse(struct gyr_conn *conn, const struct gyr_request *request)
{
    EXPECT_INT(gyr_conn_set_id(conn, GYR_SPAN("alice")), 0, "free");
    EXPECT_INT(gyr_conn_id(conn).size, 5, "has it");
    return gyr_request_version_minor(request) == 1 ? GYR_ERR_HTTP_ORIGIN : 0;
}

void handles_give_up_the_id_of_a_handshake_that_is_refused(void)
{
    struct crowd crowd;
    struct crowd_client client;
    struct gyr_handle handle;
    if (!crowd_init(&crowd)) {
        return;
    }
    crowd.service.on_request = set_id_and_refuse;
    crowd_start(&crowd);
    for (unsigned i = 0; i < 10; i++) {
        EXPECT_INT(crowd_connect(&crowd, &client, "", ""), 403, "refused");
        EXPECT_INT(gyr_find(crowd.server, GYR_SPAN("alice"), &handle), GYR_ERR_NOT_FOUND, "free");
        crowd_leave(&client);
    }
    crowd_end(&crowd);
}

/* ---- calls by handle ---- */

void handles_send_close_and_kick_from_a_foreign_thread(void)
{
    struct crowd crowd;
    struct crowd_client clients[CROWD_CORES];
    char text[CROWD_MESSAGE_MAX];
    char reason[200];
    if (!crowd_init(&crowd)) {
        return;
    }
    crowd_start(&crowd);
    memset(reason, 'r', sizeof(reason));
    memcpy(reason + 122, "\xc3\xa4", 2); /* would be cut in two after 123 bytes */
    for (unsigned i = 0; i < CROWD_CORES; i++) {
        struct crowd_client *client = &clients[i];
        crowd_connect_on(&crowd, client, i, "id", "");
        struct gyr_server *server = crowd.server;
        EXPECT_INT(gyr_handle_send(server, client->handle, GYR_BINARY, GYR_SPAN("one")), 0, "sent");
        EXPECT_INT(crowd_read(client, text), GYR_BINARY, "as binary");
        EXPECT(strcmp(text, "one") == 0, "the payload");
        EXPECT_INT(gyr_handle_send(server, client->handle, GYR_TEXT, GYR_SPAN("")), 0, "sent");
        EXPECT_INT(crowd_read(client, text), GYR_TEXT, "an empty one");
        EXPECT_INT(
            gyr_id_close(server, GYR_SPAN("id"), 4000, (struct gyr_span){reason, sizeof(reason)}),
            0, "closing");
        EXPECT_INT(crowd_read(client, text), 8, "Close");
        EXPECT(memcmp(text, "\x0f\xa0rrr", 5) == 0 && strlen(text) == 2 + 122, "code and reason");
        crowd_leave(client);
        crowd_until_ended(&crowd, client->handle);
        crowd_connect_on(&crowd, client, i, "id", "");
        EXPECT_INT(gyr_handle_kick(server, client->handle), 0, "kicked");
        EXPECT_INT(crowd_read(client, text), 0, "at once, without a Close");
        crowd_until_ended(&crowd, client->handle);
        crowd_leave(client);
    }
    crowd_end(&crowd);
}

void handles_refuse_what_the_call_itself_would_refuse(void)
{
    struct crowd crowd;
    struct crowd_client client;
    char name[GYR_ROOM_NAME_SIZE_MAX + 1] = "";
    if (!crowd_init(&crowd)) {
        return;
    }
    crowd_start(&crowd);
    EXPECT_INT(crowd_connect(&crowd, &client, "", ""), 101, "accepted");
    struct gyr_server *server = crowd.server;
    struct gyr_handle handle = client.handle;
    const struct gyr_span long_name = {name, sizeof(name)};
    const struct gyr_span huge = {name, (size_t)UINT32_MAX};
    const struct gyr_handle no_core = {UINT64_C(2) << 48 | (handle.id & 0xffffffffffff)};
    EXPECT_INT(gyr_handle_send(server, handle, (enum gyr_opcode)0, GYR_SPAN("")), GYR_ERR_ARGUMENT,
               "a continuation");
    EXPECT_INT(gyr_handle_send(server, handle, (enum gyr_opcode)9, GYR_SPAN("")), GYR_ERR_ARGUMENT,
               "a Ping");
    EXPECT_INT(gyr_handle_send(server, handle, GYR_TEXT, huge), GYR_ERR_ARGUMENT, "too large");
    static const uint16_t codes[] = {0, 999, 1004, 1006, 1015, 1016, 2999, 5000, 65535};
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        EXPECT_INT(gyr_handle_close(server, handle, codes[i], GYR_SPAN("")), GYR_ERR_ARGUMENT,
                   "a code that is not sent");
    }
    EXPECT_INT(gyr_handle_join(server, handle, long_name), GYR_ERR_ARGUMENT, "a long name");
    EXPECT_INT(gyr_handle_leave(server, handle, long_name), GYR_ERR_ARGUMENT, "a long name");
    EXPECT(!gyr_handle_is_live(server, no_core), "no such core");
    EXPECT_INT(gyr_handle_send(server, no_core, GYR_TEXT, GYR_SPAN("")), GYR_ERR_ARGUMENT,
               "no such core");
    EXPECT_INT(gyr_handle_kick(server, no_core), GYR_ERR_ARGUMENT, "no such core");
    for (unsigned bit = 0; bit < 48; bit++) {
        const struct gyr_handle other = {handle.id ^ UINT64_C(1) << bit};
        EXPECT(!gyr_handle_is_live(server, other), "a handle that nobody has");
        EXPECT_INT(gyr_handle_kick(server, other), GYR_ERR_CLOSED, "a handle that nobody has");
    }
    const struct gyr_handle zero = {0};
    EXPECT(!gyr_handle_is_live(server, zero), "no handle at all");
    EXPECT_INT(gyr_handle_kick(server, zero), GYR_ERR_CLOSED, "no handle at all");
    EXPECT_INT(gyr_handle_send(server, handle, GYR_TEXT, GYR_SPAN("alive")), 0, "the right one");
    EXPECT(crowd_reads(&client, "alive"), "nothing has happened to it");
    crowd_leave(&client);
    crowd_end(&crowd);
}

static void count_run(struct gyr_conn *conn, void *arg)
{
    _Atomic unsigned *counts = arg;
    atomic_fetch_add(&counts[conn == NULL], 1); /* and who sees it may reuse them */
}

void handles_refuse_before_the_start_and_after_the_end(void)
{
    struct crowd crowd;
    struct crowd_client client;
    _Atomic unsigned runs[2] = {0, 0};
    struct gyr_error error;
    struct gyr_server *server;
    if (!crowd_init(&crowd)) {
        return;
    }
    const struct gyr_handle early = {UINT64_C(1) << 24};
    CU_ASSERT_FATAL(gyr_server_create(&crowd.config, &crowd.service, &server, &error) == 0);
    EXPECT(!gyr_handle_is_live(server, early), "no core is made");
    EXPECT_INT(gyr_handle_send(server, early, GYR_TEXT, GYR_SPAN("")), GYR_ERR_STATE, "send");
    EXPECT_INT(gyr_handle_run(server, early, count_run, runs), GYR_ERR_STATE, "run");
    EXPECT_INT(gyr_id_send(server, GYR_SPAN("x"), GYR_TEXT, GYR_SPAN("")), GYR_ERR_NOT_FOUND, "id");
    gyr_server_destroy(server);
    crowd_start(&crowd);
    EXPECT_INT(crowd_connect(&crowd, &client, "x", ""), 101, "accepted");
    gyr_server_stop(crowd.server);
    gyr_server_wait(crowd.server);
    EXPECT(!gyr_handle_is_live(crowd.server, client.handle), "ended with the server");
    EXPECT_INT(gyr_handle_send(crowd.server, client.handle, GYR_TEXT, GYR_SPAN("")), GYR_ERR_CLOSED,
               "send");
    EXPECT_INT(gyr_handle_run(crowd.server, client.handle, count_run, runs), GYR_ERR_CLOSED, "run");
    EXPECT_INT(gyr_id_close(crowd.server, GYR_SPAN("x"), 1000, GYR_SPAN("")), GYR_ERR_NOT_FOUND,
               "id");
    EXPECT_INT(runs[0] + runs[1], 0, "nothing has run");
    gyr_server_destroy(crowd.server);
    crowd_leave(&client);
}

/* Every second one by id, while another thread does the same to the same connection. */
#define ORDER_MESSAGES 3000

struct order_thread {
    struct crowd *crowd;
    struct gyr_handle handle;
    char name;
    pthread_t thread;
};

static void *order_send(void *arg)
{
    const struct order_thread *sender = arg;
    struct gyr_server *server = sender->crowd->server;
    for (unsigned i = 0; i < ORDER_MESSAGES; i++) {
        char text[16];
        (void)snprintf(text, sizeof(text), "%c%u", sender->name, i);
        int err;
        do {
            err = i % 2 == 0 ? gyr_handle_send(server, sender->handle, GYR_TEXT, span_text(text))
                             : gyr_id_send(server, GYR_SPAN("reader"), GYR_TEXT, span_text(text));
        } while (err == GYR_ERR_BACKPRESSURE);
        if (err != 0) {
            abort();
        }
    }
    return NULL;
}

void handles_keep_the_order_of_one_thread(void)
{
    struct crowd crowd;
    struct crowd_client client;
    struct order_thread senders[2];
    unsigned next[2] = {0, 0};
    char text[CROWD_MESSAGE_MAX];
    if (!crowd_init(&crowd)) {
        return;
    }
    crowd.config.send_queue_size_max = 16 << 20;
    crowd.config.send_queue_high = 8 << 20;
    crowd_start(&crowd);
    EXPECT_INT(crowd_connect(&crowd, &client, "reader", ""), 101, "accepted");
    for (unsigned i = 0; i < 2; i++) {
        senders[i] = (struct order_thread){
            .crowd = &crowd, .handle = client.handle, .name = (char)('a' + i)};
        if (pthread_create(&senders[i].thread, NULL, order_send, &senders[i]) != 0) {
            abort();
        }
    }
    bool in_order = true;
    while (in_order && next[0] + next[1] < 2 * ORDER_MESSAGES) {
        in_order = crowd_read(&client, text) == GYR_TEXT;
        unsigned sender = text[0] == 'b';
        in_order = in_order && strtoul(text + 1, NULL, 10) == next[sender]++;
    }
    EXPECT(in_order, "the messages of each, in order");
    for (unsigned i = 0; i < 2; i++) {
        (void)pthread_join(senders[i].thread, NULL);
    }
    crowd_leave(&client);
    crowd_end(&crowd);
}

/* On a core's own thread: to itself, and to the other core. */
struct own_thread {
    struct crowd *crowd;
    struct gyr_handle handles[2];
};

static void call_on_core(struct gyr_core *core, void *arg)
{
    const struct own_thread *own = arg;
    struct gyr_server *server = gyr_core_server(core);
    for (unsigned i = 0; i < 2; i++) {
        struct gyr_handle handle = own->handles[i];
        EXPECT(gyr_handle_is_live(server, handle), "live");
        EXPECT_INT(gyr_handle_send(server, handle, GYR_TEXT, GYR_SPAN("first")), 0, "sent");
        EXPECT_INT(gyr_handle_close(server, handle, 1000, GYR_SPAN("bye")), 0, "closing");
        EXPECT_INT(gyr_handle_send(server, handle, GYR_TEXT, GYR_SPAN("late")), 0, "taken");
    }
}

void handles_may_be_used_on_a_core(void)
{
    struct crowd crowd;
    struct crowd_client clients[2];
    char text[CROWD_MESSAGE_MAX];
    if (!crowd_init(&crowd)) {
        return;
    }
    crowd_start(&crowd);
    struct own_thread own = {.crowd = &crowd};
    for (unsigned i = 0; i < 2; i++) {
        crowd_connect_on(&crowd, &clients[i], i, "", "");
        own.handles[i] = clients[i].handle;
    }
    crowd_run_core(&crowd, 1, call_on_core, &own);
    for (unsigned i = 0; i < 2; i++) {
        EXPECT(crowd_reads(&clients[i], "first"), "the first");
        EXPECT_INT(crowd_read(&clients[i], text), 8, "then Close, and nothing between");
        EXPECT(strcmp(text + 2, "bye") == 0, "with its reason");
        crowd_leave(&clients[i]);
    }
    crowd_end(&crowd);
}

/* A letter that is on its way when its connection ends: the core is held while both happen. */
struct hold {
    sem_t held;
    sem_t go_on;
};

static void hold_conn(struct gyr_conn *conn, void *arg)
{
    struct hold *hold = arg;
    (void)sem_post(&hold->held);
    kit_wait(&hold->go_on);
    gyr_abort(conn);
}

/* Letters are opened before the connection that was aborted in the same turn is cut; so ask for
 * another turn, as often as it takes. */
struct again {
    struct crowd *crowd;
    struct gyr_handle handle;
    _Atomic unsigned runs[2];
    _Atomic unsigned refused;
};

static void run_again(struct gyr_conn *conn, void *arg)
{
    struct again *again = arg;
    count_run(conn, again->runs);
    if (conn != NULL) {
        int err = gyr_handle_run(again->crowd->server, again->handle, run_again, again);
        atomic_fetch_add(&again->refused, err == GYR_ERR_CLOSED);
    }
}

static bool again_is_over(void *arg)
{
    struct again *again = arg;
    return atomic_load(&again->runs[1]) + atomic_load(&again->refused) == 1;
}

void handles_run_what_was_accepted_though_the_connection_ends(void)
{
    struct crowd crowd;
    struct crowd_client client;
    if (!crowd_init(&crowd)) {
        return;
    }
    crowd_start(&crowd);
    for (unsigned i = 0; i < 20; i++) {
        struct hold hold;
        struct again again = {.crowd = &crowd};
        (void)sem_init(&hold.held, 0, 0);
        (void)sem_init(&hold.go_on, 0, 0);
        EXPECT_INT(crowd_connect(&crowd, &client, "", ""), 101, "accepted");
        again.handle = client.handle;
        EXPECT_INT(gyr_handle_run(crowd.server, client.handle, hold_conn, &hold), 0, "held");
        kit_wait(&hold.held);
        EXPECT_INT(gyr_handle_send(crowd.server, client.handle, GYR_TEXT, GYR_SPAN("x")), 0,
                   "sent");
        EXPECT_INT(gyr_handle_run(crowd.server, client.handle, run_again, &again), 0, "accepted");
        (void)sem_post(&hold.go_on);
        crowd_until(again_is_over, &again);
        EXPECT(again.runs[0] + again.runs[1] >= 1, "it has run");
        crowd_until_ended(&crowd, client.handle);
        crowd_leave(&client);
    }
    crowd_end(&crowd);
}

static void hold_core(struct gyr_core *core, void *arg)
{
    struct hold *hold = arg;
    (void)core;
    (void)sem_post(&hold->held);
    kit_wait(&hold->go_on);
}

void handles_tell_of_a_full_mailbox(void)
{
    struct crowd crowd;
    struct crowd_client client;
    struct hold hold;
    _Atomic unsigned runs[2] = {0, 0};
    if (!crowd_init(&crowd)) {
        return;
    }
    crowd.config.mailbox_count_max = 16;
    crowd_start(&crowd);
    EXPECT_INT(crowd_connect(&crowd, &client, "x", ""), 101, "accepted");
    (void)sem_init(&hold.held, 0, 0);
    (void)sem_init(&hold.go_on, 0, 0);
    EXPECT_INT(gyr_post(crowd.server, crowd_core(client.handle), hold_core, &hold), 0, "held");
    kit_wait(&hold.held);
    for (unsigned i = 0; i < 16; i++) {
        EXPECT_INT(gyr_handle_run(crowd.server, client.handle, count_run, runs), 0, "taken");
    }
    EXPECT_INT(gyr_handle_run(crowd.server, client.handle, count_run, runs), GYR_ERR_BACKPRESSURE,
               "full");
    EXPECT_INT(gyr_handle_send(crowd.server, client.handle, GYR_TEXT, GYR_SPAN("lost")),
               GYR_ERR_BACKPRESSURE, "full");
    EXPECT_INT(gyr_id_send(crowd.server, GYR_SPAN("x"), GYR_TEXT, GYR_SPAN("lost")),
               GYR_ERR_BACKPRESSURE, "full");
    (void)sem_post(&hold.go_on);
    int err;
    do {
        err = gyr_handle_send(crowd.server, client.handle, GYR_TEXT, GYR_SPAN("after"));
    } while (err == GYR_ERR_BACKPRESSURE);
    EXPECT_INT(err, 0, "there is room again");
    EXPECT(crowd_reads(&client, "after"), "nothing of what was refused");
    EXPECT_INT(runs[0], 16, "what was taken has run");
    crowd_leave(&client);
    crowd_end(&crowd);
}
