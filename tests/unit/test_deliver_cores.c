/* SPDX-License-Identifier: MIT */
/* A member that reads nothing, on real sockets and two cores: what each policy does with it, what
 * it is told when it reads again, and that the others wait for nothing. The slow one and a fast one
 * are on core 1, another fast one and the publisher on core 0. */
#include "hub/deliver.h"

#include "hub/hub.h"
#include "tests/crowd_kit.h"
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define PAYLOAD_SIZE 65536U
#define FRAME_SIZE   (PAYLOAD_SIZE + 10)
#define QUEUE_MAX    (1U << 20)
#define MESSAGES     200U /* more than the kernel keeps, and the queue */
#define ROOM         GYR_SPAN("lobby")

struct slow {
    struct crowd crowd;
    struct gyr_room_rule rule;
    struct crowd_client fast[2];
    struct crowd_client slow;
    char *payload;      /* owned */
    unsigned published; /* their numbers are 0 to this */
    /* What the slow one has got. */
    unsigned got;
    unsigned last;       /* one more than the number of the last; 0: none */
    unsigned missed;     /* as it was told in on_drain */
    unsigned close_code; /* 0: no Close yet */
    uint64_t bytes_in;   /* of core 1, before its Ping */
    unsigned pongs;
    unsigned behind_pong; /* messages that came behind the last */
    /* The answer to a publish. */
    sem_t done;
    struct gyr_published answer;
    struct gyr_publish_error error;
};

static void on_drain(struct gyr_conn *conn)
{
    char text[32];
    uint64_t dropped = gyr_take_dropped(conn);
    int size = snprintf(text, sizeof(text), "missed %llu", (unsigned long long)dropped);
    if (dropped != 0) {
        EXPECT_INT(gyr_send(conn, GYR_TEXT, (struct gyr_span){text, (size_t)size}), 0, "told");
    }
}

static bool slow_begin(struct slow *slow, enum gyr_room_policy policy)
{
    memset(slow, 0, sizeof(*slow));
    if (!crowd_init(&slow->crowd)) {
        return false;
    }
    slow->payload = calloc(1, PAYLOAD_SIZE);
    (void)sem_init(&slow->done, 0, 0);
    slow->rule = (struct gyr_room_rule){
        .size = sizeof(slow->rule), .pattern = GYR_LITERAL("lobby"), .policy = policy};
    slow->rule.queue_size_max = policy == GYR_ROOM_QUEUE ? 0 : QUEUE_MAX;
    slow->crowd.service.room_rules = &slow->rule;
    slow->crowd.service.room_rule_count = 1;
    slow->crowd.service.on_drain = on_drain;
    slow->crowd.config.send_queue_size_max = policy == GYR_ROOM_QUEUE ? QUEUE_MAX : 2 * QUEUE_MAX;
    slow->crowd.config.send_queue_high = QUEUE_MAX;
    slow->crowd.config.send_queue_low = QUEUE_MAX / 4;
    slow->crowd.config.close_timeout_ms = 60000;
    slow->crowd.config.shutdown_deadline_ms = 1;
    crowd_start(&slow->crowd);
    crowd_connect_on(&slow->crowd, &slow->fast[0], 0, "", "lobby");
    crowd_connect_on(&slow->crowd, &slow->fast[1], 1, "", "lobby");
    crowd_connect_on(&slow->crowd, &slow->slow, 1, "", "lobby");
    int size = 65536; /* of what the kernel keeps for it */
    EXPECT_INT(setsockopt(slow->slow.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0, "small");
    return true;
}

static void slow_end(struct slow *slow)
{
    crowd_end(&slow->crowd);
    free(slow->payload);
}

/* ---- clients that read large messages -------------------------------------------------------- */

static bool receive(struct crowd_client *client, void *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t got = recv(client->fd, (char *)bytes + at, size - at, 0);
        if (got > 0) {
            at += (size_t)got;
        } else if (got == 0 || errno != EINTR) {
            return false;
        }
    }
    return true;
}

/* Its opcode; 0: the connection has ended, or nothing comes. */
static unsigned read_large(struct crowd_client *client, char *payload, size_t *size)
{
    uint8_t header[10] = {0};
    *size = 0;
    if (!receive(client, header, 2)) {
        return 0;
    }
    size_t more = header[1] < 126 ? 0 : header[1] == 126 ? 2 : 8;
    if (!receive(client, header + 2, more)) {
        return 0;
    }
    *size = more == 0   ? header[1]
            : more == 2 ? load_be16(header + 2)
                        : (size_t)load_be64(header + 2);
    return *size <= PAYLOAD_SIZE && receive(client, payload, *size) ? header[0] & 0xfU : 0;
}

