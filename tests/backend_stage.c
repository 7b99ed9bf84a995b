/* SPDX-License-Identifier: MIT */
/* The hub's side of a backend's contract. Cores are lists of mail, and the seed says which of them
 * goes on; `deliver` and answers are refused as often as the script wants. */
#include "tests/backend_stage.h"

#include <stdio.h>
#include <stdlib.h>

#define STEPS_MAX 100000

/* Any bytes are a name. */
const struct gyr_span stage_rooms[STAGE_ROOMS] = {
    GYR_LITERAL(""),      GYR_LITERAL("a"),    GYR_LITERAL("a\0b"),
    GYR_LITERAL("\xff*"), GYR_LITERAL("a\0c"), GYR_LITERAL("history of a longer name"),
};

static const struct gyr_room_rule history_rule = {
    .size = sizeof(struct gyr_room_rule),
    .history_count = STAGE_HISTORY,
};

void stage_wrong(struct stage *stage, const char *what)
{
    if (stage->wrong == NULL) {
        stage->wrong = what;
    }
}

uint64_t stage_random(struct stage *stage, uint64_t below)
{
    stage->random = stage->random * 6364136223846793005U + 1442695040888963407U;
    return (stage->random >> 33) % below;
}

bool stage_can(const struct stage *stage, uint32_t capability)
{
    return (stage->bed->table->capabilities & capability) != 0;
}

const struct gyr_room_rule *stage_rule(unsigned room)
{
    return room >= STAGE_ROOM_HISTORY ? &history_rule : NULL;
}

static bool refuses(struct stage *stage)
{
    return stage->refuse_percent > 0 && stage_random(stage, 100) < stage->refuse_percent;
}

/* ---- what the backend calls ---- */

static void check_core(struct stage_node *node, unsigned core)
{
    if (core != GYR_BACKEND_NO_CORE && core >= STAGE_CORES) {
        stage_wrong(node->stage, "it has called with a core that there is not");
    } else if (node->is_destroyed) {
        stage_wrong(node->stage, "it has called after destroy");
    } else if (core != GYR_BACKEND_NO_CORE && node->cores[core].has_ended) {
        stage_wrong(node->stage, "it has called on a core that has ended");
    } else if (node->cores[0].has_ended && node->cores[1].has_ended) {
        stage_wrong(node->stage, "it has called when all cores had ended");
    }
}

static void give_back(struct stage *stage, struct stage_request *request, unsigned node, int err)
{
    request->given++;
    request->err = err;
    if (request->given > 1) {
        stage_wrong(stage, "it has given a request back twice");
    }
    if (request->node != node) {
        stage_wrong(stage, "it has given a request of another node");
    }
}

static bool span_is(struct gyr_span span, const void *ptr, size_t size)
{
    return span_equal(span_of(span.ptr, span.size), span_of(ptr, size));
}

static bool room_is(struct gyr_span name, unsigned room)
{
    return span_is(name, stage_rooms[room].ptr, stage_rooms[room].size);
}

/* Is it as it was published? */
static void check_publication(struct stage_node *node, const struct message *message,
                              const struct gyr_publication *publication, uint32_t number)
{
    bool is_own = message->node == (unsigned)(node - node->stage->nodes);
    char key[16];
    (void)snprintf(key, sizeof(key), "%u", number % 5);
    size_t room_count = message->second_room == STAGE_ROOMS     ? 0
                        : message->second_room != message->room ? 2
                                                                : 1;
    bool is_right = publication->size == sizeof(*publication) &&
                    publication->opcode == (number % 2 == 0 ? GYR_TEXT : GYR_BINARY) &&
                    span_is(publication->key, key, strlen(key)) &&
                    publication->room_count == room_count &&
                    publication->except_count == (is_own ? number % 3 : 0);
    is_right = is_right && (room_count < 1 || room_is(publication->rooms[0], message->room)) &&
               (room_count < 2 || room_is(publication->rooms[1], message->second_room));
    for (size_t i = 0; is_right && i < publication->except_count; i++) {
        is_right = publication->except[i].id == number + i + 1;
    }
    if (!is_right) {
        stage_wrong(node->stage, "it has delivered something else than was published");
    }
    if (publication->request != NULL && publication->request != &message->request) {
        stage_wrong(node->stage, "it has taken one request for another");
    }
}

