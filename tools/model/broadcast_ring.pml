/* SPDX-License-Identifier: MIT */
/* The broadcast ring of engine/broadcast_ring.c for spin: one lane of two entries; core A, which
 * publishes, through the ring or past it; core B, which joins and leaves; another thread, which
 * publishes. What each does to shared memory is a step of its own, and the steps of all are mixed in
 * every way: sequential consistency. docs/broadcast-ring.md says why the memory orders give that
 * where it is needed.
 *
 * tools/model/run goes through all states of several such worlds, and then plants one bug after the
 * other, by the names BUG_*; each has to be found. With POLLING nobody sleeps: bells and who waits
 * for what are left out, so that there is time for more joins and entries.
 *
 * Not in here: tags of laps that come round, several words, several lanes. Tests have those. */

#define N      2 /* entries */
#define A      0
#define B      1
#define LANE   1 /* bits of a bell */
#define ROOM   2
#define NONE   0 /* what a step finds */
#define ENTRY  1
#define HOLE   2
#define UNKNOWN 3 /* between two steps */

#ifndef MESSAGES_A
#define MESSAGES_A 2
#endif
#ifndef MESSAGES_FOREIGN
#define MESSAGES_FOREIGN 3
#endif
#ifndef MOVES_B
#define MOVES_B 3 /* joins and leaves */
#endif

/* Shared memory. A state is the lap and the mask, always read and written together. */
byte tail;
byte lap[N];
byte mask[N];
byte entry[N];     /* position + 1 */
byte interest;
byte published[2]; /* cursors */
byte bell[2];
byte stalled;
byte room;
bool asleep[2];

/* Each core's own. */
byte at[2];        /* cursor */
byte left_a = MESSAGES_A;
bool waits_a;
bool foreign_is_done;

/* For the assertions alone. */
bool joined[2];
byte joined_at[2]; /* what a join returned */
byte next[2];      /* the position that has to come next, from there on */
short bypassed;    /* a bit for each position that A has delivered something of its own before */
short inside;      /* a bit for each position that B was there for, but its first */

#define SLOT(p)      ((p) % N)
#define LAP(p)       ((p) / N + 1)
#define BIT(core)    (1 << (core))

/* Positions first + 1 to end - 1, which a stay has from both sides. */
#define INSIDE(first, end) \
    ((end) > (first) -> ((1 << (end)) - 1) & ~((2 << (first)) - 1) : 0)

/* ---- bells ---- */

/* The look before each change of a bell or of who waits is left out here: to see that there is
 * nothing to do is the same as to change nothing at that moment. */
inline ring_core(core, bits)
{
    atomic { was_empty = bell[core] == 0; bell[core] = bell[core] | (bits) }
    if
    :: was_empty ->
#ifndef BUG_NO_WAKE
        atomic { asleep[core] = false; was_empty = false }
#else
        was_empty = false
#endif
    :: else -> skip
    fi
}

inline ring_cores(cores, bits)
{
#ifndef POLLING
    if
    :: (cores) & BIT(A) -> ring_core(A, bits)
    :: else -> skip
    fi;
    if
    :: (cores) & BIT(B) -> ring_core(B, bits)
    :: else -> skip
    fi
#else
    skip
#endif
}

inline tell_room()
{
#ifndef POLLING
    atomic { told = room; room = 0 }
    ring_cores(told, ROOM);
    told = 0
#else
    skip
#endif
}

/* ---- producers ---- */

/* Sets is_claimed, and p if it is. */
inline try_claim()
{
    p = tail;
    do
    :: true ->
        atomic {
            is_full = lap[SLOT(p)] != LAP(p) - 1;
            holders = (is_full -> 0 : mask[SLOT(p)])
        }
        if
        :: holders & BIT(A) -> is_full = published[A] + N <= p
        :: else -> skip
        fi;
#ifndef BUG_FREED_EARLY
        if
        :: !is_full && (holders & BIT(B)) -> is_full = published[B] + N <= p
        :: else -> skip
        fi;
#endif
        atomic {
            holders = 0;
            if
            :: tail != p -> p = tail; is_full = false
            :: tail == p && is_full -> p = 0; is_full = false; break
            :: tail == p && !is_full -> tail++; is_claimed = true; break
            fi
        }
    od
}

inline commit()
{
    atomic {
        entry[SLOT(p)] = (targets != 0 -> p + 1 : entry[SLOT(p)]);
        lap[SLOT(p)] = LAP(p);
        mask[SLOT(p)] = targets
    }
    ring_cores(targets, LANE);
#if !defined(BUG_HOLE_NOT_TOLD) && !defined(POLLING)
    atomic { told = stalled; stalled = 0 }
    ring_cores(told, LANE);
    told = 0;
#endif
#ifndef BUG_COMMIT_TELLS_NO_ROOM
    tell_room()
#endif
}

/* ---- consumers ---- */

