/* SPDX-License-Identifier: MIT */
/* The scripts of a backend's contract. Each does what a hub does, in an order that the seed
 * decides, and looks at what every node was given. */
#include "tests/backend_contract.h"

#include "tests/backend_stage.h"

#include <stdlib.h>

#define PUBLISH_COUNT 120

typedef void (*script_fn)(struct stage *stage);

static unsigned any_node(struct stage *stage)
{
    return (unsigned)stage_random(stage, stage->bed->node_count);
}

/* A core, or STAGE_CORES: a thread that is none. */
static unsigned any_thread(struct stage *stage)
{
    return (unsigned)stage_random(stage, STAGE_CORES + 1);
}

static unsigned any_room(struct stage *stage)
{
    return (unsigned)stage_random(stage, STAGE_ROOMS);
}

static void some_steps(struct stage *stage)
{
    for (uint64_t i = stage_random(stage, 4); i > 0; i--) {
        (void)stage_step(stage);
    }
}

static void subscribe_some(struct stage *stage)
{
    for (unsigned node = 0; node < stage->bed->node_count; node++) {
        for (unsigned room = 0; room < STAGE_ROOMS; room++) {
            stage_subscribe(stage, node, room, stage_random(stage, 2) == 0);
        }
    }
    stage_rest(stage);
}

static void subscribe_all(struct stage *stage)
{
    for (unsigned node = 0; node < stage->bed->node_count; node++) {
        for (unsigned room = 0; room < STAGE_ROOMS; room++) {
            stage_subscribe(stage, node, room, true);
        }
    }
    stage_rest(stage);
}

static bool wants(const struct stage *stage, unsigned node, const struct message *message)
{
    return message->second_room == STAGE_ROOMS ||
           stage->nodes[node].has_subscribed[message->room] ||
           stage->nodes[node].has_subscribed[message->second_room];
}

/* Every message that was accepted is where it is wanted, once, and nowhere else; its own node may
 * get it in any case, and ignores what nobody there wants. */
static void check_reached(struct stage *stage)
{
    for (uint32_t number = 0; number < stage->message_count; number++) {
        const struct message *message = &stage->messages[number];
        for (unsigned node = 0; node < stage->bed->node_count; node++) {
            unsigned count = stage_count(stage, node, number);
            if (count > 1) {
                stage_wrong(stage, "a node has got a message twice");
            } else if (count == 1 && !message->is_accepted) {
                stage_wrong(stage, "a node has got what was refused");
            } else if (count == 0 && message->is_accepted && wants(stage, node, message)) {
                stage_wrong(stage, "a node has not got what it has subscribed");
            } else if (count == 1 && node != message->node && !wants(stage, node, message)) {
                stage_wrong(stage, "a node has got what it has not subscribed");
            }
        }
    }
}

static void publish_anywhere(struct stage *stage, bool requests)
{
    unsigned room = any_room(stage);
    (void)stage_publish(stage, any_node(stage), any_thread(stage), room,
                        requests && stage_random(stage, 2) == 0);
}

static void reaches_exactly_those_who_have_subscribed(struct stage *stage)
{
    subscribe_some(stage);
    for (unsigned i = 0; i < PUBLISH_COUNT; i++) {
        publish_anywhere(stage, false);
        some_steps(stage);
        if (i % 8 == 0) {
            (void)stage_publish_to(stage, any_node(stage), any_thread(stage), i / 8 % 3,
                                   (i / 8 + 1) % 3, false);
        } else if (i % 8 == 1) {
            (void)stage_publish_to(stage, any_node(stage), any_thread(stage), 0, STAGE_ROOMS,
                                   false);
        }
    }
    stage_rest(stage);
    check_reached(stage);
    if (stage->messages[0].is_accepted == 0) {
        stage_wrong(stage, "it has refused a message without a reason");
    }
}

