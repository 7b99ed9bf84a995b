/* SPDX-License-Identifier: MIT */
/* What a cluster backend is like, in small. Each node has a link to the broker and one from it. A
 * link numbers its packets and keeps them all; after a reconnect it sends some again, and the other
 * end takes each number once. The broker gives every publication to a backend_local of its own and
 * sends what that delivers to all who have subscribed, and to the node that it came from, which
 * delivers it only then: so everybody sees one order. */
#include "tests/backend_bus.h"

#include "hub/backend.h"

#include <stdlib.h>
#include <string.h>

#define NODES_MAX     3
#define ROOMS_MAX     64 /* subscriptions of a node */
#define PACKETS_MAX   16384
#define IN_FLIGHT_MAX 300
#define REQUESTS_MAX  8192
#define REPEATED_MAX  20

enum kind {
    UP_PUBLISH,
    UP_SUBSCRIBE,
    UP_UNSUBSCRIBE,
    UP_HISTORY,
    UP_PRESENCE_ADD,
    UP_PRESENCE_REMOVE,
    UP_PRESENCE,
    DOWN_DELIVER,
    DOWN_HISTORY,
    DOWN_PRESENCE,
};

/* Owned by its link; what it points at is its own. */
struct packet {
    enum kind kind;
    unsigned node; /* where it came from, first */
    struct bus *bus;
    void *request;
    struct gyr_span rooms[2];
    struct gyr_publication publication;
    const struct gyr_room_rule *rule;
    struct gyr_span id;
    uint64_t epoch;
    uint64_t offset;
    struct gyr_handle except[2];
    struct gyr_backend_history history;
    struct gyr_publication *publications; /* owned, with their bytes */
    struct gyr_span ids[16];
    size_t id_count;
};

struct link {
    struct packet *packets[PACKETS_MAX];
    size_t count;
    size_t sent;       /* the next to send */
    size_t received;   /* the next that is taken */
    unsigned repeated; /* taken again, by mistake */
};

struct node {
    struct bus *bus;
    unsigned index;
    const struct gyr_backend_hub *hub; /* NULL before its create and after its end */
    struct link up;
    struct link down;
    unsigned cores_live;
    unsigned in_flight;
    bool is_refused[8];
    struct packet *waiting[REQUESTS_MAX]; /* whose request is not given back */
    size_t waiting_count;
    struct gyr_span rooms[ROOMS_MAX]; /* at the broker: that it has subscribed */
    size_t room_count;
};

struct bus {
    struct node nodes[NODES_MAX];
    unsigned node_count;
    unsigned created_count;
    enum bus_fault fault;
    uint64_t random;
    struct gyr_config config;
    struct gyr_backend_hub broker_hub;
    void *broker;
};

static uint64_t bus_random(struct bus *bus, uint64_t below)
{
    bus->random = bus->random * 6364136223846793005U + 1442695040888963407U;
    return (bus->random >> 33) % below;
}

static struct gyr_span span_copy(struct gyr_span span)
{
    char *copy = malloc(span.size + 1);
    if (copy == NULL) {
        abort();
    }
    if (span.size > 0) {
        memcpy(copy, span.ptr, span.size);
    }
    return (struct gyr_span){copy, span.size};
}

static void span_free(struct gyr_span span)
{
    free((void *)(uintptr_t)span.ptr);
}

/* ---- packets and links ---- */

static struct packet *packet_make(struct node *node, enum kind kind, void *request)
{
    struct packet *packet = calloc(1, sizeof(*packet));
    if (packet == NULL) {
        abort();
    }
    packet->kind = kind;
    packet->bus = node->bus;
    packet->node = node->index;
    packet->request = request;
    return packet;
}

static void packet_free(struct packet *packet)
{
    span_free(packet->rooms[0]);
    span_free(packet->rooms[1]);
    span_free(packet->publication.payload);
    span_free(packet->publication.key);
    span_free(packet->id);
    for (size_t i = 0; i < packet->history.count; i++) {
        span_free(packet->publications[i].payload);
        span_free(packet->publications[i].key);
    }
    for (size_t i = 0; i < packet->id_count; i++) {
        span_free(packet->ids[i]);
    }
    free(packet->publications);
    free(packet);
}

