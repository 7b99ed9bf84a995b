/* SPDX-License-Identifier: MIT */
/* The backend within one process. What is published to an ordinary room is delivered within the
 * call, by whoever publishes. A room with a history has a home, the core that its name's hash says:
 *
 *     publish (any thread)   a letter with a copy is posted to the home
 *     letter_arrives (home)  the message gets its offset, is kept in the history, and delivered
 *     work (home)            what could not be delivered, because a lane was full, is tried again
 *
 * So the home's mailbox is the order of the room. A letter that was accepted is never lost: it
 * waits at the home in front of all that came later. How many letters may be under way, and how
 * many bytes, is bounded; beyond, publish says GYR_ERR_BACKPRESSURE, and who was told so hears
 * `ready` when a letter has come to its end.
 *
 * A question about a history goes the same way, so it is answered behind everything that its asker
 * has published before. The answer may have messages that are still waiting to be delivered; the
 * hub leaves them out when they come (hub/recover.h). */
#include "base/list.h"
#include "base/siphash.h"
#include "engine/engine.h"
#include "hub/backend.h"
#include "hub/history.h"
#include "hub/presence.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/random.h>

/* What histories may have of a core's heap, and presence of one: a fourth. */
#define HEAP_SHARE 4
/* Letters for one home, of its mailbox: half. */
#define MAILBOX_SHARE 2
/* Work that could not be done is tried again after this, if nothing happens before. */
#define AGAIN_NS 1000000

struct local;

struct local_core {
    struct local *local; /* borrowed */
    unsigned index;
    bool has_ended;
    struct history *history; /* owned; NULL before the start and after the end */
    struct list letters;     /* owned; to be delivered, in the order of their offsets */
    struct list questions;   /* owned; to be answered */

    /* Any thread. */
    alignas(CACHE_LINE) _Atomic uint32_t letter_count; /* under way to this home; relaxed: a sum */
    /* A publish on this core was refused. Set by who publishes, who then looks at the sums again;
     * taken by who ends a letter, after the sums were lowered: one of the two sees the other. */
    _Atomic bool is_refused;
};

struct local {
    const struct gyr_backend_hub *hub; /* borrowed */
    struct presence *presence;         /* owned */
    uint64_t letters_size_max;
    uint32_t letter_count_max;
    uint8_t secret[16];

    /* Any thread. */
    alignas(CACHE_LINE) _Atomic uint64_t letters_size; /* of letters under way; relaxed: a sum */
    _Atomic bool has_refused;                          /* is_refused is set somewhere */
    struct local_core cores[];
};

/* A message on its way to its home. */
struct letter {
    struct list link; /* local_core.letters */
    struct local_core *home;
    size_t size;
    struct gyr_span room;
    struct gyr_publication publication;
    struct gyr_handle except[]; /* then the bytes of the room's name, payload and key */
};

/* What was missed? */
struct question {
    struct list link; /* local_core.questions */
    struct local_core *home;
    const struct gyr_room_rule *rule;
    struct history_place since;
    void *request;
    struct gyr_span room;
    char bytes[];
};

static struct local_core *home_of(struct local *local, struct gyr_span room);
static bool keeps(const struct gyr_publication *publication);
static struct letter *letter_make(struct local_core *home, const struct gyr_publication *from);
static int letter_admit(struct local *local, struct letter *letter);
static void letter_refuse(struct local *local, unsigned core);
static void letter_arrives(unsigned core, void *arg);
static int letter_deliver(struct letter *letter);
static void letter_end(struct letter *letter);
static void tell_refused(struct local *local);
static void question_arrives(unsigned core, void *arg);
static int question_answer(struct question *question);
static void answer_fill(struct gyr_publication *publications, const struct history_view *view);

/* ---- begin and end ---- */

static size_t local_size(unsigned core_count)
{
    return sizeof(struct local) + core_count * sizeof(struct local_core);
}