/* The stage compares everything that is delivered with what was published. */
static void carries_every_byte(struct stage *stage)
{
    subscribe_all(stage);
    for (unsigned i = 0; i < 2 * PUBLISH_COUNT; i++) { /* every size, key and opcode */
        (void)stage_publish(stage, any_node(stage), any_thread(stage), i % STAGE_ROOMS, false);
        some_steps(stage);
    }
    stage_rest(stage);
    check_reached(stage);
}

/* Messages of a room, as a node has got them: up to `max` numbers. */
static size_t messages_of(const struct stage *stage, unsigned node, unsigned room,
                          uint32_t *numbers)
{
    size_t count = 0;
    for (size_t i = 0; i < stage->nodes[node].delivery_count; i++) {
        uint32_t number = stage->nodes[node].deliveries[i].message;
        const struct message *message = &stage->messages[number];
        if (message->room == room && message->second_room == room) {
            numbers[count] = number;
            count++;
        }
    }
    return count;
}

static void check_publishers(struct stage *stage, const uint32_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct message *first = &stage->messages[numbers[i]];
        for (size_t j = i + 1; j < count; j++) {
            const struct message *second = &stage->messages[numbers[j]];
            if (first->node == second->node && first->core == second->core &&
                numbers[j] < numbers[i]) {
                stage_wrong(stage, "the messages of one publisher have changed places");
            }
        }
    }
}

static void check_offsets(struct stage *stage, unsigned node, unsigned room)
{
    const struct delivery *last = NULL;
    for (size_t i = 0; i < stage->nodes[node].delivery_count; i++) {
        const struct delivery *delivery = &stage->nodes[node].deliveries[i];
        if (stage->messages[delivery->message].room != room) {
            continue;
        }
        if (delivery->epoch == 0 || delivery->offset == 0) {
            stage_wrong(stage, "a message of a room with a history has no place in it");
        }
        if (last != NULL &&
            (last->epoch != delivery->epoch || last->offset + 1 != delivery->offset)) {
            stage_wrong(stage, "the offsets of a room have a gap, or go back");
        }
        last = delivery;
    }
}

static void check_order(struct stage *stage)
{
    static uint32_t numbers[STAGE_NODES_MAX][STAGE_MESSAGES_MAX];
    for (unsigned room = 0; room < STAGE_ROOMS; room++) {
        bool has_history = room >= STAGE_ROOM_HISTORY && stage_can(stage, GYR_BACKEND_HISTORY);
        size_t count = 0;
        for (unsigned node = 0; node < stage->bed->node_count; node++) {
            size_t node_count = messages_of(stage, node, room, numbers[node]);
            check_publishers(stage, numbers[node], node_count);
            if (has_history) {
                check_offsets(stage, node, room);
            }
            if (node > 0 && (has_history || stage_can(stage, GYR_BACKEND_ORDERS)) &&
                (node_count != count ||
                 memcmp(numbers[node], numbers[0], count * sizeof(numbers[0][0])) != 0)) {
                stage_wrong(stage, "two nodes have got a room's messages in two orders");
            }
            count = node_count;
        }
    }
}

static void keeps_the_order_of_each_room(struct stage *stage)
{
    subscribe_all(stage);
    for (unsigned i = 0; i < 2 * PUBLISH_COUNT; i++) {
        publish_anywhere(stage, false);
        if (stage_random(stage, 3) == 0) {
            some_steps(stage);
        }
    }
    stage_rest(stage);
    check_reached(stage);
    check_order(stage);
}

/* stage_destroy counts them. */
static void gives_every_request_back_once(struct stage *stage)
{
    subscribe_some(stage);
    for (unsigned i = 0; i < PUBLISH_COUNT; i++) {
        publish_anywhere(stage, true);
        some_steps(stage);
    }
    stage_rest(stage);
    for (uint32_t i = 0; i < stage->message_count; i++) {
        const struct message *message = &stage->messages[i];
        if (message->is_accepted && message->has_request &&
            (message->request.given != 1 || message->request.err != 0)) {
            stage_wrong(stage, "it has not said of a message that it was delivered");
        }
    }
}

