/* SPDX-License-Identifier: MIT */
/* The queue of a transport: entries in the order in which they go out. Journey: hop 11. Messages
 * get their headers when they go out; control frames overtake messages in a long queue; small
 * neighbours are copied together; what others publish while a message is sent in parts is held
 * behind it (RFC 6455 section 5.4). */
#include "engine/exchange.h"
#include "engine/fanout.h"

#define MERGE_SIZE_MAX    65536 /* of small entries sent as one */
#define OVERTAKE_SIZE_MIN 4096  /* bytes queued before a control frame overtakes messages */
#define PONGS_MAX         16    /* that wait */
#define MERGE_ENTRY_MAX   8192  /* an entry up to this is worth copying to save a send */

static struct entry **queue_place(struct transport *transport, const struct entry *entry);
static struct entry **queue_controls(struct transport *transport);
static struct entry **queue_held(struct transport *transport);
static void entry_discard(struct transport *transport, struct entry *entry, bool taken);

static size_t payload_memory(size_t capacity)
{
    return offsetof(struct entry, bytes) + WS_SERVER_HEADER_SIZE_MAX + capacity + MESSAGE_PADDING;
}

size_t entry_memory(const struct entry *entry)
{
    return entry->kind == ENTRY_RUN ? run_entry_memory(entry) : payload_memory(entry->capacity);
}

static bool entry_is_pong(const struct entry *entry)
{
    return entry->kind == ENTRY_CONTROL && entry->opcode == WS_OPCODE_PONG;
}

static bool entry_is_held(const struct entry *entry)
{
    return entry->kind == ENTRY_RUN && (entry->flags & RUN_ENTRY_F_HELD) != 0;
}

struct entry *entry_create(struct transport *transport, size_t capacity)
{
    struct entry *entry = NULL;
    if (capacity <= UINT32_MAX / 2) {
        entry = transport_alloc(transport, payload_memory(capacity));
    }
    if (entry != NULL) {
        *entry = (struct entry){.capacity = (uint32_t)capacity};
    }
    return entry;
}

struct entry *entry_create_message(struct transport *transport, uint8_t opcode, unsigned flags,
                                   struct span payload)
{
    struct entry *entry = entry_create(transport, payload.size);
    if (entry == NULL) {
        return NULL;
    }
    entry->kind = ENTRY_MESSAGE;
    entry->opcode = opcode;
    entry->flags = (uint8_t)flags;
    entry->size = (uint32_t)payload.size;
    if (payload.size != 0) {
        memcpy(entry_payload(entry), payload.ptr, payload.size);
    }
    return entry;
}

void entry_free(struct transport *transport, struct entry *entry)
{
    if (entry != NULL) {
        transport_free(transport, entry, payload_memory(entry->capacity));
    }
}

static void entry_discard(struct transport *transport, struct entry *entry, bool taken)
{
    if (entry->kind == ENTRY_RUN) {
        run_entry_release(transport, entry, taken);
    } else {
        entry_free(transport, entry);
    }
}

const uint8_t *entry_frame(struct entry *entry)
{
    if (entry->kind == ENTRY_RUN) {
        const struct run_entry *run_entry = run_entry_of(entry);
        return run_entry->run->bytes + run_entry->start;
    }
    uint8_t *bytes = entry_payload(entry) - entry->header_size;
    if (entry->kind != ENTRY_RAW && entry->sent == 0) {
        bool fin = (entry->flags & GYR_LAST) != 0;
        uint8_t opcode = (entry->flags & GYR_FIRST) != 0 ? entry->opcode : WS_OPCODE_CONTINUATION;
        ws_frame_write_header(bytes, opcode, fin, 0, entry->size);
    }
    return bytes;
}

