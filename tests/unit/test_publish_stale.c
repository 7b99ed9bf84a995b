/* SPDX-License-Identifier: MIT */
/* A room that ends, and one of its name that begins, while somebody without a member of it has
 * claimed a place and not yet read who wants it. */
#include "hub/publish.h"

#include "tests/hub_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

static struct gyr_conn *member;
static unsigned changes; /* still to be made */

static void begin_anew(void *context, enum broadcast_point point)
{
    (void)context;
    if (point == BROADCAST_AT_INTEREST && changes != 0) {
        changes--;
        gyr_leave(member, GYR_SPAN("a"));
        EXPECT_INT(gyr_join(member, GYR_SPAN("a")), 0, "a member again");
    }
}

static void publish_while_it_changes(const struct gyr_span *rooms, size_t room_count)
{
    for (unsigned count = 0; count < 4; count++) {
        struct hub_kit kit;
        hub_kit_init(&kit);
        kit.point = begin_anew;
        hub_kit_start(&kit);
        member = hub_kit_open(&kit);
        EXPECT_INT(gyr_join(member, GYR_SPAN("a")), 0, "a member");
        const struct gyr_publication publication = {
            .size = sizeof(publication),
            .rooms = rooms,
            .room_count = room_count,
            .opcode = GYR_TEXT,
            .payload = GYR_SPAN("x"),
        };
        changes = count;
        EXPECT_INT(publish_local(kit.hub, NULL, &publication), 0, "by another thread");
        EXPECT_INT(changes, 0, "each before a place was of use");
        kit_run(&kit.kit);
        EXPECT(hub_kit_got(&kit, kit.kit.fd, "x"), "to who is a member now, and once");
        hub_kit_end(&kit);
    }
}

void publish_reaches_a_room_that_begins_anew_before_it_has_a_place(void)
{
    publish_while_it_changes(&GYR_SPAN("a"), 1);
}

void publish_to_several_rooms_reaches_one_that_begins_anew(void)
{
    const struct gyr_span rooms[] = {GYR_SPAN("a"), GYR_SPAN("none")};
    publish_while_it_changes(rooms, 2);
}