static void loses_nothing_when_the_hub_is_full(struct stage *stage)
{
    subscribe_all(stage);
    stage->refuse_percent = 80;
    for (unsigned i = 0; i < PUBLISH_COUNT; i++) {
        publish_anywhere(stage, true);
        some_steps(stage);
    }
    for (unsigned i = 0; i < 200; i++) {
        (void)stage_step(stage);
    }
    stage->refuse_percent = 0;
    stage_rest(stage);
    check_reached(stage);
    check_order(stage);
}

static void refuses_and_tells_when_there_is_room_again(struct stage *stage)
{
    subscribe_all(stage);
    unsigned node = any_node(stage);
    unsigned core = any_thread(stage);
    unsigned told = core == STAGE_CORES ? 0 : core;
    stage->refuse_percent = 100;
    int err = 0;
    while (err == 0 && stage->message_count < STAGE_MESSAGES_MAX - 1) {
        err = stage_publish(stage, node, core, STAGE_ROOMS - 1, true);
        some_steps(stage);
    }
    if (err == 0) {
        stage_wrong(stage, "it takes whatever comes");
    } else if (err != GYR_ERR_BACKPRESSURE) {
        stage_wrong(stage, "it has refused, and not with GYR_ERR_BACKPRESSURE");
    }
    unsigned before = stage->nodes[node].cores[told].ready;
    stage->refuse_percent = 0;
    stage_rest(stage);
    if (stage->nodes[node].cores[told].ready == before) {
        stage_wrong(stage, "it has not told that there is room again");
    }
    if (stage_publish(stage, node, core, STAGE_ROOMS - 1, true) != 0) {
        stage_wrong(stage, "there is no room again");
    }
    stage_rest(stage);
    check_reached(stage);
    check_order(stage);
}

static void ends_a_subscription(struct stage *stage)
{
    for (unsigned round = 0; round < 4; round++) {
        subscribe_some(stage);
        uint32_t first = stage->message_count;
        for (unsigned i = 0; i < 20; i++) {
            publish_anywhere(stage, false);
        }
        stage_rest(stage);
        for (uint32_t number = first; number < stage->message_count; number++) {
            const struct message *message = &stage->messages[number];
            for (unsigned node = 0; node < stage->bed->node_count; node++) {
                unsigned count = stage_count(stage, node, number);
                bool is_wanted = wants(stage, node, message) && message->is_accepted;
                if (is_wanted ? count != 1 : count != 0 && node != message->node) {
                    stage_wrong(stage, "what a node gets is not what it has subscribed now");
                }
            }
        }
    }
}

static void member_join(struct stage *stage, struct stage_member *member)
{
    struct stage_node *node = &stage->nodes[member->node];
    if (recover_begin(node->recover, member->name, &member->number) < 0) {
        abort();
    }
    if (stage_random(stage, 8) == 0) {
        member->epoch = 0;
        member->offset = 0;
    }
    member->is_in = true;
    member->is_waiting = true;
    member->request =
        (struct stage_request){.stage = stage, .node = member->node, .member = member};
    unsigned room = member->name.room_index;
    const struct gyr_backend_question question = {
        .size = sizeof(question),
        .room = stage_rooms[room],
        .rule = stage_rule(room),
        .epoch = member->epoch,
        .offset = member->offset,
    };
    int err = node->backend.table->history(node->backend.state,
                                           (unsigned)stage_random(stage, STAGE_CORES), &question,
                                           &member->request);
    if (err < 0) {
        stage_wrong(stage, "it has refused a question about a history");
    }
}

static void member_step(struct stage *stage)
{
    struct stage_member *member =
        &stage->nodes[any_node(stage)].members[stage_random(stage, STAGE_MEMBERS)];
    if (!member->is_in) {
        member_join(stage, member);
    } else if (!member->is_waiting && stage_random(stage, 3) == 0) {
        recover_leave(stage->nodes[member->node].recover, member->name);
        member->is_in = false;
    }
}