/* ---- publishing ------------------------------------------------------------------------------ */

static void on_done(struct gyr_core *core, void *arg, const struct gyr_published *published)
{
    struct slow *slow = arg;
    (void)core;
    slow->answer = *published;
    slow->error = published->error_count != 0 ? published->errors[0] : slow->error;
    (void)sem_post(&slow->done);
}

struct order {
    struct gyr_publish publish;
    int err;
};

static void publish_on(struct gyr_core *core, void *arg)
{
    struct order *order = arg;
    order->err = gyr_publish_with(core, &order->publish);
}

/* From core 0; both fast ones have it when this returns, whatever the slow one does. */
static void publish(struct slow *slow, uint32_t timeout_ms, bool asks)
{
    char number[16];
    size_t size;
    struct gyr_span room = ROOM;
    struct order order = {.publish = gyr_publish_default()};
    char *got = malloc(PAYLOAD_SIZE);
    (void)snprintf(number, sizeof(number), "%u", slow->published++);
    memcpy(slow->payload, number, sizeof(number));
    order.publish.rooms = &room;
    order.publish.room_count = 1;
    order.publish.opcode = GYR_BINARY;
    order.publish.payload = (struct gyr_span){slow->payload, PAYLOAD_SIZE};
    order.publish.timeout_ms = timeout_ms;
    order.publish.done = asks ? on_done : NULL;
    order.publish.arg = slow;
    order.publish.errors_max = 1;
    crowd_run_core(&slow->crowd, 0, publish_on, &order);
    EXPECT_INT(order.err, 0, number);
    for (unsigned i = 0; i < 2; i++) {
        EXPECT(read_large(&slow->fast[i], got, &size) == GYR_BINARY && size == PAYLOAD_SIZE &&
                   strcmp(got, number) == 0,
               number);
    }
    free(got);
}

static void queued_size(struct gyr_conn *conn, void *arg)
{
    size_t *size = arg;
    *size = conn != NULL ? gyr_queued_size(conn) : 0;
}

/* What waits for the slow one; 0 when it has ended. */
static size_t slow_queued(struct slow *slow)
{
    size_t size = 0;
    (void)crowd_run(&slow->crowd, slow->slow.handle, queued_size, &size);
    return size;
}

/* Until the kernel takes no more, and so much waits. */
static void fill(struct slow *slow, size_t size)
{
    while (slow_queued(slow) < size && slow->published < MESSAGES) {
        publish(slow, GYR_NO_TIMEOUT, false);
    }
    EXPECT(slow->published < MESSAGES, "the kernel takes no more");
}

/* The next thing it has; false: the connection has ended. */
static bool slow_read(struct slow *slow)
{
    char *payload = calloc(1, PAYLOAD_SIZE + 1);
    size_t size;
    unsigned opcode = read_large(&slow->slow, payload, &size);
    if (opcode == GYR_BINARY) {
        unsigned number = (unsigned)strtoul(payload, NULL, 10);
        EXPECT(size == PAYLOAD_SIZE && number >= slow->last, "whole, in order, and once");
        slow->last = number + 1;
        slow->got++;
        slow->behind_pong++;
    } else if (opcode == GYR_TEXT) {
        unsigned missed = 0;
        EXPECT(sscanf(payload, "missed %u", &missed) == 1, payload);
        slow->missed += missed;
    } else if (opcode == 10) {
        slow->pongs++;
        slow->behind_pong = 0;
    } else if (opcode == 8) {
        slow->close_code = load_be16((const uint8_t *)payload);
    }
    free(payload);
    return opcode != 0;
}

/* ---- policies -------------------------------------------------------------------------------- */

static struct gyr_room_stats stats_of(struct slow *slow)
{
    struct gyr_room_stats stats;
    EXPECT_INT(gyr_room_stats(slow->crowd.server, ROOM, &stats, sizeof(stats)), 0, "its figures");
    return stats;
}

/* It reads nothing of all that is published, and then everything; returns the room's figures. What
 * it has got and what it was told that it has missed are all. */
