/* SPDX-License-Identifier: MIT */
/* A lane is a tail and a circle of entries. Beside the entries lies, for every 48 cores, a circle
 * of states: the lap of which the entry is (16 bits) and the cores that it is meant for (48 bits).
 * One load of its state tells a core whether an entry has been published and whether it is meant
 * for it, so entries for others are never touched.
 *
 *     claim     the slot is free: its last entry was published, and all its targets moved past it
 *               tail p -> p + 1, by compare-and-swap; only then is the interest read
 *     commit    entry, states, bells of the targets, wakes
 *     look      the bell, cleared; then take: states from the cursor on, and the entries for us
 *     done      the cursor, for producers to see; then: does anyone wait for room?
 *
 * In five pairs of threads each side writes one thing and then reads what the other has written;
 * one of both must see the other, and that takes sequentially consistent operations:
 *
 *     claim:  tail, then interest    join:  interest, then tail
 *     commit: state, then bell       look:  bell, then state
 *     done:   cursor, then room      claim: room, then cursor (was refused, tries once more)
 *     commit: state, then room       claim: room, then state (the same)
 *     commit: state, then stalled    take:  stalled, then state (before a hole, looks once more)
 *
 * docs/broadcast-ring.md argues them one by one. */
#include "engine/broadcast_ring.h"

#include "engine/memory.h"

#include <stdalign.h>

#define TAG_SHIFT  BROADCAST_WORD_CORES
#define CORES_MAX  (BROADCAST_WORDS_MAX * BROADCAST_WORD_CORES)
#define OWED_SHARE 4 /* of a lane: bells are owed for no more entries than this part of it */

/* The cores that are to be told when a lane moves, one word of them. */
struct lane_wait {
    _Atomic uint64_t stalled; /* set by cores before a hole (partner: lane_tell in commit) */
    _Atomic uint64_t room;    /* set by cores that were refused (partner: lane_tell, its callers) */
};

struct lane {
    alignas(CACHE_LINE) _Atomic uint64_t tail;                       /* any producer */
    alignas(CACHE_LINE) struct lane_wait waits[BROADCAST_WORDS_MAX]; /* any thread */
    alignas(CACHE_LINE) struct broadcast_entry *entries; /* by who claimed, up to its commit */
    _Atomic uint64_t *states;                            /* the same; word by word */
};

/* Where a core stands in a lane. */
struct place {
    uint64_t cursor;
    bool holds; /* has taken an entry and not yet said that it is done */
};

/* Bells that a core has to ring for what it has published. */
struct owed {
    uint32_t lanes; /* bits; 0: nothing is owed */
    uint32_t count; /* of entries */
    uint64_t cores[BROADCAST_WORDS_MAX];
};

struct seat {
    alignas(CACHE_LINE) _Atomic uint32_t bell; /* set by any thread, cleared by the core */
    /* Written by the core in broadcast_done; partner: lane_has_room. */
    alignas(CACHE_LINE) _Atomic uint64_t cursors[BROADCAST_LANES_MAX];
    alignas(CACHE_LINE) struct place places[BROADCAST_LANES_MAX]; /* the core alone */
    struct owed owed;                                             /* the same */
};

struct broadcast_ring {
    struct broadcast_config config;
    size_t size; /* of the whole mapping */
    unsigned word_count;
    unsigned lap_shift; /* positions to laps */
    size_t word_stride; /* states of one word, whole cache lines */
    struct lane *lanes;
    struct seat *seats;
};

static_assert(BROADCAST_LANES_MAX == 31, "a bell holds a bit for each lane, and one more");
static_assert(offsetof(struct seat, cursors) == CACHE_LINE, "a bell is alone on its line");

static int lane_claim(struct broadcast_ring *ring, unsigned lane_index, uint64_t *position,
                      unsigned *held_by);
static bool lane_has_room(const struct broadcast_ring *ring, unsigned lane_index, uint64_t position,
                          unsigned *held_by);
static inline void interest_read(const struct broadcast_ring *ring,
                                 const struct broadcast_interest *interest,
                                 struct broadcast_claim *claim, bool adds);
static void entry_publish(struct broadcast_ring *ring, const struct broadcast_claim *claim,
                          struct broadcast_entry entry);