static void check_members(struct stage *stage)
{
    for (unsigned node = 0; node < stage->bed->node_count; node++) {
        for (unsigned i = 0; i < STAGE_MEMBERS; i++) {
            const struct stage_member *member = &stage->nodes[node].members[i];
            struct stage_request request;
            if (!member->is_in) {
                continue;
            }
            stage_ask(stage, node, member->name.room_index, 0, 0, &request);
            if (member->is_waiting) {
                stage_wrong(stage, "a member has got no answer");
            } else if (member->epoch != request.history.epoch ||
                       member->offset != request.history.offset) {
                stage_wrong(stage, "a member has not got all");
            }
        }
    }
}

static void tells_what_was_missed_without_a_gap(struct stage *stage)
{
    if (!stage_can(stage, GYR_BACKEND_HISTORY)) {
        return;
    }
    subscribe_all(stage);
    for (unsigned i = 0; i < 6 * PUBLISH_COUNT; i++) {
        stage->refuse_percent = i / 40 % 2 == 0 ? 0 : 30;
        if (stage_random(stage, 3) == 0) {
            member_step(stage);
        } else {
            (void)stage_publish(stage, any_node(stage), any_thread(stage),
                                STAGE_ROOM_HISTORY + (unsigned)stage_random(stage, 2), false);
        }
        some_steps(stage);
    }
    stage->refuse_percent = 0;
    stage_rest(stage);
    check_members(stage);
}

static void check_told(struct stage *stage, unsigned room, struct gyr_backend_history newest)
{
    struct stage_request request;
    for (uint64_t offset = 0; offset < newest.offset + 3; offset++) {
        stage_ask(stage, any_node(stage), room, newest.epoch, offset, &request);
        bool is_kept = offset <= newest.offset && newest.offset - offset <= STAGE_HISTORY;
        if (request.history.err != (is_kept ? 0 : GYR_ERR_NOT_FOUND)) {
            stage_wrong(stage, is_kept ? "it does not keep what it has to"
                                       : "it says that it keeps what it cannot have");
        }
        if (request.history.epoch != newest.epoch || request.history.offset != newest.offset) {
            stage_wrong(stage, "it does not say where the room stands");
        }
        if (request.history.count != (is_kept ? newest.offset - offset : 0)) {
            stage_wrong(stage, "its answer has too many messages, or too few");
        }
    }
}

static void tells_what_it_does_not_keep(struct stage *stage)
{
    if (!stage_can(stage, GYR_BACKEND_HISTORY)) {
        return;
    }
    unsigned room = STAGE_ROOM_HISTORY;
    struct stage_request request;
    subscribe_all(stage);
    stage_ask(stage, 0, room, 0, 0, &request);
    if (request.history.err != 0 || request.history.epoch == 0 || request.history.offset != 0) {
        stage_wrong(stage, "a new room does not begin at 0 of an epoch");
    }
    for (unsigned i = 0; i < 2 * STAGE_HISTORY; i++) {
        if (stage_publish(stage, any_node(stage), any_thread(stage), room, false) != 0) {
            stage_wrong(stage, "it has refused a message without a reason");
        }
        stage_rest(stage);
        stage_ask(stage, 0, room, 0, 77, &request);
        if (request.history.err != 0 || request.history.count != 0 ||
            request.history.offset != i + 1) {
            stage_wrong(stage, "it does not say where the room stands");
        }
        if (i % 8 == 0) {
            check_told(stage, room, request.history);
        }
    }
    check_told(stage, room, request.history);
    uint64_t epoch = request.history.epoch;
    for (uint64_t offset = 0; offset < 2 * STAGE_HISTORY + 2; offset++) {
        stage_ask(stage, 0, room, epoch + 1, offset, &request);
        if (request.history.err != GYR_ERR_NOT_FOUND || request.history.count != 0 ||
            request.history.epoch != epoch) {
            stage_wrong(stage, "it has answered for an epoch that is not this one");
        }
    }
}

