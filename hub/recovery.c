/* SPDX-License-Identifier: MIT */
/* Coming back to a room. gyr_join_since joins, notes that the member waits, and asks the backend.
 * The question is a letter to this core that the answer is put into, so that an answer can always
 * be told. Answers that bring messages are copied, within a bound for all of them: beyond, the
 * backend has to try again. */
#include "hub/recovery.h"

#include "hub/deliver.h"
#include "hub/hub.h"

/* A question on its way, and then its answer. */
struct question {
    struct engine_letter letter; /* first member; the engine frees it */
    struct hub *hub;             /* borrowed */
    unsigned core_index;
    struct recover_member member;
    uint64_t number;
    uint64_t epoch;
    struct gyr_backend_history history;
    struct gyr_publication *publications; /* owned; with all that they point at */
    size_t size;                          /* of that, as counted in hub->recovery_size */
};

static int deliver_missed(void *context, struct recover_member member,
                          const struct gyr_publication *publication);
static int ask(struct hub_core *core, struct room *room, uint32_t conn_index, uint64_t epoch,
               uint64_t offset);
static int question_fill(struct question *question, const struct gyr_backend_history *history);
static void question_answered(struct gyr_core *core_public, void *arg);
static void question_empty(struct question *question);

static void *core_alloc(void *context, size_t size)
{
    return engine_core_alloc(((struct hub_core *)context)->core, size);
}

static void core_free(void *context, void *pointer, size_t size)
{
    engine_core_free(((struct hub_core *)context)->core, pointer, size);
}

int recovery_begin(struct hub_core *core)
{
    const struct recover_config config = {
        .context = core,
        .held_size_max = core->hub->config->send_queue_size_max,
        .deliver = deliver_missed,
        .alloc = core_alloc,
        .free = core_free,
    };
    core->recover = recover_create(&config);
    return core->recover != NULL ? 0 : GYR_ERR_MEMORY;
}

void recovery_end(struct hub_core *core)
{
    recover_destroy(core->recover);
    core->recover = NULL;
}

/* ---- what a service calls -------------------------------------------------------------------- */

int gyr_join_since(struct gyr_conn *conn, struct gyr_span name, uint64_t epoch, uint64_t offset)
{
    int err = engine_conn_may_send(conn);
    if (err < 0) {
        return err;
    }
    if (name.size > GYR_ROOM_NAME_SIZE_MAX) {
        return GYR_ERR_ARGUMENT;
    }
    struct hub_core *core = hub_of_conn(conn);
    if (!backend_keeps(&core->hub->backend, hub_rule(core->hub, name))) {
        return GYR_ERR_UNSUPPORTED;
    }
    struct room *room;
    bool joined;
    err = rooms_join(core, conn, name, hub_hash(core->hub, name), &room, &joined);
    if (err < 0) {
        return err;
    }
    if (!joined) {
        return GYR_ERR_STATE;
    }
    err = ask(core, room, engine_conn_index(conn), epoch, offset);
    if (err < 0) {
        rooms_leave(core, room, engine_conn_index(conn));
    }
    return err;
}

/* What cannot be asked is undone when the member leaves. */
static int ask(struct hub_core *core, struct room *room, uint32_t conn_index, uint64_t epoch,
               uint64_t offset)
{
    struct recover_member member = {.room_index = room->index, .conn_index = conn_index};
    uint64_t number;
    int err = recover_begin(core->recover, member, &number);
    if (err < 0) {
        return err;
    }
    room->recover_count++;
    struct question *question = memory_alloc(sizeof(*question));
    if (question == NULL) {
        return GYR_ERR_MEMORY;
    }
    question->hub = core->hub;
    question->core_index = core->index;
    question->member = member;
    question->number = number;
    question->epoch = epoch;
    const struct backend *backend = &core->hub->backend;
    const struct gyr_backend_question asked = {
        .size = sizeof(asked),
        .room = room_name(room),
        .rule = room->rule,
        .epoch = epoch,
        .offset = offset,
    };
    err = backend->table->history(backend->state, core->index, &asked, question);
    if (err < 0) {
        memory_free(question);
    }
    return err;
}

/* ---- messages -------------------------------------------------------------------------------- */

enum recover_verdict recovery_judge(struct hub_core *core, struct room *room,
                                    const struct parcel *parcel, uint32_t conn_index)
{
    const struct gyr_publication publication = {
        .size = sizeof(publication),
        .opcode = parcel->opcode,
        .payload = parcel->payload,
        .key = parcel->key,
        .epoch = parcel->epoch,
        .offset = parcel->offset,
    };
    struct recover_member member = {.room_index = room->index, .conn_index = conn_index};
    size_t before = recover_count(core->recover);
    enum recover_verdict verdict = recover_judge(core->recover, member, &publication);
    room->recover_count -= (uint32_t)(before - recover_count(core->recover));
    return verdict;
}

