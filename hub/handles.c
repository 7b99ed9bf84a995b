/* SPDX-License-Identifier: MIT */
/* Connections by name, from any thread: their text ids, and calls that are made on their cores.
 * Such a call is a letter in the mailbox of the connection's core, with the payload copied into it;
 * letters of one thread to one core keep their order, and so do its calls for one connection. */
#include "hub/attendance.h"
#include "hub/hub.h"
#include "hub/names.h"
#include "proto/ws_close.h"

/* More of a reason than fits a Close frame, so that it is cut where the engine would cut it. */
#define REASON_SIZE_MAX (WS_CLOSE_REASON_SIZE_MAX + 1)

struct letter {
    struct gyr_handle handle;
    void (*deliver)(struct gyr_conn *conn, const struct letter *letter); /* conn is not NULL */
    void (*run)(struct gyr_conn *conn, void *arg); /* gyr_handle_run, or NULL */
    void *arg;
    enum gyr_opcode opcode;
    uint16_t close_code;
    size_t size;
    char bytes[];
};

static int handle_core(const struct gyr_server *server, struct gyr_handle handle,
                       struct gyr_core **core);
static int letter_post(struct gyr_server *server, const struct letter *letter,
                       struct gyr_span bytes);
static void letter_open(struct gyr_core *core, void *arg);
static struct gyr_span letter_span(const struct letter *letter);

/* ---- text ids ---- */

int gyr_conn_set_id(struct gyr_conn *conn, struct gyr_span id)
{
    struct hub_core *core = hub_of_conn(conn);
    struct member *member = hub_member(core, conn);
    if (id.size == 0 || id.size > GYR_ID_SIZE_MAX) {
        return GYR_ERR_ARGUMENT;
    }
    int err = engine_conn_may_send(conn);
    if (err < 0) {
        return err;
    }
    struct span bytes = span_of(id.ptr, id.size);
    if (member->name != NULL) {
        return span_equal(name_id(member->name), bytes) ? 0 : GYR_ERR_STATE;
    }
    struct gyr_handle holder;
    err = names_add(core->hub->names, bytes, gyr_conn_handle(conn), &member->name, &holder);
    if (err < 0) {
        return err;
    }
    err = attendance_name(core, engine_conn_index(conn));
    if (err < 0) {
        names_remove(core->hub->names, member->name);
        member->name = NULL;
        return err;
    }
    engine_conn_watch(conn);
    return 0;
}

struct gyr_span gyr_conn_id(const struct gyr_conn *conn)
{
    const struct member *member = hub_member(hub_of_conn(conn), conn);
    if (member->name == NULL) {
        return (struct gyr_span){NULL, 0};
    }
    struct span id = name_id(member->name);
    return (struct gyr_span){(const char *)id.ptr, id.size};
}

int gyr_find(const struct gyr_server *server, struct gyr_span id, struct gyr_handle *handle)
{
    const struct hub *hub = hub_of_server(server);
    return names_find(hub->names, span_of(id.ptr, id.size), handle) ? 0 : GYR_ERR_NOT_FOUND;
}

/* ---- by handle ---- */

bool gyr_handle_is_live(const struct gyr_server *server, struct gyr_handle handle)
{
    struct gyr_core *core;
    return handle_core(server, handle, &core) == 0;
}

static void deliver_send(struct gyr_conn *conn, const struct letter *letter)
{
    /* What it returns is told by on_drain and the statistics; see gyr.h. So it is with the others
     * below: nobody is left who could be told. */
    (void)!gyr_send(conn, letter->opcode, letter_span(letter));
}

int gyr_handle_send(struct gyr_server *server, struct gyr_handle handle, enum gyr_opcode opcode,
                    struct gyr_span payload)
{
    struct letter letter = {.handle = handle, .deliver = deliver_send, .opcode = opcode};
    if ((opcode != GYR_TEXT && opcode != GYR_BINARY) || payload.size > UINT32_MAX / 2) {
        return GYR_ERR_ARGUMENT;
    }
    return letter_post(server, &letter, payload);
}

static void deliver_close(struct gyr_conn *conn, const struct letter *letter)
{
    (void)gyr_close(conn, letter->close_code, letter_span(letter));
}