static int local_create(const struct gyr_backend_hub *hub, void *user, void **state,
                        struct gyr_error *error)
{
    (void)user;
    struct local *local = memory_map(local_size(hub->core_count));
    if (local == NULL) {
        return GYR_ERR_MEMORY;
    }
    local->hub = hub;
    local->letters_size_max = hub->config->broadcast_size_max;
    local->letter_count_max = hub->config->mailbox_count_max / MAILBOX_SHARE;
    if (getrandom(local->secret, sizeof(local->secret), 0) != sizeof(local->secret)) {
        (void)snprintf(error->text, sizeof(error->text), "the kernel gives no random bytes");
        memory_unmap(local, local_size(hub->core_count));
        return GYR_ERR_UNSUPPORTED;
    }
    local->presence = presence_create(local->secret, hub->config->core_heap_size_max / HEAP_SHARE);
    if (local->presence == NULL) {
        memory_unmap(local, local_size(hub->core_count));
        return GYR_ERR_MEMORY;
    }
    for (unsigned i = 0; i < hub->core_count; i++) {
        struct local_core *core = &local->cores[i];
        core->local = local;
        core->index = i;
        list_init(&core->letters);
        list_init(&core->questions);
    }
    *state = local;
    return 0;
}

static void local_destroy(void *state)
{
    struct local *local = state;
    presence_destroy(local->presence);
    memory_unmap(local, local_size(local->hub->core_count));
}

static void *history_memory(void *context, size_t size)
{
    const struct local_core *core = context;
    const struct gyr_backend_hub *hub = core->local->hub;
    return hub->alloc(hub->state, core->index, size);
}

static void history_memory_free(void *context, void *pointer, size_t size)
{
    const struct local_core *core = context;
    const struct gyr_backend_hub *hub = core->local->hub;
    hub->free(hub->state, core->index, pointer, size);
}

static int local_core_start(void *state, unsigned core_index)
{
    struct local *local = state;
    struct history_config config = {
        .size_max = local->hub->config->core_heap_size_max / HEAP_SHARE,
        .room_max = local->hub->config->rooms_max,
        .context = &local->cores[core_index],
        .alloc = history_memory,
        .free = history_memory_free,
    };
    /* Epochs of one room differ from core to core and from life to life. */
    if (getrandom(config.secret, sizeof(config.secret), 0) != sizeof(config.secret)) {
        return GYR_ERR_UNSUPPORTED;
    }
    local->cores[core_index].history = history_create(&config);
    return local->cores[core_index].history != NULL ? 0 : GYR_ERR_MEMORY;
}

static void local_core_stop(void *state, unsigned core_index)
{
    struct local *local = state;
    struct local_core *core = &local->cores[core_index];
    core->has_ended = true;
    while (!list_is_empty(&core->letters)) {
        struct letter *letter = CONTAINER_OF(core->letters.next, struct letter, link);
        if (letter_deliver(letter) < 0) {
            letter_end(letter);
        }
    }
    history_destroy(core->history);
    core->history = NULL;
    while (!list_is_empty(&core->questions)) {
        int err = question_answer(CONTAINER_OF(core->questions.next, struct question, link));
        ASSERT(err == 0); /* there is no history in it */
    }
}

/* ---- publish ---- */

static int local_publish(void *state, unsigned core, const struct gyr_publication *publication)
{
    struct local *local = state;
    if (!keeps(publication)) {
        return local->hub->deliver(local->hub->state, core, publication);
    }
    struct local_core *home = home_of(local, publication->rooms[0]);
    struct letter *letter = letter_make(home, publication);
    if (letter == NULL) {
        return GYR_ERR_MEMORY;
    }
    int err = letter_admit(local, letter);
    if (err < 0) {
        memory_free(letter);
        letter_refuse(local, core);
        return err;
    }
    if (core == home->index && !home->has_ended) {
        letter_arrives(core, letter);
        return 0;
    }
    err = local->hub->post(local->hub->state, home->index, letter_arrives, letter);
    if (err < 0) {
        letter->publication.request = NULL; /* it stays with the caller */
        letter_end(letter);
    }
    if (err == GYR_ERR_BACKPRESSURE) { /* by mail of others, whose end nobody tells us */
        local->hub->ready(local->hub->state, core == GYR_BACKEND_NO_CORE ? 0 : core);
    }
    return err;
}