/* The assertions for positions that core passes without an entry: none may be from its join on. */
#define PASSES(core, upto) assert(!joined[core] || (upto) <= joined_at[core])

/* Sets found. */
inline step(core)
{
    seen_tail = at[core];
    do
    :: true ->
        atomic {
            if
            :: lap[SLOT(at[core])] == LAP(at[core]) && (mask[SLOT(at[core])] & BIT(core)) == 0 ->
                PASSES(core, at[core] + 1);
                at[core]++
            :: lap[SLOT(at[core])] == LAP(at[core]) && (mask[SLOT(at[core])] & BIT(core)) != 0 ->
                found = ENTRY;
                seen_tail = 0;
                break
            :: lap[SLOT(at[core])] < LAP(at[core]) -> is_older = true
            :: lap[SLOT(at[core])] > LAP(at[core]) -> is_newer = true
            fi
        }
        if
        :: is_older || is_newer ->
            atomic {
                was_claimed = at[core] < seen_tail;
                seen_tail = tail;
                if
                :: seen_tail > at[core] + N ->
                    PASSES(core, seen_tail - N);
                    at[core] = seen_tail - N
                :: seen_tail <= at[core] + N && is_newer ->
                    PASSES(core, at[core] + 1);
                    at[core]++
                :: seen_tail == at[core] && is_older -> found = NONE
                :: seen_tail <= at[core] + N && seen_tail > at[core] && is_older && was_claimed ->
                    found = HOLE
                :: seen_tail <= at[core] + N && seen_tail > at[core] && is_older && !was_claimed
                fi;
                is_older = false;
                is_newer = false;
                was_claimed = false;
                if
                :: found != UNKNOWN -> seen_tail = 0; break
                :: else -> skip
                fi
            }
        :: else -> skip
        fi
    od
}

/* Sets found; what was found has been read and judged. */
inline take(core)
{
    step(core);
    if
#ifndef POLLING
    :: found == HOLE ->
        stalled = stalled | BIT(core);
#ifndef BUG_HOLE_NOT_LOOKED_AT_AGAIN
        found = UNKNOWN;
        step(core)
#endif
#endif
    :: else -> skip
    fi;
    if
    :: found == ENTRY ->
        atomic {
            assert(entry[SLOT(at[core])] == at[core] + 1);
            if
            :: joined[core] && at[core] >= joined_at[core] ->
                assert(at[core] == next[core]);
                next[core]++
            :: else -> skip
            fi;
            at[core]++
        }
    :: else -> skip
    fi
}

inline done(core)
{
    if
    :: published[core] != at[core] ->
#ifdef BUG_ROOM_TOLD_FIRST
        tell_room();
        published[core] = at[core]
#else
        published[core] = at[core];
        tell_room()
#endif
    :: else -> skip
    fi
}

/* Take what there is; be done with it each time, or at the end. */
inline drain(core)
{
    do
    :: true ->
        take(core);
        if
        :: found != ENTRY -> found = UNKNOWN; break
        :: found == ENTRY -> found = UNKNOWN; done(core)
        :: found == ENTRY -> found = UNKNOWN
        fi
    od;
    done(core)
}

inline look(core)
{
#ifdef BUG_CLEARED_AFTER_TAKING
    bits = bell[core];
#else
    atomic { bits = bell[core]; bell[core] = 0 }
#endif
    if
    :: bits & LANE -> drain(core)
    :: else -> skip
    fi;
#ifdef BUG_CLEARED_AFTER_TAKING
    bell[core] = 0;
#endif
}

inline sleep(core)
{
    asleep[core] = true;
#ifdef BUG_SLEEPS_WITHOUT_A_LOOK
    asleep[core] == false
#else
    if
    :: bell[core] != 0 -> asleep[core] = false
    :: else -> asleep[core] == false
    fi
#endif
}

/* ---- who is there ---- */

inline may_bypass_a()
{
#ifdef BUG_BYPASS_TAIL_FIRST
    seen_tail = tail;
    atomic { may_bypass = (interest & BIT(B)) == 0 && seen_tail == at[A]; seen_tail = 0 }
#else
    if
    :: (interest & BIT(B)) == 0 ->
#ifdef BUG_BYPASS_NOT_DRAINED
        may_bypass = true
#else
        may_bypass = tail == at[A];
        if
        :: may_bypass -> skip
        :: else ->
            step(A);
            if
            :: found == NONE && (interest & BIT(B)) == 0 -> may_bypass = tail == at[A]
            :: else -> skip
            fi;
            found = UNKNOWN
        fi
#endif
    :: else -> skip
    fi
#endif
}