static void member_got(struct stage_member *member, const struct gyr_publication *publication)
{
    if (member->epoch != publication->epoch || member->offset + 1 != publication->offset) {
        stage_wrong(member->stage, "a member has got a message twice, or not at all");
    }
    member->epoch = publication->epoch;
    member->offset = publication->offset;
}

static void deliver_to_members(struct stage_node *node, unsigned room,
                               const struct gyr_publication *publication)
{
    for (unsigned i = 0; i < STAGE_MEMBERS; i++) {
        struct stage_member *member = &node->members[i];
        if (member->is_in && member->name.room_index == room &&
            recover_judge(node->recover, member->name, publication) == RECOVER_PASSES) {
            member_got(member, publication);
        }
    }
}

static int hub_deliver(void *state, unsigned core, const struct gyr_publication *publication)
{
    struct stage_node *node = state;
    struct stage *stage = node->stage;
    check_core(node, core);
    if (refuses(stage)) {
        return stage_random(stage, 2) == 0 ? GYR_ERR_BACKPRESSURE : GYR_ERR_MEMORY;
    }
    uint32_t number = 0;
    if (publication->payload.size < sizeof(number)) {
        stage_wrong(stage, "it has delivered what nobody has published");
        return 0;
    }
    memcpy(&number, publication->payload.ptr, sizeof(number));
    if (number >= stage->message_count || node->delivery_count == STAGE_MESSAGES_MAX) {
        stage_wrong(stage, "it has delivered what nobody has published");
        return 0;
    }
    struct message *message = &stage->messages[number];
    check_publication(node, message, publication, number);
    node->deliveries[node->delivery_count] = (struct delivery){
        .message = number, .epoch = publication->epoch, .offset = publication->offset};
    node->delivery_count++;
    if (publication->request != NULL) {
        give_back(stage, publication->request, (unsigned)(node - stage->nodes), 0);
    }
    if (publication->offset != 0) {
        deliver_to_members(node, message->room, publication);
    }
    return 0;
}

static void hub_failed(void *state, void *request, int err)
{
    struct stage_node *node = state;
    check_core(node, GYR_BACKEND_NO_CORE);
    if (err >= 0) {
        stage_wrong(node->stage, "it has failed without an error");
    }
    give_back(node->stage, request, (unsigned)(node - node->stage->nodes), err);
}

static void hub_ready(void *state, unsigned core)
{
    struct stage_node *node = state;
    check_core(node, GYR_BACKEND_NO_CORE);
    if (core >= STAGE_CORES) {
        stage_wrong(node->stage, "it has told a core that there is not");
        return;
    }
    node->cores[core].ready++;
}

static int hub_history_done(void *state, unsigned core, void *request_pointer,
                            const struct gyr_backend_history *history)
{
    struct stage_node *node = state;
    struct stage_request *request = request_pointer;
    struct stage *stage = node->stage;
    check_core(node, core);
    if (history->count > 0 && refuses(stage)) {
        return GYR_ERR_BACKPRESSURE;
    }
    if (history->size != sizeof(*history) || (history->err != 0 && history->count > 0)) {
        stage_wrong(stage, "its answer contradicts itself");
    }
    for (size_t i = 0; i < history->count; i++) {
        if (history->publications[i].offset != history->offset - history->count + 1 + i ||
            history->publications[i].epoch != history->epoch) {
            stage_wrong(stage, "its answer is not in order, or does not reach its end");
        }
    }
    give_back(stage, request, (unsigned)(node - stage->nodes), history->err);
    request->history = *history;
    struct stage_member *member = request->member;
    struct gyr_recovery recovery;
    if (member == NULL || !member->is_in || !member->is_waiting) {
        return 0;
    }
    uint64_t since = member->offset;
    uint64_t since_epoch = member->epoch;
    if (history->err != 0 || since_epoch == 0) { /* it goes on from where the room stands */
        member->epoch = history->epoch;
        member->offset = history->offset;
    }
    if (!recover_answer(node->recover, member->name, member->number, since_epoch, history,
                        &recovery)) {
        return 0;
    }
    member->is_waiting = false;
    if (history->err == GYR_ERR_NOT_FOUND && history->epoch == since_epoch &&
        history->offset >= since && history->offset - since <= STAGE_HISTORY) {
        stage_wrong(stage, "it has said that it does not keep what it has to keep");
    }
    return 0;
}