static struct local_core *home_of(struct local *local, struct gyr_span room)
{
    uint64_t hash = siphash(local->secret, room.ptr, room.size);
    return &local->cores[hash % local->hub->core_count];
}

static bool keeps(const struct gyr_publication *publication)
{
    return publication->room_count == 1 && publication->rule != NULL &&
           publication->rule->history_count > 0;
}

static struct gyr_span append(char **end, struct gyr_span bytes)
{
    struct gyr_span copy = {.ptr = *end, .size = bytes.size};
    if (bytes.size > 0) {
        memcpy(*end, bytes.ptr, bytes.size);
    }
    *end += bytes.size;
    return copy;
}

/* NULL: no memory. */
static struct letter *letter_make(struct local_core *home, const struct gyr_publication *from)
{
    size_t except_size = from->except_count * sizeof(*from->except);
    size_t size = sizeof(struct letter) + except_size + from->rooms[0].size + from->payload.size +
                  from->key.size;
    struct letter *letter = memory_alloc(size);
    if (letter == NULL) {
        return NULL;
    }
    letter->home = home;
    letter->size = size;
    letter->publication = *from;
    letter->publication.size = sizeof(letter->publication);
    letter->publication.context = NULL;
    letter->publication.epoch = 0;
    letter->publication.offset = 0;
    if (except_size > 0) {
        memcpy(letter->except, from->except, except_size);
    }
    char *end = (char *)letter->except + except_size;
    letter->room = append(&end, from->rooms[0]);
    letter->publication.rooms = &letter->room;
    letter->publication.payload = append(&end, from->payload);
    letter->publication.key = append(&end, from->key);
    letter->publication.except = letter->except;
    return letter;
}

/* Count it as under way. A letter that is larger than all may be together goes alone. */
static int letter_admit(struct local *local, struct letter *letter)
{
    uint64_t size =
        atomic_fetch_add_explicit(&local->letters_size, letter->size, memory_order_relaxed);
    uint32_t count =
        atomic_fetch_add_explicit(&letter->home->letter_count, 1, memory_order_relaxed);
    if ((size == 0 || size + letter->size <= local->letters_size_max) &&
        count < local->letter_count_max) {
        return 0;
    }
    atomic_fetch_sub_explicit(&local->letters_size, letter->size, memory_order_relaxed);
    atomic_fetch_sub_explicit(&letter->home->letter_count, 1, memory_order_relaxed);
    return GYR_ERR_BACKPRESSURE;
}

/* This core, or core 0, wants to hear when there is room again. */
static void letter_refuse(struct local *local, unsigned core)
{
    struct local_core *refused = &local->cores[core == GYR_BACKEND_NO_CORE ? 0 : core];
    atomic_store_explicit(&refused->is_refused, true, memory_order_relaxed);
    /* Publishes the line above; partner: the exchange in tell_refused. */
    atomic_store_explicit(&local->has_refused, true, memory_order_release);
    /* The last letter may have ended before that, and then nobody else would tell. */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&local->letters_size, memory_order_relaxed) == 0) {
        tell_refused(local);
    }
}

/* At the home: the message has its place now. */
static void letter_arrives(unsigned core_index, void *arg)
{
    struct letter *letter = arg;
    struct local_core *core = letter->home;
    const struct gyr_backend_hub *hub = core->local->hub;
    if (core->history != NULL) {
        struct history_place place = {0};
        int err = history_add(core->history, letter->room, letter->publication.rule,
                              hub->now_ms(hub->state, core_index), &letter->publication, &place);
        /* Without memory for the room itself the message is in no epoch: whoever comes back is told
         * so, since the room gets another epoch when it is known again. */
        letter->publication.epoch = err == 0 ? place.epoch : 0;
        letter->publication.offset = err == 0 ? place.offset : 0;
    }
    if (!list_is_empty(&core->letters) || letter_deliver(letter) < 0) {
        list_push_back(&core->letters, &letter->link);
        hub->due(hub->state, core_index);
    }
}