inline publish_a()
{
    if
    :: joined[A] -> may_bypass_a()
    :: else -> skip
    fi;
    if
    :: may_bypass ->
        atomic {
            assert((inside & BIT(at[A])) == 0);
            assert(own_end <= at[A]);
            bypassed = bypassed | BIT(at[A]);
            may_bypass = false;
            left_a--
        }
    :: else ->
#ifdef BUG_INTEREST_FIRST
        targets = interest;
#endif
        try_claim();
        if
#ifndef POLLING
        :: !is_claimed ->
            room = room | BIT(A);
#ifndef BUG_REFUSED_LOOKS_ONCE
            try_claim()
#endif
#endif
        :: else -> skip
        fi;
        if
        :: is_claimed ->
#ifndef BUG_INTEREST_FIRST
            targets = interest;
#endif
            commit();
            atomic { own_end = p + 1; left_a--; p = 0; targets = 0; is_claimed = false }
#ifndef POLLING
        :: else -> atomic { waits_a = true; targets = 0 }
#else
        :: else -> targets = 0
#endif
        fi
    fi
}

proctype core_a()
{
    byte p, holders, targets, told, seen_tail, bits;
    byte own_end; /* behind the last entry of its own */
    byte found = UNKNOWN;
    bool is_claimed, is_full, is_older, is_newer, was_claimed, was_empty, may_bypass;

    do
    :: left_a > 0 && !waits_a -> publish_a()
#ifdef POLLING
    :: at[A] < tail -> drain(A)
#else
    :: bell[A] != 0 ->
        look(A);
        atomic { waits_a = waits_a && (bits & ROOM) == 0; bits = 0 }
    :: (left_a == 0 || waits_a) && bell[A] == 0 -> sleep(A)
#endif
    od
}

inline move_b()
{
    moves--;
    if
    :: !joined[B] ->
#ifdef BUG_JOIN_TAIL_FIRST
        joined_at[B] = tail;
        interest = interest | BIT(B);
        atomic { next[B] = joined_at[B]; joined[B] = true }
#else
        interest = interest | BIT(B);
        atomic { joined_at[B] = tail; next[B] = tail; joined[B] = true }
#endif
    :: else ->
        atomic {
            joined[B] = false;
            assert((bypassed & INSIDE(joined_at[B], at[B])) == 0);
            inside = inside | INSIDE(joined_at[B], at[B])
        }
        interest = interest & ~BIT(B)
    fi
}

proctype core_b()
{
    byte told, seen_tail, bits;
    byte found = UNKNOWN;
    byte moves = MOVES_B;
    bool is_older, is_newer, was_claimed, was_empty;

    do
    :: moves > 0 -> move_b()
#ifdef POLLING
    :: at[B] < tail -> drain(B)
#else
    :: bell[B] != 0 -> look(B); bits = 0
    :: bell[B] == 0 -> sleep(B)
#endif
    od
}

/* Nobody tells it of room: it tries again at some time, here when there is some. */
#define HAS_ROOM \
    (lap[SLOT(tail)] == LAP(tail) - 1 && \
     ((mask[SLOT(tail)] & BIT(A)) == 0 || published[A] + N > tail) && \
     ((mask[SLOT(tail)] & BIT(B)) == 0 || published[B] + N > tail))

proctype foreign()
{
    byte p, holders, targets, told;
    byte left = MESSAGES_FOREIGN;
    bool is_claimed, is_full, was_empty;

    do
    :: left > 0 ->
        HAS_ROOM;
#ifdef BUG_INTEREST_FIRST
        targets = interest;
#endif
        try_claim();
        if
        :: is_claimed ->
#ifndef BUG_INTEREST_FIRST
            targets = interest;
#endif
            commit();
            atomic { left--; p = 0; targets = 0; is_claimed = false }
        :: else -> targets = 0
        fi
    :: left == 0 -> break
    od;
    foreign_is_done = true
}

/* Has this core taken all that is meant for it? */
#define IS_SERVED(core) \
    ((mask[0] & BIT(core)) == 0 || (lap[0] - 1) * N + 0 < at[core]) && \
    ((mask[1] & BIT(core)) == 0 || (lap[1] - 1) * N + 1 < at[core])

/* When nobody can go on, all is published and taken, and whoever sleeps does so with good reason. */
proctype judge()
{
    end:
    timeout ->
        assert(foreign_is_done);
        assert(left_a == 0);
#ifndef POLLING
        assert(asleep[A] && asleep[B]);
        assert(bell[A] == 0 && bell[B] == 0);
#endif
        assert(IS_SERVED(A) && IS_SERVED(B));
        assert(!joined[B] || (bypassed & INSIDE(joined_at[B], at[B])) == 0);
        assert(!joined[B] || next[B] == tail || at[B] < joined_at[B]);
        assert(!joined[A] || next[A] == tail)
}

init {
    atomic {
#ifndef A_HAS_NOT_JOINED
        interest = BIT(A);
        joined[A] = true;
#endif
#ifdef B_HAS_JOINED
        interest = interest | BIT(B);
        joined[B] = true;
#endif
        run core_a();
        run core_b();
        run foreign();
        run judge()
    }
}