static void packet_publication(struct packet *packet, const struct gyr_publication *from)
{
    packet->publication = *from;
    packet->publication.payload = span_copy(from->payload);
    packet->publication.key = span_copy(from->key);
    for (size_t i = 0; i < from->room_count; i++) {
        packet->rooms[i] = span_copy(from->rooms[i]);
    }
    for (size_t i = 0; i < from->except_count; i++) {
        packet->except[i] = from->except[i];
    }
    packet->publication.rooms = packet->rooms;
    packet->publication.except = packet->except;
    packet->publication.context = NULL;
}

static void link_push(struct link *link, struct packet *packet)
{
    if (link->count == PACKETS_MAX) {
        abort();
    }
    link->packets[link->count] = packet;
    link->count++;
}

static void link_end(struct link *link)
{
    for (size_t i = 0; i < link->count; i++) {
        packet_free(link->packets[i]);
    }
}

/* ---- the broker ---- */

static bool broker_wants(const struct node *node, const struct gyr_publication *publication)
{
    for (size_t i = 0; i < publication->room_count; i++) {
        for (size_t room = 0; room < node->room_count; room++) {
            if (span_equal(span_of(node->rooms[room].ptr, node->rooms[room].size),
                           span_of(publication->rooms[i].ptr, publication->rooms[i].size))) {
                return true;
            }
        }
    }
    return publication->room_count == 0;
}

/* From here on `request` is the packet that brought it. */
static int broker_deliver(void *state, unsigned core, const struct gyr_publication *publication)
{
    struct bus *bus = state;
    struct packet *from = publication->request;
    (void)core;
    for (unsigned i = 0; i < bus->node_count; i++) {
        struct node *node = &bus->nodes[i];
        bool is_own = i == from->node;
        if (!is_own && !broker_wants(node, publication)) {
            continue;
        }
        struct packet *packet = packet_make(&bus->nodes[from->node], DOWN_DELIVER, NULL);
        packet_publication(packet, publication);
        packet->publication.request = is_own ? from->request : NULL;
        packet->publication.except_count = is_own ? publication->except_count : 0;
        if (bus->fault == BUS_drops_keys) {
            packet->publication.key.size = 0;
        }
        link_push(&node->down, packet);
    }
    return 0;
}

static int broker_history_done(void *state, unsigned core, void *request,
                               const struct gyr_backend_history *history)
{
    struct bus *bus = state;
    struct packet *from = request;
    struct packet *packet = packet_make(&bus->nodes[from->node], DOWN_HISTORY, from->request);
    (void)core;
    packet->history = *history;
    if (bus->fault == BUS_forgets_the_newest && history->offset > 1 && history->count > 0) {
        packet->history.offset--;
        packet->history.count--;
    }
    packet->publications = calloc(packet->history.count + 1, sizeof(*packet->publications));
    if (packet->publications == NULL) {
        abort();
    }
    for (size_t i = 0; i < packet->history.count; i++) {
        packet->publications[i] = history->publications[i];
        packet->publications[i].payload = span_copy(history->publications[i].payload);
        packet->publications[i].key = span_copy(history->publications[i].key);
    }
    packet->history.publications = packet->publications;
    link_push(&bus->nodes[from->node].down, packet);
    return 0;
}

static void broker_presence_done(void *state, unsigned core, void *request, int err,
                                 const struct gyr_span *ids, size_t id_count)
{
    struct bus *bus = state;
    struct packet *from = request;
    struct packet *packet = packet_make(&bus->nodes[from->node], DOWN_PRESENCE, from->request);
    (void)core;
    if (err != 0 || id_count > COUNT_OF(packet->ids)) {
        abort();
    }
    for (; packet->id_count < id_count; packet->id_count++) {
        packet->ids[packet->id_count] = span_copy(ids[packet->id_count]);
    }
    link_push(&bus->nodes[from->node].down, packet);
}

static void broker_failed(void *state, void *request, int err)
{
    (void)state;
    (void)request;
    (void)err;
    abort(); /* it refuses nothing */
}

static void broker_ready(void *state, unsigned core)
{
    (void)state;
    (void)core;
}

static int broker_post(void *state, unsigned core, void (*fn)(unsigned core, void *arg), void *arg)
{
    (void)state;
    fn(core, arg);
    return 0;
}

static uint64_t broker_now_ms(void *state, unsigned core)
{
    (void)state;
    (void)core;
    return 1000;
}

static void *broker_alloc(void *state, unsigned core, size_t size)
{
    (void)state;
    (void)core;
    return malloc(size);
}

static void broker_free(void *state, unsigned core, void *pointer, size_t size)
{
    (void)state;
    (void)core;
    (void)size;
    free(pointer);
}