/* GYR_ERR_BACKPRESSURE, GYR_ERR_MEMORY: again later. Otherwise it has come to its end. */
static int letter_deliver(struct letter *letter)
{
    const struct local_core *core = letter->home;
    const struct gyr_backend_hub *hub = core->local->hub;
    int err = GYR_ERR_CLOSED;
    if (core->history != NULL) {
        err = hub->deliver(hub->state, core->index, &letter->publication);
    }
    if (err == GYR_ERR_BACKPRESSURE || err == GYR_ERR_MEMORY) {
        return err;
    }
    if (err == 0) {
        letter->publication.request = NULL; /* given back */
    }
    letter_end(letter);
    return 0;
}

/* What has not been delivered by now will not be. */
static void letter_end(struct letter *letter)
{
    struct local_core *home = letter->home;
    struct local *local = home->local;
    list_remove(&letter->link);
    if (letter->publication.request != NULL) {
        local->hub->failed(local->hub->state, letter->publication.request, GYR_ERR_CLOSED);
    }
    atomic_fetch_sub_explicit(&home->letter_count, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&local->letters_size, letter->size, memory_order_relaxed);
    memory_free(letter);
    /* Partner: letter_refuse. */
    atomic_thread_fence(memory_order_seq_cst);
    tell_refused(local);
}

static void tell_refused(struct local *local)
{
    if (!atomic_load_explicit(&local->has_refused, memory_order_relaxed) ||
        !atomic_exchange_explicit(&local->has_refused, false, memory_order_acquire)) {
        return;
    }
    for (unsigned i = 0; i < local->hub->core_count; i++) {
        _Atomic bool *is_refused = &local->cores[i].is_refused;
        if (atomic_exchange_explicit(is_refused, false, memory_order_relaxed)) {
            local->hub->ready(local->hub->state, i);
        }
    }
}

static uint64_t local_work(void *state, unsigned core_index)
{
    struct local *local = state;
    struct local_core *core = &local->cores[core_index];
    while (!list_is_empty(&core->letters)) {
        if (letter_deliver(CONTAINER_OF(core->letters.next, struct letter, link)) < 0) {
            return AGAIN_NS;
        }
    }
    while (!list_is_empty(&core->questions)) {
        if (question_answer(CONTAINER_OF(core->questions.next, struct question, link)) < 0) {
            return AGAIN_NS;
        }
    }
    return 0;
}

/* ---- history and presence ---- */

static int local_history(void *state, unsigned core, const struct gyr_backend_question *asked,
                         void *request)
{
    struct local *local = state;
    if (asked->rule == NULL || asked->rule->history_count == 0) {
        return GYR_ERR_UNSUPPORTED;
    }
    struct question *question = memory_alloc(sizeof(*question) + asked->room.size);
    if (question == NULL) {
        return GYR_ERR_MEMORY;
    }
    question->home = home_of(local, asked->room);
    question->rule = asked->rule;
    question->since = (struct history_place){.epoch = asked->epoch, .offset = asked->offset};
    question->request = request;
    char *end = question->bytes;
    question->room = append(&end, asked->room);
    if (core == question->home->index) {
        question_arrives(core, question);
        return 0;
    }
    int err =
        local->hub->post(local->hub->state, question->home->index, question_arrives, question);
    if (err < 0) {
        memory_free(question);
    }
    return err;
}