int gyr_handle_close(struct gyr_server *server, struct gyr_handle handle, uint16_t close_code,
                     struct gyr_span reason)
{
    struct letter letter = {.handle = handle, .deliver = deliver_close, .close_code = close_code};
    if (!ws_close_code_is_valid(close_code) && close_code != WS_CLOSE_NO_STATUS) {
        return GYR_ERR_ARGUMENT;
    }
    reason.size = MIN(reason.size, (size_t)REASON_SIZE_MAX);
    return letter_post(server, &letter, reason);
}

static void deliver_kick(struct gyr_conn *conn, const struct letter *letter)
{
    (void)letter;
    gyr_abort(conn);
}

int gyr_handle_kick(struct gyr_server *server, struct gyr_handle handle)
{
    struct letter letter = {.handle = handle, .deliver = deliver_kick};
    return letter_post(server, &letter, (struct gyr_span){NULL, 0});
}

static void deliver_join(struct gyr_conn *conn, const struct letter *letter)
{
    (void)!gyr_join(conn, letter_span(letter));
}

int gyr_handle_join(struct gyr_server *server, struct gyr_handle handle, struct gyr_span room)
{
    struct letter letter = {.handle = handle, .deliver = deliver_join};
    return room.size > GYR_ROOM_NAME_SIZE_MAX ? GYR_ERR_ARGUMENT
                                              : letter_post(server, &letter, room);
}

static void deliver_leave(struct gyr_conn *conn, const struct letter *letter)
{
    gyr_leave(conn, letter_span(letter));
}

int gyr_handle_leave(struct gyr_server *server, struct gyr_handle handle, struct gyr_span room)
{
    struct letter letter = {.handle = handle, .deliver = deliver_leave};
    return room.size > GYR_ROOM_NAME_SIZE_MAX ? GYR_ERR_ARGUMENT
                                              : letter_post(server, &letter, room);
}

int gyr_handle_run(struct gyr_server *server, struct gyr_handle handle,
                   void (*fn)(struct gyr_conn *conn, void *arg), void *arg)
{
    struct letter letter = {.handle = handle, .run = fn, .arg = arg};
    return letter_post(server, &letter, (struct gyr_span){NULL, 0});
}

/* ---- by text id ---- */

int gyr_id_send(struct gyr_server *server, struct gyr_span id, enum gyr_opcode opcode,
                struct gyr_span payload)
{
    struct gyr_handle handle;
    int err = gyr_find(server, id, &handle);
    return err < 0 ? err : gyr_handle_send(server, handle, opcode, payload);
}

int gyr_id_close(struct gyr_server *server, struct gyr_span id, uint16_t close_code,
                 struct gyr_span reason)
{
    struct gyr_handle handle;
    int err = gyr_find(server, id, &handle);
    return err < 0 ? err : gyr_handle_close(server, handle, close_code, reason);
}

/* ---- letters ---- */

/* The core of a connection that has not ended. GYR_ERR_ARGUMENT, GYR_ERR_STATE, GYR_ERR_CLOSED. */
static int handle_core(const struct gyr_server *server, struct gyr_handle handle,
                       struct gyr_core **core)
{
    unsigned index = engine_handle_core(handle);
    if (index >= gyr_server_core_count(server)) {
        return GYR_ERR_ARGUMENT;
    }
    if (!engine_server_is_made(server)) {
        return GYR_ERR_STATE;
    }
    *core = engine_server_core(server, index);
    return engine_handle_is_live(*core, handle) ? 0 : GYR_ERR_CLOSED;
}

static int letter_post(struct gyr_server *server, const struct letter *letter,
                       struct gyr_span bytes)
{
    struct gyr_core *core;
    int err = handle_core(server, letter->handle, &core);
    if (err < 0) {
        return err;
    }
    struct letter *copy = memory_alloc(sizeof(*copy) + bytes.size);
    if (copy == NULL) {
        return GYR_ERR_MEMORY;
    }
    *copy = *letter;
    copy->size = bytes.size;
    if (bytes.size != 0) {
        memcpy(copy->bytes, bytes.ptr, bytes.size);
    }
    err = engine_core_post(core, letter_open, copy);
    if (err < 0) {
        memory_free(copy);
    }
    return err;
}

static void letter_open(struct gyr_core *core, void *arg)
{
    struct letter *letter = arg;
    struct gyr_conn *conn = gyr_core_find(core, letter->handle);
    if (letter->run != NULL) {
        letter->run(conn, letter->arg);
    } else if (conn != NULL) {
        letter->deliver(conn, letter);
    }
    memory_free(letter);
}

static struct gyr_span letter_span(const struct letter *letter)
{
    return (struct gyr_span){letter->bytes, letter->size};
}