static void broker_unsubscribe(struct node *node, struct gyr_span room)
{
    for (size_t i = 0; i < node->room_count && node->bus->fault != BUS_never_unsubscribes; i++) {
        if (span_equal(span_of(node->rooms[i].ptr, node->rooms[i].size),
                       span_of(room.ptr, room.size))) {
            node->room_count--;
            node->rooms[i] = node->rooms[node->room_count];
            return;
        }
    }
}

static void broker_subscribe(struct node *node, struct gyr_span room)
{
    if (node->room_count == ROOMS_MAX) {
        abort();
    }
    node->rooms[node->room_count] = room; /* the packet lives as long as the bus */
    node->room_count++;
}

static void broker_take(struct bus *bus, struct packet *packet)
{
    struct node *node = &bus->nodes[packet->node];
    struct gyr_publication publication = packet->publication;
    struct gyr_backend_question question = {
        .size = sizeof(question),
        .room = packet->rooms[0],
        .rule = packet->rule,
        .epoch = packet->epoch,
        .offset = packet->offset,
    };
    int err = 0;
    switch (packet->kind) {
    case UP_PUBLISH:
        publication.request = packet;
        err = backend_local.publish(bus->broker, 0, &publication);
        break;
    case UP_SUBSCRIBE:
        broker_subscribe(node, packet->rooms[0]);
        break;
    case UP_UNSUBSCRIBE:
        broker_unsubscribe(node, packet->rooms[0]);
        break;
    case UP_HISTORY:
        if (bus->fault == BUS_believes_any_epoch && question.epoch != 0) {
            question.epoch--;
        }
        err = backend_local.history(bus->broker, 0, &question, packet);
        break;
    case UP_PRESENCE_ADD:
        err = backend_local.presence_add(bus->broker, 0, packet->rooms[0], packet->id);
        break;
    case UP_PRESENCE_REMOVE:
        if (bus->fault != BUS_keeps_the_absent) {
            backend_local.presence_remove(bus->broker, 0, packet->rooms[0], packet->id);
        }
        break;
    case UP_PRESENCE:
        err = backend_local.presence(bus->broker, 0, packet->rooms[0], packet);
        break;
    case DOWN_DELIVER:
    case DOWN_HISTORY:
    case DOWN_PRESENCE:
        abort();
    }
    if (err != 0 && bus->fault == BUS_sound) {
        abort();
    }
}

/* ---- a node ---- */

static void node_forget(struct node *node, const void *request)
{
    for (size_t i = 0; i < node->waiting_count; i++) {
        if (node->waiting[i]->request == request) {
            node->waiting_count--;
            node->waiting[i] = node->waiting[node->waiting_count];
            return;
        }
    }
}

static void node_waits(struct node *node, struct packet *packet)
{
    if (packet->request != NULL) {
        if (node->waiting_count == REQUESTS_MAX) {
            abort();
        }
        node->waiting[node->waiting_count] = packet;
        node->waiting_count++;
    }
}

static void node_landed(struct node *node)
{
    node->in_flight--;
    for (unsigned i = 0; i < node->hub->core_count; i++) {
        if (node->is_refused[i] && node->bus->fault != BUS_tells_nobody) {
            node->is_refused[i] = false;
            node->hub->ready(node->hub->state, i);
        }
    }
}

/* False: the hub is full; again later. */
static bool node_take(struct node *node, struct packet *packet)
{
    const struct gyr_backend_hub *hub = node->hub;
    enum bus_fault fault = node->bus->fault;
    bool is_own = packet->node == node->index;
    if (packet->kind == DOWN_PRESENCE) {
        hub->presence_done(hub->state, GYR_BACKEND_NO_CORE, packet->request, 0, packet->ids,
                           packet->id_count);
        node_forget(node, packet->request);
        return true;
    }
    if (packet->kind == DOWN_HISTORY) {
        if (hub->history_done(hub->state, GYR_BACKEND_NO_CORE, packet->request, &packet->history) <
            0) {
            return false;
        }
        node_forget(node, packet->request);
        return true;
    }
    struct gyr_publication publication = packet->publication;
    if (fault == BUS_loses_requests) {
        publication.request = NULL;
    }
    int err = 0;
    if (fault != BUS_ignores_its_echo || !is_own || publication.offset != 0) {
        err = hub->deliver(hub->state, GYR_BACKEND_NO_CORE, &publication);
    }
    if (err < 0 && fault != BUS_drops_what_is_refused) {
        return false;
    }
    if (is_own) {
        node_forget(node, packet->publication.request);
        node_landed(node);
    }
    return true;
}