static void check_present(struct stage *stage, unsigned room, const char *expected)
{
    for (unsigned node = 0; node < stage->bed->node_count; node++) {
        struct stage_request request = {.stage = stage, .node = node};
        const struct backend *backend = &stage->nodes[node].backend;
        unsigned core = any_thread(stage);
        if (backend->table->presence(backend->state,
                                     core == STAGE_CORES ? GYR_BACKEND_NO_CORE : core,
                                     stage_rooms[room], &request) < 0) {
            stage_wrong(stage, "it has refused a question about presence");
        }
        stage_rest(stage);
        if (request.given != 1 || request.err != 0) {
            stage_wrong(stage, "it has not answered a question about presence");
        } else if (strcmp(request.ids, expected) != 0) {
            stage_wrong(stage, "it does not know who is present");
        }
    }
}

static void present(struct stage *stage, unsigned node, unsigned room, const char *id, bool is_here)
{
    const struct backend *backend = &stage->nodes[node].backend;
    struct gyr_span span = {id, strlen(id)};
    unsigned core = (unsigned)stage_random(stage, STAGE_CORES);
    if (!is_here) {
        backend->table->presence_remove(backend->state, core, stage_rooms[room], span);
    } else if (backend->table->presence_add(backend->state, core, stage_rooms[room], span) < 0) {
        stage_wrong(stage, "it has refused somebody's presence");
    }
}

static void knows_who_is_present(struct stage *stage)
{
    if (!stage_can(stage, GYR_BACKEND_PRESENCE)) {
        return;
    }
    unsigned last = stage->bed->node_count - 1;
    check_present(stage, 0, "");
    present(stage, 0, 0, "ada", true);
    present(stage, last, 0, "bob", true);
    present(stage, last, 1, "ada", true);
    stage_rest(stage);
    check_present(stage, 0, " ada bob");
    check_present(stage, 1, " ada");
    check_present(stage, 2, "");
    present(stage, 0, 0, "ada", false);
    stage_rest(stage);
    check_present(stage, 0, " bob");
    check_present(stage, 1, " ada");
    present(stage, 0, 0, "ada", true);
    present(stage, 0, 0, "ada", false);
    present(stage, last, 0, "bob", false);
    present(stage, last, 1, "ada", false);
    stage_rest(stage);
    check_present(stage, 0, "");
    check_present(stage, 1, "");
}

/* What is under way when the cores end: the stage complains about calls, and counts requests. */
static void calls_nothing_after_its_end(struct stage *stage)
{
    struct stage_request request[2] = {{.stage = stage}, {.stage = stage}};
    const struct backend *backend = &stage->nodes[0].backend;
    subscribe_all(stage);
    stage->refuse_percent = (unsigned)stage_random(stage, 2) * 60;
    for (unsigned i = 0; i < PUBLISH_COUNT; i++) {
        publish_anywhere(stage, true);
        some_steps(stage);
    }
    unsigned asked = 0;
    for (; asked < 2 && stage_can(stage, GYR_BACKEND_HISTORY); asked++) {
        const struct gyr_backend_question question = {
            .size = sizeof(question),
            .room = stage_rooms[STAGE_ROOM_HISTORY + asked],
            .rule = stage_rule(STAGE_ROOM_HISTORY),
        };
        if (backend->table->history(backend->state, asked, &question, &request[asked]) < 0) {
            stage_wrong(stage, "it has refused a question about a history");
        }
    }
    for (unsigned node = 0; node < stage->bed->node_count; node++) {
        stage_end(stage, node);
    }
    for (unsigned i = 0; i < asked; i++) {
        if (request[i].given != 1) {
            stage_wrong(stage, "it has not answered a question before its end");
        }
    }
}

#define SCRIPT(name) {#name, name},
static const struct {
    const char *name;
    script_fn run;
} scripts[] = {BACKEND_CONTRACT_SCRIPTS(SCRIPT)};

const char *backend_contract_run(const struct contract_bed *bed, enum contract_script script,
                                 uint64_t seed)
{
    struct stage *stage = stage_create(bed, seed);
    scripts[script].run(stage);
    return stage_destroy(stage);
}

const char *backend_contract_name(enum contract_script script)
{
    return scripts[script].name;
}