static int text_order(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void hub_presence_done(void *state, unsigned core, void *request_pointer, int err,
                              const struct gyr_span *ids, size_t id_count)
{
    struct stage_node *node = state;
    struct stage_request *request = request_pointer;
    char sorted[16][16] = {{0}};
    check_core(node, core);
    for (size_t i = 0; i < id_count && i < COUNT_OF(sorted); i++) {
        (void)snprintf(sorted[i], sizeof(sorted[i]), "%.*s", (int)ids[i].size, ids[i].ptr);
    }
    qsort(sorted, MIN(id_count, COUNT_OF(sorted)), sizeof(sorted[0]), text_order);
    request->ids[0] = '\0';
    for (size_t i = 0; i < id_count && i < COUNT_OF(sorted); i++) {
        strcat(request->ids, " ");
        strcat(request->ids, sorted[i]);
    }
    give_back(node->stage, request, (unsigned)(node - node->stage->nodes), err);
}

static int hub_post(void *state, unsigned core, void (*fn)(unsigned core, void *arg), void *arg)
{
    struct stage_node *node = state;
    size_t count = 0;
    if (node->cores[core].has_ended) {
        return GYR_ERR_CLOSED;
    }
    for (struct list *at = node->cores[core].mail.next; at != &node->cores[core].mail;
         at = at->next) {
        count++;
    }
    if (count >= node->stage->config.mailbox_count_max) {
        return GYR_ERR_BACKPRESSURE;
    }
    struct stage_mail *mail = malloc(sizeof(*mail));
    if (mail == NULL) {
        abort();
    }
    mail->fn = fn;
    mail->arg = arg;
    list_push_back(&node->cores[core].mail, &mail->link);
    return 0;
}

static void hub_due(void *state, unsigned core)
{
    struct stage_node *node = state;
    check_core(node, core);
    node->cores[core].is_due = true;
}

static uint64_t hub_now_ms(void *state, unsigned core)
{
    struct stage_node *node = state;
    check_core(node, core);
    return node->stage->now_ms;
}

static void *hub_alloc(void *state, unsigned core, size_t size)
{
    struct stage_node *node = state;
    check_core(node, core);
    node->memory += size;
    return malloc(size);
}

static void hub_free(void *state, unsigned core, void *pointer, size_t size)
{
    struct stage_node *node = state;
    check_core(node, core);
    node->memory -= size;
    free(pointer);
}

/* ---- members ---- */

static void *recover_memory(void *context, size_t size)
{
    (void)context;
    return malloc(size);
}

static void recover_memory_free(void *context, void *pointer, size_t size)
{
    (void)context;
    (void)size;
    free(pointer);
}

static int recover_queue(void *context, struct recover_member name,
                         const struct gyr_publication *publication)
{
    struct stage_node *node = context;
    member_got(&node->members[name.conn_index], publication);
    return 0;
}

/* ---- begin and end ---- */

static void node_begin(struct stage *stage, unsigned index)
{
    struct stage_node *node = &stage->nodes[index];
    struct gyr_error error = {""};
    *node = (struct stage_node){.stage = stage};
    const struct gyr_backend_hub hub = {
        .state = node,
        .config = &stage->config,
        .core_count = STAGE_CORES,
        .deliver = hub_deliver,
        .failed = hub_failed,
        .ready = hub_ready,
        .history_done = hub_history_done,
        .presence_done = hub_presence_done,
        .post = hub_post,
        .due = hub_due,
        .now_ms = hub_now_ms,
        .alloc = hub_alloc,
        .free = hub_free,
    };
    node->deliveries = calloc(STAGE_MESSAGES_MAX, sizeof(*node->deliveries));
    const struct recover_config config = {
        .context = node,
        .held_size_max = 1U << 20,
        .deliver = recover_queue,
        .alloc = recover_memory,
        .free = recover_memory_free,
    };
    node->recover = recover_create(&config);
    if (node->deliveries == NULL || node->recover == NULL ||
        backend_create(&node->backend, &stage->table, &hub, &error) < 0) {
        abort();
    }
    for (unsigned i = 0; i < STAGE_CORES; i++) {
        list_init(&node->cores[i].mail);
        if (node->backend.table->core_start(node->backend.state, i) < 0) {
            abort();
        }
    }
    for (unsigned i = 0; i < STAGE_MEMBERS; i++) {
        node->members[i] = (struct stage_member){
            .stage = stage,
            .node = index,
            .name = {.room_index = STAGE_ROOM_HISTORY + i % 2, .conn_index = i},
        };
    }
}

struct stage *stage_create(const struct contract_bed *bed, uint64_t seed)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    if (stage == NULL) {
        abort();
    }
    stage->bed = bed;
    stage->random = seed * 2 + 1;
    stage->now_ms = 1000;
    stage->config = gyr_config_default();
    stage->config.mailbox_count_max = 1000;
    stage->messages = calloc(STAGE_MESSAGES_MAX, sizeof(*stage->messages));
    stage->table = *bed->table;
    if (bed->begin != NULL) {
        stage->world = bed->begin(bed->node_count, seed, bed->fault);
        stage->table.user = stage->world;
    }
    for (unsigned i = 0; i < bed->node_count; i++) {
        node_begin(stage, i);
    }
    return stage;
}