void transport_queue(struct transport *transport, struct entry *entry)
{
    if (transport->state == TRANSPORT_CLOSING || (transport->flags & TRANSPORT_F_LOST) != 0) {
        entry_discard(transport, entry, false);
        return;
    }
    if (entry->kind != ENTRY_RAW) {
        entry->header_size = (uint8_t)ws_frame_header_size(entry->size);
    }
    bool was_idle = transport->queue_head == NULL || queue_is_held(transport);
    transport->core->message.in_place = NULL;
    queue_put(transport, queue_place(transport, entry), entry);
    if (transport_queue_status(transport) != 0) {
        transport->flags |= TRANSPORT_F_DRAIN_OWED;
    }
    if (was_idle) {
        transport->send_ms = core_now32(transport->core);
        transport_timer_update(transport);
    }
    transport_mark(transport, 0);
}

void queue_link(struct entry **place, struct entry *entry)
{
    *place = entry;
    if (entry != NULL && entry->kind == ENTRY_RUN && (entry->flags & RUN_ENTRY_F_KEYED) != 0) {
        CONTAINER_OF(run_entry_of(entry), struct keyed_entry, run_entry)->link = place;
    }
}

void queue_put(struct transport *transport, struct entry **place, struct entry *entry)
{
    queue_link(&entry->next, *place);
    queue_link(place, entry);
    if (entry->next == NULL) {
        transport->queue_tail = entry;
    }
    transport->queued_size += (uint32_t)entry_wire_size(entry);
    transport->queue_memory += (uint32_t)entry_memory(entry);
}

struct entry *queue_take(struct transport *transport, struct entry **place)
{
    struct entry *entry = *place;
    queue_link(place, entry->next);
    if (entry->next == NULL) {
        bool was_only = place == &transport->queue_head;
        transport->queue_tail = was_only ? NULL : CONTAINER_OF(place, struct entry, next);
    }
    transport->queue_memory -= (uint32_t)entry_memory(entry);
    return entry;
}

void queue_drop(struct transport *transport, struct entry **place)
{
    struct entry *entry = queue_take(transport, place);
    transport->queued_size -= (uint32_t)(entry_wire_size(entry) - entry->sent);
    entry_discard(transport, entry, false);
}

void queue_pop(struct transport *transport, bool taken)
{
    entry_discard(transport, queue_take(transport, &transport->queue_head), taken);
}

bool queue_is_sent(const struct transport *transport)
{
    return (transport->flags & TRANSPORT_F_SENDING) != 0 ||
           ((transport->flags & TRANSPORT_F_TURN_SEND) != 0 &&
            transport->turn_send == TURN_SEND_QUEUE);
}

/* At the end. When that is far away, a control frame goes before messages, but behind the control
 * frames that wait already; in a short queue it keeps its place, since some clients take a Pong for
 * the answer to all that came before their Ping. Nothing goes behind what is held. */
static struct entry **queue_place(struct transport *transport, const struct entry *entry)
{
    bool far = transport->queued_size >= OVERTAKE_SIZE_MIN;
    if (transport->queue_head == NULL) {
        return &transport->queue_head;
    }
    if (far && entry->kind == ENTRY_CONTROL && entry->opcode != WS_OPCODE_CLOSE) {
        struct entry **place = queue_controls(transport);
        while (*place != NULL && (*place)->kind == ENTRY_CONTROL) {
            place = &(*place)->next;
        }
        return place;
    }
    if (UNLIKELY(entry_is_held(transport->queue_tail)) && !entry_is_held(entry)) {
        return queue_held(transport);
    }
    return &transport->queue_tail->next;
}

/* Where the control frames that wait begin: behind the responses up to the 101, what a batch
 * could not send, and an entry that is on its way. */
static struct entry **queue_controls(struct transport *transport)
{
    struct entry **place = &transport->queue_head;
    if (*place != NULL && (queue_is_sent(transport) || (*place)->sent != 0)) {
        place = &(*place)->next;
    }
    while (*place != NULL && (*place)->kind == ENTRY_RAW) {
        place = &(*place)->next;
    }
    return place;
}

/* Where what is held begins: at the end if nothing is. */
static struct entry **queue_held(struct transport *transport)
{
    struct entry **place = &transport->queue_head;
    while (*place != NULL && !entry_is_held(*place)) {
        place = &(*place)->next;
    }
    return place;
}