/* Something happens on a link: the next packet, an old one again, or a new connection. False: all
 * has arrived. */
static bool link_step(struct bus *bus, struct node *node, struct link *link, bool is_down)
{
    uint64_t what = bus_random(bus, 10);
    if (what == 0 && link->sent > 0) { /* reconnect: what may not have arrived is sent again */
        uint64_t back = bus_random(bus, 6);
        size_t from = MIN(link->sent, link->received);
        link->sent = from > back ? from - back : 0;
        if (bus->fault == BUS_loses_at_reconnect && is_down && link->received < link->count) {
            link->received++;
            link->sent = link->received;
        }
    } else if (what == 1 && link->sent > 0) { /* twice */
        link->sent--;
    }
    if (link->sent == link->count) {
        return false;
    }
    size_t number = link->sent;
    bool is_new = number == link->received;
    bool takes_old = bus->fault == (is_down ? BUS_takes_repeated : BUS_publishes_repeated);
    struct packet *packet = link->packets[number];
    if (number > link->received) {
        abort();
    }
    takes_old = takes_old && link->repeated < REPEATED_MAX &&
                (packet->kind == DOWN_DELIVER || packet->kind == UP_PUBLISH);
    if (is_new || takes_old) {
        link->repeated += !is_new;
        if (is_down && !node_take(node, packet)) {
            if (bus->fault == BUS_swaps_what_is_refused && number + 1 < link->count) {
                link->packets[number] = link->packets[number + 1];
                link->packets[number + 1] = packet;
            }
            return true;
        }
        if (!is_down) {
            broker_take(bus, packet);
        }
        link->received += is_new;
    }
    link->sent++;
    return link->received < link->count;
}

bool backend_bus_step(void *world)
{
    struct bus *bus = world;
    bool is_busy = false;
    for (unsigned i = 0; i < bus->node_count; i++) {
        struct node *node = &bus->nodes[i];
        is_busy = link_step(bus, node, &node->up, false) || is_busy;
        if (node->hub != NULL) {
            is_busy = link_step(bus, node, &node->down, true) || is_busy;
        }
    }
    return is_busy;
}

static int bus_create(const struct gyr_backend_hub *hub, void *user, void **state,
                      struct gyr_error *error)
{
    struct bus *bus = user;
    struct node *node = &bus->nodes[bus->created_count];
    (void)error;
    bus->created_count++;
    node->hub = hub;
    *state = node;
    return 0;
}

static void bus_destroy(void *state)
{
    struct node *node = state;
    node->hub = NULL;
}

static int bus_core_start(void *state, unsigned core)
{
    struct node *node = state;
    (void)core;
    node->cores_live++;
    return 0;
}

static void bus_core_stop(void *state, unsigned core)
{
    struct node *node = state;
    const struct gyr_backend_hub *hub = node->hub;
    (void)core;
    node->cores_live--;
    if (node->cores_live > 0 || node->bus->fault == BUS_goes_on_after_its_end) {
        return;
    }
    for (size_t i = 0; i < node->waiting_count; i++) {
        const struct packet *packet = node->waiting[i];
        if (packet->kind == UP_PUBLISH) {
            hub->failed(hub->state, packet->request, GYR_ERR_CLOSED);
        } else if (packet->kind == UP_HISTORY) {
            const struct gyr_backend_history none = {.size = sizeof(none), .err = GYR_ERR_CLOSED};
            (void)hub->history_done(hub->state, GYR_BACKEND_NO_CORE, packet->request, &none);
        } else {
            hub->presence_done(hub->state, GYR_BACKEND_NO_CORE, packet->request, GYR_ERR_CLOSED,
                               NULL, 0);
        }
    }
    node->waiting_count = 0;
    node->hub = NULL;
}

static uint64_t bus_work(void *state, unsigned core)
{
    (void)state;
    (void)core;
    return 0;
}

static int bus_publish(void *state, unsigned core, const struct gyr_publication *publication)
{
    struct node *node = state;
    enum bus_fault fault = node->bus->fault;
    if (node->hub == NULL) {
        return GYR_ERR_CLOSED;
    }
    if (node->in_flight >= IN_FLIGHT_MAX && fault != BUS_takes_everything) {
        node->is_refused[core == GYR_BACKEND_NO_CORE ? 0 : core] = true;
        return GYR_ERR_BACKPRESSURE;
    }
    struct packet *packet = packet_make(node, UP_PUBLISH, publication->request);
    packet_publication(packet, publication);
    node->in_flight++;
    node_waits(node, packet);
    link_push(&node->up, packet);
    if (fault == BUS_delivers_and_echoes ||
        (fault == BUS_ignores_its_echo && publication->rule == NULL)) {
        struct gyr_publication now = *publication;
        now.request = NULL;
        (void)node->hub->deliver(node->hub->state, core, &now);
    }
    return 0;
}

