/* SPDX-License-Identifier: MIT */
/* What the ring has for rooms that have ended meanwhile. With several cores: test_publish_late.c,
 * test_deliver_cores.c. */
#include "hub/deliver.h"

#include "hub/message.h"
#include "tests/hub_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

static struct room_ref ref_of(struct hub_kit *kit, const char *room)
{
    struct room_ref ref = {.shared = NULL};
    struct gyr_span name = hub_kit_span(room);
    EXPECT(registry_find(kit->hub->registry, name, hub_hash(kit->hub, name), &ref), room);
    return ref;
}

/* As a publisher that has looked these rooms up before, and claims its place only now. */
static void publish_late(struct hub_kit *kit, const struct room_ref *refs, size_t count)
{
    struct gyr_publication publication = {
        .size = sizeof(publication), .opcode = GYR_TEXT, .payload = GYR_LITERAL("late")};
    struct broadcast_ring *ring = kit->hub->ring;
    struct broadcast_claim claim;
    unsigned held_by;
    int err;
    publication.room_count = count;
    struct message *message = message_create(kit->hub, NULL, &publication, refs, count, &err);
    EXPECT(message != NULL, "made");
    EXPECT_INT(
        broadcast_claim(ring, refs[0].shared->lane, 0, &refs[0].shared->interest, &claim, &held_by),
        0, "claimed");
    EXPECT_INT(claim.target_count, 1, "what it reads is the interest in the room of today");
    for (size_t i = 0; i < count; i++) {
        message->parcel.rooms[i].position = claim.position;
    }
    message_expect(message, claim.target_count, claim.target_count);
    broadcast_commit(ring, &claim, (struct broadcast_entry){message, UINT64_MAX});
    engine_core_due(kit->core->core);
    kit_run(&kit->kit);
    EXPECT_INT(atomic_load(&kit->hub->broadcast_size), 0, "given back");
}

void deliver_skips_a_room_that_has_ended_though_another_has_its_place(void)
{
    struct hub_kit kit;
    struct room_ref refs[2];
    hub_kit_init(&kit);
    kit.kit.config.broadcast_lanes = 1;
    hub_kit_start(&kit);
    struct gyr_conn *first = hub_kit_open(&kit);
    int first_fd = kit.kit.fd;
    struct gyr_conn *second = hub_kit_open(&kit);
    int second_fd = kit.kit.fd;
    EXPECT_INT(gyr_join(first, GYR_SPAN("old")), 0, "joined");
    refs[0] = ref_of(&kit, "old");
    gyr_leave(first, GYR_SPAN("old"));
    EXPECT_INT(gyr_join(first, GYR_SPAN("new")), 0, "joined");
    EXPECT_INT(gyr_join(second, GYR_SPAN("other")), 0, "joined");
    refs[1] = ref_of(&kit, "other");
    EXPECT_INT(ref_of(&kit, "new").shared->index, refs[0].shared->index, "the place is used again");
    publish_late(&kit, refs, 1);
    EXPECT(hub_kit_got(&kit, first_fd, "") && hub_kit_got(&kit, second_fd, ""), "for nobody");
    publish_late(&kit, refs, 2);
    EXPECT(hub_kit_got(&kit, first_fd, ""), "not for who is in the new room");
    EXPECT(hub_kit_got(&kit, second_fd, "late"), "but for the room that is there still");
    EXPECT_INT(hub_kit_stats(&kit, "new").published, 0, "nor is it counted there");
    EXPECT_INT(hub_kit_publish(&kit, "new", "x"), 0, "published");
    EXPECT(hub_kit_got(&kit, first_fd, "x"), "what is for it comes");
    hub_kit_end(&kit);
}
