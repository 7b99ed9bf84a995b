/* SPDX-License-Identifier: MIT */
/* The broadcast ring: how a message reaches every core that wants it. Lanes of a fixed number of
 * entries; many producers (any core, any other thread), every core a consumer. No lock, no wait: a
 * full lane is an error for the producer, an entry that is not there yet is nothing for the
 * consumer. docs/broadcast-ring.md has the algorithm, and why its memory orders are enough.
 *
 * What it promises, for one lane:
 *
 *   - Every entry has a position. A core takes those that are meant for it in the order of their
 *     positions; two entries of one thread have theirs in the order in which it claimed them.
 *   - An entry is meant for the cores whose interest stood when it was read, after the claim. So a
 *     core that has declared its interest and then reads the tail gets every entry from there on.
 *   - An entry stays until every core that it is meant for has moved past it. A core that it is not
 *     meant for is never waited for, and may find that it has gone.
 *   - A core is told of entries that are meant for it by its bell, and woken if it sleeps: once for
 *     all that come before it looks. */
#ifndef ENGINE_BROADCAST_RING_H
#define ENGINE_BROADCAST_RING_H

#include "base/base.h"

#include <stdatomic.h>

struct broadcast_ring;

#define BROADCAST_LANES_MAX  31         /* a bell has a bit for each, and one more */
#define BROADCAST_ROOM_BIT   (1U << 31) /* of a bell: there is room again */
#define BROADCAST_WORD_CORES 48         /* cores of one word of an interest */
#define BROADCAST_WORDS_MAX  22         /* words, for 1024 cores */
#define BROADCAST_NOBODY     UINT32_MAX

/* Where a core stands between two atomic operations of the ring; for who wants to change cores
 * there (the simulator). */
enum broadcast_point {
    BROADCAST_AT_CLAIM,    /* before a position is claimed */
    BROADCAST_AT_INTEREST, /* claimed; before the interest is read */
    BROADCAST_AT_COMMIT,   /* before the entry is published */
    BROADCAST_AT_BELL,     /* published; before the bells */
    BROADCAST_AT_WAKE,     /* a bell has been rung; before its core is woken */
    BROADCAST_AT_JOIN,     /* an interest is declared; before the tail is read */
    BROADCAST_AT_LEAVE,    /* before an interest ends */
    BROADCAST_AT_LOOK,     /* before a bell is looked at and cleared */
    BROADCAST_AT_TAKE,     /* before an entry is looked at */
    BROADCAST_AT_DONE,     /* before the cursor is published */
    BROADCAST_AT_WAITING,  /* before a producer that was refused notes that it waits */
    BROADCAST_AT_BYPASS,   /* before the interest is read for a bypass, and before the tail is */
    BROADCAST_AT_STALL,    /* before a core notes that it stands before a hole */
    BROADCAST_AT_ROOM,     /* a lane has moved; before who waits for that is looked for */
};

struct broadcast_config {
    unsigned core_count;
    unsigned lane_count;  /* 1 to BROADCAST_LANES_MAX */
    uint32_t entry_count; /* of a lane; power of two, at least 2 */
    /* Any thread: end the sleep of a core, if it sleeps (partner: the core's own look at its bell
     * after it has said that it sleeps). `from` is the calling core, or BROADCAST_NOBODY. */
    void (*wake)(void *context, unsigned core, unsigned from);
    /* NULL, or called at every point. */
    void (*point)(void *context, enum broadcast_point point);
    void *context;
};

/* What travels. The ring does not look at it. */
struct broadcast_entry {
    void *item;
    uint64_t tag;
};

/* Which cores want the entries of something. Zero is nobody. Written by each core for itself, read
 * by any thread. */
struct broadcast_interest {
    _Atomic uint64_t words[BROADCAST_WORDS_MAX]; /* a ring uses as many as its cores need */
};

/* A position that was claimed, and has to be committed at once: what lies behind it in the lane
 * waits for that. */
struct broadcast_claim {
    uint64_t position;
    unsigned lane;
    unsigned from; /* the claiming core, or BROADCAST_NOBODY */
    unsigned target_count;
    uint64_t targets[BROADCAST_WORDS_MAX];
};

/* NULL: no memory. */
struct broadcast_ring *broadcast_ring_create(const struct broadcast_config *config);
/* Nobody uses it any more. Entries that were not taken are not looked at. */
void broadcast_ring_destroy(struct broadcast_ring *ring);

/* ---- producers: any thread ---- */