static struct gyr_room_stats busy_room(struct slow *slow, bool is_told)
{
    for (unsigned i = 0; i < MESSAGES; i++) {
        publish(slow, GYR_NO_TIMEOUT, false);
        EXPECT(slow_queued(slow) <= QUEUE_MAX, "never more than the limit");
    }
    struct gyr_room_stats stats = stats_of(slow);
    bool goes_on = true;
    while (goes_on && slow->close_code == 0 && (!is_told || slow->got + slow->missed < MESSAGES)) {
        goes_on = slow_read(slow);
    }
    EXPECT(goes_on, "everything was there");
    EXPECT_INT(stats.published, MESSAGES, "published");
    return stats;
}

void scenario_108_on_two_cores_a_full_queue_drops_and_says_so(void)
{
    struct slow slow;
    if (!slow_begin(&slow, GYR_ROOM_QUEUE)) {
        return;
    }
    struct gyr_room_stats stats = busy_room(&slow, true);
    EXPECT(slow.missed != 0 && stats.dropped_full == slow.missed, "told as it was counted");
    EXPECT_INT(stats.queued, 2 * MESSAGES + slow.got, "what was queued has come");
    slow_end(&slow);
}

void scenario_108_on_two_cores_drop_newest_keeps_what_came_first(void)
{
    struct slow slow;
    if (!slow_begin(&slow, GYR_ROOM_DROP_NEWEST)) {
        return;
    }
    struct gyr_room_stats stats = busy_room(&slow, true);
    EXPECT(slow.missed != 0 && stats.dropped_newest == slow.missed, "told as it was counted");
    EXPECT_INT(stats.queued, 2 * MESSAGES + slow.got, "what was queued has come");
    slow_end(&slow);
}

void scenario_108_on_two_cores_drop_oldest_keeps_what_came_last(void)
{
    struct slow slow;
    if (!slow_begin(&slow, GYR_ROOM_DROP_OLDEST)) {
        return;
    }
    struct gyr_room_stats stats = busy_room(&slow, true);
    EXPECT(slow.missed != 0 && stats.dropped_oldest == slow.missed, "told as it was counted");
    EXPECT_INT(stats.queued, 3 * MESSAGES, "each was queued");
    EXPECT_INT(slow.last, MESSAGES, "and the last has come");
    slow_end(&slow);
}

void scenario_108_on_two_cores_conflation_keeps_the_newest(void)
{
    struct slow slow;
    if (!slow_begin(&slow, GYR_ROOM_CONFLATE)) {
        return;
    }
    struct gyr_room_stats stats = busy_room(&slow, true);
    EXPECT(slow.missed != 0 && stats.conflated == slow.missed, "told as it was counted");
    EXPECT_INT(slow.last, MESSAGES, "the last has come");
    slow_end(&slow);
}

void scenario_108_on_two_cores_close_ends_the_slow_with_1013(void)
{
    struct slow slow;
    if (!slow_begin(&slow, GYR_ROOM_CLOSE)) {
        return;
    }
    struct gyr_room_stats stats = busy_room(&slow, false);
    EXPECT_INT(slow.close_code, 1013, "try again later");
    EXPECT_INT(stats.closed_slow, 1, "one was closed");
    EXPECT(stats.dropped_close != 0 && slow.last == slow.got, "no gap before the Close");
    EXPECT(slow.got < MESSAGES, "and no more behind it");
    slow_end(&slow);
}

static bool ping_has_come(void *arg)
{
    struct gyr_stats stats;
    const struct slow *slow = arg;
    gyr_server_stats(slow->crowd.server, 1, &stats, sizeof(stats));
    return stats.bytes_in >= slow->bytes_in + 8;
}

/* Its queue is full, to less than a message. */
void deliver_control_frames_are_exempt_from_the_limit_of_a_room(void)
{
    static const uint8_t PING[8] = {0x89, 0x82, 0, 0, 0, 0, 'h', 'i'};
    struct slow slow;
    struct gyr_stats stats;
    if (!slow_begin(&slow, GYR_ROOM_DROP_NEWEST)) {
        return;
    }
    while (stats_of(&slow).dropped_newest == 0 && slow.published < MESSAGES) {
        publish(&slow, GYR_NO_TIMEOUT, false);
    }
    gyr_server_stats(slow.crowd.server, 1, &stats, sizeof(stats));
    slow.bytes_in = stats.bytes_in;
    EXPECT_INT(send(slow.slow.fd, PING, sizeof(PING), MSG_NOSIGNAL), sizeof(PING), "a Ping");
    crowd_until(ping_has_come, &slow);
    while (slow.got + slow.missed < slow.published && slow_read(&slow)) {
    }
    EXPECT_INT(slow.pongs, 1, "a Pong, though nothing else was taken any more");
    EXPECT(slow.behind_pong >= QUEUE_MAX / FRAME_SIZE - 3, "and in front of what is queued");
    slow_end(&slow);
}