static void waiting_tell(struct broadcast_ring *ring, const struct broadcast_claim *claim);
static void lane_tell(struct broadcast_ring *ring, unsigned lane_index, unsigned from);
static bool interest_is_own(const struct broadcast_ring *ring,
                            const struct broadcast_interest *interest, unsigned core);
static enum broadcast_take seat_step(struct broadcast_ring *ring, unsigned lane_index,
                                     unsigned core);
static void seat_ring(struct broadcast_ring *ring, unsigned core, uint32_t bits, unsigned from);
static void seats_ring(struct broadcast_ring *ring, unsigned word, uint64_t mask, uint32_t bits,
                       unsigned from);

static inline void point(const struct broadcast_ring *ring, enum broadcast_point point)
{
    if (UNLIKELY(ring->config.point != NULL)) {
        ring->config.point(ring->config.context, point);
    }
}

static inline uint64_t core_bit(unsigned core)
{
    return UINT64_C(1) << core % BROADCAST_WORD_CORES;
}

/* The tag of the lap of a position. The first lap has 1, so that zeroed states are one lap old. */
static inline uint16_t lap_tag(const struct broadcast_ring *ring, uint64_t position)
{
    return (uint16_t)((position >> ring->lap_shift) + 1);
}

static inline size_t slot_of(const struct broadcast_ring *ring, uint64_t position)
{
    return position & (ring->config.entry_count - 1);
}

/* ---- start and end ---- */