void recovery_leave(struct hub_core *core, struct room *room, uint32_t conn_index)
{
    struct recover_member member = {.room_index = room->index, .conn_index = conn_index};
    size_t before = recover_count(core->recover);
    recover_leave(core->recover, member);
    room->recover_count -= (uint32_t)(before - recover_count(core->recover));
}

/* What was missed, or has waited. */
static int deliver_missed(void *context, struct recover_member member,
                          const struct gyr_publication *publication)
{
    struct hub_core *core = context;
    struct room *room = rooms_at(&core->rooms, member.room_index);
    const struct parcel parcel = {
        .opcode = publication->opcode,
        .payload = publication->payload,
        .key = publication->key,
        .key_hash = hub_hash(core->hub, publication->key),
        .epoch = publication->epoch,
        .offset = publication->offset,
    };
    return deliver_one(core, &parcel, room, member.conn_index);
}

/* ---- answers --------------------------------------------------------------------------------- */

int recovery_done(struct hub *hub, void *request, const struct gyr_backend_history *history)
{
    struct question *question = request;
    int err = question_fill(question, history);
    if (err < 0) {
        return err;
    }
    struct gyr_core *core = hub_core_at(hub, question->core_index);
    err = engine_core_give(core, &question->letter, question_answered, question);
    if (err < 0) { /* the core has ended, and with it whoever has asked */
        question_empty(question);
        memory_free(question);
    }
    return 0;
}

/* Returns the end of the copy. What is empty may be nowhere. */
static char *span_copy(char *end, struct gyr_span *span)
{
    if (span->size != 0) {
        memcpy(end, span->ptr, span->size);
    }
    span->ptr = end;
    return end + span->size;
}

/* Copy the answer. GYR_ERR_BACKPRESSURE: there are too many others. */
static int question_fill(struct question *question, const struct gyr_backend_history *history)
{
    struct hub *hub = question->hub;
    size_t size = history->count * sizeof(*history->publications);
    question->history = *history;
    question->history.publications = NULL;
    if (history->count == 0) {
        return 0;
    }
    for (size_t i = 0; i < history->count; i++) {
        size += history->publications[i].payload.size + history->publications[i].key.size;
    }
    /* A sum, which orders nothing. One answer may be larger than all may be together: alone. */
    uint64_t others = atomic_fetch_add_explicit(&hub->recovery_size, size, memory_order_relaxed);
    if (others != 0 && others + size > hub->config->broadcast_size_max) {
        atomic_fetch_sub_explicit(&hub->recovery_size, size, memory_order_relaxed);
        return GYR_ERR_BACKPRESSURE;
    }
    question->size = size;
    question->publications = memory_alloc(size);
    if (question->publications == NULL) {
        question->history.err = GYR_ERR_MEMORY;
        question->history.count = 0;
        return 0;
    }
    char *end = (char *)&question->publications[history->count];
    for (size_t i = 0; i < history->count; i++) {
        struct gyr_publication *copy = &question->publications[i];
        *copy = history->publications[i];
        end = span_copy(end, &copy->payload);
        end = span_copy(end, &copy->key);
    }
    question->history.publications = question->publications;
    return 0;
}

/* On the core of who has asked, if it is still there. */
static void question_answered(struct gyr_core *core_public, void *arg)
{
    struct question *question = arg;
    struct hub_core *core = question->hub->cores[question->core_index];
    struct room *room = rooms_at(&core->rooms, question->member.room_index);
    size_t before = recover_count(core->recover);
    struct gyr_recovery recovery;
    bool is_there = recover_answer(core->recover, question->member, question->number,
                                   question->epoch, &question->history, &recovery);
    if (is_there) {
        room->recover_count -= (uint32_t)(before - recover_count(core->recover));
    }
    question_empty(question);
    if (is_there && core->hub->service->on_recovered != NULL) {
        /* The service may let the room end. */
        char name[GYR_ROOM_NAME_SIZE_MAX];
        struct gyr_span span = {name, room->name_size};
        memcpy(name, room->name, room->name_size);
        struct gyr_conn *conn = engine_conn_at(core_public, question->member.conn_index);
        core->hub->service->on_recovered(conn, span, &recovery);
    }
}

static void question_empty(struct question *question)
{
    atomic_fetch_sub_explicit(&question->hub->recovery_size, question->size, memory_order_relaxed);
    memory_free(question->publications);
    question->publications = NULL;
    question->size = 0;
}