/* ---- time limits ----------------------------------------------------------------------------- */

void scenario_99_on_two_cores_a_stalled_member_is_timed_out_alone(void)
{
    struct slow slow;
    if (!slow_begin(&slow, GYR_ROOM_DROP_NEWEST)) {
        return;
    }
    fill(&slow, QUEUE_MAX / 2);
    unsigned filled = slow.published;
    for (unsigned i = 0; i < 4; i++) {
        publish(&slow, i < 2 ? 0 : 5, true); /* the fast ones have it before the answer is there */
        kit_wait(&slow.done);
        EXPECT(slow.answer.queued == 2 && slow.answer.timed_out == 1, "the others, and not it");
        EXPECT(slow.answer.dropped + slow.answer.closed == 0, "nothing else");
        EXPECT(slow.answer.error_count == 1 && slow.error.err == GYR_ERR_TIMEOUT &&
                   slow.error.handle.id == slow.slow.handle.id,
               "by name");
    }
    while (slow.got + slow.missed < slow.published && slow_read(&slow)) {
    }
    EXPECT_INT(slow.got, filled, "it never gets what was taken back");
    EXPECT_INT(slow.missed, 4, "and is told");
    slow_end(&slow);
}

/* ---- closing while something is queued ------------------------------------------------------- */

static void close_on(struct gyr_conn *conn, void *arg)
{
    (void)arg;
    EXPECT_INT(gyr_close(conn, 4000, GYR_SPAN("enough")), 0, "closing");
}

void deliver_close_while_publishes_are_queued_comes_behind_them(void)
{
    struct slow slow;
    if (!slow_begin(&slow, GYR_ROOM_DROP_NEWEST)) {
        return;
    }
    fill(&slow, QUEUE_MAX / 2);
    unsigned filled = slow.published;
    EXPECT(crowd_run(&slow.crowd, slow.slow.handle, close_on, NULL), "it closes");
    publish(&slow, GYR_NO_TIMEOUT, true);
    kit_wait(&slow.done);
    EXPECT(slow.answer.queued == 2 && slow.answer.closed == 1, "not what comes later");
    EXPECT(slow.error.err == GYR_ERR_CLOSED && slow.error.handle.id == slow.slow.handle.id,
           "by name");
    EXPECT_INT(stats_of(&slow).members, 3, "a member until it has ended");
    while (slow.close_code == 0 && slow_read(&slow)) {
    }
    EXPECT_INT(slow.got, filled, "all that was queued");
    EXPECT_INT(slow.close_code, 4000, "and then the Close");
    crowd_leave(&slow.slow);
    crowd_until_ended(&slow.crowd, slow.slow.handle);
    publish(&slow, GYR_NO_TIMEOUT, false);
    EXPECT_INT(stats_of(&slow).members, 2, "then it has left");
    slow_end(&slow);
}

static bool nothing_is_on_its_way(void *arg)
{
    return atomic_load((_Atomic uint64_t *)arg) == 0;
}

void deliver_member_that_breaks_off_takes_what_was_queued_along(void)
{
    struct slow slow;
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    if (!slow_begin(&slow, GYR_ROOM_DROP_OLDEST)) {
        return;
    }
    struct hub *hub = hub_of_server(slow.crowd.server);
    for (unsigned round = 0; round < 3; round++) {
        slow.published = 0;
        fill(&slow, QUEUE_MAX / 2);
        EXPECT_INT(setsockopt(slow.slow.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0,
                   "by a reset");
        crowd_leave(&slow.slow);
        publish(&slow, GYR_NO_TIMEOUT, true); /* it may have ended, or not yet */
        kit_wait(&slow.done);
        EXPECT(slow.answer.queued >= 2 && slow.answer.queued + slow.answer.closed <= 3, "2 or 3");
        crowd_until_ended(&slow.crowd, slow.slow.handle);
        publish(&slow, GYR_NO_TIMEOUT, true);
        kit_wait(&slow.done);
        EXPECT(slow.answer.queued == 2 && slow.answer.closed == 0, "two are left");
        EXPECT_INT(stats_of(&slow).members, 2, "members, too");
        crowd_until(nothing_is_on_its_way, &hub->broadcast_size);
        crowd_connect_on(&slow.crowd, &slow.slow, 1, "", "lobby");
    }
    slow_end(&slow);
}