static void run_mail(struct stage_core *core, unsigned index)
{
    struct stage_mail *mail = CONTAINER_OF(core->mail.next, struct stage_mail, link);
    list_remove(&mail->link);
    mail->fn(index, mail->arg);
    free(mail);
}

void stage_end(struct stage *stage, unsigned index)
{
    struct stage_node *node = &stage->nodes[index];
    for (unsigned i = 0; i < STAGE_CORES; i++) {
        if (!node->cores[i].has_ended) {
            while (!list_is_empty(&node->cores[i].mail)) {
                run_mail(&node->cores[i], i);
            }
            node->backend.table->core_stop(node->backend.state, i);
            while (!list_is_empty(&node->cores[i].mail)) { /* the mailbox is closed by then */
                stage_wrong(stage, "it has posted to a core that ends");
                run_mail(&node->cores[i], i);
            }
            node->cores[i].has_ended = true;
        }
    }
}

const char *stage_destroy(struct stage *stage)
{
    for (unsigned i = 0; i < stage->bed->node_count; i++) {
        stage_end(stage, i);
    }
    for (unsigned i = 0; i < 100 && stage->bed->step != NULL; i++) {
        (void)stage->bed->step(stage->world); /* nobody must be called any more */
    }
    for (unsigned i = 0; i < stage->bed->node_count; i++) {
        struct stage_node *node = &stage->nodes[i];
        backend_destroy(&node->backend);
        node->is_destroyed = true;
        if (node->memory != 0) {
            stage_wrong(stage, "it has not given back a core's memory");
        }
        recover_destroy(node->recover);
        free(node->deliveries);
    }
    if (stage->bed->end != NULL) {
        stage->bed->end(stage->world);
    }
    for (uint32_t i = 0; i < stage->message_count; i++) {
        const struct message *message = &stage->messages[i];
        unsigned expected = message->has_request && message->is_accepted;
        if (message->request.given != expected) {
            stage_wrong(stage, expected ? "it has not given a request back"
                                        : "it has given back a request that it had refused");
        }
    }
    const char *wrong = stage->wrong;
    free(stage->messages);
    free(stage);
    return wrong;
}

/* ---- what happens ---- */

static bool core_step(struct stage_node *node, unsigned index)
{
    struct stage_core *core = &node->cores[index];
    if (core->has_ended) {
        return false;
    }
    if (!list_is_empty(&core->mail) && stage_random(node->stage, 4) > 0) {
        run_mail(core, index);
        return true;
    }
    bool is_busy = core->is_due || !list_is_empty(&core->mail);
    core->is_due = false;
    return node->backend.table->work(node->backend.state, index) != 0 || is_busy || core->is_due;
}

bool stage_step(struct stage *stage)
{
    bool is_busy = false;
    unsigned first = (unsigned)stage_random(stage, stage->bed->node_count);
    for (unsigned i = 0; i < stage->bed->node_count; i++) {
        struct stage_node *node = &stage->nodes[(first + i) % stage->bed->node_count];
        for (unsigned core = 0; core < STAGE_CORES; core++) {
            if (stage_random(stage, 3) > 0) {
                is_busy = core_step(node, core) || is_busy;
            } else {
                is_busy =
                    is_busy || node->cores[core].is_due || !list_is_empty(&node->cores[core].mail);
            }
        }
    }
    if (stage->bed->step != NULL) {
        is_busy = stage->bed->step(stage->world) || is_busy;
    }
    return is_busy;
}