static size_t lines(size_t size)
{
    return (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

struct broadcast_ring *broadcast_ring_create(const struct broadcast_config *config)
{
    ASSERT(config->core_count >= 1 && config->core_count <= CORES_MAX);
    ASSERT(config->lane_count >= 1 && config->lane_count <= BROADCAST_LANES_MAX);
    ASSERT(config->entry_count >= 2);
    ASSERT((config->entry_count & (config->entry_count - 1)) == 0);
    unsigned word_count = (config->core_count + BROADCAST_WORD_CORES - 1) / BROADCAST_WORD_CORES;
    size_t word_stride = lines(config->entry_count * sizeof(uint64_t)) / sizeof(uint64_t);
    size_t entries_size = lines(config->entry_count * sizeof(struct broadcast_entry));
    size_t states_size = word_count * word_stride * sizeof(uint64_t);
    size_t lanes_at = lines(sizeof(struct broadcast_ring));
    size_t seats_at = lanes_at + config->lane_count * sizeof(struct lane);
    size_t circles_at = seats_at + config->core_count * sizeof(struct seat);
    size_t size = circles_at + config->lane_count * (entries_size + states_size);

    char *memory = memory_map(size);
    if (memory == NULL) {
        return NULL;
    }
    struct broadcast_ring *ring = (struct broadcast_ring *)(void *)memory;
    *ring = (struct broadcast_ring){
        .config = *config,
        .size = size,
        .word_count = word_count,
        .lap_shift = (unsigned)__builtin_ctz(config->entry_count),
        .word_stride = word_stride,
        .lanes = (struct lane *)(void *)(memory + lanes_at),
        .seats = (struct seat *)(void *)(memory + seats_at),
    };
    char *circle = memory + circles_at;
    for (unsigned i = 0; i < config->lane_count; i++) {
        ring->lanes[i].entries = (struct broadcast_entry *)(void *)circle;
        ring->lanes[i].states = (_Atomic uint64_t *)(void *)(circle + entries_size);
        circle += entries_size + states_size;
    }
    return ring;
}

void broadcast_ring_destroy(struct broadcast_ring *ring)
{
    if (ring != NULL) {
        memory_unmap(ring, ring->size);
    }
}

/* ---- producers ---- */

int broadcast_claim(struct broadcast_ring *ring, unsigned lane, unsigned from,
                    const struct broadcast_interest *interest, struct broadcast_claim *claim,
                    unsigned *held_by)
{
    ASSERT(lane < ring->config.lane_count);
    uint64_t position;
    int err = lane_claim(ring, lane, &position, held_by);
    if (UNLIKELY(err < 0)) {
        unsigned waiter = from == BROADCAST_NOBODY ? 0 : from;
        point(ring, BROADCAST_AT_WAITING);
        /* Partners: broadcast_done, and broadcast_commit of the last entry of this slot. Either
         * sees this bit when it has made room, or made it before the second try looks. */
        atomic_fetch_or_explicit(&ring->lanes[lane].waits[waiter / BROADCAST_WORD_CORES].room,
                                 core_bit(waiter), memory_order_seq_cst);
        err = lane_claim(ring, lane, &position, held_by);
        if (err < 0) {
            return err;
        }
    }
    point(ring, BROADCAST_AT_INTEREST);
    claim->position = position;
    claim->lane = lane;
    claim->from = from;
    interest_read(ring, interest, claim, false);
    return 0;
}

void broadcast_claim_also(const struct broadcast_ring *ring,
                          const struct broadcast_interest *interest, struct broadcast_claim *claim)
{
    interest_read(ring, interest, claim, true);
}

/* Who wants it: they are the targets, or added to those that there are. */
static inline void interest_read(const struct broadcast_ring *ring,
                                 const struct broadcast_interest *interest,
                                 struct broadcast_claim *claim, bool adds)
{
    unsigned count = 0;
    for (unsigned i = 0; i < ring->word_count; i++) {
        /* After the claim; partner: broadcast_join, which reads the tail after it has set a bit. */
        uint64_t word = atomic_load_explicit(&interest->words[i], memory_order_seq_cst);
        claim->targets[i] = adds ? claim->targets[i] | word : word;
        count += (unsigned)__builtin_popcountll(claim->targets[i]);
    }
    claim->target_count = count;
}

static int lane_claim(struct broadcast_ring *ring, unsigned lane_index, uint64_t *position,
                      unsigned *held_by)
{
    struct lane *lane = &ring->lanes[lane_index];
    uint64_t tail = atomic_load_explicit(&lane->tail, memory_order_seq_cst);
    for (;;) {
        point(ring, BROADCAST_AT_CLAIM);
        if (lane_has_room(ring, lane_index, tail, held_by)) {
            point(ring, BROADCAST_AT_CLAIM);
            /* What was seen of the slot still holds, since it takes a claim of this very position
             * to change it. Partner: the load of the tail in broadcast_join. */
            if (atomic_compare_exchange_strong_explicit(
                    &lane->tail, &tail, tail + 1, memory_order_seq_cst, memory_order_seq_cst)) {
                *position = tail;
                return 0;
            }
            continue;
        }
        /* Somebody else may have claimed it meanwhile; then nothing is known about the next one,
         * and tags that are half the circle of laps apart may have been taken for older. */
        uint64_t now = atomic_load_explicit(&lane->tail, memory_order_seq_cst);
        if (now == tail) {
            return GYR_ERR_BACKPRESSURE;
        }
        tail = now;
    }
}

/* Has the entry one lap before `position` been published, and has each of its targets moved past
 * it? The answer is about now only if `position` still is the tail. */
static bool lane_has_room(const struct broadcast_ring *ring, unsigned lane_index, uint64_t position,
                          unsigned *held_by)
{
    const struct lane *lane = &ring->lanes[lane_index];
    const _Atomic uint64_t *state_of_word = lane->states + slot_of(ring, position);
    uint16_t tag_before = (uint16_t)(lap_tag(ring, position) - 1);
    for (unsigned i = 0; i < ring->word_count; i++, state_of_word += ring->word_stride) {
        /* Partner: the store in broadcast_commit, whose plain write of the entry comes before
         * ours. */
        uint64_t state = atomic_load_explicit(state_of_word, memory_order_seq_cst);
        if (UNLIKELY((uint16_t)(state >> TAG_SHIFT) != tag_before)) {
            *held_by = BROADCAST_NOBODY;
            return false;
        }
        uint64_t mask = state & ((UINT64_C(1) << TAG_SHIFT) - 1);
        for (; mask != 0; mask &= mask - 1) {
            unsigned core = i * BROADCAST_WORD_CORES + (unsigned)__builtin_ctzll(mask);
            /* Partner: broadcast_done, whose reads of the entry come before our write. */
            uint64_t cursor =
                atomic_load_explicit(&ring->seats[core].cursors[lane_index], memory_order_seq_cst);
            if (UNLIKELY(cursor + ring->config.entry_count <= position)) {
                *held_by = core;
                return false;
            }
        }
    }
    return true;
}

void broadcast_commit(struct broadcast_ring *ring, const struct broadcast_claim *claim,
                      struct broadcast_entry entry)
{
    entry_publish(ring, claim, entry);
    for (unsigned i = 0; i < ring->word_count && claim->target_count != 0; i++) {
        seats_ring(ring, i, claim->targets[i], UINT32_C(1) << claim->lane, claim->from);
    }
    waiting_tell(ring, claim);
}

void broadcast_commit_later(struct broadcast_ring *ring, const struct broadcast_claim *claim,
                            struct broadcast_entry entry)
{
    ASSERT(claim->from < ring->config.core_count);
    struct owed *owed = &ring->seats[claim->from].owed;
    entry_publish(ring, claim, entry);
    for (unsigned i = 0; i < ring->word_count && claim->target_count != 0; i++) {
        owed->cores[i] |= claim->targets[i];
    }
    owed->lanes |= claim->target_count != 0 ? UINT32_C(1) << claim->lane : 0;
    owed->count++;
    waiting_tell(ring, claim);
    if (UNLIKELY(owed->count >= MAX(ring->config.entry_count / OWED_SHARE, 1U))) {
        broadcast_ring_owed(ring, claim->from);
    }
}

void broadcast_ring_owed(struct broadcast_ring *ring, unsigned core)
{
    struct owed *owed = &ring->seats[core].owed;
    if (owed->lanes == 0) {
        return;
    }
    for (unsigned i = 0; i < ring->word_count; i++) {
        seats_ring(ring, i, owed->cores[i], owed->lanes, core);
        owed->cores[i] = 0;
    }
    owed->lanes = 0;
    owed->count = 0;
}

/* Write the entry and its states. */
static void entry_publish(struct broadcast_ring *ring, const struct broadcast_claim *claim,
                          struct broadcast_entry entry)
{
    struct lane *lane = &ring->lanes[claim->lane];
    size_t slot = slot_of(ring, claim->position);
    uint64_t tag = (uint64_t)lap_tag(ring, claim->position) << TAG_SHIFT;
    bool is_wanted = claim->target_count != 0;
    if (is_wanted) {
        lane->entries[slot] = entry;
    }
    for (unsigned i = 0; i < ring->word_count; i++) {
        point(ring, BROADCAST_AT_COMMIT);
        /* Publishes the entry to the cores of this word (partner: seat_step), and comes before the
         * looks at their bells (partner: broadcast_look) and at who waits (partners: broadcast_take
         * before a hole, broadcast_claim when it was refused). */
        atomic_store_explicit(&lane->states[i * ring->word_stride + slot],
                              tag | (is_wanted ? claim->targets[i] : 0), memory_order_seq_cst);
    }
}

/* Who has found a hole where the entry is now, or no room. */
static void waiting_tell(struct broadcast_ring *ring, const struct broadcast_claim *claim)
{
    struct lane *lane = &ring->lanes[claim->lane];
    point(ring, BROADCAST_AT_ROOM);
    for (unsigned i = 0; i < ring->word_count; i++) {
        struct lane_wait *wait = &lane->waits[i];
        if (UNLIKELY(atomic_load_explicit(&wait->stalled, memory_order_seq_cst) != 0)) {
            uint64_t mask = atomic_exchange_explicit(&wait->stalled, 0, memory_order_seq_cst);
            seats_ring(ring, i, mask, UINT32_C(1) << claim->lane, claim->from);
        }
    }
    /* An entry for nobody is free at once, and with several words the last target of one may be
     * done before the next is written. */
    lane_tell(ring, claim->lane, claim->from);
}

void broadcast_call(struct broadcast_ring *ring, unsigned core, unsigned from)
{
    ASSERT(core < ring->config.core_count);
    seat_ring(ring, core, UINT32_C(1), from);
}

uint64_t broadcast_tail(const struct broadcast_ring *ring, unsigned lane)
{
    return atomic_load_explicit(&ring->lanes[lane].tail, memory_order_seq_cst);
}

/* There may be room again: tell the cores that were refused. They come back to the end of the
 * queue if somebody else was faster. */
static void lane_tell(struct broadcast_ring *ring, unsigned lane_index, unsigned from)
{
    for (unsigned i = 0; i < ring->word_count; i++) {
        /* Partner: broadcast_claim, which sets its bit and then tries again. */
        _Atomic uint64_t *room = &ring->lanes[lane_index].waits[i].room;
        if (UNLIKELY(atomic_load_explicit(room, memory_order_seq_cst) != 0)) {
            uint64_t mask = atomic_exchange_explicit(room, 0, memory_order_seq_cst);
            seats_ring(ring, i, mask, BROADCAST_ROOM_BIT, from);
        }
    }
}

static void seats_ring(struct broadcast_ring *ring, unsigned word, uint64_t mask, uint32_t bits,
                       unsigned from)
{
    for (; mask != 0; mask &= mask - 1) {
        seat_ring(ring, word * BROADCAST_WORD_CORES + (unsigned)__builtin_ctzll(mask), bits, from);
    }
}

static void seat_ring(struct broadcast_ring *ring, unsigned core, uint32_t bits, unsigned from)
{
    _Atomic uint32_t *bell = &ring->seats[core].bell;
    point(ring, BROADCAST_AT_BELL);
    /* A bit that is still set has not been looked at: its core will see what we have published.
     * Partner: broadcast_look. */
    if ((atomic_load_explicit(bell, memory_order_seq_cst) & bits) == bits) {
        return;
    }
    /* Who finds the bell empty wakes; a core with something in its bell does not fall asleep. */
    if (atomic_fetch_or_explicit(bell, bits, memory_order_seq_cst) == 0) {
        point(ring, BROADCAST_AT_WAKE);
        ring->config.wake(ring->config.context, core, from);
    }
}

/* ---- interest ---- */

uint64_t broadcast_join(struct broadcast_ring *ring, unsigned lane,
                        struct broadcast_interest *interest, unsigned core)
{
    ASSERT(core < ring->config.core_count && lane < ring->config.lane_count);
    /* Partner: broadcast_claim, which moves the tail and then reads the interest. Who has not seen
     * the bit has claimed before we read the tail. */
    atomic_fetch_or_explicit(&interest->words[core / BROADCAST_WORD_CORES], core_bit(core),
                             memory_order_seq_cst);
    point(ring, BROADCAST_AT_JOIN);
    return atomic_load_explicit(&ring->lanes[lane].tail, memory_order_seq_cst);
}

void broadcast_leave(struct broadcast_ring *ring, struct broadcast_interest *interest,
                     unsigned core)
{
    ASSERT(core < ring->config.core_count);
    point(ring, BROADCAST_AT_LEAVE);
    atomic_fetch_and_explicit(&interest->words[core / BROADCAST_WORD_CORES], ~core_bit(core),
                              memory_order_seq_cst);
}

bool broadcast_is_unwanted(const struct broadcast_ring *ring,
                           const struct broadcast_interest *interest)
{
    uint64_t any = 0;
    for (unsigned i = 0; i < ring->word_count; i++) {
        /* Partner: broadcast_join. */
        any |= atomic_load_explicit(&interest->words[i], memory_order_seq_cst);
    }
    return any == 0;
}

bool broadcast_may_bypass(struct broadcast_ring *ring, unsigned lane,
                          const struct broadcast_interest *interest, unsigned core)
{
    const struct place *place = &ring->seats[core].places[lane];
    for (unsigned i = 0; i < 2; i++) {
        point(ring, BROADCAST_AT_BYPASS);
        if (!interest_is_own(ring, interest, core)) {
            return false;
        }
        point(ring, BROADCAST_AT_BYPASS);
        /* The tail never moves back and is never before our cursor: if they meet now, they met when
         * the interest was read. The other way round, another core might leave in between that has
         * taken what we have not. */
        if (atomic_load_explicit(&ring->lanes[lane].tail, memory_order_seq_cst) == place->cursor) {
            return true;
        }
        if (seat_step(ring, lane, core) != BROADCAST_NONE) {
            return false;
        }
    }
    return false;
}

/* Has no other core this interest? */
static bool interest_is_own(const struct broadcast_ring *ring,
                            const struct broadcast_interest *interest, unsigned core)
{
    uint64_t others = 0;
    for (unsigned i = 0; i < ring->word_count; i++) {
        /* Partner: broadcast_join, which sets its bit before it reads the tail. */
        uint64_t word = atomic_load_explicit(&interest->words[i], memory_order_seq_cst);
        others |= i == core / BROADCAST_WORD_CORES ? word & ~core_bit(core) : word;
    }
    return others == 0;
}

/* ---- consumers ---- */

const _Atomic uint32_t *broadcast_bell(const struct broadcast_ring *ring, unsigned core)
{
    ASSERT(core < ring->config.core_count);
    return &ring->seats[core].bell;
}

uint32_t broadcast_look(struct broadcast_ring *ring, unsigned core)
{
    point(ring, BROADCAST_AT_LOOK);
    /* Partner: seat_ring. Who finds the bell cleared rings again; who found it rung had published
     * before, and what we read from here on shows it. */
    return atomic_exchange_explicit(&ring->seats[core].bell, 0, memory_order_seq_cst);
}

enum broadcast_take broadcast_take(struct broadcast_ring *ring, unsigned lane, unsigned core,
                                   struct broadcast_entry *entry, uint64_t *position)
{
    struct place *place = &ring->seats[core].places[lane];
    enum broadcast_take found = seat_step(ring, lane, core);
    if (UNLIKELY(found == BROADCAST_HOLE)) {
        point(ring, BROADCAST_AT_STALL);
        /* Partner: broadcast_commit, which looks here after it has published. Without it nobody
         * would ring for what lies behind a hole that is not meant for this core. */
        atomic_fetch_or_explicit(&ring->lanes[lane].waits[core / BROADCAST_WORD_CORES].stalled,
                                 core_bit(core), memory_order_seq_cst);
        found = seat_step(ring, lane, core);
    }
    if (found == BROADCAST_ENTRY) {
        *entry = ring->lanes[lane].entries[slot_of(ring, place->cursor)];
        *position = place->cursor++;
        place->holds = true;
    }
    return found;
}

/* Move the cursor over what is not meant for this core; say what stands there then. The loop ends
 * at the tail: a step takes a few nanoseconds, a claim many more, and who has fallen a lap behind
 * goes to the end in one step. */
static enum broadcast_take seat_step(struct broadcast_ring *ring, unsigned lane_index,
                                     unsigned core)
{
    const struct lane *lane = &ring->lanes[lane_index];
    const _Atomic uint64_t *states = lane->states + core / BROADCAST_WORD_CORES * ring->word_stride;
    struct place *place = &ring->seats[core].places[lane_index];
    uint64_t cursor = place->cursor;
    uint64_t tail = cursor; /* or behind it; not looked at yet */
    enum broadcast_take found;
    for (;;) {
        point(ring, BROADCAST_AT_TAKE);
        /* Acquires the entry; partner: broadcast_commit. */
        uint64_t state = atomic_load_explicit(&states[slot_of(ring, cursor)], memory_order_seq_cst);
        int16_t age = (int16_t)(lap_tag(ring, cursor) - (uint16_t)(state >> TAG_SHIFT));
        bool is_ours = (state & core_bit(core)) != 0;
        if (age == 0 && !is_ours) {
            cursor++;
            continue;
        }
        /* What this core holds keeps the tail within a lap. Otherwise a state may be of a lap so
         * much later that its tag has come round to ours, or to an older one. */
        if (age == 0 && place->holds) {
            found = BROADCAST_ENTRY;
            break;
        }
        bool was_claimed = cursor < tail; /* before the state was looked at */
        tail = atomic_load_explicit(&lane->tail, memory_order_seq_cst);
        if (tail - cursor > ring->config.entry_count) {
            /* Everything in between was overwritten, so nothing of it was meant for us. */
            cursor = tail - ring->config.entry_count;
        } else if (age == 0) {
            found = BROADCAST_ENTRY;
            break;
        } else if (age < 0) {
            cursor++; /* overwritten */
        } else if (cursor == tail) {
            found = BROADCAST_NONE;
            break;
        } else if (was_claimed) {
            found = BROADCAST_HOLE;
            break;
        }
    }
    place->cursor = cursor;
    return found;
}

void broadcast_done(struct broadcast_ring *ring, unsigned lane, unsigned core)
{
    struct seat *seat = &ring->seats[core];
    if (!seat->places[lane].holds) {
        return; /* nobody waits for a core to step over what is not meant for it */
    }
    seat->places[lane].holds = false;
    point(ring, BROADCAST_AT_DONE);
    /* Partner: lane_has_room. */
    atomic_store_explicit(&seat->cursors[lane], seat->places[lane].cursor, memory_order_seq_cst);
    point(ring, BROADCAST_AT_ROOM);
    lane_tell(ring, lane, core);
}

uint64_t broadcast_cursor(const struct broadcast_ring *ring, unsigned lane, unsigned core)
{
    return ring->seats[core].places[lane].cursor;
}
