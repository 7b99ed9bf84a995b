/* SPDX-License-Identifier: MIT */
/* Members of one core that come back to a room with a history: what is delivered to the room waits
 * until the history has told what they missed, and then follows it without a gap and without a
 * message twice. Knows no connection and no room but by their numbers; one thread. */
#ifndef HUB_RECOVER_H
#define HUB_RECOVER_H

#include "base/base.h"
#include "gyr/gyr_backend.h"

struct recover;

/* A member: who, of which room, each by its number on this core. */
struct recover_member {
    uint32_t room_index;
    uint32_t conn_index;
};

struct recover_config {
    void *context;
    size_t held_size_max; /* bytes that wait for one member */
    /* Queue a message to a member, by the policy of its room; 0, or why it has not got it. It must
     * not call back here. */
    int (*deliver)(void *context, struct recover_member member,
                   const struct gyr_publication *publication);
    void *(*alloc)(void *context, size_t size);
    void (*free)(void *context, void *pointer, size_t size);
};

/* What becomes of a message that has just been delivered to the room, for one member. */
enum recover_verdict {
    RECOVER_PASSES,  /* queue it */
    RECOVER_HELD,    /* it waits here, and is queued later */
    RECOVER_KNOWN,   /* the member has got it from the history, or was told that it has not */
    RECOVER_DROPPED, /* it is not queued: too much waits already, or there is no memory */
};

/* NULL: no memory. */
struct recover *recover_create(const struct recover_config *config);
/* What still waits is dropped. */
void recover_destroy(struct recover *recover);

/* The member has joined, and its history is being asked for; it is not here yet. `*number` tells
 * this wait from others of the same member, before and after. GYR_ERR_MEMORY. */
MUST_CHECK int recover_begin(struct recover *recover, struct recover_member member,
                             uint64_t *number);

/* A message with an offset is being delivered to the room. Has to be asked from recover_begin up to
 * RECOVER_PASSES, after which nothing is known of the member here any more (also of one that never
 * was). */
enum recover_verdict recover_judge(struct recover *recover, struct recover_member member,
                                   const struct gyr_publication *publication);

/* The history has answered: what it brings is queued, and behind it what has waited. Returns false
 * if nobody waits under this number any more. `since_epoch` is what was asked for; 0 is never
 * `recovered`. An error of `deliver` ends it, and becomes that of the recovery. */
MUST_CHECK bool recover_answer(struct recover *recover, struct recover_member member,
                               uint64_t number, uint64_t since_epoch,
                               const struct gyr_backend_history *history,
                               struct gyr_recovery *recovery);

/* It is no member any more. Nothing happens to who is not here. */
void recover_leave(struct recover *recover, struct recover_member member);

/* Members that are here. */
size_t recover_count(const struct recover *recover);

#endif