bool queue_is_held(const struct transport *transport)
{
    return transport->queue_head != NULL && entry_is_held(transport->queue_head);
}

struct queue_amount queue_held_amount(const struct transport *transport)
{
    struct queue_amount held = {0};
    if (LIKELY(transport->queue_tail == NULL || !entry_is_held(transport->queue_tail))) {
        return held;
    }
    for (const struct entry *entry = transport->queue_head; entry != NULL; entry = entry->next) {
        if (entry_is_held(entry)) {
            held.size += entry->size;
            held.memory += (uint32_t)run_entry_memory(entry);
        }
    }
    return held;
}

void transport_release_held(struct transport *transport)
{
    if (queue_is_held(transport)) {
        transport->send_ms = core_now32(transport->core); /* the peer's time begins */
    }
    for (struct entry *entry = *queue_held(transport); entry != NULL; entry = entry->next) {
        entry->flags &= (uint8_t)~RUN_ENTRY_F_HELD;
        transport_mark(transport, 0);
    }
}

void transport_drop_held(struct transport *transport)
{
    struct entry **place = queue_held(transport);
    while (*place != NULL) {
        queue_drop(transport, place);
    }
}

/* Only the newest Pong is owed (RFC 6455 section 5.5.3), but peers may count on an answer to each
 * of a few: let PONGS_MAX wait, and none that the next one will overtake. Where queue_place has
 * put them, no more than OVERTAKE_SIZE_MIN bytes stand between. */
void queue_drop_pongs(struct transport *transport)
{
    bool far = transport->queued_size >= OVERTAKE_SIZE_MIN;
    unsigned count = 0;
    size_t passed = 0;
    for (const struct entry *entry = *queue_controls(transport);
         entry != NULL && passed <= OVERTAKE_SIZE_MIN; entry = entry->next) {
        count += entry_is_pong(entry);
        passed += entry_wire_size(entry);
    }
    struct entry **place = queue_controls(transport);
    while (count >= (far ? 1 : PONGS_MAX)) {
        while (!entry_is_pong(*place)) {
            place = &(*place)->next;
        }
        queue_drop(transport, place);
        count--;
    }
}

/* Is it small enough to be copied, and nobody's who wants to know when it has been sent? */
static bool entry_is_mergeable(const struct entry *entry)
{
    bool plain =
        entry->kind != ENTRY_RUN || (entry->flags & (RUN_ENTRY_F_HELD | RUN_ENTRY_F_TRACKED)) == 0;
    return plain && entry_wire_size(entry) - entry->sent <= MERGE_ENTRY_MAX;
}

void queue_merge(struct transport *transport)
{
    size_t size = 0;
    unsigned count = 0;
    for (struct entry *entry = transport->queue_head; entry != NULL && entry_is_mergeable(entry);
         entry = entry->next) {
        size_t wire_size = entry_wire_size(entry) - entry->sent;
        if (size + wire_size > MERGE_SIZE_MAX) {
            break;
        }
        size += wire_size;
        count++;
    }
    struct entry *merged = count < 2 ? NULL : entry_create(transport, size);
    if (merged == NULL) {
        return; /* they go out one by one */
    }
    uint8_t *at = entry_payload(merged);
    uint32_t queued_size = transport->queued_size;
    while (count-- > 0) {
        struct entry *entry = transport->queue_head;
        size_t wire_size = entry_wire_size(entry) - entry->sent;
        memcpy(at, entry_frame(entry) + entry->sent, wire_size);
        at += wire_size;
        queue_pop(transport, true);
    }
    merged->size = (uint32_t)size;
    queue_put(transport, &transport->queue_head, merged);
    transport->queued_size = queued_size;
}

void transport_drop_queue(struct transport *transport)
{
    /* The head belongs to the kernel while it is being sent. */
    struct entry **place = &transport->queue_head;
    if (*place != NULL && queue_is_sent(transport)) {
        place = &(*place)->next;
    }
    while (*place != NULL) {
        entry_discard(transport, queue_take(transport, place), false);
    }
    transport->queued_size = 0;
}