void stage_rest(struct stage *stage)
{
    unsigned quiet = 0;
    for (unsigned i = 0; quiet < 20; i++) {
        quiet = stage_step(stage) ? 0 : quiet + 1;
        if (i == STEPS_MAX) {
            stage_wrong(stage, "it never comes to rest");
            return;
        }
    }
}

void stage_subscribe(struct stage *stage, unsigned index, unsigned room, bool subscribe)
{
    struct stage_node *node = &stage->nodes[index];
    const struct gyr_backend *table = node->backend.table;
    unsigned core = (unsigned)stage_random(stage, STAGE_CORES);
    if (subscribe == node->has_subscribed[room]) {
        return;
    }
    node->has_subscribed[room] = subscribe;
    if (!subscribe) {
        table->unsubscribe(node->backend.state, core, stage_rooms[room]);
    } else if (table->subscribe(node->backend.state, core, stage_rooms[room], stage_rule(room)) <
               0) {
        stage_wrong(stage, "it has refused a subscription");
    }
}

int stage_publish(struct stage *stage, unsigned node, unsigned core, unsigned room, bool request)
{
    return stage_publish_to(stage, node, core, room, room, request);
}

int stage_publish_to(struct stage *stage, unsigned node, unsigned core, unsigned room,
                     unsigned second_room, bool request)
{
    if (stage->message_count == STAGE_MESSAGES_MAX) {
        abort();
    }
    uint32_t number = stage->message_count;
    struct message *message = &stage->messages[number];
    stage->message_count++;
    *message =
        (struct message){.node = node, .core = core, .room = room, .second_room = second_room};
    message->request = (struct stage_request){.stage = stage, .node = node};
    message->has_request = request;
    char payload[100] = {0};
    char key[16];
    memcpy(payload, &number, sizeof(number));
    (void)snprintf(key, sizeof(key), "%u", number % 5);
    const struct gyr_handle except[] = {{number + 1}, {number + 2}};
    const struct gyr_span names[] = {stage_rooms[room], stage_rooms[second_room % STAGE_ROOMS]};
    struct gyr_publication publication = {
        .size = sizeof(publication),
        .rooms = names,
        .room_count = second_room == STAGE_ROOMS ? 0
                      : second_room == room      ? 1
                                                 : 2,
        .opcode = number % 2 == 0 ? GYR_TEXT : GYR_BINARY,
        .payload = {payload, sizeof(number) + number % (sizeof(payload) - sizeof(number))},
        .key = {key, strlen(key)},
        .except = except,
        .except_count = number % 3,
        .rule = second_room == room ? stage_rule(room) : NULL,
        .request = request ? &message->request : NULL,
    };
    const struct backend *backend = &stage->nodes[node].backend;
    int err =
        backend_publish(backend, core == STAGE_CORES ? GYR_BACKEND_NO_CORE : core, &publication);
    memset(payload, 0xee, sizeof(payload)); /* nobody may have kept it */
    message->is_accepted = err == 0;
    return err;
}

unsigned stage_count(const struct stage *stage, unsigned index, uint32_t message)
{
    const struct stage_node *node = &stage->nodes[index];
    unsigned count = 0;
    for (size_t i = 0; i < node->delivery_count; i++) {
        count += node->deliveries[i].message == message;
    }
    return count;
}

void stage_ask(struct stage *stage, unsigned index, unsigned room, uint64_t epoch, uint64_t offset,
               struct stage_request *request)
{
    const struct backend *backend = &stage->nodes[index].backend;
    *request = (struct stage_request){.stage = stage, .node = index};
    const struct gyr_backend_question question = {
        .size = sizeof(question),
        .room = stage_rooms[room],
        .rule = stage_rule(room),
        .epoch = epoch,
        .offset = offset,
    };
    int err = backend->table->history(backend->state, (unsigned)stage_random(stage, STAGE_CORES),
                                      &question, request);
    if (err < 0) {
        stage_wrong(stage, "it has refused a question about a history");
    }
    stage_rest(stage);
    if (request->given != 1) {
        stage_wrong(stage, "it has not answered a question");
    }
}