static void question_arrives(unsigned core_index, void *arg)
{
    struct question *question = arg;
    struct local_core *core = question->home;
    const struct gyr_backend_hub *hub = core->local->hub;
    if (!list_is_empty(&core->questions) || question_answer(question) < 0) {
        list_push_back(&core->questions, &question->link);
        hub->due(hub->state, core_index);
    }
}

/* GYR_ERR_BACKPRESSURE: again later. */
static int question_answer(struct question *question)
{
    struct local_core *core = question->home;
    const struct gyr_backend_hub *hub = core->local->hub;
    struct gyr_backend_history answer = {.size = sizeof(answer), .err = GYR_ERR_CLOSED};
    struct gyr_publication *publications = NULL;
    if (core->history != NULL) {
        struct history_view view;
        answer.err = history_since(core->history, question->room, question->rule,
                                   hub->now_ms(hub->state, core->index), question->since, &view);
        answer.epoch = view.newest.epoch;
        answer.offset = view.newest.offset;
        answer.count = view.count;
        if (view.count > 0) {
            publications = memory_alloc(view.count * sizeof(*publications));
        }
        if (publications != NULL) {
            answer_fill(publications, &view);
            answer.publications = publications;
        } else if (view.count > 0) {
            answer.err = GYR_ERR_MEMORY;
            answer.count = 0;
        }
    }
    int err = hub->history_done(hub->state, core->index, question->request, &answer);
    memory_free(publications);
    if (err == GYR_ERR_BACKPRESSURE) {
        return err;
    }
    list_remove(&question->link);
    memory_free(question);
    return 0;
}

static void answer_fill(struct gyr_publication *publications, const struct history_view *view)
{
    for (size_t i = 0; i < view->count; i++) {
        const struct history_entry *entry = history_at(view, i);
        const char *bytes = (const char *)entry->bytes;
        publications[i] = (struct gyr_publication){
            .size = sizeof(publications[i]),
            .opcode = entry->opcode,
            .payload = {.ptr = bytes, .size = entry->payload_size},
            .key = {.ptr = bytes + entry->payload_size, .size = entry->key_size},
            .epoch = view->newest.epoch,
            .offset = view->first_offset + i,
        };
    }
}

static int local_presence_add(void *state, unsigned core, struct gyr_span room, struct gyr_span id)
{
    const struct local *local = state;
    (void)core;
    return presence_add(local->presence, room, id);
}

static void local_presence_remove(void *state, unsigned core, struct gyr_span room,
                                  struct gyr_span id)
{
    const struct local *local = state;
    (void)core;
    presence_remove(local->presence, room, id);
}

static int local_presence(void *state, unsigned core, struct gyr_span room, void *request)
{
    const struct local *local = state;
    struct presence_ids *ids = NULL;
    int err = presence_list(local->presence, room, &ids);
    if (err < 0) {
        return err;
    }
    local->hub->presence_done(local->hub->state, core, request, 0, ids->ids, ids->count);
    memory_free(ids);
    return 0;
}

/* ---- members: the hub knows them ---- */

static int local_subscribe(void *state, unsigned core, struct gyr_span room,
                           const struct gyr_room_rule *rule)
{
    (void)state;
    (void)core;
    (void)room;
    (void)rule;
    return 0;
}

static void local_unsubscribe(void *state, unsigned core, struct gyr_span room)
{
    (void)state;
    (void)core;
    (void)room;
}

const struct gyr_backend backend_local = {
    .size = sizeof(struct gyr_backend),
    .name = "local",
    .capabilities = GYR_BACKEND_ORDERS | GYR_BACKEND_HISTORY | GYR_BACKEND_PRESENCE,
    .create = local_create,
    .destroy = local_destroy,
    .core_start = local_core_start,
    .core_stop = local_core_stop,
    .work = local_work,
    .publish = local_publish,
    .subscribe = local_subscribe,
    .unsubscribe = local_unsubscribe,
    .history = local_history,
    .presence_add = local_presence_add,
    .presence_remove = local_presence_remove,
    .presence = local_presence,
};