/* Claim the next position of a lane, then read the interest: claim->target_count cores will get the
 * entry. GYR_ERR_BACKPRESSURE if the lane is full: *held_by is a core that has not yet moved past
 * the entry that stands there (or BROADCAST_NOBODY: its producer has not committed it yet), and
 * `from` gets BROADCAST_ROOM_BIT in its bell when there may be room again; core 0 does for
 * BROADCAST_NOBODY. */
MUST_CHECK int broadcast_claim(struct broadcast_ring *ring, unsigned lane, unsigned from,
                               const struct broadcast_interest *interest,
                               struct broadcast_claim *claim, unsigned *held_by);

/* Publish the entry, ring the bells of its targets, wake those that sleep. With target_count set to
 * 0 by the caller nobody gets it. */
void broadcast_commit(struct broadcast_ring *ring, const struct broadcast_claim *claim,
                      struct broadcast_entry entry);

/* Between claim and commit: whoever wants this, too, gets the entry. */
void broadcast_claim_also(const struct broadcast_ring *ring,
                          const struct broadcast_interest *interest, struct broadcast_claim *claim);

/* Any thread: ring the bell of a core, as an entry of lane 0 for it would. For what does not go
 * through the ring; written before. `from` is the calling core, or BROADCAST_NOBODY. */
void broadcast_call(struct broadcast_ring *ring, unsigned core, unsigned from);

/* The same on a core's thread (claim->from), but for the bells: those are rung together by
 * broadcast_ring_owed, which has to be called before this core sleeps, and when it was refused. So
 * a core that is told of the first message of many does not find it alone. */
void broadcast_commit_later(struct broadcast_ring *ring, const struct broadcast_claim *claim,
                            struct broadcast_entry entry);
/* Ring what is owed, on that core's thread; nothing happens if nothing is. */
void broadcast_ring_owed(struct broadcast_ring *ring, unsigned core);

/* The position after the last that was claimed. */
uint64_t broadcast_tail(const struct broadcast_ring *ring, unsigned lane);

/* ---- interest: the core itself ---- */

/* From now on every entry of the lane at the returned position and behind it, that is claimed with
 * this interest, is meant for this core. */
uint64_t broadcast_join(struct broadcast_ring *ring, unsigned lane,
                        struct broadcast_interest *interest, unsigned core);
void broadcast_leave(struct broadcast_ring *ring, struct broadcast_interest *interest,
                     unsigned core);

/* Does nobody want it? For a producer that holds no claim: it need not make one then. */
bool broadcast_is_unwanted(const struct broadcast_ring *ring,
                           const struct broadcast_interest *interest);

/* May this core, which has the interest, deliver to itself without the ring? Only if, at one
 * moment, no other core has the interest and this one has taken everything up to the tail; what it
 * has taken, the caller must have delivered, too. Steps over what is not meant for this core. */
bool broadcast_may_bypass(struct broadcast_ring *ring, unsigned lane,
                          const struct broadcast_interest *interest, unsigned core);

/* ---- consumers: the core itself ---- */

/* Is there anything in the bell? The one look that each turn of a core pays for. */
static inline bool broadcast_has_news(const _Atomic uint32_t *bell)
{
    return atomic_load_explicit(bell, memory_order_seq_cst) != 0;
}
/* The bell of a core; lives as long as the ring. */
const _Atomic uint32_t *broadcast_bell(const struct broadcast_ring *ring, unsigned core);

/* Take what is in the bell and clear it: a bit for each lane with news, and BROADCAST_ROOM_BIT. The
 * bell does not ring again for what was there before: who ends before BROADCAST_NONE or
 * BROADCAST_HOLE remembers the lane, and who waits for room tries all that it was refused. */
uint32_t broadcast_look(struct broadcast_ring *ring, unsigned core);

enum broadcast_take {
    BROADCAST_NONE,  /* up to the tail there is nothing more for this core */
    BROADCAST_ENTRY, /* *entry is the next one, at *position */
    /* A position is claimed and not committed. The bell rings when it is, also if it was not meant
     * for this core, so there is no need to look again before that. */
    BROADCAST_HOLE,
};

/* Step over what is not meant for this core, a few nanoseconds each, and take the next entry that
 * is. It stays in its place, and its item alive, up to broadcast_done. */
enum broadcast_take broadcast_take(struct broadcast_ring *ring, unsigned lane, unsigned core,
                                   struct broadcast_entry *entry, uint64_t *position);

/* What was taken is done with: its places may be used again, and who was refused is told. Once for
 * many entries. */
void broadcast_done(struct broadcast_ring *ring, unsigned lane, unsigned core);

/* The position up to which this core has taken. */
uint64_t broadcast_cursor(const struct broadcast_ring *ring, unsigned lane, unsigned core);

#endif