static struct packet *node_send(struct node *node, enum kind kind, struct gyr_span room,
                                void *request)
{
    struct packet *packet = packet_make(node, kind, request);
    packet->rooms[0] = span_copy(room);
    node_waits(node, packet);
    link_push(&node->up, packet);
    return packet;
}

static int bus_subscribe(void *state, unsigned core, struct gyr_span room,
                         const struct gyr_room_rule *rule)
{
    (void)core;
    (void)rule;
    (void)node_send(state, UP_SUBSCRIBE, room, NULL);
    return 0;
}

static void bus_unsubscribe(void *state, unsigned core, struct gyr_span room)
{
    (void)core;
    (void)node_send(state, UP_UNSUBSCRIBE, room, NULL);
}

static int bus_history(void *state, unsigned core, const struct gyr_backend_question *question,
                       void *request)
{
    (void)core;
    struct packet *packet = node_send(state, UP_HISTORY, question->room, request);
    packet->rule = question->rule;
    packet->epoch = question->epoch;
    packet->offset = question->offset;
    return 0;
}

static int bus_presence_add(void *state, unsigned core, struct gyr_span room, struct gyr_span id)
{
    (void)core;
    node_send(state, UP_PRESENCE_ADD, room, NULL)->id = span_copy(id);
    return 0;
}

static void bus_presence_remove(void *state, unsigned core, struct gyr_span room,
                                struct gyr_span id)
{
    (void)core;
    node_send(state, UP_PRESENCE_REMOVE, room, NULL)->id = span_copy(id);
}

static int bus_presence(void *state, unsigned core, struct gyr_span room, void *request)
{
    (void)core;
    (void)node_send(state, UP_PRESENCE, room, request);
    return 0;
}

const struct gyr_backend backend_bus = {
    .size = sizeof(struct gyr_backend),
    .name = "bus",
    .capabilities = GYR_BACKEND_ORDERS | GYR_BACKEND_HISTORY | GYR_BACKEND_PRESENCE,
    .create = bus_create,
    .destroy = bus_destroy,
    .core_start = bus_core_start,
    .core_stop = bus_core_stop,
    .work = bus_work,
    .publish = bus_publish,
    .subscribe = bus_subscribe,
    .unsubscribe = bus_unsubscribe,
    .history = bus_history,
    .presence_add = bus_presence_add,
    .presence_remove = bus_presence_remove,
    .presence = bus_presence,
};

void *backend_bus_begin(unsigned node_count, uint64_t seed, unsigned fault)
{
    struct bus *bus = calloc(1, sizeof(*bus));
    struct gyr_error error;
    if (bus == NULL || node_count > NODES_MAX) {
        abort();
    }
    bus->node_count = node_count;
    bus->fault = (enum bus_fault)fault;
    bus->random = seed * 2 + 99;
    bus->config = gyr_config_default();
    bus->broker_hub = (struct gyr_backend_hub){
        .size = sizeof(bus->broker_hub),
        .state = bus,
        .config = &bus->config,
        .core_count = 1,
        .deliver = broker_deliver,
        .failed = broker_failed,
        .ready = broker_ready,
        .history_done = broker_history_done,
        .presence_done = broker_presence_done,
        .post = broker_post,
        .now_ms = broker_now_ms,
        .alloc = broker_alloc,
        .free = broker_free,
    };
    for (unsigned i = 0; i < node_count; i++) {
        bus->nodes[i].bus = bus;
        bus->nodes[i].index = i;
    }
    if (backend_local.create(&bus->broker_hub, NULL, &bus->broker, &error) < 0 ||
        backend_local.core_start(bus->broker, 0) < 0) {
        abort();
    }
    return bus;
}

void backend_bus_end(void *world)
{
    struct bus *bus = world;
    backend_local.core_stop(bus->broker, 0);
    backend_local.destroy(bus->broker);
    for (unsigned i = 0; i < bus->node_count; i++) {
        link_end(&bus->nodes[i].up);
        link_end(&bus->nodes[i].down);
    }
    free(bus);
}
